"""Sagas: processes over several services, declared as steps with their compensation and kept as event streams.

A saga reacts to facts: the fact a step waits for ends the step and enters the next, which sends its command; a fact
that says a step failed sends the failure's command and waits for a retry; a fact that calls the whole thing off undoes
the steps that were begun, last first.  State, outgoing commands and consumed positions are one transaction.  Commands
carry ids made from the process, the step and the attempt, so receivers do each once however often it is sent.
"""

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import structlog

from chassis.foundation import metrics
from chassis.foundation.limits import MAX_FOLLOWING_BYTES
from chassis.foundation.transient import is_transient
from chassis.messaging.consumer import Fenced
from chassis.messaging.progress import Progress, StoredProgress
from chassis.messaging.records import Incoming, PoisonRecord
from chassis.model.saga import Process, Saga
from chassis.store.event_store import Conflict, EventStore
from chassis.store.events import Metadata, Recorded, recorded
from chassis.store.transaction import ReplicaRow, Transaction
from chassis.writer.caches import AggregateCache
from contracts.declare import REGISTRY
from contracts.schemas import decode

log = structlog.get_logger()

WAITING = "waiting"


class WaitingRow(msgspec.Struct, frozen=True):
    """The durable time limit of a process that waits for a service."""

    process_id: UUID
    until: datetime


class SagaRunner:
    """Runs a saga on its own event store (a `chassis.messaging.consumer.RecordHandler`)."""

    def __init__(
        self,
        saga: Saga[Any],
        store: EventStore,
        *,
        timeout: timedelta = timedelta(seconds=30),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.group = saga.group
        self._saga = saga
        self._store = store
        self._timeout = timeout
        self._clock = clock
        self._cache = AggregateCache()
        self._progress: StoredProgress | None = None
        self._limits: dict[UUID, datetime] = {}
        self._due: list[tuple[datetime, UUID]] = []

    def topics(self) -> Sequence[str]:
        return sorted({REGISTRY.event_of(fact).topic for fact in self._saga.facts()})

    def wanted(self) -> Mapping[str, type]:
        return {REGISTRY.event_of(fact).name: fact for fact in self._saga.facts()}

    def offsets(self, sources: Sequence[str]) -> Mapping[str, int]:
        if self._progress is None:
            progress = StoredProgress(self._store, self.group, sources)
            self._cache.clear()
            self._load_limits()
            self._progress = progress
        return self._progress.progress.offsets

    def progress(self, topic: str) -> Sequence[Progress]:
        assert self._progress is not None, "offsets() first"
        return [self._progress.progress]

    def process(self, records: Sequence[Incoming]) -> None:
        assert self._progress is not None, "offsets() first"
        after = self._progress.branch()
        with self._all_or_nothing() as turn:
            for record in records:
                if not after.accept(record):
                    continue
                process = self._process(self._saga.key_of(record.fact), turn)
                try:
                    self._saga.react(process, record.fact)
                except Exception as error:  # reactions are pure: what fails once fails always
                    raise PoisonRecord(f"saga {self._saga.name}: {type(error).__name__}: {error}") from error
                self._collect(turn, process, record)
                if record.at:
                    age = max(0.0, (self._clock() - record.at).total_seconds())
                    metrics.of(metrics.SAGA_AGE, self._saga.name).observe(age)
            self._commit(turn, after)
        self.idle()

    def forget(self) -> None:
        self._progress = None

    def is_current(self) -> bool:
        return self._progress is None or self._progress.is_current()

    def idle(self) -> None:
        """Let the time limits that have passed fire."""
        assert self._progress is not None, "offsets() first"
        now = self._clock()
        with self._all_or_nothing() as turn:
            while self._due and self._due[0][0] <= now:
                until, id = heapq.heappop(self._due)
                if self._limits.get(id) != until:
                    continue  # the process has moved on since
                self._fire(id, turn)
            if turn.events:
                log.warning("saga steps repeated", saga=self._saga.name, processes=len(turn.touched))
                self._commit(turn, self._progress.branch())

    # -- inside

    def _fire(self, id: UUID, turn: "_Turn") -> None:
        """The time limit of one process has passed.  One that can't even be told so is left to people."""
        try:
            process = self._process(id, turn)
            waited = self._saga.waits_for_service(process)
            self._saga.timed_out(process)
            if waited and self._saga.needs_attention(process):
                metrics.of(metrics.SAGA_ATTENTION, self._saga.name).inc()
            self._collect(turn, process, None)
        except Exception as error:
            if is_transient(error):
                raise
            log.error("saga step can't be repeated", saga=self._saga.name, process=str(id), error=repr(error))
            metrics.of(metrics.SAGA_ATTENTION, self._saga.name).inc()
            self._cache.evict({id})
            self._limits.pop(id, None)

    @contextmanager
    def _all_or_nothing(self) -> Iterator["_Turn"]:
        """Work in memory on what is stored at the end; when that fails, memory is as if nothing had happened."""
        turn = _Turn()
        try:
            yield turn
        except PoisonRecord:  # the others of the batch are tried again at once, one by one
            self._cache.evict(turn.touched)
            raise
        except Exception:  # whether it is stored or not, nobody knows: `offsets` reads everything again
            self._progress = None
            raise

    def _process(self, id: UUID, turn: "_Turn") -> Process:
        process = self._cache.get(id)
        if process is None:
            process = self._store.load(Process, id) or Process(id=id)
            self._cache.put(process)
        assert isinstance(process, Process)
        turn.touched.add(id)
        return process

    def _collect(self, turn: "_Turn", process: Process, cause: Incoming | None) -> None:
        if not process.pending:
            return
        meta = msgspec.json.encode(
            Metadata(
                at=self._clock(),
                command_id=cause.id if cause else f"timeout/{process.id}/{process.version}",
                correlation_id=cause.correlation_id if cause else str(process.id),
                causation_id=cause.id if cause else "",
                traceparent=cause.headers.get("ce_traceparent", "") if cause else "",
            )
        )
        first = process.version - len(process.pending) + 1
        turn.events += [
            recorded(process.id, first + n, fact, meta, MAX_FOLLOWING_BYTES) for n, fact in enumerate(process.pending)
        ]
        process.pending.clear()
        turn.limits[process.id] = self._clock() + self._timeout if self._saga.waits_for_service(process) else None

    def _commit(self, turn: "_Turn", after: Progress) -> None:
        assert self._progress is not None
        rows = [
            ReplicaRow(WAITING, str(id), None if limit is None else msgspec.json.encode(WaitingRow(id, limit)))
            for id, limit in turn.limits.items()
        ]
        rows += self._progress.skipped(after)
        try:
            self._store.commit(Transaction(events=turn.events, rows=rows, positions=self._progress.changes(after)))
        except Conflict as error:
            raise Fenced("another saga process") from error
        self._progress.adopt(after)
        for id, limit in turn.limits.items():
            self._limit(id, limit)

    def _limit(self, id: UUID, limit: datetime | None) -> None:
        if limit is None:
            self._limits.pop(id, None)
        else:
            self._limits[id] = limit
            heapq.heappush(self._due, (limit, id))

    def _load_limits(self) -> None:
        self._limits, self._due = {}, []
        for body in self._store.rows(WAITING):
            row = decode(WaitingRow, body)
            self._limit(row.process_id, row.until)


@dataclass
class _Turn:
    """What a batch of facts, or of time limits, means: to be stored together."""

    events: list[Recorded] = field(default_factory=list)
    limits: dict[UUID, datetime | None] = field(default_factory=dict)  # the last of a batch counts
    touched: set[UUID] = field(default_factory=set)
