"""What a command accepts, every event that repeats it holds: limits of commands and events, compared field by field.

The test kit checks each event of each test against the committed schemas besides (`chassis.testing.conformity`).
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from chassis.documents.json_schema import json_schema
from chassis.testing.conformity import violations
from contracts.declare import REGISTRY, CommandSpec
from contracts.records import KINDS, Kind

REGISTRY.load()
COMMANDS = [pytest.param(spec, id=spec.name) for _, spec in sorted(REGISTRY.commands.items())]


def limits(schema: dict[str, Any], parts: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Each field of a schema, with what bounds it; the items of a list are a field of their own."""
    if "anyOf" in schema:
        schema = next(one for one in schema["anyOf"] if one != {"type": "null"})
    if "$ref" in schema:
        schema = parts[schema["$ref"].rpartition("/")[2]]
    if "items" in schema:
        yield path, {"maxItems": schema.get("maxItems")}
        yield from limits(schema["items"], parts, f"{path}[]")
    elif "properties" in schema:
        for name, inner in schema["properties"].items():
            yield from limits(inner, parts, f"{path}.{name}" if path else name)
    else:
        yield path, schema


@cache
def bounds(cls: type) -> dict[str, list[dict[str, Any]]]:
    schema = json_schema(cls, "output")
    found: dict[str, list[dict[str, Any]]] = {}
    for path, field in limits(schema, schema.get("$defs", {})):
        unsealed = {name: value for name, value in field.items() if name != "maxLength" or "x-personal" not in field}
        found.setdefault(path, []).append(unsealed | field.get("x-personal", {}))
    return found


def narrower(event: dict[str, Any], command: dict[str, Any]) -> str | None:
    """In which way the event takes less than the command."""
    if ("enum" in command and "enum" not in event) or "format" in command:
        return None  # of a fixed form, shorter than any text
    if "maxProperties" in command:
        return None  # what is written of it is bounded where it is taken (`contracts.custom_fields`)
    if "pattern" in command and "maxLength" not in command and len(command["pattern"]) < (event.get("maxLength") or 0):
        return None  # phones, roles, currencies: their patterns bound them
    for name in ("maxLength", "maximum", "maxItems"):
        if event.get(name) is not None and (command.get(name) is None or command[name] > event[name]):
            return f"{name} {event[name]}, the command's {command.get(name)}"
    for name in ("minLength", "minimum"):
        no_bound = event.get(name) is None or (name, event[name]) == ("minLength", 0)
        if not no_bound and (command.get(name) is None or command[name] < event[name]):
            return f"{name} {event[name]}, the command's {command.get(name)}"
    if "pattern" in event and event["pattern"] != command.get("pattern") and "maxLength" not in event:
        return f"pattern {event['pattern']}, the command's {command.get('pattern')}"
    if "enum" in event and not set(command.get("enum", [None])) <= {*event["enum"], None}:
        return f"enum {event['enum']}, the command's {command.get('enum')}"
    return None


def kind_with(cls: type) -> Kind | None:
    """The kind of record whose command or event it is."""
    return next((kind for kind in KINDS.values() if cls in vars(kind).values()), None)


@pytest.mark.parametrize("spec", COMMANDS)
def test_an_event_takes_whatever_its_command_takes(spec: CommandSpec) -> None:
    """A field of the same name in an event of the same service, at the top or within one value of it.

    What a record of one kind is called may be another thing than what one of another kind is, or than what is called
    so of what is no kind.
    """
    problems = []
    taken, of_kind = bounds(spec.cls), kind_with(spec.cls)
    for event in REGISTRY.events.values():
        others = kind_with(event.cls) not in (None, of_kind) and event.key != spec.key
        if event.service != spec.service or others:
            continue
        for path, fields in bounds(event.cls).items():
            for own, given in taken.items():
                if path == own or path.partition(".")[2] == own:
                    problems += [
                        f"{event.name} {path}: {why}" for f in fields for g in given if (why := narrower(f, g))
                    ]
    assert problems == []


def test_a_violation_is_seen() -> None:
    class Event:
        type = "salestream.orders.order-completed.v1"
        data = b'{"order_id":"7"}'

    assert violations([Event()]) == ["salestream.orders.order-completed.v1: order_id: '7' is not a 'uuid'"]
