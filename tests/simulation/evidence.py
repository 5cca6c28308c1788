"""What a run leaves behind, gathered once for all checks: facts of the stores, records of Kafka, rows of the views."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from random import Random
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from chassis.messaging.progress import Progress
from chassis.messaging.records import Incoming, read_record
from chassis.model.service import Service
from chassis.model.views import View
from chassis.projections.collections import STATES
from chassis.projections.projector import Projector
from chassis.projections.rebuild import content
from chassis.projections.versions import collections_of
from chassis.store.event_store import EventStore
from chassis.store.events import Metadata, fact_class
from chassis.store.memory import MemoryRecorder
from chassis.writer.writer import Writer
from contracts.company import CompanyDataSet
from contracts.declare import REGISTRY
from contracts.personal import person_named
from contracts.schemas import decode

from .cluster import VIEWS, Cluster
from .history import History
from .kernel.mongo import Database, Document
from .kernel.scheduler import Scheduler

PROJECTOR = Projector(None, VIEWS)  # type: ignore[arg-type]
WANTED, TOPICS = PROJECTOR.wanted(), PROJECTOR.topics()
Documents = dict[Any, Document | None]


@dataclass(frozen=True)
class Fact:
    """An event of a store, decoded."""

    service: str
    position: int
    stream: UUID
    version: int
    type: str
    key: str
    fact: Any
    meta: Metadata

    @property
    def id(self) -> str:
        return f"{self.stream}/{self.version}"

    def __str__(self) -> str:
        return f"{self.service} {self.position} {type(self.fact).__name__} {self.id} of {self.meta.command_id}"


class Evidence:
    """All of a cluster at rest."""

    def __init__(self, cluster: Cluster, history: History) -> None:
        self.cluster = cluster
        self.history = history
        self.facts = {name: list(self._facts(name)) for name in cluster.disks}

    @property
    def count(self) -> int:
        return sum(map(len, self.facts.values()))

    def _facts(self, service: str) -> Iterator[Fact]:
        for n in self.cluster.store(service).notifications(0, 1_000_000):
            fact: Any = decode(fact_class(n.type), n.data, n.aggregate_id)
            yield Fact(service, n.position, n.aggregate_id, n.version, n.type, n.key, fact, n.meta)

    def of(self, service: str, *kinds: type) -> Iterator[Fact]:
        """The facts of some kinds, in the order of the service's log."""
        return (fact for fact in self.facts[service] if isinstance(fact.fact, kinds))

    @cached_property
    def by_command(self) -> Mapping[tuple[str, str], Sequence[Fact]]:
        """(service, command id) -> the facts it left."""
        found: dict[tuple[str, str], list[Fact]] = defaultdict(list)
        for service, facts in self.facts.items():
            for fact in facts:
                found[service, fact.meta.command_id].append(fact)
        return found

    def streams(self, service: str) -> Mapping[UUID, Sequence[Fact]]:
        found: dict[UUID, list[Fact]] = defaultdict(list)
        for fact in self.facts[service]:
            found[fact.stream].append(fact)
        return found

    def days_of(self, fact: Fact) -> set[date]:
        """The days that a fact may be of: in the zones that were set by the end, in some places heard of late.

        Once everything had settled only the last one counts.
        """
        settled = fact.position > self.cluster.at_rest.get(fact.service, fact.position)
        return {fact.meta.at.astimezone(zone).date() for zone in (self._zones[-1:] if settled else self._zones)}

    @cached_property
    def _zones(self) -> Sequence[ZoneInfo]:
        told = self.of("company", CompanyDataSet)
        return [self.cluster.zone, *(ZoneInfo(fact.fact.data.time_zone) for fact in told)]

    def rows(self, view: str) -> Mapping[Any, Document]:
        """The documents of a view as it is."""
        state = self.cluster.database.documents(STATES)[view]
        return self.cluster.database.documents(state["collection"])


# -- replicas and views made anew


def replica_rows(cluster: Cluster, service: Service, random: Random) -> dict[tuple[str, str], Any]:
    """The rows of a service's replicas, made anew from Kafka: (replica, key) -> row."""
    store = EventStore(service.name, MemoryRecorder())
    writer = Writer(service, store)
    wanted = {REGISTRY.event_of(fact).name: fact for replica in service.replicas for fact in replica.feeds}
    topics = sorted(service.replica_topics())
    random.shuffle(topics)
    for topic in topics:
        for log in cluster.bus.topic(topic).values():
            records = without_repeats(read_record(record, wanted) for record in log)
            writer.learn([record.fact for record in records if record.fact is not None], {})
    return decoded_rows(service, store.recorder)


def decoded_rows(service: Service, recorder: Any) -> dict[tuple[str, str], Any]:
    rows = {replica.name: replica.row for replica in service.replicas}
    return {
        place: decode(rows[place[0]], body, person_named(place[1]))
        for place, body in recorder.rows.items()
        if place[0] in rows
    }


def without_repeats(records: Iterable[Incoming]) -> list[Incoming]:
    """What a consumer makes of a partition, when it has set aside what strangers wrote."""
    progress = Progress({}, {})
    found = []
    for record in records:
        if record.poison is not None:
            continue
        before = progress.positions.get(record.source, 0)
        progress.accept(record)
        if progress.positions.get(record.source, 0) > before:
            found.append(record)
    return found


def view_records(cluster: Cluster) -> dict[str, list[Incoming]]:
    """Per partition, the records that views are made of; those of strangers set aside."""
    return {
        f"{topic}:{number}": [_judged(read_record(record, WANTED)) for record in log]
        for topic in TOPICS
        for number, log in cluster.bus.topic(topic).items()
    }


def _judged(record: Incoming) -> Incoming:
    return record if record.poison is None else replace(record, fate="waits")


def doubled(records: Sequence[Incoming], random: Random) -> list[Incoming]:
    """A partition as it might be after crashes of the relay: at some places it goes back and publishes anew."""
    found: list[Incoming] = []
    for number, record in enumerate(records):
        again = records[random.randint(0, number) : number + 1] if random.random() < 0.3 else [record]
        found += [record, *again]
    return [replace(record, offset=offset) for offset, record in enumerate(found)]


def rebuilt(sources: Mapping[str, Sequence[Incoming]], views: Sequence[View], random: Random) -> dict[str, Documents]:
    """What views say that are made anew from these records, partitions taken in any order: view -> documents."""
    database = Database(scheduler=_nobody())
    projector = Projector(database, views)  # type: ignore[arg-type]
    projector.offsets([])
    left = {source: list(records) for source, records in sources.items() if records}
    while left:
        source = random.choice(list(left))
        size = random.choice((1, 20, 1_000))
        projector.process(left[source][:size])
        del left[source][:size]
        if not left[source]:
            del left[source]
    return {view.name: _said(database, view, view.name) for view in views}


def said(cluster: Cluster, view: View) -> Documents:
    """What a view says, its versions too, without what depends on the order in which sources were read."""
    state = cluster.database.documents(STATES)[view.name]
    return _said(cluster.database, view, state["collection"])


def _said(database: Database, view: View, collection: str) -> Documents:
    found = [database.documents(name) for name in collections_of(view, collection)]
    return {id: content(document) for documents in found for id, document in documents.items()}


def applied(progress: Progress, sources: Mapping[str, Sequence[Incoming]]) -> dict[str, Sequence[Incoming]]:
    """The records that a view with this progress says it has applied."""
    return {source: records[: progress.offsets.get(source, 0)] for source, records in sources.items()}


def _nobody() -> Scheduler:
    from .kernel.faults import Faults
    from .kernel.trace import Trace

    return Scheduler(Random(0), Trace(), Faults())


@contextmanager
def undisturbed(scheduler: Scheduler) -> Iterator[None]:
    """Look at things while nothing else moves."""
    current, scheduler.current = scheduler.current, None
    try:
        yield
    finally:
        scheduler.current = current
