"""What an analyst would do: read the MongoDB views, compare them with the file, and with each other.

Nothing is asked of Salestream's own code but where things stand: each view has a document in `_views` that names its
collection.  A view may be a moment behind, so the comparison waits until the order pages tell that every order has
gone all its way and the views that are compared had nothing left to read; what is wrong then stays wrong for a while
before it counts.
"""

import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pymongo.collection import Collection as MongoCollection
from pymongo.database import Database

from deploy.demo.cdnow import Purchase, Totals, totals_by
from deploy.demo.errors import DemoError
from deploy.demo.replay import APPROVERS, CURRENCY, SHIPPED, Run

STATES = "_views"
SETTLE_SECONDS = 60.0
LOOK_SECONDS = 0.2
DOUBT_SECONDS = 20.0

Document = dict[str, Any]


@dataclass(frozen=True)
class Comparison:
    """One question asked of the views: how many figures were compared, and what differs."""

    question: str
    view: str
    compared: int
    differences: Sequence[str]


class Views:
    """The read models, by the names of their views."""

    def __init__(self, database: "Database[Document]") -> None:
        self._database = database

    def __getitem__(self, view: str) -> "MongoCollection[Document]":
        state = self._database[STATES].find_one({"_id": view})
        return self._database[state["collection"] if state else view]

    def behind(self, moment: datetime, names: Collection[str]) -> list[str]:
        """Those of these views whose projector did not yet find, after `moment`, that it had read everything."""
        states = {state["_id"]: state for state in self._database[STATES].find({"_id": {"$in": list(names)}})}
        idle = {name: states.get(name, {}).get("idle_at") for name in names}
        return sorted(name for name, at in idle.items() if at is None or at.replace(tzinfo=UTC) <= moment)

    def statuses(self, channel: str) -> dict[str, int]:
        """How many orders of a channel are in which status."""
        return Counter(row["status"] for row in self["orders"].find({"channel": channel}, {"status": 1}))


def check(database: "Database[Document]", run: Run) -> list[Comparison]:
    """Compare, once the views have settled; differences get a while to disappear, since a view may be behind.

    Raises DemoError that names the views which do not settle.
    """
    views = Views(database)
    settle(views, run)
    deadline = time.monotonic() + DOUBT_SECONDS
    while True:
        found = compare(views, run)
        if time.monotonic() > deadline or not any(comparison.differences for comparison in found):
            return found
        time.sleep(1.0)


def settle(views: Views, run: Run) -> None:
    """Wait until every order has gone all its way, and every view that is compared has read all that came of it."""
    deadline = time.monotonic() + SETTLE_SECONDS
    done = {"channel": run.name, "fulfilment_status": "SHIPPED"}
    while (arrived := views["order_pages"].count_documents(done)) < len(run.purchases):
        if time.monotonic() > deadline:
            return  # what the comparison is there to tell
        time.sleep(LOOK_SECONDS)
    moment = datetime.now(UTC)
    compared = {comparison.view for comparison in compare(views, run)}
    while behind := views.behind(moment, compared):
        if time.monotonic() > deadline:
            raise DemoError(
                f"All {arrived} orders are shipped, but {', '.join(behind)} did not come up to date within "
                f"{SETTLE_SECONDS:.0f} s: `salestream views list` tells how far each view is."
            )
        time.sleep(LOOK_SECONDS)


def compare(views: Views, run: Run) -> list[Comparison]:
    """All the questions."""
    of_customers = {run.customers[purchase.customer]: purchase.customer for purchase in run.purchases}
    return [
        _compared("orders, CDs, dollars in all", "orders", {run.name: total(run)}, _orders_by(views, run, "$channel")),
        _compared(
            "... per customer",
            "orders",
            totals_by(lambda purchase: purchase.customer, run.purchases),
            {of_customers.get(id, id): found for id, found in _orders_by(views, run, "$customer_id").items()},
        ),
        _compared(
            "... per month",
            "orders",
            totals_by(_month, run.purchases),
            _orders_by(views, run, {"$substrCP": ["$order_date", 0, 7]}),
        ),
        _compared("... per day", "sales_by_day", totals_by(_day, run.purchases), _sold_by_day(views, run)),
        _compared("CDs, dollars per product", "sales_by_product", *_products_sold(views, run)),
        _compared("stock = opening - sold", "products", _stock_expected(run), _stock(views, run)),
        _compared("sum of all movements", "stock_ledger", _stock_expected(run), _ledger(views, run)),
        _compared("one deduction an order", "stock_ledger", *_deductions(views, run)),
        _compared("approved by whom", "approval_inbox", *_approvals(views, run)),
        _compared("saga's last word", "order_pages", *_fulfilment(views, run)),
    ]


def total(run: Run) -> Totals:
    """The figures of the file, as far as the run goes."""
    return sum((Totals(1, p.quantity, p.amount) for p in run.purchases), Totals())


def found_total(views: Views, run: Run) -> Totals:
    """The figures of the view."""
    return sum(_orders_by(views, run, "$channel").values(), Totals())


def _compared(question: str, view: str, expected: Mapping[Any, Any], found: Mapping[Any, Any]) -> Comparison:
    differences = [
        f"{key}: expected {expected.get(key, 'nothing')}, found {found.get(key, 'nothing')}"
        for key in sorted({*expected, *found})
        if expected.get(key) != found.get(key)
    ]
    return Comparison(question, view, len(expected), differences)


def _month(purchase: Purchase) -> str:
    return purchase.month


def _day(purchase: Purchase) -> str:
    return purchase.day


# -- one function a view ----------------------------------------------------------------------------------------------


def _orders_by(views: Views, run: Run, group: Any, **match: Any) -> dict[str, Totals]:
    """Shipped orders in the currency of the run; by default those of the run."""
    shipped = {"channel": run.name, "status": {"$in": list(SHIPPED)}, "currency": CURRENCY, **match}
    sums = {"orders": {"$sum": 1}, "quantity": {"$sum": "$quantity"}, "amount": {"$sum": "$amount"}}
    rows = views["orders"].aggregate([{"$match": shipped}, {"$group": {"_id": group, **sums}}])
    return {row["_id"]: Totals(row["orders"], row["quantity"], row["amount"].to_decimal()) for row in rows}


def _sold_by_day(views: Views, run: Run) -> dict[str, Totals]:
    """What was sold on the days of the run, without what other orders (of an earlier run) sold on them."""
    days = sorted({purchase.day for purchase in run.purchases})
    others = _orders_by(views, run, "$order_date", channel={"$ne": run.name}, order_date={"$in": days})
    names = ("dated_sold_orders", "dated_sold_quantity", "dated_sold_amount")  # by the days that the file tells
    wanted = {"day": {"$in": days}, "currency": CURRENCY, names[0]: {"$gt": 0}}
    sums = {name: {"$sum": f"${name}"} for name in names}
    rows = views["sales_by_day"].aggregate([{"$match": wanted}, {"$group": {"_id": "$day", **sums}}])
    return {
        row["_id"]: Totals(row[names[0]], row[names[1]], row[names[2]].to_decimal()) - others.get(row["_id"], Totals())
        for row in rows
    }


def _products_sold(views: Views, run: Run) -> tuple[dict[str, Any], dict[str, Any]]:
    expected, found = {}, {}
    by_year = totals_by(lambda purchase: purchase.year, run.purchases)
    for year, product in run.products.items():
        for what in ("booked", "sold"):
            expected[f"{what} {year}"] = (by_year[year].quantity, by_year[year].amount)
        names = [f"{what}_{of}" for what in ("booked", "sold") for of in ("quantity", "amount")]
        sums = {name: {"$sum": f"${name}"} for name in names}
        wanted = {"product_id": str(product.id), "currency": CURRENCY, "day": None}
        for row in views["sales_by_product"].aggregate([{"$match": wanted}, {"$group": {"_id": None, **sums}}]):
            for what in ("booked", "sold"):
                found[f"{what} {year}"] = (row[f"{what}_quantity"], row[f"{what}_amount"].to_decimal())
    return expected, found


def _stock_expected(run: Run) -> dict[str, int]:
    sold = totals_by(lambda purchase: purchase.year, run.purchases)
    return {year: product.opening - sold[year].quantity for year, product in run.products.items()}


def _stock(views: Views, run: Run) -> dict[str, int]:
    years = {product.id: year for year, product in run.products.items()}
    rows = views["products"].find({"_id": {"$in": list(years)}}, {"on_hand": 1})
    return {years[row["_id"]]: row.get("on_hand", 0) for row in rows}


def _ledger(views: Views, run: Run) -> dict[str, int]:
    years = {product.id: year for year, product in run.products.items()}
    rows = views["stock_ledger"].aggregate(
        [
            {"$match": {"product_id": {"$in": list(years)}}},
            {"$group": {"_id": "$product_id", "sum": {"$sum": "$change"}}},
        ]
    )
    return {years[row["_id"]]: row["sum"] for row in rows}


def _deductions(views: Views, run: Run) -> tuple[dict[str, int], dict[str, int]]:
    """Per order: the CDs that its one deduction took."""
    expected = {run.orders[purchase.row]: -purchase.quantity for purchase in run.purchases}
    rows = views["stock_ledger"].aggregate(
        [
            {"$match": {"product_id": {"$in": [p.id for p in run.products.values()]}, "movement": "ORDER_DEDUCTION"}},
            {"$group": {"_id": "$order_id", "sum": {"$sum": "$change"}}},
        ]
    )
    return expected, {row["_id"]: row["sum"] for row in rows}


def _approvals(views: Views, run: Run) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Per order that needs it: each node and who approved there."""
    route = [f"{node} APPROVED by {who}" for node, who in APPROVERS.items()]
    expected = {run.orders[p.row]: [*route, "APPROVED"] for p in run.purchases if run.needs_approval(p)}
    found: dict[str, list[str]] = {}
    for case in views["approval_inbox"].find({"order_id": {"$in": list(run.orders.values())}}):
        decisions = [f"{item['node']} {item['decision']} by {item['by']}" for item in case.get("decisions", [])]
        found[case["order_id"]] = [*found.get(case["order_id"], []), *decisions, case["status"]]
    return expected, found


def _fulfilment(views: Views, run: Run) -> tuple[dict[str, str], dict[str, str]]:
    expected = dict.fromkeys(run.orders.values(), "SHIPPED")
    rows = views["order_pages"].find({"channel": run.name}, {"fulfilment_status": 1})
    return expected, {row["_id"]: str(row.get("fulfilment_status")) for row in rows}
