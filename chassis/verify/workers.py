"""Shares of a verification side by side: one process for each core."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from chassis.catalogue import know_everything
from chassis.foundation.config import Config
from chassis.foundation.processes import Beside, Workers
from chassis.persons.opening import use_keys
from chassis.verify.shares import Count, Found, Share

WORTH_PROCESSES = 20_000  # events: a process takes a second or two to start
Results = Callable[[Count], Iterable[Found]]


@contextmanager
def at_work(config: Config, shares: Sequence[Share], processes: int) -> Iterator[Results]:
    """Verify shares in so many processes, meanwhile: what is called in the end waits for what they found.

    With one process, this one, they are verified only then.
    """
    if processes < 2:
        yield lambda count: (share.look(config, count) for share in shares)
        return
    with Workers(processes, know_everything) as workers:
        work = [workers.submit(_look, share, config) for share in shares]
        yield lambda count: workers.results(work, count)


def processes_for(events: int) -> int:
    """How many processes are worth while."""
    return (os.cpu_count() or 1) if events >= WORTH_PROCESSES else 1


def _look(beside: Beside, share: Share, config: Config) -> Found:
    use_keys(config)
    return share.look(config, beside.count)
