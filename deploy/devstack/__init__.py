"""The development stack: real Kafka, MongoDB and PostgreSQL out of packages, without Docker.

`Stack.from_env().up(postgres=True)` starts what is missing and returns the addresses.
"""

from deploy.devstack.errors import DevstackError
from deploy.devstack.server import Server, Started
from deploy.devstack.stack import Addresses, Stack

__all__ = ["Addresses", "DevstackError", "Server", "Stack", "Started"]
