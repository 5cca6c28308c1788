"""Backpressure by given samples: who is behind, who only stands still, who catches up."""

import pytest

from chassis.http.concurrency_limit import LEAST, ConcurrencyLimit
from chassis.http.pressure import QUIET_SECONDS, LogGauge, Pressure
from contracts.errors import Refused


def run(gauge: LogGauge, samples: list[tuple[float, int, int]]) -> list[bool]:
    """(now, length of the log, the consumer's position) -> overloaded?"""
    return [bool(gauge.sample(now, length, {"view": front})) for now, length, front in samples]


def test_a_consumer_that_keeps_up_is_no_reason() -> None:
    assert not any(run(LogGauge(3.0), [(t, 100 * t, 100 * t - 100) for t in range(1, 60)]))


def test_a_consumer_at_half_the_speed_is_one_as_soon_as_it_is_behind_by_the_limit() -> None:
    found = run(LogGauge(3.0), [(t / 4, 100 * t, 50 * t) for t in range(1, 100)])
    assert found.index(True) / 4 == pytest.approx(6.25, abs=0.5)
    assert all(found[found.index(True) :])


def test_one_that_stands_still_is_none_however_much_waits() -> None:
    assert not any(run(LogGauge(3.0), [(t, 1_000 * t, 7) for t in range(1, 60)]))


def test_one_that_catches_up_after_an_outage_is_none() -> None:
    gauge = LogGauge(3.0)
    assert not any(run(gauge, [(float(t), 100 * t, 0) for t in range(1, 31)]))
    assert not any(run(gauge, [(30 + t / 4, 3_000 + 25 * t, 200 * t) for t in range(1, 17)]))


def test_what_is_not_for_a_consumer_does_not_count() -> None:
    """Behind its last event stand some that never reach Kafka: it moves now and then, and is never behind."""
    samples = [(t / 4, 10 * (t // 40) + 5, 10 * (t // 40)) for t in range(1, 400)]
    assert not any(run(LogGauge(3.0), samples))


def test_commands_are_refused_meanwhile_and_taken_again() -> None:
    now, length, front = [0.0], [0], [0]
    pressure = Pressure(
        3.0, {"orders": lambda: length[0]}, lambda: {"orders": {"view orders": front[0]}}, clock=lambda: now[0]
    )
    pressure.require_room()
    for _ in range(40):
        now[0], length[0], front[0] = now[0] + 0.25, length[0] + 100, front[0] + 40
        pressure.look()
    with pytest.raises(Refused, match=r"view orders is \d+ s behind") as refused:
        pressure.require_room()
    assert refused.value.code == "OVERLOADED"
    front[0] += 600
    now[0] += 0.25
    pressure.look()
    pressure.require_room()


def test_while_nothing_moves_the_consumers_are_asked_rarely_and_at_once_when_something_does() -> None:
    now, length, asked = [0.0], [5], [0]

    def fronts() -> dict[str, dict[str, int]]:
        asked[0] += 1
        return {"orders": {"view orders": 5}}

    def looks(number: int) -> int:
        before = asked[0]
        for _ in range(number):
            now[0] += 0.25
            pressure.look()
        return asked[0] - before

    pressure = Pressure(3.0, {"orders": lambda: length[0]}, fronts, clock=lambda: now[0])
    looks(20)
    assert looks(400) == 400 * 0.25 / QUIET_SECONDS
    length[0] += 1
    assert looks(1) == 1
    assert looks(4) == 4


SUBMIT = ("POST", "/orders/7/submit")


def fill(door: ConcurrencyLimit) -> list[float]:
    """Send in commands until one is refused; returns when each entered."""
    entered: list[float] = []
    with pytest.raises(Refused, match="in progress") as refused:
        while door.counts(*SUBMIT):
            entered.append(door.enter())
    assert refused.value.code == "OVERLOADED"
    return entered


@pytest.mark.parametrize("target", ["/sessions/7%2Fproof", "/sessions/7%2fproof?x=1", "/%73essions/7/proof"])
def test_an_address_is_looked_at_at_the_door_as_its_route_is_looked_for(target: str) -> None:
    """Else a slash written as %2F would let in what is let in by another route only."""
    assert ConcurrencyLimit(4, 1.0, ["/sessions/{session_id}"]).counts("POST", target)
    assert not ConcurrencyLimit(4, 1.0, ["/sessions/{session_id}/proof"]).counts("POST", target)


def test_a_door_lets_in_what_reads_only_and_what_is_let_in_always() -> None:
    def overloaded() -> None:
        raise Refused("system.too_many_requests")

    door = ConcurrencyLimit(100, 1.0, {"/sign-in", "/people/{id}/password"}, overloaded)
    for asked in ("GET /orders", "HEAD /", "POST /sign-in?x=1", "POST /people/7/password"):
        assert not door.counts(*asked.split())
    for asked in ("POST /orders/7/submit", "POST /sign-in/more", "PUT /people/7/8/password", "DELETE /"):
        with pytest.raises(Refused):
            door.counts(*asked.split())


def test_a_door_lets_in_as_many_as_are_answered_in_time() -> None:
    now = [0.0]
    door = ConcurrencyLimit(100, 1.0, clock=lambda: now[0])
    entered = fill(door)
    assert len(entered) == 50
    now[0] += 2
    for at in entered:  # a batch that took too long shrinks the limit once, not fifty times
        door.leave(at)
    entered = fill(door)
    assert len(entered) == 35
    for _ in range(10):
        now[0] += 2
        for at in entered:
            door.leave(at)
        entered = fill(door)
    assert len(entered) == LEAST
    for _ in range(10):
        now[0] += 0.5
        for at in entered:
            door.leave(at)
        entered = fill(door)
    assert len(entered) == 100


def test_one_slow_command_among_many_leaves_the_door_open() -> None:
    now = [0.0]
    door = ConcurrencyLimit(100, 1.0, clock=lambda: now[0])
    slow = door.enter()
    for _ in range(5):
        entered = fill(door)
        now[0] += 0.5
        for at in entered:
            door.leave(at)
    door.leave(slow)
    assert len(fill(door)) >= 70


def test_waiting_for_a_client_is_no_answer_in_time() -> None:
    door = ConcurrencyLimit(100, 1.0)
    before = len(fill(door))
    for _ in range(before):
        door.wait_outside()
    assert len(fill(door)) == before
