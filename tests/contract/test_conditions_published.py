"""Conditions without a server: days in the company's zone, and that the published schema and the reader agree."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from chassis.catalogue import Catalogue
from chassis.documents.query_docs import condition_schema, list_parameters
from chassis.model.views import View
from chassis.queries.conditions import DEEPEST, EMPTINESS, MOST_CONDITIONS, Conditions, fields_asked, operators_of
from contracts.errors import Refused

VIEWS = [view for view in Catalogue.read().views() if view.is_list]
MOMENTS = [(view, name) for view in VIEWS for name, kind in fields_asked(view).items() if kind.kind == "moment"]
PUBLISHED = Draft202012Validator(
    {"$ref": "#/components/schemas/Condition", "components": {"schemas": {"Condition": condition_schema()}}}
)


def read(view: View, tree: Any, zone: str = "UTC") -> dict[str, Any]:
    return Conditions(view, lambda _: True, ZoneInfo(zone)).read(json.dumps(tree))


@pytest.mark.parametrize(("view", "name"), MOMENTS, ids=lambda value: getattr(value, "name", value))
@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York", "UTC", "Asia/Kathmandu"])
@pytest.mark.parametrize("day", ["2026-11-26", "2026-03-08", "2026-11-01"])  # clocks change in New York on the latter
def test_a_day_is_the_whole_of_it_in_the_zone_of_the_company(view: View, name: str, zone: str, day: str) -> None:
    begin = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone))
    end = (begin.replace(tzinfo=None) + timedelta(days=1)).replace(tzinfo=ZoneInfo(zone))
    wanted: dict[str, Any] = {
        "less": {"$lt": begin},
        "at_most": {"$lt": end},
        "greater": {"$gte": end},
        "at_least": {"$gte": begin},
    }
    for operator, bound in wanted.items():
        assert read(view, {"field": name, "is": operator, "value": day}, zone) == {name: bound}
    equal = {"$or": [{name: {"$gte": begin, "$lt": end}}]}
    assert read(view, {"field": name, "is": "equal", "value": day}, zone) == equal
    assert read(view, {"field": name, "is": "not_equal", "value": day}, zone) == {"$nor": [equal]}
    wall = datetime(2026, 11, 26, 18, 0, tzinfo=ZoneInfo(zone))
    asked = {"field": name, "is": "greater", "value": "2026-11-26 18:00"}
    assert read(view, asked, zone) == {name: {"$gt": wall.astimezone(UTC)}}


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_the_published_schema_takes_every_condition_that_there_is(view: View) -> None:
    for name, kind in fields_asked(view).items():
        for operator in operators_of(kind):
            value: Any = ["x"] if operator == "one_of" else "x"
            condition = {"field": name, "is": operator, **({} if operator in EMPTINESS else {"value": value})}
            for tree in (condition, {"and": [condition]}, {"or": [condition, {"and": [condition]}]}):
                PUBLISHED.validate(tree)


@pytest.mark.parametrize(
    "tree",
    [
        None, 1, "x", [], {}, {"and": []}, {"or": {}}, {"nor": []}, {"field": "version"}, {"is": "is_empty"},
        {"field": 1, "is": "is_empty"}, {"field": "version", "is": "is_empty", "value": "1"},
        {"field": "version", "is": "is_empty", "more": 1}, {"field": "version", "is": "equal"},
        {"field": "version", "is": "equal", "value": None}, {"field": "version", "is": "equal", "value": ["1"]},
        {"field": "version", "is": "one_of", "value": "1"}, {"field": "version", "is": "one_of", "value": []},
        {"field": "version", "is": "like", "value": "1"}, {"and": [1]}, {"and": [{}], "or": [{}]},
        {"and": [{"field": "version", "is": "is_empty"}] * (MOST_CONDITIONS + 1)},
    ],
)  # fmt: skip
def test_what_the_published_schema_refuses_is_refused(tree: Any) -> None:
    view = next(view for view in VIEWS if view.name == "customers")
    assert not PUBLISHED.is_valid(tree)
    with pytest.raises(Refused) as refused:
        read(view, tree)
    assert refused.value.code == "VALIDATION" and str(refused.value.field).startswith("where")


def test_the_depth_is_bounded_however_it_is_nested() -> None:
    view = next(view for view in VIEWS if view.name == "customers")
    tree: Any = {"field": "version", "is": "is_empty"}
    for level in range(DEEPEST):
        tree = {"and" if level % 2 else "or": [tree]}
    assert read(view, tree)
    with pytest.raises(Refused, match=f"nested at most {DEEPEST} deep"):
        read(view, {"and": [tree]})


@pytest.mark.parametrize("view", [view for view in VIEWS if view.aside], ids=lambda view: view.name)
def test_what_a_list_leaves_out_is_said_where_it_can_be_asked_for(view: View) -> None:
    [said] = [one["schema"]["description"] for one in list_parameters(view) if one["name"] == view.aside]
    assert "only for who asks" in said
