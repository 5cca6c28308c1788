"""Whoever reads an answer knows what to expect: no object without fields, no field without a type (UIX-08)."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from test_view_rows import VIEWS, written

from chassis.documents import collect, openapi
from chassis.documents.query_docs import row_schema
from chassis.model.context import ALONE, NOBODYS
from chassis.model.deciding import Caller
from chassis.model.views import CALLER, COMPANY_CURRENCY, View
from chassis.projections.documents import stored
from chassis.queries.rows import plain
from contracts.declare import REGISTRY

SAYS = ("$ref", "type", "enum", "const", "anyOf", "allOf", "oneOf")
NOBODY = Caller(None, (), lambda _: NOBODYS, ALONE)


def answers() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The schemas of all that is answered, by where they stand; what several answers have in common once."""
    document = yaml.safe_load(yaml.safe_dump(openapi(REGISTRY.load(), collect()[0])))
    asked, seen = list[tuple[str, Any]](), set[str]()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            for status, response in operation.get("responses", {}).items() if method != "parameters" else ():
                content = resolved(document, response).get("content", {})
                asked += [(f"{method} {path} {status}", one["schema"]) for one in content.values() if "schema" in one]
    while asked:
        where, schema = asked.pop()
        if name := schema.get("$ref"):
            if name not in seen:
                seen.add(name)
                asked.append((name.rpartition("/")[2], resolved(document, schema)))
            continue
        yield where, schema
        asked += [(f"{where}.{name}", inner) for name, inner in schema.get("properties", {}).items()]
        asked += [(f"{where}[]", schema["items"])] if "items" in schema else []
        about = {"type": schema["type"]} if "type" in schema else {}
        asked += [(where, {**about, **inner}) for how in ("anyOf", "allOf", "oneOf") for inner in schema.get(how, ())]
        more = schema.get("additionalProperties")
        asked += [(f"{where}.*", more)] if isinstance(more, dict) and more else []


def resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in schema:
        return schema
    found: Any = document
    for part in schema["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return dict(found)


def test_every_field_of_an_answer_has_a_type_and_every_object_its_fields() -> None:
    """What may hold anything says so (`additionalProperties`)."""
    untold = set()
    for where, schema in answers():
        types = schema.get("type", ())
        types = [types] if isinstance(types, str) else types
        is_any = len(types) == 6  # of the type that another field of the answer names
        if not any(name in schema for name in SAYS):
            untold.add(f"{where}: no type")
        if "object" in types and not is_any and not {"properties", "additionalProperties", "anyOf"} & set(schema):
            untold.add(f"{where}: an object of what?")
        if "array" in types and not is_any and "items" not in schema:
            untold.add(f"{where}: a list of what?")
    assert not untold


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_what_a_view_holds_is_what_is_published(view: View) -> None:
    """Of every event that a view reads, with all that is worked out of it."""
    properties = row_schema(view.row)["properties"]
    for event, document in written(view):
        read = {**dict.fromkeys(view.types), **document, COMPANY_CURRENCY: "CNY", CALLER: NOBODY}
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
