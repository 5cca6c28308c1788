"""Ports for a stack beside others: tests and benchmarks start many, several at once."""

import fcntl
import os
import random
import socket
import tempfile
from itertools import islice
from pathlib import Path

from deploy.devstack.server import HOST

BELOW_OUTGOING = range(20_000, 32_000)
"""Below the range from which the kernel takes the ports of outgoing connections."""


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens on.

    Nobody who asks here gets them again while this process lives, whether or not a server listens on them by then.
    """
    locks = Path(tempfile.gettempdir()) / f"salestream-test-ports-{os.getuid()}"
    locks.mkdir(exist_ok=True)
    shuffled = random.sample(BELOW_OUTGOING, len(BELOW_OUTGOING))
    free = (port for port in shuffled if _is_free(port) and _reserved(locks / str(port)))
    return list(islice(free, number))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) != 0


def _reserved(file: Path) -> bool:
    """Lock a file until this process ends, unless somebody holds it."""
    lock = os.open(file, os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return False
    return True
