"""Where the keys of persons are kept, on a disk and on a real PostgreSQL: one suite for all of them (CPL-01)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from chassis.foundation.config import Config, ConfigError
from chassis.foundation.transient import is_transient
from chassis.persons.keys import KeyStore
from chassis.persons.opening import MASTER, open_keys

KEYS = {uuid4(): sha256(str(number).encode()).digest() for number in range(1_200)}
HANA, KEY = next(iter(KEYS.items()))


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Config:
    config = Config(event_store=request.param, data_dir=str(tmp_path / "stores"), token_key_dir=str(tmp_path / "keys"))
    if request.param == "postgres":
        config = replace(config, postgres_url=request.getfixturevalue("postgres_url"))
        with psycopg.connect(config.postgres_url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA IF EXISTS persons CASCADE")
    return config


@pytest.fixture
def store(config: Config) -> Iterator[KeyStore]:
    opened = open_keys(config)
    yield opened
    opened.close()


def test_keys_are_found_again_and_the_first_that_was_kept_is_the_one(store: KeyStore) -> None:
    assert store.add(KEYS) == KEYS
    assert store.find(list(KEYS)) == KEYS
    assert store.find([uuid4()]) == {}
    assert store.add({HANA: b"another one" * 3}) == {HANA: KEY}


def test_a_destroyed_key_is_told_from_one_that_never_was_and_takes_no_new_one(store: KeyStore) -> None:
    store.add({HANA: KEY})
    assert store.destroy(HANA)
    assert not store.destroy(HANA)
    assert store.find([HANA]) == {HANA: None}
    assert store.add({HANA: KEY}) == {HANA: None}
    stranger = uuid4()
    assert not store.destroy(stranger)
    assert store.add({stranger: KEY}) == {stranger: None}


def test_another_process_finds_the_keys_and_which_were_destroyed(config: Config, store: KeyStore) -> None:
    if config.event_store == "memory":
        return  # ends with its process
    other = open_keys(config)
    store.add({HANA: KEY})
    assert other.find([HANA]) == {HANA: KEY}
    other.destroy(HANA)
    assert store.find([HANA]) == {HANA: None}
    other.close()


def test_keys_are_sealed_with_the_master_key_and_nothing_of_a_destroyed_one_stays_in_the_file(
    config: Config, store: KeyStore
) -> None:
    store.add(KEYS)
    if config.event_store == "sqlite":
        file = Path(config.data_dir) / "persons.sqlite"
        assert file.stat().st_mode & 0o777 == 0o600
        files = [path.read_bytes() for path in file.parent.iterdir()]
        assert not any(key in content for key in KEYS.values() for content in files)
        [(kept,)] = store._db.execute("SELECT key FROM person_keys WHERE person = ?", [str(HANA)])  # type: ignore[attr-defined]
        assert any(kept in content for content in files)
        store.destroy(HANA)
        assert not [path for path in file.parent.iterdir() if kept in path.read_bytes()]
    if config.event_store == "postgres":
        with psycopg.connect(config.postgres_url) as connection:
            kept_keys = {bytes(kept) for (kept,) in connection.execute("SELECT key FROM persons.person_keys")}
        assert len(kept_keys) == len(KEYS)
        assert not any(KEY in kept for kept in kept_keys)


def test_who_has_another_master_key_is_told_so_and_reads_nothing(config: Config, store: KeyStore) -> None:
    if config.event_store == "memory":
        return
    store.add({HANA: KEY})
    master = Path(config.token_key_dir) / MASTER
    master.write_bytes(bytes(32))
    with pytest.raises(ConfigError, match=r"persons\.key"):
        open_keys(config)
    master.write_bytes(b"short")
    with pytest.raises(ConfigError, match="holds 5 bytes"):
        open_keys(config)


def test_a_connection_that_was_cut_may_work_the_next_time(config: Config, store: KeyStore) -> None:
    if config.event_store != "postgres":
        return
    store.add({HANA: KEY})
    assert store.find([HANA]) == {HANA: KEY}, "by a statement that is found below"
    with psycopg.connect(config.postgres_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
            "AND query LIKE '%person_keys%'"
        )
    with pytest.raises(psycopg.OperationalError) as cut:
        store.find([HANA])
    assert is_transient(cut.value)
    assert store.find([HANA]) == {HANA: KEY}


def test_keys_of_persons_named_in_any_order_by_two_at_once_stop_nobody(config: Config, store: KeyStore) -> None:
    people: list[UUID] = list(KEYS)
    store.add({person: KEYS[person] for person in people})
    found = store.add({person: KEYS[person] for person in reversed(people)})
    assert found == KEYS


def test_while_another_process_writes_the_keys_only_what_needs_one_waits(tmp_path: Path) -> None:
    """CPL-01: it waited in the thread of all requests, and the whole api stood still for as long."""
    config = Config(event_store="sqlite", data_dir=str(tmp_path / "stores"), token_key_dir=str(tmp_path / "keys"))
    open_keys(config).close()
    other = sqlite3.connect(tmp_path / "stores" / "persons.sqlite", isolation_level=None)
    waited: list[str] = []
    stranger = uuid4()

    def aside(wait: Callable[[], None]) -> None:
        """Run it where it may wait; the other process ends only once it is run there."""
        if other.in_transaction:
            assert ThreadPoolExecutor(1).submit(keys.find, [stranger]).result(timeout=10) == {}
            other.execute("COMMIT")
        wait()
        waited.append(wait.__name__)

    keys = open_keys(config, aside)
    for change in (lambda: keys.add({HANA: KEY}), lambda: keys.destroy(HANA)):
        waited.clear()
        other.execute("BEGIN IMMEDIATE")
        change()
        assert waited == ["_begin", "_commit"]
    keys.close()
    other.close()
