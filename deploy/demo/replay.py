"""The replay: purchases become orders, supervisor and finance approve those that need it, until all are shipped.

A run has a name, such as cdnow-20260131-101500.  It is the channel of the run's orders and the model of its products,
so a run can be told from the runs before it: products, stock and orders are new each time.  Customers are not: their
commands have the same keys in every run, so a second run is given the customers of the first.

The file knows neither titles nor prices, so there is one product a year, "CDs sold in 1997": its sale price is the mean
price of the run's CDs, its purchase price is unknown and stands as 0.  Names and telephone numbers of customers are
made up from their numbers.  Purchases are replayed by day, each dated its own day, and written by the salesperson who
owns the customer.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from itertools import islice
from threading import Event
from typing import Any, TypeVar

from deploy.demo.cdnow import CENT, Purchase, lines_of, totals_by
from deploy.demo.client import Client, Keyed, Stopped
from deploy.demo.errors import DemoError
from deploy.demo.progress import Bars

T = TypeVar("T")

CURRENCY = "USD"
THRESHOLD = Decimal("50.00")
SELLERS = ("li", "tanaka")
APPROVERS = {"SUPERVISOR": "sato", "FINANCE": "chen"}
RESERVE = 1_000  # CDs of each product that nobody buys
SHIPPED = ("SHIPPED", "COMPLETED")

BATCH = 50  # orders in one request
AHEAD = 400  # orders on their way before the sellers wait; the system should work, not pile up
LOOK_SECONDS = 0.25
PAGE = 200


@dataclass(frozen=True)
class Product:
    """A product of the run, and the stock it began with."""

    id: str
    opening: int


@dataclass
class Run:
    """What a run is about, and what it has made so far: ids by customer number, by year and by row."""

    name: str
    purchases: Sequence[Purchase]
    customers: dict[str, str] = field(default_factory=dict)
    products: dict[str, Product] = field(default_factory=dict)
    orders: dict[int, str] = field(default_factory=dict)
    settings_before: str = "never set"
    settings_now: str = ""

    def needs_approval(self, purchase: Purchase) -> bool:
        return purchase.amount >= THRESHOLD

    @property
    def approvals(self) -> int:
        """How many of the orders need approval."""
        return sum(map(self.needs_approval, self.purchases))

    @property
    def customer_numbers(self) -> list[str]:
        """The customers, in the order in which they first occur."""
        return list(dict.fromkeys(purchase.customer for purchase in self.purchases))

    def seller_of(self, customer: str) -> str:
        return SELLERS[int(customer) % len(SELLERS)]


class Replay:
    """Replays a run: `prepare`, then `trade`.  `connect` opens a connection for a demo user."""

    def __init__(self, run: Run, bars: Bars, connect: Callable[[str, Event], Client]) -> None:
        self.run = run
        self._bars = bars
        self._connect = connect
        self._stop = Event()
        self._written: set[str] = set()  # orders
        self._asked: set[int] = set()  # rows whose orders were submitted and need approval
        self._decided: dict[str, set[str]] = {node: set() for node in APPROVERS}  # cases
        self._known = ""  # the consistency token of products and customers
        self._working: list[Future[None]] = []

    # -- before the first order

    def prepare(self) -> None:
        """Settings, products and customers."""
        with closing(self._connect("admin", self._stop)) as admin:
            self._set_currency(admin)
            self._set_process(admin)
        with closing(self._connect("wang", self._stop)) as warehouse:
            for year, product in self._products(warehouse):
                self.run.products[year] = product
            self._known = warehouse.seen
        for name in SELLERS:
            with closing(self._connect(name, self._stop)) as seller:
                seller.seen = self._known
                self._create_customers(seller)
                self._known = seller.seen

    def _set_currency(self, admin: Client) -> None:
        """The purchases are in dollars, so the company's currency is (SET-04); all else of its data stays."""
        company = admin.get("/company/company")
        name = company.body.get("full_name") if company.accepted else None
        wanted = {"full_name": name or "CDNOW", "currency": CURRENCY}
        answer = admin.command("PUT", "/settings/company", wanted, key=f"{self.run.name}-company")
        answer.required("The currency of the demo")

    def _set_process(self, admin: Client) -> None:
        before = admin.get("/settings/sales-process")
        if before.accepted:
            self.run.settings_before = _told(before.body["values"])
        wanted = {
            "threshold": str(THRESHOLD),
            "currency": CURRENCY,
            "route": list(APPROVERS),
            "shipping": "AUTOMATIC",
            "rates": [],
        }
        answer = admin.command("PUT", "/settings/sales-process", wanted, key=f"{self.run.name}-settings")
        self.run.settings_now = _told(answer.required("The sales process of the demo"))

    def _products(self, warehouse: Client) -> Iterator[tuple[str, Product]]:
        for year, sold in totals_by(lambda purchase: purchase.year, self.run.purchases).items():
            price = (sold.amount / sold.quantity).quantize(CENT)
            opening = sold.quantity + RESERVE
            command = {
                "name": f"CDs sold in {year}",
                "model": self.run.name,
                "brand": "CDNOW",
                "category": "Music",
                "description": "The file has no titles; the purchase price is unknown.",
                "prices": {
                    "purchase": {"amount": "0.00", "currency": CURRENCY},
                    "sale": {"amount": str(price), "currency": CURRENCY},
                },
                "opening_stock": opening,
                "alert_quantity": RESERVE,
            }
            answer = warehouse.command("POST", "/products", command, key=f"{self.run.name}-product-{year}")
            yield year, Product(answer.required(f"The product of {year}")["id"], opening)

    def _create_customers(self, seller: Client) -> None:
        numbers = [n for n in self.run.customer_numbers if self.run.seller_of(n) == seller.name]
        for batch in batches(numbers, PAGE):
            answers = seller.bulk("create-customer", [_customer(number) for number in batch])
            taken = [n for n, answer in zip(batch, answers, strict=True) if answer.code == "DUPLICATE"]
            found = _by_mobile(seller, taken) if taken else {}
            for number, answer in zip(batch, answers, strict=True):
                self.run.customers[number] = (
                    found.get(mobile(number)) or answer.required(f"The customer {number}")["id"]
                )
            self._bars.add("customers", len(batch))

    # -- people at work

    def trade(self, deadline: float) -> None:
        """Write and approve the orders; returns when all are shipped.  Raises DemoError, also at `deadline`."""
        jobs: list[Callable[[], None]] = [partial(self._sell, name) for name in SELLERS]
        jobs += [partial(self._approve, node) for node in APPROVERS]
        self._everybody(jobs, lambda: self._see_shipped(deadline))

    def _everybody(self, workers: Sequence[Callable[[], None]], here: Callable[[], None]) -> None:
        """Run `workers` in threads and `here` in this one, until `here` returns or anybody fails."""
        with ThreadPoolExecutor(len(workers)) as pool:
            self._working = [pool.submit(worker) for worker in workers]
            try:
                here()
            finally:
                self._stop.set()

    def _sell(self, name: str) -> None:
        run = self.run
        mine = [p for p in run.purchases if run.seller_of(p.customer) == name]
        mine.sort(key=lambda purchase: (purchase.day, purchase.row))
        with closing(self._connect(name, self._stop)) as seller:
            seller.seen = self._known
            for batch in batches(mine, BATCH):
                self._wait_for_room()
                created = seller.bulk("create-order", [self._order(purchase) for purchase in batch])
                for purchase, answer in zip(batch, created, strict=True):
                    run.orders[purchase.row] = answer.required(f"The order of row {purchase.row}")["id"]
                self._written.update(run.orders[purchase.row] for purchase in batch)
                submitted = seller.bulk("submit-order", [self._submission(purchase) for purchase in batch])
                for purchase, answer in zip(batch, submitted, strict=True):
                    answer.required(f"The submission of row {purchase.row}")
                self._asked.update(purchase.row for purchase in batch if run.needs_approval(purchase))
                self._bars.add("orders", len(batch))

    def _order(self, purchase: Purchase) -> Keyed:
        run = self.run
        product = run.products[purchase.year].id
        lines = [
            {"product_id": product, "quantity": line.quantity, "unit_price": str(line.unit_price)}
            for line in lines_of(purchase.quantity, purchase.amount)
        ]
        command = {
            "customer_id": run.customers[purchase.customer],
            "order_date": purchase.day,
            "currency": CURRENCY,
            "channel": run.name,
            "note": f"CDNOW_sample.txt, row {purchase.row}",
            "lines": lines,
        }
        return Keyed(f"{run.name}-{purchase.row}", command)

    def _submission(self, purchase: Purchase) -> Keyed:
        return Keyed(f"{self.run.name}-{purchase.row}-submit", {"order_id": self.run.orders[purchase.row]})

    def _wait_for_room(self) -> None:
        """Sellers don't run ahead of what is shipped or waits for a person."""
        while True:
            waiting = len(self._asked) - len(self._decided["FINANCE"])
            if self._bars.done("orders") - self._bars.done("shipped") - waiting < AHEAD:
                return
            if self._stop.wait(0.05):
                raise Stopped

    def _approve(self, node: str) -> None:
        """Approve what is due at a node, until the demo ends.  Cases of other orders are left alone."""
        done = self._decided[node]
        with closing(self._connect(APPROVERS[node], self._stop)) as approver:
            while True:
                due = [case for case in self._due(approver, node) if case not in done]
                for batch in batches(due, BATCH):
                    answers = approver.bulk("approve", [self._approval(case, node) for case in batch])
                    for case, answer in zip(batch, answers, strict=True):
                        if answer.code != "ALREADY_DECIDED":  # somebody else was faster
                            answer.required(f"The approval of the case {case}")
                    done.update(batch)
                    self._bars.add("approvals", len(batch))
                if not due and self._stop.wait(LOOK_SECONDS):
                    return

    def _due(self, approver: Client, node: str) -> list[str]:
        found: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            answer = approver.get("/approvals", status="OPEN", due=node, limit=PAGE, **cursor)
            page = answer.required("The list of approvals")
            found += [case["id"] for case in page["items"] if case["order_id"] in self._written]
            if not page["next"]:
                return found
            cursor = {"cursor": page["next"]}

    def _approval(self, case: str, node: str) -> Keyed:
        command = {"case_id": case, "node": node, "comment": f"{THRESHOLD} {CURRENCY} or more: checked"}
        return Keyed(f"{self.run.name}-{case}-{node}", command)

    def _see_shipped(self, deadline: float) -> None:
        """Look at the list of orders until all are shipped."""
        total = len(self.run.purchases)
        with closing(self._connect("mei", self._stop)) as manager:
            while True:
                answer = manager.get("/orders", channel=self.run.name, status=list(SHIPPED), count="true", limit=1)
                shipped = answer.required("The list of orders")["total"]
                self._bars.set("shipped", shipped)
                if shipped >= total:
                    return
                self._raise_what_failed()
                if time.monotonic() > deadline:
                    raise DemoError(f"Only {shipped:,} of {total:,} orders are shipped, and time is up.")
                time.sleep(LOOK_SECONDS)

    def _raise_what_failed(self) -> None:
        for worker in self._working:
            if worker.done():
                worker.result()


def _told(values: Mapping[str, Any]) -> str:
    """The sales process in a few words."""
    threshold, route = values["threshold"], " and ".join(values["route"]) or "nobody"
    if not isinstance(threshold, dict):  # as the settings are shown, and not as the command tells them
        threshold = {"amount": threshold, "currency": values["currency"]}
    rates = ", ".join(f"{rate['currency']} {rate['rate']}" for rate in values["rates"]) or "none"
    return (
        f"threshold {threshold['amount']} {threshold['currency']}, approval by {route}, "
        f"shipping {values['shipping']}, rates {rates}"
    )


def mobile(number: str) -> str:
    """A telephone number for a customer: made up, in the American form."""
    return f"+1 555 {number[:2]} {number[2:]}"


def _customer(number: str) -> Keyed:
    command = {
        "name": f"CDNOW customer {number}",
        "mobile": mobile(number),
        "industry": "Consumer",
        "customer_type": "Person",
        "source": "CDNOW",
    }
    return Keyed(f"cdnow-customer-{number}", command)


def _by_mobile(seller: Client, numbers: Sequence[str]) -> Mapping[str, str]:
    """The ids of customers that somebody entered under another key, by telephone number."""
    page = seller.get("/customers", mobile=[mobile(number) for number in numbers], limit=PAGE)
    return {row["mobile"]: row["id"] for row in page.required("The list of customers")["items"]}


def batches(items: Sequence[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
