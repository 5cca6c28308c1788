"""Each example in docs/clients.md is one that is taken: its path, its parameters, and what stands in its body."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from chassis.catalogue import Catalogue
from chassis.http.routes import kebab
from chassis.queries.filters import Filters
from contracts.declare import REGISTRY, CommandSpec
from contracts.lists import LIST_PARAMETERS
from contracts.schemas import load

CLIENTS = (Path(__file__).parents[2] / "docs" / "clients.md").read_text()
SOME_ID = "019a0000-0000-7000-8000-000000000001"
COMMANDS = [spec for spec in REGISTRY.load().commands.values() if spec.is_public]
VIEWS = {view.path: view for view in Catalogue.read().views()}
OTHERS = {route.path for _, route in Catalogue.read().routes()}


def examples() -> Iterator[tuple[str, str, str]]:
    """Method, address and body of each request that stands in a block of its own; `<name>` is an id."""
    for block in re.findall(r"^```\n(.*?)^```$", CLIENTS, flags=re.MULTILINE | re.DOTALL):
        for method, address, body in re.findall(
            r"^(GET|POST|PUT|PATCH|DELETE) (\S+|[^\n{]*)\n((?:^(?:[{ ].*|[A-Z][\w-]*: .*|)\n)*)",
            block,
            flags=re.MULTILINE,
        ):
            with_ids = re.sub(r"<[a-z ]+>|019a\.\.\.", SOME_ID, f"{address}\n{body}")
            yield method, *with_ids.strip("\n").partition("\n")[::2]


def command_at(method: str, path: str) -> tuple[CommandSpec, dict[str, str]]:
    """The command of a route, and what stands in the path."""
    for spec in COMMANDS:
        pattern = re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", str(spec.path))
        if spec.method == method and (found := re.fullmatch(pattern, path)):
            return spec, found.groupdict()
    raise AssertionError(f"there is no {method} {path}")


def asked_of_list(path: str, query: str) -> None:
    filters = Filters(VIEWS[path], lambda _: True)
    for name, values in parse_qs(query, keep_blank_values=True).items():
        assert name in LIST_PARAMETERS or filters.condition(name, values) is not None, (path, name)


@pytest.mark.parametrize(("method", "address", "body"), [*examples()])
def test_an_example_is_taken_as_it_stands(method: str, address: str, body: str) -> None:
    path, _, query = address.partition("?")
    if method == "GET":
        if path not in OTHERS:
            asked_of_list(path, query)
        return
    given = json.loads(re.sub(r"^[A-Z][\w-]*: .*$", "", body, flags=re.MULTILINE) or "{}")
    bulk = {f"/bulk/{kebab(spec.name)}": spec for spec in COMMANDS}
    if path in bulk:
        assert given["items"]
        for item in given["items"]:
            assert item.keys() <= {"command", "idempotency_key", "if_match"}
            load(bulk[path].cls, item["command"])
        return
    spec, in_path = command_at(method, path)
    load(spec.cls, {**given, **in_path})


def test_there_are_examples_of_what_is_hard_to_guess() -> None:
    told = {address for _, address, _ in examples()}
    assert any(one.startswith("/bulk/") for one in told) and any("dictionary=" in one for one in told)
    assert any('"access"' in body for _, _, body in examples())
