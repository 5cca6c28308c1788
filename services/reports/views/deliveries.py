"""What was sent to people by mail and other ways, and what could not be?  (NTF-03, NTF-05)"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from chassis.model.changes import Change, EventMetadata, Set
from chassis.model.views import Exact, Range, View, Words
from contracts.notices import DeliveryFailed, DeliveryPlanned, DeliveryPostponed, DeliveryRenewed, DeliverySent
from contracts.occasions import Occasion, Way


@dataclass
class DeliveryRow:
    """A notice that is sent by a way.  WAITING: it is tried at `due_at`, the `attempts` before have failed.

    `reason` says why the last of them did, as a code, RECIPIENT_550 for example: what a relay has answered.
    """

    id: UUID
    notice_id: UUID
    receiver_id: UUID
    receiver: str
    occasion: Occasion
    way: Way
    status: Literal["WAITING", "SENT", "FAILED"]
    attempts: int
    reason: str
    planned_at: datetime
    due_at: datetime | None
    sent_at: datetime | None
    version: int


def planned(event: DeliveryPlanned, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(
        event.delivery_id,
        notice_id=event.notice_id,
        receiver_id=event.receiver_id,
        receiver=event.receiver.name,
        occasion=event.occasion,
        way=event.way,
        status="WAITING",
        attempts=0,
        reason="",
        planned_at=metadata.at,
        due_at=event.due_at,
        sent_at=None,
        version=metadata.version,
    )


def postponed(event: DeliveryPostponed, metadata: EventMetadata) -> Iterable[Change]:
    about = {"attempts": event.attempt, "reason": event.reason, "due_at": event.due_at}
    yield Set(event.delivery_id, **about, version=metadata.version)


def sent(event: DeliverySent, metadata: EventMetadata) -> Iterable[Change]:
    about = {"attempts": event.attempt, "reason": "", "due_at": None, "sent_at": event.sent_at}
    yield Set(event.delivery_id, status="SENT", **about, version=metadata.version)


def failed(event: DeliveryFailed, metadata: EventMetadata) -> Iterable[Change]:
    about = {"attempts": event.attempt, "reason": event.reason, "due_at": None}
    yield Set(event.delivery_id, status="FAILED", **about, version=metadata.version)


def renewed(event: DeliveryRenewed, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.delivery_id, status="WAITING", due_at=event.due_at, version=metadata.version)


VIEW = View(
    name="deliveries",
    route="GET /deliveries",
    detail="delivery_id",
    row=DeliveryRow,
    permission="platform",
    what="delivery",
    handlers={
        DeliveryPlanned: planned,
        DeliveryPostponed: postponed,
        DeliverySent: sent,
        DeliveryFailed: failed,
        DeliveryRenewed: renewed,
    },
    filters={
        "status": Exact(),
        "way": Exact(),
        "occasion": Exact(),
        "receiver_id": Exact(),
        "notice_id": Exact(),
        "planned_at": Range(datetime),
        "q": Words("receiver", "reason"),
    },
    sorts=("planned_at",),
    default_sort="-planned_at",
)
