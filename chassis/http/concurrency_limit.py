"""How many requests are served at once, and how long others wait for their turn."""

import re
import time
from collections.abc import Callable, Collection
from urllib.parse import unquote

import structlog

from chassis.foundation import metrics
from contracts.errors import Refused

log = structlog.get_logger()


READS = ("GET", "HEAD", "OPTIONS")
LEAST = 16
SHRINK = 0.7


class ConcurrencyLimit:
    """Lets requests in by method and path, or says why not, and counts commands while they are worked on.

    So many are let in as are answered within `longest` seconds, `most` at once: the limit sinks by a part when an
    answer took longer, once in that time, and rises by one with each that did not while half of it is used.
    Whatever reads only is let in and not counted, and so are the paths (with {fields}) in `always`.
    """

    def __init__(
        self,
        most: int,
        longest: float,
        always: Collection[str] = (),
        require_room: Callable[[], None] = lambda: None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._longest = longest
        self._always = re.compile("|".join(re.sub(r"{\w+}", "[^/]+", path) for path in always) or "(?!)")
        self._require_room = require_room
        self._clock = clock
        self._inside = 0
        self._limit = (most + 1) / 2
        self._shrunk_at = float("-inf")

    def counts(self, method: str, target: str) -> bool:
        """Whether a request is to `enter` and `leave`.  Raises Refused OVERLOADED when there is no room for it."""
        if method in READS or self._always.fullmatch(unquote(target.partition("?")[0])):
            return False
        try:
            self._require_room()
            if self._inside >= int(self._limit):
                raise Refused("system.too_many_requests")
        except Refused:
            metrics.TURNED_AWAY.inc()
            raise
        return True

    def enter(self) -> float:
        """Work on a request that counts begins; returns when."""
        self._inside += 1
        return self._clock()

    def leave(self, entered: float) -> None:
        """It has been answered."""
        now = self._clock()
        if now - entered > self._longest:
            if now - self._shrunk_at > self._longest:
                self._limit = max(min(LEAST, self._most), self._limit * SHRINK)
                self._shrunk_at = now
        elif self._inside > self._limit / 2:
            self._limit = min(self._most, self._limit + 1)
        self.wait_outside()

    def wait_outside(self) -> None:
        """It waits for its client: that says nothing of how long we take."""
        self._inside -= 1
