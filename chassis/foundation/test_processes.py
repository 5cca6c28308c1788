"""Processes beside this one: killed at the worst moment, and interrupted while they begin."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from chassis.foundation.processes import Beside, Workers

LONGEST_SECONDS = 60


def nothing() -> None:
    """What a process is prepared by."""


def killed_while_it_counts(beside: Beside) -> None:
    beside._counting.acquire()
    os.kill(os.getpid(), signal.SIGKILL)


def waits_for_ever(beside: Beside) -> None:
    signal.pause()


def counts(beside: Beside, number: int) -> int:
    for _ in range(number):
        beside.count(1)
    return number


def load_slowly() -> None:
    """What a process that begins is told, before it is told what an interrupt means."""
    os.write(1, b"begun\n")  # in one: the other does the same
    given_up = time.monotonic() + LONGEST_SECONDS
    while signal.SIGINT not in signal.sigpending() and time.monotonic() < given_up:
        time.sleep(0.01)


class Slow:
    def __call__(self) -> None:
        """Called in vain: it is loaded as nothing at all."""

    def __reduce__(self) -> tuple[Any, ...]:
        return load_slowly, ()


def begin_and_wait() -> None:
    """In a command that somebody interrupts."""
    with Workers(2, Slow()) as workers:
        workers.results([workers.submit(waits_for_ever) for _ in range(2)], lambda _: None)


def test_all_that_was_done_is_counted() -> None:
    told: list[int] = []
    with Workers(2, nothing) as workers:
        assert workers.results([workers.submit(counts, 500) for _ in range(3)], told.append) == [500] * 3
    assert sum(told) == 1_500


def test_one_that_is_killed_while_it_holds_a_lock_is_noticed() -> None:
    """Also the one that began last."""
    failures: list[BrokenProcessPool] = []

    def work() -> None:
        try:
            with Workers(2, nothing) as workers:
                workers.results(
                    [workers.submit(waits_for_ever), workers.submit(killed_while_it_counts)], lambda _: None
                )
        except BrokenProcessPool as error:
            failures.append(error)

    at_work = threading.Thread(target=work, daemon=True)
    at_work.start()
    at_work.join(LONGEST_SECONDS)
    assert not at_work.is_alive() and len(failures) == 1


def test_whoever_interrupts_a_command_reads_no_word_from_its_processes() -> None:
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # also where a shell said not to
    code = f"{heard}\nfrom {__name__} import begin_and_wait; begin_and_wait()"
    command = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    assert command.stdout is not None and command.stdout.readline() == "begun\n"
    os.killpg(command.pid, signal.SIGINT)
    _, told = command.communicate(timeout=LONGEST_SECONDS)
    assert told.count("Traceback") == 1 and told.endswith("KeyboardInterrupt\n"), told
