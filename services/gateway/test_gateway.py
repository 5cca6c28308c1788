"""What the gateway asks of a request before its route: rates, origins, cookie sessions (PLT-01, SEC-31)."""

import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from chassis.access.tokens import TokenVerifier, issue
from chassis.foundation.config import Config, ConfigError
from chassis.http.messages import HttpRequest, HttpResponse, Route
from chassis.http.problems import guarded
from chassis.model.principal import Principal
from contracts import permissions
from contracts.access import SIGN_OUT_HERE
from contracts.declare import REGISTRY
from contracts.errors import Refused
from services.gateway.gateway import BEFORE_SIGN_IN, enter

ORIGIN = "https://crm.example"
LI, SESSION = uuid4(), uuid4()


class Desk:
    """A gateway before a few made-up routes, with an access service that hands out real tokens."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.refresh_token = "first"
        self.refreshed = 0
        self.ended: list[str] = []
        self.away = False
        self.seen: list[HttpRequest] = []
        self.in_exchange: Callable[[], None] = lambda: None
        routes = [
            Route("GET", "/livez", "livez", lambda http: HttpResponse(200)),
            Route("POST", "/orders", "AddOrder", self._order, "orders.edit"),
            Route("GET", "/orders", "orders", self._order, "orders.view"),
            Route("POST", "/sessions", "SignIn", self._sign_in),
            Route("POST", "/sessions/{session_id}/refresh", "RefreshSession", self._refresh),
            Route("DELETE", "/sessions/{session_id}", "SignOut", self._sign_out, permissions.SELF),
            Route("DELETE", "/sessions/current", SIGN_OUT_HERE, self._order, permissions.PASSWORD),
            Route("GET", "/varies", "varies", self._varies, permissions.PASSWORD),
        ]
        entered, self.unknown = enter(config, [guarded(route) for route in routes], TokenVerifier(config))
        self.routes = {(route.method, route.path): route for route in entered}

    def token(self, seconds: int = 600, user: UUID = LI, **more: Any) -> str:
        return issue(self.config, Principal(user, "Li", frozenset(), session_id=SESSION, **more), seconds=seconds)

    def call(
        self,
        route: str,
        body: Any = None,
        *,
        address: str = "203.0.113.9",
        path: Mapping[str, str] | None = None,
        **headers: str,
    ) -> HttpResponse:
        method, _, at = route.partition(" ")
        found = self.routes.get((method, at), self.unknown)
        sent = {"host": "api.example", **{name.replace("_", "-").lower(): value for name, value in headers.items()}}
        raw = iter([json.dumps(body).encode() if body is not None else b""])
        return found.serve(HttpRequest(sent, path or {}, {}, lambda: next(raw, b""), address, method, at))

    def _order(self, http: HttpRequest) -> HttpResponse:
        self.seen.append(http)
        return HttpResponse(200, b'{"id":"1"}')

    def _varies(self, http: HttpRequest) -> HttpResponse:
        return HttpResponse(200, b"{}", {"Vary": "Accept-Encoding"})

    def _tokens(self) -> HttpResponse:
        told = {
            "id": str(SESSION), "version": 2, "status": "SIGNED_IN", "user_id": str(LI), "access_token": self.token(),
            "token_type": "Bearer", "expires_in": 600, "refresh_token": self.refresh_token,
        }  # fmt: skip
        return HttpResponse(201, json.dumps(told).encode())

    def _sign_in(self, http: HttpRequest) -> HttpResponse:
        if json.loads(http.body())["password"] != "right":
            raise Refused("access.wrong", field="password")
        return self._tokens()

    def _refresh(self, http: HttpRequest) -> HttpResponse:
        self.in_exchange()
        if self.away:
            raise Refused("system.store_away")
        if json.loads(http.body())["refresh_token"] != self.refresh_token:
            raise Refused("access.ended", field="session_id")
        self.refreshed += 1
        self.refresh_token = f"fresh-{self.refreshed}"
        return self._tokens()

    def _sign_out(self, http: HttpRequest) -> HttpResponse:
        self.ended.append(http.path["session_id"])
        return HttpResponse(200, b'{"id":"1","version":3}')


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return replace(Config(), token_key_dir=str(tmp_path / "keys"), allowed_origins=ORIGIN)


@pytest.fixture
def desk(config: Config) -> Desk:
    return Desk(config)


def code_of(response: HttpResponse) -> str:
    return str(json.loads(response.body)["code"])


def cookies_in(response: HttpResponse) -> dict[str, str]:
    """The cookies an answer sets, by name, without what is said about them."""
    return dict(cookie.partition(";")[0].split("=", 1) for cookie in response.cookies)


def held(desk: Desk, seconds: int = 600, refresh: str = "first") -> str:
    return f"theme=dark; __Host-access={desk.token(seconds)}; __Host-refresh={SESSION}.{refresh}"


# -- cookie sessions


def test_the_tokens_of_a_sign_in_go_into_cookies_that_scripts_can_not_read(desk: Desk) -> None:
    response = desk.call(
        "POST /sessions", {"name": "li", "password": "right"}, Salestream_Session="cookie", Origin="https://api.example"
    )
    assert response.status == 201
    told = json.loads(response.body)
    assert told["status"] == "SIGNED_IN" and not {"access_token", "refresh_token"} & set(told)
    assert desk.refresh_token.encode() not in response.body
    access, refresh = response.cookies
    assert access.startswith("__Host-access=ey") and refresh.startswith(f"__Host-refresh={SESSION}.first;")
    for cookie in (access, refresh):
        assert {"Path=/", "HttpOnly", "SameSite=Strict", "Secure"} <= set(cookie.split("; "))
        assert "Domain" not in cookie


def test_without_tls_cookies_have_other_names_and_are_not_secure(config: Config) -> None:
    desk = Desk(replace(config, plain_http=1))
    response = desk.call(
        "POST /sessions", {"password": "right"}, Salestream_Session="cookie", Origin="http://api.example"
    )
    assert set(cookies_in(response)) == {"access", "refresh"}
    assert not any("Secure" in cookie for cookie in response.cookies)


def test_without_the_header_tokens_come_in_the_body_and_no_cookie_is_set(desk: Desk) -> None:
    response = desk.call("POST /sessions", {"password": "right"})
    assert "refresh_token" in json.loads(response.body) and not response.cookies


def test_a_failed_sign_in_sets_no_cookie(desk: Desk) -> None:
    response = desk.call("POST /sessions", {"password": "wrong"}, Salestream_Session="cookie", X_Requested_With="test")
    assert (response.status, list(response.cookies)) == (401, [])


def test_nobody_chooses_the_id_of_a_cookie_session(desk: Desk) -> None:
    body = {"password": "right", "session_id": str(uuid4())}
    response = desk.call("POST /sessions", body, Salestream_Session="cookie", X_Requested_With="test")
    assert (code_of(response), list(response.cookies)) == ("VALIDATION", [])


def test_signing_in_again_ends_the_former_session(desk: Desk) -> None:
    desk.call(
        "POST /sessions", {"password": "right"}, Salestream_Session="cookie", Cookie=held(desk), X_Requested_With="t"
    )
    assert desk.ended == [str(SESSION)]


def test_signing_in_again_ends_the_former_session_also_when_its_access_token_is_gone(desk: Desk) -> None:
    """A browser drops it after ten minutes; what renews it would be good for days."""
    refresh, at = f"__Host-refresh={SESSION}.first", {"session_id": str(SESSION)}
    desk.call(
        "POST /sessions", {"password": "right"}, Salestream_Session="cookie", Cookie=refresh, X_Requested_With="test"
    )
    assert desk.ended == [str(SESSION)]
    again = desk.call(
        "POST /sessions/{session_id}/refresh", {}, path=at, Salestream_Session="cookie", Cookie=refresh,
        X_Requested_With="test",
    )  # fmt: skip
    assert (again.status, list(again.cookies)) == (401, [])


def test_a_request_with_cookies_is_passed_on_with_a_bearer_token(desk: Desk) -> None:
    response = desk.call("GET /orders", Cookie=held(desk))
    assert (response.status, list(response.cookies), desk.refreshed) == (200, [], 0)
    assert desk.seen[-1].headers["authorization"].startswith("Bearer ey")


def test_a_bearer_token_goes_before_cookies(desk: Desk) -> None:
    token = desk.token(user=uuid4())
    assert desk.call("POST /orders", {}, Authorization=f"Bearer {token}", Cookie=held(desk)).status == 200
    assert desk.seen[-1].headers["authorization"] == f"Bearer {token}"


@pytest.mark.parametrize("seconds", [30, -100], ids=["about to end", "ended"])
def test_a_token_about_to_end_is_renewed_on_the_way(desk: Desk, seconds: int) -> None:
    response = desk.call("GET /orders", Cookie=held(desk, seconds))
    assert response.status == 200
    assert cookies_in(response)["__Host-refresh"] == f"{SESSION}.fresh-1"
    token = cookies_in(response)["__Host-access"]
    assert desk.seen[-1].headers["authorization"] == f"Bearer {token}"


def test_a_browser_that_dropped_the_access_cookie_stays_signed_in(desk: Desk) -> None:
    assert desk.call("GET /orders", Cookie=f"__Host-refresh={SESSION}.first").status == 200


def test_requests_with_the_same_old_token_share_one_exchange(desk: Desk) -> None:
    """While it is under way, and for a minute after: a second exchange would look like a theft."""
    all_there = threading.Barrier(8)
    waiting = threading.Event()

    def slow() -> None:
        waiting.wait(5)

    desk.in_exchange = slow

    def ask(_: int) -> HttpResponse:
        all_there.wait()
        return desk.call("GET /orders", Cookie=held(desk, 30))

    with ThreadPoolExecutor(8) as people:
        answers = [people.submit(ask, number) for number in range(8)]
        waiting.set()
        responses = [answer.result() for answer in answers]
    responses.append(desk.call("GET /orders", Cookie=held(desk, 30)))
    assert desk.refreshed == 1
    assert {response.status for response in responses} == {200}
    assert {cookies_in(response)["__Host-refresh"] for response in responses} == {f"{SESSION}.fresh-1"}


def test_a_refresh_token_that_was_used_long_ago_ends_the_session(desk: Desk) -> None:
    response = desk.call("GET /orders", Cookie=held(desk, -100, refresh="stolen"))
    assert code_of(response) == "UNAUTHENTICATED"
    assert cookies_in(response) == {"__Host-access": "", "__Host-refresh": ""}
    assert all("Max-Age=0" in cookie for cookie in response.cookies)


def test_a_token_that_is_still_good_is_used_while_it_can_not_be_renewed(desk: Desk) -> None:
    desk.away = True
    assert desk.call("GET /orders", Cookie=held(desk, 30)).status == 200
    response = desk.call("GET /orders", Cookie=held(desk, -100))
    assert (code_of(response), list(response.cookies)) == ("UNAVAILABLE", [])
    desk.away = False
    assert desk.call("GET /orders", Cookie=held(desk, -100)).status == 200, "a failure is not shared afterwards"


def test_a_client_may_refresh_by_itself(desk: Desk) -> None:
    at, path = "POST /sessions/{session_id}/refresh", {"session_id": str(SESSION)}
    headers: dict[str, Any] = {"Salestream_Session": "cookie", "X_Requested_With": "test"}
    response = desk.call(at, {}, path=path, Cookie=held(desk), **headers)
    assert cookies_in(response)["__Host-refresh"] == f"{SESSION}.fresh-1"
    assert not {"access_token", "refresh_token"} & set(json.loads(response.body))
    other = desk.call(at, {}, path={"session_id": str(uuid4())}, Cookie=held(desk), **headers)
    assert code_of(other) == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    "written",
    [str(SESSION).upper(), f"{{{SESSION}}}", SESSION.hex, f"urn:uuid:{SESSION}"],
    ids=["capitals", "braces", "no dashes", "URN"],
)
def test_a_client_may_write_its_session_as_any_id_is_written(desk: Desk, written: str) -> None:
    at, path = "POST /sessions/{session_id}/refresh", {"session_id": written}
    headers: dict[str, Any] = {"Salestream_Session": "cookie", "X_Requested_With": "test"}
    response = desk.call(at, {}, path=path, Cookie=held(desk), **headers)
    assert cookies_in(response)["__Host-refresh"] == f"{SESSION}.fresh-1"


def test_signing_out_takes_the_cookies_away(desk: Desk) -> None:
    path = {"session_id": str(SESSION)}
    response = desk.call("DELETE /sessions/{session_id}", path=path, Cookie=held(desk), X_Requested_With="test")
    assert response.status == 200
    assert cookies_in(response) == {"__Host-access": "", "__Host-refresh": ""}


def test_sec_11_signing_out_without_the_id_takes_the_cookies_away_too(desk: Desk) -> None:
    response = desk.call("DELETE /sessions/current", Cookie=held(desk), X_Requested_With="test")
    assert response.status == 200
    assert cookies_in(response) == {"__Host-access": "", "__Host-refresh": ""}
    assert code_of(desk.call("DELETE /sessions/current", Cookie=held(desk))) == "FORBIDDEN", "another site's page"


def test_what_an_answer_varies_with_is_told_whole(desk: Desk) -> None:
    """Beside the origin stands what the route says itself: a cache goes by both."""
    response = desk.call("GET /varies", Authorization=f"Bearer {desk.token()}", Origin=ORIGIN)
    assert response.headers["Vary"] == "Accept-Encoding, Origin"


@pytest.mark.parametrize(
    "cookie", ["__Host-access=", "__Host-refresh=x", "__Host-access=a.b.c; __Host-refresh=..", "=;;="]
)
def test_a_cookie_that_is_none_of_ours_is_no_sign_in(desk: Desk, cookie: str) -> None:
    assert code_of(desk.call("GET /orders", Cookie=cookie)) == "UNAUTHENTICATED"


# -- where requests come from


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({"Origin": "https://api.example"}, True),
        ({"Origin": ORIGIN}, True),
        ({"Sec_Fetch_Site": "same-origin"}, True),
        ({"X_Requested_With": "console"}, True),
        ({}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "http://api.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "https://evil.example", "Sec_Fetch_Site": "same-origin"}, False),
        ({"Origin": "https://evil.example", "X_Requested_With": "console"}, False),
        ({"Sec_Fetch_Site": "cross-site"}, False),
        ({"Sec_Fetch_Site": "same-site"}, False),
        ({"Sec_Fetch_Site": "cross-site", "X_Requested_With": "console"}, False),
        ({"Sec_Fetch_Site": "none"}, False),
    ],
    ids=str,
)
def test_with_cookies_only_our_own_pages_change_something(desk: Desk, headers: dict[str, Any], passes: bool) -> None:
    response = desk.call("POST /orders", {}, Cookie=held(desk), **headers)
    assert response.status == (200 if passes else 403)
    assert passes or (code_of(response) == "FORBIDDEN" and not desk.seen)
    assert desk.call("GET /orders", Cookie=held(desk), **headers).status == 200, "reading changes nothing"


def test_a_foreign_page_signs_nobody_in(desk: Desk) -> None:
    response = desk.call(
        "POST /sessions", {"password": "right"}, Salestream_Session="cookie", Origin="https://evil.example"
    )
    assert (code_of(response), list(response.cookies)) == ("FORBIDDEN", [])


def test_bearer_tokens_need_no_origin(desk: Desk) -> None:
    response = desk.call("POST /orders", {}, Authorization=f"Bearer {desk.token()}", Origin="https://evil.example")
    assert response.status == 200
    assert "Access-Control-Allow-Origin" not in response.headers


def test_a_listed_origin_may_read_answers_and_asks_first(desk: Desk) -> None:
    response = desk.call("GET /orders", Cookie=held(desk), Origin=ORIGIN)
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert response.headers["Access-Control-Allow-Credentials"] == "true"
    assert "Salestream-Consistency" in response.headers["Access-Control-Expose-Headers"]
    asked = desk.call("OPTIONS /orders", Origin=ORIGIN, Access_Control_Request_Method="POST")
    assert (asked.status, asked.body) == (204, b"")
    assert "If-Match" in asked.headers["Access-Control-Allow-Headers"]
    assert asked.headers["Access-Control-Allow-Origin"] == ORIGIN
    problem = desk.call("GET /orders", Origin=ORIGIN)
    assert problem.status == 401 and problem.headers["Access-Control-Allow-Origin"] == ORIGIN


def test_another_origin_is_told_nothing(desk: Desk, config: Config) -> None:
    for made in (desk, Desk(replace(config, allowed_origins=""))):
        asked = made.call("OPTIONS /orders", Origin="https://evil.example", Access_Control_Request_Method="POST")
        assert asked.status == 405
        assert not [name for name in asked.headers if name.startswith("Access-Control")]


@pytest.mark.parametrize("origin", ["*", "crm.example", "https://crm.example/", "https://*.example", "null"])
def test_an_origin_that_is_none_is_named(config: Config, origin: str) -> None:
    with pytest.raises(ConfigError, match="ALLOWED_ORIGINS"):
        Desk(replace(config, allowed_origins=origin))


# -- rates


def test_an_address_and_a_user_have_a_limit_each(config: Config) -> None:
    desk = Desk(replace(config, rate_limit_address="6/minute", rate_limit_user="4/minute"))

    def ask(user: UUID, address: str) -> HttpResponse:
        return desk.call("GET /orders", address=address, Authorization=f"Bearer {desk.token(user=user)}")

    assert [ask(LI, "203.0.113.1").status for _ in range(4)] == [200] * 4
    response = ask(LI, "203.0.113.2")
    assert (response.status, code_of(response), json.loads(response.body)["state"]) == (429, "RATE_LIMITED", "user")
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert response.headers["RateLimit-Policy"] == '"user";q=4;w=60'
    assert response.headers["RateLimit"].startswith('"user";r=0;t=')
    assert [ask(uuid4(), "203.0.113.1").status for _ in range(3)] == [200, 200, 429]
    assert ask(uuid4(), "203.0.113.2").status == 200
    assert desk.call("GET /livez", address="203.0.113.1").status == 200, "health checks are never limited"


def test_who_comes_near_a_limit_is_told(config: Config) -> None:
    desk = Desk(replace(config, rate_limit_user="10/minute"))
    asked = [
        desk.call("GET /orders", Authorization=f"Bearer {desk.token()}").headers.get("RateLimit") for _ in range(10)
    ]
    assert asked[:8] == [None] * 8 and str(asked[9]).startswith('"user";r=0;t=')


def test_signing_in_has_a_tighter_limit(config: Config) -> None:
    desk = Desk(replace(config, rate_limit_sign_in="3/minute"))

    def guess(address: str) -> int:
        return desk.call("POST /sessions", {"password": "wrong"}, address=address).status

    assert [guess("203.0.113.1") for _ in range(4)] == [401, 401, 401, 429]
    assert guess("203.0.113.2") == 401
    assert [guess(f"2001:db8::{number}") for number in range(4)] == [401, 401, 401, 429], "a /64 is one client"
    assert guess("2001:db8:0:1::1") == 401


def test_every_public_command_is_limited_tightly_or_needs_a_secret_nobody_guesses() -> None:
    public = {spec.name for spec in REGISTRY.load().commands.values() if spec.permission == permissions.PUBLIC}
    assert public >= BEFORE_SIGN_IN
    assert public - BEFORE_SIGN_IN == {"RefreshSession", "ContactFromDevice", "AcknowledgeWipe"}
    assert public >= {spec.name for spec in REGISTRY.load().commands.values() if spec.signs_in}


def test_without_a_token_nothing_but_public_routes_is_reached(desk: Desk) -> None:
    assert code_of(desk.call("GET /orders")) == "UNAUTHENTICATED"
    assert code_of(desk.call("GET /orders", Authorization="Bearer x.y.z")) == "UNAUTHENTICATED"
    assert not desk.seen
