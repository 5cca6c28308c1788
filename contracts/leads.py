"""Leads: who may become a customer (features LED-01..08, LED-12, LED-14).  Aggregates: lead, places."""

from contracts.personal import Personal
from contracts.pools import Pool
from contracts.records import data, record
from contracts.statuses import Statuses, Step
from contracts.types import Email, Name, Note, Phone, Text

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
