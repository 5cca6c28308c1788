"""The addresses at which a process listens.

Each is bound before the process starts anything else, and listened at when there is somebody to answer: until then
clients are refused, as they are where nothing runs.  Two processes never share a port: half of the requests would go to
each, and those of a process that was forgotten are answered by a former release.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from chassis.foundation.config import ConfigError

BACKLOG = 4_096
"""Connections the kernel may complete while a process is busy (it cuts this to net.core.somaxconn).  Of more than that,
each is dropped and tried again by its client after a second or more: with 50 a rush of clients stood waiting before
anybody counted them."""


class Listener:
    """The address that a setting names, bound: `listen` when there is somebody to answer."""

    def __init__(self, setting: str, address: str) -> None:
        """Raises ConfigError where the address can't be taken: somebody else listens there, or it is none of ours."""
        self._setting, self._address = setting, address
        host, _, port = address.rpartition(":")
        with self._told():
            found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            family, *_, place = min(found, key=lambda one: one[0] != socket.AF_INET)
            self.socket = socket.socket(family, socket.SOCK_STREAM)
            try:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # after a restart it is free at once
                self.socket.bind(place)
            except OSError:
                self.socket.close()
                raise

    def listen(self) -> socket.socket:
        """Take connections from now on.  Raises ConfigError when somebody else was first."""
        with self._told():
            self.socket.listen(BACKLOG)
        return self.socket

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ConfigError(
                f"can't listen at {self._setting}={self._address}: {error.strerror}.  Stop the program that uses it "
                f"(`ss -ltnp` names it), or set {self._setting} to another address"
            ) from error
