"""Dead letters: records a group can't process, kept on `<group>.dlq` with their cause until somebody acts.

The topic is the history of what was set aside and what became of it: a record with `dlq-reason` is a letter, one with
`dlq-resolves` is either a replay - processed like any other - or a drop.  What a consumer has set aside and not yet
applied it knows from its own progress (`chassis.consumer.Progress`), so that a replay counts exactly once.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple

import structlog
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from chassis import metrics
from chassis.config import Config
from chassis.kafka import Incoming, dead_letter_topic, read_record

log = structlog.get_logger()

REASON = "dlq-reason"
RESOLVES = "dlq-resolves"
DROP = "dlq-drop"
PLACE = "dlq-place"


@dataclass(frozen=True)
class DeadLetter:
    """One record set aside: its offset on the dead-letter topic is its number."""

    number: int
    key: str
    type: str
    reason: str
    origin: str
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


class Origin(NamedTuple):
    """Where a record first came: its source, and its place there.

    The place of a record that could be read is its position.  One that could not may be forged, its position too: its
    place is a digest of all of it, so that it is never taken for the event whose position it bears.
    """

    source: str
    place: str


def origin_of(record: Incoming) -> Origin:
    """The origin of a record, also of one that comes again as a dead letter."""
    headers = record.headers
    if PLACE in headers:
        return Origin(f"{headers['dlq-topic']}:{headers['dlq-partition']}", headers[PLACE])
    if record.poison is None:
        return Origin(record.source, str(record.position))
    return Origin(record.source, unreadable_place(record.type, record.id, record.key, record.value))


def unreadable_place(type: str, id: str, key: str, value: bytes) -> str:
    """The place of a record that can't be read."""
    text = "\x1f".join((type, id, key)).encode()
    return f"@{sha256(text + value).hexdigest()[:20]}"


@dataclass
class Letters:
    """What a group's dead-letter topic says of each origin: the letter that waits, or that it was dropped."""

    waiting: dict[Origin, int] = field(default_factory=dict)
    dropped: set[Origin] = field(default_factory=set)

    def observe(self, record: Incoming) -> None:
        """Take note of a record of the topic, in order; a repeated look changes nothing."""
        origin = origin_of(record)
        if RESOLVES in record.headers:
            if self.waiting.get(origin) == int(record.headers[RESOLVES]):
                del self.waiting[origin]
                if DROP in record.headers:
                    self.dropped.add(origin)
        elif REASON in record.headers:
            self.waiting[origin] = max(record.offset, self.waiting.get(origin, 0))


def dead_letter_headers(record: Incoming, reason: str) -> list[tuple[str, bytes]]:
    """The original headers plus why and from where it first came."""
    kept = [(name, value) for name, value in record.raw_headers if not name.startswith("dlq-")]
    topic, _, partition = record.source.rpartition(":")
    return [
        *kept,
        (REASON, reason.encode()[:2_000]),
        ("dlq-topic", record.headers.get("dlq-topic", topic).encode()),
        ("dlq-partition", record.headers.get("dlq-partition", partition).encode()),
        ("dlq-offset", record.headers.get("dlq-offset", str(record.offset)).encode()),
        (PLACE, origin_of(record).place.encode()),
    ]


def set_aside(producer: KafkaProducer, group: str, record: Incoming, reason: str) -> int:
    """Put a record onto the group's dead-letter topic; returns its number there when the brokers have it."""
    future = producer.send(
        dead_letter_topic(group),
        value=record.value,
        key=record.key.encode(),
        headers=dead_letter_headers(record, reason),
    )
    producer.flush()
    number = int(future.get(timeout=60).offset)
    metrics.of(metrics.DLQ, group).inc()
    log.error("record set aside", group=group, source=record.source, offset=record.offset, reason=reason)
    return number


class DeadLetters:
    """The operator's view of a group's dead letters: list, replay, drop."""

    def __init__(self, config: Config, group: str) -> None:
        self._config = config
        self._group = group

    def waiting(self) -> list[DeadLetter]:
        """The records set aside and not yet resolved, oldest first."""
        letters: dict[int, DeadLetter] = {}
        for record in read_whole_topic(self._config, dead_letter_topic(self._group)):
            if RESOLVES in record.headers:
                letters.pop(int(record.headers[RESOLVES]), None)
            elif REASON in record.headers:
                letters[record.offset] = DeadLetter(
                    number=record.offset,
                    key=record.key,
                    type=record.type,
                    reason=record.headers[REASON],
                    origin="{dlq-topic}:{dlq-partition}@{dlq-offset}".format_map(record.headers),
                    value=record.value,
                    headers=tuple(record.raw_headers),
                )
        return list(letters.values())

    def replay(self, producer: KafkaProducer, letters: Iterable[DeadLetter]) -> int:
        """Hand records to the group again, in order; returns how many."""
        return self._resolve(producer, letters, drop=False)

    def drop(self, producer: KafkaProducer, letters: Iterable[DeadLetter]) -> int:
        """Give records up for good; returns how many."""
        return self._resolve(producer, letters, drop=True)

    def _resolve(self, producer: KafkaProducer, letters: Iterable[DeadLetter], *, drop: bool) -> int:
        number = 0
        waiting = {letter.number for letter in self.waiting()}  # what another operator has resolved is not done twice
        for letter in letters:
            if letter.number not in waiting:
                continue
            headers = [(name, value) for name, value in letter.headers if name != REASON]
            headers.append((RESOLVES, str(letter.number).encode()))
            if drop:
                headers.append((DROP, b"1"))
            producer.send(
                dead_letter_topic(self._group), value=letter.value, key=letter.key.encode(), headers=headers
            ).get(timeout=60)
            number += 1
        producer.flush()
        return number


def read_whole_topic(config: Config, topic: str) -> Iterator[Incoming]:
    """Every record a single-partition topic holds now."""
    consumer = KafkaConsumer(
        bootstrap_servers=config.kafka_bootstrap_servers,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        allow_auto_create_topics=False,
        metrics_enabled=False,
    )
    try:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        end = consumer.end_offsets([partition])[partition]
        consumer.seek_to_beginning(partition)
        position = 0
        while position < end:
            polled: dict[Any, list[Any]] = consumer.poll(timeout_ms=500)
            for records in polled.values():
                for record in records:
                    position = record.offset + 1
                    yield read_record(record, {})
            position = max(position, consumer.position(partition))
    finally:
        consumer.close()
