"""Doorbells: tell a relay that something was stored, so that it need not wait for its next look.

A ring may be lost, and nobody need listen: the relay looks by itself all the same, only later.
"""

import socket
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from time import sleep
from typing import Any, Protocol

import psycopg
from psycopg.sql import SQL, Identifier

Wait = Callable[[float], None]  # wait so many seconds, or until the bell rings

UNHEARD_SECONDS = 0.05
"""How long at most to wait where no bell can be heard."""


def unheard(seconds: float) -> None:
    """Wait without a bell: never for long, since nothing would end it early."""
    sleep(min(seconds, UNHEARD_SECONDS))


class Doorbell(Protocol):
    """The bell of one event store."""

    def ring(self) -> None:
        """Something was stored."""

    def listen(self) -> Wait:
        """Begin to listen, for the one relay of the store."""


class NoBell:
    """For a store that only its own process uses, or a system without such sockets: who waits looks often."""

    def ring(self) -> None:
        """Nobody hears it."""

    def listen(self) -> Wait:
        return unheard


class LocalBell:
    """For stores in a file: a datagram to an abstract socket (Linux), named after the file."""

    def __init__(self, path: Path) -> None:
        self._address = "\0salestream-" + sha256(str(path.resolve()).encode()).hexdigest()[:32]
        self._ringer = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._ringer.setblocking(False)

    def ring(self) -> None:
        with suppress(OSError):  # nobody listens, or it has been rung and not yet heard
            self._ringer.sendto(b"", self._address)

    def listen(self) -> Wait:
        bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            bell.bind(self._address)
        except OSError:  # another relay of this store listens
            bell.close()
            return unheard

        def wait(seconds: float) -> None:
            bell.settimeout(seconds)
            with suppress(TimeoutError, BlockingIOError):
                bell.recv(1)

        return wait


class PostgresBell:
    """For PostgreSQL: the library notifies a channel with each insert; the relay has a connection that listens."""

    def __init__(self, url: str, channel: str) -> None:
        self._url = url
        self._channel = channel

    def ring(self) -> None:
        """The insert has done it."""

    def listen(self) -> Wait:
        connection: psycopg.Connection[Any] | None = None

        def wait(seconds: float) -> None:
            nonlocal connection
            try:
                if connection is None or connection.closed:
                    connection = psycopg.connect(self._url, autocommit=True)
                    connection.execute(SQL("LISTEN {}").format(Identifier(self._channel)))
                    return  # what was stored before nobody told us
                for _ in connection.notifies(timeout=seconds, stop_after=1):
                    pass
            except psycopg.OperationalError:
                if connection is not None:
                    connection.close()
                sleep(seconds)

        return wait


def local_bell(path: Path) -> Doorbell:
    """The bell of a store in a file, where the system has such sockets."""
    try:
        return LocalBell(path)
    except (AttributeError, OSError):
        return NoBell()
