"""Approval cases (features APR-01, 02, 04, 07..14).  Aggregate: case, one per subject and round.

A **subject** is what is to be approved, of whatever kind; **nodes** say who decides, one after the other.  Orders had
approvals first, and in words of their own: `OpenCase`, `CloseCase` and the events v1.  Those are taken, told and read
as before; everything else has `RequestApproval`, `CallOffApproval` and the events v2 (ADR 0044).
"""

from datetime import time
from functools import singledispatch
from typing import Any, Literal
from uuid import NAMESPACE_URL, UUID, uuid5

from contracts.deciders import CaseRight, Decider, Node
from contracts.declare import command, event, value
from contracts.ids import beside
from contracts.people import SALESTREAM, Person
from contracts.permissions import STAFF
from contracts.personal import Personal
from contracts.sales import ApprovalNode
from contracts.schedules import Daily, schedule
from contracts.types import Day, Flag, Money, Note, Quantity, Reason, Text


def case_id_for(kind: str, subject_id: UUID, round: int) -> UUID:
    """The id of the case that decides a round of a subject."""
    stem = "" if kind == ORDER else f"{kind}:"
    return beside(subject_id, uuid5(NAMESPACE_URL, f"salestream:approval:{stem}{subject_id}:{round}"))


def case_id_of(order_id: UUID, round: int) -> UUID:
    """The id of the case that decides a submission round of an order."""
    return case_id_for(ORDER, order_id, round)


CallOff = Literal["CANCELLED", "WITHDRAWN"]


@value
class AskedBecause:
    """Why approval was asked for: the rule, a field's name or words of who made it, its limit, and what there is."""

    rule: Text
    limit: Money | None = None
    value: Money | None = None


@value
class Subject:
    """What is to be approved: its kind (`survey`), which one, the round, what people call it, and what it is about.

    `round` counts how often it was asked.  `amount` is None where it is not about money, `customer_id` where it
    concerns no customer.
    """

    about_person = "customer_id"

    kind: Text
    id: UUID
    title: Text
    round: Quantity = 1
    amount: Money | None = None
    customer_id: UUID | None = None
    customer_name: Personal[Text] = ""
    because: tuple[AskedBecause, ...] = ()


@command("POST /approvals/{case_id}/approve", permission=STAFF)
class Approve:
    """Approve the node that is due (APR-02, APR-08, APR-12).  `node`: refuse unless that node is the one due."""

    case_id: UUID
    node: Text | None = None
    comment: Note = ""


@command("POST /approvals/{case_id}/reject", permission=STAFF)
class Reject:
    """Turn the subject down; the remaining nodes are closed (APR-09)."""

    case_id: UUID
    reason: Reason
    node: Text | None = None


@command(None, permission="system", key="case_id")
class RequestApproval:
    """Ask for the approvals of a subject (APR-01, APR-04).

    `right`: what deciding needs besides; how far it reaches says whose cases one decides.  None: being named by a node
    gives the right for it.
    """

    case_id: UUID
    subject: Subject
    nodes: tuple[Node, ...]
    submitter: Person
    superior_id: UUID | None = None
    right: CaseRight | None = None


@command(None, permission="system", key="case_id")
class CallOffApproval:
    """The subject was cancelled or withdrawn: no more decisions (APR-11).

    `undecided`: it still waited then, so whatever was decided meanwhile came too late.
    """

    case_id: UUID
    reason: CallOff
    undecided: Flag = False


@command(None, permission="system", key="case_id")
class OpenCase:
    """Ask for the approvals of an order (APR-01)."""

    about_person = "customer_id"

    case_id: UUID
    order_id: UUID
    round: Quantity
    number: Text
    customer_name: Personal[Text]
    total: Money
    route: tuple[ApprovalNode, ...]
    submitter: Person
    superior_id: UUID | None = None
    customer_id: UUID | None = None
    because: tuple[AskedBecause, ...] = ()


@command(None, permission="system", key="case_id")
class CloseCase:
    """The order was cancelled or withdrawn: no more decisions (APR-11).

    `undecided`: the order still waited then, so whatever was decided meanwhile came too late.
    """

    case_id: UUID
    order_id: UUID
    reason: CallOff
    undecided: Flag = False


@schedule(Daily(time(8), missed="LAST"))
class RemindDeciders:
    """Remind those for whom approvals wait, every morning (NTF-04)."""


# -- what is told of cases of any subject


@event("salestream.approvals.case-opened.v2", key="case_id")
class CaseOpenedV2:
    """A subject waits for approval; `nodes[0]` is due."""

    case_id: UUID
    subject: Subject
    nodes: tuple[Node, ...]
    submitter: Person
    superior_id: UUID | None = None
    right: CaseRight | None = None


@event("salestream.approvals.node-approved.v2", key="case_id")
class NodeApprovedV2:
    """A node was approved; `next` is due now, None after the last.

    Of a node that needs all its deciders it comes once a person: as long as others are `awaited`, `next` is the same
    node.  `decided` are those who have decided so far, `right` is what deciding needs besides.  Older events tell
    neither, nor what people call the subject and who asked.
    """

    case_id: UUID
    kind: Text
    subject_id: UUID
    node: Text
    by: Person
    next: Node | None = None
    comment: Note = ""
    awaited: tuple[Decider, ...] = ()
    title: Text = ""
    submitter: Person = SALESTREAM
    decided: tuple[UUID, ...] = ()
    right: Text = ""


@event("salestream.approvals.case-approved.v2", key="case_id")
class CaseApprovedV2:
    """Every node has approved; `by` gave the last approval."""

    case_id: UUID
    kind: Text
    subject_id: UUID
    round: Quantity
    by: Person


@event("salestream.approvals.case-rejected.v2", key="case_id")
class CaseRejectedV2:
    """A node turned the subject down.  Older events tell neither what people call it nor who asked."""

    case_id: UUID
    kind: Text
    subject_id: UUID
    round: Quantity
    node: Text
    reason: Note
    by: Person
    title: Text = ""
    submitter: Person = SALESTREAM


@event("salestream.approvals.case-closed.v2", key="case_id")
class CaseClosedV2:
    """The case takes no more decisions: its subject was cancelled or withdrawn."""

    case_id: UUID
    kind: Text
    subject_id: UUID
    reason: Reason


@event("salestream.approvals.decision-voided.v2", key="case_id")
class DecisionVoidedV2:
    """The case was decided when its subject had been called off already: the decision has no effect."""

    case_id: UUID
    kind: Text
    subject_id: UUID
    round: Quantity
    reason: Note


@event("salestream.approvals.case-reminded.v1", key="case_id")
class CaseReminded:
    """The case still waits: who may decide it is to be reminded on this day (NTF-04).

    `awaited` are those who decide the node that is due, `decided` who has decided another one and so can't; `right` is
    what deciding needs besides.  Older events tell none of it, nor what people call the subject and who asked.
    """

    case_id: UUID
    kind: Text
    subject_id: UUID
    day: Day
    title: Text = ""
    submitter: Person = SALESTREAM
    awaited: tuple[Decider, ...] = ()
    decided: tuple[UUID, ...] = ()
    right: Text = ""


# -- what is told of cases of orders, which `OpenCase` asked for


@event("salestream.approvals.case-opened.v1", key="case_id")
class CaseOpened:
    """An order waits for approval; `route[0]` is due.  Older events don't tell the customer's id."""

    about_person = "customer_id"

    case_id: UUID
    order_id: UUID
    round: Quantity
    number: Text
    customer_name: Personal[Text]
    total: Money
    route: tuple[ApprovalNode, ...]
    submitter: Person
    superior_id: UUID | None = None
    customer_id: UUID | None = None
    because: tuple[AskedBecause, ...] = ()


@event("salestream.approvals.node-approved.v1", key="case_id")
class NodeApproved:
    """One node approved; `next` is due now, None after the last.

    `decided` are those who have decided so far.  Older events don't tell them, nor what people call the order and who
    asked.
    """

    case_id: UUID
    order_id: UUID
    node: ApprovalNode
    by: Person
    next: ApprovalNode | None = None
    comment: Note = ""
    title: Text = ""
    submitter: Person = SALESTREAM
    decided: tuple[UUID, ...] = ()


@event("salestream.approvals.case-approved.v1", key="case_id")
class CaseApproved:
    """Every node has approved; `by` gave the last approval."""

    case_id: UUID
    order_id: UUID
    round: Quantity
    by: Person = SALESTREAM


@event("salestream.approvals.case-rejected.v1", key="case_id")
class CaseRejected:
    """A node turned the order down.  Older events tell neither what people call it nor who asked."""

    case_id: UUID
    order_id: UUID
    round: Quantity
    node: ApprovalNode
    reason: Note
    by: Person
    title: Text = ""
    submitter: Person = SALESTREAM


@event("salestream.approvals.case-closed.v1", key="case_id")
class CaseClosed:
    """The case takes no more decisions: its order was cancelled or withdrawn."""

    case_id: UUID
    order_id: UUID
    reason: Reason


@event("salestream.approvals.decision-voided.v1", key="case_id")
class DecisionVoided:
    """The case was decided when its order had been cancelled or withdrawn already: the decision has no effect."""

    case_id: UUID
    order_id: UUID
    round: Quantity
    reason: Note


# -- cases of orders in the words of all

ORDER = "order"
NODES_OF_ORDERS: dict[str, Node] = {
    "SUPERVISOR": Node(key="SUPERVISOR", deciders=(Decider(kind="SUPERIOR"),)),
    "FINANCE": Node(key="FINANCE", deciders=(Decider(kind="RIGHT", right="payments"),)),
}
"""Whose work it is to decide a node of an order's case (APR-12), which needs `RIGHT_OF_ORDERS` besides."""

RIGHT_OF_ORDERS: CaseRight = "orders.approve"
"""What deciding an order's case needs besides."""


def _asked_for(order: OpenCase | CaseOpened) -> dict[str, Any]:
    return {
        "case_id": order.case_id,
        "subject": Subject(
            kind=ORDER,
            id=order.order_id,
            title=order.number,
            round=order.round,
            amount=order.total,
            customer_id=order.customer_id,
            customer_name=order.customer_name,
            because=order.because,
        ),
        "nodes": tuple(NODES_OF_ORDERS[node] for node in order.route),
        "submitter": order.submitter,
        "superior_id": order.superior_id,
        "right": RIGHT_OF_ORDERS,
    }


@singledispatch
def of_any_subject(of_order: Any) -> Any:
    """The command or event about a case of an order, in the words of all subjects.  Raises TypeError for others."""
    raise TypeError(f"{type(of_order).__name__} is in the words of all subjects, or has none there")


@of_any_subject.register
def _(command: OpenCase) -> RequestApproval:
    return RequestApproval(**_asked_for(command))


@of_any_subject.register
def _(command: CloseCase) -> CallOffApproval:
    return CallOffApproval(case_id=command.case_id, reason=command.reason, undecided=command.undecided)


@of_any_subject.register
def _(event: CaseOpened) -> CaseOpenedV2:
    return CaseOpenedV2(**_asked_for(event))


@of_any_subject.register
def _(event: NodeApproved) -> NodeApprovedV2:
    return NodeApprovedV2(
        case_id=event.case_id,
        kind=ORDER,
        subject_id=event.order_id,
        node=event.node,
        by=event.by,
        next=NODES_OF_ORDERS[event.next] if event.next else None,
        comment=event.comment,
        title=event.title,
        submitter=event.submitter,
        decided=event.decided,
        right=RIGHT_OF_ORDERS,
    )


@singledispatch
def of_order(of_any: Any) -> Any:
    """The event about a case of an order in the words of orders, which v1 has.  Raises TypeError for others."""
    raise TypeError(f"{type(of_any).__name__} can't be told of a case of an order")


@of_order.register
def _(event: CaseOpenedV2) -> CaseOpened:
    subject = event.subject
    assert subject.amount is not None, "an order has a total"
    return CaseOpened(
        case_id=event.case_id,
        order_id=subject.id,
        round=subject.round,
        number=subject.title,
        customer_id=subject.customer_id,
        customer_name=subject.customer_name,
        total=subject.amount,
        route=tuple(node.key for node in event.nodes),  # type: ignore[misc]  # those that orders have
        submitter=event.submitter,
        superior_id=event.superior_id,
        because=subject.because,
    )


@of_order.register
def _(event: NodeApprovedV2) -> NodeApproved:
    return NodeApproved(
        case_id=event.case_id,
        order_id=event.subject_id,
        node=event.node,  # type: ignore[arg-type]  # one that orders have
        by=event.by,
        next=event.next.key if event.next else None,  # type: ignore[arg-type]
        comment=event.comment,
        title=event.title,
        submitter=event.submitter,
        decided=event.decided,
    )


@of_order.register
def _(event: CaseApprovedV2) -> CaseApproved:
    return CaseApproved(case_id=event.case_id, order_id=event.subject_id, round=event.round, by=event.by)


@of_order.register
def _(event: CaseRejectedV2) -> CaseRejected:
    return CaseRejected(
        case_id=event.case_id,
        order_id=event.subject_id,
        round=event.round,
        node=event.node,  # type: ignore[arg-type]
        reason=event.reason,
        by=event.by,
        title=event.title,
        submitter=event.submitter,
    )


@of_order.register
def _(event: CaseClosedV2) -> CaseClosed:
    return CaseClosed(case_id=event.case_id, order_id=event.subject_id, reason=event.reason)


@of_order.register
def _(event: DecisionVoidedV2) -> DecisionVoided:
    return DecisionVoided(case_id=event.case_id, order_id=event.subject_id, round=event.round, reason=event.reason)
