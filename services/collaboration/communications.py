"""Contact with customers: what was said about a record, when and how, and which day is planned next (COM-01..08)."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Self
from uuid import UUID, uuid5

from chassis.model.aggregates import Aggregate, applies, internal_event
from chassis.model.context import CLOCK_STEP, Context
from chassis.model.dictionaries import listed
from chassis.model.identity import Named
from chassis.model.records import is_filled
from contracts.collaboration import (
    CORRECTION,
    CommunicationData,
    CommunicationDeleted,
    CommunicationEdited,
    CommunicationForm,
    CommunicationLogged,
    DeleteCommunication,
    EditCommunication,
    LogCommunication,
    NextContactDue,
    SubjectRef,
)
from contracts.declare import changes
from contracts.errors import Refused, lacks_right
from contracts.ids import beside
from contracts.people import SALESTREAM, Person
from contracts.records import fields_of
from contracts.subjects import FollowUpsChanged
from contracts.types import Day, Moment

NO_RECORD = UUID(int=0)
FIRST_DAY = date(1900, 1, 1)
"""Contact was on no day before, whoever writes of it."""
MOST_DAYS_AHEAD = 366
"""The next contact is planned within a year: a later day is a slip of the pen."""
MOST_CONTACTS = 200
"""So many contacts about a record, the latest, are asked for the day of the last one and that planned next."""
NEEDED: Mapping[CommunicationForm, Collection[str]] = {"VISIT": ("title", "place"), "MAIL": ("title", "recipients")}
"""What must be told of some forms of contact besides what was said (COM-02, COM-04)."""
RIGHTS: Mapping[CommunicationForm, str] = {"MESSAGE": "messages.send"}
"""The right that some forms of contact need besides (COM-05)."""


@dataclass
class Communication(Aggregate):
    """Contact about a record: what was said, who had it, and when that was written down.

    `person_id`: of whom the record told when it was written down: what was said is sealed with that person's key,
    whatever became of the record since (CPL-01).
    """

    seen_by = "communications.view"

    subject_kind: str = ""
    subject_id: UUID = NO_RECORD
    person_id: UUID | None = None
    through: tuple[SubjectRef, ...] = ()
    data: CommunicationData | None = None
    author: Person = SALESTREAM
    logged_at: datetime | None = None
    deleted: bool = False

    @classmethod
    def on_page(cls, row: Mapping[str, Any]) -> Self:
        found = super().on_page(row)
        found.author = Person(user_id=row["author_id"] and UUID(row["author_id"]), name=row["author"])
        found.logged_at = datetime.fromisoformat(row["logged_at"])
        return found

    @property
    def subjects(self) -> tuple[SubjectRef, ...]:
        """The record that it is about, and those to which that one belonged then."""
        return (SubjectRef(subject_kind=self.subject_kind, subject_id=self.subject_id), *self.through)

    def require_may(self, command: type, context: Context) -> None:
        """Its author changes it for some hours, and who corrects what that person wrote whenever (COM-06)."""
        if context.reach_of(CORRECTION).covers(self.author.user_id):
            return
        if self.author.user_id != context.owner.user_id:
            raise Refused("collaboration.not_your_communication", field="communication_id")
        hours = context.parameter("communications.edit_hours")
        if self.logged_at is None or context.now >= self.logged_at + timedelta(hours=hours):
            raise Refused("collaboration.communication_closed", hours=hours, field="communication_id", state="CLOSED")

    def log(
        self, command: LogCommunication, person_id: UUID | None, through: Iterable[SubjectRef], context: Context
    ) -> None:
        """Write it down; `person_id`: of whom the record tells, `through`: to which others it belongs.

        Raises Refused.
        """
        at = context.now if command.at is None else command.at
        given = {**changes(command, CommunicationData), "at": at}
        data = CommunicationData(**listed(fields_of(LogCommunication), given, None, context.dictionaries))
        self._require(data, given, context, context.now)
        if (right := RIGHTS.get(data.form)) and not context.may(right):
            raise lacks_right(right, context.organisation.roles_with(right), "form")
        self.record(
            CommunicationLogged(
                communication_id=self.id,
                subject_kind=command.subject_kind,
                subject_id=command.subject_id,
                through=tuple(through),
                person_id=person_id,
                data=data,
                author=context.owner,
                logged_at=context.now,
                by=context.user,
            )
        )

    def edit(self, command: EditCommunication, context: Context) -> None:
        """Nothing happens when it reads so already.  Raises Refused."""
        self.require_may(EditCommunication, context)
        assert self.data is not None and self.logged_at is not None, "it was written down"
        told = listed(
            fields_of(EditCommunication), changes(command, CommunicationData), self.data, context.dictionaries
        )
        data = replace(self.data, **told)
        given = {name for name in told if getattr(data, name) != getattr(self.data, name)}
        if not given:
            return
        self._require(data, given, context, self.logged_at)
        self.record(
            CommunicationEdited(
                communication_id=self.id,
                subject_kind=self.subject_kind,
                subject_id=self.subject_id,
                person_id=self.person_id,
                data=data,
                by=context.user,
            )
        )

    def delete(self, _: DeleteCommunication, context: Context) -> None:
        """Raises Refused where the caller may change it no more, or never might."""
        self.require_may(DeleteCommunication, context)
        self.record(
            CommunicationDeleted(
                communication_id=self.id, subject_kind=self.subject_kind, subject_id=self.subject_id, by=context.user
            )
        )

    def _require(self, data: CommunicationData, given: Collection[str], context: Context, written: datetime) -> None:
        """Raises Refused naming the field: what is given may not be so.  `written`: when it was first written down."""
        for name in NEEDED.get(data.form, ()):
            if name in given and not is_filled(getattr(data, name)):
                raise Refused("collaboration.form_needs", field=name)
        if "at" in given:
            self._require_rules_of_writing(data.at, context, written)
        latest = context.today + timedelta(days=MOST_DAYS_AHEAD)
        if "next_contact_on" in given and not context.today <= (data.next_contact_on or context.today) <= latest:
            raise Refused("collaboration.next_contact_off", today=context.today, latest=latest, field="next_contact_on")

    def _require_rules_of_writing(self, at: datetime, context: Context, written: datetime) -> None:
        """Raises Refused: contact is written down on its day, or as many days later as the company allows (COM-06)."""
        if at > context.now + CLOCK_STEP:
            raise Refused("records.to_come", latest=f"{context.now:%Y-%m-%dT%H:%M:%SZ}", field="at")
        earliest = FIRST_DAY
        if not context.may(CORRECTION):
            earliest = context.day_of(written) - timedelta(days=context.parameter("communications.late_days"))
        if at.year < earliest.year or context.day_of(at) < earliest:
            raise Refused("collaboration.written_too_late", earliest=earliest, field="at")

    @applies(CommunicationLogged)
    def _logged(self, fact: CommunicationLogged) -> None:
        self.subject_kind, self.subject_id, self.through = fact.subject_kind, fact.subject_id, fact.through
        self.person_id = fact.person_id
        self.data, self.author, self.logged_at = fact.data, fact.author, fact.logged_at

    @applies(CommunicationEdited)
    def _edited(self, fact: CommunicationEdited) -> None:
        self.data = fact.data

    @applies(CommunicationDeleted)
    def _deleted(self, _: CommunicationDeleted) -> None:
        self.data, self.deleted = None, True


@internal_event("collaboration.contact-noted")
class ContactNoted:
    """There was contact about the record of the timeline, or it was another day, or plans another one now."""

    communication_id: UUID
    at: Moment
    day: Day
    next_contact_on: Day | None


@internal_event("collaboration.contact-struck")
class ContactStruck:
    """There was no such contact."""

    communication_id: UUID


def timeline(subject: SubjectRef) -> Named:
    """What names the timeline of a record."""
    return Named("timeline", f"{subject.subject_kind}:{subject.subject_id}")


@dataclass
class Timeline(Aggregate):
    """When there was contact about a record, the latest last, and what others were told of it."""

    snapshot_every = 100

    contacts: tuple[ContactNoted, ...] = ()
    followed_up_on: date | None = None
    planned_on: date | None = None

    def note(self, of: Communication, subject: SubjectRef, context: Context) -> None:
        """There was contact about the record; nothing happens when that is known of it."""
        assert of.data is not None, "it was not taken away"
        noted = ContactNoted(
            communication_id=of.id,
            at=of.data.at,
            day=context.day_of(of.data.at),
            next_contact_on=of.data.next_contact_on,
        )
        held = next((one for one in self.contacts if one.communication_id == of.id), None)
        if held is None or (held.at, held.next_contact_on) != (noted.at, noted.next_contact_on):
            self.record(noted)
            self._tell(subject, context)

    def strike(self, of: Communication, subject: SubjectRef, context: Context) -> None:
        """There was no such contact."""
        self.record(ContactStruck(communication_id=of.id))
        self._tell(subject, context)

    @property
    def plan(self) -> ContactNoted | None:
        """The contact whose plan is kept next: of those that plan a day after the last one the nearest."""
        pending = (
            (one.next_contact_on, number, one)
            for number, one in enumerate(self.contacts)
            if one.next_contact_on and (one is self.contacts[-1] or one.next_contact_on > self.contacts[-1].day)
        )
        return min(pending, default=(None, 0, None))[2]

    def _tell(self, subject: SubjectRef, context: Context) -> None:
        """Tell others of the day of the last contact, and of that planned next, where one of them is another."""
        last = self.contacts[-1].day if self.contacts else None
        planned = self.plan.next_contact_on if self.plan else None
        if (last, planned) != (self.followed_up_on, self.planned_on):
            self.record(
                FollowUpsChanged(
                    subject_kind=subject.subject_kind,
                    subject_id=subject.subject_id,
                    followed_up_on=last,
                    planned_on=planned,
                    by=context.user,
                )
            )

    @applies(ContactNoted)
    def _noted(self, fact: ContactNoted) -> None:
        others = (one for one in self.contacts if one.communication_id != fact.communication_id)
        self.contacts = tuple(sorted((*others, fact), key=lambda one: (one.at, one.communication_id)))[-MOST_CONTACTS:]

    @applies(ContactStruck)
    def _struck(self, fact: ContactStruck) -> None:
        self.contacts = tuple(one for one in self.contacts if one.communication_id != fact.communication_id)

    @applies(FollowUpsChanged)
    def _told(self, fact: FollowUpsChanged) -> None:
        self.followed_up_on, self.planned_on = fact.followed_up_on, fact.planned_on


def contact_reminder_id(communication: UUID) -> UUID:
    """Under which the reminder of what is planned in a contact stands."""
    return beside(communication, uuid5(communication, "contact-reminder"))


@dataclass
class ContactReminder(Aggregate):
    """Of which day somebody was reminded that contact was planned for it.

    Not a part of what was written of contact: who changes that is not too late by a reminder.
    """

    day: date | None = None

    def remind(self, of: Communication, to: Person, context: Context) -> bool:
        """Have somebody reminded of the next contact; returns whether they were not yet.

        What was planned is sealed with the key of whom it tells of, whoever the record tells of by now.
        """
        assert of.data is not None and of.data.next_contact_on is not None, "it is planned"
        if of.data.next_contact_on == self.day:
            return False
        self.record(
            NextContactDue(
                communication_id=of.id,
                subject_kind=of.subject_kind,
                subject_id=of.subject_id,
                person_id=of.person_id,
                day=of.data.next_contact_on,
                next_plan=of.data.next_plan,
                to=to,
                by=context.user,
            )
        )
        return True

    @applies(NextContactDue)
    def _reminded(self, fact: NextContactDue) -> None:
        self.day = fact.day
