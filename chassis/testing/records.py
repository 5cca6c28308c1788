"""Records of declared kinds, for tests over all of them."""

from typing import Any, get_origin
from uuid import uuid4

from chassis.documents.samples import sample
from contracts.dictionaries import PREPARED
from contracts.records import OWNER, Field, Kind
from contracts.types import PhoneField


def new_record(kind: Kind) -> dict[str, Any]:
    """What a client sends to enter a record of its own, as JSON: every field is filled, unique ones as nowhere else."""
    asked = {name: value for name, value in sample(kind.create).items() if name not in (kind.key, OWNER)}
    asked |= {name: _unique(kind, name) for name, field in kind.fields.items() if field.rules.unique}
    return asked | {name: _picked(field) for name, field in kind.fields.items() if PREPARED.get(field.rules.dictionary)}


def _picked(field: Field) -> Any:
    code = next(iter(PREPARED[field.rules.dictionary]))
    return [code] if get_origin(field.type) is tuple else code


def _unique(kind: Kind, name: str) -> str:
    number = uuid4().int
    return f"1{number % 10**10:010d}" if kind.fields[name].checked_by is PhoneField else f"{number:x}"
