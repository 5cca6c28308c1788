"""Views told as lists of facts: facts in, documents out; and each view's declaration is sound."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4, uuid5

import pytest
from bson import Decimal128

from chassis.catalogue import Catalogue
from chassis.model.changes import PLACE
from chassis.model.views import LANGUAGE, Range, View
from chassis.testing.people import SALES
from chassis.testing.views import documents
from contracts.access import Grant, MachineChanged
from contracts.approvals import CaseApproved, CaseClosed, CaseOpened, CaseRejected, NodeApproved
from contracts.customers import CustomerCreated, CustomerData, CustomerEdited, Membership, MembershipSet, PointsBooked
from contracts.fulfilment import FulfilmentAdvanced
from contracts.inventory import (
    Attributes,
    Prices,
    ProductAdded,
    ProductDeleted,
    ProductEdited,
    ProductRestored,
    StockFellLow,
    StockMoved,
)
from contracts.orders import (
    OrderCancelled,
    OrderChanged,
    OrderCreated,
    OrderHeld,
    OrderLine,
    OrderRejected,
    OrderRetried,
    OrderShipped,
    OrderSubmitted,
    OrderWithdrawn,
    PaymentRecorded,
    Sale,
)
from contracts.people import Person
from contracts.permissions import OPEN, RIGHTS
from contracts.records import KINDS
from contracts.sales import CustomerSnapshot, StepChange
from contracts.shipping import (
    ShipmentCancelled,
    ShipmentDispatched,
    ShipmentHandedOver,
    ShipmentPrepared,
    ShipmentTrackingChanged,
)
from contracts.subjects import subjects
from contracts.types import Money
from services.reports.views import (
    approvals,
    audit,
    customers,
    order_page,
    orders,
    products,
    purchases,
    sales,
    shipments,
    stock_alerts,
    stock_ledger,
)

ORDER = UUID("a3c1f0de-0000-4000-8000-000000000001")
PHONE = uuid5(ORDER, "phone")
CASE = uuid5(ORDER, "case")
DAY = date(2026, 3, 2)
AT = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
LI = Person(user_id=SALES.user_id, name="li")
ACME = CustomerSnapshot(customer_id=uuid5(ORDER, "customer"), name="Acme 株式会社")
TOTAL = Money(amount=Decimal("10.00"), currency="USD")
LINES = (
    OrderLine(
        product_id=PHONE,
        quantity=2,
        unit_price=Decimal("3.33"),
        amount=Decimal("6.66"),
        unit_cost=Decimal("2.00"),
        name="CD",
        model="1997",
        brand="CDNOW",
    ),
    OrderLine(
        product_id=PHONE,
        quantity=1,
        unit_price=Decimal("3.34"),
        amount=Decimal("3.34"),
        unit_cost=Decimal("2.00"),
        name="CD",
        model="1997",
        brand="CDNOW",
    ),
)
SALE = Sale(order_date=DAY, customer_id=ACME.customer_id, lines=LINES, total=TOTAL)
CREATED = OrderCreated(order_id=ORDER, number="SO-1", customer=ACME, lines=LINES, total=TOTAL, order_date=DAY, owner=LI)
SUBMITTED = OrderSubmitted(
    order_id=ORDER,
    round=1,
    number="SO-1",
    customer=ACME,
    sale=SALE,
    threshold=Money(amount=Decimal("50.00"), currency="USD"),
    route=(),
    shipping="AUTOMATIC",
    status="SUBMITTED",
    submitter=LI,
)
SHIPPED = OrderShipped(order_id=ORDER, round=1, sale=SALE)
CANCELLED = OrderCancelled(order_id=ORDER, round=1, was="SUBMITTED", reason="no longer wanted", sale=SALE)
WITHDRAWN = OrderWithdrawn(order_id=ORDER, round=1, sale=SALE, by=LI)
REJECTED = OrderRejected(order_id=ORDER, round=1, reason="too dear", sale=SALE)
PRODUCT = ProductAdded(
    product_id=PHONE,
    attributes=Attributes(name="iPhone 15 Pro", model="A2892", brand="Apple"),
    prices=Prices(
        purchase=Money(amount=Decimal("4000.00"), currency="CNY"), sale=Money(amount=Decimal("5001.00"), currency="CNY")
    ),
    alert_quantity=10,
)
VIEWS: dict[str, View] = {view.name: view for view in Catalogue.read().views()}


def shown(document: Mapping[str, Any], *names: str) -> dict[str, Any]:
    plain = {name: document[name] for name in names}
    return {n: v.to_decimal() if isinstance(v, Decimal128) else v for n, v in plain.items()}


def entries(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries of a list without their places in it."""
    return [{name: value for name, value in entry.items() if name not in PLACE} for entry in found]


def test_ord_19_the_order_list_follows_the_order() -> None:
    row = documents(orders.VIEW, [CREATED])[str(ORDER)]
    assert shown(row, "number", "status", "quantity", "amount", "customer_name", "order_date", "version") == {
        "number": "SO-1",
        "status": "DRAFT",
        "quantity": 3,
        "amount": Decimal("10.00"),
        "customer_name": "Acme 株式会社",
        "order_date": "2026-03-02",
        "version": 1,
    }
    row = documents(orders.VIEW, [CREATED, SUBMITTED, SHIPPED])[str(ORDER)]
    assert shown(row, "status", "version", "shipped_at") == {"status": "SHIPPED", "version": 3, "shipped_at": AT}
    row = documents(orders.VIEW, [CREATED, SUBMITTED, CANCELLED])[str(ORDER)]
    assert row["status"] == "CANCELLED"


@pytest.mark.parametrize("view", [orders.VIEW, order_page.VIEW], ids=lambda view: view.name)
def test_ord_15_a_cancelled_order_shows_what_is_owed_back(view: View) -> None:
    """An event from before it was told tells nothing: neither that something is owed nor that nothing is."""
    refund = Money(amount=Decimal("2.50"), currency="CNY")
    row = documents(view, [CREATED, SUBMITTED])[str(ORDER)]
    assert shown(row, "refund_due") == {"refund_due": Decimal("0.00")}
    for told, due in ((refund, Decimal("2.50")), (replace(refund, amount=Decimal(0)), Decimal("0.00")), (None, None)):
        row = documents(view, [CREATED, SUBMITTED, replace(CANCELLED, refund=told)])[str(ORDER)]
        assert shown(row, "refund_due") == {"refund_due": due}


def test_ord_08_a_changed_order_shows_its_new_content() -> None:
    changed = OrderChanged(
        order_id=ORDER, customer=ACME, lines=LINES[:1], total=replace(TOTAL, amount=Decimal("6.66")), order_date=DAY
    )
    row = documents(orders.VIEW, [CREATED, changed])[str(ORDER)]
    assert shown(row, "quantity", "amount") == {"quantity": 2, "amount": Decimal("6.66")}


def test_ord_10_payments_show_on_list_and_page() -> None:
    paid = PaymentRecorded(
        order_id=ORDER,
        amount=replace(TOTAL, amount=Decimal("4.00")),
        paid=replace(TOTAL, amount=Decimal("4.00")),
        paid_state="PARTLY_PAID",
        paid_on=DAY,
        by=LI,
    )
    assert documents(orders.VIEW, [CREATED, SUBMITTED, paid])[str(ORDER)]["paid_state"] == "PARTLY_PAID"
    page = documents(order_page.VIEW, [CREATED, SUBMITTED, paid])[str(ORDER)]
    assert [shown(entry, "amount", "by") for entry in page["payments"]] == [{"amount": Decimal("4.00"), "by": "li"}]


@pytest.mark.parametrize("view", [orders.VIEW, order_page.VIEW], ids=lambda view: view.name)
def test_ord_10_an_order_with_nothing_to_pay_is_paid(view: View) -> None:
    free = Money(amount=Decimal("0.00"), currency="USD")
    changed = OrderChanged(order_id=ORDER, customer=ACME, lines=LINES, total=free, order_date=DAY)
    submitted = replace(SUBMITTED, sale=replace(SALE, total=free))
    told = {
        "UNPAID": ([CREATED], [replace(CREATED, total=free), replace(changed, total=TOTAL)], [CREATED, SUBMITTED]),
        "PAID": (
            [replace(CREATED, total=free)],
            [CREATED, changed],
            [CREATED, submitted],
            [CREATED, submitted, SHIPPED],
        ),
    }
    for state, stories in told.items():
        for story in stories:
            assert documents(view, story)[str(ORDER)]["paid_state"] == state


def test_ord_14_the_page_tells_what_holds_an_order_only_while_it_is_held() -> None:
    held = OrderHeld(order_id=ORDER, round=1, attempt=1, reason="INSUFFICIENT_STOCK")
    page = documents(order_page.VIEW, [CREATED, SUBMITTED, held])[str(ORDER)]
    assert (page["status"], page["hold"]["reason"]) == ("ON_HOLD", "INSUFFICIENT_STOCK")
    retried = OrderRetried(order_id=ORDER, round=1, attempt=2, status="SUBMITTED", by=LI)
    for after in (CANCELLED, SHIPPED, retried):
        assert documents(order_page.VIEW, [CREATED, SUBMITTED, held, after])[str(ORDER)]["hold"] is None


def test_ord_09_the_page_shows_each_status_with_time_and_author() -> None:
    page = documents(order_page.VIEW, [CREATED, SUBMITTED, SHIPPED])[str(ORDER)]
    assert entries(page["history"]) == [
        {"status": "DRAFT", "at": AT, "by": "li"},
        {"status": "SUBMITTED", "at": AT, "by": "li"},
        {"status": "SHIPPED", "at": AT, "by": "Salestream"},
    ]


def test_inv_02_the_page_hides_the_purchase_price() -> None:
    page = documents(order_page.VIEW, [CREATED, SUBMITTED])[str(ORDER)]
    assert all("unit_cost" not in line for line in page["lines"])


def test_ord_09_the_page_shows_the_approvals_of_all_rounds() -> None:
    facts = [
        fact
        for round, case in ((1, CASE), (2, uuid4()))
        for fact in (
            CaseOpened(
                case_id=case, order_id=ORDER, round=round, number="SO-1", customer_name="Acme", total=TOTAL,
                route=("FINANCE",), submitter=LI,
            ),
            CaseRejected(case_id=case, order_id=ORDER, round=round, node="FINANCE", reason=f"no {round}", by=LI),
        )
    ]  # fmt: skip
    page = documents(order_page.VIEW, [CREATED, *facts])[str(ORDER)]
    told = [(entry["what"], entry["text"]) for entry in page["approvals"]]
    assert told == [("OPENED", ""), ("REJECTED", "no 1"), ("OPENED", ""), ("REJECTED", "no 2")]


def test_ful_02_the_page_shows_the_sagas_timeline_and_the_shipment() -> None:
    facts = [
        CREATED,
        FulfilmentAdvanced(
            order_id=ORDER,
            round=1,
            changes=(StepChange(step="deduct stock", status="STARTED"),),
            status="RUNNING",
            waiting_for="deduct stock",
        ),
        ShipmentPrepared(order_id=ORDER, round=1, number="SO-1", customer=ACME, lines=()),
        ShipmentHandedOver(order_id=ORDER, round=1, carrier="SF", tracking_number="SF1", by=LI),
        ShipmentDispatched(order_id=ORDER, round=1, number="SO-1", customer=ACME, lines=(), carrier="SF", operator=LI),
    ]
    page = documents(order_page.VIEW, facts)[str(ORDER)]
    assert entries(page["steps"]) == [{"step": "deduct stock", "status": "STARTED", "detail": "", "round": 1, "at": AT}]
    assert shown(page["shipment"], "status", "carrier", "operator") == {
        "status": "DISPATCHED",
        "carrier": "SF",
        "operator": "li",
    }
    assert documents(shipments.VIEW, facts)[str(ORDER)]["status"] == "DISPATCHED"


def test_ful_06_a_carrier_that_is_known_late_shows_in_the_list_and_on_the_page() -> None:
    left = ShipmentDispatched(order_id=ORDER, round=1, number="SO-1", customer=ACME, lines=())
    known = ShipmentTrackingChanged(order_id=ORDER, status="DISPATCHED", carrier="SF", tracking_number="SF1")
    facts = [CREATED, left, known]
    told = {"status": "DISPATCHED", "carrier": "SF", "tracking_number": "SF1"}
    assert shown(documents(shipments.VIEW, facts)[str(ORDER)], *told) == told
    assert shown(documents(order_page.VIEW, facts)[str(ORDER)]["shipment"], *told) == told


def test_apr_07_apr_13_the_inbox_shows_what_is_due_and_how_it_was_decided() -> None:
    opened = CaseOpened(
        case_id=CASE,
        order_id=ORDER,
        round=1,
        number="SO-1",
        customer_name="Acme",
        total=TOTAL,
        route=("SUPERVISOR", "FINANCE"),
        submitter=LI,
    )
    first = NodeApproved(case_id=CASE, order_id=ORDER, node="SUPERVISOR", by=LI, next="FINANCE", comment="fine")
    case = documents(approvals.VIEW, [opened])[str(CASE)]
    assert shown(case, "status", "due") == {"status": "OPEN", "due": "SUPERVISOR"}
    case = documents(approvals.VIEW, [opened, first])[str(CASE)]
    assert case["due"] == "FINANCE"
    assert entries(case["decisions"]) == [
        {
            "node": "SUPERVISOR",
            "decision": "APPROVED",
            "by": "li",
            "by_id": str(LI.user_id),
            "comment": "fine",
            "_awaited": [],
            "at": AT,
        }
    ]
    ends = {
        "APPROVED": CaseApproved(case_id=CASE, order_id=ORDER, round=1),
        "REJECTED": CaseRejected(case_id=CASE, order_id=ORDER, round=1, node="FINANCE", reason="no", by=LI),
        "CLOSED": CaseClosed(case_id=CASE, order_id=ORDER, reason="CANCELLED"),
    }
    for status, end in ends.items():
        case = documents(approvals.VIEW, [opened, first, end])[str(CASE)]
        assert shown(case, "status", "due") == {"status": status, "due": None}


def test_inv_09_the_product_list_shows_stock_and_whether_it_is_low() -> None:
    moved = StockMoved(product_id=PHONE, movement="OPENING", change=9, balance=9)
    row = documents(products.VIEW, [PRODUCT, moved])[str(PHONE)]
    assert shown(row, "name", "on_hand", "sale_price") == {
        "name": "iPhone 15 Pro",
        "on_hand": 9,
        "sale_price": Decimal("5001.00"),
    }
    assert products.is_low(row)
    assert not products.is_low({**row, "on_hand": 10}), "strictly below (INV-04)"


def test_inv_07_inv_08_edits_show_and_deleted_products_are_marked() -> None:
    edited = ProductEdited(
        product_id=PHONE,
        attributes=replace(PRODUCT.attributes, brand="Pear"),
        prices=PRODUCT.prices,
        alert_quantity=3,
    )
    story = [PRODUCT, edited, ProductDeleted(product_id=PHONE)]
    row = documents(products.VIEW, story)[str(PHONE)]
    assert shown(row, "brand", "alert_quantity", "deleted") == {"brand": "Pear", "alert_quantity": 3, "deleted": True}
    assert products.VIEW.shown()["deleted"] == {"$ne": True}
    row = documents(products.VIEW, [*story, ProductRestored(product_id=PHONE)])[str(PHONE)]
    assert shown(row, "brand", "deleted", "version") == {"brand": "Pear", "deleted": False, "version": 4}


def test_inv_02_a_product_row_has_each_price_and_the_currency_they_are_in() -> None:
    row = documents(products.VIEW, [PRODUCT])[str(PHONE)]
    assert shown(row, "currency", "purchase_price", "sale_price", "sale_price_currency", "member_price") == {
        "currency": "CNY",
        "purchase_price": Decimal("4000.00"),
        "sale_price": Decimal("5001.00"),
        "sale_price_currency": "CNY",
        "member_price": None,
    }


def test_inv_10_every_movement_is_one_ledger_entry() -> None:
    facts = [
        StockMoved(product_id=PHONE, movement="OPENING", change=9, balance=9),
        StockMoved(product_id=PHONE, movement="ORDER_DEDUCTION", change=-2, balance=7, order_id=ORDER),
    ]
    rows = list(documents(stock_ledger.VIEW, facts).values())
    assert [(row["change"], row["balance"], row["order_id"]) for row in rows] == [(9, 9, None), (-2, 7, str(ORDER))]


def test_cus_20_what_was_shipped_is_bought_line_by_line() -> None:
    facts = [CREATED, SUBMITTED, replace(SHIPPED, sale=replace(SALE, owner_id=LI.user_id, channel="shop"))]
    first, second = documents(purchases.VIEW, facts).values()
    assert shown(first, "customer_id", "product_id", "name", "owner_id", "channel", "currency") == {
        "customer_id": str(ACME.customer_id),
        "product_id": str(PHONE),
        "name": "CD",
        "owner_id": str(LI.user_id),
        "channel": "shop",
        "currency": "USD",
    }
    assert [(row["quantity"], row["amount"]) for row in (first, second)] == [
        (2, Decimal128("6.66")),
        (1, Decimal128("3.34")),
    ]
    assert not documents(purchases.VIEW, [CREATED, SUBMITTED, CANCELLED]), "what was not shipped was not bought"


def test_ntf_01_each_fall_below_is_an_alert() -> None:
    rows = documents(stock_alerts.VIEW, [StockFellLow(product_id=PHONE, balance=9, alert_quantity=10)])
    assert [(row["balance"], row["alert_quantity"]) for row in rows.values()] == [(9, 10)]


def test_cus_01_cus_21_customers_show_data_and_membership() -> None:
    customer = ACME.customer_id
    facts = [
        CustomerCreated(customer_id=customer, data=CustomerData(name="田中", mobile="13800000000"), owner=LI),
        CustomerEdited(customer_id=customer, data=CustomerData(name="田中", mobile="13900000000")),
        MembershipSet(customer_id=customer, membership=Membership(member=True, level="gold", points=5)),
    ]
    booked = PointsBooked(customer_id=customer, change=-2, points=3, reason="bag")
    row = documents(customers.VIEW, [*facts, booked])[str(customer)]
    assert shown(row, "points", "points_reason") == {"points": 3, "points_reason": "bag"}
    row = documents(customers.VIEW, [*facts[:2], booked, facts[2]])[str(customer)]
    assert shown(row, "points", "points_reason") == {"points": 5, "points_reason": "bag"}, "why they were last booked"
    ended = MembershipSet(customer_id=customer, membership=Membership())
    left = documents(customers.VIEW, [*facts, booked, ended])[str(customer)]
    assert shown(left, "points", "points_reason") == {"points": 0, "points_reason": ""}
    assert shown(row, "name", "mobile", "member", "member_level", "owner_name") == {
        "name": "田中",
        "mobile": "13900000000",
        "member": True,
        "member_level": "gold",
        "owner_name": "li",
    }


BOOKED = {"booked_orders": 1, "booked_quantity": 3, "booked_amount": Decimal("10.00")}
NOTHING = {"booked_orders": 0, "booked_quantity": 0, "booked_amount": Decimal("0.00")}


@pytest.mark.parametrize(
    ("facts", "booked", "sold"),
    [
        ([SUBMITTED], BOOKED, None),
        ([SUBMITTED, SHIPPED], BOOKED, 3),
        ([SUBMITTED, CANCELLED], NOTHING, None),
        ([SUBMITTED, WITHDRAWN], NOTHING, None),
        ([SUBMITTED, REJECTED], NOTHING, None),
        ([SUBMITTED, REJECTED, replace(CANCELLED, was="REJECTED")], NOTHING, None),
        ([SUBMITTED, WITHDRAWN, replace(CANCELLED, was="DRAFT")], NOTHING, None),
        ([SUBMITTED, WITHDRAWN, replace(SUBMITTED, round=2)], BOOKED, None),
    ],
)
def test_ord_17_rpt_22_sales_follow_submission_shipping_and_cancellation(
    facts: list[Any], booked: dict[str, Any], sold: int | None
) -> None:
    row = documents(sales.SALES_BY_DAY, facts)["-/2026-03-02/USD"]
    assert shown(row, *booked) == booked
    assert row.get("sold_quantity") == sold


def test_ord_15_cancelling_a_draft_counts_nothing() -> None:
    assert documents(sales.SALES_BY_DAY, [replace(CANCELLED, round=0, was="DRAFT")]) == {}


def test_rpt_04_by_product_and_brand_with_profit_rate() -> None:
    row = documents(sales.SALES_BY_PRODUCT, [SUBMITTED, SHIPPED])[f"-/{PHONE}/-/USD"]
    assert shown(row, "sold_quantity", "sold_amount", "sold_cost") == {
        "sold_quantity": 3,
        "sold_amount": Decimal("10.00"),
        "sold_cost": Decimal("6.00"),
    }
    assert sales.profit_rate(row) == "0.4000"
    assert sales.profit_rate({}) is None
    assert documents(sales.SALES_BY_BRAND, [SUBMITTED, SHIPPED])["-/CDNOW/-/USD"]["sold_quantity"] == 3


LATER = replace(SALE, submitted_on=date(2026, 3, 5))
SHIPPING = datetime(2026, 3, 9, 4, tzinfo=UTC)


def number(value: Any) -> Any:
    return value.to_decimal() if isinstance(value, Decimal128) else value


def test_rpt_22_booked_sold_and_dated_are_three_days() -> None:
    """Booked on the day of submission, also when it is taken back; sold on that of shipping; dated on the order's."""
    submitted = replace(SUBMITTED, sale=LATER)
    days = documents(sales.SALES_BY_DAY, [submitted, replace(SHIPPED, sale=LATER)], at=SHIPPING)
    names = ("booked_amount", "sold_amount", "dated_booked_amount", "dated_sold_amount")
    assert {row["day"]: [name for name in names if name in row] for row in days.values()} == {
        "2026-03-02": ["dated_booked_amount", "dated_sold_amount"],
        "2026-03-05": ["booked_amount"],
        "2026-03-09": ["sold_amount"],
    }
    days = documents(sales.SALES_BY_DAY, [submitted, replace(CANCELLED, sale=LATER)], at=SHIPPING)
    assert {row["day"] for row in days.values()} == {"2026-03-02", "2026-03-05"}
    assert not any(number(row.get(name)) for row in days.values() for name in names)


def test_rpt_02_rows_of_products_hold_their_days_and_one_all_days() -> None:
    facts = [replace(SUBMITTED, sale=LATER), replace(SHIPPED, sale=LATER)]
    rows = documents(sales.SALES_BY_PRODUCT, facts, at=SHIPPING)
    of_days = [row for row in rows.values() if "day" in row]
    [whole] = [row for row in rows.values() if "day" not in row]
    assert len(of_days) == 3
    for name in sales.LINE_SUMS:
        assert number(whole[name]) == sum(number(row.get(name, 0)) for row in of_days), name
    assert whole["name"] == "CD"


def test_a_product_is_called_as_the_order_submitted_last_calls_it() -> None:
    """An older order that ships afterwards does not bring its old name back."""
    renamed = replace(SALE, lines=tuple(replace(line, name="Compact disc") for line in LINES))
    facts = [SUBMITTED, replace(SUBMITTED, order_id=uuid4(), sale=renamed), SHIPPED]
    assert documents(sales.SALES_BY_PRODUCT, facts)[f"-/{PHONE}/-/USD"]["name"] == "Compact disc"


def test_rpt_04_a_cost_in_another_currency_is_not_known() -> None:
    """Such a line has the cost 0: neither it nor a profit of 100 % is shown."""
    foreign = replace(SALE, lines=(LINES[0], replace(LINES[1], unit_cost=Decimal(0))))
    row = documents(sales.SALES_BY_PRODUCT, [replace(SUBMITTED, sale=foreign), replace(SHIPPED, sale=foreign)])[
        f"-/{PHONE}/-/USD"
    ]
    assert sales.profit_rate(row) is None
    assert sales.cost_incomplete(row)
    assert sales.sold_cost(row) == Decimal128("4.00"), "what is known"
    nothing = replace(SALE, lines=tuple(replace(line, unit_cost=Decimal(0)) for line in LINES))
    row = documents(sales.SALES_BY_BRAND, [replace(SHIPPED, sale=nothing)])["-/CDNOW/-/USD"]
    assert (sales.profit_rate(row), sales.sold_cost(row), sales.cost_incomplete(row)) == (None, None, True)


@pytest.mark.parametrize("view", VIEWS.values(), ids=list(VIEWS))
def test_each_view_is_sound(view: View) -> None:
    """Its right exists, its hidden, computed and sorted fields are fields of the row, its filters name real ones."""
    names = {item.name for item in fields(view.row)}
    assert view.permission in {*RIGHTS, *OPEN}
    assert set(view.hidden.values()) <= set(RIGHTS)
    assert set(view.hidden) <= names
    assert set(view.computed) <= names
    assert view.row.__doc__
    for name, rule in view.filters.items():
        assert not isinstance(rule, Range) or name in names or (view.sums and name == view.sums.over)


def test_routes_of_views_are_unique() -> None:
    routes = [view.path for view in VIEWS.values()] + [f"{v.path}/{{}}" for v in VIEWS.values() if v.detail]
    assert len(set(routes)) == len(routes)


@pytest.mark.parametrize("handed_over", [False, True])
def test_ord_15_goods_that_the_carrier_has_of_a_cancelled_order_are_to_be_called_back(handed_over: bool) -> None:
    prepared = ShipmentPrepared(order_id=ORDER, round=1, number="SO-1", customer=ACME, lines=())
    facts = [CREATED, prepared, ShipmentCancelled(order_id=ORDER, round=1, was_handed_over=handed_over)]
    row = documents(shipments.VIEW, facts)[str(ORDER)]
    assert (row["status"], row["call_back"]) == ("CANCELLED", handed_over)
    assert documents(order_page.VIEW, facts)[str(ORDER)]["shipment"]["call_back"] == handed_over
    assert not documents(shipments.VIEW, [*facts, replace(prepared, round=2)])[str(ORDER)]["call_back"]


def test_a_shipment_that_left_by_itself_has_nothing_to_call_back() -> None:
    left = ShipmentDispatched(order_id=ORDER, round=1, number="SO-1", customer=ACME, lines=(), carrier="", operator=LI)
    assert documents(shipments.VIEW, [left])[str(ORDER)]["call_back"] is False


def test_the_account_of_a_program_is_listed_as_it_is_and_without_its_secret() -> None:
    grants = (Grant(right="products.view", scope="ALL"),)
    issued = MachineChanged(
        machine_id=PHONE, name="ERP", grants=grants, epoch=1, active=True, responsible_id=SALES.user_id, revision=1
    )
    [row] = documents(VIEWS["machines"], [issued, replace(issued, epoch=2, active=False, revision=2)]).values()
    assert row["grants"] == [{"right": "products.view", "scope": "ALL"}]
    told = {name: row[name] for name in ("name", "responsible_id", "active", "version")}
    assert told == {"name": "ERP", "responsible_id": str(SALES.user_id), "active": False, "version": 2}
    assert row.keys() <= {*VIEWS["machines"].types, "_id"} | {name for name in row if name.startswith("_")}


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("zh", ("提交订单", "订单", "成功")),
        ("ja", ("受注を申請", "受注", "成功")),
        ("en", ("Submit order", "Order", "Done")),
    ],
)
def test_sec_21_an_audit_entry_is_told_in_the_language_of_its_reader(language: str, said: tuple[str, ...]) -> None:
    entry = {"action": "SubmitOrder", "object_kind": "order", "result": "DONE", LANGUAGE: language}
    names = ("action_label", "object_label", "result_label")
    assert tuple(audit.VIEW.computed[name](entry) for name in names) == said
    list_read = {**entry, "action": "orders", "result": "FORBIDDEN", LANGUAGE: "en"}
    assert audit.VIEW.computed["action_label"](list_read) == "Orders"
    assert audit.VIEW.computed["result_label"](list_read) == "No permission"


def test_col_09_what_is_about_a_record_names_its_kind_by_the_code() -> None:
    """It stands in addresses, and a kind of two words has one too."""
    assert {kind.code for kind in KINDS.values()} < set(subjects())
    found = [view.subject for view in Catalogue.read().views() if view.is_list and view.subject]
    lists = set(found)
    assert len(found) == len(lists), "who sees a record is said by one list"
    assert set(subjects()) <= lists


def test_col_09_a_subject_is_shown_by_the_list_of_its_kind_alone() -> None:
    """Sums by product are called after products, and hide what people say of one no more."""
    of_each = Counter(view.subject for view in VIEWS.values() if view.is_list and view.subject)
    assert of_each == Counter(subjects().keys())
