"""Fields that a company adds to a kind of record (CFG-01, CFG-02): which may be, and how they change."""

from typing import Any

import pytest

from chassis.testing.services import InMemoryService
from contracts.configuration import (
    AddCustomField,
    ChangeCustomField,
    ChoiceGiven,
    CustomFieldAdded,
    CustomFieldChanged,
    CustomFieldRestored,
    CustomFieldRetired,
    RestoreCustomField,
    RetireCustomField,
)
from contracts.custom_fields import MOST_CHOICES, MOST_FIELDS, Label
from contracts.errors import Refused
from contracts.schemas import load
from services.configuration.application import SERVICE

NOTE, GRADE = Label(zh="说明"), Label(en="Grade")


def choice(key: str, label: str = "") -> ChoiceGiven:
    return ChoiceGiven(key=key, label=Label(ja=label or key))


def add(key: str, type: Any = "text", **more: Any) -> AddCustomField:
    return AddCustomField(**{"kind": "customer", "key": key, "type": type, "label": NOTE, **more})


def change(key: str, **more: Any) -> ChangeCustomField:
    return ChangeCustomField(kind="customer", key=key, **more)


def retire(key: str) -> RetireCustomField:
    return RetireCustomField(kind="customer", key=key)


def restore(key: str) -> RestoreCustomField:
    return RestoreCustomField(kind="customer", key=key)


@pytest.fixture
def kit() -> InMemoryService:
    return InMemoryService(SERVICE)


def test_cfg_01_a_field_is_added_renamed_retired_and_brought_back(kit: InMemoryService) -> None:
    kit.do(add("note"))
    kit.do(change("note", label=GRADE, position=3))
    kit.do(change("note", label=GRADE))  # it is that already
    kit.do(retire("note"))
    kit.do(retire("note"))
    kit.do(restore("note"))
    added, renamed, retired, back = kit.new_facts()
    assert [type(fact) for fact in (added, renamed, retired, back)] == [
        CustomFieldAdded, CustomFieldChanged, CustomFieldRetired, CustomFieldRestored,
    ]  # fmt: skip
    assert [fact.revision for fact in (added, renamed, retired, back)] == [1, 2, 3, 4]
    assert (renamed.field.label, renamed.field.position, renamed.field.type) == (GRADE, 3, "text")
    assert retired.field.retired
    assert back.field == renamed.field


def test_cfg_01_a_choice_that_is_left_out_is_kept_for_who_has_it(kit: InMemoryService) -> None:
    kit.do(add("grade", "choice", choices=(choice("a"), choice("b"))))
    kit.do(change("grade", choices=(choice("c"), choice("a", "first"))))
    kit.do(change("grade", choices=(choice("b"),)))
    _, second, third = kit.new_facts()
    assert [(one.key, one.retired) for one in second.field.choices] == [("c", False), ("a", False), ("b", True)]
    assert [(one.key, one.retired) for one in third.field.choices] == [("b", False), ("c", True), ("a", True)]
    assert third.field.choices[2].label == Label(ja="first")


@pytest.mark.parametrize(
    ("code", "command", "field"),
    [
        ("NOT_FOUND", add("x", kind="order"), "kind"),
        ("DUPLICATE", add("note", "number"), "key"),
        ("VALIDATION", add("unit_cost"), "key"),
        ("VALIDATION", add("x", label=Label()), "label"),
        ("VALIDATION", add("x", "choice"), "choices"),
        ("VALIDATION", add("x", choices=(choice("a"),)), "choices"),
        ("VALIDATION", add("x", "choice", choices=(ChoiceGiven(key="a", label=Label()),)), "choices.0.label"),
        ("VALIDATION", add("x", "formula"), "formula"),
        ("VALIDATION", add("x", "number", formula="1"), "formula"),
        *(("VALIDATION", add("x", "formula", formula=text), "formula")
          for text in ("own.x", "own.note", "own.nothing", "name", "seats", "own.seats(1)", "1e400", "own.seats ** 2")),
        ("VALIDATION", add("x", "formula", formula="own.seats", required=True), "required"),
        ("VALIDATION", add("x", "number", default=("many",)), "default"),
        ("VALIDATION", add("x", "number", default=("1", "2")), "default"),
        ("VALIDATION", add("x", "choices", choices=(choice("a"),), default=("b",)), "default"),
        ("NOT_FOUND", change("x", position=1), "key"),
        ("NOT_FOUND", retire("x"), "key"),
        ("NOT_FOUND", restore("x"), "key"),
        ("VALIDATION", change("grade", choices=()), "choices"),
        ("INVALID_STATE", retire("seats"), "key"),
    ],
)  # fmt: skip
def test_cfg_01_what_may_not_be_is_refused_by_name(kit: InMemoryService, code: str, command: Any, field: str) -> None:
    kit.do(add("note"))
    kit.do(add("seats", "number"))
    kit.do(add("grade", "choice", choices=(choice("a"),)))
    kit.do(add("twice", "formula", formula="own.seats * 2"))
    kit.assert_refused(code, command, field=field)


def test_cfg_01_a_formula_comes_back_only_with_what_it_is_made_of(kit: InMemoryService) -> None:
    kit.do(add("seats", "number"))
    kit.do(add("twice", "formula", formula="own.seats * 2"))
    kit.do(retire("twice"))
    kit.do(retire("seats"))
    kit.assert_refused("VALIDATION", restore("twice"), field="formula")
    kit.do(restore("seats"))
    kit.do(restore("twice"))


def test_cfg_01_there_are_so_many_at_most(kit: InMemoryService) -> None:
    many = tuple(choice(f"c{number}") for number in range(MOST_CHOICES))
    kit.assert_refused("TOO_LARGE", add("x", "choice", choices=(*many, choice("more"))), field="choices")
    kit.do(add("x", "choice", choices=many))
    kit.assert_refused("TOO_LARGE", change("x", choices=(choice("more"),)), field="choices")
    for number in range(MOST_FIELDS - 1):
        kit.do(add(f"x{number}"))
    kit.do(retire("x1"))
    kit.assert_refused("TOO_LARGE", add("more"), field="key")


@pytest.mark.parametrize("key", ["$where", "a.b", "__proto__", "Name", "ключ", "x" * 41, "", "a b", "9x", "own\n"])
def test_cfg_01_a_key_is_plain(key: str) -> None:
    with pytest.raises(Refused) as refused:
        load(AddCustomField, {"kind": "customer", "key": key, "type": "text", "label": {"zh": "说明"}})
    assert refused.value.field == "key"


def test_cfg_01_what_is_too_large_is_refused_at_the_edge() -> None:
    given = {"kind": "customer", "key": "x", "type": "choice", "label": {"zh": "x" * 1_000_000}}
    with pytest.raises(Refused) as refused:
        load(AddCustomField, given)
    assert refused.value.field == "label.zh"
    choices = [{"key": f"c{number}", "label": {"zh": "x"}} for number in range(10_000)]
    with pytest.raises(Refused) as refused:
        load(AddCustomField, {**given, "label": {"zh": "x"}, "choices": choices})
    assert refused.value.field == "choices"
