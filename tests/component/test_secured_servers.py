"""Clients and real servers with TLS and passwords: who comes in, who does not, and who may write what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from kafka import KafkaAdminClient
from kafka.admin import UserScramCredentialUpsertion
from kafka.errors import KafkaError, TopicAuthorizationFailedError
from pymongo.errors import OperationFailure, PyMongoError

from chassis.catalogue import Catalogue
from chassis.foundation.config import Config
from chassis.foundation.connections import kafka_arguments, postgres_conninfo
from chassis.kafka.clients import producer
from chassis.messaging.dead_letters import read_whole_topic
from chassis.messaging.kafka import create_topics
from chassis.projections.collections import connect
from chassis.run.grants import apply, grants
from chassis.store.opening import open_store
from component.support import environment, eventually
from component.tls_front import tls_front
from deploy.devstack import Stack
from deploy.devstack.security import ADMINISTRATOR, Security


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that asks for TLS and passwords; its servers are started by the tests that need them."""
    stack = Stack.from_env(environment(tmp_path_factory.mktemp("secured"), DEVSTACK_SECURE="1", DEVSTACK_TIMEOUT="240"))
    yield stack
    stack.down(wipe=True)


@pytest.fixture(scope="module")
def security(secured: Stack) -> Security:
    assert secured.mongo.security is not None
    return secured.mongo.security


@pytest.fixture
def another_authority(tmp_path: Path) -> str:
    """The certificate of an authority that has signed nothing of this stack."""
    other = Security(tmp_path / "other")
    other.prepare()
    return str(other.ca)


# -- PostgreSQL -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def postgres(secured: Stack, security: Security) -> Iterator[Config]:
    """PostgreSQL behind TLS.  Whoever does not ask for TLS does not reach it."""
    secured.postgres.start()
    with tls_front(secured.postgres.port, security.pair) as port:
        yield Config(
            event_store="postgres",
            postgres_url=f"postgresql://salestream@127.0.0.1:{port}/salestream",
            postgres_password=(secured.postgres.home / "password").read_text(),
            postgres_ca_file=str(security.ca),
        )


def test_a_store_works_where_every_connection_must_be_encrypted(postgres: Config) -> None:
    store = open_store("inventory", postgres)
    try:
        store.bell.listen()(0)  # the relay's connection, which is none of the pool's
        assert store.last_position() == 0
    finally:
        store.close()


def test_a_service_of_its_own_role_has_its_schema_and_no_other(postgres: Config) -> None:
    open_store("inventory", postgres).close()
    with psycopg.connect(postgres_conninfo(postgres), autocommit=True) as connection:
        connection.execute("CREATE ROLE shipping LOGIN PASSWORD 'shipping-password'")
        connection.execute("CREATE SCHEMA shipping AUTHORIZATION shipping")
    own = replace(
        postgres,
        postgres_url=postgres.postgres_url.replace("salestream@", "shipping@"),
        postgres_password="shipping-password",
    )
    store = open_store("shipping", own)
    try:
        assert store.last_position() == 0
    finally:
        store.close()
    with psycopg.connect(postgres_conninfo(own)) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SELECT * FROM inventory.stored_events")


def test_postgres_lets_nobody_in_otherwise(postgres: Config, another_authority: str) -> None:
    plain = replace(postgres, postgres_ca_file="", postgres_url=f"{postgres.postgres_url}?sslmode=disable")
    wrong = replace(postgres, postgres_password="not-the-password")
    stranger = replace(postgres, postgres_ca_file=another_authority)
    for config, reason in (
        (plain, "server closed the connection"),
        (wrong, "password"),
        (stranger, "SSL error"),
    ):
        with pytest.raises(psycopg.OperationalError, match=reason) as refused:
            open_store("inventory", config)
        assert postgres.postgres_password not in str(refused.value)


# -- MongoDB ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mongo(secured: Stack, security: Security) -> Config:
    secured.mongo.start()
    return Config(
        mongodb_uri=f"mongodb://127.0.0.1:{secured.mongo.port}/?replicaSet=rs0&serverSelectionTimeoutMS=2000",
        mongodb_username=ADMINISTRATOR,
        mongodb_password=security.password,
        mongodb_ca_file=str(security.ca),
    )


def test_views_are_written_and_read_by_those_who_may(mongo: Config) -> None:
    database = connect(mongo)
    database["orders"].insert_one({"_id": "1"})
    database.client.admin.command(
        "createUser", "reports-queries", pwd="queries-password", roles=[{"role": "read", "db": mongo.mongodb_database}]
    )
    reader = connect(replace(mongo, mongodb_username="reports-queries", mongodb_password="queries-password"))
    assert reader["orders"].find_one() == {"_id": "1"}
    with pytest.raises(OperationFailure, match="not authorized"):
        reader["orders"].insert_one({"_id": "2"})


def test_mongodb_lets_nobody_in_otherwise(mongo: Config, another_authority: str) -> None:
    nobody = replace(mongo, mongodb_username="", mongodb_password="")
    wrong = replace(mongo, mongodb_password="not-the-password")
    plain = replace(mongo, mongodb_ca_file="")
    stranger = replace(mongo, mongodb_ca_file=another_authority)
    for config in (nobody, wrong, plain, stranger):
        with pytest.raises(PyMongoError) as refused:
            connect(config)["orders"].find_one()
        assert mongo.mongodb_password not in str(refused.value)


def test_mongodb_starts_again_with_its_users(secured: Stack, mongo: Config) -> None:
    secured.mongo.stop()
    assert secured.mongo.start().fresh
    connect(mongo)["notes"].insert_one({"_id": "again"})


# -- Kafka ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kafka_administrator(secured: Stack, security: Security) -> Config:
    """Kafka with all topics and rules, and a user for each principal whose password is its name."""
    secured.kafka.start()
    config = Config(
        kafka_bootstrap_servers=secured.kafka.address,
        kafka_security_protocol="SASL_SSL",
        kafka_username=ADMINISTRATOR,
        kafka_password=security.password,
        kafka_ca_file=str(security.ca),
        topic_partitions=1,
    )
    catalogue = Catalogue.read()
    create_topics(config, catalogue.groups())
    apply(config, grants(catalogue))
    admin = KafkaAdminClient(**kafka_arguments(config))
    try:
        users: list[Any] = [
            UserScramCredentialUpsertion(grant.principal, "SCRAM-SHA-512", grant.principal)
            for grant in grants(catalogue)
        ]
        admin.alter_user_scram_credentials(users)
    finally:
        admin.close()
    return config


def named(config: Config, principal: str) -> Config:
    return replace(config, kafka_username=principal, kafka_password=principal)


def may_write(config: Config, topic: str) -> bool:
    """Whether Kafka takes a record of this user for a topic."""
    sender = producer(config)
    try:
        sender.send(topic, key=b"k", value=b"{}").get(timeout=30)
    except TopicAuthorizationFailedError:
        return False
    finally:
        sender.close(timeout=5)
    return True


def test_each_relay_writes_its_own_topics_and_no_other_service_does(kafka_administrator: Config) -> None:
    eventually(lambda: _assert(may_write(named(kafka_administrator, "access-relay"), "access.events")))
    assert may_write(named(kafka_administrator, "fulfilment-relay"), "orders.commands")
    for principal in ("orders-relay", "orders-api", "reports-projector", "operator"):
        assert not may_write(named(kafka_administrator, principal), "access.events"), principal


def _assert(holds: bool) -> None:
    assert holds


def test_who_starts_finds_its_topics_and_reads_only_those(kafka_administrator: Config) -> None:
    projector = named(kafka_administrator, "reports-projector")
    assert create_topics(projector, Catalogue.read().groups()) == []
    assert list(read_whole_topic(projector, "reports.dlq")) == []
    with pytest.raises(TopicAuthorizationFailedError):
        list(read_whole_topic(projector, "orders.commands"))


def test_kafka_lets_nobody_in_otherwise(kafka_administrator: Config, another_authority: str) -> None:
    wrong = replace(kafka_administrator, kafka_password="not-the-password")
    plain = replace(kafka_administrator, kafka_security_protocol="PLAINTEXT")
    without = replace(kafka_administrator, kafka_security_protocol="SSL")
    stranger = replace(kafka_administrator, kafka_ca_file=another_authority)
    for config in (wrong, plain, without, stranger):
        with pytest.raises((KafkaError, OSError)) as refused:
            KafkaAdminClient(**{**kafka_arguments(config), "bootstrap_timeout_ms": 3_000, "request_timeout_ms": 3_000})
        assert kafka_administrator.kafka_password not in str(refused.value)
