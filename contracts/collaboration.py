"""What people do around a record: comments and the log of views (features COL-09, UIX-07).

Aggregates: comment, viewer.
"""

from dataclasses import field
from uuid import UUID

from contracts.declare import KEPT, command, event, value
from contracts.ids import new_id
from contracts.people import SALESTREAM, Person
from contracts.permissions import COLLEAGUE
from contracts.personal import Personal, Unlogged
from contracts.types import Name, Note, Reason, Text

MODERATION = "comments.moderate"
"""The right to take away what others have said, of the people whom it reaches."""


@value
class SubjectRef:
    """A record that something is about: its kind, as lists call it, and its id."""

    subject_kind: Text
    subject_id: UUID


@command("POST /comments", permission=COLLEAGUE, key="comment_id", creates=True)
class WriteComment:
    """Say something about a record that one may see (COL-09).

    `mentions` names the users whom it is for; each must be able to see the record.
    """

    comment_id: UUID = field(default_factory=new_id)
    subject_kind: Name
    subject_id: UUID
    text: Unlogged[Reason]
    mentions: tuple[UUID, ...] = ()


@command("PATCH /comments/{comment_id}", permission=COLLEAGUE)
class EditComment:
    """Change one's own comment; a field left out keeps its value (COL-09)."""

    comment_id: UUID
    text: Unlogged[Reason] = KEPT
    mentions: tuple[UUID, ...] = KEPT


@command("DELETE /comments/{comment_id}", permission=COLLEAGUE)
class DeleteComment:
    """Take a comment away: one's own, or by the right `comments.moderate` that of others (COL-09)."""

    comment_id: UUID


@command("POST /viewings", permission=COLLEAGUE, key="subject_id", versioned=False)
class RecordViewing:
    """Say that one has looked at a record and has left it by "Return" (UIX-07)."""

    subject_kind: Name
    subject_id: UUID


@event("salestream.collaboration.comment-written.v1", key="comment_id")
class CommentWritten:
    """Somebody said something about a record.  `person_id`: of whom the record tells, if of anybody."""

    about_person = "person_id"

    comment_id: UUID
    subject_kind: Text
    subject_id: UUID
    person_id: UUID | None
    text: Personal[Note]
    mentioned: tuple[Person, ...]
    by: Person = SALESTREAM


@event("salestream.collaboration.comment-edited.v1", key="comment_id")
class CommentEdited:
    """A comment reads otherwise now.  `newly_mentioned` are those whom it did not name before."""

    about_person = "person_id"

    comment_id: UUID
    subject_kind: Text
    subject_id: UUID
    person_id: UUID | None
    text: Personal[Note]
    mentioned: tuple[Person, ...]
    newly_mentioned: tuple[Person, ...]
    by: Person = SALESTREAM


@event("salestream.collaboration.comment-deleted.v1", key="comment_id")
class CommentDeleted:
    """A comment was taken away."""

    comment_id: UUID
    subject_kind: Text
    subject_id: UUID
    by: Person = SALESTREAM


@event("salestream.collaboration.record-viewed.v1", key="viewer_id")
class RecordViewed:
    """Somebody has looked at a record.  `forgotten` has left the list of what that person has viewed last."""

    viewer_id: UUID
    subject_kind: Text
    subject_id: UUID
    forgotten: tuple[SubjectRef, ...]
    by: Person = SALESTREAM
