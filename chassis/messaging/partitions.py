"""Reading partitions from the offsets that a consumer has stored, and noticing topics that lack something."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial

import structlog
from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError

from chassis.foundation.config import Config
from chassis.foundation.transient import is_transient
from chassis.kafka.clients import reader as new_reader
from chassis.kafka.port import Reader
from chassis.messaging.kafka import COMMANDS
from chassis.messaging.provenance import DEAD_LETTERS
from chassis.messaging.records import Incoming, read_record, unreadable_record

log = structlog.get_logger()
PROBE_SECONDS = 30.0
Place = tuple[str, int]
"""A source, and an offset in it."""


class TopicsDamaged(Exception):
    """Topics are missing, have other partitions than before, or lack records.  Nobody may go on as if nothing was.

    docs/runbooks/topic-lost.md
    """


def damaged_topics(config: Config, topics: Sequence[str]) -> dict[str, str]:
    """The topics that do not exist, or not with their partitions, and what is wrong with each.  Raises KafkaError."""
    client = new_reader(config, "topics")
    try:
        return _damaged(config, _numbers(client, topics))
    finally:
        client.close()


def _numbers(client: Reader, topics: Sequence[str]) -> dict[str, list[int]]:
    """The partitions of each topic; none where it does not exist."""
    return {topic: sorted(client.partitions_for_topic(topic) or ()) for topic in topics}


def _damaged(config: Config, found: Mapping[str, Sequence[int]]) -> dict[str, str]:
    damaged: dict[str, str] = {}
    for topic, numbers in found.items():
        wanted = 1 if topic.endswith(DEAD_LETTERS) else config.topic_partitions
        if not numbers:
            damaged[topic] = "does not exist"
        elif len(numbers) != wanted:
            damaged[topic] = (
                f"has {len(numbers)} partitions, it was to have {wanted} (TOPIC_PARTITIONS): "
                "the order of its keys would be lost"
            )
    return damaged


class PartitionReader:
    """Reads all partitions of some topics, or `only` some, each from the offset its consumer has stored."""

    def __init__(
        self,
        config: Config,
        client_id: str,
        topics: Sequence[str],
        wanted: Mapping[str, type],
        *,
        only: Collection[str] | None = None,
        readers: Callable[[str], Reader] | None = None,
    ) -> None:
        """It reads by what `readers` makes for this client id, as a rule a client of its own.

        Raises TopicsDamaged when a topic does not exist, or not with its partitions.
        """
        self._config = config
        self._wanted = wanted
        self._consumer = (readers or partial(new_reader, config))(client_id)
        try:
            self._partitions = self._found(topics)
        except Exception:
            self._consumer.close()
            raise
        self._numbers = Counter(tp.topic for tp in self._partitions)
        if only is not None:
            self._partitions = [tp for tp in self._partitions if _source(tp) in only]
        self._consumer.assign(self._partitions)

    def _found(self, topics: Sequence[str]) -> list[TopicPartition]:
        found = _numbers(self._consumer, topics)
        if damaged := _damaged(self._config, found):
            told = "; ".join(f"{topic} {wrong}" for topic, wrong in damaged.items())
            raise TopicsDamaged(f"{told}. Run `salestream topics check`")
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
        probe = new_reader(self._config, "probe")
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

    def require_all_before(self, offsets: Mapping[str, int]) -> None:
        """Raises TopicsDamaged unless all records before these offsets, from the first one on, can still be there."""
        self.require_whole({source: 0 for source in self.sources})
        self.require_whole({source: offsets.get(source, 0) for source in self.sources})

    def just_before(self, offsets: Mapping[str, int]) -> list[Incoming]:
        """The record just before each of these offsets, where there is one.  Ends at no particular place: seek again.

        Raises KafkaTimeoutError where Kafka does not give one in time.
        """
        return list(self.all_before(offsets.items()).values())

    def all_before(self, places: Iterable[Place]) -> dict[Place, Incoming]:
        """As `just_before`, for any number of offsets of each source.

        The ends are asked for once, and the places read in rounds, one of each source at a time: readers of a topic
        mostly stand at the same place.
        """
        begins, ends = self.begin_offsets(), self.end_offsets()
        left: defaultdict[str, list[int]] = defaultdict(list)
        for source, at in sorted(set(places)):
            if source in begins and begins[source] < at <= ends[source]:
                left[source].append(at)
        found: dict[Place, Incoming] = {}
        while wanted := {source: offsets.pop() for source, offsets in left.items() if offsets}:
            found |= self._round_before(wanted, ends)
        return found

    def _round_before(self, wanted: dict[str, int], ends: Mapping[str, int]) -> dict[Place, Incoming]:
        found: dict[Place, Incoming] = {}
        deadline = time.monotonic() + PROBE_SECONDS
        self.seek({source: wanted.get(source, end + 1) - 1 for source, end in ends.items()})
        while wanted:
            if time.monotonic() > deadline:
                raise KafkaTimeoutError(f"the records before {wanted} were not read in time")
            for record in self.poll(500):
                if wanted.get(record.source) == record.offset + 1:
                    found[record.source, record.offset + 1] = record
                    del wanted[record.source]
                    self.skip_to(record.source, ends[record.source])
        return found

    def skip_to(self, source: str, offset: int) -> None:
        """Read on from an offset, in one source."""
        topic, _, number = source.rpartition(":")
        self._consumer.seek(TopicPartition(topic, int(number)), offset)

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


def _failure_at(probe: Reader, place: TopicPartition, offset: int) -> Exception | None:
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
