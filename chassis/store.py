"""The event store of one service: the `eventsourcing` library's recorders with what a command also leaves behind.

One transaction holds the events, the remembered result of the command (idempotency), the rows of replicas, the
positions consumed, snapshots, and the audit record of the commit, which is linked to the one before it inside the
transaction (ADR 0018).  The three recorders (SQLite, PostgreSQL, memory) are extended at the hook the
library offers for this, `_insert_events`.  A stored event is `{"data": <contract JSON>, "meta": {...}}` under its
contract type, so the relay publishes the very bytes that were stored.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast
from uuid import UUID

import msgspec
import psycopg
from eventsourcing.persistence import (
    IntegrityError,
    Mapper,
    OperationalError,
    ProcessRecorder,
    StoredEvent,
    Tracking,
    Transcoder,
)
from eventsourcing.popo import POPOProcessRecorder
from eventsourcing.postgres import PostgresFactory, PostgresProcessRecorder
from eventsourcing.sqlite import (
    SQLiteConnection,
    SQLiteConnectionPool,
    SQLiteCursor,
    SQLiteDatastore,
    SQLiteProcessRecorder,
    SQLiteTransaction,
)
from eventsourcing.utils import Environment
from psycopg.sql import SQL, Identifier, Literal
from psycopg.types.numeric import Int8
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random

from chassis.audit.chain import START, NewRecord, Record
from chassis.doorbell import Doorbell, NoBell, PostgresBell, local_bell
from chassis.foundation.config import Config, ConfigError
from chassis.foundation.connections import postgres_conninfo, postgres_parameters
from chassis.foundation.limits import MAX_EVENT_BYTES
from chassis.foundation.private_files import private_file, private_folder, tighten
from chassis.model.aggregates import INTERNAL_EVENTS, Aggregate, internal_name
from chassis.model.identity import Named, RecordId
from chassis.publishing_lock import FileLock, NoLock, PostgresLock, PublishingLock
from contracts.declare import REGISTRY, ContractError
from contracts.errors import Portable, Refused
from contracts.schemas import decode, decoder_of, encode

A = TypeVar("A", bound=Aggregate)

Conflict = IntegrityError
Waits = Callable[[Callable[[], None]], None]
"""Runs something that waits for the disk."""
RECENT_RECORDS = 1_000
MAKING_WAITS = "500ms"
"""So long making tables waits for a lock: PostgreSQL looks for circles later, so it is never a writer that loses."""
PATIENCE = Retrying(
    stop=stop_after_delay(30), wait=wait_random(0, 0.5), retry=retry_if_exception_type(OperationalError), reraise=True
)


class Unreadable(Portable):
    """A stored event is damaged: its row was changed by hand, or by a disk."""

    def __init__(self, aggregate_id: UUID, version: int, cause: Exception) -> None:
        super().__init__(f"event {version} of {aggregate_id} can't be read: {cause}")
        self.aggregate_id = aggregate_id
        self.version = version


class Meta(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of every event besides its data: who, when, by which command, in which conversation.

    `day` is the day of `at` for the company, in the zone that was set then; older events have none.
    """

    at: datetime
    command_id: str
    correlation_id: str
    causation_id: str = ""
    user_id: str = ""
    user: str = ""
    traceparent: str = ""
    day: date | None = None


class _State(msgspec.Struct):
    data: msgspec.Raw
    meta: msgspec.Raw
    key: str = ""


_state_decoder = decoder_of(_State)
_meta_decoder = decoder_of(Meta)


@dataclass(frozen=True)
class Recorded:
    """A fact at its place in its stream, encoded: its stored type, Kafka key ("" for an internal one) and JSON."""

    originator_id: UUID
    originator_version: int
    type: str
    key: str
    data: bytes
    meta: bytes


def recorded(aggregate_id: UUID, version: int, fact: Any, meta: bytes, longest: int = MAX_EVENT_BYTES) -> Recorded:
    """Encode a fact for the store.

    Raises Refused TOO_LARGE for one longer than `longest` (`chassis.foundation.limits`).
    """
    name, key = internal_name(type(fact)), ""
    if name is None:
        spec = REGISTRY.event_of(type(fact))
        name, key = spec.name, str(getattr(fact, spec.key))
    data = encode(fact)
    if len(data) > longest:
        raise Refused("TOO_LARGE", f"The record would grow to {len(data)} bytes; {longest} are allowed.")
    return Recorded(aggregate_id, version, name, key, data, meta)


@dataclass(frozen=True)
class Notification:
    """An event as the relay sees it: its position in the service's log and its JSON, not decoded."""

    position: int
    aggregate_id: UUID
    version: int
    type: str
    key: str
    data: bytes
    meta: Meta


@dataclass(frozen=True)
class CommandResult:
    """The remembered outcome of a command.  `fingerprint` tells a repeat from another command with the same key."""

    command_id: str
    fingerprint: str
    reply: bytes


@dataclass(frozen=True)
class ReplicaRow:
    """A row to write (or, with body None, to delete) in a replica."""

    replica: str
    key: str
    body: bytes | None


@dataclass(frozen=True)
class Snapshot:
    """An aggregate's state at a version; `schema` identifies the class's fields, another one makes it worthless."""

    aggregate_id: UUID
    version: int
    schema: str
    state: bytes


@dataclass
class Transaction:
    """All that is stored together."""

    events: list[Recorded] = field(default_factory=list)
    results: list[CommandResult] = field(default_factory=list)
    rows: list[ReplicaRow] = field(default_factory=list)
    positions: dict[str, int] = field(default_factory=dict)
    snapshots: list[Snapshot] = field(default_factory=list)
    audit: NewRecord | None = None
    numbers: dict[str, range] = field(default_factory=dict)  # given to records, by series

    def reached(self) -> Iterator[Tracking]:
        """What has got how far.  Of numbers the first and the last: the first is refused when another process gave it.

        A position is stored only if it is beyond the one that stands there.
        """
        for name, position in self.positions.items():
            yield Tracking(name, position)
        for name, given in self.numbers.items():
            for number in sorted({given[0], given[-1]}):
                yield Tracking(name, number)


class ContractMapper(Mapper[UUID]):
    """Stores facts under their contract type (or internal name), never under a Python path."""

    def __init__(self) -> None:
        super().__init__(_NoTranscoder())

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        event: Recorded = domain_event
        key = b'"key":"' + event.key.encode() + b'",' if event.key else b""
        state = b"{" + key + b'"data":' + event.data + b',"meta":' + event.meta + b"}"
        return StoredEvent(event.originator_id, event.originator_version, event.type, state)

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        state = _state_decoder.decode(stored_event.state)
        return decode(fact_class(stored_event.topic), state.data)


class _NoTranscoder(Transcoder):
    """The mapper encodes contracts itself; nothing may reach the library's transcoder."""

    def encode(self, obj: Any) -> bytes:
        raise ContractError(f"{type(obj).__name__} is not a fact")

    def decode(self, data: bytes) -> Any:
        raise ContractError("stored state is read by ContractMapper only")


def fact_class(name: str) -> type:
    """The class of a stored type."""
    if name in REGISTRY.events:
        return REGISTRY.events[name].cls
    try:
        return INTERNAL_EVENTS[name]
    except KeyError:
        raise ContractError(f"stored event type {name} is unknown to this version of the code") from None


# -- recorders ----------------------------------------------------------------------------------------------------


class Recorder(Protocol):
    """What the three recorders add to the library's process recorder."""

    def results_of(self, command_ids: Sequence[str]) -> list[CommandResult]: ...

    def row(self, replica: str, key: str) -> bytes | None: ...

    def rows_with_prefix(self, replica: str, prefix: str, limit: int) -> list[bytes]: ...

    def rows_of(self, replica: str) -> list[bytes]: ...

    def snapshot(self, aggregate_id: UUID) -> Snapshot | None: ...

    def position_of(self, aggregate_id: UUID, version: int) -> int | None: ...

    def newest(self, name: str) -> tuple[int, int]: ...

    def absent(self, ids: Sequence[UUID]) -> frozenset[UUID]: ...

    def set_position(self, name: str, position: int) -> None: ...

    def results_after(self, command_id: str, limit: int) -> list[CommandResult]: ...

    def snapshots_after(self, aggregate_id: UUID, limit: int) -> list[Snapshot]: ...

    def audit_after(self, number: int, limit: int) -> list[Record]: ...

    def last_audit(self) -> int: ...

    def has_audit(self, digest: bytes, after: int) -> bool: ...


def _unrepeated(new: NewRecord, last: bytes) -> NewRecord:
    """Raises IntegrityError for a record that is the last one already: its transaction is committed (fault 6)."""
    if new.digest == last:
        raise IntegrityError("this very transaction is committed already")
    return new


def _octets(column: Any) -> bytes:
    """A column of an audit record, whatever somebody has made of it."""
    return column.encode() if isinstance(column, str) else bytes(column or b"")


def _prefix_end(prefix: str) -> str:
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def here(wait: Callable[[], None]) -> None:
    """Wait in the thread that asks: right wherever each has a thread of its own."""
    wait()


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
        self._waits = waits
        self._lock_seconds = lock_timeout
        super().__init__(db_name=db_name, lock_timeout=lock_timeout, pool_timeout=lock_timeout)

    def _create_connection(self) -> SQLiteConnection:
        made = super()._create_connection()
        return _Connection(made._sqlite_conn, self.max_age, self._waits, self._lock_seconds)


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


class SQLiteRecorder(SQLiteProcessRecorder):
    """SQLite: the embedded default."""

    def construct_create_table_statements(self) -> list[str]:
        return [
            *super().construct_create_table_statements(),
            "CREATE TABLE IF NOT EXISTS command_results "
            "(command_id TEXT PRIMARY KEY, fingerprint TEXT, reply BLOB) WITHOUT ROWID",
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
        c.execute(f"PRAGMA user_version = {self._made_of()}")

    def _made_of(self) -> int:
        return int.from_bytes(sha256("\n".join(self.create_table_statements).encode()).digest()[:4], signed=True)

    def _insert_events(self, c: Any, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        more: Transaction = kwargs["more"]
        positions = self._insert_in_order(c, stored_events)
        for statement, rows in (
            (
                "INSERT INTO command_results VALUES (?,?,?)",
                [(r.command_id, r.fingerprint, r.reply) for r in more.results],
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
        record = _unrepeated(new, digest).after(number, bytes(hash))
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
            return [CommandResult(*row) for row in c.fetchall()]

    def row(self, replica: str, key: str) -> bytes | None:
        row = self._one("SELECT body FROM replica_rows WHERE replica=? AND key=?", replica, key)
        return row and bytes(row[0])

    def rows_with_prefix(self, replica: str, prefix: str, limit: int) -> list[bytes]:
        with self.datastore.transaction(commit=False) as c:
            c.execute(
                "SELECT body FROM replica_rows WHERE replica=? AND key>=? AND key<? LIMIT ?",
                (replica, prefix, _prefix_end(prefix), limit),
            )
            return [bytes(row[0]) for row in c.fetchall()]

    def rows_of(self, replica: str) -> list[bytes]:
        with self.datastore.transaction(commit=False) as c:
            c.execute("SELECT body FROM replica_rows WHERE replica=?", (replica,))
            return [bytes(row[0]) for row in c.fetchall()]

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

    def results_after(self, command_id: str, limit: int) -> list[CommandResult]:
        with self.datastore.transaction(commit=False) as c:
            c.execute(
                "SELECT * FROM command_results WHERE command_id>? ORDER BY command_id LIMIT ?", (command_id, limit)
            )
            return [CommandResult(*row) for row in c.fetchall()]

    def snapshots_after(self, aggregate_id: UUID, limit: int) -> list[Snapshot]:
        with self.datastore.transaction(commit=False) as c:
            c.execute(
                "SELECT * FROM snapshots WHERE aggregate_id>? ORDER BY aggregate_id LIMIT ?", (aggregate_id.hex, limit)
            )
            return [Snapshot(UUID(row[0]), row[1], row[2], bytes(row[3])) for row in c.fetchall()]

    def audit_after(self, number: int, limit: int) -> list[Record]:
        with self.datastore.transaction(commit=False) as c:
            c.execute("SELECT * FROM audit WHERE number>? ORDER BY number LIMIT ?", (number, limit))
            return [Record(row[0], _octets(row[1]), _octets(row[2]), _octets(row[3])) for row in c.fetchall()]

    def last_audit(self) -> int:
        return self._one("SELECT MAX(number) FROM audit")[0] or 0

    def has_audit(self, digest: bytes, after: int) -> bool:
        return self._one("SELECT 1 FROM audit WHERE number>? AND digest=?", after, digest) is not None


APPEND_ONLY = (
    "CREATE OR REPLACE FUNCTION {s}.refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$",
    "CREATE OR REPLACE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {s}.audit "
    "FOR EACH STATEMENT EXECUTE FUNCTION {s}.refuse_change()",
)
INSERT_AUDIT = (
    "INSERT INTO {s}.audit SELECT n, %b, sha256(before || int8send(n) || %b), %b FROM ("
    "SELECT CASE WHEN last.digest = %b THEN last.number ELSE coalesce(last.number, 0) + 1 END AS n, "
    "coalesce(last.hash, decode(repeat('00', 32), 'hex')) AS before FROM (SELECT 1) AS one "
    "LEFT JOIN (SELECT * FROM {s}.audit ORDER BY number DESC LIMIT 1) AS last ON true) AS following"
)
"""Links a record inside the database, with no answer awaited on the way; one repeated gets a number that is taken."""


class PostgresRecorder(PostgresProcessRecorder):
    """PostgreSQL: for production.  Each service has a schema of its own."""

    def __init__(self, datastore: Any, **kwargs: Any) -> None:
        super().__init__(datastore, **kwargs)
        for name, columns in {
            "command_results": "command_id text PRIMARY KEY, fingerprint text, reply bytea",
            "replica_rows": 'replica text, key text COLLATE "C", body bytea, PRIMARY KEY (replica, key)',
            "snapshots": "aggregate_id uuid PRIMARY KEY, version bigint, schema text, state bytea",
            "audit": "number bigint PRIMARY KEY, digest bytea, hash bytea, body bytea",
        }.items():
            self.sql_create_statements.append(
                SQL("CREATE TABLE IF NOT EXISTS {}.{} (" + columns + ")").format(
                    Identifier(self.datastore.schema), Identifier(name)
                )
            )

        self.sql_create_statements += [self._sql(statement) for statement in APPEND_ONLY]
        self.insert_events_statement = self._sql(
            "INSERT INTO {s}.{events} (originator_id, originator_version, topic, state) "
            "SELECT * FROM unnest(%b::uuid[], %b::bigint[], %b::text[], %b::bytea[]) RETURNING notification_id"
        )

    def create_table(self) -> None:
        """Make or update the tables, unless they are of these statements already.

        To make again what is there takes locks that a writer at work waits for, or that wait for it in a circle.
        Raises OperationalError when the writers leave no moment for it.
        """
        if self._is_made():
            self.datastore.register_type_adapters()
        else:
            PATIENCE.copy()(super().create_table)

    def _create_table(self, curs: Any) -> None:
        curs.execute(f"SET LOCAL lock_timeout = '{MAKING_WAITS}'")
        super()._create_table(curs)
        curs.execute(self._sql("COMMENT ON TABLE {s}.{events} IS ") + Literal(self._made_of()))

    def _made_of(self) -> str:
        statements = "\n".join(statement.as_string() for statement in self.sql_create_statements)
        return f"salestream {sha256(statements.encode()).hexdigest()}"

    def _is_made(self) -> bool:
        table = self._sql("{s}.{events}").as_string()
        with self.datastore.transaction(commit=False) as curs:
            row = curs.execute("SELECT obj_description(to_regclass(%s), 'pg_class') AS made", [table]).fetchone()
        return row is not None and bool(row["made"] == self._made_of())

    def _sql(self, statement: str) -> Any:
        schema = Identifier(self.datastore.schema)
        return SQL(statement).format(
            s=schema, events=Identifier(self.events_table_name), tracking=Identifier(self.tracking_table_name)
        )

    def _insert_stored_events(self, curs: Any, stored_events: Sequence[StoredEvent], **_: Any) -> None:
        """Four binary arrays instead of the library's array of composites, which is written and parsed as text."""
        self._lock_table(curs)
        self._notify_channel(curs)
        curs.execute(
            self.insert_events_statement,
            (
                [s.originator_id for s in stored_events],
                [Int8(s.originator_version) for s in stored_events],
                [s.topic for s in stored_events],
                [s.state for s in stored_events],
            ),
            prepare=True,
        )

    def _insert_events(self, curs: Any, stored_events: Sequence[StoredEvent], **kwargs: Any) -> None:
        """One statement for all rows of a table: a row by itself is a round trip, and a turn of the api's hub."""
        more: Transaction = kwargs["more"]
        changed = {(r.replica, r.key): r for r in more.rows}.values()  # a statement may touch each but once
        latest = {s.aggregate_id: s for s in more.snapshots}.values()
        for statement, rows in (
            (
                "INSERT INTO {s}.command_results SELECT * FROM unnest(%b::text[], %b::text[], %b::bytea[])",
                [(r.command_id, r.fingerprint, r.reply) for r in more.results],
            ),
            (
                "INSERT INTO {s}.replica_rows SELECT * FROM unnest(%b::text[], %b::text[], %b::bytea[]) "
                "ON CONFLICT (replica, key) DO UPDATE SET body = excluded.body",
                [(r.replica, r.key, r.body) for r in changed if r.body is not None],
            ),
            (
                "DELETE FROM {s}.replica_rows USING unnest(%b::text[], %b::text[]) AS gone(replica, key) "
                "WHERE replica_rows.replica = gone.replica AND replica_rows.key = gone.key",
                [(r.replica, r.key) for r in changed if r.body is None],
            ),
            (
                "INSERT INTO {s}.snapshots SELECT * FROM unnest(%b::uuid[], %b::bigint[], %b::text[], %b::bytea[]) "
                "ON CONFLICT (aggregate_id) DO UPDATE "
                "SET version = excluded.version, schema = excluded.schema, state = excluded.state",
                [(s.aggregate_id, Int8(s.version), s.schema, s.state) for s in latest],
            ),
        ):
            if rows:
                curs.execute(self._sql(statement), [list(column) for column in zip(*rows, strict=True)], prepare=True)
        for tracking in more.reached():
            self._insert_tracking(curs, tracking)
        if (audit := more.audit) is not None:
            curs.execute(self._sql("LOCK TABLE {s}.audit IN EXCLUSIVE MODE"))
            values = (audit.digest, audit.digest, audit.body, audit.digest)
            curs.execute(self._sql(INSERT_AUDIT), values, prepare=True)

    def _all(self, statement: str, *params: object) -> list[Any]:
        with self.datastore.get_connection() as conn, conn.cursor() as curs:
            curs.execute(self._sql(statement), params, prepare=True)
            return [tuple(row.values()) for row in curs.fetchall()]

    def _one(self, statement: str, *params: object) -> Any:
        rows = self._all(statement, *params)
        return rows[0] if rows else None

    def results_of(self, command_ids: Sequence[str]) -> list[CommandResult]:
        rows = self._all(
            "SELECT command_id, fingerprint, reply FROM {s}.command_results WHERE command_id = ANY(%s)",
            list(command_ids),
        )
        return [CommandResult(row[0], row[1], bytes(row[2])) for row in rows]

    def row(self, replica: str, key: str) -> bytes | None:
        row = self._one("SELECT body FROM {s}.replica_rows WHERE replica=%s AND key=%s", replica, key)
        return row and bytes(row[0])

    def rows_with_prefix(self, replica: str, prefix: str, limit: int) -> list[bytes]:
        return [
            bytes(row[0])
            for row in self._all(
                "SELECT body FROM {s}.replica_rows WHERE replica=%s AND key>=%s AND key<%s LIMIT %s",
                replica,
                prefix,
                _prefix_end(prefix),
                limit,
            )
        ]

    def rows_of(self, replica: str) -> list[bytes]:
        return [bytes(row[0]) for row in self._all("SELECT body FROM {s}.replica_rows WHERE replica=%s", replica)]

    def snapshot(self, aggregate_id: UUID) -> Snapshot | None:
        row = self._one("SELECT version, schema, state FROM {s}.snapshots WHERE aggregate_id=%s", aggregate_id)
        return row and Snapshot(aggregate_id, row[0], row[1], bytes(row[2]))

    def position_of(self, aggregate_id: UUID, version: int) -> int | None:
        row = self._one(
            "SELECT notification_id FROM {s}.{events} WHERE originator_id=%s AND originator_version=%s",
            aggregate_id,
            version,
        )
        return row and int(row[0])

    def newest(self, name: str) -> tuple[int, int]:
        row = self._one(
            "SELECT (SELECT MAX(notification_id) FROM {s}.{events}) AS newest, "
            "(SELECT notification_id FROM {s}.{tracking} WHERE application_name=%s) AS position",
            name,
        )
        return row[0] or 0, row[1] or 0

    def absent(self, ids: Sequence[UUID]) -> frozenset[UUID]:
        rows = self._all("SELECT DISTINCT originator_id FROM {s}.{events} WHERE originator_id = ANY(%s)", list(ids))
        return frozenset(ids) - {row[0] for row in rows}

    def set_position(self, name: str, position: int) -> None:
        with self.datastore.transaction(commit=True) as curs:
            curs.execute(
                SQL(
                    "INSERT INTO {}.{} VALUES (%s,%s) ON CONFLICT (application_name) "
                    "DO UPDATE SET notification_id = excluded.notification_id"
                ).format(Identifier(self.datastore.schema), Identifier(self.tracking_table_name)),
                (name, position),
            )

    def results_after(self, command_id: str, limit: int) -> list[CommandResult]:
        rows = self._all(
            "SELECT command_id, fingerprint, reply FROM {s}.command_results WHERE command_id>%s "
            "ORDER BY command_id LIMIT %s",
            command_id,
            limit,
        )
        return [CommandResult(row[0], row[1], bytes(row[2])) for row in rows]

    def snapshots_after(self, aggregate_id: UUID, limit: int) -> list[Snapshot]:
        rows = self._all(
            "SELECT aggregate_id, version, schema, state FROM {s}.snapshots WHERE aggregate_id>%s "
            "ORDER BY aggregate_id LIMIT %s",
            aggregate_id,
            limit,
        )
        return [Snapshot(row[0], row[1], row[2], bytes(row[3])) for row in rows]

    def audit_after(self, number: int, limit: int) -> list[Record]:
        rows = self._all("SELECT * FROM {s}.audit WHERE number>%s ORDER BY number LIMIT %s", number, limit)
        return [Record(row[0], _octets(row[1]), _octets(row[2]), _octets(row[3])) for row in rows]

    def last_audit(self) -> int:
        return self._one("SELECT MAX(number) FROM {s}.audit")[0] or 0

    def has_audit(self, digest: bytes, after: int) -> bool:
        return self._one("SELECT 1 FROM {s}.audit WHERE number>%s AND digest=%s", after, digest) is not None


class _PostgresFactory(PostgresFactory):
    process_recorder_class = PostgresRecorder


class MemoryRecorder(POPOProcessRecorder):
    """In memory: for unit tests and the simulation."""

    def __init__(self) -> None:
        super().__init__()
        self.results: dict[str, CommandResult] = {}
        self.rows: dict[tuple[str, str], bytes] = {}
        self.snapshots: dict[UUID, Snapshot] = {}
        self.audit: list[Record] = []

    def _update_table(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        more: Transaction = kwargs["more"]
        for result in more.results:
            if result.command_id in self.results:
                raise IntegrityError(f"command {result.command_id} is already remembered")
        for tracking in more.reached():
            self._assert_tracking_uniqueness(tracking)
        last = self.audit[-1] if self.audit else Record(0, b"", START, b"")
        linked = [_unrepeated(more.audit, last.digest).after(last.number, last.hash)] if more.audit else []
        positions = super()._update_table(stored_events)
        for tracking in more.reached():
            self._insert_tracking(tracking)
        self.results.update({result.command_id: result for result in more.results})
        for row in more.rows:
            if row.body is None:
                self.rows.pop((row.replica, row.key), None)
            else:
                self.rows[row.replica, row.key] = row.body
        self.snapshots.update({snapshot.aggregate_id: snapshot for snapshot in more.snapshots})
        self.audit += linked
        return positions

    def audit_after(self, number: int, limit: int) -> list[Record]:
        return [record for record in self.audit if record.number > number][:limit]

    def last_audit(self) -> int:
        return self.audit[-1].number if self.audit else 0

    def has_audit(self, digest: bytes, after: int) -> bool:
        return any(record.digest == digest for record in self.audit[after:])

    def results_of(self, command_ids: Sequence[str]) -> list[CommandResult]:
        return [self.results[id] for id in command_ids if id in self.results]

    def row(self, replica: str, key: str) -> bytes | None:
        return self.rows.get((replica, key))

    def rows_with_prefix(self, replica: str, prefix: str, limit: int) -> list[bytes]:
        found = [body for (name, key), body in self.rows.items() if name == replica and key.startswith(prefix)]
        return found[:limit]

    def rows_of(self, replica: str) -> list[bytes]:
        return [body for (name, _), body in self.rows.items() if name == replica]

    def snapshot(self, aggregate_id: UUID) -> Snapshot | None:
        return self.snapshots.get(aggregate_id)

    def position_of(self, aggregate_id: UUID, version: int) -> int | None:
        index = self._stored_events_index[str(aggregate_id)].get(version)
        return None if index is None else index + 1

    def newest(self, name: str) -> tuple[int, int]:
        return self.max_notification_id() or 0, self.max_tracking_id(name) or 0

    def absent(self, ids: Sequence[UUID]) -> frozenset[UUID]:
        return frozenset(id for id in ids if not self._stored_events_index.get(str(id)))  # looking makes a place

    def set_position(self, name: str, position: int) -> None:
        with self._database_lock:
            self._max_tracking_ids[name] = position

    def results_after(self, command_id: str, limit: int) -> list[CommandResult]:
        return [self.results[id] for id in sorted(self.results) if id > command_id][:limit]

    def snapshots_after(self, aggregate_id: UUID, limit: int) -> list[Snapshot]:
        return [self.snapshots[id] for id in sorted(self.snapshots) if id > aggregate_id][:limit]


# -- the store ----------------------------------------------------------------------------------------------------


class EventStore:
    """The store of one service.  Thread-safe; conflicts show as `Conflict`."""

    def __init__(
        self,
        name: str,
        recorder: ProcessRecorder,
        bell: Doorbell | None = None,
        publishing: PublishingLock | None = None,
    ) -> None:
        self.name = name
        self.recorder = recorder
        self.bell = bell or NoBell()
        self.publishing = publishing or NoLock()
        self._more: Recorder = recorder  # type: ignore[assignment]
        self._mapper = ContractMapper()

    def commit(self, transaction: Transaction) -> list[int]:
        """Store everything or nothing; returns the position of each event.  Raises Conflict."""
        stored = [self._mapper.to_stored_event(event) for event in transaction.events]
        positions = list(self.recorder.insert_events(stored, more=transaction) or ())
        if stored:
            self.bell.ring()
        return positions

    def load(self, cls: type[A], id: RecordId) -> A | None:
        """Read an aggregate from its newest usable snapshot and the events after it; None when there is no such one."""
        if isinstance(id, Named):
            return self._load(cls, id.id) or self._load(cls, id.earlier)
        return self._load(cls, id)

    def _load(self, cls: type[A], aggregate_id: UUID) -> A | None:
        aggregate: A | None = None
        if cls.snapshot_every:
            snapshot = self._more.snapshot(aggregate_id)
            if snapshot and snapshot.schema == schema_fingerprint(cls):
                aggregate = decode(cls, snapshot.state)
        for fact in self.facts(aggregate_id, after=aggregate.version if aggregate else 0):
            if aggregate is None:
                if type(fact) not in cls.appliers:
                    return None  # the id names a record of another kind
                aggregate = cls(id=aggregate_id)
            aggregate.apply(fact)
        return aggregate

    def facts(self, aggregate_id: UUID, *, after: int = 0) -> Iterator[Any]:
        """The facts of one stream in order, from version `after` + 1 on.  Raises Unreadable."""
        for stored in self.recorder.select_events(aggregate_id, gt=after or None):
            try:
                fact = self._mapper.to_domain_event(stored)
            except msgspec.DecodeError as error:
                raise Unreadable(aggregate_id, stored.originator_version, error) from error
            yield fact

    def meta_at(self, aggregate_id: UUID, version: int) -> Meta | None:
        """The metadata of one event, or None.  Raises Unreadable."""
        for stored in self.recorder.select_events(aggregate_id, gt=version - 1, lte=version):
            try:
                return _meta_decoder.decode(_state_decoder.decode(stored.state).meta)
            except msgspec.DecodeError as error:
                raise Unreadable(aggregate_id, version, error) from error
        return None

    def notifications(
        self,
        after: int,
        limit: int,
        unreadable: Callable[[Unreadable], None] | None = None,
        types: Sequence[str] = (),
    ) -> list[Notification]:
        """The service's events in the order of the log, from position `after` + 1 on: those of some types, or all.

        Raises Unreadable, or tells `unreadable` of it and leaves the event out.
        """
        found = []
        for stored in self.recorder.select_notifications(after, limit, topics=types, inclusive_of_start=False):
            try:
                found.append(_notification(stored))
            except msgspec.DecodeError as error:
                damage = Unreadable(stored.originator_id, stored.originator_version, error)  # type: ignore[arg-type]
                if unreadable is None:
                    raise damage from error
                unreadable(damage)
        return found

    def last_position(self) -> int:
        """The position of the newest event; 0 when there is none."""
        return self.recorder.max_notification_id() or 0

    def newest(self, name: str) -> tuple[int, int]:
        """The position of the newest event and how far `name` has got, in one look; 0 for what there is not."""
        return self._more.newest(name)

    def absent(self, ids: Sequence[UUID]) -> frozenset[UUID]:
        """Those of these ids that name no stream yet."""
        return self._more.absent(ids) if ids else frozenset()

    def position(self, name: str) -> int | None:
        """How far `name` (a relay, a consumed partition) has got."""
        return self.recorder.max_tracking_id(name)

    def set_position(self, name: str, position: int) -> None:
        """Save a position by itself, also backwards: for the relay, which may publish twice but never skip."""
        self._more.set_position(name, position)

    def position_of(self, aggregate_id: UUID, version: int) -> int | None:
        return self._more.position_of(aggregate_id, version)

    def results(self, command_ids: Sequence[str]) -> dict[str, CommandResult]:
        """What is remembered of these commands."""
        return {result.command_id: result for result in self._more.results_of(command_ids)} if command_ids else {}

    def results_after(self, command_id: str, limit: int) -> list[CommandResult]:
        """The remembered results beyond this command's, by id."""
        return self._more.results_after(command_id, limit)

    def snapshots_after(self, aggregate_id: UUID | None, limit: int) -> list[Snapshot]:
        """The snapshots beyond this aggregate's (None: from the first), by id."""
        return self._more.snapshots_after(aggregate_id or UUID(int=0), limit)

    def audit_after(self, number: int, limit: int) -> list[Record]:
        """The audit records in order, from `number` + 1 on."""
        return self._more.audit_after(number, limit)

    def last_audit(self) -> int:
        """The number of the newest audit record; 0 when there is none."""
        return self._more.last_audit()

    def has_audit(self, digest: bytes) -> bool:
        """Whether a record was stored a short time ago, and its transaction with it."""
        return self._more.has_audit(digest, max(0, self._more.last_audit() - RECENT_RECORDS))

    def row(self, replica: str, key: str) -> bytes | None:
        return self._more.row(replica, key)

    def rows_with_prefix(self, replica: str, prefix: str, limit: int = 100) -> list[bytes]:
        return self._more.rows_with_prefix(replica, prefix, limit)

    def rows(self, replica: str) -> list[bytes]:
        """All rows of a replica."""
        return self._more.rows_of(replica)

    def close(self) -> None:
        self.publishing.release()
        datastore = getattr(self.recorder, "datastore", None)
        if datastore is not None:
            datastore.close()


def _notification(stored: Any) -> Notification:
    state = _state_decoder.decode(stored.state)
    return Notification(
        position=stored.id,
        aggregate_id=stored.originator_id,
        version=stored.originator_version,
        type=stored.topic,
        key=state.key,
        data=bytes(state.data),
        meta=_meta_decoder.decode(state.meta),
    )


def schema_fingerprint(cls: type[Aggregate]) -> str:
    """Identifies the fields of an aggregate class: a snapshot of another shape is not read."""
    text = ";".join(f"{item.name}:{item.type}" for item in fields(cls))
    return sha256(text.encode()).hexdigest()[:16]


def snapshot_of(aggregate: Aggregate) -> Snapshot:
    return Snapshot(
        aggregate.id, aggregate.version, schema_fingerprint(type(aggregate)), msgspec.json.encode(aggregate)
    )


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
        sqlite = SQLiteRecorder(SQLiteReads(str(path), lock_timeout=30, waits=waits))
        sqlite.create_table()
        return EventStore(name, sqlite, local_bell(path), FileLock(path.with_suffix(".publishing")))
    parameters, conninfo = postgres_parameters(config), postgres_conninfo(config)
    postgres = _PostgresFactory(Environment(name, postgres_env(name, parameters)))
    assert isinstance(postgres.datastore.pool.kwargs, dict)
    postgres.datastore.pool.kwargs |= parameters  # TLS and all that the library has no setting for
    with alone(conninfo) as connection:
        # IF NOT EXISTS would ask for the right to make schemas also where an administrator has made this one.
        if not connection.execute("SELECT FROM pg_namespace WHERE nspname = %s", [name]).fetchall():
            connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(name)))
        recorder = cast(PostgresRecorder, postgres.process_recorder())
        bell = PostgresBell(conninfo, recorder.channel_name)
        return EventStore(name, recorder, bell, PostgresLock(conninfo, name))


def existing_store(name: str, config: Config) -> EventStore:
    """Open the store of a service to look at it.  Raises ConfigError when there is none."""
    path = Path(config.data_dir) / f"{name}.sqlite"
    if config.event_store == "sqlite" and not path.exists():
        raise ConfigError(f"{path} does not exist")
    store = open_store(name, config)
    store.last_position()
    return store


@contextmanager
def alone(conninfo: str) -> Iterator[psycopg.Connection[Any]]:
    """Make schemas and tables while no other process does: `IF NOT EXISTS` alone loses that race."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(hashtext('salestream.create'))")
        yield connection


CONNECT_SECONDS = 1
"""How long anybody waits for a connection to PostgreSQL, ten times: the library tries again where there is none.

So soon a command is answered 503 while PostgreSQL is away.
"""


def postgres_env(name: str, parameters: Mapping[str, Any]) -> dict[str, str]:
    """The library's settings for a service's schema.  Refuses the setting that loses events (ADR 0004)."""
    if os.environ.get("POSTGRES_ENABLE_DB_FUNCTIONS"):
        raise ConfigError("POSTGRES_ENABLE_DB_FUNCTIONS must not be set: a tailing reader loses events (ADR 0004).")
    return {
        "POSTGRES_DBNAME": parameters.get("dbname", "postgres"),
        "POSTGRES_HOST": parameters["host"],
        "POSTGRES_PORT": str(parameters.get("port", 5432)),
        "POSTGRES_USER": parameters.get("user", "postgres"),
        "POSTGRES_PASSWORD": parameters.get("password", "none"),
        "POSTGRES_SCHEMA": name,
        "POSTGRES_POOL_SIZE": "2",
        "POSTGRES_MAX_OVERFLOW": "8",
        "POSTGRES_CONNECT_TIMEOUT": str(CONNECT_SECONDS),
    }
