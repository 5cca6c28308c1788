"""The orders service: what it does on each command, and what it knows of customers and products."""

from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from chassis.model.service import Replica, Service, Work, change, upsert
from contracts.approvals import CaseApproved, CaseRejected, case_id_of
from contracts.company import CompanyDataSet
from contracts.customers import (
    CustomerAssigned,
    CustomerCreated,
    CustomerDeleted,
    CustomerEdited,
    CustomerMerged,
    CustomerRestored,
    CustomerShared,
    CustomerUnmerged,
    MembershipSet,
)
from contracts.inventory import ProductAdded, ProductDeleted, ProductEdited, ProductRestored
from contracts.orders import (
    ApproveOrder,
    CancelOrder,
    ChangeOrder,
    CompanySnapshot,
    CompleteDelivery,
    CreateOrder,
    HoldOrder,
    RecordPayment,
    RejectOrder,
    RetryOrder,
    SetSalesProcess,
    ShipOrder,
    SubmitOrder,
    WithdrawOrder,
)
from contracts.shipping import ShipmentCancelled, ShipmentHandedOver
from contracts.types import Money
from services.orders.domain import (
    SALES_PROCESS,
    CaseSeen,
    Customer,
    Known,
    Order,
    Product,
    SalesProcess,
    ShipmentSeen,
)

# -- what it knows of others


def customer_saved(row: Customer | None, fact: Any) -> Customer:
    about = {"name": fact.data.name, "phone": fact.data.mobile, "address": fact.data.address}
    return replace(row, **about) if row else Customer(**about)


def customer_entered(row: Customer | None, fact: Any) -> Customer:
    return replace(customer_saved(row, fact), owner_id=fact.owner.user_id)


def customer_assigned(row: Customer | None, fact: Any) -> Customer | None:
    return row and replace(row, owner_id=fact.owner.user_id, shares=())


def customer_shared(row: Customer | None, fact: Any) -> Customer | None:
    return row and replace(row, shares=fact.shares)


def customer_deleted(row: Customer | None, _: Any) -> Customer | None:
    return row and replace(row, deleted=True)


def customer_restored(row: Customer | None, _: Any) -> Customer | None:
    return row and replace(row, deleted=False)


def customer_merged(row: Customer | None, fact: Any) -> Customer | None:
    return row and replace(row, merged_into=fact.merged_into)


def customer_unmerged(row: Customer | None, _: Any) -> Customer | None:
    return row and replace(row, merged_into=None)


def membership_set(row: Customer | None, fact: MembershipSet) -> Customer | None:
    return row and replace(row, member=fact.membership.member)


def product_saved(_: Product | None, fact: Any) -> Product:
    about = fact.attributes
    return Product(
        name=about.name,
        model=about.model,
        brand=about.brand,
        prices=fact.prices,
        category=about.category,
        accessories=about.accessories,
    )


def product_deleted(row: Product | None, _: Any) -> Product | None:
    return row and replace(row, deleted=True)


def product_restored(row: Product | None, _: Any) -> Product | None:
    return row and replace(row, deleted=False)


CUSTOMERS = Replica(
    "customers",
    Customer,
    feeds={
        CustomerCreated: customer_entered,
        CustomerEdited: customer_saved,
        CustomerAssigned: customer_assigned,
        CustomerShared: customer_shared,
        CustomerDeleted: customer_deleted,
        CustomerRestored: customer_restored,
        CustomerMerged: customer_merged,
        CustomerUnmerged: customer_unmerged,
        MembershipSet: membership_set,
    },
)
PRODUCTS = Replica(
    "products",
    Product,
    feeds={
        ProductAdded: product_saved,
        ProductEdited: product_saved,
        ProductDeleted: product_deleted,
        ProductRestored: product_restored,
    },
)


def company_set(_: CompanySnapshot | None, fact: CompanyDataSet) -> CompanySnapshot:
    data = fact.data
    return CompanySnapshot(full_name=data.full_name, phone=data.phone, address=data.address, email=data.email)


COMPANY = Replica("company", CompanySnapshot, feeds={CompanyDataSet: company_set})


# What was decided on an order elsewhere, before the saga brings the word: so whoever was answered there, and says so
# with a consistency token, is not told otherwise here.


def case_approved(_: CaseSeen | None, fact: CaseApproved) -> CaseSeen:
    return CaseSeen("APPROVED")


def case_rejected(_: CaseSeen | None, fact: CaseRejected) -> CaseSeen:
    return CaseSeen("REJECTED")


CASES = Replica("cases", CaseSeen, feeds={CaseApproved: case_approved, CaseRejected: case_rejected})


def handed_over(_: ShipmentSeen | None, fact: ShipmentHandedOver) -> ShipmentSeen:
    return ShipmentSeen(round=fact.round)


def shipment_cancelled(_: ShipmentSeen | None, fact: ShipmentCancelled) -> None:
    return None


SHIPMENTS = Replica(
    "shipments", ShipmentSeen, feeds={ShipmentHandedOver: handed_over, ShipmentCancelled: shipment_cancelled}
)


def known(work: Work) -> Known:
    def customer(id: UUID) -> Customer | None:
        found = work.lookup(CUSTOMERS, id)
        if found is None or found.name or found.phone or found.address:
            return found
        return replace(found, erased=work.is_erased(id))

    def day_s_value(of: Money, currency: str) -> Decimal | None:
        return work.find_or_new(SalesProcess, SALES_PROCESS).day_s_value(of, currency, work.context.currency)

    return Known(customer, lambda id: work.lookup(PRODUCTS, id), day_s_value, work.lookup(COMPANY, "company"))


# -- commands that need more than the order


def create_order(command: CreateOrder, work: Work) -> Order:
    order = work.new(Order, command.order_id, what="order", field="order_id")
    order.create(command, work.next_number("orders"), known(work), work.context)
    return order


def change_order(command: ChangeOrder, work: Work) -> Order:
    order = work.get(Order, command.order_id, what="order", field="order_id")
    order.change(command, known(work), work.context)
    return order


def submit_order(command: SubmitOrder, work: Work) -> Order:
    order = work.get(Order, command.order_id, what="order", field="order_id")
    process = work.find_or_new(SalesProcess, SALES_PROCESS)
    order.submit(command, process, known(work), work.context)
    return order


def withdraw_order(command: WithdrawOrder, work: Work) -> Order:
    order = work.get(Order, command.order_id, what="order", field="order_id")
    order.withdraw(command, work.lookup(CASES, case_id_of(order.id, order.round)), work.context)
    return order


def cancel_order(command: CancelOrder, work: Work) -> Order:
    order = work.get(Order, command.order_id, what="order", field="order_id")
    order.cancel(command, work.lookup(SHIPMENTS, command.order_id), work.context)
    return order


# -- commands that one aggregate decides by itself

retry_order = change(Order, Order.retry)
record_payment = change(Order, Order.pay)
approve_order = change(Order, Order.approve)
reject_order = change(Order, Order.reject)
hold_order = change(Order, Order.hold)
ship_order = change(Order, Order.ship)
complete_delivery = change(Order, Order.complete_delivery)
set_sales_process = upsert(SalesProcess, SalesProcess.set)


SERVICE = Service(
    "orders",
    commands={
        CreateOrder: create_order,
        ChangeOrder: change_order,
        SubmitOrder: submit_order,
        WithdrawOrder: withdraw_order,
        CancelOrder: cancel_order,
        RetryOrder: retry_order,
        RecordPayment: record_payment,
        SetSalesProcess: set_sales_process,
        ApproveOrder: approve_order,
        RejectOrder: reject_order,
        HoldOrder: hold_order,
        ShipOrder: ship_order,
        CompleteDelivery: complete_delivery,
    },
    replicas=[CUSTOMERS, PRODUCTS, COMPANY, CASES, SHIPMENTS],
    pages={"/orders/{order_id}": Order, "/settings/sales-process": SalesProcess},
)
