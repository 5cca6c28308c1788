"""Marshmallow schemas and JSON coding of contracts, derived from their declarations.

Input from outside passes `load` (marshmallow: strict, every error names its field).  Stored and published JSON is
written and read by `encode` and `decode` (msgspec: ten times faster, tolerant of unknown fields).  A contract test
holds the two to the same result.
"""

import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from decimal import Decimal
from functools import cache, partial
from itertools import islice
from typing import Any, TypeVar, cast
from uuid import UUID

import marshmallow
import marshmallow_dataclass
import msgspec

from contracts.currencies import fitted, too_fine
from contracts.declare import KEPT, CommandSpec
from contracts.errors import Refused
from contracts.messages import AN_OBJECT, explain, unknown_field
from contracts.personal import opened, sealed
from contracts.reasons import Why
from contracts.text import key
from contracts.types import MAX_LINES, FlagField, IdField, IntegerField, TextField

T = TypeVar("T")

MAX_ERRORS = 20
"""So many wrong fields are told of at once."""
MONEY = {"amount", "currency"}
"""The fields of an amount of money."""

_WHOLE = "_schema"
"""Under this name marshmallow tells what is wrong with an object as a whole."""

_encoder = msgspec.json.Encoder()
_currency: ContextVar[str] = ContextVar("currency", default="")
_schema_lock = threading.Lock()
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}
_decoders_lock = threading.Lock()


class StrictSchema(marshmallow.Schema):
    """Refuses fields it does not know: a misspelt field must not be taken for an absent one.

    Bare Python types are guarded like the types of `contracts.types`, and every list has a longest length.
    """

    class Meta:
        unknown = marshmallow.EXCLUDE  # `refuse_unknown` tells of them, with those there are

    error_messages: dict[str, str] = {"type": AN_OBJECT}  # noqa: RUF012 - what marshmallow itself declares

    TYPE_MAPPING = {  # noqa: RUF012 - what marshmallow itself declares
        **marshmallow.Schema.TYPE_MAPPING,
        bool: FlagField,
        int: IntegerField,
        str: TextField,
        UUID: IdField,
    }

    @marshmallow.pre_load
    def name_currency(self, data: Any, **_: Any) -> Any:
        """An amount of money that names no currency is in the company's, where it is known (SET-04)."""
        if self.fields.keys() == MONEY and _currency.get() and isinstance(data, Mapping) and "currency" not in data:
            return {**data, "currency": _currency.get()}
        return data

    @marshmallow.validates_schema(pass_original=True, skip_on_field_errors=False)
    def refuse_unknown(self, _: Any, given: Any, **__: Any) -> None:
        """A field that there is not is refused, with the name of the one that is meant."""
        if not isinstance(given, Mapping):
            return
        unknown = islice((str(name) for name in given if name not in self.fields), MAX_ERRORS)
        if told := {f'"{name}"' if name == _WHOLE else name: [unknown_field(name, self.fields)] for name in unknown}:
            raise marshmallow.ValidationError(told)

    @marshmallow.validates_schema(skip_on_field_errors=True)
    def check_decimals(self, data: Mapping[str, Any], **_: Any) -> None:
        """An amount beside its currency may not have more decimals than that has."""
        amount, currency = data.get("amount"), data.get("currency")
        if isinstance(amount, Decimal) and currency is not None and fitted(amount, currency) is None:
            raise marshmallow.ValidationError(too_fine(currency), "amount")

    def on_bind_field(self, field_name: str, field_obj: marshmallow.fields.Field[Any]) -> None:
        explain(field_obj, field_name)
        if field_obj.load_default is KEPT:
            field_obj.load_default = field_obj.dump_default = marshmallow.missing
            field_obj.error_messages = {**field_obj.error_messages, "null": _no_null(field_obj)}
            if field_obj.allow_none:
                field_obj.deserialize = partial(_or_null, field_obj)  # type: ignore[method-assign]
        elif not field_obj.required:
            field_obj.deserialize = partial(_or_absent, field_obj)  # type: ignore[method-assign]
        if isinstance(field_obj, marshmallow.fields.List):
            longest = marshmallow.validate.Length(max=MAX_LINES, error=_too_many())
            field_obj.validators = [*field_obj.validators, longest]
            field_obj._deserialize = partial(_deserialize_list, field_obj)  # type: ignore[assignment,method-assign]


def _too_many() -> Why:
    return Why("forms.most_entries", most=MAX_LINES)


def _no_null(field: marshmallow.fields.Field[Any]) -> Why:
    """Why a field that keeps its value can't be null, and what may be meant."""
    if isinstance(field, TextField) and not field.shortest:
        return Why("forms.no_null_text")
    if isinstance(field, marshmallow.fields.Nested) and _keeps_its_parts(field):
        return Why("forms.no_null_parts")
    return Why("forms.no_null")


def _keeps_its_parts(field: marshmallow.fields.Nested) -> bool:
    """Whether an object names what is to change, and keeps the rest."""
    return all(part.load_default is marshmallow.missing and not part.required for part in field.schema.fields.values())


def _or_null(field: marshmallow.fields.Field[Any], value: Any, *args: Any, **kwargs: Any) -> Any:
    """The value, or None for an empty text where a query shows so that there is none."""
    return type(field).deserialize(field, None if _is_nothing(field, value) else value, *args, **kwargs)


def _or_absent(field: marshmallow.fields.Field[Any], value: Any, *args: Any, **kwargs: Any) -> Any:
    """The value; null, and an empty text where a query shows one for no value, say what leaving it out says."""
    absent = marshmallow.missing if _is_nothing(field, value) else value
    return type(field).deserialize(field, absent, *args, **kwargs)


def _is_nothing(field: marshmallow.fields.Field[Any], value: Any) -> bool:
    """Raises ValidationError for an empty text in place of a value that is no text: whoever means none says null."""
    if value != "":
        return value is None
    if not takes_empty(field):
        raise marshmallow.ValidationError(Why("forms.empty"))
    return True


def takes_null(field: marshmallow.fields.Field[Any]) -> bool:
    """Whether null is taken: for no value, or for one that is left out."""
    return "deserialize" in vars(field)


def takes_empty(field: marshmallow.fields.Field[Any]) -> bool:
    """Whether an empty text says what null says: where queries show it for a text that there is not."""
    return getattr(field, "empty_is_none", False)


def _deserialize_list(field: marshmallow.fields.List[Any], value: Any, *_: Any, **kwargs: Any) -> tuple[Any, ...]:
    """The items of a list, its length checked first.  Ends where there are more errors than are told anyway."""
    if not isinstance(value, list | tuple):
        raise field.make_error("invalid")
    if len(value) > MAX_LINES:
        raise marshmallow.ValidationError(_too_many())
    items: list[Any] = []
    errors: dict[int, Any] = {}
    told = 0
    for number, item in enumerate(value):
        try:
            items.append(field.inner.deserialize(item, **kwargs))
        except marshmallow.ValidationError as error:
            errors[number] = error.messages
            told += sum(1 for _ in islice(_flatten("", error.messages), MAX_ERRORS))
            if told >= MAX_ERRORS:
                break
    if errors := errors or _repeated(field.inner, items):
        raise marshmallow.ValidationError(errors, valid_data=items)
    return tuple(items)


CHOSEN = (marshmallow.validate.OneOf, marshmallow.validate.Equal)
"""What checks that a value is one of those there are: of several, or of one."""


def stands_once(item: marshmallow.fields.Field[Any]) -> bool:
    """Whether a single value is in a list once: a choice, a role, a tag.  Accessories may repeat: two cables."""
    return getattr(item, "once", any(isinstance(one, CHOSEN) for one in item.validators))


def _repeated(item: marshmallow.fields.Field[Any], items: Sequence[Any]) -> dict[int, Any]:
    """What to tell of the items that are in the list before already (`stands_once`, `contracts.declare.value`)."""
    held, found = set[Any](), dict[int, Any]()
    once = stands_once(item)
    for number, one in enumerate(items):
        name = getattr(one, "told_apart_by", "")
        if not name and not once:
            continue
        value = getattr(one, name) if name else one
        same = key(value) if isinstance(value, str) else value
        if same in held:
            told = [Why("forms.repeated", value=value)]
            found[number] = {name: told} if name else told
        held.add(same)
    return found


@cache
def _schema(cls: type) -> marshmallow.Schema:
    made = marshmallow_dataclass.class_schema(cls, base_schema=StrictSchema, globalns=vars(sys.modules[cls.__module__]))
    return made()


def schema_of(cls: type) -> marshmallow.Schema:
    """The marshmallow schema of a contract class."""
    with _schema_lock:
        return _schema(cls)


def load(cls: type[T], data: Any, *, currency: str = "") -> T:
    """Validate `data` (decoded JSON) against the contract `cls` and return the typed object.

    `currency` is that of amounts of money that name none; without one they must.  Raises Refused VALIDATION that names
    the fields at fault, MAX_ERRORS of them at most.
    """
    if not isinstance(data, Mapping):
        raise Refused("forms.body", field="body")
    known = _currency.set(currency)
    try:
        return cast(T, schema_of(cls).load(data))
    except marshmallow.ValidationError as error:
        fields = dict(islice(_flatten("", error.messages), MAX_ERRORS))
        first = min(fields)
        raise Refused("forms.invalid", errors=fields[first], field=first, fields=fields) from error
    finally:
        _currency.reset(known)


def can_be(cls: type, name: str, value: Any) -> bool:
    """Whether a field of a contract takes a value."""
    try:
        schema_of(cls).fields[name].deserialize(value)
    except marshmallow.ValidationError:
        return False
    return True


def awaited(spec: CommandSpec) -> tuple[list[str], bool]:
    """The fields for whose sake a command has a body, and whether all of them must be in it.

    They are those that must be given; of a change that names none, those that it may change.  None: the body may be
    left out.
    """
    own = {name: field for name, field in schema_of(spec.cls).fields.items() if f"{{{name}}}" not in str(spec.path)}
    if required := [name for name, field in own.items() if field.required]:
        return required, True
    return [name for name, field in own.items() if field.load_default is marshmallow.missing], False


def told_name(name: str) -> str:
    """The name of a field as a message tells it: one that shows nothing stands in quotes."""
    return name if name.strip() else f'"{name}"'


def _flatten(prefix: str, messages: Any) -> Iterator[tuple[str, list[Why]]]:
    if isinstance(messages, dict):
        for name, inner in messages.items():
            told = told_name(str(name))
            yield from _flatten(prefix if name == _WHOLE else f"{prefix}.{told}" if prefix else told, inner)
    else:
        yield prefix, [why_of(message) for message in messages]


def why_of(message: object) -> Why:
    """What a marshmallow message says.  All that are known are of this kind (`contracts.messages`)."""
    return message if isinstance(message, Why) else Why("forms.value")


def encode(contract: Any, person: UUID | None = None, *, blank: bool = False) -> bytes:
    """The contract's JSON: what is stored and what is published, personal texts sealed (`contracts.personal`).

    `person` is whom it tells of, where it does not say so itself.  Raises Destroyed where a person was erased, or
    leaves their texts out where they may be `blank`.
    """
    return _encoder.encode(sealed(contract, person, blank=blank))


def plain(contract: Any) -> bytes:
    """The contract's JSON with nothing sealed: to compare or to digest, never to keep."""
    return _encoder.encode(contract)


def decoder_of(type_: type[T]) -> msgspec.json.Decoder[T]:
    """What reads JSON as a type.  Every typed decoder is made here, one at a time.

    The library fills in what it knows of a class while other threads may use it already: two threads that met a class
    for the first time together ended the process with a segmentation fault.
    """
    made = _decoders.get(type_)
    if made is None:
        with _decoders_lock:
            made = _decoders.setdefault(type_, msgspec.json.Decoder(type_))
    return made


def decode(type_: type[T], data: bytes | msgspec.Raw, person: UUID | None = None) -> T:
    """Read JSON as a type, dropping unknown fields, and open what is sealed in it.

    Raises msgspec.ValidationError or DecodeError, and Damaged for what its key has not sealed.
    """
    return opened(decoder_of(type_).decode(data), person)
