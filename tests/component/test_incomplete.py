"""The filter for records that lack what the company wants to be filled, on a real MongoDB (CUS-23)."""

from dataclasses import replace
from typing import Any

import pytest
from pymongo.database import Database

from chassis.access.known import KnownRequired
from chassis.model.custom_values import OwnValues
from chassis.model.principal import Principal
from chassis.projections.documents import stored
from chassis.testing.custom_fields import known
from component.lists import ABSENT, BY_NAME, ROOT, Shelf, document_of
from contracts.custom_fields import CustomField, Held, Label, written
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


def test_cus_23_a_field_that_the_company_has_added_must_be_filled_too(shelf: Shelf) -> None:
    """It became so after the customers were entered; taken away it is missed no more, nor by whom who can't see it."""
    seats = CustomField(key="seats", type="number", label=Label(en="Seats"), required=True)
    filled = {4: "12"}
    for number in HELD:
        own = OwnValues(written({"seats": Held("number", filled[number])} if number in filled else {}))
        shelf.collection.update_one(
            {"_id": {"$regex": f"^{number:08x}"}}, {"$set": {"own": stored(own), "industry": "RETAIL"}}
        )
    shelf.company.take(KnownRequired(CUSTOMER.code, ("industry",), 1))
    told = [
        (seats, [1, 2, 3]),
        (replace(seats, required=False), []),
        (replace(seats, retired=True), []),
        (replace(seats, view_right="products.cost"), [1, 2, 3]),
    ]
    for revision, (field, lacking) in enumerate(told, start=1):
        for row in known("customer", field, revision=revision):
            shelf.company.custom_fields.take(row)
        assert numbers(shelf, incomplete="true") == lacking
        assert numbers(shelf, incomplete="false") == sorted(HELD.keys() - lacking)
    clerk = Principal(ROOT.user_id, "Clerk", frozenset({"SAL"}))
    assert not shelf.page(clerk, incomplete="true").items
    assert len(shelf.page(clerk, incomplete="false").items) == len(HELD)


@pytest.mark.parametrize("wrong", ["maybe", "", ["true", "false"]])
def test_cus_23_it_is_true_or_false(shelf: Shelf, wrong: str | list[str]) -> None:
    with pytest.raises(Refused) as refused:
        shelf.page(**{"incomplete": wrong})
    assert refused.value.field == "incomplete"
