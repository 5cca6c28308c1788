"""A topic that was deleted, cut off or made anew: everybody who needs it stands and says so, and it can be mended."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import psycopg
import pytest
from eventsourcing.persistence import OperationalError
from kafka import TopicPartition
from kafka.admin import NewTopic
from tenacity import stop_after_delay

from chassis.access.company import CompanySettings
from chassis.catalogue import Catalogue, projector_group
from chassis.foundation.config import Config, ConfigError
from chassis.foundation.health import Watched
from chassis.kafka.clients import reader
from chassis.kafka.port import Reader
from chassis.messaging import partitions
from chassis.messaging.consumer import (
    CHECK_EVERY_SECONDS,
    LETTER_WAS_LOST,
    RECORD_WAS_LOST,
    Consumer,
    Fenced,
    RecordHandler,
)
from chassis.messaging.dead_letters import DeadLetter, DeadLetters
from chassis.messaging.inbox import Inbox
from chassis.messaging.kafka import admin_client, create_topics, dead_letter_topic, partition_of, topics_wanted
from chassis.messaging.partitions import PartitionReader, TopicsDamaged
from chassis.messaging.records import Incoming
from chassis.messaging.relay import POSITION, Relay, lacking
from chassis.messaging.replicas import SHAPES, refill_changed
from chassis.projections.collections import STATES, connect
from chassis.projections.projector import Projector
from chassis.projections.rebuild import Rebuild, content
from chassis.run import topics
from chassis.run.main import main
from chassis.run.process import Host
from chassis.run.topics import Topics
from chassis.store import publishing_lock
from chassis.store.opening import open_store
from chassis.store.transaction import ReplicaRow, Transaction
from chassis.testing.people import WAREHOUSE
from chassis.testing.services import InMemoryService
from chassis.verify.published import read_topic
from chassis.writer.writer import Writer
from component.facts import product
from component.hostile import genuine_event
from component.support import KafkaBench, eventually, until
from contracts.declare import REGISTRY
from contracts.inventory import EditProduct, ProductAdded
from services.inventory.application import SERVICE as INVENTORY
from services.orders.application import SERVICE as ORDERS
from services.reports.views.products import VIEW as PRODUCTS
from services.reports.views.stock_ledger import VIEW as LEDGER

GROUP = projector_group()

TOPIC = "inventory.events"


class System:
    """Inventory with its relay, and two consumers of its events: the views, and the replica that orders keep."""

    def __init__(self, kafka: KafkaBench, config: Config) -> None:
        self.kafka, self.config = kafka, config
        for name in Catalogue.read().with_role("relay"):
            open_store(name, config).close()
        self.inventory = InMemoryService(INVENTORY)
        self.inventory.store = open_store("inventory", config)
        self.inventory.writer = Writer(INVENTORY, self.inventory.store, listener=self.inventory.directory)
        self.orders = Writer(ORDERS, open_store("orders", config))
        self.database = connect(config)
        letters = kafka.new_producer()  # the relay ends its own
        self.restart_relay()
        self.projector = Projector(self.database, [PRODUCTS, LEDGER], group=GROUP)
        self.inbox = Inbox(self.orders, CompanySettings(config.zone))
        handlers: list[RecordHandler] = [self.projector, self.inbox]
        self.consumers = [Consumer(config, handler, lambda: letters) for handler in handlers]

    def add_products(self, number: int) -> None:
        for _ in range(number):
            self.inventory.do(product(opening_stock=5), by=WAREHOUSE)

    def add_one_unreadable(self) -> Incoming:
        """A product, and a change of it that nobody can read; returns the record that added it."""
        self.add_products(1)
        self.await_products(1)
        [added] = [r for r in self.kafka.records(TOPIC) if r.type == REGISTRY.event_of(ProductAdded).name]
        headers = dict(added.raw_headers) | {"ce_id": f"{added.key}/99".encode(), "ce_sequence": f"{99:020d}".encode()}
        self.kafka.send(TOPIC, added.key, b"{", [(name, value or b"") for name, value in headers.items()])
        return added

    def documents(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for view in (PRODUCTS, LEDGER):
            if state := self.database[STATES].find_one({"_id": view.name}):
                found |= {f"{view.name}/{d['_id']}": content(d) for d in self.database[state["collection"]].find()}
        return found

    def products(self) -> int:
        return sum(1 for name in self.documents() if name.startswith("products/"))

    def await_products(self, number: int) -> None:
        """Until they are shown, and the relay has saved that it has published them.

        What is not saved yet it publishes again, and so fills a topic that is lost then by itself.
        """

        def shown() -> None:
            assert self.products() == number
            assert len(self.orders.store.rows("products")) == number
            assert self.inventory.store.position(POSITION) == self.inventory.store.last_position()

        eventually(shown)

    def restart_relay(self) -> None:
        self.relay = Relay(self.inventory.store, self.kafka.new_producer, config=self.config)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Relay and consumers, each in a thread as in their processes."""
        stop = threading.Event()
        runs: list[Callable[[threading.Event], None]] = [self.relay.run, *(one.run for one in self.consumers)]
        threads = [threading.Thread(target=run, args=(stop,)) for run in runs]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def problems(self) -> list[str]:
        watched: list[Watched] = [self.relay, *self.consumers]
        return [found for one in watched if (found := one.problem())]

    def lose_topic(self, topic: str = TOPIC, partitions: int | None = None) -> None:
        """Delete a topic; a process that starts makes it again, empty."""
        admin = admin_client(self.config)
        try:
            admin.delete_topics([topic])
            until(lambda: topic not in admin.list_topics())
            if partitions:
                admin.create_topics([NewTopic(name=topic, num_partitions=partitions, replication_factor=1)])
        finally:
            admin.close()
        create_topics(self.config, Catalogue.read().groups())

    def delete_records(self) -> dict[str, int]:
        """Delete all that the topic holds, as a retention does; returns where it ends."""
        reader = self.kafka.reader([TOPIC])
        ends = reader.end_offsets()
        reader.close()
        admin = admin_client(self.config)
        try:
            admin.delete_records(
                {TopicPartition(TOPIC, n): ends[f"{TOPIC}:{n}"] for n in (0, 1) if ends[f"{TOPIC}:{n}"]}
            )
        finally:
            admin.close()
        return ends

    def close(self) -> None:
        self.database.client.drop_database(self.database.name)
        self.database.client.close()


@pytest.fixture
def system(kafka: KafkaBench, mongodb_uri: str, tmp_path: Path) -> Iterator[System]:
    config = replace(
        kafka.config,
        mongodb_uri=mongodb_uri,
        mongodb_database=f"test_{uuid4().hex}",
        event_store="sqlite",
        data_dir=str(tmp_path),
    )
    kafka.config = config
    system = System(kafka, config)
    yield system
    system.close()


@pytest.fixture
def on_postgres(kafka: KafkaBench, mongodb_uri: str, postgres_url: str) -> Iterator[System]:
    """The same with its stores in a database of PostgreSQL of their own."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        url = urlsplit(postgres_url)._replace(path=f"/{name}").geturl()
        kafka.config = replace(
            kafka.config, mongodb_uri=mongodb_uri, mongodb_database=name, event_store="postgres", postgres_url=url
        )
        system = System(kafka, kafka.config)
        yield system
        system.close()
        system.inventory.store.close()
        system.orders.store.close()
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def cut_publishing_lock(config: Config) -> None:
    """End the connection that holds the publishing lock, as a network or an administrator does."""
    with psycopg.connect(config.postgres_url, autocommit=True) as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks JOIN pg_database ON pg_database.oid = database "
            "WHERE locktype = 'advisory' AND datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchall()
    assert ended == [(True,)]


def require_in_order(system: System) -> None:
    """Everything that is stored is on Kafka, and each first one behind all that was stored before it (ADR 0007)."""
    positions: dict[str, list[int]] = {}
    for record in system.kafka.records(TOPIC):
        positions.setdefault(record.source, []).append(record.position)
    for source, found in positions.items():
        assert list(dict.fromkeys(found)) == sorted(set(found)), f"{source} is out of order (ADR 0007)"
    public = [e.position for e in system.inventory.store.notifications(0, 99_999) if e.type in REGISTRY.events]
    assert sorted({position for found in positions.values() for position in found}) == public


@pytest.mark.parametrize("restarted", [True, False])
def test_a_lost_topic_stops_everybody_and_is_published_again_from_the_store(
    system: System, restarted: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with system.at_work():
        system.add_products(4)
        system.await_products(4)
    published = len(system.kafka.records(TOPIC))
    system.lose_topic()
    system.add_products(2)
    if restarted:
        system.restart_relay()

    for name in ("kafka_bootstrap_servers", "mongodb_uri", "mongodb_database", "event_store", "data_dir"):
        monkeypatch.setenv(name.upper(), getattr(system.config, name))
    monkeypatch.setenv("TOPIC_PARTITIONS", str(system.config.topic_partitions))
    with system.at_work():
        until(lambda: len(system.problems()) == 3)
        assert all(TOPIC in problem for problem in system.problems())
        if restarted:
            assert system.kafka.records(TOPIC) == [], "what is new must not stand before what is missing"
        assert main(["topics", "check"]) == 1
        told = capsys.readouterr().out
        assert all(who in told for who in (f"{TOPIC}: ", "consumer orders: ", "view products: ", "view stock_ledger: "))

        assert main(["topics", "republish", TOPIC]) == 0
        assert f"{published} record(s)" in capsys.readouterr().out
        system.await_products(6)  # nobody was started again
        until(lambda: not system.problems())
        assert main(["topics", "check"]) == 0
        assert main(["topics", "republish", TOPIC]) == 2, "a topic that lacks nothing is left alone"
    live = system.documents()
    rebuild = Rebuild(system.config, system.database, LEDGER, out=io.StringIO())
    assert rebuild.run(), "each event was taken once"
    assert system.documents() == live


def test_a_check_asks_with_the_same_few_clients_however_many_topics_and_readers_there_are(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each client connects anew, and what it asks while it fetches waits for the fetch: that took 12 seconds."""
    made: list[str] = []

    def counted(config: Config, client_id: str) -> Reader:
        made.append(client_id)
        return reader(config, client_id)

    with system.at_work():
        system.add_products(4)
        system.await_products(4)
        monkeypatch.setattr(partitions, "new_reader", counted)
        assert Topics(system.config).check() == [], "also while others read on"
        monkeypatch.undo()
    assert len(made) == 3, made


def test_a_check_names_every_topic_with_other_partitions(system: System) -> None:
    config = replace(system.config, topic_partitions=3)
    damaged = [name for name, topic in topics_wanted(config, ()).items() if topic.num_partitions == 3]
    told = Topics(config).check()
    assert [line.partition(": ")[0] for line in told] == damaged
    assert all("has 2 partitions, it was to have 3" in line for line in told)


def test_what_a_relay_has_under_way_never_comes_before_what_is_published_again(system: System) -> None:
    with system.at_work():
        system.add_products(8)
        system.await_products(8)
        admin = admin_client(system.config)
        try:
            admin.delete_topics([TOPIC])
        finally:
            admin.close()
        system.add_products(4)  # they wait in the relay for a topic that is not there
        Topics(system.config).republish(TOPIC)
        system.await_products(12)
        until(lambda: not system.problems())
    require_in_order(system)


def test_a_relay_that_has_lost_its_publishing_lock_does_not_save_what_it_had_published(
    on_postgres: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has put into the old topic and not yet saved is not in the new one: it comes again."""
    monkeypatch.setattr(publishing_lock, "LOST_UNNOTICED_SECONDS", 0.0)
    system = on_postgres
    system.add_products(4)
    while system.relay.step():
        pass
    system.relay.save(at_once=True)
    system.add_products(4)
    system.relay.step()
    cut_publishing_lock(system.config)
    saved = system.inventory.store.position(POSITION)
    Topics(system.config).republish(TOPIC, force=True)
    with pytest.raises(TopicsDamaged, match="was made anew") as damage:
        system.relay.save(at_once=True)
    system.relay._stand(damage.value)  # as `run` does
    assert system.inventory.store.position(POSITION) == saved
    with system.at_work():
        system.await_products(8)
        until(lambda: not system.problems())
    assert Topics(system.config).check() == []
    require_in_order(system)


def test_what_a_relay_has_under_way_when_it_loses_its_publishing_lock_is_given_up_before_the_topic_is_made_anew(
    on_postgres: System,
) -> None:
    system = on_postgres
    with system.at_work():
        system.add_products(8)
        system.await_products(8)
        admin = admin_client(system.config)
        try:
            admin.delete_topics([TOPIC])
            until(lambda: TOPIC not in admin.list_topics())
        finally:
            admin.close()
        system.add_products(4)  # they wait in the relay for a topic that is not there
        until(lambda: system.relay._under_way)
        cut_publishing_lock(system.config)
        Topics(system.config).republish(TOPIC, force=True)
        system.await_products(12)
        until(lambda: not system.problems())
    assert Topics(system.config).check() == []
    require_in_order(system)


def test_a_relay_that_is_stopped_after_its_topic_was_made_anew_ends_and_saves_nothing(
    on_postgres: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing_lock, "LOST_UNNOTICED_SECONDS", 0.0)
    system = on_postgres
    system.add_products(4)
    system.relay.step()
    cut_publishing_lock(system.config)
    Topics(system.config).republish(TOPIC, force=True)
    stop = threading.Event()
    stop.set()
    system.relay.run(stop)
    assert not system.inventory.store.position(POSITION)
    system.restart_relay()
    with system.at_work():
        system.await_products(4)
    require_in_order(system)


def test_who_makes_a_topic_anew_and_loses_the_lock_ends_and_can_begin_again(
    on_postgres: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing_lock, "LOST_UNNOTICED_SECONDS", 0.0)
    system = on_postgres
    with system.at_work():
        system.add_products(8)
        system.await_products(8)
        made = Topics(system.config)
        make_anew = made._make_anew

        def cut(name: str) -> None:
            make_anew(name)
            cut_publishing_lock(system.config)

        monkeypatch.setattr(made, "_make_anew", cut)
        until(lambda: system.relay._shares_since is None)
        with pytest.raises(ConfigError, match=r"the lock that keeps its relays aside.* again, with --force"):
            made.republish(TOPIC, force=True)
        Topics(system.config).republish(TOPIC, force=True)
        system.await_products(8)
        until(lambda: not system.problems())
    assert Topics(system.config).check() == []
    require_in_order(system)


def test_a_relay_whose_topic_is_lost_while_its_store_is_away_goes_on_when_both_are_back(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    position_of, asked = system.inventory.store.position, threading.Event()

    def away(name: str) -> int | None:
        if name == POSITION:
            asked.set()
            raise OperationalError("the store is away")
        return position_of(name)

    with system.at_work():
        system.add_products(8)
        system.await_products(8)
        with monkeypatch.context() as patch:
            patch.setattr(system.inventory.store, "position", away)
            system.lose_topic()
            system.add_products(8)  # some to each partition
            until(system.relay.problem)
            until(asked.is_set)
        Topics(system.config).republish(TOPIC)
        system.await_products(16)
        until(lambda: not system.problems())


def test_a_topic_that_was_lost_and_has_grown_beyond_what_was_read_is_noticed(system: System) -> None:
    """Its ends tell nothing then: who goes on at the stored offset would miss what comes before it."""
    with system.at_work():
        system.add_products(8)
        system.await_products(8)
    system.lose_topic()
    system.add_products(24)
    careless = Relay(system.inventory.store, system.kafka.new_producer)
    while careless.step():
        pass
    careless.save(at_once=True)
    told = "\n".join(Topics(system.config).check())
    assert "view stock_ledger: " in told and "consumer orders: " in told and "passed unread" in told, told
    assert "lacks position" in lacking([system.inventory.store], system.config)["inventory"]
    system.restart_relay()
    with system.at_work():
        until(lambda: len(system.problems()) == len(system.consumers) + 1)
        assert system.products() == 8
        with pytest.raises(TopicsDamaged, match="passed unread"):
            Rebuild(system.config, system.database, LEDGER, out=io.StringIO()).run(force=True)
        Topics(system.config).republish(TOPIC)
        system.await_products(32)
        until(lambda: not system.problems())
    assert Topics(system.config).check() == []


def test_a_view_is_not_rebuilt_from_a_topic_that_has_lost_its_beginning(system: System) -> None:
    """Whoever reads it has begun anew by an operator's word, so nothing but the first positions tells."""
    with system.at_work():
        system.add_products(8)
        system.await_products(8)
    system.lose_topic()
    system.add_products(24)
    careless = Relay(system.inventory.store, system.kafka.new_producer)
    while careless.step():
        pass
    careless.save(at_once=True)
    Topics(system.config).reset(TOPIC)
    [projector, _] = system.consumers
    projector.open()
    until(lambda: projector.step() >= 0 and system.products() == 32)
    projector.close()
    live, collections = system.documents(), set(system.database.list_collection_names())
    for view in system.projector.views:
        with pytest.raises(TopicsDamaged, match=r"begins with position \d+, position \d+ was read before"):
            Rebuild(system.config, system.database, view, out=io.StringIO()).run(force=True)
    assert (system.documents(), set(system.database.list_collection_names())) == (live, collections)


LOW, FAR = 1, 10**9


@pytest.mark.parametrize("way", ["republish", "reset"])
@pytest.mark.parametrize("at", ["first", "alone", "last"])
@pytest.mark.parametrize("position", [LOW, FAR], ids=["low", "far"])
def test_a_forged_position_is_forgotten_with_its_record(system: System, position: int, at: str, way: str) -> None:
    """Whoever reads the topic has taken it for the first of its partition, or the newest; then it is gone."""
    store, partitions = system.inventory.store, system.config.topic_partitions
    system.add_products(1)
    taken = partition_of(store.notifications(0, 1)[0].key, partitions)
    if at != "alone":
        while {partition_of(event.key, partitions) for event in store.notifications(0, 1_000)} != {0, 1}:
            system.add_products(1)
    products = len([event for event in store.notifications(0, 1_000) if event.type.endswith("product-added.v1")])
    spec = REGISTRY.event_of(ProductAdded)
    made = (genuine_event(spec, position, partitions) for _ in count())
    forged = next(one for one in made if one.partition == 1 - taken)

    def send_forged() -> None:
        headers = [(name, value or b"") for name, value in forged.headers.items()]
        system.kafka.send(TOPIC, (forged.key or b"").decode(), forged.value, headers, forged.partition)

    def consume() -> None:
        stop = threading.Event()
        threads = [threading.Thread(target=one.run, args=(stop,)) for one in system.consumers]
        for thread in threads:
            thread.start()
        try:
            eventually(require_all_read)
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def require_all_read() -> None:
        reader = system.kafka.reader([TOPIC])
        ends = {source: end for source, end in reader.end_offsets().items() if end}
        reader.close()
        for source, end in ends.items():
            assert system.orders.store.position(f"offset:{source}") == end
        states = list(system.database[STATES].find())
        told = [{item["source"]: item["offset"] for item in state["sources"].values()} for state in states]
        assert told and all(one.get(source) == end for one in told for source, end in ends.items())

    careless = Relay(store, system.kafka.new_producer)  # another would stand before a far position
    if at != "last":
        send_forged()
    while careless.step():
        pass
    careless.save(at_once=True)
    if at == "last":
        send_forged()
    consume()
    if at != "alone":  # what comes later is no repeat, also where it has been read by itself
        system.add_products(2)
        products += 2
        while careless.step():
            pass
        careless.save(at_once=True)
        consume()
        assert system.products() >= products
    if way == "republish":
        Topics(system.config).republish(TOPIC, force=True)
    else:  # somebody brings the records back
        system.lose_topic()
        again = Relay(store, system.kafka.new_producer)
        again._published = again._sent_up_to = again._saved = 0
        while again.step():
            pass
        Topics(system.config).reset(TOPIC)
    assert Topics(system.config).check() == []
    consume()

    end = store.last_position()
    for view in (PRODUCTS, LEDGER):
        rebuild = Rebuild(system.config, system.database, view, out=io.StringIO())
        rebuild.run(force=True)
        assert rebuild.outcome and rebuild.outcome.switched
    assert system.products() == products
    assert all(item["position"] <= end for one in system.database[STATES].find() for item in one["sources"].values())
    system.orders.store.commit(
        Transaction(rows=[ReplicaRow(SHAPES, replica.name, None) for replica in ORDERS.replicas])
    )
    assert refill_changed(system.config, system.orders)
    assert len(system.orders.store.rows("products")) == products
    assert all((system.orders.store.position(f"position:{TOPIC}:{number}") or 0) <= end for number in (0, 1))
    system.restart_relay()
    with system.at_work():
        system.add_products(4)
        system.await_products(products + 4)


def test_two_forged_positions_in_a_row_are_told_and_what_the_runbook_says_puts_it_right(system: System) -> None:
    """Who reads on passes over all that follows, also when the topic is published again: it can't tell what it took."""
    store, number = system.inventory.store, system.config.topic_partitions
    careless = Relay(store, system.kafka.new_producer)  # another would stand before a far position

    def publish(products: int) -> None:
        system.add_products(products)
        while careless.step():
            pass
        careless.save(at_once=True)

    def consume() -> None:
        stop = threading.Event()
        threads = [threading.Thread(target=one.run, args=(stop,)) for one in system.consumers]
        for thread in threads:
            thread.start()
        try:
            eventually(require_all_read)
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def require_all_read() -> None:
        ends = {f"{TOPIC}:{partition}": 0 for partition in range(number)}
        for record in system.kafka.records(TOPIC):
            ends[record.source] = record.offset + 1
        states = list(system.database[STATES].find())
        told = [{item["source"]: item["offset"] for item in state["sources"].values()} for state in states]
        told.append({source: system.orders.store.position(f"offset:{source}") or 0 for source in ends})
        assert len(told) == 3 and all((one.get(source) or 0) == end for one in told for source, end in ends.items())

    publish(8)
    consume()
    taken = {record.source: record.position for record in system.kafka.records(TOPIC)}
    assert len(taken) == number
    spec = REGISTRY.event_of(ProductAdded)
    for position in (FAR, 2 * FAR):
        made = [genuine_event(spec, position, number) for _ in range(40)]
        for forged in {one.partition: one for one in made}.values():
            headers = [(name, value or b"") for name, value in forged.headers.items()]
            system.kafka.send(TOPIC, (forged.key or b"").decode(), forged.value, headers, forged.partition)
    publish(4)
    consume()
    assert system.products() == 8 + 2 * number, "those that were forged, and none that followed"
    told = Topics(system.config).check()
    readers = ("consumer orders", f"view {PRODUCTS.name}", f"view {LEDGER.name}")
    assert len(told) == len(readers) * number
    assert all("it was forged; two in a row: what follows is passed over" in line for line in told)
    assert {line.partition(":")[0] for line in told} == set(readers)

    Topics(system.config).republish(TOPIC)
    for source, position in taken.items():  # the newest of ours that stood before the first forged one
        system.orders.store.set_position(f"position:{source}", position)
    consume()
    assert system.products() == 8 + 2 * number, "the views are not put right by that"
    for view in (PRODUCTS, LEDGER):
        Rebuild(system.config, system.database, view, out=io.StringIO()).run(force=True)
    assert system.products() == 12
    assert len(system.orders.store.rows("products")) == 12 + 2 * number, "with those that were forged"
    assert Topics(system.config).check() == []
    system.restart_relay()
    with system.at_work():
        system.add_products(4)
        eventually(lambda: _equal(system.products(), 16))
        eventually(lambda: _equal(len(system.orders.store.rows("products")), 16 + 2 * number))


def _equal(found: int, wanted: int) -> None:
    assert found == wanted


def test_what_is_set_aside_can_be_handed_in_again_after_its_letters_were_lost(system: System) -> None:
    """A change of a product can't be read, so its next one waits; then the dead-letter topics are lost."""

    def two_wait(letters: DeadLetters) -> bool:
        return len(letters.waiting()) == 2

    with system.at_work():
        added = system.add_one_unreadable()
        groups = {GROUP: DeadLetters(system.config, GROUP), "orders": DeadLetters(system.config, "orders")}
        until(lambda: all(len(letters.waiting()) == 1 for letters in groups.values()))
        edited = EditProduct(product_id=UUID(added.key), model="A2")
        system.inventory.do(edited, by=WAREHOUSE)
        until(lambda: all(map(two_wait, groups.values())))
    before = {group: {letter.origin for letter in letters.waiting()} for group, letters in groups.items()}

    for group in groups:
        system.lose_topic(dead_letter_topic(group))
    with system.at_work():
        until(lambda: len(system.problems()) == len(system.consumers))
        for group in groups:
            Topics(system.config).reset(dead_letter_topic(group))
        for group, letters in groups.items():
            until(partial(two_wait, letters))
            waiting = letters.waiting()
            assert {letter.origin for letter in waiting} == before[group]
            assert all(letter.reason == LETTER_WAS_LOST for letter in waiting)
            letters.drop(system.kafka.producer, [letter for letter in waiting if letter.value == b"{"])
            letters.replay(system.kafka.producer, [letter for letter in waiting if letter.value != b"{"])
        until(lambda: system.documents()[f"products/{added.key}"]["model"] == "A2")
        until(lambda: [row for row in system.orders.store.rows("products") if b'"A2"' in row])
        assert all(letters.waiting() == [] for letters in groups.values())


def test_what_is_set_aside_and_gone_from_kafka_is_told_given_up_and_brought_back(system: System) -> None:
    """Its letters and its record are lost: nobody could see why the key stood still, nor free it."""
    groups = {GROUP: DeadLetters(system.config, GROUP), "orders": DeadLetters(system.config, "orders")}

    def waiting() -> list[list[DeadLetter]]:
        return [letters.waiting() for letters in groups.values()]

    def changed() -> bool:
        rows = [row for row in system.orders.store.rows("products") if b'"A2"' in row]
        return bool(rows) and system.documents()[f"products/{added.key}"]["model"] == "A2"

    with system.at_work():
        added = system.add_one_unreadable()
        until(lambda: all(len(found) == 1 for found in waiting()))
        system.inventory.do(EditProduct(product_id=UUID(added.key), model="A2"), by=WAREHOUSE)
        until(lambda: all(len(found) == 2 for found in waiting()))
        until(lambda: system.inventory.store.position(POSITION) == system.inventory.store.last_position())
    before = [{(letter.key, letter.origin) for letter in found} for found in waiting()]
    for group in groups:
        system.lose_topic(dead_letter_topic(group))
        Topics(system.config).reset(dead_letter_topic(group))
    system.delete_records()

    for _ in ("first", "started again"):
        with system.at_work():
            until(lambda: all(len(found) == 2 for found in waiting()))
            until(lambda: not any(consumer.problem() for consumer in system.consumers))
    assert [{(letter.key, letter.origin) for letter in found} for found in waiting()] == before
    assert all(letter.lost and letter.reason == RECORD_WAS_LOST for found in waiting() for letter in found)
    assert [len(system.kafka.records(dead_letter_topic(group))) for group in groups] == [2, 2], "each is told once"

    for letters in groups.values():
        assert letters.replay(system.kafka.producer, letters.waiting()) == 0
        letters.drop(system.kafka.producer, letters.waiting()[:1])
    assert not changed()
    with system.at_work():
        Topics(system.config).republish(TOPIC)  # it brings back what the store has published
        until(lambda: all([letter.lost for letter in found] == [False] for found in waiting()))
        assert not changed()
        for letters in groups.values():
            assert letters.replay(system.kafka.producer, letters.waiting()) == 1
        until(changed)
        system.inventory.do(EditProduct(product_id=UUID(added.key), model="A3"), by=WAREHOUSE)
        until(lambda: system.documents()[f"products/{added.key}"]["model"] == "A3")
    assert waiting() == [[], []], "nothing waits on the key any more"


def test_a_topic_that_lacks_nothing_is_made_anew_beside_a_relay_at_work(system: System) -> None:
    with system.at_work():
        system.add_products(8)
        system.await_products(8)
        stop = threading.Event()

        def add_products() -> None:
            while not stop.is_set():
                system.add_products(1)

        writer = threading.Thread(target=add_products)
        writer.start()
        try:
            Topics(system.config).republish(TOPIC, force=True)
        finally:
            stop.set()
            writer.join()
        added = REGISTRY.event_of(ProductAdded).name
        stored = sum(event.type == added for event in system.inventory.store.notifications(0, 99_999))
        system.await_products(stored)
        until(lambda: not system.problems())
    assert Topics(system.config).check() == []
    live = system.documents()
    assert Rebuild(system.config, system.database, LEDGER, out=io.StringIO()).run()
    assert system.documents() == live


def test_a_relay_whose_records_kafka_does_not_take_keeps_a_topic_from_being_made_anew(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topics, "PATIENCE", topics.PATIENCE.copy(stop=stop_after_delay(0.5)))
    system.add_products(1)
    now = system.relay._clock() + 60  # it is time to save, and its turn has only begun, however slow the machine is
    monkeypatch.setattr(system.relay, "_clock", lambda: now)
    system.relay.step()
    system.relay.save()
    before = system.kafka.records(TOPIC)
    with pytest.raises(ConfigError, match="a relay of inventory still has records under way"):
        Topics(system.config).republish(TOPIC, force=True)
    assert [record.id for record in system.kafka.records(TOPIC)] == [record.id for record in before]
    system.relay.save(at_once=True)
    assert Topics(system.config).republish(TOPIC, force=True) == len(before)


def test_a_start_makes_no_topic_that_a_store_has_published_on(system: System) -> None:
    system.add_products(1)
    system.relay.step()
    system.relay.save(at_once=True)
    admin = admin_client(system.config)
    try:
        admin.delete_topics([TOPIC, "orders.events"])
        until(lambda: not {TOPIC, "orders.events"} & set(admin.list_topics()))
        process = Host(system.config, [])
        process.prepare()
        until(lambda: "orders.events" in admin.list_topics())
        assert TOPIC not in admin.list_topics(), "an empty one would pass for the one that was lost"
        process.close()
    finally:
        admin.close()


def test_who_reads_a_topic_without_storing_anything_notices_that_its_offsets_were_put_back(system: System) -> None:
    system.add_products(3)
    while system.relay.step():
        pass
    system.relay.save(at_once=True)
    published, passed = len(system.kafka.records(TOPIC)), CHECK_EVERY_SECONDS + 1
    handlers: list[RecordHandler] = [system.projector, system.inbox]
    for handler in handlers:
        times = count(0.0, passed)  # at each look at the clock it is time to look around
        consumer = Consumer(system.config, handler, lambda: system.kafka.producer, clock=times.__next__)
        consumer.open()
        missing = published
        while missing:
            missing -= consumer.step()
        Topics(system.config).reset(TOPIC)
        with pytest.raises(Fenced, match="changed its offsets"):
            consumer.step()
        consumer.close()


def test_a_topic_with_other_partitions_is_not_read(system: System) -> None:
    system.lose_topic(partitions=system.config.topic_partitions + 1)
    with pytest.raises(TopicsDamaged, match=f"{TOPIC} has 3 partitions, it was to have 2"):
        PartitionReader(system.config, "test", [TOPIC], {})
    assert any("has 3 partitions" in told for told in Topics(system.config).check())
    with system.at_work():
        until(lambda: len(system.problems()) == 3)


def test_records_deleted_before_they_were_read_are_told_and_readers_to_the_end_do_not_hang(system: System) -> None:
    system.add_products(3)
    while system.relay.step():
        pass
    system.relay.save(at_once=True)
    ends = system.delete_records()
    assert list(read_topic(system.config, TOPIC, ends)) == []
    assert system.kafka.records(TOPIC) == []
    with pytest.raises(TopicsDamaged, match="are gone unread"):
        Rebuild(system.config, system.database, PRODUCTS, out=io.StringIO()).run(force=True)
    with pytest.raises(TopicsDamaged, match="are gone unread"):
        system.consumers[0].open()
    assert lacking([system.inventory.store], system.config)
