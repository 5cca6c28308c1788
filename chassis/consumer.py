"""What every consumer of Kafka does alike: read from stored positions, skip repeats, set poison aside, go on.

A consumer (projector, saga, replicas, commands) supplies `process`, which stores what it derives together with the
positions in one transaction.  Transient failures are retried in place with a growing pause, so nothing is skipped;
permanent ones go to the dead-letter topic and their key is parked.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import structlog
from kafka import KafkaProducer

from chassis import metrics
from chassis.config import Config
from chassis.deadletters import DROP, REASON, RESOLVES, ParkedKeys, origin_of, read_whole_topic, set_aside
from chassis.kafka import Incoming, PartitionReader, PoisonRecord, dead_letter_topic
from chassis.store import EventStore

log = structlog.get_logger()

LAG_EVERY_SECONDS = 1.0
WAITS = "an earlier record of this key is set aside"


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

    def process(self, records: Sequence[Incoming]) -> None:
        """Store what these records mean, and the positions after them, in one transaction.

        Raises PoisonRecord for a record that can never be processed (with one record at a time), Fenced, or any
        other exception when it may work later.
        """

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
        self._parked = ParkedKeys(handler.group)
        self._reader: PartitionReader | None = None
        self._lag_at = 0.0

    def open(self) -> None:
        """Connect and continue at the stored positions."""
        handler = self._handler
        self._parked = ParkedKeys(handler.group)
        reader = PartitionReader(self._config, handler.group, [*handler.topics(), self._dead_topic], handler.wanted())
        offsets = handler.offsets(reader.sources)
        resolved_up_to = offsets.get(f"{self._dead_topic}:0", 0)
        goes_on = any(offsets.values())
        for record in read_whole_topic(self._config, self._dead_topic):
            # A letter written just before a crash parks its key now: later records of the key may be polled first.
            if record.offset < resolved_up_to or (goes_on and REASON in record.headers):
                self._parked.observe(record)
        reader.seek(offsets)
        self._reader = reader

    def step(self, timeout_ms: int = 100) -> int:
        """Process one poll's records; returns how many there were."""
        assert self._reader is not None, "open() first"
        records = self._reader.poll(timeout_ms)
        if records:
            self._process(records)
            metrics.of(metrics.CONSUMED, self._handler.group).inc(len(records))
        else:
            self._handler.idle()
        if (now := self._clock()) - self._lag_at > LAG_EVERY_SECONDS:
            self._lag_at = now
            lag = self._reader.lag(self._handler.offsets(self._reader.sources))
            metrics.of(metrics.CONSUMER_LAG, self._handler.group).set(lag)
        return len(records)

    def run(self, stop: threading.Event) -> None:
        pause = 0.1
        while not stop.is_set():
            try:
                if self._reader is None:
                    self.open()
                self.step()
                pause = 0.1
            except Fenced as other:
                log.warning("consumer fenced", group=self._handler.group, by=str(other))
                self.close()
            except Exception as error:  # transient until proven otherwise: nothing was stored, so try again
                log.warning("consumer waits", group=self._handler.group, error=repr(error), pause=pause)
                stop.wait(pause)
                pause = min(pause * 2, 5.0)
                self.close()
        self.close()

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    # -- one poll

    def _process(self, records: Sequence[Incoming]) -> None:
        ready: list[Incoming] = []
        for record in records:
            reason = self._reason_to_set_aside(record)
            if reason is not None:
                self._set_aside(record, reason)
            ready.append(record if reason is None else _emptied(record))
        try:
            self._handler.process(ready)
        except PoisonRecord:
            self._one_by_one(ready)

    def _one_by_one(self, records: Sequence[Incoming]) -> None:
        failed: set[tuple[str, str]] = set()
        for record in records:
            origin = origin_of(record)
            if is_for_processing(record) and (self._parked.is_parked(record) or origin in failed):
                self._set_aside(record, WAITS)
                self._handler.process([_emptied(record)])
                continue
            try:
                self._handler.process([record])
            except PoisonRecord as poison:
                failed.add(origin)
                self._set_aside(record, str(poison))
                self._handler.process([_emptied(record)])

    def _set_aside(self, record: Incoming, reason: str) -> None:
        self._parked.park(record, set_aside(self._producer(), self._handler.group, record, reason))

    def _reason_to_set_aside(self, record: Incoming) -> str | None:
        if record.topic == self._dead_topic:
            self._parked.observe(record)
            return None
        if record.poison is not None:
            return record.poison
        if self._parked.is_parked(record):
            return WAITS
        return None


def is_for_processing(record: Incoming) -> bool:
    """Whether a record speaks for itself: not a dead letter as such, nor one that was dropped or emptied."""
    return record.type != "" and REASON not in record.headers and DROP not in record.headers


def is_replay(record: Incoming) -> bool:
    """Whether an operator handed this record over again; its own position says nothing about repeats then."""
    return RESOLVES in record.headers


def _emptied(record: Incoming) -> Incoming:
    """The record without content: its offset counts as consumed, its content does not."""
    return Incoming(
        source=record.source, topic=record.topic, offset=record.offset, key=record.key, type="", id="",
        position=record.position, at=None, value=b"", headers={}, raw_headers=(),
    )  # fmt: skip


class Progress:
    """How far a consumer has got in each source: the next offset, and the newest position applied.

    Positions are the producer's log positions: within one source they only grow, so one that is not above the
    newest is a repeat (the relay publishes at least once).
    """

    def __init__(self, offsets: Mapping[str, int], positions: Mapping[str, int]) -> None:
        self.offsets = dict(offsets)
        self.positions = dict(positions)

    def accept(self, record: Incoming) -> bool:
        """Take a record in; whether it is new and has something to do.

        A record of a type the consumer does not handle moves the position all the same: tokens count on it.
        """
        if record.offset < self.offsets.get(record.source, 0):
            return False
        self.offsets[record.source] = record.offset + 1
        if not is_for_processing(record):
            return False
        if is_replay(record):
            return record.fact is not None
        if record.position <= self.positions.get(record.source, 0):
            return False
        self.positions[record.source] = record.position
        return record.fact is not None


def stored_progress(store: EventStore, sources: Sequence[str]) -> Progress:
    """How far the consumer that keeps its progress in an event store has got."""
    offsets = {s: found for s in sources if (found := store.position(f"offset:{s}")) is not None}
    positions = {s: found for s in sources if (found := store.position(f"position:{s}")) is not None}
    return Progress(offsets, positions)


def newest_position(store: EventStore, topic: str, partitions: int) -> int:
    """The newest position of a topic that a consumer with its progress in this store has processed."""
    found = (store.position(f"position:{topic}:{number}") for number in range(partitions))
    return max((position or 0 for position in found), default=0)


class StoredProgress:
    """Progress kept in an event store: per source the next offset and the newest position (see `EventStore`).

    The revision counts what the group has stored.  It is read first and stored with every batch, so a batch that was
    worked out on what another process of the group has changed meanwhile is a Conflict, whichever sources it is from.
    """

    def __init__(self, store: EventStore, group: str, sources: Sequence[str]) -> None:
        self._name = f"revision:{group}"
        self.revision = store.position(self._name) or 0
        self.progress = stored_progress(store, sources)

    def branch(self) -> Progress:
        """A copy to take a batch in; `self` stays as stored until `adopt`."""
        return Progress(self.progress.offsets, self.progress.positions)

    def changes(self, after: Progress) -> dict[str, int]:
        """What to store for a batch, under the names of the store's positions."""
        return {
            self._name: self.revision + 1,
            **{f"offset:{s}": n for s, n in after.offsets.items() if n != self.progress.offsets.get(s)},
            **{f"position:{s}": n for s, n in after.positions.items() if n != self.progress.positions.get(s)},
        }

    def adopt(self, after: Progress) -> None:
        """What `changes` told has been stored."""
        self.progress = after
        self.revision += 1
