"""Whatever a request has is obeyed or refused by its name: every route, every bulk form, every list.

Who watches a process (`livez`, `readyz`, `metrics`) may add what it likes.
"""

import re

import pytest

from chassis.documents.samples import sample
from chassis.http.messages import OPERATIONS, Route
from chassis.http.routes import kebab
from chassis.model.duplicates import BESIDES, alike_by, asked_by, path_of
from chassis.model.views import Exact, View, Words, parameter_names
from contracts.declare import REGISTRY, CommandSpec
from contracts.lists import PAGING
from security.office import VIEWS, Office, Told, new_id

BULK = [spec for spec in REGISTRY.load().commands.values() if spec.is_public and spec.bulk]
LISTS = [view for view in VIEWS if view.is_list]


def ask(office: Office, route: Route, query: dict[str, list[str]], body: object = None) -> Told:
    values = dict.fromkeys(re.findall(r"{(\w+)}", route.path), new_id())
    return office.serve(route, values, body, office.admin, query)


def refused(told: Told, name: str) -> bool:
    return told.code == "VALIDATION" and told.body["field"] == name and name in told.body["detail"]


def test_every_route_refuses_a_parameter_it_does_not_have(office: Office) -> None:
    before, wrong = office.state(), []
    for route in office.routes:
        for name in ("no_such_parameter", "dry_run"):
            if route.name not in OPERATIONS and not refused(ask(office, route, {name: ["true"]}, {}), name):
                wrong.append(f"{route.method} {route.path} takes {name}")
    assert not wrong
    assert office.state() == before


def test_what_has_no_pages_and_no_files_refuses_to_make_them(office: Office) -> None:
    paged = {view.name for view in LISTS}
    for route in office.routes:
        for name in PAGING if route.name not in paged | OPERATIONS else ():
            assert refused(ask(office, route, {name: ["csv"]}, {}), name), (route, name)


@pytest.mark.parametrize("view", LISTS, ids=lambda view: view.name)
def test_a_parameter_that_has_one_value_is_given_once(office: Office, view: object) -> None:
    """Of several the last was taken.  Those of an exact filter are alternatives, and words add up."""
    route = next(route for route in office.routes if route.name == view.name)  # type: ignore[attr-defined]
    rules = view.filters  # type: ignore[attr-defined]
    several = {name for name, rule in rules.items() if isinstance(rule, Exact | Words)}
    for name in [*parameter_names(rules), *PAGING]:
        if name not in several:
            assert refused(ask(office, route, {name: ["1", "1"]}), name), name


@pytest.mark.parametrize("view", [view for view in VIEWS if path_of(view)], ids=lambda view: view.name)
def test_cus_22_a_question_for_duplicates_ignores_no_field(office: Office, view: View) -> None:
    path = f"GET {path_of(view)}"
    for name in (*asked_by(view), BESIDES):
        assert refused(office.call(path, by=office.admin, query={name: ["1", "2"]}), name)
        assert refused(office.call(path, by=office.admin, query={name: [""]}), name)
    assert refused(office.call(path, by=office.admin, query={BESIDES: ["nobody"]}), BESIDES)
    alone = {one.fields[0] for one in alike_by(view) if len(one.fields) == 1}
    for fields in (one.fields for one in alike_by(view)):
        for name in (name for name in fields if name not in alone):
            missing = next(other for other in fields if other != name)
            assert refused(office.call(path, by=office.admin, query={name: ["x"]}), missing)


def test_the_mailbox_is_asked_about_one_address(office: Office) -> None:
    assert refused(office.call("GET /mailbox", by=office.admin, query={"to": ["a", "b"]}), "to")


@pytest.mark.parametrize("spec", BULK, ids=lambda spec: spec.name)
def test_a_bulk_refuses_what_stands_in_its_items(office: Office, spec: CommandSpec) -> None:
    request, body = f"POST /bulk/{kebab(spec.name)}", {"items": [{"command": sample(spec.cls)}]}
    before = office.state()
    for member in ("dry_run", "idempotency_key", "if_match", "command"):
        assert refused(office.call(request, {**body, member: True}, office.admin), member)
    for header, member in (("Idempotency-Key", "idempotency_key"), ("If-Match", "if_match")):
        told = office.call(request, body, office.admin, headers={header.lower(): '"99"'})
        assert refused(told, header) and member in told.body["detail"], told.body
    assert office.state() == before
