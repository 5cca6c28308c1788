"""Contact with customers on the running system, from the form to timeline and list of customers (COM-01..08)."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from component.gateway import gateway
from component.support import Company, add_customer

from chassis.messaging.consistency import HEADER
from contracts.declare import REGISTRY
from deploy.local.system import LocalSystem

REGISTRY.load()


def test_acc_32_com_06_a_visit_a_call_and_a_mail_are_on_the_timeline_of_the_customer(company: Company) -> None:
    li, tanaka, sato, admin = company.li, company.tanaka, company.sato, company.admin
    customer = add_customer(li)
    about = {"subject_kind": "customer", "subject_id": customer}
    before = li.get(f"/customers/{customer}")
    visit = {"form": "VISIT", "way": "VISIT", "title": "演示样机", "place": "上海", "text": "看了样机"}
    call = {"form": "CALL", "way": "PHONE", "phone": "+86 21 5555 1234", "text": "问了价格", "response": "太贵"}
    mail = {"form": "MAIL", "way": "EMAIL", "title": "報価", "recipients": "sato@example.jp", "text": "お見積りです"}
    ids = [str(li.post("/communications", {**about, **one})["id"]) for one in (visit, call, mail)]
    rows = li.items("/communications", record_id=customer)
    assert [row["id"] for row in rows] == ids[::-1]
    for row, given in zip(rows[::-1], (visit, call, mail), strict=True):
        assert {name: row[name] for name in given if name != "phone"} == {
            name: value for name, value in given.items() if name != "phone"
        }
        assert row["author_id"] == str(li.principal.user_id)
    assert [row["id"] for row in sato.items("/communications", record_id=customer, way="PHONE")] == [ids[1]]
    assert tanaka.items("/communications", record_id=customer) == []
    tanaka.assert_refused("NOT_FOUND", "GET", f"/communications/{ids[0]}")
    tanaka.assert_refused("NOT_FOUND", "POST", "/communications", {**about, **call})
    company.wang.assert_refused("FORBIDDEN", "GET", "/communications")
    company.wang.assert_refused("FORBIDDEN", "POST", "/communications", {**about, **call})

    late = {**about, **call, "at": "2020-01-01T00:00:00Z"}
    problem = li.assert_refused("VALIDATION", "POST", "/communications", late)
    assert (problem["field"], problem["reason"]) == ("at", "collaboration.written_too_late")
    admin.post("/communications", late)
    assert len(li.items("/communications", record_id=customer)) == 4

    row = li.get(f"/customers/{customer}")
    assert row["version"] == before["version"]
    assert row["followed_up_on"] == rows[0]["at"][:10] or abs(
        date.fromisoformat(row["followed_up_on"]) - datetime.fromisoformat(rows[0]["at"]).date()
    ) == timedelta(days=1)
    told = li.get(f"/communications/{ids[0]}")
    allowed = {action["command"]: action["allowed"] for action in told["actions"]}
    assert allowed == {"EditCommunication": True, "DeleteCommunication": True}
    told = sato.get(f"/communications/{ids[0]}")
    assert {action["allowed"] for action in told["actions"]} == {False}


def test_com_01_com_08_through_a_gateway_a_plan_shows_whom_to_contact(
    company: Company, system: LocalSystem, tmp_path: Path
) -> None:
    li = company.li
    customer = add_customer(li)
    due = str(date.fromisoformat(li.get(f"/customers/{customer}")["owner_since"]) + timedelta(days=3))
    body = {
        "subject_kind": "customer", "subject_id": customer, "way": "SOCIAL_MEDIA", "text": "在展会上见面",
        "next_plan": "寄样品", "next_contact_on": due,
    }  # fmt: skip
    with (
        gateway(system.api.own_address, system, tmp_path) as process,
        httpx.Client(base_url=process.own_address, timeout=60) as http,
    ):
        sent = {"Authorization": f"Bearer {li.token}", HEADER: company.seen}
        answer = http.post("/communications", json=body, headers=sent)
        assert answer.status_code == 201, answer.text
        company.remember(answer.headers[HEADER])
        sent[HEADER] = company.seen
        asked = {"next_contact_on_from": due, "next_contact_on_to": due}
        found = http.get("/customers", params=asked, headers=sent).json()["items"]
        assert [(row["id"], row["next_contact_on"]) for row in found] == [(customer, due)]
        words = http.get("/communications", params={"q": "展会", "record_id": customer}, headers=sent).json()["items"]
        assert [(row["id"], row["next_plan"]) for row in words] == [(answer.json()["id"], "寄样品")]
        assert words[0]["labels"]["way"] == "社交媒体"


@pytest.mark.parametrize("unknown", ["PIGEON", ""])
def test_com_07_a_way_that_is_none_is_refused(company: Company, unknown: str) -> None:
    li = company.li
    body = {"subject_kind": "customer", "subject_id": add_customer(li), "way": unknown, "text": "x"}
    assert li.assert_refused("VALIDATION", "POST", "/communications", body)["field"] == "way"
