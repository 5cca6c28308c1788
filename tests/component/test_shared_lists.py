"""Lists of records that are shared, on a real MongoDB: who sees them, in every way, and by which indexes (COL-07).

Asked of every list whose rows may be shared, so also of those that are declared later.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from pymongo.database import Database

from chassis.model.context import AccessScope
from chassis.model.principal import Principal
from chassis.model.views import View
from chassis.queries.cursors import Cursor
from component.lists import LISTS, Document, Shelf, as_query, document_of
from component.test_lists import PAGE, parts_of, plan_of, sorts_of
from contracts.errors import Refused
from contracts.sharing import SHARED_WITH, SHARES

SHARED = [view for view in LISTS if view.scope and view.scope.shared]
ME, OTHER, TEAM, ELSEWHERE = (uuid4() for _ in range(4))
TODAY = datetime.now(UTC).date()
each = pytest.mark.parametrize("view", SHARED, ids=lambda view: view.name)


def caller(view: View, *shared: UUID) -> Principal:
    """Somebody who sees their own, and what is shared under these ids."""
    scope = AccessScope(people=frozenset({ME}), shared=frozenset(shared))
    held = {view.permission: frozenset({"OWN"})}
    return Principal(ME, "me", frozenset(), scopes=held, reach_of=lambda _: scope)  # type: ignore[arg-type]


def share(with_id: UUID, days: int | None = None, access: str = "READ") -> Document:
    until = None if days is None else (TODAY + timedelta(days=days)).isoformat()
    return {"with_id": str(with_id), "kind": "USER", "name": "x", "access": access, "until": until}


def row(view: View, number: int, owner: UUID, *shares: Document) -> Document:
    with_ids = [one["with_id"] for one in shares]
    return document_of(view, number, owner_id=str(owner), shares=list(shares), shared_with=with_ids)


def numbers(rows: list[Document]) -> list[int]:
    return sorted(int(row["id"][:8], 16) for row in rows)


@pytest.fixture
def shelf(database: Database[Document], request: pytest.FixtureRequest) -> Shelf:
    view = request.getfixturevalue("view")
    found = Shelf(database, view)
    found.fill([
        row(view, 1, ME),
        row(view, 2, OTHER),
        row(view, 3, OTHER, share(ME)),
        row(view, 4, OTHER, share(TEAM, 0, "EDIT")),
        row(view, 5, OTHER, share(ELSEWHERE), share(ME, 30)),
        row(view, 6, OTHER, share(ME, -2)),
        row(view, 7, OTHER, share(ELSEWHERE), share(ME, -2)),
        row(view, 8, ME, share(OTHER)),
        row(view, 9, OTHER, share(ME)) | {view.aside: True},
    ])  # fmt: skip
    return found


def test_there_are_such_lists() -> None:
    assert "customers" in {view.name for view in SHARED}


@each
def test_col_07_lists_totals_groups_and_files_show_what_is_shared(shelf: Shelf, view: View) -> None:
    both, alone = caller(view, ME, TEAM), caller(view, ME)
    for by, seen in ((both, [1, 3, 4, 5, 8]), (alone, [1, 3, 5, 8]), (caller(view), [1, 8])):
        page = shelf.page(by, count="true", group="owner_id")
        assert (numbers(page.items), page.total) == (seen, len(seen))
        assert sum(group["count"] for group in page.groups or []) == len(seen)
        file = b"".join(shelf.reader.export(by, {}, None, "csv")).decode("utf-8-sig")
        assert len(file.strip().splitlines()) == len(seen) + 1
        for number in range(1, 9):
            key = document_of(view, number)["_id"]
            if number in seen:
                assert shelf.reader.one(by, key, None)[0]["id"] == key
            else:
                with pytest.raises(Refused) as refused:
                    shelf.reader.one(by, key, None)
                assert refused.value.code == "NOT_FOUND"


@each
def test_col_07_what_is_shared_with_me_is_a_filter(shelf: Shelf, view: View) -> None:
    by = caller(view, ME, TEAM)
    assert numbers(shelf.page(by, shared_with_me="true").items) == [3, 4, 5]
    assert numbers(shelf.page(by, shared_with_me="false").items) == [1, 8]
    assert numbers(shelf.page(by, shared_with=str(OTHER)).items) == [8]
    where = json.dumps({"field": "shared_with", "is": "equal", "value": str(TEAM)})
    assert numbers(shelf.page(by, where=where).items) == [4]
    for wrong in ("maybe", ["true", "false"]):
        with pytest.raises(Refused) as refused:
            shelf.reader.page(by, as_query({"shared_with_me": wrong}), None)
        assert refused.value.field == "shared_with_me"


@each
def test_col_07_what_is_shared_with_somebody_is_a_filter_for_whoever_sees_it(shelf: Shelf, view: View) -> None:
    """Shares that are over are found by nobody, and one that is set aside where it is asked for."""
    held = {view.permission: frozenset({"ALL"})}
    everybody = Principal(uuid4(), "all", frozenset(), scopes=held)  # type: ignore[arg-type]
    asked = {ME: [3, 5], TEAM: [4], ELSEWHERE: [5, 7], OTHER: [8], uuid4(): []}
    for with_id, found in asked.items():
        page = shelf.page(everybody, shared_with=str(with_id), count="true")
        assert (numbers(page.items), page.total) == (found, len(found))
    assert numbers(shelf.page(everybody, shared_with=str(ME), **{view.aside: "true"}).items) == [9]
    assert numbers(shelf.page(caller(view, ME), shared_with=str(TEAM)).items) == [], "who does not see it finds nothing"
    with pytest.raises(Refused) as refused:
        shelf.reader.page(everybody, as_query({"shared_with": "nobody"}), None)
    assert refused.value.field == "shared_with"


@each
def test_col_07_a_later_page_shows_nothing_of_what_is_not_shared_any_more(
    database: Database[Document], view: View
) -> None:
    """Pages are of the moment of the first one; rights are those of now.  A cursor that somebody made up is no way."""
    shelf = Shelf(database, view)
    shelf.fill([row(view, number, OTHER, share(ME)) for number in range(6)])
    shelf.fill([row(view, number, ME) for number in range(6, 9)])
    by = caller(view, ME)
    first = shelf.page(by, limit="2")
    assert first.next and len(first.items) == 2
    made_up = replace(Cursor.read(first.next), value=None, key="").text()
    shelf.collection.update_many({"owner_id": str(OTHER)}, {"$set": {SHARES: [], SHARED_WITH: []}})
    for begin in (first.next, made_up):
        pages, told = [shelf.page(by, limit="2", cursor=begin)], set()
        while cursor := pages[-1].next:
            pages.append(shelf.page(by, limit="2", cursor=cursor))
        told = {one["owner_id"] for page in pages for one in page.items}
        assert told <= {str(ME)} and len(pages) > 1


def read_by(shelf: Shelf, by: Principal, patch: pytest.MonkeyPatch, asked: dict[str, list[str]]) -> Document:
    """What MongoDB says of how it reads the rows of a page that the reader asks for."""
    pipelines: list[list[Document]] = []
    read = shelf.reader._read

    def noted(collection: str, stages: Any, *more: Any) -> Any:
        pipelines.append(list(stages))
        return read(collection, stages, *more)

    with patch.context() as patched:
        patched.setattr(shelf.reader, "_read", noted)
        shelf.reader.page(by, {"limit": [str(PAGE - 1)], **asked}, None)
    command = {"aggregate": shelf.collection.name, "pipeline": pipelines[0], "cursor": {}}
    told: Document = shelf.database.command("explain", command, verbosity="executionStats")
    found: Document = told["executionStats"]
    return found


@each
def test_col_07_the_list_of_ones_own_and_shared_rows_is_read_by_indexes(
    database: Database[Document], view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order that it has by itself no row more is read than shown; in no order all rows are looked through."""
    shelf = Shelf(database, view)
    all_rows, own, shared = 3_000, 40, 200
    documents: list[Any] = []
    for number in range(all_rows):
        if number % (all_rows // own) == 0:
            documents.append(row(view, number, ME))
        elif number % (all_rows // shared) == 1:
            documents.append(row(view, number, OTHER, share(TEAM if number % 2 else ME), share(ELSEWHERE)))
        else:
            documents.append(row(view, number, OTHER))
    shelf.fill(documents)
    by = caller(view, ME, TEAM)
    first = shelf.page(by, limit=str(PAGE - 1))
    assert first.next
    for cursor in (None, first.next):
        told = read_by(shelf, by, monkeypatch, {"cursor": [cursor]} if cursor else {})
        assert told["nReturned"] == PAGE
        assert told["totalDocsExamined"] <= 2 * PAGE, told["totalDocsExamined"]
    condition = shelf.reader.asking.scope(by)
    for sort in sorts_of(view):
        for language in view.orders_of(sort.removeprefix("-")):
            for part in parts_of(sort):
                assert "COLLSCAN" not in plan_of(shelf, condition, part, language), (sort, part, language)


@each
def test_col_07_rows_that_are_shared_with_nobody_are_in_no_index_of_that(
    database: Database[Document], view: View
) -> None:
    shelf = Shelf(database, view)
    shelf.fill([row(view, number, OTHER, *([share(ME)] if number == 1 else [])) for number in range(20)])
    asked = shelf.reader.asking.shared(caller(view, ME))
    plan = plan_of(shelf, asked, parts_of(view.order)[0], view.orders_of("created_at")[0])
    assert "IXSCAN" in plan and "COLLSCAN" not in plan
    [index] = [index for index in view.all_indexes if index.fields[0] == view.place_of("shared_with")]
    assert index.usual == b""
