"""Both Kafka clients keep the same promises (`chassis.kafka.port`), and readers that share a fetch: on a real Kafka."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from random import Random
from typing import Any, get_args
from uuid import uuid4

import pytest
from kafka import TopicPartition
from kafka.admin import NewTopic
from kafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError, OffsetOutOfRangeError

from chassis.foundation.config import Config, ConfigError, KafkaClient
from chassis.kafka.clients import is_librdkafka, producer, reader
from chassis.kafka.port import Producer, Reader, Record
from chassis.kafka.shared import SharedFetch
from chassis.kafka.waiting import Waiter
from chassis.messaging.kafka import admin_client, partition_of
from component.support import KafkaBench, eventually, until
from deploy.devstack.ports import free_ports

CLIENTS = [name for name in get_args(KafkaClient) if name != "auto"]
SHARED = "kafka-python, shared fetch"
PARTITIONS = 3


class Bench:
    """A topic, and clients of one kind that are closed at the end."""

    def __init__(self, config: Config, kafka: KafkaBench, fetch: SharedFetch | None = None) -> None:
        self.config = config
        self._fetch = fetch
        self.kafka = kafka
        self.topic = f"clients.{uuid4().hex}"
        self.places = [TopicPartition(self.topic, number) for number in range(PARTITIONS)]
        self._opened: list[Producer | Reader] = []

    @contextmanager
    def admin(self) -> Iterator[Any]:
        admin = admin_client(self.config)
        try:
            yield admin
        finally:
            admin.close()

    def make_topic(self, **settings: str) -> None:
        with self.admin() as admin:
            topic_settings = {name.replace("_", "."): value for name, value in settings.items()}
            admin.create_topics([NewTopic(self.topic, PARTITIONS, 1, topic_configs=topic_settings)])
        eventually(self._require_topic)

    def _require_topic(self) -> None:
        assert self.reader().partitions_for_topic(self.topic) == set(range(PARTITIONS))

    def producer(self, *, gapless: bool = False) -> Producer:
        made = producer(self.config, gapless=gapless)
        self._opened.append(made)
        return made

    def reader(self, *, assigned: bool = False) -> Reader:
        made: Reader = self._fetch.reader("test") if self._fetch else reader(self.config, "test")
        self._opened.append(made)
        if assigned:
            assert made.partitions_for_topic(self.topic)
            made.assign(self.places)
            made.seek_to_beginning(*self.places)
        return made

    def send(self, *values: bytes, partition: int = 0) -> None:
        sender = self.producer()
        sent = [sender.send(self.topic, value=value, key=b"key", partition=partition) for value in values]
        for one in sent:
            one.get(30)

    def read_to_the_end(self, client: Reader) -> list[Record]:
        found: list[Record] = []
        ends = client.end_offsets(self.places)

        def has_ended() -> bool:
            for records in client.poll(200).values():
                found.extend(records)
            return all(client.position(place) >= end for place, end in ends.items())

        until(has_ended)
        return found

    def close(self) -> None:
        for one in self._opened:
            one.close()
        if self._fetch:
            self._fetch.close()
        with self.admin() as admin:
            if self.topic in admin.list_topics():
                admin.delete_topics([self.topic])


@pytest.fixture(params=[*CLIENTS, SHARED])
def bench(request: pytest.FixtureRequest, kafka: KafkaBench) -> Iterator[Bench]:
    config = replace(kafka.config, kafka_client="kafka-python" if request.param == SHARED else request.param)
    made = Bench(config, kafka, SharedFetch(config) if request.param == SHARED else None)
    yield made
    made.close()


def values_of(records: Sequence[Record]) -> list[bytes | None]:
    return [record.value for record in records]


def test_records_come_as_they_were_sent_in_the_order_of_their_partition(bench: Bench) -> None:
    bench.make_topic()
    sender = bench.producer(gapless=True)
    headers = [
        ("ce_type", b"x"),
        ("twice", b"1"),
        ("twice", b"2"),
        ("empty", b""),
        ("größe", "小".encode()),
    ]
    sent = [
        sender.send(bench.topic, value=f"{number} 値".encode(), key=f"ключ {number % 20}".encode(), headers=headers)
        for number in range(400)
    ]
    places = [one.get(30) for one in sent]
    assert all(one.is_done for one in sent)
    assert sender.refusal is None
    found = bench.read_to_the_end(bench.reader(assigned=True))
    assert len(found) == len(sent)
    by_place = {(record.partition, record.offset): record for record in found}
    for number, place in enumerate(places):
        record = by_place[place.partition, place.offset]
        key = f"ключ {number % 20}"
        assert (record.topic, record.partition) == (bench.topic, partition_of(key, PARTITIONS))
        assert (record.key, record.value) == (key.encode(), f"{number} 値".encode())
        assert [(name, value) for name, value in record.headers] == headers
        assert record.serialized_header_size == sum(len(n.encode()) + len(v) for n, v in headers)
    for partition in range(PARTITIONS):
        offsets = [record.offset for record in found if record.partition == partition]
        assert offsets == list(range(len(offsets)))


def test_a_key_a_value_and_headers_may_be_missing(bench: Bench) -> None:
    bench.make_topic()
    bench.producer().send(bench.topic, value=b"", key=b"", partition=1).get(30)
    [record] = bench.read_to_the_end(bench.reader(assigned=True))
    assert (record.key, record.value, list(record.headers)) == (b"", b"", [])
    assert record.serialized_header_size <= 0


def test_reading_begins_where_it_is_told_to(bench: Bench) -> None:
    bench.make_topic()
    bench.send(b"a", b"b", b"c", partition=1)
    client = bench.reader(assigned=True)
    assert client.end_offsets(bench.places) == dict(zip(bench.places, (0, 3, 0), strict=True))
    assert client.beginning_offsets(bench.places) == dict.fromkeys(bench.places, 0)
    assert client.end_offsets([]) == client.beginning_offsets([]) == {}
    assert values_of(bench.read_to_the_end(client)) == [b"a", b"b", b"c"]
    client.seek(bench.places[1], 2)
    assert client.position(bench.places[1]) == 2
    assert values_of(bench.read_to_the_end(client)) == [b"c"]
    client.seek_to_beginning(*bench.places)
    assert values_of(bench.read_to_the_end(client)) == [b"a", b"b", b"c"]
    assert client.highwater(bench.places[1]) == 3
    bench.send(b"d", partition=2)
    assert values_of(bench.read_to_the_end(client)) == [b"d"]
    assert [client.position(place) for place in bench.places] == [0, 3, 1]
    client.seek(bench.places[1], 1)
    one = client.poll(30_000, max_records=1)
    assert values_of([record for records in one.values() for record in records]) == [b"b"]


def test_the_position_comes_to_the_end_also_over_records_that_were_deleted(bench: Bench) -> None:
    bench.make_topic()
    bench.send(b"a", b"b", partition=1)
    with bench.admin() as admin:
        admin.delete_records({bench.places[1]: 2})
    client = bench.reader(assigned=True)
    assert bench.read_to_the_end(client) == []
    assert client.position(bench.places[1]) == 2
    assert client.beginning_offsets([bench.places[1]]) == {bench.places[1]: 2}
    bench.send(b"c", partition=1)
    assert values_of(bench.read_to_the_end(client)) == [b"c"]


def test_a_reader_goes_on_where_the_library_does_not_come_back_from_a_wait(
    kafka: KafkaBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it is where the clock is set back by a minute while it waits: only what comes would end it."""
    monkeypatch.setattr("chassis.kafka.waiting.GRACE_SECONDS", 0.2)
    monkeypatch.setattr(
        "chassis.kafka.librdkafka.Waiter", lambda call, name: Waiter(lambda seconds: call(seconds + 60), name)
    )
    bench = Bench(replace(kafka.config, kafka_client="confluent"), kafka)
    bench.make_topic()
    client = bench.reader(assigned=True)
    until(lambda: client.poll(100) == {})
    for number in range(3):
        bench.send(b"%d" % number, partition=1)
        assert values_of(bench.read_to_the_end(client)) == [b"%d" % number]
        begin = time.monotonic()
        assert [client.poll(100) for _ in range(3)] == [{}, {}, {}]
        assert time.monotonic() - begin < 15
    client.seek(bench.places[1], 1)
    assert values_of(bench.read_to_the_end(client)) == [b"1", b"2"]
    bench.close()


@pytest.mark.parametrize("offset", [0, 7], ids=["before the oldest", "behind the end"])
def test_where_nothing_stands_nothing_is_read(bench: Bench, offset: int) -> None:
    bench.make_topic()
    bench.send(b"a", b"b", partition=1)
    with bench.admin() as admin:
        admin.delete_records({bench.places[1]: 1})
    client = bench.reader(assigned=True)
    client.seek(bench.places[1], offset)
    with pytest.raises(OffsetOutOfRangeError):
        until(lambda: bool(client.poll(500)))


def test_a_topic_that_is_not_there_is_told(bench: Bench) -> None:
    assert not bench.reader().partitions_for_topic(bench.topic)


def test_after_a_refused_record_a_producer_without_gaps_sends_none(bench: Bench) -> None:
    bench.make_topic(max_message_bytes="500")
    sender = bench.producer(gapless=True)
    long = Random(1).randbytes(2_000)  # which can not be compressed
    sent = [sender.send(bench.topic, value=value, key=b"k", partition=1) for value in (b"a", b"b")]
    assert [one.get(30).offset for one in sent] == [0, 1]
    refused = sender.send(bench.topic, value=long, key=b"k", partition=1)
    with pytest.raises(MessageSizeTooLargeError):
        refused.get(30)
    assert refused.is_done
    assert isinstance(sender.refusal, MessageSizeTooLargeError)
    with pytest.raises(KafkaError):
        sender.send(bench.topic, value=b"c", key=b"k", partition=1).get(30)
    sender.abandon()
    assert values_of(bench.read_to_the_end(bench.reader(assigned=True))) == [b"a", b"b"]


def test_what_the_library_tells_of_a_refused_record_is_logged_and_not_printed(
    bench: Bench, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """A line of the library's own on standard error is none that whoever reads the log understands."""
    bench.make_topic(max_message_bytes="2000")
    sender = bench.producer(gapless=True)
    with pytest.raises(MessageSizeTooLargeError):
        sender.send(bench.topic, value=Random(1).randbytes(9_000), key=b"k", partition=1).get(30)
    sender.abandon()
    assert capfd.readouterr().err == ""
    if is_librdkafka(bench.config):
        assert any(record.name == "librdkafka" and "FATAL" in record.getMessage() for record in caplog.records)


def test_after_a_refused_record_any_other_producer_goes_on(bench: Bench) -> None:
    bench.make_topic(max_message_bytes="500")
    sender = bench.producer()
    with pytest.raises(MessageSizeTooLargeError):
        sender.send(bench.topic, value=Random(1).randbytes(2_000), key=b"k", partition=1).get(30)
    sender.send(bench.topic, value=b"a", key=b"k", partition=1).get(30)
    assert sender.refusal is None
    assert values_of(bench.read_to_the_end(bench.reader(assigned=True))) == [b"a"]


def test_a_record_that_no_topic_takes_is_refused_before_it_is_sent(bench: Bench) -> None:
    bench.make_topic()
    sender = bench.producer(gapless=True)
    with pytest.raises(MessageSizeTooLargeError):
        sender.send(bench.topic, value=bytes(3_000_000), key=b"k").get(30)


def test_what_an_abandoned_producer_had_under_way_never_comes(bench: Bench) -> None:
    """Its topic is not there while it sends, and is made when it has ended."""
    sender = bench.producer(gapless=True)
    with pytest.raises(KafkaError):
        sender.send(bench.topic, value=b"lost", key=b"k", partition=1).get(1)
    sender.abandon()
    bench.make_topic()
    bench.send(b"later", partition=1)
    assert values_of(bench.read_to_the_end(bench.reader(assigned=True))) == [b"later"]


def test_while_nobody_answers_a_record_stays_on_its_way_and_questions_fail(bench: Bench) -> None:
    away = replace(bench.config, kafka_bootstrap_servers=f"127.0.0.1:{free_ports(1)[0]}")
    with pytest.raises(KafkaError):
        reader(away, "test").partitions_for_topic(bench.topic)
    with pytest.raises(KafkaError):
        sent = producer(away).send(bench.topic, value=b"a", key=b"k")
        try:
            sent.get(0.5)
        except KafkaTimeoutError:
            assert not sent.is_done
            raise


@pytest.mark.parametrize("name", CLIENTS)
def test_the_setting_says_which_client_is_used(name: Any) -> None:
    assert is_librdkafka(Config(kafka_client=name)) == (name == "confluent")


def test_a_client_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.kafka.clients.find_spec", lambda name: None)
    assert not is_librdkafka(Config())
    with pytest.raises(ConfigError, match="confluent-kafka"):
        is_librdkafka(Config(kafka_client="confluent"))
