"""Slow work: in two native threads whatever comes, beside the hub, with its results and errors."""

from functools import partial
from typing import Any

import eventlet
import pytest

from chassis.foundation.slow_work import SlowWork, native_threading
from contracts.errors import Refused


def spawn_all(slowly: SlowWork, work: list[Any]) -> list[Any]:
    """Do it all at once; what came of each piece, in order."""
    return [thread.wait() for thread in [eventlet.spawn(slowly, piece) for piece in work]]


def test_however_much_there_is_two_threads_do_it() -> None:
    here = native_threading.get_ident()
    found = spawn_all(SlowWork(), [native_threading.get_ident] * 60)
    assert len(set(found)) <= 2
    assert here not in found


def test_each_caller_gets_what_came_of_its_own_work() -> None:
    assert spawn_all(SlowWork(), [partial(int, str(number)) for number in range(60)]) == list(range(60))


def test_the_hub_goes_on_meanwhile() -> None:
    slowly, go = SlowWork(), native_threading.Event()
    waits = eventlet.spawn(slowly, go.wait)
    eventlet.sleep(0)
    go.set()  # would never be reached if the wait held the hub up
    assert waits.wait() is True


def test_an_error_is_the_callers_and_the_thread_goes_on() -> None:
    slowly = SlowWork(threads=1)
    with pytest.raises(ValueError, match="invalid literal"):
        slowly(int, "no number")
    with pytest.raises(SystemExit):
        slowly(exit)
    assert slowly(int, "1") == 1


def test_too_much_in_line_is_refused_and_room_comes_again() -> None:
    slowly, go = SlowWork(threads=1, waiting=1), native_threading.Event()
    waiting = [eventlet.spawn(slowly, go.wait) for _ in range(2)]
    eventlet.sleep(0)
    with pytest.raises(Refused) as refused:
        slowly(int, "1")
    assert refused.value.code == "OVERLOADED"
    go.set()
    assert [thread.wait() for thread in waiting] == [True, True]
    assert slowly(int, "1") == 1
