"""Sagas: processes over several services, declared as steps with their compensation and kept as event streams.

A saga reacts to facts: the fact a step waits for ends the step and enters the next, which sends its command; a fact
that says a step failed sends the failure's command and waits for a retry; a fact that calls the whole thing off undoes
the steps that were begun, last first.  Commands carry ids made from the process, the step and the attempt, so receivers
do each once however often it is sent.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar, get_type_hints
from uuid import UUID

import msgspec

from chassis.model.aggregates import Aggregate, applies, internal_event
from chassis.model.commands import CommandSent, command_sent
from contracts.declare import REGISTRY, ContractError
from contracts.schemas import decode, encode
from contracts.types import Text

S = TypeVar("S")
F = TypeVar("F")
MAX_RESENDS = 5


@internal_event("chassis.process-started")
class ProcessStarted:
    """A process began (again) for a subject: the fact that started it, as JSON."""

    subject: msgspec.Raw
    round: int


@internal_event("chassis.process-changed")
class ProcessChanged:
    """Steps of a process changed.  `step` is the one it is at now ("" when it has ended)."""

    changes: tuple[tuple[str, str], ...]  # (step, status)
    step: Text
    attempt: int
    resends: int = 0
    kept: tuple[tuple[str, msgspec.Raw], ...] = ()  # (event type, JSON) of facts that later steps need


@dataclass
class Process(Aggregate):
    """The state of one saga: its subject, where it stands, and the status of each step begun.

    Statuses: STARTED, DONE, FAILED (waits for a retry), UNDONE, NEEDS_ATTENTION (gave up re-sending).
    """

    subject: bytes = b""
    round: int = 0
    step: str = ""
    attempt: int = 1
    resends: int = 0
    statuses: dict[str, str] = field(default_factory=dict)
    kept: dict[str, bytes] = field(default_factory=dict)

    @applies(ProcessStarted)
    def _started(self, fact: ProcessStarted) -> None:
        self.subject = bytes(fact.subject)
        self.round = fact.round
        self.step, self.attempt, self.resends, self.statuses, self.kept = "", 1, 0, {}, {}

    @applies(ProcessChanged)
    def _changed(self, fact: ProcessChanged) -> None:
        self.statuses.update(dict(fact.changes))
        self.step, self.attempt, self.resends = fact.step, fact.attempt, fact.resends
        self.kept.update({name: bytes(fact) for name, fact in fact.kept})

    @applies(CommandSent)
    def _sent(self, fact: CommandSent) -> None:
        """Nothing to remember: the command's id says all."""


def _changes_nothing(_process: Process, _fact: Any) -> None:
    """A progress report tells others what the process has already remembered."""


@dataclass(frozen=True)
class Turn:
    """The circumstances of a step: which attempt it is, and the facts that ended steps declared with `keep`."""

    attempt: int
    facts: Mapping[str, bytes]

    def kept(self, cls: type[F]) -> F | None:
        found = self.facts.get(REGISTRY.event_of(cls).name)
        return None if found is None else decode(cls, found)


@dataclass(frozen=True)
class Step(Generic[S]):
    """One step.  `send` makes its command from the subject (None: it only waits); `done` is the fact that ends it,
    remembered for later steps if `keep`; `failed` maps facts to the command that tells so; `retried_by` is the fact
    that tries it again; `undo` makes the compensation.  `people`: it waits for a person, so it has no time limit."""

    name: str
    done: type
    send: Callable[[S, Turn], Any] | None = None
    when: Callable[[S], bool] = lambda subject: True
    failed: Mapping[type, Callable[[S, Any], Any]] = field(default_factory=dict)
    retried_by: type | None = None
    undo: Callable[[S, Any], Any] | None = None
    people: bool = False
    keep: bool = False


@dataclass(frozen=True)
class Saga(Generic[S]):
    """A saga's declaration, readable top to bottom.

    The fact `starts` begins it and is its subject; facts of `stopped_by` call it off; `key_of` reads the id a fact
    is about; `report` makes the public event, of class `reports`, about (step, status, detail) changes.  `round_of`
    tells which time it is that the process runs for its subject, where a fact says so: another round means nothing.
    """

    name: str
    starts: type[S]
    steps: Sequence[Step[S]]
    stopped_by: Sequence[type]
    key_of: Callable[[Any], UUID]
    reports: type
    report: Callable[[Process, S, Sequence[tuple[str, str, str]]], Any]
    round_of: Callable[[Any], int | None] = lambda fact: None

    def __post_init__(self) -> None:
        Process.appliers.setdefault(self.reports, _changes_nothing)
        if len({step.name for step in self.steps}) != len(self.steps):
            raise ContractError(f"saga {self.name}: two steps have one name")

    @property
    def group(self) -> str:
        """The name of its consumer group."""
        return f"{self.name}-saga"

    def facts(self) -> frozenset[type]:
        """Every fact it reacts to."""
        return self._facts

    @cached_property
    def _facts(self) -> frozenset[type]:
        found = {self.starts, *self.stopped_by}
        for step in self.steps:
            found |= {step.done, *step.failed, *([step.retried_by] if step.retried_by else [])}
        return frozenset(found)

    def sends(self) -> frozenset[type]:
        """Every command it may send, as the functions that make them declare it.  Raises ContractError."""
        found = set()
        for step in self.steps:
            for make in (step.send, step.undo, *step.failed.values()):
                if make is None:
                    continue
                made = get_type_hints(make).get("return")
                if not isinstance(made, type):
                    raise ContractError(f"saga {self.name}, step {step.name}: {make} does not say what it sends")
                found.add(REGISTRY.command_of(made).cls)
        return frozenset(found)

    def named(self, name: str) -> Step[S]:
        return next(step for step in self.steps if step.name == name)

    # -- reactions

    def react(self, process: Process, fact: Any) -> None:
        """Record on the process what a fact means for it; a fact of another round, or repeated, means nothing."""
        if isinstance(fact, self.starts):
            self._start(process, fact)
            return
        if not process.step or (self.round_of(fact) or process.round) != process.round:
            return
        if type(fact) in self.stopped_by:
            self._stop(process, fact)
            return
        step = self.named(process.step)
        if isinstance(fact, step.done):
            self._finish(process, step, fact)
        elif type(fact) in step.failed and process.statuses[step.name] != "FAILED":
            self._fail(process, step, fact)
        elif step.retried_by and isinstance(fact, step.retried_by) and process.statuses[step.name] == "FAILED":
            self._enter(process, self.subject(process), step, attempt=process.attempt + 1)

    def subject(self, process: Process) -> S:
        return decode(self.starts, process.subject)

    def _start(self, process: Process, fact: Any) -> None:
        round = self.round_of(fact) or 1
        if process.version and round <= process.round:
            return
        process.record(ProcessStarted(subject=msgspec.Raw(encode(fact)), round=round))
        self._advance(process, fact, after=-1, changes=[])

    def _finish(self, process: Process, step: Step[S], fact: Any) -> None:
        kept = ((REGISTRY.event_of(step.done).name, msgspec.Raw(encode(fact))),) if step.keep else ()
        changes = [(step.name, "DONE", "")]
        self._advance(process, self.subject(process), after=self.steps.index(step), changes=changes, kept=kept)

    def _advance(
        self,
        process: Process,
        subject: S,
        *,
        after: int,
        changes: list[tuple[str, str, str]],
        kept: tuple[tuple[str, msgspec.Raw], ...] = (),
    ) -> None:
        following = [step for step in self.steps[after + 1 :] if step.when(subject)]
        if following:
            self._enter(process, subject, following[0], attempt=1, changes=changes, kept=kept)
        else:
            self._change(process, subject, changes, step="", attempt=1, kept=kept)

    def _enter(
        self,
        process: Process,
        subject: S,
        step: Step[S],
        *,
        attempt: int,
        changes: Sequence[tuple[str, str, str]] = (),
        kept: tuple[tuple[str, msgspec.Raw], ...] = (),
    ) -> None:
        begun = [*changes, (step.name, "STARTED", "")]
        self._change(process, subject, begun, step=step.name, attempt=attempt, kept=kept)
        self._send(process, subject, step)

    def _send(self, process: Process, subject: S, step: Step[S]) -> None:
        if step.send is not None:
            cause = f"{self.name}:{process.id}:{process.round}:{step.name}:{process.attempt}"
            process.record(command_sent(step.send(subject, Turn(process.attempt, process.kept)), cause=cause))

    def _fail(self, process: Process, step: Step[S], fact: Any) -> None:
        subject = self.subject(process)
        detail = type(fact).__name__
        self._change(process, subject, [(step.name, "FAILED", detail)], step=step.name, attempt=process.attempt)
        cause = f"{self.name}:{process.id}:{process.round}:{step.name}:{process.attempt}:failed"
        process.record(command_sent(step.failed[type(fact)](subject, fact), cause=cause))

    def _stop(self, process: Process, fact: Any) -> None:
        subject = self.subject(process)
        begun = [step for step in self.steps if step.name in process.statuses and step.undo is not None]
        undone = [(step.name, "UNDONE", type(fact).__name__) for step in reversed(begun)]
        current = process.step
        if current not in {name for name, _, _ in undone}:
            undone.insert(0, (current, "UNDONE", type(fact).__name__))
        self._change(process, subject, undone, step="", attempt=process.attempt)
        for step in reversed(begun):
            assert step.undo is not None
            cause = f"{self.name}:{process.id}:{process.round}:{step.name}:undo"
            process.record(command_sent(step.undo(subject, fact), cause=cause))

    def timed_out(self, process: Process) -> None:
        """The current step has waited too long for a service: send its command again, in the end ask for attention."""
        if not process.step:
            return
        step, subject = self.named(process.step), self.subject(process)
        status = process.statuses.get(step.name)
        if step.people or status != "STARTED":
            return
        if process.resends >= MAX_RESENDS:
            detail = f"no answer after {MAX_RESENDS} repetitions"
            self._change(
                process, subject, [(step.name, "NEEDS_ATTENTION", detail)], step=step.name, attempt=process.attempt
            )
            return
        process.record(ProcessChanged(changes=(), step=step.name, attempt=process.attempt, resends=process.resends + 1))
        self._send(process, subject, step)

    def _change(
        self,
        process: Process,
        subject: S,
        changes: Sequence[tuple[str, str, str]],
        *,
        step: str,
        attempt: int,
        kept: tuple[tuple[str, msgspec.Raw], ...] = (),
    ) -> None:
        statuses = tuple((name, status) for name, status, _ in changes)
        process.record(ProcessChanged(changes=statuses, step=step, attempt=attempt, kept=kept))
        process.record(self.report(process, subject, changes))

    def needs_attention(self, process: Process) -> bool:
        """Whether the step it is at has been given up: nobody answers, and people must see to it."""
        return bool(process.step) and process.statuses.get(process.step) == "NEEDS_ATTENTION"

    def waits_for_service(self, process: Process) -> bool:
        """Whether the process waits for a service, so that a time limit applies."""
        if not process.step or process.statuses.get(process.step) != "STARTED":
            return False
        return not self.named(process.step).people
