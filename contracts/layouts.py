"""How the events of a kind of record are laid out: what they hold of a record, and what commands give of it.

As a rule events hold all of it in `data`.  Where events were published before there was the kind, they may hold it in
parts beside each other, which the declaration names:

    class ProductData:
        attributes: Attributes = part()
        prices: Prices = part("{}_price", given_whole=True)
        alert_quantity: Whole = data(first=0)

Such a record has the fields of its parts, each by a name of its own (`name`, `model`, `purchase_price`): rules, lists,
histories and rights know of no parts.  Only what is published does: `{"attributes": .., "prices": ..,
"alert_quantity": ..}`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from functools import cached_property
from typing import Any, get_type_hints

from contracts.declare import KEPT, ContractError, changes

Annotations = dict[str, Any]
Defaults = dict[str, Any]


@dataclass(frozen=True)
class PartRules:
    """What is said of a part where it is declared."""

    pattern: str
    given_whole: bool


def part(pattern: str = "{}", *, given_whole: bool = False) -> Any:
    """Fields of a record that its events hold together, as one value; `pattern` makes the record's names of them.

    `given_whole`: so do commands.  Who enters a record gives all of it; who changes one all of it, or single fields.
    """
    return PartRules(pattern, given_whole)


@dataclass(frozen=True)
class Part:
    """A part of an event: its name there, its class, and the class's field for each field of the record."""

    name: str
    cls: type
    fields: Mapping[str, str]
    given_whole: bool

    def of(self, data: Any) -> Any:
        """What it holds of a record."""
        return self.cls(**{inner: getattr(data, name) for name, inner in self.fields.items()})

    def taken_apart(self, held: Any) -> dict[str, Any]:
        """The record's fields that it holds."""
        return {name: getattr(held, inner) for name, inner in self.fields.items()}


@dataclass(frozen=True)
class Layout:
    """Events hold all that is known of a record in `data`; commands give field by field.  `cls` is what it is."""

    cls: type

    def in_events(self) -> tuple[Annotations, Defaults]:
        """The fields by which an event tells all of a record, and what those are that older events lack."""
        return {"data": self.cls}, {}

    def entered(self, given: Annotations, first: Defaults) -> tuple[Annotations, Defaults]:
        """The fields of the command that enters a record, and their defaults, of those of the record."""
        return given, first

    def changed(self, given: Annotations) -> Annotations:
        """The fields of the command that changes a record, of those of the record."""
        return given

    def told(self, data: Any) -> dict[str, Any]:
        """What an event holds of a record."""
        return {"data": data}

    def read(self, fact: Any) -> Any:
        """What an event that tells all of a record says of it."""
        return fact.data

    def given_by(self, command: Any) -> dict[str, Any]:
        """The fields of a record that a command gives, with what they become."""
        return changes(command, self.cls)

    def place_in(self, command: Any, name: str) -> str:
        """Under which name a command gives a field of the record."""
        return name

    @cached_property
    def given_whole(self) -> Sequence[Part]:
        """The parts that commands give as one value."""
        return ()


@dataclass(frozen=True)
class LayoutInParts(Layout):
    """Events hold parts of a record and its other fields beside each other; commands may give a part whole."""

    parts: Sequence[Part]

    @cached_property
    def beside(self) -> Sequence[str]:
        """The fields that are in no part."""
        within = {name for one in self.parts for name in one.fields}
        return tuple(one.name for one in fields(self.cls) if one.name not in within)

    def in_events(self) -> tuple[Annotations, Defaults]:
        hints, known = get_type_hints(self.cls, include_extras=True), {one.name: one for one in fields(self.cls)}
        annotations = {one.name: one.cls for one in self.parts} | {name: hints[name] for name in self.beside}
        return annotations, {name: known[name].default for name in self.beside if known[name].default is not MISSING}

    def entered(self, given: Annotations, first: Defaults) -> tuple[Annotations, Defaults]:
        within = {name for one in self.given_whole for name in one.fields}
        return (
            {name: kind for name, kind in given.items() if name not in within}
            | {one.name: one.cls for one in self.given_whole},
            {name: value for name, value in first.items() if name not in within},
        )

    def changed(self, given: Annotations) -> Annotations:
        return {**given, **{one.name: one.cls for one in self.given_whole}}

    def told(self, data: Any) -> dict[str, Any]:
        return {**{one.name: one.of(data) for one in self.parts}, **{name: getattr(data, name) for name in self.beside}}

    def read(self, fact: Any) -> Any:
        found = {name: getattr(fact, name) for name in self.beside}
        for one in self.parts:
            found |= one.taken_apart(getattr(fact, one.name))
        return self.cls(**found)

    def given_by(self, command: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for one in self.given_whole:
            if (held := getattr(command, one.name, KEPT)) is not KEPT:
                found |= one.taken_apart(held)
        return found | changes(command, self.cls)

    def place_in(self, command: Any, name: str) -> str:
        if getattr(command, name, KEPT) is not KEPT:
            return name
        held = (one for one in self.given_whole if name in one.fields and getattr(command, one.name, KEPT) is not KEPT)
        return next((f"{one.name}.{one.fields[name]}" for one in held), name)

    @cached_property
    def given_whole(self) -> Sequence[Part]:
        return tuple(one for one in self.parts if one.given_whole)


def spread_out(cls: type) -> tuple[type, Sequence[Part]]:
    """A declaration with the fields of its parts in place of these, and the parts; itself where it has none.

    Raises ContractError where two fields of the record would have one name.
    """
    hints = get_type_hints(cls, include_extras=True)
    rules = {name: rule for name in hints if isinstance(rule := vars(cls).get(name), PartRules)}
    if not rules:
        return cls, ()
    annotations, defaults, parts = Annotations(), Defaults(), list[Part]()
    for name, kind in hints.items():
        if name not in rules:
            inner, own = {name: kind}, {name: vars(cls)[name]} if name in vars(cls) else {}
        else:
            found = Part(name, kind, {rules[name].pattern.format(one.name): one.name for one in fields(kind)},
                         rules[name].given_whole)  # fmt: skip
            parts.append(found)
            of_part = get_type_hints(kind, include_extras=True)
            inner = {own_name: of_part[inner_name] for own_name, inner_name in found.fields.items()}
            own = {
                own_name: field(default=one.default, metadata=one.metadata)
                for own_name, one in zip(found.fields, fields(kind), strict=True)
            }
        if taken := inner.keys() & annotations.keys():
            raise ContractError(f"{cls.__qualname__}: two fields are called {', '.join(sorted(taken))}")
        annotations |= inner
        defaults |= own
    told = {"__module__": cls.__module__, "__doc__": cls.__doc__, "__qualname__": cls.__qualname__}
    return type(cls.__name__, (), {**told, "__annotations__": annotations, **defaults}), tuple(parts)
