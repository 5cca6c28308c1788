"""Progress bars on a terminal; elsewhere a line every few seconds."""

import threading
import time
from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

LINE_SECONDS = 5.0


class Bars:
    """One bar for each thing that is counted; `totals` says how many there will be."""

    def __init__(self, console: Console, totals: Mapping[str, int]) -> None:
        self._console = console
        self._totals = dict(totals)
        self._done = dict.fromkeys(totals, 0)
        self._lock = threading.Lock()
        self._printed_at = time.monotonic()
        self._bars = Progress(
            TextColumn("{task.description:<10}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks = {name: self._bars.add_task(name, total=total) for name, total in totals.items()}

    def __enter__(self) -> "Bars":
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._bars.stop()
        if not self._console.is_terminal:
            self._line()

    def done(self, name: str) -> int:
        return self._done[name]

    def add(self, name: str, number: int) -> None:
        """So many more are done."""
        with self._lock:
            self._show(name, self._done[name] + number)

    def set(self, name: str, number: int) -> None:
        """So many are done by now."""
        with self._lock:
            self._show(name, number)

    def note(self, text: str) -> None:
        """Say something beside the bars."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _show(self, name: str, number: int) -> None:
        self._done[name] = number
        self._bars.update(self._tasks[name], completed=number)
        if not self._console.is_terminal and time.monotonic() - self._printed_at >= LINE_SECONDS:
            self._line()

    def _line(self) -> None:
        self._printed_at = time.monotonic()
        parts = [f"{name} {self._done[name]:,} of {total:,}" for name, total in self._totals.items()]
        self._console.print("   ".join(parts), highlight=False, soft_wrap=True)
