"""The acceptance scenarios of products, stock, orders, approval and shipping, on the whole system."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from component.support import (
    Company,
    add_customer,
    add_order,
    add_product,
    await_case,
    await_status,
    eventually,
    order_page,
    unique,
    until,
    yuan,
)

PHONE = {
    "name": "iPhone 15 Pro",
    "model": "A2892",
    "brand": "Apple",
    "prices": {"purchase": yuan("6000.00"), "sale": yuan("7999.00"), "member": yuan("7599.00")},
    "category": "phone",
    "traits": [{"name": "colour", "value": "black"}, {"name": "memory", "value": "256 GB"}],
    "accessories": ["cable", "manual"],
    "opening_stock": 50,
    "alert_quantity": 10,
}


def statuses(page: dict[str, Any]) -> list[str]:
    return [entry["status"] for entry in page["history"]]


def stock_becomes(company: Company, product: str, on_hand: int) -> None:
    """Stock and orders come from different topics, so one may show a moment before the other."""

    def check() -> None:
        assert company.wang.get(f"/products/{product}")["on_hand"] == on_hand

    eventually(check)


def ledger_becomes(company: Company, order: str, changes: list[int]) -> None:
    """What an order did to stock."""

    def check() -> None:
        entries = company.wang.items("/stock-ledger", order_id=order)
        assert sorted(entry["change"] for entry in entries) == changes

    eventually(check)


def ledger_of_product_becomes(company: Company, product: str, movements: list[tuple[str, int]]) -> None:
    """All that moved a product's stock, in order.  Each view is written by itself: another may be there before it."""

    def check() -> None:
        entries = company.wang.items("/stock-ledger", product_id=product, sort="entry")
        assert [(entry["movement"], entry["change"]) for entry in entries] == movements

    eventually(check)


def sales_become(company: Company, product: str, **expected: object) -> None:
    """What the report of a product tells."""

    def check() -> None:
        rows = company.admin.items("/reports/sales-by-product", product_id=product)
        assert [{name: row[name] for name in expected} for row in rows] == [expected]

    eventually(check)


def case_becomes_closed(company: Company, case: str) -> None:
    def check() -> None:
        assert company.sato.get(f"/approvals/{case}")["status"] == "CLOSED"

    eventually(check)


def approve(company: Company, order: str) -> dict[str, Any]:
    """Both approvals; returns the answer to the second."""
    case = await_case(company.sato, order, "SUPERVISOR")
    company.sato.post(f"/approvals/{case['id']}/approve", {"node": "SUPERVISOR"})
    return company.chen.post(f"/approvals/{case['id']}/approve", {"node": "FINANCE"})


def test_acc_12_a_product_is_saved_and_the_list_shows_it(company: Company) -> None:
    saved = company.wang.post("/products", PHONE)
    assert saved["version"] == 1

    rows = company.li.items("/products", name="iPhone 15 Pro", model="A2892", brand="Apple")

    assert [row["id"] for row in rows] == [saved["id"]]
    row = rows[0]
    assert (row["sale_price"], row["member_price"], row["currency"]) == ("7999.00", "7599.00", "CNY")
    assert (row["on_hand"], row["alert_quantity"], row["low"]) == (50, 10, False)
    assert row["accessories"] == ["cable", "manual"]
    assert "purchase_price" not in row
    assert company.chen.get(f"/products/{saved['id']}")["purchase_price"] == "6000.00"
    opening = company.wang.items("/stock-ledger", product_id=saved["id"])
    assert [(entry["movement"], entry["change"], entry["balance"]) for entry in opening] == [("OPENING", 50, 50)]

    problem = company.wang.assert_refused("DUPLICATE", "POST", "/products", PHONE)
    assert problem["field"] == "name"


def test_acc_13_a_changed_price_and_stock_show_at_once(company: Company) -> None:
    product = add_product(company.wang, "7999.00", 50, alert_quantity=10)

    company.wang.do("PATCH", f"/products/{product}", {"sale_price": yuan("8299.00"), "alert_quantity": 12})
    company.wang.post(f"/products/{product}/receipts", {"quantity": 5, "reason": "delivery 4711"})
    company.wang.post(f"/products/{product}/adjustments", {"change": -2, "reason": "broken in the shelf"})

    row = company.li.get(f"/products/{product}")
    assert (row["sale_price"], row["on_hand"], row["alert_quantity"]) == ("8299.00", 53, 12)
    order = add_order(company.li, add_customer(company.li), (product, 1, None))
    assert order_page(company.li, order)["amount"] == "8299.00"


def test_acc_14_a_deleted_product_is_gone_and_its_orders_stay(company: Company) -> None:
    name = unique("Old phone")
    product = add_product(company.wang, "100.00", 10, name=name)
    customer = add_customer(company.li)
    order = add_order(company.li, customer, (product, 2, None))

    held = company.wang.assert_refused("INVALID_STATE", "DELETE", f"/products/{product}")
    assert held["state"] == "IN_OPEN_ORDER"

    company.li.post(f"/orders/{order}/submit")
    await_status(company.li, order, "SHIPPED")

    def delete() -> None:
        company.wang.do("DELETE", f"/products/{product}")

    eventually(delete)  # inventory hears of the shipping a moment later

    assert company.li.items("/products", name=name) == []
    assert company.li.assert_refused("NOT_FOUND", "GET", f"/products/{product}")["field"] == "product_id"
    lines = [{"product_id": product, "quantity": 1}]
    refused = company.li.assert_refused("NOT_FOUND", "POST", "/orders", {"customer_id": customer, "lines": lines})
    assert refused["field"] == "lines.0.product_id"

    page = order_page(company.li, order)
    assert (page["lines"][0]["name"], page["lines"][0]["model"], page["amount"]) == (name, "A1", "200.00")
    ledger_of_product_becomes(company, product, [("OPENING", 10), ("ORDER_DEDUCTION", -2), ("CLOSING", -8)])
    assert company.wang.items("/stock-ledger", product_id=product, sort="-entry")[0]["balance"] == 0
    sales_become(company, product, name=name, sold_amount="200.00")


def test_acc_16_stock_of_nine_below_an_alert_of_ten_is_told_once(company: Company) -> None:
    product = add_product(company.wang, "100.00", 10, alert_quantity=10)
    customer = add_customer(company.li)
    assert company.wang.items("/stock-alerts", product_id=product) == []

    first = add_order(company.li, customer, (product, 1, None))
    company.li.post(f"/orders/{first}/submit")
    alerts = until(lambda: company.wang.items("/stock-alerts", product_id=product))
    assert [(alert["balance"], alert["alert_quantity"]) for alert in alerts] == [(9, 10)]
    assert company.wang.get(f"/products/{product}")["low"] is True

    second = add_order(company.li, customer, (product, 1, None))
    company.li.post(f"/orders/{second}/submit")
    await_status(company.li, second, "SHIPPED")
    company.wang.post(f"/products/{product}/receipts", {"quantity": 2, "reason": "restocked"})
    assert company.wang.get(f"/products/{product}")["on_hand"] == 10
    assert len(company.wang.items("/stock-alerts", product_id=product)) == 1  # 8 is the same fall

    company.wang.post(f"/products/{product}/adjustments", {"change": -1, "reason": "lost"})
    assert [a["balance"] for a in company.wang.items("/stock-alerts", product_id=product)] == [9, 9]  # armed again


def test_acc_37_an_order_of_4999_ships_directly(company: Company) -> None:
    product = add_product(company.wang, "4999.00")
    order = add_order(company.li, add_customer(company.li), (product, 1, None))

    submitted = company.li.post(f"/orders/{order}/submit")
    assert submitted["status"] == "SUBMITTED"

    page = await_status(company.li, order, "SHIPPED")
    assert statuses(page) == ["DRAFT", "SUBMITTED", "SHIPPED"]
    assert page["amount"] == "4999.00"
    assert page["approvals"] == []
    assert company.sato.items("/approvals", order_id=order) == []


def test_an_order_of_exactly_5000_needs_approval(company: Company) -> None:
    product = add_product(company.wang, "5000.00")
    order = add_order(company.li, add_customer(company.li), (product, 1, None))
    assert company.li.post(f"/orders/{order}/submit")["status"] == "PENDING_APPROVAL"
    assert await_case(company.sato, order, "SUPERVISOR")["amount"] == "5000.00"


def test_acc_38_an_order_of_5001_ships_after_both_approvals(company: Company) -> None:
    product = add_product(company.wang, "5001.00", 10)
    order = add_order(company.li, add_customer(company.li), (product, 1, None))

    assert company.li.post(f"/orders/{order}/submit")["status"] == "PENDING_APPROVAL"
    case = await_case(company.sato, order, "SUPERVISOR")
    assert case["route"] == ["SUPERVISOR", "FINANCE"]
    early = company.chen.assert_refused(
        "INVALID_STATE", "POST", f"/approvals/{case['id']}/approve", {"node": "FINANCE"}
    )
    assert early["state"] == "SUPERVISOR"
    first = company.sato.post(f"/approvals/{case['id']}/approve", {"node": "SUPERVISOR", "comment": "good"})
    assert (first["status"], first["due"]) == ("OPEN", "FINANCE")
    assert order_page(company.li, order)["status"] == "PENDING_APPROVAL"
    assert company.wang.get(f"/products/{product}")["on_hand"] == 10
    second = company.chen.post(f"/approvals/{case['id']}/approve", {"node": "FINANCE"})
    assert second["status"] == "APPROVED"

    page = await_status(company.li, order, "SHIPPED")
    assert statuses(page) == ["DRAFT", "PENDING_APPROVAL", "APPROVED", "SHIPPED"]
    decided = [(entry["node"], entry["by"]) for entry in page["approvals"] if entry["what"] == "APPROVED"]
    assert decided == [("SUPERVISOR", "sato"), ("FINANCE", "chen")]
    stock_becomes(company, product, 9)


def test_acc_39_no_shipping_with_the_supervisors_approval_only(company: Company) -> None:
    product = add_product(company.wang, "5001.00", 10)
    order = add_order(company.li, add_customer(company.li), (product, 1, None))
    company.li.post(f"/orders/{order}/submit")
    case = await_case(company.sato, order, "SUPERVISOR")
    company.sato.post(f"/approvals/{case['id']}/approve")

    for path in ("hand-over", "deliver"):
        problem = company.wang.assert_refused("INVALID_STATE", "POST", f"/shipments/{order}/{path}", {})
        assert problem["state"] == "PENDING_APPROVAL"

    assert order_page(company.li, order)["status"] == "PENDING_APPROVAL"
    assert company.wang.assert_refused("NOT_FOUND", "GET", f"/shipments/{order}")["field"] == "order_id"
    assert company.wang.get(f"/products/{product}")["on_hand"] == 10


def test_acc_40_stock_falls_and_sales_totals_rise_with_an_order(company: Company) -> None:
    product = add_product(company.wang, "1200.50", 20)
    day = "2020-02-29"

    def totals() -> tuple[int, list[dict[str, Any]], list[dict[str, Any]]]:
        return (
            company.wang.get(f"/products/{product}")["on_hand"],
            company.admin.items("/reports/sales-by-day", day_from=day, day_to=day),
            company.admin.items("/reports/sales-by-product", product_id=product),
        )

    assert totals() == (20, [], [])
    order = add_order(company.li, add_customer(company.li), (product, 3, None), order_date=day)
    company.li.post(f"/orders/{order}/submit")
    await_status(company.li, order, "SHIPPED")

    stock_becomes(company, product, 17)

    def all_views_are_there() -> None:  # each is written by itself
        assert [row["dated_sold_orders"] for row in totals()[1]] == [1]
        assert [row["sold_quantity"] for row in totals()[2]] == [3]

    eventually(all_views_are_there)
    _, days, products = totals()
    amount = Decimal("3601.50")
    assert [(row["currency"], row["dated_booked_orders"], row["dated_sold_orders"]) for row in days] == [("CNY", 1, 1)]
    for row in (*days, *products):
        assert (row["dated_booked_quantity"], row["dated_sold_quantity"]) == (3, 3)
        assert (Decimal(row["dated_booked_amount"]), Decimal(row["dated_sold_amount"])) == (amount, amount)
    assert (days[0]["booked_quantity"], days[0]["sold_quantity"]) == (0, 0), "submitted and shipped on another day"
    assert (products[0]["booked_quantity"], products[0]["sold_quantity"]) == (3, 3)
    assert products[0]["sold_cost"] == "180.00"
    assert products[0]["profit_rate"] == "0.9500"


def test_acc_41_who_has_no_approval_right_cannot_approve(company: Company) -> None:
    product = add_product(company.wang, "5001.00")
    order = add_order(company.li, add_customer(company.li), (product, 1, None))
    company.li.post(f"/orders/{order}/submit")
    case = await_case(company.sato, order, "SUPERVISOR")

    for name in ("li", "tanaka", "wang", "mei"):
        person = getattr(company, name)
        for act, body in (("approve", {}), ("reject", {"reason": "no"})):
            problem = person.assert_refused("FORBIDDEN", "POST", f"/approvals/{case['id']}/{act}", body)
            assert problem["state"] == "orders.approve"

    again = company.sato.get(f"/approvals/{case['id']}")
    assert (again["status"], again["due"], again["version"], again["decisions"]) == ("OPEN", "SUPERVISOR", 1, [])


def test_acc_42_the_order_page_shows_status_shipment_and_payment(company: Company) -> None:
    product = add_product(company.wang, "1500.00", 10, accessories=["cable"])
    order = add_order(company.li, add_customer(company.li, address="1 Nanjing Road"), (product, 2, None))
    company.li.post(f"/orders/{order}/submit")
    await_status(company.li, order, "SHIPPED")

    company.chen.post(f"/orders/{order}/payments", {"amount": "1000.00", "method": "bank"})
    over = company.chen.assert_refused("VALIDATION", "POST", f"/orders/{order}/payments", {"amount": "2000.01"})
    assert over["field"] == "amount"
    page = order_page(company.li, order)
    assert (page["status"], page["paid"], page["paid_state"]) == ("SHIPPED", "1000.00", "PARTLY_PAID")
    company.chen.post(f"/orders/{order}/payments", {"amount": "2000.00", "method": "cash"})

    def shown() -> dict[str, Any]:
        page = order_page(company.li, order)
        assert page["shipment"] and page["shipment"]["status"] == "DISPATCHED"
        return page

    page = eventually(shown)
    assert (page["status"], page["amount"], page["paid"], page["paid_state"]) == (
        "SHIPPED",
        "3000.00",
        "3000.00",
        "PAID",
    )
    assert [(payment["amount"], payment["method"], payment["by"]) for payment in page["payments"]] == [
        ("1000.00", "bank", "chen"),
        ("2000.00", "cash", "chen"),
    ]
    assert page["customer"]["address"] == "1 Nanjing Road"
    packed = page["shipment"]["packing_list"]
    assert [(line["quantity"], line["accessories"]) for line in packed] == [(2, ["cable"])]
    assert all(entry["at"] and entry["by"] for entry in page["history"])


# -- what stands beside the main road ---


def test_ord_14_an_order_on_hold_ships_after_restocking_and_retry(company: Company) -> None:
    plenty, scarce = add_product(company.wang, "10.00", 100), add_product(company.wang, "10.00", 2)
    order = add_order(company.li, add_customer(company.li), (plenty, 5, None), (scarce, 3, None))
    company.li.post(f"/orders/{order}/submit")

    page = await_status(company.li, order, "ON_HOLD")
    assert page["hold"]["reason"] == "INSUFFICIENT_STOCK"
    assert [(m["product_id"], m["wanted"], m["on_hand"]) for m in page["hold"]["missing"]] == [(scarce, 3, 2)]
    assert [company.wang.get(f"/products/{id}")["on_hand"] for id in (plenty, scarce)] == [100, 2]

    company.li.post(f"/orders/{order}/retry")  # too early: short again
    again = eventually(lambda: _held(company, order, 2))
    assert again["status"] == "ON_HOLD"

    company.wang.post(f"/products/{scarce}/receipts", {"quantity": 1, "reason": "restocked"})
    company.li.post(f"/orders/{order}/retry")
    page = await_status(company.li, order, "SHIPPED")
    assert page["hold"] is None
    stock_becomes(company, plenty, 95)
    stock_becomes(company, scarce, 0)
    ledger_becomes(company, order, [-5, -3])


def _held(company: Company, order: str, times: int) -> dict[str, Any]:
    page = order_page(company.li, order)
    assert statuses(page).count("ON_HOLD") == times
    return page


def test_ord_14_an_order_on_hold_can_be_cancelled(company: Company) -> None:
    product = add_product(company.wang, "10.00", 1)
    order = add_order(company.li, add_customer(company.li), (product, 2, None))
    company.li.post(f"/orders/{order}/submit")
    await_status(company.li, order, "ON_HOLD")
    assert company.li.post(f"/orders/{order}/cancel", {"reason": "too long"})["status"] == "CANCELLED"
    assert company.li.assert_refused("INVALID_STATE", "POST", f"/orders/{order}/retry")["state"] == "CANCELLED"
    sales_become(company, product, booked_quantity=0, booked_amount="0.00")
    assert company.wang.get(f"/products/{product}")["on_hand"] == 1


class Warehouse:
    """Inside the block the warehouse confirms each shipment."""

    def __init__(self, company: Company) -> None:
        self._company = company

    def __enter__(self) -> None:
        self._set("WAREHOUSE")

    def __exit__(self, *_: object) -> None:
        self._set("AUTOMATIC")

    def _set(self, mode: str) -> None:
        answer = self._company.admin.do("PUT", "/settings/sales-process", {"shipping": mode})
        assert answer["shipping"] == mode


def await_shipment(company: Company, order: str, status: str) -> dict[str, Any]:
    def shipment() -> dict[str, Any]:
        answer = company.wang.send("GET", f"/shipments/{order}")
        assert answer.status_code == 200, answer.text
        assert answer.json()["status"] == status
        found: dict[str, Any] = answer.json()
        return found

    return eventually(shipment)


def test_ord_15_cancelling_returns_the_stock_once(company: Company) -> None:
    product = add_product(company.wang, "10.00", 10)
    with Warehouse(company):
        order = add_order(company.li, add_customer(company.li), (product, 4, None))
        company.li.post(f"/orders/{order}/submit")
    await_shipment(company, order, "PREPARED")
    stock_becomes(company, product, 6)

    assert company.li.assert_refused("VALIDATION", "POST", f"/orders/{order}/cancel", {})["field"] == "reason"
    company.li.post(f"/orders/{order}/cancel", {"reason": "changed their mind"})
    await_shipment(company, order, "CANCELLED")
    stock_becomes(company, product, 10)
    ledger_of_product_becomes(company, product, [("OPENING", 10), ("ORDER_DEDUCTION", -4), ("RETURN", 4)])
    late = company.wang.assert_refused("INVALID_STATE", "POST", f"/shipments/{order}/hand-over", {})
    assert late["state"] == "CANCELLED"
    sales_become(company, product, booked_quantity=0, sold_quantity=0)


def test_ord_15_a_shipped_order_cannot_be_cancelled(company: Company) -> None:
    product = add_product(company.wang, "10.00", 10)
    order = add_order(company.li, add_customer(company.li), (product, 1, None))
    company.li.post(f"/orders/{order}/submit")
    await_status(company.li, order, "SHIPPED")
    refused = company.li.assert_refused("INVALID_STATE", "POST", f"/orders/{order}/cancel", {"reason": "late"})
    assert refused["state"] == "SHIPPED"
    stock_becomes(company, product, 9)


def test_ord_08_withdraw_change_and_resubmit_takes_a_new_route(company: Company) -> None:
    product = add_product(company.wang, "5001.00", 10)
    order = add_order(company.li, add_customer(company.li), (product, 1, None))
    company.li.post(f"/orders/{order}/submit")
    case = await_case(company.sato, order, "SUPERVISOR")

    lines = [{"product_id": product, "quantity": 1, "unit_price": "4999.00"}]
    pending = company.li.assert_refused("INVALID_STATE", "PATCH", f"/orders/{order}", {"lines": lines})
    assert pending["state"] == "PENDING_APPROVAL"
    company.tanaka.assert_refused("FORBIDDEN", "POST", f"/orders/{order}/withdraw")
    assert company.li.post(f"/orders/{order}/withdraw")["status"] == "DRAFT"
    company.li.do("PATCH", f"/orders/{order}", {"lines": lines})
    assert company.li.post(f"/orders/{order}/submit")["status"] == "SUBMITTED"

    page = await_status(company.li, order, "SHIPPED")
    assert page["amount"] == "4999.00"
    case_becomes_closed(company, case["id"])
    sales_become(company, product, booked_amount="4999.00", sold_amount="4999.00")


def test_ord_08_a_rejected_order_is_changed_and_goes_through_a_second_round(company: Company) -> None:
    product = add_product(company.wang, "5001.00", 10)
    order = add_order(company.li, add_customer(company.li), (product, 1, None))
    company.li.post(f"/orders/{order}/submit")
    first = await_case(company.sato, order, "SUPERVISOR")
    missing = company.sato.assert_refused("VALIDATION", "POST", f"/approvals/{first['id']}/reject", {})
    assert missing["field"] == "reason"
    company.sato.post(f"/approvals/{first['id']}/reject", {"reason": "too dear"})
    page = await_status(company.li, order, "REJECTED")
    assert [(e["node"], e["text"]) for e in page["approvals"] if e["what"] == "REJECTED"] == [
        ("SUPERVISOR", "too dear")
    ]

    company.li.do("PATCH", f"/orders/{order}", {"note": "it is worth it"})
    company.li.post(f"/orders/{order}/submit")
    second = await_case(company.sato, order, "SUPERVISOR")
    assert second["id"] != first["id"]
    approve(company, order)
    await_status(company.li, order, "SHIPPED")
    stock_becomes(company, product, 9)


def test_ord_16_submitting_twice_has_the_effect_of_once(company: Company) -> None:
    product = add_product(company.wang, "10.00", 10)
    order = add_order(company.li, add_customer(company.li), (product, 1, None))
    first = company.li.post(f"/orders/{order}/submit", key=f"submit-{order}")
    assert company.li.post(f"/orders/{order}/submit", key=f"submit-{order}") == first
    await_status(company.li, order, "SHIPPED")
    assert company.li.post(f"/orders/{order}/submit", key=f"submit-{order}") == first
    refused = company.li.assert_refused("INVALID_STATE", "POST", f"/orders/{order}/submit")
    assert refused["state"] == "SHIPPED"
    ledger_becomes(company, order, [-1])


def test_ful_01_the_warehouse_hands_over_and_payment_completes_the_delivered_order(company: Company) -> None:
    product = add_product(company.wang, "5001.00", 10, accessories=["charger"])
    with Warehouse(company):
        order = add_order(company.li, add_customer(company.li), (product, 1, None))
        company.li.post(f"/orders/{order}/submit")
        approve(company, order)
        shipment = await_shipment(company, order, "PREPARED")
    assert [line["accessories"] for line in shipment["lines"]] == [["charger"]]

    def waits() -> None:
        page = order_page(company.li, order)
        assert (page["status"], page["waiting_for"]) == ("APPROVED", "hand over")
        assert page["fulfilment_status"] == "WAITING"

    eventually(waits)
    stock_becomes(company, product, 9)
    early = company.wang.assert_refused("INVALID_STATE", "POST", f"/shipments/{order}/deliver", {})
    assert early["state"] == "PREPARED"

    company.li.assert_refused("FORBIDDEN", "POST", f"/shipments/{order}/hand-over", {})
    company.wang.post(f"/shipments/{order}/hand-over", {"carrier": "SF Express", "tracking_number": "SF123"})
    await_status(company.li, order, "SHIPPED")
    shipment = await_shipment(company, order, "DISPATCHED")
    assert (shipment["carrier"], shipment["tracking_number"], shipment["operator"]) == ("SF Express", "SF123", "wang")

    company.wang.post(f"/shipments/{order}/deliver", {})
    page = await_delivered(company, order)
    assert page["status"] == "SHIPPED"  # delivered, but not paid
    company.chen.post(f"/orders/{order}/payments", {"amount": "5001.00"})
    page = await_status(company.li, order, "COMPLETED")
    assert statuses(page) == ["DRAFT", "PENDING_APPROVAL", "APPROVED", "SHIPPED", "COMPLETED"]
    assert [step["step"] for step in page["steps"] if step["status"] == "DONE"] == [
        "approval",
        "approve order",
        "deduct stock",
        "hand over",
        "ship order",
        "dispatch",
        "delivery",
        "record delivery",
    ]


def await_delivered(company: Company, order: str) -> dict[str, Any]:
    def delivered() -> dict[str, Any]:
        page = order_page(company.li, order)
        assert page["fulfilment_status"] == "DELIVERED"
        return page

    return eventually(delivered)


def test_apr_10_a_node_is_decided_once(company: Company) -> None:
    product = add_product(company.wang, "5001.00", 10)
    order = add_order(company.li, add_customer(company.li), (product, 1, None))
    company.li.post(f"/orders/{order}/submit")
    case = await_case(company.sato, order, "SUPERVISOR")
    company.sato.post(f"/approvals/{case['id']}/approve", {"node": "SUPERVISOR"})

    for act, body in (("approve", {"node": "SUPERVISOR"}), ("reject", {"node": "SUPERVISOR", "reason": "no"})):
        again = company.sato.assert_refused("ALREADY_DECIDED", "POST", f"/approvals/{case['id']}/{act}", body)
        assert (again["field"], again["state"]) == ("node", "SUPERVISOR")
    company.chen.post(f"/approvals/{case['id']}/approve", {"node": "FINANCE"})
    await_status(company.li, order, "SHIPPED")
    company.chen.assert_refused("ALREADY_DECIDED", "POST", f"/approvals/{case['id']}/approve", {"node": "FINANCE"})

    history = company.sato.get(f"/approvals/{case['id']}")["decisions"]
    assert [(entry["node"], entry["by"], entry["decision"]) for entry in history] == [
        ("SUPERVISOR", "sato", "APPROVED"),
        ("FINANCE", "chen", "APPROVED"),
    ]
    ledger_becomes(company, order, [-1])


def test_apr_11_a_closed_case_takes_no_decision(company: Company) -> None:
    product = add_product(company.wang, "5001.00", 10)
    customer = add_customer(company.li)
    for act, body, status in (("cancel", {"reason": "no need"}, "CANCELLED"), ("withdraw", None, "DRAFT")):
        order = add_order(company.li, customer, (product, 1, None))
        company.li.post(f"/orders/{order}/submit")
        case = await_case(company.sato, order, "SUPERVISOR")
        assert company.li.post(f"/orders/{order}/{act}", body)["status"] == status
        case_becomes_closed(company, case["id"])
        late = company.sato.assert_refused("INVALID_STATE", "POST", f"/approvals/{case['id']}/approve")
        assert late["state"] == "CLOSED"
        page = order_page(company.li, order)
        assert (page["status"], page["shipment"]) == (status, None)
    assert company.wang.get(f"/products/{product}")["on_hand"] == 10


def test_apr_12_supervisors_approve_only_their_peoples_orders_and_nobody_their_own(company: Company) -> None:
    product = add_product(company.wang, "5001.00", 10)
    order = add_order(company.sato, add_customer(company.sato), (product, 1, None))
    company.sato.post(f"/orders/{order}/submit")
    case = await_case(company.admin, order, "SUPERVISOR")
    path = f"/approvals/{case['id']}/approve"

    company.sato.assert_refused("FORBIDDEN", "POST", path, {"node": "SUPERVISOR"})
    company.chen.assert_refused("FORBIDDEN", "POST", path, {"node": "SUPERVISOR"})
    company.admin.post(path, {"node": "SUPERVISOR"})
    refused = company.admin.assert_refused("FORBIDDEN", "POST", path, {"node": "FINANCE"})  # two different persons
    assert refused["field"] == "case_id"
    company.chen.post(path, {"node": "FINANCE"})
    await_status(company.sato, order, "SHIPPED")


def test_ord_07_the_settings_in_force_at_submission_decide(company: Company) -> None:
    """ORD-07: a threshold set later does not touch a submitted order."""
    product = add_product(company.wang, "600.00", 10)
    customer = add_customer(company.li)
    low, high = (add_order(company.li, customer, (product, 1, None)) for _ in range(2))
    company.admin.do("PUT", "/settings/sales-process", {"threshold": "500.00"})
    try:
        assert company.li.post(f"/orders/{low}/submit")["status"] == "PENDING_APPROVAL"
    finally:
        company.admin.do("PUT", "/settings/sales-process", {"threshold": "5000.00"})
    assert company.li.post(f"/orders/{high}/submit")["status"] == "SUBMITTED"
    approve(company, low)
    for order in (low, high):
        await_status(company.li, order, "SHIPPED")
