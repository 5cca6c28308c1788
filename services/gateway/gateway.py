"""What every request from outside passes before its route: rates, who calls, where it comes from, cookie sessions."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import structlog

from chassis.access.tokens import TokenVerifier
from chassis.foundation import metrics
from chassis.foundation.addresses import household
from chassis.foundation.config import Config
from chassis.foundation.rate_limits import Quota, RateLimit, open_storage
from chassis.http.messages import OPERATIONS, HttpRequest, HttpResponse, Route
from chassis.http.origins import Origins
from chassis.http.problems import ToldIn, asked_in, problem, unknown_route
from contracts.access import (
    DrawChallenge,
    GetMachineToken,
    ProveIdentity,
    RegisterUser,
    RequestPasswordReset,
    ResetPassword,
    SignIn,
)
from contracts.errors import Portable, Refused
from contracts.permissions import PUBLIC
from services.gateway.pages import page_routes
from services.gateway.sessions import CookieSessions

log = structlog.get_logger()

BEFORE_SIGN_IN = frozenset(
    command.__name__
    for command in (
        DrawChallenge, GetMachineToken, ProveIdentity, RegisterUser, RequestPasswordReset, ResetPassword, SignIn,
    )
)  # fmt: skip
"""Routes where guessing, flooding or filling is tried by people who are not signed in: a tighter limit."""


def enter(
    config: Config, routes: Sequence[Route], verifier: TokenVerifier, told_in: ToldIn = asked_in
) -> tuple[list[Route], Route]:
    """The routes as they are entered from outside, and what serves any other address.  Raises ConfigError."""
    routes = [*routes, *page_routes()]
    gateway = Gateway(config, routes, verifier, told_in)
    return [gateway.before(route) for route in routes], gateway.before(unknown_route(routes, told_in))


class _Exceeded(Portable):
    """A limit is used up."""

    def __init__(self, quota: Quota) -> None:
        self.quota = quota


class Gateway:
    """The policy of the one entry."""

    def __init__(
        self, config: Config, routes: Sequence[Route], verifier: TokenVerifier, told_in: ToldIn = asked_in
    ) -> None:
        storage = open_storage(config.rate_limit_storage)
        self._addresses = RateLimit("address", config.rate_limit_address, "RATE_LIMIT_ADDRESS", storage)
        self._users = RateLimit("user", config.rate_limit_user, "RATE_LIMIT_USER", storage)
        self._machines = RateLimit("machine", config.rate_limit_machine, "RATE_LIMIT_MACHINE", storage)
        self._sign_ins = RateLimit("sign-in", config.rate_limit_sign_in, "RATE_LIMIT_SIGN_IN", storage)
        self._origins = Origins(config)
        self._sessions = CookieSessions(config, routes, verifier)
        self._verifier = verifier
        self._told_in = told_in

    def before(self, route: Route) -> Route:
        """The route behind everything that is asked of a request first.  Health checks and metrics are as they are."""
        if route.name in OPERATIONS:
            return route
        needs_caller, tight = route.permission != PUBLIC, route.name in BEFORE_SIGN_IN
        enter = self._sessions.around(route)

        def serve(http: HttpRequest) -> HttpResponse:
            told: Mapping[str, str] = {}
            cookies: Sequence[str] = ()
            try:
                quota = self._count(self._addresses, household(http.address))
                if tight:
                    quota = self._count(self._sign_ins, household(http.address)) or quota
                if (preflight := self._origins.preflight(http)) is not None:
                    response = preflight
                else:
                    if self._sessions.concerns(http):
                        self._origins.require_ours(http)
                        http, cookies = self._sessions.admit(http, needs_caller)
                    if needs_caller:
                        quota = self._count_caller(http) or quota
                    response = enter(http)
                if quota is not None:
                    told = quota.headers()
            except Refused as refusal:
                response = self._refuse(route, refusal, http)
            except _Exceeded as exceeded:
                response = self._refuse(route, Refused("system.rate", state=exceeded.quota.name), http)
                told = exceeded.quota.headers()
            if cors := self._origins.headers_for(http):
                told = {**told, **cors}
            if told or cookies:
                headers = {**response.headers, **told}
                if "Vary" in response.headers and "Vary" in told:
                    headers["Vary"] = f"{response.headers['Vary']}, {told['Vary']}"
                response = replace(response, headers=headers, cookies=[*cookies, *response.cookies])
            return response

        return replace(route, serve=serve)

    def _count_caller(self, http: HttpRequest) -> Quota | None:
        """Count the request for who calls.  Raises Refused UNAUTHENTICATED: nobody else passes."""
        caller = self._verifier.verify(http.headers.get("authorization"))
        assert caller.user_id is not None
        return self._count(self._machines if caller.machine else self._users, caller.user_id.hex)

    @staticmethod
    def _count(limit: RateLimit, key: str) -> Quota | None:
        quota = limit.take(key)
        if quota is not None and quota.exceeded:
            raise _Exceeded(quota)
        return quota

    def _refuse(self, route: Route, refusal: Refused, http: HttpRequest) -> HttpResponse:
        metrics.of(metrics.GATEWAY_REFUSED, refusal.code).inc()
        log.info("refused at the gateway", route=route.name, code=refusal.code, state=refusal.state, by=http.address)
        return problem(refusal, http, self._told_in)
