"""Telling people (features NTF-01..08).  Aggregates: telling, notice.

Whoever wants people to be told says so by an event of their own, of which `services/notices/reactions.py` makes a
`TellPeople`, or sends that command itself.  Who the receivers are is asked at that moment and never kept: somebody who
has left is replaced by whoever took over, and a role is whoever has it now (ADR 0056).
"""

from dataclasses import field
from datetime import time
from typing import Literal
from uuid import NAMESPACE_URL, UUID, uuid5

from contracts.declare import command, event, value
from contracts.ids import new_id
from contracts.languages import Language
from contracts.occasions import Filled, Occasion
from contracts.people import SALESTREAM, Person
from contracts.permissions import SELF
from contracts.personal import Personal, Unlogged
from contracts.schedules import Daily, schedule
from contracts.types import Day, Moment, Name, Note, Reason, Text

ReceiverKind = Literal["USER", "SUPERIOR", "ROLE", "RIGHT", "DEPARTMENT", "EVERYBODY"]


@value
class Receiver:
    """One answer to who is told.

    USER: `user_id`, or who has taken over from them.  SUPERIOR: the next one above `user_id` who leads people.
    ROLE: whoever has the `role`.  RIGHT: whoever holds the `right` as far as it reaches what belongs to `user_id`, or,
    without one, for everybody.  DEPARTMENT: all of `department_id` and of the departments below it.
    """

    kind: ReceiverKind
    user_id: UUID | None = None
    role: Text = ""
    right: Text = ""
    department_id: UUID | None = None

    @property
    def lacks(self) -> str:
        """The field that it needs for its kind and does not have, or has and must not; "" where it is complete."""
        needs = {"USER": "user_id", "SUPERIOR": "user_id", "ROLE": "role", "RIGHT": "right",
                 "DEPARTMENT": "department_id"}.get(self.kind)  # fmt: skip
        may = {needs, "user_id"} if self.kind == "RIGHT" else {needs}
        named = [name for name in ("user_id", "role", "right", "department_id") if getattr(self, name)]
        if needs and needs not in named:
            return needs
        return next((name for name in named if name not in may), "")


def telling_id(cause: str) -> UUID:
    """Under which what is told because of something stands: `cause` is the id of an event, or what else is unique."""
    return uuid5(NAMESPACE_URL, f"salestream:telling:{cause}")


def notice_id(telling: UUID, receiver: UUID) -> UUID:
    """The id of the notice that one receiver has of a telling."""
    return uuid5(NAMESPACE_URL, f"salestream:notice:{telling}:{receiver}")


# -- commands -----------------------------------------------------------------------------------------------------


@command(None, permission="system", key="telling_id")
class TellPeople:
    """Tell some people that something has happened, each once, however often this comes (NTF-01, NTF-02, NTF-04).

    `values` fill in the places of the occasion's sentence; `person_id` is of whom they tell, None where of nobody.
    `record_kind` and `record_id` say to which record a notice leads.  `but` are left out, whoever else names them.
    What `happened_at` days ago is told to nobody any more.
    """

    about_person = "person_id"

    telling_id: UUID
    occasion: Occasion
    receivers: tuple[Receiver, ...]
    happened_at: Moment
    values: tuple[Filled, ...] = ()
    but: tuple[UUID, ...] = ()
    record_kind: Text = ""
    record_id: UUID | None = None
    person_id: UUID | None = None
    by: Person = SALESTREAM


@command("POST /announcements", permission="platform", key="telling_id", creates=True)
class Announce:
    """Tell people of an update, or of whatever they should know (NTF-06, NTF-07)."""

    title: Unlogged[Name]
    text: Unlogged[Reason]
    receivers: tuple[Receiver, ...]
    telling_id: UUID = field(default_factory=new_id)


@command("PUT /notices/{notice_id}/read", permission=SELF)
class ReadNotice:
    """Say that one has read a notice (NTF-06)."""

    notice_id: UUID


@command("POST /notices/{notice_id}/earlier-read", permission=SELF)
class ReadEarlierNotices:
    """Say that one has read a notice and all that one was given before it: the newest that one has seen (NTF-06)."""

    notice_id: UUID


@schedule(Daily(time(3), missed="LAST"))
class ForgetNotices:
    """Take away the notices that are over (NTF-06)."""


# -- events -------------------------------------------------------------------------------------------------------


@event("salestream.notices.notice-given.v1", key="receiver_id")
class NoticeGiven:
    """Somebody was told of something, in their language, until `until`.

    `person_id` is whom the text tells of: the person it is about, else the receiver.
    """

    about_person = "person_id"

    notice_id: UUID
    receiver_id: UUID
    occasion: Occasion
    title: Personal[Text]
    text: Personal[Note]
    language: Language
    person_id: UUID
    given_at: Moment
    until: Day
    record_kind: Text = ""
    record_id: UUID | None = None
    by: Person = SALESTREAM


@event("salestream.notices.notice-read.v1", key="receiver_id")
class NoticeRead:
    """Its receiver has read a notice."""

    notice_id: UUID
    receiver_id: UUID


@event("salestream.notices.notice-forgotten.v1", key="receiver_id")
class NoticeForgotten:
    """A notice is over: it was kept until `until`."""

    notice_id: UUID
    receiver_id: UUID
    until: Day
