"""What a client is told of commands and their fields: derived from the schemas that check them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal

import msgspec
from marshmallow import Schema, fields, missing, validate

from chassis.audit.entries import object_kind
from chassis.commands.runs import reverting
from chassis.http.routes import kebab, undo_path
from chassis.metadata.shapes import Choice, CommandMetadata, Default, FormField, FormType
from chassis.metadata.views import form_type, own_choices
from chassis.model.custom_columns import field_type
from chassis.model.wording import Wording
from contracts.custom_fields import CustomField, CustomKeyField, CustomNumberField, CustomTextField, GivenOwnField
from contracts.declare import CommandSpec
from contracts.records import KINDS, Field, FieldRules, fields_of, kind_called
from contracts.schemas import schema_of, takes_null
from contracts.types import (
    MAX_LINES,
    CurrencyField,
    DecimalField,
    EmailField,
    MailField,
    PhoneField,
    RoleField,
    SecretField,
)

TYPES: Sequence[tuple[type[fields.Field[Any]], FormType]] = (
    (SecretField, "secret"),
    (PhoneField, "phone"),
    (EmailField, "email"),
    (MailField, "email"),
    (CurrencyField, "currency"),
    (RoleField, "role"),
    (CustomKeyField, "code"),
    (fields.UUID, "id"),
    (fields.Boolean, "flag"),
    (fields.Integer, "whole"),
    (fields.Decimal, "amount"),
    (fields.AwareDateTime, "moment"),
    (fields.Date, "day"),
    (GivenOwnField, "object"),
    (fields.String, "text"),
    (fields.List, "list"),
    (fields.Nested, "object"),
)
"""Special ones first."""
NO_RULES = FieldRules()
_PLAIN = (str, int, bool, Decimal, tuple)


@dataclass(frozen=True)
class CompanyForm:
    """What the company has made of the form of a kind of record (`Kind.code`): the fields that it added, and those that
    it wants filled."""

    kind: str
    own: tuple[CustomField, ...] = ()
    required: tuple[str, ...] = ()


def command_metadata(
    spec: CommandSpec,
    wording: Wording,
    may: Callable[[str], bool],
    form: CompanyForm,
) -> CommandMetadata:
    """A command that callers may give, with the fields that are given by who holds the rights that `may` tells."""
    kind = object_kind(spec.cls)
    declared = _declared().get(spec.cls) or fields_of(spec.cls)
    rights = _rights(spec.cls)
    unseen = {name for name, right in rights.items() if not may(right)}
    return CommandMetadata(
        name=spec.name,
        label=wording.command(spec.name),
        record=wording.kind(kind),
        method=str(spec.method),
        path=str(spec.path),
        bulk=f"/bulk/{kebab(spec.name)}" if spec.bulk else None,
        undo=undo_path(spec) if spec.bulk and reverting(spec) else None,
        right=spec.permission,
        key=spec.key,
        creates=spec.creates,
        versioned=spec.versioned,
        fields=[
            _form_field(
                (spec.name, kind),
                name,
                field,
                wording,
                place="path" if f"{{{name}}}" in str(spec.path) else "body",
                rules=declared[name].rules if name in declared else NO_RULES,
                right=rights.get(name, ""),
                unseen=unseen,
                form=replace(form, own=tuple(one for one in form.own if all(map(may, one.rights)))),
                keeps=not spec.creates,
            )
            for name, field in schema_of(spec.cls).fields.items()
            if not _is_constant(field) and name not in unseen
        ],
    )


def statuses(cls: type, wording: Wording, field: str) -> list[Choice]:
    """The values that a field of a contract, or of its parts, is one of."""
    schema, owners = schema_of(cls), (cls.__name__,)
    for name in field.split(".")[:-1]:
        inner = _single(schema.fields[name])
        assert isinstance(inner, fields.Nested)
        schema = _schema(inner)
        owners = (_part(inner),)
    name = field.rpartition(".")[2]
    return _choices(_single(schema.fields[name]), owners, name, wording) or []


def _declared() -> Mapping[type, Mapping[str, Field]]:
    """The fields of kinds of records that are given or named, by command."""
    return {command: kind.fields for kind in KINDS.values() for command in (kind.create, kind.edit, kind.revert)}


def _rights(command: type) -> Mapping[str, str]:
    """The rights that fields of a command need besides its own: who changes one needs that to see it (INV-02)."""
    for kind in KINDS.values():
        if command is kind.create:
            return {name: field.rules.right for name, field in kind.fields.items() if field.rules.right}
        if command in (kind.edit, kind.revert):
            rights = {name: field.right for name, field in kind.fields.items() if field.right}
            whole = {one.name: rights[name] for one in kind.layout.given_whole for name in one.fields if name in rights}
            return {**rights, **whole}
    return {}


def _form_field(
    owners: Sequence[str],
    name: str,
    field: fields.Field[Any],
    wording: Wording,
    *,
    place: Literal["path", "body"] = "body",
    rules: FieldRules = NO_RULES,
    right: str = "",
    unseen: Collection[str] = (),
    form: CompanyForm | None = None,
    keeps: bool = False,
) -> FormField:
    """A field; it offers none of the `unseen` fields to choose from."""
    own, is_wanted = (form.own, name in form.required) if form else ((), False)
    single = _single(field)
    is_list = isinstance(field, fields.List)
    lengths, bounds = _lengths(single), _bounds(single)
    own_parts = [own_field(one, wording, keeps) for one in own if one.is_given]
    return FormField(
        name=name,
        label=wording.field(owners, name),
        help=wording.help(owners, name),
        place=place,
        type="list" if is_list else _type(single),
        of=_type(single) if is_list else None,
        required=field.required or (is_wanted and not keeps),
        keeps=place == "body" and not field.required and field.load_default is missing,
        nullable=takes_null(field) and not is_wanted,
        default=_default(field),
        choices=[one for one in _choices(single, owners, name, wording) or [] if one.value not in unseen] or None,
        shortest=lengths[0],
        longest=lengths[1],
        most=MAX_LINES if is_list else None,
        many_lines=getattr(single, "many_lines", False),
        lowest=bounds[0],
        highest=bounds[1],
        decimals=single.digits if isinstance(single, DecimalField) else None,
        parts=own_parts if isinstance(single, GivenOwnField) else _parts(single, wording),
        right=right,
        dictionary=rules.dictionary,
        free=rules.free,
        named_in=kind_called(rules.record).path if rules.record else "",
    )


def kind_of_command(cls: type) -> str:
    """The kind of record whose fields a command gives; "" for none."""
    return next((kind.code for kind in KINDS.values() if cls in (kind.create, kind.edit)), "")


def own_field(field: CustomField, wording: Wording, keeps: bool) -> FormField:
    """A field that the company has added, as a form has it."""
    is_list, is_choice = field.type == "choices", field.type in ("choice", "choices")
    number = CustomNumberField() if field.type == "number" else None
    kind = form_type(field_type(field))
    default = list(field.default) if is_list else next(iter(field.default), None)
    return FormField(
        name=field.key,
        label=wording.named(field.label),
        help=wording.named(field.help),
        place="body",
        type=kind,
        of="choice" if is_list else None,
        required=field.required and not keeps,
        keeps=keeps,
        nullable=not field.required,
        default=None if keeps else default or None,
        choices=[one for one in own_choices(field, wording) or [] if not one.retired] if is_choice else None,
        shortest=0 if field.type == "text" else None,
        longest=CustomTextField.longest if field.type == "text" else None,
        most=MAX_LINES if is_list else None,
        many_lines=field.type == "text",
        lowest=f"{number.lowest:f}" if number else None,
        highest=f"{number.highest:f}" if number else None,
        decimals=number.digits if number else None,
        parts=None,
        right=field.edit_right or field.view_right,
        dictionary="",
        free=False,
        named_in="",
    )


def _single(field: fields.Field[Any]) -> fields.Field[Any]:
    """A field, or that of the items where it is a list."""
    return field.inner if isinstance(field, fields.List) else field


def _is_constant(field: fields.Field[Any]) -> bool:
    """Whether there is but one value, so that nobody is asked for it."""
    return any(isinstance(one, validate.Equal) for one in field.validators)


def _type(field: fields.Field[Any]) -> FormType:
    if _one_of(field):
        return "choice"
    return next(name for cls, name in TYPES if isinstance(field, cls))


def _one_of(field: fields.Field[Any]) -> Sequence[Any]:
    """What it may be; of a list whose items may be but one thing, that one."""
    found: Sequence[Any] = ()
    for one in field.validators:
        if isinstance(one, validate.OneOf):
            found = [*one.choices]
        elif isinstance(one, validate.Equal):
            found = [one.comparable]
    return found


def _choices(field: fields.Field[Any], owners: Sequence[str], name: str, wording: Wording) -> list[Choice] | None:
    values = [str(value) for value in _one_of(field) if value is not None]
    return [Choice(value, wording.choice(owners, name, value)) for value in values] or None


def _default(field: fields.Field[Any]) -> Default:
    default = field.load_default
    found: Default = msgspec.to_builtins(default) if isinstance(default, _PLAIN) else None
    return list(found) if isinstance(found, tuple) else found


def _lengths(field: fields.Field[Any]) -> tuple[int | None, int | None]:
    found = next((one for one in field.validators if isinstance(one, validate.Length)), None)
    return (found.min, found.max) if found else (None, None)


def _bounds(field: fields.Field[Any]) -> tuple[str | None, str | None]:
    if isinstance(field, DecimalField):
        return f"{field.lowest:f}", f"{field.highest:f}"
    found = next((one for one in field.validators if isinstance(one, validate.Range)), None)
    return (str(found.min), str(found.max)) if found else (None, None)


def _parts(field: fields.Field[Any], wording: Wording) -> list[FormField] | None:
    if not isinstance(field, fields.Nested):
        return None
    owners = (_part(field),)
    return [_form_field(owners, name, part, wording) for name, part in _schema(field).fields.items()]


def _schema(field: fields.Nested) -> Schema:
    found: Schema = field.schema
    return found


def _part(field: fields.Nested) -> str:
    """The name of a part's class: marshmallow-dataclass names the schema after it."""
    return type(_schema(field)).__name__
