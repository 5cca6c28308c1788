"""Orders go through while each part of the system is killed with SIGKILL and started again; nothing is lost or double.

Relay, projector and saga share a process by default; here each has one of its own, so that each dies alone.
"""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx
import pytest
from component.split import SplitSystem
from component.support import (
    Company,
    KafkaBench,
    Person,
    add_customer,
    add_product,
    await_views,
    config_of,
    environment,
    eventually,
    running,
    stores,
    until,
)
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from chassis.foundation.config import Config
from chassis.messaging.consistency import HEADER
from chassis.messaging.relay import COMMAND_SENT
from chassis.model.commands import CommandSent
from chassis.store.event_store import EventStore
from contracts.approvals import case_id_of
from contracts.declare import REGISTRY
from contracts.inventory import StockDeducted
from contracts.schemas import decode
from deploy.local.system import RoleProcess

ORDERS = 150
CLERKS = 8
KILL_AFTER = (ORDERS // 6, ORDERS // 2, ORDERS * 5 // 6)
PATIENCE = 120.0


class Away(Exception):
    """The service can't be reached, or says that it can't carry out a command now."""


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SplitSystem]:
    folder = tmp_path_factory.mktemp("split")
    env = environment(folder, SAGA_TIMEOUT_SECONDS="5")
    built = SplitSystem.from_env(env)
    assert isinstance(built, SplitSystem)
    with running(built):
        yield built


@pytest.fixture(scope="module")
def people(split: SplitSystem) -> Iterator[Company]:
    company = Company(config_of(split), split.api.own_address)
    await_views(company)
    yield company
    company.close()


@dataclass(frozen=True)
class Planned:
    """An order to be driven through: what it holds and what must become of it."""

    number: int
    quantity: int
    large: bool
    rejected: bool

    @property
    def expected(self) -> str:
        return "REJECTED" if self.rejected else "SHIPPED"

    @property
    def price(self) -> str:
        return "5001.00" if self.large else "10.00"


PLAN = [
    Planned(number, quantity=1 + number % 3, large=number % 3 == 0, rejected=number % 15 == 0)
    for number in range(ORDERS)
]


class Clerk:
    """Drives orders through a system whose processes die: repeats each command, under its key, until it is answered."""

    def __init__(self, people: Company, customer: str, product: str) -> None:
        self._people = people
        self._customer, self._product = customer, product
        self.run = uuid.uuid4().hex[:8]
        self.ids: dict[int, str] = {}
        self.submitted = 0
        self.given_up = threading.Event()
        self._lock = threading.Lock()

    def drive(self, plan: Planned) -> None:
        line = {"product_id": self._product, "quantity": plan.quantity, "unit_price": plan.price}
        body = {"customer_id": self._customer, "lines": [line]}
        id = str(self._sure(self._people.li, "/orders", body, f"create-{plan.number}")["id"])
        self.ids[plan.number] = id
        self._sure(self._people.li, f"/orders/{id}/submit", None, f"submit-{plan.number}")
        with self._lock:
            self.submitted += 1
        if plan.large:
            self._decide(plan, id)

    def _decide(self, plan: Planned, order: str) -> None:
        path = f"/approvals/{case_id_of(uuid.UUID(order), 1)}"
        if plan.rejected:
            body = {"node": "SUPERVISOR", "reason": "too dear"}
            self._sure(self._people.sato, f"{path}/reject", body, f"reject-{plan.number}")
            return
        for person, node in ((self._people.sato, "SUPERVISOR"), (self._people.chen, "FINANCE")):
            self._sure(person, f"{path}/approve", {"node": node}, f"{node}-{plan.number}")

    def _sure(self, person: Person, path: str, body: Any, key: str) -> dict[str, Any]:
        waiting = Retrying(
            stop=stop_after_delay(PATIENCE), wait=wait_fixed(0.05), retry=retry_if_exception_type(Away), reraise=True
        )
        found: dict[str, Any] = waiting(self._once, person, path, body, f"{self.run}-{key}")
        return found

    def _once(self, person: Person, path: str, body: Any, key: str) -> dict[str, Any]:
        assert not self.given_up.is_set(), "the test has failed elsewhere"
        try:
            answer = person.send("POST", path, body, key=key)
        except httpx.TransportError as error:
            raise Away(repr(error)) from error
        case_not_open_yet = answer.status_code == 404 and path.startswith("/approvals/")
        if answer.status_code == 503 or case_not_open_yet:
            raise Away(answer.text)
        assert answer.status_code in (200, 201), answer.text
        self._people.remember(answer.headers[HEADER])
        found: dict[str, Any] = answer.json()
        return found


@pytest.mark.parametrize("victim", ["api", "relay", "saga", "projector"])
def test_nothing_is_lost_or_done_twice(split: SplitSystem, people: Company, victim: str) -> None:
    product = add_product(people.wang, "10.00", 1_000)
    clerk = Clerk(people, add_customer(people.li), product)
    process = split.named(victim)

    with ThreadPoolExecutor(CLERKS) as pool:
        driven = [pool.submit(clerk.drive, plan) for plan in PLAN]
        try:
            for number in KILL_AFTER:
                crash(process, clerk, number)
            for future in driven:
                future.result()
        finally:
            clerk.given_up.set()

    assert len(set(clerk.ids.values())) == ORDERS
    check_orders(people, clerk)
    check_stock(people, clerk, product)
    check_sales(people, product)
    check_streams(config_of(split), set(clerk.ids.values()))


def crash(process: RoleProcess, clerk: Clerk, number: int) -> None:
    """Kill the process once so many orders are submitted, and start it again."""
    until(lambda: clerk.submitted >= number)
    before = process.pid
    assert process.kill()
    assert process.start().fresh
    assert process.pid not in (None, before)


def check_orders(people: Company, clerk: Clerk) -> None:
    """Every order has become what it had to."""
    expected = {clerk.ids[plan.number]: plan.expected for plan in PLAN}

    def all_done() -> None:
        found = {row["id"]: row["status"] for row in people.admin.items("/orders", limit=200)}
        wrong = {id: found.get(id) for id, status in expected.items() if found.get(id) != status}
        assert not wrong, f"{len(wrong)} orders are not what they should be: {Counter(wrong.values())}"

    eventually(all_done, seconds=PATIENCE)


def check_stock(people: Company, clerk: Clerk, product: str) -> None:
    """Stock is what was there less what was sold, with one entry of the ledger for each order."""
    shipped = {clerk.ids[plan.number]: plan.quantity for plan in PLAN if plan.expected == "SHIPPED"}

    def stock_is_right() -> None:
        assert people.wang.get(f"/products/{product}")["on_hand"] == 1_000 - sum(shipped.values())

    def ledger() -> list[dict[str, Any]]:
        entries = people.wang.items("/stock-ledger", product_id=product, sort="entry", limit=200)
        assert {entry["order_id"]: -entry["change"] for entry in entries[1:]} == shipped
        return entries

    eventually(stock_is_right)
    entries = eventually(ledger)
    assert entries[0]["movement"] == "OPENING"
    assert all(entry["movement"] == "ORDER_DEDUCTION" for entry in entries[1:])
    assert len(entries) == len(shipped) + 1  # no order stands there twice
    balances = [entry["balance"] for entry in entries]
    assert [old + entry["change"] for old, entry in zip(balances, entries[1:], strict=False)] == balances[1:]


def check_sales(people: Company, product: str) -> None:
    """The sales totals are exact: booked and sold alike, rejected orders taken back."""
    sold = [plan for plan in PLAN if plan.expected == "SHIPPED"]
    quantity = sum(plan.quantity for plan in sold)
    amount = sum((plan.quantity * Decimal(plan.price) for plan in sold), Decimal(0))

    def totals_are_right() -> None:
        rows = people.admin.items("/reports/sales-by-product", product_id=product)
        assert [(row["booked_quantity"], row["sold_quantity"]) for row in rows] == [(quantity, quantity)]
        assert [(Decimal(row["booked_amount"]), Decimal(row["sold_amount"])) for row in rows] == [(amount, amount)]

    eventually(totals_are_right)


def check_streams(config: Config, orders: set[str]) -> None:
    """Kafka holds what the stores hold: every event and command, byte for byte, once its repeats are put together."""
    with stores(config) as opened:

        def all_published() -> None:
            wanted = {name: len(public_events(store)) for name, store in opened.items()}
            assert {name: len(on_kafka(config, f"{name}.events")) for name in opened} == wanted

        eventually(all_published)
        for name, store in opened.items():
            assert on_kafka(config, f"{name}.events") == public_events(store)
        sent = [
            decode(CommandSent, event.data)
            for event in opened["fulfilment"].notifications(0, 1_000_000)
            if event.type == COMMAND_SENT
        ]
        for name in {command.service for command in sent}:
            stored = {command.command_id: bytes(command.body) for command in sent if command.service == name}
            assert on_kafka(config, f"{name}.commands") == stored
        deducted = Counter(
            event.key
            for event in opened["inventory"].notifications(0, 1_000_000)
            if event.type == REGISTRY.event_of(StockDeducted).name and event.key in orders
        )
        assert set(deducted.values()) == {1}


def public_events(store: EventStore) -> dict[str, bytes]:
    """The id on Kafka and the JSON of every event that leaves the service."""
    return {
        f"{event.aggregate_id}/{event.version}": event.data
        for event in store.notifications(0, 1_000_000)
        if event.type in REGISTRY.events
    }


def on_kafka(config: Config, topic: str) -> dict[str, bytes]:
    """ce_id -> value of all records of a topic; a repeat must be equal to the first."""
    found: dict[str, bytes] = {}
    for record in KafkaBench(config).records(topic):
        assert record.poison is None
        assert found.setdefault(record.id, record.value) == record.value
    return found
