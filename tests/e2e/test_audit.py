"""The audit log at a whole system: everything is in it, queries find it, tampering shows (SEC-21)."""

from __future__ import annotations

import csv
import io
import shutil
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from component.people import DEFAULT, PASSWORD, Caller, accept, issue
from component.support import (
    Company,
    Person,
    add_customer,
    add_order,
    add_product,
    await_status,
    config_of,
    eventually,
    unique,
    until,
)

from chassis.foundation.compression import unpacked
from chassis.messaging.consistency import HEADER
from chassis.store.opening import open_store
from deploy.devstack.server import REPOSITORY_ROOT
from deploy.local.system import LocalSystem
from services.access.administration import make_administrator


@pytest.fixture(scope="module")
def admin(system: LocalSystem, company: Company) -> Caller:
    """An administrator who has signed in; no verification image is asked for here."""
    login = unique("auditor")
    admin = accept(company, login, make_administrator(config_of(system), login))
    settings = {"self_registration": True, "first_sign_in_code": False, "second_factor_roles": []}
    admin.do("PUT", "/settings/access", {**settings, "challenge": "NEVER"})
    return admin


def rows(admin: Caller, **filters: str) -> list[dict[str, Any]]:
    answer = admin.company.http.get("/audit", params=filters, headers={"Authorization": f"Bearer {admin.token}"})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def found(admin: Caller, **filters: str) -> dict[str, Any]:
    """The one entry these filters find, as soon as it is there."""

    def one() -> dict[str, Any]:
        items = rows(admin, **filters)
        assert len(items) == 1, items
        return items[0]

    return eventually(one)


def corr() -> str:
    return uuid.uuid4().hex


def send(by: Person, method: str, path: str, body: Any = None, **more: Any) -> tuple[str, Any]:
    """A request with a correlation id of its own, by which its entry is found."""
    id = corr()
    return id, by.send(method, path, body, headers={"X-Correlation-Id": id}, **more)


def test_SEC_21_a_command_done_is_found_with_all_that_is_known_of_it(company: Company, admin: Caller) -> None:
    li = company.li
    customer = add_customer(li)
    id, answer = send(li, "PATCH", f"/customers/{customer}", {"region": "North"})
    assert answer.status_code == 200
    entry = found(admin, correlation_id=id)
    assert (entry["user_id"], entry["user"]) == (str(li.principal.user_id), li.principal.name)
    assert (entry["kind"], entry["action"], entry["result"]) == ("COMMAND", "EditCustomer", "DONE")
    assert (entry["object_kind"], entry["object_id"], entry["service"]) == ("customer", customer, "customers")
    assert entry["address"] == "127.0.0.1"
    assert entry["fields"]["region"] == "North"
    opened = admin.do("GET", f"/audit/{entry['id']}")
    [change] = [change for change in opened["changes"] if change["id"] == customer]
    assert change["before_version"] + 1 == change["after_version"]
    assert "North" in str(change["after"]) and "North" not in str(change["before"])


def test_SEC_21_who_sends_back_the_token_of_a_command_sees_its_entry_at_once(company: Company, admin: Caller) -> None:
    customer = add_customer(company.li)
    for number in range(5):
        token = company.li.send("PATCH", f"/customers/{customer}", {"region": f"North {number % 2}"}).headers[HEADER]
        headers = {"Authorization": f"Bearer {admin.token}", HEADER: token}
        answer = company.http.get(f"/audit?object_id={customer}&count=true", headers=headers)
        assert answer.json()["total"] == number + 2, answer.text
        newest = answer.json()["items"][0]
        assert (newest["action"], newest["fields"]["region"]) == ("EditCustomer", f"North {number % 2}")


def test_SEC_21_every_kind_of_refusal_is_found_by_its_code(company: Company, admin: Caller) -> None:
    li, wang = company.li, company.wang
    customer, product = add_customer(li), add_product(wang)
    order = add_order(li, customer, (product, 1, None))
    asked: list[tuple[str, Person, str, str, Any, dict[str, Any]]] = [
        ("FORBIDDEN", li, "PUT", "/settings/sales-process", {}, {}),
        ("FORBIDDEN", li, "GET", "/users", None, {}),
        ("FORBIDDEN", wang, "PATCH", f"/customers/{customer}", {"region": "x"}, {}),
        ("VALIDATION", li, "POST", "/customers", {"nmae": "Acme"}, {}),
        ("NOT_FOUND", li, "PATCH", f"/customers/{uuid.uuid4()}", {"region": "x"}, {}),
        ("VERSION_CONFLICT", li, "PATCH", f"/customers/{customer}", {"region": "x"}, {"match": '"77"'}),
        ("INVALID_STATE", wang, "POST", f"/shipments/{uuid.uuid4()}/delivery", {}, {}),
    ]
    for code, by, method, path, body, more in asked[:-1]:
        id, answer = send(by, method, path, body, **more)
        assert answer.json()["code"] == code, answer.text
        entry = found(admin, correlation_id=id)
        assert entry["result"] == code
        assert entry["user"] == by.principal.name
        assert entry["field"] == (answer.json().get("field") or answer.json().get("state") or "")
        assert entry["changes"] == []
    li.post(f"/orders/{order}/submit")
    id, answer = send(li, "POST", f"/orders/{order}/submit")
    assert answer.json()["code"] == "INVALID_STATE"
    assert found(admin, correlation_id=id)["result"] == "INVALID_STATE"


def test_SEC_21_items_of_a_bulk_are_entries_of_their_own(company: Company, admin: Caller) -> None:
    mobile = f"138{uuid.uuid4().int % 10**8:08d}"
    good, bad = {"name": "Acme", "mobile": mobile, "industry": "IT"}, {"name": "Acme"}
    id, answer = send(company.li, "POST", "/bulk/create-customer", {"items": [{"command": good}, {"command": bad}]})
    assert answer.status_code == 200

    def both() -> None:
        of_it = rows(admin, correlation_id=id, action="CreateCustomer")  # a rule of the company may answer it too
        assert sorted(row["result"] for row in of_it) == ["DONE", "VALIDATION"]

    eventually(both)


def test_SEC_21_a_repeat_with_its_key_is_marked(company: Company, admin: Caller) -> None:
    key, body = corr(), {"name": "Acme", "mobile": f"138{uuid.uuid4().int % 10**8:08d}", "industry": "IT"}
    first, _ = send(company.li, "POST", "/customers", body, key=key)
    again, _ = send(company.li, "POST", "/customers", body, key=key)
    assert found(admin, correlation_id=first)["result"] == "DONE"
    assert found(admin, correlation_id=again)["result"] == "REPEATED"


def test_SEC_21_sign_ins_good_and_failed_are_found_by_user(company: Company, admin: Caller) -> None:
    login = issue(admin, "SAL")
    Caller(company).refused("UNAUTHENTICATED", "POST", "/sessions", {"name": login, "password": "Wrong#2026"})
    Caller(company).refused("UNAUTHENTICATED", "POST", "/sessions", {"name": "nobody", "password": "Wrong#2026"})
    li = accept(company, login, DEFAULT)
    failed = found(admin, action="SignIn", result="UNAUTHENTICATED", user_id=li.user_id)
    assert (failed["user"], failed["field"], failed["fields"]["name"]) == (login, "password", login)
    assert until(lambda: rows(admin, action="SignIn", result="UNAUTHENTICATED", user="nobody"))

    def good() -> None:
        done = rows(admin, action="SignIn", result="DONE", user_id=li.user_id)
        assert len(done) == 2, "with the default password, and after its change"

    eventually(good)
    li.do("GET", "/customers")
    read = found(admin, action="customers", user_id=li.user_id)
    assert read["session_id"] == str(li.told["id"])


def test_SEC_21_a_void_sign_in_that_is_still_used_is_written_down(company: Company, admin: Caller) -> None:
    li = accept(company, issue(admin, "SAL"), DEFAULT)
    li.do("DELETE", f"/sessions/{li.told['id']}")
    li.refused("UNAUTHENTICATED", "GET", "/customers")
    assert found(admin, action="customers", user_id=li.user_id)["result"] == "UNAUTHENTICATED"


def test_SEC_29_each_step_of_a_remote_wipe_is_written_down(company: Company, admin: Caller) -> None:
    li = accept(company, issue(admin, "SAL"), DEFAULT)
    phone = li.do("POST", "/devices", {"name": "Li's phone", "memory_gb": 8, "free_storage_gb": 64})
    path = f"/devices/{phone['id']}"
    admin.refused("INVALID_STATE", "POST", f"{path}/wipe")
    admin.do("PUT", f"{path}/wipe-switch", {"on": True})
    admin.do("POST", f"{path}/wipe")
    admin.do("POST", f"{path}/wipe/confirmation", {"name": "Li's phone"})
    Caller(company).do("POST", f"{path}/wiped", {"secret": phone["secret"]})

    def all_there() -> None:
        told = [(row["action"], row["result"]) for row in rows(admin, object_id=phone["id"], sort="at")]
        assert told == [
            ("EnrolDevice", "DONE"),
            ("AskWipe", "INVALID_STATE"),
            ("SwitchWipe", "DONE"),
            ("AskWipe", "DONE"),
            ("ConfirmWipe", "DONE"),
            ("AcknowledgeWipe", "DONE"),
        ]

    eventually(all_there)


def test_SEC_21_IMP_09_reads_of_personal_data_and_exports_are_written_down(company: Company, admin: Caller) -> None:
    li = company.li
    customer = add_customer(li)
    read, _ = send(li, "GET", f"/customers/{customer}")
    exported, answer = send(li, "GET", "/customers?format=csv&q=Acme")
    assert answer.status_code == 200
    stock, _ = send(company.wang, "GET", "/products?format=xlsx")
    plain, _ = send(company.wang, "GET", "/products")
    entry = found(admin, correlation_id=read)
    assert (entry["kind"], entry["action"], entry["object_id"]) == ("READ", "customers", customer)
    entry = found(admin, correlation_id=exported)
    assert (entry["kind"], entry["fields"]) == ("EXPORT", {"format": ["csv"], "q": ["***"]}), "not whom"
    assert found(admin, correlation_id=stock)["kind"] == "EXPORT"
    assert rows(admin, correlation_id=plain) == [], "a product is nobody's personal data"


def test_SEC_21_what_the_saga_sends_is_written_down_with_the_saga_as_actor(company: Company, admin: Caller) -> None:
    product = add_product(company.wang, price="10.00")
    order = add_order(company.li, add_customer(company.li), (product, 1, None))
    company.li.post(f"/orders/{order}/submit")
    await_status(company.li, order, "SHIPPED")
    deducted = found(admin, action="DeductStock", object_id=order)
    assert (deducted["user"], deducted["user_id"], deducted["result"]) == ("fulfilment", "", "DONE")
    assert found(admin, action="ShipOrder", object_id=order)["user"] == "fulfilment"


def test_SEC_21_the_log_is_filtered_by_time_paged_and_exported(company: Company, admin: Caller) -> None:
    li = company.person(replace(company.li.principal, user_id=uuid.uuid4(), name=unique("Li")))
    start = datetime.now(UTC)
    customers = [add_customer(li) for _ in range(5)]
    user = str(li.principal.user_id)

    def all_there() -> list[dict[str, Any]]:
        items = rows(admin, user_id=user, action="CreateCustomer", sort="at")
        assert [item["object_id"] for item in items] == customers
        return items

    items = eventually(all_there)
    middle = items[2]["at"]
    late = rows(admin, user_id=user, at_from=middle, sort="at")
    assert [item["object_id"] for item in late] == customers[2:]
    early = rows(admin, user_id=user, at_from=start.isoformat(), at_to=middle, sort="at")
    assert [item["object_id"] for item in early] == customers[:3]
    assert rows(admin, user_id=user, at_to=(start - timedelta(seconds=1)).isoformat()) == []
    assert rows(admin, user_id=user, service="orders") == []
    assert len(rows(admin, user_id=user, service="customers", address="127.0.0.1", kind="COMMAND")) == 5
    assert rows(admin, user_id=user, address="203.0.113.9") == []
    paged: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = admin.do(
            "GET", f"/audit?user_id={user}&limit=2&sort=at" + "".join(f"&cursor={c}" for c in cursor.values())
        )
        paged += [item["object_id"] for item in page["items"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert paged == customers
    answer = admin.send("GET", f"/audit?user_id={user}&format=csv&heads=names")
    table = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert {row["object_id"] for row in table} == set(customers)
    assert admin.refused("VALIDATION", "GET", "/audit?at_from=yesterday")["field"] == "at_from"


def test_SEC_21_who_has_not_the_right_cannot_read_the_log_and_nobody_can_write_it(
    company: Company, admin: Caller
) -> None:
    customer = add_customer(company.li)
    entry = until(lambda: rows(admin, object_id=customer))[0]
    for by in (company.li, company.wang, company.sato, company.mei):
        for path in ("/audit", f"/audit/{entry['id']}", "/audit?format=csv"):
            id, answer = send(by, "GET", path)
            assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")
            assert found(admin, correlation_id=id)["result"] == "FORBIDDEN"
    assert company.http.get("/audit").status_code == 401
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for path in ("/audit", f"/audit/{entry['id']}"):
            admin.refused("METHOD_NOT_ALLOWED", method, path, {})
    assert rows(admin, object_id=customer)[0] == entry


def test_INV_02_who_may_not_see_purchase_prices_sees_none_in_the_log(company: Company, admin: Caller) -> None:
    role = unique("R").replace(" ", "").upper()[:12]
    admin.do("PUT", f"/roles/{role}", {"title": "Accounts only"})
    admin.do("PUT", f"/roles/{role}/rights/accounts", {"scope": "ALL"})
    keeper = accept(company, issue(admin, role), DEFAULT)
    cost = f"{uuid.uuid4().int % 10**7}.31"
    product = add_product(company.wang)
    prices = {"purchase_price": {"amount": cost}, "sale_price": {"amount": "8.88"}}
    company.admin.do("PATCH", f"/products/{product}", prices)
    for by, sees in ((admin, True), (keeper, False)):
        listed = until(partial(rows, by, object_id=product, action="EditProduct"))
        assert ("purchase_price" in listed[0]["fields"]) is sees
        assert listed[0]["fields"]["sale_price"]["amount"] == "8.88"
        opened = by.send("GET", f"/audit/{listed[0]['id']}")
        assert "8.88" in opened.text
        after = opened.json()["changes"][0]["after"]["data"]
        assert "sale_price" in after and ("purchase_price" in after) is sees
        sheet = by.send("GET", f"/audit?object_id={product}&format=csv")
        book = openpyxl.load_workbook(io.BytesIO(by.send("GET", f"/audit?object_id={product}&format=xlsx").content))
        cells = str([[cell.value for cell in line] for line in book.worksheets[0].iter_rows()])
        for text in (str(listed), opened.text, sheet.text, cells):
            assert (cost in text) is sees
            assert "8.88" in text
        assert bool(rows(by, q=cost)) is sees, "nor is it found by it"


def test_SEC_21_no_secret_is_in_the_log(system: LocalSystem, company: Company, admin: Caller) -> None:
    li = accept(company, issue(admin, "SAL"), DEFAULT)
    machine = admin.do(
        "POST", "/machines", {"name": unique("robot"), "grants": [{"right": "products.view", "scope": "ALL"}]}
    )
    token = Caller(company).do("POST", f"/machines/{machine['id']}/token", {"secret": machine["secret"]})
    li.refused(
        "VALIDATION", "POST", f"/users/{li.user_id}/password", {"old_password": PASSWORD, "new_password": "weak#weak"}
    )
    li.do("POST", f"/sessions/{li.told['id']}/refresh", {"refresh_token": li.told["refresh_token"]})
    store = open_store("access", config_of(system))
    body = b"".join(unpacked(record.body) for record in store.audit_after(0, 100_000))
    store.close()
    secrets = (
        DEFAULT,
        PASSWORD,
        "weak#weak",
        machine["secret"],
        token["access_token"],
        li.token,
        li.told["refresh_token"],
    )
    assert li.user_id.encode() in body, "so much is legible"
    for secret in (*secrets, "$argon2"):
        assert secret.encode() not in body
    entries = rows(admin, user_id=li.user_id, limit="200")
    shown = str([admin.do("GET", f"/audit/{entry['id']}") for entry in entries])
    for secret in (*secrets, "$argon2"):
        assert secret not in shown


# -- the command line --------------------------------------------------------------------------------------------------


def salestream(system: LocalSystem, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "chassis.run.main", *words],
        env={**system.settings(), **env},
        cwd=REPOSITORY_ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("tamper", "told"),
    [
        (
            lambda db: db.execute("UPDATE audit SET body = CAST(body AS TEXT) || ' ' WHERE number = 2"),
            "its entries were changed",
        ),
        (lambda db: db.execute("DELETE FROM audit WHERE number = 2"), "removed"),
        (lambda db: db.execute("DELETE FROM audit WHERE number > 2"), "its end was removed"),
    ],
)
def test_SEC_21_audit_verify_names_the_first_broken_entry_and_ends_with_1(
    system: LocalSystem, company: Company, tmp_path: Path, tamper: Callable[[sqlite3.Connection], Any], told: str
) -> None:
    for _ in range(3):
        add_product(company.wang)
    heads = tmp_path / "heads"
    assert salestream(system, "audit", "head", "--append", str(heads)).returncode == 0
    whole = salestream(system, "audit", "verify", "--heads", str(heads))
    assert (whole.returncode, whole.stderr) == (0, ""), whole
    assert "inventory: whole: " in whole.stdout
    copies = tmp_path / "stores"
    shutil.copytree(config_of(system).data_dir, copies)
    with closing(sqlite3.connect(copies / "inventory.sqlite")) as db, db:
        db.execute("DROP TRIGGER audit_no_update")
        db.execute("DROP TRIGGER audit_no_delete")
        tamper(db)
    broken = salestream(system, "audit", "verify", "--heads", str(heads), DATA_DIR=str(copies))
    assert broken.returncode == 1
    [line] = [line for line in broken.stdout.splitlines() if line.startswith("inventory: ")]
    assert told in line and ("inventory-2-0" in line or "record 2," in line)
    assert "customers: whole: " in broken.stdout
