"""One verification, from start to end.

1. Wait until relays and consumers have caught up with what is stored now (for a bounded time).
2. Take the read models and how far they are, at one moment.
3. Read every store once, from event one, and give each event to the checks that want it.
4. Read Kafka, the remembered results and the snapshots, and compare.
5. What may just be under way is looked at again until it is right or the time is up.
"""

import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property
from typing import Any, Protocol
from uuid import UUID

from eventsourcing.persistence import PersistenceError
from kafka.errors import KafkaError
from pymongo.database import Database
from pymongo.errors import PyMongoError

from chassis.audit.chain import check_chain
from chassis.audit.check import check_copy
from chassis.catalogue import Catalogue
from chassis.config import Config
from chassis.connections import shown
from chassis.consumer import stored_progress
from chassis.kafka import PartitionReader, command_topics, event_topics
from chassis.projector import STATES, ViewState, connect, live_id
from chassis.relay import COMMAND_SENT, POSITION
from chassis.store import EventStore, Notification, Unreadable, existing_store, fact_class
from chassis.verify.commands import RESULTS, SNAPSHOTS, Claims, SentCommands, check_results, check_snapshots
from chassis.verify.dead_letters import SetAside
from chassis.verify.declare import Check, Ledger
from chassis.verify.findings import Difference, EventRef, Findings
from chassis.verify.lags import Lag, await_all, behind_ends
from chassis.verify.published import Published, count_records
from chassis.verify.read_models import Views, feeding_services
from chassis.verify.rules import LedgerCheck, RuleCheck
from chassis.verify.sagas import SagaCheck
from chassis.views import View
from contracts.declare import REGISTRY
from contracts.schemas import decode

PAGE = 1_000
LOOK_AGAIN_SECONDS = 0.2
STREAMS = "streams are whole"
AUDIT = "audit log"
READABLE = "events can be read"
Document = dict[str, Any]


class Bar(Protocol):
    """Is told what is done (`chassis.verify.progress`)."""

    def update(self, n: float | None = 1) -> Any: ...


Bars = Callable[[str, int], AbstractContextManager[Bar]]


class NotReachable(Exception):
    """Servers or stores that could not be reached; the message names each."""


class Verification:
    """Verifies the chosen services (all by default); `wait` bounds how long it waits for what is under way."""

    def __init__(self, config: Config, only: Sequence[str], *, wait: float, bars: Bars) -> None:
        self._config = config
        self._wait = wait
        self._bars = bars
        self._chosen = Catalogue.read(only)
        self._all = Catalogue.read()
        self.findings = Findings()
        self._stores: dict[str, EventStore] = {}
        self._reader: PartitionReader | None = None

    def run(self) -> Findings:
        """Do it.  Whatever can't be reached is named in the findings."""
        started = time.monotonic()
        try:
            self._open()
            self._verify()
        except NotReachable as error:
            self.findings.not_looked += str(error).splitlines()
        except KafkaError as error:
            self.findings.not_looked.append(f"Kafka at {self._config.kafka_bootstrap_servers}: {error!r}")
        except PyMongoError as error:
            self.findings.not_looked.append(f"MongoDB at {shown(self._config.mongodb_uri)}: {_line(error)}")
        except PersistenceError as error:
            self.findings.not_looked.append(f"an event store: {_line(error)}")
        finally:
            self._close()
        self.findings.seconds = time.monotonic() - started
        return self.findings

    # -- what there is to look at

    def _open(self) -> None:
        """Connect to everything that is needed.  Raises NotReachable naming all that can't be reached."""
        missing: list[str] = []
        self._views = self._chosen.views("projector")
        self._sagas = self._chosen.sagas()
        self._declared = self._chosen.checks()
        for name in self._services_to_read():
            try:
                self._stores[name] = existing_store(name, self._config)
            except Exception as error:  # a driver's error of whatever kind: it can't be reached
                missing.append(f"the event store of {name}: {_line(error)}")
        try:
            topics = [*event_topics(), *command_topics()]
            self._reader = PartitionReader(self._config, "verify", topics, {})
            self._sources = self._reader.sources
        except Exception as error:
            missing.append(f"Kafka at {self._config.kafka_bootstrap_servers}: {_line(error)}")
        if self._views:
            try:
                self._database: Database[Document] = connect(self._config)
                self._database.client.admin.command("ping")
            except PyMongoError as error:
                missing.append(f"MongoDB at {shown(self._config.mongodb_uri)}: {_line(error)}")
        if missing:
            raise NotReachable("\n".join(missing))

    def _close(self) -> None:
        for store in self._stores.values():
            store.close()
        if self._reader is not None:
            self._reader.close()

    def _services_to_read(self) -> list[str]:
        """The services with a store that some check needs, those that run a saga first.

        A saga's store is read before those it listens to: what it has read is then seen in them too.
        """
        needed = {*self._chosen.with_role("relay"), *feeding_services(self._views)}
        for _, saga in self._sagas:
            needed |= {REGISTRY.event_of(fact).service for fact in saga.facts()}
        for service, check in self._declared:
            needed |= {REGISTRY.event_of(f).service for f in _facts(check) if REGISTRY.is_public_event(f)} | {service}
        stored = [name for name in self._all.with_role("relay") if name in needed]
        return sorted(stored, key=lambda name: name not in self._all.with_role("saga"))

    # -- the verification

    def _verify(self) -> None:
        assert self._reader is not None, "opened"
        deadline = time.monotonic() + self._wait
        goals = {name: store.last_position() for name, store in self._stores.items()}
        behind = await_all(self._relay_lags(goals), deadline)
        behind += await_all(self._consumer_lags(self._reader.end_offsets()), deadline)
        self.findings.not_looked += behind
        published_up_to = {
            name: min(goals[name], store.position(POSITION) or 0) for name, store in self._stores.items()
        }
        self._letters = SetAside(self._config)
        self._take_views()
        ends = self._reader.end_offsets()
        self._start_checks()
        self._read_stores()
        self._compare_kafka(ends, published_up_to)
        self._compare_views()
        self._compare_stores()
        self._settle(may_judge=not behind, deadline=max(deadline, time.monotonic() + 1.0))
        self._explain()
        self.findings.differences = [self._located(found) for found in self.findings.differences]

    def _relay_lags(self, goals: Mapping[str, int]) -> Iterator[Lag]:
        def behind(name: str) -> Callable[[], str]:
            def ask() -> str:
                reached = self._stores[name].position(POSITION) or 0
                return f"position {reached:,} of {goals[name]:,}" if reached < goals[name] else ""

            return ask

        for name in self._stores:
            yield Lag(f"the relay of {name}", behind(name))

    def _consumer_lags(self, ends: Mapping[str, int]) -> Iterator[Lag]:
        def stored(store: EventStore, topics: Iterable[str]) -> Callable[[], str]:
            return lambda: behind_ends(stored_progress(store, self._sources).offsets, ends, topics)

        for service in self._chosen.services():
            if topics := service.consumed_topics():
                yield Lag(f"the inbox of {service.name}", stored(self._stores[service.name], topics))
        for name, saga in self._sagas:
            heard = {REGISTRY.event_of(fact).topic for fact in saga.facts()}
            yield Lag(f"the saga {saga.name}", stored(self._stores[name], heard))
        for view in self._views:
            yield Lag(f"the view {view.name}", self._view_behind(view, ends))

    def _view_behind(self, view: View, ends: Mapping[str, int]) -> Callable[[], str]:
        topics = {REGISTRY.event_of(fact).topic for fact in view.handlers}

        def ask() -> str:
            document = self._database[STATES].find_one({"_id": live_id(view)})
            if document is None:
                return "it is not built yet"
            return behind_ends(ViewState.of(view, document).progress.offsets, ends, topics)

        return ask

    def _take_views(self) -> None:
        self._models: Views | None = None
        if self._views:
            with self._bars("documents read", 0) as bar:
                self._models = Views.read(self._database, self._views)
                bar.update(self._models.compared)
            self.findings.counts["documents compared"] = self._models.compared

    def _start_checks(self) -> None:
        self._published = {name: Published(name, self._sources) for name in self._stores}
        self._claims = {name: Claims() for name in self._chosen.with_role("relay")}
        self._versions: dict[UUID, int] = {}
        partitions = sum(1 for source in self._sources if source.startswith(f"{command_topics()[0]}:"))
        receivers = {name: self._stores[name] for name in self._chosen.with_role("api") if name in self._stores}
        self._sent = SentCommands(receivers, partitions, self._letters)
        self._saga_checks = [SagaCheck(name, saga, self._stores[name], self._sources) for name, saga in self._sagas]
        self._ledgers = [LedgerCheck(name, check) for name, check in self._declared if isinstance(check, Ledger)]
        self._rules = [RuleCheck(check) for _, check in self._declared if not isinstance(check, Ledger)]
        self._read_up_to = dict.fromkeys(self._stores, 0)

    def _read_stores(self) -> None:
        for name, store in self._stores.items():
            self._versions.clear()
            with self._bars(f"events of {name}", store.last_position()) as bar:
                for page in self._pages(name, store):
                    for event in page:
                        self._take(name, event)
                    bar.update(len(page))
        self._note(self._sent.finish())
        self.findings.counts["commands between services compared"] = self._sent.checked

    def _pages(self, name: str, store: EventStore) -> Iterator[list[Notification]]:
        def unreadable(damage: Unreadable) -> None:
            self._note([Difference(READABLE, f"{name} {damage.aggregate_id}", str(damage), None)])

        while page := store.notifications(self._read_up_to[name], PAGE, unreadable):
            self._read_up_to[name] = page[-1].position
            yield page

    def _take(self, service: str, event: Notification) -> None:
        """Give an event to every check that wants it."""
        self.findings.counts["events read"] += 1
        if service in self._claims:
            self._note(self._whole(service, event))
            self._claims[service].note(event)
        for saga in self._saga_checks:
            if saga.service == service:
                saga.process_event(event)
        if event.type == COMMAND_SENT:
            self._note(self._sent.take(service, event))
        if not event.key:
            return
        source = self._published[service].source_of(event.key)
        self._published[service].expect(event, source)
        try:
            cls = fact_class(event.type)
            if cls not in self._wanted:
                return
            fact: Any = decode(cls, event.data)
        except Exception as error:  # whatever is wrong with stored bytes, it is a difference
            self._note([Difference(READABLE, f"{service} {event.aggregate_id}", _line(error), _ref(service, event))])
            return
        if self._models:
            self._note(self._models.take(service, event, source, fact))
        for saga in self._saga_checks:
            saga.take(service, event, source, fact)
        for ledger in self._ledgers:
            if type(fact) is ledger.ledger.entry:
                self._note(ledger.take(event, source, fact, self._models))
        self._fold(service, event, fact)

    @cached_property
    def _wanted(self) -> set[type]:
        """The facts that checks decode."""
        of_views = {fact for view in self._views for fact in view.handlers}
        of_sagas = {fact for _, saga in self._sagas for fact in saga.facts()}
        return of_views | of_sagas | {fact for _, check in self._declared for fact in _facts(check)}

    def _fold(self, service: str, event: Notification, fact: Any) -> None:
        for rule in self._rules:
            if type(fact) in rule.rule.folds:
                rule.take(service, event, fact)

    def _whole(self, service: str, event: Notification) -> Iterator[Difference]:
        before = self._versions.get(event.aggregate_id, 0)
        self._versions[event.aggregate_id] = event.version
        if event.version != before + 1:
            message = f"version {event.version} follows version {before}"
            yield Difference(STREAMS, f"{service} {event.aggregate_id}", message, _ref(service, event))

    # -- comparing

    def _compare_kafka(self, ends: dict[str, int], published_up_to: Mapping[str, int]) -> None:
        checked = [self._published[name] for name in self._chosen.with_role("relay")]
        dropped = {place for group in self._all.groups() for place in self._letters.dropped(group)}
        for name in self._chosen.with_role("relay"):
            one = self._published[name]
            total = sum(end for source, end in ends.items() if source.rpartition(":")[0] == one.topic)
            with self._bars(f"records of {one.topic}", total) as bar:
                self._note(one.compare(self._config, ends, published_up_to[name], dropped, bar.update))
        count_records(self.findings, ends, checked)

    def _compare_views(self) -> None:
        if self._models:
            with self._bars("documents compared", self._models.compared) as bar:
                self._note(self._models.compare(bar.update))
            self.findings.explained += self._models.incomplete

    def _compare_stores(self) -> None:
        for ledger in self._ledgers:
            self._note(ledger.compare(self._stores[ledger.service], self._models))
            self.findings.counts[f"accounts of the {ledger.ledger.name} ledger compared"] = len(ledger.accounts)
        for name in self._chosen.with_role("relay"):
            store = self._stores[name]
            self._count(RESULTS, name, check_results(store, self._claims[name]))
            self._count(SNAPSHOTS, name, check_snapshots(store))
        for name in self._chosen.with_role("api"):
            self._check_audit(self._stores[name])
        for rule in self._rules:
            self._note(rule.impossible())
            self.findings.counts[f"{rule.rule.name} checked"] = len(rule.kept)

    def _check_audit(self, store: EventStore) -> None:
        chain = check_chain(store)
        self.findings.counts["audit entries checked"] += chain.entries
        wrong = chain.broken
        if not wrong and self._views:
            wrong = check_copy(store, self._database, self._all.audit_view())
        if wrong:
            self.findings.differences.append(Difference(AUDIT, store.name, wrong))

    def _count(self, name: str, store: str, checked: Iterable[Difference | None]) -> None:
        with self._bars(f"{name} of {store}", 0) as bar:
            for found in checked:
                bar.update()
                self.findings.counts[f"{name} checked"] += 1
                if found:
                    self.findings.differences.append(found)

    def _note(self, found: Iterable[Difference]) -> None:
        self.findings.differences += found

    # -- what may be under way

    def _settle(self, *, may_judge: bool, deadline: float) -> None:
        """Look again at what is not at rest until it is, or until the deadline; what is new meanwhile is not judged."""
        rules: list[tuple[RuleCheck, set[Hashable]]] = [(rule, rule.unsettled()) for rule in self._rules]
        stuck = [(saga, saga.candidates()) for saga in self._saga_checks]
        while any(left for _, left in rules) or any(left for _, left in stuck):
            if time.monotonic() >= deadline:
                break
            time.sleep(LOOK_AGAIN_SECONDS)
            for name, store in self._stores.items():
                for page in self._pages(name, store):
                    for event in page:
                        if event.key and (cls := fact_class(event.type)) in self._wanted:
                            self._fold(name, event, decode(cls, event.data))
            rules = [(rule, rule.unsettled(left)) for rule, left in rules]
            for saga, left in stuck:
                for id in list(left):
                    saga.reread(id)
                    if not self._stuck(saga, id):
                        left.discard(id)
        found = [rule.difference(key) for rule, left in rules for key in left]
        found += [difference for saga, left in stuck for id in left for difference in self._stuck(saga, id)]
        if may_judge:
            self.findings.differences += found
        elif found:
            self.findings.not_looked.append(f"{len(found):,} things may still be under way, the first: {found[0]}")

    def _stuck(self, saga: SagaCheck, id: UUID) -> list[Difference]:
        return [] if str(id) in self._aside_of(saga) else saga.stuck(id)

    def _aside_of(self, saga: SagaCheck) -> dict[str, str]:
        """Subjects of which a record is set aside: their sagas can't go on."""
        return {record.key: record.type for record in self._letters.waiting(saga.saga.group)}

    def _explain(self) -> None:
        for group in self._chosen.groups():
            for record in self._letters.waiting(group):
                about = f"{record.type or 'an unreadable record'} {record.id}".strip()
                self.findings.attention.append(f"{group}: {about}, key {record.key}, is set aside (dead letter)")
        for saga in self._saga_checks:
            saga.explain(self.findings, self._aside_of(saga))

    def _located(self, found: Difference) -> Difference:
        """The difference with all that is known of the event behind it."""
        event = found.event
        if event is None:
            return found
        if not event.type:
            for notification in self._stores[event.service].notifications(event.position - 1, 1):
                event = replace(_ref(event.service, notification), kafka=event.kafka)
        return replace(
            found, event=replace(event, kafka=event.kafka or self._published[event.service].where(event.position))
        )


def _facts(check: Check) -> Iterable[type]:
    return [check.entry] if isinstance(check, Ledger) else check.folds


def _ref(service: str, event: Notification) -> EventRef:
    return EventRef(service, event.position, event.type, f"{event.aggregate_id}/{event.version}")


def _line(error: Exception) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no details'}"
