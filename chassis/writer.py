"""The single writer of a service: commands run one after another and are committed together (group commit).

Callers put requests into a queue; the writer takes whatever is there, runs each command on cached aggregates, stores
what all of them recorded in one transaction and only then answers.  It never waits for more: a lone command is not
delayed.  When a commit fails, the cache entries are dropped and the commands are run again one by one, so one bad
command can't harm its neighbours.
"""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from typing import Any, Protocol, TypeVar, cast
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec
import structlog
from eventsourcing.persistence import PersistenceError

from chassis.audit.chain import NewRecord
from chassis.audit.entries import (
    DONE,
    INTERNAL,
    NOWHERE,
    REPEATED,
    TEXT_LIMIT,
    Change,
    Entry,
    Origin,
    at_fault,
    fields_of,
    object_id,
    object_kind,
)
from chassis.foundation import metrics
from chassis.foundation.health import Pulse, Serving
from chassis.foundation.limits import MAX_EVENT_BYTES, MAX_FOLLOWING_BYTES
from chassis.model.aggregates import Aggregate
from chassis.model.context import Context
from chassis.model.identity import Named, RecordId, record_id, stream_id
from chassis.model.service import Replica, Service
from chassis.store.event_store import Conflict, EventStore
from chassis.store.events import Meta, Notification, Recorded, Unreadable, recorded
from chassis.store.transaction import CommandResult, ReplicaRow, Transaction, snapshot_of
from contracts.declare import REGISTRY, CommandSpec
from contracts.errors import Refused, invalid_state, not_found
from contracts.ids import RANDOM_UUIDS
from contracts.people import Person
from contracts.schemas import decode, encode

A = TypeVar("A", bound=Aggregate)
R = TypeVar("R")

log = structlog.get_logger()

MAX_BATCH = 500
CACHE_SIZE = 5_000
ROWS = 10_000
ATTEMPTS = 5
OTHERS = 1_000
MAX_NOTES = 5_000  # audit entries of refusals and reads that may wait for a commit
NOTES_PER_COMMIT = 500
NOTES_WAIT_SECONDS = 0.05
NOTES_RETRY_SECONDS = 1.0
LEARNED = "replicas"  # the name under which the store counts changes of replica rows
NEWS = "news"  # and changes of those that a listener takes over
NUMBERS = "numbers:"  # before the name of a series: where the store keeps the last number given
UNREACHABLE = "The event store can't be reached; nothing was changed."


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

    `command_id` identifies it for ever; `remember` keeps its result under that id (an Idempotency-Key, or a command
    of the saga).  `expected_version` is the caller's If-Match.  `prepared` is what was worked out before;
    `sent_print` is of what was sent: by it a repeat is known, whatever was filled in since (`print_of`).
    `secret_print` tells commands apart that differ in what ended before the writer (a password).  `is_repeat` is known
    with the answer: it was done before, and nothing has happened now.  `origin`
    and `person` are for the audit log: where it came from, and who it is about while nobody has signed in.
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
    origin: Origin = NOWHERE
    person: Person | None = None
    attempts: int = 0
    is_repeat: bool = False
    future: "Future[Answer]" = field(default_factory=Future)

    @property
    def name(self) -> str:
        return type(self.command).__name__

    @cached_property
    def encoded(self) -> bytes:
        return encode(self.command)

    def fingerprint(self) -> str:
        """What is remembered of the command, to tell a repeat from another one."""
        return self.secret_print or self.sent_print or self._whole_print()

    def is_remembered_as(self, fingerprint: str) -> bool:
        """Whether this is that command.  Former releases remembered the command as it was carried out."""
        if fingerprint == self.fingerprint():
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
        return print_of(self.name, encode(replace(self.command, **{spec.key: id})))

    def entry(self, result: str, refusal: Refused | None = None, changes: Iterable[Change] = ()) -> bytes:
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
            detail=refusal.message[:TEXT_LIMIT] if refusal else "",
            fields=fields_of(self.command, self.encoded),
            changes=tuple(changes),
        ).encode()

    def meta(self) -> bytes:
        return msgspec.json.encode(
            Meta(
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


class AggregateCache:
    """The aggregates used last, as they are in the store, and ids known to name none of a kind."""

    def __init__(self, size: int = CACHE_SIZE) -> None:
        self._size = size
        self._held: OrderedDict[UUID, Aggregate] = OrderedDict()
        self._absent: dict[UUID, set[type]] = {}

    def note_absent(self, cls: type, id: UUID) -> None:
        if len(self._absent) >= self._size:
            self._absent.clear()
        self._absent.setdefault(id, set()).add(cls)

    def is_absent(self, cls: type, id: UUID) -> bool:
        return cls in self._absent.get(id, ())

    def clear(self) -> None:
        self._held.clear()
        self._absent.clear()

    def get(self, id: UUID) -> Aggregate | None:
        found = self._held.get(id)
        if found is not None:
            self._held.move_to_end(id)
        return found

    def put(self, aggregate: Aggregate) -> None:
        self._absent.pop(aggregate.id, None)
        self._held[aggregate.id] = aggregate
        self._held.move_to_end(aggregate.id)
        if len(self._held) > self._size:
            self._held.popitem(last=False)

    def evict(self, ids: Iterable[UUID]) -> None:
        for id in ids:
            self._held.pop(id, None)
            self._absent.pop(id, None)


class RowCache:
    """Replica rows used last, decoded (None: known to be absent).  The writer keeps it as fresh as the store."""

    def __init__(self, store: EventStore, size: int = ROWS) -> None:
        self._store = store
        self._size = size
        self._held: dict[tuple[str, str], Any] = {}

    def get(self, replica: Replica[R], key: str) -> R | None:
        place = (replica.name, key)
        if place in self._held:
            return cast("R | None", self._held[place])
        body = self._store.row(replica.name, key)
        row = None if body is None else decode(replica.row, body)
        if len(self._held) >= self._size:
            self._held.clear()
        self._held[place] = row
        return row

    def evict(self, places: Iterable[tuple[str, str]]) -> None:
        for place in places:
            self._held.pop(place, None)

    def clear(self) -> None:
        self._held.clear()


class Batch:
    """The commands of one commit: what they recorded so far, on aggregates they share."""

    def __init__(
        self,
        store: EventStore,
        cache: AggregateCache,
        rows: RowCache,
        remembered: Mapping[str, CommandResult],
    ) -> None:
        self.store = store
        self.cache = cache
        self.rows = rows
        self.remembered = remembered
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

    def __init__(self, batch: Batch, request: Request) -> None:
        self._batch = batch
        self._request = request
        self._used: dict[RecordId, Aggregate] = {}
        self._numbers: dict[str, range] = {}  # given in this batch, of the series that this command uses
        self._key = REGISTRY.command_of(type(request.command)).key
        self._named = record_id(self._key, getattr(request.command, self._key))
        self._guarded = self._named if request.expected_version is not None else None

    @property
    def context(self) -> Context:
        return self._request.context

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
            raise Refused("DUPLICATE", f"This id is taken; choose another one for the new {what}.", field=field)
        return self._start(cls, id)

    def find_or_new(self, cls: type[A], id: RecordId) -> A:
        found = self.find(cls, id)
        if found is None and self._is_taken(stream_id(id)):
            field = self._key if id == self._named else None
            raise Refused("DUPLICATE", "This id is taken by a record of another kind.", field=field)
        return found or self._start(cls, id)

    def _is_taken(self, id: UUID) -> bool:
        return id in self._used or self._batch.is_taken(id)

    def _start(self, cls: type[A], id: RecordId) -> A:
        aggregate = cls(id=stream_id(id))
        self._used[id] = aggregate
        self._check_version(aggregate, id)
        return aggregate

    def lookup(self, replica: Replica[R], key: UUID | str) -> R | None:
        return self._batch.rows.get(replica, str(key))

    def has_any(self, replica: Replica[R], prefix: str) -> bool:
        return bool(self._batch.store.rows_with_prefix(replica.name, prefix, 1))

    def next_number(self, series: str) -> int:
        name = f"{NUMBERS}{series}"
        given = self._numbers.get(name) or self._batch.numbers(name)
        self._numbers[name] = range(given.start, given.stop + 1)
        return given.stop

    def _check_reach(self, aggregate: Aggregate, id: RecordId) -> None:
        """The record a command names must be of somebody whom the caller's right reaches (SEC-18)."""
        if id == self._named and not aggregate.is_reached(self.context):
            raise Refused("FORBIDDEN", "Your rights do not reach the records of this owner.", field=self._key)

    def _check_version(self, aggregate: Aggregate, id: RecordId) -> None:
        if id != self._guarded:
            return
        self._guarded = None
        expected = self._request.expected_version
        if expected is not None and not aggregate.is_as_seen(expected):
            raise Refused(
                "VERSION_CONFLICT",
                f"The record is at version {aggregate.version}, you changed version {expected}: read it again.",
                field="If-Match",
                state=str(aggregate.version),
            )

    def roll_back(self) -> None:
        """Forget what this command recorded: a half-changed aggregate leaves the cache and is read again."""
        self._batch.cache.evict(used.id for used in self._used.values() if used.pending)

    def finish(self, aggregate: Aggregate) -> tuple[Answer, list[Change]]:
        """Add what the command recorded to the batch's transaction; returns the answer and what changed."""
        batch, request = self._batch, self._request
        if self._guarded is not None:
            raise Refused("VALIDATION", "This command takes no If-Match.", field="If-Match")
        last: list[EventAt] = []
        changes: list[Change] = []
        events: list[Recorded] = []
        changed = [used for used in self._used.values() if used.pending]
        meta = request.meta() if changed else b""
        from_outside = REGISTRY.command_of(type(request.command)).is_public
        longest = MAX_EVENT_BYTES if from_outside else MAX_FOLLOWING_BYTES
        for used in changed:
            first = used.version - len(used.pending) + 1
            own = [recorded(used.id, first + n, fact, meta, longest) for n, fact in enumerate(used.pending)]
            events += own
            changes.append(Change(used.id, first - 1, used.version))
            if public := [event for event in own if event.key]:
                newest = public[-1]
                last.append(EventAt(newest.key, used.id, newest.originator_version))
        key_value = getattr(request.command, REGISTRY.command_of(type(request.command)).key)
        body = {"id": str(key_value), "version": aggregate.version, **aggregate.reply()}
        answer = Answer(service=batch.store.name, body=body, last=tuple(last))
        reply = msgspec.json.encode(answer) if request.remember else b""
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
            batch.transaction.results.append(CommandResult(request.command_id, fingerprint, reply))
        batch.answers.append((request, answer))
        return answer, changes


def _wants_snapshot(aggregate: Aggregate) -> bool:
    """Whether what is pending brings the aggregate past a multiple of its snapshot interval."""
    every = aggregate.snapshot_every
    return every > 0 and aggregate.version // every > (aggregate.version - len(aggregate.pending)) // every


class Listener(Protocol):
    """Who is told, before any answer, what a writer stores, learns, or finds stored by another process."""

    def tell(self, facts: Iterable[Any]) -> None: ...

    def hear(self, events: Iterable[Notification]) -> None: ...

    @property
    def replicas(self) -> Collection[str]:
        """The replicas whose rows it takes over with `load`."""

    def load(self, store: EventStore) -> None: ...


def unreadable(damage: Unreadable) -> Refused:
    """The refusal of a command on a record whose history is damaged."""
    text = (
        f"The history of the record {damage.aggregate_id} is damaged; nothing was changed. An operator must restore it."
    )
    return invalid_state(text, "DAMAGED")


def key_reused() -> Refused:
    """The refusal of another command under a key that was used."""
    text = "This Idempotency-Key was used for another command: take a new key."
    return Refused("KEY_REUSED", text, field="Idempotency-Key")


class Writer:
    """The single writer of one service.  `start()` runs it in a thread of its own (a greenlet under eventlet).

    The thread survives whatever a command, the store or the log does; should it end all the same, `failed` is told.
    """

    def __init__(
        self,
        service: Service,
        store: EventStore,
        *,
        max_queue: int = 2_000,
        listener: Listener | None = None,
        failed: Callable[[str], None] = lambda name: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.service = service
        self.store = store
        self._listener = listener
        self._cache = AggregateCache()
        self._rows = RowCache(store)
        self._seen, self._learned = store.newest(LEARNED)
        self._news = store.position(NEWS) or 0
        self._stale_rows: deque[tuple[str, str]] = deque()
        self._max_queue = max_queue
        self._queue: deque[Request] = deque()
        self._notes: deque[bytes] = deque()
        self._notes_wait = NOTES_WAIT_SECONDS
        self._wake = threading.Condition()
        self._stopping = False
        self._failed = failed
        self._thread: Serving | None = None
        self._pulse = Pulse(clock=clock)
        self._works = False

    def problem(self) -> str | None:
        """Why commands are not carried out (`chassis.foundation.health`)."""
        if self._thread is not None and not self._stopping and (ended := self._thread.problem()):
            return ended
        return self._pulse.problem() if self._works or self._queue else None

    # -- callers

    def submit(self, request: Request) -> "Future[Answer]":
        """Queue a command.  Raises Refused OVERLOADED, before anything is stored, when too many wait."""
        self.submit_all([request])
        return request.future

    def submit_all(self, requests: Sequence[Request]) -> None:
        """Queue commands so that they stay in order and, as far as possible, in one commit."""
        with self._wake:
            if self._stopping:
                raise Refused("UNAVAILABLE", "The service is stopping; try again in a moment.")
            if len(self._queue) + len(requests) > max(self._max_queue, len(requests)):
                raise Refused("OVERLOADED", "Too many commands are waiting; try again in a second.")
            if not (self._queue or self._works):
                self._pulse.beat()
            self._queue.extend(requests)
            self._wake.notify()
        metrics.of(metrics.QUEUE, self.service.name).set(len(self._queue))

    def note(self, entry: Entry) -> None:
        """Write an entry into the audit log that no command of this writer makes: a refusal at the edge, a read.

        Nobody waits for it: it goes along with the next commit, or alone after a moment, many at once.  So a flood of
        refusals costs the commands little; beyond `MAX_NOTES` waiting ones it is counted and dropped.
        """
        encoded = entry.encode()
        with self._wake:
            room = len(self._notes) < MAX_NOTES and not self._stopping
            if room:
                self._notes.append(encoded)
                self._wake.notify()
        if not room:
            metrics.of(metrics.AUDIT_DROPPED, self.service.name).inc()

    # -- the thread

    def start(self) -> None:
        self._thread = Serving(f"writer-{self.service.name}", self._run, self._failed)
        self._thread.start()

    def stop(self) -> None:
        """Carry out what is queued, write down what is noted, then end."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread:
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not (self._queue or self._stopping):
                    if not self._notes:
                        self._wake.wait()
                    elif not self._wake.wait_for(lambda: self._queue or self._stopping, self._notes_wait):
                        break
                if self._stopping and not (self._queue or self._notes):
                    return
                batch = [self._queue.popleft() for _ in range(min(len(self._queue), MAX_BATCH))]
                self._works = True
            self.execute(batch)
            self._works = False
            self._pulse.beat()

    # -- the work

    def execute(self, requests: Sequence[Request]) -> None:
        """Carry out these commands in one commit, with what is noted for the audit log, and settle their futures.

        Never raises.
        """
        try:
            self._carry_out(requests)
        except Exception as error:  # a mistake of ours: it may cost these commands, not the writer
            log.exception("writer failed", service=self.service.name, commands=len(requests))
            self._cache.clear()
            for request in requests:
                self._fail(request, error)

    def _carry_out(self, requests: Sequence[Request]) -> None:
        metrics.of(metrics.BATCH, self.service.name).observe(len(requests))
        notes = self._take_notes()
        try:
            self._notice_others()
            batch = Batch(
                self.store,
                self._cache,
                self._rows,
                self.store.results([request.command_id for request in requests if request.remember]),
            )
            batch.absent = self.store.absent(_new_ids(requests))
        except Exception as error:
            log.error("store unreachable", service=self.service.name, commands=len(requests), error=repr(error))
            self._put_back(notes)
            for request in requests:
                self._fail(request, Refused("UNAVAILABLE", UNREACHABLE))
            return
        try:
            for request in requests:
                self._decide(batch, request)
            if entries := [*notes, *batch.entries]:
                batch.transaction.audit = NewRecord.of(entries)
            with metrics.of(metrics.COMMIT_SECONDS, self.service.name).time():
                positions = self._commit(batch.transaction)
        except Exception as error:  # whatever the database says: one by one tells which command it was
            self._cache.evict(batch.touched)
            self._after_failure(requests, batch, error, notes)
        else:
            self._notes_wait = NOTES_WAIT_SECONDS
            self._settle(batch, positions)

    def _take_notes(self) -> list[bytes]:
        with self._wake:
            return [self._notes.popleft() for _ in range(min(len(self._notes), NOTES_PER_COMMIT))]

    def _put_back(self, notes: Sequence[bytes]) -> None:
        """Keep what could not be written down for a later commit; a service that stops has none."""
        if not notes:
            return
        self._notes_wait = NOTES_RETRY_SECONDS
        with self._wake:
            kept = notes if not self._stopping else ()
            self._notes.extendleft(reversed(kept))
        metrics.of(metrics.AUDIT_DROPPED, self.service.name).inc(len(notes) - len(kept))

    def _notice_others(self) -> None:
        """Forget what has changed since: by another process, or replica rows by `learn`.

        Cached aggregates that a command only reads, and rows, would grow stale otherwise.
        """
        newest, learned = self.store.newest(LEARNED)
        if learned != self._learned:
            self._learned = learned
            self._rows.clear()
        while self._stale_rows:
            self._rows.evict([self._stale_rows.popleft()])
        while self._seen < newest:
            others = self.store.notifications(self._seen, OTHERS, self._damaged)
            self._cache.evict(event.aggregate_id for event in others)
            if self._listener is not None:
                self._listener.hear(others)
            self._seen = others[-1].position if others else newest

    def _commit(self, transaction: Transaction) -> list[int]:
        if not (transaction.events or transaction.results or transaction.audit):
            return []
        positions = self.store.commit(transaction)
        if positions and positions[0] == self._seen + 1:
            self._seen = positions[-1]
        return positions

    def _decide(self, batch: Batch, request: Request) -> None:
        work = UnitOfWork(batch, request)
        try:
            if request.remember and self._answer_repeat(batch, request):
                batch.entries.append(request.entry(REPEATED))
                return
            answer, changes = work.finish(self.service.commands[type(request.command)](request.command, work))
        except Refused as refusal:
            work.roll_back()
            batch.refusals.append((request, refusal))
            batch.entries.append(request.entry(refusal.code, refusal))
        except Unreadable as damage:
            work.roll_back()
            self._damaged(damage)
            damaged = unreadable(damage)
            batch.refusals.append((request, damaged))
            batch.entries.append(request.entry(damaged.code, damaged))
        except PersistenceError as error:
            work.roll_back()
            log.error("store unreachable", service=self.service.name, command=request.name, error=repr(error))
            batch.refusals.append((request, Refused("UNAVAILABLE", UNREACHABLE)))
        except Exception as error:
            work.roll_back()
            log.exception("command failed", command=request.name, command_id=request.command_id)
            batch.refusals.append((request, error))
            batch.entries.append(request.entry(INTERNAL))
        else:
            around = self.service.around.get(type(request.command))
            refusal_told = around.refuses(answer.body) if around else None
            batch.entries.append(request.entry(refusal_told.code if refusal_told else DONE, refusal_told, changes))

    def _damaged(self, damage: Unreadable) -> None:
        log.error("stored event unreadable", service=self.service.name, error=str(damage))

    def _answer_repeat(self, batch: Batch, request: Request) -> bool:
        earlier = batch.by_id.get(request.command_id)
        if earlier is None:
            result = batch.remembered.get(request.command_id)
            if result is None:
                return False
            earlier = self._told(result)
        fingerprint, answer = earlier
        if not request.is_remembered_as(fingerprint):
            raise key_reused()
        request.is_repeat = True
        batch.answers.append((request, answer))
        return True

    def remembered(self, command_id: str, fingerprint: str) -> Answer | None:
        """The answer that is remembered of a command.  Raises Refused KEY_REUSED when that was another one."""
        result = self.store.results([command_id]).get(command_id)
        if result is None:
            return None
        if result.fingerprint != fingerprint:
            raise key_reused()
        return self._told(result)[1]

    def _told(self, result: CommandResult) -> tuple[str, Answer]:
        """Fingerprint and answer of a remembered command, with the positions of its events."""
        answer = decode(Answer, result.reply)
        where = (self.store.position_of(at.aggregate_id, at.version) or 0 for at in answer.last)
        return result.fingerprint, msgspec.structs.replace(answer, positions=tuple(where))

    def _settle(self, batch: Batch, positions: list[int]) -> None:
        """Tell what came of it.  All of it is stored: nothing from here on may keep anybody from the right answer."""
        self._tell(batch, positions)
        for request, refusal in batch.refusals:
            self._fail(request, refusal)
        where = {
            (event.originator_id, event.originator_version): position
            for event, position in zip(batch.transaction.events, positions, strict=True)
        }
        for request, answer in batch.answers:
            found = answer.positions or tuple(where.get((at.aggregate_id, at.version), 0) for at in answer.last)
            metrics.of(metrics.COMMANDS, self.service.name, request.name, "ok").inc()
            with suppress(InvalidStateError):  # it is told already
                request.future.set_result(msgspec.structs.replace(answer, positions=found))

    def _tell(self, batch: Batch, positions: list[int]) -> None:
        """Tell the listener; one that fails is told again, out of the log, before the next commands."""
        if self._listener is None:
            return
        try:
            for facts in batch.recorded.values():
                self._listener.tell(facts)
        except Exception:
            log.exception("listener failed", service=self.service.name)
            self._seen = min([self._seen, *(position - 1 for position in positions if position)])

    def _after_failure(
        self, requests: Sequence[Request], batch: Batch, error: Exception, notes: Sequence[bytes]
    ) -> None:
        try:
            if isinstance(error, Conflict) and self._is_stored(batch):
                self._settle(batch, self._positions_of(batch))
                return
        except PersistenceError as unreachable:
            error = unreachable
        self._put_back(notes)
        if isinstance(error, PersistenceError) and not isinstance(error, Conflict):
            log.error("commit failed", service=self.service.name, commands=len(requests), error=repr(error))
            for request in requests:
                self._fail(request, Refused("UNAVAILABLE", "The event store can't be reached; repeat the command."))
        elif len(requests) > 1:
            log.warning("commit failed, retrying one by one", service=self.service.name, error=repr(error))
            for request in requests:
                self.execute([request])
        elif isinstance(error, Conflict) and requests:
            self._retry(requests[0])
        else:
            log.error("commit failed", service=self.service.name, error=repr(error))
            for request in requests:
                self._fail(request, error)

    def _retry(self, request: Request) -> None:
        """Another writer was first: run the command again on what is stored now."""
        metrics.of(metrics.CONFLICTS, self.service.name).inc()
        request.attempts += 1
        if request.attempts < ATTEMPTS:
            self.execute([request])
        else:
            self._fail(request, Refused("OVERLOADED", "Others changed the record at the same time; try again."))

    def _is_stored(self, batch: Batch) -> bool:
        """Whether the store already holds this very batch: the reply to its COMMIT was lost on the way (fault 6).

        Its audit record tells of each command in it, and is stored with what they did or not at all.
        """
        audit = batch.transaction.audit
        return audit is not None and self.store.has_audit(audit.digest)

    def _positions_of(self, batch: Batch) -> list[int]:
        """Where the events of a batch stand that is stored; 0 where the store does not say so now."""
        try:
            return [
                self.store.position_of(event.originator_id, event.originator_version) or 0
                for event in batch.transaction.events
            ]
        except Exception as error:
            log.error("positions unknown", service=self.service.name, error=repr(error))
            return [0] * len(batch.transaction.events)

    def _fail(self, request: Request, error: Exception) -> None:
        code = error.code if isinstance(error, Refused) else "INTERNAL"
        metrics.of(metrics.COMMANDS, self.service.name, request.name, code).inc()
        with suppress(InvalidStateError):  # it is told already
            request.future.set_exception(error)

    # -- replicas

    def learn(self, facts: Sequence[Any], positions: dict[str, int], skipped: Sequence[ReplicaRow] = ()) -> None:
        """Feed the replicas with facts and save the positions consumed, in one transaction.  Raises Conflict.

        `skipped` are rows about records that were set aside: they belong to the positions.
        """
        rows: dict[tuple[str, str], ReplicaRow] = {}
        for fact in facts:
            for replica in self.service.replicas:
                feed = replica.feeds.get(type(fact))
                if feed is None:
                    continue
                for key in replica.keys_of(fact):
                    held = rows.get((replica.name, key))
                    body = held.body if held else self.store.row(replica.name, key)
                    row = feed(None if body is None else decode(replica.row, body), fact)
                    rows[replica.name, key] = ReplicaRow(replica.name, key, None if row is None else encode(row))
        if not rows:
            if positions or skipped:
                self.store.commit(Transaction(rows=list(skipped), positions=positions))
            return
        counts = {LEARNED: (self.store.position(LEARNED) or 0) + 1}
        if self._listener is not None and not {name for name, _ in rows}.isdisjoint(self._listener.replicas):
            counts[NEWS] = (self.store.position(NEWS) or 0) + 1
        self.store.commit(Transaction(rows=[*rows.values(), *skipped], positions={**positions, **counts}))
        self._stale_rows.extend(rows)
        if counts[LEARNED] == self._learned + 1:  # else another process learned too, and all rows may be stale
            self._learned += 1
        if self._listener is not None:
            self._listener.tell(facts)
            if counts.get(NEWS) == self._news + 1:
                self._news += 1

    def learn_of_others(self) -> None:
        """Have the listener take over what is stored and it was not told.

        Another process of the service has learned it, or this one has and the reply to its COMMIT was lost.
        """
        if self._listener is not None and (news := self.store.position(NEWS) or 0) != self._news:
            self._listener.load(self.store)
            self._news = news


def _new_ids(requests: Sequence[Request]) -> list[UUID]:
    """The ids under which these commands create records."""
    found = []
    for request in requests:
        spec = REGISTRY.command_of(type(request.command))
        if spec.creates:
            found.append(stream_id(record_id(spec.key, getattr(request.command, spec.key))))
    return found
