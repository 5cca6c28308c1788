"""The approvals service: what it does on each command, and what it knows of orders."""

from chassis.model.service import Replica, Service, Work, upsert
from contracts.approvals import Approve, CallOffApproval, CloseCase, OpenCase, Reject, RequestApproval
from contracts.orders import OrderCancelled, OrderSubmitted, OrderWithdrawn
from services.approvals.domain import Case, OrderSeen

# -- what it knows of orders: whether a round still waits, so that a decision sees what was answered before it


def order_submitted(row: OrderSeen | None, fact: OrderSubmitted) -> OrderSeen:
    return OrderSeen(round=fact.round)


def order_withdrawn(row: OrderSeen | None, fact: OrderWithdrawn) -> OrderSeen:
    return OrderSeen(round=fact.round, called_off="WITHDRAWN")


def order_cancelled(row: OrderSeen | None, fact: OrderCancelled) -> OrderSeen:
    return OrderSeen(round=fact.round, called_off="CANCELLED")


ORDERS = Replica(
    "orders",
    OrderSeen,
    feeds={OrderSubmitted: order_submitted, OrderWithdrawn: order_withdrawn, OrderCancelled: order_cancelled},
)


# -- commands


def _case(command: Approve | Reject, work: Work) -> tuple[Case, OrderSeen | None]:
    case = work.get(Case, command.case_id, what="case", field="case_id")
    return case, work.lookup(ORDERS, case.subject_id) if case.is_of_order else None


def approve(command: Approve, work: Work) -> Case:
    case, order = _case(command, work)
    case.approve(command, order, work.context)
    return case


def reject(command: Reject, work: Work) -> Case:
    case, order = _case(command, work)
    case.reject(command, order, work.context)
    return case


request_approval = upsert(Case, Case.open)
call_off_approval = upsert(Case, Case.close)
open_case = upsert(Case, Case.open_for_order)
close_case = upsert(Case, Case.close_for_order)


SERVICE = Service(
    "approvals",
    commands={
        Approve: approve,
        Reject: reject,
        RequestApproval: request_approval,
        CallOffApproval: call_off_approval,
        OpenCase: open_case,
        CloseCase: close_case,
    },
    replicas=[ORDERS],
)
