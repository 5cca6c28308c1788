"""What a list of facts gives in a view, and which documents a condition selects."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from chassis.model.changes import EventMetadata
from chassis.model.views import View
from chassis.projections.documents import changed, stored
from contracts.declare import REGISTRY


def documents(view: View, facts: Iterable[Any], *, at: datetime | None = None) -> dict[str, dict[str, Any]]:
    """The documents a list of facts gives in a view, by key; each fact is version n of its own record."""
    moment = at or datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
    found: dict[str, dict[str, Any]] = {}
    versions: Counter[str] = Counter()
    for position, fact in enumerate(facts, start=1):
        spec = REGISTRY.event_of(type(fact))
        key = str(getattr(fact, spec.key))
        versions[key] += 1
        info = EventMetadata(f"{key}/{versions[key]}", spec.name, moment, f"{spec.topic}:0", position, "")
        handler = view.handlers.get(type(fact))
        for change in handler(fact, info) if handler else ():
            name = str(stored(change.key))
            document = changed(found.pop(name, None), change, info)
            if document is not None:
                found[name] = document
    return {name: stored(document) for name, document in found.items()}


def matches(document: Mapping[str, Any], condition: Mapping[str, Any]) -> bool:
    """Whether MongoDB would find a document by a condition of the kinds that scopes are made of."""
    return all(_holds(document, name, asked) for name, asked in condition.items())


def _holds(document: Mapping[str, Any], name: str, asked: Any) -> bool:
    if name.startswith("$"):
        parts = [matches(document, part) for part in asked]
        return {"$and": all(parts), "$or": any(parts), "$nor": not any(parts)}[name]
    found = _values(document, name.split("."))
    if not isinstance(asked, Mapping):
        return asked in found
    return all(_compares(how, value, found) for how, value in asked.items())


def _compares(how: str, value: Any, found: list[Any]) -> bool:
    match how:
        case "$in":
            return any(one in value for one in found)
        case "$nin":
            return not any(one in value for one in found)
        case "$regex":
            return any(isinstance(one, str) and re.search(value, one) for one in found)
    raise ValueError(f"scopes know no {how}")


def _values(value: Any, path: list[str]) -> list[Any]:
    """What stands at a path: what is in a list stands there one by one."""
    if isinstance(value, list):
        return [found for one in value for found in _values(one, path)]
    if not path:
        return [value]
    return _values(value.get(path[0]), path[1:]) if isinstance(value, Mapping) else [None]
