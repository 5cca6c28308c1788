"""Pools: where records wait that belong to nobody, until somebody claims one or is given it (LED-01..07, CUS-12..15).

    @record("/leads", ..., owned=True, pool=Pool(claim="leads.claim", assign="leads.assign"))
    class Lead: ...

From the declaration come the commands ClaimLead (POST <row>/claim), ReturnLead (POST <row>/return) and
AssignLeadInTurn (POST <row>/assign-in-turn) with their bulk forms, the list `GET /pools/leads`, the limits of
PARAMETERS, what the event LeadAssigned tells besides, and the event LeadRecyclingNear (ADR 0057).

A company may have several pools of a kind: each is a record of the kind LeadPool (`GET /lead-pools`), which comes from
the declaration too, with MoveLead (PUT <row>/pool) and the event LeadMoved.  What is in none of them is in the pool
that is always there, which everybody shares who may claim (ADR 0065).
"""

from dataclasses import dataclass
from typing import Literal

from contracts.declare import ContractError
from contracts.parameters import PARAMETERS, PoolLimit, limit_of
from contracts.permissions import RIGHTS

OWNER_SINCE, CAME_BY = "owner_since", "came_by"
"""The fields of events and columns of lists with the day of the company since which a record belongs to whom it
belongs, or waits in the pool, and how that came about."""
FORMER_OWNER, RETURN_REASON = "former_owner", "return_reason"
"""The columns of lists with who had a record before, and why they gave it back."""
FOLLOWED_UP_ON, NEXT_CONTACT_ON = "followed_up_on", "next_contact_on"
"""The columns of lists with the day of the last contact about a record, and the nearest one planned (COM-01)."""

AMONG = "among"
"""The field of a command with the people to whom records are given in turn."""
DUE_ON = "due_on"
"""The field of an event with the day on which a record goes back to the pool, where nobody works on it."""

POOL_ID = "pool_id"
"""The field of commands, events and lists with the pool of a record, where it waits or comes from; null: the one that
is always there."""
MEMBERS, ADMINISTRATORS = "members", "administrators"
"""The fields of a pool with who claims from it, users and departments, and who looks after it."""
RuleOfPool = Literal["GENERAL", "OWN", "NEVER"]
"""By which rule what comes from a pool goes back to it: the company's, the pool's own, or none."""

How = Literal["CLAIMED", "ASSIGNED", "RETURNED", "RECYCLED"]
"""How a record changes hands: taken from the pool, given by somebody, given back, or taken back for want of work."""


@dataclass(frozen=True)
class Pool:
    """The pool of a kind of record: `claim` is the right to see it and to take records from it, `assign` the one to
    give them, and those of others, to somebody."""

    claim: str
    assign: str

    def require(self, place: str, path: str) -> None:
        """Raises ContractError for a right, or a limit, that there is not; `place` is what is declared wrongly."""
        if unknown := {self.claim, self.assign} - RIGHTS.keys():
            raise ContractError(f"{place}: there is no right {', '.join(sorted(unknown))}")
        limits: tuple[PoolLimit, ...] = ("most_owned", "most_claims_a_day", "cool_down_days")
        if missing := [name for limit in limits if (name := limit_of(path, limit)) not in PARAMETERS]:
            raise ContractError(f"{place}: there is no system parameter {', '.join(missing)}")
