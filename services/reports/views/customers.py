"""Who are our customers?  (CUS-01, CUS-21)"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chassis.model.record_views import More, view_of
from contracts.customers import CustomerData, MembershipSet


@dataclass
class MemberColumns:
    """A customer's place in the member scheme."""

    member: bool
    member_level: str
    points: int


def membership(event: MembershipSet) -> Mapping[str, Any]:
    set_to = event.membership
    return {"member": set_to.member, "member_level": set_to.level, "points": set_to.points}


VIEW = view_of(
    CustomerData,
    More(MemberColumns, first={"member": False, "member_level": "", "points": 0}, told={MembershipSet: membership}),
    edition=6,
)
