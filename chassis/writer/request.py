"""A command on its way through the writer, what tells repeats of it, and its answer."""

import re
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec

from chassis.audit.entries import (
    HAPPENED,
    NOWHERE,
    AuditedChange,
    CallOrigin,
    Entry,
    at_fault,
    detail_of,
    fields_of,
    object_id,
    object_kind,
)
from chassis.foundation.compression import Damaged, packed, unpacked
from chassis.model.context import Context
from chassis.store.events import Metadata
from contracts import personal
from contracts.declare import REGISTRY, CommandSpec
from contracts.errors import Refused
from contracts.people import Person
from contracts.personal import open_text, plan_of, seal_text
from contracts.schemas import decode, plain


class EventAt(msgspec.Struct, frozen=True):
    """Where an event stands: enough to find its position and its Kafka partition again."""

    key: str
    aggregate_id: UUID
    version: int


class Answer(msgspec.Struct, frozen=True):
    """The result of a command that was carried out.

    `body` holds id, version and what the aggregate tells; `last` the newest event of each record it changed, and
    `positions` their positions in the service's log (known only after the commit, so not remembered).
    """

    service: str
    body: dict[str, Any]
    last: tuple[EventAt, ...] = ()
    positions: tuple[int, ...] = ()


ALWAYS = ("id", "version")
"""What every answer tells."""
MOST_EVENTS = 2**63
"""No version of a record is as high: stores can't hold it."""
_PRINT = re.compile("[0-9a-f]{64}")


def require_print(fingerprint: object) -> None:
    """Raises Damaged for what is no mark of a command: what is remembered under it is of nobody knows which."""
    if not (isinstance(fingerprint, str) and _PRINT.fullmatch(fingerprint)):
        raise Damaged("its fingerprint is none")


REPLY = "reply"
"""What of an answer tells of a person is sealed under this name."""


def kept_answer(answer: Answer, command: Any) -> bytes:
    """The answer as it is remembered: of a command that tells of a person, what an aggregate tells is sealed."""
    plan = plan_of(type(command))
    person = getattr(command, plan.person, None) if plan else None
    if isinstance(person, UUID) and (told := {name: answer.body[name] for name in answer.body if name not in ALWAYS}):
        text = seal_text(person, msgspec.json.encode(told).decode(), REPLY)
        body = {**{name: answer.body[name] for name in ALWAYS}, REPLY: {"person": str(person), "text": text}}
        answer = msgspec.structs.replace(answer, body=body)
    return packed(msgspec.json.encode(answer))


def remembered_answer(reply: object) -> Answer:
    """The answer that is remembered of a command, as it is stored; without what was told of a person who was erased.

    Raises Damaged.
    """
    try:
        answer = decode(Answer, unpacked(reply))
        if isinstance(kept := answer.body.pop(REPLY, None), dict):
            told = open_text(UUID(kept["person"]), kept["text"], REPLY)
            answer.body.update(msgspec.json.decode(told or "{}"))
    except (personal.Damaged, KeyError, ValueError, AttributeError) as error:
        raise Damaged(f"it is no answer: {error}") from error
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Damaged(f"it is no answer: {error}") from error
    if not (isinstance(answer.body.get("id"), str) and isinstance(answer.body.get("version"), int)):
        raise Damaged("it is no answer: it tells of no record")
    if not all(0 < event.version < MOST_EVENTS for event in answer.last):
        raise Damaged("it is no answer: it tells of no event")
    return answer


def print_of(name: str, content: bytes) -> str:
    """A mark of a command: its name and content."""
    return sha256(name.encode() + content).hexdigest()


def made_id(spec: CommandSpec, command_id: str) -> UUID:
    """The id of the record that a command with an Idempotency-Key creates, where its caller names none.

    A key tells the commands of its sender apart within a service.  Ids tell records apart everywhere.
    """
    named = uuid5(NAMESPACE_URL, f"salestream:made:{command_id}:{spec.service}:{spec.name}")
    return UUID(bytes=named.bytes, version=4)


@dataclass
class Request:
    """A command on its way through the writer.

    `command_id` identifies it for ever; `remember` keeps its result under that id for a time (an Idempotency-Key, or a
    command of the saga).  `expected_version` is the caller's If-Match.  `prepared` is what was worked out before;
    `sent_print` is of what was sent: by it a repeat is known, whatever was filled in since (`print_of`).
    `secret_print` tells commands apart that differ in what ended before the writer (a password).  `is_named` is one
    whose id is made of what it is for, as a saga's: whatever bears that id is this command, however a later release
    writes it.  `is_repeat` is known with the answer: it was done before, and nothing has happened now.  `origin` and
    `person` are for the audit log: where it came from, and who it is about while nobody has signed in.
    """

    command: Any
    context: Context
    command_id: str
    remember: bool = False
    expected_version: int | None = None
    correlation_id: str = ""
    causation_id: str = ""
    traceparent: str = ""
    prepared: Any = None
    sent_print: str = ""
    secret_print: str = ""
    is_named: bool = False
    origin: CallOrigin = NOWHERE
    person: Person | None = None
    attempts: int = 0
    is_repeat: bool = False
    future: "Future[Answer]" = field(default_factory=Future)

    @property
    def name(self) -> str:
        return type(self.command).__name__

    @cached_property
    def encoded(self) -> bytes:
        """Its JSON, not sealed: sealed it is another one each time."""
        return plain(self.command)

    def fingerprint(self) -> str:
        """What is remembered of the command, to tell a repeat from another one."""
        return self.secret_print or self.sent_print or self._whole_print()

    def is_remembered_as(self, fingerprint: str) -> bool:
        """Whether this is that command.  Former releases remembered the command as it was carried out."""
        if self.is_named or fingerprint == self.fingerprint():
            return True
        return not self.secret_print and fingerprint in (self._whole_print(), self._former_print())

    def _whole_print(self) -> str:
        return print_of(self.name, self.encoded)

    def _former_print(self) -> str | None:
        """The mark of the command as those releases carried it out that made the record's id of the key alone."""
        spec = REGISTRY.command_of(type(self.command))
        try:
            key = UUID(self.command_id)
        except ValueError:  # the command came from a service, not with a key
            return None
        if not (spec.creates and self.remember and getattr(self.command, spec.key) == made_id(spec, self.command_id)):
            return None
        id = UUID(bytes=key.bytes, version=4)
        return print_of(self.name, plain(replace(self.command, **{spec.key: id})))

    def entry(self, result: str, refusal: Refused | None = None, changes: Iterable[AuditedChange] = ()) -> bytes:
        """The audit entry of this command, encoded."""
        kind: Any = type(self.command)
        user, origin = self.person or self.context.user, self.origin
        return Entry(
            at=self.context.now,
            kind="COMMAND",
            action=kind.__name__,
            result=result,
            user_id=user.user_id or "",
            user=user.name,
            session_id=origin.session_id,
            machine=origin.machine,
            address=origin.address,
            object_kind=object_kind(kind),
            object_id=object_id(self.command),
            command_id=self.command_id,
            correlation_id=self.correlation_id or self.command_id,
            field=at_fault(refusal) if refusal else "",
            detail=detail_of(refusal, self.command) if refusal else "",
            fields=fields_of(self.command, self.encoded, refused=result not in HAPPENED),
            changes=tuple(changes),
        ).encode()

    def meta(self) -> bytes:
        return msgspec.json.encode(
            Metadata(
                at=self.context.now,
                command_id=self.command_id,
                correlation_id=self.correlation_id or self.command_id,
                causation_id=self.causation_id or self.command_id,
                user_id=str(self.context.user.user_id or ""),
                user=self.context.user.name,
                traceparent=self.traceparent,
                day=self.context.today,
            )
        )
