"""On the running system: records are shared and tagged, and values are picked (COL-07, CUS-08, CFG-08, CUS-09)."""

from __future__ import annotations

import json
from urllib.parse import quote
from uuid import uuid4

import pytest
from component.people import Caller, first_administrator
from component.support import Company, add_product

from chassis.http.routes import kebab
from chassis.testing.records import new_record
from contracts.declare import REGISTRY
from contracts.dictionaries import PREPARED
from contracts.records import KINDS, TAGS, Kind
from deploy.local.system import LocalSystem

from .test_ownership import employ

REGISTRY.load()
OWNED = [pytest.param(kind, id=kind.what) for kind in KINDS.values() if kind.owned]
CUSTOMERS = next(kind for kind in KINDS.values() if kind.path == "/customers")


@pytest.fixture(scope="module")
def admin(system: LocalSystem, company: Company) -> Caller:
    return first_administrator(system, company)


@pytest.mark.parametrize("kind", OWNED)
def test_col_07_lists_and_pages_follow_at_once_when_a_record_is_shared_and_when_it_is_not(
    kind: Kind, company: Company, admin: Caller
) -> None:
    west = admin.do("POST", "/departments", {"name": f"West {uuid4().hex[:8]}"})["id"]
    li = employ(company, admin, "SUP")
    wu = employ(company, admin, "SUP", department_id=west)
    id = li.do("POST", kind.path, new_record(kind, li.enter))["id"]
    place = f"{kind.path}/{id}"

    def seen() -> list[str]:
        return [row["id"] for row in wu.do("GET", f"{kind.path}?shared_with_me=true")["items"]]

    wu.refused("NOT_FOUND", "GET", place)
    li.do("PUT", f"{place}/shares/{wu.user_id}", {})
    assert seen() == [id]
    said = {"subject_kind": kind.what, "subject_id": id, "text": "お元気ですか"}
    comment = wu.do("POST", "/comments", said)["id"]
    talk = f"/comments?subject_id={id}"
    assert [row["id"] for row in wu.do("GET", talk)["items"]] == [comment]
    [share] = wu.do("GET", place)["shares"]
    assert (share["with_id"], share["kind"], share["access"], share["until"]) == (wu.user_id, "USER", "READ", None)
    assert wu.refused("FORBIDDEN", "DELETE", place)["reason"] == "records.out_of_reach"
    li.do("PUT", f"{place}/shares/{west}", {"access": "EDIT"})
    li.do("DELETE", f"{place}/shares/{wu.user_id}")
    assert seen() == [id], "by the department"
    assert wu.refused("FORBIDDEN", "DELETE", place)["reason"] == "records.only_shared"
    wu.do("POST", f"{place}/revert", {"version": 1})
    newest = wu.do("GET", f"{place}/history")["items"][0]
    assert {change["field"] for change in newest["changes"]} == {"shares", "shared_with"}
    items = [{"command": {kind.key: id, "with_id": west}}]
    [told] = li.do("POST", f"/bulk/{kebab(kind.unshare.__name__)}", {"items": items})["results"]
    assert told["status"] == 200 and seen() == []
    wu.refused("NOT_FOUND", "GET", place)
    wu.refused("NOT_FOUND", "POST", "/comments", said)
    assert wu.do("GET", talk)["items"] == [] != li.do("GET", talk)["items"]


def test_col_07_orders_are_written_for_customers_that_one_sees(company: Company, admin: Caller) -> None:
    li, wu = (employ(company, admin, "SAL") for _ in range(2))
    customer = li.do("POST", "/customers", new_record(CUSTOMERS, li.enter))["id"]
    order = {"customer_id": customer, "lines": [{"product_id": add_product(company.wang), "quantity": 1}]}
    wu.refused("NOT_FOUND", "POST", "/orders", order)
    li.do("PUT", f"/customers/{customer}/shares/{wu.user_id}", {})
    wu.do("POST", "/orders", order)


def test_cfg_08_cus_09_an_entry_is_added_picked_found_switched_off_and_not_deleted(
    company: Company, admin: Caller
) -> None:
    li = employ(company, admin, "SAL")
    code, place = f"X{uuid4().hex[:8]}", "/dictionaries/industries/entries"
    admin.do("POST", place, {"entry": code, "zh": f"半导体{code}", "parent": "ELECTRONICS"})
    customer = li.do("POST", "/customers", {**new_record(CUSTOMERS, li.enter), "industry": code})["id"]
    [row] = li.do("GET", "/customers?industry=MANUFACTURING")["items"]
    assert (row["id"], row["industry"], row["labels"]["industry"]) == (customer, code, f"半导体{code}")
    entries = [entry["code"] for one in li.do("GET", "/metadata")["dictionaries"] for entry in one["entries"]]
    assert code in entries

    refused = admin.refused("INVALID_STATE", "DELETE", f"{place}/{code}")
    assert (refused["reason"], refused["params"]["count"]) == ("configuration.entry_in_use", 1), "by the token"
    admin.do("PUT", f"{place}/{code}", {"active": False})
    assert li.refused("INVALID_STATE", "POST", "/customers", {**new_record(CUSTOMERS, li.enter), "industry": code})[
        "field"
    ] == ("industry")
    li.do("PATCH", f"/customers/{customer}", {"industry": code, "need": "chips"})


@pytest.mark.parametrize("kind", [kind for kind in KINDS.values() if TAGS in kind.fields], ids=lambda kind: kind.what)
def test_cus_08_acc_18_tags_are_changed_one_by_one_and_counted(kind: Kind, company: Company, admin: Caller) -> None:
    li = employ(company, admin, "SAL" if kind.owned else "ADM")
    first, second, *_ = PREPARED[kind.fields[TAGS].rules.dictionary]
    record = {**new_record(kind, li.enter), TAGS: [first]}
    id = li.do("POST", kind.path, record)["id"]
    li.do("POST", f"{kind.path}/{id}/tags", {"add": [second], "remove": [first]})
    assert li.do("GET", f"{kind.path}/{id}")[TAGS] == [second]
    named = json.dumps({"field": kind.called, "is": "equal", "value": record[kind.called]})
    groups = li.do("GET", f"{kind.path}?group=tags&where={quote(named)}")["groups"]
    assert [(group["value"], group["count"]) for group in groups] == [(second, 1)]
