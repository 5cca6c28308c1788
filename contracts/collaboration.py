"""What people do around a record: comments, files, the log of views, what was said with customers about it, and what
is to be done (features COL-09, UIX-07, COM-01..08, TSK-01, NTF-04).

Aggregates: comment, file, attachment, viewer, communication, timeline, task, reminders of tasks and of contact.
"""

from dataclasses import field
from datetime import time
from typing import Literal
from uuid import UUID

from contracts.declare import KEPT, command, event, value
from contracts.ids import new_id
from contracts.people import SALESTREAM, Person
from contracts.permissions import COLLEAGUE
from contracts.personal import Personal, Unlogged
from contracts.records import data, kind_of, record
from contracts.schedules import Daily, schedule
from contracts.statuses import Statuses, Step
from contracts.types import Day, Moment, Name, Note, PathName, Phone, Reason, Text, User, Whole

MODERATION = "comments.moderate"
"""The right to take away what others have said or attached, of the people whom it reaches."""
CORRECTION = "communications.correct"
"""The right to write of contact on another day than that on which it was, and to change what somebody wrote later."""
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


CommunicationForm = Literal["FOLLOW_UP", "VISIT", "CALL", "MAIL", "MESSAGE"]
"""What contact it was (COM-01..05)."""


@value
class CommunicationData:
    """What was said with somebody, when and how (COM-01..06).

    `title` is the purpose of a visit, or the subject of a mail; `response` what the customer said to it.
    """

    form: CommunicationForm
    at: Moment
    way: Text = data(dictionary="communication_ways")
    text: Personal[Note]
    title: Personal[Text] = ""
    place: Personal[Text] = ""
    phone: Personal[Text] | None = None
    recipients: Personal[Note] = ""
    response: Personal[Note] = ""
    next_plan: Personal[Note] = ""
    next_contact_on: Day | None = None


@command("POST /communications", permission="opportunities", key="communication_id", creates=True)
class LogCommunication:
    """Write down contact with a customer, about a record that one may see (COM-01..06).

    `at` is now where it is left out; it is written on the day of the contact, or as late as the company allows.
    """

    communication_id: UUID = field(default_factory=new_id)
    subject_kind: Name
    subject_id: UUID
    form: CommunicationForm = "FOLLOW_UP"
    at: Moment | None = None
    way: Name = data(dictionary="communication_ways")
    text: Unlogged[Reason]
    title: Unlogged[Text] = ""
    place: Unlogged[Text] = ""
    phone: Unlogged[Phone] | None = None
    recipients: Unlogged[Note] = ""
    response: Unlogged[Note] = ""
    next_plan: Unlogged[Note] = ""
    next_contact_on: Day | None = None


@command("PATCH /communications/{communication_id}", permission="opportunities")
class EditCommunication:
    """Change what one has written of contact, a day long; a field left out keeps its value (COM-06).

    Who holds `communications.correct` changes it later, and that of others.
    """

    communication_id: UUID
    at: Moment = KEPT
    way: Name = data(default=KEPT, dictionary="communication_ways")
    text: Unlogged[Reason] = KEPT
    title: Unlogged[Text] = KEPT
    place: Unlogged[Text] = KEPT
    phone: Unlogged[Phone] | None = KEPT
    recipients: Unlogged[Note] = KEPT
    response: Unlogged[Note] = KEPT
    next_plan: Unlogged[Note] = KEPT
    next_contact_on: Day | None = KEPT


@command("DELETE /communications/{communication_id}", permission="opportunities")
class DeleteCommunication:
    """Take away what was written of contact that there was not, by whom it may be changed (COM-06)."""

    communication_id: UUID


@event("salestream.collaboration.communication-logged.v1", key="communication_id")
class CommunicationLogged:
    """There was contact about a record; `through` are those that it belongs to, `author` is who had it.

    `person_id`: of whom the record tells, if of anybody.
    """

    about_person = "person_id"

    communication_id: UUID
    subject_kind: Text
    subject_id: UUID
    through: tuple[SubjectRef, ...]
    person_id: UUID | None
    data: CommunicationData
    author: Person
    logged_at: Moment
    by: Person = SALESTREAM


@event("salestream.collaboration.communication-edited.v1", key="communication_id")
class CommunicationEdited:
    """What was written of contact reads otherwise now: all of it."""

    about_person = "person_id"

    communication_id: UUID
    subject_kind: Text
    subject_id: UUID
    person_id: UUID | None
    data: CommunicationData
    by: Person = SALESTREAM


@event("salestream.collaboration.communication-deleted.v1", key="communication_id")
class CommunicationDeleted:
    """What was written of contact was taken away."""

    communication_id: UUID
    subject_kind: Text
    subject_id: UUID
    by: Person = SALESTREAM


# -- the day planned for the next contact (NTF-04) ----------------------------------------------------------------


@schedule(Daily(time(8), missed="LAST"))
class RemindOfContact:
    """Remind those who have planned contact for this day, every morning (NTF-04)."""


@event("salestream.collaboration.next-contact-due.v1", key="communication_id")
class NextContactDue:
    """The day has come that was planned for the next contact about a record (NTF-04).

    `to` is who planned it, or whose the record is where they see it no more.
    """

    about_person = "person_id"

    communication_id: UUID
    subject_kind: Text
    subject_id: UUID
    person_id: UUID | None
    day: Day
    next_plan: Personal[Note]
    to: Person
    by: Person = SALESTREAM


# -- tasks (TSK-01) -----------------------------------------------------------------------------------------------

TASK_STATUSES = Statuses(
    "OPEN",
    Step("IN_WORK", after=("OPEN",)),
    Step("DONE", after=("OPEN", "IN_WORK"), reason=True),
    Step("CANCELLED", after=("OPEN", "IN_WORK"), reason=True),
    Step("OPEN", after=("IN_WORK", "DONE", "CANCELLED")),
)
"""Whoever has done a task says with what result, and who calls it off why; either may turn out to be wrong."""
TO_DO = ("OPEN", "IN_WORK")
"""The statuses of a task that somebody has still to do."""

TaskPriority = Literal["LOW", "NORMAL", "HIGH"]


@value
class TaskSubject:
    """The record that a task is about: one that whoever enters it may see, or none."""

    subject_kind: Text = ""
    subject_id: UUID | None = None


@record("/tasks", view="tasks", edit="tasks", owned=True, statuses=TASK_STATUSES, entered_with=TaskSubject)
class Task:
    """What somebody is to do, and until when (TSK-01)."""

    title: Personal[Name]
    text: Personal[Note] = data(default="", searchable=True)
    due_at: Moment | None = None
    remind_minutes: Whole | None = data(default=None, filterable=False, sortable=False)
    priority: TaskPriority = data(first="NORMAL")


TASK = kind_of(Task)


@event("salestream.collaboration.task-about-record.v1", key="task_id")
class TaskAboutRecord:
    """A task that was just entered is about a record; `through` are those that it belongs to (TSK-01)."""

    task_id: UUID
    subject_kind: Text
    subject_id: UUID
    through: tuple[SubjectRef, ...]
    by: Person = SALESTREAM


@command(None, permission="system", key="task_id")
class RemindOfTask:
    """The moment has come of which a task was to be reminded, if it still is to be (NTF-04)."""

    task_id: UUID
    at: Moment


@event("salestream.collaboration.task-reminder-planned.v1", key="task_id")
class TaskReminderPlanned:
    """When those who have a task to do are reminded of it; null: they are not any more (NTF-04)."""

    task_id: UUID
    at: Moment | None
    by: Person = SALESTREAM


@event("salestream.collaboration.task-reminded.v1", key="task_id")
class TaskReminded:
    """Those who have a task to do are reminded: whose it is, and the `others` who may edit it too (NTF-04)."""

    task_id: UUID
    at: Moment
    due_at: Moment
    title: Personal[Text]
    owner: Person
    others: tuple[UUID, ...]
    by: Person = SALESTREAM
