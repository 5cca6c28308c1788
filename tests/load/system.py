"""The system that the benchmark measures: servers and processes of its own, and what CPU and memory they take."""

import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import psutil

from chassis.access.tokens import issue
from chassis.foundation.config import Config
from deploy.devstack.ports import free_ports
from deploy.devstack.server import HOST, REPOSITORY_ROOT
from deploy.local.system import LocalSystem
from services.access.demo_users import demo_user

from .client import Caller, LoadError

PORTS = (
    "DEVSTACK_KAFKA_PORT",
    "DEVSTACK_KAFKA_CONTROLLER_PORT",
    "DEVSTACK_MONGO_PORT",
    "DEVSTACK_POSTGRES_PORT",
    "SALESTREAM_PORT",
    "SALESTREAM_WORKER_PORT",
    "BENCH_PORT",
)
ADDRESSES = ("KAFKA_BOOTSTRAP_SERVERS", "MONGODB_URI", "POSTGRES_URL")
START_SECONDS = 60.0


def clean_environment() -> None:
    """Forget settings of the caller's shell: they would make the run another one."""
    for name in (*ADDRESSES, *PORTS, *(item.name.upper() for item in fields(Config))):
        os.environ.pop(name, None)


class Bench:
    """The bench's own stack in a folder, on ports that are free now."""

    def __init__(self, home: Path) -> None:
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        self.home = home
        own = {name: str(port) for name, port in zip(PORTS, free_ports(len(PORTS)), strict=True)}
        self.env = {**os.environ, **own, "DEVSTACK_DIR": str(home), "TEST_TOKENS": "1"}
        self.system = LocalSystem.from_env(self.env)

    def config(self, **more: str) -> Config:
        """The configuration that the system's processes have."""
        names = {item.name.upper() for item in fields(Config)}
        settings = {name: value for name, value in self.system.settings().items() if name in names}
        return Config.from_env({**settings, **more})

    def caller(self, user: str, address: tuple[str, int]) -> Caller:
        return Caller(f"{address[0]}:{address[1]}", issue(self.config(), demo_user(user), seconds=3600))

    @property
    def api_address(self) -> tuple[str, int]:
        return HOST, self.system.api.port

    def pids(self) -> dict[str, int]:
        """The processes an order passes through."""
        servers = [self.system.stack.kafka, self.system.stack.mongo, *self.system.processes]
        return {server.name: pid for server in servers if (pid := server.pid)}

    def close(self) -> None:
        """Stop everything and delete its data."""
        self.system.down(wipe=True)
        shutil.rmtree(self.home, ignore_errors=True)

    @contextmanager
    def server(self, module: str, folder: str) -> Iterator[tuple[tuple[str, int], int]]:
        """A server of the benchmark as a process of its own: its address and process id."""
        home = self.home / folder
        home.mkdir(exist_ok=True)
        address = (HOST, int(self.env["BENCH_PORT"]))
        settings = {
            **self.system.settings(),
            "DATA_DIR": str(home / "stores"),
            "HTTP_ADDRESS": f"{address[0]}:{address[1]}",
            "LC_ALL": "C.UTF-8",
        }
        with (home / "server.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", module], cwd=REPOSITORY_ROOT, env=settings, stdout=log, stderr=log
            )
        try:
            _wait_until_ready(process, address, home / "server.log")
            yield address, process.pid
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_ready(process: "subprocess.Popen[bytes]", address: tuple[str, int], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://{address[0]}:{address[1]}/readyz", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise LoadError(f"the benchmark's server did not start:\n{log.read_text(errors='replace')[-2000:]}")


class Cpu:
    """CPU time of processes since a moment, each without its children: none of them has any that work."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self._before = self._read()

    def milliseconds(self) -> dict[str, float]:
        """What each has used since, in milliseconds."""
        return {name: (now - self._before[name]) * 1000 for name, now in self._read().items()}

    def _read(self) -> dict[str, float]:
        return {name: _cpu_seconds(process) for name, process in self._processes.items()}


class Machine:
    """How busy the cores that we may use have been since a moment, by whomever: us, others, the kernel."""

    def __init__(self) -> None:
        self._before, self._at = self._busy_seconds(), time.monotonic()

    def free_cores(self, ours: float) -> float:
        """How many cores others left, in the mean; `ours`: CPU seconds that were used for what is measured."""
        others = (self._busy_seconds() - self._before - ours) / (time.monotonic() - self._at)
        return self.cores() - max(0.0, others)

    @staticmethod
    def cores() -> int:
        """How many this process and those it starts may use (`taskset` allows fewer)."""
        return len(os.sched_getaffinity(0))

    @staticmethod
    def _busy_seconds() -> float:
        each = psutil.cpu_times(percpu=True)
        ours = [each[number] for number in os.sched_getaffinity(0)]
        return float(sum(sum(core[:8]) - core.idle - core.iowait for core in ours))  # guests, 8 and 9, are in 0 and 1


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def rss_mb(pid: int) -> float:
    return float(psutil.Process(pid).memory_info().rss) / 2**20
