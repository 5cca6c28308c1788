"""Formulas of fields that a company adds (`contracts.formulas`), worked out by MongoDB when rows are read.

Not when they are projected: a projector knows no definitions, and a changed formula would build every list anew.  As
the database works them out, lists are sorted, filtered and added up by them as by what is stored.
"""

from collections.abc import Collection, Sequence
from typing import Any

from bson import Decimal128

from chassis.queries import amounts
from contracts.custom_fields import OWN, CustomField
from contracts.formulas import Named, Node, Number, parse

DECIMALS = 8
"""To so many a result is rounded."""
_OPERATORS = {"+": "$add", "-": "$subtract", "*": "$multiply", "/": "$divide"}
Document = dict[str, Any]


def stages(fields: Sequence[CustomField], only: Collection[str] | None = None) -> list[Document]:
    """The stage that works out the formulas among some fields, or `only` those that queries call so."""
    found = {
        one.path: {"$round": [_expression(parse(one.formula)), DECIMALS]}
        for one in fields
        if one.is_worked_out and (only is None or one.path in only)
    }
    return [{"$set": found}] if found else []


def _expression(node: Node) -> Any:
    """What MongoDB works out; nothing where a part has no value, and nothing for what is divided by 0."""
    if isinstance(node, Number):
        return Decimal128(node.value)
    if isinstance(node, Named):
        return {"$toDecimal": f"${node.path}"}
    left, right = _expression(node.left), _expression(node.right)
    if node.operator != "/":
        return {_OPERATORS[node.operator]: [left, right]}
    quotient = {"$cond": [{"$eq": ["$$by", Decimal128("0")]}, None, {"$divide": [left, "$$by"]}]}
    return {"$let": {"vars": {"by": right}, "in": quotient}}


def tidied(document: Document, fields: Sequence[CustomField]) -> Document:
    """A row whose results are written plainly: 12.5, where MongoDB has 12.50000000 or 1.25E+1."""
    for one in fields:
        own = document.get(OWN) or {}
        if one.is_worked_out and isinstance(own.get(one.key), Decimal128):
            own[one.key] = amounts.tidied(own[one.key])
    return document
