"""`salestream`: the one command.  Each role of each service starts here.

The api role runs under eventlet, whose patching must come before any other import; hence the imports inside.
"""
# ruff: noqa: PLC0415 - see above

import argparse
import gc
import os
import sys
import warnings

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
    parser = argparse.ArgumentParser(prog="salestream", description="Salestream: sales orders by events.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run a role (worker: relay, projector and saga in one process)")
    run.add_argument("role", choices=ROLES)
    run.add_argument("--service", nargs="*", default=[], metavar="NAME", help="only these services (default: all)")

    token = commands.add_parser("token", help="issue a test token, taken with TEST_TOKENS=1 only")
    token.add_argument("user", help="a user of deploy/demo_users.toml, or any name together with --roles")
    token.add_argument("--roles", help="roles for a name that is no demo user, e.g. SAL,SUP")
    token.add_argument("--hours", type=float, default=8.0, help="how long it is valid (default 8)")

    administrator = commands.add_parser("administrator", help="let somebody in as administrator: the first, or again")
    administrator.add_argument("login", help="the name to sign in with; a new account is issued if there is none")

    mailbox = commands.add_parser("mailbox", help="the codes that were sent, where no provider sends them")
    mailbox.add_argument("to", nargs="?", help="only those for this address or number")

    topics = commands.add_parser(
        "topics", help="create the Kafka topics that do not exist yet; mend those that lack records"
    )
    help = "create (default); check: what they lack; republish one from the stores; reset: read one from its beginning"
    topics.add_argument(
        "action", nargs="?", default="create", choices=("create", "check", "republish", "reset"), help=help
    )
    topics.add_argument("topic", nargs="?", help="for republish and reset, e.g. orders.events")
    topics.add_argument("--force", action="store_true", help="republish a topic that lacks nothing")

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
    verify.add_argument("--service", nargs="*", default=[], metavar="NAME", help="only these services (default: all)")
    verify.add_argument("--json", action="store_true", help="print the findings as JSON")
    verify.add_argument(
        "--wait",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="how long to wait for what is under way (default 30)",
    )

    audit = commands.add_parser("audit", help="the audit log: recompute its chains, or print their signed heads")
    acts = audit.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = acts.add_parser("verify", help="recompute every chain; exit 1 and name the first broken entry of each")
    check.add_argument("--service", nargs="*", default=[], metavar="NAME", help="only these services (default: all)")
    check.add_argument("--heads", metavar="FILE", help="signed heads of earlier: shows an end that was cut off")
    head = acts.add_parser("head", help="print where each chain ends, signed: keep it somewhere else")
    head.add_argument("--service", nargs="*", default=[], metavar="NAME", help="only these services (default: all)")
    head.add_argument("--append", metavar="FILE", help="add it to this file instead")

    dlq = commands.add_parser("dlq", help="records set aside: list, show, replay, drop")
    dlq.add_argument("action", choices=("groups", "list", "show", "replay", "drop"))
    dlq.add_argument("group", nargs="?", help="the consumer group, e.g. reports")
    help = "these records; default for replay and drop: all of the group"
    dlq.add_argument("--number", type=int, nargs="+", help=help)
    return parser


if __name__ == "__main__":
    sys.exit(main())
