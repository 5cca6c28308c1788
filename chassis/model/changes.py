"""What a handler of a view tells to write: changes of documents, each named by its key."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from chassis.foundation.config import first_zone
from contracts.people import Person


@dataclass(frozen=True)
class EventMetadata:
    """What is known of an event besides its data, and who did it, which some tell (`by`).

    `cause` is the id of the command or event that led to it.
    """

    id: str
    type: str
    at: datetime
    source: str
    position: int
    user_id: str
    day_told: str = ""
    by: Person | None = None
    cause: str = ""

    @property
    def day(self) -> date:
        """The day on which it happened, in the zone the company had set then: for all that counts days or weeks."""
        return date.fromisoformat(self.day_told) if self.day_told else self.at.astimezone(first_zone()).date()

    @property
    def record(self) -> str:
        """The id of the record the event belongs to."""
        return self.id.rpartition("/")[0]

    @property
    def version(self) -> int:
        """The version of the record the event belongs to: what If-Match is compared with."""
        return int(self.id.rpartition("/")[2])


@dataclass(frozen=True)
class Put:
    """Replace the document with this key."""

    key: object
    document: Mapping[str, Any]


@dataclass(frozen=True, init=False)
class Set:
    """Set fields of the document with this key (made if absent)."""

    key: object
    fields: Mapping[str, Any]

    def __init__(self, key: object, **fields: Any) -> None:
        object.__setattr__(self, "key", key)
        object.__setattr__(self, "fields", fields)


@dataclass(frozen=True, init=False)
class Latest:
    """Set fields of the document with this key, unless an event further on in its service's log has set them.

    For what events of several keys of one service tell: their partitions come in any order.  Fields of the document
    itself only (no dotted paths), and no other change may write them.
    """

    key: object
    fields: Mapping[str, Any]

    def __init__(self, key: object, **fields: Any) -> None:
        object.__setattr__(self, "key", key)
        object.__setattr__(self, "fields", fields)


@dataclass(frozen=True)
class Add:
    """Add to numbers of the document with this key; `about` sets what describes it (a day, a product's name)."""

    key: object
    amounts: Mapping[str, int | Decimal]
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, init=False)
class Append:
    """Append an entry to a list of the document with this key.

    The list is in the order of the log of the one service that feeds it, and keeps its newest `LONGEST_LIST` entries;
    `_totals` tells how many there were.
    """

    key: object
    list_name: str
    entry: Mapping[str, Any]

    def __init__(self, key: object, list_name: str, **entry: Any) -> None:
        object.__setattr__(self, "key", key)
        object.__setattr__(self, "list_name", list_name)
        object.__setattr__(self, "entry", entry)


@dataclass(frozen=True)
class Remove:
    """Delete the document with this key."""

    key: object


Change = Put | Set | Latest | Add | Append | Remove

LONGEST_LIST = 200  # entries: few lists ever get there, and the longest entries together stay below MongoDB's 16 MB
PLACE = ("_position", "_entry")
"""Where an entry of a list stands: the position of its event in the log, and its number among the event's entries."""
