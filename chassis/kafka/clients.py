"""Which client is used: `KAFKA_CLIENT`."""

from importlib.util import find_spec

from chassis.foundation.config import Config, ConfigError
from chassis.kafka.port import Producer, Reader
from chassis.kafka.python_client import PythonProducer, python_reader


def is_librdkafka(config: Config) -> bool:
    """Whether librdkafka is used.  Raises ConfigError where it was asked for and is not installed."""
    if config.kafka_client == "kafka-python":
        return False
    is_there = find_spec("confluent_kafka") is not None
    if config.kafka_client == "confluent" and not is_there:
        raise ConfigError("KAFKA_CLIENT=confluent needs the package confluent-kafka, which is not installed")
    return is_there


def producer(config: Config, *, gapless: bool = False) -> Producer:
    """A producer that never gives a record up; `gapless`: once one is refused it sends none any more."""
    if is_librdkafka(config):
        from chassis.kafka.librdkafka import LibrdkafkaProducer  # noqa: PLC0415 - it need not be installed

        return LibrdkafkaProducer(config, gapless=gapless)
    return PythonProducer(config, gapless=gapless)


def reader(config: Config, client_id: str) -> Reader:
    """A client that reads what it is assigned, and fails where there is nothing to read."""
    if is_librdkafka(config):
        from chassis.kafka.librdkafka import LibrdkafkaReader  # noqa: PLC0415 - it need not be installed

        return LibrdkafkaReader(config, client_id)
    return python_reader(config, client_id)
