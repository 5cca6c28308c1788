"""How many records name another one of their service as what they belong to: counted as they are entered and deleted.

The count stands beside the record that they name and is saved with them, so that its deletion can be decided: a list
that is read a moment later could not.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar
from uuid import UUID, uuid5

from chassis.model.aggregates import Aggregate, applies, internal_event
from contracts.ids import beside


def children_id(parent: UUID) -> UUID:
    """The id of the count of what belongs to a record."""
    return beside(parent, uuid5(parent, "children"))


@internal_event("chassis.children-counted")
class ChildrenCounted:
    """So many records of a kind belong to this one now."""

    kind: str
    count: int


@dataclass
class Children(Aggregate):
    """How many records of each kind (`Kind.what`) belong to one record, without those that were deleted."""

    counts: Mapping[str, int] = field(default_factory=dict)

    snapshot_every: ClassVar[int] = 100

    def change(self, kind: str, by: int) -> None:
        """One more belongs to it, or one less."""
        self.record(ChildrenCounted(kind=kind, count=self.counts.get(kind, 0) + by))

    @applies(ChildrenCounted)
    def _counted(self, fact: ChildrenCounted) -> None:
        self.counts = {**self.counts, fact.kind: fact.count}
