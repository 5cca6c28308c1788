"""Every list x every sort, filter and page on a real MongoDB: generated from the views, whatever they declare."""

from __future__ import annotations

import base64
import csv
import io
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from pymongo import IndexModel
from pymongo.database import Database

from chassis.model.principal import Principal
from chassis.model.row_fields import BY_NUMBER
from chassis.model.views import Exact, OfCaller, Range, Scope, Shared, View, Words, key_of, unusual
from chassis.projections.collections import STATES, add_keys, collation, keys_kept
from chassis.projections.documents import stored
from chassis.projections.state import live_id, open_state
from chassis.queries.cursors import Cursor, Part, SortOrder
from chassis.queries.filters import ClosedSets, Filters
from chassis.queries.reader import Page
from component.lists import (
    ABSENT,
    BY_NAME,
    LISTS,
    ROOT,
    WITH_CLOSED,
    WITH_DEFAULTS,
    Document,
    Shelf,
    document_of,
    value_of,
)
from contracts.errors import Refused
from contracts.languages import LANGUAGES
from contracts.people import Preferences
from contracts.text import normal

SALESPERSON = Principal(uuid4(), "Li", frozenset({"SAL"}))


def each(views: list[View] = LISTS) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("view", views, ids=lambda view: view.name)


def sorts_of(view: View) -> list[str]:
    return [direction + name for name in view.sortable for direction in ("", "-")]


def sorts_by_index(view: View) -> list[str]:
    """The sorts that have an index; what somebody has looked at last is found by its ids, and has none."""
    names = {name for name in ("_id", *view.types) if view.is_sorted_by_index(name)}
    return [sort for sort in sorts_of(view) if sort.removeprefix("-") in names]


def kind_of_field(view: View, name: str) -> str:
    return view.types[name].kind if name in view.types else name


Make = tuple[str, bool, bool, bool]
"""What cursors, pages and their ends depend on."""


def make_of(view: View, sort: str) -> Make:
    name = sort.removeprefix("-")
    return kind_of_field(view, name), view.is_in_words(name), view.is_sorted_by_index(name), sort.startswith("-")


def first_of_each_make(wanted: View) -> list[str]:
    """Of a list's sorts by an index the first of each make, where no list before it has one like it."""
    before = {make_of(view, sort) for view in LISTS[: LISTS.index(wanted)] for sort in sorts_by_index(view)}
    own = {make_of(wanted, sort): sort for sort in sorts_by_index(wanted)[::-1]}
    return [sort for make, sort in own.items() if make not in before]


def decides_who_sees_it(view: View, name: str) -> bool:
    """Whether a row with another value in a field is in the list at all, or a row of its own; or has always one."""
    by = (*view.sums.by, view.sums.over, *view.sums.fields) if view.sums else ()
    own = ("_id", "id", view.aside, *view.where, *by, *(view.scope.fields if view.scope else ()))
    always = ("action", "object_kind", "result") if view.collected else ()
    return name in (*own, *always) or name not in view.types


# -- pages ------------------------------------------------------------------------------------------------------------


def uneven(view: View, sort: str) -> list[Document]:
    """Documents of which the sort field is missing, null, nothing, equal, and different."""
    if decides_who_sees_it(view, sort):
        return [document_of(view, number) for number in range(14)]
    kind = view.types[sort]
    nothing = [""] if kind.keyed else []
    values = [ABSENT, None, *nothing] * 3 + [value_of(kind, 3)] * 4
    return [document_of(view, number, **{sort: value}) for number, value in enumerate(values)] + [
        document_of(view, number) for number in range(20, 24)
    ]


@each()
def test_uix_11_acc_67_the_rows_of_a_page_that_somebody_has_set_hold_for_every_list(
    database: Database[Document], view: View
) -> None:
    shelf = Shelf(database, view)
    shelf.fill([document_of(view, number) for number in range(6)])
    theirs = replace(ROOT, preferences=Preferences(rows_per_page=2))
    assert len(shelf.page(theirs).items) == min(2, len(shelf.page(ROOT).items))
    assert len(shelf.page(theirs, limit="5").items) == len(shelf.page(ROOT, limit="5").items), "who asks gets as many"


@pytest.fixture
def server_in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@each([view for view in LISTS if any(kind.kind == "moment" for kind in view.types.values()) and not view.sums])
@pytest.mark.usefixtures("server_in_tokyo")
def test_set_03_lists_tell_moments_as_they_are_whatever_the_zone_of_the_server(
    database: Database[Document], view: View
) -> None:
    name = next(name for name, kind in view.types.items() if kind.kind == "moment" and name not in view.computed)
    shelf = Shelf(database, view)
    shelf.fill([document_of(view, 1, **{name: datetime(2026, 3, 2, 1, tzinfo=UTC)})])
    assert [row[name] for row in shelf.page().items] == ["2026-03-02T01:00:00Z"]


@each()
def test_no_row_is_lost_or_comes_twice_whatever_the_sort_field_holds(database: Database[Document], view: View) -> None:
    in_pages_of_any_size = first_of_each_make(view)
    for field in view.sortable:
        shelf = Shelf(database, view)
        name = {"_id": "id"}.get(field, field)
        shelf.fill(uneven(view, name))
        in_order = {sort: shelf.page(sort=sort, limit="200").items for sort in (field, f"-{field}")}
        for sort, whole in in_order.items():
            everything = [row["id"] for row in whole]
            assert len(everything) == len(set(everything)) >= 10, sort
            shown = [row["id"] for row in whole if row.get(name) not in (None, "")]
            assert everything[: len(shown)] == shown, f"{sort}: what has no value comes last"
            turned = next(rows for other, rows in in_order.items() if other != sort)
            assert [row["id"] for row in turned] == shown[::-1] + everything[len(shown) :][::-1], sort
            if sort in in_pages_of_any_size:
                assert list(file_of(shelf, sort)) == everything, sort
                for limit in ("1", "3", "7"):
                    assert_pages(shelf, sort, limit, everything)
            there = shelf.rows(sort=sort, limit="7")
            back = shelf.pages_back(shelf.page(sort=sort, limit="7").last, sort=sort, limit="7")
            assert [row["id"] for row in there] == everything, sort
            assert [row["id"] for page in [*back][::-1] for row in page.items] == everything, sort


def assert_pages(shelf: Shelf, sort: str, limit: str, everything: list[str]) -> None:
    """Pages of one size hold everything in its order: forward, back from both ends, and from each to the one before."""
    there = list(shelf.pages(sort=sort, limit=limit))
    assert [row["id"] for page in there for row in page.items] == everything, (sort, limit)
    back = list(shelf.pages_back(shelf.page(sort=sort, limit=limit).last, sort=sort, limit=limit))
    assert [row["id"] for page in back[::-1] for row in page.items] == everything, (sort, limit)
    assert all(len(page.items) == int(limit) for page in back[:-1])
    again = list(shelf.pages_back(there[-1].previous, sort=sort, limit=limit))
    assert [page.items for page in again[::-1]] == [page.items for page in there[:-1]], (sort, limit)
    for page, before in zip(there[1:], there, strict=False):
        stepped = shelf.page(sort=sort, limit=limit, cursor=str(page.previous))
        assert (stepped.items, stepped.next, stepped.previous) == (before.items, before.next, before.previous)
    assert there[0].previous is None and back[0].next is back[0].last is there[-1].next is there[-1].last is None


def file_of(shelf: Shelf, sort: str) -> list[str]:
    """The ids in a file, in its order."""
    lines = b"".join(shelf.reader.export(ROOT, {"sort": [sort]}, None, "csv")).decode("utf-8-sig")
    return [row["id"] for row in csv.DictReader(io.StringIO(lines))]


@each()
def test_uix_13_every_column_that_has_an_order_sorts_and_the_others_are_refused_by_name(
    database: Database[Document], view: View
) -> None:
    shelf = Shelf(database, view)
    shelf.fill([document_of(view, number) for number in range(3)])
    for name, kind in view.types.items():
        if name in view.sortable:
            assert len(shelf.page(sort=name).items) == len(shelf.page().items)
            continue
        refused = shelf.refusal(sort=f"-{name}")
        assert (refused.code, refused.field) == ("VALIDATION", "sort")
        assert f" {name}" in refused.message and all(one in refused.message for one in view.sortable)
        assert kind.kind in ("list", "object") or name in view.computed or view.is_in_words(name)


@each([view for view in LISTS if view.of_subject or not view.sums])
def test_a_long_text_is_looked_up_and_not_in_the_cursor(database: Database[Document], view: View) -> None:
    """Else the address of a page would be longer than servers take."""
    for name in view.sortable:
        if not view.is_in_words(name) or decides_who_sees_it(view, name):
            continue
        shelf = Shelf(database, view)
        texts = ["京" * 4_000 + str(number) for number in range(5)]
        shelf.fill([document_of(view, number, **{name: text}) for number, text in enumerate(texts)])
        pages = list(shelf.pages(sort=name, limit="2"))
        assert all(len(str(page.next)) < 1_000 for page in pages)
        assert [row[name] for page in pages for row in page.items] == texts
        back = list(shelf.pages_back(pages[-1].previous, sort=name, limit="2"))
        assert [row[name] for page in back[::-1] for row in page.items] == texts[:4]


def test_a_made_up_cursor_tells_nothing_of_rows_that_one_does_not_see(database: Database[Document]) -> None:
    """SEC-18: neither shows them, nor begins where one of them would stand."""
    shelf = Shelf(database, BY_NAME["customers"])
    mine, theirs = str(SALESPERSON.user_id), str(uuid4())
    rows = [document_of(shelf.view, n, need=("甲" * 700) + str(n), owner_id=(mine, theirs)[n % 2]) for n in range(8)]
    shelf.fill(rows)
    asked = {"sort": "need", "limit": "1"}
    cursor = Cursor.read(str(shelf.page(SALESPERSON, **asked).next))
    assert cursor.is_looked_up
    told = {row["_id"] for row in rows if row["owner_id"] == mine}
    for row in rows:
        for back in (False, True):
            made_up = replace(cursor, key=row["_id"], back=back)
            text = replace(made_up, value="x" * 601).text()
            if row["_id"] not in told:
                assert shelf.refusal(SALESPERSON, **asked, cursor=text).why.reason == "lists.cursor_renewed"
            else:
                assert {one["id"] for one in shelf.page(SALESPERSON, **asked, cursor=text).items} <= told
            given = replace(made_up, value=row["need"][:100], is_looked_up=False).text()
            assert {one["id"] for one in shelf.page(SALESPERSON, **asked, cursor=given).items} <= told
    made_up = replace(cursor, value="x")
    for other in (replace(made_up, collection="orders"), replace(made_up, view="orders"),
                  replace(made_up, conditions="0" * 16)):  # fmt: skip
        assert shelf.refusal(SALESPERSON, **asked, cursor=other.text()).field == "cursor"


def without(hidden: set[str], pages: Sequence[Page]) -> list[list[Document]]:
    """The rows of pages but for some."""
    return [[row for row in page.items if row["id"] not in hidden] for page in pages]


@each()
def test_rows_that_change_their_place_between_two_pages_are_told_once(database: Database[Document], view: View) -> None:
    """All pages are of the moment of the first, with its freshness; what is asked anew shows the change.

    Whoever sees only some rows is not told on a later page of one that is gone: it may be gone for them alone.
    """
    others = [sort for sort in sorts_of(view) if sort not in sorts_by_index(view)]
    for sort in (*sorts_by_index(view), *others[-2:]):
        name = sort.removeprefix("-")
        shelf = Shelf(database, view)
        shelf.fill([document_of(view, number) for number in range(12)])
        pages = shelf.pages(sort=sort, limit="5", count="true")
        first = next(pages)
        moved = {} if decides_who_sees_it(view, name) else {name: value_of(view.types[name], 99)}
        last, earliest = document_of(view, 11)["_id"], document_of(view, 0)["_id"]
        shelf.collection.update_one({"_id": last}, {"$set": {**moved, "touched": True}})
        shelf.collection.update_one({"_id": earliest}, {"$set": moved or {"touched": True}})
        gone = document_of(view, 6)["_id"]
        shelf.collection.delete_one({"_id": gone})
        is_hidden = bool(shelf.reader.asking.scope(ROOT)) or view.of_subject
        shelf.fill([document_of(view, 100)])
        rest = list(pages)
        back = list(shelf.pages_back(rest[-1].previous, sort=sort, limit="5"))
        hidden = {gone} if is_hidden else set()
        assert without(hidden, back[::-1]) == without(hidden, [first, *rest[:-1]]), sort
        told = [row["id"] for page in without(hidden, [first, *rest]) for row in page]
        assert len(told) == len(set(told)) == 12 - is_hidden, sort
        assert first.total == rest[-1].total == 12, sort
        assert all(page.freshness == first.freshness for page in rest)
        assert len(shelf.rows(sort=sort)) == 12


def test_a_cursor_is_taken_only_where_it_comes_from(database: Database[Document]) -> None:
    shelf = Shelf(database, BY_NAME["products"])
    shelf.fill([document_of(shelf.view, number) for number in range(5)])
    cursor = str(shelf.page(sort="name", limit="2").next)
    for other in ("-name", "brand", "on_hand"):
        assert "another sort order" in shelf.refusal(sort=other, cursor=cursor).message
    former = base64.urlsafe_b64encode(json.dumps(["j", "text 0001", "some id"]).encode()).decode()
    assert "earlier releases" in shelf.refusal(sort="name", cursor=former).message
    parts = json.loads(base64.urlsafe_b64decode(cursor + "=="))
    for seconds, what in ((2**32 - 1, "some minutes"), (1, "some minutes")):
        parts[6] = seconds
        forged = base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()
        assert what in shelf.refusal(sort="name", cursor=forged).message
    database[STATES].update_one({"_id": "products"}, {"$set": {"collection": "products__new"}})
    assert "made anew" in shelf.refusal(sort="name", cursor=cursor).message


@each(WITH_CLOSED)
def test_led_11_records_that_have_become_something_else_are_in_no_list(
    database: Database[Document], view: View
) -> None:
    assert view.closed
    shelf, field, value = Shelf(database, view), view.closed.field, view.closed.value or str(uuid4())
    is_status = view.closed.value is not None
    there = next(choice for choice in view.types[field].choices if choice != value) if is_status else None
    rows = [document_of(view, number, **{field: (value, there)[number % 2]}) for number in range(6)]
    shelf.fill(rows)
    wanted = {row["_id"] for row in rows[1::2]}
    page = shelf.page(count="true", group=field)
    assert {row["id"] for row in page.items} == wanted == {*file_of(shelf, view.default_sort)}
    assert page.total == 3 and page.groups is not None
    assert [(group["value"], group["count"]) for group in page.groups] == [(there, 3)]
    assert shelf.rows(where=json.dumps({"field": field, "is": "equal", "value": value})) == []


def some_filter(view: View) -> dict[str, Any]:
    """One filter of a list with a value that may stand there; nothing for a list that has none."""
    for name, rule in view.filters.items():
        if isinstance(rule, Words):
            return {name: "text"}
        if isinstance(rule, Shared):
            continue
        if isinstance(rule, Range):
            return {f"{name}_from": "2026-01-02" if issubclass(rule.kind, date) else "1"}
        if isinstance(rule, Exact) and not (rule.among or rule.known or rule.form):
            value = value_of(view.types[rule.field or name].single, 1)
            return {name: {True: "true", False: "false"}.get(value, str(value))}
    return {}


@each()
def test_a_cursor_belongs_to_its_list_its_order_and_its_conditions(database: Database[Document], view: View) -> None:
    """UIX-09, UIX-13: also one of pages that are read backwards."""
    shelf = Shelf(database, view)
    shelf.fill([document_of(view, number) for number in range(5)])
    page = shelf.page(limit="1")
    elsewhere = replace(page_cursor := Cursor.read(str(page.next)), view="elsewhere").text()
    assert page_cursor.view == view.name
    asked = some_filter(view)
    where = json.dumps({"field": "id", "is": "is_not_empty"})
    for cursor in (str(page.next), str(page.last)):
        for other in [{"where": where}, *([asked] if asked else [])]:
            refused = shelf.refusal(limit="1", cursor=cursor, **other)
            assert refused.field == "cursor"
            assert "other filters or conditions" in refused.message and "first page again" in refused.message
    refused = shelf.refusal(limit="1", cursor=elsewhere)
    assert (refused.field, "another list" in refused.message) == ("cursor", True)
    narrowed = Shelf(database, view)
    narrowed.fill([document_of(view, number) for number in range(5)])
    first = narrowed.page(limit="1", where=where)
    cursor = str(first.next)
    for other in ({}, {"where": json.dumps({"field": "id", "is": "equal", "value": first.items[0]["id"]})}):
        assert narrowed.refusal(limit="1", cursor=cursor, **other).field == "cursor"
    if asked:
        assert narrowed.refusal(limit="1", cursor=cursor, where=where, **asked).field == "cursor"
    spaced = json.dumps({"is": "is_not_empty", "field": "id"}, indent=1)
    for same in (where, spaced):
        assert narrowed.page(limit="1", cursor=cursor, where=same).items
    assert len(narrowed.page(limit="3", cursor=cursor, where=where, count="true").items) == 3, "a page may be longer"


def test_most_lists_have_a_filter_for_that() -> None:
    assert sum(bool(some_filter(view)) for view in LISTS) > len(LISTS) / 2


def test_a_cursor_knows_its_values_in_whatever_order_they_are_given(database: Database[Document]) -> None:
    view = BY_NAME["products"]
    shelf = Shelf(database, view)
    shelf.fill([document_of(view, number) for number in range(6)])
    brands = [document_of(view, number)["brand"] for number in (1, 2, 3)]
    cursor = str(shelf.page(limit="1", brand=brands).next)
    assert shelf.page(limit="1", brand=brands[::-1], cursor=cursor).items
    assert shelf.refusal(limit="1", brand=brands[:2], cursor=cursor).field == "cursor"


@each(WITH_DEFAULTS)
def test_what_nothing_has_happened_to_is_in_its_place_on_every_page_in_the_count_and_in_the_file(
    database: Database[Document], view: View
) -> None:
    """Whichever of the records that there are from the beginning have been changed, each is told once, as it is now."""
    beginning = list(view.defaults)
    for changed in ([], beginning[:1], beginning[-1:], beginning):
        shelf = Shelf(database, view)
        shelf.fill(
            [
                {**document_of(view, n), **stored(view.defaults[id]), "_id": id, "version": 7}
                for n, id in enumerate(changed)
            ]
        )
        versions = {id: 7 if id in changed else 0 for id in beginning}
        for sort in sorts_of(view):
            whole = shelf.page(sort=sort, limit="200", count="true")
            assert {row["id"]: row["version"] for row in whole.items} == versions
            assert (len(whole.items), whole.total, whole.next) == (len(beginning), len(beginning), None)
            for limit in (1, 2):
                pages = list(shelf.pages(sort=sort, limit=str(limit), count="true"))
                assert [row for page in pages for row in page.items] == whole.items, (sort, limit)
                assert all(page.total == len(beginning) and len(page.items) <= limit for page in pages)
            assert file_of(shelf, sort) == [row["id"] for row in whole.items]
        for id in beginning:
            row, freshness = shelf.reader.one(ROOT, id, None)
            assert row["version"] == versions[id] and freshness == whole.freshness


# -- indexes ----------------------------------------------------------------------------------------------------------


def parts_of(sort: str) -> list[Part]:
    """The parts of a list: rows that have a value, and those that have none."""
    name = sort.removeprefix("-")
    return SortOrder("_id" if name == "id" else name, -1 if sort.startswith("-") else 1).whole()


def explained(
    shelf: Shelf, condition: Document, part: Part, language: str, verbosity: str = "queryPlanner"
) -> Document:
    """What MongoDB says of how it reads one page."""
    command: Document = {
        "find": shelf.collection.name,
        "filter": {"$and": [dict(shelf.view.shown()), condition, part.condition]},
        "sort": part.sort,
        "limit": PAGE,
    }
    if language:
        command["collation"] = collation(language)
    return dict(shelf.database.command("explain", command, verbosity=verbosity))


def plan_of(shelf: Shelf, condition: Document, part: Part, language: str) -> set[str]:
    """The stages of MongoDB's plan."""
    found: set[str] = set()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            found.update([node["stage"]] if "stage" in node else [])
            for inner in node.values():
                walk(inner)
        for inner in node if isinstance(node, list) else ():
            walk(inner)

    walk(explained(shelf, condition, part, language)["queryPlanner"]["winningPlan"])
    return found


PAGE = 51
PEOPLE = [str(uuid4()) for _ in range(3)]
ROWS = {0: 1_000, 1: 900, 2: 20}
"""How many rows are those of each of the people: a team that has half of all, and somebody new."""


def of_people(view: View, numbers: Sequence[int]) -> Document:
    """The condition for the rows of some people."""
    assert view.scope
    make = view.type_of(view.scope.owner).equal
    assert make, "ids have keys"
    keys = {"$in": [key_of(PEOPLE[number], make) for number in numbers]}
    own: list[Document] = [{view.place_of(owner): keys} for owner in view.scope.fields]
    return own[0] if len(own) == 1 else {"$or": own}


@each([view for view in LISTS if view.sums is None])
def test_every_declared_sort_in_both_directions_uses_an_index(database: Database[Document], view: View) -> None:
    """After a cursor too, and of rows without a value.  Rows that are added up are sorted after it."""
    shelf = Shelf(database, view)
    shelf.fill([document_of(view, number) for number in range(300)])
    for sort in sorts_by_index(view):
        for language in view.orders_of(sort.removeprefix("-")):
            for part in parts_of(sort):
                stages = plan_of(shelf, {}, part, language)
                assert not {"SORT", "COLLSCAN"} & stages, (sort, part, language, stages)


@each([view for view in LISTS if view.sums is None and view.scope and not (view.collected or view.scope.only_own)])
def test_whose_rows_somebody_sees_never_makes_a_list_read_all_rows(database: Database[Document], view: View) -> None:
    """In any order: the rows of few are found by whose they are and sorted, those of many are met in that order.

    That is at worst some times the root of rows times page, 320 of 1,920 here.
    """
    shelf = Shelf(database, view)
    assert view.scope
    whose = [PEOPLE[number] for number, count in ROWS.items() for _ in range(count)]
    Random(7).shuffle(whose)
    shelf.fill(
        [document_of(view, number, **dict.fromkeys(view.scope.fields, person)) for number, person in enumerate(whose)]
    )
    for sort in sorts_by_index(view):
        for language in view.orders_of(sort.removeprefix("-")):
            for people in ([2], [0], [0, 1, 2]):
                for part in parts_of(sort):
                    told = explained(shelf, of_people(view, people), part, language, "executionStats")["executionStats"]
                    rows = 0 if part.is_empty else min(PAGE, sum(ROWS[number] for number in people))
                    assert told["nReturned"] == rows, (sort, language, people)
                    assert told["totalDocsExamined"] <= 640, (sort, language, people, told["totalDocsExamined"])


@each([view for view in LISTS if view.sums is None])
def test_every_filter_uses_an_index(database: Database[Document], view: View) -> None:
    """With the sort order that a list has by itself, in each language."""
    shelf = Shelf(database, view)
    shelf.fill([document_of(view, number) for number in range(300)])
    sort = view.order
    for name, rule in view.filters.items():
        if isinstance(rule, Words | OfCaller | Shared):
            continue
        field = view.place_of(rule.field or name)
        kind = view.types[rule.field or name].single
        value = value_of(kind, 5)
        if isinstance(rule, Exact) and kind.equal and not view.collected:
            value = key_of(value, kind.equal)
        condition: Document = {field: {"$gte": value} if isinstance(rule, Range) else {"$in": [value]}}
        if isinstance(rule, Exact) and rule.usual is not None:
            condition = {"$and": [condition, unusual(field, rule.usual)]}
        for language in view.orders_of(sort.removeprefix("-")):
            for part in parts_of(sort):
                assert "COLLSCAN" not in plan_of(shelf, condition, part, language), (name, language)


SOME = 7  # of so many rows one has another value than the usual one
ALL = 2_100


def other_values(view: View, field: str, usual: str) -> list[Any]:
    """Values beside the usual one, on both sides of it where there are such."""
    rule = view.asked_exactly[field]
    if rule.form == "id":
        return [f"{number:08x}-0000-4000-8000-000000000000" for number in (1, 2)]
    if rule.form == "address":
        return ["203.0.113.1", "203.0.113.2"]
    choices = [value for value in rule.among or view.types[field].choices if value != usual]
    return [choices[0], choices[-1]] if choices else [f"a{usual}", f"z{usual}"]


@each([view for view in LISTS if any(rule.usual is not None or rule.few for rule in view.asked_exactly.values())])
def test_a_filter_whose_index_lacks_usual_rows_reads_few_rows_whatever_is_asked(
    database: Database[Document], view: View
) -> None:
    """Usual values, others, several on both sides of the usual one; in both directions; rare ones among the oldest."""
    shelf = Shelf(database, view)
    fields = {field: rule for field, rule in view.asked_exactly.items() if rule.usual is not None or rule.few}
    documents = []
    for number in range(ALL):
        more = {}
        for place, (field, rule) in enumerate(fields.items()):
            if rule.usual is None:
                more[field] = f"{number // 3:08x}-0000-4000-8000-000000000000"
            elif number % SOME == place % SOME and number < ALL // 2:
                more[field] = other_values(view, field, rule.usual)[number % 2]
            else:
                more[field] = rule.usual
        documents.append(document_of(view, number, **more))
    shelf.fill(documents)
    known: ClosedSets = {rule.known: lambda: ["order", "aorder", "zorder"] for rule in fields.values() if rule.known}
    filters = Filters(view, lambda _: True, known=known)
    for field, rule in fields.items():
        name = next(name for name, each in view.filters.items() if each is rule)
        if rule.usual is None:
            asked = [[documents[9][field]]]
        else:
            others = other_values(view, field, rule.usual)
            asked = [others[:1], others[1:], others, *([] if rule.form else [[rule.usual], [rule.usual, others[0]]])]
        for values in asked:
            found = filters.condition(name, values)
            assert found is not None
            for part in [part for sort in (view.order, view.order.removeprefix("-")) for part in parts_of(sort)]:
                told = explained(shelf, found[0], part, "", "executionStats")["executionStats"]
                expected = 0 if part.is_empty else min(PAGE, sum(document[field] in values for document in documents))
                assert told["nReturned"] == expected and (expected or part.is_empty), (name, values)
                assert told["totalDocsExamined"] <= 3 * PAGE, (name, values, part, told["totalDocsExamined"])


def test_the_audit_logs_indexes_of_a_former_release_are_replaced(database: Database[Document]) -> None:
    shelf = Shelf(database, BY_NAME["audit"])
    shelf.fill([document_of(shelf.view, number) for number in range(30)])
    now = set(shelf.collection.index_information())
    shelf.collection.drop_indexes()
    former = [[(field, 1), ("at", 1), ("_id", 1)] for field in shelf.view.asked_exactly]
    shelf.collection.create_indexes([IndexModel(keys) for keys in former])
    open_state(database, shelf.view, live_id(shelf.view))
    assert set(shelf.collection.index_information()) == now
    assert len(shelf.page(command_id="text 0007").items) == 1


# -- filters ----------------------------------------------------------------------------------------------------------

ABSURD = [
    "", " ", "\u200b", "nonsense", "-", "NaN", "Infinity", "1e7000", "-1e7000", str(2**70), "9" * 400, "1.5",
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0000-00-00", "2026-02-30", "10000-01-01", "true", "{}",
    '{"$gt": ""}', "$where", "[", "\\", "*", "(((((", "\x00", "\ud800", "\ufffe", "é", "１２", "😀", "x" * 501,
    base64.urlsafe_b64encode(b"[2,\"at\",\"\",\"x\",1,1,\"j\",1e7000,\"x\"]").decode(),
    base64.urlsafe_b64encode(b"[" * 3000).decode(), "\u0661", "00000000-0000-0000-0000-000000000000" * 2,
]  # fmt: skip


def forged_cursors(cursor: str | None) -> list[str]:
    """A cursor with each of its parts replaced by what no page tells; none of no cursor."""
    if not cursor:
        return []
    parts = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    absurd: list[Any] = [
        None,
        True,
        -1,
        2**70,
        1.5,
        "",
        "x",
        [],
        {},
        "1e7000",
        "0001-01-01T00:00:00+14:00",
        "NaN",
        "\ud800",
    ]
    kinds = [[*parts[:8], kind, value, *parts[10:]] for kind in "ntj" for value in absurd]
    changed = [[*parts[:n], value, *parts[n + 1 :]] for n in range(len(parts)) for value in absurd]
    return [base64.urlsafe_b64encode(json.dumps(made).encode()).decode() for made in (*kinds, *changed, parts[:-1])]


@each()
def test_absurd_parameters_are_refused_by_name_or_find_something_but_never_fail(
    database: Database[Document], view: View
) -> None:
    shelf = Shelf(database, view)
    shelf.fill([document_of(view, number) for number in range(3)])
    names = {name: name for name in ("limit", "cursor", "sort", "count", "no_such_parameter")}
    for name, rule in view.filters.items():
        made: Any = (
            (rule.form, rule.among, kind_of_field(view, rule.field or name)) if isinstance(rule, Exact) else rule
        )
        names |= {f"{name}_from": made, f"{name}_to": made} if isinstance(rule, Range) else {name: made}
    for number, name in enumerate(names):
        is_first = names[name] not in [*names.values()][:number]
        for value in ABSURD if is_first else ABSURD[:4]:
            answered_or_refused(shelf, name, value)
        answered_or_refused(shelf, name, ["x"] * 2000)
    for sort in first_of_each_make(view):
        page = shelf.page(sort=sort, limit="1")
        for forged in forged_cursors(page.last if sort.startswith("-") else page.next):
            answered_or_refused(shelf, "cursor", forged, sort=sort)


def answered_or_refused(shelf: Shelf, name: str, value: Any, **more: str) -> None:
    try:
        shelf.page(**{name: value, **more})
    except Refused as refused:
        assert (refused.code, refused.field) == ("VALIDATION", name), (name, value, refused.message)


@each()
def test_a_wrong_value_is_refused_and_what_there_is_is_named(database: Database[Document], view: View) -> None:
    shelf = Shelf(database, view)
    for name, rule in view.filters.items():
        if not isinstance(rule, Exact):
            continue
        type = view.types[rule.field or name].single
        choices = rule.among or type.choices
        if choices:
            message = shelf.refusal(**{name: "NO_SUCH_THING"}).message
            assert all(choice in message for choice in choices), message
        elif type.kind not in ("text", "code") or type.guard:
            assert shelf.refusal(**{name: "no such thing"}).field == name


@each()
def test_every_filter_finds_its_value_in_capitals_with_blanks_and_in_full_width(
    database: Database[Document], view: View
) -> None:
    shelf = Shelf(database, view)
    shelf.fill([document_of(view, number) for number in range(8)])
    for name, rule in view.filters.items():
        if not isinstance(rule, Exact):
            continue
        type = view.types[rule.field or name].single
        if rule.among:
            shelf.collection.update_many({}, {"$set": {rule.field or name: rule.among[1]}})
        kept = (shelf.collection.find_one({"_id": document_of(view, 5)["_id"]}) or {})[rule.field or name]
        value = str(kept[0] if isinstance(kept, list) else kept)
        right = {row["id"] for row in shelf.page(**{name: value}).items}
        assert right, name
        if type.kind in ("id", "choice") or not view.collected:
            wide = "".join(chr(ord(ch) + 0xFEE0) if "!" <= ch <= "~" else ch for ch in value)
            for written in (value.upper(), value.lower(), f" {value}\u00a0", wide):
                assert {row["id"] for row in shelf.page(**{name: written}).items} == right, (name, written)


# -- texts ------------------------------------------------------------------------------------------------------------

SAME = [
    ("+86 139-0000-0041", ["13900000041", "+8613900000041", "139 0000 0041", "１３９００００００４１", "0000-0041"]),
    ("13900000041", ["+86 139-0000-0041", "139-0000-0041", "(139) 0000 0041"]),
    ("+81 90-1234-5678", ["+819012345678", "81 90 1234", "９０-1234", "+81 (0)90-1234-5678", "090-1234"]),
    ("+81 090-1234-5678", ["+81 90-1234-5678", "0081 90 1234 5678", "090-1234-5678", "+81 090"]),
    ("Desk\u200bLamp", ["Desk Lamp", "DeskLamp", "desk\u2060lamp"]),
    (
        "Café Ünïon",
        ["Cafe\u0301", "CAFÉ", "cafe\u0301 unïon".replace("u", "ü"), "ｃａｆé", "Caf\u200bé", "Café\u00a0Ünïon"],
    ),
    ("Cafe\u0301 X", ["Café X", "café x"]),
    ("東京商店 ﾃﾞﾊﾟｰﾄ", ["東京", "デパート", "商店"]),
    ("SO-UITB-TXUT", ["so-uitb-txut", "SOUITBTXUT", "so uitb txut", "ＳＯ－ＵＩＴＢ"]),
    ("Li.Lei@Example.com", ["li.lei@example.com", "LI.LEI@EXAMPLE.COM", "ｌｉ.lei@"]),
    ("Straße 12", ["STRASSE 12", "strasse"]),
]


@each([view for view in LISTS if not view.collected])
def test_a_filter_finds_what_counts_as_the_same(database: Database[Document], view: View) -> None:
    """What is not seen may be nothing or a blank, and a phone number has a 0 behind its country or not."""
    for name, rule in view.filters.items():
        if not isinstance(rule, Exact) or not view.types[rule.field or name].keyed or rule.among:
            continue
        if rule.match != "any":
            continue
        field = rule.field or name
        is_code = view.types[field].single.kind == "code"
        kept, others = ("+81 090-1234", ["+81 90-1234", "+81 901234"]) if is_code else ("a\u200bb", ["a b", "AB"])
        shelf = Shelf(database, view)
        outer, _, inner = field.partition(".")
        value = [kept] if view.types[field].kind == "list" else kept
        shelf.fill([document_of(view, 1, **{outer: {inner: value} if inner else value}), document_of(view, 2)])
        for written in (kept, *others):
            assert len(shelf.page(**{name: written}).items) == 1, (name, written)
            assert len(shelf.page(**{name: [written, "no such text"]}).items) == 1, (name, written)


@each([view for view in LISTS if any(isinstance(rule, Words) for rule in view.filters.values()) and not view.collected])
def test_search_finds_what_counts_as_the_same(database: Database[Document], view: View) -> None:
    words = next(rule for rule in view.filters.values() if isinstance(rule, Words))
    for kept, asked in SAME:
        shelf = Shelf(database, view)
        wanted = []
        for number, field in enumerate(words.fields):
            outer, _, inner = field.partition(".")
            wanted.append(document_of(view, number, **{outer: {inner: kept} if inner else kept}))
        shelf.fill([*wanted, document_of(view, len(wanted))])
        ids = {document["_id"] for document in wanted}
        for text in (kept, *asked):
            found = {row["id"] for row in shelf.page(q=text, limit="200").items}
            assert len(found) == len(ids) and (view.sums or found == ids), (kept, text)
        assert shelf.page(q="no such text").items == []


@each()
def test_what_nothing_can_be_found_by_is_refused_and_finds_not_everything(
    database: Database[Document], view: View
) -> None:
    """A dash or an unseen blank has no key."""
    shelf = Shelf(database, view)
    shelf.fill([document_of(view, number) for number in range(2)])
    for name, rule in view.filters.items():
        keyed = None if not isinstance(rule, Exact) or rule.among else view.types[rule.field or name].keyed
        for text in ("\u200b", "\u2060\u200d", " \ufeff ", "-", "--", "()", "/ ."):
            searched = isinstance(rule, Words) and (not view.collected or not normal(text))
            if searched or (keyed and not keyed(text)[0] and not view.collected):
                assert shelf.refusal(**{name: text}).field == name, text
                assert shelf.refusal(**{name: [text, "text 0001"]}).field == name, text


def test_a_document_with_an_id_that_is_none_gets_keys_too(database: Database[Document]) -> None:
    """It must not keep a projector from starting."""
    shelf = Shelf(database, BY_NAME["orders"])
    made = document_of(shelf.view, 1, owner_id="nobody")
    assert made["_is_owner_id"] == b"nobody"
    shelf.fill([made])
    assert [row["owner_id"] for row in shelf.page().items] == ["nobody"]


def test_documents_of_a_former_release_get_the_keys_and_indexes_of_this_one(database: Database[Document]) -> None:
    shelf = Shelf(database, BY_NAME["customers"])
    old = document_of(shelf.view, 1, name="Cafe\u0301", mobile="+86 139-0000-0041")
    without = {name: value for name, value in old.items() if not name.startswith(("_is_", "_find_"))}
    shelf.collection.insert_one({**without, "_same_name": "café"})
    shelf.collection.create_index("_same_name")
    kept_then = {"keys": ["_find_name", "_same_name", "edition 2"]}
    database[STATES].update_one({"_id": "customers"}, {"$set": kept_then})
    assert shelf.page(q="13900000041").items == []
    open_state(database, shelf.view, live_id(shelf.view))
    assert [row["mobile"] for row in shelf.page(q="13900000041").items] == ["+86 139-0000-0041"]
    assert len(shelf.page(name="CAFÉ").items) == len(shelf.page(mobile="13900000041").items) == 1
    found = shelf.collection.find_one() or {}
    assert found["_find_mobile"][0] == "13900000041" and found["_is_name"] == "café".encode()
    assert found == {**old, "_event_at": found["_event_at"]}
    assert "_same_name_1" not in shelf.collection.index_information(), (
        "nobody asks for it any more, and writes pay for it"
    )
    state = database[STATES].find_one({"_id": "customers"}) or {}
    shelf.collection.update_one({}, {"$unset": {"_find_name": ""}})
    add_keys(database, shelf.view, state)
    assert "_find_name" not in (shelf.collection.find_one() or {}), "it is done once"


def test_documents_get_their_keys_anew_when_the_rules_for_them_have_changed(database: Database[Document]) -> None:
    shelf = Shelf(database, BY_NAME["customers"])
    old = document_of(shelf.view, 1, mobile="+81 090-1234-5678")
    shelf.collection.insert_one({**old, "_find_mobile": "+8109012345678"})
    places = [place for place in keys_kept(shelf.view) if place.startswith("_")]
    database[STATES].update_one({"_id": "customers"}, {"$set": {"keys": places}})
    assert not shelf.page(q="+819012").items
    open_state(database, shelf.view, live_id(shelf.view))
    assert shelf.page(q="+819012").items


ORDERS = {
    "zh": ["北京", "成都", "广州", "上海", "深圳", "Ärzte", "Österreich", "Zebra"],
    "ja": ["Ärzte", "Österreich", "Zebra", "あさひ", "カメラ", "さくら"],
    "en": ["Ärzte", "anton", "Berta", "Österreich", "Zebra"],
}


@each([view for view in LISTS if any(map(view.is_in_words, view.sortable))])
def test_names_sort_as_people_of_the_language_expect(database: Database[Document], view: View) -> None:
    for name in [name for name in view.sortable if view.is_in_words(name) and not decides_who_sees_it(view, name)]:
        for language in LANGUAGES:
            shelf, right = Shelf(database, view), ORDERS[language]
            if language == "en":
                right = ["anton", "Ärzte", "Berta", "Österreich", "Zebra"]
            shelf.fill([document_of(view, number, **{name: text}) for number, text in enumerate(right[::-1])])
            for sort, wanted in ((name, right), (f"-{name}", right[::-1])):
                found: list[str] = []
                cursor: str | None = None
                while cursor is not None or not found:
                    params = {"sort": [sort], "limit": ["2"], **({"cursor": [cursor]} if cursor else {})}
                    page = shelf.reader.page(ROOT, params, None, language if not cursor else "en")
                    found += [row[name] for row in page.items]
                    cursor = page.next
                assert found == wanted, (name, language)


NUMBERED = ["SO-UITB-TXUT", "SO-000001", "SO-000010", "SO-999999", "SO-1000000", "SO-9999999", "SO-10000000"]


@each([view for view in LISTS if any(view.orders_of(name) == (BY_NUMBER,) for name in view.sortable)])
def test_codes_sort_by_the_numbers_in_them(database: Database[Document], view: View) -> None:
    """Also from the first number on that has more digits than the others; zeros before it still tell two apart."""
    right = [*NUMBERED[1:], NUMBERED[0]]
    for name in [name for name in view.sortable if view.orders_of(name) == (BY_NUMBER,)]:
        shelf = Shelf(database, view)
        shelf.fill([document_of(view, number, **{name: text}) for number, text in enumerate(NUMBERED)])
        for sort, wanted in ((name, right), (f"-{name}", right[::-1])):
            assert [row[name] for row in shelf.rows(sort=sort, limit="2")] == wanted
            file = b"".join(shelf.reader.export(ROOT, {"sort": [sort]}, None, "csv")).decode("utf-8-sig")
            assert [row[name] for row in csv.DictReader(io.StringIO(file))] == wanted
        if isinstance(view.filters.get(name), Exact):
            assert [row[name] for row in shelf.page(**{name: "SO-1000000", "sort": name}).items] == ["SO-1000000"]
            assert not shelf.page(**{name: "SO-01000000", "sort": name}).items


# -- hidden fields ----------------------------------------------------------------------------------------------------


@each()
def test_a_hidden_field_is_in_no_row_sort_filter_search_export_or_message(
    database: Database[Document], view: View
) -> None:
    """Each field in turn is hidden, whatever the view declares."""
    for field in view.types:
        hidden = replace(view, hidden={**view.hidden, field: "accounts"}, scope=None)
        shelf = Shelf(database, hidden)
        shelf.fill([document_of(hidden, number) for number in range(3)])
        assert SALESPERSON.may("accounts") is False and ROOT.may("accounts")
        if view.order.removeprefix("-") != field:
            page = shelf.page(SALESPERSON, sort=view.order, count="true")
            assert page.items and all(field not in row for row in page.items)
            csv = b"".join(shelf.reader.export(SALESPERSON, {}, None, "csv"))
            assert field not in csv.decode("utf-8-sig").splitlines()[0].split(",")
        for sort in (field, f"-{field}"):
            message = shelf.refusal(SALESPERSON, sort=sort).message
            assert f" {field}," not in message.removeprefix("sort: ").replace("of ", "of  ")
        for name, rule in view.filters.items():
            if isinstance(rule, Words):
                if set(rule.fields) == {field}:
                    assert shelf.refusal(SALESPERSON, **{name: "text"}).field == name
            elif (rule.field or name) == field:
                asked = f"{name}_from" if isinstance(rule, Range) else name
                refusal = shelf.refusal(SALESPERSON, **{asked: str(value_of(view.types[field].single, 1))})
                known = refusal.message.partition("there are ")[2].rstrip(".").split(", ")
                assert refusal.field == asked and asked not in known


def test_search_does_not_look_into_a_hidden_field(database: Database[Document]) -> None:
    view = replace(BY_NAME["customers"], hidden={"mobile": "accounts"}, scope=None)
    shelf = Shelf(database, view)
    shelf.fill([document_of(view, 1, mobile="13900000041")])
    assert shelf.page(q="13900000041").items and not shelf.page(SALESPERSON, q="13900000041").items


def test_a_scope_holds_on_every_page(database: Database[Document]) -> None:
    view = replace(BY_NAME["customers"], scope=Scope("owner_id"))
    shelf = Shelf(database, view)
    shelf.fill([document_of(view, n, owner_id=str((ROOT, SALESPERSON)[n % 2].user_id)) for n in range(20)])
    found: list[Document] = []
    cursor: str | None = None
    while cursor or not found:
        page = shelf.page(SALESPERSON, limit="3", sort="name", count="true", **({"cursor": cursor} if cursor else {}))
        found, cursor = found + page.items, page.next
        assert page.total == 10
    assert len(found) == 10 and {row["owner_id"] for row in found} == {str(SALESPERSON.user_id)}


@each([view for view in LISTS if view.aside])
def test_what_is_set_aside_is_listed_for_who_asks_for_it(database: Database[Document], view: View) -> None:
    shelf = Shelf(database, view)
    shelf.fill([document_of(view, number, **{view.aside: number % 3 == 0}) for number in range(9)])

    def listed(**asked: str) -> set[int]:
        return {int(row["id"][:8], 16) for row in shelf.page(**asked).items}

    everyone = set(range(9))
    assert listed() == listed(**{view.aside: "false"}) == {1, 2, 4, 5, 7, 8}
    assert listed(**{view.aside: "true"}) == {0, 3, 6} == everyone - listed()
    assert listed(**{view.aside: ["true", "false"]}) == everyone  # type: ignore[arg-type]
    assert listed(where=json.dumps({"field": view.aside, "is": "equal", "value": True})) == {0, 3, 6}
