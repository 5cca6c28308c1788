"""What was said with customers, when and how?  (COM-01..08)

Whoever may see the record that it is about sees it, given the right to see such at all.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from chassis.model.changes import Change, EventMetadata, Remove, Set
from chassis.model.row_fields import Code, Picked
from chassis.model.views import KINDS_OF_SUBJECTS, Exact, Range, View, Words
from contracts.collaboration import (
    CommunicationDeleted,
    CommunicationEdited,
    CommunicationForm,
    CommunicationLogged,
)
from contracts.subjects import RECORD_IDS


@dataclass
class CommunicationRow:
    """Contact about a record, and so with whom it tells of.

    `record_ids` names that record and those to which it belonged then, such as the customer of a contact: `record_id`
    of one of them has its whole timeline.  `edited_at` is null as long as it reads as it was written.
    """

    id: UUID
    subject_kind: str
    subject_id: UUID
    record_ids: list[UUID]
    form: CommunicationForm
    at: datetime
    way: Annotated[str, Picked("communication_ways")]
    text: str
    title: str
    place: str
    phone: Code | None
    recipients: str
    response: str
    next_plan: str
    next_contact_on: date | None
    author_id: UUID | None
    author: str
    logged_at: datetime
    edited_at: datetime | None
    version: int


def _said(event: CommunicationLogged | CommunicationEdited) -> dict[str, Any]:
    data = event.data
    return {
        "form": data.form,
        "at": data.at,
        "way": data.way,
        "text": data.text,
        "title": data.title,
        "place": data.place,
        "phone": data.phone,
        "recipients": data.recipients,
        "response": data.response,
        "next_plan": data.next_plan,
        "next_contact_on": data.next_contact_on,
    }


def logged(event: CommunicationLogged, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(
        event.communication_id,
        subject_kind=event.subject_kind,
        subject_id=event.subject_id,
        record_ids=[event.subject_id, *(one.subject_id for one in event.through)],
        **_said(event),
        author_id=event.author.user_id,
        author=event.author.name,
        logged_at=event.logged_at,
        edited_at=None,
        version=metadata.version,
    )


def edited(event: CommunicationEdited, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.communication_id, **_said(event), edited_at=metadata.at, version=metadata.version)


def deleted(event: CommunicationDeleted, metadata: EventMetadata) -> Iterable[Change]:
    yield Remove(event.communication_id)


VIEW = View(
    name="communications",
    route="GET /communications",
    detail="communication_id",
    row=CommunicationRow,
    permission="communications.view",
    what="communication",
    of_subject=True,
    handlers={CommunicationLogged: logged, CommunicationEdited: edited, CommunicationDeleted: deleted},
    filters={
        "subject_kind": Exact(known=KINDS_OF_SUBJECTS),
        "subject_id": Exact(),
        "record_id": Exact(RECORD_IDS),
        "form": Exact(),
        "way": Exact(),
        "author_id": Exact(),
        "at": Range(datetime),
        "logged_at": Range(datetime),
        "next_contact_on": Range(date),
        "q": Words("text", "title", "place", "response", "next_plan"),
    },
    sorts=("at", "logged_at", "next_contact_on"),
    default_sort="-at",
    personal=("text", "title", "place", "phone", "recipients", "response", "next_plan"),
)
