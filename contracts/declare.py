"""The decorators with which a contract is declared, and the registry of everything declared.

    @event("salestream.orders.order-submitted.v1", key="order_id")
    class OrderSubmitted: ...

    @command("POST /orders/{order_id}/submit", permission="orders.edit")
    class SubmitOrder: ...

Both turn the class into a frozen, keyword-only dataclass.  The owning service is the contract module's name.
"""

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, TypeVar, dataclass_transform

from msgspec import UNSET

T = TypeVar("T")

EVENT_TYPE = re.compile(r"^salestream\.(?P<service>[a-z]+)\.(?P<name>[a-z-]+)\.v(?P<major>\d+)$")
ROUTE = re.compile(r"^(?P<method>POST|PUT|PATCH|DELETE) (?P<path>/[a-z0-9/{}_-]*)$")


KEPT: Any = UNSET
"""The default of the fields of a change (PATCH): what is left out keeps its value.

Left out, null and empty are three things: null takes an optional value away (the field's type says `| None`), and is
refused where there must be one.  KEPT is never written into JSON.
"""


class ContractError(Exception):
    """A contract is declared wrongly; raised at import so that it can't be overlooked."""


@dataclass(frozen=True)
class EventSpec:
    """A published event: its type name, owning service, Kafka topic and the field that keys its records."""

    name: str
    service: str
    cls: type
    key: str
    summary: str

    @property
    def topic(self) -> str:
        return f"{self.service}.events"


@dataclass(frozen=True)
class CommandSpec:
    """A command: who may give it, the HTTP route that carries it (None: only services give it), its key field."""

    name: str
    service: str
    cls: type
    method: str | None
    path: str | None
    permission: str
    key: str
    creates: bool
    summary: str
    bulk: bool = True
    versioned: bool = True
    signs_in: bool = False

    @property
    def topic(self) -> str:
        return f"{self.service}.commands"

    @property
    def is_public(self) -> bool:
        return self.path is not None


@dataclass
class Registry:
    """All contracts by name.  One instance, `REGISTRY`; `load()` imports every contract module."""

    events: dict[str, EventSpec] = field(default_factory=dict)
    commands: dict[str, CommandSpec] = field(default_factory=dict)
    _event_of: dict[type, EventSpec] = field(default_factory=dict)
    _command_of: dict[type, CommandSpec] = field(default_factory=dict)

    def load(self) -> "Registry":
        """Import every module of the package but its tests, so that the registry is complete; returns itself.

        What it holds is in the same order then, whatever was imported before: by service, as declared.
        """
        import contracts  # noqa: PLC0415 - the package itself, not before its modules can be imported

        for module in pkgutil.iter_modules(contracts.__path__):
            if not module.name.startswith("test_"):
                importlib.import_module(f"contracts.{module.name}")
        self.events = dict(sorted(self.events.items(), key=lambda item: item[1].service))
        self.commands = dict(sorted(self.commands.items(), key=lambda item: item[1].service))
        return self

    def add_event(self, spec: EventSpec) -> None:
        if spec.name in self.events:
            raise ContractError(f"event type {spec.name} is declared twice")
        self.events[spec.name] = self._event_of[spec.cls] = spec

    def add_command(self, spec: CommandSpec) -> None:
        if spec.name in self.commands:
            raise ContractError(f"command {spec.name} is declared twice")
        self.commands[spec.name] = self._command_of[spec.cls] = spec

    def event_of(self, cls: type) -> EventSpec:
        try:
            return self._event_of[cls]
        except KeyError:
            raise ContractError(f"{cls.__qualname__} is not a declared event") from None

    def is_public_event(self, cls: type) -> bool:
        return cls in self._event_of

    def command_of(self, cls: type) -> CommandSpec:
        try:
            return self._command_of[cls]
        except KeyError:
            raise ContractError(f"{cls.__qualname__} is not a declared command") from None

    def events_of(self, service: str) -> Iterator[EventSpec]:
        return (spec for spec in self.events.values() if spec.service == service)

    def commands_of(self, service: str) -> Iterator[CommandSpec]:
        return (spec for spec in self.commands.values() if spec.service == service)


REGISTRY = Registry()


@dataclass_transform(frozen_default=True, kw_only_default=True)
def value(cls: type[T]) -> type[T]:
    """A part of a contract: a frozen dataclass used as the type of a field.

    `told_apart_by = "name"` in it says that a list of such parts has each name once (`contracts.schemas`).
    """
    return dataclass(frozen=True, kw_only=True)(cls)


@dataclass_transform(frozen_default=True, kw_only_default=True)
def event(name: str, *, key: str) -> Callable[[type[T]], type[T]]:
    """Declare a published event.  `name` is its public type for ever; `key` the field with its aggregate's id."""
    named = EVENT_TYPE.match(name)
    if not named:
        raise ContractError(f"{name!r} is not of the form salestream.<service>.<past-tense-name>.v<major>")

    def declare(cls: type[T]) -> type[T]:
        made = value(cls)
        if key not in made.__dataclass_fields__:  # type: ignore[attr-defined]
            raise ContractError(f"{cls.__qualname__} has no field {key!r} to be its key")
        REGISTRY.add_event(EventSpec(name, named["service"], made, key, _summary(cls)))
        return made

    return declare


@dataclass_transform(frozen_default=True, kw_only_default=True)
def command(
    route: str | None,
    *,
    permission: str,
    key: str | None = None,
    creates: bool = False,
    bulk: bool = True,
    versioned: bool = True,
    signs_in: bool = False,
) -> Callable[[type[T]], type[T]]:
    """Declare a command.

    `route` is "<METHOD> <path with {fields}>", or None for a command that only services send (over Kafka).
    `key` is the field that names the aggregate: the first field of the path unless given.
    `creates` makes the HTTP answer 201 and the key field optional.
    `bulk` is False for a command without a bulk form: what is slow on purpose, or answers with a secret.
    `versioned` is False for one that changes another record than the one it names: no ETag, and no If-Match.
    `signs_in`: its answer holds the tokens of a session, or asks for a second proof first.
    """
    parsed = ROUTE.match(route) if route else None
    if route and not parsed:
        raise ContractError(f"{route!r} is not of the form 'POST /path/{{field}}'")

    def declare(cls: type[T]) -> type[T]:
        made = value(cls)
        placeholders = re.findall(r"{(\w+)}", parsed["path"]) if parsed else []
        key_field = key or (placeholders[0] if placeholders else None)
        if key_field is None or key_field not in made.__dataclass_fields__:  # type: ignore[attr-defined]
            raise ContractError(f"{cls.__qualname__} needs key=<the field that names its aggregate>")
        REGISTRY.add_command(
            CommandSpec(
                name=cls.__name__,
                service=cls.__module__.rpartition(".")[2],
                cls=made,
                method=parsed["method"] if parsed else None,
                path=parsed["path"] if parsed else None,
                permission=permission,
                key=key_field,
                creates=creates,
                versioned=versioned,
                summary=_summary(cls),
                bulk=bulk,
                signs_in=signs_in,
            )
        )
        return made

    return declare


def changes(command: Any, of: type) -> dict[str, Any]:
    """The fields of a record's values (the class `of`) that a change names, with what they become.

    null becomes what the field is when there is nothing: its default, or None when it has none.
    """
    found: dict[str, Any] = {}
    for known in fields(of):
        value = getattr(command, known.name, KEPT)
        if value is None:
            found[known.name] = None if known.default is MISSING else known.default
        elif value is not KEPT:
            found[known.name] = value
    return found


def _summary(cls: type[Any]) -> str:
    return (cls.__doc__ or "").strip()
