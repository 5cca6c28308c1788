"""Replicas that a release has added or changed are filled from event one before their service reads on.

A consumer goes on at its stored offsets, so a replica that is new, or takes in events it did not before, would know
nothing of what happened until then.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from typing import Any

import structlog

from chassis.foundation.config import Config
from chassis.messaging.dead_letters import Origin
from chassis.messaging.partitions import PartitionReader, TopicsDamaged
from chassis.messaging.progress import (
    Progress,
    StoredProgress,
    has_filled,
    require_all_read,
    require_beginnings,
    with_fate,
)
from chassis.messaging.records import Incoming, PoisonRecord
from chassis.model.service import Replica
from chassis.model.shapes import shape
from chassis.store.event_store import Conflict, EventStore
from chassis.store.transaction import ReplicaRow, Transaction
from chassis.writer.writer import Writer
from contracts.declare import REGISTRY
from contracts.personal import person_named
from contracts.schemas import decode, encode

log = structlog.get_logger()

SHAPES = "replica-shapes"
"""Rows of the event store: with what shape each replica was filled, and no others."""
POLL_MS = 500

AT_ONCE = 1_000
"""So many rows are kept in memory, and written together."""
LOOK_SECONDS = 0.5
WRITE_EVERY_SECONDS = 2.0
QUIET_SECONDS = 10.0
"""Who has not written for so long fills nothing any more: it has ended, or stands."""


class Overtaken(Exception):
    """Another process of the service has begun to fill the replicas."""


class Filling:
    """The rows of replicas while they are filled: in the store, under names that nobody reads until they are whole.

    Whoever began last has them: each write counts the turn up, so what another one writes after that is refused, also
    when it was stopped for a while and goes on.  What a process has left that ended within is deleted by the next.
    Raises Overtaken.
    """

    def __init__(self, store: EventStore, service: str, replicas: Sequence[Replica[Any]]) -> None:
        self._store = store
        self._turn_name = turn_name(service)
        self._turn = store.position(self._turn_name) or 0
        self._replicas = replicas
        self._names = {replica.name: f"filling:{replica.name}" for replica in replicas}
        self._rows: dict[tuple[str, str], Any] = {}  # what is not written yet; None where a row was deleted
        self._written_at = time.monotonic()

    def begin(self) -> None:
        """With nothing."""
        self._rows = {}
        self._commit(Transaction(emptied=list(self._names.values())))

    def take_in(self, records: Sequence[Incoming]) -> None:
        """Feed the replicas with records; one at which a feed fails changes none, and stops nobody."""
        self._look_up(records)
        for record in records:
            fed: dict[tuple[str, str], Any] = {}
            try:
                for replica, feed in self._fed_by(record):
                    for key in replica.keys_of(record.fact):
                        fed[replica.name, key] = feed(self._rows.get((replica.name, key)), record.fact)
            except Exception as error:
                _tell_left_out(record, f"{type(error).__name__}: {error}")
                continue
            self._rows.update(fed)
        if len(self._rows) >= AT_ONCE or time.monotonic() - self._written_at > WRITE_EVERY_SECONDS:
            self.write()

    def write(self) -> None:
        rows = [
            ReplicaRow(self._names[name], key, None if row is None else encode(row, person_named(key), blank=True))
            for (name, key), row in self._rows.items()
        ]
        self._commit(Transaction(rows=rows))
        self._rows, self._written_at = {}, time.monotonic()

    def made(self) -> dict[str, str]:
        """Under which names the rows of each replica stand."""
        return {name: replica for replica, name in self._names.items()}

    def next_turn(self) -> dict[str, int]:
        """What to store along with whatever is made of them."""
        return {self._turn_name: self._turn + 1}

    def require_turn(self) -> None:
        if (self._store.position(self._turn_name) or 0) != self._turn:
            raise Overtaken

    def _commit(self, transaction: Transaction) -> None:
        transaction.positions |= self.next_turn()
        try:
            self._store.commit(transaction)
        except Conflict as error:
            raise Overtaken from error
        self._turn += 1

    def _look_up(self, records: Sequence[Incoming]) -> None:
        """Read the rows that these records are about."""
        wanted: dict[str, dict[str, None]] = {}
        for record in records:
            with suppress(Exception):  # it is told where it is fed
                for replica, _ in self._fed_by(record):
                    new = [key for key in replica.keys_of(record.fact) if (replica.name, key) not in self._rows]
                    wanted.setdefault(replica.name, {}).update(dict.fromkeys(new))
        by_name = {replica.name: replica for replica in self._replicas}
        for name, keys in wanted.items():
            for key, body in self._store.rows_at(self._names[name], list(keys)).items():
                self._rows[name, key] = decode(by_name[name].row, body, person_named(key))

    def _fed_by(self, record: Incoming) -> Iterator[tuple[Replica[Any], Any]]:
        for replica in self._replicas:
            if feed := replica.feeds.get(type(record.fact)):
                yield replica, feed


def turn_name(service: str) -> str:
    """Where the store counts the turns of who fills the replicas of a service."""
    return f"filling:{service}"


def shape_of(replica: Replica[Any]) -> str:
    """Identifies a replica and what it is made of: the events that feed it and the fields of its rows."""
    events = sorted(REGISTRY.event_of(fact).name for fact in replica.feeds)
    parts = [replica.name, *events, shape(replica.row)]
    return sha256(";".join(parts).encode()).hexdigest()[:16]


def refill_changed(config: Config, writer: Writer) -> bool:
    """Fill the replicas of a service that were not filled as they are declared now, up to where its inbox has read.

    Beside what they held: that is replaced, in one transaction, when all is there, and none is taken for filled before.
    Returns whether there was anything to do.  What another release has read meanwhile, with other replicas, counts as
    not filled.  What the inbox has set aside or given up is left out.  Raises TopicsDamaged where a topic lacks what it
    has read.
    """
    if not _changed(writer):
        return False
    while changed := _changed(writer):
        try:
            _refill(config, writer, changed)
        except Overtaken:
            log.info("replicas are filled by another process", service=writer.service.name)
            _await_another(writer)
    return True


def _changed(writer: Writer) -> dict[str, bytes]:
    """The shapes of all replicas of a service, by name; none where they all were filled so."""
    shapes = {one.name: shape_of(one).encode() for one in writer.service.replicas}
    return {} if _filled(writer) == set(shapes.values()) else shapes


def _filled(writer: Writer) -> set[bytes]:
    return set(writer.store.rows(SHAPES)) if has_filled(writer.store, writer.service.name) else set()


def _await_another(writer: Writer) -> None:
    """Until the other process has filled the replicas, or writes no more."""
    turn, since = writer.store.position(turn_name(writer.service.name)), time.monotonic()
    while _changed(writer) and time.monotonic() - since < QUIET_SECONDS:
        time.sleep(LOOK_SECONDS)
        if (now := writer.store.position(turn_name(writer.service.name))) != turn:
            turn, since = now, time.monotonic()


def _refill(config: Config, writer: Writer, shapes: Mapping[str, bytes]) -> None:
    store, filled = writer.store, _filled(writer)
    changed = [one for one in writer.service.replicas if shapes[one.name] not in filled]
    feeds = {fact for replica in changed for fact in replica.feeds}
    topics = sorted({REGISTRY.event_of(fact).topic for fact in feeds})
    names = [replica.name for replica in changed]
    rows = [ReplicaRow(SHAPES, name, body) for name, body in shapes.items()]
    filling = Filling(store, writer.service.name, changed)
    filling.begin()
    reader = PartitionReader(
        config, f"refill-{writer.service.name}", topics, {REGISTRY.event_of(fact).name: fact for fact in feeds}
    )
    read, left_out = Progress({}, {}), frozenset[Origin]()
    try:
        while True:
            stored = StoredProgress(store, writer.service.name, reader.sources)
            if stored.progress.left_out() != left_out:  # what was left out so far may have been handed in again
                filling.begin()
                read, left_out = Progress({}, {}), stored.progress.left_out()
            if changed and stored.progress.offsets:
                log.info("replicas are filled", service=writer.service.name, replicas=names)
                require_all_read(reader, stored.progress)
                reader.seek(read.offsets)
                _take_in(reader, stored.progress, read, filling)
                require_beginnings(read, stored.progress)
            try:
                told = {**stored.changes(stored.branch()), **filling.next_turn()}
                writer.refill([*names, SHAPES], filling.made(), rows, told)
                return
            except Conflict:  # another process of the service has read on: go after it
                filling.require_turn()
                log.info("replicas have to read on", service=writer.service.name)
    finally:
        reader.close()


def _take_in(reader: PartitionReader, inbox: Progress, read: Progress, filling: Filling) -> None:
    """Read up to what is news for the inbox, into `read` and `filling`.

    Its offsets alone do not tell that: in a topic made anew it begins anew, and tells by position what it knows.
    Raises TopicsDamaged where a source does not hold all that it knows, as one that is just being published again.
    """
    goals = reader.end_offsets()
    ended = set[str]()
    while reader.is_behind(goals):
        taken = []
        for record in reader.poll(POLL_MS, AT_ONCE):
            if record.source in ended or record.offset >= goals[record.source]:
                continue
            if record.poison is None and inbox.is_news(record):
                ended.add(record.source)
                goals[record.source] = record.offset
            elif read.accept(judged := _judged(record, inbox, read)):
                taken.append(judged)
        filling.take_in(taken)
    filling.write()
    known = {source: inbox.positions.get(source, 0) for source in goals.keys() - ended}
    if lacking := sorted(source for source, newest in known.items() if read.positions.get(source, 0) < newest):
        raise TopicsDamaged(f"{', '.join(lacking)}: not all that was read is there. Run `salestream topics check`")


def _judged(record: Incoming, inbox: Progress, read: Progress) -> Incoming:
    """The record with the fate it had.

    One of a type that the inbox did not take in until now, and that can't be read, says nothing: it must stop nobody.
    """
    try:
        return with_fate(record, inbox, read)
    except PoisonRecord as poison:
        _tell_left_out(record, str(poison))
        read.beginnings.setdefault(record.source, record.position)
        return replace(record, fate="dropped", place=str(record.position))  # its position counts


def _tell_left_out(record: Incoming, reason: str) -> None:
    log.error("left out of new replicas", source=record.source, offset=record.offset, reason=reason)
