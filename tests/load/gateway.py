"""What the gateway costs each request of a signed-in caller, in CPU time of one core."""

import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from chassis.access.tokens import TokenVerifier, issue
from chassis.foundation.config import Config
from chassis.http.messages import HttpRequest, HttpResponse, Route
from chassis.model.principal import Principal
from services.gateway.gateway import Gateway

from .report import Bar, Figure, Report

ROUNDS = 7
REQUESTS = 5_000
PLENTY = "1000000000/second"
TARGET = "/orders/1/submit"


def measure(report: Report) -> None:
    """A submitted order with a bearer token, and with cookies, without what its route does."""
    with TemporaryDirectory() as folder:
        config = replace(
            Config(), token_key_dir=str(Path(folder)), rate_limit_address=PLENTY, rate_limit_user=PLENTY, plain_http=1
        )
        verifier, answer = TokenVerifier(config), HttpResponse(200, b"{}")
        route = Route("POST", "/orders/{order_id}/submit", "SubmitOrder", lambda http: answer, "orders.edit")
        entered = Gateway(config, [route], verifier).before(route)
        session = uuid4()
        token = issue(config, Principal(uuid4(), "Li", frozenset(), session_id=session))
        ways = {
            "gateway_token_us": {"host": "x", "authorization": f"Bearer {token}"},
            "gateway_cookie_us": {
                "host": "x",
                "origin": "http://x",
                "cookie": f"access={token}; refresh={session}.{'r' * 43}",
            },
        }
        for name, headers in ways.items():
            http = HttpRequest(headers, {"order_id": "1"}, {}, lambda: b"", "127.0.0.1", "POST", TARGET)
            assert entered.serve(http) is answer
            report.add(
                Figure(name, [_cost(entered, http) for _ in range(ROUNDS)], bar=Bar(25, 15, at_most=True)),
            )


def _cost(route: Route, http: HttpRequest) -> float:
    started = time.process_time()
    for _ in range(REQUESTS):
        route.serve(http)
    return (time.process_time() - started) / REQUESTS * 1e6
