"""Filters that take values of a closed set: a value that is none of them is refused, with those there are."""

import json
from pathlib import Path
from typing import Any

import pytest
from security.office import EmptyViews

from chassis.access.directory import Directory
from chassis.access.tokens import TokenVerifier, issue
from chassis.catalogue import Catalogue, known_everywhere
from chassis.foundation.config import Config
from chassis.http.edge import Api
from chassis.http.messages import HttpRequest, HttpResponse
from chassis.http.serving import routes_of
from chassis.model.views import Exact, View
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

    def send(view: View, name: str, *values: str) -> HttpResponse:
        route = next(route for route in routes if (route.method, route.path) == ("GET", view.path))
        return route.serve(HttpRequest(headers, {}, {name: values}, bytes))

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
        allowed = problem["detail"].partition("must be one of ")[2].rstrip(".").split(", ")
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


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_a_filter_that_takes_anything_is_of_a_field_that_holds_anything(ask: Any, view: View) -> None:
    for name, rule in view.filters.items():
        if isinstance(rule, Exact) and not is_closed(view, name, rule):
            kind = view.types[rule.field or name].single
            assert kind.kind in FREE
            if isinstance(kind.guard, CurrencyField):
                problem = json.loads(ask(view, name, "ZZZ").body)
                assert (problem["code"], problem["field"]) == ("VALIDATION", name)
