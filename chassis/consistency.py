"""Consistency tokens: what a client has caused or seen, so that what it reads next is at least that new.

Written as `orders.events:3=1234,inventory.events:0=55`: per source (topic and partition) the position of the newest
event.  Every answer to a command carries one in the header `Salestream-Consistency`; a query or command that sends it
back waits until its view, or its service's replicas, have got there.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from chassis.kafka import partition_of
from chassis.writer import Answer
from contracts.errors import Refused

HEADER = "Salestream-Consistency"
MAX_PARTS = 100
_PART = re.compile(r"^([a-z]{1,40}\.events:[0-9]{1,4})=([0-9]{1,18})$")


@dataclass(frozen=True)
class Token:
    """Positions by source."""

    positions: Mapping[str, int]

    @classmethod
    def parse(cls, text: str | None) -> "Token | None":
        """Read a header.  Raises Refused VALIDATION."""
        if not text:
            return None
        parts = [_PART.match(part.strip()) for part in text.split(",")]
        if len(parts) > MAX_PARTS or not all(parts):
            raise Refused("VALIDATION", f"{HEADER}: send back what an answer carried.", field=HEADER)
        return cls({part[1]: int(part[2]) for part in parts if part})

    @classmethod
    def of(cls, answer: Answer, partitions: int) -> "Token":
        """The token of a command's answer."""
        positions: dict[str, int] = {}
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
        return ",".join(f"{source}={position}" for source, position in sorted(self.positions.items()))
