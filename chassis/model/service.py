"""What an `application.py` declares: a service's table of contents - its commands, one line each, and its replicas."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from chassis.model.aggregates import Aggregate
from chassis.model.attached_files import AttachedFile, files_of
from chassis.model.children import Children, children_id
from chassis.model.context import NOBODYS, Context
from chassis.model.dictionaries import Dictionaries
from chassis.model.held_together import HadTogether, had_in, place_of_index, places_in
from chassis.model.identity import RecordId, record_id
from chassis.model.known_records import Find, KnownRecord, feeds_of, place_of
from chassis.model.middleware import Middleware, Records
from chassis.model.named_pools import pool_of
from chassis.model.pools import Limits, Places, Turn, places_id, turn_id
from chassis.model.records import Record, Seat, Taken, aggregate_of, require_all
from chassis.model.schedules import Due, Failure, Plan, Timetable, day_asked_for, timetable_id, timetable_of
from chassis.model.unique import UniqueIndex, UniqueValue
from chassis.model.whose import OF_NOBODY, Whose
from contracts.custom_fields import CustomField
from contracts.declare import REGISTRY, CommandSpec, ContractError
from contracts.errors import Refused, not_found
from contracts.merging import DUPLICATE, MERGED
from contracts.people import Person
from contracts.pools import AMONG, POOL_ID
from contracts.reasons import OfPerson, Why
from contracts.records import Kind, kind_called
from contracts.schedules import SCHEDULES, AsOf, Done, schedules_of
from contracts.types import Money

CurrencyOf = Callable[[Records, UUID], str]
"""The currency of the record with this id; "" when there is no such one."""

A = TypeVar("A", bound=Aggregate)
R = TypeVar("R")
Held = TypeVar("Held", bound=UniqueIndex | None)


@dataclass(frozen=True)
class Replica(Generic[R]):
    """What a service must know of another one to decide: a keyed table fed from the other's events.

    `row` is a dataclass; `feeds` maps each event to a function (row or None, event) -> row, or None to delete it;
    `key` says under which key an event's row stands (default: the event's own key field).
    """

    name: str
    row: type[R]
    feeds: Mapping[type, Callable[[R | None, Any], R | None]]
    key: Callable[[Any], str] | None = None
    keys: Callable[[Any], Sequence[str]] | None = None  # where one event touches several rows

    def keys_of(self, fact: Any) -> Sequence[str]:
        if self.keys is not None:
            return self.keys(fact)
        if self.key is not None:
            return [self.key(fact)]
        return [str(getattr(fact, REGISTRY.event_of(type(fact)).key))]


@dataclass(frozen=True)
class Moments(Generic[R]):
    """What a service does at moments of its records' own (ADR 0068): when it is `at` of a row, the row's command.

    A row stays until the service hears of what came of the command, which may be given again until then, and late: it
    does nothing where nothing is to be done any more.
    """

    rows: Replica[R]
    at: Callable[[R], datetime]
    command: Callable[[R], Any]


class Work(Protocol):
    """The unit of work a command handler is given.  All it loads is saved in one transaction, or nothing is."""

    @property
    def context(self) -> Context: ...

    def on_behalf_of(self, person: Person, right: str) -> "Work":
        """The same unit of work, where a service does what a person has asked for (`Context.on_behalf_of`)."""

    @property
    def prepared(self) -> Any:
        """What was worked out before the command came to the writer (`chassis.model.middleware`); else None."""

    def get(self, cls: type[A], id: RecordId, *, what: str, field: str) -> A:
        """The aggregate; raises Refused NOT_FOUND ("There is no such <what>.", naming `field`)."""

    def find(self, cls: type[A], id: RecordId) -> A | None:
        """The aggregate, or None."""

    def new(self, cls: type[A], id: UUID, *, what: str, field: str) -> A:
        """A new aggregate; raises Refused DUPLICATE when the id is taken."""

    def find_or_new(self, cls: type[A], id: RecordId) -> A:
        """The aggregate, or an empty one (version 0)."""

    def earlier(self, cls: type[A], id: UUID, version: int) -> A:
        """The aggregate as it was at a version that it has had."""

    def had_earlier(self, cls: type[Record], field: CustomField, ids: Sequence[UUID]) -> Sequence[UUID]:
        """The records of a kind that may have a value, which its index names by these ids, since before the field was
        unique: they hold no index of it."""

    def is_erased(self, person: UUID) -> bool:
        """Whether a person was erased: what is known of them reads as nothing (CPL-01)."""

    def lookup(self, replica: Replica[R], key: UUID | str) -> R | None:
        """What this service knows of another's record."""

    def has_any(self, replica: Replica[R], prefix: str) -> bool:
        """Whether a replica has a row whose key begins with `prefix`."""

    def rows_with_prefix(self, replica: Replica[R], prefix: str) -> Iterator[R]:
        """The rows of a replica whose keys begin with `prefix`, of which there are few."""

    def rows(self, replica: Replica[R]) -> Iterator[R]:
        """All that this service knows of others' records, one after the other: for what is asked now and then."""

    def rows_after(self, replica: Replica[R], key: str, limit: int) -> Sequence[tuple[str, R]]:
        """The next rows of a replica after a key ("": from the first on), with theirs, in the order of keys."""

    def take_back(self) -> Sequence[Any]:
        """What was recorded so far: nothing of it is saved, as if it had not been."""

    def next_number(self, series: str) -> int:
        """The next number of a series that this service counts, from 1 on; no other record ever gets it.

        It is used up with what the command records: a refused command leaves no gap.
        """


class Heard(Protocol):
    """An event of another service, of which this one has heard, and what it knows of that service at that moment."""

    @property
    def id(self) -> str:
        """Of the event: the same however often it comes."""

    @property
    def at(self) -> datetime:
        """When it happened."""

    @property
    def zone(self) -> ZoneInfo:
        """The company's (SET-03)."""

    @property
    def dictionaries(self) -> Dictionaries:
        """What is picked, as it is now (CFG-08)."""

    def lookup(self, replica: Replica[R], key: UUID | str) -> R | None:
        """What this service knows of another's record: all that the record's own events have told until this one."""


ReactionFunction = Callable[[Any, Heard], Iterable[Any]]
"""What a service does when something happens elsewhere: its own commands.  It may be asked again for the same event, so
what they do when they come twice is done once: by an id that is made of the event's, never by what is remembered."""
CommandFunction = Callable[[Any, Work], Aggregate]
BesidesFunction = Callable[[Any, Any, Work], None]
"""What a command of a kind of record does besides: told the record as it is then, the command, and the unit of work."""
ScheduleFunction = Callable[[AsOf, Work], Done]
"""What a schedule does.  It may be called again for the same day, so it leaves alone what it has dealt with."""


def change(cls: type[A], act: Callable[[A, Any, Context], None], *, what: str | None = None) -> CommandFunction:
    """The handler that loads the aggregate named by the command's key and lets it decide.

    A record of a declared kind that was deleted is there for no command of its own either.
    """
    called = what or (cls.kind.what if issubclass(cls, Record) else cls.__name__.lower())

    def handler(command: Any, work: Work) -> A:
        key = REGISTRY.command_of(type(command)).key
        aggregate = work.get(cls, record_id(key, getattr(command, key)), what=called, field=key)
        if isinstance(aggregate, Record):
            aggregate.require_may(type(command), work.context)
        act(aggregate, command, work.context)
        return aggregate

    return handler


def upsert(cls: type[A], act: Callable[[A, Any, Context], None]) -> CommandFunction:
    """Like `change`, but an aggregate that does not exist yet starts empty."""

    def handler(command: Any, work: Work) -> A:
        key = REGISTRY.command_of(type(command)).key
        aggregate = work.find_or_new(cls, record_id(key, getattr(command, key)))
        act(aggregate, command, work.context)
        return aggregate

    return handler


@dataclass(frozen=True)
class Claim:
    """A unique value that a record is to hold; `what` a refusal calls it, and the `field` that it names.

    `earlier` are other records that may have it without holding it.  `has` tells whether a record still has it, and
    `tells` whether the caller may know which one that is; both None where whoever holds a value has it, and is told.
    `person` says of whom it tells as another record has it: None where that is nobody, or that record itself.
    `now` is the record that has what another one held, as that went into it: None where it was deleted since.
    `names` refuses by what the other record is called; None for what has no name that all may know.
    """

    value: UniqueValue
    what: Callable[[], Why]
    field: str
    earlier: Sequence[UUID] = ()
    has: Callable[[UUID], bool] | None = None
    tells: Callable[[UUID], bool] | None = None
    person: Callable[[UUID], UUID | None] | None = None
    now: Callable[[UUID], UUID | None] | None = None
    names: Callable[[UUID, "Claim"], Refused | None] = lambda other, claim: None

    def is_freed(self, work: Work, other: UUID) -> bool:
        """Whether another record has it no more because a person was erased, whatever that record is known to hold:
        nobody could tell any more what to give up (CPL-01)."""
        person = self.person(other) if self.person else None
        return work.is_erased(other) or (person is not None and work.is_erased(person))

    def require_free(self, other: UUID | None, holder: UUID) -> None:
        """Raises Refused DUPLICATE where another record has it."""
        if other is None or other == holder or (self.has and not self.has(other)):
            return
        other = self.now(other) if self.now else other
        if other is None or other == holder:
            return
        if self.tells and not self.tells(other):
            raise Refused("records.taken_unseen", what=self.what(), field=self.field)
        named = self.names(other, self)
        raise named or Refused("records.taken", what=self.what(), holder=other, field=self.field)


def hold(work: Work, holder: UUID, claims: Sequence[Claim], before: Sequence[UniqueValue] = ()) -> None:
    """Let a record hold these unique values, and no others of those that it held before.

    What it gives up is free under whatever id it, or an earlier release for it, has taken it.  What it keeps is not
    claimed again: two records may hold values that earlier releases told apart.
    Raises Refused DUPLICATE naming the field when another record has a new one under any of its ids.
    """
    new = [one for one in claims if one.value not in before]
    for one in new:
        for other in one.earlier:
            if not one.is_freed(work, other):
                one.require_free(other, holder)
        for id in one.value.former:
            if index := _held(work, one, work.find(UniqueIndex, id)):
                one.require_free(index.holder, holder)
        for id in one.value.taken:
            index = _held(work, one, work.find_or_new(UniqueIndex, id))
            one.require_free(index.holder, holder)
            index.claim(holder)
    kept = {id for one in claims for id in (one.value.taken if one in new else one.value.ids)}
    given_up = [id for value in (*before, *(one.value for one in new)) for id in value.ids if id not in kept]
    for id in dict.fromkeys(given_up):
        if index := work.find(UniqueIndex, id):
            index.release(holder)


def _held(work: Work, claim: Claim, index: Held) -> Held:
    """The index of a value, which nobody holds any more once the person was erased."""
    if index is not None and index.holder is not None and claim.is_freed(work, index.holder):
        index.release(index.holder)
    return index


MOST_LEVELS = 50
"""So deep a tree of records may be."""


class Parents:
    """The records that those of a service may belong to: its own, and others' as it knows them."""

    def __init__(self, aggregates: Sequence[type[Record]]) -> None:
        """`with_children`: the kinds whose deletion waits for that of what belongs to them.

        Raises ContractError for a field that names no kind of record, or one whose deletion it can't hinder, and for a
        kind that is reached through what belongs to nobody.
        """
        self._own = {aggregate.kind.what: aggregate for aggregate in aggregates}
        foreign: dict[str, Kind] = {}
        for kind in (aggregate.kind for aggregate in aggregates):
            foreign |= {above.what: above for above in kind.way if above.service != kind.service}
            for name, one in kind.parents.items():
                parent = kind_called(one.rules.record)
                if not parent.called:
                    raise ContractError(
                        f"{kind.cls.__qualname__}.{name} names a {parent.what}, and no text says what one is called"
                    )
                if parent.what not in self._own:
                    foreign |= {above.what: above for above in parent.way}
                    if not one.rules.outlives:
                        raise ContractError(
                            f"{kind.cls.__qualname__}.{name} names a record of {parent.service}, which does not know "
                            "who names its own: say that it outlives it"
                        )
        self.replica = _known_records(foreign) if foreign else None
        named = (one.rules for aggregate in aggregates for one in aggregate.kind.parents.values())
        self.with_children = {rules.record for rules in named if not rules.outlives}
        self.with_children |= {kind.pools.what for aggregate in aggregates if (kind := aggregate.kind).pools}

    def whose(self, record: Record, work: Work) -> Whose:
        """Whose a record is that is reached through another one."""
        name = record.kind.reached_through
        parent, id = kind_called(record.kind.fields[name].rules.record), getattr(record.data, name)
        if parent.what in self._own:
            above = work.find(self._own[parent.what], id)
            whose = above.whose if above else None
        else:
            row = self._known(parent, id, work)
            whose = row.whose(self._finding(work)) if row else None
        return whose.through(parent.view) if whose else OF_NOBODY

    def _known(self, kind: Kind, id: UUID, work: Work) -> KnownRecord | None:
        return self._finding(work)(place_of(kind.code, id))

    def _finding(self, work: Work) -> Find:
        assert self.replica is not None
        return partial(work.lookup, self.replica)

    def keep(self, record: Record, work: Work, before: Mapping[str, UUID], *, chosen: bool) -> None:
        """Let a record belong to those that it names now; `before` are those that it named.

        Raises Refused naming the field for one that is not there, or, where the caller has `chosen` it, that they do
        not see, through which they may not change what is reached, and for one that belongs to the record itself.
        """
        now = record.parents
        for name, one in record.kind.parents.items():
            if name in now and before.get(name) != now[name] and (chosen or not one.rules.outlives):
                self._require_there(record, name, now[name], work, chosen=chosen)
                if chosen and name == record.kind.reached_through:
                    record.reach_through(self.whose(record, work))
                    if not record.is_reached(work.context, record.kind.edit):
                        raise Refused("records.out_of_reach", field=name)
            if one.rules.outlives or before.get(name) == now.get(name):
                continue
            for ids, by in ((before, -1), (now, 1)):
                if name in ids:
                    work.find_or_new(Children, children_id(ids[name])).change(record.kind.what, by)

    def lost(self, record: Record, then: Any, work: Work) -> Collection[str]:
        """The fields by which a record named, at an earlier version, what the caller can't have it belong to now."""
        return [
            name
            for name in record.kind.parents
            if (id := getattr(then, name)) not in (None, record.parents.get(name))
            and not self._is_there(record, name, id, work)
        ]

    def _is_there(self, record: Record, name: str, id: UUID, work: Work) -> bool:
        try:
            self._require_there(record, name, id, work, chosen=True)
        except Refused:
            return False
        return True

    def _require_there(self, record: Record, name: str, id: UUID, work: Work, *, chosen: bool) -> None:
        what = record.kind.parents[name].rules.record
        merged_into: UUID | None = None
        if what in self._own:
            parent = work.find(self._own[what], id)
            is_there = parent is not None and not parent.deleted and (not chosen or parent.is_seen(work.context))
            if parent is not None and parent.merged_into is not None:
                merged_into = parent.survivor.id
        else:
            row, context, find = self._known(kind_called(what), id, work), work.context, self._finding(work)
            is_there = row is not None and (
                row.is_seen(context.reach_of, context.today, find) if chosen else not row.deleted
            )
            merged_into = row.survivor(find) if row else None
        if not is_there:
            raise not_found(what, name)
        if merged_into is not None and chosen:
            raise Refused("records.merged", kind=what, survivor=merged_into, field=name, state=MERGED)
        if what == record.kind.what:
            self._require_no_circle(record, name, id, work)

    def _require_no_circle(self, record: Record, name: str, id: UUID | None, work: Work) -> None:
        """Raises Refused where a record would be above itself, or too far below the top."""
        for _ in range(MOST_LEVELS):
            if id is None:
                return
            if id == record.id:
                raise Refused("records.above_itself", kind=record.kind.what, field=name)
            above = work.find(self._own[record.kind.what], id)
            id = getattr(above.data, name) if above else None
        raise Refused("records.most_levels", kind=record.kind.what, most=MOST_LEVELS, field=name)


def keep_places(record: Record, work: Work, before: Seat, *, claimed: bool) -> None:
    """Count a record for whom it belongs to now, and no more for who had it `before`: of all, and of its pool."""
    kind, now = record.kind, record.seat
    counts = [(before._replace(pool=None), now._replace(pool=None))]
    counts += [(before if before.pool else NO_SEAT, now if now.pool else NO_SEAT)]
    for was, becomes in counts:
        if was == becomes:
            continue
        if was.holder is not None:
            _places(work, kind, was.holder, was.pool).change(kind, was.holder, -1, was.pool)
        if becomes.holder is not None:
            places = _places(work, kind, becomes.holder, becomes.pool)
            if claimed:
                places.claim(kind, becomes.holder, work.context.today, becomes.pool)
            else:
                places.change(kind, becomes.holder, 1, becomes.pool)


NO_SEAT = Seat(None, None)


def _places(work: Work, kind: Kind, person: UUID, pool: UUID | None) -> Places:
    return work.find_or_new(Places, places_id(kind, person, pool))


def _limited(record: Record, person: UUID, work: Work) -> Iterator[tuple[Places, Limits]]:
    """What is counted of somebody who is to have a record, and the limits of that: of all, and of its pool."""
    yield _places(work, record.kind, person, None), Limits.of_all(record.kind, work.context)
    if record.pool is not None:
        yield _places(work, record.kind, person, record.pool_id), record.pool.limits


def _require_room(record: Record, work: Work) -> None:
    """Raises Refused CLAIM_LIMIT where who claims a record has no place left for it."""
    kind, claimer = record.kind, work.context.owner.user_id
    if claimer is not None and record.owner.user_id is None:
        for places, limits in _limited(record, claimer, work):
            places.require_room(kind, limits, work.context.today)


def _require_place(record: Record, work: Work) -> None:
    """Raises Refused CLAIM_LIMIT where who has brought back a record of their own has filled its place meanwhile."""
    kind, holder = record.kind, record.holder
    if holder is not None and holder == work.context.owner.user_id:
        for places, limits in _limited(record, holder, work):
            places.require_place(kind, limits)


def _named_by(command: Any, aggregate: type[Record], work: Work) -> Record:
    """The record that a command names, with the pool in which it waits, or from which it comes.

    Raises Refused NOT_FOUND.
    """
    kind = aggregate.kind
    record = work.get(aggregate, getattr(command, kind.key), what=kind.what, field=kind.key)
    if kind.pools is not None:
        record.stand_in(work.find(pool_of(kind), record.pool_id) if record.pool_id else None)
    return record


def keep_in_pool(record: Record, work: Work, before: UUID | None, *, chosen: bool) -> None:
    """Count a record for the pool that it is of now, and no more for that of `before` (`Record.held_by_pool`).

    Raises Refused naming the field where there is no such pool, or, where the caller has `chosen` it, none that they
    see, or that takes nothing.
    """
    now = record.held_by_pool
    if record.kind.pools is None or now == before:
        return
    if now is not None:
        pool = work.find(pool_of(record.kind), now)
        if pool is None or pool.deleted or (chosen and not pool.is_seen(work.context)):
            raise not_found(record.kind.pools.what, POOL_ID)
        if chosen:
            pool.require_open(POOL_ID)
    for id, by in ((before, -1), (now, 1)):
        if id is not None:
            work.find_or_new(Children, children_id(id)).change(record.kind.what, by)


def _in_turn(aggregate: type[Record]) -> CommandFunction:
    """The handler that gives a record out of the pool to whose turn it is of the people whom a command names (LED-04).

    Who is not there is left out, and so is who may not work on such records, or has as many as they may take
    themselves.  The caller is left out too where they may not claim it: what they give themselves is a claim.  Raises
    Refused where nobody is left.
    """
    kind = aggregate.kind
    rights = (kind.view, REGISTRY.command_of(kind.edit).permission)

    def is_there(person: UUID, there: Collection[UUID], context: Context) -> bool:
        return person in there and all(context.organisation.reach_of(person, right) != NOBODYS for right in rights)

    def is_free(person: UUID, record: Record, work: Work) -> bool:
        limited, context = list(_limited(record, person, work)), work.context
        if not record.is_taken_by(person, context):
            return all(places.has_place(limits) for places, limits in limited)
        free_on = record.free_on(person, context)
        has_room = all(places.has_room(limits, context.today) for places, limits in limited)
        return has_room and (free_on is None or free_on <= context.today)

    def handler(command: Any, work: Work) -> Record:
        record, context = _named_by(command, aggregate, work), work.context
        record.require_may(kind.assign_in_turn, context)
        record.require_named(command.among, context)
        there = set(context.organisation.people())
        turn = work.find_or_new(Turn, turn_id(kind))
        person = turn.next_of(
            one for one in command.among if is_there(one, there, context) and is_free(one, record, work)
        )
        if person is None:
            raise Refused("pools.nobody_free", kind=kind.what, field=AMONG)
        seat, claimed = record.seat, record.is_taken_by(person, context)
        record.assign_in_turn(person, context)
        keep_places(record, work, seat, claimed=claimed)
        turn.take(kind, person)
        return record

    return handler


def _known_records(kinds: Mapping[str, Kind]) -> Replica[KnownRecord]:
    """What is known of the records of other services that those of this one may belong to."""
    feeds = {kind.code: feeds_of(kind) for kind in kinds.values()}
    kind_of = {fact: code for code, of_kind in feeds.items() for fact in of_kind}
    return Replica(
        "known-records",
        KnownRecord,
        feeds={fact: feed for of_kind in feeds.values() for fact, feed in of_kind.items()},
        key=lambda fact: place_of(kind_of[type(fact)], getattr(fact, REGISTRY.event_of(type(fact)).key)),
    )


FILES_ON_RECORDS = Replica("files-on-records", AttachedFile, feeds={})
"""The files on a service's own records, by the id of the attachment; fed by the service that keeps files."""


def require_files(record: Record, work: Work, before: str) -> None:
    """Raises Refused NOT_FOUND for a file that is not on the record; one that was its value `before` stays (CFG-01)."""
    if record.data.own == before:
        return
    named = files_of(before)
    for path, id in files_of(record.data.own).items():
        if named.get(path) != id and not _has_file(record, id, work):
            raise not_found("attachment", path)


def lost_files(record: Record, then: str, work: Work) -> Collection[str]:
    """The paths of the values that the record had `then`, and whose files are gone."""
    return [path for path, id in files_of(then).items() if not _has_file(record, id, work)]


def _has_file(record: Record, id: UUID, work: Work) -> bool:
    found = work.lookup(FILES_ON_RECORDS, id)
    return found is not None and found.is_on(record.kind.code, record.id)


def had_together(kind: Kind) -> Replica[HadTogether]:
    """Which records of a kind have had what no two may have together."""
    feeds = dict.fromkeys((kind.created, kind.edited), had_in(kind))
    return Replica(f"together-in-{kind.code}s", HadTogether, feeds=feeds, keys=places_in(kind))


def _with_the_same(record: Record, name: str, value: UniqueValue, work: Work) -> Sequence[UUID]:
    """The records that have together what a record is to have, and may hold no index of it."""
    if not (record.together_came_later and name in record.kind.together):
        return ()
    rows = (row for id in value.taken for row in work.rows_with_prefix(had_together(record.kind), place_of_index(id)))
    named = dict.fromkeys(row.record for row in rows)

    def has(id: UUID) -> bool:
        other = work.find(type(record), id)
        theirs = other.unique_values.get(name) if other else None
        return theirs is not None and not set(theirs.ids).isdisjoint(value.ids)

    return [id for id in named if id != record.id and has(id)]


def all_merged(record: Record, work: Work) -> list[Record]:
    """A record, and those that went into it, however many others lie between (ADR 0066)."""
    found = [record]
    for one in found:
        found += [work.get(type(record), id, what=record.kind.what, field=record.kind.key) for id in one.joins]
    return found


def _count_children(record: Record, work: Work) -> Mapping[str, int]:
    """How many records of each kind belong to a record, or to what went into it."""
    counted: Counter[str] = Counter()
    for one in all_merged(record, work):
        children = work.find(Children, children_id(one.id))
        counted.update(children.counts if children else {})
    return counted


def _person_of(aggregate: type[Record], work: Work, id: UUID) -> UUID | None:
    """Of whom a record tells, if there is one of that id."""
    found = work.find(aggregate, id)
    return found.person if found else None


def _merging(
    aggregate: type[Record],
    settings: Callable[[Work], Aggregate | None],
    held: Callable[[Record, Work], list[UniqueValue]],
    keep: Callable[..., Record],
) -> dict[type, CommandFunction]:
    """The handlers of the commands of a kind whose records are merged (ADR 0066)."""
    kind = aggregate.kind

    def merge(command: Any, work: Work) -> Record:
        record = _named_by(command, aggregate, work)
        record.require_may(kind.merge, work.context)
        duplicate = work.find(aggregate, command.duplicate_id)
        if duplicate is None or duplicate.deleted or not duplicate.is_seen(work.context):
            raise not_found(kind.what, DUPLICATE)
        number = len(all_merged(record, work)) + len(all_merged(duplicate, work))
        record.require_mergeable(duplicate, number, work.context)
        before, seat, pool, own = held(record, work), duplicate.seat, duplicate.held_by_pool, record.data.own
        lost = lost_files(record, duplicate.data.own, work)
        record.merge(duplicate, command, work.context, settings(work), lost=lost)
        keep_places(duplicate, work, seat, claimed=False)
        keep_in_pool(duplicate, work, pool, chosen=True)
        return keep(record, work, before, record.parents, own, chosen=True)

    def unmerge(command: Any, work: Work) -> Record:
        record = _named_by(command, aggregate, work)
        record.require_may(kind.unmerge, work.context)
        assert record.merged_into is not None, "it went into another one"
        above = work.get(aggregate, record.merged_into, what=kind.what, field=kind.key)
        if record.survivor.deleted:
            raise Refused("records.survivor_deleted", kind=kind.what, survivor=record.survivor.id, field=kind.key)
        held_before, own = held(above, work), above.data.own
        joins = [] if work.is_erased(above.id) else above.joins_to_undo(record)
        was = [[work.earlier(aggregate, above.id, one.version - back).data for back in (1, 0)] for one in joins]
        taken = [Taken(one.fields, *around) for one, around in zip(joins, was, strict=True)]
        above.part(record, taken, work.context)
        keep(above, work, held_before, above.parents, own, chosen=False)
        _require_place(record, work)
        keep_places(record, work, NO_SEAT, claimed=False)
        keep_in_pool(record, work, None, chosen=False)
        return keep(record, work, [], record.parents, record.data.own, chosen=False)

    return {kind.merge: merge, kind.unmerge: unmerge}


def _reverting(
    aggregate: type[Record],
    parents: Parents,
    settings: Callable[[Work], Aggregate | None],
    held: Callable[[Record, Work], list[UniqueValue]],
    keep: Callable[..., Record],
) -> CommandFunction:
    """The handler that puts back what a record was at an earlier version."""
    kind = aggregate.kind

    def revert(command: Any, work: Work) -> Record:
        record = _named_by(command, aggregate, work)
        record.require_may(kind.revert, work.context)
        if command.version > record.version:
            raise Refused("records.no_such_version", kind=kind.what, current=record.version, field="version")
        before, belonged, own = held(record, work), record.parents, record.data.own
        then = work.earlier(aggregate, record.id, command.version).data
        lost = [*parents.lost(record, then, work), *lost_files(record, then.own, work)]
        record.revert(command, then, work.context, settings(work), lost=lost)
        return keep(record, work, before, belonged, own, chosen=True)

    return revert


def record_commands(aggregate: type[Record], parents: Parents) -> dict[type, CommandFunction]:
    """The handlers of the commands that every kind of record has."""
    kind = aggregate.kind

    def settings(work: Work) -> Aggregate | None:
        return work.find_or_new(*aggregate.settings) if aggregate.settings else None

    def held(record: Record, work: Work) -> list[UniqueValue]:
        own = record.own_values_once(work.context).values()
        return [*record.unique_values.values(), *(one.value for one in own)]

    def keep(
        record: Record,
        work: Work,
        before: Sequence[UniqueValue],
        belonged: Mapping[str, UUID],
        own: str,
        *,
        chosen: bool,
    ) -> Record:
        """Let it hold its unique values, and belong to what it names; `own` is what its own values were.

        A refusal names the field and what stands in it.
        """

        def said(field: str, value: Any, is_personal: bool) -> Why:
            return Why("records.value", field=field, value=OfPerson(value) if is_personal else value)

        def tells(other: UUID) -> bool:
            found = work.find(aggregate, other)
            return found is None or found.is_seen(work.context) or found.is_reached(work.context, kind.edit)

        def names(other: UUID, claim: Claim) -> Refused | None:
            found = work.find(aggregate, other)
            called = found.called_in_refusal(work.context) if found and found.is_seen(work.context) else ""
            if found is None or not called:
                return None
            return Refused(
                "records.taken_by",
                what=claim.what(),
                kind=kind.what,
                called=called,
                path=kind.path,
                holder=other,
                field=claim.field,
            )

        def now(other: UUID) -> UUID | None:
            found = work.find(aggregate, other)
            if found is None or found.merged_into is None:
                return other
            return None if found.survivor.deleted else found.survivor.id

        person = partial(_person_of, aggregate, work)
        claims = [
            Claim(
                value,
                partial(record.called_unique, name),
                name,
                () if value in before else _with_the_same(record, name, value, work),
                tells=tells,
                person=person if record.is_unique_of_person(name) else None,
                now=now,
                names=names,
            )
            for name, value in record.unique_values.items()
        ]
        for path, one in record.own_values_once(work.context).items():

            def has(other: UUID, path: str = path, value: UniqueValue = one.value) -> bool:
                found = work.find(aggregate, other)
                theirs = found.own_values_once(work.context).get(path) if found else None
                return theirs is not None and not set(theirs.value.ids).isdisjoint(value.ids)

            claims.append(
                Claim(
                    one.value,
                    partial(said, path, one.text, kind.has_personal),
                    path,
                    work.had_earlier(aggregate, one.field, one.value.ids),
                    has,
                    tells,
                    person if kind.has_personal else None,
                    now,
                    names,
                )
            )
        hold(work, record.id, claims, before)
        require_files(record, work, own)
        if kind.parents:
            parents.keep(record, work, belonged, chosen=chosen)
        return record

    def create(command: Any, work: Work) -> Record:
        record = work.new(aggregate, getattr(command, kind.key), what=kind.what, field=kind.key)
        record.create(command, work.context, settings(work))
        keep_places(record, work, NO_SEAT, claimed=False)
        keep_in_pool(record, work, None, chosen=True)
        return keep(record, work, [], {}, "", chosen=True)

    def changing(act: Callable[[Record, Any, Context, Any], None]) -> CommandFunction:
        def handler(command: Any, work: Work) -> Record:
            record = _named_by(command, aggregate, work)
            record.require_may(type(command), work.context)
            if isinstance(command, kind.delete) and kind.what in parents.with_children:
                record.require_childless(_count_children(record, work))
            before, belonged, own = held(record, work), record.parents, record.data.own
            seat, pool = record.seat, record.held_by_pool
            is_claim = kind.pool is not None and (
                isinstance(command, kind.claim)
                or (isinstance(command, kind.assign) and record.is_taken_by(command.owner_id, work.context))
            )
            if is_claim:
                _require_room(record, work)
            act(record, command, work.context, settings(work))
            is_back = isinstance(command, kind.restore)
            if is_back and seat.holder is None:
                _require_place(record, work)
            keep_places(record, work, seat, claimed=is_claim)
            keep_in_pool(record, work, pool, chosen=not is_back)
            return keep(record, work, before, belonged, own, chosen=not is_back)

        return handler

    return {
        kind.create: create,
        kind.edit: changing(aggregate.edit),
        kind.delete: changing(aggregate.delete),
        kind.restore: changing(aggregate.restore),
        kind.revert: _reverting(aggregate, parents, settings, held, keep),
        **(
            {
                kind.assign: changing(aggregate.assign),
                kind.share: changing(aggregate.share),
                kind.unshare: changing(aggregate.unshare),
            }
            if kind.owned
            else {}
        ),
        **({kind.tag: changing(aggregate.tag)} if kind.tag else {}),
        **(_merging(aggregate, settings, held, keep) if kind.merge else {}),
        **({kind.set_status: changing(aggregate.set_status)} if kind.set_status else {}),
        **(
            {
                kind.claim: changing(aggregate.claim),
                kind.give_back: changing(aggregate.give_back),
                kind.assign_in_turn: _in_turn(aggregate),
                kind.move: changing(aggregate.move),
            }
            if kind.pool
            else {}
        ),
    }


def _besides(handler: CommandFunction, act: BesidesFunction) -> CommandFunction:
    def both(command: Any, work: Work) -> Aggregate:
        record = handler(command, work)
        act(record, command, work)
        return record

    return both


def _currencies(aggregate: type[Record]) -> dict[type, CurrencyOf]:
    """Money that an edit gives without a currency is in that of the record."""
    if not any(field.one is Money for field in aggregate.kind.fields.values()):
        return {}

    def currency(records: Records, id: UUID) -> str:
        record = records.load(aggregate, id)
        return record.currency() if record else ""

    return {aggregate.kind.edit: currency}


def _page_of(kind: Kind) -> str:
    """The path of one record."""
    return f"{kind.path}/{{{kind.key}}}"


def _page_of_schedule(run: type) -> str:
    """The path of a schedule, which has a name."""
    path = REGISTRY.command_of(SCHEDULES[run].switch).path
    assert path is not None, "schedules are switched over HTTP"
    return path


MOST_TRIED = 200
"""A dry run tells of so many events at least, where there are so many: it ends with the part that has come so far."""


def _tried(act: ScheduleFunction, as_of: AsOf, work: Work) -> tuple[list[Any], Done]:
    """What a run would record, from its beginning, and what its last part has told; nothing of it is saved."""
    facts: list[Any] = []
    while True:
        done = act(as_of, work)
        facts += work.take_back()
        if not (done.goes_on and done.reached) or len(facts) >= MOST_TRIED:
            return facts, done
        as_of = replace(as_of, after=done.reached)


def schedule_commands(run: type, act: ScheduleFunction) -> dict[type, CommandFunction]:
    """The handlers of a schedule's commands; what is not by hand comes from `chassis.schedules`, prepared."""
    declared, aggregate = SCHEDULES[run], timetable_of(run)

    def of(work: Work) -> Timetable:
        return work.find_or_new(aggregate, timetable_id(declared))

    def do(command: Any, work: Work) -> Timetable:
        timetable, context = of(work), work.context
        match work.prepared:
            case Plan() as plan:
                timetable.plan(plan)
            case Failure() as failure:
                timetable.tell_failed(failure, context)
            case Due() as due if timetable.is_due(due):
                timetable.tell_ran(due.day, due.due, act(timetable.as_of(due.day, due.due), work), context)
            case Due():
                pass  # another process was first
            case _:
                day = day_asked_for(command.day, context, dry=command.dry)
                if command.dry:
                    timetable.tell_would(*_tried(act, AsOf(day, context.now), work))
                else:
                    timetable.tell_ran(day, None, act(timetable.as_of(day, context.now), work), context)
        return timetable

    def switch(command: Any, work: Work) -> Timetable:
        timetable = of(work)
        timetable.switch(command, work.context)
        return timetable

    return {declared.run: do, declared.switch: switch}


@dataclass(frozen=True)
class Service:
    """One service: what it does on each command it owns, and what it knows of other services.

    `records` are the kinds of records it keeps, whose commands need no line each: the declaration of a kind, or the
    aggregate that says the kind's own rules (`chassis.model.records`); their pools are among them by themselves.
    `reactions` say what is done when something happens in another service: an event -> commands of this one.
    `besides` is what some of those commands do to other records of the service, in the same transaction, after the
    record itself has taken them: they may refuse still, and then nothing has happened.
    `schedules` says what is done at certain times, by the commands that are declared for it (`contracts.schedules`),
    and `moments` what is done at those of its records.
    `middleware` holds, for some commands, what is done outside the writer (`chassis.model.middleware.Middleware`).
    `pages` says of which aggregate a page shows one, by its path (`/orders/{order_id}`, or of one with a name
    `/settings/devices`), so that it tells what may be done with it; kinds of records and schedules need no line.
    `untold` names what is in answers for middleware alone: callers are not told.
    `currency_of` tells, for changes of records that have a currency, which that is: money that names none is in it.
    `parents` are the records that its own may belong to.
    """

    name: str
    commands: Mapping[type, CommandFunction] = field(default_factory=dict)
    records: Sequence[type] = ()
    besides: Mapping[type, BesidesFunction] = field(default_factory=dict)
    replicas: Sequence[Replica[Any]] = field(default_factory=tuple)
    reactions: Mapping[type, ReactionFunction] = field(default_factory=dict)
    pages: Mapping[str, type[Aggregate]] = field(default_factory=dict)
    middleware: Mapping[type, Middleware] = field(default_factory=dict)
    untold: frozenset[str] = frozenset()
    currency_of: Mapping[type, CurrencyOf] = field(default_factory=dict)
    schedules: Mapping[type, ScheduleFunction] = field(default_factory=dict)
    moments: Sequence[Moments[Any]] = ()
    parents: Parents = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        pools = [pool_of(kind) for one in self.records if (kind := aggregate_of(one).kind).pools]
        object.__setattr__(self, "records", list(dict.fromkeys([*self.records, *pools])))  # once also when replaced
        require_all(self.name, self.records)
        aggregates = [aggregate_of(one) for one in self.records]
        parents = Parents(aggregates)
        object.__setattr__(self, "parents", parents)
        further: list[Replica[Any]]
        further = [had_together(aggregate.kind) for aggregate in aggregates if aggregate.together_came_later]
        further += [parents.replica] if parents.replica else []
        names = {replica.name for replica in self.replicas}
        object.__setattr__(self, "replicas", [*self.replicas, *(one for one in further if one.name not in names)])
        for aggregate in aggregates:
            derived = record_commands(aggregate, parents)
            derived |= {cls: _besides(derived[cls], act) for cls, act in self.besides.items() if cls in derived}
            object.__setattr__(self, "commands", {**derived, **self.commands})
            object.__setattr__(self, "currency_of", {**_currencies(aggregate), **self.currency_of})
            object.__setattr__(self, "pages", {_page_of(aggregate.kind): aggregate, **self.pages})
        if wrong := set(self.besides) - {cls for aggregate in aggregates for cls in aggregate.kind.commands}:
            named = ", ".join(sorted(cls.__name__ for cls in wrong))
            raise ContractError(f"{self.name}: not commands of its records: {named}")
        if wrong := set(self.schedules) ^ set(schedules_of(self.name)):
            named = ", ".join(sorted(cls.__name__ for cls in wrong))
            raise ContractError(f"{self.name}: its schedules are not those that its contracts declare: {named}")
        for run, act in self.schedules.items():
            object.__setattr__(self, "commands", {**schedule_commands(run, act), **self.commands})
            object.__setattr__(self, "pages", {_page_of_schedule(run): timetable_of(run), **self.pages})
        declared = {spec.cls for spec in REGISTRY.commands_of(self.name)}
        if missing := declared - set(self.commands):
            raise ContractError(f"{self.name}: no handler for {sorted(c.__name__ for c in missing)}")
        if foreign := set(self.commands) - declared:
            raise ContractError(f"{self.name}: not its commands: {sorted(c.__name__ for c in foreign)}")

    @property
    def is_kept(self) -> bool:
        """Whether something is done at certain times, by a keeper (`chassis.schedules`)."""
        return bool(self.schedules or self.moments)

    def told(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """What callers are told of an answer that no middleware tells of."""
        return {name: value for name, value in body.items() if name not in self.untold}

    def specs(self) -> list[CommandSpec]:
        return [REGISTRY.command_of(cls) for cls in self.commands]

    def consumed_topics(self) -> list[str]:
        """The Kafka topics it reads: commands of other services, the events its replicas are made of, and those to
        which it reacts."""
        own = sorted({spec.topic for spec in self.specs() if not spec.is_public})
        told = {*self.replica_topics(), *(REGISTRY.event_of(fact).topic for fact in self.reactions)}
        return [*own, *sorted(told)]

    def replica_topics(self) -> dict[str, list[Replica[Any]]]:
        """Kafka topic -> the replicas fed from it."""
        topics: dict[str, list[Replica[Any]]] = {}
        for replica in self.replicas:
            for topic in sorted({REGISTRY.event_of(fact).topic for fact in replica.feeds}):
                topics.setdefault(topic, []).append(replica)
        return topics
