"""Golden samples: one example for each published version of an event, made once and never changed."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from chassis.documents.json_schema import JsonSchema, json_schema


def sample(cls: type) -> dict[str, Any]:
    """A contract as JSON with every field filled, always the same."""
    schema = json_schema(cls, "output")
    made: dict[str, Any] = _sample_of("", schema, schema.get("$defs", {}))
    return made


def _sample_of(name: str, schema: JsonSchema, parts: Mapping[str, JsonSchema]) -> Any:
    if "anyOf" in schema:
        return _sample_of(name, schema["anyOf"][0], parts)
    if "$ref" in schema:
        return _sample_of(name, parts[schema["$ref"].rpartition("/")[2]], parts)
    if choices := schema.get("enum") or schema.get("examples"):
        return choices[0]
    kind = schema["type"] if isinstance(schema["type"], str) else schema["type"][0]
    kind = schema.get("format", kind)
    if kind == "object":
        return {inner: _sample_of(inner, part, parts) for inner, part in schema["properties"].items()}
    if kind == "array":
        return [_sample_of(name, schema["items"], parts)]
    return SAMPLES[kind](name)


SAMPLES: dict[str, Callable[[str], Any]] = {
    "string": lambda name: f"some {name.replace('_', ' ')}",
    "uuid": lambda name: str(uuid5(NAMESPACE_URL, f"salestream:sample:{name}")),
    "date": lambda _: "2026-03-02",
    "date-time": lambda _: "2026-03-02T01:00:00Z",
    "integer": lambda _: 3,
    "boolean": lambda _: True,
}
