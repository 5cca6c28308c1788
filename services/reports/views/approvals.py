"""What waits for my approval, and how was it decided?  (APR-07, APR-13)"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from chassis.model.changes import Append, Change, EventInfo, Set
from chassis.model.row_fields import Code
from chassis.model.views import Exact, Range, Scope, View, Words
from contracts.approvals import CaseApproved, CaseClosed, CaseOpened, CaseRejected, DecisionVoided, NodeApproved
from contracts.permissions import LEADS
from contracts.sales import ApprovalNode
from contracts.types import Currency


@dataclass
class CaseRow:
    """One approval case.  `due` is the node that decides next; `decisions`: node, person, decision, comment, time.

    VOID: it was decided when its order had been called off already (`closed_because`), so the decision has no effect.
    """

    id: UUID
    order_id: UUID
    number: Code
    customer_name: str
    amount: Decimal
    currency: Currency
    status: Literal["OPEN", "APPROVED", "REJECTED", "CLOSED", "VOID"]
    due: ApprovalNode | None
    route: list[str]
    submitter: str
    submitter_id: UUID
    opened_at: datetime
    decisions: list[dict[str, Any]]
    closed_because: str | None
    version: int


def opened(fact: CaseOpened, event: EventInfo) -> Iterable[Change]:
    yield Set(
        fact.case_id,
        order_id=fact.order_id,
        number=fact.number,
        customer_name=fact.customer_name,
        amount=fact.total.amount,
        currency=fact.total.currency,
        status="OPEN",
        due=fact.route[0],
        route=fact.route,
        submitter=fact.submitter.name,
        submitter_id=fact.submitter.user_id,
        opened_at=event.at,
        version=event.version,
    )


def node_approved(fact: NodeApproved, event: EventInfo) -> Iterable[Change]:
    yield Set(fact.case_id, due=fact.next, version=event.version)
    yield Append(
        fact.case_id,
        "decisions",
        node=fact.node,
        decision="APPROVED",
        by=fact.by.name,
        comment=fact.comment,
        at=event.at,
    )


def approved(fact: CaseApproved, event: EventInfo) -> Iterable[Change]:
    yield Set(fact.case_id, status="APPROVED", due=None, version=event.version)


def rejected(fact: CaseRejected, event: EventInfo) -> Iterable[Change]:
    yield Set(fact.case_id, status="REJECTED", due=None, version=event.version)
    yield Append(
        fact.case_id,
        "decisions",
        node=fact.node,
        decision="REJECTED",
        by=fact.by.name,
        comment=fact.reason,
        at=event.at,
    )


def closed(fact: CaseClosed, event: EventInfo) -> Iterable[Change]:
    yield Set(fact.case_id, status="CLOSED", due=None, closed_because=fact.reason, version=event.version)


def voided(fact: DecisionVoided, event: EventInfo) -> Iterable[Change]:
    yield Set(fact.case_id, status="VOID", due=None, closed_because=fact.reason, version=event.version)


VIEW = View(
    name="approval_inbox",
    edition=3,
    route="GET /approvals",
    detail="case_id",
    row=CaseRow,
    permission="orders.approve",
    what="approval case",
    where={"number": {"$exists": True}},
    handlers={
        CaseOpened: opened,
        NodeApproved: node_approved,
        CaseApproved: approved,
        CaseRejected: rejected,
        CaseClosed: closed,
        DecisionVoided: voided,
    },
    filters={
        "status": Exact(),
        "due": Exact(),
        "order_id": Exact(),
        "q": Words("number", "customer_name", "submitter"),
        "amount": Range(Decimal),
    },
    sorts=("opened_at", "amount", "number"),
    default_sort="opened_at",
    indexes=(("status", "due", "opened_at"), ("submitter_id", "status")),
    scope=Scope("submitter_id", led_with=LEADS),
)
