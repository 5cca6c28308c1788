"""Why is the stock what it is?  Every movement, newest first (INV-10)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from chassis.model.changes import Change, EventMetadata, Put
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


def moved(event: StockMoved, metadata: EventMetadata) -> Iterable[Change]:
    yield Put(
        metadata.id,
        {
            "product_id": event.product_id,
            "movement": event.movement,
            "change": event.change,
            "balance": event.balance,
            "reason": event.reason,
            "order_id": event.order_id,
            "by": event.by.name,
            "at": metadata.at,
            "entry": metadata.version,
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
