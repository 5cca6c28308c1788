"""The question whether a customer is there already, in a real MongoDB (CUS-22, ADR 0063)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from pymongo.database import Database

from chassis.catalogue import Catalogue
from chassis.model.context import AccessScope
from chassis.model.duplicates import MOST_TOLD
from chassis.model.principal import Principal
from chassis.model.views import View
from chassis.queries.reader import Same
from component.lists import ROOT, Document, Shelf, document_of
from contracts.errors import Refused
from contracts.sharing import SHARED_WITH, SHARES

[VIEW] = [view for view in Catalogue.read().views() if view.name == "customers"]
ME, OTHER = uuid4(), uuid4()
ACME = {"name": "Acme", "company": "Acme Ltd", "contact_person": "Li Lei", "mobile": "13900000041"}


def salesperson(id: UUID, *rights: str) -> Principal:
    scope = AccessScope(people=frozenset({id}))
    held: Any = dict.fromkeys(rights or (VIEW.permission,), frozenset({"OWN"}))
    reach: Any = lambda _: scope  # noqa: E731
    return Principal(id, "somebody", frozenset(), scopes=held, reach_of=reach)


class Desk:
    """Customers of two people, one of them deleted."""

    def __init__(self, database: Database[Document], view: View) -> None:
        self.shelf = Shelf(database, view)
        self.shelf.fill([
            self.row(1, ME, **ACME),
            self.row(2, OTHER, name="ＡＣＭＥ", company="Beta", contact_person="Li Lei", mobile=""),
            self.row(3, OTHER, name="Gone", company="Gone Ltd", contact_person="Wu", mobile="", deleted=True),
            *(self.row(number, ME, name="Many", company="", contact_person="", mobile="") for number in range(10, 25)),
        ])  # fmt: skip

    def row(self, number: int, owner: UUID, **more: Any) -> Document:
        about = {SHARES: [], SHARED_WITH: [], "deleted": False, **more}
        return document_of(self.shelf.view, number, owner_id=str(owner), **about)

    def alike(self, by: Principal = ROOT, besides: int = 0, **given: str) -> tuple[list[int], bool]:
        """The numbers of the customers that are told, and whether there are others."""
        id = document_of(self.shelf.view, besides)["_id"] if besides else ""
        [same], _ = self.shelf.reader.alike(by, [{name: [value] for name, value in given.items()}], id, None)
        assert isinstance(same, Same)
        return [int(row["id"][:8], 16) for row in same.items], same.is_unseen


@pytest.fixture(scope="module")
def desk(database: Database[Document]) -> Iterator[Desk]:
    yield Desk(database, VIEW)


@pytest.mark.parametrize("number", ["13900000041", "+86 139-0000-0041", "１３９ ００００ ００４１"])
def test_cus_22_a_number_is_found_however_it_is_written(desk: Desk, number: str) -> None:
    assert desk.alike(mobile=number) == ([1], False)


def test_cus_22_company_and_contact_person_are_the_same_together(desk: Desk) -> None:
    assert desk.alike(company="acme  LTD", contact_person="li lei") == ([1], False)
    assert desk.alike(company="Acme Ltd", contact_person="Wu") == ([], False)
    assert desk.alike(company="Gone Ltd", contact_person="Wu") == ([], False), "a deleted one is in nobody's way"


def test_cus_22_of_what_one_does_not_see_one_is_told_that_it_is_there(desk: Desk) -> None:
    me, other, stranger = (salesperson(id) for id in (ME, OTHER, uuid4()))
    assert (desk.alike(me, name="acme"), desk.alike(other, name="acme")) == (([1], True), ([2], True))
    assert desk.alike(stranger, name="acme") == ([], True)
    assert desk.alike(name="acme") == ([1, 2], False)
    assert desk.alike(stranger, name="Beta") == ([], False)
    blind = salesperson(ME, "customers.edit")
    assert desk.alike(blind, name="acme") == ([], True), "who sees no customers at all sees none here"


def test_cus_22_the_one_that_is_edited_is_no_duplicate_of_itself(desk: Desk) -> None:
    assert desk.alike(besides=1, name="Acme") == ([2], False)
    assert desk.alike(besides=1, mobile=ACME["mobile"]) == ([], False)


def test_cus_22_only_the_first_are_told_and_a_field_that_is_too_long_is_named(desk: Desk) -> None:
    assert len(desk.alike(name="many")[0]) == MOST_TOLD
    with pytest.raises(Refused) as refused:
        desk.alike(name="x" * 2_000)
    assert refused.value.field == "name"
