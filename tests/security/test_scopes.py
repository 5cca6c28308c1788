"""Commands on records of others: how far each data scope reaches; what it doesn't reach stays as it is (SEC-18).

What lists, pages, totals and exports show of them: tests/component/test_scopes.py, with a real MongoDB.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from chassis.catalogue import Catalogue
from chassis.http.routes import kebab
from chassis.model.aggregates import Aggregate
from chassis.model.records import Record
from chassis.testing.records import picked
from contracts.declare import REGISTRY
from contracts.permissions import DATA_SCOPES, DataScope
from contracts.records import KINDS, TAGS, Kind
from security import spec
from security.office import Caller, Office, new_id
from security.teams import REACHED, Team, add_product

Maker = Callable[[Team, Caller], str]


def a_customer(team: Team, owner: Caller) -> str:
    return team.customer(owner)


def a_draft(team: Team, owner: Caller) -> str:
    return team.order(owner)


def a_submitted_order(team: Team, owner: Caller) -> str:
    return team.order(owner, submitted=True)


def a_case(team: Team, superior: Caller) -> str:
    return team.case(superior)


def a_record(kind: Kind, team: Team, owner: Caller) -> str:
    """One of a declared kind, which the owner enters."""
    return team.office.enter(kind, owner)


EVERYBODY = new_id()
"""A department with which records are shared here."""
COMMANDS: dict[str, tuple[Maker, dict[str, Any], frozenset[int]]] = {
    "SetMembership": (a_customer, {"member": True}, frozenset({200})),
    "BookPoints": (a_customer, {"change": 1, "reason": "why not"}, frozenset({409})),  # it is no member
    "ChangeOrder": (a_draft, {"note": "changed"}, frozenset({200})),
    "SubmitOrder": (a_draft, {}, frozenset({200})),
    "CancelOrder": (a_submitted_order, {"reason": "called off"}, frozenset({200})),
    "RecordPayment": (a_submitted_order, {"amount": "1.00"}, frozenset({200})),
    "WithdrawOrder": (a_submitted_order, {}, frozenset({403, 409})),  # only its submitter, and only while it waits
    "RetryOrder": (a_submitted_order, {}, frozenset({409})),  # it is not on hold
    "Approve": (a_case, {}, frozenset({200, 403})),  # the due node is the superior's
    "Reject": (a_case, {"reason": "too dear"}, frozenset({200, 403})),
    **{
        command.__name__: (partial(a_record, kind), body, frozenset({refused_for.get(command, 200)}))
        for kind in KINDS.values()
        if kind.owned or kind.reached_through
        for refused_for in [{kind.unshare: 404, kind.merge: 404, kind.unmerge: 409}]  # with nobody, with nothing
        for command, body in (
            (kind.edit, {}),
            (kind.delete, {}),
            (kind.restore, {}),
            (kind.revert, {"version": 1}),
            (kind.assign, {} if kind.pool else {"owner_id": None}),
            (kind.give_back, {"reason": "why not"}),
            (kind.share, {"with_id": EVERYBODY}),
            (kind.unshare, {"with_id": EVERYBODY}),
            (kind.merge, {"duplicate_id": EVERYBODY}),
            (kind.unmerge, {}),
            (kind.tag, {"add": picked(kind).get(TAGS, [])}),
            (kind.set_status, {"status": kind.statuses.steps[0].to, "reason": "why not"} if kind.statuses else {}),
        )
        if command
    },
}
"""Every command on a record with an owner, or reached through one: how to make the record, what to send, and what the
reached may be answered."""


@pytest.fixture(scope="module")
def teams(office: Office) -> dict[DataScope, Team]:
    product_id = add_product(office)
    department = {"department_id": EVERYBODY, "name": "Everybody"}
    office.call("POST /departments", department, office.admin).done()
    return {scope: Team.gather(office, scope, product_id) for scope in DATA_SCOPES}


def test_no_command_on_a_record_with_an_owner_is_untested() -> None:
    Catalogue.read().services()  # their aggregates are there then
    found = {
        spec.name
        for cls in kinds_of(Aggregate)
        if has_owners(cls)
        for spec in REGISTRY.commands_of(cls.__module__.split(".")[1])
        if spec.path and f"{{{cls.__name__.lower()}_id}}" in spec.path.split("/")
    }
    of_pool = {
        cls.__name__ for kind in KINDS.values() if kind.pool for cls in (kind.claim, kind.assign_in_turn, kind.move)
    }
    assert found and found - of_pool <= set(COMMANDS), "a pool says who may: test_pools, test_named_pools"


def has_owners(cls: type[Aggregate]) -> bool:
    """Whether a record belongs to somebody."""
    if issubclass(cls, Record):
        return hasattr(cls, "kind") and cls.kind.owned
    return cls.owners is not Aggregate.owners


def kinds_of(cls: type[Aggregate]) -> Iterator[type[Aggregate]]:
    """The aggregates of all services."""
    for kind in cls.__subclasses__():
        yield kind
        yield from kinds_of(kind)


@pytest.mark.parametrize("is_bulk", [False, True], ids=["single", "bulk"])
@pytest.mark.parametrize("name", COMMANDS)
def test_SEC_18_a_command_reaches_as_far_as_its_right(
    office: Office, teams: dict[DataScope, Team], name: str, is_bulk: bool
) -> None:
    make, body, expected = COMMANDS[name]
    spec, wrong = REGISTRY.commands[name], []
    for scope, team in teams.items():
        for relation, owner, reached in team.cells():
            id = make(team, owner)
            before = office.state()
            if is_bulk:
                items = [{"command": {**body, spec.key: id}, "idempotency_key": new_id()}]
                told = office.call(f"POST /bulk/{kebab(name)}", {"items": items}, team.caller).done()["results"][0]
                status, answer = told["status"], told["body"]
            else:
                given = {**body, spec.key: id}
                path = f"{spec.method} {spec.path}".format(**given)
                in_body = {name: value for name, value in body.items() if f"{{{name}}}" not in str(spec.path)}
                single = office.call(path, in_body, team.caller)
                status, answer = single.status, single.body
            cell = f"{scope} on a record of {relation}: {status} {answer}"
            if reached and status not in expected:
                wrong.append(f"should be carried out: {cell}")
            if not reached and (status, answer.get("field")) != (403, spec.key):
                wrong.append(f"should be refused: {cell}")
            if status >= 400 and office.state() != before:
                wrong.append(f"refused, and something changed: {cell}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("how", ["create", "change"])
def test_SEC_18_an_order_names_no_customer_whom_its_writer_does_not_reach(
    office: Office, teams: dict[DataScope, Team], how: str
) -> None:
    """The order's page would show the phone and address of a customer whose own page is closed."""
    wrong = []
    for scope, team in teams.items():
        own = team.order(team.caller)
        for relation, owner, reached in team.cells():
            customer = team.customer(owner)
            before = office.state()
            if how == "create":
                lines = [{"product_id": team.product_id, "quantity": 1}]
                told = office.call("POST /orders", {"customer_id": customer, "lines": lines}, team.caller)
            else:
                told = office.call(f"PATCH /orders/{own}", {"customer_id": customer}, team.caller)
            seen = f"{scope}, customer of {relation}: {told.status} {told.body}"
            if reached != (told.status in (200, 201)):
                wrong.append(seen)
            if not reached and (told.code, told.body["field"]) != ("NOT_FOUND", "customer_id"):
                wrong.append(f"tells that there is such a customer: {seen}")
            if not reached and office.state() != before:
                wrong.append(f"changed something: {seen}")
    assert not wrong, "\n".join(wrong)


def test_ORD_15_an_order_is_cancelled_by_its_seller_the_supervisor_or_an_administrator(office: Office) -> None:
    """With the first rights nobody else reaches it; a company that grants more says so itself."""
    boss = office.user("SUP")
    seller = office.user("SAL", superior_id=boss.user_id)
    team = Team(office, "OWN", seller, {"own": seller}, add_product(office))
    others = [
        office.user("SAL", superior_id=boss.user_id, name="colleague with the same supervisor"),
        office.user("SUP", name="another supervisor"),
        office.user("FIN"),
        office.user("MGT"),
        office.user("WHS"),
    ]
    for by in (seller, boss, office.admin):
        order = team.order(seller, submitted=True)
        for other in others:
            before = office.state()
            told = office.call(f"POST /orders/{order}/cancel", {"reason": "x"}, other)
            assert (told.status, other.name, office.state()) == (403, other.name, before)
        office.call(f"POST /orders/{order}/cancel", {"reason": "called off"}, by).done()


def test_APR_12_who_approves_is_told_by_rights_not_by_the_names_of_roles(office: Office) -> None:
    """A role of the company's own that leads people decides their node; SUP without that right decides none."""
    admin = office.admin
    office.call("PUT /roles/TEAMLEAD", {"title": "Team lead"}, admin).done()
    for right in ("orders.approve", "subordinates"):
        office.call(f"PUT /roles/TEAMLEAD/rights/{right}", {"scope": "SUBORDINATES"}, admin).done()
    office.call("PUT /roles/CASHIER", {"title": "Cashier"}, admin).done()
    for right in ("orders.approve", "payments"):
        office.call(f"PUT /roles/CASHIER/rights/{right}", {"scope": "ALL"}, admin).done()
    lead, cashier = office.user("TEAMLEAD"), office.user("CASHIER")
    team = Team(office, "OWN", lead, {"own": lead}, "")
    case = team.case(lead)
    told = office.call(f"POST /approvals/{case}/approve", {}, cashier)
    assert (told.code, told.body["field"]) == ("FORBIDDEN", "case_id"), "the route has no node for finance"
    assert office.call(f"POST /approvals/{case}/approve", {}, lead).done()["status"] == "APPROVED"

    boss = office.user("SUP")
    case = team.case(boss)
    office.call("DELETE /roles/SUP/rights/subordinates", by=admin).done()
    assert office.call(f"POST /approvals/{case}/approve", {}, boss).code == "FORBIDDEN"
    office.call("PUT /roles/SUP/rights/subordinates", {"scope": "SUBORDINATES"}, admin).done()
    assert office.call(f"POST /approvals/{case}/approve", {}, boss).done()["status"] == "APPROVED"


def test_SEC_16_who_lacks_the_right_decides_no_order_and_is_told_who_holds_it(office: Office) -> None:
    """Whoever has a role may come to the door of approvals: it is the case that says who decides (ADR 0044)."""
    boss = office.user("SUP")
    case = Team(office, "OWN", boss, {"own": boss}, "").case(boss)
    holders = spec.holders("Orders: approve")
    for role in sorted(set(spec.ROLES) - holders):
        by, before = office.user(role), office.state()
        for decision, body in (("approve", {}), ("reject", {"reason": "x"})):
            told = office.call(f"POST /approvals/{case}/{decision}", body, by)
            assert (told.code, told.body["state"], office.state()) == ("FORBIDDEN", "orders.approve", before), role
            assert "held by: sales supervisor / manager, finance, administrator" in told.body["detail"]
    assert office.call(f"POST /approvals/{case}/approve", {}, boss).done()["status"] == "APPROVED"


def test_every_scope_is_tested() -> None:
    assert tuple(REACHED) == DATA_SCOPES
