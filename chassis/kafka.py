"""Kafka: topics made from contracts, the CloudEvents form of records, and reading partitions from stored offsets.

Values are contract JSON only; all else travels in `ce_` headers (CloudEvents 1.0, binary mode).  Consumers keep their
offsets beside what they derived, in the same transaction, so partitions are assigned and sought, not subscribed to:
a killed process continues at once, and two of them by mistake are told apart by their stores (ADR 0006).
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import structlog
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewTopic
from kafka.errors import KafkaError, KafkaTimeoutError, TopicAlreadyExistsError

from chassis.foundation.config import Config
from chassis.foundation.connections import kafka_arguments
from chassis.foundation.limits import MAX_KEY_BYTES, MAX_MESSAGE_BYTES, MAX_NAME_BYTES
from chassis.foundation.transient import is_transient
from chassis.provenance import (
    CUT,
    DEAD_LETTERS,
    DROP,
    LETTER_HEADERS,
    PARTITION,
    REASON,
    RESOLVES,
    TOPIC,
    Foreign,
    check_letter,
    check_place,
    check_size,
    hash_of,
    position_of,
    rule_of,
    time_of,
)
from chassis.store.events import Meta, Notification
from contracts.declare import REGISTRY, EventSpec
from contracts.schemas import decode

log = structlog.get_logger()

RETAIN_FOR_EVER = {"cleanup.policy": "delete", "retention.ms": "-1"}
COMMANDS_RETENTION = {"cleanup.policy": "delete", "retention.ms": str(7 * 24 * 3600 * 1000)}
RawHeaders = Sequence[tuple[str, bytes | None]]
NOT_KNOWN: Mapping[str, int] = {}
COMMANDS = ".commands"
LONGEST_MESSAGE = {"max.message.bytes": str(MAX_MESSAGE_BYTES)}
PROBE_SECONDS = 30.0


class PoisonRecord(Exception):
    """A record that can never be processed: unreadable, of an unknown type, or against a rule."""


def event_topics() -> list[str]:
    return sorted({spec.topic for spec in REGISTRY.events.values()})


def command_topics() -> list[str]:
    return sorted({spec.topic for spec in REGISTRY.commands.values() if not spec.is_public})


def dead_letter_topic(group: str) -> str:
    return f"{group}{DEAD_LETTERS}"


def topics_wanted(config: Config, groups: Iterable[str]) -> dict[str, NewTopic]:
    """Every topic there has to be, as it is made when it does not exist."""
    wanted: dict[str, tuple[int, Mapping[str, str]]] = {}
    for topic in event_topics():
        wanted[topic] = (config.topic_partitions, RETAIN_FOR_EVER)
    for topic in command_topics():
        wanted[topic] = (config.topic_partitions, COMMANDS_RETENTION)
    for group in groups:
        wanted[dead_letter_topic(group)] = (1, RETAIN_FOR_EVER)
    return {
        name: NewTopic(
            name=name,
            num_partitions=partitions,
            replication_factor=config.topic_replicas,
            topic_configs={**settings, **LONGEST_MESSAGE},
        )
        for name, (partitions, settings) in wanted.items()
    }


def admin_client(config: Config) -> KafkaAdminClient:
    return KafkaAdminClient(**kafka_arguments(config))


def create_topics(
    config: Config, groups: Iterable[str], may_make: Callable[[str], bool] = lambda topic: True
) -> list[str]:
    """Create every topic that does not exist yet and may be made, and let those that do take our longest message.

    Returns the names created.
    """
    admin = admin_client(config)
    try:
        wanted = topics_wanted(config, groups)
        there = set(admin.list_topics())
        missing = [name for name in wanted if name not in there and may_make(name)]
        if missing:
            try:
                admin.create_topics([wanted[name] for name in missing])
            except TopicAlreadyExistsError:
                log.info("topics were created by another process meanwhile", topics=missing)
        if old := [name for name in wanted if name in there]:
            _let_take_long_messages(admin, old)
        return missing
    finally:
        admin.close()


def _let_take_long_messages(admin: KafkaAdminClient, topics: Sequence[str]) -> None:
    try:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, LONGEST_MESSAGE) for name in topics])
    except (KafkaError, ValueError) as error:  # a principal that may not, or may not even see them: an operator has to
        log.warning("topics may not take our longest message", setting=LONGEST_MESSAGE, error=repr(error))


class Producer(KafkaProducer):  # type: ignore[misc]  # the library has no types
    """The library's producer, which can also be ended with records under way."""

    def send_no_more(self) -> None:
        """Let its thread send nothing that it is not sending already.  Only `abandon` may follow."""
        self._sender.force_close()

    def abandon(self) -> None:
        """End at once: when this returns, nothing that the brokers have not taken will ever be sent.

        Closing it would first try to send all, and give up with an error and the thread still at work.
        """
        self.send_no_more()
        self._sender.join()
        self.close()


def producer(config: Config) -> Producer:
    """An idempotent producer, acks from all replicas, lz4.  It never gives a record up: see `chassis.relay.Relay`."""
    return Producer(
        **kafka_arguments(config),
        acks="all",
        enable_idempotence=True,
        delivery_timeout_ms=float("inf"),
        linger_ms=5,  # fewer requests: at low rates they took half of the worker's time
        batch_size=131_072,
        compression_type="lz4",
        max_request_size=MAX_MESSAGE_BYTES,
        max_block_ms=10_000,  # so long a send waits for a topic that is not there, before the relay looks what is wrong
        allow_auto_create_topics=False,
        metrics_enabled=False,
        reconnect_backoff_max_ms=1_000,
    )


def partition_of(key: str, partitions: int) -> int:
    """The partition Kafka's default partitioner gives a key."""
    return hash_of(key.encode()) % partitions


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

    def __init__(self, raw: Mapping[str, bytes | None]) -> None:
        self._raw = raw

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
    foreign: bool = False  # none of ours has written it: nothing of ours has to wait for it
    fate: Literal["", "waits", "dropped"] = ""  # set aside, or given up: its offset counts, its content does not

    @property
    def correlation_id(self) -> str:
        return self.headers.get("ce_correlationid", "")


def read_record(record: Any, wanted: Mapping[str, type], partitions: Mapping[str, int] = NOT_KNOWN) -> Incoming:
    """Turn a Kafka record into an Incoming; `wanted` maps the types this reader handles to their classes.

    A record of another type has no fact; one that can't be read, or is none of ours (`chassis.provenance`), has
    `poison` set to the cause.  `partitions` are those of each topic, as far as they are known.
    """
    raw: dict[str, bytes | None] = dict(record.headers or ())
    poison: str | None = None
    foreign = False
    fact: Any = None
    at: datetime | None = None
    position = record.offset
    key = (record.key or b"").decode("utf-8", "replace")
    try:
        topic, partition = record.topic, record.partition
        if topic.endswith(DEAD_LETTERS) or not LETTER_HEADERS.isdisjoint(raw):
            topic, partition = _first_place(raw, record)
        if REASON not in raw and DROP not in raw:
            check_size(record)
            kind = raw.get("ce_type") or b""
            rule = rule_of(kind)
            check_place(raw, record.key, rule, (topic, partition), partitions.get(topic, 0))
            position = position_of(raw)
            at = time_of(raw)
            if cls := wanted.get(kind.decode()):
                fact = decode(cls, record.value)
                if str(getattr(fact, rule.key)) != key:
                    raise Foreign("its key is not that of its content")
    except Foreign as error:
        poison, fact, foreign = str(error), None, True
    except Exception as error:  # whatever is wrong with foreign bytes, it is the record's fault
        poison = str(error) if isinstance(error, LookupError) else f"{type(error).__name__}: {error}"
    headers = Headers(raw)
    return Incoming(
        source=f"{record.topic}:{record.partition}",
        topic=record.topic,
        offset=record.offset,
        key=key if len(key) <= MAX_KEY_BYTES else f"{key[:MAX_KEY_BYTES]}...",
        type=(raw.get("ce_type") or b"")[:MAX_NAME_BYTES].decode("utf-8", "replace"),
        id=(raw.get("ce_id") or b"")[:MAX_NAME_BYTES].decode("utf-8", "replace"),
        position=position,
        at=at,
        value=record.value or b"",
        headers=headers,
        raw_headers=record.headers or (),
        fact=fact,
        poison=poison,
        foreign=foreign,
    )


def _first_place(raw: dict[str, bytes | None], record: Any) -> tuple[str, int]:
    """Topic and partition where the record that a dead letter is about first came.

    Raises Foreign for one that is no letter of ours, and takes from `raw` what makes it look like one.
    """
    try:
        check_letter(raw, record.topic)
    except Foreign:
        for name in LETTER_HEADERS & raw.keys():
            del raw[name]
        raise
    if CUT in raw and RESOLVES in raw and DROP not in raw:
        raise Foreign("its content was cut when it was set aside: it can't be replayed")
    return (raw[TOPIC] or b"").decode(), int(raw[PARTITION] or b"")


def unreadable_record(place: TopicPartition, offset: int, cause: Exception) -> Incoming:
    """What a consumer is told of a record that the client library can't read."""
    source = f"{place.topic}:{place.partition}"
    return Incoming(
        source=source,
        topic=place.topic,
        offset=offset,
        key="",
        type="",
        id=f"{source}@{offset}",
        position=offset,
        at=None,
        value=b"",
        headers={},
        raw_headers=(),
        poison=f"the Kafka client can't read it: {type(cause).__name__}: {cause}",
        foreign=True,
    )


class TopicsDamaged(Exception):
    """Topics are missing, have other partitions than before, or lack records.  Nobody may go on as if nothing was.

    docs/runbooks/topic-lost.md
    """


class PartitionReader:
    """Reads all partitions of some topics, each from the offset its consumer has stored."""

    def __init__(self, config: Config, client_id: str, topics: Sequence[str], wanted: Mapping[str, type]) -> None:
        """Raises TopicsDamaged when a topic does not exist, or not with its partitions."""
        self._config = config
        self._wanted = wanted
        self._consumer = consumer_client(config, client_id)
        try:
            self._partitions = self._found(topics)
        except Exception:
            self._consumer.close()
            raise
        self._numbers = Counter(tp.topic for tp in self._partitions)
        self._consumer.assign(self._partitions)

    def _found(self, topics: Sequence[str]) -> list[TopicPartition]:
        found = {topic: sorted(self._consumer.partitions_for_topic(topic) or ()) for topic in topics}
        if missing := sorted(topic for topic, numbers in found.items() if not numbers):
            raise TopicsDamaged(f"topics {', '.join(missing)} do not exist: run `salestream topics check`")
        for topic, numbers in found.items():
            wanted = 1 if topic.endswith(DEAD_LETTERS) else self._config.topic_partitions
            if len(numbers) != wanted:
                raise TopicsDamaged(
                    f"{topic} has {len(numbers)} partitions, it was to have {wanted} (TOPIC_PARTITIONS): "
                    "the order of its keys would be lost; run `salestream topics check`"
                )
        return [TopicPartition(topic, number) for topic, numbers in found.items() for number in numbers]

    @property
    def sources(self) -> list[str]:
        return [_source(tp) for tp in self._partitions]

    def seek(self, offsets: Mapping[str, int]) -> None:
        """Continue each source at its offset; sources not named start at the beginning."""
        for tp in self._partitions:
            if offset := offsets.get(_source(tp), 0):
                self._consumer.seek(tp, offset)
            else:
                self._consumer.seek_to_beginning(tp)

    def poll(self, timeout_ms: int, max_records: int | None = None) -> list[Incoming]:
        """The next records, each source's in order.  One that the client library can't read is poison."""
        try:
            polled = self._consumer.poll(timeout_ms=timeout_ms, max_records=max_records)
        except Exception as error:
            if is_transient(error):
                raise
            return self._step_over()
        return [read_record(record, self._wanted, self._numbers) for found in polled.values() for record in found]

    def _step_over(self) -> list[Incoming]:
        """Find the record that the client library fails on, by reading each partition alone, and go on behind it."""
        probe = consumer_client(self._config, "probe")
        try:
            for tp, end in self._consumer.end_offsets(self._partitions).items():
                at = self._consumer.position(tp)
                cause = _failure_at(probe, tp, at) if at < end else None
                self._consumer.seek(tp, at if cause is None else at + 1)  # also forgets what was fetched
                if cause is not None:
                    return [unreadable_record(tp, at, cause)]
        finally:
            probe.close()
        return []

    def is_behind(self, ends: Mapping[str, int]) -> bool:
        """Whether there may be records before these offsets that were not read yet.

        It asks how far the reading has come, not for the last records: they may have been deleted.
        """
        return any(self._consumer.position(tp) < ends.get(_source(tp), 0) for tp in self._partitions)

    def end_offsets(self) -> dict[str, int]:
        """The offset after the newest record of each source."""
        return {_source(tp): offset for tp, offset in self._consumer.end_offsets(self._partitions).items()}

    def begin_offsets(self) -> dict[str, int]:
        """The offset of the oldest record of each source that is still there."""
        return {_source(tp): offset for tp, offset in self._consumer.beginning_offsets(self._partitions).items()}

    def require_whole(self, offsets: Mapping[str, int]) -> None:
        """Raises TopicsDamaged unless all that a consumer with these offsets has still to read can be there."""
        if found := damages(self.begin_offsets(), self.end_offsets(), offsets):
            raise TopicsDamaged(f"{'; '.join(found)}. Run `salestream topics check`")

    def lag(self, offsets: Mapping[str, int]) -> int:
        """How many records lie beyond these offsets, as far as the last fetch told.

        A source that has none begins where its oldest record is.  Only then the client is asked: that costs.
        """
        total = 0
        for tp in self._partitions:
            highest = self._consumer.highwater(tp)
            if highest:
                total += max(0, highest - (offsets.get(_source(tp)) or self._consumer.position(tp)))
        return total

    def close(self) -> None:
        self._consumer.close()


def consumer_client(config: Config, client_id: str) -> KafkaConsumer:
    """A client that reads what it is assigned, and fails where there is nothing to read."""
    return KafkaConsumer(
        **kafka_arguments(config),
        client_id=client_id,
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset="none",
        allow_auto_create_topics=False,
        metrics_enabled=False,
        reconnect_backoff_max_ms=1_000,
        max_poll_records=1_000,
        max_partition_fetch_bytes=MAX_MESSAGE_BYTES,
        fetch_max_wait_ms=1_000,  # of a fetch that finds nothing
    )


def damages(begins: Mapping[str, int], ends: Mapping[str, int], offsets: Mapping[str, int]) -> list[str]:
    """What Kafka lacks for a consumer with these offsets, a line for each source.

    Old commands are deleted after a time, so one that never read any may begin where they do.
    """
    found = []
    for source, end in ends.items():
        begin, stored = begins[source], offsets.get(source)
        starts_anywhere = stored is None and source.rpartition(":")[0].endswith(COMMANDS)
        if stored is not None and stored > end:
            found.append(f"{source} ends at {end}, but {stored} records of it were read before")
        elif begin > (stored or 0) and not starts_anywhere:
            found.append(f"{source} begins at {begin}: the records from {stored or 0} on are gone unread")
    return found


def _source(place: TopicPartition) -> str:
    return f"{place.topic}:{place.partition}"


def _failure_at(probe: Any, place: TopicPartition, offset: int) -> Exception | None:
    """What the client library has against the record at an offset, or None.  Raises KafkaTimeoutError."""
    probe.assign([place])
    probe.seek(place, offset)
    deadline = time.monotonic() + PROBE_SECONDS
    while time.monotonic() < deadline:
        try:
            polled = probe.poll(timeout_ms=500, max_records=1)
        except Exception as error:
            if is_transient(error):
                raise
            return error
        if polled or probe.position(place) != offset:
            return None
    raise KafkaTimeoutError(f"{_source(place)}@{offset} was not read in time")
