"""What has a customer bought?  Every line of what was shipped, newest first (CUS-20)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from chassis.model.changes import Change, EventMetadata, Put
from chassis.model.views import Exact, Range, Scope, View, Words
from contracts.orders import OrderShipped
from contracts.types import Currency


@dataclass
class PurchaseRow:
    """A line of an order that was shipped; `shipped_on` is the company's day of that.

    Whoever sees the order sees its lines; they stay when the customer or the product is deleted.
    """

    id: str
    order_id: UUID
    customer_id: UUID
    product_id: UUID
    name: str
    model: str
    brand: str
    category: str
    quantity: int
    unit_price: Decimal
    amount: Decimal
    currency: Currency
    channel: str
    owner_id: UUID | None
    shipped_on: date
    shipped_at: datetime


def shipped(event: OrderShipped, metadata: EventMetadata) -> Iterable[Change]:
    sale = event.sale
    for number, line in enumerate(sale.lines, start=1):
        yield Put(
            f"{event.order_id}/{number:03d}",
            {
                "order_id": event.order_id,
                "customer_id": sale.customer_id,
                "product_id": line.product_id,
                "name": line.name,
                "model": line.model,
                "brand": line.brand,
                "category": line.category,
                "quantity": line.quantity,
                "unit_price": line.unit_price,
                "amount": line.amount,
                "currency": sale.total.currency,
                "channel": sale.channel,
                "owner_id": sale.owner_id,
                "shipped_on": metadata.day,
                "shipped_at": metadata.at,
            },
        )


VIEW = View(
    name="purchases",
    route="GET /purchases",
    row=PurchaseRow,
    permission="orders.view",
    what="purchase",
    handlers={OrderShipped: shipped},
    filters={
        "customer_id": Exact(),
        "product_id": Exact(),
        "order_id": Exact(),
        "brand": Exact(),
        "category": Exact(),
        "currency": Exact(),
        "owner_id": Exact(),
        "q": Words("name", "model", "brand"),
        "shipped_on": Range(date),
        "amount": Range(Decimal),
    },
    sorts=("shipped_at", "amount", "name"),
    default_sort="-shipped_at",
    scope=Scope("owner_id"),
)
