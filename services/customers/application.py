"""The customers service: its commands, one line each."""

from chassis.domain import UniqueIndex
from chassis.service import Service, Work, change, upsert
from contracts.customers import CreateCustomer, EditCustomer, SetCustomerSettings, SetMembership
from services.customers.domain import SETTINGS, Customer, CustomerSettings, mobile_index_id


def _settings(work: Work) -> CustomerSettings:
    return work.find_or_new(CustomerSettings, SETTINGS)


def _claim_mobile(customer: Customer, work: Work) -> None:
    if mobile := customer.data.mobile:
        index = work.find_or_new(UniqueIndex, mobile_index_id(mobile))
        index.claim(customer.id, what=f"The mobile number {mobile}", field="mobile")


def create_customer(command: CreateCustomer, work: Work) -> Customer:
    customer = work.new(Customer, command.customer_id, what="customer", field="customer_id")
    customer.create(command, work.context, _settings(work))
    _claim_mobile(customer, work)
    return customer


def edit_customer(command: EditCustomer, work: Work) -> Customer:
    customer = work.get(Customer, command.customer_id, what="customer", field="customer_id")
    before = customer.data.mobile
    customer.edit(command, work.context, _settings(work))
    if mobile_index_id(customer.data.mobile) != mobile_index_id(before):
        _claim_mobile(customer, work)
        work.find_or_new(UniqueIndex, mobile_index_id(before)).release(customer.id)
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
