"""What must hold of conversions, for `salestream verify`: one customer for each converted lead, none for the others."""

from dataclasses import dataclass, field
from uuid import UUID

from chassis.model.checks import Rule
from contracts.customers import CustomerCameFromLead, LeadTakenOver
from contracts.leads import LeadConversionBegun, LeadConversionRefused, LeadConverted


@dataclass
class Converted:
    """What the stores tell of one lead: how often it was to become a customer, the customers, and what it says."""

    begun: int = 0
    refused: int = 0
    customers: list[UUID] = field(default_factory=list)
    taken_over: list[UUID] = field(default_factory=list)
    became: list[UUID] = field(default_factory=list)


def begun(state: Converted, _: LeadConversionBegun) -> None:
    state.begun += 1


def refused(state: Converted, _: LeadConversionRefused) -> None:
    state.refused += 1


def entered(state: Converted, fact: CustomerCameFromLead) -> None:
    state.customers.append(fact.customer_id)


def taken_over(state: Converted, fact: LeadTakenOver) -> None:
    state.taken_over.append(fact.customer_id)


def converted(state: Converted, fact: LeadConverted) -> None:
    state.became.append(fact.customer_id)


def impossible(state: Converted) -> str:
    if max(len(state.customers), len(state.taken_over), len(state.became)) > 1:
        return f"it became {len(state.customers)} customers, and tells of {len(state.became)}"
    return ""


def unsettled(state: Converted) -> str:
    if not state.customers == state.taken_over == state.became:
        return f"there are the customers {state.customers}, and it became {state.became}"
    if state.begun != state.refused + len(state.became):
        return f"it was to become a customer {state.begun} times, and {state.refused} were refused"
    return ""


CUSTOMERS = Rule(
    name="converted leads = customers",
    state=Converted,
    key=lambda fact: fact.lead_id,
    folds={
        LeadConversionBegun: begun,
        LeadConversionRefused: refused,
        CustomerCameFromLead: entered,
        LeadTakenOver: taken_over,
        LeadConverted: converted,
    },
    never=impossible,
    at_rest=unsettled,
)

CHECKS = (CUSTOMERS,)
