"""Replicas that a release has added or changed are filled from event one before their service reads on.

A consumer goes on at its stored offsets, so a replica that is new, or takes in events it did not before, would know
nothing of what happened until then.
"""

from collections.abc import Sequence
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
from chassis.store.event_store import Conflict
from chassis.store.transaction import ReplicaRow
from chassis.writer.writer import Writer
from contracts.declare import REGISTRY
from contracts.schemas import encode

log = structlog.get_logger()

SHAPES = "replica-shapes"
"""Rows of the event store: with what shape each replica was filled, and no others."""
POLL_MS = 500

Rows = dict[tuple[str, str], Any]
"""What each row of a replica is, by replica and key; None where it was deleted."""


def shape_of(replica: Replica[Any]) -> str:
    """Identifies a replica and what it is made of: the events that feed it and the fields of its rows."""
    events = sorted(REGISTRY.event_of(fact).name for fact in replica.feeds)
    parts = [replica.name, *events, shape(replica.row)]
    return sha256(";".join(parts).encode()).hexdigest()[:16]


def refill_changed(config: Config, writer: Writer) -> bool:
    """Fill the replicas of a service that were not filled as they are declared now, up to where its inbox has read.

    Returns whether there was anything to do.  What another release has read meanwhile, with other replicas, counts as
    not filled.  What the inbox has set aside or given up is left out.  Raises TopicsDamaged where a topic lacks what it
    has read.
    """
    store = writer.store
    shapes = {one.name: shape_of(one).encode() for one in writer.service.replicas}
    filled = set(store.rows(SHAPES)) if has_filled(store, writer.service.name) else set()
    if filled == set(shapes.values()):
        return False
    changed = [one for one in writer.service.replicas if shapes[one.name] not in filled]
    feeds = {fact for replica in changed for fact in replica.feeds}
    topics = sorted({REGISTRY.event_of(fact).topic for fact in feeds})
    names = [replica.name for replica in changed]
    reader = PartitionReader(
        config, f"refill-{writer.service.name}", topics, {REGISTRY.event_of(fact).name: fact for fact in feeds}
    )
    rows: Rows = {}
    read, left_out = Progress({}, {}), frozenset[Origin]()
    try:
        while True:
            stored = StoredProgress(store, writer.service.name, reader.sources)
            if stored.progress.left_out() != left_out:  # what was left out so far may have been handed in again
                rows, read, left_out = {}, Progress({}, {}), stored.progress.left_out()
            if changed and stored.progress.offsets:
                log.info("replicas are filled", service=writer.service.name, replicas=names)
                require_all_read(reader, stored.progress)
                reader.seek(read.offsets)
                _take_in(reader, stored.progress, read, changed, rows)
                require_beginnings(read, stored.progress)
            made = [ReplicaRow(name, key, encode(row)) for (name, key), row in rows.items() if row is not None]
            made += [ReplicaRow(SHAPES, name, body) for name, body in shapes.items()]
            try:
                writer.refill([*names, SHAPES], made, stored.changes(stored.branch()))
                return True
            except Conflict:  # another process of the service has read on: go after it
                log.info("replicas have to read on", service=writer.service.name)
    finally:
        reader.close()


def _take_in(
    reader: PartitionReader, inbox: Progress, read: Progress, replicas: Sequence[Replica[Any]], rows: Rows
) -> None:
    """Read up to what is news for the inbox, into `read` and `rows`.

    Its offsets alone do not tell that: in a topic made anew it begins anew, and tells by position what it knows.
    Raises TopicsDamaged where a source does not hold all that it knows, as one that is just being published again.
    """
    goals = reader.end_offsets()
    ended = set[str]()
    while reader.is_behind(goals):
        for record in reader.poll(POLL_MS):
            if record.source in ended or record.offset >= goals[record.source]:
                continue
            if record.poison is None and inbox.is_news(record):
                ended.add(record.source)
                goals[record.source] = record.offset
            elif read.accept(_judged(record, inbox, read)):
                _apply(record, replicas, rows)
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


def _apply(record: Incoming, replicas: Sequence[Replica[Any]], rows: Rows) -> None:
    """Feed it to the replicas; one at which a feed fails changes none, and stops nobody either."""
    fed: Rows = {}
    try:
        for replica in replicas:
            if feed := replica.feeds.get(type(record.fact)):
                for key in replica.keys_of(record.fact):
                    fed[replica.name, key] = feed(rows.get((replica.name, key)), record.fact)
    except Exception as error:
        _tell_left_out(record, f"{type(error).__name__}: {error}")
        return
    rows.update(fed)


def _tell_left_out(record: Incoming, reason: str) -> None:
    log.error("left out of new replicas", source=record.source, offset=record.offset, reason=reason)
