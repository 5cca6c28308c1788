"""The order saga's progress (feature FUL-02).  Aggregate: the saga's process, one per order."""

from typing import Literal
from uuid import UUID

from contracts.declare import event
from contracts.sales import StepChange
from contracts.types import Quantity, Text

FulfilmentStatus = Literal["RUNNING", "WAITING", "SHIPPED", "DELIVERED", "STOPPED"]


@event("salestream.fulfilment.fulfilment-advanced.v1", key="order_id")
class FulfilmentAdvanced:
    """The saga of an order moved: what changed, the step it is at now and what it waits for (FUL-02)."""

    order_id: UUID
    round: Quantity
    changes: tuple[StepChange, ...]
    status: FulfilmentStatus
    waiting_for: Text = ""
