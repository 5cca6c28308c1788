"""What kind of value each field of a view's row holds: by it filters check, lists sort and exports write.

A kind follows from the type that the row declares, so a new field needs no second declaration.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints
from uuid import UUID

from marshmallow import fields

from contracts.text import keys, parts, squashed_forms
from contracts.types import CurrencyField, RoleField

FieldKind = Literal["id", "choice", "flag", "whole", "amount", "moment", "day", "text", "code", "list", "object"]

CODE = "code"
Code = Annotated[str, CODE]
"""A text that is no language: a number, a phone, a name to sign in with.  It sorts by the numbers in it (SO-999999
comes before SO-1000000), and blanks and dashes in it don't count when it is looked for."""


@dataclass(frozen=True)
class Picked:
    """Marks a text as the code of an entry of a dictionary: `Annotated[str, Picked("industries")]`."""

    dictionary: str


_KINDS: Mapping[Any, FieldKind] = {
    UUID: "id", bool: "flag", int: "whole", Decimal: "amount", datetime: "moment", date: "day", str: "text",
}  # fmt: skip


Keys = Callable[[str], list[str]]
"""What makes the keys of a text; two texts that have one in common are the same."""
StoredKeys = Callable[[str], list[Any]]
"""What makes the keys of a value as a document keeps them."""


@dataclass(frozen=True)
class FieldType:
    """A field's kind; `choices` of a choice; `guard` checks a code that has a form of its own, such as a currency.

    `of` is the kind of a list's items.  `known` is what it is one of where that is data: ROLES; `dictionary` names the
    one whose entry it is the code of.  `currencies` are the columns with those of the amounts that it is worked out of.
    """

    kind: FieldKind
    choices: tuple[str, ...] = ()
    known: str = ""
    guard: fields.String | None = None
    of: "FieldType | None" = None
    dictionary: str = ""
    currencies: tuple[str, ...] = ()

    @property
    def single(self) -> "FieldType":
        """What a filter compares: of a list, one item of it."""
        return self.of or self

    @property
    def has_order(self) -> bool:
        """Whether rows can be sorted by it: by several values, or by what has parts, they can't."""
        return self.kind not in ("list", "object")

    @property
    def keyed(self) -> Keys | None:
        """What makes the keys by which an equal value is found; None: it is compared as it is."""
        one = self.single
        if one.kind == "text":
            return keys
        return squashed_forms if one.kind == "code" and one.guard is None else None

    @property
    def equal(self) -> StoredKeys | None:
        """What makes the octets by which a document is found whose value is the same; None: it is compared as it is.

        Texts are compared in the order of the language that a list is sorted in, and an index serves one language:
        octets are in every language the same.
        """
        one = self.single
        if one.kind == "id":
            return _id_octets
        if make := one.keyed:
            return lambda text: [key.encode() for key in make(text)]
        return _octets if one.kind in ("choice", "code") else None


def _id_octets(text: str) -> list[bytes]:
    """An id in 16 octets; a text that is none, as an older document may hold it, in its own."""
    try:
        return [UUID(text).bytes]
    except ValueError:
        return _octets(text)


def _octets(text: str) -> list[bytes]:
    return [text.encode()]


def currency_of(amount: str) -> str:
    """The column with the currency of an amount that has one of its own."""
    return f"{amount}_currency"


BY_NUMBER = "number"
"""In place of a language: the order of codes, in which digits count as the numbers they write."""

ROLES = "roles"
EQUAL_TO, FOUND_BY, PARTS = "_is_", "_find_", "_part_"
"""What the fields begin with in which a document keeps the keys of its values: by which it is filtered, by which its
texts are searched, and by whose pieces an index finds them then."""


def parts_of(text: str) -> list[bytes]:
    """The pieces of all forms in which a text is searched, in octets: those are the same in every language's order."""
    return [part.encode() for part in dict.fromkeys(part for form in squashed_forms(text) for part in parts(form))]


def asked_in_parts(found_by: str) -> list[bytes]:
    """The pieces of which every text has all that holds this one; none where it is too short.

    MongoDB looks up the first and reads what it finds, so that should be a rare one: of numbers the last digits, of all
    else the first letters, as numbers begin alike and addresses end alike.
    """
    found = parts(found_by)
    numbers = [part for part in reversed(found) if any(map(str.isdigit, part))]
    return [part.encode() for part in (*numbers, *(part for part in found if part not in numbers))]


def key_place(kept_in: str, field: str) -> str:
    """The field of a document that holds the key of another one, which may be a dotted path."""
    return kept_in + field.replace(".", "-")


@cache
def field_types(row: type) -> Mapping[str, FieldType]:
    """The kind of every field of a row."""
    return {name: _type_of(hint) for name, hint in get_type_hints(row, include_extras=True).items()}


def _type_of(hint: Any) -> FieldType:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return FieldType("choice", choices=tuple(map(str, arguments)))
    if origin is Annotated:
        return _annotated(arguments[0], arguments[1])
    if origin in (list, tuple):
        return FieldType("list", of=_type_of(arguments[0]))
    if origin is dict or hint is Any:
        return FieldType("object")
    if arguments:  # a value or None
        return _type_of(next(argument for argument in arguments if argument is not NoneType))
    return FieldType(_KINDS.get(hint, "object"))


def _annotated(base: Any, what: Any) -> FieldType:
    if isinstance(what, Picked):
        return FieldType("text", dictionary=what.dictionary)
    if what == CODE:
        return FieldType("code")
    if what in GUARDED:
        return FieldType("code", guard=what(), known=ROLES if what is RoleField else "")
    return _type_of(base)


GUARDED = (CurrencyField, RoleField)
"""The types of contracts whose form a filter's value must have."""
