"""A customer with an open order is not deleted (CUS-04).  Those orders: services/orders/test_domain.py."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from chassis.testing.people import ADMIN, SALES, user
from chassis.testing.services import InMemoryService
from contracts.customers import (
    CUSTOMER,
    CreateCustomer,
    CustomerDeleted,
    CustomerRestored,
    MergeCustomer,
    UnmergeCustomer,
)
from contracts.orders import (
    OrderCancelled,
    OrderChanged,
    OrderCompleted,
    OrderCreated,
    OrderShipped,
    OrderSubmitted,
    Sale,
)
from contracts.people import Person
from contracts.sales import CustomerSnapshot
from contracts.types import Money
from services.customers.application import OPEN_ORDERS, SERVICE

LI, WU = (UUID(f"01900000-0000-7000-8000-0000000000e{number}") for number in range(2))
ORDER = UUID("a3c1f0de-0000-4000-8000-000000000001")
SELLER = Person(user_id=SALES.user_id, name=SALES.name)
DAY, TOTAL = date(2026, 11, 20), Money(amount=Decimal("9.00"), currency="CNY")
SALE = Sale(order_date=DAY, customer_id=LI, lines=(), total=TOTAL)
DELETE = CUSTOMER.delete(customer_id=LI)


def created(customer: UUID = LI, number: int = 1, owner: Person = SELLER) -> OrderCreated:
    about = CustomerSnapshot(customer_id=customer, name="Li Lei")
    id = UUID(int=ORDER.int + number)
    return OrderCreated(
        order_id=id, number=f"SO-{number:06}", customer=about, lines=(), total=TOTAL, order_date=DAY, owner=owner
    )


def changed(customer: UUID) -> OrderChanged:
    about = CustomerSnapshot(customer_id=customer, name="Li Lei")
    return OrderChanged(order_id=created().order_id, customer=about, lines=(), total=TOTAL, order_date=DAY)


def submitted() -> OrderSubmitted:
    return OrderSubmitted(
        order_id=created().order_id,
        round=1,
        number="SO-000001",
        customer=created().customer,
        sale=SALE,
        threshold=TOTAL,
        route=(),
        shipping="AUTOMATIC",
        status="SUBMITTED",
        submitter=SELLER,
    )


SHIPPED = OrderShipped(order_id=created().order_id, round=1, sale=SALE)
COMPLETED = OrderCompleted(order_id=created().order_id)
CANCELLED = OrderCancelled(order_id=created().order_id, round=0, was="DRAFT", reason="no more", sale=SALE)


@pytest.fixture
def kit() -> InMemoryService:
    kit = InMemoryService(SERVICE)
    for number, id in enumerate((LI, WU)):
        kit.do(CreateCustomer(customer_id=id, name="Li Lei", mobile=f"1380000000{number}", industry="IT"), by=SALES)
    kit.new_facts()
    return kit


OPEN: dict[str, Sequence[Any]] = {
    "a draft": [created()],
    "submitted": [created(), submitted()],
    "shipped and not paid": [created(), submitted(), SHIPPED],
    "written for another one first": [created(WU), changed(LI)],
    "another one is completed": [created(), created(LI, 2), COMPLETED],
}


@pytest.mark.parametrize("story", OPEN.values(), ids=list(OPEN))
def test_cus_04_a_customer_with_an_open_order_is_not_deleted(kit: InMemoryService, story: Sequence[Any]) -> None:
    kit.learn(*story)
    refused = kit.assert_refused("INVALID_STATE", DELETE, by=SALES, field="customer_id")
    assert (refused.why.reason, refused.state) == ("customers.has_open_orders", "HAS_OPEN_ORDERS")
    assert f"still open: SO-00000{2 if COMPLETED in story else 1}." in refused.message
    assert kit.new_facts() == []
    kit.do(CUSTOMER.delete(customer_id=WU), by=SALES)


CLOSED: dict[str, Sequence[Any]] = {
    "completed": [created(), submitted(), SHIPPED, COMPLETED],
    "cancelled": [created(), CANCELLED],
    "for another one now": [created(), changed(WU)],
}


@pytest.mark.parametrize("story", CLOSED.values(), ids=list(CLOSED))
def test_cus_04_a_customer_is_deleted_once_its_orders_are_closed(kit: InMemoryService, story: Sequence[Any]) -> None:
    kit.learn(*story[:-1])
    kit.assert_refused("INVALID_STATE", DELETE, by=SALES)
    kit.learn(story[-1])
    kit.do(DELETE, by=SALES)
    deleted = [fact for fact in kit.new_facts() if isinstance(fact, CustomerDeleted)]
    assert deleted == [CustomerDeleted(customer_id=LI, by=SELLER)]


def test_cus_04_of_many_open_orders_a_few_are_named_and_the_others_counted(kit: InMemoryService) -> None:
    kit.learn(*(created(LI, number) for number in range(7, 0, -1)))
    refused = kit.assert_refused("INVALID_STATE", DELETE, by=SALES)
    assert "SO-000001, SO-000002, SO-000003, SO-000004, SO-000005 and 2 more." in refused.message


def test_cus_04_orders_that_one_may_not_see_are_counted_and_not_named(kit: InMemoryService) -> None:
    """SEC-18: else whoever may delete a customer would learn the numbers of other people's orders."""
    kit.learn(created(), created(LI, 2, Person(user_id=uuid4(), name="Wu")))
    refused = kit.assert_refused("INVALID_STATE", DELETE, by=SALES)
    assert (refused.why.reason, refused.state) == ("customers.has_unseen_orders", "HAS_OPEN_ORDERS")
    assert "2 orders" in refused.message and "SO-" not in refused.message
    assert "SO-000001, SO-000002" in kit.assert_refused("INVALID_STATE", DELETE, by=ADMIN).message


def test_cus_04_who_may_not_delete_a_customer_hears_of_no_orders(kit: InMemoryService) -> None:
    kit.learn(created())
    kit.assert_refused("FORBIDDEN", DELETE, by=user("wu", "SAL"))


def test_cus_04_cus_22_open_orders_of_one_that_went_into_it_are_in_the_way_while_it_is_there(
    kit: InMemoryService,
) -> None:
    kit.learn(created(WU))
    kit.do(MergeCustomer(customer_id=LI, duplicate_id=WU), by=ADMIN)
    assert "SO-000001" in kit.assert_refused("INVALID_STATE", DELETE, by=SALES).message
    kit.do(UnmergeCustomer(customer_id=WU), by=ADMIN)
    kit.do(DELETE, by=SALES)
    kit.assert_refused("INVALID_STATE", CUSTOMER.delete(customer_id=WU), by=SALES)


def test_cus_04_an_order_that_was_written_at_the_moment_of_the_deletion_changes_nothing(kit: InMemoryService) -> None:
    """What becomes of the order: `test_cus_04_a_deleted_customer_gets_no_order...` of the orders service."""
    kit.do(DELETE, by=SALES)
    kit.new_facts()
    kit.learn(created())
    assert kit.new_facts() == []
    kit.do(CUSTOMER.restore(customer_id=LI), by=SALES)
    assert kit.new_facts()[0] == CustomerRestored(customer_id=LI, by=SELLER)
    kit.assert_refused("INVALID_STATE", DELETE, by=SALES)


def test_cus_04_an_order_whose_beginning_was_never_heard_is_named_by_its_id(kit: InMemoryService) -> None:
    kit.learn(changed(LI))
    assert str(created().order_id) in kit.assert_refused("INVALID_STATE", DELETE, by=ADMIN).message


def test_cus_04_closed_orders_leave_no_rows_behind(kit: InMemoryService) -> None:
    kit.learn(created(), submitted(), SHIPPED, COMPLETED)
    assert kit.store.rows_with_prefix(OPEN_ORDERS.name, "") == []
