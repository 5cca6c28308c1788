"""What a rule of recycling may be (CUS-16)."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from chassis.model.context import Context
from chassis.model.records import Record
from contracts.errors import Refused
from contracts.leads import RecyclingRule
from contracts.records import kind_of


@dataclass
class RecyclingRuleRecord(Record):
    """A rule of recycling."""

    kind = kind_of(RecyclingRule)

    def check(self, data: RecyclingRule, given: Collection[str], context: Context, settings: Any) -> None:
        """Raises Refused VALIDATION for one that reminds before a record could have been somebody's."""
        if data.remind_days is not None and data.remind_days > data.idle_days:
            field = "remind_days" if "remind_days" in given else "idle_days"
            raise Refused(
                "pools.reminded_too_early", remind_days=data.remind_days, idle_days=data.idle_days, field=field
            )
