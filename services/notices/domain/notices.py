"""The rules of telling: who the receivers are now, each is told once, and one's notices are nobody else's affair.

Who is meant is asked of the organisation at the moment of telling and never kept (ADR 0023): somebody who has left is
replaced by whoever took over, a role is whoever has it now.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from chassis.model.aggregates import Aggregate, applies, internal_event
from chassis.model.context import Context, Organisation
from contracts.errors import Refused, not_found
from contracts.ids import beside
from contracts.notices import (
    Announce,
    Announced,
    FollowPushRule,
    NoticeForgotten,
    NoticeGiven,
    NoticeRead,
    Receiver,
    TellingGoesOn,
    TellPeople,
)
from contracts.permissions import LEADERSHIP, RIGHTS
from contracts.types import Moment, Whole
from services.notices.domain.templates import Words

NOTICE = "notice"
KEPT_DAYS = 90
"""So long somebody has a notice."""
TOLD_LATE = timedelta(days=7)
"""What happened longer ago is told to nobody: a service that was just set up, or that reads its topics again, would
tell everybody of years."""
LAST_RESORT = Receiver(kind="RIGHT", right=LEADERSHIP)
"""Who leads everybody is told where nobody is left of those who should be."""
MUST_BE_HEARD = ("APPROVAL_ASKED", "APPROVAL_WAITS")
"""Occasions of which somebody has to hear, also where all who are meant are left out."""
NOTHING = UUID(int=0)


# -- who is told


def receivers(named: Sequence[Receiver], but: Collection[UUID], organisation: Organisation) -> list[UUID]:
    """Everybody whom some receivers mean now and who is there, each once; not `but`, nor who took over from those."""
    found = {person for one in named for person in _meant(one, organisation)}
    left_out = {*but, *map(organisation.standing_in, but)}
    return sorted(found & set(organisation.people()) - left_out)


def _meant(receiver: Receiver, organisation: Organisation) -> Iterator[UUID]:
    person = receiver.user_id
    match receiver.kind:
        case "USER" if person and receiver.right:
            yield from filter(None, [organisation.acting_for(person, receiver.right)])
        case "USER" if person:
            yield organisation.standing_in(person)
        case "SUPERIOR" if person:
            rights = (receiver.right, LEADERSHIP) if receiver.right else (LEADERSHIP,)
            yield from filter(None, [organisation.leader_of(person, *rights)])
        case "ROLE":
            yield from organisation.people({receiver.role})
        case "RIGHT":
            yield from organisation.holders(receiver.right, person)
        case "DEPARTMENT" if receiver.department_id:
            yield from organisation.members_of(receiver.department_id)
        case "EVERYBODY":
            yield from organisation.people()


def require_known(named: Sequence[Receiver], organisation: Organisation) -> None:
    """Raises Refused naming what a receiver lacks, and whom or what nobody has heard of."""
    if not named:
        raise Refused("notices.no_receiver", field="receivers")
    for index, one in enumerate(named):
        at = f"receivers.{index}"
        if lacks := one.lacks:
            raise Refused("notices.receiver", kind=one.kind, field=f"{at}.{lacks}")
        if one.user_id and organisation.person(one.user_id) is None:
            raise Refused("records.no_such_user", field=f"{at}.user_id")
        if one.department_id and organisation.department(one.department_id) is None:
            raise not_found("department", f"{at}.department_id")
        if one.role and not organisation.has_role(one.role):
            raise not_found("role", f"{at}.role")
        if one.right and one.right not in RIGHTS:
            raise Refused("notices.no_such_right", name=one.right, field=f"{at}.right")


# -- telling


def is_late(happened_at: datetime, now: datetime) -> bool:
    """Whether something happened too long ago to be told.

    What has happened later than now, by a clock that was set back since, is told.
    """
    age = now - happened_at
    return age > TOLD_LATE


@internal_event("notices.people-told")
class PeopleTold:
    """It was told, to so many: they are not told again.  Nobody outside has heard of it.

    `reached` is the last of them where others are told after; None: it was told to all.
    """

    count: Whole
    at: Moment
    reached: UUID | None = None


@dataclass
class Telling(Aggregate):
    """What was told because of one thing that happened: once, whatever comes twice or late."""

    told: bool = False
    reached: UUID | None = None

    def is_due(self, command: TellPeople, context: Context) -> bool:
        """Whether it is to be told now: that part of it was not, and it did not happen too long ago."""
        is_next = not self.told and command.after == self.reached
        return is_next and not is_late(command.happened_at, context.now)

    def tell(self, count: int, reached: UUID | None, context: Context) -> None:
        """Note to how many people it was told; others are told after the one that it has `reached`."""
        self.record(PeopleTold(count=count, at=context.now, reached=reached))

    def announce(self, command: Announce, count: int, context: Context) -> None:
        """Note what was announced, and to how many people."""
        self.record(
            Announced(
                announcement_id=self.id,
                title=command.title,
                text=command.text,
                receivers=command.receivers,
                count=count,
                by=context.user,
            )
        )

    @applies(PeopleTold)
    def _told(self, fact: PeopleTold) -> None:
        self.reached, self.told = fact.reached, fact.reached is None

    @applies(Announced)
    def _announced(self, _: Announced) -> None:
        """Nothing to remember: whom it reached is told beside it."""


@dataclass
class Further(Aggregate):
    """That a telling goes on: beside it, as an announcement is the same one however many are told of it."""

    @staticmethod
    def id_of(telling: UUID) -> UUID:
        """Under which it stands."""
        return beside(telling, uuid5(telling, "further"))

    def go_on(self, command: TellPeople, reached: UUID) -> None:
        """Have the others told, after the one who was `reached`."""
        self.record(TellingGoesOn(**{**_fields_of(command), "after": reached}))

    @applies(TellingGoesOn)
    def _went_on(self, _: TellingGoesOn) -> None:
        """Nothing to remember: the telling knows how far it has come."""


def go_on(fact: TellingGoesOn) -> TellPeople:
    """The command that tells those who were not told yet."""
    return TellPeople(**_fields_of(fact))


def _fields_of(told: TellPeople | TellingGoesOn) -> dict[str, Any]:
    return {one.name: getattr(told, one.name) for one in fields(told)}


def told_now(command: TellPeople, organisation: Organisation) -> list[UUID]:
    """Everybody who is to be told, and was not by an earlier part.

    Who leads everybody, where those who are meant are gone, or where somebody must do something (`MUST_BE_HEARD`).
    """
    found = receivers(command.receivers, command.but, organisation)
    if not found and (command.occasion in MUST_BE_HEARD or not receivers(command.receivers, (), organisation)):
        found = receivers((LAST_RESORT,), command.but, organisation)
    return [id for id in found if command.after is None or id > command.after]


def announced_to(command: Announce, organisation: Organisation) -> list[UUID]:
    """Everybody whom an announcement is for.  Raises Refused where that is nobody."""
    require_known(command.receivers, organisation)
    found = receivers(command.receivers, (), organisation)
    if not found:
        raise Refused("notices.nobody", field="receivers")
    return found


@dataclass
class Notice(Aggregate):
    """What one person was told."""

    receiver_id: UUID = NOTHING
    given_at: datetime = datetime.max
    until: date = date.max
    read: bool = False
    forgotten: bool = False

    def give(
        self, command: TellPeople | FollowPushRule, words: Words, receiver: UUID, person: UUID, context: Context
    ) -> NoticeGiven:
        """Tell somebody, in their language, of what has happened; `person` is whom the words tell of."""
        language = context.organisation.language_of(receiver)
        fact = NoticeGiven(
            notice_id=self.id,
            receiver_id=receiver,
            occasion=words.occasion,
            title=words.title(language),
            text=words.text(language),
            language=language,
            person_id=person,
            given_at=context.now,
            until=context.today + timedelta(days=KEPT_DAYS),
            record_kind=command.record_kind,
            record_id=command.record_id,
            by=command.by,
        )
        self.record(fact)
        return fact

    def mark_read(self, context: Context) -> None:
        """Its receiver has read it; nothing happens when they had.  Raises Refused NOT_FOUND for all others."""
        self.require_own(context)
        if not self.read:
            self.record(NoticeRead(notice_id=self.id, receiver_id=self.receiver_id))

    def require_own(self, context: Context) -> None:
        """Raises Refused NOT_FOUND for one of somebody else, and one that is over."""
        if self.forgotten or context.user.user_id is None or self.receiver_id != context.user.user_id:
            raise not_found(NOTICE, "notice_id")

    def forget(self, day: date) -> bool:
        """Take it away once it is over; whether that was now."""
        if self.forgotten or day <= self.until:
            return False
        self.record(NoticeForgotten(notice_id=self.id, receiver_id=self.receiver_id, until=self.until))
        return True

    @applies(NoticeGiven)
    def _given(self, fact: NoticeGiven) -> None:
        self.receiver_id, self.given_at, self.until = fact.receiver_id, fact.given_at, fact.until

    @applies(NoticeRead)
    def _read(self, _: NoticeRead) -> None:
        self.read = True

    @applies(NoticeForgotten)
    def _forgotten(self, _: NoticeForgotten) -> None:
        self.forgotten = True
