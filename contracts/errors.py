"""The errors of the specification (section 2.0) and the HTTP status of each."""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Self

from contracts.languages import Language
from contracts.reasons import Some, Why, given_again, reasons
from contracts.texts import texts

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

    `reason` is a key of `contracts/texts/refusals/` and has its code and its sentence there, which tells a person what
    is wrong and the way out; `params` fill its places.  `field` names the field at fault (dotted for nested ones) or
    `state` the state the record is in: both fill the places of their names too.  `fields` holds several field errors.
    As a text it is English.
    """

    def __init__(
        self,
        reason: str,
        *,
        field: str | None = None,
        state: str | None = None,
        fields: Mapping[str, Sequence[Why]] | None = None,
        **params: Any,
    ) -> None:
        places = reasons()[reason].places
        about = {name: told for name, told in (("field", field), ("state", state)) if name in places}
        self._is(Why(reason, **params, **about), field, state, fields)

    def _is(
        self, why: Why, field: str | None, state: str | None, fields: Mapping[str, Sequence[Why]] | None = None
    ) -> None:
        Exception.__init__(self, str(why))
        self.why = why
        self.code = reasons()[why.reason].code
        self.message = str(why)
        self.field = field
        self.state = state
        self.fields = dict(fields or {})

    @classmethod
    def by(
        cls,
        why: Why,
        *,
        field: str | None = None,
        state: str | None = None,
        fields: Mapping[str, Sequence[Why]] | None = None,
    ) -> Self:
        """The refusal for a reason with all its parameters."""
        made = cls.__new__(cls)
        made._is(why, field, state, fields)
        return made

    @classmethod
    def told_by(cls, problem: Mapping[str, Any]) -> Self:
        """The refusal that another process has answered, by its problem document."""
        why = given_again({"reason": problem["reason"], "params": problem["params"]})
        return cls.by(why, field=problem.get("field"), state=problem.get("state"))

    def problem(self, language: Language = "en") -> dict[str, object]:
        """The RFC 9457 problem document of this refusal, its sentences in a language."""
        body: dict[str, object] = {
            "type": f"urn:salestream:error:{self.code}",
            "title": texts("errors")[self.code].said(language),
            "status": int(STATUS[self.code]),
            "code": self.code,
            **self.why.told(),
            "detail": self.why.said(language),
        }
        if self.field is not None:
            body["field"] = self.field
        if self.state is not None:
            body["state"] = self.state
        if self.fields:
            body["errors"] = [
                {
                    "field": name,
                    "messages": [why.said(language) for why in found],
                    "reasons": [why.told() for why in found],
                }
                for name, found in sorted(self.fields.items())
            ]
        return body


def not_found(what: str, field: str, always: Iterable[str] = ()) -> Refused:
    """The refusal for an id that names nothing; `always` are the names of the records that are there by themselves."""
    if names := sorted(always):
        return Refused("records.unknown_but", kind=what, names=names, field=field)
    return Refused("records.unknown_many" if what.endswith("s") else "records.unknown", kind=what, field=field)


SHOWN_ROLES = 12
"""So many roles a message names at most."""


def lacks_right(right: str, roles: Sequence[str], field: str | None = None) -> Refused:
    """The refusal for want of a right, of a `field` that alone needs it; `roles`: the titles of those that hold it."""
    holders = Why("rights.held_by", roles=Some(roles, SHOWN_ROLES)) if roles else Why("rights.held_by_nobody")
    if field:
        return Refused("rights.field", right=right, holders=holders, field=field)
    return Refused("rights.lacking", right=right, holders=holders, state=right)
