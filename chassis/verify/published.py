"""Kafka = stores: every public event is on its topic, in the order of its store, as it was stored, and nothing else is.

Of each event three numbers are kept: position, a digest of what it says, and its offset on Kafka.
"""

from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from chassis.foundation.config import Config
from chassis.messaging.kafka import partition_of
from chassis.messaging.partitions import PartitionReader
from chassis.messaging.records import Incoming
from chassis.store.events import Notification
from chassis.verify.findings import Difference, EventRef, Findings

CHECK = "Kafka = stores"
NOT_SEEN = -1
KEYS = 50_000


@dataclass
class Partition:
    """The events of one partition in the order of the store: what Kafka should hold, and where it does."""

    positions: "array[int]" = field(default_factory=lambda: array("q"))
    digests: "array[int]" = field(default_factory=lambda: array("q"))
    offsets: "array[int]" = field(default_factory=lambda: array("q"))
    next: int = 0

    def index(self, position: int) -> int | None:
        at = bisect_left(self.positions, position)
        return at if at < len(self.positions) and self.positions[at] == position else None


class Published:
    """What one service has published."""

    def __init__(self, service: str, sources: Collection[str]) -> None:
        self.service = service
        self.topic = f"{service}.events"
        self._sources: dict[str, str] = {}
        self._partitions = {s: Partition() for s in sources if s.rpartition(":")[0] == self.topic}

    def source_of(self, key: str) -> str:
        """The partition that takes the events of a key."""
        if key not in self._sources:  # hashing takes longer than all else that is done with an event here
            if len(self._sources) >= KEYS:
                self._sources.clear()
            self._sources[key] = f"{self.topic}:{partition_of(key, len(self._partitions))}"
        return self._sources[key]

    def expect(self, event: Notification) -> None:
        """The store holds this public event."""
        partition = self._partitions[self.source_of(event.key)]
        partition.positions.append(event.position)
        partition.digests.append(_digest(event.type, f"{event.aggregate_id}/{event.version}", event.key, event.data))
        partition.offsets.append(NOT_SEEN)

    def where(self, position: int) -> str:
        """The place of an event on Kafka, or "" when it was not seen there."""
        for source, partition in self._partitions.items():
            if (at := partition.index(position)) is not None and partition.offsets[at] != NOT_SEEN:
                return f"{source}@{partition.offsets[at]}"
        return ""

    def compare(
        self,
        config: Config,
        ends: Mapping[str, int],
        published_up_to: int,
        dropped: Collection[tuple[str, int]],
    ) -> Iterator[Difference]:
        """Read the topic up to `ends`; events up to the position `published_up_to` must be there.

        `dropped` names foreign records, by source and offset, that operators have given up.
        """
        for record in read_topic(config, self.topic, ends):
            found = self._see(record)
            if found and (record.source, record.offset) not in dropped:
                yield found
        for partition in self._partitions.values():
            for position, offset in zip(partition.positions, partition.offsets, strict=True):
                if offset == NOT_SEEN and position <= published_up_to:
                    event = EventRef(self.service, position)
                    yield Difference(CHECK, self.topic, "an event of the store is missing on Kafka", event)

    def _see(self, record: Incoming) -> Difference | None:
        partition = self._partitions[record.source]
        place = f"{record.source}@{record.offset}"
        at = None if record.poison else partition.index(record.position)
        if at is None:
            named = f"{record.type or 'unreadable'} {record.id}".strip()
            return Difference(CHECK, place, f"Kafka holds a record that the store lacks: {named}, key {record.key}")
        event = EventRef(self.service, record.position, record.type, record.id, place)
        if partition.digests[at] != _digest(record.type, record.id, record.key, record.value):
            return Difference(CHECK, place, "the record differs from the stored event", event)
        if partition.offsets[at] != NOT_SEEN:
            return None  # a repeat: the relay publishes at least once
        partition.offsets[at] = record.offset
        if at < partition.next:
            return Difference(CHECK, place, "the record came after a later one of the store", event)
        partition.next = at + 1
        return None

    @property
    def repeats_of(self) -> dict[str, int]:
        """Per partition, how many different events were seen."""
        return {s: sum(1 for o in p.offsets if o != NOT_SEEN) for s, p in self._partitions.items()}


def _digest(kind: str, id: str, key: str, data: bytes) -> int:
    return hash((kind, id, key, data))


def read_topic(config: Config, topic: str, ends: Mapping[str, int]) -> Iterator[Incoming]:
    """The records of a topic up to the offsets `ends`."""
    reader = PartitionReader(config, "verify", [topic], {})
    try:
        reader.seek({})
        while reader.is_behind(ends):
            yield from (record for record in reader.poll(500) if record.offset < ends[record.source])
    finally:
        reader.close()


def count_records(findings: Findings, ends: Mapping[str, int], published: Collection[Published]) -> None:
    """Count what was compared, and the repeats among it."""
    topics = {one.topic for one in published}
    records = sum(end for source, end in ends.items() if source.rpartition(":")[0] in topics)
    events = sum(sum(one.repeats_of.values()) for one in published)
    findings.counts["records on Kafka compared"] += records
    findings.counts["of them repeats or foreign"] += records - events
