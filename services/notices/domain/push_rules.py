"""A company's own rules of whom is told what: what one may be, and what came of it each time (NTF-02)."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar
from uuid import NAMESPACE_URL, UUID, uuid5

from chassis.model.aggregates import Aggregate, applies, internal_event
from chassis.model.context import Context, Organisation
from chassis.model.records import Record
from contracts.custom_fields import CustomField
from contracts.errors import Refused, not_found
from contracts.ids import beside
from contracts.inventory import PRODUCT, StockFellLow
from contracts.notices import (
    FollowPushRule,
    PushRule,
    PushRuleFollowed,
    Receiver,
    RuleEvent,
    RuleOutcome,
    RuleProblem,
)
from contracts.records import Kind, kind_called, kind_of
from contracts.types import Moment, Whole

MOST_AN_HOUR = 100
"""So often a rule has people told within an hour, and so often it is noted that it told nobody, of each reason: an
import, or what else changes everything, tells no thousands."""
MOST_TOLD_AN_HOUR = 5_000
"""So many people a rule tells within an hour, one as often as they are told; what comes first it tells to all."""
NOTHING = UUID(int=0)


def facts_of(kind: Kind) -> Mapping[RuleEvent, type]:
    """What may happen with records of a kind, and the event that tells of it."""
    found: dict[RuleEvent, Any] = {
        "CREATED": kind.created,
        "EDITED": kind.edited,
        "DELETED": kind.deleted,
        "STATUS_SET": kind.status_set,
        "ASSIGNED": kind.assigned,
        "RECYCLING_NEAR": kind.recycling_near,
        "STOCK_LOW": StockFellLow if kind is PRODUCT else None,
    }
    return {name: fact for name, fact in found.items() if fact}


@dataclass
class PushRuleRecord(Record):
    """A push rule."""

    kind = kind_of(PushRule)

    def check(self, data: PushRule, given: Collection[str], context: Context, settings: Any) -> None:
        """Raises Refused VALIDATION for what its kind of record has not, and for whom or what nobody has heard of."""
        kind = kind_called(data.record_kind)
        if not {"event", "record_kind"}.isdisjoint(given) and data.event not in facts_of(kind):
            raise Refused("notices.no_such_event", kind=kind.what, names=[*facts_of(kind)], field="event")
        if not _names_somebody(data):
            raise Refused("notices.no_receiver", field="to_owner")
        has_owner = kind.owned or kind.reached_through
        if not has_owner and (asked := next((name for name in ("to_owner", "to_superior") if getattr(data, name)), "")):
            raise Refused("notices.no_owner", kind=kind.what, field=asked)
        self._require_known(data, given, context)

    def _require_known(self, data: PushRule, given: Collection[str], context: Context) -> None:
        organisation = context.organisation
        for index, id in enumerate(data.to_users if "to_users" in given else ()):
            if organisation.person(id) is None:
                raise Refused("records.no_such_user", field=f"to_users.{index}")
        for index, id in enumerate(data.to_departments if "to_departments" in given else ()):
            if organisation.department(id) is None:
                raise not_found("department", f"to_departments.{index}")
        for index, role in enumerate(data.to_roles if "to_roles" in given else ()):
            if not organisation.has_role(role):
                raise not_found("role", f"to_roles.{index}")
        asked = not {"to_field", "record_kind"}.isdisjoint(given)
        fields = context.custom_fields(data.record_kind)
        if data.to_field and asked and not holds_people(fields, data.to_field):
            there = [one.key for one in fields if holds_people(fields, one.key)]
            raise Refused("notices.no_field_of_people", names=there, field="to_field")


def holds_people(fields: Collection[CustomField], key: str) -> bool:
    """Whether a field that the company has added is there, and holds people."""
    return any(one.key == key and one.type == "person" and not one.retired for one in fields)


def _names_somebody(data: PushRule) -> bool:
    return any((data.to_owner, data.to_superior, data.to_roles, data.to_departments, data.to_users, data.to_field))


def named_by(data: PushRule, command: FollowPushRule) -> list[Receiver]:
    """Whom a rule names, of what has happened: as receivers, who each may have left since."""
    found: list[Receiver] = []
    if data.to_owner and command.owner_id:
        found.append(Receiver(kind="USER", user_id=command.owner_id))
    if data.to_superior and command.owner_id:
        found.append(Receiver(kind="SUPERIOR", user_id=command.owner_id))
    if command.field_user_id:
        found.append(Receiver(kind="USER", user_id=command.field_user_id))
    found += [Receiver(kind="USER", user_id=id) for id in data.to_users]
    found += [Receiver(kind="DEPARTMENT", department_id=id) for id in data.to_departments]
    return found + [Receiver(kind="ROLE", role=role) for role in data.to_roles]


def gone(data: PushRule, fields: Collection[CustomField], organisation: Organisation) -> Iterator[RuleProblem]:
    """What a rule names that is there no more."""
    there = set(organisation.people())
    if any(organisation.standing_in(id) not in there for id in data.to_users):
        yield "PERSON_GONE"
    if any(organisation.department(id) is None for id in data.to_departments):
        yield "DEPARTMENT_GONE"
    if data.to_field and not holds_people(fields, data.to_field):
        yield "FIELD_GONE"


@dataclass
class RuleRun(Aggregate):
    """What came of a rule because of one thing that happened: once, whatever comes twice or late."""

    rule_id: UUID = NOTHING

    def note(
        self,
        command: FollowPushRule,
        rule: str,
        outcome: RuleOutcome,
        pace: "Pace",
        context: Context,
        *,
        count: int = 0,
        unseen: int = 0,
        problems: Collection[RuleProblem] = (),
    ) -> None:
        """Tell what came of it; nothing where the same came of the rule often enough in this hour."""
        if not pace.has_room(outcome, context.now):
            return
        pace.step(outcome, count, context.now)
        self.record(
            PushRuleFollowed(
                run_id=self.id,
                push_rule_id=command.push_rule_id,
                rule=rule,
                record_kind=command.record_kind,
                record_id=command.record_id,
                outcome=outcome,
                count=count,
                unseen=unseen,
                broken=command.broken,
                problems=tuple(problems),
                happened_at=command.happened_at,
                by=command.by,
                last_noted=not pace.has_room(outcome, context.now),
            )
        )

    @property
    def is_followed(self) -> bool:
        return self.rule_id != NOTHING

    @applies(PushRuleFollowed)
    def _followed(self, fact: PushRuleFollowed) -> None:
        self.rule_id = fact.push_rule_id


@internal_event("notices.rule-paced")
class RulePaced:
    """The same has come of a rule so often in an hour, and it has told so many people.  Nobody outside has heard of
    it.  Older events tell of those runs alone that told people, and not how many."""

    hour: Moment
    count: Whole
    outcome: RuleOutcome = "TOLD"
    told: Whole = 0


@dataclass
class Pace(Aggregate):
    """How often what came of a rule in the last hour in which anything did, and how many people it told."""

    hour: datetime = datetime.min
    counts: Mapping[RuleOutcome, int] = field(default_factory=dict)
    told: int = 0

    snapshot_every: ClassVar[int] = 100

    @staticmethod
    def id_of(rule: UUID) -> UUID:
        """Under which the pace of a rule stands."""
        return beside(rule, uuid5(rule, "pace"))

    def has_room(self, outcome: RuleOutcome, now: datetime) -> bool:
        """Whether the same may come of the rule once more in this hour."""
        return self.hour != _hour_of(now) or self.counts.get(outcome, 0) < MOST_AN_HOUR

    def may_tell(self, people: int, now: datetime) -> bool:
        """Whether the rule may have so many people told in this hour."""
        is_first = self.hour != _hour_of(now) or not self.told
        return self.has_room("TOLD", now) and (is_first or self.told + people <= MOST_TOLD_AN_HOUR)

    def step(self, outcome: RuleOutcome, people: int, now: datetime) -> None:
        """That has come of it once more, and so many people were told."""
        hour = _hour_of(now)
        count, told = (self.counts.get(outcome, 0), self.told) if self.hour == hour else (0, 0)
        self.record(RulePaced(hour=hour, count=count + 1, outcome=outcome, told=told + people))

    @applies(RulePaced)
    def _paced(self, fact: RulePaced) -> None:
        before = self.counts if self.hour == fact.hour else {}
        self.hour, self.counts, self.told = fact.hour, {**before, fact.outcome: fact.count}, fact.told


@internal_event("notices.rules-counted")
class RulesCounted:
    """There are so many push rules now.  Nobody outside has heard of it."""

    count: Whole


@dataclass
class RuleCount(Aggregate):
    """How many push rules there are, without those that were deleted."""

    count: int = 0

    snapshot_every: ClassVar[int] = 100
    ID: ClassVar[UUID] = uuid5(NAMESPACE_URL, "salestream:push-rules")

    def change(self, more: int, known: int) -> int:
        """There are `more` than before; returns how many.  `known` were there when nobody counted them yet."""
        before = self.count if self.version else known
        self.record(RulesCounted(count=max(0, before + more)))
        return self.count

    @applies(RulesCounted)
    def _counted(self, fact: RulesCounted) -> None:
        self.count = fact.count


def _hour_of(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
