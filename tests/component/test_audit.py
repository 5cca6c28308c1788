"""The audit log at real stores: it grows, is one chain whoever writes it, and tampering shows (SEC-21)."""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chassis.audit.chain import check_chain
from chassis.catalogue import Catalogue
from chassis.foundation.config import Config
from chassis.messaging.consistency import Token
from chassis.projections.audit_collector import RECORDS, Collector
from chassis.projections.collections import connect
from chassis.projections.state import live_id, open_state
from chassis.queries.reader import ViewReader
from chassis.store.event_store import EventStore
from chassis.store.opening import open_store
from chassis.testing.people import ADMIN, WAREHOUSE
from chassis.verify.audit import check_copy
from chassis.writer.request import Answer, Request
from chassis.writer.writer import Writer
from component.support import unique, until
from contracts.inventory import AddProduct, AdjustStock, EditProduct, Prices
from contracts.types import Money
from services.inventory.application import SERVICE

PRICES = Prices(purchase=Money(amount=Decimal(60), currency="CNY"), sale=Money(amount=Decimal(100), currency="CNY"))


@pytest.fixture(params=["sqlite", "postgres"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Config:
    config = replace(Config(), event_store=request.param, data_dir=str(tmp_path), token_key_dir=str(tmp_path / "keys"))
    if request.param == "postgres":
        config = replace(config, postgres_url=request.getfixturevalue("postgres_url"))
        with psycopg.connect(config.postgres_url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA IF EXISTS inventory CASCADE")
    return config


@pytest.fixture
def store(config: Config) -> Iterator[EventStore]:
    store = open_store("inventory", config)
    yield store
    store.close()


def request(command: Any) -> Request:
    now = datetime.now(UTC)
    return Request(command=command, context=WAREHOUSE.context(now, now.date()), command_id=str(uuid.uuid4()))


def add(writer: Writer) -> uuid.UUID:
    command = AddProduct(name=unique("Phone"), model="A1", brand="Apple", prices=PRICES, opening_stock=50)
    asked = request(command)
    writer.execute([asked])
    asked.future.result(timeout=0)
    id: uuid.UUID = command.product_id
    return id


def execute_sql(config: Config, statement: str) -> None:
    """What somebody with the database in their hands does, past Salestream."""
    if config.event_store == "postgres":
        with psycopg.connect(config.postgres_url, autocommit=True) as connection:
            connection.execute("SET search_path TO inventory")
            connection.execute(statement)
        return
    with closing(sqlite3.connect(Path(config.data_dir) / "inventory.sqlite")) as lite, lite:
        lite.execute(statement)


@pytest.mark.parametrize(
    "statement", ["UPDATE audit SET body = digest", "DELETE FROM audit", "DELETE FROM audit WHERE number = 1"]
)
def test_the_database_refuses_to_change_or_delete_entries(config: Config, store: EventStore, statement: str) -> None:
    add(Writer(SERVICE, store))
    with pytest.raises((sqlite3.IntegrityError, psycopg.errors.RaiseException), match="append-only"):
        execute_sql(config, statement)
    assert check_chain(store).entries == 1


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE audit SET body = digest WHERE number = 3", "inventory-3-0: record 3 of inventory: its entries"),
        ("DELETE FROM audit WHERE number = 3", "inventory-3-0: record 3 of inventory: removed"),
        ("DELETE FROM audit WHERE number <= 2", "inventory-1-0: records 1 to 2 of inventory: removed"),
    ],
)
def test_SEC_21_what_was_changed_past_the_locks_is_named(
    config: Config, store: EventStore, statement: str, broken: str
) -> None:
    for _ in range(5):
        add(Writer(SERVICE, store))
    names = ("audit_append_only",) if config.event_store == "postgres" else ("audit_no_update", "audit_no_delete")
    for name in names:
        execute_sql(config, f"DROP TRIGGER {name}" + (" ON audit" if config.event_store == "postgres" else ""))
    execute_sql(config, statement)
    assert check_chain(store).broken.startswith(broken)


def test_two_processes_write_one_chain(config: Config) -> None:
    stores = [open_store("inventory", config) for _ in range(2)]
    products = [add(Writer(SERVICE, store)) for store in stores]

    def act(store: EventStore, product: uuid.UUID) -> None:
        writer = Writer(SERVICE, store)
        for _ in range(25):
            asked = request(AdjustStock(product_id=product, change=-1, reason="sold"))
            writer.execute([asked])
            asked.future.result(timeout=0)

    threads = [threading.Thread(target=act, args=pair) for pair in zip(stores, products, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    chain = check_chain(stores[0])
    assert (chain.broken, chain.entries) == ("", 52)
    for store in stores:
        store.close()


def test_a_refusal_whose_commit_was_repeated_is_written_down_once(store: EventStore) -> None:
    """The database library repeats a transaction whose reply was lost: the same record is told from a new one."""
    writer = Writer(SERVICE, store)
    committed = store.commit

    def twice(transaction: Any) -> list[int]:
        committed(transaction)
        return committed(transaction)

    asked = request(AdjustStock(product_id=uuid.uuid4(), change=-1, reason="sold"))
    store.commit = twice  # type: ignore[method-assign]
    writer.execute([asked])
    assert getattr(asked.future.exception(timeout=0), "code", "") == "NOT_FOUND"
    assert check_chain(store).entries == 1


def test_collecting_twice_or_anew_gives_the_same_documents(mongodb_uri: str, tmp_path: Path) -> None:
    config = replace(
        Config(), data_dir=str(tmp_path), mongodb_uri=mongodb_uri, mongodb_database=unique("a").replace(" ", "")
    )
    store, database, view = open_store("inventory", config), connect(config), Catalogue.read().audit_view()
    writer = Writer(SERVICE, store)
    for _ in range(45):
        add(writer)
    collector = Collector(store, database, view)
    assert sum(iter(collector.step, 0)) == 45
    first = list(database["audit"].find().sort("_id"))
    database["_views"].update_one({"_id": "audit"}, {"$unset": {"collected": ""}})
    Collector(store, database, view).step()
    assert list(database["audit"].find().sort("_id")) == first
    assert check_copy(store, database, view) == ""

    database["audit"].delete_many({})  # as the runbook has it brought anew, beside a collector at work
    database["_views"].delete_one({"_id": "audit"})
    add(writer)
    found = sum(iter(collector.step, 0))
    assert (found, database["audit"].count_documents({})) == (47, 46), "the new one, and then all"
    assert check_copy(store, database, view) == ""

    yesterday = database["_views"].find_one({"_id": "audit"})
    assert yesterday is not None
    for _ in range(3):
        add(writer)
    assert sum(iter(collector.step, 0)) == 3
    later = {"record": {"$gt": yesterday["collected"]["inventory"]["number"]}}
    assert database["audit"].delete_many(later).deleted_count == 3  # as a copy of yesterday is restored beside it
    database["_views"].replace_one({"_id": "audit"}, yesterday)
    add(writer)
    until(lambda: collector.step() == 0 and check_copy(store, database, view) == "")
    assert database["audit"].count_documents({}) == 50

    database["audit"].update_one({"_id": first[7]["_id"]}, {"$set": {"user": "somebody else"}})
    assert check_copy(store, database, view) == f"{first[7]['_id']}: the copy that queries read has another user"
    database["audit"].delete_one({"_id": first[7]["_id"]})
    assert check_copy(store, database, view) == f"{first[7]['_id']}: the copy that queries read does not have it"
    database.client.drop_database(config.mongodb_database)
    database.client.close()
    store.close()


def carried_out(writer: Writer, command: Any) -> Answer:
    asked = request(command)
    writer.execute([asked])
    return asked.future.result(timeout=0)


@pytest.mark.parametrize("hosted", [True, False], ids=["beside its store", "in another process"])
def test_who_sends_a_token_back_sees_the_entry_of_that_command(
    config: Config, store: EventStore, mongodb_uri: str, hosted: bool
) -> None:
    """However much is still to be brought, and however much comes meanwhile."""
    config = replace(config, mongodb_uri=mongodb_uri, mongodb_database=unique("a").replace(" ", ""))
    database, view, writer = connect(config), Catalogue.read().audit_view(), Writer(SERVICE, store)
    collector = Collector(store, database, view)
    collector.step()
    for _ in range(2 * RECORDS + 5):
        add(writer)

    def step(_: float) -> None:
        """While somebody waits the collector brings some, and people go on."""
        collector.step()
        for _ in range(RECORDS):
            writer.execute([request(AdjustStock(product_id=uuid.uuid4(), change=-1, reason="sold"))])

    records = {"inventory": store.last_audit} if hosted else {}
    reader = ViewReader(database, view, sleep=step, records=records)
    product = add(writer)
    said = [
        AdjustStock(product_id=product, change=-1, reason="sold"),
        AdjustStock(product_id=product, change=-2, reason="sold"),
        *([EditProduct(product_id=product, brand="Apple")] if hosted else []),  # changes nothing: no event tells of it
    ]
    for number, command in enumerate(said, start=2):
        token = Token.of(carried_out(writer, command), config.topic_partitions)
        page = reader.page(ADMIN, {"object_id": [str(product)], "count": ["true"]}, token)
        assert page.total == number
        assert page.items[0]["action"] == type(command).__name__
    database.client.drop_database(config.mongodb_database)
    database.client.close()


def test_a_token_of_a_service_that_takes_no_commands_keeps_nobody_waiting(config: Config, mongodb_uri: str) -> None:
    config = replace(config, mongodb_uri=mongodb_uri, mongodb_database=unique("a").replace(" ", ""))
    database, view = connect(config), Catalogue.read().audit_view()
    open_state(database, view, live_id(view))
    reader = ViewReader(database, view, sleep=lambda _: pytest.fail("it waits"))
    page = reader.page(ADMIN, {}, Token({"fulfilment.events:0": 7}))
    assert page.items == []
    database.client.drop_database(config.mongodb_database)
    database.client.close()
