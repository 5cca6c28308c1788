"""What operators and their disks do to a store by hand, and clocks that are wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import psycopg
from component.support import add_product, until

from chassis.foundation.compression import unpacked
from chassis.model.saga import Process
from services.inventory.domain import StockItem, stock_id

from ..check import await_rest, verified
from ..run import Run, Violated, fault
from ..system import ChaosSystem
from .processes import produces_to, types_of


@fault(28, "event rows changed by hand", "I7", "I10")
def corrupted_rows(run: Run) -> None:
    """One order's row becomes unreadable, another's amount is changed.  Both are repaired at the end.

    The unreadable stream is refused, every other one works.  The change must be found: `salestream verify` compares
    the store with what was published.  The hash chain of the audit log covers acts, not events, so a change made
    before the relay has published, or in an internal event, would not be found.
    """
    system, shop = run.system, run.shop
    unreadable, changed, healthy = (shop.draft(f"draft-{name}") for name in ("unreadable", "changed", "healthy"))
    await_rest(system)
    rows = {order: _state(system, order) for order in (unreadable, changed)}
    system.processes["api"].stop()  # what it holds in memory would hide it
    try:
        _write(system, unreadable, b'{"data":{"order_id"')
        told = unpacked(rows[changed])
        altered = told.replace(b'"quantity":1', b'"quantity":7')
        assert altered != told
        _write(system, changed, altered)
        system.start("api")
        entry = shop.client.once(shop.company.li, "POST", f"/orders/{unreadable}/submit", None, "submit-unreadable")
        if (entry.kind, entry.code) != ("fail", "INVALID_STATE"):
            raise Violated(f"I10: a command on an unreadable stream was answered {entry.status} {entry.code}")
        run.note(f"the unreadable stream is answered {entry.status} {entry.code}")
        shop.submit(healthy, "submit-healthy")
        shop.becomes(healthy, "SHIPPED")
        await_rest(system)
        _write(system, unreadable, rows[unreadable])
        found = [text for text in verified(system) if changed in text]
        if not found:
            raise Violated("I10: salestream verify does not find the changed row")
        run.note(f"the changed row is found by comparison: {found[0][:150]}")
    finally:
        for order, state in rows.items():
            _write(system, order, state)
        system.processes["api"].stop()
        system.start("api")


def _state(system: ChaosSystem, order: str) -> bytes:
    with psycopg.connect(system.servers["postgres"].address) as connection:
        row = connection.execute(
            "SELECT state FROM orders.orders_events WHERE originator_id = %s AND originator_version = 1", (UUID(order),)
        ).fetchone()
    assert row is not None
    return bytes(row[0])


def _write(system: ChaosSystem, order: str, state: bytes) -> None:
    with psycopg.connect(system.servers["postgres"].address) as connection:
        done = connection.execute(
            "UPDATE orders.orders_events SET state = %s WHERE originator_id = %s AND originator_version = 1",
            (state, UUID(order)),
        )
        assert done.rowcount == 1


@fault(29, "snapshots missing, or of another version of the code", "I4")
def foreign_snapshots(run: Run) -> None:
    """A product with 600 movements has a snapshot.  It is deleted; then made one of other code, with a wrong balance.

    Each time the service starts anew, and what it decides must come from the events.
    """
    system, shop = run.system, run.shop
    product = add_product(shop.company.wang, stock=1_000)
    items = [{"command": {"product_id": product, "change": 1, "reason": "counted"}}] * 300
    for _ in range(2):
        answer = shop.company.wang.do("POST", "/bulk/adjust-stock", {"items": items})
        assert all(result["status"] == 200 for result in answer["results"])
    item = stock_id(UUID(product))
    snapshot = system.store("inventory")._more.snapshot(item)
    assert snapshot is not None and snapshot.version >= 500, "there is no snapshot"
    changes = {
        "deleted": ("DELETE FROM inventory.snapshots WHERE aggregate_id = %s", (item,)),
        "of newer code": (
            "INSERT INTO inventory.snapshots VALUES (%s, %s, 'newer', %s) ON CONFLICT (aggregate_id) DO UPDATE "
            "SET version = excluded.version, schema = excluded.schema, state = excluded.state",
            (item, 10_000, snapshot.state.replace(b'"on_hand":', b'"on_hand":9')),
        ),
        "of older code": (
            "UPDATE inventory.snapshots SET version = 3, schema = 'older', state = %s WHERE aggregate_id = %s",
            (b'{"nonsense": true}', item),
        ),
    }
    expected = 1_600
    for name, (statement, values) in changes.items():
        system.processes["api"].stop()
        with psycopg.connect(system.servers["postgres"].address) as connection:
            assert connection.execute(statement, values).rowcount == 1, name
        system.start("api")
        expected -= 1
        reply = shop.company.wang.post(f"/products/{product}/adjustments", {"change": -1, "reason": "sold"})
        loaded = system.store("inventory").load(StockItem, item)
        if reply["on_hand"] != expected or loaded is None or loaded.on_hand != expected:
            raise Violated(f"I4: with a snapshot {name} stock is {reply['on_hand']}, not {expected}")
    run.note(f"snapshots {', '.join(changes)}: none was believed")


# -- clocks


OTHER_CLOCK = Path(__file__).parents[1] / "other_clock"


def clock(hours: int) -> dict[str, str]:
    """The environment of a process whose clock is off by so much; its monotonic clock is right."""
    return {"PYTHONPATH": str(OTHER_CLOCK), "CLOCK_OFFSET_SECONDS": str(hours * 3_600)}


@fault(22, "clocks an hour ahead, an hour behind, and jumping", "I6", "I7", "I8")
def wrong_clocks(run: Run) -> None:
    """The api runs an hour ahead, then an hour behind; the saga's clock is right, then jumps an hour ahead.

    Order follows versions, not time.  A saga's time limits fire at once after the jump, and do nothing twice.  Tokens
    of another hour are refused with 401, those of the same hour are taken.
    """
    system, shop = run.system, run.shop
    drafts = [shop.draft(f"draft-{number}") for number in range(10)]
    system.restart("api", **clock(1))
    for number, order in enumerate(drafts[:5]):
        shop.submit(order, f"submit-{number}")
    shop.sell_some(10)
    system.restart("api", **clock(-1))
    entry = shop.client.once(shop.company.li, "POST", f"/orders/{drafts[5]}/submit", None, "too-early")
    if entry.status != 401:
        raise Violated(f"a token that is an hour from the future was answered {entry.status}")
    earlier = shop.company.li
    earlier.token = _token_of(system, "li", -1)
    entry = shop.client.sure(earlier, "POST", f"/orders/{drafts[5]}/submit", None, "in-time")
    assert entry.kind == "ok", entry
    system.restart("api")
    for number, order in enumerate(drafts[6:]):
        shop.submit(order, f"submit-late-{number}")
    waiting = shop.draft("draft-waiting")
    await_rest(system)
    with system.proxies["kafka"].trap(produces_to(b"inventory.commands"), at="before") as trap:
        shop.submit(waiting, "submit-waiting")
        trap.wait()  # the saga waits for stock, and its command does not get through
        system.restart("saga", **clock(1))
        resends = until(lambda: _process(system, waiting).resends)
    shop.becomes(waiting, "SHIPPED")
    deducted = [t for t in types_of(system, "inventory", waiting) if t.endswith("stock-deducted.v1")]
    if len(deducted) != 1:
        raise Violated(f"I6: the time limit fired and stock was deducted {len(deducted)} times")
    run.note(f"after the jump the command was sent again ({resends}), and done once")
    shop.sell_some(10)
    system.restart("saga", **clock(-1))
    shop.sell_some(10)
    system.restart("saga")
    for order in drafts:
        shop.becomes(order, "SHIPPED")


def _process(system: ChaosSystem, order: str) -> Process:
    found = system.store("fulfilment").load(Process, UUID(order))
    assert found is not None
    return found


def _token_of(system: ChaosSystem, user: str, hours: int) -> str:
    """A token issued by a machine whose clock is off."""
    done = subprocess.run(
        [sys.executable, "-m", "chassis.run.main", "token", user],
        env={**os.environ, **system.local.settings(), **clock(hours)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip()
