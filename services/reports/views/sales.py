"""How much did we sell?  By day, by product and by brand (RPT-04, RPT-22).

Booked at submission, sold at shipping; withdrawing, rejecting and cancelling take the booking back (ORD-17).
Days are order dates, which are days of the company's time zone; currencies are never added together.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from chassis.views import Add, Change, EventInfo, Exact, Range, View, Words
from contracts.orders import (
    OrderCancelled,
    OrderLine,
    OrderRejected,
    OrderShipped,
    OrderSubmitted,
    OrderWithdrawn,
    Sale,
)

NOT_BOOKED = ("DRAFT", "REJECTED")
RATE = Decimal("0.0001")


@dataclass
class DayRow:
    """One day in one currency."""

    id: str
    day: date
    currency: str
    booked_orders: int
    booked_quantity: int
    booked_amount: Decimal
    sold_orders: int
    sold_quantity: int
    sold_amount: Decimal


@dataclass
class ProductSalesRow:
    """One product in one currency.  `profit_rate` = (revenue - purchase cost) / revenue of what was sold."""

    id: str
    product_id: UUID
    name: str
    model: str
    brand: str
    currency: str
    booked_quantity: int
    booked_amount: Decimal
    sold_quantity: int
    sold_amount: Decimal
    sold_cost: Decimal
    profit_rate: Decimal | None


@dataclass
class BrandSalesRow:
    """One brand in one currency."""

    id: str
    brand: str
    currency: str
    booked_quantity: int
    booked_amount: Decimal
    sold_quantity: int
    sold_amount: Decimal
    sold_cost: Decimal
    profit_rate: Decimal | None


Count = Callable[[Sale, str, int], Iterable[Change]]


def by_day(sale: Sale, what: str, sign: int) -> Iterable[Change]:
    """Count a sale on its day."""
    yield Add(
        f"{sale.order_date}/{sale.total.currency}",
        {
            f"{what}_orders": sign,
            f"{what}_quantity": sign * sum(line.quantity for line in sale.lines),
            f"{what}_amount": sign * sale.total.amount,
        },
        about={"day": sale.order_date, "currency": sale.total.currency},
    )


def _line_amounts(line: OrderLine, what: str, sign: int) -> Mapping[str, int | Decimal]:
    return {
        f"{what}_quantity": sign * line.quantity,
        f"{what}_amount": sign * line.amount,
        f"{what}_cost": sign * line.quantity * line.unit_cost,
    }


def by_product(sale: Sale, what: str, sign: int) -> Iterable[Change]:
    """Count a sale's lines on their products."""
    for line in sale.lines:
        yield Add(
            f"{line.product_id}/{sale.total.currency}",
            _line_amounts(line, what, sign),
            about={
                "product_id": line.product_id,
                "name": line.name,
                "model": line.model,
                "brand": line.brand,
                "currency": sale.total.currency,
            },
        )


def by_brand(sale: Sale, what: str, sign: int) -> Iterable[Change]:
    """Count a sale's lines on their brands."""
    for line in sale.lines:
        yield Add(
            f"{line.brand}/{sale.total.currency}",
            _line_amounts(line, what, sign),
            about={"brand": line.brand, "currency": sale.total.currency},
        )


def counting(count: Count) -> Mapping[type, Callable[[Any, EventInfo], Iterable[Change]]]:
    """The handlers that feed a count: booked at submission, taken back, sold at shipping."""

    def cancelled(fact: OrderCancelled, event: EventInfo) -> Iterable[Change]:
        if fact.round and fact.was not in NOT_BOOKED:
            yield from count(fact.sale, "booked", -1)

    return {
        OrderSubmitted: lambda fact, event: count(fact.sale, "booked", 1),
        OrderWithdrawn: lambda fact, event: count(fact.sale, "booked", -1),
        OrderRejected: lambda fact, event: count(fact.sale, "booked", -1),
        OrderCancelled: cancelled,
        OrderShipped: lambda fact, event: count(fact.sale, "sold", 1),
    }


def profit_rate(document: Mapping[str, Any]) -> str | None:
    """(revenue - cost) / revenue, four decimals; None while nothing is sold."""
    revenue, cost = (_decimal(document.get(name)) for name in ("sold_amount", "sold_cost"))
    return str(((revenue - cost) / revenue).quantize(RATE)) if revenue else None


def _decimal(value: Any) -> Decimal:
    return Decimal(0) if value is None else value.to_decimal()


SALES_BY_DAY = View(
    name="sales_by_day",
    route="GET /reports/sales-by-day",
    row=DayRow,
    permission="reports.sales",
    what="day",
    handlers=counting(by_day),
    filters={"day": Range(date), "currency": Exact()},
    sorts=("day", "sold_amount"),
    default_sort="-day",
    indexes=(("day", "_id"),),
)

SALES_BY_PRODUCT = View(
    name="sales_by_product",
    route="GET /reports/sales-by-product",
    row=ProductSalesRow,
    permission="reports.sales",
    what="product",
    computed={"profit_rate": profit_rate},
    hidden={"sold_cost": "products.cost", "profit_rate": "products.cost"},
    handlers=counting(by_product),
    filters={"product_id": Exact(), "brand": Exact(), "currency": Exact(), "q": Words("name", "model", "brand")},
    sorts=("sold_amount", "sold_quantity", "name"),
    default_sort="-sold_amount",
    indexes=(("sold_amount", "_id"), ("brand", "_id")),
)

SALES_BY_BRAND = View(
    name="sales_by_brand",
    route="GET /reports/sales-by-brand",
    row=BrandSalesRow,
    permission="reports.sales",
    what="brand",
    computed={"profit_rate": profit_rate},
    hidden={"sold_cost": "products.cost", "profit_rate": "products.cost"},
    handlers=counting(by_brand),
    filters={"brand": Exact(), "currency": Exact()},
    sorts=("sold_amount", "brand"),
    default_sort="-sold_amount",
    indexes=(("sold_amount", "_id"),),
)

VIEWS = (SALES_BY_DAY, SALES_BY_PRODUCT, SALES_BY_BRAND)
