"""Lists of what is picked from dictionaries, on a real MongoDB (CFG-08, CFG-09, CUS-08, CUS-09)."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pymongo.database import Database

from chassis.model.dictionaries import Dictionaries, KnownEntry
from chassis.model.principal import Principal
from component.lists import BY_NAME, ROOT, Shelf, as_query, document_of
from contracts.dictionaries import DictionaryEntry

CUSTOMERS = BY_NAME["customers"]
HELD = {
    1: ("MANUFACTURING", ["PROSPECT"]),
    2: ("MACHINERY", ["PROSPECT", "vip"]),
    3: ("机械设备", ["INTERESTED", "PROSPECT"]),
    4: ("machinery", []),
    5: ("RETAIL", ["意向客户"]),
    6: ("mining", []),
    7: ("", ["vip"]),
}


@pytest.fixture
def shelf(database: Database[dict[str, Any]]) -> Iterator[Shelf]:
    found = Shelf(database, CUSTOMERS)
    found.fill([document_of(CUSTOMERS, number, industry=one, tags=tags) for number, (one, tags) in HELD.items()])
    yield found


def numbers(rows: list[dict[str, Any]]) -> list[int]:
    return sorted(int(row["id"][:8], 16) for row in rows)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("MANUFACTURING", [1, 2, 3, 4]),
        ("制造业", [1, 2, 3, 4]),
        ("machinery", [2, 3, 4]),
        ("ELECTRONICS", []),
        ("retail", [5]),
        ("Mining", [6]),
    ],
)
def test_cfg_09_an_entry_finds_its_branch_and_what_was_typed_before(shelf: Shelf, asked: str, found: list[int]) -> None:
    assert numbers(shelf.rows(industry=asked)) == found
    condition = {"field": "industry", "is": "equal", "value": asked}
    assert numbers(shelf.rows(where=json.dumps(condition))) == found
    negated = numbers(shelf.rows(where=json.dumps({**condition, "is": "not_equal"})))
    assert negated == sorted(set(HELD) - set(found))


def test_cus_08_tags_are_found_by_any_all_and_none_of_them(shelf: Shelf) -> None:
    assert numbers(shelf.page(tags=["INTERESTED", "vip"]).items) == [2, 3, 5, 7]
    assert numbers(shelf.page(tags_all=["prospect", "vip"]).items) == [2]
    assert numbers(shelf.page(tags_all=["INTERESTED", "意向客户"]).items) == [3, 5]
    assert numbers(shelf.page(tags_none=["PROSPECT", "vip"]).items) == [4, 5, 6]
    assert numbers(shelf.page(tags="PROSPECT", tags_none="INTERESTED").items) == [1, 2]


@pytest.mark.parametrize(
    ("language", "label"), [("zh", "机械设备"), ("ja", "機械"), ("en", "Machinery")], ids=["zh", "ja", "en"]
)
def test_cfg_08_rows_groups_and_files_tell_labels_in_the_callers_language(
    shelf: Shelf, language: str, label: str
) -> None:
    page = shelf.reader.page(
        ROOT, as_query({"industry": "MACHINERY", "group": "industry", "sort": "industry"}), None, language
    )
    assert [row["labels"]["industry"] for row in page.items] == [label] * 3
    assert page.groups == [{"value": "MACHINERY", "label": label, "count": 3}]
    file = b"".join(shelf.reader.export(ROOT, as_query({"industry": "machinery"}), None, "csv", language=language))
    assert file.decode("utf-8-sig").count(label) == 3
    one, _ = shelf.reader.one(ROOT, page.items[0]["id"], None, language)
    assert one["labels"] == page.items[0]["labels"]


def test_cus_08_rows_are_counted_by_tag_in_one_call(shelf: Shelf) -> None:
    groups = {
        group["value"]: (group["label"], group["count"])
        for group in shelf.page(group="tags", sum="points").groups or []
    }
    assert groups == {
        "PROSPECT": ("潜在客户", 3),
        "INTERESTED": ("意向客户", 2),
        "vip": ("vip", 2),
        None: ("", 2),
    }


def test_cfg_08_a_renamed_entry_is_told_by_its_new_name_at_once(shelf: Shelf) -> None:
    known = Dictionaries()
    known.take(KnownEntry("industries", DictionaryEntry(code="RETAIL", zh="门店", parent="TRADE"), 1))
    caller: Principal = replace(ROOT, dictionaries=known)
    [row] = shelf.reader.page(caller, as_query({"industry": "TRADE"}), None).items
    assert (row["industry"], row["labels"]["industry"]) == ("RETAIL", "门店")


def test_acc_21_cus_06_customers_are_listed_by_type_region_and_industry_and_sorted_by_each(shelf: Shelf) -> None:
    kinds = [("B2B", "华东"), ("B2C", "华东"), ("B2B", "华北"), ("B2C", "华北")]
    more = [
        document_of(CUSTOMERS, 20 + number, industry="IT", tags=[], customer_type=kind, region=region)
        for number, (kind, region) in enumerate(kinds)
    ]
    shelf.fill(more)
    assert numbers(shelf.rows(customer_type="B2B", industry="IT")) == [20, 22]
    assert numbers(shelf.rows(region="华东", industry="IT")) == [20, 21]
    assert numbers(shelf.rows(customer_type="B2C", region="华北", industry="IT")) == [23]
    for name in ("customer_type", "region", "industry"):
        up = [row[name] for row in shelf.rows(industry="IT", sort=name)]
        down = [row[name] for row in shelf.rows(industry="IT", sort=f"-{name}")]
        assert up == down[::-1] and len(up) == 4
        assert len(set(up)) == 1 or up[0] == up[1] != up[2] == up[3]
