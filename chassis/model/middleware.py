"""Middleware of a command: slow or random work before the writer, and what the caller is told after it.

    Service("access", commands={SignIn: sign_in, ...}, middleware={SignIn: Middleware(check_password, hand_out_tokens)})

The writer is one thread and its domains are pure, so hashing a password, drawing a code or scaling a picture happens
here first; the handler finds what came of it in `work.prepared`.  Secrets end here: `before` gives the writer a command
without them, so neither an event nor a remembered result can hold one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ParamSpec, Protocol, TypeVar
from uuid import UUID

from chassis.foundation.config import Config
from chassis.model.aggregates import Aggregate
from chassis.model.identity import RecordId
from chassis.model.principal import Principal
from contracts.errors import Refused
from contracts.languages import Language
from contracts.people import Person

A = TypeVar("A", bound=Aggregate)
P = ParamSpec("P")
T = TypeVar("T")


class Records(Protocol):
    """Where aggregates can be read as they are stored."""

    def load(self, cls: type[A], id: RecordId) -> A | None: ...


class KnownHere(Protocol):
    """What the process knows of people, devices and machine accounts (`chassis.access.directory.Directory`)."""

    def language_of(self, person: UUID | None, asked: Language | None = None) -> Language: ...

    def owner_of_device(self, device_id: UUID | None) -> UUID | None: ...

    def is_revoked(self, device_id: UUID | None) -> bool: ...

    def machine_named(self, name: str) -> UUID | None: ...


class Offload(Protocol):
    """Runs slow work where it holds up nobody.  Raises Refused OVERLOADED when too much of it waits."""

    def __call__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T: ...


def at_once(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs work here and now: for tests and processes without other callers."""
    return function(*args, **kwargs)


@dataclass(frozen=True)
class Surroundings:
    """What the work around a command may use.

    `slowly` runs work that takes long; `later` work whose end nobody waits for.  `asked` is the language that the
    request asks for.
    """

    config: Config
    caller: Principal
    now: datetime
    records: Records
    directory: KnownHere
    slowly: Offload = at_once
    later: Callable[[Callable[[], None]], None] = lambda work: work()
    asked: Language | None = None


@dataclass(frozen=True)
class Prepared:
    """A command as the writer gets it, without secrets, and what was worked out for its handler.

    `person` is who it is about where the caller has not signed in yet: for the audit log (SEC-21).
    """

    command: Any
    facts: Any = None
    person: Person | None = None


def refuses_nothing(body: Mapping[str, Any]) -> Refused | None:
    return None


def unchanged(body: dict[str, Any], facts: Any, surroundings: Surroundings) -> dict[str, Any]:
    return body


@dataclass(frozen=True)
class Middleware:
    """`before` the writer: (command, surroundings) -> Prepared.  `after` the commit: what the caller is told.

    `before` may raise Refused.  `refuses` tells the refusal that a stored outcome means: a wrong password is counted,
    then told, and written into the audit log as what it is.  Of such a command sent with an Idempotency-Key the
    outcome is remembered and not what `after` told: a repeat is told how it ended, and no secret again.
    """

    before: Callable[[Any, Surroundings], Prepared]
    after: Callable[[dict[str, Any], Any, Surroundings], dict[str, Any]] = unchanged
    refuses: Callable[[Mapping[str, Any]], Refused | None] = refuses_nothing
