"""64 callers as greenlets: `python -m tests.load.greenlets FOLDER COUNT SEED` prints their rate and CPU time."""
# ruff: noqa: E402 - eventlet patches before anything else is imported

import eventlet

eventlet.monkey_patch()

import sys
from pathlib import Path

from .appends import callers_in


def main(folder: str, count: str, seed: str) -> None:
    pace = callers_in(Path(folder), int(count), int(seed))
    print(pace.per_s, pace.cpu_us)


if __name__ == "__main__":
    main(*sys.argv[1:])
