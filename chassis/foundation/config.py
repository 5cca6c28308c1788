"""Every setting of a Salestream process: its environment variable, type and default, in one place."""

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from functools import cache, partial
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal, cast, get_args
from zoneinfo import ZoneInfo

Store = Literal["sqlite", "postgres", "memory"]
SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"]
KafkaClient = Literal["auto", "confluent", "kafka-python"]
FileStoreKind = Literal["folder", "s3"]
SmtpSecurity = Literal["starttls", "tls", "none"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
CHOICES: Mapping[str, tuple[str, ...]] = {
    "event_store": get_args(Store),
    "file_store": get_args(FileStoreKind),
    "log_level": get_args(LogLevel),
    "smtp_security": get_args(SmtpSecurity),
    "kafka_client": get_args(KafkaClient),
    "kafka_security_protocol": get_args(SecurityProtocol),
    "kafka_sasl_mechanism": get_args(Mechanism),
}


def _secret(default: str = "") -> Any:
    """A setting nobody may read in a log.  It may stand in a file, which the variable NAME_FILE names."""
    return field(default=default, repr=False, metadata={"secret": True})


def _address(text: str) -> bool:
    host, _, port = text.rpartition(":")
    return bool(host) and port.isascii() and port.isdigit() and int(port) <= LAST_PORT


def _rate(text: str) -> bool:
    from limits import parse  # noqa: PLC0415 - it takes a while, and most processes keep the defaults

    try:
        parse(text)
    except ValueError:
        return False
    return True


def _networks(text: str) -> bool:
    try:
        for part in filter(str.strip, text.split(",")):
            ip_network(part.strip())
    except ValueError:
        return False
    return True


def _form(default: str, is_one: Callable[[str], bool], what: str) -> Any:
    """A setting whose text has a form: what tells whether it has it, and what it is called."""
    return field(default=default, metadata={"form": (is_one, what)})


_host_and_port = partial(_form, is_one=_address, what="host and port such as 127.0.0.1:8000")
_so_many_in = partial(_form, is_one=_rate, what="a rate such as 200/second or 60/minute")
_some_networks = partial(_form, is_one=_networks, what="networks such as 10.0.0.0/8, separated by commas")
LAST_PORT = 65_535
MOST_PARTITIONS = 20
"""Of a topic: a consistency token names a position of each, and must fit into a header."""


class ConfigError(Exception):
    """A setting has a value that can't be used; the message names the variable and the values it takes."""


@dataclass(frozen=True)
class Config:
    """Settings read from the environment; the variable's name is the field's name in capitals."""

    event_store: Store = "sqlite"
    data_dir: str = ".devstack/stores"
    postgres_url: str = _secret("postgresql://postgres@127.0.0.1:25432/postgres")
    postgres_password: str = _secret()  # goes before one in the URL
    postgres_ca_file: str = ""  # the server's certificate must be signed by it, and name the host
    kafka_bootstrap_servers: str = "127.0.0.1:29092"
    kafka_client: KafkaClient = "auto"  # librdkafka where it is installed; the api always takes kafka-python
    kafka_security_protocol: SecurityProtocol = "PLAINTEXT"
    kafka_sasl_mechanism: Mechanism = "SCRAM-SHA-512"
    kafka_username: str = ""
    kafka_password: str = _secret()
    kafka_ca_file: str = ""
    kafka_cert_file: str = ""  # a certificate of ours, where Kafka asks for one
    kafka_key_file: str = ""
    mongodb_uri: str = _secret("mongodb://127.0.0.1:27117/?replicaSet=rs0")
    mongodb_username: str = ""
    mongodb_password: str = _secret()
    mongodb_ca_file: str = ""
    mongodb_cert_file: str = ""  # certificate and key of ours in one file
    mongodb_database: str = "salestream"
    topic_partitions: int = 4
    topic_replicas: int = 1
    time_zone: str = "Asia/Shanghai"  # until the company data name one
    http_address: str = _host_and_port("127.0.0.1:8000")
    health_address: str = _host_and_port("127.0.0.1:8001")
    trusted_proxies: str = _some_networks("")  # whose X-Forwarded-For is believed
    service_address: str = "http://{service}:8000"  # where the gateway finds a service that is not in its process
    allowed_origins: str = ""  # other origins whose pages may use the API, e.g. https://crm.example, by commas (CORS)
    plain_http: int = 0  # 1: for development without TLS; cookies go without Secure, answers without HSTS
    metrics_networks: str = _some_networks("127.0.0.0/8, ::1")  # who may read /metrics without the right `platform`
    rate_limit_storage: str = "local://"  # in this process; else a store of the library `limits` that gateways share
    rate_limit_address: str = _so_many_in("1000/second")  # for one client address
    rate_limit_user: str = _so_many_in("200/second")
    rate_limit_machine: str = _so_many_in("2000/second")  # for a machine account
    rate_limit_sign_in: str = _so_many_in("60/minute")  # for one address: sign in, register, recover a password
    token_key_dir: str = ".devstack/keys"
    token_issuer: str = "salestream"
    token_audience: str = "salestream-api"
    test_tokens: int = 0  # 1: take a token's own word for its roles; for tests and measurements only
    mailbox_dir: str = ".devstack/mailbox"
    smtp_address: str = _host_and_port("")  # of the relay that mail goes to; empty: none is sent
    smtp_security: SmtpSecurity = "starttls"  # none: for a relay on this machine
    smtp_username: str = ""
    smtp_password: str = _secret()
    smtp_ca_file: str = ""  # the relay's certificate must be signed by it; empty: by one that the system trusts
    mail_from: str = ""  # the address that mail comes from
    mail_rate: str = _so_many_in("60/hour")  # for one receiver by each way; more waits
    sms_url: str = ""  # who takes text messages; empty: none are sent
    sms_secret: str = _secret()  # with which they are signed
    dingtalk_url: str = _secret()  # of a robot in a group, with its token; empty: there is none
    dingtalk_secret: str = _secret()
    wecom_url: str = _secret()  # of a robot in a group, with its key; empty: there is none
    robot_rate: str = _so_many_in("20/minute")  # by one robot, which takes no more; more waits
    public_address: str = ""  # where people find Salestream, e.g. https://crm.example: for the links in mail
    file_store: FileStoreKind = "folder"
    files_dir: str = ".devstack/files"  # of the folder, and of what is being received
    s3_endpoint: str = ""  # of a service other than AWS, e.g. http://minio:9000
    s3_bucket: str = ""
    s3_prefix: str = ""  # before the name of each file
    s3_region: str = "us-east-1"
    s3_access_key: str = ""  # empty: what the machine or its role has
    s3_secret_key: str = _secret()
    max_file_bytes: int = 100_000_000
    file_types: str = (
        ""  # media types that are taken, by content, e.g. text/plain, image/*, application/pdf; empty: all
    )
    file_sweep_seconds: float = 3_600.0  # between two looks for files that nobody needs any more
    max_body_bytes: int = 1_000_000
    max_head_seconds: float = 10.0  # how long a request's head may take, then its body, then its answer
    max_body_seconds: float = 30.0
    max_answer_seconds: float = 120.0
    max_queue: int = 2_000
    results_days: int = 30  # how long the result of a command is remembered at least, to answer its repeats
    max_lag_seconds: float = 3.0
    max_in_progress: int = 256
    max_wait_seconds: float = 1.0  # the number of commands at once sinks until they are answered within it
    saga_timeout_seconds: float = 30.0
    log_level: LogLevel = "INFO"

    @property
    def zone(self) -> ZoneInfo:
        """The company's time zone before one was set (`chassis.access.company`)."""
        return ZoneInfo(self.time_zone)

    @property
    def store_dir(self) -> Path:
        return Path(self.data_dir)

    @classmethod
    def from_env(cls, env: dict[str, str] | None = None) -> "Config":
        """Read the environment.  Raises ConfigError for a value of the wrong kind."""
        source = dict(os.environ) if env is None else env
        values: dict[str, object] = {}
        for item in fields(cls):
            name = item.name.upper()
            if not (raw := _from_file(item, source) or source.get(name)):
                continue
            kind = cast(type[str | int | float], type(item.default))
            values[item.name] = raw if kind is str else _number(name, raw, kind)
            is_one, what = item.metadata.get("form", (bool, ""))
            if what and not is_one(raw):
                raise ConfigError(f"{name}={raw!r} must be {what}")
        config = cls(**values)  # type: ignore[arg-type]
        for setting, choices in CHOICES.items():
            if (found := getattr(config, setting)) not in choices:
                raise ConfigError(f"{setting.upper()}={found!r} must be one of {', '.join(choices)}")
        if config.kafka_security_protocol.startswith("SASL") and not (config.kafka_username and config.kafka_password):
            raise ConfigError(
                f"KAFKA_SECURITY_PROTOCOL={config.kafka_security_protocol} needs KAFKA_USERNAME, and KAFKA_PASSWORD "
                "or KAFKA_PASSWORD_FILE"
            )
        if config.smtp_username and config.smtp_security == "none":
            raise ConfigError("SMTP_USERNAME needs SMTP_SECURITY=starttls or tls: a password is never sent in plain")
        if config.file_store == "s3" and not config.s3_bucket:
            raise ConfigError("FILE_STORE=s3 needs S3_BUCKET")
        if config.results_days < 1:
            raise ConfigError(f"RESULTS_DAYS={config.results_days} must be at least 1")
        if not 1 <= config.topic_partitions <= MOST_PARTITIONS:
            raise ConfigError(f"TOPIC_PARTITIONS={config.topic_partitions} must be from 1 to {MOST_PARTITIONS}")
        try:
            cast(object, config.zone)
        except Exception as error:
            raise ConfigError(f"TIME_ZONE={config.time_zone!r} is not a known time zone such as Asia/Tokyo") from error
        return config


def _number(name: str, text: str, kind: type[Any]) -> float:
    """Raises ConfigError for what is no number of this kind, and for one that is below 0 or has no end."""
    what = "a whole number" if kind is int else "a number"
    try:
        number: float = kind(text)
    except ValueError:
        raise ConfigError(f"{name}={text!r} must be {what}") from None
    if not 0 <= number < math.inf:
        raise ConfigError(f"{name}={text!r} must be {what} from 0 on")
    return number


def _from_file(item: Field[Any], source: Mapping[str, str]) -> str:
    """The content of the file that holds a secret, if there is one.  Raises ConfigError."""
    name = item.name.upper()
    variable = f"{name}_FILE"
    if not (item.metadata.get("secret") and (path := source.get(variable))):
        return ""
    if source.get(name):
        raise ConfigError(f"{name} and {variable} are both set: leave one out")
    try:
        content = Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{variable}={path!r} cannot be read: {error}") from None
    if not content:
        raise ConfigError(f"{variable}={path!r} is empty")
    return content


@cache
def first_zone() -> ZoneInfo:
    """The company's zone before any was set, and of events that do not tell their day: TIME_ZONE."""
    return Config.from_env().zone
