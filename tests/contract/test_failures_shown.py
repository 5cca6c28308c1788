"""The list of users tells of the failures and locks there are: whatever command forgets them."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from chassis.model.changes import EventMetadata
from chassis.projections.documents import changed
from chassis.store.events import fact_class
from contracts.access import (
    ChangePassword,
    EditPersonalData,
    EnrolSecondFactor,
    IssueDefaultPassword,
    ProveIdentity,
    RemoveSecondFactor,
    RequestPasswordReset,
    ResetPassword,
    SignIn,
)
from contracts.declare import REGISTRY
from contracts.schemas import decode
from services.access import handlers
from services.access.domain.sessions import Attempts, AttemptsForgotten, CodeAsked, attempts_id
from services.access.test_access import DEFAULT, NEW, NOBODY, Office, quick_hashes, with_app  # noqa: F401 - a fixture
from services.reports.views import people

FORGETS = (
    "SignIn", "ProveIdentity", "IssueDefaultPassword", "ResetPassword", "ChangePassword", "EditPersonalData",
    "EnrolSecondFactor", "RemoveSecondFactor",
)  # fmt: skip
"""Commands that forget failures; the three last publish nothing else, or nothing that tells it."""


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def row_of(office: Office, user_id: UUID) -> dict[str, Any]:
    """The user in the view, with every event where it stands in the log."""
    view = next(view for view in people.VIEWS if view.name == "users")
    document: dict[str, Any] | None = None
    for event in office.kit.store.notifications(0, 100_000):
        handler = view.handlers.get(REGISTRY.events[event.type].cls) if event.type in REGISTRY.events else None
        if handler is None:
            continue
        id = f"{event.aggregate_id}/{event.version}"
        info = EventMetadata(id, event.type, office.kit.now, "access.events:0", event.position, "")
        for change in handler(decode(fact_class(event.type), event.data), info):
            if change.key == user_id:
                document = changed(document, change, info)
    assert document is not None
    return document


@pytest.mark.parametrize("failures", [1, 5])
@pytest.mark.parametrize("command", FORGETS)
def test_SEC_07_a_lock_that_is_gone_is_not_shown(office: Office, command: str, failures: int) -> None:
    if command in ("ProveIdentity", "RemoveSecondFactor"):
        id, login, app, _ = with_app(office)
        session = UUID(office.sign_in(login, NEW)["id"])
        office.kit.pass_time(seconds=30)
        by = office.principal(
            office.kit.do(ProveIdentity(session_id=session, code=app.at(office.kit.now)), NOBODY).body
        )
    else:
        id, login = office.user(email="li@example.com")
        by = office.principal(office.sign_in(login, NEW))
    for _ in range(failures):
        office.refusal(SignIn(name=login, password="Wrong#2026"))
    before = row_of(office, id)
    assert before["failures"] == failures and bool(before.get("locked_until")) == (failures == 5)
    if failures == 5 and command not in ("IssueDefaultPassword", "ResetPassword"):
        office.kit.pass_time(minutes=15)
    if command == "SignIn":
        office.sign_in(login, NEW)
    elif command == "ProveIdentity":
        session = UUID(office.sign_in(login, NEW)["id"])
        office.kit.pass_time(seconds=30)
        office.kit.do(ProveIdentity(session_id=session, code=app.at(office.kit.now)), NOBODY)
    elif command == "IssueDefaultPassword":
        office.kit.do(IssueDefaultPassword(user_id=id, default_password=DEFAULT), office.admin)
    elif command == "ResetPassword":
        reset = UUID(office.kit.do(RequestPasswordReset(name=login), NOBODY).body["id"])
        office.kit.do(ResetPassword(reset_id=reset, code=office.code(), new_password=NEW), NOBODY)
    else:
        given: dict[str, Any] = {
            "ChangePassword": ChangePassword(user_id=id, old_password=NEW, new_password="Other#2026"),
            "EditPersonalData": EditPersonalData(user_id=id, phone="13800000001", password=NEW),
            "EnrolSecondFactor": EnrolSecondFactor(user_id=id, method="TOTP", password=NEW),
            "RemoveSecondFactor": RemoveSecondFactor(user_id=id, password=NEW),
        }
        office.kit.do(given[command], by)
    attempts = office.kit.store.load(Attempts, attempts_id(id, ""))
    assert attempts is not None and (attempts.failures, attempts.locked_until) == (0, None)
    row = row_of(office, id)
    assert (row["failures"], row.get("locked_until")) == (0, None)


def test_every_command_that_forgets_failures_is_among_those() -> None:
    """Whoever calls it: the handlers, and what they call."""
    modules = sorted(Path(handlers.__path__[0]).glob("*.py"))
    parts = [node for module in modules for node in ast.parse(module.read_text()).body]
    functions = [node for node in parts if isinstance(node, ast.FunctionDef)]
    forgetting = {"forget"}
    while more := {f.name for f in functions if called(f) & forgetting} - forgetting:
        forgetting |= more
    names = {spec.cls.__name__: snake_case(spec.cls.__name__) for spec in REGISTRY.commands_of("access")}
    assert {name for name, handler in names.items() if handler in forgetting} == set(FORGETS)


def called(function: ast.FunctionDef) -> set[str]:
    calls = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
    return {getattr(name, "attr", getattr(name, "id", "")) for name in calls}


def snake_case(name: str) -> str:
    return re.sub("(?<!^)(?=[A-Z])", "_", name).lower()


def test_what_changes_failures_or_a_lock_is_published_and_the_list_follows_it() -> None:
    view = next(view for view in people.VIEWS if view.name == "users")
    for fact in Attempts.appliers:
        if fact not in (CodeAsked, AttemptsForgotten):  # the one changes neither, the other is stored no more
            assert REGISTRY.is_public_event(fact) and fact in view.handlers, fact
