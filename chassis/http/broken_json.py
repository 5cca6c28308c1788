"""Where JSON breaks off, and what is expected there: in words of ours, by line and column as an editor counts them."""

import json
import re
from typing import NoReturn

import msgspec

from contracts.errors import Refused
from contracts.reasons import Why

_BYTE = re.compile(r"\(byte ([0-9]+)\)")
_VALUE = Why("requests.json_value")
_NAME = Why("requests.json_name")
_ESCAPE = Why("requests.json_escape")
_EXPECTED = {
    "Expecting property name": _NAME,
    "Illegal trailing comma before end of object": _NAME,
    "Expecting ':'": Why("requests.json_colon"),
    "Expecting ','": Why("requests.json_comma"),
    "Extra data": Why("requests.json_after"),
    "Unterminated string": Why("requests.json_quote"),
    "Invalid control character": Why("requests.json_control"),
    "Invalid \\": _ESCAPE,
}
"""What is expected, by how Python's reader begins to say what it found."""


def broken(raw: bytes, error: msgspec.DecodeError | UnicodeDecodeError) -> Refused:
    """The refusal of a body that could not be read.  The quick reader has said why, a second one says where."""
    if isinstance(error, msgspec.ValidationError):  # it is JSON, with a number that no machine holds
        return Refused("requests.out_of_bounds", field="body")
    try:
        text = raw.decode()
    except UnicodeDecodeError as undecoded:
        return _at(raw[: undecoded.start].decode(), Why("requests.json_utf8"))
    try:
        json.loads(text, parse_int=str, parse_float=str, parse_constant=_refuse)
        expected = _ESCAPE  # half of a pair of escapes, which Python takes
    except json.JSONDecodeError as found:
        if found.pos >= len(text.rstrip()):
            return _at(text, Why("requests.json_end"))
        known = (why for said, why in _EXPECTED.items() if found.msg.startswith(said))
        return _at(text[: found.pos], next(known, _VALUE))
    except (ValueError, RecursionError):
        expected = _VALUE  # NaN and the like, of which Python does not say where they are
    byte = _BYTE.search(str(error))
    return _at(raw[: int(byte[1])].decode(errors="ignore") if byte else text, expected)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _at(before: str, expected: Why) -> Refused:
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return Refused("requests.json", line=line, column=column, expected=expected, field="body")
