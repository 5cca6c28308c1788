"""Ids of records.  New ones grow with time (UUID version 7), and what belongs to a record is named beside it.

A store's index then grows at its end.  With random ids every event lands on another page of it: at a million events
that costs two fifths of the throughput (ADR 0019).
"""

import re
from uuid import UUID

from uuid_utils.compat import uuid7

TIME_ORDERED = 7
RANDOM_UUIDS = (4, TIME_ORDERED)
"""The versions of the ids that callers may choose; those of all others are derived, and name one kind of record."""
_TIME = ((1 << 48) - 1) << 80
_VERSION = 0xF << 76
_HEX = "[0-9a-f]"
_WRITTEN = re.compile(
    rf"(?:urn:uuid:)?(?P<brace>{{)?({_HEX}{{8}}-?(?:{_HEX}{{4}}-?){{3}}{_HEX}{{12}})(?(brace)}})", re.IGNORECASE
)


def new_id() -> UUID:
    """A new record's id.  It tells when it was made; where that must not be known, take `uuid4`."""
    return uuid7()


def beside(record_id: UUID, named: UUID) -> UUID:
    """The name-based id of something that belongs to a record, moved to where the record's id lies.

    Of a time-ordered id it takes the time, under version 8 (nobody can ask for such a one); beside another id it is
    `named` itself.
    """
    if record_id.version != TIME_ORDERED:
        return named
    return UUID(int=(record_id.int & _TIME) | (named.int & ~_TIME & ~_VERSION) | (8 << 76))


def parse_id(text: str) -> UUID:
    """The id a text names, however it is written: in any letter case, in braces, as a URN, without dashes.

    Raises ValueError.
    """
    found = _WRITTEN.fullmatch(text.strip(" "))
    if not found:
        raise ValueError("not a UUID")
    return UUID(found[2])


def id_in(text: str) -> str | None:
    """An id as it is stored and shown; None for a text that is no UUID."""
    try:
        return str(parse_id(text))
    except ValueError:
        return None


def canonical(text: str) -> str:
    """An id as it is stored and shown; a text that is no UUID is what it is."""
    return id_in(text) or text
