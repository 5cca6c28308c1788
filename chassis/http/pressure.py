"""Backpressure: commands are refused before anything is made of them while what was accepted earlier waits too long.

`Door` decides when the head of a request is read: what is refused there costs next to nothing, so what was let in goes
on.  It asks `Pressure`, and counts those inside.

Each event log is sampled: when had it which length?  The position that a consumer of the log has stored then tells
how old the events are that it works on.  The system is overloaded while some consumer is behind by more than the
limit, moves, and does not catch up.  One that stands still is no reason to refuse: its process is down, and what is
accepted waits on Kafka until it is back.
"""

import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from chassis.foundation import metrics
from chassis.foundation.health import Pulse
from contracts.errors import Refused

log = structlog.get_logger()

EVERY_SECONDS = 0.25
MOVING_SECONDS = 1.0  # a consumer whose position is older than this stands still, or has nothing to do
QUIET_SECONDS = 2.0  # while nothing moves the consumers, whom MongoDB tells of, are asked no more often
SAMPLES = 2_400

Fronts = Mapping[str, int]  # consumer -> the newest position of a log that it has processed


@dataclass
class _Consumer:
    front: int
    moved_at: float = float("-inf")
    age: float = 0.0


@dataclass
class LogGauge:
    """How far the consumers of one log are behind, in seconds.  Pure: it is given the time."""

    limit: float
    times: list[float] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    consumers: dict[str, _Consumer] = field(default_factory=dict)

    def sample(self, now: float, length: int, fronts: Fronts) -> dict[str, float]:
        """Take a sample.  Returns the consumers that overload is seen by, with the seconds they are behind."""
        if not self.lengths or length > self.lengths[-1]:
            self.times.append(now)
            self.lengths.append(length)
            del self.times[:-SAMPLES], self.lengths[:-SAMPLES]
        return {name: self.consumers[name].age for name, front in fronts.items() if self._is_behind(now, name, front)}

    def _is_behind(self, now: float, name: str, front: int) -> bool:
        consumer = self.consumers.setdefault(name, _Consumer(front))
        if front != consumer.front:
            consumer.front, consumer.moved_at = front, now
        after = bisect_right(self.lengths, front)
        age = now - self.times[after] if after < len(self.times) else 0.0
        catches_up = age < consumer.age
        consumer.age = age
        return age > self.limit and now - consumer.moved_at <= MOVING_SECONDS and not catches_up


class Pressure:
    """Watches the logs of a process and refuses commands while it is overloaded."""

    def __init__(
        self,
        limit: float,
        logs: Mapping[str, Callable[[], int]],
        fronts: Callable[[], Mapping[str, Fronts]],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._logs = logs
        self._fronts = fronts
        self._clock = clock
        self._gauges: dict[str, LogGauge] = {}
        self._lengths: Mapping[str, int] = {}
        self._found: Mapping[str, Fronts] = {}
        self._asked_at = self._moved_at = float("-inf")
        self._behind: dict[str, float] = {}
        self._pulse = Pulse(clock=clock)

    def problem(self) -> str | None:
        """Why nobody looks (`chassis.foundation.health`)."""
        return self._pulse.problem()

    def require_room(self) -> None:
        """Raises Refused OVERLOADED while commands accepted earlier wait too long."""
        if self._behind:
            consumer, seconds = max(self._behind.items(), key=lambda found: found[1])
            raise Refused("system.behind", consumer=consumer, seconds=round(seconds))

    def look(self) -> None:
        """Take a sample of all logs."""
        lengths = {name: length_of() for name, length_of in self._logs.items()}
        fronts, now = self._known_fronts(lengths), self._clock()
        behind: dict[str, float] = {}
        for name, length in lengths.items():
            gauge = self._gauges.setdefault(name, LogGauge(self._limit))
            behind |= gauge.sample(now, length, fronts.get(name, {}))
        if bool(behind) != bool(self._behind):
            log.warning("overloaded" if behind else "no longer overloaded", behind=behind)
        metrics.OVERLOADED.set(bool(behind))
        self._behind = behind

    def _known_fronts(self, lengths: Mapping[str, int]) -> Mapping[str, Fronts]:
        """How far the consumers are: as they were asked last while neither they nor the logs have moved for a while."""
        now = self._clock()
        if lengths != self._lengths:
            self._lengths, self._moved_at = lengths, now
        if now - self._moved_at <= QUIET_SECONDS or now - self._asked_at >= QUIET_SECONDS:
            found, self._asked_at = self._fronts(), now
            if found != self._found:
                self._found, self._moved_at = found, now
        return self._found

    def run(self, stop: threading.Event) -> None:
        """Look again and again until `stop` is set."""
        while not stop.wait(EVERY_SECONDS):
            try:
                self.look()
            except Exception as error:  # a server is away: readiness and the commands themselves tell of that
                self._behind = {}
                log.debug("pressure unknown", error=repr(error))
            self._pulse.beat()
