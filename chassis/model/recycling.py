"""Records that nobody works on go back to their pool, by rules that the company has (LED-06, CUS-16, CUS-17, ADR 0057).

    RECYCLING = Recycling(Customer, kind_of(RecyclingRule), target="CUSTOMERS", spared=with_open_orders)

    SERVICE = Service(..., replicas=RECYCLING.replicas, schedules={RecycleCustomers: RECYCLING.run})

A run counts in days of the company: as of which day is told, and never by the clock.  The rules are those of the moment
at which it runs, whatever there was when somebody got a record; a pool may have one of its own (ADR 0065).  Whose a
record is, is reminded some days before, where a rule says so: once for the day on which it goes back.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache, partial
from typing import Any, ClassVar
from uuid import UUID, uuid5

from chassis.model.aggregates import Aggregate
from chassis.model.context import Context
from chassis.model.dictionaries import Tree, is_among
from chassis.model.known_records import place_of
from chassis.model.named_pools import pool_of
from chassis.model.records import Record, aggregate_of
from chassis.model.service import Replica, Work, all_merged, keep_places
from contracts.ids import beside
from contracts.people import NOBODY, Person
from contracts.pools import DUE_ON, POOL_ID
from contracts.records import Kind, kind_of
from contracts.schedules import AsOf, Done
from contracts.statuses import REASON
from contracts.subjects import FollowUpsChanged

AT_ONCE = 200
"""So many records are looked at in one transaction, and at most as many go back."""
ROWS_AT_ONCE = 2_000
"""Of so many that somebody has it is asked in one transaction whether they are to be looked at."""
EVERY_TARGET = "BOTH"
IMPORTANCE = "importance"
"""The dictionary of which a rule names an entry."""


@dataclass(frozen=True)
class KnownRule:
    """A rule: after how many days without work what goes back, of one importance ("": of any), and how many days before
    whose it is is reminded (None: not at all)."""

    name: str
    target: str
    idle_days: int
    importance: str = ""
    active: bool = True
    deleted: bool = False
    remind_days: int | None = None

    def is_for(self, target: str) -> bool:
        """Whether it holds for a sort of records now."""
        return self.active and not self.deleted and self.target in (target, EVERY_TARGET)

    def is_of(self, importance: str, tree: Tree) -> bool:
        """Whether it holds for what is of an importance.

        Of one importance is what lists find by it: entries below it too, and labels typed before there were codes.
        """
        return not self.importance or is_among(importance, tree.texts_of(self.importance), tree)

    def due_on(self, since: date) -> date:
        """The day on which a record goes back that somebody has since a day: N days count, N - 1 don't."""
        return since + timedelta(days=min(self.idle_days, (date.max - since).days))

    def reminds(self, due_on: date, day: date) -> bool:
        """Whether on a day it is to be reminded of what goes back on another one."""
        return self.remind_days is not None and 0 < (due_on - day).days <= self.remind_days


@dataclass(frozen=True)
class HeldRecord:
    """A record, whether somebody has it and works on it, since when, of which day they were reminded, and from which
    pool it comes: all that is asked before it is looked at."""

    id: UUID
    owned_since: date | None
    deleted: bool = False
    reminded_of: date | None = None
    closed: bool = False
    pool_id: UUID | None = None

    def is_near(self, rule: KnownRule, day: date) -> bool:
        """Whether a rule may have to do with it on a day, whenever it was worked on since it came to whom it belongs:
        that puts the day on which it goes back off."""
        if self.owned_since is None or self.deleted or self.closed:
            return False
        due_on = rule.due_on(self.owned_since)
        return due_on <= day or rule.reminds(due_on, day)

    def concerns(self, rule: KnownRule, day: date, since: date) -> bool:
        """Whether something may have to be done with it on a day by a rule, if that holds for it, where it has lain
        since a day."""
        due_on = rule.due_on(since)
        return due_on <= day or (due_on != self.reminded_of and rule.reminds(due_on, day))


def rules_of(kind: Kind) -> Replica[KnownRule]:
    """What a service knows of the rules."""

    def told(row: KnownRule | None, fact: Any) -> KnownRule:
        rule = fact.data
        return KnownRule(
            rule.name, rule.target, rule.idle_days, rule.importance, rule.active, bool(row and row.deleted),
            rule.remind_days,
        )  # fmt: skip

    def deleted(row: KnownRule | None, _: Any) -> KnownRule | None:
        return row and replace(row, deleted=True)

    def restored(row: KnownRule | None, _: Any) -> KnownRule | None:
        return row and replace(row, deleted=False)

    feeds = {kind.created: told, kind.edited: told, kind.deleted: deleted, kind.restored: restored}
    return Replica("recycling-rules", KnownRule, feeds=feeds)


def held_of(kind: Kind) -> Replica[HeldRecord]:
    """Which records of its own a service knows to belong to somebody: it can't ask its store for them."""

    def is_closed(fact: Any) -> bool:
        return kind.statuses is not None and fact.status not in (kind.statuses.first, kind.statuses.pooled)

    def told(row: HeldRecord | None, fact: Any) -> HeldRecord:
        since = fact.owner_since if fact.owner.user_id else None
        return HeldRecord(
            getattr(fact, kind.key), since, bool(row and row.deleted), closed=is_closed(fact), pool_id=fact.pool_id
        )

    def moved(row: HeldRecord | None, fact: Any) -> HeldRecord | None:
        return row and replace(row, pool_id=fact.pool_id)

    def deleted(row: HeldRecord | None, _: Any) -> HeldRecord | None:
        return row and replace(row, deleted=True)

    def restored(row: HeldRecord | None, _: Any) -> HeldRecord | None:
        return row and replace(row, deleted=False)

    def reminded(row: HeldRecord | None, fact: Any) -> HeldRecord | None:
        return row and replace(row, reminded_of=fact.due_on)

    def status_set(row: HeldRecord | None, fact: Any) -> HeldRecord | None:
        return row and replace(row, closed=is_closed(fact), owned_since=fact.owner_since or row.owned_since)

    feeds = {
        kind.created: told,
        kind.assigned: told,
        kind.moved: moved,
        kind.deleted: deleted,
        kind.restored: restored,
        kind.recycling_near: reminded,
        **({kind.status_set: status_set} if kind.status_set else {}),
    }
    return Replica(f"held-{kind.code}s", HeldRecord, feeds=feeds)


@dataclass
class Reminder(Aggregate):
    """Who was reminded that a record goes back, and of which day; `reminder_of` makes the class of each kind.

    Not a part of the record: who changes what they have read is not too late by a reminder.
    """

    owner: Person = NOBODY
    due_on: date | None = None

    kind: ClassVar[Kind]

    def has_told(self, owner: Person, due_on: date) -> bool:
        """Whether somebody was reminded of a day."""
        return (self.owner.user_id, self.due_on) == (owner.user_id, due_on)

    def remind(self, record: Record, rule: KnownRule, due_on: date, context: Context) -> None:
        """Have whose a record is reminded that it goes back on a day, by a rule."""
        about = {self.kind.key: record.id, DUE_ON: due_on, REASON: rule.name, POOL_ID: record.pool_id}
        self.record(self.kind.recycling_near(**about, owner=record.owner, by=context.user))

    def _reminded(self, fact: Any) -> None:
        self.owner, self.due_on = fact.owner, fact.due_on


@cache
def reminder_of(cls: type) -> type[Reminder]:
    """The aggregate of the reminders of a kind of record."""
    kind = kind_of(cls)
    about = {
        "kind": kind,
        "appliers": {kind.recycling_near: Reminder._reminded},
        "__doc__": f"Who was reminded of a {kind.what}.",
    }
    made: type[Reminder] = type(f"{kind.name}Reminder", (Reminder,), about)
    return made


def reminder_id(record: UUID) -> UUID:
    """Under which the reminder of a record stands."""
    return beside(record, uuid5(record, "recycling-reminder"))


@dataclass(frozen=True)
class FollowUp:
    """The day of the last contact about a record: from it the days without work count anew (COM-01)."""

    day: date


def follow_ups_of(kind: Kind) -> Replica[FollowUp]:
    """What a service knows of contact about its records."""

    def told(_: FollowUp | None, fact: FollowUpsChanged) -> FollowUp | None:
        is_of_kind = fact.subject_kind == kind.code
        return FollowUp(fact.followed_up_on) if is_of_kind and fact.followed_up_on else None

    return Replica(
        f"follow-ups-of-{kind.code}s",
        FollowUp,
        feeds={FollowUpsChanged: told},
        key=lambda fact: place_of(fact.subject_kind, fact.subject_id),
    )


def nobody_spared(_: Work) -> Collection[UUID]:
    """Of a kind of which nothing is exempt."""
    return ()


class Recycling:
    """How records of a kind, as `Service.records` names it, go back to its pool.

    `target` is what rules call them, `spared` tells which are exempt.
    """

    def __init__(
        self,
        declared: type,
        rules: Kind,
        target: str,
        spared: Callable[[Work], Collection[UUID]] = nobody_spared,
    ) -> None:
        self._aggregate, self._target, self._spared = aggregate_of(declared), target, spared
        self._rules, self._held = rules_of(rules), held_of(self._aggregate.kind)
        self._follow_ups = follow_ups_of(self._aggregate.kind)

    @property
    def replicas(self) -> tuple[Replica[Any], ...]:
        """What it goes by."""
        return self._rules, self._held, self._follow_ups

    def run(self, as_of: AsOf, work: Work) -> Done:
        """Give back what a rule is met by, and remind of what soon will be; what is done already is left alone.

        One part of what there is at a time: it tells how far it came.
        """
        general = [rule for rule in work.rows(self._rules) if rule.is_for(self._target)]
        rows = work.rows_after(self._held, as_of.after, ROWS_AT_ONCE)
        pools = {row.pool_id for _, row in rows}
        rules = {pool: self._rules_in(pool, general, work) for pool in pools}
        near = {key for key, row in rows if any(row.is_near(rule, as_of.day) for rule in rules[row.pool_id])}
        spared = self._spared(work) if near else ()
        number, looked, reached = 0, 0, as_of.after
        for key, row in rows:
            if key in near and row.id not in spared and self._is_due(row, rules[row.pool_id], as_of.day, work):
                if looked == AT_ONCE:
                    return Done(number, goes_on=True, reached=reached)
                looked += 1
                if act := self._act(row.id, general, as_of.day, work):
                    act()
                    number += 1
            reached = key
        return Done(number, goes_on=True, reached=reached) if len(rows) == ROWS_AT_ONCE else Done(number)

    def _is_due(self, row: HeldRecord, rules: Collection[KnownRule], day: date, work: Work) -> bool:
        """Whether a record that somebody has is to be looked at."""
        assert row.owned_since is not None, "a rule is near to no other"
        since = self._worked_on(row.id, row.owned_since, work)
        return any(row.concerns(rule, day, since) for rule in rules)

    def _rules_in(self, pool_id: UUID | None, general: Sequence[KnownRule], work: Work) -> Sequence[KnownRule]:
        """The rules by which what comes from a pool goes back to it: the company's, or its own; one that is switched
        off takes nothing."""
        pool = work.find(pool_of(self._aggregate.kind), pool_id) if pool_id else None
        if pool is None:
            return general
        own = pool.data
        if own.rule == "NEVER" or not own.active:
            return ()
        if own.rule == "GENERAL":
            return general
        return [KnownRule(own.name, self._target, own.idle_days, remind_days=own.remind_days)]

    def _act(self, id: UUID, general: Sequence[KnownRule], day: date, work: Work) -> Callable[[], None] | None:
        """What is to be done on a day with a record that somebody has and works on; None: nothing.

        What a process is under way with stays where it is until that has ended.

        Of who was erased nothing can be told any more, so such a record stays where it is: nobody could work on it.
        """
        record = work.find(self._aggregate, id)
        if record is None or record.holder is None or record.since is None or record.is_busy:
            return None
        since = max(self._worked_on(one.id, record.since, work) for one in all_merged(record, work))
        rules = self._rules_in(record.pool_id, general, work)
        importance, tree = getattr(record.data, "importance", ""), work.context.dictionaries.of(IMPORTANCE)
        found = [rule for rule in rules if rule.is_of(importance, tree)]
        if not found:
            return None
        first = min(found, key=lambda rule: rule.idle_days)
        due_on = first.due_on(since)
        act: Callable[[], None] | None = None
        if due_on <= day:
            act = partial(self._recycle, record, first, work)
        elif any(rule.reminds(rule.due_on(since), day) for rule in found):
            reminder = work.find_or_new(reminder_of(record.kind.cls), reminder_id(id))
            if not reminder.has_told(record.owner, due_on):
                act = partial(reminder.remind, record, first, due_on, work.context)
        return None if act is None or (record.kind.has_personal and work.is_erased(id)) else act

    def _worked_on(self, id: UUID, since: date, work: Work) -> date:
        """From which day a record has lain: when it came to whom it belongs, or the last contact since (COM-01)."""
        followed_up = work.lookup(self._follow_ups, place_of(self._aggregate.kind.code, id))
        return max(since, followed_up.day) if followed_up else since

    def _recycle(self, record: Record, rule: KnownRule, work: Work) -> None:
        seat = record.seat
        record.recycle(rule.name, work.context)
        keep_places(record, work, seat, claimed=False)
