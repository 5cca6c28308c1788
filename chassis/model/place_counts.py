"""What must hold of the pools of a service: everybody's count is of what they have (`Rule`, LED-05)."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from chassis.model.checks import Rule
from chassis.model.pools import PlacesCounted
from chassis.model.records import Record, Seat, aggregate_of
from contracts.records import Kind


@dataclass
class Held:
    """The records of a kind, as far as it counts whose they are, and what was counted for whom: of all, and of each
    pool that the company has."""

    records: dict[UUID, Record] = field(default_factory=dict)
    counts: dict[Seat, int] = field(default_factory=dict)

    def wrong(self) -> str:
        """The first count that is not of what its person has; "" where all are."""
        seats = [record.seat for record in self.records.values() if record.holder]
        held = Counter([*(seat._replace(pool=None) for seat in seats), *(seat for seat in seats if seat.pool)])
        for seat in sorted({*self.counts, *held}, key=str):
            if (number := held[seat]) != (told := self.counts.get(seat, 0)):
                return f"{seat.holder} has {number} of {seat.pool or 'all pools'} and {told} are counted"
        return ""


def counts_places(kind: Kind) -> Rule[Held]:
    """The rule of a kind with a pool."""
    aggregate = aggregate_of(kind.cls)

    def kept(state: Held, fact: Any) -> None:
        id = getattr(fact, kind.key)
        record = state.records.setdefault(id, aggregate(id))
        record.apply(fact)
        record.data = None  # what is known of it is not asked here, and there may be many

    def counted(state: Held, fact: PlacesCounted) -> None:
        state.counts[Seat(fact.person, fact.pool_id)] = fact.owned

    facts = [kind.created, kind.assigned, kind.moved, kind.deleted, kind.restored]
    facts += [kind.status_set] if kind.status_set else []
    facts += [kind.merged, kind.unmerged] if kind.merge else []
    folds: dict[type, Callable[[Held, Any], None]] = {**dict.fromkeys(facts, kept), PlacesCounted: counted}
    return Rule(
        f"places of {kind.what}s",
        Held,
        key=lambda fact: kind.what if getattr(fact, "kind", kind.what) == kind.what else None,
        folds=folds,
        at_rest=Held.wrong,
    )
