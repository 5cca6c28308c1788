"""The collections of read models: connecting, indexes, and the keys by which texts are found."""

from typing import Any

from pymongo import HASHED, IndexModel, MongoClient, UpdateOne
from pymongo.database import Database
from pymongo.errors import OperationFailure

from chassis.foundation.config import Config
from chassis.foundation.connections import mongo_arguments
from chassis.model.row_fields import BY_NUMBER
from chassis.model.views import Index, View, unusual
from chassis.projections.versions import collections_of, make_versions
from contracts.text import KEYS_EDITION

STATES, SKIPPED = "_views", "_skipped"
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


def make_collection(database: "Database[Document]", view: View, name: str) -> None:
    """Make a view's collection (a transaction can't)."""
    wanted = {*collections_of(view, name)} if view.collected else {*collections_of(view, name), SKIPPED}
    for missing in wanted - set(database.list_collection_names()):
        try:
            database.create_collection(missing, check_exists=False)
        except OperationFailure as error:
            if error.code != NAMESPACE_EXISTS:  # else another loop or process was first
                raise
    if not view.collected:
        database[SKIPPED].create_indexes([IndexModel("collection")])
    make_versions(database, view, name)


def make_indexes(database: "Database[Document]", view: View, name: str) -> None:
    """Give a view's collection its indexes, and take away those of a former release: each costs in every write."""
    documents = database[name]
    models = [index_model(index) for index in view.all_indexes]
    if models:
        documents.create_indexes(models)
    wanted = {"_id_", *(model.document["name"] for model in models)}
    for former in sorted(set(documents.index_information()) - wanted):
        documents.drop_index(former)


def index_model(index: Index) -> IndexModel:
    keys: list[tuple[str, int | str]] = [
        (field.removeprefix("-"), -1 if field.startswith("-") else 1) for field in index.fields
    ]
    if index.hashed:
        keys = [(field, HASHED) for field in index.fields]
    if index.usual is not None:
        return IndexModel(keys, name=index.name, partialFilterExpression=unusual(index.fields[0], index.usual))
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
    away = {place: "" for place in state.get("keys", ()) if place.startswith("_") and place not in wanted}
    writes: list[UpdateOne] = []
    documents = database[state["collection"]]
    for document in documents.find({}, batch_size=KEYS_AT_ONCE):
        change = {name: value for name, value in {"$set": view.keys_of(document), "$unset": away}.items() if value}
        if change:
            writes.append(UpdateOne({"_id": document["_id"]}, change))
        if len(writes) == KEYS_AT_ONCE:
            documents.bulk_write(writes, ordered=False)
            writes = []
    if writes:
        documents.bulk_write(writes, ordered=False)
    database[STATES].update_one({"_id": state["_id"]}, {"$set": {"keys": wanted}})
