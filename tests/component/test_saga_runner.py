"""The saga's runner on its store: repeats, restarts between any two steps, time limits, rivals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from chassis.foundation.config import Config
from chassis.messaging.consumer import Fenced
from chassis.messaging.records import Incoming, PoisonRecord
from chassis.messaging.relay import COMMAND_SENT
from chassis.model.commands import CommandSent
from chassis.model.saga import MAX_RESENDS, Process
from chassis.sagas.runner import SagaRunner, WaitingRow
from chassis.store.event_store import EventStore
from chassis.store.events import fact_class
from chassis.store.memory import MemoryRecorder
from chassis.store.opening import open_store
from chassis.store.transaction import Transaction
from chassis.testing.people import FINANCE, SALES
from component.facts import NOW, TODAY, incoming, submitted
from contracts.approvals import CaseApproved, CaseRejected, OpenCase, case_id_of
from contracts.fulfilment import FulfilmentAdvanced
from contracts.inventory import DeductStock, ReturnStock, StockDeducted, StockLine, StockShort
from contracts.orders import (
    HoldOrder,
    OrderApproved,
    OrderCancelled,
    OrderDelivered,
    OrderRejected,
    OrderRetried,
    OrderShipped,
    OrderSubmitted,
    RejectOrder,
)
from contracts.people import SALESTREAM, Person
from contracts.sales import Shortage
from contracts.schemas import decode
from contracts.shipping import ShipmentDelivered, ShipmentDispatched, ShipmentHandedOver
from services.fulfilment.saga import SAGA

TIMEOUT = timedelta(seconds=30)
SOURCES = [f"{topic}:0" for topic in ("orders.events", "approvals.events", "inventory.events", "shipping.events")]


@dataclass
class Bench:
    """A store and the runner at work on it; `restart` is a new process on the same store."""

    store: EventStore = field(default_factory=lambda: EventStore("fulfilment", MemoryRecorder()))
    now: datetime = NOW

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.runner = SagaRunner(SAGA, self.store, timeout=TIMEOUT, clock=lambda: self.now)
        self.runner.offsets(SOURCES)

    def pass_time(self, **delta: float) -> None:
        self.now += timedelta(**delta)
        self.runner.idle()

    @property
    def sent(self) -> list[CommandSent]:
        """All commands that have left, in order."""
        events = self.store.notifications(0, 100_000)
        return [decode(CommandSent, event.data) for event in events if event.type == COMMAND_SENT]

    @property
    def names(self) -> list[str]:
        return [command.command for command in self.sent]

    @property
    def reports(self) -> list[FulfilmentAdvanced]:
        facts: list[Any] = [
            decode(fact_class(event.type), event.data) for event in self.store.notifications(0, 100_000)
        ]
        return [fact for fact in facts if isinstance(fact, FulfilmentAdvanced)]

    def stream(self, order: UUID) -> list[Any]:
        return list(self.store.facts(order))

    def process(self, order: UUID) -> Process:
        found = self.store.load(Process, order)
        assert found is not None
        return found


@pytest.fixture
def bench() -> Bench:
    return Bench()


def lines(order: OrderSubmitted) -> tuple[StockLine, ...]:
    return tuple(StockLine(product_id=line.product_id, quantity=line.quantity) for line in order.sale.lines)


def large_order() -> tuple[OrderSubmitted, list[Incoming]]:
    """Everything that happens to an order with approval, hold, retry, hand-over and delivery."""
    order = submitted(SALES, "9000.00", approval=True, warehouse=True)
    id, case = order.order_id, case_id_of(order.order_id, 1)
    missing = (Shortage(product_id=order.sale.lines[0].product_id, wanted=1, on_hand=0),)
    retried = OrderRetried(order_id=id, round=1, attempt=2, status="APPROVED", by=SALESTREAM)
    dispatched = ShipmentDispatched(order_id=id, round=1, number=order.number, customer=order.customer, lines=())
    facts = [
        order,
        CaseApproved(case_id=case, order_id=id, round=1),
        OrderApproved(order_id=id, round=1),
        StockShort(order_id=id, round=1, attempt=1, missing=missing),
        retried,
        StockDeducted(order_id=id, round=1, lines=lines(order)),
        ShipmentHandedOver(order_id=id, round=1, carrier="SF", tracking_number="1"),
        OrderShipped(order_id=id, round=1, sale=order.sale),
        dispatched,
        ShipmentDelivered(order_id=id, delivered_on=TODAY),
        OrderDelivered(order_id=id, delivered_on=TODAY),
    ]
    return order, [incoming(fact, position) for position, fact in enumerate(facts, start=1)]


COMMANDS = [
    "OpenCase", "ApproveOrder", "DeductStock", "HoldOrder", "DeductStock", "PrepareShipment", "ShipOrder",
    "DispatchShipment", "CompleteDelivery",
]  # fmt: skip


def clean_run(records: list[Incoming]) -> Bench:
    bench = Bench()
    for record in records:
        bench.runner.process([record])
    return bench


def test_an_order_goes_through_step_by_step(bench: Bench) -> None:
    order, records = large_order()
    for record in records:
        bench.runner.process([record])
    assert bench.names == COMMANDS
    assert len({command.command_id for command in bench.sent}) == len(COMMANDS)
    assert {command.key for command in bench.sent[1:]} == {str(order.order_id)}
    assert bench.process(order.order_id).step == ""
    assert (bench.reports[-1].status, bench.reports[-1].waiting_for) == ("DELIVERED", "")
    first = decode(OpenCase, bench.sent[0].body)
    assert (first.order_id, first.route, first.submitter.name) == (order.order_id, order.route, "li")
    attempts = [decode(DeductStock, command.body).attempt for command in bench.sent if command.command == "DeductStock"]
    assert attempts == [1, 2]


def test_all_records_in_one_batch_mean_the_same_as_one_by_one() -> None:
    order, records = large_order()
    batch = Bench()
    batch.runner.process(records)
    assert batch.stream(order.order_id) == clean_run(records).stream(order.order_id)
    assert len(batch.sent) == len(COMMANDS)


def test_repeats_change_nothing(bench: Bench) -> None:
    order, records = large_order()
    offsets = count()
    for number, record in enumerate(records, start=1):
        first = replace(record, offset=next(offsets))
        bench.runner.process([first])
        before = bench.store.last_position()
        bench.runner.process([first])  # read again
        bench.runner.process([replace(each, offset=next(offsets)) for each in records[:number]])  # published again
        assert bench.store.last_position() == before
    assert bench.stream(order.order_id) == clean_run(records).stream(order.order_id)


def test_a_fact_that_its_sender_stored_twice_is_acted_on_once(bench: Bench) -> None:
    order, records = large_order()
    positions = count(1)
    for record in records:
        for _ in range(2):
            position = next(positions)
            bench.runner.process([replace(record, offset=position, position=position)])
    assert bench.names == COMMANDS
    assert bench.process(order.order_id).step == ""


@pytest.mark.parametrize("before", range(len(COMMANDS) + 2))
def test_a_restart_between_any_two_steps_changes_nothing(bench: Bench, before: int) -> None:
    order, records = large_order()
    for number, record in enumerate(records):
        if number == before:
            bench.restart()
        bench.runner.process([record])
    assert bench.stream(order.order_id) == clean_run(records).stream(order.order_id)


class Crash(Exception):
    """The process ends here."""


@pytest.mark.parametrize("stored", [False, True], ids=["before the commit", "after the commit"])
def test_a_crash_around_each_commit_changes_nothing(
    bench: Bench, stored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    order, records = large_order()
    original = bench.store.commit

    def crash(transaction: Transaction) -> list[int]:
        if stored:
            original(transaction)
        raise Crash

    for record in records:
        with monkeypatch.context() as patch:
            patch.setattr(bench.store, "commit", crash)
            with pytest.raises(Crash):
                bench.runner.process([record])
        bench.restart()
        read_on_at = bench.runner.offsets(SOURCES).get(record.source, 0)
        assert (read_on_at == record.offset + 1) is stored
        bench.runner.process([record])
    assert bench.stream(order.order_id) == clean_run(records).stream(order.order_id)
    assert bench.names == COMMANDS


def test_a_failed_commit_is_made_good_by_the_same_process(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store was away for a moment; what was decided in memory must not stay there."""
    order, records = large_order()

    def fail(transaction: Transaction) -> list[int]:
        raise Crash

    for record in records:
        with monkeypatch.context() as patch:
            patch.setattr(bench.store, "commit", fail)
            with pytest.raises(Crash):
                bench.runner.process([record])
        bench.runner.offsets(SOURCES)  # what a consumer does then: read the positions again and go on
        bench.runner.process([record])
    assert bench.stream(order.order_id) == clean_run(records).stream(order.order_id)


def test_a_store_that_fails_in_the_middle_of_a_batch_leaves_nothing_in_memory(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first order's process has moved in memory when the second's can't be read."""
    order, records = large_order()
    other = incoming(submitted(SALES, "10.00"), 100)
    original = bench.store.load

    def load(cls: Any, id: UUID) -> Any:
        if id == other.fact.order_id:
            raise Crash
        return original(cls, id)

    for record in records:
        with monkeypatch.context() as patch:
            patch.setattr(bench.store, "load", load)
            with pytest.raises(Crash):
                bench.runner.process([record, other])
        bench.runner.offsets(SOURCES)
        bench.runner.process([record])
    assert bench.stream(order.order_id) == clean_run(records).stream(order.order_id)


@pytest.mark.parametrize("taking_turns", [False, True], ids=["the same records", "taking turns"])
def test_two_runners_on_one_store_send_each_command_once(bench: Bench, taking_turns: bool) -> None:
    """Also when one takes a record of another source than the rival's last, on a process the rival has moved."""
    order, records = large_order()
    runners = [bench.runner, SagaRunner(SAGA, bench.store, timeout=TIMEOUT, clock=lambda: bench.now)]
    runners[1].offsets(SOURCES)
    fenced = 0
    for number, record in enumerate(records):
        for runner in [runners[number % 2]] if taking_turns else runners:
            try:
                runner.process([record])
            except Fenced:
                fenced += 1
                runner.offsets(SOURCES)
                runner.process([record])
    assert fenced > 0
    assert bench.stream(order.order_id) == clean_run(records).stream(order.order_id)


# -- time limits ------------------------------------------------------------------------------------------------------


def test_a_step_without_an_answer_repeats_its_command_under_the_same_id(bench: Bench) -> None:
    order = submitted(SALES, "100.00")
    bench.runner.process([incoming(order, 1)])
    assert bench.names == ["DeductStock"]
    bench.pass_time(seconds=29)
    assert len(bench.sent) == 1
    bench.pass_time(seconds=2)
    bench.runner.idle()
    assert bench.names == ["DeductStock"] * 2
    assert bench.sent[0] == bench.sent[1]

    bench.runner.process([incoming(StockDeducted(order_id=order.order_id, round=1, lines=lines(order)), 5)])
    assert bench.names == ["DeductStock"] * 2 + ["ShipOrder"]
    bench.pass_time(seconds=31)
    assert bench.names[-2:] == ["ShipOrder"] * 2


def test_time_limits_survive_a_restart(bench: Bench) -> None:
    orders = [submitted(SALES, "100.00") for _ in range(3)]
    for position, order in enumerate(orders, start=1):
        bench.runner.process([incoming(order, position)])
    done = StockDeducted(order_id=orders[0].order_id, round=1, lines=lines(orders[0]))
    bench.runner.process([incoming(done, 9)])
    rows = [decode(WaitingRow, row).process_id for row in bench.store.rows("waiting")]
    assert sorted(rows) == sorted(order.order_id for order in orders)
    bench.restart()
    bench.pass_time(seconds=31)
    assert sorted(bench.names) == ["DeductStock"] * 5 + ["ShipOrder"] * 2
    assert len({command.command_id for command in bench.sent}) == 4


def test_in_the_end_it_asks_for_attention_and_a_late_answer_still_counts(bench: Bench) -> None:
    order = submitted(SALES, "100.00")
    bench.runner.process([incoming(order, 1)])
    for _ in range(MAX_RESENDS + 5):
        bench.pass_time(seconds=31)
        bench.restart()
    assert bench.names == ["DeductStock"] * (MAX_RESENDS + 1)
    assert len({command.command_id for command in bench.sent}) == 1
    last = bench.reports[-1]
    assert [(change.step, change.status) for change in last.changes] == [("deduct stock", "NEEDS_ATTENTION")]
    assert (last.status, last.waiting_for) == ("WAITING", "deduct stock")
    assert [each for each in bench.reports if each.changes[-1].status == "NEEDS_ATTENTION"] == [last]
    assert bench.store.rows("waiting") == []

    bench.runner.process([incoming(StockDeducted(order_id=order.order_id, round=1, lines=lines(order)), 7)])
    assert bench.names[-1] == "ShipOrder"
    assert bench.reports[-1].status == "RUNNING"


def test_steps_of_people_have_no_time_limit(bench: Bench) -> None:
    order, records = large_order()
    waits = {1: "approval", 4: "deduct stock", 6: "hand over", 9: "delivery"}
    for number, record in enumerate(records, start=1):
        bench.runner.process([record])
        if number in waits:
            before = bench.store.last_position()
            bench.pass_time(days=30)
            assert bench.store.last_position() == before
            assert bench.process(order.order_id).step == waits[number]


# -- called off ---------------------------------------------------------------------------------------------------


def test_a_cancelled_order_gives_back_what_it_took_once(bench: Bench) -> None:
    order = submitted(SALES, "100.00")
    deducted = StockDeducted(order_id=order.order_id, round=1, lines=lines(order))
    cancelled = OrderCancelled(order_id=order.order_id, round=1, was="SUBMITTED", reason="x", sale=order.sale)
    for record in (incoming(order, 1), incoming(deducted, 2), incoming(cancelled, 3)):
        bench.runner.process([record])
    bench.restart()
    bench.runner.process([incoming(cancelled, 4), incoming(deducted, 5)])
    assert bench.names == ["DeductStock", "ShipOrder", "ReturnStock"]
    assert decode(ReturnStock, bench.sent[-1].body) == ReturnStock(order_id=order.order_id, round=1)
    assert bench.reports[-1].status == "STOPPED"
    bench.pass_time(hours=1)
    assert len(bench.sent) == 3


def test_a_rejected_case_rejects_the_order_and_a_new_round_starts_over(bench: Bench) -> None:
    order = submitted(SALES, "9000.00", approval=True)
    by = Person(user_id=FINANCE.user_id, name=FINANCE.name)
    case = CaseRejected(
        case_id=case_id_of(order.order_id, 1), order_id=order.order_id, round=1, node="FINANCE", reason="no", by=by
    )
    rejected = OrderRejected(order_id=order.order_id, round=1, reason="no", sale=order.sale, by=by)
    again = replace(order, round=2, route=(), status="SUBMITTED")
    for position, fact in enumerate((order, case, rejected, again, rejected, case), start=1):
        bench.runner.process([incoming(fact, position)])
    assert bench.names == ["OpenCase", "RejectOrder", "CloseCase", "DeductStock"]
    assert decode(RejectOrder, bench.sent[1].body).rejected_by == by
    assert decode(DeductStock, bench.sent[3].body).round == 2


def test_stock_that_is_short_holds_the_order_with_what_is_missing(bench: Bench) -> None:
    _, records = large_order()
    for record in records[:4]:
        bench.runner.process([record])
    short = records[3].fact
    hold = decode(HoldOrder, bench.sent[-1].body)
    assert (hold.attempt, hold.missing) == (1, short.missing)
    assert bench.reports[-1].changes[0].status == "FAILED"


# -- what it can't deal with --------------------------------------------------------------------------------------


def test_a_fact_its_reaction_fails_on_is_poison_and_leaves_nothing() -> None:
    def breaks(order: OrderSubmitted, turn: Any) -> Any:
        raise ZeroDivisionError("a bug")

    steps = tuple(replace(step, send=breaks) if step.name == "deduct stock" else step for step in SAGA.steps)
    store = EventStore("fulfilment", MemoryRecorder())
    runner = SagaRunner(replace(SAGA, steps=steps), store, timeout=TIMEOUT, clock=lambda: NOW)
    runner.offsets(SOURCES)
    good, bad = submitted(SALES, "9000.00", approval=True), submitted(SALES, "100.00")
    with pytest.raises(PoisonRecord, match="ZeroDivisionError"):
        runner.process([incoming(good, 1), incoming(bad, 2)])
    assert store.last_position() == 0
    runner.process([incoming(good, 1)])
    with pytest.raises(PoisonRecord):
        runner.process([incoming(bad, 2)])
    assert store.load(Process, bad.order_id) is None
    assert [event.type for event in store.notifications(0, 9)].count(COMMAND_SENT) == 1


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Config]:
    yield Config(data_dir=str(tmp_path))


def test_it_goes_on_from_a_store_on_disk(folder: Config) -> None:
    """The same with SQLite, closed and opened between any two records."""
    order, records = large_order()
    for record in records:
        store = open_store("fulfilment", folder)
        try:
            Bench(store).runner.process([record])
        finally:
            store.close()
    store = open_store("fulfilment", folder)
    try:
        assert list(store.facts(order.order_id)) == clean_run(records).stream(order.order_id)
    finally:
        store.close()
