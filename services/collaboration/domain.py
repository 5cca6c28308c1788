"""What people say about records, what they put on them, and what they have looked at last (COL-09, UIX-07)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import UUID

from chassis.model.aggregates import Aggregate, applies, internal_event
from chassis.model.context import Context, is_before
from chassis.model.identity import Named
from contracts.collaboration import (
    MODERATION,
    AttachFile,
    AttachmentDeleted,
    CommentDeleted,
    CommentEdited,
    CommentWritten,
    DeleteAttachment,
    DeleteComment,
    EditComment,
    FileAttached,
    RecordViewed,
    RecordViewing,
    RegisterFile,
    SubjectRef,
    WriteComment,
)
from contracts.declare import KEPT
from contracts.errors import Refused, not_found
from contracts.people import SALESTREAM, Person
from contracts.types import Text, Whole

NO_RECORD = UUID(int=0)
MOST_MENTIONED = 50
MOST_FILES = 50
"""So many files a comment has at most."""
WAITS = timedelta(days=1)
"""So long a file that was uploaded may be put on a record; then its octets are deleted."""
MOST_WAITING, MOST_WAITING_BYTES = 50, 1_000_000_000
"""So many files of one person may wait to be put on a record, and so many octets: else one could fill the disk."""
MOST_RECENT = 100
"""So many records are on the list of what somebody has viewed last."""


def uploader(user_id: UUID) -> Named:
    """What names the files of somebody that wait to be put on a record."""
    return Named("uploader_id", str(user_id))


def viewer(user_id: UUID) -> Named:
    """What names the list of what somebody has viewed last."""
    return Named("viewer_id", str(user_id))


@internal_event("collaboration.comment-file-attached")
class CommentFileAttached:
    """There is a file on the comment."""

    attachment_id: UUID


@dataclass
class Comment(Aggregate):
    """What somebody has said about a record; `files` are those that were put on it.

    `person_id`: of whom the record told when it was written, whatever became of that since: what is said is sealed with
    that person's key (CPL-01).
    """

    subject_kind: str = ""
    subject_id: UUID = NO_RECORD
    person_id: UUID | None = None
    text: str = ""
    mentioned: tuple[Person, ...] = ()
    author: Person = SALESTREAM
    deleted: bool = False
    files: tuple[UUID, ...] = ()

    @classmethod
    def on_page(cls, row: Mapping[str, Any]) -> Self:
        comment = super().on_page(row)
        comment.author = Person(user_id=row["author_id"] and UUID(row["author_id"]), name=row["author"])
        return comment

    def require_may(self, command: type, context: Context) -> None:
        """Its author changes it; who may moderate that person takes it away too."""
        is_theirs = self.author.user_id == context.user.user_id
        if not is_theirs and not (command is DeleteComment and may_take_away(self.author, context)):
            raise Refused("collaboration.not_your_comment", field="comment_id")

    def write(
        self, command: WriteComment, person_id: UUID | None, mentioned: Sequence[Person], context: Context
    ) -> None:
        """`person_id`: of whom the record tells."""
        self.record(
            CommentWritten(
                comment_id=self.id,
                subject_kind=command.subject_kind,
                subject_id=command.subject_id,
                person_id=person_id,
                text=command.text,
                mentioned=tuple(mentioned),
                by=context.user,
            )
        )

    def edit(self, command: EditComment, mentioned: Sequence[Person] | None, context: Context) -> None:
        """Nothing happens when it reads so already.  Raises Refused FORBIDDEN for the comment of somebody else."""
        self.require_may(EditComment, context)
        text = self.text if command.text is KEPT else command.text
        named = self.mentioned if mentioned is None else tuple(mentioned)
        if (text, named) == (self.text, self.mentioned):
            return
        before = {person.user_id for person in self.mentioned}
        self.record(
            CommentEdited(
                comment_id=self.id,
                subject_kind=self.subject_kind,
                subject_id=self.subject_id,
                person_id=self.person_id,
                text=text,
                mentioned=named,
                newly_mentioned=tuple(person for person in named if person.user_id not in before),
                by=context.user,
            )
        )

    def delete(self, _: DeleteComment, context: Context) -> None:
        """Raises Refused FORBIDDEN for that of somebody whom the caller's right to moderate does not reach."""
        self.require_may(DeleteComment, context)
        self.record(
            CommentDeleted(
                comment_id=self.id, subject_kind=self.subject_kind, subject_id=self.subject_id, by=context.user
            )
        )

    def take_file(self, attachment_id: UUID) -> None:
        """A file is put on it.  Raises Refused TOO_LARGE: with it all its files are taken away."""
        if len(self.files) >= MOST_FILES:
            raise Refused("collaboration.most_files", most=MOST_FILES, field="comment_id")
        self.record(CommentFileAttached(attachment_id=attachment_id))

    @applies(CommentFileAttached)
    def _file_attached(self, fact: CommentFileAttached) -> None:
        self.files = (*self.files, fact.attachment_id)

    @applies(CommentWritten)
    def _written(self, fact: CommentWritten) -> None:
        self.subject_kind, self.subject_id, self.person_id = fact.subject_kind, fact.subject_id, fact.person_id
        self.text, self.mentioned, self.author = fact.text, fact.mentioned, fact.by

    @applies(CommentEdited)
    def _edited(self, fact: CommentEdited) -> None:
        self.text, self.mentioned = fact.text, fact.mentioned

    @applies(CommentDeleted)
    def _deleted(self, _: CommentDeleted) -> None:
        self.text, self.deleted = "", True


def may_take_away(by: Person, context: Context) -> bool:
    """Whether the caller takes away what this person said or attached: their own, or of whom they may moderate."""
    return by.user_id == context.user.user_id or context.reach_of(MODERATION).covers(by.user_id)


@internal_event("collaboration.file-registered")
class FileRegistered:
    """A file is kept under the id of its record; nobody but who uploaded it knows of it yet."""

    size: Whole
    sha256: Text
    media_type: Text
    at: datetime
    by: Person


@internal_event("collaboration.file-used")
class FileUsed:
    """The file is on a record."""

    attachment_id: UUID


@dataclass
class File(Aggregate):
    """A file that somebody has uploaded: its octets are in the file store under the same id."""

    size: int = 0
    sha256: str = ""
    media_type: str = ""
    at: datetime | None = None
    by: Person = SALESTREAM
    attachment_id: UUID | None = None

    def register(self, command: RegisterFile, context: Context) -> bool:
        """Returns whether it was not registered before: then nothing happens."""
        if self.at is not None:
            return False
        self.record(
            FileRegistered(
                size=command.size,
                sha256=command.sha256,
                media_type=command.media_type,
                at=context.now,
                by=context.user,
            )
        )
        return True

    def use(self, attachment_id: UUID, context: Context) -> None:
        """Raises Refused: NOT_FOUND for a file of somebody else, or one that waits too long; it is used once."""
        if self.by.user_id != context.user.user_id:
            raise not_found("file", "file_id")
        if self.attachment_id is not None:
            raise Refused("collaboration.file_used", field="file_id", state="ATTACHED")
        if self.waits_too_long(context.now):
            raise Refused("collaboration.file_expired", field="file_id", state="EXPIRED")
        self.record(FileUsed(attachment_id=attachment_id))

    def waits_too_long(self, now: datetime) -> bool:
        """Whether nobody can put it on a record any more, and it is on none."""
        return self.attachment_id is None and not is_before(now, self.at and self.at + WAITS, WAITS)

    @applies(FileRegistered)
    def _registered(self, fact: FileRegistered) -> None:
        self.size, self.sha256, self.media_type = fact.size, fact.sha256, fact.media_type
        self.at, self.by = fact.at, fact.by

    @applies(FileUsed)
    def _used(self, fact: FileUsed) -> None:
        self.attachment_id = fact.attachment_id


@internal_event("collaboration.upload-waits")
class UploadWaits:
    """A file of this person waits to be put on a record."""

    file_id: UUID
    size: Whole
    at: datetime


@internal_event("collaboration.upload-settled")
class UploadSettled:
    """A file of this person is on a record."""

    file_id: UUID


@dataclass
class Uploader(Aggregate):
    """The files of one person that wait to be put on a record, for a day each."""

    snapshot_every = 100

    waiting: tuple[UploadWaits, ...] = ()

    def require_room(self, now: datetime) -> None:
        """Raises Refused RATE_LIMITED when so much waits that nothing more is taken."""
        waiting = [one for one in self.waiting if is_before(now, one.at + WAITS, WAITS)]
        size = sum(one.size for one in waiting)
        if len(waiting) >= MOST_WAITING or size >= MOST_WAITING_BYTES:
            raise Refused("collaboration.files_waiting", count=len(waiting), size=size)

    def wait_for(self, file: File, context: Context) -> None:
        """A file more waits.  Raises Refused RATE_LIMITED."""
        self.require_room(context.now)
        self.record(UploadWaits(file_id=file.id, size=file.size, at=context.now))

    def settle(self, file_id: UUID) -> None:
        self.record(UploadSettled(file_id=file_id))

    @applies(UploadWaits)
    def _waits(self, fact: UploadWaits) -> None:
        self.waiting = (*(one for one in self.waiting if one.at + WAITS > fact.at), fact)

    @applies(UploadSettled)
    def _settled(self, fact: UploadSettled) -> None:
        self.waiting = tuple(one for one in self.waiting if one.file_id != fact.file_id)


@dataclass
class Attachment(Aggregate):
    """A file on a record, or on a comment there."""

    file_id: UUID = NO_RECORD
    subject_kind: str = ""
    subject_id: UUID = NO_RECORD
    comment_id: UUID | None = None
    person_id: UUID | None = None
    name: str = ""
    size: int = 0
    media_type: str = ""
    by: Person = SALESTREAM
    deleted: bool = False

    @classmethod
    def on_page(cls, row: Mapping[str, Any]) -> Self:
        attachment = super().on_page(row)
        attachment.by = Person(user_id=row["attached_by_id"] and UUID(row["attached_by_id"]), name=row["attached_by"])
        return attachment

    def require_may(self, command: type, context: Context) -> None:
        """Who attached it takes it away, and who may moderate that person."""
        if not may_take_away(self.by, context):
            raise Refused("collaboration.not_your_file", field="attachment_id")

    def is_on(self, comment: Comment | None) -> bool:
        """Whether it is there: on its record, or on `comment`, the one it was put on, as long as that is there."""
        return not self.deleted and not (self.comment_id and comment and comment.deleted)

    def attach(self, command: AttachFile, file: File, person_id: UUID | None, context: Context) -> None:
        self.record(
            FileAttached(
                attachment_id=self.id,
                file_id=file.id,
                subject_kind=command.subject_kind,
                subject_id=command.subject_id,
                person_id=person_id,
                name=command.name,
                size=file.size,
                sha256=file.sha256,
                media_type=file.media_type,
                comment_id=command.comment_id,
                by=context.user,
            )
        )

    def delete(self, _: DeleteAttachment, context: Context) -> None:
        """Raises Refused FORBIDDEN for that of somebody whom the caller's right to moderate does not reach."""
        self.require_may(DeleteAttachment, context)
        self.take_away(context)

    def take_away(self, context: Context) -> None:
        """It is gone for good, with the comment that it was on or by itself."""
        self.record(
            AttachmentDeleted(
                attachment_id=self.id,
                file_id=self.file_id,
                subject_kind=self.subject_kind,
                subject_id=self.subject_id,
                by=context.user,
            )
        )

    @applies(FileAttached)
    def _attached(self, fact: FileAttached) -> None:
        self.file_id, self.subject_kind, self.subject_id = fact.file_id, fact.subject_kind, fact.subject_id
        self.person_id, self.name, self.size, self.media_type = fact.person_id, fact.name, fact.size, fact.media_type
        self.by, self.comment_id = fact.by, fact.comment_id

    @applies(AttachmentDeleted)
    def _deleted(self, _: AttachmentDeleted) -> None:
        self.name, self.deleted = "", True


@dataclass
class Viewer(Aggregate):
    """What one person has viewed last, the oldest first."""

    snapshot_every = 100

    recent: tuple[SubjectRef, ...] = ()

    def view(self, command: RecordViewing, viewer_id: UUID, context: Context) -> None:
        """The person has looked at a record; what was viewed longest ago leaves a list that is full."""
        seen = SubjectRef(subject_kind=command.subject_kind, subject_id=command.subject_id)
        others = [one for one in self.recent if one != seen]
        self.record(
            RecordViewed(
                viewer_id=viewer_id,
                subject_kind=seen.subject_kind,
                subject_id=seen.subject_id,
                forgotten=tuple(others[: max(0, len(others) + 1 - MOST_RECENT)]),
                by=context.user,
            )
        )

    @applies(RecordViewed)
    def _viewed(self, fact: RecordViewed) -> None:
        seen = SubjectRef(subject_kind=fact.subject_kind, subject_id=fact.subject_id)
        gone = {seen, *fact.forgotten}
        self.recent = (*(one for one in self.recent if one not in gone), seen)
