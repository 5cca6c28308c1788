"""Days follow each other, whatever clocks and zones do (NTF-04, SET-03; ADR 0051)."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.model.principal import SYSTEM
from chassis.model.schedule_runs import runs_once
from chassis.model.schedules import (
    MOST_MISSED,
    Due,
    Failure,
    Plan,
    Timetable,
    is_day,
    moment_of,
    newest_day,
    timetable_id,
    timetable_of,
)
from contracts.approvals import RemindDeciders
from contracts.schedules import SCHEDULES, Daily, Done, Missed

SHANGHAI, BERLIN, APIA = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin"), ZoneInfo("Pacific/Apia")
ONE_DAY = timedelta(days=1)
DECLARED = SCHEDULES[RemindDeciders]
TABLES: dict[tuple[time, Missed], type[Timetable]] = {}


def table(at: time = time(8), missed: Missed = "LAST") -> Timetable:
    """The timetable of a schedule at another hour."""
    base = timetable_of(RemindDeciders)
    if (at, missed) not in TABLES:
        TABLES[at, missed] = type("Table", (base,), {"declared": replace(DECLARED, when=Daily(at, missed))})
    return TABLES[at, missed](id=timetable_id(DECLARED).id)


def step(one: Timetable, now: datetime, zone: ZoneInfo) -> list[date]:
    """Plan and run until there is nothing to do; returns the days that were run for."""
    days: list[date] = []
    while True:
        if plan := one.next_plan(now, zone):
            one.plan(plan)
            continue
        until = one.waits_until(now)
        if until is None or until > now:
            return days
        assert one.day and one.due
        days.append(one.day)
        one.tell_ran(one.day, one.due, Done(0), SYSTEM.context(now, one.day))


def shanghai(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, minute, tzinfo=SHANGHAI).astimezone(UTC)


# -- the calendar


def test_an_hour_that_is_left_out_is_as_much_later() -> None:
    """On 2026-03-29 it is never 02:30 in Berlin."""
    assert moment_of(date(2026, 3, 29), time(2, 30), BERLIN) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert moment_of(date(2026, 3, 28), time(2, 30), BERLIN) == datetime(2026, 3, 28, 1, 30, tzinfo=UTC)


def test_an_hour_that_comes_twice_counts_when_it_comes_first() -> None:
    assert moment_of(date(2026, 10, 25), time(2, 30), BERLIN) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    second = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert newest_day(second - timedelta(minutes=59), time(2, 30), BERLIN) == date(2026, 10, 25)
    one = table(time(2, 30))
    step(one, datetime(2026, 10, 24, 12, tzinfo=UTC), BERLIN)
    assert step(one, datetime(2026, 10, 25, 0, 30, tzinfo=UTC), BERLIN) == [date(2026, 10, 25)]
    assert step(one, second, BERLIN) == []


def test_a_day_that_never_was_is_not_run_for() -> None:
    """Samoa went over the date line: the 30th of December 2011 was left out."""
    assert not is_day(date(2011, 12, 30), APIA) and is_day(date(2011, 12, 31), APIA)
    one = table(missed="EACH")
    step(one, datetime(2011, 12, 29, 12, tzinfo=UTC), APIA)
    assert one.day == date(2011, 12, 29)
    assert step(one, datetime(2012, 1, 1, 23, tzinfo=UTC), APIA) == [date(2011, 12, day) for day in (29, 31)] + [
        date(2012, 1, day) for day in (1, 2)
    ]


# -- what is planned


def test_the_first_run_is_the_next_one() -> None:
    one = table()
    assert step(one, shanghai(2, 9), SHANGHAI) == []
    assert (one.day, one.due) == (date(2026, 3, 3), shanghai(3, 8))
    assert step(one, shanghai(3, 7, 59), SHANGHAI) == []
    assert step(one, shanghai(3, 8), SHANGHAI) == [date(2026, 3, 3)]
    assert step(one, shanghai(3, 8), SHANGHAI) == []


@pytest.mark.parametrize(("missed", "days"), [("EACH", [3, 4, 5]), ("LAST", [5])])
def test_what_was_missed_is_run_for_as_declared(missed: Missed, days: list[int]) -> None:
    one = table(missed=missed)
    step(one, shanghai(2, 9), SHANGHAI)
    assert step(one, shanghai(5, 23), SHANGHAI) == [date(2026, 3, day) for day in days]
    assert one.day == date(2026, 3, 6)


def test_of_years_that_were_missed_the_last_days_are_run_for() -> None:
    one = table(missed="EACH")
    step(one, shanghai(2, 9), SHANGHAI)
    now = shanghai(2, 9).replace(year=2036)
    days = step(one, now, SHANGHAI)
    assert len(days) == MOST_MISSED and days[-1] == date(2036, 3, 2)


def test_a_clock_that_jumps_over_midnight_and_back_runs_each_day_once() -> None:
    one = table()
    step(one, shanghai(2, 9), SHANGHAI)
    assert step(one, shanghai(4, 9), SHANGHAI) == [date(2026, 3, 4)]
    assert step(one, shanghai(2, 9), SHANGHAI) == []
    assert step(one, shanghai(4, 23), SHANGHAI) == []
    assert step(one, shanghai(5, 8), SHANGHAI) == [date(2026, 3, 5)]


def test_set_03_another_zone_moves_the_hour_and_not_the_day() -> None:
    one = table()
    step(one, shanghai(2, 9), SHANGHAI)
    assert step(one, shanghai(3, 7), BERLIN) == []
    assert (one.day, one.due) == (date(2026, 3, 3), datetime(2026, 3, 3, 7, tzinfo=UTC))
    assert step(one, datetime(2026, 3, 3, 7, tzinfo=UTC), BERLIN) == [date(2026, 3, 3)]
    assert step(one, datetime(2026, 3, 3, 7, tzinfo=UTC), SHANGHAI) == []
    assert one.due == shanghai(4, 8)


def test_nothing_is_made_up_for_that_passed_while_it_was_off() -> None:
    one, off, on = table(missed="EACH"), DECLARED.switch(active=False), DECLARED.switch(active=True)
    step(one, shanghai(2, 9), SHANGHAI)
    context = SYSTEM.context(shanghai(2, 9), date(2026, 3, 2))
    one.switch(off, context)
    one.switch(off, context)
    assert len(one.pending) == 2, "planned, and switched off once"
    assert step(one, shanghai(4, 9), SHANGHAI) == [] and one.waits_until(shanghai(4, 9)) is None
    one.switch(on, context)
    assert step(one, shanghai(5, 7), SHANGHAI) == [] and one.day == date(2026, 3, 5)


def test_a_day_that_was_done_is_not_done_again_when_it_is_switched_on() -> None:
    one = table()
    step(one, shanghai(2, 9), SHANGHAI)
    step(one, shanghai(3, 9), SHANGHAI)
    for active in (False, True):
        one.switch(DECLARED.switch(active=active), SYSTEM.context(shanghai(3, 9), date(2026, 3, 3)))
    step(one, shanghai(2, 9), SHANGHAI)
    assert one.day == date(2026, 3, 4)


def test_what_was_planned_by_a_clock_that_was_years_ahead_is_planned_anew() -> None:
    one = table()
    step(one, shanghai(2, 9).replace(year=2030), SHANGHAI)
    assert one.day == date(2030, 3, 3)
    step(one, shanghai(2, 9), SHANGHAI)
    assert one.day == date(2026, 3, 3)


def test_what_was_done_by_a_clock_that_was_years_ahead_is_forgotten_when_it_is_switched_off_and_on() -> None:
    one = table()
    step(one, shanghai(2, 9), SHANGHAI)
    step(one, shanghai(2, 9).replace(year=2030), SHANGHAI)
    step(one, shanghai(2, 9), SHANGHAI)
    assert one.day == date(2030, 3, 3), "no day is run for twice by itself"
    for active in (False, True):
        one.switch(DECLARED.switch(active=active), SYSTEM.context(shanghai(2, 9), date(2026, 3, 2)))
    step(one, shanghai(2, 9), SHANGHAI)
    assert one.day == date(2026, 3, 3)


def test_pauses_grow_after_each_failure_up_to_an_hour() -> None:
    one, now = table(), shanghai(3, 8)
    step(one, shanghai(2, 9), SHANGHAI)
    pauses = []
    for attempt in range(1, 10):
        assert one.day and one.due
        one.tell_failed(Failure(Due(one.day, one.due), attempt, "x"), SYSTEM.context(now, one.day))
        assert one.again_at
        pauses.append((one.again_at - now).total_seconds())
        now = one.again_at
    assert pauses == [5, 15, 45, 135, 405, 1215, 3600, 3600, 3600]
    assert step(one, now - timedelta(seconds=1), SHANGHAI) == []
    assert step(one, now, SHANGHAI) == [date(2026, 3, 3)] and one.attempts == 0


def test_what_is_planned_no_longer_is_neither_run_nor_planned_again() -> None:
    one = table()
    plan = one.next_plan(shanghai(2, 9), SHANGHAI)
    assert isinstance(plan, Plan)
    one.plan(plan)
    one.plan(plan)
    assert len(one.pending) == 1
    assert one.is_due(Due(plan.day, plan.due)) and not one.is_due(Due(plan.day, plan.due + ONE_DAY))


def test_a_run_that_goes_on_stays_with_its_day() -> None:
    one = table()
    step(one, shanghai(2, 9), SHANGHAI)
    assert one.day and one.due
    one.tell_ran(one.day, one.due, Done(500, goes_on=True), SYSTEM.context(shanghai(3, 8), one.day))
    assert one.next_plan(shanghai(6, 8), SHANGHAI) is None, "three days later it is still in the midst of it"
    one.tell_ran(one.day, one.due, Done(20), SYSTEM.context(shanghai(6, 8), one.day))
    assert one.pending[-1].done == 520 and one.done == date(2026, 3, 3)


NAMES = ("Asia/Shanghai", "Europe/Berlin", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kathmandu")
ZONES = st.sampled_from([*map(ZoneInfo, NAMES)])
HOURS = st.sampled_from([time(0), time(2, 30), time(8), time(23, 59)])
JUMPS = st.lists(st.tuples(st.integers(-3 * 86_400, 5 * 86_400), ZONES), max_size=30)


@given(HOURS, st.sampled_from(["EACH", "LAST"]), JUMPS)
def test_each_day_is_run_for_at_most_once_and_in_order(
    at: time, missed: Missed, jumps: list[tuple[int, ZoneInfo]]
) -> None:
    """Whatever clock and zone do; where each missed day counts none is left out."""
    one, now = table(at, missed), datetime(2026, 3, 20, 5, tzinfo=UTC)
    days: list[date] = []
    for seconds, zone in jumps:
        now += timedelta(seconds=seconds)
        days += step(one, now, zone)
    assert days == sorted(set(days))
    if missed == "EACH" and days:
        assert days == [days[0] + number * ONE_DAY for number in range(len(days))]
    rule = runs_once("approvals")
    state = rule.state()
    for fact in one.pending:
        rule.folds[type(fact)](state, fact)
    assert not rule.never(state)


def test_the_rule_finds_a_day_that_was_run_twice_and_one_that_nobody_planned() -> None:
    rule, due = runs_once("approvals"), shanghai(3, 8)
    about = {"schedule": DECLARED.name, "day": date(2026, 3, 3), "due": due}
    planned = DECLARED.planned(**about, zone="Asia/Shanghai", skipped=0)
    ran = DECLARED.ran(**about, done=0, goes_on=False)
    for facts, wrong in (
        ([planned, ran], ""),
        ([ran], "ran for 2026-03-03"),
        ([planned, ran, ran], "ran for 2026-03-03"),
        ([planned, ran, planned], "2026-03-03 is planned, 2026-03-03 is done"),
    ):
        state = rule.state()
        for fact in facts:
            rule.folds[type(fact)](state, fact)
        assert wrong in rule.never(state) and bool(wrong) == bool(rule.never(state))
