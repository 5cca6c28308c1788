"""What lists, pages, totals and exports show of others' records, and which fields, in a real MongoDB (SEC-16, SEC-18).

The whole edge runs in this process (`security.office`); the read models are projected once from what its people did.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, get_type_hints
from urllib.parse import parse_qs

import pytest
from openpyxl import load_workbook
from pymongo import MongoClient
from security.office import VIEWS, Caller, Office, Told, new_id, quick_hashes
from security.teams import Team, add_product

from chassis.projections.projector import Projector
from component.facts import incoming
from component.lists import document_of
from contracts.permissions import DATA_SCOPES
from contracts.records import KINDS, Kind

Shown = Callable[[Office, str, Caller], set[str]]

OWNED = [kind for kind in KINDS.values() if kind.owned or kind.reached_through]
LISTS = {**{kind.path: kind.code for kind in OWNED}, "/orders": "order", "/approvals": "case"}
"""The lists of records with owners, and which record they show."""
WITHOUT_PAGES = {"/reports/leads": "lead"}
"""Such lists besides, which have no page of one."""
SHOWN = {**LISTS, **WITHOUT_PAGES}

REPORTS = {
    "/reports/sales-by-day": "sales_by_day",
    "/reports/sales-by-product": "sales_by_product",
    "/reports/sales-by-brand": "sales_by_brand",
}
"""Reports that add up records with owners, and where they are stored."""


class Rows:
    """The ids of each team's records: (scope, relation) -> kind of record -> id."""

    def __init__(self, office: Office) -> None:
        product_id = add_product(office)
        self.teams = {scope: Team.gather(office, scope, product_id) for scope in DATA_SCOPES}
        self.ids: dict[tuple[str, str], dict[str, str]] = {}
        for scope, team in self.teams.items():
            for relation, owner in team.owners.items():
                found = {kind.code: team.record(kind, owner) for kind in OWNED if kind.owned}
                office.tell_all()
                found |= {kind.code: team.record(kind, owner, found) for kind in OWNED if kind.reached_through}
                office.tell_all()
                order = team.order(owner, submitted=True, customer=found["customer"])
                self.ids[scope, relation] = {**found, "order": order, "case": team.case(owner)}

    def expected(self, scope: str, kind: str) -> set[str]:
        """The ids of the records of this team that its caller reaches; the one with ALL reaches every team's."""
        team = self.teams[scope]  # type: ignore[index]
        if scope == "ALL":
            return {ids[kind] for ids in self.ids.values()}
        return {self.ids[scope, relation][kind] for relation, _, reached in team.cells() if reached}

    def hidden(self, scope: str, kind: str) -> set[str]:
        return {ids[kind] for ids in self.ids.values()} - self.expected(scope, kind)


@pytest.fixture(scope="module")
def office(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    client: MongoClient[dict[str, Any]] = MongoClient(mongodb_uri, tz_aware=True)
    database = client[f"scopes-{new_id()[:8]}"]
    with quick_hashes():
        yield Office(tmp_path_factory.mktemp("office"), database)
    client.drop_database(database.name)
    client.close()


@pytest.fixture(scope="module")
def rows(office: Office) -> Rows:
    """Everybody's records, projected."""
    made = Rows(office)
    projector = Projector(office.database, VIEWS)
    projector.offsets([])
    for service in office.stores:
        facts = office.facts(service)
        if facts:
            projector.process([incoming(fact, position) for position, fact in enumerate(facts, start=1)])
    return made


def ids_of(told: Told) -> set[str]:
    return {row["id"] for row in told.done()["items"]}


def pages(office: Office, path: str, by: Caller) -> set[str]:
    """Every row, two a page."""
    found: set[str] = set()
    query: dict[str, list[str]] = {"limit": ["2"]}
    while True:
        page = office.call(f"GET {path}", by=by, query=query)
        found |= ids_of(page)
        if page.body["next"] is None:
            return found
        query["cursor"] = [page.body["next"]]


def as_csv(office: Office, path: str, by: Caller) -> set[str]:
    body = office.call(f"GET {path}", by=by, query={"format": ["csv"], "heads": ["names"]}).response.body
    return {row["id"] for row in csv.DictReader(io.StringIO(body.decode("utf-8-sig")))}


def as_xlsx(office: Office, path: str, by: Caller) -> set[str]:
    body = office.call(f"GET {path}", by=by, query={"format": ["xlsx"], "heads": ["names"]}).response.body
    names, *rest = load_workbook(io.BytesIO(body)).worksheets[0].iter_rows(values_only=True)
    return {str(row[names.index("id")]) for row in rest}


WAYS: Mapping[str, Shown] = {
    "pages": pages,
    "csv": as_csv,
    "xlsx": as_xlsx,
    "another order": lambda office, path, by: ids_of(
        office.call(f"GET {path}", by=by, query={"sort": [{"/approvals": "number"}.get(path, "created_at")]})
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("path", SHOWN)
def test_SEC_18_lists_and_exports_show_what_the_right_reaches(office: Office, rows: Rows, path: str, way: str) -> None:
    for scope, team in rows.teams.items():
        assert WAYS[way](office, path, team.caller) == rows.expected(scope, SHOWN[path]), scope


@pytest.mark.parametrize("path", SHOWN)
def test_SEC_18_totals_count_what_the_right_reaches(office: Office, rows: Rows, path: str) -> None:
    for scope, team in rows.teams.items():
        page = office.call(f"GET {path}", by=team.caller, query={"count": ["true"], "limit": ["1"]}).done()
        assert page["total"] == len(rows.expected(scope, SHOWN[path])), scope


@pytest.mark.parametrize("path", SHOWN)
def test_SEC_18_no_filter_leads_beyond_the_reach(office: Office, rows: Rows, path: str) -> None:
    """Filters narrow; neither another's owner id nor a word of another's record finds it."""
    for scope, team in rows.teams.items():
        seen = rows.expected(scope, SHOWN[path])
        assert ids_of(office.call(f"GET {path}", by=team.caller, query={"q": ["stranger"], "limit": ["200"]})) <= seen
        if path in {kind.path for kind in OWNED if kind.owned} | {"/orders", *WITHOUT_PAGES}:
            stranger = team.owners["stranger"].user_id
            found = office.call(f"GET {path}", by=team.caller, query={"owner_id": [stranger], "limit": ["200"]})
            assert bool(ids_of(found)) == team.reaches("stranger"), scope


@pytest.mark.parametrize("path", LISTS)
def test_SEC_18_a_page_of_what_the_right_does_not_reach_is_not_found(office: Office, rows: Rows, path: str) -> None:
    """The same answer as for an id that names nothing."""
    kind = LISTS[path]
    for scope, team in rows.teams.items():
        nothing = office.call(f"GET {path}/{new_id()}", by=team.caller)
        assert nothing.code == "NOT_FOUND"
        for id in rows.expected(scope, kind):
            assert office.call(f"GET {path}/{id}", by=team.caller).done()["id"] == id
        for id in rows.hidden(scope, kind):
            assert office.call(f"GET {path}/{id}", by=team.caller).body == nothing.body, scope


def booked(rows: Iterable[Mapping[str, Any]]) -> tuple[int, Decimal]:
    found = [(int(row["booked_quantity"]), Decimal(str(row["booked_amount"]))) for row in rows]
    return sum(quantity for quantity, _ in found), sum((amount for _, amount in found), Decimal(0))


@pytest.mark.parametrize("kind", OWNED, ids=lambda kind: kind.code)
def test_SEC_18_CUS_07_the_page_of_all_about_a_record_tells_what_each_list_does(
    office: Office, rows: Rows, kind: Kind
) -> None:
    for scope, team in rows.teams.items():
        for id in rows.hidden(scope, kind.code):
            assert office.call(f"GET {kind.path}/{id}/overview", by=team.caller).code == "NOT_FOUND", scope
        for id in rows.expected(scope, kind.code):
            for part in office.call(f"GET {kind.path}/{id}/overview", by=team.caller).done()["parts"].values():
                path, _, query = part["path"].partition("?")
                asked = {**parse_qs(query), "count": ["true"]}
                page = office.call(f"GET {path}", by=team.caller, query=asked).done()
                assert (part["items"], part["total"]) == (page["items"], page["total"]), f"{scope} {path}"


@pytest.mark.parametrize("path", REPORTS)
def test_SEC_18_reports_add_up_what_the_right_reaches(office: Office, rows: Rows, path: str) -> None:
    """Rows, total and export, for every scope; what is stored of each owner is shown as one row."""
    days = {"$exists": path == "/reports/sales-by-day"}  # the other reports have rows of all days besides
    of_one = booked(office.database[REPORTS[path]].find({"owner_id": rows.teams["OWN"].caller.user_id, "day": days}))
    assert of_one[0] == 1
    for scope, team in rows.teams.items():
        count = len(rows.expected(scope, "order"))
        expected = (count * of_one[0], count * of_one[1])
        page = office.call(f"GET {path}", by=team.caller, query={"count": ["true"]}).done()
        assert booked(page["items"]) == expected, scope
        assert page["total"] == len(page["items"]) == 1, scope
        body = office.call(f"GET {path}", by=team.caller, query={"format": ["csv"], "heads": ["names"]}).response.body
        assert booked(csv.DictReader(io.StringIO(body.decode("utf-8-sig")))) == expected, scope


def test_SEC_18_filters_of_reports_ask_the_sums(office: Office, rows: Rows) -> None:
    path, by = "/reports/sales-by-product", rows.teams["ALL"].caller
    [row] = office.call(f"GET {path}", by=by).done()["items"]
    assert row["sold_amount"] == "0", "a sum of nothing is 0"
    for query in ({"q": [row["name"].upper()]}, {"product_id": [row["product_id"]]}, {"brand": [row["brand"]]}):
        assert office.call(f"GET {path}", by=by, query=query).done()["items"] == [row]
    assert office.call(f"GET {path}", by=by, query={"q": ["nothing"]}).done()["items"] == []
    last = office.call(f"GET {path}", by=by, query={"limit": ["1"], "sort": ["name"]}).done()
    assert last["next"] is None


def test_SEC_18_purchases_are_those_of_orders_that_the_right_reaches(office: Office, rows: Rows) -> None:
    [view] = [view for view in VIEWS if view.path == "/purchases"]
    sold = [
        (owner, rows.ids[scope, relation]["order"])
        for scope, team in rows.teams.items()
        for relation, owner in team.owners.items()
    ]
    bought = [
        document_of(view, number, order_id=order, owner_id=str(owner.user_id))
        for number, (owner, order) in enumerate(sold)
    ]
    office.database[view.name].insert_many(bought)
    for scope, team in rows.teams.items():
        page = office.call("GET /purchases", by=team.caller, query={"limit": ["200"], "count": ["true"]}).done()
        expected = rows.expected(scope, "order")
        assert {row["order_id"] for row in page["items"]} == expected and page["total"] == len(expected), scope


def test_SEC_18_no_list_of_records_with_owners_is_untested() -> None:
    """A view with an owner's field has a scope, and is tested here."""
    scoped = {view.path for view in VIEWS if (view.scope or view.reached_through) and view.is_list}
    # test_named_pools.py; tests/e2e: test_access.py, test_collaboration.py, test_saved_views.py
    elsewhere = {"/devices", "/recently-viewed", "/saved-views", "/default-views", "/notices"}
    elsewhere |= {kind.pools.path for kind in KINDS.values() if kind.pools}
    assert scoped == {*SHOWN, *REPORTS, "/purchases", *elsewhere}
    assert {view.path for view in VIEWS if view.scope or view.reached_through} == {
        *scoped,
        "/orders/{order_id}",
        "/notice-ways/{user_id}",
    }
    for view in VIEWS:
        if "owner_id" in get_type_hints(view.row) and view.permission != "accounts":
            assert view.scope is not None, f"{view.name} shows owners and no scope limits it"


# -- fields (INV-02) --------------------------------------------------------------------------------------------------

COSTS = {"purchase_price", "sold_cost", "cost_incomplete", "profit_rate", "unit_cost"}


def names_in(value: Any) -> set[str]:
    """The names of all fields, at any depth."""
    if isinstance(value, dict):
        return set(value) | {name for inner in value.values() for name in names_in(inner)}
    return {name for inner in value for name in names_in(inner)} if isinstance(value, list) else set()


@pytest.mark.parametrize("role", ["SAL", "SUP", "MGT", "FIN", "CMD", "WHS", "SEA", "BRO", "HQ", "MKT", "ADM"])
def test_API3_the_purchase_price_shows_to_those_who_may_know_it_on_every_page(
    office: Office, rows: Rows, role: str
) -> None:
    """Management, finance and administrators; nobody else, in no list, page or export."""
    caller, found = office.user(role), set()
    for view in VIEWS:
        if not office.principal_of(caller).may(view.permission) or not view.is_list:
            continue
        page = office.call(f"GET {view.path}", by=caller).done()
        found |= names_in(page["items"])
        if view.detail and page["items"]:
            found |= names_in(office.call(f"GET {view.path}/{page['items'][0]['id']}", by=caller).done())
        body = office.call(f"GET {view.path}", by=caller, query={"format": ["csv"], "heads": ["names"]}).response.body
        found |= set(next(csv.reader(io.StringIO(body.decode("utf-8-sig")))))
    for order in rows.expected("ALL", "order"):
        told = office.call(f"GET /orders/{order}", by=caller)
        found |= names_in(told.body) if told.status == 200 else set()
    may_know = role in ("MGT", "FIN", "ADM")
    assert bool(found & COSTS) == may_know, found & COSTS
    assert "unit_cost" not in found, "orders keep it for the reports; no page shows it"
