"""A record on Kafka: its headers, and what a consumer makes of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from kafka import TopicPartition

from chassis.foundation.limits import MAX_KEY_BYTES, MAX_NAME_BYTES
from chassis.messaging.provenance import (
    CUT,
    DEAD_LETTERS,
    DROP,
    LETTER_HEADERS,
    PARTITION,
    REASON,
    RESOLVES,
    TOPIC,
    Foreign,
    check_letter,
    check_place,
    check_size,
    position_of,
    rule_of,
    time_of,
)
from chassis.store.events import Metadata, Notification
from contracts.declare import EventSpec
from contracts.personal import KeysAway
from contracts.schemas import decode

RawHeaders = Sequence[tuple[str, bytes | None]]
NOT_KNOWN: Mapping[str, int] = {}


class PoisonRecord(Exception):
    """A record that can never be processed: unreadable, of an unknown type, or against a rule."""


# -- records out --------------------------------------------------------------------------------------------------


def event_headers(spec: EventSpec, event: Notification, subject: str) -> list[tuple[str, bytes]]:
    """The CloudEvents headers of a stored event.  Publishing again gives the same id."""
    meta = event.meta
    headers = {
        "ce_specversion": "1.0",
        "ce_id": f"{event.aggregate_id}/{event.version}",
        "ce_source": f"/salestream/{spec.service}",
        "ce_type": spec.name,
        "ce_time": meta.at.isoformat(),
        "ce_subject": subject,
        "ce_sequence": f"{event.version:020d}",
        "ce_position": str(event.position),
        "ce_correlationid": meta.correlation_id,
        "ce_causationid": meta.causation_id,
        "ce_authid": meta.user_id,
        "ce_traceparent": meta.traceparent,
        "ce_day": meta.day.isoformat() if meta.day else "",
        "content-type": "application/json",
    }
    return [(name, value.encode()) for name, value in headers.items() if value]


def command_headers(sender: str, name: str, command_id: str, position: int, meta: Metadata) -> list[tuple[str, bytes]]:
    """The headers of a command that one service sends to another."""
    headers = {
        "ce_specversion": "1.0",
        "ce_id": command_id,
        "ce_source": f"/salestream/{sender}",
        "ce_type": name,
        "ce_time": meta.at.isoformat(),
        "ce_position": str(position),
        "ce_correlationid": meta.correlation_id,
        "ce_causationid": meta.causation_id,
        "ce_traceparent": meta.traceparent,
        "content-type": "application/json",
    }
    return [(name, value.encode()) for name, value in headers.items() if value]


# -- records in ---------------------------------------------------------------------------------------------------


class Headers(Mapping[str, str]):
    """A record's headers as text, decoded when asked for: most are never read.  What is no UTF-8 shows as �."""

    def __init__(self, raw: Mapping[str, bytes | None]) -> None:
        self._raw = raw

    def __getitem__(self, name: str) -> str:
        return (self._raw[name] or b"").decode(errors="replace")

    def __contains__(self, name: object) -> bool:
        return name in self._raw

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A record taken from Kafka.  `source` is "topic:partition"; `position` grows in a source except for repeats."""

    source: str
    topic: str
    offset: int
    key: str
    type: str
    id: str
    position: int
    at: datetime | None
    value: bytes
    headers: Mapping[str, str]
    raw_headers: RawHeaders
    fact: Any = None
    poison: str | None = None
    foreign: bool = False  # none of ours has written it: nothing of ours has to wait for it
    fate: Literal["", "waits", "dropped"] = ""  # set aside, or given up: its offset counts, its content does not
    place: str = ""  # by which it is known as set aside or dropped, if not by its position (`dead_letters.as_known`)

    @property
    def correlation_id(self) -> str:
        return self.headers.get("ce_correlationid", "")


def read_record(record: Any, wanted: Mapping[str, type], partitions: Mapping[str, int] = NOT_KNOWN) -> Incoming:
    """Turn a Kafka record into an Incoming; `wanted` maps the types this reader handles to their classes.

    A record of another type has no fact; one that can't be read, or is none of ours (`chassis.messaging.provenance`),
    has `poison` set to the cause.  `partitions` are those of each topic, as far as they are known.
    Raises KeysAway where what is sealed in it can't be opened now.
    """
    raw: dict[str, bytes | None] = dict(record.headers or ())
    poison: str | None = None
    foreign = False
    fact: Any = None
    at: datetime | None = None
    position = record.offset
    key = (record.key or b"").decode("utf-8", "replace")
    try:
        topic, partition = record.topic, record.partition
        if topic.endswith(DEAD_LETTERS) or not LETTER_HEADERS.isdisjoint(raw):
            topic, partition = _first_place(raw, record)
        if REASON not in raw and DROP not in raw:
            check_size(record)
            kind = raw.get("ce_type") or b""
            rule = rule_of(kind)
            check_place(raw, record.key, rule, (topic, partition), partitions.get(topic, 0))
            position = position_of(raw)
            at = time_of(raw)
            if cls := wanted.get(kind.decode()):
                fact = decode(cls, record.value)
                if str(getattr(fact, rule.key)) != key:
                    raise Foreign("its key is not that of its content")
    except KeysAway:
        raise  # it may be read later
    except Foreign as error:
        poison, fact, foreign = str(error), None, True
    except Exception as error:  # whatever is wrong with foreign bytes, it is the record's fault
        poison = str(error) if isinstance(error, LookupError) else f"{type(error).__name__}: {error}"
    headers = Headers(raw)
    return Incoming(
        source=f"{record.topic}:{record.partition}",
        topic=record.topic,
        offset=record.offset,
        key=key if len(key) <= MAX_KEY_BYTES else f"{key[:MAX_KEY_BYTES]}...",
        type=(raw.get("ce_type") or b"")[:MAX_NAME_BYTES].decode("utf-8", "replace"),
        id=(raw.get("ce_id") or b"")[:MAX_NAME_BYTES].decode("utf-8", "replace"),
        position=position,
        at=at,
        value=record.value or b"",
        headers=headers,
        raw_headers=record.headers or (),
        fact=fact,
        poison=poison,
        foreign=foreign,
    )


def _first_place(raw: dict[str, bytes | None], record: Any) -> tuple[str, int]:
    """Topic and partition where the record that a dead letter is about first came.

    Raises Foreign for one that is no letter of ours, and takes from `raw` what makes it look like one.
    """
    try:
        check_letter(raw, record.topic)
    except Foreign:
        for name in LETTER_HEADERS & raw.keys():
            del raw[name]
        raise
    if CUT in raw and RESOLVES in raw and DROP not in raw:
        raise Foreign("its content was cut when it was set aside: it can't be replayed")
    return (raw[TOPIC] or b"").decode(), int(raw[PARTITION] or b"")


def unreadable_record(place: TopicPartition, offset: int, cause: Exception) -> Incoming:
    """What a consumer is told of a record that the client library can't read."""
    source = f"{place.topic}:{place.partition}"
    return Incoming(
        source=source,
        topic=place.topic,
        offset=offset,
        key="",
        type="",
        id=f"{source}@{offset}",
        position=offset,
        at=None,
        value=b"",
        headers={},
        raw_headers=(),
        poison=f"the Kafka client can't read it: {type(cause).__name__}: {cause}",
        foreign=True,
    )
