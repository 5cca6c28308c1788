"""How many records of a kind with a pool somebody has, and has claimed today: counted as records change hands (LED-05).

The counts stand beside whose they are and are saved with the record, so of two claims of one person at once both count:
a list that is read a moment later could not tell.  So does whose turn it is (LED-04).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any, ClassVar
from uuid import NAMESPACE_URL, UUID, uuid5

from chassis.model.aggregates import Aggregate, applies, internal_event
from chassis.model.context import Context
from contracts.errors import Refused
from contracts.parameters import limit_of
from contracts.records import Kind
from contracts.types import Day


def places_id(kind: Kind, person: UUID, pool: UUID | None = None) -> UUID:
    """The id of the count of what somebody has of a kind, or of that what comes from one of the company's pools."""
    return uuid5(person, f"places:{kind.what}:{pool}" if pool else f"places:{kind.what}")


@dataclass(frozen=True)
class Limits:
    """How many records somebody may have at once and still claim, and claim in a day; 0: any number.

    `pool` is what the pool is called from which those come that they are about; "" for all.
    """

    most_owned: int
    most_claims_a_day: int
    pool: str = ""

    @classmethod
    def of_all(cls, kind: Kind, context: Context) -> "Limits":
        """Those that hold for a kind, from whatever pool its records come."""
        most_owned = context.parameter(limit_of(kind.path, "most_owned"))
        return cls(most_owned, context.parameter(limit_of(kind.path, "most_claims_a_day")))


@internal_event("chassis.places-counted")
class PlacesCounted:
    """Somebody has so many records of a kind now, and has claimed so many on the day on which they last did."""

    kind: str
    person: UUID
    owned: int
    claims: int
    claimed_on: Day | None
    pool_id: UUID | None = None


@dataclass
class Places(Aggregate):
    """The records of a kind that somebody has and works on, of all or of those that come from one of the company's
    pools: those that are closed, or deleted, take no place.

    Records that they had before there was the pool are not counted until they change hands.
    """

    owned: int = 0
    claims: int = 0
    claimed_on: date | None = None

    snapshot_every: ClassVar[int] = 100

    def claims_on(self, day: date) -> int:
        """How many they have claimed on a day of the company, of which that is today.

        Today may be an earlier day since the company's zone was changed: what was claimed then counts all the same.
        """
        return self.claims if self.claimed_on and self.claimed_on >= day else 0

    def require_room(self, kind: Kind, limits: Limits, today: date) -> None:
        """Raises Refused CLAIM_LIMIT where they may claim no further record now."""
        self.require_place(kind, limits)
        a_day = limits.most_claims_a_day
        if a_day and self.claims_on(today) >= a_day:
            if limits.pool:
                raise Refused(
                    "pools.most_claims_a_day_of_pool", kind=kind.what, most=a_day, pool=limits.pool, field=kind.key
                )
            raise Refused("pools.most_claims_a_day", kind=kind.what, most=a_day, field=kind.key)

    def require_place(self, kind: Kind, limits: Limits) -> None:
        """Raises Refused CLAIM_LIMIT where they have as many records as they may take themselves."""
        if not self.has_place(limits):
            what, most, owned = kind.what, limits.most_owned, self.owned
            if limits.pool:
                raise Refused(
                    "pools.most_owned_of_pool", kind=what, owned=owned, most=most, pool=limits.pool, field=kind.key
                )
            raise Refused("pools.most_owned", kind=what, owned=owned, most=most, field=kind.key)

    def has_place(self, limits: Limits) -> bool:
        """Whether they have fewer records than they may take themselves."""
        return not limits.most_owned or self.owned < limits.most_owned

    def has_room(self, limits: Limits, today: date) -> bool:
        """Whether they may claim a further record now."""
        a_day = limits.most_claims_a_day
        return self.has_place(limits) and (not a_day or self.claims_on(today) < a_day)

    def change(self, kind: Kind, person: UUID, by: int, pool: UUID | None) -> None:
        """They have one more, or one less."""
        told: dict[str, Any] = {"kind": kind.what, "person": person, "pool_id": pool, "owned": self.owned + by}
        self.record(PlacesCounted(**told, claims=self.claims, claimed_on=self.claimed_on))

    def claim(self, kind: Kind, person: UUID, today: date, pool: UUID | None) -> None:
        """They have one more, which they have claimed."""
        told: dict[str, Any] = {"kind": kind.what, "person": person, "pool_id": pool, "owned": self.owned + 1}
        claimed_on = max(today, self.claimed_on or today)
        self.record(PlacesCounted(**told, claims=self.claims_on(today) + 1, claimed_on=claimed_on))

    @applies(PlacesCounted)
    def _counted(self, fact: PlacesCounted) -> None:
        self.owned, self.claims, self.claimed_on = fact.owned, fact.claims, fact.claimed_on


@internal_event("chassis.turn-taken")
class TurnTaken:
    """Somebody was given a record of a kind in turn."""

    kind: str
    person: UUID


def turn_id(kind: Kind) -> UUID:
    """Under which it stands whose turn it is to be given a record of a kind."""
    return uuid5(NAMESPACE_URL, f"salestream:turn:{kind.what}")


@dataclass
class Turn(Aggregate):
    """When people were given records of a kind in turn: `taken` is the version that this made, the last time."""

    taken: dict[UUID, int] = field(default_factory=dict)

    snapshot_every: ClassVar[int] = 100

    def next_of(self, people: Iterable[UUID]) -> UUID | None:
        """Whose turn it is: who was given none, in the order in which they are named, else one longest ago."""
        return min(people, key=lambda person: self.taken.get(person, 0), default=None)

    def take(self, kind: Kind, person: UUID) -> None:
        """Somebody is given one."""
        self.record(TurnTaken(kind=kind.what, person=person))

    @applies(TurnTaken)
    def _taken(self, fact: TurnTaken) -> None:
        self.taken = {**self.taken, fact.person: self.version + 1}
