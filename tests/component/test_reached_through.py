"""Lists of records that are reached through what they belong to, on a real MongoDB (SEC-18, COL-07, ADR 0054).

Of every kind that says so (`reached_through`): contacts of a customer (CUS-18).  What is asked here is what decides for
pages, totals, groups, files, single rows and histories alike.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from pymongo.database import Database

from chassis.catalogue import Catalogue
from chassis.model.context import AccessScope
from chassis.model.principal import Principal
from chassis.model.views import View
from chassis.projections.collections import STATES
from chassis.projections.state import live_id, open_state
from chassis.projections.versions import FROM, NUMBER, OF, UNTIL, versions_of
from chassis.queries.reader import ViewReader
from component.lists import NOW, ROOT, Document, Shelf, document_of
from contracts.errors import Refused
from contracts.sharing import SHARED_WITH, SHARES

VIEWS = Catalogue.read().views()
REACHED = [view for view in VIEWS if view.reached_through]
LIST_OF = {view.kind: view for view in VIEWS if view.kind}
ME, OTHER, FRIEND = (uuid4() for _ in range(3))


def caller(desk: Desk, id: UUID, *shared: UUID, own: str = "OWN", above: str = "OWN") -> Principal:
    """Somebody with the rights to see both lists, each as far as is said."""
    scope = AccessScope(people=frozenset({id}), shared=frozenset({id, *shared}))
    rights = {desk.parents.view.permission: above, desk.view.permission: own}
    reach: Any = lambda scopes: AccessScope(everybody=True) if "ALL" in scopes else scope  # noqa: E731
    held: Any = {right: frozenset({how}) for right, how in rights.items()}
    return Principal(id, "somebody", frozenset(), scopes=held, reach_of=reach)


class Desk:
    """A list of records beside that of what they belong to: two records of each of four of those."""

    def __init__(self, database: Database[Document], view: View) -> None:
        self.view, self.through = view, view.reached_through
        self.parents = Shelf(database, LIST_OF[view.parents[self.through]])
        assert self.parents.view.scope, "a longer way has its own test: tests/contract/test_reached_through.py"
        self.shelf = Shelf(database, view)
        self.shelf.reader = ViewReader(database, view, parents={self.through: self.parents.reader})
        share = {"with_id": str(FRIEND), "kind": "USER", "name": "friend", "access": "READ", "until": None}
        shared = {SHARES: [share], SHARED_WITH: [str(FRIEND)]}
        self.parents.fill([
            self.parent(1, ME),
            self.parent(2, OTHER),
            self.parent(3, OTHER, **shared),
            self.parent(4, ME, deleted=True),
        ])  # fmt: skip
        self.shelf.fill([self.child(number) for number in range(8)])

    def parent(self, number: int, owner: UUID, **more: Any) -> Document:
        return document_of(self.parents.view, number, owner_id=str(owner), **{SHARES: [], SHARED_WITH: [], **more})

    def child(self, number: int) -> Document:
        parent = document_of(self.parents.view, number // 2 + 1)["_id"]
        return document_of(self.view, number, **{self.through: parent})

    def give(self, number: int, owner: UUID) -> None:
        """What two of the records belong to changes hands."""
        row = self.parent(number, owner)
        self.parents.collection.replace_one({"_id": row["_id"]}, row)
        self.parents.touch()

    def seen(self, by: Principal, **asked: str) -> list[int]:
        """The numbers of the records that somebody sees, which pages, total, groups and file agree about."""
        rows, cursor = list[Document](), ""
        while True:
            more = {"cursor": cursor} if cursor else {}
            page = self.shelf.page(by, limit="2", count="true", group=self.through, **asked, **more)
            rows += page.items
            if page.next is None:
                break
            cursor = page.next
        assert page.total == len(rows) == sum(group["count"] for group in page.groups or ())
        file = b"".join(self.shelf.reader.export(by, {name: [value] for name, value in asked.items()}, None, "csv"))
        assert len(file.decode().splitlines()) == len(rows) + 1
        found = sorted(int(row["id"][:8], 16) for row in rows)
        for number in range(8):
            assert (number in found) is self.has_page(by, number) or asked
        return found

    def has_page(self, by: Principal, number: int) -> bool:
        key = self.child(number)["_id"]
        told: list[bool] = []
        reader = self.shelf.reader
        asks: list[Callable[[], Any]] = [partial(reader.one, by, key, None), partial(reader.history, by, key, {}, None)]
        for ask in asks:
            try:
                ask()
                told.append(True)
            except Refused as refused:
                assert refused.code == "NOT_FOUND"
                told.append(False)
        assert told[0] == told[1]
        return told[0]


@pytest.fixture(params=REACHED, ids=lambda view: view.name)
def desk(request: pytest.FixtureRequest, database: Database[Document]) -> Desk:
    return Desk(database, request.param)


def test_there_are_such_lists() -> None:
    assert "contacts" in {view.name for view in REACHED}


def test_sec_18_cus_18_a_record_is_seen_by_whom_that_is_seen_which_it_belongs_to(desk: Desk) -> None:
    """Also one that belongs to what was deleted: that is set aside, and not somebody else's now."""
    assert desk.seen(caller(desk, ME)) == [0, 1, 6, 7]
    assert desk.seen(caller(desk, OTHER)) == [2, 3, 4, 5]
    assert desk.seen(caller(desk, FRIEND)) == [4, 5]
    assert desk.seen(caller(desk, uuid4())) == []
    assert desk.seen(caller(desk, uuid4(), own="ALL", above="ALL")) == desk.seen(ROOT) == [*range(8)]


def test_sec_18_it_takes_the_right_to_both(desk: Desk) -> None:
    if desk.view.permission == desk.parents.view.permission:
        return
    assert desk.seen(caller(desk, ME, own="ALL")) == desk.seen(caller(desk, ME, above="ALL")) == [0, 1, 6, 7]


def test_sec_18_cus_18_when_that_changes_hands_the_list_follows_at_once(desk: Desk) -> None:
    desk.give(1, OTHER)
    assert desk.seen(caller(desk, ME)) == [6, 7]
    assert desk.seen(caller(desk, OTHER)) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("sort", ["", "-created_at", "name", "changed_at"])
def test_sec_18_filters_conditions_and_orders_lead_no_further(desk: Desk, sort: str) -> None:
    by, asked = caller(desk, ME), {"sort": sort} if sort in desk.view.sortable else {}
    assert desk.seen(by, **asked) == [0, 1, 6, 7]
    theirs = desk.child(2)
    assert desk.seen(by, **{desk.through: theirs[desk.through]}, **asked) == []
    words = f'{{"or": [{{"field": "id", "is": "equal", "value": "{theirs["_id"]}"}}]}}'
    assert desk.seen(by, where=words, **asked) == []


def test_sec_18_a_later_page_leaves_out_what_is_somebody_elses_by_now(desk: Desk) -> None:
    by = caller(desk, ME)
    first = desk.shelf.page(by, limit="2", sort="created_at")
    assert [int(row["id"][:8], 16) for row in first.items] == [0, 1] and first.next
    desk.parents.collection.update_one({"_id": desk.child(6)[desk.through]}, {"$set": desk.parent(4, OTHER)})
    assert desk.shelf.page(by, limit="2", sort="created_at", cursor=first.next).items == []


def test_sec_18_a_list_as_of_a_moment_shows_what_one_sees_now(desk: Desk) -> None:
    then = desk.child(0)
    versions = desk.shelf.database[versions_of(desk.view.name)]
    versions.delete_many({})
    held = {FROM: NOW, UNTIL: None, OF: then["_id"], NUMBER: 1}
    versions.insert_one({**then, **held, "_id": "1"})
    asked = {"as_of": "2026-03-02T02:00:00Z"}

    def ids(by: Principal) -> list[str]:
        return [row["id"] for row in desk.shelf.page(by, **asked).items]

    assert (ids(caller(desk, ME)), ids(caller(desk, OTHER))) == ([then["_id"]], [])
    desk.give(1, OTHER)
    assert (ids(caller(desk, ME)), ids(caller(desk, OTHER))) == ([], [then["_id"]])


def test_sec_18_the_page_tells_whose_it_is(desk: Desk) -> None:
    key = desk.child(4)["_id"]
    whose = desk.shelf.reader.whose(key)
    assert whose is not None
    assert (whose.owners, [share.with_id for share in whose.shares]) == ((OTHER,), [FRIEND])
    assert whose.rights == (desk.parents.view.permission,)
    assert desk.shelf.reader.whose(str(uuid4())) is None


def test_a_cursor_ends_when_the_list_was_made_anew_by_which_rows_are_seen(desk: Desk) -> None:
    cursor = desk.shelf.page(limit="1").next
    database, parents = desk.shelf.database, desk.parents.view
    assert cursor and desk.shelf.page(limit="1", cursor=cursor).items
    database[STATES].delete_one({"_id": live_id(parents)})
    database[parents.name].rename(f"{parents.name}__new", dropTarget=True)
    open_state(database, parents, live_id(parents), f"{parents.name}__new")
    assert desk.shelf.refusal(limit="1", cursor=cursor).why.reason == "lists.cursor_renewed"
    database[f"{parents.name}__new"].drop()
