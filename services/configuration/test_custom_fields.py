"""Fields that a company adds to a kind of record (CFG-01, CFG-02): which may be, and how they change."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from chassis.model.principal import Principal
from chassis.testing.people import FINANCE, SALES, WAREHOUSE
from chassis.testing.services import InMemoryService
from contracts.access import UserDeleted, UserState
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
from contracts.custom_fields import MOST_CHOICES, MOST_FIELDS, Held, Help, Label, written
from contracts.customers import CustomerCreated, CustomerData, CustomerDeleted, CustomerEdited, CustomerRestored
from contracts.errors import Refused
from contracts.people import NOBODY
from contracts.schemas import load
from services.configuration.application import SERVICE

NOTHING_KNOWN: Any = CustomerData()
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
          for text in ("own.x", "own.note", "own.nothing", "name", "seats", "own.seats(1)", "1e400", "own.seats ** 2",
                       "own._seats", "DAYS(own.seats, own.seats)", "ROUND(own.seats, 9)", "ROUND(own.seats, own.seats)",
                       "ROUND()", "IF(own.seats, 1, 2)", "IF(1 < 2 < 3, 1, 2)", "IF(1 < 2, 1)", "ROUND(x=1)", "abs(1)",
                       "own.seats > 1", "DAYS(1, 2)", "(lambda: 1)()", "IF(1 < 2, *own)",
                       "own.seats # own.seats", "own.seats ＃ 2")),
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


def said(key: str, **given: Any) -> ChangeCustomField:
    """A change as a client sends it."""
    return load(ChangeCustomField, {"kind": "customer", "key": key, **given})


def test_cfg_01_a_label_given_in_one_language_leaves_the_others(kit: InMemoryService) -> None:
    kit.do(
        add("grade", "choice", label=Label(zh="级", ja="級", en="Grade"), choices=(choice("a"),), help=Help(zh="选"))
    )
    kit.do(said("grade", label={"en": "Class"}, help={"ja": "選ぶ"}))
    found = kit.facts()[-1].field
    assert (found.label, found.help) == (Label(zh="级", ja="級", en="Class"), Help(zh="选", ja="選ぶ"))
    kit.do(
        said(
            "grade", label={"zh": "", "ja": ""}, help={"zh": "", "ja": ""}, choices=[{"key": "a", "label": {"en": "A"}}]
        )
    )
    found = kit.facts()[-1].field
    assert (found.label, found.help) == (Label(en="Class"), Help())
    assert found.choices[0].label == Label(ja="a", en="A")
    kit.do(said("grade", choices=[{"key": "b", "label": {"zh": "乙"}}, {"key": "a"}]))
    now = kit.facts()[-1].field.choices
    assert [(one.key, one.label) for one in now] == [("b", Label(zh="乙")), ("a", Label(ja="a", en="A"))]
    kit.assert_refused("VALIDATION", said("grade", label={"en": ""}), field="label")
    kit.assert_refused("VALIDATION", said("grade", choices=[{"key": "c"}]), field="choices.0.label")


def left(kit: InMemoryService, person: Principal, heir: Principal) -> None:
    """Somebody has left, and another one has taken over."""
    kit.known(person)
    kit.known(heir)
    state = UserState(login="x", name=person.name, status="DELETED", revision=9, successor_id=heir.user_id)
    assert person.user_id
    kit.directory.tell([UserDeleted(user_id=person.user_id, user=state)])


def test_cfg_01_a_field_can_be_changed_after_whom_its_default_names_has_left(kit: InMemoryService) -> None:
    kit.known(SALES)
    kit.do(add("guide", "person", default=(str(SALES.user_id),)))
    left(kit, SALES, FINANCE)
    kit.do(said("guide", label={"en": "Guide"}))
    kit.do(said("guide", default=None))
    kit.assert_refused("INVALID_STATE", said("guide", default=[str(SALES.user_id)]), field="default")


@pytest.mark.parametrize(
    ("command", "field"),
    [
        (add("x", view_right="nothing"), "view_right"),
        (add("x", edit_right="system"), "edit_right"),
        (add("x", "file", required=True), "required"),
        (add("x", "file", default=("01900000-0000-7000-8000-00000000ffff",)), "default"),
        (add("x", "file", unique=True), "unique"),
        (add("x", view_right="payments", required=True), "view_right"),
        (add("x", "formula", formula="1", edit_right="payments"), "edit_right"),
        (add("x", "choice", choices=(choice("a"),), unique=True), "unique"),
        (add("x", "formula", formula="1", unique=True), "unique"),
        (add("x", unique=True, default=("a",)), "default"),
        (add("x", unique=True, view_right="payments"), "unique"),
    ],
)
def test_cfg_01_a_right_and_what_is_unique_fit_the_field(kit: InMemoryService, command: Any, field: str) -> None:
    kit.assert_refused("VALIDATION", command, field=field)


def test_cfg_01_a_field_becomes_unique_once_no_two_records_have_the_same(kit: InMemoryService) -> None:
    first, second, third = uuid4(), uuid4(), uuid4()

    def entered(id: UUID, value: str) -> Any:
        own = written({"tax": Held("text", value)})
        return CustomerCreated(customer_id=id, data=replace(NOTHING_KNOWN, own=own), owner=NOBODY)

    kit.do(add("tax"))
    kit.learn(entered(first, "Ａ-1"), entered(second, "a-1 "), entered(third, "b"))
    refusal = kit.assert_refused("INVALID_STATE", change("tax", unique=True), field="unique")
    assert str(first) in refusal.message and str(second) in refusal.message and str(third) not in refusal.message
    assert "a-1 " in refusal.message
    [kept] = [entry.detail for record in kit.store.audit_after(0, 9) for entry in record.entries() if entry.detail]
    assert "***" in kept and "-1 (" not in kept, "CPL-01: it would be in the audit log after the customer was erased"
    kit.learn(CustomerDeleted(customer_id=first))
    kit.do(change("tax", unique=True))
    assert kit.facts()[-1].field.unique_since == 2, "what records had until then is looked for"
    kit.do(retire("tax"))
    kit.learn(CustomerRestored(customer_id=first))
    kit.assert_refused("INVALID_STATE", restore("tax"), field="unique")
    kit.learn(CustomerEdited(customer_id=first, data=CustomerData()))
    kit.do(restore("tax"))
    kit.do(add("other", unique=True))
    assert kit.facts()[-1].field.unique_since == 0, "no record has anything of it"


def test_cfg_01_whoever_sees_not_all_records_is_told_no_value(kit: InMemoryService) -> None:
    own = written({"tax": Held("text", "secret")})
    kit.do(add("tax"))
    kit.learn(
        *(CustomerCreated(customer_id=uuid4(), data=replace(NOTHING_KNOWN, own=own), owner=NOBODY) for _ in range(2))
    )
    refusal = kit.assert_refused("INVALID_STATE", change("tax", unique=True), WAREHOUSE, field="unique")
    assert "secret" not in refusal.message


def test_cfg_01_formulas_of_then_are_known(kit: InMemoryService) -> None:
    kit.do(add("seats", "number"))
    began = kit.now
    kit.do(add("total", "formula", formula="own.seats * 2"))
    kit.pass_time(hours=1)
    kit.do(change("total", formula="own.seats * 3"))
    kit.do(said("total", label={"en": "Total"}))
    kit.pass_time(hours=1)
    kit.do(change("total", formula="own.seats * 4"))
    known = kit.directory.company.custom_fields
    then = [known.of("customer", began + timedelta(minutes=minutes)) for minutes in (-1, 30, 90, 150)]
    formulas = [next(one for one in fields if one.key == "total") for fields in then]
    assert [one.formula[-1] for one in formulas] == ["2", "2", "3", "4"]
    assert {one.label.en for one in formulas} == {"Total"}, "they are called what they are called now"
    assert known.of("customer") is known.of("customer")


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
