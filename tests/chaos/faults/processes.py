"""Our own processes killed at exact points.

The points are messages on the wire (see `chaos.proxy`): what a process sends to PostgreSQL, Kafka or MongoDB at that
moment is held back, or its answer is, and then the process is killed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from component.support import eventually

from chassis.catalogue import Catalogue
from chassis.model.saga import Process
from chassis.projections.collections import STATES, connect

from ..check import await_rest, read_topic
from ..history import Entry
from ..proxy import Marker, Point, contains
from ..run import Run, fault
from ..system import ChaosSystem

COMMIT = b"COMMIT"
PRODUCE = (0).to_bytes(2, "big")
"""Kafka's api key of a produce request, after the four bytes of its length."""


def produces_to(topic: bytes) -> Marker:
    return lambda message: message[4:6] == PRODUCE and topic in message


@fault(1, "api killed between append and HTTP reply", "I1", "I2")
def api_killed_before_its_reply(run: Run) -> None:
    """The api has sent COMMIT with the events of a submission; PostgreSQL's answer is held back; SIGKILL.

    Hit: the event stands in the store and the client has got no answer.  The repeat with the same key is answered.
    """
    for number in range(run.rounds or 3):
        order = run.shop.draft(f"draft-{number}")
        with run.system.proxies["postgres-api"].trap(order_submitted(order), then=COMMIT, at="after") as trap:
            asked = threading.Thread(target=run.shop.submit, args=(order, f"submit-{number}"))
            asked.start()
            trap.wait()
            assert b"COMMIT" in trap.held, "what is held back is not the answer to COMMIT"
            assert types_of(run.system, "orders", order)[-1].endswith("order-submitted.v1")
            answered = [e for e in run.history.entries if e.op == f"POST /orders/{order}/submit" and e.kind == "ok"]
            assert not answered, "the client has its answer already"
            run.system.kill("api")
        run.system.start("api")
        asked.join(60)
        assert not asked.is_alive(), "the repeat was not answered"
        run.shop.becomes(order, "SHIPPED")
        assert sum(t.endswith("order-submitted.v1") for t in types_of(run.system, "orders", order)) == 1


def order_submitted(order: str) -> bytes:
    """What the stored OrderSubmitted of this order begins with."""
    return f'{{"order_id":"{order}","round":1,'.encode()


def types_of(system: ChaosSystem, service: str, key: str) -> list[str]:
    return [event.type for event in system.store(service).notifications(0, 10_000_000) if event.key == key]


@fault(2, "relay killed after produce, before its position is saved", "I7", "I8")
def relay_killed_before_it_saves(run: Run) -> None:
    """Kafka has answered the produce request of an order's event; the answer is held back; SIGKILL.

    Hit: the record is on Kafka and the relay's position stands before it.  The restarted relay publishes it again.
    """
    repeated = 0
    for number in range(run.rounds or 3):
        await_rest(run.system)
        with run.system.proxies["kafka"].trap(produces_to(b"orders.events"), at="after") as trap:
            order = run.shop.draft(f"draft-{number}")
            trap.wait()
            on_kafka = eventually(lambda order=order: _published(run.system, order))  # type: ignore[misc]
            store = run.system.store("orders")
            saved, last = store.position("relay") or 0, store.last_position()
            assert saved < last, "the relay has saved its position already"
            run.system.kill("relay")
        run.system.start("relay")
        again = eventually(lambda order=order, more=on_kafka: _published(run.system, order, more + 1))  # type: ignore[misc]
        repeated += again - on_kafka
        run.shop.submit(order, f"submit-{number}")
        run.shop.becomes(order, "SHIPPED")
    run.note(f"{repeated} records published twice")


def _published(system: ChaosSystem, order: str, at_least: int = 1) -> int:
    """How many records Kafka holds of an order."""
    found = sum(record.key == order for record in read_topic(system, "orders.events"))
    assert found >= at_least, f"{found} records of the order are on Kafka"
    return found


@fault(3, "projector killed before, in and after its MongoDB commit", "I8", "I9")
def projector_killed_around_its_commit(run: Run) -> None:
    """commitTransaction is held back; is just sent; is answered and the answer held back.  SIGKILL each time.

    Hit: of the views that take note of the event one has not moved (before), one has (after), while the projector got
    no answer.  The others are written side by side with it.
    """
    points: tuple[Point, ...] = ("after", "before", "sent")
    for point in points[: run.rounds]:
        await_rest(run.system)
        before = _revisions(run.system, "orders.events")
        with run.system.proxies["mongo-projector"].trap(b"commitTransaction", at=point) as trap:
            order = run.shop.draft(f"draft-{point}")
            trap.wait()
            if point == "before":
                assert b"commitTransaction" in trap.held
                assert before.items() & _revisions(run.system, "orders.events").items(), "all views have moved"
            elif point == "after":
                assert trap.held, "no answer was held back"
                assert before.items() ^ _revisions(run.system, "orders.events").items(), "no view has moved"
            run.system.kill("projector")
        run.system.start("projector")
        run.shop.submit(order, f"submit-{point}")
        run.shop.becomes(order, "SHIPPED")


def _revisions(system: ChaosSystem, topic: str) -> dict[str, int]:
    """How often each view that takes note of a topic was written."""
    names = [view.name for view in Catalogue.read().views("projector") if topic in view.topics]
    database = connect(system.config)
    try:
        states = {state["_id"]: int(state["revision"]) for state in database[STATES].find({"_id": {"$in": names}})}
        assert states.keys() == set(names)
        return states
    finally:
        database.client.close()


@fault(4, "saga killed between each pair of its steps", "I6")
def saga_killed_between_its_steps(run: Run) -> None:
    """One order through all eight steps; at each the saga is killed before, one more where it is killed after, COMMIT.

    The moment: the saga's transaction that enters the step (its new state holds `"<step>","STARTED"`).  Hit: before,
    the stored process is not yet at the step; after, it is, and the saga has no answer.
    """
    company, shop = run.shop.company, run.shop
    company.admin.do("PUT", "/settings/sales-process", {"shipping": "WAREHOUSE"})
    points: tuple[Point, ...] = ("before", "after")
    try:
        for point in points:
            order = shop.draft(f"draft-{point}", price="5001.00")
            run.system.processes["saga"].stop()
            with _saga_dies_entering(run, order, "approval", point):
                shop.submit(order, f"submit-{point}")
            with _saga_dies_entering(run, order, "approve order", point):
                shop.decide(order, f"decide-{point}")
            for step in ("deduct stock", "hand over"):
                with _saga_dies_entering(run, order, step, point):
                    pass
            with _saga_dies_entering(run, order, "ship order", point):
                _when_ready(run, f"/shipments/{order}/hand-over", {"carrier": "SF"}, f"hand-over-{point}")
            for step in ("dispatch", "delivery"):
                with _saga_dies_entering(run, order, step, point):
                    pass
            with _saga_dies_entering(run, order, "record delivery", point):
                _when_ready(run, f"/shipments/{order}/deliver", {}, f"deliver-{point}")
            run.system.start("saga")
            run.shop.becomes(order, "SHIPPED", "COMPLETED")
            deducted = [t for t in types_of(run.system, "inventory", order) if t.endswith("stock-deducted.v1")]
            assert len(deducted) == 1, f"stock was deducted {len(deducted)} times"
            eventually(lambda order=order: _delivered(run, order))  # type: ignore[misc]
    finally:
        company.admin.do("PUT", "/settings/sales-process", {"shipping": "AUTOMATIC"})


def _delivered(run: Run, order: str) -> None:
    assert "salestream.orders.order-delivered.v1" in types_of(run.system, "orders", order)


@contextmanager
def _saga_dies_entering(run: Run, order: str, step: str, point: Point) -> Iterator[None]:
    """Whatever the block causes: the saga is killed when it enters the step.  It is started when the trap is set."""
    system = run.system
    with system.proxies["postgres-saga"].trap(contains(f'"{step}","STARTED"'.encode()), then=COMMIT, at=point) as trap:
        if system.processes["saga"].pid is None:
            system.start("saga")
        yield
        trap.wait()
        process = system.store("fulfilment").load(Process, UUID(order))
        at = process.step if process else ""
        assert (at == step) == (point == "after"), f"the stored saga is at {at!r} {point} its commit of {step!r}"
        system.kill("saga")


def _when_ready(run: Run, path: str, body: object, key: str) -> None:
    """A command that is refused until the step it belongs to has been reached."""

    def not_yet(entry: Entry) -> bool:
        return entry.kind == "unknown" or entry.code in ("NOT_FOUND", "INVALID_STATE", "OVERLOADED")

    entry = run.shop.client.sure(run.shop.company.wang, "POST", path, body, key, again=not_yet)
    assert entry.kind == "ok", entry
