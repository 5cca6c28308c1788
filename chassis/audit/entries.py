"""What the audit log holds of one act, and how it is encoded: once, as an array, for the fields never change place."""

from datetime import datetime
from functools import cache
from hashlib import sha256
from typing import Any, Literal, NamedTuple, get_type_hints
from uuid import UUID

import msgspec

from contracts.declare import KEPT, REGISTRY
from contracts.errors import Refused
from contracts.personal import is_unlogged, plan_of, sealed, texts_of, without_persons
from contracts.schemas import decode, plain
from contracts.types import SecretField

DONE = "DONE"
REPEATED = "REPEATED"  # the command had been done before under its Idempotency-Key; nothing happened
HAPPENED = frozenset({DONE, REPEATED})
INTERNAL = "INTERNAL"
FIELDS_LIMIT = 16_384
WITHHELD = "***"
TEXT_LIMIT = 500

Id = Any
"""A UUID or text.  It is read back as text; writing a UUID as it is saves making text of it first."""
EntryKind = Literal["COMMAND", "READ", "EXPORT"]

ACTIONS, OBJECT_KINDS = "actions", "kinds of object"
"""What entries tell of, by which they are found: names that the edge knows (`chassis.http.serving`)."""


class CallOrigin(msgspec.Struct, frozen=True, gc=False):
    """Where an act came from: the client's address, the sign-in, and whether a machine account acted."""

    address: str = ""
    session_id: str = ""
    machine: bool = False


NOWHERE = CallOrigin()


class AuditedChange(NamedTuple):
    """A record that an act changed: its versions before and after."""

    aggregate_id: UUID
    before: int
    after: int


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One act.  Stored as an array: new fields go to the end and have a default.

    `result` is DONE, REPEATED or the code of the refusal; `field` the field or state it named, `detail` its message.
    `fields` is what was asked for, as JSON, without secrets.  What it changed is told by versions: before and after
    are worked out from the events when somebody looks.
    """

    at: datetime
    kind: EntryKind
    action: str
    result: str
    user_id: Id = ""
    user: str = ""
    session_id: str = ""
    machine: bool = False
    address: str = ""
    object_kind: str = ""
    object_id: Id = ""
    command_id: str = ""
    correlation_id: str = ""
    field: str = ""
    detail: str = ""
    fields: msgspec.Raw = msgspec.Raw(b"{}")
    changes: tuple[AuditedChange, ...] = ()

    def encode(self) -> bytes:
        """Its canonical form: what is stored and hashed."""
        return _encoder.encode(self)


_encoder = msgspec.json.Encoder()


def decode_entries(body: bytes) -> list[Entry]:
    """Raises msgspec.DecodeError or ValidationError."""
    return decode(list[Entry], body)


@cache
def left_out(cls: Any) -> frozenset[str]:
    """The fields of a contract of which no entry tells: those declared `Secret` or `Unlogged`."""
    hints = get_type_hints(cls, include_extras=True)
    return frozenset(name for name, hint in hints.items() if _is_secret(hint) or is_unlogged(hint))


def _is_secret(hint: Any) -> bool:
    inner = (*getattr(hint, "__metadata__", ()), *getattr(hint, "__args__", ()))
    return hint is SecretField or any(_is_secret(part) for part in inner)


def fields_of(command: Any, encoded: bytes | None = None, *, refused: bool = False) -> msgspec.Raw:
    """What a command asks for, without secrets and what is `Unlogged`; of a very long one only length and digest.

    What tells of a person is sealed.  Of one that was `refused` it is left out: the record that it names may never
    come to be, and what is sealed with a key of that id could not be erased with the person.  `encoded` is the
    command's JSON, not sealed, where it has been made already.
    """
    kind: Any = type(command)
    shown = without_persons(command, WITHHELD) if refused else sealed(command, blank=True)
    if secret := left_out(kind):
        known = {name: getattr(shown, name) for name in command.__dataclass_fields__ if name not in secret}
        known = {name: value for name, value in known.items() if value is not KEPT}
        body = msgspec.json.encode(known)
    else:
        body = plain(shown) if encoded is None or plan_of(kind) else encoded
    if len(body) > FIELDS_LIMIT:
        body = msgspec.json.encode({"bytes": len(body), "sha256": sha256(body).hexdigest()})
    return msgspec.Raw(body)


def detail_of(refusal: Refused, command: Any) -> str:
    """What a refusal says, without what it tells of a person: that would be readable after they were erased.

    It may repeat what the command gives, and tell what stands in a record that the command only names
    (`contracts.reasons.OfPerson`).
    """
    text = refusal.why.without_persons(WITHHELD)
    for told in sorted(set(texts_of(command)), key=len, reverse=True):
        text = text.replace(told, WITHHELD)
    return text[:TEXT_LIMIT]


@cache
def object_kind(cls: Any) -> str:
    """The kind of record a command is about: its key field's name (order_id: order)."""
    return REGISTRY.command_of(cls).key.removesuffix("_id")


def object_id(command: Any) -> Id:
    return getattr(command, REGISTRY.command_of(type(command)).key)


def at_fault(refusal: Refused) -> str:
    """The field, or else the state, that a refusal names."""
    return (refusal.field or refusal.state or "")[:TEXT_LIMIT]
