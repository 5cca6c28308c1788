"""Rows of every list counted in groups, and summed, against what its pages show."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from bson import Decimal128
from pymongo.database import Database

from chassis.access.company import CompanySettings
from chassis.model.principal import Principal
from chassis.model.views import View
from chassis.queries.conditions import fields_asked
from chassis.queries.filters import Document
from chassis.queries.grouping import MOST_GROUPS, MOST_SUMS, groups_of, sums_of
from chassis.queries.reader import ViewReader
from chassis.testing.custom_fields import known as known_fields
from component.lists import BY_NAME, LISTS, ROOT, Shelf, document_of
from component.test_conditions import fill, written
from contracts.custom_fields import CustomField, Label
from contracts.errors import Refused

FOUND_BY_ROLES = ("approval_inbox",)  # whose rows are those who decide, not those who own
SALESPERSON = Principal(uuid4(), "Li", frozenset({"SAL"}))
each = pytest.mark.parametrize("view", LISTS, ids=lambda view: view.name)


def counted(view: View, rows: list[Document], field: str | None, sums: list[str]) -> dict[Any, tuple[int, Document]]:
    """What the rows that are shown come to, by value."""
    found: dict[Any, tuple[int, Document]] = {}
    for row in rows:
        held = row[field] if field else None
        values = (held or [None]) if isinstance(held, list) else [held]
        for value in [one or None for one in values] if field in view.picked else values:  # None: nothing was picked
            count, told = found.get(value, (0, {name: {} for name in sums}))
            for name in sums:
                currency = row.get(currency_of(view, name)) or ""
                told[name][currency] = told[name].get(currency, 0) + Decimal(row[name] or 0)
            found[value] = count + 1, told
    for name in (name for name in sums if currency_of(view, name)):
        for _, told in found.values():
            told[name] = {currency: amount for currency, amount in told[name].items() if currency or amount}
    return found


def currency_of(view: View, name: str) -> str:
    """The column that tells the currency of an amount; "" for none."""
    columns = (f"{name}_currency", "currency") if view.types[name].kind == "amount" else ()
    return next((one for one in columns if one in view.types), "")


def as_counted(view: View, groups: list[Document]) -> dict[Any, tuple[int, Document]]:
    """What is answered, in the same form."""
    found = {}
    for group in groups:
        sums = {
            name: {currency: Decimal(amount) for currency, amount in told.items()}
            if isinstance(told, dict)
            else {"": Decimal(told)}
            for name, told in group.get("sums", {}).items()
        }
        assert group["value"] not in found
        found[group["value"]] = (group["count"], sums)
    return found


@each
def test_groups_and_sums_say_what_the_pages_say(database: Database[Document], view: View) -> None:
    """Of every field, with filters and conditions or without; whatever page they come with."""
    shelf = Shelf(database, view)
    fill(shelf)
    everything = shelf.page(limit="200").items
    sums = sums_of(view)[:MOST_SUMS]
    assert groups_of(view) or sums or view.name in ("company", "parameters", "settings", "custom_fields")
    name = next(name for name in fields_asked(view) if name != "id")
    conditions: list[Document] = [{}, {"where": written({"field": name, "is": "is_not_empty"})}]
    for more in conditions:
        rows = shelf.page(limit="200", **more).items if more else everything
        for field in (None, *groups_of(view)):
            params = {"group": field} if field else {}
            if not field and not sums:
                continue
            page = shelf.page(limit="2", sum=sums, **params, **more) if sums else shelf.page(**params, **more)
            assert page.groups is not None
            assert as_counted(view, page.groups) == counted(view, rows, field, sums), (field, more)
            assert [one["count"] for one in page.groups] == sorted((one["count"] for one in page.groups), reverse=True)
            if page.next and sums:
                after = shelf.page(limit="2", sum=sums, cursor=page.next, **params, **more)
                assert after.groups == page.groups
            assert json.dumps(page.groups)
        assert shelf.page(**more).groups is None


@each
def test_what_cannot_be_grouped_or_summed_is_refused_with_what_can(database: Database[Document], view: View) -> None:
    shelf = Shelf(database, view)
    for parameter, known in (("group", groups_of(view)), ("sum", sums_of(view))):
        for name in (*view.types, "_id", "_event", "$status", "a.b", "", " ", "\ud800", "\x00", "x" * 900):
            if name not in known:
                refusal = shelf.refusal(**{parameter: name})
                assert (refusal.code, refusal.field) == ("VALIDATION", parameter), name
                assert all(one in refusal.message for one in known) or "is empty" in refusal.message
        for name in known[:1]:
            assert parameter == "sum" or shelf.refusal(group=[name, name]).field == "group"
            assert shelf.refusal(sum=[name] * (MOST_SUMS + 1)).field == "sum"
            with pytest.raises(Refused) as refused:
                shelf.reader.export(ROOT, {parameter: [name]}, None, "csv")
            assert (refused.value.code, refused.value.field) == ("VALIDATION", parameter)


@pytest.mark.parametrize("view", [view for view in LISTS if view.hidden], ids=lambda view: view.name)
def test_what_somebody_may_not_see_is_neither_grouped_nor_summed(database: Database[Document], view: View) -> None:
    shelf = Shelf(database, view)
    shelf.fill([document_of(view, number) for number in range(4)])
    blind = Principal(uuid4(), "Nobody", frozenset())
    for name in view.hidden:
        for parameter in ("group", "sum"):
            refusal, other = (shelf.refusal(blind, **{parameter: one}) for one in (name, "nothing"))
            assert refusal.message.replace(name, "nothing") == other.message
            assert (refusal.code, refusal.field) == ("VALIDATION", parameter)


@pytest.mark.parametrize("view", [view for view in LISTS if view.scope], ids=lambda view: view.name)
def test_rows_of_others_are_not_counted(database: Database[Document], view: View) -> None:
    assert view.scope
    shelf = Shelf(database, view)
    mine, theirs = str(SALESPERSON.user_id), str(uuid4())
    whose = [theirs if number % 3 else mine for number in range(9)]
    private = {"audience": "ME"} if "audience" in view.types else {}
    documents = [
        document_of(view, number, **dict.fromkeys(view.scope.fields, person), **private)
        for number, person in enumerate(whose)
    ]
    shelf.fill(documents)
    sums = sums_of(view)[:MOST_SUMS]
    for field in groups_of(view):
        page = shelf.page(SALESPERSON, group=field, sum=sums, limit="200")
        assert page.groups is not None
        assert len(page.items) == (3 if SALESPERSON.may(view.permission) and view.name not in FOUND_BY_ROLES else 0)
        assert as_counted(view, page.groups) == counted(view, page.items, field, sums), field


def test_more_groups_than_may_be_are_refused_and_not_cut(database: Database[Document]) -> None:
    shelf = Shelf(database, BY_NAME["orders"])
    shelf.fill([document_of(shelf.view, number) for number in range(MOST_GROUPS)])
    assert len(shelf.page(group="number").groups or ()) == MOST_GROUPS
    shelf.fill([document_of(shelf.view, MOST_GROUPS)])
    refusal = shelf.refusal(group="number")
    assert (refusal.code, refusal.field) == ("TOO_LARGE", "group")
    assert len(shelf.page(group="number", currency="USD").groups or ()) == MOST_GROUPS // 3 + 1


def test_amounts_of_several_currencies_are_never_added_up(database: Database[Document]) -> None:
    shelf = Shelf(database, BY_NAME["orders"])
    shelf.fill([document_of(shelf.view, number, status="DRAFT") for number in range(6)])
    page = shelf.page(group="status", sum=["amount", "quantity"], limit="1")
    wanted = {"amount": {"CNY": "0.05", "JPY": "0.07", "USD": "0.03"}, "quantity": 15}
    assert page.groups == [{"value": "DRAFT", "count": 6, "sums": wanted}]
    assert shelf.page(sum="quantity").groups == [{"value": None, "count": 6, "sums": {"quantity": 15}}]
    assert shelf.page(sum="quantity", status="SHIPPED").groups == []


def test_mkt_01_amounts_of_a_record_are_added_up_each_by_its_own_currency(database: Database[Document]) -> None:
    """CFG-01: so are those that are worked out of them; what is made of two currencies is no amount at all."""
    view = BY_NAME["campaigns"]
    shelf, company = Shelf(database, view), CompanySettings()
    left = CustomField(key="left", type="formula", label=Label(zh="余"), formula="budget - spent")
    for row in known_fields(view.kind, left):
        company.custom_fields.take(row)
    shelf.reader = ViewReader(database, view, company=company)
    money = [("100", "CNY", "40", "CNY"), ("5000", "JPY", "2000", "JPY"), ("7", "CNY", "3", "JPY"), (None, None) * 2]
    for number, (budget, its, spent, other) in enumerate(money):
        amounts = {"budget": budget, "spent": spent}
        stored_ones = {name: one and Decimal128(one) for name, one in amounts.items()}
        shelf.fill([document_of(view, number, own={}, **stored_ones, budget_currency=its, spent_currency=other)])
    page = shelf.page(sum=["budget", "spent", "own.left"], sort="id")
    assert [row["own"].get("left") for row in page.items] == ["60", "3000", None, None]
    sums = {
        "budget": {"CNY": "107", "JPY": "5000"},
        "spent": {"CNY": "40", "JPY": "2003"},
        "own.left": {"CNY": "60", "JPY": "3000"},
    }
    assert page.groups == [{"value": None, "count": 4, "sums": sums}]
