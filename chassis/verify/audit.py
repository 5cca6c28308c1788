"""Checks of the whole audit log: every store's chain, and the copy that queries read."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from pymongo.database import Database

from chassis.audit.chain import AuditStore, Chain, Record, check_chain, records_of
from chassis.model.views import View
from chassis.projections.audit_collector import collected, documents
from chassis.projections.collections import STATES
from chassis.projections.state import live_id

Document = dict[str, Any]
ABOUT = 1_000


def check_chains(stores: Mapping[str, AuditStore], heads: Mapping[str, Mapping[int, bytes]]) -> Iterator[Chain]:
    """The chain of each store, recomputed; `heads` as `heads.read_heads` gives them."""
    for name, store in stores.items():
        yield check_chain(store, heads.get(name))


def check_copy(store: AuditStore, database: "Database[Document]", view: View) -> str:
    """The first difference of MongoDB's copy from a store's log, as far as it was brought; "" when there is none.

    That nobody has begun a copy is one, or that it was deleted: nobody finds what the log holds.
    """
    state = copy_state(database, view)
    if state is None:
        return f"nobody has brought a copy of {store.name}'s log: start a worker" if store.audit_after(0, 1) else ""
    last = collected(state, store.name)
    collection = database[view.name]
    brought = 0
    expected: dict[str, Document] = {}
    for record in _up_to(store, last):
        own = documents(store.name, record)
        brought += len(own)
        expected |= {document["_id"]: document for document in own}
        if len(expected) >= ABOUT:
            if wrong := _compare(collection, expected):
                return wrong
            expected.clear()
    if wrong := _compare(collection, expected):
        return wrong
    ids = {"$gte": f"{store.name}-", "$lt": f"{store.name}."}  # no index has all entries of a service (ADR 0033)
    there = collection.count_documents({"_id": ids, "service": store.name, "record": {"$lte": last}})
    if there != brought:
        return f"the copy of {store.name}'s log holds {there} entries up to record {last}, the log {brought}"
    return ""


def copy_state(database: "Database[Document]", view: View) -> Document | None:
    """How far the copy of each service's log was brought; None where there is no copy."""
    return database[STATES].find_one({"_id": live_id(view)})


def copy_behind(database: "Database[Document]", view: View, service: str, goal: int) -> str:
    """How far the copy of a service's log is from holding all records up to `goal`, in words; "" when it does."""
    state = copy_state(database, view)
    last = collected(state, service) if state else 0
    return f"record {last:,} of {goal:,}" if last < goal else ""


def _up_to(store: AuditStore, last: int) -> Iterator[Record]:
    for record in records_of(store):
        if record.number > last:
            return
        yield record


def _compare(collection: Any, expected: Mapping[str, Document]) -> str:
    held = {document["_id"]: document for document in collection.find({"_id": {"$in": list(expected)}})}
    for id, document in expected.items():
        copy = held.get(id)
        if copy is None:
            return f"{id}: the copy that queries read does not have it"
        if names := [name for name, value in document.items() if not _same(copy.get(name), value)]:
            return f"{id}: the copy that queries read has another {', '.join(names)}"
    return ""


def _same(held: Any, value: Any) -> bool:
    if isinstance(held, datetime) and isinstance(value, datetime):
        return abs(held - value) < timedelta(milliseconds=1)  # what MongoDB keeps of it
    return bool(held == value)
