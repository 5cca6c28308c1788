"""Waiting for what a call of a library brings, by a clock that nobody sets."""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

T = TypeVar("T")

GRACE_SECONDS = 1.0


class Overdue(Exception):
    """The call is not back although its time is over."""


class Waiter(Generic[T]):
    """Makes the calls of one library object that wait, in a thread of its own, and one at a time.

    librdkafka waits until a moment of the wall clock: where that clock is set back meanwhile, a wait of 0.1 s lasts an
    hour, unless something comes.  Whoever waits here learns of it.
    """

    def __init__(self, call: Callable[[float], T | None], name: str) -> None:
        self._call = call
        self._orders: SimpleQueue[float | None] = SimpleQueue()
        self._answers: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()
        self._name = name
        self._thread: Thread | None = None

    def wait(self, seconds: float) -> T | None:
        """What the call brings within this time, as soon as it does, or None.

        Raises what the call raised, and Overdue: the thread is then still in the call, and this waiter is of no more
        use.
        """
        if self._thread is None:
            self._thread = Thread(target=self._serve, name=self._name, daemon=True)
            self._thread.start()
        self._orders.put(seconds)
        try:
            found, error = self._answer(seconds + GRACE_SECONDS)
        except Empty:
            # Where the whole process stood still, its time is over too: the thread gets a moment of its own.
            try:
                found, error = self._answer(GRACE_SECONDS)
            except Empty:
                raise Overdue(f"{self._name}: a wait of {seconds:.1f} s is not over") from None
        if error is not None:
            raise error
        return found

    def _answer(self, seconds: float) -> tuple[T | None, BaseException | None]:
        return self._answers.get(timeout=seconds)

    def end(self) -> None:
        """Make no more calls."""
        self._orders.put(None)

    def _serve(self) -> None:
        while (seconds := self._orders.get()) is not None:
            try:
                self._answers.put((self._call(seconds), None))
            except BaseException as error:  # for whoever waits
                self._answers.put((None, error))
