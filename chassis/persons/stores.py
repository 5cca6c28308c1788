"""Where the keys of persons are kept: SQLite, PostgreSQL, or the memory of a process.

Each key is itself sealed with the master key of the installation, which lies in a file beside the signing key: who has
a backup of the keys alone can read nothing.  A destroyed key leaves its person's id and when that was.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chassis.foundation.config import ConfigError
from chassis.store.sqlite import Waits, here
from contracts.personal import NONCE_BYTES

AT_ONCE = 500
"""Keys in one statement."""


class Wrapping:
    """Seals keys with the master key."""

    def __init__(self, master: bytes) -> None:
        self._cipher = AESGCM(master)

    def wrap(self, person: UUID, key: bytes) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, key, person.bytes)

    def unwrap(self, person: UUID, kept: bytes) -> bytes:
        """Raises ConfigError for a key that was sealed with another master key."""
        try:
            return self._cipher.decrypt(kept[:NONCE_BYTES], kept[NONCE_BYTES:], person.bytes)
        except InvalidTag:
            raise ConfigError(
                "The keys of persons were sealed with another persons.key: restore that file from a backup."
            ) from None


class MemoryKeys:
    """Keys that end with the process."""

    def __init__(self) -> None:
        self._keys: dict[UUID, bytes | None] = {}
        self._lock = threading.Lock()

    def any(self) -> Sequence[UUID]:
        with self._lock:
            return [person for person, key in self._keys.items() if key is not None][:1]

    def find(self, persons: Sequence[UUID]) -> Mapping[UUID, bytes | None]:
        with self._lock:
            return {person: self._keys[person] for person in persons if person in self._keys}

    def all(self) -> Mapping[UUID, bytes]:
        with self._lock:
            return {person: key for person, key in self._keys.items() if key is not None}

    def add(self, keys: Mapping[UUID, bytes]) -> Mapping[UUID, bytes | None]:
        with self._lock:
            self._keys = {**keys, **self._keys}
            return {person: self._keys[person] for person in keys}

    def destroy(self, person: UUID) -> bool:
        with self._lock:
            had = self._keys.get(person) is not None
            self._keys[person] = None
            return had

    def close(self) -> None:
        """Nothing to do."""


class SQLiteKeys:
    """A file of its own, in which nothing of a destroyed key stays: what is freed is overwritten, the log emptied."""

    def __init__(self, path: Path, wrapping: Wrapping, waits: Waits = here) -> None:
        """It waits for the disk, and for other processes that write, by way of `waits`."""
        self._wrapping, self._waits = wrapping, waits
        self._lock, self._reading = threading.Lock(), threading.Lock()
        self._db = self._connected(path)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA secure_delete=ON")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS person_keys "
            "(person TEXT PRIMARY KEY, key BLOB, destroyed_at TEXT) WITHOUT ROWID"
        )
        self._reader = self._connected(path)  # one of its own: who reads waits for nobody who writes

    def _connected(self, path: Path) -> sqlite3.Connection:
        return sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)

    def any(self) -> Sequence[UUID]:
        with self._reading:
            found = self._reader.execute("SELECT person FROM person_keys WHERE key IS NOT NULL LIMIT 1").fetchall()
        return [UUID(person) for (person,) in found]

    def find(self, persons: Sequence[UUID]) -> Mapping[UUID, bytes | None]:
        with self._reading:
            return self._find(self._reader, persons)

    def _find(self, connection: sqlite3.Connection, persons: Sequence[UUID]) -> dict[UUID, bytes | None]:
        found: dict[UUID, bytes | None] = {}
        for at in range(0, len(persons), AT_ONCE):
            some = [str(person) for person in persons[at : at + AT_ONCE]]
            asked = f"SELECT person, key FROM person_keys WHERE person IN ({','.join('?' * len(some))})"
            for person, kept in connection.execute(asked, some).fetchall():
                found[UUID(person)] = None if kept is None else self._wrapping.unwrap(UUID(person), kept)
        return found

    def add(self, keys: Mapping[UUID, bytes]) -> Mapping[UUID, bytes | None]:
        rows = [(str(person), self._wrapping.wrap(person, key)) for person, key in keys.items()]
        with self._lock, self._transaction():
            made = self._db.executemany("INSERT OR IGNORE INTO person_keys (person, key) VALUES (?, ?)", rows)
            return keys if made.rowcount == len(keys) else self._find(self._db, list(keys))

    def destroy(self, person: UUID) -> bool:
        with self._lock, self._transaction():
            had = self._find(self._db, [person]).get(person) is not None
            self._db.execute(
                "INSERT INTO person_keys (person, destroyed_at) VALUES (?, ?) ON CONFLICT (person) "
                "DO UPDATE SET key = NULL, destroyed_at = coalesce(destroyed_at, excluded.destroyed_at)",
                (str(person), datetime.now(UTC).isoformat()),
            )
        with self._lock:
            self._empty_log()
        return had

    def _empty_log(self) -> None:
        """Let the log hold nothing of before.  Raises OperationalError while another process reads on for too long."""
        [(busy, *_)] = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        if busy:
            raise sqlite3.OperationalError("the log of the keys can't be emptied while others read them: try again")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._waits(self._begin)
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._waits(self._commit)

    def _begin(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def _commit(self) -> None:
        self._db.execute("COMMIT")

    def close(self) -> None:
        with self._lock, self._reading:
            self._reader.close()
            self._db.close()


class PostgresKeys:
    """A schema of its own, `persons`.  A connection that was lost is made anew."""

    def __init__(self, conninfo: str, wrapping: Wrapping) -> None:
        self._conninfo, self._wrapping = conninfo, wrapping
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None

    def any(self) -> Sequence[UUID]:
        with self._connected() as connection:
            asked = "SELECT person FROM persons.person_keys WHERE key IS NOT NULL LIMIT 1"
            return [person for (person,) in connection.execute(asked).fetchall()]

    def find(self, persons: Sequence[UUID]) -> Mapping[UUID, bytes | None]:
        with self._connected() as connection:
            return self._find(connection, persons)

    def _find(self, connection: psycopg.Connection[Any], persons: Sequence[UUID]) -> dict[UUID, bytes | None]:
        asked = "SELECT person, key FROM persons.person_keys WHERE person = ANY(%s)"
        rows = connection.execute(asked, [list(persons)]).fetchall()
        return {person: None if kept is None else self._wrapping.unwrap(person, bytes(kept)) for person, kept in rows}

    def add(self, keys: Mapping[UUID, bytes]) -> Mapping[UUID, bytes | None]:
        rows = sorted((person, self._wrapping.wrap(person, key)) for person, key in keys.items())  # no two in a circle
        with self._connected() as connection, connection.transaction():
            made = connection.execute(
                "INSERT INTO persons.person_keys (person, key) SELECT * FROM unnest(%s::uuid[], %s::bytea[]) "
                "ON CONFLICT DO NOTHING",
                [[person for person, _ in rows], [kept for _, kept in rows]],
            )
            return keys if made.rowcount == len(keys) else self._find(connection, list(keys))

    def destroy(self, person: UUID) -> bool:
        with self._connected() as connection, connection.transaction():
            had = self._find(connection, [person]).get(person) is not None
            connection.execute(
                "INSERT INTO persons.person_keys (person, destroyed_at) VALUES (%s, now()) ON CONFLICT (person) "
                "DO UPDATE SET key = NULL, destroyed_at = coalesce(person_keys.destroyed_at, excluded.destroyed_at)",
                [person],
            )
            return had

    @contextmanager
    def _connected(self) -> Iterator[psycopg.Connection[Any]]:
        with self._lock:
            if self._connection is None or self._connection.closed:
                self._connection = psycopg.connect(self._conninfo, autocommit=True)
            try:
                yield self._connection
            except psycopg.OperationalError:
                self._connection.close()
                raise

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
