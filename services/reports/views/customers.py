"""Who are our customers, and which of them were leads?  (CUS-01, CUS-21, LED-13)"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from chassis.model.record_views import More, view_of
from chassis.model.views import Exact, Range
from contracts.customers import ContactCameFromLead, CustomerCameFromLead, CustomerData, MembershipSet, PointsBooked
from contracts.leads import Lead
from contracts.records import kind_of

NO_LEAD = {"lead_id": None}


@dataclass
class OriginColumns:
    """The lead that something was before; None for what was entered as it is."""

    lead_id: UUID | None


@dataclass
class MoreColumns(OriginColumns):
    """A customer's place in the member scheme, why its points were last booked, and the lead that it was."""

    member: bool
    member_level: str
    points: int
    points_reason: str


def membership(event: MembershipSet) -> Mapping[str, Any]:
    set_to = event.membership
    ended = {} if set_to.member else {"points_reason": ""}
    return {"member": set_to.member, "member_level": set_to.level, "points": set_to.points, **ended}


def booked(event: PointsBooked) -> Mapping[str, Any]:
    return {"points": event.points, "points_reason": event.reason}


def came_from_lead(event: CustomerCameFromLead | ContactCameFromLead) -> Mapping[str, Any]:
    return {"lead_id": event.lead_id}


VIEW = view_of(
    CustomerData,
    More(
        MoreColumns,
        first={"member": False, "member_level": "", "points": 0, "points_reason": "", **NO_LEAD},
        told={MembershipSet: membership, PointsBooked: booked, CustomerCameFromLead: came_from_lead},
        personal=("points_reason",),
        filters={"member": Exact(), "member_level": Exact(), "points": Range(int)},
        parents={"lead_id": kind_of(Lead).what},
    ),
    edition=8,
)
