"""Events made from their contracts: any event of any type, and whole histories in which their records meet."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache, partial
from random import Random
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import msgspec

from chassis.documents.json_schema import JsonSchema, json_schema
from chassis.messaging.kafka import partition_of
from chassis.messaging.records import Incoming
from contracts.declare import REGISTRY
from contracts.records import KINDS
from contracts.schemas import decode, encode

PARTITIONS = 3
FIRST_DAY = datetime(2026, 3, 2, 15, 59, tzinfo=UTC)
IDS = [str(uuid5(NAMESPACE_URL, f"salestream:history:{number}")) for number in range(4)]
"""So few that every record meets every other one: an order's id may be a product's, too."""

Maker = Callable[[JsonSchema, str], Any]


@cache
def ids_of(name: str) -> list[str]:
    """The ids that a field of this name may have: a record that tells of a person has none that a user has."""
    told = {kind.key for kind in KINDS.values() if any(field.is_personal for field in kind.fields.values())}
    return [str(uuid5(NAMESPACE_URL, f"{name}:{id}")) for id in IDS] if name in told else IDS


schema_of = cache(partial(json_schema, form="output"))


def event_of(cls: type, value: Maker, items: Callable[[JsonSchema], int]) -> Any:
    """An event with every field filled: of its schema and the field's name `value` makes what is no part itself.

    `items` says how long a list is.
    """
    schema = schema_of(cls)
    parts: Mapping[str, JsonSchema] = schema.get("$defs", {})

    def made(part: JsonSchema, field: str) -> Any:
        if "anyOf" in part:
            return made(part["anyOf"][0], field)
        if "$ref" in part:
            return made(parts[part["$ref"].rpartition("/")[2]], field)
        if part.get("type") == "object":
            return {name: made(inner, name) for name, inner in part["properties"].items()}
        if part.get("type") == "array":
            return [made(part["items"], field) for _ in range(items(part))]
        if isinstance(part["type"], list):  # what may be null is something
            part = {**part, "type": part["type"][0]}
        return value(part, field)

    return decode(cls, msgspec.json.encode(made(schema, "")))


def random_event(cls: type, random: Random) -> Any:
    """An event as it might be, of few different values."""

    def value(part: JsonSchema, field: str) -> Any:
        if "enum" in part:
            return random.choice(part["enum"])
        kind = part.get("format", part["type"])
        match kind:
            case "uuid":
                return random.choice(ids_of(field))
            case "date":
                return (date(2026, 3, 1) + timedelta(days=random.randrange(3))).isoformat()
            case "date-time":
                return (FIRST_DAY + timedelta(hours=random.randrange(50))).isoformat()
            case "integer":
                return random.randint(max(part.get("minimum", 0), -9), 9)
            case "boolean":
                return random.random() < 0.5
            case "decimal":
                # With the decimals of their currency, as money is.  Of others MongoDB makes 0.00 - 1 = -1, we -1.00.
                return random.choice(("1.00", "2.50", "7.25", "30.00"))
        return random.choice(part.get("examples", ()) or ("a", "b", "c"))

    fact = event_of(cls, value, lambda _: random.randint(1, 2))
    spec = REGISTRY.event_of(cls)
    if isinstance(name := getattr(fact, spec.key), str):  # settings and the like are named by their service
        return replace(fact, **{spec.key: f"{spec.service} {name}"})
    return fact


def largest_event(cls: type) -> Any:
    """An event whose texts are as long as its contract allows, each character of four bytes."""

    def value(part: JsonSchema, field: str) -> Any:
        if "enum" in part:
            return max(part["enum"], key=lambda choice: len(str(choice)))
        match part.get("format", part["type"]):
            case "uuid":
                return ids_of(field)[0]
            case "date":
                return "2026-03-02"
            case "date-time":
                return "2026-03-02T01:00:00Z"
            case "integer":
                return part.get("maximum", 1)
            case "boolean":
                return True
        return part["examples"][0] if part.get("examples") else "\U00020000" * part["maxLength"]

    return event_of(cls, value, lambda part: part["maxItems"] if "enum" in part["items"] else 1)


def history(classes: Iterable[type], length: int, random: Random) -> dict[str, list[Incoming]]:
    """Per partition the records of a random history, as the relays publish it: each service's log in its order.

    Each of the classes happens at least once, where it is as long as that.
    """
    kinds = sorted(classes, key=lambda cls: cls.__name__)
    positions: Counter[str] = Counter()
    versions: Counter[tuple[str, str]] = Counter()
    found: dict[str, list[Incoming]] = defaultdict(list)
    happens = [*kinds, *random.choices(kinds, k=max(length - len(kinds), 0))]
    for number, kind in enumerate(random.sample(happens, length)):
        fact = random_event(kind, random)
        spec = REGISTRY.event_of(type(fact))
        key = str(getattr(fact, spec.key))
        positions[spec.topic] += random.randint(1, 3)  # internal events lie between
        versions[spec.topic, key] += 1
        source = f"{spec.topic}:{partition_of(key, PARTITIONS)}"
        at = FIRST_DAY + timedelta(minutes=7 * number + random.randint(-99, 99))  # by clocks that are wrong
        found[source].append(
            Incoming(
                source=source,
                topic=spec.topic,
                offset=len(found[source]),
                key=key,
                type=spec.name,
                id=f"{key}/{versions[spec.topic, key]}",
                position=positions[spec.topic],
                at=at,
                value=encode(fact),
                headers={},
                raw_headers=(),
                fact=fact,
            )
        )
    return found


def interleaved(sources: Mapping[str, Sequence[Incoming]], random: Random) -> list[list[Incoming]]:
    """The records in batches as a consumer may get them: each partition in its order, one before or after another."""
    left = {source: list(records) for source, records in sorted(sources.items())}
    batches = []
    while left:
        source = random.choice(list(left))
        size = random.choice((1, 1, 5, 1_000))
        batches.append(left[source][:size])
        del left[source][:size]
        if not left[source]:
            del left[source]
    return batches
