"""Readers that share one fetch each read everything once and in order, whoever joins, falls behind or fails."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from kafka import TopicPartition
from kafka.admin import NewTopic
from kafka.errors import OffsetOutOfRangeError

from chassis.kafka import shared
from chassis.kafka.clients import producer
from chassis.kafka.port import Producer
from chassis.kafka.shared import SharedFetch, SharedReader
from chassis.messaging.kafka import admin_client
from component.support import KafkaBench, eventually, until

PARTITIONS = 3


class Bench:
    """Some topics, a producer, and readers that share a fetch."""

    def __init__(self, kafka: KafkaBench) -> None:
        self.config = replace(kafka.config, kafka_client="kafka-python")
        self.fetch = SharedFetch(self.config)
        self.topics = [f"shared.{uuid4().hex}" for _ in range(2)]
        self.producer: Producer = producer(self.config)
        self.admin = admin_client(self.config)
        self._readers: list[SharedReader] = []
        self.admin.create_topics([NewTopic(topic, PARTITIONS, 1) for topic in self.topics])
        eventually(self._require_topics)

    def _require_topics(self) -> None:
        reader = self.fetch.reader("there")
        try:
            assert all(reader.partitions_for_topic(topic) == set(range(PARTITIONS)) for topic in self.topics)
        finally:
            reader.close()

    def places(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for number in range(PARTITIONS)]

    def send(self, *values: bytes, topic: str, partition: int = 0) -> None:
        for one in [self.producer.send(topic, value, b"k", partition=partition) for value in values]:
            one.get(30)

    def reader(self, *topics: str, at: int = 0) -> "Reading":
        made = self.fetch.reader("test")
        self._readers.append(made)
        return Reading(made, [place for topic in topics for place in self.places(topic)], at)

    def close(self) -> None:
        for one in self._readers:
            one.close()
        self.fetch.close()
        self.producer.close(10)
        self.admin.delete_topics(self.topics)
        self.admin.close()


class Reading:
    """A reader and all that it has read."""

    def __init__(self, reader: SharedReader, places: Sequence[TopicPartition], at: int) -> None:
        self.reader, self.places = reader, places
        self.offsets: dict[TopicPartition, list[int]] = {place: [] for place in places}
        self.values: list[bytes | None] = []
        reader.assign(places)
        for place in places:
            reader.seek(place, at)

    def poll(self, timeout_ms: int = 200) -> None:
        for place, records in self.reader.poll(timeout_ms).items():
            for record in records:
                self.offsets[place].append(record.offset)
                self.values.append(record.value)
            assert self.reader.position(place) == records[-1].offset + 1

    def join(self) -> None:
        """Read until it has joined, and the fetch has taken it in."""

        def joined() -> bool:
            self.poll()
            return self.reader.has_joined

        until(joined)

    def read(self, *values: bytes) -> None:
        """Read until these came, and nothing but these since the last time."""

        def came() -> bool:
            self.poll()
            return len(self.values) >= len(values)

        until(came)
        assert sorted(value or b"" for value in self.values) == sorted(values)
        self.values.clear()

    def require_all_in_order(self) -> None:
        for place, offsets in self.offsets.items():
            assert offsets == list(range(len(offsets))), place


@pytest.fixture
def bench(kafka: KafkaBench) -> Iterator[Bench]:
    made = Bench(kafka)
    yield made
    made.close()


def test_each_reader_gets_what_it_wants_from_one_fetch(bench: Bench) -> None:
    first, second = bench.topics
    bench.send(b"before", topic=first)
    one, other, both = bench.reader(first), bench.reader(second), bench.reader(first, second)
    one.read(b"before")
    both.read(b"before")
    for reading in (one, other, both):
        reading.join()
    bench.send(b"a", b"b", topic=first, partition=1)
    bench.send(b"c", topic=second)
    one.read(b"a", b"b")
    other.read(b"c")
    both.read(b"a", b"b", b"c")
    for reading in (one, other, both):
        assert reading.reader.has_joined
        reading.require_all_in_order()
        assert all(reading.reader.highwater(place) == len(reading.offsets[place]) for place in reading.places)
        assert reading.reader.end_offsets(reading.places) == {p: len(o) for p, o in reading.offsets.items()}


def test_who_joins_later_from_a_lower_offset_misses_nothing_and_repeats_nothing_for_others(bench: Bench) -> None:
    first, _ = bench.topics
    early = bench.reader(first)
    early.join()
    bench.send(b"a", b"b", topic=first)
    early.read(b"a", b"b")
    late = bench.reader(first, at=0)
    places = dict.fromkeys(late.places, 0)
    late.reader._at, late.reader._ends = dict(places), dict(places)
    late.reader._member = bench.fetch.join(places)  # as if it had come to the end before a and b were there
    late.read(b"a", b"b")
    bench.send(b"c", topic=first)
    early.read(b"c")
    late.read(b"c")
    for reading in (early, late):
        assert reading.reader.has_joined
        reading.require_all_in_order()


def test_who_is_far_behind_reads_alone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "MOST_BEHIND", 5)
    first, _ = bench.topics
    early = bench.reader(first)
    early.join()
    values = [b"%d" % number for number in range(20)]
    bench.send(*values, topic=first)
    early.read(*values)
    member = bench.fetch.join(dict.fromkeys(early.places, 0))
    assert member.handed.get(timeout=30) is None
    bench.send(b"z", topic=first)
    early.read(b"z")
    early.require_all_in_order()


def test_a_reader_that_takes_nothing_is_let_go_and_gets_all_the_same(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "MOST_WAITING", 50)
    first, _ = bench.topics
    quick, slow = bench.reader(first), bench.reader(first)
    quick.join()
    slow.join()
    values = [b"%d" % number for number in range(400)]
    for at in range(0, 400, 40):
        bench.send(*values[at : at + 40], topic=first)
        quick.read(*values[at : at + 40])
    assert slow.reader.has_joined  # it has not looked yet
    slow.read(*values)
    slow.join()
    bench.send(b"z", topic=first)
    slow.read(b"z")
    quick.read(b"z")
    slow.require_all_in_order()
    quick.require_all_in_order()


def test_an_error_is_met_by_whom_it_concerns_alone(bench: Bench) -> None:
    first, second = bench.topics
    bench.send(b"a", b"b", topic=first)
    bench.admin.delete_records({bench.places(first)[0]: 2})
    other, failing = bench.reader(second), bench.reader(first)
    other.join()
    with pytest.raises(OffsetOutOfRangeError):
        until(lambda: bool(failing.reader.poll(500)))
    member = bench.fetch.join(dict.fromkeys(failing.places, 0))  # the fetch meets it for all who have joined
    assert member.handed.get(timeout=30) is None
    bench.send(b"c", topic=second)
    other.read(b"c")
    other.join()
    bench.send(b"d", topic=second)
    other.read(b"d")
    other.require_all_in_order()


def test_readers_move_as_they_like_while_records_come(bench: Bench) -> None:
    """Each of twenty readers that join, are moved and look seldom reads what stands there from where it was moved."""
    chance = Random(20)
    readings = [bench.reader(*chance.sample(bench.topics, chance.randint(1, 2))) for _ in range(20)]
    sent = dict.fromkeys((place for topic in bench.topics for place in bench.places(topic)), 0)
    expected = {id(one): dict.fromkeys(one.places, 0) for one in readings}
    joined = 0
    for _ in range(400):
        if chance.random() < 0.3:
            place = chance.choice(sorted(sent))
            count = chance.randint(1, 8)
            bench.send(*[b"%d" % (sent[place] + n) for n in range(count)], topic=place.topic, partition=place.partition)
            sent[place] += count
        reading = chance.choice(readings)
        at = expected[id(reading)]
        if chance.random() < 0.1:
            place = chance.choice(reading.places)
            at[place] = chance.randint(0, sent[place])
            reading.reader.seek(place, at[place])
        for place, records in reading.reader.poll(chance.choice([0, 20, 100])).items():
            for record in records:
                assert (record.offset, record.value) == (at[place], b"%d" % at[place])
                at[place] += 1
            assert reading.reader.position(place) == at[place]
        joined += reading.reader.has_joined
    for reading in readings:
        at = expected[id(reading)]

        def is_through(reading: Reading = reading, at: dict[TopicPartition, int] = at) -> bool:
            for place, records in reading.reader.poll(200).items():
                assert [record.offset for record in records] == list(range(at[place], at[place] + len(records)))
                at[place] += len(records)
            return all(at[place] == sent[place] for place in reading.places)

        until(is_through)
    assert joined > 50, "nearly all of it was read alone"


def test_a_client_that_fails_and_cannot_be_closed_ends_no_thread(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(name)

    first, _ = bench.topics
    with monkeypatch.context() as broken:
        broken.setattr(shared, "client", lambda config, name: Broken())
        assert bench.fetch.join(dict.fromkeys(bench.places(first), 0)).handed.get(timeout=30) is None
    reading = bench.reader(first)
    reading.join()
    bench.send(b"a", topic=first)
    reading.read(b"a")
    assert reading.reader.has_joined


def test_after_its_end_everybody_reads_alone(bench: Bench) -> None:
    first, _ = bench.topics
    reading = bench.reader(first)
    reading.join()
    bench.fetch.close()
    bench.send(b"a", topic=first)
    reading.read(b"a")
