"""What a service declares in its `routes.py` (ROUTES): routes that are neither commands nor views."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chassis.http.edge import Api
from chassis.http.messages import HttpRequest, HttpResponse, Route, Serve


@dataclass(frozen=True)
class ServiceRoute:
    """A route of a service; `operation` describes it (OpenAPI).

    `answer` is the class of what it answers, of which the document has the schema under its name.
    `takes_file`: its body is a file, which is read piece by piece.
    `everywhere`: every process with commands can serve it, for it needs none of the service's own records.
    `object_kind` is what an entry of the audit log says it is about; "" for what no entry tells of.
    """

    method: str
    path: str
    name: str
    permission: str
    serve: Callable[[Api, HttpRequest], HttpResponse]
    operation: Mapping[str, Any]
    answer: type | None = None
    object_kind: str = ""
    everywhere: bool = False
    takes_file: bool = False

    def served_by(self, serve: Serve) -> Route:
        return Route(self.method, self.path, self.name, serve, self.permission)
