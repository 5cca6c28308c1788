"""Whatever people do in whatever order, and however messages come: orders and stock stay right (I1 to I6)."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID, uuid5

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from simulation.bugs import Bug, results_not_remembered, stock_not_checked

from chassis.foundation.config import Config, Store
from chassis.model.commands import CommandSent
from chassis.model.context import EVERYBODY, NOBODYS
from chassis.model.principal import Principal
from chassis.store.opening import open_store
from chassis.testing.people import user
from chassis.writer.request import Answer
from contracts.approvals import Approve, CaseApproved, CaseClosed, CaseOpened, CaseRejected, NodeApproved, Reject
from contracts.customers import CreateCustomer
from contracts.errors import Refused
from contracts.inventory import (
    AddProduct,
    AdjustStock,
    Prices,
    ReceiveStock,
    StockDeducted,
    StockMoved,
    StockReturned,
    StockShort,
)
from contracts.orders import (
    CancelOrder,
    ChangeOrder,
    CreateOrder,
    LineRequest,
    OrderApproved,
    OrderCancelled,
    OrderChanged,
    OrderCompleted,
    OrderCreated,
    OrderHeld,
    OrderRejected,
    OrderRetried,
    OrderShipped,
    OrderSubmitted,
    OrderWithdrawn,
    PaymentRecorded,
    RecordPayment,
    RetryOrder,
    SetSalesProcess,
    SubmitOrder,
    WithdrawOrder,
)
from contracts.shipping import Deliver, HandOver, ShipmentDispatched, ShipmentPrepared
from contracts.types import Money
from services.inventory.domain import StockItem, stock_id
from services.orders.domain import Order

from .company import Company

SETTINGS = settings(
    max_examples=60,
    stateful_step_count=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
SPACE = UUID("7a2e5e0e-0000-4000-8000-000000000000")


def leading(name: str, role: str) -> Principal:
    """Somebody whose rights reach everybody's records."""
    return replace(user(name, role), reach_of=lambda scopes: EVERYBODY if scopes else NOBODYS)


BOSS, ADMIN, DEPUTY, CHEN = (
    leading("boss", "SUP"),
    leading("admin", "ADM"),
    leading("deputy", "ADM"),
    user("chen", "FIN"),
)
SELLER = user("li", "SAL", superior=BOSS)
IN_CHARGE = (SELLER, BOSS, ADMIN)
DECIDERS = (BOSS, CHEN, ADMIN, DEPUTY, SELLER)
ROLES = {"SUPERVISOR": "SUP", "FINANCE": "FIN"}

# The specification's table of statuses (ORD-04), written down once more.
ALLOWED = {
    ChangeOrder: {"DRAFT", "REJECTED"},
    SubmitOrder: {"DRAFT"},
    WithdrawOrder: {"PENDING_APPROVAL"},
    RetryOrder: {"ON_HOLD"},
    CancelOrder: {"DRAFT", "PENDING_APPROVAL", "SUBMITTED", "APPROVED", "REJECTED", "ON_HOLD"},
    RecordPayment: {"SUBMITTED", "APPROVED", "ON_HOLD", "SHIPPED", "COMPLETED"},
}
MAY_BECOME = {
    OrderApproved: ({"PENDING_APPROVAL"}, "APPROVED"),
    OrderRejected: ({"PENDING_APPROVAL"}, "REJECTED"),
    OrderHeld: ({"SUBMITTED", "APPROVED"}, "ON_HOLD"),
    OrderShipped: ({"SUBMITTED", "APPROVED", "ON_HOLD"}, "SHIPPED"),
    OrderWithdrawn: ({"PENDING_APPROVAL"}, "DRAFT"),
    OrderChanged: ({"DRAFT", "REJECTED"}, "DRAFT"),
    OrderCancelled: (ALLOWED[CancelOrder], "CANCELLED"),
    OrderCompleted: ({"SHIPPED"}, "COMPLETED"),
}
pick = st.integers(min_value=0, max_value=10_000)
lines = st.lists(st.tuples(pick, st.integers(1, 3)), min_size=1, max_size=3)


class OrderMachine(RuleBasedStateMachine):
    """People and messages in any order.  `orders`, `stock`, `cases`: what there is, as plain dictionaries."""

    kind: ClassVar[Store] = "memory"

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        config = Config(event_store=self.kind, data_dir=self._folder.name)
        self.stock: dict[UUID, int] = {}
        self.prices: dict[UUID, Decimal] = {}
        self.orders: dict[UUID, dict[str, Any]] = {}
        self.cases: dict[UUID, dict[str, Any]] = {}
        self.shipments: dict[UUID, str] = {}
        self.taken: Counter[tuple[UUID, int]] = Counter()
        self.done: list[tuple[Any, Principal, str, Answer]] = []
        self.moved: Counter[UUID] = Counter()
        self.number = 0
        self.company = Company(lambda name: open_store(name, config), self._observe)

    def teardown(self) -> None:
        try:
            self._at_the_end_every_order_has_ended()
        finally:
            self.company.close()
            self._folder.cleanup()

    # -- the model follows facts, and asserts that they may happen

    def _observe(self, fact: Any) -> None:
        match fact:
            case StockMoved():
                balance = self.stock.get(fact.product_id, 0) + fact.change
                assert fact.balance == balance >= 0, f"I3: {fact}"
                self.stock[fact.product_id] = balance
                self.moved[fact.product_id] += fact.change
            case StockDeducted():
                self.taken[fact.order_id, fact.round] += 1
                assert self.taken[fact.order_id, fact.round] == 1, f"I6: taken twice: {fact}"
            case StockReturned(lines=returned) if returned:
                self.taken[fact.order_id, fact.round] -= 1
                assert self.taken[fact.order_id, fact.round] == 0, f"I6: returned what was not taken: {fact}"
            case StockShort():
                assert all(short.on_hand == self.stock[short.product_id] < short.wanted for short in fact.missing)
            case OrderCreated():
                self.orders[fact.order_id] = {"status": "DRAFT", "round": 0, "paid": Decimal(0), "version": 0}
            case CaseOpened():
                about = {"route": fact.route, "order": fact.order_id, "round": fact.round}
                self.cases[fact.case_id] = {"status": "OPEN", "by": [], **about}
            case NodeApproved():
                self.cases[fact.case_id]["by"].append(fact.by.user_id)
            case CaseApproved() | CaseRejected() | CaseClosed():
                self.cases[fact.case_id]["status"] = "ENDED"
            case ShipmentPrepared():
                self.shipments[fact.order_id] = "PREPARED"
            case ShipmentDispatched():
                self.shipments[fact.order_id] = "DISPATCHED"
        if type(fact).__module__ == OrderCreated.__module__ and hasattr(fact, "order_id"):
            self._follow(self.orders[fact.order_id], fact)

    def _follow(self, order: dict[str, Any], fact: Any) -> None:
        order["version"] += 1
        if type(fact) in MAY_BECOME:
            before, after = MAY_BECOME[type(fact)]
            assert order["status"] in before, f"{fact} in {order}"
            order["status"] = after
        match fact:
            case OrderCreated() | OrderChanged():
                order["lines"], order["total"] = fact.lines, fact.total.amount
            case OrderSubmitted():
                assert order["status"] == "DRAFT"
                assert fact.round == order["round"] + 1
                order["lines"], order["total"] = fact.sale.lines, fact.sale.total.amount
                order["round"], order["status"] = fact.round, "PENDING_APPROVAL" if fact.route else "SUBMITTED"
                order["before_hold"] = "APPROVED" if fact.route else "SUBMITTED"
            case OrderRetried():
                order["status"] = order["before_hold"]
            case OrderShipped():
                assert self.taken[fact.order_id, fact.round] == 1, f"I6: shipped what was not taken: {fact}"
            case PaymentRecorded():
                order["paid"] += fact.amount.amount
                assert order["paid"] <= order["total"]
            case OrderCompleted():
                assert order["paid"] == order["total"]

    # -- commands

    def _id(self) -> str:
        self.number += 1
        return f"command-{self.number}"

    def _new(self) -> UUID:
        return uuid5(SPACE, self._id())

    def _do(self, command: Any, by: Principal, *, keyed: bool = True, version: int | None = None) -> Answer | Refused:
        """Carry out a command; a refused one changes nothing (I2)."""
        before, id = self.company.last_positions(), self._id()
        try:
            answer = self.company.do(command, by, id, keyed=keyed, version=version)
        except Refused as refusal:
            assert self.company.last_positions() == before, f"I2: {command} left events"
            return refusal
        if keyed:
            self.done.append((command, by, id, answer))
        return answer

    @initialize(stocks=st.lists(st.integers(0, 5), min_size=2, max_size=3))
    def found(self, stocks: list[int]) -> None:
        for number, stock in enumerate(stocks):
            price = Money(amount=Decimal(100 * (number + 1)), currency="CNY")
            product = self._new()
            self.prices[product] = price.amount
            self._do(
                AddProduct(
                    product_id=product, name=f"p{number}", model="m", brand="b", opening_stock=stock,
                    prices=Prices(purchase=price, sale=price), alert_quantity=2,
                ),
                ADMIN,
            )  # fmt: skip
        self.customer = self._new()
        self._do(CreateCustomer(customer_id=self.customer, name="c", mobile="13800000000", industry="i"), SELLER)
        self.company.deliver_all()

    @rule(
        amount=st.sampled_from([0, 250, 500, 10_000]),
        route=st.sampled_from([("SUPERVISOR",), ("FINANCE",), ("SUPERVISOR", "FINANCE"), ()]),
        shipping=st.sampled_from(["AUTOMATIC", "WAREHOUSE"]),
    )
    def set_process(self, amount: int, route: Any, shipping: Any) -> None:
        self._do(SetSalesProcess(threshold=Decimal(amount), route=route, shipping=shipping), ADMIN)

    @rule(product=pick, quantity=st.integers(1, 4))
    def receive(self, product: int, quantity: int) -> None:
        id = list(self.stock)[product % len(self.stock)]
        answer = self._do(ReceiveStock(product_id=id, quantity=quantity, reason="r"), ADMIN)
        assert isinstance(answer, Answer)

    @rule(product=pick, change=st.integers(-4, 4).filter(bool))
    def adjust(self, product: int, change: int) -> None:
        id = list(self.stock)[product % len(self.stock)]
        may = self.stock[id] + change >= 0
        answer = self._do(AdjustStock(product_id=id, change=change, reason="r"), ADMIN)
        assert isinstance(answer, Answer) == may, answer

    def _lines(self, wanted: list[tuple[int, int]]) -> tuple[LineRequest, ...]:
        products = list(self.stock)
        return tuple(LineRequest(product_id=products[p % len(products)], quantity=quantity) for p, quantity in wanted)

    @rule(wanted=lines, submitted=st.booleans())
    def create(self, wanted: list[tuple[int, int]], submitted: bool) -> None:
        requests = self._lines(wanted)
        command = CreateOrder(order_id=self._new(), customer_id=self.customer, lines=requests)
        assert isinstance(self._do(command, SELLER), Answer)
        total = sum((self.prices[request.product_id] * request.quantity for request in requests), Decimal(0))
        assert self.orders[command.order_id]["total"] == total
        if submitted:
            assert isinstance(self._do(SubmitOrder(order_id=command.order_id), SELLER), Answer)

    def _on_order(self, number: int, make: Any, by: Principal, version: int | None, may: bool = True) -> None:
        """A command on some order is carried out just when status, version and `may` allow it."""
        id = list(self.orders)[number % len(self.orders)]
        order = self.orders[id]
        command = make(id)
        current = version is None or version == order["version"]
        expected = current and order["status"] in ALLOWED[type(command)] and may
        answer = self._do(command, by, version=version)
        assert isinstance(answer, Answer) == expected, f"{command} in {order}: {answer}"

    some_order = precondition(lambda self: bool(self.orders))
    versions = st.one_of(st.none(), st.integers(1, 8))

    @some_order
    @rule(number=pick, version=versions)
    def submit(self, number: int, version: int | None) -> None:
        self._on_order(number, lambda id: SubmitOrder(order_id=id), SELLER, version)

    @some_order
    @rule(number=pick, wanted=lines, version=versions)
    def change(self, number: int, wanted: list[tuple[int, int]], version: int | None) -> None:
        requests = self._lines(wanted)
        self._on_order(number, lambda id: ChangeOrder(order_id=id, lines=requests), SELLER, version)

    @some_order
    @rule(number=pick, version=versions)
    def withdraw(self, number: int, version: int | None) -> None:
        self._on_order(number, lambda id: WithdrawOrder(order_id=id), SELLER, version)

    @some_order
    @rule(number=pick, by=st.sampled_from(IN_CHARGE), version=versions)
    def cancel(self, number: int, by: Principal, version: int | None) -> None:
        self._on_order(number, lambda id: CancelOrder(order_id=id, reason="r"), by, version)

    @some_order
    @rule(number=pick)
    def retry(self, number: int) -> None:
        self._on_order(number, lambda id: RetryOrder(order_id=id), SELLER, None)

    @some_order
    @rule(number=pick, part=st.sampled_from([1, 2]))
    def pay(self, number: int, part: int) -> None:
        order = list(self.orders.values())[number % len(self.orders)]
        amount = order["total"] / part
        may = order["paid"] + amount <= order["total"]
        self._on_order(number, lambda id: RecordPayment(order_id=id, amount=amount), CHEN, None, may)

    @precondition(lambda self: bool(self.cases))
    @rule(number=pick, by=st.sampled_from(DECIDERS), no=st.booleans())
    def decide(self, number: int, by: Principal, no: bool) -> None:
        id = list(self.cases)[number % len(self.cases)]
        case = self.cases[id]
        command = Reject(case_id=id, reason="r") if no else Approve(case_id=id)
        expected = case["status"] == "OPEN" and self._may_decide(case, by)
        order = self.orders[case["order"]]
        waits = (order["status"], order["round"]) == ("PENDING_APPROVAL", case["round"])
        answer = self._do(command, by)
        if waits or not expected:  # else approvals may have heard of that, or not yet (APR-11)
            assert isinstance(answer, Answer) == expected, case

    @staticmethod
    def _may_decide(case: dict[str, Any], by: Principal) -> bool:
        due = case["route"][len(case["by"])]
        place = "ADM" in by.roles or (ROLES[due] in by.roles and (due != "SUPERVISOR" or by == BOSS))
        return place and by != SELLER and by.user_id not in case["by"]

    @precondition(lambda self: bool(self.shipments))
    @rule(number=pick, delivers=st.booleans())
    def ship(self, number: int, delivers: bool) -> None:
        id = list(self.shipments)[number % len(self.shipments)]
        self._do(Deliver(order_id=id) if delivers else HandOver(order_id=id), ADMIN)

    @precondition(lambda self: bool(self.done))
    @rule(number=pick, beside=st.booleans())
    def repeat(self, number: int, beside: bool) -> None:
        """The same command with the same key: the first answer, and nothing new (I1)."""
        command, by, id, first = self.done[number % len(self.done)]
        before = self.company.last_positions()
        requests = [self.company.request(command, by, id, keyed=True) for _ in range(2 if beside else 1)]
        self.company.execute(*requests)
        assert not any(request.future.exception(timeout=0) for request in requests), f"I1: {command} was refused"
        assert all(request.future.result(timeout=0).body == first.body for request in requests), f"I1: {command}"
        assert self.company.last_positions() == before, f"I1: {command} was done twice"

    @some_order
    @rule(number=pick, commands=st.permutations([WithdrawOrder, CancelOrder, SubmitOrder]))
    def race(self, number: int, commands: list[Any]) -> None:
        """Several commands on one order reach the writer at once: one after another, each on what the last left."""
        id = list(self.orders)[number % len(self.orders)]
        before = self.orders[id]["version"]
        made = [cls(order_id=id, **({"reason": "r"} if cls is CancelOrder else {})) for cls in commands]
        requests = [self.company.request(command, SELLER, self._id(), keyed=True) for command in made]
        self.company.execute(*requests)
        done = sum(1 for request in requests if request.future.exception(timeout=0) is None)
        assert self.orders[id]["version"] == before + done

    # -- messages

    @precondition(lambda self: bool(self.company.waiting()))
    @rule(number=pick, again=st.booleans())
    def deliver(self, number: int, again: bool) -> None:
        waiting = self.company.waiting()
        self.company.deliver(waiting[number % len(waiting)], again=again)

    @rule()
    def deliver_all(self) -> None:
        self.company.deliver_all()

    @precondition(lambda self: bool(self.company.carried_out))
    @rule(number=pick)
    def come_late(self, number: int) -> None:
        """A command of the saga comes again when its result is forgotten (ADR 0032): nothing happens, nothing waits."""
        self._come_late(self.company.carried_out[number % len(self.company.carried_out)])

    def _come_late(self, sent: CommandSent) -> None:
        before = self.company.last_positions()
        self.company.deliver_forgotten(sent)
        assert self.company.last_positions() == before, f"{sent.command} was done twice"

    # -- invariants

    @invariant()
    def stock_agrees(self) -> None:
        """I3, I4: the aggregate, the sum of movements and the model tell the same."""
        for product, on_hand in self.stock.items():
            item = self.company.stores["inventory"].load(StockItem, stock_id(product))
            assert item is not None
            assert item.on_hand == on_hand == self.moved[product], f"I4: {product}"

    @invariant()
    def orders_agree(self) -> None:
        """I5, and that the aggregate is what the model says."""
        for id, known in self.orders.items():
            order = self.company.stores["orders"].load(Order, id)
            assert order is not None
            assert (order.status, order.version, order.paid) == (known["status"], known["version"], known["paid"])
            assert order.total.amount == sum(line.unit_price * line.quantity for line in order.lines), f"I5: {order}"

    def _at_the_end_every_order_has_ended(self) -> None:
        """I6: messages delivered and people asked, what an order took is out if it shipped, else not."""
        self.company.deliver_all()
        while self._settle():
            self.company.deliver_all()
        for id, order in self.orders.items():
            assert order["status"] not in ("PENDING_APPROVAL", "SUBMITTED", "APPROVED"), f"I6: {order}"
            net = sum(number for (taken_by, _), number in self.taken.items() if taken_by == id)
            assert net == (order["status"] in ("SHIPPED", "COMPLETED")), f"I6: {order}, deductions - returns {net}"
        for sent in self.company.carried_out:
            self._come_late(sent)

    def _settle(self) -> bool:
        """Approve what waits for approval, hand over what waits for the warehouse; whether there was anything."""
        found = False
        for id, case in list(self.cases.items()):
            while case["status"] == "OPEN":
                by = next(by for by in DECIDERS if self._may_decide(case, by))
                assert isinstance(self._do(Approve(case_id=id), by), Answer)
                found = True
        for id, status in list(self.shipments.items()):
            if status == "PREPARED" and isinstance(self._do(HandOver(order_id=id), ADMIN), Answer):
                self.shipments[id] = "HANDED_OVER"
                found = True
        return found


class OrderMachineOnSQLite(OrderMachine):
    kind: ClassVar[Store] = "sqlite"


TestOrders = OrderMachine.TestCase
TestOrders.settings = SETTINGS
TestOrdersOnSQLite = OrderMachineOnSQLite.TestCase
TestOrdersOnSQLite.settings = settings(SETTINGS, max_examples=12, stateful_step_count=40)


@pytest.mark.parametrize("bug", [stock_not_checked, results_not_remembered], ids=lambda bug: bug.__name__)
def test_a_planted_mistake_is_found(bug: Bug) -> None:
    # Also as I6: a balance below zero is no fact that anybody takes, so the order never ends.
    with bug(), pytest.raises(AssertionError, match=r"I[136]"):
        run_state_machine_as_test(OrderMachine, settings=settings(SETTINGS, phases=[Phase.generate], print_blob=False))
