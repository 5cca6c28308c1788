"""Records wait in a pool on the running system: many claim one at once, one has it, people are told (LED-01..06)."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from component.people import DEFAULT, Caller, accept, first_administrator, issue
from component.support import Company, eventually

from chassis.http.routes import kebab
from chassis.testing.records import new_record
from contracts.declare import REGISTRY
from contracts.records import KINDS, Kind, pool_path
from deploy.local.system import LocalSystem

REGISTRY.load()
POOLED = [pytest.param(kind, id=kind.what) for kind in KINDS.values() if kind.pool]
CROWD = 8


@pytest.fixture(scope="module")
def admin(system: LocalSystem, company: Company) -> Caller:
    return first_administrator(system, company)


@pytest.fixture(scope="module")
def sellers(company: Company, admin: Caller) -> list[Caller]:
    mails = [f"{uuid4().hex}@example.com" for _ in range(CROWD)]
    return [accept(company, issue(admin, "SAL", email=mail), DEFAULT) for mail in mails]


@pytest.mark.parametrize("kind", POOLED)
def test_acc_27_led_03_of_many_who_claim_a_record_at_once_one_has_it(
    kind: Kind, admin: Caller, sellers: list[Caller]
) -> None:
    ids = [admin.do("POST", kind.path, {**new_record(kind, admin.enter), "owner_id": None})["id"] for _ in range(2)]
    claimed, waits = ids
    pool = sellers[0].do("GET", pool_path(kind))["items"]
    assert [row["id"] for row in pool[:2]] == [waits, claimed]
    hidden = {name for name, field in kind.fields.items() if field.is_personal and name != kind.called}
    assert hidden and not hidden & pool[0].keys()
    sellers[0].refused("NOT_FOUND", "GET", f"{kind.path}/{claimed}")

    with ThreadPoolExecutor(CROWD) as pool_of_threads:
        sent = [pool_of_threads.submit(by.send, "POST", f"{kind.path}/{claimed}/claim", {}) for by in sellers]
        answers = [one.result() for one in sent]
    winners = [by for by, answer in zip(sellers, answers, strict=True) if answer.status_code == 200]
    codes = {answer.json()["code"] for answer in answers if answer.status_code != 200}
    assert (len(winners), codes) == (1, {"ALREADY_CLAIMED"})
    [winner] = winners
    row = winner.do("GET", f"{kind.path}/{claimed}")
    assert (row["owner_id"], row["came_by"]) == (winner.user_id, "CLAIMED")
    assert claimed not in {row["id"] for row in winner.do("GET", pool_path(kind))["items"]}

    winner.do("POST", f"{kind.path}/{claimed}/return", {"reason": "对方不再需要"})
    assert claimed in {row["id"] for row in winner.do("GET", pool_path(kind))["items"]}
    newest = admin.do("GET", f"{kind.path}/{claimed}/history")["items"][0]
    changes = {change["field"]: change["after"] for change in newest["changes"]}
    assert (changes["return_reason"], changes["former_owner"]) == ("对方不再需要", row["owner_name"])
    for id in ids:
        admin.do("DELETE", f"{kind.path}/{id}")


@pytest.mark.parametrize("kind", POOLED)
def test_led_01_cus_12_what_waits_in_a_pool_is_for_its_members_alone(
    kind: Kind, admin: Caller, sellers: list[Caller]
) -> None:
    assert kind.pools
    member, stranger, *_ = sellers
    pools = kind.pools.path
    pool = admin.do("POST", pools, {"name": f"fair {uuid4()}", "members": [member.user_id], "most_owned": 1})["id"]
    ids = [admin.do("POST", kind.path, {**new_record(kind, admin.enter), "owner_id": None})["id"] for _ in range(3)]
    moved = [{"command": {kind.key: id, "pool_id": pool}, "idempotency_key": str(uuid4())} for id in ids[:2]]
    told = admin.do("POST", f"/bulk/{kebab(kind.move.__name__)}", {"items": moved})["results"]
    assert [one["status"] for one in told] == [200, 200]
    first, second, of_all = ids

    def waiting(by: Caller, more: str = "") -> list[str]:
        rows = by.do("GET", f"{pool_path(kind)}?limit=200{more}")["items"]
        return [row["id"] for row in rows if row["id"] in ids]

    def moved_there() -> None:
        assert waiting(member) == [of_all, second, first]

    eventually(moved_there)
    assert waiting(member, f"&pool_id={pool}") == [second, first]
    assert (waiting(stranger), waiting(stranger, f"&pool_id={pool}")) == ([of_all], [])
    assert waiting(admin) == [of_all, second, first]
    assert pool in {row["id"] for row in member.do("GET", pools)["items"]}
    assert pool not in {row["id"] for row in stranger.do("GET", pools)["items"]}
    stranger.refused("NOT_FOUND", "GET", f"{pools}/{pool}")
    stranger.refused("FORBIDDEN", "POST", f"{kind.path}/{first}/claim", {})
    member.do("POST", f"{kind.path}/{first}/claim", {})
    member.refused("CLAIM_LIMIT", "POST", f"{kind.path}/{second}/claim", {})
    row = member.do("GET", f"{kind.path}/{first}")
    assert (row["pool_id"], row["labels"]["pool_id"].startswith("fair")) == (pool, True)
    admin.refused("INVALID_STATE", "DELETE", f"{pools}/{pool}")
    member.do("POST", f"{kind.path}/{first}/return", {"reason": "对方不再需要"})
    admin.do("PATCH", f"{pools}/{pool}", {"members": []})

    def hidden() -> None:
        assert waiting(member) == [of_all]

    eventually(hidden)
    for id in ids:
        admin.do("DELETE", f"{kind.path}/{id}")
    admin.do("DELETE", f"{pools}/{pool}")


@pytest.mark.parametrize("kind", POOLED)
def test_led_04_cus_17_who_is_given_a_record_loses_it_or_soon_will_is_told(
    kind: Kind, admin: Caller, sellers: list[Caller]
) -> None:
    first, second = sellers[:2]
    id = admin.do("POST", kind.path, {**new_record(kind, admin.enter), "owner_id": None})["id"]

    def told(by: Caller) -> dict[str, str]:
        rows = by.do("GET", f"/notices?record_id={id}")["items"]
        assert {row["link"] for row in rows} <= {f"{kind.path}/{id}"}
        return {row["occasion"]: row["text"] for row in rows}

    for by in (first, second):
        admin.do("PUT", f"{kind.path}/{id}/owner", {"owner_id": by.user_id})

    def changed_hands() -> None:
        assert told(first).keys() == {"RECORD_ASSIGNED", "RECORD_TRANSFERRED"}
        assert told(second).keys() == {"RECORD_ASSIGNED"}

    eventually(changed_hands)
    name, run = f"一天未跟进 {uuid4()}", f"/schedules/recycle-{kind.service}/runs"
    rule = {"name": name, "target": kind.service.upper(), "idle_days": 1, "remind_days": 1}
    rule_id = admin.do("POST", "/recycling-rules", rule)["id"]

    def reminded() -> None:
        admin.do("POST", run, {})
        assert name in told(second).get("RECYCLING_NEAR", "")

    eventually(reminded)
    admin.do("POST", run, {})
    admin.do("DELETE", f"/recycling-rules/{rule_id}")
    admin.do("DELETE", f"{kind.path}/{id}")
    rows = second.do("GET", f"/notices?record_id={id}&occasion=RECYCLING_NEAR")["items"]
    assert len(rows) == 1, "once"


@pytest.mark.parametrize("kind", POOLED)
def test_led_04_a_list_of_records_is_given_in_turn_with_a_result_for_each(
    kind: Kind, admin: Caller, sellers: list[Caller]
) -> None:
    people = sellers[:3]
    records = [admin.do("POST", kind.path, {**new_record(kind, admin.enter), "owner_id": None})["id"] for _ in range(6)]
    sellers[3].do("POST", f"{kind.path}/{records[0]}/claim", {})
    among = [by.user_id for by in people]
    items = [{"command": {kind.key: id, "among": among}, "idempotency_key": str(uuid4())} for id in records]
    told = admin.do("POST", f"/bulk/{kebab(kind.assign_in_turn.__name__)}", {"items": items})["results"]
    assert [one["status"] for one in told] == [409, *[200] * 5]
    assert told[0]["body"]["code"] == "ALREADY_CLAIMED"
    given = [one["body"]["owner_id"] for one in told[1:]]
    assert set(given[:3]) == set(among) and given[3:] == given[:2]
    for id, owner in zip(records[1:], given, strict=True):
        [by] = [one for one in people if one.user_id == owner]
        assert by.do("GET", f"{kind.path}/{id}")["owner_id"] == owner
    for id in records:
        admin.do("DELETE", f"{kind.path}/{id}")
