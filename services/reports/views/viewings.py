"""What have I looked at last, and who has looked at a record?  (UIX-07, UIX-10)"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from chassis.model.changes import Change, EventMetadata, Put, Remove, Set
from chassis.model.views import KINDS_OF_SUBJECTS, Exact, Range, Scope, View
from contracts.collaboration import RecordViewed
from contracts.permissions import COLLEAGUE


@dataclass
class RecentRow:
    """A record that the caller has looked at, and when last."""

    id: str
    subject_kind: str
    subject_id: UUID
    viewer_id: UUID
    viewed_at: datetime


@dataclass
class ViewingRow:
    """One look at a record."""

    id: str
    subject_kind: str
    subject_id: UUID
    viewer_id: UUID
    viewer: str
    viewed_at: datetime


def _place(event: RecordViewed, kind: str, id: UUID) -> str:
    return f"{event.viewer_id}:{kind}:{id}"


def viewed_last(event: RecordViewed, metadata: EventMetadata) -> Iterable[Change]:
    for gone in event.forgotten:
        yield Remove(_place(event, gone.subject_kind, gone.subject_id))
    yield Set(
        _place(event, event.subject_kind, event.subject_id),
        subject_kind=event.subject_kind,
        subject_id=event.subject_id,
        viewer_id=event.viewer_id,
        viewed_at=metadata.at,
    )


def viewed(event: RecordViewed, metadata: EventMetadata) -> Iterable[Change]:
    yield Put(
        metadata.id,
        {
            "subject_kind": event.subject_kind,
            "subject_id": event.subject_id,
            "viewer_id": event.viewer_id,
            "viewer": event.by.name,
            "viewed_at": metadata.at,
        },
    )


RECENT = View(
    name="recently_viewed",
    route="GET /recently-viewed",
    row=RecentRow,
    permission=COLLEAGUE,
    what="recent view",
    of_subject=True,
    handlers={RecordViewed: viewed_last},
    filters={"subject_kind": Exact(known=KINDS_OF_SUBJECTS)},
    sorts=("viewed_at",),
    default_sort="-viewed_at",
    scope=Scope("viewer_id", only_own=True),
)
VIEWINGS = View(
    name="viewings",
    route="GET /viewings",
    row=ViewingRow,
    permission="records.viewers",
    what="viewing",
    of_subject=True,
    handlers={RecordViewed: viewed},
    filters={
        "subject_kind": Exact(known=KINDS_OF_SUBJECTS),
        "subject_id": Exact(),
        "viewer_id": Exact(),
        "viewed_at": Range(datetime),
    },
    sorts=("viewed_at",),
    default_sort="-viewed_at",
)
VIEWS = (RECENT, VIEWINGS)
