"""What handlers write is what rows declare: every view, every event it reads, every value of every choice.

A field that is written and not declared is shown to nobody; a choice that is written and not declared can't be asked
for, and is none to the documents.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from types import NoneType
from typing import Any, get_args, get_type_hints
from uuid import uuid4

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from chassis.catalogue import Catalogue
from chassis.documents.json_schema import JsonSchema, json_schema
from chassis.documents.query_docs import row_schema
from chassis.documents.samples import sample
from chassis.model.context import ALONE, NOBODYS
from chassis.model.deciding import NOBODY, Caller
from chassis.model.views import CALLER, COMPANY_CURRENCY, NOW, OfCaller, View, Words
from chassis.projections.documents import stored
from chassis.queries.rows import plain
from chassis.testing.views import documents
from contracts.schemas import load

VIEWS = [view for view in Catalogue.read().views() if not view.collected]


def facts_of(cls: type) -> Iterator[Any]:
    """An event with every field filled, once with each value that a choice anywhere in it may have."""
    schema = json_schema(cls, "output")
    parts = schema.get("$defs", {})
    whole = sample(cls)
    yield load(cls, whole)
    for path, choice in choices_in(schema, parts):
        yield load(cls, with_value(whole, path, choice))


def choices_in(schema: JsonSchema, parts: Mapping[str, JsonSchema]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Where an enum stands, and each of its values."""
    if "anyOf" in schema:
        yield from choices_in(schema["anyOf"][0], parts)
    elif "$ref" in schema:
        yield from choices_in(parts[schema["$ref"].rpartition("/")[2]], parts)
    elif "enum" in schema:
        yield from (((), choice) for choice in schema["enum"] if choice is not None)
    elif "properties" in schema:
        for name, inner in schema["properties"].items():
            yield from (((name, *path), choice) for path, choice in choices_in(inner, parts))
    elif "items" in schema:
        yield from (((0, *path), choice) for path, choice in choices_in(schema["items"], parts))


def with_value(whole: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    first, *rest = path
    inner = with_value(whole[first], tuple(rest), value)
    return {**whole, first: inner} if isinstance(whole, dict) else [inner, *whole[1:]]


class Read(dict[str, Any]):
    """A document that remembers which of its fields were asked for."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        super().__init__(document)
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.asked.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)


def used_besides(view: View, document: Mapping[str, Any]) -> set[str]:
    """The fields that are not shown and serve to find, limit, add up or work out what is."""
    found = {*view.where, *(name for index in view.indexes for name in index)}
    found |= set(view.scope.fields) if view.scope else set()
    found |= {*view.sums.by, view.sums.over} if view.sums else set()
    for name, rule in view.filters.items():
        found |= set(rule.fields) if isinstance(rule, Words) else {rule.field or name}
    asker = Caller(uuid4(), ["SAL"], lambda _: NOBODYS, ALONE)
    asked = [view.scope.seen] if view.scope and view.scope.seen else []
    asked += [rule.condition for rule in view.filters.values() if isinstance(rule, OfCaller)]
    found |= {name for condition in asked for name in names_in(condition(asker))}
    for id, default in list(view.defaults.items())[:1]:  # what is worked out may go by the id
        document = {**document, **default, "_id": id}
    read = Read({**document, COMPANY_CURRENCY: "CNY", CALLER: asker, NOW: datetime.now(UTC)})
    for compute in view.computed.values():
        compute(read)
    return {name.partition(".")[0] for name in found | read.asked}


def names_in(condition: Mapping[str, Any]) -> Iterator[str]:
    """The fields that a condition asks about."""
    for name, inner in condition.items():
        if name.startswith("$"):
            for part in inner:
                yield from names_in(part)
        else:
            yield name.partition(".")[0]


def written(view: View) -> Iterator[tuple[str, dict[str, Any]]]:
    """The documents that each event of the view makes by itself."""
    for cls in view.handlers:
        for fact in facts_of(cls):
            for key, document in documents(view, [fact]).items():
                yield cls.__name__, {"_id": key, **document}


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_every_field_that_is_written_is_shown_or_used(view: View) -> None:
    known: set[str] = set(view.types)
    names: dict[str, str] = {}
    for event, document in written(view):
        known |= used_besides(view, {**dict.fromkeys(view.types), **document})
        names |= {name: event for name in document if not name.startswith("_")}
    assert not {name: event for name, event in names.items() if name not in known}


def people_in(value: Any) -> Iterator[Any]:
    """Who did something, wherever a document tells it."""
    if isinstance(value, dict):
        yield from (inner for name, inner in value.items() if name == "by")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from people_in(inner)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_whoever_did_something_has_a_name(view: View) -> None:
    """What Salestream does by itself it does by its name."""
    for event, document in written(view):
        assert "" not in list(people_in(document)), event


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_every_choice_that_is_written_is_declared(view: View) -> None:
    for event, document in written(view):
        for name, type in view.types.items():
            value = document.get(name)
            told_freely = isinstance(value, str) and value.startswith("some ")  # the event declares no choice
            if type.kind == "choice" and value is not None and not told_freely:
                assert value in type.choices, (event, name)


def with_nothing(cls: type) -> Iterator[Any]:
    """An event with every field filled but one, once for each that may have no value, at any depth."""
    schema = json_schema(cls, "output")
    whole, parts = sample(cls), schema.get("$defs", {})
    for path in empty_in(schema, parts):
        yield load(cls, with_value(whole, path, None))


def empty_in(schema: JsonSchema, parts: Mapping[str, JsonSchema]) -> Iterator[tuple[Any, ...]]:
    """Where null may stand."""
    if "$ref" in schema:
        yield from empty_in(parts[schema["$ref"].rpartition("/")[2]], parts)
    for name, inner in schema.get("properties", {}).items():
        options = [inner, *inner.get("anyOf", ())]
        if any("null" in (one["type"] if isinstance(one.get("type"), list) else [one.get("type")]) for one in options):
            yield (name,)
        for option in options:
            yield from ((name, *path) for path in empty_in(option, parts) if "items" not in option)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_a_field_that_an_event_leaves_without_a_value_is_declared_so(view: View) -> None:
    """So `GET /metadata` tells clients which columns may be empty."""
    hints = get_type_hints(view.row)
    for cls in view.handlers:
        for fact in (*facts_of(cls), *with_nothing(cls)):
            for document in documents(view, [fact]).values():
                empty = {name for name, hint in hints.items() if name in document and document[name] is None}
                undeclared = {name for name in empty if NoneType not in get_args(hints[name])}
                assert not undeclared, (cls.__name__, undeclared)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_what_a_view_holds_is_what_is_published(view: View) -> None:
    """Of every event that a view reads, with all that is worked out of it."""
    properties = row_schema(view.row)["properties"]
    for event, document in written(view):
        known = {COMPANY_CURRENCY: "CNY", CALLER: NOBODY, NOW: datetime.now(UTC)}
        read = {**dict.fromkeys(view.types), **document, **known}
        try:
            worked_out = {name: stored(compute(read)) for name, compute in view.computed.items()}
        except (KeyError, TypeError):
            worked_out = {}  # of a record of which nothing was told before
        for name, value in {**document, **worked_out}.items():
            # the event declares no choice, or names what nobody has declared, of which nothing is told
            told_freely = isinstance(value, str) and (value == "" or value.startswith("some "))
            if name in properties and not told_freely:
                problems = [one.message for one in Draft202012Validator(properties[name]).iter_errors(plain(value))]
                assert not problems, (event, name, problems)
