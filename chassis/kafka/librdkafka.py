"""The adapter for librdkafka (the package confluent-kafka): threads in C, a tenth of the processor time a record.

Its calls block the thread that makes them, so it is not for a process that runs on eventlet.
"""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from logging import getLogger
from threading import Lock
from typing import Any, TypeVar

import confluent_kafka
import msgspec
import structlog
from kafka import TopicPartition
from kafka.errors import (
    CorruptRecordError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    LeaderNotAvailableError,
    NotLeaderForPartitionError,
    OffsetOutOfRangeError,
    SaslAuthenticationFailedError,
    UnknownTopicOrPartitionError,
    UnsupportedVersionError,
    for_code,
)

from chassis.foundation.config import Config
from chassis.foundation.connections import BOOTSTRAP_MS, librdkafka_settings
from chassis.foundation.limits import MAX_MESSAGE_BYTES
from chassis.kafka.port import Headers, Record
from chassis.kafka.waiting import Overdue, Waiter

log = structlog.get_logger()
T = TypeVar("T")

ANSWER_SECONDS = BOOTSTRAP_MS / 1000
EMPTY_FETCH_MS = 100
"""So long a fetch that finds nothing waits at the broker.  A partition that is assigned meanwhile waits for its end."""
NO_LEADER_SECONDS = 0.02
"""How soon it is asked again for a partition that has no leader yet."""
MAX_RECORDS = 1_000
OLDEST = -1
"""Stands for the offset of the oldest record that is still there."""

_Error = confluent_kafka.KafkaError
_LOCAL: Mapping[int, type[KafkaError]] = {
    _Error._TIMED_OUT: KafkaTimeoutError,
    _Error._MSG_TIMED_OUT: KafkaTimeoutError,
    _Error._TRANSPORT: KafkaConnectionError,
    _Error._ALL_BROKERS_DOWN: KafkaConnectionError,
    _Error._RESOLVE: KafkaConnectionError,
    _Error._SSL: KafkaConnectionError,
    _Error._AUTHENTICATION: SaslAuthenticationFailedError,
    _Error._UNKNOWN_TOPIC: UnknownTopicOrPartitionError,
    _Error._UNKNOWN_PARTITION: UnknownTopicOrPartitionError,
    _Error._AUTO_OFFSET_RESET: OffsetOutOfRangeError,
    _Error._BAD_MSG: CorruptRecordError,
    _Error._BAD_COMPRESSION: CorruptRecordError,
}
_NOT_OURS = frozenset(
    {
        *(_Error.GROUP_AUTHORIZATION_FAILED, _Error.COORDINATOR_NOT_AVAILABLE, _Error.NOT_COORDINATOR),
        *(_Error.COORDINATOR_LOAD_IN_PROGRESS, _Error._TRANSPORT, _Error._ALL_BROKERS_DOWN, _Error._RESOLVE),
    }
)
"""What a reader is told and goes on with: it belongs to no group, and connects again by itself."""


def error_of(error: Any) -> KafkaError:
    """What librdkafka reports, as the error of kafka-python that means the same."""
    code: int = error.code()
    kind: type[KafkaError] = _LOCAL.get(code) or (for_code(code) if code > 0 else KafkaError)
    return kind(error.str())


class _Connection:
    """Settings that both kinds of client have, and the last thing that was wrong with a connection."""

    def __init__(self, config: Config) -> None:
        self._trouble: KafkaError | None = None
        self._servers = config.kafka_bootstrap_servers
        self.settings: dict[str, Any] = {
            **librdkafka_settings(config),
            "error_cb": self._note,
            "logger": getLogger("librdkafka"),  # it would write lines of its own on standard error
            "allow.auto.create.topics": False,
            "reconnect.backoff.ms": 10,
            "reconnect.backoff.max.ms": 1_000,
            "log.connection.close": False,
            "log_level": 2,  # what matters is raised, or told with a timeout
        }

    def _note(self, error: Any) -> None:
        self._trouble = error_of(error)

    def failure(self, what: str) -> KafkaError:
        """The error for an answer that did not come in time.  Who was not let in is told so."""
        if isinstance(self._trouble, SaslAuthenticationFailedError):
            return self._trouble
        return KafkaTimeoutError(f"{what}; {self._trouble!r}" if self._trouble else what)

    def ask(self, question: Callable[[], T]) -> T:
        """What the brokers answer to a call of the library.  Raises KafkaError."""
        try:
            return question()
        except confluent_kafka.KafkaException as error:
            found = error_of(error.args[0])
            if isinstance(found, KafkaTimeoutError | KafkaConnectionError):
                raise self.failure(f"no broker answers at {self._servers}: {error.args[0].str()}") from error
            raise found from error


# -- records out ------------------------------------------------------------------------------------------------------


class Sent:
    """`chassis.kafka.port.Acknowledgement`, and the place that it tells."""

    __slots__ = ("_error", "_producer", "is_done", "offset", "partition", "topic")

    def __init__(self, producer: "LibrdkafkaProducer", topic: str) -> None:
        self._producer = producer
        self._error: KafkaError | None = None
        self.topic = topic
        self.partition = self.offset = -1
        self.is_done = False

    def delivered(self, error: Any, message: Any) -> None:
        if error is None:
            self.partition, self.offset = message.partition(), message.offset()
            self.is_done = True
        else:
            self.refuse(error_of(error))

    def refuse(self, error: KafkaError) -> None:
        self._error = error
        self._producer.note(error)
        self.is_done = True

    def get(self, timeout: float | None = None) -> "Sent":
        self._producer.wait_for(self, timeout)
        if self._error is not None:
            raise self._error
        return self


class LibrdkafkaProducer:
    """`chassis.kafka.port.Producer` by librdkafka.

    Whoever waits for an acknowledgement also serves the others': no thread of ours does.
    """

    def __init__(self, config: Config, *, gapless: bool) -> None:
        self.refusal: KafkaError | None = None
        self._gapless = gapless
        self._serving = Lock()
        self._connection = _Connection(config)
        self._client: Any | None = confluent_kafka.Producer(
            {
                **self._connection.settings,
                "acks": "all",
                "enable.idempotence": True,
                "enable.gapless.guarantee": gapless,
                "message.timeout.ms": 0,  # it never gives a record up
                "linger.ms": 1,
                "batch.size": 131_072,
                "compression.type": "lz4",
                "message.max.bytes": MAX_MESSAGE_BYTES,
                "partitioner": "murmur2_random",  # Kafka's own, by the key
                "topic.metadata.propagation.max.ms": 10_000,  # so long a record waits for a topic that is not there
            }
        )

    @property
    def _open(self) -> Any:
        """The library's producer.  Raises KafkaConnectionError when it has ended."""
        if self._client is None:
            raise KafkaConnectionError("this producer has ended")
        return self._client

    def note(self, error: KafkaError) -> None:
        if self._gapless:
            self.refusal = self.refusal or error

    def send(self, topic: str, value: bytes, key: bytes, headers: Headers = (), partition: int | None = None) -> Sent:
        sent = Sent(self, topic)
        place = -1 if partition is None else partition
        while True:
            try:
                self._open.produce(topic, value, key, place, sent.delivered, headers=list(headers))
            except BufferError:  # so much is on its way that no more is taken
                self._serve(0.1)
            except confluent_kafka.KafkaException as error:
                sent.refuse(error_of(error.args[0]))
                return sent
            else:
                return sent

    def wait_for(self, sent: Sent, timeout: float | None) -> None:
        """Raises KafkaTimeoutError."""
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        while not sent.is_done:
            left = deadline - time.monotonic()
            if left <= 0:
                raise self._connection.failure(f"{sent.topic}: no acknowledgement yet")
            with self._serving:  # who waits for it finds that its own was served meanwhile
                if not sent.is_done:
                    self._serve(min(left, 1.0))

    def _serve(self, seconds: float) -> None:
        """Let acknowledgements that have come be noted, as soon as one has."""
        try:
            self._open.poll(seconds)
        except confluent_kafka.KafkaException as error:  # it sends no more: each record is told its own reason next
            log.error("producer ends", error=error.args[0].str())

    def flush(self, timeout: float | None = None) -> None:
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        with self._serving:
            while left := len(self._open):
                if time.monotonic() >= deadline:
                    raise self._connection.failure(f"{left} records are still on their way")
                self._serve(min(deadline - time.monotonic(), 1.0))

    def abandon(self) -> None:
        with self._serving:
            self._client = None  # nobody else holds it: it ends here, with its threads

    def close(self, timeout: float | None = None) -> None:
        if self._client is not None:
            try:
                self.flush(timeout)
            except KafkaTimeoutError as error:
                log.warning("producer closed with records under way", error=repr(error))
        self.abandon()


# -- records in -------------------------------------------------------------------------------------------------------


class ReadRecord(msgspec.Struct, gc=False):
    """`chassis.kafka.port.Record`."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    @property
    def serialized_header_size(self) -> int:
        names = sum([len(name) if name.isascii() else len(name.encode()) for name, _ in self.headers])
        return names + sum([len(value) for _, value in self.headers if value])


class LibrdkafkaReader:
    """`chassis.kafka.port.Reader` by librdkafka.

    It keeps the positions itself: the library is assigned anew, at the next poll, when one of them was changed.  And it
    goes on with a new client where the library does not come back from a wait, since somebody has set the clock back.
    """

    def __init__(self, config: Config, client_id: str) -> None:
        self._at: dict[TopicPartition, int] = {}
        self._is_moved = False
        self._connection = _Connection(config)
        self._name = client_id
        self._open()

    def _open(self) -> None:
        self._client = confluent_kafka.Consumer(
            {
                **self._connection.settings,
                "client.id": self._name,
                "group.id": self._name,  # the library asks for one; nothing is ever committed to it
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "error",
                "enable.partition.eof": True,  # tells the position behind records that were deleted
                "check.crcs": True,
                "fetch.wait.max.ms": EMPTY_FETCH_MS,
                "fetch.queue.backoff.ms": 10,
                "fetch.message.max.bytes": MAX_MESSAGE_BYTES,
                "queued.min.messages": 2 * MAX_RECORDS,
                "queued.max.messages.kbytes": 1024,
            }
        )
        self._waiter: Waiter[Any] = Waiter(self._client.poll, f"{self._name}-waits")

    def partitions_for_topic(self, topic: str) -> set[int]:
        found = self._connection.ask(lambda: self._client.list_topics(topic, timeout=ANSWER_SECONDS)).topics[topic]
        if found.error is None:
            return set(found.partitions)
        error = error_of(found.error)
        if isinstance(error, UnknownTopicOrPartitionError):
            return set()
        raise error

    def assign(self, places: Iterable[TopicPartition]) -> None:
        self._at = {TopicPartition(*place): OLDEST for place in places}
        self._is_moved = True

    def seek(self, place: TopicPartition, offset: int) -> None:
        if self._at[place] != offset:
            self._at[place] = offset
            self._is_moved = True

    def seek_to_beginning(self, *places: TopicPartition) -> None:
        for place in places:
            self.seek(place, OLDEST)

    def position(self, place: TopicPartition) -> int:
        if self._at[place] == OLDEST:  # asked for all at once: each question is a round trip
            self._at |= self.beginning_offsets([one for one, at in self._at.items() if at == OLDEST])
        return self._at[place]

    def end_offsets(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return self._offsets(places, confluent_kafka.OFFSET_END)

    def beginning_offsets(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return self._offsets(places, confluent_kafka.OFFSET_BEGINNING)

    def _offsets(self, places: Iterable[TopicPartition], which: int) -> dict[TopicPartition, int]:
        """One request for all: the library hands on as times what Kafka takes for the ends of a partition."""
        asked = [confluent_kafka.TopicPartition(place.topic, place.partition, which) for place in places]
        if not asked:
            return {}
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            try:
                found = self._connection.ask(lambda: self._client.offsets_for_times(asked, timeout=ANSWER_SECONDS))
                return {TopicPartition(one.topic, one.partition): _offset_of(one) for one in found}
            except (UnsupportedVersionError, NotLeaderForPartitionError, LeaderNotAvailableError):
                # So it says while it knows no leader of a partition: the topic is new, or has moved.
                for topic in {place.topic for place in asked}:
                    if not self.partitions_for_topic(topic):  # which has it ask anew who leads, too
                        raise UnknownTopicOrPartitionError(topic) from None
                if time.monotonic() > deadline:
                    raise
                time.sleep(NO_LEADER_SECONDS)

    def highwater(self, place: TopicPartition) -> int | None:
        asked = confluent_kafka.TopicPartition(place.topic, place.partition)
        _, highest = self._client.get_watermark_offsets(asked, cached=True)
        return highest if highest >= 0 else None

    def poll(self, timeout_ms: int = 0, max_records: int | None = None) -> Mapping[TopicPartition, Sequence[Record]]:
        deadline = time.monotonic() + timeout_ms / 1000
        limit = max_records or MAX_RECORDS
        self._move()
        while (message := self._next(deadline)) is not None:
            rest = self._client.consume(limit - 1, 0) if limit > 1 else ()
            if found := self._sorted([message, *rest]):
                return found
        return {}

    def _next(self, deadline: float) -> Any:
        """What the library has next, or None at the deadline (monotonic, seconds)."""
        message = self._client.poll(0)
        left = deadline - time.monotonic()
        if message is not None or left <= 0:
            return message
        try:
            return self._waiter.wait(left)
        except Overdue as error:
            log.warning("a new Kafka client goes on: was the clock set back?", error=str(error))
            self._waiter.end()  # the old client ends with its thread, when something comes
            self._open()
            self._is_moved = True
            return None

    def _move(self) -> None:
        if not self._is_moved:
            return
        self._client.assign(
            [
                confluent_kafka.TopicPartition(
                    place.topic, place.partition, confluent_kafka.OFFSET_BEGINNING if at == OLDEST else at
                )
                for place, at in self._at.items()
            ]
        )
        self._is_moved = False

    def _sorted(self, messages: Sequence[Any]) -> Mapping[TopicPartition, Sequence[Record]]:
        """The records by place.

        Behind an error nothing is taken: all is read again from there, so that it comes once more, as the first.
        """
        found: dict[TopicPartition, list[Record]] = defaultdict(list)
        for message in messages:
            error = message.error()
            if error is None:
                place = TopicPartition(message.topic(), message.partition())
                try:
                    record = _record(message, place)
                except Exception as unreadable:  # it is no text where the library takes it for such
                    return self._up_to(unreadable, found)
                found[place].append(record)
                self._at[place] = record.offset + 1
            elif error.code() == _Error._PARTITION_EOF:
                place = TopicPartition(message.topic(), message.partition())
                self._at[place] = message.offset()
            elif error.code() not in _NOT_OURS:
                return self._up_to(error_of(error), found)
        return found

    def _up_to(
        self, error: Exception, found: Mapping[TopicPartition, Sequence[Record]]
    ) -> Mapping[TopicPartition, Sequence[Record]]:
        """What was found before an error.  Raises it when that is nothing."""
        self._is_moved = True
        if not found:
            raise error
        return found

    def close(self) -> None:
        self._waiter.end()
        self._client.close()


def _offset_of(found: Any) -> int:
    """Raises the error for which there is none."""
    if found.error is not None:
        raise error_of(found.error)
    return int(found.offset)


def _record(message: Any, place: TopicPartition) -> ReadRecord:
    return ReadRecord(
        place.topic, place.partition, message.offset(), message.key(), message.value(), message.headers() or ()
    )
