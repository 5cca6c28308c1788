"""What came of our push rules, and why did one tell nobody?  (NTF-02)"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from chassis.model.changes import Change, EventMetadata, Set
from chassis.model.views import Exact, Range, View, Words
from contracts.notices import PushRuleFollowed, RuleOutcome, RuleProblem


@dataclass
class PushRuleRunRow:
    """What came of a rule when something happened with a record: `count` people were told.

    `unseen` of those whom it names may not see the record.  `last_noted`: the same has come of it so often in this hour
    that no more of it is noted.  `broken` is the reason for which its condition could not be
    asked.  `problems` are what it names that there is no more: it told all others.
    """

    id: UUID
    push_rule_id: UUID
    rule: str
    record_kind: str
    record_id: UUID
    outcome: RuleOutcome
    count: int
    unseen: int
    broken: str
    problems: list[RuleProblem]
    happened_at: datetime
    followed_at: datetime
    by: str
    last_noted: bool


def followed(event: PushRuleFollowed, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(
        event.run_id,
        push_rule_id=event.push_rule_id,
        rule=event.rule,
        record_kind=event.record_kind,
        record_id=event.record_id,
        outcome=event.outcome,
        count=event.count,
        unseen=event.unseen,
        broken=event.broken,
        problems=event.problems,
        happened_at=event.happened_at,
        followed_at=metadata.at,
        by=event.by.name,
        last_noted=event.last_noted,
    )


VIEW = View(
    name="push_rule_runs",
    route="GET /push-rule-runs",
    detail="run_id",
    row=PushRuleRunRow,
    permission="settings.view",
    what="push rule run",
    handlers={PushRuleFollowed: followed},
    filters={
        "push_rule_id": Exact(),
        "outcome": Exact(),
        "record_id": Exact(),
        "happened_at": Range(datetime),
        "q": Words("rule"),
    },
    sorts=("happened_at",),
    default_sort="-happened_at",
    edition=2,
)
