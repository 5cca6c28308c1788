"""`make chaos`, `make chaos FAULT=9`: runs faults, prints a table, writes build/chaos.json; the exit code says."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import time
from pathlib import Path

from chassis.foundation.logs import configure_logging
from deploy.devstack.server import REPOSITORY_ROOT

from . import faults
from .run import FAULTS, Result, Runner, table, worst, write

BUILD = REPOSITORY_ROOT / "build"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--fault", type=int, action="append", help="only this one (may be repeated)")
    parser.add_argument("--folder", type=Path, default=BUILD / "chaos-system", help="where the system lives meanwhile")
    parser.add_argument("--out", type=Path, default=BUILD / "chaos.json", help="the file written")
    options = parser.parse_args()
    faults.load()
    if unknown := set(options.fault or ()) - set(FAULTS):
        parser.error(f"there is no fault {min(unknown)}; there are {', '.join(map(str, sorted(FAULTS)))}")
    configure_logging("CRITICAL")
    for name in ("kafka", "eventsourcing", "httpx"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    chosen = [FAULTS[number] for number in options.fault or sorted(FAULTS)]
    chosen.sort(key=lambda fault: fault.spoils)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers and mounts are cleared away
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - started:7.1f} s  {text}", flush=True)

    results: dict[int, Result] = {}
    with Runner(options.folder.absolute(), BUILD / "chaos", say) as runner:
        for fault in chosen:
            results[fault.number] = runner.run(fault)
            write(results, options.out)
    print(table(results))
    return worst(list(results.values()))


if __name__ == "__main__":
    sys.exit(main())
