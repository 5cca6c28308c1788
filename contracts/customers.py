"""Customers as far as an order needs them (features CUS-01..04, CUS-12..14, CUS-21), and contacts (CUS-18, CUS-19).

Aggregates: customer, contact, mobile index, settings.
"""

from datetime import time
from typing import Literal
from uuid import UUID

from contracts.declare import KEPT, command, event, value
from contracts.people import SALESTREAM, Person
from contracts.personal import Personal
from contracts.pools import Pool
from contracts.records import data, kind_of, record
from contracts.sales import FutureContact, FutureCustomer
from contracts.schedules import Daily, schedule
from contracts.settings import DEFAULTS
from contracts.types import (
    Birthday,
    Email,
    Flag,
    Movement,
    Name,
    Note,
    Phone,
    Quantity,
    QuantityChange,
    Reason,
    Tag,
    Text,
    Whole,
)

CustomerField = Literal[
    "name", "mobile", "industry", "company", "contact_person", "address", "region", "importance", "customer_type",
    "need", "category", "source",
]  # fmt: skip


@record(
    "/customers",
    view="customers.view",
    edit="customers.edit",
    owned=True,
    name="Customer",
    tells_changes_always=False,
    wanted=DEFAULTS["customers"]["required"],
    pool=Pool(claim="leads.claim", assign="leads.assign"),
    together=("company", "contact_person"),
    merge="customers.merge",
)
class CustomerData:
    """All that is known of a customer (CUS-01..04, CUS-14).

    The fields that the customer settings name must be filled.  No two have the same mobile number, or the same company
    and contact person (CUS-22), and two that are the same are merged.  One with an open order can't be deleted.
    Whoever deletes a customer frees these; closed orders keep their own copy of it, and no order can be entered or
    submitted for it any more.
    """

    name: Personal[Text] = data(default="", filterable=True, sortable=True)
    mobile: Personal[Text] = data(default="", unique=True, index="customer-mobile", given=Personal[Phone] | None)
    industry: Text = data(default="", dictionary="industries", free=True, searchable=False)
    company: Text = data(default="", filterable=True, sortable=True)
    contact_person: Personal[Text] = data(default="", filterable=True, searchable=False)
    address: Personal[Text] = data(default="", searchable=False)
    region: Text = data(default="", dictionary="regions", free=True, searchable=False, sortable=False)
    importance: Text = data(default="", dictionary="importance", free=True, searchable=False, sortable=False)
    customer_type: Text = data(default="", dictionary="customer_types", free=True, searchable=False, sortable=False)
    need: Personal[Note] = ""
    category: Text = data(default="", dictionary="customer_categories", free=True, searchable=False, sortable=False)
    source: Text = data(default="", dictionary="customer_sources", free=True, searchable=False, sortable=False)
    tags: tuple[Text, ...] = data(
        default=(), given=tuple[Tag, ...], dictionary="customer_tags", free=True, searchable=False
    )


CUSTOMER = kind_of(CustomerData)
CreateCustomer, EditCustomer = CUSTOMER.create, CUSTOMER.edit
CustomerCreated, CustomerEdited, CustomerAssigned = CUSTOMER.created, CUSTOMER.edited, CUSTOMER.assigned
CustomerDeleted, CustomerRestored, CustomerShared = CUSTOMER.deleted, CUSTOMER.restored, CUSTOMER.shared
MergeCustomer, UnmergeCustomer = CUSTOMER.merge, CUSTOMER.unmerge
CustomerMerged, CustomerUnmerged, CustomerJoined = CUSTOMER.merged, CUSTOMER.unmerged, CUSTOMER.joined


@record("/contacts", view="customers.view", edit="customers.edit", reached_through="customer_id")
class Contact:
    """A person at a customer (CUS-18), in any of the company's groups of contacts (CUS-19).

    Whoever sees the customer sees its contacts, and whoever may change it changes them.  The flag tells whom to turn to
    first; a customer with several offices may have several such.
    """

    customer_id: UUID = data(record="customer")
    name: Personal[Name]
    title: Personal[Text] = ""
    phone: Personal[Phone] | None = None
    mobile: Personal[Phone] | None = data(default=None, filterable=True)
    email: Personal[Email] | None = data(default=None, filterable=True)
    birthday: Personal[Birthday] | None = data(default=None, searchable=False)
    is_main: Flag = False
    tags: tuple[Text, ...] = data(
        default=(), given=tuple[Tag, ...], dictionary="contact_groups", searchable=False, filterable=True
    )


@value
class Membership:
    """A customer's place in the member scheme (CUS-21); `level` and `points` mean nothing while not a member."""

    member: Flag = False
    level: Text = ""
    points: Whole = 0


@command("PUT /customers/{customer_id}/membership", permission="customers.edit")
class SetMembership:
    """Make a customer a member, or end it; members get the member price (CUS-21).

    Level and points of a member that are left out stay what they are.
    """

    customer_id: UUID
    member: Flag
    level: Text = KEPT
    points: Whole = KEPT


@command("POST /customers/{customer_id}/points", permission="customers.edit")
class BookPoints:
    """Give a member points, or take some, and say why (CUS-21): of two who do so at once both count."""

    customer_id: UUID
    change: QuantityChange
    reason: Reason


@command("PUT /settings/customers", permission="settings", key="settings_id")
class SetCustomerSettings:
    """Say which fields must be filled on every customer (CUS-02).

    A field left out keeps its value.
    """

    required: tuple[CustomerField, ...] = KEPT
    settings_id: Literal["customers"] = "customers"


@event("salestream.customers.membership-set.v1", key="customer_id")
class MembershipSet:
    """A customer became a member, stopped being one, or changed level or points."""

    customer_id: UUID
    membership: Membership
    by: Person = SALESTREAM


@event("salestream.customers.points-booked.v1", key="customer_id")
class PointsBooked:
    """A member was given points, or some were taken; `points` are those there are now (CUS-21)."""

    customer_id: UUID
    change: Movement
    points: Whole
    reason: Personal[Note]
    by: Person = SALESTREAM


@event("salestream.customers.customer-settings-set.v1", key="settings_id")
class CustomerSettingsSet:
    """The fields that must be filled on every customer changed."""

    settings_id: Text
    required: tuple[Text, ...]
    by: Person = SALESTREAM
    revision: Whole = 0


@command(None, permission="system", key="lead_id")
class TakeOverLead:
    """Enter the customer and the contact that a lead becomes, both or none, once for each round (LED-09)."""

    lead_id: UUID
    round: Quantity
    customer_id: UUID
    contact_id: UUID
    owner: Person
    customer: FutureCustomer
    contact: FutureContact
    by: Person


@event("salestream.customers.customer-came-from-lead.v1", key="customer_id")
class CustomerCameFromLead:
    """A customer was a lead before (LED-13)."""

    customer_id: UUID
    lead_id: UUID
    by: Person = SALESTREAM


@event("salestream.customers.contact-came-from-lead.v1", key="contact_id")
class ContactCameFromLead:
    """A contact was entered with the customer that a lead became (LED-13, CUS-18)."""

    contact_id: UUID
    lead_id: UUID
    by: Person = SALESTREAM


@event("salestream.customers.lead-taken-over.v1", key="lead_id")
class LeadTakenOver:
    """The customer and the contact that a lead becomes are there (LED-09)."""

    lead_id: UUID
    round: Quantity
    customer_id: UUID
    contact_id: UUID


@event("salestream.customers.lead-turned-down.v1", key="lead_id")
class LeadTurnedDown:
    """The customer that a lead was to become can't be entered: the code, the reason and, as JSON, its parameters."""

    lead_id: UUID
    round: Quantity
    code: Text
    refused_for: Text
    params: Personal[Note]


@schedule(Daily(time(3)))
class RecycleCustomers:
    """Give the customers back to the pool that nobody has worked on, and remind of those that soon go back (CUS-17).

    Those with an open order stay where they are.
    """
