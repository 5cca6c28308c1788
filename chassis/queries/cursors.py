"""The cursor of a page: where the page beside it ended, in which order, which way it goes from there, and as of when.

All pages of a list show it as it was when the first page was read: a row whose sort field changes meanwhile is neither
lost nor told twice.  MongoDB keeps that state for some minutes (`minSnapshotHistoryWindowInSeconds`, 5 by default).

It belongs to one list, its order and its conditions: with others it would begin in the midst of other rows, and nobody
would see that some are missing.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, DecimalException
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec
from bson import Decimal128, Timestamp, encode

from contracts.custom_fields import OWN
from contracts.errors import Refused
from contracts.text import has_controls

VERSION = 4
LONGEST = 4_000
WHOLE_END = 2**63
EMPTY = "_empty"
"""Where a row says, while it is sorted, whether it has a value."""
MOMENT_END = 2**32
DIGITS = 34
Document = dict[str, Any]


class SortOrder(NamedTuple):
    """How a list is sorted: by a field, up (1) or down (-1), texts as people of `language` expect (`View.orders_of`).

    `_id` decides between equals and turns with the direction, so that one index serves both.  Rows without a value come
    first where the list goes up, as MongoDB has it; with `empty` 1 they come last whichever way it goes, and with -1,
    read back from its end, first.
    """

    field: str
    direction: int
    language: str = ""
    empty: int = 0

    @property
    def text(self) -> str:
        return ("-" if self.direction < 0 else "") + self.field

    def turned(self) -> "SortOrder":
        return self._replace(direction=-self.direction, empty=-self.empty)

    def stages(self) -> list[Document]:
        both = {self.field: self.direction, "_id": self.direction}
        if not self.empty:
            return [{"$sort": both}]
        is_empty = {"$cond": [{"$gt": [f"${self.field}", None]}, 0, 1]}
        return [{"$set": {EMPTY: is_empty}}, {"$sort": {EMPTY: self.empty, **both}}, {"$unset": EMPTY}]


@dataclass(frozen=True)
class Cursor:
    """The page that follows the row of `value` and `key`, or with `back` the one that ends before it.

    Without a key there is no such row: it begins where the list does, or with `back` ends where the list ends.  `at` is
    when all pages are of, `collection` where they are.  `conditions` tells those of the list `view` from others
    (`told_apart`).
    """

    view: str
    conditions: str
    order: SortOrder
    collection: str
    at: Timestamp
    value: Any
    key: str
    back: bool = False

    def text(self) -> str:
        """As it is sent: opaque to callers."""
        kind = "n" if isinstance(self.value, Decimal128) else "t" if isinstance(self.value, datetime) else "j"
        value = str(self.value.to_decimal()) if isinstance(self.value, Decimal128) else self.value
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

    def beyond(self) -> Document:
        """The condition for the rows that follow, in the order in which its page is read.

        Up, rows without the field (null or missing) come first; down, last.  `$ne` and `$not` find such rows too,
        which comparisons never do, and each condition keeps a bound that an index can use.
        """
        field, down = self.order.field, self.reading.direction < 0
        if not self.key:
            return {}
        beyond = {"_id": {"$lt" if down else "$gt": self.key}}
        if self.order.empty:
            return self._beyond_with_empty_apart(beyond)
        if field == "_id":
            return beyond
        if self.value is None and down:
            return {field: None, **beyond}
        later: Document = {"$or": [{field: {"$ne": self.value}}, beyond]}
        if self.value is None:
            return later
        reached = {"$not": {"$gt": self.value}} if down else {"$gte": self.value}
        return {"$and": [{field: reached}, later]}

    def _beyond_with_empty_apart(self, beyond: Document) -> Document:
        """The same where rows without a value stand at one end; comparisons never find those."""
        field, reading = self.order.field, self.reading
        if self.value is None:
            more = {field: None, **beyond}
            return more if reading.empty > 0 else {"$or": [more, {field: {"$ne": None}}]}
        how = "$lt" if reading.direction < 0 else "$gt"
        more = {"$or": [{field: {how: self.value}}, {field: self.value, **beyond}]}
        return {"$or": [more, {field: None}]} if reading.empty > 0 else more


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


def order_of(field: str, direction: int, language: str) -> SortOrder:
    """The order by a field.  Of the fields that a company has added many rows have no value: those come last."""
    return SortOrder(field, direction, language, 1 if field.startswith(f"{OWN}.") else 0)


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
    order = order_of(sort.removeprefix("-"), direction, language)
    return Cursor(
        view, conditions, order, collection, Timestamp(seconds, number), _value(kind, value), _plain(key), back
    )


def _value(kind: str, value: Any) -> Any:
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
