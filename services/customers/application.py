"""The customers service: the records it keeps, the commands that only they have, and how they go back to their pool."""

from collections.abc import Collection
from dataclasses import fields, replace
from typing import Any
from uuid import UUID

from chassis.model.recycling import Recycling
from chassis.model.service import Replica, Service, Work, all_merged, change, upsert
from contracts.customers import (
    CUSTOMER,
    BookPoints,
    Contact,
    CreateCustomer,
    CustomerMerged,
    CustomerUnmerged,
    RecycleCustomers,
    SetCustomerSettings,
    SetMembership,
    TakeOverLead,
)
from contracts.declare import REGISTRY
from contracts.errors import Refused, lacks_right, not_found
from contracts.leads import RecyclingRule
from contracts.orders import OrderCancelled, OrderChanged, OrderCompleted, OrderCreated
from contracts.records import kind_of
from services.customers.domain import (
    ContactRecord,
    Customer,
    CustomerSettings,
    MergedCustomer,
    OpenOrder,
    Takeover,
    takeover_id,
)

CONTACT = kind_of(Contact)
RIGHT = REGISTRY.command_of(CreateCustomer).permission
"""The right to enter customers."""

# -- which customers have an open order: those go back to no pool, and are not deleted (CUS-04, CUS-17)


def order_written(row: OpenOrder | None, fact: OrderCreated | OrderChanged) -> OpenOrder:
    if isinstance(fact, OrderCreated):
        return OpenOrder(fact.customer.customer_id, fact.number, fact.owner.user_id)
    before = row or OpenOrder(fact.customer.customer_id, str(fact.order_id))
    return replace(before, customer_id=fact.customer.customer_id)


def order_ended(_row: OpenOrder | None, _fact: object) -> None:
    """It is open no longer."""


OPEN_ORDERS = Replica(
    "open-orders",
    OpenOrder,
    feeds={
        OrderCreated: order_written,
        OrderChanged: order_written,
        OrderCompleted: order_ended,
        OrderCancelled: order_ended,
    },
)


def went_into(_: MergedCustomer | None, fact: CustomerMerged) -> MergedCustomer:
    return MergedCustomer(fact.customer_id, fact.merged_into)


def taken_out(_row: MergedCustomer | None, _fact: CustomerUnmerged) -> None:
    """It is one of its own again."""


MERGED_CUSTOMERS = Replica(
    "merged-customers", MergedCustomer, feeds={CustomerMerged: went_into, CustomerUnmerged: taken_out}
)


def with_open_orders(work: Work) -> Collection[UUID]:
    """Those that have one, or into which one went that has."""
    into = {row.id: row.into for row in work.rows(MERGED_CUSTOMERS)}
    found = set[UUID]()
    for row in work.rows(OPEN_ORDERS):
        id: UUID | None = row.customer_id
        while id is not None and id not in found:
            found.add(id)
            id = into.get(id)
    return found


RECYCLING = Recycling(Customer, kind_of(RecyclingRule), target="CUSTOMERS", spared=with_open_orders)


def keep_with_orders(customer: Customer, _: Any, work: Work) -> None:
    """One with an open order is not deleted (CUS-04), also where that is an order of one that went into it.

    All open orders are looked through: whose an order was before it was changed is not told, so no row stands by
    customer.  An order that was written at the same moment, of which nobody has heard here yet, is no harm: orders
    refuse to submit a draft for a customer that was deleted, and go on with their copy where that was before.
    """
    ids = {one.id for one in all_merged(customer, work)}
    customer.require_unordered([row for row in work.rows(OPEN_ORDERS) if row.customer_id in ids], work.context)


# -- a lead becomes a customer (LED-09)


def take_over_lead(command: TakeOverLead, work: Work) -> Takeover:
    """Enter the customer and the contact that a lead becomes, both or none; what can't be entered is told why."""
    takeover = work.find_or_new(Takeover, takeover_id(command.lead_id))
    if not takeover.is_answered(command):
        try:
            _enter(command, work.on_behalf_of(command.by, RIGHT))
        except Refused as refusal:
            work.take_back()
            takeover.turn_down(command, refusal, is_erased=work.is_erased(command.lead_id))
        else:
            takeover.agree(command)
    return takeover


def _enter(command: TakeOverLead, work: Work) -> None:
    """Enter both for whoever has converted the lead, by the rights of this moment.  Raises Refused."""
    if work.is_erased(command.lead_id):
        raise not_found("lead", "lead_id")
    for right in (RIGHT, CUSTOMER.view):
        if not work.context.may(right):
            raise lacks_right(right, work.context.organisation.roles_with(right))
    known = {one.name: getattr(command.customer, one.name) for one in fields(command.customer)}
    owner = command.owner.user_id
    heir = work.context.organisation.standing_in(owner) if owner else None  # nothing can be given to who has left
    enter = CreateCustomer(customer_id=command.customer_id, owner_id=heir, **known)
    SERVICE.commands[CreateCustomer](enter, work)
    customer = work.get(Customer, command.customer_id, what=CUSTOMER.what, field=CUSTOMER.key)
    customer.come_from(command.lead_id, work.context)
    known = {one.name: getattr(command.contact, one.name) for one in fields(command.contact)}
    enter = CONTACT.create(contact_id=command.contact_id, customer_id=command.customer_id, **known)
    SERVICE.commands[CONTACT.create](enter, work)
    contact = work.get(ContactRecord, command.contact_id, what=CONTACT.what, field=CONTACT.key)
    contact.come_from(command.lead_id, work.context)


SERVICE = Service(
    "customers",
    records=[Customer, ContactRecord],
    besides={CUSTOMER.delete: keep_with_orders},
    commands={
        SetMembership: change(Customer, Customer.set_membership),
        BookPoints: change(Customer, Customer.book_points),
        SetCustomerSettings: upsert(CustomerSettings, CustomerSettings.change),
        TakeOverLead: take_over_lead,
    },
    replicas=[OPEN_ORDERS, MERGED_CUSTOMERS, *RECYCLING.replicas],
    pages={"/settings/customers": CustomerSettings},
    schedules={RecycleCustomers: RECYCLING.run},
)
