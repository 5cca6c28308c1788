"""The rules of sales orders and of the sales process: which status allows what, prices, route, payments.

Pure: what orders must know of customers and products comes in as `Known`, two look-ups that a rule uses only after
rights and status have been checked.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Self
from uuid import UUID

from chassis.model.aggregates import Aggregate, applies
from chassis.model.context import AccessScope, Context
from chassis.model.identity import Named
from contracts.currencies import exactly, rounded
from contracts.declare import KEPT, changes
from contracts.errors import Refused
from contracts.inventory import Prices
from contracts.merging import MERGED
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
    Sale,
    SalesProcessSet,
    SetSalesProcess,
    ShipOrder,
    ShippingMode,
    SubmitOrder,
    WithdrawOrder,
    order_number,
    paid_state,
)
from contracts.people import SALESTREAM, Person
from contracts.personal import Personal
from contracts.reasons import Why
from contracts.sales import ApprovalNode, CustomerSnapshot
from contracts.settings import DEFAULTS
from contracts.sharing import Share
from contracts.types import MAX_AMOUNT, MAX_LINES, Money

SALES_PROCESS = Named("settings_id", "sales-process")

# The status model (ORD-04): command -> status that allows it -> statuses it may lead to.  Whatever is missing here is
# refused with INVALID_STATE, or, for what the saga commands, ignored.  `RetryOrder` is the one addition to ORD-04: a
# retried order waits for stock again in the status it had before the hold.
MOVES: Mapping[type, Mapping[OrderStatus, tuple[OrderStatus, ...]]] = {
    ChangeOrder: {"DRAFT": ("DRAFT",), "REJECTED": ("DRAFT",)},
    SubmitOrder: {"DRAFT": ("SUBMITTED", "PENDING_APPROVAL")},
    WithdrawOrder: {"PENDING_APPROVAL": ("DRAFT",)},
    ApproveOrder: {"PENDING_APPROVAL": ("APPROVED",)},
    RejectOrder: {"PENDING_APPROVAL": ("REJECTED",)},
    HoldOrder: {"SUBMITTED": ("ON_HOLD",), "APPROVED": ("ON_HOLD",)},
    RetryOrder: {"ON_HOLD": ("SUBMITTED", "APPROVED")},
    ShipOrder: {"SUBMITTED": ("SHIPPED",), "APPROVED": ("SHIPPED",), "ON_HOLD": ("SHIPPED",)},
    CompleteDelivery: {"SHIPPED": ("SHIPPED", "COMPLETED")},
    RecordPayment: {
        "SUBMITTED": ("SUBMITTED",),
        "APPROVED": ("APPROVED",),
        "ON_HOLD": ("ON_HOLD",),
        "SHIPPED": ("SHIPPED", "COMPLETED"),
        "COMPLETED": ("COMPLETED",),
    },
    CancelOrder: {
        "DRAFT": ("CANCELLED",),
        "PENDING_APPROVAL": ("CANCELLED",),
        "SUBMITTED": ("CANCELLED",),
        "APPROVED": ("CANCELLED",),
        "REJECTED": ("CANCELLED",),
        "ON_HOLD": ("CANCELLED",),
    },
}

WAY_OUT: Mapping[tuple[type, OrderStatus], Why] = {
    (ChangeOrder, "PENDING_APPROVAL"): Why("orders.withdraw_first"),
    (SubmitOrder, "REJECTED"): Why("orders.change_first"),
    (RecordPayment, "DRAFT"): Why("orders.submit_first"),
    (RecordPayment, "PENDING_APPROVAL"): Why("orders.approve_first"),
    (CancelOrder, "SHIPPED"): Why("orders.goods_have_left"),
}


# -- what orders know of others -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Customer:
    """What an order needs of a customer."""

    name: Personal[str]
    phone: Personal[str] = ""
    address: Personal[str] = ""
    member: bool = False
    owner_id: UUID | None = None
    deleted: bool = False
    erased: bool = False
    shares: tuple[Share, ...] = ()
    merged_into: UUID | None = None


@dataclass(frozen=True)
class Product:
    """What an order needs of a product."""

    name: str
    model: str
    brand: str
    prices: Prices
    category: str = ""
    accessories: tuple[str, ...] = ()
    deleted: bool = False

    def price_for(self, customer: CustomerSnapshot) -> Money:
        """The price without an entered one: members pay the member price where there is one (ORD-02)."""
        return self.prices.member if customer.member and self.prices.member else self.prices.sale


@dataclass(frozen=True)
class CaseSeen:
    """What an order must know of its approval: how it was decided."""

    decided: OrderStatus


@dataclass(frozen=True)
class ShipmentSeen:
    """What an order must know of its shipment: of which round the goods are with logistics."""

    round: int


@dataclass(frozen=True)
class Known:
    """The customers and products that orders know of.

    `day_s_value` of an amount in a currency is None where there is no rate for it.
    """

    find_customer: Callable[[UUID], Customer | None]
    find_product: Callable[[UUID], Product | None]
    day_s_value: Callable[[Money, str], Decimal | None]
    company: CompanySnapshot | None = None

    def customer(self, id: UUID, reach: AccessScope, today: date) -> CustomerSnapshot:
        """The customer as it is now.  Raises Refused NOT_FOUND, also for one that the caller does not reach.

        An order shows its customer's phone and address, so who may not see the customer may not name it (SEC-18): one
        of nobody is for those who reach everybody's (ADR 0040).  One that was deleted gets no order any more (CUS-04),
        nor one who was erased (CPL-01), nor one that went into another, which the refusal names (ADR 0066).
        """
        found = self.find_customer(id)
        if found is None or not reach.reaches(found.owner_id, found.shares, today):
            raise Refused("orders.no_customer", field="customer_id")
        if found.deleted:
            raise Refused("orders.deleted_customer", field="customer_id", state="DELETED")
        if found.merged_into is not None:
            survivor = self._survivor(id)
            raise Refused("records.merged", kind="customer", survivor=survivor, field="customer_id", state=MERGED)
        if found.erased:
            raise Refused("orders.erased_customer", field="customer_id", state="ERASED")
        return CustomerSnapshot(
            customer_id=id, name=found.name, phone=found.phone, address=found.address, member=found.member
        )

    def _survivor(self, id: UUID) -> UUID:
        """The customer that one is now, through however many others.

        Where news are missing they may lead in a circle: then it is the last one before that closes.
        """
        seen = {id}
        while (found := self.find_customer(id)) and found.merged_into is not None and found.merged_into not in seen:
            id = found.merged_into
            seen.add(id)
        return id

    def still_seen(self, customer: CustomerSnapshot, context: Context) -> CustomerSnapshot:
        """The customer of an order as it is now.  Raises Refused as `customer`; FORBIDDEN where the caller does not see
        it any more: the order would tell what has become of it."""
        found = self.find_customer(customer.customer_id)
        if found and not context.reach.reaches(found.owner_id, found.shares, context.today):
            raise Refused("orders.customer_out_of_reach", field="customer_id")
        return self.customer(customer.customer_id, context.reach, context.today)

    def cost_of(self, product: Product, currency: str) -> Decimal:
        """The purchase price in the order's currency, for the profit rate (RPT-04); 0 where that can't be told."""
        cost = product.prices.purchase
        if cost.currency == currency:
            return cost.amount
        value = self.day_s_value(cost, currency)
        return Decimal(0) if value is None or value > MAX_AMOUNT else rounded(value, currency)

    def products(self, ids: Sequence[UUID]) -> list[Product]:
        """The products of the lines as they are now.  Raises Refused NOT_FOUND naming the line."""
        products = []
        for index, id in enumerate(ids):
            product = self.find_product(id)
            if product is None or product.deleted:
                raise Refused("orders.no_product", field=f"lines.{index}.product_id")
            products.append(product)
        return products


# -- prices ---------------------------------------------------------------------------------------------------------


def priced(
    requests: Sequence[LineRequest], customer: CustomerSnapshot, currency: str | None, known: Known, company_s: str
) -> tuple[tuple[OrderLine, ...], Money]:
    """The lines with their prices, and the total (ORD-01, ORD-02).  Nothing is rounded: prices are exact.

    Without a `currency` that of the products counts, and the company's where they are priced in several (SET-04).
    """
    if not requests:
        raise Refused("orders.no_lines", field="lines")
    if len(requests) > MAX_LINES:
        raise Refused("orders.most_lines", most=MAX_LINES, field="lines")
    products = known.products([request.product_id for request in requests])
    currency = currency or common_currency([product.price_for(customer) for product in products]) or company_s
    lines = tuple(
        priced_line(
            request,
            product,
            unit_price(index, request, product.price_for(customer), currency),
            known.cost_of(product, currency),
        )
        for index, (request, product) in enumerate(zip(requests, products, strict=True))
    )
    total = sum((line.amount for line in lines), Decimal(0))
    if total > MAX_AMOUNT:
        raise Refused("orders.total_too_large", total=total, most=MAX_AMOUNT, field="lines")
    return lines, Money(amount=total, currency=currency)


def common_currency(prices: Sequence[Money]) -> str | None:
    """The one currency of all prices, None when there are several."""
    currencies = {price.currency for price in prices}
    return currencies.pop() if len(currencies) == 1 else None


def unit_price(index: int, request: LineRequest, default: Money, currency: str) -> Decimal:
    """The entered price counts; else the customer's price, which must be in the order's currency."""
    if request.unit_price is not None:
        return exactly(request.unit_price, currency, f"lines.{index}.unit_price")
    if default.currency != currency:
        field = f"lines.{index}.unit_price"
        raise Refused("orders.other_currency", priced_in=default.currency, currency=currency, field=field)
    return default.amount


def priced_line(request: LineRequest, product: Product, price: Decimal, cost: Decimal) -> OrderLine:
    return OrderLine(
        product_id=request.product_id,
        quantity=request.quantity,
        unit_price=price,
        amount=price * request.quantity,
        name=product.name,
        model=product.model,
        brand=product.brand,
        category=product.category,
        unit_cost=cost,
        accessories=product.accessories,
        price_typed=request.unit_price is not None,
    )


def entered(lines: Sequence[OrderLine]) -> tuple[LineRequest, ...]:
    """The lines as somebody entered them: what was worked out from customer and product is left out."""
    return tuple(
        LineRequest(
            product_id=line.product_id,
            quantity=line.quantity,
            unit_price=line.unit_price if line.price_typed else None,
        )
        for line in lines
    )


# -- days -----------------------------------------------------------------------------------------------------------

YEARS_BACK, DAYS_AHEAD = 50, 366


def check_order_date(day: date | None, today: date) -> None:
    """An order may be entered long after it was given, or be planned; a day that is neither is a slip."""
    earliest, latest = today.replace(year=today.year - YEARS_BACK, day=1), today + timedelta(days=DAYS_AHEAD)
    if day is not None and not earliest <= day <= latest:
        raise Refused("orders.order_date", earliest=earliest, latest=latest, field="order_date")


# -- the sales process ----------------------------------------------------------------------------------------------

FIRST = DEFAULTS["sales-process"]


@dataclass
class SalesProcess(Aggregate):
    """The settings in force: threshold, route, shipping flow, exchange rates (ORD-07, APR-01, APR-15, FUL-01)."""

    threshold: Money = Money(amount=FIRST["threshold"], currency=FIRST["currency"])  # noqa: RUF009 - frozen
    route: tuple[ApprovalNode, ...] = FIRST["route"]
    shipping: ShippingMode = FIRST["shipping"]
    rates: tuple[ExchangeRate, ...] = FIRST["rates"]

    def threshold_in(self, company_s: str) -> Money:
        """The threshold in force; one that nobody has set is in the company's currency, one that was keeps its own."""
        return self.threshold if self.version else Money(amount=self.threshold.amount, currency=company_s)

    def set(self, command: SetSalesProcess, context: Context) -> None:
        """Change the settings; what is left out keeps its value.

        A threshold is in the company's currency (SET-04); the one in force can be sent back in its own.
        """
        before = self.threshold_in(context.currency)
        is_left_out = command.threshold is KEPT and command.currency is KEPT
        is_sent_back = command.currency == before.currency and command.threshold in (KEPT, before.amount)
        if not is_sent_back and command.currency not in (KEPT, context.currency):
            raise Refused(
                "orders.company_currency", currency=context.currency, route="PUT /settings/company", field="currency"
            )
        currency = before.currency if is_left_out or is_sent_back else context.currency
        amount = before.amount
        if command.threshold is not KEPT and not is_sent_back:
            amount = exactly(command.threshold, currency, "threshold")
        route = self.route if command.route is KEPT else command.route
        rates = self.rates if command.rates is KEPT else command.rates
        if currency != before.currency and command.threshold is KEPT:
            raise Refused(
                "orders.threshold_currency",
                amount=before.amount,
                before=before.currency,
                currency=currency,
                field="threshold",
            )
        if currency != before.currency and self.rates and command.rates is KEPT:
            raise Refused("orders.rates_currency", before=before.currency, currency=currency, field="rates")
        if len(set(route)) < len(route):
            raise Refused("orders.route_twice", field="route")
        check_rates(rates, currency)
        fact = SalesProcessSet(
            settings_id=command.settings_id,
            threshold=Money(amount=amount, currency=currency),
            route=route,
            shipping=self.shipping if command.shipping is KEPT else command.shipping,
            rates=rates,
            by=context.user,
        )
        if self._values_of(fact) != (before, self.route, self.shipping, self.rates):
            self.record(fact)

    def route_for(self, total: Money, threshold: Money) -> tuple[ApprovalNode, ...]:
        """The approvals an order of this amount needs; only less than the threshold needs none (ORD-05..07)."""
        if not self.route or self.converted(total, threshold.currency) < threshold.amount:
            return ()
        return self.route

    def converted(self, total: Money, currency: str) -> Decimal:
        """The amount at the day's rate, not rounded (ORD-07).  Raises Refused VALIDATION when there is no rate."""
        rate = self._rate(total.currency, currency)
        if rate is None:
            raise Refused("orders.no_rate", given=total.currency, currency=currency, field="currency")
        return total.amount * rate

    def day_s_value(self, of: Money, currency: str, company_s: str) -> Decimal | None:
        """What an amount is in another currency at the day's rates, not rounded; None where a rate is missing."""
        own = self.threshold_in(company_s).currency
        given, wanted = self._rate(of.currency, own), self._rate(currency, own)
        return None if given is None or wanted is None else of.amount * given / wanted

    def _rate(self, currency: str, company_s: str) -> Decimal | None:
        """What a unit of a currency is worth in the company's; None where nobody has said."""
        rates = {one.currency: one.rate for one in self.rates}
        return Decimal(1) if currency == company_s else rates.get(currency)

    def reply_to(self, context: Context) -> dict[str, Any]:
        return {
            "threshold": told(self.threshold_in(context.currency)),
            "route": list(self.route),
            "shipping": self.shipping,
            "rates": [{"currency": rate.currency, "rate": f"{rate.rate:f}"} for rate in self.rates],
        }

    @staticmethod
    def _values_of(held: "SalesProcess | SalesProcessSet") -> tuple[Any, ...]:
        return held.threshold, held.route, held.shipping, held.rates

    @applies(SalesProcessSet)
    def _set(self, fact: SalesProcessSet) -> None:
        self.threshold, self.route, self.shipping, self.rates = self._values_of(fact)


def check_rates(rates: Sequence[ExchangeRate], currency: str) -> None:
    """One rate a currency, none for the company's own.  Raises Refused VALIDATION."""
    seen = {currency}
    for index, rate in enumerate(rates):
        if rate.currency in seen:
            is_own = rate.currency == currency
            field = f"rates.{index}.currency"
            raise Refused("orders.rate_of_own" if is_own else "orders.rate_twice", currency=rate.currency, field=field)
        seen.add(rate.currency)


def told(money: Money) -> dict[str, str]:
    """An amount as an answer tells it."""
    return {"amount": f"{money.amount:f}", "currency": money.currency}


# -- orders ---------------------------------------------------------------------------------------------------------

NO_CUSTOMER = CustomerSnapshot(customer_id=UUID(int=0), name="")
NO_MONEY = Money(amount=Decimal(0), currency="CNY")

STATUS_AFTER: Mapping[type, OrderStatus] = {
    OrderChanged: "DRAFT",
    OrderWithdrawn: "DRAFT",
    OrderApproved: "APPROVED",
    OrderRejected: "REJECTED",
    OrderHeld: "ON_HOLD",
    OrderShipped: "SHIPPED",
    OrderCompleted: "COMPLETED",
    OrderCancelled: "CANCELLED",
}


@dataclass
class Order(Aggregate):
    """A sales order.  `round` counts its submissions, `attempt` the tries of the stock deduction in the round."""

    seen_by = "orders.view"

    status: OrderStatus = "DRAFT"
    number: str = ""
    customer: CustomerSnapshot = NO_CUSTOMER
    lines: tuple[OrderLine, ...] = ()
    total: Money = NO_MONEY
    order_date: date = date.min
    currency_typed: bool = True
    channel: str = ""
    note: str = ""
    owner: Person = SALESTREAM
    submitter: Person | None = None
    submitted_on: date | None = None
    round: int = 0
    attempt: int = 0
    before_hold: OrderStatus = "SUBMITTED"
    paid: Decimal = Decimal(0)
    delivered: bool = False

    # -- what may be done with it

    @classmethod
    def on_page(cls, row: Mapping[str, Any]) -> Self:
        order = super().on_page(row)
        order.status, order.owner = row["status"], person_on_page(row["owner"]["user_id"])
        order.submitter = person_on_page(row["submitter_id"]) if row["submitter_id"] else None
        order.total = Money(amount=Decimal(row["amount"]), currency=row["currency"])
        order.paid = Decimal(row["paid"])
        return order

    def require_may(self, command: type, context: Context) -> None:
        """By its status (ORD-04); who submitted it takes it back (ORD-08), and what is paid is paid once (ORD-10)."""
        if command is WithdrawOrder and self.submitter is not None and not acts_for(self.submitter, context):
            raise Refused("orders.not_submitter", field="order_id")
        if self.status not in MOVES[command]:
            allowed = MOVES[command]
            if way_out := WAY_OUT.get((command, self.status)):
                raise Refused("orders.status_with_way_out", states=allowed, way_out=way_out, state=self.status)
            raise Refused("orders.status", states=allowed, state=self.status)
        if command is RecordPayment and self.open_amount <= 0:
            raise self._paid_too_much()

    # -- writing it

    def create(self, command: CreateOrder, number: int, known: Known, context: Context) -> None:
        """Write the draft (ORD-01, ORD-02).  `number` is its place in the series of orders."""
        check_order_date(command.order_date, context.today)
        customer = known.customer(command.customer_id, context.reach, context.today)
        lines, total = priced(command.lines, customer, command.currency, known, context.currency)
        self.record(
            OrderCreated(
                order_id=self.id,
                number=order_number(number),
                customer=customer,
                lines=lines,
                total=total,
                order_date=command.order_date or context.today,
                owner=context.owner,
                owner_superior_id=context.superior_id,
                channel=command.channel,
                note=command.note,
                company=known.company,
                currency_typed=command.currency is not None,
            )
        )

    def change(self, command: ChangeOrder, known: Known, context: Context) -> None:
        """Change a draft; a rejected order becomes a draft again, even if no value changes (ORD-08).

        Another customer, other lines or another currency renew the prices that nobody entered (ORD-02).
        """
        self.require_may(type(command), context)
        if command.order_date not in (KEPT, self.order_date):
            check_order_date(command.order_date, context.today)
        customer, lines, total = self.customer, self.lines, self.total
        if command.customer_id is not KEPT or command.lines is not KEPT:
            if command.customer_id in (KEPT, self.customer.customer_id):
                customer = known.still_seen(self.customer, context)
            else:
                customer = known.customer(command.customer_id, context.reach, context.today)
        currency = self._fixed_currency if command.currency is KEPT else command.currency
        before = self.customer
        moved = (customer.customer_id, customer.member) != (before.customer_id, before.member)
        if command.lines is not KEPT or moved or currency != self._fixed_currency:
            requests = entered(self.lines) if command.lines is KEPT else command.lines
            if command.lines is KEPT:
                self._check_entered_prices(currency)
            lines, total = self._priced_anew(requests, customer, currency, known, context)
        fact = OrderChanged(
            order_id=self.id,
            customer=customer,
            lines=lines,
            total=total,
            order_date=self.order_date,
            channel=self.channel,
            note=self.note,
            by=context.user,
            currency_typed=currency is not None,
        )
        given = changes(command, OrderChanged)
        fact = replace(fact, **{name: given[name] for name in ("order_date", "channel", "note") if name in given})
        if self.status != "DRAFT" or self._values_of(fact) != self._values_of(self):
            self.record(fact)

    def submit(self, command: SubmitOrder, process: SalesProcess, known: Known, context: Context) -> None:
        """Freeze the order's data and find its route (ORD-03, ORD-05..07, ORD-11, ORD-16)."""
        self.require_may(type(command), context)
        customer = known.still_seen(self.customer, context)
        lines, total = self._priced_anew(entered(self.lines), customer, self._fixed_currency, known, context)
        threshold = process.threshold_in(context.currency)
        route = process.route_for(total, threshold)
        self.record(
            OrderSubmitted(
                order_id=self.id,
                round=self.round + 1,
                number=self.number,
                customer=customer,
                sale=replace(
                    self.sale, customer_id=customer.customer_id, lines=lines, total=total, submitted_on=context.today
                ),
                threshold=threshold,
                route=route,
                shipping=process.shipping,
                status="PENDING_APPROVAL" if route else "SUBMITTED",
                submitter=context.user,
                superior_id=context.superior_id,
                company=known.company,
            )
        )

    @property
    def _fixed_currency(self) -> str | None:
        return self.total.currency if self.currency_typed else None

    def _check_entered_prices(self, currency: str | None) -> None:
        """Raises Refused VALIDATION when another currency would turn an entered price into another amount."""
        typed = any(line.price_typed for line in self.lines)
        if typed and currency not in (None, self.total.currency):
            raise Refused("orders.entered_price", before=self.total.currency, currency=currency, field="lines")

    def _priced_anew(
        self,
        requests: Sequence[LineRequest],
        customer: CustomerSnapshot,
        currency: str | None,
        known: Known,
        context: Context,
    ) -> tuple[tuple[OrderLine, ...], Money]:
        """These lines with product and customer of today; entered prices stay (ORD-02, ORD-11).

        A currency that nobody named stays where a price was entered in it, else it follows the products.
        """
        typed = any(line.unit_price is not None for line in requests)
        fixed = currency or (self.total.currency if typed else None)
        return priced(requests, customer, fixed, known, context.currency)

    def withdraw(self, command: WithdrawOrder, case: CaseSeen | None, context: Context) -> None:
        """Take it back to draft; only its submitter may, or who acts in that person's place (ORD-08, SEC-14)."""
        self.require_may(WithdrawOrder, context)
        if case is not None:
            approved = case.decided == "APPROVED"
            raise Refused("orders.approved_meanwhile" if approved else "orders.rejected_meanwhile", state=case.decided)
        self.record(OrderWithdrawn(order_id=self.id, round=self.round, sale=self.sale, by=context.user))

    def cancel(self, command: CancelOrder, shipment: ShipmentSeen | None, context: Context) -> None:
        """Call it off before it ships (ORD-15); what was paid by then is owed back (ORD-10)."""
        self.require_may(type(command), context)
        if shipment is not None and shipment.round == self.round:
            raise Refused("orders.handed_over", state="HANDED_OVER")
        self.record(
            OrderCancelled(
                order_id=self.id,
                round=self.round,
                was=self.status,
                reason=command.reason,
                sale=self.sale,
                by=context.user,
                refund=Money(amount=self.paid, currency=self.total.currency),
            )
        )

    # -- approval and stock: the saga commands; what comes late or twice changes nothing

    def approve(self, command: ApproveOrder, _: Context) -> None:
        if self._awaits(command, command.round):
            self.record(OrderApproved(order_id=self.id, round=self.round, by=command.approved_by))

    def reject(self, command: RejectOrder, _: Context) -> None:
        if self._awaits(command, command.round):
            self.record(
                OrderRejected(
                    order_id=self.id,
                    round=self.round,
                    reason=command.reason,
                    sale=self.sale,
                    by=command.rejected_by,
                )
            )

    def hold(self, command: HoldOrder, _: Context) -> None:
        """Stock is short (ORD-14).  The news of an earlier attempt comes too late."""
        if self._awaits(command, command.round) and command.attempt == self.attempt:
            self.record(
                OrderHeld(
                    order_id=self.id,
                    round=self.round,
                    attempt=self.attempt,
                    reason="INSUFFICIENT_STOCK",
                    missing=command.missing,
                    number=self.number,
                    owner=self.owner,
                )
            )

    def retry(self, command: RetryOrder, context: Context) -> None:
        """Try the deduction again after restocking (ORD-14)."""
        self.require_may(type(command), context)
        self.record(
            OrderRetried(
                order_id=self.id,
                round=self.round,
                attempt=self.attempt + 1,
                status=self.before_hold,
                by=context.user,
            )
        )

    # -- shipping and money

    def ship(self, command: ShipOrder, _: Context) -> None:
        if self._awaits(command, command.round):
            self.record(
                OrderShipped(
                    order_id=self.id,
                    round=self.round,
                    sale=self.sale,
                    carrier=command.carrier,
                    tracking_number=command.tracking_number,
                    by=command.handed_over_by,
                )
            )

    def complete_delivery(self, command: CompleteDelivery, _: Context) -> None:
        """The goods arrived; with full payment the order is complete (FUL-07)."""
        if self._awaits(command, self.round) and not self.delivered:
            by = command.delivered_by
            self.record(OrderDelivered(order_id=self.id, delivered_on=command.delivered_on, by=by))
            self._complete_if_done(by)

    def pay(self, command: RecordPayment, context: Context) -> None:
        """Money came in, in part or in full, never more than the total (ORD-10), on a day since the order was given."""
        self.require_may(RecordPayment, context)
        currency = self.total.currency
        amount = exactly(command.amount, currency, "amount")
        if amount <= 0:
            raise Refused("orders.payment_of_nothing", field="amount")
        if amount > self.open_amount:
            raise self._paid_too_much()
        earliest = min(self.order_date, self.submitted_on or self.order_date)
        latest = max(context.today, earliest)  # a zone that was changed meanwhile may have set today back
        if command.paid_on is not None and not earliest <= command.paid_on <= latest:
            raise Refused("orders.paid_on", earliest=earliest, latest=latest, field="paid_on")
        paid = self.paid + amount
        state = paid_state(paid, self.total.amount)
        assert state != "UNPAID"  # something was paid
        self.record(
            PaymentRecorded(
                order_id=self.id,
                amount=Money(amount=amount, currency=currency),
                paid=Money(amount=paid, currency=currency),
                paid_state=state,
                method=command.method,
                paid_on=command.paid_on or latest,
                note=command.note,
                by=context.user,
            )
        )
        self._complete_if_done(context.user)

    def _complete_if_done(self, by: Person) -> None:
        if self.status == "SHIPPED" and self.delivered and paid_state(self.paid, self.total.amount) == "PAID":
            self.record(OrderCompleted(order_id=self.id, by=by))

    # -- what the rules share

    @property
    def sale(self) -> Sale:
        return Sale(
            order_date=self.order_date,
            customer_id=self.customer.customer_id,
            lines=self.lines,
            total=self.total,
            channel=self.channel,
            owner_id=self.owner.user_id,
            submitted_on=self.submitted_on,
        )

    def reply(self) -> dict[str, Any]:
        return {"status": self.status, "number": self.number, "total": told(self.total)}

    @property
    def owners(self) -> tuple[UUID | None, ...]:
        return (self.owner.user_id, *([self.submitter.user_id] if self.submitter else []))

    @property
    def open_amount(self) -> Decimal:
        """What is still to be paid."""
        return self.total.amount - self.paid

    def _paid_too_much(self) -> Refused:
        currency = self.total.currency
        return Refused("orders.paid_too_much", open=self.open_amount, currency=currency, field="amount")

    def _awaits(self, command: Any, round: int) -> bool:
        return self.status in MOVES[type(command)] and self.round == round

    @staticmethod
    def _values_of(held: "Order | OrderChanged") -> tuple[Any, ...]:
        about = held.order_date, held.channel, held.note
        return held.customer, held.lines, held.total, held.currency_typed, *about

    # -- memory

    @applies(OrderCreated)
    def _created(self, fact: OrderCreated) -> None:
        self.number, self.owner = fact.number, fact.owner
        self.customer, self.lines, self.total = fact.customer, fact.lines, fact.total
        self.order_date, self.channel, self.note = fact.order_date, fact.channel, fact.note
        self.currency_typed = fact.currency_typed

    @applies(OrderChanged)
    def _changed(self, fact: OrderChanged) -> None:
        self._moved(fact)
        self.customer, self.lines, self.total, self.currency_typed, *about = self._values_of(fact)
        self.order_date, self.channel, self.note = about

    @applies(OrderSubmitted)
    def _submitted(self, fact: OrderSubmitted) -> None:
        self.status = fact.status
        self.customer, self.lines, self.total = fact.customer, fact.sale.lines, fact.sale.total
        self.submitter, self.round, self.attempt = fact.submitter, fact.round, 1
        self.submitted_on = fact.sale.submitted_on

    @applies(OrderWithdrawn, OrderApproved, OrderRejected, OrderShipped, OrderCompleted, OrderCancelled)
    def _moved(self, fact: object) -> None:
        self.status = STATUS_AFTER[type(fact)]

    @applies(OrderHeld)
    def _held(self, fact: OrderHeld) -> None:
        self.before_hold = self.status
        self._moved(fact)

    @applies(OrderRetried)
    def _retried(self, fact: OrderRetried) -> None:
        self.status, self.attempt = fact.status, fact.attempt

    @applies(OrderDelivered)
    def _delivered(self, _: OrderDelivered) -> None:
        self.delivered = True

    @applies(PaymentRecorded)
    def _paid(self, fact: PaymentRecorded) -> None:
        self.paid = fact.paid.amount


def person_on_page(id: str | None) -> Person:
    """Somebody of whom rules ask nothing but who it is."""
    return Person(user_id=UUID(id) if id else None, name="")


def acts_for(person: Person, context: Context) -> bool:
    """Whether the caller does what waits for this person: the person, who took over, or the next above who may.

    A program does what waits for itself, and so does who answers for it.  Where that is nobody, whoever may act for
    everybody.  Salestream itself, which has no id, is nobody.
    """
    if person.user_id is None:
        return False
    if person.user_id == context.user.user_id:
        return True
    acting = context.organisation.acting_for(person.user_id, "orders.edit")
    return context.reach.everybody if acting is None else acting == context.user.user_id
