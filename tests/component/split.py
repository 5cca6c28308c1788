"""The system with relay, projector and saga as processes of their own, so that each can be killed alone."""

from __future__ import annotations

from deploy.devstack.ports import free_ports
from deploy.devstack.server import HOST
from deploy.local.system import LocalSystem, RoleProcess


class RelayProcess(RoleProcess):
    name = "relay"
    title = "relay"
    variable = "SALESTREAM_RELAY"
    port_variable = "SALESTREAM_RELAY_PORT"
    role = "relay"

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "HEALTH_ADDRESS": f"{HOST}:{self.port}"}


class ProjectorProcess(RelayProcess):
    name = "projector"
    title = "projector"
    variable = "SALESTREAM_PROJECTOR"
    port_variable = "SALESTREAM_PROJECTOR_PORT"
    role = "projector"


class SagaProcess(RelayProcess):
    name = "saga"
    title = "saga"
    variable = "SALESTREAM_SAGA"
    port_variable = "SALESTREAM_SAGA_PORT"
    role = "saga"


class SplitSystem(LocalSystem):
    """The api, and relay, projector and saga as processes of their own."""

    @property
    def processes(self) -> list[RoleProcess]:
        return [self.api, *self.parts]

    @property
    def parts(self) -> list[RoleProcess]:
        if not hasattr(self, "_parts"):
            kinds = (RelayProcess, ProjectorProcess, SagaProcess)
            ports = free_ports(len(kinds))
            self._parts: list[RoleProcess] = [
                kind(self.home, port, self.api.timeout, self.settings) for kind, port in zip(kinds, ports, strict=True)
            ]
        return self._parts

    def named(self, name: str) -> RoleProcess:
        return next(process for process in self.processes if process.name == name)
