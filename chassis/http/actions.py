"""What the caller of a page may do with the record on it, and the reason why not, as the command would be refused."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from chassis.access.company import CompanySettings
from chassis.model.principal import Principal
from chassis.model.records import Record
from contracts.declare import REGISTRY, CommandSpec
from contracts.errors import Refused
from contracts.people import Person
from contracts.schemas import decode
from contracts.sharing import SHARES, Share

ACTIONS = "actions"
"""Where a page of a record tells them."""


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the caller may give a command of the record now; `code`, `reason` and `params` say why not.

    What a command says may still be refused, and so may what has changed since.
    """

    command: str
    allowed: bool
    code: str | None = None
    reason: str | None = None
    params: dict[str, Any] = {}


def commands_on(record: type[Record]) -> Sequence[CommandSpec]:
    """The commands that change a record of a kind, those of its own among them."""
    kind = record.kind
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
    there = [spec for spec in commands_on(record) if found.deleted or spec.cls is not kind.restore]
    return [_action(spec, found, caller, now, company) for spec in there]


def _action(spec: CommandSpec, record: Record, caller: Principal, now: datetime, company: CompanySettings) -> Action:
    try:
        caller.require(spec.permission)
        context = caller.context(now, company.day_of(now), spec.permission)
        if not record.is_reached(context):
            raise Refused("records.out_of_reach", field=spec.key)
        record.require_may(spec.cls, context)
    except Refused as refusal:
        told: dict[str, Any] = refusal.why.told()
        return Action(command=spec.name, allowed=False, code=refusal.code, **told)
    return Action(command=spec.name, allowed=True)
