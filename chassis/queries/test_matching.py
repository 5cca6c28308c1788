"""A condition is held against a document as MongoDB would hold it (NTF-02)."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from chassis.projections.documents import stored
from chassis.queries.matching import meets

ROW = stored({
    "name": "Wu",
    "budget": Decimal("1000.00"),
    "starts_on": date(2026, 3, 2),
    "at": datetime(2026, 3, 2, 1, 0, tzinfo=UTC),
    "tags": ["a", "b"],
    "none": None,
    "empty": [],
    "number": 3,
})  # fmt: skip


@pytest.mark.parametrize(
    ("condition", "met"),
    [
        ({"name": {"$in": ["Wu", "Li"]}}, True),
        ({"name": {"$in": ["Li"]}}, False),
        ({"budget": {"$gte": stored(Decimal("1000"))}}, True),
        ({"budget": {"$gt": stored(Decimal("1000"))}}, False),
        ({"budget": {"$in": [stored(Decimal("1000.0"))]}}, True),
        ({"starts_on": {"$lt": "2026-03-03"}}, True),
        ({"starts_on": {"$lte": "2026-03-01"}}, False),
        ({"at": {"$gte": datetime(2026, 3, 2, tzinfo=UTC), "$lt": datetime(2026, 3, 3, tzinfo=UTC)}}, True),
        ({"at": {"$gte": datetime(2026, 3, 3, tzinfo=UTC), "$lt": datetime(2026, 3, 4, tzinfo=UTC)}}, False),
        ({"at": {"$eq": datetime(2026, 3, 2, 1, 0, tzinfo=UTC)}}, True),
        ({"tags": {"$in": ["b"]}}, True),
        ({"tags": {"$in": ["c"]}}, False),
        ({"none": {"$in": [None, "", []]}}, True),
        ({"missing": {"$in": [None, "", []]}}, True),
        ({"empty": {"$in": [None, "", []]}}, True),
        ({"tags": {"$in": [None, "", []]}}, False),
        ({"none": {"$lt": 5}}, False),
        ({"number": {"$lt": 5}}, True),
        ({"$and": [{"number": {"$lt": 5}}, {"name": {"$in": ["Li"]}}]}, False),
        ({"$or": [{"number": {"$lt": 5}}, {"name": {"$in": ["Li"]}}]}, True),
        ({"$nor": [{"number": {"$lt": 5}}]}, False),
        ({"$nor": [{"none": {"$lt": 5}}]}, True),
    ],
)
def test_ntf_02_a_condition_is_met_or_not(condition: dict[str, Any], met: bool) -> None:
    assert meets(ROW, condition) is met
