"""Before and after: what an entry changed, worked out from the event-sourced history when somebody opens it."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import msgspec

from chassis.model.aggregates import Aggregate
from chassis.store.event_store import EventStore

MOST_EVENTS = 5_000  # of one record that are read for one entry; of a longer one only the versions are told
Document = dict[str, Any]


def told(store: EventStore, changes: Iterable[Document]) -> list[Document]:
    """These changes (id, before_version, after_version) with the record's kind and its fields before and after.

    Only fields that differ are told, and none that an aggregate keeps `secret`.
    """
    return [{**change, **_difference(store, change)} for change in changes]


def _difference(store: EventStore, change: Document) -> Document:
    id, first, last = UUID(change["id"]), change["before_version"], change["after_version"]
    if last > MOST_EVENTS:
        return {}
    facts = list(zip(store.facts(id), range(last), strict=False))
    cls = _kind_of([type(fact) for fact, _ in facts])
    if cls is None or len(facts) < last:
        return {}
    aggregate = cls(id=id)
    before: Document = {}
    for fact, version in facts:
        if version == first:
            before = _shown(aggregate)
        aggregate.apply(fact)
    after = _shown(aggregate)
    differing = [name for name, value in after.items() if first == 0 or before[name] != value]
    return {
        "kind": cls.__name__,
        "before": {name: before[name] for name in differing} if first else None,
        "after": {name: after[name] for name in differing},
    }


def _shown(aggregate: Aggregate) -> Document:
    state: Document = msgspec.json.decode(msgspec.json.encode(aggregate))
    return {name: value for name, value in state.items() if name not in ("id", "version", "shown", *aggregate.secret)}


def _kind_of(facts: Sequence[type]) -> type[Aggregate] | None:
    """The aggregate class whose stream these facts make."""
    return next((cls for cls in aggregates() if facts and set(facts) <= set(cls.appliers)), None)


def aggregates(cls: type[Aggregate] = Aggregate) -> list[type[Aggregate]]:
    """Every aggregate class that is loaded."""
    return [kind for own in cls.__subclasses__() for kind in (own, *aggregates(own))]
