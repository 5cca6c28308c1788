"""Handing over what belongs to somebody: all their records of every kind are given to one other (SEC-14, ADR 0040).

A request gives some of each kind and tells how many are left, so whoever asks repeats it until none is: that is the
progress, and how it goes on after an interruption.  It is made of the kinds' own lists and commands, in the name of the
caller: each record has its event, its author and its entry in the audit log, and rights are those of giving one record.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import msgspec

from chassis.catalogue import Catalogue
from chassis.http.commands import BulkHandler
from chassis.http.edge import Api
from chassis.http.forwarding import Forwarder
from chassis.http.messages import JSON, HttpRequest, HttpResponse, Serve
from chassis.http.requests import json_body, require_only
from chassis.http.routes import kebab
from chassis.http.serving import known, reader_of
from chassis.http.views import ViewHandler
from chassis.messaging.consistency import HEADER, Token
from chassis.model.context import user_named
from contracts.declare import REGISTRY
from contracts.errors import Refused, not_found
from contracts.ids import parse_id
from contracts.operations import HAND_OVER_RECORDS, HandOverRecords
from contracts.reasons import Why
from contracts.records import KINDS, OWNER, Kind
from contracts.schemas import can_be, load

PORTION = 200
"""Records of each kind that a request gives at most, and of those that could not be given so many are told."""
PASSED_ON = ("authorization", "x-correlation-id")
USER, RIGHT = "user", "accounts"


class NotGiven(msgspec.Struct, frozen=True):
    """A record that could not be given, and why."""

    id: UUID
    code: str
    detail: str


class KindHandedOver(msgspec.Struct, frozen=True):
    """What was given of one kind, and how many the person still has that the caller may see."""

    kind: str
    given: int
    left: int
    refused: list[NotGiven]


class HandedOver(msgspec.Struct, frozen=True):
    """How far it is.

    Repeat the request, with the consistency token of this answer, until `left` is 0; while nothing is given and some
    are left, `refused` says why.
    """

    given: int
    left: int
    kinds: list[KindHandedOver]


def hand_over_records(api: Api, http: HttpRequest) -> HttpResponse:
    """Give what one person has to another: some records of each kind that belongs to people."""
    writer = api.reads_log
    assert writer is not None
    with api.attempt(writer, http, "COMMAND", HAND_OVER_RECORDS, USER, http.path["user_id"]) as attempt:
        token = api.token(http)
        api.caller(http, RIGHT, attempt, partial(api.wait_for_replicas, writer, token, http=http))
        require_only(http)
        asked = _asked(api, http)
        attempt.query = {"to_id": [str(asked.to_id)]}
        user_named(api.directory, asked.to_id, "to_id")
        if asked.to_id == asked.user_id:
            raise Refused("records.same_person", field="to_id")
        done = []
        for kind in (kind for kind in KINDS.values() if kind.owned):
            told, token = _give(api, http, kind, asked, token)
            done.append(told)
        attempt.note()
    found = HandedOver(sum(one.given for one in done), sum(one.left for one in done), done)
    return HttpResponse(200, msgspec.json.encode(found), {HEADER: str(token)} if token else {})


def _asked(api: Api, http: HttpRequest) -> HandOverRecords:
    """Whose records are to be whose; theirs who have left, too.  Raises Refused NOT_FOUND, or VALIDATION."""
    user_id = http.path["user_id"]
    if not can_be(HandOverRecords, "user_id", user_id) or api.directory.person(parse_id(user_id)) is None:
        raise not_found(USER, "user_id")
    body = json_body(http, Why("requests.empty_body", names=["to_id"]))
    if "user_id" in body:
        raise Refused("records.in_the_path", field="user_id")
    asked: HandOverRecords = load(HandOverRecords, {**body, "user_id": user_id})
    return asked


def _give(
    api: Api, http: HttpRequest, kind: Kind, asked: HandOverRecords, token: Token | None
) -> tuple[KindHandedOver, Token | None]:
    """Give some records of one kind: of the first page of which any can be given.  A page of which none can be given,
    because a process is under way with each, say, is in the way of no other.

    Raises Refused where the caller may not even see or give any.
    """
    query = {OWNER: str(asked.user_id), "limit": str(PORTION)}
    page, _ = _ask(_list_of(api, kind), _request(http, "GET", kind.path, token, query={**query, "count": "true"}))
    total, refused = page["total"], list[NotGiven]()
    while ids := [row["id"] for row in page["items"]]:
        items = [{"command": {kind.key: id, OWNER: str(asked.to_id)}} for id in ids]
        path = f"/bulk/{kebab(kind.assign.__name__)}"
        told, reached = _ask(_giving(api, kind), _request(http, "POST", path, token, body={"items": items}))
        token = reached.with_also(token) if reached else token
        not_given = [
            NotGiven(parse_id(id), answer["body"]["code"], answer["body"]["detail"])
            for id, answer in zip(ids, told["results"], strict=True)
            if answer["status"] != 200
        ]
        refused += not_given[: PORTION - len(refused)]
        given = len(ids) - len(not_given)
        if given or not page["next"]:
            return KindHandedOver(kind.what, given, total - given, refused), token
        more = {**query, "cursor": page["next"]}
        page, _ = _ask(_list_of(api, kind), _request(http, "GET", kind.path, token, query=more))
    return KindHandedOver(kind.what, 0, total, refused), token


def _list_of(api: Api, kind: Kind) -> Serve:
    """What serves the list of a kind, in this process or in another."""
    view = next((view for view in api.views if view.path == kind.path), None)
    if view is None:
        return Forwarder(api.config).to(Catalogue.read().with_role("queries")[0])
    return ViewHandler(api, view, reader_of(api, view, known(api)))


def _giving(api: Api, kind: Kind) -> Serve:
    """What serves the command that gives records of a kind, many at once."""
    writer = api.writers.get(kind.service)
    if writer is None:
        return Forwarder(api.config).to(kind.service)
    return BulkHandler(api, writer, REGISTRY.command_of(kind.assign))


def _request(
    http: HttpRequest,
    method: str,
    path: str,
    token: Token | None,
    *,
    query: Mapping[str, str] | None = None,
    body: Mapping[str, Any] | None = None,
) -> HttpRequest:
    """A request of the same caller."""
    query = query or {}
    headers = {name: http.headers[name] for name in PASSED_ON if name in http.headers} | {"content-type": JSON}
    if token:
        headers[HEADER.lower()] = str(token)
    content = b"" if body is None else msgspec.json.encode(body)
    return replace(
        http,
        method=method,
        target=f"{path}?{urlencode(query)}" if query else path,
        path={},
        query={name: [value] for name, value in query.items()},
        headers=headers,
        body=lambda: content,
    )


def _ask(serve: Serve, request: HttpRequest) -> tuple[dict[str, Any], Token | None]:
    """What a route answers, and its consistency token.  Raises the refusal that it answers."""
    answer = serve(request)
    body = b"".join(answer.file) if answer.file else answer.body
    told: dict[str, Any] = msgspec.json.decode(body)
    if answer.status != 200:
        raise Refused.told_by(told)
    return told, Token.parse(answer.headers.get(HEADER))
