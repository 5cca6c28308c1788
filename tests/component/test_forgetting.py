"""Results of commands are remembered for some days, then forgotten: over SQLite, PostgreSQL and memory (ADR 0032)."""

from __future__ import annotations

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import psycopg
import pytest
from eventsourcing.persistence import OperationalError

from chassis.access.company import CompanySettings
from chassis.foundation.config import Config
from chassis.messaging.inbox import Inbox
from chassis.messaging.records import Incoming
from chassis.store.event_store import EventStore
from chassis.store.opening import open_store
from chassis.store.transaction import CommandResult, Transaction
from chassis.writer.forgetting import DAY, DAY_SECONDS, LOOKED_AT, PAUSE_SECONDS, REST_SECONDS, Forgetting
from chassis.writer.writer import Writer
from component.support import until
from component.test_event_store import NOW, TODAY, Bench, bench_of, bench_on, deduct, do, names, new_product
from contracts.declare import REGISTRY
from contracts.errors import Refused
from contracts.inventory import DeductStock, ReceiveStock
from contracts.schemas import encode
from services.inventory.application import SERVICE

A_DAY = 86_400.0


bench, durable = bench_on("sqlite", "postgres", "memory"), bench_on("sqlite", "postgres")


@dataclass
class Clock:
    """The date that the machine tells, and the seconds that it counts: nobody sets those."""

    today: date = TODAY
    ticks: float = 0.0

    def process(self, store: EventStore, days: int) -> Forgetting:
        return Forgetting(store, days, today=lambda: self.today, ticks=lambda: self.ticks)

    def pass_days(self, number: int, *running: Forgetting) -> None:
        for _ in range(number):
            self.today += timedelta(days=1)
            self.ticks += A_DAY
            for each in running:
                self.let_turn(each)

    def let_turn(self, forgetting: Forgetting) -> None:
        """Until it rests."""
        forgetting.turn()
        while forgetting.pause() < 1:
            self.ticks += 2 * PAUSE_SECONDS
            forgetting.turn()


def remember(store: EventStore, day: int, number: int = 1) -> list[str]:
    results = [CommandResult(str(uuid4()), "print", b"{}", day) for _ in range(number)]
    store.commit(Transaction(results=results))
    return [result.command_id for result in results]


def test_a_result_is_remembered_for_so_many_days_and_forgotten_on_the_next(bench: Bench) -> None:
    store, clock = bench.open(), Clock()
    forgetting = clock.process(store, 3)
    clock.let_turn(forgetting)
    first, second = *remember(store, forgetting.day), *remember(store, forgetting.day)
    clock.pass_days(1, forgetting)
    third = remember(store, forgetting.day)[0]
    for _ in range(2):
        clock.pass_days(1, forgetting)
        assert store.results([first, second, third]).keys() == {first, second, third}
    clock.pass_days(1, forgetting)
    assert store.results([first, second, third]).keys() == {third}
    clock.pass_days(1, forgetting)
    assert not store.results([first, second, third])


def test_a_few_are_looked_at_at_once_and_those_between_stay(bench: Bench) -> None:
    store, clock = bench.open(), Clock()
    forgetting = clock.process(store, 1)
    old, young = remember(store, 0, 3 * LOOKED_AT), set(remember(store, 2, 3 * LOOKED_AT))
    store.set_position(DAY, 2)
    left = [len(store.results(old))]
    while True:
        forgetting.turn()
        left.append(len(store.results(old)))
        if forgetting.pause() > 1:
            break
        assert forgetting.pause() > 0
        clock.ticks += 2 * PAUSE_SECONDS
    assert left[-1] == 0
    assert all(0 <= before - after <= LOOKED_AT for before, after in pairwise(left))
    assert len(left) >= 7
    assert {result.command_id for result in store.results_after("", 10_000)} == young


def test_a_day_that_is_none_keeps_its_result_and_no_other(tmp_path: Path) -> None:
    """SQLite takes any value for a number, from a disk or by hand."""
    store, clock = open_store("inventory", Config(event_store="sqlite", data_dir=str(tmp_path))), Clock()
    forgetting = clock.process(store, 1)
    clock.let_turn(forgetting)
    damaged, *others = sorted(remember(store, forgetting.day, 3))
    with sqlite3.connect(tmp_path / "inventory.sqlite") as database:
        database.execute("UPDATE command_results SET day='x' WHERE command_id=?", [damaged])
    database.close()
    clock.pass_days(3, forgetting)
    assert store.results([damaged, *others]).keys() == {damaged}
    store.close()


def test_who_is_stopped_in_the_midst_of_it_begins_anew_and_who_is_done_rests(bench: Bench) -> None:
    store, clock = bench.open(), Clock()
    old = remember(store, 0, 2 * LOOKED_AT)
    store.set_position(DAY, 2)
    clock.process(store, 1).turn()
    assert 0 < len(store.results(old)) < len(old)
    clock.let_turn(clock.process(store, 1))
    assert not store.results(old)

    late = remember(store, 0)  # nobody remembers for a day that has passed: it is not looked for again
    clock.let_turn(clock.process(store, 1))
    assert store.results(late)


def test_a_clock_that_jumps_makes_results_a_day_older_and_no_more(bench: Bench) -> None:
    store, clock = bench.open(), Clock()
    running = clock.process(store, 3)
    clock.let_turn(running)
    young = remember(store, running.day)
    right = clock.today
    for years in (4, 90, 11, 400):
        clock.today = right + timedelta(days=365 * years)
        for _ in range(5):
            clock.ticks += REST_SECONDS
            clock.let_turn(running)
        clock.today = right
        clock.ticks += REST_SECONDS
        clock.let_turn(running)
    assert (running.day, len(store.results(young))) == (1, 1)

    clock.today = right + timedelta(days=9_000)
    for _ in range(5):  # it starts again and again under the wrong date
        clock.let_turn(clock.process(store, 3))
    assert store.position(DAY) == 2
    clock.today = right - timedelta(days=9_000)
    for _ in range(5):
        clock.let_turn(clock.process(store, 3))
    assert (store.position(DAY), len(store.results(young))) == (2, 1)


def test_days_of_a_clock_that_was_set_back_are_counted_from_there(bench: Bench) -> None:
    store, clock = bench.open(), Clock(today=date(2099, 1, 1))
    running = clock.process(store, 3)
    clock.let_turn(running)
    old = remember(store, running.day)
    clock.today = date(2026, 3, 2)
    clock.ticks += DAY_SECONDS
    clock.let_turn(running)
    clock.pass_days(4, running)
    assert not store.results(old)


def test_processes_of_a_service_count_each_day_once(durable: Bench) -> None:
    clock = Clock()
    both = [clock.process(durable.open(), 3) for _ in range(2)]
    for each in both:
        clock.let_turn(each)
    clock.pass_days(3, *both)
    assert [each.day for each in both] == [3, 3]
    assert durable.open().position(DAY) == 3


def test_a_store_that_is_away_is_tried_again(bench: Bench) -> None:
    store, clock = bench.open(), Clock()
    old = remember(store, 0)
    store.set_position(DAY, 9)

    def away(*_: object) -> None:
        raise OperationalError("away")

    breaks, kept = clock.process(store, 1), store.forget_results
    store.forget_results = away  # type: ignore[method-assign, assignment]
    breaks.turn()
    assert breaks.pause() == REST_SECONDS and store.results(old)
    store.forget_results = kept  # type: ignore[method-assign]
    clock.ticks += REST_SECONDS
    clock.let_turn(breaks)
    assert not store.results(old)


@pytest.mark.parametrize("number", [0, 3])
def test_results_of_a_former_release_count_from_the_first_start(durable: Bench, number: int) -> None:
    """Its table has no days.  Nothing is written for them."""
    command, writer = new_product(5), Writer(SERVICE, durable.open())
    product = UUID(do(writer, command, key="k").body["id"])
    receive = ReceiveStock(product_id=product, quantity=1, reason="r")
    for at in range(number):
        do(writer, receive, key=f"k{at}")
    durable.close()
    if durable.kind == "sqlite":
        with sqlite3.connect(Path(durable.config.data_dir) / "inventory.sqlite") as file:
            file.execute("ALTER TABLE command_results DROP COLUMN day")
            file.execute("PRAGMA user_version = 1")
    else:
        with psycopg.connect(durable.config.postgres_url, autocommit=True) as connection:
            connection.execute("ALTER TABLE inventory.command_results DROP COLUMN day")
            connection.execute("COMMENT ON TABLE inventory.inventory_events IS 'salestream former'")
    durable.opened.clear()

    store, clock = durable.open(), Clock(today=date(2030, 1, 1))
    durable.open()  # another process, or the next start
    assert [result.day for result in store.results_after("", 10)] == [0] * (number + 1)
    assert do(Writer(SERVICE, store), command, key="k").body["id"] == str(product)
    forgetting = clock.process(store, 30)
    clock.let_turn(forgetting)
    clock.pass_days(30, forgetting)
    assert len(store.results_after("", 10)) == number + 1
    clock.pass_days(1, forgetting)
    assert not store.results_after("", 10)


def test_the_writer_forgets_while_it_waits_and_between_commands(bench: Bench) -> None:
    store = bench.open()
    old = remember(store, 0, 3 * LOOKED_AT)
    store.set_position(DAY, 31)
    young = remember(store, 31)
    writer = Writer(SERVICE, bench.open(), results_days=30)
    writer.start()
    try:
        until(lambda: not store.results(old))
        assert store.results(young)
    finally:
        writer.stop()


def test_a_key_that_was_forgotten_creates_nothing_twice_and_does_the_rest_again(bench: Bench) -> None:
    """What the documents say of an Idempotency-Key."""
    store, clock = bench.open(), Clock()
    writer = Writer(SERVICE, store, results_days=1)
    create = new_product(5)
    product = UUID(do(writer, create, key="k1").body["id"])
    receive = ReceiveStock(product_id=product, quantity=2, reason="more")
    assert do(writer, receive, key="k2").body["on_hand"] == 7
    assert do(writer, receive, key="k2").body["on_hand"] == 7
    forgetting = clock.process(store, 1)
    clock.let_turn(forgetting)
    clock.pass_days(2, forgetting)

    events = store.last_position()
    with pytest.raises(Refused) as refusal:
        do(Writer(SERVICE, store), replace(create, product_id=product), key="k1")
    assert (refusal.value.code, store.last_position()) == ("DUPLICATE", events)
    assert do(writer, receive, key="k2").body["on_hand"] == 9


def test_commands_from_kafka_that_come_again_when_their_results_are_forgotten_do_nothing(bench: Bench) -> None:
    """Published again, sent again by the saga, brought back from the dead letters twice: nothing is taken twice, and
    nothing is set aside."""
    store = bench.open()
    writer = Writer(SERVICE, store)
    product = UUID(do(writer, new_product(5)).body["id"])
    source = "inventory.commands:0"
    take = deduct(product)

    def record(offset: int, position: int, **more: Any) -> Incoming:
        return Incoming(
            source=source, topic="inventory.commands", offset=offset, key=str(take.order_id),
            type=REGISTRY.command_of(DeductStock).name, id="the same", position=position, at=NOW, value=encode(take),
            headers={}, raw_headers=(), fact=take, **more,
        )  # fmt: skip

    def letter(offset: int, place: int) -> Incoming:
        about = {"dlq-resolves": "0", "dlq-topic": "inventory.commands", "dlq-partition": "0", "dlq-place": str(place)}
        topic = "inventory.dlq"
        return replace(record(offset, place), source=f"{topic}:0", topic=topic, headers=about)

    def taken(*records: Incoming) -> int:
        inbox = Inbox(writer, CompanySettings(ZoneInfo("UTC")))
        inbox.offsets([source, "inventory.dlq:0"])
        futures = ThreadPoolExecutor(1).submit(inbox.process, records)
        while not futures.done():
            writer.execute([writer._queue.popleft() for _ in range(len(writer._queue))])
        futures.result()
        store.forget_results("", 100, 1)
        assert not store.results_after("", 1)
        return names(store)["stock-deducted"]

    assert taken(record(0, 7)) == 1
    after = store.last_position()
    assert taken(record(1, 7)) == 1, "published again: its position is known"
    assert taken(record(2, 9)) == 1, "sent again by the saga: the round is known"
    assert taken(record(3, 11, fate="waits"), record(4, 12, fate="waits")) == 1
    assert taken(letter(0, 11)) == 1
    assert taken(letter(1, 12)) == 1
    assert taken(letter(2, 12)) == 1
    assert store.last_position() == after


def test_forgetting_many_holds_up_no_command(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """One turn takes a moment, whatever there is to forget (measured: ADR 0032)."""
    bench = bench_of("sqlite", tmp_path, request)
    store, clock = bench.open(), Clock()
    for _ in range(10):
        remember(store, 0, 2_000)
    store.set_position(DAY, 2)
    forgetting, took = clock.process(store, 1), []
    while store.results_after("", 1):
        began = time.monotonic()
        forgetting.turn()
        took.append(time.monotonic() - began)
        clock.ticks += 2 * PAUSE_SECONDS
    bench.close()
    assert len(took) == 20_000 // LOOKED_AT
    assert sorted(took)[len(took) // 2] < 0.05
