"""What were people told of by somebody?  (NTF-07)"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from chassis.model.changes import Change, EventMetadata, Set
from chassis.model.views import Range, View, Words
from contracts.notices import Announced, Receiver


@dataclass
class AnnouncementRow:
    """What somebody announced: to whom, to how many people (`count`) and when."""

    id: UUID
    title: str
    text: str
    receivers: list[Receiver]
    count: int
    by: str
    announced_at: datetime
    version: int


def announced(event: Announced, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(
        event.announcement_id,
        title=event.title,
        text=event.text,
        receivers=event.receivers,
        count=event.count,
        by=event.by.name,
        announced_at=metadata.at,
        version=metadata.version,
    )


VIEW = View(
    name="announcements",
    route="GET /announcements",
    detail="announcement_id",
    row=AnnouncementRow,
    permission="platform",
    what="announcement",
    handlers={Announced: announced},
    filters={"announced_at": Range(datetime), "q": Words("title", "text", "by")},
    sorts=("announced_at",),
    default_sort="-announced_at",
)
