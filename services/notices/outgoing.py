"""What this service lets be sent, and by which command it notes what came of it (`chassis.delivery.courier`)."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog

from chassis.delivery import port
from chassis.delivery.courier import Held, Parcel
from chassis.foundation.config import Config
from chassis.model.context import Organisation
from chassis.store.event_store import EventStore
from chassis.store.events import Unreadable
from contracts.notices import NoteAttempt, NoticeForgotten, NoticeGiven
from contracts.occasions import GROUPS, called, shortened
from contracts.schemas import decode
from contracts.text import phone_key
from services.notices.domain.deliveries import Delivery, is_come
from services.notices.domain.ways import ChosenWays, chosen_id
from services.notices.known_of_others import CONTACTS, Contact
from services.notices.waiting import WAITING, Waiting

log = structlog.get_logger()

LONGEST_SMS = 300
"""So many letters of a notice a text message has, beside the link to all of it."""


class Outgoing:
    """The deliveries that wait (`chassis.delivery.courier.Outbox`).  `organisation` tells by whose clock one lives."""

    def __init__(self, config: Config, organisation: Organisation) -> None:
        self._home = config.public_address.rstrip("/")
        self._organisation = organisation

    def due(self, store: EventStore, now: datetime, is_held: Held) -> Iterator[Parcel]:
        """The replica of what waits may be behind: when a delivery is due it knows itself."""
        rows = (decode(WAITING.row, body) for body in store.rows(WAITING.name))
        for _, _, row in sorted((row.due_at, row.delivery_id, row) for row in rows if is_come(row.due_at, now)):
            if is_held(row.way, str(row.receiver_id)):
                continue
            try:
                parcel = self._parcel(row, store, now)
            except Unreadable as damage:
                log.error("delivery unreadable", delivery=str(row.delivery_id), error=str(damage))
                continue
            if parcel:
                yield parcel

    def tried(self, parcel: Parcel, reason: str, for_good: bool) -> NoteAttempt:
        return NoteAttempt(delivery_id=UUID(parcel.key), attempt=parcel.attempt, reason=reason, for_good=for_good)

    def _parcel(self, row: Waiting, store: EventStore, now: datetime) -> Parcel | None:
        delivery = store.load(Delivery, row.delivery_id)
        if delivery is None or not delivery.is_due(now):
            return None
        outgoing = self._outgoing(delivery, store)
        lacks = "" if isinstance(outgoing, port.Outgoing) else outgoing
        return Parcel(
            key=str(row.delivery_id),
            way=row.way,
            receiver=str(row.receiver_id),
            attempt=delivery.attempts + 1,
            outgoing=outgoing if isinstance(outgoing, port.Outgoing) else None,
            lacks=lacks,
            rests=0.0 if lacks else self._rests(row.receiver_id, store, now),
        )

    def _rests(self, receiver: UUID, store: EventStore, now: datetime) -> float:
        """For how many seconds it is quiet hours for somebody: they may have begun since this was to be sent."""
        chosen = store.load(ChosenWays, chosen_id(receiver))
        if chosen is None:
            return 0.0
        return (chosen.from_when(now, self._organisation.zone_of(receiver)) - now).total_seconds()

    def _outgoing(self, delivery: Delivery, store: EventStore) -> port.Outgoing | str:
        """What is to be sent, or why there is nothing to send any more."""
        facts = store.facts(delivery.notice_id)
        notice = next((fact for fact in facts if isinstance(fact, NoticeGiven)), None)
        if notice is None or any(isinstance(fact, NoticeForgotten) for fact in facts) or not notice.text:
            return "GONE"
        body = store.row(CONTACTS.name, str(delivery.receiver_id))
        contact = Contact(0) if body is None else decode(CONTACTS.row, body, delivery.receiver_id)
        to = contact.email if delivery.way == "MAIL" else contact.phone
        if delivery.way in GROUPS:  # the platform finds somebody by the bare number alone
            to = phone_key(to)
        if not to:
            return "NO_ADDRESS"
        link = f"{self._home}/notices/{delivery.notice_id}" if self._home else ""
        about: dict[str, Any] = {
            "id": delivery.id,
            "to": to,
            "language": notice.language,
            "written_at": notice.given_at,
        }
        if delivery.way in GROUPS:  # what others of the group may not know stands behind the link alone
            return port.Outgoing(**about, subject=called(notice.occasion, notice.language), text=link)
        text = shortened(notice.text, LONGEST_SMS) if delivery.way == "SMS" else notice.text
        return port.Outgoing(**about, subject=notice.title, text="\n\n".join(filter(None, [text, link])) + "\n")
