"""The store in memory: for tests."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from eventsourcing.persistence import IntegrityError, StoredEvent
from eventsourcing.popo import POPOProcessRecorder

from chassis.audit.chain import START, Record
from chassis.store.recorder import read_is_old, unrepeated
from chassis.store.transaction import CommandResult, Snapshot, Transaction


class MemoryRecorder(POPOProcessRecorder):
    """In memory: for unit tests and the simulation."""

    def __init__(self) -> None:
        super().__init__()
        self.results: dict[str, CommandResult] = {}
        self.rows: dict[tuple[str, str], bytes] = {}
        self.snapshots: dict[UUID, Snapshot] = {}
        self.audit: list[Record] = []

    def _update_table(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        more: Transaction = kwargs["more"]
        for result in more.results:
            if result.command_id in self.results:
                raise IntegrityError(f"command {result.command_id} is already remembered")
        for tracking in more.reached():
            self._assert_tracking_uniqueness(tracking)
        read = {str(id) for id in more.only_read()}
        if read and any(str(stored.originator_id) in read for stored in self._stored_events[more.seen :]):
            raise read_is_old()
        last = self.audit[-1] if self.audit else Record(0, b"", START, b"")
        linked = [unrepeated(more.audit, last.digest).after(last.number, last.hash)] if more.audit else []
        positions = super()._update_table(stored_events)
        for tracking in more.reached():
            self._insert_tracking(tracking)
        self._max_tracking_ids.update(more.replaced())
        self.results.update({result.command_id: result for result in more.results})
        if more.emptied:
            self.rows = {place: body for place, body in self.rows.items() if place[0] not in more.emptied}
        if more.renamed:
            self.rows = {(more.renamed.get(name, name), key): body for (name, key), body in self.rows.items()}
        for row in more.rows:
            if row.body is None:
                self.rows.pop((row.replica, row.key), None)
            else:
                self.rows[row.replica, row.key] = row.body
        self.snapshots.update({snapshot.aggregate_id: snapshot for snapshot in more.snapshots})
        self.audit += linked
        return positions

    def audit_after(self, number: int, limit: int) -> list[Record]:
        return [record for record in self.audit if record.number > number][:limit]

    def last_audit(self) -> int:
        return self.audit[-1].number if self.audit else 0

    def has_audit(self, digest: bytes, after: int) -> bool:
        return any(record.digest == digest for record in self.audit[after:])

    def results_of(self, command_ids: Sequence[str]) -> list[CommandResult]:
        return [self.results[id] for id in command_ids if id in self.results]

    def row(self, replica: str, key: str) -> bytes | None:
        return self.rows.get((replica, key))

    def rows_at(self, replica: str, keys: Sequence[str]) -> dict[str, bytes]:
        return {key: self.rows[replica, key] for key in keys if (replica, key) in self.rows}

    def rows_with_prefix(self, replica: str, prefix: str, limit: int) -> list[bytes]:
        found = [body for (name, key), body in self.rows.items() if name == replica and key.startswith(prefix)]
        return found[:limit]

    def rows_of(self, replica: str) -> list[bytes]:
        return [body for (name, _), body in self.rows.items() if name == replica]

    def rows_after(self, replica: str, key: str, limit: int) -> list[tuple[str, bytes]]:
        found = sorted((at, body) for (name, at), body in self.rows.items() if name == replica and at > key)
        return found[:limit]

    def snapshot(self, aggregate_id: UUID) -> Snapshot | None:
        return self.snapshots.get(aggregate_id)

    def position_of(self, aggregate_id: UUID, version: int) -> int | None:
        index = self._stored_events_index[str(aggregate_id)].get(version)
        return None if index is None else index + 1

    def newest(self, name: str) -> tuple[int, int]:
        return self.max_notification_id() or 0, self.max_tracking_id(name) or 0

    def absent(self, ids: Sequence[UUID]) -> frozenset[UUID]:
        return frozenset(id for id in ids if not self._stored_events_index.get(str(id)))  # looking makes a place

    def set_position(self, name: str, position: int) -> None:
        with self._database_lock:
            self._max_tracking_ids[name] = position

    def set_position_while(self, name: str, position: int, other: str, expected: int) -> bool:
        with self._database_lock:
            if (self._max_tracking_ids.get(other) or 0) != expected:
                return False
            self._max_tracking_ids[name] = position
            return True

    def results_after(self, command_id: str, limit: int) -> list[CommandResult]:
        return [self.results[id] for id in sorted(self.results) if id > command_id][:limit]

    def forget_results(self, after: str, limit: int, before: int) -> Sequence[str]:
        found = self.results_after(after, limit)
        for result in found:
            if result.day < before:
                del self.results[result.command_id]
        return [result.command_id for result in found]

    def snapshots_after(self, aggregate_id: UUID, limit: int) -> list[Snapshot]:
        return [self.snapshots[id] for id in sorted(self.snapshots) if id > aggregate_id][:limit]
