"""Some faults, with few rounds, in every run of the tests; `make chaos` has all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .faults import load
from .run import FAULTS, Runner

load()

ROUNDS = {1: 1, 2: 1, 3: 1, 18: 3, 19: 3, 20: 4, 13: 1}
"""Fault -> rounds, in the order in which they share a system: 13 leaves records that nobody can read."""


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    folder: Path = tmp_path_factory.mktemp("chaos")
    with Runner(folder / "system", folder / "histories", print) as runner:
        yield runner


@pytest.mark.parametrize("number", ROUNDS)
def test_fault(runner: Runner, number: int) -> None:
    result = runner.run(FAULTS[number], rounds=ROUNDS[number])
    assert result.result == "pass", result.reason
