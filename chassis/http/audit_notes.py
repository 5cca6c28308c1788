"""What is noted of requests that reach no writer as a command: refusals at the edge, reads of personal data, exports.

A note goes into the log of the service that was asked, or for a query into that of the access service.  Nobody waits
for it.  Two kinds of refusal are counted (metrics) and not noted: those of somebody who has shown no valid token, and
those for want of room, for a log that grows with every refusal could itself be used to fill the disk.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import msgspec

from chassis.audit.entries import (
    DONE,
    FIELDS_LIMIT,
    HAPPENED,
    INTERNAL,
    NOWHERE,
    TEXT_LIMIT,
    CallOrigin,
    Entry,
    EntryKind,
    at_fault,
    detail_of,
    fields_of,
    object_id,
)
from chassis.model.principal import Principal
from chassis.writer.writer import Writer
from contracts.errors import Refused

NOT_NOTED = frozenset({"OVERLOADED", "UNAVAILABLE"})
Parameters = Mapping[str, Sequence[str]]


def origin_of(principal: Principal, address: str) -> CallOrigin:
    """Where a caller's act comes from."""
    if principal.session_id is None and not principal.machine and not address:
        return NOWHERE
    return CallOrigin(address, str(principal.session_id or ""), principal.machine)


@dataclass
class Attempt:
    """A request until its end, or until the writer has it, which notes the rest; `with attempt: ...` notes refusals.

    `claimed` is who calls, as soon as the token is verified; `command` what is asked for, as soon as it is valid.
    """

    writer: Writer | None
    clock: Callable[[], datetime]
    kind: EntryKind
    action: str
    address: str = ""
    correlation_id: str = ""
    object_kind: str = ""
    object_id: str = ""
    query: Parameters = field(default_factory=dict)
    claimed: Principal | None = None
    command: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        if isinstance(error, Refused):
            self.refused(error)
        elif isinstance(error, Exception):
            self.note(INTERNAL)

    def refused(self, refusal: Refused) -> None:
        """Note a refusal."""
        if refusal.code not in NOT_NOTED:
            self.note(refusal.code, at_fault(refusal), detail_of(refusal, self.command))

    def note(self, result: str = DONE, field: str = "", detail: str = "") -> None:
        """Note what came of it: at the end of what is watched, so that it is noted once."""
        caller = self.claimed
        if caller is None or self.writer is None:
            return
        origin = origin_of(caller, self.address)
        self.writer.note(
            Entry(
                at=self.clock(),
                kind=self.kind,
                action=self.action,
                result=result,
                user_id=str(caller.user_id or ""),
                user=caller.name,
                session_id=origin.session_id,
                machine=origin.machine,
                address=origin.address,
                object_kind=self.object_kind,
                object_id=self.object_id[:TEXT_LIMIT] if self.command is None else object_id(self.command),
                correlation_id=self.correlation_id,
                field=field,
                detail=detail,
                fields=self._fields(result),
            )
        )

    def _fields(self, result: str) -> msgspec.Raw:
        if self.command is not None:
            return fields_of(self.command, refused=result not in HAPPENED)
        body = msgspec.json.encode(dict(self.query))
        return msgspec.Raw(body if len(body) <= FIELDS_LIMIT else b"{}")
