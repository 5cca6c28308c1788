"""What all command lines share: they end quietly when whoever reads what they print has gone, as `head` does."""

import os
import sys
from collections.abc import Callable
from functools import wraps
from select import POLLERR, poll  # eventlet takes it away later
from typing import ParamSpec, TextIO

READER_GONE = 141
"""The exit code then: that of a program which the signal SIGPIPE (13) ends."""

P = ParamSpec("P")


def command_line(main: Callable[P, int]) -> Callable[P, int]:
    """The function of a command line, which returns its exit code."""

    @wraps(main)
    def run(*arguments: P.args, **named: P.kwargs) -> int:
        try:
            try:
                return main(*arguments, **named)
            finally:
                if sys.stdout is not None:
                    sys.stdout.flush()  # Python would tell of it after the end, where nobody can catch it
        except BrokenPipeError:
            gone = [stream for stream in (sys.stdout, sys.stderr) if stream is not None and _is_unread(stream)]
            if not gone:  # the other end of some connection has gone
                raise
            nowhere = os.open(os.devnull, os.O_WRONLY)
            for stream in gone:
                os.dup2(nowhere, stream.fileno())
            return READER_GONE

    return run


def _is_unread(stream: TextIO) -> bool:
    try:
        asked = poll()
        asked.register(stream.fileno(), 0)
        return any(event & POLLERR for _, event in asked.poll(0))
    except ValueError:  # nothing that the system knows of
        return False
