"""What waits in a pool of the company's, and the pools themselves, are shown to whom they are for, in a real MongoDB.

Of every kind with a pool (LED-01, CUS-12, SEC-18, ADR 0065).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pymongo import MongoClient
from security.office import VIEWS, Caller, Office, new_id, quick_hashes

from chassis.projections.projector import Projector
from chassis.testing.records import new_record
from component.facts import incoming
from contracts.records import KINDS, Kind, pool_path

POOLED = [kind for kind in KINDS.values() if kind.pool]


class Desk:
    """Records of a kind in three pools, of one in which somebody is, one that somebody looks after and one of others;
    and one in the pool that is always there."""

    def __init__(self, office: Office, kind: Kind) -> None:
        self.office, self.kind = office, kind
        self.west = office.call("POST /departments", {"name": f"West {new_id()}"}, office.admin).done()["id"]
        self.member = office.user("SAL", department_id=self.west)
        self.keeper, self.stranger = office.user("SUP"), office.user("SAL")
        self.ours = self.pool(members=[self.west])
        self.kept = self.pool(administrators=[self.keeper.user_id])
        self.others = self.pool(members=[self.keeper.user_id])
        self.records = {pool: self.record(pool) for pool in (self.ours, self.kept, self.others, None)}
        self.project()

    def pool(self, **more: Any) -> str:
        assert self.kind.pools
        body = {"name": f"pool {new_id()}", **more}
        id: str = self.office.call(f"POST {self.kind.pools.path}", body, self.office.admin).done()["id"]
        return id

    def record(self, pool: str | None) -> str:
        body = {**new_record(self.kind, self.office.enter), "owner_id": None}
        id: str = self.office.call(f"POST {self.kind.path}", body, self.office.admin).done()["id"]
        if pool:
            self.office.call(f"PUT {self.kind.path}/{id}/pool", {"pool_id": pool}, self.office.admin).done()
        return id

    def project(self) -> None:
        """What happened is in the read models, once."""
        projector = Projector(self.office.database, VIEWS)
        projector.offsets([])
        for service in self.office.stores:
            if facts := self.office.facts(service):
                projector.process([incoming(fact, position) for position, fact in enumerate(facts, start=1)])

    def waiting(self, by: Caller, **query: list[str]) -> set[str | None]:
        """The pools whose record the list shows; whatever is asked, the total tells the same."""
        asked = {"count": ["true"], "limit": ["200"], **query}
        page = self.office.call(f"GET {pool_path(self.kind)}", by=by, query=asked).done()
        assert page["total"] == len(page["items"])
        assert {(row["id"], row["pool_id"]) for row in page["items"]} <= {(id, p) for p, id in self.records.items()}
        return {row["pool_id"] for row in page["items"]}

    def pools(self, by: Caller) -> set[str]:
        assert self.kind.pools
        page = self.office.call(f"GET {self.kind.pools.path}", by=by, query={"limit": ["200"]}).done()
        for row in page["items"]:
            assert self.office.call(f"GET {self.kind.pools.path}/{row['id']}", by=by).done()["name"] == row["name"]
        return {row["id"] for row in page["items"]}


@pytest.fixture(params=POOLED, ids=lambda kind: kind.what)
def desk(request: pytest.FixtureRequest, mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    client: MongoClient[dict[str, Any]] = MongoClient(mongodb_uri, tz_aware=True)
    database = client[f"pools-{new_id()[:8]}"]
    with quick_hashes():
        yield Desk(Office(tmp_path_factory.mktemp("office"), database), request.param)
    client.drop_database(database.name)
    client.close()


def test_led_01_cus_12_sec_18_everybody_sees_their_own_pools_and_what_waits_in_them(desk: Desk) -> None:
    of = {
        desk.member: {desk.ours},
        desk.keeper: {desk.kept, desk.others},
        desk.stranger: set[str](),
        desk.office.admin: {desk.ours, desk.kept, desk.others},
    }
    for by, pools in of.items():
        assert desk.pools(by) == pools, by.name
        assert desk.waiting(by) == {*pools, None}, by.name
        for pool in (desk.ours, desk.kept, desk.others):
            assert desk.waiting(by, pool_id=[pool]) == pools & {pool}, by.name


def test_led_01_cus_12_sec_18_no_way_to_ask_leads_into_a_pool_of_others(desk: Desk) -> None:
    by, path = desk.stranger, pool_path(desk.kind)
    for query in ({"format": ["csv"], "heads": ["names"]}, {"sort": ["owner_since"]}, {"group": ["pool_id"]}):
        body = desk.office.call(f"GET {path}", by=by, query=query).response.body
        told = body.decode("utf-8-sig") if isinstance(body, bytes) else "".join(map(str, body))
        assert not any(id in told for pool, id in desk.records.items() if pool)
        assert not any(pool in told for pool in desk.records if pool)
    assert desk.kind.pools
    assert desk.office.call(f"GET {desk.kind.pools.path}/{desk.ours}", by=by).code == "NOT_FOUND"
    assert desk.office.call(f"GET {desk.kind.pools.path}/{desk.ours}/history", by=by).code == "NOT_FOUND"
    assert desk.office.call(f"POST {desk.kind.path}/{desk.records[desk.ours]}/claim", {}, by).code == "FORBIDDEN"
