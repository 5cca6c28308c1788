"""What changes of documents mean: as MongoDB writes them, and as they are worked out again in memory."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from operator import itemgetter
from typing import Any
from uuid import UUID

from bson import Decimal128
from pymongo import DeleteOne, ReplaceOne, UpdateOne

from chassis.model.changes import LONGEST_LIST, PLACE, Add, Append, Change, EventMetadata, Latest, Put, Remove, Set

Write = UpdateOne | ReplaceOne[Any] | DeleteOne
STAMPS, TOTALS = "_stamps", "_totals"


def stored(value: Any) -> Any:
    """A value as MongoDB keeps it: ids as text, amounts as Decimal128, days as YYYY-MM-DD, parts as objects."""
    convert = _storing.get(type(value))
    if convert is None:
        convert = _storing[type(value)] = _how_to_store(type(value))
    return convert(value)


def _id(value: UUID) -> str:
    """An id as text; most come again soon."""
    found = _ids.get(value.int)
    if found is None:
        if len(_ids) >= IDS_KEPT:
            _ids.clear()
        found = _ids[value.int] = str(value)
    return found


IDS_KEPT = 20_000
_ids: dict[int, str] = {}


@lru_cache(20_000)
def _amount(text: str) -> Decimal128:
    """An amount from its text: 1.0 and 1.00 are equal numbers, but not one amount."""
    return Decimal128(text)


def _how_to_store(kind: type) -> Callable[[Any], Any]:
    if is_dataclass(kind):
        names = tuple(kind.__dataclass_fields__)
        return lambda part: {name: stored(getattr(part, name)) for name in names}
    return next((convert for base, convert in _KINDS if issubclass(kind, base)), _same)


def _same(value: Any) -> Any:
    return value


_KINDS: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (Decimal, lambda value: _amount(str(value))),
    (UUID, _id),
    (datetime, _same),
    (date, date.isoformat),
    (Mapping, lambda value: {name: stored(inner) for name, inner in value.items()}),
    (list, lambda value: [stored(inner) for inner in value]),
    (tuple, lambda value: [stored(inner) for inner in value]),
)
_storing: dict[type, Callable[[Any], Any]] = {}  # found once for each type: a batch has thousands of values


@dataclass
class _Update:
    """Changes of one document that MongoDB can make in one update, and those that depend on what it holds."""

    sets: dict[str, Any] = field(default_factory=dict)
    adds: dict[str, int | Decimal] = field(default_factory=dict)
    pushes: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    latest: dict[str, tuple[int, Any]] = field(default_factory=dict)  # position and value

    def takes(self, change: Set | Latest | Add | Append) -> bool:
        """Whether a change can join: MongoDB refuses one path, or a path and its parent, in two places."""
        match change:
            case Latest():
                return True  # nothing else writes these fields
            case Set(fields=fields):
                return not any(_overlaps(name, self.adds, self.pushes) for name in fields) and self._nests_none(fields)
            case Add(amounts=amounts, about=about):
                return not any(_overlaps(n, self.sets, self.pushes) for n in amounts) and self.takes(Set("", **about))
            case Append(list_name=name):
                return not _overlaps(name, self.sets, self.adds)

    def _nests_none(self, fields: Iterable[str]) -> bool:
        """Whether no field lies within another that is set, or around one."""
        names = {*self.sets, *fields}
        return not any(name[:at] in names for name in names for at, ch in enumerate(name) if ch == ".")

    def join(self, change: Set | Latest | Add | Append, event: EventMetadata, number: int) -> None:
        """Take a change in; `number` is that of an entry among its event's entries of the same list."""
        match change:
            case Set(fields=fields):
                self.sets.update(fields)
            case Latest(fields=fields):
                for name, value in fields.items():
                    if name not in self.latest or self.latest[name][0] < event.position:
                        self.latest[name] = event.position, value
            case Add(amounts=amounts, about=about):
                self.sets.update(about)
                for name, amount in amounts.items():
                    self.adds[name] = self.adds.get(name, 0) + amount
            case Append(list_name=name):
                self.pushes.setdefault(name, []).append(_placed(change, event, number))

    def operations(self, key: Mapping[str, Any], last: Mapping[str, Any]) -> list[Write]:
        found: list[Write] = []
        if self.sets or self.adds or self.pushes:
            update: dict[str, Any] = {"$set": {**stored(self.sets), **last}}
            if self.pushes:
                update["$push"] = {
                    name: {"$each": stored(entries), "$sort": dict.fromkeys(PLACE, 1), "$slice": -LONGEST_LIST}
                    for name, entries in self.pushes.items()
                }
            totals = {f"{TOTALS}.{name}": len(entries) for name, entries in self.pushes.items()}
            if self.adds or totals:
                update["$inc"] = {**stored(self.adds), **totals}
            found.append(UpdateOne(key, update, upsert=True))
        if self.latest:
            found.append(UpdateOne(key, [{"$set": {**_unless_later(self.latest), **last}}], upsert=True))
        return found


def _placed(change: Append, event: EventMetadata, number: int) -> dict[str, Any]:
    """The entry with its place in the list."""
    return {**change.entry, **dict(zip(PLACE, (event.position, number), strict=True))}


def _unless_later(latest: Mapping[str, tuple[int, Any]]) -> dict[str, Any]:
    """What sets each field unless its stamp is that of a later event."""
    found: dict[str, Any] = {}
    for name, (position, value) in latest.items():
        stamp = f"{STAMPS}.{name}"
        later = {"$gte": [{"$ifNull": [f"${stamp}", -1]}, position]}
        found[name] = {"$cond": [later, f"${name}", {"$literal": stored(value)}]}
        found[stamp] = {"$max": [f"${stamp}", position]}
    return found


def _overlaps(name: str, *others: Iterable[str]) -> bool:
    """Whether a path is one of the others, lies within one, or around one."""
    for paths in others:
        for other in paths:
            if name == other or name.startswith(f"{other}.") or other.startswith(f"{name}."):
                return True
    return False


def operations(changes: Iterable[tuple[Change, EventMetadata]]) -> list[Write]:
    """The MongoDB writes of some changes, those of one document joined into as few as possible.

    All changes of an event come together.  Every document tells the last event it knows of (RPT-27).
    """
    writes: dict[Any, list[tuple[_Update | Put | Remove, EventMetadata]]] = {}
    entries: Counter[tuple[Any, str, str]] = Counter()
    for change, event in changes:
        key = stored(change.key)
        of_document = writes.setdefault(key, [])
        if isinstance(change, Put | Remove):
            of_document[:] = [(change, event)]
            continue
        last = of_document[-1][0] if of_document else None
        if not (isinstance(last, _Update) and last.takes(change)):
            last = _Update()
            of_document.append((last, event))
        number = 0
        if isinstance(change, Append):
            entry = (key, change.list_name, event.id)
            number, entries[entry] = entries[entry], entries[entry] + 1
        last.join(change, event, number)
        of_document[-1] = (last, event)
    return [made for key, found in writes.items() for write, event in found for made in _operations(key, write, event)]


def _operations(id: Any, write: _Update | Put | Remove, event: EventMetadata) -> list[Write]:
    key = {"_id": id}
    last = {"_event": event.id, "_event_at": event.at}
    match write:
        case Put(document=document):
            return [ReplaceOne(key, {**stored(document), **last}, upsert=True)]
        case Remove():
            return [DeleteOne(key)]
        case _Update():
            return write.operations(key, last)


def changed(document: dict[str, Any] | None, change: Change, event: EventMetadata) -> dict[str, Any] | None:
    """What a change makes of a document, as MongoDB would do it; None: there is none.  `document` is used up.

    Sums stay Decimal, which is what is added to next; `stored` makes of them what MongoDB keeps.
    """
    found = {} if document is None else document
    match change:
        case Put(document=new):
            return {**stored(new)}
        case Remove():
            return None
        case Set(fields=fields):
            _set_all(found, fields)
        case Latest(fields=fields):
            stamps = found.setdefault(STAMPS, {})
            for name, value in fields.items():
                if stamps.get(name, -1) < event.position:
                    stamps[name], found[name] = event.position, stored(value)
        case Add(amounts=amounts, about=about):
            _set_all(found, about)
            for path, amount in amounts.items():
                place, name = _place(found, path)
                before = place.get(name, 0)
                place[name] = (before.to_decimal() if isinstance(before, Decimal128) else before) + amount
        case Append(list_name=name):
            entries = found.setdefault(name, [])
            is_next = not entries or entries[-1][PLACE[0]] < event.position
            number = 0 if is_next else sum(entry[PLACE[0]] == event.position for entry in entries)
            entries.append(stored(_placed(change, event, number)))
            if not is_next:
                entries.sort(key=itemgetter(*PLACE))
            del entries[:-LONGEST_LIST]
            totals = found.setdefault(TOTALS, {})
            totals[name] = totals.get(name, 0) + 1
    return found


def told_of_lists(document: Mapping[str, Any], names: Iterable[str]) -> dict[str, dict[str, int]]:
    """How many entries each of these lists ever had, and how many of the oldest are left out."""
    totals = document.get(TOTALS, {})
    found = {name: (len(document.get(name) or ()), totals.get(name, 0)) for name in names}
    return {name: {"total": max(held, ever), "left_out": max(0, ever - held)} for name, (held, ever) in found.items()}


def left_out(document: Mapping[str, Any]) -> dict[str, int]:
    """How many entries the lists of a document have lost, those that are whole left out."""
    totals = document.get(TOTALS, {}).items()
    return {name: total - len(document[name]) for name, total in totals if total > len(document[name])}


def _set_all(document: dict[str, Any], fields: Mapping[str, Any]) -> None:
    for path, value in fields.items():
        if "." in path:
            place, name = _place(document, path)
            place[name] = stored(value)
        else:
            document[path] = stored(value)


def _place(document: dict[str, Any], path: str) -> tuple[dict[str, Any], str]:
    """The object that holds the last part of a dotted path (made if absent), and that part."""
    *outer, name = path.split(".")
    for part in outer:
        document = document.setdefault(part, {})
    return document, name
