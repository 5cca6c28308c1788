"""What must hold of stock, for `salestream verify`: the ledger adds up, and orders moved what they took."""

from dataclasses import dataclass, field
from uuid import UUID

from chassis.model.checks import Ledger, Rule
from contracts.inventory import StockDeducted, StockMoved, StockReturned
from services.inventory.domain import StockItem, stock_id

STOCK = Ledger(
    name="stock",
    entry=StockMoved,
    account=lambda entry: entry.product_id,
    kept_by=StockItem,
    id=stock_id,
    figure=lambda item: item.on_hand,
    shown={"products": "on_hand"},
)


@dataclass
class OrderGoods:
    """Per product, what an order's deductions and returns say and the ledger has not moved: nothing is left."""

    open: dict[UUID, int] = field(default_factory=dict)

    def count(self, product: UUID, quantity: int) -> None:
        left = self.open.pop(product, 0) + quantity
        if left:
            self.open[product] = left


def taken(goods: OrderGoods, fact: StockDeducted) -> None:
    for line in fact.lines:
        goods.count(line.product_id, line.quantity)


def returned(goods: OrderGoods, fact: StockReturned) -> None:
    for line in fact.lines:
        goods.count(line.product_id, -line.quantity)


def moved(goods: OrderGoods, fact: StockMoved) -> None:
    goods.count(fact.product_id, fact.change)


def unbalanced(goods: OrderGoods) -> str:
    return "; ".join(
        f"{left:+} of product {product} were deducted and not moved in the ledger"
        for product, left in goods.open.items()
    )


MOVEMENTS = Rule(
    name="stock moved for orders",
    state=OrderGoods,
    key=lambda fact: fact.order_id,
    folds={StockDeducted: taken, StockReturned: returned, StockMoved: moved},
    at_rest=unbalanced,
)

CHECKS = (STOCK, MOVEMENTS)
