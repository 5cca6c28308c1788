"""Moments in filters: every list that takes them, in the company's zone."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from chassis.catalogue import Catalogue
from chassis.model.views import Range, View
from chassis.queries.conditions import Conditions, fields_asked
from chassis.queries.filters import Filters, parsed
from contracts.errors import Refused

MOMENTS = [
    (view, name)
    for view in Catalogue.read().views()
    for name, rule in view.filters.items()
    if isinstance(rule, Range) and rule.kind is datetime
]
ZONES = ["Asia/Shanghai", "America/New_York", "UTC", "Asia/Kathmandu"]
each = pytest.mark.parametrize(("view", "name"), MOMENTS, ids=lambda value: getattr(value, "name", value))


def bound(view: View, parameter: str, text: str, zone: str) -> dict[str, Any]:
    asked = Filters(view, lambda _: True, ZoneInfo(zone)).condition(parameter, [text])
    assert asked is not None
    (condition,) = asked[0].values()
    return dict(condition)


def test_there_are_lists_that_take_moments() -> None:
    assert MOMENTS


@each
@pytest.mark.parametrize("zone", ZONES)
def test_a_moment_without_an_offset_is_one_of_the_company(view: View, name: str, zone: str) -> None:
    wall = datetime(2026, 11, 26, 18, 0, tzinfo=ZoneInfo(zone))
    for text in ("2026-11-26T18:00:00", "2026-11-26 18:00", "2026-11-26t18:00:00.000"):
        assert bound(view, f"{name}_from", text, zone) == {"$gte": wall}, text
        assert bound(view, f"{name}_to", text, zone) == {"$lte": wall}, text


@each
@pytest.mark.parametrize("zone", ZONES)
def test_an_offset_that_is_told_counts(view: View, name: str, zone: str) -> None:
    at = datetime(2026, 11, 26, 10, 0, tzinfo=UTC)
    for text in ("2026-11-26T10:00:00Z", "2026-11-26t10:00z", "2026-11-26T18:00:00+08:00", "2026-11-26T04:30:00-05:30"):
        assert bound(view, f"{name}_from", text, zone) == {"$gte": at}, text


@each
@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("day", ["2026-11-26", "2026-03-08", "2026-11-01"])  # clocks change in New York on the latter
def test_a_day_is_the_whole_of_it(view: View, name: str, zone: str, day: str) -> None:
    begin = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone))
    end = (begin.replace(tzinfo=None) + timedelta(days=1)).replace(tzinfo=ZoneInfo(zone))
    assert bound(view, f"{name}_from", day, zone) == {"$gte": begin}
    assert bound(view, f"{name}_to", day, zone) == {"$lt": end}


@each
@pytest.mark.parametrize(
    "text",
    [
        "2026-W48", "2026-W48-4", "20261126T10", "20261126", "2026-11", "2026", "2026-330", "2026-11-26T10",
        "2026-11-26T1000", "2026-11-26T10:00:00+0800", "2026-11-26T10:00:00+08", "2026-11-26T24:00", "2026-02-30",
        "2026-11-26T10:00:00 08:00", "2026-11-26T10:00Z[Asia/Shanghai]", "1732615200", "now", "", "10000-01-01",
        "0000-01-01", "2026-11-26T10:00:00,5", "2026-11-26T10:00:00+08:00:01",
        "2026-11-26T10:00:00+24:00",
    ],
)  # fmt: skip
def test_other_forms_are_refused_by_name(view: View, name: str, text: str) -> None:
    with pytest.raises(Refused) as refused:
        bound(view, f"{name}_to", text, "Asia/Shanghai")
    assert (refused.value.code, refused.value.field) == ("VALIDATION", f"{name}_to")


@each
@pytest.mark.parametrize("zone", ZONES)
def test_the_first_and_the_last_day_of_the_calendar_stand_for_ever(view: View, name: str, zone: str) -> None:
    now = datetime(2026, 11, 26, tzinfo=UTC)
    for text in ("0001-01-01", "0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00"):
        assert bound(view, f"{name}_from", text, zone)["$gte"] < now - timedelta(days=365 * 2000), text
    for text, how in (("9999-12-31", "$lt"), ("9999-12-31T23:59:59-14:00", "$lte"), ("9999-12-31T23:59:59", "$lte")):
        assert bound(view, f"{name}_to", text, zone)[how] > now + timedelta(days=365 * 7900), text
    asked = Conditions(view, lambda _: True, ZoneInfo(zone))
    for field in (field for field, kind in fields_asked(view).items() if kind.kind == "moment"):
        for day in ("0001-01-01", "9999-12-31"):
            for operator in ("equal", "less", "at_most", "greater", "at_least"):
                assert asked.read(json.dumps({"field": field, "is": operator, "value": day}))


@pytest.mark.parametrize("text", ["9" * 16, "1.123456789", "1e3"])
def test_a_number_that_is_too_long_is_told_how_long_one_may_be(text: str) -> None:
    for kind in (int, Decimal):
        with pytest.raises(Refused, match="at most 15 digits"):
            parsed("amount_from", kind, text, UTC)
