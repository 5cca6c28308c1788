"""Who one is and what a client must know, which roles there are, signing out without an id, handing over what belongs
to somebody, and the messages of an installation without a provider of mail and SMS."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import msgspec

from chassis.http.commands import CommandHandler
from chassis.http.edge import Api
from chassis.http.hand_over import RIGHT, USER, HandedOver, hand_over_records
from chassis.http.messages import JSON, HttpRequest, HttpResponse
from chassis.http.requests import require_only
from chassis.http.service_routes import ServiceRoute
from chassis.messaging.consistency import HEADER
from chassis.metadata.serving import serve_metadata
from chassis.metadata.shapes import Metadata
from chassis.queries.filters import single
from contracts.access import SIGN_OUT_HERE, SignOut
from contracts.declare import REGISTRY
from contracts.errors import Refused
from contracts.languages import LANGUAGES, Language
from contracts.menus import MenuEntry, menu
from contracts.operations import HAND_OVER_RECORDS
from contracts.people import Preferences
from contracts.permissions import PASSWORD, RIGHTS, DataScope
from services.access.messages import Mailbox

NEWEST_MESSAGES = 200


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """Who the caller is, what they may do and how far each right reaches, and the menu entries that shows.

    `language` is the one in which the caller is answered: the one they have set, that of Accept-Language, or else the
    company's.  Days are counted in `time_zone`, and amounts that name no currency are in `currency`: the company's
    (SET-02..04).  `preferences` are what the caller has set (`PATCH /users/{user_id}/preferences`).
    """

    id: UUID | None
    name: str
    roles: list[str]
    must_change_password: bool
    rights: dict[str, list[DataScope]]
    menu: list[MenuEntry]
    language: Language
    time_zone: str
    currency: str
    department_id: UUID | None
    session_id: UUID | None
    preferences: Preferences


class RoleRow(msgspec.Struct, frozen=True):
    """A role with its rights and how far each reaches."""

    id: str
    title: str
    version: int
    rights: dict[str, DataScope]


class RoleList(msgspec.Struct, frozen=True):
    """Every role (SEC-15, SEC-16)."""

    items: list[RoleRow]


class SentMessage(msgspec.Struct, frozen=True):
    """A message as it would have been sent."""

    how: Literal["MAIL", "SMS"]
    to: str
    text: str


class MessageList(msgspec.Struct, frozen=True):
    """The newest messages, newest first."""

    items: list[SentMessage]


def me(api: Api, http: HttpRequest) -> HttpResponse:
    """Who the caller is, what they may do, and the menu entries that shows (SEC-17)."""
    caller, company = api.caller(http, PASSWORD), api.directory.company
    require_only(http)
    rights = {right: sorted(caller.scopes_of(right)) for right in sorted(RIGHTS) if caller.may(right)}
    told = Me(
        id=caller.user_id,
        name=caller.name,
        roles=sorted(caller.roles),
        must_change_password=caller.limited,
        rights=rights,
        menu=[entry for entry in menu() if entry.right in rights],
        language=api.language_of(http),
        time_zone=company.zone.key,
        currency=company.currency,
        department_id=api.directory.department_of(caller.user_id),
        session_id=caller.session_id,
        preferences=caller.preferences,
    )
    return HttpResponse(200, msgspec.json.encode(told))


def roles(api: Api, http: HttpRequest) -> HttpResponse:
    """Every role with its rights and how far each reaches (SEC-15, SEC-16)."""
    with api.attempt(api.reads_log, http, "READ", "roles", ROLE) as attempt:
        api.caller(http, "accounts", attempt)
        require_only(http)
    items = [
        RoleRow(row.role, row.title, row.revision, dict(sorted(row.rights.items()))) for row in api.directory.roles()
    ]
    return HttpResponse(200, msgspec.json.encode(RoleList(items)))


def sign_out_here(api: Api, http: HttpRequest) -> HttpResponse:
    """End the session with which the caller calls (SEC-11)."""
    spec = REGISTRY.command_of(SignOut)
    writer = api.writers[spec.service]
    with api.attempt(writer, http, "COMMAND", spec.name, SESSION) as attempt:
        caller = api.caller(http, spec.permission, attempt)
        if caller.session_id is None:
            raise Refused("access.no_session", field="session_id")
    return CommandHandler(api, writer, spec)(replace(http, path={spec.key: str(caller.session_id)}))


def mailbox(api: Api, http: HttpRequest) -> HttpResponse:
    """The newest messages, newest first, and those to one address or number with `to`; each look is noted."""
    with api.attempt(api.reads_log, http, "READ", "mailbox", MESSAGE) as attempt:
        attempt.query = http.query
        api.caller(http, "platform", attempt)
        require_only(http, "to")
        to = single("to", http.query["to"]) if "to" in http.query else None
        found = Mailbox(Path(api.config.mailbox_dir)).messages(to)[-NEWEST_MESSAGES:]
        attempt.note()
    return HttpResponse(200, msgspec.json.encode({"items": found[::-1]}))


ROLE, MESSAGE, SESSION = "role", "message", "session"


def _found(answer: str, *refusals: str) -> dict[str, Any]:
    """The answers of a route: what it finds, and the refusals that the document describes for all (status and name).

    An address may be too large everywhere.
    """
    schema = {"$ref": f"#/components/schemas/{answer}"}
    return {
        "200": {"description": "Found.", "content": {JSON: {"schema": schema}}},
        **_refused(*refusals, "413 TooLarge"),
    }


def _refused(*refusals: str) -> dict[str, Any]:
    return {one[:3]: {"$ref": f"#/components/responses/{one[4:]}"} for one in refusals}


REFUSED_COMMAND = _refused(
    "400 Invalid",
    "401 Unauthenticated",
    "403 Forbidden",
    "404 NotFound",
    "409 Conflict",
    "413 TooLarge",
    "415 FileType",
    "429 TooManyRequests",
    "503 Unavailable",
)
"""How what changes something may be refused."""

ME: dict[str, Any] = {
    "operationId": "me",
    "tags": ["access"],
    "summary": "Who one is, what one may do, and the menu of it",
    "description": "The caller's rights with how far each reaches, the menu entries they show (SEC-17), and language, "
    "time zone, currency, department and session.",
    "x-permission": PASSWORD,
    "responses": _found(Me.__name__, "400 Invalid", "401 Unauthenticated"),
}

METADATA: dict[str, Any] = {
    "operationId": "metadata",
    "tags": ["access"],
    "summary": "What a client must know to show Salestream, in the caller's language",
    "description": "Lists with their columns and filters, commands with their fields, choices, rights, roles, menu, "
    "codes of refusals, steps of processes and parameters, with labels.  What the caller may not see or do is "
    "left out.  An answer may be kept as long as its ETag holds: ask again with If-None-Match.",
    "x-permission": PASSWORD,
    "parameters": [
        {
            "name": "language",
            "in": "query",
            "schema": {"type": "string", "enum": list(LANGUAGES)},
            "description": "Left out: what the caller has set, the first of Accept-Language, or else the company's.",
        },
        {"$ref": "#/components/parameters/IfNoneMatch"},
    ],
    "responses": {
        **_found(Metadata.__name__, "400 Invalid", "401 Unauthenticated"),
        "304": {"description": "What is kept still holds."},
    },
}
METADATA["responses"]["200"]["headers"] = {
    "ETag": {"$ref": "#/components/headers/Mark"},
    "Content-Encoding": {"description": "gzip, for who accepts that.", "schema": {"type": "string"}},
}

ROLE_LIST: dict[str, Any] = {
    "operationId": "roles",
    "tags": ["access"],
    "summary": "Every role with its rights and how far each reaches",
    "description": "Every role with its rights and how far each reaches (SEC-15, SEC-16).",
    "x-permission": "accounts",
    "responses": _found(RoleList.__name__, "401 Unauthenticated", "403 Forbidden"),
}

SIGNED_OUT_HERE: dict[str, Any] = {
    "operationId": SIGN_OUT_HERE,
    "tags": ["access"],
    "summary": "Sign out of the session with which one calls",
    "description": "As DELETE /sessions/{session_id}, without knowing the id (SEC-11).",
    "x-permission": PASSWORD,
    "parameters": [
        {"$ref": f"#/components/parameters/{name}"} for name in ("IdempotencyKey", "IfMatch", "Consistency")
    ],
    "responses": {
        "200": {
            "description": "Done.",
            "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in ("ETag", HEADER)},
            "content": {JSON: {"schema": {"$ref": "#/components/schemas/CommandAnswer"}}},
        },
        **REFUSED_COMMAND,
    },
}

HANDED_OVER: dict[str, Any] = {
    "operationId": HAND_OVER_RECORDS,
    "tags": ["access"],
    "summary": "Give all that somebody has to somebody else",
    "description": "Gives records of every kind that belongs to people, some of each at a time, each by its own "
    "command: repeat it, with the consistency token of the answer, until none is left.  It may be stopped and begun "
    "again at any time; once nothing is left it does nothing (SEC-14).",
    "x-permission": RIGHT,
    "parameters": [
        {"name": "user_id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}},
        {"$ref": "#/components/parameters/Consistency"},
    ],
    "requestBody": {
        "required": True,
        "content": {
            JSON: {
                "schema": {
                    "type": "object",
                    "properties": {"to_id": {"type": "string", "format": "uuid"}},
                    "required": ["to_id"],
                    "additionalProperties": False,
                }
            }
        },
    },
    "responses": {
        "200": {
            "description": "How far it is.",
            "headers": {HEADER: {"$ref": f"#/components/headers/{HEADER}"}},
            "content": {JSON: {"schema": {"$ref": f"#/components/schemas/{HandedOver.__name__}"}}},
        },
        **REFUSED_COMMAND,
    },
}

MAILBOX: dict[str, Any] = {
    "operationId": "mailbox",
    "tags": ["access"],
    "summary": "The newest messages of an installation that has no provider of mail and SMS",
    "description": "Codes and notices as they would have been sent, newest first.  Each look is in the audit log.",
    "x-permission": "platform",
    "parameters": [{"name": "to", "in": "query", "schema": {"type": "string"}, "description": "one address or number"}],
    "responses": _found(MessageList.__name__, "400 Invalid", "401 Unauthenticated", "403 Forbidden"),
}

ROUTES = (
    ServiceRoute("GET", "/me", "me", PASSWORD, me, ME, Me, everywhere=True),
    ServiceRoute("GET", "/metadata", "metadata", PASSWORD, serve_metadata, METADATA, Metadata, everywhere=True),
    ServiceRoute("GET", "/roles", "roles", "accounts", roles, ROLE_LIST, RoleList, ROLE, everywhere=True),
    ServiceRoute("GET", "/mailbox", "mailbox", "platform", mailbox, MAILBOX, MessageList, MESSAGE),
    ServiceRoute(
        "POST", "/users/{user_id}/hand-over", HAND_OVER_RECORDS, RIGHT, hand_over_records, HANDED_OVER, HandedOver, USER
    ),
    ServiceRoute("DELETE", "/sessions/current", SIGN_OUT_HERE, PASSWORD, sign_out_here, SIGNED_OUT_HERE),
)
