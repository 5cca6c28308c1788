"""The errors of the specification (section 2.0) and the HTTP status of each."""

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

STATUS: dict[str, HTTPStatus] = {
    "VALIDATION": HTTPStatus.BAD_REQUEST,
    "UNAUTHENTICATED": HTTPStatus.UNAUTHORIZED,
    "FORBIDDEN": HTTPStatus.FORBIDDEN,
    "NOT_FOUND": HTTPStatus.NOT_FOUND,
    "METHOD_NOT_ALLOWED": HTTPStatus.METHOD_NOT_ALLOWED,
    "INVALID_STATE": HTTPStatus.CONFLICT,
    "ALREADY_DECIDED": HTTPStatus.CONFLICT,
    "ALREADY_CLAIMED": HTTPStatus.CONFLICT,
    "CLAIM_LIMIT": HTTPStatus.CONFLICT,
    "DUPLICATE": HTTPStatus.CONFLICT,
    "KEY_REUSED": HTTPStatus.CONFLICT,
    "VERSION_CONFLICT": HTTPStatus.CONFLICT,
    "LEAD_CONVERTED": HTTPStatus.CONFLICT,
    "INSUFFICIENT_STOCK": HTTPStatus.CONFLICT,
    "TOO_LARGE": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "FILE_TYPE": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "RATE_LIMITED": HTTPStatus.TOO_MANY_REQUESTS,
    "OVERLOADED": HTTPStatus.SERVICE_UNAVAILABLE,
    "UNAVAILABLE": HTTPStatus.SERVICE_UNAVAILABLE,
    "SYNC_FAILED": HTTPStatus.BAD_GATEWAY,
    "INTERNAL": HTTPStatus.INTERNAL_SERVER_ERROR,
}


class Portable(Exception):
    """An error that says more than its text, and comes whole out of another process.

    Python would make it anew by its `__init__` with the text alone.  Where that takes something else it fails, and with
    it whatever waits for that process.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _as_it_was, (type(self), self.args), self.__dict__


def _as_it_was(cls: type[Portable], args: tuple[Any, ...]) -> Portable:
    return cls.__new__(cls, *args)


class Refused(Portable):
    """A command or query is refused; it changed nothing.

    `code` is one of `STATUS`; `message` tells a person what is wrong and the way out; `field` names the field at
    fault (dotted for nested ones) or `state` the state the record is in; `fields` holds several field errors.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        field: str | None = None,
        state: str | None = None,
        fields: dict[str, list[str]] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.state = state
        self.fields = fields or {}

    def problem(self) -> dict[str, object]:
        """The RFC 9457 problem document of this refusal."""
        body: dict[str, object] = {
            "type": f"urn:salestream:error:{self.code}",
            "title": self.code.replace("_", " ").capitalize(),
            "status": int(STATUS[self.code]),
            "code": self.code,
            "detail": self.message,
        }
        if self.field is not None:
            body["field"] = self.field
        if self.state is not None:
            body["state"] = self.state
        if self.fields:
            body["errors"] = [{"field": name, "messages": texts} for name, texts in sorted(self.fields.items())]
        return body


def not_found(what: str, field: str, always: Iterable[str] = ()) -> Refused:
    """The refusal for an id that names nothing; `always` are the names of the records that are there by themselves."""
    verb = "are" if what.endswith("s") else "is"
    there = f"; there always are {names}" if (names := ", ".join(sorted(always))) else ""
    return Refused("NOT_FOUND", f"There {verb} no such {what}{there}.", field=field)


SHOWN_ROLES = 12
"""So many roles a message names at most."""


def lacks_right(right: str, roles: Sequence[str], field: str | None = None) -> Refused:
    """The refusal for want of a right, of a `field` that alone needs it; `roles`: the titles of those that hold it."""
    more = ["others"] if len(roles) > SHOWN_ROLES else []
    holders = f"held by: {', '.join([*roles[:SHOWN_ROLES], *more])}" if roles else "no role holds it"
    if field:
        message = f"{field}: giving it needs the right {right}; {holders}.  Leave it out."
        return Refused("FORBIDDEN", message, field=field)
    return Refused("FORBIDDEN", f"Your roles do not hold the right {right}; {holders}.", state=right)


def invalid_state(message: str, state: str) -> Refused:
    """The refusal for a command that the record's state does not allow."""
    return Refused("INVALID_STATE", message, state=state)
