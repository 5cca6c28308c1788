"""What a release has stored or set aside means the same to the next one."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from chassis.messaging import provenance
from chassis.messaging.dead_letters import as_known, origin_of
from chassis.messaging.progress import Progress
from chassis.messaging.provenance import OFFSET, PARTITION, PLACE, RESOLVES, TOPIC
from chassis.messaging.records import Incoming, RawHeaders, read_record
from chassis.model.principal import SYSTEM
from chassis.testing.services import InMemoryService
from chassis.writer.request import Request
from contracts.access import DepartmentAdded
from contracts.declare import REGISTRY
from contracts.inventory import DeductStock, StockLine
from contracts.people import Person
from contracts.schemas import encode
from services.inventory.application import SERVICE

PARTITIONS = 4
DEPARTMENT = uuid4()
FACT = DepartmentAdded(department_id=DEPARTMENT, name="Sales", parent_id=None, by=Person(name="root"))
KEY = str(DEPARTMENT).encode()
PARTITION_OF_KEY = provenance.hash_of(KEY) % PARTITIONS
SOURCE = f"access.events:{PARTITION_OF_KEY}"
HEADERS: RawHeaders = [
    ("ce_id", f"{DEPARTMENT}/1".encode()),
    ("ce_source", b"/salestream/access"),
    ("ce_type", REGISTRY.load().event_of(DepartmentAdded).name.encode()),
    ("ce_subject", KEY),
    ("ce_sequence", b"%020d" % 1),
    ("ce_position", b"7"),
    ("ce_time", datetime(2026, 3, 2, tzinfo=UTC).isoformat().encode()),
]
WANTED = {REGISTRY.event_of(DepartmentAdded).name: DepartmentAdded}


class Raw:
    """A record as the Kafka client gives it."""

    def __init__(self, topic: str, partition: int, offset: int, headers: RawHeaders) -> None:
        self.topic, self.partition, self.offset, self.headers = topic, partition, offset, headers
        self.key, self.value, self.serialized_header_size = KEY, encode(FACT), 200


def read(raw: Raw) -> Incoming:
    return read_record(raw, WANTED, {"access.events": PARTITIONS})


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> Incoming:
    """The record as a release sees it that does not know its type."""

    def unknown(_: bytes) -> Any:
        raise LookupError("unknown type")

    with monkeypatch.context() as former:
        former.setattr("chassis.messaging.records.rule_of", unknown)
        found = read(Raw("access.events", PARTITION_OF_KEY, 3, HEADERS))
    assert found.poison is not None
    return found


@pytest.fixture
def progress(unread: Incoming) -> Progress:
    """How far a consumer is that has set the record aside, the last of its partition."""
    before = Progress({SOURCE: 3}, {SOURCE: 6})
    after = before.branch()
    after.accept(replace(unread, fate="waits"))
    after.settle()
    return after


def test_what_was_set_aside_unread_does_not_stop_who_can_read_it(progress: Progress) -> None:
    assert progress.told_of_missed([read(Raw("access.events", PARTITION_OF_KEY, 3, HEADERS))]) == []


def test_what_was_set_aside_unread_is_applied_once_where_its_topic_is_read_again(
    progress: Progress, unread: Incoming
) -> None:
    progress.offsets[SOURCE] = 0
    again = as_known(read(Raw("access.events", PARTITION_OF_KEY, 0, HEADERS)), progress.aside)
    assert not progress.accept(again), "it waits for its letter"
    place = origin_of(unread).place.encode()
    about = [(TOPIC, b"access.events"), (PARTITION, str(PARTITION_OF_KEY).encode()), (OFFSET, b"3"), (PLACE, place)]
    replayed = read(Raw("reports.dlq", 0, 1, [*HEADERS, *about, (RESOLVES, b"0")]))
    assert progress.accept(replayed)
    assert not progress.accept(replace(again, offset=1)), "from here on it is a repeat"


def test_a_record_that_nobody_has_met_is_told(progress: Progress) -> None:
    other = {"ce_position": b"8", "ce_id": f"{DEPARTMENT}/2".encode(), "ce_sequence": b"%020d" % 2}
    newer = [(name, other.get(name, value)) for name, value in HEADERS]
    [told] = progress.told_of_missed([read(Raw("access.events", PARTITION_OF_KEY, 3, newer))])
    assert told == f"{SOURCE} holds position 8 at offset 3, which was passed unread"


def test_a_command_of_the_saga_is_known_by_its_id_however_a_later_release_writes_it() -> None:
    """Sent again after an upgrade, it may have a field that it had not before."""
    kit = InMemoryService(SERVICE)
    order = uuid4()

    def sent(quantity: int) -> Request:
        command = DeductStock(
            order_id=order, round=1, attempt=1, lines=(StockLine(product_id=uuid4(), quantity=quantity),)
        )
        context = SYSTEM.context(kit.now, kit.today)
        return Request(command, context, command_id="saga:1", remember=True, is_named=True)

    first, again = sent(1), sent(2)
    for request in (first, again):
        kit.writer.execute([request])
    assert again.future.result(timeout=0).body == first.future.result(timeout=0).body
    assert again.is_repeat
