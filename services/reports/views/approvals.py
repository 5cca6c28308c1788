"""What waits for my approval, and how was it decided?  (APR-07, APR-13)"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, TypedDict
from uuid import UUID

from chassis.model.actions import Action
from chassis.model.changes import Append, Change, EventMetadata, Set
from chassis.model.deciding import Caller, Course, Matter, Word, rows_seen, rows_to_decide
from chassis.model.row_fields import Code
from chassis.model.views import CALLER, Exact, OfCaller, Range, Scope, View, Words
from contracts.approvals import (
    NODES_OF_ORDERS,
    ORDER,
    Approve,
    AskedBecause,
    CaseApproved,
    CaseApprovedV2,
    CaseClosed,
    CaseClosedV2,
    CaseOpened,
    CaseOpenedV2,
    CaseRejected,
    CaseRejectedV2,
    CaseReminded,
    DecisionVoided,
    DecisionVoidedV2,
    NodeApproved,
    NodeApprovedV2,
    Reject,
    of_any_subject,
)
from contracts.deciders import Decider, DeciderKind, Node
from contracts.declare import REGISTRY
from contracts.permissions import STAFF
from contracts.records import KINDS
from contracts.types import Currency


class WaitsFor(TypedDict):
    """For whom a node waits: the person where it is one, and names, theirs or of roles.

    `vacant`: nobody is there now who may, so who leads everybody decides.
    """

    kind: DeciderKind
    names: list[str]
    user_id: UUID | None
    vacant: bool


NodeShown = TypedDict(
    "NodeShown",
    {
        "key": str,
        "title": str,
        "all_of": bool,
        "state": Literal["APPROVED", "REJECTED", "DUE", "WAITING", "CLOSED"],
        "by": str | None,
        "by_id": UUID | None,
        "at": datetime | None,
        "comment": str | None,
        "for": list[WaitsFor],
    },
)
"""A node of the case: its state, who decided it, when and with which comment, and for whom it waits."""


class Decision(TypedDict):
    """What somebody decided."""

    node: str
    decision: Literal["APPROVED", "REJECTED"]
    by: str
    by_id: UUID | None
    comment: str
    at: datetime


@dataclass
class CaseRow:
    """One approval case, of whatever subject: `kind` and `subject_id` say which, `link` where it is found.

    `because` tells why approval was asked for: rule, limit and value.  `due` is the node that decides next, since
    `due_since`, and `due_for` who that is now; `due_for_me`: the caller may decide it, and `actions` says of each
    command whether it is allowed, and the reason why not.  `nodes` has every node with its
    state, who decides or decided it, when and with which comment; `decisions` those that were made.  `reminded_on` is
    the day for which deciders were last reminded.  The title of a
    node is empty where it is called as the texts call its key.

    `order_id` and `number` are those of an order, null for other subjects.  VOID: it was decided when its subject had
    been called off already (`closed_because`), so the decision has no effect.
    """

    id: UUID
    kind: str
    subject_id: UUID
    link: str | None
    title: str
    round: int
    order_id: UUID | None
    number: Code | None
    customer_name: str
    amount: Decimal | None
    currency: Currency | None
    because: list[AskedBecause]
    status: Literal["OPEN", "APPROVED", "REJECTED", "CLOSED", "VOID"]
    due: str | None
    due_title: str | None
    due_since: datetime | None
    due_for: list[WaitsFor]
    due_for_me: bool
    actions: list[Action]
    route: list[str]
    nodes: list[NodeShown]
    submitter: str
    submitter_id: UUID | None
    opened_at: datetime
    reminded_on: date | None
    decisions: list[Decision]
    closed_because: str | None
    version: int


# -- what is written


def opened(event: CaseOpenedV2, metadata: EventMetadata) -> Iterable[Change]:
    subject, is_order = event.subject, event.subject.kind == ORDER
    yield Set(
        event.case_id,
        kind=subject.kind,
        subject_id=subject.id,
        title=subject.title,
        round=subject.round,
        order_id=subject.id if is_order else None,
        number=subject.title if is_order else None,
        customer_name=subject.customer_name,
        amount=subject.amount.amount if subject.amount else None,
        currency=subject.amount.currency if subject.amount else None,
        because=subject.because,
        status="OPEN",
        **_due(event.nodes[0], metadata),
        right=event.right or "",
        route=[node.key for node in event.nodes],
        nodes=[_stored(node) for node in event.nodes],
        deciders=_marks(*event.nodes),
        superior_id=event.superior_id,
        submitter=event.submitter.name,
        submitter_id=event.submitter.user_id,
        opened_at=metadata.at,
        version=metadata.version,
    )


def opened_for_order(event: CaseOpened, metadata: EventMetadata) -> Iterable[Change]:
    yield from opened(of_any_subject(event), metadata)


def _stored(node: Node) -> dict[str, Any]:
    return {"key": node.key, "title": node.title, "all_of": node.all_of, "deciders": _marks(node)}


def _due(node: Node | None, metadata: EventMetadata) -> dict[str, Any]:
    """What a row tells of the node that is due; nothing when none is."""
    if node is None:
        return {"due": None, "due_title": None, "due_since": None, "due_deciders": []}
    return {"due": node.key, "due_title": node.title, "due_since": metadata.at, "due_deciders": _marks(node)}


def _marks(*nodes: Node) -> list[str]:
    return list(dict.fromkeys(decider.mark for node in nodes for decider in node.deciders))


def node_approved(event: NodeApprovedV2, metadata: EventMetadata) -> Iterable[Change]:
    awaited = [decider.mark for decider in event.awaited]
    due = {"due_deciders": awaited} if awaited else _due(event.next, metadata)
    yield Set(event.case_id, **due, version=metadata.version)
    yield _decision(event, metadata, "APPROVED", event.comment, awaited)


def node_of_order_approved(event: NodeApproved, metadata: EventMetadata) -> Iterable[Change]:
    yield from node_approved(of_any_subject(event), metadata)


def _decision(event: Any, metadata: EventMetadata, decision: str, comment: str, awaited: Sequence[str] = ()) -> Change:
    return Append(
        event.case_id,
        "decisions",
        node=event.node,
        decision=decision,
        by=event.by.name,
        by_id=event.by.user_id,
        comment=comment,
        _awaited=[*awaited],
        at=metadata.at,
    )


def _ended(case_id: UUID, status: str, metadata: EventMetadata, **more: Any) -> Change:
    return Set(case_id, status=status, **_due(None, metadata), **more, version=metadata.version)


def approved(event: CaseApproved | CaseApprovedV2, metadata: EventMetadata) -> Iterable[Change]:
    yield _ended(event.case_id, "APPROVED", metadata)


def rejected(event: CaseRejected | CaseRejectedV2, metadata: EventMetadata) -> Iterable[Change]:
    yield _ended(event.case_id, "REJECTED", metadata)
    yield _decision(event, metadata, "REJECTED", event.reason)


def closed(event: CaseClosed | CaseClosedV2, metadata: EventMetadata) -> Iterable[Change]:
    yield _ended(event.case_id, "CLOSED", metadata, closed_because=event.reason)


def voided(event: DecisionVoided | DecisionVoidedV2, metadata: EventMetadata) -> Iterable[Change]:
    yield _ended(event.case_id, "VOID", metadata, closed_because=event.reason)


def reminded(event: CaseReminded, _: EventMetadata) -> Iterable[Change]:
    """Of another stream, so the version of the case is what it was."""
    yield Set(event.case_id, reminded_on=event.day)


# -- what is worked out when it is read


REGISTRY.load()  # so that every kind of record is known
PAGES = {ORDER: "/orders"} | {kind.code: kind.path for kind in KINDS.values()}
"""Where subjects of a kind are found."""


def link(row: Mapping[str, Any]) -> str | None:
    """Where the subject is found; None for a kind that has no page."""
    page = PAGES.get(row["kind"])
    return f"{page}/{row['subject_id']}" if page else None


def course(row: Mapping[str, Any]) -> Course:
    """How far a case has come, as the rules of deciding know it."""
    matter = Matter(_id(row["submitter_id"]), row["right"], _id(row["superior_id"]))
    words = [_word(one) for one in row.get("decisions") or ()]
    return Course(row["status"], [_node(node) for node in row["nodes"]], words, matter)


def _word(decision: Mapping[str, Any]) -> Word:
    return Word(decision["node"], _id(decision["by_id"]), tuple(map(Decider.marked, decision["_awaited"])))


def due_for(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Who decides the due node now."""
    case = course(row) if row.get("due") and row.get("nodes") else None
    return case.told(case.due, row[CALLER].organisation) if case and case.due else []


def due_for_me(row: Mapping[str, Any]) -> bool:
    """Whether the caller may decide the due node: what `rows_to_decide` asks of all rows."""
    return bool(row.get("due") and row.get("nodes")) and course(row).refusal(row[CALLER]) is None


def actions(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the caller may do now, and the reason why not, as the command would be refused."""
    why = course(row).refusal(row[CALLER]) if row.get("nodes") else None
    return [Action.of(command.__name__, why).told() for command in (Approve, Reject)]


def nodes(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every node: its state, who decides or decided it, when and with which comment (APR-13)."""
    decided = {one["node"]: one for one in row.get("decisions") or ()}
    return [_node_told(row, node, decided.get(node["key"])) for node in row["nodes"] or ()]


def _node_told(row: Mapping[str, Any], node: Mapping[str, Any], decision: Mapping[str, Any] | None) -> dict[str, Any]:
    waiting = "DUE" if node["key"] == row["due"] else "WAITING" if row["status"] == "OPEN" else "CLOSED"
    state = decision["decision"] if decision and waiting != "DUE" else waiting
    told = {name: decision[name] if decision else None for name in ("by", "by_id", "at", "comment")}
    waits = course(row).told(_node(node), row[CALLER].organisation) if state in ("DUE", "WAITING") else []
    about = {"key": node["key"], "title": node["title"], "all_of": node["all_of"]}
    return {**about, "state": state, **told, "for": waits}


def _node(stored: Mapping[str, Any]) -> Node:
    deciders = tuple(map(Decider.marked, stored["deciders"]))
    return Node(key=stored["key"], title=stored["title"], deciders=deciders, all_of=stored["all_of"])


def _id(text: str | None) -> UUID | None:
    return UUID(text) if text else None


def to_decide(caller: Caller) -> Mapping[str, Any]:
    """The condition of the rows that wait for somebody (APR-07)."""
    return {"$and": [{"status": "OPEN"}, rows_to_decide(caller, "decisions.by_id")]}


VIEW = View(
    name="approval_inbox",
    edition=5,
    route="GET /approvals",
    detail="case_id",
    row=CaseRow,
    permission=STAFF,
    what="approval case",
    where={"kind": {"$exists": True}},
    handlers={
        CaseOpened: opened_for_order,
        CaseOpenedV2: opened,
        NodeApproved: node_of_order_approved,
        NodeApprovedV2: node_approved,
        CaseApproved: approved,
        CaseApprovedV2: approved,
        CaseRejected: rejected,
        CaseRejectedV2: rejected,
        CaseClosed: closed,
        CaseClosedV2: closed,
        DecisionVoided: voided,
        DecisionVoidedV2: voided,
        CaseReminded: reminded,
    },
    filters={
        "status": Exact(),
        "due": Exact(),
        "due_for_me": OfCaller(to_decide),
        "kind": Exact(),
        "order_id": Exact(field="subject_id"),
        "subject_id": Exact(),
        "q": Words("title", "number", "customer_name", "submitter"),
        "amount": Range(Decimal),
    },
    sorts=("opened_at", "amount", "number"),
    default_sort="opened_at",
    indexes=(("submitter_id", "status"),),
    computed={"link": link, "due_for": due_for, "due_for_me": due_for_me, "actions": actions, "nodes": nodes},
    named={"kind": [*PAGES], "due": [*NODES_OF_ORDERS], "route": [*NODES_OF_ORDERS]},
    scope=Scope("submitter_id", seen=rows_seen),
)
