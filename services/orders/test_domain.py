"""Sales orders and the sales process, rule by rule (features ORD-01..19, APR-15, ACC-37, ACC-38, ACC-42)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, get_args
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import msgspec
import pytest

from chassis.model.principal import Principal
from chassis.testing.people import ADMIN, FINANCE, SALES, SUPERVISOR, SYSTEM, user
from chassis.testing.services import InMemoryService
from chassis.writer.writer import Writer
from contracts.company import CompanyData, CompanyDataSet
from contracts.customers import (
    CustomerAssigned,
    CustomerCreated,
    CustomerData,
    CustomerDeleted,
    CustomerEdited,
    CustomerMerged,
    CustomerRestored,
    CustomerShared,
    CustomerUnmerged,
    Membership,
    MembershipSet,
)
from contracts.errors import Refused
from contracts.inventory import Attributes, Prices, ProductAdded, ProductDeleted, ProductEdited, ProductRestored
from contracts.orders import (
    ApproveOrder,
    CancelOrder,
    ChangeOrder,
    CompanySnapshot,
    CompleteDelivery,
    CreateOrder,
    ExchangeRate,
    HoldOrder,
    LineRequest,
    OrderApproved,
    OrderCancelled,
    OrderChanged,
    OrderCompleted,
    OrderCreated,
    OrderDelivered,
    OrderHeld,
    OrderLine,
    OrderRejected,
    OrderRetried,
    OrderShipped,
    OrderStatus,
    OrderSubmitted,
    OrderWithdrawn,
    PaymentRecorded,
    RecordPayment,
    RejectOrder,
    RetryOrder,
    SalesProcessSet,
    SetSalesProcess,
    ShipOrder,
    SubmitOrder,
    WithdrawOrder,
)
from contracts.people import NOBODY, Person
from contracts.sales import CustomerSnapshot, Shortage
from contracts.schemas import decode, encode, load
from contracts.sharing import Share
from contracts.types import MAX_LINES, Money
from services.orders.application import SERVICE
from services.orders.domain import MOVES, SALES_PROCESS, entered


def named(text: str) -> UUID:
    return uuid5(NAMESPACE_URL, f"test-orders:{text}")


def cny(amount: str) -> Money:
    return Money(amount=Decimal(amount), currency="CNY")


def usd(amount: str) -> Money:
    return Money(amount=Decimal(amount), currency="USD")


ORDER, OTHER = named("order"), named("other order")
ACME, MEMBER = named("acme"), named("member")
PHONE, CABLE, IMPORT = named("phone"), named("cable"), named("import")
COLLEAGUE = user("zhao", "SAL")
OTHER_SUPERVISOR = user("ito", "SUP")
MOVED_HOUSE = CustomerEdited(
    customer_id=ACME, data=CustomerData(name="Acme", mobile="13900139000", address="2 New Street")
)


def product(id: UUID, name: str, sale: Money, *, member: Money | None = None, purchase: str = "60.00") -> Any:
    return ProductAdded(
        product_id=id,
        attributes=Attributes(name=name, model=f"{name}-1", brand="Yunke", category="goods", accessories=("box",)),
        prices=Prices(purchase=cny(purchase), sale=sale, member=member),
        alert_quantity=0,
    )


@pytest.fixture
def kit() -> InMemoryService:
    kit = InMemoryService(SERVICE)
    owner = Person(user_id=SALES.user_id, name=SALES.name)
    kit.learn(
        CustomerCreated(
            customer_id=ACME,
            data=CustomerData(name="Acme", mobile="13800138000", address="1 Old Street"),
            owner=owner,
        ),
        CustomerCreated(customer_id=MEMBER, data=CustomerData(name="Ms Wu"), owner=owner),
        MembershipSet(customer_id=MEMBER, membership=Membership(member=True, level="gold")),
        product(PHONE, "phone", cny("100.00"), member=cny("90.00")),
        product(CABLE, "cable", cny("3.33"), purchase="1.00"),
        product(IMPORT, "import", usd("10.00")),
    )
    return kit


def line(id: UUID = PHONE, quantity: int = 1, price: str | None = None) -> LineRequest:
    return LineRequest(product_id=id, quantity=quantity, unit_price=None if price is None else Decimal(price))


def create(kit: InMemoryService, *lines: LineRequest, by: Principal = SALES, **more: Any) -> dict[str, Any]:
    fields = {"order_id": ORDER, "customer_id": ACME, "lines": lines or (line(),), **more}
    return kit.do(CreateOrder(**fields), by).body


def created(kit: InMemoryService) -> OrderCreated:
    found = next(fact for fact in kit.stream(ORDER) if isinstance(fact, OrderCreated))
    return found


def submitted(kit: InMemoryService) -> OrderSubmitted:
    found = [fact for fact in kit.stream(ORDER) if isinstance(fact, OrderSubmitted)][-1]
    return found


def status(kit: InMemoryService) -> str:
    """The status that the answers to commands tell; asked with a saga command that comes too late."""
    return str(kit.do(ApproveOrder(order_id=ORDER, round=99), SYSTEM).body["status"])


# -- ORD-01, ORD-02: writing an order -------------------------------------------------------------------------------


def test_ord_01_create(kit: InMemoryService) -> None:
    answer = create(kit, line(PHONE, 2), line(CABLE, 3), channel="shop", note="soon")
    assert answer == {
        "id": str(ORDER),
        "version": 1,
        "status": "DRAFT",
        "number": "SO-000001",
        "total": {"amount": "209.99", "currency": "CNY"},
    }
    assert kit.new_facts() == [
        OrderCreated(
            order_id=ORDER,
            number="SO-000001",
            customer=CustomerSnapshot(customer_id=ACME, name="Acme", phone="13800138000", address="1 Old Street"),
            lines=(
                OrderLine(
                    product_id=PHONE,
                    quantity=2,
                    unit_price=Decimal("100.00"),
                    amount=Decimal("200.00"),
                    name="phone",
                    model="phone-1",
                    brand="Yunke",
                    category="goods",
                    unit_cost=Decimal("60.00"),
                    accessories=("box",),
                    price_typed=False,
                ),
                OrderLine(
                    product_id=CABLE,
                    quantity=3,
                    unit_price=Decimal("3.33"),
                    amount=Decimal("9.99"),
                    name="cable",
                    model="cable-1",
                    brand="Yunke",
                    category="goods",
                    unit_cost=Decimal("1.00"),
                    accessories=("box",),
                    price_typed=False,
                ),
            ),
            total=cny("209.99"),
            order_date=date(2026, 3, 2),
            owner=Person(user_id=SALES.user_id, name="li"),
            owner_superior_id=SUPERVISOR.user_id,
            channel="shop",
            note="soon",
            currency_typed=False,
        )
    ]


def test_ord_02_two_lines_share_the_cents_exactly(kit: InMemoryService) -> None:
    """Three CDs for 10.00: no price a piece gives that, two lines do, and nothing is rounded."""
    answer = create(kit, line(PHONE, 2, "3.33"), line(PHONE, 1, "3.34"))
    assert answer["total"] == {"amount": "10.00", "currency": "CNY"}
    assert [one.amount for one in created(kit).lines] == [Decimal("6.66"), Decimal("3.34")]


def test_ord_02_member_price(kit: InMemoryService) -> None:
    create(kit, line(PHONE), line(CABLE), customer_id=MEMBER)
    assert created(kit).customer.member
    assert [one.unit_price for one in created(kit).lines] == [Decimal("90.00"), Decimal("3.33")], (
        "no member price: sale"
    )


def test_ord_02_ended_membership_pays_the_sale_price(kit: InMemoryService) -> None:
    kit.learn(MembershipSet(customer_id=MEMBER, membership=Membership(member=False)))
    create(kit, customer_id=MEMBER)
    assert created(kit).total == cny("100.00")


def test_cus_21_an_edit_keeps_the_membership(kit: InMemoryService) -> None:
    kit.learn(CustomerEdited(customer_id=MEMBER, data=CustomerData(name="Mrs Wu")))
    create(kit, customer_id=MEMBER)
    assert (created(kit).customer.name, created(kit).total) == ("Mrs Wu", cny("90.00"))


def test_membership_of_a_customer_never_heard_of_makes_no_customer(kit: InMemoryService) -> None:
    kit.learn(MembershipSet(customer_id=named("nobody"), membership=Membership(member=True)))
    kit.assert_refused(
        "NOT_FOUND", CreateOrder(customer_id=named("nobody"), lines=(line(),)), SALES, field="customer_id"
    )


@pytest.mark.parametrize("price", ["0", "150.00"])
def test_ord_02_entered_price_counts(kit: InMemoryService, price: str) -> None:
    create(kit, line(PHONE, 2, price), customer_id=MEMBER)
    assert created(kit).total == Money(amount=Decimal(price) * 2, currency="CNY")


def test_sec_18_whose_customer_one_no_longer_sees_gets_no_order_from_one(kit: InMemoryService) -> None:
    """Submitting, and other lines, would tell what has become of the customer; another one can be named."""
    create(kit)
    kit.learn(
        CustomerAssigned(customer_id=ACME, owner=Person(user_id=named("somebody else"), name="Zhao"), before=NOBODY)
    )
    for command in (
        SubmitOrder(order_id=ORDER),
        ChangeOrder(order_id=ORDER, lines=(line(PHONE, 3),)),
        ChangeOrder(order_id=ORDER, customer_id=ACME),
    ):
        refusal = kit.assert_refused("FORBIDDEN", command, SALES, field="customer_id")
        assert refusal.why.reason == "orders.customer_out_of_reach"
    kit.do(ChangeOrder(order_id=ORDER, note="asked for it"), SALES)
    kit.do(ChangeOrder(order_id=ORDER, customer_id=MEMBER), SALES)
    kit.do(SubmitOrder(order_id=ORDER), SALES)


def test_ord_01_unknown_customer(kit: InMemoryService) -> None:
    command = CreateOrder(customer_id=named("nobody"), lines=(line(),))
    refusal = kit.assert_refused("NOT_FOUND", command, SALES, field="customer_id")
    assert refusal.message.endswith("If it was created a moment ago, send the consistency token of that answer.")


def test_ord_01_unknown_product(kit: InMemoryService) -> None:
    command = CreateOrder(customer_id=ACME, lines=(line(), line(named("nothing"))))
    kit.assert_refused("NOT_FOUND", command, SALES, field="lines.1.product_id")


def test_inv_08_deleted_product(kit: InMemoryService) -> None:
    kit.learn(ProductDeleted(product_id=PHONE), ProductDeleted(product_id=named("nothing")))
    kit.assert_refused("NOT_FOUND", CreateOrder(customer_id=ACME, lines=(line(),)), SALES, field="lines.0.product_id")


@pytest.mark.parametrize("lines", [(), (line(),) * (MAX_LINES + 1)], ids=["none", "too many"])
def test_ord_01_number_of_lines(kit: InMemoryService, lines: tuple[LineRequest, ...]) -> None:
    kit.assert_refused("VALIDATION", CreateOrder(customer_id=ACME, lines=lines), SALES, field="lines")


def test_ord_01_as_many_lines_as_allowed(kit: InMemoryService) -> None:
    assert create(kit, *(line(CABLE),) * MAX_LINES)["total"]["amount"] == "1665.00"


@pytest.mark.parametrize(
    "more, field",
    [
        ({"quantity": 0}, "lines.0.quantity"),
        ({"quantity": -1}, "lines.0.quantity"),
        ({"quantity": 1.5}, "lines.0.quantity"),
        ({"quantity": 1, "unit_price": "-0.01"}, "lines.0.unit_price"),
        ({"quantity": 1, "unit_price": "1e309"}, "lines.0.unit_price"),
        ({"quantity": 1, "unit_price": "0.00001"}, "lines.0.unit_price"),
    ],
)
def test_ord_01_quantity_and_price_are_guarded_by_the_contract(more: dict[str, Any], field: str) -> None:
    with pytest.raises(Refused) as refusal:
        load(CreateOrder, {"customer_id": str(ACME), "lines": [{"product_id": str(PHONE), **more}]})
    assert (refusal.value.code, refusal.value.field) == ("VALIDATION", field)


def test_total_is_bounded(kit: InMemoryService) -> None:
    most = line(PHONE, 1_000_000, "1000000.00")
    kit.assert_refused("VALIDATION", CreateOrder(customer_id=ACME, lines=(most, line(CABLE))), SALES, field="lines")
    assert create(kit, most)["total"]["amount"] == "1000000000000.00"


def test_order_id_is_taken(kit: InMemoryService) -> None:
    create(kit)
    kit.assert_refused(
        "DUPLICATE", CreateOrder(order_id=ORDER, customer_id=ACME, lines=(line(),)), COLLEAGUE, field="order_id"
    )


def test_ord_13_order_date_is_the_day_in_the_company_zone(kit: InMemoryService) -> None:
    kit.now = datetime(2026, 3, 1, 16, 30, tzinfo=UTC)
    create(kit)
    assert created(kit).order_date == date(2026, 3, 2)
    kit.do(CreateOrder(order_id=OTHER, customer_id=ACME, lines=(line(),), order_date=date(1997, 1, 12)), SALES)
    assert kit.stream(OTHER)[0].order_date == date(1997, 1, 12)


def company(kit: InMemoryService, currency: str) -> None:
    """The company sets its currency."""
    data = CompanyData(full_name="Acme Ltd", currency=currency)
    kit.learn(CompanyDataSet(settings_id="company", data=data, revision=1))


# -- currencies -----------------------------------------------------------------------------------------------------


def test_currency_is_that_of_the_products(kit: InMemoryService) -> None:
    create(kit, line(IMPORT, 2))
    assert created(kit).total == usd("20.00")
    assert created(kit).lines[0].unit_cost == 0, "the purchase price is in another currency, without a rate"


@pytest.mark.parametrize("rate, cost", [("7.0", "8.57"), ("8", "7.50"), ("7.11", "8.44")])
def test_rpt_04_the_cost_is_converted_at_the_days_rate(kit: InMemoryService, rate: str, cost: str) -> None:
    """Of the day of the submission, to the smallest unit of the order's currency."""
    create(kit, line(IMPORT, 2))
    kit.do(SetSalesProcess(rates=(ExchangeRate(currency="USD", rate=Decimal(rate)),)), ADMIN)
    kit.do(SubmitOrder(order_id=ORDER), SALES)
    assert submitted(kit).sale.lines[0].unit_cost == Decimal(cost)


def test_rpt_04_the_cost_in_a_currency_without_decimals(kit: InMemoryService) -> None:
    rates = (ExchangeRate(currency="JPY", rate=Decimal("0.048")),)
    kit.do(SetSalesProcess(rates=rates), ADMIN)
    kit.do(CreateOrder(order_id=ORDER, customer_id=ACME, lines=(line(PHONE, 1, "20000"),), currency="JPY"), SALES)
    assert created(kit).lines[0].unit_cost == 1250, "60 yuan at 0.048 a yen"


def test_currencies_that_differ(kit: InMemoryService) -> None:
    """The company's counts then (SET-04), and what is priced in another one needs its price entered."""
    lines = (line(PHONE), line(IMPORT))
    refusal = kit.assert_refused(
        "VALIDATION", CreateOrder(customer_id=ACME, lines=lines), SALES, field="lines.1.unit_price"
    )
    assert "priced in USD: enter its unit price in CNY" in refusal.message
    create(kit, line(PHONE), line(IMPORT, price="70.00"))
    assert created(kit).total == cny("170.00")
    company(kit, "USD")
    kit.do(CreateOrder(order_id=OTHER, customer_id=ACME, lines=(line(PHONE, price="15.00"), line(IMPORT))), SALES)
    assert kit.stream(OTHER)[0].total == usd("25.00")


def test_default_price_in_another_currency(kit: InMemoryService) -> None:
    command = CreateOrder(customer_id=ACME, lines=(line(PHONE, price="15.00"), line(CABLE)), currency="USD")
    refusal = kit.assert_refused("VALIDATION", command, SALES, field="lines.1.unit_price")
    assert "enter its unit price in USD" in refusal.message


# -- ORD-08: changing -----------------------------------------------------------------------------------------------


def test_ord_08_change_keeps_what_is_left_out(kit: InMemoryService) -> None:
    create(kit, line(PHONE, 2, "95.00"), channel="shop")
    before = created(kit)
    kit.new_facts()
    kit.do(ChangeOrder(order_id=ORDER, customer_id=MEMBER, note="call first"), SALES)
    assert kit.new_facts() == [
        OrderChanged(
            order_id=ORDER,
            customer=CustomerSnapshot(customer_id=MEMBER, name="Ms Wu", member=True),
            lines=before.lines,
            total=before.total,
            order_date=before.order_date,
            channel="shop",
            note="call first",
            by=Person(user_id=SALES.user_id, name="li"),
            currency_typed=False,
        )
    ]


def test_ord_08_new_lines_are_priced_anew_in_the_order_s_currency(kit: InMemoryService) -> None:
    create(kit)
    kit.do(ChangeOrder(order_id=ORDER, customer_id=MEMBER, lines=(line(PHONE, 3),)), SALES)
    assert kit.new_facts()[-1].total == cny("270.00")
    kit.do(ChangeOrder(order_id=ORDER, lines=(line(PHONE, price="90"),), currency="CNY"), SALES)
    kit.assert_refused(
        "VALIDATION", ChangeOrder(order_id=ORDER, lines=(line(IMPORT),)), SALES, field="lines.0.unit_price"
    )
    kit.assert_refused("VALIDATION", ChangeOrder(order_id=ORDER, lines=()), SALES, field="lines")
    kit.assert_refused("NOT_FOUND", ChangeOrder(order_id=ORDER, customer_id=OTHER), SALES, field="customer_id")


@pytest.mark.parametrize(
    "more",
    [{}, {"note": ""}, {"customer_id": ACME}, {"lines": (line(),)}, {"order_date": date(2026, 3, 2), "channel": ""}],
    ids=["nothing", "note", "customer", "lines", "date and channel"],
)
def test_a_change_that_changes_nothing_records_nothing(kit: InMemoryService, more: dict[str, Any]) -> None:
    create(kit)
    kit.new_facts()
    assert kit.do(ChangeOrder(order_id=ORDER, **more), SALES).body["version"] == 1
    assert kit.new_facts() == []


def test_ord_08_a_rejected_order_becomes_a_draft_again(kit: InMemoryService) -> None:
    reach(kit, "REJECTED")
    assert kit.do(ChangeOrder(order_id=ORDER), SALES).body["status"] == "DRAFT", "that itself is a change"
    assert kit.do(SubmitOrder(order_id=ORDER), SALES).body["status"] == "PENDING_APPROVAL"
    assert submitted(kit).round == 2


def test_ord_08_resubmission_recalculates_amount_and_route(kit: InMemoryService) -> None:
    reach(kit, "REJECTED")
    kit.do(ChangeOrder(order_id=ORDER, lines=(line(PHONE, 1),)), SALES)
    assert kit.do(SubmitOrder(order_id=ORDER), SALES).body["status"] == "SUBMITTED"
    assert (submitted(kit).round, submitted(kit).route, submitted(kit).sale.total) == (2, (), cny("100.00"))


def test_ord_08_withdraw_only_by_the_submitter(kit: InMemoryService) -> None:
    create(kit, line(PHONE, 60))
    kit.do(SubmitOrder(order_id=ORDER), SUPERVISOR)
    for by in (SALES, ADMIN, COLLEAGUE):
        kit.assert_refused("FORBIDDEN", WithdrawOrder(order_id=ORDER), by)
    kit.new_facts()
    assert kit.do(WithdrawOrder(order_id=ORDER), SUPERVISOR).body["status"] == "DRAFT"
    (fact,) = kit.new_facts()
    assert isinstance(fact, OrderWithdrawn)
    assert (fact.round, fact.sale.total, fact.by.name) == (1, cny("6000.00"), "sato")


# -- who may --------------------------------------------------------------------------------------------------------

WRITERS: list[tuple[Callable[[], Any], str]] = [
    (lambda: ChangeOrder(order_id=ORDER, note="mine"), "DRAFT"),
    (lambda: SubmitOrder(order_id=ORDER), "DRAFT"),
    (lambda: CancelOrder(order_id=ORDER, reason="no longer wanted"), "SUBMITTED"),
    (lambda: RetryOrder(order_id=ORDER), "ON_HOLD"),
]


@pytest.mark.parametrize("command, at", WRITERS, ids=["change", "submit", "cancel", "retry"])
@pytest.mark.parametrize("by", [SALES, SUPERVISOR, ADMIN], ids=["owner", "supervisor", "administrator"])
def test_ord_08_ord_15_who_may(
    kit: InMemoryService, command: Callable[[], Any], at: OrderStatus, by: Principal
) -> None:
    reach(kit, at)
    kit.new_facts()
    kit.do(command(), by)
    [fact, *_] = kit.new_facts()
    assert getattr(fact, "submitter", getattr(fact, "by", None)) == Person(user_id=by.user_id, name=by.name)


@pytest.mark.parametrize("command, at", [*WRITERS, (lambda: WithdrawOrder(order_id=ORDER), "DRAFT")])
@pytest.mark.parametrize(
    "by",
    [COLLEAGUE, OTHER_SUPERVISOR, replace(SUPERVISOR, roles=frozenset({"SAL"})), SYSTEM],
    ids=["colleague", "another's supervisor", "superior without the role", "nobody"],
)
def test_ord_08_ord_15_who_may_not(
    kit: InMemoryService, command: Callable[[], Any], at: OrderStatus, by: Principal
) -> None:
    reach(kit, at)
    kit.assert_refused("FORBIDDEN", command(), by, field="order_id")


def test_ord_15_the_submitter_may_cancel_an_order_of_another_owner(kit: InMemoryService) -> None:
    """The owner's supervisor submits and moves on; the order is theirs to call off all the same."""
    create(kit)
    kit.do(SubmitOrder(order_id=ORDER), SUPERVISOR)
    called_off = kit.do(CancelOrder(order_id=ORDER, reason="mistake"), replace(SUPERVISOR, roles=frozenset({"SAL"})))
    assert called_off.body["status"] == "CANCELLED"


def test_rights_are_checked_before_anything_else(kit: InMemoryService) -> None:
    reach(kit, "SHIPPED")
    kit.learn(ProductDeleted(product_id=PHONE))
    kit.assert_refused("FORBIDDEN", SubmitOrder(order_id=ORDER), COLLEAGUE)
    kit.assert_refused("INVALID_STATE", SubmitOrder(order_id=ORDER), SALES)


# -- ORD-03, ORD-05..07, ORD-11, ORD-16: submitting -----------------------------------------------------------------


@pytest.mark.parametrize(
    "price, expected",
    [
        ("4999.00", "SUBMITTED"),
        ("4999.99", "SUBMITTED"),
        ("5000.00", "PENDING_APPROVAL"),
        ("5001.00", "PENDING_APPROVAL"),
    ],
)
def test_acc_37_acc_38_ord_03_threshold(kit: InMemoryService, price: str, expected: str) -> None:
    """ORD-05, ORD-06, ORD-07: only less than the threshold is exempt."""
    create(kit, line(PHONE, 1, price))
    assert kit.do(SubmitOrder(order_id=ORDER), SALES).body["status"] == expected
    fact = submitted(kit)
    assert fact.route == (() if expected == "SUBMITTED" else ("SUPERVISOR", "FINANCE"))
    assert (fact.status, fact.threshold, fact.shipping) == (expected, cny("5000.00"), "AUTOMATIC")
    assert (fact.submitter.name, fact.superior_id, fact.round) == ("li", SUPERVISOR.user_id, 1)


def test_ord_07_the_setting_in_force_at_submission_decides(kit: InMemoryService) -> None:
    reach(kit, "PENDING_APPROVAL")
    kit.do(SetSalesProcess(threshold=Decimal("100000"), shipping="WAREHOUSE"))
    assert status(kit) == "PENDING_APPROVAL"
    kit.do(WithdrawOrder(order_id=ORDER), SALES)
    kit.do(SubmitOrder(order_id=ORDER), SALES)
    assert (submitted(kit).status, submitted(kit).shipping) == ("SUBMITTED", "WAREHOUSE")
    assert submitted(kit).threshold.amount == 100000


def test_apr_01_an_empty_route_exempts_every_order(kit: InMemoryService) -> None:
    kit.do(SetSalesProcess(route=()))
    create(kit, line(PHONE, 1000))
    assert kit.do(SubmitOrder(order_id=ORDER), SALES).body["status"] == "SUBMITTED"


def test_apr_01_configured_route(kit: InMemoryService) -> None:
    kit.do(SetSalesProcess(route=("FINANCE",)))
    create(kit, line(PHONE, 1000))
    kit.do(SubmitOrder(order_id=ORDER), SALES)
    assert submitted(kit).route == ("FINANCE",)


@pytest.mark.parametrize(
    "price, expected", [("714.28", "SUBMITTED"), ("714.29", "PENDING_APPROVAL"), ("1000.00", "PENDING_APPROVAL")]
)
def test_ord_07_conversion_at_the_day_s_rate(kit: InMemoryService, price: str, expected: str) -> None:
    """714.28 USD are 4999.96 CNY at 7; 714.29 USD are 5000.03."""
    kit.do(SetSalesProcess(rates=(ExchangeRate(currency="USD", rate=Decimal("7.00000000")),)))
    create(kit, line(IMPORT, 1, price))
    assert kit.do(SubmitOrder(order_id=ORDER), SALES).body["status"] == expected
    assert submitted(kit).sale.total == usd(price)


def test_ord_07_conversion_is_not_rounded(kit: InMemoryService) -> None:
    kit.do(SetSalesProcess(rates=(ExchangeRate(currency="USD", rate=Decimal("0.99999999")),)))
    create(kit, line(IMPORT, 1, "5000.00"))
    assert kit.do(SubmitOrder(order_id=ORDER), SALES).body["status"] == "SUBMITTED", "4999.99995 is below 5000"


def test_ord_07_no_rate(kit: InMemoryService) -> None:
    create(kit, line(IMPORT))
    refusal = kit.assert_refused("VALIDATION", SubmitOrder(order_id=ORDER), SALES, field="currency")
    assert "an administrator sets it in the sales-process settings" in refusal.message


def test_ord_11_submission_takes_the_data_of_the_day_and_keeps_it(kit: InMemoryService) -> None:
    create(kit, line(PHONE, 2))
    attributes = Attributes(name="phone mk2", model="P-2", brand="Haier", category="toys", accessories=("bag",))
    prices = Prices(purchase=cny("70.00"), sale=cny("500.00"))
    kit.learn(
        MOVED_HOUSE,
        ProductEdited(product_id=PHONE, attributes=attributes, prices=prices, alert_quantity=0),
    )
    kit.do(SubmitOrder(order_id=ORDER), SALES)
    fact = submitted(kit)
    assert (fact.customer.phone, fact.customer.address) == ("13900139000", "2 New Street")
    assert fact.sale.lines == (
        OrderLine(
            product_id=PHONE,
            quantity=2,
            unit_price=Decimal("500.00"),
            amount=Decimal("1000.00"),
            name="phone mk2",
            model="P-2",
            brand="Haier",
            category="toys",
            unit_cost=Decimal("70.00"),
            accessories=("bag",),
            price_typed=False,
        ),
    )
    assert (fact.sale.total, fact.sale.submitted_on) == (cny("1000.00"), date(2026, 3, 2))
    kit.learn(CustomerEdited(customer_id=ACME, data=CustomerData(name="Renamed")), ProductDeleted(product_id=PHONE))
    kit.do(ShipOrder(order_id=ORDER, round=1), SYSTEM)
    assert kit.stream(ORDER)[-1].sale == fact.sale


def test_ord_11_deleted_product_at_submission(kit: InMemoryService) -> None:
    create(kit, line(CABLE), line(PHONE))
    kit.learn(ProductDeleted(product_id=PHONE))
    kit.assert_refused("NOT_FOUND", SubmitOrder(order_id=ORDER), SALES, field="lines.1.product_id")


def test_ord_11_a_product_that_is_restored_can_be_ordered_again(kit: InMemoryService) -> None:
    create(kit, line(PHONE))
    kit.learn(ProductDeleted(product_id=PHONE), ProductRestored(product_id=PHONE))
    kit.do(SubmitOrder(order_id=ORDER), SALES)
    assert submitted(kit).sale.lines[0].name == "phone"


def test_ord_16_submit_once(kit: InMemoryService) -> None:
    create(kit)
    kit.do(SubmitOrder(order_id=ORDER), SALES)
    assert kit.assert_refused("INVALID_STATE", SubmitOrder(order_id=ORDER), SALES).state == "SUBMITTED"


def test_ord_16_same_key_gives_the_first_answer(kit: InMemoryService) -> None:
    create(kit)
    first = kit.do(SubmitOrder(order_id=ORDER), SALES, key="press")
    kit.new_facts()
    assert kit.do(SubmitOrder(order_id=ORDER), SALES, key="press").body == first.body
    assert kit.new_facts() == []
    kit.assert_refused("KEY_REUSED", SubmitOrder(order_id=OTHER), SALES, field="Idempotency-Key", key="press")


def test_idempotent_creation(kit: InMemoryService) -> None:
    command = CreateOrder(order_id=ORDER, customer_id=ACME, lines=(line(),))
    first = kit.do(command, SALES, key="k1")
    assert kit.do(command, SALES, key="k1").body == first.body
    assert len(kit.facts()) == 1
    kit.assert_refused("KEY_REUSED", replace(command, note="other"), SALES, field="Idempotency-Key", key="k1")


def test_stale_version(kit: InMemoryService) -> None:
    create(kit)
    kit.do(ChangeOrder(order_id=ORDER, note="one"), SALES, version=1)
    kit.assert_refused("VERSION_CONFLICT", ChangeOrder(order_id=ORDER, note="two"), SALES, version=1)
    kit.assert_refused("VERSION_CONFLICT", SubmitOrder(order_id=ORDER), SALES, version=1)
    kit.do(SubmitOrder(order_id=ORDER), SALES, version=2)


# -- ORD-04: the status model ---------------------------------------------------------------------------------------

STATUSES: tuple[OrderStatus, ...] = get_args(OrderStatus)

SAGA = (ApproveOrder, RejectOrder, HoldOrder, ShipOrder, CompleteDelivery)


def reach(kit: InMemoryService, wanted: str, *, large: bool | None = None) -> None:
    """Write ORDER and bring it to a status by the shortest way."""
    if large is None:
        large = wanted in {"PENDING_APPROVAL", "APPROVED", "REJECTED"}
    create(kit, line(PHONE, 60 if large else 2))
    if wanted == "DRAFT":
        return
    if wanted == "CANCELLED":
        kit.do(CancelOrder(order_id=ORDER, reason="no longer wanted"), SALES)
        return
    kit.do(SubmitOrder(order_id=ORDER), SALES)
    if wanted == "REJECTED":
        kit.do(reject(), SYSTEM)
    elif large and wanted != "PENDING_APPROVAL":
        kit.do(ApproveOrder(order_id=ORDER, round=1), SYSTEM)
    if wanted == "ON_HOLD":
        kit.do(hold(), SYSTEM)
    if wanted in {"SHIPPED", "COMPLETED"}:
        kit.do(ShipOrder(order_id=ORDER, round=1), SYSTEM)
    if wanted == "COMPLETED":
        kit.do(RecordPayment(order_id=ORDER, amount=Decimal("6000.00" if large else "200.00")), FINANCE)
        kit.do(CompleteDelivery(order_id=ORDER, delivered_on=date(2026, 3, 2)), SYSTEM)


def reject(round: int = 1) -> RejectOrder:
    by = Person(user_id=SUPERVISOR.user_id, name=SUPERVISOR.name)
    return RejectOrder(order_id=ORDER, round=round, reason="too dear", rejected_by=by)


def hold(round: int = 1, attempt: int = 1) -> HoldOrder:
    missing = (Shortage(product_id=PHONE, wanted=2, on_hand=1),)
    return HoldOrder(order_id=ORDER, round=round, attempt=attempt, missing=missing)


def command_of(cls: type) -> tuple[Any, Principal]:
    """A command that only the order's status can stand against, and who gives it."""
    known: dict[type, tuple[Any, Principal]] = {
        ChangeOrder: (ChangeOrder(order_id=ORDER, note="changed"), SALES),
        SubmitOrder: (SubmitOrder(order_id=ORDER), SALES),
        WithdrawOrder: (WithdrawOrder(order_id=ORDER), SALES),
        CancelOrder: (CancelOrder(order_id=ORDER, reason="no longer wanted"), SALES),
        RetryOrder: (RetryOrder(order_id=ORDER), SALES),
        RecordPayment: (RecordPayment(order_id=ORDER, amount=Decimal("0.01")), FINANCE),
        ApproveOrder: (ApproveOrder(order_id=ORDER, round=1), SYSTEM),
        RejectOrder: (reject(), SYSTEM),
        HoldOrder: (hold(), SYSTEM),
        ShipOrder: (ShipOrder(order_id=ORDER, round=1), SYSTEM),
        CompleteDelivery: (CompleteDelivery(order_id=ORDER, delivered_on=date(2026, 3, 2)), SYSTEM),
    }
    return known[cls]


@pytest.mark.parametrize("cls", MOVES, ids=lambda cls: str(cls.__name__))
@pytest.mark.parametrize("at", STATUSES)
def test_ord_04_every_command_in_every_status(kit: InMemoryService, cls: type, at: OrderStatus) -> None:
    reach(kit, at)
    command, by = command_of(cls)
    allowed = MOVES[cls].get(at)
    if (cls, at) == (RecordPayment, "COMPLETED"):
        kit.assert_refused("VALIDATION", command, by, field="amount")
    elif allowed:
        kit.new_facts()
        assert kit.do(command, by).body["status"] in allowed
        assert kit.new_facts()
    elif cls in SAGA:
        kit.new_facts()
        assert kit.do(command, by).body["status"] == at
        assert kit.new_facts() == []
    else:
        refusal = kit.assert_refused("INVALID_STATE", command, by)
        assert refusal.state == at
        assert at in refusal.message


def test_ord_04_the_moves_are_those_of_the_specification() -> None:
    specified = {
        "DRAFT": {"SUBMITTED", "PENDING_APPROVAL", "CANCELLED"},
        "PENDING_APPROVAL": {"APPROVED", "REJECTED", "DRAFT", "CANCELLED"},
        "SUBMITTED": {"SHIPPED", "ON_HOLD", "CANCELLED"},
        "APPROVED": {"SHIPPED", "ON_HOLD", "CANCELLED"},
        "ON_HOLD": {"SHIPPED", "CANCELLED"} | {"SUBMITTED", "APPROVED"},  # the latter: waiting again after a retry
        "REJECTED": {"DRAFT", "CANCELLED"},
        "SHIPPED": {"COMPLETED"},
        "COMPLETED": set(),
        "CANCELLED": set(),
    }
    declared: dict[str, set[str]] = {at: set() for at in STATUSES}
    for moves in MOVES.values():
        for at, after in moves.items():
            declared[at] |= set(after) - {at}
    assert declared == specified


def test_ord_08_the_way_out_is_told(kit: InMemoryService) -> None:
    reach(kit, "PENDING_APPROVAL")
    assert "withdraw it first" in kit.assert_refused("INVALID_STATE", ChangeOrder(order_id=ORDER), SALES).message


@pytest.mark.parametrize("at", STATUSES)
def test_an_order_read_again_from_the_store_is_the_same(kit: InMemoryService, at: OrderStatus) -> None:
    reach(kit, at)
    before = kit.do(ApproveOrder(order_id=ORDER, round=99), SYSTEM).body
    kit.writer = Writer(SERVICE, kit.store)
    assert kit.do(ApproveOrder(order_id=ORDER, round=99), SYSTEM).body == before
    assert before["status"] == at


@pytest.mark.parametrize("cls", MOVES, ids=lambda cls: str(cls.__name__))
def test_unknown_order(kit: InMemoryService, cls: type) -> None:
    kit.assert_refused("NOT_FOUND", command_of(cls)[0], ADMIN, field="order_id")


# -- what the saga commands -----------------------------------------------------------------------------------------


def test_apr_08_approved(kit: InMemoryService) -> None:
    reach(kit, "PENDING_APPROVAL")
    kit.new_facts()
    kit.do(ApproveOrder(order_id=ORDER, round=1), SYSTEM)
    assert kit.new_facts() == [OrderApproved(order_id=ORDER, round=1)]


def test_apr_09_rejected(kit: InMemoryService) -> None:
    reach(kit, "PENDING_APPROVAL")
    kit.do(reject(), SYSTEM)
    fact = kit.stream(ORDER)[-1]
    assert isinstance(fact, OrderRejected)
    assert (fact.reason, fact.by.name, fact.sale.total) == ("too dear", "sato", cny("6000.00"))


@pytest.mark.parametrize("cls", [ApproveOrder, RejectOrder], ids=["approve", "reject"])
def test_a_decision_on_an_earlier_round_comes_too_late(kit: InMemoryService, cls: type) -> None:
    reach(kit, "PENDING_APPROVAL")
    kit.do(WithdrawOrder(order_id=ORDER), SALES)
    kit.do(SubmitOrder(order_id=ORDER), SALES)
    kit.new_facts()
    assert kit.do(command_of(cls)[0], SYSTEM).body["status"] == "PENDING_APPROVAL"
    assert kit.new_facts() == []


@pytest.mark.parametrize("large", [False, True], ids=["exempt", "approved"])
def test_ord_14_hold_and_retry(kit: InMemoryService, large: bool) -> None:
    reach(kit, "ON_HOLD", large=large)
    before = "APPROVED" if large else "SUBMITTED"
    held = kit.stream(ORDER)[-1]
    assert held == OrderHeld(
        order_id=ORDER,
        round=1,
        attempt=1,
        reason="INSUFFICIENT_STOCK",
        missing=(Shortage(product_id=PHONE, wanted=2, on_hand=1),),
        number="SO-000001",
        owner=Person(user_id=SALES.user_id, name="li"),
    )
    assert kit.do(RetryOrder(order_id=ORDER), SALES).body["status"] == before
    by = Person(user_id=SALES.user_id, name="li")
    assert kit.stream(ORDER)[-1] == OrderRetried(order_id=ORDER, round=1, attempt=2, status=before, by=by)  # type: ignore[arg-type]
    kit.new_facts()
    assert kit.do(hold(attempt=1), SYSTEM).body["status"] == before, "news of the first attempt, doubled"
    assert kit.do(hold(round=2, attempt=2), SYSTEM).body["status"] == before
    assert kit.new_facts() == []
    assert kit.do(hold(attempt=2), SYSTEM).body["status"] == "ON_HOLD"
    assert kit.do(RetryOrder(order_id=ORDER), SALES).body["status"] == before
    assert kit.stream(ORDER)[-1].attempt == 3


@pytest.mark.parametrize("at", ["SUBMITTED", "APPROVED", "ON_HOLD"])
def test_ful_06_shipped(kit: InMemoryService, at: OrderStatus) -> None:
    reach(kit, at)
    kit.new_facts()
    assert kit.do(ShipOrder(order_id=ORDER, round=2), SYSTEM).body["status"] == at, "not this round"
    assert kit.new_facts() == []
    command = ShipOrder(order_id=ORDER, round=1, carrier="SF", tracking_number="SF1")
    assert kit.do(command, SYSTEM).body["status"] == "SHIPPED"
    fact = kit.stream(ORDER)[-1]
    assert isinstance(fact, OrderShipped)
    assert (fact.carrier, fact.tracking_number, fact.sale) == ("SF", "SF1", submitted(kit).sale)
    kit.new_facts()
    kit.do(command, SYSTEM)
    assert kit.new_facts() == []


@pytest.mark.parametrize("at", ["DRAFT", "SUBMITTED", "PENDING_APPROVAL", "APPROVED", "REJECTED", "ON_HOLD"])
def test_ord_15_cancel(kit: InMemoryService, at: OrderStatus) -> None:
    reach(kit, at)
    assert kit.do(CancelOrder(order_id=ORDER, reason="no longer wanted"), SALES).body["status"] == "CANCELLED"
    fact = kit.stream(ORDER)[-1]
    assert isinstance(fact, OrderCancelled)
    assert (fact.was, fact.round, fact.reason) == (at, 0 if at == "DRAFT" else 1, "no longer wanted")
    assert fact.sale.total.amount > 0
    kit.new_facts()
    kit.do(ShipOrder(order_id=ORDER, round=1), SYSTEM)
    assert kit.new_facts() == [], "the order decides: a late shipment changes nothing"


@pytest.mark.parametrize("at", [status for status in MOVES[CancelOrder] if status in MOVES[RecordPayment]])
@pytest.mark.parametrize("paid", ["0.00", "0.01", "100.00", "all"])
def test_ord_15_what_was_paid_is_owed_back(kit: InMemoryService, at: OrderStatus, paid: str) -> None:
    reach(kit, at)
    total = submitted(kit).sale.total
    amount = total.amount if paid == "all" else Decimal(paid)
    for part in [amount / 2] * 2 if amount > 1 else [amount] if amount else []:
        kit.do(pay(str(part)), FINANCE)
    kit.do(CancelOrder(order_id=ORDER, reason="no longer wanted"), SALES)
    fact = kit.stream(ORDER)[-1]
    assert isinstance(fact, OrderCancelled)
    assert fact.refund == Money(amount=amount, currency=total.currency)


@pytest.mark.parametrize("reason", [None, "", "  "])
def test_ord_15_reason_is_required(reason: str | None) -> None:
    with pytest.raises(Refused) as refusal:
        load(CancelOrder, {"order_id": str(ORDER), **({} if reason is None else {"reason": reason})})
    assert (refusal.value.code, refusal.value.field) == ("VALIDATION", "reason")


# -- ORD-10, FUL-07, ACC-42: payments and delivery -------------------------------------------------------------------


def pay(amount: str, **more: Any) -> RecordPayment:
    return RecordPayment(order_id=ORDER, amount=Decimal(amount), **more)


def deliver() -> CompleteDelivery:
    return CompleteDelivery(order_id=ORDER, delivered_on=date(2026, 3, 2))


def test_acc_42_ord_10_shipped_paid_in_parts_delivered(kit: InMemoryService) -> None:
    reach(kit, "SHIPPED")
    kit.new_facts()
    kit.do(pay("50.00", method="cash", note="deposit"), FINANCE)
    kit.pass_time(days=1)
    kit.do(pay("150.00", paid_on=date(2026, 3, 2)), FINANCE)
    assert kit.do(deliver(), SYSTEM).body["status"] == "COMPLETED"
    by = Person(user_id=FINANCE.user_id, name="chen")
    assert kit.new_facts() == [
        PaymentRecorded(
            order_id=ORDER,
            amount=cny("50.00"),
            paid=cny("50.00"),
            paid_state="PARTLY_PAID",
            method="cash",
            paid_on=date(2026, 3, 2),
            note="deposit",
            by=by,
        ),
        PaymentRecorded(
            order_id=ORDER,
            amount=cny("150.00"),
            paid=cny("200.00"),
            paid_state="PAID",
            paid_on=date(2026, 3, 2),
            by=by,
        ),
        OrderDelivered(order_id=ORDER, delivered_on=date(2026, 3, 2)),
        OrderCompleted(order_id=ORDER),
    ]


def test_ful_07_the_last_payment_completes_a_delivered_order(kit: InMemoryService) -> None:
    reach(kit, "SHIPPED")
    assert kit.do(deliver(), SYSTEM).body["status"] == "SHIPPED"
    kit.new_facts()
    kit.do(deliver(), SYSTEM)
    assert kit.new_facts() == [], "it arrives once"
    assert kit.do(pay("199.99"), FINANCE).body["status"] == "SHIPPED"
    assert kit.do(pay("0.01"), FINANCE).body["status"] == "COMPLETED"
    assert isinstance(kit.stream(ORDER)[-1], OrderCompleted)


def test_fully_paid_before_it_ships(kit: InMemoryService) -> None:
    reach(kit, "SUBMITTED")
    assert kit.do(pay("200.00"), FINANCE).body["status"] == "SUBMITTED"
    assert kit.do(ShipOrder(order_id=ORDER, round=1), SYSTEM).body["status"] == "SHIPPED"
    assert kit.do(deliver(), SYSTEM).body["status"] == "COMPLETED"


def test_an_order_that_costs_nothing_is_paid(kit: InMemoryService) -> None:
    create(kit, line(PHONE, 1, "0"))
    kit.do(SubmitOrder(order_id=ORDER), SALES)
    kit.do(ShipOrder(order_id=ORDER, round=1), SYSTEM)
    kit.assert_refused("VALIDATION", pay("0.01"), FINANCE, field="amount")
    assert kit.do(deliver(), SYSTEM).body["status"] == "COMPLETED"


def test_ord_10_no_more_than_the_total(kit: InMemoryService) -> None:
    reach(kit, "SHIPPED")
    kit.assert_refused("VALIDATION", pay("200.01"), FINANCE, field="amount")
    kit.do(pay("150.00"), FINANCE)
    assert "50.00 CNY is open" in kit.assert_refused("VALIDATION", pay("50.01"), FINANCE, field="amount").message


def test_ord_10_no_empty_payment_and_none_of_tomorrow(kit: InMemoryService) -> None:
    reach(kit, "SHIPPED")
    kit.assert_refused("VALIDATION", pay("0"), FINANCE, field="amount")
    kit.assert_refused("VALIDATION", pay("1.00", paid_on=date(2026, 3, 3)), FINANCE, field="paid_on")


def test_ord_10_a_payment_sent_twice_counts_once(kit: InMemoryService) -> None:
    reach(kit, "SHIPPED")
    first = kit.do(pay("60.00"), FINANCE, key="receipt 7")
    assert kit.do(pay("60.00"), FINANCE, key="receipt 7").body == first.body
    kit.assert_refused("KEY_REUSED", pay("61.00"), FINANCE, field="Idempotency-Key", key="receipt 7")
    kit.do(pay("140.00"), FINANCE)
    assert kit.stream(ORDER)[-1].paid == cny("200.00")


# -- APR-15: the sales-process settings -----------------------------------------------------------------------------

SETTINGS = SALES_PROCESS.id
EUR = ExchangeRate(currency="EUR", rate=Decimal("7.80000000"))


def test_apr_15_fields_left_out_keep_their_value(kit: InMemoryService) -> None:
    kit.do(SetSalesProcess(rates=(EUR,)))
    answer = kit.do(SetSalesProcess(threshold=Decimal("8000.00"), shipping="WAREHOUSE"))
    assert answer.body == {
        "id": "sales-process",
        "version": 2,
        "threshold": {"amount": "8000.00", "currency": "CNY"},
        "route": ["SUPERVISOR", "FINANCE"],
        "shipping": "WAREHOUSE",
        "rates": [{"currency": "EUR", "rate": "7.80000000"}],
    }
    assert kit.stream(SETTINGS)[-1] == SalesProcessSet(
        settings_id="sales-process",
        threshold=cny("8000.00"),
        route=("SUPERVISOR", "FINANCE"),
        shipping="WAREHOUSE",
        rates=(EUR,),
        by=Person(user_id=ADMIN.user_id, name="admin"),
    )


def test_apr_15_same_values_record_nothing(kit: InMemoryService) -> None:
    kit.do(SetSalesProcess())
    kit.do(SetSalesProcess(threshold=Decimal("5000.00"), currency="CNY", route=("SUPERVISOR", "FINANCE"), rates=()))
    assert kit.facts() == []


def test_apr_15_currency_changes_with_its_figures(kit: InMemoryService) -> None:
    kit.do(SetSalesProcess(rates=(EUR,)))
    kit.assert_refused("VALIDATION", SetSalesProcess(currency="USD", threshold=Decimal(700)), field="currency")
    company(kit, "USD")
    kit.assert_refused("VALIDATION", SetSalesProcess(currency="USD"), field="threshold")
    kit.assert_refused("VALIDATION", SetSalesProcess(currency="USD", threshold=Decimal(700)), field="rates")
    kit.do(SetSalesProcess(threshold=Decimal("700.00"), rates=()))
    create(kit, line(IMPORT, 70))
    assert kit.do(SubmitOrder(order_id=ORDER), SALES).body["status"] == "PENDING_APPROVAL"
    assert submitted(kit).threshold == usd("700.00")


@pytest.mark.parametrize(
    "more, field",
    [
        ({"rates": (EUR, ExchangeRate(currency="CNY", rate=Decimal(1)))}, "rates.1.currency"),
        ({"rates": (EUR, EUR)}, "rates.1.currency"),
        ({"threshold": Decimal("600.001")}, "threshold"),
        ({"route": ("FINANCE", "FINANCE")}, "route"),
    ],
)
def test_apr_15_refused(kit: InMemoryService, more: dict[str, Any], field: str) -> None:
    kit.assert_refused("VALIDATION", SetSalesProcess(**more), field=field)


def test_apr_15_stale_version_and_key(kit: InMemoryService) -> None:
    kit.do(SetSalesProcess(threshold=Decimal(6000)), version=0, key="s1")
    kit.assert_refused("VERSION_CONFLICT", SetSalesProcess(threshold=Decimal(7000)), version=0)
    kit.do(SetSalesProcess(threshold=Decimal(6000)), key="s1")
    assert len(kit.facts()) == 1
    kit.assert_refused("KEY_REUSED", SetSalesProcess(threshold=Decimal(1)), key="s1", field="Idempotency-Key")


def test_ord_07_a_threshold_nobody_has_set_is_in_the_company_s_currency(kit: InMemoryService) -> None:
    company(kit, "USD")
    create(kit, line(IMPORT, 499))
    assert kit.do(SubmitOrder(order_id=ORDER), SALES).body["status"] == "SUBMITTED"
    assert submitted(kit).threshold == usd("5000.00")


def test_ord_07_a_threshold_that_was_set_keeps_its_currency(kit: InMemoryService) -> None:
    """The rule in force goes on when the company changes its currency; only a new threshold is in the new one."""
    kit.do(SetSalesProcess(threshold=Decimal("50.00")))
    company(kit, "USD")
    create(kit)
    assert kit.do(SubmitOrder(order_id=ORDER), SALES).body["status"] == "PENDING_APPROVAL"
    assert submitted(kit).threshold == cny("50.00")


# -- prices that nobody entered


def test_ord_02_another_customer_renews_the_prices_that_nobody_entered(kit: InMemoryService) -> None:
    create(kit, line(PHONE, 2), line(PHONE, 1, "70.00"), customer_id=MEMBER)
    assert created(kit).total == cny("250.00")
    kit.do(ChangeOrder(order_id=ORDER, customer_id=ACME), SALES)
    changed = kit.stream(ORDER)[-1]
    assert [(one.unit_price, one.price_typed) for one in changed.lines] == [(100, False), (70, True)]
    assert changed.total == cny("270.00")
    kit.do(ChangeOrder(order_id=ORDER, customer_id=MEMBER), SALES)
    assert kit.stream(ORDER)[-1].total == cny("250.00")


def test_ord_02_a_customer_who_became_a_member_meanwhile(kit: InMemoryService) -> None:
    create(kit)
    kit.learn(MembershipSet(customer_id=ACME, membership=Membership(member=True)))
    kit.do(ChangeOrder(order_id=ORDER, customer_id=ACME), SALES)
    assert kit.stream(ORDER)[-1].total == cny("90.00")


def test_ord_11_submission_takes_the_price_of_the_day_unless_somebody_entered_one(kit: InMemoryService) -> None:
    create(kit, line(PHONE), line(PHONE, 1, "100.00"))
    kit.learn(product(PHONE, "phone", cny("6000.00")))
    answer = kit.do(SubmitOrder(order_id=ORDER), SALES).body
    assert (answer["status"], answer["total"]["amount"]) == ("PENDING_APPROVAL", "6100.00"), "the new total decides"
    assert [one.amount for one in submitted(kit).sale.lines] == [6000, 100]
    kit.do(ApproveOrder(order_id=ORDER, round=1), SYSTEM)
    assert kit.do(pay("6100.00"), FINANCE).body["total"]["amount"] == "6100.00"


def test_a_rejected_order_is_priced_anew_when_it_is_submitted_again(kit: InMemoryService) -> None:
    reach(kit, "REJECTED")
    kit.learn(product(PHONE, "phone", cny("1.00")))
    kit.do(ChangeOrder(order_id=ORDER), SALES)
    assert kit.do(SubmitOrder(order_id=ORDER), SALES).body["status"] == "SUBMITTED"
    assert submitted(kit).sale.total == cny("60.00")


def test_lines_of_before_such_prices_were_told_apart_keep_theirs(kit: InMemoryService) -> None:
    old = OrderLine(
        product_id=PHONE,
        quantity=1,
        unit_price=Decimal("80.00"),
        amount=Decimal("80.00"),
        name="p",
        model="p",
        brand="p",
    )
    stored = msgspec.json.decode(encode(old))
    del stored["price_typed"]
    assert decode(OrderLine, msgspec.json.encode(stored)) == old
    assert entered([old])[0].unit_price == Decimal("80.00")


def test_the_currency_follows_the_products_until_somebody_fixes_it(kit: InMemoryService) -> None:
    create(kit)
    kit.do(ChangeOrder(order_id=ORDER, lines=(line(IMPORT, 2),)), SALES)
    assert kit.stream(ORDER)[-1].total == usd("20.00")
    kit.learn(product(IMPORT, "import", cny("70.00")))
    kit.do(SubmitOrder(order_id=ORDER), SALES)
    assert submitted(kit).sale.total == cny("140.00")


def test_another_currency_leaves_no_entered_price_as_it_was(kit: InMemoryService) -> None:
    create(kit, line(PHONE, 1, "70.00"))
    kit.assert_refused("VALIDATION", ChangeOrder(order_id=ORDER, currency="USD"), SALES, field="lines")
    kit.do(ChangeOrder(order_id=ORDER, currency="USD", lines=(line(PHONE, 1, "10.00"),)), SALES)
    assert kit.stream(ORDER)[-1].total == usd("10.00")
    kit.assert_refused("VALIDATION", ChangeOrder(order_id=ORDER, lines=(line(),)), SALES, field="lines.0.unit_price")


@pytest.mark.parametrize(
    ("currency", "price", "total"),
    [
        ("JPY", "99", "99"),
        ("JPY", "99.00", "99"),
        ("KWD", "1.234", "1.234"),
        ("CNY", "5", "5.00"),
        ("CLF", "1", "1.0000"),
    ],
)
def test_an_amount_has_the_decimals_of_its_currency(
    kit: InMemoryService, currency: str, price: str, total: str
) -> None:
    answer = create(kit, line(PHONE, 1, price), currency=currency)
    assert answer["total"] == {"amount": total, "currency": currency}


@pytest.mark.parametrize(("currency", "price"), [("JPY", "99.50"), ("CNY", "1.001"), ("KWD", "1.2345")])
def test_more_decimals_than_the_currency_has_are_refused(kit: InMemoryService, currency: str, price: str) -> None:
    command = CreateOrder(customer_id=ACME, lines=(line(PHONE, 1, price),), currency=currency)
    kit.assert_refused("VALIDATION", command, SALES, field="lines.0.unit_price")


def test_many_small_amounts_add_up_exactly(kit: InMemoryService) -> None:
    create(kit, *(line(PHONE, 1, "0.01"),) * MAX_LINES)
    assert created(kit).total == cny("5.00")
    kit.do(SubmitOrder(order_id=ORDER), SALES)
    for _ in range(3):
        kit.do(pay("1.65"), FINANCE)
    kit.assert_refused("VALIDATION", pay("0.051"), FINANCE, field="amount")
    kit.assert_refused("VALIDATION", pay("0.06"), FINANCE, field="amount")
    kit.do(pay("0.05"), FINANCE)
    kit.assert_refused("VALIDATION", pay("0.01"), FINANCE, field="amount")


# -- days: not before the thing could have happened, not in the far past or future

FAR = (date(1, 1, 1), date(1900, 1, 1), date(2100, 1, 1), date(9999, 12, 31))


@pytest.mark.parametrize("day", [*FAR, date(1976, 2, 29), date(2027, 3, 4)])
def test_order_date_has_a_plausible_range(kit: InMemoryService, day: date) -> None:
    command = CreateOrder(customer_id=ACME, lines=(line(),), order_date=day)
    kit.assert_refused("VALIDATION", command, SALES, field="order_date")
    create(kit)
    kit.assert_refused("VALIDATION", ChangeOrder(order_id=ORDER, order_date=day), SALES, field="order_date")


@pytest.mark.parametrize("day", [date(1976, 3, 1), date(1997, 1, 12), date(2027, 3, 3)])
def test_an_order_may_be_entered_late_or_be_planned(kit: InMemoryService, day: date) -> None:
    create(kit, order_date=day)
    assert created(kit).order_date == day


@pytest.mark.parametrize("day", [*FAR, date(2026, 2, 28), date(2026, 3, 5)])
def test_ord_10_no_payment_before_the_order_was_given_or_after_today(kit: InMemoryService, day: date) -> None:
    create(kit, order_date=date(2026, 3, 1))
    kit.do(SubmitOrder(order_id=ORDER), SALES)
    kit.pass_time(days=2)
    kit.assert_refused("VALIDATION", pay("1.00", paid_on=day), FINANCE, field="paid_on")
    for paid_on in (date(2026, 3, 1), date(2026, 3, 4), None):
        kit.do(pay("1.00", paid_on=paid_on), FINANCE)


def test_ord_10_a_planned_order_may_be_paid_from_its_submission_on(kit: InMemoryService) -> None:
    create(kit, order_date=date(2026, 6, 1))
    kit.do(SubmitOrder(order_id=ORDER), SALES)
    kit.assert_refused("VALIDATION", pay("1.00", paid_on=date(2026, 3, 1)), FINANCE, field="paid_on")
    kit.do(pay("1.00", paid_on=date(2026, 3, 2)), FINANCE)


# -- ORD-12: company data on the order


def test_ORD_12_an_order_shows_the_company_as_it_was_when_it_was_written(kit: InMemoryService) -> None:
    kit.learn(CompanyDataSet(settings_id="company", data=CompanyData(full_name="Acme Ltd", address="1 Road")))
    create(kit)
    [created] = [fact for fact in kit.facts() if isinstance(fact, OrderCreated)]
    assert created.company == CompanySnapshot(full_name="Acme Ltd", address="1 Road")
    kit.learn(CompanyDataSet(settings_id="company", data=CompanyData(full_name="Acme Holding")))
    kit.do(SubmitOrder(order_id=ORDER), SALES)
    [submitted] = [fact for fact in kit.facts() if isinstance(fact, OrderSubmitted)]
    assert submitted.company == CompanySnapshot(full_name="Acme Holding")


def test_SET_04_a_threshold_that_nobody_has_set_is_answered_in_the_companys_currency() -> None:
    kit = InMemoryService(SERVICE)
    kit.learn(CompanyDataSet(settings_id="company", data=CompanyData(currency="JPY"), revision=1))
    for command in (SetSalesProcess(), SetSalesProcess(currency="JPY"), SetSalesProcess(threshold=Decimal("5000.00"))):
        answer = kit.do(command)
        assert answer.body["threshold"] == {"amount": "5000", "currency": "JPY"}
    assert kit.facts() == []
    assert kit.do(SetSalesProcess(route=())).body["threshold"] == {"amount": "5000", "currency": "JPY"}


# -- the customer is deleted, or changes hands ----------------------------------------------------------------------


def test_cus_04_a_deleted_customer_gets_no_order_until_it_is_restored(kit: InMemoryService) -> None:
    create(kit)
    kit.learn(CustomerDeleted(customer_id=ACME))
    refused = [
        CreateOrder(order_id=OTHER, customer_id=ACME, lines=(line(),)),
        SubmitOrder(order_id=ORDER),
        ChangeOrder(order_id=ORDER, lines=(line(quantity=2),)),
    ]
    for command in refused:
        refusal = kit.assert_refused("NOT_FOUND", command, SALES, field="customer_id")
        assert refusal.state == "DELETED" and "restored" in refusal.message
    kit.learn(CustomerRestored(customer_id=ACME))
    for command in refused[::2]:
        kit.do(command, SALES)
    kit.do(SubmitOrder(order_id=ORDER), SALES)


def test_cus_04_orders_that_were_submitted_go_on_with_their_copy_of_a_deleted_customer(kit: InMemoryService) -> None:
    reach(kit, "ON_HOLD")
    kit.learn(CustomerDeleted(customer_id=ACME))
    kit.do(RetryOrder(order_id=ORDER), SALES)
    kit.do(ShipOrder(order_id=ORDER, round=1), SYSTEM)
    assert submitted(kit).customer.name == "Acme" and status(kit) == "SHIPPED"


def test_cus_14_an_order_is_written_by_whoever_has_the_customer_now(kit: InMemoryService) -> None:
    first, second = (Person(user_id=by.user_id, name=by.name) for by in (SALES, COLLEAGUE))
    order = CreateOrder(order_id=OTHER, customer_id=ACME, lines=(line(),))
    kit.learn(CustomerAssigned(customer_id=ACME, owner=second, before=first))
    kit.assert_refused("NOT_FOUND", order, SALES, field="customer_id")
    kit.learn(MOVED_HOUSE, CustomerAssigned(customer_id=ACME, owner=NOBODY, before=second))
    for by in (SALES, COLLEAGUE, SUPERVISOR):
        kit.assert_refused("NOT_FOUND", order, by, field="customer_id")
    kit.learn(CustomerAssigned(customer_id=ACME, owner=second, before=NOBODY))
    kit.do(order, COLLEAGUE)


def test_col_07_an_order_is_written_by_whom_the_customer_is_shared_with_as_long_as_it_is(kit: InMemoryService) -> None:
    other = Person(user_id=uuid4(), name="Wu")
    with_me = Share(with_id=SALES.user_id, kind="USER", name=SALES.name, until=kit.today)  # type: ignore[arg-type]
    order = CreateOrder(order_id=OTHER, customer_id=ACME, lines=(line(),))
    kit.learn(CustomerAssigned(customer_id=ACME, owner=other, before=NOBODY))
    kit.assert_refused("NOT_FOUND", order, SALES, field="customer_id")
    kit.learn(CustomerShared(customer_id=ACME, shares=(with_me,)))
    kit.do(order, SALES)
    another = replace(order, order_id=uuid4())
    kit.pass_time(days=1)
    kit.assert_refused("NOT_FOUND", another, SALES, field="customer_id")
    kit.learn(CustomerShared(customer_id=ACME, shares=(replace(with_me, until=None),)))
    kit.do(another, SALES)
    kit.learn(CustomerAssigned(customer_id=ACME, owner=other, before=other))
    kit.assert_refused("NOT_FOUND", replace(order, order_id=uuid4()), SALES, field="customer_id")


def test_cus_22_an_order_for_a_merged_customer_is_refused_and_the_survivor_named(kit: InMemoryService) -> None:
    """A draft is sent for the survivor once its customer was changed; what was submitted goes on (ADR 0066)."""
    by, between = Person(name="root"), named("between")
    kit.learn(CustomerCreated(customer_id=between, data=CustomerData(name="Between"), owner=by))
    create(kit)
    kit.learn(
        CustomerMerged(customer_id=ACME, merged_into=between, by=by),
        CustomerMerged(customer_id=between, merged_into=MEMBER, by=by),
    )
    entered = CreateOrder(order_id=named("late"), customer_id=ACME, lines=(line(),))
    for command in (entered, SubmitOrder(order_id=ORDER), ChangeOrder(order_id=ORDER, lines=(line(CABLE),))):
        refused = kit.assert_refused("INVALID_STATE", command, by=SALES, field="customer_id")
        assert (refused.why.params["survivor"], refused.state) == (MEMBER, "MERGED")
    kit.do(ChangeOrder(order_id=ORDER, note="soon"), SALES)
    kit.do(ChangeOrder(order_id=ORDER, customer_id=MEMBER), SALES)
    kit.do(SubmitOrder(order_id=ORDER), SALES)
    assert submitted(kit).customer.customer_id == MEMBER
    kit.learn(CustomerUnmerged(customer_id=ACME, was_in=between, by=by))
    kit.do(entered, SALES)


def test_cus_22_an_order_is_refused_also_where_what_was_heard_leads_in_a_circle(
    kit: InMemoryService,
) -> None:
    """One customer went into another one, out of it again, which was set aside, and the other one into it."""
    by = Person(name="root")
    kit.learn(
        CustomerMerged(customer_id=ACME, merged_into=MEMBER, by=by),
        CustomerMerged(customer_id=MEMBER, merged_into=ACME, by=by),
    )
    entered = CreateOrder(order_id=ORDER, customer_id=ACME, lines=(line(),))
    refused = kit.assert_refused("INVALID_STATE", entered, by=SALES, field="customer_id")
    assert refused.why.params["survivor"] == MEMBER
    kit.learn(CustomerUnmerged(customer_id=ACME, was_in=MEMBER, by=by))
    kit.do(entered, SALES)
