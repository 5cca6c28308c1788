"""Keeps the schedules of one service, and the moments of its records: waits until something is due, and has the
service's writer do it.

What is planned and done stands in the store (`chassis.model.schedules`), so a keeper remembers nothing.  It waits for
the very moment, or until its bell rings.  What neither tells it of, another process of the service, a clock that was
set and a moment of a record that was just given, it finds when it looks, LOOK_SECONDS later at most.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
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
from contracts.schedules import SCHEDULES, Schedule
from contracts.schemas import decode

log = structlog.get_logger()

LOOK_SECONDS = 60.0
RETRY_SECONDS = 1.0
"""After something that passes by itself: the store is away, the writer has too much to do."""
ANSWER_SECONDS = 60.0
STEPS = 100
"""So many plans and runs of one schedule one after the other; then the next schedule has its turn."""


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
            reason = (
                error.why.reason if isinstance(error, Refused) else type(error).__name__
            )  # texts may tell of persons
            log.error("schedule failed", schedule=one.name, day=str(due.day), error=reason)
            metrics.of(metrics.SCHEDULE_RUNS, one.name, "failed").inc()
            self._send(run, Failure(due, timetable.attempts + 1, reason), now)
        else:
            metrics.of(metrics.SCHEDULE_RUNS, one.name, "ok").inc()
            metrics.of(metrics.SCHEDULE_LATE, one.name).observe(max(0.0, (self._clock() - due.due).total_seconds()))

    def _watch(self, moments: Moments[Any]) -> float:
        """The moments of records: what is due is done, some at once; returns for how many seconds there is nothing.

        What fails is tried again when it looks the next time, and holds up nothing else.
        """
        now = self._clock()
        try:
            rows = [decode(moments.rows.row, row) for row in self._writer.store.rows(moments.rows.name)]
            waits = sorted(((moments.at(row), str(row), row) for row in rows), key=lambda one: one[:2])
            due = [row for at, _, row in waits if at <= now]
            if not due:
                return min([LOOK_SECONDS, *((at - now).total_seconds() for at, *_ in waits)])
            return RETRY_SECONDS if self._do(moments, due[:STEPS], now) else LOOK_SECONDS
        except Exception as error:
            log.warning("moments wait", rows=moments.rows.name, error=repr(error))
            return RETRY_SECONDS

    def _do(self, moments: Moments[Any], due: Sequence[Any], now: datetime) -> bool:
        """Have the commands of some rows carried out; returns whether none has failed."""
        requests = [
            Request(
                command=moments.command(row),
                context=self._context(now),
                command_id=f"moment/{moments.rows.name}/{now.isoformat()}/{number}",
            )
            for number, row in enumerate(due)
        ]
        self._writer.submit_all(requests)
        failed = 0
        for request in requests:
            try:
                request.future.result(timeout=ANSWER_SECONDS)
            except Exception as error:
                if is_transient(error):
                    raise
                failed += 1
                log.error("moment failed", command=type(request.command).__name__, error=type(error).__name__)
        return not failed

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
