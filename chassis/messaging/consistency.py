"""Consistency tokens: what a client has caused or seen, so that what it reads next is at least that new.

Written as `inventory.events:0=55,orders.events:3=1234;7=1230`: per source (topic and partition) the position of the
newest event, the partitions of a topic behind each other, so that a token of all topics fits into a header.  Every
answer to a command carries one in the header `Salestream-Consistency`; a query or command that sends it back waits
until its view, or its service's replicas, have got there.
"""

import re
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from chassis.messaging.kafka import partition_of
from chassis.writer.request import Answer
from contracts.declare import REGISTRY
from contracts.errors import Refused

HEADER = "Salestream-Consistency"
_TOPIC = re.compile(r"([a-z]{1,40}\.events):([0-9]{1,4}=[0-9]{1,18}(?:;[0-9]{1,4}=[0-9]{1,18})*)")


def service_of(source: str) -> str:
    """Whose log a source of events, such as "orders.events:3", is a part of."""
    return source.partition(":")[0].removesuffix(".events")


@dataclass(frozen=True)
class Token:
    """Positions by source."""

    positions: Mapping[str, int]

    @classmethod
    def parse(cls, text: str | None) -> "Token | None":
        """Read a header.  Raises Refused VALIDATION."""
        if not text:
            return None
        found: list[tuple[str, int]] = []
        for part in text.split(","):
            topic = _TOPIC.fullmatch(part.strip())
            if topic is None:
                raise Refused("requests.token_form", field=HEADER)
            for at in topic[2].split(";"):
                partition, _, position = at.partition("=")
                found.append((f"{topic[1]}:{partition}", int(position)))
        positions = dict(found)
        if len(positions) < len(found):  # it names a source again
            raise Refused("requests.token_form", field=HEADER)
        return cls(positions)

    @classmethod
    def of(cls, answer: Answer, partitions: int) -> "Token":
        """The token of a command's answer.

        One whose events nobody hears of, or that changed nothing, promises position 0 of its service's log: so the
        audit log knows whose entries are waited for.
        """
        positions: dict[str, int] = {} if answer.last else {f"{answer.service}.events:0": 0}
        for at, position in zip(answer.last, answer.positions, strict=True):
            source = f"{answer.service}.events:{partition_of(at.key, partitions)}"
            positions[source] = max(position, positions.get(source, 0))
        return cls(positions)

    def with_also(self, other: "Token | None") -> "Token":
        """Both tokens' promises."""
        merged = dict(self.positions)
        for source, position in (other.positions if other else {}).items():
            merged[source] = max(position, merged.get(source, 0))
        return Token(merged)

    def about(self, topics: Collection[str]) -> "Token":
        """What it promises of these topics."""
        return Token({source: at for source, at in self.positions.items() if source.partition(":")[0] in topics})

    def reached_by(self, position: Callable[[str], int]) -> bool:
        return all(position(source) >= wanted for source, wanted in self.positions.items())

    def __str__(self) -> str:
        topics: dict[str, list[str]] = {}
        for source, position in sorted(self.positions.items()):
            topic, _, partition = source.partition(":")
            topics.setdefault(topic, []).append(f"{partition}={position}")
        return ",".join(f"{topic}:{';'.join(found)}" for topic, found in topics.items())


class Logs:
    """The logs that tokens speak of, as far as this process knows them: a token can't promise what is not there.

    `lengths` tells the newest position of the logs that are hosted here, by service.  It is asked only for a position
    beyond what it told last, and a command is answered after its commit: so a token that we gave is never refused.
    Of the other services' logs the partitions are known, and no length.
    """

    def __init__(self, lengths: Mapping[str, Callable[[], int]], partitions: int) -> None:
        self._lengths = lengths
        self._partitions = partitions
        self._seen: dict[str, int] = {}
        self._topics = {spec.topic for spec in REGISTRY.events.values()}

    def token(self, text: str | None) -> Token | None:
        """The token in a header.  Raises Refused VALIDATION for one that nobody can have been given."""
        token = Token.parse(text)
        for source, position in token.positions.items() if token else ():
            topic, _, partition = source.partition(":")
            if topic not in self._topics or int(partition) >= self._partitions:
                raise self._made_up(source)
            if position > self._length(service_of(source), position):
                raise self._made_up(f"{source}={position}")
        return token

    def told(self, positions: Mapping[str, int]) -> Token:
        """The token of what was read.  A position beyond the end was forged, and is promised to nobody."""
        return Token(
            {
                source: position
                for source, position in positions.items()
                if 0 < position <= self._length(service_of(source), position)
            }
        )

    def _length(self, service: str, wanted: int) -> int:
        length_of = self._lengths.get(service)
        if length_of is None:
            return wanted
        if wanted > self._seen.get(service, 0):
            self._seen[service] = length_of()
        return self._seen.get(service, 0)

    @staticmethod
    def _made_up(position: str) -> Refused:
        return Refused("requests.token_made_up", position=position, field=HEADER)


MOST_OF_ONE = 100
MOST_OF_ALL = 500


class WaitingRoom:
    """Where requests wait until what their token promises has arrived: so many of one caller, so many of all.

    Each of them holds a worker of the process meanwhile, of which it has more than there are seats.
    """

    def __init__(self, most_of_one: int = MOST_OF_ONE, most_of_all: int = MOST_OF_ALL) -> None:
        self._most_of_one, self._most_of_all = most_of_one, most_of_all
        self._inside: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def seat(self, caller: str) -> Iterator[None]:
        """Wait inside the block.  Raises Refused RATE_LIMITED or OVERLOADED when there is no room."""
        with self._lock:
            if self._inside[caller] >= self._most_of_one:
                raise Refused("system.too_many_of_yours", most=self._most_of_one, state="waiting")
            if self._inside.total() >= self._most_of_all:
                raise Refused("system.too_many_waiting")
            self._inside[caller] += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside[caller] -= 1
                if not self._inside[caller]:
                    del self._inside[caller]
