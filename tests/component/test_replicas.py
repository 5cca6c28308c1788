"""A replica that a release adds, or feeds otherwise, knows what happened before (chassis.messaging.replicas)."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from chassis.access.company import CompanySettings
from chassis.messaging import replicas as replicas_module
from chassis.messaging.consumer import Consumer
from chassis.messaging.dead_letters import origin_of
from chassis.messaging.inbox import Inbox
from chassis.messaging.partitions import TopicsDamaged
from chassis.messaging.progress import Aside, StoredProgress
from chassis.messaging.records import Incoming
from chassis.messaging.relay import Relay
from chassis.messaging.replicas import SHAPES, Filling, refill_changed, shape_of
from chassis.run.topics import Topics
from chassis.store.event_store import EventStore
from chassis.store.memory import MemoryRecorder
from chassis.store.transaction import ReplicaRow, Transaction
from chassis.testing.people import WAREHOUSE
from chassis.writer.writer import Writer
from component.histories import history, interleaved
from component.support import eventually, until
from component.test_topics import TOPIC, System, system
from contracts.declare import REGISTRY
from contracts.inventory import DeleteProduct, EditProduct, ProductAdded, ProductDeleted
from contracts.schemas import encode
from services.orders.application import PRODUCTS
from services.orders.application import SERVICE as ORDERS

__all__ = ["system"]


def as_before_the_release(store: EventStore, products: list[UUID]) -> None:
    """As a store is whose release had no such replica."""
    gone = [ReplicaRow(PRODUCTS.name, str(id), None) for id in products]
    shapes = [ReplicaRow(SHAPES, replica, None) for replica in (PRODUCTS.name, "company")]
    store.commit(Transaction(rows=[*gone, *shapes]))
    assert store.rows(PRODUCTS.name) == []


def sell_changed_products(system: System, number: int = 4) -> list[UUID]:
    """Products of which one has another model by now and one is deleted, as orders know them."""
    with system.at_work():
        system.add_products(number)
        system.await_products(number)
        ids = [UUID(name.partition("/")[2]) for name in system.documents() if name.startswith("products/")]
        system.inventory.do(EditProduct(product_id=ids[0], model="A2"), by=WAREHOUSE)
        system.inventory.do(DeleteProduct(product_id=ids[1]), by=WAREHOUSE)
        until(lambda: sum(b'"deleted":true' in row or b'"A2"' in row for row in rows(system)) == 2)
    return ids


def rows(system: System) -> list[bytes]:
    return sorted(system.orders.store.rows(PRODUCTS.name))


def test_a_new_replica_is_filled_from_event_one(system: System) -> None:
    ids = sell_changed_products(system)
    before = rows(system)
    as_before_the_release(system.orders.store, ids)
    refill_changed(system.config, system.orders)
    assert rows(system) == before and len(before) == len(ids)
    assert system.orders.store.row(SHAPES, PRODUCTS.name) == shape_of(PRODUCTS).encode()

    revision = StoredProgress(system.orders.store, "orders", []).revision
    refill_changed(system.config, system.orders)
    assert StoredProgress(system.orders.store, "orders", []).revision == revision, "nothing is left to do"


def test_other_events_or_fields_make_another_replica() -> None:
    feeds = {fact: feed for fact, feed in PRODUCTS.feeds.items() if fact is not ProductDeleted}
    assert shape_of(replace(PRODUCTS, feeds=feeds)) != shape_of(PRODUCTS)
    assert shape_of(replace(PRODUCTS, feeds=dict(reversed([*PRODUCTS.feeds.items()])))) == shape_of(PRODUCTS)


def test_what_another_process_reads_meanwhile_is_read_too(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = sell_changed_products(system)
    as_before_the_release(system.orders.store, ids)
    [_, inbox] = system.consumers
    take_in = replicas_module._take_in
    interrupted: list[bool] = []

    def beside_another(*args: object) -> None:
        take_in(*args)  # type: ignore[arg-type]
        if not interrupted:
            interrupted.append(True)
            system.add_products(3)
            while system.relay.step():
                pass
            inbox.open()
            until(lambda: inbox.step() >= 0 and len(rows(system)) == 3)
            inbox.close()

    monkeypatch.setattr(replicas_module, "_take_in", beside_another)
    system.restart_relay()
    refill_changed(system.config, system.orders)
    assert interrupted and len(rows(system)) == len(ids) + 3


def test_a_record_that_the_former_release_passed_and_nobody_can_read_is_left_out(system: System) -> None:
    ids = sell_changed_products(system)
    before = rows(system)
    as_before_the_release(system.orders.store, ids)
    [added, *_] = [r for r in system.kafka.records(TOPIC) if r.type == REGISTRY.event_of(ProductAdded).name]
    headers = dict(added.raw_headers) | {"ce_id": f"{added.key}/99".encode(), "ce_sequence": f"{99:020d}".encode()}
    newest = system.inventory.store.last_position() + 1
    headers["ce_position"] = str(newest).encode()
    system.kafka.send(TOPIC, added.key, b"{", [(name, value or b"") for name, value in headers.items()])
    store = system.orders.store
    store.set_position(f"offset:{added.source}", (store.position(f"offset:{added.source}") or 0) + 1)
    store.set_position(f"position:{added.source}", newest)
    refill_changed(system.config, system.orders)
    assert rows(system) == before


def test_a_topic_that_lacks_its_beginning_fills_nothing(system: System) -> None:
    ids = sell_changed_products(system)
    as_before_the_release(system.orders.store, ids)
    system.lose_topic()
    with pytest.raises(TopicsDamaged, match=f"{TOPIC}:. ends at 0"):
        refill_changed(system.config, system.orders)
    assert rows(system) == [] and system.orders.store.row(SHAPES, PRODUCTS.name) is None


def test_a_service_that_has_read_nothing_yet_has_nothing_to_fill(system: System) -> None:
    refill_changed(system.config, system.orders)
    for replica in system.orders.service.replicas:
        assert system.orders.store.row(SHAPES, replica.name) == shape_of(replica).encode()
        assert system.orders.store.row(replica.name, str(uuid4())) is None


def test_rows_that_the_former_shape_had_and_this_one_has_not_are_gone(system: System) -> None:
    ids = sell_changed_products(system)
    before, store = rows(system), system.orders.store
    [some] = [row for row in before if b'"A2"' in row]
    left = {replica.name: f"left-{replica.name}" for replica in system.orders.service.replicas}
    store.commit(Transaction(rows=[ReplicaRow(name, key, some) for name, key in left.items()]))
    assert system.orders._rows.get(PRODUCTS, left[PRODUCTS.name]) is not None
    as_changed(store)
    refill_changed(system.config, system.orders)
    assert [name for name, key in left.items() if store.row(name, key) is not None] == []
    assert rows(system) == before and len(before) == len(ids)
    system.orders.execute([])
    assert system.orders._rows.get(PRODUCTS, left[PRODUCTS.name]) is None, "nor are they remembered"


@pytest.mark.parametrize("begun_anew", [False, True])
def test_a_topic_that_has_lost_its_beginning_and_grown_beyond_what_was_read_fills_nothing(
    system: System, *, begun_anew: bool
) -> None:
    sell_changed_products(system, 8)
    before = rows(system)
    system.lose_topic()
    system.add_products(24)
    careless = Relay(system.inventory.store, system.kafka.new_producer)
    while careless.step():
        pass
    careless.save(at_once=True)
    if begun_anew:  # by an operator's word: then nothing but the first positions tells
        Topics(system.config).reset(TOPIC)
        read_on(system)
        assert len(before := rows(system)) == 8 + 24
    as_changed(system.orders.store)
    told = "begins with position" if begun_anew else "passed unread"
    with pytest.raises(TopicsDamaged, match=told):
        refill_changed(system.config, system.orders)
    assert rows(system) == before and system.orders.store.rows(SHAPES) == []


def test_replicas_are_filled_where_the_inbox_is_to_begin_anew(system: System) -> None:
    """It passes what it knows by position, so what is not filled then never will be."""
    ids = sell_changed_products(system)
    before = rows(system)
    with system.at_work():
        Topics(system.config).republish(TOPIC, force=True)
    Topics(system.config).reset(TOPIC)
    as_before_the_release(system.orders.store, ids)
    refill_changed(system.config, system.orders)
    assert rows(system) == before
    read_on(system)
    assert rows(system) == before


@pytest.mark.parametrize("tells", [False, True], ids=["a release that knows no shapes", "a release that tells them"])
@pytest.mark.parametrize("opened", [False, True], ids=["before", "beside"])
def test_what_a_release_without_the_replica_has_read_is_in_it_all_the_same(
    system: System, monkeypatch: pytest.MonkeyPatch, *, tells: bool, opened: bool
) -> None:
    """One goes back to it and forth again, or it goes on beside the new one for a while."""
    another = replace(PRODUCTS, name="products-before")
    replicas = [another if one is PRODUCTS else one for one in system.orders.service.replicas]
    former = Writer(replace(system.orders.service, replicas=replicas), system.orders.store)
    before = consumer(system, system.orders)
    after = consumer(system, former, prepares=tells)
    system.add_products(2)
    publish(system)
    read_with(before, system)
    assert len(rows(system)) == 2
    if opened:
        before.open()
    with monkeypatch.context() as patch:
        if not tells:  # what it stores is less
            changes = StoredProgress.changes
            patch.setattr(
                StoredProgress,
                "changes",
                lambda self, told: {n: at for n, at in changes(self, told).items() if not n.startswith("filled:")},
            )
        system.add_products(3)
        publish(system)
        read_with(after, system)
    assert len(rows(system)) == 2
    system.add_products(1)
    publish(system)
    read_with(before, system)
    assert len(rows(system)) == 6


def as_changed(store: EventStore) -> None:
    """As a store is whose release had the same replicas, made of something else."""
    store.commit(Transaction(rows=[ReplicaRow(SHAPES, one.name, None) for one in ORDERS.replicas]))


def publish(system: System) -> None:
    system.restart_relay()
    while system.relay.step():
        pass


def consumer(system: System, writer: Writer, *, prepares: bool = True) -> Consumer:
    inbox = Inbox(writer, CompanySettings(system.config.zone))
    prepare = partial(refill_changed, system.config, writer) if prepares else None
    return Consumer(system.config, inbox, system.kafka.new_producer, prepare=prepare)


def read_with(consumer: Consumer, system: System) -> None:
    """Until it has taken in all there is."""
    stop = threading.Event()
    thread = threading.Thread(target=consumer.run, args=(stop,))
    thread.start()
    try:
        eventually(lambda: require_read(system), seconds=60)
    finally:
        stop.set()
        thread.join()


def require_read(system: System) -> None:
    records = system.kafka.records(TOPIC)
    newest = {source: max(r.position for r in records if r.source == source) for source in {r.source for r in records}}
    assert {source: system.orders.store.position(f"position:{source}") for source in newest} == newest


def read_on(system: System) -> None:
    read_with(system.consumers[1], system)


def test_a_topic_that_was_published_again_fills_all_that_the_inbox_passes_by(system: System) -> None:
    """The inbox begins anew then, and knows the positions of all that comes again."""
    ids = sell_changed_products(system)
    before, store = rows(system), system.orders.store
    as_before_the_release(store, ids)
    system.lose_topic()
    with pytest.raises(TopicsDamaged):
        refill_changed(system.config, system.orders)
    Topics(system.config).reset(TOPIC)  # nothing is published yet
    with pytest.raises(TopicsDamaged, match="not all that was read is there"):
        refill_changed(system.config, system.orders)
    assert rows(system) == [] and store.row(SHAPES, PRODUCTS.name) is None
    Topics(system.config).republish(TOPIC, force=True)
    system.add_products(2)
    refill_changed(system.config, system.orders)
    assert rows(system) == before
    system.restart_relay()
    with system.at_work():
        until(lambda: len(rows(system)) == len(before) + 2)
    assert set(rows(system)) >= set(before)


def test_what_was_set_aside_and_is_handed_in_meanwhile_is_in_it(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The replay is applied to the replica as it was; the new one takes it in where it first came."""
    ids = sell_changed_products(system, 12)
    before, store = rows(system), system.orders.store
    as_before_the_release(store, ids)
    inbox = StoredProgress(store, "orders", [])
    sources: dict[str, list[Incoming]] = {}
    for record in system.kafka.records(TOPIC):
        sources.setdefault(record.source, []).append(record)
    # What comes last in its partition is of another record: what waits behind the one set aside moves no position.
    within = [record for records in sources.values() for record in records[1:-1] if record.key != records[-1].key]
    aside = next(record for record in within if record.type == REGISTRY.event_of(ProductAdded).name)
    waits = inbox.branch()
    waits.aside[origin_of(aside)] = Aside("", aside.offset)
    store.commit(Transaction(rows=inbox.skipped(waits), positions=inbox.changes(waits)))
    take_in = replicas_module._take_in
    interrupted: list[bool] = []

    def beside_a_replay(*args: object) -> None:
        take_in(*args)  # type: ignore[arg-type]
        if not interrupted:
            interrupted.append(True)
            progress = StoredProgress(store, "orders", [])
            done = progress.branch()
            del done.aside[origin_of(aside)]
            store.commit(Transaction(rows=progress.skipped(done), positions=progress.changes(done)))

    monkeypatch.setattr(replicas_module, "_take_in", beside_a_replay)
    refill_changed(system.config, system.orders)
    assert interrupted and rows(system) == before


def test_an_event_at_which_a_feed_fails_stops_nobody(system: System) -> None:
    """It changes nothing in any replica, and the others are filled."""
    sell_changed_products(system)
    store, kept = system.orders.store, len(rows(system))

    def fails_once_changed(row: Any, fact: Any) -> Any:
        raise LookupError("a case that nobody has thought of")

    fed = replace(PRODUCTS, feeds={**PRODUCTS.feeds, ProductDeleted: fails_once_changed})
    store.commit(Transaction(rows=[ReplicaRow(SHAPES, PRODUCTS.name, None)]))
    replicas = tuple(fed if replica is PRODUCTS else replica for replica in ORDERS.replicas)
    refill_changed(system.config, Writer(replace(ORDERS, replicas=replicas), store))
    assert len(rows(system)) == kept and not any(b'"deleted":true' in row for row in rows(system))
    assert store.row(SHAPES, PRODUCTS.name) == shape_of(fed).encode()


class Stopped(Exception):
    """The process ends here."""


class Watching:
    """A store that tells what is committed, and ends with one of the commits, before it or after it."""

    def __init__(self, store: EventStore, at: int, *, after: bool) -> None:
        self._store, self._at, self._after = store, at, after
        self.commits: list[Transaction] = []
        self.seen: set[tuple[bytes, ...]] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, transaction: Transaction) -> list[int]:
        self.seen.add(tuple(sorted(self._store.rows(PRODUCTS.name))))
        self.commits.append(transaction)
        ends = len(self.commits) == self._at
        if ends and not self._after:
            raise Stopped
        positions = self._store.commit(transaction)
        if ends:
            raise Stopped
        return positions


def test_a_filling_that_is_cut_anywhere_is_done_anew_and_never_seen_by_halves(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps few rows in memory and writes few at once, however many there are."""
    monkeypatch.setattr(replicas_module, "AT_ONCE", 3)
    ids, store = sell_changed_products(system, 16), system.orders.store
    before = rows(system)
    poor = ReplicaRow(PRODUCTS.name, str(ids[0]), store.row(PRODUCTS.name, str(ids[1])))  # as a former release had it
    cuts = 0
    for after in (False, True):
        for at in range(1, 100):
            as_changed(store)
            store.commit(Transaction(emptied=[PRODUCTS.name], rows=[poor]))
            former = tuple(rows(system))
            watching = Watching(store, at, after=after)
            try:
                refill_changed(system.config, Writer(ORDERS, cast(EventStore, watching)))
            except Stopped:
                cuts += 1
            assert max(len(one.rows) for one in watching.commits) <= 2 * 3
            assert watching.seen == {former}, "what is being filled was seen"
            if tuple(rows(system)) == former:
                assert store.rows(SHAPES) == [], "taken for filled"
                refill_changed(system.config, system.orders)
            assert rows(system) == before and len(store.rows(SHAPES)) == len(ORDERS.replicas)
            assert all(store.rows(f"filling:{replica.name}") == [] for replica in ORDERS.replicas)
            if len(watching.commits) < at:
                break
    assert cuts > 10


@pytest.mark.parametrize("ends", [False, True], ids=["and fills them", "and ends within"])
def test_of_two_processes_that_fill_the_same_replicas_the_later_one_does_it(
    system: System, monkeypatch: pytest.MonkeyPatch, *, ends: bool
) -> None:
    """The first was stopped in the middle, say, and goes on; where the other one has ended it does it after all."""
    monkeypatch.setattr(replicas_module, "AT_ONCE", 3)
    monkeypatch.setattr(replicas_module, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(replicas_module, "QUIET_SECONDS", 0.1 if ends else 600.0)
    sell_changed_products(system, 16)
    before, store = rows(system), system.orders.store
    as_changed(store)
    store.commit(Transaction(emptied=[PRODUCTS.name]))
    other = Watching(store, 4 if ends else 0, after=True)
    begun: list[bool] = []

    class Interrupted(Watching):
        def commit(self, transaction: Transaction) -> list[int]:
            if len(self.commits) == 3 and not begun:
                begun.append(True)
                with suppress(Stopped):
                    refill_changed(system.config, Writer(ORDERS, cast(EventStore, other)))
                assert (rows(system) == before) is not ends
            return super().commit(transaction)

    first = Interrupted(store, 0, after=True)
    assert refill_changed(system.config, Writer(ORDERS, cast(EventStore, first)))
    assert begun and rows(system) == before
    assert len(store.rows(SHAPES)) == len(ORDERS.replicas)
    refilled = [one for one in first.commits if PRODUCTS.name in one.emptied]
    assert bool(refilled) is ends


def test_a_replica_that_has_hundreds_of_rows_is_filled_with_few_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is looked up again where it was written meanwhile; one that is deleted is gone."""
    monkeypatch.setattr(replicas_module, "AT_ONCE", 10)
    store = EventStore("orders", MemoryRecorder())
    feeds = PRODUCTS.feeds.keys()
    whole: dict[str, Any] = {}
    filling = Filling(store, "orders", [PRODUCTS])
    filling.begin()
    most = 0
    for batch in interleaved(history(feeds, 2_000, Random(7)), Random(8)):
        for at in range(0, len(batch), 10):
            filling.take_in(batch[at : at + 10])
            most = max(most, len(filling._rows))
        for record in batch:
            for key in PRODUCTS.keys_of(record.fact):
                whole[key] = PRODUCTS.feeds[type(record.fact)](whole.get(key), record.fact)
    filling.write()
    assert sorted(store.rows("filling:products")) == sorted(encode(row) for row in whole.values() if row is not None)
    assert most < 20
