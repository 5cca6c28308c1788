"""The collaboration service: comments on records, files on them, contact about them, tasks, what was viewed last."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from chassis.model.context import user_named
from chassis.model.known_records import KnownRecord, place_of
from chassis.model.service import Moments, Replica, Service, Work
from contracts.collaboration import (
    TASK,
    AttachFile,
    DeleteAttachment,
    DeleteComment,
    DeleteCommunication,
    EditComment,
    EditCommunication,
    LogCommunication,
    RecordViewing,
    RegisterFile,
    RemindOfContact,
    RemindOfTask,
    SubjectRef,
    TaskReminded,
    TaskReminderPlanned,
    WriteComment,
)
from contracts.declare import KEPT
from contracts.errors import Refused, not_found
from contracts.people import Person
from contracts.schedules import AsOf, Done
from contracts.subjects import SUBJECT_ID, FollowUpsChanged
from services.collaboration.communications import (
    Communication,
    ContactReminder,
    Timeline,
    contact_reminder_id,
    timeline,
)
from services.collaboration.domain import MOST_MENTIONED, Attachment, Comment, File, Uploader, Viewer, uploader, viewer
from services.collaboration.subjects import SUBJECTS, above, find_seen, require_reached, require_seen
from services.collaboration.tasks import TaskRecord, TaskReminder, reminder_id

COMMENT, FILE, ATTACHMENT, COMMUNICATION = "comment", "file", "attachment", "communication"


def write_comment(command: WriteComment, work: Work) -> Comment:
    subject = require_seen(work, command.subject_kind, command.subject_id)
    comment = work.new(Comment, command.comment_id, what=COMMENT, field="comment_id")
    comment.write(command, subject.person_id, mentioned(work, subject, command.mentions), work.context)
    return comment


def edit_comment(command: EditComment, work: Work) -> Comment:
    comment, subject = comment_seen(work, command.comment_id)
    named = None if command.mentions is KEPT else mentioned(work, subject, command.mentions)
    comment.edit(command, named, work.context)
    return comment


def delete_comment(command: DeleteComment, work: Work) -> Comment:
    comment, _ = comment_seen(work, command.comment_id)
    comment.delete(command, work.context)
    for id in comment.files:
        attachment = work.get(Attachment, id, what=ATTACHMENT, field="comment_id")
        if not attachment.deleted:
            attachment.take_away(work.context)
    return comment


def comment_seen(work: Work, id: UUID) -> tuple[Comment, KnownRecord]:
    """A comment, and the record it is about.  Raises Refused NOT_FOUND, also where the caller may not see that."""
    comment = work.get(Comment, id, what=COMMENT, field="comment_id")
    subject = None if comment.deleted else find_seen(work, comment.subject_kind, comment.subject_id)
    if subject is None:
        raise not_found(COMMENT, "comment_id")
    return comment, subject


def mentioned(work: Work, subject: KnownRecord, ids: Sequence[UUID]) -> list[Person]:
    """The users whom a comment is for.

    Raises Refused for one who is not known, has left, or may not see the record: nobody would tell them of it.
    """
    organisation, today, found = work.context.organisation, work.context.today, []
    find = partial(work.lookup, SUBJECTS)
    for id in ids:
        person = user_named(organisation, id, "mentions")
        if not subject.is_seen(lambda right, id=id: organisation.reach_of(id, right), today, find):  # type: ignore[misc]
            raise Refused("collaboration.cannot_see", name=person.name, kind=subject.kind, field="mentions")
        found.append(person)
    if len(found) > MOST_MENTIONED:
        raise Refused("collaboration.most_mentioned", most=MOST_MENTIONED, field="mentions")
    return found


def register_file(command: RegisterFile, work: Work) -> File:
    file = work.find_or_new(File, command.file_id)
    if file.register(command, work.context) and work.context.user.user_id is not None:
        work.find_or_new(Uploader, uploader(work.context.user.user_id)).wait_for(file, work.context)
    return file


def attach_file(command: AttachFile, work: Work) -> Attachment:
    subject = require_seen(work, command.subject_kind, command.subject_id)
    attachment = work.new(Attachment, command.attachment_id, what=ATTACHMENT, field="attachment_id")
    if command.comment_id is not None:
        own_comment(work, command).take_file(attachment.id)
    file = work.get(File, command.file_id, what=FILE, field="file_id")
    file.use(attachment.id, work.context)
    if file.by.user_id is not None:
        work.find_or_new(Uploader, uploader(file.by.user_id)).settle(file.id)
    attachment.attach(command, file, subject.person_id, work.context)
    return attachment


def own_comment(work: Work, command: AttachFile) -> Comment:
    """The comment that a file is put on.  Raises Refused for one on another record, or of somebody else: what they say
    is theirs."""
    assert command.comment_id is not None
    comment = work.get(Comment, command.comment_id, what=COMMENT, field="comment_id")
    is_there = (comment.subject_kind, comment.subject_id) == (command.subject_kind, command.subject_id)
    if comment.deleted or not is_there:
        raise not_found(COMMENT, "comment_id")
    if comment.author.user_id != work.context.user.user_id:
        raise Refused("collaboration.not_your_comment", field="comment_id")
    return comment


def delete_attachment(command: DeleteAttachment, work: Work) -> Attachment:
    attachment = work.get(Attachment, command.attachment_id, what=ATTACHMENT, field="attachment_id")
    comment = work.find(Comment, attachment.comment_id) if attachment.comment_id else None
    if not attachment.is_on(comment) or find_seen(work, attachment.subject_kind, attachment.subject_id) is None:
        raise not_found(ATTACHMENT, "attachment_id")
    attachment.delete(command, work.context)
    return attachment


def record_viewing(command: RecordViewing, work: Work) -> Viewer:
    require_seen(work, command.subject_kind, command.subject_id)
    user_id = work.context.user.user_id
    assert user_id is not None, "who is signed in has an id"
    seen = work.find_or_new(Viewer, viewer(user_id))
    seen.view(command, user_id, work.context)
    return seen


def log_communication(command: LogCommunication, work: Work) -> Communication:
    subject = require_seen(work, command.subject_kind, command.subject_id)
    require_reached(work, subject)
    communication = work.new(Communication, command.communication_id, what=COMMUNICATION, field="communication_id")
    communication.log(command, subject.person_id, above(work, subject), work.context)
    note(communication, work)
    return communication


def edit_communication(command: EditCommunication, work: Work) -> Communication:
    communication = communication_seen(work, command.communication_id)
    communication.edit(command, work.context)
    note(communication, work)
    return communication


def delete_communication(command: DeleteCommunication, work: Work) -> Communication:
    communication = communication_seen(work, command.communication_id)
    communication.delete(command, work.context)
    for subject in communication.subjects:
        work.find_or_new(Timeline, timeline(subject)).strike(communication, subject, work.context)
    return communication


def note(communication: Communication, work: Work) -> None:
    """Contact about a record is contact about what that one belongs to (COM-01)."""
    for subject in communication.subjects:
        work.find_or_new(Timeline, timeline(subject)).note(communication, subject, work.context)


def communication_seen(work: Work, id: UUID) -> Communication:
    """What was written of contact.  Raises Refused NOT_FOUND, also where the caller may not see the record."""
    communication = work.get(Communication, id, what=COMMUNICATION, field="communication_id")
    if communication.deleted or find_seen(work, communication.subject_kind, communication.subject_id) is None:
        raise not_found(COMMUNICATION, "communication_id")
    return communication


# -- the day planned for the next contact (NTF-04)


@dataclass(frozen=True)
class PlannedContact:
    """A record about which the next contact is planned, and for which day."""

    subject_kind: str
    subject_id: UUID
    day: date


def contact_planned(_: PlannedContact | None, fact: FollowUpsChanged) -> PlannedContact | None:
    return PlannedContact(fact.subject_kind, fact.subject_id, fact.planned_on) if fact.planned_on else None


PLANNED_CONTACTS = Replica(
    "planned-contacts",
    PlannedContact,
    feeds={FollowUpsChanged: contact_planned},
    key=lambda fact: place_of(fact.subject_kind, fact.subject_id),
)
REMINDED_AT_ONCE = 200
"""So many plans are looked at in one transaction."""
REMINDED_LATE = timedelta(days=7)
"""Of a day that is longer ago nobody is reminded: a service that was just set up would remind of years."""


def remind_of_contact(as_of: AsOf, work: Work) -> Done:
    """Remind of every contact that is planned for this day, or was for the last ones, and was not reminded of."""
    number, rows = 0, work.rows_after(PLANNED_CONTACTS, as_of.after, REMINDED_AT_ONCE)
    for _, row in rows:
        if timedelta(0) <= as_of.day - row.day <= REMINDED_LATE:
            number += _remind_of(row, work)
    is_more = len(rows) == REMINDED_AT_ONCE
    return Done(number, goes_on=is_more, reached=rows[-1][0] if is_more else "")


def _remind_of(row: PlannedContact, work: Work) -> bool:
    """Remind of what is planned about a record, if it still is: by whichever record that is reached through it."""
    found = work.find(Timeline, timeline(SubjectRef(subject_kind=row.subject_kind, subject_id=row.subject_id)))
    plan = found.plan if found else None
    if plan is None or plan.next_contact_on != row.day:
        return False
    communication = work.get(Communication, plan.communication_id, what=COMMUNICATION, field="communication_id")
    known = work.lookup(SUBJECTS, place_of(communication.subject_kind, communication.subject_id))
    to = next(_who_contacts(communication, known, work), None) if known else None
    if to is None or (communication.person_id and work.is_erased(communication.person_id)):
        return False
    reminder = work.find_or_new(ContactReminder, contact_reminder_id(communication.id))
    return reminder.remind(communication, to, work.context)


def _who_contacts(communication: Communication, known: KnownRecord, work: Work) -> Iterator[Person]:
    """Who keeps what was planned, of those who see the record: who planned it, or took over, or whose it is."""
    organisation, find = work.context.organisation, partial(work.lookup, SUBJECTS)
    whose = known.whose(find)
    for id in (communication.author.user_id, *(whose.owners if whose else ())):
        heir = organisation.standing_in(id) if id else None
        person = organisation.person(heir) if heir else None
        if heir and person and known.is_seen(partial(organisation.reach_of, heir), work.context.today, find):
            yield person


# -- tasks (TSK-01)


@dataclass(frozen=True)
class WaitingTask:
    """A task of which somebody is to be reminded, and when."""

    task_id: UUID
    at: datetime


def reminder_planned(_: WaitingTask | None, fact: TaskReminderPlanned) -> WaitingTask | None:
    return WaitingTask(fact.task_id, fact.at) if fact.at else None


def task_reminded(_row: WaitingTask | None, _: TaskReminded) -> None:
    """It waits no longer."""


WAITING_TASKS = Replica(
    "waiting-tasks", WaitingTask, feeds={TaskReminderPlanned: reminder_planned, TaskReminded: task_reminded}
)


def enter_task(task: Any, command: Any, work: Work) -> None:
    """What a task is about, whoever enters it may see."""
    if command.subject_kind or command.subject_id:
        if command.subject_id is None:
            raise Refused("forms.required", field=SUBJECT_ID)
        subject = require_seen(work, command.subject_kind, command.subject_id)
        task.be_about(command, above(work, subject), work.context)
    plan_reminder(task, command, work)


def plan_reminder(task: Any, _: Any, work: Work) -> None:
    work.find_or_new(TaskReminder, reminder_id(task.id)).plan(task, work.context)


def remind_of_task(command: RemindOfTask, work: Work) -> TaskReminder:
    reminder = work.find_or_new(TaskReminder, reminder_id(command.task_id))
    task = work.get(TaskRecord, command.task_id, what=TASK.what, field=TASK.key)
    reminder.remind(command, task, work.context, is_erased=work.is_erased(task.id))
    return reminder


PLANNED_ANEW_BY = (TASK.edit, TASK.revert, TASK.delete, TASK.restore, TASK.set_status)

SERVICE = Service(
    "collaboration",
    records=[TaskRecord],
    besides={TASK.create: enter_task, **dict.fromkeys(PLANNED_ANEW_BY, plan_reminder)},
    commands={
        WriteComment: write_comment,
        EditComment: edit_comment,
        DeleteComment: delete_comment,
        RegisterFile: register_file,
        AttachFile: attach_file,
        DeleteAttachment: delete_attachment,
        RecordViewing: record_viewing,
        LogCommunication: log_communication,
        EditCommunication: edit_communication,
        DeleteCommunication: delete_communication,
        RemindOfTask: remind_of_task,
    },
    replicas=[SUBJECTS, PLANNED_CONTACTS, WAITING_TASKS],
    schedules={RemindOfContact: remind_of_contact},
    moments=[
        Moments(WAITING_TASKS, at=lambda row: row.at, command=lambda row: RemindOfTask(task_id=row.task_id, at=row.at))
    ],
    pages={
        "/comments/{comment_id}": Comment,
        "/attachments/{attachment_id}": Attachment,
        "/communications/{communication_id}": Communication,
    },
)
