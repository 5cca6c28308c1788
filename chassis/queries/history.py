"""Asking about the past of a view's rows: as of a moment, and who changed what (`View.history`)."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Any, NamedTuple
from unicodedata import normalize

from chassis.model.views import View
from chassis.projections.versions import ABOUT, FROM, NUMBER, OF, UNTIL
from chassis.queries.filters import bounds_of_day, parsed, single
from contracts.errors import Refused
from contracts.types import PLAIN_DAY

Document = dict[str, Any]
Params = Mapping[str, Sequence[str]]
Show = Callable[[Any], Any]
"""Makes of a stored value what is shown of it."""
Labels = Callable[[Document], Document]
"""What is called, in the caller's language, what a row has picked from dictionaries, by field."""

SINCE, UNTIL_WHEN, LIMIT, CURSOR = "from", "to", "limit", "cursor"
ASKED = (SINCE, UNTIL_WHEN, LIMIT, CURSOR)
"""What may be asked of the history of a row."""
LAST_OF_A_DAY = timedelta(milliseconds=1)
KEPT_OF_ITSELF = frozenset({"id", "version", "created_at", "created_by", "changed_at", "changed_by"})
"""The fields that say when and by whom a row changed: the history tells that anyway."""


class Asked(NamedTuple):
    """A part of a history: between two moments (None: from the first, up to now), and before a version."""

    since: datetime | None
    until: datetime | None
    before: int | None


def moment(params: Params, name: str, zone: tzinfo, now: datetime) -> datetime | None:
    """The moment that a parameter names; of a day its end, or now, and of the day from which on, its begin.

    Raises Refused VALIDATION for what is none, or is still to come.
    """
    if name not in params:
        return None
    text = normalize("NFKC", single(name, params[name])).strip()
    if PLAIN_DAY.fullmatch(text):
        try:
            begin, end = bounds_of_day(text, zone)
        except ValueError:
            begin = end = parsed(name, datetime, text, zone)  # which refuses it
        at = begin if name == SINCE else min(end - LAST_OF_A_DAY, max(begin, now))
    else:
        at = parsed(name, datetime, text, zone)
    if at > now:
        raise Refused("lists.still_to_come", field=name)
    return at


def asked(params: Params, zone: tzinfo, now: datetime) -> Asked:
    """What somebody asks of a history.  Raises Refused VALIDATION."""
    since, until = moment(params, SINCE, zone, now), moment(params, UNTIL_WHEN, zone, now)
    if since and until and since > until:
        raise Refused("lists.between", end=UNTIL_WHEN, field=SINCE)
    cursor = single(CURSOR, params[CURSOR]) if CURSOR in params else None
    if cursor is not None and not re.fullmatch("[0-9]{1,18}", cursor):
        raise Refused("lists.history_cursor", field=CURSOR)
    return Asked(since, until, int(cursor) if cursor else None)


def require_known(view: View, fields_of: Mapping[str, Iterable[str]]) -> None:
    """Raises Refused VALIDATION for a parameter of a list as of a moment that asks of what only now is known.

    `fields_of` tells of which fields each parameter asks.  Else a sum would come to nothing, and a filter find nothing.
    """
    for name, asked in fields_of.items():
        if unknown := [field for field in asked if field in view.without_history]:
            raise Refused("lists.unknown_then", name=unknown[0], field=name)


def holding(at: datetime) -> list[Document]:
    """The stages that make of versions the rows as they were at a moment."""
    there = {FROM: {"$lte": at}, "$or": [{UNTIL: None}, {UNTIL: {"$gt": at}}]}
    return [{"$match": there}, {"$set": {"_id": f"${OF}"}}]


def still_seen(collection: str, scope: Document | None) -> list[Document]:
    """The stages that leave only rows which now, too, belong to whom `scope` says."""
    if not scope:
        return []
    there = {"from": collection, "localField": "_id", "foreignField": "_id", "as": "_now"}
    looked_up = {**there, "pipeline": [{"$match": scope}, {"$project": {"_id": 1}}]}
    return [{"$lookup": looked_up}, {"$match": {"_now": {"$ne": []}}}, {"$unset": "_now"}]


def versions_asked(row: str, part: Asked) -> Document:
    """The condition for the versions that were made in a part of a row's history."""
    found: Document = {OF: row}
    bounds = {"$gte": part.since, "$lte": part.until}
    if between := {how: at for how, at in bounds.items() if at}:
        found[FROM] = between
    if part.before is not None:
        found[NUMBER] = {"$lt": part.before}
    return found


def entries(versions: Iterable[Document], names: Collection[str], show: Show, labels: Labels) -> list[Document]:
    """What each version but the last changed; `versions` have the newest first, the last may be none ({})."""
    return [_entry(version, before, names, show, labels) for version, before in pairwise(versions)]


def _entry(version: Document, before: Document, names: Collection[str], show: Show, labels: Labels) -> Document:
    about = version[ABOUT]
    return {
        "version": version[NUMBER],
        "at": show(version[FROM]),
        "event": about["type"],
        "by": about["by"],
        "cause": about["cause"],
        "changes": difference(before, version, names, show, labels),
    }


def difference(before: Document, after: Document, names: Collection[str], show: Show, labels: Labels) -> list[Document]:
    """The fields that differ between two versions of a row, of those `names`; {} is one that was not there.

    Of what was picked from dictionaries it is told what that is called, too.
    """
    told_before, told_after = labels(before), labels(after)
    return [
        {
            "field": name,
            "before": show(before.get(name)),
            "after": show(after.get(name)),
            **({"labels": [told_before[name], told_after[name]]} if name in told_after else {}),
        }
        for name in names
        if before.get(name) != after.get(name)
    ]


def told_fields(view: View, names: Iterable[str]) -> list[str]:
    """The fields of a row whose changes a history tells: not those that are worked out, or that it tells anyway."""
    return [name for name in names if name not in KEPT_OF_ITSELF and name not in view.computed]
