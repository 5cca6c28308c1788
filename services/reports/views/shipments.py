"""What must leave the warehouse, and what has left?  (FUL-01, FUL-05..08)"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from chassis.model.changes import Change, EventMetadata, Set
from chassis.model.row_fields import Code
from chassis.model.views import Exact, View, Words
from contracts.sales import CustomerSnapshot
from contracts.shipping import (
    PackingLine,
    ShipmentCancelled,
    ShipmentDelivered,
    ShipmentDispatched,
    ShipmentHandedOver,
    ShipmentPrepared,
    ShipmentTrackingChanged,
)


@dataclass
class ShipmentRow:
    """One shipment, which is the stock-out document too.  `lines` is the packing list with the accessories to check.

    `call_back`: the order was cancelled when the carrier had the goods already; they are stock again, and not there.
    """

    id: UUID
    number: Code
    status: Literal["PREPARED", "HANDED_OVER", "DISPATCHED", "DELIVERED", "CANCELLED"]
    customer: CustomerSnapshot
    lines: list[PackingLine]
    carrier: str
    tracking_number: Code
    operator: str
    call_back: bool
    prepared_at: datetime | None
    dispatched_at: datetime | None
    delivered_on: date | None
    version: int


def prepared(event: ShipmentPrepared, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(
        event.order_id,
        number=event.number,
        status="PREPARED",
        customer=event.customer,
        lines=event.lines,
        call_back=False,
        prepared_at=metadata.at,
        version=metadata.version,
    )


def handed_over(event: ShipmentHandedOver, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(
        event.order_id,
        status="HANDED_OVER",
        carrier=event.carrier,
        tracking_number=event.tracking_number,
        operator=event.by.name,
        version=metadata.version,
    )


def dispatched(event: ShipmentDispatched, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(
        event.order_id,
        number=event.number,
        status="DISPATCHED",
        customer=event.customer,
        lines=event.lines,
        carrier=event.carrier,
        tracking_number=event.tracking_number,
        operator=event.operator.name,
        call_back=False,
        dispatched_at=metadata.at,
        version=metadata.version,
    )


def tracked(event: ShipmentTrackingChanged, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(
        event.order_id,
        status=event.status,
        carrier=event.carrier,
        tracking_number=event.tracking_number,
        version=metadata.version,
    )


def delivered(event: ShipmentDelivered, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.order_id, status="DELIVERED", delivered_on=event.delivered_on, version=metadata.version)


def cancelled(event: ShipmentCancelled, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.order_id, status="CANCELLED", call_back=event.was_handed_over, version=metadata.version)


VIEW = View(
    name="shipments",
    edition=3,
    personal=("customer",),
    route="GET /shipments",
    detail="order_id",
    row=ShipmentRow,
    permission="shipping",
    what="shipment",
    handlers={
        ShipmentPrepared: prepared,
        ShipmentHandedOver: handed_over,
        ShipmentDispatched: dispatched,
        ShipmentTrackingChanged: tracked,
        ShipmentDelivered: delivered,
        ShipmentCancelled: cancelled,
    },
    filters={
        "status": Exact(),
        "carrier": Exact(),
        "call_back": Exact(),
        "q": Words("number", "tracking_number", "customer.name"),
    },
    sorts=("dispatched_at", "prepared_at", "number"),
    default_sort="-dispatched_at",
)
