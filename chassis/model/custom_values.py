"""The values of fields that a company has added to a kind of record: what commands may give, and what a row shows.

`own` of a record is one text (`contracts.custom_fields`).  What is given is checked by the definitions of the moment.
What is there already is not asked again: a choice that was taken away, or a retired field, is in nobody's way.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError, fields

from chassis.model.context import Context, user_named
from contracts.custom_fields import (
    LONGEST_OWN,
    OWN,
    CustomField,
    CustomNumberField,
    CustomTextField,
    Held,
    given,
    read,
    written,
)
from contracts.errors import Refused
from contracts.messages import explain, unknown_field
from contracts.reasons import Why
from contracts.schemas import told_name, why_of
from contracts.types import DayField, IdField

SHOWN = 60
"""So many characters of a name that somebody made up are told."""
Definitions = Sequence[CustomField]


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
        if one.default and one.key not in wanted:
            found[one.key] = checked(one, [*one.default] if one.type == "choices" else one.default[0], context)
        elif one.required:
            raise _required(one)
    return _bounded(found)


def changed(definitions: Definitions, before: str, own: str | None, context: Context) -> str:
    """The values of a record after a change: what is given, all else as it was; None takes all away that may be.

    Raises Refused, naming the field.
    """
    all_there = [one.key for one in definitions if one.is_given or one.key in read(before)]
    wanted = dict.fromkeys(all_there) if own is None else given(own)
    return _bounded(_changed(definitions, read(before), wanted, context))


def put_back(definitions: Definitions, before: str, then: str, context: Context) -> str:
    """The values of a record that becomes what it was `then`, as far as its fields are given today.  Raises Refused.

    What must have a value today and had none then keeps the one it has.
    """
    earlier = read(then)
    wanted = {
        one.key: _as_given(earlier.get(one.key))
        for one in definitions
        if one.is_given and (one.key in earlier or not one.required)
    }
    return _bounded(_changed(definitions, read(before), wanted, context))


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
    known = {one.key: one for one in definitions}
    found = dict(before)
    for key, value in wanted.items():
        field = known.get(key)
        if field is None:
            why = unknown_field(key, [one.key for one in definitions if one.is_given])
            raise Refused("forms.invalid", errors=[why], field=f"{OWN}.{told_name(key[:SHOWN])}")
        held = before.get(key)
        if value == _as_given(held) and (held is not None or not field.required):
            continue
        is_taken_away = value in (None, "", []) and field.retired and field.type != "formula"
        if not field.is_given and not is_taken_away:
            raise Refused("fields.retired" if field.retired else "fields.worked_out", field=field.path)
        taken = None if value in (None, "", []) else checked(field, value, context)
        if taken is not None and taken.value:
            found[key] = taken
        elif field.required and not field.retired:
            raise _required(field)
        else:
            found.pop(key, None)  # blanks alone are no text
    return found


def _as_given(held: Held | None) -> Any:
    """A value as a command gives it, and a query shows it."""
    return None if held is None else [*held.value] if isinstance(held.value, tuple) else held.value


def _required(field: CustomField) -> Refused:
    return Refused("forms.invalid", errors=[Why("forms.required")], field=field.path)


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
    explain(check)

    def text(_: CustomField, value: Any, __: Context, at: str) -> str:
        try:
            found = check.deserialize(value)
        except ValidationError as error:
            raise Refused("forms.invalid", errors=[why_of(one) for one in error.messages], field=at) from error
        return f"{found:f}" if isinstance(found, Decimal) else str(found)

    return text


def _choice(field: CustomField, value: Any, _: Context, at: str) -> str:
    if value not in field.choice_keys:
        raise Refused("forms.invalid", errors=[Why("lists.one_of", choices=field.choice_keys, field=at)], field=at)
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
    "day": _by(DayField()),
    "choice": _choice,
    "choices": _choices,
    "person": _person,
}
