"""What every field of every command says of a value that it does not take tells what may stand there."""

import inspect
from collections.abc import Iterator
from typing import Any

import marshmallow
import pytest
from marshmallow import fields

from chassis.documents.samples import sample
from contracts import types
from contracts.declare import REGISTRY, CommandSpec
from contracts.errors import Refused
from contracts.messages import SHOWN, explain, unknown_field
from contracts.schemas import StrictSchema, load, schema_of

COMMANDS = sorted(REGISTRY.load().commands.values(), key=lambda spec: spec.name)
FIELDS = [cls for _, cls in inspect.getmembers(fields, inspect.isclass) if issubclass(cls, fields.Field)]
STOCK = {
    *marshmallow.Schema._default_error_messages.values(),
    *(text for cls in FIELDS for text in getattr(cls, "default_error_messages", {}).values()),
} - {"Must be one of: {choices}."}
"""Marshmallow's own messages, which only say that something is wrong."""
WRONG: list[Any] = [None, "", " ", "x", "x" * 5000, 1, -1, 1.5, 10**30, True, [], ["x"], [None], {}, {"x": 1}, "\x00"]
each_command = pytest.mark.parametrize("spec", COMMANDS, ids=lambda spec: spec.name)


def all_fields(field: Any) -> Iterator[Any]:
    yield field
    if isinstance(field, fields.List):
        yield from all_fields(field.inner)
    if isinstance(field, fields.Nested):
        for inner in field.schema.fields.values():
            yield from all_fields(inner)


@each_command
def test_no_field_speaks_with_marshmallows_own_words(spec: CommandSpec) -> None:
    for top in schema_of(spec.cls).fields.values():
        for field in all_fields(top):
            assert STOCK.isdisjoint(field.error_messages.values()), (field.name, type(field))
            if isinstance(field, fields.Nested):
                assert STOCK.isdisjoint({*field.schema.error_messages.values()} - {"Unknown field."})


@pytest.mark.parametrize(
    "kind",
    [cls for _, cls in inspect.getmembers(types, inspect.isclass) if issubclass(cls, fields.Field)],
    ids=lambda kind: kind.__name__,
)
def test_no_type_speaks_with_them_whether_a_command_has_it_or_not(kind: type) -> None:
    made = kind()
    explain(made, "value")
    assert STOCK.isdisjoint(made.error_messages.values())


@each_command
def test_what_is_refused_is_told_in_our_words(spec: CommandSpec) -> None:
    """Every field with everything, and every field left out."""
    whole = sample(spec.cls)
    for name in whole:
        for value in WRONG:
            assert_told(spec, {**whole, name: value})
        assert_told(spec, {other: value for other, value in whole.items() if other != name})


def assert_told(spec: CommandSpec, data: Any) -> None:
    try:
        load(spec.cls, data)
    except Refused as refused:
        for field, texts in refused.fields.items():
            for text in texts:
                assert text not in STOCK and not text.startswith("Not a valid"), (field, text)
                assert len(text) < 1000


@each_command
def test_a_field_that_there_is_not_is_told_the_one_that_is_meant(spec: CommandSpec) -> None:
    whole = sample(spec.cls)
    for name in whole:
        refused = refusal(spec, {**whole, f"{name}s": whole[name]})
        assert refused.field == f"{name}s"
        assert name in refused.message.partition("did you mean")[2]
    for strange in ("値段", "x" * 199, "_schema", "", " ", "\x00\x1b[31m"):
        refused = refusal(spec, {**whole, strange: 1})
        known = sorted(schema_of(spec.cls).fields)[:SHOWN]
        assert all(name in refused.message for name in known)
        assert str(refused.field).strip('"') == strange


def test_a_field_of_a_part_is_told_with_its_place() -> None:
    spec = REGISTRY.commands["CreateOrder"]
    whole = sample(spec.cls)
    whole["lines"][0]["quantitty"] = 2
    refused = refusal(spec, whole)
    assert (refused.field, "did you mean quantity" in refused.message) == ("lines.0.quantitty", True)


def refusal(spec: CommandSpec, data: Any) -> Refused:
    with pytest.raises(Refused) as refused:
        load(spec.cls, data)
    return refused.value


def test_of_many_fields_some_are_told() -> None:
    told = unknown_field("値段", (f"field_{number:03}" for number in range(50)))
    assert told.endswith("and 30 more.") and told.count("field_") == SHOWN
    assert unknown_field("x", ()) == "Unknown field; there are none."


def test_an_object_is_asked_for_as_one() -> None:
    class Part(StrictSchema):
        name = fields.String()

    hostile: list[Any] = ["x", 1, [], None]
    for wrong in hostile:
        with pytest.raises(marshmallow.ValidationError, match="Must be an object"):
            Part().load(wrong)
