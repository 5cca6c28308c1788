"""Every list as a file, on a real MongoDB: read again with what reads such files, whatever its texts hold."""

from __future__ import annotations

import csv
import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from bson import Decimal128
from openpyxl import load_workbook
from pymongo.database import Database
from security.office import Office, quick_hashes

from chassis.http.messages import HttpRequest
from chassis.model.views import View
from chassis.model.wording import Wording
from chassis.queries import exports
from chassis.queries import reader as queries
from chassis.queries.exports import CELL_LIMIT, FileBody, Places
from chassis.queries.reader import ViewReader
from component.lists import BY_NAME, LISTS, ROOT, Document, Shelf, document_of
from contracts.custom_fields import OWN
from contracts.errors import Refused
from contracts.languages import LANGUAGES, Language

HOSTILE = [
    "=1+1", "+1+1", "-Müller", "@SUM(A1)", "＝1+1", "＋81", "－1", "＠x", "\t=1", "\r=1", " =1", "\u200b=1",
    "\u2060=1", "\u200e\u202a=1", "\u00ad\u3164\ufe0f=1", "\x7f=1", "﹦1", "﹢1", "﹣1", "﹫x",
    "+81 90-1234-5678", "\x00", "\x01\x1b\x7f", "\ufffe\uffff", "\ud800", "\udfff", "_x0041_", "<a>&amp;]]>",
    '"quoted",\n', "'", "123", "1e5", "2026-01-01", "TRUE", "田中商店", "😀", "e\u0301", "x" * 40_000, "😀" * 20_000,
    " blanks ", "",
]  # fmt: skip
ZONE = ZoneInfo("Asia/Shanghai")
CUT = f" {Wording('en').sheet('sheet_mark')}"


def each() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("view", LISTS, ids=lambda view: view.name)


def exported(shelf: Shelf, format: str, **params: str) -> tuple[FileBody, bytes]:
    reader = ViewReader(shelf.database, shelf.view, zone=lambda: ZONE)
    file = reader.export(ROOT, {name: [value] for name, value in params.items()}, None, format)
    return file, b"".join(file)


def sheet_of(content: bytes) -> tuple[list[str], list[list[Any]]]:
    head, *rows = load_workbook(io.BytesIO(content)).worksheets[0].iter_rows()
    return [str(cell.value) for cell in head], [list(row) for row in rows]


def texts_of(view: View) -> list[str]:
    """The fields that hold what people type.  A sum's keys and what MongoDB itself can't hold are no such."""
    found = [name for name, type in view.types.items() if type.kind in ("text", "code") and not type.guard]
    return [name for name in found if name != "id" and not (view.sums and name in view.sums.by)]


def stored_text(text: str) -> str:
    """What MongoDB can hold of it: lone surrogates reach no document."""
    return text.encode("utf-8", "replace").decode()


@each()
def test_an_excel_file_opens_and_holds_text_as_typed_numbers_as_numbers_and_days_as_days(
    database: Database[Document], view: View
) -> None:
    shelf = Shelf(database, view)
    texts = texts_of(view)
    shelf.fill(
        [document_of(view, number, **dict.fromkeys(texts, stored_text(text))) for number, text in enumerate(HOSTILE)]
    )
    by_id = {row["id"]: row for row in shelf.rows()}
    flags = [name for name, type in view.types.items() if type.kind == "flag"]
    for line in csv.DictReader(io.StringIO(exported(shelf, "csv")[1].decode("utf-8-sig"))):
        assert {line[name] for name in flags} <= {"true", "false", ""}, "as JSON has them, and as filters take them"
    file, content = exported(shelf, "xlsx")
    headings, rows = sheet_of(content)
    names = [name for name in view.types if name != OWN]  # in its place stand the columns of test_custom_fields
    zoned = {name: f"{name} (Asia/Shanghai)" for name, type in view.types.items() if type.kind == "moment"}
    assert headings == [zoned.get(name, name) for name in names], "a moment's cell can't tell its zone"
    assert len(rows) == len(by_id) > 1 and file.headers["Salestream-Export-Rows"] == str(len(by_id))
    for row in rows:
        cells = dict(zip(names, row, strict=True))
        shown = by_id[cells["id"].value]
        for name, type in ((name, view.types[name]) for name in names):
            cell, value = cells[name], shown[name]
            assert cell.data_type not in ("f", "e"), (name, cell.value)
            if value is None or value == "":
                assert cell.value in (None, "")
            elif type.kind == "amount":
                assert cell.data_type == "n" and Decimal(str(cell.value)) == Decimal(value), name
            elif type.kind == "whole":
                assert cell.data_type == "n" and cell.value == value, name
            elif type.kind == "day":
                assert cell.is_date and cell.value.date() == date.fromisoformat(value), name
            elif type.kind == "moment":
                local = datetime.fromisoformat(value).astimezone(ZONE).replace(tzinfo=None)
                assert cell.is_date and abs(cell.value - local) < timedelta(seconds=1), name
            elif name in texts:
                assert cell.data_type == "s", name
                assert text_of(str(cell.value)) == as_held(value), name
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        assert b"<f>" not in parts.read("xl/worksheets/sheet1.xml")


def text_of(cell: str) -> str:
    """What Excel shows for a cell's text: it takes `_x005F_` for an underscore, openpyxl doesn't."""
    return cell.replace("_x005F_", "_").replace("_x000D_", "\r").replace("\r\n", "\n").replace("\r", "\n")


def as_held(text: str) -> str:
    """The text as a cell holds it: with a mark for what XML can't hold, cut with a word at Excel's limit."""
    text = exports._UNHOLDABLE.sub("\ufffd", text).replace("\r\n", "\n").replace("\r", "\n")
    if len(text.encode("utf-16-le")) // 2 <= CELL_LIMIT:
        return text
    kept = text.encode("utf-16-le")[: 2 * (CELL_LIMIT - len(CUT))]
    return kept.decode("utf-16-le", errors="ignore") + CUT


@each()
@pytest.mark.parametrize("language", LANGUAGES)
def test_imp_08_heads_are_what_people_call_fields_and_the_file_tells_which_those_are(
    database: Database[Document], view: View, language: Language
) -> None:
    shelf = Shelf(database, view)
    shelf.fill([document_of(view, 1)])
    wording = Wording(language)
    called = {name: wording.field((view.name, view.what), name) for name in view.types if name != OWN or not view.kind}
    read = partial(shelf.reader.export, ROOT, {}, None, language=language, heads="labels")
    head = next(csv.reader(io.StringIO(b"".join(read(format="csv")).decode("utf-8-sig"))))
    assert len(set(head)) == len(head) == len(called)
    for shown, (name, label) in zip(head, called.items(), strict=True):
        assert shown.lstrip("'") in (label, f"{label} ({name})")
    book = load_workbook(io.BytesIO(b"".join(read(format="xlsx"))))
    about = {str(row[0].value): str(row[1].value) for row in book.worksheets[1].iter_rows()}
    for shown, name in zip(head, called, strict=True):
        assert about[f"{wording.sheet('sheet_column')} {shown}"] == name
    assert book.sheetnames == [wording.list(view.name)[:31], wording.sheet("sheet_about")]
    assert shelf.reader.export(ROOT, {}, None, "csv", language=language).size > 0


@each()
def test_a_csv_file_holds_every_text_and_no_formula(database: Database[Document], view: View) -> None:
    shelf = Shelf(database, view)
    texts = texts_of(view)
    shelf.fill(
        [document_of(view, number, **dict.fromkeys(texts, stored_text(text))) for number, text in enumerate(HOSTILE)]
    )
    by_id = {row["id"]: row for row in shelf.rows()}
    _, content = exported(shelf, "csv")
    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    assert len(rows) == len(by_id) > 1
    for row in rows:
        shown = by_id[row["id"]]
        for name, type in view.types.items():
            if type.kind in ("amount", "whole", "day", "moment"):
                assert row[name] == ("" if shown[name] is None else str(shown[name]))
                assert type.kind != "moment" or not row[name] or row[name].endswith("Z"), "in UTC"
            if name in texts:
                held = exports._UNHOLDABLE.sub("\ufffd", shown[name] or "")
                assert row[name].removeprefix("'") == held.removeprefix("'"), name
                assert not exports.could_run(row[name]), name


@pytest.mark.parametrize("sign", "=+-@＝＋－＠﹦﹢﹣﹫")  # fmt: skip
@pytest.mark.parametrize(
    "unseen", ["", " ", "\u3000", "\u200b", "\u2060", "\u200e\u061c", "\u3164", "\ufeff\u00ad", "\x7f"]
)
def test_no_unseen_character_hides_a_formula(unseen: str, sign: str) -> None:
    assert exports.could_run(f"{unseen}{sign}1")
    assert not exports.could_run(f"{unseen}1{sign}1") and not exports.could_run(unseen)


ODD_NUMBERS = ["NaN", "Infinity", "-Infinity", "1E+400", "1E-400", "1E-31", "1234567890123456"]


def test_an_amount_that_no_cell_can_hold_is_written_as_text(database: Database[Document]) -> None:
    """No command takes such a one; a sum, or a hand, may have made it, and the others are wanted all the same."""
    shelf = Shelf(database, BY_NAME["orders"])
    amounts = [*ODD_NUMBERS, "1.0", "1.00", "-0.50", "1E+3"]
    shelf.fill([document_of(shelf.view, number, amount=Decimal128(text)) for number, text in enumerate(amounts)])
    names, rows = sheet_of(exported(shelf, "xlsx")[1])
    shown = {row["id"]: row["amount"] for row in shelf.rows()}
    for row in rows:
        cell, text = row[names.index("amount")], shown[row[names.index("id")].value]
        assert (cell.data_type, str(cell.value)) == ("s", text) if text in ODD_NUMBERS else cell.data_type == "n"
    formats = [row[names.index("amount")].number_format for row in rows if row[names.index("amount")].data_type == "n"]
    assert sorted(formats) == ["0", "0.0", "0.00", "0.00"]


def test_what_a_file_can_not_hold_is_told(database: Database[Document]) -> None:
    shelf = Shelf(database, BY_NAME["products"])
    shelf.fill([document_of(shelf.view, 1, name="a\x01b", brand="x" * 40_000), document_of(shelf.view, 2)])
    file, content = exported(shelf, "xlsx")
    assert file.headers["Salestream-Export-Replaced-Cells"] == file.headers["Salestream-Export-Cut-Cells"] == "1"
    about = dict(load_workbook(io.BytesIO(content))["About"].iter_rows(values_only=True))
    assert about["List"] == "/products" and about["Rows"] == "2" and about["Zone of moments"] == "Asia/Shanghai"
    assert [text for name, text in about.items() if str(name).startswith("Cells")] == ["1", "1"]
    assert exported(shelf, "csv")[0].headers == {
        "Salestream-Export-Rows": "2", "Salestream-Export-Replaced-Cells": "1",
    }  # fmt: skip


def test_a_number_too_long_for_a_cell_stays_whole_as_text(database: Database[Document]) -> None:
    shelf = Shelf(database, BY_NAME["products"])
    shelf.fill([document_of(shelf.view, 1, on_hand=2**60)])
    names, [row] = sheet_of(exported(shelf, "xlsx")[1])
    assert row[names.index("on_hand")].value == str(2**60)


def test_too_many_rows_or_bytes_are_refused_and_nothing_is_cut(
    database: Database[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(database, BY_NAME["products"])
    shelf.fill([document_of(shelf.view, number) for number in range(30)])
    monkeypatch.setattr(queries, "EXPORT_LIMIT", 29)
    for format in ("csv", "xlsx"):
        with pytest.raises(Refused, match="more than 29 rows; narrow") as refused:
            exported(shelf, format)
        assert refused.value.code == "TOO_LARGE"
        assert len(exported(shelf, format, brand="text 0003")[1]) > 0
    monkeypatch.setattr(queries, "EXPORT_LIMIT", 30)
    monkeypatch.setattr(exports, "BYTES_LIMIT", 1000)
    for format in ("csv", "xlsx"):
        with pytest.raises(Refused, match="narrow it with filters"):
            exported(shelf, format)


@each()
def test_each_row_is_worked_out_once_and_aside_of_other_requests(database: Database[Document], view: View) -> None:
    """What is read at once is bounded; all else is done by `aside`, in pieces between which others have their turn."""
    counted: list[str] = []
    inside = threading.local()

    def compute(document: Any) -> Any:
        counted.append(document["_id"])
        assert inside.aside, "a row is worked out while all other requests wait"
        return None

    pieces: list[str] = []

    def aside(function: Callable[..., Any], *args: Any, **more: Any) -> Any:
        pieces.append(function.__name__)
        inside.aside = True
        try:
            return function(*args, **more)
        finally:
            inside.aside = False

    field = next(name for name in view.types if name != "id")
    watched = replace(view, computed={field: compute})
    shelf = Shelf(database, view)
    shelf.fill([document_of(view, number) for number in range(450)])
    rows = len(shelf.page(limit="200", count="true").items)
    for format in ("csv", "xlsx"):
        counted.clear()
        pieces.clear()
        b"".join(ViewReader(database, watched, aside=aside).export(ROOT, {}, None, format))
        assert len(counted) == len(set(counted)) >= min(rows, 450)
        assert pieces.count("_add") == -(-len(counted) // queries.EXPORT_ROWS)


def test_rows_are_read_in_small_pieces(database: Database[Document]) -> None:
    """Sixteen megabytes at once, MongoDB's own measure, hold up all other requests while they are decoded."""
    shelf = Shelf(database, BY_NAME["orders"])
    shelf.fill([document_of(shelf.view, number) for number in range(450)])
    database.command("profile", 2)
    try:
        exported(shelf, "csv")
    finally:
        database.command("profile", 0)
    pieces = [found["nreturned"] for found in database["system.profile"].find({"nreturned": {"$gt": 1}})]
    database.drop_collection("system.profile")
    assert sum(pieces) >= 450
    assert max(pieces) <= queries.EXPORT_ROWS + 1


@pytest.mark.parametrize("name", ["limit", "cursor", "count"])
def test_a_file_has_no_pages(database: Database[Document], name: str) -> None:
    reader = ViewReader(database, LISTS[0])
    with pytest.raises(Refused) as refused:
        reader.export(ROOT, {name: ["2"]}, None, "csv")
    assert (refused.value.code, refused.value.field) == ("VALIDATION", name)


def test_a_caller_has_one_export_at_a_time_and_a_process_few() -> None:
    places = Places(2)
    first = places.take("li")
    with pytest.raises(Refused) as refused:
        places.take("li")
    assert refused.value.code == "RATE_LIMITED"
    second = places.take("wang")
    with pytest.raises(Refused) as refused:
        places.take("chen")
    assert refused.value.code == "OVERLOADED"
    first()
    places.take("li")
    second()
    second()
    places.take("chen")


@pytest.fixture(scope="module")
def office(database: Database[Document], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with quick_hashes():
        yield Office(tmp_path_factory.mktemp("office"), database)


def test_a_place_is_free_again_when_the_file_is_sent_given_up_or_refused(
    office: Office, database: Database[Document]
) -> None:
    shelf = Shelf(database, BY_NAME["products"])
    shelf.fill([document_of(shelf.view, number) for number in range(3)])
    query = {"format": ["xlsx"]}
    route = next(route for route in office.routes if route.path == "/products" and route.method == "GET")

    def ask() -> Any:
        sent = {"authorization": str(office.admin.authorization)}
        return route.serve(HttpRequest(sent, {}, query, lambda: b""))

    held = ask()
    assert held.status == 200 and held.length > 1000
    assert ask().status == 429
    held.close()
    assert b"".join(ask().file)[:2] == b"PK"
    given_up = ask()
    del given_up
    assert office.call("GET /products", by=office.admin, query={**query, "brand": [""], "no": ["x"]}).status == 400
    assert ask().status == 200


def test_an_export_is_of_one_moment_and_in_the_order_of_the_list(database: Database[Document]) -> None:
    shelf = Shelf(database, BY_NAME["products"])
    shelf.fill([document_of(shelf.view, number, name=text) for number, text in enumerate(("b", "Ä", "上海", "北京"))])
    names, rows = sheet_of(exported(shelf, "xlsx", sort="name")[1])
    assert [row[names.index("name")].value for row in rows] == ["北京", "上海", "Ä", "b"]


@each()
@pytest.mark.parametrize("language", LANGUAGES)
def test_imp_08_people_read_words_for_codes_and_programs_the_codes(
    database: Database[Document], view: View, language: Language
) -> None:
    """Each choice of each field of every list, and lists as one text, in both formats."""
    shelf, wording = Shelf(database, view), Wording(language)
    shelf.fill([document_of(view, number) for number in range(12)])
    stored = {row["id"]: row for row in shelf.rows()}
    names = [name for name in view.types if name != OWN or not view.kind]
    coded = {
        name: type.single.choices or tuple(view.named.get(name, ()))
        for name, type in view.types.items()
        if name in names and name not in view.picked and name not in view.parents
    }
    for format in ("csv", "xlsx"):
        content = b"".join(shelf.reader.export(ROOT, {}, None, format, language=language, heads="labels"))
        lines = list(csv.reader(io.StringIO(content.decode("utf-8-sig")))) if format == "csv" else read_again(content)
        assert len(lines) == len(stored) + 1
        for line in lines[1:]:
            cells = dict(zip(names, line, strict=True))
            for name, codes in coded.items():
                held, shown = stored[cells["id"]][name], str(cells[name] or "").removeprefix("'")
                if isinstance(held, str) and held in codes:
                    assert shown == wording.choice((view.name, view.what), name, held), name
                elif isinstance(held, list) and all(isinstance(one, str) for one in held):
                    owners = (view.name, view.what)
                    said = [wording.choice(owners, name, one) if one in codes else one for one in held]
                    assert shown == (", " if language == "en" else "、").join(said), name
    told = b"".join(shelf.reader.export(ROOT, {}, None, "csv", language=language, heads="names")).decode("utf-8-sig")
    for row in csv.DictReader(io.StringIO(told)):
        for name, codes in coded.items():
            held = stored[row["id"]][name]
            assert not (codes and isinstance(held, str)) or row[name] == held, "programs get codes"


def read_again(content: bytes) -> list[list[Any]]:
    return [list(row) for row in load_workbook(io.BytesIO(content)).worksheets[0].iter_rows(values_only=True)]


def test_imp_08_several_tags_are_one_text_and_no_formula(database: Database[Document]) -> None:
    shelf = Shelf(database, BY_NAME["customers"])
    shelf.fill([document_of(shelf.view, 1, tags=["=1+1", "VIP"])])
    for language, said in (("zh", "'=1+1、VIP"), ("en", "'=1+1, VIP")):
        content = b"".join(shelf.reader.export(ROOT, {}, None, "csv", language=language, heads="labels"))
        assert said in next(csv.reader(io.StringIO(content.decode("utf-8-sig").partition("\n")[2])))
        book = load_workbook(io.BytesIO(b"".join(shelf.reader.export(ROOT, {}, None, "xlsx", heads="labels"))))
        assert not [cell for cell in book.worksheets[0][2] if cell.data_type == "f"]
