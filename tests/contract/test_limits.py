"""What a command records is bounded event by event and in sum, before anything is stored."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from chassis.foundation.limits import (
    MAX_EVENT_BYTES,
    MAX_FOLLOWING_BYTES,
    MAX_MESSAGE_BYTES,
    MAX_RECORDED_AFTER_BYTES,
    MAX_RECORDED_BYTES,
    MAX_VALUE_BYTES,
)
from chassis.model.aggregates import Aggregate, applies, internal_event
from chassis.model.service import Work
from chassis.testing.people import SYSTEM, WAREHOUSE
from chassis.testing.services import InMemoryService
from contracts.errors import Refused
from contracts.ids import new_id
from contracts.inventory import AddProduct, DeductStock, Prices, StockLine
from contracts.types import Money
from services.inventory.application import SERVICE

PRICES = Prices(purchase=Money(amount=Decimal(1), currency="CNY"), sale=Money(amount=Decimal(2), currency="CNY"))


@internal_event("test-limits.noted")
class Noted:
    """Something long."""

    text: str


class Notes(Aggregate):
    """Records as many long facts as one tells it."""

    def note(self, sizes: list[int]) -> None:
        for size in sizes:
            self.record(Noted(text="x" * (size - len('{"text":""}'))))

    @applies(Noted)
    def _noted(self, _: Noted) -> None:
        """Nothing to remember."""


def service(sizes: list[int]) -> InMemoryService:
    def add(command: Any, work: Work) -> Notes:
        notes = work.new(Notes, command.product_id, what="product", field="product_id")
        notes.note(sizes)
        return notes

    def deduct(command: DeductStock, work: Work) -> Notes:
        notes = work.find_or_new(Notes, command.order_id)
        notes.note(sizes)
        return notes

    return InMemoryService(replace(SERVICE, commands={**SERVICE.commands, AddProduct: add, DeductStock: deduct}))


FROM_OUTSIDE = AddProduct(product_id=new_id(), name="Lamp", model="L", brand="B", prices=PRICES)
BETWEEN = DeductStock(order_id=new_id(), round=1, attempt=1, lines=(StockLine(product_id=new_id(), quantity=1),))


@pytest.mark.parametrize(
    ("command", "one", "most"),
    [(FROM_OUTSIDE, MAX_EVENT_BYTES, MAX_RECORDED_BYTES), (BETWEEN, MAX_FOLLOWING_BYTES, MAX_RECORDED_AFTER_BYTES)],
    ids=["from outside", "between services"],
)
def test_what_a_command_records_is_bounded_in_sum(command: object, one: int, most: int) -> None:
    by = WAREHOUSE if command is FROM_OUTSIDE else SYSTEM
    full = [one] * (most // one)
    service(full).do(command, by)
    for sizes in ([one + 1], [*full, len('{"text":""}')], [most // 4] * 5):
        kit = service(sizes)
        with pytest.raises(Refused) as refused:
            kit.do(command, by)
        assert refused.value.code == "TOO_LARGE" and str(most if len(sizes) > 1 else one) in refused.value.message
        assert kit.facts() == []


def test_each_limit_holds_what_the_one_before_it_lets_through() -> None:
    assert MAX_EVENT_BYTES <= MAX_RECORDED_BYTES <= MAX_FOLLOWING_BYTES <= MAX_VALUE_BYTES < MAX_MESSAGE_BYTES
    assert MAX_EVENT_BYTES + MAX_RECORDED_BYTES <= MAX_RECORDED_AFTER_BYTES
