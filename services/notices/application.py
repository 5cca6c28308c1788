"""The notices service: its commands, one line each, and what it knows of others."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from typing import Any
from uuid import UUID

from chassis.model.service import Replica, Service, Work, change, upsert
from contracts.languages import Language
from contracts.notices import (
    Announce,
    ChooseNoticeWays,
    FollowPushRule,
    ForgetNotices,
    NoteAttempt,
    NoticeForgotten,
    NoticeGiven,
    NoticeRead,
    NoticeTemplate,
    PushRule,
    ReadEarlierNotices,
    ReadNotice,
    SendAgain,
    SetNoticeWays,
    TellPeople,
    notice_id,
)
from contracts.occasions import Filled, kind_called
from contracts.records import kind_of
from contracts.schedules import AsOf, Done
from services.notices.domain.deliveries import DELIVERY, Delivery
from services.notices.domain.notices import NOTICE, Further, Notice, Telling, announced_to, told_now
from services.notices.domain.push_rules import PushRuleRecord
from services.notices.domain.templates import KnownTemplate, NoticeTemplateRecord, Words, standing
from services.notices.domain.ways import ChosenWays, CompanyWays, chosen_id
from services.notices.known_of_others import CONTACTS, RECORDS
from services.notices.reactions import REACTIONS
from services.notices.rules import RULES, RULES_THERE, follow, require_fitting
from services.notices.sending import at_once, readers, send, ways_to
from services.notices.waiting import WAITING

# -- which of its own notices somebody has: a service can't ask its store for records of a person


@dataclass(frozen=True)
class Unread:
    """A notice that its receiver has not read."""

    notice_id: UUID
    given_at: datetime


def given(_: Unread | None, fact: NoticeGiven) -> Unread:
    return Unread(fact.notice_id, fact.given_at)


def read(_row: Unread | None, _fact: NoticeRead | NoticeForgotten) -> None:
    """It is none of those unread any more."""


def of_receiver(receiver: UUID) -> str:
    """How the keys of somebody's unread notices begin."""
    return f"{receiver}:"


UNREAD = Replica(
    "notices-unread",
    Unread,
    feeds={NoticeGiven: given, NoticeRead: read, NoticeForgotten: read},
    key=lambda fact: f"{of_receiver(fact.receiver_id)}{fact.notice_id}",
)


@dataclass(frozen=True)
class KeptUntil:
    """A notice that is over after a day."""

    day: date
    notice_id: UUID


def kept(_: KeptUntil | None, fact: NoticeGiven) -> KeptUntil:
    return KeptUntil(fact.until, fact.notice_id)


def gone(_row: KeptUntil | None, _fact: NoticeForgotten) -> None:
    """It is kept no longer."""


KEPT = Replica(
    "notices-kept",
    KeptUntil,
    feeds={NoticeGiven: kept, NoticeForgotten: gone},
    key=lambda fact: f"{fact.until}:{fact.notice_id}",
)
"""In the order of their days, so that those that are over are found without reading the others."""


_TEMPLATE, _RULE = kind_of(NoticeTemplate), kind_of(PushRule)


def template_told(row: KnownTemplate | None, fact: Any) -> KnownTemplate:
    return replace(KnownTemplate.of(fact.notice_template_id, fact.data), deleted=bool(row and row.deleted))


def template_there(deleted: bool, row: KnownTemplate | None, _: Any) -> KnownTemplate | None:
    return row and replace(row, deleted=deleted)


TEMPLATES = Replica(
    "notice-templates",
    KnownTemplate,
    feeds={
        _TEMPLATE.created: template_told,
        _TEMPLATE.edited: template_told,
        _TEMPLATE.deleted: partial(template_there, True),
        _TEMPLATE.restored: partial(template_there, False),
    },
)


# -- commands


def tell_people(command: TellPeople, work: Work) -> Telling:
    telling = work.find_or_new(Telling, command.telling_id)
    if telling.is_due(command, work.context):
        _tell(command, telling, work)
    return telling


def _tell(command: TellPeople, telling: Telling, work: Work) -> None:
    """Tell the first of those who are to be told, so many as are one transaction, and have the others told after."""
    template = standing(work.rows(TEMPLATES), command.occasion)
    words = Words(command.occasion, partial(_values, command), template, ready_title=_title(command))
    people = told_now(command, work.context.organisation)
    part = people[: at_once(words)]
    for id in (told := readers(part, work)):
        person = command.person_id
        about = person if person and not work.is_erased(person) else id
        notice = work.find_or_new(Notice, notice_id(telling.id, id))
        send(notice.give(command, words, id, about, work.context), ways_to(id, command.occasion, work), work)
    reached = part[-1] if len(part) < len(people) else None
    telling.tell(len(told), reached, work.context)
    if reached:
        work.find_or_new(Further, Further.id_of(telling.id)).go_on(command, reached)


def _values(command: TellPeople, language: Language) -> Sequence[Filled]:
    return (*command.values, kind_called(command.record_kind, language))


TITLE = "title"


def _title(command: TellPeople) -> str:
    """That of an announcement, which is told as it was written; of others the texts tell it."""
    titles = (one.text for one in command.values if one.name == TITLE)
    return next(titles, "") if command.occasion == "ANNOUNCEMENT" else ""


def announce(command: Announce, work: Work) -> Telling:
    telling = work.new(Telling, command.announcement_id, what="announcement", field="announcement_id")
    people = readers(announced_to(command, work.context.organisation), work)
    telling.announce(command, len(people), work.context)
    tell = TellPeople(
        telling_id=telling.id,
        occasion="ANNOUNCEMENT",
        receivers=command.receivers,
        happened_at=work.context.now,
        values=(Filled(name=TITLE, text=command.title), Filled(name="text", text=command.text)),
        by=work.context.user,
    )
    _tell(tell, telling, work)
    return telling


def _own(command: ReadNotice | ReadEarlierNotices, work: Work) -> Notice:
    notice = work.get(Notice, command.notice_id, what=NOTICE, field="notice_id")
    notice.require_own(work.context)
    return notice


def read_notice(command: ReadNotice, work: Work) -> Notice:
    notice = _own(command, work)
    notice.mark_read(work.context)
    return notice


READ_AT_ONCE = 2_000
"""So many notices, the oldest: who has more of them unread says so again."""
LOOKED_AT_ONCE = 1_000
"""So many rows are in memory at once."""


def read_earlier(command: ReadEarlierNotices, work: Work) -> Notice:
    """What was given a moment ago may not be among the unread yet: it stays unread, as one that nobody has seen."""
    newest = _own(command, work)
    oldest: list[tuple[datetime, UUID]] = []
    for rows in _unread(newest.receiver_id, work):
        earlier = [(row.given_at, row.notice_id) for row in rows if row.given_at <= newest.given_at]
        oldest = sorted([*oldest, *earlier])[:READ_AT_ONCE]
    for _, id in oldest:
        if (notice := work.find(Notice, id)) and not notice.forgotten:
            notice.mark_read(work.context)
    newest.mark_read(work.context)
    return newest


def _unread(receiver: UUID, work: Work) -> Iterator[Sequence[Unread]]:
    """The unread notices of somebody, some at once, in no order that tells anything."""
    prefix = after = of_receiver(receiver)
    while after.startswith(prefix) and (rows := work.rows_after(UNREAD, after, LOOKED_AT_ONCE)):
        yield [row for key, row in rows if key.startswith(prefix)]
        after = rows[-1][0]


def choose_ways(command: ChooseNoticeWays, work: Work) -> ChosenWays:
    chosen = work.find_or_new(ChosenWays, chosen_id(command.user_id))
    chosen.choose(command, work.context)
    return chosen


FORGOTTEN_AT_ONCE = 500
"""So many notices in one transaction."""


def forget(as_of: AsOf, work: Work) -> Done:
    """Take away what is over on this day."""
    rows = work.rows_after(KEPT, as_of.after, FORGOTTEN_AT_ONCE)
    over = [(key, row.notice_id) for key, row in rows if row.day < as_of.day]
    notices = (work.find(Notice, id) for _, id in over)
    number = sum(notice.forget(as_of.day) for notice in notices if notice)
    is_more = len(over) == FORGOTTEN_AT_ONCE
    return Done(number, goes_on=is_more, reached=over[-1][0] if is_more else "")


SERVICE = Service(
    "notices",
    commands={
        TellPeople: tell_people,
        FollowPushRule: follow,
        Announce: announce,
        ReadNotice: read_notice,
        ReadEarlierNotices: read_earlier,
        SetNoticeWays: upsert(CompanyWays, CompanyWays.set),
        ChooseNoticeWays: choose_ways,
        NoteAttempt: change(Delivery, Delivery.note, what=DELIVERY),
        SendAgain: change(Delivery, Delivery.send_again, what=DELIVERY),
    },
    records=[NoticeTemplateRecord, PushRuleRecord],
    besides=dict.fromkeys((_RULE.create, _RULE.edit, _RULE.revert, _RULE.delete, _RULE.restore), require_fitting),
    replicas=[*RECORDS.values(), CONTACTS, UNREAD, KEPT, WAITING, TEMPLATES, RULES, RULES_THERE],
    reactions=REACTIONS,
    pages={"/deliveries/{delivery_id}": Delivery, "/settings/notices": CompanyWays},
    schedules={ForgetNotices: forget},
)
