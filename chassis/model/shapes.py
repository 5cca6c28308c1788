"""What is stored has the shape of the class it was made of, and a release may have changed that class."""

from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

import msgspec


def shape(kind: Any) -> str:
    """A type in words, with the fields of every record in it, to the innermost."""
    return _shape(kind, ())


@cache
def _shape(kind: Any, within: tuple[Any, ...]) -> str:
    if kind not in within and (names := _fields(kind)):
        types = get_type_hints(kind)
        return f"{kind.__name__}({';'.join(f'{name}:{_shape(types[name], (*within, kind))}' for name in names)})"
    if parts := get_args(kind):
        return f"{get_origin(kind)}[{','.join(_shape(part, within) for part in parts)}]"
    return repr(kind)


def _fields(kind: Any) -> list[str]:
    if is_dataclass(kind):
        return [item.name for item in fields(kind)]
    is_struct = isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    return [item.name for item in msgspec.structs.fields(kind)] if is_struct else []
