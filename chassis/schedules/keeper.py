"""Keeps the schedules of one service, and the moments of its records: waits until something is due, and has the
service's writer do it.

What is planned and done stands in the store (`chassis.model.schedules`), so a keeper remembers nothing but which
moments it has tried.  It waits for the very moment, or until its bell rings.  What neither tells it of, another process
of the service, a clock that was set and a moment of a record that was just given, it finds when it looks, LOOK_SECONDS
later at most.
"""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from chassis.access.directory import Directory
from chassis.foundation import metrics
from chassis.foundation.health import Pulse
from chassis.foundation.transient import is_transient
from chassis.model.context import Context
from chassis.model.principal import SYSTEM
from chassis.model.schedules import Due, Failure, Plan, Timetable, timetable_id, timetable_of
from chassis.model.service import Moments
from chassis.schedules.bell import Bell
from chassis.writer.request import Answer, Request
from chassis.writer.writer import Writer
from contracts.errors import Refused
from contracts.personal import person_named
from contracts.schedules import SCHEDULES, Schedule
from contracts.schemas import decode

log = structlog.get_logger()

LOOK_SECONDS = 60.0
RETRY_SECONDS = 1.0
"""After something that passes by itself: the store is away, the writer has too much to do."""
ANSWER_SECONDS = 60.0
LONGEST_PAUSE_SECONDS = 3_600.0
"""So long, at most, a moment of a record is not tried again that has failed."""
ROWS_AT_ONCE = 1_000
"""So many rows are in memory at once."""
STEPS = 100
"""So many plans and runs of one schedule, or moments, one after the other; then the next schedule has its turn."""


@dataclass(frozen=True)
class Wait:
    """A moment of one row, under its key; None: the row can't be read."""

    key: str
    at: datetime | None = None


class Tried:
    """Which moments were tried, and when again, as long as their rows are there: what was done is heard of later."""

    def __init__(self) -> None:
        self._again: dict[Wait, tuple[int, datetime]] = {}  # how often it has failed, and when it is tried again

    def again_at(self, wait: Wait, first: datetime) -> datetime:
        """When a moment is tried: `first`, or when it is its turn again."""
        return self._again[wait][1] if wait in self._again else first

    def done(self, wait: Wait, now: datetime) -> None:
        """It was done, and is again in a while where its row is still there then."""
        self._again[wait] = (0, now + timedelta(seconds=LOOK_SECONDS))

    def failed(self, wait: Wait, now: datetime) -> int:
        """It has failed, and is tried again after a pause that grows; returns how often it has."""
        times = self._again[wait][0] + 1 if wait in self._again else 1
        pause = min(LOOK_SECONDS * 2 ** min(times - 1, 10), LONGEST_PAUSE_SECONDS)
        self._again[wait] = (times, now + timedelta(seconds=pause))
        return times

    def failing(self) -> int:
        """How many have failed when they were tried last."""
        return sum(times > 0 for times, _ in self._again.values())

    def keep(self, there: Collection[Wait]) -> None:
        """Forget those whose rows are gone, or wait for another moment."""
        self._again = {wait: when for wait, when in self._again.items() if wait in there}


class Keeper:
    """A `chassis.foundation.health.Loop` for the schedules of the service whose writer this is."""

    def __init__(
        self,
        writer: Writer,
        directory: Directory,
        bell: Bell,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        pulse: Pulse | None = None,
    ) -> None:
        self._writer = writer
        self._directory = directory
        self._bell = bell
        self._clock = clock
        self._pulse = pulse or Pulse(patience=LOOK_SECONDS + ANSWER_SECONDS)
        self._tried: dict[str, Tried] = {}  # by the rows whose moments are kept
        self._schedules: Mapping[type, Schedule] = {run: SCHEDULES[run] for run in writer.service.schedules}

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self._bell.clear()
            pause = self.turn()
            self._pulse.beat()
            if not stop.is_set():
                self._bell.wait(pause)

    def problem(self) -> str | None:
        return self._pulse.problem()

    def turn(self) -> float:
        """Do what is due; returns for how many seconds there is nothing to do."""
        pauses = [*map(self._keep, self._schedules), *map(self._watch, self._writer.service.moments)]
        return min(pauses, default=LOOK_SECONDS)

    def _keep(self, run: type) -> float:
        """One schedule.  What can't be done now is tried again."""
        one = self._schedules[run]
        try:
            for _ in range(STEPS):
                pause = self._step(run, one)
                if pause > 0:
                    return min(pause, LOOK_SECONDS)
        except Exception as error:
            log.warning("schedule waits", schedule=one.name, error=repr(error))
            return RETRY_SECONDS
        return 0.0

    def _step(self, run: type, one: Schedule) -> float:
        """Plan what comes next, or run what is due; returns for how many seconds there is neither."""
        timetable = self._writer.store.load(timetable_of(run), timetable_id(one)) or timetable_of(run)(
            id=timetable_id(one).id
        )
        now = self._clock()
        if plan := timetable.next_plan(now, self._directory.company.zone):
            self._send(run, plan, now)
            return 0.0
        metrics.of(metrics.SCHEDULE_NEXT, one.name).set(timetable.due.timestamp() if timetable.due else 0)
        until = timetable.waits_until(now)
        if until is None:
            return LOOK_SECONDS
        if until <= now:
            self._run(run, one, timetable, now)
        return max(0.0, (until - now).total_seconds())

    def _run(self, run: type, one: Schedule, timetable: Timetable, now: datetime) -> None:
        assert timetable.day and timetable.due, "it waits until something"
        due = Due(timetable.day, timetable.due)
        try:
            self._send(run, due, now)
        except Exception as error:
            if is_transient(error):
                raise
            reason = _told(error)
            log.error("schedule failed", schedule=one.name, day=str(due.day), error=reason)
            metrics.of(metrics.SCHEDULE_RUNS, one.name, "failed").inc()
            self._send(run, Failure(due, timetable.attempts + 1, reason), now)
        else:
            metrics.of(metrics.SCHEDULE_RUNS, one.name, "ok").inc()
            metrics.of(metrics.SCHEDULE_LATE, one.name).observe(max(0.0, (self._clock() - due.due).total_seconds()))

    def _watch(self, moments: Moments[Any]) -> float:
        """The moments of records: what is due is done, some at once; returns for how many seconds there is nothing.

        What fails, or can't be read, is tried again after a pause that grows, and holds up nothing else.
        """
        name, now = moments.rows.name, self._clock()
        tried = self._tried.setdefault(name, Tried())
        try:
            nearest = self._nearest(moments, tried, now)
            due = [(wait, row) for at, wait, row in nearest if at <= now]
            if due:
                self._do(moments, due, tried, now)
        except Exception as error:
            log.warning("moments wait", rows=name, error=type(error).__name__)
            return RETRY_SECONDS
        metrics.of(metrics.MOMENTS_FAILING, name).set(tried.failing())
        if due:
            return RETRY_SECONDS
        return min([LOOK_SECONDS, *((at - now).total_seconds() for at, *_ in nearest)])

    def _nearest(self, moments: Moments[Any], tried: Tried, now: datetime) -> list[tuple[datetime, Wait, Any]]:
        """When the next rows are due, those that were tried later; which is never more than some at once."""
        nearest: list[tuple[datetime, Wait, Any]] = []
        there: set[Wait] = set()
        after = ""
        while page := self._writer.store.rows_after(moments.rows.name, after, ROWS_AT_ONCE):
            for key, body in page:
                wait, row = self._read(moments, key, body, tried, now)
                there.add(wait)
                if wait.at is not None:
                    nearest.append((tried.again_at(wait, wait.at), wait, row))
            nearest = sorted(nearest, key=lambda one: (one[0], one[1].key))[:STEPS]
            after = page[-1][0]
        tried.keep(there)
        return nearest

    def _read(self, moments: Moments[Any], key: str, body: bytes, tried: Tried, now: datetime) -> tuple[Wait, Any]:
        """What a row waits for, and the row; of one that can't be read it is told now and then."""
        try:
            row = decode(moments.rows.row, body, person_named(key))
            return Wait(key, moments.at(row)), row
        except Exception as error:
            wait = Wait(key)
            if tried.again_at(wait, now) <= now:
                self._tell_failed(moments, wait, tried.failed(wait, now), error, "unreadable")
            return wait, None

    def _do(self, moments: Moments[Any], due: Sequence[tuple[Wait, Any]], tried: Tried, now: datetime) -> None:
        """Have the commands of some rows carried out."""
        asked: list[tuple[Wait, Request]] = []
        for number, (wait, row) in enumerate(due):
            try:
                command = moments.command(row)
            except Exception as error:
                self._tell_failed(moments, wait, tried.failed(wait, now), error, "failed")
                continue
            named = f"moment/{moments.rows.name}/{now.isoformat()}/{number}"
            asked.append((wait, Request(command=command, context=self._context(now), command_id=named)))
        self._writer.submit_all([request for _, request in asked])
        for wait, request in asked:
            try:
                request.future.result(timeout=ANSWER_SECONDS)
            except Exception as error:
                if is_transient(error):
                    raise
                self._tell_failed(moments, wait, tried.failed(wait, now), error, "failed")
            else:
                tried.done(wait, now)
                metrics.of(metrics.MOMENTS, moments.rows.name, "ok").inc()

    def _tell_failed(self, moments: Moments[Any], wait: Wait, times: int, error: Exception, outcome: str) -> None:
        name = moments.rows.name
        log.error(f"moment {outcome}", rows=name, row=wait.key, times=times, error=_told(error))
        metrics.of(metrics.MOMENTS, name, outcome).inc()

    def _context(self, now: datetime) -> Context:
        """That of what Salestream does by itself; who a person is, and may see, is asked of the directory."""
        company = self._directory.company
        caller = replace(SYSTEM, dictionaries=self._directory.dictionaries, organisation=self._directory)
        return caller.context(
            now,
            company.day_of(now),
            currency=company.currency,
            custom_fields=company.custom_fields.of,
            parameter=company.parameter,
            day_of=company.day_of,
        )

    def _send(self, run: Any, prepared: Plan | Due | Failure, now: datetime) -> Answer:
        name, stands = SCHEDULES[run].name, type(prepared).__name__.lower()
        request = Request(
            command=run(),
            context=self._context(now),
            command_id=f"schedule/{name}/{stands}/{now.isoformat()}",
            prepared=prepared,
        )
        self._writer.submit_all([request])
        return request.future.result(timeout=ANSWER_SECONDS)


def _told(error: Exception) -> str:
    """What is told of a failure: texts may tell of persons."""
    return error.why.reason if isinstance(error, Refused) else type(error).__name__
