"""What is still under way: how far relays and consumers are behind, and waiting until they have caught up."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

ASK_EVERY_SECONDS = 0.1


@dataclass(frozen=True)
class Lag:
    """Somebody who follows: `behind` says in words how far, "" when it has caught up."""

    name: str
    behind: Callable[[], str]


def await_all(lags: Iterable[Lag], deadline: float) -> list[str]:
    """Wait until all have caught up or the deadline (monotonic) has passed; returns who is behind then."""
    left = list(lags)
    while True:
        told = [(lag, behind) for lag in left if (behind := lag.behind())]
        if not told or time.monotonic() >= deadline:
            return [f"{lag.name} is behind: {behind}" for lag, behind in told]
        left = [lag for lag, _ in told]
        time.sleep(ASK_EVERY_SECONDS)


def behind_ends(offsets: Mapping[str, int], ends: Mapping[str, int], topics: Iterable[str]) -> str:
    """How many records of the topics lie between these offsets and the ends."""
    wanted = set(topics)
    missing = {
        source: end - offsets.get(source, 0)
        for source, end in ends.items()
        if source.rpartition(":")[0] in wanted and end > offsets.get(source, 0)
    }
    return ", ".join(f"{number:,} records of {source}" for source, number in sorted(missing.items()))
