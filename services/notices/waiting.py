"""Which of its own deliveries wait: a service can't ask its store for records in a state."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from chassis.model.service import Replica
from contracts.notices import DeliveryFailed, DeliveryPlanned, DeliveryPostponed, DeliveryRenewed, DeliverySent
from contracts.occasions import Way


@dataclass(frozen=True)
class Waiting:
    """A delivery that is to be sent at `due_at`."""

    delivery_id: UUID
    receiver_id: UUID
    way: Way
    due_at: datetime


def waits(_: Waiting | None, fact: DeliveryPlanned | DeliveryRenewed) -> Waiting:
    return Waiting(fact.delivery_id, fact.receiver_id, fact.way, fact.due_at)


def postponed(row: Waiting | None, fact: DeliveryPostponed) -> Waiting | None:
    return row and replace(row, due_at=fact.due_at)


def ended(_row: Waiting | None, _fact: DeliverySent | DeliveryFailed) -> None:
    """It waits no longer: all that wait are read each second."""


WAITING = Replica(
    "waiting-deliveries",
    Waiting,
    feeds={
        DeliveryPlanned: waits,
        DeliveryPostponed: postponed,
        DeliveryFailed: ended,
        DeliveryRenewed: waits,
        DeliverySent: ended,
    },
)
