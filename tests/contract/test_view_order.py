"""No view depends on the order in which partitions come, and none of its documents can grow past what MongoDB holds.

Over every view and every event there is: the events are made from their contracts, so what is new is covered.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any, get_type_hints

import bson
import pytest
from component.histories import FIRST_DAY, history, interleaved, largest_event, random_event

from chassis.catalogue import Catalogue
from chassis.documents.query_docs import query_docs
from chassis.foundation.limits import MAX_EVENT_BYTES
from chassis.messaging.progress import Progress
from chassis.messaging.records import Incoming
from chassis.model.changes import LONGEST_LIST, Add, Append, Change, EventMetadata, Latest, Put, Remove, Set
from chassis.model.row_fields import EQUAL_TO, FOUND_BY, PARTS
from chassis.model.views import LISTS, View
from chassis.projections.documents import STAMPS, TOTALS, changed, left_out, stored, told_of_lists
from chassis.projections.projector import Projection
from chassis.projections.rebuild import content
from chassis.projections.state import ViewState
from chassis.queries.reader import ViewReader
from chassis.testing.people import ADMIN
from contracts.declare import REGISTRY

VIEWS = {view.name: view for view in Catalogue.read().views() if view.handlers}
MOST_BYTES = 16 * 1024 * 1024 - 2 * MAX_EVENT_BYTES  # what is no list is told by an event or two
Documents = dict[str, dict[str, Any]]

each_view = pytest.mark.parametrize("view", VIEWS.values(), ids=list(VIEWS))


def changes_of(view: View, records: list[Incoming]) -> list[tuple[Change, EventMetadata]]:
    """What a view's handlers make of some records."""
    projection = Projection(ViewState(view, view.name, view.name, 1, 0, Progress({}, {})), Progress({}, {}))
    for record in records:
        projection.apply(record)
    return projection.changes


def documents(view: View, batches: list[list[Incoming]]) -> Documents:
    found: Documents = {}
    for batch in batches:
        for change, event in changes_of(view, batch):
            key = str(stored(change.key))
            document = changed(found.pop(key, None), change, event)
            if document is not None:
                found[key] = document
    return found


@each_view
def test_partitions_in_any_order_give_the_same_documents(view: View) -> None:
    found = 0
    for seed in range(4):
        sources = history(view.handlers, 200, Random(seed))
        first = documents(view, interleaved(sources, Random(1_000 + seed)))
        found += len(first)
        for other in range(4):
            again = documents(view, interleaved(sources, Random(2_000 + other)))
            assert again == first, f"seed {seed}, {other}"
    assert found  # one history may end with all its rows removed


@each_view
def test_each_field_has_one_way_of_being_written(view: View) -> None:
    """What several keys write is `Latest`, `Append` or `Add`; what is `Set` is of one key, or always the same."""
    written: dict[tuple[str, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    said: dict[tuple[str, str], set[str]] = defaultdict(set)
    for records in history(view.handlers, 500, Random(7)).values():
        for record in records:
            for change, _ in changes_of(view, [record]):
                for field, how, value in writes(change):
                    place = str(stored(change.key)), field.partition(".")[0]
                    written[place][how].add(
                        record.topic if how in ("Latest", "Append") else f"{record.topic} {record.key}"
                    )
                    said[place].add(repr(value))
    for (key, field), ways in written.items():
        about = f"{view.name} {key}.{field}"
        assert len(ways) == 1, f"{about} is written in several ways: {dict(ways)}"
        [(how, by)] = ways.items()
        assert how == "Add" or len(by) == 1 or (how == "Set" and len(said[key, field]) == 1), f"{about}: {how} by {by}"
        of_the_projector = field.startswith("_") and not field.startswith((EQUAL_TO, FOUND_BY, PARTS))
        assert not of_the_projector, f"{about}: such names are the projector's"


def writes(change: Change) -> Iterator[tuple[str, str, Any]]:
    """Fields, how they are written, and what with."""
    match change:
        case Set(fields=fields) | Latest(fields=fields):
            for name, value in fields.items():
                yield name, type(change).__name__, value
        case Add(amounts=amounts, about=about):
            yield from ((name, "Add", None) for name in amounts)
            yield from ((name, "Set", value) for name, value in about.items())
        case Append(list_name=name):
            assert "." not in name
            yield name, "Append", None
        case Put() | Remove():
            yield "", type(change).__name__, None


NOWHERE: Any = None
"""No database: nothing is read."""


def event_info(fact: Any, position: int) -> EventMetadata:
    spec = REGISTRY.event_of(type(fact))
    return EventMetadata(f"{getattr(fact, spec.key)}/{position}", spec.name, FIRST_DAY, f"{spec.topic}:0", position, "")


def appending(view: View) -> list[type]:
    """The events that append to a list."""
    return [
        fact
        for fact in view.handlers
        if any(
            isinstance(change, Append)
            for made in [random_event(fact, Random(1))]
            for change in view.handlers[fact](made, event_info(made, 1))
        )
    ]


@pytest.mark.parametrize("view", [view for view in VIEWS.values() if appending(view)], ids=lambda view: view.name)
def test_a_list_keeps_its_newest_entries_and_tells_of_the_others(view: View) -> None:
    """In whatever order they come; entries as long as they can be do not make a document too large."""
    facts = [largest_event(fact) for fact in appending(view)]
    events = [(position, fact) for position in range(LONGEST_LIST + 10) for fact in facts]
    Random(3).shuffle(events)
    found: Documents = {}
    for position, fact in events:
        for change in view.handlers[type(fact)](fact, event_info(fact, position)):
            key = str(stored(change.key))
            found[key] = changed(found.get(key), change, event_info(fact, position)) or {}
    for key, document in found.items():
        assert document[TOTALS], key
        for name, more in left_out(document).items():
            entries = document[name]
            assert len(entries) == LONGEST_LIST
            assert more == document[TOTALS][name] - LONGEST_LIST > 0
            assert entries[-1]["_position"] == LONGEST_LIST + 9
            places = [(entry["_position"], entry["_entry"]) for entry in entries]
            assert places == sorted(places)
        told = told_of_lists(document, view.growing_lists)
        assert {name: one["left_out"] for name, one in told.items() if one["left_out"]} == left_out(document)
        assert {name: told[name]["total"] for name in document[TOTALS]} == document[TOTALS]
        assert len(bson.encode(document)) < MOST_BYTES, f"{key}: {len(bson.encode(document)):,} bytes"


@pytest.mark.parametrize("view", VIEWS.values(), ids=lambda view: view.name)
def test_the_reader_of_a_list_is_told_how_many_entries_are_left_out(view: View) -> None:
    """In every answer of every view that appends to a list, and in the documents."""
    for doc in query_docs(view):
        declared = doc.row_schema["properties"].get(LISTS, {}).get("properties", {})
        assert list(declared) == list(view.growing_lists)
    assert bool(view.growing_lists) == bool(appending(view))
    if not view.growing_lists:
        return
    reader = ViewReader(NOWHERE, replace(view, computed={}))  # the documents here hold nothing to work out from
    long = {name: [{"at": FIRST_DAY}] * LONGEST_LIST for name in view.growing_lists}
    row = reader.rows.told([{"_id": "1", TOTALS: dict.fromkeys(long, LONGEST_LIST + 7), **long}], ADMIN)[0]
    assert row[LISTS] == {name: {"total": LONGEST_LIST + 7, "left_out": 7} for name in long}
    assert reader.rows.told([{"_id": "1"}], ADMIN)[0][LISTS] == {name: {"total": 0, "left_out": 0} for name in long}


def test_a_later_event_keeps_what_it_said() -> None:
    """`Latest` goes by positions, not by who comes last; what is written beside it is not touched."""
    found: Mapping[str, Any] = {}
    for position, name in ((7, "new"), (3, "old"), (9, "newest"), (8, "newer")):
        event = EventMetadata(f"x/{position}", "t", FIRST_DAY, "orders.events:0", position, "")
        found = changed(dict(found), Latest("k", name=name), event) or {}
        found = changed(dict(found), Add("k", {"sum": 1}), event) or {}
    assert content(dict(found)) == {"name": "newest", "sum": 4, STAMPS: {"name": 9}}


@each_view
def test_what_was_counted_once_has_all_its_counts(view: View) -> None:
    """A row that is made by counting tells nothing as 0, not as unknown.  (Those with sums are added up when read.)"""
    counts = {name for name, kind in get_type_hints(view.row).items() if kind in (int, Decimal)}
    for fact in view.handlers if view.sums is None else ():
        for seed in range(20):
            [[record]] = history([fact], 1, Random(seed)).values()
            changes = changes_of(view, [record])
            made = [change.amounts.keys() for change, _ in changes if isinstance(change, Add)]
            assert all(counts <= amounts for amounts in made), f"{fact.__name__}: {counts} are not all in {made}"
