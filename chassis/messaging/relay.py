"""The relay: tails a service's event store and publishes its public events and outgoing commands onto Kafka.

In the order of the log, at least once, always under the same ids.  The position is saved after the brokers'
acknowledgements.  The store's doorbell wakes it; it looks by itself all the same.

While it has records under way it shares the store's publishing lock, so that a topic is not made anew meanwhile
(`chassis.run.topics`); it saves its position before it lets go, and then begins at the saved one if that has happened.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from kafka.errors import KafkaError

from chassis.foundation import metrics
from chassis.foundation.config import Config
from chassis.foundation.health import Pulse
from chassis.kafka.port import Producer
from chassis.messaging.kafka import COMMANDS, partition_of
from chassis.messaging.partitions import PartitionReader, TopicsDamaged
from chassis.messaging.records import Incoming, command_headers, event_headers
from chassis.model.commands import CommandSent
from chassis.store.event_store import EventStore
from chassis.store.events import Notification
from contracts.declare import REGISTRY
from contracts.schemas import decode

log = structlog.get_logger()

POSITION = "relay"
MADE_ANEW = "topics-made-anew"
"""How often a topic on which the store publishes was made anew: a relay that finds another number begins again."""
BATCH = 500
LONGEST_PAUSE = 1.0  # the bell ends it as soon as something is stored
SAVE_EVERY_SECONDS = 0.5  # each time the writer in another process waits for SQLite's lock
TURN_SECONDS = 1.0
"""So long a relay holds the publishing lock at a stretch."""
ACK_SECONDS = 5.0
COMMAND_SENT = "chassis.command-sent"
CHECK_AGAIN_SECONDS = 5.0
LOOK_BACK = 5_000
"""So many of the last published events are looked through for the newest of each partition."""
NEWEST = 20
"""So many records of each partition are looked at: somebody else's may stand behind ours."""


class StoreBehindKafka(Exception):
    """Kafka holds events that the store does not: it was restored from an old copy (fault 31), or they are forged."""


class NotAccepted(Exception):
    """Kafka refused a record for good.  Its producer must end: going on would put later records before this one."""


class Outgoing(NamedTuple):
    """A record as it is sent."""

    topic: str
    key: str
    value: bytes
    headers: list[tuple[str, bytes]]


def record_of(service: str, event: Notification) -> Outgoing | None:
    """What a stored event of a service is on Kafka; None for one that stays inside."""
    if spec := REGISTRY.events.get(event.type):
        return Outgoing(spec.topic, event.key, event.data, event_headers(spec, event, event.key))
    if event.type == COMMAND_SENT:
        command = decode(CommandSent, event.data)
        headers = command_headers(service, command.command, command.command_id, event.position, event.meta)
        return Outgoing(f"{command.service}{COMMANDS}", command.key, bytes(command.body), headers)
    return None


def has_published(store: EventStore, topic: str) -> bool:
    """Whether a store says of any of its records that it was published on a topic."""
    at, end = 0, store.position(POSITION) or 0
    while at < end and (events := store.notifications(at, BATCH)):
        at = events[-1].position
        records = [record_of(store.name, event) for event in events if event.position <= end]
        if any(record is not None and record.topic == topic for record in records):
            return True
    return False


class Relay:
    """Publishes one service's store.  `step()` does one batch; `run()` goes on until `stop` is set.

    Sent records stay pending until Kafka has them, however long that takes: they are never sent anew by the same
    producer, so within a partition a record can't overtake an earlier one (consumers rely on that, ADR 0007).  Where
    their topic is gone they are given up, with the producer, and come again from the saved position (ADR 0027).
    """

    def __init__(
        self,
        store: EventStore,
        make_producer: Callable[[], Producer],
        *,
        config: Config | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """With `config` it makes sure before it publishes that Kafka holds what was published before.

        Its producers are without gaps: once a record is refused none comes after it.
        """
        self._config = config
        self._damage: str | None = None
        self._unchecked = config is not None
        self._acked: dict[tuple[str, int], int] = {}
        self._store = store
        self._make_producer = make_producer
        self._producer: Producer | None = None
        self._made_anew = store.position(MADE_ANEW) or 0
        self._shares_since: float | None = None
        self._clock = clock
        self._published = store.position(POSITION) or 0
        self._saved = self._published
        self._saved_at = clock()
        self._pending: list[Any] = []
        self._under_way: set[str] = set()
        self._sent_up_to = self._published
        self._pulse = Pulse(clock=clock)

    def problem(self) -> str | None:
        """Why nothing is published (`chassis.foundation.health`)."""
        return self._damage or self._pulse.problem()

    def step(self) -> int:
        """Publish the next batch; returns how many events it held.

        Raises KafkaTimeoutError while Kafka is away (call again, nothing is lost), NotAccepted, TopicsDamaged.
        """
        before = self._published
        if self._pending:
            self._require_shared()
        if self._sent_up_to == before and (events := self._store.notifications(before, BATCH)):
            self._share()
            for event in events:
                if (future := self._send(event)) is not None:
                    self._pending.append(future)
                self._sent_up_to = event.position
        for place in self._places():
            self._note(place)
        metrics.of(metrics.PUBLISHED, self._store.name).inc(len(self._pending))
        self._pending.clear()
        self._under_way.clear()
        self._published = self._sent_up_to
        return self._published - before

    def _share(self) -> None:
        """Share the publishing lock.  Raises TopicsDamaged while a topic is made anew, and once after that."""
        if self._shares_since is not None and self._store.publishing.is_held():
            return
        if not self._store.publishing.share():
            raise TopicsDamaged(f"a topic that {self._store.name} publishes on is being made anew")
        self._shares_since = self._clock()
        times = self._store.position(MADE_ANEW) or 0
        if times != self._made_anew:
            raise self._was_made_anew(times)

    def _was_made_anew(self, times: int) -> TopicsDamaged:
        self._made_anew = times
        return TopicsDamaged(f"a topic that {self._store.name} publishes on was made anew")

    def _require_shared(self) -> None:
        """Raises TopicsDamaged where the publishing lock is lost, as with its connection: while something is under way
        a topic may be made anew, and this would stand before what is published again."""
        if self._shares_since is not None and not self._store.publishing.is_held():
            raise TopicsDamaged(f"the publishing lock of {self._store.name} was lost, with records under way")

    def _places(self) -> list[Any]:
        """Where Kafka has put what is under way.  It looks meanwhile whether the lock is still there."""
        found, looked_at = [], self._clock()
        for future in self._pending:
            if self._clock() - looked_at > ACK_SECONDS:
                self._require_shared()
                looked_at = self._clock()
            found.append(self._wait(future))
        return found

    def _note(self, place: Any) -> None:
        """Raises TopicsDamaged when Kafka has put a record where there was one before: the topic was made anew."""
        source = (place.topic, place.partition)
        before = self._acked.get(source, -1)
        if place.offset < 0:
            return  # the brokers had it already and do not say where
        if place.offset <= before:
            raise TopicsDamaged(f"{place.topic}:{place.partition} was made anew: offset {before} was taken before")
        self._acked[source] = place.offset

    def _wait(self, future: Any) -> Any:
        try:
            return future.get(timeout=ACK_SECONDS)
        except KafkaError as error:
            if future.is_done:
                first = self._producer.refusal if self._producer else None
                raise NotAccepted(f"Kafka refuses a record: {first or error!r}") from error
            raise

    def _send(self, event: Notification) -> Any:
        out = record_of(self._store.name, event)
        if out is None:
            return None
        if self._producer is None:
            self._producer = self._make_producer()
        self._under_way.add(out.topic)
        return self._producer.send(out.topic, value=out.value, key=out.key.encode(), headers=out.headers)

    def save(self, *, at_once: bool = False) -> None:
        """Save the position, now and then: what is published twice after a crash has the same ids.

        Always before the publishing lock is let go: what was published is what a topic made anew is filled with.
        Raises TopicsDamaged where one was made anew since, as the lock was lost: what is not saved comes again.
        """
        now = self._clock()
        due = at_once or now - self._saved_at > SAVE_EVERY_SECONDS
        turn_ends = self._shares_since is not None and (at_once or now - self._shares_since > TURN_SECONDS)
        turn_ends = turn_ends and not self._under_way
        if self._published != self._saved and (due or turn_ends):
            if not self._store.set_position_while(POSITION, self._published, MADE_ANEW, self._made_anew):
                raise self._was_made_anew(self._store.position(MADE_ANEW) or 0)
            self._saved, self._saved_at = self._published, now
        if turn_ends:
            self._let_go()

    def _let_go(self) -> None:
        self._store.publishing.release()
        self._shares_since = None

    def _give_up(self) -> None:
        """Send nothing any more of what is under way: it comes again from the saved position.

        It asks neither Kafka nor the store: whatever has ended the work, they may be away too.
        """
        if self._producer is not None:
            self._producer.abandon()
            self._producer = None
        self._pending.clear()
        self._under_way.clear()
        self._acked.clear()
        self._unchecked = True
        self._published = self._sent_up_to = self._saved
        self._let_go()

    def run(self, stop: threading.Event) -> None:
        wait = self._store.bell.listen()
        while not stop.is_set():
            try:
                self._require_whole()
                found = self.step()
                self.save()
                lag = self._store.last_position() - self._published if found else 0
                self._gets_on()
                if not found:
                    wait(LONGEST_PAUSE)
            except (NotAccepted, TopicsDamaged) as damage:
                self._stand(damage)
                stop.wait(CHECK_AGAIN_SECONDS)
                continue
            except StoreBehindKafka as behind:  # once the store has grown beyond that position nobody would see it
                self._stand(behind)
                stop.wait()
                continue
            except Exception as error:  # Kafka or the store is away: nothing is lost, try again
                self._pulse.fails(error)
                log.warning("relay waits", service=self._store.name, error=repr(error))
                stop.wait(0.5)
                continue
            metrics.of(metrics.OUTBOX_LAG, self._store.name).set(lag)
        try:
            self.save(at_once=True)
        except TopicsDamaged as damage:
            log.warning("relay ends unsaved", service=self._store.name, damage=str(damage))
        self._give_up()

    def _require_whole(self) -> None:
        """Raises TopicsDamaged while Kafka lacks what was published: what comes now would stand before it.

        Raises StoreBehindKafka while the store lacks what was published.
        """
        if self._config is None:
            return
        if self._under_way:  # it was tried before, in vain: Kafka is away, or the topics are gone
            PartitionReader(self._config, f"relay-check-{self._store.name}", sorted(self._under_way), {}).close()
        if not self._unchecked:
            return
        self.check_not_behind(self._config)
        if told := lacking([self._store], self._config):
            raise TopicsDamaged(told[self._store.name])
        self._unchecked = False

    def _gets_on(self) -> None:
        self._damage = None
        self._pulse.beat()
        metrics.of(metrics.RELAY_STANDS, self._store.name).set(0)

    def _stand(self, damage: NotAccepted | TopicsDamaged | StoreBehindKafka) -> None:
        """Publish nothing more until the cause is gone, then everything that was not saved as published."""
        if self._damage != str(damage):
            log.error("relay stands", service=self._store.name, damage=str(damage))
        self._damage = str(damage)
        metrics.of(metrics.RELAY_STANDS, self._store.name).set(1)
        self._give_up()

    def check_not_behind(self, config: Config) -> None:
        """Raises StoreBehindKafka when one of our records on Kafka has a position the store does not reach.

        Raises TopicsDamaged when the topic is not there as it has to be.
        """
        topic = f"{self._store.name}.events"
        last = self._store.last_position()
        reader = PartitionReader(config, f"relay-check-{self._store.name}", [topic], {})
        try:
            ends = {source: end for source, end in reader.end_offsets().items() if end > 0}
            if not ends:
                return
            reader.seek({source: max(0, end - NEWEST) for source, end in ends.items()})
            newest = 0
            while reader.is_behind(ends):
                for record in reader.poll(500):
                    if record.foreign:
                        log.error("foreign record", **self._place(record))
                    elif record.poison is None and record.position > last and self._is_ours(record):
                        newest = max(newest, record.position)
        finally:
            reader.close()
        if newest > last:
            raise StoreBehindKafka(
                f"{topic} holds position {newest}, the store of {self._store.name} ends at {last}: "
                "it was restored from an old copy, or the record is not ours. See docs/runbooks/store-behind-kafka.md"
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
            log.error("foreign record", **self._place(record))
        return ours

    def _place(self, record: Incoming) -> dict[str, Any]:
        return {"service": self._store.name, "source": record.source, "offset": record.offset}


def lacking(stores: Sequence[EventStore], config: Config) -> dict[str, str]:
    """What Kafka lacks of the events that were published, by service, in words.  Raises TopicsDamaged, KafkaError.

    The newest of each partition must be there, whatever stands behind it: a topic that was deleted, made anew or
    cut off at its end lacks them.  So must the first: one that was made anew may hold the newest again.
    """
    topics = {f"{store.name}.events": store for store in stores}
    newest: dict[str, int] = {}
    first: dict[str, int] = {}
    for topic, store in topics.items():
        saved = store.position(POSITION) or 0
        published = partial(_published, store, topic, config.topic_partitions, saved)
        newest |= dict(published(max(0, saved - LOOK_BACK)))
        first |= dict(reversed(list(published(0))))
    reader = PartitionReader(config, f"relay-check-{'-'.join(store.name for store in stores)}", list(topics), {})
    try:
        begins, ends = reader.begin_offsets(), reader.end_offsets()  # before it reads: both would wait for a fetch
        missing = _not_at_the_end(reader, newest, begins, ends) | _not_at_the_beginning(reader, first, begins, ends)
    finally:
        reader.close()
    told: dict[str, list[str]] = {}
    for source, at in sorted(missing.items()):
        service = topics[source.rpartition(":")[0]].name
        told.setdefault(service, []).append(f"{source} lacks position {at}, which was published")
    return {service: "; ".join(lines) for service, lines in told.items()}


def _published(store: EventStore, topic: str, partitions: int, saved: int, after: int) -> Iterator[tuple[str, int]]:
    """(source, position) of the next events that were published, in the order of the log."""
    end = after + LOOK_BACK
    while after < end and (events := store.notifications(after, BATCH)):
        for event in events:
            if event.position <= min(saved, end) and event.type in REGISTRY.events:
                yield f"{topic}:{partition_of(event.key, partitions)}", event.position
        after = events[-1].position


def _not_at_the_end(
    reader: PartitionReader, newest: Mapping[str, int], begins: Mapping[str, int], ends: Mapping[str, int]
) -> dict[str, int]:
    """Of these newest positions those that are nowhere in their partitions, which are looked through backwards."""
    missing, back = dict(newest), NEWEST
    while missing:
        starts = {source: max(begins[source], end - back) for source, end in ends.items()}
        reader.seek({source: starts[source] if source in missing else end for source, end in ends.items()})
        while reader.is_behind(ends):
            for record in reader.poll(500):
                if record.poison is None and missing.get(record.source) == record.position:
                    del missing[record.source]
        if all(starts[source] <= begins[source] for source in missing):
            break
        back *= 10
    return missing


def _not_at_the_beginning(
    reader: PartitionReader, first: Mapping[str, int], begins: Mapping[str, int], ends: Mapping[str, int]
) -> dict[str, int]:
    """Of these first positions those that are not among the first records of their partitions.

    Somebody else's record may stand before ours, with whatever position.
    """
    missing = dict(first)
    unseen = {source for source in first if begins[source] < ends[source]}
    reader.seek({source: begins[source] if source in unseen else end for source, end in ends.items()})
    while unseen and reader.is_behind(ends):
        for record in reader.poll(500):
            if record.source not in unseen:
                continue
            is_there = record.poison is None and record.position <= first[record.source]
            if is_there:
                del missing[record.source]
            if is_there or record.offset + 1 >= min(begins[record.source] + NEWEST, ends[record.source]):
                unseen.discard(record.source)
                reader.skip_to(record.source, ends[record.source])
    return missing
