"""The projector on real Kafka and MongoDB: crashes, repeats, rivals, rebuilds and poison leave the documents right."""

from __future__ import annotations

import io
import multiprocessing
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from chassis.catalogue import Catalogue, projector_group
from chassis.foundation.config import Config
from chassis.messaging import records as records_module
from chassis.messaging import relay as relay_module
from chassis.messaging.consumer import Consumer, Fenced
from chassis.messaging.dead_letters import DeadLetter, DeadLetters
from chassis.messaging.partitions import PartitionReader
from chassis.messaging.progress import Progress
from chassis.messaging.records import Incoming, event_headers
from chassis.messaging.relay import Relay
from chassis.model.changes import Change, EventMetadata
from chassis.model.views import View
from chassis.projections import projector as projector_module
from chassis.projections.collections import SKIPPED, STATES
from chassis.projections.projector import Projection, Projector
from chassis.projections.rebuild import Rebuild, content, rebuild_outdated
from chassis.run.worker_process import LANES
from chassis.store.event_store import EventStore
from chassis.store.events import Notification
from chassis.testing.keys import share
from chassis.testing.people import FINANCE, SALES, SUPERVISOR, WAREHOUSE
from chassis.testing.people import SYSTEM as ITSELF
from chassis.testing.services import InMemoryService
from component.databases import Databases
from component.facts import product
from component.support import KafkaBench, eventually, until
from contracts.approvals import Approve, OpenCase, Reject, case_id_of
from contracts.customers import CreateCustomer
from contracts.declare import REGISTRY
from contracts.inventory import AdjustStock, DeductStock, ReceiveStock, StockLine, StockMoved
from contracts.orders import (
    ApproveOrder,
    CancelOrder,
    CreateOrder,
    LineRequest,
    OrderSubmitted,
    RecordPayment,
    RejectOrder,
    ShipOrder,
    SubmitOrder,
    WithdrawOrder,
)
from contracts.people import Person
from contracts.schemas import decode
from services.approvals.application import SERVICE as APPROVALS
from services.customers.application import SERVICE as CUSTOMERS
from services.inventory.application import SERVICE as INVENTORY
from services.orders.application import SERVICE as ORDERS
from services.reports.views.products import VIEW as PRODUCTS_VIEW
from services.reports.views.sales import SALES_BY_PRODUCT
from services.reports.views.stock_ledger import VIEW as LEDGER_VIEW

GROUP = projector_group()

SLICE = 15
Documents = dict[str, dict[str, Any]]


class Company:
    """Four services in memory whose stores a test publishes slice by slice."""

    def __init__(self) -> None:
        self.inventory, self.customers = InMemoryService(INVENTORY), InMemoryService(CUSTOMERS)
        self.orders, self.approvals = InMemoryService(ORDERS), InMemoryService(APPROVALS)

    @property
    def stores(self) -> list[EventStore]:
        return [kit.store for kit in (self.inventory, self.customers, self.orders, self.approvals)]

    def work(self) -> None:
        """Some days of business: orders shipped, approved, rejected, withdrawn, cancelled, paid."""
        customer = uuid4()
        self.customers.do(
            CreateCustomer(customer_id=customer, name="田中商店", mobile="13800000001", industry="IT"), by=SALES
        )
        products = [UUID(int=Random(n).getrandbits(128), version=4) for n in range(4)]
        for number, id in enumerate(products):
            self.inventory.do(
                product(product_id=id, brand=f"Brand {number % 2}", opening_stock=50, alert_quantity=45), by=WAREHOUSE
            )
        self.orders.learn(*self.customers.new_facts(), *self._public(self.inventory))
        for number in range(24):
            self._order(number, customer, products)
            self.inventory.pass_time(minutes=1)
            self.orders.pass_time(minutes=1)
        self.inventory.do(AdjustStock(product_id=products[0], change=-1, reason="lost"), by=WAREHOUSE)
        self.inventory.do(ReceiveStock(product_id=products[0], quantity=9, reason="delivery"), by=WAREHOUSE)

    def _order(self, number: int, customer: UUID, products: list[UUID]) -> None:
        id, product, quantity = uuid4(), products[number % 4], 1 + number % 3
        price = Decimal("6000.10") if number % 2 else Decimal("10.10")
        line = LineRequest(product_id=product, quantity=quantity, unit_price=price)
        self.orders.do(CreateOrder(order_id=id, customer_id=customer, lines=(line,)), by=SALES)
        submitted = self.orders.do(SubmitOrder(order_id=id), by=SALES).body
        if number % 2:
            assert submitted["status"] == "PENDING_APPROVAL"
            if number % 6 == 1:
                self.orders.do(WithdrawOrder(order_id=id), by=SALES)
                return
            if not self._decide(id, reject=number % 6 == 3):
                return
            self.orders.do(ApproveOrder(order_id=id, round=1), by=ITSELF)
        if number % 8 == 0:
            self.orders.do(CancelOrder(order_id=id, reason="no need"), by=SALES)
            return
        lines = (StockLine(product_id=product, quantity=quantity),)
        self.inventory.do(DeductStock(order_id=id, round=1, attempt=1, lines=lines), by=ITSELF)
        self.orders.do(ShipOrder(order_id=id, round=1), by=ITSELF)
        self.orders.do(RecordPayment(order_id=id, amount=Decimal("5.00")), by=FINANCE)

    def _decide(self, order: UUID, *, reject: bool) -> bool:
        submitted = [fact for fact in self.orders.stream(order) if isinstance(fact, OrderSubmitted)][-1]
        case = case_id_of(order, 1)
        opening = OpenCase(
            case_id=case, order_id=order, round=1, number=submitted.number, customer_name="Acme",
            total=submitted.sale.total, route=submitted.route, submitter=submitted.submitter,
            superior_id=submitted.superior_id,
        )  # fmt: skip
        self.approvals.do(opening, by=ITSELF)
        if reject:
            self.approvals.do(Reject(case_id=case, reason="too dear"), by=SUPERVISOR)
            by = Person(user_id=SUPERVISOR.user_id, name=SUPERVISOR.name)
            self.orders.do(RejectOrder(order_id=order, round=1, reason="too dear", rejected_by=by), by=ITSELF)
            return False
        self.approvals.do(Approve(case_id=case), by=SUPERVISOR)
        self.approvals.do(Approve(case_id=case), by=FINANCE)
        return True

    @staticmethod
    def _public(kit: InMemoryService) -> list[Any]:
        return [fact for fact in kit.new_facts() if REGISTRY.is_public_event(type(fact))]


@dataclass
class Bench:
    """Kafka, the company whose events it gets, and databases for the read models."""

    kafka: KafkaBench
    company: Company
    pool: Databases
    taken: list[Database[dict[str, Any]]] = field(default_factory=list)
    saving: bool = True  # whether relays save how far they have got

    def database(self) -> Database[dict[str, Any]]:
        self.taken.append(self.pool.take())
        return self.taken[-1]

    def config_of(self, database: Database[dict[str, Any]]) -> Config:
        """The settings of a process that works on a database."""
        return replace(self.kafka.config, mongodb_database=database.name)

    def relays(self) -> list[Relay]:
        return [Relay(store, self.kafka.new_producer) for store in self.company.stores]

    def publish(self) -> None:
        for relay in self.relays():
            while relay.step():
                pass
            if self.saving:
                relay.save(at_once=True)

    def slices(self) -> Iterator[None]:
        """Publish a part of what there is to publish, again and again."""
        relays = self.relays()
        while any([relay.step() for relay in relays]):
            yield

    def consumer(
        self, database: Database[dict[str, Any]], views: list[View] | None = None
    ) -> tuple[Consumer, Projector]:
        """A projector as a new process has it."""
        projector = Projector(database, views or all_views(), lanes=LANES)
        consumer = Consumer(self.kafka.config, projector, lambda: self.kafka.producer)
        consumer.open()
        return consumer, projector

    def catch_up(self, consumer: Consumer, projector: Projector) -> None:
        """Step until everything that Kafka holds is processed."""
        sources = self.ends([*projector.topics(), f"{GROUP}.dlq"])

        def up_to_date() -> bool:
            consumer.step()
            offsets = projector.offsets(list(sources))
            return all(offsets.get(source, 0) >= end for source, end in sources.items())

        until(up_to_date)

    def project(self, database: Database[dict[str, Any]], views: list[View] | None = None) -> Documents:
        """What a projector makes of all that Kafka holds, going on where the database stands."""
        consumer, projector = self.consumer(database, views)
        try:
            self.catch_up(consumer, projector)
        finally:
            consumer.close()
        return documents(database, views)

    def clean_run(self, views: list[View] | None = None) -> Documents:
        """The documents of a projector that nothing ever happened to."""
        return self.project(self.database(), views)

    def ends(self, topics: list[str]) -> dict[str, int]:
        reader = PartitionReader(self.kafka.config, "test", topics, {})
        try:
            return reader.end_offsets()
        finally:
            reader.close()


def all_views() -> list[View]:
    """The views that are fed from Kafka: the audit log's is not."""
    return [view for view in Catalogue.read().views() if view.topics]


def documents(database: Database[dict[str, Any]], views: list[View] | None = None) -> Documents:
    """What the live collections hold, by view and key."""
    found: Documents = {}
    for view in views or all_views():
        state = database[STATES].find_one({"_id": view.name})
        assert state is not None
        for document in database[state["collection"]].find():
            found[f"{view.name}/{document['_id']}"] = content(document) or {}
    return found


@pytest.fixture
def bench(kafka: KafkaBench, databases: Databases, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(relay_module, "BATCH", SLICE)
    company = Company()
    company.work()
    bench = Bench(kafka, company, databases)
    yield bench
    for database in bench.taken:
        databases.give_back(database)


def test_the_clean_run_is_what_the_services_know(bench: Bench) -> None:
    """Anchors the comparisons below: the documents are right, not just equal."""
    bench.publish()
    found = bench.clean_run()
    for id in (UUID(int=Random(n).getrandbits(128), version=4) for n in range(4)):
        moves = [
            fact for fact in bench.company.inventory.facts() if isinstance(fact, StockMoved) and fact.product_id == id
        ]
        assert found[f"products/{id}"]["on_hand"] == moves[-1].balance
        entries = [
            entry for key, entry in found.items() if key.startswith("stock_ledger/") and entry["product_id"] == str(id)
        ]
        assert sorted(entry["balance"] for entry in entries) == sorted(move.balance for move in moves)
    statuses = {entry["status"] for key, entry in found.items() if key.startswith("orders/")}
    assert statuses == {"SHIPPED", "REJECTED", "DRAFT", "CANCELLED"}
    assert len([key for key in found if key.startswith("order_pages/")]) == 24


def test_records_published_again_change_nothing(bench: Bench) -> None:
    """A relay that was killed before it saved publishes the same records again, also far back."""
    bench.saving = False
    bench.publish()
    database = bench.database()
    expected = bench.project(database)
    state = database[STATES].find_one({"_id": "orders"})
    assert state is not None

    bench.publish()  # none of these relays had saved
    bench.publish()

    assert bench.project(database) == expected
    assert bench.clean_run() == expected
    again = database[STATES].find_one({"_id": "orders"})
    assert again is not None
    for source, item in state["sources"].items():
        assert again["sources"][source]["position"] == item["position"]
        assert again["sources"][source]["offset"] == 3 * item["offset"]


def crash_before(patch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise Killed

    patch.setattr(projector_module, "commit", fail)


def crash_within(patch: pytest.MonkeyPatch) -> None:
    """After the documents, before the offsets: the transaction is open."""

    def fail(*_: object) -> None:
        raise Killed

    patch.setattr(projector_module, "_advance", fail)


def crash_after(patch: pytest.MonkeyPatch) -> None:
    original = projector_module.commit

    def fail(*arguments: Any) -> None:
        original(*arguments)
        raise Killed

    patch.setattr(projector_module, "commit", fail)


class Killed(BaseException):
    """The process ends here."""


def step_for_ever(consumer: Consumer) -> None:
    """What a process does until it is killed."""
    until(lambda: consumer.step() < 0)


@pytest.mark.parametrize("crash", [crash_before, crash_within, crash_after])
def test_a_projector_killed_around_its_commit(bench: Bench, crash: Callable[[pytest.MonkeyPatch], None]) -> None:
    database, kills = bench.database(), 0
    for _ in bench.slices():
        consumer, _ = bench.consumer(database)
        with pytest.MonkeyPatch.context() as patch:
            crash(patch)
            with pytest.raises(Killed):
                step_for_ever(consumer)
        consumer.close()
        kills += 1
        if kills % 2:  # every other time the next process dies as well
            bench.project(database)
    assert kills >= 4
    assert bench.project(database) == bench.clean_run()


def test_a_projector_killed_with_one_lane_written_and_the_others_not(bench: Bench) -> None:
    database, original = bench.database(), projector_module.commit

    def only_order_pages(database: Database[dict[str, Any]], lane: Sequence[Projection]) -> None:
        if all(projection.state.view.name != "order_pages" for projection in lane):
            raise Killed
        original(database, lane)

    for _ in bench.slices():
        consumer, _ = bench.consumer(database)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(projector_module, "commit", only_order_pages)
            patch.setattr(projector_module, "LANE_CHANGES", 1)  # however few come at once
            with pytest.raises(Killed):
                step_for_ever(consumer)
        consumer.close()
    ahead = {
        state["_id"]: sum(item["offset"] for item in state["sources"].values()) for state in database[STATES].find()
    }
    assert ahead["order_pages"] > ahead["orders"]
    assert bench.project(database) == bench.clean_run()


def test_two_projectors_at_once_do_no_harm(bench: Bench) -> None:
    database, fenced = bench.database(), 0
    pair = [bench.consumer(database) for _ in range(2)]
    for _ in bench.slices():
        for consumer, _projector in pair:
            try:
                consumer.step(timeout_ms=500)
            except Fenced:  # what Consumer.run does then
                fenced += 1
                consumer.close()
                consumer.open()
    for consumer, _projector in pair:
        consumer.close()
    assert fenced > 0
    assert bench.project(database) == bench.clean_run()


def test_a_rebuild_beside_a_living_projector_gives_the_same_and_switches(bench: Bench) -> None:
    database, stop = bench.database(), threading.Event()
    projector = Projector(database, all_views())
    consumer = Consumer(bench.kafka.config, projector, lambda: bench.kafka.producer)
    living = threading.Thread(target=consumer.run, args=(stop,), daemon=True)
    living.start()
    switched: list[View] = []
    try:
        until(lambda: database[STATES].count_documents({}) == len(all_views()))
        rebuilds = iter([SALES_BY_PRODUCT, PRODUCTS_VIEW, LEDGER_VIEW])
        for _ in bench.slices():  # the living projector is at work while views are rebuilt
            if view := next(rebuilds, None):
                rebuild = Rebuild(bench.kafka.config, database, view, io.StringIO())
                assert rebuild.run()
                assert rebuild.figures is not None and rebuild.figures.events > 0
                switched.append(view)
        assert len(switched) == 3
        ends = bench.ends(list(projector.topics()))
        topics = {view.name: view.topics for view in all_views()}

        def caught_up() -> None:
            for state in database[STATES].find():
                offsets = {item["source"]: item["offset"] for item in state["sources"].values()}
                own = {
                    source: end for source, end in ends.items() if source.rpartition(":")[0] in topics[state["view"]]
                }
                assert own
                assert all(offsets.get(source, 0) >= end for source, end in own.items() if end)

        eventually(caught_up)
    finally:
        stop.set()
        living.join(timeout=60)
    assert not living.is_alive()

    assert documents(database) == bench.clean_run()
    for view in switched:
        state = database[STATES].find_one({"_id": view.name})
        assert state is not None
        assert state["generation"] == 2
        assert state["collection"] != view.name
        assert view.name not in database.list_collection_names()
    assert database[STATES].count_documents({}) == len(all_views())


@pytest.mark.parametrize("view", [SALES_BY_PRODUCT, LEDGER_VIEW], ids=lambda view: view.name)
def test_processes_beside_each_other_rebuild_the_same(bench: Bench, view: View, tmp_path: Path) -> None:
    """A document of one partition each, and one that several write."""
    bench.publish()
    database = bench.database()
    config = replace(bench.config_of(database), data_dir=str(tmp_path / "stores"), token_key_dir=str(tmp_path / "keys"))
    share(config)
    live = bench.project(database, [view])
    seen: list[tuple[int, int]] = []
    rebuild = Rebuild(
        config,
        database,
        view,
        io.StringIO(),
        watch=lambda phase, done, total: seen.append((done, total)) if phase == "BUILDING" else None,
        processes=2,
    )
    assert rebuild.run()
    assert rebuild.figures is not None and rebuild.figures.differences == 0 and rebuild.figures.events > 0
    assert documents(database, [view]) == live
    state = database[STATES].find_one({"_id": view.name})
    assert state is not None and state["generation"] == 2
    assert database[STATES].count_documents({}) == 1, "the states of the parts are gone"
    assert seen[-1][0] == seen[-1][1] > 0

    bench.project(database, [view])  # the projector goes on where the parts have ended
    assert documents(database, [view]) == live


class CalledOffAtOnce(Exception):
    """Somebody calls a rebuild off while processes fill the view."""


def test_a_rebuild_by_processes_that_is_called_off_leaves_nothing(bench: Bench) -> None:
    bench.publish()
    database = bench.database()
    live = bench.project(database, [LEDGER_VIEW])
    before = set(database.list_collection_names())

    def call_off(*_: Any) -> None:
        raise CalledOffAtOnce

    config = bench.config_of(database)
    with pytest.raises(CalledOffAtOnce):
        Rebuild(config, database, LEDGER_VIEW, io.StringIO(), watch=call_off, processes=2).run()
    assert set(database.list_collection_names()) == before
    assert database[STATES].count_documents({}) == 1
    assert multiprocessing.active_children() == []
    assert documents(database, [LEDGER_VIEW]) == live


@pytest.mark.parametrize("view", [SALES_BY_PRODUCT, LEDGER_VIEW], ids=lambda view: view.name)
@pytest.mark.parametrize("words", [1, 4])
def test_where_processes_are_killed_one_rebuilds_the_view(bench: Bench, view: View, words: int, tmp_path: Path) -> None:
    """Memory is short, or whoever stops a worker stops all its processes: then `watch` ends it."""
    bench.publish()
    database = bench.database()
    config = replace(bench.config_of(database), data_dir=str(tmp_path / "stores"), token_key_dir=str(tmp_path / "keys"))
    share(config)
    live = bench.project(database, [view])
    seen: list[tuple[int, int]] = []

    def kill(phase: str, done: int, total: int) -> None:
        seen.append((done, total))
        if len(seen) >= words:
            for child in multiprocessing.active_children():
                child.kill()

    rebuild = Rebuild(config, database, view, io.StringIO(), watch=kill, processes=2)
    assert rebuild.run()
    assert rebuild.figures is not None and rebuild.figures.differences == 0
    assert documents(database, [view]) == live
    assert all(done <= total for done, total in seen)
    assert database[STATES].count_documents({}) == 1
    assert multiprocessing.active_children() == []


def test_a_rebuild_tells_of_documents_that_differ(bench: Bench) -> None:
    bench.publish()
    database = bench.database()
    expected = bench.project(database)
    one = database["products"].find_one()
    assert one is not None
    database["products"].update_one({"_id": one["_id"]}, {"$set": {"on_hand": -1}})

    out = io.StringIO()
    look = Rebuild(bench.kafka.config, database, PRODUCTS_VIEW, out)
    assert not look.run(switch=False)
    assert look.figures is not None and look.figures.differences == 1
    assert "1 documents differ" in out.getvalue()
    assert documents(database) != expected

    kept = database[STATES].find_one({"_id": "products"})
    refused = io.StringIO()
    assert not Rebuild(bench.kafka.config, database, PRODUCTS_VIEW, refused).run()
    assert "NOT switched" in refused.getvalue()
    assert database[STATES].find_one({"_id": "products"}) == kept
    assert documents(database) != expected

    Rebuild(bench.kafka.config, database, PRODUCTS_VIEW, io.StringIO()).run(force=True)
    assert documents(database) == expected
    assert Rebuild(bench.kafka.config, database, PRODUCTS_VIEW, io.StringIO()).run(switch=False)


def test_a_switch_leaves_nothing_of_rebuilds_that_were_killed_and_nothing_of_theirs_can_take_over(bench: Bench) -> None:
    """CPL-01: what they had built tells of persons who were erased since, and nobody looked for it."""
    bench.publish()
    database = bench.database()
    bench.project(database)

    class Killed(BaseException):
        pass

    class Dying(Rebuild):
        """One whose process is killed before it compares: nothing tidies up."""

        def _compared(self, reader: Any, new: Any) -> Any:
            raise Killed

        def _try_to_drop(self, collection: str, state_id: str) -> None:
            """There is nobody to do so."""

    names = {view.name for view in all_views()}
    for _ in range(2):
        with pytest.raises(Killed):
            Dying(bench.kafka.config, database, PRODUCTS_VIEW, io.StringIO()).run()
    left = {name for name in database.list_collection_names() if name.startswith("products__")}
    assert left
    others = set(database.list_collection_names()) - left - {"products", "products.versions"}

    class Overtaken(Rebuild):
        """One that has built when another one switches."""

        def _compared(self, reader: Any, new: Any) -> Any:
            assert Rebuild(bench.kafka.config, database, PRODUCTS_VIEW, io.StringIO()).run()
            return super()._compared(reader, new)

    with pytest.raises(Fenced):
        Overtaken(bench.kafka.config, database, PRODUCTS_VIEW, io.StringIO()).run()
    state = database[STATES].find_one({"_id": "products"})
    assert state is not None
    live = state["collection"]
    assert {name for name in database.list_collection_names() if name not in others} == {live, f"{live}.versions"}
    assert others <= set(database.list_collection_names())
    assert {state["_id"] for state in database[STATES].find()} == names


# -- poison -----------------------------------------------------------------------------------------------------------

GOOD = [
    ("ce_type", b"salestream.inventory.stock-moved.v1"),
    ("ce_id", b"3f2504e0-4f89-41d3-9a0c-0305e82c3301/1"),
    ("ce_position", b"1"),
    ("ce_time", b"2026-03-02T01:00:00+00:00"),
    ("trace", b"kept as it is"),
]


def without(name: str) -> list[tuple[str, bytes]]:
    return [item for item in GOOD if item[0] != name]


POISON = {
    "cut JSON": (b'{"product_id":', GOOD),
    "not JSON": (b"\x00\x01\xff", GOOD),
    "nothing": (b"", GOOD),
    "another shape": (b'{"product_id": 7}', GOOD),
    "unknown type": (b"{}", [*without("ce_type"), ("ce_type", b"salestream.inventory.nobody-knows.v9")]),
    "no type": (b"{}", without("ce_type")),
    "no position": (b"{}", without("ce_position")),
    "position of letters": (b"{}", [*without("ce_position"), ("ce_position", b"many")]),
    "no time": (b"{}", without("ce_time")),
    "time of nowhere": (b"{}", [*without("ce_time"), ("ce_time", b"yesterday")]),
    "type of no characters": (b"{}", [*without("ce_type"), ("ce_type", b"\xff\xfe")]),
    "no headers": (b"{}", []),
}


def test_records_nobody_can_read_go_to_the_dead_letters_and_the_rest_flows(bench: Bench) -> None:
    for name, (value, headers) in POISON.items():
        bench.kafka.send("inventory.events", name, value, headers)
    bench.publish()
    database = bench.database()
    found = bench.project(database)

    letters = {letter.key: letter for letter in DeadLetters(bench.kafka.config, GROUP).waiting()}
    assert set(letters) == set(POISON)
    for name, (value, headers) in POISON.items():
        letter = letters[name]
        assert letter.reason, name
        assert letter.value == value
        assert [item for item in letter.headers if not item[0].startswith("dlq-")] == headers
        assert letter.origin.startswith("inventory.events:") and int(letter.origin.partition("@")[2]) < len(POISON)
    assert len([key for key in found if key.startswith("order_pages/")]) == 24
    assert bench.project(database) == found  # a second look sets nothing aside anew
    assert len(DeadLetters(bench.kafka.config, GROUP).waiting()) == len(POISON)


def test_headers_that_are_no_text_do_not_stop_the_projector(bench: Bench) -> None:
    """Only what is needed of a record's headers can make it poison."""
    store = bench.company.inventory.store
    for event in store.notifications(0, 1_000):
        if event.type in REGISTRY.events:
            headers = [*event_headers(REGISTRY.events[event.type], event, event.key), ("ce_authid", b"\xff\xfe")]
            bench.kafka.send("inventory.events", event.key, event.data, headers)
    views = [PRODUCTS_VIEW, LEDGER_VIEW]
    assert len(bench.clean_run(views)) > 10
    assert DeadLetters(bench.kafka.config, GROUP).waiting() == []


FAULTY = UUID(int=Random(0).getrandbits(128), version=4)
FAULTY_VERSION = 4


def failing(view: View, *, on: UUID = FAULTY, version: int = FAULTY_VERSION) -> View:
    """The view with a bug: its handler of stock movements fails on one event of one product."""

    def handler(fact: StockMoved, event: EventMetadata) -> Any:
        if fact.product_id == on and event.version == version:
            raise KeyError("a bug")
        return view.handlers[StockMoved](fact, event)

    handlers: Mapping[type, Callable[[Any, EventMetadata], Any]] = {**view.handlers, StockMoved: handler}
    return replace(view, handlers=handlers)


def moves_of_faulty(company: Company) -> list[Notification]:
    """The public events of the faulty product's stock from the bad one on: those that must wait, in order."""
    name = REGISTRY.event_of(StockMoved).name
    events = [e for e in company.inventory.store.notifications(0, 1_000) if e.key == str(FAULTY)]
    bad = next(e for e in events if e.type == name and e.version == FAULTY_VERSION)
    return [event for event in events if event.position >= bad.position]


def test_a_key_waits_behind_its_poison_and_a_replay_makes_it_whole(bench: Bench) -> None:
    bench.publish()
    database, whole = bench.database(), bench.clean_run([LEDGER_VIEW, PRODUCTS_VIEW])
    broken, mended = [failing(LEDGER_VIEW), PRODUCTS_VIEW], [LEDGER_VIEW, PRODUCTS_VIEW]
    letters = DeadLetters(bench.kafka.config, GROUP)

    partly = bench.project(database, broken)
    waiting = letters.waiting()
    late = moves_of_faulty(bench.company)
    assert [letter.value for letter in waiting] == [event.data for event in late]
    assert "KeyError" in waiting[0].reason and "stock_ledger" in waiting[0].reason
    assert all("earlier record of this key" in letter.reason for letter in waiting[1:])
    missing = {f"stock_ledger/{e.aggregate_id}/{e.version}" for e in late if e.type.endswith("stock-moved.v1")}
    assert {key: doc for key, doc in whole.items() if key not in missing and key != f"products/{FAULTY}"} == {
        key: doc for key, doc in partly.items() if key != f"products/{FAULTY}"
    }
    assert missing and not missing & set(partly)

    # not mended yet: the same letters wait again, nothing is applied
    assert letters.replay(bench.kafka.producer, waiting) == len(waiting)
    assert bench.project(database, broken) == partly
    again = letters.waiting()
    assert [letter.value for letter in again] == [letter.value for letter in waiting]
    assert {letter.number for letter in again}.isdisjoint(letter.number for letter in waiting)

    # mended: the replay makes it whole, and later records of the key flow
    assert letters.replay(bench.kafka.producer, again) == len(again)
    assert bench.project(database, mended) == whole
    assert letters.waiting() == []
    bench.company.inventory.do(ReceiveStock(product_id=FAULTY, quantity=1, reason="after"), by=WAREHOUSE)
    bench.publish()
    found = bench.project(database, mended)
    assert found[f"products/{FAULTY}"]["on_hand"] == whole[f"products/{FAULTY}"]["on_hand"] + 1
    assert letters.waiting() == []


def test_a_second_replay_changes_nothing(bench: Bench) -> None:
    """Also with figures that are added up, and by an operator who looks at an old list."""

    def fails_once(fact: OrderSubmitted, event: EventMetadata) -> Iterator[Change]:
        raise KeyError("a bug")

    bench.publish()
    whole = bench.clean_run([SALES_BY_PRODUCT])
    database, letters = bench.database(), DeadLetters(bench.kafka.config, GROUP)
    bench.project(
        database, [replace(SALES_BY_PRODUCT, handlers={**SALES_BY_PRODUCT.handlers, OrderSubmitted: fails_once})]
    )
    waiting: list[DeadLetter] = letters.waiting()
    assert len(waiting) > 24

    assert letters.replay(bench.kafka.producer, waiting) == len(waiting)
    assert bench.project(database, [SALES_BY_PRODUCT]) == whole
    assert letters.replay(bench.kafka.producer, letters.waiting()) == 0
    assert letters.replay(bench.kafka.producer, waiting) == 0
    assert letters.drop(bench.kafka.producer, waiting) == 0
    assert bench.project(database, [SALES_BY_PRODUCT]) == whole


def test_a_dropped_letter_is_gone_and_its_key_is_free(bench: Bench) -> None:
    bench.publish()
    database, views = bench.database(), [failing(LEDGER_VIEW)]
    partly = bench.project(database, views)
    letters = DeadLetters(bench.kafka.config, GROUP)
    waiting = letters.waiting()
    assert letters.drop(bench.kafka.producer, waiting[:1]) == 1
    assert bench.project(database, views) == partly
    rest = letters.waiting()
    assert [letter.number for letter in rest] == [letter.number for letter in waiting[1:]]

    bench.company.inventory.do(ReceiveStock(product_id=FAULTY, quantity=1, reason="still parked"), by=WAREHOUSE)
    bench.publish()
    assert bench.project(database, views) == partly
    rest = letters.waiting()
    assert len(rest) == len(waiting)

    assert letters.drop(bench.kafka.producer, rest[:-1]) == len(rest) - 1
    assert letters.replay(bench.kafka.producer, rest[-1:]) == 1
    found = bench.project(database, views)
    assert len(found) == len(partly) + 1
    assert letters.waiting() == []


def test_a_parked_key_survives_a_restart_between_any_two_slices(bench: Bench) -> None:
    database, views = bench.database(), [failing(LEDGER_VIEW)]
    for _ in bench.slices():
        bench.project(database, views)
    waiting = DeadLetters(bench.kafka.config, GROUP).waiting()
    assert [letter.value for letter in waiting] == [event.data for event in moves_of_faulty(bench.company)]


def test_read_models_made_anew_do_not_count_replays_twice(bench: Bench) -> None:
    """MongoDB is lost: a projector that starts from nothing meets a record both in its place and as a replay."""
    bench.publish()
    whole = bench.clean_run([LEDGER_VIEW, PRODUCTS_VIEW, SALES_BY_PRODUCT])
    database, letters = bench.database(), DeadLetters(bench.kafka.config, GROUP)

    def fails(fact: OrderSubmitted, event: EventMetadata) -> Iterator[Change]:
        raise KeyError("a bug")

    handlers = {**SALES_BY_PRODUCT.handlers, OrderSubmitted: fails}
    bench.project(database, [replace(SALES_BY_PRODUCT, handlers=handlers)])
    letters.replay(bench.kafka.producer, letters.waiting())
    assert bench.clean_run([LEDGER_VIEW, PRODUCTS_VIEW, SALES_BY_PRODUCT]) == whole


def test_repeats_of_a_parked_key_are_not_set_aside_again(bench: Bench) -> None:
    """A relay was killed while a key is parked: its repeats are no news."""
    bench.saving = False
    bench.publish()
    database, views = bench.database(), [failing(LEDGER_VIEW)]
    bench.project(database, views)
    waiting = DeadLetters(bench.kafka.config, GROUP).waiting()
    bench.publish()
    bench.project(database, views)
    assert DeadLetters(bench.kafka.config, GROUP).waiting() == waiting


def test_a_letter_written_just_before_a_crash_parks_its_key(bench: Bench) -> None:
    """The process dies after it has set a record aside and stored that, before it has read its own letter."""
    name = REGISTRY.event_of(StockMoved).name
    late = moves_of_faulty(bench.company)
    store = bench.company.inventory.store
    early = [e for e in store.notifications(0, 1_000) if e.position <= late[0].position and e.type in REGISTRY.events]
    for event in early:
        headers = event_headers(REGISTRY.events[event.type], event, event.key)
        bench.kafka.send("inventory.events", event.key, event.data, headers)
    database, views = bench.database(), [failing(LEDGER_VIEW)]
    consumer, _ = bench.consumer(database, views)
    until(lambda: consumer.step() and len(DeadLetters(bench.kafka.config, GROUP).waiting()))
    consumer.close()

    for event in late[1:]:
        headers = event_headers(REGISTRY.events[event.type], event, event.key)
        bench.kafka.send("inventory.events", event.key, event.data, headers)
    found = bench.project(database, views)
    waiting = DeadLetters(bench.kafka.config, GROUP).waiting()
    assert [letter.value for letter in waiting] == [event.data for event in late]
    missing = {f"stock_ledger/{e.aggregate_id}/{e.version}" for e in late if e.type == name}
    assert missing and not missing & set(found)


def test_a_crash_between_letter_and_commit_writes_no_second_letter(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.publish()
    database, views = bench.database(), [failing(LEDGER_VIEW), PRODUCTS_VIEW]
    letters, late = DeadLetters(bench.kafka.config, GROUP), moves_of_faulty(bench.company)
    for _ in range(len(late)):  # it dies with each letter anew
        before = len(letters.waiting())
        consumer, _projector = bench.consumer(database, views)
        with monkeypatch.context() as patch:
            patch.setattr(Progress, "_settle", killed_once_set_aside)
            with pytest.raises(Killed):
                step_for_ever(consumer)
        consumer.close()
        assert len(letters.waiting()) in (before, before + 1)
    bench.project(database, views)
    assert [letter.value for letter in letters.waiting()] == [event.data for event in late]
    letters.replay(bench.kafka.producer, letters.waiting())
    mended = [LEDGER_VIEW, PRODUCTS_VIEW]
    assert bench.project(database, mended) == bench.clean_run(mended)


def killed_once_set_aside(_progress: Progress, _record: Incoming) -> bool:
    raise Killed


def test_a_replay_waits_for_earlier_letters_of_its_key(bench: Bench) -> None:
    """Whatever order an operator chooses, a key's history stays in order."""
    bench.publish()
    database, mended = bench.database(), [LEDGER_VIEW, PRODUCTS_VIEW]
    bench.project(database, [failing(LEDGER_VIEW), PRODUCTS_VIEW])
    letters = DeadLetters(bench.kafka.config, GROUP)
    first, *rest = letters.waiting()
    letters.replay(bench.kafka.producer, rest)
    bench.project(database, mended)
    assert [letter.value for letter in letters.waiting()] == [letter.value for letter in (first, *rest)]
    assert [letter.origin for letter in letters.waiting()] == [letter.origin for letter in (first, *rest)]
    letters.replay(bench.kafka.producer, letters.waiting())
    assert bench.project(database, mended) == bench.clean_run(mended)
    assert letters.waiting() == []


@pytest.mark.parametrize("processes", [1, 2])
def test_a_rebuild_leaves_out_what_the_live_view_left_out(bench: Bench, processes: int) -> None:
    """Dropped ones, waiting ones and unreadable ones; what was replayed stands at its place."""
    keys = [str(uuid4()) for _ in POISON]
    for key, (value, headers) in zip(keys, POISON.values(), strict=True):
        bench.kafka.send("inventory.events", key, value, headers)
    bench.publish()
    database, views = bench.database(), [LEDGER_VIEW]
    bench.project(database, [failing(LEDGER_VIEW)])
    letters = DeadLetters(bench.kafka.config, GROUP)
    waiting = letters.waiting()  # in the order in which they were read: of several partitions in any
    unreadable = [letter for letter in waiting if letter.key in keys]
    faulty = [letter for letter in waiting if letter.key not in keys]
    assert len(unreadable) == len(POISON)
    letters.drop(bench.kafka.producer, [*unreadable, faulty[0]])
    letters.replay(bench.kafka.producer, faulty[1:2])
    live = bench.project(database, views)
    assert len(letters.waiting()) == len(faulty) - 2

    told = io.StringIO()
    rebuild = Rebuild(bench.config_of(database), database, LEDGER_VIEW, told, processes=processes)
    assert rebuild.run()
    assert rebuild.figures and rebuild.figures.differences == 0
    left_out = len(POISON) + len(faulty) - 1
    assert f"left out {left_out} records" in told.getvalue()
    assert told.getvalue().count("(dropped)") == len(POISON) + 1
    assert documents(database, views) == live

    # what waited for the live view waits for the rebuilt one
    letters.replay(bench.kafka.producer, letters.waiting())
    found = bench.project(database, views)
    whole = bench.clean_run(views)
    dropped = next(event for event in moves_of_faulty(bench.company))
    assert found == whole, "a new view leaves out what was dropped too"
    assert f"stock_ledger/{dropped.aggregate_id}/{dropped.version}" not in found
    assert letters.waiting() == []


def test_a_rebuild_leaves_out_what_is_not_ours_although_the_live_view_had_taken_it(bench: Bench) -> None:
    """A former release knew less well what is ours: it did not set these aside."""
    for value, headers in POISON.values():
        bench.kafka.send("inventory.events", str(uuid4()), value, headers)
    bench.publish()
    database = bench.database()
    live = bench.project(database, [LEDGER_VIEW])
    not_ours = database[SKIPPED].delete_many({"collection": LEDGER_VIEW.name, "key": ""}).deleted_count
    assert 0 < not_ours < len(POISON)

    told = io.StringIO()
    assert Rebuild(bench.kafka.config, database, LEDGER_VIEW, told).run()
    assert told.getvalue().count("(not ours: ") == not_ours
    assert documents(database, [LEDGER_VIEW]) == live


@pytest.mark.parametrize("processes", [1, 2])
def test_a_rebuild_sets_aside_what_is_ours_and_nobody_can_read_although_the_live_view_had_taken_it(
    bench: Bench, processes: int
) -> None:
    """In every form that such a record can have."""
    for value, headers in POISON.values():
        bench.kafka.send("inventory.events", str(uuid4()), value, headers)
    bench.publish()
    database = bench.database()
    live = bench.project(database, [LEDGER_VIEW])
    ours = database[SKIPPED].delete_many({"collection": LEDGER_VIEW.name, "key": {"$ne": ""}}).deleted_count
    assert 0 < ours < len(POISON)

    told = io.StringIO()
    rebuild = Rebuild(bench.config_of(database), database, LEDGER_VIEW, told, processes=processes)
    assert not rebuild.run()
    assert told.getvalue().count("(the live view has it: ") == ours
    assert rebuild.figures and rebuild.figures.differences == 0
    assert rebuild.outcome and not rebuild.outcome.switched and f"{ours} records" in rebuild.outcome.reason
    assert documents(database, [LEDGER_VIEW]) == live


def test_a_rebuild_sets_aside_what_can_not_be_read_any_more(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows on its key waits too; who is forced, or rebuilds another edition, leaves it to be handed in."""
    bench.publish()
    database, config = bench.database(), bench.kafka.config
    live = bench.project(database, [LEDGER_VIEW, PRODUCTS_VIEW])
    late, letters = moves_of_faulty(bench.company), DeadLetters(config, GROUP)

    def decode_less(cls: type[Any], data: bytes) -> Any:
        if data == late[0].data:
            raise ValueError("this release can't read it")
        return decode(cls, data)

    with monkeypatch.context() as patch:
        patch.setattr(records_module, "decode", decode_less)
        for view in (LEDGER_VIEW, replace(LEDGER_VIEW, edition=LEDGER_VIEW.edition + 1)):
            told = io.StringIO()
            rebuild = Rebuild(config, database, view, told)
            assert not rebuild.run()
            assert f"left out {len(late)} records" in told.getvalue() and "NOT switched" in told.getvalue()
            assert rebuild.outcome and f"{len(late)} records that the live view has taken" in rebuild.outcome.reason
            assert documents(database, [LEDGER_VIEW, PRODUCTS_VIEW]) == live
        later = [replace(view, edition=view.edition + 1) for view in (LEDGER_VIEW, PRODUCTS_VIEW)]
        assert rebuild_outdated(config, database, later)
        assert letters.waiting() == []
        partly = bench.project(database, later)
        assert [letter.value for letter in letters.waiting()] == [event.data for event in late]
        assert f"products/{FAULTY}" in partly and partly.keys() < live.keys()
    letters.replay(bench.kafka.producer, letters.waiting())
    assert bench.project(database, later) == live
    assert letters.waiting() == []


# -- what a killed process leaves in MongoDB --------------------------------------------------------------------------


def test_an_abandoned_transaction_ends_by_itself(bench: Bench, mongodb_uri: str) -> None:
    """A process that is killed within its transaction still holds the documents; its successor must get them soon."""
    bench.publish()
    database = bench.database()
    consumer, _ = bench.consumer(database)
    consumer.close()
    with MongoClient[dict[str, Any]](mongodb_uri) as killed, killed.start_session() as session:
        session.start_transaction()
        killed[database.name][STATES].update_many({}, {"$inc": {"revision": 1}}, session=session)

        def successor() -> Documents | None:
            try:
                return bench.project(database)
            except Exception:  # what Consumer.run does: wait and try again
                return None

        assert until(successor, seconds=45) == bench.clean_run()
        with pytest.raises(Exception, match=r"(?i)transaction"):
            session.commit_transaction()


def test_idle_views_say_that_they_are_current(bench: Bench) -> None:
    bench.publish()
    database = bench.database()
    consumer, projector = bench.consumer(database)
    try:
        bench.catch_up(consumer, projector)

        def beaten() -> bool:
            consumer.step()
            return database[STATES].count_documents({"idle_at": {"$exists": True}}) == len(all_views())

        assert until(beaten)
    finally:
        consumer.close()
