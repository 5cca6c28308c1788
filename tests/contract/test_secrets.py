"""Settings of secured servers: each secret from the environment or a file, and never in what is printed."""

from dataclasses import fields
from pathlib import Path

import pytest
from component.support import REPOSITORY_ROOT

from chassis.catalogue import Catalogue
from chassis.foundation.config import Config, ConfigError
from chassis.foundation.connections import (
    BOOTSTRAP_MS,
    NETWORK,
    kafka_arguments,
    mongo_arguments,
    postgres_parameters,
    shown,
)
from chassis.run.grants import KafkaGrant, access_rules, grants, table

SECRETS = [item.name for item in fields(Config) if item.metadata.get("secret")]


def test_whatever_may_hold_a_password_is_a_secret() -> None:
    passwords = {"kafka_password", "mongodb_password", "postgres_password", "s3_secret_key", "smtp_password"}
    signed_with = {"sms_secret", "dingtalk_secret"}
    addresses = {"mongodb_uri", "postgres_url", "dingtalk_url", "wecom_url"}
    assert passwords | signed_with | addresses == set(SECRETS)


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_read_from_a_file_and_never_shown(name: str, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("s3cr3t-value\n")
    config = Config.from_env({f"{name.upper()}_FILE": str(path)})
    assert getattr(config, name) == "s3cr3t-value"
    assert "s3cr3t" not in repr(config)


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_that_cannot_be_read_is_told_by_its_variable(name: str, tmp_path: Path) -> None:
    variable = f"{name.upper()}_FILE"
    with pytest.raises(ConfigError, match=f"{variable}=.* cannot be read"):
        Config.from_env({variable: str(tmp_path / "missing")})
    (tmp_path / "empty").write_text(" \n")
    with pytest.raises(ConfigError, match=f"{variable}=.* is empty"):
        Config.from_env({variable: str(tmp_path / "empty")})
    with pytest.raises(ConfigError, match="both set") as both:
        Config.from_env({variable: str(tmp_path / "empty"), name.upper(): "s3cr3t-value"})
    assert "s3cr3t" not in str(both.value)


@pytest.mark.parametrize("protocol", ["SASL_SSL", "SASL_PLAINTEXT"])
def test_sasl_without_a_name_and_password_is_refused(protocol: str) -> None:
    with pytest.raises(ConfigError, match="needs KAFKA_USERNAME, and KAFKA_PASSWORD"):
        Config.from_env({"KAFKA_SECURITY_PROTOCOL": protocol, "KAFKA_USERNAME": "orders-api"})


@pytest.mark.parametrize("name", ["KAFKA_SECURITY_PROTOCOL", "KAFKA_SASL_MECHANISM", "EVENT_STORE"])
def test_a_choice_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}='tls' must be one of"):
        Config.from_env({name: "tls"})


def test_an_address_is_shown_without_its_password() -> None:
    assert shown("mongodb://me:s3cr3t@host/?tls=true") == "mongodb://me:***@host/?tls=true"
    assert shown("mongodb://host/?replicaSet=rs0") == "mongodb://host/?replicaSet=rs0"


def test_without_settings_clients_are_as_before() -> None:
    plain = {"bootstrap_servers": ["127.0.0.1:29092"], "security_protocol": "PLAINTEXT"}
    assert kafka_arguments(Config()) == {**plain, "bootstrap_timeout_ms": BOOTSTRAP_MS}
    assert mongo_arguments(Config()) == {"host": Config().mongodb_uri}


def test_options_of_the_url_reach_postgres_and_settings_go_before_them() -> None:
    config = Config(postgres_url="postgresql://me:old@host/db?sslmode=require&sslcert=/c", postgres_password="new")
    expected = {"host": "host", "dbname": "db", "user": "me", "password": "new", "sslmode": "require", "sslcert": "/c"}
    assert postgres_parameters(config) == {**NETWORK, **expected}
    strict = Config(postgres_url="postgresql://me@host/db", postgres_ca_file="/ca")
    assert postgres_parameters(strict)["sslmode"] == "verify-full"


def test_a_wrong_url_is_told_without_its_password() -> None:
    with pytest.raises(ConfigError) as wrong:
        postgres_parameters(Config(postgres_url="postgresql://me:s3cr3t@host:port:1/%zz"))
    assert "s3cr3t" not in str(wrong.value)


# -- who may do what --------------------------------------------------------------------------------------------------


def writers_of(topic: str, found: list[KafkaGrant]) -> set[str]:
    return {grant.principal for grant in found if topic in grant.writes}


def test_only_a_services_own_relay_may_write_its_events() -> None:
    found = grants(Catalogue.read())
    events = {topic for grant in found for topic in grant.reads if topic.endswith(".events")}
    assert len(events) >= 9
    for topic in events:
        assert writers_of(topic, found) == {f"{topic.removesuffix('.events')}-relay"}


def test_only_the_relays_of_sagas_may_send_commands() -> None:
    found = grants(Catalogue.read())
    commands = {topic for grant in found for topic in grant.reads if topic.endswith(".commands")}
    assert commands
    for topic in commands:
        assert writers_of(topic, found) == {"fulfilment-relay", "conversion-relay"}


def test_a_rule_allows_no_more_than_a_grant() -> None:
    rules = access_rules([KafkaGrant("x-relay", frozenset({"x.events"}), frozenset({"x.events"}))])
    assert [(rule.operation.name, rule.resource_pattern.resource_name) for rule in rules] == [
        ("DESCRIBE", "*"),
        ("READ", "x.events"),
        ("WRITE", "x.events"),
    ]


def test_the_operators_table_says_what_the_declarations_say() -> None:
    """`salestream grants` prints what belongs there."""
    assert table(grants(Catalogue.read())) in (REPOSITORY_ROOT / "docs" / "operations.md").read_text()
