"""A second user of approvals: a survey is entered, approval is asked for, the inbox decides it (APR-04, APR-07).

Nothing in the approvals service, its list or its page knows of surveys.  The whole edge runs in this process
(`security.office`), the read models are on a real MongoDB.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from pymongo import MongoClient
from security.office import VIEWS, Caller, Office, new_id, quick_hashes

from chassis.projections.projector import Projector
from chassis.testing.records import new_record
from component.facts import incoming
from contracts.approvals import (
    AskedBecause,
    CallOffApproval,
    RequestApproval,
    Subject,
    case_id_for,
)
from contracts.deciders import Decider, Node
from contracts.marketing import Survey
from contracts.people import Person
from contracts.records import kind_of

KIND = kind_of(Survey)


class Desk:
    """An office whose surveys need approval, and its inbox."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.projector = Projector(office.database, VIEWS)
        self.projector.offsets([])
        self.seen: Counter[str] = Counter()
        self.boss = office.user("SUP", name="boss")
        self.author = office.user("MKT", name="author", superior_id=self.boss.user_id)
        self.clerk = office.user("CMD", name="clerk")
        self.named = office.user("SAL", name="named")
        self.nodes = (
            Node(key="above", title="上级", deciders=(Decider(kind="SUPERIOR"),)),
            Node(
                key="desk",
                title="商务",
                deciders=(
                    Decider(kind="ROLE", role="CMD"),
                    Decider(kind="USER", user_id=UUID(self.named.user_id)),
                ),
            ),
        )

    def survey(self) -> str:
        """Somebody enters a survey, and approval is asked for; the id of the case."""
        body = new_record(KIND, self.office.enter)
        id = UUID(self.office.call(f"POST {KIND.path}", body, self.author).done()["id"])
        case = case_id_for("survey", id, 1)
        self.office.system(
            RequestApproval(
                case_id=case,
                subject=Subject(kind="survey", id=id, title=body["subject"], because=(AskedBecause(rule="每份调查"),)),
                nodes=self.nodes,
                submitter=Person(user_id=UUID(self.author.user_id), name="author"),
                superior_id=UUID(self.boss.user_id),
            )
        )
        self.project()
        return str(case)

    def project(self) -> None:
        """Bring the read models up to date."""
        for service in self.office.stores:
            facts = self.office.facts(service)
            new = facts[self.seen[service] :]
            if new:
                first = self.seen[service] + 1
                self.projector.process([incoming(fact, position) for position, fact in enumerate(new, start=first)])
            self.seen[service] = len(facts)

    def inbox(self, by: Caller, **query: str) -> list[dict[str, Any]]:
        asked = {name: [value] for name, value in {"limit": "200", **query}.items()}
        found: list[dict[str, Any]] = self.office.call("GET /approvals", by=by, query=asked).done()["items"]
        return found

    def waiting(self, by: Caller) -> int:
        """What the number on the menu shows: what waits for one."""
        asked = {"due_for_me": ["true"], "count": ["true"], "limit": ["1"]}
        return int(self.office.call("GET /approvals", by=by, query=asked).done()["total"])

    def decide(self, case: str, by: Caller, verb: str = "approve", **body: Any) -> dict[str, Any]:
        told: dict[str, Any] = self.office.call(f"POST /approvals/{case}/{verb}", body, by).done()
        self.project()
        return told

    def page(self, case: str, by: Caller) -> dict[str, Any]:
        found: dict[str, Any] = self.office.call(f"GET /approvals/{case}", by=by).done()
        return found


@pytest.fixture(scope="module")
def desk(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    client: MongoClient[dict[str, Any]] = MongoClient(mongodb_uri, tz_aware=True)
    database = client[f"approvals-{new_id()[:8]}"]
    with quick_hashes():
        yield Desk(Office(tmp_path_factory.mktemp("office"), database))
    client.drop_database(database.name)
    client.close()


def test_apr_07_a_survey_is_approved_node_by_node_in_the_inbox(desk: Desk) -> None:
    before = {by.name: desk.waiting(by) for by in (desk.boss, desk.clerk, desk.named, desk.author)}
    case = desk.survey()

    [row] = desk.inbox(desk.boss, kind="survey", due_for_me="true")[-1:]
    assert (row["id"], row["kind"], row["link"]) == (case, "survey", f"{KIND.path}/{row['subject_id']}")
    assert (row["due"], row["due_title"], row["due_since"]) == ("above", "上级", row["opened_at"])
    assert row["due_for"] == [{"kind": "SUPERIOR", "names": ["boss"], "user_id": desk.boss.user_id, "vacant": False}]
    assert (row["due_for_me"], row["amount"], row["order_id"]) == (True, None, None)
    allowed: dict[str, Any] = {"allowed": True, "status": None, "code": None, "reason": None, "params": {}}
    assert row["actions"] == [{"command": "Approve", **allowed}, {"command": "Reject", **allowed}]
    assert row["because"] == [{"rule": "每份调查", "limit": None, "value": None}]
    assert desk.waiting(desk.boss) == before["boss"] + 1
    assert (desk.waiting(desk.clerk), desk.waiting(desk.author)) == (before["clerk"], before["author"])
    early = desk.office.call(f"POST /approvals/{case}/approve", {}, desk.clerk)
    assert (early.code, early.body["reason"], early.body["state"]) == ("INVALID_STATE", "approvals.too_early", "above")
    for action in desk.page(case, desk.clerk)["actions"]:
        why = {name: early.body[name] for name in ("code", "reason", "params")}
        assert action == {"command": action["command"], "allowed": False, "status": None, **why}, (
            "as the command is refused"
        )

    assert desk.decide(case, desk.boss, comment="fine")["due"] == "desk"
    assert desk.waiting(desk.boss) == before["boss"]
    assert [desk.waiting(by) for by in (desk.clerk, desk.named)] == [before["clerk"] + 1, before["named"] + 1]
    done = desk.office.call(f"POST /approvals/{case}/approve", {}, desk.boss)
    assert (done.code, done.body["reason"], done.body["state"]) == ("INVALID_STATE", "approvals.turn_of_others", "desk")

    assert desk.decide(case, desk.named)["status"] == "APPROVED"
    page = desk.page(case, desk.clerk)
    told = [(node["key"], node["state"], node["by"], node["comment"]) for node in page["nodes"]]
    assert told == [("above", "APPROVED", "boss", "fine"), ("desk", "APPROVED", "named", "")]
    assert (page["status"], page["due"], page["due_for"], page["due_for_me"]) == ("APPROVED", None, [], False)
    assert [desk.waiting(by) for by in (desk.clerk, desk.named)] == [before["clerk"], before["named"]]


def test_apr_09_apr_11_what_is_turned_down_or_called_off_waits_for_nobody(desk: Desk) -> None:
    turned_down, called_off = desk.survey(), desk.survey()
    desk.decide(turned_down, desk.boss, "reject", reason="no")
    desk.office.system(CallOffApproval(case_id=UUID(called_off), reason="WITHDRAWN"))
    desk.project()
    page = desk.page(turned_down, desk.clerk)
    assert [(node["key"], node["state"]) for node in page["nodes"]] == [("above", "REJECTED"), ("desk", "CLOSED")]
    page = desk.page(called_off, desk.clerk)
    assert (page["status"], page["closed_because"]) == ("CLOSED", "WITHDRAWN")
    waiting = {row["id"] for by in (desk.boss, desk.clerk) for row in desk.inbox(by, due_for_me="true")}
    assert not waiting & {turned_down, called_off}
    late = desk.office.call(f"POST /approvals/{called_off}/approve", {}, desk.boss)
    assert (late.code, late.body["state"]) == ("INVALID_STATE", "CLOSED")


def test_sec_16_who_is_named_by_no_node_neither_sees_nor_decides_it(desk: Desk) -> None:
    case = desk.survey()
    for role in ("SAL", "SUP", "FIN", "WHS", "MGT"):
        by = desk.office.user(role)
        assert not [row for row in desk.inbox(by) if row["id"] == case], role
        assert desk.office.call(f"GET /approvals/{case}", by=by).code == "NOT_FOUND"
        assert desk.office.call(f"POST /approvals/{case}/approve", {}, by).code == "FORBIDDEN"
    [row] = [row for row in desk.inbox(desk.office.admin) if row["id"] == case]
    assert row["due_for_me"], "who leads everybody decides what nobody else may"


def test_uix_13_the_inbox_is_told_apart_by_kind_and_says_what_else_waits(desk: Desk) -> None:
    case = desk.survey()
    admin = desk.office.admin
    assert {row["kind"] for row in desk.inbox(admin, kind="survey")} == {"survey"}
    assert desk.inbox(admin, kind="order") == []
    mine, others = desk.inbox(desk.boss, due_for_me="true"), desk.inbox(desk.boss, due_for_me="false")
    assert case in {row["id"] for row in mine} and case not in {row["id"] for row in others}
    assert all(row["due_for_me"] for row in mine) and not any(row["due_for_me"] for row in others)
    refused = desk.office.call("GET /approvals", by=admin, query={"due_for_me": ["perhaps"]})
    assert (refused.code, refused.body["field"]) == ("VALIDATION", "due_for_me")
