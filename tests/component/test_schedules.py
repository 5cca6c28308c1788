"""What is due is done on time, and once, on real stores: by two processes, and after they were down (ADR 0051)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from chassis.access.company import CompanySettings
from chassis.access.directory import Directory
from chassis.catalogue import known_everywhere
from chassis.model.schedule_runs import runs_once
from chassis.schedules.bell import Rings
from chassis.schedules.keeper import Keeper
from chassis.store.event_store import EventStore
from chassis.store.events import fact_class
from chassis.writer.writer import Writer
from component.support import until
from component.test_event_store import Bench, bench_on
from contracts.approvals import RemindDeciders
from contracts.schedules import SCHEDULES
from contracts.schemas import decode
from services.approvals.application import SERVICE

DECLARED = SCHEDULES[RemindDeciders]
EIGHT = datetime(2026, 3, 3, tzinfo=UTC)
"""08:00 in Shanghai."""

bench = bench_on("sqlite", "postgres")


class Clock:
    """It goes on as the machine's does, and may be set."""

    def __init__(self, now: datetime) -> None:
        self.set(now)

    def set(self, now: datetime) -> None:
        self._ahead = now - datetime.now(UTC)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._ahead


@contextmanager
def process(store: EventStore, clock: Clock) -> Iterator[Rings]:
    """An api process as far as schedules go."""
    directory = Directory(known_everywhere(), clock=clock, company=CompanySettings(ZoneInfo("Asia/Shanghai")))
    rings, stop = Rings(directory), threading.Event()
    writer = Writer(SERVICE, store, listener=rings)
    keeper = Keeper(writer, directory, rings.bell(), clock=clock)
    thread = threading.Thread(target=keeper.run, args=(stop,))
    writer.start()
    thread.start()
    try:
        yield rings
    finally:
        stop.set()
        rings.ring()
        thread.join()
        writer.stop()


def told(store: EventStore, *kinds: Any) -> list[tuple[Any, datetime]]:
    names = {kind.__name__: kind for kind in kinds}
    found: list[tuple[Any, datetime]] = [
        (decode(fact_class(one.type), one.data), one.meta.at) for one in store.notifications(0, 1_000)
    ]
    return [(fact, at) for fact, at in found if type(fact).__name__ in names]


def runs(store: EventStore) -> list[tuple[Any, datetime]]:
    return told(store, DECLARED.ran)


def test_what_is_due_is_done_within_a_second_and_once_by_two_processes(bench: Bench) -> None:
    clock, store = Clock(EIGHT - timedelta(seconds=1.5)), bench.open()
    with process(bench.open(), clock), process(bench.open(), clock):
        until(lambda: runs(store))
        until(lambda: len(told(store, DECLARED.planned)) > 1)
    [(run, at)] = runs(store)
    assert (run.day, run.due) == (date(2026, 3, 3), EIGHT)
    assert timedelta(0) <= at - EIGHT < timedelta(seconds=1)


def test_after_three_days_without_power_the_last_day_is_done(bench: Bench) -> None:
    clock, store = Clock(EIGHT - timedelta(hours=1)), bench.open()
    with process(bench.open(), clock):
        until(lambda: told(store, DECLARED.planned))
    clock.set(EIGHT + timedelta(days=3, hours=1))
    with process(bench.open(), clock):
        until(lambda: runs(store))
    assert [run.day for run, _ in runs(store)] == [date(2026, 3, 6)]
    rule = runs_once("approvals")
    state = rule.state()
    for fact, _ in told(store, *DECLARED.events):
        rule.folds[type(fact)](state, fact)
    assert not rule.never(state)


def test_who_is_rung_for_finds_that_a_clock_was_set(bench: Bench) -> None:
    clock, store = Clock(EIGHT - timedelta(hours=1)), bench.open()
    with process(bench.open(), clock) as rings:
        until(lambda: told(store, DECLARED.planned))
        clock.set(EIGHT)
        rings.ring()
        until(lambda: runs(store))
    assert len(runs(store)) == 1
