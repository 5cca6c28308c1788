"""Why is the stock what it is?  Every movement, newest first (INV-10)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from chassis.model.changes import Change, EventInfo, Put
from chassis.model.views import Exact, Range, View
from contracts.inventory import MovementKind, StockMoved


@dataclass
class LedgerRow:
    """One entry of the ledger: the change and the balance it led to."""

    id: str
    product_id: UUID
    movement: MovementKind
    change: int
    balance: int
    reason: str
    order_id: UUID | None
    by: str
    at: datetime
    entry: int


def moved(fact: StockMoved, event: EventInfo) -> Iterable[Change]:
    yield Put(
        event.id,
        {
            "product_id": fact.product_id,
            "movement": fact.movement,
            "change": fact.change,
            "balance": fact.balance,
            "reason": fact.reason,
            "order_id": fact.order_id,
            "by": fact.by.name,
            "at": event.at,
            "entry": event.version,
        },
    )


VIEW = View(
    name="stock_ledger",
    route="GET /stock-ledger",
    row=LedgerRow,
    permission="products.view",
    what="ledger entry",
    handlers={StockMoved: moved},
    filters={
        "product_id": Exact(),
        "order_id": Exact(),
        "movement": Exact(),
        "change": Range(int),
    },
    sorts=("at", "entry"),
    default_sort="-at",
    indexes=(("product_id", "entry", "_id"),),
)
