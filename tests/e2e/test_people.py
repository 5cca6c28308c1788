"""People, phones and rights of the specification's acceptance scenarios, over HTTP with everything running.

The others of ACC-01..11 and ACC-48..54 stand in tests/e2e/test_access.py, ACC-41 in test_acceptance.py.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyotp
import pytest
from component.mail import Relay
from component.people import DEFAULT, PASSWORD, SETTINGS, Caller, accept, first_administrator, issue
from component.support import Company, add_product, unique, until

from contracts.permissions import RIGHTS
from deploy.local.system import LocalSystem
from services.devices.reference_client import PhoneClient


@pytest.fixture(scope="module")
def admin(system: LocalSystem, company: Company) -> Caller:
    return first_administrator(system, company)


def new_address() -> str:
    return f"{uuid.uuid4().hex[:8]}@example.com"


# -- ACC-04..06: phones -----------------------------------------------------------------------------------------------


def test_ACC_04_a_phone_with_32_gb_free_is_enrolled_one_with_31_is_not(company: Company, admin: Caller) -> None:
    li = accept(company, issue(admin, "SAL"), DEFAULT)
    phone = {"name": "Li's phone", "memory_gb": 4, "free_storage_gb": 32}
    assert li.do("POST", "/devices", phone)["warnings"] == []
    refused = li.refused("VALIDATION", "POST", "/devices", {**phone, "free_storage_gb": 31})
    assert refused["field"] == "free_storage_gb" and "32 GB" in refused["detail"]
    assert [row["free_storage_gb"] for row in admin.do("GET", f"/devices?owner_id={li.user_id}")["items"]] == [32]


def test_ACC_05_times_show_in_the_zone_chosen_at_activation(company: Company, admin: Caller) -> None:
    """Moments are told in UTC; the phone knows its zone and shows them there."""
    li = accept(company, issue(admin, "SAL"), DEFAULT)
    phone = li.do("POST", "/devices", {"name": "Li's phone", "memory_gb": 8, "free_storage_gb": 64})["id"]
    chosen = {"language": "ja", "time_zone": "Asia/Tokyo", "permissions": ["CONTACTS"]}
    refused = li.refused("VALIDATION", "POST", f"/devices/{phone}/activation", {**chosen, "time_zone": "Mars/Base"})
    assert refused["field"] == "time_zone"
    li.do("POST", f"/devices/{phone}/activation", chosen)
    row = admin.do("GET", f"/devices/{phone}")
    assert (row["language"], row["time_zone"], row["status"]) == ("ja", "Asia/Tokyo", "ACTIVE")

    before = datetime.now(UTC)
    customer = li.do("POST", "/customers", {"name": "Acme", "mobile": _mobile(), "industry": "IT"})["id"]
    created_at = li.do("GET", f"/customers/{customer}")["created_at"]
    assert created_at.endswith("Z")
    shown = datetime.fromisoformat(created_at).astimezone(ZoneInfo(row["time_zone"]))
    assert shown.utcoffset() == timedelta(hours=9)
    assert before - timedelta(seconds=5) <= shown <= datetime.now(UTC) + timedelta(seconds=5)


def test_ACC_06_a_phone_locks_after_the_minute_the_policy_says(company: Company, admin: Caller, tmp_path: Path) -> None:
    li = accept(company, issue(admin, "SAL"), DEFAULT)
    now = [datetime.now(UTC)]
    phone = PhoneClient(tmp_path / "sales", li.do, clock=lambda: now[0])
    phone.enrol("Li's phone", 8, 64)
    assert phone.contact()["lock_minutes"] == 1
    phone.touch()
    now[0] += timedelta(seconds=59)
    assert not phone.is_locked
    now[0] += timedelta(seconds=1)
    assert phone.is_locked
    phone.touch()
    assert phone.is_locked, "touching a locked phone does not open it"
    phone.unlock("FACE")
    assert not phone.is_locked


# -- ACC-08..10: getting in -------------------------------------------------------------------------------------------


def test_ACC_08_who_registers_gets_in_with_the_code_that_was_sent(company: Company, relay: tuple[Relay, int]) -> None:
    email, nobody = new_address(), Caller(company)
    body = {"name": "Li Na", "company": unique("Acme"), "password": PASSWORD, "email": email}
    assert nobody.do("POST", "/registrations", body)["roles"] == []
    told = nobody.do("POST", "/sessions", {"name": email, "password": PASSWORD})
    assert (told["status"], "access_token" in told) == ("PROOF_REQUIRED", False)
    [code] = until(lambda: relay[0].codes(email))
    wrong = f"{(int(code) + 1) % 10**6:06d}"
    nobody.refused("UNAUTHENTICATED", "POST", f"/sessions/{told['id']}/proof", {"code": wrong})
    li = Caller(company)
    li.token = nobody.do("POST", f"/sessions/{told['id']}/proof", {"code": code})["access_token"]
    assert li.do("GET", "/me")["menu"] == []
    for path in ("/customers", "/orders", "/colleagues", "/users"):
        li.refused("FORBIDDEN", "GET", path)


def test_ACC_09_with_a_second_proof_the_password_alone_opens_nothing(company: Company, admin: Caller) -> None:
    login = issue(admin, "SAL")
    li = accept(company, login, DEFAULT)
    key = li.do("POST", f"/users/{li.user_id}/second-factor", {"method": "TOTP", "password": PASSWORD})["key"]
    app, now = pyotp.TOTP(key), datetime.now(UTC)
    li.do("POST", f"/users/{li.user_id}/second-factor/confirmation", {"code": app.at(now)})
    told = Caller(company).do("POST", "/sessions", {"name": login, "password": PASSWORD})
    assert (told["status"], told["method"], "access_token" in told) == ("PROOF_REQUIRED", "TOTP", False)
    path = f"/sessions/{told['id']}/proof"
    Caller(company).refused("UNAUTHENTICATED", "POST", path, {"code": app.at(now)})  # used at the confirmation
    again = Caller(company)
    again.token = again.do("POST", path, {"code": app.at(now + timedelta(seconds=30))})["access_token"]
    assert again.do("GET", "/me")["id"] == li.user_id


def test_ACC_10_a_wrong_verification_code_is_refused_before_the_password(company: Company, admin: Caller) -> None:
    login = issue(admin, "SAL")
    accept(company, login, DEFAULT)
    nobody, right = Caller(company), {"name": login, "password": PASSWORD}
    admin.do("PUT", "/settings/access", {**SETTINGS, "challenge": "ALWAYS"})
    try:
        assert nobody.refused("VALIDATION", "POST", "/sessions", right)["field"] == "challenge"
        drawn = nobody.do("POST", "/challenges", {})
        assert drawn["image"].startswith("data:image/png;base64,")
        for password in (PASSWORD, "Wrong#2026"):  # the second finds the image used up: one try each
            body = {**right, "password": password, "challenge": drawn["challenge"], "challenge_answer": "wrong"}
            assert nobody.refused("VALIDATION", "POST", "/sessions", body)["field"] == "challenge_answer"
    finally:
        admin.do("PUT", "/settings/access", SETTINGS)
    nobody.sign_in(login, PASSWORD).do("GET", "/customers")


# -- ACC-51..52: rights -----------------------------------------------------------------------------------------------


def test_ACC_51_a_new_hire_has_exactly_the_posts_rights_and_a_wrong_grant_is_corrected(
    company: Company, admin: Caller
) -> None:
    role = f"POST_{uuid.uuid4().hex[:6].upper()}"
    admin.do("PUT", f"/roles/{role}", {"title": "Stock clerk"})
    admin.do("PUT", f"/roles/{role}/rights/products.view", {"scope": "ALL"})
    hire = accept(company, issue(admin, role), DEFAULT)
    assert hire.do("GET", "/me")["rights"] == {"products.view": ["ALL"]}
    hire.do("GET", "/products")
    product = {"name": unique("Phone"), "model": "A1", "brand": "Acme", "prices": _prices()}
    for method, path, body in OTHER_FUNCTIONS:
        hire.refused("FORBIDDEN", method, path, body)
    assert hire.refused("FORBIDDEN", "POST", "/products", product)["state"] == "products.edit"

    admin.do("PUT", f"/roles/{role}/rights/products.edit", {"scope": "ALL"})
    hire.do("POST", "/products", product)
    admin.do("DELETE", f"/roles/{role}/rights/products.edit")
    assert hire.refused("FORBIDDEN", "POST", "/products", {**product, "name": unique("Phone")})["code"] == "FORBIDDEN"
    hire.do("GET", "/products")
    [row] = [row for row in admin.do("GET", "/roles")["items"] if row["id"] == role]
    assert row["rights"] == {"products.view": "ALL"}


OTHER_FUNCTIONS: list[tuple[str, str, Any]] = [
    ("GET", "/customers", None),
    ("GET", "/orders", None),
    ("GET", "/shipments", None),
    ("GET", "/reports/sales-by-day", None),
    ("GET", "/settings", None),
    ("GET", "/users", None),
    ("POST", "/orders", {}),
    ("POST", "/customers", {}),
    ("POST", "/bulk/add-product", {"items": []}),
]


def test_ACC_52_a_new_member_of_a_role_has_its_rights_from_the_next_request(company: Company, admin: Caller) -> None:
    li = accept(company, issue(admin), DEFAULT)
    li.refused("FORBIDDEN", "GET", "/products")
    admin.do("PUT", f"/roles/WHS/members/{li.user_id}")
    li.do("GET", "/products")
    product = li.do("POST", "/products", {"name": unique("P"), "model": "A", "brand": "B", "prices": _prices()})
    assert product["id"]
    admin.do("DELETE", f"/roles/WHS/members/{li.user_id}")
    li.refused("FORBIDDEN", "GET", "/products")


# -- ACC-41, ACC-49, ACC-50: approving --------------------------------------------------------------------------------


def test_ACC_41_ACC_49_a_supervisor_approves_the_order_of_somebody_led_and_nobody_else_does(
    company: Company, admin: Caller
) -> None:
    sato = accept(company, issue(admin, "SUP"), DEFAULT)
    li = accept(company, issue(admin, "SAL", superior_id=sato.user_id), DEFAULT)
    other = accept(company, issue(admin, "SUP"), DEFAULT)
    clerk = accept(company, issue(admin, "WHS"), DEFAULT)
    customer = li.do("POST", "/customers", {"name": "Acme", "mobile": _mobile(), "industry": "IT"})["id"]
    lines = [{"product_id": add_product(company.wang, "6000.00"), "quantity": 1}]
    order = li.do("POST", "/orders", {"customer_id": customer, "lines": lines})["id"]
    li.do("POST", f"/orders/{order}/submit", {})
    [case] = until(lambda: sato.do("GET", f"/approvals?order_id={order}")["items"])
    path = f"/approvals/{case['id']}"
    assert other.do("GET", f"/approvals?order_id={order}")["items"] == []
    other.refused("NOT_FOUND", "GET", path)
    for caller in (li, clerk, other):
        caller.refused("FORBIDDEN", "POST", f"{path}/approve", {})
    assert sato.do("POST", f"{path}/approve", {"comment": "fine"})["due"] == "FINANCE"
    assert clerk.do("GET", "/approvals")["items"] == []
    for method, wanted, body in OTHER_FUNCTIONS[:2]:
        sato.do(method, wanted, body)
    sato.do("GET", "/reports/sales-by-product")


def test_ACC_50_the_administrator_holds_every_right_on_everybody(company: Company, admin: Caller) -> None:
    rights = admin.do("GET", "/me")["rights"]
    assert rights == {right: ["ALL"] for right in RIGHTS if right != "system"}


def _mobile() -> str:
    return f"139{uuid.uuid4().int % 10**8:08d}"


def _prices() -> dict[str, Any]:
    return {kind: {"amount": "1.00", "currency": "CNY"} for kind in ("purchase", "sale")}
