"""What a service takes from Kafka: commands other services send it, the events its replicas are made of, and those to
which it reacts."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from chassis.access.company import CompanySettings
from chassis.foundation.transient import is_transient
from chassis.messaging.consumer import Fenced
from chassis.messaging.progress import Progress, StoredProgress
from chassis.messaging.records import Incoming, PoisonRecord
from chassis.model.context import ALONE, Organisation
from chassis.model.dictionaries import AS_PREPARED, Dictionaries
from chassis.model.principal import SYSTEM
from chassis.model.service import Replica
from chassis.store.event_store import Conflict, EventStore
from chassis.writer.request import Request
from chassis.writer.writer import Writer
from contracts.declare import REGISTRY
from contracts.errors import Refused
from contracts.people import Person
from contracts.personal import person_named
from contracts.schemas import decode

R = TypeVar("R")

ANSWER_SECONDS = 60.0


@dataclass(frozen=True)
class HeardHere:
    """An event as who reacts to it hears of it (`chassis.model.service.Heard`)."""

    id: str
    at: datetime
    store: EventStore
    zone: ZoneInfo
    dictionaries: Dictionaries = AS_PREPARED

    def lookup(self, replica: Replica[R], key: UUID | str) -> R | None:
        body = self.store.row(replica.name, str(key))
        return None if body is None else decode(replica.row, body, person_named(str(key)))


class Inbox:
    """A `chassis.messaging.consumer.RecordHandler` for one service.

    Commands go through the writer like all others; their ids are remembered, so a repeat does nothing.  One that comes
    after its result was forgotten does nothing either: each record knows the round it is at (ADR 0032).  A command
    that a rule refuses is poison: the saga sends only what must succeed.  So is one at which the service fails.

    A reaction (`Service.reactions`) is a command like those, made of an event by this service itself; it knows what
    the events of the same record before it have told.
    """

    def __init__(
        self,
        writer: Writer,
        company: CompanySettings,
        *,
        organisation: Organisation = ALONE,
        dictionaries: Dictionaries = AS_PREPARED,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.group = writer.service.name
        self._writer = writer
        self._company = company
        self._clock = clock
        self._progress: StoredProgress | None = None
        self._commands = {spec.name: spec.cls for spec in writer.service.specs() if not spec.is_public}
        self._caller = replace(SYSTEM, organisation=organisation, dictionaries=dictionaries)
        self._reactions = {REGISTRY.event_of(fact).name: react for fact, react in writer.service.reactions.items()}
        self._fed_by = {fact for replica in writer.service.replicas for fact in replica.feeds}

    def topics(self) -> Sequence[str]:
        return self._writer.service.consumed_topics()

    def wanted(self) -> Mapping[str, type]:
        facts = {*self._fed_by, *self._writer.service.reactions}
        return {**self._commands, **{REGISTRY.event_of(fact).name: fact for fact in facts}}

    def offsets(self, sources: Sequence[str]) -> Mapping[str, int]:
        if self._progress is None:
            progress = StoredProgress(self._writer.store, self.group, sources)
            self._writer.learn_of_others()  # what is learned between the two makes the next batch a Conflict
            self._progress = progress
        return self._progress.progress.offsets

    def progress(self, topic: str) -> Sequence[Progress]:
        assert self._progress is not None, "offsets() first"
        return [self._progress.progress]

    def process(self, records: Sequence[Incoming]) -> None:
        for part in self._parts(records):
            self._process(part)

    def _parts(self, records: Sequence[Incoming]) -> Iterator[Sequence[Incoming]]:
        """The records in parts, each a transaction: before a reaction all is known that its record's events told."""
        part: list[Incoming] = []
        fed: set[tuple[str, str]] = set()
        for record in records:
            if record.type in self._reactions and (record.topic, record.key) in fed:
                yield part
                part, fed = [], set()
            part.append(record)
            if type(record.fact) in self._fed_by:
                fed.add((record.topic, record.key))
        yield part

    def _process(self, records: Sequence[Incoming]) -> None:
        assert self._progress is not None, "offsets() first"
        after = self._progress.branch()
        new = [record for record in records if after.accept(record)]
        self._carry_out([request for record in new for request in self._requests(record)])
        facts = [record.fact for record in new if record.type not in self._commands]
        try:
            self._writer.learn(facts, self._progress.changes(after), self._progress.skipped(after))
        except Conflict as error:
            self._progress = None
            raise Fenced("another process of this service") from error
        self._progress.adopt(after)

    def forget(self) -> None:
        self._progress = None

    def is_current(self) -> bool:
        return self._progress is None or self._progress.is_current()

    def idle(self) -> None:
        """Nothing to do."""

    def _requests(self, record: Incoming) -> list[Request]:
        """The command that the record is, or those of who reacts to it."""
        if record.type in self._commands:
            return [self._request(record, record.fact, record.id)]
        if record.type not in self._reactions:
            return []
        at, dictionaries = record.at or self._clock(), self._caller.dictionaries
        heard = HeardHere(record.id, at, self._writer.store, self._company.zone, dictionaries)
        made = self._reactions[record.type](record.fact, heard)
        return [self._request(record, command, f"{record.id}:{_named(command)}") for command in made]

    def _carry_out(self, requests: Sequence[Request]) -> None:
        if not requests:
            return
        self._writer.submit_all(requests)
        for request in requests:
            try:
                request.future.result(timeout=ANSWER_SECONDS)
            except Refused as refusal:
                if is_transient(refusal):
                    raise
                raise PoisonRecord(f"{request.name} refused: {refusal.code}: {refusal.message}") from refusal

    def _request(self, record: Incoming, command: Any, command_id: str) -> Request:
        now = self._clock()
        sender = record.headers.get("ce_source", "").rpartition("/")[2]
        return Request(
            command=command,
            context=self._caller.context(
                now,
                self._company.day_of(now),
                currency=self._company.currency,
                custom_fields=self._company.custom_fields.of,
                parameter=self._company.parameter,
            ),
            command_id=command_id,
            remember=True,
            is_named=True,
            correlation_id=record.correlation_id,
            causation_id=record.id,
            traceparent=record.headers.get("ce_traceparent", ""),
            person=Person(name=sender) if sender else None,
        )


def _named(command: Any) -> str:
    """What tells a command from the others of a reaction: by their number one would be taken for another, where what
    the service knows has changed before the event comes again."""
    spec = REGISTRY.command_of(type(command))
    return f"{spec.name}:{getattr(command, spec.key)}"
