"""What can be verified by itself: one service's store with all that follows of it alone, and one view.

Each share reads the stores it needs on its own, so shares can run beside each other, in processes (`workers`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from eventsourcing.persistence import PersistenceError
from kafka.errors import KafkaError
from pymongo.errors import PyMongoError

from chassis.audit.chain import check_chain
from chassis.catalogue import Catalogue
from chassis.foundation.config import Config
from chassis.foundation.connections import shown
from chassis.model.views import View
from chassis.projections.collections import connect
from chassis.store.event_store import EventStore
from chassis.store.events import Notification, Unreadable, fact_class
from chassis.store.opening import existing_store
from chassis.verify.audit import check_copy
from chassis.verify.commands import RESULTS, SNAPSHOTS, Claims, check_results, check_snapshots
from chassis.verify.findings import Difference, EventRef, Findings
from chassis.verify.published import Published, count_records
from chassis.verify.read_models import Views, feeding_services
from contracts.declare import REGISTRY
from contracts.schemas import decode

PAGE = 1_000
STREAMS = "streams are whole"
AUDIT = "audit log"
READABLE = "events can be read"
Count = Callable[[int], object]


@dataclass
class Found:
    """What a share has found; of a service also where its events stand on Kafka."""

    findings: Findings = field(default_factory=Findings)
    published: Published | None = None


class Share(Protocol):
    """A part of the verification."""

    @property
    def services(self) -> Sequence[str]:
        """Whose stores it reads."""

    def look(self, config: Config, count: Count) -> Found:
        """Verify it; `count` is told how many positions of the stores were passed."""


@dataclass(frozen=True)
class ServiceShare:
    """A service: its streams, its events on Kafka, what it remembers of commands, its snapshots, its audit log.

    `ends` are Kafka's as they were before any store is read; up to the position `published_up_to` all must be there.
    `dropped` names foreign records that operators have given up.  `audit`: it has an audit log; `copied`: of which the
    read models have a copy that is looked at too.
    """

    service: str
    sources: Sequence[str]
    ends: Mapping[str, int]
    published_up_to: int
    dropped: frozenset[tuple[str, int]]
    audit: bool
    copied: bool

    @property
    def services(self) -> Sequence[str]:
        return (self.service,)

    def look(self, config: Config, count: Count) -> Found:
        found = Found(published=Published(self.service, self.sources))
        with looked(config, found.findings), closing(existing_store(self.service, config)) as store:
            self._look(config, store, found, count)
        return found

    def _look(self, config: Config, store: EventStore, found: Found, count: Count) -> None:
        findings, published = found.findings, found.published
        assert published is not None
        versions: dict[UUID, int] = {}
        claims = Claims()
        for page in pages(store, findings, count):
            findings.counts["events read"] += len(page)
            for event in page:
                before = versions.get(event.aggregate_id, 0)
                versions[event.aggregate_id] = event.version
                if event.version != before + 1:
                    message = f"version {event.version} follows version {before}"
                    about = f"{self.service} {event.aggregate_id}"
                    findings.differences.append(Difference(STREAMS, about, message, ref_of(self.service, event)))
                claims.note(event)
                if event.key:
                    published.expect(event)
                    if event.type not in REGISTRY.events:
                        fact_of(self.service, event, findings)
        findings.differences += published.compare(config, self.ends, self.published_up_to, self.dropped)
        count_records(findings, self.ends, [published])
        self._count(findings, RESULTS, check_results(store, claims))
        self._count(findings, SNAPSHOTS, check_snapshots(store))
        if self.audit:
            self._check_audit(config, store, findings)

    @staticmethod
    def _count(findings: Findings, name: str, checked: Iterable[Difference | None]) -> None:
        number = 0
        for difference in checked:
            number += 1
            if difference:
                findings.differences.append(difference)
        findings.counts[f"{name} checked"] += number

    def _check_audit(self, config: Config, store: EventStore, findings: Findings) -> None:
        chain = check_chain(store)
        findings.counts["audit entries checked"] += chain.entries
        wrong = chain.broken
        if not wrong and self.copied:
            database = connect(config)
            with closing(database.client):
                wrong = check_copy(store, database, Catalogue.read().audit_view())
        if wrong:
            findings.differences.append(Difference(AUDIT, self.service, wrong))


@dataclass(frozen=True)
class ViewShare:
    """Some views: each of their documents, recomputed from event one up to where its view is, and the live one."""

    views: Sequence[str]
    services: Sequence[str]
    sources: Sequence[str]

    def look(self, config: Config, count: Count) -> Found:
        found = Found()
        with looked(config, found.findings):
            self._look(config, found.findings, count)
        return found

    def _look(self, config: Config, findings: Findings, count: Count) -> None:
        views = [view for view in Catalogue.read().views("projector") if view.name in self.views]
        wanted = {REGISTRY.event_of(fact).name: fact for view in views for fact in view.handlers}
        database = connect(config)
        with closing(database.client):
            models = Views.read(database, views)
        with closing(models.documents):
            for service in self.services:
                places = Published(service, self.sources)
                own = [name for name, fact in wanted.items() if REGISTRY.event_of(fact).service == service]
                with closing(existing_store(service, config)) as store:
                    for page in pages(store, findings, count, own):
                        for event in page:
                            fact = fact_of(service, event, findings)
                            if fact is not None:
                                source = places.source_of(event.key)
                                findings.differences += models.take(service, event, source, fact)
            findings.counts["documents compared"] += models.compared
            findings.differences += models.compare()
            findings.explained += models.incomplete


def view_shares(views: Sequence[View], sources: Sequence[str], number: int) -> list[ViewShare]:
    """The views in so many shares at most: each share reads its events once, however many views it has."""
    largest = sorted(views, key=lambda view: -len(view.handlers))
    groups = [group for at in range(number) if (group := largest[at::number])]
    return [ViewShare([view.name for view in group], sorted(feeding_services(group)), sources) for group in groups]


def pages(
    store: EventStore, findings: Findings, count: Count = lambda _: None, types: Sequence[str] = (), after: int = 0
) -> Iterator[list[Notification]]:
    """The events of a store beyond a position, some types of them or all; damaged ones are differences."""

    def unreadable(damage: Unreadable) -> None:
        findings.differences.append(Difference(READABLE, f"{store.name} {damage.aggregate_id}", str(damage), None))

    while page := store.notifications(after, PAGE, unreadable, types):
        count(page[-1].position - after)
        after = page[-1].position
        yield page


def fact_of(service: str, event: Notification, findings: Findings) -> Any:
    """The fact that an event tells; None where that can't be read, which is a difference."""
    try:
        return decode(fact_class(event.type), event.data, event.aggregate_id)
    except Exception as error:  # whatever is wrong with stored bytes, it is a difference
        about = f"{service} {event.aggregate_id}"
        findings.differences.append(Difference(READABLE, about, line_of(error), ref_of(service, event)))
        return None


def ref_of(service: str, event: Notification) -> EventRef:
    return EventRef(service, event.position, event.type, f"{event.aggregate_id}/{event.version}")


@contextmanager
def looked(config: Config, findings: Findings) -> Iterator[None]:
    """Whatever can't be reached is named in the findings."""
    try:
        yield
    except KafkaError as error:
        findings.not_looked.append(f"Kafka at {config.kafka_bootstrap_servers}: {error!r}")
    except PyMongoError as error:
        findings.not_looked.append(f"MongoDB at {shown(config.mongodb_uri)}: {line_of(error)}")
    except PersistenceError as error:
        findings.not_looked.append(f"an event store: {line_of(error)}")


def line_of(error: Exception) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no details'}"
