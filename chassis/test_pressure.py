"""Backpressure by given samples: who is behind, who only stands still, who catches up."""

import pytest

from chassis.pressure import LogGauge, Pressure
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
