"""Fields that one sees only with a further right: hidden wherever they stand (INV-02)."""

import re
from dataclasses import fields, is_dataclass, replace
from typing import Any, get_args, get_type_hints
from uuid import uuid4

import pytest

from chassis.catalogue import Catalogue
from chassis.model.principal import Principal
from chassis.model.views import View, Words
from chassis.queries.reader import ViewReader
from chassis.testing.people import ADMIN
from contracts.custom_fields import OWN
from contracts.declare import REGISTRY
from contracts.permissions import FIELD_RIGHTS, RIGHTS
from contracts.records import KINDS
from contracts.types import Money

VIEWS = Catalogue.read().views()
KEEPER = Principal(uuid4(), "Keeper", frozenset({"SAL"}))
TELLS_COST = re.compile("cost|purchase|profit|margin")


def parts(hint: Any) -> set[type]:
    """The dataclasses in a type, and those in their fields."""
    found: set[type] = set()
    for inner in (hint, *get_args(hint)):
        if isinstance(inner, type) and is_dataclass(inner):
            found |= {inner, *(part for one in get_type_hints(inner).values() for part in parts(one))}
        elif inner is not hint:
            found |= parts(inner)
    return found


def test_every_field_that_tells_a_cost_needs_its_right() -> None:
    assert set(FIELD_RIGHTS.values()) <= set(RIGHTS)
    contracts = [spec.cls for spec in REGISTRY.commands.values()] + [spec.cls for spec in REGISTRY.events.values()]
    everywhere = {part for cls in (*contracts, *(view.row for view in VIEWS)) for part in parts(cls)}
    named = {item.name for cls in everywhere for item in fields(cls)}
    ruled = [field for kind in KINDS.values() for field in kind.fields.values() if field.rules.right]
    of_kinds = {field.name for field in ruled} | {f"{field.name}_currency" for field in ruled if field.one is Money}
    assert {name for name in named if TELLS_COST.search(name)} | of_kinds == set(FIELD_RIGHTS)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_it_is_in_no_row_of_who_has_not_the_right(view: View) -> None:
    nowhere: Any = None
    reader = ViewReader(nowhere, replace(view, computed={}))
    for name, right in FIELD_RIGHTS.items():
        assert ADMIN.may(right) and not KEEPER.may(right)
        assert (name in view.hidden) is (name in view.types)
        for field in [one for one, kind in view.types.items() if kind.kind in ("object", "list") and one != OWN]:
            part = {"kept": 1, "inner": [{name: "31.00", "kept": 2}], name: "31.00"}
            document = {"_id": "1", **dict.fromkeys(view.types), field: [part]}
            assert str(reader.rows.told([document], ADMIN)[0]).count("31.00") == 2
            row = reader.rows.told([document], KEEPER)[0]
            assert "31.00" not in str(row) and row[field] == [{"kept": 1, "inner": [{"kept": 2}]}]


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_words_are_not_looked_for_where_it_may_stand(view: View) -> None:
    nowhere: Any = None
    reader = ViewReader(nowhere, view)
    for rule in view.filters.values():
        for field in rule.fields if isinstance(rule, Words) else ():
            whatever = field in view.types and view.types[field].kind == "object" and field != OWN
            assert reader.rows.may_search(field, ADMIN)
            assert reader.rows.may_search(field, KEEPER) is not whatever
