"""The order saga's progress (feature FUL-02).  Aggregate: the saga's process, one per order."""

from typing import Literal
from uuid import UUID

from contracts.declare import event, value
from contracts.types import Note, Quantity, Text

StepStatus = Literal["STARTED", "DONE", "FAILED", "UNDONE", "NEEDS_ATTENTION"]
FulfilmentStatus = Literal["RUNNING", "WAITING", "SHIPPED", "DELIVERED", "STOPPED"]


@value
class StepChange:
    """A step of the saga changed."""

    step: Text
    status: StepStatus
    detail: Note = ""


@event("salestream.fulfilment.fulfilment-advanced.v1", key="order_id")
class FulfilmentAdvanced:
    """The saga of an order moved: what changed, the step it is at now and what it waits for (FUL-02)."""

    order_id: UUID
    round: Quantity
    changes: tuple[StepChange, ...]
    status: FulfilmentStatus
    waiting_for: Text = ""
