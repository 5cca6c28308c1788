"""Records that nobody works on go back to their pool, by rules that the company has (LED-06, CUS-16, CUS-17, ADR 0057).

    RECYCLING = Recycling(Customer, kind_of(RecyclingRule), target="CUSTOMERS", spared=with_open_orders)

    SERVICE = Service(..., replicas=RECYCLING.replicas, schedules={RecycleCustomers: RECYCLING.run})

A run counts in days of the company: as of which day is told, and never by the clock.  The rules are those of the moment
at which it runs, whatever there was when somebody got a record.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from uuid import UUID

from chassis.model.dictionaries import Tree, is_among
from chassis.model.records import Record, aggregate_of
from chassis.model.service import Replica, Work, keep_places
from contracts.records import Kind
from contracts.schedules import AsOf, Done

AT_ONCE = 200
"""So many records go back in one transaction."""
EVERY_TARGET = "BOTH"
IMPORTANCE = "importance"
"""The dictionary of which a rule names an entry."""


@dataclass(frozen=True)
class KnownRule:
    """A rule: after how many days without work what goes back, of one importance ("": of any)."""

    name: str
    target: str
    idle_days: int
    importance: str = ""
    active: bool = True
    deleted: bool = False

    def is_for(self, target: str) -> bool:
        """Whether it holds for a sort of records now."""
        return self.active and not self.deleted and self.target in (target, EVERY_TARGET)

    def is_met(self, since: date, importance: str, day: date, tree: Tree) -> bool:
        """Whether a record that somebody has since a day is theirs long enough: N days count, N - 1 don't.

        Of one importance is what lists find by it: entries below it too, and labels typed before there were codes.
        """
        if (day - since).days < self.idle_days:
            return False
        return not self.importance or is_among(importance, tree.texts_of(self.importance), tree)


@dataclass(frozen=True)
class HeldRecord:
    """A record, whether somebody has it, and since when: all that is asked before it is looked at."""

    id: UUID
    owned_since: date | None
    deleted: bool = False


def rules_of(kind: Kind) -> Replica[KnownRule]:
    """What a service knows of the rules."""

    def told(row: KnownRule | None, fact: Any) -> KnownRule:
        rule = fact.data
        return KnownRule(
            rule.name, rule.target, rule.idle_days, rule.importance, rule.active, bool(row and row.deleted)
        )

    def deleted(row: KnownRule | None, _: Any) -> KnownRule | None:
        return row and replace(row, deleted=True)

    def restored(row: KnownRule | None, _: Any) -> KnownRule | None:
        return row and replace(row, deleted=False)

    feeds = {kind.created: told, kind.edited: told, kind.deleted: deleted, kind.restored: restored}
    return Replica("recycling-rules", KnownRule, feeds=feeds)


def held_of(kind: Kind) -> Replica[HeldRecord]:
    """Which records of its own a service knows to belong to somebody: it can't ask its store for them."""

    def told(row: HeldRecord | None, fact: Any) -> HeldRecord:
        since = fact.owner_since if fact.owner.user_id else None
        return HeldRecord(getattr(fact, kind.key), since, bool(row and row.deleted))

    def deleted(row: HeldRecord | None, _: Any) -> HeldRecord | None:
        return row and replace(row, deleted=True)

    def restored(row: HeldRecord | None, _: Any) -> HeldRecord | None:
        return row and replace(row, deleted=False)

    feeds = {kind.created: told, kind.assigned: told, kind.deleted: deleted, kind.restored: restored}
    return Replica(f"held-{kind.code}s", HeldRecord, feeds=feeds)


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

    @property
    def replicas(self) -> tuple[Replica[Any], ...]:
        """What it goes by."""
        return self._rules, self._held

    def run(self, as_of: AsOf, work: Work) -> Done:
        """Give back what a rule is met by; what has gone back already is left alone."""
        rules = [rule for rule in work.rows(self._rules) if rule.is_for(self._target)]
        if not rules:
            return Done(0)
        number, spared = 0, self._spared(work)
        for row in work.rows(self._held):
            if row.owned_since is None or row.deleted or row.id in spared:
                continue
            if not any((as_of.day - row.owned_since).days >= rule.idle_days for rule in rules):
                continue
            record = work.find(self._aggregate, row.id)
            if record is None or (rule := self._met(record, rules, as_of.day, work)) is None:
                continue
            if number == AT_ONCE:
                return Done(number, goes_on=True)
            holder = record.holder
            record.recycle(rule.name, work.context)
            keep_places(record, work, holder, claimed=False)
            number += 1
        return Done(number)

    def _met(self, record: Record, rules: Collection[KnownRule], day: date, work: Work) -> KnownRule | None:
        """The first rule that a record meets which somebody has and works on; None for any other one.

        What a process is under way with stays where it is until that has ended.

        Of who was erased nothing can be told any more, so such a record stays where it is: nobody could work on it.
        """
        if record.holder is None or record.since is None or record.is_busy:
            return None
        since, importance = record.since, getattr(record.data, "importance", "")
        tree = work.context.dictionaries.of(IMPORTANCE)
        found = next((rule for rule in rules if rule.is_met(since, importance, day, tree)), None)
        return None if found and record.kind.has_personal and work.is_erased(record.id) else found
