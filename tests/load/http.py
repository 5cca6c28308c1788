"""What a command costs over HTTP beyond HTTP itself: submitting orders beside an empty POST, in turns."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from chassis.persons.opening import use_keys
from chassis.store.opening import open_store
from contracts.declare import REGISTRY
from contracts.orders import OrderSubmitted

from .client import Caller, Job, at_once, expect, run, served
from .data import PRODUCT_COUNT, Data
from .report import Bar, Broken, Figure, Report, ratios
from .system import Bench, Cpu

CONNECTIONS = 32
BULK = 500
BODY = b"{}"


def measure(report: Report, bench: Bench, data: Data, pairs: int, slice_size: int) -> None:
    """Pairs of slices: so many empty POSTs, so many submitted orders, each order once."""
    config = bench.config(DATA_DIR=str(bench.home / "http" / "stores"))
    REGISTRY.load()
    use_keys(config).open_now()
    seeded = open_store("orders", config)
    data.teach_orders(seeded)
    seeded.close()
    with bench.server("tests.load.server", "http") as (address, pid):
        caller = bench.caller("li", address)
        empty, submit, orders = _slices(address, pid, caller, data, pairs, slice_size)
    _check(orders, open_store("orders", config).notifications(0, 10 * orders))
    report.add(
        Figure("http_empty_post_per_s", empty.rates),
        Figure(
            "http_submit_per_s",
            submit.rates,
            "http_empty_post_per_s",
            ratios(submit.rates, empty.rates),
            Bar(0.8, of_ratio=True),
        ),
        Figure("http_empty_post_cpu_us", [empty.cpu_us]),
        Figure("http_submit_cpu_us", [submit.cpu_us], "http_empty_post_cpu_us", [submit.cpu_us / empty.cpu_us]),
    )


def measure_naive(report: Report, bench: Bench, data: Data, count: int, repetitions: int) -> None:
    """New orders, one a request: the naive path, and ours with everything it checks and promises."""
    line = {"product_id": str(data.products[0]), "quantity": 1}
    plain = {"number": "SO-1", "customer": {"name": "田中商事"}, "lines": [line], "total": "4999.00"}
    ours = {"customer_id": str(data.customer), "lines": [line]}
    config = bench.config(DATA_DIR=str(bench.home / "create" / "stores"))
    use_keys(config).open_now()
    seeded = open_store("orders", config)
    data.teach_orders(seeded)
    seeded.close()
    naive_rates = _create(bench, "tests.load.naive", "naive", plain, count, repetitions)
    rates = _create(bench, "tests.load.server", "create", ours, count, repetitions)
    report.add(
        Figure("http_naive_create_per_s", naive_rates),
        Figure("http_create_per_s", rates, "http_naive_create_per_s", ratios(rates, naive_rates)),
    )


def _create(
    bench: Bench, module: str, folder: str, order: Mapping[str, object], count: int, repetitions: int
) -> list[float]:
    with bench.server(module, folder) as (address, _):
        request = bench.caller("li", address).request("POST", "/orders", json.dumps(order).encode())
        run(address, at_once(one_request(request) for _ in range(count // 4)), CONNECTIONS)
        return [
            count / run(address, at_once(one_request(request) for _ in range(count)), CONNECTIONS)
            for _ in range(repetitions)
        ]


@dataclass
class Side:
    """One kind of request: the rate of each slice, and the server's CPU for all of them."""

    path: str
    rates: list[float] = field(default_factory=list)
    requests: int = 0
    cpu_ms: float = 0.0

    @property
    def cpu_us(self) -> float:
        return self.cpu_ms / self.requests * 1000


def _slices(
    address: tuple[str, int], pid: int, caller: Caller, data: Data, pairs: int, slice_size: int
) -> tuple[Side, Side, int]:
    """Empty POSTs and submissions, a slice each in turns, and how many were submitted.

    The drafts of a slice are written just before it.  The first pair warms up and does not count.
    """
    empty, submit = Side("/bench/{}/empty"), Side("/orders/{}/submit")
    for number in range(pairs + 1):
        own = data.ids(slice_size)
        create_drafts(address, caller, data, own)
        for side in (empty, submit) if number % 2 else (submit, empty):
            requests = [caller.request("POST", side.path.format(order), BODY) for order in own]
            used = Cpu({"server": pid})
            seconds = run(address, at_once(map(one_request, requests)), CONNECTIONS)
            if number:
                side.rates.append(len(own) / seconds)
                side.requests += len(own)
                side.cpu_ms += used.milliseconds()["server"]
    return empty, submit, slice_size * (pairs + 1)


def one_request(request: bytes) -> Job:
    expect((yield from served(request)), 200, 201)


def create_drafts(address: tuple[str, int], caller: Caller, data: Data, orders: Sequence[UUID], token: str = "") -> str:
    """Write these orders as drafts over the bulk route; returns the newest consistency token."""
    tokens = [token]

    def send(part: Sequence[tuple[int, UUID]]) -> Job:
        items = [
            {
                "command": {
                    "order_id": str(order),
                    "customer_id": str(data.customer),
                    "lines": [{"product_id": str(data.products[number % PRODUCT_COUNT]), "quantity": 1}],
                }
            }
            for number, order in part
        ]
        body = json.dumps({"items": items}).encode()
        request = caller.request("POST", "/bulk/create-order", body, Salestream_Consistency=tokens[-1])
        answer = expect((yield from served(request)), 200)
        refused = [result for result in json.loads(answer.body)["results"] if result["status"] != 201]
        if refused:
            raise Broken(f"{len(refused)} drafts were refused: {refused[0]}")
        tokens.append(answer.header("Salestream-Consistency"))

    numbered = list(enumerate(orders))
    parts: Iterator[Job] = (send(numbered[start : start + BULK]) for start in range(0, len(numbered), BULK))
    run(address, at_once(parts), 1)
    return tokens[-1]


def _check(expected: int, stored: Sequence[object]) -> None:
    wanted = REGISTRY.event_of(OrderSubmitted).name
    submitted = sum(1 for event in stored if getattr(event, "type", "") == wanted)
    if submitted != expected:
        raise Broken(f"{expected} orders were submitted over HTTP, the store has {submitted}")
