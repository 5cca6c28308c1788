"""What this service lets be sent, and by which command it notes what came of it (`chassis.delivery.courier`)."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from chassis.delivery import port
from chassis.delivery.courier import Parcel
from chassis.foundation.config import Config
from chassis.store.event_store import EventStore
from contracts.notices import NoteAttempt, NoticeForgotten, NoticeGiven
from contracts.schemas import decode
from services.notices.domain.deliveries import Delivery
from services.notices.known_of_others import CONTACTS, Contact
from services.notices.waiting import WAITING, Waiting


class Outgoing:
    """The deliveries that wait (`chassis.delivery.courier.Outbox`)."""

    def __init__(self, config: Config) -> None:
        self._home = config.public_address.rstrip("/")

    def due(self, store: EventStore, now: datetime, most: int) -> Sequence[Parcel]:
        """The replica of what waits may be behind: what was tried meanwhile is known by its number."""
        rows = (decode(WAITING.row, body) for body in store.rows(WAITING.name))
        due = sorted((row.due_at, row.delivery_id, row) for row in rows if row.due_at and row.due_at <= now)
        parcels = (self._parcel(row, store) for _, _, row in due[:most])
        return [parcel for parcel in parcels if parcel]

    def tried(self, parcel: Parcel, reason: str, for_good: bool) -> NoteAttempt:
        return NoteAttempt(delivery_id=UUID(parcel.key), attempt=parcel.attempt, reason=reason, for_good=for_good)

    def _parcel(self, row: Waiting, store: EventStore) -> Parcel | None:
        delivery = store.load(Delivery, row.delivery_id)
        if delivery is None or delivery.status != "WAITING" or delivery.attempts != row.attempts:
            return None
        outgoing = self._outgoing(row, store)
        lacks = "" if isinstance(outgoing, port.Outgoing) else outgoing
        return Parcel(
            key=str(row.delivery_id),
            way=row.way,
            receiver=str(row.receiver_id),
            attempt=row.attempts + 1,
            outgoing=outgoing if isinstance(outgoing, port.Outgoing) else None,
            lacks=lacks,
        )

    def _outgoing(self, row: Waiting, store: EventStore) -> port.Outgoing | str:
        """What is to be sent, or why there is nothing to send any more."""
        facts = store.facts(row.notice_id)
        notice = next((fact for fact in facts if isinstance(fact, NoticeGiven)), None)
        if notice is None or any(isinstance(fact, NoticeForgotten) for fact in facts) or not notice.text:
            return "GONE"
        body = store.row(CONTACTS.name, str(row.receiver_id))
        contact = Contact(0) if body is None else decode(CONTACTS.row, body, row.receiver_id)
        if not contact.email:
            return "NO_ADDRESS"
        link = f"\n\n{self._home}/notices/{row.notice_id}" if self._home else ""
        return port.Outgoing(
            id=row.delivery_id,
            to=contact.email,
            subject=notice.title,
            text=f"{notice.text}{link}\n",
            language=notice.language,
            written_at=notice.given_at,
        )
