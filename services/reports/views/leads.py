"""Who may become a customer, and what became of all of them?  (LED-08, LED-11, LED-13, RPT-19)"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from chassis.model.changes import Change, EventMetadata, Set
from chassis.model.record_views import More, view_of
from chassis.model.row_fields import Picked
from chassis.model.views import LANGUAGE, Closed, Exact, Range, Scope, View, Words
from contracts.customers import CustomerData
from contracts.errors import Refused
from contracts.languages import LANGUAGES
from contracts.leads import LEAD_STATUSES, Lead, LeadConversionBegun, LeadConversionRefused, LeadConverted
from contracts.people import Person
from contracts.reasons import said_again
from contracts.records import kind_of
from contracts.statuses import STATUS

LEAD = kind_of(Lead)
LeadStatus: Any = LEAD_STATUSES.type


@dataclass
class ConversionColumns:
    """Whether a lead is being converted, or why that was refused the last time, and the customer that it is now."""

    conversion: Literal["RUNNING", "REFUSED"] | None
    conversion_refusal: str
    customer_id: UUID | None


def begun(_: LeadConversionBegun) -> Mapping[str, Any]:
    return {"conversion": "RUNNING", "refused_for": "", "refused_with": ""}


def refused(event: LeadConversionRefused) -> Mapping[str, Any]:
    return {"conversion": "REFUSED", "refused_for": event.refused_for, "refused_with": event.params}


def converted(event: LeadConverted) -> Mapping[str, Any]:
    return {"conversion": None, "customer_id": event.customer_id}


def refusal(document: Mapping[str, Any]) -> str:
    """Why the last conversion was refused, in the language of who reads it."""
    reason, params = document.get("refused_for"), document.get("refused_with")
    return said_again(reason, params, document.get(LANGUAGE, LANGUAGES[0])) if reason and params else ""


def became(document: Mapping[str, Any]) -> Refused:
    """Why the page of a lead that is a customer now is not shown (LED-11): it tells where to look."""
    return Refused("leads.became", customer_id=document["customer_id"], field=LEAD.key, state=document[STATUS])


LEADS = view_of(
    Lead,
    More(
        ConversionColumns,
        first={"conversion": None, "customer_id": None},
        told={LeadConversionBegun: begun, LeadConversionRefused: refused, LeadConverted: converted},
        computed={"conversion_refusal": refusal},
        parents={"customer_id": kind_of(CustomerData).what},
        personal=("conversion_refusal",),
        closed=Closed(STATUS, LEAD_STATUSES.becomes, became),
    ),
    edition=5,
)


# -- all leads, those that are customers now included (RPT-19)


@dataclass
class LeadReportRow:
    """One lead: where it came from, whose it is, how far it has come, and the customer that it became."""

    id: UUID
    name: str
    company: str
    source: Annotated[str, Picked("customer_sources")]
    industry: Annotated[str, Picked("industries")]
    owner_id: UUID | None
    owner_name: str
    status: LeadStatus
    status_since: datetime
    created_at: datetime
    converted_on: date | None
    converted_by: str
    customer_id: UUID | None
    deleted: bool


SHOWN = ("name", "company", "source", "industry")


def _shown(data: Lead) -> Mapping[str, Any]:
    return {name: getattr(data, name) for name in SHOWN}


def _owner(person: Person) -> Mapping[str, Any]:
    return {"owner_id": person.user_id, "owner_name": person.name}


def _status(status: str, metadata: EventMetadata) -> Mapping[str, Any]:
    return {"status": status, "status_since": metadata.at}


def lead_created(event: Any, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(
        event.lead_id,
        **_shown(event.data),
        **_owner(event.owner),
        **_status(event.status, metadata),
        created_at=metadata.at,
        converted_on=None,
        converted_by="",
        customer_id=None,
        deleted=False,
    )


def lead_edited(event: Any, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.lead_id, **_shown(event.data))


def lead_deleted(event: Any, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.lead_id, deleted=True)


def lead_restored(event: Any, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.lead_id, deleted=False)


def lead_assigned(event: Any, metadata: EventMetadata) -> Iterable[Change]:
    """Between the pool and somebody its status follows; from one to another it stays."""
    follows = (event.owner.user_id is None) != (event.before.user_id is None)
    yield Set(event.lead_id, **_owner(event.owner), **(_status(event.status, metadata) if follows else {}))


def lead_status_set(event: Any, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.lead_id, **_status(event.status, metadata))


def lead_converted(event: LeadConverted, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.lead_id, converted_on=metadata.day, converted_by=event.by.name, customer_id=event.customer_id)


LEAD_REPORT = View(
    name="lead_report",
    route="GET /reports/leads",
    row=LeadReportRow,
    permission="leads.view",
    what="lead",
    aside="deleted",
    handlers={
        LEAD.created: lead_created,
        LEAD.edited: lead_edited,
        LEAD.deleted: lead_deleted,
        LEAD.restored: lead_restored,
        LEAD.assigned: lead_assigned,
        LEAD.status_set: lead_status_set,
        LeadConverted: lead_converted,
    },
    filters={
        "source": Exact(),
        "industry": Exact(),
        "owner_id": Exact(),
        "status": Exact(),
        "created_at": Range(datetime),
        "converted_on": Range(date),
        "q": Words("name", "company"),
        "deleted": Exact(),
    },
    sorts=("created_at", "converted_on"),
    default_sort="-created_at",
    scope=Scope("owner_id"),
    parents={"customer_id": kind_of(CustomerData).what},
    personal=("name", "customer_id"),
)

VIEWS = (LEADS, LEAD_REPORT)
