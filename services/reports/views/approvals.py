"""What waits for my approval, and how was it decided?  (APR-07, APR-13)"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from chassis.model.changes import Append, Change, EventMetadata, Set
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
    route: list[ApprovalNode]
    submitter: str
    submitter_id: UUID | None
    opened_at: datetime
    decisions: list[dict[str, Any]]
    closed_because: str | None
    version: int


def opened(event: CaseOpened, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(
        event.case_id,
        order_id=event.order_id,
        number=event.number,
        customer_name=event.customer_name,
        amount=event.total.amount,
        currency=event.total.currency,
        status="OPEN",
        due=event.route[0],
        route=event.route,
        submitter=event.submitter.name,
        submitter_id=event.submitter.user_id,
        opened_at=metadata.at,
        version=metadata.version,
    )


def node_approved(event: NodeApproved, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.case_id, due=event.next, version=metadata.version)
    yield Append(
        event.case_id,
        "decisions",
        node=event.node,
        decision="APPROVED",
        by=event.by.name,
        comment=event.comment,
        at=metadata.at,
    )


def approved(event: CaseApproved, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.case_id, status="APPROVED", due=None, version=metadata.version)


def rejected(event: CaseRejected, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.case_id, status="REJECTED", due=None, version=metadata.version)
    yield Append(
        event.case_id,
        "decisions",
        node=event.node,
        decision="REJECTED",
        by=event.by.name,
        comment=event.reason,
        at=metadata.at,
    )


def closed(event: CaseClosed, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.case_id, status="CLOSED", due=None, closed_because=event.reason, version=metadata.version)


def voided(event: DecisionVoided, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.case_id, status="VOID", due=None, closed_because=event.reason, version=metadata.version)


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
