"""What a service takes from Kafka: commands other services send it, and the events its replicas are made of."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from chassis.access.company import CompanySettings
from chassis.foundation.transient import is_transient
from chassis.messaging.consumer import Fenced
from chassis.messaging.progress import Progress, StoredProgress
from chassis.messaging.records import Incoming, PoisonRecord
from chassis.model.principal import SYSTEM
from chassis.store.event_store import Conflict
from chassis.writer.request import Request
from chassis.writer.writer import Writer
from contracts.declare import REGISTRY
from contracts.errors import Refused
from contracts.people import Person

ANSWER_SECONDS = 60.0


class Inbox:
    """A `chassis.messaging.consumer.RecordHandler` for one service.

    Commands go through the writer like all others; their ids are remembered, so a repeat does nothing.  One that comes
    after its result was forgotten does nothing either: each record knows the round it is at (ADR 0032).  A command
    that a rule refuses is poison: the saga sends only what must succeed.  So is one at which the service fails.
    """

    def __init__(
        self,
        writer: Writer,
        company: CompanySettings,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.group = writer.service.name
        self._writer = writer
        self._company = company
        self._clock = clock
        self._progress: StoredProgress | None = None
        self._commands = {spec.name: spec.cls for spec in writer.service.specs() if not spec.is_public}

    def topics(self) -> Sequence[str]:
        return self._writer.service.consumed_topics()

    def wanted(self) -> Mapping[str, type]:
        facts = {fact for replica in self._writer.service.replicas for fact in replica.feeds}
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
        assert self._progress is not None, "offsets() first"
        after = self._progress.branch()
        new = [record for record in records if after.accept(record)]
        self._carry_out([record for record in new if record.type in self._commands])
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

    def _carry_out(self, records: Sequence[Incoming]) -> None:
        if not records:
            return
        requests = [self._request(record) for record in records]
        self._writer.submit_all(requests)
        for request in requests:
            try:
                request.future.result(timeout=ANSWER_SECONDS)
            except Refused as refusal:
                if is_transient(refusal):
                    raise
                raise PoisonRecord(f"{request.name} refused: {refusal.code}: {refusal.message}") from refusal

    def _request(self, record: Incoming) -> Request:
        now = self._clock()
        command: Any = record.fact
        sender = record.headers.get("ce_source", "").rpartition("/")[2]
        return Request(
            command=command,
            context=SYSTEM.context(now, self._company.day_of(now), currency=self._company.currency),
            command_id=record.id,
            remember=True,
            is_named=True,
            correlation_id=record.correlation_id,
            causation_id=record.id,
            traceparent=record.headers.get("ce_traceparent", ""),
            person=Person(name=sender) if sender else None,
        )
