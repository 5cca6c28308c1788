"""Whether what serves still serves: each loop and writer says what is wrong with it, /readyz collects that.

    self._pulse = Pulse(clock=clock)
    ...
    self._pulse.beat()          # a step is done, with or without work
    self._pulse.fails(error)    # a step failed and will be tried again
    def problem(self): return self._pulse.problem()

A thread that serves either survives everything or ends its process, so that a supervisor starts it again: `Serving`.
"""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

import structlog

log = structlog.get_logger()

STANDS_SECONDS = 15.0
"""Without any progress for so long, something stands: longer than a server takes to elect another leader."""


class Watched(Protocol):
    """Something that serves: a writer, a relay, a consumer, a saga."""

    def problem(self) -> str | None:
        """What keeps it from serving at this moment, for an operator; None when nothing does."""


class Loop(Watched, Protocol):
    """Something that serves in a thread of its own until `stop` is set."""

    def run(self, stop: threading.Event) -> None: ...


class Pulse:
    """When a loop got on last, and what has kept it since."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, patience: float = STANDS_SECONDS) -> None:
        self._clock = clock
        self._patience = patience
        self._moved_at = clock()
        self._error = ""

    def beat(self) -> None:
        """It got on: a step is done, or there was nothing to do."""
        self._moved_at = self._clock()
        self._error = ""

    def fails(self, error: BaseException) -> None:
        """A step failed; it will be tried again."""
        self._error = repr(error)

    def problem(self) -> str | None:
        stood = self._clock() - self._moved_at
        if stood <= self._patience:
            return None
        return f"no progress for {stood:.0f} s: {self._error or 'a step does not end'}"


class Serving:
    """A thread that serves.  One that ends although nobody has asked it to is told to `failed` by its name."""

    def __init__(self, name: str, serve: Callable[[], None], failed: Callable[[str], None]) -> None:
        self.name = name
        self._serve = serve
        self._failed = failed
        self._ended = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self, timeout: float | None = None) -> None:
        self._thread.join(timeout)

    def problem(self) -> str | None:
        return "its thread has ended" if self._ended else None

    def _run(self) -> None:
        try:
            self._serve()
        except BaseException:
            log.exception("thread failed", thread=self.name)
            self._failed(self.name)
        finally:
            self._ended = True


def problems_of(watched: Mapping[str, Watched]) -> dict[str, str]:
    """Who can't serve at this moment, by name, with the reason.  Asking never fails: a failure is an answer too."""
    found: dict[str, str] = {}
    for name, one in watched.items():
        try:
            problem = one.problem()
        except Exception as error:
            problem = repr(error)
        if problem is not None:
            found[name] = problem
    return found
