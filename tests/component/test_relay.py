"""The relay on real Kafka: every public event and outgoing command, in order, under the same ids however often."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from chassis.foundation.config import Config
from chassis.foundation.limits import MAX_MESSAGE_BYTES
from chassis.messaging import relay
from chassis.messaging.kafka import event_topics
from chassis.messaging.records import Incoming
from chassis.messaging.relay import COMMAND_SENT, POSITION, Relay, StoreBehindKafka
from chassis.model.commands import CommandSent
from chassis.sagas.runner import SagaRunner
from chassis.store.event_store import EventStore
from chassis.store.events import fact_class
from chassis.store.memory import MemoryRecorder
from chassis.testing.people import SALES, WAREHOUSE
from chassis.testing.services import InMemoryService
from component.facts import NOW, incoming, product, submitted
from component.support import KafkaBench, until
from contracts.declare import REGISTRY
from contracts.inventory import AdjustStock, ReceiveStock
from contracts.schemas import decode, encode
from services.fulfilment.saga import SAGA
from services.inventory.application import SERVICE

HAN = [chr(code) for code in range(0x4E00, 0x9FA6)]


@pytest.fixture
def kit() -> InMemoryService:
    """Inventory after some days' work: products of several keys, internal events in between."""
    kit = InMemoryService(SERVICE)
    for number in range(6):
        id = UUID(int=Random(number).getrandbits(128), version=4)  # the same keys, so the same partitions, in each run
        kit.do(product(product_id=id, opening_stock=10, alert_quantity=9), by=WAREHOUSE)
        for step in range(number + 1):
            kit.pass_time(seconds=1)
            kit.do(AdjustStock(product_id=id, change=-1, reason=f"{step} 手机"), by=WAREHOUSE)
    return kit


def drain(relay: Relay) -> int:
    """Publish all there is; returns how many events that were."""
    total = 0
    while found := relay.step():
        total += found
    return total


@contextmanager
def at_work(relay: Relay) -> Iterator[None]:
    """The relay in a thread, as in its process."""
    stop = threading.Event()
    thread = threading.Thread(target=relay.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def ids(records: list[Incoming]) -> set[str]:
    return {record.id for record in records}


def test_every_public_event_arrives_exactly_as_stored(kafka: KafkaBench, kit: InMemoryService) -> None:
    stored = kit.store.notifications(0, 1_000)
    public = [event for event in stored if event.type in REGISTRY.events]
    internal = [event for event in stored if event.type not in REGISTRY.events]
    assert public and internal

    assert drain(Relay(kit.store, kafka.new_producer)) == len(stored)

    records = kafka.records("inventory.events")
    assert len(records) == len(public)
    by_id = {record.id: record for record in records}
    for event in public:
        record = by_id[f"{event.aggregate_id}/{event.version}"]
        fact: Any = decode(fact_class(event.type), record.value)
        assert record.value == event.data == encode(fact)  # the contract's JSON, byte for byte
        assert record.key == str(getattr(fact, REGISTRY.event_of(type(fact)).key))
        assert dict(record.headers) == {
            "ce_specversion": "1.0",
            "ce_id": f"{event.aggregate_id}/{event.version}",
            "ce_source": "/salestream/inventory",
            "ce_type": event.type,
            "ce_time": event.meta.at.isoformat(),
            "ce_day": event.meta.at.astimezone(Config().zone).date().isoformat(),
            "ce_subject": event.key,
            "ce_sequence": f"{event.version:020d}",
            "ce_position": str(event.position),
            "ce_correlationid": event.meta.correlation_id,
            "ce_causationid": event.meta.causation_id,
            "ce_authid": str(WAREHOUSE.user_id),
            "content-type": "application/json",
        }
    for topic in event_topics():
        assert topic == "inventory.events" or kafka.records(topic) == []


def test_positions_grow_in_each_partition_and_a_key_stays_in_one(kafka: KafkaBench, kit: InMemoryService) -> None:
    drain(Relay(kit.store, kafka.new_producer))
    records = kafka.records("inventory.events")
    sources: dict[str, list[int]] = defaultdict(list)
    homes: dict[str, set[str]] = defaultdict(set)
    for record in records:
        sources[record.source].append(record.position)
        homes[record.key].add(record.source)
    assert len(sources) == kafka.config.topic_partitions
    for positions in sources.values():
        assert positions == sorted(set(positions))
    assert all(len(found) == 1 for found in homes.values())


def test_internal_events_never_leave(kafka: KafkaBench, kit: InMemoryService) -> None:
    drain(Relay(kit.store, kafka.new_producer))
    types = {record.type for record in kafka.records("inventory.events")}
    assert types <= set(REGISTRY.events)
    internal = [event for event in kit.store.notifications(0, 1_000) if event.type not in REGISTRY.events]
    assert internal
    everything = b"".join(record.value for record in kafka.records("inventory.events"))
    assert not any(event.type.encode() in everything for event in internal)


def test_a_commands_record_goes_to_its_services_topic(kafka: KafkaBench) -> None:
    store = EventStore("fulfilment", MemoryRecorder())
    runner = SagaRunner(SAGA, store, timeout=timedelta(seconds=30), clock=lambda: NOW)
    runner.offsets(["orders.events:0"])
    runner.process([incoming(submitted(SALES, "100.00"), 1), incoming(submitted(SALES, "9000.00", approval=True), 2)])
    sent = [
        (event, decode(CommandSent, event.data)) for event in store.notifications(0, 99) if event.type == COMMAND_SENT
    ]
    assert {command.service for _, command in sent} == {"inventory", "approvals"}

    drain(Relay(store, kafka.new_producer))

    for event, command in sent:
        [record] = [each for each in kafka.records(f"{command.service}.commands") if each.id == command.command_id]
        assert (record.type, record.key, record.position) == (command.command, command.key, event.position)
        assert record.value == bytes(command.body)
        assert record.headers["ce_source"] == "/salestream/fulfilment"
        assert encode(decode(REGISTRY.commands[command.command].cls, record.value)) == record.value
    assert {record.type for record in kafka.records("fulfilment.events")} == {
        "salestream.fulfilment.fulfilment-advanced.v1"
    }


def test_killed_between_publishing_and_saving_it_repeats_under_the_same_ids(
    kafka: KafkaBench, kit: InMemoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "BATCH", 7)
    killed = Relay(kit.store, kafka.new_producer)
    assert killed.step() == 7
    killed.save(at_once=True)
    assert killed.step() == 7  # published, never saved
    assert kit.store.position(POSITION) == 7
    first = kafka.records("inventory.events")

    successor = Relay(kit.store, kafka.new_producer)
    drain(successor)
    successor.save(at_once=True)

    records = kafka.records("inventory.events")
    public = {
        f"{event.aggregate_id}/{event.version}"
        for event in kit.store.notifications(0, 1_000)
        if event.type in REGISTRY.events
    }
    assert ids(records) == public
    again = [record for record in records if 7 < record.position <= 14]
    assert len(again) == 2 * len(ids(again)) > 0
    for record in again:
        same = [other for other in again if other.id == record.id]
        assert len({(each.value, each.key, each.source, tuple(each.raw_headers)) for each in same}) == 1
    assert ids(first) <= ids(records)
    assert kit.store.position(POSITION) == kit.store.last_position()
    assert drain(Relay(kit.store, kafka.new_producer)) == 0


def test_a_failed_save_loses_nothing(kafka: KafkaBench, kit: InMemoryService, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Relay(kit.store, kafka.new_producer)
    drain(broken)

    def fail(*_: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(kit.store, "set_position_while", fail)
        with pytest.raises(OSError):
            broken.save(at_once=True)
    broken.save(at_once=True)
    assert kit.store.position(POSITION) == kit.store.last_position()


def test_events_stored_later_follow(kafka: KafkaBench, kit: InMemoryService) -> None:
    running = Relay(kit.store, kafka.new_producer)
    drain(running)
    before = len(kafka.records("inventory.events"))
    id = UUID(kit.do(product(opening_stock=1), by=WAREHOUSE).body["id"])
    kit.do(ReceiveStock(product_id=id, quantity=3, reason="delivery"), by=WAREHOUSE)
    drain(running)
    records = kafka.records("inventory.events")
    assert len(records) == before + 3  # added, opening, receipt
    assert len(ids(records)) == len(records)


def test_a_store_that_is_behind_kafka_is_noticed(kafka: KafkaBench, kit: InMemoryService) -> None:
    """The store was restored from an old copy: publishing new events under old positions would lose them."""
    Relay(kit.store, kafka.new_producer).check_not_behind(kafka.config)  # an empty topic
    drain(Relay(kit.store, kafka.new_producer))
    Relay(kit.store, kafka.new_producer).check_not_behind(kafka.config)

    restored = InMemoryService(SERVICE)
    restored.do(product(), by=WAREHOUSE)
    with pytest.raises(StoreBehindKafka, match=r"inventory\.events holds position \d+, .* ends at \d"):
        Relay(restored.store, kafka.new_producer).check_not_behind(kafka.config)


def test_a_relay_behind_kafka_stands_for_good_and_says_so(kafka: KafkaBench, kit: InMemoryService) -> None:
    """However far its store grows meanwhile: its events would have positions that others had."""
    drain(Relay(kit.store, kafka.new_producer))
    published = ids(kafka.records("inventory.events"))
    restored = InMemoryService(SERVICE)
    behind = Relay(restored.store, kafka.new_producer, config=kafka.config)
    with at_work(behind):
        until(behind.problem)
        assert "store-behind-kafka.md" in (behind.problem() or "")
        while restored.store.last_position() <= kit.store.last_position():
            restored.do(product(), by=WAREHOUSE)
        restored.store.bell.ring()
    assert ids(kafka.records("inventory.events")) == published


def test_a_relay_whose_record_is_refused_stands_until_it_is_taken(
    kafka: KafkaBench, kit: InMemoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands alone, and no later one comes before the refused one: consumers would then take that for a repeat."""
    monkeypatch.setattr(relay, "CHECK_AGAIN_SECONDS", 0.1)
    product_id = uuid4()
    kit.do(product(product_id=product_id, opening_stock=90, alert_quantity=89), by=WAREHOUSE)
    for number in range(30):
        reason = "".join(Random(number).choices(HAN, k=400 if number == 5 else 10))
        kit.do(AdjustStock(product_id=product_id, change=-1, reason=reason), by=WAREHOUSE)
    kafka.set_topic("inventory.events", {"max.message.bytes": "1400"})
    refused = Relay(kit.store, kafka.new_producer, config=kafka.config)
    with at_work(refused):
        until(refused.problem)
        assert "MessageSizeTooLarge" in (refused.problem() or "")
        kafka.set_topic("inventory.events", {"max.message.bytes": str(MAX_MESSAGE_BYTES)})
        until(lambda: refused.problem() is None)
    newest: dict[str, int] = defaultdict(int)
    firsts = set()
    for record in kafka.records("inventory.events"):
        if record.position > newest[record.source]:
            newest[record.source] = record.position
            firsts.add(record.id)
    public = [event for event in kit.store.notifications(0, 1_000) if event.type in REGISTRY.events]
    assert firsts == {f"{event.aggregate_id}/{event.version}" for event in public}


def test_foreign_records_at_the_end_of_a_topic_do_not_stop_the_check(kafka: KafkaBench, kit: InMemoryService) -> None:
    drain(Relay(kit.store, kafka.new_producer))
    for partition in range(kafka.config.topic_partitions):
        kafka.send("inventory.events", "x", b"rubbish", [("ce_type", b"\xff")], partition=partition)
    Relay(kit.store, kafka.new_producer).check_not_behind(kafka.config)
    with pytest.raises(StoreBehindKafka):  # nor do they hide what is before them
        Relay(InMemoryService(SERVICE).store, kafka.new_producer).check_not_behind(kafka.config)


@pytest.mark.parametrize(
    "forged",
    [
        {"ce_id": b"nonsense"},
        {"ce_id": b"0b0c7f0e-5a44-4a6c-9f3e-0e5d9b3f2a10/7", "ce_sequence": b"8"},
        {"ce_source": b"/salestream/orders"},
        {},  # an event of ours, at another position
    ],
)
def test_a_forged_position_does_not_keep_a_relay_from_starting(
    kafka: KafkaBench, kit: InMemoryService, forged: dict[str, bytes]
) -> None:
    """A record put there by hand is reported; behind it a store that lacks events is noticed all the same."""
    drain(Relay(kit.store, kafka.new_producer))
    ours = kafka.records("inventory.events")[-1]
    headers = {**{n: v or b"" for n, v in ours.raw_headers}, "ce_position": b"999999999", **forged}
    for partition in range(kafka.config.topic_partitions):
        kafka.send("inventory.events", "x", ours.value, list(headers.items()), partition=partition)
    with capture_logs() as logs:
        Relay(kit.store, kafka.new_producer).check_not_behind(kafka.config)
    assert [entry["event"] for entry in logs] == ["foreign record"] * kafka.config.topic_partitions

    restored = InMemoryService(SERVICE)
    restored.do(product(), by=WAREHOUSE)
    with pytest.raises(StoreBehindKafka):
        Relay(restored.store, kafka.new_producer).check_not_behind(kafka.config)
