"""`python -m tests.load.soak [--minutes 20] [--rate 20]`: orders at a steady rate, and whether anything grows.

Memory, threads, open files and connections of api and worker are sampled all the while.  Caches fill at first, so the
last quarter is held against the one before it, not against the start.  Writes build/soak.json.
"""

import argparse
import json
import logging
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import psutil
from tqdm import tqdm

from chassis.foundation.logs import configure_logging
from deploy.devstack import DevstackError

from . import invariants
from .bench import BUILD, verify
from .client import LoadError
from .data import Data
from .journeys import Journeys
from .report import Broken
from .system import Bench, clean_environment

WINDOW_SECONDS = 10.0
ALLOWED_GROWTH = {"rss_mb": 1.05, "threads": 1.0, "files": 1.1, "connections": 1.1}


@dataclass
class Samples:
    """What a process holds, window by window."""

    process: psutil.Process
    values: dict[str, list[float]] = field(default_factory=dict)

    def take(self) -> None:
        with self.process.oneshot():
            now = {
                "rss_mb": self.process.memory_info().rss / 2**20,
                "threads": self.process.num_threads(),
                "files": self.process.num_fds(),
                "connections": len(self.process.net_connections()),
            }
        for name, value in now.items():
            self.values.setdefault(name, []).append(value)

    def growth(self, name: str) -> float:
        """The last quarter's median beside that of the quarter before."""
        values = self.values[name]
        quarter = len(values) // 4
        return median(values[-quarter:]) / median(values[-2 * quarter : -quarter])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.load.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0, help="how long (default %(default)s)")
    parser.add_argument("--rate", type=float, default=20.0, help="orders a second (default %(default)s)")
    parser.add_argument("--out", type=Path, default=BUILD / "soak.json", help="the file written")
    options = parser.parse_args(arguments)
    configure_logging("ERROR")
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    clean_environment()
    bench = Bench((BUILD / "soak").absolute())
    try:
        found = soak(bench, options.rate, max(8, round(options.minutes * 60 / WINDOW_SECONDS)))
    except (Broken, LoadError, DevstackError) as error:
        print(f"soak: {error}", file=sys.stderr)
        return 1
    finally:
        bench.close()
    options.out.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))
    return 1 if found["grew"] else 0


def soak(bench: Bench, rate: float, windows: int) -> dict[str, object]:
    """Run the windows; returns the figures.  Raises Broken when an invariant does not hold afterwards."""
    bench.system.stack.up(postgres=False)
    bench.system.up()
    data = Data.of(20260301)
    whole = Journeys(bench, data)
    whole.seed(int(rate * WINDOW_SECONDS) * windows + 20)
    drafts = list(whole.drafts)
    pids = bench.pids()
    samples = {name: Samples(psutil.Process(pids[name])) for name in ("api", "worker")}
    latencies: list[float] = []
    started = time.monotonic()
    for _ in tqdm(range(windows), desc="soak", unit="window", disable=None):
        latencies.append(median(whole.latencies(rate, WINDOW_SECONDS)))
        for one in samples.values():
            one.take()
    minutes = (time.monotonic() - started) / 60
    whole.at_rest()
    invariants.check(bench.config(), data, drafts, whole.submitted)
    verify(bench.config())
    found: dict[str, object] = {"minutes": round(minutes, 1), "orders": len(whole.submitted)}
    grew = []
    for process, one in samples.items():
        for name, allowed in ALLOWED_GROWTH.items():
            values = one.values[name]
            found[f"{process}_{name}_first"], found[f"{process}_{name}_last"] = (
                round(values[0], 1),
                round(values[-1], 1),
            )
            found[f"{process}_{name}_growth"] = round(one.growth(name), 3)
            if one.growth(name) > allowed:
                grew.append(f"{process}_{name}")
    found["visible_ms_median_first"], found["visible_ms_median_last"] = round(latencies[0]), round(latencies[-1])
    found["grew"] = grew
    return found


if __name__ == "__main__":
    sys.exit(main())
