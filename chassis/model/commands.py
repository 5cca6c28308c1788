"""Commands that one service sends to another: stored as an internal fact, published by the relay."""

from typing import Any
from uuid import NAMESPACE_URL, uuid5

import msgspec

from chassis.model.aggregates import internal_event
from contracts.declare import REGISTRY
from contracts.schemas import encode
from contracts.types import Text


@internal_event("chassis.command-sent")
class CommandSent:
    """A command leaves for `service`.  Its id is made from what caused it, so sending again is the same command."""

    service: Text
    command: Text
    command_id: Text
    key: Text
    body: msgspec.Raw


def command_sent(command: Any, *, cause: str) -> CommandSent:
    """The fact that `command` is sent because of `cause` (a text that is unique for this sending)."""
    spec = REGISTRY.command_of(type(command))
    return CommandSent(
        service=spec.service,
        command=spec.name,
        command_id=str(uuid5(NAMESPACE_URL, f"salestream:command:{cause}:{spec.name}")),
        key=str(getattr(command, spec.key)),
        body=msgspec.Raw(encode(command)),
    )
