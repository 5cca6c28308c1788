"""What a published schema accepts is taken, and what is taken the schema accepts: each type of field, each parameter.

Looked at are texts as people and programs write them, and texts made from the patterns.
"""

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from marshmallow import Schema, ValidationError, fields

from chassis.catalogue import Catalogue
from chassis.documents.json_schema import json_schema
from chassis.documents.query_docs import list_parameters
from chassis.model.views import Range
from chassis.queries.filters import Filters
from contracts.custom_fields import GivenOwnField
from contracts.declare import REGISTRY
from contracts.errors import Refused
from contracts.schemas import schema_of
from contracts.text import is_blank, normal
from contracts.types import IdField, PathNameField, PhoneField, TextField

COMMANDS = [spec for spec in REGISTRY.load().commands.values() if spec.is_public]
JsonSchema = dict[str, Any]

TEXTS = [
    "", " ", "x", " x ", "x\n", "x\ty", "x\ry", "x\x0by", "x\x85y", "x\x7fy", "x\u2028y",
    "\u3000x", "x\u00a0", "\u202a13900000041\u202c", "13900000041",
    " 139 0000-0041 ", "１３９００００００４１", "139/0000/0041", "139_0000_0041", "1390000004", "139000000411",
    "+81 90-1234-5678", "+81 (0)90-1234-5678", "0081 90 1234 5678", "00 81 90 1234 5678",
    "＋８１９０１２３４５６７８", "+ 81 90 1234567", "-+81 90 1234567", "+81----90----1234567", "+1000 0",
    "+0123456789", "+1" + "0" * 19, "+1" + "-0" * 18, "81 90 1234567", "①②③", "+81 90\n1234567",
    "+81\u200b90\u00a01234 5678", "13900000041a", "+81+901234567", "li@example.com", " LI@EXAMPLE.COM ",
    "ｌｉ＠example.com", "li@ex\u2010ample.com", "li@example", "@example.com", "li@", "li@example.com\n",
    "l i@example.com", "li@example.c", "li@exa_mple.com", "li@例子.com", "a" * 65 + "@b.cc", "li@b..cc",
    "a" * 60 + "@" + "b." * 95 + "cc", " " * 250 + "a@b.cc", "0", "-0", "-0.00", "+5", "5", "05", "007.50",
    "5.00000000", "5.12345", "12.5", "1000000000000", "1000000000000.00", "1000000000000.01", "1000000000001",
    "9" * 13, "0" * 42, "0" * 43, "1e3", "1_000", "1,000", ".5", "5.", "-1", "NaN", "１", "0.00000001",
    "0.000000001", "0.0", "1000000", "1000000.1", "Infinity", "+-5", "5 ", "0x10", "CNY", "cny", "XXX", "JPY ",
    "SAL", "sal", "A", "A" * 21, "2026-02-28", "2026-02-30", "1899-12-31", "2026-2-3", "20260228", "2026-W01-1",
    "a/b", "..", ".", "a.b", "%2F", "ALWAYS", "always", "x" * 200, "x" * 201, "x" * 1000, "x" * 1001,
    "x" * 4001,
]  # fmt: skip
NUMBERS: list[Any] = [
    0,
    1,
    -1,
    3,
    3.0,
    1.5,
    1e3,
    10**9,
    10**9 + 1,
    10**12,
    10**12 + 1,
    10**15,
    12.5,
    0.5,
    True,
    False,
    None,
    [],
    {},
]


def single(schema: Schema, published: JsonSchema, defs: JsonSchema) -> dict[str, tuple[fields.Field[Any], JsonSchema]]:
    """The fields of a command at any depth that hold one value, and what is published of each."""
    found: dict[str, tuple[fields.Field[Any], JsonSchema]] = {}
    for name, field in schema.fields.items():
        part, inner = published["properties"][name], field
        while isinstance(inner, fields.List):
            inner, part = inner.inner, next(one for one in part.get("anyOf", [part]) if "items" in one)["items"]
        if isinstance(inner, fields.Nested):
            one = part.get("anyOf", [part])[0]
            found |= single(inner.schema, defs[one["$ref"].rpartition("/")[2]], defs)
        elif isinstance(field, fields.List):
            found[f"{name}[]"] = (inner, part)
        else:
            found[name] = (inner, part)
    return found


def by_type() -> dict[str, tuple[fields.Field[Any], JsonSchema]]:
    """One field of each type, taking null and left out in each way there is, and each set of choices."""
    found = {}
    for spec in COMMANDS:
        published = json_schema(spec.cls, "input")
        for field, schema in single(schema_of(spec.cls), published, published.get("$defs", {})).values():
            told = {name: value for name, value in schema.items() if name not in ("default", "readOnly", "description")}
            found[f"{type(field).__name__} {told}"] = (field, schema)
    return {f"{name.partition(' ')[0]}-{number}": one for number, (name, one) in enumerate(sorted(found.items()))}


FIELDS = by_type()


def is_taken(field: fields.Field[Any], value: Any) -> bool:
    try:
        field.deserialize(value)
    except ValidationError:
        return False
    return True


def is_accepted(schema: JsonSchema, value: Any) -> bool:
    checker = Draft202012Validator.FORMAT_CHECKER
    return bool(Draft202012Validator(schema, format_checker=checker).is_valid(value))


def no_schema_can_say(field: fields.Field[Any], value: Any) -> bool:
    """An id is published in its one form, so that programs know it as such.

    And no pattern says which signs show nothing, nor how long a text is once it is composed, with nothing around it.
    """
    if isinstance(field, IdField):
        return True
    if isinstance(field, GivenOwnField) and isinstance(value, dict):
        return True  # which keys there are is data
    if not isinstance(field, TextField) or not isinstance(value, str):
        return False
    return (bool(value) and is_blank(value)) or (field.as_typed is False and len(normal(value)) != len(value))


def check(field: fields.Field[Any], schema: JsonSchema, value: Any) -> None:
    if not no_schema_can_say(field, value):
        assert is_accepted(schema, value) == is_taken(field, value), (type(field).__name__, value, schema)


def test_every_type_of_field_is_looked_at() -> None:
    kinds = {name.partition("-")[0] for name in FIELDS}
    assert {"PhoneField", "EmailField", "AmountField", "RateField", "RoleField", "DayField", "PathNameField"} <= kinds


@pytest.mark.parametrize("name", FIELDS)
def test_what_is_published_is_what_is_taken(name: str) -> None:
    field, schema = FIELDS[name]
    for value in (*TEXTS, *NUMBERS):
        check(field, schema, value)


def patterns(schema: JsonSchema) -> list[str]:
    return [part["pattern"] for part in [schema, *schema.get("anyOf", [])] if "pattern" in part]


PATTERNED = [name for name, (field, schema) in FIELDS.items() if patterns(schema)]


@pytest.mark.parametrize("name", PATTERNED)
@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_a_pattern_says_is_taken(name: str, data: st.DataObject) -> None:
    field, schema = FIELDS[name]
    text = data.draw(st.from_regex(data.draw(st.sampled_from(patterns(schema)))))
    check(field, schema, text)
    if text and not isinstance(field, PathNameField):
        at = data.draw(st.integers(0, len(text) - 1))
        check(field, schema, text[:at] + data.draw(st.sampled_from("0 -+.\u200b９a")) + text[at + 1 :])


@pytest.mark.parametrize("written", ["13900000041", "+81 90-1234-5678"])
def test_what_is_stored_of_a_number_is_taken_again_as_it_is(written: str) -> None:
    assert PhoneField().deserialize(written) == written
    assert re.fullmatch(PhoneField.taken, written)


VIEWS = Catalogue.read().views()
RANGES = [(view, name, rule) for view in VIEWS for name, rule in view.filters.items() if isinstance(rule, Range)]


@pytest.mark.parametrize(("view", "name", "rule"), RANGES, ids=lambda one: getattr(one, "name", None))
def test_the_pattern_of_a_bound_is_what_is_taken(view: Any, name: str, rule: Range) -> None:
    [published] = [one["schema"] for one in list_parameters(view) if one["name"] == f"{name}_from"]
    if "pattern" not in published:
        return  # days and moments are published by their format
    for text in TEXTS:
        try:
            Filters(view, lambda _: True).condition(f"{name}_from", [text])
        except Refused:
            taken = False
        else:
            taken = True
        is_plain = text.isascii() and text == text.strip()  # blanks around and wide digits are taken besides
        assert not is_plain or is_accepted(published, text) == taken, text
