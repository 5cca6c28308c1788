"""Where is this order?  Status, lines, payments, shipment, approvals and the saga's timeline on one page (ORD-09)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from chassis.model.changes import Append, Change, EventInfo, Set
from chassis.model.views import Scope, View
from contracts.approvals import CaseClosed, CaseOpened, CaseRejected, DecisionVoided, NodeApproved
from contracts.fulfilment import FulfilmentAdvanced
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
from contracts.people import SALESTREAM, Person
from contracts.sales import CustomerSnapshot
from contracts.shipping import (
    ShipmentCancelled,
    ShipmentDelivered,
    ShipmentDispatched,
    ShipmentHandedOver,
    ShipmentPrepared,
)


@dataclass
class OrderPage:
    """All there is to know about one order.  `history`: statuses with time and author; `steps`: the saga's timeline.

    `refund_due`: it was cancelled when so much was paid already, which is owed back; null where that was not told then:
    what was paid tells it.
    """

    id: UUID
    number: str
    status: OrderStatus
    customer: dict[str, Any]
    lines: list[dict[str, Any]]
    order_date: date
    amount: Decimal
    currency: str
    channel: str
    note: str
    owner: dict[str, Any]
    company: dict[str, Any] | None
    hold: dict[str, Any] | None
    paid: Decimal
    paid_state: str
    refund_due: Decimal | None
    payments: list[dict[str, Any]]
    shipment: dict[str, Any] | None
    delivered_on: date | None
    cancel_reason: str | None
    approvals: list[dict[str, Any]]
    history: list[dict[str, Any]]
    steps: list[dict[str, Any]]
    fulfilment_status: str | None
    waiting_for: str | None
    created_at: datetime
    version: int


def _lines(lines: Iterable[OrderLine]) -> list[dict[str, Any]]:
    """The lines without the purchase price, which sales staff do not see (INV-02)."""
    shown = ("product_id", "name", "model", "brand", "category", "quantity", "unit_price", "amount")
    return [{name: getattr(line, name) for name in shown} for line in lines]


def _moved(order_id: UUID, status: str, event: EventInfo, by: Person = SALESTREAM, **more: Any) -> Iterable[Change]:
    yield Set(order_id, status=status, version=event.version, **more)
    yield Append(order_id, "history", status=status, at=event.at, by=by.name)


def created(fact: OrderCreated, event: EventInfo) -> Iterable[Change]:
    yield from _moved(
        fact.order_id,
        "DRAFT",
        event,
        fact.owner,
        number=fact.number,
        **_content(fact.customer, fact.lines),
        order_date=fact.order_date,
        amount=fact.total.amount,
        currency=fact.total.currency,
        channel=fact.channel,
        note=fact.note,
        owner=fact.owner,
        owner_id=fact.owner.user_id,
        paid=Decimal("0.00"),
        paid_state="UNPAID",
        refund_due=Decimal("0.00"),
        created_at=event.at,
        company=fact.company,
    )


def _content(customer: CustomerSnapshot, lines: Iterable[OrderLine]) -> dict[str, Any]:
    return {"customer": customer, "lines": _lines(lines)}


def changed(fact: OrderChanged, event: EventInfo) -> Iterable[Change]:
    yield from _moved(
        fact.order_id,
        "DRAFT",
        event,
        fact.by,
        **_content(fact.customer, fact.lines),
        order_date=fact.order_date,
        amount=fact.total.amount,
        currency=fact.total.currency,
        channel=fact.channel,
        note=fact.note,
    )


def submitted(fact: OrderSubmitted, event: EventInfo) -> Iterable[Change]:
    total = fact.sale.total
    content = {**_content(fact.customer, fact.sale.lines), "amount": total.amount, "currency": total.currency}
    company = {"company": fact.company} if fact.company else {}
    yield from _moved(
        fact.order_id,
        fact.status,
        event,
        fact.submitter,
        **content,
        **company,
        hold=None,
        submitter_id=fact.submitter.user_id,
    )


def withdrawn(fact: OrderWithdrawn, event: EventInfo) -> Iterable[Change]:
    yield from _moved(fact.order_id, "DRAFT", event, fact.by)


def approved(fact: OrderApproved, event: EventInfo) -> Iterable[Change]:
    yield from _moved(fact.order_id, "APPROVED", event, fact.by)


def rejected(fact: OrderRejected, event: EventInfo) -> Iterable[Change]:
    yield from _moved(fact.order_id, "REJECTED", event, fact.by)


def held(fact: OrderHeld, event: EventInfo) -> Iterable[Change]:
    yield from _moved(fact.order_id, "ON_HOLD", event, hold={"reason": fact.reason, "missing": fact.missing})


def retried(fact: OrderRetried, event: EventInfo) -> Iterable[Change]:
    yield from _moved(fact.order_id, fact.status, event, fact.by, hold=None)


def shipped(fact: OrderShipped, event: EventInfo) -> Iterable[Change]:
    yield from _moved(fact.order_id, "SHIPPED", event, fact.by)


def delivered(fact: OrderDelivered, event: EventInfo) -> Iterable[Change]:
    yield Set(fact.order_id, version=event.version, delivered_on=fact.delivered_on)


def completed(fact: OrderCompleted, event: EventInfo) -> Iterable[Change]:
    yield from _moved(fact.order_id, "COMPLETED", event, fact.by)


def cancelled(fact: OrderCancelled, event: EventInfo) -> Iterable[Change]:
    refund = fact.refund.amount if fact.refund else None
    yield from _moved(fact.order_id, "CANCELLED", event, fact.by, cancel_reason=fact.reason, refund_due=refund)


def paid(fact: PaymentRecorded, event: EventInfo) -> Iterable[Change]:
    yield Set(fact.order_id, paid=fact.paid.amount, paid_state=fact.paid_state, version=event.version)
    yield Append(
        fact.order_id,
        "payments",
        amount=fact.amount.amount,
        method=fact.method,
        paid_on=fact.paid_on,
        note=fact.note,
        by=fact.by.name,
        at=event.at,
    )


def _approval(
    order_id: UUID,
    case_id: UUID,
    event: EventInfo,
    what: str,
    *,
    by: str = "",
    text: str = "",
    **more: Any,
) -> Change:
    entry = {"case_id": case_id, "what": what, **more, "at": event.at, "by": by, "text": text}
    return Append(order_id, "approvals", **entry)


def case_opened(fact: CaseOpened, event: EventInfo) -> Iterable[Change]:
    yield _approval(fact.order_id, fact.case_id, event, "OPENED", route=fact.route)


def node_approved(fact: NodeApproved, event: EventInfo) -> Iterable[Change]:
    yield _approval(fact.order_id, fact.case_id, event, "APPROVED", by=fact.by.name, text=fact.comment, node=fact.node)


def case_rejected(fact: CaseRejected, event: EventInfo) -> Iterable[Change]:
    yield _approval(fact.order_id, fact.case_id, event, "REJECTED", by=fact.by.name, text=fact.reason, node=fact.node)


def case_closed(fact: CaseClosed, event: EventInfo) -> Iterable[Change]:
    yield _approval(fact.order_id, fact.case_id, event, "CLOSED", text=fact.reason)


def case_voided(fact: DecisionVoided, event: EventInfo) -> Iterable[Change]:
    yield _approval(fact.order_id, fact.case_id, event, "VOIDED", text=fact.reason)


def prepared(fact: ShipmentPrepared, event: EventInfo) -> Iterable[Change]:
    yield Set(fact.order_id, shipment={"status": "PREPARED", "prepared_at": event.at})


def handed_over(fact: ShipmentHandedOver, event: EventInfo) -> Iterable[Change]:
    yield Set(
        fact.order_id,
        **{
            "shipment.status": "HANDED_OVER",
            "shipment.carrier": fact.carrier,
            "shipment.tracking_number": fact.tracking_number,
            "shipment.handed_over_at": event.at,
        },
    )


def dispatched(fact: ShipmentDispatched, event: EventInfo) -> Iterable[Change]:
    yield Set(
        fact.order_id,
        **{
            "shipment.status": "DISPATCHED",
            "shipment.carrier": fact.carrier,
            "shipment.tracking_number": fact.tracking_number,
            "shipment.operator": fact.operator.name,
            "shipment.dispatched_at": event.at,
            "shipment.packing_list": fact.lines,
        },
    )


def arrived(fact: ShipmentDelivered, event: EventInfo) -> Iterable[Change]:
    yield Set(fact.order_id, **{"shipment.status": "DELIVERED", "shipment.delivered_on": fact.delivered_on})


def shipment_cancelled(fact: ShipmentCancelled, event: EventInfo) -> Iterable[Change]:
    yield Set(fact.order_id, **{"shipment.status": "CANCELLED", "shipment.call_back": fact.was_handed_over})


def advanced(fact: FulfilmentAdvanced, event: EventInfo) -> Iterable[Change]:
    yield Set(fact.order_id, fulfilment_status=fact.status, waiting_for=fact.waiting_for)
    for change in fact.changes:
        yield Append(
            fact.order_id,
            "steps",
            step=change.step,
            status=change.status,
            detail=change.detail,
            round=fact.round,
            at=event.at,
        )


VIEW = View(
    name="order_pages",
    edition=6,
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
        ShipmentDelivered: arrived,
        ShipmentCancelled: shipment_cancelled,
        FulfilmentAdvanced: advanced,
    },
    scope=Scope("owner_id", also=("submitter_id",)),
)
