"""What the records are called that rows name, on a real MongoDB: to whoever sees those, and as they are called now.

Of every kind with a field that names a record (ADR 0047): campaigns of campaigns (MKT-01), surveys of those (MKT-05).
"""

from __future__ import annotations

import csv
from uuid import uuid4

import pytest
from pymongo.database import Database

from chassis.model.principal import Principal
from chassis.queries.reader import ViewReader
from component.lists import LISTS, ROOT, Document, Shelf, document_of
from contracts.records import KINDS, Field, Kind, kind_called

VIEW_OF = {view.kind: view for view in LISTS if view.kind}
FIELDS = [(kind, field) for kind in KINDS.values() for field in kind.parents.values()]


class Family:
    """The list of a kind, with nine rows, and that of the records which a field of it names: three of them."""

    def __init__(self, database: Database[Document], kind: Kind, field: Field) -> None:
        parent = kind_called(field.rules.record)
        self.name, self.called = field.name, parent.called
        self.children = Shelf(database, VIEW_OF[kind.code])
        self.parents = self.children if parent == kind else Shelf(database, VIEW_OF[parent.code])
        self.children.reader = ViewReader(database, self.children.view, parents={field.name: self.parents.reader})
        parents = [document_of(self.parents.view, number) for number in range(100, 103)]
        self.names = {row["_id"]: row[self.called] for row in parents}
        self.ids = [*self.names, None]
        others = dict.fromkeys((name for name in self.parents.view.parents), None)
        self.parents.fill([{**row, **others} for row in parents])
        self.children.fill([self.document(number) for number in range(8)])

    def document(self, number: int) -> Document:
        made = {**document_of(self.children.view, number), self.name: self.ids[number % 4]}
        return {**made, **self.children.view.keys_of(made)}

    def rows(self, by: Principal = ROOT, **params: str) -> list[Document]:
        return [row for row in self.children.page(by, **params).items if int(row["id"][:8], 16) < 100]


@pytest.fixture(params=FIELDS, ids=lambda one: f"{one[0].what}.{one[1].name}")
def family(request: pytest.FixtureRequest, database: Database[Document]) -> Family:
    return Family(database, *request.param)


def test_mkt_01_a_row_tells_what_the_record_is_called_that_it_names(family: Family) -> None:
    rows = family.rows()
    assert len(rows) == 8
    for row in rows:
        assert row["labels"][family.name] == family.names.get(row[family.name], "")
        one, _ = family.children.reader.one(ROOT, row["id"], None)
        assert one["labels"] == row["labels"]
    first = next(iter(family.names))
    family.parents.collection.update_one({"_id": first}, {"$set": {family.called: "改名", "deleted": True}})
    told = {row[family.name]: row["labels"][family.name] for row in family.rows()}
    assert told[first] == "改名", "as it is called now, also when it was deleted"


def test_mkt_01_a_list_is_narrowed_by_the_record_and_counted(family: Family) -> None:
    first = next(iter(family.names))
    assert {row[family.name] for row in family.rows(**{family.name: first})} == {first}
    assert family.children.reader.count_with(family.name, first) == 2
    family.children.collection.update_one({family.name: first}, {"$set": {"deleted": True}})
    assert family.children.reader.count_with(family.name, first) == 1
    assert family.children.reader.count_with(family.name, str(uuid4())) == 0


def test_mkt_01_a_file_has_the_name_in_place_of_the_id(family: Family) -> None:
    unknown = "00000063-0000-4000-8000-00000000000c"
    family.children.collection.update_one({family.name: None}, {"$set": {family.name: unknown}})
    text = b"".join(family.children.reader.export(ROOT, {}, None, "csv")).decode("utf-8-sig")
    head, *lines = csv.reader(text.splitlines())
    at = head.index(family.name)
    assert {line[at] for line in lines} == {*family.names.values(), unknown, ""}


def test_sec_18_who_does_not_see_the_record_is_not_told_what_it_is_called(family: Family) -> None:
    by = Principal(uuid4(), "Wang", frozenset({"SUP"}))
    if family.parents.view.scope is None:
        return
    if owner := _owner(family.children, by):
        family.children.collection.update_many({family.name: {"$ne": None}}, {"$set": owner})
    rows = [row for row in family.rows(by) if row[family.name]]
    assert len(rows) == 6
    assert {row["labels"][family.name] for row in rows} == {""}


def _owner(shelf: Shelf, by: Principal) -> Document:
    """What makes a row that of somebody."""
    scope = shelf.view.scope
    owner = {scope.owner: str(by.user_id)} if scope else {}
    return {**owner, **shelf.view.keys_of(owner)}
