"""Records change hands on the running system: lists, totals, history and orders follow at once (SEC-18, CUS-14)."""

from __future__ import annotations

from uuid import uuid4

import pytest
from component.people import DEFAULT, Caller, accept, first_administrator, issue
from component.support import Company, add_product, eventually

from chassis.http.hand_over import PORTION
from chassis.http.routes import kebab
from chassis.testing.records import new_record
from contracts.declare import REGISTRY
from contracts.records import KINDS, Kind
from deploy.local.system import LocalSystem

REGISTRY.load()
OWNED = [pytest.param(kind, id=kind.what) for kind in KINDS.values() if kind.owned]


@pytest.fixture(scope="module")
def admin(system: LocalSystem, company: Company) -> Caller:
    return first_administrator(system, company)


@pytest.fixture(scope="module")
def team(company: Company, admin: Caller) -> tuple[Caller, Caller, Caller]:
    """A supervisor, and two salespeople whom the supervisor leads."""
    sato = employ(company, admin, "SUP")
    li, wu = (employ(company, admin, "SUP", superior_id=sato.user_id) for _ in range(2))
    return sato, li, wu


def employ(company: Company, admin: Caller, role: str, **more: str) -> Caller:
    """Somebody new who has signed in, and gets mail: so other tests may ask for a second proof of everybody."""
    return accept(company, issue(admin, role, email=f"{uuid4().hex}@example.com", **more), DEFAULT)


@pytest.mark.parametrize("kind", OWNED)
def test_sec_18_cus_14_lists_totals_and_history_follow_when_a_record_changes_hands(
    kind: Kind, team: tuple[Caller, Caller, Caller], admin: Caller
) -> None:
    sato, li, wu = team

    def seen(by: Caller) -> list[str]:
        told = by.do("GET", f"{kind.path}?count=true")
        assert told["total"] == len(told["items"])
        return sorted(row["id"] for row in told["items"])

    before = seen(sato)
    ids = sorted(li.do("POST", kind.path, new_record(kind, li.enter))["id"] for _ in range(3))
    given, kept, pooled = ids
    place = f"{kind.path}/{given}"
    assert (seen(li), seen(wu), seen(sato)) == (ids, [], sorted([*before, *ids]))
    assert li.refused("FORBIDDEN", "PUT", f"{place}/owner", {"owner_id": wu.user_id})["field"] == "owner_id"
    sato.do("PUT", f"{place}/owner", {"owner_id": wu.user_id})
    if kind.pool:
        li.do("POST", f"{kind.path}/{pooled}/return", {"reason": "why not"})
    else:
        li.do("PUT", f"{kind.path}/{pooled}/owner", {"owner_id": None})
    assert (seen(li), seen(wu), seen(sato)) == ([kept], [given], sorted([*before, kept, given]))
    li.refused("NOT_FOUND", "GET", place)
    li.refused("NOT_FOUND", "GET", f"{place}/history")
    newest, first = wu.do("GET", f"{place}/history")["items"]
    assert (newest["by"]["user_id"], first["by"]["user_id"]) == (sato.user_id, li.user_id)
    changes = {change["field"]: (change["before"], change["after"]) for change in newest["changes"]}
    assert changes["owner_id"] == (li.user_id, wu.user_id) and set(changes) >= {"owner_id", "owner_name"}
    assert wu.do("GET", f"{place}?as_of={first['at']}")["owner_id"] == li.user_id
    assert admin.do("GET", f"{kind.path}/{pooled}")["owner_id"] is None

    assert kind.assign is not None
    items = [{"command": {kind.key: id, "owner_id": wu.user_id}} for id in (kept, pooled)]
    told = admin.do("POST", f"/bulk/{kebab(kind.assign.__name__)}", {"items": items})["results"]
    assert [item["status"] for item in told] == [200, 200]
    assert (seen(li), seen(wu)) == ([], ids)
    for id in ids:
        wu.do("DELETE", f"{kind.path}/{id}")
    assert (seen(wu), seen(sato)) == ([], before)


def test_cus_04_cus_14_orders_are_written_for_customers_that_one_has_now(
    company: Company, team: tuple[Caller, Caller, Caller], admin: Caller
) -> None:
    _, li, wu = team
    (customers,) = (kind for kind in KINDS.values() if kind.path == "/customers")
    customer = li.do("POST", "/customers", new_record(customers, li.enter))["id"]
    order = {"customer_id": customer, "lines": [{"product_id": add_product(company.wang), "quantity": 1}]}
    draft = li.do("POST", "/orders", order)["id"]
    admin.do("PUT", f"/customers/{customer}/owner", {"owner_id": wu.user_id})
    assert li.refused("NOT_FOUND", "POST", "/orders", order)["field"] == "customer_id"
    wu.do("POST", "/orders", order)
    assert li.refused("FORBIDDEN", "POST", f"/orders/{draft}/submit", {})["reason"] == "orders.customer_out_of_reach"
    wu.do("PUT", f"/customers/{customer}/shares/{li.user_id}", {})
    eventually(lambda: li.do("POST", f"/orders/{draft}/submit"))
    wu.do("DELETE", f"/customers/{customer}/shares/{li.user_id}")


def test_sec_14_everything_that_a_leaver_had_is_handed_over_portion_by_portion(
    company: Company, team: tuple[Caller, Caller, Caller], admin: Caller
) -> None:
    _, heir, other = team
    leaver = employ(company, admin, "SUP")
    path = f"/users/{leaver.user_id}/hand-over"
    owned = [kind for kind in KINDS.values() if kind.owned]
    more = 3
    for kind in owned:
        items = [{"command": new_record(kind, leaver.enter)} for _ in range(PORTION + more)]
        told = leaver.do("POST", f"/bulk/{kebab(kind.create.__name__)}", {"items": items})["results"]
        assert {item["status"] for item in told} == {201}
    steps = [admin.do("POST", path, {"to_id": heir.user_id}) for _ in range(3)]
    for step, (given, left) in zip(steps, [(PORTION, more), (more, 0), (0, 0)], strict=True):
        assert step["kinds"] == [{"kind": kind.what, "given": given, "left": left, "refused": []} for kind in owned]
        assert (step["given"], step["left"]) == (given * len(owned), left * len(owned))
    for kind in owned:
        assert leaver.do("GET", f"{kind.path}?count=true")["total"] == 0
        assert heir.do("GET", f"{kind.path}?count=true")["total"] == PORTION + more
        row = heir.do("GET", f"{kind.path}?limit=1")["items"][0]
        newest, first = heir.do("GET", f"{kind.path}/{row['id']}/history")["items"]
        assert (newest["by"]["user_id"], first["by"]["user_id"]) == (admin.user_id, leaver.user_id)

    admin.do("POST", f"/users/{leaver.user_id}/deletion", {"successor_id": other.user_id})
    assert admin.do("POST", path, {"to_id": heir.user_id})["given"] == 0
    back = admin.refused("INVALID_STATE", "POST", f"/users/{heir.user_id}/hand-over", {"to_id": leaver.user_id})
    assert back["field"] == "to_id"
