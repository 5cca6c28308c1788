"""Whether a record can be what it says: every record is asked that before anything is made of it.

An event comes from the service whose topic it is on, and says so; its id is that of a stream and a version, its
sequence is that version, its subject is its key, and its key gives its partition.  A command comes from a service whose
saga sends commands of that type.  Who may write to a topic can still say all that and lie: who may write is for
Kafka's access control to decide (docs/operations.md).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any

from kafka.partitioner.default import murmur2

from chassis.foundation.limits import MAX_HEADER_BYTES, MAX_KEY_BYTES, MAX_NAME_BYTES, MAX_POSITION, MAX_VALUE_BYTES
from contracts.declare import REGISTRY

RawHeaders = Mapping[str, bytes | None]

REASON = "dlq-reason"
RESOLVES = "dlq-resolves"
DROP = "dlq-drop"
TOPIC, PARTITION, OFFSET, PLACE = "dlq-topic", "dlq-partition", "dlq-offset", "dlq-place"
CUT = "dlq-cut"
"""The headers of a letter (`chassis.messaging.dead_letters`): the cause, what resolves it, where its record first came,
and how long its record was if the letter could not hold it."""

LETTER = "dlq-"
LETTER_HEADERS = frozenset({REASON, RESOLVES, DROP, TOPIC, PARTITION, OFFSET, PLACE, CUT})
DEAD_LETTERS = ".dlq"

_NUMBER = re.compile(rb"\d{1,18}")
_PLACE = re.compile(rb"\d{1,18}|@[0-9a-f]{20}")
_UUID = re.compile(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HASHES = 1 << 14


class Foreign(Exception):
    """A record that none of ours has written; the message says what gives it away."""


@dataclass(frozen=True, slots=True)
class ProvenanceRule:
    """What records of a type have in common: topic, who sends them, and the field that is their key."""

    topic: str
    senders: frozenset[bytes]
    key: str
    is_event: bool


_rules: dict[bytes, ProvenanceRule] = {}


def rule_of(kind: bytes) -> ProvenanceRule:
    """The rule for a type, worked out once.  Raises LookupError for a type that no service publishes."""
    rule = _rules.get(kind)
    if rule is None:
        rule = _rules[kind] = _made(kind.decode("utf-8", "replace"))
    return rule


def _made(name: str) -> ProvenanceRule:
    if event := REGISTRY.events.get(name):
        return ProvenanceRule(event.topic, frozenset({_source(event.service)}), event.key, is_event=True)
    command = REGISTRY.commands.get(name)
    if command is None or command.is_public:  # perhaps of a newer version: what follows on its key must wait
        raise LookupError(f"unknown type {name[:MAX_NAME_BYTES]!r}")
    senders = frozenset(_source(service) for service, sent in _sagas_send().items() if command.cls in sent)
    return ProvenanceRule(command.topic, senders, command.key, is_event=False)


@cache
def _sagas_send() -> Mapping[str, frozenset[type]]:
    """The commands that each service with a saga sends to others."""
    from chassis.catalogue import Catalogue  # noqa: PLC0415 - which imports the sagas, and those this module

    return {service: saga.sends() for service, saga in Catalogue.read().sagas()}


def _source(service: str) -> bytes:
    return f"/salestream/{service}".encode()


@lru_cache(_HASHES)
def hash_of(key: bytes) -> int:
    """What Kafka's default partitioner makes of a key; remembered, because a key comes again and again."""
    return int(murmur2(key)) & 0x7FFFFFFF


# -- the checks of a record, in the order in which they are asked


def check_size(record: Any) -> None:
    """Raises Foreign for a record larger than any of ours."""
    if record.value is None:
        raise Foreign("it has no value")
    if len(record.value) > MAX_VALUE_BYTES:
        raise Foreign(f"its value has {len(record.value)} bytes, ours have {MAX_VALUE_BYTES} at most")
    if len(record.key or b"") > MAX_KEY_BYTES:
        raise Foreign(f"its key has {len(record.key)} bytes, ours have {MAX_KEY_BYTES} at most")
    if record.serialized_header_size > MAX_HEADER_BYTES:
        raise Foreign(f"its headers have {record.serialized_header_size} bytes, ours {MAX_HEADER_BYTES} at most")


def check_place(
    raw: RawHeaders, key: bytes | None, rule: ProvenanceRule, place: tuple[str, int], partitions: int
) -> None:
    """Raises Foreign unless such a record may stand where this one first came, by topic and partition.

    `partitions` are those of the topic, 0 when they are not known.
    """
    topic, partition = place
    if topic != rule.topic:
        raise Foreign(f"it belongs on {rule.topic}, not on {topic}")
    sender = raw.get("ce_source")
    if sender not in rule.senders:
        raise Foreign(f"it says to come from {(sender or b'').decode('utf-8', 'replace')[:MAX_NAME_BYTES]!r}")
    if not key:
        raise Foreign("it has no key")
    if b"\0" in key:  # PostgreSQL holds no such text
        raise Foreign("its key has a zero octet")
    if partitions and hash_of(key) % partitions != partition:
        raise Foreign(f"its key belongs into partition {hash_of(key) % partitions}, not {partition}")
    if not rule.is_event:
        if not _UUID.fullmatch(raw.get("ce_id") or b""):
            raise Foreign("a command's id is a UUID")
        return
    if raw.get("ce_subject") != key:
        raise Foreign("its key is not its subject")
    stream, _, version = (raw.get("ce_id") or b"").partition(b"/")
    if not version.isdigit() or (raw.get("ce_sequence") or b"").lstrip(b"0") != version:
        raise Foreign("its sequence is not the version in its id")
    if stream != key and not _UUID.fullmatch(stream):
        raise Foreign("its id names no stream")


def position_of(raw: RawHeaders) -> int:
    """The position that a record claims.  Raises Foreign when no log could reach it."""
    text = raw.get("ce_position") or b""
    if not text.isdigit() or len(text) > 18 or not 0 < (position := int(text)) <= MAX_POSITION:
        raise Foreign(f"no log has the position {text.decode('utf-8', 'replace')[:30]!r}")
    return position


def time_of(raw: RawHeaders) -> datetime:
    """When it happened.  Raises Foreign for no time, one without a zone, or one that no calendar has in UTC."""
    text = (raw.get("ce_time") or b"").decode("utf-8", "replace")
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise Foreign(f"its time {text!r} has no zone")
        return at if at.tzinfo is UTC else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Foreign(f"it has no time but {text[:40]!r}") from None


def check_letter(raw: RawHeaders, topic: str) -> None:
    """Raises Foreign for a record on a dead-letter topic that is no letter or note of ours, and for one elsewhere."""
    if not topic.endswith(DEAD_LETTERS):
        raise Foreign(f"a dead letter does not belong on {topic}")
    if (REASON in raw) == (RESOLVES in raw) or (DROP in raw and RESOLVES not in raw):
        raise Foreign("it is neither a dead letter nor resolves one")
    for name, form in ((PARTITION, _NUMBER), (OFFSET, _NUMBER), (PLACE, _PLACE)):
        if not form.fullmatch(raw.get(name) or b""):
            raise Foreign(f"it has no {name}")
    if RESOLVES in raw and not _NUMBER.fullmatch(raw[RESOLVES] or b""):
        raise Foreign("it resolves no letter")
    first = raw.get(TOPIC) or b""
    if not 0 < len(first) <= MAX_NAME_BYTES or not first.isascii():
        raise Foreign(f"it has no {TOPIC}")
