"""What asking "may they, and on this record?" costs each command, with 10,000 users known."""

import time
import tracemalloc
from uuid import UUID, uuid4

from chassis.access.directory import Directory
from chassis.catalogue import known_everywhere
from chassis.model.principal import Principal
from contracts.access import UserIssued, UserState

from .report import Bar, Figure, Report

USERS = 10_000
TEAM = 20
CHECKS = 5_000


def measure(report: Report) -> None:
    """A user's admission, right and reach, as on the command path; the memory that 10,000 users take."""
    directory, ids, megabytes = _filled()
    for id in ids[:CHECKS]:
        _check(directory, id)
    seconds = []
    for id in ids[:CHECKS]:
        started = time.perf_counter()
        _check(directory, id)
        seconds.append(time.perf_counter() - started)
    report.add(
        Figure("rights_check_us", [taken * 1e6 for taken in seconds], bar=Bar(50, 10, at_most=True)),
        Figure("directory_10k_users_mb", [megabytes], bar=Bar(50, 10, at_most=True)),
    )


def _filled() -> tuple[Directory, list[UUID], float]:
    """A company of teams of twenty, each led by its first."""
    ids = [uuid4() for _ in range(USERS)]
    tracemalloc.start()  # what the process holds would not grow where earlier measurements have left room
    directory = Directory(known_everywhere())
    for number, id in enumerate(ids):
        leads = number % TEAM == 0
        state = UserState(
            login=str(number),
            name=f"User {number}",
            status="ACTIVE",
            revision=1,
            roles=("SUP",) if leads else ("SAL",),
            superior_id=None if leads else ids[number - number % TEAM],
        )
        directory.tell([UserIssued(user_id=id, user=state)])
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return directory, ids, held / 2**20


def _check(directory: Directory, id: UUID) -> None:
    caller = directory.admit(Principal(id, "", frozenset(), session_id=id))
    caller.require("orders.edit")
    assert caller.reach("orders.edit").covers(id)
