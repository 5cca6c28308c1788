"""The versions of a view's rows: what each was from one event to the next, and who made it so.

A view that declares a `history` has a second collection beside its own, with a document for each version of each row.
It is written in the transaction of the row itself, from the same changes, so it can be neither switched off nor behind,
and a rebuild makes it anew from event one.  `chassis.queries.history` reads it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pymongo import IndexModel, ReplaceOne
from pymongo.client_session import ClientSession
from pymongo.database import Database

from chassis.model.changes import Change, EventMetadata, Set
from chassis.model.row_fields import PARTS
from chassis.model.views import View
from chassis.projections.documents import changed, stored

Document = dict[str, Any]
Changes = Sequence[tuple[Change, EventMetadata]]

OF, NUMBER = "_of", "_number"
"""Of which row a version is, and the record's version then."""
FROM, UNTIL = "_from", "_until"
"""When it held: up to, but not at, the end; None while it still does."""
ABOUT = "_about"
"""What is known of the event that made it: its type, who did it, and by which command or event."""
OWN = frozenset({"_id", OF, NUMBER, FROM, UNTIL, ABOUT})


def versions_of(collection: str) -> str:
    """Where the versions of a collection's rows are."""
    return f"{collection}.versions"


def collections_of(view: View, collection: str) -> list[str]:
    """All that a view's documents are in, when its rows are in `collection`."""
    return [collection, versions_of(collection)] if view.history else [collection]


def made(view: View, changes: Changes, latest: Mapping[str, Document]) -> list[Document]:
    """The versions that changes make or end; `latest` are those that hold now, by row."""
    found: dict[str, Document] = {}
    holding = dict(latest)
    for change, event in _of_history(view, changes):
        row, last = event.record, holding.get(event.record)
        if last is None or last["_id"] != event.id:
            begin = event.at
            before: Document = {}
            if last is not None:
                begin = max(begin, last[FROM])  # a clock that was set back: none ends before it begins
                before = {name: value for name, value in last.items() if name not in OWN}
                found[last["_id"]] = {**last, UNTIL: begin}
            last = {**before, "_id": event.id, OF: row, NUMBER: event.version, FROM: begin, UNTIL: None}
            last[ABOUT] = stored({"type": event.type, "by": event.by, "cause": event.cause})
        holding[row] = found[event.id] = changed(last, change, event) or last
    return list(found.values())


def _of_history(view: View, changes: Changes) -> Iterator[tuple[Change, EventMetadata]]:
    """The changes that make versions: what events of the history set in the row of the record they are about."""
    for change, event in changes:
        if event.type in view.history_types and isinstance(change, Set) and stored(change.key) == event.record:
            yield Set(change.key, **_without_parts(change.fields)), event


def _without_parts(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What a version keeps: the pieces of texts are there for an index of the rows of now."""
    return {name: value for name, value in fields.items() if not name.startswith(PARTS)}


def write_versions(
    database: "Database[Document]", view: View, collection: str, changes: Changes, session: ClientSession
) -> None:
    """Write the versions that changes of rows in `collection` make, in their transaction."""
    rows = sorted({event.record for _, event in _of_history(view, changes)}) if view.history else []
    if not rows:
        return
    versions = database[versions_of(collection)]
    latest = {found[OF]: found for found in versions.find({OF: {"$in": rows}, UNTIL: None}, session=session)}
    writes = [ReplaceOne({"_id": found["_id"]}, found, upsert=True) for found in made(view, changes, latest)]
    versions.bulk_write(writes, session=session)


def make_versions(database: "Database[Document]", view: View, collection: str) -> None:
    """Let the versions of a row be found, and those of whose rows somebody may see."""
    if view.history:
        owners = [view.place_of(name) for name in view.scope.fields] if view.scope else []
        indexes = [IndexModel([(OF, 1), (NUMBER, 1)]), *(IndexModel([(place, 1)]) for place in owners)]
        database[versions_of(collection)].create_indexes(indexes)
