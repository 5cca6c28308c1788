"""A gateway in a process of its own, in front of a system that runs elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.devstack.ports import free_ports
from deploy.devstack.server import HOST
from deploy.local.system import LocalSystem, RoleProcess


class GatewayProcess(RoleProcess):
    """`salestream run api --service gateway`: no store, no Kafka, no MongoDB."""

    name = "gateway"
    title = "gateway"
    variable = "SALESTREAM_GATEWAY"
    port_variable = "SALESTREAM_GATEWAY_PORT"
    role = "api"

    def command(self) -> list[str]:
        return [*super().command(), "--service", "gateway"]

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "HTTP_ADDRESS": f"{HOST}:{self.port}"}


@contextmanager
def gateway(behind: str, system: LocalSystem, folder: Path, **settings: str) -> Iterator[GatewayProcess]:
    """A gateway that passes everything on to `behind`; it shares nothing with the system but the signing keys."""
    nowhere = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "MONGODB_URI": "mongodb://127.0.0.1:1"}
    own = {**system.settings(), **nowhere, "DATA_DIR": str(folder / "stores"), "SERVICE_ADDRESS": behind, **settings}
    process = GatewayProcess(folder, free_ports(1)[0], 60, lambda: own)
    try:
        process.start()
        yield process
    finally:
        process.stop()
