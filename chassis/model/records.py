"""Records of a declared kind (`contracts.records`): how they are entered, changed, deleted and brought back.

A kind without rules of its own needs nothing but a line in its service: `Service("marketing", records=[Survey])`.  One
that has some says them in a class of its own, which stands in that line instead:

    class SurveyRecord(Record):
        kind = kind_of(Survey)

        def check(self, data: Survey, given: Collection[str], context: Context, settings: Any) -> None:
            if data.topic == "COMPETITOR" and not data.competitor: raise Refused("marketing.no_competitor", ...)

Where records belong to people (`owned`), they change hands here too: who may give one to whom is ADR 0040.  Where they
have statuses, they go from one to another by the steps that are declared (ADR 0047).  Where they have a pool, they are
claimed from it and given back (ADR 0057), and moved where there are several (ADR 0065).  Where they are reached through
others (`reached_through`), the unit of work tells whose those are when it loads one (ADR 0054).  Where two are merged,
that is here too; the unit of work tells one that went into another which that is (ADR 0066).
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cache, partial
from types import SimpleNamespace
from typing import Any, ClassVar, NamedTuple, Protocol, Self
from uuid import UUID

from chassis.model import custom_values
from chassis.model.aggregates import Aggregate
from chassis.model.context import CLOCK_STEP, NOBODYS, Context, user_named
from chassis.model.dictionaries import is_among, listed
from chassis.model.identity import RecordId
from chassis.model.pools import Limits
from chassis.model.unique import UniqueIndex, UniqueValue
from chassis.model.whose import OF_NOBODY, Whose
from contracts.custom_fields import OWN, CustomField, read
from contracts.declare import KEPT, REGISTRY, ContractError
from contracts.errors import Refused, lacks_right, not_found
from contracts.merging import DUPLICATE, MERGED, MERGED_IDS, MERGED_INTO, MOST_MERGED
from contracts.parameters import limit_of
from contracts.people import NOBODY, SALESTREAM, Person
from contracts.pools import AMONG, CAME_BY, OWNER_SINCE, POOL_ID, How
from contracts.reasons import CodeOf, OfPerson, Why
from contracts.records import KINDS, OWNER, TAGS, Kind, kind_of
from contracts.sharing import MOST_SHARES, Access, Share
from contracts.statuses import REASON, STATUS, Step
from contracts.text import is_blank
from contracts.types import MAX_LINES, Money, PhoneField

KEPT_FIELDS = "kept"
"""The field of an answer with the names of the fields that could not be put back, and stay as they are."""
ADD = "add"
"""The field of a command with the tags that are added."""


@dataclass(frozen=True)
class Join:
    """A record went into another one, which had this `version` when it had taken the values of these fields.

    `ended` is the version that the other one had when it was taken out again; 0 while it was not.
    """

    version: int
    fields: tuple[str, ...] = ()
    ended: int = 0


class Taken(NamedTuple):
    """What a record was before and after it took the values of some fields from one that went into it."""

    fields: tuple[str, ...]
    before: Any
    after: Any


class NamedPool(Protocol):
    """A pool that a company has besides the one that is always there (`chassis.model.named_pools`)."""

    @property
    def cool_down_days(self) -> int: ...

    @property
    def limits(self) -> Limits: ...

    def is_looked_after(self, context: Context) -> bool: ...

    def require_claimable(self, context: Context) -> None: ...

    def require_open(self, field: str) -> None: ...


class Seat(NamedTuple):
    """Where a record takes a place in limits: of whom, and besides of which pool; None: of nobody, of none."""

    holder: UUID | None
    pool: UUID | None


@dataclass
class Record(Aggregate):
    """One record of a kind: what is known of it, whose it is, its status, and whether it was deleted.

    Of a kind with a pool, `since` is the day of the company on which it came to whom it belongs, or to the pool, or on
    which it was taken up again after it had been closed; None where that was before there were pools.  `left` is when
    it last went from whom to the pool.  `pool_id` is the pool in which it waits, or from which it comes; None: the one
    that is always there.

    Of a kind whose records are merged, `merged_into` is the one into which it went, and `joins` are those that went
    into it.  `parted` are the joins of those that were taken out of it again.
    """

    kind: ClassVar[Kind]
    settings: ClassVar[tuple[type[Aggregate], RecordId] | None] = None
    """The record of its service with the settings that `check` goes by, if any: its class and what names it."""
    together_came_later: ClassVar[bool] = False
    """Whether records were entered before what no two have together (`Kind.together`) was declared."""

    data: Any = None
    owner: Person = SALESTREAM
    deleted: bool = False
    shares: tuple[Share, ...] = ()
    status: str = ""
    since: date | None = None
    left: dict[UUID, date] = field(default_factory=dict)
    pool_id: UUID | None = None
    merged_into: UUID | None = None
    joins: dict[UUID, Join] = field(default_factory=dict)
    parted: tuple[Join, ...] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not hasattr(cls, "kind"):
            return  # what records of several kinds have in common
        kind = cls.kind
        cls.seen_by = kind.view
        cls.appliers = {
            **cls.appliers,
            kind.created: Record._created,
            kind.edited: Record._edited,
            kind.deleted: Record._deleted,
            kind.restored: Record._restored,
        }
        if kind.assigned:
            cls.appliers |= {kind.assigned: Record._assigned, kind.shared: Record._shared}
        if kind.status_set:
            cls.appliers |= {kind.status_set: Record._status_set}
        if kind.moved:
            cls.appliers |= {kind.moved: Record._moved}
        if kind.merge:
            cls.appliers |= {
                kind.merged: Record._merged,
                kind.unmerged: Record._unmerged,
                kind.joined: Record._joined,
            }

    # -- what a kind may say of its own

    def check(self, data: Any, given: Collection[str], context: Context, settings: Any) -> None:
        """Raises Refused where the record may not become this.

        `given` names the fields that the command gives: what was there before need not be in the way of other changes.
        """

    # -- what may be done with it

    @classmethod
    def on_page(cls, row: Mapping[str, Any]) -> Self:
        record = super().on_page(row)
        record.deleted = row["deleted"]
        if cls.kind.owned:
            whose = Whose.of_row(row)
            record.owner, record.shares = Person(user_id=whose.owners[0], name=row["owner_name"]), whose.shares
        if cls.kind.statuses:
            record.status = row[STATUS]
            record.data = SimpleNamespace(**{name: row.get(name) for name in cls.kind.fields})
        if cls.kind.merge:
            record.merged_into = row.get(MERGED_INTO)
        return record

    def can_change_by(self, command: type) -> bool:
        """What is there is not brought back, and what went into no other record not taken out of one."""
        if command is self.kind.unmerge:
            return self.merged_into is not None
        return self.deleted or command is not self.kind.restore

    def require_may(self, command: type, context: Context) -> None:
        """Raises Refused where the caller may give no such command of this record now, whatever it says.

        A record that was deleted takes no command but that which restores it, and those with whom it is only shared may
        neither take it away nor give it to others; that it is shared with themselves they may end.  One that went into
        another record takes no command but that which takes it out again.
        """
        kind = self.kind
        if command is not kind.unmerge:
            self.require_unmerged(kind.key)
        elif self.merged_into is None:
            raise Refused("records.not_merged", kind=kind.what, field=kind.key)
        if command is not kind.restore:
            self.require_there()
        if kind.pool:
            self._require_pool(command, context)
        for_whose_it_is = command in (
            kind.delete, kind.restore, kind.assign, kind.share, kind.unshare, kind.give_back, kind.merge, kind.unmerge,
        )  # fmt: skip
        is_shared_with_them = any(share.with_id == context.user.user_id for share in self.shares)
        ends_own = command is kind.unshare and is_shared_with_them
        if self._is_given_from_pool(command, context):
            return
        if kind.owned and for_whose_it_is and not ends_own and not self._is_theirs(context):
            raise Refused("records.only_shared", kind=kind.what, field=kind.key)

    def _require_pool(self, command: type, context: Context) -> None:
        """Raises Refused where a record of a kind with a pool is not where a command takes it from."""
        kind, statuses = self.kind, self.kind.statuses
        mine = context.owner.user_id if command is kind.claim else None
        if command in (kind.claim, kind.assign_in_turn) and self.owner.user_id not in (None, mine):
            raise Refused("pools.already_claimed", kind=kind.what, field=kind.key, state="OWNED")
        if command is kind.give_back and self.owner.user_id is None:
            raise Refused("pools.in_pool_already", kind=kind.what, field=kind.key, state="POOL")
        if command is kind.give_back and statuses and self.status != statuses.first:
            raise Refused("pools.closed", kind=kind.what, field=kind.key, state=self.status)
        waits, pool = self.owner.user_id is None, self.pool
        if command is kind.claim and waits and pool:
            pool.require_claimable(context)
        if command is kind.move or (command in (kind.assign, kind.assign_in_turn) and waits and pool):
            self._require_looked_after(context)

    def _require_looked_after(self, context: Context) -> None:
        """Raises Refused FORBIDDEN for who does not look after the pool in which it waits, or from which it comes."""
        assert self.kind.pool is not None, f"{self.kind.what} has no pool"
        has_all = context.reach_of(self.kind.pool.assign).everybody
        if not (self.pool.is_looked_after(context) if self.pool else has_all):
            raise Refused("pools.not_looked_after", field=self.kind.key)

    @property
    def pool(self) -> NamedPool | None:
        """The pool in which it waits, or from which it comes, as far as that was looked up; None: the one that is
        always there."""
        found: NamedPool | None = self.__dict__.get("_pool")
        return found

    def stand_in(self, pool: NamedPool | None) -> None:
        """Take for its pool what was found of it: asked anew by each command."""
        self.__dict__["_pool"] = pool

    def _is_given_from_pool(self, command: type, context: Context) -> bool:
        """Whether a record that waits in a pool is given to somebody, by who assigns records of others too."""
        kind, pool = self.kind, self.kind.pool
        if pool is None or command not in (kind.assign, kind.assign_in_turn) or self.owner.user_id is not None:
            return False
        reach = context.reach_of(pool.assign)
        return reach.everybody or bool(reach.people - {context.user.user_id})

    def _is_theirs(self, context: Context) -> bool:
        """Whether the caller's right to change such records reaches it, whoever it is shared with."""
        return context.reach_of(self._edit_right).covers(self.survivor.owner.user_id)

    @property
    def _edit_right(self) -> str:
        return REGISTRY.command_of(self.kind.edit).permission

    @property
    def is_busy(self) -> bool:
        """Whether a process is under way with it, which nothing that is done by itself may cross."""
        return False

    # -- commands

    def create(self, command: Any, context: Context, settings: Any = None) -> None:
        """Enter the record; it belongs to whom the command names.  Raises Refused.

        Where it names nobody that is who enters it, or who answers for the program that does.
        """
        self._require_own_id(context)
        own = custom_values.entered(self._custom_fields(context), command.own, context)
        data = self.kind.cls(**{**self._listed(self.kind.layout.given_by(command), context), OWN: own})
        given = [name for name, nothing in self.kind.guarded.items() if getattr(data, name) != nothing]
        self._require_rights(given, context)
        self._require_past(data, given, context)
        self.check(data, tuple(self.kind.fields), context, settings)
        told: dict[str, Any] = {}
        if self.kind.owned:
            told["owner"] = self._owner_named(command.owner_id, context)
        if self.kind.statuses:
            told[STATUS] = self.kind.statuses.begins(owned=not self.kind.owned or told["owner"].user_id is not None)
        if self.kind.pool:
            told |= {OWNER_SINCE: context.today, POOL_ID: command.pool_id}
        self.record(self.kind.created(**self._named, **self.kind.layout.told(data), **told, by=context.user))

    def edit(self, command: Any, context: Context, settings: Any = None) -> None:
        """Change what the command names; nothing happens when that is how it is already.  Raises Refused."""
        given = self.kind.layout.given_by(command)
        if command.own is not KEPT:
            given[OWN] = custom_values.changed(self._custom_fields(context), self.data.own, command.own, context)
        self._require_rights(given, context, partial(self.kind.layout.place_in, command))
        self._become(given, context, settings)

    def revert(
        self, command: Any, then: Any, context: Context, settings: Any = None, *, lost: Collection[str] = ()
    ) -> None:
        """Put back what it was at an earlier version, `then`; nothing happens when that is how it is.

        Fields that need a right which the caller lacks stay as they are, unless they are named: that is refused.  So
        does what can't be given any more, such as an entry of a dictionary that was switched off, or what names a
        record or a file that is gone (`lost`); the answer tells it.
        """
        if command.fields is KEPT:
            names = [*(name for name in self.kind.fields if self._may_give(name, context)), OWN]
        else:
            names = command.fields
            self._require_rights(names, context)
        given = {name: getattr(then, name) for name in names}
        kept = [
            name
            for name in names
            if command.fields is KEPT and (name in lost or not self._may_be_listed(name, given[name], context))
        ]
        for name in kept:
            del given[name]
        if OWN in given:
            back = custom_values.put_back(self._custom_fields(context), self.data.own, then.own, context, lost=lost)
            given[OWN] = back.own
            kept += back.kept
        self._become(given, context, settings)
        self.kept.extend(kept)

    def _may_be_listed(self, name: str, value: Any, context: Context) -> bool:
        try:
            self._listed({name: value}, context)
        except Refused:
            return False
        return True

    def _become(self, given: Mapping[str, Any], context: Context, settings: Any) -> None:
        data = replace(self.data, **self._listed(given, context))
        self._require_needed(data, given)
        self.check(data, tuple(given), context, settings)
        changed = tuple(name for name in self.kind.fields if getattr(data, name) != getattr(self.data, name))
        own = custom_values.names_changed(self.data.own, data.own)
        if changed or own:
            self._require_past(data, changed, context)
            changed += own
            told = self.kind.layout.told(data)
            self.record(self.kind.edited(**self._named, **told, changed=changed, by=context.user))

    def tag(self, command: Any, context: Context, settings: Any = None) -> None:
        """Add tags and take some away, whatever others there are; nothing happens when it is so already (CUS-08).

        Of two people who do so at once none undoes what the other did.  Raises Refused naming the field.
        """
        self._require_rights((TAGS,), context)
        tree = context.dictionaries.of(self.kind.fields[TAGS].rules.dictionary)
        if both := [tag for tag in command.add if is_among(tag, command.remove, tree)]:
            raise Refused("records.tag_in_both", tag=both[0], field="remove")
        kept = tuple(tag for tag in self.data.tags if not is_among(tag, command.remove, tree))
        new = tuple(tag for tag in command.add if not is_among(tag, kept, tree))
        as_given = {ADD: replace(self.kind.fields[TAGS], name=ADD)}
        added = listed(as_given, {ADD: new}, None, context.dictionaries)[ADD]
        if len(kept) + len(added) > MAX_LINES:
            raise Refused("records.most_tags", kind=self.kind.what, most=MAX_LINES, field=ADD)
        self._become({TAGS: (*kept, *added)}, context, settings)

    def set_status(self, command: Any, context: Context, settings: Any = None) -> None:
        """Take the record to another status by the step that leads there; nothing happens when it has it already.

        Raises Refused: there is no such step, or it wants a right, a field or a reason that is not there.
        """
        if command.status == self.status:
            return
        step = self.require_step(command.status, context)
        if step.reason and is_blank(command.reason):
            raise Refused("records.step_wants_reason", field=REASON)
        told = {"before": self.status, STATUS: command.status, REASON: command.reason}
        if self.kind.pool and self.kind.statuses and command.status == self.kind.statuses.first:
            told[OWNER_SINCE] = context.today  # it is worked on anew
        self.record(self.kind.status_set(**self._named, **told, by=context.user))

    def require_step(self, to: str, context: Context) -> Step:
        """The step that leads to a status.  Raises Refused where the caller can't make it now, whatever they say."""
        statuses = self.kind.statuses
        assert statuses is not None, f"{self.kind.what} has no statuses"
        step = statuses.step(self.status, to)
        if step is None:
            if self.status == statuses.pooled:
                raise Refused("pools.claim_first", kind=self.kind.what, field=STATUS, state=self.status)
            now, there = self._said(self.status), [self._said(status) for status in statuses.after(self.status)]
            if there:
                why = Why("records.no_such_step", to=self._said(to), states=there, state=now)
            else:
                why = Why("records.no_more_steps", kind=self.kind.what, state=now)
            raise Refused.by(why, field=STATUS, state=self.status)
        if step.right:
            self._require_right_to_step(step.right, context)
        if missing := [name for name in step.needs if not is_filled(getattr(self.data, name))]:
            raise Refused.by(Why("records.step_needs", fields=missing), field=STATUS, state=self.status)
        return step

    def _said(self, status: str) -> CodeOf:
        """A status as it is told: in the words that the kind has for it."""
        return CodeOf(status, f"{self.kind.what}.{STATUS}")

    def _require_right_to_step(self, right: str, context: Context) -> None:
        """Raises Refused FORBIDDEN unless the caller holds the right, for this record."""
        if not context.may(right):
            raise lacks_right(right, context.organisation.roles_with(right), STATUS)
        if self.whose and not self.whose.is_reached(context.reach_of(right), context.today, "EDIT"):
            raise Refused("records.out_of_reach", field=STATUS)

    def _require_needed(self, data: Any, given: Iterable[str]) -> None:
        """Raises Refused naming the field that the status of the record needs, and that is to be emptied."""
        needed = self.kind.statuses.needed_in(self.status) if self.kind.statuses else ()
        for name in given:
            if name in needed and is_filled(getattr(self.data, name)) and not is_filled(getattr(data, name)):
                why = Why("records.needed_in_status", kind=self.kind.what, field=name, state=self._said(self.status))
                raise Refused.by(why, field=name, state=self.status)

    def delete(self, _: Any, context: Context, settings: Any = None) -> None:
        """Take the record away."""
        self.record(self.kind.deleted(**self._named, by=context.user))

    def restore(self, _: Any, context: Context, settings: Any = None) -> None:
        """Bring the record back as it was; nothing happens when it is there.  Raises Refused."""
        if self.deleted:
            self.check(self.data, (), context, settings)
            self.record(self.kind.restored(**self._named, by=context.user))

    def assign(self, command: Any, context: Context, settings: Any = None) -> None:
        """Give the record to somebody else, or to nobody; nothing happens when it is theirs.  Raises Refused.

        With whom it was shared was for whose it was to say: it no longer is.  What has a pool is given back to it by a
        command of its own, and given to others by whoever holds the right to assign (LED-04).  Who gives themselves
        what waits in the pool claims it, as everybody does (LED-05).
        """
        if command.owner_id is KEPT or command.owner_id == self.owner.user_id:
            return
        pool = self.kind.pool
        if pool and command.owner_id is None:
            raise Refused("pools.give_back", kind=self.kind.what, field=OWNER)
        owner = self._owner_named(command.owner_id, context)
        if pool and not context.may(pool.assign):
            raise lacks_right(pool.assign, context.organisation.roles_with(pool.assign), OWNER)
        if self.is_taken_by(owner.user_id, context):
            self.claim(command, context)
        else:
            self._change_hands(owner, context, "ASSIGNED")

    def is_taken_by(self, person: UUID | None, context: Context) -> bool:
        """Whether the caller takes the record out of the pool themselves, where it is to be a person's."""
        waits = self.kind.pool is not None and self.owner.user_id is None
        return waits and person is not None and person == context.owner.user_id

    def claim(self, _: Any, context: Context, settings: Any = None) -> None:
        """Take the record out of the pool; nothing happens when it is theirs already (LED-03).

        Raises Refused CLAIM_LIMIT where they had it before, and not long enough ago (LED-05).
        """
        if self.owner.user_id is not None:
            return
        if (free_on := self.free_on(context.owner.user_id, context)) and context.today < free_on:
            raise Refused("pools.cooling_down", kind=self.kind.what, free_on=free_on, field=self.kind.key)
        self._change_hands(context.owner, context, "CLAIMED")

    def free_on(self, person: UUID | None, context: Context) -> date | None:
        """From which day on somebody who had it before may claim it again; None: they never had it."""
        if person not in self.left:
            return None
        days = context.parameter(limit_of(self.kind.path, "cool_down_days"))
        return self.left[person] + timedelta(days=max(days, self.pool.cool_down_days if self.pool else 0))

    def require_named(self, people: Collection[UUID], context: Context) -> None:
        """Raises Refused naming the field with them, where there are none, and for one to whom nothing can be given."""
        if not people:
            raise Refused("pools.nobody_named", kind=self.kind.what, field=AMONG)
        for person in people:
            if not context.reach.covers(person):
                raise Refused("records.owner_out_of_reach", kind=self.kind.what, field=AMONG)
            if context.organisation.person(person) is None:
                raise Refused("records.no_such_user", field=AMONG)

    def assign_in_turn(self, person: UUID, context: Context) -> None:
        """Give the record out of the pool to somebody whose turn it is (LED-04); the answer tells whom."""
        self._change_hands(user_named(context.organisation, person, AMONG), context, "ASSIGNED")
        self.__dict__["_given_to"] = {OWNER: str(person), "owner_name": self.owner.name}

    def give_back(self, command: Any, context: Context, settings: Any = None) -> None:
        """Give the record back to the pool that it comes from, or the one that is named, and say why (LED-07)."""
        to = self.pool_id if command.pool_id is KEPT else command.pool_id
        if self.pool is not None and to == self.pool_id:
            self.pool.require_open(POOL_ID)
        self._change_hands(NOBODY, context, "RETURNED", command.reason, to=to)

    def move(self, command: Any, context: Context, settings: Any = None) -> None:
        """Put the record into another pool; nothing happens when it is in that one (LED-01, CUS-12)."""
        if command.pool_id not in (KEPT, self.pool_id):
            before, moved = self.pool_id, self.kind.moved
            self.record(moved(**self._named, pool_id=command.pool_id, before=before, by=context.user))

    def recycle(self, rule: str, context: Context) -> None:
        """Take the record back to the pool by a rule: nobody has worked on it for so long (LED-06, CUS-17)."""
        self._change_hands(NOBODY, context, "RECYCLED", rule)

    def _change_hands(self, owner: Person, context: Context, how: How, reason: str = "", *, to: Any = KEPT) -> None:
        more: dict[str, Any] = {}
        if self.kind.pool:
            pool = self.pool_id if to is KEPT else to
            more = {OWNER_SINCE: context.today, CAME_BY: how, REASON: reason, POOL_ID: pool}
            if statuses := self.kind.statuses:
                more[STATUS] = statuses.after_giving(self.status, owned=owner.user_id is not None)
        self.record(self.kind.assigned(**self._named, owner=owner, before=self.owner, **more, by=context.user))

    @property
    def seat(self) -> Seat:
        """Where it takes a place in a limit: whose that is, and of which pool."""
        return Seat(self.holder, self.pool_id)

    @property
    def held_by_pool(self) -> UUID | None:
        """The pool that can't be deleted because of it; None: none, as with what is gone, is another thing now or went
        into another record."""
        is_another = self.kind.statuses is not None and self.status == self.kind.statuses.becomes
        return None if self.deleted or is_another or self.merged_into is not None else self.pool_id

    @property
    def holder(self) -> UUID | None:
        """In whose count the record takes a place (`chassis.model.pools`); None: in nobody's.

        That of a kind without a pool, one that is closed or deleted, one that went into another, and one that came to
        its owner before the kind had a pool take none.
        """
        statuses = self.kind.statuses
        is_open = (statuses is None or self.status == statuses.first) and self.merged_into is None
        return self.owner.user_id if self.since is not None and is_open and not self.deleted else None

    def share(self, command: Any, context: Context, settings: Any = None) -> None:
        """Let a user or department read or edit it too; nothing happens when they do so already (COL-07).

        Raises Refused naming the field.
        """
        named = self._named_to_share(command, context)
        if command.until is not None and command.until < context.today:
            raise Refused("records.day_is_over", today=context.today, field="until")
        share = Share(with_id=command.with_id, **named, access=command.access, until=command.until)
        in_force = [one for one in self.shares if one.until is None or context.today <= one.until]
        shares = (*(one for one in in_force if one.with_id != share.with_id), share)
        if len(shares) > MOST_SHARES:
            raise Refused("records.most_shares", kind=self.kind.what, most=MOST_SHARES, field="with_id")
        if share not in self.shares:
            self.record(self.kind.shared(**self._named, shares=shares, by=context.user))

    def unshare(self, command: Any, context: Context, settings: Any = None) -> None:
        """Share it with a user or department no longer (COL-07).  Raises Refused NOT_FOUND where it isn't."""
        if command.with_id != context.user.user_id and not self._is_theirs(context):
            raise Refused("records.only_shared", kind=self.kind.what, field=self.kind.key)
        shares = tuple(one for one in self.shares if one.with_id != command.with_id)
        if shares == self.shares:
            raise Refused("records.not_shared_with", kind=self.kind.what, field="with_id")
        self.record(self.kind.shared(**self._named, shares=shares, by=context.user))

    def _named_to_share(self, command: Any, context: Context) -> dict[str, Any]:
        """With whom a command shares the record: what they are, and what they are called."""
        if (name := context.organisation.department(command.with_id)) is not None:
            return {"kind": "DEPARTMENT", "name": name}
        if command.with_id == self.owner.user_id:
            raise Refused("records.shared_with_owner", kind=self.kind.what, field="with_id")
        if context.organisation.person(command.with_id) is None:
            raise Refused("records.nobody_to_share_with", field="with_id")
        name = user_named(context.organisation, command.with_id, "with_id").name
        for right in (self.kind.view, *([self._edit_right] if command.access == "EDIT" else [])):
            if context.organisation.reach_of(command.with_id, right) == NOBODYS:
                raise Refused("records.cannot_use_share", name=name, right=right, field="with_id")
        return {"kind": "USER", "name": name}

    def is_reached(self, context: Context, command: type) -> bool:
        """Whether the caller sees this record, and their right reaches it or it is shared with them to edit (SEC-18,
        COL-07).  Who reads it only may end that."""
        whose = self.whose
        if whose is None or (self.kind.pool and command in (self.kind.claim, self.kind.move)):
            return True  # who comes too late to a pool, or does not look after it, is told so
        if self.kind.pool and command is self.kind.assign_in_turn and self.owner.user_id is not None:
            return True
        if self._is_given_from_pool(command, context):
            return True
        sees = not context.may(self.kind.view) or whose.is_seen(self.kind.view, context.reach_of, context.today)
        access: Access = "READ" if command is self.kind.unshare else "EDIT"
        return sees and whose.is_reached(context.reach, context.today, access)

    @property
    def whose(self) -> Whose | None:
        """Whose it is, as far as that decides who reaches it; None: nobody's in particular."""
        if self.survivor is not self:
            return self.survivor.whose
        if self.kind.owned:
            return Whose((self.owner.user_id,), self.shares)
        return self.__dict__.get("_whose", OF_NOBODY) if self.kind.reached_through else None

    def reach_through(self, whose: Whose) -> None:
        """Take for whose it is what was found of the record through which it is reached: asked anew by each command."""
        self.__dict__["_whose"] = whose

    # -- two that are about the same

    @property
    def survivor(self) -> "Record":
        """The record that this one is a part of now, through however many others; itself where it is of none."""
        above: Record | None = self.__dict__.get("_above") if self.merged_into is not None else None
        return above.survivor if above else self

    def go_with(self, above: "Record") -> None:
        """Take for the record into which this one went what was found of it: asked anew by each command."""
        self.__dict__["_above"] = above

    def require_unmerged(self, field: str) -> None:
        """Raises Refused INVALID_STATE, naming the one to look at, where the record went into another."""
        if self.merged_into is not None:
            raise Refused("records.merged", kind=self.kind.what, survivor=self.survivor.id, field=field, state=MERGED)

    def require_mergeable(self, duplicate: "Record", number: int, context: Context) -> None:
        """Raises Refused naming the field where another record may not go into this one; `number`: so many it were."""
        if duplicate.id == self.id:
            raise Refused("records.merged_with_itself", kind=self.kind.what, field=DUPLICATE)
        duplicate.require_unmerged(DUPLICATE)
        if not (duplicate.is_reached(context, self.kind.merge) and duplicate._is_theirs(context)):
            raise Refused("records.out_of_reach", field=DUPLICATE)
        if number > MOST_MERGED:
            raise Refused("records.most_merged", kind=self.kind.what, most=MOST_MERGED, field=DUPLICATE)

    def merge(
        self,
        duplicate: "Record",
        command: Any,
        context: Context,
        settings: Any = None,
        *,
        lost: Collection[str] = (),
    ) -> None:
        """Let another record go into this one, which takes its values of some fields, and its tags.  Raises Refused.

        What is taken over is given by who merges, so they need the right to give it.  Of what the company has added
        that stays as it is which can't be given, such as a file on the other record (`lost`); the answer tells it.
        """
        self._require_rights(command.take, context)
        given = {name: getattr(duplicate.data, name) for name in command.take}
        if OWN in given:
            fields = self._custom_fields(context)
            back = custom_values.put_back(fields, self.data.own, duplicate.data.own, context, lost=lost)
            given[OWN] = back.own
            self.kept.extend(back.kept)
        if TAGS in self.kind.fields:
            given[TAGS] = self._tags_with(duplicate, context)
        given = {name: value for name, value in given.items() if value != getattr(self.data, name)}
        changed: tuple[str, ...] = ()
        before = self.version
        if given:
            self._become(given, context, settings)
        if self.version > before:
            names = (OWN if name.startswith(f"{OWN}.") else name for name in self.pending[-1].changed)
            changed = tuple(dict.fromkeys(names))
        self._tell_joined((*self.joins, duplicate.id), context, changed)
        duplicate.record(self.kind.merged(**duplicate._named, **{MERGED_INTO: self.id}, by=context.user))
        duplicate.go_with(self)

    def _tags_with(self, duplicate: "Record", context: Context) -> tuple[str, ...]:
        """The tags of both.  Raises Refused where those are too many."""
        tree, own = context.dictionaries.of(self.kind.fields[TAGS].rules.dictionary), self.data.tags
        found = (*own, *(tag for tag in duplicate.data.tags if not is_among(tag, own, tree)))
        if len(found) > MAX_LINES:
            raise Refused("records.most_tags", kind=self.kind.what, most=MAX_LINES, field=DUPLICATE)
        return found

    def joins_to_undo(self, duplicate: "Record") -> Sequence[Join]:
        """The join of a record that is taken out, and those before it, the newest first, that ended while it lasted: a
        value that came with one of these, and that it has covered, goes too."""
        join = self.joins[duplicate.id]
        covered = [one for one in self.parted if one.fields and one.version < join.version < one.ended]
        return [join, *sorted(covered, key=lambda one: -one.version)] if join.fields else []

    def part(self, duplicate: "Record", taken: Sequence[Taken], context: Context) -> None:
        """Let a record that went into this one be one of its own again.

        `taken` tells what this one took by each of `joins_to_undo`, nothing where nobody can tell any more.  It gives
        that up again, unless somebody has changed it since.  Whose the other one was has it, or who has taken over.
        """
        data = self.data
        if taken:
            data = replace(data, **{name: self._without(name, taken) for name in taken[0].fields})
        if data != self.data:
            changed = tuple(name for name in self.kind.fields if getattr(data, name) != getattr(self.data, name))
            changed += custom_values.names_changed(self.data.own, data.own)
            told = self.kind.layout.told(data)
            self.record(self.kind.edited(**self._named, **told, changed=changed, by=context.user))
        self._tell_joined([id for id in self.joins if id != duplicate.id], context)
        duplicate.record(self.kind.unmerged(**duplicate._named, was_in=self.id, by=context.user))
        duplicate.go_to_heir(context)

    def _without(self, name: str, taken: Sequence[Taken]) -> Any:
        """The value of a field without what it took from others."""
        value = getattr(self.data, name)
        if name == TAGS:
            came = {*getattr(taken[0].after, name)} - {*getattr(taken[0].before, name)}
            return tuple(tag for tag in value if tag not in came)
        for one in taken:
            if name in one.fields and value == getattr(one.after, name):
                value = getattr(one.before, name)
        return value

    def go_to_heir(self, context: Context) -> None:
        """Give the record to who has taken over from whom it belongs to, where somebody has."""
        owner = self.owner.user_id
        heir = context.organisation.standing_in(owner) if owner else None
        person = context.organisation.person(heir) if heir else None
        if heir != owner and person is not None:
            self._change_hands(person, context, "ASSIGNED")

    def _tell_joined(self, ids: Iterable[UUID], context: Context, changed: Sequence[str] = ()) -> None:
        self.record(
            self.kind.joined(**self._named, **{MERGED_IDS: tuple(ids)}, changed=tuple(changed), by=context.user)
        )

    @property
    def kept(self) -> list[str]:
        """The fields that could not be put back, until an answer has told them."""
        found: list[str] = self.__dict__.setdefault("_kept", [])
        return found

    def reply(self) -> dict[str, Any]:
        kept = [*self.kept]
        self.kept.clear()
        given_to = self.__dict__.pop("_given_to", {})
        return {**({"deleted": True} if self.deleted else {}), **({KEPT_FIELDS: kept} if kept else {}), **given_to}

    @property
    def owners(self) -> tuple[UUID | None, ...]:
        return (self.owner.user_id,) if self.kind.owned else ()

    @property
    def unique_values(self) -> Mapping[str, UniqueValue]:
        """What no other record of the kind may have, by field; nothing of a deleted one."""
        if self.deleted or self.data is None:
            return {}
        held: dict[str, tuple[str, ...]]
        held = {name: (str(value),) for name in self.kind.unique if is_filled(value := getattr(self.data, name))}
        if self.kind.together and all(map(is_filled, texts := self._together)):
            held[self.kind.together[0]] = texts
        before: Mapping[str, tuple[Sequence[str], UniqueValue]] = self.__dict__.get("_held", {})
        now = {
            name: before[name] if name in before and before[name][0] == texts else (texts, self._unique(name, texts))
            for name, texts in held.items()
        }
        self.__dict__["_held"] = now  # ids of an index are dear, and asked for before and after each command
        return {name: value for name, (_, value) in now.items()}

    def is_unique_of_person(self, name: str) -> bool:
        """Whether a unique value of the record tells of a person, by the field under which it stands."""
        names = self.kind.together if name in self.kind.together else (name,)
        return any(self.kind.fields[one].is_personal for one in names)

    @property
    def person(self) -> UUID | None:
        """Of whom it tells; None where it tells of nobody."""
        return self.kind.person_of(self.id, self.data)

    def called_unique(self, name: str) -> Why:
        """What a refusal calls a unique value of the record, by the field under which it stands."""
        if name in self.kind.together:
            return Why("records.values", fields=self.kind.together, values=[*map(self._in_refusal, self.kind.together)])
        return Why("records.value", field=name, value=self._in_refusal(name))

    def _in_refusal(self, name: str) -> Any:
        """What stands in a field, as a refusal tells it."""
        value = getattr(self.data, name)
        return OfPerson(value) if self.kind.fields[name].is_personal else value

    def called_in_refusal(self, context: Context) -> str:
        """What the record is called, to whoever may see that; "" where there is nothing to say."""
        name = self.kind.called
        right = self.kind.fields[name].rules.right if name else ""
        return self._in_refusal(name) if name and (not right or context.may(right)) else ""

    @property
    def _together(self) -> tuple[str, ...]:
        """The texts that no other record has together."""
        return tuple(getattr(self.data, name) for name in self.kind.together)

    def own_values_once(self, context: Context) -> Mapping[str, "OwnValueOnce"]:
        """What no other record of the kind may have of the fields that the company has added, by path (CFG-01)."""
        if self.deleted or self.data is None:
            return {}
        held = {key: str(one.value) for key, one in read(self.data.own).items()}
        return {
            one.path: OwnValueOnce(one, held[one.key], own_value_once(self.kind, one, held[one.key]))
            for one in self._custom_fields(context)
            if one.is_unique and one.key in held
        }

    def _unique(self, name: str, texts: Sequence[str]) -> UniqueValue:
        if name in self.kind.together:
            return UniqueIndex.of_text(self.kind.index, *texts)
        [value] = texts
        index = self.kind.fields[name].rules.index or f"{self.kind.service}.{self.kind.what}.{name}"
        is_phone = self.kind.fields[name].checked_by is PhoneField
        return (UniqueIndex.of_phone if is_phone else UniqueIndex.of_text)(index, value)

    @property
    def _named(self) -> dict[str, UUID]:
        return {self.kind.key: self.id}

    def _require_own_id(self, context: Context) -> None:
        """Raises Refused for the id of a user: what tells of a person is sealed with the key of that id (CPL-01)."""
        if self.kind.has_personal and context.organisation.person(self.id):
            raise Refused("records.id_of_another_kind", field=self.kind.key)

    def _require_rights(self, given: Iterable[str], context: Context, place: Callable[[str], str] = str) -> None:
        """Raises Refused FORBIDDEN for a field that needs a right of its own, whatever is given for it: that nothing
        changes would tell what stands there.  `place` tells what the command calls the field."""
        for name in given:
            if name != OWN and not self._may_give(name, context):
                right = self.kind.fields[name].right
                raise lacks_right(right, context.organisation.roles_with(right), place(name))

    def _require_past(self, data: Any, given: Iterable[str], context: Context) -> None:
        """Raises Refused VALIDATION for a day that is still to come, where it is one of something that has happened.

        What stands there already is not asked again: today may be an earlier day since the company's zone was changed.
        """
        for name in given:
            value = getattr(data, name)
            if not self.kind.fields[name].rules.past or value is None:
                continue
            for one in value if isinstance(value, tuple) else (value,):
                is_moment = isinstance(one, datetime)
                if one > (context.now + CLOCK_STEP if is_moment else context.today):
                    latest = f"{context.now:%Y-%m-%dT%H:%M:%SZ}" if is_moment else context.today
                    raise Refused("records.to_come", latest=latest, field=name)

    def _listed(self, given: Mapping[str, Any], context: Context) -> Mapping[str, Any]:
        """What is given, what is picked from dictionaries by its code.  Raises Refused naming the field."""
        return listed(self.kind.fields, given, self.data, context.dictionaries)

    def _custom_fields(self, context: Context) -> Sequence[CustomField]:
        return context.custom_fields(self.kind.code)

    def _may_give(self, name: str, context: Context) -> bool:
        right = self.kind.fields[name].right
        return not right or context.may(right)

    def require_there(self) -> None:
        """Raises Refused NOT_FOUND for a record that was deleted."""
        if self.deleted:
            raise not_found(self.kind.what, self.kind.key)

    def _owner_named(self, owner_id: Any, context: Context) -> Person:
        """Whose the record is to be.  Raises Refused naming `owner_id`; of whom one can't reach it tells nothing."""
        if owner_id is None:
            return NOBODY
        if owner_id is KEPT or owner_id == context.owner.user_id:
            return context.owner
        if not context.reach.covers(owner_id):
            raise Refused("records.owner_out_of_reach", kind=self.kind.what, field=OWNER)
        return user_named(context.organisation, owner_id, OWNER)

    # -- what it belongs to, and what belongs to it

    @property
    def parents(self) -> Mapping[str, UUID]:
        """The records to which it belongs, by the field that names each; of a deleted one none."""
        if self.deleted or self.data is None:
            return {}
        found = {name: getattr(self.data, name) for name in self.kind.parents}
        return {name: id for name, id in found.items() if id is not None}

    def is_seen(self, context: Context) -> bool:
        """Whether the caller may see the record (SEC-18, COL-07)."""
        if self.whose is None:
            return context.may(self.kind.view)
        return self.whose.is_seen(self.kind.view, context.reach_of, context.today)

    def require_childless(self, children: Mapping[str, int]) -> None:
        """Raises Refused INVALID_STATE while other records belong to it: how many of each kind."""
        for kind, count in sorted(children.items()):
            if count > 0:
                raise Refused(
                    "records.has_children", kind=self.kind.what, child=kind, count=count, field=self.kind.key,
                    state="IN_USE",
                )  # fmt: skip

    # -- what is remembered

    def _created(self, fact: Any) -> None:
        self.data = self.kind.layout.read(fact)
        self.owner = getattr(fact, "owner", SALESTREAM)
        self.status = getattr(fact, STATUS, "")
        self.since = getattr(fact, OWNER_SINCE, None)
        self.pool_id = getattr(fact, POOL_ID, None)

    def _edited(self, fact: Any) -> None:
        self.data = self.kind.layout.read(fact)

    def _deleted(self, _: Any) -> None:
        self.deleted = True

    def _restored(self, _: Any) -> None:
        self.deleted = False

    def _assigned(self, fact: Any) -> None:
        if self.kind.pool:
            self.since = fact.owner_since
            if fact.owner.user_id is None and fact.before.user_id is not None and fact.owner_since is not None:
                self.left = {**self.left, fact.before.user_id: fact.owner_since}
            self.status = getattr(fact, STATUS, self.status)
            self.pool_id = fact.pool_id
        self.owner = fact.owner
        self.shares = ()

    def _moved(self, fact: Any) -> None:
        self.pool_id = fact.pool_id

    def _shared(self, fact: Any) -> None:
        self.shares = fact.shares

    def _merged(self, fact: Any) -> None:
        self.merged_into = fact.merged_into

    def _unmerged(self, _: Any) -> None:
        self.merged_into = None

    def _joined(self, fact: Any) -> None:
        last = Join(self.version, fact.changed)
        over = (join for id, join in self.joins.items() if id not in fact.merged_ids)
        self.parted += tuple(replace(join, ended=self.version) for join in over)
        self.joins = {id: self.joins.get(id, last) for id in fact.merged_ids}

    def _status_set(self, fact: Any) -> None:
        self.status = fact.status
        self.since = getattr(fact, OWNER_SINCE, None) or self.since

    def currency(self) -> str:
        """That of its amounts: one that is entered without a currency is in it; "" where it has none."""
        amounts = [getattr(self.data, name) for name, field in self.kind.fields.items() if field.one is Money]
        return next((amount.currency for amount in amounts if isinstance(amount, Money)), "")


def is_filled(value: Any) -> bool:
    """Whether a field of a record, or of its row, says anything."""
    return not is_blank(value) if isinstance(value, str) else value is not None and value not in ((), [])


class OwnValueOnce(NamedTuple):
    """The value that a record has of a unique field of the company's, as people read it and as the index names it."""

    field: CustomField
    text: str
    value: UniqueValue


def own_value_once(kind: Kind, field: CustomField, text: str) -> UniqueValue:
    """A value of a unique field of the company's as ids of its index."""
    return UniqueIndex.of_text(f"{kind.service}.{kind.what}.{field.path}", text)


@cache
def aggregate_of(declared: type) -> type[Record]:
    """The aggregate of a kind of record, or the one that says the kind's own rules.  Raises ContractError."""
    if issubclass(declared, Record):
        return declared
    kind = kind_of(declared)
    made: type[Record] = type(f"{declared.__name__}Record", (Record,), {"kind": kind, "__doc__": f"One {kind.what}."})
    return made


def kinds_of(service: str) -> Sequence[type]:
    """The kinds of records that a service's contracts declare."""
    return [cls for cls, kind in KINDS.items() if kind.service == service]


def require_all(service: str, records: Sequence[type]) -> None:
    """Raises ContractError unless a service has every kind of record that its contracts declare, and no other."""
    here, declared = {aggregate_of(one).kind.cls for one in records}, set(kinds_of(service))
    if wrong := here ^ declared:
        named = ", ".join(sorted(cls.__name__ for cls in wrong))
        raise ContractError(f"{service}: its records are not those that its contracts declare: {named}")
