"""The naive path: one nameko service with the libraries' defaults, one save a request: `python -m tests.load.naive`.

What one gets from the manuals of nameko and eventsourcing: no group commit, no validation, no rights, no relay.
"""
# ruff: noqa: E402 - eventlet patches before anything else is imported

import eventlet

eventlet.monkey_patch()

import json
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

from eventsourcing.application import Application
from nameko.runners import ServiceRunner
from nameko.web.handlers import http
from werkzeug.wrappers import Request, Response

from chassis.foundation.config import Config

from .appends import PlainOrder


class NaiveOrders:
    """Orders as the manuals show them."""

    name = "naive_orders"
    application: "Application[UUID]"

    @http("GET", "/readyz")  # type: ignore[untyped-decorator]
    def ready(self, _request: Request) -> tuple[int, str]:
        return 200, "{}"

    @http("POST", "/orders")  # type: ignore[untyped-decorator]
    def create(self, request: Request) -> Response:
        body: dict[str, Any] = json.loads(request.get_data())
        order = PlainOrder(
            number=body["number"], customer=body["customer"], lines=body["lines"], total=body["total"], currency="CNY"
        )
        self.application.save(order)
        return Response(json.dumps({"id": str(order.id)}), 201, content_type="application/json")


def main() -> int:
    config = Config.from_env()
    Path(config.data_dir).mkdir(parents=True, exist_ok=True)
    NaiveOrders.application = Application(
        env={"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": f"{config.data_dir}/naive.sqlite"}
    )
    runner = ServiceRunner({"WEB_SERVER_ADDRESS": config.http_address})
    runner.add_service(NaiveOrders)
    runner.start()
    runner.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
