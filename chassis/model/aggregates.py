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

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self, TypeVar, dataclass_transform
from uuid import UUID

from chassis.model.context import Context
from chassis.model.identity import id_on_page
from contracts.declare import REGISTRY, ContractError, value
from contracts.errors import lacks_right

A = TypeVar("A", bound="Aggregate")
T = TypeVar("T")

INTERNAL_EVENTS: dict[str, type] = {}
_internal_names: dict[type, str] = {}


@dataclass
class Aggregate:
    """A consistency boundary: state folded from its facts.  Every field but `id` needs a default.

    `pending` holds the facts recorded since it was loaded; the writer stores and clears them.
    """

    id: UUID
    version: int = 0
    shown: int = 0  # the version that its newest published fact made

    appliers: ClassVar[dict[type, Callable[[Any, Any], None]]] = {}
    snapshot_every: ClassVar[int] = 0  # 0: never; else a snapshot after so many events
    secret: ClassVar[frozenset[str]] = frozenset()  # fields that are shown to nobody, not in the audit log either
    named_by: ClassVar[str] = ""  # the key field of its commands, where the path of its page ends with another one
    seen_by: ClassVar[str] = ""  # the right to see such records: who changes one needs it besides that to change it

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
        self.version += 1
        if REGISTRY.is_public_event(type(fact)):
            self.shown = self.version

    @property
    def told_version(self) -> int:
        """The version that answers tell: what a query shows, or will, since it knows of published facts only."""
        return self.shown or self.version

    def is_as_seen(self, version: int) -> bool:
        """Whether nothing has happened since a version that anybody was told.

        Former releases told those of facts that are not published, too.
        """
        return self.shown <= version <= self.version

    @property
    def owners(self) -> tuple[UUID | None, ...]:
        """Whose record this is; empty: nobody's in particular.  A command on it needs a reach that covers one."""
        return ()

    def is_reached(self, context: Context, command: type) -> bool:
        """Whether the caller's rights to see this record, and to give a command, reach it (SEC-18)."""
        reaches = [context.reach]
        if self.seen_by and context.may(self.seen_by):
            reaches.append(context.reach_of(self.seen_by))
        return not self.owners or all(any(map(reach.covers, self.owners)) for reach in reaches)

    def require_sight(self, context: Context) -> None:
        """Raises Refused FORBIDDEN where the caller may see no such record: what one may not see one leaves alone."""
        if self.seen_by and not context.may(self.seen_by):
            raise lacks_right(self.seen_by, context.organisation.roles_with(self.seen_by))

    # -- what may be done with it

    @classmethod
    def on_page(cls, row: Mapping[str, Any]) -> Self:
        """The record as its page shows it, as far as `is_reached`, `can_change_by` and `require_may` ask of it."""
        return cls(id_on_page(row["id"]))

    def can_change_by(self, _: type) -> bool:
        """Whether a command means anything for the record as it is: a page does not speak of one that doesn't."""
        return True

    def require_may(self, command: type, context: Context) -> None:
        """Raises Refused where the caller may give no such command of this record now, whatever it says.

        The commands ask it before all else, and so does the page of the record, which tells what may be done.
        """

    def reply(self) -> dict[str, Any]:
        """What the answer to a command tells besides id and version."""
        return {}

    def reply_to(self, _: Context) -> dict[str, Any]:
        """The same, where it depends on who asks or on what the company has set."""
        return self.reply()


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
