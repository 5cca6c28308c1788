"""The collaboration service: comments on records, and what people have viewed last."""

from collections.abc import Sequence
from uuid import UUID

from chassis.model.context import user_named
from chassis.model.service import Service, Work
from contracts.collaboration import DeleteComment, EditComment, RecordViewing, WriteComment
from contracts.declare import KEPT
from contracts.errors import Refused, not_found
from contracts.people import Person
from services.collaboration.domain import MOST_MENTIONED, Comment, Viewer, viewer
from services.collaboration.subjects import SUBJECTS, Subject, find_seen, require_seen

COMMENT = "comment"


def write_comment(command: WriteComment, work: Work) -> Comment:
    subject = require_seen(work, command.subject_kind, command.subject_id)
    comment = work.new(Comment, command.comment_id, what=COMMENT, field="comment_id")
    comment.write(command, subject.person_id, mentioned(work, subject, command.mentions), work.context)
    return comment


def edit_comment(command: EditComment, work: Work) -> Comment:
    comment, subject = comment_seen(work, command.comment_id)
    named = None if command.mentions is KEPT else mentioned(work, subject, command.mentions)
    comment.edit(command, subject.person_id, named, work.context)
    return comment


def delete_comment(command: DeleteComment, work: Work) -> Comment:
    comment, _ = comment_seen(work, command.comment_id)
    comment.delete(command, work.context)
    return comment


def comment_seen(work: Work, id: UUID) -> tuple[Comment, Subject]:
    """A comment, and the record it is about.  Raises Refused NOT_FOUND, also where the caller may not see that."""
    comment = work.get(Comment, id, what=COMMENT, field="comment_id")
    subject = None if comment.deleted else find_seen(work, comment.subject_kind, comment.subject_id)
    if subject is None:
        raise not_found(COMMENT, "comment_id")
    return comment, subject


def mentioned(work: Work, subject: Subject, ids: Sequence[UUID]) -> list[Person]:
    """The users whom a comment is for.

    Raises Refused for one who is not known, has left, or may not see the record: nobody would tell them of it.
    """
    organisation, found = work.context.organisation, []
    for id in dict.fromkeys(ids):
        person = user_named(organisation, id, "mentions")
        if not subject.is_seen(lambda right, id=id: organisation.reach_of(id, right)):  # type: ignore[misc]
            raise Refused("collaboration.cannot_see", name=person.name, kind=subject.kind, field="mentions")
        found.append(person)
    if len(found) > MOST_MENTIONED:
        raise Refused("collaboration.most_mentioned", most=MOST_MENTIONED, field="mentions")
    return found


def record_viewing(command: RecordViewing, work: Work) -> Viewer:
    require_seen(work, command.subject_kind, command.subject_id)
    user_id = work.context.user.user_id
    assert user_id is not None, "who is signed in has an id"
    seen = work.find_or_new(Viewer, viewer(user_id))
    seen.view(command, user_id, work.context)
    return seen


SERVICE = Service(
    "collaboration",
    commands={
        WriteComment: write_comment,
        EditComment: edit_comment,
        DeleteComment: delete_comment,
        RecordViewing: record_viewing,
    },
    replicas=[SUBJECTS],
)
