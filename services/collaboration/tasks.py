"""Tasks: what somebody is to do, about which record, and when those who have it to do are reminded (TSK-01, NTF-04)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

from chassis.model.aggregates import Aggregate, applies
from chassis.model.context import Context
from chassis.model.records import Record
from contracts.collaboration import (
    TASK,
    TO_DO,
    RemindOfTask,
    SubjectRef,
    TaskAboutRecord,
    TaskReminded,
    TaskReminderPlanned,
    TaskSubject,
)
from contracts.ids import beside

FIRST_MOMENT = datetime.min.replace(tzinfo=UTC)


@dataclass
class TaskRecord(Record):
    """A task: what it is, whose, until when, and how far it has come."""

    kind = TASK

    @property
    def remind_at(self) -> datetime | None:
        """When those who have it to do are to be reminded; None where they aren't, or it is done."""
        if self.deleted or self.status not in TO_DO or self.data.due_at is None or self.data.remind_minutes is None:
            return None
        due: datetime = self.data.due_at
        return due - min(timedelta(minutes=self.data.remind_minutes), due - FIRST_MOMENT)

    def others(self, context: Context) -> tuple[UUID, ...]:
        """Those who have a part in it: with whom it is shared to edit, as long as they are there themselves.

        What was shared with somebody who has left is nothing that their successor sees (ADR 0046).
        """
        return tuple(
            share.with_id
            for share in self.shares
            if share.kind == "USER"
            and share.access == "EDIT"
            and (share.until is None or context.today <= share.until)
            and context.organisation.standing_in(share.with_id) == share.with_id
        )

    def be_about(self, subject: TaskSubject, through: Iterable[SubjectRef], context: Context) -> None:
        """Say which record it is about, and to which others that belongs."""
        assert subject.subject_id is not None, "it is about one"
        self.record(
            TaskAboutRecord(
                task_id=self.id,
                subject_kind=subject.subject_kind,
                subject_id=subject.subject_id,
                through=tuple(through),
                by=context.user,
            )
        )

    @applies(TaskAboutRecord)
    def _about(self, _: TaskAboutRecord) -> None:
        """Nothing to remember: no rule depends on it."""


def reminder_id(task: UUID) -> UUID:
    """Under which the reminder of a task stands."""
    return beside(task, uuid5(task, "task-reminder"))


@dataclass
class TaskReminder(Aggregate):
    """When those who have a task to do are reminded next, and for which moment they were.

    Not a part of the task: who changes what they have read is not too late by a reminder.
    """

    at: datetime | None = None
    told: datetime | None = None

    def plan(self, task: TaskRecord, context: Context) -> None:
        """Take for when to remind what the task says now: not again for a moment for which it was done, and none when
        it is too late."""
        at = task.remind_at
        if at is not None and at != self.at and (at == self.told or task.data.due_at <= context.now):
            at = None
        self._plan(task.id, at, context)

    def remind(self, command: RemindOfTask, task: TaskRecord, context: Context, *, is_erased: bool) -> None:
        """Remind of it, if that moment is still the one and has come; of a task whose key is gone there is nothing to
        tell."""
        if self.at is None or self.at != command.at or self.at > context.now:
            return
        if task.remind_at is None or is_erased:
            self._plan(task.id, None, context)
            return
        self.record(
            TaskReminded(
                task_id=task.id,
                at=self.at,
                due_at=task.data.due_at,
                title=task.data.title,
                owner=task.owner,
                others=task.others(context),
                by=context.user,
            )
        )

    def _plan(self, task: UUID, at: datetime | None, context: Context) -> None:
        if at != self.at:
            self.record(TaskReminderPlanned(task_id=task, at=at, by=context.user))

    @applies(TaskReminderPlanned)
    def _planned(self, fact: TaskReminderPlanned) -> None:
        self.at = fact.at

    @applies(TaskReminded)
    def _reminded(self, fact: TaskReminded) -> None:
        self.at, self.told = None, fact.at
