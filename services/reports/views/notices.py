"""What was I told?  (NTF-01, NTF-04, NTF-06, NTF-07)"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from chassis.model.changes import Change, EventMetadata, Remove, Set
from chassis.model.views import Exact, Range, Scope, View, Words
from contracts.declare import REGISTRY
from contracts.notices import NoticeForgotten, NoticeGiven, NoticeRead, NoticeWaysChosen, OccasionWays, QuietHours
from contracts.occasions import Occasion
from contracts.permissions import SELF
from contracts.records import KINDS


@dataclass
class NoticeRow:
    """Something that the caller was told; `link` is where the record is found that it leads to, null where to none.

    It is in the language that its receiver had at that moment.  `by` is who caused it.
    """

    id: UUID
    receiver_id: UUID
    occasion: Occasion
    title: str
    text: str
    read: bool
    link: str | None
    record_kind: str
    record_id: UUID | None
    by: str
    given_at: datetime
    until: date
    version: int


def given(event: NoticeGiven, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(
        event.notice_id,
        receiver_id=event.receiver_id,
        occasion=event.occasion,
        title=event.title,
        text=event.text,
        read=False,
        record_kind=event.record_kind,
        record_id=event.record_id,
        by=event.by.name,
        given_at=event.given_at,
        until=event.until,
        version=metadata.version,
    )


def read(event: NoticeRead, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.notice_id, read=True, version=metadata.version)


def forgotten(event: NoticeForgotten, _: EventMetadata) -> Iterable[Change]:
    yield Remove(event.notice_id)


REGISTRY.load()  # so that every kind of record is known
PAGES = {"order": "/orders", "product": "/products", "approval case": "/approvals"} | {
    kind.what: kind.path for kind in KINDS.values()
}
"""Where records are found, by what one is called."""


def link(row: Mapping[str, Any]) -> str | None:
    page = PAGES.get(row.get("record_kind", ""))
    return f"{page}/{row['record_id']}" if page else None


NOTICES = View(
    name="notices",
    route="GET /notices",
    detail="notice_id",
    row=NoticeRow,
    permission=SELF,
    what="notice",
    handlers={NoticeGiven: given, NoticeRead: read, NoticeForgotten: forgotten},
    filters={
        "read": Exact(),
        "occasion": Exact(),
        "record_id": Exact(),
        "given_at": Range(datetime),
        "q": Words("title", "text"),
    },
    sorts=("given_at",),
    default_sort="-given_at",
    computed={"link": link},
    named={"record_kind": [*PAGES]},
    scope=Scope("receiver_id", only_own=True),
)


@dataclass
class NoticeWaysRow:
    """By which ways the caller is told besides their list, by occasion, and when they are sent nothing (NTF-03)."""

    id: UUID
    ways: list[OccasionWays]
    quiet: QuietHours | None
    version: int


def chosen(event: NoticeWaysChosen, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.user_id, user_id=event.user_id, ways=event.ways, quiet=event.quiet, version=metadata.version)


WAYS = View(
    name="notice_ways",
    route="GET /notice-ways/{user_id}",
    row=NoticeWaysRow,
    permission=SELF,
    what="notice ways",
    handlers={NoticeWaysChosen: chosen},
    scope=Scope("user_id", only_own=True),
)
VIEWS = (NOTICES, WAYS)
