"""Which kinds of records can be asked for duplicates, and by what (CUS-22)."""

import pytest

from chassis.catalogue import Catalogue
from chassis.model.duplicates import Alike, alike_by, asked_by, path_of, right_of
from chassis.model.views import Exact, View
from contracts.records import KINDS

VIEWS = Catalogue.read().views()
BY_NAME = {view.name: view for view in VIEWS}


def test_cus_22_customers_are_alike_by_number_by_company_and_contact_and_as_a_hint_by_name() -> None:
    customers = BY_NAME["customers"]
    assert [*alike_by(customers)] == [
        Alike(("mobile",), True),
        Alike(("company", "contact_person"), True),
        Alike(("name",), False),
    ]
    assert (path_of(customers), right_of(customers)) == ("/duplicates/customers", "customers.edit")
    assert asked_by(customers) == ["mobile", "company", "contact_person", "name"]
    assert path_of(BY_NAME["orders"]) == path_of(BY_NAME["customers_pool"]) == ""


@pytest.mark.parametrize("view", [view for view in VIEWS if view.kind], ids=lambda view: view.name)
def test_cus_22_whatever_a_command_refuses_as_a_duplicate_can_be_asked_before(view: View) -> None:
    [kind] = [one for one in KINDS.values() if one.code == view.kind]
    refused = {one.fields for one in alike_by(view) if one.refused}
    assert refused == {(name,) for name in kind.unique} | ({tuple(kind.together)} if kind.together else set())
    for name in asked_by(view):
        assert isinstance(view.filters[name], Exact), "its list finds what is the same"
