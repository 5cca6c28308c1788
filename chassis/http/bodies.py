"""JSON bodies: read in time that grows no faster than their length, and bounded before anything is done with them.

Every limit lies far above what a command needs.  The first one that is passed ends the reading, so a hostile body
costs no more than an honest one.
"""

import json
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from chassis.http.broken_json import broken
from contracts.errors import Refused
from contracts.types import MAX_LINES

MAX_NODES = 50_000
"""Values in a body, objects and lists included.  500 commands of 100 values each."""
MAX_COMMAND_NODES = 10_000
"""Values in one command."""
MAX_KEYS = 100
MAX_DEPTH = 12
MAX_KEY_LENGTH = 200
MAX_DIGITS = 40

_LARGEST = 10**MAX_DIGITS


def _number(text: str) -> Decimal:
    """A number with a point or an exponent, exact.  Raises Refused VALIDATION for one nobody means."""
    if len(text) > MAX_DIGITS:
        raise _too_much("requests.most_digits", [], most=MAX_DIGITS)
    try:
        return Decimal(text)
    except InvalidOperation as error:  # an exponent beyond what a Decimal holds
        raise _too_much("requests.out_of_bounds", []) from error


_decoder = msgspec.json.Decoder(float_hook=_number)


def read_object(raw: bytes) -> dict[str, Any]:
    """The JSON object that a body is.  Raises Refused VALIDATION."""
    if raw.count(b"[") + raw.count(b"{") > MAX_NODES:
        raise _too_much("requests.most_values", [], most=MAX_NODES)
    try:
        body = _decoder.decode(raw)
        if isinstance(body, dict):
            count_nodes(body)
            require_single_keys(raw, body)
    except RecursionError as error:
        raise _too_much("requests.deepest", [], most=MAX_DEPTH) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise broken(raw, error) from error
    if not isinstance(body, dict):
        raise Refused("forms.body", field="body")
    return body


def count_nodes(value: Any, most: int = MAX_NODES) -> int:
    """How many values there are in decoded JSON.  Raises Refused VALIDATION naming what is too long, large or deep."""
    return most - _left(value, most, [])


def _left(value: Any, left: int, path: list[str]) -> int:
    """How many more values may follow this one.  `path` leads to it."""
    left -= 1
    if left < 0:
        raise _too_much("requests.too_many_values", path[:1])
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return left
    if kind is int or kind is Decimal:
        if kind is int and not -_LARGEST < value < _LARGEST:
            raise _too_much("requests.most_digits", path, most=MAX_DIGITS)
        return left
    if len(path) >= MAX_DEPTH:
        raise _too_much("requests.deepest", path[:1], most=MAX_DEPTH)
    if kind is list:
        if len(value) > MAX_LINES:
            raise _too_much("requests.most_entries", path, most=MAX_LINES)
        for number, inner in enumerate(value):
            path.append(str(number))
            left = _left(inner, left, path)
            path.pop()
        return left
    if len(value) > MAX_KEYS:
        raise _too_much("requests.most_fields", path, most=MAX_KEYS)
    for name, inner in value.items():
        if len(name) > MAX_KEY_LENGTH:
            raise _too_much("requests.long_name", path, most=MAX_KEY_LENGTH)
        path.append(name)
        left = _left(inner, left, path)
        path.pop()
    return left


def _too_much(reason: str, path: list[str], **params: Any) -> Refused:
    return Refused(reason, field=".".join(path) or "body", **params)


_KEY_ENDS = (b'":', b" :", b"\n:", b"\t:", b"\r:")


def require_single_keys(raw: bytes, body: Any) -> None:
    """Raises Refused VALIDATION for JSON that names a key of an object twice: two readers might take different ones.

    msgspec keeps the last silently.  Every key has one colon, after its quote or a blank; so a body without duplicates
    has as many as what was read has keys, unless a text looks like one.  Only then, or with a duplicate, is the body
    read once more.  3 us for an order of three lines.
    """
    keys = _keys_in(body)
    if raw.count(b":") != keys and sum(map(raw.count, _KEY_ENDS)) != keys:
        json.loads(raw, object_pairs_hook=_single, parse_int=str, parse_float=str)


def _keys_in(value: Any) -> int:
    if type(value) is dict:
        return len(value) + sum([_keys_in(inner) for inner in value.values() if type(inner) in (dict, list)])
    if type(value) is list:
        return sum([_keys_in(inner) for inner in value if type(inner) in (dict, list)])
    return 0


def _single(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:  # ends at the first that repeats: the body's objects have MAX_KEYS different ones at most
        if name in found:
            raise Refused("requests.twice", field=name[:200])
        found[name] = value
    return found
