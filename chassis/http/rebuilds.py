"""Serving what administrators do with read models: having them built anew."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import partial
from typing import Any
from uuid import uuid4

import msgspec
from pymongo.database import Database

from chassis.audit.entries import EntryKind
from chassis.commands.idempotency import command_id_of
from chassis.http.edge import Api
from chassis.http.messages import HttpRequest, HttpResponse, Serve
from chassis.http.requests import json_body, key_of, require_only
from chassis.http.routes import OPERATED_ON
from chassis.model.principal import Principal
from chassis.model.views import View
from chassis.projections.rebuild_requests import RebuildRequests
from chassis.queries.rows import plain
from contracts.errors import Refused
from contracts.operations import PLATFORM_OPERATIONS, CallOffRebuild, Operation, RebuildRow, RebuildView
from contracts.schemas import load


class Rebuilds:
    """Serves the rebuilds of views; a worker carries them out."""

    def __init__(self, api: Api, views: Sequence[View], database: "Database[dict[str, Any]]") -> None:
        self._api = api
        self._views = [view.name for view in views if not view.collected]
        self._requests = RebuildRequests(database)

    def serving(self) -> dict[str, Serve]:
        """What serves each operation, by name."""
        serve: Mapping[str, Any] = {
            "rebuild_view": self._ask,
            "rebuilds": self._newest,
            "rebuild": self._one,
            "call_off_rebuild": self._call_off,
        }
        return {
            one.name: partial(self._noted, one, serve[one.name]) for one in PLATFORM_OPERATIONS if one.name in serve
        }

    def _noted(
        self, operation: Operation, serve: Callable[[Principal, HttpRequest, Any], HttpResponse], http: HttpRequest
    ) -> HttpResponse:
        """Serve it for who may; what changes something is in the audit log, and so is who was refused."""
        api, changes = self._api, operation.method == "POST"
        of_view, of_rebuild, _ = OPERATED_ON
        what, id = (
            (of_view, http.path["view"]) if "view" in http.path else (of_rebuild, http.path.get("rebuild_id", ""))
        )
        kind: EntryKind = "COMMAND" if changes else "READ"
        with api.attempt(api.reads_log, http, kind, operation.name, what, id) as attempt:
            principal = api.caller(http, operation.permission, attempt)
            require_only(http)
            asked = load(operation.body, json_body(http)) if operation.body else None
            attempt.query = {name: [str(value).lower()] for name, value in vars(asked).items()} if asked else {}
            answer = serve(principal, http, asked)
            if changes:
                attempt.note()
        return answer

    def _ask(self, caller: Principal, http: HttpRequest, asked: RebuildView) -> HttpResponse:
        view = http.path["view"]
        if view not in self._views:
            raise Refused("system.no_view", views=list(self._views), field="view")
        key = http.headers.get("idempotency-key")
        id = str(uuid4()) if key is None else command_id_of(caller, key)
        by = str(caller.user_id or ""), caller.name
        found = self._requests.ask(id, view, asked, by, self._api.clock())
        return HttpResponse(202, _shown_rebuild(found), {"Location": f"/rebuilds/{id}"})

    def _newest(self, _: Principal, http: HttpRequest, __: None) -> HttpResponse:
        items = [msgspec.Raw(_shown_rebuild(found)) for found in self._requests.newest()]
        return HttpResponse(200, msgspec.json.encode({"items": items}))

    def _one(self, _: Principal, http: HttpRequest, __: None) -> HttpResponse:
        return HttpResponse(200, _shown_rebuild(self._requests.one(key_of(http))))

    def _call_off(self, caller: Principal, http: HttpRequest, _: CallOffRebuild) -> HttpResponse:
        key = http.headers.get("idempotency-key")
        request = None if key is None else command_id_of(caller, key)
        return HttpResponse(200, _shown_rebuild(self._requests.call_off(key_of(http), caller.name, request)))


def _shown_rebuild(document: Mapping[str, Any]) -> bytes:
    shown = {**document, "id": document["_id"]}
    return msgspec.json.encode({item.name: plain(shown.get(item.name)) for item in fields(RebuildRow)})
