"""Subjects: the records that people talk about, put files on and look at (COL-09, UIX-07), and that they have talked
with customers about (COM-01..08).

Every kind of record is one, and so are orders.  Whoever may see a record may see what others have said of it; so what
is about a subject needs no owner and no right of its own.
"""

from collections.abc import Mapping
from uuid import UUID

from contracts.declare import event
from contracts.people import SALESTREAM, Person
from contracts.records import KINDS
from contracts.types import Day, Text

SUBJECT_KIND, SUBJECT_ID = "subject_kind", "subject_id"
"""The fields that name a subject, in commands, events and rows."""

RECORD_IDS = "record_ids"
"""The field of a row with every record on whose timeline it stands: its subject, and what that belongs to."""

OTHERS: Mapping[str, str] = {"order": "orders.view"}
"""Subjects that are no kind of record: the code of each, and the right to see it."""


def subjects() -> Mapping[str, str]:
    """The code of each kind of subject (`Kind.code`), and the right to see one."""
    return {**{kind.code: kind.view for kind in KINDS.values()}, **OTHERS}


def subject_called(code: str) -> str:
    """What a subject with this code of its kind is called (`Kind.what`)."""
    return next((kind.what for kind in KINDS.values() if kind.code == code), code)


@event("salestream.collaboration.follow-ups-changed.v1", key="subject_id")
class FollowUpsChanged:
    """There was contact about a record, or what was written of it has changed (COM-01).

    `followed_up_on` is the day of the last one, `planned_on` the nearest day planned for the next; null: none.
    Contact about what belongs to a record, as contacts do to a customer, counts for it too.
    """

    subject_kind: Text
    subject_id: UUID
    followed_up_on: Day | None
    planned_on: Day | None
    by: Person = SALESTREAM
