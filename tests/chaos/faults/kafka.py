"""Kafka: away, deaf, full, and holding what nobody can read."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from uuid import uuid4

from component.hostile import LETTERS, Strangers, genuine_event, hostile_records
from component.support import until
from kafka.errors import KafkaError

from chassis.catalogue import Catalogue
from chassis.kafka.clients import producer
from chassis.messaging.consumer import WAITS
from chassis.messaging.dead_letters import DeadLetter, DeadLetters
from chassis.messaging.kafka import admin_client, dead_letter_topic
from chassis.messaging.relay import POSITION
from contracts.declare import REGISTRY
from contracts.orders import OrderSubmitted

from ..check import await_rest, read_topic, verified
from ..run import NotRun, Run, Violated, assure, fault
from ..system import SERVICES, ChaosSystem, says_ready
from .processes import produces_to
from .stores import filled, free

AWAY = 60.0


@fault(9, "Kafka stopped for 60 s, then killed", "I1", "I7")
def kafka_away(run: Run) -> None:
    """SIGSTOP for half a minute, then SIGKILL and half a minute without.  Orders are accepted all the time."""
    system, shop, kafka = run.system, run.shop, run.system.servers["kafka"]
    away = AWAY if run.rounds is None else float(run.rounds)
    with shop.busy(a_second=5):
        shop.until_sold(5)
        started = time.monotonic()
        with system.frozen(kafka):
            while time.monotonic() < started + away / 2:
                shop.until_sold(1)  # fails when orders are accepted no more
            lag = _outbox_lag(system)
            run.note(f"{lag} events wait after {away / 2:.0f} s")
            assert lag > 0, "nothing waits: Kafka was not away"
        assert kafka.kill()
        while time.monotonic() < started + away:
            shop.until_sold(1)
        larger = _outbox_lag(system)
        run.note(f"{larger} after {away:.0f} s")
        assert larger > lag, "nothing more waits: Kafka was not away"
        kafka.start()
        back = time.monotonic()
    until(lambda: _outbox_lag(system) == 0)
    run.note(f"drained {time.monotonic() - back:.1f} s after it was back")


def _outbox_lag(system: ChaosSystem) -> int:
    """Events stored and not yet on Kafka, of all services."""
    stores = [system.store(name) for name in SERVICES]
    return sum(store.last_position() - (store.position(POSITION) or 0) for store in stores)


@fault(10, "Kafka's acknowledgement lost", "I7")
def acknowledgement_lost(run: Run) -> None:
    """The answer to a produce request is held back, then its connection is reset: the producer must send again.

    Hit: the records are on Kafka and the producer has no answer.  Being idempotent it leaves no record twice.
    """
    repeated = ids_on_kafka(run.system)
    for number in range(run.rounds or 5):
        await_rest(run.system)
        with run.system.proxies["kafka"].trap(produces_to(b"orders.events"), at="after") as trap:
            order = run.shop.draft(f"draft-{number}")
            trap.wait()
            assert trap.held, "no answer was held back"
        run.shop.submit(order, f"submit-{number}")
        run.shop.becomes(order, "SHIPPED")
    twice = [id for id, count in ids_on_kafka(run.system).items() if count > max(1, repeated[id])]
    if twice:
        raise Violated(f"I7: {len(twice)} records stand on Kafka twice, {twice[0]} for one")


def ids_on_kafka(system: ChaosSystem) -> Counter[str]:
    """How often each event stands on orders.events."""
    return Counter(record.id for record in read_topic(system, "orders.events"))


@fault(11, "a second projector comes and goes every 2 s", "I8", "I9")
def second_member(run: Run) -> None:
    """Partitions are assigned, so there is no rebalance: one projector works, the other is fenced (ADR 0006).

    Here the second one is started and killed again and again while orders are written.  Whichever is fenced reads
    the stored positions and goes on; all partitions must be consumed 30 s after it is over.
    """
    second = run.system.another("projector")
    fenced = 0
    with run.shop.busy():
        for _ in range(run.rounds or 5):
            second.start()
            run.shop.until_sold(10)
            fenced += second.log.read_text().count("consumer fenced")
            assert second.kill()
        fenced += run.system.processes["projector"].log.read_text().count("consumer fenced")
    if fenced == 0:
        raise Violated("I9: two projectors worked side by side and neither was ever fenced")
    started = time.monotonic()
    try:
        await_rest(run.system, seconds=30)
    except AssertionError as error:
        raise Violated(f"I9: not all is consumed 30 s after: {error}") from error
    run.note(f"fenced {fenced} times, all consumed {time.monotonic() - started:.1f} s after")


@fault(13, "poison: bad JSON, unknown type, bytes without sense, 5 MB", "I7", own_check=True, spoils=True)
def poison(run: Run) -> None:
    """Records that nobody can read, put onto orders.events by hand, one under the key of a living order.

    They and what follows under that key must be set aside with cause and origin; all else goes on; nothing lags.
    """
    _poison(run)
    found = verified(run.system)
    foreign = [text for text in found if "Kafka holds a record that the store lacks" in text]
    if len(foreign) != POISONS or len(found) != POISONS:
        raise Violated(f"salestream verify finds {len(foreign)} of {POISONS} foreign records; " + "; ".join(found[:5]))


@fault(14, "dead letters dropped and replayed, twice", "I4", "I6", "I8", own_check=True, spoils=True)
def replayed_twice(run: Run) -> None:
    """The poison is dropped and what waits behind it is replayed with the command line, and then all of it again."""
    order = _poison(run)
    groups = Catalogue.read().groups()
    for _ in range(2):
        for group in groups:
            waiting = DeadLetters(run.system.config, group).waiting()
            if hopeless := [str(letter.number) for letter in waiting if letter.reason != WAITS]:
                _operator(run.system, "dlq", "drop", group, "--number", *hopeless)
            if waiting:
                _operator(run.system, "dlq", "replay", group)
        await_rest(run.system)
    left = {group: len(DeadLetters(run.system.config, group).waiting()) for group in groups}
    if any(left.values()):
        raise Violated(f"I6: still set aside after all was replayed twice: {left}")
    run.shop.becomes(order, "SHIPPED")
    assure(run)


def _operator(system: ChaosSystem, *arguments: str) -> None:
    """A command of `salestream`."""
    done = subprocess.run(
        [sys.executable, "-m", "chassis.run.main", *arguments],
        env={**os.environ, **system.local.settings()},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _poison(run: Run) -> str:
    """Send the poison; returns the order under whose key some of it stands."""
    system, shop = run.system, run.shop
    order = shop.draft("draft")
    await_rest(system)
    sender = producer(system.config)
    kind = REGISTRY.event_of(OrderSubmitted).name
    position = "0"  # that of no event: a false one would accuse an innocent event of having been set aside
    poisons: dict[str, tuple[str, bytes, str]] = {
        "unknown type": (order, b"{}", "salestream.orders.order-dreamt.v1"),  # of a newer version: its key waits
        "bad JSON": (str(uuid4()), b'{"order_id": "', kind),
        "bytes without sense": (str(uuid4()), os.urandom(900_000), kind),
        "no headers": (str(uuid4()), b"hello", ""),
    }
    try:
        for key, value, type in poisons.values():
            headers = [("ce_type", type.encode()), ("ce_id", key.encode()), ("ce_position", position.encode())]
            headers.append(("ce_time", datetime.now(UTC).isoformat().encode()))
            sender.send("orders.events", key=key.encode(), value=value, headers=headers if type else []).get(30)
        try:
            sender.send("orders.events", key=b"huge", value=os.urandom(5_000_000)).get(30)
        except KafkaError as error:
            run.note(f"5 MB: refused by Kafka ({type_name(error)})")
        else:
            raise AssertionError("Kafka has taken 5 MB")
    finally:
        sender.close()
    letters = until(lambda: _at_least(DeadLetters(system.config, "reports").waiting(), len(poisons)))
    reasons = {letter.key: letter for letter in letters}
    for name, (key, value, _) in poisons.items():
        letter = reasons[key]
        assert letter.reason and letter.value == value, f"{name}: set aside without its cause or content"
        assert letter.origin.startswith("orders.events:") and "@" in letter.origin, letter.origin
    shop.submit(order, "submit")  # stands behind the poison
    shop.sell_some(10)  # all others go on
    waiting = until(lambda: _at_least(DeadLetters(system.config, "reports").waiting(), len(poisons) + 1))
    assert [letter.type for letter in waiting if letter.key == order][1:2] == [kind], "the follower was not parked"
    await_rest(system)
    if wrong := shop.check_outcomes():
        raise Violated("; ".join(wrong))
    run.note(f"{len(waiting)} records set aside by reports, {len(shop.sales)} other orders unharmed")
    return order


POISONS = 4


def type_name(error: Exception) -> str:
    return type(error).__name__


def _at_least(letters: list[DeadLetter], count: int) -> list[DeadLetter]:
    return letters if len(letters) >= count else []


@fault(24, "the disks of Kafka and MongoDB are full", "I1", "I7", "I8")
def disks_full(run: Run) -> None:
    """One after the other: its folder, a small tmpfs, is filled under load; later freed, the server started again."""
    system, shop = run.system, run.shop
    if not system.has_disks:
        raise NotRun("a disk of its own takes mounting a tmpfs, which needs root")
    for name in ("kafka", "mongo"):
        server = system.servers[name]
        with shop.busy(), filled(server.home):
            shop.until_sold(15)  # orders need neither of them
            until(lambda server=server: server.pid is None or not server.healthy(), seconds=120)  # type: ignore[misc]
            run.note(f"{name} {'answers no more' if server.pid else 'stopped'} on a full disk")
            free(server.home)
            if server.pid is not None and not server.healthy():
                server.kill()
            server.start()
            shop.until_sold(5)


LOST = "orders.events"


@fault(36, "a topic deleted under load, published again from its store", "I1", "I6", "I7", "I8")
def topic_lost(run: Run) -> None:
    """orders.events is deleted while orders are written; later docs/runbooks/topic-lost.md is followed.

    Hit: relay, projector and saga say that they can't do their work.  Orders are accepted all the time.
    """
    system, shop = run.system, run.shop
    needing = [system.processes[name] for name in ("relay", "projector", "saga")]
    with shop.busy():
        shop.until_sold(15)
        admin = admin_client(system.config)
        try:
            admin.delete_topics([LOST])
        finally:
            admin.close()
        started = time.monotonic()
        until(lambda: not any(says_ready(process) for process in needing), seconds=90)
        noticed = time.monotonic() - started
        shop.until_sold(10)
        _operator(system, "topics", "republish", LOST)
        started = time.monotonic()
        until(lambda: all(says_ready(process) for process in needing), seconds=90)
        shop.until_sold(5)
        run.note(f"noticed by all within {noticed:.1f} s, ready {time.monotonic() - started:.1f} s after the repair")


@fault(37, "every kind of foreign record, and letters that nobody can read", "I6", "I7", own_check=True, spoils=True)
def foreign_records(run: Run) -> None:
    """What `component.hostile` knows, onto orders.events and every group's dead letters while orders are written.

    All of it is set aside by everybody, all else goes on, and an operator drops it with one command a group.
    """
    system, shop = run.system, run.shop
    groups = Catalogue.read().groups()
    partitions = system.config.topic_partitions
    with shop.busy(), Strangers(system.config) as strangers:
        shop.until_sold(5)
        one = genuine_event(REGISTRY.event_of(OrderSubmitted), 1, partitions)  # an old position: whole, it is a repeat
        places = [strangers.send(LOST, made) for _, made in hostile_records(one, partitions, is_event=True)]
        for group in groups:
            for headers in LETTERS.values():
                letter = one.with_headers(**headers, ce_id=str(uuid4()).encode())
                strangers.send(dead_letter_topic(group), letter, partition=0)
        shop.until_sold(20)
    await_rest(system)
    if wrong := shop.check_outcomes():
        raise Violated("; ".join(wrong))
    waiting = {group: DeadLetters(system.config, group).waiting() for group in groups}
    if len(waiting["reports"]) < len(LETTERS) + len(places) // 2:
        raise Violated(f"I7: reports set only {len(waiting['reports'])} of {len(places) + len(LETTERS)} aside")
    for group in groups:
        _operator(system, "dlq", "drop", group)
    until(lambda: not any(DeadLetters(system.config, group).waiting() for group in groups))
    found = [text for text in verified(system) if "Kafka holds a record that the store lacks" not in text]
    if found:
        raise Violated("; ".join(found[:5]))
    run.note(f"{len(places)} foreign records and {len(LETTERS)} letters, {len(shop.sales)} orders unharmed")
