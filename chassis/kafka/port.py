"""What the product needs of a Kafka client.

Places (`kafka.TopicPartition`) and errors (`kafka.errors`) are those of kafka-python in both adapters: it is always
installed, and what may pass is told from what may not by them (`chassis.foundation.transient`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from kafka import TopicPartition
from kafka.errors import KafkaError

Headers = Sequence[tuple[str, bytes | None]]


class Acknowledgement(Protocol):
    """Of one record that was sent: what the brokers have said of it, if they have."""

    @property
    def is_done(self) -> bool:
        """Whether the brokers have taken it or refused it."""

    def get(self, timeout: float | None = None) -> Any:
        """Where the brokers have put it: `topic`, `partition` and `offset` (below 0 where they do not say).

        Raises KafkaTimeoutError when nobody knows yet - it stays on its way - and another KafkaError when it is refused
        for good.
        """


class Producer(Protocol):
    """Sends records: idempotent, acknowledged by all replicas, in order within a partition, for as long as it takes."""

    @property
    def refusal(self) -> KafkaError | None:
        """The first error for which a producer without gaps has ended."""

    def send(
        self, topic: str, value: bytes, key: bytes, headers: Headers = (), partition: int | None = None
    ) -> Acknowledgement:
        """Put a record on its way; without a partition, to that of its key (`chassis.messaging.kafka.partition_of`)."""

    def flush(self, timeout: float | None = None) -> None:
        """Wait until nothing is on its way.  Raises KafkaTimeoutError."""

    def abandon(self) -> None:
        """End at once: when this returns, nothing that the brokers have not taken will ever be sent."""

    def close(self, timeout: float | None = None) -> None:
        """Send what is on its way, as far as that can be done in time (seconds), and end."""


class Record(Protocol):
    """A record as it was read."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    @property
    def serialized_header_size(self) -> int:
        """Bytes of names and values; 0 or below without any."""


class Reader(Protocol):
    """Reads the partitions it is assigned, from where it is told to; keeps no offsets on Kafka.

    Everything but `poll` asks the brokers and raises KafkaError while they do not answer; `poll` finds nothing then.
    """

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        """The numbers of its partitions; none, or None, where there is no such topic."""

    def assign(self, places: Iterable[TopicPartition]) -> None: ...

    def seek(self, place: TopicPartition, offset: int) -> None: ...

    def seek_to_beginning(self, *places: TopicPartition) -> None: ...

    def position(self, place: TopicPartition) -> int:
        """The offset up to which the reading has come, over records that were deleted too."""

    def end_offsets(self, places: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]: ...

    def beginning_offsets(self, places: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]: ...

    def highwater(self, place: TopicPartition) -> int | None:
        """The end of a partition as the last fetch told; None or 0 before that."""

    def poll(self, timeout_ms: int = 0, max_records: int | None = None) -> Mapping[TopicPartition, Sequence[Record]]:
        """The next records, as soon as there are any, in order within each partition.

        Raises OffsetOutOfRangeError where nothing stands, UnknownTopicOrPartitionError, what the brokers have against
        us, and what the client has against a record; the position is then before that record.
        """

    def close(self) -> None: ...
