"""The acceptance scenarios of leads and customers, through a gateway: ACC-17, 19..21, 24, 25, 27, 28.

The others stand with what they are about: ACC-18 in tests/e2e/test_sharing.py, ACC-23 in test_customers.py, ACC-29..31
in test_conversion.py, ACC-32 in test_communications.py, ACC-74 in test_push_rules.py.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

import pytest
from component.gateway import gateway
from component.support import (
    Company,
    Person,
    add_customer,
    add_order,
    add_product,
    await_status,
    eventually,
    order_page,
    unique,
)

from contracts.declare import REGISTRY
from contracts.records import KINDS, Kind, pool_path
from deploy.local.system import LocalSystem
from services.access.demo_users import user_id

REGISTRY.load()
POOLED = [pytest.param(kind, id=kind.what) for kind in KINDS.values() if kind.pool]
REQUIRED = ("name", "mobile", "industry")


@pytest.fixture(scope="module")
def company(system: LocalSystem, company: Company, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """The demonstration company, whose people come through a gateway."""
    with gateway(system.api.own_address, system, tmp_path_factory.mktemp("front")) as process:
        at_the_gateway = Company(company.config, process.own_address)
        yield at_the_gateway
        at_the_gateway.close()


def mobile() -> str:
    return f"139{uuid.uuid4().int % 10**8:08d}"


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["id"] for row in rows]


# -- ACC-17..21: customers --------------------------------------------------------------------------------------------


def test_ACC_17_a_customer_is_stored_with_all_its_fields_and_refused_without_a_required_one(company: Company) -> None:
    li, firm = company.li, unique("山海")
    form = next(one for one in li.get("/metadata")["commands"] if one["name"] == "CreateCustomer")
    assert {field["name"] for field in form["fields"] if field["required"]} == set(REQUIRED)
    body = {
        "name": "王伟",
        "mobile": mobile(),
        "industry": "ELECTRONICS",
        "company": firm,
        "contact_person": "佐藤 花子",
        "address": "上海市南京东路1号",
        "region": "华东",
        "importance": "HIGH",
        "customer_type": "B2B",
        "need": "二十部手机 📱",
        "category": "老客户",
        "source": "EXHIBITION",
        "tags": ["PROSPECT", "重点"],
    }
    customer = li.post("/customers", body)["id"]
    row = li.get(f"/customers/{customer}")
    assert {name: row[name] for name in body} == body
    assert (row["owner_id"], row["version"]) == (str(user_id("li")), 1)

    for name in REQUIRED:
        other = {**body, "mobile": mobile(), "contact_person": "别人"}
        for given in ({}, {name: None}, {name: ""}, {name: " \u3000"}):
            asked = {**{field: value for field, value in other.items() if field != name}, **given}
            problem = li.assert_refused("VALIDATION", "POST", "/customers", asked)
            assert problem["field"] == name, (given, problem)
    assert ids(li.items("/customers", company=firm)) == [customer]


FULL_WIDTH = {ord(digit): ord(digit) + 0xFEE0 for digit in "0123456789"}


def test_ACC_19_a_customer_is_found_by_name_or_mobile_and_nobody_else_is(company: Company) -> None:
    li, mark, number = company.li, uuid.uuid4().hex[:8], mobile()
    following = f"{number[:-1]}{(int(number[-1]) + 1) % 10}"
    wanted = add_customer(li, name=f"王伟{mark}", mobile=number)
    longer = add_customer(li, name=f"王伟{mark}强", mobile=following)
    written = (
        number,
        f"{number[:3]} {number[3:7]}-{number[7:]}",
        f"+86 {number}",
        f"0086{number}",
        number.translate(FULL_WIDTH),
    )
    asked: list[dict[str, str]] = [{"name": f"王伟{mark}"}]
    asked += [{name: text} for name in ("mobile", "q") for text in written]
    for one in asked:
        assert ids(li.items("/customers", **one)) == [wanted], one
    assert ids(li.items("/customers", q=f"王伟{mark}强")) == [longer]
    assert set(ids(li.items("/customers", q=mark.upper()))) == {wanted, longer}
    assert li.items("/customers", name=f"王{mark}") == li.items("/customers", mobile=f"{number}0") == []
    assert company.tanaka.items("/customers", q=number) == [], "not those of others"


@pytest.mark.parametrize(
    "name",
    ["👩🏽‍💻", "𠮷野家", "ｱｲｳ 佐藤", "O'Neil <b>&amp;", "字" * 200],
    ids=["emoji", "rare", "kana", "markup", "long"],
)
def test_ACC_17_ACC_19_whatever_a_customer_is_called_is_kept_and_found(company: Company, name: str) -> None:
    customer = add_customer(company.li, name=name)
    assert company.li.get(f"/customers/{customer}")["name"] == name
    for asked in ({"name": name}, {"q": name}):
        assert customer in ids(company.li.items("/customers", **asked)), asked


@pytest.mark.parametrize(
    "name", ["字" * 1000, "a\nb", "a\u0000b", "a\u202eb"], ids=["too long", "lines", "control", "turned"]
)
def test_ACC_17_a_name_that_can_not_be_kept_is_refused_by_its_field(company: Company, name: str) -> None:
    body = {"name": name, "mobile": mobile(), "industry": "IT"}
    assert company.li.assert_refused("VALIDATION", "POST", "/customers", body)["field"] == "name"
    half = json.dumps({**body, "name": "\ud83d"}).encode()
    assert company.li.assert_refused("VALIDATION", "POST", "/customers", content=half)["field"] == "body"


def test_ACC_20_orders_keep_what_they_know_of_a_customer_that_is_edited_and_deleted(company: Company) -> None:
    li, chen = company.li, company.chen
    name, number = unique("Acme"), mobile()
    customer = add_customer(li, name=name, mobile=number, address="1 Nanjing Road")
    product = add_product(company.wang, "100.00", 10)
    orders = [add_order(li, customer, (product, 2, None)) for _ in range(2)]
    done, cancelled = orders
    li.post(f"/orders/{done}/submit")
    await_status(li, done, "SHIPPED")

    li.do("PATCH", f"/customers/{customer}", {"name": f"{name} Ltd", "address": "2 Nanjing Road", "mobile": mobile()})
    row = li.get(f"/customers/{customer}")
    assert (row["name"], row["address"], row["version"]) == (f"{name} Ltd", "2 Nanjing Road", 2)
    sold = order_page(li, done)["customer"]
    assert (sold["name"], sold["address"]) == (name, "1 Nanjing Road"), "as of submission"

    li.post(f"/orders/{cancelled}/cancel", {"reason": "changed their mind"})
    chen.post(f"/orders/{done}/payments", {"amount": "200.00"})
    company.wang.post(f"/shipments/{done}/deliver", {})
    await_status(li, done, "COMPLETED")
    before = [order_page(li, id) for id in orders]

    eventually(lambda: li.do("DELETE", f"/customers/{customer}"))  # customers hear of the ends of orders a moment later
    li.assert_refused("NOT_FOUND", "GET", f"/customers/{customer}")
    for asked in ({"name": f"{name} Ltd"}, {"q": name}):
        assert li.items("/customers", **asked) == []
    lines = [{"product_id": product, "quantity": 1}]
    refused = li.assert_refused("NOT_FOUND", "POST", "/orders", {"customer_id": customer, "lines": lines})
    assert refused["field"] == "customer_id"

    for page in before:
        assert without_moment(order_page(li, page["id"])) == without_moment(page)
    assert ids(li.items("/orders", customer_id=customer, sort="created_at")) == orders
    rows = company.admin.items("/reports/sales-by-product", product_id=product)
    assert [row["sold_amount"] for row in rows] == ["200.00"]


def without_moment(page: dict[str, Any]) -> dict[str, Any]:
    """An order's page without how fresh it is."""
    return {name: value for name, value in page.items() if name != "freshness"}


def test_ACC_21_customers_are_listed_by_type_region_and_industry_and_sorted(company: Company) -> None:
    li, mark = company.li, unique("R")
    east, north = f"{mark} 华东", f"{mark} 华北"
    given = [
        ("阿里", "B2B", east, "IT"),
        ("百度", "B2C", east, "RETAIL"),
        ("陈记", "B2B", north, "IT"),
        ("大华", "B2C", north, "IT"),
        ("二手", "B2B", east, "IT"),
    ]
    made = {
        name: add_customer(li, name=name, customer_type=type, region=region, industry=industry)
        for name, type, region, industry in given
    }

    def found(**asked: str) -> list[str]:
        names = {id: name for name, id in made.items()}
        return [names[row["id"]] for row in li.items("/customers", **asked)]

    for asked, names in (
        ({"region": east}, ["阿里", "百度", "二手"]),
        ({"region": east, "industry": "IT"}, ["阿里", "二手"]),
        ({"region": north, "customer_type": "B2C"}, ["大华"]),
        ({"region": north, "customer_type": "B2C", "industry": "RETAIL"}, []),
    ):
        for sort, wanted in (("name", names), ("-name", names[::-1])):
            assert found(**asked, sort=sort) == wanted, (asked, sort)
    where = json.dumps({"field": "region", "is": "begins_with", "value": mark})
    for sort in ("customer_type", "region", "industry", "created_at"):
        up, down = (found(where=where, sort=by) for by in (sort, f"-{sort}"))
        assert sorted(up) == sorted(down) == sorted(made) and up != down, sort
    assert found(where=where, sort="created_at") == list(made)


# -- ACC-24..28: pools ------------------------------------------------------------------------------------------------


def entered(by: Person, kind: Kind, **more: Any) -> str:
    """A new lead or customer; returns its id."""
    body = {"name": unique("张"), "mobile": mobile(), "industry": "IT"}
    known = {name: value for name, value in body.items() if name in kind.fields}
    return str(by.post(kind.path, {**known, **more})["id"])


def waits(by: Person, kind: Kind, id: str) -> bool:
    return id in ids(by.items(pool_path(kind)))


def holds(by: Person, kind: Kind, id: str) -> bool:
    """Whether a record is among somebody's own."""
    return id in ids(by.items(kind.path, owner_id=str(by.principal.user_id)))


@pytest.mark.parametrize("kind", POOLED)
def test_ACC_24_what_is_entered_without_owner_is_in_the_pool_and_nobodys(company: Company, kind: Kind) -> None:
    li, tanaka, sato, admin = company.li, company.tanaka, company.sato, company.admin
    pooled, own = entered(li, kind, owner_id=None), entered(li, kind)
    for person in (li, tanaka, sato, admin):
        assert (waits(person, kind, pooled), waits(person, kind, own)) == (True, False)
        assert not holds(person, kind, pooled)
    for person in (li, tanaka, sato):
        assert pooled not in ids(person.items(kind.path))
        person.assert_refused("NOT_FOUND", "GET", f"{kind.path}/{pooled}")
    assert holds(li, kind, own)
    assert admin.get(f"{kind.path}/{pooled}")["owner_id"] is None


@pytest.mark.parametrize("kind", POOLED)
def test_ACC_25_what_is_entered_with_an_owner_is_theirs_and_an_owner_that_is_none_is_refused(
    company: Company, kind: Kind
) -> None:
    """Left out, the owner is who enters it; null says that it is nobody's, which waits in the pool (CUS-12, CUS-15)."""
    li, tanaka, sato = company.li, company.tanaka, company.sato
    given = entered(sato, kind, owner_id=str(user_id("li")))
    assert (holds(li, kind, given), waits(li, kind, given)) == (True, False)
    row = li.get(f"{kind.path}/{given}")
    assert (row["owner_id"], row["owner_name"]) == (str(user_id("li")), "li")
    assert given not in ids(tanaka.items(kind.path))
    tanaka.assert_refused("NOT_FOUND", "GET", f"{kind.path}/{given}")

    name = unique("无主")
    body = {"name": name, "mobile": mobile(), "industry": "IT"}
    body = {name: value for name, value in body.items() if name in kind.fields}
    for by, owner, code in (
        (li, "nobody", "VALIDATION"),
        (li, str(uuid.uuid4()), "FORBIDDEN"),
        (li, str(user_id("tanaka")), "FORBIDDEN"),
        (company.admin, str(uuid.uuid4()), "NOT_FOUND"),
    ):
        problem = by.assert_refused(code, "POST", kind.path, {**body, "owner_id": owner})
        assert problem["field"] == "owner_id", (owner, problem)
    assert company.admin.items(kind.path, q=name) == []


@pytest.mark.parametrize("kind", POOLED)
def test_ACC_27_one_that_is_claimed_and_one_that_is_assigned_are_their_owners_alone(
    company: Company, kind: Kind
) -> None:
    li, tanaka, sato = company.li, company.tanaka, company.sato
    claimed, assigned, stays = (entered(sato, kind, owner_id=None) for _ in range(3))
    give = {"owner_id": str(user_id("tanaka"))}
    li.assert_refused("FORBIDDEN", "PUT", f"{kind.path}/{assigned}/owner", give)
    li.post(f"{kind.path}/{claimed}/claim")
    sato.do("PUT", f"{kind.path}/{assigned}/owner", give)
    for owner, other, id, how in ((li, tanaka, claimed, "CLAIMED"), (tanaka, li, assigned, "ASSIGNED")):
        assert (holds(owner, kind, id), owner.get(f"{kind.path}/{id}")["came_by"]) == (True, how)
        assert id not in ids(other.items(kind.path)), "of nobody else"
        assert other.assert_refused("ALREADY_CLAIMED", "POST", f"{kind.path}/{id}/claim")["field"] == kind.key
    for person in (li, tanaka, sato):
        assert [waits(person, kind, id) for id in (claimed, assigned, stays)] == [False, False, True]


EARLIER, LATER = "Pacific/Pago_Pago", "Pacific/Kiritimati"
"""At any moment the day of the one is over in the other: so a day of the company passes at once."""


@contextmanager
def days_in(company: Company, zone: str) -> Iterator[None]:
    """Inside the block the company's days are those of a zone."""
    try:
        _set_zone(company, zone)
        yield
    finally:
        _set_zone(company, company.config.time_zone)


def _set_zone(company: Company, zone: str) -> None:
    company.admin.do("PUT", "/settings/company", {"time_zone": zone})

    def heard() -> None:
        assert company.admin.get("/me")["time_zone"] == zone

    eventually(heard)


@contextmanager
def switched_off(by: Person, schedule: str) -> Iterator[None]:
    """A schedule does nothing by itself until it is switched on, in the block or after it."""
    by.do("PUT", schedule, {"active": False})
    try:
        yield
    finally:
        by.do("PUT", schedule, {"active": True})


@contextmanager
def there_is_a_rule(by: Person, rule: dict[str, Any]) -> Iterator[None]:
    """A rule of recycling for the block."""
    id = by.post("/recycling-rules", rule)["id"]
    try:
        yield
    finally:
        by.do("DELETE", f"/recycling-rules/{id}")


@pytest.mark.parametrize("kind", POOLED)
def test_ACC_28_what_would_go_back_on_a_day_to_come_is_told_by_a_dry_run(company: Company, kind: Kind) -> None:
    admin, li, schedule = company.admin, company.li, f"/schedules/recycle-{kind.service}"
    name, id = unique("三十天未跟进"), entered(li, kind)
    day = date.fromisoformat(li.get(f"{kind.path}/{id}")["owner_since"])
    with there_is_a_rule(admin, {"name": name, "target": kind.service.upper(), "idle_days": 30}):
        assert would_go_back(admin, schedule, day + timedelta(days=29)).get(id) is None
        assert would_go_back(admin, schedule, day + timedelta(days=30))[id] == name
        body = {"day": f"{day + timedelta(days=30)}"}
        assert admin.assert_refused("VALIDATION", "POST", f"{schedule}/runs", body)["field"] == "day"
    assert holds(li, kind, id)


@pytest.mark.parametrize("kind", POOLED)
def test_ACC_28_what_nobody_works_on_for_n_days_is_in_the_pool_and_not_a_day_earlier(
    company: Company, kind: Kind
) -> None:
    """Of one day: what is entered on the last hours of it in the one zone has lain for a day in the other."""
    admin, li = company.admin, company.li
    schedule, name = f"/schedules/recycle-{kind.service}", unique("一天未跟进")
    with days_in(company, EARLIER):
        idle, worked_on = entered(li, kind), entered(li, kind)
    day = date.fromisoformat(li.get(f"{kind.path}/{idle}")["owner_since"])
    rule = {"name": name, "target": kind.service.upper(), "idle_days": 1}
    with switched_off(admin, schedule), there_is_a_rule(admin, rule), days_in(company, LATER):
        about = {"subject_kind": kind.what, "subject_id": worked_on}
        li.post("/communications", {**about, "way": "PHONE", "text": "下周再联系"})
        assert holds(li, kind, idle) and holds(li, kind, worked_on), "while the run is switched off nothing moves"
        admin.do("PUT", schedule, {"active": True})
        would = would_go_back(admin, schedule, day + timedelta(days=1))
        assert (would[idle], worked_on in would) == (name, False)
        assert idle not in would_go_back(admin, schedule, day)
        run(admin, schedule, day)
        assert holds(li, kind, idle), "not a day earlier"
        run(admin, schedule, day + timedelta(days=1))

    assert waits(li, kind, idle) and not holds(li, kind, idle)
    li.assert_refused("NOT_FOUND", "GET", f"{kind.path}/{idle}")
    row = admin.get(f"{kind.path}/{idle}")
    told = {name: row[name] for name in ("owner_id", "came_by", "former_owner", "return_reason")}
    assert told == {"owner_id": None, "came_by": "RECYCLED", "former_owner": "li", "return_reason": name}
    assert holds(li, kind, worked_on) and not waits(li, kind, worked_on)

    def former_owner_is_told() -> None:
        told = [row for row in li.items("/notices", record_id=idle) if row["occasion"] == "RECORD_RECYCLED"]
        assert [name in notice["text"] for notice in told] == [True]

    eventually(former_owner_is_told)
    company.tanaka.post(f"{kind.path}/{idle}/claim")
    assert holds(company.tanaka, kind, idle)


def would_go_back(by: Person, schedule: str, day: date) -> dict[str, str]:
    """The records that a run for a day would take back, and by which rule."""
    told = by.post(f"{schedule}/runs", {"day": f"{day}", "dry": True})["would"]
    return {one["id"]: one["reason"] for one in told if one["event"].endswith("-assigned.v1")}


def run(by: Person, schedule: str, day: date) -> None:
    """Carry out a schedule for a day, with all its parts."""
    while by.post(f"{schedule}/runs", {"day": f"{day}"})["goes_on"]:
        pass
