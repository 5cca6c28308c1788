"""The rules of approval cases: node after node, each decided once, by who it names and by different persons.

A decision is checked in this order: may the caller decide any node of this case (FORBIDDEN), does the case still take
decisions (INVALID_STATE), is the node meant the one that is due (ALREADY_DECIDED or INVALID_STATE), may this person
decide it (FORBIDDEN).

Whose turn it is follows from the submitter and the nodes at the moment of the decision: who is above, who has taken
over from whom, and who has which role, is asked of the organisation and never kept (`chassis.model.deciding`).

What a case is about means nothing here.  Cases that `OpenCase` asked for are told in the words of orders (ADR 0044).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal
from uuid import NAMESPACE_URL, UUID, uuid5

from chassis.model.aggregates import Aggregate, applies, internal_event
from chassis.model.context import Context
from chassis.model.deciding import Caller, Course, Matter, Word
from contracts.approvals import (
    ORDER,
    Approve,
    CallOffApproval,
    CaseApproved,
    CaseApprovedV2,
    CaseClosed,
    CaseClosedV2,
    CaseOpened,
    CaseOpenedV2,
    CaseRejected,
    CaseRejectedV2,
    CaseReminded,
    CloseCase,
    DecisionVoided,
    DecisionVoidedV2,
    NodeApproved,
    NodeApprovedV2,
    OpenCase,
    Reject,
    RequestApproval,
    of_any_subject,
    of_order,
)
from contracts.deciders import Decider, Node
from contracts.errors import Refused
from contracts.people import SALESTREAM, Person
from contracts.permissions import RIGHTS
from contracts.types import Text

CaseStatus = Literal["NEW", "OPEN", "APPROVED", "REJECTED", "CLOSED", "VOID"]

NOTHING = UUID(int=0)


@dataclass(frozen=True)
class OrderSeen:
    """What approvals know of an order: its newest submission round, and how that was called off ("": it was not)."""

    round: int
    called_off: str = ""


@dataclass(frozen=True)
class WaitingCase:
    """A case that has been opened and has not ended, for who goes through all of them."""

    case_id: UUID


@internal_event("approvals.case-barred")
class CaseBarred:
    """The case was closed before it was opened: it will never open.  Nobody outside has heard of it."""

    reason: Text


@dataclass
class Case(Aggregate):
    """The approvals of one round of a subject."""

    status: CaseStatus = "NEW"
    kind: str = ""
    subject_id: UUID = NOTHING
    round: int = 0
    title: str = ""
    nodes: tuple[Node, ...] = ()
    submitter: Person = SALESTREAM
    superior_id: UUID | None = None
    right: str = ""
    words: tuple[Word, ...] = ()  # what was said of its nodes so far
    told_as_order: bool = False  # in the words of orders: `OpenCase` asked for it

    def open_for_order(self, command: OpenCase, context: Context) -> None:
        """Ask for the approvals of an order (APR-01)."""
        if not command.route:
            raise Refused("approvals.no_node", field="route")
        if self.status == "NEW":
            self.told_as_order = True
            self.open(of_any_subject(command), context)

    def open(self, command: RequestApproval, _: Context) -> None:
        """Ask for the approvals (APR-01, APR-04).  A case opens once, and not after it was closed."""
        require_decidable(command.nodes)
        if self.status == "NEW":
            self._tell(
                CaseOpenedV2(
                    case_id=self.id,
                    subject=command.subject,
                    nodes=command.nodes,
                    submitter=command.submitter,
                    superior_id=command.superior_id,
                    right=command.right,
                )
            )

    def close_for_order(self, command: CloseCase, context: Context) -> None:
        """The order was cancelled or withdrawn (APR-11)."""
        self.close(of_any_subject(command), context)

    def close(self, command: CallOffApproval, _: Context) -> None:
        """The subject was cancelled or withdrawn (APR-11).  A decision that came too late for it is void."""
        about: dict[str, Any] = {"case_id": self.id, "kind": self.kind, "subject_id": self.subject_id}
        if self.status == "OPEN":
            self._tell(CaseClosedV2(**about, reason=command.reason))
        elif self.status in ("APPROVED", "REJECTED") and command.undecided:
            self._tell(DecisionVoidedV2(**about, round=self.round, reason=command.reason))
        elif self.status == "NEW":
            self.record(CaseBarred(reason=command.reason))

    def approve(self, command: Approve, order: OrderSeen | None, context: Context) -> None:
        """Approve the node that is due; after the last one the case is approved (APR-02, APR-08)."""
        node = self._node_to_decide(command.node, order, context)
        awaited = tuple(self.course.left_by(node, Caller.of(context)))
        course = self._with(Word(node.key, context.user.user_id, awaited))
        following = course.due
        about: dict[str, Any] = {
            "case_id": self.id,
            "kind": self.kind,
            "subject_id": self.subject_id,
            "by": context.user,
        }
        self._tell(
            NodeApprovedV2(
                **about,
                node=node.key,
                next=following,
                comment=command.comment,
                awaited=awaited,
                title=self.title,
                submitter=self.submitter,
                decided=tuple(course.decided_by),
                right=self.right,
            )
        )
        if following is None:
            self._tell(CaseApprovedV2(**about, round=self.round))

    def reject(self, command: Reject, order: OrderSeen | None, context: Context) -> None:
        """Turn the subject down; the remaining nodes are closed (APR-09)."""
        node = self._node_to_decide(command.node, order, context)
        self._tell(
            CaseRejectedV2(
                case_id=self.id,
                kind=self.kind,
                subject_id=self.subject_id,
                round=self.round,
                node=node.key,
                reason=command.reason,
                by=context.user,
                title=self.title,
                submitter=self.submitter,
            )
        )

    # -- what the rules share

    @property
    def is_of_order(self) -> bool:
        """Whether it waits for an order, of which this service knows when it is called off."""
        return self.kind == ORDER

    @property
    def course(self) -> Course:
        """How far it has come, as the rules of deciding know it."""
        return self._with()

    def _with(self, *more: Word) -> Course:
        """How far it has come once this is said too."""
        matter = Matter(self.submitter.user_id, self.right, self.superior_id)
        return Course(self.status, self.nodes, (*self.words, *more), matter)

    @property
    def due(self) -> Node | None:
        """The node that is to be decided now."""
        return self.course.due

    def reply(self) -> dict[str, Any]:
        due = self.due
        return {"status": self.status, "due": due.key if due else None}

    def _tell(self, fact: Any) -> None:
        self.record(of_order(fact) if self.told_as_order else fact)

    def _node_to_decide(self, named: str | None, order: OrderSeen | None, context: Context) -> Node:
        """The due node, if the caller means it and may decide it.  Raises Refused."""
        caller, course = Caller.of(context), self.course
        due = course.meant(caller, named)
        self._require_waiting(order)
        course.require_decider(due, caller)
        return due

    def _require_waiting(self, order: OrderSeen | None) -> None:
        """The order may have been called off, and the case not yet have heard of it (APR-11).  Raises Refused."""
        if order is None or order.round < self.round or (order.round == self.round and not order.called_off):
            return
        how = order.called_off if order.round == self.round else "WITHDRAWN"
        raise Refused("approvals.order_cancelled" if how == "CANCELLED" else "approvals.order_withdrawn", state=how)

    # -- memory

    @applies(CaseOpened)
    def _opened_for_order(self, fact: CaseOpened) -> None:
        self._opened(of_any_subject(fact))
        self.told_as_order = True

    @applies(CaseOpenedV2)
    def _opened(self, fact: CaseOpenedV2) -> None:
        self.status, self.nodes, self.right = "OPEN", fact.nodes, fact.right or ""
        self.kind, self.subject_id, self.round = fact.subject.kind, fact.subject.id, fact.subject.round
        self.title, self.submitter, self.superior_id = fact.subject.title, fact.submitter, fact.superior_id

    @applies(NodeApproved, NodeApprovedV2)
    def _node_approved(self, fact: NodeApproved | NodeApprovedV2) -> None:
        self._said(fact, fact.awaited if isinstance(fact, NodeApprovedV2) else ())

    @applies(CaseApproved, CaseApprovedV2)
    def _approved(self, _: CaseApproved | CaseApprovedV2) -> None:
        self.status = "APPROVED"

    @applies(CaseRejected, CaseRejectedV2)
    def _rejected(self, fact: CaseRejected | CaseRejectedV2) -> None:
        self.status = "REJECTED"
        self._said(fact)

    def _said(self, fact: Any, awaited: Sequence[Decider] = ()) -> None:
        self.words = (*self.words, Word(fact.node, fact.by.user_id, awaited))

    @applies(DecisionVoided, DecisionVoidedV2)
    def _voided(self, _: DecisionVoided | DecisionVoidedV2) -> None:
        self.status = "VOID"

    @applies(CaseClosed, CaseClosedV2, CaseBarred)
    def _closed(self, _: CaseClosed | CaseClosedV2 | CaseBarred) -> None:
        self.status = "CLOSED"


@dataclass
class Reminder(Aggregate):
    """What was reminded of a case.  Not a part of it: who decides what they have read is not too late by a reminder."""

    day: date | None = None

    def remind(self, case: Case, day: date) -> bool:
        """Have those reminded who may decide a case that waits, once for each day (NTF-04); whether it is done now."""
        due = case.due
        if due is None or (self.day is not None and day <= self.day):
            return False
        self.record(
            CaseReminded(
                case_id=case.id,
                kind=case.kind,
                subject_id=case.subject_id,
                day=day,
                title=case.title,
                submitter=case.submitter,
                awaited=tuple(case.course.awaited(due)),
                decided=tuple(case.course.decided_by),
                right=case.right,
            )
        )
        return True

    @applies(CaseReminded)
    def _reminded(self, fact: CaseReminded) -> None:
        self.day = fact.day


def reminder_id(case_id: UUID) -> UUID:
    """Under which what was reminded of a case stands."""
    return uuid5(NAMESPACE_URL, f"salestream:reminder:{case_id}")


def require_decidable(nodes: tuple[Node, ...]) -> None:
    """Each node has a name of its own, and somebody who decides it (APR-04).  Raises Refused VALIDATION."""
    if not nodes:
        raise Refused("approvals.no_node", field="nodes")
    seen: set[str] = set()
    for index, node in enumerate(nodes):
        if not node.key or node.key in seen:
            raise Refused("approvals.node_key", field=f"nodes.{index}.key")
        seen.add(node.key)
        if not node.deciders or not all(decider.is_complete for decider in node.deciders):
            raise Refused("approvals.no_decider", node=node.called, field=f"nodes.{index}.deciders")
        if unknown := [one.right for one in node.deciders if one.right and one.right not in RIGHTS]:
            raise Refused("approvals.no_such_right", name=unknown[0], field=f"nodes.{index}.deciders")
