"""Tasks on the running system: given, found, reminded of, done, handed over with all of a leaver (TSK-01, NTF-04)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from component.gateway import gateway
from component.people import DEFAULT, Caller, accept, first_administrator, issue
from component.support import Company, add_customer, eventually, unique

from chassis.messaging.consistency import HEADER
from contracts.declare import REGISTRY
from deploy.local.system import LocalSystem

REGISTRY.load()


@pytest.fixture(scope="module")
def admin(system: LocalSystem, company: Company) -> Caller:
    return first_administrator(system, company)


def employ(company: Company, admin: Caller) -> Caller:
    return accept(company, issue(admin, "SAL", email=f"{uuid4().hex}@example.com"), DEFAULT)


def moment(**ahead: int) -> str:
    return (datetime.now(UTC) + timedelta(**ahead)).isoformat()


def test_tsk_01_through_a_gateway_a_task_about_a_customer_is_given_found_and_done(
    company: Company, system: LocalSystem, tmp_path: Path
) -> None:
    sato, li, tanaka = company.sato, company.li, company.tanaka
    customer = add_customer(li)
    title = unique("寄样品")
    body = {
        "title": title, "owner_id": str(li.principal.user_id), "subject_kind": "customer", "subject_id": customer,
        "due_at": moment(days=-1), "priority": "HIGH",
    }  # fmt: skip
    with (
        gateway(system.api.own_address, system, tmp_path) as process,
        httpx.Client(base_url=process.own_address, timeout=60) as http,
    ):
        sent = {"Authorization": f"Bearer {sato.token}", HEADER: company.seen}
        answer = http.post("/tasks", json=body, headers=sent)
        assert answer.status_code == 201, answer.text
        id = answer.json()["id"]
        company.remember(answer.headers[HEADER])
        mine = {"Authorization": f"Bearer {li.token}", HEADER: company.seen}
        asked = {"given_by_id": str(sato.principal.user_id), "record_id": customer, "q": title}
        listed = http.get("/tasks", params=asked, headers=mine)
        assert listed.status_code == 200, listed.text
        [row] = listed.json()["items"]
        assert (row["id"], row["overdue"], row["status"], row["priority"]) == (id, True, "OPEN", "HIGH")
        page = http.get(f"/customers/{customer}/overview", headers=mine).json()
        assert [row["id"] for row in page["parts"]["tasks"]["items"]] == [id]
        done = http.put(f"/tasks/{id}/status", json={"status": "DONE", "reason": "样品已寄出"}, headers=mine)
        assert done.status_code == 200, done.text
        company.remember(done.headers[HEADER])
    row = sato.get(f"/tasks/{id}")
    assert (row["status"], row["status_reason"], row["overdue"]) == ("DONE", "样品已寄出", False)
    assert tanaka.items("/tasks", record_id=customer) == []
    tanaka.assert_refused("NOT_FOUND", "GET", f"/tasks/{id}")
    unseen = {"title": "x", "subject_kind": "customer", "subject_id": customer}
    tanaka.assert_refused("NOT_FOUND", "POST", "/tasks", unseen)


def test_ntf_04_whose_task_it_is_hears_of_it_and_is_reminded_once(company: Company, admin: Caller) -> None:
    seller = employ(company, admin)
    about = {"owner_id": seller.user_id, "due_at": moment(minutes=30), "remind_minutes": 60}
    id = admin.do("POST", "/tasks", {"title": "回访", **about})["id"]
    cancelled = admin.do("POST", "/tasks", {"title": "x", **about, "remind_minutes": 1})["id"]
    admin.do("PUT", f"/tasks/{cancelled}/status", {"status": "CANCELLED", "reason": "x"})

    def told() -> None:
        rows = seller.do("GET", f"/notices?record_id={id}")["items"]
        assert sorted(row["occasion"] for row in rows) == ["TASK_DUE", "TASK_GIVEN"]
        assert all("回访" in row["text"] for row in rows)

    eventually(told, seconds=90)
    rows = seller.do("GET", f"/notices?record_id={cancelled}")["items"]
    assert [row["occasion"] for row in rows] == ["TASK_GIVEN"]


def test_sec_18_tasks_of_a_leaver_are_handed_over(company: Company, admin: Caller) -> None:
    leaver, heir = (employ(company, admin) for _ in range(2))
    id = leaver.do("POST", "/tasks", {"title": "回访"})["id"]
    given = admin.do("POST", f"/users/{leaver.user_id}/hand-over", {"to_id": heir.user_id})
    assert given
    assert heir.do("GET", f"/tasks/{id}")["owner_id"] == heir.user_id
    leaver.refused("NOT_FOUND", "GET", f"/tasks/{id}")
