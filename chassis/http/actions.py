"""What the caller of a page may do with the record on it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from chassis.access.company import CompanySettings
from chassis.model.actions import Action, Page
from chassis.model.aggregates import Aggregate
from chassis.model.principal import Principal
from contracts.declare import CommandSpec
from contracts.errors import Refused

ACTIONS = "actions"
"""Where a page of a record tells them."""


def actions_on(
    page: Page, row: Mapping[str, Any], caller: Principal, now: datetime, company: CompanySettings
) -> list[Action]:
    """What the caller may do with the record that a row shows, a command each."""
    record = page.aggregate.on_page(row)
    there = [spec for spec in page.commands if record.can_change_by(spec.cls)]
    return [_action(spec, record, caller, now, company) for spec in there]


def _action(spec: CommandSpec, record: Aggregate, caller: Principal, now: datetime, company: CompanySettings) -> Action:
    try:
        caller.require(spec.permission)
        context = caller.context(now, company.day_of(now), spec.permission)
        if not record.is_reached(context, spec.cls):
            raise Refused("records.out_of_reach", field=spec.key)
        record.require_may(spec.cls, context)
    except Refused as refusal:
        return Action.of(spec.name, refusal)
    return Action.of(spec.name, None)
