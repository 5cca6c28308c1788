"""nameko's side of the edge: serves `chassis.api` routes over HTTP and runs inboxes as nameko entrypoints.

The only module that imports nameko and eventlet.  One HTTP service class a process mounts the routes of all services
in it: two would share the port and answer each other's requests with 404 (design, section 6).
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from logging import getLogger
from typing import Any, ParamSpec, TypeVar

import eventlet
import structlog
from eventlet import tpool, wsgi
from eventlet.event import Event
from eventlet.semaphore import Semaphore
from nameko.extensions import Entrypoint
from nameko.web.handlers import HttpRequestHandler
from nameko.web.server import HttpOnlyProtocol, WebServer, WsgiApp
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request as WerkzeugRequest
from werkzeug.wrappers import Response

from chassis.addresses import Proxies, networks
from chassis.api import HttpRequest, HttpResponse, Route, problem, unknown_routes
from chassis.config import Config
from chassis.consumer import Consumer, Handler, Progress
from chassis.kafka import Incoming, PoisonRecord
from contracts.errors import Refused

log = structlog.get_logger()

P = ParamSpec("P")
T = TypeVar("T")

SOCKET_SECONDS = 60
WORKERS = 1_000
ANSWER_SECONDS = 10.0
QUIET_LOOKS = 5


class _Protocol(HttpOnlyProtocol):  # type: ignore[misc]
    minimum_chunk_size = 8192


class _Server(WebServer):  # type: ignore[misc]
    """nameko's web server without an access log line a request, with a limit on idle sockets and a graceful end."""

    def __init__(self) -> None:
        super().__init__()
        self._states: list[list[Any]] = []

    def get_wsgi_server(self, sock: Any, wsgi_app: Any, protocol: Any = _Protocol, debug: bool = False) -> Any:
        return wsgi.Server(
            sock,
            sock.getsockname(),
            wsgi_app,
            protocol=protocol,
            debug=debug,
            log=getLogger("nameko.web"),
            log_output=False,
            socket_timeout=SOCKET_SECONDS,
        )

    def get_wsgi_app(self) -> Any:
        return _App(self)

    def process_request(self, sock: Any, address: Any) -> None:
        """Serve one connection; eventlet keeps in its state whether a request is under way."""
        state = [address, sock, wsgi.STATE_IDLE]
        self._states.append(state)
        try:
            self._serv.process_request(state)
        finally:
            self._states.remove(state)

    def stop(self) -> None:
        """Take no new connections, and answer what has been asked on those there are (bounded)."""
        self._is_accepting = False
        self._gt.kill()
        self._take_waiting_connections()
        self._sock.close()
        deadline = time.monotonic() + ANSWER_SECONDS
        quiet = 0
        while quiet < QUIET_LOOKS and time.monotonic() < deadline:
            quiet = 0 if any(state[2] == wsgi.STATE_REQUEST for state in self._states) else quiet + 1
            eventlet.sleep(0.01)
        super().stop()

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
    """Answers unknown addresses and unreadable requests with problems too."""

    def __init__(self, server: Any) -> None:
        super().__init__(server)
        self._adapter = self.url_map.bind("salestream")  # routes name no host, so one adapter serves all requests

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        try:
            request = WerkzeugRequest(environ)
            provider, values = self._adapter.match(request.path, request.method)
            request.path_values = values  # type: ignore[attr-defined]
            response = provider.handle_request(request)
        except HTTPException:
            method = str(environ.get("REQUEST_METHOD", ""))
            known = [entrypoint.route for entrypoint in self.server._providers]
            refusal = unknown_routes(known, str(environ.get("PATH_INFO", "")), method)
            response = _to_werkzeug(problem(refusal))
        except Exception:
            log.exception("request failed before its route")
            response = _to_werkzeug(problem(Refused("INTERNAL", "Something went wrong on our side.")))
        return response(environ, start_response)


class RouteEntrypoint(HttpRequestHandler):  # type: ignore[misc]
    """One route as a nameko entrypoint: a worker of the container serves each request."""

    server = _Server()

    def __init__(self, route: Route, max_body: int, proxies: Proxies, **kwargs: Any) -> None:
        self.route = route
        self.max_body = max_body
        self.proxies = proxies
        super().__init__(route.method, _werkzeug_path(route.path), **kwargs)

    def handle_request(self, request: WerkzeugRequest) -> Response:
        done = Event()
        arguments = (_from_werkzeug(request, self.max_body, self.proxies),)
        self.container.spawn_worker(self, arguments, {}, handle_result=partial(self.handle_result, done))
        response: HttpResponse = done.wait()
        return _to_werkzeug(response)


def _werkzeug_path(path: str) -> str:
    return path.replace("{", "<").replace("}", ">")


def _from_werkzeug(request: WerkzeugRequest, max_body: int, proxies: Proxies) -> HttpRequest:
    environ = request.environ
    headers = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name[:5] == "HTTP_"}
    headers["content-type"] = environ.get("CONTENT_TYPE", "")

    def body() -> bytes:
        request.max_content_length = max_body + 1  # werkzeug cuts a chunked body off here without a word
        if headers.get("transfer-encoding", "").lower() == "chunked":
            environ["wsgi.input_terminated"] = True  # eventlet's stream ends with the last chunk: werkzeug may read it
        too_large = Refused("TOO_LARGE", f"The body may have at most {max_body} bytes.")
        try:
            data = request.get_data(cache=False)
        except RequestEntityTooLarge as error:
            raise too_large from error
        except (HTTPException, OSError, ValueError) as error:
            raise Refused("VALIDATION", "The body could not be read to its end.", field="body") from error
        if len(data) > max_body:
            raise too_large
        return data

    path: Mapping[str, str] = request.path_values  # type: ignore[attr-defined]
    query = {name: request.args.getlist(name) for name in request.args} if environ.get("QUERY_STRING") else {}
    address = proxies.client_of(environ["REMOTE_ADDR"], environ.get("HTTP_X_FORWARDED_FOR", ""))
    return HttpRequest(headers, path, query, body, address)


def _to_werkzeug(response: HttpResponse) -> Response:
    return Response(
        response.body,
        response.status,
        dict(response.headers),
        content_type=response.content_type,
        direct_passthrough=True,
    )


class InboxEntrypoint(Entrypoint):  # type: ignore[misc]
    """A consumer as a nameko entrypoint: one managed thread reads, workers of the container process."""

    def __init__(self, config: Config, handler: Handler, producer: Callable[[], Any], **kwargs: Any) -> None:
        self._config, self._inner, self._producer = config, handler, producer
        self._stop = threading.Event()
        self._thread: Any = None
        super().__init__(expected_exceptions=(PoisonRecord,), **kwargs)

    def start(self) -> None:
        consumer = Consumer(self._config, _InWorkers(self._inner, self), self._producer)
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

    def __init__(self, inner: Handler, entrypoint: InboxEntrypoint) -> None:
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

    def idle(self) -> None:
        self._inner.idle()


class SlowWork:
    """Runs work that takes long (a password's hash) in native threads, so that other requests go on meanwhile.

    As many at once as there are threads to win by; with `waiting` more in line the next is refused with OVERLOADED.
    """

    def __init__(self, at_once: int = 2, waiting: int = 100) -> None:
        tpool.set_num_threads(at_once)
        self._turn = Semaphore(at_once)
        self._most = at_once + waiting
        self._inside = 0

    def __call__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._inside >= self._most:
            raise Refused("OVERLOADED", "Too many people sign in at this moment; try again in a second.")
        self._inside += 1
        try:
            with self._turn:
                result: T = tpool.execute(function, *args, **kwargs)
                return result
        finally:
            self._inside -= 1


def later(work: Callable[[], None]) -> None:
    """Run work whose end nobody waits for; what it raises is logged."""

    def run() -> None:
        try:
            work()
        except Exception:
            log.exception("work after an answer failed")

    eventlet.spawn_n(run)


def http_service(routes: Sequence[Route], config: Config) -> type:
    """The nameko service class that mounts these routes."""
    proxies = Proxies(networks(config.trusted_proxies, "TRUSTED_PROXIES"))
    methods: dict[str, Any] = {"name": "api"}
    for number, route in enumerate(routes):
        methods[f"{route.name}_{number}"] = _mounted(route, config.max_body_bytes, proxies)
    return type("ApiService", (), methods)


def _mounted(route: Route, max_body: int, proxies: Proxies) -> Any:
    def serve(_self: Any, request: HttpRequest) -> HttpResponse:
        return route.serve(request)

    return RouteEntrypoint.decorator(route, max_body, proxies)(serve)


def inbox_service(config: Config, handler: Handler, producer: Callable[[], Any]) -> type:
    """The nameko service class that runs an inbox."""

    def consume(_self: Any, records: Sequence[Incoming]) -> None:
        handler.process(records)

    entrypoint = InboxEntrypoint.decorator(config, handler, producer)(consume)
    return type("InboxService", (), {"name": f"{handler.group}-inbox", "consume": entrypoint})
