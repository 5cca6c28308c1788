"""The columns that a company has added to the list of a kind of record: asked about as every other one (ADR 0042).

A list is declared once, and these are known only when it is read.  So a reader extends its view by them: what may be
asked of a column, sorted and counted by it, follows from its type as it does everywhere.
"""

from collections.abc import Sequence
from dataclasses import replace

from chassis.model.custom_rights import made_of
from chassis.model.row_fields import FieldType, currency_of
from chassis.model.views import View
from contracts.custom_fields import CustomField


def extended(view: View, fields: Sequence[CustomField]) -> View:
    """A view with the columns of these fields; itself where there are none."""
    if not fields:
        return view
    return replace(view, further={one.path: field_type(one) for one in fields})


def field_type(field: CustomField) -> FieldType:
    """The kind of a column.  Choices that were taken away are among its choices: rows have them."""
    choices = FieldType("choice", choices=tuple(one.key for one in field.choices))
    return {
        "text": FieldType("text"),
        "number": FieldType("amount"),
        "formula": FieldType("amount", currencies=tuple(map(currency_of, made_of(field)))),
        "day": FieldType("day"),
        "choice": choices,
        "choices": FieldType("list", of=choices),
        "person": FieldType("id"),
        "file": FieldType("id"),
    }[field.type]
