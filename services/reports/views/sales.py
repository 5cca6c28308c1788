"""How much did we sell?  By day, by product and by brand (RPT-04, RPT-22).

Booked at submission, sold at shipping; withdrawing, rejecting and cancelling take the booking back (ORD-17).
Days are order dates, which are days of the company's time zone; currencies are never added together.  A row is stored
for each owner and shown added up over those whom the caller's right reaches (SEC-18).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from chassis.views import Add, Change, EventInfo, Exact, Range, Scope, Sums, View, Words
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
OWNED = Scope(owner="owner_id")
LINE_SUMS = ("booked_quantity", "booked_amount", "sold_quantity", "sold_amount", "sold_cost")
DAY_SUMS = (*LINE_SUMS[:-1], "booked_orders", "sold_orders")


def _row(sale: Sale, *by: object) -> str:
    """The key of a stored row: whose sales (SEC-18), and what is counted."""
    return "/".join(map(str, (sale.owner_id or "-", *by, sale.total.currency)))


def _about(sale: Sale, **more: Any) -> Mapping[str, Any]:
    return {"owner_id": sale.owner_id, "currency": sale.total.currency, **more}


def by_day(sale: Sale, what: str, sign: int) -> Iterable[Change]:
    """Count a sale on its day."""
    yield Add(
        _row(sale, sale.order_date),
        {
            f"{what}_orders": sign,
            f"{what}_quantity": sign * sum(line.quantity for line in sale.lines),
            f"{what}_amount": sign * sale.total.amount,
        },
        about=_about(sale, day=sale.order_date),
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
            _row(sale, line.product_id),
            _line_amounts(line, what, sign),
            about=_about(sale, product_id=line.product_id, name=line.name, model=line.model, brand=line.brand),
        )


def by_brand(sale: Sale, what: str, sign: int) -> Iterable[Change]:
    """Count a sale's lines on their brands."""
    for line in sale.lines:
        yield Add(
            _row(sale, line.brand),
            _line_amounts(line, what, sign),
            about=_about(sale, brand=line.brand),
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
    scope=OWNED,
    sums=Sums(by=("day", "currency"), fields=DAY_SUMS),
    filters={"day": Range(date), "currency": Exact()},
    sorts=("day", "sold_amount"),
    default_sort="-day",
    indexes=(("day",), ("owner_id", "day")),
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
    scope=OWNED,
    sums=Sums(by=("product_id", "currency"), fields=LINE_SUMS),
    filters={"product_id": Exact(), "brand": Exact(), "currency": Exact(), "q": Words("name", "model", "brand")},
    sorts=("sold_amount", "sold_quantity", "name"),
    default_sort="-sold_amount",
    indexes=(("owner_id",), ("product_id",)),
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
    scope=OWNED,
    sums=Sums(by=("brand", "currency"), fields=LINE_SUMS),
    filters={"brand": Exact(), "currency": Exact()},
    sorts=("sold_amount", "brand"),
    default_sort="-sold_amount",
    indexes=(("owner_id",), ("brand",)),
)

VIEWS = (SALES_BY_DAY, SALES_BY_PRODUCT, SALES_BY_BRAND)
