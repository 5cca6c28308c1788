"""Which routes there are: made from contracts, views and operations."""

import re
from collections.abc import Mapping

from chassis.http.messages import Route, Serve
from chassis.model.views import View
from contracts.declare import CommandSpec
from contracts.operations import PLATFORM_OPERATIONS

OPERATED_ON = ("view", "rebuild", "person")
"""The kinds of object of the platform's operations."""


def process_routes(livez: Serve, readyz: Serve, metrics: Serve) -> list[Route]:
    """The routes by which a process is watched (OPERATIONS)."""
    return [
        Route("GET", "/livez", "livez", livez),
        Route("GET", "/readyz", "readyz", readyz),
        Route("GET", "/metrics", "metrics", metrics),
    ]


def command_routes(spec: CommandSpec, serve: Serve, bulk: Serve, *, always: bool) -> list[Route]:
    """The routes of a command and of its bulk form; none when it is not for callers."""
    if not spec.is_public:
        return []
    assert spec.method and spec.path
    found = [Route(spec.method, spec.path, spec.name, serve, spec.permission, always)]
    if spec.bulk:
        found.append(Route("POST", f"/bulk/{kebab(spec.name)}", f"Bulk{spec.name}", bulk, spec.permission))
    return found


def view_routes(view: View, serve: Serve, one: Serve, history: Serve, overview: Serve) -> list[Route]:
    """The routes of a view: its list, one row of it, and of that the history and all that there is about it."""
    found = [Route("GET", view.path, view.name, serve if view.is_list else one, view.permission)]
    if view.detail:
        item = f"{view.path}/{{{view.detail}}}"
        found.append(Route("GET", item, f"{view.name}_one", one, view.permission))
        if view.history:
            found.append(Route("GET", f"{item}/history", f"{view.name}_history", history, view.permission))
        if view.overview:
            found.append(Route("GET", view.overview, f"{view.name}_overview", overview, view.permission))
    return found


def operation_routes(serving: Mapping[str, Serve]) -> list[Route]:
    """The routes of what is done with read models as such; a process that answers queries has them."""
    return [Route(one.method, one.path, one.name, serving[one.name], one.permission) for one in PLATFORM_OPERATIONS]


def kebab(name: str) -> str:
    """SubmitOrder -> submit-order."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()
