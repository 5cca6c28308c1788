"""Personal data: what tells of a person is sealed with that person's key wherever a contract is written down (CPL-01).

    @value
    class CustomerSnapshot:
        about_person = "customer_id"

        customer_id: UUID
        name: Personal[Text]
        phone: Personal[Text] = ""

`about_person` names the field with the id of whom it tells.  A part without it tells of the same person as what it is
a part of; an event or command without it of the record that its key names.  Whatever is written as JSON by
`contracts.schemas` - events, snapshots, rows, commands between services, audit records - holds such a text sealed, and
what reads it opens it.  Once the key is destroyed nobody can, wherever a copy is: the text reads as nothing then.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass
from functools import cached_property
from typing import Annotated, Any, Protocol, TypeVar, get_args, get_origin, get_type_hints
from uuid import UUID

from contracts.declare import REGISTRY, CommandSpec, EventSpec

T = TypeVar("T")

MARK = "personal"
Personal = Annotated[T, MARK]
"""The type of a text that tells of a person: `Personal[Name]`."""

UNLOGGED = "unlogged"
Unlogged = Annotated[T, UNLOGGED]
"""The type of what a command gives and the audit log leaves out: `Unlogged[Reason]`.

For what may tell of a person whom the command does not name, so that no key could seal it there; the event does.
"""

SEALED = "sealed:1:"
"""What a sealed text begins with; then, in base64url without padding, NONCE_BYTES and what AES-256-GCM makes of it."""
NONCE_BYTES, TAG_BYTES = 12, 16
ID_LENGTH = 36
_ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ERASED = ""
"""What a sealed text reads as when its key was destroyed."""


def sealed_length(longest: int) -> int:
    """How many characters a sealed text may have, of one with so many at most."""
    return len(SEALED) + -(-4 * (NONCE_BYTES + TAG_BYTES + 4 * longest) // 3)


class Cipher(Protocol):
    """Seals and opens texts with the key of one person; `name` is that of the field: they can't change places."""

    def seal(self, text: str, name: str) -> str: ...

    def open(self, text: str, name: str) -> str:
        """Raises Damaged for what this key has not sealed under that name."""


class Keys(Protocol):
    """The keys of persons, as this process knows them (`chassis.persons`)."""

    def sealing(self, person: UUID, whose: str = "") -> Cipher:
        """The key of a person, made if there is none yet.  Raises Destroyed, KeysAway.

        `whose` says what sort of record the person is, as `Plan.whose`.  Raises OfAnother when the key was made for
        one of another sort.
        """

    def opening(self, person: UUID) -> Cipher | None:
        """The key of a person; None when it was destroyed.  Raises Damaged where there never was one, KeysAway."""

    def exported(self, person: UUID) -> bytes | None:
        """The key itself; None when it was destroyed.  Raises Damaged where there never was one."""

    def settle(self) -> None:
        """Keep the keys that were made since the last time, durably.  Raises KeyTaken."""


class Damaged(ValueError):
    """A sealed text is not what was sealed."""


class Destroyed(Exception):
    """The key of a person was destroyed: nothing more is written of them."""


class OfAnother(Exception):
    """The key under this id is that of a record of another sort: the two would be erased together."""


class KeysAway(ConnectionError):
    """The keys can't be read now: nothing is wrong with what was to be sealed or opened."""


class KeyTaken(Exception):
    """What was sealed with a key of this process can't be stored: another process has made one for the same person."""


class _NoKeys:
    """The keys of a process that was given none: it can neither write nor read what tells of a person."""

    def sealing(self, person: UUID, whose: str = "") -> Cipher:
        raise RuntimeError("this process was given no keys of persons (chassis.persons.opening.use_keys)")

    def opening(self, person: UUID) -> Cipher | None:
        raise RuntimeError("this process was given no keys of persons (chassis.persons.opening.use_keys)")

    def exported(self, person: UUID) -> bytes | None:
        raise RuntimeError("this process was given no keys of persons (chassis.persons.opening.use_keys)")

    def settle(self) -> None:
        """It has made none."""


_keys: Keys = _NoKeys()


def use(keys: Keys) -> Keys:
    """Seal and open with these keys from now on, in all of this process; returns those that were used before."""
    global _keys
    before, _keys = _keys, keys
    return before


def settle() -> None:
    """Keep the keys that were made for what is about to be stored.  Raises KeyTaken: seal it again."""
    _keys.settle()


@dataclass(frozen=True)
class Plan:
    """Where a class has personal texts: its own, and those of its parts; `person` is the field with whose id."""

    person: str
    texts: tuple[str, ...]
    parts: tuple[tuple[str, "Plan"], ...]

    @cached_property
    def whose(self) -> str:
        """What sort of record the person is: "customer" where the field is `customer_id`; "" where it may be any."""
        keys = {spec.key for spec in REGISTRY.events.values()}
        return self.person.removesuffix("_id") if self.person in keys else ""


def plan_of(cls: type) -> Plan | None:
    """Where a class has personal texts; None when it has none anywhere."""
    try:
        return _plans[cls]
    except KeyError:
        return _plans.setdefault(cls, _plan(cls))


_plans: dict[type, Plan | None] = {}


def _plan(cls: Any) -> Plan | None:
    if not is_dataclass(cls):
        return None
    texts, parts = [], []
    for name, hint in get_type_hints(cls, include_extras=True).items():
        if is_personal(hint):
            texts.append(name)
        else:
            parts += [(name, plan) for part in _classes(hint) if (plan := plan_of(part))]
    return Plan(_person_of(cls), tuple(texts), tuple(parts)) if texts or parts else None


def _person_of(cls: Any) -> str:
    """The field with the id of the person whom a class tells of; "" where that is for what it is a part of to say."""
    if hasattr(cls, "about_person"):
        return str(cls.about_person)
    specs: list[EventSpec | CommandSpec] = [*REGISTRY.events.values(), *REGISTRY.commands.values()]
    return next((spec.key for spec in specs if spec.cls is cls), "")


def is_personal(hint: Any) -> bool:
    """Whether a type is that of personal texts, perhaps of one that may be missing."""
    if get_origin(hint) is Annotated:
        return MARK in hint.__metadata__
    return any(is_personal(part) for part in get_args(hint) if part is not type(None))


def is_unlogged(hint: Any) -> bool:
    """Whether the audit log leaves out what has this type."""
    if get_origin(hint) is Annotated:
        return UNLOGGED in hint.__metadata__
    return any(is_unlogged(part) for part in get_args(hint))


def _classes(hint: Any) -> set[type]:
    """The classes that a type is made of: it, its items, or what it may be."""
    if isinstance(hint, type) and not get_args(hint):
        return {hint}
    return {found for part in get_args(hint) for found in _classes(part)}


def person_named(key: str) -> UUID | None:
    """The person that a row tells of which stands under this key; None where that is no id."""
    return UUID(key) if len(key) == ID_LENGTH and _ID.match(key) else None


def sealed(contract: T, person: UUID | None = None, *, blank: bool = False) -> T:
    """A copy whose personal texts are sealed; itself where it has none.

    Raises Destroyed for those of a person who was erased, or leaves them out where they may be `blank`.  Raises
    OfAnother where its key names a record of another sort.
    """
    plan = plan_of(type(contract))
    return contract if plan is None else _sealed(contract, plan, person, "", blank)


def opened(contract: T, person: UUID | None = None) -> T:
    """What was just read, with its personal texts opened in place.  Raises Damaged."""
    plan = plan_of(type(contract))
    if plan is not None:
        _open(contract, plan, person)
    return contract


def seal_text(person: UUID, text: str, name: str) -> str:
    """A text of a person by itself, sealed.  Raises Destroyed."""
    return _keys.sealing(person).seal(text, name)


def open_text(person: UUID, text: str, name: str) -> str:
    """What was sealed by `seal_text`; ERASED when the key was destroyed.  Raises Damaged."""
    cipher = _keys.opening(person)
    return cipher.open(text, name) if cipher else ERASED


def is_erased(person: UUID) -> bool:
    """Whether the key of a person was destroyed.  Raises KeysAway."""
    try:
        return _keys.opening(person) is None
    except Damaged:
        return False  # nothing was ever known of them


def key_of(person: UUID) -> bytes | None:
    """The key of a person itself, for who may read them from the topics; None when it was destroyed.

    Raises Damaged where there never was one.
    """
    return _keys.exported(person)


def texts_of(contract: Any) -> Iterator[str]:
    """The personal texts of a contract, at any depth."""
    if plan := plan_of(type(contract)):
        yield from _texts(contract, plan).values()
        for name, _ in plan.parts:
            held = getattr(contract, name)
            for part in held if isinstance(held, tuple) else (held,):
                yield from texts_of(part)


def opened_json(cls: type, fields: dict[str, Any]) -> dict[str, Any]:
    """JSON that was read without its class with its personal texts opened, as far as it is of it.  Raises Damaged."""
    plan = plan_of(cls)
    return fields if plan is None else _opened_json(fields, plan, None)


def without_persons(contract: T, mark: str) -> T:
    """A copy that tells of no person: `mark` stands in place of each personal text; itself where it has none."""
    plan = plan_of(type(contract))
    return contract if plan is None else _without_persons(contract, plan, mark)


def _without_persons(whole: Any, plan: Plan, mark: str) -> Any:
    changes: dict[str, Any] = dict.fromkeys(_texts(whole, plan), mark)
    for name, part in plan.parts:
        held = getattr(whole, name)
        if isinstance(held, tuple):
            changes[name] = tuple(_without_persons(item, part, mark) for item in held)
        elif plan_of(type(held)) is part:
            changes[name] = _without_persons(held, part, mark)
    return _copy(whole, changes)


def _copy(whole: Any, changes: dict[str, Any]) -> Any:
    """Another of the same class, past its checks: what is written in place of a text need not be one that may be."""
    if not changes:
        return whole
    copy = object.__new__(type(whole))
    copy.__dict__.update(whole.__dict__)
    copy.__dict__.update(changes)
    return copy


def _opened_json(fields: dict[str, Any], plan: Plan, person: UUID | None) -> dict[str, Any]:
    own = person_named(str(fields.get(plan.person, ""))) if plan.person else person
    found = dict(fields)
    for name in plan.texts:
        text = fields.get(name)
        if own and isinstance(text, str) and text.startswith(SEALED):
            found[name] = open_text(own, text, name)
    for name, part in plan.parts:
        held = fields.get(name)
        if isinstance(held, dict):
            found[name] = _opened_json(held, part, own)
        elif isinstance(held, list):
            found[name] = [_opened_json(item, part, own) if isinstance(item, dict) else item for item in held]
    return found


def _sealed(whole: Any, plan: Plan, person: UUID | None, whose: str, blank: bool) -> Any:
    own, sort = (getattr(whole, plan.person), plan.whose) if plan.person else (person, whose)
    changes: dict[str, Any] = {}
    if isinstance(own, UUID) and (texts := _texts(whole, plan)):
        try:
            cipher = _keys.sealing(own, sort)
            changes = {name: cipher.seal(text, name) for name, text in texts.items()}
        except Destroyed:
            if not blank:
                raise
            changes = dict.fromkeys(texts, ERASED)
    for name, part in plan.parts:
        held = getattr(whole, name)
        if isinstance(held, tuple):
            changes[name] = tuple(_sealed(item, part, own, sort, blank) for item in held)
        elif plan_of(type(held)) is part:
            changes[name] = _sealed(held, part, own, sort, blank)
    return _copy(whole, changes)


def _texts(whole: Any, plan: Plan) -> dict[str, str]:
    """The personal texts of a part itself, those that are not empty, by field."""
    found = {name: getattr(whole, name) for name in plan.texts}
    return {name: text for name, text in found.items() if isinstance(text, str) and text}


def _open(whole: Any, plan: Plan, person: UUID | None) -> None:
    own = getattr(whole, plan.person) if plan.person else person
    if isinstance(own, UUID):
        shut = {name: text for name, text in _texts(whole, plan).items() if text.startswith(SEALED)}
        cipher = _keys.opening(own) if shut else None
        for name, text in shut.items():
            whole.__dict__[name] = cipher.open(text, name) if cipher else ERASED
    for name, part in plan.parts:
        held = getattr(whole, name)
        for item in held if isinstance(held, tuple) else (held,):
            if plan_of(type(item)) is part:
                _open(item, part, own)
