"""Who publishes what a store holds: its relays, side by side, or one who makes a topic anew, and then nobody else.

A record that a relay still has under way must not come into the new topic before those that are published again
(ADR 0027).  Whoever dies leaves the lock.
"""

import fcntl
import os
from pathlib import Path
from typing import Protocol

import psycopg

from chassis.foundation.connections import GIVES_UP
from chassis.foundation.private_files import private_file

LOST_UNNOTICED_SECONDS = 20.0
"""So long a relay may go on after the connection with its lock was cut: until it looks again (`relay.ACK_SECONDS`), and
its client gives up (`connections.NETWORK`)."""


class PublishingLock(Protocol):
    """The lock of one event store, as one process holds it."""

    @property
    def unnoticed(self) -> float:
        """For how many seconds somebody may have lost it without knowing."""

    def share(self) -> bool:
        """Hold it beside others who share it, unless one has it alone."""

    def take(self) -> bool:
        """Hold it alone, unless anybody else holds it."""

    def is_held(self) -> bool:
        """Whether what `share` or `take` has got is still there: a connection that held it may have ended."""

    def release(self) -> None:
        """Hold it no more."""


class NoLock:
    """For a store that only its own process uses."""

    unnoticed = 0.0

    def share(self) -> bool:
        return True

    def take(self) -> bool:
        return True

    def is_held(self) -> bool:
        return True

    def release(self) -> None:
        """Nobody waits for it."""


class FileLock:
    """For stores in a file: a lock on a file beside it, never on the store's own (SQLite has its locks there)."""

    unnoticed = 0.0

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def share(self) -> bool:
        return self._try(fcntl.LOCK_SH)

    def take(self) -> bool:
        return self._try(fcntl.LOCK_EX)

    def _try(self, how: int) -> bool:
        if self._file is None:
            self._file = os.open(private_file(self._path), os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(self._file, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def is_held(self) -> bool:
        return self._file is not None

    def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


class PostgresLock:
    """For PostgreSQL: an advisory lock of a connection of its own, which ends with it."""

    @property
    def unnoticed(self) -> float:
        return LOST_UNNOTICED_SECONDS

    def __init__(self, conninfo: str, store: str) -> None:
        self._conninfo = conninfo
        self._name = f"salestream.publishing.{store}"
        self._connection: psycopg.Connection | None = None

    def share(self) -> bool:
        return self._try("pg_try_advisory_lock_shared")

    def take(self) -> bool:
        return self._try("pg_try_advisory_lock")

    def _try(self, function: str) -> bool:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self._conninfo, autocommit=True)
            self._connection.execute(GIVES_UP)
        row = self._connection.execute(f"SELECT {function}(hashtext(%s))", [self._name]).fetchone()
        return bool(row and row[0])

    def is_held(self) -> bool:
        if self._connection is None or self._connection.closed:
            return False
        try:
            self._connection.execute("SELECT 1")
        except psycopg.OperationalError:
            self._connection.close()
            return False
        return True

    def release(self) -> None:
        if self._connection is None or self._connection.closed:
            return
        try:
            self._connection.execute("SELECT pg_advisory_unlock_all()")
        except psycopg.OperationalError:
            self._connection.close()  # it is lost, and the lock has ended with it
