"""The whole system on one machine: servers, then the api process, then the worker process."""

from __future__ import annotations

import json
import os
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import ClassVar

from deploy.devstack import Stack
from deploy.devstack.errors import DevstackError, NotReady
from deploy.devstack.server import HOST, Server, Started
from deploy.devstack.stack import whole_number

FOLDERS = {"DATA_DIR": "stores", "TOKEN_KEY_DIR": "keys", "MAILBOX_DIR": "mailbox", "FILES_DIR": "files"}
"""Where a system keeps its data, by the variables that name the folders."""
EVENT_STORE = "event-store"
"""The file that tells with which kind of store the data of a folder was made."""


class RoleProcess(Server):
    """One Salestream process; `check` asks its /readyz."""

    role: ClassVar[str]

    def __init__(self, home: Path, port: int, timeout: float, settings: Callable[[], dict[str, str]]) -> None:
        super().__init__(home, port, None, timeout)
        self._settings = settings

    @property
    def own_address(self) -> str:
        return f"http://{HOST}:{self.port}"

    def prepare(self) -> None:
        """The process makes what it needs itself."""

    def command(self) -> list[str]:
        return [sys.executable, "-m", "chassis.run.main", "run", self.role]

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "LC_ALL": "C.UTF-8", "PYTHONUNBUFFERED": "1", **self._settings()}

    def check(self) -> None:
        try:
            with urllib.request.urlopen(f"{self.own_address}/readyz", timeout=5) as answer:  # noqa: S310 - our own
                json.load(answer)
        except (urllib.error.URLError, OSError, ValueError) as error:
            raise NotReady(f"{self.title} does not answer on port {self.port}: {error}") from error


class ApiProcess(RoleProcess):
    """HTTP, the writers and the inboxes of all services."""

    name = "api"
    title = "api"
    variable = "SALESTREAM_API"
    port_variable = "SALESTREAM_PORT"
    role = "api"


class WorkerProcess(RoleProcess):
    """Relays, projector and saga."""

    name = "worker"
    title = "worker"
    variable = "SALESTREAM_WORKER"
    port_variable = "SALESTREAM_WORKER_PORT"
    role = "worker"


class LocalSystem:
    """Starts, checks and stops everything; state lives in the stack's folder."""

    def __init__(self, stack: Stack, home: Path, env: Mapping[str, str]) -> None:
        self.stack = stack
        self.home = home
        self._env = dict(env)
        timeout = float(env.get("DEVSTACK_TIMEOUT") or 90)
        self.api = ApiProcess(home, whole_number(env, ApiProcess.port_variable, 8000), timeout, self.settings)
        self.worker = WorkerProcess(home, whole_number(env, WorkerProcess.port_variable, 8001), timeout, self.settings)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> LocalSystem:
        """The system that the environment describes; with the kind of store its data was made with, unless told."""
        env = dict(os.environ if environ is None else environ)
        home = Stack.from_env(env).kafka.home.parent
        if not env.get("EVENT_STORE") and (made_with := home / EVENT_STORE).exists():
            env["EVENT_STORE"] = made_with.read_text()
        return cls(Stack.from_env(env), home, env)

    @property
    def processes(self) -> list[RoleProcess]:
        return [self.api, self.worker]

    def settings(self) -> dict[str, str]:
        """The environment of a Salestream process of this system; what the caller's environment sets goes first."""
        defaults = {
            "EVENT_STORE": "sqlite",
            **{name: str(self.home / folder) for name, folder in FOLDERS.items()},
            "HTTP_ADDRESS": f"{HOST}:{self.api.port}",
            "HEALTH_ADDRESS": f"{HOST}:{self.worker.port}",
            "PLAIN_HTTP": "1",
            # The demo and the measurements send as much as there is, all from one address and a few users.
            "RATE_LIMIT_ADDRESS": "1000000/second",
            "RATE_LIMIT_USER": "1000000/second",
            "RATE_LIMIT_SIGN_IN": "1000000/second",
        }
        given = {name: value for name, value in self._env.items() if value}
        return {**defaults, **given, **self.stack.addresses.as_environment()}

    def require_running(self, servers: Iterable[Server]) -> None:
        """Raises DevstackError, with the way out, where one of these servers of the system does not run."""
        if stopped := [server.title for server in servers if server.state() == "stopped"]:
            whole = "Salestream is stopped" if self.api.pid is None else f"{', '.join(stopped)} of Salestream: stopped"
            raise DevstackError(f"{whole}.  Start it with `make up`.")

    def up(self, report: Callable[[Server, Started], None] | None = None) -> None:
        """Start what is missing; returns when all answer."""
        self._require_same_event_store()
        self.stack.up(report=report)
        for process in self.processes:
            started = process.start()
            if report:
                report(process, started)

    def _require_same_event_store(self) -> None:
        """Topics and views belong to the stores they came from: another kind of store needs empty ones."""
        kind = self._env.get("EVENT_STORE") or "sqlite"
        marker = self.home / EVENT_STORE
        if marker.exists() and (before := marker.read_text()) != kind:
            raise DevstackError(
                f"The data in {self.home} was made with EVENT_STORE={before}, you asked for {kind}.\n"
                f"Leave EVENT_STORE out to go on with it.  To begin with {kind} set DEVSTACK_DIR to another folder, or "
                "run `make wipe`, which deletes the data."
            )
        self.home.mkdir(parents=True, exist_ok=True)
        marker.write_text(kind)

    def down(self, *, wipe: bool = False, report: Callable[[Server, bool], None] | None = None) -> None:
        """Stop everything that runs from this folder; `wipe` deletes the data too."""
        for process in reversed(self.processes):
            stopped = process.stop() if process.pid else False
            if report:
                report(process, stopped)
        self.stack.down(wipe=wipe, report=report)
        if wipe:
            for folder in (*FOLDERS.values(), "api", "worker"):
                shutil.rmtree(self.home / folder, ignore_errors=True)
            for name in (EVENT_STORE, "people.json"):
                (self.home / name).unlink(missing_ok=True)
