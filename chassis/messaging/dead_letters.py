"""Dead letters: records a group can't process, kept on `<group>.dlq` with their cause until somebody acts.

The topic is the history of what was set aside and what became of it: a record with `dlq-reason` is a letter, one with
`dlq-resolves` is either a replay - processed like any other - or a drop.  What a consumer has set aside and not yet
applied it knows from its own progress (`chassis.messaging.progress.Progress`), so that a replay counts exactly once.
"""

from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import NamedTuple

import structlog

from chassis.foundation import metrics
from chassis.foundation.config import Config
from chassis.foundation.limits import CUT_BYTES, MAX_HEADER_BYTES, MAX_VALUE_BYTES, REASON_BYTES
from chassis.foundation.transient import is_transient
from chassis.kafka.port import Producer
from chassis.messaging.kafka import dead_letter_topic
from chassis.messaging.partitions import PartitionReader
from chassis.messaging.provenance import CUT, DROP, LETTER, OFFSET, PARTITION, PLACE, REASON, RESOLVES, TOPIC
from chassis.messaging.records import Incoming

log = structlog.get_logger()

ACK_SECONDS = 60.0
NOTHING = "0"
"""How long the record of a letter is that was gone: former releases too take it for one that can't be replayed."""


@dataclass(frozen=True)
class DeadLetter:
    """One record set aside: its offset on the dead-letter topic is its number."""

    number: int
    key: str
    type: str
    reason: str
    origin: str
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    cut: bool = False  # its record is larger than a letter: it can be looked at where it first came, and dropped
    lost: bool = False  # there is no record any more: it can be dropped


class Origin(NamedTuple):
    """Where a record first came: its source, and its place there.

    The place of a record that could be read is its position.  One that could not may be forged, its position too: its
    place is a digest of all of it, so that it is never taken for the event whose position it bears.
    """

    source: str
    place: str


def origin_of(record: Incoming) -> Origin:
    """The origin of a record, also of one that comes again as a dead letter."""
    headers = record.headers
    if PLACE in headers:
        return Origin(f"{headers[TOPIC]}:{headers[PARTITION]}", headers[PLACE])
    if record.place:
        return Origin(record.source, record.place)
    if record.poison is None:
        return Origin(record.source, str(record.position))
    return Origin(record.source, unreadable_place(record.type, record.id, record.key, record.value))


def as_known(record: Incoming, *known: Container[Origin]) -> Incoming:
    """The record under the origin by which it is known: a release that could not read it may have set it aside."""
    if record.poison is not None or PLACE in record.headers or not any(known):
        return record
    place = unreadable_place(record.type, record.id, record.key, record.value)
    return replace(record, place=place) if any(Origin(record.source, place) in one for one in known) else record


def unreadable_place(type: str, id: str, key: str, value: bytes) -> str:
    """The place of a record that can't be read."""
    text = "\x1f".join((type, id, key)).encode()
    return f"@{sha256(text + value).hexdigest()[:20]}"


@dataclass
class Letters:
    """What a group's dead-letter topic says of each origin: the letter that waits, or that it was dropped.

    `known` are all that ever had a letter with their record, whatever became of it; `lost` those that wait with none
    but that of a record that is gone.  `last_dropped` is, by source, the greatest position of a readable record that
    was dropped; `dropped_unread` whether any was that could not be read: a later release may be able to.
    """

    waiting: dict[Origin, int] = field(default_factory=dict)
    known: set[Origin] = field(default_factory=set)
    lost: set[Origin] = field(default_factory=set)
    dropped: set[Origin] = field(default_factory=set)
    last_dropped: dict[str, int] = field(default_factory=dict)
    dropped_unread: bool = False

    def observe(self, record: Incoming) -> None:
        """Take note of a record of the topic, in order; a repeated look changes nothing."""
        origin = origin_of(record)
        if not _is_lost(record):
            self.known.add(origin)
            self.lost.discard(origin)
        if RESOLVES in record.headers:
            self.lost.discard(origin)
            if self.waiting.get(origin, record.offset) < record.offset:  # two may have written a letter of it at once
                del self.waiting[origin]
                if DROP in record.headers:
                    self.dropped.add(origin)
                    self.dropped_unread |= not origin.place.isdecimal()
                    if origin.place.isdecimal():
                        self.last_dropped[origin.source] = max(
                            int(origin.place), self.last_dropped.get(origin.source, 0)
                        )
        elif REASON in record.headers:
            self.waiting[origin] = max(record.offset, self.waiting.get(origin, 0))
            if origin not in self.known:
                self.lost.add(origin)


@dataclass(frozen=True)
class _Letter:
    """A letter as it is sent."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


def _is_lost(letter: Incoming) -> bool:
    """Whether a letter tells of a record that was gone when it was written."""
    return letter.headers.get(CUT) == NOTHING


def _letter(record: Incoming, reason: str, *, cut: bool) -> _Letter:
    """The record with its headers, why it was set aside and where it first came; `cut` to what any topic takes."""
    kept = [(name, value or b"") for name, value in record.raw_headers if not name.startswith(LETTER)]
    value = record.value
    if cut or len(value) > MAX_VALUE_BYTES or _size(kept) > MAX_HEADER_BYTES:
        whole = len(value)
        value, kept = value[:CUT_BYTES], _first(kept, MAX_HEADER_BYTES // 4)
        kept.append((CUT, str(whole).encode()))
    kept += _about(origin_of(record), record.headers.get(OFFSET, str(record.offset)), reason)
    return _Letter(record.key.encode("utf-8", "replace"), value, kept)


def _about(origin: Origin, offset: str, reason: str) -> list[tuple[str, bytes]]:
    """Where the record of a letter first came, and why it was set aside."""
    topic, _, partition = origin.source.rpartition(":")
    about = {TOPIC: topic, PARTITION: partition, OFFSET: offset, PLACE: origin.place}
    reason_told = reason.encode("utf-8", "replace")[:REASON_BYTES]
    return [(REASON, reason_told), *((name, value.encode()) for name, value in about.items())]


def _size(headers: Iterable[tuple[str, bytes]]) -> int:
    return sum(len(name.encode()) + len(value) for name, value in headers)


def _first(headers: Iterable[tuple[str, bytes]], room: int) -> list[tuple[str, bytes]]:
    """The headers, in order, as long as they find room."""
    found = []
    for header in headers:
        room -= _size([header])
        if room < 0:
            break
        found.append(header)
    return found


def set_aside(producer: Producer, group: str, record: Incoming, reason: str) -> int:
    """Put a record onto the group's dead-letter topic; returns its number there when the brokers have it.

    One that the topic does not take whole leaves a letter with its beginning.
    """
    try:
        number = _send(producer, group, _letter(record, reason, cut=False))
    except Exception as error:
        if is_transient(error):
            raise
        log.warning("dead letter refused, cut", group=group, source=record.source, error=repr(error))
        number = _send(producer, group, _letter(record, reason, cut=True))
    metrics.of(metrics.DLQ, group).inc()
    log.error("record set aside", group=group, source=record.source, offset=record.offset, reason=reason[:REASON_BYTES])
    return number


class Gone(NamedTuple):
    """What a consumer knows of a record that it has set aside and that is nowhere any more."""

    origin: Origin
    key: str
    offset: int


def tell_lost(producer: Producer, group: str, gone: Gone, reason: str) -> int:
    """Write a letter of a record that is gone, so that its key can be freed; returns its number."""
    headers = [(CUT, NOTHING.encode()), *_about(gone.origin, str(gone.offset), reason)]
    number = _send(producer, group, _Letter(gone.key.encode("utf-8", "replace"), b"", headers))
    metrics.of(metrics.DLQ, group).inc()
    log.error("record set aside is gone", group=group, source=gone.origin.source, offset=gone.offset, key=gone.key)
    return number


def _send(producer: Producer, group: str, letter: _Letter) -> int:
    topic = dead_letter_topic(group)
    future = producer.send(topic, value=letter.value, key=letter.key, headers=letter.headers)
    producer.flush()
    return int(future.get(timeout=ACK_SECONDS).offset)


class DeadLetters:
    """The operator's view of a group's dead letters: list, replay, drop."""

    def __init__(self, config: Config, group: str) -> None:
        self._config = config
        self._group = group

    def waiting(self) -> list[DeadLetter]:
        """The records set aside and not yet resolved, oldest first."""
        letters: dict[Origin, dict[int, DeadLetter]] = defaultdict(dict)
        for record in read_whole_topic(self._config, dead_letter_topic(self._group)):
            if RESOLVES in record.headers:
                letters.pop(origin_of(record), None)
            elif REASON in record.headers:
                letters[origin_of(record)][record.offset] = DeadLetter(
                    number=record.offset,
                    key=record.key,
                    type=record.type,
                    reason=record.headers[REASON],
                    origin=f"{record.headers[TOPIC]}:{record.headers[PARTITION]}@{record.headers[OFFSET]}",
                    value=record.value,
                    headers=tuple((name, value or b"") for name, value in record.raw_headers),
                    cut=CUT in record.headers and not _is_lost(record),
                    lost=_is_lost(record),
                )
        waiting = [letter for of_origin in letters.values() for letter in _with_records(of_origin.values())]
        return sorted(waiting, key=lambda letter: letter.number)

    def replay(self, producer: Producer, letters: Iterable[DeadLetter]) -> int:
        """Hand records to the group again, in order; returns how many: all but those that were cut or are gone."""
        whole = [letter for letter in letters if not letter.cut and not letter.lost]
        return self._resolve(producer, whole, drop=False)

    def drop(self, producer: Producer, letters: Iterable[DeadLetter]) -> int:
        """Give records up for good; returns how many."""
        return self._resolve(producer, letters, drop=True)

    def _resolve(self, producer: Producer, letters: Iterable[DeadLetter], *, drop: bool) -> int:
        number = 0
        waiting = {letter.number for letter in self.waiting()}  # what another operator has resolved is not done twice
        for letter in letters:
            if letter.number not in waiting:
                continue
            headers = [(name, value) for name, value in letter.headers if name != REASON]
            headers.append((RESOLVES, str(letter.number).encode()))
            if drop:
                headers.append((DROP, b"1"))
            _send(producer, self._group, _Letter(letter.key.encode("utf-8", "replace"), letter.value, headers))
            number += 1
        return number


def _with_records(letters: Collection[DeadLetter]) -> list[DeadLetter]:
    """The letters of an origin: where its record was found again, without those that tell that it was gone."""
    found = [letter for letter in letters if not letter.lost]
    return found or list(letters)


def read_whole_topic(config: Config, topic: str) -> Iterator[Incoming]:
    """Every record a single-partition topic holds now."""
    reader = PartitionReader(config, f"read-{topic}", [topic], {})
    try:
        ends = reader.end_offsets()
        reader.seek({})
        while reader.is_behind(ends):
            yield from reader.poll(500)
    finally:
        reader.close()
