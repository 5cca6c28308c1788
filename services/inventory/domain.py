"""Products and their stock (INV-01..13): what a command may do and what it changes.

Catalogue and stock are two aggregates on purpose: a sale moves stock but leaves the product's version alone, so a
clerk who edits a price isn't thrown out by every order that comes in.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import UUID, uuid5

from chassis.model.aggregates import Aggregate, applies, internal_event
from chassis.model.context import Context
from chassis.model.records import Record
from contracts.errors import Refused, not_found
from contracts.ids import beside
from contracts.inventory import (
    PRODUCT,
    AdjustStock,
    DeductStock,
    MovementKind,
    ReceiveStock,
    ReturnStock,
    StockDeducted,
    StockFellLow,
    StockLine,
    StockMoved,
    StockReturned,
    StockShort,
)
from contracts.reasons import Some
from contracts.sales import Shortage
from contracts.types import MAX_QUANTITY

NO_PRODUCT = UUID(int=0)
MOST_NAMED = 5
"""So many of the orders in the way of a deletion are named; the others are counted."""
PRICES = ("purchase_price", "sale_price", "member_price")


def stock_id(product_id: UUID) -> UUID:
    """The id of a product's stock item."""
    return beside(product_id, uuid5(product_id, "stock"))


def deduction_id(order_id: UUID) -> UUID:
    """The id of the record of what an order took from stock."""
    return beside(order_id, uuid5(order_id, "deduction"))


@dataclass
class Product(Record):
    """A product of the catalogue: what describes it, its prices and the figure below which it is restocked."""

    kind = PRODUCT

    def check(self, data: Any, given: Collection[str], context: Context, settings: Any) -> None:
        """Raises Refused VALIDATION, naming the field and the currencies, where the prices have several (INV-02)."""
        prices = {name: price for name in PRICES if (price := getattr(data, name)) is not None}
        currencies = dict.fromkeys(price.currency for price in prices.values())
        if len(currencies) > 1:
            named = [name for name in PRICES if name in given]
            field = named[0] if 0 < len(named) < len(PRICES) else "prices"
            raise Refused("inventory.prices_in_one_currency", currencies=list(currencies), field=field)

    def require_unordered(self, open_orders: Sequence[str]) -> None:
        """Raises Refused INVALID_STATE while open orders contain it (INV-08)."""
        if open_orders:
            raise Refused("inventory.in_open_order", orders=Some(open_orders, MOST_NAMED), state="IN_OPEN_ORDER")

    def reply(self) -> dict[str, Any]:
        return {"name": self.data.name, **super().reply()}


@internal_event("inventory.alert-quantity-set")
class AlertQuantitySet:
    """The stock item learnt below which figure the company is told to restock."""

    product_id: UUID
    alert_quantity: int


@dataclass
class StockItem(Aggregate):
    """What is on hand of one product, and the ledger of how it came to that (INV-10).

    `alerted` is true from the alert until stock is back at the figure, so each fall is told once (INV-04).
    """

    product_id: UUID = NO_PRODUCT
    on_hand: int = 0
    alert_quantity: int = 0
    alerted: bool = False
    closed: bool = False

    snapshot_every: ClassVar[int] = 500

    def open(self, product: Product, opening_stock: int, context: Context) -> None:
        """Start the ledger with what is in the warehouse (INV-03), also when that is nothing.

        Opening stock that is below the alert quantity is told at once: it needs restocking like any other.
        """
        self.record(AlertQuantitySet(product_id=product.id, alert_quantity=product.data.alert_quantity))
        self._move("OPENING", opening_stock, context, reason="opening stock")

    def set_alert_quantity(self, alert_quantity: int) -> None:
        """Follow the product's new alert quantity (INV-04); stock that is below the new figure is told at once."""
        if alert_quantity != self.alert_quantity:
            self.record(AlertQuantitySet(product_id=self.product_id, alert_quantity=alert_quantity))
            self._watch()

    def receive(self, command: ReceiveStock, context: Context) -> None:
        """Book goods that arrived (INV-10).  Raises Refused NOT_FOUND, VALIDATION when it can't be that many."""
        self._must_be_open()
        self._must_fit(command.quantity, "quantity")
        self._move("RECEIPT", command.quantity, context, reason=command.reason)

    def adjust(self, command: AdjustStock, context: Context) -> None:
        """Correct the figure by hand (INV-10, INV-12).

        Raises Refused NOT_FOUND, INSUFFICIENT_STOCK below zero, VALIDATION when it can't be that many.
        """
        self._must_be_open()
        if self.on_hand + command.change < 0:
            raise Refused("inventory.below_zero", on_hand=self.on_hand, field="change", state=str(self.on_hand))
        self._must_fit(command.change, "change")
        self._move("ADJUSTMENT", command.change, context, reason=command.reason)

    def deduct(self, quantity: int, order_id: UUID, context: Context) -> None:
        """Take an order's goods (INV-11).  `Deduction.take` has made sure that they are there."""
        self._move("ORDER_DEDUCTION", -quantity, context, order_id=order_id)

    def give_back(self, quantity: int, order_id: UUID, context: Context) -> None:
        """Put an order's goods back (INV-13).  Never refused: the goods are there, whatever else has happened.

        A cancelled order no longer protects its product from deletion, so the stock may be closed by the time the
        goods come back.  They are booked and written off at once: the ledger tells both, and the balance of a
        deleted product stays 0.
        """
        self._move("RETURN", quantity, context, order_id=order_id)
        if self.closed:
            self._move("CLOSING", -quantity, context, reason="returned after the product was deleted")

    def close(self, context: Context) -> None:
        """End the ledger of a deleted product with a balance of 0 (INV-08)."""
        self._move("CLOSING", -self.on_hand, context, reason="product deleted")

    def reopen(self, context: Context) -> None:
        """Go on with the ledger of a product that is there again, with nothing: what was there was written off."""
        if self.closed:
            self._move("OPENING", 0, context, reason="product restored")

    def reply(self) -> dict[str, object]:
        return {"on_hand": self.on_hand}

    def _must_be_open(self) -> None:
        if self.closed:
            raise not_found("product", "product_id")

    def _must_fit(self, change: int, name: str) -> None:
        """What is entered may not lead beyond MAX_QUANTITY; goods that come back may, and then can be written off."""
        if change > 0 and self.on_hand + change > MAX_QUANTITY:
            raise Refused("inventory.most_stock", most=MAX_QUANTITY, field=name)

    def _move(
        self, kind: MovementKind, change: int, context: Context, *, reason: str = "", order_id: UUID | None = None
    ) -> None:
        self.record(
            StockMoved(
                product_id=self.product_id,
                movement=kind,
                change=change,
                balance=self.on_hand + change,
                reason=reason,
                order_id=order_id,
                by=context.user,
            )
        )
        self._watch()

    def _watch(self) -> None:
        if self.on_hand < self.alert_quantity and not self.alerted and not self.closed:
            self.record(
                StockFellLow(product_id=self.product_id, balance=self.on_hand, alert_quantity=self.alert_quantity)
            )

    @applies(AlertQuantitySet)
    def _alert_quantity_set(self, fact: AlertQuantitySet) -> None:
        self.product_id = fact.product_id
        self.alert_quantity = fact.alert_quantity
        self._rearm()

    @applies(StockMoved)
    def _moved(self, fact: StockMoved) -> None:
        self.on_hand = fact.balance
        if fact.movement == "OPENING":
            self.closed = self.alerted = False  # what was told of the stock that was written off is over
        self.closed = self.closed or fact.movement == "CLOSING"
        self._rearm()

    @applies(StockFellLow)
    def _fell_low(self, _fact: StockFellLow) -> None:
        self.alerted = True

    def _rearm(self) -> None:
        self.alerted = self.alerted and self.on_hand < self.alert_quantity


@dataclass
class Deduction(Aggregate):
    """What one order took from stock, by submission round: taken once, returned once, whatever is repeated.

    `refused_attempt` is the last attempt of a round that stock could not cover; only a later one tries again.
    """

    taken: dict[int, tuple[StockLine, ...]] = field(default_factory=dict)
    returned: set[int] = field(default_factory=set)
    refused_attempt: dict[int, int] = field(default_factory=dict)

    def take(self, command: DeductStock, items: Mapping[UUID, StockItem | None], context: Context) -> None:
        """Take all lines from `items` or, when one of them is short, none (INV-11, INV-12, ORD-14).

        Nothing happens when the round was taken or returned before: a return that overtakes its deduction wins.
        """
        round = command.round
        if round in self.taken or round in self.returned:
            return
        if command.attempt <= self.refused_attempt.get(round, 0):
            return
        wanted: dict[UUID, int] = {}
        for line in command.lines:
            wanted[line.product_id] = wanted.get(line.product_id, 0) + line.quantity
        there = {product_id: item for product_id in wanted if (item := items.get(product_id)) and not item.closed}
        missing = tuple(
            Shortage(product_id=product_id, wanted=quantity, on_hand=on_hand)
            for product_id, quantity in wanted.items()
            if (on_hand := there[product_id].on_hand if product_id in there else 0) < quantity
        )
        if missing:
            self.record(StockShort(order_id=command.order_id, round=round, attempt=command.attempt, missing=missing))
            return
        for product_id, quantity in wanted.items():
            there[product_id].deduct(quantity, command.order_id, context)
        lines = tuple(StockLine(product_id=product_id, quantity=quantity) for product_id, quantity in wanted.items())
        self.record(StockDeducted(order_id=command.order_id, round=round, lines=lines))

    def to_return(self, round: int) -> Sequence[StockLine]:
        """What the round has taken and not yet given back."""
        return () if round in self.returned else self.taken.get(round, ())

    def give_back(self, command: ReturnStock, items: Mapping[UUID, StockItem], context: Context) -> None:
        """Give back what the round took, once (INV-13); a round that took nothing is closed all the same."""
        if command.round in self.returned:
            return
        lines = tuple(self.to_return(command.round))
        for line in lines:
            items[line.product_id].give_back(line.quantity, command.order_id, context)
        self.record(StockReturned(order_id=command.order_id, round=command.round, lines=lines))

    @applies(StockDeducted)
    def _taken(self, fact: StockDeducted) -> None:
        self.taken[fact.round] = fact.lines

    @applies(StockShort)
    def _short(self, fact: StockShort) -> None:
        self.refused_attempt[fact.round] = fact.attempt

    @applies(StockReturned)
    def _returned(self, fact: StockReturned) -> None:
        self.returned.add(fact.round)
