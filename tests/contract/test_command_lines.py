"""Every command line ends without a word when its reader has gone, whatever it was about to print."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from chassis.catalogue import Catalogue
from chassis.messaging.consumer import Fenced
from chassis.messaging.dead_letters import DeadLetter, DeadLetters
from chassis.messaging.partitions import TopicsDamaged
from chassis.run import cli
from chassis.run.main import main

REPOSITORY = Path(__file__).parents[2]
MODULES = sorted(
    ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__main__")
    for folder in ("contracts", "chassis", "services", "deploy")
    for path in (REPOSITORY / folder).rglob("*.py")
    if re.search(r'^if __name__ == "__main__":', path.read_text(encoding="utf-8"), re.MULTILINE)
)
TELLING = {
    "chassis.run.main": ["dlq", "groups"],
    "deploy.local": ["env"],
    "deploy.devstack": ["env"],
}


def unread(module: str, *arguments: str, errors_too: bool = False, at_once: str = "") -> tuple[int, str]:
    """Exit code and standard error of a command line whose output nobody reads.

    `at_once`: each line is written as it comes (PYTHONUNBUFFERED), not all of them at the end.
    """
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            stdout=write,
            stderr=write if errors_too else subprocess.PIPE,
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONUNBUFFERED": at_once},
            timeout=60,
            check=False,
        )
    finally:
        os.close(write)
    return done.returncode, (done.stderr or b"").decode()


def test_there_are_such_command_lines() -> None:
    assert set(TELLING) < set(MODULES) and "deploy.demo" in MODULES


@pytest.mark.parametrize("module", MODULES)
def test_help_that_nobody_reads(module: str) -> None:
    assert unread(module, "--help") == (141, "")
    assert unread(module, "--help", errors_too=True) == (141, "")


@pytest.mark.parametrize("at_once", ["", "1"])
@pytest.mark.parametrize("module", TELLING)
def test_an_answer_that_nobody_reads(module: str, at_once: str) -> None:
    assert unread(module, *TELLING[module], at_once=at_once) == (141, "")


def test_a_mistake_is_told_where_somebody_reads_of_it() -> None:
    code, told = unread("chassis.run.main", "no-such-command")
    assert code in (2, 141) and (told == "" or "no-such-command" in told)


@pytest.mark.parametrize("words", [["views", "list"], ["topics", "check"]], ids=" ".join)
def test_a_server_that_is_away_is_one_line_with_the_way_out(words: list[str]) -> None:
    """The first looks of the runbooks: they are had while servers are away."""
    nobody = "127.0.0.1:1"
    done = subprocess.run(
        [sys.executable, "-m", "chassis.run.main", *words],
        cwd=REPOSITORY,
        env={
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": nobody,
            "MONGODB_URI": f"mongodb://{nobody}/?serverSelectionTimeoutMS=500",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    told = [line for line in done.stderr.splitlines() if line.startswith("salestream: ")]
    assert len(told) == 1 and nobody in told[0] and "make up" in told[0], done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("error", [TopicsDamaged("x.dlq does not exist"), Fenced("another rebuild")], ids=repr)
@pytest.mark.parametrize(
    ("words", "does"),
    [
        (["views", "rebuild", "orders"], "_views"),
        (["dlq", "list", "orders"], "_dead_letters"),
        (["dlq", "replay", "orders"], "_dead_letters"),
        (["topics", "reset", "orders.events"], "_topics"),
        (["verify"], "_verify"),
    ],
    ids=lambda one: one if isinstance(one, str) else " ".join(one),
)
def test_a_lost_topic_is_one_line_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], does: str, error: Exception
) -> None:
    """What operators ask when a topic was lost says so, and not where in the code it was noticed."""

    def fails(*_: object) -> int:
        raise error

    monkeypatch.setattr(cli, does, fails)
    assert main(words) == 1
    assert capsys.readouterr() == ("", f"salestream: {error}\n")


def test_a_file_that_is_not_there_is_told_and_no_server_is_blamed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "stores"))
    monkeypatch.setattr(cli, "existing_store", lambda *_: pytest.fail("no store is needed"))
    monkeypatch.setattr(Catalogue, "with_role", lambda *_: [])
    heads = str(tmp_path / "no such folder" / "heads")
    assert main(["audit", "verify", "--heads", heads]) == 1
    assert capsys.readouterr() == ("", f"salestream: {heads}: No such file or directory\n")


@pytest.mark.parametrize("action", ["show", "replay", "drop"])
def test_dead_letters_are_acted_on_only_if_all_that_were_named_are_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], action: str
) -> None:
    """A number that was mistyped is told, and nothing is done to the others."""
    letter = DeadLetter(number=5, key="k", type="t", reason="r", origin="orders.events:0@1", value=b"{}", headers=())
    monkeypatch.setattr(DeadLetters, "waiting", lambda _: [letter])
    assert main(["dlq", action, "orders", "--number", "5", "99", "7"]) == 1
    assert capsys.readouterr().out == "No record 7, 99 is set aside: nothing was done.\n"
