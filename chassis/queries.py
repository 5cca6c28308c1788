"""Queries on views: parameters checked, the caller's scope applied, pages, exports, and how fresh the answer is."""

import base64
import csv
import io
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any, get_origin, get_type_hints

import msgspec
from bson import Decimal128
from pymongo.database import Database

from chassis.auth import Principal
from chassis.consistency import Token
from chassis.projector import STATES, live_id, mongo_key
from chassis.views import STAMPS, Exact, Filter, Range, Sums, View, Words
from contracts.errors import Refused, not_found

Document = dict[str, Any]

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
EXPORT_LIMIT = 100_000
PAGE_MS, EXPORT_MS = 10_000, 60_000
WAIT_SECONDS = 5.0
SHORTEST_PAUSE, LONGEST_PAUSE = 0.003, 0.010
PAGING = ("limit", "cursor", "sort", "count", "format")
FORMATS = ("json", "csv", "xlsx")


@dataclass(frozen=True)
class Freshness:
    """How current an answer is: everything up to `as_of` is in it, and every event up to `positions`."""

    as_of: datetime | None
    positions: Mapping[str, int]


@dataclass(frozen=True)
class Page:
    """Rows of a list, the cursor of the next page, the total if asked for, and how fresh they are."""

    items: list[Document]
    next: str | None
    freshness: Freshness
    total: int | None = None


class ViewReader:
    """Answers queries on one view."""

    def __init__(
        self, database: "Database[Document]", view: View, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._database = database
        self._view = view
        self._sleep = sleep
        self._seen: Document = {}
        self._looked_at = 0.0
        self._names = [item.name for item in fields(view.row)]
        self._decimals = {name for name, hint in get_type_hints(view.row).items() if hint is Decimal}
        self._lists = {name for name, hint in get_type_hints(view.row).items() if get_origin(hint) is list}

    # -- what callers use

    def one(self, principal: Principal, key: str, token: Token | None) -> tuple[Document, Freshness]:
        """The row with this key.  Raises Refused NOT_FOUND, also for a row outside the caller's scope."""
        state, freshness = self._ready(token)
        condition = {"$and": [{"_id": key}, self._scope(principal), dict(self._view.where)]}
        found = self._database[state["collection"]].find_one(condition)
        if found is None:
            raise not_found(self._view.what, self._view.detail or self._view.path.rpartition("{")[2].rstrip("}"))
        return self._row(found, principal), freshness

    def page(self, principal: Principal, params: Mapping[str, Sequence[str]], token: Token | None) -> Page:
        """One page of the list.  Raises Refused VALIDATION naming the parameter at fault."""
        selection, sort, limit = self._parse(principal, params)
        after = self._after(_one(params, "cursor"), sort)
        state, freshness = self._ready(token)
        collection = self._database[state["collection"]]
        total = None
        if _one(params, "count") in ("true", "1"):
            counted = collection.aggregate([*selection, {"$count": "total"}], maxTimeMS=PAGE_MS)
            total = next((found["total"] for found in counted), 0)
        if after:
            selection = [*selection, {"$match": after}]
        documents = list(collection.aggregate([*selection, *_ordered(sort, limit + 1)], maxTimeMS=PAGE_MS))
        more = documents[limit - 1] if len(documents) > limit else None
        return Page(
            items=[self._row(document, principal) for document in documents[:limit]],
            next=_encode_cursor(more, sort) if more else None,
            freshness=freshness,
            total=total,
        )

    def export(
        self, principal: Principal, params: Mapping[str, Sequence[str]], token: Token | None, format: str
    ) -> bytes:
        """All rows of a list as CSV or Excel.  Cells that a spreadsheet would take for a formula are made text."""
        selection, sort, _ = self._parse(principal, params)
        state, _ = self._ready(token)
        collection = self._database[state["collection"]]
        cursor = collection.aggregate([*selection, *_ordered(sort, EXPORT_LIMIT)], maxTimeMS=EXPORT_MS)
        names = [name for name in self._names if self._may_see(name, principal)]
        rows = ([_cell(self._row(document, principal).get(name)) for name in names] for document in cursor)
        return _csv(names, rows) if format == "csv" else _xlsx(self._view.name, names, rows)

    def default(self, principal: Principal, key: str) -> Document:
        """The row of a record that nothing has happened to yet."""
        return self._row({"_id": key, **self._view.defaults[key]}, principal)

    # -- freshness

    def _ready(self, token: Token | None) -> tuple[Document, Freshness]:
        """The view's state, after waiting (bounded) until it has what the token promises."""
        deadline = time.monotonic() + WAIT_SECONDS
        pause = SHORTEST_PAUSE
        wanted = token.about(self._view.topics) if token else Token({})
        state = self._look()
        while not wanted.reached_by(partial(_position, state)):
            if time.monotonic() > deadline:
                raise Refused("UNAVAILABLE", "The view has not caught up with your change yet; try again in a second.")
            self._sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)
            if time.monotonic() - self._looked_at >= SHORTEST_PAUSE:
                self._look()
            state = self._seen  # what another one who waits has just read serves all who wait
        return state, _freshness(state)

    def _look(self) -> Document:
        """Read the view's state.  Raises Refused UNAVAILABLE while there is none."""
        self._looked_at = time.monotonic()
        state = self._database[STATES].find_one({"_id": live_id(self._view)})
        if state is None:
            raise Refused("UNAVAILABLE", f"The view {self._view.name} is not built yet: start a projector.")
        self._seen = state
        return state

    # -- parameters

    def _parse(
        self, principal: Principal, params: Mapping[str, Sequence[str]]
    ) -> tuple[list[Document], tuple[str, int], int]:
        """The stages that select the rows asked for, how they are sorted, and how many a page has."""
        stored: list[Document] = [dict(self._view.where), self._scope(principal)]
        shown: list[Document] = []  # what is asked of rows that were added up
        sums = self._view.sums
        of_row = {*sums.by, sums.over} if sums else set()
        for name, values in params.items():
            if name in PAGING:
                continue
            condition = self._condition(name, values)
            (stored if sums is None or condition.keys() <= of_row else shown).append(condition)
        if sums and sums.over and not any(sums.over in condition for condition in stored):
            stored.append({sums.over: None})  # the rows that hold the sums of all
        selection: list[Document] = [{"$match": {"$and": stored}}]
        if sums:
            selection += _added_up(sums, self._decimals)
        if shown:
            selection.append({"$match": {"$and": shown}})
        return selection, self._sort(_one(params, "sort")), _limit(_one(params, "limit"))

    def _condition(self, name: str, values: Sequence[str]) -> Document:
        for base, rule in self._view.filters.items():
            if isinstance(rule, Range) and name in (f"{base}_from", f"{base}_to"):
                bound = "$gte" if name.endswith("_from") else "$lte"
                return {rule.field or base: {bound: _bound(name, rule, values[-1])}}
            if name == base and not isinstance(rule, Range):
                return _matches(name, rule, values)
        known = ", ".join(sorted({*parameter_names(self._view.filters), *PAGING}))
        raise Refused("VALIDATION", f"{name}: unknown parameter; there are {known}.", field=name)

    def _scope(self, principal: Principal) -> Document:
        """The condition that leaves only rows of people whom the caller's right to this view reaches (SEC-18)."""
        scope = self._view.scope
        if scope is None:
            return {}
        right = scope.right if principal.may(scope.right or self._view.permission) else ""
        reach = principal.reach(right or self._view.permission)
        if reach.everybody:
            return {}
        people = principal.organisation.waiting_for(reach.people, *scope.led_with) if scope.led_with else reach.people
        ids = {"$in": sorted(map(str, people))}
        own = [{name: ids} for name in scope.fields]
        return own[0] if len(own) == 1 else {"$or": own}

    def _sort(self, text: str | None) -> tuple[str, int]:
        text = text or self._view.order
        name, direction = text.lstrip("-"), -1 if text.startswith("-") else 1
        if name not in {s.lstrip("-") for s in (*self._view.sorts, self._view.order)}:
            allowed = ", ".join(self._view.sorts)
            raise Refused("VALIDATION", f"sort: must be one of {allowed}, with - before it to turn it.", field="sort")
        return name, direction

    def _after(self, cursor: str | None, sort: tuple[str, int]) -> Document | None:
        if not cursor:
            return None
        try:
            value, key = _decode_cursor(cursor)
        except (ValueError, TypeError, msgspec.DecodeError, InvalidOperation) as error:
            raise Refused("VALIDATION", "cursor: take it from `next` of the page before.", field="cursor") from error
        name, direction = sort
        beyond = "$gt" if direction == 1 else "$lt"
        if name == "_id":
            return {"_id": {beyond: key}}
        return {"$or": [{name: {beyond: value}}, {name: value, "_id": {"$gt": key}}]}

    # -- rows

    def _may_see(self, name: str, principal: Principal) -> bool:
        right = self._view.hidden.get(name)
        return right is None or principal.may(right)

    def _row(self, document: Document, principal: Principal) -> Document:
        shown = {**document, "id": document["_id"]}
        for name, compute in self._view.computed.items():
            shown[name] = compute(document)
        return {
            name: plain(shown.get(name, [] if name in self._lists else None))
            for name in self._names
            if self._may_see(name, principal)
        }


def _added_up(sums: Sums, decimals: Set[str]) -> list[Document]:
    """The stages that make one row of the stored ones of several owners.  A sum of nothing is 0."""
    id = {"$concat": [part for name in sums.by for part in ("/", f"${name}")][1:]}
    newest = {"$top": {"sortBy": {f"{STAMPS}.{sums.newest}" if sums.newest else "_id": -1}, "output": "$$ROOT"}}
    added = {name: {"$sum": f"${name}"} for name in sums.fields}
    shown = {name: {"$toDecimal": f"${name}"} if name in decimals else f"${name}" for name in sums.fields}
    return [
        {"$group": {"_id": id, "newest": newest, **added}},
        {"$replaceWith": {"$mergeObjects": ["$newest", {"_id": "$_id", **shown}]}},
    ]


def _ordered(sort: tuple[str, int], limit: int) -> list[Document]:
    name, direction = sort
    order = {name: direction} if name == "_id" else {name: direction, "_id": 1}
    return [{"$sort": order}, {"$limit": limit}]


def parameter_names(filters: Mapping[str, Filter]) -> list[str]:
    """The query parameters that some filters give."""
    names: list[str] = []
    for name, rule in filters.items():
        names += [f"{name}_from", f"{name}_to"] if isinstance(rule, Range) else [name]
    return names


def plain(value: Any) -> Any:
    """A stored value as JSON shows it: amounts as text, moments in RFC 3339."""
    if isinstance(value, Decimal128):
        return str(value.to_decimal())
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items() if not name.startswith("_")}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value


def _position(state: Document, source: str) -> int:
    return int(state.get("sources", {}).get(mongo_key(source), {}).get("position", 0))


def _freshness(state: Document) -> Freshness:
    if collected := state.get("collected"):
        return Freshness(min(item["as_of"] for item in collected.values()), {})
    moments = [moment for name in ("last_at", "idle_at") if (moment := state.get(name))]
    positions = {item["source"]: int(item["position"]) for item in state.get("sources", {}).values()}
    return Freshness(max(moments) if moments else None, positions)


def _one(params: Mapping[str, Sequence[str]], name: str) -> str | None:
    values = params.get(name)
    return values[-1] if values else None


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= MAX_LIMIT:
        raise Refused("VALIDATION", f"limit: must be a whole number from 1 to {MAX_LIMIT}.", field="limit")
    return int(text)


def _matches(name: str, rule: Exact | Words, values: Sequence[str]) -> Document:
    if any("\x00" in value or len(value) > 500 for value in values):
        raise Refused("VALIDATION", f"{name}: too long, or with control characters.", field=name)
    if isinstance(rule, Exact):
        if rule.whole and not all(re.fullmatch(r"-?[0-9]{1,15}", value) for value in values):
            raise Refused("VALIDATION", f"{name}: must be a whole number.", field=name)
        return {rule.field or name: {"$in": [int(value) if rule.whole else value for value in values]}}
    words = " ".join(values).split()
    return {
        "$and": [
            {"$or": [{field: {"$regex": re.escape(word), "$options": "i"}} for field in rule.fields]} for word in words
        ]
        or [{}]
    }


def _bound(name: str, rule: Range, text: str) -> Any:
    try:
        if rule.kind is datetime:
            moment = datetime.fromisoformat(text)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if rule.kind is date:
            return date.fromisoformat(text).isoformat()
        if rule.kind is Decimal:
            number = Decimal(text)
            if not number.is_finite() or abs(number) > Decimal("1e15"):
                raise ValueError("out of bounds")
            return Decimal128(number.quantize(Decimal("0.01")))
        if not re.fullmatch(r"-?[0-9]{1,15}", text):
            raise ValueError("not a whole number")
        return int(text)
    except (ValueError, InvalidOperation) as error:
        moment_kind = "a moment such as 2026-01-31T08:00:00Z"
        kind = {
            datetime: moment_kind,
            date: "a day such as 2026-01-31",
            Decimal: "an amount such as 12.50",
            int: "a whole number",
        }[rule.kind]
        raise Refused("VALIDATION", f"{name}: must be {kind}.", field=name) from error


def _encode_cursor(document: Document, sort: tuple[str, int]) -> str:
    value = document.get(sort[0])
    kind = "n" if isinstance(value, Decimal128) else "t" if isinstance(value, datetime) else "j"
    text = str(value.to_decimal()) if isinstance(value, Decimal128) else value
    return base64.urlsafe_b64encode(msgspec.json.encode([kind, text, document["_id"]])).decode().rstrip("=")


def _decode_cursor(cursor: str) -> tuple[Any, str]:
    raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    kind, value, key = msgspec.json.decode(raw)
    if not isinstance(key, str) or isinstance(value, (dict, list)):
        raise TypeError("cursor")
    if kind == "n":
        return Decimal128(Decimal(value)), key
    return (datetime.fromisoformat(value) if kind == "t" else value), key


def _cell(value: Any) -> Any:
    if isinstance(value, (dict, list)):
        value = msgspec.json.encode(value).decode()
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return value if re.fullmatch(r"-?[0-9.]+", value) else f"'{value}"
    return value


def _csv(names: Sequence[str], rows: Iterator[list[Any]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(names)
    writer.writerows(rows)
    return b"\xef\xbb\xbf" + out.getvalue().encode()  # the mark lets Excel read Chinese and Japanese


def _xlsx(title: str, names: Sequence[str], rows: Iterator[list[Any]]) -> bytes:
    from openpyxl import Workbook  # noqa: PLC0415 - a tenth of an api's start, and seldom needed

    book = Workbook(write_only=True)
    sheet = book.create_sheet(title[:31])
    sheet.append(list(names))
    for row in rows:
        sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()
