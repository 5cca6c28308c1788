"""Who are our customers?  (CUS-01, CUS-21)"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from chassis.model.changes import Change, EventMetadata, Set
from chassis.model.row_fields import Code
from chassis.model.views import Exact, Scope, View, Words
from contracts.customers import CustomerCreated, CustomerData, CustomerEdited, MembershipSet


@dataclass
class CustomerRow:
    """One customer."""

    id: UUID
    name: str
    mobile: Code
    industry: str
    company: str
    contact_person: str
    address: str
    region: str
    importance: str
    customer_type: str
    need: str
    category: str
    source: str
    tags: list[str]
    member: bool
    member_level: str
    points: int
    owner_id: UUID | None
    owner_name: str
    created_at: datetime
    version: int


def _data(data: CustomerData) -> dict[str, object]:
    return {name: getattr(data, name) for name in CustomerData.__dataclass_fields__}


def created(event: CustomerCreated, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(
        event.customer_id,
        **_data(event.data),
        member=False,
        member_level="",
        points=0,
        owner_id=event.owner.user_id,
        owner_name=event.owner.name,
        created_at=metadata.at,
        version=metadata.version,
    )


def edited(event: CustomerEdited, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.customer_id, **_data(event.data), version=metadata.version)


def membership(event: MembershipSet, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(
        event.customer_id,
        member=event.membership.member,
        member_level=event.membership.level,
        points=event.membership.points,
        version=metadata.version,
    )


VIEW = View(
    name="customers",
    personal=("name", "mobile", "contact_person", "address"),
    route="GET /customers",
    detail="customer_id",
    row=CustomerRow,
    permission="customers.view",
    what="customer",
    handlers={CustomerCreated: created, CustomerEdited: edited, MembershipSet: membership},
    filters={
        "name": Exact(),
        "mobile": Exact(),
        "industry": Exact(),
        "region": Exact(),
        "importance": Exact(),
        "customer_type": Exact(),
        "category": Exact(),
        "source": Exact(),
        "owner_id": Exact(),
        "q": Words("name", "mobile", "company"),
    },
    sorts=("created_at", "name", "company"),
    default_sort="-created_at",
    scope=Scope("owner_id"),
    history=(CustomerCreated, CustomerEdited, MembershipSet),
    edition=2,
)
