"""A text of one line takes no line break and no other control character, in every command that has one.

Which texts have many lines is a fact of their type (`TextField.many_lines`): what people write to each other.
"""

from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from marshmallow import Schema, ValidationError, fields

from chassis.documents.json_schema import json_schema
from contracts.declare import REGISTRY, CommandSpec
from contracts.schemas import schema_of
from contracts.types import TextField

LINE_ENDS = ["\n", "\r", "\r\n", "\t", "\x0b", "\x0c", "\x1c", "\x1e", "\x85", "\u2028", "\u2029"]
CONTROLS = ["\x00", "\x07", "\x1b", "\x7f", "\x80", "\x9f"]
WRITTEN_IN_LINES = {
    "comment", "condition", "description", "finding", "need", "next_plan", "note", "quotation", "reason", "recipients",
    "remark", "response", "specification", "text", "text_en", "text_ja", "text_zh",
}  # fmt: skip


def texts(schema: Schema, prefix: str = "") -> dict[str, TextField]:
    """The texts of a command at any depth."""
    found: dict[str, TextField] = {}
    for name, field in schema.fields.items():
        inner: Any = field
        while isinstance(inner, fields.List):
            inner = inner.inner
        if isinstance(inner, fields.Nested):
            found |= texts(inner.schema, f"{prefix}{name}.")
        elif isinstance(inner, TextField):
            found[f"{prefix}{name}"] = inner
    return found


TEXTS = [
    pytest.param(spec, path, field, id=f"{spec.name}.{path}")
    for spec in REGISTRY.load().commands.values()
    if spec.is_public
    for path, field in texts(schema_of(spec.cls)).items()
]


def is_taken(field: TextField, text: str) -> bool:
    try:
        field.deserialize(text)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(("spec", "path", "field"), TEXTS)
def test_what_has_one_line_is_refused_with_more(spec: CommandSpec, path: str, field: TextField) -> None:
    if field.many_lines:
        return
    for ch in LINE_ENDS + CONTROLS:
        around = () if ch in LINE_ENDS else (f"Desk lamp{ch}", f"{ch}Desk lamp")
        for text in (f"Desk{ch}lamp", f"Desk{ch}\u200b{ch}lamp", *around):
            with pytest.raises(ValidationError, match="line"):
                field.deserialize(text)


@pytest.mark.parametrize(("spec", "path", "field"), TEXTS)
def test_a_line_break_pasted_around_it_goes_as_blanks_do(spec: CommandSpec, path: str, field: TextField) -> None:
    """A cell of a table, or the last line of a file, comes with one."""
    if field.many_lines:
        return
    for ch in LINE_ENDS:
        for text in (f"Desk lamp{ch}", f"{ch}Desk lamp", f" {ch}\u200b {ch}Desk lamp\ufeff {ch}\u2060{ch} "):
            assert field.deserialize(text) == "Desk lamp"
        assert is_taken(field, f" {ch}") == (not field.shortest)


@pytest.mark.parametrize(("spec", "path", "field"), TEXTS)
def test_people_write_in_lines_where_they_tell_something(spec: CommandSpec, path: str, field: TextField) -> None:
    name = path.rpartition(".")[2]
    if spec.name == "RemoveParameter" and name == "name":
        assert field.many_lines  # former releases kept such names, and this takes them away
    else:
        assert field.many_lines == (name in WRITTEN_IN_LINES or field.as_typed), path
    if field.many_lines:
        assert is_taken(field, "one\ntwo\r\n\tthree")
        assert not is_taken(field, "a bell\x07")


@pytest.mark.parametrize("spec", [spec for spec in REGISTRY.commands.values() if spec.is_public], ids=lambda s: s.name)
def test_the_published_form_says_so(spec: CommandSpec) -> None:
    published = json_schema(spec.cls, "input")
    for name, field in schema_of(spec.cls).fields.items():
        if isinstance(field, TextField) and not field.as_typed:
            check = Draft202012Validator(published["properties"][name]).is_valid
            for ch in LINE_ENDS + CONTROLS:
                around = (
                    ()
                    if field.many_lines
                    else (f"Desk lamp{ch}", f"{ch} {ch}Desk", f"lamp{ch}\u200b{ch}", f" {ch}", f"{ch}{ch}")
                )
                for text in (f"Desk{ch}lamp", *around):
                    assert check(text) == is_taken(field, text), (name, text)


def test_what_was_published_before_may_still_be_read() -> None:
    """Events are for ever: a reader's schema holds names of former releases too."""
    published = json_schema(REGISTRY.events["salestream.customers.customer-created.v1"].cls, "output")
    assert Draft202012Validator(published["$defs"]["CustomerData"]["properties"]["name"]).is_valid("Li\nWei")
