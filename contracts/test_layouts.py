"""How events are laid out that were published before there was the kind (ADR 0055), by the example of products."""

from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from contracts.declare import KEPT
from contracts.inventory import PRODUCT, Attributes, Prices
from contracts.schemas import decode, encode, load
from contracts.types import Money

ID = UUID("01900000-0000-7000-8000-000000000001")
BEFORE = """{"product_id":"01900000-0000-7000-8000-000000000001",
"attributes":{"name":"水杯","model":"B1","brand":"Acme","category":"cups"},
"prices":{"purchase":{"amount":"1.00","currency":"CNY"},"sale":{"amount":"2.00","currency":"CNY"}},
"alert_quantity":3,"by":{"user_id":null,"name":"Li"}}""".encode()
"""An event as it was published before products were a kind of record."""


def money(amount: str) -> Money:
    return Money(amount=Decimal(amount), currency="CNY")


DATA = PRODUCT.cls(
    name="水杯", model="B1", brand="Acme", category="cups", purchase_price=money("1.00"), sale_price=money("2.00"),
    alert_quantity=3,
)  # fmt: skip


def test_an_event_of_before_says_what_is_known_of_the_record() -> None:
    for event in (PRODUCT.created, PRODUCT.edited):
        fact: Any = decode(event, BEFORE)
        assert PRODUCT.layout.read(fact) == DATA


def test_an_event_is_laid_out_as_it_was_with_what_is_new_beside() -> None:
    told = PRODUCT.created(product_id=ID, **PRODUCT.layout.told(DATA))
    assert told.attributes == Attributes(name="水杯", model="B1", brand="Acme", category="cups")
    assert told.prices == Prices(purchase=money("1.00"), sale=money("2.00"))
    written, before = msgspec.json.decode(encode(told)), msgspec.json.decode(BEFORE)
    assert written.keys() - before.keys() == {"tags", "own"} and "data" not in written
    assert before["attributes"].items() <= written["attributes"].items()
    assert PRODUCT.layout.read(decode(PRODUCT.created, encode(told))) == DATA


def test_a_part_is_given_whole_or_field_by_field() -> None:
    given = {"prices": {"purchase": {"amount": "1", "currency": "CNY"}, "sale": {"amount": "2", "currency": "CNY"}}}
    sale = {"sale_price": {"amount": "3", "currency": "CNY"}}
    command: Any = load(PRODUCT.edit, {"product_id": str(ID), **given, **sale})
    assert PRODUCT.layout.given_by(command) == {
        "purchase_price": Money(amount=Decimal("1"), currency="CNY"),
        "sale_price": Money(amount=Decimal("3"), currency="CNY"),
        "member_price": None,
    }
    nothing: Any = load(PRODUCT.edit, {"product_id": str(ID)})
    assert nothing.prices is KEPT and PRODUCT.layout.given_by(nothing) == {}
