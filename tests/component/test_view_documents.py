"""Views on a real MongoDB: of any history, in any order of partitions, it makes what is recomputed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from decimal import Decimal
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from pymongo.database import Database

from chassis.catalogue import Catalogue
from chassis.foundation.config import Config
from chassis.messaging.progress import Progress
from chassis.messaging.records import Incoming
from chassis.model.changes import Change, EventMetadata
from chassis.model.views import View
from chassis.projections.collections import STATES, connect
from chassis.projections.documents import changed, stored
from chassis.projections.projector import Projection, Projector
from chassis.projections.rebuild import content
from chassis.projections.state import ViewState, live_id, open_state
from chassis.projections.versions import OF, UNTIL, collections_of, made
from chassis.queries.reader import ViewReader
from chassis.testing.people import ADMIN
from component.histories import history, interleaved
from services.reports.views.sales import SALES_BY_DAY, SALES_BY_PRODUCT

VIEWS: list[View] = [view for view in Catalogue.read().views() if view.handlers]
Document = dict[str, Any]


@pytest.fixture
def databases(mongodb_uri: str) -> Iterator[list[Database[Document]]]:
    made = [connect(Config(mongodb_uri=mongodb_uri, mongodb_database=f"test_{uuid4().hex}")) for _ in range(2)]
    yield made
    for database in made:
        database.client.drop_database(database.name)
        database.client.close()


def documents(database: Database[Document], view: View) -> dict[str, Document | None]:
    state = database[STATES].find_one({"_id": view.name})
    assert state is not None
    names = collections_of(view, state["collection"])
    return {found["_id"]: content(found) for name in names for found in database[name].find()}


def test_mongodb_makes_of_any_history_in_any_order_what_is_recomputed(databases: list[Database[Document]]) -> None:
    """For every view and every event; with projectors that are replaced on the way and batches that come again."""
    sources = history({fact for view in VIEWS for fact in view.handlers}, 700, Random(11))
    for seed, database in enumerate(databases):
        random = Random(seed)
        projector = Projector(database, VIEWS)
        projector.offsets([])
        for batch in interleaved(sources, random):
            projector.process(batch)
            if random.random() < 0.05:
                projector = Projector(database, VIEWS)
                projector.offsets([])
                projector.process(batch)
    recomputed: dict[str, dict[str, Document]] = {view.name: {} for view in VIEWS}
    written = set[str]()
    for records in sources.values():
        for record in records:
            for view in VIEWS:
                found = recomputed[view.name]
                changes = changes_of(view, record)
                written |= {view.name} if changes else set()
                for version in made(view, changes, latest_of(found, record.key)):
                    found[version["_id"]] = {name: value for name, value in version.items() if name != "_id"}
                for change, event in changes:
                    key = str(stored(change.key))
                    if (document := changed(found.get(key), change, event)) is not None:
                        found[key] = document
                    else:
                        found.pop(key, None)
    for view in VIEWS:
        wanted = {key: {"_id": key, **stored(document)} for key, document in recomputed[view.name].items()}
        assert documents(databases[0], view) == documents(databases[1], view) == wanted, view.name
    assert written == {view.name for view in VIEWS}  # one may end with all its rows removed


def latest_of(found: dict[str, Document], row: str) -> dict[str, Document]:
    """The version that holds of a row, among the documents of a view."""
    holding = [{**version, "_id": id} for id, version in found.items() if OF in version and version[UNTIL] is None]
    return {version[OF]: version for version in holding if version[OF] == row}


def changes_of(view: View, record: Incoming) -> list[tuple[Change, EventMetadata]]:
    projection = Projection(ViewState(view, view.name, view.name, 1, 0, Progress({}, {})), Progress({}, {}))
    projection.apply(replace(record, offset=0))
    return projection.changes


def test_rpt_02_a_report_of_a_period_adds_up_its_days(databases: list[Database[Document]]) -> None:
    """All days of a period together say what each says; without a period the report says what all days say."""
    database = databases[0]
    sources = history({*SALES_BY_PRODUCT.handlers}, 200, Random(5))
    projector = Projector(database, [SALES_BY_DAY, SALES_BY_PRODUCT])
    projector.offsets([])
    for batch in interleaved(sources, Random(6)):
        projector.process(batch)
    reader = ViewReader(database, SALES_BY_PRODUCT)
    figures = ("booked_amount", "sold_amount", "dated_booked_amount", "dated_sold_amount", "sold_quantity")

    def asked(**params: str) -> dict[str, dict[str, Decimal]]:
        page = reader.page(ADMIN, {"limit": ["200"], **{name: [text] for name, text in params.items()}}, None)
        assert page.next is None
        return {row["id"]: {name: Decimal(row[name]) for name in figures} for row in page.items}

    stored_days = {row["day"] for row in documents(database, SALES_BY_PRODUCT).values() if row and "day" in row}
    assert len(stored_days) > 2
    by_day = [asked(day_from=day, day_to=day) for day in sorted(stored_days)]
    added = {
        id: {name: sum((day[id][name] for day in by_day if id in day), Decimal(0)) for name in figures}
        for id in {id for day in by_day for id in day}
    }
    assert asked() == added
    assert asked(day_from=min(stored_days), day_to=max(stored_days)) == added
    assert asked(day_from=(date.fromisoformat(max(stored_days))).replace(year=2030).isoformat()) == {}


def test_loops_that_start_together_make_the_collections_once(databases: list[Database[Document]]) -> None:
    together = threading.Barrier(8)
    views = Catalogue.read().views()

    def start() -> None:
        together.wait()
        for view in views:
            open_state(databases[0], view, live_id(view))

    with ThreadPoolExecutor(8) as loops:
        for begun in [loops.submit(start) for _ in range(8)]:
            begun.result()
    states = {state["_id"]: state["collection"] for state in databases[0][STATES].find()}
    assert states == {live_id(view): view.name for view in views}
