"""What a service does when something happens in another one: in order, once, whatever stops in between (ADR 0056)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from component.facts import incoming
from eventsourcing.persistence import OperationalError

from chassis.access.company import CompanySettings
from chassis.access.directory import Directory
from chassis.catalogue import known_everywhere
from chassis.messaging.inbox import Inbox
from chassis.messaging.records import PoisonRecord
from chassis.store.event_store import EventStore
from chassis.store.events import fact_class
from chassis.store.memory import MemoryRecorder
from chassis.store.transaction import Transaction
from chassis.testing.people import ADMIN, WAREHOUSE
from chassis.writer.request import Request
from chassis.writer.writer import Writer
from contracts.errors import Refused
from contracts.inventory import Attributes, Prices, ProductAdded, ProductDeleted, StockFellLow
from contracts.notices import NoticeGiven, telling_id
from contracts.schemas import decode
from contracts.types import Money
from services.notices.application import SERVICE

TEN = Money(amount=Decimal("10.00"), currency="CNY")
SOURCES = ["inventory.events:0"]


class AtOnce(Writer):
    """A writer without a thread: what is submitted is carried out."""

    def submit_all(self, requests: Sequence[Request]) -> None:
        self.execute(requests)


@pytest.fixture
def store() -> EventStore:
    return EventStore("notices", MemoryRecorder())


def inbox_on(store: EventStore, service: Any = SERVICE) -> Inbox:
    directory = Directory(known_everywhere(), company=CompanySettings())
    for one in (ADMIN, WAREHOUSE):
        directory.introduce(one)
    inbox = Inbox(AtOnce(service, store), directory.company, organisation=directory)
    inbox.offsets(SOURCES)
    return inbox


def added(id: UUID, name: str) -> Any:
    attributes = Attributes(name=name, model="M", brand="B")
    return ProductAdded(product_id=id, attributes=attributes, prices=Prices(purchase=TEN, sale=TEN), alert_quantity=10)


def low(id: UUID) -> StockFellLow:
    return StockFellLow(product_id=id, balance=9, alert_quantity=10)


def texts(store: EventStore) -> list[str]:
    found: list[Any] = [
        decode(fact_class(one.type), one.data, one.aggregate_id) for one in store.notifications(0, 1_000)
    ]
    return [fact.text for fact in found if isinstance(fact, NoticeGiven) and fact.receiver_id == WAREHOUSE.user_id]


def recent(facts: Sequence[Any], inbox: Inbox) -> list[Any]:
    """As records of now: what is old is told to nobody."""
    now = inbox._clock()
    return [replace(incoming(fact, position), at=now) for position, fact in enumerate(facts, start=1)]


def test_a_reaction_knows_what_the_record_told_before_it_and_not_after(store: EventStore) -> None:
    """All in one poll: entered, low, renamed, low, taken out of the catalogue, low."""
    one, other = uuid4(), uuid4()
    inbox = inbox_on(store)
    facts = [added(one, "Cup"), added(other, "Pan"), low(one), added(one, "Mug"), low(one), low(other),
             ProductDeleted(product_id=one), low(one)]  # fmt: skip
    inbox.process(recent(facts, inbox))
    assert [text.partition(" ")[0] for text in texts(store)] == ["Cup", "Mug", "Pan"]
    assert dict(inbox.offsets(SOURCES)) == {"inventory.events:0": len(facts)}


def test_what_is_handed_in_again_is_done_once(store: EventStore) -> None:
    product, inbox = uuid4(), inbox_on(store)
    records = recent([added(product, "Cup"), low(product), low(product)], inbox)
    inbox.process(records)
    inbox.process(records)
    again = inbox_on(store)
    again.process(records)
    assert len(texts(store)) == 2


def test_what_is_made_again_is_no_other_that_had_its_place(store: EventStore) -> None:
    """A rule was taken away before the event came again: the next one has its place, and is followed all the same."""
    product, inbox = uuid4(), inbox_on(store)
    inbox.process(recent([added(product, "Cup")], inbox))
    react = SERVICE.reactions[StockFellLow]

    def of(*names: str) -> Any:
        def told(fact: StockFellLow, heard: Any) -> Any:
            [command] = react(fact, heard)
            return [replace(command, telling_id=telling_id(f"{heard.id}:{name}")) for name in names]

        return replace(SERVICE, reactions={StockFellLow: told})

    [_, record] = recent([added(product, "Cup"), low(product)], inbox)
    stopped = inbox_on(store, of("first"))
    stopped._carry_out(stopped._requests(record))
    inbox_on(store, of("second")).process([record])
    assert len(texts(store)) == 2


def test_who_stops_between_what_was_done_and_that_it_was_read_does_it_once(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands are stored, the offsets are not: the records come again."""
    product, inbox = uuid4(), inbox_on(store)
    inbox.process(recent([added(product, "Cup")], inbox))
    commit = store.commit

    def lossy(transaction: Transaction) -> list[int]:
        if not transaction.events:
            raise OperationalError("the power is gone")
        return commit(transaction)

    records = recent([added(product, "Cup"), low(product)], inbox)[1:]
    with monkeypatch.context() as patched, pytest.raises(OperationalError):
        patched.setattr(store, "commit", lossy)
        inbox.process(records)
    assert len(texts(store)) == 1
    again = inbox_on(store)
    again.process(records)
    assert len(texts(store)) == 1
    assert dict(again.offsets(SOURCES)) == {"inventory.events:0": 2}


def test_a_reaction_that_is_refused_is_set_aside_and_its_record_with_it(store: EventStore) -> None:
    def refused(fact: StockFellLow, heard: object) -> Any:
        raise Refused("system.damaged_answer", state="DAMAGED")

    product = uuid4()
    inbox = inbox_on(store, replace(SERVICE, reactions={StockFellLow: refused}))
    inbox.process(recent([added(product, "Cup")], inbox))
    [_, record] = recent([added(product, "Cup"), low(product)], inbox)
    with pytest.raises((Refused, PoisonRecord)):
        inbox.process([record])
    assert texts(store) == []
    assert dict(inbox.offsets(SOURCES)) == {"inventory.events:0": 1}, "it is not read"
