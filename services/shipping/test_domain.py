"""Shipments, rule by rule (features FUL-01, FUL-04..08, ACC-39)."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest

from chassis.testing.people import ADMIN, SYSTEM, WAREHOUSE
from chassis.testing.services import InMemoryService
from contracts.company import CompanyData, CompanyDataSet
from contracts.orders import (
    OrderApproved,
    OrderCancelled,
    OrderChanged,
    OrderCompleted,
    OrderCreated,
    OrderHeld,
    OrderRejected,
    OrderRetried,
    OrderShipped,
    OrderStatus,
    OrderSubmitted,
    OrderWithdrawn,
    Sale,
)
from contracts.people import SALESTREAM, Person
from contracts.sales import CustomerSnapshot
from contracts.shipping import (
    CancelShipment,
    ChangeTracking,
    Deliver,
    DispatchShipment,
    HandOver,
    PackingLine,
    PrepareShipment,
    ShipmentCancelled,
    ShipmentDelivered,
    ShipmentDispatched,
    ShipmentHandedOver,
    ShipmentPrepared,
    ShipmentTrackingChanged,
)
from contracts.types import Money
from services.shipping.application import SERVICE

ORDER = uuid5(NAMESPACE_URL, "test-shipments:order")
ACME = CustomerSnapshot(customer_id=uuid5(NAMESPACE_URL, "test-shipments:acme"), name="Acme", address="1 Old Street")
PHONE = PackingLine(
    product_id=uuid5(NAMESPACE_URL, "test-shipments:phone"),
    quantity=2,
    name="phone",
    model="P-1",
    accessories=("charger", "case"),
)
TOTAL = Money(amount=Decimal("6000.00"), currency="CNY")
DAY = date(2026, 3, 2)
SALE = Sale(order_date=DAY, customer_id=ACME.customer_id, lines=(), total=TOTAL)
WANG = Person(user_id=WAREHOUSE.user_id, name="wang")

CREATED = OrderCreated(
    order_id=ORDER, number="SO-1", customer=ACME, lines=(), total=TOTAL, order_date=DAY, owner=SALESTREAM
)
CHANGED = OrderChanged(order_id=ORDER, customer=ACME, lines=(), total=TOTAL, order_date=DAY)
APPROVED = OrderApproved(order_id=ORDER, round=1)
REJECTED = OrderRejected(order_id=ORDER, round=1, reason="too dear", sale=SALE)
WITHDRAWN = OrderWithdrawn(order_id=ORDER, round=1, sale=SALE)
HELD = OrderHeld(order_id=ORDER, round=1, attempt=1, reason="INSUFFICIENT_STOCK")
RETRIED = OrderRetried(order_id=ORDER, round=1, attempt=2, status="APPROVED")
SHIPPED = OrderShipped(order_id=ORDER, round=1, sale=SALE)
COMPLETED = OrderCompleted(order_id=ORDER)
CANCELLED = OrderCancelled(order_id=ORDER, round=1, was="APPROVED", reason="no longer wanted", sale=SALE)

HAND_OVER = HandOver(order_id=ORDER, carrier="SF", tracking_number="SF1")
DELIVER = Deliver(order_id=ORDER)
TRACKING = ChangeTracking(order_id=ORDER, carrier="顺丰", tracking_number="SF2")


def submitted(status: OrderStatus = "PENDING_APPROVAL") -> OrderSubmitted:
    return OrderSubmitted(
        order_id=ORDER,
        round=1,
        number="SO-1",
        customer=ACME,
        sale=SALE,
        threshold=TOTAL,
        route=(),
        shipping="WAREHOUSE",
        status=status,
        submitter=SALESTREAM,
    )


def prepare(round: int = 1) -> PrepareShipment:
    return PrepareShipment(order_id=ORDER, round=round, number="SO-1", customer=ACME, lines=(PHONE,))


def dispatch(round: int = 1, **more: str) -> DispatchShipment:
    return DispatchShipment(order_id=ORDER, round=round, number="SO-1", customer=ACME, lines=(PHONE,), **more)


def cancel(round: int = 1) -> CancelShipment:
    return CancelShipment(order_id=ORDER, round=round)


@pytest.fixture
def kit() -> InMemoryService:
    kit = InMemoryService(SERVICE)
    kit.learn(CREATED, submitted(), APPROVED)
    return kit


def given(kit: InMemoryService, *commands: Any) -> None:
    """What happened before; `new_facts` tells only of what follows."""
    for command in commands:
        kit.do(command, WAREHOUSE if isinstance(command, HandOver | Deliver | ChangeTracking) else SYSTEM)
    kit.new_facts()


# -- FUL-01, FUL-05, FUL-08: the stock-out document -----------------------------------------------------------------


def test_ful_01_ful_08_prepared_once(kit: InMemoryService) -> None:
    answer = kit.do(prepare(), SYSTEM)
    assert answer.body == {"id": str(ORDER), "version": 1, "status": "PREPARED"}
    kit.do(prepare(), SYSTEM)
    assert kit.new_facts() == [
        ShipmentPrepared(order_id=ORDER, round=1, number="SO-1", customer=ACME, lines=(PHONE,))
    ], "with the accessories to check"


@pytest.mark.parametrize("then", [[HAND_OVER], [cancel()], [dispatch()], [dispatch(), DELIVER]])
def test_ful_01_prepared_again_later_changes_nothing(kit: InMemoryService, then: list[Any]) -> None:
    given(kit, prepare(), *then)
    kit.do(prepare(), SYSTEM)
    assert kit.new_facts() == []


def test_a_new_round_prepares_again(kit: InMemoryService) -> None:
    given(kit, prepare(), cancel())
    assert kit.do(prepare(2), SYSTEM).body["status"] == "PREPARED"
    kit.do(cancel(1), SYSTEM)
    assert [type(fact) for fact in kit.new_facts()] == [ShipmentPrepared]


def test_goods_that_left_are_not_prepared_again(kit: InMemoryService) -> None:
    given(kit, dispatch())
    kit.do(prepare(2), SYSTEM)
    assert kit.new_facts() == []


# -- FUL-05, FUL-06: hand-over --------------------------------------------------------------------------------------


def test_ful_06_hand_over(kit: InMemoryService) -> None:
    given(kit, prepare())
    assert kit.do(HAND_OVER, WAREHOUSE).body["status"] == "HANDED_OVER"
    assert kit.new_facts() == [
        ShipmentHandedOver(order_id=ORDER, round=1, carrier="SF", tracking_number="SF1", by=WANG, handed_over_on=DAY)
    ]


def test_ful_06_handed_over_once(kit: InMemoryService) -> None:
    given(kit, prepare(), HAND_OVER)
    refusal = kit.assert_refused("INVALID_STATE", HAND_OVER, WAREHOUSE)
    assert (refusal.state, refusal.message) == (
        "HANDED_OVER",
        "The shipment is HANDED_OVER; this needs one that is PREPARED.",
    )


def test_ful_06_same_key_gives_the_first_answer(kit: InMemoryService) -> None:
    given(kit, prepare())
    first = kit.do(HAND_OVER, WAREHOUSE, key="press")
    assert kit.do(HAND_OVER, WAREHOUSE, key="press").body == first.body
    assert len(kit.new_facts()) == 1
    kit.assert_refused("KEY_REUSED", replace(HAND_OVER, carrier="YT"), WAREHOUSE, field="Idempotency-Key", key="press")


def test_stale_version(kit: InMemoryService) -> None:
    given(kit, prepare())
    kit.assert_refused("VERSION_CONFLICT", HAND_OVER, WAREHOUSE, version=7)
    kit.do(HAND_OVER, WAREHOUSE, version=1)


PATHS: list[tuple[list[Any], OrderStatus, str]] = [
    ([CREATED], "DRAFT", "approved first"),
    ([CREATED, submitted()], "PENDING_APPROVAL", "must be approved first"),
    ([CREATED, submitted(), WITHDRAWN], "DRAFT", "approved first"),
    ([CREATED, submitted(), REJECTED], "REJECTED", "must be approved first"),
    ([CREATED, submitted(), REJECTED, CHANGED], "DRAFT", "approved first"),
    ([CREATED, submitted("SUBMITTED")], "SUBMITTED", "not ready yet"),
    ([CREATED, submitted(), APPROVED], "APPROVED", "not ready yet"),
    ([CREATED, submitted("SUBMITTED"), HELD], "ON_HOLD", "restock and retry"),
    ([CREATED, submitted("SUBMITTED"), HELD, RETRIED], "APPROVED", "not ready yet"),
    ([CREATED, submitted(), APPROVED, HELD, RETRIED], "APPROVED", "not ready yet"),
    ([CREATED, submitted(), APPROVED, SHIPPED], "SHIPPED", "try again in a moment"),
    ([CREATED, submitted(), APPROVED, SHIPPED, COMPLETED], "COMPLETED", "completed"),
    ([CREATED, submitted(), APPROVED, CANCELLED], "CANCELLED", "cancelled"),
]


@pytest.mark.parametrize("command", [HAND_OVER, DELIVER, TRACKING], ids=["hand over", "deliver", "tracking"])
@pytest.mark.parametrize("path, status, words", PATHS)
def test_acc_39_ful_04_no_shipping_before_the_order_is_ready(
    command: Any, path: list[Any], status: OrderStatus, words: str
) -> None:
    """An order approved by the supervisor only is PENDING_APPROVAL still: shipping is refused."""
    kit = InMemoryService(SERVICE)
    kit.learn(*path)
    refusal = kit.assert_refused("INVALID_STATE", command, WAREHOUSE)
    assert refusal.state == status
    assert words in refusal.message


@pytest.mark.parametrize("command", [HAND_OVER, DELIVER, TRACKING], ids=["hand over", "deliver", "tracking"])
def test_unknown_order(command: Any) -> None:
    InMemoryService(SERVICE).assert_refused("NOT_FOUND", command, ADMIN, field="order_id")


# -- FUL-05, FUL-06: departure --------------------------------------------------------------------------------------


def test_ful_01_automatic_shipping_has_salestream_as_operator(kit: InMemoryService) -> None:
    assert kit.do(dispatch(carrier="SF", tracking_number="SF1"), SYSTEM).body["status"] == "DISPATCHED"
    kit.do(dispatch(), SYSTEM)
    assert kit.new_facts() == [
        ShipmentDispatched(
            order_id=ORDER,
            round=1,
            number="SO-1",
            customer=ACME,
            lines=(PHONE,),
            carrier="SF",
            tracking_number="SF1",
            operator=SALESTREAM,
            left_on=DAY,
        )
    ]


@pytest.mark.parametrize(
    "more, expected",
    [({}, ("SF", "SF1")), ({"carrier": "YT", "tracking_number": "YT9"}, ("YT", "YT9"))],
    ids=["as handed over", "as commanded"],
)
def test_ful_05_who_handed_over_is_the_operator(
    kit: InMemoryService, more: dict[str, str], expected: tuple[str, str]
) -> None:
    given(kit, prepare(), HAND_OVER)
    kit.do(dispatch(1, **more), SYSTEM)
    (fact,) = kit.new_facts()
    assert isinstance(fact, ShipmentDispatched)
    assert (fact.operator, fact.carrier, fact.tracking_number) == (WANG, *expected)


def test_a_hand_over_of_another_round_names_nobody(kit: InMemoryService) -> None:
    given(kit, prepare(), HAND_OVER, cancel())
    kit.do(dispatch(2), SYSTEM)
    (fact,) = kit.new_facts()
    assert (fact.round, fact.operator, fact.carrier) == (2, SALESTREAM, "")


# -- FUL-06: who carries it --------------------------------------------------------------------------------------------


def tracked(carrier: str, number: str, status: Any = "DISPATCHED") -> ShipmentTrackingChanged:
    return ShipmentTrackingChanged(order_id=ORDER, status=status, carrier=carrier, tracking_number=number, by=WANG)


@pytest.mark.parametrize("then", [[], [DELIVER]], ids=["on its way", "arrived"])
def test_ful_06_goods_that_left_by_themselves_get_a_carrier(kit: InMemoryService, then: list[Any]) -> None:
    given(kit, dispatch(), *then)
    kit.do(TRACKING, WAREHOUSE)
    kit.do(TRACKING, WAREHOUSE)
    assert kit.new_facts() == [tracked("顺丰", "SF2", "DELIVERED" if then else "DISPATCHED")], (
        "what is so already is not told again"
    )


def test_ful_06_what_is_left_out_of_the_tracking_stays_and_null_clears(kit: InMemoryService) -> None:
    given(kit, prepare(), HAND_OVER, dispatch())
    kit.do(ChangeTracking(order_id=ORDER, tracking_number="SF3"), WAREHOUSE)
    kit.do(ChangeTracking(order_id=ORDER, carrier=None), WAREHOUSE)
    assert kit.new_facts() == [tracked("SF", "SF3"), tracked("", "SF3")]


@pytest.mark.parametrize("before", [[prepare()], [prepare(), HAND_OVER], [prepare(), cancel()]])
def test_ful_06_goods_that_have_not_left_have_no_other_carrier(kit: InMemoryService, before: list[Any]) -> None:
    given(kit, *before)
    kit.assert_refused("INVALID_STATE", TRACKING, WAREHOUSE)
    assert kit.new_facts() == []


# -- calling it off -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [[prepare()], [prepare(), HAND_OVER]], ids=["prepared", "handed over"])
def test_ord_15_cancelled_before_it_left(kit: InMemoryService, before: list[Any]) -> None:
    given(kit, *before)
    assert kit.do(cancel(), SYSTEM).body["status"] == "CANCELLED"
    kit.do(cancel(), SYSTEM)
    assert kit.new_facts() == [ShipmentCancelled(order_id=ORDER, round=1, was_handed_over=HAND_OVER in before)]


@pytest.mark.parametrize(
    "before, round",
    [([], 1), ([prepare()], 2), ([dispatch()], 1), ([dispatch(), DELIVER], 1)],
    ids=["never prepared", "another round", "gone", "arrived"],
)
def test_ord_15_nothing_to_cancel(kit: InMemoryService, before: list[Any], round: int) -> None:
    given(kit, *before)
    kit.do(cancel(round), SYSTEM)
    assert kit.new_facts() == []


def test_ord_15_a_cancelled_shipment_tells_what_the_order_waits_for(kit: InMemoryService) -> None:
    given(kit, prepare(), cancel())
    kit.learn(CANCELLED)
    assert kit.assert_refused("INVALID_STATE", HAND_OVER, WAREHOUSE).message == "The order was cancelled."


# -- FUL-07: arrival ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("day", [None, DAY, date(2026, 3, 3)])
def test_ful_07_delivered(kit: InMemoryService, day: date | None) -> None:
    given(kit, dispatch())
    kit.pass_time(days=1 if day else 0)
    assert kit.do(Deliver(order_id=ORDER, delivered_on=day), WAREHOUSE).body["status"] == "DELIVERED"
    assert kit.new_facts() == [ShipmentDelivered(order_id=ORDER, delivered_on=day or DAY, by=WANG)]


@pytest.mark.parametrize(
    "day", [date(1, 1, 1), date(1900, 1, 1), date(2026, 3, 1), date(2026, 3, 5), date(9999, 12, 31)]
)
def test_ful_07_not_before_the_goods_left_and_not_after_today(kit: InMemoryService, day: date) -> None:
    given(kit, prepare(), HAND_OVER)
    kit.pass_time(days=1)
    given(kit, dispatch())
    kit.pass_time(days=1)
    kit.assert_refused("VALIDATION", Deliver(order_id=ORDER, delivered_on=day), WAREHOUSE, field="delivered_on")
    kit.do(Deliver(order_id=ORDER, delivered_on=DAY), WAREHOUSE)


def test_a_zone_that_sets_today_back_leaves_the_arrival_on_the_day_of_departure(kit: InMemoryService) -> None:
    given(kit, dispatch())
    data = CompanyData(full_name="Acme", time_zone="Pacific/Honolulu")
    kit.directory.tell([CompanyDataSet(settings_id="company", data=data, revision=1)])
    assert kit.today == date(2026, 3, 1)
    kit.do(DELIVER, WAREHOUSE)
    assert kit.new_facts()[-1].delivered_on == DAY


def test_ful_07_not_tomorrow(kit: InMemoryService) -> None:
    given(kit, dispatch())
    command = Deliver(order_id=ORDER, delivered_on=date(2026, 3, 3))
    kit.assert_refused("VALIDATION", command, WAREHOUSE, field="delivered_on")
    kit.now = datetime(2026, 3, 2, 16, 30, tzinfo=UTC)
    kit.do(command, WAREHOUSE)


@pytest.mark.parametrize(
    "before, status",
    [([prepare()], "PREPARED"), ([prepare(), HAND_OVER], "HANDED_OVER"), ([dispatch(), DELIVER], "DELIVERED")],
)
def test_ful_07_only_what_is_on_its_way_arrives(kit: InMemoryService, before: list[Any], status: str) -> None:
    given(kit, *before)
    assert kit.assert_refused("INVALID_STATE", DELIVER, WAREHOUSE).state == status
