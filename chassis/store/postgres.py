"""The store in PostgreSQL: for several processes of a service."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from hashlib import sha256
from typing import Any
from uuid import UUID

import psycopg
from eventsourcing.persistence import OperationalError, StoredEvent
from eventsourcing.postgres import PostgresFactory, PostgresProcessRecorder
from eventsourcing.utils import Environment
from psycopg.sql import SQL, Identifier, Literal
from psycopg.types.numeric import Int4, Int8
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random

from chassis.audit.chain import Record
from chassis.foundation.config import ConfigError
from chassis.foundation.connections import GIVES_UP
from chassis.store.recorder import octets, prefix_end, read_is_old
from chassis.store.transaction import CommandResult, Snapshot, Transaction

MAKING_WAITS = "500ms"
"""So long making tables waits for a lock: PostgreSQL looks for circles later, so it is never a writer that loses."""
PATIENCE = Retrying(
    stop=stop_after_delay(30), wait=wait_random(0, 0.5), retry=retry_if_exception_type(OperationalError), reraise=True
)

LOCK_SECONDS = 1
"""So long a statement waits for a lock. The library tries ten times: so soon a command is answered 503."""
COMMIT_SECONDS = 10
"""So long a transaction that others wait for may last; that of a process which was stopped within it ends then.

`idle_in_transaction_session_timeout` does not end it: statements come in a pipeline, and a session that waits for the
next of a pipeline does not count as idle.  Servers before PostgreSQL 17 know no other limit: there the others are
refused for as long as it lasts.
"""
REFILL_SECONDS = 600
"""The same where all rows of a replica change: no command waits for it."""
LIMITS_TRANSACTIONS = 17_00_00
"""The first server that knows how to."""
OPENING_SECONDS = 60
"""So long whoever makes tables may do so alone.  Others begin then: it has been stopped, or they wait for locks."""
LIMITS = f"SET lock_timeout = '{LOCK_SECONDS}s'; {GIVES_UP}"

APPEND_ONLY = (
    "CREATE OR REPLACE FUNCTION {s}.refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$",
    "CREATE OR REPLACE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {s}.audit "
    "FOR EACH STATEMENT EXECUTE FUNCTION {s}.refuse_change()",
)
RESULTS_HAVE_A_DAY = "ALTER TABLE {s}.command_results ADD COLUMN IF NOT EXISTS day integer NOT NULL DEFAULT 0"
"""Also those of a former release; no row is written for it."""
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

        # The library's own would set `lock_timeout` again: see LIMITS.
        self.lock_table_statements = [self._sql("LOCK TABLE {s}.{events} IN EXCLUSIVE MODE")]
        self.sql_create_statements += [self._sql(statement) for statement in (RESULTS_HAVE_A_DAY, *APPEND_ONLY)]
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

    def _limit(self, curs: Any, seconds: int) -> None:
        """Have the server end this transaction when it lasts longer, if it can."""
        if curs.connection.info.server_version >= LIMITS_TRANSACTIONS:
            curs.execute(f"SET LOCAL transaction_timeout = '{seconds}s'", prepare=True)

    def _insert_events(self, curs: Any, stored_events: Sequence[StoredEvent], **kwargs: Any) -> None:
        """One statement for all rows of a table: a row by itself is a round trip, and a turn of the api's hub."""
        more: Transaction = kwargs["more"]
        self._limit(curs, REFILL_SECONDS if more.emptied or more.renamed else COMMIT_SECONDS)
        if stored_events:
            self._lock_table(curs)
        if read := more.only_read():  # the table is locked: nobody else's events come any more
            others = "SELECT FROM {s}.{events} WHERE notification_id > %b AND originator_id = ANY(%b) LIMIT 1"
            if curs.execute(self._sql(others), [Int8(more.seen), read], prepare=True).fetchone() is not None:
                raise read_is_old()
        changed = {(r.replica, r.key): r for r in more.rows}.values()  # a statement may touch each but once
        latest = {s.aggregate_id: s for s in more.snapshots}.values()
        for statement, rows in (
            (
                "INSERT INTO {s}.command_results "
                "SELECT * FROM unnest(%b::text[], %b::text[], %b::bytea[], %b::integer[])",
                [(r.command_id, r.fingerprint, r.reply, Int4(r.day)) for r in more.results],
            ),
            (
                "DELETE FROM {s}.replica_rows WHERE replica = ANY(%b::text[])",
                [(replica,) for replica in more.emptied],
            ),
            (
                "UPDATE {s}.replica_rows SET replica = renamed.after "
                "FROM unnest(%b::text[], %b::text[]) AS renamed(before, after) "
                "WHERE replica_rows.replica = renamed.before",
                list(more.renamed.items()),
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
            (
                "INSERT INTO {s}.{tracking} SELECT * FROM unnest(%b::text[], %b::bigint[]) "
                "ON CONFLICT (application_name) DO UPDATE SET notification_id = excluded.notification_id",
                [(name, Int8(position)) for name, position in more.replaced().items()],
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
            "SELECT command_id, fingerprint, reply, day FROM {s}.command_results WHERE command_id = ANY(%s)",
            list(command_ids),
        )
        return [CommandResult(row[0], row[1], octets(row[2]), row[3]) for row in rows]

    def row(self, replica: str, key: str) -> bytes | None:
        row = self._one("SELECT body FROM {s}.replica_rows WHERE replica=%s AND key=%s", replica, key)
        return row and bytes(row[0])

    def rows_at(self, replica: str, keys: Sequence[str]) -> dict[str, bytes]:
        statement = "SELECT key, body FROM {s}.replica_rows WHERE replica=%s AND key = ANY(%s)"
        return {row[0]: bytes(row[1]) for row in self._all(statement, replica, list(keys))}

    def rows_with_prefix(self, replica: str, prefix: str, limit: int) -> list[bytes]:
        return [
            bytes(row[0])
            for row in self._all(
                "SELECT body FROM {s}.replica_rows WHERE replica=%s AND key>=%s AND key<%s LIMIT %s",
                replica,
                prefix,
                prefix_end(prefix),
                limit,
            )
        ]

    def rows_of(self, replica: str) -> list[bytes]:
        return [bytes(row[0]) for row in self._all("SELECT body FROM {s}.replica_rows WHERE replica=%s", replica)]

    def rows_after(self, replica: str, key: str, limit: int) -> list[tuple[str, bytes]]:
        statement = "SELECT key, body FROM {s}.replica_rows WHERE replica=%s AND key>%s ORDER BY key LIMIT %s"
        return [(row[0], bytes(row[1])) for row in self._all(statement, replica, key, limit)]

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

    def set_position_while(self, name: str, position: int, other: str, expected: int) -> bool:
        tracking = Identifier(self.datastore.schema), Identifier(self.tracking_table_name)
        with self.datastore.transaction(commit=True) as curs:
            curs.execute(  # the row is locked, also where it was not there: nobody changes it until this is stored
                SQL(
                    "INSERT INTO {}.{} AS held VALUES (%s,0) ON CONFLICT (application_name) "
                    "DO UPDATE SET notification_id = held.notification_id RETURNING notification_id"
                ).format(*tracking),
                (other,),
            )
            found = curs.fetchone()
            if found is None or found["notification_id"] != expected:
                return False
            curs.execute(
                SQL(
                    "INSERT INTO {}.{} VALUES (%s,%s) ON CONFLICT (application_name) "
                    "DO UPDATE SET notification_id = excluded.notification_id"
                ).format(*tracking),
                (name, position),
            )
            return True

    def results_after(self, command_id: str, limit: int) -> list[CommandResult]:
        rows = self._all(
            "SELECT command_id, fingerprint, reply, day FROM {s}.command_results WHERE command_id>%s "
            "ORDER BY command_id LIMIT %s",
            command_id,
            limit,
        )
        return [CommandResult(row[0], row[1], octets(row[2]), row[3]) for row in rows]

    def forget_results(self, after: str, limit: int, before: int) -> Sequence[str]:
        found = self._all(
            "SELECT command_id, day FROM {s}.command_results WHERE command_id>%s ORDER BY command_id LIMIT %s",
            after,
            limit,
        )
        if old := [id for id, day in found if day < before]:
            with self.datastore.transaction(commit=True) as curs:
                delete = self._sql("DELETE FROM {s}.command_results WHERE command_id = ANY(%s)")
                curs.execute(delete, (old,), prepare=True)
        return [row[0] for row in found]

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
        return [Record(row[0], octets(row[1]), octets(row[2]), octets(row[3])) for row in rows]

    def last_audit(self) -> int:
        return self._one("SELECT MAX(number) FROM {s}.audit")[0] or 0

    def has_audit(self, digest: bytes, after: int) -> bool:
        return self._one("SELECT 1 FROM {s}.audit WHERE number>%s AND digest=%s", after, digest) is not None


class PostgresStores(PostgresFactory):
    process_recorder_class = PostgresRecorder

    def __init__(self, env: Environment) -> None:
        super().__init__(env)
        configure = self.datastore.after_connect_func()

        def bounded(connection: psycopg.Connection[Any]) -> None:
            configure(connection)
            connection.execute(LIMITS)

        self.datastore.pool._configure = bounded  # the library has no hook for either
        self.datastore.get_connection = partial(  # type: ignore[method-assign]
            ended_by_an_error, self.datastore.get_connection
        )


@contextmanager
def ended_by_an_error(
    opened: Callable[[], AbstractContextManager[psycopg.Connection[Any]]],
) -> Iterator[psycopg.Connection[Any]]:
    """A connection of the pool, which is of no more use after an error.

    Statements are sent in a pipeline and taken for prepared before anybody knows that an earlier one has failed: the
    server has passed over them, and would refuse them on this connection from then on.
    """
    with opened() as connection:
        try:
            yield connection
        except psycopg.Error:
            connection.close()
            raise


@contextmanager
def alone(conninfo: str) -> Iterator[psycopg.Connection[Any]]:
    """Make schemas and tables while no other process does: `IF NOT EXISTS` alone loses that race."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(f"SET idle_session_timeout = '{OPENING_SECONDS}s'; {GIVES_UP}")
        connection.execute("SELECT pg_advisory_lock(hashtext('salestream.create'))")
        yield connection


CONNECT_SECONDS = 1
"""How long anybody waits for a connection to PostgreSQL, ten times: the library tries again where there is none.

So soon a command is answered 503 while PostgreSQL is away.
"""
MOST_CONNECTIONS = 10
"""So many at once of one process to the store of one service.  None is kept open that nobody used for ten minutes."""


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
        "POSTGRES_POOL_SIZE": "0",  # a process has a pool for each service: what is kept open for none adds up
        "POSTGRES_MAX_OVERFLOW": str(MOST_CONNECTIONS),
        "POSTGRES_CONNECT_TIMEOUT": str(CONNECT_SECONDS),
    }
