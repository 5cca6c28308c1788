"""The rules of approval cases: node after node, each decided once, by who it names and by different persons.

A decision is checked in this order: may the caller decide any node of this case (FORBIDDEN), does the case still take
decisions (INVALID_STATE), is the node meant the one that is due (ALREADY_DECIDED or INVALID_STATE), may this person
decide it (FORBIDDEN).

Whose turn it is follows from the submitter and the nodes at the moment of the decision: who is above, who has taken
over from whom, and who has which role, is asked of the organisation and never kept (`chassis.model.deciding`).

What a case is about means nothing here.  Cases that `OpenCase` asked for are told in the words of orders (ADR 0044).
"""

from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from chassis.model.aggregates import Aggregate, applies, internal_event
from chassis.model.context import Context
from chassis.model.deciding import Caller, Matter, has_decided
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
from contracts.deciders import Node
from contracts.errors import Refused, lacks_right
from contracts.people import SALESTREAM, Person
from contracts.permissions import RIGHTS
from contracts.reasons import Some, Why
from contracts.types import Text

CaseStatus = Literal["NEW", "OPEN", "APPROVED", "REJECTED", "CLOSED", "VOID"]

NOTHING = UUID(int=0)
NAMES_TOLD = 5
"""So many of those whose turn it is a refusal names at most."""


@dataclass(frozen=True)
class OrderSeen:
    """What approvals know of an order: its newest submission round, and how that was called off ("": it was not)."""

    round: int
    called_off: str = ""


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
    nodes: tuple[Node, ...] = ()
    submitter: Person = SALESTREAM
    superior_id: UUID | None = None
    right: str = ""
    decided_by: tuple[Person, ...] = ()  # one for each decided node, in their order
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
        position = len(self.decided_by) + 1
        following = self.nodes[position] if position < len(self.nodes) else None
        about: dict[str, Any] = {
            "case_id": self.id,
            "kind": self.kind,
            "subject_id": self.subject_id,
            "by": context.user,
        }
        self._tell(NodeApprovedV2(**about, node=node.key, next=following, comment=command.comment))
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
            )
        )

    # -- what the rules share

    @property
    def is_of_order(self) -> bool:
        """Whether it waits for an order, of which this service knows when it is called off."""
        return self.kind == ORDER

    @property
    def due(self) -> Node | None:
        """The node that is to be decided now."""
        return self.nodes[len(self.decided_by)] if self.status == "OPEN" else None

    @property
    def matter(self) -> Matter:
        return Matter(self.submitter.user_id, self.right, self.superior_id)

    def reply(self) -> dict[str, Any]:
        return {"status": self.status, "due": self.due.key if self.due else None}

    def _tell(self, fact: Any) -> None:
        self.record(of_order(fact) if self.told_as_order else fact)

    def _node_to_decide(self, named: str | None, order: OrderSeen | None, context: Context) -> Node:
        """The due node, if the caller means it and may decide it.  Raises Refused."""
        caller = Caller.of(context)
        self._require_reached(caller)
        own = [node for node in self.nodes if self.matter.is_for(node.deciders, caller)]
        if self.nodes and not own:
            raise Refused("approvals.not_yours", field="case_id")
        if named is not None and self.nodes and named not in [node.key for node in self.nodes]:
            raise Refused("approvals.no_such_node", node=named, field="node")
        due = self._require_due([node for node in self.nodes if node.key == named] if named else own, named, caller)
        self._require_waiting(order)
        if due not in own:
            raise Refused("approvals.node_not_yours", node=called(due), field="node")
        self._require_right_person(caller)
        return due

    def _require_reached(self, caller: Caller) -> None:
        """How far the right to decide reaches says whose cases are the caller's (SEC-18).  Raises Refused FORBIDDEN."""
        if self.right and not self.matter.is_reached(caller):
            if not (reach := caller.reach(self.right)).everybody and not reach.people:
                raise lacks_right(self.right, caller.organisation.roles_with(self.right))
            raise Refused("records.out_of_reach", field="case_id")
        if not self.nodes and not caller.leads_everybody:
            raise Refused("records.out_of_reach", field="case_id")

    def _require_due(self, meant: list[Node], named: str | None, caller: Caller) -> Node:
        """The due node if it is among those meant.  Raises Refused (APR-02, APR-10, APR-11)."""
        decided, due = self.nodes[: len(self.decided_by)], self.due
        if self.status not in ("NEW", "CLOSED") and all(node in decided for node in meant):
            if named is None and due is not None:
                raise Refused(
                    "approvals.turn_of_others", node=called(due), who=self._whose_turn(due, caller), state=due.key
                )
            key = meant[-1].key
            raise Refused("approvals.decided", node=called(meant[-1]), field="node", state=key)
        if due is None:
            raise Refused("approvals.closed", state=self.status)
        if due not in meant:
            raise Refused("approvals.too_early", node=called(due), who=self._whose_turn(due, caller), state=due.key)
        return due

    def _whose_turn(self, node: Node, caller: Caller) -> Why:
        """Who decides a node now, as a refusal names them."""
        told = [self.matter.told(decider, caller.organisation) for decider in node.deciders]
        names = [name for one in told if not one["vacant"] for name in one["names"]]
        return Why("approvals.whose", names=Some(names, NAMES_TOLD)) if names else Why("approvals.of_nobody")

    def _require_waiting(self, order: OrderSeen | None) -> None:
        """The order may have been called off, and the case not yet have heard of it (APR-11).  Raises Refused."""
        if order is None or order.round < self.round or (order.round == self.round and not order.called_off):
            return
        how = order.called_off if order.round == self.round else "WITHDRAWN"
        raise Refused("approvals.order_cancelled" if how == "CANCELLED" else "approvals.order_withdrawn", state=how)

    def _require_right_person(self, caller: Caller) -> None:
        """Not the submitter nor who has taken over, and another person at each node (APR-12).

        A program counts as the person who answers for it.  Raises Refused FORBIDDEN.
        """
        if self.matter.is_own(caller):
            raise Refused("approvals.own_order" if self.is_of_order else "approvals.own", field="case_id")
        if has_decided([one.user_id for one in self.decided_by if one.user_id is not None], caller):
            raise Refused("approvals.decided_by_you", field="case_id")

    # -- memory

    @applies(CaseOpened)
    def _opened_for_order(self, fact: CaseOpened) -> None:
        self._opened(of_any_subject(fact))
        self.told_as_order = True

    @applies(CaseOpenedV2)
    def _opened(self, fact: CaseOpenedV2) -> None:
        self.status, self.nodes, self.right = "OPEN", fact.nodes, fact.right or ""
        self.kind, self.subject_id, self.round = fact.subject.kind, fact.subject.id, fact.subject.round
        self.submitter, self.superior_id = fact.submitter, fact.superior_id

    @applies(NodeApproved, NodeApprovedV2)
    def _node_approved(self, fact: NodeApproved | NodeApprovedV2) -> None:
        self.decided_by = (*self.decided_by, fact.by)

    @applies(CaseApproved, CaseApprovedV2)
    def _approved(self, _: CaseApproved | CaseApprovedV2) -> None:
        self.status = "APPROVED"

    @applies(CaseRejected, CaseRejectedV2)
    def _rejected(self, fact: CaseRejected | CaseRejectedV2) -> None:
        self.status, self.decided_by = "REJECTED", (*self.decided_by, fact.by)

    @applies(DecisionVoided, DecisionVoidedV2)
    def _voided(self, _: DecisionVoided | DecisionVoidedV2) -> None:
        self.status = "VOID"

    @applies(CaseClosed, CaseClosedV2, CaseBarred)
    def _closed(self, _: CaseClosed | CaseClosedV2 | CaseBarred) -> None:
        self.status = "CLOSED"


def called(node: Node) -> str:
    """What people call a node."""
    return node.title or node.key


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
            raise Refused("approvals.no_decider", node=called(node), field=f"nodes.{index}.deciders")
        if unknown := [one.right for one in node.deciders if one.right and one.right not in RIGHTS]:
            raise Refused("approvals.no_such_right", name=unknown[0], field=f"nodes.{index}.deciders")
