"""Results of commands are remembered for some days, and then forgotten a few at a time (ADR 0032).

What counts is days of the store and not times: the store's day moves on by one when the date has, at most once while a
process has run for nearly a day and once at its start.  So a clock that jumps for years makes results a day older, and
one that was set back makes none younger.  While nobody runs, nothing grows older either.
"""

import time
from collections.abc import Callable
from datetime import UTC, date, datetime

import structlog

from chassis.store.event_store import EventStore

log = structlog.get_logger()

DAY, DATE = "results:day", "results:date"  # the store's day, and on which date (its ordinal) it began
FORGOTTEN, SWEPT = "results:forgotten", "results:swept"  # of days before this one: may be gone, are all gone
ENDS = "results:ends:"  # before a day: how far the audit log was when it ended
LOOKED_AT = 200
"""So many results are looked at at once."""
PAUSE_SECONDS, REST_SECONDS = 0.1, 60.0
"""Between two looks, and while nothing is to be forgotten."""
DAY_SECONDS = 23 * 3_600.0
"""So long a process runs at least before it begins another day: clocks that are set a little must not skip one."""


def utc_date() -> date:
    return datetime.now(UTC).date()


class Forgetting:
    """Forgets what a store remembers of commands done more than `days` days ago: whoever writes to it takes turns."""

    def __init__(
        self,
        store: EventStore,
        days: int,
        *,
        today: Callable[[], date] = utc_date,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._days = days
        self._today = today
        self._ticks = ticks
        self.day = store.position(DAY) or 0
        self._next = ticks()
        self._began_at: float | None = None  # when this process began a day
        self._sweep: tuple[int, str] | None = None  # days before which one, and how far it is

    def pause(self) -> float:
        """How many seconds there are until the next turn."""
        return max(0.0, self._next - self._ticks())

    def turn(self) -> None:
        """Do a little of what is due.  Never raises: it is tried again."""
        if self.pause():
            return
        try:
            self._count()
            goes_on = self._forget()
        except Exception as error:  # the store is away: the writer finds out by itself
            log.warning("results are not forgotten", service=self._store.name, error=repr(error))
            goes_on = False
        self._next = self._ticks() + (PAUSE_SECONDS if goes_on else REST_SECONDS)

    def _count(self) -> None:
        """Begin another day, if the date has moved on; another process may have."""
        if self._sweep is not None:
            return
        self.day = self._store.position(DAY) or 0
        date, today = self._store.position(DATE), self._today().toordinal()
        if date is None or today < date:
            self._store.set_position(DATE, today)
        elif today > date and (self._began_at is None or self._ticks() - self._began_at >= DAY_SECONDS):
            self._began_at = self._ticks()
            self._store.set_position(f"{ENDS}{self.day}", self._store.last_audit())
            self._store.set_position(DATE, today)  # first: who is killed here counts a day too few
            self._store.set_position(DAY, self.day + 1)
            self.day += 1

    def _forget(self) -> bool:
        """Look at some results; whether there are more to look at."""
        if self._sweep is None:
            before = self.day - self._days
            if before <= (self._store.position(SWEPT) or 0):
                return False
            forgotten = max(before, self._store.position(FORGOTTEN) or 0)  # by another setting it was more
            self._store.set_position(FORGOTTEN, forgotten)  # first: who misses a result asks whether it may be gone
            self._sweep = before, ""
        before, after = self._sweep
        found = self._store.forget_results(after, LOOKED_AT, before)
        if found:
            self._sweep = before, found[-1]
            return True
        self._store.set_position(SWEPT, before)
        self._sweep = None
        log.info("results forgotten", service=self._store.name, days=self._days)
        return False


def may_be_forgotten(store: EventStore) -> int:
    """Results of commands up to this audit record may be gone; 0 where none is.

    That is a day more than there can be: another process of the service may have told the day before a little longer.
    """
    forgotten = store.position(FORGOTTEN) or 0
    return (store.position(f"{ENDS}{forgotten}") or 0) if forgotten else 0
