"""What an `application.py` declares: a service's table of contents - its commands, one line each, and its replicas."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from chassis.model.aggregates import Aggregate
from chassis.model.children import Children, children_id
from chassis.model.context import Context
from chassis.model.identity import RecordId, record_id
from chassis.model.known_records import KnownRecord, feeds_of, place_of
from chassis.model.middleware import Middleware, Records
from chassis.model.records import Record, aggregate_of, require_all
from chassis.model.unique import UniqueIndex, UniqueValue
from contracts.declare import REGISTRY, CommandSpec, ContractError
from contracts.errors import Refused, not_found
from contracts.reasons import Why
from contracts.records import Kind, kind_called
from contracts.types import Money

CurrencyOf = Callable[[Records, UUID], str]
"""The currency of the record with this id; "" when there is no such one."""

A = TypeVar("A", bound=Aggregate)
R = TypeVar("R")


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


class Work(Protocol):
    """The unit of work a command handler is given.  All it loads is saved in one transaction, or nothing is."""

    @property
    def context(self) -> Context: ...

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

    def is_erased(self, person: UUID) -> bool:
        """Whether a person was erased: what is known of them reads as nothing (CPL-01)."""

    def lookup(self, replica: Replica[R], key: UUID | str) -> R | None:
        """What this service knows of another's record."""

    def has_any(self, replica: Replica[R], prefix: str) -> bool:
        """Whether a replica has a row whose key begins with `prefix`."""

    def rows(self, replica: Replica[R]) -> Iterator[R]:
        """All that this service knows of others' records, one after the other: for what is asked now and then."""

    def next_number(self, series: str) -> int:
        """The next number of a series that this service counts, from 1 on; no other record ever gets it.

        It is used up with what the command records: a refused command leaves no gap.
        """


CommandFunction = Callable[[Any, Work], Aggregate]


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
    """A unique value that a record is to hold; `what` it is and the `field` that a refusal names."""

    value: UniqueValue
    what: Why
    field: str


def hold(work: Work, holder: UUID, claims: Sequence[Claim], before: Sequence[UniqueValue] = ()) -> None:
    """Let a record hold these unique values, and no others of those that it held before.

    What it gives up is free under whatever id it, or an earlier release for it, has taken it.  What it keeps is not
    claimed again: two records may hold values that earlier releases told apart.
    Raises Refused DUPLICATE naming the field when another record has a new one under any of its ids.
    """
    new = [one for one in claims if one.value not in before]
    for one in new:
        for id in one.value.former:
            if index := work.find(UniqueIndex, id):
                index.require_free_for(holder, what=one.what, field=one.field)
        for id in one.value.taken:
            work.find_or_new(UniqueIndex, id).claim(holder, what=one.what, field=one.field)
    kept = {id for one in claims for id in (one.value.taken if one in new else one.value.ids)}
    given_up = [id for value in (*before, *(one.value for one in new)) for id in value.ids if id not in kept]
    for id in dict.fromkeys(given_up):
        if index := work.find(UniqueIndex, id):
            index.release(holder)


MOST_LEVELS = 50
"""So deep a tree of records may be."""


class Parents:
    """The records that those of a service may belong to: its own, and others' as it knows them."""

    def __init__(self, aggregates: Sequence[type[Record]]) -> None:
        """`with_children`: the kinds whose deletion waits for that of what belongs to them.

        Raises ContractError for a field that names no kind of record, or one whose deletion it can't hinder.
        """
        self._own = {aggregate.kind.what: aggregate for aggregate in aggregates}
        foreign: dict[str, Kind] = {}
        for kind in (aggregate.kind for aggregate in aggregates):
            for name, one in kind.parents.items():
                parent = kind_called(one.rules.record)
                if parent.what not in self._own:
                    foreign[parent.what] = parent
                    if not one.rules.outlives:
                        raise ContractError(
                            f"{kind.cls.__qualname__}.{name} names a record of {parent.service}, which does not know "
                            "who names its own: say that it outlives it"
                        )
        self.replica = _known(foreign) if foreign else None
        named = (one.rules for aggregate in aggregates for one in aggregate.kind.parents.values())
        self.with_children = {rules.record for rules in named if not rules.outlives}

    def keep(self, record: Record, work: Work, before: Mapping[str, UUID], *, chosen: bool) -> None:
        """Let a record belong to those that it names now; `before` are those that it named.

        Raises Refused naming the field for one that is not there, or, where the caller has `chosen` it, that they do
        not see, and for one that belongs to the record itself.
        """
        now = record.parents
        for name, one in record.kind.parents.items():
            if name in now and before.get(name) != now[name] and (chosen or not one.rules.outlives):
                self._require_there(record, name, now[name], work, chosen=chosen)
            if one.rules.outlives or before.get(name) == now.get(name):
                continue
            for ids, by in ((before, -1), (now, 1)):
                if name in ids:
                    work.find_or_new(Children, children_id(ids[name])).change(record.kind.what, by)

    def _require_there(self, record: Record, name: str, id: UUID, work: Work, *, chosen: bool) -> None:
        what = record.kind.parents[name].rules.record
        if what in self._own:
            parent = work.find(self._own[what], id)
            is_there = parent is not None and not parent.deleted and (not chosen or parent.is_seen(work.context))
        else:
            assert self.replica is not None
            row = work.lookup(self.replica, place_of(what, id))
            is_there = row is not None and (
                row.is_seen(work.context.reach_of, work.context.today) if chosen else not row.deleted
            )
        if not is_there:
            raise not_found(what, name)
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


def _known(kinds: Mapping[str, Kind]) -> Replica[KnownRecord]:
    """What is known of the records of other services that those of this one may belong to."""
    feeds = {what: feeds_of(kind) for what, kind in kinds.items()}
    kind_of = {fact: what for what, of_kind in feeds.items() for fact in of_kind}
    return Replica(
        "known-records",
        KnownRecord,
        feeds={fact: feed for of_kind in feeds.values() for fact, feed in of_kind.items()},
        key=lambda fact: place_of(kind_of[type(fact)], getattr(fact, REGISTRY.event_of(type(fact)).key)),
    )


def record_commands(aggregate: type[Record], parents: Parents) -> dict[type, CommandFunction]:
    """The handlers of the commands that every kind of record has."""
    kind = aggregate.kind

    def settings(work: Work) -> Aggregate | None:
        return work.find_or_new(*aggregate.settings) if aggregate.settings else None

    def keep(
        record: Record, work: Work, before: Mapping[str, UniqueValue], belonged: Mapping[str, UUID], *, chosen: bool
    ) -> Record:
        """Let it hold its unique values, and belong to what it names.

        A refusal names the field and what stands in it.
        """
        claims = [
            Claim(value, Why("records.value", field=name, value=getattr(record.data, name)), name)
            for name, value in record.unique_values.items()
        ]
        hold(work, record.id, claims, list(before.values()))
        if kind.parents:
            parents.keep(record, work, belonged, chosen=chosen)
        return record

    def create(command: Any, work: Work) -> Record:
        record = work.new(aggregate, getattr(command, kind.key), what=kind.what, field=kind.key)
        record.create(command, work.context, settings(work))
        return keep(record, work, {}, {}, chosen=True)

    def changing(act: Callable[[Record, Any, Context, Any], None]) -> CommandFunction:
        def handler(command: Any, work: Work) -> Record:
            record = work.get(aggregate, getattr(command, kind.key), what=kind.what, field=kind.key)
            record.require_may(type(command), work.context)
            if isinstance(command, kind.delete) and kind.what in parents.with_children:
                children = work.find(Children, children_id(record.id))
                record.require_childless(children.counts if children else {})
            before, belonged = record.unique_values, record.parents
            act(record, command, work.context, settings(work))
            return keep(record, work, before, belonged, chosen=not isinstance(command, kind.restore))

        return handler

    def revert(command: Any, work: Work) -> Record:
        record = work.get(aggregate, getattr(command, kind.key), what=kind.what, field=kind.key)
        record.require_may(kind.revert, work.context)
        if command.version > record.version:
            raise Refused("records.no_such_version", kind=kind.what, current=record.version, field="version")
        before, belonged = record.unique_values, record.parents
        record.revert(command, work.earlier(aggregate, record.id, command.version).data, work.context, settings(work))
        return keep(record, work, before, belonged, chosen=True)

    return {
        kind.create: create,
        kind.edit: changing(aggregate.edit),
        kind.delete: changing(aggregate.delete),
        kind.restore: changing(aggregate.restore),
        kind.revert: revert,
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
        **({kind.set_status: changing(aggregate.set_status)} if kind.set_status else {}),
    }


def _currencies(aggregate: type[Record]) -> dict[type, CurrencyOf]:
    """Money that an edit gives without a currency is in that of the record."""
    if not any(field.one is Money for field in aggregate.kind.fields.values()):
        return {}

    def currency(records: Records, id: UUID) -> str:
        record = records.load(aggregate, id)
        return record.currency() if record else ""

    return {aggregate.kind.edit: currency}


@dataclass(frozen=True)
class Service:
    """One service: what it does on each command it owns, and what it knows of other services.

    `records` are the kinds of records it keeps, whose commands need no line each: the declaration of a kind, or the
    aggregate that says the kind's own rules (`chassis.model.records`).
    `middleware` holds, for some commands, what is done outside the writer (`chassis.model.middleware.Middleware`).
    `untold` names what is in answers for middleware alone: callers are not told.
    `currency_of` tells, for changes of records that have a currency, which that is: money that names none is in it.
    """

    name: str
    commands: Mapping[type, CommandFunction] = field(default_factory=dict)
    records: Sequence[type] = ()
    replicas: Sequence[Replica[Any]] = field(default_factory=tuple)
    middleware: Mapping[type, Middleware] = field(default_factory=dict)
    untold: frozenset[str] = frozenset()
    currency_of: Mapping[type, CurrencyOf] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_all(self.name, self.records)
        aggregates = [aggregate_of(one) for one in self.records]
        parents = Parents(aggregates)
        if parents.replica and parents.replica.name not in {replica.name for replica in self.replicas}:
            object.__setattr__(self, "replicas", [*self.replicas, parents.replica])
        for aggregate in aggregates:
            object.__setattr__(self, "commands", {**record_commands(aggregate, parents), **self.commands})
            object.__setattr__(self, "currency_of", {**_currencies(aggregate), **self.currency_of})
        declared = {spec.cls for spec in REGISTRY.commands_of(self.name)}
        if missing := declared - set(self.commands):
            raise ContractError(f"{self.name}: no handler for {sorted(c.__name__ for c in missing)}")
        if foreign := set(self.commands) - declared:
            raise ContractError(f"{self.name}: not its commands: {sorted(c.__name__ for c in foreign)}")

    def told(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """What callers are told of an answer that no middleware tells of."""
        return {name: value for name, value in body.items() if name not in self.untold}

    def specs(self) -> list[CommandSpec]:
        return [REGISTRY.command_of(cls) for cls in self.commands]

    def consumed_topics(self) -> list[str]:
        """The Kafka topics it reads: commands of other services, and the events its replicas are made of."""
        own = sorted({spec.topic for spec in self.specs() if not spec.is_public})
        return [*own, *sorted(self.replica_topics())]

    def replica_topics(self) -> dict[str, list[Replica[Any]]]:
        """Kafka topic -> the replicas fed from it."""
        topics: dict[str, list[Replica[Any]]] = {}
        for replica in self.replicas:
            for topic in sorted({REGISTRY.event_of(fact).topic for fact in replica.feeds}):
                topics.setdefault(topic, []).append(replica)
        return topics
