"""PostgreSQL, where the events are: killed, cut off, contended, full, and with rows that somebody has changed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
from component.support import until

from chassis.messaging.relay import POSITION
from chassis.store.opening import open_store
from chassis.writer.request import Request
from chassis.writer.writer import Writer
from contracts.orders import CreateOrder, LineRequest
from services.access.demo_users import demo_user
from services.orders.application import SERVICE as ORDERS

from ..check import await_rest
from ..run import NotRun, Run, Violated, fault
from ..shop import Shop
from ..system import ChaosSystem, says_ready
from .processes import COMMIT, order_submitted, types_of


@fault(5, "PostgreSQL killed under load and started again", "I1", "I2", "I7")
def postgres_killed(run: Run) -> None:
    """SIGKILL to the postmaster, twice, while orders are written."""
    postgres = run.system.servers["postgres"]
    with run.shop.busy():
        for _ in range(run.rounds or 2):
            run.shop.until_sold(15)
            run.system.forget_stores()
            assert postgres.kill()
            started = time.monotonic()
            postgres.start()
            run.shop.until_sold(5)
            run.note(f"selling again {time.monotonic() - started:.1f} s after the kill")


@fault(6, "connection cut after COMMIT was sent", "I1")
def cut_after_commit(run: Run) -> None:
    """PostgreSQL has committed; its answer is held back and the connection is reset.

    Hit: the event stands in the store, the api has no answer.  The library tries again and gets a conflict with its
    own events; the writer must see that, and answer the one request that was made.
    """
    for number in range(run.rounds or 3):
        order = run.shop.draft(f"draft-{number}")
        with run.system.proxies["postgres-api"].trap(order_submitted(order), then=COMMIT, at="after") as trap:
            asked = threading.Thread(target=run.shop.submit, args=(order, f"submit-{number}"))
            asked.start()
            trap.wait()
            assert types_of(run.system, "orders", order)[-1].endswith("order-submitted.v1")
        asked.join(60)
        tries = [e for e in run.history.entries if e.op == f"POST /orders/{order}/submit"]
        if [e.kind for e in tries] != ["invoke", "ok"]:
            raise Violated(f"I1: the one request was not answered with its own success: {tries}")
        run.shop.becomes(order, "SHIPPED")


@fault(7, "two writers, one holds its transaction open", "I1", "I7")
def two_writers(run: Run) -> None:
    """A second writer has inserted, so it has the lower position, and its COMMIT is held back; orders are written.

    Hit: the api's session waits for the table's lock.  The relay must not pass the position that is still open.
    """
    system, shop = run.system, run.shop
    shop.sell_some(3)
    await_rest(system)
    before = system.store("orders").last_position()
    store = open_store("orders", replace(system.config, postgres_url=system.settings("api")["POSTGRES_URL"]))
    try:
        writer = Writer(ORDERS, store)
        request = _create_order(shop)
        with system.proxies["postgres-api"].trap(request.command_id.encode(), then=COMMIT, at="before") as trap:
            second = threading.Thread(target=writer.execute, args=([request],))
            second.start()
            trap.wait()
            asked = [threading.Thread(target=shop.draft, args=(f"draft-{number}",)) for number in range(5)]
            for thread in asked:
                thread.start()
            until(lambda: _waiting_for_locks(system) > 0)
            assert system.store("orders").position(POSITION) == before, "the relay has passed an open transaction"
            assert system.store("orders").last_position() == before
            system.proxies["postgres-api"].resolve(trap, "release")
            for thread in (second, *asked):
                thread.join(60)
        answer = request.future.result(0)
        assert answer.positions == (before + 1,), f"the second writer got {answer.positions}, not {before + 1}"
    finally:
        store.close()


def _create_order(shop: Shop) -> Request:
    line = LineRequest(product_id=UUID(shop.product), quantity=1, unit_price=Decimal("10.00"))
    command = CreateOrder(customer_id=UUID(shop.customer), lines=(line,))
    now = datetime.now(UTC)
    return Request(command, demo_user("li").context(now, now.date()), str(uuid4()))


def _waiting_for_locks(system: ChaosSystem) -> int:
    with psycopg.connect(system.servers["postgres"].address) as connection:
        row = connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
    return int(row[0]) if row else 0


@fault(8, "NOTIFY lost; the relay's connections to PostgreSQL half open", "I7")
def half_open_relay(run: Run) -> None:
    """First only the connections that LISTEN are lost without a word: the relay must catch up within 2 s by looking.

    Then all of them: it can't know, until they are reset; then it must have caught up after 2 s.  (A proxy answers TCP
    keepalive by itself, so how long a connection may stay lost without a reset is not shown here.)
    """
    system, shop = run.system, run.shop
    shop.sell_some(3)
    await_rest(system)
    proxy = system.proxies["postgres-relay"]
    lost = proxy.half_open(last=b"LISTEN")
    assert lost > 0, "the relay does not listen"
    deaf = [shop.draft(f"deaf-{number}") for number in range(5)]
    _catches_up(run, f"with {lost} bells deaf")
    assert proxy.half_open() > 0, "the relay has no connection"
    mute = [shop.draft(f"mute-{number}") for number in range(5)]
    store = system.store("orders")
    assert (store.position(POSITION) or 0) < store.last_position(), "the relay goes on: nothing was lost"
    proxy.cut()
    _catches_up(run, "after a reset")
    for number, order in enumerate([*deaf, *mute]):
        shop.submit(order, f"submit-{number}")


def _catches_up(run: Run, when: str) -> None:
    store = run.system.store("orders")
    started = time.monotonic()
    until(lambda: (store.position(POSITION) or 0) == store.last_position())
    seconds = time.monotonic() - started
    run.note(f"{when}: caught up in {seconds:.2f} s")
    if seconds > 2.0:
        raise Violated(f"I7: {when} the relay caught up only after {seconds:.1f} s")


@fault(23, "PostgreSQL's disk is full", "I1", "I2", "I7")
def postgres_disk_full(run: Run) -> None:
    """Its folder, a small tmpfs, is filled while orders are written; later freed, and the server started if it died.

    Hit: commands are answered 503, or not at all, while the disk is full.
    """
    system, shop = run.system, run.shop
    if not system.has_disks:
        raise NotRun("a disk of its own takes mounting a tmpfs, which needs root")
    postgres = system.servers["postgres"]
    with shop.busy(a_second=40), filled(postgres.home):
        unclear = run.history.count("unknown")
        until(lambda: run.history.count("unknown") > unclear)
        system.forget_stores()
        run.note(f"PostgreSQL {'stays up' if postgres.pid else 'stopped'} while its disk is full")
        free(postgres.home)
        postgres.start()
        shop.until_sold(10)


@fault(35, "the disks of PostgreSQL and of the api's log are full", "I1", "I2", "I7")
def store_and_log_full(run: Run) -> None:
    """Both at once, so that what fails can't even be logged; later freed, and what has died is started.

    Hit: a command is answered 503 or not at all, and the api does not call itself ready.  Afterwards it serves again,
    by itself or started anew: it is never up and deaf.
    """
    system, shop = run.system, run.shop
    if not system.has_disks:
        raise NotRun("a disk of its own takes mounting a tmpfs, which needs root")
    postgres, api = system.servers["postgres"], system.api

    def is_not_ready() -> bool:
        fill(postgres.home)
        return api.pid is None or not says_ready(api)

    with shop.busy(a_second=40), filled(postgres.home), filled(api.home):
        unclear = run.history.count("unknown")
        until(lambda: run.history.count("unknown") > unclear)
        until(is_not_ready)
        system.forget_stores()
        run.note(f"the api {'stays up' if api.pid else 'ended'} while nothing can be stored or logged")
        free(postgres.home)
        free(api.home)
        postgres.start()
        if api.pid is None:
            api.start()
        shop.until_sold(10)
        until(lambda: says_ready(api))


BALLAST = "ballast"


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """A file that takes all there is left of the folder's disk."""
    try:
        fill(folder)
        yield
    finally:
        free(folder)


def fill(folder: Path) -> None:
    """Take what is left of the folder's disk: a server may have given some of it back since."""
    for size in (1 << 20, 1 << 12):
        with (folder / BALLAST).open("ab", buffering=0) as ballast, suppress(OSError):
            while ballast.write(bytes(size)) == size:
                pass


def free(folder: Path) -> None:
    (folder / BALLAST).unlink(missing_ok=True)
