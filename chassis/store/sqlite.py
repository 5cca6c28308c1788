"""The store in SQLite: the embedded default."""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from typing import Any, cast
from uuid import UUID

from eventsourcing.persistence import OperationalError, StoredEvent
from eventsourcing.sqlite import (
    SQLiteConnection,
    SQLiteConnectionPool,
    SQLiteCursor,
    SQLiteDatastore,
    SQLiteProcessRecorder,
    SQLiteTransaction,
)

from chassis.audit.chain import START, NewRecord, Record
from chassis.store.recorder import octets, prefix_end, read_is_old, unrepeated
from chassis.store.transaction import CommandResult, Snapshot, Transaction

Waits = Callable[[Callable[[], None]], None]
"""Runs something that waits for the disk."""


def here(wait: Callable[[], None]) -> None:
    """Wait in the thread that asks: right wherever each has a thread of its own."""
    wait()


def _legible(octets: bytes) -> str:
    """A text, whatever somebody has made of it by hand: no row may keep those beside it from being read."""
    return octets.decode(errors="replace")


class _Writing(SQLiteTransaction):
    """A transaction that writes: it takes the lock at its beginning.

    One that begins by reading and then writes is refused at once ("database is locked") when another process has
    written in between, whatever the lock timeout is: a commit of refusals alone begins like that.
    """

    def __enter__(self) -> SQLiteCursor:
        connection = cast(_Connection, self.connection)
        try:
            connection.begin()
        except sqlite3.OperationalError as error:
            raise OperationalError(error) from error
        return connection.cursor()


class _Connection(SQLiteConnection):
    """A connection that waits for locks and for the disk as `waits` does: under eventlet it would hold up everybody."""

    def __init__(self, inner: sqlite3.Connection, max_age: float | None, waits: Waits, lock_timeout: int) -> None:
        super().__init__(inner, max_age)
        inner.text_factory = _legible
        self._waits = waits
        self._lock_milliseconds = lock_timeout * 1000

    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[SQLiteCursor]:
        with _Writing(self, commit=commit) as cursor, cursor:
            yield cursor

    def begin(self) -> None:
        """Take the write lock; where another process has it, wait elsewhere."""
        try:
            self._begin(0)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            self._waits(lambda: self._begin(self._lock_milliseconds))

    def _begin(self, milliseconds: int) -> None:
        self._sqlite_conn.execute(f"PRAGMA busy_timeout={milliseconds}")
        self._sqlite_conn.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Commit.  One that fails leaves no transaction open: the connection is used again."""
        try:
            self._waits(self._sqlite_conn.commit)
        except sqlite3.Error:
            self._sqlite_conn.rollback()
            raise


class _Pool(SQLiteConnectionPool):
    """The library's pool, with connections of ours."""

    def __init__(self, db_name: str, lock_timeout: int, waits: Waits) -> None:
        self.waits = waits
        self._lock_seconds = lock_timeout
        super().__init__(db_name=db_name, lock_timeout=lock_timeout, pool_timeout=lock_timeout)

    def _create_connection(self) -> SQLiteConnection:
        made = super()._create_connection()
        return _Connection(made._sqlite_conn, self.max_age, self.waits, self._lock_seconds)


class SQLiteReads(SQLiteDatastore):
    """The library's datastore, reading without BEGIN and ROLLBACK: one statement is a transaction by itself.

    All reads share one connection of the pool; taking one out for each would cost more than the reading.
    """

    def __init__(self, db_name: str, *, lock_timeout: int, waits: Waits) -> None:
        super().__init__(db_name)
        self.pool = _Pool(db_name, lock_timeout, waits)
        self._reading = threading.Lock()
        self._reader: Any = None

    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[Any]:
        if commit:
            with super().transaction(commit=True) as cursor:
                yield cursor
            return
        with self._reading:
            if self._reader is None:
                self._reader = self.pool.get_connection(is_writer=False)
            cursor = self._reader.cursor()
            try:
                yield cursor
            except sqlite3.OperationalError as error:
                raise OperationalError(error) from error
            finally:
                cursor.sqlite_cursor.close()


def _exchange(c: Any, more: Transaction) -> None:
    c.executemany("DELETE FROM replica_rows WHERE replica=?", [(replica,) for replica in more.emptied])
    renamed = [(after, before) for before, after in more.renamed.items()]
    c.executemany("UPDATE replica_rows SET replica=? WHERE replica=?", renamed)


class SQLiteRecorder(SQLiteProcessRecorder):
    """SQLite: the embedded default."""

    def construct_create_table_statements(self) -> list[str]:
        return [
            *super().construct_create_table_statements(),
            "CREATE TABLE IF NOT EXISTS command_results "
            "(command_id TEXT PRIMARY KEY, fingerprint TEXT, reply BLOB, day INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID",
            "CREATE TABLE IF NOT EXISTS replica_rows "
            "(replica TEXT, key TEXT, body BLOB, PRIMARY KEY (replica, key)) WITHOUT ROWID",
            "CREATE TABLE IF NOT EXISTS snapshots "
            "(aggregate_id TEXT PRIMARY KEY, version INTEGER, schema TEXT, state BLOB) WITHOUT ROWID",
            "CREATE TABLE IF NOT EXISTS audit (number INTEGER PRIMARY KEY, digest BLOB, hash BLOB, body BLOB)",
            *(
                f"CREATE TRIGGER IF NOT EXISTS audit_no_{act} BEFORE {act} ON audit "
                "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
                for act in ("update", "delete")
            ),
        ]

    def create_table(self) -> None:
        """Make or update the tables, unless they are of these statements already: that waits for who writes."""
        if self._one("PRAGMA user_version")[0] != self._made_of():
            super().create_table()

    def _create_table(self, c: SQLiteCursor) -> None:
        super()._create_table(c)
        c.execute("SELECT 1 FROM pragma_table_info('command_results') WHERE name='day'")
        if c.fetchone() is None:  # made by a former release
            c.execute("ALTER TABLE command_results ADD COLUMN day INTEGER NOT NULL DEFAULT 0")
        c.execute(f"PRAGMA user_version = {self._made_of()}")

    def _made_of(self) -> int:
        return int.from_bytes(sha256("\n".join(self.create_table_statements).encode()).digest()[:4], signed=True)

    def _insert_events(self, c: Any, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        more: Transaction = kwargs["more"]
        positions = self._insert_in_order(c, stored_events)
        if positions and positions[0] > more.seen + 1 and (read := more.only_read()):
            marks = ",".join("?" * len(read))
            others = f"SELECT 1 FROM {self.events_table_name} WHERE rowid>? AND originator_id IN ({marks}) LIMIT 1"
            c.execute(others, [more.seen, *(id.hex for id in read)])
            if c.fetchone() is not None:
                raise read_is_old()
        if more.emptied or more.renamed:  # as many rows as there are: elsewhere, like all that takes its time
            cast(_Pool, self.datastore.pool).waits(partial(_exchange, c, more))
        for statement, rows in (
            (
                "INSERT INTO command_results VALUES (?,?,?,?)",
                [(r.command_id, r.fingerprint, r.reply, r.day) for r in more.results],
            ),
            (
                "INSERT OR REPLACE INTO replica_rows VALUES (?,?,?)",
                [(r.replica, r.key, r.body) for r in more.rows if r.body is not None],
            ),
            (
                "DELETE FROM replica_rows WHERE replica=? AND key=?",
                [(r.replica, r.key) for r in more.rows if r.body is None],
            ),
            (
                "INSERT OR REPLACE INTO snapshots VALUES (?,?,?,?)",
                [(s.aggregate_id.hex, s.version, s.schema, s.state) for s in more.snapshots],
            ),
        ):
            if rows:
                c.executemany(statement, rows)
        if replaced := list(more.replaced().items()):
            c.executemany("INSERT OR REPLACE INTO tracking VALUES (?,?)", replaced)
        for tracking in more.reached():
            self._insert_tracking(c, tracking)
        if more.audit is not None:
            self._insert_audit(c, more.audit)
        return positions

    @staticmethod
    def _insert_audit(c: Any, new: NewRecord) -> None:
        c.execute("SELECT number, hash, digest FROM audit ORDER BY number DESC LIMIT 1")
        last = c.fetchone()
        number, hash, digest = last or (0, START, b"")
        record = unrepeated(new, digest).after(number, bytes(hash))
        c.execute("INSERT INTO audit VALUES (?,?,?,?)", (record.number, record.digest, record.hash, record.body))

    def _insert_in_order(self, c: Any, stored_events: Sequence[StoredEvent]) -> Sequence[int]:
        """One statement for all; in a table without AUTOINCREMENT each row's id is the one before it plus one."""
        if not stored_events:
            return ()
        c.executemany(
            self.insert_events_statement,
            [(s.originator_id.hex, s.originator_version, s.topic, s.state) for s in stored_events],  # type: ignore[union-attr]
        )
        c.execute("SELECT last_insert_rowid()")
        last = int(c.fetchone()[0])
        return range(last - len(stored_events) + 1, last + 1)

    def _one(self, statement: str, *params: object) -> Any:
        with self.datastore.transaction(commit=False) as c:
            c.execute(statement, params)
            return c.fetchone()

    def results_of(self, command_ids: Sequence[str]) -> list[CommandResult]:
        marks = ",".join("?" * len(command_ids))
        with self.datastore.transaction(commit=False) as c:
            c.execute(f"SELECT * FROM command_results WHERE command_id IN ({marks})", list(command_ids))
            return [CommandResult(row[0], row[1], octets(row[2])) for row in c.fetchall()]

    def row(self, replica: str, key: str) -> bytes | None:
        row = self._one("SELECT body FROM replica_rows WHERE replica=? AND key=?", replica, key)
        return row and bytes(row[0])

    def rows_at(self, replica: str, keys: Sequence[str]) -> dict[str, bytes]:
        marks = ",".join("?" * len(keys))
        with self.datastore.transaction(commit=False) as c:
            c.execute(f"SELECT key, body FROM replica_rows WHERE replica=? AND key IN ({marks})", [replica, *keys])
            return {row[0]: bytes(row[1]) for row in c.fetchall()}

    def rows_with_prefix(self, replica: str, prefix: str, limit: int) -> list[bytes]:
        with self.datastore.transaction(commit=False) as c:
            c.execute(
                "SELECT body FROM replica_rows WHERE replica=? AND key>=? AND key<? LIMIT ?",
                (replica, prefix, prefix_end(prefix), limit),
            )
            return [bytes(row[0]) for row in c.fetchall()]

    def rows_of(self, replica: str) -> list[bytes]:
        with self.datastore.transaction(commit=False) as c:
            c.execute("SELECT body FROM replica_rows WHERE replica=?", (replica,))
            return [bytes(row[0]) for row in c.fetchall()]

    def rows_after(self, replica: str, key: str, limit: int) -> list[tuple[str, bytes]]:
        with self.datastore.transaction(commit=False) as c:
            c.execute(
                "SELECT key, body FROM replica_rows WHERE replica=? AND key>? ORDER BY key LIMIT ?",
                (replica, key, limit),
            )
            return [(row[0], bytes(row[1])) for row in c.fetchall()]

    def snapshot(self, aggregate_id: UUID) -> Snapshot | None:
        row = self._one("SELECT version, schema, state FROM snapshots WHERE aggregate_id=?", aggregate_id.hex)
        return row and Snapshot(aggregate_id, row[0], row[1], bytes(row[2]))

    def position_of(self, aggregate_id: UUID, version: int) -> int | None:
        row = self._one(
            f"SELECT rowid FROM {self.events_table_name} WHERE originator_id=? AND originator_version=?",
            aggregate_id.hex,
            version,
        )
        return row and int(row[0])

    def newest(self, name: str) -> tuple[int, int]:
        row = self._one(
            f"SELECT (SELECT MAX(rowid) FROM {self.events_table_name}), "
            "(SELECT notification_id FROM tracking WHERE application_name=?)",
            name,
        )
        return row[0] or 0, row[1] or 0

    def absent(self, ids: Sequence[UUID]) -> frozenset[UUID]:
        marks = ",".join("?" * len(ids))
        with self.datastore.transaction(commit=False) as c:
            c.execute(
                f"SELECT DISTINCT originator_id FROM {self.events_table_name} WHERE originator_id IN ({marks})",
                [id.hex for id in ids],
            )
            return frozenset(ids) - {UUID(row[0]) for row in c.fetchall()}

    def set_position(self, name: str, position: int) -> None:
        with self.datastore.transaction(commit=True) as c:
            c.execute("INSERT OR REPLACE INTO tracking VALUES (?,?)", (name, position))

    def set_position_while(self, name: str, position: int, other: str, expected: int) -> bool:
        with self.datastore.transaction(commit=True) as c:
            c.execute(
                "INSERT OR REPLACE INTO tracking SELECT ?,? WHERE "
                "coalesce((SELECT notification_id FROM tracking WHERE application_name=?), 0)=? RETURNING 1",
                (name, position, other, expected),
            )
            return c.fetchone() is not None

    def results_after(self, command_id: str, limit: int) -> list[CommandResult]:
        with self.datastore.transaction(commit=False) as c:
            c.execute(
                "SELECT * FROM command_results WHERE command_id>? ORDER BY command_id LIMIT ?", (command_id, limit)
            )
            return [CommandResult(row[0], row[1], octets(row[2])) for row in c.fetchall()]

    def forget_results(self, after: str, limit: int, before: int) -> Sequence[str]:
        with self.datastore.transaction(commit=False) as c:
            c.execute(
                "SELECT command_id, day<? FROM command_results WHERE command_id>? ORDER BY command_id LIMIT ?",
                (before, after, limit),  # compared by SQLite, which holds whatever somebody has made of a day
            )
            found = c.fetchall()
        if any(is_old for _, is_old in found):
            with self.datastore.transaction(commit=True) as c:
                c.execute(
                    "DELETE FROM command_results WHERE command_id>? AND command_id<=? AND day<?",
                    (after, found[-1][0], before),
                )
        return [row[0] for row in found]

    def snapshots_after(self, aggregate_id: UUID, limit: int) -> list[Snapshot]:
        with self.datastore.transaction(commit=False) as c:
            c.execute(
                "SELECT * FROM snapshots WHERE aggregate_id>? ORDER BY aggregate_id LIMIT ?", (aggregate_id.hex, limit)
            )
            return [Snapshot(UUID(row[0]), row[1], row[2], bytes(row[3])) for row in c.fetchall()]

    def audit_after(self, number: int, limit: int) -> list[Record]:
        with self.datastore.transaction(commit=False) as c:
            c.execute("SELECT * FROM audit WHERE number>? ORDER BY number LIMIT ?", (number, limit))
            return [Record(row[0], octets(row[1]), octets(row[2]), octets(row[3])) for row in c.fetchall()]

    def last_audit(self) -> int:
        return self._one("SELECT MAX(number) FROM audit")[0] or 0

    def has_audit(self, digest: bytes, after: int) -> bool:
        return self._one("SELECT 1 FROM audit WHERE number>? AND digest=?", after, digest) is not None
