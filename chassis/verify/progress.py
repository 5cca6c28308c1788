"""How far a verification is: a line every few seconds with what it does, how much of it is done, and since when."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

TELL_EVERY_SECONDS = 3.0


class ProgressBar:
    """Tells of one thing after another on `out` (standard error): its begin, how far it is, its end."""

    def __init__(self, out: TextIO | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out or sys.stderr
        self._clock = clock
        self._began = clock()

    @contextmanager
    def bar(self, name: str, total: int) -> Iterator["Counter"]:
        """Count `total` (0: nobody knows how many) of what has this name."""
        counter = Counter(self, name, total)
        counter.tell()
        yield counter
        counter.finish()

    def now(self) -> float:
        return self._clock()

    def line(self, text: str) -> None:
        print(f"{self._clock() - self._began:6.0f} s  {text}", file=self._out, flush=True)


class Counter:
    """How many of something are done."""

    def __init__(self, progress: ProgressBar, name: str, total: int) -> None:
        self._progress = progress
        self._name = name
        self._total = total
        self._done = 0
        self._told_at = progress.now()

    def update(self, n: float | None = 1) -> None:
        """So many more are done."""
        self._done += int(n or 0)
        if self._progress.now() - self._told_at >= TELL_EVERY_SECONDS:
            self.tell()

    def finish(self) -> None:
        """All of it is done, also what was passed over: of events that nobody has to look at none is counted."""
        self._done = max(self._done, self._total)
        self.tell()

    def tell(self) -> None:
        self._told_at = self._progress.now()
        total = max(self._total, self._done) if self._total else 0  # a log may have grown since it was counted
        of = f" of {total:,} ({self._done * 100 // total} %)" if total else ""
        self._progress.line(f"{self._name}: {self._done:,}{of}")
