"""CPL-01: once the key of a person is destroyed, nobody can read what was kept of them, and all else goes on."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from uuid import UUID, uuid4

import pytest
from component.persons import documents, octets, salestream
from component.support import (
    Company,
    Person,
    add_order,
    add_product,
    await_status,
    await_views,
    config_of,
    environment,
    eventually,
    running,
)

from chassis.persons.opening import open_keys
from deploy.devstack.server import REPOSITORY_ROOT
from deploy.local.system import LocalSystem

NAME, PHONE, ADDRESS, NEED = "佐藤花子 Sato", "13912345999", "1-2-3 Umeda, Osaka", "walks with a stick"
PERSON = [text.encode() for text in (NAME, "13912345999", ADDRESS, NEED)]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSystem]:
    """One of its own: its keys are looked at and its processes are stopped."""
    with running(LocalSystem.from_env(environment(tmp_path_factory.mktemp("erasure")))) as system:
        yield system


def told(places: Iterator[tuple[str, bytes]]) -> set[str]:
    """Where something of the person can be read."""
    return {place for place, content in places if any(text in content for text in PERSON)}


def read_by_an_integrator(system: LocalSystem, token: str) -> str:
    """What the example of the documents prints."""
    found = subprocess.run(
        [sys.executable, str(REPOSITORY_ROOT / "docs/examples/read_persons.py")],
        env={**system.settings(), "SALESTREAM": system.api.own_address, "TOKEN": token},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_CPL_01_a_person_whose_key_was_destroyed_can_be_read_nowhere_and_all_else_goes_on(system: LocalSystem) -> None:
    company = Company(config_of(system), system.api.own_address)
    await_views(company)
    li, admin = company.li, company.admin
    body = {"name": NAME, "mobile": PHONE, "address": ADDRESS, "need": NEED, "industry": "IT"}
    customer = str(li.post("/customers", body, key=str(uuid4()))["id"])
    li.do("PATCH", f"/customers/{customer}", {"address": f"{ADDRESS} 2F"})
    refused = li.send("POST", "/customers", {**body, "name": "Somebody else"})
    assert refused.status_code == 409, refused.text
    order = add_order(li, customer, (add_product(admin), 1, None))
    li.post(f"/orders/{order}/submit")
    await_status(li, order, "SHIPPED")
    assert li.items("/customers", q="佐藤花子")[0]["mobile"] == PHONE
    assert li.get(f"/orders/{order}")["customer"]["name"] == NAME
    assert told(octets(system)) == set(), "sealed from the first moment on"
    eventually(lambda: _noted(company, customer))

    assert f"{customer}\t{NAME}\t{PHONE}" in read_by_an_integrator(system, admin.token)
    li.assert_refused("FORBIDDEN", "GET", f"/persons/{customer}/key")
    admin.assert_refused("NOT_FOUND", "GET", f"/persons/{uuid4()}/key")

    erased, changed = _erased_while_it_is_changed(system, li, customer)
    assert erased.returncode == 0, erased.stderr
    assert 200 in changed, "processes that run know the key for a while"
    assert told(octets(system)) == set()
    assert told(documents(config_of(system))) == set()
    keys = open_keys(config_of(system))
    assert keys.find([UUID(customer)]) == {UUID(customer): None}
    keys.close()

    for process in system.processes:
        process.stop()
    system.up()
    row = li.get(f"/customers/{customer}")
    assert (row["name"], row["mobile"], row["industry"]) == ("", "", "IT")
    assert li.get(f"/orders/{order}")["customer"]["name"] == ""
    assert li.items("/customers", q="佐藤花子") == []
    problem = li.assert_refused("INVALID_STATE", "PATCH", f"/customers/{customer}", {"name": "Hana again"})
    assert problem["state"] == "ERASED"
    li.do("PATCH", f"/customers/{customer}", {"industry": "trade"})
    line = {"product_id": add_product(admin), "quantity": 1}
    problem = li.assert_refused("INVALID_STATE", "POST", "/orders", {"customer_id": customer, "lines": [line]})
    assert (problem["field"], problem["state"]) == ("customer_id", "ERASED")
    unknown = salestream(system, "persons", "erase", str(uuid4()))
    assert (unknown.returncode, "nothing was ever known" in unknown.stdout) == (1, True)
    other = str(li.post("/customers", {**body, "name": "Ichiro", "mobile": "13912345111"})["id"])
    another = add_order(li, other, (add_product(admin), 1, None))
    li.post(f"/orders/{another}/submit")
    await_status(li, another, "SHIPPED")
    found = salestream(system, "verify", "--wait", "30")
    assert found.returncode == 0, found.stdout + found.stderr
    again = salestream(system, "persons", "erase", customer)
    assert again.returncode == 1
    assert "destroyed before" in again.stdout
    shown = read_by_an_integrator(system, admin.token)
    assert f"{customer}\t(erased)\t(erased)" in shown and NAME not in shown
    given = [
        entry for entry in admin.items("/audit", action="person_key", object_id=customer) if entry["result"] == "DONE"
    ]
    assert len(given) == 2, "every key that was given out is noted"
    company.close()


def _erased_while_it_is_changed(
    system: LocalSystem, by: Person, customer: str
) -> tuple[subprocess.CompletedProcess[str], set[int]]:
    """What the command tells, and how changes of the same customer were answered meanwhile."""
    answers: set[int] = set()
    with ThreadPoolExecutor(1) as pool:
        erasing = pool.submit(salestream, system, "persons", "erase", customer)
        while not erasing.done():
            floor = len(answers) + int(time.monotonic() * 10) % 1_000
            answers.add(by.send("PATCH", f"/customers/{customer}", {"address": f"{ADDRESS} {floor}F"}).status_code)
            wait([erasing], timeout=0.5)
    return erasing.result(), answers


def _noted(company: Company, customer: str) -> None:
    entries = company.admin.items("/audit", object_id=customer)
    [created] = [entry for entry in entries if entry["action"] == "CreateCustomer"]
    assert created["fields"]["name"] == NAME, "whoever may read the audit log reads it in full"
