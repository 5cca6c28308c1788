"""So many requests in so much time: counted in fixed windows, or in moving ones, by whatever key one gives.

The library `limits` reads the settings and knows the stores several processes can share.  Its store in memory wakes a
thread up to a hundred times a second, which under eventlet cost 55 us a request, and 200 us with 10,000 keys; so one
process counts in `LocalStorage` here, for 2 us.
"""

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from limits import parse
from limits.errors import ConfigurationError
from limits.storage import Storage, storage_from_string

from chassis.foundation.config import ConfigError

FEW_LEFT = 5  # answers tell of the limit once only a fifth of it is left


class LocalStorage(Storage):
    """Counts in this process.  What has expired is dropped when the number of keys has doubled."""

    STORAGE_SCHEME = ["local"]  # noqa: RUF012 - the library's way to declare it

    def __init__(self, uri: str | None = None, *, clock: Callable[[], float] = time.monotonic, **_: str) -> None:
        super().__init__(uri)
        self.clock = clock  # not the wall clock: one that is set back would keep callers out
        self._windows: dict[str, tuple[int, float]] = {}
        self._tidy_at = 10_000

    @property
    def base_exceptions(self) -> type[Exception]:
        return ValueError

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        now = self.clock()
        count, ends = self._windows.get(key, (0, 0.0))
        if ends <= now:
            count, ends = 0, now + expiry
            if len(self._windows) >= self._tidy_at:
                self._tidy(now)
        self._windows[key] = (count + amount, ends)
        return count + amount

    def _tidy(self, now: float) -> None:
        self._windows = {key: window for key, window in self._windows.items() if window[1] > now}
        self._tidy_at = max(10_000, 2 * len(self._windows))

    def get(self, key: str) -> int:
        count, ends = self._windows.get(key, (0, 0.0))
        return count if ends > self.clock() else 0

    def get_expiry(self, key: str) -> float:
        return self._windows.get(key, (0, self.clock()))[1]

    def check(self) -> bool:
        return True

    def reset(self) -> int:
        count = len(self._windows)
        self._windows.clear()
        return count

    def clear(self, key: str) -> None:
        self._windows.pop(key, None)


def open_storage(uri: str) -> Storage:
    """The store of the counts: `local://` or one the library knows.  Raises ConfigError."""
    try:
        return cast(Storage, storage_from_string(uri))
    except ConfigurationError as error:
        raise ConfigError(f"RATE_LIMIT_STORAGE={uri!r} can't be used: {error}") from error


@dataclass(frozen=True)
class Quota:
    """What is left of a limit: of `amount` requests in `window` seconds, `left` for the next `reset` seconds."""

    name: str
    amount: int
    window: int
    left: int
    reset: int

    @property
    def exceeded(self) -> bool:
        return self.left < 0

    def headers(self) -> dict[str, str]:
        """As the IETF draft "RateLimit header fields for HTTP" writes it."""
        found = {
            "RateLimit-Policy": f'"{self.name}";q={self.amount};w={self.window}',
            "RateLimit": f'"{self.name}";r={max(0, self.left)};t={self.reset}',
        }
        return found | {"Retry-After": str(self.reset)} if self.exceeded else found


class RateLimit:
    """One limit, such as `200/second`.  Raises ConfigError naming the variable it comes from."""

    def __init__(self, name: str, setting: str, variable: str, storage: Storage) -> None:
        try:
            item = parse(setting)
        except ValueError as error:
            raise ConfigError(f"{variable}={setting!r} must be a rate such as 200/second") from error
        self._name, self._amount, self._window = name, item.amount, item.get_expiry()
        self._talk_from = item.amount - item.amount // FEW_LEFT
        self._storage = storage
        self._clock: Callable[[], float] = getattr(storage, "clock", time.time)  # what a shared store goes by

    def take(self, key: str) -> Quota | None:
        """Count one request; None while plenty is left."""
        key = f"{self._name}/{key}"
        count = self._storage.incr(key, self._window)
        if count <= self._talk_from:
            return None
        reset = min(self._window, max(1, math.ceil(self._storage.get_expiry(key) - self._clock())))
        return Quota(self._name, self._amount, self._window, self._amount - count, reset)


class MovingLimit(RateLimit):
    """As much in any stretch of time that long, for few keys in this process.

    A fixed window lets twice as much pass around its end.  What is refused is not counted.
    """

    def __init__(self, name: str, setting: str, variable: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(name, setting, variable, LocalStorage(clock=clock))
        self._taken: dict[str, deque[float]] = {}

    def take(self, key: str) -> Quota | None:
        """Count one request; None where there was room for it."""
        now, taken = self._clock(), self._taken.setdefault(key, deque(maxlen=self._amount))
        if len(taken) == self._amount and (rests := taken[0] + self._window - now) > 0:
            return Quota(self._name, self._amount, self._window, -1, max(1, math.ceil(rests)))
        taken.append(now)
        return None
