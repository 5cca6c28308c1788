"""Formulas of fields that a company adds (`contracts.formulas`), worked out by MongoDB when rows are read.

Not when they are projected: a projector knows no definitions, and a changed formula would build every list anew.  As
the database works them out, lists are sorted, filtered and added up by them as by what is stored.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any

from bson import Decimal128

from chassis.model.row_fields import currency_of
from chassis.queries import amounts
from contracts.custom_fields import OWN, CustomField
from contracts.formulas import Choice, Comparison, Days, Named, Node, Number, Operation, Rounded, numbers, parse

DECIMALS = 8
"""To so many a result is rounded."""
_OPERATORS = {"+": "$add", "-": "$subtract", "*": "$multiply", "/": "$divide"}
_COMPARISONS: dict[Comparison, str] = {"<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte", "==": "$eq", "!=": "$ne"}
Document = dict[str, Any]


def stages(fields: Sequence[CustomField], only: Collection[str] | None = None) -> list[Document]:
    """The stage that works out the formulas among some fields, or `only` those that queries call so."""
    found = {
        one.path: _of_one_currency(parse(one.formula))
        for one in fields
        if one.is_worked_out and (only is None or one.path in only)
    }
    return [{"$set": found}] if found else []


def _of_one_currency(node: Node) -> Any:
    """What a formula comes to; nothing where it is made of amounts in several currencies."""
    result = {"$round": [_expression(node), DECIMALS]}
    declared = [path for path in dict.fromkeys(numbers(node)) if not path.startswith(f"{OWN}.")]
    currencies = [f"${currency_of(path)}" for path in declared]
    if len(currencies) < 2:
        return result
    several = {"$gt": [{"$size": {"$setDifference": [currencies, [None]]}}, 1]}
    return {"$cond": [several, None, result]}


def _expression(node: Node) -> Any:
    """What MongoDB works out; nothing where a part has no value, and nothing for what is divided by 0."""
    return _MADE[type(node)](node)


def _operation(node: Operation) -> Document:
    left, right = _expression(node.left), _expression(node.right)
    if node.operator != "/":
        return {_OPERATORS[node.operator]: [left, right]}
    quotient = {"$cond": [{"$eq": ["$$by", Decimal128("0")]}, None, {"$divide": [left, "$$by"]}]}
    return {"$let": {"vars": {"by": right}, "in": quotient}}


def _days(node: Days) -> Document:
    ends = {"startDate": {"$toDate": f"${node.start}"}, "endDate": {"$toDate": f"${node.end}"}}
    return {"$toDecimal": {"$dateDiff": {**ends, "unit": "day"}}}


def _rounded(node: Rounded) -> Document:
    """A half goes away from 0, as people round; MongoDB's own rounding brings it to the even number."""
    half = Decimal128(Decimal(5).scaleb(-node.decimals - 1))
    below, above = {"$subtract": ["$$part", half]}, {"$add": ["$$part", half]}
    away = {"$cond": [{"$lt": ["$$part", Decimal128("0")]}, below, above]}
    return {"$let": {"vars": {"part": _expression(node.part)}, "in": {"$trunc": [away, node.decimals]}}}


def _choice(node: Choice) -> Document:
    """Nothing where one of those that are compared has no value: for MongoDB that is less than any number."""
    is_unknown = {"$or": [{"$eq": [{"$ifNull": [part, None]}, None]} for part in ("$$left", "$$right")]}
    compared = {_COMPARISONS[node.comparison]: ["$$left", "$$right"]}
    # what is chosen from stands outside: its parts may have names of their own for what they are made of
    chosen = {"$cond": [is_unknown, "none", {"$cond": [compared, "then", "otherwise"]}]}
    which = {"$let": {"vars": {"left": _expression(node.left), "right": _expression(node.right)}, "in": chosen}}
    branches = [
        {"case": {"$eq": ["$$which", "then"]}, "then": _expression(node.then)},
        {"case": {"$eq": ["$$which", "otherwise"]}, "then": _expression(node.otherwise)},
    ]
    return {"$let": {"vars": {"which": which}, "in": {"$switch": {"branches": branches, "default": None}}}}


_MADE: Mapping[type, Callable[[Any], Any]] = {
    Number: lambda node: Decimal128(node.value),
    Named: lambda node: {"$toDecimal": f"${node.path}"},
    Operation: _operation,
    Rounded: _rounded,
    Days: _days,
    Choice: _choice,
}


def tidied(document: Document, fields: Sequence[CustomField]) -> Document:
    """A row whose results are written plainly: 12.5, where MongoDB has 12.50000000 or 1.25E+1."""
    for one in fields:
        own = document.get(OWN) or {}
        if one.is_worked_out and isinstance(own.get(one.key), Decimal128):
            own[one.key] = amounts.tidied(own[one.key])
    return document
