"""The collaboration service: comments on records, files on them, contact about them, and what was viewed last."""

from collections.abc import Sequence
from functools import partial
from uuid import UUID

from chassis.model.context import user_named
from chassis.model.known_records import KnownRecord
from chassis.model.service import Service, Work
from contracts.collaboration import (
    AttachFile,
    DeleteAttachment,
    DeleteComment,
    DeleteCommunication,
    EditComment,
    EditCommunication,
    LogCommunication,
    RecordViewing,
    RegisterFile,
    WriteComment,
)
from contracts.declare import KEPT
from contracts.errors import Refused, not_found
from contracts.people import Person
from services.collaboration.communications import Communication, Timeline, timeline
from services.collaboration.domain import MOST_MENTIONED, Attachment, Comment, File, Uploader, Viewer, uploader, viewer
from services.collaboration.subjects import SUBJECTS, above, find_seen, require_reached, require_seen

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


SERVICE = Service(
    "collaboration",
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
    },
    replicas=[SUBJECTS],
    pages={
        "/comments/{comment_id}": Comment,
        "/attachments/{attachment_id}": Attachment,
        "/communications/{communication_id}": Communication,
    },
)
