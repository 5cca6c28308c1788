"""The cursor of a page: where the page beside it ended, in which order, which way it goes from there, and as of when.

All pages of a list show it as it was when the first page was read: a row whose sort field changes meanwhile is neither
lost nor told twice.  MongoDB keeps that state for some minutes (`minSnapshotHistoryWindowInSeconds`, 5 by default).

It belongs to one list, its order and its conditions: with others it would begin in the midst of other rows, and nobody
would see that some are missing.

It is not signed: it says where to go on, and never what may be seen.  Rights, scope and conditions are those of the
request that brings it, so one that somebody made up tells nothing that a filter would not.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, DecimalException
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec
from bson import Decimal128, Timestamp, encode

from contracts.errors import Refused
from contracts.text import has_controls

VERSION = 5
LONGEST = 4_000
LONGEST_VALUE = 600
"""A longer text is not in a cursor, which is part of an address: it is looked up again."""
WHOLE_END = 2**63
EMPTY = (None, "")
"""What a column of a row shows nothing of; such rows come last whichever way a list is sorted."""
MOMENT_END = 2**32
DIGITS = 34
LOOKED_UP = "l"
Document = dict[str, Any]


class SortOrder(NamedTuple):
    """How a list is sorted: by a field, up (1) or down (-1), texts as people of `language` expect (`View.orders_of`).

    `_id` decides between equals and turns with the direction, so that one index serves both.  A list has two parts: the
    rows that have a value, and behind them those that have none, whichever way it goes.  Each is read by itself: in one
    read MongoDB would have empty values first where the list goes up, and no index serves another order.
    """

    field: str
    direction: int
    language: str = ""

    @property
    def text(self) -> str:
        return ("-" if self.direction < 0 else "") + self.field

    @property
    def is_by_id(self) -> bool:
        """Whether it is by what every row has."""
        return self.field == "_id"

    def turned(self) -> "SortOrder":
        return self._replace(direction=-self.direction)

    def whole(self) -> "list[Part]":
        """All parts of a list, in the order in which they are told."""
        if self.is_by_id:
            return [Part({}, {"_id": self.direction})]
        return [self.filled({}), self.empty({})]

    def filled(self, condition: Document) -> "Part":
        """The rows that have a value, and for which a condition holds."""
        has_some = {self.field: {"$nin": [*EMPTY]}}
        found = {"$and": [has_some, condition]} if condition else has_some
        return Part(found, {self.field: self.direction, "_id": self.direction})

    def empty(self, condition: Document) -> "Part":
        """The rows that have no value, and for which a condition holds."""
        return Part({self.field: {"$in": [*EMPTY]}, **condition}, {"_id": self.direction}, is_empty=True)


class Part(NamedTuple):
    """Rows of a list that follow each other: the condition by which they are found, and how they are sorted."""

    condition: Document
    sort: Mapping[str, int]
    is_empty: bool = False


@dataclass(frozen=True)
class Cursor:
    """The page that follows the row of `value` and `key`, or with `back` the one that ends before it.

    Without a key there is no such row: it begins where the list does, or with `back` ends where the list ends.  `at` is
    when all pages are of, `collection` where they are.  `conditions` tells those of the list `view` from others
    (`told_apart`).  `value` is None for a row that has none; one that `is_looked_up` is not in the text, and must be
    taken from the row.
    """

    view: str
    conditions: str
    order: SortOrder
    collection: str
    at: Timestamp
    value: Any
    key: str
    back: bool = False
    is_looked_up: bool = False

    def text(self) -> str:
        """As it is sent: opaque to callers."""
        kind = "n" if isinstance(self.value, Decimal128) else "t" if isinstance(self.value, datetime) else "j"
        value = str(self.value.to_decimal()) if isinstance(self.value, Decimal128) else self.value
        if isinstance(value, str) and len(value) > LONGEST_VALUE:
            kind, value = LOOKED_UP, None
        order, at = self.order, self.at
        parts = [
            VERSION,
            self.view,
            self.conditions,
            order.text,
            order.language,
            self.collection,
            at.time,
            at.inc,
            kind,
            value,
            self.key,
            self.back,
        ]
        return base64.urlsafe_b64encode(msgspec.json.encode(parts)).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> "Cursor":
        """Raises Refused VALIDATION for anything that no page has told."""
        try:
            return _read(text)
        except (ValueError, TypeError, OverflowError, DecimalException, binascii.Error, RecursionError) as error:
            raise not_taken("lists.cursor_form") from error

    @property
    def reading(self) -> SortOrder:
        """The order in which its page is read: back from where it ends."""
        return self.order.turned() if self.back else self.order

    def parts(self) -> list[Part]:
        """The rows that follow, in the order in which its page is read; in a part that is read whole, all of them.

        Each condition keeps a bound that an index can use.
        """
        reading = self.reading
        if not self.key:
            return reading.whole()[:: -1 if self.back else 1]
        how = "$lt" if reading.direction < 0 else "$gt"
        beyond = {"_id": {how: self.key}}
        if reading.is_by_id:
            return [Part(beyond, {"_id": reading.direction})]
        if self.value is None:
            here = reading.empty(beyond)
            return [here, reading.filled({})] if self.back else [here]
        reached = {self.order.field: {f"{how}e": self.value}}
        here = reading.filled({"$and": [reached, {"$or": [{self.order.field: {"$ne": self.value}}, beyond]}]})
        return [here] if self.back else [here, reading.empty({})]


def told_apart(conditions: Sequence[Document]) -> str:
    """What tells a list's conditions from others, in whatever order they and their values are given."""
    return sha256(b"".join(sorted(encode(_in_order(condition)) for condition in conditions))).hexdigest()[:16]


def _in_order(condition: Any) -> Any:
    if isinstance(condition, dict):
        return {
            name: sorted(inner, key=repr) if name == "$in" else _in_order(inner) for name, inner in condition.items()
        }
    return [_in_order(inner) for inner in condition] if isinstance(condition, list) else condition


def not_taken(reason: str) -> Refused:
    return Refused(reason, field="cursor")


def _read(text: str) -> Cursor:
    if len(text) > LONGEST:
        raise ValueError("too long")
    raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    version, view, conditions, sort, language, collection, seconds, number, kind, value, key, back = (
        msgspec.json.decode(raw)
    )
    texts = (view, conditions, sort, language, collection, kind, key)
    if version != VERSION or not all(isinstance(part, str) for part in texts):
        raise ValueError("another version")
    if not isinstance(back, bool):
        raise ValueError("no way to go")
    if not all(type(part) is int and 0 <= part < MOMENT_END for part in (seconds, number)):
        raise ValueError("no moment")
    direction = -1 if sort.startswith("-") else 1
    order = SortOrder(sort.removeprefix("-"), direction, language)
    at, is_looked_up = Timestamp(seconds, number), kind == LOOKED_UP
    return Cursor(view, conditions, order, collection, at, _value(kind, value), _plain(key), back, is_looked_up)


def _value(kind: str, value: Any) -> Any:
    if kind == LOOKED_UP:
        return None
    if kind == "n":
        number = Decimal(_plain(value))
        if not number.is_finite() or len(number.as_tuple().digits) > DIGITS:
            raise ValueError("no number")
        return Decimal128(number)
    if kind == "t":
        moment = datetime.fromisoformat(_plain(value))
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if not -WHOLE_END <= value < WHOLE_END:
            raise ValueError("no number that is stored")
        return value
    return _plain(value)


def _plain(value: Any) -> str:
    if not isinstance(value, str) or has_controls(value):
        raise TypeError("no text")
    return value
