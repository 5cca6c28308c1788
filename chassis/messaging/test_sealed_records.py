"""Records that tell of persons: set aside for what is wrong with them, and never because the keys are away (CPL-01)."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from chassis.foundation.transient import is_transient
from chassis.messaging.records import event_headers, read_record
from chassis.persons.keys import KeyRing
from chassis.persons.stores import MemoryKeys
from chassis.store.events import Metadata, Notification
from contracts.customers import CustomerCreated, CustomerData
from contracts.declare import REGISTRY
from contracts.people import SALESTREAM
from contracts.personal import KeysAway, use
from contracts.schemas import encode

HANA = UUID("01900000-0000-7000-8000-000000000001")
SPEC = REGISTRY.event_of(CustomerCreated)
FACT = CustomerCreated(customer_id=HANA, data=CustomerData(name="佐藤花子"), owner=SALESTREAM)


@dataclass
class Record:
    value: bytes
    headers: list[tuple[str, bytes]]
    topic: str = SPEC.topic
    partition: int = 0
    offset: int = 0
    key: bytes = str(HANA).encode()
    serialized_header_size: int = 400
    serialized_value_size: int = 400
    serialized_key_size: int = 36


class Away(MemoryKeys):
    def find(self, persons: Any) -> Any:
        raise TimeoutError("the server is away")


def record() -> Record:
    meta = Metadata(datetime(2026, 3, 2, tzinfo=UTC), "c", "c")
    event = Notification(1, HANA, 1, SPEC.name, str(HANA), encode(FACT), meta)
    return Record(event.data, event_headers(SPEC, event, str(HANA)))


def test_a_record_is_read_with_what_is_sealed_in_it() -> None:
    read = read_record(record(), {SPEC.name: CustomerCreated})
    assert (read.fact, read.poison) == (FACT, None)


def test_who_cant_reach_the_keys_reads_it_later() -> None:
    sent = record()
    use(KeyRing(Away))
    with pytest.raises(KeysAway) as away:
        read_record(sent, {SPEC.name: CustomerCreated})
    assert is_transient(away.value)


def test_a_record_of_another_system_is_set_aside() -> None:
    sent = record()
    use(KeyRing(MemoryKeys))
    read = read_record(sent, {SPEC.name: CustomerCreated})
    assert read.fact is None
    assert read.poison and "no key of" in read.poison


def test_a_record_whose_text_was_changed_is_set_aside() -> None:
    sent = record()
    sent.value = sent.value.replace(b"sealed:1:", b"sealed:1:AAAA")
    read = read_record(sent, {SPEC.name: CustomerCreated})
    assert read.fact is None
    assert read.poison and "not what was sealed" in read.poison
