"""The list and the page of each kind of record: what there is, found and sorted by what its fields are."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, make_dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints
from uuid import UUID

from chassis.model.changes import Change, EventMetadata, Set
from chassis.model.custom_values import OwnValues
from chassis.model.row_fields import GUARDED, Code, FieldKind, Picked, field_types
from chassis.model.views import Exact, Filter, Range, Scope, Shared, View, Words
from contracts.custom_fields import OWN
from contracts.lists import WORDS
from contracts.people import Person
from contracts.records import Field, Kind, kind_called, kind_of
from contracts.sharing import SHARED_WITH, SHARED_WITH_ME, SHARES, Share
from contracts.statuses import STATUS, STATUS_REASON, STATUS_SINCE
from contracts.types import BirthdayField, EmailField, MailField, Money, NoteField, PhoneField

_RANGES: Mapping[FieldKind, Any] = {"day": date, "moment": datetime, "amount": Decimal, "whole": int}
_CODES = (PhoneField, EmailField, MailField, BirthdayField)
_NEWEST = "-created_at"
_DELETED = "deleted"
FIRST_EDITION = 3


@dataclass(frozen=True)
class More:
    """What the view of a kind of record shows besides the record's own fields.

    `row` is a dataclass whose fields are the further columns, `first` what stands in them when a record is entered, and
    `told` what each event of such a record that tells of them sets there.
    """

    row: type
    first: Mapping[str, Any]
    told: Mapping[type, Callable[[Any], Mapping[str, Any]]]


@cache
def record_view(cls: type) -> View:
    """The view of a kind of record of which nothing more is to be shown."""
    return view_of(cls)


def view_of(cls: type, more: More | None = None, *, edition: int = FIRST_EDITION) -> View:
    """The view of a kind of record: GET its path, and GET its path with an id."""
    kind = kind_of(cls)
    key = kind.key

    def created(event: Any, metadata: EventMetadata) -> Iterable[Change]:
        owner = {**_owner(event.owner), **_shares(())} if kind.owned else {}
        yield Set(
            getattr(event, key),
            **_shown(kind, event.data),
            **owner,
            **(_status(event.status, "", metadata) if kind.statuses else {}),
            **(more.first if more else {}),
            created_at=metadata.at,
            created_by=event.by.name,
            deleted=False,
            **_changed(event, metadata),
        )

    def edited(event: Any, metadata: EventMetadata) -> Iterable[Change]:
        yield Set(getattr(event, key), **_shown(kind, event.data), **_changed(event, metadata))

    def deleted(event: Any, metadata: EventMetadata) -> Iterable[Change]:
        yield Set(getattr(event, key), deleted=True, **_changed(event, metadata))

    def restored(event: Any, metadata: EventMetadata) -> Iterable[Change]:
        yield Set(getattr(event, key), deleted=False, **_changed(event, metadata))

    def assigned(event: Any, metadata: EventMetadata) -> Iterable[Change]:
        yield Set(getattr(event, key), **_owner(event.owner), **_shares(()), **_changed(event, metadata))

    def shared(event: Any, metadata: EventMetadata) -> Iterable[Change]:
        yield Set(getattr(event, key), **_shares(event.shares), **_changed(event, metadata))

    def status_set(event: Any, metadata: EventMetadata) -> Iterable[Change]:
        yield Set(getattr(event, key), **_status(event.status, event.reason, metadata), **_changed(event, metadata))

    def further(event: Any, metadata: EventMetadata) -> Iterable[Change]:
        assert more is not None
        yield Set(getattr(event, key), **more.told[type(event)](event), **_changed(event, metadata))

    handlers = {kind.created: created, kind.edited: edited, kind.deleted: deleted, kind.restored: restored}
    if kind.assigned:
        handlers |= {kind.assigned: assigned, kind.shared: shared}
    if kind.status_set:
        handlers |= {kind.status_set: status_set}
    if more:
        handlers |= dict.fromkeys(more.told, further)
    parents = {name: kind_called(field.rules.record) for name, field in kind.parents.items()}
    row = _row(kind, more)
    filters = _filters(kind, row)
    return View(
        name=kind.path.removeprefix("/").replace("-", "_").replace("/", "_"),
        route=f"GET {kind.path}",
        detail=key,
        row=row,
        permission=kind.view,
        what=kind.what,
        aside=_DELETED,
        handlers=handlers,
        history=list(handlers),
        filters=filters,
        sorts=(
            "created_at",
            "changed_at",
            *([STATUS] if kind.statuses else []),
            *(name for name in kind.fields if _is_sortable(kind.fields[name], row)),
        ),
        default_sort=_NEWEST,
        scope=Scope("owner_id", shared=True) if kind.owned else None,
        personal=(
            *(name for name, field in kind.fields.items() if field.is_personal),
            *(name for name, parent in parents.items() if parent.fields[parent.called].is_personal),
            *([OWN, *([STATUS_REASON] if kind.statuses else [])] if kind.has_personal else []),
        ),
        kind=kind.code,
        called=kind.called,
        parents={name: parent.code for name, parent in parents.items()},
        reached_through=kind.reached_through,
        edition=edition,
    )


def _shown(kind: Kind, data: Any) -> dict[str, Any]:
    """What a document holds of a record: its fields, an amount and its currency beside each other."""
    found: dict[str, Any] = {}
    for name, field in kind.fields.items():
        value = getattr(data, name)
        if field.one is Money:
            found[name], found[_currency_of(name)] = (value.amount, value.currency) if value else (None, None)
        else:
            found[name] = value
    found[OWN] = OwnValues(data.own)
    return found


def _owner(person: Person) -> dict[str, Any]:
    return {"owner_id": person.user_id, "owner_name": person.name}


def _shares(shares: Sequence[Share]) -> dict[str, Any]:
    return {SHARES: shares, SHARED_WITH: [share.with_id for share in shares]}


def _status(status: str, reason: str, metadata: EventMetadata) -> dict[str, Any]:
    return {STATUS: status, STATUS_REASON: reason, STATUS_SINCE: metadata.at}


def _changed(event: Any, metadata: EventMetadata) -> dict[str, Any]:
    return {"changed_at": metadata.at, "changed_by": event.by.name, "version": metadata.version}


def _currency_of(name: str) -> str:
    return f"{name}_currency"


def _row(kind: Kind, more: More | None) -> type:
    columns: list[tuple[str, Any]] = [("id", UUID)]
    for name, field in kind.fields.items():
        column = _picked(field) if field.rules.dictionary else _column(field.type)
        columns.append((name, Code if column is str and field.checked_by in _CODES else column))
        if field.one is Money:
            columns.append((_currency_of(name), _column(str if field.required else str | None)))
    columns.append((OWN, dict[str, Any]))
    if more:
        columns += get_type_hints(more.row, include_extras=True).items()
    if kind.owned:
        columns += [("owner_id", UUID | None), ("owner_name", str)]
        columns += [(SHARES, list[Share]), (SHARED_WITH, list[UUID])]
    if kind.statuses:
        columns += [(STATUS, kind.statuses.type), (STATUS_REASON, str), (STATUS_SINCE, datetime)]
    columns += [("created_at", datetime), ("created_by", str), ("changed_at", datetime), ("changed_by", str)]
    made = make_dataclass(f"{kind.name}Row", [*columns, (_DELETED, bool), ("version", int)])
    made.__doc__ = f"One {kind.what}."
    made.__module__ = __name__
    return made


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
    found: dict[str, Filter] = {}
    for name, type_ in field_types(row).items():
        field = kind.fields.get(name)
        if field is None:
            if name in ("owner_id", SHARED_WITH) or (name == STATUS and kind.statuses):
                found[name] = Exact()
        elif (rules := field.rules).filterable is False:
            continue
        elif type_.kind in _RANGES:
            found[name] = Range(_RANGES[type_.kind])
        elif type_.kind in ("choice", "flag", "id") or any((rules.unique, rules.filterable, rules.dictionary)):
            found[name] = Exact()
    for name, type_ in field_types(row).items():
        if type_.kind == "list" and type_.single.dictionary and name in found:
            found |= {f"{name}_all": Exact(name, match="all"), f"{name}_none": Exact(name, match="none")}
    found[WORDS] = Words(*(name for name, field in kind.fields.items() if _is_searchable(field, row)), OWN)
    return {**found, **({SHARED_WITH_ME: Shared()} if kind.owned else {}), _DELETED: Exact()}


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
