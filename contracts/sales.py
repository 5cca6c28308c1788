"""Words that several services use of a sale: the customer as it was, who approves, goods that are missing."""

from typing import Literal
from uuid import UUID

from contracts.declare import value
from contracts.personal import Personal
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

    about_person = "customer_id"

    customer_id: UUID
    name: Personal[Text]
    phone: Personal[Text] = ""
    address: Personal[Text] = ""
    member: bool = False
