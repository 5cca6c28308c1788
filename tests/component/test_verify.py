"""`salestream verify` on real Kafka, MongoDB and stores: a clean system is consistent, each planted fault is named."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest
from pymongo.database import Database

from chassis.access.company import CompanySettings
from chassis.catalogue import Catalogue
from chassis.foundation.compression import unpacked
from chassis.foundation.config import Config
from chassis.messaging.consumer import Consumer
from chassis.messaging.dead_letters import DeadLetters
from chassis.messaging.inbox import Inbox
from chassis.messaging.records import event_headers
from chassis.messaging.replicas import refill_changed
from chassis.model.principal import Principal
from chassis.model.saga import Process as SagaProcess
from chassis.persons.opening import use_keys
from chassis.projections.collections import STATES, connect
from chassis.run.main import main
from chassis.run.process import Host
from chassis.run.worker_process import collector_loops, projector_loops, relay_loops, saga_loops
from chassis.sagas.runner import WaitingRow
from chassis.store.events import recorded
from chassis.store.opening import open_store
from chassis.store.transaction import Transaction, snapshot_of
from chassis.testing.keys import holding
from chassis.testing.people import ADMIN, SALES, WAREHOUSE
from chassis.verify.audit import copy_behind
from chassis.verify.findings import CONSISTENT, DIFFERENT, NOT_LOOKED, Findings
from chassis.verify.run import Verification
from chassis.writer.forgetting import PAUSE_SECONDS, Forgetting
from chassis.writer.request import Request
from chassis.writer.writer import Writer
from component.facts import product
from component.support import SERVICES, KafkaBench, eventually, until
from contracts.customers import CreateCustomer
from contracts.declare import REGISTRY
from contracts.errors import Refused
from contracts.inventory import ReceiveStock, StockLine, StockReturned
from contracts.orders import CancelOrder, CreateOrder, LineRequest, SetSalesProcess, SubmitOrder
from contracts.shipping import Deliver
from services.inventory.domain import StockItem, deduction_id, stock_id

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


class Company:
    """All services with their relays, inboxes, collectors, projector and saga, as threads of this process."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.process = Host(config)
        self.process.prepare()
        self.writers = {s.name: Writer(s, self.process.store(s.name)) for s in self.process.catalogue.services()}
        for writer in self.writers.values():
            writer.start()
        self._running: dict[str, tuple[threading.Event, threading.Thread]] = {}
        self.phone, self.customer = uuid4(), uuid4()

    def start(self) -> None:
        """Start every loop that does not run."""
        loops = relay_loops(self.process) | projector_loops(self.process, threading.Event()) | saga_loops(self.process)
        loops |= collector_loops(self.process)
        for name, writer in self.writers.items():
            inbox = Inbox(writer, CompanySettings(self.config.zone))
            if inbox.topics():
                loops[f"inbox-{name}"] = Consumer(self.config, inbox, self.process.producer)
        for name, loop in loops.items():
            if name not in self._running:
                stop = threading.Event()
                thread = threading.Thread(target=loop.run, args=(stop,), name=name, daemon=True)
                thread.start()
                self._running[name] = stop, thread

    def stop(self, *names: str) -> None:
        """Stop these loops (all by default; collectors then last, when they have brought all there is)."""
        if not names:
            collectors = [name for name in self._running if name.startswith("audit-")]
            if others := self._running.keys() - set(collectors):
                self.stop(*others)
            for name in collectors:
                self.await_copy(name.removeprefix("audit-"))
        stopping = {name: self._running.pop(name) for name in names or tuple(self._running)}
        for stop, _ in stopping.values():
            stop.set()
        for _, thread in stopping.values():
            thread.join(30)
            assert not thread.is_alive()

    def do(self, command: Any, by: Principal = ADMIN, key: str = "") -> dict[str, Any]:
        """Carry out a command as soon as its service knows what it needs."""

        def carried_out() -> dict[str, Any]:
            request = Request(
                command=command, context=by.context(NOW, NOW.date()), command_id=key or str(uuid4()), remember=bool(key)
            )
            self.writers[REGISTRY.command_of(type(command)).service].submit(request)
            try:
                return request.future.result(30).body
            except Refused as refusal:
                raise AssertionError(f"{refusal.code}: {refusal.message}") from refusal

        return eventually(carried_out)

    def order(self, quantity: int = 1, *, submit: bool = True, price: str = "10.00") -> UUID:
        id = uuid4()
        line = LineRequest(product_id=self.phone, quantity=quantity, unit_price=Decimal(price))
        self.do(CreateOrder(order_id=id, customer_id=self.customer, lines=(line,)), by=SALES)
        if submit:
            self.do(SubmitOrder(order_id=id), by=SALES, key=str(uuid4()))
        return id

    def await_page(self, order: UUID, **shown: str) -> None:
        views = connect(self.config)
        until(lambda: views["order_pages"].find_one({"_id": str(order), **shown}))
        views.client.close()

    def await_copy(self, service: str) -> None:
        """Wait until all that the audit log of a service holds now was brought to MongoDB."""
        views, goal = connect(self.config), self.process.store(service).last_audit()
        until(lambda: not copy_behind(views, self.process.catalogue.audit_view(), service, goal))
        views.client.close()

    def await_step(self, order: UUID, step: str) -> None:
        def there() -> bool:
            found = self.process.store("fulfilment").load(SagaProcess, order)
            return found is not None and found.step == step

        until(there)

    def close(self) -> None:
        self.stop()
        for writer in self.writers.values():
            writer.stop()
        self.process.close()


def verify(config: Config, *only: str, wait: float = 20.0, processes: int = 0) -> Findings:
    return Verification(config, only, wait=wait, bars=no_bars, processes=processes).run()


@contextmanager
def no_bars(_name: str, _total: int) -> Iterator[Any]:
    class Bar:
        def update(self, n: float | None = 1) -> None: ...

    yield Bar()


def named(findings: Findings, check: str, *texts: str) -> None:
    """Some difference of this check tells all these texts; the verdict is "different"."""
    told = [str(found) for found in findings.differences if found.check == check]
    assert any(all(text in one for text in texts) for one in told), findings.text()
    assert findings.exit_code == DIFFERENT


def a_busy_company(config: Config) -> Company:
    """Orders shipped, cancelled in the warehouse, waiting for approval, for stock and for the warehouse."""
    company = Company(config)
    company.start()
    company.do(product(product_id=company.phone, opening_stock=100_000), by=WAREHOUSE)
    company.do(CreateCustomer(customer_id=company.customer, name="Acme", mobile="13800000001", industry="IT"), by=SALES)
    first = [company.order(n) for n in (1, 2, 3)]
    company.order(price="9000.00")  # waits for its approvals
    company.order(200_000, price="0.01")  # waits for stock
    company.order(submit=False)
    for order in first:
        company.await_page(order, status="SHIPPED")
    company.do(SetSalesProcess(settings_id="sales-process", shipping="WAREHOUSE"))
    cancelled = company.order(5)
    company.await_step(cancelled, "hand over")
    company.do(CancelOrder(order_id=cancelled, reason="no need"), by=SALES)
    company.await_step(company.order(6), "hand over")
    company.do(SetSalesProcess(settings_id="sales-process", shipping="AUTOMATIC"))
    company.do(Deliver(order_id=first[0]), by=WAREHOUSE)
    return company


@pytest.fixture(scope="module")
def config(kafka_servers: str, mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Config:
    config = Config(
        kafka_bootstrap_servers=kafka_servers,
        mongodb_uri=mongodb_uri,
        mongodb_database=f"test_{uuid4().hex}",
        data_dir=str(tmp_path_factory.mktemp("stores")),
        token_key_dir=str(tmp_path_factory.mktemp("keys")),
        topic_partitions=2,
    )
    bench = KafkaBench(config)
    bench.empty()
    bench.close()
    return config


@pytest.fixture(scope="module")
def company(config: Config) -> Iterator[Company]:
    """At rest: everything has happened, nothing runs."""
    with holding(use_keys(config)):
        yield from _at_rest(config)


def _at_rest(config: Config) -> Iterator[Company]:
    company = a_busy_company(config)
    assert verify(config).exit_code == CONSISTENT  # which also waits until all have caught up
    company.stop()
    yield company
    company.close()
    database = connect(config)
    database.client.drop_database(database.name)
    database.client.close()


@pytest.fixture
def views(config: Config) -> Iterator[Database[dict[str, Any]]]:
    database = connect(config)
    yield database
    database.client.close()


@contextmanager
def sql(config: Config, service: str) -> Iterator[sqlite3.Connection]:
    """A service's database, with an operator's hands in it; what was done is undone in the end."""
    path = Path(config.data_dir) / f"{service}.sqlite"
    with sqlite3.connect(path) as before:
        kept = sqlite3.connect(":memory:")
        before.backup(kept)
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        yield connection
    finally:
        kept.backup(connection)
        connection.close()
        kept.close()


# -- a clean system -----------------------------------------------------------------------------------------------


def test_a_company_at_rest_is_consistent(company: Company) -> None:
    found = verify(company.config)
    assert found.exit_code == CONSISTENT, found.text()
    assert found.counts["documents compared"] > 30
    assert found.counts["events read"] == sum(s.last_position() for s in company.process._stores.values())
    assert found.counts["commands between services compared"] > 10
    assert found.counts["deductions = shipments checked"] == 7
    waits = "\n".join(found.explained)
    for text in ("1 at 'approval' for people", "1 at 'deduct stock' for somebody who tries again (OrderRetried)",
                 "1 at 'hand over' for people", "2 at 'delivery' for people"):  # fmt: skip
        assert text in waits
    assert not found.attention


def test_a_living_system_is_consistent_while_orders_pass_through(company: Company) -> None:
    company.start()
    end = threading.Event()
    sent: list[UUID] = []

    def sell() -> None:
        while not end.is_set():
            sent.append(company.order())
            if len(sent) % 5 == 0:
                company.order(price="9000.00")
            company.await_step(sent[-1], "delivery")

    seller = threading.Thread(target=sell)
    seller.start()
    try:
        meanwhile = 0
        while meanwhile < 3:  # until orders were passing through during three of them
            assert seller.is_alive(), "no order passes through any more"
            before = len(sent)
            found = verify(company.config)
            assert found.exit_code == CONSISTENT, found.text()
            meanwhile += len(sent) > before
        end.set()
        seller.join(60)
        found = verify(company.config)
    finally:
        end.set()
        seller.join(60)
        company.stop()
    assert found.exit_code == CONSISTENT, found.text()


def test_one_service_alone(company: Company) -> None:
    found = verify(company.config, "inventory")
    assert found.exit_code == CONSISTENT, found.text()
    assert "documents compared" not in found.counts
    assert found.counts["accounts of the stock ledger compared"] == 1


# -- planted differences ------------------------------------------------------------------------------------------


def test_a_document_changed_by_hand_is_named(company: Company, views: Database[dict[str, Any]]) -> None:
    page = views["orders"].find_one({"status": "SHIPPED"})
    assert page is not None
    views["orders"].update_one({"_id": page["_id"]}, {"$set": {"status": "CANCELLED", "by_hand": 1}})
    views["orders"].insert_one({"_id": "nobody", "status": "DRAFT"})
    removed = views["stock_ledger"].find_one_and_delete({})
    assert removed is not None
    views["products"].update_one({"_id": str(company.phone)}, {"$inc": {"on_hand": 1}})
    try:
        found = verify(company.config)
        named(
            found, "views = events", f"orders {page['_id']}", "status is 'CANCELLED', should be 'SHIPPED'",
            f"v1 {page['_id']}/", "position", "orders.events:",
        )  # fmt: skip
        named(found, "views = events", "orders nobody: the document should not be there")
        named(found, "views = events", f"stock_ledger {removed['_id']}: the document is missing", "stock-moved")
        named(found, "stock ledger", str(company.phone), "products.on_hand is")
        assert len(found.differences) == 5
    finally:
        views["orders"].replace_one({"_id": page["_id"]}, page)
        views["orders"].delete_one({"_id": "nobody"})
        views["stock_ledger"].insert_one(removed)
        views["products"].update_one({"_id": str(company.phone)}, {"$inc": {"on_hand": -1}})
    assert verify(company.config).exit_code == CONSISTENT


def test_a_stock_balance_changed_in_the_store_is_named(company: Company) -> None:
    with sql(company.config, "inventory") as db:
        state = db.execute("SELECT state FROM stored_events WHERE topic LIKE '%stock-moved%' AND rowid > 5").fetchone()[
            0
        ]
        moved = json.loads(unpacked(state))
        moved["data"]["balance"] += 1
        db.execute("UPDATE stored_events SET state=? WHERE state=?", (msgspec.json.encode(moved), state))
        found = verify(company.config)
        named(found, "stock ledger", str(company.phone), "the entry changes it by", "stock-moved.v1", "position")
        named(found, "Kafka = stores", "the record differs from the stored event")
        named(found, "views = events", "stock_ledger", "balance is")
    assert verify(company.config).exit_code == CONSISTENT


def test_a_snapshot_changed_in_the_store_is_named(company: Company) -> None:
    store = company.process.store("inventory")
    item = store.load(StockItem, stock_id(company.phone))
    assert item is not None
    with sql(company.config, "inventory") as db:
        store.commit(Transaction(snapshots=[snapshot_of(item)]))
        honest = verify(company.config, "inventory")
        assert honest.exit_code == CONSISTENT and honest.counts["snapshots = events checked"] == 1
        item.on_hand += 7
        db.execute("UPDATE snapshots SET state=?", (snapshot_of(item).state,))
        found = verify(company.config, "inventory")
        named(found, "snapshots = events", f"on_hand is {item.on_hand}, the events say {item.on_hand - 7}")
        named(found, "stock ledger", f"the entries come to {item.on_hand - 7}, the StockItem has {item.on_hand}")


def test_processes_side_by_side_find_what_one_finds(company: Company, views: Database[dict[str, Any]]) -> None:
    """A fault of each kind that is looked for in a process of its own: in a view, a stream, a snapshot, on Kafka."""
    store = company.process.store("inventory")
    item = store.load(StockItem, stock_id(company.phone))
    assert item is not None
    page = views["orders"].find_one({"status": "SHIPPED"})
    assert page is not None
    with sql(company.config, "inventory") as db, sql(company.config, "orders") as orders:
        item.on_hand += 7
        store.commit(Transaction(snapshots=[snapshot_of(item)]))
        db.execute("UPDATE stored_events SET state = state || 'x' WHERE topic LIKE '%stock-deducted%'")
        db.execute("UPDATE stored_events SET topic = 'nobody-knows' WHERE topic LIKE '%product-added%'")
        orders.execute("DELETE FROM stored_events WHERE topic LIKE '%order-submitted%'")
        views["orders"].update_one({"_id": page["_id"]}, {"$set": {"status": "CANCELLED"}})
        try:
            alone, together = (verify(company.config, processes=number, wait=1.0) for number in (1, 3))
        finally:
            views["orders"].replace_one({"_id": page["_id"]}, page)
    assert set(alone.differences) == set(together.differences)
    assert len(set(alone.differences)) == len(alone.differences) == len(together.differences)
    assert alone.counts == together.counts and sorted(alone.not_looked) == sorted(together.not_looked)
    checks = {found.check for found in alone.differences}
    assert checks >= {
        "views = events", "streams are whole", "snapshots = events", "Kafka = stores", "events can be read",
        "remembered results",
    }  # fmt: skip
    assert verify(company.config, processes=3).exit_code == CONSISTENT


def test_a_number_that_two_orders_have_is_named(company: Company) -> None:
    with sql(company.config, "orders") as db:
        first, second = db.execute(
            "SELECT rowid, state FROM stored_events WHERE topic LIKE '%order-created%' LIMIT 2"
        ).fetchall()
        number = json.loads(unpacked(first[1]))["data"]["number"]
        changed = json.loads(unpacked(second[1]))
        changed["data"]["number"] = number
        db.execute("UPDATE stored_events SET state=? WHERE rowid=?", (msgspec.json.encode(changed), second[0]))
        found = verify(company.config)
        named(found, "order numbers", number, "have this number", changed["data"]["order_id"])


def test_an_event_taken_out_of_a_store_is_named(company: Company) -> None:
    with sql(company.config, "orders") as db:
        id, position = db.execute(
            "SELECT originator_id, rowid FROM stored_events WHERE topic LIKE '%order-submitted%'"
        ).fetchone()
        db.execute("DELETE FROM stored_events WHERE rowid=?", (position,))
        found = verify(company.config)
        named(found, "streams are whole", f"orders {UUID(id)}", "version 3 follows version 1")
        named(found, "Kafka = stores", "Kafka holds a record that the store lacks", f"order-submitted.v1 {UUID(id)}/2")
        named(found, "remembered results", f"tells of event {UUID(id)}/2, which is not there")


def test_a_remembered_result_that_tells_of_another_event_is_named(company: Company) -> None:
    with sql(company.config, "orders") as db:
        id, reply = db.execute("SELECT command_id, reply FROM command_results").fetchone()
        told = json.loads(unpacked(reply))
        told["last"][-1]["version"] = 1
        db.execute("UPDATE command_results SET reply=? WHERE command_id=?", (msgspec.json.encode(told), id))
        named(verify(company.config), "remembered results", f"orders {id}", "was caused by", "position")


def test_goods_given_back_for_a_shipped_order_are_named(company: Company) -> None:
    orders = company.process.store("orders")
    shipped = next(n for n in orders.notifications(0, 10_000) if "order-shipped" in n.type)
    order = UUID(shipped.key)
    store, id = company.process.store("inventory"), deduction_id(order)
    lines = (StockLine(product_id=company.phone, quantity=1),)
    with sql(company.config, "inventory"):
        meta = msgspec.json.encode(shipped.meta)
        version = len(list(store.facts(id))) + 1
        store.commit(Transaction([recorded(id, version, StockReturned(order_id=order, round=1, lines=lines), meta)]))
        store.set_position("relay", store.last_position())
        found = verify(company.config, wait=1.0)
        named(found, "deductions = shipments", f"{order} 1", "shipped, but deductions minus returns are 0")
        named(found, "stock moved for orders", str(order), f"-1 of product {company.phone}", "stock-returned")
        named(found, "Kafka = stores", "an event of the store is missing on Kafka", f"stock-returned.v1 {id}/{version}")


# -- sagas and commands that went astray ---------------------------------------------------------------------------


@pytest.fixture
def at_dispatch(company: Company) -> Iterator[UUID]:
    """An order whose saga waits for shipping, which does not listen; in the end it goes on."""
    company.start()
    company.stop("inbox-shipping")
    order = company.order()
    company.await_page(order, waiting_for="dispatch")
    company.stop()
    yield order
    company.start()
    try:
        company.await_step(order, "delivery")
        assert verify(company.config).exit_code == CONSISTENT
    finally:
        company.stop()


def read_nothing_more(config: Config, service: str, *topics: str) -> None:
    """Let a service's inbox believe that it has read all there is."""
    bench = KafkaBench(config)
    records = [record for topic in topics for record in bench.records(topic)]
    bench.close()
    store = open_store(service, config)
    for record in records:
        store.set_position(f"offset:{record.source}", record.offset + 1)
        store.set_position(f"position:{record.source}", record.position)
    store.close()


def test_a_saga_without_a_time_limit_is_stuck(company: Company, at_dispatch: UUID) -> None:
    with sql(company.config, "shipping"), sql(company.config, "fulfilment") as db:
        read_nothing_more(company.config, "shipping", "shipping.commands", "orders.events")
        found = verify(company.config, wait=1.0)
        named(found, "commands sent", "DispatchShipment", "shipping has read the command and remembers no result")
        assert "1 at 'dispatch' for shipping (sent 1 times)" in "\n".join(found.explained)
        limit = WaitingRow(at_dispatch, datetime.now(UTC) - timedelta(minutes=1))
        db.execute("UPDATE replica_rows SET body=? WHERE key=?", (msgspec.json.encode(limit), str(at_dispatch)))
        named(
            verify(company.config, wait=1.0), "sagas ended or explained", str(at_dispatch), "its time limit passed at"
        )
        db.execute("DELETE FROM replica_rows WHERE key=?", (str(at_dispatch),))
        named(
            verify(company.config, wait=1.0), "sagas ended or explained", f"{at_dispatch} at 'dispatch'",
            "without a time limit", "chassis.command-sent",
        )  # fmt: skip


def test_commands_whose_results_were_forgotten_are_told_by_the_audit_log(company: Company) -> None:
    """ADR 0032.  One that is gone without having been forgotten, or was never done, is still a difference."""
    with sql(company.config, "shipping") as db:
        store, ticks = open_store("shipping", company.config), [0.0]
        before = db.execute("SELECT count(*) FROM command_results").fetchone()[0]
        assert before > 1
        for day in range(4):  # the second begins the first day that will be forgotten as a whole
            forgetting = Forgetting(store, 1, today=lambda: NOW.date() + timedelta(days=day), ticks=lambda: ticks[0])  # noqa: B023
            while forgetting.pause() == 0:
                forgetting.turn()
                ticks[0] += 2 * PAUSE_SECONDS
        store.close()
        assert db.execute("SELECT count(*) FROM command_results").fetchone()[0] == 0
        found = verify(company.config)
        assert found.exit_code == CONSISTENT, found.text()
        ends = db.execute("SELECT max(notification_id) FROM tracking WHERE application_name LIKE 'results:ends:%'")
        assert ends.fetchone()[0] > 1
        db.execute("UPDATE tracking SET notification_id = 1 WHERE application_name LIKE 'results:ends:%'")
        named(verify(company.config), "commands sent", "shipping has read the command and remembers no result")


def test_what_a_stopped_consumer_has_not_read_is_no_difference(company: Company, at_dispatch: UUID) -> None:
    found = verify(company.config, wait=0.5)
    assert found.exit_code == NOT_LOOKED and not found.differences, found.text()
    behind = next(line for line in found.not_looked if "inbox of shipping is behind" in line)
    assert "1 records of shipping.commands:" in behind


def test_a_saga_that_overlooked_its_event_is_stuck(company: Company) -> None:
    company.start()
    order = company.order()
    company.await_page(order, waiting_for="delivery")
    company.stop()
    with sql(company.config, "fulfilment") as db:
        # as if the process had stored nothing from OrderShipped on, its positions all the same
        later = db.execute(
            "SELECT rowid, state FROM stored_events WHERE originator_id=? ORDER BY rowid DESC", (order.hex,)
        ).fetchall()
        for position, state in later:
            db.execute("DELETE FROM stored_events WHERE rowid=?", (position,))
            changes = json.loads(unpacked(state))["data"].get("changes") or []
            if ["ship order", "DONE"] in changes:
                break
        found = verify(company.config, wait=1.0)
        named(found, "sagas ended or explained", str(order), "has read this event and still stands at 'ship order'",
              "order-shipped")  # fmt: skip


# -- the copy of the audit log -------------------------------------------------------------------------------------


@pytest.fixture
def audit_copy(company: Company, views: Database[dict[str, Any]]) -> Iterator[Database[dict[str, Any]]]:
    """MongoDB with the copy of the audit log, whole; in the end the collectors bring it whole again."""
    assert verify(company.config).exit_code == CONSISTENT
    yield views
    views["audit"].delete_many({})
    views[STATES].delete_one({"_id": "audit"})
    company.start()
    try:
        assert verify(company.config).exit_code == CONSISTENT, "it waits until the copy was brought"
    finally:
        company.stop()


def test_a_copy_of_the_audit_log_that_is_gone_is_named(company: Company, audit_copy: Database[dict[str, Any]]) -> None:
    audit_copy["audit"].delete_many({})
    named(verify(company.config, wait=0.5), "audit log", "inventory", "the copy that queries read does not have it")
    audit_copy[STATES].delete_one({"_id": "audit"})
    found = verify(company.config, wait=0.5)
    named(found, "audit log", "inventory", "nobody has brought a copy")
    assert not found.not_looked


def test_a_copy_of_the_audit_log_that_is_behind_is_told_as_behind(
    company: Company, audit_copy: Database[dict[str, Any]]
) -> None:
    company.start()
    company.stop("audit-inventory")
    company.do(ReceiveStock(product_id=company.phone, quantity=1, reason="delivery"), by=WAREHOUSE)
    found = verify(company.config, wait=3.0)
    company.stop()
    assert found.exit_code == NOT_LOOKED and not found.differences, found.text()
    assert [line for line in found.not_looked if "inventory" in line] == found.not_looked
    assert "the copy of inventory's audit log is behind" in "\n".join(found.not_looked)
    audit_copy[STATES].update_one({"_id": "audit"}, {"$unset": {"collected.inventory": ""}})
    found = verify(company.config, wait=0.5)
    assert found.exit_code == NOT_LOOKED, "a copy that nobody has begun for one service is no whole one"


# -- Kafka --------------------------------------------------------------------------------------------------------


def test_records_lost_out_of_order_and_foreign_are_named(company: Company) -> None:
    store = company.process.store("inventory")
    before = store.last_position()
    for _ in range(3):
        company.do(ReceiveStock(product_id=company.phone, quantity=1, reason="delivery"), by=WAREHOUSE)
    store.set_position("relay", store.last_position())
    first, second, _lost = [n for n in store.notifications(before, 10) if n.key]
    bench = KafkaBench(company.config)
    spec = REGISTRY.events[first.type]
    for event in (second, first):
        bench.send(spec.topic, event.key, event.data, event_headers(spec, event, event.key))
    found = verify(company.config, wait=1.0)
    named(
        found, "Kafka = stores", "came after a later one", f"{first.aggregate_id}/{first.version}", "inventory.events:"
    )
    named(found, "Kafka = stores", "missing on Kafka", f"{_lost.aggregate_id}/{_lost.version}", "stock-moved")
    assert len(found.differences) == 2
    bench.send("orders.events", "somebody", b"{}", [("ce_type", b"salestream.orders.order-shipped.v9")])
    found = verify(company.config, wait=1.0)
    named(found, "Kafka = stores", "a record that the store lacks", "order-shipped.v9", "key somebody")
    lost = [difference for difference in found.differences if "order-shipped.v9" not in str(difference)]

    # set aside by those who read the topic, it needs attention; given up by an operator, it is explained
    readers = {service.name for service in Catalogue.read().services() if "orders.events" in service.consumed_topics()}
    groups = ("reports", "order-fulfilment-saga", *sorted(readers))
    company.start()
    until(lambda: all(DeadLetters(company.config, group).waiting() for group in groups))
    company.stop()
    attention = verify(company.config).attention
    for group in groups:
        assert any(line.startswith(f"{group}: ") and "somebody" in line for line in attention)
        letters = DeadLetters(company.config, group)
        letters.drop(bench.producer, letters.waiting())
    company.start()
    found = verify(company.config)
    company.stop()
    assert set(lost) < set(found.differences) and not found.attention, found.text()
    assert not any("that the store lacks" in str(difference) for difference in found.differences)
    # the later one of the two proves the earlier one's position forged: both were taken, and one is too many
    about = f"stock_ledger {second.aggregate_id}/{second.version}: the document should not be there"
    named(found, "views = events", about)

    never = {**dict(event_headers(spec, second, second.key)), "ce_id": b"%s/77" % str(second.aggregate_id).encode()}
    never |= {"ce_sequence": b"77", "ce_position": b"1000000000"}
    bench.send(spec.topic, second.key, second.data, list(never.items()))
    company.start()
    found = verify(company.config)
    company.stop()
    end = store.last_position()
    for who in ("the view products", "the inbox of orders"):
        named(found, "positions taken", f"{who}, inventory.events:", f"position 1000000000, the log ends at {end}")
    bench.close()


# -- replicas --------------------------------------------------------------------------------------------------------


def rows_of(writer: Writer, replica: str) -> list[bytes]:
    """The rows of a replica; what a row tells of several records came from partitions that have no order."""
    return sorted(msgspec.json.encode(msgspec.json.decode(row), order="sorted") for row in writer.store.rows(replica))


def test_every_replica_filled_anew_is_what_it_was(company: Company) -> None:
    """A release that changes a replica has it filled from event one (chassis.messaging.replicas)."""
    filled = 0
    for writer in company.writers.values():
        if not writer.service.consumed_topics():
            continue
        names = [replica.name for replica in writer.service.replicas]
        before = {name: rows_of(writer, name) for name in names}
        refill_changed(company.config, writer)
        assert {name: rows_of(writer, name) for name in names} == before
        filled += sum(map(len, before.values()))
    assert filled > 10


# -- what can't be looked at ---------------------------------------------------------------------------------------


def test_servers_that_do_not_answer_are_named(company: Company, tmp_path: Path) -> None:
    config = replace(
        company.config,
        kafka_bootstrap_servers="127.0.0.1:9",
        mongodb_uri="mongodb://127.0.0.1:9/?replicaSet=rs0&serverSelectionTimeoutMS=300",
    )
    found = verify(config)
    assert found.exit_code == NOT_LOOKED
    assert [line.split(":")[0] for line in found.not_looked] == ["Kafka at 127.0.0.1", "MongoDB at mongodb"]
    found = verify(replace(company.config, data_dir=str(tmp_path)), "inventory")
    assert found.exit_code == NOT_LOOKED
    assert f"{tmp_path}/inventory.sqlite does not exist" in found.not_looked[0]
    assert list(tmp_path.iterdir()) == []


def test_the_command_tells_it_as_json(
    company: Company, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for item in fields(Config):
        monkeypatch.setenv(item.name.upper(), str(getattr(company.config, item.name)))
    code = main(["verify", "--json", "--wait", "1"])
    told = json.loads(capsys.readouterr().out)
    assert code == {"consistent": 0, "different": 1, "not looked": 2}[told["verdict"]]
    assert told["counts"]["events read"] > 100


# -- the other store -----------------------------------------------------------------------------------------------


def test_a_company_on_postgresql(company: Company, postgres_url: str, mongodb_uri: str, kafka_servers: str) -> None:
    """Last in this file: it takes Kafka for itself."""
    config = replace(
        company.config, event_store="postgres", postgres_url=postgres_url, mongodb_database=f"test_{uuid4().hex}"
    )
    company.stop()
    bench = KafkaBench(config)
    bench.empty()
    bench.close()
    with psycopg.connect(postgres_url, autocommit=True) as db:
        for name in SERVICES:
            db.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")
        other = a_busy_company(config)
        try:
            found = verify(config)
            assert found.exit_code == CONSISTENT, found.text()
            assert found.counts["deductions = shipments checked"] == 7
            other.stop()
            for row, state in db.execute("SELECT notification_id, state FROM inventory.inventory_events").fetchall():
                changed = unpacked(state).replace(b'"balance":99', b'"balance":98')
                place = (changed, row)
                db.execute("UPDATE inventory.inventory_events SET state = %s WHERE notification_id = %s", place)
            named(verify(config), "stock ledger", str(other.phone), "position")
        finally:
            other.close()
            for name in SERVICES:
                db.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")
    found = verify(replace(config, postgres_url="postgresql://postgres@127.0.0.1:9/postgres"), "inventory")
    assert found.exit_code == NOT_LOOKED and "the event store of inventory" in found.not_looked[0]
