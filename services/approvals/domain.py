"""The rules of approval cases: node after node, each decided once, by the right and by different persons.

A decision is checked in this order: may the caller decide any node of this case (FORBIDDEN), does the case still take
decisions (INVALID_STATE), is the node meant the one that is due (ALREADY_DECIDED or INVALID_STATE), may this person
decide it (FORBIDDEN).

Whose turn it is follows from the submitter at the moment of the decision: who is above, and who has taken over from
whom, is asked of the organisation and never kept.
"""

from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from chassis.model.aggregates import Aggregate, applies, internal_event
from chassis.model.context import NOBODYS, Context
from contracts.approvals import (
    Approve,
    CaseApproved,
    CaseClosed,
    CaseOpened,
    CaseRejected,
    CloseCase,
    DecisionVoided,
    NodeApproved,
    OpenCase,
    Reject,
)
from contracts.errors import Refused
from contracts.people import SALESTREAM, Person
from contracts.permissions import LEADS
from contracts.sales import ApprovalNode
from contracts.types import Text

CaseStatus = Literal["NEW", "OPEN", "APPROVED", "REJECTED", "CLOSED", "VOID"]

RIGHT_OF: dict[ApprovalNode, str] = {"SUPERVISOR": "subordinates", "FINANCE": "payments"}
"""What one must hold, besides `orders.approve`, to decide a node: whose work it is (APR-12)."""

NO_ORDER = UUID(int=0)


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
    """The approvals of one submission round of an order."""

    status: CaseStatus = "NEW"
    order_id: UUID = NO_ORDER
    round: int = 0
    route: tuple[ApprovalNode, ...] = ()
    submitter: Person = SALESTREAM
    superior_id: UUID | None = None
    decided_by: tuple[Person, ...] = ()  # one for each decided node, in the order of the route

    def open(self, command: OpenCase, _: Context) -> None:
        """Ask for the approvals (APR-01).  A case opens once, and not after it was closed."""
        if not command.route:
            raise Refused("approvals.no_node", field="route")
        if self.status == "NEW":
            self.record(
                CaseOpened(
                    case_id=self.id,
                    order_id=command.order_id,
                    round=command.round,
                    number=command.number,
                    customer_id=command.customer_id,
                    customer_name=command.customer_name,
                    total=command.total,
                    route=command.route,
                    submitter=command.submitter,
                    superior_id=command.superior_id,
                )
            )

    def close(self, command: CloseCase, _: Context) -> None:
        """The order was cancelled or withdrawn (APR-11).  A decision that came too late for it is void."""
        if self.status == "OPEN":
            self.record(CaseClosed(case_id=self.id, order_id=command.order_id, reason=command.reason))
        elif self.status in ("APPROVED", "REJECTED") and command.undecided:
            self.record(
                DecisionVoided(case_id=self.id, order_id=self.order_id, round=self.round, reason=command.reason)
            )
        elif self.status == "NEW":
            self.record(CaseBarred(reason=command.reason))

    def approve(self, command: Approve, order: OrderSeen | None, context: Context) -> None:
        """Approve the node that is due; after the last one the case is approved (APR-02, APR-08)."""
        node = self._node_to_decide(command.node, order, context)
        position = len(self.decided_by) + 1
        following = self.route[position] if position < len(self.route) else None
        self.record(
            NodeApproved(
                case_id=self.id,
                order_id=self.order_id,
                node=node,
                by=context.user,
                next=following,
                comment=command.comment,
            )
        )
        if following is None:
            self.record(CaseApproved(case_id=self.id, order_id=self.order_id, round=self.round, by=context.user))

    def reject(self, command: Reject, order: OrderSeen | None, context: Context) -> None:
        """Turn the order down; the remaining nodes are closed (APR-09)."""
        node = self._node_to_decide(command.node, order, context)
        self.record(
            CaseRejected(
                case_id=self.id,
                order_id=self.order_id,
                round=self.round,
                node=node,
                reason=command.reason,
                by=context.user,
            )
        )

    # -- what the rules share

    @property
    def due(self) -> ApprovalNode | None:
        """The node that is to be decided now."""
        return self.route[len(self.decided_by)] if self.status == "OPEN" else None

    def leader(self, context: Context) -> UUID | None:
        """Who decides the node SUPERVISOR now; None: whoever leads everybody."""
        if self.submitter.user_id is None:
            return self.superior_id
        return context.organisation.leader_of(self.submitter.user_id, *LEADS, otherwise=self.superior_id)

    def is_reached(self, context: Context) -> bool:
        """A case belongs to whose work it is to decide; the inbox shows the same."""
        return context.reach.covers(self.leader(context))

    def reply(self) -> dict[str, Any]:
        return {"status": self.status, "due": self.due}

    def _node_to_decide(self, named: ApprovalNode | None, order: OrderSeen | None, context: Context) -> ApprovalNode:
        """The due node, if the caller means it and may decide it.  Raises Refused."""
        own = [node for node in self.route if self._may_decide(node, context)]
        if self.route and not own:
            raise Refused("approvals.not_yours", field="case_id")
        if named is not None and self.route and named not in self.route:
            raise Refused("approvals.no_such_node", node=named, field="node")
        due = self._require_due([named] if named else own)
        self._require_waiting(order)
        if due not in own:
            raise Refused("approvals.node_not_yours", node=due, field="node")
        self._require_right_person(context)
        return due

    def _require_due(self, meant: list[ApprovalNode]) -> ApprovalNode:
        """The due node if it is among those meant.  Raises Refused (APR-02, APR-10, APR-11)."""
        decided = self.route[: len(self.decided_by)]
        if self.status not in ("NEW", "CLOSED") and all(node in decided for node in meant):
            raise Refused("approvals.decided", node=meant[-1], field="node", state=meant[-1])
        due = self.due
        if due is None:
            raise Refused("approvals.closed", state=self.status)
        if due not in meant:
            raise Refused("approvals.too_early", node=due, state=due)
        return due

    def _require_waiting(self, order: OrderSeen | None) -> None:
        """The order may have been called off, and the case not yet have heard of it (APR-11).  Raises Refused."""
        if order is None or order.round < self.round or (order.round == self.round and not order.called_off):
            return
        how = order.called_off if order.round == self.round else "WITHDRAWN"
        raise Refused("approvals.order_cancelled" if how == "CANCELLED" else "approvals.order_withdrawn", state=how)

    def _may_decide(self, node: ApprovalNode, context: Context) -> bool:
        """Whether a node is the caller's: who leads the submitter now, or leads everybody; finance (APR-12)."""
        reach = context.reach_of(RIGHT_OF[node])
        if node == "SUPERVISOR":
            return reach.everybody or (reach != NOBODYS and self.leader(context) == context.user.user_id is not None)
        return reach.covers(self.submitter.user_id)

    def _require_right_person(self, context: Context) -> None:
        """Not the submitter nor who has taken over, and another person at each node (APR-12).

        A program counts as the person who answers for it.  Raises Refused FORBIDDEN.
        """
        caller, submitter = context.user.user_id, self.submitter.user_id
        if caller is None:
            return
        organisation = context.organisation
        callers = {caller, organisation.person_behind(caller)}
        if submitter is not None and not callers.isdisjoint({submitter, organisation.standing_in(submitter)}):
            raise Refused("approvals.own_order", field="case_id")
        decided = {person.user_id for person in self.decided_by if person.user_id is not None}
        if not callers.isdisjoint(decided | {organisation.person_behind(id) for id in decided}):
            raise Refused("approvals.decided_by_you", field="case_id")

    # -- memory

    @applies(CaseOpened)
    def _opened(self, fact: CaseOpened) -> None:
        self.status, self.order_id, self.round, self.route = "OPEN", fact.order_id, fact.round, fact.route
        self.submitter, self.superior_id = fact.submitter, fact.superior_id

    @applies(NodeApproved)
    def _node_approved(self, fact: NodeApproved) -> None:
        self.decided_by = (*self.decided_by, fact.by)

    @applies(CaseApproved)
    def _approved(self, _: CaseApproved) -> None:
        self.status = "APPROVED"

    @applies(CaseRejected)
    def _rejected(self, fact: CaseRejected) -> None:
        self.status, self.decided_by = "REJECTED", (*self.decided_by, fact.by)

    @applies(DecisionVoided)
    def _voided(self, _: DecisionVoided) -> None:
        self.status = "VOID"

    @applies(CaseClosed, CaseBarred)
    def _closed(self, _: CaseClosed | CaseBarred) -> None:
        self.status = "CLOSED"
