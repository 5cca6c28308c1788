"""The values of fields that a company has added to a kind of record: what commands may give, and what a row shows.

`own` of a record is one text (`contracts.custom_fields`).  What is given is checked by the definitions of the moment.
What is there already is not asked again: a choice that was taken away, or a retired field, is in nobody's way.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from marshmallow import ValidationError, fields

from chassis.model.context import Context, user_named
from chassis.model.custom_rights import seen
from contracts.custom_fields import (
    LONGEST_OWN,
    OWN,
    CustomDayField,
    CustomField,
    CustomNumberField,
    CustomTextField,
    Held,
    given,
    read,
    written,
)
from contracts.errors import Refused, lacks_right
from contracts.messages import explain, unknown_field
from contracts.reasons import Why
from contracts.schemas import told_name, why_of
from contracts.types import IdField

SHOWN = 60
"""So many characters of a name that somebody made up are told."""
NOTHING = {"text": "", "choices": []}
"""What says that there is no value beside null, by the type of the field."""
Definitions = Sequence[CustomField]


class PutBack(NamedTuple):
    """The values of a record that becomes what it was, and the paths of those that can't be: they stay as they are."""

    own: str
    kept: tuple[str, ...]


class OwnValues(dict[str, Any]):
    """The values of own fields as a row has them, by key; `texts` are those that quick search looks into."""

    def __init__(self, text: str) -> None:
        found = read(text)
        super().__init__({key: _shown(one) for key, one in found.items()})
        self.texts = [str(one.value) for one in found.values() if one.type == "text"]


def _shown(held: Held) -> Any:
    if held.type == "number":
        return Decimal(str(held.value))
    return list(held.value) if isinstance(held.value, tuple) else held.value


def entered(definitions: Definitions, own: str, context: Context) -> str:
    """The values of a record that is entered: what is given, and the defaults of what is not.

    Raises Refused, naming the field, for what may not be given and for what must be.
    """
    if not own and not definitions:
        return ""
    wanted = given(own)
    found = _changed(definitions, {}, wanted, context)
    for one in definitions:
        if not one.is_given or one.key in found:
            continue
        if one.key not in wanted and (usual := _by_default(one, context)):
            found[one.key] = usual
        elif one.required:
            raise _required(one)
    return _bounded(found)


def _by_default(field: CustomField, context: Context) -> Held | None:
    """What a new record has where nothing is given; in place of a user who has left whoever took over.

    Nothing where that can't be given today: what nobody gives must be in no record's way.
    """
    if not field.default:
        return None
    value = [*field.default] if field.type == "choices" else field.default[0]
    if field.type == "person":
        value = str(context.organisation.standing_in(UUID(field.default[0])))
    try:
        return checked(field, value, context)
    except Refused:
        return None


def changed(definitions: Definitions, before: str, own: str | None, context: Context) -> str:
    """The values of a record after a change: what is given, all else as it was; None takes all away that may be.

    Raises Refused, naming the field.
    """
    may_be = [one for one in definitions if all(map(context.may, one.rights))]
    all_there = [one.key for one in may_be if one.is_given or one.key in read(before)]
    wanted = dict.fromkeys(all_there) if own is None else given(own)
    return _bounded(_changed(definitions, read(before), wanted, context))


def put_back(
    definitions: Definitions, before: str, then: str, context: Context, *, lost: Collection[str] = ()
) -> PutBack:
    """The values of a record that becomes what it was `then`, as far as they may be given today, and by the caller.

    What can't be stays as it is, and is told: a choice that was taken away meanwhile, a user who has left, a field
    that is retired, or must have a value and had none; and the paths in `lost`, whose files are gone.  Raises Refused
    for what is too much altogether.
    """
    now, earlier, kept = read(before), read(then), []
    for one in definitions:
        if now.get(one.key) == earlier.get(one.key) or not all(map(context.may, one.rights)):
            continue
        try:
            then_given = _changed(definitions, now, {one.key: _as_given(earlier.get(one.key))}, context)
        except Refused:
            then_given = now
        if one.retired or then_given is now or one.path in lost:
            kept.append(one.path)
        else:
            now = then_given
    return PutBack(_bounded(now), tuple(kept))


def names_changed(before: str, after: str) -> tuple[str, ...]:
    """What is told of the own fields that differ: `own.grade`."""
    if before == after:
        return ()
    first, last = read(before), read(after)
    keys = sorted({*first, *last})
    return tuple(f"{OWN}.{key}" for key in keys if first.get(key) != last.get(key))


def _changed(
    definitions: Definitions, before: Mapping[str, Held], wanted: Mapping[str, Any], context: Context
) -> dict[str, Held]:
    known = {one.key: one for one in seen(definitions, context.may)}
    found = dict(before)
    for key, value in wanted.items():
        field = known.get(key)
        if field is None:
            why = unknown_field(key, [one.key for one in known.values() if one.is_given])
            raise Refused("forms.invalid", errors=[why], field=f"{OWN}.{told_name(key[:SHOWN])}")
        held = before.get(key)
        if value == _as_given(held) and (held is not None or not field.required):
            continue
        if lacking := [right for right in field.rights if not context.may(right)]:
            raise lacks_right(lacking[0], context.organisation.roles_with(lacking[0]), field.path)
        is_nothing = value is None or value == NOTHING.get(field.type)
        if not field.is_given and not (is_nothing and field.retired and field.type != "formula"):
            raise Refused("fields.retired" if field.retired else "fields.worked_out", field=field.path)
        taken = None if is_nothing else checked(field, value, context)
        if taken is not None and taken.value:
            found[key] = taken
        elif field.required and not field.retired:
            raise _required(field, was_there=held is not None)
        else:
            found.pop(key, None)  # blanks alone are no text
    return found


def _as_given(held: Held | None) -> Any:
    """A value as a command gives it, and a query shows it."""
    return None if held is None else [*held.value] if isinstance(held.value, tuple) else held.value


def _required(field: CustomField, *, was_there: bool = False) -> Refused:
    why = Why("fields.stays_filled") if was_there else Why("forms.required")
    return Refused("forms.invalid", errors=[why], field=field.path)


def _bounded(values: Mapping[str, Held]) -> str:
    text = written(values)
    if len(text) > LONGEST_OWN:
        raise Refused("forms.invalid", errors=[Why("fields.too_much", most=LONGEST_OWN)], field=OWN)
    return text


# -- one value


def checked(field: CustomField, value: Any, context: Context, *, at: str = "") -> Held:
    """A value that may be given for a field.  Raises Refused that names the field, or `at`."""
    return Held(field.type, _CHECKS[field.type](field, value, context, at or field.path))


def _by(check: "fields.Field[Any]") -> Callable[[CustomField, Any, Context, str], str]:
    """The check by what checks such values everywhere."""
    explain(check, "value")

    def text(_: CustomField, value: Any, __: Context, at: str) -> str:
        try:
            found = check.deserialize(value)
        except ValidationError as error:
            raise Refused("forms.invalid", errors=[why_of(one) for one in error.messages], field=at) from error
        return f"{found:f}" if isinstance(found, Decimal) else str(found)

    return text


def _choice(field: CustomField, value: Any, _: Context, at: str) -> str:
    if value not in field.choice_keys:
        raise Refused("forms.invalid", errors=[Why("fields.one_of", choices=field.choice_keys)], field=at)
    return str(value)


def _choices(field: CustomField, value: Any, context: Context, at: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise Refused("forms.invalid", errors=[Why("forms.list")], field=at)
    found = {_choice(field, one, context, at) for one in value}
    if len(found) < len(value):
        raise Refused("forms.invalid", errors=[Why("fields.choice_twice")], field=at)
    return tuple(one for one in field.choice_keys if one in found)


def _person(field: CustomField, value: Any, context: Context, at: str) -> str:
    id = _by_id(field, value, context, at)
    user_named(context.organisation, IdField().deserialize(id), at)
    return id


_by_id = _by(IdField())
_CHECKS: Mapping[str, Callable[[CustomField, Any, Context, str], str | tuple[str, ...]]] = {
    "text": _by(CustomTextField()),
    "number": _by(CustomNumberField()),
    "day": _by(CustomDayField()),
    "choice": _choice,
    "choices": _choices,
    "person": _person,
    "file": _by(IdField()),
}
