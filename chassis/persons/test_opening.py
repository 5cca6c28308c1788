"""Whether a process that is to use the keys of persons has them (CPL-01)."""

from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from chassis.foundation.config import Config, ConfigError
from chassis.persons.opening import FILE, open_keys


@pytest.fixture
def config(tmp_path: Path) -> Config:
    stores, keys = str(tmp_path / "stores"), str(tmp_path / "keys")
    return replace(Config(), event_store="sqlite", data_dir=stores, token_key_dir=keys)


def test_cpl_01_a_process_does_not_begin_where_the_keys_of_its_persons_are_gone(config: Config) -> None:
    data = Path(config.data_dir)
    store, person = open_keys(config), uuid4()
    store.add({person: b"k" * 32})
    store.close()
    (data / "orders.sqlite").touch()
    kept = (data / FILE).rename(data / "elsewhere")
    for _ in range(2):
        with pytest.raises(ConfigError, match=rf"no .*{FILE}.*Restore it") as refused:
            open_keys(config)
        assert str(data) in str(refused.value) and not (data / FILE).exists(), "no empty one is made"
    kept.rename(data / FILE)
    again = open_keys(config)
    assert again.find([person]) == {person: b"k" * 32}
    again.close()


def test_a_new_system_begins_without_keys_also_with_a_master_key_of_before(config: Config) -> None:
    open_keys(config).close()
    (Path(config.data_dir) / FILE).unlink()
    open_keys(config).close()
    assert (Path(config.data_dir) / FILE).exists()
