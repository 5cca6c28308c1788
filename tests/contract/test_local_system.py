"""The system of a folder: every command on it uses the store that its data was made with."""

from pathlib import Path

import pytest

from deploy.devstack.errors import DevstackError
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
