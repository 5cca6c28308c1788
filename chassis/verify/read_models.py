"""Views = events: every document, recomputed from event one, equals the live one.

The live documents and how far each view is are read at one moment (a MongoDB snapshot); the events are applied exactly
up to there, so a living projector does not disturb.  Both sides stand in a temporary database on disk.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from itertools import islice
from typing import Any, NamedTuple

import bson
from bson.codec_options import CodecOptions, TypeRegistry
from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.database import Database

from chassis.messaging.dead_letters import Origin, unreadable_place
from chassis.model.changes import Add, Change, EventMetadata, Put, Remove
from chassis.model.views import View
from chassis.projections.collections import STATES
from chassis.projections.differences import differing_fields
from chassis.projections.documents import changed, left_out, stored
from chassis.projections.rebuild import content
from chassis.projections.state import ViewState, live_id, state_of
from chassis.projections.versions import collections_of, made, versions_of
from chassis.store.events import Notification
from chassis.verify.findings import Difference, EventRef
from contracts.declare import REGISTRY

CHECK = "views = events"
KEPT = 10_000  # documents in memory, those used last
OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(
    tz_aware=True,
    tzinfo=UTC,
    type_registry=TypeRegistry(fallback_encoder=stored),  # of sums: they are Decimal
)
Document = dict[str, Any]


class Made(NamedTuple):
    """A recomputed document, the event that changed it last, and what that said it is about if it added to sums."""

    document: Document | None
    service: str
    position: int
    about: Mapping[str, Any] | None = None


class Documents:
    """Live documents beside recomputed ones, by view and key; the event that changed a recomputed one last."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)  # a temporary file: memory is a cache of it
        self._db.execute("PRAGMA journal_mode=OFF")
        self._db.execute(
            "CREATE TABLE documents (view TEXT, key TEXT, live BLOB, made BLOB, service TEXT, position INTEGER, "
            "PRIMARY KEY (view, key)) WITHOUT ROWID"
        )
        self._page: dict[tuple[str, str], Made] = {}

    def keep_live(self, view: str, documents: Iterator[RawBSONDocument]) -> int:
        """Copy the live documents of a view; returns how many there are."""
        rows = ((view, str(found["_id"]), found.raw) for found in documents)
        with_id = "INSERT INTO documents (view, key, live) VALUES (?,?,?)"
        self._db.execute("BEGIN")
        number = self._db.executemany(with_id, rows).rowcount
        self._db.execute("COMMIT")
        return max(number, 0)

    def apply(self, view: View, change: Change, service: str, event: EventMetadata) -> None:
        """Change a recomputed document."""
        id = (view.name, str(stored(change.key)))
        found = self._page.pop(id, None)
        before = found.document if found else None if isinstance(change, Put | Remove) else self._read(id)
        about = change.about if isinstance(change, Add) else None
        if isinstance(change, Add) and before is not None and found is not None and about == found.about:
            change = Add(change.key, change.amounts)  # sales are counted in the same rows: those say so already
        else:
            change = view.keyed(change)
        self._page[id] = Made(changed(before, change, event), service, event.position, about)
        if len(self._page) >= KEPT:
            self._flush(KEPT // 2)

    def apply_versions(
        self, view: View, changes: Sequence[tuple[Change, EventMetadata]], service: str, event: EventMetadata
    ) -> None:
        """Change the recomputed versions of the row that an event is about."""
        holds = (f"{view.name} now", event.record)
        found = self._page[holds].document if holds in self._page else self._read(holds)
        keyed = [(view.keyed(change), event) for change, event in changes]
        for version in made(view, keyed, {event.record: found} if found else {}):
            id = version["_id"]
            self._page[versions_of(view.name), id] = self._page[holds] = Made(version, service, event.position)
        if len(self._page) >= KEPT:
            self._flush(KEPT // 2)

    def _read(self, id: tuple[str, str]) -> Document | None:
        row = self._db.execute("SELECT made FROM documents WHERE view=? AND key=?", id).fetchone()
        return bson.decode(row[0], OPTIONS) if row and row[0] else None

    def _flush(self, number: int) -> None:
        """Write the documents that were not used for longest; `_page` has them first."""
        oldest = list(islice(self._page.items(), number))
        rows = [
            (view, key, None if document is None else bson.encode(document, codec_options=OPTIONS), service, position)
            for (view, key), (document, service, position, _) in oldest
        ]
        for id, _ in oldest:
            del self._page[id]
        self._db.execute("BEGIN")
        self._db.executemany(
            "INSERT INTO documents (view, key, made, service, position) VALUES (?,?,?,?,?) ON CONFLICT (view, key) "
            "DO UPDATE SET made = excluded.made, service = excluded.service, position = excluded.position",
            rows,
        )
        self._db.execute("COMMIT")

    def live(self, view: str, key: str) -> Document | None:
        row = self._db.execute("SELECT live FROM documents WHERE view=? AND key=?", (view, key)).fetchone()
        return bson.decode(row[0], OPTIONS) if row and row[0] else None

    def pairs(self, view: str) -> Iterator[tuple[str, Document | None, Document | None, str, int]]:
        """Key, live document, recomputed document and the event that changed it last, of a view or its versions."""
        self._flush(len(self._page))
        rows = self._db.execute(
            "SELECT key, live, made, service, position FROM documents WHERE view=? ORDER BY key", (view,)
        )
        for key, live, right, service, position in rows:
            yield (
                key,
                bson.decode(live, OPTIONS) if live else None,
                {**bson.decode(right, OPTIONS), "_id": key} if right else None,
                service or "",
                position or 0,
            )

    def close(self) -> None:
        self._db.close()


@dataclass
class Views:
    """Some views at one moment: how far each was, and its documents then."""

    views: Sequence[View]
    states: dict[str, ViewState]
    documents: Documents
    compared: int
    incomplete: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, database: "Database[Document]", views: Sequence[View]) -> "Views":
        """Take the moment.  Views that were never built are left out."""
        with database.client.start_session(snapshot=True) as session:
            states = {view.name: state for view in views if (state := _state(database, view, session))}
            documents = Documents()
            raw = CodecOptions(document_class=RawBSONDocument)
            compared = 0
            for name, state in states.items():
                kept_as = collections_of(state.view, name)
                for place, kept in zip(collections_of(state.view, state.collection), kept_as, strict=True):
                    collection: Collection[Any] = database.get_collection(place, codec_options=raw)
                    compared += documents.keep_live(kept, collection.find(session=session))
        return cls([view for view in views if view.name in states], states, documents, compared)

    def includes(self, view: str, event: Notification, source: str) -> bool:
        """Whether a view had taken this event in."""
        state = self.states.get(view)
        if state is None or event.position > state.progress.positions.get(source, 0):
            return False
        progress = state.progress
        if not progress.aside and not progress.dropped:
            return True
        id = f"{event.aggregate_id}/{event.version}"
        places = str(event.position), unreadable_place(event.type, id, event.key, event.data)
        return not any(
            Origin(source, place) in known for place in places for known in (progress.aside, progress.dropped)
        )

    def take(self, service: str, event: Notification, source: str, fact: Any) -> Iterator[Difference]:
        """Apply an event to the views that had taken it in."""
        info = EventMetadata(
            id=f"{event.aggregate_id}/{event.version}",
            type=event.type,
            at=event.meta.at,
            source=source,
            position=event.position,
            user_id=event.meta.user_id,
            day_told=event.meta.day.isoformat() if event.meta.day else "",
            by=getattr(fact, "by", None),
            cause=event.meta.causation_id,
        )
        for view in self.views:
            handler = view.handlers.get(type(fact))
            if handler is None or not self.includes(view.name, event, source):
                continue
            try:
                changes = list(handler(fact, info))
                for change in changes:
                    self.documents.apply(view, change, service, info)
                if info.type in view.history_types:
                    self.documents.apply_versions(view, [(change, info) for change in changes], service, info)
            except Exception as error:  # the live view would have set such an event aside, it did not
                ref = EventRef(service, event.position, event.type, info.id)
                yield Difference(CHECK, view.name, f"the event can't be applied: {error!r}", ref)

    def compare(self) -> Iterator[Difference]:
        """The documents that differ."""
        for view, name in [(one, place) for one in self.views for place in collections_of(one, one.name)]:
            for key, live, right, service, position in self.documents.pairs(name):
                for list_name, more in left_out(right or {}).items():
                    self.incomplete.append(f"{name} {key}: {list_name} lacks its {more:,} oldest entries")
                if content(live) != right:
                    event = EventRef(service, position) if service else None
                    yield Difference(CHECK, f"{name} {key}", _how(view, content(live), right), event)


def _state(database: "Database[Document]", view: View, session: ClientSession) -> ViewState | None:
    document = database[STATES].find_one({"_id": live_id(view)}, session=session)
    return state_of(database, view, document, session) if document else None


def _how(view: View, live: Document | None, right: Document | None) -> str:
    if live is None:
        return "the document is missing"
    if right is None:
        return "the document should not be there"
    return differing_fields(view, live, right, "should be")


def feeding_services(views: Sequence[View]) -> set[str]:
    """The services whose events views are made of."""
    return {REGISTRY.event_of(fact).service for view in views for fact in view.handlers}
