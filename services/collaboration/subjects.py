"""The records that people talk about, put files on and look at, as this service knows them, and who may see each.

Every kind of record feeds them by the events that its declaration makes, and orders by theirs.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

from chassis.model.known_records import Feed, KnownRecord, feeds_of, place_of
from chassis.model.service import Replica, Work
from contracts.collaboration import SubjectRef
from contracts.customers import CUSTOMER
from contracts.declare import REGISTRY
from contracts.errors import Refused, not_found
from contracts.leads import LEAD_STATUSES, Lead, LeadConverted
from contracts.merging import MERGED
from contracts.orders import OrderChanged, OrderCreated, OrderSubmitted
from contracts.records import KINDS, kind_of
from contracts.subjects import SUBJECT_ID, SUBJECT_KIND, subjects

REGISTRY.load()  # all kinds of records are declared then

ORDER, LEAD = "order", kind_of(Lead).code


def order_created(_: KnownRecord | None, fact: OrderCreated) -> KnownRecord:
    return KnownRecord(ORDER, (fact.owner.user_id,), fact.customer.customer_id)


def order_changed(row: KnownRecord | None, fact: OrderChanged) -> KnownRecord | None:
    return row and replace(row, person_id=fact.customer.customer_id)


def order_submitted(row: KnownRecord | None, fact: OrderSubmitted) -> KnownRecord | None:
    return row and replace(row, owners=(row.owners[0], fact.submitter.user_id))


def lead_converted(row: KnownRecord | None, fact: LeadConverted) -> KnownRecord | None:
    return row and replace(row, became=place_of(CUSTOMER.code, fact.customer_id))


_FEEDS: dict[str, Mapping[type, Feed]] = {
    **{kind.code: feeds_of(kind) for kind in KINDS.values()},
    ORDER: {OrderCreated: order_created, OrderChanged: order_changed, OrderSubmitted: order_submitted},
}
_FEEDS[LEAD] = {**_FEEDS[LEAD], LeadConverted: lead_converted}
_KIND_OF = {fact: kind for kind, feeds in _FEEDS.items() for fact in feeds}


def _key_of(fact: Any) -> str:
    return place_of(_KIND_OF[type(fact)], getattr(fact, REGISTRY.event_of(type(fact)).key))


SUBJECTS = Replica(
    "subjects",
    KnownRecord,
    feeds={fact: feed for feeds in _FEEDS.values() for fact, feed in feeds.items()},
    key=_key_of,
)


def find_seen(work: Work, kind: str, id: UUID) -> KnownRecord | None:
    """The record, if the caller may see it."""
    find = partial(work.lookup, SUBJECTS)
    found = find(place_of(kind, id))
    return found if found and found.is_seen(work.context.reach_of, work.context.today, find) else None


def require_seen(work: Work, kind: str, id: UUID) -> KnownRecord:
    """The record about which a command says something new.

    Raises Refused, NOT_FOUND also for one that the caller may not see, and LEAD_CONVERTED for a lead that is a customer
    now: nothing counts there any more (LED-11, COM-01), and whoever may see the customer is told which that is.  So is
    the one into which another went (ADR 0066).
    """
    if kind not in subjects():
        raise Refused("collaboration.no_such_kind", kinds=sorted(subjects()), field=SUBJECT_KIND)
    found = find_seen(work, kind, id)
    if found is None:
        raise not_found(kind, SUBJECT_ID)
    if found.became:
        _, _, customer = found.became.partition(":")
        if find_seen(work, CUSTOMER.code, UUID(customer)) is None:
            raise Refused("leads.converted", field=SUBJECT_ID, state=LEAD_STATUSES.becomes)
        raise Refused("leads.became", customer_id=customer, field=SUBJECT_ID, state=LEAD_STATUSES.becomes)
    if survivor := found.survivor(partial(work.lookup, SUBJECTS)):
        raise Refused("records.merged", kind=kind, survivor=survivor, field=SUBJECT_ID, state=MERGED)
    return found


def require_reached(work: Work, found: KnownRecord) -> None:
    """Raises Refused FORBIDDEN where the caller sees a record, and the right to give the command does not reach it."""
    whose = found.whose(partial(work.lookup, SUBJECTS))
    if whose is not None and not whose.is_reached(work.context.reach, work.context.today):
        raise Refused("records.out_of_reach", field=SUBJECT_ID)


def above(work: Work, found: KnownRecord) -> Iterator[SubjectRef]:
    """The records through which one is reached, the nearest first: a contact belongs to a customer, and that perhaps
    went into another one."""
    place, seen = found.through, set[str]()
    while place and place not in seen:
        seen.add(place)
        kind, _, id = place.partition(":")
        yield SubjectRef(subject_kind=kind, subject_id=UUID(id))
        one = work.lookup(SUBJECTS, place)
        place = (one.into or one.through) if one else ""
