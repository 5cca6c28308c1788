"""Somebody who may write to Kafka and keeps none of the rules: damaged copies of what lies there, under new ids.

Each must be set aside by every group that reads the topic, and hold nothing up.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from uuid import UUID

from chassis.messaging.kafka import partition_of
from chassis.messaging.provenance import DEAD_LETTERS, PLACE, REASON

from .kernel.kafka import Bus, Record

Damage = Callable[[Record, bytes], Record]


def with_headers(record: Record, **changed: bytes | None) -> Record:
    return replace(record, headers=[*{**dict(record.headers), **changed}.items()])


def refused(record: Record, key: bytes) -> Record:
    """What its service refuses, though it is what it says: a command on an order that does not exist."""
    old = record.key or b""
    value = (record.value or b"").replace(old, key)
    far = 10**9 + int(key[:4], 16)  # one of its own: by it a record is known that could be read
    return replace(with_headers(record, ce_position=str(far).encode()), key=key, value=value)


DAMAGES: Mapping[str, Damage] = {
    "null header": lambda record, _: with_headers(record, ce_position=None),
    "position beyond all": lambda record, _: with_headers(record, ce_position=b"1" + b"0" * 22),
    "from somebody else": lambda record, _: with_headers(record, ce_source=b"/salestream/gateway"),
    "no value": lambda record, _: replace(record, value=None),
    "key of another": lambda record, key: replace(record, key=key),
}
TO_ORDERS: Mapping[str, Damage] = {"refused": refused}
OF_LETTERS: Mapping[str, Damage] = {"no place": lambda record, _: with_headers(record, **{REASON: b"x", PLACE: None})}


class Stranger:
    """Writes onto a bus; `sent` are the places, by topic, partition and offset, with what is wrong there."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._random = bus.scheduler.random
        self.sent: dict[tuple[str, int, int], str] = {}
        self.stays_away = False

    def write(self) -> None:
        """Damage a copy of some record, and put it where it lies or among the dead letters."""
        ours = [place for place, log in self._bus.logs.items() if not place.topic.endswith(DEAD_LETTERS) and log]
        letters = [place for place in self._bus.logs if place.topic.endswith(DEAD_LETTERS)]
        if self.stays_away or not ours:
            return
        place = self._random.choice(ours)
        record = self._random.choice(self._bus.logs[place])
        damages = TO_ORDERS if place.topic == "orders.commands" else DAMAGES
        if self._random.random() < 0.2:
            place, damages = self._random.choice(letters), OF_LETTERS
        what = self._random.choice(sorted(damages))
        id = str(UUID(int=self._random.getrandbits(128), version=4))
        own = id if place.topic.endswith(".commands") else f"{id}/1"
        sent = damages[what](with_headers(record, ce_id=own.encode()), id.encode())
        if what == "refused":
            place = place._replace(partition=partition_of(id, self._bus.partitions[place.topic]))
        offset = self._bus.append(place, sent)
        self.sent[place.topic, place.partition, offset] = what
        self._bus.scheduler.note(f"{what} at {place.topic}:{place.partition} {offset}")
