"""The load: clerks who write orders over HTTP, each command under a key, again until it is answered.

Most orders are small and ship by themselves; some are large and are approved or rejected; some are called off while
they are on their way.  What must become of each is known, so that it can be compared.
"""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from component.support import Company, Person, add_customer, add_product, eventually, order_page, until

from contracts.approvals import case_id_of

from .history import Client, Entry, History
from .system import ChaosSystem

CLERKS = 4
A_SECOND = 12.0
"""Orders started in a second, all clerks together: enough to be under way at any moment, few enough to be checked."""
STOCK = 100_000


@dataclass
class Sale:
    """An order on its way: what it must become."""

    number: int
    quantity: int
    expected: set[str]
    id: str = ""

    @property
    def large(self) -> bool:
        return self.number % 5 == 3

    @property
    def rejected(self) -> bool:
        return self.number % 10 == 3

    @property
    def cancelled(self) -> bool:
        return self.number % 7 == 5


class Shop:
    """One product, one customer, and the clerks who sell it."""

    def __init__(self, system: ChaosSystem, history: History) -> None:
        self.system = system
        self.history = history
        self.run = uuid.uuid4().hex[:8]
        self.company: Company = system.company()
        self.client = Client(self.company, history, self.run)
        self.product = add_product(self.company.wang, "10.00", STOCK)
        self.customer = add_customer(self.company.li)
        self.sales: list[Sale] = []
        self.submitted = 0
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._decisions = ThreadPoolExecutor(CLERKS, thread_name_prefix="approver")
        self._decided: list[Future[None]] = []
        self.sell()  # its consistency token makes the orders service wait until it knows product and customer

    def close(self) -> None:
        self._decisions.shutdown(wait=False, cancel_futures=True)
        self.company.close()

    # -- load

    @contextmanager
    def busy(self, a_second: float = A_SECOND) -> Iterator[None]:
        """Clerks sell during the block; at its end they finish what they have begun, then the decisions are made."""
        stop = threading.Event()
        due = time.monotonic()
        lock = threading.Lock()

        def clerk() -> None:
            nonlocal due
            while True:
                with lock:
                    due = max(due + 1 / a_second, time.monotonic() - 1)
                    mine = due
                if stop.wait(max(0.0, mine - time.monotonic())):
                    return
                self.sell()

        with ThreadPoolExecutor(CLERKS, thread_name_prefix="clerk") as pool:
            clerks = [pool.submit(clerk) for _ in range(CLERKS)]
            try:
                yield
            finally:
                stop.set()
                for done in clerks:
                    done.result()
        self.finish()

    def sell_some(self, count: int) -> None:
        """So many orders, by all clerks."""
        with ThreadPoolExecutor(CLERKS, thread_name_prefix="clerk") as pool:
            for done in [pool.submit(self.sell) for _ in range(count)]:
                done.result()
        self.finish()

    def until_sold(self, more: int) -> None:
        """Return when so many more orders are submitted."""
        wanted = self.submitted + more
        until(lambda: self.submitted >= wanted)

    def finish(self) -> None:
        """Wait for the decisions that are due."""
        for done in self._decided:
            done.result()
        self._decided.clear()

    def sell(self) -> Sale:
        number = next(self._numbers)
        sale = Sale(number, quantity=1 + number % 3, expected={"SHIPPED"})
        price = "5001.00" if sale.large else "10.00"
        sale.id = self.draft(f"sale-{number}-create", sale.quantity, price)
        self.submit(sale.id, f"sale-{number}-submit")
        with self._lock:
            self.submitted += 1
            self.sales.append(sale)
        if sale.large:
            self._decided.append(self._decisions.submit(self._decide, sale))
        elif sale.cancelled:
            self._cancel(sale)
        return sale

    # -- commands

    def draft(self, key: str, quantity: int = 1, price: str = "10.00", product: str | None = None) -> str:
        """A draft order; returns its id."""
        line = {"product_id": product or self.product, "quantity": quantity, "unit_price": price}
        body = {"customer_id": self.customer, "lines": [line]}
        return str(self._done(self.company.li, "/orders", body, key)["id"])

    def submit(self, order: str, key: str) -> dict[str, Any]:
        return self._done(self.company.li, f"/orders/{order}/submit", None, key)

    def decide(self, order: str, key: str) -> None:
        """Both approvals of an order."""
        for person, node in ((self.company.sato, "SUPERVISOR"), (self.company.chen, "FINANCE")):
            self._decision(person, order, "approve", {"node": node}, f"{key}-{node}")

    def _decide(self, sale: Sale) -> None:
        if sale.rejected:
            sale.expected = {"REJECTED"}
            body = {"node": "SUPERVISOR", "reason": "too dear"}
            self._decision(self.company.sato, sale.id, "reject", body, f"sale-{sale.number}-reject")
        else:
            self.decide(sale.id, f"sale-{sale.number}-approve")

    def _decision(self, person: Person, order: str, verb: str, body: Any, key: str) -> None:
        path = f"/approvals/{case_id_of(uuid.UUID(order), 1)}/{verb}"

        def not_yet(entry: Entry) -> bool:
            return entry.kind == "unknown" or entry.code in ("OVERLOADED", "NOT_FOUND")

        entry = self.client.sure(person, "POST", path, body, key, again=not_yet, seconds=180)
        assert entry.kind == "ok", entry

    def _cancel(self, sale: Sale) -> None:
        path, body = f"/orders/{sale.id}/cancel", {"reason": "changed my mind"}
        entry = self.client.sure(self.company.li, "POST", path, body, f"sale-{sale.number}-cancel")
        assert entry.kind == "ok" or entry.code == "INVALID_STATE", entry
        sale.expected = {"CANCELLED"} if entry.kind == "ok" else {"SHIPPED"}

    def _done(self, person: Person, path: str, body: Any, key: str) -> dict[str, Any]:
        entry = self.client.sure(person, "POST", path, body, key)
        assert entry.kind == "ok" and entry.reply is not None, entry
        return entry.reply

    # -- what came of it

    def check_outcomes(self) -> list[str]:
        """What the order list shows beside what had to come."""
        wrong: Counter[str] = Counter()
        for sale in self.sales:
            page = self.company.admin.send("GET", f"/orders/{sale.id}")
            found = page.json().get("status") if page.status_code == 200 else f"{page.status_code}"
            if found not in sale.expected:
                wrong[f"{found} instead of {'/'.join(sorted(sale.expected))}"] += 1
        return [f"I6: {count} orders are {what}" for what, count in wrong.items()]

    def page(self, order: str) -> dict[str, Any]:
        return order_page(self.company.admin, order)

    def becomes(self, order: str, *statuses: str, seconds: float = 90.0) -> dict[str, Any]:
        """The order's page once it has one of these statuses."""

        def found() -> dict[str, Any]:
            page = self.page(order)
            assert page["status"] in statuses, page["status"]
            return page

        return eventually(found, seconds=seconds)
