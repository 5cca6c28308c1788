"""Leads: who may become a customer, and does (LED-01..14), and when they go back to their pool (CUS-16).

Aggregates: lead, recycling rule, places, turn, reminder.
"""

from datetime import time
from typing import Literal
from uuid import UUID

from contracts.custom_fields import GivenOwn
from contracts.declare import KEPT, command, event
from contracts.people import SALESTREAM, Person
from contracts.personal import Personal
from contracts.pools import Pool
from contracts.records import data, record
from contracts.sales import FutureContact, FutureCustomer
from contracts.schedules import Daily, schedule
from contracts.statuses import Statuses, Step
from contracts.types import Email, Flag, Name, Note, Phone, Quantity, Text

LEAD_STATUSES = Statuses(
    "OWNED",
    Step("INVALID", after=("OWNED",), reason=True),
    Step("OWNED", after=("INVALID",), right="leads.assign", reason=True),
    pooled="POOL",
    becomes="CONVERTED",
)
"""A lead that was closed as worthless is taken up again by who assigns leads: it takes a place of its owner anew."""


@record(
    "/leads",
    view="leads.view",
    edit="leads.edit",
    owned=True,
    statuses=LEAD_STATUSES,
    pool=Pool(claim="leads.claim", assign="leads.assign"),
)
class Lead:
    """Somebody who may become a customer (LED-08, LED-12, LED-14)."""

    name: Personal[Name]
    company: Text = data(default="", sortable=True)
    phone: Personal[Phone] | None = None
    email: Personal[Email] | None = None
    source: Text = data(default="", dictionary="customer_sources")
    industry: Text = data(default="", dictionary="industries")
    need: Personal[Note] = ""
    quotation: Personal[Note] = ""
    remark: Personal[Note] = ""


RecyclingTarget = Literal["LEADS", "CUSTOMERS", "BOTH"]


@record("/recycling-rules", view="settings.view", edit="settings")
class RecyclingRule:
    """After how many days without work what goes back to its pool (LED-06, CUS-16).

    Whose a record is, is reminded `remind_days` before.
    """

    name: Name = data(unique=True)
    target: RecyclingTarget
    idle_days: Quantity
    remind_days: Quantity | None = None
    importance: Text = data(default="", dictionary="importance")
    active: Flag = True


@schedule(Daily(time(3)))
class RecycleLeads:
    """Give the leads back to the pool that nobody has worked on, and remind of those that soon go back (LED-06)."""


# -- a lead becomes a customer (LED-09..11) -----------------------------------------------------------------------


@command("POST /leads/{lead_id}/conversion", permission="leads.edit")
class ConvertLead:
    """Turn a lead into a customer with a contact (LED-09); what is left out is as the lead has it.

    Owner and customer name are those of the lead: they may be told, and not changed (LED-10).
    """

    lead_id: UUID
    owner_id: UUID | None = KEPT
    customer_name: Personal[Text] = KEPT
    create_opportunity: Flag = False
    opportunity_name: Personal[Text] = ""
    mobile: Personal[Phone] | None = KEPT
    company: Text = KEPT
    contact_person: Personal[Text] = KEPT
    address: Personal[Text] = KEPT
    industry: Text = KEPT
    region: Text = KEPT
    importance: Text = KEPT
    customer_type: Text = KEPT
    category: Text = KEPT
    source: Text = KEPT
    need: Personal[Note] = KEPT
    own: Personal[GivenOwn] = ""


@command(None, permission="system", key="lead_id")
class CloseLead:
    """The customer is there: the lead is one no more (LED-11)."""

    lead_id: UUID
    round: Quantity
    customer_id: UUID
    contact_id: UUID
    by: Person


@command(None, permission="system", key="lead_id")
class ReopenLead:
    """The customer could not be entered: the lead is what it was, and tells why."""

    lead_id: UUID
    round: Quantity
    code: Text
    refused_for: Text
    params: Personal[Note]
    by: Person


@event("salestream.leads.lead-conversion-begun.v1", key="lead_id")
class LeadConversionBegun:
    """A lead is to become a customer with a contact: what they are to be (LED-09).

    `round`: how often that was asked for.
    """

    lead_id: UUID
    round: Quantity
    customer_id: UUID
    contact_id: UUID
    owner: Person
    customer: FutureCustomer
    contact: FutureContact
    by: Person = SALESTREAM


@event("salestream.leads.lead-conversion-refused.v1", key="lead_id")
class LeadConversionRefused:
    """A lead did not become a customer, and is what it was: the code, the reason and, as JSON, its parameters."""

    lead_id: UUID
    round: Quantity
    code: Text
    refused_for: Text
    params: Personal[Note]
    by: Person = SALESTREAM


@event("salestream.leads.lead-converted.v1", key="lead_id")
class LeadConverted:
    """A lead has become a customer with a contact (LED-09, LED-13)."""

    lead_id: UUID
    round: Quantity
    customer_id: UUID
    contact_id: UUID
    by: Person = SALESTREAM
