"""The order saga, told fact by fact (FUL-02..04, ORD-14, ORD-15, INV-13)."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.testing.people import SALES, SUPERVISOR
from chassis.testing.sagas import SagaScenario
from contracts.approvals import AskedBecause, CaseApproved, CaseRejected, CloseCase, OpenCase, case_id_of
from contracts.inventory import DeductStock, ReturnStock, StockDeducted, StockLine, StockShort
from contracts.orders import (
    ApproveOrder,
    CompleteDelivery,
    HoldOrder,
    OrderApproved,
    OrderCancelled,
    OrderDelivered,
    OrderLine,
    OrderRejected,
    OrderRetried,
    OrderShipped,
    OrderSubmitted,
    OrderWithdrawn,
    RejectOrder,
    Sale,
    ShipOrder,
)
from contracts.people import Person
from contracts.sales import CustomerSnapshot, Shortage
from contracts.shipping import (
    CancelShipment,
    DispatchShipment,
    PackingLine,
    PrepareShipment,
    ShipmentDelivered,
    ShipmentDispatched,
    ShipmentHandedOver,
)
from contracts.types import Money
from services.fulfilment.saga import SAGA

ORDER = UUID("a3c1f0de-0000-4000-8000-000000000001")
PHONE = uuid5(ORDER, "phone")
DAY = date(2026, 3, 2)
LI = Person(user_id=SALES.user_id, name="li")
CUSTOMER = CustomerSnapshot(customer_id=uuid5(ORDER, "customer"), name="Acme")
TOTAL = Money(amount=Decimal("5001.00"), currency="CNY")
LINE = OrderLine(
    product_id=PHONE,
    quantity=2,
    unit_price=Decimal("2500.50"),
    amount=Decimal("5001.00"),
    name="iPhone 15 Pro",
    model="A2892",
    brand="Apple",
    accessories=("cable",),
)
SALE = Sale(order_date=DAY, customer_id=CUSTOMER.customer_id, lines=(LINE,), total=TOTAL)
SUBMITTED = OrderSubmitted(
    order_id=ORDER,
    round=1,
    number="SO-1",
    customer=CUSTOMER,
    sale=SALE,
    threshold=Money(amount=Decimal("5000.00"), currency="CNY"),
    route=(),
    shipping="AUTOMATIC",
    status="SUBMITTED",
    submitter=LI,
    superior_id=SUPERVISOR.user_id,
)
LARGE = replace(SUBMITTED, route=("SUPERVISOR", "FINANCE"), status="PENDING_APPROVAL")
BY_WAREHOUSE = replace(SUBMITTED, shipping="WAREHOUSE")
CASE = case_id_of(ORDER, 1)

TAKEN = (StockLine(product_id=PHONE, quantity=2),)
PACKED = (PackingLine(product_id=PHONE, quantity=2, name="iPhone 15 Pro", model="A2892", accessories=("cable",)),)
OPEN = OpenCase(
    case_id=CASE,
    order_id=ORDER,
    round=1,
    number="SO-1",
    customer_id=CUSTOMER.customer_id,
    customer_name="Acme",
    total=TOTAL,
    route=("SUPERVISOR", "FINANCE"),
    submitter=LI,
    superior_id=SUPERVISOR.user_id,
    because=(AskedBecause(rule="threshold", limit=SUBMITTED.threshold, value=TOTAL),),
)
APPROVED = CaseApproved(case_id=CASE, order_id=ORDER, round=1)
REJECTED = CaseRejected(case_id=CASE, order_id=ORDER, round=1, node="FINANCE", reason="too dear", by=LI)
DEDUCTED = StockDeducted(order_id=ORDER, round=1, lines=TAKEN)
MISSING = (Shortage(product_id=PHONE, wanted=2, on_hand=1),)
SHORT = StockShort(order_id=ORDER, round=1, attempt=1, missing=MISSING)
SHIPPED = OrderShipped(order_id=ORDER, round=1, sale=SALE)
HANDED_OVER = ShipmentHandedOver(order_id=ORDER, round=1, carrier="SF", tracking_number="SF1")
DISPATCHED = ShipmentDispatched(order_id=ORDER, round=1, number="SO-1", customer=CUSTOMER, lines=PACKED)
DELIVERED = ShipmentDelivered(order_id=ORDER, delivered_on=DAY)
CANCELLED = OrderCancelled(order_id=ORDER, round=1, was="SUBMITTED", reason="no longer wanted", sale=SALE)
WITHDRAWN = OrderWithdrawn(order_id=ORDER, round=1, sale=SALE)

DEDUCT = DeductStock(order_id=ORDER, round=1, attempt=1, lines=TAKEN)
RETURN = ReturnStock(order_id=ORDER, round=1)
SHIP = ShipOrder(order_id=ORDER, round=1)
DISPATCH = DispatchShipment(order_id=ORDER, round=1, number="SO-1", customer=CUSTOMER, lines=PACKED)


def test_ful_03_a_small_order_ships_directly() -> None:
    (
        SagaScenario(SAGA)
        .on(SUBMITTED)
        .expects(DEDUCT)
        .on(DEDUCTED)
        .expects(SHIP)
        .on(SHIPPED)
        .expects(DISPATCH)
        .on(DISPATCHED)
        .expects_nothing()
        .is_at("delivery", "STARTED")
        .on(DELIVERED)
        .expects(CompleteDelivery(order_id=ORDER, delivered_on=DAY))
        .on(OrderDelivered(order_id=ORDER, delivered_on=DAY))
        .expects_nothing()
        .has_ended()
    )


def test_ful_04_a_large_order_waits_for_its_approvals() -> None:
    (
        SagaScenario(SAGA)
        .on(LARGE)
        .expects(OPEN)
        .on(APPROVED)
        .expects(ApproveOrder(order_id=ORDER, round=1))
        .on(OrderApproved(order_id=ORDER, round=1))
        .expects(DEDUCT)
    )


def test_apr_09_a_rejected_order_stops() -> None:
    (
        SagaScenario(SAGA)
        .on(LARGE)
        .on(REJECTED)
        .expects(RejectOrder(order_id=ORDER, round=1, reason="too dear", rejected_by=LI))
        .on(OrderRejected(order_id=ORDER, round=1, reason="too dear", sale=SALE, by=LI))
        .expects(CloseCase(case_id=CASE, order_id=ORDER, reason="CANCELLED"))
        .has_ended()
    )


def test_ful_01_the_warehouse_confirms_before_the_order_ships() -> None:
    (
        SagaScenario(SAGA)
        .on(BY_WAREHOUSE)
        .on(DEDUCTED)
        .expects(PrepareShipment(order_id=ORDER, round=1, number="SO-1", customer=CUSTOMER, lines=PACKED))
        .is_at("hand over", "STARTED")
        .on(HANDED_OVER)
        .expects(replace(SHIP, carrier="SF", tracking_number="SF1"))
        .on(SHIPPED)
        .expects(replace(DISPATCH, carrier="SF", tracking_number="SF1"))
    )


def test_ord_14_stock_short_holds_the_order_until_it_is_retried() -> None:
    retried = OrderRetried(order_id=ORDER, round=1, attempt=2, status="SUBMITTED")
    (
        SagaScenario(SAGA)
        .on(SUBMITTED)
        .on(SHORT)
        .expects(HoldOrder(order_id=ORDER, round=1, attempt=1, missing=MISSING))
        .is_at("deduct stock", "FAILED")
        .on(SHORT)
        .expects_nothing()
        .on(retried)
        .expects(replace(DEDUCT, attempt=2))
        .on(DEDUCTED)
        .expects(SHIP)
    )


@pytest.mark.parametrize(
    ("before", "undone"),
    [
        ([SUBMITTED], [RETURN]),
        ([SUBMITTED, SHORT], [RETURN]),
        ([SUBMITTED, DEDUCTED], [RETURN]),
        ([BY_WAREHOUSE, DEDUCTED], [CancelShipment(order_id=ORDER, round=1), RETURN]),
        ([BY_WAREHOUSE, DEDUCTED, HANDED_OVER], [CancelShipment(order_id=ORDER, round=1), RETURN]),
        ([LARGE], [CloseCase(case_id=CASE, order_id=ORDER, reason="CANCELLED")]),
        (
            [LARGE, APPROVED, OrderApproved(order_id=ORDER, round=1)],
            [RETURN, CloseCase(case_id=CASE, order_id=ORDER, reason="CANCELLED")],
        ),
    ],
)
def test_ord_15_cancelling_undoes_what_was_begun_last_first(before: list[Any], undone: list[Any]) -> None:
    scenario = SagaScenario(SAGA)
    for fact in before:
        scenario.on(fact)
    scenario.on(CANCELLED).expects(*undone).has_ended()
    scenario.on(CANCELLED).expects_nothing()
    scenario.on(DEDUCTED).expects_nothing()


def test_ord_08_a_withdrawn_order_closes_its_case_and_can_be_submitted_again() -> None:
    again = replace(LARGE, round=2)
    (
        SagaScenario(SAGA)
        .on(LARGE)
        .on(WITHDRAWN)
        .expects(CloseCase(case_id=CASE, order_id=ORDER, reason="WITHDRAWN", undecided=True))
        .on(again)
        .expects(replace(OPEN, case_id=case_id_of(ORDER, 2), round=2))
        .on(APPROVED)
        .expects_nothing()
        .is_at("approval", "STARTED")
    )


def test_ord_16_every_repeated_fact_does_nothing() -> None:
    facts = [SUBMITTED, DEDUCTED, SHIPPED, DISPATCHED, DELIVERED, OrderDelivered(order_id=ORDER, delivered_on=DAY)]
    scenario = SagaScenario(SAGA)
    for number, fact in enumerate(facts):
        scenario.on(fact)
        for seen in facts[: number + 1]:
            scenario.on(seen).expects_nothing()
    scenario.has_ended()


def test_plt_04_a_restart_between_any_two_steps_changes_nothing() -> None:
    scenario = SagaScenario(SAGA)
    for fact in [BY_WAREHOUSE, DEDUCTED, HANDED_OVER, SHIPPED, DISPATCHED, DELIVERED]:
        scenario.on(fact).restarted()
    scenario.is_at("record delivery", "STARTED")


def test_ful_02_a_step_without_answer_sends_the_same_command_again_then_asks_for_attention() -> None:
    scenario = SagaScenario(SAGA).on(SUBMITTED)
    (first,) = scenario.command_ids
    for _ in range(5):
        scenario.times_out().expects(DEDUCT)
        assert scenario.command_ids == [first]
    scenario.times_out().expects_nothing().is_at("deduct stock", "NEEDS_ATTENTION")
    scenario.times_out().expects_nothing()
    scenario.on(DEDUCTED).expects(SHIP)


def test_a_step_that_waits_for_people_has_no_time_limit() -> None:
    SagaScenario(SAGA).on(LARGE).times_out().expects_nothing().is_at("approval", "STARTED")


@given(st.lists(st.sampled_from([LARGE, APPROVED, REJECTED, DEDUCTED, SHORT, SHIPPED, DISPATCHED, CANCELLED])))
def test_any_order_of_facts_replays_to_the_same_state(facts: list[Any]) -> None:
    scenario = SagaScenario(SAGA)
    returned = deducted = 0
    for fact in [LARGE, *facts]:
        scenario.on(fact).restarted()
        kinds = [type(command) for command in scenario.sent]
        deducted += kinds.count(DeductStock)
        returned += kinds.count(ReturnStock)
    assert deducted <= 1
    assert returned <= deducted


# -- who did it (ORD-09), and what came too late (APR-11)


def test_ord_09_each_step_of_people_tells_the_order_who_did_it() -> None:
    finance, keeper, courier = (Person(user_id=uuid5(ORDER, name), name=name) for name in ("chen", "wang", "zhou"))
    order = replace(LARGE, shipping="WAREHOUSE")
    saga = SagaScenario(SAGA).on(order).on(replace(APPROVED, by=finance))
    saga.expects(ApproveOrder(order_id=ORDER, round=1, approved_by=finance))
    saga.restarted().on(OrderApproved(order_id=ORDER, round=1)).on(DEDUCTED)
    saga.on(replace(HANDED_OVER, by=keeper))
    assert [command.handed_over_by for command in saga.sent] == [keeper]
    saga.on(SHIPPED).on(DISPATCHED).on(replace(DELIVERED, by=courier))
    assert [command.delivered_by for command in saga.sent] == [courier]


@pytest.mark.parametrize(
    ("stopped", "undecided"),
    [
        (WITHDRAWN, True),
        (replace(CANCELLED, was="PENDING_APPROVAL"), True),
        (replace(CANCELLED, was="APPROVED"), False),
        (replace(CANCELLED, was="ON_HOLD"), False),
    ],
    ids=lambda value: getattr(value, "was", "") or type(value).__name__,
)
def test_apr_11_the_case_is_told_whether_the_order_still_waited(stopped: Any, undecided: bool) -> None:
    saga = SagaScenario(SAGA).on(LARGE).on(stopped)
    assert [command.undecided for command in saga.sent if isinstance(command, CloseCase)] == [undecided]
