"""Kafka: topics made from contracts, the CloudEvents form of records, and reading partitions from stored offsets.

Values are contract JSON only; all else travels in `ce_` headers (CloudEvents 1.0, binary mode).  Consumers keep their
offsets beside what they derived, in the same transaction, so partitions are assigned and sought, not subscribed to:
a killed process continues at once, and two of them by mistake are told apart by their stores (ADR 0006).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import structlog
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import TopicAlreadyExistsError
from kafka.partitioner.default import murmur2

from chassis.config import Config
from chassis.store import Meta, Notification
from contracts.declare import REGISTRY, EventSpec
from contracts.schemas import decode

log = structlog.get_logger()

RETAIN_FOR_EVER = {"cleanup.policy": "delete", "retention.ms": "-1"}
COMMANDS_RETENTION = {"cleanup.policy": "delete", "retention.ms": str(7 * 24 * 3600 * 1000)}
RawHeaders = Sequence[tuple[str, bytes]]


class PoisonRecord(Exception):
    """A record that can never be processed: unreadable, of an unknown type, or against a rule."""


def event_topics() -> list[str]:
    return sorted({spec.topic for spec in REGISTRY.events.values()})


def command_topics() -> list[str]:
    return sorted({spec.topic for spec in REGISTRY.commands.values() if not spec.is_public})


def dead_letter_topic(group: str) -> str:
    return f"{group}.dlq"


def create_topics(config: Config, groups: Iterable[str]) -> list[str]:
    """Create every topic that does not exist yet; returns the names created."""
    admin = KafkaAdminClient(bootstrap_servers=config.kafka_bootstrap_servers)
    try:
        wanted: dict[str, tuple[int, Mapping[str, str]]] = {}
        for topic in event_topics():
            wanted[topic] = (config.topic_partitions, RETAIN_FOR_EVER)
        for topic in command_topics():
            wanted[topic] = (config.topic_partitions, COMMANDS_RETENTION)
        for group in groups:
            wanted[dead_letter_topic(group)] = (1, RETAIN_FOR_EVER)
        missing = [topic for topic in wanted if topic not in set(admin.list_topics())]
        if missing:
            try:
                admin.create_topics(
                    [
                        NewTopic(
                            name=topic,
                            num_partitions=wanted[topic][0],
                            replication_factor=config.topic_replicas,
                            topic_configs=dict(wanted[topic][1]),
                        )
                        for topic in missing
                    ]
                )
            except TopicAlreadyExistsError:
                log.info("topics were created by another process meanwhile", topics=missing)
        return missing
    finally:
        admin.close()


def producer(config: Config) -> KafkaProducer:
    """An idempotent producer, acks from all replicas, lz4.  It never gives a record up: see `chassis.relay.Relay`."""
    return KafkaProducer(
        bootstrap_servers=config.kafka_bootstrap_servers,
        acks="all",
        enable_idempotence=True,
        delivery_timeout_ms=float("inf"),
        linger_ms=5,  # fewer requests: at low rates they took half of the worker's time
        batch_size=131_072,
        compression_type="lz4",
        allow_auto_create_topics=False,
        metrics_enabled=False,
        reconnect_backoff_max_ms=1_000,
    )


def partition_of(key: str, partitions: int) -> int:
    """The partition Kafka's default partitioner gives a key."""
    return (int(murmur2(key.encode())) & 0x7FFFFFFF) % partitions


# -- records out --------------------------------------------------------------------------------------------------


def event_headers(spec: EventSpec, event: Notification, subject: str) -> list[tuple[str, bytes]]:
    """The CloudEvents headers of a stored event.  Publishing again gives the same id."""
    meta = event.meta
    headers = {
        "ce_specversion": "1.0",
        "ce_id": f"{event.aggregate_id}/{event.version}",
        "ce_source": f"/salestream/{spec.service}",
        "ce_type": spec.name,
        "ce_time": meta.at.isoformat(),
        "ce_subject": subject,
        "ce_sequence": f"{event.version:020d}",
        "ce_position": str(event.position),
        "ce_correlationid": meta.correlation_id,
        "ce_causationid": meta.causation_id,
        "ce_authid": meta.user_id,
        "ce_traceparent": meta.traceparent,
        "ce_day": meta.day.isoformat() if meta.day else "",
        "content-type": "application/json",
    }
    return [(name, value.encode()) for name, value in headers.items() if value]


def command_headers(sender: str, name: str, command_id: str, position: int, meta: Meta) -> list[tuple[str, bytes]]:
    """The headers of a command that one service sends to another."""
    headers = {
        "ce_specversion": "1.0",
        "ce_id": command_id,
        "ce_source": f"/salestream/{sender}",
        "ce_type": name,
        "ce_time": meta.at.isoformat(),
        "ce_position": str(position),
        "ce_correlationid": meta.correlation_id,
        "ce_causationid": meta.causation_id,
        "ce_traceparent": meta.traceparent,
        "content-type": "application/json",
    }
    return [(name, value.encode()) for name, value in headers.items() if value]


# -- records in ---------------------------------------------------------------------------------------------------


class Headers(Mapping[str, str]):
    """A record's headers as text, decoded when asked for: most are never read.  What is no UTF-8 shows as �."""

    def __init__(self, raw: RawHeaders) -> None:
        self._raw = dict(raw)

    def __getitem__(self, name: str) -> str:
        return (self._raw[name] or b"").decode(errors="replace")

    def __contains__(self, name: object) -> bool:
        return name in self._raw

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A record taken from Kafka.  `source` is "topic:partition"; `position` grows in a source except for repeats."""

    source: str
    topic: str
    offset: int
    key: str
    type: str
    id: str
    position: int
    at: datetime | None
    value: bytes
    headers: Mapping[str, str]
    raw_headers: RawHeaders
    fact: Any = None
    poison: str | None = None
    fate: Literal["", "waits", "dropped"] = ""  # set aside, or given up: its offset counts, its content does not

    @property
    def correlation_id(self) -> str:
        return self.headers.get("ce_correlationid", "")


def read_record(record: Any, wanted: Mapping[str, type]) -> Incoming:
    """Turn a Kafka record into an Incoming; `wanted` maps the types this reader handles to their classes.

    A record of another type has no fact; one that can't be read has `poison` set to the cause.
    """
    raw_headers: RawHeaders = record.headers or ()
    poison: str | None = None
    headers: Mapping[str, str] = {}
    fact: Any = None
    at: datetime | None = None
    position = record.offset
    key = (record.key or b"").decode("utf-8", "replace")
    try:
        headers = Headers(raw_headers)
        kind = headers["ce_type"]
        position = int(headers["ce_position"])
        at = datetime.fromisoformat(headers["ce_time"])
        if kind in wanted:
            fact = decode(wanted[kind], record.value)
        elif kind not in REGISTRY.events and kind not in REGISTRY.commands:
            poison = f"unknown type {kind!r}"
    except Exception as error:  # whatever is wrong with foreign bytes, it is the record's fault
        poison = f"{type(error).__name__}: {error}"
    return Incoming(
        source=f"{record.topic}:{record.partition}",
        topic=record.topic,
        offset=record.offset,
        key=key,
        type=headers.get("ce_type", ""),
        id=headers.get("ce_id", ""),
        position=position,
        at=at,
        value=record.value or b"",
        headers=headers,
        raw_headers=raw_headers,
        fact=fact,
        poison=poison,
    )


class PartitionReader:
    """Reads all partitions of some topics, each from the offset its consumer has stored."""

    def __init__(self, config: Config, client_id: str, topics: Sequence[str], wanted: Mapping[str, type]) -> None:
        self._wanted = wanted
        self._consumer = KafkaConsumer(
            bootstrap_servers=config.kafka_bootstrap_servers,
            client_id=client_id,
            enable_auto_commit=False,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            allow_auto_create_topics=False,
            metrics_enabled=False,
            reconnect_backoff_max_ms=1_000,
            max_poll_records=1_000,
            fetch_max_wait_ms=250,
        )
        self._partitions = [
            TopicPartition(topic, partition)
            for topic in topics
            for partition in sorted(self._consumer.partitions_for_topic(topic) or ())
        ]
        missing = set(topics) - {tp.topic for tp in self._partitions}
        if missing:
            self._consumer.close()
            raise RuntimeError(f"topics {', '.join(sorted(missing))} do not exist: run `salestream topics`")
        self._consumer.assign(self._partitions)

    @property
    def sources(self) -> list[str]:
        return [f"{tp.topic}:{tp.partition}" for tp in self._partitions]

    def seek(self, offsets: Mapping[str, int]) -> None:
        """Continue each source at its offset; sources not named start at the beginning."""
        for tp in self._partitions:
            offset = offsets.get(f"{tp.topic}:{tp.partition}", 0)
            if offset:
                self._consumer.seek(tp, offset)
            else:
                self._consumer.seek_to_beginning(tp)

    def poll(self, timeout_ms: int, max_records: int | None = None) -> list[Incoming]:
        """The next records, each source's in order."""
        polled = self._consumer.poll(timeout_ms=timeout_ms, max_records=max_records)
        return [read_record(record, self._wanted) for records in polled.values() for record in records]

    def end_offsets(self) -> dict[str, int]:
        """The offset after the newest record of each source."""
        found = self._consumer.end_offsets(self._partitions)
        return {f"{tp.topic}:{tp.partition}": offset for tp, offset in found.items()}

    def lag(self, offsets: Mapping[str, int]) -> int:
        """How many records of all sources lie beyond these offsets, as far as the last fetch told."""
        total = 0
        for tp in self._partitions:
            highest = self._consumer.highwater(tp)
            if highest is not None:
                total += max(0, highest - offsets.get(f"{tp.topic}:{tp.partition}", 0))
        return total

    def close(self) -> None:
        self._consumer.close()
