"""Which routes there are: made from contracts, views and operations."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from chassis.commands.runs import RUN_IN_PATH, reverting
from chassis.http.messages import Route, Serve
from chassis.model.duplicates import path_of, right_of
from chassis.model.merging import preview_path
from chassis.model.merging import right_of as right_to_merge
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


def command_routes(spec: CommandSpec, serve: Serve, bulk: Serve, undo: Serve | None, *, always: bool) -> list[Route]:
    """The routes of a command, of its bulk form and of what takes that back; none when it is not for callers."""
    if not spec.is_public:
        return []
    assert spec.method and spec.path
    found = [Route(spec.method, spec.path, spec.name, serve, spec.permission, always)]
    if spec.bulk:
        path = f"/bulk/{kebab(spec.name)}"
        found.append(Route("POST", path, f"Bulk{spec.name}", bulk, spec.permission))
        if undo and reverting(spec):
            found.append(Route("POST", undo_path(spec), f"Undo{spec.name}", undo, spec.permission))
    return found


def undo_path(spec: CommandSpec) -> str:
    """The path by which a run of a command is taken back."""
    return f"/bulk/{kebab(spec.name)}/{{{RUN_IN_PATH}}}/undo"


class ServesOfView(NamedTuple):
    """What serves a view: its rows, one of them, of that its history and all that there is about it, and the questions
    whether such a record is there already, and what would come of it if two were merged."""

    rows: Serve
    one: Serve
    history: Serve
    overview: Serve
    duplicates: Serve
    merging: Serve


def view_routes(view: View, serve: ServesOfView) -> list[Route]:
    """The routes of a view, as far as it has them."""
    found = [Route("GET", view.path, view.name, serve.rows if view.is_list else serve.one, view.permission)]
    if view.detail:
        item = f"{view.path}/{{{view.detail}}}"
        found.append(Route("GET", item, f"{view.name}_one", serve.one, view.permission))
        if view.history:
            found.append(Route("GET", f"{item}/history", f"{view.name}_history", serve.history, view.permission))
        if view.overview:
            found.append(Route("GET", view.overview, f"{view.name}_overview", serve.overview, view.permission))
    if path := path_of(view):
        found.append(Route("GET", path, f"{view.name}_duplicates", serve.duplicates, right_of(view)))
    if path := preview_path(view):
        found.append(Route("GET", path, f"{view.name}_merging", serve.merging, right_to_merge(view)))
    return found


def operation_routes(serving: Mapping[str, Serve]) -> list[Route]:
    """The routes of what is done with read models as such; a process that answers queries has them."""
    return [Route(one.method, one.path, one.name, serving[one.name], one.permission) for one in PLATFORM_OPERATIONS]


def kebab(name: str) -> str:
    """SubmitOrder -> submit-order."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()
