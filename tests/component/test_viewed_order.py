"""Lists of records in the order in which the caller has looked at them (UIX-10), on a real MongoDB."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from uuid import uuid4

import pytest
from pymongo.database import Database

from chassis.model.principal import Principal
from chassis.model.views import View
from chassis.queries.reader import ViewReader
from component.lists import BY_NAME, LISTS, NOW, ROOT, Document, Shelf, document_of
from contracts.lists import VIEWED
from contracts.subjects import subjects

RECENT = BY_NAME["recently_viewed"]
VIEWS = [view for view in LISTS if view.subject in subjects()]
NEVER = Principal(uuid4(), "New", frozenset({"ADM"}))
each = pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)


class Looked:
    """A list of records, some of which people have looked at."""

    def __init__(self, database: Database[Document], view: View, rows: int = 12) -> None:
        self.recent = Shelf(database, RECENT)
        self.shelf = Shelf(database, view)
        self.shelf.reader = ViewReader(database, view, viewings=RECENT)
        self.documents = [document_of(view, number) for number in range(rows)]
        self.shelf.fill(self.documents)

    def look(self, who: Principal, number: int, minute: int, kind: str = "") -> None:
        kind = kind or self.shelf.view.what
        id = self.documents[number]["_id"]
        key = f"{who.user_id}:{kind}:{id}"
        seen = {"subject_kind": kind, "subject_id": id, "viewer_id": str(who.user_id)}
        made = document_of(RECENT, 1, **seen, viewed_at=NOW + timedelta(minutes=minute))
        self.recent.collection.replace_one({"_id": key}, {**made, "_id": key}, upsert=True)

    def number(self, row: Document) -> int:
        return next(n for n, document in enumerate(self.documents) if document["_id"] == row["id"])


@each
def test_uix_10_what_one_has_looked_at_last_comes_first_and_what_one_never_saw_last(
    database: Database[Document], view: View
) -> None:
    looked = Looked(database, view)
    for who, number, minute, kind in (
        (ROOT, 3, 1, ""), (ROOT, 7, 5, ""), (ROOT, 5, 2, ""), (ROOT, 3, 3, ""), (NEVER, 1, 9, "another kind"),
        (Principal(uuid4(), "Li", frozenset({"ADM"})), 2, 8, ""),
    ):  # fmt: skip
        looked.look(who, number, minute, kind)
    never = [number for number in range(12) if number not in (3, 5, 7)]
    for sort, wanted in ((f"-{VIEWED}", [7, 3, 5, *never[::-1]]), (VIEWED, [5, 3, 7, *never])):
        for limit in ("2", "5", "200"):
            pages = list(looked.shelf.pages(sort=sort, limit=limit))
            assert [looked.number(row) for page in pages for row in page.items] == wanted
            assert all(VIEWED not in row for row in pages[0].items), "it is told by the list of what one has viewed"
            back = list(looked.shelf.pages_back(pages[0].last or pages[0].previous, sort=sort, limit=limit))
            assert [looked.number(row) for page in back[::-1] for row in page.items] in ([], wanted)
        lines = b"".join(looked.shelf.reader.export(ROOT, {"sort": [sort]}, None, "csv")).decode("utf-8-sig")
        assert [looked.number(row) for row in csv.DictReader(io.StringIO(lines))] == wanted
    rows = looked.shelf.page(NEVER, sort=f"-{VIEWED}", limit="200").items
    assert [looked.number(row) for row in rows] == list(range(12))[::-1]


@each
def test_uix_10_what_is_looked_at_between_two_pages_moves_no_row(database: Database[Document], view: View) -> None:
    looked = Looked(database, view)
    looked.look(ROOT, 4, 1)
    pages = looked.shelf.pages(sort=f"-{VIEWED}", limit="3")
    first = next(pages)
    looked.look(ROOT, 0, 7)
    assert [looked.number(row) for page in (first, *pages) for row in page.items] == [
        4, *(number for number in range(11, -1, -1) if number != 4)
    ]  # fmt: skip
    assert looked.number(looked.shelf.page(sort=f"-{VIEWED}").items[0]) == 0


def test_uix_10_what_one_has_looked_at_and_may_not_see_any_more_is_not_there(database: Database[Document]) -> None:
    looked = Looked(database, BY_NAME["customers"])
    li = Principal(uuid4(), "Li", frozenset({"SAL"}))
    looked.look(li, 2, 1)
    assert looked.shelf.page(li, sort=f"-{VIEWED}").items == []
