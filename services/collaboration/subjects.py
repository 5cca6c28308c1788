"""The records that people talk about, put files on and look at, as this service knows them, and who may see each.

Every kind of record feeds them by the events that its declaration makes, and orders by theirs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from uuid import UUID

from chassis.model.context import AccessScope
from chassis.model.service import Replica, Work
from contracts.declare import REGISTRY
from contracts.errors import Refused, not_found
from contracts.orders import OrderChanged, OrderCreated, OrderSubmitted
from contracts.personal import plan_of
from contracts.records import KINDS, Kind
from contracts.sharing import Share
from contracts.subjects import SUBJECT_ID, SUBJECT_KIND, subjects

REGISTRY.load()  # all kinds of records are declared then

ORDER = "order"
Reach = Callable[[str], AccessScope]
"""Whose records somebody reaches by a right."""


@dataclass(frozen=True)
class Subject:
    """What is known of a record: its kind, whose it is (empty: nobody's in particular), of which person it tells, and
    with whom it is shared."""

    kind: str
    owners: tuple[UUID | None, ...]
    person_id: UUID | None = None
    deleted: bool = False
    shares: tuple[Share, ...] = ()

    def is_seen(self, reach: Reach, today: date) -> bool:
        """Whether who has this reach may see the record, and so what others say of it, and say something themselves.

        What decides here decides for comments and views alike; lists go by the view of the record itself.
        """
        reached = reach(subjects()[self.kind])
        if not self.owners:
            return not self.deleted and (reached.everybody or bool(reached.people))
        return not self.deleted and any(reached.reaches(owner, self.shares, today) for owner in self.owners)


def key(kind: str, id: UUID) -> str:
    """Where the row of a record stands: records of two kinds may have one id."""
    return f"{kind}:{id}"


Feed = Callable[[Subject | None, Any], Subject | None]


def feeds_of(kind: Kind) -> Mapping[type, Feed]:
    """What the events of a kind of record tell."""

    def created(_: Subject | None, fact: Any) -> Subject:
        owners = (fact.owner.user_id,) if kind.owned else ()
        return Subject(kind.code, owners, _person(kind, fact))

    def edited(row: Subject | None, fact: Any) -> Subject | None:
        return row and replace(row, person_id=_person(kind, fact))

    def deleted(row: Subject | None, _: Any) -> Subject | None:
        return row and replace(row, deleted=True)

    def restored(row: Subject | None, _: Any) -> Subject | None:
        return row and replace(row, deleted=False)

    def assigned(row: Subject | None, fact: Any) -> Subject | None:
        return row and replace(row, owners=(fact.owner.user_id,), shares=())

    def shared(row: Subject | None, fact: Any) -> Subject | None:
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
    person: UUID | None = getattr(fact.data, plan.person) if plan.person else getattr(fact, kind.key)
    return person


def order_created(_: Subject | None, fact: OrderCreated) -> Subject:
    return Subject(ORDER, (fact.owner.user_id,), fact.customer.customer_id)


def order_changed(row: Subject | None, fact: OrderChanged) -> Subject | None:
    return row and replace(row, person_id=fact.customer.customer_id)


def order_submitted(row: Subject | None, fact: OrderSubmitted) -> Subject | None:
    return row and replace(row, owners=(row.owners[0], fact.submitter.user_id))


_FEEDS: dict[str, Mapping[type, Feed]] = {
    **{kind.code: feeds_of(kind) for kind in KINDS.values()},
    ORDER: {OrderCreated: order_created, OrderChanged: order_changed, OrderSubmitted: order_submitted},
}
_KIND_OF = {fact: kind for kind, feeds in _FEEDS.items() for fact in feeds}


def _key_of(fact: Any) -> str:
    return key(_KIND_OF[type(fact)], getattr(fact, REGISTRY.event_of(type(fact)).key))


SUBJECTS = Replica(
    "subjects", Subject, feeds={fact: feed for feeds in _FEEDS.values() for fact, feed in feeds.items()}, key=_key_of
)


def find_seen(work: Work, kind: str, id: UUID) -> Subject | None:
    """The record, if the caller may see it."""
    found = work.lookup(SUBJECTS, key(kind, id))
    return found if found and found.is_seen(work.context.reach_of, work.context.today) else None


def require_seen(work: Work, kind: str, id: UUID) -> Subject:
    """The record that a command names.  Raises Refused, NOT_FOUND also for one that the caller may not see."""
    if kind not in subjects():
        raise Refused("collaboration.no_such_kind", kinds=sorted(subjects()), field=SUBJECT_KIND)
    found = find_seen(work, kind, id)
    if found is None:
        raise not_found(kind, SUBJECT_ID)
    return found
