"""Of what people are told by itself: an event of a service -> who is told, and with which values in the sentence.

A new occasion is its code in `contracts/occasions.py`, its name and sentence in `contracts/texts/`, and a function here
for the event by which a service tells of it.  What the sentence needs and whom it concerns stands in that event, or in
what this service knows of the record (`Heard.lookup`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from chassis.model.service import Heard, ReactionFunction
from contracts.approvals import (
    CaseOpened,
    CaseOpenedV2,
    CaseRejected,
    CaseRejectedV2,
    CaseReminded,
    NodeApproved,
    NodeApprovedV2,
    of_any_subject,
)
from contracts.collaboration import TASK, CommentEdited, CommentWritten, NextContactDue, TaskReminded
from contracts.deciders import Decider
from contracts.inventory import PRODUCT, StockFellLow
from contracts.notices import Receiver, TellingGoesOn, TellPeople, telling_id
from contracts.occasions import Filled, Occasion
from contracts.orders import OrderHeld
from contracts.people import Person
from contracts.records import Kind
from contracts.subjects import subject_called
from services.notices.domain.notices import go_on
from services.notices.domain.push_rules import facts_of
from services.notices.known_of_others import POOLED, RECORDS, TOLD_OF
from services.notices.rules import happened


def stock_fell_low(fact: StockFellLow, heard: Heard) -> Iterator[TellPeople]:
    """To those who restock, once for each fall (INV-04, NTF-01)."""
    product = heard.lookup(RECORDS[PRODUCT.code], fact.product_id)
    if product is None or product.deleted:
        return
    yield TellPeople(
        telling_id=telling_id(heard.id),
        occasion="STOCK_LOW",
        receivers=(Receiver(kind="RIGHT", right="products.edit"),),
        happened_at=heard.at,
        values=_values(
            product=f"{product.data.name} {product.data.model}",
            balance=fact.balance,
            alert_quantity=fact.alert_quantity,
        ),
        record_kind="product",
        record_id=fact.product_id,
    )


def order_held(fact: OrderHeld, heard: Heard) -> Iterator[TellPeople]:
    """To whose order it is, and to the warehouse (ORD-14)."""
    if not fact.number:
        return
    yield TellPeople(
        telling_id=telling_id(heard.id),
        occasion="ORDER_ON_HOLD",
        receivers=(*_person(fact.owner), Receiver(kind="RIGHT", right="shipping")),
        happened_at=heard.at,
        values=_values(number=fact.number),
        record_kind="order",
        record_id=fact.order_id,
    )


def case_rejected(fact: CaseRejected | CaseRejectedV2, heard: Heard) -> Iterator[TellPeople]:
    """To who asked for the approval (APR-09)."""
    if fact.submitter.user_id is None:
        return
    yield TellPeople(
        telling_id=telling_id(heard.id),
        occasion="APPROVAL_REJECTED",
        receivers=_person(fact.submitter),
        happened_at=heard.at,
        values=_values(title=fact.title, by=fact.by.name, reason=fact.reason),
        record_kind="approval case",
        record_id=fact.case_id,
        by=fact.by,
    )


def case_opened(fact: CaseOpenedV2, heard: Heard) -> Iterator[TellPeople]:
    """To those who decide it first (APR-01)."""
    first, *_ = fact.nodes
    waits = Waits(fact.case_id, fact.subject.title, fact.submitter, first.deciders, right=fact.right or "")
    yield waits.told("APPROVAL_ASKED", heard)


def node_approved(fact: NodeApprovedV2, heard: Heard) -> Iterator[TellPeople]:
    """To those who decide it next (APR-02).  Those whom a node awaits besides were told when it was their turn."""
    if fact.next and fact.title and not fact.awaited:
        waits = Waits(fact.case_id, fact.title, fact.submitter, fact.next.deciders, fact.decided, fact.right)
        yield waits.told("APPROVAL_ASKED", heard)


def case_reminded(fact: CaseReminded, heard: Heard) -> Iterator[TellPeople]:
    """To those who may decide it now (NTF-04)."""
    if fact.awaited:
        waits = Waits(fact.case_id, fact.title, fact.submitter, fact.awaited, fact.decided, fact.right)
        yield waits.told("APPROVAL_WAITS", heard)


@dataclass(frozen=True)
class Waits:
    """A case that waits for a decision: of whom, who has decided before, and what deciding needs besides."""

    case_id: UUID
    title: str
    submitter: Person
    awaited: Sequence[Decider]
    decided: Sequence[UUID] = ()
    right: str = ""

    def told(self, occasion: Occasion, heard: Heard) -> TellPeople:
        """To who may decide it: nobody decides what they have asked for, nor twice (APR-12)."""
        asked = self.submitter.user_id
        return TellPeople(
            telling_id=telling_id(heard.id),
            occasion=occasion,
            receivers=tuple(map(self._receiver, self.awaited)),
            but=(*self.decided, *([asked] if asked else [])),
            happened_at=heard.at,
            values=_values(title=self.title, submitter=self.submitter.name),
            record_kind="approval case",
            record_id=self.case_id,
        )

    def _receiver(self, decider: Decider) -> Receiver:
        """Who decides: rights reach the submitter, and the superior is theirs where nobody else is named.

        Of one person, and of superiors, who does not hold what the case needs does not decide it: the next one above
        does.
        """
        person, right = decider.user_id, decider.right
        if decider.kind in ("SUPERIOR", "RIGHT"):
            person = person or self.submitter.user_id
        if decider.kind in ("SUPERIOR", "USER"):
            right = self.right
        return Receiver(kind=decider.kind, user_id=person, role=decider.role, right=right)


def _in_words_of_all(react: ReactionFunction, fact: Any, heard: Heard) -> Iterable[Any]:
    """What is told of a case of an order, as of one of any subject."""
    return react(of_any_subject(fact), heard)


def mentioned(fact: CommentWritten | CommentEdited, heard: Heard) -> Iterator[TellPeople]:
    """To whom a comment names, once (COL-09).  What it says is read where it stands, by who may see the record."""
    people = fact.mentioned if isinstance(fact, CommentWritten) else fact.newly_mentioned
    receivers = tuple(receiver for person in people for receiver in _person(person))
    if not receivers:
        return
    yield TellPeople(
        telling_id=telling_id(heard.id),
        occasion="MENTIONED",
        receivers=receivers,
        but=tuple(filter(None, [fact.by.user_id])),
        happened_at=heard.at,
        values=_values(by=fact.by.name),
        record_kind=subject_called(fact.subject_kind),
        record_id=fact.subject_id,
        by=fact.by,
    )


def changed_hands(kind: Kind, fact: Any, heard: Heard) -> Iterator[TellPeople]:
    """To who has a record now and to who had it, but not to who did that themselves (LED-04, LED-07, CUS-14, CUS-17).

    What was recycled is told to who had it, whoever has had the rules carried out.
    """
    tell = partial(_of_record, kind, fact, heard)
    owner, former, by = fact.owner, fact.before, fact.by
    if fact.came_by == "ASSIGNED" and owner.user_id != by.user_id:
        yield from tell("RECORD_ASSIGNED", owner, owner=owner.name, by=by.name)
    # Who stands in for a former owner who has left does not hear of what they did, or were told, themselves.
    but = tuple(id for id in (by.user_id, owner.user_id) if id)
    if fact.came_by == "RECYCLED":
        yield from tell("RECORD_RECYCLED", former, former=former.name, rule=fact.reason)
    elif former.user_id == by.user_id:
        return
    elif owner.user_id is None:
        yield from tell("RECORD_RETURNED", former, but=but, former=former.name, by=by.name, reason=fact.reason)
    else:
        yield from tell("RECORD_TRANSFERRED", former, but=but, former=former.name, owner=owner.name, by=by.name)


def recycling_near(kind: Kind, fact: Any, heard: Heard) -> Iterator[TellPeople]:
    """To whose a record is that goes back to its pool soon (LED-06, CUS-17)."""
    owner, day = fact.owner, fact.due_on
    yield from _of_record(kind, fact, heard, "RECYCLING_NEAR", owner, owner=owner.name, due_on=day, rule=fact.reason)


def _of_record(
    kind: Kind, fact: Any, heard: Heard, occasion: Occasion, to: Person, *, but: tuple[UUID, ...] = (), **values: Any
) -> Iterator[TellPeople]:
    """What one person is told of a record of a kind with a pool because of its event; nothing, where that is nobody."""
    if to.user_id is None:
        return
    id = getattr(fact, kind.key)
    record = heard.lookup(RECORDS[kind.code], id)
    yield TellPeople(
        telling_id=telling_id(f"{heard.id}:{occasion}"),
        occasion=occasion,
        receivers=_person(to),
        but=but,
        happened_at=heard.at,
        values=_values(record=getattr(record.data, kind.called) if record else "", **values),
        record_kind=kind.what,
        record_id=id,
        person_id=kind.person_of(id, record.data) if record else None,
        by=fact.by,
    )


def next_contact_due(fact: NextContactDue, heard: Heard) -> Iterator[TellPeople]:
    """To who planned it, or whose the record is now (NTF-04)."""
    kind = next((one for one in TOLD_OF if one.code == fact.subject_kind), None)
    record = heard.lookup(RECORDS[kind.code], fact.subject_id) if kind else None
    yield TellPeople(
        telling_id=telling_id(heard.id),
        occasion="CONTACT_DUE",
        receivers=_person(fact.to),
        happened_at=heard.at,
        values=_values(
            day=fact.day, record=getattr(record.data, kind.called) if record and kind else "", plan=fact.next_plan
        ),
        record_kind=subject_called(fact.subject_kind),
        record_id=fact.subject_id,
        person_id=fact.person_id,
    )


def task_given(fact: Any, heard: Heard) -> Iterator[TellPeople]:
    """To whose task it is now, but not to who has given it to themselves (TSK-01)."""
    if fact.owner.user_id in (None, fact.by.user_id):
        return
    told = fact if hasattr(fact, "data") else heard.lookup(RECORDS[TASK.code], fact.task_id)
    title = told.data.title if told else ""
    yield _of_task(fact, heard, "TASK_GIVEN", _person(fact.owner), title=title, by=fact.by.name)


def task_reminded(fact: TaskReminded, heard: Heard) -> Iterator[TellPeople]:
    """To whose task it is, and those who have a part in it (NTF-04)."""
    others = tuple(Receiver(kind="USER", user_id=id) for id in fact.others)
    if receivers := (*_person(fact.owner), *others):
        yield _of_task(fact, heard, "TASK_DUE", receivers, title=fact.title)


def _of_task(fact: Any, heard: Heard, occasion: Occasion, receivers: tuple[Receiver, ...], **values: Any) -> TellPeople:
    """What people are told of a task."""
    return TellPeople(
        telling_id=telling_id(heard.id),
        occasion=occasion,
        receivers=receivers,
        happened_at=heard.at,
        values=_values(**values),
        record_kind=TASK.what,
        record_id=fact.task_id,
        person_id=fact.task_id,
        by=fact.by,
    )


def _person(person: Person) -> tuple[Receiver, ...]:
    return (Receiver(kind="USER", user_id=person.user_id),) if person.user_id else ()


def _values(**values: Any) -> tuple[Filled, ...]:
    return tuple(Filled(name=name, text=str(value)) for name, value in values.items())


def telling_goes_on(fact: TellingGoesOn, _: Heard) -> Iterator[TellPeople]:
    """To those of many who were not told yet: this service's own event, so that each part is a transaction."""
    yield go_on(fact)


READY_MADE: Mapping[type, ReactionFunction] = {
    TellingGoesOn: telling_goes_on,
    StockFellLow: stock_fell_low,
    OrderHeld: order_held,
    CaseOpened: partial(_in_words_of_all, case_opened),
    CaseOpenedV2: case_opened,
    NodeApproved: partial(_in_words_of_all, node_approved),
    NodeApprovedV2: node_approved,
    CaseRejected: case_rejected,
    CaseRejectedV2: case_rejected,
    CaseReminded: case_reminded,
    CommentWritten: mentioned,
    CommentEdited: mentioned,
    NextContactDue: next_contact_due,
    TASK.created: task_given,
    TASK.assigned: task_given,
    TaskReminded: task_reminded,
    **{kind.assigned: partial(changed_hands, kind) for kind in POOLED},
    **{kind.recycling_near: partial(recycling_near, kind) for kind in POOLED},
}
"""What is told by itself, whatever rules a company has."""
BY_RULES: Mapping[type, ReactionFunction] = {
    fact: partial(happened, kind, event) for kind in TOLD_OF for event, fact in facts_of(kind).items()
}
"""What is told where a company has rules for it."""


def _all(reactions: Sequence[ReactionFunction], fact: Any, heard: Heard) -> Iterator[Any]:
    for react in reactions:
        yield from react(fact, heard)


REACTIONS: Mapping[type, ReactionFunction] = {
    fact: partial(_all, [one[fact] for one in (READY_MADE, BY_RULES) if fact in one])
    for fact in {**READY_MADE, **BY_RULES}
}
