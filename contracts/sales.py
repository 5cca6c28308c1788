"""Words that several services use of a sale: the customer as it was, who approves, goods that are missing."""

from typing import Literal
from uuid import UUID

from contracts.declare import value
from contracts.types import Sum, Text, Total

ApprovalNode = Literal["SUPERVISOR", "FINANCE"]


@value
class Shortage:
    """A line that stock can't cover (ORD-14)."""

    product_id: UUID
    wanted: Total
    on_hand: Sum


@value
class CustomerSnapshot:
    """The customer as it was when the order was written or submitted (ORD-11)."""

    customer_id: UUID
    name: Text
    phone: Text = ""
    address: Text = ""
    member: bool = False
