"""Customers and the customer settings (CUS-01..03, CUS-21): what a command may do and what it changes."""

from dataclasses import dataclass, replace
from typing import Any, get_args
from uuid import UUID

from chassis.model.aggregates import Aggregate, applies
from chassis.model.context import Context
from chassis.model.identity import Named
from chassis.model.unique import UniqueIndex, UniqueValue
from contracts.customers import (
    CreateCustomer,
    CustomerCreated,
    CustomerData,
    CustomerEdited,
    CustomerField,
    CustomerSettingsSet,
    EditCustomer,
    Membership,
    MembershipSet,
    SetCustomerSettings,
    SetMembership,
)
from contracts.declare import KEPT, changes
from contracts.errors import Refused
from contracts.people import SALESTREAM, Person
from contracts.reasons import Why
from contracts.settings import DEFAULTS
from contracts.text import is_blank

SETTINGS = Named("settings_id", "customers")
FIELDS: tuple[str, ...] = get_args(CustomerField)
NOTHING_KNOWN = CustomerData()
NO_MEMBER = Membership()


def mobile_value(mobile: str) -> UniqueValue:
    """A mobile number, which one customer may have, however it is written (CUS-01)."""
    return UniqueIndex.of_phone("customer-mobile", mobile)


@dataclass
class CustomerSettings(Aggregate):
    """Which fields must be filled on every customer (CUS-02)."""

    required: tuple[str, ...] = DEFAULTS["customers"]["required"]

    def change(self, command: SetCustomerSettings, context: Context) -> None:
        """Set the fields; nothing happens when these are the ones already."""
        if command.required is KEPT:
            return
        required = tuple(name for name in FIELDS if name in command.required)
        if required != self.required:
            self.record(CustomerSettingsSet(settings_id=command.settings_id, required=required, by=context.user))

    def check(self, given: dict[str, Any]) -> None:
        """Raises Refused VALIDATION naming every required field that is given blank."""
        missing = [name for name in self.required if name in given and is_blank(given[name])]
        if missing:
            why = Why("customers.required_fields", fields=missing)
            raise Refused.by(why, field=missing[0], fields={name: [Why("customers.required")] for name in missing})

    def reply(self) -> dict[str, object]:
        return {"required": list(self.required)}

    @applies(CustomerSettingsSet)
    def _set(self, fact: CustomerSettingsSet) -> None:
        self.required = fact.required


@dataclass
class Customer(Aggregate):
    """A customer, the user who owns it, and its place in the member scheme."""

    data: CustomerData = NOTHING_KNOWN
    owner: Person = SALESTREAM
    membership: Membership = NO_MEMBER

    def create(self, command: CreateCustomer, context: Context, settings: CustomerSettings) -> None:
        """Save the customer; whoever does, or answers for the program that does, owns it (CUS-01).

        Raises Refused VALIDATION for a missing field.
        """
        data = CustomerData(**changes(command, CustomerData))
        settings.check({name: getattr(data, name) for name in FIELDS})
        self.record(CustomerCreated(customer_id=self.id, data=data, owner=context.owner, by=context.user))

    def edit(self, command: EditCustomer, context: Context, settings: CustomerSettings) -> None:
        """Change what the command names (CUS-03); nothing happens when that is how it is already.

        A required field may not be blanked; one that was made required later and is still blank doesn't stand in the
        way of other changes.  Raises Refused VALIDATION.
        """
        given = changes(command, CustomerData)
        settings.check(given)
        data = replace(self.data, **given)
        if data != self.data:
            self.record(CustomerEdited(customer_id=self.id, data=data, by=context.user))

    def set_membership(self, command: SetMembership, context: Context) -> None:
        """Make the customer a member, change its level or points, or end it (CUS-21)."""
        membership = NO_MEMBER
        if command.member:
            membership = Membership(member=True, level=command.level, points=command.points)
        if membership != self.membership:
            self.record(MembershipSet(customer_id=self.id, membership=membership, by=context.user))

    def reply(self) -> dict[str, object]:
        return {"name": self.data.name}

    @property
    def owners(self) -> tuple[UUID | None, ...]:
        return (self.owner.user_id,)

    @applies(CustomerCreated)
    def _created(self, fact: CustomerCreated) -> None:
        self.data = fact.data
        self.owner = fact.owner

    @applies(CustomerEdited)
    def _edited(self, fact: CustomerEdited) -> None:
        self.data = fact.data

    @applies(MembershipSet)
    def _membership_set(self, fact: MembershipSet) -> None:
        self.membership = fact.membership
