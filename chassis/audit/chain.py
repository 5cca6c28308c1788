"""How audit records are linked, and what shows when they are not: one record holds the entries of one commit.

    digest = SHA256(entries as stored, packed)        hash = SHA256(hash of the record before | number | digest)

An edited record has another digest, a removed or moved one leaves a gap, and whoever mends all hashes after an edit
ends at another head than the one that was signed (`heads`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

import msgspec

from chassis.audit.entries import Entry, decode_entries
from chassis.foundation.compression import Damaged, packed, unpacked

PAGE = 500
START = bytes(32)  # what stands for the hash of the record before the first


@dataclass(frozen=True)
class NewRecord:
    """The entries of one commit on their way into the store, which gives number and hash."""

    digest: bytes
    body: bytes

    @classmethod
    def of(cls, entries: Sequence[bytes]) -> "NewRecord":
        """A record of entries that are encoded already."""
        body = packed(b"[" + b",".join(entries) + b"]")
        return cls(sha256(body).digest(), body)

    def after(self, number: int, hash: bytes) -> "Record":
        """The record that follows the one with this number and hash (0 and START: the first)."""
        return Record(number + 1, self.digest, link(hash, number + 1, self.digest), self.body)


@dataclass(frozen=True)
class Record:
    """A stored record: the entries of one commit and its link to the one before."""

    number: int
    digest: bytes
    hash: bytes
    body: bytes

    def entries(self) -> list[Entry]:
        """Raises msgspec.MsgspecError, Damaged."""
        return decode_entries(unpacked(self.body))


def link(before: bytes, number: int, digest: bytes) -> bytes:
    return sha256(before + number.to_bytes(8) + digest).digest()


def entry_id(service: str, number: int, place: int) -> str:
    """The id of an entry: its service, its record, its place in it from 0 on."""
    return f"{service}-{number}-{place}"


class AuditStore(Protocol):
    """A store with audit records."""

    name: str

    def audit_after(self, number: int, limit: int) -> list[Record]: ...


@dataclass
class Chain:
    """What a check of one store's chain found: where it ends, and the first thing that is wrong."""

    service: str
    number: int = 0
    hash: bytes = START
    entries: int = 0
    broken: str = ""

    @property
    def is_whole(self) -> bool:
        return not self.broken


def check_chain(store: AuditStore, heads: Mapping[int, bytes] | None = None) -> Chain:
    """Recompute a store's chain from its first record.

    `heads` are hashes that were signed earlier, by number: a record that is not there any more, or another one, shows.
    """
    heads = heads or {}
    chain = Chain(store.name)
    for record in records_of(store):
        chain.broken = _wrong(chain, record)
        if chain.broken:
            return chain
        chain.number, chain.hash = record.number, record.hash
        signed = heads.get(record.number)
        if signed is not None and signed != record.hash:
            chain.broken = _name(chain.service, record) + "is not the one whose hash was signed: it was rewritten"
            return chain
    lost = [number for number in heads if number > chain.number]
    if lost:
        chain.broken = (
            f"the log of {chain.service} ends with record {chain.number}, a signed head tells of record {max(lost)}: "
            "its end was removed"
        )
    return chain


def records_of(store: AuditStore, after: int = 0) -> Iterator[Record]:
    """The records of a store in order."""
    while page := store.audit_after(after, PAGE):
        yield from page
        after = page[-1].number


def _wrong(chain: Chain, record: Record) -> str:
    """What is wrong with a record, given the chain before it; "" when nothing is."""
    if record.number != chain.number + 1:
        first, last = chain.number + 1, record.number - 1
        gone = f"record {first}" if first == last else f"records {first} to {last}"
        return f"{entry_id(chain.service, first, 0)}: {gone} of {chain.service}: removed"
    if not isinstance(record.body, bytes | memoryview) or sha256(record.body).digest() != record.digest:
        return _name(chain.service, record) + "its entries were changed"
    if link(chain.hash, record.number, record.digest) != record.hash:
        return _name(chain.service, record) + "it does not follow the record before: moved, replaced, or put in"
    try:
        chain.entries += len(record.entries())
    except (msgspec.MsgspecError, Damaged) as error:
        return _name(chain.service, record) + f"its entries can't be read: {error}"
    return ""


def _name(service: str, record: Record) -> str:
    return f"{entry_id(service, record.number, 0)}: record {record.number} of {service}: "
