"""What is sent to one person by one way: tried until it is sent or has failed, by hand once more (NTF-03, NTF-05)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Self
from uuid import UUID, uuid5

from chassis.model.aggregates import Aggregate, applies
from chassis.model.context import Context, is_before
from contracts.errors import Refused
from contracts.notices import (
    DeliveryFailed,
    DeliveryPlanned,
    DeliveryPostponed,
    DeliveryRenewed,
    DeliverySent,
    NoteAttempt,
    NoticeGiven,
    SendAgain,
)
from contracts.occasions import Way
from contracts.people import Person

DELIVERY = "delivery"
PAUSES: Sequence[timedelta] = tuple(timedelta(minutes=one) for one in (1, 5, 15, 60, 180, 360, 720))
"""After each try that failed; after the last one it has failed for good: a day later in sum."""
LONGEST_WAIT = timedelta(hours=25)
"""What waits, for a next try or for the end of quiet hours, waits so long at most: some days have 25 hours."""
NOTHING = UUID(int=0)


def is_come(due_at: datetime, now: datetime) -> bool:
    """Whether the moment has come at which something is to be sent, also by a clock that was ahead and is set right."""
    return not is_before(now, due_at, LONGEST_WAIT)


def delivery_id(notice: UUID, way: Way) -> UUID:
    """The id of what is sent of a notice by a way."""
    return uuid5(notice, way)


@dataclass
class Delivery(Aggregate):
    """A notice on its way to its receiver."""

    notice_id: UUID = NOTHING
    receiver_id: UUID = NOTHING
    due_at: datetime = datetime.max
    status: Literal["NEW", "WAITING", "SENT", "FAILED"] = "NEW"
    way: Way = "MAIL"
    attempts: int = 0
    before: int = 0  # attempts until it was last sent again by hand

    @classmethod
    def on_page(cls, row: Mapping[str, Any]) -> Self:
        delivery = super().on_page(row)
        delivery.status = row["status"]
        return delivery

    def require_may(self, command: type, context: Context) -> None:
        """What has not failed is not sent again."""
        if command is SendAgain and self.status != "FAILED":
            raise Refused("notices.not_failed", field="delivery_id", state=self.status)

    def plan(self, notice: NoticeGiven, receiver: Person, way: Way, due_at: datetime) -> None:
        """Have it sent from a moment on."""
        self.record(
            DeliveryPlanned(
                delivery_id=self.id,
                notice_id=notice.notice_id,
                receiver_id=notice.receiver_id,
                receiver=receiver,
                occasion=notice.occasion,
                way=way,
                due_at=due_at,
            )
        )

    def is_due(self, now: datetime) -> bool:
        """Whether it is to be sent now."""
        return self.status == "WAITING" and is_come(self.due_at, now)

    def note(self, command: NoteAttempt, context: Context) -> None:
        """What came of a try.  One that another process has noted before says nothing new."""
        if self.status != "WAITING" or command.attempt != self.attempts + 1:
            return
        about: dict[str, Any] = {"delivery_id": self.id, "receiver_id": self.receiver_id}
        if not command.reason:
            self.record(DeliverySent(**about, attempt=command.attempt, sent_at=context.now))
        elif command.for_good or command.attempt - self.before > len(PAUSES):
            self.record(DeliveryFailed(**about, attempt=command.attempt, reason=command.reason))
        else:
            again = context.now + PAUSES[command.attempt - self.before - 1]
            postponed = DeliveryPostponed(**about, attempt=command.attempt, reason=command.reason, due_at=again)
            self.record(postponed)

    def send_again(self, _: SendAgain, context: Context) -> None:
        """Try it from the beginning.  Raises Refused INVALID_STATE for one that has not failed."""
        self.require_may(SendAgain, context)
        self.record(
            DeliveryRenewed(
                delivery_id=self.id,
                receiver_id=self.receiver_id,
                way=self.way,
                due_at=context.now,
                by=context.user,
            )
        )

    @applies(DeliveryPlanned)
    def _planned(self, fact: DeliveryPlanned) -> None:
        self.status, self.due_at = "WAITING", fact.due_at
        self.notice_id, self.receiver_id, self.way = fact.notice_id, fact.receiver_id, fact.way

    @applies(DeliveryPostponed)
    def _postponed(self, fact: DeliveryPostponed) -> None:
        self.attempts, self.due_at = fact.attempt, fact.due_at

    @applies(DeliverySent)
    def _sent(self, _: DeliverySent) -> None:
        self.status = "SENT"

    @applies(DeliveryFailed)
    def _failed(self, fact: DeliveryFailed) -> None:
        self.status, self.attempts = "FAILED", fact.attempt

    @applies(DeliveryRenewed)
    def _renewed(self, fact: DeliveryRenewed) -> None:
        self.status, self.before, self.due_at = "WAITING", self.attempts, fact.due_at
