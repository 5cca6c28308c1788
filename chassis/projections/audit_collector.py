"""Collectors: bring the audit entries of each service's store into MongoDB, where `GET /audit` finds them.

They go there directly and not over Kafka: entries hold addresses and what people asked for, which no topic that many
read may keep for ever; and the projector's views need not wait for them.  What is there is a copy: entries have fixed
ids and never change, so bringing one twice, or all of them anew, gives the same documents.
"""

import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import structlog
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from chassis.audit.chain import Record, entry_id
from chassis.foundation import metrics
from chassis.foundation.health import Pulse
from chassis.messaging.consistency import service_of
from chassis.model.views import View
from chassis.projections.collections import STATES
from chassis.projections.state import live_id, open_state
from chassis.store.event_store import EventStore
from contracts.declare import REGISTRY

log = structlog.get_logger()

RECORDS = 20  # at once: each holds up to a thousand entries
PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.25, 1.0  # twice as long each time that nothing is found
RETRY_SECONDS = 1.0
HEARTBEAT_SECONDS = 3.0
DUPLICATE_KEY = 11000
Document = dict[str, Any]


def documents(service: str, record: Record) -> list[Document]:
    """The entries of a record as MongoDB keeps them.

    What was asked for stays JSON text: names in it come from outside and may be none that MongoDB takes.
    """
    return [
        {
            "_id": entry_id(service, record.number, place),
            "service": service,
            "record": record.number,
            "hash": record.hash.hex(),
            "at": entry.at,
            "kind": entry.kind,
            "action": entry.action,
            "result": entry.result,
            "field": entry.field,
            "detail": entry.detail,
            "user_id": entry.user_id,
            "user": entry.user,
            "session_id": entry.session_id,
            "machine": entry.machine,
            "address": entry.address,
            "object_kind": entry.object_kind,
            "object_id": entry.object_id,
            "command_id": entry.command_id,
            "correlation_id": entry.correlation_id,
            "fields": bytes(entry.fields).decode(),
            "changes": [
                {"id": str(change.aggregate_id), "before_version": change.before, "after_version": change.after}
                for change in entry.changes
            ],
        }
        for place, entry in enumerate(record.entries())
    ]


class Milestone(NamedTuple):
    """Where a store was: with this audit record all is told of the events up to this position of its log."""

    record: int
    position: int


class Collector:
    """Brings one service's entries.  `step()` brings the next records'; `run()` goes on until `stop` is set."""

    def __init__(
        self,
        store: EventStore,
        database: "Database[Document]",
        view: View,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._database = database
        self._view = view
        self._clock = clock
        self._ticks = ticks
        self._beat_at = -HEARTBEAT_SECONDS  # by a clock that nobody sets
        self._collected: int | None = None
        self._kept = 0
        """The number that MongoDB holds, as it was last read or written."""
        self._next: Milestone | None = None
        self._told = -1
        self._pulse = Pulse()

    def problem(self) -> str | None:
        """Why nothing is brought (`chassis.foundation.health`)."""
        return self._pulse.problem()

    def step(self) -> int:
        """Bring the next records' entries; returns how many that were.  Raises PyMongoError, PersistenceError."""
        if self._collected is None:
            state = open_state(self._database, self._view, live_id(self._view))
            self._collected = self._kept = collected(state, self._store.name)
            self._next = None
        if self._next is None:
            position = self._store.last_position()  # asked first: an event and its audit record come together
            self._next = Milestone(self._store.last_audit(), position)
        looked_at = self._clock()
        records = self._store.audit_after(self._collected, RECORDS)
        found = [document for record in records for document in documents(self._store.name, record)]
        if found:
            self._insert(found)
        if records:
            self._collected = records[-1].number
        is_all = len(records) < RECORDS
        has_news = records or ((passed := self._passed()) and passed.position > self._told)
        if has_news or self._ticks() - self._beat_at >= HEARTBEAT_SECONDS:
            self._beat_at = self._ticks()
            if is_all:
                self._save("$set", looked_at)
            else:
                self._save("$max", records[-1].entries()[-1].at)
        return len(found)

    def _insert(self, found: list[Document]) -> None:
        try:
            self._database[self._view.name].insert_many(found, ordered=False)
        except BulkWriteError as error:
            codes = {item.get("code") for item in (error.details or {}).get("writeErrors", ())}
            if codes != {DUPLICATE_KEY}:
                raise

    def _save(self, operator: str, as_of: datetime) -> None:
        """Everything until `as_of` is there.  Where that is all there is, it holds by the clock as it is ($set)."""
        place = f"collected.{self._store.name}"
        update: dict[str, Document] = {"$max": {f"{place}.number": self._collected}}
        update.setdefault(operator, {})[f"{place}.as_of"] = as_of
        if passed := self._passed():
            update["$max"][f"{place}.position"] = passed.position
        state: Document = {"_id": live_id(self._view)}
        if self._kept:
            state[f"{place}.number"] = self._kept
        if self._database[STATES].update_one(state, update).matched_count:
            self._kept = self._collected or 0
        else:  # somebody has it brought anew (docs/runbooks/audit.md), has restored an older one, or collects beside us
            self._collected = None
        if passed:
            self._next, self._told = None, passed.position

    def _passed(self) -> Milestone | None:
        """The milestone that is reached now.  One is set before it is known how much there is to bring up to it, so
        that it is reached also while ever more is written down."""
        return self._next if self._next and self._next.record <= (self._collected or 0) else None

    def run(self, stop: threading.Event) -> None:
        pause = PAUSE_SECONDS
        while not stop.is_set():
            try:
                found = self.step()
                lag = self._store.last_audit() - (self._collected or 0) if found else 0
                metrics.of(metrics.AUDIT_LAG, self._store.name).set(lag)
                self._pulse.beat()
            except Exception as error:  # MongoDB or the store is away: nothing is lost, try again
                self._pulse.fails(error)
                log.warning("collector waits", service=self._store.name, error=repr(error))
                self._collected = None
                stop.wait(RETRY_SECONDS)
                continue
            pause = PAUSE_SECONDS if found else min(2 * pause, LONGEST_PAUSE_SECONDS)
            if not found:
                stop.wait(pause)


def collected(state: Document, service: str) -> int:
    """The number of the newest record of a service whose entries are all in MongoDB."""
    return _told(state, service, "number")


def tells_of(positions: Mapping[str, int], records: Mapping[str, int], state: Document) -> bool:
    """Whether the entries are there of all that happened up to these positions of the services' logs (by source).

    `records` are the numbers of audit records that must be there as well.  Who takes no commands has no entries.
    """
    wanted: dict[str, int] = {}
    for source, position in positions.items():
        service = service_of(source)
        wanted[service] = max(position, wanted.get(service, 0))
    takers = {spec.service for spec in REGISTRY.commands.values()}
    return all(_told(state, service, "position") >= at for service, at in wanted.items() if service in takers) and all(
        collected(state, service) >= number for service, number in records.items()
    )


def _told(state: Document, service: str, what: str) -> int:
    return int(state.get("collected", {}).get(service, {}).get(what, 0))
