"""Reading a body costs a bounded number of steps, whatever is in it: counted, not timed."""

import json
import sys
from types import FrameType
from typing import Any

import pytest

from chassis.http.bodies import MAX_COMMAND_NODES, MAX_DEPTH, MAX_KEYS, MAX_NODES, count_nodes, read_object
from contracts.declare import REGISTRY, CommandSpec
from contracts.errors import Refused
from contracts.languages import LANGUAGES
from contracts.reasons import Why
from contracts.schemas import MAX_ERRORS, load
from contracts.types import MAX_LINES

REGISTRY.load()
PUBLIC_COMMANDS = [spec for spec in REGISTRY.commands.values() if spec.is_public]
LENGTH = 900_000


def filled(start: bytes, part: bytes, end: bytes) -> bytes:
    """As many parts as a body of LENGTH holds, a number in each where it has a %d."""
    count = LENGTH // (len(part) + 6)
    parts = [part % number if b"%d" in part else part for number in range(count)]
    return start + b",".join(parts) + end


HOSTILE = {
    "one key again and again": filled(b"{", b'"a":1', b"}"),
    "many keys, one of them twice": filled(b'{"x":0,', b'"k%d":1', b',"x":1}'),
    "many keys in a key that comes twice": filled(b'{"x":{', b'"k%d":1', b'},"x":1}'),
    "empty objects": filled(b'{"lines":[', b"{}", b"]}"),
    "empty objects as items of a bulk": filled(b'{"items":[', b"{}", b"]}"),
    "empty lists": filled(b'{"lines":[', b"[]", b"]}"),
    "numbers for lines": filled(b'{"lines":[', b"1", b"]}"),
    "texts for lines": filled(b'{"lines":[', b'"x"', b"]}"),
    "lists of lists": b'{"lines":[' + b",".join([b"[" + b",".join([b"1"] * 500) + b"]"] * 500) + b"]}",
    "unknown keys": filled(b"{", b'"k%d":1', b"}"),
    "one long key": b'{"' + b"k" * LENGTH + b'":1}',
    "a long number": b'{"a":' + b"1" * LENGTH + b"}",
    "a long fraction": b'{"a":0.' + b"1" * LENGTH + b"}",
    "an exponent nobody can hold": b'{"a":1e99999999999999999999}',
    "deep": b'{"a":' * 400 + b"1" + b"}" * 400,
}


def calls_of(act: Any) -> tuple[int, Refused]:
    """How many functions were called until `act` was refused."""
    count = 0

    def seen(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(seen)
    try:
        act()
    except Refused as refusal:
        return count, refusal
    finally:
        sys.setprofile(None)
    raise AssertionError("it was taken")


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_body_is_refused_after_a_bounded_number_of_steps(raw: bytes) -> None:
    steps, refusal = calls_of(lambda: count_nodes(read_object(raw), MAX_COMMAND_NODES))
    assert refusal.code == "VALIDATION"
    assert refusal.field
    assert steps < 4 * MAX_NODES
    assert len(json.dumps(refusal.problem())) < 5_000


BROKEN = [
    (b"{", 1, 2, "json_end"),
    (b'{"a": 1,\n "b": [1, 2\n', 3, 1, "json_end"),
    (b'{"a":1,}', 1, 8, "json_name"),
    (b"{a:1}", 1, 2, "json_name"),
    (b'{"a" 1}', 1, 6, "json_colon"),
    (b'{"a":1 "b":2}', 1, 8, "json_comma"),
    (b'{"a":[1 2]}', 1, 9, "json_comma"),
    (b'{"a":01}', 1, 7, "json_comma"),
    (b'{"a":[1,]}', 1, 9, "json_value"),
    (b'{"a":tru}', 1, 6, "json_value"),
    (b'{"a":NaN}', 1, 6, "json_value"),
    ('{\r\n"名称":“苏州”}'.encode(), 2, 6, "json_value"),
    (b'{"a":"x', 1, 6, "json_quote"),
    (b'{"a":"x\ny"}', 1, 8, "json_control"),
    (b'{"a":"\\x"}', 1, 7, "json_escape"),
    (b'{"a":"\\ud800"}', 1, 15, "json_escape"),
    (b'{"a":"\xff"}', 1, 7, "json_utf8"),
    (b'{"a":1}}', 1, 8, "json_after"),
]


@pytest.mark.parametrize(("raw", "line", "column", "expected"), BROKEN, ids=[str(raw) for raw, *_ in BROKEN])
def test_set_02_broken_json_is_told_by_line_and_column_and_in_our_own_words(
    raw: bytes, line: int, column: int, expected: str
) -> None:
    with pytest.raises(Refused) as refused:
        read_object(raw)
    told = refused.value.why.told()
    wanted = {"line": line, "column": column, "expected": {"reason": f"requests.{expected}", "params": {}}}
    assert (refused.value.code, refused.value.field) == ("VALIDATION", "body")
    assert told == {"reason": "requests.json", "params": wanted}
    for language in LANGUAGES:
        said = refused.value.why.said(language)
        assert str(line) in said and Why(f"requests.{expected}").said(language) in said
    parsers = ("malformed", "truncated", "codec", "Expecting", "byte")
    assert not [word for word in parsers if word in str(refused.value)]


def test_json_that_is_nested_without_end_is_told_of_its_depth() -> None:
    with pytest.raises(Refused) as refused:
        read_object(b'{"a":' * 40_000)
    assert refused.value.why.reason == "requests.deepest"


def test_what_is_within_the_limits_is_read() -> None:
    items = [{"command": {f"k{key}": "," * 50 for key in range(90)}} for _ in range(500)]
    assert read_object(json.dumps({"items": items}).encode()) == {"items": items}
    wide = {f"k{number}": number for number in range(MAX_KEYS)}
    assert read_object(json.dumps(wide).encode()) == wide
    assert count_nodes([[]] * 3) == 4


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"a": {"b": [0] * (MAX_LINES + 1)}}, "a.b"),
        ({f"k{number}": 0 for number in range(MAX_KEYS + 1)}, "body"),
        ({"a": [{f"k{number}": 0 for number in range(MAX_KEYS + 1)}]}, "a.0"),
        ({"a": [10**40]}, "a.0"),
        ({"a": [[0] * 500] * 100}, "a"),
        ({"a": {"k" * 201: 0}}, "a"),
    ],
)
def test_the_value_that_is_too_large_is_named(value: Any, field: str) -> None:
    with pytest.raises(Refused) as refused:
        count_nodes(value)
    assert refused.value.field == field


def test_nesting_has_a_limit() -> None:
    deep: Any = 0
    for _ in range(MAX_DEPTH):
        deep = {"a": deep}
    assert count_nodes(deep) == MAX_DEPTH + 1
    with pytest.raises(Refused):
        count_nodes({"a": deep})


def wrong_everywhere(spec: CommandSpec, item: Any) -> dict[str, Any]:
    """A body with the longest list of something wrong in each field of a command."""
    return {name: [item] * MAX_LINES for name in spec.cls.__dataclass_fields__}  # type: ignore[attr-defined]


@pytest.mark.parametrize("item", [{}, 1, {"name": "", "reads": [1] * 18}], ids=["empty", "number", "nested"])
@pytest.mark.parametrize("spec", PUBLIC_COMMANDS, ids=lambda spec: spec.name)
def test_a_command_that_is_wrong_everywhere_is_told_of_20_errors(spec: CommandSpec, item: Any) -> None:
    load_nothing(spec)
    steps, refusal = calls_of(lambda: load(spec.cls, wrong_everywhere(spec, item)))
    assert len(refusal.fields) <= MAX_ERRORS
    assert len(json.dumps(refusal.problem())) < 10_000
    assert steps < 10_000


def load_nothing(spec: CommandSpec) -> None:
    """The schema of a command is made when it is first used."""
    try:
        load(spec.cls, {})
    except Refused:
        return
