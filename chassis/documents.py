"""The committed documents of the contracts: OpenAPI, AsyncAPI, JSON Schemas, lock.json and golden samples.

All of them are derived: `make contracts` writes them into contracts/, a test fails while they differ.  lock.json is
the memory of what was published; a change that would break a reader or a caller of any published version is refused.
"""

import ast
import functools
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from decimal import Decimal
from http import HTTPStatus
from pathlib import Path
from types import MethodType, NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints
from uuid import NAMESPACE_URL, UUID, uuid5

import contracts
from chassis.api import JSON, MAX_BULK, PROBLEM, TYPES, kebab
from chassis.catalogue import Catalogue
from chassis.config import Config
from chassis.consistency import HEADER
from chassis.json_schema import JsonSchema, components, docstring, json_schema
from chassis.kafka import COMMANDS_RETENTION, RETAIN_FOR_EVER
from chassis.queries import DEFAULT_LIMIT, FORMATS, MAX_LIMIT
from chassis.views import Range, View
from contracts.declare import REGISTRY, CommandSpec, ContractError, EventSpec, Registry
from contracts.errors import STATUS

API_VERSION = "1.0.0"

FieldMap = dict[str, dict[str, Any]]
Consumers = Mapping[str, Mapping[type, Callable[..., Any]]]


class BreakingChange(ContractError):
    """A contract changed in a way that breaks those who speak a published version; the message says what to do."""


@dataclass(frozen=True)
class QueryDoc:
    """What the documents tell of a query.

    `params` are OpenAPI parameter objects; `row_schema` describes one row and must be open, since a single row is
    answered together with its freshness.
    """

    path: str
    operation_id: str
    service: str
    summary: str
    permission: str
    row_schema: JsonSchema
    params: list[dict[str, Any]] = field(default_factory=list)
    is_list: bool = True
    export: bool = False
    method: str = "GET"


def collect() -> tuple[list[QueryDoc], dict[str, dict[type, Callable[..., Any]]]]:
    """The queries and the consumers of all services: what the documents need besides the contracts."""
    catalogue = Catalogue.read()
    consumers: dict[str, dict[type, Callable[..., Any]]] = {}
    for service in catalogue.services():
        for replica in service.replicas:
            consumers[f"{service.name} replica {replica.name}"] = dict(replica.feeds)
    for view in catalogue.views("projector"):
        consumers[f"view {view.name}"] = dict(view.handlers)
    return [doc for view in catalogue.views() for doc in query_docs(view)], consumers


def query_docs(view: View) -> list[QueryDoc]:
    """The operations of a view: its list, one row, or both."""
    row = row_schema(view.row)
    summary = docstring(view.row)
    found: list[QueryDoc] = []
    if view.is_list:
        found.append(
            QueryDoc(view.path, view.name, "reports", summary, view.permission, row, list_parameters(view), export=True)
        )
    path = f"{view.path}/{{{view.detail}}}" if view.detail else view.path
    if view.detail or not view.is_list:
        name = f"{view.name}_one" if view.detail else view.name
        parameter = {
            "name": path.rpartition("{")[2].rstrip("}"),
            "in": "path",
            "required": True,
            "schema": {"type": "string"},
        }
        found.append(QueryDoc(path, name, "reports", summary, view.permission, row, [parameter], is_list=False))
    return found


ROW_TYPES: dict[Any, JsonSchema] = {
    UUID: {"type": "string", "format": "uuid"},
    str: {"type": "string"},
    int: {"type": "integer"},
    bool: {"type": "boolean"},
    Decimal: {"type": "string", "description": "a decimal number"},
    date: {"type": "string", "format": "date"},
    datetime: {"type": "string", "format": "date-time"},
}


def row_schema(row: type) -> JsonSchema:
    """The schema of a view's row; open, and every field may be null: it may not have happened yet."""
    hints = get_type_hints(row)
    return {"type": "object", "properties": {name: _row_type(hint) for name, hint in hints.items()}}


def _row_type(hint: Any) -> JsonSchema:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is list:
        inner = {"type": "object"} if get_origin(arguments[0]) is dict else ROW_TYPES[arguments[0]]
        return {"type": ["array", "null"], "items": inner}
    if origin is dict:
        return {"type": ["object", "null"]}
    if origin is Literal:
        return {"type": ["string", "null"], "enum": [*arguments, None]}
    if arguments:
        return _row_type(next(argument for argument in arguments if argument is not NoneType))
    found = ROW_TYPES[hint]
    return {**found, "type": [found["type"], "null"]}


RANGE_SCHEMAS: dict[type, JsonSchema] = {
    date: {"type": "string", "format": "date"},
    Decimal: {"type": "string", "pattern": r"^-?[0-9]{1,15}(\.[0-9]{1,2})?$"},
    int: {"type": "string", "pattern": "^-?[0-9]{1,15}$"},
}


def list_parameters(view: View) -> list[dict[str, Any]]:
    """The query parameters of a list: its filters, then order and pages."""
    sorts = [name.lstrip("-") for name in view.sorts]
    schemas: dict[str, JsonSchema] = {}
    for name, rule in view.filters.items():
        if isinstance(rule, Range):
            schemas[f"{name}_from"] = schemas[f"{name}_to"] = RANGE_SCHEMAS[rule.kind]
        else:
            schemas[name] = {"type": "string", "maxLength": 500}
    schemas |= {
        "sort": {"type": "string", "enum": [*sorts, *(f"-{name}" for name in sorts)]},
        "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
        "cursor": {"type": "string", "description": "`next` of the page before"},
        "count": {"type": "string", "enum": ["true", "false"], "description": "true: tell the total too"},
        "format": {"type": "string", "enum": list(FORMATS)},
    }
    return [{"name": name, "in": "query", "schema": schema} for name, schema in schemas.items()]


# -- openapi.yaml -------------------------------------------------------------------------------------------------


def _ref(name: str, kind: str = "schemas") -> dict[str, str]:
    return {"$ref": f"#/components/{kind}/{name}"}


KEY_SCHEMA = {"type": "string", "pattern": "^[!-~]{1,200}$", "examples": ["order-form-7c9e6679"]}
ETAG_SCHEMA = {"type": "string", "pattern": r'^((W/)?"[0-9]{1,18}"|\*)$', "examples": ['"3"']}
_POSITION = r"[a-z]{1,40}\.events:[0-9]{1,4}=[0-9]{1,18}"
TOKEN_SCHEMA = {
    "type": "string",
    "pattern": f"^{_POSITION}(,{_POSITION}){{0,99}}$",
    "examples": ["orders.events:3=1234"],
}

PARAMETERS: dict[str, Any] = {
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "A repeat with the same key and body returns the first answer and changes nothing; "
        "with another body it is refused.",
        "schema": KEY_SCHEMA,
    },
    "IfMatch": {
        "name": "If-Match",
        "in": "header",
        "description": "The ETag of the record as it was read; refused with VERSION_CONFLICT when it has changed.",
        "schema": ETAG_SCHEMA,
    },
    "Consistency": {
        "name": HEADER,
        "in": "header",
        "description": "The token of an earlier answer: what it tells of is waited for.",
        "schema": TOKEN_SCHEMA,
    },
}
HEADERS: dict[str, Any] = {
    "ETag": {"description": "The record's version, for If-Match.", "schema": {"type": "string"}},
    HEADER: {"description": "A token: whoever sends it back sees at least this.", "schema": {"type": "string"}},
    "Location": {"description": "Where the new record is found.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds to wait before trying again.", "schema": {"type": "string"}},
    "WWW-Authenticate": {"description": "The scheme to use.", "schema": {"type": "string"}},
}
PROBLEMS: dict[HTTPStatus, str] = {
    HTTPStatus.BAD_REQUEST: "Invalid",
    HTTPStatus.UNAUTHORIZED: "Unauthenticated",
    HTTPStatus.FORBIDDEN: "Forbidden",
    HTTPStatus.NOT_FOUND: "NotFound",
    HTTPStatus.CONFLICT: "Conflict",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "TooLarge",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "FileType",
    HTTPStatus.SERVICE_UNAVAILABLE: "Unavailable",
}
NOT_OF_BULK = {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}
NOT_OF_QUERIES = {HTTPStatus.CONFLICT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE}
PROBLEM_HEADERS = {HTTPStatus.UNAUTHORIZED: "WWW-Authenticate", HTTPStatus.SERVICE_UNAVAILABLE: "Retry-After"}
ANSWERS: dict[str, JsonSchema] = {
    "CommandAnswer": {
        "description": "The record a command changed, and what the command tells besides.",
        "type": "object",
        "properties": {"id": {"type": "string"}, "version": {"type": "integer", "minimum": 0}},
        "required": ["id", "version"],
        "additionalProperties": True,
    },
    "BulkAnswer": {
        "description": "One result per item, in their order; each item is carried out or refused by itself.",
        "type": "object",
        "properties": {
            "results": {
                "type": "array",
                "maxItems": MAX_BULK,
                "items": {
                    "type": "object",
                    "properties": {
                        "status": {"type": "integer", "minimum": 200, "maximum": 599},
                        "body": {"anyOf": [_ref("CommandAnswer"), _ref("Problem")]},
                    },
                    "required": ["status", "body"],
                },
            }
        },
        "required": ["results"],
    },
    "Freshness": {
        "description": "Everything that happened up to this moment is in the answer; null: nothing has happened yet.",
        "type": "object",
        "properties": {"as_of": {"type": ["string", "null"], "format": "date-time"}},
        "required": ["as_of"],
    },
    "Problem": {
        "description": "A refusal (RFC 9457): it changed nothing.  `field` or `state` is what is at fault.",
        "type": "object",
        "properties": {
            "type": {"type": "string", "examples": ["urn:salestream:error:VALIDATION"]},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "code": {"type": "string", "enum": list(STATUS)},
            "detail": {"type": "string"},
            "field": {"type": "string"},
            "state": {"type": "string"},
            "correlation_id": {"type": "string"},
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "field": {"type": "string"},
                        "messages": {"type": "array", "items": {"type": "string"}},
                    },
                    "required": ["field", "messages"],
                },
            },
        },
        "required": ["type", "title", "status", "code", "detail"],
    },
}


def openapi(registry: Registry, queries: Iterable[QueryDoc]) -> dict[str, Any]:
    """The OpenAPI 3.1 document: every public command, its bulk form, and every query."""
    commands = [spec for spec in registry.commands.values() if spec.is_public]
    queries = list(queries)
    schemas = components([spec.cls for spec in commands], "input")
    paths: dict[str, dict[str, Any]] = {}
    for spec in commands:
        paths.setdefault(str(spec.path), {})[str(spec.method).lower()] = _command_operation(spec, schemas)
    for spec in commands:
        paths[f"/bulk/{kebab(spec.name)}"] = {"post": _bulk_operation(spec)}
    for query in queries:
        paths.setdefault(query.path, {})[query.method.lower()] = _query_operation(query)
    services = sorted({spec.service for spec in commands} | {query.service for query in queries})
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Salestream",
            "version": API_VERSION,
            "description": "Commands change one record and answer with its new version; queries read views, which "
            "follow a moment later: send the token of an answer back to wait for it.",
        },
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "tags": [{"name": name, "description": _about_service(name)} for name in services],
        "paths": paths,
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "parameters": PARAMETERS,
            "headers": HEADERS,
            "responses": {name: _problem(status) for status, name in PROBLEMS.items()},
            "schemas": {**schemas, **ANSWERS},
        },
    }


def _command_operation(spec: CommandSpec, schemas: dict[str, JsonSchema]) -> dict[str, Any]:
    """One command.  Adds a schema for its body where the path carries some of its fields."""
    whole = schemas[spec.name]
    in_path = re.findall(r"{(\w+)}", str(spec.path))
    headers = ["IdempotencyKey", *([] if spec.creates else ["IfMatch"]), "Consistency"]
    operation: dict[str, Any] = {
        **_about(spec.name, spec.service, docstring(spec.cls), spec.permission),
        "parameters": [
            *({"name": n, "in": "path", "required": True, "schema": whole["properties"][n]} for n in in_path),
            *(_ref(name, "parameters") for name in headers),
        ],
    }
    left = {name: schema for name, schema in whole["properties"].items() if name not in in_path}
    required = [name for name in whole.get("required", []) if name in left]
    if left and spec.method != "DELETE":
        body = spec.name
        if in_path:
            body = f"{spec.name}Body"
            schemas[body] = {**whole, "properties": left, "required": required}
            if not required:
                del schemas[body]["required"]
        operation["requestBody"] = {
            "required": bool(required),
            "content": {JSON: {"schema": _ref(body)}},
        }
    status, what = ("201", "Created.") if spec.creates else ("200", "Done.")
    told = ["ETag", HEADER, *(["Location"] if spec.creates else [])]
    operation["responses"] = {
        status: {
            "description": what,
            "headers": {name: _ref(name, "headers") for name in told},
            "content": {JSON: {"schema": _ref("CommandAnswer")}},
        },
        **_problems(),
    }
    return operation


def _bulk_operation(spec: CommandSpec) -> dict[str, Any]:
    item = {
        "type": "object",
        "properties": {
            "command": _ref(spec.name),
            "idempotency_key": {**KEY_SCHEMA, "type": ["string", "null"]},
            "if_match": {**ETAG_SCHEMA, "type": ["string", "null"]},
        },
        "required": ["command"],
        "additionalProperties": False,
    }
    items = {"type": "array", "minItems": 1, "maxItems": MAX_BULK, "items": item}
    body = {"type": "object", "properties": {"items": items}, "required": ["items"]}
    text = f"{spec.name} for up to {MAX_BULK} records.  Each item is carried out or refused by itself."
    return {
        **_about(f"Bulk{spec.name}", spec.service, text, spec.permission),
        "parameters": [_ref("Consistency", "parameters")],
        "requestBody": {"required": True, "content": {JSON: {"schema": body}}},
        "responses": {
            "200": {
                "description": "A result per item.",
                "headers": {HEADER: _ref(HEADER, "headers")},
                "content": {JSON: {"schema": _ref("BulkAnswer")}},
            },
            **_problems(NOT_OF_BULK),
        },
    }


def _query_operation(query: QueryDoc) -> dict[str, Any]:
    fresh: JsonSchema = {
        "type": "object",
        "properties": {"freshness": _ref("Freshness")},
        "required": ["freshness"],
    }
    if query.is_list:
        fresh["properties"] |= {
            "items": {"type": "array", "items": query.row_schema},
            "next": {"type": ["string", "null"], "description": "The cursor of the next page; null after the last."},
            "total": {"type": "integer", "minimum": 0, "description": "How many there are; only if asked for."},
        }
        fresh["required"] += ["items", "next"]
    told = [HEADER] if query.is_list else ["ETag", HEADER]
    schema = fresh if query.is_list else {"allOf": [query.row_schema, fresh]}
    content: dict[str, Any] = {JSON: {"schema": schema}}
    if query.export:
        content |= {"text/csv": {"schema": {"type": "string"}}, TYPES["xlsx"]: {}}
    found = {
        "description": "Found.",
        "headers": {name: _ref(name, "headers") for name in told},
        "content": content,
    }
    return {
        **_about(query.operation_id, query.service, query.summary, query.permission),
        "parameters": [*query.params, _ref("Consistency", "parameters")],
        "responses": {"200": found, **_problems(NOT_OF_QUERIES)},
    }


def _about(operation_id: str, service: str, text: str, permission: str) -> dict[str, Any]:
    return {
        "operationId": operation_id,
        "tags": [service],
        "summary": first_sentence(text),
        "description": text,
        "x-permission": permission,
    }


def _problems(without: Iterable[HTTPStatus] = ()) -> dict[str, Any]:
    return {
        str(int(status)): _ref(name, "responses") for status, name in PROBLEMS.items() if status not in set(without)
    }


def _problem(status: HTTPStatus) -> dict[str, Any]:
    codes = ", ".join(code for code, its_status in STATUS.items() if its_status == status)
    return {
        "description": f"Refused: {codes}.",
        **({"headers": {name: _ref(name, "headers")}} if (name := PROBLEM_HEADERS.get(status)) else {}),
        "content": {PROBLEM: {"schema": _ref("Problem")}},
    }


def _about_service(name: str) -> str:
    module = sys.modules.get(f"contracts.{name}")
    return first_sentence((module and module.__doc__) or name)


def first_sentence(text: str) -> str:
    """The text up to its first full stop, on one line."""
    return " ".join(re.split(r"[.:](?:\s|$)", text, maxsplit=1)[0].split())


# -- asyncapi.yaml ------------------------------------------------------------------------------------------------

CLOUD_EVENT: dict[str, Any] = {
    "contentType": JSON,
    "correlationId": {"location": "$message.header#/ce_correlationid"},
    "headers": {
        "type": "object",
        "description": "CloudEvents 1.0, binary mode: every header is a text.  Commands have no subject and sequence.",
        "properties": {
            "ce_specversion": {"type": "string", "const": "1.0"},
            "ce_id": {
                "type": "string",
                "description": "{aggregate_id}/{version}, the same when published again; of a command, its id.",
                "examples": ["0c1f6a3e-2f0b-5c5e-9d3a-6f3f4f1c2b7d/3"],
            },
            "ce_source": {"type": "string", "pattern": "^/salestream/[a-z]+$"},
            "ce_type": {"type": "string", "description": "The message's name."},
            "ce_time": {"type": "string", "format": "date-time"},
            "ce_subject": {"type": "string", "description": "The id of the record."},
            "ce_sequence": {
                "type": "string",
                "pattern": "^[0-9]{20}$",
                "description": "The record's version, padded with zeros so that texts compare like numbers.",
            },
            "ce_position": {
                "type": "string",
                "pattern": "^[0-9]+$",
                "description": "The position in the sending service's log; it never falls, except for repeats.",
            },
            "ce_correlationid": {"type": "string", "description": "The same for all that one request led to."},
            "ce_causationid": {"type": "string", "description": "The id of the command or event that caused this."},
            "ce_authid": {"type": "string", "description": "The user who asked; absent when no user did."},
            "ce_traceparent": {"type": "string", "description": "W3C trace context."},
        },
        "required": ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "ce_position"],
    },
}


def asyncapi(registry: Registry) -> dict[str, Any]:
    """The AsyncAPI 3.0 document: the events every service publishes and the commands services send each other."""
    events = list(registry.events.values())
    commands = [spec for spec in registry.commands.values() if not spec.is_public]
    messages: list[EventSpec | CommandSpec] = [*events, *commands]
    by_topic: dict[str, list[EventSpec | CommandSpec]] = {}
    for spec in sorted(messages, key=lambda message: (message.topic, message.name)):
        by_topic.setdefault(spec.topic, []).append(spec)
    schemas = {
        **components([spec.cls for spec in events], "output"),
        **components([spec.cls for spec in commands], "input"),
    }
    return {
        "asyncapi": "3.0.0",
        "id": "urn:salestream",
        "info": {
            "title": "Salestream",
            "version": API_VERSION,
            "description": "Events are kept for ever, in order per key.  Read tolerantly: drop fields you don't know, "
            "and skip what you have already seen (ce_id).",
        },
        "defaultContentType": JSON,
        "channels": {topic: _channel(topic, specs) for topic, specs in by_topic.items()},
        "operations": {_operation_name(topic): _topic_operation(topic) for topic in by_topic},
        "components": {
            "messages": {spec.cls.__name__: _message(spec, schemas) for specs in by_topic.values() for spec in specs},
            "messageTraits": {"cloudEvent": CLOUD_EVENT},
            "schemas": dict(sorted(schemas.items())),
        },
    }


def _channel(topic: str, specs: Sequence[EventSpec | CommandSpec]) -> dict[str, Any]:
    service, _, kind = topic.partition(".")
    config = Config()
    settings = RETAIN_FOR_EVER if kind == "events" else COMMANDS_RETENTION
    return {
        "address": topic,
        "description": f"{'What happened in' if kind == 'events' else 'What other services ask of'} {service}.",
        "messages": {spec.cls.__name__: _ref(spec.cls.__name__, "messages") for spec in specs},
        "bindings": {
            "kafka": {
                "topic": topic,
                "partitions": config.topic_partitions,
                "replicas": config.topic_replicas,
                "topicConfiguration": {
                    "cleanup.policy": settings["cleanup.policy"].split(","),
                    "retention.ms": int(settings["retention.ms"]),
                },
                "bindingVersion": "0.5.0",
            }
        },
    }


def _operation_name(topic: str) -> str:
    service, _, kind = topic.partition(".")
    return f"{service}-sends-events" if kind == "events" else f"{service}-receives-commands"


def _topic_operation(topic: str) -> dict[str, Any]:
    service, _, kind = topic.partition(".")
    return {
        "action": "send" if kind == "events" else "receive",
        "channel": {"$ref": f"#/channels/{topic}"},
        "tags": [{"name": service}],
    }


def _message(spec: EventSpec | CommandSpec, schemas: Mapping[str, JsonSchema]) -> dict[str, Any]:
    name = spec.cls.__name__
    return {
        "name": spec.name,
        "title": name,
        "summary": first_sentence(docstring(spec.cls)),
        "payload": _ref(name),
        "bindings": {"kafka": {"key": schemas[name]["properties"][spec.key], "bindingVersion": "0.5.0"}},
        "traits": [_ref("cloudEvent", "messageTraits")],
    }


# -- lock.json ----------------------------------------------------------------------------------------------------


def field_map(cls: type) -> FieldMap:
    """The fields of a contract as lock.json keeps them: type, whether required, default, and what is inside."""
    schema = json_schema(cls, "output")
    return _fields(schema, schema.get("$defs", {}))


def _fields(schema: JsonSchema, parts: Mapping[str, JsonSchema]) -> FieldMap:
    required = schema.get("required", ())
    return {
        name: {
            **_shape(inner, parts),
            "required": name in required,
            **({"default": inner["default"]} if "default" in inner else {}),
        }
        for name, inner in schema["properties"].items()
    }


def _shape(schema: JsonSchema, parts: Mapping[str, JsonSchema]) -> dict[str, Any]:
    """What JSON has at this place, without the bounds: those may change."""
    if "anyOf" in schema:
        first, null = schema["anyOf"]
        assert null == {"type": "null"}
        return {**_shape(first, parts), "nullable": True}
    if "$ref" in schema:
        return {"type": "object", "fields": _fields(parts[schema["$ref"].rpartition("/")[2]], parts)}
    types = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    shape: dict[str, Any] = {"type": schema.get("format", types[0])}
    if "null" in types:
        shape["nullable"] = True
    if "enum" in schema:
        shape["enum"] = [choice for choice in schema["enum"] if choice is not None]
    if "items" in schema:
        shape["items"] = _shape(schema["items"], parts)
    return shape


def check_compatible(previous_versions: Mapping[str, Sequence[FieldMap]], current: Mapping[str, FieldMap]) -> None:
    """Check every contract against all of its published versions (FULL_TRANSITIVE).

    Fields with a default may be added or removed, an enum may grow; all else breaks somebody.  Commands refuse
    unknown fields, so no field of a command may be removed.  Raises BreakingChange naming every contract and field.
    """
    problems: list[str] = []
    for name, versions in previous_versions.items():
        if name not in current:
            problems.append(f"{name} is gone: it stays declared as long as somebody may speak it")
            continue
        is_event = name.startswith("salestream.")
        way_out = f"declare {_next_major(name)} beside it" if is_event else "declare a new command beside it"
        for number, version in enumerate(versions, 1):
            problems += [
                f"{name}: {problem} (version {number}): put it back, or {way_out}"
                for problem in _breaks(version, current[name], "", removable=is_event)
            ]
    if problems:
        raise BreakingChange("\n".join(problems))


def _next_major(event_type: str) -> str:
    stem, _, major = event_type.rpartition(".v")
    return f"{stem}.v{int(major) + 1}"


def _breaks(old: FieldMap, new: FieldMap, prefix: str, *, removable: bool) -> Iterator[str]:
    for name in [*old, *(name for name in new if name not in old)]:
        where = f"field {prefix}{name}"
        if name not in new:
            if old[name]["required"]:
                yield f"{where} was required and is gone"
            elif not removable:
                yield f"{where} is gone, and a command refuses unknown fields"
        elif name not in old:
            if new[name]["required"]:
                yield f"{where} is new and has no default"
        else:
            if old[name]["required"] != new[name]["required"]:
                yield f"{where} {'lost' if new[name]['required'] else 'got'} its default"
            yield from _shape_breaks(old[name], new[name], f"{prefix}{name}", removable=removable)


def _shape_breaks(old: dict[str, Any], new: dict[str, Any], path: str, *, removable: bool) -> Iterator[str]:
    if old["type"] != new["type"]:
        yield f"field {path} was of type {old['type']} and is of type {new['type']}"
    elif old.get("nullable", False) != new.get("nullable", False):
        yield f"field {path} {'may be' if new.get('nullable') else 'may no longer be'} null"
    elif "enum" in new and "enum" not in old:
        yield f"field {path} was free text and is an enum"
    elif lost := [choice for choice in old.get("enum", ()) if "enum" in new and choice not in new["enum"]]:
        yield f"field {path} lost the enum values {', '.join(lost)}"
    elif "items" in old:
        yield from _shape_breaks(old["items"], new["items"], f"{path}[]", removable=removable)
    elif "fields" in old:
        yield from _breaks(old["fields"], new["fields"], f"{path}.", removable=removable)


def next_lock(previous: Mapping[str, Any], registry: Registry, consumers: Consumers) -> dict[str, Any]:
    """The lock after publishing today's contracts.  Raises BreakingChange when that would break somebody."""
    lock: dict[str, Any] = {}
    for kind, specs in (("events", registry.events), ("commands", registry.commands)):
        versions: dict[str, list[FieldMap]] = dict(previous.get(kind, {}))
        current = {name: field_map(spec.cls) for name, spec in specs.items()}
        check_compatible(versions, current)
        for name, fields_now in current.items():
            if not versions.get(name) or versions[name][-1] != fields_now:
                versions[name] = [*versions.get(name, []), fields_now]
        lock[kind] = dict(sorted(versions.items()))
    lock["consumers"] = {
        name: {registry.event_of(cls).name: fields_read(handler, cls) for cls, handler in _by_event(handlers)}
        for name, handlers in sorted(consumers.items())
    }
    return lock


def _by_event(handlers: Mapping[type, Callable[..., Any]]) -> list[tuple[type, Callable[..., Any]]]:
    return sorted(handlers.items(), key=lambda item: item[0].__name__)


# -- which fields of an event a consumer reads --------------------------------------------------------------------


def fields_read(handler: Callable[..., Any], event: type) -> list[str]:
    """The fields of `event` that a handler's source reads; all of them when the event is passed on or kept whole.

    The event is the parameter annotated with its class, else the one called `fact` or `event`, else the last.
    Raises BreakingChange when the handler reads a field that the event does not have.
    """
    names = [item.name for item in fields(event)]
    found = [_attributes(source, _event_parameter(source, event)) for source in _sources(handler)]
    if not found or None in found:
        return names
    read = set().union(*(attributes for attributes in found if attributes is not None))
    if unknown := sorted(name for name in read if not hasattr(event, name) and name not in names):
        raise BreakingChange(f"{handler!r} reads {', '.join(unknown)} of {event.__name__}, which has no such field")
    return [name for name in names if name in read]


Source = ast.FunctionDef | ast.Lambda


def _sources(handler: Callable[..., Any]) -> list[Source]:
    """The syntax trees a function may come from: several only for like lambdas on one line."""
    while isinstance(handler, (functools.partial, MethodType)):
        handler = handler.func if isinstance(handler, functools.partial) else handler.__func__
    code = getattr(inspect.unwrap(handler), "__code__", None)
    if code is None or not Path(code.co_filename).is_file():
        return []
    wanted = (code.co_firstlineno, code.co_varnames[: code.co_argcount])
    return [
        node
        for node in ast.walk(_parsed(code.co_filename))
        if isinstance(node, (ast.FunctionDef, ast.Lambda)) and (_first_line(node), _parameters(node)) == wanted
    ]


@functools.cache
def _parsed(filename: str) -> ast.Module:
    return ast.parse(Path(filename).read_text(encoding="utf-8"))


def _first_line(node: Source) -> int:
    decorators = node.decorator_list if isinstance(node, ast.FunctionDef) else []
    return decorators[0].lineno if decorators else node.lineno


def _parameters(node: Source) -> tuple[str, ...]:
    return tuple(argument.arg for argument in (*node.args.posonlyargs, *node.args.args))


def _event_parameter(node: Source, event: type) -> str:
    arguments = [*node.args.posonlyargs, *node.args.args]
    for argument in arguments:
        if argument.annotation and re.search(rf"\b{event.__name__}\b", ast.unparse(argument.annotation)):
            return argument.arg
    names = _parameters(node)
    return next((name for name in ("fact", "event") if name in names), names[-1] if names else "")


def _attributes(node: Source, parameter: str) -> set[str] | None:
    """The attributes taken of a parameter, or None when it is used in any other way."""
    body = node.body if isinstance(node.body, list) else [node.body]
    inside = [inner for statement in body for inner in ast.walk(statement)]
    taken = [
        inner
        for inner in inside
        if isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name) and inner.value.id == parameter
    ]
    uses = sum(isinstance(inner, ast.Name) and inner.id == parameter for inner in inside)
    return {inner.attr for inner in taken} if uses == len(taken) else None


# -- golden samples -----------------------------------------------------------------------------------------------


def sample(cls: type) -> dict[str, Any]:
    """A contract as JSON with every field filled, always the same."""
    schema = json_schema(cls, "output")
    made: dict[str, Any] = _sample_of("", schema, schema.get("$defs", {}))
    return made


def _sample_of(name: str, schema: JsonSchema, parts: Mapping[str, JsonSchema]) -> Any:
    if "anyOf" in schema:
        return _sample_of(name, schema["anyOf"][0], parts)
    if "$ref" in schema:
        return _sample_of(name, parts[schema["$ref"].rpartition("/")[2]], parts)
    if choices := schema.get("enum") or schema.get("examples"):
        return choices[0]
    kind = schema["type"] if isinstance(schema["type"], str) else schema["type"][0]
    kind = schema.get("format", kind)
    if kind == "object":
        return {inner: _sample_of(inner, part, parts) for inner, part in schema["properties"].items()}
    if kind == "array":
        return [_sample_of(name, schema["items"], parts)]
    return SAMPLES[kind](name)


SAMPLES: dict[str, Callable[[str], Any]] = {
    "string": lambda name: f"some {name.replace('_', ' ')}",
    "uuid": lambda name: str(uuid5(NAMESPACE_URL, f"salestream:sample:{name}")),
    "date": lambda _: "2026-03-02",
    "date-time": lambda _: "2026-03-02T01:00:00Z",
    "integer": lambda _: 3,
    "boolean": lambda _: True,
}


# -- writing it all -----------------------------------------------------------------------------------------------


def documents(root: Path, registry: Registry, queries: Iterable[QueryDoc], consumers: Consumers) -> dict[str, str]:
    """Every document as it should be, by its path below contracts/.  Raises BreakingChange."""
    home = root / "contracts"
    lock_file = home / "lock.json"
    previous = json.loads(lock_file.read_text(encoding="utf-8")) if lock_file.exists() else {}
    lock = next_lock(previous, registry, consumers)
    made = {
        "openapi.yaml": _yaml(openapi(registry, queries)),
        "asyncapi.yaml": _yaml(asyncapi(registry)),
        "lock.json": _json(lock),
    }
    for name, spec in sorted(registry.events.items()):
        made[f"schemas/{name}.json"] = _json(json_schema(spec.cls, "output"))
        published = len(previous.get("events", {}).get(name, ()))
        for number in range(1, len(lock["events"][name]) + 1):
            path = f"samples/{name}.{number}.json"
            is_old = number <= published
            made[path] = (home / path).read_text(encoding="utf-8") if is_old else _json(sample(spec.cls))
    for name, command in sorted(registry.commands.items()):
        made[f"schemas/{name}.json"] = _json(json_schema(command.cls, "input"))
    return made


def differences(root: Path, wanted: Mapping[str, str]) -> dict[str, str]:
    """Path below contracts/ -> "new", "changed" or "stale" for every document that is not as it should be."""
    home = root / "contracts"
    found: dict[str, str] = {}
    for path, text in wanted.items():
        if not (home / path).exists():
            found[path] = "new"
        elif (home / path).read_text(encoding="utf-8") != text:
            found[path] = "changed"
    for folder in ("schemas", "samples"):
        stale = {f"{folder}/{file.name}" for file in (home / folder).glob("*.json")} - set(wanted)
        found |= dict.fromkeys(sorted(stale), "stale")
    return found


def write(root: Path, registry: Registry, queries: Iterable[QueryDoc], consumers: Consumers) -> dict[str, str]:
    """Write what differs and remove what is stale; returns `differences`.  Raises BreakingChange, writing nothing."""
    wanted = documents(root, registry, queries, consumers)
    found = differences(root, wanted)
    for path, what in found.items():
        file = root / "contracts" / path
        if what == "stale":
            file.unlink()
        else:
            file.parent.mkdir(exist_ok=True)
            file.write_text(wanted[path], encoding="utf-8")
    return found


def _json(data: Any) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _yaml(data: Any) -> str:
    import yaml  # noqa: PLC0415 - only developers have it; whoever serves openapi() as JSON needs it not

    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    return yaml.dump(data, Dumper=Plain, sort_keys=False, allow_unicode=True, width=120)


def repository() -> Path:
    """The folder that holds contracts/."""
    return Path(str(contracts.__file__)).parents[1]


def main(*, check: bool = False) -> int:
    """`salestream contracts`: write the documents (or only `check`), say what changed; 1 when something breaks."""
    queries, consumers = collect()
    try:
        if check:
            found = differences(repository(), documents(repository(), REGISTRY.load(), queries, consumers))
        else:
            found = write(repository(), REGISTRY.load(), queries, consumers)
    except BreakingChange as error:
        print(f"refused, nothing was written:\n{error}", file=sys.stderr)
        return 1
    for path, what in found.items():
        print(f"{what:8} contracts/{path}")
    if not found:
        print("the documents are up to date")
    return 1 if check and found else 0
