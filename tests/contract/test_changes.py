"""Changes (PATCH): left out, null and empty are three things, for each field of each command (ADR 0020).

Looked at are the record, the event with its published schema, and every view that shows the field.
"""

import json
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

import pytest
from component.records import FILLED, Filled, fields_of
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from chassis.catalogue import Catalogue
from chassis.model.aggregates import Aggregate
from chassis.projections.documents import stored
from chassis.testing.views import documents
from contracts.declare import KEPT, REGISTRY, CommandSpec
from contracts.errors import Refused
from contracts.schemas import decode, encode, load
from services.access.test_access import NEW

REPOSITORY = Path(__file__).parents[2]
CHANGES = [spec for spec in REGISTRY.commands.values() if spec.method == "PATCH"]
PARTS = {"purchase_price": "purchase", "sale_price": "sale", "member_price": "member", "mentions": "mentioned"}
"""Fields of a change that are part of a value in the record, or have become one."""
CASES = [(spec, name) for spec in CHANGES for name in fields_of(spec)]


def test_the_fields_of_every_change_are_kept_when_left_out() -> None:
    names = {name.partition(".")[0] for name in FILLED}
    assert {spec.name for spec in CHANGES} == names, "a new change needs a record to be tried on"
    for spec, name in CASES:
        default = spec.cls.__dataclass_fields__[name].default  # type: ignore[attr-defined]
        assert default is KEPT or default is MISSING, f"{spec.name}.{name} has the default {default!r}, not KEPT"


def hint_of(spec: CommandSpec, name: str) -> Any:
    return get_type_hints(spec.cls)[name]


def empty_of(spec: CommandSpec, name: str) -> Any:
    """What an empty value of the field is in JSON."""
    hint = hint_of(spec, name)
    kinds = [kind for kind in get_args(hint) if kind is not NoneType] if NoneType in get_args(hint) else [hint]
    return [] if getattr(kinds[0], "__origin__", None) is tuple else {} if is_dataclass(kinds[0]) else ""


def value_in(part: Any, name: str) -> Any:
    """The value of a field in a record or event, wherever in it; ... when there is none."""
    if isinstance(part, dict):
        return next((value for value in (value_in(one, name) for one in part.values()) if value is not ...), ...)
    if not is_dataclass(part) or isinstance(part, type):
        return ...
    own = {item.name for item in fields(part)}
    if found_as := own & {name, PARTS.get(name, name)}:
        return getattr(part, found_as.pop())
    found = (value_in(getattr(part, item.name), name) for item in fields(part))
    return next((value for value in found if value is not ...), ...)


def record_of(made: Filled) -> Aggregate:
    """The record, made anew of its events."""
    facts = made.kit.stream(made.id)
    kinds = [kind for kind in kinds_of(Aggregate) if all(type(fact) in kind.appliers for fact in facts)]
    record = kinds[0](made.id)
    for fact in facts:
        record.apply(fact)
    return record


def kinds_of(base: type[Aggregate]) -> list[type[Aggregate]]:
    return [kind for sub in base.__subclasses__() for kind in (sub, *kinds_of(sub))]


@cache
def schema_of_event(name: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads((REPOSITORY / "contracts" / "schemas" / f"{name}.json").read_text()))


def do(made: Filled, spec: CommandSpec, body: dict[str, Any]) -> None:
    made.kit.do(load(spec.cls, {spec.key: str(made.id), **made.named, **body}), made.by)


def keeps_its_parts(spec: CommandSpec, name: str) -> bool:
    """Whether an object without parts changes nothing: each that is left out keeps its value."""
    hint = hint_of(spec, name)
    return is_dataclass(hint) and all(part.default is KEPT for part in fields(hint))


def is_optional(spec: CommandSpec, name: str) -> bool:
    return NoneType in get_args(hint_of(spec, name))


@pytest.mark.parametrize(("spec", "name"), CASES, ids=lambda case: getattr(case, "name", case))
@pytest.mark.parametrize("given", ["left out", "null", "empty"])
def test_left_out_null_and_empty_are_three_things(spec: CommandSpec, name: str, given: str) -> None:
    made = FILLED.get(f"{spec.name}.{name}", FILLED[spec.name])()
    before = record_of(made)
    old = value_in(before, name)
    assert old is ... or old, "the record has nothing to take away"
    made.kit.new_facts()
    body = {"left out": {}, "null": {name: None}, "empty": {name: empty_of(spec, name)}}[given]
    if spec.name == "EditPersonalData" and body:
        body["password"] = NEW
    refusal = None
    try:
        do(made, spec, body)
    except Refused as refused:
        refusal = refused
    facts = made.kit.new_facts()
    if old is True and not facts and refusal is None:
        return  # a flag that is on as long as nobody says otherwise
    if given == "left out" or (given == "empty" and keeps_its_parts(spec, name)):
        assert not facts and (refusal is None or name in refusal.fields), "what is left out keeps its value"
        return
    if refusal is not None:
        assert not facts and record_of(made) == before
        assert refusal.code == "VALIDATION"
        assert name in {refusal.field, *refusal.fields} or str(refusal.field).startswith(f"{name}."), refusal.message
        assert given == "empty" or not is_optional(spec, name) or "must be filled" in str(refusal.fields)
        return
    assert given == "empty" or is_optional(spec, name)
    nothing: tuple[Any, ...] = ("", None, (), [], {}, False)
    assert value_in(record_of(made), name) in nothing
    [fact] = [fact for fact in facts if REGISTRY.is_public_event(type(fact)) and value_in(fact, name) is not ...]
    assert value_in(fact, name) in nothing
    event = REGISTRY.event_of(type(fact))
    schema_of_event(event.name).validate(json.loads(encode(fact)))
    assert decode(type(fact), encode(fact)) == fact
    for view in Catalogue.read().views():
        row = {item.name for item in fields(view.row)}
        if type(fact) in view.handlers and name in row:
            public = [known for known in made.kit.facts() if type(known) in view.handlers]
            shown = documents(view, public)[str(stored(made.id))].get(name)
            assert shown in nothing, f"{view.name}.{name} shows {shown!r}"
