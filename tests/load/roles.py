"""`python -m tests.load.roles [--split]`: what an order costs by process, and the peak that the model predicts of it.

Without `--split` it is the journeys of the bench alone, in a minute.  With it the api runs as two processes (orders
with the edge and the queries; inventory, approvals and shipping) and the worker as three, one a role, as on a machine
with more cores: docs/scaling.md calculates with these shares.  `taskset -c 0` in front of it measures one core.
"""

import argparse
import logging
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from chassis.foundation.logs import configure_logging
from deploy.devstack import DevstackError, Stack
from deploy.devstack.ports import free_ports
from deploy.devstack.server import HOST, Server, Started
from deploy.local.system import LocalSystem, RoleProcess

from .bench import BUILD, verify
from .client import LoadError
from .data import Data
from .journeys import Journeys
from .model import bench_machine
from .report import Broken, Figure, Report, ratios
from .system import Bench, Machine, clean_environment

FRONT = ("gateway", "access", "company", "customers", "devices", "orders", "reports")
BACK = ("inventory", "approvals", "shipping", "fulfilment")
SEED = 20260301
APART_SECONDS = 6.0


class Split(RoleProcess):
    """One role of some services, or of all, as a process of its own."""

    variable = port_variable = "none"

    def __init__(self, system: LocalSystem, name: str, role: str, port: int, services: tuple[str, ...] = ()) -> None:
        self.name = self.title = name  # type: ignore[misc]
        self.role = role  # type: ignore[misc]
        self._services = services
        super().__init__(system.home, port, 90.0, lambda: self._own_settings(system.settings()))

    def _own_settings(self, settings: Mapping[str, str]) -> dict[str, str]:
        own = f"{HOST}:{self.port}"
        return {**settings, "HTTP_ADDRESS": own, "HEALTH_ADDRESS": own}

    def command(self) -> list[str]:
        return [*super().command(), *(["--service", *self._services] if self._services else [])]


class SplitSystem(LocalSystem):
    """Two processes of the api and three of the worker."""

    def __init__(self, stack: Stack, home: Path, env: Mapping[str, str]) -> None:
        super().__init__(stack, home, env)
        back, relay, saga, projector = free_ports(4)
        self._env["SERVICE_ADDRESS"] = f"http://{HOST}:{back}"
        self._split: list[RoleProcess] = [
            Split(self, "others", "api", back, BACK),
            Split(self, "orders", "api", self.api.port, FRONT),
            Split(self, "relay", "relay", relay),
            Split(self, "saga", "saga", saga),
            Split(self, "projector", "projector", projector),
        ]

    def up(self, report: Callable[[Server, Started], None] | None = None) -> None:
        """Start one after the other without waiting until each is ready: that takes what the next ones make."""
        self.stack.up(report=report)
        with ThreadPoolExecutor(len(self._split)) as threads:
            starts = []
            for process in self._split:
                starts.append(threads.submit(process.start))
                time.sleep(APART_SECONDS)
            for start in starts:
                start.result()

    @property
    def processes(self) -> list[RoleProcess]:
        return self._split


def measure(report: Report, bench: Bench, rounds: int, orders: int) -> None:
    """Rounds of orders at full speed on a system that runs."""
    whole = Journeys(bench, Data.of(SEED))
    whole.seed((rounds + 1) * orders)
    whole.round(whole.take(orders))  # the first one warms up
    found = [whole.round(whole.take(orders)) for _ in range(rounds)]
    rates = [rate for rate, _, _ in found]
    python = [name for name in found[0][1] if name not in ("kafka", "mongo")]
    predicted = [bench_machine(cpu, free, python).peak() for _, cpu, free in found]
    values = [limit.per_s for limit in predicted]
    report.add(Figure("journeys_per_s", rates))
    report.add(Figure("predicted_per_s", values, "journeys_per_s", ratios(values, rates)))
    report.about["saturates_first"] = statistics.mode(limit.name for limit in predicted)
    report.add(Figure("free_cores", [free for _, _, free in found]))
    report.add(Figure("cpu_ms_per_order_with_client", [sum(cpu.values()) for _, cpu, _ in found]))
    report.add(*(Figure(f"cpu_ms_per_order_{name}", [cpu[name] for _, cpu, _ in found]) for name in found[0][1]))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.load.roles", description=__doc__)
    parser.add_argument("--split", action="store_true", help="a process for each role")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--orders", type=int, default=1_000, help="of a round")
    parser.add_argument("--folder", type=Path, default=BUILD / "roles")
    options = parser.parse_args(arguments)
    configure_logging("ERROR")
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    clean_environment()
    bench = Bench(options.folder.absolute())
    if options.split:
        bench.system = SplitSystem.from_env(bench.env)
    report = Report({"split": options.split, "cores": Machine.cores(), "orders": options.orders})
    try:
        bench.system.up()
        measure(report, bench, options.rounds, options.orders)
        verify(bench.config())
    except (Broken, LoadError, DevstackError) as error:
        print(f"roles: no figures: {error}", file=sys.stderr)
        return 1
    finally:
        bench.close()
    print(report.table())
    return 0


if __name__ == "__main__":
    sys.exit(main())
