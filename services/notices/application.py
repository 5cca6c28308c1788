"""The notices service: its commands, one line each, and what it knows of others."""

from collections.abc import Sequence
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
from services.notices.domain.notices import NOTICE, Notice, Telling, announced_to, told_now
from services.notices.domain.push_rules import PushRuleRecord
from services.notices.domain.templates import KnownTemplate, NoticeTemplateRecord, Words, standing
from services.notices.domain.ways import ChosenWays, CompanyWays, chosen_id
from services.notices.known_of_others import CONTACTS, RECORDS
from services.notices.reactions import REACTIONS
from services.notices.rules import RULES, follow, require_fitting
from services.notices.sending import readers, send
from services.notices.waiting import WAITING

# -- which of its own notices somebody has: a service can't ask its store for records of a person


@dataclass(frozen=True)
class Unread:
    """The notices that somebody has not read, and when each was given."""

    given_at: dict[UUID, datetime]


def given(row: Unread | None, fact: NoticeGiven) -> Unread:
    return Unread({**(row.given_at if row else {}), fact.notice_id: fact.given_at})


def read(row: Unread | None, fact: NoticeRead | NoticeForgotten) -> Unread | None:
    left = {id: at for id, at in row.given_at.items() if id != fact.notice_id} if row else {}
    return Unread(left) if left else None


UNREAD = Replica(
    "unread-notices",
    Unread,
    feeds={NoticeGiven: given, NoticeRead: read, NoticeForgotten: read},
    key=lambda fact: str(fact.receiver_id),
)


@dataclass(frozen=True)
class KeptUntil:
    """The notices of somebody that are over after a day."""

    day: date
    notices: frozenset[UUID]


def kept(row: KeptUntil | None, fact: NoticeGiven) -> KeptUntil:
    return KeptUntil(fact.until, (row.notices if row else frozenset()) | {fact.notice_id})


def gone(row: KeptUntil | None, fact: NoticeForgotten) -> KeptUntil | None:
    left = row.notices - {fact.notice_id} if row else frozenset()
    return KeptUntil(fact.until, left) if left else None


KEPT = Replica(
    "kept-notices",
    KeptUntil,
    feeds={NoticeGiven: kept, NoticeForgotten: gone},
    key=lambda fact: f"{fact.until}:{fact.receiver_id}",
)


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
        people = readers(told_now(command, work.context.organisation), work)
        words = Words(command.occasion, partial(_values, command), standing(work.rows(TEMPLATES), command.occasion))
        for id in people:
            person = command.person_id
            about = person if person and not work.is_erased(person) else id
            notice = work.find_or_new(Notice, notice_id(telling.id, id))
            send(notice.give(command, words, id, about, work.context), work)
        telling.tell(len(people), work.context)
    return telling


def _values(command: TellPeople, language: Language) -> Sequence[Filled]:
    return (*command.values, kind_called(command.record_kind, language))


def announce(command: Announce, work: Work) -> Telling:
    telling = work.new(Telling, command.announcement_id, what="announcement", field="announcement_id")
    people = readers(announced_to(command, work.context.organisation), work)
    for id in people:
        send(work.find_or_new(Notice, notice_id(telling.id, id)).announce(command, id, work.context), work)
    telling.announce(command, len(people), work.context)
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


def read_earlier(command: ReadEarlierNotices, work: Work) -> Notice:
    """What was given a moment ago may not be among the unread yet: it stays unread, as one that nobody has seen."""
    newest = _own(command, work)
    row = work.lookup(UNREAD, newest.receiver_id) or Unread({})
    earlier = sorted((at, id) for id, at in row.given_at.items() if at <= newest.given_at)
    for _, id in earlier[:READ_AT_ONCE]:
        if (notice := work.find(Notice, id)) and not notice.forgotten:
            notice.mark_read(work.context)
    newest.mark_read(work.context)
    return newest


def choose_ways(command: ChooseNoticeWays, work: Work) -> ChosenWays:
    chosen = work.find_or_new(ChosenWays, chosen_id(command.user_id))
    chosen.choose(command, work.context)
    return chosen


FORGOTTEN_AT_ONCE = 500
"""So many notices in one transaction."""


def forget(as_of: AsOf, work: Work) -> Done:
    """Take away what is over on this day."""
    number = 0
    for row in work.rows(KEPT):
        for id in sorted(row.notices) if row.day < as_of.day else ():
            if number == FORGOTTEN_AT_ONCE:
                return Done(number, goes_on=True)
            if notice := work.find(Notice, id):
                number += notice.forget(as_of.day)
    return Done(number)


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
    besides=dict.fromkeys((_RULE.create, _RULE.edit, _RULE.revert, _RULE.restore), require_fitting),
    replicas=[*RECORDS.values(), CONTACTS, UNREAD, KEPT, WAITING, TEMPLATES, RULES],
    reactions=REACTIONS,
    pages={"/deliveries/{delivery_id}": Delivery, "/settings/notices": CompanyWays},
    schedules={ForgetNotices: forget},
)
