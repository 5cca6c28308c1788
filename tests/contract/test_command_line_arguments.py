"""What is typed in another order, left out or mistyped is understood or told in words, never as a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from kafka.errors import SecurityDisabledError

from chassis.catalogue import Catalogue
from chassis.run import cli
from chassis.run.main import ROLES, main
from chassis.run.topics import Topics


@pytest.fixture(autouse=True)
def nothing_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No command reaches a store, a key or a server."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "stores"))
    monkeypatch.setenv("TOKEN_KEY_DIR", str(tmp_path / "keys"))
    monkeypatch.setattr(cli, "run_worker", lambda *_: pytest.fail("nothing is to run"))


def code_of(words: list[str]) -> int:
    try:
        return main(words)
    except SystemExit as ended:
        return int(str(ended.code))


@pytest.mark.parametrize("order", ["republish --force orders.events", "republish orders.events --force"])
def test_a_topic_is_republished_by_force_in_either_order(monkeypatch: pytest.MonkeyPatch, order: str) -> None:
    asked: list[Any] = []

    def republish(_: Topics, name: str, *, force: bool) -> int:
        asked.append((name, force))
        return 0

    monkeypatch.setattr(Topics, "republish", republish)
    assert main(["topics", *order.split()]) == 0
    assert asked == [("orders.events", True)]


def test_topics_without_an_action_creates_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "create_topics", lambda *_: ["orders.events"])
    assert main(["topics"]) == main(["topics", "create"]) == 0


WRONG = {
    "topics republish": "topic",
    "topics reset --force orders.events": "--force",
    "topics check orders.events": "orders.events",
    "topics create --force": "--force",
    "topics rest orders.events": "invalid choice: 'rest'",
    "dlq list": "group",
    "dlq groups reports": "reports",
    "dlq groups --number 1": "--number",
    "dlq list reports --number": "--number",
    "dlq list nobody": "there is no group 'nobody'; there are ",
    "verify --wait nan": "--wait: 'nan' is no number from 0 to ",
    "verify --wait -5": "--wait: '-5' is no number from 0 to ",
    "verify --wait inf": "--wait: 'inf' is no number from 0 to ",
    "verify --service": "--service",
    "verify --service nobody": "unknown service nobody",
    "token li --hours nan": "--hours: 'nan' is no number from 0 to ",
    "token li --hours 1e300": "--hours: '1e300' is no number from 0 to ",
    "token li --hours soon": "--hours: 'soon' is no number from 0 to ",
    "administrator ": "login: ",
    "audit head --service gateway": "gateway has no audit log",
    "audit verify --service reports gateway": "reports, gateway have no audit log",
    "run relay --service gateway": "there is nothing to run: gateway has not the role relay",
    "run saga --service orders reports": "there is nothing to run: orders, reports have not the role saga",
    "run worker --service gateway": "there is nothing to run: gateway has not the role relay, projector or saga",
}


@pytest.mark.parametrize("words", WRONG)
def test_what_is_wrong_is_told_in_words(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(words.split(" ")) == 2
    told = capsys.readouterr()
    assert WRONG[words] in told.err.splitlines()[-1] and not told.out


def test_an_api_of_a_service_that_serves_nothing_is_told_too() -> None:
    """In a process of its own: it changes how Python waits."""
    done = subprocess.run(
        [sys.executable, "-m", "chassis.run.main", "run", "api", "--service", "fulfilment"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "salestream: there is nothing to run: fulfilment has not the role api\n"


@pytest.mark.parametrize("role", ROLES)
def test_names_that_follow_one_another_are_shown_behind_what_must_be_there(
    role: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--service orders api` takes api for a service: the usage must not lead there."""
    assert code_of(["run", "--service", "orders", role]) == 2
    assert "usage: salestream run ROLE [--service NAME ...]" in capsys.readouterr().err


def test_a_file_of_heads_that_is_no_text_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(Catalogue, "with_role", lambda *_: [])
    heads = tmp_path / "heads"
    heads.write_bytes(b"\xff\xfe\x00\n")
    assert main(["audit", "verify", "--heads", str(heads)]) == 2
    assert "a line that none of our keys has signed" in capsys.readouterr().err


def test_a_server_that_refuses_is_not_said_to_be_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*_: object) -> int:
        raise SecurityDisabledError("Security features are disabled.")

    monkeypatch.setattr(cli, "apply", refused)
    assert main(["grants", "--apply"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("salestream: Kafka refuses: ") and "Security features are disabled." in told
    assert "does not answer" not in told and told.count("\n") == 1
