"""Whoever waits gets what the call brings, and learns in time of a call that doesn't come back."""

from collections.abc import Iterator
from queue import SimpleQueue

import pytest

from chassis.kafka import waiting
from chassis.kafka.waiting import Overdue, Waiter


class Library:
    """A call that comes back only when something is put there: one whose clock was set back."""

    def __init__(self) -> None:
        self.there: SimpleQueue[str | None] = SimpleQueue()
        self.waits: list[float] = []
        self.waiter = Waiter(self.call, "test")

    def call(self, seconds: float) -> str | None:
        self.waits.append(seconds)
        found = self.there.get()
        if found == "error":
            raise OSError("away")
        return found


@pytest.fixture
def library() -> Iterator[Library]:
    made = Library()
    yield made
    made.waiter.end()
    made.there.put(None)  # lets the thread end where it still waits


def test_who_waits_gets_what_the_call_brings(library: Library) -> None:
    for found in ("a", None, "b"):
        library.there.put(found)
        assert library.waiter.wait(30) == found
    assert library.waits == [30, 30, 30]


def test_an_error_of_the_call_is_for_who_waits(library: Library) -> None:
    library.there.put("error")
    with pytest.raises(OSError, match="away"):
        library.waiter.wait(30)
    library.there.put("a")
    assert library.waiter.wait(30) == "a"


def test_a_call_that_does_not_come_back_is_told(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "GRACE_SECONDS", 0.01)
    with pytest.raises(Overdue):
        library.waiter.wait(0.01)
