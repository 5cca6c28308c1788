"""What is shown of comments, of contact with customers and of who has viewed what (COL-09, COM-01..08, UIX-07)."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from chassis.catalogue import Catalogue
from chassis.documents.samples import sample
from chassis.model.views import NOW
from chassis.testing.people import SALES, SUPERVISOR
from chassis.testing.views import documents
from contracts.collaboration import (
    TASK,
    CommentDeleted,
    CommentEdited,
    CommentWritten,
    CommunicationData,
    CommunicationDeleted,
    CommunicationEdited,
    CommunicationLogged,
    RecordViewed,
    SubjectRef,
    Task,
    TaskAboutRecord,
)
from contracts.people import Person
from contracts.records import KINDS, Kind
from contracts.schemas import load
from contracts.subjects import FollowUpsChanged
from services.reports.views import comments, communications, tasks, viewings

COMMENT, CUSTOMER, OTHER = (UUID(f"01900000-0000-7000-8000-00000000000{n}") for n in "cde")
LI, SATO = (Person(user_id=one.user_id, name=one.name) for one in (SALES, SUPERVISOR))
AT = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
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


def test_com_06_a_timeline_shows_contact_as_it_reads_now_with_all_that_it_counts_for() -> None:
    about: dict[str, Any] = {"communication_id": COMMENT, "subject_kind": "contact", "subject_id": OTHER}
    customer = SubjectRef(subject_kind="customer", subject_id=CUSTOMER)
    data = CommunicationData(form="CALL", at=AT, way="PHONE", text="Ring back 明日", phone="+81 3 5555")
    logged = CommunicationLogged(
        **about, through=(customer,), person_id=OTHER, data=data, author=LI, logged_at=AT, by=SATO
    )
    [row] = documents(communications.VIEW, [logged]).values()
    assert row["record_ids"] == [str(OTHER), str(CUSTOMER)]
    assert (row["form"], row["way"], row["phone"], row["edited_at"]) == ("CALL", "PHONE", "+81 3 5555", None)
    assert (row["author_id"], row["author"], row["at"], row["logged_at"]) == (str(LI.user_id), "li", AT, AT)
    edited = CommunicationEdited(**about, person_id=OTHER, data=replace(data, text="At ten", phone=None), by=SATO)
    [row] = documents(communications.VIEW, [logged, edited]).values()
    assert (row["text"], row["phone"], row["author"], row["version"]) == ("At ten", None, "li", 2)
    assert row["record_ids"] == [str(OTHER), str(CUSTOMER)] and row["edited_at"] is not None
    assert documents(communications.VIEW, [logged, edited, CommunicationDeleted(**about, by=LI)]) == {}


@pytest.mark.parametrize("kind", [kind for kind in KINDS.values() if kind.pool], ids=lambda kind: kind.what)
def test_com_01_the_row_of_a_record_shows_the_last_contact_and_the_next_and_nobody_elses(kind: Kind) -> None:
    view = next(view for view in Catalogue.read().views() if view.kind == kind.code)
    made: Any = replace(load(kind.created, sample(kind.created)), **{kind.key: CUSTOMER})
    told = FollowUpsChanged(
        subject_kind=kind.code, subject_id=CUSTOMER, followed_up_on=date(2026, 3, 2), planned_on=date(2026, 3, 9)
    )
    of_another = replace(told, subject_kind="survey", followed_up_on=date(2026, 3, 3))
    for facts in ([made, told, of_another], [told, of_another, made]):
        [row] = documents(view, facts).values()
        assert (row["followed_up_on"], row["next_contact_on"]) == ("2026-03-02", "2026-03-09")
    [row] = documents(view, [made, told, replace(told, followed_up_on=None, planned_on=None)]).values()
    assert row["version"] == 1, "the record itself has not changed"
    assert (row["followed_up_on"], row["next_contact_on"]) == (None, None)


def task(**more: Any) -> list[Any]:
    """A task that sato has given to li."""
    data = Task(title="寄样品", due_at=AT, priority="HIGH", **more)
    return [TASK.created(task_id=COMMENT, data=data, owner=LI, status="OPEN", by=SATO)]


def test_tsk_01_a_task_is_shown_with_all_that_it_is_about_and_who_gave_it() -> None:
    customer = SubjectRef(subject_kind="customer", subject_id=CUSTOMER)
    about = TaskAboutRecord(task_id=COMMENT, subject_kind="contact", subject_id=OTHER, through=(customer,), by=SATO)
    [row] = documents(tasks.VIEW, task()).values()
    assert (row["subject_kind"], row["subject_id"], row["record_ids"]) == ("", None, [])
    [row] = documents(tasks.VIEW, [*task(), about]).values()
    assert (row["subject_kind"], row["record_ids"]) == ("contact", [str(OTHER), str(CUSTOMER)])
    assert (row["given_by"], row["given_by_id"], row["owner_name"], row["version"]) == (
        "sato", str(SATO.user_id), "li", 2,
    )  # fmt: skip
    handed = TASK.assigned(task_id=COMMENT, owner=SATO, before=LI, by=LI)
    [row] = documents(tasks.VIEW, [*task(), about, handed]).values()
    assert (row["given_by"], row["owner_name"], row["priority"]) == ("li", "sato", "HIGH")


@pytest.mark.parametrize(
    ("status", "late", "is_overdue"),
    [("OPEN", 1, True), ("IN_WORK", 1, True), ("OPEN", 0, False), ("OPEN", -1, False), ("DONE", 1, False),
     ("CANCELLED", 1, False)],
)  # fmt: skip
def test_tsk_01_what_is_still_to_be_done_after_it_was_due_is_overdue(status: str, late: int, is_overdue: bool) -> None:
    set_to = TASK.status_set(task_id=COMMENT, before="OPEN", status=status, by=LI)
    [row] = documents(tasks.VIEW, [*task(), set_to]).values()
    assert tasks.overdue({**row, NOW: AT + timedelta(seconds=late)}) is is_overdue
    assert tasks.overdue({**row, "due_at": None, NOW: AT}) is False
