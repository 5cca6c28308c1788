"""Timelines of contact with customers, and what lists of records show of them, on a real MongoDB (COM-01..08)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from pymongo import MongoClient
from security.office import VIEWS, Caller, Office, new_id, quick_hashes

from chassis.projections.projector import Projector
from chassis.testing.records import new_record
from component.facts import incoming
from contracts.customers import CUSTOMER, Contact
from contracts.records import KINDS, Kind, kind_of

POOLED = [pytest.param(kind, id=kind.what) for kind in KINDS.values() if kind.pool]
CONTACT = kind_of(Contact)


class Sales:
    """An office with two salespeople, and everything that they did in the read models."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.li, self.wu = office.user("SAL", name="Li"), office.user("SAL", name="Wu")
        self._projector = Projector(office.database, VIEWS)
        self._projector.offsets([])
        self._told = dict.fromkeys(office.stores, 0)

    def project(self, *first: str) -> None:
        """Have the read models follow; of services named `first` before all others."""
        for service in sorted(self.office.stores, key=lambda name: (name not in first, name)):
            facts, told = self.office.facts(service), self._told[service]
            self._told[service] = len(facts)
            if facts[told:]:
                self._projector.process(
                    [incoming(fact, position) for position, fact in enumerate(facts, start=1) if position > told]
                )

    def log(self, kind: Kind, id: str, by: Caller, **more: Any) -> str:
        body = {"subject_kind": kind.code, "subject_id": id, "way": "PHONE", "text": "问了价格", **more}
        told: str = self.office.call("POST /communications", body, by).done()["id"]
        return told

    def listed(self, path: str, by: Caller, **asked: str) -> list[dict[str, Any]]:
        query = {name: [value] for name, value in asked.items()}
        rows: list[dict[str, Any]] = self.office.call(f"GET {path}", by=by, query=query).done()["items"]
        return rows


@pytest.fixture
def sales(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sales]:
    client: MongoClient[dict[str, Any]] = MongoClient(mongodb_uri, tz_aware=True)
    database = client[f"communications-{new_id()[:8]}"]
    with quick_hashes():
        yield Sales(Office(tmp_path_factory.mktemp("office"), database))
    client.drop_database(database.name)
    client.close()


def test_com_06_com_08_a_timeline_has_all_contact_and_is_asked_by_conditions(sales: Sales) -> None:
    office, li, wu = sales.office, sales.li, sales.wu
    mine, theirs = office.enter(CUSTOMER, li), office.enter(CUSTOMER, wu)
    body = new_record(CONTACT, lambda _: mine)
    person = office.call("POST /contacts", body, li).done()["id"]
    office.tell_all()
    called = sales.log(CUSTOMER, mine, li)
    mailed = sales.log(
        CUSTOMER, mine, li, form="MAIL", way="EMAIL", title="Offer", recipients="sato@example.jp", text="Dear Sato"
    )
    visited = sales.log(CONTACT, person, li, form="VISIT", way="VISIT", title="Demo", place="上海")
    sales.log(CUSTOMER, theirs, wu)
    sales.project()

    def ids(by: Caller = li, **asked: str) -> list[str]:
        return [row["id"] for row in sales.listed("/communications", by, **asked)]

    assert ids(record_id=mine) == [visited, mailed, called], "the newest first, with that of its contacts"
    assert ids(subject_id=mine) == [mailed, called]
    assert ids() == [visited, mailed, called] and len(ids(office.admin)) == 4
    assert ids(wu, record_id=mine) == []
    assert ids(way="EMAIL") == ids(form="MAIL") == ids(q="offer") == [mailed]
    assert ids(q="上海") == [visited]
    assert ids(author_id=wu.user_id) == [] and ids(author_id=li.user_id) == ids()
    rows = sales.listed("/communications", li, record_id=mine)
    assert rows[1]["labels"]["way"] == "E-mail"
    at = rows[1]["at"]
    assert ids(at_from=at) == [visited, mailed] and ids(at_to=at) == [mailed, called]
    given = {"owner_id": wu.user_id}
    office.call(f"PUT /customers/{mine}/owner", given, office.admin).done()
    sales.project()
    assert ids(wu, record_id=mine) == [visited, mailed, called] and ids(record_id=mine) == []
    assert office.call(f"GET /communications/{mailed}", by=li).code == "NOT_FOUND"


@pytest.mark.parametrize("kind", POOLED)
def test_com_01_the_list_shows_the_last_contact_and_whom_to_contact(sales: Sales, kind: Kind) -> None:
    office, li = sales.office, sales.li
    followed, silent = office.enter(kind, li), office.enter(kind, li)
    today = office.directory.company.day_of(office.api.clock())
    due = today + timedelta(days=2)
    id = sales.log(kind, followed, li, next_contact_on=due.isoformat())
    sales.project("collaboration")  # news of contact may come before the record itself is told of
    [row] = sales.listed(kind.path, li, next_contact_on_to=due.isoformat())
    assert (row["id"], row["followed_up_on"], row["next_contact_on"]) == (followed, str(today), str(due))
    assert row["version"] == 1, "who has it open can still save it"
    assert sales.listed(kind.path, li, next_contact_on_to=str(due - timedelta(days=1))) == []
    rows = {row["id"]: row for row in sales.listed(kind.path, li)}
    assert (set(rows), rows[silent]["followed_up_on"]) == ({followed, silent}, None)
    office.call(f"DELETE /communications/{id}", None, li).done()
    sales.project()
    told = office.call(f"GET {kind.path}/{followed}", by=li).done()
    assert (told["followed_up_on"], told["next_contact_on"]) == (None, None)


def test_com_01_of_a_record_that_nobody_has_told_of_yet_no_row_is_shown(sales: Sales) -> None:
    office = sales.office
    id = office.enter(CUSTOMER, sales.li)
    sales.log(CUSTOMER, id, sales.li)
    facts = office.facts("collaboration")
    sales._projector.process([incoming(fact, position) for position, fact in enumerate(facts, start=1)])
    assert sales.listed("/customers", office.admin) == []
    assert office.call("GET /customers", by=office.admin, query={"count": ["true"]}).done()["total"] == 0
    assert office.call(f"GET /customers/{id}", by=office.admin).code == "NOT_FOUND"
    assert office.call("GET /customers", by=office.admin, query={"format": ["csv"]}).response.body.count(b"\n") == 1
    assert date.fromisoformat(str(office.database["customers"].find_one({"_id": id})["followed_up_on"]))
