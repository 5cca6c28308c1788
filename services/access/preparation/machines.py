"""Accounts of programs: their secrets and tokens."""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from uuid import UUID

from chassis.access.tokens import ACCESS_SECONDS, issue
from chassis.model.middleware import Prepared, Surroundings
from chassis.model.principal import Principal
from contracts.access import (
    AddMachine,
    GetMachineToken,
    RenewMachineSecret,
)
from contracts.errors import Refused
from contracts.people import Person
from contracts.reasons import Why
from services.access import vault
from services.access.domain.roles import Machine
from services.access.preparation.records import GONE, same
from services.access.vault import Vault

wrong_secret = partial(Refused, "access.wrong_secret", field="secret")


@dataclass(frozen=True)
class MachineSecret:
    """A machine account's secret and its mark."""

    secret: str = field(repr=False)
    mark: str


def check_new_machine(command: AddMachine, surroundings: Surroundings) -> Prepared:
    """Raises Refused DUPLICATE for the name of an account of a former release: those have not claimed theirs."""
    holder = surroundings.directory.machine_named(command.name)
    if holder not in (None, command.machine_id):
        raise Refused("records.taken", what=Why("access.machine_name", name=command.name), holder=holder, field="name")
    return new_machine_secret(command, surroundings)


def new_machine_secret(command: AddMachine | RenewMachineSecret, surroundings: Surroundings) -> Prepared:
    secret = vault.new_token()
    return Prepared(command, MachineSecret(secret, _machine_mark(command.machine_id, secret, surroundings)))


def tell_machine_secret(body: dict[str, Any], facts: MachineSecret, _: Surroundings) -> dict[str, Any]:
    return {"id": body["id"], "version": body["version"], "name": body["name"], "secret": facts.secret}


def check_machine(command: GetMachineToken, surroundings: Surroundings) -> Prepared:
    machine = surroundings.records.load(Machine, command.machine_id)
    mark = _machine_mark(command.machine_id, command.secret, surroundings)
    if machine is None or not same(mark, machine.mark):
        raise wrong_secret()
    return Prepared(replace(command, secret=GONE), mark, Person(user_id=machine.id, name=machine.name))


def hand_out_machine_token(body: dict[str, Any], _: str, surroundings: Surroundings) -> dict[str, Any]:
    principal = Principal(UUID(body["id"]), body["name"], frozenset(), epoch=body["epoch"], machine=True)
    return {
        "id": body["id"],
        "version": body["version"],
        "access_token": issue(surroundings.config, principal),
        "token_type": "Bearer",
        "expires_in": ACCESS_SECONDS,
    }


def _machine_mark(machine_id: UUID, secret: str, surroundings: Surroundings) -> str:
    return Vault.of(surroundings.config).mark("machine", str(machine_id), secret)
