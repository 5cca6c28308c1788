"""The approvals service: what it does on each command, and what it knows of orders."""

from chassis.model.service import Replica, Service, Work, upsert
from contracts.approvals import (
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
    OpenCase,
    Reject,
    RemindDeciders,
    RequestApproval,
)
from contracts.orders import OrderCancelled, OrderSubmitted, OrderWithdrawn
from contracts.schedules import AsOf, Done
from services.approvals.domain import Case, OrderSeen, Reminder, WaitingCase, reminder_id

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


# -- which of its own cases wait: a service can't ask its store for records in a state


def case_opened(_: WaitingCase | None, fact: CaseOpened | CaseOpenedV2) -> WaitingCase:
    return WaitingCase(fact.case_id)


def case_ended(_row: WaitingCase | None, _fact: object) -> None:
    """It waits no longer."""


ENDINGS = (CaseApproved, CaseApprovedV2, CaseRejected, CaseRejectedV2, CaseClosed, CaseClosedV2)

WAITING = Replica(
    "waiting-cases",
    WaitingCase,
    feeds={CaseOpened: case_opened, CaseOpenedV2: case_opened, **dict.fromkeys(ENDINGS, case_ended)},
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


REMINDED_AT_ONCE = 500
"""So many cases in one transaction."""


def remind(as_of: AsOf, work: Work) -> Done:
    """Remind of every case that waits, and was not reminded of for this day."""
    number, rows = 0, work.rows_after(WAITING, as_of.after, REMINDED_AT_ONCE)
    for _, row in rows:
        if case := work.find(Case, row.case_id):
            number += work.find_or_new(Reminder, reminder_id(case.id)).remind(case, as_of.day)
    is_more = len(rows) == REMINDED_AT_ONCE
    return Done(number, goes_on=is_more, reached=rows[-1][0] if is_more else "")


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
    replicas=[ORDERS, WAITING],
    schedules={RemindDeciders: remind},
)
