"""How far a consumer is in each partition, and what it has set aside."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import msgspec

from chassis.messaging.dead_letters import Origin, as_known, origin_of
from chassis.messaging.layers import Layered, Queues
from chassis.messaging.partitions import PartitionReader, TopicsDamaged
from chassis.messaging.provenance import DROP, REASON, RESOLVES
from chassis.messaging.records import Incoming, PoisonRecord
from chassis.store.event_store import EventStore
from chassis.store.transaction import ReplicaRow
from contracts.schemas import decode

SKIPPED = "skipped"


@dataclass(frozen=True)
class Aside:
    """A record set aside and not yet applied: its key ("" if nothing waits for it), and the offset at which it came."""

    key: str
    offset: int


class Progress:
    """How far a consumer has got in each source: the next offset, the newest position applied, and what it skipped.

    Positions are the producer's log positions: within one source they only grow, so one that is not above the
    newest is a repeat (the relay publishes at least once).  `floors` are the positions applied before the newest: what
    comes between the two proves that the newest was forged, since firsts come in the order of their positions (ADR
    0007); it is applied, and is the newest from then on.  `beginnings` are the first positions ever applied: a source
    that begins later has lost its beginning.  `aside` are the records set aside and not applied, by origin: a replay
    counts if and only if its origin is among them.  `dropped` were given up by an operator.
    """

    def __init__(
        self,
        offsets: Mapping[str, int],
        positions: Mapping[str, int],
        aside: Mapping[Origin, Aside] | None = None,
        dropped: Iterable[Origin] = (),
        floors: Mapping[str, int] | None = None,
        *,
        beginnings: Mapping[str, int] | None = None,
    ) -> None:
        self.offsets = dict(offsets)
        self.positions = dict(positions)
        self.floors = dict(floors or {})
        self.beginnings = dict(beginnings or {})
        self.aside = Layered(aside or {})
        self.dropped: Layered[Origin, None] = Layered(dict.fromkeys(dropped))
        self._waiting = Queues(
            ((origin.source, waiting.key), waiting.offset) for origin, waiting in self.aside.items() if waiting.key
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """As it is told to another process: what it says, without what it shares with its branches."""
        told = self.offsets, self.positions, dict(self.aside), list(self.dropped), self.floors
        return partial(Progress, beginnings=self.beginnings), told

    def branch(self) -> "Progress":
        """What takes records in while `self` stays as it is."""
        made = Progress(self.offsets, self.positions, floors=self.floors, beginnings=self.beginnings)
        made.aside, made.dropped = self.aside.branch(), self.dropped.branch()
        made._waiting = self._waiting.branch()
        return made

    def settle(self) -> None:
        """It is stored, and what it was branched from is given up."""
        self.aside.settle()
        self.dropped.settle()
        self._waiting.settle()

    def is_news(self, record: Incoming) -> bool:
        """Whether a record is neither a repeat nor a note about dead letters: it, or its replay, is to be applied."""
        if record.offset < self.offsets.get(record.source, 0) or REASON in record.headers or DROP in record.headers:
            return False
        origin = origin_of(record)
        if RESOLVES in record.headers:
            return origin in self.aside
        if record.poison is not None:
            return origin not in self.aside and origin not in self.dropped
        return origin not in self.aside and self._comes_first(record)

    def told_of_missed(self, before: Iterable[Incoming]) -> list[str]:
        """What is wrong with the records that stand just before its offsets, a line for each that was never met.

        Positions grow in a partition, so none there is newer than what was taken in, unless the partition was made anew
        and has grown beyond the offset again.
        """
        return [
            f"{record.source} holds position {record.position} at offset {record.offset}, which was passed unread"
            for record in before
            if self._has_missed(record)
        ]

    def told_of_beginnings(self, before: "Progress") -> list[str]:
        """The sources whose beginning is lost, a line each: an earlier reading (`before`) began with older records."""
        return [
            f"{source} begins with position {self.beginnings.get(source, 'none')}, position {first} was read before"
            for source, first in sorted(before.beginnings.items())
            if self.beginnings.get(source, math.inf) > first
        ]

    def told_of_forged(self, topic: str, last: int) -> list[str]:
        """The sources of a topic whose newest position no log has, which ends at `last`; a line each."""
        told = []
        for source, newest in sorted(self.positions.items()):
            if source.rpartition(":")[0] == topic and newest > last:
                twice = "; two in a row: what follows is passed over" if self.floors.get(source, 0) > last else ""
                told.append(f"{source} was read up to position {newest}, the log ends at {last}: it was forged{twice}")
        return told

    def put_right(self, source: str, first: int, last: int) -> None:
        """Believe the store, in which what belongs into a source has these positions (both 0: it holds nothing).

        One before the first or beyond the last was forged.  Where something was set aside the first that was applied
        may be a later one, so nothing is told of it.
        """
        newest = self.positions.get(source, 0)
        if self.floors.get(source, newest) <= last < newest:
            self.positions[source] = self.floors.pop(source)
        if source in self.beginnings and self.beginnings[source] < (first or math.inf):
            del self.beginnings[source]
            if first and not any(origin.source == source for origin in self.left_out()):
                self.beginnings[source] = first

    def _has_missed(self, record: Incoming) -> bool:
        origin = origin_of(as_known(record, self.aside, self.dropped))
        if record.poison is not None or _is_about_letters(record) or origin in self.aside or origin in self.dropped:
            return False
        return self._comes_first(record)

    def _comes_first(self, record: Incoming) -> bool:
        newest = self.positions.get(record.source, 0)
        return record.position > newest or self.floors.get(record.source, newest) < record.position < newest

    def _came_first(self, source: str, position: int) -> None:
        newest = self.positions.get(source, 0)
        if not newest:
            self.beginnings[source] = position
        if position > newest:
            self.floors[source] = newest
        self.positions[source] = position  # below the newest: that was forged

    def _came_later(self, source: str, position: int) -> None:
        """One that had been set aside is applied, or given up: from here on its repeats are told by their position."""
        newest = self.positions.get(source, 0)
        if position > newest:
            self._came_first(source, position)
        else:
            self.floors[source] = max(position, self.floors.get(source, newest))

    def left_out(self) -> frozenset[Origin]:
        """What was passed without being applied: set aside, or given up."""
        return frozenset(self.aside) | frozenset(self.dropped)

    def has_passed(self, origin: Origin) -> bool:
        """Whether the readable record of this origin was met, whatever became of it."""
        return not origin.place.isdecimal() or int(origin.place) <= self.positions.get(origin.source, 0)

    def must_wait(self, record: Incoming) -> bool:
        """Whether an earlier record of the same key is set aside."""
        origin = origin_of(record)
        first = self._waiting.first((origin.source, record.key)) if record.key else None
        own = self.aside.get(origin)
        return first is not None and (own is None or first < own.offset)

    def accept(self, record: Incoming) -> bool:
        """Take a record in; whether it is new and has something to do.

        A record of a type the consumer does not handle moves the position all the same: tokens count on it.  One
        that is set aside does not: who waits for it must go on waiting.
        """
        if record.offset < self.offsets.get(record.source, 0):
            return False
        news = self._is_new(record)
        self.offsets[record.source] = record.offset + 1
        if not news:
            return False
        if record.fate == "" and RESOLVES not in record.headers:
            self._came_first(record.source, record.position)
            return record.fact is not None
        return self._settle(record)

    def _is_new(self, record: Incoming) -> bool:
        """`is_news`, without asking for origins where nothing waits (almost always)."""
        if self.aside or record.fate or record.poison or _is_about_letters(record):
            return DROP in record.headers or self.is_news(record)
        return self._comes_first(record)

    def _settle(self, record: Incoming) -> bool:
        """Take in a record that is set aside, given up, replayed or dropped."""
        origin = origin_of(record)
        if record.fate == "waits":
            self._wait(origin, Aside("" if record.foreign else record.key, record.offset))
            return False
        known = self._wait_no_more(origin)
        if DROP in record.headers and known is None:
            return False
        applies = record.fate == "" and DROP not in record.headers
        if not applies:
            self.dropped[origin] = None
        if applies or origin.place.isdecimal():
            position = record.position if applies else int(origin.place)  # that of a drop is where it stands itself
            self._wait_no_more(Origin(origin.source, str(position)))
            self._came_later(origin.source, position)
        return applies and record.fact is not None

    def _wait(self, origin: Origin, aside: Aside) -> None:
        if origin not in self.aside:
            self.aside[origin] = aside
            if aside.key:
                self._waiting.add((origin.source, aside.key), aside.offset)

    def _wait_no_more(self, origin: Origin) -> Aside | None:
        known = self.aside.pop(origin, None)
        if known is not None and known.key:
            self._waiting.remove((origin.source, known.key), known.offset)
        return known


def with_fate(record: Incoming, before: Progress, progress: Progress) -> Incoming:
    """A record that is read again into `progress`, with the fate it had `before`: set aside, given up, or none.

    One that is none of ours is given up, although a release that knew ours less well had taken it in.
    Raises PoisonRecord for one of ours that can't be read and was not set aside.
    """
    record = as_known(record, before.aside, before.dropped)
    if not (before.aside or before.dropped or progress.aside or record.poison) or not progress.is_news(record):
        return record
    origin = origin_of(record)
    if origin in before.dropped:
        return replace(record, fate="dropped")
    if origin in before.aside or progress.must_wait(record):
        return replace(record, fate="waits")
    if record.foreign:
        return replace(record, fate="dropped")
    if record.poison is not None:
        raise PoisonRecord(f"{record.source}@{record.offset}: {record.poison}; it was not set aside before")
    return record


def require_all_read(reader: PartitionReader, before: Progress) -> None:
    """Raises TopicsDamaged unless all that was read into `before`, from the first record on, can still be there."""
    reader.require_all_before(before.offsets)
    _require_none(before.told_of_missed(reader.just_before(before.offsets)))


def require_beginnings(again: Progress, before: Progress) -> None:
    """Raises TopicsDamaged where what was read `again` begins later than what was read `before`."""
    _require_none(
        again.told_of_beginnings(before), "; where it finds nothing, that was forged: `salestream topics reset`"
    )


def _require_none(told: Sequence[str], more: str = "") -> None:
    if told:
        raise TopicsDamaged(f"{'; '.join(told)}. Run `salestream topics check`{more}")


def _is_about_letters(record: Incoming) -> bool:
    return REASON in record.headers or RESOLVES in record.headers or DROP in record.headers


class _Skipped(msgspec.Struct, frozen=True):
    """A row of the event store: a record set aside, or dropped."""

    source: str
    place: str
    key: str
    offset: int
    dropped: bool = False


def stored_progress(store: EventStore, sources: Sequence[str]) -> Progress:
    """How far the consumer that keeps its progress in an event store has got."""
    offsets = {s: found for s in sources if (found := store.position(f"offset:{s}")) is not None}
    positions = {s: found for s in sources if (found := store.position(f"position:{s}")) is not None}
    floors = {
        s: found
        for s, newest in positions.items()
        if store.position(f"floored:{s}") == newest and (found := store.position(f"floor:{s}")) is not None
    }
    beginnings = {s: found for s in positions if (found := store.position(f"beginning:{s}"))}
    rows = [decode(_Skipped, body) for body in store.rows(SKIPPED)]
    aside = {Origin(row.source, row.place): Aside(row.key, row.offset) for row in rows if not row.dropped}
    dropped = [Origin(row.source, row.place) for row in rows if row.dropped]
    return Progress(offsets, positions, aside, dropped, floors, beginnings=beginnings)


def has_filled(store: EventStore, group: str) -> bool:
    """Whether all that a group has stored was stored by releases that tell how they fill its replicas."""
    return (store.position(f"filled:{group}") or 0) == (store.position(f"revision:{group}") or 0)


def processed_positions(store: EventStore, topic: str, partitions: int) -> list[int]:
    """The newest position of each partition of a topic that the consumer with its progress in a store has processed."""
    return [store.position(f"position:{topic}:{number}") or 0 for number in range(partitions)]


class StoredProgress:
    """Progress kept in an event store: offsets and positions as positions of the store, what was skipped as rows.

    The revision counts what the group has stored.  It is read first and stored with every batch, so a batch that was
    worked out on what another process of the group has changed meanwhile is a Conflict, whichever sources it is from.
    """

    def __init__(self, store: EventStore, group: str, sources: Sequence[str]) -> None:
        self._store = store
        self._name = f"revision:{group}"
        self._filled = f"filled:{group}"
        self.revision = store.position(self._name) or 0
        self.progress = stored_progress(store, sources)

    def is_current(self) -> bool:
        return (self._store.position(self._name) or 0) == self.revision

    def branch(self) -> Progress:
        """A copy to take a batch in; `self` stays as stored until `adopt`."""
        return self.progress.branch()

    def changes(self, after: Progress) -> dict[str, int]:
        """What to store for a batch, under the names of the store's positions."""
        return {
            self._name: self.revision + 1,
            self._filled: self.revision + 1,  # an older version moves the revision alone: see `has_filled`
            **{f"offset:{s}": n for s, n in after.offsets.items() if n != self.progress.offsets.get(s)},
            **{f"position:{s}": n for s, n in after.positions.items() if n != self.progress.positions.get(s)},
            **{f"floor:{s}": n for s, n in after.floors.items() if n != self.progress.floors.get(s)},
            **{f"beginning:{s}": n for s, n in after.beginnings.items() if s not in self.progress.beginnings},
            # An older version moves positions and knows no floors: they count only beside the position they came with.
            **{f"floored:{s}": n for s, n in after.positions.items() if n != self.progress.positions.get(s)},
        }

    def skipped(self, after: Progress) -> list[ReplicaRow]:
        """The rows to store for a batch: what it set aside, applied after all, or gave up."""
        dropped = after.dropped.changes.keys()
        return [
            *(_skipped_row(origin, after.aside.get(origin)) for origin in after.aside.changes.keys() - dropped),
            *(_skipped_row(origin, Aside("", 0), dropped=True) for origin in dropped),
        ]

    def adopt(self, after: Progress) -> None:
        """What `changes` told has been stored."""
        after.settle()
        self.progress = after
        self.revision += 1


def _skipped_row(origin: Origin, aside: Aside | None, *, dropped: bool = False) -> ReplicaRow:
    key = f"{origin.source} {origin.place}"
    if aside is None:
        return ReplicaRow(SKIPPED, key, None)
    row = _Skipped(origin.source, origin.place, aside.key, aside.offset, dropped)
    return ReplicaRow(SKIPPED, key, msgspec.json.encode(row))
