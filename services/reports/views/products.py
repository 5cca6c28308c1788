"""What do we sell, and how much of it is there?  The product and stock list (INV-06, INV-09)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from chassis.model.changes import Change, EventMetadata, Set
from chassis.model.views import Exact, Range, View, Words
from contracts.inventory import ProductAdded, ProductDeleted, ProductEdited, StockMoved, Trait


@dataclass
class ProductRow:
    """One product with its stock.  `low`: stock is below the alert quantity (INV-04)."""

    id: UUID
    name: str
    model: str
    brand: str
    category: str
    description: str
    specification: str
    traits: list[Trait]
    accessories: list[str]
    sale_price: Decimal
    member_price: Decimal | None
    purchase_price: Decimal
    currency: str
    on_hand: int
    alert_quantity: int
    low: bool
    version: int


def described(event: ProductAdded | ProductEdited, metadata: EventMetadata) -> Iterable[Change]:
    about = event.attributes
    yield Set(
        event.product_id,
        name=about.name,
        model=about.model,
        brand=about.brand,
        category=about.category,
        description=about.description,
        specification=about.specification,
        traits=about.traits,
        accessories=about.accessories,
        sale_price=event.prices.sale.amount,
        member_price=event.prices.member.amount if event.prices.member else None,
        purchase_price=event.prices.purchase.amount,
        currency=event.prices.sale.currency,
        alert_quantity=event.alert_quantity,
        version=metadata.version,
    )


def deleted(event: ProductDeleted, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.product_id, deleted=True, version=metadata.version)


def moved(event: StockMoved, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.product_id, on_hand=event.balance)


def is_low(document: Mapping[str, Any]) -> bool:
    return int(document.get("on_hand") or 0) < int(document.get("alert_quantity") or 0)


VIEW = View(
    name="products",
    route="GET /products",
    detail="product_id",
    row=ProductRow,
    permission="products.view",
    what="product",
    where={"deleted": {"$ne": True}, "name": {"$exists": True}},
    computed={"low": is_low},
    handlers={ProductAdded: described, ProductEdited: described, ProductDeleted: deleted, StockMoved: moved},
    filters={
        "name": Exact(),
        "model": Exact(),
        "brand": Exact(),
        "category": Exact(),
        "q": Words("name", "model", "brand", "category"),
        "on_hand": Range(int),
        "sale_price": Range(Decimal),
    },
    sorts=("name", "model", "brand", "on_hand", "sale_price"),
    history=(ProductAdded, ProductEdited, ProductDeleted),
    without_history=("on_hand",),
    edition=2,
)
