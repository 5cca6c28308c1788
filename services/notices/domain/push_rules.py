"""A company's own rules of whom is told what: what one may be, and what came of it each time (NTF-02)."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

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
"""So often a rule has people told within an hour: an import, or what else changes everything, tells no thousands."""
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
        *,
        count: int = 0,
        unseen: int = 0,
        problems: Collection[RuleProblem] = (),
    ) -> None:
        """Tell what came of it."""
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
    """A rule has had people told so often in an hour.  Nobody outside has heard of it."""

    hour: Moment
    count: Whole


@dataclass
class Pace(Aggregate):
    """How often a rule has had people told in the last hour in which it did."""

    hour: datetime = datetime.min
    count: int = 0

    @staticmethod
    def id_of(rule: UUID) -> UUID:
        """Under which the pace of a rule stands."""
        return beside(rule, uuid5(rule, "pace"))

    def has_room(self, now: datetime) -> bool:
        """Whether the rule may have people told once more in this hour."""
        return self.hour != _hour_of(now) or self.count < MOST_AN_HOUR

    def step(self, now: datetime) -> None:
        """It has people told once more."""
        hour = _hour_of(now)
        self.record(RulePaced(hour=hour, count=self.count + 1 if self.hour == hour else 1))

    @applies(RulePaced)
    def _paced(self, fact: RulePaced) -> None:
        self.hour, self.count = fact.hour, fact.count


def _hour_of(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
