"""What the caller of a page may do with the record on it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import msgspec

from chassis.access.company import CompanySettings
from chassis.model.actions import Action
from chassis.model.principal import Principal
from chassis.model.records import Record
from contracts.declare import REGISTRY, CommandSpec
from contracts.errors import Refused
from contracts.people import Person
from contracts.records import kind_of
from contracts.schemas import decode
from contracts.sharing import SHARES, Share
from contracts.statuses import STATUS

ACTIONS = "actions"
"""Where a page of a record tells them."""


@cache
def commands_on(declared: type) -> Sequence[CommandSpec]:
    """The commands that change a record of a kind, those of its own among them."""
    kind = kind_of(declared)
    there = (spec for spec in REGISTRY.commands.values() if spec.service == kind.service and spec.is_public)
    return [spec for spec in there if spec.key == kind.key and not spec.creates]


def actions_on(
    record: type[Record],
    row: dict[str, Any],
    caller: Principal,
    now: datetime,
    company: CompanySettings,
    *,
    children: Mapping[str, int],
) -> list[Action]:
    """What the caller may do with the record that a row shows: a command each, and a status each that it may be given.

    `children` tells how many records of each kind belong to it.
    """
    kind = record.kind
    found = record(UUID(row["id"]))
    found.deleted = row["deleted"]
    if kind.owned:
        owner = row["owner_id"]
        found.owner = Person(user_id=UUID(owner) if owner else None, name=row["owner_name"])
        found.shares = tuple(decode(Share, msgspec.json.encode(share)) for share in row[SHARES])
    if kind.statuses:
        found.status = row[STATUS]
        found.data = SimpleNamespace(**{name: row.get(name) for name in kind.fields})
    there = [spec for spec in commands_on(kind.cls) if found.deleted or spec.cls is not kind.restore]
    told = [(spec, status) for spec in there for status in _statuses(spec, found)]
    return [
        Action.of(spec.name, _why_not(spec, status, found, children, by=caller, now=now, company=company), status)
        for spec, status in told
    ]


def _statuses(spec: CommandSpec, record: Record) -> Sequence[str | None]:
    """The other statuses that a command may take the record to; None for one that does something else."""
    statuses = record.kind.statuses
    if statuses is None or spec.cls is not record.kind.set_status:
        return [None]
    return [status for status in statuses.names if status != record.status]


def _why_not(
    spec: CommandSpec,
    status: str | None,
    record: Record,
    children: Mapping[str, int],
    *,
    by: Principal,
    now: datetime,
    company: CompanySettings,
) -> Refused | None:
    """What a command would be refused for, whatever else it says; None: for nothing."""
    try:
        by.require(spec.permission)
        context = by.context(now, company.day_of(now), spec.permission)
        if not record.is_reached(context):
            raise Refused("records.out_of_reach", field=spec.key)
        record.require_may(spec.cls, context)
        if status is not None:
            record.require_step(status, context)
        if spec.cls is record.kind.delete:
            record.require_childless(children)
    except Refused as refusal:
        return refusal
    return None
