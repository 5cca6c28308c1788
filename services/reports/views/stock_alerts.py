"""What must be restocked?  One row for each fall below the alert quantity (INV-04, NTF-01)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from chassis.model.changes import Change, EventMetadata, Put
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


def fell_low(event: StockFellLow, metadata: EventMetadata) -> Iterable[Change]:
    yield Put(
        metadata.id,
        {
            "product_id": event.product_id,
            "balance": event.balance,
            "alert_quantity": event.alert_quantity,
            "at": metadata.at,
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
