"""Replicas that a release has added or changed are filled from event one before their service reads on.

A consumer goes on at its stored offsets, so a replica that is new, or takes in events it did not before, would know
nothing of what happened until then.
"""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from inspect import get_annotations
from typing import Any

import structlog

from chassis.foundation.config import Config
from chassis.messaging.partitions import PartitionReader
from chassis.messaging.progress import Progress, StoredProgress, with_fate
from chassis.messaging.records import Incoming, PoisonRecord
from chassis.model.service import Replica
from chassis.store.event_store import Conflict
from chassis.store.transaction import ReplicaRow
from chassis.writer.writer import Writer
from contracts.declare import REGISTRY
from contracts.schemas import encode

log = structlog.get_logger()

SHAPES = "replica-shapes"
"""Rows of the event store: with what shape each replica was filled."""
BATCH = 500

Rows = dict[tuple[str, str], Any]
"""What each row of a replica is, by replica and key; None where it was deleted."""


def shape_of(replica: Replica[Any]) -> str:
    """Identifies what a replica is made of: the events that feed it and the fields of its rows."""
    events = sorted(REGISTRY.event_of(fact).name for fact in replica.feeds)
    row = [f"{name}:{kind}" for cls in replica.row.__mro__ for name, kind in get_annotations(cls).items()]
    parts = [*events, *row]
    return sha256(";".join(parts).encode()).hexdigest()[:16]


def refill_changed(config: Config, writer: Writer) -> None:
    """Fill the replicas of a service that were not filled as they are declared now, up to where its inbox has read.

    What the inbox has set aside or given up is left out.  Raises TopicsDamaged where a topic lacks what it has read.
    """
    store = writer.store
    changed = [one for one in writer.service.replicas if store.row(SHAPES, one.name) != shape_of(one).encode()]
    if not changed:
        return
    shapes = [ReplicaRow(SHAPES, one.name, shape_of(one).encode()) for one in changed]
    feeds = {fact for replica in changed for fact in replica.feeds}
    topics = sorted({REGISTRY.event_of(fact).topic for fact in feeds})
    names = [replica.name for replica in changed]
    reader = PartitionReader(
        config, f"refill-{writer.service.name}", topics, {REGISTRY.event_of(fact).name: fact for fact in feeds}
    )
    rows: Rows = {}
    read = Progress({}, {})
    try:
        reader.seek({})
        while True:
            stored = StoredProgress(store, writer.service.name, reader.sources)
            if stored.progress.offsets:
                log.info("replicas are filled", service=writer.service.name, replicas=names)
                reader.require_all_before(stored.progress.offsets)
                reader.seek(read.offsets)
                _take_in(reader, stored.progress, read, changed, rows)
            filled = [ReplicaRow(name, key, None if row is None else encode(row)) for (name, key), row in rows.items()]
            try:
                writer.refill([*filled, *shapes], stored.changes(stored.branch()))
                return
            except Conflict:  # another process of the service has read on: go after it
                log.info("replicas have to read on", service=writer.service.name)
    finally:
        reader.close()


def _take_in(
    reader: PartitionReader, inbox: Progress, read: Progress, replicas: Sequence[Replica[Any]], rows: Rows
) -> None:
    """Read up to where the inbox is, into `read` and `rows`."""
    goals = {source: inbox.offsets.get(source, 0) for source in reader.sources}
    while reader.is_behind(goals):
        for record in reader.poll(BATCH):
            if record.offset < goals[record.source] and read.accept(_judged(record, inbox, read)):
                _apply(record, replicas, rows)


def _judged(record: Incoming, inbox: Progress, read: Progress) -> Incoming:
    """The record with the fate it had.

    One of a type that the inbox did not take in until now, and that can't be read, says nothing: it must stop nobody.
    """
    try:
        return with_fate(record, inbox, read)
    except PoisonRecord as poison:
        log.error("left out of new replicas", source=record.source, offset=record.offset, reason=str(poison))
        return replace(record, fate="dropped")


def _apply(record: Incoming, replicas: Sequence[Replica[Any]], rows: Rows) -> None:
    for replica in replicas:
        if feed := replica.feeds.get(type(record.fact)):
            for key in replica.keys_of(record.fact):
                rows[replica.name, key] = feed(rows.get((replica.name, key)), record.fact)
