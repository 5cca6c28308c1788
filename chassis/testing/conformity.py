"""Whether what was stored keeps to the published schemas (`contracts/schemas`): for tests, which check every event.

A command may accept nothing that its events' schemas refuse; readers elsewhere check with these very files.
"""

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

import contracts
from chassis.model.aggregates import internal_name
from chassis.model.commands import CommandSent
from contracts.declare import REGISTRY
from contracts.schemas import decode

SCHEMAS = Path(str(contracts.__file__)).parent / "schemas"
COMMAND_SENT = internal_name(CommandSent)


class Stored(Protocol):
    """An event as a store holds it."""

    @property
    def type(self) -> str: ...

    @property
    def data(self) -> Any: ...


@cache
def _validator(name: str) -> Draft202012Validator:
    schema = json.loads((SCHEMAS / f"{name}.json").read_text())
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


def violations(events: Iterable[Stored]) -> list[str]:
    """What in these events, and in the commands sent by them, breaks the schema that was published for it."""
    found: list[str] = []
    for event in events:
        name, body = event.type, bytes(event.data)
        if name == COMMAND_SENT:
            sent = decode(CommandSent, body)
            name, body = sent.command, bytes(sent.body)
        elif name not in REGISTRY.events:
            continue
        for error in _validator(name).iter_errors(json.loads(body)):
            found.append(f"{name}: {'.'.join(map(str, error.path))}: {error.message[:300]}")
    return found
