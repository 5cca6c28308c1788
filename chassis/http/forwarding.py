"""Routes of services in other processes: a request is passed on by HTTP, and the answer comes back as it is."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, closing
from tempfile import SpooledTemporaryFile
from urllib.parse import urlsplit

import structlog
import urllib3

from chassis.catalogue import Catalogue, views_of
from chassis.foundation.config import Config, ConfigError
from chassis.http.messages import ANSWER_SECONDS, JSON, HttpRequest, HttpResponse, Route, Serve
from chassis.http.origins import SESSION_HEADER
from chassis.http.problems import ToldIn, asked_in, guarded
from chassis.http.routes import ServesOfView, command_routes, operation_routes, view_routes
from chassis.queries.exports import PIECE, FileBody
from contracts.declare import REGISTRY
from contracts.errors import Refused
from contracts.operations import PLATFORM_OPERATIONS
from contracts.permissions import PUBLIC

log = structlog.get_logger()

CONNECT_SECONDS = 2.0
CONNECTIONS = 256
HOP_BY_HOP = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade",
    }
)  # fmt: skip
"""Headers of one connection (RFC 9110, 7.6.1): they are never passed on."""
OURS = frozenset({"host", "content-length", "expect", "cookie", SESSION_HEADER.lower(), "forwarded", "x-forwarded-for"})
"""Headers of a request that are made anew, or are the gateway's own business."""
SERVERS = frozenset({"content-length", "content-type", "date", "server", "set-cookie"})
"""Headers of an answer that this process makes itself."""
IN_MEMORY = 1_000_000
"""Bytes: a longer answer, an export, is passed on by way of a temporary file."""


class Forwarder:
    """Passes requests on to other services.  `SERVICE_ADDRESS` tells where each is."""

    def __init__(self, config: Config) -> None:
        self._template = config.service_address
        self._most = config.max_file_bytes
        try:
            parts = urlsplit(self._template.format(service="orders"))
        except (KeyError, ValueError, IndexError):
            parts = urlsplit("")
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path:
            example = "http://{service}:8000"
            raise ConfigError(f"SERVICE_ADDRESS={self._template!r} must be an address such as {example}")
        # A connection that was not made can be tried again; a request that was sent only when it changes nothing.
        retries = urllib3.Retry(total=1, redirect=False, status=False, allowed_methods={"GET"})
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=ANSWER_SECONDS + CONNECT_SECONDS)
        self._pools = urllib3.PoolManager(num_pools=50, maxsize=CONNECTIONS, retries=retries, timeout=timeout)

    def to(self, service: str, *, takes_file: bool = False) -> Serve:
        """What serves the routes of a service by asking it; a file is passed on piece by piece."""
        address = self._template.format(service=service)

        def serve(http: HttpRequest) -> HttpResponse:
            if takes_file:
                with closing(http.stream(self._most)) as pieces:
                    return self._ask(service, address, http, pieces)
            return self._ask(service, address, http, http.body())

        return serve

    def _ask(self, service: str, address: str, http: HttpRequest, sent: bytes | Iterator[bytes]) -> HttpResponse:
        with ExitStack() as held:
            body = held.enter_context(SpooledTemporaryFile(IN_MEMORY))
            try:
                answer = held.enter_context(closing(self._send(address, http, sent)))
                for piece in answer.stream(PIECE, decode_content=False):
                    body.write(piece)
            except urllib3.exceptions.HTTPError as error:
                log.warning("service can't be reached", service=service, error=repr(error))
                raise _away(service) from error
            if answer.status in (502, 504):
                log.warning("service can't be reached", service=service, status=answer.status)
                raise _away(service)
            headers = passed_on({name: value for name, value in answer.headers.items()}, SERVERS)
            content_type = answer.headers.get("Content-Type", JSON)
            if body.tell() <= IN_MEMORY:
                body.seek(0)
                return HttpResponse(answer.status, body.read(), headers, content_type)
            held.pop_all()  # the file is closed when it has been sent
            return HttpResponse(answer.status, b"", headers, content_type, file=FileBody(body, headers))

    def _send(self, address: str, http: HttpRequest, sent: bytes | Iterator[bytes]) -> urllib3.BaseHTTPResponse:
        return self._pools.request(
            "GET" if http.method == "HEAD" else http.method,  # what is sent to the client then is no body anyway
            address + http.target,
            body=sent,
            headers=passed_on(http.headers, OURS) | {"X-Forwarded-For": http.address},
            redirect=False,
            decode_content=False,
            preload_content=False,
        )


def _away(service: str) -> Refused:
    return Refused("system.service_away", state=service)


def passed_on(headers: Mapping[str, str], without: Collection[str]) -> dict[str, str]:
    """The headers that are meant for who is at the end: no hop-by-hop ones, nor those that Connection names."""
    named = {name.strip().lower() for name in _value(headers, "connection").split(",")}
    dropped = {*HOP_BY_HOP, *without, *named}
    return {name: value for name, value in headers.items() if name.lower() not in dropped and value}


def _value(headers: Mapping[str, str], name: str) -> str:
    return next((value for key, value in headers.items() if key.lower() == name), "")


def forwarded_routes(config: Config, here: Catalogue, everywhere: Catalogue, told_in: ToldIn = asked_in) -> list[Route]:
    """The routes of all services that do not run in this process.  Raises ConfigError."""
    away = {name for name in everywhere.roles if name not in here.roles}
    if not away:
        return []
    forwarder = Forwarder(config)
    found: list[Route] = []
    for service, own in everywhere.routes():
        if service in away and not (own.everywhere and here.with_role("api")):
            found.append(own.served_by(forwarder.to(service, takes_file=own.takes_file)))
    for spec in REGISTRY.commands.values():
        if spec.service in away:
            serve = forwarder.to(spec.service)
            found += command_routes(spec, serve, serve, serve, always=spec.permission == PUBLIC)
    for name in everywhere.with_role("queries"):
        if name in away:
            for view in views_of(name):
                found += view_routes(view, ServesOfView(*[forwarder.to(name)] * len(ServesOfView._fields)))
            found += operation_routes(dict.fromkeys((one.name for one in PLATFORM_OPERATIONS), forwarder.to(name)))
    return [guarded(route, told_in) for route in found]
