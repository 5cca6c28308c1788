"""A lead becomes a customer on the running system (LED-09..11, LED-13, RPT-19, ACC-29..31)."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from component.people import DEFAULT, Caller, accept, first_administrator, issue
from component.support import Company, eventually

from deploy.local.system import LocalSystem


@pytest.fixture(scope="module")
def admin(system: LocalSystem, company: Company) -> Caller:
    return first_administrator(system, company)


@pytest.fixture(scope="module")
def seller(company: Company, admin: Caller) -> Caller:
    return accept(company, issue(admin, "SAL", email=f"{uuid4().hex}@example.com"), DEFAULT)


def lead_of(by: Caller, **more: Any) -> dict[str, Any]:
    """A lead with all that a customer needs."""
    phone = f"1{uuid4().int % 10**10:010d}"
    company = f"山海 {uuid4().hex}"
    body = {"name": "李雷", "company": company, "phone": phone, "industry": "RETAIL", "source": "WEBSITE", **more}
    return {**body, "id": by.do("POST", "/leads", body)["id"]}


def becomes_customer(by: Caller, lead: dict[str, Any]) -> dict[str, Any]:
    """The customer, once the lead's page says that it is one."""
    found: list[dict[str, Any]] = []

    def check() -> None:
        by.refused("LEAD_CONVERTED", "GET", f"/leads/{lead['id']}")
        found.extend(row for row in by.do("GET", "/customers")["items"] if row["lead_id"] == lead["id"])
        assert found

    eventually(check)
    return found[0]


def test_acc_29_acc_30_a_lead_becomes_a_customer_with_a_contact_and_no_opportunity(seller: Caller) -> None:
    lead = lead_of(seller)
    place = f"/leads/{lead['id']}/conversion"
    seller.refused("VALIDATION", "POST", place, {"customer_name": "韩梅梅"})
    seller.refused("VALIDATION", "POST", place, {"owner_id": str(uuid4())})
    seller.refused("VALIDATION", "POST", place, {"create_opportunity": True})
    seller.refused("INVALID_STATE", "POST", place, {"create_opportunity": True, "opportunity_name": "首单"})
    asked = {"create_opportunity": False, "opportunity_name": "首单", "customer_name": "李雷", "region": "华东"}
    with ThreadPoolExecutor(8) as threads:
        sent = [threads.submit(seller.send, "POST", place, asked) for _ in range(8)]
        answers = [one.result() for one in sent]
    assert [answer.status_code for answer in answers].count(200) == 1
    assert {answer.json()["code"] for answer in answers if answer.status_code != 200} == {"LEAD_CONVERTED"}

    customer = becomes_customer(seller, lead)
    told = {"name": "李雷", "mobile": lead["phone"], "company": lead["company"], "region": "华东", "source": "WEBSITE"}
    assert {name: customer[name] for name in told} == told
    assert (customer["owner_id"], customer["labels"]["lead_id"]) == (seller.user_id, "李雷")

    def contact_is_there() -> None:
        rows = seller.do("GET", f"/contacts?customer_id={customer['id']}")["items"]
        assert [(row["name"], row["lead_id"], row["is_main"]) for row in rows] == [("李雷", lead["id"], True)]

    eventually(contact_is_there)
    assert seller.do("GET", f"/customers/{customer['id']}")["lead_id"] == lead["id"]


def test_acc_31_a_converted_lead_is_closed_and_its_history_and_the_report_still_list_it(
    seller: Caller, admin: Caller
) -> None:
    lead, other = lead_of(seller), lead_of(seller)
    seller.do("POST", f"/leads/{lead['id']}/conversion", {})
    customer = becomes_customer(seller, lead)

    place = f"/leads/{lead['id']}"
    refusal = seller.refused("LEAD_CONVERTED", "GET", place)
    assert customer["id"] in str(refusal)
    for method, more, body in (
        ("PATCH", "", {"name": "韩梅梅"}),
        ("DELETE", "", None),
        ("POST", "/claim", {}),
        ("PUT", "/owner", {"owner_id": admin.user_id}),
        ("POST", "/conversion", {}),
    ):
        admin.refused("LEAD_CONVERTED", method, f"{place}{more}", body)
    ids = {row["id"] for row in seller.do("GET", "/leads")["items"]}
    assert other["id"] in ids and lead["id"] not in ids
    assert not seller.do("GET", "/leads?status=CONVERTED")["items"]

    [row] = [row for row in seller.do("GET", "/reports/leads?status=CONVERTED")["items"] if row["id"] == lead["id"]]
    assert (row["customer_id"], row["source"], row["owner_id"]) == (customer["id"], "WEBSITE", seller.user_id)
    assert row["converted_on"] and row["labels"]["customer_id"] == "李雷"
    events = [entry["event"] for entry in seller.do("GET", f"{place}/history")["items"]]
    assert any("lead-converted" in event for event in events)


def test_led_09_a_customer_that_can_t_be_entered_leaves_the_lead_as_it_was_with_the_reason(seller: Caller) -> None:
    taken = lead_of(seller)
    seller.do("POST", f"/leads/{taken['id']}/conversion", {})
    customer = becomes_customer(seller, taken)
    lead = lead_of(seller, phone=taken["phone"])
    seller.do("POST", f"/leads/{lead['id']}/conversion", {})

    def is_told_why() -> None:
        row = seller.do("GET", f"/leads/{lead['id']}")
        assert (row["status"], row["conversion"], row["customer_id"]) == ("OWNED", "REFUSED", None)
        assert customer["id"] in row["conversion_refusal"]
        assert next(one["allowed"] for one in row["actions"] if one["command"] == "ConvertLead")

    eventually(is_told_why)
    seller.do("POST", f"/leads/{lead['id']}/conversion", {"mobile": f"1{uuid4().int % 10**10:010d}"})
    becomes_customer(seller, lead)
