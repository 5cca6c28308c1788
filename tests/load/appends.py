"""How fast a service stores commands: one at a time, from 64 callers, in bulk, and 64 callers on one product.

No HTTP and no Kafka; fsync is on.  Each command writes one order: one event, after looking up customer and product.
"""

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

from chassis.foundation.compression import unpacked
from chassis.foundation.config import Config
from chassis.model.service import Service
from chassis.persons.opening import use_keys
from chassis.store.event_store import EventStore
from chassis.store.opening import open_store
from chassis.store.transaction import Transaction
from chassis.writer.request import Request
from chassis.writer.writer import Writer
from contracts.declare import REGISTRY
from deploy.devstack.server import REPOSITORY_ROOT
from services.inventory.application import SERVICE as INVENTORY
from services.inventory.domain import StockItem, stock_id
from services.orders.application import SERVICE as ORDERS

from .data import OPENING_STOCK, PRICES, PRODUCT_COUNT, Data
from .report import Bar, Broken, Figure, Pace, Report, Stopwatch, ratios

CALLERS = 64
SLOW_COMMIT_SECONDS = 0.003
FLAT = Bar(0.9, of_ratio=True)
ANSWER_SECONDS = 120.0


class Lab:
    """One service on a store of its own; counts what is stored."""

    def __init__(self, service: Service, config: Config) -> None:
        REGISTRY.load()
        self._service = service
        use_keys(config).open_now()
        self.store = open_store(service.name, config)
        self._alone = Writer(service, self.store)

    def one_at_a_time(self, requests: Sequence[Request]) -> Pace:
        """One caller, each command a commit of its own."""
        with Stopwatch() as watch:
            for request in requests:
                self._alone.execute([request])
                request.future.result(0)
        return watch.of(len(requests))

    def callers(self, requests: Sequence[Request]) -> Pace:
        """64 callers who each wait for their answer before the next command."""
        with _Running(self._service, self.store) as writer:
            return run_callers(writer, requests)

    def bulk(self, requests: Sequence[Request]) -> Pace:
        """All commands handed over at once."""
        with _Running(self._service, self.store) as writer:
            with Stopwatch() as watch:
                writer.submit_all(requests)
                for request in requests:
                    request.future.result(ANSWER_SECONDS)
            return watch.of(len(requests))

    def event_bytes(self) -> tuple[float, float]:
        """The mean size of the events stored first: of their JSON, and as they are stored."""
        found = self.store.recorder.select_notifications(1, 100)
        whole = sum(len(unpacked(event.state)) for event in found)
        return whole / len(found), sum(len(event.state) for event in found) / len(found)


class _Running:
    """A started writer."""

    def __init__(self, service: Service, store: EventStore) -> None:
        self._writer = Writer(service, store)

    def __enter__(self) -> Writer:
        self._writer.start()
        return self._writer

    def __exit__(self, *_: object) -> None:
        self._writer.stop()


def run_callers(writer: Writer, requests: Sequence[Request]) -> Pace:
    """Share the requests out to 64 threads (greenlets, where eventlet has patched threading)."""
    go = threading.Event()

    def call(own: Sequence[Request]) -> None:
        go.wait()
        for request in own:
            writer.submit(request).result(ANSWER_SECONDS)

    threads = [threading.Thread(target=call, args=(requests[number::CALLERS],)) for number in range(CALLERS)]
    for thread in threads:
        thread.start()
    with Stopwatch() as watch:
        go.set()
        for thread in threads:
            thread.join()
    failed = [request for request in requests if not request.future.done() or request.future.exception()]
    if failed:
        raise Broken(f"{len(failed)} of {len(requests)} commands failed")
    return watch.of(len(requests))


class PlainOrder(Aggregate):
    """An order the way the library's manual writes an aggregate."""

    @event("Created")
    def __init__(
        self, number: str, customer: dict[str, Any], lines: list[dict[str, Any]], total: Decimal, currency: str
    ) -> None:
        self.number = number
        self.customer = customer
        self.lines = lines
        self.total = total
        self.currency = currency


class Naive:
    """The library's own application with its defaults: one aggregate saved at a time, nothing looked up or checked."""

    def __init__(self, folder: Path, data: Data) -> None:
        env = {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(folder / "naive.sqlite")}
        self._application: Application[UUID] = Application(env=env)
        self._data = data

    def one_at_a_time(self, count: int) -> Pace:
        with Stopwatch() as watch:
            for number in range(count):
                self._application.save(self._order(number))
        return watch.of(count)

    def stored(self) -> int:
        return self._application.recorder.max_notification_id() or 0

    def close(self) -> None:
        self._application.close()

    def _order(self, number: int) -> PlainOrder:
        price = PRICES.sale.amount
        line = {
            "product_id": self._data.products[number % PRODUCT_COUNT],
            "quantity": 1,
            "unit_price": price,
            "amount": price,
            "name": f"Phone {number % PRODUCT_COUNT}",
            "model": "A2892",
            "brand": "Apple",
            "unit_cost": PRICES.purchase.amount,
        }
        customer = {"customer_id": self._data.customer, "name": "田中商事", "phone": "13800138000"}
        return PlainOrder(number=f"SO-{number}", customer=customer, lines=[line], total=price, currency="CNY")


def measure_sqlite(report: Report, folder: Path, data: Data, repetitions: int, scale: float) -> None:
    """The append figures on SQLite."""
    config = Config(data_dir=str(folder / "appends"))
    lab = Lab(ORDERS, config)
    data.teach_orders(lab.store)
    few, many, bulk = int(1_000 * scale), int(6_400 * scale), max(5_000, int(8_000 * scale))
    naive = Naive(folder, data)
    naive.one_at_a_time(100)
    lab.one_at_a_time(data.create_orders(100))
    rows: dict[str, list[Pace]] = {name: [] for name in ("naive", "single", "callers", "greenlets", "bulk")}
    for number in range(repetitions):
        rows["naive"].append(naive.one_at_a_time(few))
        rows["single"].append(lab.one_at_a_time(data.create_orders(few)))
        rows["callers"].append(lab.callers(data.create_orders(many)))
        rows["greenlets"].append(_greenlets(folder / f"greenlets-{number}", many, number))
        rows["bulk"].append(lab.bulk(data.create_orders(bulk)))
    _require(naive.stored(), 100 + few * repetitions, "naive orders")
    _require(lab.store.last_position(), 100 + (few + many + bulk) * repetitions, "orders")
    whole, as_stored = lab.event_bytes()
    report.about |= {"event_bytes": round(whole), "stored_event_bytes": round(as_stored)}
    naive.close()
    lab.store.close()
    rates = {name: [pace.per_s for pace in paces] for name, paces in rows.items()}
    single, naive_rates = rates["single"], rates["naive"]
    report.add(
        Figure("appends_naive_per_s", naive_rates),
        Figure("appends_single_per_s", single, "appends_naive_per_s", ratios(single, naive_rates)),
        _callers("appends_64_callers_per_s", rates["callers"], "appends_single_per_s", single),
        _callers("appends_64_greenlets_per_s", rates["greenlets"], "appends_single_per_s", single),
        _bulk("appends_bulk_per_s", rates["bulk"], "appends_single_per_s", single),
        *(Figure(f"appends_{name}_cpu_us", [pace.cpu_us for pace in paces]) for name, paces in rows.items()),
    )


def measure_postgres(report: Report, url: str, data: Data, repetitions: int, scale: float) -> None:
    """The append figures on PostgreSQL."""
    lab = Lab(ORDERS, Config(event_store="postgres", postgres_url=url))
    data.teach_orders(lab.store)
    few, many, bulk = int(600 * scale), int(3_200 * scale), 5_000
    lab.one_at_a_time(data.create_orders(100))
    rows: dict[str, list[Pace]] = {name: [] for name in ("single", "callers", "bulk")}
    for _ in range(repetitions):
        rows["single"].append(lab.one_at_a_time(data.create_orders(few)))
        rows["callers"].append(lab.callers(data.create_orders(many)))
        rows["bulk"].append(lab.bulk(data.create_orders(bulk)))
    _require(lab.store.last_position(), 100 + (few + many + bulk) * repetitions, "orders in PostgreSQL")
    lab.store.close()
    rates = {name: [pace.per_s for pace in paces] for name, paces in rows.items()}
    single, baseline = rates["single"], "appends_single_postgres_per_s"
    report.add(
        Figure(baseline, single),
        _callers("appends_64_callers_postgres_per_s", rates["callers"], baseline, single),
        _bulk("appends_bulk_postgres_per_s", rates["bulk"], baseline, single),
        *(Figure(f"appends_{name}_postgres_cpu_us", [pace.cpu_us for pace in paces]) for name, paces in rows.items()),
    )


def measure_hot_product(report: Report, folder: Path, data: Data, repetitions: int, scale: float) -> None:
    """64 callers on one product, beside 64 callers on a product each."""
    lab = Lab(INVENTORY, Config(data_dir=str(folder / "hot")))
    lab.bulk(data.add_products())
    count = int(3_200 * scale)
    hot_product = data.products[0]
    one = [hot_product] * count
    each = [data.products[number % PRODUCT_COUNT] for number in range(count)]
    hot: list[float] = []
    apart: list[float] = []
    for number in range(repetitions):
        turns: list[tuple[list[float], list[UUID]]] = [(hot, one), (apart, each)]
        for values, products in turns if number % 2 else reversed(turns):
            values.append(lab.callers(data.deductions(products)).per_s)
    for product in data.products:
        item = lab.store.load(StockItem, stock_id(product))
        sold = (one.count(product) + each.count(product)) * repetitions
        _require(item.on_hand if item else -1, OPENING_STOCK - sold, f"stock of {product}")
    lab.store.close()
    report.add(
        Figure("separate_products_deductions_per_s", apart),
        Figure(
            "hot_product_deductions_per_s",
            hot,
            "separate_products_deductions_per_s",
            ratios(hot, apart),
            Bar(0.5, of_ratio=True),
        ),
    )


def measure_flatness(report: Report, folder: Path, data: Data, repetitions: int, events: int) -> None:
    """The same bulk on an empty store and on one that holds many events already, of orders with random ids.

    Once with the ids that Salestream makes, which grow with time, and once with random ones, as a client may send.
    """
    empty, full = (Lab(ORDERS, Config(data_dir=str(folder / name))) for name in ("empty", "full"))
    for lab in (empty, full):
        data.teach_orders(lab.store)
        lab.bulk(data.create_orders(1_000))
    _fill(folder / "full" / "orders.sqlite", events - 1_000)
    _require(full.store.last_position(), events, "events to begin with")
    for kind, random_ids in (("", False), ("_random_ids", True)):
        pairs = [
            [lab.bulk(data.create_orders(4_000, random_ids=random_ids)).per_s for lab in (empty, full)]
            for _ in range(repetitions)
        ]
        before, flat = ([pair[place] for pair in pairs] for place in (0, 1))
        name = f"appends_bulk_empty_store{kind}_per_s"
        bar = None if random_ids else FLAT
        report.add(
            Figure(name, before),
            Figure(f"appends_bulk_full_store{kind}_per_s", flat, name, ratios(flat, before), bar),
        )
    for lab in (empty, full):
        lab.store.close()
    report.add(Figure("full_store_events", [events]))


def _fill(path: Path, count: int) -> None:
    """Many orders with one event each, like the newest one; SQLite makes them by itself."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?) "
            "INSERT INTO stored_events SELECT lower(hex(randomblob(16))), 1, topic, state FROM numbers, "
            "(SELECT topic, state FROM stored_events ORDER BY rowid DESC LIMIT 1)",
            (count,),
        )


def measure_slow_disk(report: Report, folder: Path, data: Data, repetitions: int, scale: float) -> None:
    """Single commands and 64 callers where each commit takes some milliseconds more, as on a network disk.

    Group commit is made for this: on a disk that syncs in a fraction of a millisecond Python is the limit.
    """
    lab = Lab(ORDERS, Config(data_dir=str(folder / "slow")))
    data.teach_orders(lab.store)
    lab.store.commit = _slowed(lab.store.commit)  # type: ignore[method-assign,assignment]
    few, many = int(200 * scale) or 50, int(6_400 * scale)
    lab.one_at_a_time(data.create_orders(50))
    single, callers = [], []
    for _ in range(repetitions):
        single.append(lab.one_at_a_time(data.create_orders(few)).per_s)
        callers.append(lab.callers(data.create_orders(many)).per_s)
    lab.store.close()
    report.add(
        Figure("slow_disk_commit_ms", [SLOW_COMMIT_SECONDS * 1000]),
        Figure("appends_single_slow_disk_per_s", single),
        _callers("appends_64_callers_slow_disk_per_s", callers, "appends_single_slow_disk_per_s", single),
    )


def _slowed(commit: Callable[[Transaction], list[int]]) -> Callable[[Transaction], list[int]]:
    def slow(transaction: Transaction) -> list[int]:
        positions = commit(transaction)
        time.sleep(SLOW_COMMIT_SECONDS)
        return positions

    return slow


def _callers(key: str, values: list[float], baseline: str, single: list[float]) -> Figure:
    return Figure(key, values, baseline, ratios(values, single), Bar(10, of_ratio=True))


def _bulk(key: str, values: list[float], baseline: str, single: list[float]) -> Figure:
    return Figure(key, values, baseline, ratios(values, single), Bar(5_000, 10_000))


def _greenlets(folder: Path, count: int, seed: int) -> Pace:
    """The same 64 callers as greenlets, as in the api process: in a process of its own, which eventlet patches."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.load.greenlets", str(folder), str(count), str(seed)],
        cwd=REPOSITORY_ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        raise Broken(f"the callers as greenlets failed:\n{done.stderr[-2000:]}")
    per_s, cpu_us = done.stdout.split()
    return Pace(float(per_s), float(cpu_us))


def callers_in(folder: Path, count: int, seed: int) -> Pace:
    """64 callers on a fresh store in `folder`."""
    data = Data.of(seed)
    lab = Lab(ORDERS, Config(data_dir=str(folder)))
    data.teach_orders(lab.store)
    lab.callers(data.create_orders(CALLERS * 4))
    pace = lab.callers(data.create_orders(count))
    _require(lab.store.last_position(), CALLERS * 4 + count, "orders")
    lab.store.close()
    return pace


def _require(found: int, expected: int, what: str) -> None:
    if found != expected:
        raise Broken(f"{what}: {expected} expected, {found} found")
