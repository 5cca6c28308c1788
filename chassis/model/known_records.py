"""Records as services know them that do not keep them: whose each is, who may see it, and whether it was deleted.

Every kind of record feeds such a replica by the events that its declaration makes.  What is reached through another
record (ADR 0054) knows its place: whose it is, is asked of that one's row.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from uuid import UUID

from chassis.model.whose import OF_NOBODY, Reach, Whose
from contracts.records import Kind, kind_called
from contracts.sharing import Share
from contracts.subjects import subjects


@dataclass(frozen=True)
class KnownRecord:
    """What is known of a record: its kind, whose it is (empty: nobody's in particular), of which person it tells, with
    whom it is shared, the place of the record that says so in its stead ("": none), that of what it became, where it is
    something else now, and that of the one into which it went ("": none)."""

    kind: str
    owners: tuple[UUID | None, ...]
    person_id: UUID | None = None
    deleted: bool = False
    shares: tuple[Share, ...] = ()
    through: str = ""
    became: str = ""
    into: str = ""

    def survivor(self, find: "Find") -> UUID | None:
        """The record that it is a part of now, through however many others; None where it went into none (ADR 0066)."""
        place = self._last(find)
        return UUID(place.partition(":")[2]) if place else None

    def _last(self, find: "Find") -> str:
        """The place of the record that it is a part of now; "" where it went into none.

        Where news are missing they may lead in a circle: then it is the last one before that closes.
        """
        place, seen = self.into, {self.into}
        while place and (above := find(place)) and above.into and above.into not in seen:
            place = above.into
            seen.add(place)
        return place

    def whose(self, find: "Find") -> Whose | None:
        """Whose it is, as far as that decides who reaches it; None: nobody's in particular."""
        place = self._last(find) or self.through
        if not place:
            return Whose(self.owners, self.shares) if self.owners else None
        above = find(place)
        if above and self.into:
            above = replace(above, into="")  # also where they lead in a circle
        whose = above.whose(find) if above else None
        return whose.through(subjects()[above.kind]) if above and whose else OF_NOBODY

    def is_seen(self, reach: Reach, today: date, find: "Find") -> bool:
        """Whether who has this reach may see the record, and so what others say of it, and say something themselves.

        What decides here decides for comments, views of records and what belongs to it alike; lists go by the view of
        the record itself.
        """
        right, whose = subjects()[self.kind], self.whose(find)
        if self.deleted:
            return False
        if whose is None:
            return reach(right).everybody or bool(reach(right).people)
        return whose.is_seen(right, reach, today)


Find = Callable[[str], KnownRecord | None]
"""What finds a record by its place; None for one that nothing is known of."""


def place_of(kind: str, id: UUID) -> str:
    """Where the row of a record stands: records of two kinds may have one id."""
    return f"{kind}:{id}"


Feed = Callable[[KnownRecord | None, Any], KnownRecord | None]


def feeds_of(kind: Kind) -> Mapping[type, Feed]:
    """What the events of a kind of record tell."""

    def created(_: KnownRecord | None, fact: Any) -> KnownRecord:
        owners = (fact.owner.user_id,) if kind.owned else ()
        return KnownRecord(kind.code, owners, _person(kind, fact), through=_through(kind, fact))

    def edited(row: KnownRecord | None, fact: Any) -> KnownRecord | None:
        return row and replace(row, person_id=_person(kind, fact), through=_through(kind, fact))

    def deleted(row: KnownRecord | None, _: Any) -> KnownRecord | None:
        return row and replace(row, deleted=True)

    def restored(row: KnownRecord | None, _: Any) -> KnownRecord | None:
        return row and replace(row, deleted=False)

    def assigned(row: KnownRecord | None, fact: Any) -> KnownRecord | None:
        return row and replace(row, owners=(fact.owner.user_id,), shares=())

    def shared(row: KnownRecord | None, fact: Any) -> KnownRecord | None:
        return row and replace(row, shares=fact.shares)

    def merged(row: KnownRecord | None, fact: Any) -> KnownRecord | None:
        return row and replace(row, into=place_of(kind.code, fact.merged_into))

    def unmerged(row: KnownRecord | None, _: Any) -> KnownRecord | None:
        return row and replace(row, into="")

    found: dict[type, Feed] = {
        kind.created: created,
        kind.edited: edited,
        kind.deleted: deleted,
        kind.restored: restored,
    }
    found |= {kind.assigned: assigned, kind.shared: shared} if kind.owned else {}
    return found | ({kind.merged: merged, kind.unmerged: unmerged} if kind.merge else {})


def _through(kind: Kind, fact: Any) -> str:
    """The place of the record through which one is reached; "" for none."""
    if not kind.reached_through:
        return ""
    above = kind_called(kind.fields[kind.reached_through].rules.record)
    return place_of(above.code, getattr(kind.layout.read(fact), kind.reached_through))


def _person(kind: Kind, fact: Any) -> UUID | None:
    """Of whom a record tells."""
    return kind.person_of(getattr(fact, kind.key), kind.layout.read(fact))
