"""Who one is, which roles there are, and the messages of an installation without a provider of mail and SMS."""

import importlib
from pathlib import Path

import msgspec

from chassis.http.edge import Api
from chassis.http.messages import HttpRequest, HttpResponse
from chassis.http.requests import require_only
from chassis.http.routes import MAILBOX_READ, ROLES_READ
from chassis.queries.filters import single
from contracts.menus import MENU
from contracts.permissions import PASSWORD, RIGHTS

NEWEST_MESSAGES = 200


class People:
    """Serves what every process with commands can tell, for it knows people and rights."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def me(self, http: HttpRequest) -> HttpResponse:
        """Who the caller is, what they may do, and the menu entries that shows (SEC-17)."""
        caller = self._api.caller(http, PASSWORD)
        require_only(http)
        rights = {right: sorted(caller.scopes_of(right)) for right in sorted(RIGHTS) if caller.may(right)}
        body = {
            "id": caller.user_id,
            "name": caller.name,
            "roles": sorted(caller.roles),
            "must_change_password": caller.limited,
            "rights": rights,
            "menu": [entry for entry in MENU if entry.right in rights],
        }
        return HttpResponse(200, msgspec.json.encode(body))

    def roles(self, http: HttpRequest) -> HttpResponse:
        """Every role with its rights and how far each reaches (SEC-15, SEC-16)."""
        with self._api.attempt(self._api.reads_log, http, "READ", *ROLES_READ) as attempt:
            self._api.caller(http, "accounts", attempt)
            require_only(http)
        items = [
            {"id": row.role, "title": row.title, "version": row.revision, "rights": dict(sorted(row.rights.items()))}
            for row in self._api.directory.roles()
        ]
        return HttpResponse(200, msgspec.json.encode({"items": items}))

    def mailbox(self, http: HttpRequest) -> HttpResponse:
        """The newest messages, newest first, and those to one address or number with `to`; each look is noted."""
        with self._api.attempt(self._api.reads_log, http, "READ", *MAILBOX_READ) as attempt:
            attempt.query = http.query
            self._api.caller(http, "platform", attempt)
            require_only(http, "to")
            to = single("to", http.query["to"]) if "to" in http.query else None
            kept = importlib.import_module("services.access.messages").Mailbox(Path(self._api.config.mailbox_dir))
            found = kept.messages(to)[-NEWEST_MESSAGES:]
            attempt.note()
        return HttpResponse(200, msgspec.json.encode({"items": found[::-1]}))
