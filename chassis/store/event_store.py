"""The event store of one service: the `eventsourcing` library's recorders with what a command also leaves behind.

One transaction holds the events, the remembered result of the command (idempotency), the rows of replicas, the
positions consumed, snapshots, and the audit record of the commit, which is linked to the one before it inside the
transaction (ADR 0018).  The three recorders (SQLite, PostgreSQL, memory) are extended at the hook the
library offers for this, `_insert_events`.  A stored event is `{"data": <contract JSON>, "meta": {...}}` under its
contract type, packed, so the relay publishes the very JSON that was stored.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from eventsourcing.persistence import IntegrityError, ProcessRecorder

from chassis.audit.chain import Record
from chassis.foundation.compression import Damaged
from chassis.model.aggregates import Aggregate
from chassis.model.identity import Named, RecordId
from chassis.store.doorbell import Doorbell, NoBell
from chassis.store.events import (
    ContractMapper,
    Metadata,
    Notification,
    Unreadable,
    metadata_of,
    notification_of,
)
from chassis.store.publishing_lock import NoLock, PublishingLock
from chassis.store.recorder import Recorder
from chassis.store.transaction import CommandResult, Snapshot, Transaction, schema_fingerprint
from contracts import personal
from contracts.schemas import decode

A = TypeVar("A", bound=Aggregate)

Conflict = IntegrityError
UNREADABLE = (msgspec.DecodeError, Damaged, personal.Damaged)
RECENT_RECORDS = 1_000
KEYS_AT_ONCE = 1_000


# -- the store ----------------------------------------------------------------------------------------------------


class EventStore:
    """The store of one service.  Thread-safe; conflicts show as `Conflict`."""

    def __init__(
        self,
        name: str,
        recorder: ProcessRecorder,
        bell: Doorbell | None = None,
        publishing: PublishingLock | None = None,
    ) -> None:
        self.name = name
        self.recorder = recorder
        self.bell = bell or NoBell()
        self.publishing = publishing or NoLock()
        self._more: Recorder = recorder  # type: ignore[assignment]
        self._mapper = ContractMapper()

    def commit(self, transaction: Transaction) -> list[int]:
        """Store everything or nothing; returns the position of each event.  Raises Conflict."""
        stored = [self._mapper.to_stored_event(event) for event in transaction.events]
        try:
            personal.settle()
        except personal.KeyTaken as error:
            raise Conflict(str(error)) from error
        positions = list(self.recorder.insert_events(stored, more=transaction) or ())
        if stored:
            self.bell.ring()
        return positions

    def load(self, cls: type[A], id: RecordId) -> A | None:
        """Read an aggregate from its newest usable snapshot and the events after it; None when there is no such one."""
        if isinstance(id, Named):
            return self._load(cls, id.id) or self._load(cls, id.earlier)
        return self._load(cls, id)

    def _load(self, cls: type[A], aggregate_id: UUID) -> A | None:
        aggregate: A | None = None
        if cls.snapshot_every:
            snapshot = self._more.snapshot(aggregate_id)
            if snapshot and snapshot.schema == schema_fingerprint(cls):
                aggregate = decode(cls, snapshot.state, aggregate_id)
        for fact in self.facts(aggregate_id, after=aggregate.version if aggregate else 0):
            if aggregate is None:
                if type(fact) not in cls.appliers:
                    return None  # the id names a record of another kind
                aggregate = cls(id=aggregate_id)
            aggregate.apply(fact)
        return aggregate

    def facts(self, aggregate_id: UUID, *, after: int = 0) -> Iterator[Any]:
        """The facts of one stream in order, from version `after` + 1 on.  Raises Unreadable."""
        for stored in self.recorder.select_events(aggregate_id, gt=after or None):
            try:
                fact = self._mapper.to_domain_event(stored)
            except UNREADABLE as error:
                raise Unreadable(aggregate_id, stored.originator_version, error) from error
            yield fact

    def meta_at(self, aggregate_id: UUID, version: int) -> Metadata | None:
        """The metadata of one event, or None.  Raises Unreadable."""
        for stored in self.recorder.select_events(aggregate_id, gt=version - 1, lte=version):
            try:
                return metadata_of(stored.state)
            except UNREADABLE as error:
                raise Unreadable(aggregate_id, version, error) from error
        return None

    def notifications(
        self,
        after: int,
        limit: int,
        unreadable: Callable[[Unreadable], None] | None = None,
        types: Sequence[str] = (),
    ) -> list[Notification]:
        """The service's events in the order of the log, from position `after` + 1 on: those of some types, or all.

        Raises Unreadable, or tells `unreadable` of it and leaves the event out.
        """
        found = []
        for stored in self.recorder.select_notifications(after, limit, topics=types, inclusive_of_start=False):
            try:
                found.append(notification_of(stored))
            except UNREADABLE as error:
                damage = Unreadable(stored.originator_id, stored.originator_version, error)  # type: ignore[arg-type]
                if unreadable is None:
                    raise damage from error
                unreadable(damage)
        return found

    def last_position(self) -> int:
        """The position of the newest event; 0 when there is none."""
        return self.recorder.max_notification_id() or 0

    def newest(self, name: str) -> tuple[int, int]:
        """The position of the newest event and how far `name` has got, in one look; 0 for what there is not."""
        return self._more.newest(name)

    def absent(self, ids: Sequence[UUID]) -> frozenset[UUID]:
        """Those of these ids that name no stream yet."""
        return self._more.absent(ids) if ids else frozenset()

    def position(self, name: str) -> int | None:
        """How far `name` (a relay, a consumed partition) has got."""
        return self.recorder.max_tracking_id(name)

    def set_position(self, name: str, position: int) -> None:
        """Save a position by itself, also backwards: for the relay, which may publish twice but never skip."""
        self._more.set_position(name, position)

    def set_position_while(self, name: str, position: int, other: str, expected: int) -> bool:
        """Save a position only while another one (0: there is none) is what is expected; whether it was saved."""
        return self._more.set_position_while(name, position, other, expected)

    def position_of(self, aggregate_id: UUID, version: int) -> int | None:
        return self._more.position_of(aggregate_id, version)

    def results(self, command_ids: Sequence[str]) -> dict[str, CommandResult]:
        """What is remembered of these commands."""
        return {result.command_id: result for result in self._more.results_of(command_ids)} if command_ids else {}

    def results_after(self, command_id: str, limit: int) -> list[CommandResult]:
        """The remembered results beyond this command's, by id."""
        return self._more.results_after(command_id, limit)

    def forget_results(self, after: str, limit: int, before: int) -> Sequence[str]:
        """Look at so many remembered results beyond a command's, and forget those of days `before` that one.

        Returns whose they were, by id, also those that are kept.
        """
        return self._more.forget_results(after, limit, before)

    def snapshots_after(self, aggregate_id: UUID | None, limit: int) -> list[Snapshot]:
        """The snapshots beyond this aggregate's (None: from the first), by id."""
        return self._more.snapshots_after(aggregate_id or UUID(int=0), limit)

    def audit_after(self, number: int, limit: int) -> list[Record]:
        """The audit records in order, from `number` + 1 on."""
        return self._more.audit_after(number, limit)

    def last_audit(self) -> int:
        """The number of the newest audit record; 0 when there is none."""
        return self._more.last_audit()

    def has_audit(self, digest: bytes) -> bool:
        """Whether a record was stored a short time ago, and its transaction with it."""
        return self._more.has_audit(digest, max(0, self._more.last_audit() - RECENT_RECORDS))

    def row(self, replica: str, key: str) -> bytes | None:
        return self._more.row(replica, key)

    def rows_at(self, replica: str, keys: Sequence[str]) -> dict[str, bytes]:
        """Those of some rows that there are, by key."""
        found: dict[str, bytes] = {}
        for at in range(0, len(keys), KEYS_AT_ONCE):
            found |= self._more.rows_at(replica, keys[at : at + KEYS_AT_ONCE])
        return found

    def rows_with_prefix(self, replica: str, prefix: str, limit: int = 100) -> list[bytes]:
        return self._more.rows_with_prefix(replica, prefix, limit)

    def rows(self, replica: str) -> list[bytes]:
        """All rows of a replica."""
        return self._more.rows_of(replica)

    def rows_after(self, replica: str, key: str, limit: int) -> list[tuple[str, bytes]]:
        """The next rows of a replica after a key, with theirs, in the order of keys."""
        return self._more.rows_after(replica, key, limit)

    def close(self) -> None:
        self.publishing.release()
        datastore = getattr(self.recorder, "datastore", None)
        if datastore is not None:
            datastore.close()
