"""One verification, from start to end.

1. Wait until relays and consumers have caught up with what is stored now (for a bounded time).
2. Services and views are verified each by itself, beside each other (`shares`, `workers`).
3. Meanwhile, read what is told between services from every store, and give each event to the checks that want it.
4. What may just be under way is looked at again until it is right or the time is up.
"""

import time
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, Protocol
from uuid import UUID

from pymongo.database import Database
from pymongo.errors import PyMongoError

from chassis.catalogue import Catalogue
from chassis.foundation.config import Config
from chassis.foundation.connections import shown
from chassis.messaging.kafka import command_topics, event_topics
from chassis.messaging.partitions import PartitionReader
from chassis.messaging.progress import stored_progress
from chassis.messaging.relay import COMMAND_SENT, POSITION
from chassis.model.aggregates import INTERNAL_EVENTS, internal_name
from chassis.model.checks import Check, Ledger
from chassis.model.views import View
from chassis.projections.collections import STATES, connect
from chassis.projections.state import ViewState, live_id
from chassis.store.event_store import EventStore
from chassis.store.events import Notification
from chassis.store.opening import existing_store
from chassis.verify.audit import copy_behind, copy_state
from chassis.verify.commands import SentCommands
from chassis.verify.dead_letters import SetAside
from chassis.verify.findings import Difference, Findings
from chassis.verify.lags import Lag, await_all, behind_ends
from chassis.verify.published import Published
from chassis.verify.read_models import Views, feeding_services
from chassis.verify.rules import LedgerCheck, RuleCheck
from chassis.verify.sagas import SagaCheck
from chassis.verify.shares import (
    Count,
    Found,
    ServiceShare,
    Share,
    fact_of,
    line_of,
    looked,
    pages,
    ref_of,
    view_shares,
)
from chassis.verify.workers import at_work, processes_for
from contracts.declare import REGISTRY

LOOK_AGAIN_SECONDS = 0.2
POSITIONS = "positions taken"
Document = dict[str, Any]


class Bar(Protocol):
    """Is told what is done (`chassis.verify.progress`)."""

    def update(self, n: float | None = 1) -> Any: ...


Bars = Callable[[str, int], AbstractContextManager[Bar]]


class NotReachable(Exception):
    """Servers or stores that could not be reached; the message names each."""


class Verification:
    """Verifies the chosen services (all by default); `wait` bounds how long it waits for what is under way.

    `processes`: how many work side by side; left out, as many as there are cores, once there is work for them.
    """

    def __init__(self, config: Config, only: Sequence[str], *, wait: float, bars: Bars, processes: int = 0) -> None:
        self._config = config
        self._processes = processes
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
            with looked(self._config, self.findings):
                self._open()
                self._verify()
        except NotReachable as error:
            self.findings.not_looked += str(error).splitlines()
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
                missing.append(f"the event store of {name}: {line_of(error)}")
        try:
            topics = [*event_topics(), *command_topics()]
            self._reader = PartitionReader(self._config, "verify", topics, {})
            self._sources = self._reader.sources
        except Exception as error:
            missing.append(f"Kafka at {self._config.kafka_bootstrap_servers}: {line_of(error)}")
        if self._views:
            try:
                self._database: Database[Document] = connect(self._config)
                self._database.client.admin.command("ping")
            except PyMongoError as error:
                missing.append(f"MongoDB at {shown(self._config.mongodb_uri)}: {line_of(error)}")
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
        self.findings.not_looked += [*behind, *self._copies_behind(deadline)]
        published_up_to = {
            name: min(goals[name], store.position(POSITION) or 0) for name, store in self._stores.items()
        }
        self._letters = SetAside(self._config)
        processes = self._processes or processes_for(sum(goals.values()))
        shares = self._shares(self._reader.end_offsets(), published_up_to, processes)
        passes = sum(goals[service] for share in shares for service in share.services)
        self._start_checks()
        with at_work(self._config, shares, processes) as results:
            self._read_stores()
            with self._bars(f"events read for {len(shares)} parts", passes) as bar:
                for found in results(bar.update):
                    self._take_over(found)
        self._compare_ledgers()
        self._note(self._beyond_the_logs())
        self._settle(may_judge=not behind, deadline=max(deadline, time.monotonic() + 1.0))
        self._explain()
        told = dict.fromkeys(self.findings.differences)  # several may have met the same damaged event
        self.findings.differences = [self._located(found) for found in told]

    def _shares(self, ends: Mapping[str, int], published_up_to: Mapping[str, int], processes: int) -> list[Share]:
        """What is verified by itself, the longest first; the views in as many shares as keep the processes busy."""
        dropped = frozenset(place for group in self._all.groups() for place in self._letters.dropped(group))
        audited = self._chosen.with_role("api")
        services = [
            ServiceShare(
                name,
                self._sources,
                ends,
                published_up_to[name],
                dropped,
                audit=name in audited,
                copied=bool(self._views),
            )
            for name in self._chosen.with_role("relay")
        ]
        shares: list[Share] = [*view_shares(self._views, self._sources, 2 * processes - 1), *services]
        return sorted(shares, key=lambda share: -sum(published_up_to[name] for name in share.services))

    def _take_over(self, found: Found) -> None:
        """Add what a share has found."""
        self.findings.add(found.findings)
        if found.published:
            self._published[found.published.service] = found.published

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

        for who, store, topics in self._store_consumers():
            yield Lag(who, stored(store, topics))
        for view in self._views:
            yield Lag(f"the view {view.name}", self._view_behind(view, ends))

    def _copies_behind(self, deadline: float) -> list[str]:
        """Wait until the copy of each audit log holds what the log holds now; returns which are behind.

        None where there is no copy at all: that is a difference, which each service's share tells.
        """
        if not self._views:
            return []
        view = self._all.audit_view()
        goals = {name: self._stores[name].last_audit() for name in self._chosen.with_role("api")}
        lags = [
            Lag(f"the copy of {name}'s audit log", partial(copy_behind, self._database, view, name, goal))
            for name, goal in goals.items()
        ]
        behind = await_all(lags, deadline)
        return behind if copy_state(self._database, view) else []

    def _store_consumers(self) -> Iterator[tuple[str, EventStore, Collection[str]]]:
        """The consumers that keep their progress in an event store, and what they read."""
        for service in self._chosen.services():
            if topics := service.consumed_topics():
                yield f"the inbox of {service.name}", self._stores[service.name], topics
        for name, saga in self._sagas:
            yield f"the saga {saga.name}", self._stores[name], {REGISTRY.event_of(fact).topic for fact in saga.facts()}

    def _beyond_the_logs(self) -> Iterator[Difference]:
        """Consumers that have taken a position which the log does not reach: the record that had it was forged."""
        taken = [(who, stored_progress(store, self._sources)) for who, store, _ in self._store_consumers()]
        for view in self._views:
            if document := self._database[STATES].find_one({"_id": live_id(view)}):
                taken.append((f"the view {view.name}", ViewState.of(view, document).progress))
        ends = {f"{name}.events": store.last_position() for name, store in self._stores.items()}
        for who, progress in taken:
            for source, position in progress.positions.items():
                end = ends.get(source.partition(":")[0], position)
                if position > end:
                    message = f"has taken position {position}, the log ends at {end}: the next event there corrects it"
                    yield Difference(POSITIONS, f"{who}, {source}", message)

    def _view_behind(self, view: View, ends: Mapping[str, int]) -> Callable[[], str]:
        topics = {REGISTRY.event_of(fact).topic for fact in view.handlers}

        def ask() -> str:
            document = self._database[STATES].find_one({"_id": live_id(view)})
            if document is None:
                return "it is not built yet"
            return behind_ends(ViewState.of(view, document).progress.offsets, ends, topics)

        return ask

    def _start_checks(self) -> None:
        self._published = {name: Published(name, self._sources) for name in self._stores}
        partitions = sum(1 for source in self._sources if source.startswith(f"{command_topics()[0]}:"))
        receivers = {name: self._stores[name] for name in self._chosen.with_role("api") if name in self._stores}
        self._sent = SentCommands(receivers, partitions, self._letters)
        self._saga_checks = [SagaCheck(name, saga, self._stores[name], self._sources) for name, saga in self._sagas]
        self._ledgers = [LedgerCheck(name, check) for name, check in self._declared if isinstance(check, Ledger)]
        self._rules = [RuleCheck(check) for _, check in self._declared if not isinstance(check, Ledger)]
        self._read_up_to = dict.fromkeys(self._stores, 0)
        shown = {view for ledger in self._ledgers for view in ledger.ledger.shown}
        views = [view for view in self._views if view.name in shown]
        self._models = Views.read(self._database, views) if views else None

    def _read_stores(self) -> None:
        for name, store in self._stores.items():
            with self._bars(f"events of {name}", store.last_position()) as bar:
                for page in self._pages(name, store, bar.update):
                    for event in page:
                        self._take(name, event)
        self._note(self._sent.finish())
        self.findings.counts["commands between services compared"] = self._sent.checked

    def _pages(self, name: str, store: EventStore, count: Count = lambda _: None) -> Iterator[list[Notification]]:
        """What the checks between services want of a store, beyond what was read; of a saga's store that is all."""
        has_saga = any(saga.service == name for saga in self._saga_checks)
        types = () if has_saga else [COMMAND_SENT, *map(_stored_as, self._wanted)]
        for page in pages(store, self.findings, count, types, self._read_up_to[name]):
            self._read_up_to[name] = page[-1].position
            yield page

    def _take(self, service: str, event: Notification) -> None:
        """Give an event to every check that wants it."""
        for saga in self._saga_checks:
            if saga.service == service and (own := fact_of(service, event, self.findings)):
                saga.process_event(event, own)
        if event.type == COMMAND_SENT:
            self._note(self._sent.take(service, event))
        fact = self._fact(service, event)
        if fact is None:
            return
        if internal_name(type(fact)):  # nobody outside hears of it: what a rule makes of it is all there is
            self._fold(service, event, fact)
            return
        source = self._published[service].source_of(event.key)
        for saga in self._saga_checks:
            saga.take(service, event, source, fact)
        for ledger in self._ledgers:
            if type(fact) is ledger.ledger.entry:
                self._note(ledger.take(event, source, fact, self._models))
        self._fold(service, event, fact)

    def _fact(self, service: str, event: Notification) -> Any:
        """What an event tells, if a check wants it."""
        spec = REGISTRY.events.get(event.type)
        told = spec.cls if spec else INTERNAL_EVENTS.get(event.type)
        return fact_of(service, event, self.findings) if told in self._wanted else None

    @cached_property
    def _wanted(self) -> set[type]:
        """The facts that the checks between services want."""
        of_sagas = {fact for _, saga in self._sagas for fact in saga.facts()}
        return of_sagas | {fact for _, check in self._declared for fact in _facts(check)}

    def _fold(self, service: str, event: Notification, fact: Any) -> None:
        for rule in self._rules:
            if type(fact) in rule.rule.folds:
                rule.take(service, event, fact)

    def _compare_ledgers(self) -> None:
        for ledger in self._ledgers:
            self._note(ledger.compare(self._stores[ledger.service], self._models))
            self.findings.counts[f"accounts of the {ledger.ledger.name} ledger compared"] = len(ledger.accounts)
        for rule in self._rules:
            self._note(rule.impossible())
            self.findings.counts[f"{rule.rule.name} checked"] = len(rule.kept)

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
                        if fact := self._fact(name, event):
                            self._fold(name, event, fact)
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
                event = replace(ref_of(event.service, notification), kafka=event.kafka)
        return replace(
            found, event=replace(event, kafka=event.kafka or self._published[event.service].where(event.position))
        )


def _facts(check: Check) -> Iterable[type]:
    return [check.entry] if isinstance(check, Ledger) else check.folds


def _stored_as(fact: type) -> str:
    """The type under which an event is stored, whether others hear of it or not."""
    return internal_name(fact) or REGISTRY.event_of(fact).name
