"""Runs from many seeds hold every invariant; the same seed is the same run; a planted mistake is found."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from io import StringIO
from multiprocessing import cpu_count, get_context
from pathlib import Path

import pytest

from .bugs import BUGS, Bug, commands_of_the_saga_not_remembered
from .run import Verdict, simulate

SEEDS = 200
FORGETFUL_SEEDS = 50
TRIES = 60  # seeds within which a planted mistake must be found
ROOT = Path(__file__).resolve().parents[2]
POINTS = {
    "before append", "after append", "before publish", "after publish", "before acknowledgement",
    "after acknowledgement", "before saving a position", "after saving a position", "before poll", "after poll",
    "in view commit", "before view commit", "after view commit", "reading a store", "reading views", "writing views",
}  # fmt: skip


def test_every_seed_holds_every_invariant_and_processes_die_at_every_point() -> None:
    with get_context("fork").Pool(cpu_count()) as pool:
        verdicts: list[Verdict] = pool.map(simulate, range(SEEDS), chunksize=5)
    broken = [verdict for verdict in verdicts if verdict.broken]
    told = "\n".join(f"seed {verdict.seed}: {verdict.broken}\nreplay: {verdict.replay}" for verdict in broken)
    assert not broken, f"{len(broken)} of {SEEDS} seeds\n{told}"
    assert sum(verdict.orders for verdict in verdicts) > SEEDS
    crashes: Counter[str] = Counter()
    for verdict in verdicts:
        crashes.update(verdict.crashes)
    assert set(crashes) == POINTS


def test_what_the_inboxes_do_not_remember_breaks_nothing() -> None:
    """The results of the saga's commands are forgotten one day (ADR 0032); here they were never remembered."""
    with commands_of_the_saga_not_remembered(), get_context("fork").Pool(cpu_count()) as pool:
        verdicts = pool.map(simulate, range(FORGETFUL_SEEDS), chunksize=5)
    assert not [f"seed {verdict.seed}: {verdict.broken}" for verdict in verdicts if verdict.broken]


def test_the_same_seed_is_the_same_run() -> None:
    """Also in other processes, whose sets and dictionaries have another order and whose modules came in another."""
    program = "from tests.simulation.run import simulate; print(*[simulate(seed).digest for seed in (3, 17)])"
    otherwise = "import services.notices.application; "
    running = [
        subprocess.Popen(
            [sys.executable, "-c", first + program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
            cwd=ROOT, stdout=subprocess.PIPE, text=True,
        )
        for hash_seed, first in (("0", ""), ("4711", otherwise))
    ]  # fmt: skip
    here = [simulate(seed) for seed in (3, 17)]
    elsewhere = {process.communicate()[0].strip() for process in running}
    assert [process.returncode for process in running] == [0, 0]
    assert elsewhere == {" ".join(verdict.digest for verdict in here)}
    assert here[0].digest != here[1].digest


def test_a_trace_tells_every_step_and_changes_nothing() -> None:
    out = StringIO()
    verdict = simulate(3, out)
    assert verdict.digest == simulate(3).digest
    assert len(out.getvalue().splitlines()) == verdict.steps


@pytest.mark.parametrize(("bug", "expected"), BUGS.items(), ids=[bug.__name__ for bug in BUGS])
def test_a_planted_mistake_is_found(bug: Bug, expected: tuple[str, int]) -> None:
    invariant, first = expected
    found: Counter[str] = Counter()
    with bug():
        for verdict in map(simulate, range(first, first + TRIES)):
            found.update(line.partition(":")[0] for line in verdict.broken.splitlines())
            if invariant in found:
                return
    pytest.fail(f"{TRIES} seeds did not break {invariant}, but {dict(found)}")
