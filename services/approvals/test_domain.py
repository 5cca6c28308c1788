"""Approval cases, rule by rule (features APR-01, 02, 08..12, ACC-38, ACC-39, ACC-41)."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest

from chassis.model.principal import Principal
from chassis.testing.people import ADMIN, FINANCE, MANAGER, SALES, SUPERVISOR, SYSTEM, WAREHOUSE, user
from chassis.testing.services import InMemoryService
from contracts.approvals import (
    Approve,
    CaseApproved,
    CaseClosed,
    CaseOpened,
    CaseRejected,
    CloseCase,
    NodeApproved,
    OpenCase,
    Reject,
    case_id_of,
)
from contracts.errors import Refused
from contracts.people import Person
from contracts.sales import ApprovalNode
from contracts.schemas import load
from contracts.types import Money
from services.approvals.application import SERVICE
from services.approvals.domain import CaseBarred

ORDER = uuid5(NAMESPACE_URL, "test-approvals:order")
CASE = case_id_of(ORDER, 1)
BOTH: tuple[ApprovalNode, ...] = ("SUPERVISOR", "FINANCE")
OTHER_SUPERVISOR = user("ito", "SUP")
OTHER_FINANCE = user("sun", "FIN")
SECOND_ADMIN = user("root", "ADM")
EVERYTHING = replace(SUPERVISOR, roles=frozenset({"SUP", "FIN"}))


def person(principal: Principal) -> Person:
    return Person(user_id=principal.user_id, name=principal.name)


def open_case(route: tuple[ApprovalNode, ...] = BOTH, by: Principal = SALES) -> OpenCase:
    return OpenCase(
        case_id=CASE,
        order_id=ORDER,
        round=1,
        number="SO-1",
        customer_name="Acme",
        total=Money(amount=Decimal("5001.00"), currency="CNY"),
        route=route,
        submitter=person(by),
        superior_id=by.superior_id,
    )


def approve(node: ApprovalNode | None = None, comment: str = "") -> Approve:
    return Approve(case_id=CASE, node=node, comment=comment)


def reject(node: ApprovalNode | None = None) -> Reject:
    return Reject(case_id=CASE, node=node, reason="too dear")


def close() -> CloseCase:
    return CloseCase(case_id=CASE, order_id=ORDER, reason="CANCELLED")


Decision = Callable[[ApprovalNode | None], Any]
both_ways = pytest.mark.parametrize("decide", [approve, reject], ids=["approve", "reject"])


@pytest.fixture
def kit() -> InMemoryService:
    kit = InMemoryService(SERVICE)
    kit.do(open_case(), SYSTEM)
    return kit


# -- APR-01: opening ------------------------------------------------------------------------------------------------


def test_apr_01_open() -> None:
    kit = InMemoryService(SERVICE)
    answer = kit.do(open_case(), SYSTEM)
    assert answer.body == {"id": str(CASE), "version": 1, "status": "OPEN", "due": "SUPERVISOR"}
    assert kit.new_facts() == [
        CaseOpened(
            case_id=CASE,
            order_id=ORDER,
            round=1,
            number="SO-1",
            customer_name="Acme",
            total=Money(amount=Decimal("5001.00"), currency="CNY"),
            route=BOTH,
            submitter=person(SALES),
            superior_id=SUPERVISOR.user_id,
        )
    ]


def test_ord_16_a_case_opens_once(kit: InMemoryService) -> None:
    kit.new_facts()
    kit.do(open_case(), SYSTEM)
    kit.do(approve(), SUPERVISOR)
    kit.do(open_case(), SYSTEM)
    assert [type(fact) for fact in kit.new_facts()] == [NodeApproved]


def test_a_case_needs_a_node() -> None:
    InMemoryService(SERVICE).assert_refused("VALIDATION", open_case(()), SYSTEM, field="route")


# -- APR-02, APR-08: approving --------------------------------------------------------------------------------------


def test_acc_38_apr_08_supervisor_then_finance(kit: InMemoryService) -> None:
    kit.new_facts()
    assert kit.do(approve(comment="fine"), SUPERVISOR).body["due"] == "FINANCE"
    answer = kit.do(approve("FINANCE"), FINANCE).body
    assert (answer["status"], answer["due"]) == ("APPROVED", None)
    first, second = SUPERVISOR.user_id, FINANCE.user_id
    assert first and second
    about: dict[str, Any] = {"case_id": CASE, "order_id": ORDER, "title": "SO-1", "submitter": person(SALES)}
    assert kit.new_facts() == [
        NodeApproved(
            **about, node="SUPERVISOR", by=person(SUPERVISOR), next="FINANCE", comment="fine", decided=(first,)
        ),
        NodeApproved(**about, node="FINANCE", by=person(FINANCE), next=None, decided=(first, second)),
        CaseApproved(case_id=CASE, order_id=ORDER, round=1, by=person(FINANCE)),
    ]


@pytest.mark.parametrize(
    "route, first, second",
    [
        (("FINANCE", "SUPERVISOR"), FINANCE, SUPERVISOR),
        (("FINANCE",), FINANCE, None),
        (("SUPERVISOR",), SUPERVISOR, None),
    ],
)
def test_apr_02_the_route_gives_the_order(
    route: tuple[ApprovalNode, ...], first: Principal, second: Principal | None
) -> None:
    kit = InMemoryService(SERVICE)
    kit.do(open_case(route), SYSTEM)
    kit.do(approve(), first)
    if second:
        kit.do(approve(), second)
    assert isinstance(kit.facts()[-1], CaseApproved)


@both_ways
@pytest.mark.parametrize("node", [None, "FINANCE"])
def test_apr_02_a_later_approver_is_too_early(
    kit: InMemoryService, decide: Decision, node: ApprovalNode | None
) -> None:
    refusal = kit.assert_refused("INVALID_STATE", decide(node), FINANCE)
    assert refusal.state == "SUPERVISOR"
    assert "the node SUPERVISOR has to decide first" in refusal.message


@both_ways
def test_apr_02_naming_a_later_node_is_too_early(kit: InMemoryService, decide: Decision) -> None:
    kit.assert_refused("INVALID_STATE", decide("FINANCE"), ADMIN)


@both_ways
def test_a_node_that_the_case_does_not_have(decide: Decision) -> None:
    kit = InMemoryService(SERVICE)
    kit.do(open_case(("FINANCE",)), SYSTEM)
    kit.assert_refused("VALIDATION", decide("SUPERVISOR"), FINANCE, field="node")


@both_ways
def test_unknown_case(decide: Decision) -> None:
    InMemoryService(SERVICE).assert_refused("NOT_FOUND", decide(None), ADMIN, field="case_id")


# -- APR-09: rejecting ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", BOTH)
def test_apr_09_reject(kit: InMemoryService, at: ApprovalNode) -> None:
    by = SUPERVISOR
    if at == "FINANCE":
        kit.do(approve(), SUPERVISOR)
        by = FINANCE
    kit.new_facts()
    answer = kit.do(reject(), by).body
    assert (answer["status"], answer["due"]) == ("REJECTED", None)
    assert kit.new_facts() == [
        CaseRejected(
            case_id=CASE,
            order_id=ORDER,
            round=1,
            node=at,
            reason="too dear",
            by=person(by),
            title="SO-1",
            submitter=person(SALES),
        )
    ]


@pytest.mark.parametrize("reason", [None, "", " "])
def test_apr_09_reason_is_required(reason: str | None) -> None:
    with pytest.raises(Refused) as refusal:
        load(Reject, {"case_id": str(CASE), **({} if reason is None else {"reason": reason})})
    assert (refusal.value.code, refusal.value.field) == ("VALIDATION", "reason")


@both_ways
def test_apr_09_the_remaining_nodes_are_closed(kit: InMemoryService, decide: Decision) -> None:
    kit.do(reject(), SUPERVISOR)
    assert kit.assert_refused("INVALID_STATE", decide(None), FINANCE).state == "REJECTED"
    kit.assert_refused("INVALID_STATE", decide("FINANCE"), FINANCE)


# -- APR-10: one decision per node ----------------------------------------------------------------------------------


@both_ways
def test_apr_10_the_supervisor_decides_twice(kit: InMemoryService, decide: Decision) -> None:
    kit.do(approve(), SUPERVISOR)
    kit.assert_refused("ALREADY_DECIDED", decide("SUPERVISOR"), SUPERVISOR, field="node")


@both_ways
def test_apr_02_who_has_decided_and_names_no_node_is_told_whose_turn_it_is(
    kit: InMemoryService, decide: Decision
) -> None:
    kit.do(approve(), SUPERVISOR)
    refusal = kit.assert_refused("INVALID_STATE", decide(None), SUPERVISOR)
    assert (refusal.why.reason, refusal.state) == ("approvals.turn_of_others", "FINANCE")
    assert refusal.message.endswith("the turn of the node FINANCE now (finance, administrator).")


@both_ways
def test_apr_02_who_comes_too_early_is_told_who_decides_before(kit: InMemoryService, decide: Decision) -> None:
    kit.known(SUPERVISOR)
    refusal = kit.assert_refused("INVALID_STATE", decide(None), FINANCE)
    assert refusal.message == "It is too early: the node SUPERVISOR has to decide first (sato)."


@both_ways
def test_apr_10_another_person_on_a_decided_node(kit: InMemoryService, decide: Decision) -> None:
    kit.do(approve(), SUPERVISOR)
    kit.assert_refused("ALREADY_DECIDED", decide("SUPERVISOR"), ADMIN, field="node")
    kit.assert_refused("ALREADY_DECIDED", decide("SUPERVISOR"), FINANCE, field="node")


@both_ways
@pytest.mark.parametrize("node", [None, "FINANCE"])
@pytest.mark.parametrize("by", [FINANCE, OTHER_FINANCE, ADMIN], ids=["same", "colleague", "administrator"])
def test_apr_10_a_decision_after_the_last_one(
    kit: InMemoryService, decide: Decision, node: ApprovalNode | None, by: Principal
) -> None:
    kit.do(approve(), SUPERVISOR)
    kit.do(approve(), FINANCE)
    kit.assert_refused("ALREADY_DECIDED", decide(node), by)


@both_ways
@pytest.mark.parametrize("node", [None, "SUPERVISOR"])
def test_apr_10_a_rejected_node_is_decided_too(
    kit: InMemoryService, decide: Decision, node: ApprovalNode | None
) -> None:
    kit.do(reject(), SUPERVISOR)
    kit.assert_refused("ALREADY_DECIDED", decide(node), SUPERVISOR)


def test_apr_10_same_key_gives_the_first_answer(kit: InMemoryService) -> None:
    first = kit.do(approve(), SUPERVISOR, key="press")
    assert kit.do(approve(), SUPERVISOR, key="press").body == first.body
    assert len(kit.facts()) == 2
    kit.assert_refused("KEY_REUSED", approve("FINANCE"), SUPERVISOR, field="Idempotency-Key", key="press")


def test_stale_version(kit: InMemoryService) -> None:
    kit.do(approve(), SUPERVISOR, version=1)
    kit.assert_refused("VERSION_CONFLICT", approve(), FINANCE, version=1)
    kit.do(approve(), FINANCE, version=2)


# -- APR-11: closed cases -------------------------------------------------------------------------------------------


@both_ways
@pytest.mark.parametrize("node", [None, "SUPERVISOR", "FINANCE"])
@pytest.mark.parametrize("by", [SUPERVISOR, FINANCE, ADMIN], ids=["supervisor", "finance", "administrator"])
def test_apr_11_a_closed_case_takes_no_decision(
    kit: InMemoryService, decide: Decision, node: ApprovalNode | None, by: Principal
) -> None:
    kit.do(approve(), SUPERVISOR)
    kit.new_facts()
    answer = kit.do(close(), SYSTEM).body
    assert (answer["status"], answer["due"]) == ("CLOSED", None)
    assert kit.new_facts() == [CaseClosed(case_id=CASE, order_id=ORDER, reason="CANCELLED")]
    assert kit.assert_refused("INVALID_STATE", decide(node), by).state == "CLOSED"


def test_apr_11_closing_twice_or_after_the_decision(kit: InMemoryService) -> None:
    kit.do(reject(), SUPERVISOR)
    kit.new_facts()
    assert kit.do(close(), SYSTEM).body["status"] == "REJECTED"
    assert kit.new_facts() == []


def test_apr_11_a_case_closed_before_it_opened_never_opens() -> None:
    """The opening was parked as a dead letter and is replayed after the order was cancelled."""
    kit = InMemoryService(SERVICE)
    kit.do(close(), SYSTEM)
    kit.do(close(), SYSTEM)
    assert kit.do(open_case(), SYSTEM).body["status"] == "CLOSED"
    assert kit.facts() == [CaseBarred(reason="CANCELLED")], "and no view hears of a case that never was"
    kit.assert_refused("INVALID_STATE", approve(), ADMIN)


# -- APR-12: who may approve ----------------------------------------------------------------------------------------


@both_ways
@pytest.mark.parametrize(
    "by",
    [SALES, MANAGER, WAREHOUSE, OTHER_SUPERVISOR, SYSTEM, replace(SUPERVISOR, roles=frozenset({"SAL"}))],
    ids=["submitter", "management", "warehouse", "another's supervisor", "nobody", "superior without the role"],
)
def test_acc_41_apr_12_without_the_right(kit: InMemoryService, decide: Decision, by: Principal) -> None:
    kit.assert_refused("FORBIDDEN", decide(None), by)
    kit.do(close(), SYSTEM)
    kit.assert_refused("FORBIDDEN", decide(None), by)


@both_ways
def test_apr_12_a_node_of_others(kit: InMemoryService, decide: Decision) -> None:
    kit.assert_refused("FORBIDDEN", decide("SUPERVISOR"), FINANCE, field="node")
    kit.do(approve(), SUPERVISOR)
    kit.assert_refused("FORBIDDEN", decide("FINANCE"), SUPERVISOR, field="node")


def test_apr_12_an_administrator_may_decide_each_node_but_not_both(kit: InMemoryService) -> None:
    kit.do(approve(), ADMIN)
    kit.assert_refused("FORBIDDEN", approve(), ADMIN)
    kit.do(approve(), SECOND_ADMIN)


@both_ways
def test_apr_12_two_nodes_need_two_persons(kit: InMemoryService, decide: Decision) -> None:
    kit.do(approve(), EVERYTHING)
    kit.assert_refused("FORBIDDEN", decide(None), EVERYTHING)
    kit.assert_refused("FORBIDDEN", decide("FINANCE"), EVERYTHING)


@both_ways
@pytest.mark.parametrize("roles", ["ADM", "FIN ADM", "SAL ADM"])
def test_apr_12_nobody_decides_what_they_submitted(decide: Decision, roles: str) -> None:
    submitter = user("boss", *roles.split())
    kit = InMemoryService(SERVICE)
    kit.do(open_case(by=submitter), SYSTEM)
    kit.assert_refused("FORBIDDEN", decide(None), submitter)
    kit.do(approve(), SECOND_ADMIN)
    kit.assert_refused("FORBIDDEN", decide("FINANCE"), submitter)


@pytest.mark.parametrize("by", ["superior", "administrator"])
def test_apr_12_a_supervisors_own_order(by: str) -> None:
    head = user("head", "SUP")
    supervisor = user("tanaka", "SUP", superior=head)
    kit = InMemoryService(SERVICE)
    kit.do(open_case(by=supervisor), SYSTEM)
    kit.assert_refused("FORBIDDEN", approve(), supervisor)
    assert kit.do(approve(), head if by == "superior" else ADMIN).body["due"] == "FINANCE"


def test_apr_12_a_submitter_without_a_superior_leaves_node_1_to_administrators() -> None:
    kit = InMemoryService(SERVICE)
    kit.do(open_case(by=user("lone", "SAL")), SYSTEM)
    kit.assert_refused("FORBIDDEN", approve(), SUPERVISOR)
    kit.assert_refused("FORBIDDEN", approve(), replace(SUPERVISOR, user_id=None))
    kit.do(approve(), ADMIN)
