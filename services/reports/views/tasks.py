"""What is to be done, by whom, until when, and about which record?  (TSK-01)"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from chassis.model.record_views import More, view_of
from chassis.model.views import KINDS_OF_SUBJECTS, NOW, Exact
from contracts.collaboration import TO_DO, Task, TaskAboutRecord
from contracts.statuses import STATUS
from contracts.subjects import RECORD_IDS, SUBJECT_ID, SUBJECT_KIND


@dataclass
class TaskColumns:
    """The record that a task is about, if any, with those to which that one belonged then; who gave it to whose it is;
    and whether it is late.
    """

    subject_kind: str
    subject_id: UUID | None
    record_ids: list[UUID]
    given_by_id: UUID | None
    given_by: str
    overdue: bool


def about(event: TaskAboutRecord) -> Mapping[str, Any]:
    return {
        SUBJECT_KIND: event.subject_kind,
        SUBJECT_ID: event.subject_id,
        RECORD_IDS: [event.subject_id, *(one.subject_id for one in event.through)],
    }


def given(event: Any) -> Mapping[str, Any]:
    return {"given_by_id": event.by.user_id, "given_by": event.by.name}


def overdue(row: Mapping[str, Any]) -> bool:
    """Whether a task is still to be done after the moment at which it was due."""
    return row.get(STATUS) in TO_DO and row.get("due_at") is not None and row["due_at"] < row[NOW]


VIEW = view_of(
    Task,
    More(
        TaskColumns,
        first={SUBJECT_KIND: "", SUBJECT_ID: None, RECORD_IDS: []},
        told={TaskAboutRecord: about},
        given=given,
        computed={"overdue": overdue},
        filters={
            SUBJECT_KIND: Exact(known=KINDS_OF_SUBJECTS),
            SUBJECT_ID: Exact(),
            "record_id": Exact(RECORD_IDS),
            "given_by_id": Exact(),
        },
    ),
)
