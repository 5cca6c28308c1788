"""What a list of facts gives in a view."""

from collections import Counter
from collections.abc import Iterable
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
