"""Filters that take values of a closed set: a value that is none of them is refused, with those there are."""

import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from security.office import EmptyViews

from chassis.access.directory import Directory
from chassis.access.tokens import TokenVerifier, issue
from chassis.catalogue import Catalogue, known_everywhere
from chassis.documents.query_docs import list_parameters
from chassis.foundation.config import Config
from chassis.http.edge import Api
from chassis.http.messages import HttpRequest, HttpResponse
from chassis.http.serving import routes_of
from chassis.model.views import Exact, Range, View
from chassis.testing.people import ADMIN
from contracts.access import RoleDefined, RoleState
from contracts.declare import REGISTRY
from contracts.types import CurrencyField

VIEWS = Catalogue.read().views()
FILTERS = [(view, name, rule) for view in VIEWS for name, rule in view.filters.items() if isinstance(rule, Exact)]
FREE = {"text", "id", "code", "whole", "day", "moment", "amount"}


def is_closed(view: View, name: str, rule: Exact) -> bool:
    kind = view.types[rule.field or name].single
    return bool(rule.among or rule.known or kind.choices or kind.known) or kind.kind == "flag"


CLOSED = [pytest.param(*one, id=f"{one[0].name}-{one[1]}") for one in FILTERS if is_closed(*one)]


@pytest.fixture
def directory() -> Directory:
    return Directory(known_everywhere())


@pytest.fixture
def ask(tmp_path: Path, directory: Directory) -> Any:
    config = Config(token_key_dir=str(tmp_path), test_tokens=1)
    database: Any = EmptyViews()
    routes = routes_of(Api(config, {}, VIEWS, database, TokenVerifier(config), directory=directory))
    headers = {"authorization": f"Bearer {issue(config, ADMIN)}"}

    def send(view: View, name: str | dict[str, list[str]], *values: str) -> HttpResponse:
        query = {name: list(values)} if isinstance(name, str) else name
        route = next(route for route in routes if (route.method, route.path) == ("GET", view.path))
        return route.serve(HttpRequest(headers, {}, query, bytes))

    return send


@pytest.mark.parametrize(("view", "name", "rule"), CLOSED)
def test_a_value_that_is_none_of_a_closed_set_is_refused_with_those_there_are(
    ask: Any, directory: Directory, view: View, name: str, rule: Exact
) -> None:
    kind = view.types[rule.field or name].single
    for wrong in ("NONSENSE", "no such thing", "ZZZ9"):
        answer = ask(view, name, wrong)
        problem = json.loads(answer.body)
        assert (answer.status, problem["code"], problem["field"]) == (400, "VALIDATION", name), problem
        allowed = next((told for told in problem["params"].values() if isinstance(told, list)), [])
        if kind.kind == "flag":
            allowed = ["true", "false"]
        assert allowed, problem["detail"]
        if declared := rule.among or kind.choices:
            assert allowed == list(declared)
        for right in allowed:
            assert ask(view, name, right).status == ask(view, name, right.lower()).status == 200, right
        assert ask(view, name, allowed[0], wrong).status == 400, "one of several"


def test_a_role_that_came_a_moment_ago_is_one_to_ask_for(ask: Any, directory: Directory) -> None:
    users = next(view for view in VIEWS if view.name == "users")
    assert ask(users, "roles", "SHOP").status == 400
    directory.tell([RoleDefined(role="SHOP", state=RoleState(title="Shop", revision=1))])
    assert ask(users, "roles", "SHOP").status == ask(users, "roles", "sal").status == 200


def test_what_the_audit_log_tells_of_can_be_asked_for(ask: Any) -> None:
    audit = next(view for view in VIEWS if view.collected)
    for service in {spec.service for spec in REGISTRY.commands.values()}:
        assert ask(audit, "service", service).status == 200
    for action in (*REGISTRY.commands, *(view.name for view in VIEWS), "roles", "mailbox", "rebuild_view"):
        assert ask(audit, "action", action).status == 200, action
    for kind in ("order", "user", "role", "message", "view", "rebuild", *(view.what for view in VIEWS)):
        assert ask(audit, "object_kind", kind).status == 200, kind


MIXED = {("audit", "object_id"), ("audit", "command_id"), ("audit", "correlation_id")}
"""What these hold has no one form: names and ids, what a saga or a caller makes up."""


@pytest.mark.parametrize(("view", "name", "rule"), FILTERS, ids=lambda one: getattr(one, "name", None))
def test_an_id_or_an_address_that_is_none_is_refused_by_name(ask: Any, view: View, name: str, rule: Exact) -> None:
    """It would match nothing: an empty list says that there is nothing, not that it was asked for wrongly."""
    is_form = bool(rule.form) or view.types[rule.field or name].single.kind == "id"
    assert is_form or (view.name, name) in MIXED or not name.endswith(("_id", "address"))
    for wrong in ("zz", "", "12", "203.0.113", "e2627c3c-c0c4-43f7-b780", "::g") if is_form else ():
        problem = json.loads(ask(view, name, wrong).body)
        assert (problem["code"], problem["field"]) == ("VALIDATION", name), (wrong, problem)
    right = "2001:db8::1" if rule.form == "address" else "E2627C3C-C0C4-43F7-B780-4C37BD4FFA3D"
    assert not is_form or ask(view, name, right).status == 200


RANGES = [(view, name, rule) for view in VIEWS for name, rule in view.filters.items() if isinstance(rule, Range)]
BOUNDS: dict[type, list[str]] = {
    date: ["2026-01-31", "2026-02-01"],
    datetime: ["2026-01-31", "2026-02-01T08:00:00", "2026-02-01T08:00:00.5", "2026-02-02"],
    Decimal: ["-1", "9.50", "10"],
    int: ["-1", "9", "10"],
}


@pytest.mark.parametrize(("view", "name", "rule"), RANGES, ids=lambda one: getattr(one, "name", None))
def test_a_range_that_ends_before_it_begins_is_refused_by_name(ask: Any, view: View, name: str, rule: Range) -> None:
    def between(begin: str, end: str) -> Any:
        return ask(view, {f"{name}_from": [begin], f"{name}_to": [end]})

    bounds = BOUNDS[rule.kind]
    for at, lower in enumerate(bounds):
        for higher in bounds[at:]:
            assert between(lower, higher).status == 200, (lower, higher)
            if lower != higher:
                problem = json.loads(between(higher, lower).body)
                assert (problem["code"], problem["field"]) == ("VALIDATION", f"{name}_from"), (higher, lower, problem)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_a_filter_that_takes_anything_is_of_a_field_that_holds_anything(ask: Any, view: View) -> None:
    for name, rule in view.filters.items():
        if isinstance(rule, Exact) and not is_closed(view, name, rule):
            kind = view.types[rule.field or name].single
            assert kind.kind in FREE
            if isinstance(kind.guard, CurrencyField):
                problem = json.loads(ask(view, name, "ZZZ").body)
                assert (problem["code"], problem["field"]) == ("VALIDATION", name)


@pytest.mark.parametrize("view", [view for view in VIEWS if view.is_list], ids=lambda view: view.name)
@pytest.mark.parametrize("empty", ["", " ", "\u3000", "\u200b"], ids=ascii)
def test_a_parameter_without_a_value_is_refused_by_name(ask: Any, view: View, empty: str) -> None:
    """Whoever sends `customer_id=` has lost an id: neither all that there is nor nothing is what they ask for."""
    parameters = list_parameters(view)
    assert {"sort", "limit", "cursor", "count", "format"} <= {one["name"] for one in parameters}
    for parameter in parameters:
        name, schema = parameter["name"], parameter["schema"]
        one = schema.get("items", schema)
        if "" in one.get("enum", ()):
            continue  # whoever has no second proof
        problem = json.loads(ask(view, name, empty).body)
        assert (problem["code"], problem["field"]) == ("VALIDATION", name), problem
        assert one.get("minLength") == 1 or {"enum", "pattern", "format", "anyOf", "minimum"} & one.keys(), schema


def test_a_parameter_without_a_name_is_told_as_that(ask: Any) -> None:
    problem = json.loads(ask(VIEWS[0], "", "1").body)
    assert (problem["code"], problem["field"]) == ("VALIDATION", '""')
