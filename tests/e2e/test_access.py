"""Signing in at the api process itself: tokens, rights, attacks (SEC-01..19, SEC-31, ACC-01, 02, 10, 48, 49, 53)."""

from __future__ import annotations

import base64
import io
import statistics
import time
import uuid
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from component.mail import Relay
from component.people import DEFAULT, PASSWORD, Caller, accept, first_administrator, issue
from component.support import Company, KafkaBench, add_product, eventually, problem_of, unique, until
from PIL import Image

from chassis.messaging.records import Incoming
from contracts.permissions import RIGHTS
from deploy.local.system import LocalSystem
from services.devices.reference_client import PhoneClient


@pytest.fixture(scope="module")
def admin(system: LocalSystem, company: Company) -> Caller:
    return first_administrator(system, company)


def test_ACC_01_ACC_02_the_first_sign_in_changes_the_default_password(company: Company, admin: Caller) -> None:
    login = issue(admin, "SAL")
    li = Caller(company).sign_in(login, DEFAULT)
    assert li.told["status"] == "PASSWORD_CHANGE_REQUIRED"
    for method, path in (("GET", "/customers"), ("GET", "/orders"), ("POST", "/customers")):
        assert li.refused("FORBIDDEN", method, path, {} if method == "POST" else None)["state"] == "DEFAULT_PASSWORD"
    path = f"/users/{li.user_id}/password"
    weak = li.refused("VALIDATION", "POST", path, {"old_password": DEFAULT, "new_password": "yunkesale"})
    assert weak["field"] == "new_password" and "大写字母" in weak["detail"]
    li.do("POST", path, {"old_password": DEFAULT, "new_password": PASSWORD})
    li.refused("UNAUTHENTICATED", "GET", "/customers")
    Caller(company).refused("UNAUTHENTICATED", "POST", "/sessions", {"name": login, "password": DEFAULT})
    assert li.sign_in(login, PASSWORD).told["status"] == "SIGNED_IN"
    assert li.do("GET", "/customers")["items"] == []


def test_ACC_48_a_salesperson_works_with_customers_and_neither_sees_reports_nor_settings(
    company: Company, admin: Caller
) -> None:
    li = accept(company, issue(admin, "SAL"), DEFAULT)
    mobile = f"139{uuid.uuid4().int % 10**8:08d}"
    customer = li.do("POST", "/customers", {"name": "Acme", "mobile": mobile, "industry": "IT"})
    assert [row["id"] for row in li.do("GET", "/customers")["items"]] == [customer["id"]]
    assert li.refused("FORBIDDEN", "GET", "/reports/sales-by-day")["state"] == "reports.sales"
    assert li.refused("FORBIDDEN", "PUT", "/settings/sales-process", {})["state"] == "settings"
    names = {entry["name"] for entry in li.do("GET", "/me")["menu"]}
    assert "Customers" in names and "Users" not in names and "Sales by day" not in names
    assert "Users" in {entry["name"] for entry in admin.do("GET", "/me")["menu"]}


def test_ACC_49_ACC_53_a_supervisor_reaches_the_work_of_those_led(company: Company, admin: Caller) -> None:
    sato = accept(company, issue(admin, "SUP"), DEFAULT)
    led = accept(company, issue(admin, "SAL", superior_id=sato.user_id), DEFAULT)
    other = accept(company, issue(admin, "SAL"), DEFAULT)
    made = []
    for seller in (led, other):
        mobile = f"139{uuid.uuid4().int % 10**8:08d}"
        made.append(seller.do("POST", "/customers", {"name": "Acme", "mobile": mobile, "industry": "IT"})["id"])
    assert [row["id"] for row in sato.do("GET", "/customers")["items"]] == [made[0]]
    sato.do("PATCH", f"/customers/{made[0]}", {"region": "North"})
    assert sato.refused("FORBIDDEN", "PATCH", f"/customers/{made[1]}", {"region": "North"})["field"] == "customer_id"
    assert led.refused("FORBIDDEN", "PATCH", f"/customers/{made[1]}", {"region": "x"})["field"] == "customer_id"
    sato.refused("NOT_FOUND", "GET", f"/customers/{made[1]}")
    sato.do("GET", "/reports/sales-by-day")

    admin.do("PATCH", f"/users/{other.user_id}", {"superior_id": sato.user_id})
    assert {row["id"] for row in sato.do("GET", "/customers")["items"]} == set(made)
    admin.do("POST", f"/users/{led.user_id}/deletion", {"successor_id": other.user_id})
    led.refused("UNAUTHENTICATED", "GET", "/customers")
    assert {row["id"] for row in other.do("GET", "/customers")["items"]} == set(made)


def test_ACC_03_order_pages_show_the_companys_data_and_everybody_sees_the_logo(company: Company, admin: Caller) -> None:
    name = unique("Acme Trading")
    body = {"full_name": name, "phone": "13800000001", "address": "1 Nanjing Road", "email": "office@acme.cn"}
    admin.do("PUT", "/settings/company", body)
    out = io.BytesIO()
    Image.new("RGB", (200, 200), "red").save(out, format="PNG")
    logo = admin.do("PUT", "/settings/company/logo", {"image": base64.b64encode(out.getvalue()).decode()})
    assert logo["warnings"] == []
    li = accept(company, issue(admin, "SAL"), DEFAULT)
    row = li.do("GET", "/company/company")
    assert (row["full_name"], row["email"], bool(row["logo"])) == (name, "office@acme.cn", True)
    product = add_product(company.wang)
    mobile = f"139{uuid.uuid4().int % 10**8:08d}"
    customer = li.do("POST", "/customers", {"name": "Acme", "mobile": mobile, "industry": "IT"})["id"]
    lines = [{"product_id": product, "quantity": 1}]
    order = li.do("POST", "/orders", {"customer_id": customer, "lines": lines})["id"]
    assert li.do("GET", f"/orders/{order}")["company"] == {
        "full_name": name, "phone": "13800000001", "address": "1 Nanjing Road", "email": "office@acme.cn"
    }  # fmt: skip
    assert li.refused("FORBIDDEN", "PUT", "/settings/company", body)["state"] == "settings"
    gif = {"image": base64.b64encode(b"GIF89a").decode()}
    assert admin.refused("FILE_TYPE", "PUT", "/settings/company/logo", gif)["field"] == "image"


def test_ACC_07_SEC_29_the_tokens_of_a_lost_phone_are_void_when_its_wipe_is_confirmed(
    company: Company, admin: Caller, tmp_path: Path
) -> None:
    login = issue(admin, "SAL")
    li = accept(company, login, DEFAULT)
    phone = PhoneClient(tmp_path / "sales", li.do, clock=lambda: datetime.now(UTC))
    phone.enrol("Li's phone", 8, 64)
    phone.keep("customers.db", b"Acme")
    on_phone = Caller(company)
    body = {"name": login, "password": PASSWORD, "device_id": str(phone.device_id)}
    on_phone.token = on_phone.do("POST", "/sessions", body)["access_token"]
    on_phone.do("GET", "/customers")
    path = f"/devices/{phone.device_id}"
    assert admin.refused("INVALID_STATE", "POST", f"{path}/wipe")["state"] == "WIPE_OFF"
    admin.do("PUT", f"{path}/wipe-switch", {"on": True})
    admin.do("POST", f"{path}/wipe")
    admin.do("POST", f"{path}/wipe/confirmation", {"name": "Li's phone"})
    on_phone.refused("UNAUTHENTICATED", "GET", "/customers")
    li.do("GET", "/customers")
    assert phone.contact()["wipe"] is True
    assert not phone.folder.exists()
    assert admin.do("GET", path)["status"] == "WIPED"


def test_ACC_50_ACC_54_SEC_30_the_administrator_enters_everything_others_what_their_post_has(
    company: Company, admin: Caller
) -> None:
    everything = {entry["name"] for entry in admin.do("GET", "/me")["menu"]}
    assert set(admin.do("GET", "/me")["rights"]) == set(RIGHTS) - {"system"}
    for entry in admin.do("GET", "/me")["menu"]:
        admin.do("GET", entry["path"])
    menus = {}
    for role in ("SAL", "WHS", "FIN"):
        caller = accept(company, issue(admin, role), DEFAULT)
        me = caller.do("GET", "/me")
        menus[role] = frozenset(entry["name"] for entry in me["menu"])
        assert menus[role] < everything
        assert all(entry["system"] == "business" for entry in me["menu"]), "the platform is for administrators"
        for path in ("/users", "/roles", "/reports/security"):
            caller.refused("FORBIDDEN", "GET", path)
        assert caller.do("GET", "/devices")["items"] == [], "nobody sees another's phones"
    assert len(set(menus.values())) == len(menus), "different posts have different menus"


def test_ACC_11_SEC_12_colleagues_see_ones_new_data(company: Company, admin: Caller) -> None:
    na, other = (accept(company, issue(admin, "SAL"), DEFAULT) for _ in range(2))
    email = f"{uuid.uuid4().hex[:8]}@example.com"
    body = {"name": "Li Na", "email": email, "phone": "13811112222", "password": PASSWORD}
    na.do("PATCH", f"/users/{na.user_id}/personal-data", body)
    row = other.do("GET", f"/colleagues/{na.user_id}")
    assert (row["name"], row["email"], row["phone"]) == ("Li Na", email, "13811112222")
    assert other.refused("FORBIDDEN", "PATCH", f"/users/{na.user_id}/personal-data", body)["field"] == "user_id"


def test_SEC_20_SEC_22_the_review_list_and_the_weeks_figures(company: Company, admin: Caller) -> None:
    login = issue(admin, "SAL")
    Caller(company).refused("UNAUTHENTICATED", "POST", "/sessions", {"name": login, "password": "Wrong#2026"})
    [row] = admin.do("GET", f"/users?login={login}")["items"]
    assert (row["roles"], row["second_factor"], row["last_sign_in"]) == (["SAL"], "", None)
    assert row["id"] in {due["id"] for due in admin.do("GET", f"/users?login={login}&second_factor=")["items"]}
    admin.do("POST", f"/users/{row['id']}/review")
    reviewed = admin.do("GET", f"/users/{row['id']}")
    assert date.fromisoformat(reviewed["next_review"]) - date.fromisoformat(reviewed["reviewed_on"]) == timedelta(90)

    def counted() -> None:
        week = admin.do("GET", "/reports/security")["items"][0]
        assert week["failed_sign_ins"] >= 1 and week["sign_ins"] >= 1

    eventually(counted)


def test_SEC_19_what_is_taken_away_is_gone_at_the_next_request(company: Company, admin: Caller) -> None:
    chen = accept(company, issue(admin, "FIN"), DEFAULT)
    chen.do("GET", "/reports/sales-by-day")
    admin.do("DELETE", f"/roles/FIN/members/{chen.user_id}")
    chen.refused("FORBIDDEN", "GET", "/reports/sales-by-day")
    admin.do("PUT", f"/roles/FIN/members/{chen.user_id}")
    chen.do("GET", "/reports/sales-by-day")


def test_SEC_11_signing_out_ends_the_token_at_once(company: Company, admin: Caller) -> None:
    li = accept(company, issue(admin, "SAL"), DEFAULT)
    li.do("DELETE", f"/sessions/{li.told['id']}")
    li.refused("UNAUTHENTICATED", "GET", "/customers")
    refresh = {"refresh_token": li.told["refresh_token"]}
    li.token = ""
    li.refused("UNAUTHENTICATED", "POST", f"/sessions/{li.told['id']}/refresh", refresh)


def test_a_replayed_refresh_token_ends_the_session(company: Company, admin: Caller) -> None:
    li = accept(company, issue(admin, "SAL"), DEFAULT)
    path, first = f"/sessions/{li.told['id']}/refresh", {"refresh_token": li.told["refresh_token"]}
    fresh = Caller(company)
    fresh.token = fresh.do("POST", path, first)["access_token"]
    fresh.do("GET", "/customers")
    Caller(company).refused("UNAUTHENTICATED", "POST", path, first)
    fresh.refused("UNAUTHENTICATED", "GET", "/customers")
    li.refused("UNAUTHENTICATED", "GET", "/customers")


def test_ACC_10_recovery_by_the_code_that_was_sent(company: Company, admin: Caller, relay: tuple[Relay, int]) -> None:
    email = f"{uuid.uuid4().hex[:8]}@example.com"
    login = issue(admin, "SAL", email=email)
    accept(company, login, DEFAULT)
    nobody = Caller(company)
    reset = nobody.do("POST", "/password-resets", {"name": login})["id"]
    [code] = until(lambda: relay[0].codes(email))
    body = {"code": code, "new_password": "Fresh#2026"}
    nobody.do("POST", f"/password-resets/{reset}/password", body)
    nobody.refused("UNAUTHENTICATED", "POST", f"/password-resets/{reset}/password", body)
    nobody.refused("UNAUTHENTICATED", "POST", "/sessions", {"name": login, "password": PASSWORD})
    nobody.sign_in(login, "Fresh#2026").do("GET", "/customers")


def test_SEC_07_a_failed_sign_in_tells_nothing_by_words_or_time(company: Company, admin: Caller) -> None:
    """Known and unknown names: the same problem, and medians of the time that differ by less than a hash takes."""
    texts, medians = set(), []
    for known in (True, False):
        seconds = []
        for _ in range(12):
            name = issue(admin, "SAL") if known else unique("nobody")
            started = time.perf_counter()
            problem = Caller(company).refused("UNAUTHENTICATED", "POST", "/sessions", {"name": name, "password": "x"})
            seconds.append(time.perf_counter() - started)
            texts.add((problem["detail"], problem["field"], problem["status"]))
        medians.append(statistics.median(seconds))
    assert len(texts) == 1
    fast, slow = sorted(medians)
    assert slow < 2 * fast, f"medians {medians}: one of the two skips the hash"


@pytest.mark.parametrize("path", ["/bulk/sign-in", "/bulk/refresh-session", "/bulk/reset-password"])
def test_there_is_no_bulk_form_of_guessing(company: Company, path: str) -> None:
    Caller(company).refused("NOT_FOUND", "POST", path, {"items": []})


def test_a_sign_in_takes_an_idempotency_key(company: Company) -> None:
    for _ in range(2):
        answer = company.http.post(
            "/sessions", json={"name": "x", "password": "y"}, headers={"Idempotency-Key": "some-key"}
        )
        assert problem_of(answer, "UNAUTHENTICATED")["field"] == "password"


def test_SEC_31_no_secret_is_on_kafka_or_in_a_log(system: LocalSystem, company: Company, admin: Caller) -> None:
    accept(company, issue(admin, "SAL"), DEFAULT)
    secrets = [DEFAULT, PASSWORD, "argon2id", admin.told["refresh_token"], admin.token]
    logs = "".join(process.log.read_text(errors="replace") for process in system.processes)
    assert not [secret for secret in secrets if secret in logs]
    wanted = {f"salestream.access.{name}.v1" for name in ("user-issued", "password-set", "signed-in")}

    def published() -> list[Incoming] | None:
        found = KafkaBench(company.config).records("access.events")
        return found if {record.type for record in found} >= wanted else None

    records = until(published)
    stored = b"".join(record.value for record in records)
    assert not [secret for secret in secrets if secret.encode() in stored]
