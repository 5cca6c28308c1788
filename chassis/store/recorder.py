"""What each recorder adds to that of the library, at the hook which it offers for this: `_insert_events`."""

from collections.abc import Sequence
from typing import Any, Protocol
from uuid import UUID

from eventsourcing.persistence import IntegrityError

from chassis.audit.chain import NewRecord, Record
from chassis.store.transaction import CommandResult, Snapshot

# -- recorders ----------------------------------------------------------------------------------------------------


class Recorder(Protocol):
    """What the three recorders add to the library's process recorder."""

    def results_of(self, command_ids: Sequence[str]) -> list[CommandResult]: ...

    def row(self, replica: str, key: str) -> bytes | None: ...

    def rows_at(self, replica: str, keys: Sequence[str]) -> dict[str, bytes]: ...

    def rows_with_prefix(self, replica: str, prefix: str, limit: int) -> list[bytes]: ...

    def rows_of(self, replica: str) -> list[bytes]: ...

    def rows_after(self, replica: str, key: str, limit: int) -> list[tuple[str, bytes]]: ...

    def snapshot(self, aggregate_id: UUID) -> Snapshot | None: ...

    def position_of(self, aggregate_id: UUID, version: int) -> int | None: ...

    def newest(self, name: str) -> tuple[int, int]: ...

    def absent(self, ids: Sequence[UUID]) -> frozenset[UUID]: ...

    def set_position(self, name: str, position: int) -> None: ...

    def set_position_while(self, name: str, position: int, other: str, expected: int) -> bool: ...

    def results_after(self, command_id: str, limit: int) -> list[CommandResult]: ...

    def forget_results(self, after: str, limit: int, before: int) -> Sequence[str]: ...

    def snapshots_after(self, aggregate_id: UUID, limit: int) -> list[Snapshot]: ...

    def audit_after(self, number: int, limit: int) -> list[Record]: ...

    def last_audit(self) -> int: ...

    def has_audit(self, digest: bytes, after: int) -> bool: ...


def unrepeated(new: NewRecord, last: bytes) -> NewRecord:
    """Raises IntegrityError for a record that is the last one already: its transaction is committed (fault 6)."""
    if new.digest == last:
        raise IntegrityError("this very transaction is committed already")
    return new


def read_is_old() -> IntegrityError:
    """What is raised when another process has written to a stream that was only read."""
    return IntegrityError("another process has changed meanwhile what was decided on")


def octets(column: Any) -> bytes:
    """A column of bytes, whatever somebody has made of it."""
    return column.encode() if isinstance(column, str) else bytes(column or b"")


def prefix_end(prefix: str) -> str:
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
