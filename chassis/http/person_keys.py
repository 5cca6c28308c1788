"""Serving the keys of persons to programs that may read persons from the event topics (CPL-01)."""

import base64
from uuid import UUID

import msgspec

from chassis.http.edge import Api
from chassis.http.messages import HttpRequest, HttpResponse, Serve
from chassis.http.requests import key_of as path_key
from chassis.http.requests import require_only
from chassis.http.routes import OPERATED_ON
from contracts.errors import not_found
from contracts.operations import PLATFORM_OPERATIONS
from contracts.personal import Damaged, key_of


class PersonKeys:
    """Hands out the key of a person to who may have it, and has it noted."""

    def __init__(self, api: Api) -> None:
        self._api = api
        [self._operation] = [one for one in PLATFORM_OPERATIONS if one.name == "person_key"]

    def serving(self) -> dict[str, Serve]:
        return {self._operation.name: self._serve}

    def _serve(self, http: HttpRequest) -> HttpResponse:
        api, id = self._api, path_key(http)
        *_, of_person = OPERATED_ON
        with api.attempt(api.reads_log, http, "READ", self._operation.name, of_person, id) as attempt:
            api.caller(http, self._operation.permission, attempt)
            require_only(http)
            key = _found(id)
            attempt.note()
        told = None if key is None else base64.urlsafe_b64encode(key).decode().rstrip("=")
        return HttpResponse(200, msgspec.json.encode({"person_id": id, "key": told}))


def _found(id: str) -> bytes | None:
    """The key of a person; None when it was destroyed.  Raises Refused NOT_FOUND where nothing was ever known."""
    try:
        return key_of(UUID(id))
    except (Damaged, ValueError) as error:
        raise not_found("person", "person_id") from error
