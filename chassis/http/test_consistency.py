"""Consistency tokens: what nobody was given is refused at once, and waiting has room for everybody."""

from contextlib import ExitStack
from typing import Any

import pytest

from chassis.foundation.config import MOST_PARTITIONS
from chassis.http.messages import OPERATIONS, HttpRequest, HttpResponse, Route
from chassis.http.nameko import RouteEntrypoint
from chassis.messaging.consistency import HEADER, Logs, Token, WaitingRoom
from chassis.writer.request import Answer
from contracts.declare import REGISTRY
from contracts.errors import Refused

REGISTRY.load()
LONGEST_HEADER = 8_000
"""Bytes of one header line that web servers take, ours among them."""
TOPICS = sorted({spec.topic for spec in REGISTRY.events.values()})


class Log:
    """A log whose length is asked for."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.asked = 0

    def __call__(self) -> int:
        self.asked += 1
        return self.length


@pytest.mark.parametrize("topic", TOPICS)
def test_a_position_beyond_the_end_or_in_no_partition_is_refused(topic: str) -> None:
    log = Log(7)
    logs = Logs({topic.removesuffix(".events"): log}, 4)
    assert str(logs.token(f"{topic}:3=7")) == f"{topic}:3=7"
    for forged in (f"{topic}:3=8", f"{topic}:4=1", f"{topic}:0={10**17}", f"{topic}:9999=0"):
        with pytest.raises(Refused) as refused:
            logs.token(forged)
        assert (refused.value.code, refused.value.field) == ("VALIDATION", HEADER)


def test_a_topic_that_does_not_exist_is_refused() -> None:
    with pytest.raises(Refused):
        Logs({}, 4).token("elsewhere.events:0=1")


def test_a_token_just_given_is_taken_and_the_length_is_asked_for_only_beyond_what_is_known() -> None:
    log = Log(5)
    logs = Logs({"orders": log}, 4)
    logs.token("orders.events:0=5")
    logs.token("orders.events:1=4")
    assert log.asked == 1
    log.length = 6  # a command was committed and answered
    assert logs.token("orders.events:0=6")
    assert log.asked == 2


def test_what_was_read_promises_nothing_beyond_the_end_and_is_taken_when_it_comes_back() -> None:
    """A view may have taken a forged record, of any position."""
    logs = Logs({"orders": Log(7)}, 4)
    read = {"orders.events:0": 5, "orders.events:1": 10**9, "orders.events:2": 0, "inventory.events:0": 10**9}
    told = str(logs.told(read))
    assert told == "inventory.events:0=1000000000,orders.events:0=5"
    assert str(logs.token(told)) == told


@pytest.mark.parametrize("partitions", [4, 12, MOST_PARTITIONS])
def test_a_token_of_all_there_is_is_taken(partitions: int) -> None:
    positions = {f"{topic}:{number}": 10**9 for topic in TOPICS for number in range(partitions)}
    logs = Logs({}, partitions)
    told = str(logs.told(positions))
    assert len(told) < LONGEST_HEADER, "a client can send it back"
    assert logs.token(told) == Token(positions)


def test_partitions_of_one_topic_may_stand_behind_each_other_or_apart() -> None:
    positions = {"inventory.events:3": 4, "orders.events:0": 5, "orders.events:1": 6}
    text = "inventory.events:3=4,orders.events:0=5;1=6"
    assert str(Token(positions)) == text
    assert (
        Token.parse(text)
        == Token.parse("orders.events:1=6, orders.events:0=5,inventory.events:3=4")
        == Token(positions)
    )


@pytest.mark.parametrize(
    "text",
    ["orders.events:0=1,orders.events:0=1", "orders.events:0=1;0=1", "orders.events:0=1;", "orders.events:0=1,x", ","],
)
def test_a_token_that_nobody_writes_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        Logs({}, 4).token(text)


def test_of_a_log_that_is_not_here_any_position_may_be() -> None:
    assert Logs({}, 4).token(f"orders.events:0={10**17}")


def test_nothing_is_awaited_without_a_token() -> None:
    assert Logs({}, 4).token(None) is None


def test_one_caller_may_take_some_seats_and_leaves_the_others_theirs() -> None:
    room = WaitingRoom(most_of_one=2, most_of_all=5)
    with ExitStack() as seats:
        for caller in ("li", "li", "chen", "chen", "mei"):
            seats.enter_context(room.seat(caller))
        for caller, code in (("li", "RATE_LIMITED"), ("mei", "OVERLOADED")):
            with pytest.raises(Refused) as refused, room.seat(caller):
                pass
            assert refused.value.code == code
    with room.seat("li"), room.seat("li"):
        pass


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_how_a_process_is_watched_needs_no_worker(name: str) -> None:
    """Without a container there is no worker to be had."""
    answer = HttpResponse(200, name.encode())
    entrypoint: Any = RouteEntrypoint(Route("GET", f"/{name}", name, lambda _: answer))
    assert entrypoint.answer(HttpRequest({}, {}, {}, bytes)) is answer


def test_the_token_of_a_command_without_events_is_taken_at_once() -> None:
    """Also by a process that has not yet asked how long the log is."""
    log = Log(7)
    token = Token.of(Answer("orders", {}), 4)
    assert str(token) == "orders.events:0=0"
    assert Logs({"orders": log}, 4).token(str(token)) == token
    assert log.asked == 0
