"""Customers, their contacts, the leads they were (LED-09) and the customer settings: what commands do and change."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, get_args
from uuid import UUID, uuid5

from chassis.model.aggregates import Aggregate, applies
from chassis.model.context import Context
from chassis.model.identity import Named
from chassis.model.records import Record
from contracts.customers import (
    CUSTOMER,
    BookPoints,
    Contact,
    ContactCameFromLead,
    CustomerCameFromLead,
    CustomerData,
    CustomerField,
    CustomerSettingsSet,
    LeadTakenOver,
    LeadTurnedDown,
    Membership,
    MembershipSet,
    PointsBooked,
    SetCustomerSettings,
    SetMembership,
    TakeOverLead,
)
from contracts.declare import KEPT, changes
from contracts.errors import Refused
from contracts.ids import beside
from contracts.reasons import Some, Why, as_kept, params_kept
from contracts.records import kind_of
from contracts.settings import DEFAULTS
from contracts.subjects import OTHERS
from contracts.text import is_blank
from contracts.types import MAX_QUANTITY

SETTINGS = Named("settings_id", "customers")
FIELDS: tuple[str, ...] = get_args(CustomerField)
NO_MEMBER = Membership()
SEE_ORDERS = OTHERS["order"]
"""The right to see orders."""
MOST_NAMED = 5
"""So many of the orders in the way of a deletion are named; the others are counted."""


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
    """An order that was written and has neither been completed nor cancelled (CUS-04), what people call it, and whose
    it is."""

    customer_id: UUID
    number: str = ""
    owner_id: UUID | None = None


@dataclass(frozen=True)
class MergedCustomer:
    """A customer that went into another one (ADR 0066)."""

    id: UUID
    into: UUID


@dataclass
class Customer(Record):
    """A customer, the user who owns it, and its place in the member scheme."""

    kind = CUSTOMER
    settings = (CustomerSettings, SETTINGS)
    together_came_later = True

    membership: Membership = NO_MEMBER

    @classmethod
    def on_page(cls, row: Mapping[str, Any]) -> Self:
        customer = super().on_page(row)
        customer.membership = Membership(member=row.get("member", False))
        return customer

    def require_may(self, command: type, context: Context) -> None:
        """Raises Refused as for every record, and of points for a customer that is no member (CUS-21)."""
        super().require_may(command, context)
        if command is BookPoints and not self.membership.member:
            raise Refused("customers.no_member", field=self.kind.key, state="NO_MEMBER")

    def check(self, data: CustomerData, given: Collection[str], context: Context, settings: CustomerSettings) -> None:
        """Raises Refused VALIDATION for a required field that is given blank (CUS-02).

        One that was made required later and is still blank doesn't stand in the way of other changes.
        """
        settings.check({name: getattr(data, name) for name in FIELDS if name in given})

    def require_unordered(self, open_orders: Sequence[OpenOrder], context: Context) -> None:
        """Raises Refused INVALID_STATE while orders for it are open (CUS-04).

        It names some, unless there are others that the caller may not see: then how many there are.
        """
        if not open_orders:
            return
        reach = context.reach_of(SEE_ORDERS)
        if all(reach.covers(order.owner_id) for order in open_orders):
            orders = Some(sorted(order.number for order in open_orders), MOST_NAMED)
            raise Refused("customers.has_open_orders", orders=orders, field=self.kind.key, state="HAS_OPEN_ORDERS")
        count = len(open_orders)
        raise Refused("customers.has_unseen_orders", count=count, field=self.kind.key, state="HAS_OPEN_ORDERS")

    def set_membership(self, command: SetMembership, context: Context) -> None:
        """Make the customer a member, change its level or points, or end it (CUS-21)."""
        membership = replace(self.membership, **changes(command, Membership)) if command.member else NO_MEMBER
        if membership != self.membership:
            self.record(MembershipSet(customer_id=self.id, membership=membership, by=context.user))

    def book_points(self, command: BookPoints, context: Context) -> None:
        """Give a member points or take some, as far as there are (CUS-21)."""
        points = self.membership.points + command.change
        if points < 0:
            raise Refused("customers.points_below_zero", points=self.membership.points, field="change")
        if points > MAX_QUANTITY:
            raise Refused("customers.most_points", most=MAX_QUANTITY, field="change")
        self.record(
            PointsBooked(
                customer_id=self.id, change=command.change, points=points, reason=command.reason, by=context.user
            )
        )

    def come_from(self, lead_id: UUID, context: Context) -> None:
        """It was a lead before (LED-13)."""
        self.record(CustomerCameFromLead(customer_id=self.id, lead_id=lead_id, by=context.user))

    def reply(self) -> dict[str, Any]:
        return {"name": self.data.name, **super().reply()}

    @applies(MembershipSet)
    def _membership_set(self, fact: MembershipSet) -> None:
        self.membership = fact.membership

    @applies(PointsBooked)
    def _points_booked(self, fact: PointsBooked) -> None:
        self.membership = replace(self.membership, points=fact.points)

    @applies(CustomerCameFromLead)
    def _came_from_lead(self, _: CustomerCameFromLead) -> None:
        """Lists tell it; nothing is decided by it."""


@dataclass
class ContactRecord(Record):
    """A person at a customer (CUS-18)."""

    kind = kind_of(Contact)

    def come_from(self, lead_id: UUID, context: Context) -> None:
        """It was entered with the customer that a lead became (LED-13)."""
        self.record(ContactCameFromLead(contact_id=self.id, lead_id=lead_id, by=context.user))

    def check(self, data: Contact, given: Collection[str], context: Context, settings: Any) -> None:
        """Raises Refused VALIDATION for a birthday that is still to come; one without a year is on no certain day."""
        today = context.today.isoformat()
        if "birthday" in given and data.birthday and len(data.birthday) == len(today) and data.birthday > today:
            raise Refused("records.to_come", latest=context.today, field="birthday")

    @applies(ContactCameFromLead)
    def _came_from_lead(self, _: ContactCameFromLead) -> None:
        """Lists tell it; nothing is decided by it."""


def takeover_id(lead_id: UUID) -> UUID:
    """The id of the record of what became of a lead."""
    return beside(lead_id, uuid5(lead_id, "takeover"))


@dataclass
class Takeover(Aggregate):
    """What came of a lead that was to become a customer: each `round` is answered once, however often it comes."""

    round: int = 0

    def is_answered(self, command: TakeOverLead) -> bool:
        """Whether this round, or a later one, has had its answer."""
        return command.round <= self.round

    def agree(self, command: TakeOverLead) -> None:
        """The customer and the contact are there."""
        self.record(
            LeadTakenOver(
                lead_id=command.lead_id,
                round=command.round,
                customer_id=command.customer_id,
                contact_id=command.contact_id,
            )
        )

    def turn_down(self, command: TakeOverLead, refusal: Refused, *, is_erased: bool) -> None:
        """There can't be such a customer, for the reason for which nobody could enter it.

        Of who was erased nothing more is written.
        """
        why = as_kept(refusal.why)
        self.record(
            LeadTurnedDown(
                lead_id=command.lead_id,
                round=command.round,
                code=refusal.code,
                refused_for=why.reason,
                params="" if is_erased else params_kept(why),
            )
        )

    @applies(LeadTakenOver, LeadTurnedDown)
    def _answered(self, fact: LeadTakenOver | LeadTurnedDown) -> None:
        self.round = fact.round
