"""`python -m tests.load.sharding`: one service's commands shared out to several writers by key, beside one writer.

A prototype to measure with, not a part of the product: what it leaves out stands in docs/scaling.md.  Each shard is a
process with a store and the real writer of its own.  A shard owns whole partitions of the service's topic, so each
partition still has one writing store, which is what consumers' positions rest on (ADR 0007).
"""

import argparse
import multiprocessing
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from chassis.foundation.config import Config
from chassis.foundation.logs import configure_logging
from chassis.foundation.memory import settle_memory
from chassis.messaging.kafka import partition_of
from chassis.writer.request import Request
from deploy.devstack.server import REPOSITORY_ROOT
from services.orders.application import SERVICE as ORDERS

from .appends import CALLERS, Lab
from .data import Data
from .report import Broken, Figure, Report, ratios
from .system import Machine

PARTITIONS = 12
"""Of the topic: divisible by 2, 3, 4 and 6, so that as many shards own equally many."""

WARM_UP = 500
WAIT_SECONDS = 120.0


def shard_of(key: str, shards: int, partitions: int = PARTITIONS) -> int:
    """The shard that owns a record: that of the partition its events go to."""
    return partition_of(key, partitions) % shards


@dataclass(frozen=True)
class Stretch:
    """What one shard did of one kind of load: when by the clock of the machine, and CPU seconds."""

    begin: float
    end: float
    cpu_seconds: float
    commands: int


@dataclass(frozen=True)
class Load:
    """How many commands in all, the same for any number of shards."""

    bulk: int
    callers: int
    seed: int


@dataclass(frozen=True)
class Outcome:
    """All shards together: commands a second, CPU microseconds each, and how many cores they had in the mean."""

    per_s: float
    cpu_us: float
    cores: float


def run_shards(folder: Path, shards: int, load: Load) -> dict[str, Outcome]:
    """Carry out the load with so many writers at once.  Raises Broken if a command is missing."""
    shutil.rmtree(folder, ignore_errors=True)
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(shards + 1)
    answers = context.Queue()
    processes = [
        context.Process(target=_shard, args=(folder, number, shards, load, barrier, answers))
        for number in range(shards)
    ]
    for process in processes:
        process.start()
    for _ in ("bulk", "callers"):
        barrier.wait(WAIT_SECONDS)  # all begin together, and go on when all are done
        barrier.wait(WAIT_SECONDS)
    done: list[dict[str, Stretch]] = [answers.get(timeout=WAIT_SECONDS) for _ in processes]
    for process in processes:
        process.join(WAIT_SECONDS)
    shutil.rmtree(folder)
    return {name: _together([one[name] for one in done], getattr(load, name)) for name in done[0]}


def _together(stretches: Sequence[Stretch], wanted: int) -> Outcome:
    commands = sum(stretch.commands for stretch in stretches)
    if commands != wanted:
        raise Broken(f"{wanted} commands were to be stored, {commands} were")
    seconds = max(stretch.end for stretch in stretches) - min(stretch.begin for stretch in stretches)
    cpu = sum(stretch.cpu_seconds for stretch in stretches)
    return Outcome(commands / seconds, cpu / commands * 1e6, cpu / seconds)


def _shard(folder: Path, number: int, shards: int, load: Load, barrier: Barrier, answers: Any) -> None:
    """One shard, in a process of its own: the commands of its keys, in bulk and from many callers."""
    configure_logging("ERROR")
    data = Data.of(load.seed)
    lab = Lab(ORDERS, Config(data_dir=str(folder / f"shard-{number}")))
    data.teach_orders(lab.store)
    lab.bulk(_own(data.create_orders(WARM_UP), number, shards))
    own = {name: _own(data.create_orders(getattr(load, name)), number, shards) for name in ("bulk", "callers")}
    settle_memory()
    done: dict[str, Stretch] = {}
    for name, requests in own.items():
        before = lab.store.last_position()
        barrier.wait(WAIT_SECONDS)
        begin, cpu = time.monotonic(), time.process_time()
        lab.bulk(requests) if name == "bulk" else lab.callers(requests)
        end, cpu = time.monotonic(), time.process_time() - cpu
        barrier.wait(WAIT_SECONDS)
        done[name] = Stretch(begin, end, cpu, lab.store.last_position() - before)
    lab.store.close()
    answers.put(done)


def _own(requests: Sequence[Request], number: int, shards: int) -> list[Request]:
    return [request for request in requests if shard_of(str(request.command.order_id), shards) == number]


def measure(report: Report, folder: Path, load: Load, shards: int, repetitions: int) -> None:
    """One writer and several in turns, so that neighbours disturb both alike."""
    found: dict[int, list[dict[str, Outcome]]] = {1: [], shards: []}
    for repetition in range(repetitions):
        for count in sorted(found, reverse=repetition % 2 == 1):
            found[count].append(run_shards(folder, count, load))
    for name in ("bulk", "callers"):
        label = name if name == "bulk" else f"{CALLERS}_callers_each"
        one, several = ([outcome[name] for outcome in found[count]] for count in (1, shards))
        rates = [outcome.per_s for outcome in one]
        baseline = f"one_writer_{label}_per_s"
        more = [outcome.per_s for outcome in several]
        report.add(
            Figure(baseline, rates),
            Figure(f"{shards}_writers_{label}_per_s", more, baseline, ratios(more, rates)),
            Figure(f"one_writer_{label}_cpu_us", [outcome.cpu_us for outcome in one]),
            Figure(f"{shards}_writers_{label}_cpu_us", [outcome.cpu_us for outcome in several]),
            Figure(f"one_writer_{label}_cores", [outcome.cores for outcome in one]),
            Figure(f"{shards}_writers_{label}_cores", [outcome.cores for outcome in several]),
        )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.load.sharding", description=__doc__)
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--commands", type=int, default=20_000, help="of each kind of load, over all shards")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=REPOSITORY_ROOT / "build" / "sharding")
    options = parser.parse_args(arguments)
    load = Load(options.commands, options.commands, seed=20260301)
    report = Report({"cores": Machine.cores(), "partitions": PARTITIONS, "commands": options.commands})
    measure(report, options.folder, load, options.shards, options.repetitions)
    print(report.table())


if __name__ == "__main__":
    main()
