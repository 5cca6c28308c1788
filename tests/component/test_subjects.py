"""Rows about other records, on a real MongoDB: shown to whom the list of those records shows them (COL-09, UIX-07)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from pymongo.database import Database

from chassis.catalogue import Catalogue
from chassis.model.principal import Principal
from chassis.model.views import View
from chassis.projections.collections import STATES
from chassis.projections.state import live_id, open_state
from chassis.queries.cursors import LONGEST_VALUE, Cursor
from chassis.queries.reader import ViewReader
from component.lists import ROOT, Document, Shelf, document_of
from contracts.errors import Refused
from contracts.subjects import subjects

VIEWS = Catalogue.read().views()
ABOUT = [view for view in VIEWS if view.of_subject]
LIST_OF = {view.subject: view for view in VIEWS if view.is_list and view.subject in subjects()}
each = pytest.mark.parametrize("view", ABOUT, ids=lambda view: view.name)


class Desk:
    """A view of rows about records, beside the lists of those."""

    def __init__(self, database: Database[Document], view: View) -> None:
        self.view = view
        self.lists = {kind: Shelf(database, one) for kind, one in LIST_OF.items()}
        for shelf in self.lists.values():
            if through := shelf.view.reached_through:
                parents = {through: self.lists[shelf.view.parents[through]].reader}
                shelf.reader = ViewReader(database, shelf.view, parents=parents)
        self.shelf = Shelf(database, view)
        self.shelf.reader = ViewReader(
            database, view, subjects={kind: shelf.reader for kind, shelf in self.lists.items()}
        )

    def enter(self, kind: str, number: int, **more: Any) -> str:
        """A record of a kind, reached through one of the same number perhaps; returns its id."""
        shelf = self.lists[kind]
        if through := shelf.view.reached_through:
            more = {through: self.enter(shelf.view.parents[through], 10_000 + number, **more)}
        document = document_of(shelf.view, number, **more)
        shelf.fill([document])
        return str(document["_id"])

    def say(self, number: int, kind: str, id: str, by: Principal) -> None:
        own = {self.view.scope.owner: str(by.user_id)} if self.view.scope else {}
        about = {"subject_kind": kind, "subject_id": id}
        self.shelf.fill([document_of(self.view, number, **about, **own)])

    def seen(self, by: Principal, **more: str) -> set[str]:
        """The subjects of the rows that somebody sees, which page, total and file agree about."""
        rows, cursor = list[Document](), ""
        while True:
            page = self.shelf.page(by, limit="2", count="true", **more, **({"cursor": cursor} if cursor else {}))
            rows += page.items
            if page.next is None:
                break
            assert len(page.items) == 2, "a page is full before there is another"
            cursor = page.next
        assert page.total == len(rows)
        file = b"".join(self.shelf.reader.export(by, {name: [value] for name, value in more.items()}, None, "csv"))
        assert len(file.decode().splitlines()) == len(rows) + 1
        return {row["subject_id"] for row in rows}


@each
@pytest.mark.parametrize("kind", LIST_OF)
def test_col_09_rows_are_shown_to_whom_the_record_is_shown(database: Database[Document], view: View, kind: str) -> None:
    desk = Desk(database, view)
    ids = [desk.enter(kind, number) for number in range(9)]
    for number, id in enumerate(ids):
        desk.say(number, kind, id, ROOT)
    assert desk.seen(ROOT) == set(ids)
    other = next(one for one in LIST_OF if one != kind)
    desk.say(20, other, ids[0], ROOT)  # the id of a record, and another kind
    assert desk.shelf.reader.page(ROOT, {"subject_kind": [other]}, None).items == []
    of_list = desk.lists[kind]
    if of_list.view.aside:
        of_list.collection.update_one({"_id": ids[1]}, {"$set": {of_list.view.aside: True}})
        assert desk.seen(ROOT) == set(ids) - {ids[1]}
    of_list.collection.delete_one({"_id": ids[2]})
    assert ids[2] not in desk.seen(ROOT)
    nobody = Principal(uuid4(), "Stranger", frozenset({"DLR"}))
    assert desk.seen(nobody) == set()


@each
def test_col_09_of_records_that_belong_to_people_everybody_sees_their_own(
    database: Database[Document], view: View
) -> None:
    """However many rows about those of others lie between."""
    desk, mine = Desk(database, view), set[str]()
    li = Principal(uuid4(), "Li", frozenset({"SAL", "MKT"} if view.permission == "colleague" else {"ADM"}))
    reach = [kind for kind, shelf in desk.lists.items() if shelf.view.scope or shelf.view.reached_through]
    for number in range(60):
        kind = reach[number % len(reach)]
        view = desk.lists[kind].view
        scope = (desk.lists[view.parents[view.reached_through]].view if view.reached_through else view).scope
        assert scope
        owner = li.user_id if number % 7 == 0 else uuid4()
        id = desk.enter(kind, 100 + number, **dict.fromkeys(scope.fields, str(owner)))
        desk.say(number, kind, id, li)
        mine |= {id} if number % 7 == 0 else set()
    only_own = Principal(
        li.user_id, "Li", li.roles,
        scopes={right: frozenset({"OWN"}) for right in (*subjects().values(), desk.view.permission)},
    )  # fmt: skip
    assert desk.seen(only_own) == mine
    one = next(iter(desk.shelf.reader.page(only_own, {}, None).items))
    assert desk.shelf.reader.one(only_own, one["id"], None)[0]["subject_id"] in mine
    hidden = next(row for row in desk.shelf.collection.find() if row["subject_id"] not in mine)
    with pytest.raises(Refused) as refused:
        desk.shelf.reader.one(only_own, hidden["_id"], None)
    assert refused.value.code == "NOT_FOUND"
    asked = {"sort": ["subject_id"], "limit": ["1"]}
    first = desk.shelf.reader.page(only_own, asked, None).next
    made_up = replace(Cursor.read(str(first)), key=hidden["_id"], value="x" * (LONGEST_VALUE + 1)).text()
    with pytest.raises(Refused) as refused:  # a page that begins behind it would tell about which record it is
        desk.shelf.reader.page(only_own, {**asked, "cursor": [made_up]}, None)
    assert refused.value.why.reason == "lists.cursor_renewed"


@each
def test_col_09_a_cursor_ends_when_a_list_of_records_was_made_anew(database: Database[Document], view: View) -> None:
    desk = Desk(database, view)
    for number in range(4):
        desk.say(number, "customer", desk.enter("customer", number), ROOT)
    cursor = desk.shelf.page(limit="1").next
    assert cursor and desk.shelf.page(limit="1", cursor=cursor).items
    customers = LIST_OF["customer"]
    database[STATES].delete_one({"_id": live_id(customers)})
    database[customers.name].rename(f"{customers.name}__new", dropTarget=True)
    open_state(database, customers, live_id(customers), f"{customers.name}__new")
    assert desk.shelf.refusal(limit="1", cursor=cursor).why.reason == "lists.cursor_renewed"
    assert len(desk.shelf.rows()) == 4
    database[f"{customers.name}__new"].drop()


def test_col_09_records_are_looked_up_by_their_id(database: Database[Document]) -> None:
    desk = Desk(database, next(view for view in ABOUT if view.name == "comments"))
    for number in range(30):
        desk.say(number, "customer", desk.enter("customer", number), ROOT)
    seen = desk.shelf.reader._of_seen(ROOT, None)
    for sort in ("written_at", "-written_at"):
        order = desk.shelf.reader.asking.order(ROOT, sort, "zh")
        assert order.language == "", "with a language no index of ids serves"
        filled, _ = order.whole()
        pipeline = [{"$match": filled.condition}, {"$sort": filled.sort}, *seen]
        told = database.command(
            "explain",
            {"aggregate": desk.shelf.collection.name, "pipeline": pipeline, "cursor": {}},
            verbosity="executionStats",
        )
        assert [(one["strategy"], one["indexName"]) for one in looks(told)] == [("IndexedLoopJoin", "_id_")] * len(
            LIST_OF
        )


def looks(told: Any) -> list[Document]:
    """How MongoDB looks things up, within what it tells of a plan."""
    if isinstance(told, dict):
        own = [told] if told.get("stage") == "EQ_LOOKUP" else []
        return own + [found for part in told.values() for found in looks(part)]
    return [found for part in told for found in looks(part)] if isinstance(told, list) else []
