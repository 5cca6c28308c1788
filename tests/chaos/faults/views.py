"""MongoDB and the read models: killed, contended, emptied, taken back to yesterday; large documents; other versions."""

from __future__ import annotations

import ast
import shutil
import threading
import time
from pathlib import Path
from typing import Any

from component.support import until
from pymongo.errors import PyMongoError

from chassis.projections.collections import STATES, connect
from deploy.devstack.server import REPOSITORY_ROOT

from ..check import await_rest
from ..proxy import Point
from ..run import Run, Violated, fault
from ..system import ChaosSystem


@fault(15, "mongod killed in a transaction", "I8", "I9")
def mongod_killed(run: Run) -> None:
    """commitTransaction is held back on its way to mongod, or mongod's answer is; then mongod is killed.

    One node only: what a step-down of the primary does to majority writes is not shown here.
    """
    system, mongo = run.system, run.system.servers["mongo"]
    with run.shop.busy():
        points: tuple[Point, ...] = ("before", "after", "before")
        for point in points:
            run.shop.until_sold(5)
            with system.proxies["mongo-projector"].trap(b"commitTransaction", at=point) as trap:
                trap.wait()
                assert mongo.kill()
            started = time.monotonic()
            mongo.start()
            run.shop.until_sold(5)
            run.note(f"mongod back after {time.monotonic() - started:.1f} s ({point} its commit)")


@fault(16, "write conflicts in MongoDB", "I8", "I9")
def write_conflicts(run: Run) -> None:
    """Transactions of somebody else take the views' own state documents, and give them back, while orders are written.

    Hit: mongod answers the projector with WriteConflict.
    """
    system = run.system
    database = connect(system.config)
    stop = threading.Event()

    def meddle() -> None:
        while not stop.is_set():
            try:
                with database.client.start_session() as session, session.start_transaction():
                    database[STATES].update_many({}, {"$set": {"meddled": True}}, session=session)
                    stop.wait(0.05)  # how long the documents stay taken
                    session.abort_transaction()
            except PyMongoError:
                continue  # the projector was first

    meddler = threading.Thread(target=meddle)
    with system.proxies["mongo-projector"].counting(b"WriteConflict") as conflicts:
        meddler.start()
        try:
            with run.shop.busy():
                run.shop.until_sold(run.rounds or 60)
                until(lambda: conflicts)
        finally:
            stop.set()
            meddler.join()
            database.client.close()
    started = time.monotonic()
    await_rest(system)
    run.note(f"{len(conflicts)} conflicts, at rest {time.monotonic() - started:.1f} s after them")


@fault(30, "MongoDB emptied; MongoDB of yesterday restored", "I8", "I9")
def mongo_restored(run: Run) -> None:
    """The database is dropped, then later one is put back that is older than Kafka; the projector catches up."""
    system, shop = run.system, run.shop
    shop.sell_some(20)
    await_rest(system)
    system.processes["projector"].stop()
    database = connect(system.config)
    database.client.drop_database(database.name)
    system.start("projector")
    await_rest(system)
    yesterday = _copy(system)
    shop.sell_some(20)
    await_rest(system)
    system.processes["projector"].stop()
    database.client.drop_database(database.name)
    for name, documents in yesterday.items():
        if documents:
            database[name].insert_many(documents)
    database.client.close()
    started = time.monotonic()
    system.start("projector")
    await_rest(system)
    run.note(f"caught up {time.monotonic() - started:.1f} s after the restore")


def _copy(system: ChaosSystem) -> dict[str, list[dict[str, Any]]]:
    database = connect(system.config)
    try:
        return {name: list(database[name].find()) for name in database.list_collection_names()}
    finally:
        database.client.close()


@fault(17, "an order of 10,000 lines; the largest orders there may be", "I8", "I11")
def large_documents(run: Run) -> None:
    """10,000 lines are refused with a 4xx that says why; an order at the limit goes all the way into the views."""
    shop, li = run.shop, run.shop.company.li
    line = {"product_id": shop.product, "quantity": 1, "unit_price": "1.00"}
    for count in (10_000, 5_000, 1_001):
        body = {"customer_id": shop.customer, "lines": [line] * count}
        entry = shop.client.once(li, "POST", "/orders", body, f"lines-{count}")
        if entry.kind != "fail" or entry.status not in (400, 413):
            raise Violated(f"I11: an order of {count} lines was answered {entry.status} {entry.code}")
        run.note(f"{count} lines: {entry.status} {entry.code}")
    low, high = 1, 1_001
    while high - low > 1:  # where the limit is, found by asking
        middle = (low + high) // 2
        body = {"customer_id": shop.customer, "lines": [line] * middle, "note": "x" * 4_000}
        entry = shop.client.once(li, "POST", "/orders", body, f"probe-{middle}")
        low, high = (middle, high) if entry.kind == "ok" else (low, middle)
    body = {"customer_id": shop.customer, "lines": [line] * low, "note": "x" * 4_000}
    entry = shop.client.sure(li, "POST", "/orders", body, "largest")
    assert entry.reply is not None
    order = str(entry.reply["id"])
    shop.submit(order, "submit-largest")
    page = shop.becomes(order, "SHIPPED")
    assert len(page["lines"]) == low
    run.note(f"the largest order has {low} lines and ships")


@fault(26, "events of an older and of a newer version of the code", "I7", "I8")
def two_versions(run: Run) -> None:
    """The api of tomorrow, whose OrderSubmitted has one more optional field, beside relay, projector and saga of today.

    Then the other way round; then all of today again, on what tomorrow has stored.
    """
    system, shop = run.system, run.shop
    tomorrow = _tomorrow(system.folder / "tomorrow")
    later = {"PYTHONPATH": str(tomorrow)}
    shop.sell_some(10)
    system.restart("api", **later)
    order = shop.draft("draft-new")
    shop.submit(order, "submit-new")
    stored = [e for e in system.store("orders").notifications(0, 10_000_000) if e.key == order]
    assert any(b'"written_by_tomorrow"' in event.data for event in stored), "the api of tomorrow does not run"
    shop.sell_some(15)
    shop.becomes(order, "SHIPPED")
    system.restart("api")  # today's aggregate is read from tomorrow's events
    for name in ("saga", "projector", "relay"):
        system.restart(name, **later)
    shop.company.chen.post(f"/orders/{order}/payments", {"amount": "1.00", "method": "bank"})
    shop.sell_some(15)
    await_rest(system)
    for name in ("saga", "projector", "relay"):
        system.restart(name)
    shop.sell_some(5)


def _tomorrow(folder: Path) -> Path:
    """A copy of the code in which OrderSubmitted has one more optional field, and is written with it."""
    shutil.rmtree(folder, ignore_errors=True)
    for package in ("contracts", "chassis", "services", "deploy"):
        shutil.copytree(REPOSITORY_ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    declared = folder / "contracts" / "orders.py"
    lines = declared.read_text().splitlines()
    tree = ast.parse("\n".join(lines))
    fact = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "OrderSubmitted")
    lines.insert(fact.body[-1].end_lineno or 0, "    written_by_tomorrow: Text | None = None")
    declared.write_text("\n".join(lines) + "\n")
    domain = folder / "services" / "orders" / "domain.py"
    text = domain.read_text()
    recorded = "            OrderSubmitted(\n"
    assert text.count(recorded) == 1, "the order no longer records OrderSubmitted in one place"
    domain.write_text(text.replace(recorded, recorded + '                written_by_tomorrow="yes",\n'))
    return folder
