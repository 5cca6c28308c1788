"""What there is to call and to hear, for programs and for people: the documents of the contracts, and pages of them.

The pages need no script and nothing from elsewhere, so their policy allows neither.  No package was taken for them: the
ones that ship Swagger UI for Python are of its version 4, which can't read OpenAPI 3.1, need Django, or weigh 25 MB.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import yaml
from jinja2 import Environment, FileSystemLoader

from chassis.documents import asyncapi, collect, openapi
from chassis.http.messages import JSON, HttpRequest, HttpResponse, Route
from contracts.declare import REGISTRY

HTML = "text/html; charset=utf-8"
CACHED = {"Cache-Control": "public, max-age=300"}
PAGE_POLICY = {
    **CACHED,
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'",
}
TEMPLATES = Path(__file__).parent / "templates"
METHODS = ("get", "post", "put", "patch", "delete")


@cache
def page_routes() -> tuple[Route, ...]:
    """The routes of the documents and pages, all made once: they change with the code only."""
    registry = REGISTRY.load()
    operations, messages = openapi(registry, collect()[0]), asyncapi(registry)
    pages = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True)
    pages.globals |= {"fields": fields_of, "resolve": resolved}
    render = pages.get_template
    docs = render("docs.html").render(document=operations, groups=groups(operations))
    events = render("events.html").render(document=messages)
    style = (TEMPLATES / "style.css").read_bytes()
    return (
        _fixed("/openapi.json", "openapi", msgspec.json.encode(operations), JSON, CACHED),
        _fixed("/asyncapi.yaml", "asyncapi", _yaml(messages), "application/yaml", CACHED),
        _fixed("/docs", "docs", docs.encode(), HTML, PAGE_POLICY),
        _fixed("/events", "events", events.encode(), HTML, PAGE_POLICY),
        _fixed("/docs/style.css", "style", style, "text/css; charset=utf-8", CACHED),
    )


def _fixed(path: str, name: str, body: bytes, content_type: str, headers: Mapping[str, str]) -> Route:
    def serve(http: HttpRequest) -> HttpResponse:
        return HttpResponse(200, body, headers, content_type)

    return Route("GET", path, name, serve)


def _yaml(document: Mapping[str, Any]) -> bytes:
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120).encode()


def groups(document: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The operations of each service, bulk forms last."""
    found: dict[str, list[dict[str, Any]]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method in METHODS:
            if operation := methods.get(method):
                found[operation["tags"][0]].append({**operation, "method": method.upper(), "path": path})
    return {
        name: sorted(operations, key=lambda one: one["path"].startswith("/bulk/")) for name, operations in found.items()
    }


def fields_of(schema: Mapping[str, Any], document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The fields of an object's schema: name, kind, the schema it refers to ("" for none), required, description."""
    schema = resolved(schema, document)
    required = schema.get("required", ())
    return [
        {
            "name": name,
            "kind": kind,
            "of": of,
            "required": name in required,
            "description": its.get("description", ""),
        }
        for name, its in schema.get("properties", {}).items()
        for kind, of in [kind_of(its)]
    ]


def resolved(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema or parameter itself, where a reference to it may stand."""
    found: Any = schema
    while reference := found.get("$ref"):
        found = document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
    return found  # type: ignore[no-any-return]


def kind_of(schema: Mapping[str, Any]) -> tuple[str, str]:
    """What a schema takes, in a few words, and the schema it refers to, by name ("" for none)."""
    if reference := schema.get("$ref"):
        return "", reference.rpartition("/")[2]
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        taken = [kind_of(choice) for choice in choices]
        return " or ".join(kind for kind, _ in taken if kind), next((of for _, of in taken if of), "")
    if "enum" in schema:
        return ", ".join(str(value) for value in schema["enum"]), ""
    if "const" in schema:
        return str(schema["const"]), ""
    kinds = schema.get("type", "anything")
    kind = " or ".join(kinds) if isinstance(kinds, list) else str(kinds)
    if kind == "array":
        inner, of = kind_of(schema.get("items", {}))
        return f"list of {inner}".strip(), of
    return (f"{kind} ({schema['format']})" if "format" in schema else kind), ""
