"""Schedules: what a service does by itself at certain times, declared once.

    @schedule(Daily(time(8), missed="LAST"))
    class RemindDeciders:
        \"\"\"Remind those for whom approvals wait (NTF-04).\"\"\"

The class becomes the command that does it, which may also be given by hand: `POST /schedules/remind-deciders/runs`.
`dry` tells what it would do, also on a day to come, and does nothing.  With it come the command SwitchRemindDeciders
(`PUT /schedules/remind-deciders`) and the events RemindDecidersPlanned, RemindDecidersRan, RemindDecidersFailed and
RemindDecidersSwitched, which stand in the module beside it.  The service says what is to be done:
`Service(..., schedules={RemindDeciders: remind})` (ADR 0051).
"""

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, Literal, TypeVar

from contracts.declare import ContractError, command, event
from contracts.people import SALESTREAM, Person
from contracts.types import Day, Flag, Moment, Name, Note, Whole

T = TypeVar("T")

Missed = Literal["EACH", "LAST"]
"""Of the days that have passed while nothing could run: each is run for, the earliest first, or the last of them."""

_WORD = re.compile(r"[A-Z][a-z0-9]*")
_FEATURES = re.compile(r" \(([A-Z]{2,4}-[^)]*)\)")


@dataclass(frozen=True)
class Daily:
    """Once for each day of the company's calendar, at an hour of the company's zone (SET-03)."""

    at: time
    missed: Missed = "LAST"


@dataclass(frozen=True)
class AsOf:
    """What a run is for: a day of the company, and the moment that was due, or at which it was asked for by hand.

    Not the time at which it runs: that may be days later.  `after`: how far an earlier part of the run has come, as
    that told (`Done.reached`); "" for the first one.
    """

    day: date
    at: datetime
    after: str = ""


@dataclass(frozen=True)
class Done:
    """How many records a run has dealt with.

    `goes_on`: there are more; it is called again, for the same day, and told how far this part has `reached`, so that
    it need not look again at what comes before.
    """

    number: int
    goes_on: bool = False
    reached: str = ""


@dataclass(frozen=True)
class Schedule:
    """A schedule that is declared, and the commands and events made of its declaration."""

    name: str
    called: str
    summary: str
    service: str
    when: Daily
    run: type
    switch: type
    planned: Any
    ran: Any
    failed: Any
    switched: Any

    @property
    def commands(self) -> tuple[type, ...]:
        return (self.run, self.switch)

    @property
    def events(self) -> tuple[type, ...]:
        return (self.planned, self.ran, self.failed, self.switched)


SCHEDULES: dict[type, Schedule] = {}


def schedules_of(service: str) -> Mapping[type, Schedule]:
    """The schedules that a service's contracts declare."""
    return {cls: one for cls, one in SCHEDULES.items() if one.service == service}


def schedule(when: Daily, *, permission: str = "platform") -> Callable[[type[T]], type[T]]:
    """Declare a schedule.  `permission` is the right to run it by hand, and to switch it off and on.

    Raises ContractError where it is declared wrongly.
    """

    def declare(cls: type[T]) -> type[T]:
        words = _WORD.findall(cls.__name__)
        if "".join(words) != cls.__name__ or not cls.__doc__:
            raise ContractError(
                f"{cls.__qualname__}: a schedule has a name such as RemindDeciders, and says what it does"
            )
        if vars(cls).get("__annotations__"):
            raise ContractError(f"{cls.__qualname__}: a schedule is told nothing but the day for which it runs")
        made = _Declaration(cls, "-".join(words).lower(), when, permission).schedule()
        SCHEDULES[made.run] = made
        return made.run

    return declare


class _Declaration:
    """What a schedule's commands and events are made of."""

    def __init__(self, cls: type, name: str, when: Daily, permission: str) -> None:
        self._cls, self._name, self._when, self._permission = cls, name, when, permission
        self._service = cls.__module__.rpartition(".")[2]
        found = _FEATURES.search(cls.__doc__ or "")
        self._features = found[0] if found else ""
        self._path = f"/schedules/{name}"

    def schedule(self) -> Schedule:
        called = self._name.replace("-", " ")
        return Schedule(
            name=self._name,
            called=called,
            summary=(self._cls.__doc__ or "").strip().partition("\n")[0],
            service=self._service,
            when=self._when,
            run=self._command(
                "",
                self._cls.__doc__ or "",
                f"POST {self._path}/runs",
                {"day": Day | None, "dry": Flag},
                {"day": None, "dry": False},
            ),
            switch=self._command(
                "Switch", f"Switch the schedule '{called}' off or on.", f"PUT {self._path}", {"active": Flag}
            ),
            planned=self._event(
                "Planned", f"When '{called}' runs next: for which day, at which moment, in which zone.",
                {"day": Day, "due": Moment, "zone": Name, "skipped": Whole},
            ),
            ran=self._event(
                "Ran",
                f"'{called}' has run for a day; `due` is null where it was by hand.  `goes_on`: a part of it is done.",
                {"day": Day, "due": Moment | None, "done": Whole, "goes_on": Flag},
            ),
            failed=self._event(
                "Failed", f"'{called}' could not run; it is tried again at `again_at`.",
                {"day": Day, "due": Moment, "attempt": Whole, "reason": Note, "again_at": Moment},
            ),
            switched=self._event("Switched", f"'{called}' was switched off or on.", {"active": Flag}),
        )  # fmt: skip

    def _command(
        self,
        verb: str,
        text: str,
        route: str,
        annotations: Mapping[str, Any],
        defaults: Mapping[str, Any] | None = None,
    ) -> type:
        told = {**annotations, "schedule": Literal[self._name]}
        made = self._class(f"{verb}{self._cls.__name__}", text, told, {**(defaults or {}), "schedule": self._name})
        return self._beside(command(route, permission=self._permission, key="schedule")(made))

    def _event(self, verb: str, text: str, annotations: Mapping[str, Any]) -> type:
        told = {"schedule": Name, **annotations, "by": Person}
        made = self._class(f"{self._cls.__name__}{verb}", self._with_features(text), told, {"by": SALESTREAM})
        return self._beside(event(f"salestream.{self._service}.{self._name}-{verb.lower()}.v1", key="schedule")(made))

    def _with_features(self, text: str) -> str:
        head, dot, rest = text.rpartition(".")
        return f"{head}{self._features}{dot}{rest}"

    def _class(self, name: str, text: str, annotations: Mapping[str, Any], defaults: Mapping[str, Any]) -> type:
        about = {"__module__": self._cls.__module__, "__doc__": text, "__annotations__": dict(annotations)}
        return type(name, (), {**about, **defaults})

    def _beside(self, made: type) -> type:
        setattr(sys.modules[self._cls.__module__], made.__name__, made)
        return made
