"""The projector: feeds views from Kafka.  A view's documents and its offsets change in one MongoDB transaction.

The views of a batch are written in lanes, side by side: most of the time of a write is waiting for the server.

Each view has a state document: the collection that is live, how far each source is applied, and a revision that
fences a second projector.  A rebuild fills a collection beside the live one from event one, catches up, and switches.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

import structlog
from pymongo import DeleteOne, ReplaceOne, UpdateOne
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import BulkWriteError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from chassis.catalogue import projector_group
from chassis.foundation import metrics
from chassis.messaging.consumer import Fenced
from chassis.messaging.kafka import dead_letter_topic
from chassis.messaging.progress import Progress
from chassis.messaging.records import Incoming, PoisonRecord
from chassis.model.changes import Change, EventMetadata
from chassis.model.views import View
from chassis.projections.collections import SKIPPED, STATES, Document, mongo_key
from chassis.projections.documents import operations
from chassis.projections.state import (
    ViewState,
    keep_aside,
    live_id,
    open_state,
    skipped_id,
    source_told,
    state_of,
)
from chassis.projections.versions import write_versions
from contracts.declare import REGISTRY

log = structlog.get_logger()

HEARTBEAT_SECONDS = 1.0
LANE_CHANGES = 100
"""From so many changes on another transaction beside the first one is worth its cost."""


@dataclass
class Projection:
    """What a batch means for one view: changes in order, and the progress after them."""

    state: ViewState
    progress: Progress
    changes: list[tuple[Change, EventMetadata]] = field(default_factory=list)
    last_at: datetime | None = None

    def apply(self, record: Incoming) -> None:
        """Take a record in.  Raises PoisonRecord when the view's handler can't deal with it."""
        if not self.progress.accept(record):
            return
        assert record.at is not None
        self.last_at = record.at
        handler = self.state.view.handlers.get(type(record.fact))
        if handler is None:
            return
        info = EventMetadata(
            id=record.id,
            type=record.type,
            at=record.at,
            source=record.source,
            position=record.position,
            user_id=record.headers.get("ce_authid", ""),
            day_told=record.headers.get("ce_day", ""),
            by=getattr(record.fact, "by", None),
            cause=record.headers.get("ce_causationid", ""),
        )
        try:
            view = self.state.view
            self.changes += [(view.keyed(change), info) for change in handler(record.fact, info)]
        except Exception as error:  # a handler is a pure function: what fails once fails always
            raise PoisonRecord(f"view {self.state.view.name}: {type(error).__name__}: {error}") from error


class Projector:
    """Keeps a set of views up to date (a `chassis.messaging.consumer.RecordHandler`)."""

    def __init__(
        self,
        database: "Database[Document]",
        views: Sequence[View],
        *,
        group: str = "",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        ticks: Callable[[], float] = time.monotonic,
        lanes: int = 1,
    ) -> None:
        self.group = group or projector_group()
        self._lanes = lanes
        self._threads = ThreadPoolExecutor(lanes, f"{self.group}-lane") if lanes > 1 else None
        self._dead_topic = dead_letter_topic(self.group)
        self._clock = clock
        self._ticks = ticks
        self.database = database
        self.views = views
        self._states: list[ViewState] = []
        self._beat_at = -HEARTBEAT_SECONDS  # by a clock that nobody sets

    def topics(self) -> Sequence[str]:
        return sorted({topic for view in self.views for topic in view.topics})

    def wanted(self) -> Mapping[str, type]:
        facts = {fact for view in self.views for fact in view.handlers}
        return {REGISTRY.event_of(fact).name: fact for fact in facts}

    def offsets(self, sources: Sequence[str]) -> Mapping[str, int]:
        """The lowest offset any view needs, per source; read from MongoDB the first time."""
        if not self._states:
            self._states = [self._load(view) for view in self.views]
        return {
            source: min(state.progress.offsets.get(source, 0) for state in self._states if self._reads(state, topic))
            for source in sources
            for topic in [source.rpartition(":")[0]]
        }

    def _reads(self, state: ViewState, topic: str) -> bool:
        """Whether a view takes note of a topic: of its own, and of the letters that may come from them."""
        return topic in state.view.topics or topic == self._dead_topic

    def _load(self, view: View) -> ViewState:
        return state_of(self.database, view, open_state(self.database, view, live_id(view)))

    def progress(self, topic: str) -> Sequence[Progress]:
        return [state.progress for state in self._states if self._reads(state, topic)]

    def process(self, records: Sequence[Incoming]) -> None:
        batch = []
        for state in self._states:
            own = [record for record in records if self._reads(state, record.topic)]
            if own:
                projection = Projection(state, state.progress.branch())
                for record in own:
                    projection.apply(record)
                batch.append(projection)
        try:
            self._commit(batch)
        except Fenced:
            self._states = []
            raise
        for projection in batch:
            if projection.last_at:
                age = (self._clock() - projection.last_at).total_seconds()
                metrics.of(metrics.FRESHNESS, projection.state.view.name).set(age)

        moments = [record.at for record in records if record.at]
        if moments:
            self._beat({"$max": {"idle_at": max(moments)}})

    def _commit(self, batch: Sequence[Projection]) -> None:
        """Write a batch: each lane its views in one transaction, all lanes side by side.

        A lane that fails leaves the others as they are: every view has its own offsets, and takes in nothing twice.
        """
        lanes = split(batch, self._lanes_for(batch))
        if self._threads is None or len(lanes) < 2:
            commit(self.database, batch)
            return
        written = [self._threads.submit(commit, self.database, lane) for lane in lanes]
        wait(written)
        failures = [error for future in written if (error := future.exception())]
        if failures:
            raise min(failures, key=_urgency)

    def _lanes_for(self, batch: Sequence[Projection]) -> int:
        """How many transactions a batch is worth: each costs a commit and a look at the states."""
        return min(self._lanes, 1 + sum(len(projection.changes) for projection in batch) // LANE_CHANGES)

    def forget(self) -> None:
        self._states = []

    def is_current(self) -> bool:
        known = {state.id: state.revision for state in self._states}
        found = self.database[STATES].find({"_id": {"$in": list(known)}}, {"revision": True})
        return known == {document["_id"]: document["revision"] for document in found}

    def idle(self) -> None:
        """Tell that the views are current although nothing happened.

        Until now by the clock as it is: what was stamped while it was ahead claims no more than that.
        """
        now = self._clock()
        self._beat({"$set": {"idle_at": now}, "$min": {"last_at": now}})

    def _beat(self, update: Document) -> None:
        """Note now and then until when all views know what happened, also those it did not concern."""
        now = self._ticks()
        if now - self._beat_at >= HEARTBEAT_SECONDS and self._states:
            self._beat_at = now
            self.database[STATES].update_many({"_id": {"$in": [s.id for s in self._states]}}, update)


def _urgency(failure: BaseException) -> int:
    """Which of several failures counts: poison is looked for only when nothing else is wrong."""
    return 0 if isinstance(failure, Fenced) else 2 if isinstance(failure, PoisonRecord) else 1


def split(batch: Sequence[Projection], lanes: int) -> list[list[Projection]]:
    """The views of a batch in at most so many lanes, with about as many changes each."""
    found: list[list[Projection]] = [[] for _ in range(lanes)]
    load = [0] * lanes
    for projection in sorted(batch, key=lambda one: -len(one.changes)):
        lane = load.index(min(load))
        found[lane].append(projection)
        load[lane] += len(projection.changes) + 1
    return [lane for lane in found if lane]


def commit(database: "Database[Document]", batch: Sequence[Projection]) -> None:
    """Write what a batch means for some views and their new offsets, all or nothing.  Raises Fenced."""
    with database.client.start_session() as session:
        session.with_transaction(
            partial(_write, database, batch),
            read_concern=ReadConcern("snapshot"),
            write_concern=WriteConcern("majority"),
        )
    for projection in batch:
        state = projection.state
        state.revision += 1
        projection.progress.settle()
        state.progress = projection.progress
        state.last_at = projection.last_at or state.last_at


def _write(database: "Database[Document]", batch: Sequence[Projection], session: ClientSession) -> None:
    for projection in batch:
        if projection.changes:
            _bulk(database, projection, session)
        if skips := _skips(projection):
            database[SKIPPED].bulk_write(skips, session=session)
    result = database[STATES].bulk_write([_advance(projection) for projection in batch], session=session)
    if result.matched_count != len(batch):
        raise Fenced("another projector, or a rebuild that switched a view")


def _bulk(database: "Database[Document]", projection: Projection, session: ClientSession) -> None:
    state = projection.state
    try:
        database[state.collection].bulk_write(operations(projection.changes), session=session)
        write_versions(database, state.view, state.collection, projection.changes, session)
    except BulkWriteError as error:
        codes = {item.get("code") for item in (error.details or {}).get("writeErrors", ())}
        if codes & {112, 251}:  # WriteConflict, NoSuchTransaction: may work later
            raise
        raise PoisonRecord(f"view {state.view.name}: {str(error.details)[:500]}") from error


def _advance(projection: Projection) -> UpdateOne:
    state, progress = projection.state, projection.progress
    changed = {
        f"sources.{mongo_key(source)}": source_told(progress, source, offset)
        for source, offset in progress.offsets.items()
        if offset != state.progress.offsets.get(source)
        or progress.positions.get(source) != state.progress.positions.get(source)
        or progress.floors.get(source) != state.progress.floors.get(source)
    }
    more: Document = {"last_at": projection.last_at} if projection.last_at else {}
    return UpdateOne(
        {"_id": state.id, "revision": state.revision, "generation": state.generation},
        {"$set": {**changed, **more}, "$inc": {"revision": 1}},
    )


def _skips(projection: "Projection") -> list[ReplaceOne[Document] | DeleteOne]:
    """What to write of the records that a batch sets aside, drops, or applies after all."""
    collection, progress = projection.state.collection, projection.progress
    found: list[ReplaceOne[Document] | DeleteOne] = []
    for origin in {**progress.aside.changes, **progress.dropped.changes}:
        waiting = progress.aside.get(origin)
        if waiting is None and origin not in progress.dropped:
            found.append(DeleteOne({"_id": skipped_id(collection, origin)}))
            continue
        key, offset = (waiting.key, waiting.offset) if waiting else ("", 0)
        told = {**origin._asdict(), "key": key, "offset": offset, "dropped": waiting is None}
        found.append(keep_aside(collection, told))
    return found
