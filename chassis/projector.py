"""The projector: feeds views from Kafka.  A view's documents and its offsets change in one MongoDB transaction.

The views of a batch are written in lanes, side by side: most of the time of a write is waiting for the server.

Each view has a state document: the collection that is live, how far each source is applied, and a revision that
fences a second projector.  A rebuild fills a collection beside the live one from event one, catches up, and switches.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import structlog
from pymongo import DeleteOne, IndexModel, MongoClient, ReplaceOne, UpdateOne
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import BulkWriteError, OperationFailure
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from chassis.foundation import metrics
from chassis.foundation.config import Config
from chassis.foundation.connections import mongo_arguments
from chassis.messaging.consumer import Fenced
from chassis.messaging.dead_letters import Origin
from chassis.messaging.kafka import dead_letter_topic
from chassis.messaging.progress import Aside, Progress
from chassis.messaging.records import Incoming, PoisonRecord
from chassis.model.changes import Change, EventInfo
from chassis.model.row_fields import BY_NUMBER
from chassis.model.views import Index, View
from chassis.projections.documents import operations
from contracts.declare import REGISTRY
from contracts.text import KEYS_EDITION

log = structlog.get_logger()

STATES, SKIPPED = "_views", "_skipped"
GROUP = "reports"
HEARTBEAT_SECONDS = 1.0
KEYS_AT_ONCE = 1_000
NAMESPACE_EXISTS = 48
"""What MongoDB calls a collection that is there already."""
Document = dict[str, Any]


def connect(config: Config) -> "Database[Document]":
    """The database of read models; majority writes."""
    client: MongoClient[Document] = MongoClient(
        **mongo_arguments(config), tz_aware=True, w="majority", serverSelectionTimeoutMS=10_000, appname="salestream"
    )
    return client[config.mongodb_database]


def mongo_key(source: str) -> str:
    """A source ("orders.events:3") as a field name: without dots."""
    return source.replace(".", "-")


@dataclass
class ViewState:
    """How far one view is: its collection, generation, revision and progress."""

    view: View
    id: str
    collection: str
    generation: int
    revision: int
    progress: Progress
    last_at: datetime | None = None
    edition: int = 1

    @classmethod
    def of(cls, view: View, document: Document, skipped: Iterable[Document] = ()) -> "ViewState":
        """The state that a state document and the records set aside or dropped (`skipped_of`) tell."""
        sources = document.get("sources", {}).values()
        known = [*_in_the_document(document), *skipped]
        return cls(
            view=view,
            id=document["_id"],
            collection=document["collection"],
            generation=document["generation"],
            revision=document["revision"],
            progress=Progress(
                {item["source"]: item["offset"] for item in sources},
                {item["source"]: item["position"] for item in sources},
                {_origin(item): Aside(item["key"], item["offset"]) for item in known if not item["dropped"]},
                [_origin(item) for item in known if item["dropped"]],
                {item["source"]: item["floor"] for item in sources if "floor" in item},
            ),
            last_at=document.get("last_at"),
            edition=document.get("edition", 1),  # state documents from before there were any tell none
        )


def skipped_of(
    database: "Database[Document]", collection: str, session: ClientSession | None = None
) -> Iterable[Document]:
    """The records that a view with this collection has set aside or dropped: one document each, however many."""
    wanted = {"collection": collection}
    return database[SKIPPED].find(wanted) if session is None else database[SKIPPED].find(wanted, session=session)


def state_of(
    database: "Database[Document]", view: View, document: Document, session: ClientSession | None = None
) -> ViewState:
    """How far a view is, with what it has skipped."""
    return ViewState.of(view, document, skipped_of(database, document["collection"], session))


def drop_view(database: "Database[Document]", collection: str) -> None:
    """Delete a view's collection, and what is known of the records it has skipped."""
    database.drop_collection(collection)
    database[SKIPPED].delete_many({"collection": collection})


def _in_the_document(state: Document) -> list[Document]:
    """What a former release kept in the state document itself."""
    aside = ({**item, "dropped": False} for item in state.get("aside", ()))
    return [*aside, *({**item, "dropped": True} for item in state.get("dropped", ()))]


def _move_skipped(database: "Database[Document]", state: Document) -> None:
    """Give each record that a former release kept in the state document a document of its own."""
    if "aside" not in state and "dropped" not in state:
        return
    if found := _in_the_document(state):
        database[SKIPPED].bulk_write([_keep(state["collection"], item) for item in found])
    database[STATES].update_one({"_id": state["_id"]}, {"$unset": {"aside": "", "dropped": ""}})
    for name in ("aside", "dropped"):
        state.pop(name, None)


def _keep(collection: str, item: Document) -> ReplaceOne[Document]:
    return ReplaceOne({"_id": _skipped_id(collection, _origin(item))}, {**item, "collection": collection}, upsert=True)


def _skipped_id(collection: str, origin: Origin) -> str:
    return f"{collection} {origin.source} {origin.place}"


def _skips(projection: "Projection") -> list[ReplaceOne[Document] | DeleteOne]:
    """What to write of the records that a batch sets aside, drops, or applies after all."""
    collection, progress = projection.state.collection, projection.progress
    found: list[ReplaceOne[Document] | DeleteOne] = []
    for origin in {**progress.aside.changes, **progress.dropped.changes}:
        waiting = progress.aside.get(origin)
        if waiting is None and origin not in progress.dropped:
            found.append(DeleteOne({"_id": _skipped_id(collection, origin)}))
            continue
        key, offset = (waiting.key, waiting.offset) if waiting else ("", 0)
        told = {**origin._asdict(), "key": key, "offset": offset, "dropped": waiting is None}
        found.append(_keep(collection, told))
    return found


def _origin(item: Document) -> Origin:
    return Origin(item["source"], item["place"])


@dataclass
class Projection:
    """What a batch means for one view: changes in order, and the progress after them."""

    state: ViewState
    progress: Progress
    changes: list[tuple[Change, EventInfo]] = field(default_factory=list)
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
        info = EventInfo(
            id=record.id,
            type=record.type,
            at=record.at,
            source=record.source,
            position=record.position,
            user_id=record.headers.get("ce_authid", ""),
            day_told=record.headers.get("ce_day", ""),
        )
        try:
            view = self.state.view
            self.changes += [(view.keyed(change), info) for change in handler(record.fact, info)]
        except Exception as error:  # a handler is a pure function: what fails once fails always
            raise PoisonRecord(f"view {self.state.view.name}: {type(error).__name__}: {error}") from error


class Projector:
    """Keeps a set of views up to date (a `chassis.messaging.consumer.Handler`)."""

    def __init__(
        self,
        database: "Database[Document]",
        views: Sequence[View],
        *,
        group: str = GROUP,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        ticks: Callable[[], float] = time.monotonic,
        lanes: int = 1,
    ) -> None:
        self.group = group
        self._lanes = lanes
        self._threads = ThreadPoolExecutor(lanes, f"{group}-lane") if lanes > 1 else None
        self._dead_topic = dead_letter_topic(group)
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
        lanes = split(batch, self._lanes)
        if self._threads is None or len(lanes) < 2:
            commit(self.database, batch)
            return
        written = [self._threads.submit(commit, self.database, lane) for lane in lanes]
        wait(written)
        failures = [error for future in written if (error := future.exception())]
        if failures:
            raise min(failures, key=_urgency)

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


def view_positions(database: "Database[Document]", views: Sequence[View]) -> Iterator[tuple[View, Mapping[str, int]]]:
    """The positions that these views have stored, by source; views not yet built are left out."""
    by_id = {live_id(view): view for view in views}
    for document in database[STATES].find({"_id": {"$in": list(by_id)}}):
        yield by_id[document["_id"]], {item["source"]: int(item["position"]) for item in document["sources"].values()}


def live_id(view: View) -> str:
    return view.name


def open_state(database: "Database[Document]", view: View, id: str, collection: str | None = None) -> Document:
    """The state document of a view, made with its collection when it does not exist.

    Indexes and keys of texts that a former release did not have are added.
    """
    states = database[STATES]
    found = states.find_one({"_id": id})
    if found is not None:
        prepare_collection(database, view, found["collection"])
        _move_skipped(database, found)
        add_keys(database, view, found)
    else:
        name = collection or view.name
        fresh = {
            "_id": id,
            "view": view.name,
            "collection": name,
            "generation": 1,
            "edition": view.edition,
            "keys": keys_kept(view),
        }
        prepare_collection(database, view, name)
        states.update_one({"_id": id}, {"$setOnInsert": {**fresh, "revision": 0, "sources": {}}}, upsert=True)
        found = states.find_one({"_id": id})
        assert found is not None
    return found


def prepare_collection(database: "Database[Document]", view: View, name: str) -> None:
    """Make a view's collection and its indexes (a transaction can't)."""
    wanted = {name} if view.collected else {name, SKIPPED}
    for missing in wanted - set(database.list_collection_names()):
        try:
            database.create_collection(missing, check_exists=False)
        except OperationFailure as error:
            if error.code != NAMESPACE_EXISTS:  # else another loop or process was first
                raise
    if not view.collected:
        database[SKIPPED].create_indexes([IndexModel("collection")])
    if models := [index_model(index) for index in view.all_indexes]:
        database[name].create_indexes(models)


def index_model(index: Index) -> IndexModel:
    keys = [(field.removeprefix("-"), -1 if field.startswith("-") else 1) for field in index.fields]
    if not index.language:
        return IndexModel(keys)
    return IndexModel(keys, name=index.name, collation=collation(index.language))


def collation(language: str) -> Document:
    """How MongoDB compares texts in the order of a language: letter case and accents decide between equals.

    Of codes that differ in zeros before a number alone, code points decide.
    """
    if language == BY_NUMBER:
        return {"locale": "en", "numericOrdering": True, "strength": 5}
    return {"locale": language, "strength": 3}


def keys_kept(view: View) -> list[str]:
    """Which keys the documents of a view hold, as its state tells, and by which edition of the rules."""
    kept = sorted(place for _, place, _ in view.keys)
    return [*kept, f"edition {KEYS_EDITION}"] if kept else []


def add_keys(database: "Database[Document]", view: View, state: Document) -> None:
    """Give documents written by a former release the keys by which texts are found now."""
    wanted = keys_kept(view)
    if state.get("keys", []) == wanted:
        return
    writes: list[UpdateOne] = []
    documents = database[state["collection"]]
    for document in documents.find({}):
        if found := view.keys_of(document):
            writes.append(UpdateOne({"_id": document["_id"]}, {"$set": found}))
        if len(writes) == KEYS_AT_ONCE:
            documents.bulk_write(writes, ordered=False)
            writes = []
    if writes:
        documents.bulk_write(writes, ordered=False)
    database[STATES].update_one({"_id": state["_id"]}, {"$set": {"keys": wanted}})


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
    try:
        database[projection.state.collection].bulk_write(operations(projection.changes), session=session)
    except BulkWriteError as error:
        codes = {item.get("code") for item in (error.details or {}).get("writeErrors", ())}
        if codes & {112, 251}:  # WriteConflict, NoSuchTransaction: may work later
            raise
        raise PoisonRecord(f"view {projection.state.view.name}: {str(error.details)[:500]}") from error


def _advance(projection: Projection) -> UpdateOne:
    state, progress = projection.state, projection.progress
    changed = {
        f"sources.{mongo_key(source)}": {
            "source": source,
            "offset": offset,
            "position": progress.positions.get(source, 0),
            **({"floor": progress.floors[source]} if source in progress.floors else {}),
        }
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
