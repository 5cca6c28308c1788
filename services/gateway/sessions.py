"""Sign-ins kept in cookies: for the console, whose scripts never see a token.

A client asks for it with the header `Salestream-Session: cookie` where it would get tokens: signing in, second proof,
refreshing.  The tokens of the answer are then put into two cookies that scripts can't read.  A request that comes with
them is passed on with the access token as its bearer; when that is about to end, the gateway exchanges the refresh
token by itself.
"""

import json
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import msgspec

from chassis.access.tokens import TokenVerifier
from chassis.foundation.config import Config
from chassis.http.messages import ANSWER_SECONDS, JSON, HttpRequest, HttpResponse, Route, Serve
from chassis.http.origins import SESSION_HEADER
from chassis.http.requests import json_body
from contracts.access import SIGN_OUT_HERE, ProveIdentity, RefreshSession, SignIn, SignOut
from contracts.errors import Refused
from contracts.ids import canonical

COOKIE = "cookie"  # what SESSION_HEADER says
AHEAD_SECONDS = 60.0  # a token that ends within this time is renewed
SHARED_SECONDS = 60.0  # so long a renewal is handed to everybody who still comes with the old token


@dataclass(frozen=True)
class _Tokens:
    """What a sign-in or a refresh gave; `told` is the rest of its answer, for the client."""

    access: str
    refresh: str
    seconds: int
    told: dict[str, Any]


class CookieSessions:
    """Puts tokens into cookies, and takes them out again."""

    def __init__(
        self,
        config: Config,
        routes: Sequence[Route],
        verifier: TokenVerifier,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        prefix, self._secure = ("", "") if config.plain_http else ("__Host-", "; Secure")
        self._access, self._refresh = f"{prefix}access", f"{prefix}refresh"
        self._mentions = (f"{self._access}=", f"{self._refresh}=")
        self._routes = {route.name: route for route in routes}
        self._verifier = verifier
        self._clock = clock
        self._renewals: dict[str, tuple[float, Future[_Tokens]]] = {}
        self._lock = threading.Lock()

    # -- requests

    def concerns(self, http: HttpRequest) -> bool:
        """Whether a request comes with our cookies or asks for them.  One with a bearer token goes by that alone."""
        headers = http.headers
        if SESSION_HEADER.lower() in headers:
            return True
        cookie = headers.get("cookie")
        return cookie is not None and "authorization" not in headers and any(one in cookie for one in self._mentions)

    def admit(self, http: HttpRequest, needs_caller: bool) -> tuple[HttpRequest, Sequence[str]]:
        """The request with the access token as its bearer, and the cookies to be set if that was renewed.

        Raises Refused UNAVAILABLE when it can't be renewed now.
        """
        if not needs_caller or "authorization" in http.headers:
            return http, ()
        held = cookies_of(http)
        access, refresh = held.get(self._access, ""), held.get(self._refresh, "")
        left = self._verifier.good_for(access) if access else 0.0
        if left > AHEAD_SECONDS or not refresh:
            return (_as_bearer(http, access) if access else http), ()
        try:
            renewed = self._renew(refresh, http)
        except Refused as refusal:
            if refusal.code == "UNAUTHENTICATED":
                return http, self._no_cookies()
            if left > 0:
                return _as_bearer(http, access), ()
            raise
        return _as_bearer(http, renewed.access), self._cookies(renewed)

    def around(self, route: Route) -> Serve:
        """What serves a route for clients with cookie sessions."""
        if route.name in (SignIn.__name__, ProveIdentity.__name__):
            return self._signing_in(route)
        if route.name == RefreshSession.__name__:
            return self._refreshing(route)
        if route.name in (SignOut.__name__, SIGN_OUT_HERE):
            return self._signing_out(route)
        return route.serve

    # -- the routes that begin, renew and end a session

    def _signing_in(self, route: Route) -> Serve:
        def serve(http: HttpRequest) -> HttpResponse:
            if not _asks_for_cookies(http):
                return route.serve(http)
            body = http.body()  # can be read once only
            http = replace(http, body=lambda: body)
            if route.name == SignIn.__name__ and "session_id" in json_body(http):
                # Who could choose the id of somebody else's session would know it afterwards (session fixation).
                raise Refused("gateway.server_chooses", field="session_id")
            response = route.serve(http)
            if response.status >= 400 or (tokens := _tokens_of(response)) is None:
                return response
            self._end_former(http)
            return replace(response, body=msgspec.json.encode(tokens.told), cookies=self._cookies(tokens))

        return serve

    def _refreshing(self, route: Route) -> Serve:
        def serve(http: HttpRequest) -> HttpResponse:
            if not _asks_for_cookies(http):
                return route.serve(http)
            held = cookies_of(http).get(self._refresh, "")
            if held.partition(".")[0] != canonical(http.path["session_id"]):
                raise Refused("gateway.no_cookie", field="session_id")
            renewed = self._renew(held, http)
            return HttpResponse(200, msgspec.json.encode(renewed.told), cookies=self._cookies(renewed))

        return serve

    def _signing_out(self, route: Route) -> Serve:
        def serve(http: HttpRequest) -> HttpResponse:
            response = route.serve(http)
            if response.status < 400 and any(one in http.headers.get("cookie", "") for one in self._mentions):
                return replace(response, cookies=self._no_cookies())
            return response

        return serve

    def _end_former(self, http: HttpRequest) -> None:
        """Who signs in anew in the same browser leaves no other session behind; one that has ended stays ended.

        A browser drops the access token after minutes, and keeps what renews it: that is exchanged once more then.
        """
        held = cookies_of(http)
        access, refresh = held.get(self._access, ""), held.get(self._refresh, "")
        session_id = refresh.partition(".")[0]
        if refresh and not access:
            with suppress(Refused):  # it has ended
                access = self._renew(refresh, http).access
        with self._lock:
            self._renewals.pop(refresh, None)  # nobody is to be given these tokens any more
        if access and session_id:
            request = internal(http, "DELETE", f"/sessions/{session_id}", {"session_id": session_id}, {})
            self._routes[SignOut.__name__].serve(_as_bearer(request, access))

    # -- renewing

    def _renew(self, refresh: str, http: HttpRequest) -> _Tokens:
        """New tokens for a refresh token: exchanged once, and shared by all who come with the same one meanwhile.

        A second exchange would look like a theft and end the session (ADR 0015).
        """
        now = self._clock()
        with self._lock:
            self._renewals = {key: held for key, held in self._renewals.items() if held[0] > now - SHARED_SECONDS}
            held = self._renewals.get(refresh)
            future: Future[_Tokens] = held[1] if held else Future()
            if held is None:
                self._renewals[refresh] = (now, future)
        if held is None:
            try:
                future.set_result(self._exchange(refresh, http))
            except BaseException as error:
                future.set_exception(error)
                if not isinstance(error, Refused) or error.code != "UNAUTHENTICATED":
                    with self._lock:
                        self._renewals.pop(refresh, None)
        return future.result(timeout=ANSWER_SECONDS)

    def _exchange(self, refresh: str, http: HttpRequest) -> _Tokens:
        session_id, _, token = refresh.partition(".")
        try:
            UUID(session_id)
        except ValueError as error:
            raise Refused("gateway.other_cookie", field="Cookie") from error
        body = {"refresh_token": token}
        request = internal(http, "POST", f"/sessions/{session_id}/refresh", {"session_id": session_id}, body)
        response = self._routes[RefreshSession.__name__].serve(request)
        if response.status >= 500:
            raise Refused("gateway.no_renewal", state=SESSION_HEADER)
        if response.status >= 400:
            raise Refused("access.ended", field="Cookie")
        tokens = _tokens_of(response)
        assert tokens is not None, "a refresh that succeeds gives tokens"
        return tokens

    # -- cookies

    def _cookies(self, tokens: _Tokens) -> list[str]:
        """They end with the browser at the latest: neither says for how long it is to be kept beyond that."""
        session_id = tokens.told["id"]
        return [
            self._cookie(self._access, tokens.access, f"; Max-Age={tokens.seconds}"),
            self._cookie(self._refresh, f"{session_id}.{tokens.refresh}"),
        ]

    def _no_cookies(self) -> list[str]:
        return [self._cookie(name, "", "; Max-Age=0") for name in (self._access, self._refresh)]

    def _cookie(self, name: str, value: str, more: str = "") -> str:
        return f"{name}={value}; Path=/; HttpOnly; SameSite=Strict{self._secure}{more}"


def cookies_of(http: HttpRequest) -> dict[str, str]:
    """The cookies of a request by name; the first of a name counts."""
    found: dict[str, str] = {}
    for part in http.headers.get("cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        found.setdefault(name, value)
    return found


def _asks_for_cookies(http: HttpRequest) -> bool:
    asked = http.headers.get(SESSION_HEADER.lower())
    if asked is not None and asked.lower() != COOKIE:
        raise Refused("gateway.only_value", value=COOKIE, field=SESSION_HEADER)
    return asked is not None


def _as_bearer(http: HttpRequest, token: str) -> HttpRequest:
    return replace(http, headers={**http.headers, "authorization": f"Bearer {token}"})


def internal(http: HttpRequest, method: str, target: str, path: dict[str, str], body: dict[str, Any]) -> HttpRequest:
    """A request of our own on behalf of a client's."""
    kept = {name: http.headers[name] for name in ("x-correlation-id", "traceparent") if name in http.headers}
    headers = {**kept, "content-type": JSON}
    return HttpRequest(headers, path, {}, lambda: msgspec.json.encode(body), http.address, method, target)


def _tokens_of(response: HttpResponse) -> _Tokens | None:
    """The tokens an answer holds; None when there are none, as while a second proof is awaited."""
    told = json.loads(response.body)
    if "refresh_token" not in told:
        return None
    access, refresh = told.pop("access_token"), told.pop("refresh_token")
    del told["token_type"]
    return _Tokens(access, refresh, told["expires_in"], told)
