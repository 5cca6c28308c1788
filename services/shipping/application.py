"""The shipping service: what it does on each command about shipments, and what it knows of orders.

The order saga lives in this service too; it is driven by events, not by commands.
"""

from uuid import UUID

from chassis.model.service import Replica, Service, Work, upsert
from contracts.orders import (
    OrderApproved,
    OrderCancelled,
    OrderChanged,
    OrderCompleted,
    OrderCreated,
    OrderHeld,
    OrderRejected,
    OrderRetried,
    OrderShipped,
    OrderSubmitted,
    OrderWithdrawn,
)
from contracts.shipping import CancelShipment, ChangeTracking, Deliver, DispatchShipment, HandOver, PrepareShipment
from services.shipping.domain import STATUS_AFTER, OrderSeen, Shipment, not_ready

# -- what it knows of orders


def order_moved(_: OrderSeen | None, fact: object) -> OrderSeen:
    return OrderSeen(status=STATUS_AFTER[type(fact)])


def order_submitted(_: OrderSeen | None, fact: OrderSubmitted) -> OrderSeen:
    return OrderSeen(status=fact.status)


def order_held(_: OrderSeen | None, fact: OrderHeld) -> OrderSeen:
    return OrderSeen(status="ON_HOLD")


def order_retried(_: OrderSeen | None, fact: OrderRetried) -> OrderSeen:
    return OrderSeen(status=fact.status)


ORDERS = Replica(
    "orders",
    OrderSeen,
    feeds={
        OrderCreated: order_moved,
        OrderChanged: order_moved,
        OrderSubmitted: order_submitted,
        OrderWithdrawn: order_moved,
        OrderApproved: order_moved,
        OrderRejected: order_moved,
        OrderHeld: order_held,
        OrderRetried: order_retried,
        OrderShipped: order_moved,
        OrderCompleted: order_moved,
        OrderCancelled: order_moved,
    },
)


# -- commands that depend on the order


def shipment_of(order_id: UUID, work: Work) -> tuple[Shipment, OrderSeen | None]:
    """The shipment and its order.  Raises Refused when there is no shipment."""
    shipment, order = work.find(Shipment, order_id), work.lookup(ORDERS, order_id)
    if shipment is None:
        raise not_ready(order)
    return shipment, order


def hand_over(command: HandOver, work: Work) -> Shipment:
    shipment, order = shipment_of(command.order_id, work)
    shipment.hand_over(command, order, work.context)
    return shipment


def deliver(command: Deliver, work: Work) -> Shipment:
    shipment, _ = shipment_of(command.order_id, work)
    shipment.deliver(command, work.context)
    return shipment


def change_tracking(command: ChangeTracking, work: Work) -> Shipment:
    shipment, _ = shipment_of(command.order_id, work)
    shipment.change_tracking(command, work.context)
    return shipment


# -- commands that the shipment decides by itself

prepare_shipment = upsert(Shipment, Shipment.prepare)
dispatch_shipment = upsert(Shipment, Shipment.dispatch)
cancel_shipment = upsert(Shipment, Shipment.cancel)


SERVICE = Service(
    "shipping",
    commands={
        HandOver: hand_over,
        ChangeTracking: change_tracking,
        Deliver: deliver,
        PrepareShipment: prepare_shipment,
        DispatchShipment: dispatch_shipment,
        CancelShipment: cancel_shipment,
    },
    replicas=[ORDERS],
    pages={"/shipments/{order_id}": Shipment},
)
