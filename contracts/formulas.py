"""Formulas of fields that a company adds: what is worked out of the numbers and days of a record (CFG-01).

    own.price * own.quantity * (1 - own.discount / 100)
    ROUND(own.total / DAYS(own.until, own.since), 2)
    IF(own.quantity >= 100, own.price * 0.9, own.price)

Numbers, names of fields, + - * / and brackets, and three functions as spreadsheets have them: ROUND to so many
decimals, a half away from 0; DAYS from the second day to the first; IF a comparison is so, this, else that.
Python's own parser reads it, so precedence is what everybody expects; nothing of it is ever run as Python.  It is
worked out by MongoDB when rows are read (`chassis.queries.formulas`), so lists sort and are filtered by it.  Signs may
be as wide as a Chinese character, and those of a calculator.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from contracts.custom_fields import OWN
from contracts.text import plain_form
from contracts.types import PLAIN_DECIMAL

LONGEST = 500
"""Characters of a formula."""
MOST_OPERATIONS = 20
"""So many operations a formula has at most: MongoDB bounds how deep an expression is nested."""
MOST_DECIMALS = 8
LONGEST_NUMBER = 30
Operator = Literal["+", "-", "*", "/"]
Comparison = Literal["<", "<=", ">", ">=", "==", "!="]
_OPERATORS: dict[type[ast.operator], Operator] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_COMPARISONS: dict[type[ast.cmpop], Comparison] = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip
_NO_WORD = "_"
"""Before the key of a field while a formula is read: Python takes no word of its own, such as `from`, for a name."""
_OWN_KEY = re.compile(rf"\b{OWN}\.(?=\w)")
_SIGNS = {ord("\u00d7"): "*", ord("\u00f7"): "/"}
_IF = re.compile(r"\bif(?=\s*\()", re.IGNORECASE)


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


@dataclass(frozen=True)
class Rounded:
    """A part, rounded to so many decimals."""

    part: "Node"
    decimals: int


@dataclass(frozen=True)
class Days:
    """How many days there are from `start` to `end`, the paths of fields that have days; below 0 where it is later."""

    end: str
    start: str


@dataclass(frozen=True)
class Choice:
    """One part where a comparison of two others is so, else another one."""

    comparison: Comparison
    left: "Node"
    right: "Node"
    then: "Node"
    otherwise: "Node"


Node = Number | Named | Operation | Rounded | Days | Choice


def parse(text: str) -> Node:
    """What a formula says.  Raises ValueError for what is none."""
    if len(text) > LONGEST:
        raise ValueError("too long")
    plain = plain_form(text).translate(_SIGNS)
    if "#" in plain:
        raise ValueError("Python reads nothing of what stands behind it")
    read = _IF.sub("IF", _OWN_KEY.sub(rf"\g<0>{_NO_WORD}", plain))
    try:
        found = _node(ast.parse(read, mode="eval").body, read)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError("no formula") from error
    if _operations(found) > MOST_OPERATIONS:
        raise ValueError("too many operations")
    return found


def paths(node: Node) -> Iterator[str]:
    """The fields that a formula is made of."""
    yield from numbers(node)
    yield from days(node)


def numbers(node: Node) -> Iterator[str]:
    """Those of which it takes the number."""
    if isinstance(node, Named):
        yield node.path
    for part in _parts(node):
        yield from numbers(part)


def days(node: Node) -> Iterator[str]:
    """Those of which it takes the day."""
    if isinstance(node, Days):
        yield from (node.end, node.start)
    for part in _parts(node):
        yield from days(part)


def _parts(node: Node) -> tuple[Node, ...]:
    match node:
        case Operation():
            return node.left, node.right
        case Rounded():
            return (node.part,)
        case Choice():
            return node.left, node.right, node.then, node.otherwise
    return ()


def _operations(node: Node) -> int:
    own = 0 if isinstance(node, Number | Named) else 1
    return own + sum(map(_operations, _parts(node)))


def _node(found: ast.expr, text: str) -> Node:
    match found:
        case ast.Constant():
            return Number(_number(found, text))
        case ast.Name() | ast.Attribute():
            return Named(_path(found))
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return Operation("-", Number(Decimal(0)), _node(inner, text))
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
            return Operation(_OPERATORS[type(operator)], _node(left, text), _node(right, text))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            return _function(name.upper(), args, text)
    raise ValueError("no part of a formula")


def _function(name: str, args: list[ast.expr], text: str) -> Node:
    match name, args:
        case "ROUND", [part]:
            return Rounded(_node(part, text), 0)
        case "ROUND", [part, ast.Constant() as decimals]:
            places = _number(decimals, text)
            if places != int(places) or not 0 <= places <= MOST_DECIMALS:
                raise ValueError("no number of decimals")
            return Rounded(_node(part, text), int(places))
        case "DAYS", [end, start]:
            return Days(_path(end), _path(start))
        case "IF", [ast.Compare(left=left, ops=[how], comparators=[right]), then, otherwise] if (
            type(how) in _COMPARISONS
        ):
            parts = (_node(part, text) for part in (left, right, then, otherwise))
            return Choice(_COMPARISONS[type(how)], *parts)
    raise ValueError("no function of a formula")


def _path(found: ast.expr) -> str:
    match found:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=ast.Name(id=outer), attr=key) if outer == OWN:
            return f"{OWN}.{key.removeprefix(_NO_WORD)}"
    raise ValueError("no name of a field")


def _number(found: ast.Constant, text: str) -> Decimal:
    written = ast.get_source_segment(text, found) or ""
    if len(written) > LONGEST_NUMBER or not PLAIN_DECIMAL.fullmatch(written):
        raise ValueError("no plain number")
    return Decimal(written)
