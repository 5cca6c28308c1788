"""Customers as far as an order needs them (features CUS-01..03, CUS-21).  Aggregates: customer, mobile index."""

from dataclasses import field
from typing import Literal
from uuid import UUID

from contracts.declare import KEPT, command, event, value
from contracts.ids import new_id
from contracts.people import SALESTREAM, Person
from contracts.personal import Personal
from contracts.types import Flag, Note, Phone, Tag, Text, Whole

CustomerField = Literal[
    "name", "mobile", "industry", "company", "contact_person", "address", "region", "importance", "customer_type",
    "need", "category", "source",
]  # fmt: skip


@value
class CustomerData:
    """All that is known of a customer (CUS-01)."""

    name: Personal[Text] = ""
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
    tags: tuple[Text, ...] = ()


@value
class Membership:
    """A customer's place in the member scheme (CUS-21); `level` and `points` mean nothing while not a member."""

    member: Flag = False
    level: Text = ""
    points: Whole = 0


@command("POST /customers", permission="customers.edit", key="customer_id", creates=True)
class CreateCustomer:
    """Save a new customer; the fields named in the customer settings must be filled (CUS-01, CUS-02)."""

    customer_id: UUID = field(default_factory=new_id)
    name: Personal[Text] = ""
    mobile: Personal[Phone] | None = None
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
    tags: tuple[Tag, ...] = ()


@command("PATCH /customers/{customer_id}", permission="customers.edit")
class EditCustomer:
    """Change a customer; a field left out keeps its value (CUS-03)."""

    customer_id: UUID
    name: Personal[Text] | None = KEPT
    mobile: Personal[Phone] | None = KEPT
    industry: Text | None = KEPT
    company: Text | None = KEPT
    contact_person: Personal[Text] | None = KEPT
    address: Personal[Text] | None = KEPT
    region: Text | None = KEPT
    importance: Text | None = KEPT
    customer_type: Text | None = KEPT
    need: Personal[Note] | None = KEPT
    category: Text | None = KEPT
    source: Text | None = KEPT
    tags: tuple[Tag, ...] | None = KEPT


@command("PUT /customers/{customer_id}/membership", permission="customers.edit")
class SetMembership:
    """Make a customer a member, or end it; members get the member price (CUS-21)."""

    customer_id: UUID
    member: Flag
    level: Text = ""
    points: Whole = 0


@command("PUT /settings/customers", permission="settings", key="settings_id")
class SetCustomerSettings:
    """Say which fields must be filled on every customer (CUS-02).

    A field left out keeps its value.
    """

    required: tuple[CustomerField, ...] = KEPT
    settings_id: Literal["customers"] = "customers"


@event("salestream.customers.customer-created.v1", key="customer_id")
class CustomerCreated:
    """A customer was saved."""

    customer_id: UUID
    data: CustomerData
    owner: Person
    by: Person = SALESTREAM


@event("salestream.customers.customer-edited.v1", key="customer_id")
class CustomerEdited:
    """A customer's data changed; all values as they are now."""

    customer_id: UUID
    data: CustomerData
    by: Person = SALESTREAM


@event("salestream.customers.membership-set.v1", key="customer_id")
class MembershipSet:
    """A customer became a member, stopped being one, or changed level or points."""

    customer_id: UUID
    membership: Membership
    by: Person = SALESTREAM


@event("salestream.customers.customer-settings-set.v1", key="settings_id")
class CustomerSettingsSet:
    """The fields that must be filled on every customer changed."""

    settings_id: Text
    required: tuple[Text, ...]
    by: Person = SALESTREAM
