"""What services do from time to time with the files that they keep: `services/<name>/upkeep.py` says it."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from chassis.catalogue import Catalogue
from chassis.files.opening import incoming, open_files
from chassis.files.receiving import sweep_incoming
from chassis.foundation.config import Config
from chassis.foundation.health import Pulse
from chassis.store.event_store import EventStore
from chassis.store.opening import existing_store

log = structlog.get_logger()

HALF_RECEIVED = 86_400.0
"""Seconds after which what is still being received is left over from a process that was killed."""
LOOK_SECONDS = 5.0


def sweep_files(config: Config, catalogue: Catalogue, store: Callable[[str], EventStore]) -> int:
    """Let each service delete the files that nobody needs any more; returns how many.

    Files that can't be reached now raise OSError: the next time will do.
    """
    found = sweep_incoming(incoming(config), HALF_RECEIVED)
    for name, module in catalogue.modules("upkeep"):
        found += module.sweep(store(name), open_files(config), datetime.now(UTC))
    return found


def sweep_here(config: Config) -> int:
    """The same for all services, by the command line."""
    opened: list[EventStore] = []

    def store(name: str) -> EventStore:
        opened.append(existing_store(name, config))
        return opened[-1]

    try:
        return sweep_files(config, Catalogue.read(), store)
    finally:
        for one in opened:
            one.close()


class Upkeep:
    """Sweeps files once in a while.  A time that fails is left out: nothing waits for it."""

    def __init__(self, config: Config, catalogue: Catalogue, store: Callable[[str], EventStore]) -> None:
        self._config, self._catalogue, self._store = config, catalogue, store
        self._pulse = Pulse()

    def run(self, stop: threading.Event) -> None:
        due = time.monotonic()
        while True:
            if time.monotonic() >= due:
                due = time.monotonic() + self._config.file_sweep_seconds
                self._sweep()
            self._pulse.beat()
            if stop.wait(LOOK_SECONDS):
                return

    def problem(self) -> str | None:
        return self._pulse.problem()

    def _sweep(self) -> None:
        try:
            if deleted := sweep_files(self._config, self._catalogue, self._store):
                log.info("files deleted that nobody needs", number=deleted)
        except Exception as error:
            log.exception("files were not swept", error=repr(error))
