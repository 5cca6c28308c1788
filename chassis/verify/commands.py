"""Remembered results are consistent: each tells of events that are there, and every command sent was answered.

Of a command whose result was forgotten (ADR 0032) the receiver's audit log tells that it was done.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import takewhile
from types import NoneType
from typing import Any
from uuid import UUID

import msgspec

from chassis.audit.chain import records_of
from chassis.audit.entries import DONE
from chassis.foundation.compression import Damaged
from chassis.messaging.kafka import partition_of
from chassis.model.aggregates import Aggregate
from chassis.model.commands import CommandSent
from chassis.store.event_store import EventStore
from chassis.store.events import Notification, Unreadable
from chassis.store.transaction import CommandResult, schema_fingerprint
from chassis.verify.dead_letters import SetAside
from chassis.verify.findings import Difference, EventRef
from chassis.writer.forgetting import may_be_forgotten
from chassis.writer.request import remembered_answer, require_print
from contracts.schemas import decode

RESULTS = "remembered results"
SENT = "commands sent"
SNAPSHOTS = "snapshots = events"
PAGE = 1_000


class Claims:
    """Which command caused which event, as a sorted row of digests."""

    def __init__(self) -> None:
        self._digests = array("q")
        self._sorted = False

    def note(self, event: Notification) -> None:
        self._digests.append(hash((event.meta.command_id, event.aggregate_id, event.version)))
        self._sorted = False

    def has(self, command_id: str, aggregate_id: UUID, version: int) -> bool:
        if not self._sorted:
            self._digests, self._sorted = array("q", sorted(self._digests)), True
        digest = hash((command_id, aggregate_id, version))
        at = bisect_left(self._digests, digest)
        return at < len(self._digests) and self._digests[at] == digest


def check_results(store: EventStore, claims: Claims) -> Iterator[Difference | None]:
    """For each remembered result the difference, or None."""
    after = ""
    while page := store.results_after(after, PAGE):
        after = page[-1].command_id
        for result in page:
            yield _check_result(store, claims, result)


def _check_result(store: EventStore, claims: Claims, result: CommandResult) -> Difference | None:
    command_id = result.command_id
    try:
        require_print(result.fingerprint)
        answer = remembered_answer(result.reply)
    except Damaged as error:
        return Difference(RESULTS, f"{store.name} {command_id}", f"the result can't be read: {error}")
    if answer.service != store.name:
        return Difference(RESULTS, f"{store.name} {command_id}", f"the result is of {answer.service}")
    for told in answer.last:
        if claims.has(command_id, told.aggregate_id, told.version):
            continue
        try:
            meta = store.meta_at(told.aggregate_id, told.version)  # it may have come since the log was read
        except Unreadable as damage:
            return Difference(RESULTS, f"{store.name} {command_id}", f"of the events it tells of: {damage}")
        if meta is None or meta.command_id != command_id:
            what = "is not there" if meta is None else f"was caused by {meta.command_id}"
            message = f"the result tells of event {told.aggregate_id}/{told.version}, which {what}"
            position = store.position_of(told.aggregate_id, told.version)
            event = EventRef(store.name, position) if position else None
            return Difference(RESULTS, f"{store.name} {command_id}", message, event)
    return None


class DoneLongAgo:
    """The commands that a service has done and may have forgotten the results of, as its audit log tells."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._up_to = 0
        self._digests = array("q")

    def has(self, command_id: str) -> bool:
        if (up_to := may_be_forgotten(self._store)) != self._up_to:
            self._read(up_to)
        digest = hash(command_id)
        at = bisect_left(self._digests, digest)
        return at < len(self._digests) and self._digests[at] == digest

    def _read(self, up_to: int) -> None:
        found = array("q")
        for record in takewhile(lambda record: record.number <= up_to, records_of(self._store)):
            with suppress(msgspec.MsgspecError, Damaged):  # the check of the chain names it
                found.extend(hash(entry.command_id) for entry in record.entries() if entry.result == DONE)
        self._up_to, self._digests = up_to, array("q", sorted(found))


class SentCommands:
    """The commands that services sent each other: the receiver must remember, or have noted, each one it has read."""

    def __init__(self, receivers: dict[str, EventStore], partitions: int, letters: SetAside) -> None:
        self._receivers = receivers
        self._letters = letters
        self._done = {name: DoneLongAgo(store) for name, store in receivers.items()}
        self._waiting: dict[str, list[tuple[str, CommandSent, int]]] = {name: [] for name in receivers}
        self._read_up_to = {
            (name, p): store.position(f"position:{name}.commands:{p}") or 0
            for name, store in receivers.items()
            for p in range(partitions)
        }
        self._partitions = partitions
        self.checked = 0

    def take(self, sender: str, event: Notification) -> Iterator[Difference]:
        """A command left `sender`."""
        sent = decode(CommandSent, event.data)
        if sent.service not in self._receivers:
            return
        partition = partition_of(sent.key, self._partitions)
        if event.position <= self._read_up_to[sent.service, partition]:
            self._waiting[sent.service].append((sender, sent, event.position))
            if len(self._waiting[sent.service]) >= PAGE:
                yield from self._check(sent.service)

    def finish(self) -> Iterator[Difference]:
        for name in self._waiting:
            yield from self._check(name)

    def _check(self, receiver: str) -> Iterator[Difference]:
        batch = self._waiting[receiver]
        known = self._receivers[receiver].results([sent.command_id for _, sent, _ in batch])
        self.checked += len(batch)
        for sender, sent, position in batch:
            if sent.command_id not in known and not self._is_accounted_for(receiver, sent.command_id):
                about = f"{sent.command} {sent.command_id}"
                message = f"{receiver} has read the command and remembers no result"
                yield Difference(SENT, about, message, EventRef(sender, position))
        batch.clear()

    def _is_accounted_for(self, receiver: str, command_id: str) -> bool:
        return command_id in self._letters.ids(receiver) or self._done[receiver].has(command_id)


def check_snapshots(store: EventStore) -> Iterator[Difference | None]:
    """For each usable snapshot the difference from its stream, or None.

    A snapshot of a class whose fields have changed since is never read, so it is not compared.
    """
    classes = {schema_fingerprint(cls): cls for cls in _kinds(Aggregate) if cls.snapshot_every}
    after: UUID | None = None
    while page := store.snapshots_after(after, PAGE):
        after = page[-1].aggregate_id
        for snapshot in page:
            cls = classes.get(snapshot.schema)
            if cls is None:
                continue
            about = f"{store.name} {cls.__name__} {snapshot.aggregate_id}"
            made = cls(id=snapshot.aggregate_id)
            try:
                for fact in store.facts(snapshot.aggregate_id):
                    if made.version == snapshot.version:
                        break
                    made.apply(fact)
            except Unreadable as damage:
                yield Difference(SNAPSHOTS, about, str(damage))
                continue
            kept = msgspec.json.decode(msgspec.json.encode(decode(cls, snapshot.state, snapshot.aggregate_id)))
            if kept == msgspec.json.decode(msgspec.json.encode(made)):
                yield None
                continue
            again = msgspec.json.decode(msgspec.json.encode(made))
            names = [name for name in again if kept.get(name) != again[name]]
            message = "; ".join(_told(name, kept.get(name), again[name]) for name in names)
            position = store.position_of(snapshot.aggregate_id, snapshot.version)
            event = EventRef(store.name, position) if position else None
            yield Difference(SNAPSHOTS, about, message, event)


def _told(name: str, kept: Any, said: Any) -> str:
    """What differs; the values only of numbers and flags: all else may tell of a person, or what something cost."""
    if isinstance(kept, NoneType | bool | int) and isinstance(said, NoneType | bool | int):
        return f"{name} is {kept}, the events say {said}"
    return f"{name} is not what the events say"


def _kinds(cls: type[Aggregate]) -> Sequence[type[Aggregate]]:
    return [kind for own in cls.__subclasses__() for kind in (own, *_kinds(own))]
