"""Shares of a verification side by side: one process for each core."""

import gc
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

from chassis.catalogue import Catalogue
from chassis.foundation.config import Config
from chassis.verify.shares import Count, Found, Share

WORTH_PROCESSES = 20_000  # events: a process takes a second or two to start
ASK_EVERY_SECONDS = 0.5
Results = Callable[[Count], Iterator[Found]]


@contextmanager
def at_work(config: Config, shares: Sequence[Share], processes: int) -> Iterator[Results]:
    """Verify shares in so many processes, meanwhile: what is called in the end waits for what they found.

    With one process, this one, they are verified only then.
    """
    if processes < 2:
        yield lambda count: (share.look(config, count) for share in shares)
        return
    context = multiprocessing.get_context("spawn")  # a fork would share the connections of this process
    passed: Any = context.Value("q")
    with ProcessPoolExecutor(processes, context, _begin, (passed,)) as pool:
        work = [pool.submit(_look, share, config) for share in shares]
        try:
            yield lambda count: _results(work, passed, count)
        finally:
            for future in work:
                future.cancel()


def processes_for(events: int) -> int:
    """How many processes are worth while."""
    return (os.cpu_count() or 1) if events >= WORTH_PROCESSES else 1


def _results(work: "Sequence[Future[Found]]", passed: Any, count: Count) -> Iterator[Found]:
    told, left = 0, set(work)
    while left:
        done, left = wait(left, ASK_EVERY_SECONDS, FIRST_COMPLETED)
        now = int(passed.value)
        count(now - told)
        told = now
        yield from (future.result() for future in done)


# -- in such a process

_passed: Any = None


def _begin(passed: Any) -> None:
    global _passed  # noqa: PLW0603 - all that a process of the pool is told before its work
    _passed = passed
    catalogue = Catalogue.read()
    catalogue.services(), catalogue.sagas(), catalogue.views()  # all kinds of events and aggregates are known then
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever interrupts the command wants no word from each process
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _look(share: Share, config: Config) -> Found:
    def count(number: int) -> None:
        with _passed.get_lock():
            _passed.value += number

    return share.look(config, count)
