"""Taking back many changes that were made at once (CUS-10, ADR 0064)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec

from chassis.audit.entries import object_kind
from chassis.commands.runs import RUN, RUN_IN_PATH, done_in, reverting
from chassis.http.commands import MAX_BULK, BulkHandler
from chassis.http.edge import Api
from chassis.http.messages import JSON, HttpRequest, HttpResponse
from chassis.http.requests import json_body, require_only
from chassis.messaging.consistency import HEADER
from chassis.writer.request import Answer
from chassis.writer.writer import Writer
from contracts.declare import CommandSpec
from contracts.errors import Refused
from contracts.ids import id_in
from contracts.operations import UndoRun
from contracts.schemas import load


class UndoHandler:
    """Serves taking back a run of its caller's: each record is put back to what it was before the run.

    One that was changed since stays as it is, and its result says so.  It is a run itself, of the commands that put
    records back: sent again it changes nothing more, and it can be taken back too.
    """

    def __init__(self, api: Api, writer: Writer, spec: CommandSpec) -> None:
        back = reverting(spec)
        assert back is not None, f"what {spec.name} does is not put back"
        self._api, self._writer, self._spec, self._back = api, writer, spec, back
        self._bulk = BulkHandler(api, writer, back)

    def __call__(self, http: HttpRequest) -> HttpResponse:
        api, spec, back = self._api, self._spec, self._back
        run = id_in(http.path[RUN_IN_PATH])
        with api.attempt(self._writer, http, "COMMAND", back.name, object_kind(back.cls)) as attempt:
            token = api.token(http)
            waits = partial(api.wait_for_replicas, self._writer, token, http=http)
            caller = api.caller(http, spec.permission, attempt, waits)
            require_only(http)
            load(UndoRun, json_body(http))
            done = done_in(self._writer, spec, caller, run, MAX_BULK) if run else []
            if run is None or not done:
                raise Refused("requests.no_run", field=RUN_IN_PATH)
        changed = _changed(done)
        own = _id_of_undo(spec, run, changed)
        if not changed:
            return HttpResponse(200, msgspec.json.encode({RUN: own, "results": []}), {HEADER: str(token or "")})
        items = [
            {"command": {back.key: str(id), "version": change.before}, "if_match": f'"{change.after}"'}
            for id, change in changed.items()
        ]
        body = msgspec.json.encode({RUN: own, "items": items})
        headers = {**http.headers, "content-type": JSON}
        response = self._bulk(replace(http, headers=headers, body=lambda: body))
        told = msgspec.json.decode(response.body)
        results = [{"id": str(id), **one} for id, one in zip(changed, told["results"], strict=True)]
        return replace(response, body=msgspec.json.encode({**told, "results": results}))


class Change(NamedTuple):
    """What a record was before a run, and what it must still be to be put back: versions of it."""

    before: int
    after: int


def _id_of_undo(spec: CommandSpec, run: str, changed: Mapping[UUID, Change]) -> str:
    """The id of the run that takes another one back: the same for as long as that has changed the same records.

    Two commands may be sent under one id of a run, and a run may be sent again with what was refused put right.
    """
    what = ";".join(f"{id}:{change.before}:{change.after}" for id, change in changed.items())
    return str(uuid5(NAMESPACE_URL, f"salestream:undo:{spec.name}:{run}:{what}"))


def _changed(done: Sequence[Answer]) -> dict[UUID, Change]:
    """What a run has changed, by record.

    Where somebody else changed a record between two changes of the run, it is long after the first one: that is what it
    must still be then, and is not.
    """
    versions: dict[UUID, list[int]] = {}
    for answer in done:
        id = UUID(answer.body["id"])
        versions.setdefault(id, []).extend(at.version for at in answer.last if at.aggregate_id == id)
    return {
        id: Change(made[0] - 1, made[-1] if made[-1] - made[0] == len(made) - 1 else made[0])
        for id, made in versions.items()
        if made
    }
