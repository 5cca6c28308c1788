"""What a connection must keep to before a request is one: a strict head, bounded in size and in the time it takes.

eventlet's own parser is lenient where servers must agree on where a request ends (request smuggling), so llhttp
(httptools) reads the head: two lengths, a length and chunks, folded lines, bare line ends and blanks before a colon are
refused.  Everything else about the connection stays eventlet's.
"""

import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

import eventlet
import httptools
import structlog
from eventlet import wsgi
from nameko.web.server import HttpOnlyProtocol

from chassis.foundation.config import Config
from chassis.http.concurrency_limit import ConcurrencyLimit
from chassis.http.messages import HttpRequest, HttpResponse
from chassis.http.problems import problem
from contracts.errors import Refused
from contracts.reasons import Why

log = structlog.get_logger()

MAX_HEAD_BYTES = 32_768
MAX_HEADERS = 100
UNREAD_BODY = 1_000_000
"""So long a body of a refused request is read, to keep its connection; with a longer one the connection ends."""
IDLE_SECONDS = 60.0
LOOK_SECONDS = 1.0
VERSIONS = {"1.0": "HTTP/1.0", "1.1": "HTTP/1.1"}
BLANKS_OF_LINE = 2
"""Around the target."""
NOT_ASCII = re.compile(rb"[\x80-\xff]")
_CHUNK_SIZE = re.compile(rb"^([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n$")


@dataclass(frozen=True)
class Times:
    """How long a connection may take: until the head is there, the body, and the answer has been taken; in seconds."""

    head: float
    body: float
    answer: float
    idle: float = IDLE_SECONDS

    @classmethod
    def of(cls, config: Config) -> "Times":
        return cls(config.max_head_seconds, config.max_body_seconds, config.max_answer_seconds)


class _Head:
    """The fields of a head, as llhttp tells them; read by eventlet as if it were an email message."""

    type = "text/plain"  # what a request without a Content-Type is said to be

    def __init__(self) -> None:
        self.url = b""
        self.complete = False
        self._headers: list[tuple[str, str]] = []
        self._by_name: dict[str, str] = {}

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        text, content = name.decode("ascii"), (value or b"").decode("latin-1")
        self._headers.append((text, content))
        lower = text.lower()
        self._by_name[lower] = f"{self._by_name[lower]},{content}" if lower in self._by_name else content

    def on_headers_complete(self) -> None:
        self.complete = True

    def get(self, name: str, default: Any = None) -> Any:
        return self._by_name.get(name.lower(), default)


def parse_head(head: bytes) -> tuple[str, str, str, _Head, bool]:
    """Method, target, version, fields and whether the connection stays open.  Raises Refused VALIDATION.

    Octets of the target that are no ASCII are as good as encoded: many clients send what somebody types.
    """
    line, end, rest = head.partition(b"\n")
    if line.count(b" ") > BLANKS_OF_LINE:
        raise _bad(Why("requests.blank_in_address"))
    head = NOT_ASCII.sub(lambda octet: b"%%%02X" % ord(octet[0]), line) + end + rest
    fields = _Head()
    parser = httptools.HttpRequestParser(fields)
    try:
        parser.feed_data(head)
    except httptools.HttpParserUpgrade:
        pass  # no protocol is offered: the request is answered as it is, which RFC 9110 (7.8) allows
    except httptools.HttpParserError as error:
        raise _bad(Why("requests.malformed", problem=str(error))) from error
    version = VERSIONS.get(parser.get_http_version())
    if not fields.complete or version is None:
        raise _bad(Why("requests.http_version"))
    if not fields.url.startswith(b"/"):
        raise _bad(Why("requests.no_path"))
    host = fields.get("host")
    if ("," in host) if host is not None else (version == "HTTP/1.1"):
        raise _bad(Why("requests.one_host"))
    if (coding := fields.get("transfer-encoding")) and (coding.lower() != "chunked" or version == "HTTP/1.0"):
        raise _bad(Why("requests.chunked_only"))
    target = "/" + fields.url.decode("ascii").lstrip("/")  # "//host" must not be taken for an address by anybody
    return parser.get_method().decode("ascii"), target, version, fields, parser.should_keep_alive()


def _bad(problem: Why) -> Refused:
    return Refused("requests.unreadable", problem=problem, field="request")


class _Chunks(wsgi.Input):  # type: ignore[misc]
    """A chunked body whose sizes are read strictly: eventlet's would take `0x10`, `+1` and `1_0` too."""

    def __init__(self, rfile: Any, sock: Any, **kwargs: Any) -> None:
        super().__init__(_StrictSizes(rfile), None, sock, chunked_input=True, **kwargs)


class _StrictSizes:
    """The stream under a chunked body.  `readline` is asked for three things: a size, the end of a chunk, a trailer.

    After one that can't be read nobody knows where the next request begins: from then on every one fails.
    """

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._expected: Literal["size", "end", "trailer", "nothing"] = "size"

    def read(self, size: int) -> bytes:
        data: bytes = self._inner.read(size)
        return data

    def readline(self) -> bytes:
        line: bytes = self._inner.readline(wsgi.MAX_HEADER_LINE)
        expected, self._expected = self._expected, "nothing"
        if expected == "trailer":
            self._expected = "trailer"
        elif expected == "end" and line == b"\r\n":
            self._expected = "size"
        elif expected == "size" and (found := _CHUNK_SIZE.match(line)):
            self._expected = "end" if int(found[1], 16) else "trailer"
        else:
            raise wsgi.ChunkReadError("the chunks of the body can't be told apart")
        return line


class Protocol(HttpOnlyProtocol):  # type: ignore[misc]
    """One connection.  `due` is the moment by which it must have got on, in the time of `time.monotonic`.

    A request counts at the door only while we work on it: who sends slowly must not keep others out.
    """

    minimum_chunk_size = 8192
    times: Times
    security_headers: Mapping[str, str]
    door: ConcurrencyLimit
    open: "set[Protocol]"
    ends: bool = False
    """The server ends: each connection does with its next answer, so that its client goes elsewhere."""

    def setup(self) -> None:
        super().setup()
        self.capitalize_response_headers = False  # ours are spelled as they should be; respelling them costs 1 us each

    def handle(self) -> None:
        self.open.add(self)
        try:
            super().handle()
        finally:
            self.open.discard(self)

    def _within(self, seconds: float) -> None:
        self.due = time.monotonic() + seconds

    def handle_one_request(self) -> None:
        self._entered: float | None = None
        self._awaits_body = False
        try:
            super().handle_one_request()
        finally:
            if self._entered is not None:
                self.door.leave(self._entered)

    def _read_request_line(self) -> Any:
        self._within(self.times.idle)
        line = super()._read_request_line()
        self._within(self.times.head)
        if len(line) >= self.server.url_length_limit:
            self.refuse(Refused("requests.long_address", most=self.server.url_length_limit))
            return ""
        return line

    def parse_request(self) -> bool:
        """Read the head.  False when it was refused; the connection ends then, for nobody knows where it stands."""
        self.close_connection = True
        try:
            head = self._read_head()
            if not head:
                return False
            self.command, self.path, self.request_version, self.headers, stays_open = parse_head(head)
        except Refused as refusal:
            self.refuse(refusal)
            return False
        self.requestline = self.raw_requestline.decode("latin-1").rstrip()
        self.close_connection = self.ends or not stays_open
        return self._admitted()

    def _admitted(self) -> bool:
        """Whether there is room for the request; otherwise it is refused, before anything is made of it."""
        try:
            if self.door.counts(self.command, self.path):
                self._entered = self.door.enter()
        except Refused as refusal:
            self._turn_away(refusal)
            return False
        return True

    def _turn_away(self, refusal: Refused) -> None:
        """Refuse a request whose end is known, so that its connection goes on if its body is short."""
        length = int(self.headers.get("content-length", "0"))
        unread = length > UNREAD_BODY or self.headers.get("transfer-encoding") or self.headers.get("expect")
        if unread or self.close_connection:
            self.refuse(refusal)
            return
        self._within(self.times.body)
        self.rfile.fp.read(length)
        told = {name: self.headers.get(name, "") for name in ("x-correlation-id", "accept-language")}
        answer = problem(refusal, HttpRequest(told, {}, {}, bytes))
        self.wfile.write(_raw(answer, {**self.security_headers, "Connection": "keep-alive"}))
        self.wfile.flush()

    def _read_head(self) -> bytes:
        """The head to its empty line; b"" when the client has gone."""
        lines, size = [self.raw_requestline], len(self.raw_requestline)
        readline = self.rfile.fp.readline
        while True:
            line = readline(MAX_HEAD_BYTES)
            size += len(line)
            lines.append(line)
            if line in (b"\r\n", b"\n"):
                return b"".join(lines)
            if size > MAX_HEAD_BYTES or len(lines) > MAX_HEADERS + 1:
                raise Refused("requests.long_head", headers=MAX_HEADERS, bytes=MAX_HEAD_BYTES)
            if not line.endswith(b"\n"):
                return b""

    def refuse(self, refusal: Refused) -> None:
        """Answer before there is a request, and close."""
        self.close_connection = True
        self.wfile.write(_raw(problem(refusal), self.security_headers))
        self.wfile.flush()

    def get_environ(self) -> dict[str, Any]:
        env: dict[str, Any] = super().get_environ()
        self._awaits_body = True
        if env["eventlet.input"].chunked_input:
            given = env["eventlet.input"]
            env["wsgi.input"] = env["eventlet.input"] = _Chunks(
                self.rfile, self.connection, wfile=given.wfile, wfile_line=given.wfile_line
            )
            self._within(self.times.body)
        else:
            self._within(self.times.body if env.get("CONTENT_LENGTH", "0") != "0" else self.times.answer)
        env["salestream.body_is_read"] = self.body_is_read
        env["salestream.body_moves"] = self.body_moves
        env["salestream.outside"] = self._outside
        return env

    @contextmanager
    def _outside(self) -> Iterator[None]:
        """Wait for the client without taking up room."""
        if self._entered is None:
            yield
            return
        self.door.wait_outside()
        try:
            yield
        finally:
            self._entered = self.door.enter()

    def body_is_read(self) -> None:
        """The body is there: from now on the time of the answer counts."""
        self._awaits_body = False
        self._within(self.times.answer)

    def body_moves(self) -> None:
        """Some of a long body has come: the next of it may take as long."""
        self._within(self.times.body)

    @classmethod
    def end_with_answers(cls) -> None:
        """Say with each answer from now on that its connection ends: busy clients would keep it for ever."""
        cls.ends = True
        for connection in cls.open:
            connection.close_connection = True

    def cut(self) -> None:
        """End the connection; whoever reads or writes it wakes up.

        A body that has stopped coming is given up first, so that its sender is told why.
        """
        how = socket.SHUT_RDWR
        if self._awaits_body:
            how, self._awaits_body, self.close_connection = socket.SHUT_RD, False, True
            self._within(self.times.head)
        try:
            self.connection.shutdown(how)
        except OSError:
            log.debug("connection had ended", client=self.client_address)


def _raw(response: HttpResponse, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"]
    sent = {"Connection": "close", **headers, **response.headers, "Content-Type": response.content_type}
    sent["Content-Length"] = str(len(response.body))
    lines += [f"{name}: {value}" for name, value in sent.items()]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + response.body


def protocol(times: Times, security_headers: Mapping[str, str], door: ConcurrencyLimit) -> type[Protocol]:
    """The protocol of one server: its own open connections."""
    own = {"times": times, "security_headers": security_headers, "door": door, "open": set()}
    return type("Protocol", (Protocol,), own)


def cut_slow(connections: set[Protocol], *, sleep: Callable[[float], None] = eventlet.sleep) -> None:
    """End connections that have not got on in time, once a second; never returns."""
    while True:
        sleep(LOOK_SECONDS)
        now = time.monotonic()
        for connection in [one for one in connections if one.due < now]:
            log.info("a connection took too long", client=connection.client_address[0])
            connection.cut()
