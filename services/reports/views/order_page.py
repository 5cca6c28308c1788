"""Where is this order?  Status, lines, payments, shipment, approvals and the saga's timeline on one page (ORD-09)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, NotRequired, Required, TypedDict
from uuid import UUID

from chassis.model.changes import Append, Change, EventMetadata, Set
from chassis.model.views import Scope, View
from contracts.approvals import CaseClosed, CaseOpened, CaseRejected, DecisionVoided, NodeApproved
from contracts.fulfilment import FulfilmentAdvanced, FulfilmentStatus
from contracts.orders import (
    CompanySnapshot,
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
from contracts.people import SALESTREAM, Person
from contracts.sales import ApprovalNode, CustomerSnapshot, Shortage, StepStatus
from contracts.shipping import (
    PackingLine,
    ShipmentCancelled,
    ShipmentDelivered,
    ShipmentDispatched,
    ShipmentHandedOver,
    ShipmentPrepared,
    ShipmentTrackingChanged,
)


class LineShown(TypedDict):
    """A line with the product as it was, without the purchase price (INV-02)."""

    product_id: UUID
    name: str
    model: str
    brand: str
    category: str
    quantity: int
    unit_price: Decimal
    amount: Decimal


class Hold(TypedDict):
    """Why the order waits, and which goods are missing (ORD-14)."""

    reason: str
    missing: list[Shortage]


class Payment(TypedDict):
    """Money that came in (ORD-10)."""

    amount: Decimal
    method: str
    paid_on: date
    note: str
    by: str
    at: datetime


class ShipmentShown(TypedDict, total=False):
    """The goods on their way, as far as they have come; `call_back`: they were with the carrier when it was called off.

    `packing_list` has the accessories to check (FUL-08).
    """

    status: Required[Literal["PREPARED", "HANDED_OVER", "DISPATCHED", "DELIVERED", "CANCELLED"]]
    prepared_at: datetime
    carrier: str
    tracking_number: str
    handed_over_at: datetime
    operator: str
    dispatched_at: datetime
    packing_list: list[PackingLine]
    delivered_on: date
    call_back: bool


class ApprovalShown(TypedDict):
    """What happened to a case of the order; `text` is a comment or a reason."""

    case_id: UUID
    what: Literal["OPENED", "APPROVED", "REJECTED", "CLOSED", "VOIDED"]
    at: datetime
    by: str
    text: str
    route: NotRequired[list[ApprovalNode]]
    node: NotRequired[ApprovalNode]


class StatusShown(TypedDict):
    """A status that the order came to, when, and by whom."""

    status: OrderStatus
    at: datetime
    by: str


class StepShown(TypedDict):
    """A step of the saga, in which round of the order, and how it went."""

    step: str
    status: StepStatus
    detail: str
    round: int
    at: datetime


@dataclass
class OrderPage:
    """All there is to know about one order.  `history`: statuses with time and author; `steps`: the saga's timeline.

    `refund_due`: it was cancelled when so much was paid already, which is owed back; null where that was not told then:
    what was paid tells it.
    """

    id: UUID
    number: str
    status: OrderStatus
    customer: CustomerSnapshot
    lines: list[LineShown]
    order_date: date
    amount: Decimal
    currency: str
    channel: str
    note: str
    owner: Person
    submitter_id: UUID | None
    company: CompanySnapshot | None
    hold: Hold | None
    paid: Decimal
    paid_state: PaidState
    refund_due: Decimal | None
    payments: list[Payment]
    shipment: ShipmentShown | None
    delivered_on: date | None
    cancel_reason: str | None
    approvals: list[ApprovalShown]
    history: list[StatusShown]
    steps: list[StepShown]
    fulfilment_status: FulfilmentStatus | None
    waiting_for: str | None
    created_at: datetime
    version: int


def _lines(lines: Iterable[OrderLine]) -> list[dict[str, Any]]:
    """The lines without the purchase price, which sales staff do not see (INV-02)."""
    shown = ("product_id", "name", "model", "brand", "category", "quantity", "unit_price", "amount")
    return [{name: getattr(line, name) for name in shown} for line in lines]


def _moved(
    order_id: UUID, status: str, metadata: EventMetadata, by: Person = SALESTREAM, **more: Any
) -> Iterable[Change]:
    """Whatever it moves to, nothing holds it there, unless that is told."""
    yield Set(order_id, status=status, version=metadata.version, **{"hold": None, **more})
    yield Append(order_id, "history", status=status, at=metadata.at, by=by.name)


def created(event: OrderCreated, metadata: EventMetadata) -> Iterable[Change]:
    yield from _moved(
        event.order_id,
        "DRAFT",
        metadata,
        event.owner,
        number=event.number,
        **_content(event.customer, event.lines),
        order_date=event.order_date,
        amount=event.total.amount,
        currency=event.total.currency,
        channel=event.channel,
        note=event.note,
        owner=event.owner,
        owner_id=event.owner.user_id,
        paid=Decimal("0.00"),
        paid_state=paid_state(Decimal(0), event.total.amount),
        refund_due=Decimal("0.00"),
        created_at=metadata.at,
        company=event.company,
    )


def _content(customer: CustomerSnapshot, lines: Iterable[OrderLine]) -> dict[str, Any]:
    return {"customer": customer, "lines": _lines(lines)}


def changed(event: OrderChanged, metadata: EventMetadata) -> Iterable[Change]:
    yield from _moved(
        event.order_id,
        "DRAFT",
        metadata,
        event.by,
        **_content(event.customer, event.lines),
        order_date=event.order_date,
        amount=event.total.amount,
        currency=event.total.currency,
        paid_state=paid_state(Decimal(0), event.total.amount),  # payments come once the total is settled
        channel=event.channel,
        note=event.note,
    )


def submitted(event: OrderSubmitted, metadata: EventMetadata) -> Iterable[Change]:
    total = event.sale.total
    content = {**_content(event.customer, event.sale.lines), "amount": total.amount, "currency": total.currency}
    company = {"company": event.company} if event.company else {}
    yield from _moved(
        event.order_id,
        event.status,
        metadata,
        event.submitter,
        **content,
        **company,
        paid_state=paid_state(Decimal(0), total.amount),
        submitter_id=event.submitter.user_id,
    )


def withdrawn(event: OrderWithdrawn, metadata: EventMetadata) -> Iterable[Change]:
    yield from _moved(event.order_id, "DRAFT", metadata, event.by)


def approved(event: OrderApproved, metadata: EventMetadata) -> Iterable[Change]:
    yield from _moved(event.order_id, "APPROVED", metadata, event.by)


def rejected(event: OrderRejected, metadata: EventMetadata) -> Iterable[Change]:
    yield from _moved(event.order_id, "REJECTED", metadata, event.by)


def held(event: OrderHeld, metadata: EventMetadata) -> Iterable[Change]:
    yield from _moved(event.order_id, "ON_HOLD", metadata, hold={"reason": event.reason, "missing": event.missing})


def retried(event: OrderRetried, metadata: EventMetadata) -> Iterable[Change]:
    yield from _moved(event.order_id, event.status, metadata, event.by)


def shipped(event: OrderShipped, metadata: EventMetadata) -> Iterable[Change]:
    yield from _moved(event.order_id, "SHIPPED", metadata, event.by)


def delivered(event: OrderDelivered, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.order_id, version=metadata.version, delivered_on=event.delivered_on)


def completed(event: OrderCompleted, metadata: EventMetadata) -> Iterable[Change]:
    yield from _moved(event.order_id, "COMPLETED", metadata, event.by)


def cancelled(event: OrderCancelled, metadata: EventMetadata) -> Iterable[Change]:
    refund = event.refund.amount if event.refund else None
    yield from _moved(event.order_id, "CANCELLED", metadata, event.by, cancel_reason=event.reason, refund_due=refund)


def paid(event: PaymentRecorded, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.order_id, paid=event.paid.amount, paid_state=event.paid_state, version=metadata.version)
    yield Append(
        event.order_id,
        "payments",
        amount=event.amount.amount,
        method=event.method,
        paid_on=event.paid_on,
        note=event.note,
        by=event.by.name,
        at=metadata.at,
    )


def _approval(
    order_id: UUID,
    case_id: UUID,
    metadata: EventMetadata,
    what: str,
    *,
    by: str = SALESTREAM.name,
    text: str = "",
    **more: Any,
) -> Change:
    entry = {"case_id": case_id, "what": what, **more, "at": metadata.at, "by": by, "text": text}
    return Append(order_id, "approvals", **entry)


def case_opened(event: CaseOpened, metadata: EventMetadata) -> Iterable[Change]:
    yield _approval(event.order_id, event.case_id, metadata, "OPENED", by=event.submitter.name, route=event.route)


def node_approved(event: NodeApproved, metadata: EventMetadata) -> Iterable[Change]:
    yield _approval(
        event.order_id, event.case_id, metadata, "APPROVED", by=event.by.name, text=event.comment, node=event.node
    )


def case_rejected(event: CaseRejected, metadata: EventMetadata) -> Iterable[Change]:
    yield _approval(
        event.order_id, event.case_id, metadata, "REJECTED", by=event.by.name, text=event.reason, node=event.node
    )


def case_closed(event: CaseClosed, metadata: EventMetadata) -> Iterable[Change]:
    yield _approval(event.order_id, event.case_id, metadata, "CLOSED", text=event.reason)


def case_voided(event: DecisionVoided, metadata: EventMetadata) -> Iterable[Change]:
    yield _approval(event.order_id, event.case_id, metadata, "VOIDED", text=event.reason)


def prepared(event: ShipmentPrepared, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.order_id, shipment={"status": "PREPARED", "prepared_at": metadata.at})


def handed_over(event: ShipmentHandedOver, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(
        event.order_id,
        **{
            "shipment.status": "HANDED_OVER",
            "shipment.carrier": event.carrier,
            "shipment.tracking_number": event.tracking_number,
            "shipment.handed_over_at": metadata.at,
        },
    )


def dispatched(event: ShipmentDispatched, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(
        event.order_id,
        **{
            "shipment.status": "DISPATCHED",
            "shipment.carrier": event.carrier,
            "shipment.tracking_number": event.tracking_number,
            "shipment.operator": event.operator.name,
            "shipment.dispatched_at": metadata.at,
            "shipment.packing_list": event.lines,
        },
    )


def tracked(event: ShipmentTrackingChanged, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(
        event.order_id,
        **{
            "shipment.status": event.status,
            "shipment.carrier": event.carrier,
            "shipment.tracking_number": event.tracking_number,
        },
    )


def arrived(event: ShipmentDelivered, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.order_id, **{"shipment.status": "DELIVERED", "shipment.delivered_on": event.delivered_on})


def shipment_cancelled(event: ShipmentCancelled, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.order_id, **{"shipment.status": "CANCELLED", "shipment.call_back": event.was_handed_over})


def advanced(event: FulfilmentAdvanced, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.order_id, fulfilment_status=event.status, waiting_for=event.waiting_for)
    for change in event.changes:
        yield Append(
            event.order_id,
            "steps",
            step=change.step,
            status=change.status,
            detail=change.detail,
            round=event.round,
            at=metadata.at,
        )


VIEW = View(
    name="order_pages",
    edition=8,
    personal=("customer",),
    route="GET /orders/{order_id}",
    row=OrderPage,
    permission="orders.view",
    what="order",
    where={"number": {"$exists": True}},
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
        CaseOpened: case_opened,
        NodeApproved: node_approved,
        CaseRejected: case_rejected,
        CaseClosed: case_closed,
        DecisionVoided: case_voided,
        ShipmentPrepared: prepared,
        ShipmentHandedOver: handed_over,
        ShipmentDispatched: dispatched,
        ShipmentTrackingChanged: tracked,
        ShipmentDelivered: arrived,
        ShipmentCancelled: shipment_cancelled,
        FulfilmentAdvanced: advanced,
    },
    scope=Scope("owner_id", also=("submitter_id",)),
)
