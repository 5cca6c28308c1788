"""What `salestream verify` is told of stock holds while stock moves."""

from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

import pytest

from chassis.store.event_store import EventStore
from chassis.store.events import fact_class
from chassis.testing.people import WAREHOUSE
from chassis.testing.services import InMemoryService
from chassis.verify.rules import LedgerCheck
from contracts.inventory import AddProduct, Prices, ReceiveStock
from contracts.schemas import decode
from contracts.types import Money
from services.inventory.application import SERVICE
from services.inventory.domain import StockItem, stock_id
from services.inventory.verification import STOCK

PHONE = uuid5(UUID("6f1f4bdc-0c0a-4a3e-9d0b-3b0f6e5f1c11"), "phone")

PRICES = Prices(
    purchase=Money(amount=Decimal("1.00"), currency="CNY"), sale=Money(amount=Decimal("2.00"), currency="CNY")
)


@pytest.fixture
def kit() -> InMemoryService:
    kit = InMemoryService(SERVICE)
    phone = AddProduct(product_id=PHONE, name="Phone", model="One", brand="Acme", prices=PRICES, opening_stock=10)
    kit.do(phone, by=WAREHOUSE)
    return kit


def read(store: EventStore) -> LedgerCheck:
    """The ledger's entries so far, as a verification reads them."""
    check = LedgerCheck(SERVICE.name, STOCK)
    for event in store.notifications(0, 1_000):
        fact: Any = decode(fact_class(event.type), event.data)
        if type(fact) is STOCK.entry:
            assert not list(check.take(event, "inventory.events:0", fact, None))
    return check


def test_stock_that_moves_between_two_looks_at_it_is_no_difference(
    kit: InMemoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = read(kit.store)
    kit.do(ReceiveStock(product_id=PHONE, quantity=3, reason="new goods"), by=WAREHOUSE)
    load = kit.store.load

    def then_more_comes(cls: Any, id: Any) -> Any:
        item = load(cls, id)
        monkeypatch.undo()
        kit.do(ReceiveStock(product_id=PHONE, quantity=4, reason="new goods"), by=WAREHOUSE)
        return item

    monkeypatch.setattr(kit.store, "load", then_more_comes)
    assert not list(check.compare(kit.store, None))
    item = kit.store.load(StockItem, stock_id(PHONE))
    assert item is not None and item.on_hand == 17, "more came meanwhile"


def test_a_figure_that_no_entry_led_to_is_told(kit: InMemoryService, monkeypatch: pytest.MonkeyPatch) -> None:
    check = read(kit.store)
    kit.do(ReceiveStock(product_id=PHONE, quantity=3, reason="new goods"), by=WAREHOUSE)
    item = kit.store.load(StockItem, stock_id(PHONE))
    assert item is not None
    item.on_hand += 1
    monkeypatch.setattr(kit.store, "load", lambda _cls, _id: item)
    [found] = check.compare(kit.store, None)
    assert "the entries come to 13, the StockItem has 14" in found.message
