"""Which fields of an event a consumer reads, found in its source: removing one then fails a test."""

import ast
import functools
import inspect
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from types import MethodType
from typing import Any

from contracts.declare import ContractError


class BreakingChange(ContractError):
    """A contract changed in a way that breaks those who speak a published version; the message says what to do."""


def fields_read(handler: Callable[..., Any], event: type) -> list[str]:
    """The fields of `event` that a handler's source reads; all of them when the event is passed on or kept whole.

    The event is the parameter annotated with its class, else the one called `fact` or `event`, else the last.
    Raises BreakingChange when the handler reads a field that the event does not have.
    """
    names = [item.name for item in fields(event)]
    found = [_attributes(source, _event_parameter(source, event)) for source in _sources(handler)]
    if not found or None in found:
        return names
    read = set().union(*(attributes for attributes in found if attributes is not None))
    if unknown := sorted(name for name in read if not hasattr(event, name) and name not in names):
        raise BreakingChange(f"{handler!r} reads {', '.join(unknown)} of {event.__name__}, which has no such field")
    return [name for name in names if name in read]


Source = ast.FunctionDef | ast.Lambda


def _sources(handler: Callable[..., Any]) -> list[Source]:
    """The syntax trees a function may come from: several only for like lambdas on one line."""
    while isinstance(handler, (functools.partial, MethodType)):
        handler = handler.func if isinstance(handler, functools.partial) else handler.__func__
    code = getattr(inspect.unwrap(handler), "__code__", None)
    if code is None or not Path(code.co_filename).is_file():
        return []
    wanted = (code.co_firstlineno, code.co_varnames[: code.co_argcount])
    return [node for node in _functions(code.co_filename) if (_first_line(node), _parameters(node)) == wanted]


@functools.cache
def _functions(filename: str) -> list[Source]:
    """Every function of a file: for each of its handlers they are looked through."""
    tree = ast.parse(Path(filename).read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.Lambda))]


def _first_line(node: Source) -> int:
    decorators = node.decorator_list if isinstance(node, ast.FunctionDef) else []
    return decorators[0].lineno if decorators else node.lineno


def _parameters(node: Source) -> tuple[str, ...]:
    return tuple(argument.arg for argument in (*node.args.posonlyargs, *node.args.args))


def _event_parameter(node: Source, event: type) -> str:
    arguments = [*node.args.posonlyargs, *node.args.args]
    for argument in arguments:
        if argument.annotation and re.search(rf"\b{event.__name__}\b", ast.unparse(argument.annotation)):
            return argument.arg
    names = _parameters(node)
    return next((name for name in ("fact", "event") if name in names), names[-1] if names else "")


def _attributes(node: Source, parameter: str) -> set[str] | None:
    """The attributes taken of a parameter, or None when it is used in any other way."""
    body = node.body if isinstance(node.body, list) else [node.body]
    inside = [inner for statement in body for inner in ast.walk(statement)]
    taken = [
        inner
        for inner in inside
        if isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name) and inner.value.id == parameter
    ]
    uses = sum(isinstance(inner, ast.Name) and inner.id == parameter for inner in inside)
    return {inner.attr for inner in taken} if uses == len(taken) else None
