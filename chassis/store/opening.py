"""Opening the store of a service, wherever the settings say it is."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from eventsourcing.utils import Environment
from psycopg.sql import SQL, Identifier

from chassis.foundation.config import Config, ConfigError
from chassis.foundation.connections import postgres_conninfo, postgres_parameters
from chassis.foundation.private_files import private_file, private_folder, tighten
from chassis.store.doorbell import PostgresBell, local_bell
from chassis.store.event_store import EventStore
from chassis.store.memory import MemoryRecorder
from chassis.store.postgres import PostgresRecorder, PostgresStores, alone, postgres_env
from chassis.store.publishing_lock import FileLock, PostgresLock
from chassis.store.sqlite import SQLiteReads, SQLiteRecorder, Waits, here


def open_store(name: str, config: Config, waits: Waits = here) -> EventStore:
    """Open (and if need be create) the store of a service.  Raises ConfigError.

    SQLite waits for the disk by way of `waits`; PostgreSQL's driver knows how to wait under eventlet.
    """
    if config.event_store == "memory":
        return EventStore(name, MemoryRecorder())
    if config.event_store == "sqlite":
        path = private_file(private_folder(Path(config.data_dir)) / f"{name}.sqlite")
        for beside in ("-wal", "-shm"):  # new ones SQLite makes as private as the store
            tighten(path.with_name(path.name + beside))
        with _alone(path.with_suffix(".opening")):
            sqlite = SQLiteRecorder(SQLiteReads(str(path), lock_timeout=30, waits=waits))
            sqlite.create_table()
        return EventStore(name, sqlite, local_bell(path), FileLock(path.with_suffix(".publishing")))
    parameters, conninfo = postgres_parameters(config), postgres_conninfo(config)
    postgres = PostgresStores(Environment(name, postgres_env(name, parameters)))
    assert isinstance(postgres.datastore.pool.kwargs, dict)
    postgres.datastore.pool.kwargs |= parameters  # TLS and all that the library has no setting for
    with alone(conninfo) as connection:
        # IF NOT EXISTS would ask for the right to make schemas also where an administrator has made this one.
        if not connection.execute("SELECT FROM pg_namespace WHERE nspname = %s", [name]).fetchall():
            connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(name)))
        recorder = cast(PostgresRecorder, postgres.process_recorder())
        bell = PostgresBell(conninfo, recorder.channel_name)
        return EventStore(name, recorder, bell, PostgresLock(conninfo, name))


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process at a time makes the tables of a store: the library's own migration ends all others but one."""
    with private_file(path).open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def existing_store(name: str, config: Config) -> EventStore:
    """Open the store of a service to look at it.  Raises ConfigError when there is none."""
    path = Path(config.data_dir) / f"{name}.sqlite"
    if config.event_store == "sqlite" and not path.exists():
        raise ConfigError(f"{path} does not exist")
    store = open_store(name, config)
    store.last_position()
    return store
