"""`make simulate SEEDS=200`: run seeds on all cores; `make simulate SEED=1234 TRACE=1`: run one and print each step."""

import argparse
import sys
import time
from collections import Counter
from multiprocessing import Pool, cpu_count
from random import SystemRandom

from .run import Verdict, simulate


def main() -> int:
    options = _options()
    if options.seed is not None:
        return _one(options.seed, trace=options.trace)
    first = SystemRandom().randrange(1_000_000_000) if options.first is None else options.first
    return _many(range(first, first + options.seeds), options.jobs)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seed", type=int, help="run this one alone")
    parser.add_argument("--trace", action="store_true", help="print each step of it")
    parser.add_argument("--seeds", type=int, default=200, help="how many to run (default 200)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (default 0)")
    parser.add_argument("--random", dest="first", action="store_const", const=None, help="begin with any")
    parser.add_argument("--jobs", type=int, default=cpu_count(), help="processes (default: one for each core)")
    return parser.parse_args()


def _one(seed: int, *, trace: bool) -> int:
    verdict = simulate(seed, sys.stdout if trace else None)
    print(f"seed {seed}: {verdict.steps} steps, {verdict.events} events, trace {verdict.digest}")
    if verdict.broken:
        print(f"{verdict.broken}\nreplay: {verdict.replay}")
    return 1 if verdict.broken else 0


def _many(seeds: range, jobs: int) -> int:
    started, failed, total, crashes = time.monotonic(), 0, Counter[str](), Counter[str]()
    print(f"seeds {seeds[0]} to {seeds[-1]} on {jobs} cores")
    with Pool(jobs) as pool:
        for number, verdict in enumerate(pool.imap_unordered(simulate, seeds, chunksize=4), start=1):
            total.update(steps=verdict.steps, events=verdict.events, orders=verdict.orders)
            crashes.update(verdict.crashes)
            if verdict.broken:
                failed += 1
                _tell(verdict)
            if sys.stdout.isatty():
                print(f"\r{number}/{len(seeds)} seeds, {failed} failed", end="\r", flush=True)
    seconds = time.monotonic() - started
    print(
        f"{len(seeds)} seeds, {failed} failed, {seconds:.0f} s; {total['orders']} orders, {total['events']} events, "
        f"{total['steps']} steps, {crashes.total()} crashes: "
        + ", ".join(f"{point} {number}" for point, number in sorted(crashes.items()))
    )
    return 1 if failed else 0


def _tell(verdict: Verdict) -> None:
    print(f"seed {verdict.seed}: {verdict.broken}\nreplay: {verdict.replay}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
