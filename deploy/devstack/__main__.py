"""`python -m deploy.devstack up | down | status | env | wait`."""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
from collections.abc import Callable, Sequence

from chassis.foundation.command_line import command_line
from deploy.devstack.errors import DevstackError
from deploy.devstack.server import STOPPED, Server, Started
from deploy.devstack.stack import Stack


@command_line
def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # its health check reports what matters
    try:
        stack = Stack.from_env()
        match options.command:
            case "up":
                stack.up(postgres=True if options.postgres else None, report=print_started)
            case "down":
                stack.down(wipe=options.wipe, report=print_stopped)
            case "wait":
                stack.wait()
            case "env":
                for name, value in stack.addresses.as_environment().items():
                    print(f"{name}={shlex.quote(value)}")
            case "status":
                return _status(stack)
    except DevstackError as error:
        print(f"devstack: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.devstack", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start what is missing and wait until it is healthy")
    up.add_argument("--postgres", action="store_true", help="PostgreSQL too (also: EVENT_STORE=postgres)")
    down = commands.add_parser("down", help="stop the servers; data is kept")
    down.add_argument("--wipe", action="store_true", help="delete the data too")
    commands.add_parser("status", help="show each server; exit code 1 unless all are healthy, 3 when all are stopped")
    commands.add_parser("env", help="print the addresses as NAME=value lines")
    commands.add_parser("wait", help="wait until the servers are healthy, without starting any")
    return parser


def print_started(server: Server, started: Started) -> None:
    if server.external:
        how = f"healthy at {server.shown_address}, given by {server.variable}: not started here"
    else:
        done = f"started in {started.seconds:.1f} s" if started.fresh else "already running"
        how = f"{done} on port {server.port} (process {server.pid}), log {server.log}"
    print(f"{server.title:<11}{how}", flush=True)


def print_stopped(server: Server, did_something: bool) -> None:
    print(f"{server.title:<11}{'stopped' if did_something else 'was not running'}", flush=True)


def _status(stack: Stack) -> int:
    def where(server: Server) -> str:
        return (
            f"at {server.shown_address}" if server.external else f"on port {server.port}, process {server.pid or '-'}"
        )

    return print_status(stack.servers, where, "The development stack", "python -m deploy.devstack up")


def print_status(servers: Sequence[Server], where: Callable[[Server], str], what: str, starts: str) -> int:
    """Show each server; returns the exit code: 0 when all are healthy, STOPPED when none runs here, else 1."""
    states = {server: server.state() for server in servers}
    for server, state in states.items():
        print(f"{server.title:<11}{state:<13}{where(server)}")
    stopped = [server.title for server, state in states.items() if state == "stopped"]
    if stopped and all(server.external or server.title in stopped for server in servers):
        print(f"\n{what} is stopped.  Start it with `{starts}`.")
        return STOPPED
    if stopped:
        print(f"\n{', '.join(stopped)}: stopped.  `{starts}` starts what is missing.")
    return 0 if set(states.values()) == {"healthy"} else 1


if __name__ == "__main__":
    sys.exit(main())
