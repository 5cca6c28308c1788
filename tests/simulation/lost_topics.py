"""A topic is lost while the company works, and an operator publishes it again from its store."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from eventsourcing.persistence import PersistenceError
from kafka.admin import NewTopic
from kafka.errors import KafkaError
from pymongo.errors import PyMongoError
from tenacity import RetryError, Retrying, retry_if_result, stop_after_attempt, wait_fixed

from chassis.foundation.config import Config, ConfigError
from chassis.messaging.kafka import command_topics, event_topics
from chassis.run import topics
from chassis.store.event_store import EventStore

from .cluster import CONFIG, Cluster
from .kernel.kafka import Bus
from .kernel.scheduler import Process
from .kernel.store import Lock

SHARE_OF_RUNS = 0.2


class Operator:
    """Waits for a loss, follows the runbook, and again if the command fails or its machine dies."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._lost = False
        self.repaired = 0

    def is_done(self) -> bool:
        return not self._lost

    def lose_one(self) -> None:
        """At some moment somebody deletes a topic."""
        cluster, random = self._cluster, self._cluster.scheduler.random
        if random.random() >= SHARE_OF_RUNS:
            return
        topic = random.choice([*event_topics(), *command_topics()])
        cluster.scheduler.wait(random.uniform(0, 60))
        if cluster.stranger.sent:  # what strangers wrote would be gone too, and nobody could tell who has read it
            return
        cluster.stranger.stays_away = self._lost = True
        cluster.bus.delete(topic)

    def run(self, process: Process) -> None:
        """What the operator's process does, from its start on."""
        scheduler = process.scheduler
        while not process.stopping:
            scheduler.wait(ready=lambda: self._lost or process.stopping)
            scheduler.wait(scheduler.random.uniform(0, 40), lambda: process.stopping)
            try:
                if self._lost and not process.stopping:
                    with _edge(self._cluster, process):
                        self._repair()
            except (ConfigError, KafkaError, PersistenceError, PyMongoError, RetryError) as error:
                scheduler.note(f"the operator tries again: {error!r}")

    def _repair(self) -> None:
        command = topics.Topics(CONFIG)
        damaged = [name for name in (*event_topics(), *command_topics()) if any(name in t for t in command.check())]
        for name in damaged:
            command.republish(name)
            self.repaired += 1
        if not command.check():
            self._lost = False


class Admin:
    """Stands for `kafka.KafkaAdminClient`."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def list_topics(self) -> list[str]:
        return sorted(self._bus.topics())

    def delete_topics(self, names: Sequence[str]) -> None:
        self._bus.scheduler.point("before deleting a topic")
        for name in names:
            if name in self._bus.topics():
                self._bus.delete(name)
        self._bus.scheduler.point("after deleting a topic")

    def create_topics(self, made: Sequence[NewTopic]) -> None:
        for topic in made:
            self._bus.make(topic.name)
        self._bus.scheduler.point("after making a topic")

    def close(self) -> None:
        """Nothing is held."""


@contextmanager
def _edge(cluster: Cluster, process: Process) -> Iterator[None]:
    """The command talks to the simulated servers."""

    def wait(seconds: float) -> None:
        cluster.scheduler.wait(seconds)

    def store(name: str, _: Config) -> EventStore:
        return EventStore(name, cluster.disks[name], publishing=Lock(cluster.disks[name], process))

    patience = Retrying(
        stop=stop_after_attempt(300),
        wait=wait_fixed(0.1),
        retry=retry_if_result(lambda done: not done),
        sleep=wait,
    )
    replaced: dict[str, Any] = {
        "existing_store": store,
        "admin_client": lambda _: Admin(cluster.bus),
        "connect": lambda _: cluster.database,
        "producer": lambda _, gapless: cluster.bus.producer(process, gapless=gapless),
        "PATIENCE": patience,
    }
    with ExitStack() as stack:
        for name, stand_in in replaced.items():
            stack.enter_context(mock.patch.object(topics, name, stand_in))
        yield
