"""What holds for every contract: documents up to date, nothing published broken, samples readable, input guarded."""

import copy
import json
import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from openapi_spec_validator import validate as validate_openapi

from chassis import documents
from chassis.catalogue import Catalogue
from chassis.documents import BreakingChange, FieldMap, QueryDoc, check_compatible, fields_read, sample
from chassis.documents.json_schema import docstring, json_schema
from chassis.documents.query_docs import query_docs
from chassis.http.routes import kebab
from contracts.currencies import fitted
from contracts.custom_fields import OWN
from contracts.declare import REGISTRY, CommandSpec, EventSpec
from contracts.errors import Refused
from contracts.orders import OrderCancelled, OrderHeld
from contracts.permissions import OPEN, PUBLIC, RIGHTS
from contracts.schemas import decode, encode, load
from contracts.text import is_blank, plain_form
from contracts.types import MAX_LINES

REGISTRY.load()
HOME = documents.repository() / "contracts"
EVENTS = [pytest.param(spec, id=name) for name, spec in sorted(REGISTRY.events.items())]
COMMAND_SPECS = [spec for _, spec in sorted(REGISTRY.commands.items())]
COMMANDS = [pytest.param(spec, id=spec.name) for spec in COMMAND_SPECS]
SAMPLES = [pytest.param(file, id=file.stem) for file in sorted((HOME / "samples").glob("*.json"))]


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


# -- the committed documents


def test_documents_are_up_to_date() -> None:
    queries, consumers = documents.collect()
    wanted = documents.documents(documents.repository(), REGISTRY, queries, consumers)
    assert documents.differences(documents.repository(), wanted) == {}, "run `make contracts` and commit the result"


def test_openapi_is_valid() -> None:
    query = QueryDoc(
        path="/products/{product_id}/stock",
        operation_id="ListStock",
        service="inventory",
        summary="The stock ledger of a product.",
        permission="products.view",
        row="StockRow",
        row_schema={"type": "object", "properties": {"balance": {"type": "integer"}}},
        params=[{"name": "product_id", "in": "path", "required": True, "schema": {"type": "string"}}],
        export=True,
    )
    made = documents.openapi(REGISTRY, [query])
    validate_openapi(made)
    get = made["paths"]["/products/{product_id}/stock"]["get"]
    assert "text/csv" in get["responses"]["200"]["content"]


@pytest.mark.parametrize("spec", [pytest.param(spec, id=spec.name) for spec in COMMAND_SPECS if spec.is_public])
def test_every_public_command_is_an_operation(spec: CommandSpec) -> None:
    paths = documents.openapi(REGISTRY, [])["paths"]
    operation = paths[spec.path][str(spec.method).lower()]
    assert operation["operationId"] == spec.name
    assert operation["x-permission"] == spec.permission
    assert ("201" if spec.creates else "200") in operation["responses"]
    assert (f"/bulk/{kebab(spec.name)}" in paths) == spec.bulk


def test_what_deals_with_secrets_has_no_bulk_form() -> None:
    """Five hundred guesses in one request would be cheap, and an answer with a secret is not kept."""
    for service in Catalogue.read().services():
        assert {spec.name for spec in service.specs() if not spec.bulk} == {cls.__name__ for cls in service.middleware}
        assert not [spec.name for spec in service.specs() if spec.permission == PUBLIC and spec.bulk]


def test_a_command_without_fields_of_its_own_has_no_body() -> None:
    paths = documents.openapi(REGISTRY, [])["paths"]
    assert "requestBody" not in paths["/orders/{order_id}/submit"]["post"]
    assert "requestBody" not in paths["/products/{product_id}"]["delete"]
    assert "product_id" not in paths["/products/{product_id}"]["patch"]["requestBody"]


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for inner in node:
            yield from references(inner)


def test_every_operation_tells_that_its_address_may_be_too_long() -> None:
    """Whoever repeats a filter often enough is answered 413, by whichever route."""
    queries = [query for view in Catalogue.read().views() for query in query_docs(view)]
    made = documents.openapi(REGISTRY, queries)
    told = [(path, method, one["responses"]) for path, found in made["paths"].items() for method, one in found.items()]
    assert len(told) > 150
    assert [(path, method) for path, method, responses in told if "413" not in responses] == []


@pytest.mark.parametrize(
    "made", [documents.openapi(REGISTRY, []), documents.asyncapi(REGISTRY)], ids=["openapi", "asyncapi"]
)
def test_every_reference_leads_somewhere(made: dict[str, Any]) -> None:
    for reference in set(references(made)):
        found: Any = made
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
        assert isinstance(found, dict) and found, reference


@pytest.mark.parametrize("spec", EVENTS)
def test_every_event_is_a_message_of_its_channel(spec: EventSpec) -> None:
    made = documents.asyncapi(REGISTRY)
    assert spec.cls.__name__ in made["channels"][spec.topic]["messages"]
    assert made["components"]["messages"][spec.cls.__name__]["name"] == spec.name


@pytest.mark.parametrize("spec", EVENTS)
def test_schema_of_event(spec: EventSpec) -> None:
    schema = json_schema(spec.cls, "output")
    Draft202012Validator.check_schema(schema)
    validator(schema).validate({**sample(spec.cls), "a_field_of_tomorrow": 1})


@pytest.mark.parametrize("spec", COMMANDS)
def test_schema_of_command(spec: CommandSpec) -> None:
    schema = json_schema(spec.cls, "input")
    Draft202012Validator.check_schema(schema)
    validator(schema).validate(sample(spec.cls))
    assert not validator(schema).is_valid({**sample(spec.cls), "a_field_of_tomorrow": 1})
    load(spec.cls, sample(spec.cls))


# -- what is declared


@pytest.mark.parametrize("spec", [*EVENTS, *COMMANDS])
def test_every_contract_says_what_it_is(spec: EventSpec | CommandSpec) -> None:
    assert docstring(spec.cls), f"{spec.name} has no docstring"


@pytest.mark.parametrize("spec", COMMANDS)
def test_every_command_needs_a_right_that_exists(spec: CommandSpec) -> None:
    assert spec.permission in {*RIGHTS, *OPEN}
    assert (spec.permission == "system") == (not spec.is_public), "`system` is for what only services send"


# -- golden samples


def contains(whole: Any, part: Any) -> bool:
    """Whether `whole` has everything `part` has."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(name in whole and contains(whole[name], part[name]) for name in part)
    if isinstance(part, list):
        return isinstance(whole, list) and len(whole) == len(part) and all(map(contains, whole, part))
    return bool(whole == part)


@pytest.mark.parametrize("file", SAMPLES)
def test_golden_sample_is_read_by_todays_code(file: Path) -> None:
    spec = REGISTRY.events[file.name.removesuffix(".json").rpartition(".")[0]]
    text = file.read_bytes()
    decoded: Any = decode(spec.cls, text)
    assert decoded == load(spec.cls, json.loads(text)), "msgspec and marshmallow read it differently"
    validator(json_schema(spec.cls, "output")).validate(json.loads(text))


@pytest.mark.parametrize("file", SAMPLES)
def test_golden_sample_is_written_back_whole(file: Path) -> None:
    spec = REGISTRY.events[file.name.removesuffix(".json").rpartition(".")[0]]
    text = file.read_bytes()
    assert decode(spec.cls, encode(decode(spec.cls, text))) == decode(spec.cls, text)
    written = json.loads(msgspec.json.encode(decode(spec.cls, text)))  # whose personal texts are not sealed
    known = {name: value for name, value in json.loads(text).items() if name in documents.field_map(spec.cls)}
    assert contains(written, known)


@pytest.mark.parametrize("spec", EVENTS)
def test_every_published_version_has_a_sample(spec: EventSpec) -> None:
    lock = documents.read_lock(documents.repository())
    for number in range(1, len(lock["events"][spec.name]) + 1):
        assert (HOME / "samples" / f"{spec.name}.{number}.json").exists()


# -- compatibility

EVENT = "salestream.tests.thing-happened.v1"
COMMAND = "DoThing"
BEFORE: FieldMap = {
    "id": {"type": "uuid", "required": True},
    "state": {"type": "string", "enum": ["NEW", "OLD"], "required": True},
    "note": {"type": "string", "required": False, "default": ""},
    "by": {"type": "object", "fields": {"name": {"type": "string", "required": True}}, "required": True},
    "lines": {
        "type": "array",
        "items": {"type": "object", "fields": {"quantity": {"type": "integer", "required": True}}},
        "required": False,
        "default": [],
    },
}


def changed(path: str, **entry: Any) -> FieldMap:
    """BEFORE with the entry at a dotted path updated (or added)."""
    after = copy.deepcopy(BEFORE)
    *parents, name = path.split(".")
    level: Any = after
    for parent in parents:
        inner = level[parent]
        level = inner["items"]["fields"] if "items" in inner else inner["fields"]
    level.setdefault(name, {}).update(entry)
    return after


def without(name: str) -> FieldMap:
    return {field: entry for field, entry in BEFORE.items() if field != name}


BREAKING = {
    "required field removed": (without("state"), "state"),
    "required field added": (changed("extra", type="string", required=True), "extra"),
    "type changed": (changed("note", type="integer"), "note"),
    "default lost": (changed("note", required=True), "note"),
    "enum narrowed": (changed("state", enum=["NEW"]), "state"),
    "text narrowed to an enum": (changed("note", enum=["A"]), "note"),
    "null allowed": (changed("note", nullable=True), "note"),
    "type changed inside an object": (changed("by.name", type="integer"), "by.name"),
    "required field added inside a list": (changed("lines.price", type="decimal", required=True), "lines[].price"),
}
COMPATIBLE = {
    "nothing changed": BEFORE,
    "optional field added": changed("extra", type="string", required=False, default=""),
    "optional field added inside a list": changed("lines.price", type="decimal", required=False, default="0"),
    "enum widened": changed("state", enum=["NEW", "OLD", "LOST"]),
    "default changed": changed("note", default="-"),
}


@pytest.mark.parametrize("change", BREAKING)
@pytest.mark.parametrize("name", [EVENT, COMMAND])
def test_breaking_change_is_refused(name: str, change: str) -> None:
    after, field = BREAKING[change]
    with pytest.raises(BreakingChange) as refused:
        check_compatible({name: [BEFORE]}, {name: after})
    assert name in str(refused.value)
    assert f"field {field} " in str(refused.value)
    assert (".v2" if name == EVENT else "new command") in str(refused.value)


@pytest.mark.parametrize("change", COMPATIBLE)
@pytest.mark.parametrize("name", [EVENT, COMMAND])
def test_compatible_change_is_allowed(name: str, change: str) -> None:
    check_compatible({name: [BEFORE]}, {name: COMPATIBLE[change]})


def test_optional_field_may_leave_an_event_but_not_a_command() -> None:
    check_compatible({EVENT: [BEFORE]}, {EVENT: without("note")})
    with pytest.raises(BreakingChange, match="note is gone, and a command refuses unknown fields"):
        check_compatible({COMMAND: [BEFORE]}, {COMMAND: without("note")})


def test_a_command_may_cease_to_ask_for_a_field_but_never_begin_again() -> None:
    check_compatible({COMMAND: [BEFORE]}, {COMMAND: changed("id", required=False)})
    with pytest.raises(BreakingChange, match="field id lost its default"):
        check_compatible({COMMAND: [BEFORE, changed("id", required=False)]}, {COMMAND: BEFORE})
    with pytest.raises(BreakingChange, match="field id got its default"):
        check_compatible({EVENT: [BEFORE]}, {EVENT: changed("id", required=False)})


def test_name_is_never_used_again_with_another_type() -> None:
    with pytest.raises(BreakingChange, match=r"note was of type string and is of type integer \(version 1\)"):
        check_compatible({EVENT: [BEFORE, without("note")]}, {EVENT: changed("note", type="integer", default=0)})


def test_contract_may_not_vanish() -> None:
    with pytest.raises(BreakingChange, match=r"thing-happened\.v1 is gone"):
        check_compatible({EVENT: [BEFORE]}, {})


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(BreakingChange) as refused:
        check_compatible({EVENT: [BEFORE], COMMAND: [BEFORE]}, {EVENT: without("state"), COMMAND: without("id")})
    assert len(str(refused.value).splitlines()) == 2


# -- what consumers read


def annotated(row: object, fact: OrderHeld | OrderCancelled) -> str:
    return f"{fact.reason} in round {fact.round}"


def nested(event: OrderHeld) -> list[int]:
    return [shortage.wanted for shortage in event.missing]


def passed_on(fact: OrderHeld, event: object) -> object:
    return annotated(event, fact)


def mistaken(fact: OrderHeld) -> object:
    return fact.no_such_field  # type: ignore[attr-defined]


class Handlers:
    def on(self, fact: OrderHeld) -> int:
        return fact.attempt


ALL = ["order_id", "round", "attempt", "reason", "missing", "number", "owner"]


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        pytest.param(annotated, ["round", "reason"], id="annotated among several"),
        pytest.param(nested, ["missing"], id="attribute of a part"),
        pytest.param(passed_on, ALL, id="passed on"),
        pytest.param(lambda row, fact: fact.round, ["round"], id="lambda"),
        pytest.param(Handlers().on, ["attempt"], id="method"),
        pytest.param(print, ALL, id="no source"),
    ],
)
def test_fields_a_consumer_reads(handler: Any, expected: list[str]) -> None:
    assert fields_read(handler, OrderHeld) == expected


def test_consumer_may_not_read_a_field_that_is_gone() -> None:
    with pytest.raises(BreakingChange, match="no_such_field of OrderHeld"):
        documents.next_lock({}, REGISTRY, {"tests": {OrderHeld: mistaken}})


# -- writing


def test_writing_twice_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "contracts").mkdir()
    first = documents.write(tmp_path, REGISTRY, [], {"tests": {OrderHeld: nested}})
    assert {"openapi.yaml", "asyncapi.yaml", "lock/orders.json", "schemas/SubmitOrder.json"} <= set(first)
    assert documents.write(tmp_path, REGISTRY, [], {"tests": {OrderHeld: nested}}) == {}
    lock = json.loads((tmp_path / "contracts" / "lock" / "orders.json").read_text(encoding="utf-8"))
    assert lock["consumers"] == {"tests": {"salestream.orders.order-held.v1": ["missing"]}}


def edit_lock(root: Path, change: Any) -> None:
    file = root / "contracts" / "lock" / "orders.json"
    lock = json.loads(file.read_text(encoding="utf-8"))
    change(lock)
    file.write_text(json.dumps(lock), encoding="utf-8")


def test_compatible_change_is_a_new_version_with_a_sample_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "contracts").mkdir()
    documents.write(tmp_path, REGISTRY, [], {})
    name = "salestream.orders.order-held.v1"
    old = tmp_path / "contracts" / "samples" / f"{name}.1.json"
    old.write_text("{}\n", encoding="utf-8")
    (tmp_path / "contracts" / "schemas" / "Gone.json").write_text("{}", encoding="utf-8")
    edit_lock(tmp_path, lambda lock: lock["events"][name][0].pop("missing"))
    found = documents.write(tmp_path, REGISTRY, [], {})
    assert found == {"lock/orders.json": "changed", f"samples/{name}.2.json": "new", "schemas/Gone.json": "stale"}
    assert old.read_text(encoding="utf-8") == "{}\n", "a published sample was changed"
    assert not (tmp_path / "contracts" / "schemas" / "Gone.json").exists()


def test_a_lock_that_was_lost_is_not_begun_anew(tmp_path: Path) -> None:
    """It would forget every version but today's, and write that over the samples of the others."""
    (tmp_path / "contracts").mkdir()
    documents.write(tmp_path, REGISTRY, [], {})
    (tmp_path / "contracts" / "lock" / "orders.json").unlink()
    with pytest.raises(BreakingChange, match=r"order-held\.v1: the lock does not know version 1, of which"):
        documents.write(tmp_path, REGISTRY, [], {})


def test_command_line_tells_what_changed_and_refuses_what_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "contracts").mkdir()
    monkeypatch.setattr(documents, "repository", lambda: tmp_path)
    assert documents.main(check=True) == 1
    assert list((tmp_path / "contracts").iterdir()) == []
    assert documents.main() == 0
    assert "new      contracts/openapi.yaml" in capsys.readouterr().out
    assert documents.main(check=True) == 0
    breaking = {"type": "string", "required": True}
    edit_lock(tmp_path, lambda lock: lock["commands"]["SubmitOrder"][0].update(was_here=breaking))
    before = (tmp_path / "contracts" / "lock" / "orders.json").read_bytes()
    assert documents.main() == 1
    assert "SubmitOrder: field was_here was required and is gone" in capsys.readouterr().err
    assert (tmp_path / "contracts" / "lock" / "orders.json").read_bytes() == before


# -- hostile input

ALWAYS_WRONG: list[Any] = [
    float("nan"), float("inf"), 1e309, -1e309, 10**30, -(10**30), 10**5_000, "x" * 900_001, "\x00", "\ud800", [[{}]],
    {"surprise": {"x": 1}}, [None],
]  # fmt: skip
OFTEN_WRONG: list[Any] = [
    -1, 0, 1.5, True, "", " ", "3", None, [], {}, "1899-12-31", "1900-01-01", "2026-W01-1", "2026-02-30",
    "9" * 38, "NaN", "1_000", "-0.01", "１", "0", "0.00",
]  # fmt: skip

Path_ = tuple[str | int, ...]


def paths(value: Any, prefix: Path_ = ()) -> Iterator[Path_]:
    """The path of everything inside a JSON value."""
    inner: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, part in inner:
        yield (*prefix, step)
        yield from paths(part, (*prefix, step))


def at(value: Any, path: Path_) -> Any:
    for step in path:
        value = value[step]
    return value


def put(value: Any, path: Path_, new: Any) -> Any:
    """A copy of `value` with something else at `path`."""
    made = copy.deepcopy(value)
    at(made, path[:-1])[path[-1]] = new
    return made


def named(refusal: Refused, path: Path_) -> bool:
    field = ".".join(map(str, path))
    return refusal.field is not None and (refusal.field == field or refusal.field.startswith(f"{field}."))


FIELDS = [
    pytest.param(spec, path, id=f"{spec.name}-{'.'.join(map(str, path))}")
    for spec in COMMAND_SPECS
    for path in paths(sample(spec.cls))
]


@pytest.mark.parametrize(("spec", "path"), FIELDS)
def test_hostile_value_is_refused_naming_the_field(spec: CommandSpec, path: Path_) -> None:
    good = sample(spec.cls)
    accepts = validator(json_schema(spec.cls, "input"))
    wrong = list(ALWAYS_WRONG)
    for value in OFTEN_WRONG:
        body = put(good, path, value)
        if accepts.is_valid(body):
            load(spec.cls, body)
        else:
            wrong.append(value)
    for value in wrong:
        with pytest.raises(Refused) as refused:
            load(spec.cls, put(good, path, value))
        assert refused.value.code == "VALIDATION"
        assert named(refused.value, path), f"{str(value)[:40]!r}: names {refused.value.field!r}"


@pytest.mark.parametrize("spec", COMMANDS)
def test_unknown_field_is_refused_by_name_at_every_depth(spec: CommandSpec) -> None:
    good = sample(spec.cls)
    for path in [(), *(path for path in paths(good) if isinstance(at(good, path), dict) and path != (OWN,))]:
        with pytest.raises(Refused) as refused:
            load(spec.cls, put(good, (*path, "surprise"), 1))
        assert named(refused.value, (*path, "surprise"))
    for nameless in ("", " "):
        with pytest.raises(Refused) as refused:
            load(spec.cls, put(good, (nameless,), 1))
        assert refused.value.field == f'"{nameless}"'


@pytest.mark.parametrize(("spec", "path"), [p for p in FIELDS if str(p.id).endswith(".0")])
def test_list_has_a_longest_length(spec: CommandSpec, path: Path_) -> None:
    good = sample(spec.cls)
    try:
        load(spec.cls, put(good, path[:-1], [at(good, path)] * MAX_LINES))
    except Refused as repeated:
        assert "already" in repeated.message, "what names something once is refused for that, not for its length"
    with pytest.raises(Refused) as refused:
        load(spec.cls, put(good, path[:-1], [at(good, path)] * (MAX_LINES + 1)))
    assert named(refused.value, path[:-1])


@pytest.mark.parametrize("spec", COMMANDS)
@pytest.mark.parametrize("body", [None, [], "x", 1, True], ids=repr)
def test_body_that_is_no_object_is_refused(spec: CommandSpec, body: Any) -> None:
    with pytest.raises(Refused) as refused:
        load(spec.cls, body)
    assert refused.value.code == "VALIDATION"


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
WHOLE_OR_TEXT = st.none() | st.booleans() | st.integers(-3, 2_000_000_000_000) | st.text(max_size=300)
EXAMPLES = int(os.environ.get("EXAMPLES_OF_COMMANDS") or 10)
"""Of each command in each test: a sample, since all of them take two minutes of a core.  `.ci/run` tries 60."""
QUICK = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("spec", COMMANDS)
@given(data=st.data())
@QUICK
def test_whatever_comes_is_loaded_or_refused(spec: CommandSpec, data: st.DataObject) -> None:
    good = sample(spec.cls)
    path = data.draw(st.sampled_from(list(paths(good))))
    try:
        load(spec.cls, put(good, path, data.draw(ANYTHING)))
    except Refused as refusal:
        assert refusal.code == "VALIDATION"
        assert named(refusal, path)


@pytest.mark.parametrize("spec", COMMANDS)
@given(data=st.data())
@QUICK
def test_what_the_schema_accepts_is_loaded(spec: CommandSpec, data: st.DataObject) -> None:
    schema = json_schema(spec.cls, "input")
    path = data.draw(st.sampled_from(list(paths(sample(spec.cls)))))
    pattern = schema_at(schema, path).get("pattern")
    value = data.draw(st.from_regex(pattern) | WHOLE_OR_TEXT if pattern else WHOLE_OR_TEXT)
    assume(not isinstance(value, str) or not value or not is_blank(value))  # no pattern says which signs do
    body = put(sample(spec.cls), path, value)
    if validator(schema).is_valid(body):
        assume(all(map(fits, parts_of(body))))
        encode(load(spec.cls, body))


def parts_of(value: Any) -> Iterator[Any]:
    """A JSON value and everything inside it."""
    yield value
    for path in paths(value):
        yield at(value, path)


def fits(part: Any) -> bool:
    """Whether it is no money, or its amount has no more decimals than its currency has: no schema can say that."""
    if not isinstance(part, dict) or not {"amount", "currency"} <= part.keys():
        return True
    return fitted(Decimal(plain_form(str(part["amount"]))), str(part["currency"])) is not None


def schema_at(schema: dict[str, Any], path: Path_) -> dict[str, Any]:
    """The part of a JSON Schema that describes what stands at `path`."""
    found = schema
    for step in (*path, None):
        found = found.get("anyOf", [found])[0]
        if "$ref" in found:
            found = schema["$defs"][found["$ref"].rpartition("/")[2]]
        if step is not None:
            found = found["items"] if isinstance(step, int) else found["properties"][step]
    return found
