"""What do we sell, and how much of it is there?  The product and stock list (INV-06, INV-09)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from chassis.model.changes import Change, EventMetadata, Set
from chassis.model.record_views import More, view_of
from chassis.model.views import Range
from contracts.inventory import ProductData, StockMoved


@dataclass
class StockColumns:
    """The currency of a product's prices, and its stock.  `low`: that is below the alert quantity (INV-04)."""

    currency: str
    on_hand: int
    low: bool


def currency_of(data: Any) -> Mapping[str, Any]:
    return {"currency": data.sale_price.currency}


def moved(event: StockMoved, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.product_id, on_hand=event.balance)


def is_low(document: Mapping[str, Any]) -> bool:
    return int(document.get("on_hand") or 0) < int(document.get("alert_quantity") or 0)


_CATALOGUE = view_of(ProductData, More(StockColumns, first={}, told={}, follows=currency_of))
VIEW = replace(
    _CATALOGUE,
    handlers={**_CATALOGUE.handlers, StockMoved: moved},
    computed={"low": is_low},
    filters={**_CATALOGUE.filters, "on_hand": Range(int)},
    sorts=("name", *(sort for sort in _CATALOGUE.sorts if sort != "name"), "on_hand"),
    default_sort="name",
    where={"name": {"$exists": True}},
    without_history=("on_hand",),
)
