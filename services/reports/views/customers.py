"""Who are our customers, and which of them were leads?  (CUS-01, CUS-21, LED-13)"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from chassis.model.record_views import More, view_of
from contracts.customers import ContactCameFromLead, CustomerCameFromLead, CustomerData, MembershipSet
from contracts.leads import Lead
from contracts.records import kind_of

NO_LEAD = {"lead_id": None}


@dataclass
class OriginColumns:
    """The lead that something was before; None for what was entered as it is."""

    lead_id: UUID | None


@dataclass
class MoreColumns(OriginColumns):
    """A customer's place in the member scheme, and the lead that it was."""

    member: bool
    member_level: str
    points: int


def membership(event: MembershipSet) -> Mapping[str, Any]:
    set_to = event.membership
    return {"member": set_to.member, "member_level": set_to.level, "points": set_to.points}


def came_from_lead(event: CustomerCameFromLead | ContactCameFromLead) -> Mapping[str, Any]:
    return {"lead_id": event.lead_id}


VIEW = view_of(
    CustomerData,
    More(
        MoreColumns,
        first={"member": False, "member_level": "", "points": 0, **NO_LEAD},
        told={MembershipSet: membership, CustomerCameFromLead: came_from_lead},
        parents={"lead_id": kind_of(Lead).what},
    ),
    edition=7,
)
