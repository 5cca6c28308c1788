"""How much did we sell?  By day, by product and by brand, in any period (RPT-02, RPT-04, RPT-22).

Booked at submission, sold at shipping; withdrawing, rejecting and cancelling take the booking back (ORD-17).  Three
days are told apart, all of the company's time zone: `booked_*` counts on the day of submission (from which it is taken
back, too), `sold_*` on the day of shipping, `dated_*` both on the order's own date.  Currencies are never added.

A row is stored for each day and owner and shown added up over the days asked for and over the owners whom the caller's
right reaches (SEC-18).  Rows of products and brands without a day hold all days: who asks for no period reads these.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from chassis.model.changes import Add, Change, EventMetadata, Latest
from chassis.model.views import Exact, Range, Scope, Sums, View, Words
from contracts.orders import (
    OrderCancelled,
    OrderLine,
    OrderRejected,
    OrderShipped,
    OrderSubmitted,
    OrderWithdrawn,
    Sale,
)
from contracts.types import Currency

NOT_BOOKED = ("DRAFT", "REJECTED")
RATE = Decimal("0.0001")
ALL_DAYS = "-"  # in the key of a row that holds all days


@dataclass
class DayRow:
    """One day in one currency: booked (submitted) and sold (shipped) on it; `dated_*` by the date of the order."""

    id: str
    day: date
    currency: Currency
    booked_orders: int
    booked_quantity: int
    booked_amount: Decimal
    sold_orders: int
    sold_quantity: int
    sold_amount: Decimal
    dated_booked_orders: int
    dated_booked_quantity: int
    dated_booked_amount: Decimal
    dated_sold_orders: int
    dated_sold_quantity: int
    dated_sold_amount: Decimal


@dataclass
class ProductSalesRow:
    """One product in one currency: booked (submitted) and sold (shipped) in the period asked for, or ever.

    `dated_*` count by the dates of the orders.  `profit_rate` = (revenue - purchase cost) / revenue of what was sold;
    null with `cost_incomplete` when of some of it the purchase price was in another currency, without a rate then.
    """

    id: str
    product_id: UUID
    name: str
    model: str
    brand: str
    currency: Currency
    booked_quantity: int
    booked_amount: Decimal
    sold_quantity: int
    sold_amount: Decimal
    dated_booked_quantity: int
    dated_booked_amount: Decimal
    dated_sold_quantity: int
    dated_sold_amount: Decimal
    sold_cost: Decimal
    cost_incomplete: bool
    profit_rate: Decimal | None


@dataclass
class BrandSalesRow:
    """One brand in one currency; its figures mean what those of a product mean."""

    id: str
    brand: str
    currency: Currency
    booked_quantity: int
    booked_amount: Decimal
    sold_quantity: int
    sold_amount: Decimal
    dated_booked_quantity: int
    dated_booked_amount: Decimal
    dated_sold_quantity: int
    dated_sold_amount: Decimal
    sold_cost: Decimal
    cost_incomplete: bool
    profit_rate: Decimal | None


@dataclass(frozen=True)
class Counted:
    """A sale that counts (`sign` 1) or no longer counts (-1) as booked or sold, and the day of that."""

    sale: Sale
    what: str
    sign: int
    day: date

    def row(self, *by: object) -> str:
        """The key of a stored row: whose sales (SEC-18), and what is counted."""
        return "/".join(map(str, (self.sale.owner_id or "-", *by, self.sale.total.currency)))

    def about(self, **more: Any) -> Mapping[str, Any]:
        return {"owner_id": self.sale.owner_id, "currency": self.sale.total.currency, **more}

    @property
    def days(self) -> Iterable[tuple[str, date]]:
        """The figures that count it, and on which day each does."""
        return ((self.what, self.day), (f"dated_{self.what}", self.sale.order_date))


Count = Callable[[Counted], Iterable[Change]]
OWNED = Scope(owner="owner_id")
SUMS = tuple(
    f"{kind}{what}_{figure}"
    for kind in ("", "dated_")
    for what in ("booked", "sold")
    for figure in ("quantity", "amount")
)
LINE_SUMS = (*SUMS, "sold_cost", "sold_uncosted_quantity")
DAY_SUMS = (*SUMS, "booked_orders", "sold_orders", "dated_booked_orders", "dated_sold_orders")


def by_day(counted: Counted) -> Iterable[Change]:
    """Count a sale on its days."""
    sale, sign = counted.sale, counted.sign
    for figures, day in counted.days:
        yield Add(
            counted.row(day),
            {
                f"{figures}_orders": sign,
                f"{figures}_quantity": sign * sum(line.quantity for line in sale.lines),
                f"{figures}_amount": sign * sale.total.amount,
            },
            about=counted.about(day=day),
        )


def _line_amounts(line: OrderLine, figures: str, sign: int) -> Mapping[str, int | Decimal]:
    found: dict[str, int | Decimal] = {
        f"{figures}_quantity": sign * line.quantity,
        f"{figures}_amount": sign * line.amount,
    }
    if figures == "sold":  # a purchase price in a currency without a rate is 0 in the line: not known, not free
        found["sold_cost"] = sign * line.quantity * line.unit_cost
        found["sold_uncosted_quantity"] = 0 if line.unit_cost else sign * line.quantity
    return found


def _count_line(counted: Counted, line: OrderLine, by: object, about: Mapping[str, Any]) -> Iterable[Add]:
    """Count a line in the rows of its days, and in the one of all days."""
    for figures, day in counted.days:
        amounts = _line_amounts(line, figures, counted.sign)
        yield Add(counted.row(by, day), amounts, about={**about, "day": day})
        yield Add(counted.row(by, ALL_DAYS), amounts, about=about)


def by_product(counted: Counted) -> Iterable[Change]:
    """Count a sale's lines on their products, which are called as the order submitted last calls them."""
    for line in counted.sale.lines:
        for change in _count_line(counted, line, line.product_id, counted.about(product_id=line.product_id)):
            yield change
            if (counted.what, counted.sign) == ("booked", 1):
                yield Latest(change.key, name=line.name, model=line.model, brand=line.brand)


def by_brand(counted: Counted) -> Iterable[Change]:
    """Count a sale's lines on their brands."""
    for line in counted.sale.lines:
        yield from _count_line(counted, line, line.brand, counted.about(brand=line.brand))


def counting(count: Count) -> Mapping[type, Callable[[Any, EventMetadata], Iterable[Change]]]:
    """The handlers that feed a count: booked at submission, taken back, sold at shipping."""

    def booked(sign: int) -> Callable[[Any, EventMetadata], Iterable[Change]]:
        def counted(event: Any, metadata: EventMetadata) -> Iterable[Change]:
            # events from before the day was told count on the order's date, when they are taken back too
            return count(Counted(event.sale, "booked", sign, event.sale.submitted_on or event.sale.order_date))

        return counted

    def cancelled(event: OrderCancelled, metadata: EventMetadata) -> Iterable[Change]:
        return booked(-1)(event, metadata) if event.round and event.was not in NOT_BOOKED else ()

    def sold(event: OrderShipped, metadata: EventMetadata) -> Iterable[Change]:
        return count(Counted(event.sale, "sold", 1, metadata.day))

    return {
        OrderSubmitted: booked(1),
        OrderWithdrawn: booked(-1),
        OrderRejected: booked(-1),
        OrderCancelled: cancelled,
        OrderShipped: sold,
    }


def cost_incomplete(document: Mapping[str, Any]) -> bool:
    """Whether of some of what was sold the purchase price is not known in its currency."""
    return bool(document.get("sold_uncosted_quantity"))


def sold_cost(document: Mapping[str, Any]) -> Any:
    """What is known of the cost; None when nothing is."""
    uncosted = document.get("sold_uncosted_quantity", 0)
    return None if uncosted and uncosted == document.get("sold_quantity", 0) else document.get("sold_cost")


def profit_rate(document: Mapping[str, Any]) -> str | None:
    """(revenue - cost) / revenue, four decimals; None while nothing is sold, or when the cost is not wholly known."""
    revenue, cost = (_decimal(document.get(name)) for name in ("sold_amount", "sold_cost"))
    if not revenue or cost_incomplete(document):
        return None
    return str(((revenue - cost) / revenue).quantize(RATE))


def _decimal(value: Any) -> Decimal:
    return Decimal(0) if value is None else value.to_decimal()


COST: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "sold_cost": sold_cost,
    "cost_incomplete": cost_incomplete,
    "profit_rate": profit_rate,
}

SALES_BY_DAY = View(
    name="sales_by_day",
    edition=2,
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
    indexes=(("owner_id", "day"),),
)

SALES_BY_PRODUCT = View(
    name="sales_by_product",
    edition=2,
    route="GET /reports/sales-by-product",
    row=ProductSalesRow,
    permission="reports.sales",
    what="product",
    computed=COST,
    handlers=counting(by_product),
    scope=OWNED,
    sums=Sums(by=("product_id", "currency"), fields=LINE_SUMS, over="day", newest="name"),
    filters={
        "day": Range(date),
        "product_id": Exact(),
        "brand": Exact(),
        "currency": Exact(),
        "q": Words("name", "model", "brand"),
    },
    sorts=("sold_amount", "sold_quantity", "name"),
    default_sort="-sold_amount",
    indexes=(("day", "owner_id"), ("owner_id", "day"), ("product_id", "day")),
)

SALES_BY_BRAND = View(
    name="sales_by_brand",
    edition=2,
    route="GET /reports/sales-by-brand",
    row=BrandSalesRow,
    permission="reports.sales",
    what="brand",
    computed=COST,
    handlers=counting(by_brand),
    scope=OWNED,
    sums=Sums(by=("brand", "currency"), fields=LINE_SUMS, over="day"),
    filters={"day": Range(date), "brand": Exact(), "currency": Exact()},
    sorts=("sold_amount", "brand"),
    default_sort="-sold_amount",
    indexes=(("day", "owner_id"), ("owner_id", "day"), ("brand", "day")),
)

VIEWS = (SALES_BY_DAY, SALES_BY_PRODUCT, SALES_BY_BRAND)
