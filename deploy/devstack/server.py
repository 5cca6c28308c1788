"""A server process which outlives the command that started it, and can be found again.

What is common to Kafka, MongoDB and PostgreSQL: a folder with data, log and pid file; a start which waits
until the server really answers; a stop which touches only the process that was started here.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import psutil
from tenacity import (
    Retrying,
    retry_if_exception,
    retry_if_exception_type,
    retry_if_result,
    stop_after_delay,
    wait_fixed,
)

from deploy.devstack.errors import (
    DevstackError,
    MissingPackage,
    NoDiskSpace,
    NotOurs,
    NotReady,
    PortBusy,
    StartFailed,
    Vanished,
)
from deploy.devstack.security import Security

HOST = "127.0.0.1"
REPOSITORY_ROOT = Path(__file__).resolve().parents[2]
STOP_SECONDS = 30.0
"""How long a server may take to close its files before it is killed."""
LOCK_SECONDS = 300.0
"""How long to wait for another `up` or `down`; the first `up` on a machine downloads Kafka in this time."""
PORT_SECONDS = 5.0
FREE_BYTES = 1 << 30
LOG_TAIL_LINES = 8
State = Literal["healthy", "NOT HEALTHY", "stopped"]
STOPPED = 3
"""The exit code of a `status` that finds nothing running, as the service managers of Linux have it."""


@dataclass(frozen=True)
class Started:
    """What a start found and did: `fresh` if a process was launched, `seconds` until it was healthy."""

    fresh: bool
    seconds: float


class Server(ABC):
    """One server of the stack.

    With `security` it asks its clients for TLS and a password. `given` is an address from the environment. Such a
    server belongs to somebody else: it is checked, never started, stopped or wiped.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    variable: ClassVar[str]
    """The environment variable that holds the address of this server."""
    port_variable: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    drop_signal: ClassVar[signal.Signals] = signal.SIGKILL
    """Ends it where its data is deleted anyway: nothing need be written in good order first."""

    def __init__(
        self, home: Path, port: int, given: str | None, timeout: float, security: Security | None = None
    ) -> None:
        self.home = home / self.name
        self.security = security
        self.port = port
        self.given = given
        self.timeout = timeout
        self._child: subprocess.Popen[bytes] | None = None

    # What each server defines

    @property
    @abstractmethod
    def own_address(self) -> str:
        """The address that clients use if this stack runs the server."""

    @abstractmethod
    def prepare(self) -> None:
        """Make the data folder and the settings, so that `command` can run. Called before each launch."""

    @abstractmethod
    def command(self) -> list[str]:
        """The program and its arguments."""

    @abstractmethod
    def check(self) -> None:
        """Ask the server for something real; raise `NotReady` if it does not answer."""

    def ports(self) -> list[int]:
        """The ports that must be free before a launch."""
        return [self.port]

    def settle(self) -> None:
        """One attempt to bring a launched server to the state in which `check` passes."""
        self.check()

    def launcher(self) -> list[str]:
        """A prefix to the command, for example to change the user."""
        return []

    def environment(self) -> dict[str, str]:
        """What the process needs in its environment besides what this one has."""
        return {"LC_ALL": "C"}

    # What everybody asks

    @property
    def external(self) -> bool:
        return self.given is not None

    @property
    def address(self) -> str:
        return self.given or self.own_address

    @property
    def shown_address(self) -> str:
        """The address without its password, for messages."""
        return re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", self.address)

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def log(self) -> Path:
        return self.home / "server.log"

    @property
    def pid(self) -> int | None:
        """The process id of the server that runs here, or None."""
        process = self._process()
        return process.pid if process else None

    def healthy(self) -> bool:
        try:
            self.check()
        except NotReady:
            return False
        return True

    def state(self) -> State:
        """How it is.  One that does not run here is stopped, whatever else answers on its port."""
        if self.pid is None and not self.external:
            return "stopped"
        return "healthy" if self.healthy() else "NOT HEALTHY"

    def start(self) -> Started:
        """Launch the server unless it runs, and return when it is healthy."""
        begun = time.monotonic()
        if self.external:
            self.wait()
            return Started(False, time.monotonic() - begun)
        with self._locked():
            fresh = not self._joins()
            if fresh:
                self._claim_home()
                self._require_disk()
                for port in self.ports():
                    self._require_free(port)
                self.prepare()
                self._launch()
                try:
                    self._until_ready(self._settle_alive)
                except StartFailed:
                    self._end(self.stop_signal)
                    raise
        return Started(fresh, time.monotonic() - begun)

    def wait(self) -> None:
        """Return when the server answers, whoever started it; raise `StartFailed` after the timeout."""
        self._until_ready(self.check)

    def stop(self) -> bool:
        """Ask the server to end, wait for it, kill it if it does not. True if there was something to stop."""
        self._require_own("stopped")
        with self._locked():
            return self._end(self.stop_signal)

    def kill(self) -> bool:
        """End the server as a crash would: SIGKILL, no chance to close anything."""
        self._require_own("killed")
        with self._locked():
            return self._end(signal.SIGKILL)

    def wipe(self) -> bool:
        """End the server at once and delete its data. True if there was something to delete."""
        self._require_own("wiped")
        if not self._marker.exists():
            return False
        with self._locked():
            self._end(self.drop_signal)
            shutil.rmtree(self.home)
        return True

    # The process

    @property
    def _pid_file(self) -> Path:
        return self.home / "server.pid"

    @property
    def _marker(self) -> Path:
        return self.home / "devstack"

    def _process(self) -> psutil.Process | None:
        """The process in the pid file, if it is still the one which was started here.

        Process ids are reused, so its command line is compared with the recorded one, naming this folder.
        A living child of this very process needs no comparison, and may be between two programs just now.
        """
        child_lives = self._child is not None and self._child.poll() is None
        try:
            record = json.loads(self._pid_file.read_text())
            process = psutil.Process(record["pid"])
            command: list[str] = record["command"]
            # A launcher replaces itself by the command, so only the end counts.
            ours = child_lives and self._child is not None and self._child.pid == process.pid
            ours = ours or (_runs(process) and process.cmdline()[-len(command) :] == command)
        except (FileNotFoundError, psutil.NoSuchProcess, psutil.AccessDenied):
            return None
        return process if ours else None

    def _launch(self) -> None:
        command = self.command()
        if self.data.exists():
            self.data.chmod(0o700)
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("wb") as log:
            self._child = subprocess.Popen(  # noqa: S603 - our own arguments
                [*self.launcher(), *command],
                cwd=self.home,
                env=os.environ | self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=0o077,  # events lie there too: names, numbers, prices
            )
        fresh = self._pid_file.with_suffix(".new")
        fresh.write_text(json.dumps({"pid": self._child.pid, "command": command}))
        fresh.replace(self._pid_file)

    def _end(self, how: signal.Signals) -> bool:
        process = self._process()
        if process is None:
            self._pid_file.unlink(missing_ok=True)
            return False
        children: list[psutil.Process] = []
        for attempt in (how, signal.SIGKILL):
            try:
                children = children or process.children(recursive=True)
                process.send_signal(attempt)
            except psutil.NoSuchProcess:  # it ended by itself meanwhile
                break
            if self._gone([process, *children]):
                break
        else:
            raise DevstackError(f"{self.title} (process {process.pid}) survives SIGKILL. See {self.log}.")
        self._pid_file.unlink(missing_ok=True)
        return True

    def _gone(self, processes: list[psutil.Process]) -> bool:
        """Wait until the server and its children have ended; False if they have not in time.

        A process that is ending loses its command line before its sockets: `_process` would take it for ended.
        """
        waiting = Retrying(
            stop=stop_after_delay(STOP_SECONDS),
            wait=wait_fixed(0.05),
            retry=retry_if_result(bool),
            retry_error_callback=lambda _: True,
        )
        return not waiting(lambda: self._process() is not None or any(_runs(one) for one in processes))

    def _joins(self) -> bool:
        """Whether the server runs already, and gets or is healthy. One that is just dying does not count."""
        if self.pid is None:
            return False
        try:
            self._until_ready(self._settle_alive)
        except Vanished:
            return False
        return True

    def _settle_alive(self) -> None:
        if self.pid is None:
            tail = self.log_tail()
            raise Vanished(f"{self.title} ended during its start. Its log {self.log} ends with:\n{tail}")
        self.settle()

    def _until_ready(self, attempt: Callable[[], None]) -> None:
        waiting = Retrying(
            stop=stop_after_delay(self.timeout),
            wait=wait_fixed(0.1),
            retry=retry_if_exception_type(NotReady),
            reraise=True,
        )
        try:
            waiting(attempt)
        except NotReady as error:
            raise StartFailed(self._unhealthy(error)) from error

    def _unhealthy(self, error: NotReady) -> str:
        if self.external:
            return (
                f"{self.title} at {self.shown_address} (from {self.variable}) does not answer: {error}. "
                f"Start it, or unset {self.variable} to let the development stack run its own."
            )
        text = f"{self.title} on port {self.port} was not healthy within {self.timeout:.0f} s: {error}."
        tail = self.log_tail()
        return f"{text} Its log {self.log} ends with:\n{tail}" if tail else f"{text} It has not been started."

    def log_tail(self) -> str:
        """The last lines of its log, indented and cut; "" where there is none."""
        if not self.log.exists():
            return ""
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(f"  {line[:300]}" for line in lines[-LOG_TAIL_LINES:])

    # What must be true before a launch

    def _claim_home(self) -> None:
        """Take the folder of this server, and never one with somebody else's files."""
        if not self._marker.exists() and any(path.name != "lock" for path in self.home.iterdir()):
            raise DevstackError(
                f"The folder {self.home} was not made by the development stack and is not empty. "
                "Set DEVSTACK_DIR to another folder."
            )
        self._marker.write_text(f"The development stack keeps the data of {self.title} here.\n")

    def _require_own(self, verb: str) -> None:
        if self.external:
            raise NotOurs(
                f"{self.title} at {self.shown_address} is given by {self.variable}, so it is not {verb} "
                f"here. Unset {self.variable} to use the server of the development stack."
            )

    def _require_disk(self) -> None:
        free = shutil.disk_usage(self.home).free
        if free < FREE_BYTES:
            raise NoDiskSpace(
                f"Only {free >> 20} MiB are free where {self.home} is; {self.title} needs {FREE_BYTES >> 20} "
                "MiB to be safe. Free some space, or set DEVSTACK_DIR to a folder on another disk."
            )

    def _require_free(self, port: int) -> None:
        """Check that nobody else uses a port; the kernel may still be closing that of a crashed server."""
        waiting = Retrying(
            stop=stop_after_delay(PORT_SECONDS),
            wait=wait_fixed(0.05),
            retry=retry_if_exception(lambda error: isinstance(error, OSError) and _listener(port) is None),
            reraise=True,
        )
        try:
            waiting(_bind, port)
        except OSError as error:
            listener = _listener(port)
            by = f" by process {listener}" if listener else ""
            raise PortBusy(
                f"{self.title} needs port {port}, which is used{by}. Stop that program, set "
                f"{self.port_variable} to a free port, or set {self.variable} to use a server that already "
                "runs."
            ) from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Let one process at a time start or stop this server."""
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            lock = (self.home / "lock").open("w")
        except OSError as error:
            raise DevstackError(
                f"Cannot write in {self.home}: {error.strerror}. Set DEVSTACK_DIR to a folder of yours."
            ) from error
        with lock:
            hold_lock(lock.fileno(), f"{self.title} is being started or stopped by another command")
            try:
                yield
            except (OSError, subprocess.TimeoutExpired) as error:
                raise DevstackError(f"{self.title} in {self.home}: {error}.") from error


def hold_lock(descriptor: int, busy: str) -> None:
    """Lock an open file until it is closed; complain with `busy` if another process keeps it for long."""
    waiting = Retrying(
        stop=stop_after_delay(LOCK_SECONDS),
        wait=wait_fixed(0.1),
        retry=retry_if_exception_type(BlockingIOError),
        reraise=True,
    )
    try:
        waiting(fcntl.flock, descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise DevstackError(f"{busy} since {LOCK_SECONDS:.0f} s. End it and try again.") from error


def packaged(distribution: str, path: str, title: str, variable: str) -> Path:
    """A file out of an installed Python package."""
    try:
        found = Path(str(importlib.metadata.distribution(distribution).locate_file(path)))
    except importlib.metadata.PackageNotFoundError:
        found = None
    if found is None or not found.exists():
        raise MissingPackage(
            f"{title} comes in the Python package {distribution}, which is not installed (or not for this "
            f"platform). Install the development dependencies of this project into the environment of this "
            f"Python, or set {variable} to use a server that already runs."
        )
    return found


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _bind(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((HOST, port))


def _listener(port: int) -> int | None:
    """The process that listens on a port, if there is one and the system tells; not one that is just ending."""
    for connection in psutil.net_connections(kind="tcp"):
        local = connection.laddr
        if connection.status == psutil.CONN_LISTEN and local and local.port == port and connection.pid:
            with suppress(psutil.NoSuchProcess):
                return connection.pid if _runs(psutil.Process(connection.pid)) else None
    return None
