"""What wakes the keepers of a process before their time: a plan, a switch, or another zone of the company."""

import threading
from collections.abc import Callable, Collection, Iterable
from typing import Any, Protocol

from chassis.access.directory import Directory
from chassis.store.event_store import EventStore
from chassis.store.events import Notification
from contracts.schedules import SCHEDULES


class Bell(Protocol):
    """Something to wait for, a `threading.Event` as a rule."""

    def wait(self, timeout: float | None = None) -> bool: ...

    def clear(self) -> None: ...

    def set(self) -> None: ...


class Rings:
    """A writer's listener in front of the directory, which all writers of a process share."""

    def __init__(self, directory: Directory, new_bell: Callable[[], Bell] = threading.Event) -> None:
        self._directory = directory
        self._new_bell = new_bell
        self._bells: list[Bell] = []
        self._about = {event for one in SCHEDULES.values() for event in one.events}
        self._zone = directory.company.zone.key

    def bell(self) -> Bell:
        """A bell for one keeper."""
        self._bells.append(self._new_bell())
        return self._bells[-1]

    def ring(self) -> None:
        for bell in self._bells:
            bell.set()

    def tell(self, facts: Iterable[Any]) -> None:
        told = list(facts)
        self._directory.tell(told)
        if not self._about.isdisjoint(map(type, told)):
            self.ring()
        self._look_at_zone()

    def hear(self, events: Iterable[Notification]) -> None:
        self._directory.hear(events)
        self._look_at_zone()

    @property
    def replicas(self) -> Collection[str]:
        return self._directory.replicas

    def load(self, store: EventStore) -> None:
        self._directory.load(store)
        self._look_at_zone()

    def _look_at_zone(self) -> None:
        zone = self._directory.company.zone.key
        if zone != self._zone:
            self._zone = zone
            self.ring()
