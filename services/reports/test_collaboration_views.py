"""What is shown of comments and of who has viewed what (COL-09, UIX-07)."""

from typing import Any
from uuid import UUID

from chassis.testing.people import SALES, SUPERVISOR
from chassis.testing.views import documents
from contracts.collaboration import CommentDeleted, CommentEdited, CommentWritten, RecordViewed, SubjectRef
from contracts.people import Person
from services.reports.views import comments, viewings

COMMENT, CUSTOMER, OTHER = (UUID(f"01900000-0000-7000-8000-00000000000{n}") for n in "cde")
LI, SATO = (Person(user_id=one.user_id, name=one.name) for one in (SALES, SUPERVISOR))
ABOUT: dict[str, Any] = {"comment_id": COMMENT, "subject_kind": "customer", "subject_id": CUSTOMER}


def test_col_09_a_comment_is_shown_as_it_reads_now_and_not_once_it_was_deleted() -> None:
    written = CommentWritten(**ABOUT, person_id=CUSTOMER, text="Ring back 明日", mentioned=(), by=LI)
    edited = CommentEdited(
        **ABOUT, person_id=CUSTOMER, text="At ten", mentioned=(SATO,), newly_mentioned=(SATO,), by=LI
    )
    [row] = documents(comments.VIEW, [written]).values()
    assert (row["text"], row["author_id"], row["edited_at"]) == ("Ring back 明日", str(LI.user_id), None)
    [row] = documents(comments.VIEW, [written, edited]).values()
    assert (row["text"], row["mentioned_ids"], row["version"]) == ("At ten", [str(SATO.user_id)], 2)
    assert row["edited_at"] is not None
    assert documents(comments.VIEW, [written, edited, CommentDeleted(**ABOUT, by=LI)]) == {}


def viewed(id: UUID, *forgotten: UUID) -> RecordViewed:
    gone = tuple(SubjectRef(subject_kind="customer", subject_id=one) for one in forgotten)
    assert LI.user_id is not None
    return RecordViewed(viewer_id=LI.user_id, subject_kind="customer", subject_id=id, forgotten=gone, by=LI)


def test_uix_07_the_log_has_every_view_and_ones_own_list_each_record_once() -> None:
    facts = [viewed(OTHER), viewed(CUSTOMER), viewed(CUSTOMER, OTHER)]
    [row] = documents(viewings.RECENT, facts).values()
    assert (row["subject_id"], row["viewer_id"]) == (str(CUSTOMER), str(LI.user_id))
    assert [row["subject_id"] for row in documents(viewings.VIEWINGS, facts).values()] == [
        str(OTHER), str(CUSTOMER), str(CUSTOMER),
    ]  # fmt: skip
