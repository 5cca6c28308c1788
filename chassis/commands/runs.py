"""Many changes of records that were sent at once, a run, which can be taken back together (CUS-10, ADR 0064).

A run has an id: the one that its sender gives it, or a new one.  Each of its commands is remembered under a key made
of it, as one that is sent with an Idempotency-Key: so a run that is sent again is carried out once, and what became of
each is known for as long as results are.
"""

from collections.abc import Sequence

from chassis.commands.idempotency import command_id_of
from chassis.model.principal import Principal
from chassis.writer.request import Answer
from chassis.writer.writer import Writer
from contracts.declare import REGISTRY, CommandSpec
from contracts.records import KINDS, Kind

RUN = "run"
"""The id of a run, in what is sent and in its answer."""
RUN_IN_PATH = "run_id"


def kind_changed(spec: CommandSpec) -> Kind | None:
    """The kind of record whose data a command changes, so that they can be put back; None for any other command."""
    return next((kind for kind in KINDS.values() if spec.cls in (kind.edit, kind.tag, kind.revert)), None)


def reverting(spec: CommandSpec) -> CommandSpec | None:
    """The command that puts back what a command has changed; None where none does."""
    kind = kind_changed(spec)
    return REGISTRY.command_of(kind.revert) if kind else None


def key_of(spec: CommandSpec, run: str, number: int) -> str:
    """The key under which a command of a run is remembered, by its place there."""
    return f"bulk/{spec.name}/{run}/{number}"


def done_in(writer: Writer, spec: CommandSpec, caller: Principal, run: str, most: int) -> Sequence[Answer]:
    """The answers of the commands of somebody's run that were carried out, in their order; of at most so many."""
    ids = [command_id_of(caller, key_of(spec, run, number)) for number in range(most)]
    found = writer.all_remembered(ids)
    return [found[id] for id in ids if id in found]
