"""The page of all that there is about a record: which lists are parts of it, and how current it is (CUS-07)."""

from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import parse_qs

import pytest

from chassis.catalogue import Catalogue
from chassis.model.views import View, parameter_names
from chassis.queries.freshness import Freshness, together
from chassis.queries.overviews import Part, parts_of
from contracts.records import KINDS
from contracts.subjects import SUBJECT_ID, SUBJECT_KIND

VIEWS = Catalogue.read().views()
BY_NAME = {view.name: view for view in VIEWS}
OF_KINDS = [view for view in VIEWS if view.overview]
ID = "01a21c17-e49a-756a-8517-85b9a2e850e8"


def part(view: View, name: str) -> Part:
    [found] = [one for one in parts_of(view, VIEWS) if one.name == name]
    return found


def test_cus_07_every_kind_of_record_has_such_a_page() -> None:
    assert {view.kind for view in OF_KINDS} == {kind.code for kind in KINDS.values()}
    assert BY_NAME["customers"].overview == "/customers/{customer_id}/overview"
    assert BY_NAME["orders"].overview == BY_NAME["customers_pool"].overview == ""
    assert parts_of(BY_NAME["orders"], VIEWS) == ()


def test_cus_07_of_a_customer_it_has_what_belongs_to_it_names_it_and_is_said_about_it() -> None:
    names = {one.name for one in parts_of(BY_NAME["customers"], VIEWS)}
    assert {"contacts", "orders", "purchases", "comments", "attachments", "viewings"} <= names
    assert "recently_viewed" not in names, "that is what the caller has looked at"


def naming(view: View) -> Iterator[tuple[str, str]]:
    """The lists whose rows belong to the records of a view, by which field: as kinds declare it."""
    for kind in KINDS.values():
        for name, field in kind.parents.items():
            of = next(one for one in VIEWS if one.kind == kind.code and one.is_list)
            if field.rules.record == view.what:
                yield of.name, name


@pytest.mark.parametrize("view", OF_KINDS, ids=lambda view: view.name)
def test_cus_07_no_list_of_what_belongs_to_a_record_is_left_out(view: View) -> None:
    parts = parts_of(view, VIEWS)
    assert len({one.name for one in parts}) == len(parts)
    assert {*naming(view)} <= {(one.view.name, one.field) for one in parts}
    assert {one.name for one in VIEWS if one.of_subject} - {"recently_viewed"} <= {one.name for one in parts}
    for one in parts:
        path, _, query = one.path(ID).partition("?")
        assert (path, parse_qs(query)) == (one.view.path, {name: [value] for name, value in one.asked(ID).items()})
        assert one.asked(ID).keys() <= set(parameter_names(one.view.filters)), "the list takes them"


def test_cus_07_where_all_of_a_part_is_found() -> None:
    customers = BY_NAME["customers"]
    assert part(customers, "orders").path(ID) == f"/orders?customer_id={ID}"
    about = part(customers, "comments")
    assert about.asked(ID) == {SUBJECT_KIND: "customer", SUBJECT_ID: ID}
    timeline = part(customers, "communications")
    assert timeline.asked(ID) == {"record_id": ID}, "contact with its contacts is contact with it (COM-06)"


@pytest.mark.parametrize("view", OF_KINDS, ids=lambda view: view.name)
def test_tsk_01_the_page_of_every_record_has_the_tasks_about_it(view: View) -> None:
    assert part(view, "tasks").asked(ID) == {"record_id": ID}


def test_an_answer_of_several_views_is_as_current_as_the_one_that_is_least_so() -> None:
    """A view that has heard nothing of a topic that it reads holds nothing of it."""
    earlier, later = datetime(2026, 3, 2, 1, tzinfo=UTC), datetime(2026, 3, 2, 2, tzinfo=UTC)
    customers, contacts, orders = (BY_NAME[name] for name in ("customers", "contacts", "orders"))
    first = Freshness(later, {"customers.events:0": 7, "customers.events:1": 5})
    second = Freshness(earlier, {"customers.events:0": 6})
    third = Freshness(None, {"orders.events:0": 3, "reports.dlq:0": 0})  # a letter that the projector wrote itself
    assert together([(customers, first), (contacts, second), (orders, third)]) == Freshness(
        earlier, {"customers.events:0": 6, "customers.events:1": 0, "orders.events:0": 3}
    )
