"""A push rule finds its condition met by the very records that a list shows by the same condition (NTF-02, UIX-13).

But for letters that a key writes as two (ß): lists find those by fields without keys one way only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from pymongo import MongoClient

from chassis.model.changes import EventMetadata
from chassis.model.record_views import record_view
from chassis.projections.documents import changed, stored
from chassis.queries.conditions import Conditions
from chassis.testing.people import SALES
from chassis.testing.records import heard_of
from contracts.leads import Lead
from contracts.marketing import Campaign
from contracts.people import NOBODY, Person
from contracts.records import Kind, kind_of
from contracts.types import Money
from services.notices.conditions import holds, read
from services.notices.known_of_others import KnownHere

LEAD, CAMPAIGN = kind_of(Lead), kind_of(Campaign)
AT = EventMetadata("x/1", "", datetime(2026, 3, 2, 1, 0, tzinfo=UTC), "", 1, "")
LI = Person(user_id=SALES.user_id, name="Li")
COMPANIES = (
    "ACME",
    "Ａｃｍｅ",
    "acme Ltd.",
    "A-C ME",
    "",
    "株式会社 京都",
    "Café",
    "50% (x)",
    "a.c.m.e",
)
PHONES = (None, "13800000001", "+86 138-0000-0001", "021-5555")
BUDGETS = (None, Decimal("1000"), Decimal("1000.00"), Decimal("999.99"), Decimal("0"))
DAYS = (None, date(2026, 3, 1), date(2026, 3, 2))


def records_of(kind: Kind) -> list[KnownHere]:
    data = kind.layout.read(heard_of(kind, uuid4()))
    if kind is LEAD:
        some = [replace(data, company=one, need=one) for one in COMPANIES]
        some += [replace(data, phone=one) for one in PHONES]
        some += [replace(data, industry=one) for one in ("retail", "RETAIL", "x", "")]
    else:
        some = [replace(data, budget=None if one is None else Money(amount=one, currency="CNY")) for one in BUDGETS]
        some += [replace(data, starts_on=one) for one in DAYS] + [replace(data, expected_response=7)]
    assert kind.statuses
    statuses = [*kind.statuses.names]
    found = [KnownHere(id=uuid4(), data=one, owner=LI, status=statuses[0]) for one in some]
    return [*found, *(replace(found[0], id=uuid4(), owner=NOBODY, status=one) for one in statuses)]


ASKED: dict[str, Sequence[tuple[str, str, Any]]] = {
    "lead": [
        *((name, how, value) for name in ("company", "need")
          for how in ("equal", "not_equal", "contains", "begins_with")
          for value in ("acme", "ACME ltd", "京都", "café", "50%")),
        *(("company", how, None) for how in ("is_empty", "is_not_empty")),
        ("company", "one_of", ["acme", "Café"]),
        *(("phone", how, value) for how in ("equal", "contains", "begins_with") for value in ("138 0000 0001", "0215")),
        ("phone", "is_empty", None),
        *(("industry", how, "retail") for how in ("equal", "not_equal", "contains")),
        ("status", "equal", "POOL"), ("status", "one_of", ["POOL", "OWNED"]),
        ("owner_id", "equal", str(SALES.user_id)), ("owner_id", "is_empty", None), ("owner_name", "equal", "li"),
    ],
    "campaign": [
        *(("budget", how, "1000") for how in ("equal", "not_equal", "less", "at_most", "greater", "at_least")),
        ("budget", "is_empty", None),
        *(("starts_on", how, "2026-03-02") for how in ("equal", "less", "at_most", "greater", "at_least")),
        ("expected_response", "at_least", "7"),
        ("status", "not_equal", "PLANNED"),
    ],
}  # fmt: skip
CASES = [(kind, *asked) for kind in (LEAD, CAMPAIGN) for asked in ASKED[kind.code]]


@pytest.fixture(scope="module")
def database(mongodb_uri: str) -> Iterator[Any]:
    client: MongoClient[dict[str, Any]] = MongoClient(mongodb_uri, tz_aware=True)
    found = client[f"rules-{uuid4().hex[:8]}"]
    yield found
    client.drop_database(found.name)
    client.close()


@pytest.fixture(scope="module")
def known(database: Any) -> dict[str, list[KnownHere]]:
    """The records of each kind, which stand in its list too."""
    found = {kind.code: records_of(kind) for kind in (LEAD, CAMPAIGN)}
    for kind in (LEAD, CAMPAIGN):
        view = record_view(kind.cls)
        for one in found[kind.code]:
            told = {kind.key: one.id, "owner": one.owner, "status": one.status, **kind.layout.told(one.data)}
            [change] = view.handlers[kind.created](kind.created(**told), AT)
            document = stored(changed(None, view.keyed(change), AT))
            database[kind.code].insert_one({**document, "_id": str(one.id)})
    return found


@pytest.mark.parametrize(("kind", "field", "how", "value"), CASES, ids=lambda one: getattr(one, "code", None))
def test_ntf_02_a_rule_is_met_by_what_a_list_shows(
    database: Any, known: dict[str, list[KnownHere]], kind: Kind, field: str, how: str, value: Any
) -> None:
    text = json.dumps({"field": field, "is": how} | ({} if value is None else {"value": value}))
    condition = Conditions(record_view(kind.cls), lambda _: True, in_parts=False).read(text)
    listed = {one["_id"] for one in database[kind.code].find(condition, {"_id": 1})}
    asked = read(kind, text)
    met = {str(one.id) for one in known[kind.code] if holds(kind, one, asked)}
    assert met == listed
