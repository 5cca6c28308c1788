"""Customers, their contacts and the customer settings (CUS-01..04, CUS-18, CUS-21): what commands do and change."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, get_args
from uuid import UUID

from chassis.model.aggregates import Aggregate, applies
from chassis.model.context import Context
from chassis.model.identity import Named
from chassis.model.records import Record
from contracts.customers import (
    CUSTOMER,
    Contact,
    CustomerData,
    CustomerField,
    CustomerSettingsSet,
    Membership,
    MembershipSet,
    SetCustomerSettings,
    SetMembership,
)
from contracts.declare import KEPT
from contracts.errors import Refused
from contracts.reasons import Why
from contracts.records import kind_of
from contracts.settings import DEFAULTS
from contracts.text import is_blank

SETTINGS = Named("settings_id", "customers")
FIELDS: tuple[str, ...] = get_args(CustomerField)
NO_MEMBER = Membership()


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
            self.record(
                CustomerSettingsSet(
                    settings_id=command.settings_id, required=required, by=context.user, revision=self.version + 1
                )
            )

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


@dataclass(frozen=True)
class OpenOrder:
    """An order that was written and has neither been completed nor cancelled (CUS-04)."""

    customer_id: UUID


@dataclass
class Customer(Record):
    """A customer, the user who owns it, and its place in the member scheme."""

    kind = CUSTOMER
    settings = (CustomerSettings, SETTINGS)

    membership: Membership = NO_MEMBER

    def check(self, data: CustomerData, given: Collection[str], context: Context, settings: CustomerSettings) -> None:
        """Raises Refused VALIDATION for a required field that is given blank (CUS-02).

        One that was made required later and is still blank doesn't stand in the way of other changes.
        """
        settings.check({name: getattr(data, name) for name in FIELDS if name in given})

    def set_membership(self, command: SetMembership, context: Context) -> None:
        """Make the customer a member, change its level or points, or end it (CUS-21)."""
        membership = NO_MEMBER
        if command.member:
            membership = Membership(member=True, level=command.level, points=command.points)
        if membership != self.membership:
            self.record(MembershipSet(customer_id=self.id, membership=membership, by=context.user))

    def reply(self) -> dict[str, Any]:
        return {"name": self.data.name, **super().reply()}

    @applies(MembershipSet)
    def _membership_set(self, fact: MembershipSet) -> None:
        self.membership = fact.membership


@dataclass
class ContactRecord(Record):
    """A person at a customer (CUS-18)."""

    kind = kind_of(Contact)

    def check(self, data: Contact, given: Collection[str], context: Context, settings: Any) -> None:
        """Raises Refused VALIDATION for a birthday that is still to come; one without a year is on no certain day."""
        today = context.today.isoformat()
        if "birthday" in given and data.birthday and len(data.birthday) == len(today) and data.birthday > today:
            raise Refused("records.to_come", latest=context.today, field="birthday")
