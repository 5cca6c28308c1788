"""What do people say about a record?  (COL-09)

Whoever may see the record sees it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from chassis.model.changes import Change, EventMetadata, Remove, Set
from chassis.model.views import KINDS_OF_SUBJECTS, Exact, View, Words
from contracts.collaboration import CommentDeleted, CommentEdited, CommentWritten
from contracts.people import Person
from contracts.permissions import COLLEAGUE


@dataclass
class CommentRow:
    """One comment.  `edited_at` is null as long as it reads as it was written."""

    id: UUID
    subject_kind: str
    subject_id: UUID
    text: str
    mentioned: list[Person]
    mentioned_ids: list[UUID]
    author_id: UUID | None
    author: str
    written_at: datetime
    edited_at: datetime | None
    version: int


def _text(event: CommentWritten | CommentEdited) -> dict[str, Any]:
    def told(person: Person) -> dict[str, Any]:
        return {"user_id": person.user_id, "name": person.name}

    return {
        "text": event.text,
        "mentioned": [told(person) for person in event.mentioned],
        "mentioned_ids": [person.user_id for person in event.mentioned],
    }


def written(event: CommentWritten, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(
        event.comment_id,
        subject_kind=event.subject_kind,
        subject_id=event.subject_id,
        **_text(event),
        author_id=event.by.user_id,
        author=event.by.name,
        written_at=metadata.at,
        edited_at=None,
        version=metadata.version,
    )


def edited(event: CommentEdited, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.comment_id, **_text(event), edited_at=metadata.at, version=metadata.version)


def deleted(event: CommentDeleted, metadata: EventMetadata) -> Iterable[Change]:
    yield Remove(event.comment_id)


VIEW = View(
    name="comments",
    route="GET /comments",
    detail="comment_id",
    row=CommentRow,
    permission=COLLEAGUE,
    what="comment",
    of_subject=True,
    handlers={CommentWritten: written, CommentEdited: edited, CommentDeleted: deleted},
    filters={
        "subject_kind": Exact(known=KINDS_OF_SUBJECTS),
        "subject_id": Exact(),
        "author_id": Exact(),
        "mentioned_ids": Exact(),
        "q": Words("text"),
    },
    sorts=("written_at",),
    default_sort="-written_at",
    personal=("text",),
)
