"""The list and the page of each kind of record: what there is, found and sorted by what its fields are."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, make_dataclass
from dataclasses import field as made_by
from datetime import date, datetime
from decimal import Decimal
from functools import cache, partial
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints
from uuid import UUID

from chassis.model.changes import Change, EventMetadata, Set
from chassis.model.custom_values import OwnValues
from chassis.model.named_pools import pools_seen
from chassis.model.row_fields import GUARDED, Code, FieldKind, Picked, currency_of, field_types
from chassis.model.views import Closed, EventFunction, Exact, Filter, Incomplete, Range, Scope, Shared, View, Words
from contracts.custom_fields import OWN
from contracts.declare import ContractError
from contracts.errors import Refused
from contracts.lists import INCOMPLETE, WORDS
from contracts.merging import MERGED, MERGED_IDS, MERGED_INTO
from contracts.people import Person
from contracts.pools import (
    ADMINISTRATORS,
    CAME_BY,
    FOLLOWED_UP_ON,
    FORMER_OWNER,
    MEMBERS,
    NEXT_CONTACT_ON,
    OWNER_SINCE,
    POOL_ID,
    RETURN_REASON,
    How,
)
from contracts.records import Field, Kind, kind_called, kind_of, kind_pooled_in, pool_path
from contracts.sharing import SHARED_WITH, SHARED_WITH_ME, SHARES, Share
from contracts.statuses import STATUS, STATUS_REASON, STATUS_SINCE
from contracts.subjects import FollowUpsChanged
from contracts.types import BirthdayField, EmailField, MailField, Money, NoteField, PhoneField

_RANGES: Mapping[FieldKind, Any] = {"day": date, "moment": datetime, "amount": Decimal, "whole": int}
_CODES = (PhoneField, EmailField, MailField, BirthdayField)
_NEWEST = "-created_at"
_DELETED = "deleted"
FOLLOW_UPS = (FOLLOWED_UP_ON, NEXT_CONTACT_ON)
"""The columns with the day of the last contact about a record of a kind with a pool, and that planned next."""
FIRST_EDITION = 4


@dataclass(frozen=True)
class More:
    """What the view of a kind of record shows besides the record's own fields.

    `row` is a dataclass whose fields are the further columns, `first` what stands in them when a record is entered, and
    `told` what each event of such a record that tells of them sets there.  `follows` is what follows in them from what
    is known of the record itself; `computed` are those worked out when a row is read.  `parents` are those with the id
    of another record, and of which kind that is (`Kind.what`), columns or not; `personal` those that tell of people.
    `closed` tells which records are such no more.  `given` is what the events tell by which a record comes to somebody:
    that it was entered, or changed hands.  `filters` are those that lists take besides.
    """

    row: type
    first: Mapping[str, Any]
    told: Mapping[type, Callable[[Any], Mapping[str, Any]]]
    follows: Callable[[Any], Mapping[str, Any]] = lambda _: {}
    computed: Mapping[str, Callable[[Mapping[str, Any]], Any]] = made_by(default_factory=dict)
    parents: Mapping[str, str] = made_by(default_factory=dict)
    personal: Sequence[str] = ()
    closed: Closed | None = None
    given: Callable[[Any], Mapping[str, Any]] = lambda _: {}
    filters: Mapping[str, Filter] = made_by(default_factory=dict)


@cache
def record_view(cls: type) -> View:
    """The view of a kind of record of which nothing more is to be shown."""
    return view_of(cls)


def view_of(cls: type, more: More | None = None, *, edition: int = FIRST_EDITION) -> View:
    """The view of a kind of record: GET its path, and GET its path with an id."""
    kind = kind_of(cls)
    key = kind.key

    def shown(event: Any) -> dict[str, Any]:
        data = kind.layout.read(event)
        return {**_shown(kind, data), **(more.follows(data) if more else {})}

    def created(event: Any, metadata: EventMetadata) -> Iterable[Change]:
        owner = {**_owner(event.owner), **_shares(())} if kind.owned else {}
        yield Set(
            getattr(event, key),
            **shown(event),
            **owner,
            **(_entered(event) if kind.pool else {}),
            **(_status(event.status, "", metadata) if kind.statuses else {}),
            **(more.first if more else {}),
            **({MERGED_INTO: None, MERGED_IDS: []} if kind.merge else {}),
            **(more.given(event) if more else {}),
            created_at=metadata.at,
            created_by=event.by.name,
            deleted=False,
            **_changed(event, metadata),
        )

    def edited(event: Any, metadata: EventMetadata) -> Iterable[Change]:
        yield Set(getattr(event, key), **shown(event), **_changed(event, metadata))

    def deleted(event: Any, metadata: EventMetadata) -> Iterable[Change]:
        yield Set(getattr(event, key), deleted=True, **_changed(event, metadata))

    def restored(event: Any, metadata: EventMetadata) -> Iterable[Change]:
        yield Set(getattr(event, key), deleted=False, **_changed(event, metadata))

    def assigned(event: Any, metadata: EventMetadata) -> Iterable[Change]:
        came = {**(_changed_hands(event, metadata) if kind.pool else {}), **(more.given(event) if more else {})}
        yield Set(getattr(event, key), **_owner(event.owner), **_shares(()), **came, **_changed(event, metadata))

    def shared(event: Any, metadata: EventMetadata) -> Iterable[Change]:
        yield Set(getattr(event, key), **_shares(event.shares), **_changed(event, metadata))

    def status_set(event: Any, metadata: EventMetadata) -> Iterable[Change]:
        since = {OWNER_SINCE: event.owner_since} if kind.pool and event.owner_since else {}
        status = _status(event.status, event.reason, metadata)
        yield Set(getattr(event, key), **status, **since, **_changed(event, metadata))

    def further(event: Any, metadata: EventMetadata) -> Iterable[Change]:
        assert more is not None
        yield Set(getattr(event, key), **more.told[type(event)](event), **_changed(event, metadata))

    def followed_up(event: FollowUpsChanged, metadata: EventMetadata) -> Iterable[Change]:
        if event.subject_kind == kind.code:
            told = {FOLLOWED_UP_ON: event.followed_up_on, NEXT_CONTACT_ON: event.planned_on}
            yield Set(event.subject_id, **told)

    handlers = {kind.created: created, kind.edited: edited, kind.deleted: deleted, kind.restored: restored}
    if kind.assigned:
        handlers |= {kind.assigned: assigned, kind.shared: shared}
    if kind.status_set:
        handlers |= {kind.status_set: status_set}
    handlers |= {**_of_moves(kind), **_of_merges(kind)}
    if more:
        handlers |= dict.fromkeys(more.told, further)
    history = list(handlers)
    if kind.pool:
        handlers[FollowUpsChanged] = followed_up
    named = {name: field.rules.record for name, field in kind.parents.items()} | dict(more.parents if more else {})
    named |= {POOL_ID: kind.pools.what} if kind.pools else {}
    parents = {name: kind_called(what) for name, what in named.items()}
    pooled = kind_pooled_in(kind)
    row = _row(kind, more)
    columns = field_types(row).keys()
    filters = {**_filters(kind, row), **(more.filters if more else {})}
    return View(
        name=_name(kind),
        route=f"GET {kind.path}",
        detail=key,
        row=row,
        permission=kind.view,
        what=kind.what,
        aside=_DELETED,
        where={"created_at": {"$exists": True}} if kind.pool else {},  # news of follow-ups may come before
        handlers=handlers,
        history=history,
        without_history=FOLLOW_UPS if kind.pool else (),
        filters=filters,
        sorts=(
            "created_at",
            "changed_at",
            *([STATUS] if kind.statuses else []),
            *(name for name in kind.fields if _is_sortable(kind.fields[name], row)),
        ),
        default_sort=_NEWEST,
        scope=_scope(kind, pooled),
        indexes=((MERGED_IDS, "_id"),) if kind.merge else (),
        personal=(
            *(name for name, field in kind.fields.items() if field.is_personal),
            *(name for name, one in parents.items() if name in columns and one.fields[one.called].is_personal),
            *([OWN, *_reasons(kind)] if kind.has_personal else []),
            *(more.personal if more else ()),
        ),
        closed=_closed(kind, more),
        computed=more.computed if more else {},
        kind=kind.code,
        called=kind.called,
        parents={name: parent.code for name, parent in parents.items()},
        reached_through=kind.reached_through,
        edition=edition,
    )


def _scope(kind: Kind, pooled: Kind | None) -> Scope | None:
    """Whose rows of a kind somebody sees; of the pools of another one, `pooled`, those that are for them."""
    if pooled:
        return Scope(ADMINISTRATORS, also=(MEMBERS,), seen=partial(pools_seen, pooled))
    return Scope("owner_id", shared=True) if kind.owned else None


@cache
def pool_view(cls: type) -> View:
    """The list of those records of a kind that wait in a pool: GET /pools/<its list> (LED-01, CUS-12).

    Of those that wait in one of the company's pools it shows what that pool is for (ADR 0065).

    Who claims sees by what a record is chosen, and not how its person is reached: what tells of a person is left out
    but what the record is called, and so is what needs a right of its own and what the company has added.  Who may not
    see such records at all, and so claims none, sees no more here than that there are some.
    """
    kind = kind_of(cls)
    assert kind.pool is not None and kind.pools is not None, f"{kind.what} has no pool"
    names = [name for name, one in kind.fields.items() if not one.rules.right and not one.is_personal]
    shown = {name: kind.fields[name] for name in kind.fields if name in names or name == kind.called}
    key, called = kind.key, kind.fields[kind.called]

    def of(data: Any) -> dict[str, Any]:
        return _fields_shown(shown, data)

    def created(event: Any, metadata: EventMetadata) -> Iterable[Change]:
        waits = {"owner_id": event.owner.user_id, OWNER_SINCE: event.owner_since, FORMER_OWNER: ""}
        waits |= {POOL_ID: event.pool_id, "created_at": metadata.at, _DELETED: False}
        yield Set(getattr(event, key), **of(event.data), **waits)

    def edited(event: Any, metadata: EventMetadata) -> Iterable[Change]:
        yield Set(getattr(event, key), **of(event.data))

    def deleted(event: Any, metadata: EventMetadata) -> Iterable[Change]:
        yield Set(getattr(event, key), deleted=True)

    def restored(event: Any, metadata: EventMetadata) -> Iterable[Change]:
        yield Set(getattr(event, key), deleted=False)

    def merged(event: Any, metadata: EventMetadata) -> Iterable[Change]:
        yield Set(
            getattr(event, key), deleted=True
        )  # it waits for nobody; what went into another is not deleted besides

    def unmerged(event: Any, metadata: EventMetadata) -> Iterable[Change]:
        yield Set(getattr(event, key), deleted=False)

    def assigned(event: Any, metadata: EventMetadata) -> Iterable[Change]:
        waits = {"owner_id": event.owner.user_id, OWNER_SINCE: event.owner_since, FORMER_OWNER: event.before.name}
        yield Set(getattr(event, key), **waits, **{POOL_ID: event.pool_id})

    def moved(event: Any, metadata: EventMetadata) -> Iterable[Change]:
        yield Set(getattr(event, key), **{POOL_ID: event.pool_id})

    further = [(OWNER_SINCE, date | None), (FORMER_OWNER, str), (POOL_ID, UUID | None), ("created_at", datetime)]
    row = make_dataclass(f"{kind.name}WaitingRow", [("id", UUID), *_columns(shown), *further])
    row.__doc__ = f"One {kind.what} that waits in the pool."
    row.__module__ = __name__
    return View(
        name=f"{_name(kind)}_pool",
        route=f"GET {pool_path(kind)}",
        row=row,
        permission=kind.pool.claim,
        what=kind.what,
        where={"owner_id": None, _DELETED: False},
        handlers={
            kind.created: created,
            kind.edited: edited,
            kind.deleted: deleted,
            kind.restored: restored,
            kind.assigned: assigned,
            kind.moved: moved,
            **({kind.merged: merged, kind.unmerged: unmerged} if kind.merge else {}),
        },
        filters={
            **_asked_for(shown, row),
            POOL_ID: Exact(),
            WORDS: Words(*(name for name, field in shown.items() if _is_searchable(field, row))),
        },
        sorts=("created_at", OWNER_SINCE),
        indexes=(("owner_id", "created_at", "_id"),),
        default_sort=_NEWEST,
        parents={POOL_ID: kind.pools.code},
        within=POOL_ID,
        edition=2,
        personal=(kind.called,) if called.is_personal else (),
        hidden=dict.fromkeys((name for name, _ in (*_columns(shown), (FORMER_OWNER, str))), kind.view),
    )


def _of_moves(kind: Kind) -> dict[type, EventFunction]:
    """What the list of a kind makes of records that are put into other pools; nothing where there are none."""

    def moved(event: Any, metadata: EventMetadata) -> Iterable[Change]:
        yield Set(getattr(event, kind.key), **{POOL_ID: event.pool_id}, **_changed(event, metadata))

    return {kind.moved: moved} if kind.moved else {}


def _of_merges(kind: Kind) -> dict[type, EventFunction]:
    """What the list of a kind makes of the events of records that are merged; nothing where none are."""

    def merged(event: Any, metadata: EventMetadata) -> Iterable[Change]:
        yield Set(getattr(event, kind.key), **{MERGED_INTO: event.merged_into}, **_changed(event, metadata))

    def unmerged(event: Any, metadata: EventMetadata) -> Iterable[Change]:
        yield Set(getattr(event, kind.key), **{MERGED_INTO: None}, **_changed(event, metadata))

    def joined(event: Any, metadata: EventMetadata) -> Iterable[Change]:
        yield Set(getattr(event, kind.key), **{MERGED_IDS: event.merged_ids}, **_changed(event, metadata))

    return {kind.merged: merged, kind.unmerged: unmerged, kind.joined: joined} if kind.merge else {}


def _closed(kind: Kind, more: More | None) -> Closed | None:
    """Which records of a kind are such no more: those that went into others, where that may be.

    Raises ContractError where they may become something else besides.
    """

    def refusal(row: Mapping[str, Any]) -> Refused:
        return Refused("records.merged", kind=kind.what, survivor=row[MERGED_INTO], field=kind.key, state=MERGED)

    if kind.merge and more and more.closed:
        raise ContractError(f"{kind.what}: a record goes into another one, or becomes something else, and not both")
    if kind.merge:
        return Closed(MERGED_INTO, None, refusal)
    return more.closed if more else None


def _name(kind: Kind) -> str:
    """What the list of a kind is called."""
    return kind.path.removeprefix("/").replace("-", "_").replace("/", "_")


def _shown(kind: Kind, data: Any) -> dict[str, Any]:
    """What a document holds of a record: its fields, and what the company has added."""
    return {**_fields_shown(kind.fields, data), OWN: OwnValues(data.own)}


def _fields_shown(fields: Mapping[str, Field], data: Any) -> dict[str, Any]:
    """What a document holds of some fields: an amount and its currency beside each other."""
    found: dict[str, Any] = {}
    for name, field in fields.items():
        value = getattr(data, name)
        if field.one is Money:
            found[name], found[currency_of(name)] = (value.amount, value.currency) if value else (None, None)
        else:
            found[name] = value
    return found


def _owner(person: Person) -> dict[str, Any]:
    return {"owner_id": person.user_id, "owner_name": person.name}


def _shares(shares: Sequence[Share]) -> dict[str, Any]:
    return {SHARES: shares, SHARED_WITH: [share.with_id for share in shares]}


def _status(status: str, reason: str, metadata: EventMetadata) -> dict[str, Any]:
    return {STATUS: status, STATUS_REASON: reason, STATUS_SINCE: metadata.at}


def _entered(event: Any) -> dict[str, Any]:
    """What a row tells of how its record came to whom it belongs, or to the pool, where it was entered so."""
    return {OWNER_SINCE: event.owner_since, CAME_BY: None, FORMER_OWNER: "", RETURN_REASON: "", POOL_ID: event.pool_id}


def _changed_hands(event: Any, metadata: EventMetadata) -> dict[str, Any]:
    """The same where it changed hands; with its status, where that followed."""
    came = {
        OWNER_SINCE: event.owner_since,
        CAME_BY: event.came_by,
        FORMER_OWNER: event.before.name,
        RETURN_REASON: event.reason,
        POOL_ID: event.pool_id,
    }
    is_other = (event.owner.user_id is None) != (event.before.user_id is None)
    return came | (_status(event.status, event.reason, metadata) if is_other and hasattr(event, STATUS) else {})


def _reasons(kind: Kind) -> list[str]:
    """The columns that say why something was done with a record."""
    return [*([STATUS_REASON] if kind.statuses else []), *([RETURN_REASON] if kind.pool else [])]


def _changed(event: Any, metadata: EventMetadata) -> dict[str, Any]:
    return {"changed_at": metadata.at, "changed_by": event.by.name, "version": metadata.version}


def _row(kind: Kind, more: More | None) -> type:
    columns: list[tuple[str, Any]] = [("id", UUID), *_columns(kind.fields)]
    columns.append((OWN, dict[str, Any]))
    if more:
        columns += get_type_hints(more.row, include_extras=True).items()
    if kind.owned:
        columns += [("owner_id", UUID | None), ("owner_name", str)]
        columns += [(SHARES, list[Share]), (SHARED_WITH, list[UUID])]
    if kind.pool:
        columns += [(OWNER_SINCE, date | None), (CAME_BY, How | None), (FORMER_OWNER, str), (RETURN_REASON, str)]
        columns += [(POOL_ID, UUID | None)]
        columns += [(name, date | None) for name in FOLLOW_UPS]
    if kind.merge:
        columns += [(MERGED_INTO, UUID | None), (MERGED_IDS, list[UUID])]
    if kind.statuses:
        columns += [(STATUS, kind.statuses.type), (STATUS_REASON, str), (STATUS_SINCE, datetime)]
    columns += [("created_at", datetime), ("created_by", str), ("changed_at", datetime), ("changed_by", str)]
    made = make_dataclass(f"{kind.name}Row", [*columns, (_DELETED, bool), ("version", int)])
    made.__doc__ = f"One {kind.what}."
    made.__module__ = __name__
    return made


def _columns(fields: Mapping[str, Field]) -> list[tuple[str, Any]]:
    """The columns of some fields, with their types."""
    columns: list[tuple[str, Any]] = []
    for name, field in fields.items():
        column = _picked(field) if field.rules.dictionary else _column(field.type)
        columns.append((name, Code if column is str and field.checked_by in _CODES else column))
        if field.one is Money:
            columns.append((currency_of(name), _column(str if field.required else str | None)))
    return columns


def _picked(field: Field) -> Any:
    """The type of a column of what is picked from a dictionary: a code, or several."""
    one = Annotated[str, Picked(field.rules.dictionary)]
    return list[one] if get_origin(field.type) is tuple else one


def _column(declared: Any) -> Any:
    """The type of a column: what a document holds of a value of a declared type."""
    origin, parts = get_origin(declared), get_args(declared)
    if origin is tuple:
        return list[_column(parts[0])]  # type: ignore[misc]
    if origin is Literal:
        return declared
    if origin is Annotated:
        return declared if parts[1] in GUARDED else Code if parts[1] in _CODES else parts[0]
    if type(None) in parts:
        return _column(next(part for part in parts if part is not type(None))) | None
    if declared is Money:
        return Decimal
    return declared


def _filters(kind: Kind, row: type) -> dict[str, Filter]:
    """?field= for what one picks from, knows exactly or is declared so, bounds for what is measured, ?q= for words."""
    found = _asked_for(kind.fields, row)
    for name in field_types(row):
        if name in ("owner_id", SHARED_WITH) or (name == STATUS and kind.statuses):
            found[name] = Exact()
    searched = [name for name, field in kind.fields.items() if _is_searchable(field, row)]
    found[WORDS] = Words(*searched, OWN, indexed=not any(_is_long(kind.fields[name]) for name in searched))
    if kind.owned:
        found[SHARED_WITH_ME] = Shared()
    if kind.pool:
        found |= {**{name: Range(date) for name in FOLLOW_UPS}, POOL_ID: Exact()}
    if kind.wanted:
        found[INCOMPLETE] = Incomplete()
    return {**found, _DELETED: Exact()}


def _asked_for(fields: Mapping[str, Field], row: type) -> dict[str, Filter]:
    """The filters of some fields of a row."""
    found: dict[str, Filter] = {}
    for name, field in fields.items():
        type_, rules = field_types(row)[name], field.rules
        if rules.filterable is False:
            continue
        if type_.kind in _RANGES:
            found[name] = Range(_RANGES[type_.kind])
        elif type_.kind in ("choice", "flag", "id") or any((rules.unique, rules.filterable, rules.dictionary)):
            found[name] = Exact()
        if type_.kind == "list" and type_.single.dictionary and name in found:
            found |= {f"{name}_all": Exact(name, match="all"), f"{name}_none": Exact(name, match="none")}
    return found


def _is_searchable(field: Field, row: type) -> bool:
    if field.rules.searchable is not None:
        return field.rules.searchable
    return field_types(row)[field.name].kind in ("text", "code") and not (_is_long(field) or field.rules.right)


def _is_sortable(field: Field, row: type) -> bool:
    if field.rules.sortable is not None:
        return field.rules.sortable
    type_ = field_types(row)[field.name]
    kind = type_.kind
    return (
        kind in (*_RANGES, "choice")
        or bool(type_.dictionary)
        or (kind in ("text", "code") and field.required and not _is_long(field))
    )


def _is_long(field: Field) -> bool:
    return isinstance(field.checked_by, type) and issubclass(field.checked_by, NoteField)
