"""What every consumer of Kafka does alike: read from stored positions, skip repeats, set poison aside, go on.

A consumer (projector, saga, replicas, commands) supplies `process`, which stores what it derives together with the
positions in one transaction.  What is known to pass (`chassis.foundation.transient`) is retried in place with a growing
pause, so nothing is skipped; whatever else fails is tried once more alone, then goes to the dead-letter topic, and what
follows on its key waits there too.  Topics that lack what was not yet read stop it: see `TopicsDamaged`.
"""

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import msgspec
import structlog
from kafka import KafkaProducer

from chassis.deadletters import Letters, Origin, origin_of, read_whole_topic, set_aside
from chassis.foundation import metrics
from chassis.foundation.config import Config
from chassis.foundation.health import Pulse
from chassis.foundation.transient import is_transient
from chassis.kafka import Incoming, PartitionReader, PoisonRecord, TopicsDamaged, dead_letter_topic
from chassis.layers import Layered, Queues
from chassis.provenance import DROP, REASON, RESOLVES
from chassis.store.event_store import EventStore
from chassis.store.transaction import ReplicaRow
from contracts.schemas import decode

log = structlog.get_logger()

LAG_EVERY_SECONDS = 1.0
LONGEST_POLL_MS = 1_000  # a record that arrives ends it at once
CHECK_EVERY_SECONDS = 15.0
WAITS = "an earlier record of this key is set aside"
SKIPPED = "skipped"


class Fenced(Exception):
    """Another process of the same consumer was first: read the stored positions again and go on from there."""


class Handler(Protocol):
    """What a consumer does with records."""

    group: str

    def topics(self) -> Sequence[str]: ...

    def wanted(self) -> Mapping[str, type]:
        """The record types it handles, with their classes."""

    def offsets(self, sources: Sequence[str]) -> Mapping[str, int]:
        """Per source, the next offset to read, as stored."""

    def progress(self, topic: str) -> Sequence["Progress"]:
        """How far each of those has got who take note of a topic, as stored."""

    def process(self, records: Sequence[Incoming]) -> None:
        """Store what these records mean, and the positions after them, in one transaction.

        Raises Fenced, what is known to pass (`chassis.foundation.transient`), or anything else when one of the records
        is at fault: it is then called again with each of them alone.
        """

    def forget(self) -> None:
        """Something may have changed what is stored: read it again when `offsets` is asked for."""

    def is_current(self) -> bool:
        """Whether nobody else has changed what is stored since it was read."""

    def idle(self) -> None:
        """A poll brought nothing: all there is has been processed."""


class Consumer:
    """Drives a handler.  `step()` processes what one poll brings; `run()` goes on until `stop` is set."""

    def __init__(
        self,
        config: Config,
        handler: Handler,
        producer: Callable[[], KafkaProducer],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._clock = clock
        self._handler = handler
        self._producer = producer
        self._dead_topic = dead_letter_topic(handler.group)
        self._letters = Letters()
        self._reader: PartitionReader | None = None
        self._stored: Mapping[str, int] = {}
        self._lag_at = self._checked_at = -math.inf
        self._damage: str | None = None
        self._fails = False
        self._pulse = Pulse(clock=clock)

    def problem(self) -> str | None:
        """Why it stands (`chassis.foundation.health`)."""
        return self._damage or self._pulse.problem()

    def open(self) -> None:
        """Connect and continue at the stored positions.  Raises TopicsDamaged."""
        handler = self._handler
        handler.forget()
        reader = PartitionReader(self._config, handler.group, [*handler.topics(), self._dead_topic], handler.wanted())
        try:
            self._stored = handler.offsets(reader.sources)
            reader.require_whole(self._stored)
            self._letters = Letters()
            for record in read_whole_topic(self._config, self._dead_topic):
                self._letters.observe(record)
            reader.seek(self._stored)
        except Exception:
            self._tell_lag(reader)
            reader.close()
            raise
        self._reader = reader
        self._checked_at = self._clock()

    def step(self, timeout_ms: int = 100) -> int:
        """Process one poll's records; returns how many there were."""
        assert self._reader is not None, "open() first"
        records = self._reader.poll(timeout_ms)
        if records:
            self._process(records)
            metrics.of(metrics.CONSUMED, self._handler.group).inc(len(records))
        else:
            self._handler.idle()
        self._look_around()
        return len(records)

    def run(self, stop: threading.Event) -> None:
        pause = 0.1
        while not stop.is_set():
            try:
                if self._reader is None:
                    self.open()
                found = self.step(LONGEST_POLL_MS)
                self._gets_on(found)
                pause = 0.1
            except Fenced as other:
                log.warning("consumer fenced", group=self._handler.group, by=str(other))
                self.close()
            except Exception as error:  # nothing was stored, so try again
                self._stands(error)
                log.warning("consumer waits", group=self._handler.group, error=repr(error), pause=pause)
                self._tell_lag(self._reader)
                self.close()
                stop.wait(pause)
                pause = min(pause * 2, 5.0)
        self.close()

    def close(self) -> None:
        reader, self._reader = self._reader, None
        try:
            if reader is not None:
                reader.close()
        except Exception as error:  # it holds nothing that would be lost
            log.warning("reader can't be closed", group=self._handler.group, error=repr(error))

    # -- what others see of it

    def _stands(self, error: Exception) -> None:
        """A step failed and will be tried again."""
        self._fails = True
        self._pulse.fails(error)
        self._damage = str(error) if isinstance(error, TopicsDamaged) else None
        metrics.of(metrics.CONSUMER_STANDS, self._handler.group).set(1)

    def _gets_on(self, records: int) -> None:
        """A step is done.  After one that failed, a look that brought nothing is no progress while something waits."""
        assert self._reader is not None, "open() first"
        if self._fails and not records and self._reader.is_behind(self._reader.end_offsets()):
            return
        self._fails, self._damage = False, None
        self._pulse.beat()
        metrics.of(metrics.CONSUMER_STANDS, self._handler.group).set(0)

    def _look_around(self) -> None:
        """Now and then tell the lag, and make sure that the topics still hold what was not read.

        Raises TopicsDamaged, and Fenced where somebody has changed the offsets (`salestream topics reset`): who stores
        nothing would not be told.
        """
        assert self._reader is not None, "open() first"
        now = self._clock()
        if now - self._lag_at > LAG_EVERY_SECONDS:
            self._lag_at = now
            self._stored = self._handler.offsets(self._reader.sources)
            metrics.of(metrics.CONSUMER_LAG, self._handler.group).set(self._reader.lag(self._stored))
        if now - self._checked_at > CHECK_EVERY_SECONDS:
            self._checked_at = now
            if not self._handler.is_current():
                raise Fenced("somebody who has changed its offsets")
            self._reader.require_whole(self._stored)

    def _tell_lag(self, reader: PartitionReader | None) -> None:
        """Tell the lag although nothing gets on: what lies on Kafka beyond what is stored."""
        if reader is None:
            return
        try:
            ends = reader.end_offsets()
        except Exception as error:  # Kafka is away: nobody knows how much there is
            log.info("lag not known", group=self._handler.group, error=repr(error))
            return
        lag = sum(max(0, end - self._stored.get(source, 0)) for source, end in ends.items())
        metrics.of(metrics.CONSUMER_LAG, self._handler.group).set(lag)

    # -- one poll

    def _process(self, records: Sequence[Incoming]) -> None:
        try:
            self._handler.process(self._judged(records))
        except Exception as error:
            _raise_if_it_may_pass(error)
            for record in records:
                self._process_one(record)

    def _process_one(self, record: Incoming) -> None:
        assert self._reader is not None, "open() first"
        self._handler.offsets(self._reader.sources)  # a failure may have made it forget them
        [judged] = self._judged([record])
        try:
            self._handler.process([judged])
        except Exception as error:
            _raise_if_it_may_pass(error)
            log.warning("record fails", group=self._handler.group, source=record.source, error=repr(error))
            self._handler.offsets(self._reader.sources)
            reason = str(error) if isinstance(error, PoisonRecord) else f"{type(error).__name__}: {error}"
            self._handler.process([self._set_aside(record, reason)])

    def _judged(self, records: Sequence[Incoming]) -> Sequence[Incoming]:
        """The records with their fate: those that must wait are set aside, those that were given up are skipped."""
        progress = {topic: self._handler.progress(topic) for topic in {record.topic for record in records}}
        if self._dead_topic not in progress and not any(r.poison for r in records) and not self._skips(progress):
            return records
        branches = {id(one): one.branch() for found in progress.values() for one in found}
        judged = []
        for record in records:
            concerned = [branches[id(one)] for one in progress[record.topic]]
            found = self._judge(record, concerned)
            for one in concerned:
                one.accept(found)
            judged.append(found)
        return judged

    def _skips(self, progress: Mapping[str, Sequence["Progress"]]) -> bool:
        """Whether somebody waits for a dead letter, or has yet to come past one that was dropped."""
        if any(one.aside for found in progress.values() for one in found):
            return True
        return any(
            not one.has_passed(Origin(source, str(place)))
            for source, place in self._letters.last_dropped.items()
            for one in progress.get(source.rpartition(":")[0], ())
        )

    def _judge(self, record: Incoming, progress: Sequence["Progress"]) -> Incoming:
        if record.topic == self._dead_topic:
            self._letters.observe(record)
        news = [one for one in progress if one.is_news(record)]
        if not news:
            return record
        if RESOLVES not in record.headers and origin_of(record) in self._letters.dropped:
            return replace(record, fate="dropped")
        if record.poison is not None:
            return self._set_aside(record, record.poison)
        if any(one.must_wait(record) for one in news):
            return self._set_aside(record, WAITS)
        return record

    def _set_aside(self, record: Incoming, reason: str) -> Incoming:
        """Write a letter, unless one was written just before a crash: one origin has one letter that waits."""
        origin = origin_of(record)
        if origin not in self._letters.waiting:
            self._letters.waiting[origin] = set_aside(self._producer(), self._handler.group, record, reason)
        return replace(record, fate="waits")


def _raise_if_it_may_pass(error: Exception) -> None:
    """Raise again what is worth waiting for."""
    if isinstance(error, Fenced) or is_transient(error):
        raise error


@dataclass(frozen=True)
class Aside:
    """A record set aside and not yet applied: its key ("" if nothing waits for it), and the offset at which it came."""

    key: str
    offset: int


class Progress:
    """How far a consumer has got in each source: the next offset, the newest position applied, and what it skipped.

    Positions are the producer's log positions: within one source they only grow, so one that is not above the
    newest is a repeat (the relay publishes at least once).  `floors` are the positions applied before the newest: what
    comes between the two proves that the newest was forged, since firsts come in the order of their positions (ADR
    0007); it is applied, and is the newest from then on.  `aside` are the records set aside and not applied, by
    origin: a replay counts if and only if its origin is among them.  `dropped` were given up by an operator.
    """

    def __init__(
        self,
        offsets: Mapping[str, int],
        positions: Mapping[str, int],
        aside: Mapping[Origin, Aside] | None = None,
        dropped: Iterable[Origin] = (),
        floors: Mapping[str, int] | None = None,
    ) -> None:
        self.offsets = dict(offsets)
        self.positions = dict(positions)
        self.floors = dict(floors or {})
        self.aside = Layered(aside or {})
        self.dropped: Layered[Origin, None] = Layered(dict.fromkeys(dropped))
        self._waiting = Queues(
            ((origin.source, waiting.key), waiting.offset) for origin, waiting in self.aside.items() if waiting.key
        )

    def branch(self) -> "Progress":
        """What takes records in while `self` stays as it is."""
        made = Progress(self.offsets, self.positions, floors=self.floors)
        made.aside, made.dropped = self.aside.branch(), self.dropped.branch()
        made._waiting = self._waiting.branch()
        return made

    def settle(self) -> None:
        """It is stored, and what it was branched from is given up."""
        self.aside.settle()
        self.dropped.settle()
        self._waiting.settle()

    def is_news(self, record: Incoming) -> bool:
        """Whether a record is neither a repeat nor a note about dead letters: it, or its replay, is to be applied."""
        if record.offset < self.offsets.get(record.source, 0) or REASON in record.headers or DROP in record.headers:
            return False
        origin = origin_of(record)
        if RESOLVES in record.headers:
            return origin in self.aside
        if record.poison is not None:
            return origin not in self.aside and origin not in self.dropped
        return origin not in self.aside and self._comes_first(record)

    def _comes_first(self, record: Incoming) -> bool:
        newest = self.positions.get(record.source, 0)
        return record.position > newest or self.floors.get(record.source, newest) < record.position < newest

    def _came_first(self, source: str, position: int) -> None:
        newest = self.positions.get(source, 0)
        if position > newest:
            self.floors[source] = newest
        self.positions[source] = position  # below the newest: that was forged

    def _came_later(self, source: str, position: int) -> None:
        """One that had been set aside is applied, or given up: from here on its repeats are told by their position."""
        newest = self.positions.get(source, 0)
        if position > newest:
            self._came_first(source, position)
        else:
            self.floors[source] = max(position, self.floors.get(source, newest))

    def has_passed(self, origin: Origin) -> bool:
        """Whether the readable record of this origin was met, whatever became of it."""
        return not origin.place.isdecimal() or int(origin.place) <= self.positions.get(origin.source, 0)

    def must_wait(self, record: Incoming) -> bool:
        """Whether an earlier record of the same key is set aside."""
        origin = origin_of(record)
        first = self._waiting.first((origin.source, record.key)) if record.key else None
        own = self.aside.get(origin)
        return first is not None and (own is None or first < own.offset)

    def accept(self, record: Incoming) -> bool:
        """Take a record in; whether it is new and has something to do.

        A record of a type the consumer does not handle moves the position all the same: tokens count on it.  One
        that is set aside does not: who waits for it must go on waiting.
        """
        if record.offset < self.offsets.get(record.source, 0):
            return False
        news = self._is_new(record)
        self.offsets[record.source] = record.offset + 1
        if not news:
            return False
        if record.fate == "" and RESOLVES not in record.headers:
            self._came_first(record.source, record.position)
            return record.fact is not None
        return self._settle(record)

    def _is_new(self, record: Incoming) -> bool:
        """`is_news`, without asking for origins where nothing waits (almost always)."""
        if self.aside or record.fate or record.poison or _is_about_letters(record):
            return DROP in record.headers or self.is_news(record)
        return self._comes_first(record)

    def _settle(self, record: Incoming) -> bool:
        """Take in a record that is set aside, given up, replayed or dropped."""
        origin = origin_of(record)
        if record.fate == "waits":
            self._wait(origin, Aside("" if record.foreign else record.key, record.offset))
            return False
        known = self._wait_no_more(origin)
        if DROP in record.headers and known is None:
            return False
        applies = record.fate == "" and DROP not in record.headers
        if not applies:
            self.dropped[origin] = None
        if applies or origin.place.isdecimal():
            self._wait_no_more(Origin(origin.source, str(record.position)))
            self._came_later(origin.source, record.position)
        return applies and record.fact is not None

    def _wait(self, origin: Origin, aside: Aside) -> None:
        if origin not in self.aside:
            self.aside[origin] = aside
            if aside.key:
                self._waiting.add((origin.source, aside.key), aside.offset)

    def _wait_no_more(self, origin: Origin) -> Aside | None:
        known = self.aside.pop(origin, None)
        if known is not None and known.key:
            self._waiting.remove((origin.source, known.key), known.offset)
        return known


def _is_about_letters(record: Incoming) -> bool:
    return REASON in record.headers or RESOLVES in record.headers or DROP in record.headers


class _Skipped(msgspec.Struct, frozen=True):
    """A row of the event store: a record set aside, or dropped."""

    source: str
    place: str
    key: str
    offset: int
    dropped: bool = False


def stored_progress(store: EventStore, sources: Sequence[str]) -> Progress:
    """How far the consumer that keeps its progress in an event store has got."""
    offsets = {s: found for s in sources if (found := store.position(f"offset:{s}")) is not None}
    positions = {s: found for s in sources if (found := store.position(f"position:{s}")) is not None}
    floors = {
        s: found
        for s, newest in positions.items()
        if store.position(f"floored:{s}") == newest and (found := store.position(f"floor:{s}")) is not None
    }
    rows = [decode(_Skipped, body) for body in store.rows(SKIPPED)]
    aside = {Origin(row.source, row.place): Aside(row.key, row.offset) for row in rows if not row.dropped}
    return Progress(offsets, positions, aside, [Origin(row.source, row.place) for row in rows if row.dropped], floors)


def processed_positions(store: EventStore, topic: str, partitions: int) -> list[int]:
    """The newest position of each partition of a topic that the consumer with its progress in a store has processed."""
    return [store.position(f"position:{topic}:{number}") or 0 for number in range(partitions)]


class StoredProgress:
    """Progress kept in an event store: offsets and positions as positions of the store, what was skipped as rows.

    The revision counts what the group has stored.  It is read first and stored with every batch, so a batch that was
    worked out on what another process of the group has changed meanwhile is a Conflict, whichever sources it is from.
    """

    def __init__(self, store: EventStore, group: str, sources: Sequence[str]) -> None:
        self._store = store
        self._name = f"revision:{group}"
        self.revision = store.position(self._name) or 0
        self.progress = stored_progress(store, sources)

    def is_current(self) -> bool:
        return (self._store.position(self._name) or 0) == self.revision

    def branch(self) -> Progress:
        """A copy to take a batch in; `self` stays as stored until `adopt`."""
        return self.progress.branch()

    def changes(self, after: Progress) -> dict[str, int]:
        """What to store for a batch, under the names of the store's positions."""
        return {
            self._name: self.revision + 1,
            **{f"offset:{s}": n for s, n in after.offsets.items() if n != self.progress.offsets.get(s)},
            **{f"position:{s}": n for s, n in after.positions.items() if n != self.progress.positions.get(s)},
            **{f"floor:{s}": n for s, n in after.floors.items() if n != self.progress.floors.get(s)},
            # An older version moves positions and knows no floors: they count only beside the position they came with.
            **{f"floored:{s}": n for s, n in after.positions.items() if n != self.progress.positions.get(s)},
        }

    def skipped(self, after: Progress) -> list[ReplicaRow]:
        """The rows to store for a batch: what it set aside, applied after all, or gave up."""
        dropped = after.dropped.changes.keys()
        return [
            *(_skipped_row(origin, after.aside.get(origin)) for origin in after.aside.changes.keys() - dropped),
            *(_skipped_row(origin, Aside("", 0), dropped=True) for origin in dropped),
        ]

    def adopt(self, after: Progress) -> None:
        """What `changes` told has been stored."""
        after.settle()
        self.progress = after
        self.revision += 1


def _skipped_row(origin: Origin, aside: Aside | None, *, dropped: bool = False) -> ReplicaRow:
    key = f"{origin.source} {origin.place}"
    if aside is None:
        return ReplicaRow(SKIPPED, key, None)
    row = _Skipped(origin.source, origin.place, aside.key, aside.offset, dropped)
    return ReplicaRow(SKIPPED, key, msgspec.json.encode(row))
