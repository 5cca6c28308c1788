"""What `GET /metadata` tells follows from what is declared: every column of every list, every field of every command
(UIX-01, SET-02, SEC-16, INV-02)."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from chassis.catalogue import Catalogue
from chassis.metadata.everything import Company, metadata
from chassis.metadata.forms import CompanyForm
from chassis.metadata.shapes import CommandMetadata, FormField, Metadata, ViewMetadata
from chassis.model.duplicates import alike_by, path_of
from chassis.model.views import View, parameter_names
from chassis.model.wording import Wording
from contracts.custom_fields import CustomChoice, CustomField, Help, Label
from contracts.declare import REGISTRY, CommandSpec
from contracts.languages import LANGUAGES, Language
from contracts.lists import VIEWED
from contracts.permissions import PUBLIC, ROLES, SELF
from contracts.schemas import schema_of
from contracts.subjects import subjects

VIEWS = Catalogue.read().views()
COMMANDS = [spec for spec in REGISTRY.load().commands.values() if spec.is_public]
PEOPLE = tuple((code, title) for code, title in ROLES.items() if code != "SYSTEM")


def told(language: Language, *rights: str) -> Metadata:
    """What is told to somebody with these rights, or all."""
    return metadata(Wording(language), lambda right: not rights or right in rights, Company(PEOPLE))


@pytest.fixture(scope="module", params=LANGUAGES)
def everything(request: pytest.FixtureRequest) -> Metadata:
    return told(request.param)


def of_view(found: Metadata, view: View) -> ViewMetadata:
    [one] = [one for one in found.views if one.name == view.name]
    return one


def of_command(found: Metadata, name: str) -> CommandMetadata:
    [one] = [one for one in found.commands if one.name == name]
    return one


def labels_in(node: Any) -> Iterator[tuple[str, Any]]:
    """Every label and name of a kind of record, wherever it stands."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        if key in ("label", "record"):
            yield key, value
        yield from labels_in(value)


def test_set_02_everything_has_a_label(everything: Metadata) -> None:
    found = list(labels_in(msgspec.to_builtins(everything)))
    assert len(found) > 500
    assert all(isinstance(label, str) and label.strip() for _, label in found)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_every_column_of_every_view_is_told(everything: Metadata, view: View) -> None:
    one = of_view(everything, view)
    assert [column.name for column in one.columns] == list(view.types)
    for column in one.columns:
        kind = view.types[column.name].single
        choices = kind.choices or view.named.get(column.name, ())
        assert [choice.value for choice in column.choices or ()] == list(choices)
        assert column.right == view.hidden.get(column.name, "")
    assert {event.value for event in one.events} == view.history_types
    assert (one.history_path is not None) == bool(view.history)
    assert one.overview_path == (f"{view.page}/overview" if view.kind else None)
    assert one.duplicates_path == (path_of(view) or None)
    assert [tuple(names) for names in one.alike_in] == [alike.fields for alike in alike_by(view)]
    if view.is_list:
        assert {name for rule in one.filters for name in rule.parameters} == set(parameter_names(view.filters))
        assert set(one.sorts) >= {name.removeprefix("-") for name in view.sorts} - {"_id"}
        assert {column.name for column in one.columns if column.sortable} == set(one.sorts) & view.types.keys()
        assert (VIEWED in one.sorts) == (bool(view.subject) or VIEWED in view.types)


@pytest.mark.parametrize("spec", COMMANDS, ids=lambda spec: spec.name)
def test_every_field_of_every_command_is_told(everything: Metadata, spec: CommandSpec) -> None:
    one = of_command(everything, spec.name)
    fields = schema_of(spec.cls).fields
    constant = {"settings_id", "schedule"} & fields.keys()
    assert {field.name for field in one.fields} == fields.keys() - constant
    for field in one.fields:
        assert field.required == fields[field.name].required
        assert (field.place == "path") == (f"{{{field.name}}}" in str(spec.path))
        assert (field.parts is not None) == (field.type == "object" or field.of == "object")


def test_limits_and_choices_of_fields_are_those_that_are_checked() -> None:
    found = told("en")
    fields = {field.name: field for field in of_command(found, "CreateOrder").fields}
    assert (fields["note"].longest, fields["note"].many_lines, fields["note"].default) == (4000, True, "")
    assert (fields["order_date"].type, fields["order_date"].required, fields["order_date"].nullable) == (
        "day", False, True,
    )  # fmt: skip
    assert (fields["lines"].type, fields["lines"].of, fields["lines"].most) == ("list", "object", 500)
    quantity = {part.name: part for part in fields["lines"].parts or ()}["quantity"]
    assert (quantity.type, quantity.lowest, quantity.highest) == ("whole", "1", "1000000000")
    edit = {field.name: field for field in of_command(found, "EditCustomer").fields}
    assert edit["name"].keeps and not edit["name"].required
    topic = next(field for field in of_command(found, "CreateSurvey").fields if field.name == "topic")
    assert [(choice.value, choice.label) for choice in topic.choices or ()] == [
        ("TRADE_TREND", "Trade trend"), ("COMPETITOR", "Competitor"), ("CUSTOMER_NEED", "Customer need"),
    ]  # fmt: skip
    password = next(field for field in of_command(found, "SignIn").fields if field.name == "password")
    assert password.type == "secret"


def test_a_label_is_what_people_of_that_trade_say() -> None:
    labels = {language: told(language) for language in LANGUAGES}
    orders = {
        language: of_view(found, next(v for v in VIEWS if v.name == "orders")) for language, found in labels.items()
    }
    assert [one.label for one in orders.values()] == ["订单", "受注", "Orders"]
    status = [next(column for column in one.columns if column.name == "status") for one in orders.values()]
    assert [column.label for column in status] == ["状态", "ステータス", "Status"]
    assert [(column.choices or [])[2].label for column in status] == ["待审批", "承認待ち", "Pending approval"]
    assert [of_command(found, "CreateSurvey").label for found in labels.values()] == [
        "新建市场调研", "市場調査を登録", "New survey",
    ]  # fmt: skip


def test_inv_02_what_one_may_not_see_or_do_is_not_told() -> None:
    warehouse, finance = told("zh", SELF, "products.view"), told("zh", SELF, "products.view", "products.cost")
    products = next(view for view in VIEWS if view.name == "products")
    without, with_cost = of_view(warehouse, products), of_view(finance, products)
    assert "purchase_price" not in json.dumps(msgspec.to_builtins(without))
    [column] = [column for column in with_cost.columns if column.name == "purchase_price"]
    assert column.right == "products.cost"
    assert {one.right for one in warehouse.commands} == {SELF}
    assert {one.right for one in warehouse.views} == {SELF, "products.view"}
    assert {one.right for one in warehouse.menu} == {"products.view"}
    assert not told("zh", PUBLIC).views


def test_inv_02_a_form_asks_nobody_for_a_change_of_what_they_do_not_see() -> None:
    clerk, buyer = told("zh", "products.edit"), told("zh", "products.edit", "products.cost")
    forms = [of_command(found, "EditProduct").fields for found in (clerk, buyer)]
    without, with_cost = ({one.name: one for one in fields} for fields in forms)
    assert with_cost.keys() - without.keys() == {"prices", "purchase_price"} and "sale_price" in without
    assert {with_cost[name].right for name in ("prices", "purchase_price")} == {"products.cost"}
    assert "prices" in {one.name for one in of_command(clerk, "AddProduct").fields}, "who enters one says what it cost"
    [fields] = [one for one in of_command(clerk, "RevertProduct").fields if one.name == "fields"]
    assert "purchase_price" not in {one.value for one in fields.choices or []}


def test_sec_15_a_role_that_an_administrator_has_named_has_that_name() -> None:
    found = metadata(
        Wording("ja"), lambda right: True, Company((("SAL", "salesperson"), ("FIN", "出納"), ("TEAM_9", "九组")))
    )
    assert [(role.name, role.label) for role in found.roles] == [
        ("SAL", "営業担当"), ("FIN", "出納"), ("TEAM_9", "九组"),
    ]  # fmt: skip


def parts(fields: list[FormField]) -> Iterator[FormField]:
    for field in fields:
        yield field
        yield from parts(field.parts or [])


def test_what_is_told_is_of_the_shape_that_the_document_has(everything: Metadata) -> None:
    assert msgspec.convert(msgspec.to_builtins(everything), Metadata) == everything
    for command in everything.commands:
        for field in parts(command.fields):
            assert field.default is None or not field.required


def test_cfg_01_what_a_company_has_named_in_other_languages_is_called_as_in_its_own() -> None:
    """In forms, lists and choices as in files: by the language of the company, where it lacks that of the reader."""
    label = Label(ja="等級", en="Grade")
    grade = CustomField(
        key="grade", type="choice", label=label, help=Help(ja="選ぶ", en="Pick"),
        choices=(CustomChoice(key="a", label=label),),
    )  # fmt: skip
    company = Company(PEOPLE, forms=(CompanyForm("customer", (grade,)),), language="en")
    found = metadata(Wording("zh", company.language), lambda _: True, company)
    view = next(view for view in found.views if view.name == "customers")
    column = next(one for one in view.columns if one.name == "own.grade")
    own = next(one for one in of_command(found, "CreateCustomer").fields if one.name == "own")
    [field] = own.parts or []
    assert (column.label, field.label, field.help) == ("Grade", "Grade", "Pick")
    assert [one.label for one in (*(column.choices or []), *(field.choices or []))] == ["Grade", "Grade"]


def test_col_09_each_kind_of_subject_has_one_list_that_says_who_is_shown_what_is_about_it() -> None:
    """A pool, or a report, of the same records is shown to others: comments were looked up there."""
    lists = [view.subject for view in VIEWS if view.is_list and view.subject]
    assert sorted(lists) == sorted(subjects())
