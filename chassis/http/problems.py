"""Whatever is raised becomes an answer: problem+json with a code of the specification (section 2.0)."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from urllib.parse import unquote

import msgspec
import structlog
from pymongo.errors import ExecutionTimeout, PyMongoError

from chassis.foundation import metrics
from chassis.http.messages import PROBLEM, HttpRequest, HttpResponse, Route
from chassis.http.requests import language_asked
from contracts.errors import STATUS, Refused
from contracts.languages import Language
from contracts.personal import KeysAway

log = structlog.get_logger()
_CORRELATION = re.compile(r"^[A-Za-z0-9._:-]{1,100}$")


def correlation_of(http: HttpRequest) -> str:
    """The caller's correlation id, if it sent a usable one."""
    text = http.headers.get("x-correlation-id", "")
    return text if _CORRELATION.match(text) else ""


ToldIn = Callable[[HttpRequest], Language]
"""In which language whoever sent a request is told of a refusal."""


def asked_in(http: HttpRequest) -> Language:
    """The language of what is told of a refusal, in a process that knows neither people nor a company."""
    return language_asked(http) or "en"


def in_language(language: Language) -> dict[str, str]:
    """The headers of an answer that was told in a language."""
    return {"Content-Language": language, "Vary": "Accept-Language"}


def problem(refusal: Refused, http: HttpRequest | None = None, told_in: ToldIn = asked_in) -> HttpResponse:
    """The answer that tells of a refusal, in the language that `told_in` says; English to whom nothing is known of."""
    language = told_in(http) if http else "en"
    body = refusal.problem(language)
    headers = in_language(language)
    if http is not None and (correlation := correlation_of(http)):
        body["correlation_id"] = correlation
    if refusal.code in ("OVERLOADED", "UNAVAILABLE", "RATE_LIMITED"):
        headers["Retry-After"] = "1"
    if refusal.code == "UNAUTHENTICATED":
        headers["WWW-Authenticate"] = "Bearer"
    if refusal.code == "METHOD_NOT_ALLOWED":
        headers["Allow"] = str(refusal.state)
    return HttpResponse(int(STATUS[refusal.code]), msgspec.json.encode(body), headers, PROBLEM)


def internal() -> Refused:
    return Refused("system.internal")


def guarded(route: Route, told_in: ToldIn = asked_in) -> Route:
    """Time the route and turn whatever is raised into a problem, in the language that `told_in` says."""

    def serve(http: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        try:
            response = route.serve(http)
        except Refused as refusal:
            response = problem(refusal, http, told_in)
        except ExecutionTimeout:
            response = problem(Refused("system.slow_query"), http, told_in)
        except KeysAway as error:
            log.warning("keys of persons unreachable", route=route.name, error=repr(error))
            response = problem(Refused("system.person_keys_away"), http, told_in)
        except PyMongoError as error:
            log.warning("read models unreachable", route=route.name, error=repr(error))
            response = problem(Refused("system.read_models_away"), http, told_in)
        except Exception:
            log.exception("request failed", route=route.name, correlation_id=correlation_of(http))
            response = problem(internal(), http, told_in)
        seconds = time.perf_counter() - started
        metrics.of(metrics.HTTP_SECONDS, route.name, str(response.status)).observe(seconds)
        if response.status >= 500:
            log.warning("http", route=route.name, status=response.status, seconds=round(seconds, 4))
        return response

    return replace(route, serve=serve)


def is_utf8(target: str) -> bool:
    """Whether what an address says, octet by octet, is text: two that are not must not be taken for the same."""
    try:
        unquote(target, errors="strict")
    except UnicodeDecodeError:
        return False
    return True


def unknown_route(known: Sequence[Route], told_in: ToldIn = asked_in) -> Route:
    """What serves the addresses and methods that nobody can serve: a problem that says what there is."""

    def serve(http: HttpRequest) -> HttpResponse:
        if not is_utf8(http.target):
            raise Refused("requests.address_encoding", field="path")
        path = unquote(http.target.partition("?")[0])  # as it is when its route is looked for
        others = {route.method for route in known if re.fullmatch(re.sub(r"{\w+}", "[^/]+", route.path), path)}
        if others:
            allowed = ", ".join(sorted(others | ({"HEAD"} if "GET" in others else set())))  # as it is served
            raise Refused("requests.method", path=path, method=http.method, state=allowed)
        raise Refused("requests.no_address", field="path")

    return guarded(Route("", "", "unknown", serve), told_in)
