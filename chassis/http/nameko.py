"""nameko's side of the edge: serves `chassis.http.edge` routes over HTTP and runs inboxes as nameko entrypoints.

Only this module and `chassis.http.protocol` import nameko and eventlet.  One HTTP service class a process mounts the
routes of all services in it: two would share the port and answer each other's requests with 404 (design, section 6).
"""

import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from logging import getLogger
from typing import Any, ParamSpec, TypeVar

import eventlet
import structlog
from eventlet import tpool, wsgi
from eventlet.event import Event
from nameko.extensions import Entrypoint
from nameko.web.handlers import HttpRequestHandler
from nameko.web.server import WebServer, WsgiApp
from werkzeug.exceptions import BadRequest, HTTPException, RequestEntityTooLarge
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request as WerkzeugRequest

from chassis.files.port import PIECE, FileContent
from chassis.foundation.addresses import Proxies, networks
from chassis.foundation.config import Config
from chassis.foundation.health import Watched
from chassis.foundation.listening import Listener
from chassis.http.concurrency_limit import ConcurrencyLimit
from chassis.http.messages import OPERATIONS, HttpRequest, HttpResponse, Route
from chassis.http.problems import internal, is_utf8, problem, unknown_route
from chassis.http.protocol import Protocol, Times, cut_slow, protocol
from chassis.http.security_headers import security_headers
from chassis.messaging.consumer import Consumer, RecordHandler
from chassis.messaging.progress import Progress
from chassis.messaging.records import Incoming, PoisonRecord
from contracts.errors import Refused

log = structlog.get_logger()

P = ParamSpec("P")
T = TypeVar("T")

SOCKET_SECONDS = 60
WORKERS = 1_000
ANSWER_SECONDS = 10.0
QUIET_LOOKS = 5
LONGEST_UPLOAD = 1_800.0
"""Seconds that a file may take in all, however steadily it comes: a connection is held for it."""


@dataclass(frozen=True)
class Edge:
    """What the requests of a process have in common; `unknown` serves addresses that nobody serves."""

    config: Config
    unknown: Route
    proxies: Proxies
    headers: Mapping[str, str]
    door: ConcurrencyLimit
    listener: Listener

    @classmethod
    def of(cls, config: Config, unknown: Route, door: ConcurrencyLimit, listener: Listener) -> "Edge":
        """Raises ConfigError."""
        proxies = Proxies(networks(config.trusted_proxies, "TRUSTED_PROXIES"))
        return cls(config, unknown, proxies, security_headers(config), door, listener)


class _Server(WebServer):  # type: ignore[misc]
    """nameko's web server without an access log line a request, with limits on slow clients and a graceful end."""

    _starting: bool

    def __init__(self, edge: Edge) -> None:
        super().__init__()
        self.edge = edge
        self._states: list[list[Any]] = []
        self._protocol: type[Protocol]
        self._drains = False

    def get_wsgi_server(self, sock: Any, wsgi_app: Any, **_: Any) -> Any:
        served = self._protocol = protocol(Times.of(self.edge.config), self.edge.headers, self.edge.door)
        self.container.spawn_managed_thread(partial(cut_slow, served.open))
        return wsgi.Server(
            sock,
            sock.getsockname(),
            wsgi_app,
            protocol=served,
            debug=False,
            log=getLogger("nameko.web"),
            log_output=False,
            socket_timeout=SOCKET_SECONDS,
        )

    def get_wsgi_app(self) -> Any:
        return _App(self)

    def start(self) -> None:
        """Once, however many routes ask for it.  nameko itself would share the port with whoever listens there."""
        if not self._starting:
            self._starting = True
            self._sock = self.edge.listener.listen()
            self._serv = self.get_wsgi_server(self._sock, self.get_wsgi_app())
            self._gt = self.container.spawn_managed_thread(self.run)

    def process_request(self, sock: Any, address: Any) -> None:
        """Serve one connection; eventlet keeps in its state whether a request is under way."""
        state = [address, sock, wsgi.STATE_IDLE]
        self._states.append(state)
        try:
            self._serv.process_request(state)
        finally:
            self._states.remove(state)

    def drain(self) -> None:
        """Take no new connections, and answer what has been asked on those there are (bounded).

        Before the container waits for its workers: clients that never pause would keep them busy for ever.
        """
        if self._drains:
            return  # another route has begun it
        self._drains, self._is_accepting = True, False
        self._gt.kill()
        self._take_waiting_connections()
        self._sock.close()
        self._protocol.end_with_answers()
        deadline = time.monotonic() + ANSWER_SECONDS
        quiet = 0
        while quiet < QUIET_LOOKS and time.monotonic() < deadline:
            quiet = 0 if any(state[2] == wsgi.STATE_REQUEST for state in self._states) else quiet + 1
            eventlet.sleep(0.01)

    def _take_waiting_connections(self) -> None:
        """Those whom the kernel has connected already would be reset when the socket closes."""
        self._sock.settimeout(0)
        with suppress(OSError):
            while True:
                sock, address = self._sock.accept()
                sock.settimeout(SOCKET_SECONDS)
                self.container.spawn_managed_thread(partial(self.process_request, sock, address))

    def make_url_map(self) -> Map:
        return Map([_rule(provider) for provider in self._providers])


def _rule(provider: "RouteEntrypoint") -> Rule:
    rule: Rule = provider.get_url_rule()
    rule.endpoint = provider
    return rule


class _App(WsgiApp):  # type: ignore[misc]
    """Finds the route of a request; what nobody serves has a route of its own."""

    def __init__(self, server: _Server) -> None:
        super().__init__(server)
        self._edge = server.edge
        self._adapter = self.url_map.bind("salestream")  # routes name no host, so one adapter serves all requests

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        try:
            response = self._answer(WerkzeugRequest(environ))
        except Exception:
            log.exception("request failed before its route")
            response = problem(internal())
        start_response(*_head(response, self._edge.headers))
        if environ["REQUEST_METHOD"] == "HEAD":
            response.close()
            return ()
        if isinstance(response.file, FileContent):
            return _Sent(response.file, environ["salestream.body_is_read"])
        return response.file or (response.body,)

    def _answer(self, request: WerkzeugRequest) -> HttpResponse:
        try:
            if not is_utf8(_target(request.environ)):
                raise BadRequest
            provider, values = self._adapter.match(request.path, request.method)
        except HTTPException:
            return self._edge.unknown.serve(_from_werkzeug(request, {}, self._edge))
        response: HttpResponse = provider.answer(_from_werkzeug(request, values, self._edge))
        return response


class RouteEntrypoint(HttpRequestHandler):  # type: ignore[misc]
    """One route as a nameko entrypoint: a worker of the container serves each request."""

    def __init__(self, route: Route, **kwargs: Any) -> None:
        self.route = route
        super().__init__(route.method, werkzeug_path(route.path), **kwargs)

    def stop(self) -> None:
        self.server.drain()
        super().stop()

    def answer(self, request: HttpRequest) -> HttpResponse:
        """How the process is watched does not depend on whether a worker is free."""
        if self.route.name in OPERATIONS:
            return self.route.serve(request)
        done = Event()
        self.container.spawn_worker(self, (request,), {}, handle_result=partial(self.handle_result, done))
        response: HttpResponse = done.wait()
        return response


def werkzeug_path(path: str) -> str:
    return path.replace("{", "<").replace("}", ">")


def _target(environ: Mapping[str, Any]) -> str:
    """The address as it was sent."""
    path, query = str(environ["RAW_PATH_INFO"]), environ.get("QUERY_STRING")
    return f"{path}?{query}" if query else path


def _from_werkzeug(request: WerkzeugRequest, path: Mapping[str, str], edge: Edge) -> HttpRequest:
    environ, max_body = request.environ, edge.config.max_body_bytes
    headers = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name[:5] == "HTTP_"}
    headers["content-type"] = environ.get("CONTENT_TYPE", "")

    def body() -> bytes:
        request.max_content_length = max_body + 1  # werkzeug cuts a chunked body off here without a word
        if headers.get("transfer-encoding", "").lower() == "chunked":
            environ["wsgi.input_terminated"] = True  # eventlet's stream ends with the last chunk: werkzeug may read it
        too_large = Refused("requests.long_body", most=max_body)
        try:
            with environ["salestream.outside"]():
                data = request.get_data(cache=False)
        except RequestEntityTooLarge as error:
            raise too_large from error
        except (HTTPException, OSError, ValueError) as error:
            raise Refused("requests.broken_body", field="body") from error
        if len(data) > max_body:
            raise too_large
        environ["salestream.body_is_read"]()
        return data

    def stream(most: int) -> Generator[bytes, None, None]:
        too_large = Refused("files.too_large", most=most)
        declared = int(environ["CONTENT_LENGTH"]) if environ.get("CONTENT_LENGTH") else None
        if declared is not None and declared > most:
            raise too_large
        read, moves, taken = environ["wsgi.input"].read, environ["salestream.body_moves"], 0
        latest = time.monotonic() + LONGEST_UPLOAD
        with environ["salestream.outside"]():
            while piece := _piece_of(read):
                taken += len(piece)
                if taken > most:
                    raise too_large
                if time.monotonic() > latest:
                    raise Refused("requests.broken_body", field="body")
                moves()
                yield piece
                eventlet.sleep(0)  # what comes faster than it is read would keep all others waiting
        if declared is not None and taken != declared:
            raise Refused("requests.broken_body", field="body")
        environ["salestream.body_is_read"]()

    query_string = environ.get("QUERY_STRING")
    query = {name: request.args.getlist(name) for name in request.args} if query_string else {}
    address = edge.proxies.client_of(environ["REMOTE_ADDR"], environ.get("HTTP_X_FORWARDED_FOR", ""))
    target = _target(environ)
    method, outside = environ["REQUEST_METHOD"], environ["salestream.outside"]
    return HttpRequest(headers, path, query, body, address, method, target, outside, stream)


def _piece_of(read: Callable[[int], bytes]) -> bytes:
    try:
        return read(PIECE)
    except (OSError, ValueError) as error:
        raise Refused("requests.broken_body", field="body") from error


class _Sent:
    """A long file on its way: its connection may take as long for each piece as for a whole answer else."""

    def __init__(self, content: FileContent, moves: Callable[[], None]) -> None:
        self._content, self._moves = content, moves

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._content:
            self._moves()
            yield piece
            eventlet.sleep(0)  # as above

    def close(self) -> None:
        self._content.close()


STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


def _head(response: HttpResponse, headers: Mapping[str, str]) -> tuple[str, list[tuple[str, str]]]:
    """The status line and the fields of an answer, as WSGI wants them.  Raises ValueError for a field with a line end.

    Not by way of werkzeug's Response: that cost 30 us an answer.
    """
    fields = {**headers, "Content-Type": response.content_type, **response.headers}
    if response.status not in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
        fields["Content-Length"] = str(response.length)
    found = list(fields.items())
    if response.cookies:
        found += [("Set-Cookie", cookie) for cookie in response.cookies]
    for name, value in found:
        if "\n" in value or "\r" in value:
            raise ValueError(f"the field {name} has a line end")
    return STATUS_LINES[response.status], found


class InboxEntrypoint(Entrypoint):  # type: ignore[misc]
    """A consumer as a nameko entrypoint: one managed thread reads, workers of the container process."""

    def __init__(
        self,
        handler: RecordHandler,
        consumer: Callable[[RecordHandler], Consumer],
        watched: dict[str, Watched],
        **kwargs: Any,
    ) -> None:
        self._inner, self._consumer, self._watched = handler, consumer, watched
        self._stop = threading.Event()
        self._thread: Any = None
        super().__init__(expected_exceptions=(PoisonRecord,), **kwargs)

    def start(self) -> None:
        consumer = self._consumer(_InWorkers(self._inner, self))
        self._watched[f"inbox {self._inner.group}"] = consumer
        self._thread = self.container.spawn_managed_thread(partial(consumer.run, self._stop))

    def stop(self) -> None:
        self._stop.set()
        self._thread.wait()

    def work(self, records: Sequence[Incoming]) -> None:
        """Process records in a worker; raises what processing raised."""
        done = Event()

        def finished(_context: Any, result: Any, exc_info: Any) -> Any:
            done.send(result, exc_info)
            return result, exc_info

        self.container.spawn_worker(self, (records,), {}, handle_result=finished)
        done.wait()


class _InWorkers:
    """A handler whose `process` runs in a nameko worker."""

    def __init__(self, inner: RecordHandler, entrypoint: InboxEntrypoint) -> None:
        self._inner, self._entrypoint = inner, entrypoint
        self.group = inner.group

    def topics(self) -> Sequence[str]:
        return self._inner.topics()

    def wanted(self) -> Mapping[str, type]:
        return self._inner.wanted()

    def offsets(self, sources: Sequence[str]) -> Mapping[str, int]:
        return self._inner.offsets(sources)

    def progress(self, topic: str) -> Sequence[Progress]:
        return self._inner.progress(topic)

    def process(self, records: Sequence[Incoming]) -> None:
        self._entrypoint.work(records)

    def forget(self) -> None:
        self._inner.forget()

    def is_current(self) -> bool:
        return self._inner.is_current()

    def idle(self) -> None:
        self._inner.idle()


def in_native_thread(wait: Callable[[], None]) -> None:
    """Wait for a disk in a native thread, while other requests go on."""
    tpool.execute(wait)


def later(work: Callable[[], None]) -> None:
    """Run work whose end nobody waits for; what it raises is logged."""

    def run() -> None:
        try:
            work()
        except Exception:
            log.exception("work after an answer failed")

    eventlet.spawn_n(run)


def http_service(
    routes: Sequence[Route],
    config: Config,
    listener: Listener,
    unknown: Route | None = None,
    require_room: Callable[[], None] = lambda: None,
) -> type:
    """The nameko service class that mounts these routes.  Raises ConfigError."""
    always = {route.path for route in routes if route.always}
    door = ConcurrencyLimit(config.max_in_progress, config.max_wait_seconds, always, require_room)
    server = _Server(Edge.of(config, unknown or unknown_route(routes), door, listener))
    entrypoint = type("RouteEntrypoint", (RouteEntrypoint,), {"server": server})
    methods: dict[str, Any] = {"name": "api"}
    for number, route in enumerate(routes):
        methods[f"{route.name}_{number}"] = _mounted(route, entrypoint)
    return type("ApiService", (), methods)


def _mounted(route: Route, entrypoint: type[RouteEntrypoint]) -> Any:
    def serve(_self: Any, request: HttpRequest) -> HttpResponse:
        return route.serve(request)

    return entrypoint.decorator(route)(serve)


def inbox_service(
    handler: RecordHandler, consumer: Callable[[RecordHandler], Consumer], watched: dict[str, Watched]
) -> type:
    """The nameko service class that runs an inbox by the consumer made for it, and puts that among what is watched."""

    def consume(_self: Any, records: Sequence[Incoming]) -> None:
        handler.process(records)

    entrypoint = InboxEntrypoint.decorator(handler, consumer, watched)(consume)
    return type("InboxService", (), {"name": f"{handler.group}-inbox", "consume": entrypoint})
