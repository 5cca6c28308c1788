"""The conversion of a lead (LED-09): it becomes a customer with a contact, or stays what it is.

The lead decides whether it may be converted, and is locked from then on (services/leads/domain.py); customers decide
whether there can be such a one (services/customers/application.py).  The saga only carries the word.
"""

from collections.abc import Sequence

from chassis.model.saga import Process, Saga, Step, Turn
from contracts.conversion import ConversionAdvanced, ConversionStatus
from contracts.customers import LeadTakenOver, LeadTurnedDown, TakeOverLead
from contracts.leads import CloseLead, LeadConversionBegun, LeadConversionRefused, LeadConverted, ReopenLead
from contracts.sales import StepChange


def take_over(lead: LeadConversionBegun, _turn: Turn) -> TakeOverLead:
    return TakeOverLead(
        lead_id=lead.lead_id,
        round=lead.round,
        customer_id=lead.customer_id,
        contact_id=lead.contact_id,
        owner=lead.owner,
        customer=lead.customer,
        contact=lead.contact,
        by=lead.by,
    )


def reopen(lead: LeadConversionBegun, turned_down: LeadTurnedDown) -> ReopenLead:
    return ReopenLead(
        lead_id=lead.lead_id,
        round=lead.round,
        code=turned_down.code,
        refused_for=turned_down.refused_for,
        params=turned_down.params,
        by=lead.by,
    )


def close(lead: LeadConversionBegun, _turn: Turn) -> CloseLead:
    return CloseLead(
        lead_id=lead.lead_id,
        round=lead.round,
        customer_id=lead.customer_id,
        contact_id=lead.contact_id,
        by=lead.by,
    )


def report(process: Process, lead: LeadConversionBegun, changes: Sequence[tuple[str, str, str]]) -> ConversionAdvanced:
    """The public event that tells operators where a conversion is."""
    return ConversionAdvanced(
        lead_id=lead.lead_id,
        round=lead.round,
        changes=tuple(
            StepChange(step=step, status=status, detail=detail)  # type: ignore[arg-type]
            for step, status, detail in changes
        ),
        status=_status(process),
        waiting_for=process.step,
    )


def _status(process: Process) -> ConversionStatus:
    if "UNDONE" in process.statuses.values():
        return "REFUSED"
    if process.statuses.get("close lead") == "DONE":
        return "CONVERTED"
    return "WAITING" if process.statuses.get(process.step) in ("FAILED", "NEEDS_ATTENTION") else "RUNNING"


SAGA: Saga[LeadConversionBegun] = Saga(
    name="lead-conversion",
    starts=LeadConversionBegun,
    steps=(
        Step("take over", send=take_over, done=LeadTakenOver, failed={LeadTurnedDown: reopen}),
        Step("close lead", send=close, done=LeadConverted),
    ),
    stopped_by=(LeadConversionRefused,),
    key_of=lambda fact: fact.lead_id,
    reports=ConversionAdvanced,
    report=report,
    round_of=lambda fact: fact.round,
)
