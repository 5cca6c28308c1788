"""What a `domain.py` is made of: aggregates that decide and record facts.  Pure: no I/O, no clock, no randomness.

    @dataclass
    class Order(Aggregate):
        status: OrderStatus = "DRAFT"

        def submit(self, command: SubmitOrder, context: Context) -> None:   # decides: may raise Refused
            ...
            self.record(OrderSubmitted(order_id=self.id, ...))

        @applies(OrderSubmitted)                                            # remembers: never decides, never fails
        def _submitted(self, fact: OrderSubmitted) -> None:
            self.status = fact.status

A fact is public if and only if it is a contract event; `internal_event` declares one that never leaves the service.
Aggregates follow the event-sourcing library's protocol (id, version, pending events) without its metaclass: ADR 0003.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from itertools import product
from typing import Any, ClassVar, Protocol, TypeVar, dataclass_transform
from unicodedata import normalize
from uuid import NAMESPACE_URL, UUID, uuid5

from contracts.declare import REGISTRY, ContractError, value
from contracts.errors import Refused
from contracts.people import Person
from contracts.text import key, keys, normal, phone_keys
from contracts.types import FIRST_CURRENCY

A = TypeVar("A", bound="Aggregate")
T = TypeVar("T")

INTERNAL_EVENTS: dict[str, type] = {}
_internal_names: dict[type, str] = {}


@dataclass(frozen=True)
class Named:
    """A record that has a name instead of an id (settings, a role).  `kind` is the key field of its commands.

    Names of one kind never meet those of another.  They once did: a record that stands under its `earlier` id, and is
    of the right class, is still found there.
    """

    kind: str
    name: str

    @cached_property
    def id(self) -> UUID:
        """Under which its stream stands."""
        return uuid5(NAMESPACE_URL, f"salestream:{self.kind}:named:{self.name}")

    @cached_property
    def earlier(self) -> UUID:
        """Under which it stands if it was written before ids told kinds apart."""
        return uuid5(NAMESPACE_URL, f"salestream:named:{self.name}")


RecordId = UUID | Named


def record_id(kind: str, key: UUID | str) -> RecordId:
    """What names the record of a command: the value of its key field, of which `kind` is the name."""
    return key if isinstance(key, UUID) else Named(kind, key)


def stream_id(record: RecordId) -> UUID:
    """The id of a record's stream, if it is a new one."""
    return record.id if isinstance(record, Named) else record


@dataclass(frozen=True)
class Reach:
    """Whose records somebody may see or change by a right (SEC-18): everybody's, or those of some people."""

    everybody: bool = False
    people: frozenset[UUID] = frozenset()

    def covers(self, owner_id: UUID | None) -> bool:
        return self.everybody or owner_id in self.people


EVERYBODY = Reach(everybody=True)
NOBODYS = Reach()


class Organisation(Protocol):
    """Who acts in whose place, and who leads whom, at this moment (SEC-14): asked when it is needed, never stored."""

    def standing_in(self, person: UUID) -> UUID:
        """Who has taken over from this person, along the whole chain; the person, while nobody has."""

    def person_behind(self, caller: UUID) -> UUID:
        """Who answers for a program now; a person answers for themselves."""

    def acting_for(self, person: UUID, *rights: str) -> UUID | None:
        """Who does what waits for this person: the person, or whoever took over, or the next one above who may.

        None: nobody in particular, so those whose right reaches everybody.
        """

    def leader_of(self, person: UUID, *rights: str, otherwise: UUID | None = None) -> UUID | None:
        """The next one above this person who holds these rights; None: nobody.

        `otherwise` is whom to start from when nothing is known of the person yet.
        """

    def waiting_for(self, leaders: Collection[UUID], *rights: str) -> Collection[UUID]:
        """Everybody whose next one above, of those who hold these rights, is one of these."""

    def people(self, roles: Collection[str] | None = None) -> Collection[UUID]:
        """Everybody whose account is in use, or of them who has one of these roles."""


class _Alone:
    """Nobody is known to have left, and nobody to lead."""

    def standing_in(self, person: UUID) -> UUID:
        return person

    def person_behind(self, caller: UUID) -> UUID:
        return caller

    def acting_for(self, person: UUID, *rights: str) -> UUID | None:
        return person

    def leader_of(self, person: UUID, *rights: str, otherwise: UUID | None = None) -> UUID | None:
        return otherwise

    def waiting_for(self, leaders: Collection[UUID], *rights: str) -> Collection[UUID]:
        return ()

    def people(self, roles: Collection[str] | None = None) -> Collection[UUID]:
        return ()


ALONE: Organisation = _Alone()


@dataclass(frozen=True)
class Context:
    """Under which circumstances a command is decided: who asks, with which roles, and when.

    `now` is UTC; `today` is the day in the company's time zone (section 2.0).  `reach` says on whose records the
    command's right may be used, `reach_of` the same of any right; one that is not held reaches nobody.
    `currency` is the company's: that of amounts that name none (SET-04).
    `organisation` tells who acts for whom.  What is entered belongs to `owner`: the user, or for a program the person
    who is responsible for it.
    """

    user: Person
    roles: frozenset[str]
    now: datetime
    today: date
    superior_id: UUID | None = None
    reach: Reach = EVERYBODY
    reach_of: Callable[[str], Reach] = lambda _: NOBODYS
    currency: str = FIRST_CURRENCY
    organisation: Organisation = ALONE
    responsible: Person | None = None

    @property
    def owner(self) -> Person:
        return self.responsible or self.user


CLOCK_STEP = timedelta(minutes=1)  # by which a clock may be set back without anything ending before its time


def is_before(now: datetime, end: datetime | None, longest: timedelta) -> bool:
    """Whether a stretch that ends then, and is at most so long, has begun and is not over.

    A clock may be set back.  What was to end in so many minutes must then neither keep somebody out for a day nor be
    good for one: a moment counts only as long as the stretch that it ends may be.
    """
    return end is not None and end - longest - CLOCK_STEP <= now < end


@dataclass
class Aggregate:
    """A consistency boundary: state folded from its facts.  Every field but `id` needs a default.

    `pending` holds the facts recorded since it was loaded; the writer stores and clears them.
    """

    id: UUID
    version: int = 0

    appliers: ClassVar[dict[type, Callable[[Any, Any], None]]] = {}
    snapshot_every: ClassVar[int] = 0  # 0: never; else a snapshot after so many events
    secret: ClassVar[frozenset[str]] = frozenset()  # fields that are shown to nobody, not in the audit log either

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = {fact: method for method in vars(cls).values() for fact in getattr(method, "applies_facts", ())}
        cls.appliers = {**cls.appliers, **own}

    @property
    def pending(self) -> list[Any]:
        found: list[Any] = self.__dict__.setdefault("_pending", [])
        return found

    def record(self, fact: Any) -> None:
        """Something happened: remember it and change the state accordingly."""
        self.apply(fact)
        self.pending.append(fact)

    def apply(self, fact: Any) -> None:
        """Fold one fact into the state (when it is recorded, and when the stream is read again)."""
        try:
            applier = self.appliers[type(fact)]
        except KeyError:
            raise ContractError(f"{type(self).__name__} has no @applies({type(fact).__name__})") from None
        applier(self, fact)
        if REGISTRY.is_public_event(type(fact)):
            self.__dict__["_shown"] = self.version + 1
        else:
            self.__dict__.setdefault("_shown", self.version)  # of a snapshot, or nothing was shown yet
        self.version += 1

    def is_as_seen(self, version: int) -> bool:
        """Whether nothing has happened since a version that anybody could have seen: its public facts are published."""
        shown: int = self.__dict__.get("_shown", self.version)
        return shown <= version <= self.version

    @property
    def owners(self) -> tuple[UUID | None, ...]:
        """Whose record this is; empty: nobody's in particular.  A command on it needs a reach that covers one."""
        return ()

    def is_reached(self, context: Context) -> bool:
        """Whether the caller's right reaches this record (SEC-18)."""
        return not self.owners or any(map(context.reach.covers, self.owners))

    def reply(self) -> dict[str, Any]:
        """What the answer to a command tells besides id and version."""
        return {}


def applies(*facts: type) -> Callable[[Callable[[A, T], None]], Callable[[A, T], None]]:
    """Mark the method that folds these facts into the state."""

    def mark(method: Callable[[A, T], None]) -> Callable[[A, T], None]:
        method.applies_facts = facts  # type: ignore[attr-defined]
        return method

    return mark


@dataclass_transform(frozen_default=True, kw_only_default=True)
def internal_event(name: str) -> Callable[[type[T]], type[T]]:
    """Declare a fact that never leaves the service; `name` is its stored type for ever."""

    def declare(cls: type[T]) -> type[T]:
        if name in INTERNAL_EVENTS:
            raise ContractError(f"internal event {name} is declared twice")
        made = value(cls)
        INTERNAL_EVENTS[name] = made
        _internal_names[made] = name
        return made

    return declare


def internal_name(cls: type) -> str | None:
    """The stored type of an internal fact, or None for a class that is none."""
    return _internal_names.get(cls)


@internal_event("chassis.index-claimed")
class IndexClaimed:
    """A unique value belongs to a record now."""

    holder: UUID


@internal_event("chassis.index-released")
class IndexReleased:
    """A unique value is free again."""


def _index_id(index: str, keys: Iterable[str]) -> UUID:
    return uuid5(NAMESPACE_URL, "\x1f".join(["salestream:index", index, *keys]))


@dataclass(frozen=True)
class UniqueValue:
    """A value that one record may hold, as ids of its index.

    Who has it holds all of `taken`; under `former` ones earlier releases may have kept it, in the forms they knew.
    """

    taken: tuple[UUID, ...]
    former: tuple[UUID, ...] = ()

    @property
    def ids(self) -> tuple[UUID, ...]:
        return (*self.taken, *self.former)


@dataclass
class UniqueIndex(Aggregate):
    """One unique value (a mobile number, a product's name and model) and the record that holds it.

    Saved in the same transaction as the record, so two records can never hold one value.
    """

    holder: UUID | None = None

    @staticmethod
    def id_of(index: str, *parts: str) -> UUID:
        """The index aggregate's id of a value; what `contracts.text.key` takes for the same is one value."""
        return _index_id(index, [key(part) for part in parts])

    @staticmethod
    def of_text(index: str, *parts: str) -> UniqueValue:
        """A value of texts: the same as every other that reads the same (`contracts.text.keys`).

        Former releases knew letter case and outer blanks only, and took each Unicode form for another value.
        """
        taken = [_index_id(index, reading) for reading in product(*map(keys, parts))]
        forms: list[list[str]] = [list(parts)]
        forms += [[normalize(form, normal(part)) for part in parts] for form in ("NFC", "NFD")]
        former = [_index_id(index, [part.strip().casefold() for part in form]) for form in forms]
        return UniqueValue(tuple(dict.fromkeys(taken)), tuple(dict.fromkeys(id for id in former if id not in taken)))

    @classmethod
    def of_phone(cls, index: str, number: str) -> UniqueValue:
        """A phone number: the same however it is written (`contracts.text.phone_keys`)."""
        now, *before = (cls.of_text(index, form) for form in phone_keys(number))
        former = dict.fromkeys((*now.former, *(id for value in before for id in value.ids)))
        return UniqueValue(now.taken, tuple(id for id in former if id not in now.taken))

    def claim(self, holder: UUID, *, what: str, field: str) -> None:
        """Take the value for `holder`.  Raises Refused DUPLICATE naming `field` when another record has it."""
        self.require_free_for(holder, what=what, field=field)
        if self.holder != holder:
            self.record(IndexClaimed(holder=holder))

    def require_free_for(self, holder: UUID, *, what: str, field: str) -> None:
        """Raises Refused DUPLICATE naming `field` when another record has the value."""
        if self.holder not in (None, holder):
            raise Refused("DUPLICATE", f"{what} is already used by the record {self.holder}.", field=field)

    def release(self, holder: UUID) -> None:
        """Free the value if `holder` has it."""
        if self.holder == holder:
            self.record(IndexReleased())

    @applies(IndexClaimed)
    def _claimed(self, fact: IndexClaimed) -> None:
        self.holder = fact.holder

    @applies(IndexReleased)
    def _released(self, fact: IndexReleased) -> None:
        self.holder = None


__all__ = [
    "ALONE",
    "EVERYBODY",
    "INTERNAL_EVENTS",
    "NOBODYS",
    "Aggregate",
    "Context",
    "Named",
    "Organisation",
    "Reach",
    "RecordId",
    "UniqueIndex",
    "UniqueValue",
    "applies",
    "internal_event",
    "internal_name",
    "is_before",
    "record_id",
    "stream_id",
]  # fmt: skip
