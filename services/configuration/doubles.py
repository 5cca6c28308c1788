"""Which records have the same value of a field that is to be unique (CFG-01): learned from the events of every kind."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import make_dataclass, replace
from functools import partial
from typing import Any
from uuid import UUID

from chassis.model.identity import record_id
from chassis.model.records import own_value_once
from chassis.model.service import Replica, Work
from contracts.configuration import ChangeCustomField, RestoreCustomField
from contracts.custom_fields import OWN, CustomField, Own, read
from contracts.declare import REGISTRY
from contracts.errors import Refused
from contracts.personal import Personal
from contracts.reasons import OfPerson, Some
from contracts.records import KINDS, Kind
from services.configuration.domain.custom_fields import CustomFields, kind_named

SHOWN = 5
"""So many values a refusal tells, and so many records of each."""
Feed = Callable[[Any, Any], Any]


def _row_of(kind: Kind) -> type:
    """What is known of a record: its own values, sealed where it tells of a person, and whether it was deleted."""
    own = Personal[Own] if kind.has_personal else Own
    made = make_dataclass(f"OwnOf{kind.name}", [(kind.key, UUID), (OWN, own), ("deleted", bool, False)], frozen=True)
    made.__module__, made.__doc__ = __name__, f"The own values of one {kind.what}."
    if kind.has_personal:
        made.about_person = kind.key  # type: ignore[attr-defined]
    return made


def _feeds(kind: Kind, row_of: type) -> Mapping[type, Feed]:
    def told(row: Any, fact: Any) -> Any:
        own = kind.layout.read(fact).own
        if row is None:
            return row_of(**{kind.key: getattr(fact, kind.key), OWN: own})
        return replace(row, **{OWN: own})

    def gone(row: Any, _: Any, *, deleted: bool) -> Any:
        return row and replace(row, deleted=deleted)

    return {
        kind.created: told,
        kind.edited: told,
        kind.deleted: partial(gone, deleted=True),
        kind.restored: partial(gone, deleted=False),
    }


def _replica(kind: Kind) -> Replica[Any]:
    row = _row_of(kind)
    return Replica(f"own-values-of-{kind.code}", row, feeds=_feeds(kind, row))


REGISTRY.load()  # all kinds of records are declared then
OWN_VALUES: Mapping[str, Replica[Any]] = {kind.code: _replica(kind) for kind in KINDS.values()}
"""What is known of the records of each kind."""


def changing(act: Callable[[CustomFields, Any, Any], None]) -> Callable[[Any, Work], CustomFields]:
    """The handler of a command after which a field may be unique.  Raises Refused where records have the same value."""

    def handler(command: ChangeCustomField | RestoreCustomField, work: Work) -> CustomFields:
        kind = kind_named(command.kind)
        fields = work.find_or_new(CustomFields, record_id("kind", command.kind))
        act(fields, command, work.context)
        field = fields.fields[command.key]
        if field.is_unique and field.unique_since == fields.version and fields.pending:
            require_none_twice(kind, field, work)
        return fields

    return handler


def require_none_twice(kind: Kind, field: CustomField, work: Work) -> None:
    """Raises Refused INVALID_STATE that tells which values several records have, as far as the caller sees all such."""
    holders, said = defaultdict[UUID, set[UUID]](set), dict[UUID, str]()
    for row in work.rows(OWN_VALUES[kind.code]):
        held = None if row.deleted else read(row.own).get(field.key)
        for id in own_value_once(kind, field, str(held.value)).ids if held else ():
            holders[id].add(getattr(row, kind.key))
            said[id] = str(held.value) if held else ""
    twice = {frozenset(found): said[id] for id, found in holders.items() if len(found) > 1}
    if not twice:
        return
    if not work.context.reach_of(kind.view).everybody:
        raise Refused("fields.doubles_unseen", count=len(twice), field="unique", state="DOUBLES")
    told = sorted(f"{value} ({', '.join(sorted(map(str, found))[:SHOWN])})" for found, value in twice.items())
    values = [OfPerson(one) for one in told] if kind.has_personal else told
    raise Refused("fields.doubles", values=Some(values, SHOWN), field="unique", state="DOUBLES")
