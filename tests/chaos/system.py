"""The system under fault: every service on PostgreSQL, each process reaching its servers through a proxy of its own.

Four processes (api, relay, projector, saga), so that each dies alone.  The folders of the servers and of the api are
small tmpfs where we may mount them: that is where a disk can be filled.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import httpx
import psutil
from component.split import ProjectorProcess, RelayProcess, SagaProcess
from component.support import Company, await_views, config_of, environment, processes_below

from chassis.catalogue import Catalogue
from chassis.foundation.config import Config
from chassis.store.event_store import EventStore
from chassis.store.opening import open_store
from deploy.devstack.kafka import Kafka
from deploy.devstack.ports import free_ports
from deploy.devstack.server import HOST, Server
from deploy.local.system import ApiProcess, LocalSystem, RoleProcess

from .proxy import KafkaWire, MongoWire, PostgresWire, Proxy

SERVICES = tuple(Catalogue.read().with_role("relay"))
"""Everybody who has a store."""
KINDS: Mapping[str, type[RoleProcess]] = {
    "api": ApiProcess,
    "relay": RelayProcess,
    "projector": ProjectorProcess,
    "saga": SagaProcess,
}
DISK = "1900m"
"""Above what the development stack wants free at a start."""
SAGA_TIMEOUT = "5"
UNLIMITED = dict.fromkeys(("RATE_LIMIT_ADDRESS", "RATE_LIMIT_USER", "RATE_LIMIT_SIGN_IN"), "1000000/second")
"""A few clerks stand for a whole company here: what is to be seen is the system's own limit, not theirs."""


class ProxiedKafka(Kafka):
    """Kafka with a second listener that is advertised under the port of a proxy."""

    proxied_port = 0
    proxy_port = 0

    def _properties(self) -> dict[str, str | int]:
        found = super()._properties()
        more = {
            "listeners": f"PROXIED://{HOST}:{self.proxied_port}",
            "advertised.listeners": f"PROXIED://{HOST}:{self.proxy_port}",
            "listener.security.protocol.map": "PROXIED:PLAINTEXT",
        }
        return {
            **found,
            **{name: f"{found[name]},{value}" for name, value in more.items()},
            "inter.broker.listener.name": "PLAINTEXT",
        }


@dataclass
class ChaosSystem:
    """A running system with proxies; made by `chaos_system`."""

    folder: Path
    env: dict[str, str]
    local: LocalSystem
    processes: dict[str, RoleProcess]
    proxies: dict[str, Proxy]
    has_disks: bool
    config: Config
    more: dict[str, dict[str, str]] = field(default_factory=dict)
    """Per process: settings that a fault changes for it; they count from its next start."""
    _stores: dict[str, EventStore] = field(default_factory=dict)

    @property
    def api(self) -> RoleProcess:
        return self.processes["api"]

    @property
    def servers(self) -> dict[str, Server]:
        stack = self.local.stack
        return {"kafka": stack.kafka, "mongo": stack.mongo, "postgres": stack.postgres}

    def store(self, service: str) -> EventStore:
        """A service's store, opened beside the processes and past the proxies."""
        if service not in self._stores:
            self._stores[service] = open_store(service, self.config)
        return self._stores[service]

    def forget_stores(self) -> None:
        """Close our own connections to the stores: their server is about to go."""
        for store in self._stores.values():
            store.close()
        self._stores.clear()

    def company(self) -> Company:
        return Company(self.config, self.api.own_address)

    def kill(self, name: str) -> None:
        """SIGKILL to a process."""
        assert self.processes[name].kill(), f"{name} was not running"

    def start(self, name: str) -> None:
        self.processes[name].start()

    def restart(self, name: str, **settings: str) -> None:
        """Stop a process and start it with these settings (none: as usual)."""
        self.processes[name].stop()
        self.more[name] = settings
        self.processes[name].start()

    def heal(self) -> None:
        """Everything runs, as usual; what a failed fault has left behind is repaired."""
        for server in self.servers.values():
            if server.pid is not None:
                os.kill(server.pid, signal.SIGCONT)
            server.start()
        for name, process in self.processes.items():
            if process.pid is not None and self.more.get(name):
                process.stop()
            self.more.pop(name, None)
            process.start()

    @contextmanager
    def frozen(self, server: Server) -> Iterator[None]:
        """SIGSTOP to a server and its children; SIGCONT at the end, if they are still there."""
        assert server.pid is not None
        main = psutil.Process(server.pid)
        stopped = [main, *main.children(recursive=True)]
        for process in stopped:
            process.suspend()
        try:
            yield
        finally:
            for process in stopped:
                if process.is_running():
                    process.resume()

    def another(self, role: str) -> RoleProcess:
        """A second process of a role, not started."""
        folder = self.folder / f"second-{role}"
        return KINDS[role](folder, free_ports(1)[0], 90, lambda: self.settings(role))

    def past_the_proxies(self) -> dict[str, str]:
        """Settings for a process whose speed is measured: the proxies run in this very process."""
        names = ("KAFKA_BOOTSTRAP_SERVERS", "MONGODB_URI", "POSTGRES_URL")
        return {name: self.local.settings()[name] for name in names}

    def settings(self, name: str) -> dict[str, str]:
        """The environment of one process: the usual one, by way of its proxies."""
        return {
            **self.local.settings(),
            "KAFKA_BOOTSTRAP_SERVERS": f"{HOST}:{self.proxies['kafka'].port}",
            "MONGODB_URI": f"mongodb://{HOST}:{self.proxies[f'mongo-{name}'].port}/?directConnection=true",
            "POSTGRES_URL": _with_port(self.servers["postgres"].address, self.proxies[f"postgres-{name}"].port),
            **self.more.get(name, {}),
        }


def says_ready(process: RoleProcess) -> bool:
    """Whether a process answers that it can do its work."""
    try:
        return httpx.get(f"{process.own_address}/readyz", timeout=5).status_code == HTTPStatus.OK
    except httpx.TransportError:
        return False


def _with_port(url: str, port: int) -> str:
    head, _, tail = url.rpartition(":")
    return f"{head}:{port}/{tail.partition('/')[2]}"


@contextmanager
def chaos_system(folder: Path, say: Callable[[str], None] = lambda _: None, **more: str) -> Iterator[ChaosSystem]:
    """A system with proxies, up inside the block; afterwards nothing of it is left."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    names = [f"{server}-{role}" for server in ("mongo", "postgres") for role in KINDS]
    ports = iter(free_ports(2 + len(names) + len(KINDS)))
    env = environment(folder, EVENT_STORE="postgres", SAGA_TIMEOUT_SECONDS=SAGA_TIMEOUT, **UNLIMITED, **more)
    local = LocalSystem.from_env(env)
    kafka = local.stack.kafka
    proxied = ProxiedKafka(
        folder,
        kafka.port,
        None,
        kafka.timeout,
        controller_port=kafka.controller_port,
        cache=kafka.cache,
        repository=kafka.repository,
    )
    proxied.proxied_port, proxied.proxy_port = next(ports), next(ports)
    local.stack.kafka = proxied
    servers = {"mongo": local.stack.mongo, "postgres": local.stack.postgres}
    proxies = {"kafka": Proxy(proxied.proxy_port, proxied.proxied_port, KafkaWire())}
    for name in names:
        server = servers[name.partition("-")[0]]
        wire = MongoWire() if server is local.stack.mongo else PostgresWire()
        proxies[name] = Proxy(next(ports), server.port, wire)
    disks = _mount([folder / name for name in ("api", *(server.name for server in (proxied, *servers.values())))])
    system: ChaosSystem | None = None
    for proxy in proxies.values():
        proxy.start()
    try:
        say("starting Kafka, MongoDB and PostgreSQL")
        local.stack.up()
        local._require_same_event_store()
        system = ChaosSystem(folder, env, local, {}, proxies, bool(disks), config_of(local))
        for role, kind in KINDS.items():
            port = local.api.port if role == "api" else next(ports)
            system.processes[role] = kind(folder, port, 90, _settings_of(system, role))
        say("starting api, relay, projector and saga")
        for process in system.processes.values():
            process.start()
        company = system.company()
        await_views(company)
        company.close()
        yield system
    finally:
        if system is not None:
            system.forget_stores()
            for process in reversed(system.processes.values()):
                if process.pid:
                    process.kill()
        for proxy in proxies.values():
            proxy.stop()
        for running in (proxied, *servers.values()):
            if running.pid:
                running.kill()
        for disk in disks:
            _umount(disk)
        shutil.rmtree(folder, ignore_errors=True)
    assert processes_below(folder) == []


def _settings_of(system: ChaosSystem, role: str) -> Callable[[], dict[str, str]]:
    return lambda: system.settings(role)


def _mount(folders: list[Path]) -> list[Path]:
    """Small disks for the servers, if we may: mounting takes root and a kernel that lets us."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return []
    mounted: list[Path] = []
    for folder in folders:
        folder.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=755", "tmpfs", str(folder)],
            check=False,
            capture_output=True,
        )
        if done.returncode:
            for other in mounted:
                _umount(other)
            for empty in folders:
                empty.rmdir() if empty.exists() else None
            return []
        mounted.append(folder)
    return mounted


def _umount(folder: Path) -> None:
    subprocess.run(["umount", "--lazy", str(folder)], check=True, capture_output=True)
