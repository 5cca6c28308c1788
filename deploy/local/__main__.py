"""`python -m deploy.local up | down | status | env`: see `make up` and `make down`."""

from __future__ import annotations

import argparse
import logging
import shlex
import sys

import psutil

from chassis.foundation.command_line import command_line
from deploy.devstack.__main__ import print_started, print_status, print_stopped
from deploy.devstack.errors import DevstackError
from deploy.devstack.server import Server
from deploy.local.system import FOLDERS, LocalSystem


@command_line
def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start servers and services, wait until they are healthy")
    down = commands.add_parser("down", help="stop them; data is kept")
    down.add_argument("--wipe", action="store_true", help="delete the data too")
    commands.add_parser("status", help="show each process; exit code 1 unless all are healthy, 3 when all are stopped")
    env = commands.add_parser("env", help="print the settings as NAME=value lines")
    env.add_argument("--running", action="store_true", help="refuse unless Kafka and the databases run")
    options = parser.parse_args(arguments)
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # the health check reports what matters
    try:
        system = LocalSystem.from_env()
        match options.command:
            case "up":
                system.up(report=print_started)
                print(f"\nSalestream answers at {system.api.own_address}; try `make demo`.  Stop with `make down`.")
            case "down":
                system.down(wipe=options.wipe, report=print_stopped)
            case "status":
                return _status(system)
            case "env":
                if options.running:
                    system.require_running(system.stack.servers)
                own = ("EVENT_STORE", *FOLDERS, "HTTP_ADDRESS")
                for name in (*own, *system.stack.addresses.as_environment()):
                    print(f"{name}={shlex.quote(system.settings()[name])}")
    except DevstackError as error:
        print(f"salestream: {error}", file=sys.stderr)
        return 1
    return 0


def _status(system: LocalSystem) -> int:
    def where(server: Server) -> str:
        if server.external:
            return f"at {server.shown_address}"
        memory = f"{psutil.Process(server.pid).memory_info().rss / 2**20:.0f} MB" if server.pid else "-"
        return f"port {server.port}  {memory}"

    return print_status([*system.stack.servers, *system.processes], where, "Salestream", "make up")


if __name__ == "__main__":
    sys.exit(main())
