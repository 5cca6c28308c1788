"""The relay: tails a service's event store and publishes its public events and outgoing commands onto Kafka.

In the order of the log, at least once, always under the same ids.  The position is saved after the brokers'
acknowledgements.  The store's doorbell wakes it; it looks by itself all the same.
"""

import threading
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import structlog
from kafka import KafkaProducer
from kafka.errors import KafkaError

from chassis import metrics
from chassis.commands import CommandSent
from chassis.config import Config
from chassis.health import Pulse
from chassis.kafka import Incoming, PartitionReader, command_headers, event_headers
from chassis.store import EventStore, Notification
from contracts.declare import REGISTRY
from contracts.schemas import decode

log = structlog.get_logger()

POSITION = "relay"
BATCH = 500
LONGEST_PAUSE = 0.050
SAVE_EVERY_SECONDS = 0.5  # each time the writer in another process waits for SQLite's lock
ACK_SECONDS = 5.0
COMMAND_SENT = "chassis.command-sent"
NEWEST = 20
"""So many records of each partition are looked at: somebody else's may stand behind ours."""


class StoreBehindKafka(Exception):
    """Kafka holds events that the store does not: the store was restored from an old copy (fault 31)."""


class NotAccepted(Exception):
    """Kafka refused a record for good.  The process must end: going on would put later records before this one."""


class Relay:
    """Publishes one service's store.  `step()` does one batch; `run()` goes on until `stop` is set.

    Sent records stay pending until Kafka has them, however long that takes: they are never sent anew by the same
    process, so within a partition a record can't overtake an earlier one (consumers rely on that, ADR 0007).
    """

    def __init__(
        self, store: EventStore, producer: KafkaProducer, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._producer = producer
        self._clock = clock
        self._published = store.position(POSITION) or 0
        self._saved = self._published
        self._saved_at = clock()
        self._pending: list[Any] = []
        self._sent_up_to = self._published
        self._pulse = Pulse(clock=clock)

    def problem(self) -> str | None:
        """Why nothing is published (`chassis.health`)."""
        return self._pulse.problem()

    def step(self) -> int:
        """Publish the next batch; returns how many events it held.

        Raises KafkaTimeoutError while Kafka is away (call again, nothing is lost), NotAccepted.
        """
        before = self._published
        if self._sent_up_to == before:
            for event in self._store.notifications(before, BATCH):
                if (future := self._send(event)) is not None:
                    self._pending.append(future)
                self._sent_up_to = event.position
        for future in self._pending:
            self._wait(future)
        metrics.of(metrics.PUBLISHED, self._store.name).inc(len(self._pending))
        self._pending.clear()
        self._published = self._sent_up_to
        return self._published - before

    @staticmethod
    def _wait(future: Any) -> None:
        try:
            future.get(timeout=ACK_SECONDS)
        except KafkaError as error:
            if future.is_done:
                raise NotAccepted(repr(error)) from error
            raise

    def _send(self, event: Notification) -> Any:
        if spec := REGISTRY.events.get(event.type):
            headers = event_headers(spec, event, event.key)
            return self._producer.send(spec.topic, value=event.data, key=event.key.encode(), headers=headers)
        if event.type == COMMAND_SENT:
            command = decode(CommandSent, event.data)
            headers = command_headers(self._store.name, command.command, command.command_id, event.position, event.meta)
            return self._producer.send(
                f"{command.service}.commands", value=bytes(command.body), key=command.key.encode(), headers=headers
            )
        return None

    def save(self, *, at_once: bool = False) -> None:
        """Save the position, now and then: what is published twice after a crash has the same ids."""
        now = self._clock()
        if self._published != self._saved and (at_once or now - self._saved_at > SAVE_EVERY_SECONDS):
            self._store.set_position(POSITION, self._published)
            self._saved, self._saved_at = self._published, now

    def run(self, stop: threading.Event) -> None:
        wait = self._store.bell.listen()
        while not stop.is_set():
            try:
                found = self.step()
                self.save()
                lag = self._store.last_position() - self._published if found else 0
                self._pulse.beat()
                if not found:
                    wait(LONGEST_PAUSE)
            except NotAccepted:
                raise
            except Exception as error:  # Kafka or the store is away: nothing is lost, try again
                self._pulse.fails(error)
                log.warning("relay waits", service=self._store.name, error=repr(error))
                stop.wait(0.5)
                continue
            metrics.of(metrics.OUTBOX_LAG, self._store.name).set(lag)
        self.save(at_once=True)

    def check_not_behind(self, config: Config) -> None:
        """Raises StoreBehindKafka when one of our records on Kafka has a position the store does not reach."""
        topic = f"{self._store.name}.events"
        last = self._store.last_position()
        reader = PartitionReader(config, f"relay-check-{self._store.name}", [topic], {})
        try:
            ends = {source: end for source, end in reader.end_offsets().items() if end > 0}
            if not ends:
                return
            reader.seek({source: max(0, end - NEWEST) for source, end in ends.items()})
            waiting, newest = set(ends), 0
            deadline = time.monotonic() + 30
            while waiting and time.monotonic() < deadline:
                for record in reader.poll(500):
                    if record.poison is None and record.position > last and self._is_ours(record):
                        newest = max(newest, record.position)
                    if record.offset >= ends.get(record.source, 0) - 1:
                        waiting.discard(record.source)
        finally:
            reader.close()
        if newest > last:
            raise StoreBehindKafka(
                f"{topic} holds position {newest}, the store of {self._store.name} ends at {last}: "
                "it was restored from an old copy. See docs/runbooks/store-behind-kafka.md"
            )

    def _is_ours(self, record: Incoming) -> bool:
        """Whether we may have published a record that is said to stand behind the store's end.

        Not if it does not name us and an event by id and sequence, or names one that the store holds elsewhere.
        """
        id, _, version = record.id.partition("/")
        try:
            named = (record.headers["ce_source"], int(record.headers["ce_sequence"]))
            ours = named == (f"/salestream/{self._store.name}", int(version))
            ours = ours and self._store.position_of(UUID(id), int(version)) is None
        except (KeyError, ValueError):
            ours = False
        if not ours:
            log.error("foreign record", service=self._store.name, source=record.source, offset=record.offset)
        return ours
