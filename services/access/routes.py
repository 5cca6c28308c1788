"""Who one is, which roles there are, and the messages of an installation without a provider of mail and SMS."""

from pathlib import Path
from typing import Any

import msgspec

from chassis.http.edge import Api
from chassis.http.messages import JSON, HttpRequest, HttpResponse
from chassis.http.requests import require_only
from chassis.http.service_routes import ServiceRoute
from chassis.queries.filters import single
from contracts.menus import menu
from contracts.permissions import DATA_SCOPES, PASSWORD, RIGHTS
from services.access.messages import Mailbox

NEWEST_MESSAGES = 200


def me(api: Api, http: HttpRequest) -> HttpResponse:
    """Who the caller is, what they may do, and the menu entries that shows (SEC-17)."""
    caller = api.caller(http, PASSWORD)
    require_only(http)
    rights = {right: sorted(caller.scopes_of(right)) for right in sorted(RIGHTS) if caller.may(right)}
    body = {
        "id": caller.user_id,
        "name": caller.name,
        "roles": sorted(caller.roles),
        "must_change_password": caller.limited,
        "rights": rights,
        "menu": [entry for entry in menu() if entry.right in rights],
    }
    return HttpResponse(200, msgspec.json.encode(body))


def roles(api: Api, http: HttpRequest) -> HttpResponse:
    """Every role with its rights and how far each reaches (SEC-15, SEC-16)."""
    with api.attempt(api.reads_log, http, "READ", "roles", ROLE) as attempt:
        api.caller(http, "accounts", attempt)
        require_only(http)
    items = [
        {"id": row.role, "title": row.title, "version": row.revision, "rights": dict(sorted(row.rights.items()))}
        for row in api.directory.roles()
    ]
    return HttpResponse(200, msgspec.json.encode({"items": items}))


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


ROLE, MESSAGE = "role", "message"


def _found(schema: dict[str, Any], *refusals: str) -> dict[str, Any]:
    """The answers of a route: what it finds, and the refusals that the document describes for all (status and name).

    An address may be too large everywhere.
    """
    refused = {one[:3]: {"$ref": f"#/components/responses/{one[4:]}"} for one in (*refusals, "413 TooLarge")}
    return {"200": {"description": "Found.", "content": {JSON: {"schema": schema}}}, **refused}


def _list_of(item: dict[str, Any]) -> dict[str, Any]:
    items = {"type": "array", "items": {"type": "object", "properties": item}}
    return {"type": "object", "properties": {"items": items}}


TEXT = {"type": "string"}

ME: dict[str, Any] = {
    "operationId": "me",
    "tags": ["access"],
    "summary": "Who one is, what one may do, and the menu of it",
    "description": "The caller's rights with how far each reaches, and the menu entries they show (SEC-17).",
    "x-permission": PASSWORD,
    "responses": _found(
        {
            "type": "object",
            "properties": {
                "id": {"type": ["string", "null"], "format": "uuid"},
                "name": TEXT,
                "roles": {"type": "array", "items": TEXT},
                "must_change_password": {"type": "boolean"},
                "rights": {
                    "type": "object",
                    "additionalProperties": {"type": "array", "items": {"type": "string", "enum": list(DATA_SCOPES)}},
                },
                "menu": {
                    "type": "array",
                    "items": {"type": "object", "properties": dict.fromkeys(("name", "path", "right", "system"), TEXT)},
                },
            },
        },
        "401 Unauthenticated",
    ),
}

ROLE_LIST: dict[str, Any] = {
    "operationId": "roles",
    "tags": ["access"],
    "summary": "Every role with its rights and how far each reaches",
    "description": "Every role with its rights and how far each reaches (SEC-15, SEC-16).",
    "x-permission": "accounts",
    "responses": _found(
        _list_of(
            {
                "id": TEXT,
                "title": TEXT,
                "version": {"type": "integer"},
                "rights": {"type": "object", "additionalProperties": {"type": "string", "enum": list(DATA_SCOPES)}},
            }
        ),
        "401 Unauthenticated",
        "403 Forbidden",
    ),
}

MAILBOX: dict[str, Any] = {
    "operationId": "mailbox",
    "tags": ["access"],
    "summary": "The newest messages of an installation that has no provider of mail and SMS",
    "description": "Codes and notices as they would have been sent, newest first.  Each look is in the audit log.",
    "x-permission": "platform",
    "parameters": [{"name": "to", "in": "query", "schema": TEXT, "description": "one address or number"}],
    "responses": _found(
        _list_of({"how": {"type": "string", "enum": ["MAIL", "SMS"]}, "to": TEXT, "text": TEXT}),
        "400 Invalid",
        "401 Unauthenticated",
        "403 Forbidden",
    ),
}

ROUTES = (
    ServiceRoute("GET", "/me", "me", PASSWORD, me, ME, everywhere=True),
    ServiceRoute("GET", "/roles", "roles", "accounts", roles, ROLE_LIST, ROLE, everywhere=True),
    ServiceRoute("GET", "/mailbox", "mailbox", "platform", mailbox, MAILBOX, MESSAGE),
)
