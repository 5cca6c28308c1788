"""Approval cases (features APR-01, 02, 07..13).  Aggregate: case, one per order and submission round."""

from typing import Literal
from uuid import NAMESPACE_URL, UUID, uuid5

from contracts.declare import command, event
from contracts.ids import beside
from contracts.people import SALESTREAM, Person
from contracts.personal import Personal
from contracts.sales import ApprovalNode
from contracts.types import Flag, Money, Note, Quantity, Reason, Text


def case_id_of(order_id: UUID, round: int) -> UUID:
    """The id of the case that decides a submission round of an order."""
    return beside(order_id, uuid5(NAMESPACE_URL, f"salestream:approval:{order_id}:{round}"))


@command("POST /approvals/{case_id}/approve", permission="orders.approve")
class Approve:
    """Approve the node that is due (APR-02, APR-08, APR-12).  `node`: refuse unless that node is the one due."""

    case_id: UUID
    node: ApprovalNode | None = None
    comment: Note = ""


@command("POST /approvals/{case_id}/reject", permission="orders.approve")
class Reject:
    """Turn the order down; the remaining nodes are closed (APR-09)."""

    case_id: UUID
    reason: Reason
    node: ApprovalNode | None = None


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


@command(None, permission="system", key="case_id")
class CloseCase:
    """The order was cancelled or withdrawn: no more decisions (APR-11).

    `undecided`: the order still waited then, so whatever was decided meanwhile came too late.
    """

    case_id: UUID
    order_id: UUID
    reason: Literal["CANCELLED", "WITHDRAWN"]
    undecided: Flag = False


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


@event("salestream.approvals.node-approved.v1", key="case_id")
class NodeApproved:
    """One node approved; `next` is due now, None after the last."""

    case_id: UUID
    order_id: UUID
    node: ApprovalNode
    by: Person
    next: ApprovalNode | None = None
    comment: Note = ""


@event("salestream.approvals.case-approved.v1", key="case_id")
class CaseApproved:
    """Every node has approved; `by` gave the last approval."""

    case_id: UUID
    order_id: UUID
    round: Quantity
    by: Person = SALESTREAM


@event("salestream.approvals.case-rejected.v1", key="case_id")
class CaseRejected:
    """A node turned the order down."""

    case_id: UUID
    order_id: UUID
    round: Quantity
    node: ApprovalNode
    reason: Note
    by: Person


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
