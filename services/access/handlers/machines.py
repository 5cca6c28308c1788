"""Accounts of programs."""

from functools import partial

from chassis.model.service import Claim, Work, hold
from contracts.access import (
    AddMachine,
    DeleteMachine,
    GetMachineToken,
    NameResponsible,
    RenewMachineSecret,
)
from contracts.reasons import Why
from services.access.domain.roles import Machine
from services.access.handlers.records import user_of
from services.access.preparation.machines import wrong_secret
from services.access.preparation.records import same


def add_machine(command: AddMachine, work: Work) -> Machine:
    machine = work.new(Machine, command.machine_id, what="machine account", field="machine_id")
    if command.responsible_id:
        user_of(work, command.responsible_id, "responsible_id").require_there("responsible_id")
    machine.add(command, command.responsible_id or work.context.owner.user_id, work.prepared.mark, work.context)
    hold(
        work, machine.id, [Claim(machine.name_value(), partial(Why, "access.machine_name", name=machine.name), "name")]
    )
    return machine


def delete_machine(command: DeleteMachine, work: Work) -> Machine:
    machine = work.get(Machine, command.machine_id, what="machine account", field="machine_id")
    machine.delete(command, work.context)
    hold(work, machine.id, [], [machine.name_value()])
    return machine


def name_responsible(command: NameResponsible, work: Work) -> Machine:
    machine = work.get(Machine, command.machine_id, what="machine account", field="machine_id")
    user_of(work, command.responsible_id, "responsible_id").require_there("responsible_id")
    machine.name_responsible(command, work.context)
    return machine


def renew_machine_secret(command: RenewMachineSecret, work: Work) -> Machine:
    machine = work.get(Machine, command.machine_id, what="machine account", field="machine_id")
    machine.renew(work.prepared.mark, work.context)
    return machine


def get_machine_token(command: GetMachineToken, work: Work) -> Machine:
    machine = work.get(Machine, command.machine_id, what="machine account", field="machine_id")
    if not same(work.prepared, machine.mark):  # it was given another secret, or deleted, a moment ago
        raise wrong_secret()
    return machine
