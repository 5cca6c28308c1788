"""Merged customers in lists, pages and totals, in a real MongoDB (CUS-07, CUS-20, CUS-22, SEC-18, ADR 0066).

The whole edge runs in this process (`security.office`); the read models are projected from what its people did.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pymongo import MongoClient
from security.office import VIEWS, Caller, Office, new_id, quick_hashes
from security.teams import add_product

from chassis.projections.projector import Projector
from component.facts import NOW, incoming
from contracts.customers import CustomerUnmerged

LISTS = ("contacts", "orders", "comments", "communications")


class Shop:
    """Two salespeople with a customer each, a third with one that goes into the second: three that are the same.

    Each customer has a contact, an order, a comment and a communication.
    """

    def __init__(self, office: Office) -> None:
        self.office = office
        self.product = add_product(office)
        self.sellers = [office.user("SAL") for _ in range(3)]
        self.customers = [self.customer(number, by) for number, by in enumerate(self.sellers)]
        self.survivor, self.middle, self.last = self.customers
        self.things = {id: self.around(id, by) for id, by in zip(self.customers, self.sellers, strict=True)}
        self.projector = Projector(office.database, VIEWS)
        self.projector.offsets([])
        self._versions: dict[str, Counter[str]] = {}
        self._counts: Counter[str] = Counter()
        self.now = NOW
        self.project()

    def customer(self, number: int, by: Caller) -> str:
        about = {"need": f"need {number}", "tags": ["PROSPECT"] if number else []}
        body = {"name": f"Acme {number}", "mobile": f"1390000000{number}", "industry": "IT", **about}
        return self.do("POST /customers", body, by)

    def around(self, id: str, by: Caller) -> dict[str, str]:
        about = {"subject_kind": "customer", "subject_id": id}
        lines = [{"product_id": self.product, "quantity": 1}]
        return {
            "contacts": self.do("POST /contacts", {"customer_id": id, "name": f"Of {id}"}, by),
            "orders": self.do("POST /orders", {"customer_id": id, "lines": lines}, by),
            "comments": self.do("POST /comments", {**about, "text": "They called back."}, by),
            "communications": self.do("POST /communications", {**about, "way": "PHONE", "text": "Called."}, by),
        }

    def do(self, request: str, body: dict[str, Any], by: Caller | None = None) -> str:
        id = str(self.office.call(request, body, by or self.office.admin).done()["id"])
        self.office.tell_all()
        return id

    def merge(self, into: str, duplicate: str, *take: str) -> None:
        self.do(f"POST /customers/{into}/merge", {"duplicate_id": duplicate, "take": list(take)})
        self.project()

    def unmerge(self, id: str) -> None:
        self.do(f"POST /customers/{id}/unmerge", {})
        self.project()

    def project(self, aside: type | None = None) -> None:
        """Bring to the lists what has happened since, without events of a type."""
        for service in self.office.stores:
            versions = self._versions.setdefault(service, Counter())
            facts = self.office.facts(service)
            new = facts[self._counts[service] :]
            records = [incoming(fact, position) for position, fact in enumerate(new, start=self._counts[service] + 1)]
            self._counts[service] = len(facts)
            for number, record in enumerate(records):
                versions[record.key] += 1
                records[number] = replace(record, id=f"{record.key}/{versions[record.key]}", at=self.now)
            if told := [record for record in records if type(record.fact) is not aside]:
                self.projector.process(told)

    def ask(self, path: str, by: Caller | None = None, **query: Any) -> dict[str, Any]:
        asked = {name: [value] if isinstance(value, str) else value for name, value in query.items()}
        return self.office.call(f"GET {path}", by=by or self.office.admin, query=asked).done()

    def refusal(self, path: str, by: Caller | None = None, **query: str) -> dict[str, Any]:
        asked = {name: [value] for name, value in query.items()}
        told = self.office.call(f"GET {path}", by=by or self.office.admin, query=asked)
        assert told.status >= 400, told.body
        found: dict[str, Any] = told.body
        return found

    def ids(self, name: str, id: str, by: Caller | None = None, **more: str) -> set[str]:
        """What a list has about a customer."""
        field = {"comments": "subject_id", "communications": "record_id"}.get(name, "customer_id")
        told = self.ask(f"/{name}", by, count="true", **{field: id}, **more)
        assert told["total"] == len(told["items"])
        return {row["id"] for row in told["items"]}

    def of(self, name: str, *customers: str) -> set[str]:
        return {self.things[id][name] for id in customers}


@pytest.fixture
def shop(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    client: MongoClient[dict[str, Any]] = MongoClient(mongodb_uri, tz_aware=True)
    database = client[f"merging-{new_id()[:8]}"]
    with quick_hashes():
        yield Shop(Office(tmp_path_factory.mktemp("office"), database))
    client.drop_database(database.name)
    client.close()


def test_cus_22_what_belonged_to_both_is_found_with_the_survivor(shop: Shop) -> None:
    shop.merge(shop.middle, shop.last)
    shop.merge(shop.survivor, shop.middle)
    for name in LISTS:
        assert shop.ids(name, shop.survivor) == shop.of(name, *shop.customers), name
        assert shop.ids(name, shop.survivor.upper()) == shop.of(name, *shop.customers), "an id in another case"
        assert shop.ids(name, shop.middle) == shop.of(name, shop.middle, shop.last), name
    parts = shop.ask(f"/customers/{shop.survivor}/overview")["parts"]
    for name in LISTS:
        assert {row["id"] for row in parts[name]["items"]} == shop.of(name, *shop.customers), name
        assert parts[name]["total"] == 3
    assert {row["customer_id"] for row in parts["orders"]["items"]} == set(shop.customers), "nothing is written anew"

    shop.unmerge(shop.middle)
    for name in LISTS:
        assert shop.ids(name, shop.survivor) == shop.of(name, shop.survivor)
        assert shop.ids(name, shop.middle) == shop.of(name, shop.middle, shop.last)


def test_cus_22_the_lists_have_the_survivor_alone_and_the_other_tells_where_it_went(shop: Shop) -> None:
    shop.merge(shop.middle, shop.last)
    shop.merge(shop.survivor, shop.middle)
    [row] = shop.ask("/customers")["items"]
    assert (row["id"], row["merged_ids"], row["merged_into"]) == (shop.survivor, [shop.middle], None)
    for id in (shop.middle, shop.last):
        problem = shop.refusal(f"/customers/{id}")
        assert (problem["code"], problem["state"]) == ("INVALID_STATE", "MERGED")
        assert problem["params"]["survivor"] == shop.survivor
        assert shop.ask(f"/customers/{id}/history")["items"][-1]["event"].endswith("created.v1"), "its history stays"
    shop.unmerge(shop.middle)
    assert {row["id"] for row in shop.ask("/customers")["items"]} == {shop.survivor, shop.middle}
    assert shop.ask(f"/customers/{shop.middle}")["merged_ids"] == [shop.last]


def test_sec_18_cus_22_whoever_sees_the_survivor_sees_what_belonged_to_the_other_and_nobody_else(shop: Shop) -> None:
    mine, theirs, _ = shop.sellers
    about = ("contacts", "comments", "communications")
    for name in about:
        assert shop.ids(name, shop.middle, mine) == set()
    shop.merge(shop.survivor, shop.middle)
    for name in about:
        assert shop.ids(name, shop.survivor, mine) == shop.of(name, shop.survivor, shop.middle), name
        assert shop.ids(name, shop.survivor, theirs) == shop.ids(name, shop.middle, theirs) == set(), name
    contact = shop.things[shop.middle]["contacts"]
    assert shop.ask(f"/contacts/{contact}", mine)["labels"]["customer_id"] == "Acme 1"
    assert shop.refusal(f"/contacts/{contact}", theirs)["code"] == "NOT_FOUND"
    assert shop.refusal(f"/customers/{shop.middle}", mine)["params"]["survivor"] == shop.survivor
    assert shop.refusal(f"/customers/{shop.middle}", theirs)["code"] == "NOT_FOUND"
    shop.unmerge(shop.middle)
    for name in about:
        assert shop.ids(name, shop.survivor, mine) == shop.of(name, shop.survivor)
        assert shop.ids(name, shop.middle, theirs) == shop.of(name, shop.middle)


def test_cus_22_where_what_the_lists_heard_leads_in_a_circle_each_page_names_the_other_one(shop: Shop) -> None:
    """One went into another one, out of it again, which was set aside, and the other one into it."""
    shop.merge(shop.survivor, shop.middle)
    shop.do(f"POST /customers/{shop.middle}/unmerge", {})
    shop.project(aside=CustomerUnmerged)
    shop.merge(shop.middle, shop.survivor)
    for id, other in ((shop.survivor, shop.middle), (shop.middle, shop.survivor)):
        assert shop.refusal(f"/customers/{id}")["params"]["survivor"] == other
    assert [row["id"] for row in shop.ask("/customers")["items"]] == [shop.last]


def test_sec_18_cus_22_whoever_saw_the_other_one_before_sees_it_in_no_list_of_then_any_more(shop: Shop) -> None:
    """As `/customers/{id}` hides it from them: neither as of a moment, nor on a page that was begun before."""
    mine, theirs, _ = shop.sellers
    another = shop.customer(3, theirs)
    shop.project()
    first = shop.ask("/customers", theirs, sort="-name", limit="1")
    assert [row["id"] for row in first["items"]] == [another]
    shop.now += timedelta(hours=2)
    shop.merge(shop.survivor, shop.middle)
    then = (NOW + timedelta(hours=1)).isoformat()

    def seen(by: Caller | None = None) -> set[str]:
        told = shop.ask("/customers", by, as_of=then, count="true")
        assert told["total"] == len(told["items"])
        return {row["id"] for row in told["items"]}

    assert (seen(theirs), seen(mine)) == ({another}, {shop.survivor})
    assert seen() == {*shop.customers, another}, "who sees everybody's customers sees them as they were"
    assert shop.ask("/customers", theirs, sort="-name", limit="1", cursor=first["next"])["items"] == []
    shop.now += timedelta(hours=2)
    shop.unmerge(shop.middle)
    assert seen(theirs) == {another, shop.middle}
    [row] = shop.ask("/customers", theirs, sort="-name", limit="1", cursor=first["next"])["items"]
    assert row["id"] == shop.middle


def test_cus_22_pages_totals_files_and_groups_say_the_same(shop: Shop) -> None:
    shop.merge(shop.survivor, shop.middle)
    wanted = shop.of("contacts", shop.survivor, shop.middle)
    first = shop.ask("/contacts", customer_id=shop.survivor, limit="1", count="true")
    then = shop.ask("/contacts", customer_id=shop.survivor, limit="1", cursor=first["next"])
    assert {row["id"] for row in (*first["items"], *then["items"])} == wanted and first["total"] == 2
    groups = shop.ask("/contacts", customer_id=shop.survivor, group="customer_id")["groups"]
    assert {one["value"]: one["count"] for one in groups} == {shop.survivor: 1, shop.middle: 1}


def test_cus_22_a_page_goes_on_when_something_was_merged_meanwhile(shop: Shop) -> None:
    shop.merge(shop.survivor, shop.middle)
    first = shop.ask("/contacts", customer_id=shop.survivor, limit="1")
    shop.merge(shop.survivor, shop.last)
    then = shop.ask("/contacts", customer_id=shop.survivor, limit="9", cursor=first["next"])
    found = [row["id"] for row in (*first["items"], *then["items"])]
    assert sorted(found) == sorted(shop.of("contacts", shop.survivor, shop.middle)), "all pages are of one moment"


def test_cus_22_who_asks_for_a_duplicate_is_told_the_survivor(shop: Shop) -> None:
    shop.merge(shop.middle, shop.last)
    shop.merge(shop.survivor, shop.middle)
    [alike] = shop.ask("/duplicates/customers", mobile="13900000002")["alike"]
    assert [row["id"] for row in alike["items"]] == [shop.survivor] and not alike["unseen"]
    edited: dict[str, Any] = {"mobile": "13900000002", "except": shop.survivor}
    assert shop.ask("/duplicates/customers", **edited)["alike"] == []
    [alike] = shop.ask("/duplicates/customers", shop.sellers[2], mobile="13900000002")["alike"]
    assert (alike["items"], alike["unseen"]) == ([], True)


def test_cus_22_what_would_come_of_it_is_told_before(shop: Shop) -> None:
    shop.merge(shop.middle, shop.last)
    path, before = f"/customers/{shop.survivor}/merge", shop.office.state()
    told = shop.ask(path, duplicate_id=shop.middle, take=["mobile"])
    fields = {one["field"]: one for one in told["fields"]}
    assert (fields["mobile"]["survivor"], fields["mobile"]["duplicate"]) == ("13900000000", "13900000001")
    assert (fields["mobile"]["result"], fields["need"]["result"]) == ("13900000001", "need 0")
    assert (fields["industry"]["same"], fields["mobile"]["same"]) == (True, False)
    assert (fields["tags"]["survivor"], fields["tags"]["result"]) == ([], ["PROSPECT"])
    for name in LISTS:
        assert told["parts"][name] == {"survivor": 1, "duplicate": 2, "together": 3}, name
    assert shop.office.state()["customers"] == before["customers"]
    assert shop.refusal(path, duplicate_id=shop.survivor)["field"] == "duplicate_id"
    assert shop.refusal(path, duplicate_id=new_id())["code"] == "NOT_FOUND"
    assert shop.refusal(path, duplicate_id=shop.last)["params"]["survivor"] == shop.middle
    assert shop.refusal(path, duplicate_id=shop.middle, take="tags")["field"] == "take"
    assert shop.refusal(path, shop.sellers[0], duplicate_id=shop.middle)["code"] == "FORBIDDEN"


def test_cus_04_cus_22_the_page_tells_that_the_other_ones_contacts_are_in_the_way_of_deletion(shop: Shop) -> None:
    shop.do(f"DELETE /contacts/{shop.things[shop.survivor]['contacts']}", {})
    shop.merge(shop.survivor, shop.middle)
    actions = {one["command"]: one for one in shop.ask(f"/customers/{shop.survivor}")["actions"]}
    assert not actions["DeleteCustomer"]["allowed"] and actions["MergeCustomer"]["allowed"]
    assert "UnmergeCustomer" not in actions


def test_cus_13_a_merged_customer_waits_in_no_pool(shop: Shop) -> None:
    shop.do(f"POST /customers/{shop.middle}/return", {"reason": "x"}, shop.sellers[1])
    shop.project()
    assert [row["id"] for row in shop.ask("/pools/customers")["items"]] == [shop.middle]
    shop.merge(shop.survivor, shop.middle)
    assert shop.ask("/pools/customers")["items"] == []
    shop.unmerge(shop.middle)
    assert [row["id"] for row in shop.ask("/pools/customers")["items"]] == [shop.middle]
