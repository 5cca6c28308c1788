"""Shipments (features FUL-01, 04..08).  Aggregate: shipment, one per order; it is the stock-out document too."""

from typing import Literal
from uuid import UUID

from contracts.declare import KEPT, command, event, value
from contracts.people import SALESTREAM, Person
from contracts.sales import CustomerSnapshot
from contracts.types import Day, Quantity, Text


@value
class PackingLine:
    """What goes into the parcel: the product, its quantity and the accessories to check (FUL-08)."""

    product_id: UUID
    quantity: Quantity
    name: Text
    model: Text
    accessories: tuple[Text, ...] = ()


@command("POST /shipments/{order_id}/hand-over", permission="shipping")
class HandOver:
    """The warehouse gives the goods to logistics (FUL-01, FUL-05, FUL-06)."""

    order_id: UUID
    carrier: Text = ""
    tracking_number: Text = ""


@command("POST /shipments/{order_id}/deliver", permission="shipping")
class Deliver:
    """Record the arrival at the customer (FUL-07)."""

    order_id: UUID
    delivered_on: Day | None = None


@command("PATCH /shipments/{order_id}", permission="shipping")
class ChangeTracking:
    """Say by whom and under which number goods travel that have left, also where they left by themselves (FUL-06).

    A field left out keeps its value.
    """

    order_id: UUID
    carrier: Text | None = KEPT
    tracking_number: Text | None = KEPT


@command(None, permission="system", key="order_id")
class PrepareShipment:
    """Draw up the stock-out document; the warehouse confirms it (FUL-01, FUL-05)."""

    order_id: UUID
    round: Quantity
    number: Text
    customer: CustomerSnapshot
    lines: tuple[PackingLine, ...]


@command(None, permission="system", key="order_id")
class DispatchShipment:
    """The order is shipped: the goods are out (FUL-06)."""

    order_id: UUID
    round: Quantity
    number: Text
    customer: CustomerSnapshot
    lines: tuple[PackingLine, ...]
    carrier: Text = ""
    tracking_number: Text = ""


@command(None, permission="system", key="order_id")
class CancelShipment:
    """The order was called off before it left."""

    order_id: UUID
    round: Quantity


@event("salestream.shipping.shipment-prepared.v1", key="order_id")
class ShipmentPrepared:
    """The stock-out document is drawn up; the warehouse may hand the goods over."""

    order_id: UUID
    round: Quantity
    number: Text
    customer: CustomerSnapshot
    lines: tuple[PackingLine, ...]


@event("salestream.shipping.shipment-handed-over.v1", key="order_id")
class ShipmentHandedOver:
    """The warehouse gave the goods to logistics.  `handed_over_on`: the company's day; None in older events."""

    order_id: UUID
    round: Quantity
    carrier: Text = ""
    tracking_number: Text = ""
    by: Person = SALESTREAM
    handed_over_on: Day | None = None


@event("salestream.shipping.shipment-dispatched.v1", key="order_id")
class ShipmentDispatched:
    """The goods are out: the final stock-out document (FUL-05).  `left_on`: on which day; None in older events."""

    order_id: UUID
    round: Quantity
    number: Text
    customer: CustomerSnapshot
    lines: tuple[PackingLine, ...]
    carrier: Text = ""
    tracking_number: Text = ""
    operator: Person = SALESTREAM
    left_on: Day | None = None


@event("salestream.shipping.shipment-tracking-changed.v1", key="order_id")
class ShipmentTrackingChanged:
    """Goods that have left travel by this carrier, under this number, as it is now; `status`: how far they are."""

    order_id: UUID
    status: Literal["DISPATCHED", "DELIVERED"]
    carrier: Text
    tracking_number: Text
    by: Person = SALESTREAM


@event("salestream.shipping.shipment-delivered.v1", key="order_id")
class ShipmentDelivered:
    """The goods arrived; the shipment is closed."""

    order_id: UUID
    delivered_on: Day
    by: Person = SALESTREAM


@event("salestream.shipping.shipment-cancelled.v1", key="order_id")
class ShipmentCancelled:
    """The shipment will not leave.  If it `was_handed_over`, the carrier has the goods: they must be called back."""

    order_id: UUID
    round: Quantity
    was_handed_over: bool = False
