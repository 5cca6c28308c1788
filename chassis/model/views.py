"""What a view module declares: a read model in MongoDB, the events it is made of and the query that serves it.

    VIEW = View(
        name="stock", route="GET /products", row=StockRow, permission="products.view",
        handlers={ProductAdded: added, StockMoved: moved},
        filters={"brand": Exact(), "q": Words("name", "model")}, sorts=("name", "on_hand"),
    )

    def moved(event: StockMoved, metadata: EventMetadata) -> Iterable[Change]:
        yield Set(event.product_id, on_hand=event.balance)

Handlers build updates and never read: the same events give the same documents, whenever they are replayed, and in
whatever order the partitions come.  Kafka keeps the order of one key only, so a field that events of several keys
write must not be `Set`: `Latest` and `Append` go by the order of the service's log, `Add` by none (ADR 0021).
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import Any, Literal
from uuid import UUID

from chassis.model.changes import Add, Append, Change, EventMetadata, Latest, Put, Set
from chassis.model.custom_values import OwnValues
from chassis.model.deciding import Caller
from chassis.model.row_fields import (
    BY_NUMBER,
    EQUAL_TO,
    FOUND_BY,
    PARTS,
    FieldType,
    StoredKeys,
    currency_of,
    field_types,
    key_place,
    parts_of,
)
from contracts.custom_fields import OWN
from contracts.declare import REGISTRY, ContractError
from contracts.errors import Refused
from contracts.languages import LANGUAGES
from contracts.lists import LIST_PARAMETERS, VIEWED, WORDS
from contracts.merging import MERGED_INTO
from contracts.permissions import FIELD_RIGHTS
from contracts.sharing import SHARED_WITH, SHARES
from contracts.subjects import OTHERS, SUBJECT_ID, SUBJECT_KIND
from contracts.text import squashed_forms

LISTS = "lists"
"""Where the row of an answer tells of its lists how many entries they had, and how many are left out."""
LABELS = "labels"
"""Where the row of an answer tells what is called, in the caller's language, what was picked from dictionaries, and
what the records are called that it names."""
KINDS_OF_SUBJECTS = "kinds of subjects"
"""The closed set of what rows about other records call the kinds of those (`contracts.subjects`)."""
CURRENCY = "currency"
"""The field of a row that tells the currency of its amounts, but for those that have one of their own."""
COMPANY_CURRENCY = "_company_currency"
"""Where a document that is read tells what is worked out from it the currency that the company has now."""
CALLER = "_caller"
"""Where it tells who asks (`chassis.model.deciding.Caller`)."""
LANGUAGE = "_language"
"""Where it tells the language of whoever asks."""
NAMED = "_named"
"""What the records are called that a row names by `parents`, of those that whoever asks sees: field -> id -> name."""
NOW = "_now"
"""Where it tells the moment at which it is read."""


# -- queries ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Exact:
    """?field=value: equal to one of the values given (repeat the parameter for several).

    The row's type says how values are written and which there are; `among` names them where the type can't, and
    `known` what they are where only whoever answers knows them (`chassis.queries.filters.ClosedSets`).  `form` is that
    of a text that has one: what is written otherwise is none, and is refused.

    What its index need not hold makes a large view smaller (ADR 0033).  `usual` is a value that is asked for by nobody,
    or that so many rows have that they are met soon in the order of the list: its rows are in no index.  Where `few`
    rows have one value, the index holds hashes of values alone: rows are found by it, and then sorted.

    `match` is for what rows have several of: some of the values given, all of them, or none.
    """

    field: str | None = None
    among: Sequence[str] = ()
    known: str = ""
    form: Literal["", "id", "address"] = ""
    usual: str | None = None
    few: bool = False
    match: Literal["any", "all", "none"] = "any"


def unusual(field: str, usual: str | bytes | bool) -> Mapping[str, Any]:
    """The condition for the rows whose field has another value than the usual one, as MongoDB knows it in an index."""
    beyond = {field: {"$gt": usual}}
    return {"$or": [{field: {"$lt": usual}}, beyond]} if usual else beyond


@dataclass(frozen=True)
class Words:
    """?q=text: every word occurs in one of the fields, or all of it in one without its blanks and dashes.

    Letter case, width and Unicode form don't count (`contracts.text.squashed`).  `indexed`: rows are found by an index
    of the pieces of their texts, however many there are, and else one after the other.  Each piece is an entry of it,
    so long texts have none, and lists that stay short need none (ADR 0060).
    """

    fields: Sequence[str]
    indexed: bool = False

    def __init__(self, *fields: str, indexed: bool = False) -> None:
        object.__setattr__(self, "fields", fields)
        object.__setattr__(self, "indexed", indexed)


@dataclass(frozen=True)
class Range:
    """?field_from=..&field_to=..: within bounds, both included.  `kind` says how the bounds are written."""

    kind: type[date] | type[datetime] | type[Decimal] | type[int] = date
    field: str | None = None


@dataclass(frozen=True)
class OfCaller:
    """?name=true: the rows for which a condition holds that is worked out of who asks; ?name=false: the others.

    `name` is a field of the row that says the same of one row (`View.computed`).
    """

    condition: Callable[[Caller], Mapping[str, Any]]
    field: None = None


@dataclass(frozen=True)
class Shared:
    """?shared_with_me=true: what others have shared with whoever asks, or with their department; false: all else."""

    field: str = SHARES


@dataclass(frozen=True)
class Incomplete:
    """?incomplete=true: the rows that lack what the company wants to be filled (CUS-23); false: all else.

    What that is may change at any time; what the caller does not see is not asked.
    """

    field: str = "id"


@dataclass(frozen=True)
class Closed:
    """Rows whose records have become something else: they are in the list no more, and their page says what they are.

    That is so where `field` has this `value`, or any where that is None; `refusal` is that of the page of such a row.
    """

    field: str
    value: str | None
    refusal: Callable[[Mapping[str, Any]], Refused]

    @property
    def still_open(self) -> Mapping[str, Any]:
        """The condition of the rows of which that is not so."""
        return {self.field: None if self.value is None else {"$ne": self.value}}

    def closes(self, row: Mapping[str, Any]) -> bool:
        """Whether it is so of a row."""
        found = row.get(self.field)
        return found is not None if self.value is None else found == self.value


Filter = Exact | Words | Range | OfCaller | Shared | Incomplete
EventFunction = Callable[[Any, EventMetadata], Iterable[Change]]


def parameter_names(filters: Mapping[str, Filter]) -> list[str]:
    """The query parameters that some filters give."""
    names: list[str] = []
    for name, rule in filters.items():
        names += [f"{name}_from", f"{name}_to"] if isinstance(rule, Range) else [name]
    return names


@dataclass(frozen=True)
class Scope:
    """Whose rows a caller sees (SEC-18): the fields that hold the ids of those it belongs to, one of them in reach.

    `right`: the right whose reach counts, if not the view's own; without it one sees one's own.
    `seen`: rows belong to people in another way: the condition of those that somebody sees.
    `shared`: rows may be shared with others (COL-07): the fields `contracts.sharing.SHARED_WITH`, with their ids, and
    SHARES tell with whom.
    `only_own`: one's own and nobody else's, whomever one leads and in whose place ever one is.
    """

    owner: str
    also: Sequence[str] = ()
    right: str = ""
    seen: Callable[[Caller], Mapping[str, Any]] | None = None
    shared: bool = False
    only_own: bool = False

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
    """An index of a view's collection; `language`: whose order texts are kept in (`View.orders_of`).

    `hashed` keeps hashes of values; one with a `usual` value of its first field holds the rows with another one.
    """

    fields: Sequence[str]
    language: str = ""
    hashed: bool = False
    usual: str | bytes | bool | None = None

    @property
    def name(self) -> str:
        more = [self.language] if self.language else []
        if self.usual is not None:
            more.append(f"but_{self.usual if self.usual and isinstance(self.usual, str) else 'nothing'}")
        return "_".join([*self.fields, *more])


@dataclass(frozen=True)
class View:
    """A read model.

    `edition` grows with each change of what the handlers write: views of another one are rebuilt when a worker starts.
    `personal` names the fields that tell of people: whoever reads them is noted in the audit log (SEC-21).
    `collected` is for the view of that log itself, which collectors fill and no events (ADR 0018).

    `row` is a dataclass that documents the fields answers show; `hidden` names those that need a further right
    besides those that need one wherever they stand (`contracts.permissions.FIELD_RIGHTS`),
    `computed` those worked out when read: from the others, from the company's currency (COMPANY_CURRENCY), and from who
    asks (CALLER) in which language (LANGUAGE) and when (NOW), and what they see of the records that it names (NAMED).
    `detail` names a path field: GET <route>/{detail} answers one row.  `defaults` are the documents, by key, of records
    that there are before anything happened to them.
    `history` names the events of which each makes a new version of the row of the record it is about, by what its
    handler sets there; they tell who did it (`by`).  Such a view can be asked for a row, or
    all rows, as of a moment, and for who changed what.  `without_history` names the fields of its row that other events
    write: of them only what holds now is known, so a list as of a moment can't be asked by them.
    `named`: of fields that hold codes of any kind, those that the texts have a name for.
    `kind` names the kind of record whose rows they are (`Kind.code`): a company may add fields to those, whose values
    are in `own`; `further` are their types, by what queries call them (`chassis.model.custom_columns`).
    `called` names the field that says what such a record is called; `parents` are the fields that hold the id of
    another record, and of which kind that is: answers tell what it is called, among the labels, to whoever sees it.
    One that is no field of the row is looked up for what is worked out of it (NAMED), and shown to nobody.
    `reached_through` is the one of these that says who sees a row: whoever sees that record (ADR 0054).  `within` is
    one that says so where it names a record; rows where it names none are for all (ADR 0065).
    `where` is a fixed condition.  `closed` tells which rows are of records that are such no more.  `aside` names a
    flag: rows that have it are in a list that asks by the filter of that name or has a condition on it, and nowhere
    else.  `scope` limits rows to the caller's (SEC-18), `sums` adds them up over those.
    `of_subject`: each row is about another record, which `subject_kind` and `subject_id` name, and is shown to whom the
    list of that record's kind shows the record itself.

    A list sorts by every column that has an order (`sortable`); `sorts` are those that have an index, so that a page
    costs the same however many rows there are.  Indexes follow from sorts, filters and scope; `indexes` names those
    that are wanted besides.
    """

    name: str
    route: str
    row: type
    permission: str
    handlers: Mapping[type, EventFunction]
    filters: Mapping[str, Filter] = field(default_factory=dict)
    sorts: Sequence[str] = ("_id",)
    default_sort: str = ""
    indexes: Sequence[Sequence[str]] = ()
    scope: Scope | None = None
    sums: Sums | None = None
    hidden: Mapping[str, str] = field(default_factory=dict)
    where: Mapping[str, Any] = field(default_factory=dict)
    aside: str = ""
    closed: Closed | None = None
    computed: Mapping[str, Callable[[Mapping[str, Any]], Any]] = field(default_factory=dict)
    detail: str = ""
    what: str = "record"
    personal: Sequence[str] = ()
    collected: bool = False
    defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    history: Collection[type] = ()
    without_history: Collection[str] = ()
    named: Mapping[str, Sequence[str]] = field(default_factory=dict)
    kind: str = ""
    called: str = ""
    parents: Mapping[str, str] = field(default_factory=dict)
    reached_through: str = ""
    within: str = ""
    further: Mapping[str, FieldType] = field(default_factory=dict)
    of_subject: bool = False
    edition: int = 1

    def __post_init__(self) -> None:
        if taken := {LISTS, LABELS} & {item.name for item in fields(self.row)}:
            raise ContractError(
                f"view {self.name}: answers tell of lists and codes under {sorted(taken)}: name the field otherwise"
            )
        further = {name: right for name, right in FIELD_RIGHTS.items() if name in self.types}
        object.__setattr__(self, "hidden", {**further, **self.hidden})
        if unknown := set(self.personal) - {item.name for item in fields(self.row)}:
            raise ContractError(f"view {self.name}: personal names fields it does not have: {sorted(unknown)}")
        if self.defaults and (self.scope or self.sums or self.where):
            raise ContractError(f"view {self.name}: defaults are nobody's, always shown, and not added up")
        if self.history and (self.defaults or self.sums or not (self.is_list and self.detail)):
            raise ContractError(f"view {self.name}: a history is that of the rows of a list, each of one record")
        if self.of_subject:
            self._require_subjects()
        for fact in self.history:
            if fact not in self.handlers or "by" not in {item.name for item in fields(fact)}:
                raise ContractError(f"view {self.name}: its history needs a handler of {fact.__name__} and its `by`")
        method, _, path = self.route.partition(" ")
        if method != "GET" or not path.startswith("/"):
            raise ContractError(f"view {self.name}: route {self.route!r} must be 'GET /path'")
        asked = {name.removeprefix("-") for name in (*self.sorts, self.order)} - {"_id"}
        asked |= {rule.field or name for name, rule in self.filters.items() if isinstance(rule, Exact)}
        if unknown := asked - set(self.types):
            raise ContractError(f"view {self.name}: its row lacks what it sorts or filters by: {sorted(unknown)}")
        self._require_own_names()

    def _require_own_names(self) -> None:
        """Raises ContractError for a filter that nobody could use, as its parameter means something else."""
        names = parameter_names(self.filters)
        words = {WORDS} if isinstance(self.filters.get(WORDS), Words) else set()
        if taken := {name for name in names if names.count(name) > 1} | (LIST_PARAMETERS - words) & set(names):
            raise ContractError(f"view {self.name}: parameters that mean something else already: {sorted(taken)}")

    @property
    def path(self) -> str:
        return self.route.removeprefix("GET ")

    @cached_property
    def topics(self) -> frozenset[str]:
        """The topics whose events it reads."""
        return frozenset(REGISTRY.event_of(fact).topic for fact in self.handlers)

    @cached_property
    def history_types(self) -> frozenset[str]:
        """The types of the events of its history."""
        return frozenset(REGISTRY.event_of(fact).name for fact in self.history)

    @property
    def subject(self) -> str:
        """What comments and the like call the kind of its rows (`contracts.subjects`); "" where those are no records,
        or are shown by another list: sums by product are no products.
        """
        return self.kind or (self.what if self.what in OTHERS else "")

    @property
    def has_merges(self) -> bool:
        """Whether its rows are of records that may have gone into others (ADR 0066)."""
        return MERGED_INTO in self.types

    @property
    def is_list(self) -> bool:
        """Whether the route itself answers a list (else it ends with the key of one row)."""
        return "{" not in self.path

    @property
    def page(self) -> str:
        """The path of one row, "" where only lists are answered."""
        if self.detail:
            return f"{self.path}/{{{self.detail}}}"
        return "" if self.is_list else self.path

    @property
    def through(self) -> str:
        """The field with the record that says who sees a row; "" where none does."""
        return self.reached_through or self.within

    @property
    def overview(self) -> str:
        """The path of all that there is about a row, "" where those are no records of a kind."""
        return f"{self.page}/overview" if self.kind and self.detail and self.history else ""

    @property
    def order(self) -> str:
        return self.default_sort or self.sorts[0]

    # -- what follows from the declaration

    def shown(self, asked: Collection[str] = ()) -> Mapping[str, Any]:
        """The condition of rows that are shown to whoever asks by these filters, or of these fields."""
        return {**self.where, self.aside: {"$ne": True}} if self.aside and self.aside not in asked else self.where

    @property
    def still_open(self) -> Mapping[str, Any]:
        """The condition of rows whose records have become nothing else."""
        return self.closed.still_open if self.closed else {}

    def require_open(self, row: Mapping[str, Any]) -> None:
        """Raises Refused for a row whose record has become something else; it tells what."""
        if self.closed and self.closed.closes(row):
            raise self.closed.refusal(row)

    def _require_subjects(self) -> None:
        """What is looked up for each row (`chassis.queries.subjects`) is found by an index that knows no language."""
        if self.history or self.sums or self.defaults or not self.is_list:
            raise ContractError(f"view {self.name}: what is about other records is a plain list")
        if not {SUBJECT_KIND, SUBJECT_ID} <= set(self.types):
            raise ContractError(f"view {self.name}: its rows do not name the record that they are about")
        if any(self.orders_of(sort.removeprefix("-")) != ("",) for sort in (*self.sorts, self.order)):
            raise ContractError(f"view {self.name}: what is about other records is not sorted by texts")

    @cached_property
    def types(self) -> Mapping[str, FieldType]:
        """The kind of every field of its rows."""
        return {**field_types(self.row), **self.further}

    @cached_property
    def picked(self) -> Mapping[str, str]:
        """The fields whose values were picked from a dictionary, or several of them, and which one that is."""
        return {name: kind.single.dictionary for name, kind in self.types.items() if kind.single.dictionary}

    @cached_property
    def growing_lists(self) -> Sequence[str]:
        """The lists of its rows that may lose their oldest entries: those of a view that appends to some."""
        code = [getattr(handler, "func", handler) for handler in self.handlers.values()]
        if not any(Append in getattr(function, "__globals__", {}).values() for function in code):
            return ()
        return [name for name, kind in self.types.items() if kind.of is not None and kind.of.kind == "object"]

    @cached_property
    def holds_anything(self) -> frozenset[str]:
        """The fields that hold things of any kind, some of them perhaps unseen by who sees the row.

        What a company has added is of no such kind: none of it is called like a field that needs a right.
        """
        return frozenset(name for name, kind in self.types.items() if kind.kind == "object" and name != OWN)

    @cached_property
    def keys(self) -> Sequence[tuple[str, str, StoredKeys]]:
        """The values that are found by a key: the path of each, where its keys are kept, and what makes them.

        The audit log has none: it is as large as all else, and searched as it is.
        """
        if self.collected:
            return ()
        found: dict[tuple[str, str], StoredKeys] = {}
        for rule in self.filters.values():
            if isinstance(rule, Words):
                found |= {(path, key_place(FOUND_BY, path)): squashed_forms for path in rule.fields}
        found |= {(path, key_place(PARTS, path)): parts_of for path in self.in_parts}
        for path in self.compared:
            if make := self.type_of(path).equal:
                found[path, key_place(EQUAL_TO, path)] = make
        return [(path, place, lru_cache(KEYS_KEPT)(make)) for (path, place), make in found.items()]

    @cached_property
    def in_parts(self) -> Sequence[str]:
        """The fields whose texts are found by an index of their pieces."""
        rule = self.filters.get(WORDS)
        return rule.fields if isinstance(rule, Words) and rule.indexed and not self.collected else ()

    @cached_property
    def compared(self) -> Sequence[str]:
        """The fields whose values are asked for as they are: by filters, and by whose rows somebody may see."""
        asked = [rule.field or name for name, rule in self.filters.items() if isinstance(rule, Exact)]
        return list(dict.fromkeys([*asked, *(self.scope.fields if self.scope else ())]))

    @cached_property
    def asked_exactly(self) -> Mapping[str, Exact]:
        """The filters for equal values, by field."""
        return {rule.field or name: rule for name, rule in self.filters.items() if isinstance(rule, Exact)}

    @cached_property
    def sortable(self) -> Sequence[str]:
        """What a list sorts by: the sorts that are declared, and every other column that has an order.

        Lists of records sort by when the caller has looked at each, too (`chassis.queries.viewed`).

        A list of values and what has parts have none.  What is worked out when a row is read is not there before, and
        what is about other records is not sorted by texts (`chassis.queries.subjects`).
        """
        declared = [name.removeprefix("-") for name in (*self.sorts, self.order)]
        others = [name for name, kind in self.types.items() if kind.has_order and name not in self.computed]
        if self.of_subject:
            others = [name for name in others if name == "id" or self.orders_of(name) == ("",)]
        viewed = [VIEWED] if self.subject else []
        return list(dict.fromkeys([*declared, *others, *viewed]))

    def is_sorted_by_index(self, field: str) -> bool:
        """Whether rows are met in the order of a field, however many there are."""
        return field in ("id", "_id", VIEWED) or field in {name.removeprefix("-") for name in (*self.sorts, self.order)}

    def currencies_of(self, amount: str) -> tuple[str, ...]:
        """The columns of which the first that is filled tells in which currency an amount is; none where none does."""
        worked_out_of = self.types[amount].currencies
        found = [one for one in (currency_of(amount), *worked_out_of) if one in self.types]
        is_of_row = CURRENCY in self.types and amount not in self.further  # a number of the company's is no price
        return tuple(found) or ((CURRENCY,) if is_of_row else ())

    def type_of(self, field: str) -> FieldType:
        """The kind of a field; those of whom a row belongs to need not be shown."""
        return self.types.get(field, _ID)

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
        """The indexes of its collection: one for each sort, and one for each field that is compared (ADR 0030).

        The last field is `_id`, which decides between equals: read backwards such an index serves the other direction.
        """
        if not self.is_list:
            return ()
        found = [Index(tuple(index)) for index in self.indexes]
        default = self.order.removeprefix("-")
        if self.sums is None:
            for sort in dict.fromkeys(name.removeprefix("-") for name in (*self.sorts, self.order)):
                found += [Index((sort, "_id"), language) for language in self.orders_of(sort)]
        # What is compared has one index, in no language: rows found by it are sorted where the list is in words.
        end = () if self.sums else ("_id",) if self.orders_of(default) != ("",) else (default, "_id")
        for path in self.compared:
            asked = self.asked_exactly.get(path, Exact())
            if asked.few:
                found.append(Index((self.place_of(path),), hashed=True, usual=asked.usual))
            elif path != default:
                found.append(Index((self.place_of(path), *end), usual=self._usual(path)))
        found += [Index((key_place(PARTS, path),)) for path in self.in_parts]
        for name, rule in self.filters.items():
            if isinstance(rule, Range):
                found.append(Index((rule.field or name, *(() if self.sums else ("_id",)))))
        return [index for index in dict.fromkeys(found) if index.fields[0] != "_id"]

    def _usual(self, path: str) -> str | bytes | bool | None:
        """The value that so many rows have that they are in no index: most are shared with nobody, and not set aside.

        Else a list of nearly all rows, in an order without an index, would be read one by one as that index has them.
        """
        if path == self.aside:
            return False
        return SHARED_WITH_NOBODY if path == SHARED_WITH else self.asked_exactly.get(path, Exact()).usual

    def place_of(self, field: str) -> str:
        """Where what a value is compared with is found: its key, where it has one, else the field itself."""
        return key_place(EQUAL_TO, field) if self.type_of(field).equal and not self.collected else field

    def found_by(self, field: str, value: str) -> Mapping[str, Any]:
        """The condition for the rows that have a value in a field that is compared."""
        place, make = self.place_of(field), self.type_of(field).equal
        return {place: {"$in": make(value)} if make and place != field else value}

    def is_in_words(self, field: str) -> bool:
        """Whether a field sorts in the order of a language: a text, and not the code of an entry."""
        kind = self.types.get(field)
        return field != "id" and kind is not None and kind.kind == "text" and not kind.dictionary

    def orders_of(self, field: str) -> Sequence[str]:
        """The orders in which a field may be sorted: languages, BY_NUMBER, or "" for that of values as they are."""
        if self.is_in_words(field):
            return LANGUAGES
        kind = self.types.get(field)
        is_code = field != "id" and kind is not None and kind.kind == "code" and kind.guard is None
        return (BY_NUMBER if is_code else "",)


_ID = FieldType("id")
SHARED_WITH_NOBODY = b""
"""What the key of every id is beyond."""
KEYS_KEPT = 2_000
"""Of each field so many values are remembered with their keys: most come again soon."""
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


def key_of(value: Any, make: StoredKeys) -> Any:
    """The key of a value, or all of them where it has several, and of each item of a list; None for what has none."""
    if isinstance(value, OwnValues):
        return [key for text in value.texts for key in make(text)]
    if isinstance(value, list | tuple):
        return [key for item in value for key in (make(str(item)) if isinstance(item, str | UUID) else [None])]
    if not isinstance(value, str | UUID):
        return None
    found = make(str(value))
    return found[0] if len(found) == 1 else [*found]
