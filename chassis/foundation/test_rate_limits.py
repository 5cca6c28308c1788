"""Counting requests: what is left, when it starts anew, and that nothing is kept for ever."""

import time

import pytest

from chassis.foundation.config import Config, ConfigError
from chassis.foundation.rate_limits import LocalStorage, MovingLimit, RateLimit, open_storage


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_limit_is_used_up_and_starts_anew(clock: Clock) -> None:
    limit = RateLimit("user", "10/minute", "RATE_LIMIT_USER", LocalStorage(clock=clock))
    assert [limit.take("li") for _ in range(8)] == [None] * 8
    quota = limit.take("li")
    assert quota is not None and not quota.exceeded
    assert quota.headers() == {"RateLimit-Policy": '"user";q=10;w=60', "RateLimit": '"user";r=1;t=60'}
    limit.take("li")
    clock.now += 20
    quota = limit.take("li")
    assert quota is not None and quota.exceeded
    assert quota.headers()["Retry-After"] == "40"
    assert limit.take("wang") is None, "everybody has a count of their own"
    clock.now += 40
    assert limit.take("li") is None


def test_a_moving_limit_lets_no_more_pass_in_any_stretch_of_its_length(clock: Clock) -> None:
    """Around the end of a fixed window it would be twice as many."""
    limit = MovingLimit("robot", "3/minute", "ROBOT_RATE", clock=clock)
    assert limit.take("a") is None
    clock.now += 50
    assert [limit.take("a") for _ in range(2)] == [None] * 2
    clock.now += 10
    assert limit.take("a") is None, "the first is over"
    quota = limit.take("a")
    assert quota is not None and quota.exceeded and quota.reset == 50
    assert limit.take("b") is None, "each has a count of its own"
    clock.now += 50
    assert [limit.take("a") is None for _ in range(3)] == [True, True, False]


def test_counts_that_are_over_are_forgotten(clock: Clock) -> None:
    storage = LocalStorage(clock=clock)
    for number in range(10_000):
        storage.incr(f"address/{number}", 1)
    clock.now += 2
    storage.incr("address/new", 1)
    assert storage.reset() == 1


def test_settings_that_can_not_be_used_are_named() -> None:
    with pytest.raises(ConfigError, match="RATE_LIMIT_USER='often' must be a rate"):
        RateLimit("user", "often", "RATE_LIMIT_USER", LocalStorage())
    with pytest.raises(ConfigError, match="RATE_LIMIT_STORAGE='carrier://pigeon' can't be used"):
        open_storage("carrier://pigeon")
    assert isinstance(open_storage(Config().rate_limit_storage), LocalStorage)


def test_a_wall_clock_that_is_set_back_locks_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    wall, steady = Clock(), Clock()
    monkeypatch.setattr("chassis.foundation.rate_limits.time.time", wall)
    monkeypatch.setattr("chassis.foundation.rate_limits.time.monotonic", steady)
    limit = RateLimit("user", "1/minute", "RATE_LIMIT_USER", LocalStorage(clock=steady))
    assert limit.take("li") is None
    wall.now -= 86_400
    quota = limit.take("li")
    assert quota is not None and quota.exceeded and quota.reset == 60
    steady.now += 60
    assert limit.take("li") is None


def test_the_store_of_one_process_goes_by_a_clock_that_nobody_sets() -> None:
    assert LocalStorage().clock is time.monotonic
