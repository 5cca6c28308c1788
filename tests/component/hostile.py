"""Records that none of ours writes, made from a genuine one: what a stranger, a defect or an attacker may put there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from unittest import mock
from uuid import uuid4

from kafka import KafkaProducer
from kafka.record.default_records import DefaultRecordBatchBuilder
from msgspec import json

from chassis.documents.samples import sample
from chassis.foundation.config import Config
from chassis.foundation.connections import kafka_arguments
from chassis.foundation.limits import MAX_HEADER_BYTES, MAX_KEY_BYTES, MAX_MESSAGE_BYTES, MAX_VALUE_BYTES
from chassis.messaging.kafka import partition_of
from chassis.messaging.provenance import DROP, OFFSET, PARTITION, PLACE, REASON, RESOLVES, TOPIC
from chassis.messaging.records import command_headers, event_headers
from chassis.store.events import Metadata, Notification
from component.facts import NOW
from contracts.declare import CommandSpec, EventSpec

Headers = dict[str, bytes | None]


class Raw(str):
    """A header's name of bytes that are no text."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return b"\xff\xfe\xff"


@dataclass(frozen=True)
class Sent:
    """A record as it is given to Kafka."""

    key: bytes | None
    value: bytes
    headers: Headers
    partition: int = 0
    is_null: bool = False  # no value at all
    codec: str | None = None
    more: tuple[tuple[str, bytes], ...] = field(default=())

    def with_headers(self, **changed: bytes | None) -> Sent:
        return replace(self, headers={**self.headers, **changed})

    def without(self, name: str) -> Sent:
        return replace(self, headers={key: value for key, value in self.headers.items() if key != name})


def genuine_event(spec: EventSpec, position: int, partitions: int) -> Sent:
    """An event as its service would publish it, of a stream of its own."""
    fact, key = _sample(spec)
    meta = Metadata(at=NOW, command_id=str(uuid4()), correlation_id="call")
    event = Notification(position, uuid4(), 1, spec.name, key, json.encode(fact), meta)
    return Sent(key.encode(), event.data, dict(event_headers(spec, event, key)), partition_of(key, partitions))


def _sample(spec: EventSpec | CommandSpec) -> tuple[dict[str, Any], str]:
    """A contract as JSON, and its key."""
    made = {**sample(spec.cls), spec.key: str(uuid4())}
    return made, made[spec.key]


def genuine_command(spec: CommandSpec, sender: str, position: int, partitions: int) -> Sent:
    """A command as a saga would send it."""
    command, key = _sample(spec)
    meta = Metadata(at=NOW, command_id="", correlation_id="call")
    headers = command_headers(sender, spec.name, str(uuid4()), position, meta)
    return Sent(key.encode(), json.encode(command), dict(headers), partition_of(key, partitions))


def _other_partition(record: Sent, partitions: int) -> Sent:
    return replace(record, partition=(record.partition + 1) % partitions)


Change = Callable[[Sent, int], Sent]
CHANGES: Mapping[str, Change] = {
    "no headers": lambda r, n: replace(r, headers={}),
    "null header": lambda r, n: r.with_headers(ce_position=None),
    "null source": lambda r, n: r.with_headers(ce_source=None),
    "all headers null": lambda r, n: replace(r, headers=dict.fromkeys(r.headers), value=r.value + b" "),
    "header name of no characters": lambda r, n: replace(r, more=((Raw("x"), b"1"),)),
    "huge header": lambda r, n: r.with_headers(ce_traceparent=b"t" * 10 * MAX_HEADER_BYTES),
    "many headers": lambda r, n: replace(r, more=tuple((f"h{i}", b"v") for i in range(5_000))),
    "headers of a letter": lambda r, n: r.with_headers(**{REASON: b"x"}),
    "headers of a replay": lambda r, n: r.with_headers(
        **{RESOLVES: b"0", TOPIC: b"orders.events", PARTITION: b"0", OFFSET: b"0", PLACE: b"1"}
    ),
    "position beyond all": lambda r, n: r.with_headers(ce_position=b"1" + b"0" * 22),
    "position beyond a log": lambda r, n: r.with_headers(ce_position=b"9" * 18),
    "position below": lambda r, n: r.with_headers(ce_position=b"-5"),
    "position nought": lambda r, n: r.with_headers(ce_position=b"0"),
    "position in other digits": lambda r, n: r.with_headers(ce_position="٣".encode()),
    "position of 10,000 digits": lambda r, n: r.with_headers(ce_position=b"7" * 10_000),
    "no position": lambda r, n: r.without("ce_position"),
    "time without a zone": lambda r, n: r.with_headers(ce_time=b"2026-03-02T01:00:00"),
    "time before all": lambda r, n: r.with_headers(ce_time=b"0001-01-01T00:00:00+14:00"),
    "time after all": lambda r, n: r.with_headers(ce_time=b"9999-12-31T23:59:59-14:00"),
    "no time": lambda r, n: r.without("ce_time"),
    "unknown type": lambda r, n: r.with_headers(ce_type=b"salestream.orders.nobody-knows.v9"),
    "huge type": lambda r, n: r.with_headers(ce_type=b"t" * 5_000),
    "type of a command of people": lambda r, n: r.with_headers(ce_type=b"CreateOrder"),
    "type of another topic": lambda r, n: r.with_headers(
        ce_type=b"salestream.devices.device-wiped.v1"
        if b"devices" not in (r.headers["ce_type"] or b"")
        else b"salestream.orders.order-created.v1"
    ),
    "from somebody else": lambda r, n: r.with_headers(ce_source=b"/salestream/gateway"),
    "from nowhere": lambda r, n: r.without("ce_source"),
    "id of no stream": lambda r, n: r.with_headers(ce_id=b"nonsense"),
    "huge id": lambda r, n: r.with_headers(ce_id=b"i" * 5_000),
    "no key": lambda r, n: replace(r, key=None),
    "key of no characters": lambda r, n: replace(r, key=b"\xff\xfe"),
    "huge key": lambda r, n: replace(r, key=b"k" * 100 * MAX_KEY_BYTES),
    "key of another": lambda r, n: replace(r, key=str(uuid4()).encode()),
    "in another partition": _other_partition,
    "no value": lambda r, n: replace(r, is_null=True),
    "empty value": lambda r, n: replace(r, value=b""),
    "deep JSON": lambda r, n: replace(r, value=b"[" * 200_000),
    "another shape": lambda r, n: replace(r, value=b'{"what": null}'),
    "not JSON": lambda r, n: replace(r, value=b"\x00\x01\xff"),
    "3 MB, zipped": lambda r, n: replace(r, value=b" " * (MAX_VALUE_BYTES + 1_200_000) + r.value, codec="gzip"),
}
"""What is wrong with a record, by name; a change takes the genuine one and the number of partitions."""

OF_EVENTS_ALONE: Mapping[str, Change] = {
    "version not its sequence": lambda r, n: r.with_headers(ce_sequence=b"7"),
    "subject of another": lambda r, n: r.with_headers(ce_subject=str(uuid4()).encode()),
}

LETTERS: Mapping[str, Headers] = {
    "no letter": {},
    "letter without a place": {REASON: b"x"},
    "null reason": {REASON: None, TOPIC: None, PARTITION: None, OFFSET: None, PLACE: None},
    "place of nowhere": {REASON: b"x", TOPIC: b"orders.events", PARTITION: b"0", OFFSET: b"0", PLACE: b"\x00$"},
    "partition beyond all": {REASON: b"x", TOPIC: b"t", PARTITION: b"1" * 30, OFFSET: b"0", PLACE: b"1"},
    "topic of no characters": {REASON: b"x", TOPIC: b"\xff", PARTITION: b"0", OFFSET: b"0", PLACE: b"1"},
    "replay of no number": {RESOLVES: b"all", TOPIC: b"t", PARTITION: b"0", OFFSET: b"0", PLACE: b"1"},
    "letter and replay": {REASON: b"x", RESOLVES: b"0", TOPIC: b"t", PARTITION: b"0", OFFSET: b"0", PLACE: b"1"},
    "drop of nothing": {DROP: b"1"},
}
"""Malformed records on a dead-letter topic: their headers."""


def hostile_records(genuine: Sent, partitions: int, *, is_event: bool) -> Iterator[tuple[str, Sent]]:
    """Everything that may be wrong with a record, each under an id of its own."""
    changes = {**CHANGES, **(OF_EVENTS_ALONE if is_event else {})}
    for name, change in changes.items():
        own = f"{uuid4()}/1" if is_event else str(uuid4())
        yield name, change(genuine.with_headers(ce_id=own.encode()), partitions)


NULL = b"no value"
"""Stands for a header's missing value until the client library has checked it."""


def _append_with_null_headers(self: Any, offset: Any, at: Any, key: Any, value: Any, headers: Any, **more: Any) -> Any:
    """Kafka knows headers without a value, its Python client sends none: they are put in behind its checks."""
    given = [(name, None if content is NULL else content) for name, content in headers]
    return _append(self, offset, at, key, value, given, **more)


_append = DefaultRecordBatchBuilder.append


class Strangers:
    """Producers that keep none of our rules; in use inside the block."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._producers: dict[str | None, KafkaProducer] = {}
        self._patch = mock.patch.object(DefaultRecordBatchBuilder, "append", _append_with_null_headers)

    def __enter__(self) -> Strangers:
        self._producers = {
            codec: KafkaProducer(
                **kafka_arguments(self._config), compression_type=codec, max_request_size=4 * MAX_MESSAGE_BYTES
            )
            for codec in (None, "gzip")
        }
        self._patch.start()
        return self

    def __exit__(self, *_: object) -> None:
        for producer in self._producers.values():
            producer.close(timeout=10)
        self._patch.stop()

    def send(self, topic: str, sent: Sent, partition: int | None = None) -> str:
        """Put a record onto a topic; returns its place."""
        found = (
            self._producers[sent.codec]
            .send(
                topic,
                key=sent.key,
                value=None if sent.is_null else sent.value,
                headers=[
                    *((name, NULL if value is None else value) for name, value in sent.headers.items()),
                    *sent.more,
                ],
                partition=sent.partition if partition is None else partition,
            )
            .get(30)
        )
        return f"{topic}:{found.partition}@{found.offset}"
