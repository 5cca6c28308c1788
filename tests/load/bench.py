"""`python -m tests.load.bench [--quick]`: measures the whole, prints a table and writes build/bench.json.

Every figure stands beside its baseline of the same run.  When an invariant is broken there are no figures.
"""

import argparse
import logging
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import psutil
from tqdm import tqdm

from chassis.foundation.config import Config
from chassis.foundation.logs import configure_logging
from chassis.foundation.memory import settle_memory
from chassis.persons.opening import use_keys
from chassis.verify.run import Bar, Verification
from deploy.devstack import DevstackError
from deploy.devstack.server import REPOSITORY_ROOT

from . import appends, conversions, crowd, floors, gateway, http, invariants, journeys, lists, rebuild, rights
from .client import LoadError
from .data import Data
from .report import Broken, Report, Scalar
from .system import Bench, clean_environment

BUILD = REPOSITORY_ROOT / "build"
FSYNCS = 200


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    name: str
    repetitions: int
    scale: float
    pairs: int
    slice_size: int
    full_store: int
    listed: int
    plan: journeys.Plan


FULL = Size("full", 5, 1.0, 40, 320, 1_000_000, 100_000, journeys.Plan(20_000, rounds=3, per_round=1_000, seconds=18.0))
QUICK = Size("quick", 1, 0.1, 4, 64, 5_000, 2_000, journeys.Plan(1_500, rounds=1, per_round=100, seconds=2.0))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.load.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run: every figure, each from one repetition")
    parser.add_argument("--seed", type=int, default=20260301, help="of ids and order of commands (default %(default)s)")
    parser.add_argument("--folder", type=Path, default=BUILD / "bench", help="where servers and stores live meanwhile")
    parser.add_argument("--out", type=Path, default=BUILD / "bench.json", help="the file written")
    options = parser.parse_args(arguments)
    configure_logging("ERROR")
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    signal.signal(signal.SIGTERM, _end)
    options.out.unlink(missing_ok=True)
    try:
        report = run(QUICK if options.quick else FULL, options.seed, options.folder.absolute())
    except (Broken, LoadError, DevstackError) as error:
        print(f"bench: no figures: {error}", file=sys.stderr)
        return 1
    report.write(options.out)
    print(report.table())
    return 0


def run(size: Size, seed: int, folder: Path) -> Report:
    """Measure everything.  Raises Broken, LoadError or DevstackError."""
    clean_environment()
    settle_memory()  # as the operator's commands do
    started = time.monotonic()
    report = Report(_circumstances(size, seed))
    data = Data.of(seed)
    bench = Bench(folder)
    try:
        report.about["fsync_us"] = round(_fsync_us(bench.home))
        _say("appends on SQLite")
        appends.measure_sqlite(report, bench.home, data, size.repetitions, size.scale)
        appends.measure_slow_disk(report, bench.home, data, size.repetitions, size.scale)
        event_bytes, stored_bytes = (int(report.about[f"{name}event_bytes"]) for name in ("", "stored_"))
        _say("appends on PostgreSQL")
        postgres = bench.system.stack.postgres
        postgres.start()
        floors.measure_postgres(report, postgres.address, bench.home, stored_bytes, max(1, int(5 * size.scale)))
        appends.measure_postgres(report, postgres.address, data, size.repetitions, size.scale)
        postgres.stop()
        _say("one product, many callers")
        appends.measure_hot_product(report, bench.home, data, size.repetitions, size.scale)
        _say(f"one lead, {crowd.PEOPLE} who claim it")
        crowd.measure(report, bench.home, data, size.repetitions, max(2, int(20 * size.scale)))
        _say(f"a store of {size.full_store:,} events")
        appends.measure_flatness(report, bench.home, data, size.repetitions, size.full_store)
        _say("rights and gateway")
        rights.measure(report)
        gateway.measure(report)
        _say("HTTP")
        bench.system.stack.up(postgres=False)
        floors.measure_kafka(report, bench.config(), event_bytes, int(10_000 * size.scale), size.repetitions)
        floors.measure_mongo(report, bench.config(), int(10_000 * size.scale), size.repetitions)
        http.measure_naive(report, bench, data, int(4_000 * size.scale), size.repetitions)
        http.measure(report, bench, data, size.pairs, size.slice_size)
        _say("journeys")
        bench.system.up()
        whole = journeys.Journeys(bench, data)
        whole.seed(size.plan.drafts)
        drafts = list(whole.drafts)
        whole.measure(report, size.plan)
        _say("rebuild")
        whole.rest()
        use_keys(bench.config())
        rebuild.measure(report, bench, 3)
        _say("conversions of leads")
        conversions.measure(report, bench, data, size.repetitions, int(300 * size.scale))
        _say(f"lists of {size.listed:,} rows")
        lists.measure(report, bench.config(), size.listed, 2 * size.pairs)
        _say("invariants")
        report.about |= invariants.check(bench.config(), data, drafts, whole.submitted)
        verify(bench.config())
    finally:
        bench.close()
    report.about["seconds"] = round(time.monotonic() - started)
    return report


def verify(config: Config) -> None:
    """`salestream verify` on the system at rest, with the keys of its persons.  Raises Broken."""
    use_keys(config)
    findings = Verification(config, (), wait=60.0, bars=_no_bar).run()
    if findings.exit_code:
        raise Broken(findings.text())


@contextmanager
def _no_bar(_name: str, _total: int) -> Iterator[Bar]:
    yield tqdm(disable=True)


def _circumstances(size: Size, seed: int) -> dict[str, Scalar]:
    return {
        "mode": size.name,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "HEAD"),
        "changed_files": len(_git("status", "--porcelain").splitlines()),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "cores": os.cpu_count() or 0,
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "load_before": round(os.getloadavg()[0], 2),
        "seed": seed,
        "repetitions": size.repetitions,
        "durability": "fsync on in SQLite and PostgreSQL; Kafka and MongoDB not replicated",
    }


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=REPOSITORY_ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _fsync_us(folder: Path) -> float:
    """What one fsync of a page costs here: the floor under every commit alone."""
    path = folder / "fsync"
    with path.open("wb", buffering=0) as file:
        started = time.perf_counter()
        for _ in range(FSYNCS):
            file.write(b"x" * 4096)
            os.fsync(file.fileno())
        seconds = time.perf_counter() - started
    path.unlink()
    return seconds / FSYNCS * 1e6


def _say(what: str) -> None:
    print(f"bench: {what} ...", file=sys.stderr, flush=True)


def _end(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(143)


if __name__ == "__main__":
    sys.exit(main())
