"""The system of a folder: every command on it uses the store that its data was made with."""

import os
import re
import subprocess
from pathlib import Path
from unittest.mock import Mock, patch

import pytest

from deploy.devstack.__main__ import print_status
from deploy.devstack.errors import DevstackError
from deploy.devstack.server import STOPPED
from deploy.local.system import EVENT_STORE, LocalSystem


def system(folder: Path, **more: str) -> LocalSystem:
    return LocalSystem.from_env({"DEVSTACK_DIR": str(folder), **more})


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_what_is_not_told_of_the_store_is_what_the_data_was_made_with(tmp_path: Path, kind: str) -> None:
    made = system(tmp_path, EVENT_STORE=kind)
    made._require_same_event_store()
    again = system(tmp_path)
    assert again.settings()["EVENT_STORE"] == kind
    assert ("POSTGRES_URL" in again.settings()) == (kind == "postgres")
    again._require_same_event_store()


def test_another_store_is_refused_with_the_way_out_that_keeps_the_data_first(tmp_path: Path) -> None:
    system(tmp_path, EVENT_STORE="postgres")._require_same_event_store()
    with pytest.raises(DevstackError, match="Leave EVENT_STORE out"):
        system(tmp_path, EVENT_STORE="sqlite")._require_same_event_store()
    assert (tmp_path / EVENT_STORE).read_text() == "postgres"


def test_a_folder_without_data_begins_with_sqlite(tmp_path: Path) -> None:
    assert system(tmp_path).settings()["EVENT_STORE"] == "sqlite"


def test_servers_with_passwords_stay_so_without_being_told_again(tmp_path: Path) -> None:
    """The next command on a folder met a system that was not healthy, or started its servers for everybody."""
    made = system(tmp_path, DEVSTACK_SECURE="1")
    again = system(tmp_path)
    assert again.settings()["KAFKA_PASSWORD"] == made.settings()["KAFKA_PASSWORD"]
    assert "tls=true" in again.settings()["MONGODB_URI"]
    again.down(wipe=True)
    assert "KAFKA_PASSWORD" not in system(tmp_path).settings(), "what is wiped begins anew"


@pytest.mark.parametrize("server", ["kafka", "mongo"])
def test_data_is_not_used_with_other_security_than_it_was_made_with(tmp_path: Path, server: str) -> None:
    (tmp_path / server).mkdir()
    with pytest.raises(DevstackError, match="Leave DEVSTACK_SECURE out"):
        system(tmp_path, DEVSTACK_SECURE="1")
    assert not (tmp_path / "tls").exists()
    other = tmp_path / "other"
    system(other, DEVSTACK_SECURE="1")
    with pytest.raises(DevstackError, match="Leave DEVSTACK_SECURE out"):
        system(other, DEVSTACK_SECURE="0")


# -- a system that is stopped -----------------------------------------------------------------------------------------

REPOSITORY = Path(__file__).parents[2]
STARTS = {"up", "demo"}


def targets_that_run_it() -> list[str]:
    """The targets of the Makefile under `running it`, but for those that start it themselves."""
    _, _, section = (REPOSITORY / "Makefile").read_text(encoding="utf-8").partition("# -- running it")
    found = re.findall(r"^([a-z-]+): \$\(READY\)", section.partition("# -- testing it")[0], re.MULTILINE)
    return [name for name in found if name not in STARTS]


@pytest.mark.parametrize("target", targets_that_run_it())
def test_a_target_that_meets_no_running_system_says_so_and_makes_nothing(tmp_path: Path, target: str) -> None:
    home = tmp_path / "devstack"
    done = subprocess.run(
        ["make", "--no-print-directory", target],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "DEVSTACK_DIR": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    told = done.stdout + done.stderr
    assert "make up" in told or "was not running" in told
    assert not any(word in told for word in ("NOT HEALTHY", "Traceback", "Errno", "not looked")), told
    assert (done.returncode == 0) == (target in ("down", "wipe", "status")), told
    assert not home.exists()


def test_there_are_such_targets() -> None:
    assert {"status", "down", "wipe", "verify", "token"} <= set(targets_that_run_it())


def test_what_does_not_run_here_is_stopped_whoever_answers_on_its_port(tmp_path: Path) -> None:
    made = system(tmp_path)
    with patch.object(made.api, "healthy", return_value=True):
        assert made.api.state() == "stopped"
    with pytest.raises(DevstackError, match=r"Salestream is stopped.  Start it with `make up`"):
        made.require_running(made.stack.servers)
    given = system(tmp_path, MONGODB_URI="mongodb://198.51.100.1:1/")
    with patch.object(given.stack.mongo, "healthy", return_value=True):
        assert given.stack.mongo.state() == "healthy", "a server of somebody else is asked"


@pytest.mark.parametrize(
    ("states", "code", "told"),
    [
        (("healthy", "healthy"), 0, ""),
        (("healthy", "NOT HEALTHY"), 1, "NOT HEALTHY"),
        (("healthy", "stopped"), 1, "Server 1: stopped.  `make up` starts what is missing."),
        (("NOT HEALTHY", "stopped"), 1, "`make up` starts what is missing."),
        (("stopped", "stopped"), STOPPED, "Salestream is stopped.  Start it with `make up`."),
    ],
)
def test_the_exit_code_tells_what_is_stopped_from_what_is_ill(
    capsys: pytest.CaptureFixture[str], states: tuple[str, ...], code: int, told: str
) -> None:
    servers = [
        Mock(title=f"Server {number}", external=False, **{"state.return_value": state})
        for number, state in enumerate(states)
    ]
    assert print_status(servers, lambda _: "", "Salestream", "make up") == code
    assert told in capsys.readouterr().out
