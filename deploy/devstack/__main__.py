"""`python -m deploy.devstack up | down | status | env | wait`."""

from __future__ import annotations

import argparse
import logging
import shlex
import sys

from chassis.foundation.command_line import command_line
from deploy.devstack.errors import DevstackError
from deploy.devstack.server import Server, Started
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
    commands.add_parser("status", help="show each server; exit code 1 unless all are healthy")
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
    all_healthy = True
    for server in stack.servers:
        healthy = server.healthy()
        all_healthy &= healthy
        own = f"on port {server.port}, process {server.pid or '-'}"
        where = f"at {server.shown_address}" if server.external else own
        print(f"{server.title:<11}{'healthy' if healthy else 'NOT HEALTHY'} {where}")
    return 0 if all_healthy else 1


if __name__ == "__main__":
    sys.exit(main())
