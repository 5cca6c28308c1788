"""When a schedule is due, what it has done, and what a service does with both.  Pure: times come from outside.

A timetable knows two things: for which day it is to run next, and which day was done last.  Days follow each other
whatever clocks and zones do, so each is run for once; a moment is only worked out of a day, in the zone of now.
What is due runs as a command of the service: all that it records and that the day is done are one transaction, so a
process that dies leaves both or neither, and of two processes one is first (ADR 0051).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from chassis.model.aggregates import Aggregate, internal_event
from chassis.model.context import Context
from chassis.model.identity import Named, record_id
from contracts.declare import REGISTRY
from contracts.errors import Refused
from contracts.pools import POOL_ID
from contracts.schedules import SCHEDULES, AsOf, Daily, Done, Schedule
from contracts.types import Day

ONE_DAY = timedelta(days=1)
MOST_MISSED = 31
"""Days that were missed and are run for one by one; those before are skipped, and the plan tells how many."""
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(hours=1)
"""After a first failure, and at most: each pause is three times the one before."""
LONGEST_REASON = 500
REASON = "reason"
WOULD = "would"
"""The field of the answer to a dry run with what a run would record: of which record which event, and why."""

# -- the calendar


def is_day(day: date, zone: ZoneInfo) -> bool:
    """Whether there is such a day in a zone: one that has changed sides of the date line has left one out."""
    noon = datetime.combine(day, time(12), zone)
    return noon.astimezone(UTC).astimezone(zone).date() == day


def moment_of(day: date, at: time, zone: ZoneInfo) -> datetime:
    """When it is that hour of a day, in UTC.

    An hour that comes twice counts when it comes first.  One that is left out is as much later as the clocks go on.
    """
    return datetime.combine(day, at, zone).astimezone(UTC)


def newest_day(now: datetime, at: time, zone: ZoneInfo) -> date:
    """The last day whose hour has come."""
    day = now.astimezone(zone).date()
    while not is_day(day, zone) or moment_of(day, at, zone) > now:
        day -= ONE_DAY
    return day


# -- what is prepared for a schedule's command where it is not given by hand (`Work.prepared`)


@dataclass(frozen=True)
class Plan:
    """The day for which it is to run next; `version` is that of the timetable for which this was worked out."""

    day: date
    due: datetime
    zone: str
    skipped: int
    version: int


@dataclass(frozen=True)
class Due:
    """What was planned is due."""

    day: date
    due: datetime


@dataclass(frozen=True)
class Failure:
    """What was due has failed, for the `attempt`th time."""

    due: Due
    attempt: int
    reason: str


# -- what is remembered


@internal_event("chassis.schedule-reached")
class ScheduleReached:
    """A part of a run for a day has come so far: the next part goes on after that."""

    day: Day
    reached: str


@dataclass
class Timetable(Aggregate):
    """What a schedule has done, and does next.  `timetable_of` makes the class of each schedule.

    `day` and `due` are what is planned; `done` is the last day that was run for, or skipped; `afresh`: of the days
    before this moment none is run for, as none was while it was switched off.  `reached` is how far the parts of a run
    `within` a day have come.
    """

    active: bool = True
    afresh: bool = True
    day: date | None = None
    due: datetime | None = None
    done: date | None = None
    attempts: int = 0
    again_at: datetime | None = None
    number: int = 0  # what parts of a run that was due have dealt with, while it goes on
    newest: int = 0  # what the newest run, or part of one, has dealt with
    goes_on: bool = False  # whether that one has left more
    within: date | None = None
    reached: str = ""

    snapshot_every: ClassVar[int] = 100
    declared: ClassVar[Schedule]

    # -- deciding

    def next_plan(self, now: datetime, zone: ZoneInfo) -> Plan | None:
        """What is to be planned now; None while it is switched off, and while what is planned still holds."""
        if not self.active:
            return None
        when = self.declared.when
        newest = newest_day(now, when.at, zone)
        first = self._following(newest)
        if self.day is not None:
            first = self.day if self._is_midway else min(self.day, first)
        day = self._day(when, first, newest)
        while not is_day(day, zone):
            day += ONE_DAY
        due = moment_of(day, when.at, zone)
        if (day, due) == (self.day, self.due):
            return None
        return Plan(day, due, zone.key, (day - first).days, self.version)

    @property
    def _is_midway(self) -> bool:
        """Whether a part of what is planned has run, and more is to come."""
        return bool(self.number) or (self.within is not None and self.within == self.day)

    def _following(self, newest: date) -> date:
        """The day after the last that was done; when that is not to be made up for, the next to come.

        What a clock has done that was years ahead does not count when it begins afresh: else nothing would for years.
        """
        to_come = newest + ONE_DAY
        if self.done is None or (self.afresh and self.done > to_come + ONE_DAY):
            return to_come
        following = self.done + ONE_DAY
        return max(following, to_come) if self.afresh or self.day is not None else following

    def _day(self, when: Daily, first: date, newest: date) -> date:
        """The day to run for, of those from `first` on; in the midst of a run that is the day of that run."""
        if newest <= first or self._is_midway:
            return first
        return newest if when.missed == "LAST" else max(first, newest - (MOST_MISSED - 1) * ONE_DAY)

    def waits_until(self, now: datetime) -> datetime | None:
        """Until when there is nothing to do; None: until it is switched on."""
        if not self.active or self.due is None:
            return None
        return max(self.due, self.again_at) if self.again_at else self.due

    # -- recording

    def plan(self, plan: Plan) -> None:
        """Plan what comes next, unless something has happened since that was worked out."""
        if self.active and plan.version == self.version:
            self._record(self.declared.planned, day=plan.day, due=plan.due, zone=plan.zone, skipped=plan.skipped)

    def is_due(self, due: Due) -> bool:
        """Whether it still is: another process may have run it, or planned something else."""
        return self.active and (self.day, self.due) == (due.day, due.due)

    def tell_failed(self, failure: Failure, context: Context) -> None:
        if self.is_due(failure.due) and failure.attempt == self.attempts + 1:
            pause = min(FIRST_PAUSE * 3 ** min(self.attempts, 10), LONGEST_PAUSE)
            self._record(
                self.declared.failed,
                day=failure.due.day,
                due=failure.due.due,
                attempt=failure.attempt,
                reason=failure.reason[:LONGEST_REASON],
                again_at=context.now + pause,
            )

    def as_of(self, day: date, at: datetime) -> AsOf:
        """What a run for a day is for: it goes on where the last part of one for that day has ended."""
        return AsOf(day, at, self.reached if self.within == day else "")

    def tell_ran(self, day: date, due: datetime | None, done: Done, context: Context) -> None:
        earlier = self.number if due else 0
        if done.goes_on and done.reached:
            self.record(ScheduleReached(day=day, reached=done.reached))
        self._record(
            self.declared.ran,
            day=day,
            due=due,
            done=earlier + done.number,
            goes_on=done.goes_on,
            by=context.user,
        )

    def switch(self, command: Any, context: Context) -> None:
        """Switch it off or on.  What is missed while it is off is not made up for."""
        if command.active != self.active:
            self._record(self.declared.switched, active=command.active, by=context.user)

    def _record(self, fact: Any, **told: Any) -> None:
        self.record(fact(schedule=self.declared.name, **told))

    def tell_would(self, facts: Sequence[Any], done: Done) -> None:
        """What a run would have done, for the answer alone: of which record what, and why where that is said; of one
        that comes from a pool of the company's, from which."""
        told = [
            {"id": str(getattr(fact, spec.key)), "event": spec.name, REASON: getattr(fact, REASON, "")}
            | ({POOL_ID: str(pool)} if (pool := getattr(fact, POOL_ID, None)) else {})
            for fact in facts
            if REGISTRY.is_public_event(type(fact)) and (spec := REGISTRY.event_of(type(fact)))
        ]
        self.__dict__["_would"] = {WOULD: told, "done": 0, "goes_on": done.goes_on}

    # -- memory

    def _planned(self, fact: Any) -> None:
        self.day, self.due, self.afresh = fact.day, fact.due, False
        self.done = fact.day - ONE_DAY if fact.skipped else self.done
        self.attempts, self.again_at = 0, None

    def _ran(self, fact: Any) -> None:
        self.newest, self.goes_on = fact.done, fact.goes_on
        if not fact.goes_on:
            self.within, self.reached = None, ""
        if fact.due is None:
            return
        self.attempts, self.again_at = 0, None
        self.number = fact.done if fact.goes_on else 0
        if not fact.goes_on:
            self.done, self.day, self.due = fact.day, None, None

    def _reached(self, fact: ScheduleReached) -> None:
        self.within, self.reached = fact.day, fact.reached

    def _failed(self, fact: Any) -> None:
        self.attempts, self.again_at = fact.attempt, fact.again_at

    def _switched(self, fact: Any) -> None:
        self.active, self.afresh = fact.active, True
        self.day = self.due = self.again_at = None
        self.attempts = self.number = 0

    def reply(self) -> dict[str, Any]:
        told = {"active": self.active, "done": self.newest, "goes_on": self.goes_on}
        return {**told, **self.__dict__.pop("_would", {})}


@cache
def timetable_of(run: type) -> type[Timetable]:
    """The aggregate of a schedule, which is named by its command."""
    one = SCHEDULES[run]
    appliers: dict[type, Callable[[Any, Any], None]] = {
        one.planned: Timetable._planned,
        one.ran: Timetable._ran,
        ScheduleReached: Timetable._reached,
        one.failed: Timetable._failed,
        one.switched: Timetable._switched,
    }
    about = {"declared": one, "appliers": appliers, "__doc__": f"When '{one.called}' runs."}
    made: type[Timetable] = type(f"{run.__name__}Timetable", (Timetable,), about)
    return made


def timetable_id(one: Schedule) -> Named:
    """Under which a schedule's timetable stands."""
    found = record_id("schedule", one.name)
    assert isinstance(found, Named)
    return found


def day_asked_for(day: date | None, context: Context, *, dry: bool) -> date:
    """For which day it is run by hand.

    Raises Refused VALIDATION for a day to come, of which a dry run alone can tell what would be done if nothing
    happened until then.
    """
    if day is not None and day > context.today and not dry:
        raise Refused("schedules.day_to_come", today=context.today, field="day")
    return day or context.today
