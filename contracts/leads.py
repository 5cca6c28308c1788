"""Leads: who may become a customer (features LED-01..08, LED-12, LED-14), and when they go back to their pool (CUS-16).

Aggregates: lead, recycling rule, places, turn, reminder.
"""

from datetime import time
from typing import Literal

from contracts.personal import Personal
from contracts.pools import Pool
from contracts.records import data, record
from contracts.schedules import Daily, schedule
from contracts.statuses import Statuses, Step
from contracts.types import Email, Flag, Name, Note, Phone, Quantity, Text

LEAD_STATUSES = Statuses(
    "OWNED",
    Step("INVALID", after=("OWNED",), reason=True),
    Step("OWNED", after=("INVALID",), right="leads.assign", reason=True),
    pooled="POOL",
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
