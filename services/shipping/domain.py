"""The rules of shipments: stock-out document, hand-over to logistics, departure, arrival (FUL-01, FUL-04..08).

A shipment follows its order: it is prepared (warehouse-confirmed flow) and handed over, but leaves only when the order
has become SHIPPED.  What the saga commands twice or late changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, Self

from chassis.model.aggregates import Aggregate, applies
from chassis.model.context import Context
from contracts.declare import KEPT
from contracts.errors import Refused, not_found
from contracts.orders import (
    OrderApproved,
    OrderCancelled,
    OrderChanged,
    OrderCompleted,
    OrderCreated,
    OrderRejected,
    OrderShipped,
    OrderStatus,
    OrderWithdrawn,
)
from contracts.people import SALESTREAM, Person
from contracts.reasons import Why
from contracts.shipping import (
    CancelShipment,
    ChangeTracking,
    Deliver,
    DispatchShipment,
    HandOver,
    PrepareShipment,
    ShipmentCancelled,
    ShipmentDelivered,
    ShipmentDispatched,
    ShipmentHandedOver,
    ShipmentPrepared,
    ShipmentTrackingChanged,
)

ShipmentStatus = Literal["NEW", "PREPARED", "HANDED_OVER", "DISPATCHED", "DELIVERED", "CANCELLED"]


@dataclass(frozen=True)
class OrderSeen:
    """What shipments know of an order: its status, and the one it had before it was put on hold."""

    status: OrderStatus
    before_hold: OrderStatus = "SUBMITTED"


STATUS_AFTER: dict[type, OrderStatus] = {
    OrderCreated: "DRAFT",
    OrderChanged: "DRAFT",
    OrderWithdrawn: "DRAFT",
    OrderApproved: "APPROVED",
    OrderRejected: "REJECTED",
    OrderShipped: "SHIPPED",
    OrderCompleted: "COMPLETED",
    OrderCancelled: "CANCELLED",
}

NOT_READY: dict[OrderStatus, Why] = {
    "DRAFT": Why("shipping.draft"),
    "PENDING_APPROVAL": Why("shipping.pending"),
    "REJECTED": Why("shipping.rejected"),
    "SUBMITTED": Why("shipping.not_ready"),
    "APPROVED": Why("shipping.not_ready"),
    "ON_HOLD": Why("shipping.waits_for_stock"),
    "SHIPPED": Why("shipping.being_written"),
    "COMPLETED": Why("shipping.completed"),
    "CANCELLED": Why("shipping.cancelled"),
}


TAKEN_IN: Mapping[type, tuple[ShipmentStatus, ...]] = {
    HandOver: ("PREPARED",),
    Deliver: ("DISPATCHED",),
    ChangeTracking: ("DISPATCHED", "DELIVERED"),
}
"""The statuses in which a shipment takes a command."""


def not_ready(order: OrderSeen | None) -> Refused:
    """The refusal for an order without a shipment (FUL-04): it is not ready, or there is no such order."""
    if order is None:
        return not_found("order", "order_id")
    return Refused.by(NOT_READY[order.status], state=order.status)


@dataclass
class Shipment(Aggregate):
    """The goods of an order on their way; its id is the order's.  `round` is the submission round it belongs to."""

    status: ShipmentStatus = "NEW"
    round: int = 0
    carrier: str = ""
    tracking_number: str = ""
    operator: Person = SALESTREAM
    left_on: date | None = None

    @classmethod
    def on_page(cls, row: Mapping[str, Any]) -> Self:
        shipment = super().on_page(row)
        shipment.status = row["status"]
        return shipment

    def require_may(self, command: type, context: Context) -> None:
        """By its status; one is called off with its order, which tells more."""
        if self.status == "CANCELLED":
            raise not_ready(OrderSeen("CANCELLED"))
        if self.status not in TAKEN_IN[command]:
            raise Refused("shipping.status", states=[*TAKEN_IN[command]], state=self.status)

    def prepare(self, command: PrepareShipment, _: Context) -> None:
        """Draw up the stock-out document, once a round (FUL-01, FUL-05, FUL-08)."""
        if self.status not in ("DISPATCHED", "DELIVERED") and command.round > self.round:
            self.record(
                ShipmentPrepared(
                    order_id=self.id,
                    round=command.round,
                    number=command.number,
                    customer=command.customer,
                    lines=command.lines,
                )
            )

    def hand_over(self, command: HandOver, order: OrderSeen | None, context: Context) -> None:
        """The warehouse gives the goods to logistics (FUL-05, FUL-06); not those of an order that was called off."""
        self.require_may(HandOver, context)
        if order is not None and order.status == "CANCELLED":
            raise not_ready(order)
        self.record(
            ShipmentHandedOver(
                order_id=self.id,
                round=self.round,
                carrier=command.carrier,
                tracking_number=command.tracking_number,
                by=context.user,
                handed_over_on=context.today,
            )
        )

    def dispatch(self, command: DispatchShipment, context: Context) -> None:
        """The order is shipped, so the goods are out; who handed them over is the operator (FUL-05)."""
        if self.status in ("DISPATCHED", "DELIVERED"):
            return
        handed_over = self.status == "HANDED_OVER" and self.round == command.round
        self.record(
            ShipmentDispatched(
                order_id=self.id,
                round=command.round,
                number=command.number,
                customer=command.customer,
                lines=command.lines,
                carrier=command.carrier or (self.carrier if handed_over else ""),
                tracking_number=command.tracking_number or (self.tracking_number if handed_over else ""),
                operator=self.operator if handed_over else SALESTREAM,
                left_on=(self.left_on if handed_over else None) or context.today,
            )
        )

    def change_tracking(self, command: ChangeTracking, context: Context) -> None:
        """Who carries the goods is often known only after they have left (FUL-06)."""
        self.require_may(ChangeTracking, context)
        carrier = self.carrier if command.carrier is KEPT else command.carrier or ""
        number = self.tracking_number if command.tracking_number is KEPT else command.tracking_number or ""
        if (carrier, number) != (self.carrier, self.tracking_number):
            self.record(
                ShipmentTrackingChanged(
                    order_id=self.id,
                    status="DELIVERED" if self.status == "DELIVERED" else "DISPATCHED",
                    carrier=carrier,
                    tracking_number=number,
                    by=context.user,
                )
            )

    def cancel(self, command: CancelShipment, _: Context) -> None:
        """The order was called off before the goods left."""
        if self.status in ("PREPARED", "HANDED_OVER") and command.round == self.round:
            handed_over = self.status == "HANDED_OVER"
            self.record(ShipmentCancelled(order_id=self.id, round=self.round, was_handed_over=handed_over))

    def deliver(self, command: Deliver, context: Context) -> None:
        """The goods arrived (FUL-07): not before the day on which they left, and not later than today."""
        self.require_may(Deliver, context)
        left_on = self.left_on or date.min
        latest = max(context.today, left_on)  # a zone that was changed meanwhile may have set today back
        if command.delivered_on is not None and not left_on <= command.delivered_on <= latest:
            if self.left_on is None:
                raise Refused("shipping.delivered_by", latest=latest, field="delivered_on")
            raise Refused("shipping.delivered_between", earliest=left_on, latest=latest, field="delivered_on")
        self.record(ShipmentDelivered(order_id=self.id, delivered_on=command.delivered_on or latest, by=context.user))

    def reply(self) -> dict[str, Any]:
        return {"status": self.status}

    # -- memory

    @applies(ShipmentPrepared)
    def _prepared(self, fact: ShipmentPrepared) -> None:
        self.status, self.round = "PREPARED", fact.round

    @applies(ShipmentHandedOver)
    def _handed_over(self, fact: ShipmentHandedOver) -> None:
        self.status, self.operator, self.left_on = "HANDED_OVER", fact.by, fact.handed_over_on
        self.carrier, self.tracking_number = fact.carrier, fact.tracking_number

    @applies(ShipmentDispatched)
    def _dispatched(self, fact: ShipmentDispatched) -> None:
        self.status, self.round, self.operator, self.left_on = "DISPATCHED", fact.round, fact.operator, fact.left_on
        self.carrier, self.tracking_number = fact.carrier, fact.tracking_number

    @applies(ShipmentTrackingChanged)
    def _tracked(self, fact: ShipmentTrackingChanged) -> None:
        self.carrier, self.tracking_number = fact.carrier, fact.tracking_number

    @applies(ShipmentDelivered)
    def _delivered(self, _: ShipmentDelivered) -> None:
        self.status = "DELIVERED"

    @applies(ShipmentCancelled)
    def _cancelled(self, _: ShipmentCancelled) -> None:
        self.status = "CANCELLED"
