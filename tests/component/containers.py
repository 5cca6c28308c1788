"""PostgreSQL and MongoDB as containers, where a Docker daemon answers and holds the images already.  Nothing is pulled.

Ryuk, the container with which testcontainers cleans up after crashes, would be pulled: it is switched off, and the
context managers here remove what they started.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

POSTGRES_IMAGE = "postgres:15-bookworm"
MONGO_IMAGE = "mongo:6.0"
READY_SECONDS = 60


@cache
def has_image(name: str) -> bool:
    """Whether Docker can be reached and has this image locally."""
    docker: Any = import_module("docker")
    try:
        client = docker.from_env(timeout=5)
        try:
            client.images.get(name)
        finally:
            client.close()
    except docker.errors.DockerException:
        return False
    return True


def _container(image: str) -> Any:
    from testcontainers.core.config import testcontainers_config
    from testcontainers.core.container import DockerContainer

    testcontainers_config.ryuk_disabled = True
    return DockerContainer(image)


def _ready(attempt: Any, error: type[Exception]) -> None:
    Retrying(
        stop=stop_after_delay(READY_SECONDS), wait=wait_fixed(0.2), retry=retry_if_exception_type(error), reraise=True
    )(attempt)


@contextmanager
def postgres_container() -> Iterator[str]:
    """PostgreSQL with an empty database; gives its URL."""
    import psycopg

    container = _container(POSTGRES_IMAGE).with_exposed_ports(5432)
    for name, value in {"USER": "salestream", "PASSWORD": "secret", "DB": "salestream"}.items():
        container.with_env(f"POSTGRES_{name}", value)
    with container:
        address = f"{container.get_container_host_ip()}:{container.get_exposed_port(5432)}"
        url = f"postgresql://salestream:secret@{address}/salestream"
        _ready(lambda: psycopg.connect(url, connect_timeout=5).close(), psycopg.OperationalError)
        yield url


@contextmanager
def mongo_container() -> Iterator[str]:
    """MongoDB as a replica set of one, so that transactions work; gives its URI."""
    settings = "--replSet rs0 --bind_ip_all --setParameter transactionLifetimeLimitSeconds=10"  # as the stack's own
    container = _container(MONGO_IMAGE).with_exposed_ports(27017).with_command(settings)
    with container:
        address = f"{container.get_container_host_ip()}:{container.get_exposed_port(27017)}"
        uri = f"mongodb://{address}/?directConnection=true"
        with MongoClient[dict[str, Any]](uri, serverSelectionTimeoutMS=5_000) as client:

            def initiated() -> None:
                members = [{"_id": 0, "host": "127.0.0.1:27017"}]
                if not client.admin.command("hello").get("setName"):
                    client.admin.command("replSetInitiate", {"_id": "rs0", "members": members})
                if not client.admin.command("hello").get("isWritablePrimary"):
                    raise PyMongoError("no primary yet")

            _ready(initiated, PyMongoError)
        yield uri
