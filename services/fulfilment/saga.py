"""The order saga (FUL-02): from submission to delivery, step by step; read it top to bottom.

submission -> (approval) -> stock deduction -> (warehouse hand-over) -> shipping -> dispatch -> delivery

The order itself decides about approval, shipping and cancellation (services/orders/domain.py); the saga only carries
the word.  Called off - cancelled, withdrawn or rejected - it undoes what it began, last step first.
"""

from collections.abc import Sequence
from typing import Any

from chassis.model.saga import Process, Saga, Step, Turn
from contracts.approvals import AskedBecause, CaseApproved, CaseRejected, CloseCase, OpenCase, case_id_of
from contracts.fulfilment import FulfilmentAdvanced, FulfilmentStatus
from contracts.inventory import DeductStock, ReturnStock, StockDeducted, StockLine, StockShort
from contracts.orders import (
    ApproveOrder,
    CompleteDelivery,
    HoldOrder,
    OrderApproved,
    OrderCancelled,
    OrderDelivered,
    OrderRejected,
    OrderRetried,
    OrderShipped,
    OrderSubmitted,
    OrderWithdrawn,
    RejectOrder,
    ShipOrder,
)
from contracts.people import SALESTREAM
from contracts.sales import StepChange
from contracts.shipping import (
    CancelShipment,
    DispatchShipment,
    PackingLine,
    PrepareShipment,
    ShipmentDelivered,
    ShipmentDispatched,
    ShipmentHandedOver,
)


def needs_approval(order: OrderSubmitted) -> bool:
    return bool(order.route)


def warehouse_confirms(order: OrderSubmitted) -> bool:
    return order.shipping == "WAREHOUSE"


def open_case(order: OrderSubmitted, _turn: Turn) -> OpenCase:
    return OpenCase(
        case_id=case_id_of(order.order_id, order.round),
        order_id=order.order_id,
        round=order.round,
        number=order.number,
        customer_id=order.customer.customer_id,
        customer_name=order.customer.name,
        total=order.sale.total,
        route=order.route,
        submitter=order.submitter,
        superior_id=order.superior_id,
        because=(AskedBecause(rule="threshold", limit=order.threshold, value=order.sale.total),),
    )


def close_case(order: OrderSubmitted, stopped: Any) -> CloseCase:
    return CloseCase(
        case_id=case_id_of(order.order_id, order.round),
        order_id=order.order_id,
        reason="WITHDRAWN" if isinstance(stopped, OrderWithdrawn) else "CANCELLED",
        undecided=isinstance(stopped, OrderWithdrawn)
        or (isinstance(stopped, OrderCancelled) and stopped.was == "PENDING_APPROVAL"),
    )


def reject_order(order: OrderSubmitted, rejected: CaseRejected) -> RejectOrder:
    return RejectOrder(order_id=order.order_id, round=order.round, reason=rejected.reason, rejected_by=rejected.by)


def approve_order(order: OrderSubmitted, turn: Turn) -> ApproveOrder:
    approved = turn.kept(CaseApproved)
    by = approved.by if approved else SALESTREAM  # a case that was approved under the version before
    return ApproveOrder(order_id=order.order_id, round=order.round, approved_by=by)


def deduct_stock(order: OrderSubmitted, turn: Turn) -> DeductStock:
    lines = tuple(StockLine(product_id=line.product_id, quantity=line.quantity) for line in order.sale.lines)
    return DeductStock(order_id=order.order_id, round=order.round, attempt=turn.attempt, lines=lines)


def hold_order(order: OrderSubmitted, short: StockShort) -> HoldOrder:
    return HoldOrder(order_id=order.order_id, round=order.round, attempt=short.attempt, missing=short.missing)


def return_stock(order: OrderSubmitted, _stopped: Any) -> ReturnStock:
    return ReturnStock(order_id=order.order_id, round=order.round)


def packing_list(order: OrderSubmitted) -> tuple[PackingLine, ...]:
    """What goes into the parcel, accessories included (FUL-08)."""
    return tuple(
        PackingLine(
            product_id=line.product_id,
            quantity=line.quantity,
            name=line.name,
            model=line.model,
            accessories=line.accessories,
        )
        for line in order.sale.lines
    )


def prepare_shipment(order: OrderSubmitted, _turn: Turn) -> PrepareShipment:
    return PrepareShipment(
        order_id=order.order_id,
        round=order.round,
        number=order.number,
        customer=order.customer,
        lines=packing_list(order),
    )


def cancel_shipment(order: OrderSubmitted, _stopped: Any) -> CancelShipment:
    return CancelShipment(order_id=order.order_id, round=order.round)


def ship_order(order: OrderSubmitted, turn: Turn) -> ShipOrder:
    handed_over = turn.kept(ShipmentHandedOver)
    return ShipOrder(
        order_id=order.order_id,
        round=order.round,
        carrier=handed_over.carrier if handed_over else "",
        tracking_number=handed_over.tracking_number if handed_over else "",
        handed_over_by=handed_over.by if handed_over else SALESTREAM,
    )


def dispatch_shipment(order: OrderSubmitted, turn: Turn) -> DispatchShipment:
    handed_over = turn.kept(ShipmentHandedOver)
    return DispatchShipment(
        order_id=order.order_id,
        round=order.round,
        number=order.number,
        customer=order.customer,
        lines=packing_list(order),
        carrier=handed_over.carrier if handed_over else "",
        tracking_number=handed_over.tracking_number if handed_over else "",
    )


def complete_delivery(order: OrderSubmitted, turn: Turn) -> CompleteDelivery:
    delivered = turn.kept(ShipmentDelivered)
    assert delivered is not None, "the delivery step keeps the fact that ended it"
    return CompleteDelivery(order_id=order.order_id, delivered_on=delivered.delivered_on, delivered_by=delivered.by)


def report(process: Process, order: OrderSubmitted, changes: Sequence[tuple[str, str, str]]) -> FulfilmentAdvanced:
    """The public event that tells people where their order is."""
    return FulfilmentAdvanced(
        order_id=order.order_id,
        round=order.round,
        changes=tuple(
            StepChange(step=step, status=status, detail=detail)  # type: ignore[arg-type]
            for step, status, detail in changes
        ),
        status=_status(process),
        waiting_for=process.step,
    )


def _status(process: Process) -> FulfilmentStatus:
    if "UNDONE" in process.statuses.values():
        return "STOPPED"
    if process.statuses.get("record delivery") == "DONE":
        return "DELIVERED"
    if process.statuses.get("dispatch") == "DONE":
        return "SHIPPED"
    status = process.statuses.get(process.step)
    people = process.step and SAGA.named(process.step).people
    return "WAITING" if people or status in ("FAILED", "NEEDS_ATTENTION") else "RUNNING"


SAGA: Saga[OrderSubmitted] = Saga(
    name="order-fulfilment",
    starts=OrderSubmitted,
    steps=(
        Step(
            "approval",
            when=needs_approval,
            send=open_case,
            done=CaseApproved,
            failed={CaseRejected: reject_order},
            undo=close_case,
            people=True,
            keep=True,
        ),
        Step("approve order", when=needs_approval, send=approve_order, done=OrderApproved),
        Step(
            "deduct stock",
            send=deduct_stock,
            done=StockDeducted,
            failed={StockShort: hold_order},
            retried_by=OrderRetried,
            undo=return_stock,
        ),
        Step(
            "hand over",
            when=warehouse_confirms,
            send=prepare_shipment,
            done=ShipmentHandedOver,
            undo=cancel_shipment,
            people=True,
            keep=True,
        ),
        Step("ship order", send=ship_order, done=OrderShipped),
        Step("dispatch", send=dispatch_shipment, done=ShipmentDispatched),
        Step("delivery", done=ShipmentDelivered, people=True, keep=True),
        Step("record delivery", send=complete_delivery, done=OrderDelivered),
    ),
    stopped_by=(OrderCancelled, OrderWithdrawn, OrderRejected),
    key_of=lambda fact: fact.order_id,
    reports=FulfilmentAdvanced,
    report=report,
    round_of=lambda fact: getattr(fact, "round", None),
)
