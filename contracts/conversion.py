"""How far the conversion of a lead has come (LED-09).  Aggregate: the saga's process, one for each lead."""

from typing import Literal
from uuid import UUID

from contracts.declare import event
from contracts.sales import StepChange
from contracts.types import Quantity, Text

ConversionStatus = Literal["RUNNING", "WAITING", "CONVERTED", "REFUSED"]


@event("salestream.conversion.conversion-advanced.v1", key="lead_id")
class ConversionAdvanced:
    """The conversion of a lead moved: what changed, and the step it is at now (LED-09)."""

    lead_id: UUID
    round: Quantity
    changes: tuple[StepChange, ...]
    status: ConversionStatus
    waiting_for: Text = ""
