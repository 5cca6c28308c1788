"""Quick search by the pieces of texts finds what reading every row finds (UIX-12), on a real MongoDB."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from pymongo.database import Database

from chassis.model.changes import EventMetadata, Set
from chassis.model.row_fields import FOUND_BY, PARTS, key_place
from chassis.model.views import View, Words
from chassis.projections.documents import changed
from chassis.projections.versions import made
from chassis.queries.reader import ViewReader
from component.lists import BY_NAME, LISTS, NOW, ROOT, Document, Shelf, document_of

INDEXED = [view for view in LISTS if view.in_parts]
TEXTS = (
    "张伟",
    "張偉國",
    "佐藤 花子",
    "ＡＢＣ Trading",
    "abc",
    "ab",
    "Ｃａｆé",
    "ｻﾄｳ",
    "王",
    "+86 139-0000-0041",
    "x",
    "",
)
WORDS = (
    "伟",
    "张伟",
    "偉國",
    "花子",
    "佐藤花子",
    "trading abc",
    "bc",
    "abc",
    "ａｂｃ",
    "cafe\u0301",
    "サトウ",
    "王",
    "0000-00",
    "39 0000 0041",
    "zz",
)
each = pytest.mark.parametrize("view", INDEXED, ids=lambda view: view.name)


def scanned(view: View) -> View:
    """The same view, whose texts have no pieces."""
    rules: dict[str, Any] = {
        name: Words(*rule.fields) if isinstance(rule, Words) else rule for name, rule in view.filters.items()
    }
    return replace(view, filters=rules)


@each
def test_uix_12_the_index_finds_what_reading_every_row_finds(database: Database[Document], view: View) -> None:
    fields = [
        name for name in view.in_parts if "." not in name and name in view.types and view.types[name].kind != "list"
    ]
    shelf = Shelf(database, view)
    shelf.fill(
        [
            document_of(view, number, **{fields[number % len(fields)]: TEXTS[number % len(TEXTS)]})
            for number in range(2 * len(TEXTS) * len(fields))
        ]
    )
    every = ViewReader(database, scanned(view))
    for word in WORDS:
        asked = {"q": [word], "limit": ["200"]}
        found = [row["id"] for row in shelf.reader.page(ROOT, asked, None).items]
        assert found == [row["id"] for row in every.page(ROOT, asked, None).items], word


def test_uix_12_a_word_in_100_rows_of_many_is_found_by_the_index(database: Database[Document]) -> None:
    view = BY_NAME["customers"]
    shelf = Shelf(database, view)
    shelf.fill([document_of(view, number, name=f"客户{number:05d}") for number in range(3_000)])
    asked = shelf.reader.asking.asked(ROOT, {"q": ["户0123"]}, "zh")
    plan = database.command(
        "explain", {"aggregate": view.name, "pipeline": asked.selection, "cursor": {}}, verbosity="executionStats"
    )
    assert shelf.page(q="户0123").items and len(shelf.page(q="户0123", limit="200").items) == 10
    assert plan["executionStats"]["totalDocsExamined"] < 300, "it read the rows one after the other"
    assert key_place(PARTS, "name") in str(plan)


def test_uix_12_a_version_keeps_the_keys_of_its_texts_and_no_pieces() -> None:
    view, id = BY_NAME["customers"], str(uuid4())
    about = EventMetadata(f"{id}/1", "salestream.customers.customer-created.v1", NOW, "customers.events:0", 1, "")
    changes = [(view.keyed(Set(id, name="王小明")), about)]
    [version] = made(view, changes, {})
    assert version[key_place(FOUND_BY, "name")] == "王小明"
    assert not [name for name in version if name.startswith(PARTS)]
    row = changed(None, *changes[0])
    assert row and row[key_place(PARTS, "name")] == ["王小".encode(), "小明".encode()]
