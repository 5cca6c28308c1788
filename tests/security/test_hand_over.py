"""Handing over what belongs to somebody: who may, to whom, and through which services (SEC-14, ADR 0040).

With rows in the lists: tests/e2e/test_ownership.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from chassis.http import hand_over
from chassis.http.messages import HttpRequest, HttpResponse
from chassis.http.routes import kebab
from contracts.errors import Refused, lacks_right
from contracts.records import KINDS
from security.office import Office, new_id

OWNED = [kind for kind in KINDS.values() if kind.owned]


def path(id: str) -> str:
    return f"POST /users/{id}/hand-over"


def test_sec_14_of_somebody_who_has_nothing_nothing_is_given(office: Office) -> None:
    leaver, heir = office.user("SAL"), office.user("SAL")
    told = office.call(path(leaver.user_id), {"to_id": heir.user_id}, office.admin).done()
    nothing = {"given": 0, "left": 0, "refused": []}
    assert told == {"given": 0, "left": 0, "kinds": [{"kind": kind.what, **nothing} for kind in OWNED]}


def test_sec_14_whom_it_is_given_to_must_be_somebody_else_who_is_there(office: Office) -> None:
    leaver, heir, gone = (office.user("SAL") for _ in range(3))
    office.call(f"POST /users/{gone.user_id}/deletion", {"successor_id": heir.user_id}, office.admin).done()
    before = office.state()
    for body, code in (
        ({"to_id": leaver.user_id}, "VALIDATION"),
        ({"to_id": new_id()}, "NOT_FOUND"),
        ({"to_id": gone.user_id}, "INVALID_STATE"),
        ({"to_id": "nobody"}, "VALIDATION"),
        ({"to_id": None}, "VALIDATION"),
    ):
        told = office.call(path(leaver.user_id), body, office.admin)
        assert (told.code, told.body["field"]) == (code, "to_id"), told.body
    for nobody in ("nobody", new_id()):
        told = office.call(path(nobody), {"to_id": heir.user_id}, office.admin)
        assert (told.code, told.body["field"]) == ("NOT_FOUND", "user_id")
    told = office.call(path(leaver.user_id), {"to_id": heir.user_id, "user_id": leaver.user_id}, office.admin)
    assert (told.code, told.body["field"]) == ("VALIDATION", "user_id")
    assert office.call(path(leaver.user_id), {}, office.admin).body["field"] == "to_id"
    assert office.state() == before


def test_sec_14_in_parts_it_goes_by_http_in_the_name_of_the_caller(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list and the commands are of other processes: what they refuse is refused, record by record or whole."""
    leaver, heir, ids = office.user("SAL"), office.user("SAL"), [new_id(), new_id()]
    asked: list[tuple[str, str, str, Any]] = []
    away = HttpResponse(403, json.dumps(lacks_right("orders.view", ["Sales"]).problem()).encode())
    answers: dict[str, HttpResponse] = {}

    class Elsewhere:
        def __init__(self, _: Any) -> None:
            pass

        def to(self, service: str) -> Callable[[HttpRequest], HttpResponse]:
            def serve(http: HttpRequest) -> HttpResponse:
                assert http.headers["authorization"] == office.admin.authorization
                asked.append((service, http.method, http.target, json.loads(http.body() or b"null")))
                return answers[service]

            return serve

    monkeypatch.setattr(hand_over, "Forwarder", Elsewhere)
    monkeypatch.setattr(office.api, "views", [])
    monkeypatch.setattr(office.api, "writers", {"access": office.writers["access"]})
    refusal = Refused("records.out_of_reach").problem()
    results = [{"status": 200, "body": {"id": ids[0]}}, {"status": 403, "body": refusal}]
    for kind in OWNED:
        token = {"Salestream-Consistency": f"{kind.service}.events:0=7"}
        answers[kind.service] = HttpResponse(200, json.dumps({"results": results}).encode(), token)
    answers["reports"] = HttpResponse(200, json.dumps({"items": [{"id": id} for id in ids], "total": 9}).encode())
    told = office.call(path(leaver.user_id), {"to_id": heir.user_id}, office.admin)
    one = {"given": 1, "left": 8, "refused": [{"id": ids[1], "code": "FORBIDDEN", "detail": refusal["detail"]}]}
    assert told.done()["kinds"] == [{"kind": kind.what, **one} for kind in OWNED]
    expected: list[tuple[str, str, str, Any]] = []
    for kind in OWNED:
        query = f"owner_id={leaver.user_id}&limit={hand_over.PORTION}&count=true"
        items = [{"command": {kind.key: id, "owner_id": heir.user_id}} for id in ids]
        bulk = f"/bulk/{kebab(kind.assign.__name__)}"
        expected += [
            ("reports", "GET", f"{kind.path}?{query}", None),
            (kind.service, "POST", bulk, {"items": items}),
        ]
        assert f"{kind.service}.events:0=7" in told.response.headers["Salestream-Consistency"]
    assert asked == expected
    answers["reports"] = away
    told = office.call(path(leaver.user_id), {"to_id": heir.user_id}, office.admin)
    assert (told.status, told.code, told.body["state"]) == (403, "FORBIDDEN", "orders.view")


def test_sec_14_records_that_can_t_be_given_are_in_the_way_of_no_others(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of which a process is under way, say: a whole page of them.  The request goes on to the pages behind it."""
    leaver, heir = office.user("SAL"), office.user("SAL")
    stuck, asked = [new_id() for _ in range(5)], list[str]()
    pages = {"": stuck[:2], "a": stuck[2:4], "b": [stuck[4], new_id()], "c": [new_id()]}
    following = dict(zip(pages, [*list(pages)[1:], None], strict=True))

    class Elsewhere:
        def __init__(self, _: Any) -> None:
            pass

        def to(self, service: str) -> Callable[[HttpRequest], HttpResponse]:
            def serve(http: HttpRequest) -> HttpResponse:
                if http.method == "GET":
                    cursor = http.query.get("cursor", [""])[0]
                    asked.append(cursor)
                    page = {"items": [{"id": id} for id in pages[cursor]], "total": 7, "next": following[cursor]}
                    return HttpResponse(200, json.dumps(page).encode())
                items = json.loads(http.body() or b"null")["items"]
                ids = [next(id for name, id in item["command"].items() if name != "owner_id") for item in items]
                body = Refused("records.out_of_reach").problem()
                results = [{"status": 403, "body": body} if id in stuck else {"status": 200, "body": {}} for id in ids]
                return HttpResponse(200, json.dumps({"results": results}).encode())

            return serve

    monkeypatch.setattr(hand_over, "Forwarder", Elsewhere)
    monkeypatch.setattr(hand_over, "PORTION", 4)
    monkeypatch.setattr(office.api, "views", [])
    monkeypatch.setattr(office.api, "writers", {"access": office.writers["access"]})
    told = office.call(path(leaver.user_id), {"to_id": heir.user_id}, office.admin).done()
    assert asked == ["", "a", "b"] * len(OWNED), "and ends with the page of which it gave some"
    for kind in told["kinds"]:
        assert (kind["given"], kind["left"]) == (1, 6)
        assert [one["id"] for one in kind["refused"]] == stuck[:4], "as many as a page has are told"
    pages["b"] = stuck[4:]
    pages["c"] = []
    asked.clear()
    told = office.call(path(leaver.user_id), {"to_id": heir.user_id}, office.admin).done()
    assert (told["given"], asked) == (0, ["", "a", "b", "c"] * len(OWNED))
