"""What people say about records, and what they have looked at last (COL-09, UIX-07)."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from chassis.model.aggregates import Aggregate, applies
from chassis.model.context import Context
from chassis.model.identity import Named
from contracts.collaboration import (
    MODERATION,
    CommentDeleted,
    CommentEdited,
    CommentWritten,
    DeleteComment,
    EditComment,
    RecordViewed,
    RecordViewing,
    SubjectRef,
    WriteComment,
)
from contracts.declare import KEPT
from contracts.errors import Refused
from contracts.people import SALESTREAM, Person

NO_RECORD = UUID(int=0)
MOST_MENTIONED = 50
MOST_RECENT = 100
"""So many records are on the list of what somebody has viewed last."""


def viewer(user_id: UUID) -> Named:
    """What names the list of what somebody has viewed last."""
    return Named("viewer_id", str(user_id))


@dataclass
class Comment(Aggregate):
    """What somebody has said about a record."""

    subject_kind: str = ""
    subject_id: UUID = NO_RECORD
    text: str = ""
    mentioned: tuple[Person, ...] = ()
    author: Person = SALESTREAM
    deleted: bool = False

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

    def edit(
        self, command: EditComment, person_id: UUID | None, mentioned: Sequence[Person] | None, context: Context
    ) -> None:
        """Nothing happens when it reads so already.  Raises Refused FORBIDDEN for the comment of somebody else."""
        if self.author.user_id != context.user.user_id:
            raise Refused("collaboration.not_your_comment", field="comment_id")
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
                person_id=person_id,
                text=text,
                mentioned=named,
                newly_mentioned=tuple(person for person in named if person.user_id not in before),
                by=context.user,
            )
        )

    def delete(self, _: DeleteComment, context: Context) -> None:
        """Raises Refused FORBIDDEN for that of somebody whom the caller's right to moderate does not reach."""
        is_own = self.author.user_id == context.user.user_id
        if not is_own and not context.reach_of(MODERATION).covers(self.author.user_id):
            raise Refused("collaboration.not_your_comment", field="comment_id")
        self.record(
            CommentDeleted(
                comment_id=self.id, subject_kind=self.subject_kind, subject_id=self.subject_id, by=context.user
            )
        )

    @applies(CommentWritten)
    def _written(self, fact: CommentWritten) -> None:
        self.subject_kind, self.subject_id = fact.subject_kind, fact.subject_id
        self.text, self.mentioned, self.author = fact.text, fact.mentioned, fact.by

    @applies(CommentEdited)
    def _edited(self, fact: CommentEdited) -> None:
        self.text, self.mentioned = fact.text, fact.mentioned

    @applies(CommentDeleted)
    def _deleted(self, _: CommentDeleted) -> None:
        self.text, self.deleted = "", True


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
