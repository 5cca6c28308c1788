"""Lists by the fields that a company has added (CFG-01, CFG-02), on a real MongoDB: every type on every kind."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import uuid4

import pytest
from openpyxl import load_workbook
from pymongo.database import Database

from chassis.access.company import CompanySettings
from chassis.access.known import EarlierFormula, KnownCustomField
from chassis.metadata.views import ViewTold
from chassis.model.custom_columns import extended
from chassis.model.custom_values import OwnValues
from chassis.model.principal import Principal
from chassis.model.views import View
from chassis.model.wording import Wording
from chassis.projections.documents import stored
from chassis.queries.conditions import PARTS, operators_of
from chassis.queries.grouping import groups_of, sums_of
from chassis.queries.reader import ViewReader
from chassis.queries.view_now import ViewNow
from chassis.testing.custom_fields import FIELDS, known
from component.lists import BY_NAME, LISTS, ROOT, Document, Shelf, as_query, document_of
from contracts.custom_fields import CustomField, Held, Label, written
from contracts.errors import Refused
from contracts.formulas import LONGEST, MOST_OPERATIONS
from contracts.permissions import FIELD_RIGHTS, RIGHTS, DataScope

VIEWS = [view for view in LISTS if view.kind]
TYPES = {one.key: one for one in FIELDS}
PEOPLE = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(2)]
FILES = [f"{number:08x}-0000-4000-8000-00000000000f" for number in range(2)]
TEXTS = ["苏州", "北京", "Äpfel", "apples", "=1+1", "苏 州", "x-2"]
NUMBERS = ["12.5", "0", "-3", "1000000000000", "0.00000001"]


def own_of(number: int) -> dict[str, Held]:
    """The own values of the number-th record: each is missing in some of them."""
    made: dict[str, str | tuple[str, ...]] = {
        "note": TEXTS[number % len(TEXTS)],
        "seats": NUMBERS[number % len(NUMBERS)],
        "price": NUMBERS[number % 3],
        "since": f"2026-03-{1 + number % 9:02d}",
        "grade": "ab"[number % 2],
        "uses": ("a", "b")[: 1 + number % 2],
        "guide": PEOPLE[number % 2],
        "scan": FILES[number % 2],
    }
    return {key: Held(TYPES[key].type, value) for at, (key, value) in enumerate(made.items()) if number % (at + 4)}


class Kept(Shelf):
    """The list of a kind of record to which fields were added, with records that have values of them."""

    def __init__(self, database: Database[Document], view: View, *fields: CustomField, count: int = 40) -> None:
        super().__init__(database, view)
        self.company = CompanySettings()
        self.define(*(fields or FIELDS))
        self.reader = ViewReader(database, view, company=self.company)
        self.fill([self.document(number) for number in range(count)])

    def define(self, *fields: CustomField, revision: int = 1) -> None:
        for row in known(self.view.kind, *fields, revision=revision):
            self.company.custom_fields.take(row)

    def document(self, number: int) -> Document:
        values = OwnValues(written(own_of(number)))
        return {**document_of(self.view, number), **self.view.keys_of({"own": values}), "own": stored(values)}

    @property
    def now(self) -> View:
        return extended(self.view, self.company.custom_fields.of(self.view.kind))

    def ids(self, **params: str) -> set[str]:
        return {row["id"] for row in self.rows(**params)}

    def asked(self, field: str, operator: str, **value: Any) -> set[str]:
        return self.ids(where=json.dumps({"field": field, "is": operator, **value}))

    def all(self) -> list[Document]:
        return self.rows(limit="200")

    def export(self, format: str, language: str = "zh", by: Principal = ROOT, **params: str) -> bytes:
        query = as_query(params)
        return b"".join(self.reader.export(by, query, None, format, language=language, heads="labels"))


@pytest.fixture(scope="module", params=VIEWS, ids=lambda view: view.kind)
def kept(request: pytest.FixtureRequest, database: Database[Document]) -> Kept:
    return Kept(database, request.param)


def value_of(row: Document, key: str) -> Any:
    """A value as it is compared."""
    value = row["own"].get(key)
    return Decimal(value) if value is not None and TYPES[key].type in ("number", "formula") else value


def product(row: Document) -> Decimal | None:
    price, seats = value_of(row, "price"), value_of(row, "seats")
    return None if price is None or seats is None else round(price * seats, 8)


def test_cfg_01_a_row_shows_what_it_has_and_what_is_worked_out_of_it(kept: Kept) -> None:
    rows = {row["id"]: row for row in kept.all()}
    assert len(rows) == 40
    for number in range(40):
        document = kept.document(number)
        row = rows[document["_id"]]
        assert {key: value for key, value in row["own"].items() if key != "total"} == {
            key: str(held.value) if held.type != "choices" else [*held.value] for key, held in own_of(number).items()
        }
        assert value_of(row, "total") == product(row)
        assert kept.reader.one(ROOT, row["id"], None)[0]["own"] == row["own"]
    assert {"-37.5", "0", None} <= {row["own"]["total"] for row in rows.values()}


def meant(row: Document, key: str, operator: str) -> Any:
    """A value as a condition compares it: what is looked for within a text is found whatever its blanks and dashes."""
    value = value_of(row, key)
    return re.sub("[ -]", "", value) if operator in PARTS and value else value


MEANT: dict[str, Callable[[Any, Any], bool]] = {
    "equal": lambda value, asked: asked in value if isinstance(value, list) else value == asked,
    "not_equal": lambda value, asked: (
        value is None or (asked not in value if isinstance(value, list) else value != asked)
    ),
    "one_of": lambda value, asked: value is not None and MEANT["equal"](value, asked),
    "less": lambda value, asked: value is not None and value < asked,
    "at_most": lambda value, asked: value is not None and value <= asked,
    "greater": lambda value, asked: value is not None and value > asked,
    "at_least": lambda value, asked: value is not None and value >= asked,
    "contains": lambda value, asked: value is not None and asked in value,
    "begins_with": lambda value, asked: value is not None and value.startswith(asked),
    "is_empty": lambda value, _: value is None,
    "is_not_empty": lambda value, _: value is not None,
}
"""What each operator means, said once more."""
ASKED: dict[str, Any] = {
    "note": "苏州", "seats": Decimal("0"), "price": Decimal("12.5"), "since": "2026-03-04", "grade": "b", "uses": "b",
    "guide": PEOPLE[1], "scan": FILES[1], "total": Decimal("-37.5"),
}  # fmt: skip


@pytest.mark.parametrize("key", TYPES)
def test_cfg_01_every_field_is_asked_about_as_its_type_says(kept: Kept, key: str) -> None:
    rows = kept.all()
    operators = operators_of(kept.now.types[f"own.{key}"])
    assert operators
    for operator in operators:
        asked = ASKED[key]
        value: Any = [str(asked)] if operator == "one_of" else str(asked)
        given = {} if operator in ("is_empty", "is_not_empty") else {"value": value}
        wanted = {row["id"] for row in rows if MEANT[operator](meant(row, key, operator), asked)}
        assert kept.asked(f"own.{key}", operator, **given) == wanted, operator


@pytest.mark.parametrize("key", [one.key for one in FIELDS if one.type != "choices"])
@pytest.mark.parametrize(("down", "limit"), [(False, "3"), (True, "7")], ids=["up", "down"])
def test_cfg_01_lists_sort_by_every_field_and_show_the_empty_ones_last(
    kept: Kept, key: str, down: bool, limit: str
) -> None:
    sort = f"{'-' if down else ''}own.{key}"
    pages = list(kept.pages(sort=sort, limit=limit))
    rows = [row for page in pages for row in page.items]
    assert sorted(row["id"] for row in rows) == sorted(row["id"] for row in kept.all())
    values = [value_of(row, key) for row in rows]
    empty = values.count(None)
    assert values[len(values) - empty :] == [None] * empty
    filled = values[: len(values) - empty]
    if key != "note":  # those are in the order of a language
        assert filled == sorted(filled, reverse=down)
    ids = [row["id"] for row in rows if value_of(row, key) is None]
    assert ids == sorted(ids, reverse=down)
    back = list(kept.pages_back(pages[-1].previous, sort=sort, limit=limit))
    assert [page.items for page in reversed(back)] == [page.items for page in pages[:-1]]
    last = kept.page(sort=sort, limit=limit, cursor=pages[0].last or "").items
    assert [row["id"] for row in last] == [row["id"] for row in rows][-len(last) :]


def test_cfg_01_texts_sort_as_people_of_a_language_expect(kept: Kept) -> None:
    page = kept.reader.page(ROOT, as_query({"sort": "own.note", "limit": "200"}), None, "zh")
    chinese = dict.fromkeys(value_of(row, "note") for row in page.items if value_of(row, "note") in ("苏州", "北京"))
    assert list(chinese) == ["北京", "苏州"]  # bei before su


def test_cfg_01_words_are_found_in_texts_alone(kept: Kept) -> None:
    rows = kept.all()
    wanted = {row["id"] for row in rows if value_of(row, "note") in ("苏州", "苏 州")}
    assert wanted == kept.ids(q="苏州") == kept.ids(q="苏 州")
    assert kept.ids(q="X 2") >= {row["id"] for row in rows if value_of(row, "note") == "x-2"}
    for value in ("2026-03-04", PEOPLE[0], "1000000000000"):
        assert not kept.ids(q=value), "none of these is a text"


def test_cfg_01_rows_are_counted_and_added_up_by_them(kept: Kept) -> None:
    rows = kept.all()
    assert {"own.grade", "own.guide"} <= set(groups_of(kept.now))
    assert {"own.seats", "own.price", "own.total"} <= set(sums_of(kept.now))
    page = kept.page(group="own.grade", sum=["own.seats", "own.total"])
    assert page.groups is not None
    assert {group["value"] for group in page.groups} == {"a", "b", None}
    for group in page.groups:
        own = [row for row in rows if value_of(row, "grade") == group["value"]]
        assert group["count"] == len(own)
        for key in ("seats", "total"):
            assert Decimal(group["sums"][f"own.{key}"]) == sum(value_of(row, key) or 0 for row in own)


@pytest.mark.parametrize("format", ["csv", "xlsx"])
def test_cfg_01_a_file_has_a_column_for_each_called_by_its_label(kept: Kept, format: str) -> None:
    rows, content = kept.rows(sort="own.seats"), kept.export(format, "en", sort="own.seats")
    if format == "csv":
        head, *lines = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
        cells: list[list[Any]] = [[cell or None for cell in line] for line in lines]
    else:
        sheet = load_workbook(io.BytesIO(content)).worksheets[0]
        head = [str(cell.value) for cell in sheet[1]]
        cells = [[cell.value for cell in row] for row in sheet.iter_rows(min_row=2)]
    labels = ["Note", "座位", "価格", "Since", "等级", "用途", "向导", "Total", "Scan"]
    assert [name for name in head if name in labels] == labels
    assert "own" not in head
    at = {name: number for number, name in enumerate(head)}
    for row, line in zip(rows, cells, strict=True):
        seats = value_of(row, "seats")
        found = line[at["座位"]]
        assert (seats is None) is (found is None) and (seats is None or Decimal(str(found)) == seats)
        if format == "xlsx" and seats is not None and row["own"]["seats"] not in ("1000000000000", "0.00000001"):
            assert isinstance(found, int | float)
        assert line[at["等级"]] == {"a": "Best", "b": "乙", None: None}[value_of(row, "grade")]
        if value_of(row, "note") == "=1+1":
            assert line[at["Note"]] == ("'=1+1" if format == "csv" else "=1+1")


def test_cfg_01_heads_that_are_alike_are_told_apart_and_run_as_no_formula(database: Database[Document]) -> None:
    same = [CustomField(key=key, type="text", label=Label(zh="=HYPERLINK()")) for key in ("one", "two")]
    of_list = Wording("zh").field((VIEWS[0].name, VIEWS[0].what), "created_at")
    name = CustomField(key="three", type="text", label=Label(zh=of_list))
    kept = Kept(database, VIEWS[0], *same, name, count=1)
    head = next(csv.reader(io.StringIO(kept.export("csv").decode("utf-8-sig"))))
    assert len(set(head)) == len(head)
    assert head[-3:] == ["'=HYPERLINK()", f"{of_list} (own.three)", "'=HYPERLINK() (own.two)"]


def test_cfg_02_a_retired_field_is_read_and_a_renamed_one_keeps_its_values(database: Database[Document]) -> None:
    kept = Kept(database, VIEWS[0])
    wanted = kept.asked("own.seats", "is_not_empty")
    formula = replace(TYPES["total"], retired=True)
    kept.define(replace(TYPES["seats"], retired=True, label=Label(en="Chairs")), formula, revision=2)
    assert kept.asked("own.seats", "is_not_empty") == wanted
    assert {row["id"] for row in kept.all() if "seats" in row["own"]} == wanted
    head = next(csv.reader(io.StringIO(kept.export("csv").decode("utf-8-sig"))))
    assert head[-2:] == ["Chairs", "Total"]


def test_cfg_01_formulas_divide_by_nothing_and_change_with_their_text(database: Database[Document]) -> None:
    by_zero = CustomField(key="rate", type="formula", label=Label(zh="率"), formula="own.price / own.seats")
    kept = Kept(database, VIEWS[0], *FIELDS[1:3], by_zero)
    rows = kept.all()
    for row in rows:
        price, seats = value_of(row, "price"), value_of(row, "seats")
        rate = row["own"]["rate"]
        assert (rate is None) is (price is None or not seats)
        assert rate is None or Decimal(rate) == round(price / seats, 8)
        assert "E" not in str(rate)
    first = kept.page(sort="own.rate", limit="3")
    assert first.next
    kept.define(replace(by_zero, formula="own.price * 2"), revision=2)
    with pytest.raises(Refused) as refused:
        kept.page(sort="own.rate", limit="3", cursor=first.next)
    assert refused.value.field == "cursor"
    assert any(row["own"]["rate"] == "25" for row in kept.all())
    deep = "own.price/(" * 20 + "1" + ")" * 20
    kept.define(replace(by_zero, formula=deep), revision=3)
    assert len(kept.rows(sort="-own.rate")) == 40


HIDDEN = tuple(replace(one, view_right="payments") if one.key in ("note", "price") else one for one in FIELDS)
"""The text, and one of the numbers of the formula, need a right."""
HIDDEN_PRICE = next(one for one in HIDDEN if one.key == "price")
ALL_BUT_ONE: dict[str, frozenset[DataScope]] = dict.fromkeys(RIGHTS.keys() - {"payments"}, frozenset({"ALL"}))
SELLER = Principal(uuid4(), "Li", frozenset({"SAL"}), scopes=ALL_BUT_ONE)


def test_cfg_01_what_one_may_not_see_is_not_there_in_whatever_is_asked(kept: Kept) -> None:
    """Not even as a refusal that differs from that of a field there is not."""
    kept.define(*HIDDEN, revision=2)
    unseen = ("note", "price", "total")
    try:
        assert all(set(row["own"]).isdisjoint(unseen) for row in kept.page(SELLER, limit="200").items)
        assert any("seats" in row["own"] for row in kept.page(SELLER, limit="200").items)
        row = next(row for row in kept.all() if {*unseen} <= row["own"].keys())
        assert set(kept.reader.one(SELLER, row["id"], None)[0]["own"]).isdisjoint(unseen)
        for key in unseen:
            for params in ({"sort": f"own.{key}"}, {"group": f"own.{key}"}, {"sum": f"own.{key}"}, where(f"own.{key}")):
                told = kept.refusal(SELLER, **params)
                other = {name: value.replace(f"own.{key}", "own.x_y") for name, value in params.items()}
                unknown = kept.refusal(SELLER, **other)
                assert told.message.replace(f"own.{key}", "own.x_y") == unknown.message
                assert (told.code, told.field) == (unknown.code, unknown.field)
                assert f"own.{key}" not in str(unknown.why.told())
        assert kept.ids(q="苏州") and not kept.page(SELLER, q="苏州").items
        head = next(csv.reader(io.StringIO(kept.export("csv", by=SELLER).decode("utf-8-sig"))))
        assert {"Note", "価格", "Total"}.isdisjoint(head) and "座位" in head
        told_own = ViewTold(kept.view, Wording("en"), SELLER.may, {}, lambda _, value: value, own=HIDDEN).told().columns
        assert {f"own.{key}" for key in unseen}.isdisjoint(one.name for one in told_own)
    finally:
        kept.define(*FIELDS, revision=3)


def test_cfg_01_a_formula_of_then_tells_nothing_of_what_one_may_not_see(database: Database[Document]) -> None:
    """Today it is made of what everybody sees; before, it told a number that needs a right."""
    earlier = EarlierFormula("own.price * 2", datetime.now(UTC) + timedelta(hours=1))
    fields = (TYPES["seats"], HIDDEN_PRICE, replace(TYPES["total"], formula="own.seats * 2"))
    kept = Kept(database, VIEWS[0], *fields)
    for row in known(kept.view.kind, fields[2], revision=2):
        kept.company.custom_fields.take(KnownCustomField(row.kind, row.field, row.revision, (earlier,)))
    view_now, then = ViewNow(kept.view, kept.company), datetime.now(UTC)
    total = {who.name: {one.key: one.formula for one in view_now.fields_at(then, who)} for who in (ROOT, SELLER)}
    assert total[ROOT.name]["total"] == "own.price * 2"
    assert "total" not in total[SELLER.name] and "seats" in total[SELLER.name]
    assert {one.key: one.formula for one in view_now.fields_at(None, SELLER)}["total"] == "own.seats * 2"


def test_cfg_01_a_formula_is_hidden_with_a_field_that_needs_a_right_since_a_later_release(
    database: Database[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fields of the kind itself, too: whoever may not see what something costs is not told its double."""
    view = BY_NAME["campaigns"]
    kept = Kept(database, view, replace(TYPES["total"], formula="budget * 2"))
    assert all("total" in row["own"] for row in kept.page(SELLER).items)
    monkeypatch.setitem(FIELD_RIGHTS, "budget", "payments")
    kept.define(replace(TYPES["total"], formula="budget * 2", position=1), revision=2)
    assert all("total" not in row["own"] for row in kept.page(SELLER).items)
    assert kept.refusal(SELLER, sort="own.total").field == "sort"
    assert all("total" in row["own"] for row in kept.page(ROOT).items)


def where(field: str) -> dict[str, str]:
    return {"where": json.dumps({"field": field, "is": "is_not_empty"})}


def test_cfg_01_words_are_found_in_the_texts_that_one_may_see(database: Database[Document]) -> None:
    secret, open_text = replace(TYPES["note"], key="secret", view_right="payments"), replace(TYPES["note"], key="open")
    kept = Kept(database, VIEWS[0], secret, open_text, count=0)
    for number, (hidden, shown) in enumerate((("苏州", "Äpfel"), ("apples", "苏 州"))):
        values = OwnValues(written({"secret": Held("text", hidden), "open": Held("text", shown)}))
        own = {**kept.view.keys_of({"own": values}), "own": stored(values)}
        kept.fill([{**document_of(kept.view, number), **own}])
    assert len(kept.rows(q="苏州")) == 2
    [found] = kept.page(SELLER, q="苏州").items
    assert found["own"] == {"open": "苏 州"}
    assert not kept.page(SELLER, q="apples").items and len(kept.page(SELLER, q="ÄPFEL").items) == 1


FORMULAS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "ROUND(own.price / 8, 2)": lambda own: half_up(own["price"] / 8, 2),
    "ROUND(0 - own.price / 8, 2)": lambda own: half_up(-own["price"] / 8, 2),
    "round(own.price * 1.5)": lambda own: half_up(own["price"] * Decimal("1.5"), 0),
    "DAYS(own.until, own.since)": lambda own: Decimal((own["until"] - own["since"]).days),
    "IF(own.price >= 3, own.price * 2, 0 - 1)": lambda own: own["price"] * 2 if own["price"] >= 3 else Decimal(-1),
    "if(own.price != 3, IF(own.price < 0, 1, 2), 3)": lambda own: Decimal(
        3 if own["price"] == 3 else 1 if own["price"] < 0 else 2
    ),
    "IF(DAYS(own.until, own.since) > 30, own.price / 0, own.price)": lambda own: (
        None if (own["until"] - own["since"]).days > 30 else own["price"]
    ),
    "own.from + 1": lambda own: own["from"] + 1,
}


def half_up(value: Decimal, digits: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)


@pytest.mark.parametrize("formula", FORMULAS)
def test_cfg_01_a_formula_rounds_chooses_and_counts_days(database: Database[Document], formula: str) -> None:
    numbers = [replace(TYPES["price"], key=key) for key in ("price", "from")]
    days = [replace(TYPES["since"], key=key) for key in ("since", "until")]
    made = CustomField(key="made", type="formula", label=Label(zh="x"), formula=formula)
    kept = Kept(database, VIEWS[0], *numbers, *days, made, count=0)
    wanted = {}
    for number, price in enumerate(("3", "-12.5", "1", "0.2", None)):
        until = date(2026, 3, 1 + 10 * (number % 4))
        own: dict[str, Any] = {"from": Decimal(7), "since": date(2026, 2, 27), "until": until}
        own |= {} if price is None else {"price": Decimal(price)}
        held = {key: Held("day" if isinstance(one, date) else "number", str(one)) for key, one in own.items()}
        document = {**document_of(kept.view, number), "own": stored(OwnValues(written(held)))}
        kept.fill([document])
        made_of = set(re.findall(r"own\.([a-z]+)", formula))
        wanted[document["_id"]] = FORMULAS[formula](own) if made_of <= own.keys() else None
    shown = {row["id"]: row["own"].get("made") for row in kept.all()}
    assert {id: None if one is None else Decimal(one) for id, one in shown.items()} == wanted
    assert [row["id"] for row in kept.rows(sort="own.made")]


@pytest.mark.parametrize("formula", [" * ".join(["own.price"] * 3), f"ROUND({' * '.join(['own.price'] * 3)}, 8)"])
def test_cfg_01_what_is_too_large_to_be_rounded_is_told_as_it_is(database: Database[Document], formula: str) -> None:
    """Also beyond the digits that MongoDB has; it goes on to the next page, and is added up."""
    made = CustomField(key="made", type="formula", label=Label(zh="x"), formula=formula)
    kept = Kept(database, VIEWS[0], TYPES["price"], made, count=0)
    for number, price in enumerate(("-1000000000000", "1000000000000", "999999999999.99999999", "2")):
        own = OwnValues(written({"price": Held("number", price)}))
        kept.fill([{**document_of(kept.view, number), "own": stored(own)}])
    shown = [Decimal(row["own"]["made"]) for row in kept.rows(sort="own.made", limit="1")]
    assert shown[0] == Decimal("-1E36") and shown[1] == 8 and shown[3] == Decimal("1E36")
    assert Decimal("9.9E35") < shown[2] < Decimal("1E36")
    assert kept.page(sum="own.made").groups != [{"value": None, "count": 4, "sums": {"own.made": "0"}}]
    assert len(kept.asked("own.made", "greater", value="1000")) == 2


@pytest.mark.parametrize("formula", ["IF({} > 1, own.price, own.price)", "ROUND({}, 8)", "own.price / ({})", "-({})"])
def test_cfg_01_a_formula_may_be_as_deep_as_it_may_be_long(database: Database[Document], formula: str) -> None:
    made = "own.price"
    for _ in range(MOST_OPERATIONS):
        longer = formula.format(made)
        if len(longer) > LONGEST:
            break
        made = longer
    kept = Kept(database, VIEWS[0], TYPES["price"], replace(TYPES["total"], formula=made), count=4)
    assert len(kept.rows(sort="-own.total")) == 4


@pytest.mark.parametrize("name", ["own", "own.nothing", "own.$where", "own.a.b", "own.__proto__", "own.", ".own"])
def test_cfg_01_what_there_is_not_can_not_be_asked(kept: Kept, name: str) -> None:
    assert kept.refusal(sort=name).field == "sort"
    assert kept.refusal(group=name).field == "group"
    assert kept.refusal(sum=name).field == "sum"
    field = kept.refusal(where=json.dumps({"field": name, "is": "is_empty"})).field
    assert field is not None and field.startswith("where")


def test_cfg_01_a_list_as_of_a_moment_has_them_too(kept: Kept) -> None:
    """The versions themselves are made by the projector, of whatever its handlers set (`test_history`)."""
    at = datetime.now(UTC) - timedelta(seconds=1)
    assert kept.rows(as_of=at.isoformat(), sort="own.total", where='{"field":"own.note","is":"is_not_empty"}') == []
