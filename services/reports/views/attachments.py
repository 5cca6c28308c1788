"""Which files are there on a record?  (COL-09)

Whoever may see the record sees them; `GET /attachments/{attachment_id}/content` has the octets.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from chassis.model.changes import Change, EventMetadata, Remove, Set
from chassis.model.views import KINDS_OF_SUBJECTS, Exact, Range, View, Words
from contracts.collaboration import AttachmentDeleted, FileAttached
from contracts.permissions import COLLEAGUE


@dataclass
class AttachmentRow:
    """One file, with its octets' number and digest; of a comment where `comment_id` says so."""

    id: UUID
    subject_kind: str
    subject_id: UUID
    comment_id: UUID | None
    name: str
    size: int
    sha256: str
    media_type: str
    attached_by_id: UUID | None
    attached_by: str
    attached_at: datetime
    version: int


def attached(event: FileAttached, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(
        event.attachment_id,
        subject_kind=event.subject_kind,
        subject_id=event.subject_id,
        comment_id=event.comment_id,
        name=event.name,
        size=event.size,
        sha256=event.sha256,
        media_type=event.media_type,
        attached_by_id=event.by.user_id,
        attached_by=event.by.name,
        attached_at=metadata.at,
        version=metadata.version,
    )


def deleted(event: AttachmentDeleted, metadata: EventMetadata) -> Iterable[Change]:
    yield Remove(event.attachment_id)


VIEW = View(
    name="attachments",
    route="GET /attachments",
    detail="attachment_id",
    row=AttachmentRow,
    permission=COLLEAGUE,
    what="attachment",
    of_subject=True,
    handlers={FileAttached: attached, AttachmentDeleted: deleted},
    filters={
        "subject_kind": Exact(known=KINDS_OF_SUBJECTS),
        "subject_id": Exact(),
        "comment_id": Exact(),
        "attached_at": Range(datetime),
        "q": Words("name"),
    },
    sorts=("attached_at",),
    default_sort="-attached_at",
    personal=("name",),
)
