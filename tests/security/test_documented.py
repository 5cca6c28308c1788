"""What openapi.yaml says of parameters and headers is what the edge does: every operation, every list."""

import re
from typing import Any
from uuid import uuid4

import pytest
import yaml
from component.support import REPOSITORY_ROOT

from chassis.documents.samples import sample
from chassis.foundation.config import Config
from chassis.http.messages import HttpRequest
from chassis.http.origins import REQUESTED_WITH, SAFE, Origins
from contracts.declare import REGISTRY
from contracts.errors import Refused
from contracts.operations import PLATFORM_OPERATIONS
from security.office import CATALOGUE, VIEWS, Office, Told, new_id

DOCUMENT: dict[str, Any] = yaml.safe_load((REPOSITORY_ROOT / "contracts" / "openapi.yaml").read_text())
OPERATIONS = [
    pytest.param(method.upper(), path, described, id=described["operationId"])
    for path, methods in DOCUMENT["paths"].items()
    for method, described in methods.items()
]
LISTS = [view for view in VIEWS if view.is_list]


def parameters(described: dict[str, Any], place: str) -> dict[str, dict[str, Any]]:
    """The parameters of an operation by their names, those it shares with others among them."""
    shared = DOCUMENT["components"]["parameters"]
    named = described.get("parameters", ())
    found = [shared[one["$ref"].rpartition("/")[2]] if "$ref" in one else one for one in named]
    return {one["name"]: one for one in found if one["in"] == place}


def list_parameters(name: str) -> dict[str, dict[str, Any]]:
    view = next(view for view in LISTS if view.name == name)
    return parameters(DOCUMENT["paths"][view.path]["get"], "query")


def ask(office: Office, path: str, name: str, *values: str) -> Told:
    return office.call(f"GET {path}", by=office.admin, query={name: values})


@pytest.mark.parametrize("view", LISTS, ids=lambda view: view.name)
def test_a_parameter_may_be_repeated_where_the_document_says_so(office: Office, view: Any) -> None:
    for name, described in list_parameters(view.name).items():
        schema = described["schema"]
        is_many = schema["type"] == "array"
        one = schema["items"] if is_many else schema
        value = str(uuid4()) if one.get("format") == "uuid" else str(next(iter(one.get("enum", ["1"]))))
        told = ask(office, view.path, name, value, value)
        refused = told.code == "VALIDATION" and told.body["detail"] == f"{name}: must be given once."
        assert refused is not is_many, (name, told.body)
        if is_many:
            assert described["explode"] is True
            told = ask(office, view.path, name, *[value] * (schema["maxItems"] + 1))
            assert (told.code, told.body["field"]) == ("VALIDATION", name)


@pytest.mark.parametrize("view", LISTS, ids=lambda view: view.name)
def test_what_a_filter_takes_is_what_the_document_says(office: Office, view: Any) -> None:
    for name, described in list_parameters(view.name).items():
        if described["schema"]["type"] != "array":
            continue
        one = described["schema"]["items"]
        if one.get("format") == "uuid":
            for wrong in ("7", "SO-000001", "not-a-uuid", f"{uuid4()}0"):
                told = ask(office, view.path, name, wrong)
                assert (told.code, told.body["field"]) == ("VALIDATION", name), wrong
            assert ask(office, view.path, name, str(uuid4())).status == 200
        for choice in one.get("enum", ()):
            assert ask(office, view.path, name, choice).status == 200, (name, choice)
        told = ask(office, view.path, name, "no such value")
        assert (told.code == "VALIDATION") is bool({"enum", "format", "anyOf"} & one.keys() or "another" in str(one)), (
            name
        )
        assert ask(office, view.path, name, "x" * (one.get("maxLength", 500) + 1)).code == "VALIDATION"


@pytest.mark.parametrize(("method", "path", "described"), OPERATIONS)
def test_an_idempotency_key_is_read_where_the_document_says_so(
    office: Office, method: str, path: str, described: dict[str, Any]
) -> None:
    """One that is none is refused by whoever reads it."""
    if method in SAFE or path.startswith("/bulk/"):
        assert "Idempotency-Key" not in parameters(described, "header")
        return
    name = described["operationId"]
    body: Any = None
    values = {one: new_id() for one in re.findall(r"{(\w+)}", path)}
    if name in REGISTRY.commands:
        spec = REGISTRY.commands[name]
        whole = sample(spec.cls)
        values = {one: str(whole[one]) for one in values}
        left_out = {*values, *([spec.key] if spec.creates else [])}
        body = {one: value for one, value in whole.items() if one not in left_out}
    else:
        own = [route for _, route in CATALOGUE.routes()]
        assert name in {one.name for one in (*PLATFORM_OPERATIONS, *own)}
        return  # with real read models: tests/component/test_rebuild_requests.py
    assert "Idempotency-Key" in parameters(described, "header")
    route = next(route for route in office.routes if (route.method, route.path) == (method, path))
    told = office.serve(route, values, body, office.admin, headers={"idempotency-key": "not a key"})
    assert (told.code, told.body["field"]) == ("VALIDATION", "Idempotency-Key"), told.body


@pytest.mark.parametrize(("method", "path", "described"), OPERATIONS)
def test_a_request_with_cookies_needs_the_header_that_the_document_names(
    method: str, path: str, described: dict[str, Any]
) -> None:
    named = REQUESTED_WITH in parameters(described, "header")
    origins = Origins(Config())
    http = HttpRequest({}, {}, {}, bytes, method=method, target=path)
    ours = HttpRequest({REQUESTED_WITH.lower(): "anything"}, {}, {}, bytes, method=method, target=path)
    origins.require_ours(ours)
    if not named:
        origins.require_ours(http)
        return
    with pytest.raises(Refused) as refused:
        origins.require_ours(http)
    assert (refused.value.code, refused.value.state) == ("FORBIDDEN", "CROSS_SITE")
    assert REQUESTED_WITH in refused.value.message
