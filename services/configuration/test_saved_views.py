"""Saved views: whose they are, who sees them, and what is refused when they are saved (UIX-10, UIX-11, UIX-13)."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from chassis.catalogue import Catalogue
from chassis.model.views import View
from chassis.testing.custom_fields import known
from chassis.testing.people import ADMIN, MANAGER, SALES, SUPERVISOR, user
from chassis.testing.services import InMemoryService
from contracts.configuration import (
    ChangeSavedView,
    ChooseDefaultView,
    DefaultViewChosen,
    DeleteSavedView,
    SavedViewDeleted,
    SaveView,
    ViewSaved,
)
from contracts.custom_fields import CustomField, Label
from contracts.people import Person
from contracts.saved_views import MOST_COLUMNS, MOST_PARAMETERS, MOST_VALUES, ListParameter, ListView
from services.configuration.application import SERVICE

VIEW = UUID(int=7)
COLLEAGUE = user("wu", "SAL")
LISTS = [view for view in Catalogue.read().views() if view.is_list]


def asked(**parameters: Any) -> tuple[ListParameter, ...]:
    return tuple(
        ListParameter(name=name, values=tuple(values) if isinstance(values, list) else (values,))
        for name, values in parameters.items()
    )


def save(**more: Any) -> SaveView:
    return SaveView(**{"list_name": "customers", "name": "Mine", "saved_view_id": VIEW, **more})


def change(**more: Any) -> ChangeSavedView:
    return ChangeSavedView(saved_view_id=VIEW, **more)


@pytest.fixture
def kit() -> InMemoryService:
    return InMemoryService(SERVICE)


def test_uix_13_a_view_is_saved_changed_and_deleted(kit: InMemoryService) -> None:
    where = '{"field": "name", "is": "contains", "value": "京"}'
    query = asked(where=where, sort="-name", group="region", limit="20", region=["east", "west"])
    kit.do(save(parameters=query, columns=("name", "region")), by=SALES)
    kit.do(change(name="東京", position=3), by=SALES)
    kit.do(change(position=3), by=SALES)  # it stands there already
    kit.do(DeleteSavedView(saved_view_id=VIEW), by=SALES)
    owner = Person(user_id=SALES.user_id, name=SALES.name)
    first = ListView(list_name="customers", name="Mine", parameters=query, columns=("name", "region"))
    then = ListView(list_name="customers", name="東京", parameters=query, columns=("name", "region"), position=3)
    assert kit.new_facts() == [
        ViewSaved(saved_view_id=VIEW, view=first, owner=owner, by=owner),
        ViewSaved(saved_view_id=VIEW, view=then, owner=owner, by=owner),
        SavedViewDeleted(saved_view_id=VIEW, by=owner),
    ]
    for command in (change(name="x"), DeleteSavedView(saved_view_id=VIEW)):
        kit.assert_refused("NOT_FOUND", command, by=SALES, field="saved_view_id")


@pytest.mark.parametrize("view", LISTS, ids=lambda view: view.name)
def test_uix_13_every_list_can_be_saved_as_it_can_be_asked(kit: InMemoryService, view: View) -> None:
    kit.do(save(list_name=view.name, parameters=asked(sort=f"-{view.sortable[-1]}"), columns=(*view.types,)))
    assert [type(fact) for fact in kit.new_facts()] == [ViewSaved]


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"sort": "no_such"}, "must be one of"),
        ({"where": "{"}, "JSON"),
        ({"where": '{"field": "no_such", "is": "is_empty"}'}, "no_such"),
        ({"no_such": "x"}, "no_such"),
        ({"limit": "0"}, "limit"),
        ({"group": "name"}, "group"),
        ({"sum": "name"}, "sum"),
        ({"deleted": "perhaps"}, "true or false"),
        ({"owner_id": "nobody"}, "must be an id"),
        ({"cursor": "x"}, "can't be saved"),
        ({"format": "csv"}, "can't be saved"),
        ({"as_of": "2026-01-01"}, "can't be saved"),
        ({"view": str(VIEW)}, "can't be saved"),
        ({"sort": []}, "can't be saved"),
        ({"sort": ["name", "-name"]}, "once"),
        ({"count": "perhaps"}, "true or false"),
        ({"count": ["true", "true"]}, "once"),
    ],
    ids=str,
)
def test_uix_13_what_the_list_does_not_take_is_refused(
    kit: InMemoryService, parameters: dict[str, Any], told: str
) -> None:
    refusal = kit.assert_refused("VALIDATION", save(parameters=asked(**parameters)), by=SALES, field="parameters")
    assert told in refusal.message and next(iter(parameters)) in refusal.message
    kit.do(save(), by=SALES)
    kit.assert_refused("VALIDATION", change(parameters=asked(**parameters)), by=SALES, field="parameters")


def test_uix_13_columns_and_lists_that_there_are_not_are_refused(kit: InMemoryService) -> None:
    kit.assert_refused("VALIDATION", save(columns=("name", "no_such")), by=SALES, field="columns")
    kit.assert_refused("VALIDATION", save(list_name="no_such"), by=SALES, field="list_name")
    kit.assert_refused("VALIDATION", save(list_name="order_pages"), by=SALES, field="list_name")
    kit.assert_refused("FORBIDDEN", save(list_name="users"), by=SALES)
    kit.assert_refused("VALIDATION", save(list_name="products", columns=("purchase_price",)), by=SALES, field="columns")
    kit.do(save(list_name="products", columns=("purchase_price",)), by=MANAGER)


def test_uix_13_there_is_not_too_much_in_one(kit: InMemoryService) -> None:
    many = tuple(ListParameter(name=f"name{number}", values=("x",)) for number in range(MOST_PARAMETERS + 1))
    kit.assert_refused("VALIDATION", save(parameters=many), by=SALES, field="parameters")
    kit.assert_refused("VALIDATION", save(parameters=asked(region=["east"] * (MOST_VALUES + 1))), by=SALES)
    kit.assert_refused("VALIDATION", save(columns=("name",) * (MOST_COLUMNS + 1)), by=SALES)


def test_uix_13_a_field_that_the_company_has_added_can_be_saved(kit: InMemoryService) -> None:
    query = asked(sort="-own.seats")
    kit.assert_refused("VALIDATION", save(parameters=query), by=SALES, field="parameters")
    for row in known("customer", CustomField(key="seats", type="number", label=Label(en="Seats"))):
        kit.directory.company.custom_fields.take(row)
    kit.do(save(parameters=query, columns=("name", "own.seats")), by=SALES)


def test_uix_13_who_holds_the_right_lets_others_see_a_view(kit: InMemoryService) -> None:
    for more in ({"audience": "EVERYBODY"}, {"audience": "ROLES", "roles": ("SAL",)}):
        refusal = kit.assert_refused("FORBIDDEN", save(**more), by=SALES)
        assert "lists.share" in refusal.message
    kit.do(save(), by=SALES)
    kit.assert_refused("FORBIDDEN", change(audience="EVERYBODY"), by=SALES)
    other = uuid4()
    kit.do(save(saved_view_id=other, audience="ROLES", roles=("SAL",)), by=SUPERVISOR)
    for wrong in ({"audience": "ROLES"}, {"roles": ("SAL",)}, {"audience": "EVERYBODY", "roles": ("SAL",)}):
        kit.assert_refused("VALIDATION", save(saved_view_id=uuid4(), **wrong), by=SUPERVISOR, field="roles")
    kit.do(ChangeSavedView(saved_view_id=other, audience="EVERYBODY"), by=SUPERVISOR)
    assert kit.new_facts()[-1].view.roles == ()


def test_uix_13_a_role_that_there_is_not_sees_no_view(kit: InMemoryService) -> None:
    wrong: dict[str, Any] = {"audience": "ROLES", "roles": ("SAL", "SALL")}
    kit.assert_refused("NOT_FOUND", save(**wrong), by=SUPERVISOR, field="roles.1")
    kit.do(save(), by=SUPERVISOR)
    kit.assert_refused("NOT_FOUND", change(**wrong), by=SUPERVISOR, field="roles.1")


def test_uix_13_a_view_of_somebody_else_is_not_changed_and_a_private_one_is_not_there(kit: InMemoryService) -> None:
    kit.do(save(), by=SALES)
    for command in (change(name="x"), DeleteSavedView(saved_view_id=VIEW)):
        for other in (COLLEAGUE, ADMIN):
            kit.assert_refused("NOT_FOUND", command, by=other, field="saved_view_id")
    shared = uuid4()
    kit.do(save(saved_view_id=shared, audience="ROLES", roles=("SAL",)), by=SUPERVISOR)
    rename, delete = ChangeSavedView(saved_view_id=shared, name="x"), DeleteSavedView(saved_view_id=shared)
    kit.assert_refused("FORBIDDEN", rename, by=SALES, field="saved_view_id")
    kit.assert_refused("FORBIDDEN", delete, by=SALES, field="saved_view_id")
    kit.assert_refused("NOT_FOUND", rename, by=user("qi", "QCI"), field="saved_view_id")
    public = uuid4()
    kit.do(save(saved_view_id=public, audience="EVERYBODY"), by=SUPERVISOR)
    kit.assert_refused("FORBIDDEN", ChangeSavedView(saved_view_id=public, name="x"), by=ADMIN)
    kit.do(DeleteSavedView(saved_view_id=public), by=ADMIN)


def test_uix_13_a_list_opens_with_the_view_that_one_has_chosen(kit: InMemoryService) -> None:
    kit.do(save(), by=SALES)
    kit.do(ChooseDefaultView(list_name="customers", saved_view_id=VIEW), by=SALES)
    kit.do(ChooseDefaultView(list_name="customers", saved_view_id=VIEW), by=SALES)
    kit.do(ChooseDefaultView(list_name="customers", saved_view_id=None), by=SALES)
    kit.do(ChooseDefaultView(list_name="orders", saved_view_id=None), by=SALES)
    told = [fact for fact in kit.new_facts() if isinstance(fact, DefaultViewChosen)]
    assert [(fact.user_id, fact.list_name, fact.saved_view_id) for fact in told] == [
        (SALES.user_id, "customers", VIEW), (SALES.user_id, "customers", None),
    ]  # fmt: skip
    wrong = ChooseDefaultView(list_name="orders", saved_view_id=VIEW)
    kit.assert_refused("VALIDATION", wrong, by=SALES, field="saved_view_id")
    theirs = ChooseDefaultView(list_name="customers", saved_view_id=VIEW)
    kit.assert_refused("NOT_FOUND", theirs, by=COLLEAGUE, field="saved_view_id")
