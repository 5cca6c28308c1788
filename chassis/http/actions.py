"""What the caller of a page may do with the record on it."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
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

ACTIONS = "actions"
"""Where a page of a record tells them."""


@cache
def commands_on(declared: type) -> Sequence[CommandSpec]:
    """The commands that change a record of a kind, those of its own among them."""
    kind = kind_of(declared)
    there = (spec for spec in REGISTRY.commands.values() if spec.service == kind.service and spec.is_public)
    return [spec for spec in there if spec.key == kind.key and not spec.creates]


def actions_on(
    record: type[Record], row: dict[str, Any], caller: Principal, now: datetime, company: CompanySettings
) -> list[Action]:
    """What the caller may do with the record that a row shows, a command each."""
    kind = record.kind
    found = record(UUID(row["id"]))
    found.deleted = row["deleted"]
    if kind.owned:
        owner = row["owner_id"]
        found.owner = Person(user_id=UUID(owner) if owner else None, name=row["owner_name"])
        found.shares = tuple(decode(Share, msgspec.json.encode(share)) for share in row[SHARES])
    there = [spec for spec in commands_on(kind.cls) if found.deleted or spec.cls is not kind.restore]
    return [_action(spec, found, caller, now, company) for spec in there]


def _action(spec: CommandSpec, record: Record, caller: Principal, now: datetime, company: CompanySettings) -> Action:
    try:
        caller.require(spec.permission)
        context = caller.context(now, company.day_of(now), spec.permission)
        if not record.is_reached(context):
            raise Refused("records.out_of_reach", field=spec.key)
        record.require_may(spec.cls, context)
    except Refused as refusal:
        return Action.of(spec.name, refusal)
    return Action.of(spec.name, None)
