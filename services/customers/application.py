"""The customers service: the records it keeps, and the commands that only they have."""

from chassis.model.service import Service, change, upsert
from contracts.customers import SetCustomerSettings, SetMembership
from services.customers.domain import ContactRecord, Customer, CustomerSettings

SERVICE = Service(
    "customers",
    records=[Customer, ContactRecord],
    commands={
        SetMembership: change(Customer, Customer.set_membership),
        SetCustomerSettings: upsert(CustomerSettings, CustomerSettings.change),
    },
)
