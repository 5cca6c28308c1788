"""Sales orders and the sales-process settings (features ORD-01..19, APR-15).  Aggregates: order, sales process."""

from dataclasses import field
from decimal import Decimal
from typing import Literal
from uuid import UUID

from contracts.declare import KEPT, command, event, value
from contracts.ids import new_id
from contracts.people import SALESTREAM, Person
from contracts.sales import ApprovalNode, CustomerSnapshot, Shortage
from contracts.types import Amount, Currency, Day, Flag, Mail, Money, Note, Quantity, Rate, Reason, Text, Whole

OrderStatus = Literal[
    "DRAFT", "SUBMITTED", "PENDING_APPROVAL", "APPROVED", "REJECTED", "ON_HOLD", "SHIPPED", "COMPLETED", "CANCELLED"
]
ShippingMode = Literal["AUTOMATIC", "WAREHOUSE"]


@value
class CompanySnapshot:
    """The company as the order shows it (ORD-12)."""

    full_name: Text
    phone: Text = ""
    address: Text = ""
    email: Mail = ""


@value
class LineRequest:
    """A line as entered; without a unit price the customer's price applies (ORD-02)."""

    product_id: UUID
    quantity: Quantity
    unit_price: Amount | None = None


@value
class OrderLine:
    """A line with the product as it was (ORD-11).

    `unit_cost` is the purchase price then, for the profit rate; from another currency at that day's rate, or 0.

    `price_typed`: somebody entered the unit price.  One that nobody did is the customer's, and is renewed with the
    customer and at submission.  Lines of older events are taken as typed.
    """

    product_id: UUID
    quantity: Quantity
    unit_price: Amount
    amount: Amount
    name: Text
    model: Text
    brand: Text
    category: Text = ""
    unit_cost: Amount = Decimal(0)
    accessories: tuple[Text, ...] = ()
    price_typed: Flag = True


@value
class Sale:
    """What reports count of an order (ORD-17, ORD-18).  `owner_id`: whose sale it is (SEC-18), None in older events.

    `submitted_on` is the company's day of the submission it counts from, None before one and in older events.
    """

    order_date: Day
    customer_id: UUID
    lines: tuple[OrderLine, ...]
    total: Money
    channel: Text = ""
    owner_id: UUID | None = None
    submitted_on: Day | None = None


@value
class ExchangeRate:
    """The day's rate: one unit of `currency` in company currency (ORD-07)."""

    told_apart_by = "currency"

    currency: Currency
    rate: Rate


def order_number(count: int) -> str:
    """The number people use for an order, from what the orders service has counted: SO-000017, as long as it must be.

    Orders of former releases have two groups of four characters (SO-UITB-TXUT), so none of theirs is given again.
    """
    return f"SO-{count:06d}"


PaidState = Literal["UNPAID", "PARTLY_PAID", "PAID"]


def paid_state(paid: Decimal, total: Decimal) -> PaidState:
    """How far an order is paid (ORD-10); where there is nothing to pay it is."""
    return "PAID" if paid == total else "PARTLY_PAID" if paid else "UNPAID"


def is_counted(number: str) -> bool:
    """Whether a number was counted, not made of the order's id as it once was: those may be of two orders."""
    return number.removeprefix("SO-").isdecimal()


# -- commands -----------------------------------------------------------------------------------------------------


@command("POST /orders", permission="orders.edit", key="order_id", creates=True)
class CreateOrder:
    """Write a draft order for a customer (ORD-01, ORD-02).  `order_date`: today in the company's zone if left out."""

    customer_id: UUID
    lines: tuple[LineRequest, ...]
    order_id: UUID = field(default_factory=new_id)
    order_date: Day | None = None
    currency: Currency | None = None
    channel: Text = ""
    note: Note = ""


@command("PATCH /orders/{order_id}", permission="orders.edit")
class ChangeOrder:
    """Change a draft or rejected order; a field left out keeps its value (ORD-08).

    Prices that nobody entered follow the customer, the currency and the products.
    """

    order_id: UUID
    customer_id: UUID = KEPT
    lines: tuple[LineRequest, ...] = KEPT
    order_date: Day = KEPT
    currency: Currency = KEPT
    channel: Text | None = KEPT
    note: Note | None = KEPT


@command("POST /orders/{order_id}/submit", permission="orders.edit")
class SubmitOrder:
    """Submit a draft: the amount decides whether it needs approval (ORD-03, ORD-05..07, ORD-16)."""

    order_id: UUID


@command("POST /orders/{order_id}/withdraw", permission="orders.edit")
class WithdrawOrder:
    """Take a pending order back to draft; only its submitter may (ORD-08)."""

    order_id: UUID


@command("POST /orders/{order_id}/cancel", permission="orders.edit")
class CancelOrder:
    """Call an order off before it ships (ORD-15)."""

    order_id: UUID
    reason: Reason


@command("POST /orders/{order_id}/retry", permission="orders.edit")
class RetryOrder:
    """Try the stock deduction of an order on hold again, after restocking (ORD-14)."""

    order_id: UUID


@command("POST /orders/{order_id}/payments", permission="payments")
class RecordPayment:
    """Record money received on a submitted order, in part or in full (ORD-10)."""

    order_id: UUID
    amount: Amount
    method: Text = ""
    paid_on: Day | None = None
    note: Note = ""


@command("PUT /settings/sales-process", permission="settings", key="settings_id")
class SetSalesProcess:
    """Set threshold, route, shipping flow and rates; a field left out keeps its value (APR-15).

    The threshold is in the company's currency, which the company data say (SET-04): `currency` may only repeat it, or
    that of a threshold set before the company changed it.
    """

    settings_id: Literal["sales-process"] = "sales-process"
    threshold: Amount = KEPT
    currency: Currency = KEPT
    route: tuple[ApprovalNode, ...] = KEPT
    shipping: ShippingMode = KEPT
    rates: tuple[ExchangeRate, ...] = KEPT


@command(None, permission="system", key="order_id")
class ApproveOrder:
    """Every approval of the round is given; `approved_by` gave the last one."""

    order_id: UUID
    round: Quantity
    approved_by: Person = SALESTREAM


@command(None, permission="system", key="order_id")
class RejectOrder:
    """An approver turned the round down."""

    order_id: UUID
    round: Quantity
    reason: Note
    rejected_by: Person


@command(None, permission="system", key="order_id")
class HoldOrder:
    """Stock can't cover the order."""

    order_id: UUID
    round: Quantity
    attempt: Quantity
    missing: tuple[Shortage, ...]


@command(None, permission="system", key="order_id")
class ShipOrder:
    """The goods are deducted and handed over; the order decides, since it may have been cancelled meanwhile.

    `handed_over_by` is who gave them to logistics, where a person did.
    """

    order_id: UUID
    round: Quantity
    carrier: Text = ""
    tracking_number: Text = ""
    handed_over_by: Person = SALESTREAM


@command(None, permission="system", key="order_id")
class CompleteDelivery:
    """The goods arrived at the customer; `delivered_by` recorded it."""

    order_id: UUID
    delivered_on: Day
    delivered_by: Person = SALESTREAM


# -- events -------------------------------------------------------------------------------------------------------


@event("salestream.orders.order-created.v1", key="order_id")
class OrderCreated:
    """A draft order was written.  `currency_typed`: somebody named it; else it follows the products."""

    order_id: UUID
    number: Text
    customer: CustomerSnapshot
    lines: tuple[OrderLine, ...]
    total: Money
    order_date: Day
    owner: Person
    owner_superior_id: UUID | None = None
    channel: Text = ""
    note: Note = ""
    company: CompanySnapshot | None = None
    currency_typed: Flag = True


@event("salestream.orders.order-changed.v1", key="order_id")
class OrderChanged:
    """A draft order changed; all values as they are now."""

    order_id: UUID
    customer: CustomerSnapshot
    lines: tuple[OrderLine, ...]
    total: Money
    order_date: Day
    channel: Text = ""
    note: Note = ""
    by: Person = SALESTREAM
    currency_typed: Flag = True


@event("salestream.orders.order-submitted.v1", key="order_id")
class OrderSubmitted:
    """An order was submitted with the data it keeps.  `route` names its approvals; empty: none, it ships directly."""

    order_id: UUID
    round: Quantity
    number: Text
    customer: CustomerSnapshot
    sale: Sale
    threshold: Money
    route: tuple[ApprovalNode, ...]
    shipping: ShippingMode
    status: OrderStatus
    submitter: Person
    superior_id: UUID | None = None
    company: CompanySnapshot | None = None


@event("salestream.orders.order-withdrawn.v1", key="order_id")
class OrderWithdrawn:
    """A pending order went back to draft."""

    order_id: UUID
    round: Quantity
    sale: Sale
    by: Person = SALESTREAM


@event("salestream.orders.order-approved.v1", key="order_id")
class OrderApproved:
    """All approvals are given; `by` gave the last one."""

    order_id: UUID
    round: Quantity
    by: Person = SALESTREAM


@event("salestream.orders.order-rejected.v1", key="order_id")
class OrderRejected:
    """An approver turned the order down."""

    order_id: UUID
    round: Quantity
    reason: Note
    sale: Sale
    by: Person = SALESTREAM


@event("salestream.orders.order-held.v1", key="order_id")
class OrderHeld:
    """Stock can't cover the order; it waits (ORD-14).  `reason` is INSUFFICIENT_STOCK.

    Older events tell neither what people call the order nor whose it is.
    """

    order_id: UUID
    round: Quantity
    attempt: Quantity
    reason: Note
    missing: tuple[Shortage, ...] = ()
    number: Text = ""
    owner: Person = SALESTREAM


@event("salestream.orders.order-retried.v1", key="order_id")
class OrderRetried:
    """Somebody asked to try an order on hold again; `status` is what it was before the hold."""

    order_id: UUID
    round: Quantity
    attempt: Quantity
    status: OrderStatus
    by: Person = SALESTREAM


@event("salestream.orders.order-shipped.v1", key="order_id")
class OrderShipped:
    """The order's goods left; `by` handed them over, Salestream where the order ships by itself."""

    order_id: UUID
    round: Quantity
    sale: Sale
    carrier: Text = ""
    tracking_number: Text = ""
    by: Person = SALESTREAM


@event("salestream.orders.order-delivered.v1", key="order_id")
class OrderDelivered:
    """The order's goods arrived; `by` recorded it."""

    order_id: UUID
    delivered_on: Day
    by: Person = SALESTREAM


@event("salestream.orders.order-completed.v1", key="order_id")
class OrderCompleted:
    """The order is delivered and paid in full; `by` recorded what came last, the delivery or the payment."""

    order_id: UUID
    by: Person = SALESTREAM


@event("salestream.orders.order-cancelled.v1", key="order_id")
class OrderCancelled:
    """The order was called off.  `round` is 0 when it was never submitted; `was` is the status before.

    `refund` is what was paid, which is owed back, perhaps nothing; None in events from before it was told.
    """

    order_id: UUID
    round: Whole
    was: OrderStatus
    reason: Note
    sale: Sale
    by: Person = SALESTREAM
    refund: Money | None = None


@event("salestream.orders.payment-recorded.v1", key="order_id")
class PaymentRecorded:
    """Money was received on the order; `paid` is the sum so far."""

    order_id: UUID
    amount: Money
    paid: Money
    paid_state: Literal["PARTLY_PAID", "PAID"]
    method: Text = ""
    paid_on: Day
    note: Note = ""
    by: Person = SALESTREAM


@event("salestream.orders.sales-process-set.v1", key="settings_id")
class SalesProcessSet:
    """The sales-process settings changed; all values as they are now."""

    settings_id: Text
    threshold: Money
    route: tuple[ApprovalNode, ...]
    shipping: ShippingMode
    rates: tuple[ExchangeRate, ...] = ()
    by: Person = SALESTREAM
