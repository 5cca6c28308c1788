"""Approvals of anything, with nodes of any kind (features APR-04, APR-07, APR-09..12, APR-14; ADR 0044).

The kind `errand` exists nowhere else: nothing in this service knows what it decides about.
"""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import pytest

from chassis.model.principal import Principal
from chassis.testing.people import ADMIN, FINANCE, MANAGER, SALES, SUPERVISOR, SYSTEM, WAREHOUSE, user
from chassis.testing.services import InMemoryService
from contracts.access import Grant, RightGranted, RoleState
from contracts.approvals import (
    Approve,
    AskedBecause,
    CallOffApproval,
    CaseApproved,
    CaseApprovedV2,
    CaseClosed,
    CaseClosedV2,
    CaseOpened,
    CaseOpenedV2,
    CaseRejected,
    CaseRejectedV2,
    DecisionVoided,
    DecisionVoidedV2,
    NodeApproved,
    NodeApprovedV2,
    OpenCase,
    Reject,
    RequestApproval,
    Subject,
    case_id_for,
    case_id_of,
    of_any_subject,
    of_order,
)
from contracts.deciders import Decider, Node
from contracts.people import Person
from contracts.permissions import LEADERSHIP
from contracts.types import Money
from services.approvals.application import SERVICE
from services.approvals.domain import CaseBarred

ERRAND = uuid5(NAMESPACE_URL, "test-approvals:errand")
CASE = case_id_for("errand", ERRAND, 1)
DESK = user("zhou", "CMD")
NAMED = user("maria", "MKT")
CLERK = user("pavel", "BRO")

ABOVE = Node(key="above", title="上级", deciders=(Decider(kind="SUPERIOR"),))
BY_DESK = Node(key="desk", title="商务", deciders=(Decider(kind="ROLE", role="CMD"),))
BY_PAYMENTS = Node(key="money", deciders=(Decider(kind="RIGHT", right="payments"),))
BY_NAMED = Node(key="maria", deciders=(Decider(kind="USER", user_id=NAMED.user_id),))
BY_SEVERAL = Node(key="several", deciders=(*BY_DESK.deciders, *BY_NAMED.deciders))
BY_BOTH = Node(key="both", deciders=BY_SEVERAL.deciders, all_of=True)
ABOVE_NAMED = Node(key="above maria", deciders=(Decider(kind="SUPERIOR", user_id=NAMED.user_id),))


def person(principal: Principal) -> Person:
    return Person(user_id=principal.user_id, name=principal.name)


SUBJECT = Subject(
    kind="errand",
    id=ERRAND,
    title="去苏州 / 蘇州へ",
    amount=Money(amount=Decimal("80.00"), currency="CNY"),
    because=(AskedBecause(rule="far", limit=Money(amount=Decimal("50.00"), currency="CNY")),),
)


def request(*nodes: Node, by: Principal = SALES, **more: Any) -> RequestApproval:
    return RequestApproval(
        case_id=CASE, subject=SUBJECT, nodes=nodes, submitter=person(by), superior_id=by.superior_id, **more
    )


def asked(*nodes: Node, by: Principal = SALES, **more: Any) -> InMemoryService:
    kit = InMemoryService(SERVICE)
    for one in (SALES, SUPERVISOR, DESK, NAMED, CLERK):
        kit.known(one)
    kit.do(request(*nodes, by=by, **more), SYSTEM)
    kit.new_facts()
    return kit


def approve(node: str | None = None) -> Approve:
    return Approve(case_id=CASE, node=node)


def reject(node: str | None = None) -> Reject:
    return Reject(case_id=CASE, reason="no", node=node)


def call_off(**more: Any) -> CallOffApproval:
    return CallOffApproval(case_id=CASE, reason="WITHDRAWN", **more)


Decision = Callable[[str | None], Any]
both_ways = pytest.mark.parametrize("decide", [approve, reject], ids=["approve", "reject"])
TOLD: dict[str, Any] = {"title": SUBJECT.title, "submitter": person(SALES)}
"""What people call the subject and who asked, as it is told with each approval (APR-09)."""


def ids(*of: Principal) -> tuple[UUID, ...]:
    return tuple(one.user_id for one in of if one.user_id)


def test_apr_14_any_subject_is_opened_decided_and_told() -> None:
    kit = InMemoryService(SERVICE)
    kit.known(SALES)
    answer = kit.do(request(ABOVE, BY_DESK), SYSTEM)
    assert (answer.body["status"], answer.body["due"]) == ("OPEN", "above")
    assert kit.do(approve("above"), SUPERVISOR).body["due"] == "desk"
    assert kit.do(approve("desk"), DESK).body["status"] == "APPROVED"
    about: dict[str, Any] = {"case_id": CASE, "kind": "errand", "subject_id": ERRAND}
    assert kit.facts() == [
        CaseOpenedV2(
            case_id=CASE,
            subject=SUBJECT,
            nodes=(ABOVE, BY_DESK),
            submitter=person(SALES),
            superior_id=SALES.superior_id,
        ),
        NodeApprovedV2(**about, **TOLD, node="above", by=person(SUPERVISOR), next=BY_DESK, decided=ids(SUPERVISOR)),
        NodeApprovedV2(**about, **TOLD, node="desk", by=person(DESK), decided=ids(SUPERVISOR, DESK)),
        CaseApprovedV2(**about, round=1, by=person(DESK)),
    ]


def test_apr_09_a_subject_is_turned_down() -> None:
    kit = asked(BY_DESK)
    kit.do(reject("desk"), DESK)
    assert kit.new_facts() == [
        CaseRejectedV2(
            case_id=CASE,
            kind="errand",
            subject_id=ERRAND,
            round=1,
            node="desk",
            reason="no",
            by=person(DESK),
            title=SUBJECT.title,
            submitter=person(SALES),
        )
    ]
    kit.assert_refused("ALREADY_DECIDED", approve("desk"), DESK, field="node")


def test_apr_02_a_node_that_needs_all_waits_for_each_of_them() -> None:
    kit = asked(BY_BOTH, ABOVE)
    assert kit.do(approve("both"), DESK).body["due"] == "both"
    refusal = kit.assert_refused("INVALID_STATE", approve("above"), SUPERVISOR)
    assert "maria" in refusal.message and "CMD" not in refusal.message, "who is still awaited is told"
    kit.assert_refused("FORBIDDEN", approve("both"), DESK, field="case_id")
    assert kit.do(approve("both"), NAMED).body["due"] == "above"
    about: dict[str, Any] = {"case_id": CASE, "kind": "errand", "subject_id": ERRAND, "node": "both"}
    assert kit.new_facts() == [
        NodeApprovedV2(**about, **TOLD, by=person(DESK), next=BY_BOTH, awaited=BY_NAMED.deciders, decided=ids(DESK)),
        NodeApprovedV2(**about, **TOLD, by=person(NAMED), next=ABOVE, decided=ids(DESK, NAMED)),
    ]
    assert kit.do(approve("above"), SUPERVISOR).body["status"] == "APPROVED"


def test_apr_09_one_refusal_of_a_node_that_needs_all_refuses() -> None:
    kit = asked(BY_BOTH)
    kit.do(approve("both"), DESK)
    assert kit.do(reject("both"), NAMED).body["status"] == "REJECTED"
    kit.assert_refused("ALREADY_DECIDED", approve("both"), ADMIN, field="node")


def test_apr_10_what_a_colleague_has_agreed_to_for_the_role_nobody_says_again() -> None:
    kit, other = asked(BY_BOTH), user("lin", "CMD")
    kit.known(other)
    kit.do(approve(), DESK)
    refusal = kit.assert_refused("ALREADY_DECIDED", approve(), other, field="node")
    assert refusal.why.reason == "approvals.agreed_for_you" and "maria" in refusal.message


def test_apr_12_who_is_named_by_none_and_leads_everybody_agrees_for_all_who_are_awaited() -> None:
    kit = asked(BY_BOTH)
    assert kit.do(approve(), ADMIN).body["status"] == "APPROVED"


def test_sec_16_who_leads_everybody_does_not_agree_for_the_holders_of_a_right_that_they_lack() -> None:
    """Neither first nor after others: a right is what nobody lends."""
    leader = user("ida", "HEAD")
    both = Node(key="both", deciders=(*BY_NAMED.deciders, *BY_PAYMENTS.deciders), all_of=True)
    kit = asked(both)
    leads = RoleState(title="Head", revision=1, grants=(Grant(right=LEADERSHIP, scope="ALL"),))
    kit.directory.tell([RightGranted(role="HEAD", right=LEADERSHIP, scope="ALL", state=leads)])
    assert kit.do(approve(), leader).body == {"id": str(CASE), "version": 2, "status": "OPEN", "due": "both"}
    [told] = kit.new_facts()
    assert told.awaited == BY_PAYMENTS.deciders
    kit.assert_refused("ALREADY_DECIDED", approve(), NAMED, field="node")
    assert kit.do(approve(), FINANCE).body["status"] == "APPROVED"


@both_ways
def test_apr_11_called_off_it_takes_no_decision(decide: Decision) -> None:
    kit = asked(ABOVE, BY_DESK)
    kit.do(approve(), SUPERVISOR)
    kit.new_facts()
    kit.do(call_off(), SYSTEM)
    assert kit.new_facts() == [CaseClosedV2(case_id=CASE, kind="errand", subject_id=ERRAND, reason="WITHDRAWN")]
    assert kit.assert_refused("INVALID_STATE", decide(None), DESK).state == "CLOSED"
    kit.do(call_off(), SYSTEM)
    assert kit.new_facts() == []


def test_apr_11_a_decision_that_came_too_late_is_void() -> None:
    kit = asked(BY_DESK)
    kit.do(approve(), DESK)
    kit.new_facts()
    kit.do(call_off(undecided=True), SYSTEM)
    about: dict[str, Any] = {"case_id": CASE, "kind": "errand", "subject_id": ERRAND}
    assert kit.new_facts() == [DecisionVoidedV2(**about, round=1, reason="WITHDRAWN")]


def test_apr_11_called_off_before_it_was_asked_for_it_never_opens() -> None:
    kit = InMemoryService(SERVICE)
    kit.do(call_off(), SYSTEM)
    assert kit.do(request(BY_DESK), SYSTEM).body["status"] == "CLOSED"
    assert kit.facts() == [CaseBarred(reason="WITHDRAWN")]


def test_ord_16_it_is_asked_for_once() -> None:
    kit = asked(BY_DESK)
    kit.do(request(BY_NAMED), SYSTEM)
    assert kit.new_facts() == []
    kit.assert_refused("FORBIDDEN", approve(), NAMED)


PEOPLE = (SALES, SUPERVISOR, DESK, NAMED, CLERK, FINANCE, MANAGER, WAREHOUSE, ADMIN)
NODES: dict[str, tuple[Node, set[Principal]]] = {
    "the submitter's superior": (ABOVE, {SUPERVISOR, ADMIN}),
    "holders of a role": (BY_DESK, {DESK, ADMIN}),
    "holders of a right": (BY_PAYMENTS, {FINANCE, ADMIN}),
    "somebody by name": (BY_NAMED, {NAMED, ADMIN}),
    "one of several": (BY_SEVERAL, {DESK, NAMED, ADMIN}),
    "the superior of somebody who has none": (ABOVE_NAMED, {ADMIN}),
}


@both_ways
@pytest.mark.parametrize("node, deciders", NODES.values(), ids=NODES)
def test_apr_04_who_is_named_decides_and_nobody_else(decide: Decision, node: Node, deciders: set[Principal]) -> None:
    for one in PEOPLE:
        kit = asked(node)
        if one in deciders:
            kit.do(decide(None), one)
        else:
            kit.assert_refused("FORBIDDEN", decide(None), one)


@both_ways
def test_sec_16_a_case_may_need_a_right_besides(decide: Decision) -> None:
    kit = asked(BY_SEVERAL, right="contracts.approve")
    assert kit.assert_refused("FORBIDDEN", decide(None), NAMED).state == "contracts.approve"
    kit.do(decide(None), DESK)


@both_ways
def test_apr_12_nobody_decides_what_they_asked_for_nor_twice(decide: Decision) -> None:
    kit = asked(BY_DESK, by=DESK)
    kit.assert_refused("FORBIDDEN", decide(None), DESK, field="case_id")
    kit.do(decide(None), replace(DESK, user_id=uuid4()))
    kit = asked(BY_DESK, BY_SEVERAL)
    kit.do(approve(), DESK)
    kit.assert_refused("FORBIDDEN", decide(None), DESK, field="case_id")
    kit.do(decide(None), NAMED)


@both_ways
def test_apr_02_before_their_turn_they_are_told_whose_it_is(decide: Decision) -> None:
    kit = asked(BY_NAMED, BY_DESK)
    early = kit.assert_refused("INVALID_STATE", decide(None), DESK)
    assert (early.why.reason, early.state) == ("approvals.too_early", "maria")
    assert early.message.endswith("(maria).")
    kit.do(approve(), NAMED)
    done = kit.assert_refused("INVALID_STATE", decide(None), NAMED)
    assert (done.why.reason, done.state) == ("approvals.turn_of_others", "desk")
    assert done.why.said("zh") == "您负责的节点已审批，现在轮到“商务”节点（CMD）。"
    kit.assert_refused("VALIDATION", decide("nowhere"), DESK, field="node")


def test_sec_14_where_nobody_is_named_any_more_that_is_told() -> None:
    kit = asked(ABOVE_NAMED, BY_DESK)
    refusal = kit.assert_refused("INVALID_STATE", approve("desk"), DESK)
    assert refusal.message.endswith("(nobody is there now, so an administrator decides).")


@pytest.mark.parametrize(
    "nodes, field",
    [
        ((), "nodes"),
        ((BY_DESK, BY_DESK), "nodes.1.key"),
        ((replace(BY_DESK, key=""),), "nodes.0.key"),
        ((BY_DESK, Node(key="nobody", deciders=())), "nodes.1.deciders"),
        ((Node(key="x", deciders=(Decider(kind="ROLE"),)),), "nodes.0.deciders"),
        ((Node(key="x", deciders=(Decider(kind="USER", role="CMD"),)),), "nodes.0.deciders"),
        ((Node(key="x", deciders=(Decider(kind="RIGHT", right="nothing"),)),), "nodes.0.deciders"),
    ],
)
def test_apr_04_a_node_without_somebody_who_decides_is_refused(nodes: tuple[Node, ...], field: str) -> None:
    InMemoryService(SERVICE).assert_refused("VALIDATION", request(*nodes), SYSTEM, field=field)


@pytest.mark.parametrize("node", [node for node, _ in NODES.values()], ids=NODES)
def test_a_decider_is_known_by_its_mark(node: Node) -> None:
    for decider in node.deciders:
        assert Decider.marked(decider.mark) == decider


# -- cases of orders, in both words ---------------------------------------------------------------------------------


def test_the_case_of_an_order_has_one_id_in_both_words() -> None:
    assert case_id_for("order", ERRAND, 2) == case_id_of(ERRAND, 2) != case_id_for("errand", ERRAND, 2)


OF_ORDERS = (CaseOpened, NodeApproved, CaseApproved, CaseRejected, CaseClosed, DecisionVoided)


def test_what_is_told_of_an_order_is_the_same_in_the_words_of_all() -> None:
    opened = CaseOpened(
        case_id=CASE,
        order_id=ERRAND,
        round=3,
        number="SO-1",
        customer_name="Acme",
        total=Money(amount=Decimal("9000.00"), currency="CNY"),
        route=("SUPERVISOR", "FINANCE"),
        submitter=person(SALES),
        superior_id=SALES.superior_id,
        customer_id=uuid4(),
        because=SUBJECT.because,
    )
    approved = NodeApproved(
        case_id=CASE,
        order_id=ERRAND,
        node="SUPERVISOR",
        by=person(SUPERVISOR),
        next="FINANCE",
        comment="fine",
        decided=ids(SUPERVISOR),
        **TOLD,
    )
    for fact in (opened, approved, replace(approved, next=None)):
        assert of_order(of_any_subject(fact)) == fact


def test_a_case_of_an_order_that_is_asked_for_as_any_subject_is_told_as_one() -> None:
    """Who opens it decides in which words it is told, to its end: readers of v1 miss nothing and get nothing twice."""
    order = uuid4()
    ids: dict[str, Any] = {"case_id": case_id_of(order, 1), "order_id": order}
    opening = OpenCase(
        **ids,
        round=1,
        number="SO-1",
        customer_name="Acme",
        total=Money(amount=Decimal("9000.00"), currency="CNY"),
        route=("SUPERVISOR", "FINANCE"),
        submitter=person(SALES),
        superior_id=SALES.superior_id,
    )
    for command, versions in ((opening, OF_ORDERS), (of_any_subject(opening), (CaseOpenedV2, NodeApprovedV2))):
        kit = InMemoryService(SERVICE)
        kit.known(SALES)
        kit.do(command, SYSTEM)
        kit.do(Approve(case_id=ids["case_id"], node="SUPERVISOR"), SUPERVISOR)
        assert {type(fact) for fact in kit.facts()} <= set(versions)
        assert kit.facts()[-1].next
