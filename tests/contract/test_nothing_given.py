"""Null says that there is no value wherever there may be none, in every command and every value within one.

In what enters or replaces a record it says what leaving the field out says; in a change (PATCH) it takes the value away
(test_changes.py).  An empty text says the same in place of a text, as queries show one that there is not, and nothing
in place of an id, a number, a day, a flag, a choice, a list or an object: it is refused.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from marshmallow import Schema, fields, missing

from chassis.commands.loading import load_command
from chassis.documents.samples import sample
from chassis.model.principal import SYSTEM
from chassis.writer.request import made_id
from contracts.declare import KEPT, REGISTRY, CommandSpec
from contracts.dictionaries import EntryCodeField
from contracts.errors import Refused
from contracts.schemas import load, schema_of, takes_empty
from contracts.types import (
    AmountField,
    BirthdayField,
    DayField,
    EmailField,
    FlagField,
    IdField,
    MomentField,
    PhoneField,
    TextField,
    WholeField,
)

COMMANDS = [spec for spec in REGISTRY.load().commands.values() if spec.is_public]
Path = tuple[str | int, ...]


def optional(schema: Schema, body: dict[str, Any], prefix: Path = ()) -> Iterator[tuple[Path, fields.Field[Any]]]:
    """Every field of a command that may be left out, at any depth."""
    for name, field in schema.fields.items():
        if not field.required:
            yield (*prefix, name), field
        if isinstance(field, fields.Nested):
            yield from optional(field.schema, body[name], (*prefix, name))
        elif isinstance(field, fields.List) and isinstance(field.inner, fields.Nested):
            yield from optional(field.inner.schema, body[name][0], (*prefix, name, 0))


FIELDS = [(spec, *one) for spec in COMMANDS for one in optional(schema_of(spec.cls), sample(spec.cls))]
CASES = [pytest.param(spec, path, field, id=f"{spec.name}-{'.'.join(map(str, path))}") for spec, path, field in FIELDS]


def with_value(spec: CommandSpec, path: Path, value: Any) -> dict[str, Any]:
    """The sample with another value somewhere, or without one."""
    body = sample(spec.cls)
    part: Any = body
    for step in path[:-1]:
        part = part[step]
    if value is missing:
        del part[path[-1]]
    else:
        part[path[-1]] = value
    return body


def outcome(spec: CommandSpec, path: Path, value: Any) -> Any:
    """What a command becomes, field by field; without the new id, which is another one each time."""
    try:
        command: Any = load(spec.cls, with_value(spec, path, value))
    except Refused as refused:
        return refused.code, refused.field
    known = vars(command)
    return {name: held for name, held in known.items() if (name,) != path or not (spec.creates and name == spec.key)}


def test_there_are_such_fields_at_every_depth() -> None:
    depths = {len(path) for _, path, _ in FIELDS}
    assert {1, 2} <= depths and len(CASES) > 100


def is_text(field: fields.Field[Any]) -> bool:
    """Whether people write any text there; whether it is the code of an entry is asked of the dictionary later."""
    return isinstance(field, TextField | EmailField | PhoneField | EntryCodeField)


def test_texts_are_told_from_ids_numbers_days_and_choices() -> None:
    kinds = {type(field) for _, _, field in FIELDS if not is_text(field)}
    assert {IdField, WholeField, AmountField, DayField, MomentField, BirthdayField, FlagField, fields.Raw} <= kinds
    assert all(takes_empty(field) is is_text(field) for _, _, field in FIELDS)


@pytest.mark.parametrize(("spec", "path", "field"), CASES)
def test_null_says_that_there_is_none_and_empty_only_of_a_text(
    spec: CommandSpec, path: Path, field: fields.Field[Any]
) -> None:
    absent, null, empty = (outcome(spec, path, value) for value in (missing, None, ""))
    assert isinstance(absent, dict)
    refused = "VALIDATION", ".".join(map(str, path))
    if field.load_default is not missing:  # it has a default: there may be no value
        assert null == absent
    elif field.allow_none:  # of a change: the value is taken away
        assert null[path[0]] is not KEPT
    else:
        assert null == refused, "there must be a value"
    if not is_text(field):
        assert empty == refused
    elif null != refused:
        assert empty == null


def test_crm_01_an_empty_owner_puts_no_record_into_the_pool() -> None:
    """`owner_id: ""` was taken for null: nobody's."""
    [create] = [spec for spec in COMMANDS if spec.name == "CreateCustomer"]
    with pytest.raises(Refused) as refused:
        load(create.cls, {**sample(create.cls), "owner_id": ""})
    assert (refused.value.code, refused.value.field) == ("VALIDATION", "owner_id")
    assert refused.value.fields["owner_id"][0].reason == "forms.empty"


@pytest.mark.parametrize("spec", [spec for spec in COMMANDS if spec.creates], ids=lambda spec: spec.name)
@pytest.mark.parametrize("given", [missing, None], ids=["left out", "null"])
def test_a_new_record_without_an_id_gets_the_one_of_its_key(spec: CommandSpec, given: Any) -> None:
    body = with_value(spec, (spec.key,), given)
    found = [getattr(load_command(spec, body, SYSTEM, "a-key", currency="CNY"), spec.key) for _ in range(2)]
    assert found[0] == found[1] and found[0].version == made_id(spec, "0" * 32).version
