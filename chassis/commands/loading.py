"""What a caller sent becomes a valid command."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from chassis.commands.idempotency import command_id_of
from chassis.model.principal import Principal
from chassis.writer.request import made_id
from contracts.declare import CommandSpec
from contracts.errors import Refused
from contracts.ids import RANDOM_UUIDS
from contracts.schemas import load


def load_command(
    spec: CommandSpec,
    data: Mapping[str, Any],
    principal: Principal,
    key: str | None,
    secret_print: str = "",
    *,
    currency: str,
) -> Any:
    """The validated command; money in it that names no currency is in `currency`.

    A new record's id must be a random UUID: named ones belong to the service itself.  With an Idempotency-Key the id
    that a caller leaves out follows from the key, so that a repeat is the same command.
    """
    if spec.creates and key is not None and data.get(spec.key) is None:
        data = {**data, spec.key: str(made_id(spec, command_id_of(principal, key, secret_print)))}
    command: Any = load(spec.cls, data, currency=currency)
    id = getattr(command, spec.key)
    if spec.creates and (not isinstance(id, UUID) or id.version not in RANDOM_UUIDS):
        raise Refused("records.random_id", field=spec.key)
    return command
