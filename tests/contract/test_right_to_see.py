"""Who may not see a field changes it as little: that nothing changes would tell what stands there (INV-02, SEC-16)."""

from pathlib import Path
from typing import Any

import pytest
from security.office import Caller, Office, quick_hashes

from contracts.inventory import ProductEdited

COST, OTHER_COST = {"amount": "6.00", "currency": "CNY"}, {"amount": "7.00", "currency": "CNY"}
SALE, OTHER_SALE = {"amount": "9.00", "currency": "CNY"}, {"amount": "8.00", "currency": "CNY"}
PRODUCT = {"name": "Lamp", "model": "L1", "brand": "Lumen", "prices": {"purchase": COST, "sale": SALE}}


@pytest.fixture
def office(tmp_path: Path) -> Office:
    with quick_hashes():
        return Office(tmp_path)


def program(office: Office, *rights: str) -> Caller:
    return office.machine(*((right, "ALL") for right in rights))


@pytest.fixture
def clerk(office: Office) -> Caller:
    """Who enters and changes products, and does not see what they cost."""
    return program(office, "products.edit", "products.view")


@pytest.fixture
def product(office: Office, clerk: Caller) -> str:
    """One that the clerk has entered: what one gives oneself tells one nothing."""
    id: str = office.call("POST /products", PRODUCT, clerk).done()["id"]
    return id


@pytest.mark.parametrize("cost", [COST, OTHER_COST])
@pytest.mark.parametrize("whole", [True, False])
def test_inv_02_who_does_not_see_the_purchase_price_neither_changes_nor_probes_it(
    office: Office, clerk: Caller, product: str, cost: dict[str, str], whole: bool
) -> None:
    change: dict[str, Any] = {"prices": {"purchase": cost, "sale": SALE}} if whole else {"purchase_price": cost}
    answer = office.call(f"PATCH /products/{product}", change, clerk)
    field = "prices.purchase" if whole else "purchase_price"
    assert (answer.code, answer.body["field"], answer.body["params"]["right"]) == ("FORBIDDEN", field, "products.cost")
    buyer = program(office, "products.edit", "products.view", "products.cost")
    assert office.call(f"PATCH /products/{product}", change, buyer).done()["version"] == (1 if cost == COST else 2)


def test_inv_07_who_does_not_see_the_purchase_price_changes_all_else(
    office: Office, clerk: Caller, product: str
) -> None:
    change = {"sale_price": OTHER_SALE, "member_price": OTHER_SALE, "brand": "Pear"}
    assert office.call(f"PATCH /products/{product}", change, clerk).done()["version"] == 2


def test_inv_02_who_does_not_see_the_purchase_price_does_not_put_it_back(
    office: Office, clerk: Caller, product: str
) -> None:
    both = {"purchase_price": OTHER_COST, "sale_price": OTHER_SALE}
    office.call(f"PATCH /products/{product}", both, office.admin).done()
    named = office.call(f"POST /products/{product}/revert", {"version": 1, "fields": ["purchase_price"]}, clerk)
    assert (named.code, named.body["field"]) == ("FORBIDDEN", "purchase_price")
    office.call(f"POST /products/{product}/revert", {"version": 1}, clerk).done()
    last: Any = [fact for fact in office.facts("inventory") if isinstance(fact, ProductEdited)][-1]
    assert (str(last.prices.purchase.amount), str(last.prices.sale.amount)) == ("7.00", "9.00")
