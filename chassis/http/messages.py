"""A request and an answer as the edge sees them, and a route; free of any web framework."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from chassis.files.port import FileContent
from chassis.queries.exports import FileBody
from contracts.permissions import PUBLIC

ANSWER_SECONDS = 30.0
JSON = "application/json"
PROBLEM = "application/problem+json"
TYPES = {"csv": "text/csv; charset=utf-8", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}


def no_body(_: int) -> Generator[bytes, None, None]:
    """The body of a request that no connection stands behind."""
    yield from ()


@dataclass(frozen=True)
class HttpRequest:
    """A request as the edge sees it.  Header names are lower case; `body` reads the body (bounded) when called.

    `address` is the client's, told by a trusted proxy where there is one; "" where no connection stands behind it.
    `stream` reads the body piece by piece instead, for what is too long to be held: of so many octets at most.
    `target` is the path and query as they were sent.  Within `outside()` the request takes up no room at the door.
    """

    headers: Mapping[str, str]
    path: Mapping[str, str]
    query: Mapping[str, Sequence[str]]
    body: Callable[[], bytes]
    address: str = ""
    method: str = ""
    target: str = ""
    outside: Callable[[], AbstractContextManager[None]] = nullcontext
    stream: Callable[[int], Generator[bytes, None, None]] = no_body


@dataclass(frozen=True)
class HttpResponse:
    """An answer; `cookies` are the values of its Set-Cookie headers.  A long one comes as a file instead of `body`."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = JSON
    cookies: Sequence[str] = ()
    file: FileBody | FileContent | None = None

    @property
    def length(self) -> int:
        return self.file.size if self.file else len(self.body)

    def close(self) -> None:
        """Give up what was not sent."""
        if self.file:
            self.file.close()


Serve = Callable[[HttpRequest], HttpResponse]


@dataclass(frozen=True)
class Route:
    """One route: its method, path with {fields}, metric name, the function that serves it, and the right it needs.

    `always`: it is served while other commands are refused as OVERLOADED.
    """

    method: str
    path: str
    name: str
    serve: Serve
    permission: str = PUBLIC
    always: bool = False


OPERATIONS = frozenset({"livez", "readyz", "metrics"})
"""The names of the routes by which a process is watched."""
