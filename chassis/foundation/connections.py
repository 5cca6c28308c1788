"""What every client of Kafka, MongoDB and PostgreSQL is given: addresses, TLS and who we are.

The only place where settings become arguments of those libraries, so that no client is made without them.
"""

import re
from typing import Any
from urllib.parse import urlsplit

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from chassis.foundation.config import Config, ConfigError

BOOTSTRAP_MS = 10_000
"""So long whoever connects to Kafka waits for a first answer: a loop tries again, a person is told that it is away."""

NETWORK = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""So long a client of PostgreSQL waits when it hears nothing of the server any more: the network may be cut."""
GIVES_UP = (
    "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3; "
    "SET tcp_user_timeout = '10s'"
)
"""The same for the server, which then ends the session and the locks that it holds."""


def kafka_arguments(config: Config) -> dict[str, Any]:
    """For KafkaProducer, KafkaConsumer and KafkaAdminClient."""
    arguments: dict[str, Any] = {
        "bootstrap_servers": config.kafka_bootstrap_servers.split(","),
        "security_protocol": config.kafka_security_protocol,
        "bootstrap_timeout_ms": BOOTSTRAP_MS,
    }
    if config.kafka_security_protocol.endswith("SSL"):
        arguments |= {
            "ssl_cafile": config.kafka_ca_file or None,  # None: the authorities that the system trusts
            "ssl_certfile": config.kafka_cert_file or None,
            "ssl_keyfile": config.kafka_key_file or None,
        }
    if config.kafka_security_protocol.startswith("SASL"):
        arguments |= {
            "sasl_mechanism": config.kafka_sasl_mechanism,
            "sasl_plain_username": config.kafka_username,
            "sasl_plain_password": config.kafka_password,
        }
    return arguments


def librdkafka_settings(config: Config) -> dict[str, Any]:
    """The same for clients of librdkafka."""
    settings: dict[str, Any] = {
        "bootstrap.servers": config.kafka_bootstrap_servers,
        "security.protocol": config.kafka_security_protocol,
    }
    if config.kafka_security_protocol.endswith("SSL"):
        files = {
            "ssl.ca.location": config.kafka_ca_file or "probe",  # the authorities that the system trusts
            "ssl.certificate.location": config.kafka_cert_file,
            "ssl.key.location": config.kafka_key_file,
        }
        settings |= {name: file for name, file in files.items() if file}
    if config.kafka_security_protocol.startswith("SASL"):
        settings |= {
            "sasl.mechanism": config.kafka_sasl_mechanism,
            "sasl.username": config.kafka_username,
            "sasl.password": config.kafka_password,
        }
    return settings


def mongo_arguments(config: Config) -> dict[str, Any]:
    """For MongoClient, besides the URI, which may hold any further option of the driver."""
    arguments: dict[str, Any] = {"host": config.mongodb_uri}
    if config.mongodb_username:
        arguments |= {"username": config.mongodb_username, "password": config.mongodb_password}
    if config.mongodb_ca_file:
        arguments |= {"tls": True, "tlsCAFile": config.mongodb_ca_file}
    if config.mongodb_cert_file:
        arguments |= {"tls": True, "tlsCertificateKeyFile": config.mongodb_cert_file}
    return arguments


def postgres_parameters(config: Config) -> dict[str, Any]:
    """libpq's parameters; options of the URL (sslmode, sslcert, ...) are among them.  Raises ConfigError."""
    wrong = ConfigError("POSTGRES_URL must look like postgresql://user:password@host:port/database")
    if urlsplit(config.postgres_url).scheme not in ("postgresql", "postgres"):
        raise wrong
    try:
        parameters = conninfo_to_dict(config.postgres_url)
    except ProgrammingError:  # its text may repeat the password
        raise wrong from None
    if not parameters.get("host"):
        raise wrong
    if config.postgres_password:
        parameters["password"] = config.postgres_password
    if config.postgres_ca_file:
        parameters = {"sslmode": "verify-full", **parameters, "sslrootcert": config.postgres_ca_file}
    return {**NETWORK, **parameters}


def postgres_conninfo(config: Config) -> str:
    """The same as text, for psycopg.connect.  Holds the password: never log it.  Raises ConfigError."""
    return make_conninfo(**postgres_parameters(config))


def shown(address: str) -> str:
    """An address without its password, for logs and messages."""
    return re.sub(r"(://[^:/@]*):[^/]*@", r"\1:***@", address)
