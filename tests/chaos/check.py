"""The invariants of a system at rest.

`salestream verify` recomputes everything from the event stores (I3, I4, I6, I7, I8, I9).  What it can't know is what
was asked: the history of the load is compared with the stores here (I1, I2), with totals (I5) and fates of orders (I6).

`Evidence` is plain data, so a test can plant a violation in it.  Each function returns sentences that begin with the
invariant's name; an empty list is what we want.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from component.support import eventually

from chassis.catalogue import Catalogue
from chassis.messaging.partitions import PartitionReader
from chassis.messaging.records import Incoming
from chassis.projections.collections import STATES, connect
from chassis.store.events import Notification
from chassis.verify.run import Verification
from contracts.declare import REGISTRY
from contracts.orders import OrderCreated, OrderSubmitted
from contracts.schemas import decode
from services.orders.domain import Order

from .history import History, Operation
from .system import SERVICES, ChaosSystem

AT_REST_WITHIN = 60.0
"""T of I6: after the last command and the last fault, everything is done within so many seconds."""
ON_ITS_WAY = frozenset({"SUBMITTED", "APPROVED"})
"""Statuses that need nobody: an order that stays there is lost."""


@dataclass
class Evidence:
    """What was asked of a system, and what its stores hold."""

    operations: Sequence[Operation]
    events: Mapping[str, Sequence[Notification]]
    """Per service, its log."""
    statuses: Mapping[UUID, str]
    """Per order, as the store has it."""

    def facts(self, service: str, *classes: type) -> Iterator[tuple[Notification, Any]]:
        for event in self.events[service]:
            spec = REGISTRY.events.get(event.type)
            if spec is not None and spec.cls in classes:
                yield event, decode(spec.cls, event.data)


def check(system: ChaosSystem, history: History) -> list[str]:
    """Wait until the system is at rest, then check everything; returns what is violated."""
    try:
        await_rest(system)
    except AssertionError as error:
        return [f"I6: not at rest within {AT_REST_WITHIN:.0f} s: {error}"]
    return [*examine(gather(system, history)), *verified(system)]


def examine(evidence: Evidence) -> list[str]:
    """All checks that need nothing but the evidence."""
    return [*effects(evidence), *order_totals(evidence), *fates(evidence)]


def verified(system: ChaosSystem) -> list[str]:
    """What `salestream verify` finds different, or could not look at."""
    findings = Verification(system.config, (), wait=AT_REST_WITHIN, bars=lambda *_: nullcontext(_NoBar())).run()
    return [*(f"verify: {found}" for found in findings.differences), *findings.not_looked]


class _NoBar:
    def update(self, n: float | None = 1) -> None:
        """Progress is not shown."""


# -- I1, I2


def effects(evidence: Evidence) -> list[str]:
    """I1: what was acknowledged happened once; what is unknown at most once.  I2: what was refused did not happen."""
    caused: dict[str, list[tuple[str, Notification]]] = defaultdict(list)
    for service, log in evidence.events.items():
        for event in log:
            caused[event.meta.command_id].append((service, event))
    found = []
    for operation in evidence.operations:
        events = caused.get(operation.command_id, [])
        doubles = Counter((event.aggregate_id, event.type) for _, event in events)
        if any(count > 1 for count in doubles.values()):
            found.append(f"I1: {operation.op} ({operation.command_id}) happened more than once")
        if operation.acknowledged:
            if not events:
                found.append(f"I1: {operation.op} ({operation.command_id}) was acknowledged and is lost")
            if len({str(entry.reply) for entry in operation.acknowledged}) > 1:
                found.append(f"I1: {operation.op} ({operation.command_id}) was answered in two ways")
        elif operation.refused and operation.outcomes and events:
            found.append(f"I2: {operation.op} ({operation.command_id}) was refused and happened")
    for cls in (OrderCreated, OrderSubmitted):
        per_order = Counter((fact.order_id, getattr(fact, "round", 1)) for _, fact in evidence.facts("orders", cls))
        found += [f"I1: {cls.__name__} of {key} stands there {n} times" for key, n in per_order.items() if n > 1]
    return found


# -- I5, I6


def order_totals(evidence: Evidence) -> list[str]:
    found = []
    for _, fact in evidence.facts("orders", OrderSubmitted):
        total = sum((line.amount for line in fact.sale.lines), Decimal(0))
        if total != fact.sale.total.amount:
            found.append(f"I5: order {fact.order_id}: lines {total}, total {fact.sale.total.amount}")
    return found


def fates(evidence: Evidence) -> list[str]:
    """Every order has come to an end, or waits for a person."""
    return [f"I6: order {id} is still {status}" for id, status in evidence.statuses.items() if status in ON_ITS_WAY]


# -- gathering


def gather(system: ChaosSystem, history: History) -> Evidence:
    """Read the stores of a system at rest."""
    events = {name: system.store(name).notifications(0, 10_000_000) for name in SERVICES}
    submitted = {
        event.aggregate_id for event in events["orders"] if event.type == REGISTRY.event_of(OrderSubmitted).name
    }
    orders = {id: system.store("orders").load(Order, id) for id in submitted}
    return Evidence(
        operations=list(history.operations()),
        events=events,
        statuses={id: order.status for id, order in orders.items() if order is not None},
    )


def read_topic(system: ChaosSystem, topic: str) -> list[Incoming]:
    """All records of a topic, each partition's in order."""
    reader = PartitionReader(system.config, "chaos-read", [topic], {})
    found: list[Incoming] = []
    try:
        ends = reader.end_offsets()
        reader.seek({})
        while reader.is_behind(ends):
            found += reader.poll(500)
    finally:
        reader.close()
    return found


def _offsets(state: Mapping[str, Any]) -> dict[str, int]:
    return {item["source"]: int(item["offset"]) for item in state["sources"].values()}


# -- rest


def await_rest(system: ChaosSystem, seconds: float = AT_REST_WITHIN) -> None:
    """Return when nothing is under way: all is published, all is consumed, no saga waits for a service."""
    groups = _consumers()
    views = Catalogue.read().views("projector")
    topics = sorted({*(topic for wanted in groups.values() for topic in wanted), *(t for v in views for t in v.topics)})
    reader = PartitionReader(system.config, "chaos-rest", topics, {})
    database = connect(system.config)
    try:

        def at_rest() -> None:
            before = {name: system.store(name).last_position() for name in SERVICES}
            for name, last in before.items():
                assert (system.store(name).position("relay") or 0) == last, f"{name} has not published everything"
            ends = {source: end for source, end in reader.end_offsets().items() if end}
            for name, wanted in groups.items():
                for source, end in ends.items():
                    if source.rpartition(":")[0] in wanted:
                        reached = system.store(name).position(f"offset:{source}") or 0
                        assert reached == end, f"{name} has read {reached} of {end} records of {source}"
            states = {state["_id"]: _offsets(state) for state in database[STATES].find()}
            for view in views:
                for source, end in ends.items():
                    if source.rpartition(":")[0] in view.topics:
                        reached = states.get(view.name, {}).get(source, 0)
                        assert reached == end, f"view {view.name} has read {reached} of {end} records of {source}"
            assert not system.store("fulfilment").rows("waiting"), "a saga waits for a service"
            assert before == {name: system.store(name).last_position() for name in SERVICES}, "events are coming in"

        eventually(at_rest, seconds=seconds)
    finally:
        reader.close()
        database.client.close()


def _consumers() -> dict[str, set[str]]:
    """Per store that keeps positions, the topics consumed into it."""
    catalogue = Catalogue.read()
    commanded = {spec.service for spec in REGISTRY.commands.values() if not spec.is_public}
    found = {
        service.name: {*service.replica_topics(), *([f"{service.name}.commands"] if service.name in commanded else [])}
        for service in catalogue.services()
    }
    for name, saga in catalogue.sagas():
        found[name] = {REGISTRY.event_of(fact).topic for fact in saga.facts()}
    return found
