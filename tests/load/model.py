"""What a deployment carries, by arithmetic from the CPU time that an order costs: `python -m tests.load.model`.

Three rules, and nothing else:

- Utilisation: at `rate` orders a second, each costing `ms` of CPU, `rate * ms / 1000` cores are busy.  A node is full
  when those are all it has.
- Amdahl: an interpreter runs on one core at a time.  However many cores a node has, a Python process is full when what
  it does under its interpreter lock takes a second a second.
- Batches: waking up, fetching and committing cost the same for one order as for many.  So an order costs `lone_ms` by
  itself and `full_ms` in a full batch; between them that share is divided by the orders that come along.

It knows nothing of networks, disks, or orders of one product, and predicts throughput, not latency.
"""

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BATCH_SECONDS = 0.11
"""How long orders gather for a batch while cores are free.  Fitted: 20 ms an order at 100/s on the bench's machine."""

LONE_MS: Mapping[str, float] = {"api": 45.0, "worker": 35.0, "mongo": 30.0, "kafka": 27.5}
"""CPU milliseconds of an order that is alone in the system (docs/performance.md, 2026-11-27)."""

PYTHON = ("api", "worker", "client")
"""Parts of the bench that are one interpreter each; Kafka and mongod use as many cores as there are."""

PLANNED = 0.7
"""How full a part may be planned: room for bursts, rebuilds, and a node that is down."""


@dataclass(frozen=True)
class Part:
    """One part of a deployment: what an order costs it, and where it runs.

    `full_ms`: CPU milliseconds an order in full batches; `lone_ms`: of an order by itself.  `interpreters`: how many
    processes of Python share the work evenly; none for a server that uses every core.  `serial`: the share of the CPU
    time that is under the interpreter lock (what native threads do beside it is not).
    """

    name: str
    full_ms: float
    lone_ms: float = 0.0
    node: str = "node"
    interpreters: int | None = None
    serial: float = 1.0

    def ms(self, rate: float) -> float:
        """CPU milliseconds an order at `rate` orders a second, while cores are free."""
        extra = max(0.0, self.lone_ms - self.full_ms)
        return self.full_ms + extra / max(1.0, rate * BATCH_SECONDS)

    @property
    def peak_per_s(self) -> float:
        """Orders a second at which its interpreters are full, whatever cores there are."""
        if not self.interpreters or not self.full_ms:
            return float("inf")
        return self.interpreters * 1000 / (self.full_ms * self.serial)


@dataclass(frozen=True)
class Limit:
    """What saturates, and at how many orders a second."""

    name: str
    per_s: float


@dataclass(frozen=True)
class Deployment:
    """Parts on nodes; `cores` of each node."""

    parts: Sequence[Part]
    cores: Mapping[str, float]

    def limits(self) -> list[Limit]:
        """Everything that can saturate, what does so first in front."""
        found = [Limit(part.name, part.peak_per_s) for part in self.parts if part.peak_per_s < float("inf")]
        for node, cores in self.cores.items():
            if ms := sum(part.full_ms for part in self._on(node)):
                found.append(Limit(f"cores of {node}", cores * 1000 / ms))
        return sorted(found, key=lambda limit: limit.per_s)

    def peak(self) -> Limit:
        """Orders a second in full batches, and what is full then."""
        return self.limits()[0]

    def utilisation(self, rate: float) -> dict[str, float]:
        """How full each interpreter and each node is at `rate`: 1.0 is full.

        A node may be full below the peak: batches then grow until its work fits, and latency with them.
        """
        found = {
            part.name: min(1.0, rate * part.ms(rate) * part.serial / 1000 / part.interpreters)
            for part in self.parts
            if part.interpreters
        }
        for node, cores in self.cores.items():
            busy = sum(rate * part.ms(rate) / 1000 for part in self._on(node))
            found[f"cores of {node}"] = min(1.0, busy / cores)
        return found

    def cores_full_from(self, node: str = "node") -> float:
        """Orders a second from which a node has no core idle; up to the peak only batches grow."""
        low, high = 0.0, self.peak().per_s
        for _ in range(50):
            rate = (low + high) / 2
            low, high = (low, rate) if self.utilisation(rate)[f"cores of {node}"] >= 1.0 else (rate, high)
        return high

    def _on(self, node: str) -> Iterable[Part]:
        return (part for part in self.parts if part.node == node)


def bench_machine(cpu_ms: Mapping[str, float], cores: float, python: Sequence[str] = PYTHON) -> Deployment:
    """The bench: all parts, the client too, on one node with so many free cores; CPU milliseconds an order by part."""
    parts = [
        Part(name, ms, LONE_MS.get(name, ms), interpreters=1 if name in python else None) for name, ms in cpu_ms.items()
    ]
    return Deployment(parts, {"node": cores})


# -- what docs/scaling.md calculates


@dataclass(frozen=True)
class Scenario:
    """A deployment that the document describes."""

    title: str
    deployment: Deployment

    def row(self) -> str:
        """The peak, what may be planned with, and what saturates first: a line of the document's table."""
        first, second = self.deployment.limits()[:2]
        return (
            f"| {self.title} | {first.per_s:.0f} | {first.per_s * PLANNED:.0f} | {first.name} | "
            f"{second.name} at {second.per_s:.0f} |"
        )


TWO = {"api": 2.20, "worker": 3.13, "kafka": 1.45, "mongo": 1.97}
"""CPU milliseconds an order, api and worker a process each: `python -m tests.load.roles`, 2026-11-27."""

FIVE = {
    "orders": 1.20, "others": 1.33, "relay": 0.79, "saga": 0.74, "projector": 1.70, "kafka": 2.05, "mongo": 2.08,
}  # fmt: skip
"""The same with five processes (`--split`).  Each wakes, fetches and commits for itself, so the sum is larger."""

READING = 1 / 3
"""Of a projector's work, what each of several does anew: reading and decoding (37 of 109 us an event)."""


def together(cpu_ms: Mapping[str, float], cores: float) -> Deployment:
    """All parts on one node."""
    return Deployment([_part(name, ms, "node") for name, ms in cpu_ms.items()], {"node": cores})


def with_projectors(cpu_ms: Mapping[str, float], processes: int) -> dict[str, float]:
    """Views in groups, each group a process: all read everything, and each writes its share."""
    projector = cpu_ms["projector"]
    each = projector * (READING + (1 - READING) / processes)
    kept = {name: ms for name, ms in cpu_ms.items() if name != "projector"}
    return kept | {f"projector {number + 1}": each for number in range(processes)}


def on_three_nodes(cpu_ms: Mapping[str, float], cores: float) -> Deployment:
    """Kafka and MongoDB on each node, a copy costing as much as the first (more than it does); views apart from stores.

    With SQLite a service's api, relay and saga stand where its file is: node 1.
    """
    servers = ("kafka", "mongo")
    parts = [
        _part(name, ms, "node 2" if name.startswith("projector") else "node 1")
        for name, ms in cpu_ms.items()
        if name not in servers
    ]
    parts += [_part(name, cpu_ms[name], f"node {number}") for name in servers for number in (1, 2, 3)]
    return Deployment(parts, {f"node {number}": cores for number in (1, 2, 3)})


def _part(name: str, ms: float, node: str) -> Part:
    return Part(name, ms, LONE_MS.get(name, ms), node, None if name in ("kafka", "mongo") else 1)


def _a_process_each(cpu_ms: Mapping[str, float]) -> dict[str, float]:
    """Inventory, approvals and shipping apart; that each has a third of their work is assumed, not measured."""
    kept = {name: ms for name, ms in cpu_ms.items() if name != "others"}
    return kept | {name: cpu_ms["others"] / 3 for name in ("inventory", "approvals", "shipping")}


def _sharded(cpu_ms: Mapping[str, float]) -> dict[str, float]:
    """Two shards of orders."""
    kept = {name: ms for name, ms in cpu_ms.items() if name != "orders"}
    return kept | {f"orders {number}": cpu_ms["orders"] / 2 for number in (1, 2)}


def scenarios() -> list[Scenario]:
    views = with_projectors(FIVE, 2)
    apart = _a_process_each(views)
    return [
        Scenario("A: 1 core, api and worker", together(TWO, 1)),
        Scenario("B: 2 cores, api and worker", together(TWO, 2)),
        Scenario("C: 8 cores, api and worker", together(TWO, 8)),
        Scenario("D: 8 cores, five processes", together(FIVE, 8)),
        Scenario("E: 8 cores, D with two projectors", together(views, 8)),
        Scenario("F: 3 nodes of 8 cores, as D", on_three_nodes(FIVE, 8)),
        Scenario("G: 3 nodes, two projectors, a process a service", on_three_nodes(apart, 8)),
        Scenario("H: 3 nodes, G with orders in two shards", on_three_nodes(_sharded(apart), 8)),
    ]


def of_report(written: Mapping[str, Any]) -> Deployment:
    """The machine of a run of the bench, from what it wrote into build/bench.json."""
    keys = {name: f"cpu_ms_per_order_{name}" for name in ("api", "worker", "kafka", "mongo")}
    cpu_ms = {name: float(written[key]) for name, key in keys.items()}
    cpu_ms["client"] = float(written.get("cpu_ms_per_order_client_not_counted", 0.0))
    return bench_machine(cpu_ms, float(written["cores"]))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.load.model", description=__doc__)
    parser.add_argument("report", type=Path, nargs="?", help="build/bench.json: predict the peak of that run instead")
    options = parser.parse_args(arguments)
    if not options.report:
        print("\n".join(scenario.row() for scenario in scenarios()))
        return
    written = json.loads(options.report.read_text())
    machine = of_report(written)
    for limit in machine.limits():
        print(f"{limit.per_s:8.0f} orders/s fill {limit.name}")
    print(f"{written['journeys_per_s']:8.0f} orders/s were measured")
    print(f"{machine.cores_full_from():8.0f} orders/s leave no core idle; beyond, only batches grow")


if __name__ == "__main__":
    main()
