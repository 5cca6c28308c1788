"""The checker finds what is planted: each test breaks good evidence in one way and expects that one complaint."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from component.facts import NOW, submitted, yuan

from chassis.store.events import Metadata, Notification
from chassis.testing.people import SALES
from contracts.declare import REGISTRY
from contracts.orders import OrderShipped
from contracts.schemas import encode

from .check import Evidence, examine
from .faults import load
from .history import Entry, History, Operation
from .proxy import HOST, KafkaWire, Proxy, contains
from .run import FAULTS, Result, table, worst, write

ORDER = submitted(SALES, "10.00")


def event(fact: Any, version: int, position: int, command_id: str) -> Notification:
    spec = REGISTRY.event_of(type(fact))
    key = str(getattr(fact, spec.key))
    meta = Metadata(at=NOW, command_id=command_id, correlation_id=command_id)
    return Notification(position, UUID(key), version, spec.name, key, encode(fact), meta)


@pytest.fixture
def good() -> Evidence:
    """One order, submitted and shipped."""
    orders = [
        event(ORDER, 1, 1, "submit"),
        event(OrderShipped(order_id=ORDER.order_id, round=1, sale=ORDER.sale), 2, 2, "ship"),
    ]
    return Evidence(
        operations=[Operation("submit it", "submit", (Entry(0.0, "ok", "submit it", "submit", reply={"version": 1}),))],
        events={"orders": orders},
        statuses={ORDER.order_id: "SHIPPED"},
    )


def complaint(evidence: Evidence) -> str:
    found = examine(evidence)
    assert found, "nothing was found"
    return "\n".join(found)


def test_good_evidence_has_no_complaint(good: Evidence) -> None:
    assert examine(good) == []


def test_i1_an_acknowledged_command_that_is_lost(good: Evidence) -> None:
    lost = Operation("POST /orders", "lost", (Entry(0.0, "ok", "POST /orders", "lost", reply={}),))
    assert complaint(replace(good, operations=[*good.operations, lost])) == (
        "I1: POST /orders (lost) was acknowledged and is lost"
    )


def test_i1_an_unknown_command_that_happened_twice(good: Evidence) -> None:
    again = event(replace(ORDER), 3, 3, "submit")
    events = {"orders": [*good.events["orders"], again]}
    unknown = Operation("submit it", "submit", (Entry(0.0, "unknown", "submit it", "submit"),))
    text = complaint(replace(good, operations=[unknown], events=events))
    assert "I1: submit it (submit) happened more than once" in text
    assert "stands there 2 times" in text


def test_i1_a_repeat_that_is_answered_otherwise(good: Evidence) -> None:
    first, second = (Entry(0.0, "ok", "submit it", "submit", reply={"version": n}) for n in (1, 2))
    assert complaint(replace(good, operations=[Operation("submit it", "submit", (first, second))])) == (
        "I1: submit it (submit) was answered in two ways"
    )


def test_an_unknown_command_may_have_happened_or_not(good: Evidence) -> None:
    outcomes = (Entry(0.0, "unknown", "submit it", "submit"),)
    never = Operation("x", "never", (Entry(0.0, "unknown", "x", "never"),))
    assert examine(replace(good, operations=[Operation("submit it", "submit", outcomes), never])) == []


def test_i2_a_refused_command_that_happened(good: Evidence) -> None:
    refused = Operation("submit it", "submit", (Entry(0.0, "fail", "submit it", "submit", status=409),))
    assert complaint(replace(good, operations=[refused])) == "I2: submit it (submit) was refused and happened"


def test_i5_a_total_that_is_not_the_sum_of_its_lines(good: Evidence) -> None:
    sale = replace(ORDER.sale, total=yuan("11.00"))
    orders = [event(replace(ORDER, sale=sale), 1, 1, "submit"), *good.events["orders"][1:]]
    text = complaint(replace(good, events={"orders": orders}))
    assert text == f"I5: order {ORDER.order_id}: lines 10.00, total 11.00"


def test_i6_an_order_that_got_stuck(good: Evidence) -> None:
    text = complaint(replace(good, statuses={ORDER.order_id: "SUBMITTED"}))
    assert text == f"I6: order {ORDER.order_id} is still SUBMITTED"


def test_the_history_tells_operations_from_attempts(tmp_path: Path) -> None:
    history = History(tmp_path / "1.jsonl")
    for kind in ("invoke", "unknown", "invoke", "ok"):
        history.note(kind, "POST /orders", "one")
    history.note("invoke", "POST /orders", "never answered")
    history.close()

    one, never = history.operations()

    assert [entry.kind for entry in one.outcomes] == ["unknown", "ok"]
    assert len(one.acknowledged) == 1 and not one.refused
    assert never.outcomes == ()
    lines = [json.loads(line) for line in (tmp_path / "1.jsonl").read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["invoke", "unknown", "invoke", "ok", "invoke"]


# -- the run and the proxy


def test_the_table_and_the_file_say_what_happened(tmp_path: Path) -> None:
    results = {
        2: Result("fail", "I7: lost", 2.0, ("I7",), "relay killed"),
        1: Result("pass", "3 ok", 1.0, ("I1", "I2"), "api killed"),
    }
    write(results, tmp_path / "chaos.json")
    written = json.loads((tmp_path / "chaos.json").read_text())
    assert written["1"]["result"] == "pass" and written["2"]["reason"] == "I7: lost"
    assert [line.split()[:2] for line in table(results).splitlines()[1:3]] == [["1", "pass"], ["2", "fail"]]
    assert worst(list(results.values())) == 1
    assert worst([results[1]]) == 0


NOT_HERE = {12, 21, 25, 31, 32}  # as README.md tells


def test_every_fault_of_the_list_is_declared() -> None:
    load()
    assert set(FAULTS).isdisjoint(NOT_HERE)
    assert set(FAULTS) | NOT_HERE == set(range(1, max(FAULTS) + 1))
    assert all(fault.invariants and fault.act.__doc__ for fault in FAULTS.values())


class Echo:
    """A server that answers each of Kafka's frames with the same."""

    def __init__(self) -> None:
        self.socket = socket.create_server((HOST, 0))
        self.port = self.socket.getsockname()[1]
        self.got: list[bytes] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self.socket.accept()
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(ConnectionResetError):
            while head := connection.recv(4):
                body = connection.recv(int.from_bytes(head, "big"))
                self.got.append(body)
                connection.sendall(head + body[4:8] + body[:4] + body[8:])  # the id stands first in answers


def request(number: int, text: bytes) -> bytes:
    body = bytes(4) + number.to_bytes(4, "big") + text
    return len(body).to_bytes(4, "big") + body


@pytest.fixture
def echo() -> Any:
    server = Echo()
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    proxy = Proxy(port, server.port, KafkaWire())
    proxy.start()
    yield server, proxy
    proxy.stop()


def test_a_trap_holds_a_request_before_it_arrives(echo: tuple[Echo, Proxy]) -> None:
    server, proxy = echo
    with socket.create_connection((HOST, proxy.port), timeout=5) as client:
        with proxy.trap(b"stop", at="before") as trap:
            client.sendall(request(1, b"go"))
            assert client.recv(100).endswith(b"go")
            client.sendall(request(2, b"stop here"))
            trap.wait(5)
            assert [body[8:] for body in server.got] == [b"go"]
        with pytest.raises(ConnectionResetError):
            client.recv(100)


def test_a_trap_holds_the_answer_to_its_own_request(echo: tuple[Echo, Proxy]) -> None:
    server, proxy = echo
    client = socket.create_connection((HOST, proxy.port), timeout=5)
    with client, proxy.trap(contains(b"stop"), at="after") as trap:
        client.sendall(request(7, b"go") + request(8, b"stop"))
        trap.wait(5)
        assert client.recv(100).endswith(b"go"), "the answer to another request is not held"
        assert [body[8:] for body in server.got] == [b"go", b"stop"]
        assert trap.held.endswith(b"stop")
        proxy.resolve(trap, "release")
        assert client.recv(100).endswith(b"stop")


def test_a_half_open_connection_swallows_everything_until_it_is_cut(echo: tuple[Echo, Proxy]) -> None:
    server, proxy = echo
    with socket.create_connection((HOST, proxy.port), timeout=0.3) as client:
        client.sendall(request(1, b"go"))
        assert client.recv(100).endswith(b"go")
        proxy.half_open()
        client.sendall(request(2, b"lost"))
        with pytest.raises(TimeoutError):
            client.recv(100)
        assert [body[8:] for body in server.got] == [b"go"]
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            client.recv(100)


def test_a_trap_that_is_not_sprung_fails(echo: tuple[Echo, Proxy]) -> None:
    with echo[1].trap(b"never", at="before") as trap, pytest.raises(AssertionError, match="has not passed"):
        trap.wait(0.05)
