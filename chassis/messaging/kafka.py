"""Topics made from contracts, and which partition of them is a key's.

Values are contract JSON only; all else travels in `ce_` headers (CloudEvents 1.0, binary mode).  Consumers keep their
offsets beside what they derived, in the same transaction, so partitions are assigned and sought, not subscribed to:
a killed process continues at once, and two of them by mistake are told apart by their stores (ADR 0006).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from chassis.foundation.config import Config
from chassis.foundation.connections import kafka_arguments
from chassis.foundation.limits import MAX_MESSAGE_BYTES
from chassis.messaging.provenance import DEAD_LETTERS, hash_of
from contracts.declare import REGISTRY

log = structlog.get_logger()

RETAIN_FOR_EVER = {"cleanup.policy": "delete", "retention.ms": "-1"}
COMMANDS_RETENTION = {"cleanup.policy": "delete", "retention.ms": str(7 * 24 * 3600 * 1000)}
COMMANDS = ".commands"
LONGEST_MESSAGE = {"max.message.bytes": str(MAX_MESSAGE_BYTES)}


def event_topics() -> list[str]:
    return sorted({spec.topic for spec in REGISTRY.events.values()})


def command_topics() -> list[str]:
    return sorted({spec.topic for spec in REGISTRY.commands.values() if not spec.is_public})


def dead_letter_topic(group: str) -> str:
    return f"{group}{DEAD_LETTERS}"


def topics_wanted(config: Config, groups: Iterable[str]) -> dict[str, NewTopic]:
    """Every topic there has to be, as it is made when it does not exist."""
    wanted: dict[str, tuple[int, Mapping[str, str]]] = {}
    for topic in event_topics():
        wanted[topic] = (config.topic_partitions, RETAIN_FOR_EVER)
    for topic in command_topics():
        wanted[topic] = (config.topic_partitions, COMMANDS_RETENTION)
    for group in groups:
        wanted[dead_letter_topic(group)] = (1, RETAIN_FOR_EVER)
    return {
        name: NewTopic(
            name=name,
            num_partitions=partitions,
            replication_factor=config.topic_replicas,
            topic_configs={**settings, **LONGEST_MESSAGE},
        )
        for name, (partitions, settings) in wanted.items()
    }


def admin_client(config: Config) -> KafkaAdminClient:
    return KafkaAdminClient(**kafka_arguments(config))


def create_topics(
    config: Config, groups: Iterable[str], may_make: Callable[[str], bool] = lambda topic: True
) -> list[str]:
    """Create every topic that does not exist yet and may be made, and let those that do take our longest message.

    Returns the names created.
    """
    admin = admin_client(config)
    try:
        wanted = topics_wanted(config, groups)
        there = set(admin.list_topics())
        missing = [name for name in wanted if name not in there and may_make(name)]
        if missing:
            try:
                admin.create_topics([wanted[name] for name in missing])
            except TopicAlreadyExistsError:
                log.info("topics were created by another process meanwhile", topics=missing)
        if old := [name for name in wanted if name in there]:
            _let_take_long_messages(admin, old)
        return missing
    finally:
        admin.close()


def _let_take_long_messages(admin: KafkaAdminClient, topics: Sequence[str]) -> None:
    try:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, LONGEST_MESSAGE) for name in topics])
    except (KafkaError, ValueError) as error:  # a principal that may not, or may not even see them: an operator has to
        log.warning("topics may not take our longest message", setting=LONGEST_MESSAGE, error=repr(error))


def partition_of(key: str, partitions: int) -> int:
    """The partition Kafka's default partitioner gives a key."""
    return hash_of(key.encode()) % partitions
