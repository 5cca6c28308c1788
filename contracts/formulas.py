"""Formulas of fields that a company adds: arithmetic over the numbers of a record (CFG-01).

    own.price * own.quantity * (1 - own.discount / 100)

Numbers, names of fields, + - * / and brackets, and nothing else.  Python's own parser reads it, so precedence is what
everybody expects; nothing of it is ever run as Python.  It is worked out by MongoDB when rows are read
(`chassis.queries.formulas`), so lists sort and are filtered by it.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from contracts.custom_fields import OWN
from contracts.types import PLAIN_DECIMAL

LONGEST = 500
"""Characters of a formula."""
MOST_OPERATIONS = 20
"""So many operations a formula has at most: MongoDB bounds how deep an expression is nested."""
LONGEST_NUMBER = 30
Operator = Literal["+", "-", "*", "/"]
_OPERATORS: dict[type[ast.operator], Operator] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}


@dataclass(frozen=True)
class Number:
    """A number that is written in a formula."""

    value: Decimal


@dataclass(frozen=True)
class Named:
    """The number that a field of the record has: `own.price`, or one that the kind itself has, `turnover`."""

    path: str


@dataclass(frozen=True)
class Operation:
    """Two parts and what is done with them."""

    operator: Operator
    left: "Node"
    right: "Node"


Node = Number | Named | Operation


def parse(text: str) -> Node:
    """What a formula says.  Raises ValueError for what is none."""
    if len(text) > LONGEST:
        raise ValueError("too long")
    try:
        body = ast.parse(text.strip(), mode="eval").body
        found = _node(body, text.strip())
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError("no formula") from error
    if _operations(found) > MOST_OPERATIONS:
        raise ValueError("too many operations")
    return found


def paths(node: Node) -> Iterator[str]:
    """The fields that a formula is made of."""
    if isinstance(node, Named):
        yield node.path
    elif isinstance(node, Operation):
        yield from paths(node.left)
        yield from paths(node.right)


def _operations(node: Node) -> int:
    return 1 + _operations(node.left) + _operations(node.right) if isinstance(node, Operation) else 0


def _node(found: ast.expr, text: str) -> Node:
    match found:
        case ast.Constant():
            written = ast.get_source_segment(text, found) or ""
            if len(written) > LONGEST_NUMBER or not PLAIN_DECIMAL.fullmatch(written):
                raise ValueError("no plain number")
            return Number(Decimal(written))
        case ast.Name(id=name):
            return Named(name)
        case ast.Attribute(value=ast.Name(id=outer), attr=key) if outer == OWN:
            return Named(f"{OWN}.{key}")
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return Operation("-", Number(Decimal(0)), _node(inner, text))
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
            return Operation(_OPERATORS[type(operator)], _node(left, text), _node(right, text))
    raise ValueError("no part of a formula")
