"""`python -m deploy.demo` (make demo): work leads, replay real purchases through the running system, check its figures.

ORDERS=300 takes the first 300 purchases of the file; without it all 6,919.  It starts the system if it does not run and
leaves it running.  It can be run again: see `deploy.demo.replay` for what a run has of its own.

Exit code: 0 if every figure of the views equals the file's, 1 if one differs or the demo could not be carried out,
130 after Ctrl-C.  With STRICT=1 also 1 if a process takes more memory than it should.
"""

import argparse
import logging
import os
import sys
import threading
import time
from datetime import datetime
from types import TracebackType

import psutil
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from rich.console import Console

from chassis.foundation.command_line import command_line
from chassis.foundation.config import Config, ConfigError
from deploy.demo import cdnow, report
from deploy.demo.check import Views, check, found_total, total
from deploy.demo.client import Client
from deploy.demo.company import DemoCompany
from deploy.demo.errors import DemoError
from deploy.demo.leads import Leads, Worked
from deploy.demo.progress import Bars
from deploy.demo.replay import SELLERS, Replay, Run
from deploy.devstack.__main__ import print_started
from deploy.devstack.errors import DevstackError
from deploy.local import LocalSystem

LEAST_SECONDS, SECONDS_AN_ORDER = 120.0, 0.15
HINT_SECONDS, HINT_AGAIN_SECONDS = 10.0, 60.0


class Watch(threading.Thread):
    """Notes the memory of the processes, and tells when one of them has gone."""

    def __init__(self, system: LocalSystem, bars: Bars) -> None:
        super().__init__(name="watch", daemon=True)
        self._system = system
        self._bars = bars
        self._end = threading.Event()
        self.memory = {process.name: (0.0, 0.0) for process in system.processes}

    def __enter__(self) -> "Watch":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._end.set()
        self.join()

    def run(self) -> None:
        hint_at = dict.fromkeys(self.memory, time.monotonic() + HINT_SECONDS)
        ended = False
        while not ended:
            ended = self._end.wait(1.0)
            for process in self._system.processes:
                pid = process.pid
                if pid is not None:
                    self._measure(process.name, pid)
                    hint_at[process.name] = time.monotonic() + HINT_SECONDS
                elif time.monotonic() > hint_at[process.name]:
                    hint_at[process.name] = time.monotonic() + HINT_AGAIN_SECONDS
                    self._bars.note(
                        f"The {process.title} process does not run.  `python -m deploy.local up` starts it; the demo "
                        f"waits and goes on.  Its log {process.log} ends with:\n{process.log_tail()}"
                    )

    def _measure(self, name: str, pid: int) -> None:
        try:
            now = psutil.Process(pid).memory_info().rss / 2**20
        except psutil.NoSuchProcess:
            return
        self.memory[name] = (now, max(now, self.memory[name][1]))


class Demo:
    """One run of the demo on a system."""

    def __init__(
        self, system: LocalSystem, console: Console, purchases: list[cdnow.Purchase], *, strict: bool = False
    ) -> None:
        self._system = system
        self._strict = strict
        self._console = console
        self._company = DemoCompany(system)
        self._config = Config.from_env({**os.environ, **system.settings()})
        self._run = Run(f"cdnow-{datetime.now(self._config.zone):%Y%m%d-%H%M%S}", purchases)
        self._database = MongoClient[dict[str, object]](self._config.mongodb_uri, tz_aware=True)[
            self._config.mongodb_database
        ]

    def __call__(self) -> list[str]:
        """Replay, compare, tell; returns what is wrong, in the order of its weight."""
        run, console = self._run, self._console
        try:
            leads = self._work_leads()
            measured = self._replay()
        except DemoError as error:
            raise DemoError(f"{error}\n{self._where_they_are()}") from error
        console.print("Comparing the views with the file ...")
        comparisons = check(self._database, run)
        report.print_leads(console, leads)
        report.print_figures(console, run, total(run), found_total(Views(self._database), run))
        report.print_comparisons(console, comparisons)
        report.print_measured(console, run, measured)
        shown = report.order_to_show(run)
        order_id = run.orders[shown.row]
        manager = self._connect("mei", threading.Event())
        page = manager.get(f"/orders/{order_id}").required("The page of an order")
        report.print_timeline(console, page, shown, self._config.zone)
        report.print_next(console, self._system, run, order_id, self._config.mongodb_database)
        wrong = ["FIGURES DIFFER"] if any(comparison.differences for comparison in comparisons) else []
        return [*wrong, *(f"TOO MUCH MEMORY: {name}" for name in measured.too_large if self._strict)]

    def _work_leads(self) -> Worked:
        def note(text: str) -> None:
            self._console.print(text, highlight=False, markup=False, soft_wrap=True)

        return Leads(self._run.name, SELLERS, self._connect).work(note, time.monotonic() + LEAST_SECONDS)

    def _replay(self) -> report.Measured:
        run, orders = self._run, len(self._run.purchases)
        totals = {
            "customers": len(run.customer_numbers),
            "orders": orders,
            "approvals": 2 * run.approvals,
            "shipped": orders,
        }
        deadline = time.monotonic() + LEAST_SECONDS + SECONDS_AN_ORDER * orders
        with Bars(self._console, totals) as bars, Watch(self._system, bars) as watch:
            replay = Replay(run, bars, self._connect)
            replay.prepare()
            begun = time.monotonic()
            replay.trade(deadline)
            return report.Measured(time.monotonic() - begun, watch.memory)

    def _connect(self, name: str, stop: threading.Event) -> Client:
        return Client(self._system.api.own_address, name, self._company.sign_in(name).token, stop)

    def _where_they_are(self) -> str:
        """For a run that failed: the statuses of its orders, and the processes with their logs."""
        try:
            statuses = Views(self._database).statuses(self._run.name)
            told = ", ".join(f"{number:,} {status}" for status, number in sorted(statuses.items())) or "none yet"
        except PyMongoError as error:
            told = f"MongoDB does not tell: {error}"[:300]
        lines = [f"Orders of {self._run.name} in the view: {told}"]
        for process in self._system.processes:
            lines.append(f"{process.title}: {process.state()}, log {process.log}")
        lines.append("Records set aside: `salestream dlq groups` and `salestream dlq list <group>` tell.")
        return "\n".join(lines)


@command_line
def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # the health check reports what matters
    console = Console()
    try:
        orders = _number_of_orders(options.orders)
        system = LocalSystem.from_env()
        purchases = cdnow.read(system.home / "cdnow")
        system.up(report=print_started)
        strict = os.environ.get("STRICT") == "1"
        wrong = Demo(system, console, purchases[:orders], strict=strict)()
    except (DemoError, DevstackError, ConfigError, PyMongoError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.  The system keeps running; `make down` stops it, `make demo` begins anew.", file=sys.stderr)
        return 130
    print(f"\n{'; '.join(wrong)}: see above." if wrong else "\nEvery figure agrees.", flush=True)
    return 1 if wrong else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.demo", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--orders", default=os.environ.get("ORDERS"), help="how many purchases (default $ORDERS, else all)"
    )
    return parser


def _number_of_orders(text: str | None) -> int:
    if not text:
        return cdnow.ROWS
    if not text.isdecimal() or not 1 <= int(text) <= cdnow.ROWS:
        raise DemoError(f"ORDERS={text} must be a whole number from 1 to {cdnow.ROWS}.")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
