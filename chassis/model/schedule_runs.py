"""What must hold of what a service tells of its schedules: each day that was planned is done once (`Rule`)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from chassis.model.checks import Rule
from contracts.schedules import schedules_of


@dataclass
class Runs:
    """What is planned, the last day that was done, and the first thing that can't be right."""

    planned: tuple[date, datetime] | None = None
    done: date | None = None
    wrong: str = ""

    def note(self, wrong: str) -> None:
        self.wrong = self.wrong or wrong


def planned(runs: Runs, fact: Any) -> None:
    if runs.done is not None and fact.day <= runs.done:
        runs.note(f"{fact.day} is planned, {runs.done} is done")
    runs.planned = fact.day, fact.due


def ran(runs: Runs, fact: Any) -> None:
    if fact.due is None:  # by hand: as often as somebody likes
        return
    if runs.planned != (fact.day, fact.due):
        runs.note(f"ran for {fact.day}, due {fact.due}, when {runs.planned} was planned")
    if not fact.goes_on:
        runs.planned, runs.done = None, fact.day


def failed(runs: Runs, fact: Any) -> None:
    if runs.planned != (fact.day, fact.due):
        runs.note(f"failed for {fact.day}, due {fact.due}, when {runs.planned} was planned")


def switched(runs: Runs, _: Any) -> None:
    """It begins afresh: so it may, when a clock was years ahead."""
    runs.planned = runs.done = None


def runs_once(service: str) -> Rule[Runs]:
    """The rule of a service's schedules."""
    folds: dict[type, Callable[[Runs, Any], None]] = {}
    for one in schedules_of(service).values():
        folds |= {one.planned: planned, one.ran: ran, one.failed: failed, one.switched: switched}
    return Rule("schedules", Runs, key=lambda fact: fact.schedule, folds=folds, never=lambda runs: runs.wrong)
