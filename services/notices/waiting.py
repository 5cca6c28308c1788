"""Which of its own deliveries wait: a service can't ask its store for records in a state."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from chassis.model.service import Replica
from contracts.notices import DeliveryFailed, DeliveryPlanned, DeliveryPostponed, DeliveryRenewed, DeliverySent
from contracts.occasions import Way


@dataclass(frozen=True)
class Waiting:
    """A delivery that is to be sent at `due_at`; one that has failed waits for nobody (`due_at` None)."""

    delivery_id: UUID
    notice_id: UUID
    receiver_id: UUID
    way: Way
    due_at: datetime | None
    attempts: int = 0


def planned(_: Waiting | None, fact: DeliveryPlanned) -> Waiting:
    return Waiting(fact.delivery_id, fact.notice_id, fact.receiver_id, fact.way, fact.due_at)


def postponed(row: Waiting | None, fact: DeliveryPostponed) -> Waiting | None:
    return row and replace(row, due_at=fact.due_at, attempts=fact.attempt)


def failed(row: Waiting | None, fact: DeliveryFailed) -> Waiting | None:
    return row and replace(row, due_at=None, attempts=fact.attempt)


def renewed(row: Waiting | None, fact: DeliveryRenewed) -> Waiting | None:
    return row and replace(row, due_at=fact.due_at)


def sent(_row: Waiting | None, _fact: DeliverySent) -> None:
    """It waits no longer."""


WAITING = Replica(
    "waiting-deliveries",
    Waiting,
    feeds={
        DeliveryPlanned: planned,
        DeliveryPostponed: postponed,
        DeliveryFailed: failed,
        DeliveryRenewed: renewed,
        DeliverySent: sent,
    },
)
