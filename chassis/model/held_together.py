"""Which records may have what no two have together, and hold no index of it: they were entered before it was declared.

An index is held from the next change of a record on (`chassis.model.unique`).  What stood there before is known by a
replica of the service's own events, which is filled from event one by itself (CUS-22, ADR 0063).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from chassis.model.records import is_filled
from chassis.model.unique import UniqueIndex
from contracts.records import Kind


@dataclass(frozen=True)
class HadTogether:
    """A record that has had certain texts together: it says itself what it has now."""

    record: UUID


def had_in(kind: Kind) -> Callable[[HadTogether | None, Any], HadTogether]:
    """What an event of a kind tells."""
    return lambda _, fact: HadTogether(getattr(fact, kind.key))


def places_in(kind: Kind) -> Callable[[Any], Sequence[str]]:
    """Under which keys that stands: the ids of the index of those texts, each with the record's."""

    def places(fact: Any) -> list[str]:
        data, record = kind.layout.read(fact), getattr(fact, kind.key)
        texts = [getattr(data, name) for name in kind.together]
        if not all(map(is_filled, texts)):
            return []
        return [f"{place_of_index(id)}{record}" for id in UniqueIndex.of_text(kind.index, *texts).taken]

    return places


def place_of_index(id: UUID) -> str:
    """With what the keys of those begin that have had the texts of an index."""
    return f"{id}:"
