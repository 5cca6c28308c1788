"""What a field says of a value that it does not take: what may stand there, never only that this may not.

They take the place of marshmallow's own messages in every schema (`contracts.schemas`), by the class they are of.
A class of `contracts.types` that can say more says it itself, in its `default_error_messages`.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from marshmallow import fields

_NUMBER = "Must be a number such as 12.50."
_MOMENT = "Must be a moment with its zone such as 2026-01-31T08:00:00Z."
_DAY = "Must be a day of the calendar such as 2026-01-31."
AN_OBJECT = "Must be an object: { and }, with the names of fields and their values between them."
MESSAGES: Mapping[type, Mapping[str, str]] = {
    fields.Field: {
        "required": "Must be given; it can't be left out.",
        "null": "May not be null: it must have a value.",
        "validator_failed": "Is not one of the values that it may have.",
    },
    fields.String: {"invalid": "Must be a text, in quotes.", "invalid_utf8": "Must be a text in UTF-8."},
    fields.UUID: {"invalid_uuid": "Must be an id such as 3f2b8c1e-0d4a-4c57-9c0e-5a1b2c3d4e5f."},
    fields.Number: {"invalid": _NUMBER, "too_large": "Is too large a number."},
    fields.Integer: {"invalid": "Must be a whole number such as 3, without quotes."},
    fields.Decimal: {"special": _NUMBER},
    fields.Boolean: {"invalid": "Must be true or false, without quotes."},
    fields.DateTime: {"invalid": _MOMENT, "invalid_awareness": _MOMENT, "format": _MOMENT},
    fields.Date: {"invalid": _DAY, "invalid_awareness": _DAY, "format": _DAY},
    fields.List: {"invalid": "Must be a list: [ and ], with the entries between them."},
    fields.Nested: {"type": AN_OBJECT},
}
SHOWN = 20
"""So many names of fields a message tells at most."""
CLOSE = 3
COMPARED = 60
"""So many characters of a name are compared with those there are."""


def explain(field: "fields.Field[Any]") -> None:
    """Let a field, and the entries of a list, say what may stand there."""
    told: dict[str, str] = {}
    for cls in reversed(type(field).__mro__):
        told |= MESSAGES.get(cls, {} if cls.__module__.startswith("marshmallow") else _own(cls))
    field.error_messages = {**field.error_messages, **told}
    if isinstance(field, fields.List):
        explain(field.inner)


def _own(cls: type) -> dict[str, str]:
    own: dict[str, str] = vars(cls).get("default_error_messages", {})
    return own


def unknown_field(name: str, known: Iterable[str]) -> str:
    """What to tell of a name that no field has: the fields whose names are close to it, else those there are."""
    there = sorted(known)
    if close := get_close_matches(name[:COMPARED].lower(), there, CLOSE):
        return f"Unknown field; did you mean {' or '.join(close)}?"
    more = f" and {len(there) - SHOWN} more" if len(there) > SHOWN else ""
    return f"Unknown field; there are {', '.join(there[:SHOWN])}{more}." if there else "Unknown field; there are none."
