"""What operators are told of documents that differ holds nothing of a person and no cost (CPL-01, SEC-18)."""

from datetime import UTC, datetime

import pytest
from bson import Decimal128

from chassis.catalogue import Catalogue
from chassis.model.row_fields import EQUAL_TO, FOUND_BY, PARTS
from chassis.model.views import View
from chassis.projections.differences import SHOWN_KINDS, differing_fields
from contracts.permissions import FIELD_RIGHTS

SECRET = "佐藤花子"
HELD = [SECRET, SECRET.encode(), [SECRET], {"name": SECRET}, Decimal128("71.50")]
VIEWS = {view.name: view for view in Catalogue.read().views()}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_no_text_and_no_amount_of_any_view_is_told_but_the_name_of_its_field_is(view: View) -> None:
    texts = {name for name, kind in view.types.items() if kind.kind not in SHOWN_KINDS}
    keys = {key + name for key in (EQUAL_TO, FOUND_BY, PARTS) for name in texts}
    unknown = {"_about", "_entry", "deleted_because"}
    for value in HELD:
        for name in texts | keys | unknown | {*FIELD_RIGHTS} | {*view.hidden} | {*view.personal}:
            for one, other in (({name: value}, {}), ({}, {name: value}), ({name: 1}, {name: value})):
                assert differing_fields(view, one, other, "now") == f"{name} differs"


def test_a_number_that_needs_a_right_is_not_told_either() -> None:
    for name in FIELD_RIGHTS:
        assert differing_fields(VIEWS["products"], {name: 71}, {name: 72}, "now") == f"{name} differs"


def test_what_tells_of_nobody_is_shown_so_that_the_fault_can_be_found() -> None:
    at = datetime(2026, 3, 2, tzinfo=UTC)
    live = {"status": "DRAFT", "quantity": 1, "_until": at, "same": 1}
    new = {"status": "PAID", "quantity": 2, "same": 1}
    told = differing_fields(VIEWS["orders"], live, new, "should be")
    about = f"_until is {at!r}, should be None; quantity is 1, should be 2"
    assert told == f"{about}; status is 'DRAFT', should be 'PAID'"
