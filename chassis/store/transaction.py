"""What a service stores in one transaction: events, and what else commands and consumers leave behind."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from uuid import UUID

from eventsourcing.persistence import Tracking

from chassis.audit.chain import NewRecord
from chassis.model.aggregates import Aggregate
from chassis.model.shapes import shape
from chassis.store.events import Recorded
from contracts.schemas import encode

MAY_GO_BACK = ("position:", "floor:", "floored:", "beginning:")
"""Before what a consumer's group knows of a source (`chassis.messaging.progress`), beside its revision."""


@dataclass(frozen=True)
class CommandResult:
    """The remembered outcome of a command, packed.  `fingerprint` tells a repeat from another one with the same key.

    `day` is that of the store (`chassis.writer.forgetting`); 0 for those of former releases.
    """

    command_id: str
    fingerprint: str
    reply: bytes
    day: int = 0


@dataclass(frozen=True)
class ReplicaRow:
    """A row to write (or, with body None, to delete) in a replica."""

    replica: str
    key: str
    body: bytes | None


@dataclass(frozen=True)
class Snapshot:
    """An aggregate's state at a version; `schema` identifies the class's fields, another one makes it worthless."""

    aggregate_id: UUID
    version: int
    schema: str
    state: bytes


@dataclass
class Transaction:
    """All that is stored together."""

    events: list[Recorded] = field(default_factory=list)
    results: list[CommandResult] = field(default_factory=list)
    emptied: list[str] = field(default_factory=list)  # replicas whose rows are deleted, before others come
    renamed: dict[str, str] = field(default_factory=dict)  # replicas whose rows become those of another, empty one
    rows: list[ReplicaRow] = field(default_factory=list)
    positions: dict[str, int] = field(default_factory=dict)
    snapshots: list[Snapshot] = field(default_factory=list)
    audit: NewRecord | None = None
    numbers: dict[str, range] = field(default_factory=dict)  # given to records, by series
    read: set[UUID] = field(default_factory=set)  # the streams that the events were decided on, as of position `seen`
    seen: int = 0

    def reached(self) -> Iterator[Tracking]:
        """What has got how far.  Of numbers the first and the last: the first is refused when another process gave it.

        A position is stored only if it is beyond the one that stands there; those of `replaced` are told apart.
        """
        for name, position in self.positions.items():
            if not name.startswith(MAY_GO_BACK):
                yield Tracking(name, position)
        for name, given in self.numbers.items():
            for number in sorted({given[0], given[-1]}):
                yield Tracking(name, number)

    def only_read(self) -> list[UUID]:
        """The streams that the events were decided on and that get none: their versions say nothing at the commit."""
        return list(self.read - {event.originator_id for event in self.events}) if self.events else []

    def replaced(self) -> dict[str, int]:
        """The positions that may also go back, as when the newest was forged: the group's revision guards them."""
        return {name: position for name, position in self.positions.items() if name.startswith(MAY_GO_BACK)}


def schema_fingerprint(cls: type[Aggregate]) -> str:
    """Identifies the fields of an aggregate class, to the innermost: a snapshot of another shape is not read."""
    return sha256(shape(cls).encode()).hexdigest()[:16]


def snapshot_of(aggregate: Aggregate) -> Snapshot:
    state = encode(aggregate, aggregate.id, blank=True)
    return Snapshot(aggregate.id, aggregate.version, schema_fingerprint(type(aggregate)), state)
