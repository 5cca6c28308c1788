"""Records as services know them that do not keep them: whose each is, who may see it, and whether it was deleted.

Every kind of record feeds such a replica by the events that its declaration makes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from uuid import UUID

from chassis.model.context import AccessScope
from contracts.personal import plan_of
from contracts.records import Kind
from contracts.sharing import Share
from contracts.subjects import subjects

Reach = Callable[[str], AccessScope]
"""Whose records somebody reaches by a right."""


@dataclass(frozen=True)
class KnownRecord:
    """What is known of a record: its kind, whose it is (empty: nobody's in particular), of which person it tells, and
    with whom it is shared."""

    kind: str
    owners: tuple[UUID | None, ...]
    person_id: UUID | None = None
    deleted: bool = False
    shares: tuple[Share, ...] = ()

    def is_seen(self, reach: Reach, today: date) -> bool:
        """Whether who has this reach may see the record, and so what others say of it, and say something themselves.

        What decides here decides for comments, views of records and what belongs to it alike; lists go by the view of
        the record itself.
        """
        reached = reach(subjects()[self.kind])
        if not self.owners:
            return not self.deleted and (reached.everybody or bool(reached.people))
        return not self.deleted and any(reached.reaches(owner, self.shares, today) for owner in self.owners)


def place_of(kind: str, id: UUID) -> str:
    """Where the row of a record stands: records of two kinds may have one id."""
    return f"{kind}:{id}"


Feed = Callable[[KnownRecord | None, Any], KnownRecord | None]


def feeds_of(kind: Kind) -> Mapping[type, Feed]:
    """What the events of a kind of record tell."""

    def created(_: KnownRecord | None, fact: Any) -> KnownRecord:
        owners = (fact.owner.user_id,) if kind.owned else ()
        return KnownRecord(kind.code, owners, _person(kind, fact))

    def edited(row: KnownRecord | None, fact: Any) -> KnownRecord | None:
        return row and replace(row, person_id=_person(kind, fact))

    def deleted(row: KnownRecord | None, _: Any) -> KnownRecord | None:
        return row and replace(row, deleted=True)

    def restored(row: KnownRecord | None, _: Any) -> KnownRecord | None:
        return row and replace(row, deleted=False)

    def assigned(row: KnownRecord | None, fact: Any) -> KnownRecord | None:
        return row and replace(row, owners=(fact.owner.user_id,), shares=())

    def shared(row: KnownRecord | None, fact: Any) -> KnownRecord | None:
        return row and replace(row, shares=fact.shares)

    found: dict[type, Feed] = {
        kind.created: created,
        kind.edited: edited,
        kind.deleted: deleted,
        kind.restored: restored,
    }
    return found | ({kind.assigned: assigned, kind.shared: shared} if kind.owned else {})


def _person(kind: Kind, fact: Any) -> UUID | None:
    """Of whom a record tells: the one whom its personal fields name, else itself."""
    plan = plan_of(kind.cls)
    if plan is None:
        return None
    person: UUID | None = getattr(kind.layout.read(fact), plan.person) if plan.person else getattr(fact, kind.key)
    return person
