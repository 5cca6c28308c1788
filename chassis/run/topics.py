"""Topics that lack what they held: find it out, publish it again from the stores, let the consumers begin anew.

The stores are the truth; Kafka only carries it.  A topic is made anew and filled in the order of the log while its
relays stand aside (ADR 0007, 0027), and whoever reads it begins at its first record: what a consumer has taken in it
knows by position.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import structlog
from kafka.admin import KafkaAdminClient
from kafka.errors import UnknownTopicOrPartitionError
from pymongo.database import Database
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from chassis.catalogue import Catalogue
from chassis.foundation.config import Config, ConfigError
from chassis.kafka.clients import producer
from chassis.kafka.port import Producer
from chassis.messaging.kafka import COMMANDS, admin_client, dead_letter_topic, partition_of, topics_wanted
from chassis.messaging.partitions import PartitionReader, damaged_topics, damages
from chassis.messaging.progress import Progress, has_filled, stored_progress
from chassis.messaging.provenance import DEAD_LETTERS
from chassis.messaging.relay import BATCH, MADE_ANEW, POSITION, lacking, record_of
from chassis.model.views import View
from chassis.projections.collections import STATES, Document, connect, mongo_key
from chassis.projections.state import live_id, source_told, state_of
from chassis.store.event_store import EventStore
from chassis.store.events import Unreadable
from chassis.store.opening import existing_store
from contracts.declare import REGISTRY

ACK_SECONDS = 60.0
FAR = 1_000
"""More than a consumer can have stored between the reading of its revision and the writing of the next."""
Truth = Mapping[str, tuple[int, int]]
"""By source, the first and the last position that the stores hold for it."""
NOTHING = (0, 0)
log = structlog.get_logger()

PATIENCE = Retrying(stop=stop_after_delay(30), wait=wait_fixed(0.1), retry=retry_if_result(lambda done: not done))


def writers(catalogue: Catalogue, topic: str) -> list[str]:
    """The services that publish on a topic: its own, or those with sagas."""
    if topic.endswith(COMMANDS):
        return [service for service, _ in catalogue.sagas()]
    return [service for service in catalogue.with_role("relay") if f"{service}.events" == topic]


class Topics:
    """The topics of all services, and who writes and reads them."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._catalogue = Catalogue.read()
        self._wanted = topics_wanted(config, self._catalogue.groups())

    def check(self) -> list[str]:
        """What is wrong with any topic, in words; empty when all is well.  Raises KafkaError, ConfigError."""
        damaged = damaged_topics(self._config, list(self._wanted))
        found = [f"{name}: it {wrong}" for name, wrong in damaged.items()]
        sound = [name for name in self._wanted if name not in damaged]
        with ExitStack() as held:
            services = [name for name in self._catalogue.with_role("relay") if f"{name}.events" in sound]
            stores = [held.enter_context(self._store(service)) for service in services]
            found += [f"{service}.events: {told}" for service, told in lacking(stores, self._config).items()]
        readers = list(self._readers())  # asked before the ends of the topics: nobody can have read beyond them
        reader = PartitionReader(self._config, "topics", sound, {})
        try:
            begins, ends = reader.begin_offsets(), reader.end_offsets()
            places = {place for _, _, progress in readers for place in progress.offsets.items()}
            before = reader.all_before(places)
        finally:
            reader.close()
        for who, topics, progress in readers:
            own = {source: end for source, end in ends.items() if source.rpartition(":")[0] in topics}
            found += [f"{who}: {told}" for told in damages(begins, own, progress.offsets)]
            read = [place for place in progress.offsets.items() if place[0] in own and place in before]
            found += [f"{who}: {told}" for told in progress.told_of_missed(before[place] for place in read)]
        for name in (name for name in sound if not name.endswith(DEAD_LETTERS)):
            last = self._last_position(name)  # asked after what was read: nobody can have read beyond it
            for who, topics, progress in readers:
                if name in topics:
                    found += [f"{who}: {told}" for told in progress.told_of_forged(name, last)]
        return found

    def republish(self, name: str, *, force: bool = False) -> int:
        """Make a topic anew and publish all of it that the stores hold; returns how many records.

        Its relays stand aside meanwhile; one that has lost its lock with a connection is given the time to notice.
        Raises ConfigError for a topic that lacks nothing, unless forced, where a relay does not stand aside, and where
        the own lock is lost.
        """
        if name not in self._wanted or name.endswith(DEAD_LETTERS):
            raise ConfigError(f"{name!r} is not published from stores; there are {', '.join(self._from_stores())}")
        if not force and not any(name in told for told in self.check()):
            raise ConfigError(f"{name} lacks nothing.  To make it anew all the same use --force")
        with ExitStack() as held:
            stores = [held.enter_context(self._store(service)) for service in writers(self._catalogue, name)]
            for store in stores:
                store.set_position(MADE_ANEW, (store.position(MADE_ANEW) or 0) + 1)
            for store in stores:
                _take_alone(store)
            time.sleep(max((store.publishing.unnoticed for store in stores), default=0.0))  # nothing tells of it
            for store in stores:
                _require_alone(store)
            self._make_anew(name)
            self.reset(name)
            sender = producer(self._config, gapless=True)
            held.callback(sender.close)
            return sum(_publish(sender, store, name) for store in stores)

    def reset(self, name: str) -> None:
        """Let everybody who reads a topic begin at its first record.  What was taken in stays: positions tell it.

        Where those are of records that nobody has stored, they are put right.
        """
        if name not in self._wanted:
            raise ConfigError(f"there is no topic {name!r}; there are {', '.join(self._wanted)}")
        sources = [f"{name}:{number}" for number in range(self._wanted[name].num_partitions)]
        truth = self._stored_positions(name)
        for group, service, topics in self._stored_groups():
            if name in topics:
                with self._store(service) as store:
                    _fence(store, group)
                    _begin_anew(store, sources, truth)
                    _fence(store, group)
        database = connect(self._config)
        for view in self._catalogue.views("projector"):
            PATIENCE.copy()(_view_begins_anew, database, view, sources, truth)

    def _last_position(self, name: str) -> int:
        """The last position of those logs from which a topic is published."""
        last = 0
        for service in writers(self._catalogue, name):
            with self._store(service) as store:
                last = max(last, store.last_position())
        return last

    def _stored_positions(self, name: str) -> Truth | None:
        """The first and the last position that stores hold for each source of a topic; None where they don't tell."""
        if name.endswith(DEAD_LETTERS):
            return None
        found: dict[str, tuple[int, int]] = {}
        for service in writers(self._catalogue, name):
            with self._store(service) as store:
                try:
                    for source, position in _positions(store, name, self._wanted[name].num_partitions):
                        first, last = found.get(source, (position, position))
                        found[source] = min(first, position), max(last, position)
                except Unreadable as damage:
                    log.warning("positions are not put right", topic=name, error=str(damage))
                    return None
        return found

    # -- who writes and reads them

    def _from_stores(self) -> list[str]:
        return [name for name in self._wanted if not name.endswith(DEAD_LETTERS)]

    def _stored_groups(self) -> Iterator[tuple[str, str, list[str]]]:
        """(group, service of its store, topics) of the consumers that keep their offsets in an event store."""
        for service in self._catalogue.services():
            if topics := service.consumed_topics():
                yield service.name, service.name, [*topics, dead_letter_topic(service.name)]
        for name, saga in self._catalogue.sagas():
            heard = sorted({REGISTRY.event_of(fact).topic for fact in saga.facts()})
            yield saga.group, name, [*heard, dead_letter_topic(saga.group)]

    def _readers(self) -> Iterator[tuple[str, list[str], Progress]]:
        """(name, topics, how far it is) of every consumer."""
        sources = [f"{name}:{n}" for name, topic in self._wanted.items() for n in range(topic.num_partitions)]
        for group, service, topics in self._stored_groups():
            with self._store(service) as store:
                yield f"consumer {group}", topics, stored_progress(store, sources)
        database = connect(self._config)
        for view in self._catalogue.views("projector"):
            if document := database[STATES].find_one({"_id": live_id(view)}):
                yield f"view {view.name}", sorted(view.topics), state_of(database, view, document).progress

    @contextmanager
    def _store(self, service: str) -> Iterator[EventStore]:
        store = existing_store(service, self._config)
        try:
            yield store
        finally:
            store.close()

    # -- making one anew

    def _make_anew(self, name: str) -> None:
        admin = admin_client(self._config)
        try:
            try:
                admin.delete_topics([name])
            except UnknownTopicOrPartitionError:
                log.info("the topic is gone already", topic=name)
            _await(admin, name, there=False)
            admin.create_topics([self._wanted[name]])
            _await(admin, name, there=True)
        finally:
            admin.close()


def _fence(store: EventStore, group: str) -> None:
    """Let no consumer of a group store what it has worked out on the offsets it knows now.

    Before they are changed, so that it stores no old one over the new; and after that, so that it reads them.
    """
    fenced = (store.position(f"revision:{group}") or 0) + FAR
    was_filled = has_filled(store, group)
    store.set_position(f"revision:{group}", fenced)
    if was_filled:
        store.set_position(f"filled:{group}", fenced)


def _positions(store: EventStore, topic: str, partitions: int) -> Iterator[tuple[str, int]]:
    """(source, position) of all that a store publishes on a topic, or will.  Raises Unreadable."""
    at = 0
    while events := store.notifications(at, BATCH):
        for event in events:
            out = record_of(store.name, event)
            if out is not None and out.topic == topic:
                yield f"{topic}:{partition_of(out.key, partitions)}", event.position
        at = events[-1].position


def _begin_anew(store: EventStore, sources: Sequence[str], truth: Truth | None) -> None:
    """Let the consumer that keeps its progress in a store begin anew; while it is fenced."""
    before, after = stored_progress(store, sources), stored_progress(store, sources)
    for source in before.offsets:
        store.set_position(f"offset:{source}", 0)
        if truth is not None:
            after.put_right(source, *truth.get(source, NOTHING))
    for what, was, now in (
        ("position", before.positions, after.positions),
        ("beginning", before.beginnings, after.beginnings),
    ):
        for source in was:
            if now.get(source) != was[source]:
                store.set_position(f"{what}:{source}", now.get(source, 0))


def _view_begins_anew(database: "Database[Document]", view: View, sources: Sequence[str], truth: Truth | None) -> bool:
    """Let a view begin anew; whether nobody has changed its state meanwhile."""
    document = database[STATES].find_one({"_id": live_id(view)})
    if document is None:
        return True
    progress = state_of(database, view, document).progress
    told: Document = {}
    for source in (source for source in sources if source in progress.offsets):
        if truth is not None:
            progress.put_right(source, *truth.get(source, NOTHING))
        told[f"sources.{mongo_key(source)}"] = source_told(progress, source, 0)
    if not told:
        return True
    was = {"_id": document["_id"], "revision": document["revision"], "generation": document["generation"]}
    return bool(database[STATES].update_one(was, {"$set": told, "$inc": {"revision": 1}}).matched_count)


def _take_alone(store: EventStore) -> None:
    """Wait until no relay of a store has anything under way, and keep it so until the store is closed."""
    try:
        PATIENCE.copy()(store.publishing.take)
    except RetryError as error:
        raise ConfigError(
            f"a relay of {store.name} still has records under way that Kafka does not take: nothing was changed.  "
            "Look at its log; if Kafka is well, stop the worker and try again"
        ) from error


def _require_alone(store: EventStore) -> None:
    """Raises ConfigError where the lock is lost, as with its connection: the relays go on then."""
    if not store.publishing.is_held():
        raise ConfigError(
            f"the connection to the store of {store.name} was lost, and with it the lock that keeps its relays aside.  "
            "Run `salestream topics republish` again, with --force"
        )


def _await(admin: KafkaAdminClient, name: str, *, there: bool) -> None:
    """Wait until the brokers agree whether a topic exists.  Raises RetryError."""
    PATIENCE.copy()(lambda: (name in admin.list_topics()) == there)


def _publish(sender: Producer, store: EventStore, topic: str) -> int:
    """Publish what a store has published on a topic, in the order of its log; what is newer its relay will bring."""
    at, end, number = 0, store.position(POSITION) or 0, 0
    while at < end and (events := store.notifications(at, BATCH)):
        _require_alone(store)
        sent = []
        for event in events:
            at = event.position
            out = record_of(store.name, event)
            if at <= end and out is not None and out.topic == topic:
                sent.append(sender.send(topic, value=out.value, key=out.key.encode(), headers=out.headers))
        sender.flush()
        for future in sent:
            future.get(timeout=ACK_SECONDS)
        number += len(sent)
    return number
