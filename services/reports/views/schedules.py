"""What is done at certain times, when did it run last and when is it next, and did it work?  (NTF-04)"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from chassis.model.changes import Change, EventMetadata, Set
from chassis.model.views import EventFunction, Exact, View
from contracts.declare import REGISTRY
from contracts.schedules import SCHEDULES


@dataclass
class ScheduleRow:
    """A schedule: what it does is the command `action`, which `service` carries out every day at `at` (company's time).

    `missed`: of days that were missed, EACH is run for or only the LAST.  `next_run` is the moment that is planned, for
    `next_day`; null while it is not `active`.  `outcome` is that of the last try: OK, or FAILED and then with the
    `attempt`, the `reason` and when it is tried `again_at`; null before the first.  `last_run` is when it last ran, for
    `last_day`, `by` whom, and `late_by` how many seconds after it was due, null where it was by hand; `done` says how
    many records it has dealt with.
    """

    id: str
    action: str
    service: str
    at: str
    missed: Literal["EACH", "LAST"]
    active: bool
    next_day: date | None
    next_run: datetime | None
    outcome: Literal["OK", "FAILED"] | None
    last_day: date | None
    last_run: datetime | None
    late_by: Decimal | None
    done: int | None
    attempt: int | None
    reason: str | None
    again_at: datetime | None
    by: str | None
    version: int


MILLISECOND = timedelta(milliseconds=1)
TRIED_NO_MORE: Mapping[str, Any] = {"attempt": None, "reason": None, "again_at": None}


def planned(event: Any, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(
        event.schedule, next_day=event.day, next_run=event.due, active=True, again_at=None, version=metadata.version
    )


def ran(event: Any, metadata: EventMetadata) -> Iterable[Change]:
    late = Decimal(max(0, (metadata.at - event.due) // MILLISECOND)).scaleb(-3) if event.due else None
    told = {"last_day": event.day, "last_run": metadata.at, "late_by": late, "done": event.done, "by": event.by.name}
    yield Set(event.schedule, outcome="OK", **told, **TRIED_NO_MORE, version=metadata.version)


def failed(event: Any, metadata: EventMetadata) -> Iterable[Change]:
    tried = {"attempt": event.attempt, "reason": event.reason, "again_at": event.again_at}
    yield Set(event.schedule, outcome="FAILED", **tried, version=metadata.version)


def switched(event: Any, metadata: EventMetadata) -> Iterable[Change]:
    none = {"next_day": None, "next_run": None, "again_at": None}
    yield Set(event.schedule, active=event.active, **none, version=metadata.version)


REGISTRY.load()  # so that every schedule is known
HANDLERS: dict[type, EventFunction] = {}
for one in SCHEDULES.values():
    HANDLERS |= {one.planned: planned, one.ran: ran, one.failed: failed, one.switched: switched}
NAMED = {one.name: one for one in SCHEDULES.values()}


def declared(tells: Callable[[Any], str]) -> Callable[[Mapping[str, Any]], str]:
    """What the declaration of a row's schedule says; nothing of one that there is no longer."""

    def told(row: Mapping[str, Any]) -> str:
        return tells(NAMED[row["_id"]]) if row["_id"] in NAMED else ""

    return told


VIEW = View(
    name="schedules",
    route="GET /schedules",
    detail="schedule",
    row=ScheduleRow,
    permission="platform",
    what="schedule",
    handlers=HANDLERS,
    filters={"outcome": Exact(), "active": Exact()},
    sorts=("next_run", "last_run"),
    default_sort="next_run",
    computed={
        "action": declared(lambda one: one.run.__name__),
        "service": declared(lambda one: one.service),
        "at": declared(lambda one: one.when.at.strftime("%H:%M")),
        "missed": declared(lambda one: one.when.missed),
    },
)
