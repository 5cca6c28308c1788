"""Every saga ended or explained: for whom each process waits and since when, or why it does not go on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from chassis.messaging.progress import stored_progress
from chassis.model.saga import Process, ProcessStarted, Saga, Step
from chassis.sagas.runner import WAITING, WaitingRow
from chassis.store.event_store import EventStore
from chassis.store.events import Notification
from chassis.verify.findings import Difference, EventRef, Findings
from contracts.declare import REGISTRY
from contracts.schemas import decode

CHECK = "sagas ended or explained"


@dataclass
class Open:
    """A process that has not ended: its state, its newest event, and when that was."""

    process: Process
    position: int
    since: datetime


@dataclass(frozen=True)
class Overlooked:
    """A fact that the saga has read, and by which its process should have begun (no step) or left a step."""

    event: EventRef
    round: int
    step: str


@dataclass
class SagaCheck:
    """The processes of one saga, folded from its store, and the facts of other services it must have reacted to."""

    service: str
    saga: Saga[Any]
    store: EventStore
    sources: list[str]
    open: dict[UUID, Open] = field(default_factory=dict)
    rounds: dict[UUID, int] = field(default_factory=dict)
    overlooked: dict[UUID, list[Overlooked]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._taken = stored_progress(self.store, self.sources).positions  # before any process is read

    def process_event(self, event: Notification, fact: Any) -> None:
        """Fold an event of the saga's own store.  Of a process that has ended the round is enough."""
        known = self.open.get(event.aggregate_id)
        process = known.process if known else Process(id=event.aggregate_id)
        process.apply(fact)
        if isinstance(fact, ProcessStarted):
            self.rounds[event.aggregate_id] = fact.round
        if process.step or isinstance(fact, ProcessStarted):
            self.open[event.aggregate_id] = Open(process, event.position, event.meta.at)
        else:
            self.open.pop(event.aggregate_id, None)

    def take(self, service: str, event: Notification, source: str, fact: Any) -> None:
        """A fact of another service: has the saga reacted to it, if it has read that far?"""
        if type(fact) not in self.saga.facts() or event.position > self._taken.get(source, 0):
            return
        id = self.saga.key_of(fact)
        round = self.saga.round_of(fact)
        waiting = self.open.get(id)
        ref = EventRef(service, event.position, event.type, f"{event.aggregate_id}/{event.version}")
        if isinstance(fact, self.saga.starts):
            if self.rounds.get(id, 0) < (round or 1):
                self.overlooked.setdefault(id, []).append(Overlooked(ref, round or 1, ""))
        elif waiting and round in (None, waiting.process.round):
            step = self.saga.named(waiting.process.step)
            if type(fact) in self.saga.stopped_by or isinstance(fact, step.done):
                self.overlooked.setdefault(id, []).append(Overlooked(ref, waiting.process.round, step.name))

    # -- in the end

    def reread(self, id: UUID) -> None:
        """Take a process as it is now."""
        process = self.store.load(Process, id)
        if process is None or not process.step:
            self.open.pop(id, None)
            return
        meta = self.store.meta_at(id, process.version)
        position = self.store.position_of(id, process.version)
        assert meta is not None and position is not None, "it has just been read"
        self.open[id] = Open(process, position, meta.at)

    def limit(self, id: UUID) -> datetime | None:
        """Until when a process waits before it sends its command again; None: it has no time limit."""
        body = self.store.row(WAITING, str(id))
        return None if body is None else decode(WaitingRow, body).until

    def stuck(self, id: UUID) -> list[Difference]:
        """Why a process will never go on; nothing when it will."""
        found = []
        if why := self._unlimited(id):
            about = f"{self.saga.name} {id} at {self.open[id].process.step!r}"
            found.append(Difference(CHECK, about, why, EventRef(self.service, self.open[id].position)))
        for fact in self.overlooked.get(id, ()):
            now = self.open[id].process if id in self.open else None
            if not fact.step:
                process = now or self.store.load(Process, id)
                if process is None or process.round < fact.round:
                    message = "the saga has read this event and began no process"
                    found.append(Difference(CHECK, f"{self.saga.name} {id}", message, fact.event))
            elif now and (now.round, now.step) == (fact.round, fact.step):
                message = f"the saga has read this event and still stands at {fact.step!r}"
                found.append(Difference(CHECK, f"{self.saga.name} {id}", message, fact.event))
        return found

    def _unlimited(self, id: UUID) -> str:
        """Why nothing will repeat the command a process waits for; "" when something will, or it waits for none."""
        if id not in self.open or not self.saga.waits_for_service(self.open[id].process):
            return ""
        limit = self.limit(id)
        if limit is None:
            return "it waits for a service without a time limit: nothing will ever repeat the command"
        if limit < datetime.now(UTC):
            return f"its time limit passed at {limit:%Y-%m-%d %H:%M:%S} and nothing repeated the command"
        return ""

    def explain(self, findings: Findings, aside: Mapping[str, str]) -> None:
        """Tell of all open processes for whom they wait; `aside`: ids of subjects -> the record set aside."""
        groups: dict[tuple[str, str], list[Open]] = {}
        for id, found in self.open.items():
            process, step = found.process, self.saga.named(found.process.step)
            status = process.statuses.get(step.name, "")
            if str(id) in aside:
                findings.attention.append(f"{self.saga.name} {id} at {step.name!r}: {aside[str(id)]} is set aside")
            elif status == "NEEDS_ATTENTION":
                since = f"since {found.since:%Y-%m-%d %H:%M:%S}"
                findings.attention.append(f"{self.saga.name} {id} at {step.name!r} needs attention {since}")
            else:
                groups.setdefault((step.name, self._whom(step, status, process)), []).append(found)
        for (name, whom), waiting in sorted(groups.items()):
            since = f"{min(found.since for found in waiting):%Y-%m-%d %H:%M:%S}"
            findings.explained.append(
                f"{self.saga.name}: {len(waiting):,} at {name!r} for {whom}, the longest since {since}"
            )

    def _whom(self, step: Step[Any], status: str, process: Process) -> str:
        if status == "FAILED":
            return (
                f"somebody who tries again ({step.retried_by.__name__})" if step.retried_by else "a word that stops it"
            )
        if step.people:
            return "people"
        if step.send is None:
            return f"{REGISTRY.event_of(step.done).service} ({step.done.__name__})"
        return f"{REGISTRY.event_of(step.done).service} (sent {process.resends + 1} times)"

    def candidates(self) -> set[UUID]:
        """Processes that seem stuck."""
        return {id for id in (*self.open, *self.overlooked) if self.stuck(id)}
