"""An order's number is its own: whatever ids clients send, at once or later, through one process or several."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from load.data import Data

from chassis.foundation.config import Config
from chassis.store.event_store import EventStore
from chassis.store.memory import MemoryRecorder
from chassis.store.opening import open_store
from chassis.writer.request import Request
from chassis.writer.writer import Writer
from contracts.orders import OrderCreated, is_counted, order_number
from contracts.schemas import decode
from services.orders.application import SERVICE

Open = Callable[[], EventStore]
ALIKE = [UUID(int=number << 64 | 0x8000_0012_3456_789A) for number in range(1, 40)]
"""Ids whose last eight bytes are the same."""


@pytest.fixture(params=["sqlite", "postgres", "memory"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens the store of orders, as a process that starts would; all are connections to the same one."""
    config = Config(event_store=request.param, data_dir=str(tmp_path))
    if request.param == "postgres":
        config = replace(config, postgres_url=request.getfixturevalue("postgres_url"))
        with psycopg.connect(config.postgres_url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA IF EXISTS orders CASCADE")
    stores = [open_store("orders", config)]
    Data.of(1).teach_orders(stores[0])

    def open_it() -> EventStore:
        if request.param == "memory":
            return EventStore("orders", stores[0].recorder)
        stores.append(open_store("orders", config))
        return stores[-1]

    yield open_it
    for store in stores:
        store.close()


def creating(*ids: UUID) -> list[Request]:
    """Requests that write an order under each of these ids."""
    requests = Data.of(1).create_orders(len(ids))
    for request, id in zip(requests, ids, strict=True):
        request.command = replace(request.command, order_id=id)
    return requests


def told(requests: list[Request]) -> list[str]:
    """The numbers that were answered."""
    return [str(request.future.result(0).body["number"]) for request in requests]


def stored(store: EventStore) -> dict[UUID, str]:
    """The number of each order in a store."""
    facts = [decode(OrderCreated, event.data) for event in store.notifications(0, 10_000)]
    return {fact.order_id: fact.number for fact in facts}


def test_ids_that_end_alike_get_numbers_of_their_own_at_once_and_after_a_restart(opened: Open) -> None:
    answered: list[str] = []
    for ids in (ALIKE[:1], ALIKE[1:20], ALIKE[20:]):  # alone, many in one commit, the rest by one that starts later
        store = opened()
        requests = creating(*ids)
        Writer(SERVICE, store).execute(requests)
        answered += told(requests)
    assert answered == [order_number(count) for count in range(1, len(ALIKE) + 1)]
    assert list(stored(store).values()) == answered


def test_two_processes_never_give_one_number(opened: Open) -> None:
    slow, quick = opened(), Writer(SERVICE, opened())
    between, waiting = creating(*ALIKE[:3]), list[Request]()
    counted = slow.position

    def while_another_is_quicker(name: str) -> int | None:
        """The other process writes the order that waits, after the look at the counter and before the commit."""
        found = counted(name)
        if waiting:
            quick.execute([waiting.pop()])
        return found

    slow.position = while_another_is_quicker  # type: ignore[method-assign]
    requests = creating(*ALIKE[3:])
    writer = Writer(SERVICE, slow)
    for first, batch in zip(between, (requests[:1], requests[1:8], requests[8:]), strict=True):
        waiting.append(first)
        writer.execute(batch)
    answered = told([*between, *requests])
    assert sorted(answered) == [order_number(count) for count in range(1, len(ALIKE) + 1)]
    assert stored(slow) == dict(zip(ALIKE, answered, strict=True))


def test_a_refused_order_takes_no_number(opened: Open) -> None:
    writer = Writer(SERVICE, opened())
    refused = creating(ALIKE[0])
    refused[0].command = replace(refused[0].command, customer_id=ALIKE[0])
    requests = [*creating(ALIKE[1]), *refused, *creating(ALIKE[2])]
    writer.execute(requests)
    assert told([requests[0], requests[2]]) == ["SO-000001", "SO-000002"]
    assert requests[1].future.exception(0) is not None


def test_a_repeated_command_is_told_its_number_again(opened: Open) -> None:
    writer, first, again = Writer(SERVICE, opened()), creating(ALIKE[0]), creating(ALIKE[0])
    for request in (*first, *again):
        request.remember, request.command_id = True, "the same"
    writer.execute(first)
    writer.execute(creating(ALIKE[1]))
    writer.execute(again)
    assert told(first) == told(again) == ["SO-000001"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.uuids(), max_size=8), max_size=6))
def test_whatever_the_ids_no_two_orders_have_one_number(batches: list[list[UUID]]) -> None:
    store = EventStore("orders", MemoryRecorder())
    Data.of(1).teach_orders(store)
    for ids in batches:
        Writer(SERVICE, store).execute(creating(*ids))
    numbers = stored(store)
    assert set(numbers) == {id for ids in batches for id in ids}
    assert len(set(numbers.values())) == len(numbers)


@given(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", min_size=8, max_size=8), st.integers(1, 10**12))
def test_no_number_is_one_of_a_former_release(characters: str, count: int) -> None:
    former = f"SO-{characters[:4]}-{characters[4:]}"
    assert order_number(count) != former
    assert is_counted(order_number(count)) and not is_counted(former)
