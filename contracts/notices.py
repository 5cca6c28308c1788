"""Telling people (features NTF-01..08, CFG-10).  Aggregates: telling, notice, delivery, ways of the company and of a
person, notice template, push rule, run of a push rule, pace of a push rule.

Whoever wants people to be told says so by an event of their own, of which `services/notices/reactions.py` makes a
`TellPeople`, or sends that command itself.  Who the receivers are is asked at that moment and never kept: somebody who
has left is replaced by whoever took over, and a role is whoever has it now (ADR 0056).
"""

from dataclasses import field
from datetime import time
from typing import Literal
from uuid import NAMESPACE_URL, UUID, uuid5

from contracts.declare import KEPT, command, event, value
from contracts.ids import new_id
from contracts.languages import Language
from contracts.occasions import RULE_OCCASION, Filled, Occasion, Way
from contracts.people import SALESTREAM, Person
from contracts.permissions import SELF
from contracts.personal import Personal
from contracts.records import data, kind_of, record
from contracts.schedules import Daily, schedule
from contracts.sharing import Share
from contracts.types import Clock, Day, Flag, Moment, Name, Note, Quantity, Reason, RoleCode, Text, User, Whole

ReceiverKind = Literal["USER", "SUPERIOR", "ROLE", "RIGHT", "DEPARTMENT", "EVERYBODY"]


@value
class Receiver:
    """One answer to who is told.

    USER: `user_id`, or who has taken over from them; with a `right`: who does what waits for them and needs that.
    SUPERIOR: the next one above `user_id` who leads people, and holds the `right`, where there is one.
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
        may = {needs, "user_id", "right"} if self.kind in ("USER", "SUPERIOR", "RIGHT") else {needs}
        named = [name for name in ("user_id", "role", "right", "department_id") if getattr(self, name)]
        if needs and needs not in named:
            return needs
        return next((name for name in named if name not in may), "")


@value
class OccasionWays:
    """The ways by which people are told on an occasion besides their list; none: by that alone (NTF-03)."""

    told_apart_by = "occasion"

    occasion: Occasion
    ways: tuple[Way, ...]


@value
class QuietHours:
    """When somebody is sent nothing, by the clock of their zone; over midnight where it ends earlier than it begins.

    Where it ends when it begins there are none.
    """

    begins: Clock
    ends: Clock


RuleKind = Literal["customer", "contact", "product", "lead", "campaign", "survey"]
"""The kinds of records that push rules may be about (`Kind.code`): not those that say how Salestream itself works."""
RuleEvent = Literal["CREATED", "EDITED", "DELETED", "STATUS_SET", "ASSIGNED", "RECYCLING_NEAR", "STOCK_LOW"]
"""What may happen with a record of which a push rule tells people."""
RuleOutcome = Literal["TOLD", "NOT_MET", "NOBODY", "NOT_SEEN", "TOO_MANY", "TOO_OFTEN", "BROKEN"]
"""What came of a push rule when something happened.  NOBODY: nobody is left of those whom it names.  NOT_SEEN: none of
them may see the record.  TOO_MANY: more than are told at once.  TOO_OFTEN: it has told people often enough in this
hour.  BROKEN: its condition asks for something that there is no more."""
RuleProblem = Literal["TEMPLATE_GONE", "TEMPLATE_OF_ANOTHER", "PERSON_GONE", "DEPARTMENT_GONE", "FIELD_GONE"]
"""What a push rule names that there is no more; whoever else it names is told all the same."""


@record("/notice-templates", view="settings.view", edit="settings")
class NoticeTemplate:
    """What people are told on an occasion, in the company's own words (CFG-10).

    In each language in which it says something that stands in place of the ready-made text; what stands in braces is
    filled in when it is told.  Of several for one occasion the first by name holds.  Those for PUSH_RULE are named by
    the rules that use them; where they name a kind of record, its fields may stand in braces too.  Who deletes one has
    the ready-made text told again.
    """

    name: Name = data(unique=True)
    occasion: Occasion = data(example=RULE_OCCASION)
    record_kind: RuleKind | None = data(default=None, example=None)
    title_zh: Text = data(default="", searchable=False)
    text_zh: Note = ""
    title_ja: Text = data(default="", searchable=False)
    text_ja: Note = ""
    title_en: Text = data(default="", searchable=False)
    text_en: Note = ""


@record("/push-rules", view="settings.view", edit="settings")
class PushRule:
    """Who is told what happens with records of a kind (NTF-02).

    `condition` is one on the fields of the kind, its status and its owner, as lists take it (`?where=`); none: always.
    Told are the owner, the next one above who leads people, whoever has a role, all of a department and those below it,
    people, and whoever stands in a field of the company's that holds people, as far as they may see the record.
    `ways` are those by which they are told besides their list who have chosen nothing for it themselves.
    """

    name: Name = data(unique=True)
    record_kind: RuleKind
    event: RuleEvent
    condition: Note = data(default="", example="")
    to_owner: Flag = False
    to_superior: Flag = False
    to_roles: tuple[RoleCode, ...] = ()
    to_departments: tuple[User, ...] = data(default=(), example=())
    to_users: tuple[User, ...] = data(default=(), example=())
    to_field: Text = data(default="", example="", searchable=False)
    ways: tuple[Way, ...] = ()
    template_id: UUID | None = data(default=None, record="notice template", outlives=True)
    active: Flag = True


_TEMPLATE, _RULE = kind_of(NoticeTemplate), kind_of(PushRule)
EditNoticeTemplate, EditPushRule = _TEMPLATE.edit, _RULE.edit


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
    `record_kind` and `record_id` say to which record a notice leads.  `but` are left out, whoever else names them, and
    so is who has taken over from them.  What happened days ago is told to nobody any more.  Many are told in parts,
    in the order of their ids: `after` is the last one who was told before.
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
    after: UUID | None = None


@command(None, permission="system", key="run_id")
class FollowPushRule:
    """Do what a push rule says, because of something that has happened: once, however often this comes (NTF-02).

    `met` tells whether its condition held, `broken` why it could not be asked.  `owner_id` is whose the record is,
    `field_user_id` who stands in the field that the rule names.  Who is told must see the record: by all the `rights`,
    and, of one that `is_owned`, as far as those reach its owner, or with whom it is shared.
    """

    about_person = "person_id"

    run_id: UUID
    push_rule_id: UUID
    met: Flag
    record_kind: Text
    record_id: UUID
    happened_at: Moment
    broken: Text = ""
    values: tuple[Filled, ...] = ()
    owner_id: UUID | None = None
    field_user_id: UUID | None = None
    rights: tuple[Text, ...] = ()
    is_owned: Flag = False
    shares: tuple[Share, ...] = ()
    person_id: UUID | None = None
    by: Person = SALESTREAM


@command("POST /announcements", permission="platform", key="announcement_id", creates=True)
class Announce:
    """Tell people of an update, or of whatever they should know (NTF-06, NTF-07)."""

    title: Name
    text: Reason
    receivers: tuple[Receiver, ...]
    announcement_id: UUID = field(default_factory=new_id)


@command("PUT /notices/{notice_id}/read", permission=SELF)
class ReadNotice:
    """Say that one has read a notice (NTF-06)."""

    notice_id: UUID


@command("POST /notices/{notice_id}/earlier-read", permission=SELF)
class ReadEarlierNotices:
    """Say that one has read a notice and all that one was given before it: the newest that one has seen (NTF-06)."""

    notice_id: UUID


@command("PUT /settings/notices", permission="settings", key="settings_id")
class SetNoticeWays:
    """Say by which ways people are told who have chosen nothing themselves (NTF-03).

    A field left out keeps its value.
    """

    ways: tuple[OccasionWays, ...] = KEPT
    settings_id: Literal["notices"] = "notices"


@command("PUT /notice-ways/{user_id}", permission=SELF)
class ChooseNoticeWays:
    """Choose by which ways one is told, and at which hours one is sent nothing (NTF-03).

    Of an occasion that is not named what the company has set holds.  What comes in quiet hours is sent after them.
    """

    user_id: UUID
    ways: tuple[OccasionWays, ...] = ()
    quiet: QuietHours | None = None


@command(None, permission="system", key="delivery_id")
class NoteAttempt:
    """What came of a try to send something; reason "": it was sent.  `for_good`: no later try will do."""

    delivery_id: UUID
    attempt: Quantity
    reason: Text = ""
    for_good: Flag = False


@command("POST /deliveries/{delivery_id}/again", permission="platform")
class SendAgain:
    """Send what has failed again, once the reason is put right (NTF-05)."""

    delivery_id: UUID


@schedule(Daily(time(3), missed="LAST"))
class ForgetNotices:
    """Take away the notices that are over (NTF-06)."""


# -- events -------------------------------------------------------------------------------------------------------


@event("salestream.notices.announced.v1", key="announcement_id")
class Announced:
    """Somebody told people of an update: `count` of them."""

    announcement_id: UUID
    title: Text
    text: Note
    receivers: tuple[Receiver, ...]
    count: Whole
    by: Person = SALESTREAM


@event("salestream.notices.telling-goes-on.v1", key="telling_id")
class TellingGoesOn:
    """Some of many people were told, up to the one `after` whom the others are told next: as `TellPeople` says it."""

    about_person = "person_id"

    telling_id: UUID
    occasion: Occasion
    receivers: tuple[Receiver, ...]
    happened_at: Moment
    after: UUID
    values: tuple[Filled, ...] = ()
    but: tuple[UUID, ...] = ()
    record_kind: Text = ""
    record_id: UUID | None = None
    person_id: UUID | None = None
    by: Person = SALESTREAM


@event("salestream.notices.notice-given.v1", key="notice_id")
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


@event("salestream.notices.notice-read.v1", key="notice_id")
class NoticeRead:
    """Its receiver has read a notice."""

    notice_id: UUID
    receiver_id: UUID


@event("salestream.notices.notice-forgotten.v1", key="notice_id")
class NoticeForgotten:
    """A notice is over: it was kept until `until`."""

    notice_id: UUID
    receiver_id: UUID
    until: Day


@event("salestream.notices.notice-ways-set.v1", key="settings_id")
class NoticeWaysSet:
    """By which ways people are told who have chosen nothing themselves."""

    settings_id: Text
    ways: tuple[OccasionWays, ...]
    by: Person = SALESTREAM


@event("salestream.notices.notice-ways-chosen.v1", key="user_id")
class NoticeWaysChosen:
    """Somebody chose by which ways they are told, and their quiet hours."""

    user_id: UUID
    ways: tuple[OccasionWays, ...]
    quiet: QuietHours | None = None


@event("salestream.notices.push-rule-followed.v1", key="run_id")
class PushRuleFollowed:
    """What came of a push rule when something happened with a record: `count` people were told, `unseen` may not see
    it.

    `broken` is the reason for which its condition could not be asked, as a code.  `last_noted`: when the same comes of
    the rule again within this hour, it is not told any more.
    """

    run_id: UUID
    push_rule_id: UUID
    rule: Text
    record_kind: Text
    record_id: UUID
    outcome: RuleOutcome
    count: Whole = 0
    unseen: Whole = 0
    broken: Text = ""
    problems: tuple[RuleProblem, ...] = ()
    happened_at: Moment
    by: Person = SALESTREAM
    last_noted: Flag = False


@event("salestream.notices.delivery-planned.v1", key="delivery_id")
class DeliveryPlanned:
    """A notice is to be sent to its receiver by a way, from `due_at` on."""

    delivery_id: UUID
    notice_id: UUID
    receiver_id: UUID
    receiver: Person
    occasion: Occasion
    way: Way
    due_at: Moment


@event("salestream.notices.delivery-postponed.v1", key="delivery_id")
class DeliveryPostponed:
    """A try to send something failed; it is tried again at `due_at`.  `reason` is a code that tells of no person."""

    delivery_id: UUID
    receiver_id: UUID
    attempt: Quantity
    reason: Text
    due_at: Moment


@event("salestream.notices.delivery-sent.v1", key="delivery_id")
class DeliverySent:
    """Whoever brings it on has taken it over."""

    delivery_id: UUID
    receiver_id: UUID
    attempt: Quantity
    sent_at: Moment


@event("salestream.notices.delivery-failed.v1", key="delivery_id")
class DeliveryFailed:
    """It could not be sent, and is not tried any more."""

    delivery_id: UUID
    receiver_id: UUID
    attempt: Quantity
    reason: Text


@event("salestream.notices.delivery-renewed.v1", key="delivery_id")
class DeliveryRenewed:
    """Somebody has what had failed sent again.  Older events don't tell the way: there was one."""

    delivery_id: UUID
    receiver_id: UUID
    due_at: Moment
    by: Person = SALESTREAM
    way: Way = "MAIL"
