"""The page of all that there is about a record, in a real MongoDB (CUS-07, ADR 0062).

The whole edge runs in this process (`security.office`); the read models are projected once from what its people did.
How far rights reach there is asked of every kind in `test_scopes`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import pytest
from pymongo import MongoClient
from security.office import VIEWS, Caller, Office, new_id, quick_hashes
from security.teams import add_product

from chassis.projections.projector import Projector
from chassis.queries import reader
from chassis.queries.overviews import ROWS
from chassis.queries.reader import ViewReader
from chassis.queries.remembered import Remembered
from component.facts import incoming
from contracts.errors import STATUS

CONTACTS = ROWS + 2
SLOW = "function() { sleep(10000); return 1; }"


class Shop:
    """A salesperson with a customer: more contacts than the page has room for, an order, and a comment."""

    def __init__(self, office: Office) -> None:
        self.office, self.seller = office, office.user("SAL")
        product = add_product(office)
        body = {"name": "Acme", "mobile": "13900000001", "industry": "IT"}
        self.customer = self.do("POST /customers", body)
        for number in range(CONTACTS):
            self.do("POST /contacts", {"customer_id": self.customer, "name": f"Contact {number:02}"})
        lines = [{"product_id": product, "quantity": 2}]
        self.order = self.do("POST /orders", {"customer_id": self.customer, "lines": lines})
        about = {"subject_kind": "customer", "subject_id": self.customer}
        self.comment = self.do("POST /comments", {**about, "text": "They called back."})
        self.do(f"PATCH /customers/{self.customer}", {"company": "Acme Ltd"})
        self.watcher = self.with_rights("customers.view")
        self.project()

    def do(self, request: str, body: dict[str, Any]) -> str:
        id = str(self.office.call(request, body, self.seller).done()["id"])
        self.office.tell_all()
        return id

    def with_rights(self, *rights: str) -> Caller:
        """Somebody with these rights, for the records of all."""
        role = f"ROLE_{new_id()[:8].upper()}"
        self.office.call(f"PUT /roles/{role}", {"title": role}, self.office.admin).done()
        for right in rights:
            self.office.call(f"PUT /roles/{role}/rights/{right}", {"scope": "ALL"}, self.office.admin).done()
        return self.office.user(role)

    def project(self) -> None:
        projector = Projector(self.office.database, VIEWS)
        projector.offsets([])
        for service in self.office.stores:
            versions = Counter[str]()
            records = [incoming(fact, position) for position, fact in enumerate(self.office.facts(service), start=1)]
            for number, record in enumerate(records):
                versions[record.key] += 1
                records[number] = replace(record, id=f"{record.key}/{versions[record.key]}")
            if records:
                projector.process(records)

    def overview(self, by: Caller) -> dict[str, Any]:
        return self.office.call(f"GET /customers/{self.customer}/overview", by=by).done()

    def asked(self, path: str, by: Caller, **more: str) -> dict[str, Any]:
        """What is found where a part says that all of it is."""
        path, _, query = path.partition("?")
        return self.office.call(
            f"GET {path}", by=by, query={**parse_qs(query), **{name: [value] for name, value in more.items()}}
        ).done()


@pytest.fixture(scope="module")
def shop(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    client: MongoClient[dict[str, Any]] = MongoClient(mongodb_uri, tz_aware=True)
    database = client[f"overviews-{new_id()[:8]}"]
    with quick_hashes():
        yield Shop(Office(tmp_path_factory.mktemp("office"), database))
    client.drop_database(database.name)
    client.close()


def test_cus_07_one_answer_tells_all_about_a_customer(shop: Shop) -> None:
    told = shop.overview(shop.seller)
    record = shop.office.call(f"GET /customers/{shop.customer}", by=shop.seller).done()
    del record["freshness"]
    assert told["record"] == record and record["actions"]
    assert {"contacts", "orders", "purchases", "comments", "attachments"} <= told["parts"].keys()
    assert [row["id"] for row in told["parts"]["orders"]["items"]] == [shop.order]
    assert [row["id"] for row in told["parts"]["comments"]["items"]] == [shop.comment]
    assert told["parts"]["purchases"]["items"] == [], "nothing was shipped"
    assert [entry["version"] for entry in told["history"]["items"]] == [2, 1]
    assert told["freshness"]["as_of"] is not None


def test_cus_07_each_part_is_bounded_and_tells_how_many_there_are_and_where(shop: Shop) -> None:
    parts = shop.overview(shop.seller)["parts"]
    contacts = parts["contacts"]
    assert (len(contacts["items"]), contacts["total"]) == (ROWS, CONTACTS)
    assert len(shop.asked(contacts["path"], shop.seller)["items"]) == CONTACTS
    for part in parts.values():
        assert part["items"] == shop.asked(part["path"], shop.seller, limit=str(ROWS))["items"]
    history = shop.overview(shop.seller)["history"]
    assert history["items"] == shop.asked(history["path"], shop.seller)["items"]


def test_cus_07_who_may_not_see_a_list_has_no_such_part(shop: Shop) -> None:
    """Neither its rows nor how many there are."""
    parts = shop.overview(shop.watcher)["parts"]
    assert "contacts" in parts and "comments" in parts
    assert not {"orders", "purchases", "viewings"} & parts.keys()
    assert "viewings" in shop.overview(shop.office.admin)["parts"]


def test_cus_07_a_customer_that_one_does_not_see_is_not_there(shop: Shop) -> None:
    other = shop.office.user("SAL")
    told = shop.office.call(f"GET /customers/{shop.customer}/overview", by=other)
    assert (told.status, told.code) == (STATUS["NOT_FOUND"], "NOT_FOUND")
    refused = shop.office.call(f"GET /customers/{shop.customer}/overview", by=shop.seller, query={"limit": ["5"]})
    assert (refused.code, refused.body["field"]) == ("VALIDATION", "limit")


def test_sec_21_what_is_read_of_people_is_noted_as_of_each_list(shop: Shop) -> None:
    writer = shop.office.writers["access"]
    writer.execute([])
    before = writer.store.last_audit()
    shop.overview(shop.watcher)
    writer.execute([])
    noted = [entry for record in writer.store.audit_after(before, 100) for entry in record.entries()]
    told = {entry.action: entry for entry in noted}
    assert {entry.kind for entry in noted} == {"READ"} and {"customers", "contacts", "comments"} <= told.keys()
    assert told["customers"].object_id == shop.customer
    assert bytes(told["contacts"].fields) == b'{"customer_id":["***"]}', "as a list notes whom somebody looked for"
    assert {entry.user_id for entry in noted} == {shop.watcher.user_id}


def test_cus_07_what_of_a_part_is_late_is_told_as_unknown_and_all_else_is_there(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One slow count, or one slow list, does not take the page away.  MongoDB gives up by the limit of the part."""
    read = ViewReader._read

    def reading(self: ViewReader, collection: str, stages: Any, order: Any, at: Any, milliseconds: int) -> Any:
        is_count = any("$count" in stage for stage in stages)
        is_late = self.name == "comments" or (self.name == "contacts" and is_count)
        if milliseconds == reader.PART_MS and is_late:
            waits = {"$match": {"$expr": {"$function": {"body": SLOW, "args": [], "lang": "js"}}}}
            stages = [*stages[:1], waits, *stages[1:]]
        return read(self, collection, stages, order, at, milliseconds)

    before = shop.overview(shop.seller)
    monkeypatch.setattr(ViewReader, "_read", reading)
    monkeypatch.setattr(Remembered, "get", lambda _, state, of, count: count())  # as if nobody had counted before
    told = shop.overview(shop.seller)
    assert {name: told["parts"]["comments"][name] for name in ("items", "total")} == {"items": None, "total": None}
    contacts = told["parts"]["contacts"]
    assert (len(contacts["items"]), contacts["total"], contacts["path"]) == (
        ROWS, None, before["parts"]["contacts"]["path"],
    )  # fmt: skip
    late = {"comments", "contacts"}
    assert {name: part for name, part in told["parts"].items() if name not in late} == {
        name: part for name, part in before["parts"].items() if name not in late
    }
    assert (told["record"], told["history"]) == (before["record"], before["history"])
