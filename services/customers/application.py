"""The customers service: its commands, one line each."""

from chassis.model.service import Claim, Service, Work, change, hold, upsert
from contracts.customers import CreateCustomer, EditCustomer, SetCustomerSettings, SetMembership
from contracts.reasons import Why
from services.customers.domain import SETTINGS, Customer, CustomerSettings, mobile_value


def _settings(work: Work) -> CustomerSettings:
    return work.find_or_new(CustomerSettings, SETTINGS)


def _hold_mobile(customer: Customer, work: Work, before: str = "") -> None:
    mobile = customer.data.mobile
    claims = [Claim(mobile_value(mobile), Why("customers.mobile", mobile=mobile), "mobile")] if mobile else []
    hold(work, customer.id, claims, [mobile_value(before)] if before else [])


def create_customer(command: CreateCustomer, work: Work) -> Customer:
    customer = work.new(Customer, command.customer_id, what="customer", field="customer_id")
    customer.create(command, work.context, _settings(work))
    _hold_mobile(customer, work)
    return customer


def edit_customer(command: EditCustomer, work: Work) -> Customer:
    customer = work.get(Customer, command.customer_id, what="customer", field="customer_id")
    before = customer.data.mobile
    customer.edit(command, work.context, _settings(work))
    _hold_mobile(customer, work, before)
    return customer


set_membership = change(Customer, Customer.set_membership)
set_customer_settings = upsert(CustomerSettings, CustomerSettings.change)

SERVICE = Service(
    "customers",
    commands={
        CreateCustomer: create_customer,
        EditCustomer: edit_customer,
        SetMembership: set_membership,
        SetCustomerSettings: set_customer_settings,
    },
)
