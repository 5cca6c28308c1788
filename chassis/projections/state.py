"""How far each read model is: one document a view, kept in the transaction of what it has written."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pymongo import ReplaceOne
from pymongo.client_session import ClientSession
from pymongo.database import Database

from chassis.messaging.dead_letters import Origin
from chassis.messaging.progress import Aside, Progress
from chassis.model.views import View
from chassis.projections.collections import (
    SKIPPED,
    STATES,
    Document,
    add_keys,
    keys_kept,
    make_collection,
    make_indexes,
)
from chassis.projections.versions import versions_of


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
                beginnings={item["source"]: item["beginning"] for item in sources if "beginning" in item},
            ),
            last_at=document.get("last_at"),
            edition=document.get("edition", 1),  # state documents from before there were any tell none
        )


def source_told(progress: Progress, source: str, offset: int) -> Document:
    """What a state document says of how far a source is applied."""
    return {
        "source": source,
        "offset": offset,
        "position": progress.positions.get(source, 0),
        **({"floor": progress.floors[source]} if source in progress.floors else {}),
        **({"beginning": progress.beginnings[source]} if source in progress.beginnings else {}),
    }


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
    """Delete a view's collection, the versions of its rows, and what is known of the records it has skipped."""
    database.drop_collection(collection)
    database.drop_collection(versions_of(collection))
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
        database[SKIPPED].bulk_write([keep_aside(state["collection"], item) for item in found])
    database[STATES].update_one({"_id": state["_id"]}, {"$unset": {"aside": "", "dropped": ""}})
    for name in ("aside", "dropped"):
        state.pop(name, None)


def keep_aside(collection: str, item: Document) -> ReplaceOne[Document]:
    return ReplaceOne({"_id": skipped_id(collection, _origin(item))}, {**item, "collection": collection}, upsert=True)


def skipped_id(collection: str, origin: Origin) -> str:
    return f"{collection} {origin.source} {origin.place}"


def _origin(item: Document) -> Origin:
    return Origin(item["source"], item["place"])


def view_positions(database: "Database[Document]", views: Sequence[View]) -> Iterator[tuple[View, Mapping[str, int]]]:
    """The positions that these views have stored, by source; views not yet built are left out."""
    by_id = {live_id(view): view for view in views}
    for document in database[STATES].find({"_id": {"$in": list(by_id)}}):
        yield by_id[document["_id"]], {item["source"]: int(item["position"]) for item in document["sources"].values()}


def live_id(view: View) -> str:
    return view.name


def open_state(database: "Database[Document]", view: View, id: str, collection: str | None = None) -> Document:
    """The state document of a view, made with its collection when it does not exist.

    Indexes and keys that a former release did not have are added.  One that is built beside the live one, in a
    `collection` of its own, gets its indexes when it is filled (`make_indexes`): that is many times cheaper.
    """
    states = database[STATES]
    found = states.find_one({"_id": id})
    if found is not None:
        make_collection(database, view, found["collection"])
        make_indexes(database, view, found["collection"])
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
        make_collection(database, view, name)
        if collection is None:
            make_indexes(database, view, name)
        states.update_one({"_id": id}, {"$setOnInsert": {**fresh, "revision": 0, "sources": {}}}, upsert=True)
        found = states.find_one({"_id": id})
        assert found is not None
    return found
