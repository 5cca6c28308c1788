"""Mappings that branch: a branch costs what it changes, not what it holds.

A consumer works out a batch on a branch of its progress and throws it away when the batch fails.  With 200,000 records
set aside a copy for each batch would take longer than the batch.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Iterator, Mapping, MutableMapping
from threading import Lock
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
GONE: Any = object()


class Layered(MutableMapping[K, V]):
    """A mapping of which `branch` makes another one; what either changes afterwards the other does not see.

    `settle` makes what a branch has changed part of what all share, so whatever it was branched from must be given up.
    """

    def __init__(self, held: Mapping[K, V]) -> None:
        self._base: dict[K, V] = dict(held)
        self.changes: dict[K, V] = {}
        """What was changed since it was branched: the new value of each, GONE for what was taken away."""
        self._size = len(self._base)

    def branch(self) -> "Layered[K, V]":
        made: Layered[K, V] = Layered({})
        made._base, made.changes, made._size = self._base, dict(self.changes), self._size
        return made

    def settle(self) -> None:
        for key, value in self.changes.items():
            if value is GONE:
                self._base.pop(key, None)
            else:
                self._base[key] = value
        self.changes = {}

    def __getitem__(self, key: K) -> V:
        found = self.changes[key] if key in self.changes else self._base[key]
        if found is GONE:
            raise KeyError(key)
        return found

    def __setitem__(self, key: K, value: V) -> None:
        self._size += key not in self
        self.changes[key] = value

    def __delitem__(self, key: K) -> None:
        if key not in self:
            raise KeyError(key)
        self._size -= 1
        self.changes[key] = GONE

    def __iter__(self) -> Iterator[K]:
        yield from (key for key in self._base if key not in self.changes)
        yield from (key for key, value in self.changes.items() if value is not GONE)

    def __len__(self) -> int:
        return self._size


class Queues(Generic[K]):
    """For each key the numbers that wait, smallest first; they come in ascending order.  Branches like `Layered`."""

    def __init__(self, waiting: Iterable[tuple[K, int]]) -> None:
        self._base: dict[K, OrderedDict[int, None]] = {}
        self._added: dict[K, dict[int, None]] = {}
        self._gone: dict[K, set[int]] = {}
        self._lock = Lock()  # a rebuild stores one batch while it reads the next
        for key, number in sorted(waiting, key=lambda one: one[1]):
            self._base.setdefault(key, OrderedDict())[number] = None

    def branch(self) -> "Queues[K]":
        made: Queues[K] = Queues(())
        made._base, made._lock = self._base, self._lock
        made._added = {key: dict(numbers) for key, numbers in self._added.items()}
        made._gone = {key: set(numbers) for key, numbers in self._gone.items()}
        return made

    def settle(self) -> None:
        with self._lock:
            for key, numbers in self._gone.items():
                queue = self._base.get(key, OrderedDict())
                for number in numbers:
                    queue.pop(number, None)
                if not queue:
                    self._base.pop(key, None)
            for key, added in self._added.items():
                self._base.setdefault(key, OrderedDict()).update(added)
            self._added, self._gone = {}, {}

    def add(self, key: K, number: int) -> None:
        self._added.setdefault(key, {})[number] = None

    def remove(self, key: K, number: int) -> None:
        if number in self._added.get(key, {}):
            del self._added[key][number]
        else:
            self._gone.setdefault(key, set()).add(number)

    def first(self, key: K) -> int | None:
        gone = self._gone.get(key, ())
        with self._lock:
            for number in self._base.get(key, ()):
                if number not in gone:
                    return number
        return next(iter(self._added.get(key, ())), None)
