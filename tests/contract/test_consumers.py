"""What every consumer keeps to, without a server: limits, which failures pass, who may send what, forged positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from random import Random
from types import SimpleNamespace
from typing import Any, Literal, get_type_hints
from uuid import uuid4

import pytest
from component.facts import NOW, incoming, submitted
from kafka.errors import KafkaTimeoutError, MessageSizeTooLargeError, NotLeaderForPartitionError
from pymongo.errors import AutoReconnect, BulkWriteError, DocumentTooLarge, OperationFailure

from chassis.catalogue import Catalogue
from chassis.foundation import limits, metrics
from chassis.foundation.config import Config
from chassis.foundation.health import Pulse
from chassis.foundation.transient import is_transient
from chassis.messaging.consumer import Consumer
from chassis.messaging.dead_letters import _letter
from chassis.messaging.partitions import damages
from chassis.messaging.progress import Aside, Progress
from chassis.messaging.provenance import rule_of
from chassis.messaging.records import Incoming, read_record
from chassis.messaging.relay import COMMAND_SENT, record_of
from chassis.model.commands import CommandSent
from chassis.sagas.runner import SagaRunner
from chassis.store.event_store import EventStore
from chassis.store.events import Metadata, Notification
from chassis.store.memory import MemoryRecorder
from chassis.testing.people import SALES
from contracts.approvals import CaseApproved, case_id_of
from contracts.company import ParameterSet
from contracts.declare import REGISTRY
from contracts.errors import Refused
from contracts.inventory import StockDeducted
from contracts.orders import OrderApproved, OrderShipped, OrderSubmitted
from contracts.people import Person
from contracts.schemas import decode, encode
from contracts.shipping import ShipmentHandedOver
from contracts.types import TextField
from services.fulfilment.saga import SAGA

SOURCE = "orders.events:0"


def largest() -> OrderSubmitted:
    """An order whose event is as long as one may be."""
    order = submitted(SALES, "9000.00", approval=True, warehouse=True)
    [line] = order.sale.lines
    room = limits.MAX_EVENT_BYTES - len(encode(order))
    found = replace(order, sale=replace(order.sale, lines=(replace(line, name=line.name + "x" * room),)))
    assert len(encode(found)) == limits.MAX_EVENT_BYTES
    return found


def parameter_set(name: str) -> SimpleNamespace:
    """The event of a parameter of this name, as a Kafka client tells of it."""
    spec = REGISTRY.event_of(ParameterSet)
    meta = Metadata(at=NOW, command_id="c", correlation_id="c")
    data = encode(ParameterSet(name=name, before="", value="1", reason="so"))
    event = Notification(1, uuid4(), 1, spec.name, name, data, meta)
    out = record_of("company", event)
    assert out is not None
    return SimpleNamespace(
        topic=out.topic, partition=0, offset=0, key=out.key.encode(), value=out.value, headers=out.headers,
        serialized_header_size=sum(len(name) + len(value or b"") for name, value in out.headers),
    )  # fmt: skip


@pytest.mark.parametrize("sign", ["x", "é", "数", "😀"])
def test_whatever_name_a_command_takes_is_a_key_that_consumers_take(sign: str) -> None:
    keys = [get_type_hints(spec.cls, include_extras=True)[spec.key] for spec in REGISTRY.load().commands.values()]
    fields = {kind for key in keys for kind in getattr(key, "__metadata__", ())}
    longest = max(kind.longest for kind in fields if issubclass(kind, TextField))
    assert longest * len("😀".encode()) <= limits.MAX_KEY_BYTES
    record = read_record(parameter_set(sign * longest), {REGISTRY.event_of(ParameterSet).name: ParameterSet})
    assert (record.poison, record.key) == (None, sign * longest)


def test_a_key_that_a_store_can_not_hold_is_of_a_stranger() -> None:
    """PostgreSQL takes no zero octet in a text: a replica that is filled anew stopped its service at one."""
    for wanted in ({}, {REGISTRY.event_of(ParameterSet).name: ParameterSet}):
        record = read_record(parameter_set("a\0b"), wanted)
        assert (record.foreign, record.poison) == (True, "its key has a zero octet")


def test_whatever_follows_of_the_largest_event_can_be_held() -> None:
    store = EventStore("fulfilment", MemoryRecorder())
    runner = SagaRunner(SAGA, store, timeout=timedelta(seconds=30), clock=lambda: NOW)
    runner.offsets([SOURCE])
    order = largest()
    id = order.order_id
    facts = [
        order,
        CaseApproved(case_id=case_id_of(id, 1), order_id=id, round=1),
        OrderApproved(order_id=id, round=1),
        StockDeducted(order_id=id, round=1, lines=()),
        ShipmentHandedOver(order_id=id, round=1, carrier="SF", tracking_number="1"),
        OrderShipped(order_id=id, round=1, sale=order.sale),
    ]
    for position, fact in enumerate(facts, start=1):
        runner.process([incoming(fact, position)])
    sent = [event for event in store.notifications(0, 100) if event.type == COMMAND_SENT]
    assert [decode(CommandSent, event.data).command for event in sent] == [
        "OpenCase", "ApproveOrder", "DeductStock", "PrepareShipment", "ShipOrder", "DispatchShipment",
    ]  # fmt: skip
    stored = [len(event.data) for event in store.notifications(0, 100)]
    assert max(stored) > limits.MAX_EVENT_BYTES, "nothing was put to the test"
    for event in sent:
        record = record_of("fulfilment", event)
        assert record is not None
        size = len(record.value) + sum(len(name) + len(value) for name, value in record.headers)
        assert size + limits.REASON_BYTES < limits.MAX_MESSAGE_BYTES


def test_each_limit_leaves_room_for_what_it_holds() -> None:
    assert limits.MAX_EVENT_BYTES < limits.MAX_FOLLOWING_BYTES <= limits.MAX_VALUE_BYTES
    letter = limits.MAX_VALUE_BYTES + limits.MAX_KEY_BYTES + 2 * limits.MAX_HEADER_BYTES + limits.REASON_BYTES
    assert letter < limits.MAX_MESSAGE_BYTES


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError(), TimeoutError(), OSError(28, "disk full"), KafkaTimeoutError(), AutoReconnect(""),
        NotLeaderForPartitionError(), OperationFailure("", 112), OperationFailure("not authorized", 13),
        BulkWriteError({"writeErrors": [{"code": 112}]}),
        Refused("system.too_many_commands"), Refused("system.store_away"),
    ],
    ids=repr,
)  # fmt: skip
def test_what_may_pass_is_waited_for(error: Exception) -> None:
    assert is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        OverflowError(), KeyError("x"), TypeError(), AssertionError(), RecursionError(), UnicodeError(),
        DocumentTooLarge(""), MessageSizeTooLargeError(), OperationFailure("too large", 17419),
        BulkWriteError({"writeErrors": [{"code": 2}]}),
        Refused("records.too_large", size=2, most=1), Refused("requests.no_address", field="path"),
    ],
    ids=repr,
)  # fmt: skip
def test_what_fails_always_is_not_waited_for(error: Exception) -> None:
    assert not is_transient(error)


def test_every_command_between_services_is_sent_by_a_saga_that_says_so() -> None:
    sent = {command: service for service, saga in Catalogue.read().sagas() for command in saga.sends()}
    inner = {spec.cls for spec in REGISTRY.commands.values() if not spec.is_public}
    assert sent.keys() <= inner
    for cls, service in sent.items():
        assert rule_of(REGISTRY.command_of(cls).name.encode()).senders == {f"/salestream/{service}".encode()}
    for cls in inner - sent.keys():
        assert rule_of(REGISTRY.command_of(cls).name.encode()).senders == frozenset(), (
            "somebody may send what nobody sends"
        )


# -- positions


def record(position: int, offset: int) -> Incoming:
    fact = submitted(SALES, "1.00", submitter=Person(user_id=SALES.user_id, name="li"))
    return incoming(fact, position, offset=offset)


def test_a_forged_far_position_silences_nobody() -> None:
    progress = Progress({}, {})
    taken = []
    for offset, position in enumerate([5, 7, limits.MAX_POSITION, 9, 12, 9, 12, limits.MAX_POSITION, 7, 13]):
        if progress.accept(record(position, offset)):
            taken.append(position)
    assert taken == [5, 7, limits.MAX_POSITION, 9, 12, limits.MAX_POSITION, 13]


def test_a_forged_far_position_is_forgotten_with_the_next_true_one() -> None:
    """What is told of the newest position (to who waits for it, to who measures the lag) is the truth again."""
    progress = Progress({}, {})
    for offset, position in enumerate([5, 7, limits.MAX_POSITION, 9]):
        progress.accept(record(position, offset))
    assert progress.positions == {"orders.events:0": 9}
    assert not progress.is_news(record(7, 4)), "a repeat"


@pytest.mark.parametrize("seed", range(200))
def test_without_forgery_each_is_taken_once_whatever_comes_again_or_is_set_aside(seed: int) -> None:
    """What a relay does: it goes on, or begins again at an earlier place; records are set aside, replayed, dropped."""
    random = Random(seed)
    firsts = sorted(random.sample(range(1, 100), 12))
    log, at = [], 0
    while at < len(firsts):
        log.append(firsts[at])
        at += 1
        if random.random() < 0.3:
            at = random.randint(0, at)
    progress = Progress({}, {})
    faulty = set(random.sample(firsts, 3))
    taken: list[int] = []
    for offset, position in enumerate(log):
        one = record(position, offset)
        fate: Literal["", "waits"] = "waits" if position in faulty and progress.is_news(one) else ""
        if progress.accept(replace(one, fate=fate)):
            taken.append(position)
        for origin in list(progress.aside):
            if random.random() < 0.2:
                faulty.discard(int(origin.place))
                letter = replace(
                    record(int(origin.place), offset),
                    source="g.dlq:0",
                    headers={
                        "dlq-resolves": "0",
                        "dlq-topic": "orders.events",
                        "dlq-partition": "0",
                        "dlq-place": origin.place,
                    },
                    offset=progress.offsets.get("g.dlq:0", 0),
                )
                if progress.accept(letter):
                    taken.append(int(origin.place))
    waiting = [int(origin.place) for origin in progress.aside]
    assert sorted(taken + waiting) == firsts


def test_nothing_of_ours_waits_for_a_foreign_record() -> None:
    foreign = replace(record(3, 0), foreign=True, poison="forged", fate="waits", key="k")
    progress = Progress({}, {})
    progress.accept(foreign)
    assert list(progress.aside.values()) == [Aside("", 0)]
    assert not progress.must_wait(replace(record(4, 1), key="k"))
    assert not progress.must_wait(replace(record(5, 2), key=""))


# -- topics that lack something


@pytest.mark.parametrize(
    ("begin", "end", "stored", "told"),
    [
        (0, 10, 10, ""),
        (0, 10, None, ""),
        (0, 0, 3, "orders.events:0 ends at 0, but 3 records of it were read before"),
        (0, 2, 3, "orders.events:0 ends at 2, but 3 records of it were read before"),
        (4, 10, 3, "orders.events:0 begins at 4: the records from 3 on are gone unread"),
        (4, 10, 4, ""),
        (4, 10, None, "orders.events:0 begins at 4: the records from 0 on are gone unread"),
    ],
)
def test_a_topic_that_lacks_what_was_not_read_is_told(begin: int, end: int, stored: int | None, told: str) -> None:
    offsets = {} if stored is None else {SOURCE: stored}
    assert "".join(damages({SOURCE: begin}, {SOURCE: end}, offsets)) == told


def test_old_commands_may_be_gone_for_who_never_read_any() -> None:
    assert damages({"orders.commands:0": 4}, {"orders.commands:0": 9}, {}) == []
    assert damages({"orders.commands:0": 4}, {"orders.commands:0": 9}, {"orders.commands:0": 2}) != []


# -- a step of a consumer


class Brokers:
    """Stands for the reader and the producer of a consumer: records to read, and the letters that were written."""

    def __init__(self, records: list[Incoming]) -> None:
        self.records, self.letters, self.read = records, list[dict[str, bytes]](), 0
        self.sources = [SOURCE]

    def poll(self, _timeout_ms: int) -> list[Incoming]:
        found, self.read = self.records[self.read :], len(self.records)
        return found

    def end_offsets(self) -> dict[str, int]:
        return {SOURCE: len(self.records)}

    def is_behind(self, ends: dict[str, int]) -> bool:
        return self.read < ends[SOURCE]

    def require_whole(self, offsets: dict[str, int]) -> None:
        """Nothing is missing."""

    def lag(self, _offsets: dict[str, int]) -> int:
        return 0

    def close(self) -> None:
        """Nothing is held."""

    def send(self, _topic: str, *, value: bytes, key: bytes, headers: list[tuple[str, bytes]]) -> Any:
        self.letters.append(dict(headers))
        return SimpleNamespace(get=lambda timeout: SimpleNamespace(offset=len(self.letters) - 1))

    def flush(self) -> None:
        """All has arrived."""


class Fails:
    """A handler that fails on some positions, and takes all else."""

    group = "test"

    def __init__(self, on: set[int], error: Exception) -> None:
        self.on, self.error, self.taken = on, error, list[int]()
        self.kept = Progress({}, {})

    def topics(self) -> list[str]:
        return ["orders.events"]

    def wanted(self) -> dict[str, type]:
        return {}

    def offsets(self, sources: Sequence[str]) -> dict[str, int]:
        return self.kept.offsets

    def progress(self, topic: str) -> list[Progress]:
        return [self.kept]

    def forget(self) -> None:
        """All of it is kept here."""

    def is_current(self) -> bool:
        return True

    def idle(self) -> None:
        """Nothing to do."""

    def process(self, records: Sequence[Incoming]) -> None:
        after = self.kept.branch()
        taken = [one.position for one in records if after.accept(one)]
        if self.on & set(taken):
            raise self.error
        self.kept = after
        self.taken += taken


def consumer_of(handler: Fails, brokers: Brokers) -> Consumer:
    made = Consumer(Config(), handler, lambda: brokers)  # type: ignore[arg-type,return-value]
    made._reader = brokers  # type: ignore[assignment]
    return made


@pytest.mark.parametrize(
    "error",
    [OverflowError("big"), Refused("records.too_large", size=2, most=1), KeyError("x"), DocumentTooLarge("16 MB")],
)
def test_whoever_fails_for_good_on_a_record_sets_it_aside_alone(error: Exception) -> None:
    brokers = Brokers([record(position, position - 1) for position in range(1, 7)])
    handler = Fails({3, 5}, error)
    consumer_of(handler, brokers).step()
    assert handler.taken == [1, 2, 4, 6]
    assert [letter["dlq-place"] for letter in brokers.letters] == [b"3", b"5"]
    assert all(type(error).__name__.encode() in letter["dlq-reason"] for letter in brokers.letters)
    assert handler.kept.offsets == {SOURCE: 6}


def test_what_may_pass_sets_nothing_aside_and_the_consumer_says_that_it_stands() -> None:
    now = [0.0]
    brokers = Brokers([record(position, position - 1) for position in range(1, 7)])
    handler = Fails({3}, AutoReconnect("no server"))
    consumer = consumer_of(handler, brokers)
    consumer._pulse = Pulse(clock=lambda: now[0])
    with pytest.raises(AutoReconnect):
        consumer.step()
    assert not brokers.letters
    assert not handler.taken
    consumer._stands(AutoReconnect("no server"))
    consumer._tell_lag(brokers)  # type: ignore[arg-type]
    assert metrics.of(metrics.CONSUMER_LAG, "test")._value.get() == 6
    brokers.read = 0
    consumer._gets_on(0)  # a look that brought nothing while something waits is no progress
    now[0] += 60
    assert "no server" in (consumer.problem() or "")
    handler.on.clear()
    consumer._gets_on(consumer.step())
    assert consumer.problem() is None
    assert handler.taken == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("size", [limits.MAX_VALUE_BYTES, limits.MAX_VALUE_BYTES + 1, 10_000_000])
def test_a_letter_fits_its_topic_whatever_it_is_about(size: int) -> None:
    huge = replace(record(3, 0), value=b"x" * size, raw_headers=tuple((f"h{n}", b"v" * 999) for n in range(500)))
    letter = _letter(huge, "r" * 100_000, cut=False)
    whole = len(letter.key) + len(letter.value) + sum(len(name) + len(value) for name, value in letter.headers)
    assert whole < limits.MAX_MESSAGE_BYTES
    assert dict(letter.headers)["dlq-place"] == b"3"


def test_a_process_that_cant_even_be_told_of_its_time_limit_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [NOW]
    store = EventStore("fulfilment", MemoryRecorder())
    runner = SagaRunner(SAGA, store, timeout=timedelta(seconds=30), clock=lambda: now[0])
    runner.offsets([SOURCE])
    broken, sound = submitted(SALES, "1.00"), submitted(SALES, "1.00")
    runner.process([incoming(broken, 1), incoming(sound, 2)])
    before = store.last_position()
    timed_out = type(SAGA).timed_out

    def fail(saga: Any, process: Any) -> None:
        if process.id == broken.order_id:
            raise ValueError("damaged")
        timed_out(saga, process)

    monkeypatch.setattr(type(SAGA), "timed_out", fail)
    now[0] += timedelta(seconds=31)
    runner.idle()
    sent = [event.aggregate_id for event in store.notifications(before, 10)]
    assert set(sent) == {sound.order_id}
    runner.idle()  # it is not tried again and again
    assert store.last_position() == before + len(sent)
