"""Words that several services use of a sale: the customer as it was or is to be, who approves, goods that are missing,
and how far a process over several services has come."""

from typing import Literal
from uuid import UUID

from contracts.custom_fields import Own
from contracts.declare import value
from contracts.personal import Personal
from contracts.types import Email, Flag, Name, Note, Phone, Sum, Text, Total

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


@value
class FutureCustomer:
    """What a customer is to be that a lead becomes (LED-09); `own`: its own fields, as they were given."""

    name: Personal[Text]
    mobile: Personal[Text] = ""
    industry: Text = ""
    company: Text = ""
    contact_person: Personal[Text] = ""
    address: Personal[Text] = ""
    region: Text = ""
    importance: Text = ""
    customer_type: Text = ""
    need: Personal[Note] = ""
    category: Text = ""
    source: Text = ""
    own: Personal[Own] = ""


@value
class FutureContact:
    """What the contact is to be that is entered with such a customer (LED-09)."""

    name: Personal[Name]
    phone: Personal[Phone] | None = None
    mobile: Personal[Phone] | None = None
    email: Personal[Email] | None = None
    is_main: Flag = True


StepStatus = Literal["STARTED", "DONE", "FAILED", "UNDONE", "NEEDS_ATTENTION"]


@value
class StepChange:
    """A step of the saga changed."""

    step: Text
    status: StepStatus
    detail: Note = ""
