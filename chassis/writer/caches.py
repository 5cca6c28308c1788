"""What a writer keeps in memory: aggregates and replica rows."""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, TypeVar, cast
from uuid import UUID

from chassis.model.aggregates import Aggregate
from chassis.model.service import Replica
from chassis.store.event_store import EventStore
from contracts.personal import person_named
from contracts.schemas import decode

R = TypeVar("R")
CACHE_SIZE = 5_000
ROWS = 10_000


class AggregateCache:
    """The aggregates used last, as they are in the store, and ids known to name none of a kind."""

    def __init__(self, size: int = CACHE_SIZE) -> None:
        self._size = size
        self._held: OrderedDict[UUID, Aggregate] = OrderedDict()
        self._absent: dict[UUID, set[type]] = {}

    def note_absent(self, cls: type, id: UUID) -> None:
        if len(self._absent) >= self._size:
            self._absent.clear()
        self._absent.setdefault(id, set()).add(cls)

    def is_absent(self, cls: type, id: UUID) -> bool:
        return cls in self._absent.get(id, ())

    def clear(self) -> None:
        self._held.clear()
        self._absent.clear()

    def get(self, id: UUID) -> Aggregate | None:
        found = self._held.get(id)
        if found is not None:
            self._held.move_to_end(id)
        return found

    def put(self, aggregate: Aggregate) -> None:
        self._absent.pop(aggregate.id, None)
        self._held[aggregate.id] = aggregate
        self._held.move_to_end(aggregate.id)
        if len(self._held) > self._size:
            self._held.popitem(last=False)

    def evict(self, ids: Iterable[UUID]) -> None:
        for id in ids:
            self._held.pop(id, None)
            self._absent.pop(id, None)


class RowCache:
    """Replica rows used last, decoded (None: known to be absent).  The writer keeps it as fresh as the store."""

    def __init__(self, store: EventStore, size: int = ROWS) -> None:
        self._store = store
        self._size = size
        self._held: dict[tuple[str, str], Any] = {}

    def get(self, replica: Replica[R], key: str) -> R | None:
        place = (replica.name, key)
        if place in self._held:
            return cast("R | None", self._held[place])
        body = self._store.row(replica.name, key)
        row = None if body is None else decode(replica.row, body, person_named(key))
        if len(self._held) >= self._size:
            self._held.clear()
        self._held[place] = row
        return row

    def evict(self, places: Iterable[tuple[str, str]]) -> None:
        for place in places:
            self._held.pop(place, None)

    def clear(self) -> None:
        self._held.clear()
