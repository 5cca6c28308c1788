"""Slow work in a few native threads of its own: a password's hash, a picture, a file of a list.  Other requests go on.

Not in eventlet's pool: each of its twenty threads would keep the 19 MiB that a hash once took in it, and a commit that
waits for the disk would stand in line behind hashes.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, ParamSpec, TypeVar

import eventlet
from eventlet import patcher
from eventlet.event import Event
from eventlet.greenio import GreenSocket
from eventlet.semaphore import Semaphore

from contracts.errors import Refused

# The modules as they were before eventlet made them cooperative.
native_queue = patcher.original("queue")
native_socket = patcher.original("socket")
native_threading = patcher.original("threading")

P = ParamSpec("P")
T = TypeVar("T")

SIGN_INS = partial(Refused, "system.too_many_sign_ins")
FILES = partial(Refused, "system.too_many_files")


class SlowWork:
    """Runs work in `threads` native threads; with `waiting` more in line the next is refused with OVERLOADED."""

    def __init__(self, threads: int = 2, waiting: int = 100, *, busy: Callable[[], Refused] = SIGN_INS) -> None:
        """`busy` makes the refusal."""
        self._threads = threads
        self._busy = busy
        self._most = threads + waiting
        self._inside = 0
        self._turn = Semaphore(1)
        self._work: Any = None

    def __call__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._inside >= self._most:
            raise self._busy()
        self._inside += 1
        try:
            answer = Event()
            self._queue().put((answer, lambda: function(*args, **kwargs)))
            result: T = answer.wait()
            return result
        finally:
            self._inside -= 1

    def _queue(self) -> Any:
        """What the threads take their work from; started with the first of it."""
        with self._turn:
            if self._work is None:
                self._work, self._done = native_queue.SimpleQueue(), native_queue.SimpleQueue()
                here, self._bell = native_socket.socketpair()
                eventlet.spawn_n(self._hand_out, GreenSocket(here))
                for number in range(self._threads):
                    native_threading.Thread(target=self._run, name=f"slow-{number}", daemon=True).start()
            return self._work

    def _run(self) -> None:
        """One thread: what came of each piece of work goes back to the hub, and the bell tells it."""
        while True:
            answer, work = self._work.get()
            try:
                told = (answer.send, work())
            except BaseException as error:
                told = (answer.send_exception, error)
            self._done.put(told)
            self._bell.send(b"!")
            del answer, work, told

    def _hand_out(self, bell: GreenSocket) -> None:
        """In the hub: give each caller what came of its work."""
        while bell.recv(1):
            tell, outcome = self._done.get()
            tell(outcome)
