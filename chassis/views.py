"""What a view module declares: a read model in MongoDB, the events it is made of and the query that serves it.

    VIEW = View(
        name="stock", route="GET /products", row=StockRow, permission="products.view",
        handlers={ProductAdded: added, StockMoved: moved},
        filters={"brand": Exact(), "q": Words("name", "model")}, sorts=("name", "on_hand"),
    )

    def moved(fact: StockMoved, event: EventInfo) -> Iterable[Change]:
        yield Set(fact.product_id, on_hand=fact.balance)

Handlers build updates and never read: the same events give the same documents, whenever they are replayed, and in
whatever order the partitions come.  Kafka keeps the order of one key only, so a field that events of several keys
write must not be `Set`: `Latest` and `Append` go by the order of the service's log, `Add` by none (ADR 0021).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property, lru_cache
from operator import itemgetter
from typing import Any
from uuid import UUID

from bson import Decimal128
from pymongo import DeleteOne, ReplaceOne, UpdateOne

from chassis.company import first_zone
from chassis.row_fields import BY_NUMBER, FOUND_BY, FieldType, Keys, field_types, key_place
from contracts.company import LANGUAGES
from contracts.declare import REGISTRY, ContractError
from contracts.permissions import FIELD_RIGHTS
from contracts.text import squashed_forms


@dataclass(frozen=True)
class EventInfo:
    """What is known of an event besides its data."""

    id: str
    type: str
    at: datetime
    source: str
    position: int
    user_id: str
    day_told: str = ""

    @property
    def day(self) -> date:
        """The day on which it happened, in the zone the company had set then: for all that counts days or weeks."""
        return date.fromisoformat(self.day_told) if self.day_told else self.at.astimezone(first_zone()).date()

    @property
    def version(self) -> int:
        """The version of the record the event belongs to: what If-Match is compared with."""
        return int(self.id.rpartition("/")[2])


@dataclass(frozen=True)
class Put:
    """Replace the document with this key."""

    key: object
    document: Mapping[str, Any]


@dataclass(frozen=True, init=False)
class Set:
    """Set fields of the document with this key (made if absent)."""

    key: object
    fields: Mapping[str, Any]

    def __init__(self, key: object, **fields: Any) -> None:
        object.__setattr__(self, "key", key)
        object.__setattr__(self, "fields", fields)


@dataclass(frozen=True, init=False)
class Latest:
    """Set fields of the document with this key, unless an event further on in its service's log has set them.

    For what events of several keys of one service tell: their partitions come in any order.  Fields of the document
    itself only (no dotted paths), and no other change may write them.
    """

    key: object
    fields: Mapping[str, Any]

    def __init__(self, key: object, **fields: Any) -> None:
        object.__setattr__(self, "key", key)
        object.__setattr__(self, "fields", fields)


@dataclass(frozen=True)
class Add:
    """Add to numbers of the document with this key; `about` sets what describes it (a day, a product's name)."""

    key: object
    amounts: Mapping[str, int | Decimal]
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, init=False)
class Append:
    """Append an entry to a list of the document with this key.

    The list is in the order of the log of the one service that feeds it, and keeps its newest `LONGEST_LIST` entries;
    `_totals` tells how many there were.
    """

    key: object
    list_name: str
    entry: Mapping[str, Any]

    def __init__(self, key: object, list_name: str, **entry: Any) -> None:
        object.__setattr__(self, "key", key)
        object.__setattr__(self, "list_name", list_name)
        object.__setattr__(self, "entry", entry)


@dataclass(frozen=True)
class Remove:
    """Delete the document with this key."""

    key: object


Change = Put | Set | Latest | Add | Append | Remove
Operation = UpdateOne | ReplaceOne[Any] | DeleteOne

LONGEST_LIST = 200  # entries: few lists ever get there, and the longest entries together stay below MongoDB's 16 MB
STAMPS, TOTALS = "_stamps", "_totals"
LISTS = "lists"
"""Where the row of an answer tells of its lists how many entries they had, and how many are left out."""
COMPANY_CURRENCY = "_company_currency"
"""Where a document that is read tells what is worked out from it the currency that the company has now."""
PLACE = ("_position", "_entry")
"""Where an entry of a list stands: the position of its event in the log, and its number among the event's entries."""


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

    def join(self, change: Set | Latest | Add | Append, event: EventInfo, number: int) -> None:
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

    def operations(self, key: Mapping[str, Any], last: Mapping[str, Any]) -> list[Operation]:
        found: list[Operation] = []
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


def _placed(change: Append, event: EventInfo, number: int) -> dict[str, Any]:
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


def operations(changes: Iterable[tuple[Change, EventInfo]]) -> list[Operation]:
    """The MongoDB writes of some changes, those of one document joined into as few as possible.

    All changes of an event come together.  Every document tells the last event it knows of (RPT-27).
    """
    writes: dict[Any, list[tuple[_Update | Put | Remove, EventInfo]]] = {}
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


def _operations(id: Any, write: _Update | Put | Remove, event: EventInfo) -> list[Operation]:
    key = {"_id": id}
    last = {"_event": event.id, "_event_at": event.at}
    match write:
        case Put(document=document):
            return [ReplaceOne(key, {**stored(document), **last}, upsert=True)]
        case Remove():
            return [DeleteOne(key)]
        case _Update():
            return write.operations(key, last)


def changed(document: dict[str, Any] | None, change: Change, event: EventInfo) -> dict[str, Any] | None:
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


# -- queries ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Exact:
    """?field=value: equal to one of the values given (repeat the parameter for several).

    The row's type says how values are written and which there are; `among` names them where the type can't, and
    `known` what they are where only whoever answers knows them (`chassis.filters.Known`).
    """

    field: str | None = None
    among: Sequence[str] = ()
    known: str = ""


@dataclass(frozen=True)
class Words:
    """?q=text: every word occurs in one of the fields, or all of it in one without its blanks and dashes.

    Letter case, width and Unicode form don't count (`contracts.text.squashed`).
    """

    fields: Sequence[str]

    def __init__(self, *fields: str) -> None:
        object.__setattr__(self, "fields", fields)


@dataclass(frozen=True)
class Range:
    """?field_from=..&field_to=..: within bounds, both included.  `kind` says how the bounds are written."""

    kind: type[date] | type[datetime] | type[Decimal] | type[int] = date
    field: str | None = None


Filter = Exact | Words | Range
Handler = Callable[[Any, EventInfo], Iterable[Change]]


@dataclass(frozen=True)
class Scope:
    """Whose rows a caller sees (SEC-18): the fields that hold the ids of those it belongs to, one of them in reach.

    `led_with`: it belongs to the next one above that person who holds these rights, whoever that is now.
    `right`: the right whose reach counts, if not the view's own; without it one sees one's own.
    """

    owner: str
    also: Sequence[str] = ()
    led_with: Sequence[str] = ()
    right: str = ""

    @property
    def fields(self) -> Sequence[str]:
        return (self.owner, *self.also)


@dataclass(frozen=True)
class Sums:
    """Rows shown as one: those alike in the fields `by` (texts), their `fields` added up over the owners in reach.

    `over` names a field, a day for example, that tells the stored rows apart and may be asked for; the rows without
    it hold the sums of all the others, and are what is shown when nobody asks for it.  What the rows tell besides is
    told by the one in which the field `newest` is the latest (`Latest`).
    """

    by: Sequence[str]
    fields: Sequence[str]
    over: str = ""
    newest: str = ""


@dataclass(frozen=True)
class Index:
    """An index of a view's collection; `language`: whose order texts are kept in (`View.orders_of`)."""

    fields: Sequence[str]
    language: str = ""

    @property
    def name(self) -> str:
        return "_".join([*self.fields, *([self.language] if self.language else [])])


@dataclass(frozen=True)
class View:
    """A read model.

    `edition` grows with each change of what the handlers write: views of another one are rebuilt when a worker starts.
    `personal` names the fields that tell of people: whoever reads them is noted in the audit log (SEC-21).
    `collected` is for the view of that log itself, which collectors fill and no events (ADR 0018).

    `row` is a dataclass that documents the fields answers show; `hidden` names those that need a further right
    besides those that need one wherever they stand (`contracts.permissions.FIELD_RIGHTS`),
    `computed` those worked out when read: from the others, and from the company's currency (COMPANY_CURRENCY).
    `detail` names a path field: GET <route>/{detail} answers one row.  `defaults` are the documents, by key, of records
    that there are before anything happened to them.
    `where` is a fixed condition.  `scope` limits rows to the caller's (SEC-18), `sums` adds them up
    over those.

    Indexes follow from sorts, filters and scope; `indexes` names those that are wanted besides.
    """

    name: str
    route: str
    row: type
    permission: str
    handlers: Mapping[type, Handler]
    filters: Mapping[str, Filter] = field(default_factory=dict)
    sorts: Sequence[str] = ("_id",)
    default_sort: str = ""
    indexes: Sequence[Sequence[str]] = ()
    scope: Scope | None = None
    sums: Sums | None = None
    hidden: Mapping[str, str] = field(default_factory=dict)
    where: Mapping[str, Any] = field(default_factory=dict)
    computed: Mapping[str, Callable[[Mapping[str, Any]], Any]] = field(default_factory=dict)
    detail: str = ""
    what: str = "record"
    personal: Sequence[str] = ()
    collected: bool = False
    defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    edition: int = 1

    def __post_init__(self) -> None:
        if LISTS in {item.name for item in fields(self.row)}:
            raise ContractError(
                f"view {self.name}: answers tell of its lists under {LISTS!r}: name the field otherwise"
            )
        further = {name: right for name, right in FIELD_RIGHTS.items() if name in self.types}
        object.__setattr__(self, "hidden", {**further, **self.hidden})
        if unknown := set(self.personal) - {item.name for item in fields(self.row)}:
            raise ContractError(f"view {self.name}: personal names fields it does not have: {sorted(unknown)}")
        if self.defaults and (self.scope or self.sums or self.where):
            raise ContractError(f"view {self.name}: defaults are nobody's, always shown, and not added up")
        method, _, path = self.route.partition(" ")
        if method != "GET" or not path.startswith("/"):
            raise ContractError(f"view {self.name}: route {self.route!r} must be 'GET /path'")
        asked = {name.removeprefix("-") for name in (*self.sorts, self.order)} - {"_id"}
        asked |= {rule.field or name for name, rule in self.filters.items() if isinstance(rule, Exact)}
        if unknown := asked - set(self.types):
            raise ContractError(f"view {self.name}: its row lacks what it sorts or filters by: {sorted(unknown)}")

    @property
    def path(self) -> str:
        return self.route.removeprefix("GET ")

    @cached_property
    def topics(self) -> frozenset[str]:
        """The topics whose events it reads."""
        return frozenset(REGISTRY.event_of(fact).topic for fact in self.handlers)

    @property
    def is_list(self) -> bool:
        """Whether the route itself answers a list (else it ends with the key of one row)."""
        return "{" not in self.path

    @property
    def order(self) -> str:
        return self.default_sort or self.sorts[0]

    # -- what follows from the declaration

    @cached_property
    def types(self) -> Mapping[str, FieldType]:
        """The kind of every field of its rows."""
        return field_types(self.row)

    @cached_property
    def growing_lists(self) -> Sequence[str]:
        """The lists of its rows that may lose their oldest entries: those of a view that appends to some."""
        code = [getattr(handler, "func", handler) for handler in self.handlers.values()]
        if not any(Append in getattr(function, "__globals__", {}).values() for function in code):
            return ()
        return [name for name, kind in self.types.items() if kind.of is not None and kind.of.kind == "object"]

    @cached_property
    def keys(self) -> Sequence[tuple[str, str, Keys]]:
        """The texts that are found by a key: the path of each, where its keys are kept, and what makes them.

        The audit log has none: it is as large as all else, and searched as it is.
        """
        if self.collected:
            return ()
        found: dict[tuple[str, str], Keys] = {}
        for name, rule in self.filters.items():
            if isinstance(rule, Words):
                found |= {(field, key_place(FOUND_BY, field)): squashed_forms for field in rule.fields}
            elif isinstance(rule, Exact) and (make := self.types[rule.field or name].keyed):
                field = rule.field or name
                found[field, key_place(self.types[field].keys_in, field)] = make
        return [(field, place, make) for (field, place), make in found.items()]

    def keyed(self, change: Change) -> Change:
        """The change with the keys of the texts it sets."""
        if not self.keys:
            return change
        match change:
            case Put(key=key, document=document) if found := self.keys_of(document):
                return Put(key, {**document, **found})
            case Set(key=key, fields=fields) if found := self.keys_of(fields):
                return Set(key, **fields, **found)
            case Latest(key=key, fields=fields) if found := self.keys_of(fields):
                return Latest(key, **fields, **found)
            case Add(key=key, amounts=amounts, about=about) if found := self.keys_of(about):
                return Add(key, amounts, {**about, **found})
        return change

    def keys_of(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The keys of the texts among some fields, by where they are kept."""
        return {
            place: key_of(value, make)
            for field, place, make in self.keys
            if (value := _value_at(fields, field)) is not _NOT_SET
        }

    @cached_property
    def all_indexes(self) -> Sequence[Index]:
        """The indexes of its collection: for each sort and filter, and for each sort within a scope.

        The last field is `_id`, which decides between equals: read backwards such an index serves the other direction.
        """
        if not self.is_list:
            return ()
        found = [Index(tuple(index)) for index in self.indexes]
        owners = list(self.scope.fields) if self.scope else []
        if self.sums is None:
            for sort in dict.fromkeys(name.removeprefix("-") for name in (*self.sorts, self.order)):
                end = [sort] if sort == "_id" else [sort, "_id"]
                for start in ([], *([owner] for owner in owners)):
                    found += self._in_languages(sort, [*start, *end])
        else:
            found += [Index((owner,)) for owner in owners]
        default = self.order.removeprefix("-")
        for name, rule in self.filters.items():
            if isinstance(rule, Exact):
                field = self.place_of(rule.field or name)
                if self.sums is not None:
                    found.append(Index((field,)))
                elif field != default:
                    found += self._in_languages(default, [field, default, "_id"])
            elif isinstance(rule, Range):
                found.append(Index((rule.field or name,) if self.sums else (rule.field or name, "_id")))
        return [index for index in dict.fromkeys(found) if index.fields != ("_id",)]

    def place_of(self, field: str) -> str:
        """Where a filter finds what it compares a value with: the key of a text, else the field itself."""
        kept = {path: place for path, place, _ in self.keys if place.startswith(self.types[field].keys_in)}
        return kept.get(field, field) if self.types[field].keyed else field

    def is_in_words(self, field: str) -> bool:
        """Whether a field sorts in the order of a language."""
        return field != "_id" and self.types[field].kind == "text"

    def orders_of(self, field: str) -> Sequence[str]:
        """The orders in which a field may be sorted: languages, BY_NUMBER, or "" for that of values as they are."""
        if self.is_in_words(field):
            return LANGUAGES
        is_code = field != "_id" and self.types[field].kind == "code" and self.types[field].guard is None
        return (BY_NUMBER if is_code else "",)

    def _in_languages(self, sort: str, fields: Sequence[str]) -> list[Index]:
        return [Index(tuple(fields), language) for language in self.orders_of(sort)]


_NOT_SET = object()


def _value_at(fields: Mapping[str, Any], path: str) -> Any:
    """What is set at a dotted path, by itself or within an object that is set."""
    if path in fields:
        return fields[path]
    outer, _, inner = path.partition(".")
    if not inner or outer not in fields:
        return _NOT_SET
    value = fields[outer]
    return value.get(inner, _NOT_SET) if isinstance(value, Mapping) else getattr(value, inner, _NOT_SET)


def key_of(value: Any, make: Keys) -> Any:
    """The key of a text, or all of them where it has several, and of each text of a list; None for what is no text."""
    if isinstance(value, str):
        found = make(value)
        return found[0] if len(found) == 1 else found
    if isinstance(value, list | tuple):
        return [key for item in value for key in (make(item) if isinstance(item, str) else [None])]
    return None
