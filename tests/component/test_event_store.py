"""The event store and its writer: one suite over SQLite, PostgreSQL and memory."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest
from eventsourcing.persistence import OperationalError

from chassis.audit import chain as chain_module
from chassis.audit.chain import check_chain, records_of
from chassis.foundation.compression import EDITION
from chassis.foundation.config import Config, ConfigError
from chassis.foundation.connections import NETWORK
from chassis.foundation.health import STANDS_SECONDS
from chassis.foundation.transient import is_transient
from chassis.model.aggregates import Aggregate
from chassis.model.principal import SYSTEM
from chassis.model.service import Work
from chassis.store import events as events_module
from chassis.store import postgres as postgres_module
from chassis.store.event_store import KEYS_AT_ONCE, Conflict, EventStore
from chassis.store.events import Metadata, Notification, Recorded, recorded
from chassis.store.memory import MemoryRecorder
from chassis.store.opening import open_store
from chassis.store.postgres import COMMIT_SECONDS, CONNECT_SECONDS, LIMITS_TRANSACTIONS
from chassis.store.transaction import CommandResult, ReplicaRow, Transaction
from chassis.testing.people import WAREHOUSE
from chassis.verify.commands import Claims, check_results
from chassis.writer import request as request_module
from chassis.writer.request import Answer, Request
from chassis.writer.writer import ATTEMPTS, POSITION_TRIES, Writer
from component.support import REPOSITORY_ROOT, eventually, until
from contracts.errors import Refused
from contracts.inventory import (
    AddProduct,
    AdjustStock,
    Attributes,
    DeductStock,
    EditProduct,
    Prices,
    ProductAdded,
    ReceiveStock,
    StockDeducted,
    StockLine,
    StockShort,
)
from contracts.orders import OrderCreated, OrderLine
from contracts.people import SALESTREAM
from contracts.sales import CustomerSnapshot
from contracts.schemas import decode, encode
from contracts.types import Money
from deploy.devstack import Stack
from services.inventory.application import OPEN_ORDERS, SERVICE
from services.inventory.domain import Product, StockItem, stock_id

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
TODAY = date(2026, 3, 2)
META = msgspec.json.encode(Metadata(at=NOW, command_id="c", correlation_id="c"))


@dataclass
class Bench:
    """A store that can be opened several times, as several processes would."""

    kind: str
    config: Config
    opened: list[EventStore] = field(default_factory=list)

    def open(self) -> EventStore:
        """One more connection to the same store; memory has but one."""
        if self.kind == "memory" and self.opened:
            return self.opened[0]
        store = open_store("inventory", self.config)
        self.opened.append(store)
        return store

    def close(self) -> None:
        for store in self.opened:
            store.close()


def bench_of(kind: str, folder: Path, request: pytest.FixtureRequest) -> Bench:
    config = Config(event_store=kind, data_dir=str(folder))  # type: ignore[arg-type]
    if kind == "postgres":
        url = request.getfixturevalue("postgres_url")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA IF EXISTS inventory CASCADE")
        config = replace(config, postgres_url=url)
    return Bench(kind, config)


def bench_on(*kinds: str) -> Callable[..., Iterator[Bench]]:
    """A fixture: an empty store of each of these kinds.  What two processes share is not in memory."""

    @pytest.fixture(params=kinds)
    def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
        bench = bench_of(request.param, tmp_path, request)
        yield bench
        bench.close()

    return bench


bench = bench_on("sqlite", "postgres", "memory")
durable = bench_on("sqlite", "postgres")
on_postgres = bench_on("postgres")


@pytest.fixture
def store(bench: Bench) -> EventStore:
    return bench.open()


# -- the store alone --------------------------------------------------------------------------------------------------


def added(id: UUID, version: int = 1, name: str = "iPhone 15 Pro 手机") -> Recorded:
    fact = ProductAdded(
        product_id=id,
        attributes=Attributes(name=name, model="A1", brand="Apple"),
        prices=PRICES,
        alert_quantity=3,
    )
    return recorded(id, version, fact, META)


def test_a_store_opened_again_here_keeps_what_it_holds_when_another_process_closes_it(tmp_path: Path) -> None:
    config = Config(data_dir=str(tmp_path))
    first = open_store("inventory", config)
    first.commit(Transaction(events=[added(uuid4())]))
    again = open_store("inventory", config)
    assert again.last_position() == 1
    again.close()
    script = (
        "from chassis.foundation.config import Config; from chassis.store.opening import open_store; import sys\n"
        "store = open_store('inventory', Config(data_dir=sys.argv[1])); store.last_position(); store.close()"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, cwd=REPOSITORY_ROOT, timeout=120)
    assert (tmp_path / "inventory.sqlite-wal").exists(), "it was taken away from those who have the store open"
    first.commit(Transaction(events=[added(uuid4())]))
    assert open_store("inventory", config).last_position() == 2
    first.close()


_meeting: Any = None


def _meet_at(barrier: Any) -> None:
    global _meeting  # noqa: PLW0603 - a process of the pool is told it as it begins, and can't be later
    _meeting = barrier


def _open_together(config: Config) -> int:
    _meeting.wait(timeout=60)  # all at the same moment
    store = open_store("inventory", config)
    store.close()
    return 0


def test_processes_that_open_a_store_that_is_not_there_yet_at_once_make_it_together(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(4, context, _meet_at, (context.Barrier(4),)) as pool:
        for number in range(10):
            config = Config(event_store="sqlite", data_dir=str(tmp_path / str(number)))
            assert [one.result() for one in [pool.submit(_open_together, config) for _ in range(4)]] == [0] * 4


def test_a_stored_event_rings_the_bell_of_another_process(durable: Bench) -> None:
    wait = durable.open().bell.listen()
    wait(0)  # PostgreSQL's connection is made by the first
    waiting = threading.Thread(target=wait, args=(600.0,), daemon=True)
    waiting.start()
    durable.open().commit(Transaction(events=[added(uuid4())]))
    waiting.join(timeout=30)
    assert not waiting.is_alive()


def yuan(amount: str) -> Money:
    return Money(amount=Decimal(amount), currency="CNY")


PRICES = Prices(purchase=yuan("1.00"), sale=yuan("2.50"))


def state_of(store: EventStore) -> tuple[Any, ...]:
    """All that a refused commit must leave as it is."""
    return (
        [(n.position, n.aggregate_id, n.version, n.data) for n in store.notifications(0, 1_000)],
        store.results(["r1", "r2"]),
        store.row("names", "a"),
        store.row("names", "b"),
        store.position("offset:x"),
        store.position("offset:y"),
    )


def test_what_is_committed_is_loaded_and_told_in_order(bench: Bench) -> None:
    store, one, other = bench.open(), uuid4(), uuid4()
    positions = store.commit(Transaction(events=[added(one), added(other), added(one, 2, "Second name")]))
    assert positions == [1, 2, 3]

    for reader in (store, bench.open()):
        product = reader.load(Product, one)
        assert product is not None
        assert (product.id, product.version, product.data.name) == (one, 2, "Second name")
        told = reader.notifications(0, 10)
        assert [(n.position, n.aggregate_id, n.version) for n in told] == [(1, one, 1), (2, other, 1), (3, one, 2)]
        assert told[0].type == "salestream.inventory.product-added.v1"
        assert (told[0].key, told[0].data) == (str(one), added(one).data)  # the contract's very bytes
        assert told[0].meta == decode(Metadata, META)
        assert [n.position for n in reader.notifications(1, 1)] == [2]
        assert reader.last_position() == 3
        assert reader.position_of(one, 2) == 3
        assert reader.position_of(one, 3) is None
        assert reader.meta_at(one, 1) == told[0].meta
        assert reader.meta_at(one, 3) is None


def test_an_unknown_stream_is_none_and_one_of_another_kind_too(store: EventStore) -> None:
    id = uuid4()
    store.commit(Transaction(events=[added(id)]))
    assert store.load(Product, uuid4()) is None
    assert store.load(StockItem, id) is None
    assert store.last_position() == 1


def full(id: UUID) -> Transaction:
    return Transaction(
        events=[added(id)],
        results=[CommandResult("r1", "f1", b"reply")],
        rows=[ReplicaRow("names", "a", b"1"), ReplicaRow("names", "b", b"2")],
        positions={"offset:x": 7, "offset:y": 9},
    )


def test_everything_of_a_commit_is_there_afterwards(bench: Bench) -> None:
    bench.open().commit(full(uuid4()))
    store = bench.open()
    assert store.results(["r1", "r2"]) == {"r1": CommandResult("r1", "f1", b"reply")}
    assert (store.row("names", "a"), store.row("names", "b"), store.row("other", "a")) == (b"1", b"2", None)
    assert (store.position("offset:x"), store.position("offset:y"), store.position("none")) == (7, 9, None)
    assert sorted(store.rows("names")) == [b"1", b"2"]

    store.commit(Transaction(rows=[ReplicaRow("names", "a", b"new"), ReplicaRow("names", "b", None)]))
    assert (store.row("names", "a"), store.row("names", "b")) == (b"new", None)

    store.commit(Transaction(rows=[ReplicaRow("names", "c", b"3"), ReplicaRow("other", "a", b"4")]))
    store.commit(Transaction(emptied=["names", "none"], rows=[ReplicaRow("names", "c", b"5")]))
    assert (store.rows("names"), store.row("names", "c"), store.rows("other")) == ([b"5"], b"5", [b"4"])

    store.commit(
        Transaction(emptied=["names"], renamed={"other": "names", "none": "no"}, rows=[ReplicaRow("names", "d", b"6")])
    )
    assert (sorted(store.rows("names")), store.rows("other"), store.rows("no")) == ([b"4", b"6"], [], [])
    assert store.rows_at("names", [*map(str, range(KEYS_AT_ONCE)), "a", "d", "e"]) == {"a": b"4", "d": b"6"}


def conflicts(store: EventStore, id: UUID) -> dict[str, Transaction]:
    """Commits that must fail as a whole, each for one reason, with news of every sort."""
    news = Transaction(
        events=[added(uuid4())],
        results=[CommandResult("r2", "f2", b"other")],
        emptied=["names"],
        renamed={"names": "other", "other": "names"},
        rows=[ReplicaRow("names", "a", None), ReplicaRow("names", "b", b"3")],
        positions={"offset:x": 8, "offset:y": 10},
    )
    return {
        "a version that exists": replace(news, events=[*news.events, added(id)]),
        "one version twice": replace(news, events=[*news.events, *news.events]),
        "a result that exists": replace(news, results=[*news.results, CommandResult("r1", "f9", b"x")]),
        "a position not above the stored": replace(news, positions={"offset:y": 10, "offset:x": 7}),
    }


REASONS = ("a version that exists", "one version twice", "a result that exists", "a position not above the stored")


@pytest.mark.parametrize("reason", REASONS)
def test_a_conflict_leaves_nothing(bench: Bench, reason: str) -> None:
    store, id = bench.open(), uuid4()
    store.commit(full(id))
    before = state_of(store)
    with pytest.raises(Conflict):
        store.commit(conflicts(store, id)[reason])
    assert state_of(store) == before
    assert state_of(bench.open()) == before
    assert store.commit(Transaction(events=[added(uuid4())]))[0] > 1  # and it still takes others


def test_what_a_group_knows_of_a_source_goes_back_beside_its_revision(bench: Bench) -> None:
    """As when the newest position was forged.  Without a revision that grows nothing is stored."""
    store = bench.open()
    names = [f"{what}:inventory.events:0" for what in ("position", "floor", "floored", "beginning")]
    store.commit(Transaction(positions={"revision:orders": 1, **dict.fromkeys(names, 10**9)}))
    with pytest.raises(Conflict):
        store.commit(Transaction(positions={**dict.fromkeys(names, 3), "revision:orders": 1}))
    assert [bench.open().position(name) for name in names] == [10**9] * 4
    store.commit(Transaction(positions={"revision:orders": 2, **dict.fromkeys(names, 4)}))
    assert [bench.open().position(name) for name in names] == [4] * 4


def test_a_position_alone_can_go_back(bench: Bench) -> None:
    store = bench.open()
    store.set_position("relay", 10)
    store.set_position("relay", 4)
    assert bench.open().position("relay") == 4


def test_a_position_is_saved_only_while_another_is_what_is_expected(bench: Bench) -> None:
    store = bench.open()
    assert store.set_position_while("relay", 3, "made-anew", 0), "one that was never saved is 0"
    bench.open().set_position("made-anew", 1)
    assert not store.set_position_while("relay", 5, "made-anew", 0)
    assert store.position("relay") == 3
    assert store.set_position_while("relay", 5, "made-anew", 1)
    assert (bench.open().position("relay"), store.position("made-anew")) == (5, 1)


def test_who_saves_a_position_and_who_changes_what_it_depends_on_wait_for_each_other(on_postgres: Bench) -> None:
    """Also where that was never saved: whoever reads the position after the change sees what was saved before it."""
    store, other = on_postgres.open(), on_postgres.open()
    with psycopg.connect(on_postgres.config.postgres_url) as counting, ThreadPoolExecutor(1) as pool:
        counting.execute("INSERT INTO inventory.inventory_tracking VALUES ('made-anew', 1)")
        saved = pool.submit(store.set_position_while, "relay", 5, "made-anew", 0)
        with psycopg.connect(on_postgres.config.postgres_url, autocommit=True) as looks:
            until(lambda: looks.execute("SELECT FROM pg_locks WHERE NOT granted").fetchone() is not None)
        assert not saved.done()
        counting.commit()
        assert saved.result(10) is False
    assert other.position("relay") is None


def test_a_record_too_large_for_kafka_is_refused_before_it_is_stored(store: EventStore) -> None:
    with pytest.raises(Refused) as refusal:
        added(uuid4(), name="x" * 1_000_000)
    assert refusal.value.code == "TOO_LARGE"
    assert store.last_position() == 0


# -- two writers and a tailing reader ---------------------------------------------------------------------------------

COMMITS = 150

OTHER_PROCESS = """
import sys
from uuid import UUID
from chassis.foundation.config import Config
from chassis.store.events import recorded
from chassis.store.opening import open_store
from chassis.store.transaction import Transaction
from component.test_event_store import added, COMMITS
from uuid import uuid4
store = open_store("inventory", Config(event_store=sys.argv[1], data_dir=sys.argv[2], postgres_url=sys.argv[3]))
print("ready", flush=True)
sys.stdin.readline()
for _ in range(COMMITS):
    store.commit(Transaction(events=[added(uuid4()), added(uuid4()), added(uuid4())]))
store.close()
"""


def other_process(config: Config) -> subprocess.Popen[str]:
    """A process of its own that commits to the store, three events at a time, once it is told to."""
    return python(OTHER_PROCESS, config)


def python(code: str, config: Config, *more: str) -> subprocess.Popen[str]:
    """A process of its own that runs some code, which is told where the store is."""
    tests = str(REPOSITORY_ROOT / "tests")
    paths = f"import sys; sys.path[:0] = [{str(REPOSITORY_ROOT)!r}, {tests!r}]\n"
    return subprocess.Popen(
        [sys.executable, "-c", paths + code, config.event_store, config.data_dir, config.postgres_url, *more],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_tailing_reader_misses_nothing_of_two_processes(durable: Bench) -> None:
    """The relay's life: it reads on from the last position it saw, while others commit."""
    writer, reader = durable.open(), durable.open()
    other = other_process(durable.config)
    assert other.stdin and other.stdout
    assert other.stdout.readline() == "ready\n"
    seen: list[Notification] = []
    done = threading.Event()

    def tail() -> None:
        while True:
            last_round = done.is_set()
            found = reader.notifications(seen[-1].position if seen else 0, 50)
            seen.extend(found)
            if last_round and not found:
                return

    with ThreadPoolExecutor(1) as pool:
        tailing = pool.submit(tail)
        try:
            other.stdin.write("go\n")
            other.stdin.flush()
            for _ in range(COMMITS):
                writer.commit(Transaction(events=[added(uuid4()), added(uuid4())]))
            assert other.wait(timeout=120) == 0
        finally:
            other.kill()
            other.wait()
            done.set()
        tailing.result(timeout=60)

    positions = [event.position for event in seen]
    assert positions == list(range(1, COMMITS * 5 + 1))
    assert len({event.aggregate_id for event in seen}) == COMMITS * 5


# -- the writer -------------------------------------------------------------------------------------------------------


def request(command: Any, *, key: str | None = None, version: int | None = None, by: Any = WAREHOUSE) -> Request:
    return Request(
        command=command,
        context=by.context(NOW, TODAY),
        command_id=key or str(uuid4()),
        remember=key is not None,
        expected_version=version,
    )


def do(writer: Writer, command: Any, **more: Any) -> Answer:
    """Carry out one command."""
    asked = request(command, **more)
    writer.execute([asked])
    return asked.future.result(timeout=0)


def outcome(future: Future[Answer]) -> str:
    error = future.exception(timeout=60)
    return "ok" if error is None else getattr(error, "code", repr(error))


def new_product(opening: int = 0, **more: Any) -> Any:
    told = {"name": f"Phone {uuid4()}", "model": "A1", "brand": "Apple", "prices": PRICES, **more}
    return AddProduct(opening_stock=opening, **told)


def deduct(product: UUID, quantity: int = 1) -> DeductStock:
    lines = (StockLine(product_id=product, quantity=quantity),)
    return DeductStock(order_id=uuid4(), round=1, attempt=1, lines=lines)


def names(store: EventStore) -> Counter[str]:
    """How many events of each type are stored."""
    return Counter(event.type.rpartition(".")[0].rpartition(".")[2] for event in store.notifications(0, 100_000))


def test_a_repeat_after_a_restart_gets_the_first_answer_and_stores_nothing(bench: Bench) -> None:
    command = new_product(5)
    first = do(Writer(SERVICE, bench.open()), command, key="k1")
    restarted, before = Writer(SERVICE, bench.open()), bench.open().last_position()

    again = do(restarted, command, key="k1")

    assert again == first
    assert again.positions and all(again.positions)
    with pytest.raises(Refused) as refusal:
        do(restarted, replace(command, opening_stock=6), key="k1")
    assert (refusal.value.code, refusal.value.field) == ("KEY_REUSED", "Idempotency-Key")
    assert bench.open().last_position() == before


def test_what_a_former_release_stored_unpacked_is_read_and_gone_on_with(
    durable: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events, remembered results and audit records."""
    command = new_product(5)
    for module in (events_module, chain_module, request_module):
        monkeypatch.setattr(module, "packed", bytes)
    first = do(Writer(SERVICE, durable.open()), command, key="k1")
    monkeypatch.undo()
    old = durable.open().recorder.select_notifications(1, 10)
    assert old and all(event.state.startswith(b"{") for event in old)

    store = durable.open()
    writer = Writer(SERVICE, store)
    assert do(writer, command, key="k1") == first
    product = UUID(first.body["id"])
    assert do(writer, ReceiveStock(product_id=product, quantity=2, reason="more"), key="k2").body["on_hand"] == 7

    assert [event.version for event in store.notifications(0, 100) if event.aggregate_id == product]
    new = store.recorder.select_notifications(old[-1].id + 1, 10)
    assert new and all(event.state.startswith(EDITION) for event in new)
    chain = check_chain(store)
    assert chain.is_whole and chain.entries == len([e for r in records_of(store) for e in r.entries()]) > 0
    assert do(Writer(SERVICE, durable.open()), command, key="k1") == first


def damaged_replies(reply: bytes) -> dict[str, Any]:
    """What a disk, or somebody by hand, may make of a remembered answer."""
    return {
        "cut": reply[: len(reply) // 2],
        "changed": reply[:-6] + bytes(octet ^ 0xFF for octet in reply[-6:]),
        "no UTF-8": b"\xfe\xff",
        "no JSON": b"{",
        "of another kind": b"[1]",
        "of another shape": b'{"service":"inventory","body":{}}',
        "so deep that nobody reads it": b'{"body":' + b"[" * 100_000,
        "empty": b"",
        "gone": None,
        "of an event that no store holds": b'{"service":"inventory","body":{"id":"x","version":1},"last":[{"key":"k",'
        b'"aggregate_id":"00000000-0000-7000-8000-000000000001","version":%d}]}' % 2**70,
    }


DAMAGES = tuple(damaged_replies(b""))


def set_reply(bench: Bench, command_id: str, reply: Any, column: str = "reply") -> None:
    statement = f"UPDATE {{}}command_results SET {column}={{}} WHERE command_id={{}}"
    if bench.kind == "postgres":
        with psycopg.connect(bench.config.postgres_url, autocommit=True) as connection:
            connection.execute(statement.format("inventory.", "%s", "%s"), (reply, command_id))
        return
    with sqlite3.connect(Path(bench.config.data_dir) / "inventory.sqlite") as database:
        database.execute(statement.format("", "?", "?"), (reply, command_id))
    database.close()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_answer_is_a_clear_refusal_and_the_command_is_not_done_again(
    durable: Bench, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor does it trouble those in the same commit; what another command under the key is told stays right."""
    writer, command = Writer(SERVICE, durable.open()), new_product(5)
    product = UUID(do(writer, command, key="k1").body["id"])
    set_reply(durable, "k1", damaged_replies(durable.open().results(["k1"])["k1"].reply)[damage])
    again, neighbour = request(command, key="k1"), request(ReceiveStock(product_id=product, quantity=2, reason="more"))
    other = request(replace(command, opening_stock=6), key="k1")
    writer.execute([again, neighbour, other])
    assert [outcome(one.future) for one in (again, neighbour, other)] == ["INVALID_STATE", "ok", "KEY_REUSED"]
    with pytest.raises(Refused, match="carried out already, and is not carried out again") as refusal:
        writer.remembered("k1", request(command).fingerprint())
    assert refusal.value.state == "DAMAGED"
    assert names(durable.open())["product-added"] == 1 and stock_of(durable.open(), product).on_hand == 7
    assert "remembered result unreadable" in capsys.readouterr().out
    results = list(check_results(durable.open(), Claims()))
    assert [found.message.startswith("the result can't be read: ") for found in results if found] == [True]


@pytest.mark.parametrize("damage", [None, "", "x", "0" * 63, "0" * 63 + "é", b"\xff"])
def test_nobody_is_told_to_take_a_new_key_where_it_is_not_known_what_the_old_one_was_for(
    durable: Bench, damage: Any
) -> None:
    """Nor is another command answered as if it was done; the saga's are known by their ids alone."""
    writer = Writer(SERVICE, durable.open())
    product = UUID(do(writer, new_product(5)).body["id"])
    received = ReceiveStock(product_id=product, quantity=2, reason="more")
    do(writer, received, key="k1")
    set_reply(durable, "k1", damage, "fingerprint")
    again, other = request(received, key="k1"), request(replace(received, quantity=3), key="k1")
    saga = replace(request(received, key="k1"), is_named=True, future=Future())
    writer.execute([again, other, saga])
    assert [outcome(one.future) for one in (again, other, saga)] == ["INVALID_STATE", "INVALID_STATE", "ok"]
    with pytest.raises(Refused, match="before you send it under a new key") as refusal:
        writer.remembered("k1", request(received).fingerprint())
    assert refusal.value.state == "DAMAGED"
    assert stock_of(durable.open(), product).on_hand == 7
    results = [found.message for found in check_results(durable.open(), Claims()) if found]
    assert results == ["the result can't be read: its fingerprint is none"]


def test_a_repeat_within_one_batch_is_done_once(store: EventStore) -> None:
    writer, command = Writer(SERVICE, store), new_product(5)
    both = [request(command, key="k1"), request(command, key="k1")]
    writer.execute(both)
    one, other = (each.future.result(timeout=0) for each in both)
    assert one == other
    assert names(store)["product-added"] == 1


def test_one_bad_command_harms_no_neighbour(store: EventStore) -> None:
    """Commands that a rule refuses, and one that meets a bug after it has recorded facts."""

    def add_or_break(command: Any, work: Work) -> Aggregate:
        product = SERVICE.commands[AddProduct](command, work)
        if command.brand == "breaks":
            raise ZeroDivisionError("a bug")
        return product

    writer = Writer(replace(SERVICE, commands={**SERVICE.commands, AddProduct: add_or_break}), store)
    product = do(writer, new_product(5)).body["id"]
    id = UUID(product)
    taken = new_product()
    batch = [
        request(ReceiveStock(product_id=id, quantity=1, reason="a")),
        request(ReceiveStock(product_id=uuid4(), quantity=1, reason="unknown")),
        request(AdjustStock(product_id=id, change=-100, reason="too much")),
        request(EditProduct(product_id=id, brand="Other"), version=7),
        request(taken),
        request(replace(taken, product_id=uuid4())),
        request(replace(new_product(), brand="breaks")),
        request(AdjustStock(product_id=id, change=-6, reason="b")),
    ]
    writer.execute(batch)
    assert [outcome(each.future) for each in batch[:6]] == [
        "ok", "NOT_FOUND", "INSUFFICIENT_STOCK", "VERSION_CONFLICT", "ok", "DUPLICATE",
    ]  # fmt: skip
    assert outcome(batch[6].future).startswith("ZeroDivisionError")
    assert outcome(batch[7].future) == "ok"
    assert stock_of(store, id).on_hand == 0
    assert stock_of(writer.store, id) == stock_of(store, id)
    assert names(store)["stock-moved"] == 4  # two openings, one receipt, one adjustment
    assert do(writer, ReceiveStock(product_id=id, quantity=2, reason="c")).body["on_hand"] == 2


def stock_of(store: EventStore, product: UUID) -> StockItem:
    stock = store.load(StockItem, stock_id(product))
    assert stock is not None
    return stock


class Lossy:
    """A store whose commits are carried out but answered with an error, as when the reply is lost on the way."""

    def __init__(self, store: EventStore, error: Callable[[], Exception], times: int = 1) -> None:
        self._store, self._error, self.times = store, error, times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, transaction: Transaction) -> list[int]:
        positions = self._store.commit(transaction)
        if self.times > 0:
            self.times -= 1
            raise self._error()
        return positions


def test_a_commit_whose_reply_is_lost_is_answered_as_done_exactly_once(bench: Bench) -> None:
    """The library repeats such a commit by itself, so it shows as a conflict with our own events (fault 6)."""
    store = bench.open()
    product = UUID(do(Writer(SERVICE, store), new_product(5)).body["id"])
    lossy: Any = Lossy(store, lambda: Conflict("these events are stored already"))
    writer = Writer(SERVICE, lossy)
    batch = [request(AdjustStock(product_id=product, change=-1, reason=str(n))) for n in range(3)]

    writer.execute(batch)

    assert lossy.times == 0
    answers = [each.future.result(timeout=0) for each in batch]
    assert [answer.body["on_hand"] for answer in answers] == [4, 3, 2]
    assert stock_of(store, product).on_hand == 2
    assert names(store)["stock-moved"] == 4
    newest = store.last_position()
    assert answers[-1].positions == (newest,)
    assert do(writer, AdjustStock(product_id=product, change=-1, reason="next")).body["on_hand"] == 1


def test_a_command_that_another_writer_was_first_with_vouches_for_no_neighbour(bench: Bench) -> None:
    """A repeat reached another writer: its event is stored under our command's id, our neighbour's is not."""
    store = bench.open()
    product = UUID(do(Writer(SERVICE, store), new_product(5)).body["id"])
    sold = AdjustStock(product_id=product, change=-1, reason="sold")
    writer = Writer(SERVICE, store)
    original = store.commit

    def late(transaction: Transaction) -> list[int]:
        store.commit = original  # type: ignore[method-assign]
        do(Writer(SERVICE, bench.open()), sold, key="k1")
        return original(transaction)

    store.commit = late  # type: ignore[method-assign]
    batch = [request(sold, key="k1"), request(AdjustStock(product_id=product, change=-1, reason="given away"))]
    writer.execute(batch)

    assert [each.future.result(timeout=0).body["on_hand"] for each in batch] == [4, 3]
    assert stock_of(store, product).on_hand == 3
    assert names(store)["stock-moved"] == 3


def test_a_store_that_goes_away_while_a_command_reads_makes_it_unavailable(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    product = UUID(do(Writer(SERVICE, store), new_product(5)).body["id"])
    writer, command = Writer(SERVICE, store), AdjustStock(product_id=product, change=-1, reason="sold")

    def away(cls: type, id: UUID) -> Any:
        raise OperationalError("no connection")

    with monkeypatch.context() as patch:
        patch.setattr(store, "load", away)
        with pytest.raises(Refused) as refusal:
            do(writer, command)
    assert refusal.value.code == "UNAVAILABLE"
    assert do(writer, command).body["on_hand"] == 4


def test_a_lost_reply_that_shows_as_an_error_is_made_good_by_the_repeat(bench: Bench) -> None:
    store = bench.open()
    product = UUID(do(Writer(SERVICE, store), new_product(5)).body["id"])
    lossy: Any = Lossy(store, lambda: OperationalError("server closed the connection"))
    writer, command = Writer(SERVICE, lossy), AdjustStock(product_id=product, change=-1, reason="sold")

    with pytest.raises(Refused) as refusal:
        do(writer, command, key="k9")
    assert refusal.value.code == "UNAVAILABLE"
    assert lossy.times == 0
    assert do(writer, command, key="k9").body["on_hand"] == 4
    assert do(Writer(SERVICE, bench.open()), command, key="k9").body["on_hand"] == 4
    assert names(store)["stock-moved"] == 2


def test_postgres_repeats_a_commit_whose_reply_was_lost(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection breaks after COMMIT: the library repeats, PostgreSQL refuses, the writer sees its own events."""
    bench = bench_of("postgres", tmp_path, request)
    store = bench.open()
    writer = Writer(SERVICE, store)
    product = UUID(do(writer, new_product(5)).body["id"])
    original = psycopg.Transaction._commit_gen
    breaks = iter([True])

    def commit_and_break(self: Any) -> Any:
        yield from original(self)
        if next(breaks, False):
            raise psycopg.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(psycopg.Transaction, "_commit_gen", commit_and_break)
    try:
        answer = do(writer, AdjustStock(product_id=product, change=-1, reason="sold"))
        assert next(breaks, "used") == "used"
        assert answer.body["on_hand"] == 4
        assert names(store)["stock-moved"] == 2
    finally:
        bench.close()


@contextmanager
def writing(bench: Bench) -> Iterator[None]:
    """A writer of another process in the midst of its transaction."""
    if bench.kind == "sqlite":
        file = sqlite3.connect(Path(bench.config.data_dir) / "inventory.sqlite")
        file.execute("BEGIN IMMEDIATE")
        yield
        file.close()
        return
    with psycopg.connect(bench.config.postgres_url) as connection:
        connection.execute("INSERT INTO inventory.command_results VALUES ('c', '', '')")
        connection.execute("LOCK TABLE inventory.inventory_events IN EXCLUSIVE MODE")
        yield
        connection.rollback()


def test_a_store_is_opened_beside_a_writer_and_neither_waits_for_the_other(durable: Bench) -> None:
    first = durable.open()
    ids = [added(uuid4()) for _ in range(3)]
    first.commit(Transaction(events=ids))
    with writing(durable), ThreadPoolExecutor(1) as pool:
        assert pool.submit(durable.open).result(timeout=20).last_position() == 3


def test_relays_share_the_publishing_lock_and_one_has_it_alone(durable: Bench) -> None:
    """ADR 0027: who dies, here by closing its store, leaves it."""
    first, second, other = (durable.open() for _ in range(3))
    assert first.publishing.share() and second.publishing.share()
    assert not other.publishing.take()
    first.publishing.release()
    assert not other.publishing.take()
    second.close()
    assert other.publishing.take()
    assert not first.publishing.share()
    other.publishing.release()
    assert first.publishing.share()


def test_a_lost_connection_ends_the_publishing_lock_and_nothing_else(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    bench = bench_of("postgres", tmp_path, request)
    first, other = bench.open(), bench.open()
    assert first.publishing.share()
    with psycopg.connect(bench.config.postgres_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
        )
    until(other.publishing.take)
    first.publishing.release()
    other.publishing.release()
    assert first.publishing.share()
    bench.close()


def test_who_asks_a_postgresql_that_is_away_is_told_soon_and_it_is_asked_again_when_it_is_back(stack: Stack) -> None:
    server = stack.postgres
    server.start()
    store = open_store("inventory", Config(event_store="postgres", postgres_url=server.address))
    try:
        before = store.last_position()
        server.kill()
        asked = time.monotonic()
        with pytest.raises(OperationalError) as away:
            store.last_position()
        assert is_transient(away.value)
        assert time.monotonic() - asked < 10 * CONNECT_SECONDS + 10, "not 30 s for each of ten attempts"
        server.start()
        assert eventually(store.last_position) == before
    finally:
        server.start()
        store.close()


def test_postgres_tables_of_an_earlier_release_are_updated_beside_writers(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """It tries again and again for a moment when nobody writes; no writer is ever the one that is given up."""
    bench = bench_of("postgres", tmp_path, request)
    bench.open()
    with psycopg.connect(bench.config.postgres_url) as connection:
        connection.execute("DROP TABLE inventory.snapshots")
        connection.execute("COMMENT ON TABLE inventory.inventory_events IS 'of an earlier release'")
    with ThreadPoolExecutor(1) as pool:
        with writing(bench):
            opening = pool.submit(bench.open)
            with pytest.raises(TimeoutError):
                opening.result(timeout=1.5)  # longer than PostgreSQL waits before it looks for a circle
        assert opening.result(timeout=20).snapshots_after(None, 1) == []
    bench.close()


def test_200_buyers_of_the_last_unit_make_one_deduction(store: EventStore) -> None:
    writer = Writer(SERVICE, store)
    product = UUID(do(writer, new_product(1)).body["id"])
    writer.start()
    gate = threading.Barrier(20)

    def buy(_: int) -> list[Future[Answer]]:
        gate.wait(timeout=60)
        return [writer.submit(request(deduct(product), key=str(uuid4()), by=SYSTEM)) for _ in range(10)]

    try:
        with ThreadPoolExecutor(20) as pool:
            bought = [future for futures in pool.map(buy, range(20)) for future in futures]
        assert {outcome(future) for future in bought} == {"ok"}
    finally:
        writer.stop()
    assert len(bought) == 200
    counted = names(store)
    assert (counted["stock-deducted"], counted["stock-short"], counted["stock-moved"]) == (1, 199, 2)
    assert stock_of(store, product).on_hand == 0


def test_two_writers_on_one_store_only_cost_repeats(durable: Bench) -> None:
    """A second process of a service by mistake: nothing is sold twice, nothing is lost, callers just wait longer."""
    writers = [Writer(SERVICE, durable.open()) for _ in range(2)]
    product = UUID(do(writers[0], new_product(60)).body["id"])
    for writer in writers:
        writer.start()

    def sell(writer: Writer) -> Counter[str]:
        found: Counter[str] = Counter()
        for _ in range(30):
            asked = request(AdjustStock(product_id=product, change=-1, reason="sold"))
            found[outcome(writer.submit(asked))] += 1
        return found

    try:
        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(sell, writers)
    finally:
        for writer in writers:
            writer.stop()
    sold = first + second
    assert set(sold) <= {"ok", "OVERLOADED"}
    stock = stock_of(durable.open(), product)
    assert stock.on_hand == 60 - sold["ok"]
    assert names(durable.open())["stock-moved"] == sold["ok"] + 1
    assert sold["ok"] >= 30


STOPS_ITSELF = """
import os, signal
from uuid import UUID
from chassis.foundation.config import Config
from chassis.store import postgres
from chassis.store.opening import open_store
from chassis.writer.writer import Writer
from component.test_event_store import AdjustStock, SERVICE, outcome, request
store = open_store("inventory", Config(event_store=sys.argv[1], data_dir=sys.argv[2], postgres_url=sys.argv[3]))
last, postgres.LIMITS_TRANSACTIONS = sys.argv[5], int(sys.argv[6])
original = getattr(store.recorder, last)
def stopped(*args, **named):
    found = original(*args, **named)
    setattr(store.recorder, last, original)
    os.kill(os.getpid(), signal.SIGSTOP)
    return found
setattr(store.recorder, last, stopped)
asked = request(AdjustStock(product_id=UUID(sys.argv[4]), change=int(sys.argv[7]), reason="stopped"), key="k1")
Writer(SERVICE, store).execute([asked])
print(outcome(asked.future), flush=True)
store.close()
"""


GIVES_UP = {
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10000",
    "lock_timeout": "1s",
}


def stopped_within_its_commit(
    bench: Bench, product: UUID, last: str = "_insert_events", change: int = -1, limits: int = LIMITS_TRANSACTIONS
) -> subprocess.Popen[str]:
    """A process that changes a product's stock, and is stopped after what it does `last`, within its transaction."""
    child = python(STOPS_ITSELF, bench.config, str(product), last, str(limits), str(change))
    assert os.WIFSTOPPED(os.waitpid(child.pid, os.WUNTRACED)[1]), "it was to stop within its commit"
    return child


def test_who_waits_for_a_process_that_was_stopped_within_its_commit_goes_on_with_it(durable: Bench) -> None:
    """Neither loses anything, and what both decided on holds for the later one."""
    writer = Writer(SERVICE, durable.open())
    product = UUID(do(writer, new_product(10)).body["id"])
    child = stopped_within_its_commit(durable, product)
    try:
        goes_on = partial(os.kill, child.pid, signal.SIGCONT)
        beside = AdjustStock(product_id=product, change=-2, reason="beside it")
        threading.Timer(1.0, goes_on).start()
        do(writer, beside)
        assert child.communicate(timeout=60)[0].strip() == "ok"
    finally:
        child.kill()
        child.wait()
    again = AdjustStock(product_id=product, change=-1, reason="stopped")
    do(writer, again, key="k1")  # as its client was told, or may do
    assert stock_of(durable.open(), product).on_hand == 7


@pytest.mark.parametrize(
    ("last", "change"),
    [("_insert_events", -1), ("_insert_events", -100), ("_fetch_ids_after_insert_events", -1)],
    ids=["in the midst", "in the midst of a refusal", "before COMMIT"],
)
def test_who_waits_for_a_process_that_stays_stopped_within_its_commit_goes_on_in_time(
    on_postgres: Bench, last: str, change: int
) -> None:
    """PostgreSQL ends the transaction; the process finds it gone when it goes on, and decides on what is there."""
    writer = Writer(SERVICE, on_postgres.open())
    product = UUID(do(writer, new_product(10)).body["id"])
    child = stopped_within_its_commit(on_postgres, product, last, change)
    try:
        began = time.monotonic()
        do(writer, AdjustStock(product_id=product, change=-2, reason="beside it"))
        assert time.monotonic() - began < COMMIT_SECONDS + 5
        assert stock_of(on_postgres.open(), product).on_hand == 8
        os.kill(child.pid, signal.SIGCONT)
        answer = child.communicate(timeout=60)[0].strip()
    finally:
        child.kill()
        child.wait()
    done = change == -1
    assert answer == ("ok" if done else "INSUFFICIENT_STOCK")
    assert stock_of(on_postgres.open(), product).on_hand == 8 - done
    if done:
        again = AdjustStock(product_id=product, change=-1, reason="stopped")
        do(writer, again, key="k1")  # as its client may
    assert stock_of(on_postgres.open(), product).on_hand == 8 - done
    assert names(on_postgres.open())["stock-moved"] == 2 + done
    assert check_chain(on_postgres.open()).is_whole


def test_before_postgres_17_who_waits_for_a_stopped_process_is_refused_in_time(
    on_postgres: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No limit ends the transaction there: commands are refused soon, and carried out when the process went on."""
    monkeypatch.setattr(postgres_module, "LIMITS_TRANSACTIONS", 99_00_00)
    writer = Writer(SERVICE, on_postgres.open())
    product = UUID(do(writer, new_product(10)).body["id"])
    child = stopped_within_its_commit(on_postgres, product, limits=99_00_00)
    beside = AdjustStock(product_id=product, change=-2, reason="beside it")
    try:
        began = time.monotonic()
        asked = request(beside, key="k2")
        writer.execute([asked])
        assert outcome(asked.future) == "UNAVAILABLE"
        assert time.monotonic() - began < STANDS_SECONDS, "before it is said that the writer stands"
        os.kill(child.pid, signal.SIGCONT)
        assert child.communicate(timeout=60)[0].strip() == "ok"
    finally:
        child.kill()
        child.wait()
    do(writer, beside, key="k2")
    assert stock_of(on_postgres.open(), product).on_hand == 7
    assert check_chain(on_postgres.open()).is_whole


def test_rows_of_a_replica_may_take_their_place_for_longer_than_a_commit(
    on_postgres: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No command waits for it, and it takes as long as there are rows."""
    monkeypatch.setattr(postgres_module, "COMMIT_SECONDS", 1)
    store = on_postgres.open()
    recorder: Any = store.recorder
    store.commit(Transaction(rows=[ReplicaRow("filling:names", "a", b"1")]))
    with psycopg.connect(on_postgres.config.postgres_url, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION inventory.slowly() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM pg_sleep(2); RETURN NEW; END $$"
        )
        connection.execute(
            "CREATE TRIGGER slowly BEFORE UPDATE ON inventory.replica_rows "
            "FOR EACH ROW EXECUTE FUNCTION inventory.slowly()"
        )
    store.commit(Transaction(emptied=["names"], renamed={"filling:names": "names"}))
    assert recorder.row("names", "a") == b"1"


def test_who_is_stopped_while_it_makes_tables_does_not_keep_others_from_it(
    on_postgres: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_module, "OPENING_SECONDS", 2)
    with postgres_module.alone(on_postgres.config.postgres_url), ThreadPoolExecutor(1) as pool:
        began = time.monotonic()
        assert pool.submit(on_postgres.open).result(timeout=30).last_position() == 0
        assert time.monotonic() - began > 1, "it was to be alone for a while"


def test_a_connection_is_given_up_by_both_ends_when_the_network_is_cut(on_postgres: Bench) -> None:
    store: Any = on_postgres.open().recorder
    with store.datastore.get_connection() as connection:
        told = connection.info.get_parameters()
        shown = {name: connection.execute(f"SHOW {name}").fetchone()[name] for name in GIVES_UP}
    assert told.items() >= {name: str(value) for name, value in NETWORK.items()}.items()
    assert shown == GIVES_UP


def test_what_a_command_only_reads_is_compared_when_nobody_else_can_store_any_more(on_postgres: Bench) -> None:
    """Another process is within its commit, has written to it, and lets this one wait."""
    first, second = on_postgres.open(), on_postgres.open()
    beside = uuid4()
    first.commit(Transaction(events=[added(beside)]))
    recorder: Any = first.recorder
    within, go_on, original = threading.Event(), threading.Event(), recorder._fetch_ids_after_insert_events

    def held(*args: Any, **named: Any) -> Any:
        within.set()
        assert go_on.wait(timeout=60)
        return original(*args, **named)

    recorder._fetch_ids_after_insert_events = held
    decided = Transaction(events=[added(uuid4())], read={beside}, seen=first.last_position())
    with ThreadPoolExecutor(2) as pool, psycopg.connect(on_postgres.config.postgres_url, autocommit=True) as looks:
        writing = pool.submit(first.commit, Transaction(events=[added(beside, version=2)]))
        assert within.wait(timeout=60)
        waiting = pool.submit(second.commit, decided)
        until(lambda: looks.execute("SELECT FROM pg_locks WHERE NOT granted").fetchone() is not None)
        go_on.set()
        assert len(writing.result(timeout=60)) == 1
        with pytest.raises(Conflict):
            waiting.result(timeout=60)


@pytest.mark.parametrize("known", [False, True], ids=["read for the first time", "known"])
@pytest.mark.parametrize("there", [False, True], ids=["was not there", "was there"])
def test_what_a_command_only_reads_is_as_it_was_when_it_is_stored(bench: Bench, *, there: bool, known: bool) -> None:
    """Another process changes it between the decision and the commit: this one was stopped there, say, for a minute."""

    def add_beside(command: Any, work: Work) -> Aggregate:
        other = work.find(Product, beside)
        if (other is not None and other.data.brand == "Other") is not there:
            raise Refused("inventory.in_open_order", orders=["SO-1"], state="IN_OPEN_ORDER")
        return SERVICE.commands[AddProduct](command, work)

    store, beside = bench.open(), uuid4()
    first = new_product(brand="Other", product_id=beside)
    if there:
        do(Writer(SERVICE, store), first)
    writer = Writer(replace(SERVICE, commands={**SERVICE.commands, AddProduct: add_beside}), store)
    if known:
        do(writer, new_product())
    before, original, decided = names(store)["product-added"], store.commit, request(new_product())

    def late(transaction: Transaction) -> list[int]:
        store.commit = original  # type: ignore[method-assign]
        change = EditProduct(product_id=beside, brand="Apple") if there else first
        do(Writer(SERVICE, bench.open()), change)
        return original(transaction)

    store.commit = late  # type: ignore[method-assign]
    neighbour = request(ReceiveStock(product_id=uuid4(), quantity=1, reason="of none"))
    writer.execute([decided, neighbour])
    assert [outcome(one.future) for one in (decided, neighbour)] == ["INVALID_STATE", "NOT_FOUND"]
    assert names(store)["product-added"] == before + (not there)


def test_a_writer_gives_up_on_a_record_that_others_always_change_first(bench: Bench) -> None:
    store = bench.open()
    product = UUID(do(Writer(SERVICE, store), new_product(5)).body["id"])
    before = store.last_position()

    class Beaten(Lossy):
        def commit(self, transaction: Transaction) -> list[int]:
            self.times -= 1
            raise Conflict("another writer was first")

    beaten: Any = Beaten(store, RuntimeError, 0)
    with pytest.raises(Refused) as refusal:
        do(Writer(SERVICE, beaten), AdjustStock(product_id=product, change=-1, reason="x"))
    assert refusal.value.code == "OVERLOADED"
    assert beaten.times == -ATTEMPTS
    assert store.last_position() == before


def test_refusals_never_fail_on_what_another_process_writes(durable: Bench) -> None:
    """A commit of refusals reads before it writes; another process saves positions and replica rows meanwhile."""
    writer, other = Writer(SERVICE, durable.open()), durable.open()
    product = UUID(do(writer, new_product(5)).body["id"])
    done, written = threading.Event(), threading.Event()

    def write() -> None:
        for number in count(1):
            other.set_position("relay", number)
            other.commit(Transaction(rows=[ReplicaRow("names", "a", b"1")], positions={"offset:x": number}))
            written.set()
            if done.is_set():
                return

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        try:
            assert written.wait(timeout=60)
            outcomes: Counter[str] = Counter()
            for _ in range(300):
                asked = request(AdjustStock(product_id=product, change=-100, reason="too much"))
                writer.execute([asked])
                outcomes[outcome(asked.future)] += 1
        finally:
            done.set()
        writing.result(timeout=60)
    assert outcomes == {"INSUFFICIENT_STOCK": 300}
    assert check_chain(durable.open()).entries == 301


@dataclass
class Breaks:
    """A store of which one operation fails from a moment on, so many times."""

    store: EventStore
    operation: str
    error: Exception
    times: int = 1

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.store, name)
        if name != self.operation or self.times <= 0:
            return found

        def fail(*_: Any) -> Any:
            self.times -= 1
            raise self.error

        return fail


FAILURES = (OperationalError("away"), OSError(28, "No space left on device"), MemoryError(), AssertionError("a bug"))


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    "operation", ["newest", "results", "absent", "load", "position_of", "has_audit", "commit", "notifications"]
)
def test_a_writer_survives_whatever_its_store_does_and_leaves_nobody_waiting(operation: str, error: Exception) -> None:
    store = EventStore("inventory", MemoryRecorder())
    product = UUID(do(Writer(SERVICE, store), new_product(5), key="k1").body["id"])
    breaks: Any = Breaks(store, operation, error, times=0)
    writer = Writer(SERVICE, breaks)
    writer.start()
    try:
        breaks.times = 1
        sold = AdjustStock(product_id=product, change=-1, reason="sold")
        batch = [request(sold, key="k2"), request(new_product()), request(sold)]
        writer.submit_all(batch)
        outcomes = [outcome(each.future).partition("(")[0] for each in batch]
        assert set(outcomes) <= {"ok", "UNAVAILABLE", type(error).__name__}
        breaks.times = 0
        on_hand = [writer.submit(request(sold, key=key)).result(timeout=60).body["on_hand"] for key in ("k2", "k2")]
        assert on_hand[0] == on_hand[1]
        assert stock_of(store, product).on_hand == (3 if outcomes[2] == "ok" else 4)
        assert writer.problem() is None
    finally:
        writer.stop()


def test_a_command_that_is_stored_is_answered_as_done_whatever_fails_after_its_commit(bench: Bench) -> None:
    """The reply of COMMIT is lost, then the store fails once more; and a listener fails."""

    class Deaf:
        told = heard = 0
        replicas = ()

        def load(self, store: EventStore) -> None:
            raise NotImplementedError

        def tell(self, facts: Iterable[Any]) -> None:
            self.told += 1
            raise RuntimeError("a bug")

        def hear(self, events: Iterable[Notification]) -> None:
            self.heard += len(list(events))

    store, listener = bench.open(), Deaf()
    product = UUID(do(Writer(SERVICE, store), new_product(5)).body["id"])
    lossy: Any = Lossy(store, lambda: Conflict("these events are stored already"))
    writer = Writer(SERVICE, Breaks(lossy, "position_of", OperationalError("away")), listener=listener)  # type: ignore[arg-type]
    sold = AdjustStock(product_id=product, change=-1, reason="sold")
    answer = do(writer, sold, key="k1")
    assert (answer.body["on_hand"], stock_of(store, product).on_hand, listener.told) == (4, 4, 1)
    assert answer.positions == (store.last_position(),), "what is read or commanded next waits for it"
    again = do(writer, sold, key="k1")
    assert again.body == answer.body
    assert again.positions == (store.last_position(),)
    do(writer, AdjustStock(product_id=product, change=-1, reason="sold"))
    assert listener.heard > 0, "who could not be told hears of it out of the log"


def test_a_command_is_not_answered_as_done_while_nobody_can_say_where_its_events_stand(bench: Bench) -> None:
    """The token of such an answer would promise nothing: a later command would not wait for what was done."""
    store = bench.open()
    product = UUID(do(Writer(SERVICE, store), new_product(5)).body["id"])
    lossy: Any = Lossy(store, lambda: Conflict("these events are stored already"))
    breaks: Any = Breaks(lossy, "position_of", OperationalError("away"), times=POSITION_TRIES)
    writer = Writer(SERVICE, breaks)
    sold = AdjustStock(product_id=product, change=-1, reason="sold")
    with pytest.raises(Refused, match="repeat the command"):
        do(writer, sold, key="k1")
    assert stock_of(store, product).on_hand == 4
    again = do(writer, sold, key="k1")
    assert (again.body["on_hand"], again.positions) == (4, (store.last_position(),))


def test_a_writer_says_when_it_stands() -> None:
    class Stuck(EventStore):
        def absent(self, ids: Any) -> Any:
            goes_on.wait(60)
            return super().absent(ids)

    goes_on, now = threading.Event(), [0.0]
    writer = Writer(SERVICE, Stuck("inventory", MemoryRecorder()), clock=lambda: now[0])
    writer.start()
    now[0] += 1_000
    assert writer.problem() is None, "it has nothing to do"
    first = writer.submit(request(new_product()))
    now[0] += STANDS_SECONDS + 1
    assert writer.problem() == "no progress for 16 s: a step does not end"
    goes_on.set()
    first.result(timeout=60)
    until(lambda: writer.problem() is None)
    writer.stop()


def test_a_writers_thread_that_ends_is_seen_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    failed: list[str] = []
    writer = Writer(SERVICE, EventStore("inventory", MemoryRecorder()), failed=failed.append)

    def ends(_: Any) -> None:
        raise SystemExit

    monkeypatch.setattr(writer, "execute", ends)
    writer.start()
    writer.submit(request(new_product()))
    until(lambda: writer.problem() == "its thread has ended")
    assert failed == ["writer-inventory"]


def test_too_many_waiting_commands_are_refused_before_anything_is_stored(store: EventStore) -> None:
    writer = Writer(SERVICE, store, max_queue=3)
    waiting = [request(new_product()) for _ in range(4)]
    for each in waiting[:3]:
        writer.submit(each)
    with pytest.raises(Refused) as refusal:
        writer.submit(waiting[3])
    assert refusal.value.code == "OVERLOADED"
    assert store.last_position() == 0
    writer.start()
    assert [outcome(each.future) for each in waiting[:3]] == ["ok"] * 3
    writer.stop()
    with pytest.raises(Refused) as stopped:
        writer.submit(request(new_product()))
    assert stopped.value.code == "UNAVAILABLE"
    assert names(store)["product-added"] == 3


# -- replicas and snapshots -------------------------------------------------------------------------------------------


def order(product: UUID) -> OrderCreated:
    line = OrderLine(
        product_id=product, quantity=1, unit_price=Decimal(1), amount=Decimal(1), name="n", model="m", brand="b"
    )
    return OrderCreated(
        order_id=uuid4(),
        number="SO-1",
        customer=CustomerSnapshot(customer_id=uuid4(), name="Acme"),
        lines=(line,),
        total=yuan("1.00"),
        order_date=TODAY,
        owner=SALESTREAM,
    )


def test_a_replica_and_its_positions_move_together(bench: Bench) -> None:
    store, product = bench.open(), uuid4()
    writer = Writer(SERVICE, store)
    source = {"offset:orders.events:0": 1, "position:orders.events:0": 10}
    known = order(product)
    writer.learn([known], source)
    key = OPEN_ORDERS.keys_of(known)[0]
    row = store.row("open_orders", key)
    assert row is not None and str(product).encode() in row

    with pytest.raises(Conflict):  # another process of the service has consumed the same records
        Writer(SERVICE, bench.open()).learn([order(uuid4())], source)
    assert len(store.rows("open_orders")) == 1
    assert store.row("open_orders", key) == row

    writer.learn([], {"offset:orders.events:0": 2})
    again = bench.open()
    assert (again.position("offset:orders.events:0"), again.position("position:orders.events:0")) == (2, 10)


def test_a_snapshot_equals_the_full_replay(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StockItem, "snapshot_every", 10)
    store = bench.open()
    writer = Writer(SERVICE, store)
    product = UUID(do(writer, new_product(1_000, alert_quantity=985)).body["id"])
    for number in range(35):
        do(writer, AdjustStock(product_id=product, change=-1 if number % 3 else 2, reason=str(number)))
    fresh = bench.open()
    snapshot = fresh._more.snapshot(stock_id(product))
    assert snapshot is not None and snapshot.version >= 30
    read: list[int] = []
    original = EventStore.facts

    def counting(self: EventStore, id: UUID, *, after: int = 0) -> Iterator[Any]:
        read.append(after)
        return original(self, id, after=after)

    monkeypatch.setattr(EventStore, "facts", counting)
    from_snapshot = stock_of(fresh, product)
    assert read == [snapshot.version]
    monkeypatch.setattr(StockItem, "snapshot_every", 0)
    assert stock_of(fresh, product) == from_snapshot
    assert read[-1] == 0
    assert do(Writer(SERVICE, fresh), ReceiveStock(product_id=product, quantity=1, reason="x")).body["on_hand"]


def test_a_snapshot_of_another_shape_is_not_read(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StockItem, "snapshot_every", 5)
    store = bench.open()
    writer = Writer(SERVICE, store)
    product = UUID(do(writer, new_product(100)).body["id"])
    for number in range(10):
        do(writer, AdjustStock(product_id=product, change=-1, reason=str(number)))
    expected = stock_of(store, product)
    monkeypatch.setattr("chassis.store.event_store.schema_fingerprint", lambda cls: "newer code")
    assert stock_of(bench.open(), product) == expected


# -- what must not be set ---------------------------------------------------------------------------------------------


def test_the_librarys_database_functions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTGRES_ENABLE_DB_FUNCTIONS", "y")
    with pytest.raises(ConfigError, match="POSTGRES_ENABLE_DB_FUNCTIONS"):
        open_store("inventory", Config(event_store="postgres"))


@pytest.mark.parametrize("url", ["", "mysql://x/y", "postgresql:///db", "127.0.0.1:5432"])
def test_a_wrong_postgres_url_is_explained(url: str) -> None:
    with pytest.raises(ConfigError, match="POSTGRES_URL"):
        open_store("inventory", Config(event_store="postgres", postgres_url=url))


def test_sqlite_syncs_to_disk_and_lets_readers_read(tmp_path: Path) -> None:
    store = open_store("inventory", Config(data_dir=str(tmp_path)))
    try:
        with store.recorder.datastore.transaction(commit=False) as cursor:  # type: ignore[attr-defined]
            cursor.execute("PRAGMA journal_mode")
            assert cursor.fetchone()[0] == "wal"
            cursor.execute("PRAGMA synchronous")
            assert cursor.fetchone()[0] == 2  # FULL: what is answered survives a power cut
    finally:
        store.close()


def test_facts_that_only_look_alike_are_told_apart() -> None:
    """StockDeducted and StockShort differ by their stored type alone when read from a log."""
    id = uuid4()
    deducted, short = (
        StockDeducted(order_id=id, round=1, lines=()),
        StockShort(order_id=id, round=1, attempt=1, missing=()),
    )
    store = EventStore("inventory", MemoryRecorder())
    store.commit(Transaction(events=[recorded(id, 1, deducted, META), recorded(id, 2, short, META)]))
    assert list(store.facts(id)) == [deducted, short]
    assert [event.data for event in store.notifications(0, 9)] == [encode(deducted), encode(short)]


def test_a_commit_waits_for_the_disk_where_it_is_told(tmp_path: Path) -> None:
    """Under eventlet that is a native thread, so that other requests go on."""
    waited: list[str] = []

    def elsewhere(wait: Callable[[], None]) -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(wait).result()
        waited.append("commit")

    store = open_store("inventory", Config(data_dir=str(tmp_path)), waits=elsewhere)
    waited.clear()
    store.commit(Transaction(positions={"somebody": 7}))
    assert waited == ["commit"]
    assert store.position("somebody") == 7
    store.close()


def test_the_rows_of_a_replica_are_read_in_parts_in_the_order_of_their_keys(bench: Bench) -> None:
    store = bench.open()
    rows = [ReplicaRow("names", key, key.encode()) for key in ("b", "d", "a", "c", "B")]
    store.commit(Transaction(rows=[*rows, ReplicaRow("other", "a", b"x")]))
    found, key = list[str](), ""
    while part := store.rows_after("names", key, 2):
        assert len(part) <= 2 and all(body == at.encode() for at, body in part)
        found += [at for at, _ in part]
        key = part[-1][0]
    assert found == ["B", "a", "b", "c", "d"] and store.rows_after("none", "", 2) == []
