"""Whole journeys: submitted over HTTP, approved, deducted, shipped and in the view - on the whole system."""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from statistics import quantiles
from uuid import UUID

from chassis.catalogue import Catalogue
from chassis.projections.collections import STATES, connect
from contracts.types import Money

from .client import Caller, Job, Timed, at_once, connected, expect, run, run_on, served
from .data import OPENING_STOCK, PRICES, Data
from .http import create_drafts, one_request
from .model import bench_machine
from .report import Bar, Broken, Figure, Report, ratios
from .system import Bench, Cpu, Machine, rss_mb

CONNECTIONS = 32
OPEN_CONNECTIONS = 64
OVERLOAD_CONNECTIONS = 512
RATES = (25, 75, 100)  # percent of the peak, besides the half
PATIENCE_SECONDS = 180.0
POLL_SECONDS = 0.02
TOKEN = "Salestream-Consistency"


@dataclass(frozen=True)
class Plan:
    """How many orders: `rounds` of `per_round` at full speed, then `seconds` of latency at half of it."""

    drafts: int
    rounds: int
    per_round: int
    seconds: float


@dataclass
class Journeys:
    """The running system, its drafts, and what has been shipped of them."""

    bench: Bench
    data: Data
    drafts: list[UUID] = field(default_factory=list)
    submitted: list[UUID] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    """Milliseconds until commands were answered, of the last run at a steady rate."""

    def __post_init__(self) -> None:
        self._address = self.bench.api_address
        self._sales = self.bench.caller("li", self._address)
        self._database = connect(self.bench.config())
        self._views = {view.name: view for view in Catalogue.read().views("projector")}

    # -- before

    def seed(self, drafts: int) -> None:
        """Enter customer and products over HTTP, then write drafts and wait until they are in the view."""
        token = self._enter()
        self.drafts = self.data.ids(drafts)
        create_drafts(self._address, self._sales, self.data, self.drafts, token)
        self._wait(lambda: self._count("orders", "DRAFT") >= drafts, "drafts in the view")
        self.rest()

    def _enter(self) -> str:
        tokens: list[str] = []

        def post(caller: Caller, path: str, body: Mapping[str, object]) -> Job:
            answer = expect((yield caller.request("POST", path, json.dumps(body).encode())), 201)
            tokens.append(answer.header(TOKEN))

        price = {name: told(getattr(PRICES, name)) for name in ("purchase", "sale")}
        warehouse = self.bench.caller("wang", self._address)
        jobs = [
            post(
                warehouse,
                "/products",
                {
                    "product_id": str(id),
                    "name": f"Phone {number}",
                    "model": "A2892",
                    "brand": "Apple",
                    "prices": price,
                    "opening_stock": OPENING_STOCK,
                },
            )
            for number, id in enumerate(self.data.products)
        ]
        customer = {
            "customer_id": str(self.data.customer),
            "name": "田中商事",
            "mobile": "13800138000",
            "industry": "IT",
        }
        run(self._address, at_once([*jobs, post(self._sales, "/customers", customer)]), 1)
        newest = dict(part.split("=") for token in tokens for part in token.split(","))
        return ",".join(f"{source}={position}" for source, position in newest.items())

    # -- the figures

    def measure(self, report: Report, plan: Plan) -> None:
        idle = self._idle_cpu()
        rates: list[float] = []
        predicted: list[float] = []
        cpu: dict[str, list[float]] = {}
        for _ in range(plan.rounds):
            rate, per_order, free_cores = self.round(self.take(plan.per_round))
            rates.append(rate)
            predicted.append(bench_machine(per_order, free_cores).peak().per_s)
            for name, value in per_order.items():
                cpu.setdefault(name, []).append(value)
        report.add(
            Figure("journeys_per_s", rates, bar=Bar(100, 300)),
            Figure("journeys_predicted_per_s", predicted, "journeys_per_s", ratios(predicted, rates)),
            Figure("journeys_predicted_off_percent", off_percent(predicted, rates), bar=Bar(20, at_most=True)),
        )
        client = cpu.pop("client")
        total = [sum(values) for values in zip(*cpu.values(), strict=True)]
        report.add(Figure("cpu_ms_per_order", total))
        report.add(*(Figure(f"cpu_ms_per_order_{name}", values) for name, values in cpu.items()))
        report.add(Figure("cpu_ms_per_order_client_not_counted", client), Figure("idle_cpu_ms_per_s", [idle]))
        peak = sorted(rates)[len(rates) // 2]
        windows: list[list[float]] = []
        answered: list[list[float]] = []
        for _ in range(3):
            windows.append(self.latencies(peak / 2, plan.seconds / 3))
            answered.append(quantiles(self.answered, n=100))
        cuts = [quantiles(window, n=100) for window in windows]
        report.add(
            Figure("visible_at_orders_per_s", [peak / 2]),
            Figure("answered_ms_p50", [cut[49] for cut in answered]),
            Figure("answered_ms_p99", [cut[98] for cut in answered]),
            Figure("visible_ms_p50", [cut[49] for cut in cuts], bar=Bar(30, 10, at_most=True)),
            Figure("visible_ms_p99", [cut[98] for cut in cuts], bar=Bar(150, 50, at_most=True)),
        )
        self.at_rest()
        for percent in RATES:
            cut = quantiles(self.latencies(peak * percent / 100, plan.seconds / 3), n=100)
            report.add(*(Figure(f"visible_ms_p{at}_at_{percent}_percent", [cut[at - 1]]) for at in (50, 95, 99)))
            self.at_rest()
        self._overload(report, 2 * peak, plan.seconds * 2 / 3)
        pids = self.bench.pids()
        report.add(Figure("api_rss_mb", [rss_mb(pids["api"])]), Figure("worker_rss_mb", [rss_mb(pids["worker"])]))

    def _idle_cpu(self) -> float:
        used = Cpu(self.bench.pids())
        time.sleep(2.0)
        return sum(used.milliseconds().values()) / 2.0

    def round(self, orders: Sequence[UUID]) -> tuple[float, dict[str, float], float]:
        """Of these orders submitted at once: journeys a second, CPU milliseconds an order by process, free cores.

        Free is what others on the machine and the kernel's own threads left of the cores: the model is given that.
        """
        used, machine = Cpu({**self.bench.pids(), "client": os.getpid()}), Machine()
        started = time.perf_counter()
        requests = [self._sales.request("POST", f"/orders/{order}/submit", b"{}") for order in orders]
        run(self._address, at_once(map(one_request, requests)), CONNECTIONS)
        self._all_in_view()
        seconds = time.perf_counter() - started
        self._all_shipped()
        milliseconds = used.milliseconds()
        free_cores = machine.free_cores(sum(milliseconds.values()) / 1000)
        self.rest()
        return len(orders) / seconds, {name: value / len(orders) for name, value in milliseconds.items()}, free_cores

    def latencies(self, rate: float, seconds: float) -> list[float]:
        """Milliseconds from the moment a command should be sent until its effect is read, at a steady rate."""
        orders = self.take(max(20, int(rate * seconds)))
        found: list[float] = []
        self.answered = []
        connections = connected(self._address, OPEN_CONNECTIONS)
        begin = time.perf_counter() + 0.05
        jobs: Iterator[Timed] = (
            (begin + number / rate, self._submit_and_read(order, begin + number / rate, found))
            for number, order in enumerate(orders)
        )
        run_on(connections, jobs)
        return found

    def _submit_and_read(self, order: UUID, due: float, found: list[float]) -> Job:
        answer = expect((yield from served(self._sales.request("POST", f"/orders/{order}/submit", b"{}"))), 200)
        self.answered.append((time.perf_counter() - due) * 1000)
        token = answer.header(TOKEN)
        answer = expect((yield self._sales.request("GET", f"/orders/{order}", Salestream_Consistency=token)), 200)
        found.append((time.perf_counter() - due) * 1000)
        if json.loads(answer.body)["status"] == "DRAFT":
            raise Broken(f"order {order} was read with its token and was still a draft")

    def _overload(self, report: Report, rate: float, seconds: float) -> None:
        """Twice what the system can do: some are refused at once, the others are served in bounded time.

        Of the accepted, every tenth is read until the view has it.
        """
        answered: list[float] = []
        visible: list[float] = []
        refused: list[UUID] = []

        def job(order: UUID, due: float, *, read: bool) -> Job:
            answer = expect((yield self._sales.request("POST", f"/orders/{order}/submit", b"{}")), 200, 503)
            if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
                refused.append(order)
                return
            answered.append((time.perf_counter() - due) * 1000)
            token, accepted = answer.header(TOKEN), time.perf_counter()
            get = self._sales.request("GET", f"/orders/{order}", Salestream_Consistency=token)
            while read and (yield get).status != HTTPStatus.OK:
                pass
            if read:
                visible.append(time.perf_counter() - accepted)

        orders = self.take(int(rate * seconds))
        connections = connected(self._address, OVERLOAD_CONNECTIONS)
        begin = time.perf_counter() + 0.05
        run_on(
            connections,
            (
                (begin + number / rate, job(order, begin + number / rate, read=number % 10 == 0))
                for number, order in enumerate(orders)
            ),
        )
        gone = set(refused)
        self.submitted = [order for order in self.submitted if order not in gone]
        self.at_rest()
        report.add(
            Figure("overload_offered_per_s", [rate]),
            Figure("overload_accepted_per_s", [len(answered) / seconds]),
            Figure("overload_answer_ms_p50", [quantiles(answered, n=100)[49]]),
            Figure("overload_answer_ms_p99", [quantiles(answered, n=100)[98]]),
            Figure("overload_view_lag_s_max", [max(visible)], bar=Bar(5, at_most=True)),
        )

    def at_rest(self) -> None:
        """Wait until all is shipped and the views stand still."""
        self._all_shipped()
        self.rest()

    def take(self, count: int) -> list[UUID]:
        if count > len(self.drafts):
            raise Broken(f"{count} drafts are needed, {len(self.drafts)} are left")
        taken, self.drafts = self.drafts[:count], self.drafts[count:]
        self.submitted += taken
        return taken

    # -- waiting

    def _all_in_view(self) -> None:
        self._wait(lambda: self._count("orders", "SHIPPED") >= len(self.submitted), "shipped orders in the view")

    def _all_shipped(self) -> None:
        self._all_in_view()
        self._wait(lambda: self._count("shipments", "DISPATCHED") >= len(self.submitted), "dispatched shipments")

    def rest(self) -> None:
        """Wait until the views stand still."""
        before: object = None
        while (now := self._revisions()) != before:
            before = now
            time.sleep(0.5)

    def _revisions(self) -> list[tuple[str, str]]:
        return sorted((str(state["_id"]), str(state["revision"])) for state in self._database[STATES].find())

    def _count(self, view: str, status: str) -> int:
        with_status = {self._views[view].place_of("status"): status.encode()}  # by its index: it is asked all the time
        return self._database[view].count_documents(with_status)

    def _wait(self, reached: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not reached():
            if time.monotonic() > deadline:
                raise Broken(f"{what}: not complete after {PATIENCE_SECONDS:.0f} s")
            time.sleep(POLL_SECONDS)


def off_percent(predicted: Sequence[float], measured: Sequence[float]) -> list[float]:
    """How far each prediction is from what was measured with it, in percent of that, above or below."""
    return [abs(ratio - 1) * 100 for ratio in ratios(predicted, measured)]


def told(money: Money) -> dict[str, str]:
    return {"amount": str(money.amount), "currency": money.currency}
