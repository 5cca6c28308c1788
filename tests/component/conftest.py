"""Real servers for component tests: the development stack, or containers where Docker and the images are there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from chassis.foundation.config import Config
from component.containers import MONGO_IMAGE, POSTGRES_IMAGE, has_image, mongo_container, postgres_container
from component.databases import Databases
from component.lists import Document
from component.support import KafkaBench, environment, longest_files_first, processes_below
from deploy.devstack import DevstackError, Stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Kafka, MongoDB and PostgreSQL of this test session; each is started by the fixture that needs it."""
    folder = tmp_path_factory.mktemp("stack")
    stack = Stack.from_env(environment(folder))
    yield stack
    stack.down(wipe=True)
    assert processes_below(folder) == []


@pytest.fixture(scope="session", autouse=True)
def what_no_test_can_do_without(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Say once, before any test, what the machine lacks: not each test in its own way."""
    try:
        if not has_image(POSTGRES_IMAGE):
            Stack.from_env(environment(tmp_path_factory.getbasetemp())).postgres.require()
    except DevstackError as error:
        pytest.exit(str(error), returncode=1)


@pytest.fixture(scope="session")
def kafka_servers(stack: Stack) -> str:
    stack.kafka.start()
    return stack.kafka.address


@pytest.fixture(scope="session")
def mongodb_uri(request: pytest.FixtureRequest) -> Iterator[str]:
    if has_image(MONGO_IMAGE):
        with mongo_container() as uri:
            yield uri
        return
    stack: Stack = request.getfixturevalue("stack")
    stack.mongo.start()
    yield stack.mongo.address


@pytest.fixture(scope="session")
def databases(mongodb_uri: str) -> Iterator[Databases]:
    databases = Databases(mongodb_uri)
    yield databases
    databases.close()


@pytest.fixture(scope="session")
def postgres_url(request: pytest.FixtureRequest) -> Iterator[str]:
    if has_image(POSTGRES_IMAGE):
        with postgres_container() as url:
            yield url
        return
    stack: Stack = request.getfixturevalue("stack")
    stack.postgres.start()
    yield stack.postgres.address


@pytest.fixture
def kafka(kafka_servers: str, request: pytest.FixtureRequest) -> Iterator[KafkaBench]:
    """Kafka with all topics, and nothing in them."""
    more: dict[str, Any] = {}
    if "mongodb_uri" in request.fixturenames:
        more["mongodb_uri"] = request.getfixturevalue("mongodb_uri")
    bench = KafkaBench(Config(kafka_bootstrap_servers=kafka_servers, topic_partitions=2, **more))
    bench.empty()
    yield bench
    bench.close()


@pytest.fixture(scope="module")
def database(mongodb_uri: str) -> Iterator[Database[Document]]:
    """A database of a file's own; gone at its end."""
    client: MongoClient[Document] = MongoClient(mongodb_uri, tz_aware=True, w="majority")
    made = client[f"test-{uuid4().hex[:8]}"]
    yield made
    client.drop_database(made.name)
    client.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    longest_files_first(items)
