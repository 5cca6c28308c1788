"""Logging on a disk that is full, into a pipe that nobody reads, and of what can't be written."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from chassis.foundation import metrics
from chassis.foundation.logs import CALLS, SurvivingStream, never_failing

FULL = Path("/dev/full")  # every write to it fails with ENOSPC


def lost() -> float:
    return float(metrics.LOG_LINES_LOST._value.get())


def test_a_line_that_can_not_be_written_is_counted_and_told_of_later(tmp_path: Path) -> None:
    target, full = os.open(tmp_path / "log", os.O_CREAT | os.O_WRONLY), os.open(FULL, os.O_WRONLY)
    stream, before = SurvivingStream(os.dup(full)), lost()
    stream.write("one\n")
    stream.write("two\n")
    assert lost() - before == 2
    os.dup2(target, stream.fileno())  # there is room again
    stream.write("three\n")
    told, line = (tmp_path / "log").read_text().splitlines()
    assert (json.loads(told)["event"], json.loads(told)["lines"], line) == ("log lines were lost", 2, "three")
    stream.write("four\n")
    assert (tmp_path / "log").read_text().splitlines()[2:] == ["four"]
    for descriptor in (target, full, stream.fileno()):
        os.close(descriptor)


def test_a_line_cut_off_in_its_middle_does_not_spoil_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = os.open(tmp_path / "log", os.O_CREAT | os.O_WRONLY)
    stream, write, room = SurvivingStream(target), os.write, iter([3])

    def nearly_full(descriptor: int, data: bytes) -> int:
        part = next(room, None)
        if part is None:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[:part])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", nearly_full)
        stream.write("a long line\n")
    stream.write("next\n")
    first, told, last = (tmp_path / "log").read_text().splitlines()
    assert (first, json.loads(told)["lines"], last) == ("a l", 1, "next")
    os.close(target)


def test_a_pipe_that_nobody_reads_is_survived() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    before = lost()
    SurvivingStream(writing).write("nobody hears it\n")
    os.close(writing)
    assert lost() - before == 1


class Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError("can't be told")


@pytest.fixture
def written() -> Iterator[list[str]]:
    lines: list[str] = []
    yield lines


@pytest.mark.parametrize("name", CALLS)
def test_no_call_of_a_logger_raises(name: str, written: list[str]) -> None:
    class Logger:
        def __getattr__(self, _: str) -> Callable[[str], None]:
            return written.append

    made: Any = never_failing(structlog.make_filtering_bound_logger(0))
    logger = made(Logger(), [structlog.processors.JSONRenderer()], {})
    call = getattr(logger, name)
    level = (30,) if name == "log" else ()
    before = lost()
    call(*level, "said", what=Unspeakable())
    call(*level, "%d", "no number")
    assert lost() - before == 2
    call(*level, "said", what="\ud800 half of a sign")
    assert len(written) == 1
    assert lost() - before == 2


PROGRAM = """
import logging, sys, warnings
import structlog
from chassis.foundation import metrics
from chassis.foundation.logs import configure_logging
configure_logging("INFO")
structlog.get_logger().info("structlog")
logging.getLogger("library").warning("standard %s", "library")
print("printed", flush=True)
print("printed to stderr", file=sys.stderr)
warnings.warn("warned")
sys.stdout.flush()
with open(sys.argv[1], "w") as result:
    result.write(f"survived {metrics.LOG_LINES_LOST._value.get():.0f}")
"""


@pytest.mark.parametrize("where", ["full disk", "closed pipe", "closed from the start"])
def test_every_way_to_say_something_survives(where: str, tmp_path: Path) -> None:
    result = tmp_path / "result"
    command = [sys.executable, "-c", PROGRAM, str(result)]
    if where == "full disk":
        with FULL.open("wb") as full:
            subprocess.run(command, stdout=full, stderr=full, check=False, timeout=60)
    elif where == "closed pipe":
        reading, writing = os.pipe()
        os.close(reading)
        subprocess.run(command, stdout=writing, stderr=writing, check=False, timeout=60)
        os.close(writing)
    else:
        subprocess.run(["sh", "-c", 'exec "$@" >&- 2>&-', "sh", *command], check=False, timeout=60)
    survived, _, number = result.read_text().partition(" ")
    assert survived == "survived"
    assert (int(number) >= 5) == (where != "closed from the start")


def test_whatever_is_said_is_one_json_object_a_line(tmp_path: Path) -> None:
    program = PROGRAM.replace('print("printed", flush=True)\nprint("printed to stderr", file=sys.stderr)\n', "")
    program = program.replace('warnings.warn("warned")\n', "").replace('"standard %s", "library"', "'say \"x\"'")
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "result")], capture_output=True, check=True, timeout=60
    )
    [ours], [theirs] = ([json.loads(line) for line in text.splitlines()] for text in (done.stdout, done.stderr))
    assert (ours["event"], ours["level"]) == ("structlog", "info")
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ('say "x"', "warning", "library")
