"""Every refusal gives a reason that has a text in each language, with exactly its places filled in (ORD-07, SET-02)."""

import ast
import json
import pickle
import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from chassis.catalogue import Catalogue
from contracts.declare import REGISTRY
from contracts.errors import STATUS, Refused, lacks_right, not_found
from contracts.languages import LANGUAGES, Language
from contracts.reasons import LONGEST, MOST, PLACE, ReasonText, Some, Why, reasons

HAN = re.compile("[\u4e00-\u9fff]")
ROOT = Path(__file__).parents[2]
ABOUT = {"field", "state"}
"""What a refusal names; it fills the places of these names."""
TOLD = {"fields"}
"""What a refusal carries besides, and no sentence tells."""


class Giving(NamedTuple):
    """A function that takes a reason: at which position, what it takes besides, and what it fills in by itself."""

    position: int = 0
    takes: frozenset[str] = frozenset()
    own: frozenset[str] = frozenset()


class Given(NamedTuple):
    """A reason that code gives, with the parameters beside it."""

    where: str
    reason: str
    params: frozenset[str]
    is_refusal: bool


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for package in ("contracts", "chassis", "services", "deploy"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if not path.name.startswith("test_") and "testing" not in path.parts:
                yield path, ast.parse(path.read_text(encoding="utf-8"))


def name_of(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def passing(tree: ast.Module) -> Iterator[tuple[ast.FunctionDef, ast.Call]]:
    """The functions that have a parameter `reason`, and the calls in which they pass it on."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef) and "reason" in parameters(function):
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and call.args and name_of(call.args[0]) == "reason":
                    yield function, call


def parameters(function: ast.FunctionDef) -> list[str]:
    return [one.arg for one in (*function.args.posonlyargs, *function.args.args)]


def helpers(tree: ast.Module) -> dict[str, Giving]:
    """The functions of a module that refuse for a reason that they are given."""
    return {
        function.name: Giving(
            parameters(function).index("reason"),
            frozenset(parameters(function)),
            frozenset(word.arg for word in call.keywords if word.arg),
        )
        for function, call in passing(tree)
        if name_of(call.func) == "Refused"
    }


def literals(node: ast.expr) -> list[str]:
    """The reasons that an argument names."""
    if isinstance(node, ast.IfExp):
        return [*literals(node.body), *literals(node.orelse)]
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


@cache
def given() -> tuple[list[Given], list[str]]:
    """All reasons that code gives, and the places where it gives something else for one."""
    trees = list(sources())
    everywhere = {name: how for _, tree in trees for name, how in helpers(tree).items() if not name.startswith("_")}
    everywhere |= {"Refused": Giving(), "Why": Giving()}
    found, other = [], []
    for path, tree in trees:
        giving = everywhere | helpers(tree)
        passed = {call for _, call in passing(tree)}
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or node in passed:
                continue
            name, args = name_of(node.func), node.args
            if name == "partial" and args and name_of(args[0]) in giving:
                name, args = name_of(args[0]), args[1:]
            if name not in giving:
                continue
            how, where = giving[name], f"{path.relative_to(ROOT)}:{node.lineno}"
            named = literals(args[how.position]) if len(args) > how.position else []
            if not named:
                other.append(where)
            params = {word.arg or "**" for word in node.keywords} - how.takes | how.own
            found += [Given(where, reason, frozenset(params), name != "Why") for reason in named]
    return found, other


def test_ord_07_every_refusal_names_its_reason() -> None:
    """By a key that stands in the code: so all of them are known without being listed."""
    found, other = given()
    assert not other, f"no reason of contracts/texts/refusals/ is named here: {other}"
    assert len(found) > 200


def test_ord_07_no_field_says_a_sentence_of_its_own() -> None:
    """What marshmallow is given to tell is a reason too."""
    sentences = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and name_of(node.func) == "ValidationError"
        if node.args and isinstance(node.args[0], ast.Constant | ast.JoinedStr)
    ]
    assert not sentences, f"give a Why instead: {sentences}"


def test_ord_07_every_reason_has_a_text_with_the_places_that_are_given() -> None:
    wrong = []
    for one in given()[0]:
        if one.reason not in reasons():
            wrong.append(f"{one.where}: contracts/texts/refusals/ lacks {one.reason}")
            continue
        places = reasons()[one.reason].places
        told, free = (one.params - TOLD, ABOUT) if one.is_refusal else (one.params, set())
        if not places <= told or not told - places <= free:
            wrong.append(f"{one.where}: {one.reason} has the places {sorted(places)}, given are {sorted(told)}")
    assert not wrong, "\n".join(wrong)


def test_ord_07_what_is_said_of_a_field_does_not_name_it_once_more() -> None:
    """`forms.invalid` names the field: what stands behind that would say "own.grade: own.grade: ..."."""
    twice = {
        f"{path.relative_to(ROOT)}:{node.lineno} {reason}"
        for path, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and name_of(node.func) in ("Refused", "ValidationError")
        for part in (*node.args, *(word.value for word in node.keywords if word.arg == "errors"))
        for inner in ast.walk(part)
        if isinstance(inner, ast.Call) and name_of(inner.func) == "Why" and inner.args
        for reason in literals(inner.args[0])
        if "field" in reasons()[reason].places
    }
    assert not twice


def test_ord_07_every_text_of_a_refusal_is_used() -> None:
    left = reasons().keys() - {one.reason for one in given()[0]}
    assert not left, f"nothing is refused for these reasons any more: {sorted(left)}"


EVERY = [pytest.param(reason, text, id=reason) for reason, text in reasons().items()]


@pytest.mark.parametrize(("reason", "text"), EVERY)
def test_set_02_a_reason_says_the_same_in_each_language(reason: str, text: ReasonText) -> None:
    """It has a code, is there without blanks around it but where it stands within a sentence, with the same places."""
    said = [getattr(text.text, language) for language in LANGUAGES]
    assert text.code in STATUS and all(one.strip() for one in said) and text.text.en == text.text.en.strip()
    places = [set(PLACE.findall(one)) for one in said]
    assert places[0] == places[1] == places[2]
    assert text.text.en.isascii()


VALUE = "{evil.__class__} {0} %s\x07<b>" + "x" * 2 * LONGEST


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("reason", "text"), EVERY)
def test_ord_07_what_is_filled_in_stays_what_it_is(reason: str, text: ReasonText, language: Language) -> None:
    """A value with places of its own is no sentence; it is told in bounded length, without what can't be shown."""
    params: dict[str, Any] = dict.fromkeys(text.places, VALUE)
    if "errors" in params:
        params["errors"] = [Why("forms.blank")]
    told = json.loads(json.dumps(Refused.by(Why(reason, **params)).problem(language)))
    assert told["reason"] == reason and told["code"] == text.code and told["params"].keys() == text.places
    plain = PLACE.sub("", getattr(text.text, language))
    assert len(told["detail"]) <= len(plain) + (LONGEST + 100) * len(PLACE.findall(getattr(text.text, language)))
    assert ("\x07" not in told["detail"] and "{evil" in told["detail"]) or not text.places - {"errors"}


def test_ord_07_lists_are_joined_as_the_language_does() -> None:
    why = Why("lists.sort", field="sort", names=["a", "b"])
    assert [why.said(language) for language in LANGUAGES] == [
        "sort：应为以下之一：a、b；前面加 - 表示倒序。",
        "sort：次のいずれかを指定してください：a、b。先頭に - を付けると逆順になります。",
        "sort: must be one of a, b, with - before it to turn it.",
    ]
    many = Why("inventory.in_open_order", orders=Some(["SO-1", "SO-2", "SO-3"], 2))
    assert "SO-1, SO-2 and 1 more." in many and "SO-1、SO-2等，另有 1 项" in many.said("zh")
    assert "SO-1、SO-2、ほか 1 件" in many.said("ja")
    long = Why("lists.sort", field="sort", names=[str(n) for n in range(3 * MOST)])
    assert f"and {2 * MOST} more" in long and len(long.told()["params"]["names"]) == MOST  # type: ignore[index]


NUMBERS = {"count", "most", "least", "levels", "owned", "hours", "size", "headers", "bytes", "days", "minutes", "left"}
"""Places that are filled in with how many there are of something."""


@pytest.mark.parametrize(("reason", "text"), EVERY)
def test_set_02_one_of_something_is_told_as_one(reason: str, text: ReasonText) -> None:
    """`1 records` was: what goes by a number is written `{count:record|records}`, and clients are told of several."""
    why = Why(reason, **{place: 1 if place in NUMBERS else "x" for place in text.places})
    assert not re.search(r"\b1 (?!is\b|has\b)[a-z]+s\b", str(why)), str(why)
    assert "|" not in text.text.en, "as it is published"


def test_set_02_several_are_told_as_several() -> None:
    told = [str(Why("records.has_children", count=count, child="contact", kind="customer")) for count in (1, 2)]
    assert [one.partition(":")[0] for one in told] == [
        "1 record of the kind contact belongs to this customer",
        "2 records of the kind contact belong to this customer",
    ]
    assert reasons()["lists.most_words"].text.en == "{field}: at most {most} words."


def test_ord_07_codes_and_fields_are_told_in_words() -> None:
    refused = Refused("orders.status", states=["DRAFT", "REJECTED"], state="ON_HOLD")
    assert refused.message == "The order is ON_HOLD; this needs one that is DRAFT, REJECTED."
    assert refused.why.said("zh") == "订单当前为“挂起（缺货）”，此操作只适用于以下状态：草稿、已驳回。"
    assert not_found("order", "order_id").why.said("ja") == "該当する受注がありません。"
    wrong = Refused("forms.invalid", errors=[Why("forms.required"), Why("forms.blank")], field="lines.0.quantity")
    assert wrong.why.said("zh") == "订单明细 1 数量：必填，不能省略。不能为空白。"
    assert wrong.message == "lines.0.quantity: Must be given; it can't be left out. May not be blank."
    own = Refused("forms.invalid", errors=[Why("forms.required")], field="own.name")
    assert own.why.said("zh") == "自定义字段 name：必填，不能省略。", "what a company adds has no word of ours"
    held = lacks_right("orders.edit", ["sales supervisor / manager", "夜班"]).why.said("ja")
    assert held.endswith("営業マネージャー、夜班。"), "roles are told by the name that they have in the language"
    lacking = lacks_right("orders.edit", ["夜班", "sales"])
    assert lacking.message.endswith("orders.edit; held by: 夜班, sales.") and "夜班、sales" in lacking.why.said("zh")


def test_ord_07_every_kind_of_record_that_is_not_there_has_a_word() -> None:
    """What a view, a command's address, or a handler calls the record that it asks for."""
    kinds = {view.what for view in Catalogue.read().views()}
    for spec in REGISTRY.commands.values():
        kinds |= {name.removesuffix("_id").replace("_", " ") for name in PLACE.findall(str(spec.path))}
    for _, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and name_of(node.func) in ("get", "new"):  # of a unit of work
                kinds |= {one for word in node.keywords if word.arg == "what" for one in literals(word.value)}
            elif isinstance(node, ast.Call) and name_of(node.func) == "not_found":
                kinds |= {one for arg in node.args[:1] for one in literals(arg)}
    said = {
        kind: Why("records.unknown", kind=kind).said("zh").removeprefix("找不到该").removesuffix("。") for kind in kinds
    }
    without = {kind for kind, word in said.items() if not HAN.search(word)}
    assert len(kinds) > 20 and not without


def test_ord_07_parameters_are_told_as_json_has_them() -> None:
    id = UUID(int=7)
    why = Why("orders.paid_too_much", open=Decimal("1E+3"), currency="CNY")
    assert (str(why), why.told()["params"]) == (
        "Only 1000 CNY is open on this order.",
        {"open": "1000", "currency": "CNY"},
    )
    day = Why("orders.order_date", field="order_date", earliest=date(2026, 1, 1), latest=date(2026, 2, 1))
    assert day.told()["params"] == {"field": "order_date", "earliest": "2026-01-01", "latest": "2026-02-01"}
    taken = Why("records.taken", what=Why("access.login"), holder=id)
    assert taken.told()["params"] == {"what": {"reason": "access.login", "params": {}}, "holder": str(id)}
    again = pickle.loads(pickle.dumps(taken))
    assert (again, again.reason, again.said("ja")) == (taken, taken.reason, taken.said("ja"))
