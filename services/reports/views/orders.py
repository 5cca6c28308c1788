"""Which orders are there?  (ORD-19)"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from chassis.model.changes import Change, EventInfo, Set
from chassis.model.row_fields import Code
from chassis.model.views import Exact, Range, Scope, View, Words
from contracts.orders import (
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
)
from contracts.types import Currency


@dataclass
class OrderRow:
    """One order in the list.

    `refund_due`: it was cancelled when so much was paid already, which is owed back; null where that was not told then:
    what was paid tells it.
    """

    id: UUID
    number: Code
    status: OrderStatus
    customer_id: UUID
    customer_name: str
    order_date: date
    quantity: int
    amount: Decimal
    currency: Currency
    paid: Decimal
    paid_state: Literal["UNPAID", "PARTLY_PAID", "PAID"]
    refund_due: Decimal | None
    channel: str
    owner_id: UUID
    owner_name: str
    created_at: datetime
    submitted_at: datetime | None
    shipped_at: datetime | None
    version: int


def _quantity(lines: Iterable[OrderLine]) -> int:
    return sum(line.quantity for line in lines)


def created(fact: OrderCreated, event: EventInfo) -> Iterable[Change]:
    yield Set(
        fact.order_id,
        number=fact.number,
        status="DRAFT",
        customer_id=fact.customer.customer_id,
        customer_name=fact.customer.name,
        order_date=fact.order_date,
        quantity=_quantity(fact.lines),
        amount=fact.total.amount,
        currency=fact.total.currency,
        paid=Decimal("0.00"),
        paid_state="UNPAID",
        refund_due=Decimal("0.00"),
        channel=fact.channel,
        owner_id=fact.owner.user_id,
        owner_name=fact.owner.name,
        created_at=event.at,
        version=event.version,
    )


def changed(fact: OrderChanged, event: EventInfo) -> Iterable[Change]:
    yield Set(
        fact.order_id,
        status="DRAFT",
        customer_id=fact.customer.customer_id,
        customer_name=fact.customer.name,
        order_date=fact.order_date,
        quantity=_quantity(fact.lines),
        amount=fact.total.amount,
        currency=fact.total.currency,
        channel=fact.channel,
        version=event.version,
    )


def submitted(fact: OrderSubmitted, event: EventInfo) -> Iterable[Change]:
    yield Set(
        fact.order_id,
        status=fact.status,
        customer_name=fact.customer.name,
        amount=fact.sale.total.amount,
        currency=fact.sale.total.currency,
        submitter_id=fact.submitter.user_id,
        submitted_at=event.at,
        version=event.version,
    )


def withdrawn(fact: OrderWithdrawn, event: EventInfo) -> Iterable[Change]:
    yield Set(fact.order_id, status="DRAFT", version=event.version)


def approved(fact: OrderApproved, event: EventInfo) -> Iterable[Change]:
    yield Set(fact.order_id, status="APPROVED", version=event.version)


def rejected(fact: OrderRejected, event: EventInfo) -> Iterable[Change]:
    yield Set(fact.order_id, status="REJECTED", version=event.version)


def held(fact: OrderHeld, event: EventInfo) -> Iterable[Change]:
    yield Set(fact.order_id, status="ON_HOLD", version=event.version)


def retried(fact: OrderRetried, event: EventInfo) -> Iterable[Change]:
    yield Set(fact.order_id, status=fact.status, version=event.version)


def shipped(fact: OrderShipped, event: EventInfo) -> Iterable[Change]:
    yield Set(fact.order_id, status="SHIPPED", shipped_at=event.at, version=event.version)


def delivered(fact: OrderDelivered, event: EventInfo) -> Iterable[Change]:
    yield Set(fact.order_id, version=event.version)


def completed(fact: OrderCompleted, event: EventInfo) -> Iterable[Change]:
    yield Set(fact.order_id, status="COMPLETED", version=event.version)


def cancelled(fact: OrderCancelled, event: EventInfo) -> Iterable[Change]:
    refund = fact.refund.amount if fact.refund else None
    yield Set(fact.order_id, status="CANCELLED", refund_due=refund, version=event.version)


def paid(fact: PaymentRecorded, event: EventInfo) -> Iterable[Change]:
    yield Set(fact.order_id, paid=fact.paid.amount, paid_state=fact.paid_state, version=event.version)


VIEW = View(
    name="orders",
    route="GET /orders",
    row=OrderRow,
    permission="orders.view",
    what="order",
    handlers={
        OrderCreated: created,
        OrderChanged: changed,
        OrderSubmitted: submitted,
        OrderWithdrawn: withdrawn,
        OrderApproved: approved,
        OrderRejected: rejected,
        OrderHeld: held,
        OrderRetried: retried,
        OrderShipped: shipped,
        OrderDelivered: delivered,
        OrderCompleted: completed,
        OrderCancelled: cancelled,
        PaymentRecorded: paid,
    },
    filters={
        "number": Exact(),
        "status": Exact(),
        "customer_id": Exact(),
        "owner_id": Exact(),
        "currency": Exact(),
        "channel": Exact(),
        "paid_state": Exact(),
        "q": Words("number", "customer_name"),
        "order_date": Range(date),
        "amount": Range(Decimal),
        "refund_due": Range(Decimal),
    },
    sorts=("created_at", "order_date", "amount", "number", "customer_name"),
    default_sort="-created_at",
    edition=4,
    scope=Scope("owner_id", also=("submitter_id",)),
)
