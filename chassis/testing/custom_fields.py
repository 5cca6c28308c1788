"""Fields as a company adds them, one of each type, and what may be given for them: for tests over all kinds."""

from typing import Any
from uuid import UUID

from chassis.access.known import KnownCustomField
from chassis.testing.people import SALES
from contracts.custom_fields import CustomChoice, CustomField, Label

GRADES = tuple(
    CustomChoice(key=key, label=Label(zh=zh, en=en)) for key, zh, en in (("a", "甲", "Best"), ("b", "乙", ""))
)
FIELDS: tuple[CustomField, ...] = (
    CustomField(key="note", type="text", label=Label(zh="说明", ja="メモ", en="Note"), position=1),
    CustomField(key="seats", type="number", label=Label(zh="座位"), position=2),
    CustomField(key="price", type="number", label=Label(ja="価格"), position=3),
    CustomField(key="since", type="day", label=Label(en="Since"), position=4),
    CustomField(key="grade", type="choice", label=Label(zh="等级"), choices=GRADES, position=5),
    CustomField(key="uses", type="choices", label=Label(zh="用途"), choices=GRADES, position=6),
    CustomField(key="guide", type="person", label=Label(zh="向导"), position=7),
    CustomField(key="scan", type="file", label=Label(zh="扫描件", en="Scan"), position=9),
    CustomField(key="total", type="formula", label=Label(en="Total"), formula="own.price * own.seats", position=8),
)
"""A field of each type."""
assert isinstance(SALES.user_id, UUID)
VALUES: dict[str, Any] = {
    "note": "苏州 tea",
    "seats": "12.5",
    "price": 3,
    "since": "2026-03-01",
    "grade": "b",
    "uses": ["b", "a"],
    "guide": str(SALES.user_id),
}
"""What a command gives for those that are given when a record is entered: a file is put on it later."""
HELD: dict[str, Any] = {**VALUES, "price": "3", "uses": ["a", "b"]}
"""The same as queries show it."""
NOT_TAKEN: dict[str, list[Any]] = {
    "note": ["x" * 1001, "a\x00b", 3, ["x"]],
    "seats": ["", "1e400", "NaN", float("inf"), "x", True, "1" * 50, "0.123456789", ["1"]],
    "since": ["", "2026-02-30", "1899-12-31", 20260301, "tomorrow"],
    "grade": ["", "c", "A", "Best", 1, ["a"]],
    "uses": ["", "a", ["c"], ["a", "a"]],
    "guide": ["", "li", "01900000-0000-7000-8000-00000000ffff", 1],
    "scan": ["", "x", 1, "01900000-0000-7000-8000-00000000ffff"],
    "total": ["1"],
    "nothing": ["x"],
    "$where": ["1"],
    "a.b": ["1"],
    "__proto__": ["1"],
    "Note": ["1"],
}
"""What is refused, by the key that the refusal names."""


def known(kind: str, *fields: CustomField, revision: int = 1) -> list[KnownCustomField]:
    """The fields as services know them."""
    return [KnownCustomField(kind, one, revision) for one in fields]
