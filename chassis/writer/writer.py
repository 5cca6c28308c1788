"""The single writer of a service: commands run one after another and are committed together (group commit).

Callers put requests into a queue; the writer takes whatever is there, runs each command on cached aggregates, stores
what all of them recorded in one transaction and only then answers.  It never waits for more: a lone command is not
delayed.  When a commit fails, the cache entries are dropped and the commands are run again one by one, so one bad
command can't harm its neighbours.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Any, Protocol
from uuid import UUID

import msgspec
import structlog
from eventsourcing.persistence import PersistenceError
from tenacity import Retrying, stop_after_attempt, wait_fixed

from chassis.audit.chain import NewRecord
from chassis.audit.entries import DONE, INTERNAL, REPEATED, Entry
from chassis.foundation import metrics
from chassis.foundation.compression import Damaged
from chassis.foundation.config import Config
from chassis.foundation.health import Pulse, Serving
from chassis.model.identity import record_id, stream_id
from chassis.model.service import Service
from chassis.store.event_store import Conflict, EventStore
from chassis.store.events import Notification, Unreadable
from chassis.store.transaction import CommandResult, ReplicaRow, Transaction
from chassis.writer.caches import AggregateCache, RowCache
from chassis.writer.earlier_values import EarlierValues
from chassis.writer.forgetting import Forgetting
from chassis.writer.request import Answer, Request, remembered_answer, require_print
from chassis.writer.unit_of_work import Batch, UnitOfWork
from contracts.declare import REGISTRY
from contracts.errors import Refused
from contracts.personal import person_named
from contracts.schemas import decode, encode

log = structlog.get_logger()

MAX_BATCH = 500
ATTEMPTS = 5
OTHERS = 1_000
MAX_NOTES = 5_000  # audit entries of refusals and reads that may wait for a commit
NOTES_PER_COMMIT = 500
NOTES_WAIT_SECONDS = 0.05
NOTES_RETRY_SECONDS = 1.0
LEARNED = "replicas"  # the name under which the store counts changes of replica rows
NEWS = "news"  # and changes of those that a listener takes over
POSITION_TRIES = 5
POSITION_RETRIES = Retrying(stop=stop_after_attempt(POSITION_TRIES), wait=wait_fixed(0.1), reraise=True)


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
    return Refused("system.damaged_record", record=damage.aggregate_id, state="DAMAGED")


def result_unreadable() -> Refused:
    """The refusal of a repeat of a command whose answer is damaged: it is done, and is not done again."""
    return Refused("system.damaged_answer", state="DAMAGED")


def print_unreadable() -> Refused:
    """The refusal of whatever comes under a key of which nobody knows what it was used for: a new one does it again."""
    return Refused("system.damaged_print", state="DAMAGED")


def key_reused() -> Refused:
    """The refusal of another command under a key that was used."""
    return Refused("requests.key_reused", field="Idempotency-Key")


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
        results_days: int = Config.results_days,
        listener: Listener | None = None,
        failed: Callable[[str], None] = lambda name: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.service = service
        self.store = store
        self._listener = listener
        self._cache = AggregateCache()
        self._rows = RowCache(store)
        self._earlier = EarlierValues(store)
        self._seen, self._learned = store.newest(LEARNED)
        self._news = store.position(NEWS) or 0
        self._forgetting = Forgetting(store, results_days, ticks=clock)
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
                raise Refused("system.stopping")
            if len(self._queue) + len(requests) > max(self._max_queue, len(requests)):
                raise Refused("system.too_many_commands")
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
                        if not self._wake.wait(self._forgetting.pause()):
                            break
                    elif not self._wake.wait_for(lambda: self._queue or self._stopping, self._notes_wait):
                        break
                if self._stopping and not (self._queue or self._notes):
                    return
                batch = [self._queue.popleft() for _ in range(min(len(self._queue), MAX_BATCH))]
                self._works = bool(batch or self._notes)
            if self._works:
                self.execute(batch)
                self._works = False
                self._pulse.beat()
            self._forgetting.turn()

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
                self._forgetting.day,
                earlier=self._earlier,
            )
            batch.transaction.seen = self._seen
            batch.absent = self.store.absent(_new_ids(requests))
        except Exception as error:
            log.error("store unreachable", service=self.service.name, commands=len(requests), error=repr(error))
            self._put_back(notes)
            for request in requests:
                self._fail(request, Refused("system.store_away"))
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
        work = UnitOfWork(batch, request, self.service.parents)
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
            batch.refusals.append((request, Refused("system.store_away")))
        except Exception as error:
            work.roll_back()
            log.exception("command failed", command=request.name, command_id=request.command_id)
            batch.refusals.append((request, error))
            batch.entries.append(request.entry(INTERNAL))
        else:
            middleware = self.service.middleware.get(type(request.command))
            refusal_told = middleware.refuses(answer.body) if middleware else None
            batch.entries.append(request.entry(refusal_told.code if refusal_told else DONE, refusal_told, changes))

    def _damaged(self, damage: Unreadable) -> None:
        log.error("stored event unreadable", service=self.service.name, error=str(damage))

    def _answer_repeat(self, batch: Batch, request: Request) -> bool:
        earlier = batch.by_id.get(request.command_id)
        if earlier is None:
            result = batch.remembered.get(request.command_id)
            if result is None:
                return False
            if not request.is_named:
                self._require_print(result)
            if not request.is_remembered_as(result.fingerprint):
                raise key_reused()
            earlier = result.fingerprint, self._told(result)
        fingerprint, answer = earlier
        if not request.is_remembered_as(fingerprint):
            raise key_reused()
        request.is_repeat = True
        batch.answers.append((request, answer))
        return True

    def remembered(self, command_id: str, fingerprint: str) -> Answer | None:
        """The answer that is remembered of a command.

        Raises Refused: KEY_REUSED when that was another one, INVALID_STATE when what is remembered is damaged.
        """
        result = self.store.results([command_id]).get(command_id)
        if result is None:
            return None
        self._require_print(result)
        if result.fingerprint != fingerprint:
            raise key_reused()
        return self._told(result)

    def all_remembered(self, command_ids: Sequence[str]) -> Mapping[str, Answer]:
        """The answers that are remembered of some commands, by their ids.  Raises Refused where one is damaged."""
        return {id: self._told(result) for id, result in self.store.results(command_ids).items()}

    def _told(self, result: CommandResult) -> Answer:
        """The answer of a remembered command, with the positions of its events.  Raises Refused where it is damaged."""
        try:
            answer = remembered_answer(result.reply)
        except Damaged as damage:
            self._tell_damaged(result, damage)
            raise result_unreadable() from damage
        where = (self.store.position_of(at.aggregate_id, at.version) or 0 for at in answer.last)
        return msgspec.structs.replace(answer, positions=tuple(where))

    def _require_print(self, result: CommandResult) -> None:
        """Raises Refused where nobody knows which command it is the result of."""
        try:
            require_print(result.fingerprint)
        except Damaged as damage:
            self._tell_damaged(result, damage)
            raise print_unreadable() from damage

    def _tell_damaged(self, result: CommandResult, damage: Damaged) -> None:
        log.error(
            "remembered result unreadable",
            service=self.service.name,
            command_id=result.command_id,
            error=str(damage),
        )

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
                self._fail(request, Refused("system.store_lost"))
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
            self._fail(request, Refused("system.crowded_record"))

    def _is_stored(self, batch: Batch) -> bool:
        """Whether the store already holds this very batch: the reply to its COMMIT was lost on the way (fault 6).

        Its audit record tells of each command in it, and is stored with what they did or not at all.
        """
        audit = batch.transaction.audit
        return audit is not None and self.store.has_audit(audit.digest)

    def _positions_of(self, batch: Batch) -> list[int]:
        """Where the events of a batch stand that is stored.

        Raises what the store raises when it does not say so after some tries.  Nobody is told that it is done then: the
        token of such an answer would promise nothing, and a later command would not wait for what was done here.
        """

        def position_of(id: UUID, version: int) -> int:
            return self.store.position_of(id, version) or 0

        events = batch.transaction.events
        return [POSITION_RETRIES.copy()(position_of, e.originator_id, e.originator_version) for e in events]

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
                    row = feed(None if body is None else decode(replica.row, body, person_named(key)), fact)
                    kept = None if row is None else encode(row, person_named(key), blank=True)
                    rows[replica.name, key] = ReplicaRow(replica.name, key, kept)
        if not rows:
            if positions or skipped:
                self.store.commit(Transaction(rows=list(skipped), positions=positions))
            return
        news = self._store_rows([*rows.values(), *skipped], positions)
        if self._listener is not None:
            self._listener.tell(facts)
            if news == self._news + 1:
                self._news += 1

    def refill(
        self,
        replicas: Collection[str],
        made: dict[str, str],
        rows: Sequence[ReplicaRow],
        positions: dict[str, int],
    ) -> None:
        """Let these replicas hold what was `made` for them, under which names it says, and `rows`, and nothing else.

        With the positions that say so.  The listener takes them over when it is next told to learn of others.
        Raises Conflict.
        """
        self._store_rows(rows, positions, emptied=replicas, renamed=made)

    def _store_rows(
        self,
        rows: Sequence[ReplicaRow],
        positions: dict[str, int],
        emptied: Collection[str] = (),
        renamed: dict[str, str] | None = None,
    ) -> int | None:
        """Store what was learned, in one transaction; returns the count of the listener's news, if it is concerned."""
        counts = {LEARNED: (self.store.position(LEARNED) or 0) + 1}
        concerned = {*emptied, *(row.replica for row in rows)}
        if self._listener is not None and not concerned.isdisjoint(self._listener.replicas):
            counts[NEWS] = (self.store.position(NEWS) or 0) + 1
        told = {**positions, **counts}
        self.store.commit(Transaction(emptied=list(emptied), renamed=renamed or {}, rows=list(rows), positions=told))
        self._stale_rows.extend((row.replica, row.key) for row in rows)
        if not emptied and counts[LEARNED] == self._learned + 1:  # else any row may be stale
            self._learned += 1
        return counts.get(NEWS)

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
