"""The three servers together, with ports, folders and addresses from the environment."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from deploy.devstack.errors import DevstackError
from deploy.devstack.kafka import MECHANISM, Kafka
from deploy.devstack.kafka_jars import MAVEN_CENTRAL
from deploy.devstack.mongo import Mongo
from deploy.devstack.postgres import Postgres
from deploy.devstack.security import ADMINISTRATOR, Security
from deploy.devstack.server import REPOSITORY_ROOT, Server, Started

LAST_PORT = 65_535


@dataclass(frozen=True)
class Addresses:
    """Where clients find the servers. `postgres_url` is None unless PostgreSQL is wanted or runs.

    `security`: how they get in, where the servers ask for that.
    """

    kafka_bootstrap: str
    mongodb_uri: str
    postgres_url: str | None
    security: Security | None = None

    def as_environment(self) -> dict[str, str]:
        """The variables that services read."""
        found = {
            Kafka.variable: self.kafka_bootstrap,
            Mongo.variable: self.mongodb_uri,
            Postgres.variable: self.postgres_url,
        }
        if self.security:  # the URI of MongoDB tells its own
            found |= {
                "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
                "KAFKA_SASL_MECHANISM": MECHANISM,
                "KAFKA_USERNAME": ADMINISTRATOR,
                "KAFKA_PASSWORD": self.security.password,
                "KAFKA_CA_FILE": str(self.security.ca),
            }
        return {name: value for name, value in found.items() if value}


def _security_of(home: Path, asked: str) -> Security | None:
    """What the servers of a folder ask their clients for: what its data was made with, for new data what is asked for.

    Raises DevstackError where the two differ: the servers would not find their passwords, or ask nobody for one.
    """
    security = Security(home / "tls")
    has_data = any((home / server.name).exists() for server in (Kafka, Mongo))
    if asked and (security.exists() or has_data) and security.exists() != (asked == "1"):
        made = "with" if security.exists() else "without"
        raise DevstackError(
            f"The data in {home} was made {made} TLS and passwords.\nLeave DEVSTACK_SECURE out to go on with it.  To "
            "begin otherwise set DEVSTACK_DIR to another folder, or first run `make wipe` without it, which deletes "
            "the data."
        )
    if asked != "1" and not security.exists():
        return None
    security.prepare()
    return security


class Stack:
    """Kafka and MongoDB always, PostgreSQL when asked."""

    def __init__(self, kafka: Kafka, mongo: Mongo, postgres: Postgres, *, with_postgres: bool) -> None:
        self.kafka = kafka
        self.mongo = mongo
        self.postgres = postgres
        self._with_postgres = with_postgres

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Stack:
        """The stack that the environment describes; see the README for the variables."""
        env = os.environ if environ is None else environ
        home = Path(env.get("DEVSTACK_DIR") or REPOSITORY_ROOT / ".devstack").expanduser().absolute()
        user_cache = Path(env.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "salestream"
        timeout = float(whole_number(env, "DEVSTACK_TIMEOUT", 90))
        security = _security_of(home, env.get("DEVSTACK_SECURE") or "")
        kafka_port = whole_number(env, Kafka.port_variable, 29092)
        kafka = Kafka(
            home,
            kafka_port,
            env.get(Kafka.variable) or None,
            timeout,
            security,
            controller_port=whole_number(env, "DEVSTACK_KAFKA_CONTROLLER_PORT", kafka_port + 1),
            cache=Path(env.get("DEVSTACK_CACHE") or user_cache).expanduser().absolute(),
            repository=env.get("DEVSTACK_MAVEN_URL") or MAVEN_CENTRAL,
        )
        mongo_port = whole_number(env, Mongo.port_variable, 27117)
        mongo = Mongo(home, mongo_port, env.get(Mongo.variable) or None, timeout, security)
        postgres_port = whole_number(env, Postgres.port_variable, 25432)
        postgres = Postgres(home, postgres_port, env.get(Postgres.variable) or None, timeout)
        for server in (kafka, mongo, postgres):
            if server.given == server.own_address:
                server.given = None  # our own address, exported to a shell by `env`: the server is still ours
        wanted = env.get("EVENT_STORE") == "postgres" or postgres.external
        return cls(kafka, mongo, postgres, with_postgres=wanted)

    @property
    def servers(self) -> list[Server]:
        """The servers that are wanted, and PostgreSQL also if it happens to run."""
        wants_postgres = self._with_postgres or self.postgres.pid is not None
        return [self.kafka, self.mongo, *([self.postgres] if wants_postgres else [])]

    @property
    def addresses(self) -> Addresses:
        postgres = self.postgres.address if self.postgres in self.servers else None
        return Addresses(self.kafka.address, self.mongo.address, postgres, self.kafka.security)

    def up(
        self,
        postgres: bool | None = None,
        report: Callable[[Server, Started], None] | None = None,
    ) -> Addresses:
        """Start what is missing, all at once, and return when everything is healthy.

        `postgres` overrides what the environment says. `report` is called as each server becomes ready.
        """
        if postgres is not None:
            self._with_postgres = postgres

        if self.postgres in self.servers and not self.postgres.external:
            self.postgres.require()

        def start(server: Server) -> None:
            started = server.start()
            if report:
                report(server, started)

        self._each(start)
        return self.addresses

    def wait(self) -> None:
        """Return when all wanted servers answer, without starting any."""
        self._each(lambda server: server.wait())

    def down(self, *, wipe: bool = False, report: Callable[[Server, bool], None] | None = None) -> None:
        """Stop the servers that run from this stack's folder; `wipe` deletes their data too."""

        def stop(server: Server) -> None:
            if server.external:
                return
            stopped = server.stop() if server.pid and not wipe else False
            wiped = server.wipe() if wipe else False
            if report:
                report(server, stopped or wiped)

        self._each(stop, [self.kafka, self.mongo, self.postgres])
        if wipe and self.kafka.security:
            self.kafka.security.wipe()

    def _each(self, act: Callable[[Server], None], servers: list[Server] | None = None) -> None:
        """Act on the servers in parallel. One that fails does not keep the others from being finished."""
        problems: list[DevstackError] = []
        with ThreadPoolExecutor() as pool:
            for future in [pool.submit(act, server) for server in servers or self.servers]:
                try:
                    future.result()
                except DevstackError as error:
                    problems.append(error)
        if len(problems) == 1:
            raise problems[0]
        if problems:
            raise DevstackError("\n\n".join(map(str, problems)))


def whole_number(env: Mapping[str, str], name: str, default: int) -> int:
    """What a variable says, else the default.  Raises DevstackError for no number, and for no port in a NAME_PORT."""
    text = env.get(name) or str(default)
    if not (text.isascii() and text.isdigit()):
        raise DevstackError(f"{name} must be a whole number, not {text!r}.")
    if name.endswith("_PORT") and not 0 < int(text) <= LAST_PORT:
        raise DevstackError(f"{name} must be a port from 1 to {LAST_PORT}, not {text!r}.")
    return int(text)
