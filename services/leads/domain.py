"""A lead that becomes a customer: who may convert it, what that is to be, and what is left of it (LED-09..11)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID, uuid5

from chassis.model.aggregates import applies
from chassis.model.context import Context
from chassis.model.records import Record
from contracts.customers import CUSTOMER
from contracts.declare import KEPT, REGISTRY, changes
from contracts.errors import Refused, lacks_right
from contracts.ids import beside
from contracts.leads import (
    LEAD_STATUSES,
    CloseLead,
    ConvertLead,
    Lead,
    LeadConversionBegun,
    LeadConversionRefused,
    LeadConverted,
    ReopenLead,
)
from contracts.records import kind_of
from contracts.sales import FutureContact, FutureCustomer
from contracts.text import is_blank

RIGHTS = (REGISTRY.command_of(CUSTOMER.create).permission, CUSTOMER.view)
"""What one needs besides the right to change leads: a customer is entered."""


def becomes(lead_id: UUID, round: int, what: str) -> UUID:
    """The id of the record that a lead becomes, the `round`-th time it is asked for: nobody can take it before."""
    return beside(lead_id, uuid5(lead_id, f"{what}:{round}"))


@dataclass
class LeadRecord(Record):
    """A lead.  While it `converts` customers have the word, and nothing else happens to it.

    `round`: how often it was to be converted.
    """

    kind = kind_of(Lead)

    round: int = 0
    converts: bool = False

    @classmethod
    def on_page(cls, row: Mapping[str, Any]) -> Self:
        lead = super().on_page(row)
        lead.converts = row.get("conversion") == "RUNNING"
        return lead

    @property
    def is_busy(self) -> bool:
        return self.converts

    def require_may(self, command: type, context: Context) -> None:
        """Raises Refused LEAD_CONVERTED for whatever is to be done with a lead that is one no more (LED-11)."""
        if self.status == LEAD_STATUSES.becomes:
            raise Refused("leads.converted", field="lead_id", state=self.status)
        if self.converts:
            raise Refused("leads.converts", field="lead_id", state="CONVERTING")
        super().require_may(command, context)
        if command is ConvertLead:
            self._require_convertible(context)

    def _require_convertible(self, context: Context) -> None:
        if self.status == LEAD_STATUSES.pooled:
            raise Refused("leads.claim_first", field="lead_id", state=self.status)
        if self.status != LEAD_STATUSES.first:
            raise Refused("leads.take_up_first", field="lead_id", state=self.status)
        if not self._is_theirs(context):
            raise Refused("records.only_shared", kind=self.kind.what, field="lead_id")
        if context.owner.user_id and context.organisation.person(context.owner.user_id) is None:
            raise Refused("leads.nobody_responsible", field="lead_id")
        enters = context.on_behalf_of(context.user, RIGHTS[0])  # by whose rights the customer is entered
        for right in RIGHTS:
            if not (context.may(right) and enters.may(right)):
                raise lacks_right(right, context.organisation.roles_with(right))

    def convert(self, command: ConvertLead, context: Context) -> None:
        """Say what customer and contact it is to become (LED-09, LED-10)."""
        if command.owner_id is not KEPT and command.owner_id != self.owner.user_id:
            raise Refused("leads.is_as_it_is", field="owner_id")
        if command.customer_name is not KEPT and command.customer_name != self.data.name:
            raise Refused("leads.is_as_it_is", field="customer_name")
        if command.create_opportunity:
            if is_blank(command.opportunity_name):
                raise Refused("leads.opportunity_name", field="opportunity_name")
            raise Refused("leads.no_opportunities", field="create_opportunity")
        round = self.round + 1
        customer = self._customer(command)
        customer_id, contact_id = (becomes(self.id, round, what) for what in ("customer", "contact"))
        contact = FutureContact(
            name=self.data.name,
            phone=self.data.phone,
            mobile=customer.mobile or None,
            email=self.data.email,
        )
        self.record(
            LeadConversionBegun(
                lead_id=self.id,
                round=round,
                customer_id=customer_id,
                contact_id=contact_id,
                owner=self.owner,
                customer=customer,
                contact=contact,
                by=context.user,
            )
        )

    def _customer(self, command: ConvertLead) -> FutureCustomer:
        """What the customer is to be: what the command says, and all else as it is known of the lead."""
        lead = self.data
        known = {
            "mobile": lead.phone or "",
            "company": lead.company,
            "contact_person": lead.name,
            "industry": lead.industry,
            "source": lead.source,
            "need": lead.need,
        }
        return FutureCustomer(name=lead.name, **(known | changes(command, FutureCustomer)))

    def close(self, command: CloseLead) -> None:
        """It is a customer now (LED-11); nothing happens for another round, or when it is one already."""
        if not self.converts or command.round != self.round:
            return
        self.record(
            self.kind.status_set(
                lead_id=self.id, before=self.status, status=LEAD_STATUSES.becomes, reason="", by=command.by
            )
        )
        self.record(
            LeadConverted(
                lead_id=self.id,
                round=command.round,
                customer_id=command.customer_id,
                contact_id=command.contact_id,
                by=command.by,
            )
        )

    def reopen(self, command: ReopenLead) -> None:
        """It is what it was, and tells why; nothing happens for another round, or when it is so already."""
        if not self.converts or command.round != self.round:
            return
        self.record(
            LeadConversionRefused(
                lead_id=self.id,
                round=command.round,
                code=command.code,
                refused_for=command.refused_for,
                params=command.params,
                by=command.by,
            )
        )

    @applies(LeadConversionBegun)
    def _begun(self, fact: LeadConversionBegun) -> None:
        self.round, self.converts = fact.round, True

    @applies(LeadConversionRefused, LeadConverted)
    def _ended(self, _: LeadConversionRefused | LeadConverted) -> None:
        self.converts = False
