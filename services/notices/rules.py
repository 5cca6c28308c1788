"""How a company's own rules are followed: an event of a record -> whom each rule about it has told (NTF-02, ADR 0067).

A reaction asks which rules there are for what has happened, and holds the record against the condition of each.  What
is to be told is a command, `FollowPushRule`: who the receivers are, and what they may see, is asked when it is carried
out.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any, Literal, get_origin
from uuid import UUID

from chassis.foundation.limits import MAX_RECORDED_AFTER_BYTES
from chassis.model.known_records import KnownRecord, place_of
from chassis.model.service import Heard, Replica, Work
from chassis.model.whose import Whose
from contracts.custom_fields import read as read_own
from contracts.errors import Refused
from contracts.languages import Language
from contracts.notices import FollowPushRule, PushRule, RuleEvent, RuleOutcome, RuleProblem, notice_id, telling_id
from contracts.occasions import GROUPS, RULE_OCCASION, Filled, Way, kind_called
from contracts.people import SALESTREAM, Person
from contracts.permissions import FIELD_RIGHTS
from contracts.records import Kind, kind_of
from contracts.records import kind_called as kind_of_record
from contracts.statuses import STATUS
from contracts.texts import texts
from contracts.types import Money
from services.notices import conditions
from services.notices.domain.notices import Notice, is_late, receivers
from services.notices.domain.push_rules import Pace, PushRuleRecord, RuleCount, RuleRun, gone, named_by
from services.notices.domain.templates import RULE, KnownTemplate, NoticeTemplateRecord, Words, fields_told
from services.notices.known_of_others import RECORDS, KnownHere
from services.notices.sending import readers, send, ways_to

# -- which rules there are


@dataclass(frozen=True)
class KnownRule:
    """What is asked of a rule before it is followed."""

    id: UUID
    record_kind: str
    event: str
    condition: str
    to_field: str
    active: bool


_RULE = kind_of(PushRule)
MOST_RULES = 200
"""So many rules there are at most: whatever happens with a record is held against them."""


def _rule_told(_: KnownRule | None, fact: Any) -> KnownRule:
    data = fact.data
    return KnownRule(fact.push_rule_id, data.record_kind, data.event, data.condition, data.to_field, data.active)


RULES = Replica("known-push-rules", KnownRule, feeds={_RULE.created: _rule_told, _RULE.edited: _rule_told})
"""All rules that there ever were; which of them are there, `RULES_THERE` tells."""
ALL = "all"
UNKNOWN = ""


@dataclass(frozen=True)
class RulesThere:
    """The rules that were not deleted, and what each is about; UNKNOWN: its row in RULES tells.

    A reaction can look up one row, and not ask for those of an event.
    """

    about: dict[UUID, str]


def _about(record_kind: str, event: str) -> str:
    return f"{record_kind}:{event}"


def _rule_there(row: RulesThere | None, fact: Any) -> RulesThere:
    data = getattr(fact, "data", None)  # who brings one back does not say again what it is
    about = _about(data.record_kind, data.event) if data else UNKNOWN
    return RulesThere({**(row.about if row else {}), fact.push_rule_id: about})


def _rule_deleted(row: RulesThere | None, fact: Any) -> RulesThere | None:
    return row and RulesThere({id: about for id, about in row.about.items() if id != fact.push_rule_id})


RULES_THERE = Replica(
    "push-rules-there",
    RulesThere,
    feeds={
        _RULE.created: _rule_there,
        _RULE.edited: _rule_there,
        _RULE.deleted: _rule_deleted,
        _RULE.restored: _rule_there,
    },
    key=lambda fact: ALL,
)


def _rules_about(kind: Kind, event: RuleEvent, heard: Heard) -> Sequence[KnownRule]:
    """The rules for what happens with a record of a kind, in an order that never changes."""
    there = heard.lookup(RULES_THERE, ALL)
    asked = (UNKNOWN, _about(kind.code, event))
    ids = sorted(id for id, about in there.about.items() if about in asked) if there else ()
    rules = filter(None, (heard.lookup(RULES, id) for id in ids))
    return [rule for rule in rules if rule.active and (rule.record_kind, rule.event) == (kind.code, event)]


# -- what has happened


def happened(kind: Kind, event: RuleEvent, fact: Any, heard: Heard) -> Iterator[FollowPushRule]:
    """What the rules for it say of a record with which something has happened."""
    rules = _rules_about(kind, event, heard)
    if not rules:
        return
    id, replica = getattr(fact, kind.key), RECORDS[kind.code]
    record = heard.lookup(replica, id)
    if feed := replica.feeds.get(type(fact)):
        record = feed(record, fact)
    if record is None or (record.deleted and event != "DELETED"):
        return
    seen = _known(kind, record)
    whose = seen.whose(partial(_find, heard))
    about_it = FollowPushRule(
        run_id=id,
        push_rule_id=id,
        met=False,
        record_kind=kind.code,
        record_id=id,
        happened_at=heard.at,
        values=_values(kind, record, fact),
        owner_id=whose.owners[0] if whose else None,
        rights=(kind.view, *(whose.rights if whose else ())),
        is_owned=whose is not None,
        shares=whose.shares if whose else (),
        person_id=kind.person_of(id, record.data),
        by=_by(fact),
    )
    for rule in rules:
        named = replace(about_it, run_id=telling_id(f"{heard.id}:{rule.id}"), push_rule_id=rule.id,
                        field_user_id=_in_field(record, rule.to_field))  # fmt: skip
        try:
            yield replace(named, met=_is_met(kind, record, rule.condition, heard))
        except Refused as refused:
            yield replace(named, broken=refused.why.reason)


def _is_met(kind: Kind, record: KnownHere, condition: str, heard: Heard) -> bool:
    """Whether a record is as a rule wants it.  Raises Refused where that can't be asked any more."""
    if not condition:
        return True
    asked = conditions.read(kind, condition, zone=heard.zone, dictionaries=heard.dictionaries)
    return conditions.holds(kind, record, asked)


def _known(kind: Kind, record: KnownHere) -> KnownRecord:
    """The record as it decides who may see it."""
    through = ""
    if kind.reached_through:
        above = kind_of_record(kind.fields[kind.reached_through].rules.record)
        through = place_of(above.code, getattr(record.data, kind.reached_through))
    owners = (record.owner.user_id,) if kind.owned else ()
    into = place_of(kind.code, record.merged_into) if record.merged_into else ""
    return KnownRecord(kind.code, owners, shares=record.shares, through=through, into=into)


def _find(heard: Heard, place: str) -> KnownRecord | None:
    code, _, id = place.partition(":")
    record = heard.lookup(RECORDS[code], id)
    return _known(kind_of_record(code), record) if record else None


def _in_field(record: KnownHere, key: str) -> UUID | None:
    """Who stands in a field that the company has added."""
    held = read_own(record.data.own).get(key) if key else None
    return UUID(str(held.value)) if held and held.type == "person" and held.value else None


def _values(kind: Kind, record: KnownHere, fact: Any) -> tuple[Filled, ...]:
    """What may be told of a record; of a field that is picked, the code."""
    told = {name: _text(getattr(record.data, name)) for name in fields_told(kind)}
    told |= {
        "record": _text(getattr(record.data, kind.called)),
        "by": _by(fact).name,
        "owner": record.owner.name,
        STATUS: record.status,
    }
    return tuple(Filled(name=name, text=text) for name, text in told.items() if text)


def _by(fact: Any) -> Person:
    """Who did it; Salestream, where the event tells nobody."""
    found: Person = getattr(fact, "by", SALESTREAM)
    return found


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Money):
        return f"{value.amount:f} {value.currency}"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value.isoformat() if isinstance(value, date) else str(value)


# -- what is done about it


MOST_RECEIVERS = 2_000
"""So many a rule tells at once: their notices are one transaction."""
MOST_BY_ROBOT = 20
"""So many of them a robot tells: as many messages as it says in a minute.  The others have their other ways."""
NOTICE_BYTES = 700
"""What is recorded of a notice is shorter, besides its title and text and the name of who did something."""
DELIVERY_BYTES = 350
"""What is recorded of a delivery is shorter, besides the name of its receiver."""
RUN_BYTES = 10_000
"""What is recorded of what came of a rule is shorter."""


def follow(command: FollowPushRule, work: Work) -> RuleRun:
    """Have those told whom a rule names, and say what came of it."""
    run, context = work.find_or_new(RuleRun, command.run_id), work.context
    rule = work.find(PushRuleRecord, command.push_rule_id)
    if run.is_followed or rule is None or rule.deleted or is_late(command.happened_at, context.now):
        return run
    pace = work.find_or_new(Pace, Pace.id_of(rule.id))
    if command.broken or not command.met:
        run.note(command, rule.data.name, "BROKEN" if command.broken else "NOT_MET", pace, context)
        return run
    template, problems = _template_of(rule.data, work)
    problems += gone(rule.data, context.custom_fields(command.record_kind), context.organisation)
    named = readers(receivers(named_by(rule.data, command), (), context.organisation), work)
    people = [id for id in named if _sees(id, command, work)]
    outcome: RuleOutcome = "TOLD"
    if not people:
        outcome = "NOT_SEEN" if named else "NOBODY"
    elif len(people) > MOST_RECEIVERS:
        outcome = "TOO_MANY"
    elif not pace.may_tell(len(people), context.now):
        outcome = "TOO_OFTEN"
    elif not _fits(ways := _ways(people, rule.data, work), _longest(rule, command, template, work), command, work):
        outcome = "TOO_MANY"
    else:
        for id in people:
            _tell(id, rule, command, template, work, ways=ways[id])
    count = len(people) if outcome == "TOLD" else 0
    unseen = len(named) - len(people)
    run.note(command, rule.data.name, outcome, pace, context, count=count, unseen=unseen, problems=problems)
    return run


def _ways(people: Sequence[UUID], rule: PushRule, work: Work) -> Mapping[UUID, Sequence[Way]]:
    """By which ways each is told; by robots the first of them alone."""
    found, room = {}, dict.fromkeys(GROUPS, MOST_BY_ROBOT)
    for id in people:
        found[id] = [way for way in ways_to(id, RULE_OCCASION, work, rule.ways) if room.get(way, 1)]
        for way in room.keys() & found[id]:
            room[way] -= 1
    return found


def _fits(ways: Mapping[UUID, Sequence[Way]], longest: int, command: FollowPushRule, work: Work) -> bool:
    """Whether one transaction takes what is recorded of what some people are told by some ways.

    More would be refused, and the event that they are told of be set aside.  A text is a third longer when sealed.
    """
    each = longest * 4 / 3 + NOTICE_BYTES + len(command.by.name.encode())
    sent = sum(len(of_one) * (DELIVERY_BYTES + _name_bytes(id, work)) for id, of_one in ways.items())
    return len(ways) * each + sent + RUN_BYTES <= MAX_RECORDED_AFTER_BYTES


def _name_bytes(person: UUID, work: Work) -> int:
    found = work.context.organisation.person(person)
    return len(found.name.encode()) if found else 0


def _template_of(rule: PushRule, work: Work) -> tuple[KnownTemplate | None, list[RuleProblem]]:
    """The template that a rule names, if it is there and of use."""
    if rule.template_id is None:
        return None, []
    found = work.find(NoticeTemplateRecord, rule.template_id)
    if found is None or found.deleted:
        return None, ["TEMPLATE_GONE"]
    template = KnownTemplate.of(found.id, found.data)
    return (template, []) if template.is_for(RULE_OCCASION, rule.record_kind) else (None, ["TEMPLATE_OF_ANOTHER"])


def _sees(person: UUID, command: FollowPushRule, work: Work) -> bool:
    """Whether somebody may see the record of which they would be told."""
    reach = partial(work.context.organisation.reach_of, person)
    if not command.is_owned:
        return all(_holds(person, right, work) for right in command.rights)
    first, *others = command.rights
    whose = Whose((command.owner_id,), command.shares, tuple(others))
    return whose.is_seen(first, reach, work.context.today)


def _holds(person: UUID, right: str, work: Work) -> bool:
    reach = work.context.organisation.reach_of(person, right)
    return reach.everybody or bool(reach.people)


def _words(
    rule: PushRuleRecord, command: FollowPushRule, template: KnownTemplate | None, seen: Sequence[Filled], work: Work
) -> Words:
    """What is told to who may see these values."""
    kind = kind_of_record(command.record_kind)

    def values(language: Language) -> Sequence[Filled]:
        said = (replace(one, text=_said(kind, one, language, work)) for one in seen)
        return (*said, Filled(name=RULE, text=rule.data.name), kind_called(kind.what, language))

    return Words(RULE_OCCASION, values, template, ready_title=rule.data.name)


def _longest(rule: PushRuleRecord, command: FollowPushRule, template: KnownTemplate | None, work: Work) -> int:
    """The most bytes that one reader is told: all values, in the language that takes most."""
    return _words(rule, command, template, command.values, work).longest()


def _tell(
    person: UUID,
    rule: PushRuleRecord,
    command: FollowPushRule,
    template: KnownTemplate | None,
    work: Work,
    *,
    ways: Sequence[Way],
) -> None:
    """Give somebody the notice, with those fields of the record that they may see."""
    seen = [one for one in command.values if _holds_all(person, FIELD_RIGHTS.get(one.name), work)]
    words = _words(rule, command, template, seen, work)
    told_of = command.person_id
    about = told_of if told_of and not work.is_erased(told_of) else person
    notice = work.find_or_new(Notice, notice_id(command.run_id, person))
    send(notice.give(command, words, person, about, work.context), ways, work)


def _holds_all(person: UUID, right: str | None, work: Work) -> bool:
    return right is None or _holds(person, right, work)


def _said(kind: Kind, told: Filled, language: Language, work: Work) -> str:
    """What stands in a place, in the language of its reader: entries of dictionaries and choices by what they are
    called."""
    field = kind.fields.get(told.name)
    if field and field.rules.dictionary:
        return work.context.dictionaries.of(field.rules.dictionary).label(told.text, language)
    if told.name == STATUS or (field and get_origin(field.one) is Literal):
        codes = (f"{kind.what}.{told.name}.{told.text}", f"{told.name}.{told.text}", told.text)
        found = next((text for code in codes if (text := texts("choices").get(code))), None)
        return found.in_language(language) if found else told.text
    return told.text


# -- what a rule may say


def require_fitting(rule: PushRuleRecord, command: Any, work: Work) -> None:
    """Raises Refused for a condition that can't be asked of such records, for a template that is for others, and for
    one rule too many.

    What was there before is not in the way of other changes: a rule that is broken can be switched off.
    """
    given = _given(command)
    if rule.pending and isinstance(command, (_RULE.create, _RULE.restore, _RULE.delete)):  # else it was there already
        _count(-1 if isinstance(command, _RULE.delete) else 1, work)
    if rule.data.condition and not {"condition", "record_kind"}.isdisjoint(given):
        kind, context = kind_of_record(rule.data.record_kind), work.context
        conditions.read(kind, rule.data.condition, context.may, dictionaries=context.dictionaries)
    if not {"template_id", "record_kind"}.isdisjoint(given):
        _, problems = _template_of(rule.data, work)
        if "TEMPLATE_OF_ANOTHER" in problems:
            raise Refused("notices.template_of_another", field="template_id")


def _count(more: int, work: Work) -> None:
    """Raises Refused where there are as many rules as there may be, those that are switched off included.

    They are counted as they are entered: of many at once each knows of those before it.  What has been heard of counts
    too, where counting began before all rules were heard of.
    """
    there = work.lookup(RULES_THERE, ALL)
    known = len(there.about) if there else 0
    count = work.find_or_new(RuleCount, RuleCount.ID).change(more, known)
    if more > 0 and max(count, known + more) > MOST_RULES:
        raise Refused("notices.most_rules", most=MOST_RULES, field=_RULE.key)


def _given(command: Any) -> Collection[str]:
    """The fields of a rule that a command gives: all, where it enters one, none, where it deletes or restores it."""
    if isinstance(command, (_RULE.restore, _RULE.delete)):
        return ()
    if isinstance(command, _RULE.edit):
        return _RULE.layout.given_by(command).keys()
    named: Sequence[str] = getattr(command, "fields", ())
    return named or _RULE.fields.keys()
