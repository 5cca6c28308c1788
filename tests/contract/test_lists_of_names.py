"""What a list names it names once, in every command: a value by itself, a part by the field that tells it from others.

Which lists may repeat is told here by name, with the reason.
"""

from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import pytest
from marshmallow import fields

from chassis.documents.json_schema import json_schema
from chassis.documents.samples import sample
from contracts.declare import REGISTRY, CommandSpec
from contracts.errors import Refused
from contracts.schemas import load, schema_of, stands_once

MAY_REPEAT = {
    "lines": "a product may be on an order twice, at two prices",
    "accessories": "two cables are two",
    "receivers": "whoever is meant twice is told once",
    "apps": "a phone reports what it has; two apps may have one name",
}
COMMANDS = [spec for spec in REGISTRY.load().commands.values() if spec.is_public]


def lists(cls: type) -> Iterator[tuple[str, fields.Field[Any], type | None]]:
    """The lists of a command: name, what an item is, and the class of a part."""
    hints = get_type_hints(cls)
    for name, field in schema_of(cls).fields.items():
        if isinstance(field, fields.List):
            several = next(one for one in (hints[name], *get_args(hints[name])) if Ellipsis in get_args(one))
            item = get_args(several)[0]
            yield name, field.inner, item if isinstance(field.inner, fields.Nested) else None


LISTS = [pytest.param(spec, *one, id=f"{spec.name}.{one[0]}") for spec in COMMANDS for one in lists(spec.cls)]


def refusal(spec: CommandSpec, body: dict[str, Any]) -> Refused | None:
    try:
        load(spec.cls, body)
    except Refused as refused:
        return refused
    return None


@pytest.mark.parametrize(("spec", "name", "item", "part"), LISTS)
def test_what_a_list_names_it_names_once(spec: CommandSpec, name: str, item: Any, part: type | None) -> None:
    good = sample(spec.cls)
    one = good[name][0]
    told_by = getattr(part, "told_apart_by", "")
    refused = refusal(spec, {**good, name: [one, one]})
    if name in MAY_REPEAT:
        assert not stands_once(item) and not told_by
        assert refused is None
        return
    assert stands_once(item) or told_by, f"say by what {name} are told apart, or that they may repeat"
    assert refused is not None and refused.field == (f"{name}.1.{told_by}" if told_by else f"{name}.1")
    assert "already" in refused.message
    published = json_schema(spec.cls, "input")["properties"][name]
    assert part or "'uniqueItems': True" in str(published)


def test_INV_05_a_trait_is_the_same_however_it_is_written() -> None:
    spec = REGISTRY.commands["EditProduct"]
    for first, second in (("Colour", "colour "), ("Ｃolour", "Colour"), ("Cafe\u0301", "Café")):
        traits = [{"name": first, "value": "red"}, {"name": second, "value": "blue"}]
        refused = refusal(spec, {**sample(spec.cls), "traits": traits})
        assert refused is not None and refused.field == "traits.1.name"
    both = [{"name": "Colour", "value": "red"}, {"name": "Size", "value": "red"}]
    assert refusal(spec, {**sample(spec.cls), "traits": both}) is None


def test_CUS_01_a_tag_is_the_same_however_it_is_written() -> None:
    spec = REGISTRY.commands["CreateCustomer"]
    refused = refusal(spec, {**sample(spec.cls), "tags": ["VIP", "new", "vip"]})
    assert refused is not None and refused.field == "tags.2"
