"""The filter for records that lack what the company wants to be filled, on a real MongoDB (CUS-23)."""

from typing import Any

import pytest
from pymongo.database import Database

from chassis.access.known import KnownRequired
from component.lists import ABSENT, BY_NAME, Shelf, document_of
from contracts.customers import CUSTOMER
from contracts.errors import Refused

CUSTOMERS = BY_NAME["customers"]
HELD: dict[int, dict[str, Any]] = {
    1: {"name": "上海", "mobile": "13800138000", "industry": "RETAIL", "address": ""},
    2: {"name": "上海", "mobile": "", "industry": "RETAIL", "address": "1 Old Street"},
    3: {"name": "", "mobile": "13800138001", "industry": "RETAIL", "address": "1 Old Street"},
    4: {"name": "上海", "mobile": "13800138002", "industry": ABSENT, "address": "1 Old Street"},
}


@pytest.fixture
def shelf(database: Database[dict[str, Any]]) -> Shelf:
    found = Shelf(database, CUSTOMERS)
    found.fill([document_of(CUSTOMERS, number, **held) for number, held in HELD.items()])
    return found


def numbers(shelf: Shelf, **asked: str) -> list[int]:
    return sorted(int(row["id"][:8], 16) for row in shelf.page(**asked).items)


def test_cus_23_what_lacks_a_field_that_must_be_filled_is_found(shelf: Shelf) -> None:
    assert numbers(shelf, incomplete="true") == [2, 3, 4]
    assert numbers(shelf, incomplete="false") == [1]


@pytest.mark.parametrize(("fields", "found"), [(("address", "name"), [1, 3]), ((), [])])
def test_cus_23_it_follows_the_settings(shelf: Shelf, fields: tuple[str, ...], found: list[int]) -> None:
    shelf.company.take(KnownRequired(CUSTOMER.code, fields, 1))
    assert numbers(shelf, incomplete="true") == found
    assert numbers(shelf, incomplete="false") == sorted(HELD.keys() - found)


def test_cus_23_pages_go_on_when_the_settings_change(shelf: Shelf) -> None:
    first = shelf.page(incomplete="true", limit="1", sort="created_at")
    shelf.company.take(KnownRequired(CUSTOMER.code, ("address",), 1))
    assert first.next is not None
    shelf.page(incomplete="true", limit="1", sort="created_at", cursor=first.next)


@pytest.mark.parametrize("wrong", ["maybe", "", ["true", "false"]])
def test_cus_23_it_is_true_or_false(shelf: Shelf, wrong: str | list[str]) -> None:
    with pytest.raises(Refused) as refused:
        shelf.page(**{"incomplete": wrong})
    assert refused.value.field == "incomplete"
