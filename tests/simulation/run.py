"""One run of the simulation: a seed in, a verdict out."""

import traceback
from dataclasses import dataclass, field
from random import Random
from typing import TextIO

from .calendar import Calendar
from .cluster import Cluster, replaced_edge
from .history import History
from .invariants import Broken, check_all
from .kernel.faults import Faults
from .kernel.scheduler import Scheduler, Stuck
from .kernel.trace import Trace
from .lost_topics import Operator
from .people import People

WORK_SECONDS = 3_000.0
REST_SECONDS = 3_000.0
ROUNDS = 30


@dataclass
class Verdict:
    """How a run went; `broken` says which invariant does not hold, and why."""

    seed: int
    broken: str = ""
    digest: str = ""
    steps: int = 0
    events: int = 0
    orders: int = 0
    crashes: dict[str, int] = field(default_factory=dict)

    @property
    def replay(self) -> str:
        return f"make simulate SEED={self.seed} TRACE=1"


def simulate(seed: int, out: TextIO | None = None) -> Verdict:
    """Run the simulation of a seed from the first command to the last check."""
    random = Random(f"salestream:{seed}")
    trace = Trace(out)
    faults = Faults.draw(random)
    calendar = Calendar.draw(random)
    scheduler = Scheduler(random, trace, faults, calendar.start)
    verdict = Verdict(seed)
    try:
        cluster = Cluster(scheduler, calendar.zone)
        history = History()
        people = People(cluster, history)
        with replaced_edge(cluster):
            _live(cluster, people, faults)
            evidence = check_all(cluster, history)
        verdict.events, verdict.orders = evidence.count, len(people.orders)
    except Broken as broken:
        verdict.broken = str(broken)
    except Stuck as stuck:
        verdict.broken = f"Stuck: {stuck}"
    except Exception:  # told with its seed: in a pool of processes it could even be one that can't be sent
        verdict.broken = traceback.format_exc()
    finally:
        scheduler.close()
    verdict.digest, verdict.steps = trace.digest, trace.steps
    verdict.crashes = dict(scheduler.crashes)
    return verdict


def _settled(cluster: Cluster, people: People) -> bool:
    """Have the manager do what waits for people; whether there was anything."""
    found: list[bool] = []
    cluster.scheduler.actor("manager", lambda: found.append(people.settle()))
    cluster.scheduler.run(lambda: bool(found), REST_SECONDS)
    return found[0]


def _live(cluster: Cluster, people: People, faults: Faults) -> None:
    scheduler = cluster.scheduler
    scheduler.note(f"faults {faults}")

    def day() -> None:
        people.open_for_business()
        people.work()
        people.busy -= 1

    operator = Operator(cluster)
    scheduler.process("operator", operator.run)
    scheduler.actor("accident", operator.lose_one)
    people.busy += 1
    scheduler.actor("company", day)
    scheduler.run(lambda: people.busy == 0, WORK_SECONDS)
    scheduler.note("faults end")
    faults.off()
    for _ in range(ROUNDS):
        scheduler.run(lambda: operator.is_done() and cluster.is_at_rest(), REST_SECONDS)
        cluster.note_rest()
        if not _settled(cluster, people):
            return
    raise Stuck("there is always something to settle")
