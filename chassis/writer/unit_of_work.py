"""What commands have recorded until their commit."""

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from itertools import chain, islice
from typing import Any, TypeVar
from uuid import UUID

from chassis.audit.entries import AuditedChange
from chassis.foundation.limits import (
    MAX_EVENT_BYTES,
    MAX_FOLLOWING_BYTES,
    MAX_RECORDED_AFTER_BYTES,
    MAX_RECORDED_BYTES,
)
from chassis.model.aggregates import Aggregate
from chassis.model.context import Context
from chassis.model.identity import Named, RecordId, record_id, stream_id
from chassis.model.records import Record
from chassis.model.service import Parents, Replica
from chassis.store.event_store import EventStore
from chassis.store.events import Recorded, recorded
from chassis.store.transaction import CommandResult, Transaction, snapshot_of
from chassis.writer.caches import AggregateCache, RowCache
from chassis.writer.earlier_values import EarlierValues
from chassis.writer.request import Answer, EventAt, Request, kept_answer
from contracts.custom_fields import CustomField
from contracts.declare import REGISTRY
from contracts.errors import Refused, not_found
from contracts.ids import RANDOM_UUIDS
from contracts.people import Person
from contracts.personal import is_erased
from contracts.schemas import decode

A = TypeVar("A", bound=Aggregate)
R = TypeVar("R")

NUMBERS = "numbers:"  # before the name of a series: where the store keeps the last number given


class Batch:
    """The commands of one commit: what they recorded so far, on aggregates they share."""

    def __init__(
        self,
        store: EventStore,
        cache: AggregateCache,
        rows: RowCache,
        remembered: Mapping[str, CommandResult],
        day: int = 0,
        *,
        earlier: EarlierValues | None = None,
    ) -> None:
        self.earlier = earlier or EarlierValues(store)
        self.store = store
        self.cache = cache
        self.rows = rows
        self.remembered = remembered
        self.day = day  # with which results are remembered
        self.absent: frozenset[UUID] = frozenset()  # ids for new records that the store does not hold
        self.transaction = Transaction()
        self.answers: list[tuple[Request, Answer]] = []
        self.refusals: list[tuple[Request, Exception]] = []  # told after the commit: a neighbour may be their reason
        self.by_id: dict[str, tuple[str, Answer]] = {}
        self.recorded: dict[UUID, list[Any]] = {}
        self.entries: list[bytes] = []  # of the audit log

    def aggregate(self, cls: type[A], id: RecordId) -> A | None:
        if isinstance(id, Named):
            return self._aggregate(cls, id.id) or self._aggregate(cls, id.earlier)
        return self._aggregate(cls, id)

    def _aggregate(self, cls: type[A], id: UUID) -> A | None:
        self.transaction.read.add(id)
        cached = self.cache.get(id)
        if cached is None and not self.cache.is_absent(cls, id):
            cached = None if id in self.absent else self.store.load(cls, id)
            for fact in self.recorded.get(id, ()):
                cached = cached or cls(id=id)
                cached.apply(fact)
            if cached is not None:
                self.cache.put(cached)
            else:
                self.cache.note_absent(cls, id)
        if cached is not None and not isinstance(cached, cls):
            return None
        return cached

    def is_taken(self, id: UUID) -> bool:
        """Whether an id names a record, of whatever kind.  Derived ids name one kind only, and are not looked up."""
        if id in self.recorded or self.cache.get(id) is not None:
            return True
        return id.version in RANDOM_UUIDS and id not in self.absent and not self.store.absent([id])

    def numbers(self, name: str) -> range:
        """The numbers of a series that this batch has given; an empty range before the next one while it gave none."""
        if name in self.transaction.numbers:
            return self.transaction.numbers[name]
        first = (self.store.position(name) or 0) + 1
        return range(first, first)

    @property
    def touched(self) -> set[UUID]:
        return set(self.recorded)


class UnitOfWork:
    """One command's view of the batch (see `chassis.model.service.Work`)."""

    def __init__(self, batch: Batch, request: Request, parents: Parents) -> None:
        """`parents` tell whose a record is that is reached through another one."""
        self._batch = batch
        self._request = request
        self._context = request.context
        self._parents = parents
        self._used: dict[RecordId, Aggregate] = {}
        self._numbers: dict[str, range] = {}  # given in this batch, of the series that this command uses
        spec = REGISTRY.command_of(type(request.command))
        self._key = spec.key
        self._named = record_id(self._key, getattr(request.command, self._key))
        is_matched = request.expected_version is not None
        self._guarded = self._named if is_matched and spec.versioned else None
        self._takes_no_match = is_matched and not spec.versioned

    @property
    def context(self) -> Context:
        return self._context

    def on_behalf_of(self, person: Person, right: str) -> "UnitOfWork":
        found = copy(self)  # with what this one has loaded and recorded: what it adds is added here
        found._context = self._context.on_behalf_of(person, right)
        return found

    @property
    def prepared(self) -> Any:
        return self._request.prepared

    def find(self, cls: type[A], id: RecordId) -> A | None:
        used = self._used.get(id)
        if isinstance(used, cls):
            return used
        aggregate = self._batch.aggregate(cls, id)
        if aggregate is not None:
            self._used[id] = aggregate
            if isinstance(aggregate, Record) and aggregate.kind.reached_through:
                aggregate.reach_through(self._parents.whose(aggregate, self))
            if isinstance(aggregate, Record) and aggregate.merged_into is not None:
                aggregate.go_with(self.get(type(aggregate), aggregate.merged_into, what=aggregate.kind.what, field=""))
            self._check_reach(aggregate, id)
            self._check_version(aggregate, id)
        return aggregate

    def get(self, cls: type[A], id: RecordId, *, what: str, field: str) -> A:
        aggregate = self.find(cls, id)
        if aggregate is None:
            raise not_found(what, field)
        return aggregate

    def new(self, cls: type[A], id: UUID, *, what: str, field: str) -> A:
        if self._is_taken(id) or self._batch.aggregate(cls, id) is not None:
            raise Refused("records.id_taken", kind=what, field=field)
        return self._start(cls, id)

    def find_or_new(self, cls: type[A], id: RecordId) -> A:
        found = self.find(cls, id)
        if found is None and self._is_taken(stream_id(id)):
            field = self._key if id == self._named else None
            raise Refused("records.id_of_another_kind", field=field)
        return found or self._start(cls, id)

    def _is_taken(self, id: UUID) -> bool:
        return id in self._used or self._batch.is_taken(id)

    def _start(self, cls: type[A], id: RecordId) -> A:
        aggregate = cls(id=stream_id(id))
        self._used[id] = aggregate
        self._check_version(aggregate, id)
        return aggregate

    def earlier(self, cls: type[A], id: UUID, version: int) -> A:
        aggregate = cls(id=id)
        facts = chain(self._batch.store.facts(id), self._batch.recorded.get(id, ()))
        for fact in islice(facts, version):
            aggregate.apply(fact)
        return aggregate

    def had_earlier(self, cls: type[Record], field: CustomField, ids: Sequence[UUID]) -> list[UUID]:
        return self._batch.earlier.holders(cls, field, ids)

    def is_erased(self, person: UUID) -> bool:
        return is_erased(person)

    def lookup(self, replica: Replica[R], key: UUID | str) -> R | None:
        return self._batch.rows.get(replica, str(key))

    def has_any(self, replica: Replica[R], prefix: str) -> bool:
        return bool(self._batch.store.rows_with_prefix(replica.name, prefix, 1))

    def rows_with_prefix(self, replica: Replica[R], prefix: str) -> Iterator[R]:
        return (decode(replica.row, body) for body in self._batch.store.rows_with_prefix(replica.name, prefix))

    def rows(self, replica: Replica[R]) -> Iterator[R]:
        return (decode(replica.row, body) for body in self._batch.store.rows(replica.name))

    def rows_after(self, replica: Replica[R], key: str, limit: int) -> list[tuple[str, R]]:
        rows = self._batch.store.rows_after(replica.name, key, limit)
        return [(found, decode(replica.row, body)) for found, body in rows]

    def next_number(self, series: str) -> int:
        name = f"{NUMBERS}{series}"
        given = self._numbers.get(name) or self._batch.numbers(name)
        self._numbers[name] = range(given.start, given.stop + 1)
        return given.stop

    def _check_reach(self, aggregate: Aggregate, id: RecordId) -> None:
        """The record a command names must be of somebody whom the caller's right reaches (SEC-18), and seen by them.

        What only services command is none of what people see.
        """
        if id != self._named:
            return
        if not aggregate.is_reached(self.context, type(self._request.command)):
            raise Refused("records.out_of_reach", field=self._key)
        if REGISTRY.command_of(type(self._request.command)).is_public:
            aggregate.require_sight(self.context)

    def _check_version(self, aggregate: Aggregate, id: RecordId) -> None:
        if id != self._guarded:
            return
        self._guarded = None
        if REGISTRY.command_of(type(self._request.command)).creates:
            raise Refused("records.no_version_yet", field="If-Match")
        expected = self._request.expected_version
        if expected is not None and not aggregate.is_as_seen(expected):
            raise Refused(
                "records.changed_meanwhile",
                current=aggregate.told_version,
                expected=expected,
                field="If-Match",
                state=str(aggregate.told_version),
            )

    def roll_back(self) -> None:
        """Forget what this command recorded: a half-changed aggregate leaves the cache and is read again."""
        self._batch.cache.evict(used.id for used in self._used.values() if used.pending)

    def take_back(self) -> list[Any]:
        found = [fact for used in self._used.values() for fact in used.pending]
        self.roll_back()
        self._used = {id: used for id, used in self._used.items() if not used.pending}
        self._numbers.clear()
        return found

    def finish(self, aggregate: Aggregate) -> tuple[Answer, list[AuditedChange]]:
        """Add what the command recorded to the batch's transaction; returns the answer and what changed."""
        batch, request = self._batch, self._request
        if self._guarded is not None or self._takes_no_match:
            raise Refused("records.no_if_match", field="If-Match")
        last: list[EventAt] = []
        changes: list[AuditedChange] = []
        events: list[Recorded] = []
        changed = [used for used in self._used.values() if used.pending]
        meta = request.meta() if changed else b""
        from_outside = REGISTRY.command_of(type(request.command)).is_public
        longest = MAX_EVENT_BYTES if from_outside else MAX_FOLLOWING_BYTES
        most = MAX_RECORDED_BYTES if from_outside else MAX_RECORDED_AFTER_BYTES
        for used in changed:
            first = used.version - len(used.pending) + 1
            own = [recorded(used.id, first + n, fact, meta, longest) for n, fact in enumerate(used.pending)]
            events += own
            changes.append(AuditedChange(used.id, first - 1, used.version))
            if public := [event for event in own if event.key]:
                newest = public[-1]
                last.append(EventAt(newest.key, used.id, newest.originator_version))
        if (size := sum(len(event.data) for event in events)) > most:
            raise Refused("records.too_much_at_once", size=size, count=len(events), most=most)
        key_value = getattr(request.command, REGISTRY.command_of(type(request.command)).key)
        named = self._used.get(self._named, aggregate)  # what it changed may be another record
        body = {"id": str(key_value), "version": named.told_version, **aggregate.reply_to(self.context)}
        answer = Answer(service=batch.store.name, body=body, last=tuple(last))
        reply = kept_answer(answer, request.command) if request.remember else b""
        snapshots = [snapshot_of(used) for used in changed if _wants_snapshot(used)]
        for used in changed:  # nothing is refused, and nothing fails, from here on
            batch.recorded.setdefault(used.id, []).extend(used.pending)
            used.pending.clear()
            batch.cache.put(used)
        batch.transaction.events += events
        batch.transaction.snapshots += snapshots
        batch.transaction.numbers |= self._numbers
        if request.remember:
            fingerprint = request.fingerprint()
            batch.by_id[request.command_id] = (fingerprint, answer)
            batch.transaction.results.append(CommandResult(request.command_id, fingerprint, reply, batch.day))
        batch.answers.append((request, answer))
        return answer, changes


def _wants_snapshot(aggregate: Aggregate) -> bool:
    """Whether what is pending brings the aggregate past a multiple of its snapshot interval."""
    every = aggregate.snapshot_every
    return every > 0 and aggregate.version // every > (aggregate.version - len(aggregate.pending)) // every
