"""What was answered by one service decides the next command at another, for who sends the consistency token.

A service that must know of another keeps a replica of it, and a command with a token waits until the replica has heard
(`Api.wait_for_replicas`).  `PAIRS` lists every command that another service's answer can forbid; that every replica
is waited for is read off the declarations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from chassis.catalogue import Catalogue, known_everywhere
from chassis.messaging.consistency import Token
from chassis.testing.people import ADMIN, SALES, SUPERVISOR, SYSTEM, WAREHOUSE
from chassis.testing.services import InMemoryService
from contracts.approvals import (
    Approve,
    CaseApproved,
    CaseRejected,
    CloseCase,
    DecisionVoided,
    OpenCase,
    Reject,
    case_id_of,
)
from contracts.customers import CreateCustomer, CustomerCreated, CustomerData
from contracts.declare import REGISTRY
from contracts.inventory import AddProduct, DeleteProduct, Prices
from contracts.orders import (
    CancelOrder,
    CreateOrder,
    LineRequest,
    OrderCreated,
    SetSalesProcess,
    SubmitOrder,
    WithdrawOrder,
)
from contracts.people import Person
from contracts.records import kind_of
from contracts.sales import CustomerSnapshot
from contracts.shipping import HandOver, PrepareShipment, ShipmentCancelled, ShipmentHandedOver
from contracts.types import Money

ORDER = UUID("a3c1f0de-0000-4000-8000-000000000001")
CASE = case_id_of(ORDER, 1)
CUSTOMER = UUID("a3c1f0de-0000-4000-8000-000000000002")
PRODUCT = UUID("a3c1f0de-0000-4000-8000-000000000003")
DEAR = Money(amount=Decimal("6000.00"), currency="CNY")
BY = Person(user_id=SUPERVISOR.user_id, name="sato")


def kit_of(name: str) -> InMemoryService:
    return InMemoryService(next(service for service in Catalogue.read().services() if service.name == name))


def orders(route: tuple[Any, ...] = ("SUPERVISOR",)) -> InMemoryService:
    """The orders service with an order that was submitted."""
    inventory, kit = kit_of("inventory"), kit_of("orders")
    prices = Prices(purchase=DEAR, sale=DEAR)
    inventory.do(AddProduct(product_id=PRODUCT, name="Lamp", model="L", brand="B", prices=prices), WAREHOUSE)
    kit.learn(*customers().facts()[:1], *inventory.facts()[:1])
    kit.do(SetSalesProcess(route=route, shipping="WAREHOUSE"), ADMIN)
    lines = (LineRequest(product_id=PRODUCT, quantity=1),)
    kit.do(CreateOrder(order_id=ORDER, customer_id=CUSTOMER, lines=lines), SALES)
    kit.do(SubmitOrder(order_id=ORDER), SALES)
    return kit


def approvals() -> InMemoryService:
    kit = kit_of("approvals")
    opening = OpenCase(
        case_id=CASE,
        order_id=ORDER,
        round=1,
        number="SO-1",
        customer_name="Acme",
        total=DEAR,
        route=("SUPERVISOR",),
        submitter=Person(user_id=SALES.user_id, name="li"),
        superior_id=SUPERVISOR.user_id,
    )
    kit.do(opening, SYSTEM)
    return kit


def shipping() -> InMemoryService:
    kit = kit_of("shipping")
    customer = CustomerSnapshot(customer_id=CUSTOMER, name="Acme")
    kit.do(PrepareShipment(order_id=ORDER, round=1, number="SO-1", customer=customer, lines=()), SYSTEM)
    return kit


def told_by_orders(command: Any) -> Callable[[], list[Any]]:
    """The facts that the orders service answers such a command with, after those of the submission."""

    def facts() -> list[Any]:
        kit = orders()
        kit.do(command, SALES)
        return [fact for fact in kit.facts() if REGISTRY.is_public_event(type(fact))]

    return facts


def customers() -> InMemoryService:
    kit = kit_of("customers")
    kit.do(CreateCustomer(customer_id=CUSTOMER, name="Acme", mobile="13900000000", industry="IT"), SALES)
    return kit


@dataclass(frozen=True)
class Pair:
    """A command, the service that decides it, and what another service has answered."""

    decides: Callable[[], InMemoryService]
    command: Any
    by: Any
    answered: Callable[[], list[Any]]
    state: str


CANCEL = CancelOrder(order_id=ORDER, reason="no more")
WITHDRAW = WithdrawOrder(order_id=ORDER)
DELETE = kind_of(CustomerData).delete(customer_id=CUSTOMER)
APPROVE, REJECT = Approve(case_id=CASE), Reject(case_id=CASE, reason="too dear")
APPROVED = CaseApproved(case_id=CASE, order_id=ORDER, round=1, by=BY)
REJECTED = CaseRejected(case_id=CASE, order_id=ORDER, round=1, node="SUPERVISOR", reason="too dear", by=BY)
HAND_OVER = HandOver(order_id=ORDER)
HANDED_OVER = ShipmentHandedOver(order_id=ORDER, round=1)

PAIRS: dict[str, Pair] = {
    "approve after a cancel": Pair(approvals, APPROVE, SUPERVISOR, told_by_orders(CANCEL), "CANCELLED"),
    "reject after a cancel": Pair(approvals, REJECT, SUPERVISOR, told_by_orders(CANCEL), "CANCELLED"),
    "approve after a withdrawal": Pair(approvals, APPROVE, SUPERVISOR, told_by_orders(WITHDRAW), "WITHDRAWN"),
    "reject after a withdrawal": Pair(approvals, REJECT, SUPERVISOR, told_by_orders(WITHDRAW), "WITHDRAWN"),
    "withdraw after an approval": Pair(orders, WITHDRAW, SALES, lambda: [APPROVED], "APPROVED"),
    "withdraw after a rejection": Pair(orders, WITHDRAW, SALES, lambda: [REJECTED], "REJECTED"),
    "cancel after a hand-over": Pair(lambda: orders(()), CANCEL, SALES, lambda: [HANDED_OVER], "HANDED_OVER"),
    "hand over after a cancel": Pair(
        shipping, HandOver(order_id=ORDER), WAREHOUSE, told_by_orders(CANCEL), "CANCELLED"
    ),
    "delete a customer after an order": Pair(
        customers,
        DELETE,
        SALES,
        lambda: [one for one in orders().facts() if isinstance(one, OrderCreated)],
        "HAS_OPEN_ORDERS",
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_what_was_answered_elsewhere_decides(name: str) -> None:
    pair = PAIRS[name]
    kit = pair.decides()
    for fact in pair.answered():
        kit.learn(fact)
    refusal = kit.assert_refused("INVALID_STATE", pair.command, pair.by)
    assert refusal.state == pair.state


@pytest.mark.parametrize("name", PAIRS)
def test_the_command_waits_for_the_service_that_answered(name: str) -> None:
    """The token of that answer names a topic that the deciding service's replicas are fed from."""
    pair = PAIRS[name]
    topics = pair.decides().writer.service.replica_topics()
    for fact in pair.answered():
        source = f"{REGISTRY.event_of(type(fact)).topic}:0"
        assert Token({source: 1}).about(topics).positions == {source: 1}


@pytest.mark.parametrize("name", PAIRS)
def test_without_the_news_it_is_decided_on_what_is_known(name: str) -> None:
    pair = PAIRS[name]
    kit = pair.decides()
    kit.new_facts()
    kit.do(pair.command, pair.by)
    assert kit.new_facts()


def test_of_another_round_nothing_is_held_against_a_command() -> None:
    kit = orders()
    kit.learn(CaseApproved(case_id=case_id_of(ORDER, 2), order_id=ORDER, round=2, by=BY))
    assert kit.do(WITHDRAW, SALES).body["status"] == "DRAFT"
    kit = orders(())
    kit.learn(HANDED_OVER, ShipmentCancelled(order_id=ORDER, round=1))
    assert kit.do(CANCEL, SALES).body["status"] == "CANCELLED"


def test_every_service_waits_for_what_the_access_service_answered() -> None:
    everywhere = [replica for known in known_everywhere().values() for replica in known.replicas]
    wanted = {REGISTRY.event_of(fact).topic for replica in everywhere for fact in replica.feeds}
    for service in Catalogue.read().services():
        assert wanted <= set(service.replica_topics()), service.name


def test_an_order_is_written_for_a_customer_that_was_answered_a_moment_ago() -> None:
    kit = orders()
    command = CreateOrder(order_id=uuid4(), customer_id=uuid4(), lines=(LineRequest(product_id=PRODUCT, quantity=1),))
    kit.assert_refused("NOT_FOUND", command, SALES, field="customer_id")
    created = next(f for f in customers_facts(command.customer_id) if isinstance(f, CustomerCreated))
    kit.learn(created)
    kit.do(command, SALES)


def customers_facts(customer_id: UUID) -> list[Any]:
    kit = kit_of("customers")
    kit.do(CreateCustomer(customer_id=customer_id, name="B", mobile="13900000001", industry="IT"), SALES)
    return kit.facts()


def test_a_product_of_an_order_that_was_answered_is_not_deleted() -> None:
    inventory = kit_of("inventory")
    prices = Prices(purchase=DEAR, sale=DEAR)
    inventory.do(AddProduct(product_id=PRODUCT, name="Lamp", model="L", brand="B", prices=prices), WAREHOUSE)
    for fact in (f for f in orders().facts() if REGISTRY.is_public_event(type(f))):
        inventory.learn(fact)
    with pytest.raises(Exception, match="contain this product"):
        inventory.do(DeleteProduct(product_id=PRODUCT), WAREHOUSE)


# -- without the token: what came too late is shown as void


@pytest.mark.parametrize("command", [APPROVE, REJECT], ids=["approved", "rejected"])
def test_apr_11_a_decision_that_came_too_late_is_void(command: Any) -> None:
    kit = approvals()
    kit.do(command, SUPERVISOR)
    kit.new_facts()
    closing = CloseCase(case_id=CASE, order_id=ORDER, reason="CANCELLED", undecided=True)
    assert kit.do(closing, SYSTEM).body["status"] == "VOID"
    assert kit.new_facts() == [DecisionVoided(case_id=CASE, order_id=ORDER, round=1, reason="CANCELLED")]
    kit.do(closing, SYSTEM)
    assert kit.new_facts() == []
    kit.assert_refused("ALREADY_DECIDED", APPROVE, SUPERVISOR)


def test_a_decision_that_the_order_heard_of_stays_when_it_is_cancelled_later() -> None:
    kit = approvals()
    kit.do(APPROVE, SUPERVISOR)
    closing = CloseCase(case_id=CASE, order_id=ORDER, reason="CANCELLED", undecided=False)
    assert kit.do(closing, SYSTEM).body["status"] == "APPROVED"
