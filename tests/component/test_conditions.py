"""Conditions on every field of every list, with every operator, against a plain model of the rows that are shown."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from unicodedata import normalize
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.database import Database

from chassis.model.principal import Principal
from chassis.model.row_fields import FieldType
from chassis.model.views import Exact, View
from chassis.queries.conditions import (
    DEEPEST,
    EMPTINESS,
    LONGEST,
    LONGEST_PART,
    LONGEST_VALUE,
    MOST_CONDITIONS,
    OPERATORS,
    PARTS,
    fields_asked,
    operators_of,
)
from chassis.queries.filters import MOST_VALUES
from chassis.queries.reader import WHERE_MS
from component.lists import ABSENT, BY_NAME, LISTS, NOW, ROOT, Document, Shelf, document_of, value_of
from contracts.errors import Refused
from contracts.languages import LANGUAGES
from contracts.text import has_controls, keys, squashed_forms

SALESPERSON = Principal(uuid4(), "Li", frozenset({"SAL"}))
TEXTS = [
    "Desk Lamp", "ＤＥＳＫ\u3000lamp", "desk\u200blamp", "東京デパート", "東京ﾃﾞﾊﾟｰﾄ", "Café", "北京 朝阳", "a.b*c", ".*",
    "$where", '{"$gt": ""}', "\\E(x", "DL-100", "[^a]", "Straße", "ｱｲｳ", "100%", "#1 & ~2", "ÖL",
]  # fmt: skip
PIECES = [
    "京",
    "ﾃﾞﾊﾟ",
    "desk",
    "ＳＫ",
    "lamp",
    "skl",
    "CAFÉ",
    "cafe\u0301",
    "*",
    "アイ",
    "朝",
    "dl1",
    "dl－1",
    "öl",
    "no such",
]
CODES = [
    "+86 139-0000-0041",
    "13900000041",
    "SO-000001",
    "SO-1",
    "so 000001",
    "+81 90-1234-5678",
    "+81 (0)90 1234 5678",
]
each = pytest.mark.parametrize("view", LISTS, ids=lambda view: view.name)


# -- the model --------------------------------------------------------------------------------------------------------


def holds(kinds: dict[str, FieldType], row: Document, tree: Any) -> bool:
    """Whether a row that is shown meets conditions."""
    if "and" in tree:
        return all(holds(kinds, row, inner) for inner in tree["and"])
    if "or" in tree:
        return any(holds(kinds, row, inner) for inner in tree["or"])
    kind, shown, operator = kinds[tree["field"]], row[tree["field"]], tree["is"]
    if operator in EMPTINESS:
        return (shown in (None, "", [])) is (operator == "is_empty")
    items = shown if isinstance(shown, list) else [shown]
    values = tree["value"] if operator == "one_of" else [tree["value"]]
    found = any(item is not None and is_so(kind.single, operator, item, value) for item in items for value in values)
    return found is not (operator == "not_equal")


def is_so(kind: FieldType, operator: str, item: Any, value: Any) -> bool:
    if kind.keyed:
        forms = squashed_forms if operator in PARTS or kind.kind == "code" else keys
        ours, theirs = (set(filter(None, forms(str(text)))) for text in (item, value))
        if operator == "contains":
            return any(their in our for our in ours for their in theirs)
        if operator == "begins_with":
            return any(our.startswith(their) for our in ours for their in theirs)
        return bool(ours & theirs)
    item, (begin, end) = read(kind, item), bounds(kind, value)
    match operator:
        case "less":
            return bool(item < begin)
        case "at_most":
            return bool(item <= begin if end is None else item < end)
        case "greater":
            return bool(item > begin if end is None else item >= end)
        case "at_least":
            return bool(item >= begin)
    return bool(item == begin if end is None else begin <= item < end)


def read(kind: FieldType, shown: Any) -> Any:
    if kind.kind == "amount":
        return Decimal(shown)
    if kind.kind == "moment":
        return datetime.fromisoformat(shown.replace("Z", "+00:00"))
    if kind.kind == "whole":
        return int(shown)
    return normalize("NFKC", str(shown)).casefold()


def bounds(kind: FieldType, value: Any) -> tuple[Any, Any]:
    """What a value is, and for a day of a moment where it ends."""
    if kind.kind == "moment" and len(value) == 10:
        begin = datetime.fromisoformat(value).replace(tzinfo=UTC)
        return begin, begin + timedelta(days=1)
    return read(kind, value), None


# -- what is stored, and asked ----------------------------------------------------------------------------------------


def rule_of(view: View, name: str) -> Exact:
    found = (rule for base, rule in view.filters.items() if isinstance(rule, Exact) and (rule.field or base) == name)
    return next(found, Exact())


def stored_values(view: View, name: str) -> list[Any]:
    """What documents hold in a field."""
    kind, rule = view.types[name], rule_of(view, name)
    one = kind.single
    if rule.among:
        found: list[Any] = list(rule.among[:3])
    elif rule.form:
        found = (
            ["203.0.113.7", "203.0.113.8"] if rule.form == "address" else [value_of(FieldType("id"), n) for n in (1, 2)]
        )
    elif one.keyed:
        found = CODES if one.kind == "code" else TEXTS
    elif one.kind == "moment":
        midnight = NOW.replace(hour=0)
        moments = (
            midnight,
            midnight - timedelta(milliseconds=1),
            midnight + timedelta(days=1),
            NOW + timedelta(days=2),
        )
        found = [NOW, *moments]
    else:
        found = [value_of(one, number) for number in (0, 1, 2, 3, 5)]
    if kind.kind == "list":
        return [*([value] for value in found), [found[0], found[1]], [], None, ABSENT]
    if view.collected and name in ("action", "object_kind", "result"):
        return found  # every entry has them
    return [*found, *([""] if one.kind == "text" else []), None, ABSENT]


def asked_values(view: View, name: str, operator: str) -> list[Any]:
    kind, rule = view.types[name].single, rule_of(view, name)
    if operator not in PARTS and (rule.among or rule.form):
        return [value for value in stored_values(view, name) if value][:2]
    match kind.kind:
        case "moment":
            return [
                "2026-03-02",
                "2026-03-03",
                "2026-03-02T01:00:00Z",
                "2026-03-02T09:00:00+08:00",
                "1969-12-31",
                "9000-01-01",
            ]
        case "day":
            return ["2026-01-01", "2026-01-03", "0001-01-01", "9999-12-31"]
        case "amount":
            return ["0.01", "0.0200", "-1", "999999999999999.99999999", 0, Decimal("0.03")]
        case "whole":
            return ["2", 2, "+3", "-999999999999999"]
        case "flag":
            return [True, False, "TRUE"]
        case "choice":
            return [*kind.choices, kind.choices[0].lower()]
        case "id":
            return [value_of(kind, 2), value_of(kind, 3).upper(), str(uuid4())]
    if kind.guard:
        return ["USD", "cny", "ＪＰＹ"]
    return [*CODES, "139", "0000-0041", "so０００", "9012"] if kind.kind == "code" else [*TEXTS, *PIECES]


def fill(shelf: Shelf) -> list[Document]:
    """Documents in which each field holds each of its values somewhere; the rows of them, what is set aside as well."""
    view, documents = shelf.view, []
    own = {"id", *(view.sums.by if view.sums else ()), *(view.scope.fields if view.scope else ())}
    values = {name: stored_values(view, name) for name in fields_asked(view) if name not in own}
    for number in range(max(map(len, values.values()), default=0)):
        held = {name: found[(number + shift) % len(found)] for shift, (name, found) in enumerate(values.items())}
        documents.append(document_of(view, number, **held))
    shelf.fill([*documents, *(document_of(view, number) for number in range(100, 104))])
    aside = shelf.page(limit="200", **{view.aside: "true"}).items if view.aside else []
    return [*shelf.page(limit="200").items, *aside]


def written(tree: Any) -> str:
    return json.dumps(tree, ensure_ascii=False, default=float)


def assert_like_the_model(shelf: Shelf, rows: Sequence[Document], tree: Any, **more: str) -> bool:
    """What is set aside is among the rows that are asked about where a condition is about that."""
    kinds, aside = dict(shelf.view.types), shelf.view.aside
    is_asked = f'"field": "{aside}"' in written(tree)
    wanted = [row["id"] for row in rows if holds(kinds, row, tree) and (is_asked or not row.get(aside))]
    page = shelf.page(where=written(tree), limit="200", count="true", **more)
    assert sorted(map(str, (row["id"] for row in page.items))) == sorted(map(str, wanted)), tree
    assert page.total == len(wanted)
    return bool(wanted)


# -- every view x every field x every operator ------------------------------------------------------------------------

Make = tuple[FieldType, Exact, bool, bool, bool]
"""What decides how a field is asked about."""


def make_of(view: View, name: str) -> Make:
    return (
        fields_asked(view)[name],
        rule_of(view, name),
        name in view.where,
        view.is_in_words(name),
        view.is_sorted_by_index(name),
    )


FIRST_OF_MAKE = {make_of(view, name): (view.name, name) for view in LISTS[::-1] for name in [*fields_asked(view)][::-1]}


@each
def test_every_operator_of_every_field_gives_what_the_rows_that_are_shown_say(
    database: Database[Document], view: View
) -> None:
    """With all values where a field is the first of its make of all lists, with some where it is so in its list."""
    shelf = Shelf(database, view)
    rows = fill(shelf)
    assert rows
    makes: list[Make] = []
    for name, kind in fields_asked(view).items():
        make = make_of(view, name)
        is_known = make in makes
        makes.append(make)
        some = slice(None) if FIRST_OF_MAKE[make] == (view.name, name) else slice(1) if is_known else slice(0, None, 5)
        for operator in operators_of(kind):
            conditions: list[Document]
            if operator in EMPTINESS:
                conditions = [{"field": name, "is": operator}]
            else:
                values = asked_values(view, name, operator)
                if operator == "one_of":
                    values = [values[::3], values[:1], values[:2]]
                values = values[some]
                conditions = [{"field": name, "is": operator, "value": value} for value in values]
            found = [assert_like_the_model(shelf, rows, condition) for condition in conditions]
            is_own = name == "id" or bool(view.sums and name in view.sums.by) or rule_of(view, name) != Exact()
            finds = operator in ("contains", "not_equal", "is_not_empty") and not is_known
            assert is_own or any(found) or not finds, (name, operator)


@each
def test_a_code_that_no_key_is_stored_of_is_found_however_it_is_written(
    database: Database[Document], view: View
) -> None:
    """UIX-13: a phone number with its country or without, also where quick search does not look."""
    for name, kind in fields_asked(view).items():
        if kind.kind != "code" or kind.guard or rule_of(view, name) != Exact():
            continue
        bare = replace(view, filters={}, scope=None)
        assert not bare.keys
        shelf = Shelf(database, bare)
        kept = [*CODES, "0086 139 0000 0041", "0081-90-1234-5678", "008190123456789"]
        shelf.fill([document_of(bare, number, **{name: text}) for number, text in enumerate(kept)])
        rows = shelf.page(limit="200").items
        for operator in ("equal", "one_of", "not_equal", "contains", "begins_with"):
            for value in (*kept, *(["139", "+81 90"] if operator == "begins_with" else [])):
                asked: Any = [value] if operator == "one_of" else value
                assert_like_the_model(shelf, rows, {"field": name, "is": operator, "value": asked})


@each
def test_the_answer_is_the_same_in_every_language_and_order(database: Database[Document], view: View) -> None:
    """What MongoDB compares texts by depends on the language; what is equal does not."""
    shelf = Shelf(database, view)
    rows = [row for row in fill(shelf) if not row.get(view.aside)]
    name = next(
        (name for name, kind in fields_asked(view).items() if kind.keyed and not rule_of(view, name).form), None
    )
    for sort in {tuple(view.orders_of(name)): name for name in view.sortable}.values():
        for language in LANGUAGES:
            for value in TEXTS if name and not rule_of(view, name).among else ():
                where = {"field": name, "is": "equal", "value": value}
                page = shelf.reader.page(
                    ROOT, {"where": [written(where)], "sort": [sort], "limit": ["200"]}, None, language
                )
                wanted = {row["id"] for row in rows if holds(dict(view.types), row, where)}
                assert {row["id"] for row in page.items} == wanted, (sort, language, value)


@each
def test_what_a_field_does_not_take_is_refused_with_what_it_takes(database: Database[Document], view: View) -> None:
    shelf = Shelf(database, view)
    asked = fields_asked(view)
    for name, kind in view.types.items():
        if name not in asked:
            refusal = shelf.refusal(where=written({"field": name, "is": "is_empty"}))
            assert (refusal.code, refusal.field) == ("VALIDATION", f"where.{name}")
            assert ("worked out" if name in view.computed else "has parts") in refusal.message
            continue
        allowed = operators_of(kind)
        made_up: list[Any] = ["EQUAL", "$gt", "", None, [], {}, 1]
        for operator in (*OPERATORS, *made_up):
            if operator not in allowed:
                refusal = shelf.refusal(where=written({"field": name, "is": operator, "value": "1"}))
                assert (refusal.code, refusal.field) == ("VALIDATION", f"where.{name}"), operator
                assert ", ".join(allowed) in refusal.message
        wrong: list[Any] = [
            None,
            [],
            {},
            [["x"]],
            {"$gt": ""},
            "\ud800",
            "\x00",
            "x" * (LONGEST_VALUE + 1),
            "",
            " ",
            "\u200b",
        ]
        if not kind.single.keyed and not kind.single.known:
            wrong += [
                "nonsense",
                "NaN",
                "1e7000",
                1e300,
                "9" * 60,
                "\u0661\u0661.",
                "2026-02-30",
                "0000-00-00",
                "$where",
                "-",
            ]
        for operator in allowed:
            for value in wrong if operator not in EMPTINESS else ["x", None]:
                if value in ("", " ") and "" in kind.choices:
                    continue  # whoever has no second proof
                for given_value in [value, [value]] if operator == "one_of" else [value]:
                    where = json.dumps({"field": name, "is": operator, "value": given_value})
                    refusal = shelf.refusal(where=where)
                    assert (refusal.code, refusal.field) == ("VALIDATION", f"where.{name}"), (operator, value)
    for name in ("no_such_field", "_id", "_event", "_is_status", "$where", "", "a.b", "\ud800", "x" * 900):
        refusal = shelf.refusal(where=json.dumps({"field": name, "is": "equal", "value": "1"}))
        assert (refusal.code, refusal.field) == ("VALIDATION", "where")
        assert not has_controls(refusal.message) and len(refusal.message) < 1_500


ABSURD = [
    "", " ", "null", "1", '"x"', "[]", "{}", "[{}]", "{", "NaN", '{"and": []}', '{"and": {}}', '{"or": null}',
    '{"and": [1]}', '{"and": [{}], "or": [{}]}', '{"nor": []}', '{"$where": "1"}', '{"is": "equal"}', '{"field": 1}',
    '{"field": "id", "is": "is_empty", "more": 1}', '{"field": "id", "field": "id", "is": "is_empty"}', "[" * 3_999,
    '{"and":[' * 400, '{"and":[' * 400 + '{"field":"id","is":"is_empty"}' + "]}" * 400, "9" * 3_999,
    '{"field": ' + "9" * 3_900 + "}", '"' + "\\u0000" * 600 + '"', "x" * (LONGEST + 1), "x" * 1_000_000,
    '{"\\ud800": 1}', "\ud800", "\x00", "{\u3000}", '{"": 1}',
]  # fmt: skip


@each
def test_absurd_conditions_are_refused_at_once(database: Database[Document], view: View) -> None:
    shelf = Shelf(database, view)
    for text in ABSURD:
        started = time.process_time()
        refusal = shelf.refusal(where=text)
        assert (refusal.code, refusal.field) == ("VALIDATION", "where"), text[:100]
        assert not has_controls(refusal.message) and len(refusal.message) < 1_500
        assert time.process_time() - started < 0.5
    assert shelf.refusal(where=['{"field":"id","is":"is_empty"}'] * 2).field == "where"


def test_as_many_conditions_as_may_be_are_answered_and_one_more_is_refused(database: Database[Document]) -> None:
    shelf = Shelf(database, BY_NAME["customers"])
    shelf.fill([document_of(shelf.view, number) for number in range(5)])
    one = {"field": "need", "is": "contains", "value": "a"}

    def deep(levels: int) -> Document:
        found: Document = one
        for _ in range(levels):
            found = {"or": [found]}
        return found

    def listed(count: int) -> Document:
        return {"field": "points", "is": "one_of", "value": list(range(count))}

    for most, over in (
        ({"and": [one] * MOST_CONDITIONS}, {"and": [one] * (MOST_CONDITIONS + 1)}),
        ({"or": [{"and": [one] * 15}] * 2}, {"or": [{"and": [one] * 16}] * 2}),
        (deep(DEEPEST), deep(DEEPEST + 1)),
        (listed(MOST_VALUES), listed(MOST_VALUES + 1)),
        (listed(MOST_VALUES), {"or": [listed(MOST_VALUES), one]}),
    ):
        shelf.page(where=written(most))
        assert shelf.refusal(where=written(over)).code == "VALIDATION"


@pytest.mark.parametrize("ch", ["i", "デ", " a"])
@pytest.mark.parametrize("operator", ["equal", "not_equal", *PARTS])
def test_the_longest_values_are_answered_in_time(database: Database[Document], ch: str, operator: str) -> None:
    """Or refused with the way out, also where the rows were written to make it long."""
    shelf = Shelf(database, BY_NAME["customers"])
    hostile = (ch * 2_000)[:2_000]
    shelf.fill([document_of(shelf.view, number, address=hostile) for number in range(200)])
    value = (ch * LONGEST_VALUE)[: (LONGEST_PART if operator in PARTS else LONGEST_VALUE) - 1] + "z"
    tree = {"or": [{"field": "address", "is": operator, "value": value}] * (3_500 // (len(value) + 60))}
    started = time.monotonic()
    try:
        assert bool(shelf.page(where=written(tree)).items) is (operator == "not_equal")
    except Refused as refusal:
        assert (refusal.code, refusal.field) == ("UNAVAILABLE", "where")
        assert "narrow the list" in refusal.message
        assert operator == "contains"
    assert time.monotonic() - started < 2 * WHERE_MS / 1_000


def test_a_text_without_stored_keys_folds_character_by_character(database: Database[Document]) -> None:
    """What the keys write as several characters is found as itself alone."""
    shelf = Shelf(database, BY_NAME["customers"])
    shelf.fill(
        [document_of(shelf.view, number, address=text) for number, text in enumerate(("Straße", "㈱東京", "STRASSE 1"))]
    )
    for value, count in (
        ("Straße", 1),
        ("STRAßE", 1),
        ("STRASSE", 0),
        ("STRASSE 1", 1),
        ("㈱東京", 1),
        ("(株)東京", 0),
    ):
        assert len(shelf.page(where=written({"field": "address", "is": "equal", "value": value})).items) == count
    for value, count in (("straße", 2), ("strasse", 1), ("㈱", 1), ("株", 0)):
        assert len(shelf.page(where=written({"field": "address", "is": "contains", "value": value})).items) == count


# -- rights -----------------------------------------------------------------------------------------------------------

HIDING = [view for view in LISTS if view.hidden]


@pytest.mark.parametrize("view", HIDING, ids=lambda view: view.name)
def test_a_field_that_somebody_may_not_see_is_none_to_ask_for(database: Database[Document], view: View) -> None:
    """The refusal is that of a field that there is not, whatever is asked of it."""
    shelf = Shelf(database, view)
    shelf.fill([document_of(view, number) for number in range(4)])
    blind = Principal(uuid4(), "Nobody", frozenset())
    for name in view.hidden:
        for operator in OPERATORS:
            for value in ("0.01", "true", "nonsense", None):
                condition = {"field": name, "is": operator, "value": value}
                refusal = shelf.refusal(blind, where=json.dumps({"or": [condition]}))
                other = shelf.refusal(blind, where=json.dumps({"or": [{**condition, "field": "nothing"}]}))
                assert (refusal.code, refusal.field) == (other.code, other.field) == ("VALIDATION", "where")
                assert refusal.message.replace(name, "nothing") == other.message


@pytest.mark.parametrize(
    "view",
    [view for view in LISTS if view.scope and not (view.scope.only_own or view.scope.seen)],
    ids=lambda view: view.name,
)
def test_conditions_never_show_rows_of_others(database: Database[Document], view: View) -> None:
    assert view.scope
    shelf = Shelf(database, view)
    mine, theirs = str(SALESPERSON.user_id), str(uuid4())
    shelf.fill(
        [
            document_of(view, number, **dict.fromkeys(view.scope.fields, theirs if number % 2 else mine))
            for number in range(6)
        ]
    )
    own = {row["id"] for row in shelf.page(SALESPERSON).items}
    assert len(shelf.page().items) > len(own)
    for name, kind in fields_asked(view).items():
        everything = {"or": [{"field": name, "is": operator} for operator in EMPTINESS]}
        if name not in view.hidden and operators_of(kind):
            assert {row["id"] for row in shelf.page(SALESPERSON, where=written(everything)).items} == own, name


def test_what_a_view_never_shows_is_not_shown_on_condition(database: Database[Document]) -> None:
    shelf = Shelf(database, BY_NAME["products"])
    shelf.fill(
        [document_of(shelf.view, 1), document_of(shelf.view, 2, deleted=True), document_of(shelf.view, 3, name=ABSENT)]
    )
    for operator in EMPTINESS:
        page = shelf.page(
            where=written({"or": [{"field": "name", "is": operator}, {"field": "id", "is": "is_not_empty"}]})
        )
        assert [row["name"] for row in page.items] == ["text 0001"]


@pytest.mark.parametrize("view", [view for view in LISTS if view.aside], ids=lambda view: view.name)
def test_what_is_set_aside_is_found_by_who_asks_for_it(database: Database[Document], view: View) -> None:
    shelf = Shelf(database, view)
    shelf.fill([document_of(view, 1, **{view.aside: False}), document_of(view, 2, **{view.aside: True})])
    is_aside = {"field": view.aside, "is": "equal", "value": True}
    for asked, wanted in (
        (is_aside, [True]),
        ({**is_aside, "is": "not_equal"}, [False]),
        ({"or": [is_aside, {"field": "id", "is": "is_not_empty"}]}, [False, True]),
        ({"field": "id", "is": "is_not_empty"}, [False]),
    ):
        page = shelf.page(where=written(asked), count="true", group=view.aside)
        assert sorted(row[view.aside] for row in page.items) == wanted and page.total == len(wanted), asked


# -- with the rest of a list ------------------------------------------------------------------------------------------


@each
def test_pages_filters_totals_and_files_keep_to_the_conditions(database: Database[Document], view: View) -> None:
    shelf = Shelf(database, view)
    rows = fill(shelf)
    name = next(name for name in fields_asked(view) if name != "id")
    everything = {"or": [{"field": name, "is": operator} for operator in EMPTINESS]}
    where = {"and": [everything, {"field": "id", "is": "not_equal", "value": rows[0]["id"]}]}
    wanted = [row["id"] for row in rows[1:] if not row.get(view.aside)]
    pages = list(shelf.pages(where=written(where), limit="3", count="true"))
    assert [row["id"] for page in pages for row in page.items] == wanted
    assert {page.total for page in pages} == {len(wanted)}
    lines = b"".join(shelf.reader.export(ROOT, {"where": [written(where)]}, None, "csv")).decode("utf-8-sig")
    assert lines.count("\n") > 1 and str(rows[0]["id"]) not in lines.split("\n", 1)[1].split(",")


def leaves(view: View) -> st.SearchStrategy[Document]:
    found: list[Document] = []
    for name, kind in fields_asked(view).items():
        for operator in operators_of(kind):
            if operator in EMPTINESS:
                found.append({"field": name, "is": operator})
                continue
            for value in asked_values(view, name, operator):
                found.append({"field": name, "is": operator, "value": [value] if operator == "one_of" else value})
    return st.sampled_from(found)


def trees(leaf: st.SearchStrategy[Document], levels: int = DEEPEST) -> st.SearchStrategy[Document]:
    found = leaf
    for _ in range(levels - 2):
        few = st.lists(found, min_size=1, max_size=3)
        found = st.one_of(leaf, few.map(lambda all: {"and": all}), few.map(lambda all: {"or": all}))
    return found


def may_be_asked(tree: Document) -> bool:
    text = written(tree)
    return len(text) < LONGEST and text.count('"field"') <= MOST_CONDITIONS


@each
def test_any_tree_of_conditions_gives_what_the_model_gives(database: Database[Document], view: View) -> None:
    shelf = Shelf(database, view)
    rows = fill(shelf)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(trees(leaves(view)).filter(may_be_asked))
    def ask(tree: Document) -> None:
        assert_like_the_model(shelf, rows, tree)

    ask()
