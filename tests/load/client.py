"""A cheap HTTP load client: one thread, keep-alive connections, epoll.

A job is a generator that yields requests and is sent their answers, so a step may depend on the one before.  Jobs
start at their time (open loop) or as soon as a connection is free (closed loop).
"""

import select
import socket
import time
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

STALLED_SECONDS = 90.0
CHUNK = 262_144


class LoadError(Exception):
    """The server answered something that the benchmark can't count."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; `head` is everything before the body."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str:
        """The value of a header, or ""."""
        wanted = name.lower().encode() + b":"
        for line in self.head.split(b"\r\n"):
            if line.lower().startswith(wanted):
                return line[len(wanted) :].strip().decode()
        return ""


Job = Generator[bytes, Answer, None]
Timed = tuple[float, Job]


@dataclass(frozen=True)
class Caller:
    """Writes requests of one user."""

    host: str
    token: str

    def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
        more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items() if value)
        kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self.host}\r\nAuthorization: Bearer {self.token}\r\n{kind}{more}\r\n"
        )
        return head.encode() + body


class Connection:
    """One keep-alive connection and the job it is busy with."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=STALLED_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""
        self._job: Job | None = None

    def begin(self, job: Job) -> None:
        self._job = job
        self.socket.sendall(next(job))

    def receive(self) -> bool:
        """Take in what has arrived; whether the job is done."""
        assert self._job is not None, "nothing was asked"
        arrived = self.socket.recv(CHUNK)
        if not arrived:
            raise LoadError("the server closed a connection")
        self._received += arrived
        answer = self._answer()
        if answer is None:
            return False
        try:
            self.socket.sendall(self._job.send(answer))
        except StopIteration:
            self._job = None
            return True
        return False

    def _answer(self) -> Answer | None:
        head, found, rest = self._received.partition(b"\r\n\r\n")
        if not found:
            return None
        answer = Answer(int(head[9:12]), head, b"")
        length = int(answer.header("content-length") or 0)
        if len(rest) < length:
            return None
        self._received = rest[length:]
        return Answer(answer.status, head, rest[:length])


def run(address: tuple[str, int], jobs: Iterable[Timed], connections: int) -> float:
    """Carry out all jobs; returns the seconds it took.  A job's time is of `time.perf_counter`, 0 means at once."""
    return run_on(connected(address, connections), jobs)


def connected(address: tuple[str, int], connections: int) -> list[Connection]:
    """Connections that stand.  An open loop begins after that: waiting for a connection is not the server's answer."""
    return [Connection(address) for _ in range(connections)]


def run_on(all_of_them: Sequence[Connection], jobs: Iterable[Timed]) -> float:
    """`run` on connections that stand already; closes them."""
    source = iter(jobs)
    poller = select.epoll()
    by_number = {one.socket.fileno(): one for one in all_of_them}
    idle = list(all_of_them)
    for number in by_number:
        poller.register(number, select.EPOLLIN)
    started = time.perf_counter()
    waiting = next(source, None)
    try:
        while waiting is not None or len(idle) < len(all_of_them):
            timeout = STALLED_SECONDS
            if waiting is not None and idle:
                timeout = max(0.0, waiting[0] - time.perf_counter())
            ready = poller.poll(timeout)
            if not ready and timeout == STALLED_SECONDS:
                raise LoadError(f"no answer for {STALLED_SECONDS:.0f} s")
            # Answers first: one that waits for us would look like a slow server.
            idle += [by_number[number] for number, _ in ready if by_number[number].receive()]
            if waiting is not None and idle and waiting[0] <= time.perf_counter():
                idle.pop().begin(waiting[1])
                waiting = next(source, None)
        return time.perf_counter() - started
    finally:
        poller.close()
        for one in all_of_them:
            one.socket.close()


def at_once(jobs: Iterable[Job]) -> Iterable[Timed]:
    """Jobs for a closed loop: each starts when a connection is free."""
    return ((0.0, job) for job in jobs)


def expect(answer: Answer, *statuses: int) -> Answer:
    """The answer, if it has one of these statuses.  Raises LoadError."""
    if answer.status not in statuses:
        raise LoadError(f"answered {answer.status}: {answer.body[:500].decode(errors='replace')}")
    return answer


def served(request: bytes) -> Generator[bytes, Answer, Answer]:
    """Part of a job: the answer to a request that is sent again while it is refused as too much, as clients do.

    At its full speed a system may shed some; what is measured then includes the time of having waited.
    """
    answer = yield request
    while answer.status == HTTPStatus.SERVICE_UNAVAILABLE and b'"OVERLOADED"' in answer.body:
        answer = yield request
    return answer
