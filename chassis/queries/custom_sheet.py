"""The columns of a file for the fields that a company has added: they tell what choices and people are called."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from chassis.model.custom_columns import field_type
from chassis.model.principal import Principal
from chassis.model.row_fields import FieldType
from chassis.model.wording import Wording
from chassis.queries.exports import Column
from contracts.custom_fields import OWN, CustomField

Say = Callable[[Any], Any]


def columns(fields: Sequence[CustomField], wording: Wording, principal: Principal) -> list[Column]:
    """One column for each field, with its label in a language as its head."""
    found: list[Column] = []
    for one in fields:
        say, type = _saying(one, wording, principal)
        found.append(Column(one.path, type, partial(_value, one.key, say), wording.named(one.label)))
    return found


def _value(key: str, say: Say, row: Mapping[str, Any]) -> Any:
    held = (row.get(OWN) or {}).get(key)
    return None if held is None else say(held)


def _saying(field: CustomField, wording: Wording, principal: Principal) -> tuple[Say, FieldType]:
    """What makes of a value the cell, and what kind of cell that is."""
    if field.type in ("choice", "choices"):
        labels = {one.key: wording.named(one.label) for one in field.choices}
        if field.type == "choice":
            return lambda key: labels.get(key, key), FieldType("text")
        return lambda keys: wording.joined(labels.get(key, key) for key in keys), FieldType("text")
    if field.type == "person":
        return partial(_name, principal), FieldType("text")
    return lambda value: value, field_type(field)


def _name(principal: Principal, id: str) -> str:
    """What a user is called; nobody's id is left out where nobody knows them."""
    person = principal.organisation.person(UUID(id))
    return person.name if person else id
