"""What people do around a record: comments, files and the log of views (features COL-09, UIX-07).

Aggregates: comment, file, attachment, viewer.
"""

from dataclasses import field
from uuid import UUID

from contracts.declare import KEPT, command, event, value
from contracts.ids import new_id
from contracts.people import SALESTREAM, Person
from contracts.permissions import COLLEAGUE
from contracts.personal import Personal, Unlogged
from contracts.types import Name, Note, PathName, Reason, Text, User, Whole

MODERATION = "comments.moderate"
"""The right to take away what others have said or attached, of the people whom it reaches."""
UPLOAD_FILE, DOWNLOAD_FILE = "upload_file", "download_file"
"""The routes by which the octets of files come and go."""


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
    mentions: tuple[User, ...] = ()


@command("PATCH /comments/{comment_id}", permission=COLLEAGUE)
class EditComment:
    """Change one's own comment; a field left out keeps its value (COL-09)."""

    comment_id: UUID
    text: Unlogged[Reason] = KEPT
    mentions: tuple[User, ...] = KEPT


@command("DELETE /comments/{comment_id}", permission=COLLEAGUE)
class DeleteComment:
    """Take a comment away: one's own, or by the right `comments.moderate` that of others (COL-09)."""

    comment_id: UUID


@command(None, permission="system", key="file_id")
class RegisterFile:
    """A file has been received and is kept: the way to it is `POST /files`."""

    file_id: UUID
    size: Whole
    sha256: Name
    media_type: Name


@command("POST /attachments", permission=COLLEAGUE, key="attachment_id", creates=True)
class AttachFile:
    """Put a file that one has uploaded on a record that one may see, or on one's own comment there (COL-09).

    Once, and within a day of its upload.
    """

    attachment_id: UUID = field(default_factory=new_id)
    file_id: UUID
    subject_kind: Name
    subject_id: UUID
    name: Unlogged[PathName]
    comment_id: UUID | None = None


@command("DELETE /attachments/{attachment_id}", permission=COLLEAGUE)
class DeleteAttachment:
    """Take a file away for good: one's own, or by the right `comments.moderate` that of others (COL-09)."""

    attachment_id: UUID


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


@event("salestream.collaboration.file-attached.v1", key="attachment_id")
class FileAttached:
    """There is a file on a record, or on a comment there.

    What kind of file it is tells its content; `size` is in octets.  The octets are in no event.
    """

    about_person = "person_id"

    attachment_id: UUID
    file_id: UUID
    subject_kind: Text
    subject_id: UUID
    person_id: UUID | None
    name: Personal[Text]
    size: Whole
    sha256: Text
    media_type: Text
    comment_id: UUID | None = None
    by: Person = SALESTREAM


@event("salestream.collaboration.attachment-deleted.v1", key="attachment_id")
class AttachmentDeleted:
    """A file was taken from a record; its octets are deleted."""

    attachment_id: UUID
    file_id: UUID
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
