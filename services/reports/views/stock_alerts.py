"""What must be restocked?  One row for each fall below the alert quantity (INV-04, NTF-01)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from chassis.model.changes import Change, EventInfo, Put
from chassis.model.views import Exact, View
from contracts.inventory import StockFellLow


@dataclass
class AlertRow:
    """Stock fell to `balance`, below `alert_quantity`."""

    id: str
    product_id: UUID
    balance: int
    alert_quantity: int
    at: datetime


def fell_low(fact: StockFellLow, event: EventInfo) -> Iterable[Change]:
    yield Put(
        event.id,
        {
            "product_id": fact.product_id,
            "balance": fact.balance,
            "alert_quantity": fact.alert_quantity,
            "at": event.at,
        },
    )


VIEW = View(
    name="stock_alerts",
    route="GET /stock-alerts",
    row=AlertRow,
    permission="products.view",
    what="alert",
    handlers={StockFellLow: fell_low},
    filters={"product_id": Exact()},
    sorts=("at",),
    default_sort="-at",
)
