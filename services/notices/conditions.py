"""The conditions of push rules: those of lists (`?where=`), asked of a record that was just heard of (NTF-02)."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from functools import cache
from typing import Any

from chassis.model.changes import EventMetadata
from chassis.model.dictionaries import AS_PREPARED, Dictionaries
from chassis.model.record_views import record_view
from chassis.model.views import View
from chassis.projections.documents import changed, stored
from chassis.queries.conditions import Conditions
from chassis.queries.matching import meets, view_with_keys
from contracts.errors import Refused
from contracts.permissions import FIELD_RIGHTS
from contracts.records import Kind, kind_of
from contracts.statuses import STATUS
from services.notices.known_of_others import KnownHere

CONDITION = "condition"
_ANY = EventMetadata("heard/1", "", datetime(2000, 1, 1, tzinfo=UTC), "", 0, "")


def asked_of(kind: Kind) -> Sequence[str]:
    """The fields that a rule about a kind may ask of: its own, its status and whose it is."""
    more = [STATUS] if kind.statuses else []
    more += ["owner_id", "owner_name"] if kind.owned else []
    return [name for name in record_view(kind.cls).types if name in kind.fields or name in more]


@cache
def _view(cls: type) -> View:
    return view_with_keys(record_view(cls), asked_of(kind_of(cls)))


def read(
    kind: Kind,
    text: str,
    may: Callable[[str], bool] = lambda right: True,
    zone: tzinfo = UTC,
    dictionaries: Dictionaries = AS_PREPARED,
) -> Mapping[str, Any]:
    """The condition that a text writes; what somebody `may` not see they can't ask of.

    Raises Refused VALIDATION that names the field of the rule.
    """
    names = {*asked_of(kind)}

    def sees(name: str) -> bool:
        right = FIELD_RIGHTS.get(name)
        return name in names and (right is None or may(right))

    try:
        return Conditions(_view(kind.cls), sees, zone, dictionaries=dictionaries, in_parts=False).read(text)
    except Refused as refused:
        raise Refused.by(refused.why, field=CONDITION) from refused


def holds(kind: Kind, record: KnownHere, condition: Mapping[str, Any]) -> bool:
    """Whether a record is as a condition says."""
    view = _view(kind.cls)
    about: dict[str, Any] = {"owner": record.owner} if kind.owned else {}
    about |= {STATUS: record.status} if kind.statuses else {}
    fact = kind.created(**{kind.key: record.id}, **kind.layout.told(record.data), **about)
    [change] = view.handlers[kind.created](fact, _ANY)
    document = stored(changed(None, view.keyed(change), _ANY))
    return meets({**document, "_id": str(record.id)}, condition)
