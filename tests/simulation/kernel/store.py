"""The recorder of an event store that survives its processes, fails now and then, and is where processes die."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from eventsourcing.persistence import IntegrityError, Notification, OperationalError, StoredEvent

from chassis.store.memory import MemoryRecorder
from chassis.store.transaction import CommandResult

from .scheduler import Process, Scheduler


class Disk(MemoryRecorder):
    """`MemoryRecorder` behind a connection: each write is all or nothing, but who asked may never hear of it."""

    def __init__(self, name: str, scheduler: Scheduler) -> None:
        super().__init__()
        self._name = name
        self._scheduler = scheduler
        self._wavers = False  # whether it will go away once more when it is asked what the commit has left
        self.locks: dict[Lock, str] = {}
        scheduler.on_death.append(self._unlock)

    def _unlock(self, dead: Process) -> None:
        self.locks = {lock: how for lock, how in self.locks.items() if lock.process is not dead}

    # -- writing

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        detail = f"{self._name} {len(stored_events)} events"
        self._before("before append", detail)
        positions = super().insert_events(stored_events, **kwargs)
        self._scheduler.note(f"appended {self._name} {list(positions or ())} {kwargs['more'].positions}")
        self._after("after append", detail)
        if self._scheduler.chance(self._scheduler.faults.store_error / 2):
            self._scheduler.note("the reply to COMMIT is lost, the library repeats it")
            self._wavers = self._scheduler.chance(0.5)
            raise IntegrityError("already recorded, by this very transaction")
        return positions

    def set_position(self, name: str, position: int) -> None:
        detail = f"{self._name} {name} {position}"
        self._before("before saving a position", detail)
        super().set_position(name, position)
        self._after("after saving a position", detail)

    def set_position_while(self, name: str, position: int, other: str, expected: int) -> bool:
        detail = f"{self._name} {name} {position} while {other} is {expected}"
        self._before("before saving a position", detail)
        saved = super().set_position_while(name, position, other, expected)
        self._after("after saving a position", detail)
        return saved

    # -- reading

    def select_events(self, originator_id: UUID | str, **kwargs: Any) -> Sequence[StoredEvent]:
        self._read()
        return super().select_events(originator_id, **kwargs)

    def select_notifications(self, start: int | None, limit: int, *args: Any, **kwargs: Any) -> Sequence[Notification]:
        self._read()
        return super().select_notifications(start, limit, *args, **kwargs)

    def results_of(self, command_ids: Sequence[str]) -> list[CommandResult]:
        self._read()
        return super().results_of(command_ids)

    def position_of(self, aggregate_id: UUID, version: int) -> int | None:
        if self._wavers:
            self._wavers = False
            raise OperationalError("the store went away again")
        return super().position_of(aggregate_id, version)

    def row(self, replica: str, key: str) -> bytes | None:
        self._read()
        return super().row(replica, key)

    # -- what goes wrong

    def _before(self, point: str, detail: str) -> None:
        self._scheduler.point(point, detail)
        if self._scheduler.chance(self._scheduler.faults.store_error):
            self._scheduler.note("the store is away")
            raise OperationalError("the store is away")

    def _after(self, point: str, detail: str) -> None:
        self._scheduler.point(point, detail)
        if self._scheduler.chance(self._scheduler.faults.store_error):
            self._scheduler.note("the store has done it, but went away")
            raise OperationalError("the connection was lost")

    def _read(self) -> None:
        if self._scheduler.chance(0.1):
            self._scheduler.point("reading a store", self._name)
            if self._scheduler.chance(self._scheduler.faults.store_error):
                raise OperationalError("the store is away")


class Lock:
    """The publishing lock of a disk (`chassis.store.publishing_lock`) as a process holds it; it ends with that."""

    unnoticed = 0.0

    def __init__(self, disk: Disk, process: Process) -> None:
        self._disk = disk
        self.process = process

    def share(self) -> bool:
        return self._hold("shared", {"shared"})

    def take(self) -> bool:
        return self._hold("alone", set())

    def _hold(self, how: str, beside: set[str]) -> bool:
        if {held for lock, held in self._disk.locks.items() if lock is not self} - beside:
            return False
        self._disk.locks[self] = how
        return True

    def is_held(self) -> bool:
        return self in self._disk.locks

    def release(self) -> None:
        self._disk.locks.pop(self, None)


class Bell:
    """The bell of a disk (`chassis.store.doorbell`): whoever waits for it wakes when something is stored, or late."""

    def __init__(self, disk: Disk, process: Process) -> None:
        self._disk = disk
        self._process = process

    def ring(self) -> None:
        """Who listens looks at the disk itself."""

    def listen(self) -> Callable[[float], None]:
        def wait(seconds: float) -> None:
            scheduler, seen = self._process.scheduler, self._disk.max_notification_id()
            hears = not scheduler.chance(0.1)  # a ring may be lost
            lateness = scheduler.random.choice((1, 5, 50))
            scheduler.wait(
                seconds * lateness,
                lambda: self._process.stopping or (hears and self._disk.max_notification_id() != seen),
            )

        return wait
