"""openapi.yaml: every command, its bulk form and every query as operations (OpenAPI 3.1)."""

import inspect
import re
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from chassis.catalogue import Catalogue
from chassis.commands.runs import RUN, RUN_IN_PATH, reverting
from chassis.documents.json_schema import JsonSchema, components, docstring
from chassis.documents.query_docs import QueryDoc, condition_schema, group_schema, row_schema, saved_view_schema
from chassis.foundation.config import Config
from chassis.http.commands import MAX_BULK
from chassis.http.messages import JSON, PROBLEM, TYPES
from chassis.http.origins import REQUESTED_WITH, SAFE, SESSION_HEADER
from chassis.http.routes import kebab, undo_path
from chassis.messaging.consistency import HEADER
from chassis.queries.grouping import MOST_GROUPS
from contracts.declare import CommandSpec, ContractError, Registry
from contracts.errors import STATUS
from contracts.operations import PLATFORM_OPERATIONS, Operation
from contracts.permissions import PUBLIC
from contracts.schemas import MONEY, awaited

API_VERSION = "1.0.0"


def ref(name: str, kind: str = "schemas") -> dict[str, str]:
    return {"$ref": f"#/components/{kind}/{name}"}


KEY_SCHEMA = {"type": "string", "pattern": "^[!-~]{1,200}$", "examples": ["order-form-7c9e6679"]}
BULK_KEY_SCHEMA = {**KEY_SCHEMA, "type": ["string", "null"], "description": "As the header Idempotency-Key."}
ETAG_SCHEMA = {"type": "string", "pattern": r'^((W/)?"[0-9]{1,18}"|\*)$', "examples": ['"3"']}
_POSITION = "[0-9]{1,4}=[0-9]{1,18}"
_POSITIONS = rf"[a-z]{{1,40}}\.events:{_POSITION}(;{_POSITION}){{0,19}}"
TOKEN_SCHEMA = {
    "type": "string",
    "pattern": f"^{_POSITIONS}(,{_POSITIONS}){{0,99}}$",
    "examples": ["orders.events:3=1234"],
}

PARAMETERS: dict[str, Any] = {
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "A repeat with the same key and body returns the first answer and changes nothing; "
        "with another body it is refused. It is remembered for at least "
        f"{Config.results_days} days (`RESULTS_DAYS` of whoever runs the service, at least 1): a repeat after that may "
        "be carried out as a new command, so don't repeat one so late. One that creates a record does not create a "
        "second one: it is refused with DUPLICATE.",
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
    "IfNoneMatch": {
        "name": "If-None-Match",
        "in": "header",
        "description": "ETags of answers that are kept: 304 says that one of them still holds.",
        "schema": {"type": "string", "maxLength": 500},
    },
    "RequestedWith": {
        "name": REQUESTED_WITH,
        "in": "header",
        "description": "Any value, when the request comes with cookies and neither `Origin` nor `Sec-Fetch-Site` tells "
        "that a page of ours made it: without it such a request is refused with FORBIDDEN (CROSS_SITE).  With a bearer "
        "token it is not needed.",
        "schema": {"type": "string"},
    },
    "Session": {
        "name": SESSION_HEADER,
        "in": "header",
        "description": "`cookie`: the tokens come as cookies that scripts can't read, not in the body; refreshing then "
        "takes the token from the cookie too.",
        "schema": {"type": "string", "enum": ["cookie"]},
    },
}
HEADERS: dict[str, Any] = {
    "ETag": {"description": "The record's version, for If-Match.", "schema": {"type": "string"}},
    HEADER: {"description": "A token: whoever sends it back sees at least this.", "schema": {"type": "string"}},
    "Mark": {"description": "Tells this answer from others, for If-None-Match.", "schema": {"type": "string"}},
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
    HTTPStatus.TOO_MANY_REQUESTS: "TooManyRequests",
    HTTPStatus.SERVICE_UNAVAILABLE: "Unavailable",
}
NOT_OF_BULK = {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}
NOT_OF_QUERIES = {HTTPStatus.CONFLICT, HTTPStatus.UNSUPPORTED_MEDIA_TYPE}  # an address, or a file, may be too large
PROBLEM_HEADERS = {
    HTTPStatus.UNAUTHORIZED: "WWW-Authenticate",
    HTTPStatus.TOO_MANY_REQUESTS: "Retry-After",
    HTTPStatus.SERVICE_UNAVAILABLE: "Retry-After",
}


def _bulk_body(more: Mapping[str, JsonSchema], beside: Mapping[str, JsonSchema] | None = None) -> JsonSchema:
    item = {
        "type": "object",
        "properties": {"command": {}, "idempotency_key": BULK_KEY_SCHEMA, **more},
        "required": ["command"],
        "additionalProperties": False,
    }
    items = {"type": "array", "minItems": 1, "maxItems": MAX_BULK, "items": item}
    return {
        "description": "Commands of one kind, which the operation names; each has its own key and version.",
        "type": "object",
        "properties": {**(beside or {}), "items": items},
        "required": ["items"],
        "additionalProperties": False,
    }


_OF_VERSION: dict[str, JsonSchema] = {"if_match": {**ETAG_SCHEMA, "type": ["string", "null"]}}
_RUN: JsonSchema = {
    "type": ["string", "null"],
    "format": "uuid",
    "description": "What the run is to be called; else it gets an id.  Sent again under its id it is carried out once.",
}
BODIES: dict[str, JsonSchema] = {
    "BulkBody": _bulk_body(_OF_VERSION),
    "BulkBodyOfRun": _bulk_body(_OF_VERSION, {RUN: _RUN}),
    "BulkBodyUnversioned": _bulk_body({}),
}
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
                        "body": {"anyOf": [ref("CommandAnswer"), ref("Problem")]},
                    },
                    "required": ["status", "body"],
                },
            }
        },
        "required": ["results"],
    },
    "RunAnswer": {
        "description": "The answer of a run, which can be taken back: its id, and one result per item.",
        "allOf": [
            ref("BulkAnswer"),
            {"type": "object", "properties": {RUN: {"type": "string", "format": "uuid"}}, "required": [RUN]},
        ],
    },
    "Freshness": {
        "description": "Everything that happened up to this moment is in the answer; null: nothing has happened yet.",
        "type": "object",
        "properties": {"as_of": {"type": ["string", "null"], "format": "date-time"}},
        "required": ["as_of"],
    },
    "Action": {
        "description": "Whether the caller may give a command of the record now; `code`, `reason` and `params` say why "
        "not, as the refusal would (`GET /metadata` has the sentences).  What the command says may be refused besides.",
        "type": "object",
        "properties": {
            "command": {"type": "string"},
            "allowed": {"type": "boolean"},
            "code": {"type": ["string", "null"]},
            "reason": {"type": ["string", "null"]},
            "params": {"type": "object", "additionalProperties": True},
        },
        "required": ["command", "allowed", "code", "reason", "params"],
    },
    "Problem": {
        "description": "A refusal (RFC 9457): it changed nothing.  `field` or `state` is what is at fault; `reason` "
        "says what is wrong with it, and `params` are what `detail` fills in: `GET /metadata` tells the reasons of "
        "each code, and releases add some.  A parameter may be a reason itself, with its own.  `title`, `detail` and "
        "`messages` are in the language that the caller has set, or else the first of Accept-Language that there is "
        "(zh, ja, en), or else the company's.  Content-Language says which.",
        "type": "object",
        "properties": {
            "type": {"type": "string", "examples": ["urn:salestream:error:VALIDATION"]},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "code": {"type": "string", "enum": list(STATUS)},
            "reason": {"type": "string", "examples": ["orders.paid_too_much"]},
            "params": {
                "type": "object",
                "additionalProperties": True,
                "examples": [{"open": "50.00", "currency": "CNY"}],
            },
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
                        "reasons": {
                            "description": "The reasons of the messages, in their order.",
                            "type": "array",
                            "items": {
                                "type": "object",
                                "properties": {
                                    "reason": {"type": "string"},
                                    "params": {"type": "object", "additionalProperties": True},
                                },
                                "required": ["reason", "params"],
                            },
                        },
                    },
                    "required": ["field", "messages", "reasons"],
                },
            },
        },
        "required": ["type", "title", "status", "code", "reason", "params", "detail"],
    },
}


def openapi(registry: Registry, queries: Iterable[QueryDoc]) -> dict[str, Any]:
    """The OpenAPI 3.1 document: every public command, its bulk form, and every query."""
    commands = [spec for spec in registry.commands.values() if spec.is_public]
    queries = list(queries)
    schemas = components([spec.cls for spec in commands], "input")
    for schema in schemas.values():
        if schema.get("properties", {}).keys() == MONEY:
            schema["required"] = ["amount"]
            schema["properties"]["currency"] |= {"description": "Left out: the company's currency (SET-04)."}
    paths: dict[str, dict[str, Any]] = {}
    for spec in commands:
        paths.setdefault(str(spec.path), {})[str(spec.method).lower()] = _command_operation(spec, schemas)
    for spec in commands:
        if not spec.bulk:
            continue
        paths[f"/bulk/{kebab(spec.name)}"] = {"post": _bulk_operation(spec)}
        if back := reverting(spec):
            paths[undo_path(spec)] = {"post": _undo_operation(spec, back)}
    for query in queries:
        paths.setdefault(query.path, {})[query.method.lower()] = _query_operation(query)
    own_routes = [own for _, own in Catalogue.read().routes()]
    for own in own_routes:
        paths.setdefault(own.path, {})[own.method.lower()] = dict(own.operation)
    schemas |= _not_taken(answer_schemas([own.answer for own in own_routes if own.answer]), schemas)
    schemas |= components([one.body for one in PLATFORM_OPERATIONS if one.body], "input")
    for operation in PLATFORM_OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    rows = _rows(queries)
    rows |= {one.answer.__name__: row_schema(one.answer) for one in PLATFORM_OPERATIONS}
    schemas |= _not_taken(rows, schemas)
    for path in paths.values():
        for method, described in path.items():
            if method.upper() not in SAFE:  # `Origins.require_ours` asks it of them
                described["parameters"] = [*described["parameters"], ref("RequestedWith", "parameters")]
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
        "security": [{"bearer": []}, {"cookie": []}],
        "tags": [{"name": name, "description": _about_service(name)} for name in services],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "__Host-access"},
            },
            "parameters": PARAMETERS,
            "headers": HEADERS,
            "responses": {name: _problem(status) for status, name in PROBLEMS.items()},
            "schemas": {**schemas, **BODIES, **ANSWERS, "Condition": condition_schema(), "Group": group_schema()},
        },
    }


def _rows(queries: Sequence[QueryDoc]) -> dict[str, JsonSchema]:
    """What is answered, by its name; raises ContractError where two ways call different things alike."""
    rows: dict[str, JsonSchema] = {}
    for query in queries:
        if rows.setdefault(query.row, query.row_schema) != query.row_schema:
            raise ContractError(f"{query.path} answers a {query.row}, which is something else of another path")
    return rows


def _not_taken(found: dict[str, JsonSchema], taken: Collection[str]) -> dict[str, JsonSchema]:
    """Schemas by component name.  Raises ContractError for a name that another schema has."""
    if twice := found.keys() & {*taken, *BODIES, *ANSWERS}:
        raise ContractError(f"two schemas have the name {', '.join(sorted(twice))}")
    return found


def answer_schemas(answers: Sequence[type]) -> dict[str, JsonSchema]:
    """The schemas of what routes of services answer, by component name."""
    _, found = msgspec.json.schema_components(answers, ref_template="#/components/schemas/{name}")
    return {
        name: {**schema, "description": inspect.cleandoc(schema["description"])} if "description" in schema else schema
        for name, schema in found.items()
    }


def _command_operation(spec: CommandSpec, schemas: dict[str, JsonSchema]) -> dict[str, Any]:
    """One command.  Adds a schema for its body where the path carries some of its fields."""
    whole = schemas[spec.name]
    in_path = re.findall(r"{(\w+)}", str(spec.path))
    headers = ["IdempotencyKey", *(["IfMatch"] if spec.versioned and not spec.creates else []), "Consistency"]
    if spec.signs_in:
        headers.append("Session")
    operation: dict[str, Any] = {
        **_about(spec.name, spec.service, docstring(spec.cls), spec.permission),
        "parameters": [
            *({"name": n, "in": "path", "required": True, "schema": whole["properties"][n]} for n in in_path),
            *(ref(name, "parameters") for name in headers),
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
            "required": bool(awaited(spec)[0]),
            "content": {JSON: {"schema": ref(body)}},
        }
    status, what = ("201", "Created.") if spec.creates else ("200", "Done.")
    told = [*(["ETag"] if spec.versioned else []), HEADER, *(["Location"] if spec.creates else [])]
    operation["responses"] = {
        status: {
            "description": what,
            "headers": {name: ref(name, "headers") for name in told},
            "content": {JSON: {"schema": ref("CommandAnswer")}},
        },
        **_problems(),
    }
    return operation


def _bulk_operation(spec: CommandSpec) -> dict[str, Any]:
    is_run = reverting(spec) is not None
    form = ref("BulkBodyOfRun" if is_run else "BulkBody" if spec.versioned else "BulkBodyUnversioned")
    own = {"properties": {"items": {"items": {"properties": {"command": ref(spec.name)}}}}}
    text = (
        f"{first_sentence(spec.summary)}, for up to {MAX_BULK} records.  Each item is carried out or refused by "
        "itself, and has its own key and version; as headers they are refused."
    )
    return {
        **_about(f"Bulk{spec.name}", spec.service, text, spec.permission),
        "parameters": [ref("Consistency", "parameters")],
        "requestBody": {"required": True, "content": {JSON: {"schema": {"allOf": [form, own]}}}},
        "responses": {
            "200": {
                "description": "A result per item.",
                "headers": {HEADER: ref(HEADER, "headers")},
                "content": {JSON: {"schema": ref("RunAnswer" if is_run else "BulkAnswer")}},
            },
            **_problems(NOT_OF_BULK),
        },
    }


def _undo_operation(spec: CommandSpec, back: CommandSpec) -> dict[str, Any]:
    text = (
        f"Take back a run of {spec.name}: each record that nobody has changed since is put back to what it was before. "
        "Only who made the run does so, while its results are remembered; items with a key of their own are no part of "
        f"it.  It is a run of {back.name}, one result per record that was changed, with the `id` of the record."
    )
    id: JsonSchema = {"type": "string", "format": "uuid"}
    of_record: JsonSchema = {"type": "object", "properties": {"id": id}, "required": ["id"]}
    named: JsonSchema = {"type": "object", "properties": {"results": {"type": "array", "items": of_record}}}
    return {
        **_about(f"Undo{spec.name}", spec.service, text, spec.permission),
        "parameters": [
            {"name": RUN_IN_PATH, "in": "path", "required": True, "schema": id},
            ref("Consistency", "parameters"),
        ],
        "responses": {
            "200": {
                "description": "A result per record.",
                "headers": {HEADER: ref(HEADER, "headers")},
                "content": {JSON: {"schema": {"allOf": [ref("RunAnswer"), named]}}},
            },
            **_problems(),
        },
    }


def _query_operation(query: QueryDoc) -> dict[str, Any]:
    fresh: JsonSchema = {
        "type": "object",
        "properties": {"freshness": {**ref("Freshness"), "readOnly": True}},
        "required": ["freshness"],
    }
    if query.is_list:
        fresh["properties"] |= {
            "items": {"type": "array", "items": ref(query.row)},
            "next": {"type": ["string", "null"], "description": "The cursor of the next page; null after the last."},
            "previous": {"type": ["string", "null"], "description": "That of the page before; null before the first."},
            "last": {"type": ["string", "null"], "description": "That of the last page; null on the last."},
            "total": {"type": "integer", "minimum": 0, "description": "How many there are; only if asked for."},
            "groups": {"type": "array", "items": ref("Group"), "maxItems": MOST_GROUPS},
            "view": saved_view_schema(),
        }
        fresh["required"] += ["items", "next", "previous", "last"]
    if query.actions:
        fresh["properties"]["actions"] = {"type": "array", "items": ref("Action"), "readOnly": True}
        fresh["required"].append("actions")
    told = {"ETag": "Mark" if query.is_list else "ETag", HEADER: HEADER}
    schema = fresh if query.is_list else {"allOf": [ref(query.row), fresh]}
    content: dict[str, Any] = {JSON: {"schema": schema}}
    if query.export:
        content |= {"text/csv": {"schema": {"type": "string"}}, TYPES["xlsx"]: {}}
    found = {
        "description": "Found.",
        "headers": {name: ref(described, "headers") for name, described in told.items()},
        "content": content,
    }
    parameters, kept = [*query.params, ref("Consistency", "parameters")], {}
    if query.is_list:
        parameters.append(ref("IfNoneMatch", "parameters"))
        kept = {"304": {"description": "What is kept still holds."}}
    return {
        **_about(query.operation_id, query.service, query.summary, query.permission),
        "parameters": parameters,
        "responses": {"200": found, **kept, **_problems(NOT_OF_QUERIES)},
    }


def _operation(operation: Operation) -> dict[str, Any]:
    """What is neither a command nor a query (`contracts.operations`)."""
    schema: JsonSchema = ref(operation.answer.__name__)
    if operation.many:
        schema = {"type": "object", "properties": {"items": {"type": "array", "items": schema}}, "required": ["items"]}
    answered: dict[str, Any] = {
        "description": HTTPStatus(operation.status).phrase,
        "content": {JSON: {"schema": schema}},
    }
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", operation.path)
    ]
    found = _about(operation.name, operation.service, operation.text, operation.permission)
    if operation.body:
        found["requestBody"] = {"required": False, "content": {JSON: {"schema": ref(operation.body.__name__)}}}
    if operation.body:
        parameters.append(ref("IdempotencyKey", "parameters"))
    if operation.status == HTTPStatus.ACCEPTED:
        answered["headers"] = {"Location": ref("Location", "headers")}
    problems = _problems(() if operation.body else NOT_OF_QUERIES)
    return {**found, "parameters": parameters, "responses": {str(operation.status): answered, **problems}}


def _about(operation_id: str, service: str, text: str, permission: str) -> dict[str, Any]:
    return {
        "operationId": operation_id,
        "tags": [service],
        "summary": first_sentence(text),
        "description": text,
        "x-permission": permission,
        **({"security": []} if permission == PUBLIC else {}),
    }


def _problems(without: Iterable[HTTPStatus] = ()) -> dict[str, Any]:
    return {str(int(status)): ref(name, "responses") for status, name in PROBLEMS.items() if status not in set(without)}


def _problem(status: HTTPStatus) -> dict[str, Any]:
    codes = ", ".join(code for code, its_status in STATUS.items() if its_status == status)
    return {
        "description": f"Refused: {codes}.",
        **({"headers": {name: ref(name, "headers")}} if (name := PROBLEM_HEADERS.get(status)) else {}),
        "content": {PROBLEM: {"schema": ref("Problem")}},
    }


def _about_service(name: str) -> str:
    module = sys.modules.get(f"contracts.{name}")
    return first_sentence((module and module.__doc__) or name)


def first_sentence(text: str) -> str:
    """The text up to its first full stop, on one line."""
    return " ".join(re.split(r"[.:](?:\s|$)", text, maxsplit=1)[0].split())
