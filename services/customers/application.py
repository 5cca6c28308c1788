"""The customers service: the records it keeps, the commands that only they have, and how they go back to their pool."""

from collections.abc import Collection
from uuid import UUID

from chassis.model.recycling import Recycling
from chassis.model.service import Replica, Service, Work, change, upsert
from contracts.customers import RecycleCustomers, SetCustomerSettings, SetMembership
from contracts.leads import RecyclingRule
from contracts.orders import OrderCancelled, OrderChanged, OrderCompleted, OrderCreated
from contracts.records import kind_of
from services.customers.domain import ContactRecord, Customer, CustomerSettings, OpenOrder

# -- which customers have an open order: those go back to no pool (CUS-04, CUS-17)


def order_written(_: OpenOrder | None, fact: OrderCreated | OrderChanged) -> OpenOrder:
    return OpenOrder(fact.customer.customer_id)


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


def with_open_orders(work: Work) -> Collection[UUID]:
    return {row.customer_id for row in work.rows(OPEN_ORDERS)}


RECYCLING = Recycling(Customer, kind_of(RecyclingRule), target="CUSTOMERS", spared=with_open_orders)

SERVICE = Service(
    "customers",
    records=[Customer, ContactRecord],
    commands={
        SetMembership: change(Customer, Customer.set_membership),
        SetCustomerSettings: upsert(CustomerSettings, CustomerSettings.change),
    },
    replicas=[OPEN_ORDERS, *RECYCLING.replicas],
    pages={"/settings/customers": CustomerSettings},
    schedules={RecycleCustomers: RECYCLING.run},
)
