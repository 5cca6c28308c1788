"""`salestream`: the one command.  Each role of each service starts here.

The api role runs under eventlet, whose patching must come before any other import; hence the imports inside.
"""
# ruff: noqa: PLC0415 - see above

import argparse
import gc
import math
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any
from uuid import UUID

from chassis.foundation.command_line import command_line

ROLES = ("api", "relay", "projector", "saga", "worker")


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Run a command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    gc.disable()  # imports make many objects and no garbage: looking for some costs a tenth of the start
    if options.command == "run" and options.role == "api":
        os.environ.setdefault("PSYCOPG_WAIT_FUNC", "wait_select")  # psycopg's own wait would block all greenlets
        # nameko stands on it; a log of JSON lines begins with none that is no JSON
        warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
        import eventlet

        eventlet.monkey_patch()
    from chassis.run.cli import run_command

    gc.freeze()
    gc.enable()
    return run_command(options)


def _parser() -> argparse.ArgumentParser:
    """The usage is written out where an option takes several values: what follows them would be taken for one more."""
    parser = argparse.ArgumentParser(prog="salestream", description="Salestream: sales orders by events.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = commands.add_parser(
        "run",
        help="run a role (worker: relay, projector and saga in one process)",
        usage="salestream run ROLE [--service NAME ...]",
    )
    run.add_argument("role", choices=ROLES)
    _add_services(run)

    token = commands.add_parser("token", help="issue a test token, taken with TEST_TOKENS=1 only")
    token.add_argument("user", help="a user of deploy/demo_users.toml, or any name together with --roles")
    token.add_argument("--roles", help="roles for a name that is no demo user, e.g. SAL,SUP")
    token.add_argument("--hours", type=_number(8_760), default=8.0, help="how long it is valid (default 8)")

    administrator = commands.add_parser("administrator", help="let somebody in as administrator: the first, or again")
    administrator.add_argument("login", help="the name to sign in with; a new account is issued if there is none")

    mailbox = commands.add_parser("mailbox", help="the codes that were sent, where no provider sends them")
    mailbox.add_argument("to", nargs="?", help="only those for this address or number")

    _add_topics(commands)

    grants = commands.add_parser("grants", help="who may read and write what on Kafka, MongoDB and PostgreSQL")
    grants.add_argument("--apply", action="store_true", help="make Kafka's access rules of it, as its administrator")

    contracts = commands.add_parser("contracts", help="regenerate the documents under contracts/")
    contracts.add_argument("--check", action="store_true", help="write nothing, fail when something would change")

    views = commands.add_parser("views", help="list read models, or rebuild one from event one")
    actions = views.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="each view with its collection and how far it is")
    rebuild = actions.add_parser("rebuild", help="build it beside the live one, compare, switch")
    rebuild.add_argument("name")
    rebuild.add_argument("--compare-only", action="store_true", help="don't switch; exit 1 when they differ")
    rebuild.add_argument("--force", action="store_true", help="switch although documents differ")

    verify = commands.add_parser("verify", help="recompute everything from the event stores and compare")
    _add_services(verify)
    verify.add_argument("--json", action="store_true", help="print the findings as JSON")
    verify.add_argument(
        "--wait",
        type=_number(86_400),
        default=30.0,
        metavar="SECONDS",
        help="how long to wait for what is under way (default 30)",
    )

    audit = commands.add_parser("audit", help="the audit log: recompute its chains, or print their signed heads")
    acts = audit.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = acts.add_parser("verify", help="recompute every chain; exit 1 and name the first broken entry of each")
    _add_services(check)
    check.add_argument("--heads", metavar="FILE", help="signed heads of earlier: shows an end that was cut off")
    head = acts.add_parser("head", help="print where each chain ends, signed: keep it somewhere else")
    _add_services(head)
    head.add_argument("--append", metavar="FILE", help="add it to this file instead")

    persons = commands.add_parser("persons", help="what is known of persons: erase one")
    acts = persons.add_subparsers(dest="action", required=True, metavar="ACTION")
    erase = acts.add_parser("erase", help="destroy the key of a person, for good, and build the views anew")
    erase.add_argument("person", type=_id, help="the id of the customer, user or record")

    files = commands.add_parser("files", help="files that people have put on records")
    acts = files.add_subparsers(dest="action", required=True, metavar="ACTION")
    acts.add_parser("sweep", help="delete those that nobody can reach any more; a worker does it every hour")

    _add_dead_letters(commands)
    return parser


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no id such as 3f2b8c1e-0d4a-4c57-9c0e-5a1b2c3d4e5f") from None


def _add_topics(commands: Any) -> None:
    topics = commands.add_parser(
        "topics", help="create the Kafka topics that do not exist yet; mend those that lack records"
    )
    topics.set_defaults(action="create")
    actions = topics.add_subparsers(metavar="ACTION")
    for name, help in (
        ("create", "create those that do not exist yet (default)"),
        ("check", "what any of them lacks; exit 1 then"),
        ("republish", "make one anew and publish it again from the stores"),
        ("reset", "let whoever reads one begin at its first record"),
    ):
        action = actions.add_parser(name, help=help)
        action.set_defaults(action=name)
        if name in ("republish", "reset"):
            action.add_argument("topic", help="e.g. orders.events")
        if name == "republish":
            action.add_argument("--force", action="store_true", help="also a topic that lacks nothing")


def _add_dead_letters(commands: Any) -> None:
    dlq = commands.add_parser("dlq", help="records set aside: list, show, replay, drop")
    actions = dlq.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("groups", help="the consumer groups there are")
    for name, help in (
        ("list", "each record that is set aside, and why"),
        ("show", "the same with their content"),
        ("replay", "hand them in again"),
        ("drop", "give them up"),
    ):
        usage = f"salestream dlq {name} GROUP [--number NUMBER ...]"
        action = actions.add_parser(name, help=help, usage=usage)
        action.add_argument("group", help="the consumer group, e.g. reports")
        action.add_argument("--number", type=int, nargs="+", help="these records (default: all of the group)")


def _add_services(command: argparse.ArgumentParser) -> None:
    command.add_argument("--service", nargs="+", default=[], metavar="NAME", help="only these services (default: all)")


def _number(most: float) -> Callable[[str], float]:
    """What reads a number from 0 to `most`."""

    def read(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not 0 <= number <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to {most:,}")
        return number

    return read


if __name__ == "__main__":
    sys.exit(main())
