"""Which orders are there?  (ORD-19)"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from chassis.model.changes import Change, EventMetadata, Set
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
    PaidState,
    PaymentRecorded,
    paid_state,
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
    paid_state: PaidState
    refund_due: Decimal | None
    channel: str
    owner_id: UUID | None
    owner_name: str
    created_at: datetime
    submitted_at: datetime | None
    shipped_at: datetime | None
    version: int


def _quantity(lines: Iterable[OrderLine]) -> int:
    return sum(line.quantity for line in lines)


def created(event: OrderCreated, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(
        event.order_id,
        number=event.number,
        status="DRAFT",
        customer_id=event.customer.customer_id,
        customer_name=event.customer.name,
        order_date=event.order_date,
        quantity=_quantity(event.lines),
        amount=event.total.amount,
        currency=event.total.currency,
        paid=Decimal("0.00"),
        paid_state=paid_state(Decimal(0), event.total.amount),
        refund_due=Decimal("0.00"),
        channel=event.channel,
        owner_id=event.owner.user_id,
        owner_name=event.owner.name,
        created_at=metadata.at,
        version=metadata.version,
    )


def changed(event: OrderChanged, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(
        event.order_id,
        status="DRAFT",
        customer_id=event.customer.customer_id,
        customer_name=event.customer.name,
        order_date=event.order_date,
        quantity=_quantity(event.lines),
        amount=event.total.amount,
        currency=event.total.currency,
        paid_state=paid_state(Decimal(0), event.total.amount),  # payments come once the total is settled
        channel=event.channel,
        version=metadata.version,
    )


def submitted(event: OrderSubmitted, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(
        event.order_id,
        status=event.status,
        customer_name=event.customer.name,
        amount=event.sale.total.amount,
        currency=event.sale.total.currency,
        paid_state=paid_state(Decimal(0), event.sale.total.amount),
        submitter_id=event.submitter.user_id,
        submitted_at=metadata.at,
        version=metadata.version,
    )


def withdrawn(event: OrderWithdrawn, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.order_id, status="DRAFT", version=metadata.version)


def approved(event: OrderApproved, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.order_id, status="APPROVED", version=metadata.version)


def rejected(event: OrderRejected, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.order_id, status="REJECTED", version=metadata.version)


def held(event: OrderHeld, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.order_id, status="ON_HOLD", version=metadata.version)


def retried(event: OrderRetried, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.order_id, status=event.status, version=metadata.version)


def shipped(event: OrderShipped, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.order_id, status="SHIPPED", shipped_at=metadata.at, version=metadata.version)


def delivered(event: OrderDelivered, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.order_id, version=metadata.version)


def completed(event: OrderCompleted, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.order_id, status="COMPLETED", version=metadata.version)


def cancelled(event: OrderCancelled, metadata: EventMetadata) -> Iterable[Change]:
    refund = event.refund.amount if event.refund else None
    yield Set(event.order_id, status="CANCELLED", refund_due=refund, version=metadata.version)


def paid(event: PaymentRecorded, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.order_id, paid=event.paid.amount, paid_state=event.paid_state, version=metadata.version)


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
        "q": Words("number", "customer_name", indexed=True),
        "order_date": Range(date),
        "amount": Range(Decimal),
        "refund_due": Range(Decimal),
    },
    sorts=("created_at", "order_date", "amount", "number", "customer_name"),
    default_sort="-created_at",
    edition=5,
    scope=Scope("owner_id", also=("submitter_id",)),
)
