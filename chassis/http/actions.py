"""What the caller of a page may do with the record on it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from chassis.access.company import CompanySettings
from chassis.model.actions import Action, Page
from chassis.model.aggregates import Aggregate
from chassis.model.named_pools import pool_of
from chassis.model.principal import Principal
from chassis.model.records import Record
from chassis.model.whose import Whose
from contracts.declare import CommandSpec
from contracts.errors import Refused

ACTIONS = "actions"
"""Where a page of a record tells them."""


def actions_on(
    page: Page,
    row: Mapping[str, Any],
    caller: Principal,
    now: datetime,
    company: CompanySettings,
    *,
    children: Mapping[str, int],
    whose: Whose | None = None,
    pool: Mapping[str, Any] | None = None,
) -> list[Action]:
    """What the caller may do with the record that a row shows: a command each, and a status each that it may be given.

    `children` tells how many records of each kind belong to it, `whose` it is where another record says so, and `pool`
    the row of the pool in which it waits, or from which it comes.
    """
    record = page.aggregate.on_page(row)
    if pool and isinstance(record, Record):
        record.stand_in(pool_of(record.kind).on_page(pool))
    if whose and isinstance(record, Record):
        record.reach_through(whose)
    there = [spec for spec in page.commands if record.can_change_by(spec.cls)]
    told = [(spec, status) for spec in there for status in _statuses(spec, record)]
    return [
        Action.of(spec.name, _why_not(spec, status, record, children, by=caller, now=now, company=company), status)
        for spec, status in told
    ]


def _statuses(spec: CommandSpec, record: Aggregate) -> Sequence[str | None]:
    """The other statuses that a command may take the record to; None for one that does something else."""
    if not isinstance(record, Record) or record.kind.statuses is None or spec.cls is not record.kind.set_status:
        return [None]
    return [status for status in record.kind.statuses.names if status != record.status]


def _why_not(
    spec: CommandSpec,
    status: str | None,
    record: Aggregate,
    children: Mapping[str, int],
    *,
    by: Principal,
    now: datetime,
    company: CompanySettings,
) -> Refused | None:
    """What a command would be refused for, whatever else it says; None: for nothing."""
    try:
        by.require(spec.permission)
        context = by.context(
            now, company.day_of(now), spec.permission, parameter=company.parameter, day_of=company.day_of
        )
        if not record.is_reached(context, spec.cls):
            raise Refused("records.out_of_reach", field=spec.key)
        record.require_sight(context)
        record.require_may(spec.cls, context)
        if isinstance(record, Record) and status is not None:
            record.require_step(status, context)
        if isinstance(record, Record) and spec.cls is record.kind.delete:
            record.require_childless(children)
    except Refused as refusal:
        return refusal
    return None
