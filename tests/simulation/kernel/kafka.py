"""Kafka as its clients see it: partitions that keep order, producers that repeat nothing, and a network in between.

A producer's records reach a partition in the order they were sent, once (idempotent producer).  Partitions know
nothing of each other, so anything may overtake anything else.  What a dead process had on the way may still arrive,
also after what its successor publishes: that, and what the successor publishes anew, are the repeats consumers see.
A topic may be deleted; what a living producer has on the way for it comes into the one that is made in its place.
"""

import heapq
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from kafka import TopicPartition
from kafka.errors import (
    KafkaConnectionError,
    KafkaTimeoutError,
    OffsetOutOfRangeError,
    UnknownTopicOrPartitionError,
)

from chassis.messaging.kafka import partition_of

from .scheduler import FOR_EVER, Process, Scheduler


@dataclass(frozen=True, slots=True)
class Record:
    """A record at its place."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]

    @property
    def serialized_header_size(self) -> int:
        return sum(len(name) + len(value or b"") for name, value in self.headers)


@dataclass(eq=False)
class Ack:
    """What `send` answers: done when the brokers' acknowledgement has come."""

    bus: "Bus"
    topic: str
    partition: int
    offset: int = -1
    is_done: bool = False

    def get(self, timeout: float | None = None) -> "Ack":
        """Wait for it.  Raises KafkaTimeoutError; the record stays on its way."""
        self.bus.scheduler.point("before acknowledgement")
        if not self.bus.scheduler.wait(FOR_EVER if timeout is None else timeout, lambda: self.is_done):
            raise KafkaTimeoutError("no acknowledgement yet")
        self.bus.scheduler.point("after acknowledgement")
        return self


@dataclass(eq=False)
class Producer:
    """Stands for `chassis.kafka.port.Producer`; these brokers refuse nothing."""

    refusal = None

    bus: "Bus"
    process: Process | None
    waiting: dict[TopicPartition, deque[tuple[Record, Ack]]] = field(default_factory=dict)

    def send(
        self, topic: str, value: bytes, key: bytes, headers: Sequence[tuple[str, bytes]] = (), partition: int = -1
    ) -> Ack:
        """Put a record on its way."""
        self.bus.scheduler.point("before publish", topic)
        if partition < 0:
            partition = partition_of(key.decode(), self.bus.partitions[topic])
        place = TopicPartition(topic, partition)
        ack = Ack(self.bus, topic, partition)
        self.waiting.setdefault(place, deque()).append((Record(topic, partition, -1, key, value, headers), ack))
        self.bus.scheduler.point("after publish", topic)
        return ack

    def flush(self, timeout: float | None = None) -> None:
        """Wait until nothing is on its way."""
        self.bus.scheduler.wait(FOR_EVER if timeout is None else timeout, lambda: not self.busy())

    def busy(self) -> list[TopicPartition]:
        return [place for place, records in self.waiting.items() if records]

    def close(self, timeout: float | None = None) -> None:
        self.flush(timeout)

    def abandon(self) -> None:
        """End at once; what the brokers have received may still be taken, the rest never comes."""
        self.bus.forget(self)


class Bus:
    """All topics, and the network between them and their clients."""

    def __init__(self, scheduler: Scheduler, partitions: Mapping[str, int]) -> None:
        self.scheduler = scheduler
        self.partitions = partitions
        self.logs: dict[TopicPartition, list[Record]] = {}
        self.changes = 0  # of the logs: who waits need not look at each of them at every step
        for topic in partitions:
            self.make(topic)
        self.away_until = 0.0
        self._producers: list[Producer] = []
        self._acks: list[tuple[float, int, Ack]] = []
        self._numbers = count()
        scheduler.on_death.append(self._forget)
        scheduler.actor("network", self._carry)

    # -- what clients get

    def producer(self, process: Process | None = None, *, gapless: bool = False) -> Producer:
        made = Producer(self, process)
        self._producers.append(made)
        return made

    def reader(self, config: Any, client_id: str) -> "Reader":
        """Stands for `chassis.kafka.clients.reader`."""
        return Reader(self)

    def make(self, topic: str) -> None:
        """Make a topic, empty."""
        self.changes += 1
        self.logs |= {TopicPartition(topic, number): [] for number in range(self.partitions[topic])}
        self.scheduler.note(f"{topic} is made")

    def delete(self, topic: str) -> None:
        """Delete a topic with all its records."""
        self.changes += 1
        for number in range(self.partitions[topic]):
            del self.logs[TopicPartition(topic, number)]
        self.scheduler.note(f"{topic} is deleted")

    def topics(self) -> set[str]:
        return {place.topic for place in self.logs}

    @property
    def is_away(self) -> bool:
        return self.scheduler.now < self.away_until

    def is_quiet(self) -> bool:
        """Whether nothing is on its way."""
        return not self._acks and not any(producer.busy() for producer in self._producers)

    def topic(self, name: str) -> dict[int, list[Record]]:
        """The partitions of a topic with their records."""
        return {place.partition: log for place, log in self.logs.items() if place.topic == name}

    # -- the network

    def _carry(self) -> None:
        scheduler = self.scheduler
        while True:
            due = self._acks[0][0] - scheduler.now if self._acks else FOR_EVER
            scheduler.wait(max(due, 0.0), self._has_work)
            while self._acks and self._acks[0][0] <= scheduler.now:
                heapq.heappop(self._acks)[2].is_done = True
            if not self.is_away:
                self._append_some()

    def _has_work(self) -> bool:
        return not self.is_away and bool(self._appendable())

    def _appendable(self) -> list[tuple[Producer, TopicPartition]]:
        return [(producer, place) for producer in self._producers for place in producer.busy() if place in self.logs]

    def _append_some(self) -> None:
        places = self._appendable()
        if not places:
            return
        random = self.scheduler.random
        producer, place = random.choice(places)
        for _ in range(random.choice((1, 1, 5))):
            if not producer.waiting[place]:
                break
            record, ack = producer.waiting[place].popleft()
            ack.offset = self.append(place, record)
            self.scheduler.note(f"{place.topic}:{place.partition} has {ack.offset}")
            late = self.scheduler.chance(self.scheduler.faults.late_ack)
            due = self.scheduler.now + random.random() * (10.0 if late else 0.002)
            heapq.heappush(self._acks, (due, next(self._numbers), ack))

    def append(self, place: TopicPartition, record: Record) -> int:
        """Put a record behind the others; returns its offset."""
        log = self.logs[place]
        self.changes += 1
        log.append(replace(record, topic=place.topic, partition=place.partition, offset=len(log)))
        return len(log) - 1

    def _forget(self, process: Process) -> None:
        """A process is dead.  The first records of what it had on the way may still arrive, the rest never will."""
        for producer in [producer for producer in self._producers if producer.process is process]:
            self.forget(producer)

    def forget(self, producer: Producer) -> None:
        """A producer has ended, however that came."""
        producer.process = None
        for place, records in producer.waiting.items():
            arrive = self.scheduler.random.randint(0, len(records)) if place in self.logs else 0
            while len(records) > arrive:
                records.pop()
        self._producers = [p for p in self._producers if p.process is not None or p.busy()]


class Reader:
    """Stands for `chassis.kafka.port.Reader`."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._at: dict[TopicPartition, int] = {}
        self._looked_at = -1
        self._found_news = False

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        self._must_answer()
        return set(range(self._bus.partitions[topic])) if topic in self._bus.topics() else None

    def assign(self, places: Iterable[TopicPartition]) -> None:
        self._at = {TopicPartition(*place): 0 for place in places}

    def seek(self, place: TopicPartition, offset: int) -> None:
        self._at[place] = offset

    def seek_to_beginning(self, *places: TopicPartition) -> None:
        for place in places:
            self._at[place] = 0

    def position(self, place: TopicPartition) -> int:
        return self._at[place]

    def end_offsets(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        self._must_answer()
        return {place: len(self._log(place)) for place in places}

    def beginning_offsets(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        self._must_answer()
        return {place: 0 for place in places if self._log(place) is not None}

    def _log(self, place: TopicPartition) -> list[Record]:
        try:
            return self._bus.logs[place]
        except KeyError:
            raise UnknownTopicOrPartitionError(str(place)) from None

    def highwater(self, place: TopicPartition) -> int:
        return len(self._bus.logs.get(place, ()))

    def poll(self, timeout_ms: int = 0, max_records: int | None = None) -> dict[TopicPartition, list[Record]]:
        """The next records of some partitions, as many as happen to come; in each partition in order."""
        scheduler = self._bus.scheduler
        scheduler.point("before poll")
        if beyond := {
            place: at for place, at in self._at.items() if place in self._bus.logs and at > self.highwater(place)
        }:
            raise OffsetOutOfRangeError(beyond)
        lateness = scheduler.random.choice((1, 5, 50))
        self._looked_at = -1
        if not scheduler.wait(timeout_ms / 1000 * lateness, self._has_news):
            return {}
        limit = max_records or 1_000
        polled: dict[TopicPartition, list[Record]] = {}
        for place in self._with_news():
            if polled and scheduler.chance(0.3):
                continue
            size = limit if not scheduler.current else scheduler.random.choice((1, 3, limit))
            if found := self._bus.logs.get(place, [])[self._at[place] : self._at[place] + size]:
                polled[place] = found
                self._at[place] += len(found)
        scheduler.point("after poll", " ".join(f"{p.topic}:{p.partition}+{len(r)}" for p, r in polled.items()))
        return polled

    def _has_news(self) -> bool:
        if self._looked_at != self._bus.changes:
            self._looked_at = self._bus.changes
            self._found_news = any(self.highwater(place) > at for place, at in self._at.items())
        return self._found_news and not self._bus.is_away

    def _with_news(self) -> list[TopicPartition]:
        places = [place for place, at in self._at.items() if self.highwater(place) > at]
        if self._bus.scheduler.current:
            self._bus.scheduler.random.shuffle(places)
        return places

    def _must_answer(self) -> None:
        if self._bus.is_away:
            raise KafkaConnectionError("no broker answers")

    def close(self, **_: Any) -> None:
        """Nothing is held."""
