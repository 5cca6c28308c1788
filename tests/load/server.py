"""The api process with one more route, an empty POST: `python -m tests.load.server`.

The empty POST is what any request costs here: its token is checked, its path and body are validated against a
contract, its answer is JSON, and it passes the gateway and the same guard.  It only does nothing then.
"""
# ruff: noqa: E402 - eventlet patches before anything else is imported

import eventlet

eventlet.monkey_patch()

import sys
from unittest import mock
from uuid import UUID

import msgspec

from chassis.access.tokens import TokenVerifier
from chassis.foundation.config import Config
from chassis.foundation.logs import configure_logging
from chassis.http.edge import Api
from chassis.http.messages import HttpRequest, HttpResponse, Route
from chassis.http.problems import guarded
from chassis.http.requests import json_body
from chassis.http.serving import routes_of
from chassis.run import api_process
from contracts.declare import value
from contracts.schemas import load

PATH = "/bench/{order_id}/empty"


@value
class Empty:
    """A command without effects, shaped like SubmitOrder."""

    order_id: UUID


def empty_route(config: Config) -> Route:
    verifier = TokenVerifier(config)

    def serve(http: HttpRequest) -> HttpResponse:
        principal = verifier.verify(http.headers.get("authorization"))
        principal.require("orders.edit")
        command = load(Empty, {**json_body(http), **http.path})
        return HttpResponse(200, msgspec.json.encode({"id": str(command.order_id)}))

    return guarded(Route("POST", PATH, "Empty", serve, "orders.edit"))


def main() -> int:
    config = Config.from_env()
    configure_logging(config.log_level)

    def with_empty_route(api: Api) -> list[Route]:
        return [*routes_of(api), empty_route(config)]

    with mock.patch.object(api_process, "routes_of", with_empty_route):
        return api_process.run_api(config, ())


if __name__ == "__main__":
    sys.exit(main())
