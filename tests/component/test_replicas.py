"""A replica that a release adds, or feeds otherwise, knows what happened before (chassis.messaging.replicas)."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from chassis.messaging import replicas as replicas_module
from chassis.messaging.partitions import TopicsDamaged
from chassis.messaging.progress import StoredProgress
from chassis.messaging.replicas import SHAPES, refill_changed, shape_of
from chassis.store.event_store import EventStore
from chassis.store.transaction import ReplicaRow, Transaction
from chassis.testing.people import WAREHOUSE
from component.support import until
from component.test_topics import TOPIC, System, system
from contracts.declare import REGISTRY
from contracts.inventory import DeleteProduct, EditProduct, ProductAdded, ProductDeleted
from services.orders.application import PRODUCTS

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
    system.kafka.send(TOPIC, added.key, b"{", [(name, value or b"") for name, value in headers.items()])
    store = system.orders.store
    store.set_position(f"offset:{added.source}", (store.position(f"offset:{added.source}") or 0) + 1)
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
