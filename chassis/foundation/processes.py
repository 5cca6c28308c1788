"""Work done by other processes beside this one: each has an interpreter, and so a core, of its own."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

from chassis.foundation.memory import settle_memory

P = ParamSpec("P")
T = TypeVar("T")
TELL_EVERY_SECONDS = 0.5
INTERRUPTS = {signal.SIGINT}


class CalledOff(Exception):
    """Who asked for the work waits for it no longer."""


class Beside:
    """What a process of the pool shares with the others and with the one that began it."""

    def __init__(self, context: Any) -> None:
        self._counting = context.Lock()
        self._passed = context.RawValue("q")  # read without the lock, which a process that was killed may still hold
        self._ends = context.RawValue("b")
        self.alone: AbstractContextManager[Any] = context.Lock()
        """Held by one process at a time."""

    def count(self, number: int) -> None:
        """So much more is done.  Raises CalledOff."""
        if self._ends.value:
            raise CalledOff
        with self._counting:
            self._passed.value += number

    @property
    def passed(self) -> int:
        return int(self._passed.value)

    def call_off(self) -> None:
        self._ends.value = True


class Workers:
    """So many processes.  Whoever leaves the `with` before the work is done calls it off.

    `prepare` is called in each process before its first work.
    """

    def __init__(self, number: int, prepare: Callable[[], object]) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would share the connections of this process
        self._beside = Beside(context)
        self._pool = ProcessPoolExecutor(number, context, _begin, (self._beside, prepare))
        self._work: list[Future[Any]] = []

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        for future in self._work:
            future.cancel()
        self._beside.call_off()
        self._pool.shutdown()

    def submit(self, work: Callable[Concatenate[Beside, P], T], *arguments: P.args, **named: P.kwargs) -> "Future[T]":
        """Have a function of a module called in one of the processes."""
        was = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTS)  # what begins now has no word on it yet: see _begin
        try:
            future = self._pool.submit(partial(_call, work), *arguments, **named)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, was)
        self._work.append(future)
        return future

    def results(self, work: "Sequence[Future[T]]", count: Callable[[int], object]) -> "list[T]":
        """What came of some work, in its order.  `count` is told now and then how much more is done, and may raise."""
        # The pool begins a process with each work, after its own thread was told of that: not until it is told of
        # another does it see that the last process was killed.
        self.submit(_be_there)
        told, left = 0, set(work)
        while left:
            _, left = wait(left, TELL_EVERY_SECONDS, FIRST_COMPLETED)
            now = self._beside.passed
            count(now - told)
            told = now
            for failed in (one for one in work if one.done()):
                failed.result()
        return [one.result() for one in work]


# -- in such a process

_beside: Any = None


def _begin(beside: Beside, prepare: Callable[[], object]) -> None:
    global _beside  # noqa: PLW0603 - all that a process of the pool is told before its work
    _beside = beside
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever interrupts the command wants no word from each process
    signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTS)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    prepare()
    settle_memory()


def _end_with_the_parent() -> None:
    """A process whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "in a process of the pool"
    parent.join()
    os._exit(1)


def _be_there(_: Beside) -> None:
    """No work, only word of some."""


def _call(work: Callable[..., T], *arguments: Any, **named: Any) -> T:
    return work(_beside, *arguments, **named)
