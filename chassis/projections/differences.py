"""What is told of two documents of a view that should be the same.

Operators read it on a terminal, in logs and over HTTP, and it is kept for longer than the documents.  So it names every
field that differs, and shows the values of those only that neither tell of a person (who may be erased meanwhile,
CPL-01) nor need a right of their own (SEC-18).
"""

from collections.abc import Mapping
from datetime import datetime
from types import NoneType
from typing import Any

from chassis.model.views import View
from contracts.permissions import FIELD_RIGHTS

Document = Mapping[str, Any]

SHOWN_KINDS = frozenset({"id", "choice", "flag", "whole", "moment", "day"})
"""What a person can't be known by: a text, a list and an object may hold anything, an amount may be a cost."""


def differing_fields(view: View, one: Document, other: Document, then: str) -> str:
    """The fields in which two documents differ: `status is 'OPEN', now 'PAID'; name differs`, where `then` is "now"."""
    names = sorted(name for name in {*one, *other} if one.get(name) != other.get(name))
    return "; ".join(_told(view, name, one.get(name), other.get(name), then) for name in names)


def _told(view: View, name: str, value: Any, other: Any, then: str) -> str:
    if _is_shown(view, name, value) and _is_shown(view, name, other):
        return f"{name} is {value!r}, {then} {other!r}"
    return f"{name} differs"


def _is_shown(view: View, name: str, value: Any) -> bool:
    if name in FIELD_RIGHTS or name in view.hidden or name in view.personal:
        return False
    if name in view.types:
        return view.types[name].kind in SHOWN_KINDS
    return isinstance(value, NoneType | bool | int | datetime)
