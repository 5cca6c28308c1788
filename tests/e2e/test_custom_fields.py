"""Fields that a company adds, on the running system, as docs/clients.md tells it (CFG-01, CFG-02)."""

from __future__ import annotations

import csv
import io
import json
from typing import Any
from uuid import uuid4

import pytest
from component.support import Company, Person, eventually

from chassis.testing.records import new_record
from contracts.declare import REGISTRY
from contracts.records import KINDS, Kind

REGISTRY.load()
CHOICES = [{"key": "a", "label": {"zh": "甲"}}, {"key": "b", "label": {"zh": "乙", "en": "Second"}}]


class Fields:
    """The fields that a test adds to a kind, under keys that no other test has; they are retired at its end."""

    def __init__(self, admin: Person, kind: Kind) -> None:
        self.admin, self.kind = admin, kind
        self.mark = f"t{uuid4().hex[:8]}"

    def key(self, name: str) -> str:
        return f"{self.mark}_{name}"

    def path(self, name: str = "") -> str:
        return f"/custom-fields/{self.kind.code}" + (f"/{self.key(name)}" if name else "")

    def add(self, name: str, type: str, **more: Any) -> None:
        label = {"zh": f"{name} {self.mark}", "en": f"{name} of {self.mark}"}
        self.admin.post(self.path(), {"key": self.key(name), "type": type, "label": label, **more})

    def own(self, **values: Any) -> dict[str, Any]:
        return {"own": {self.key(name): value for name, value in values.items()}}

    def enter(self, **values: Any) -> str:
        record = {**new_record(self.kind, self.admin.enter), **self.own(**values)}
        return str(eventually(lambda: self.admin.post(self.kind.path, record))["id"])

    def shown(self, id: str) -> dict[str, Any]:
        own = self.admin.get(f"{self.kind.path}/{id}")["own"]
        return {key.removeprefix(f"{self.mark}_"): value for key, value in own.items() if key.startswith(self.mark)}

    def rows(self, **params: Any) -> list[str]:
        return [row["id"] for row in self.admin.items(self.kind.path, **params)]

    def where(self, name: str, operator: str, value: str) -> str:
        return json.dumps({"field": f"own.{self.key(name)}", "is": operator, "value": value})

    def metadata(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The columns of the list and the parts of the form, by name."""
        told = self.admin.get("/metadata", language="en")
        view = next(one for one in told["views"] if one["list_path"] == self.kind.path)
        form = next(one for one in told["commands"] if one["name"] == self.kind.create.__name__)
        parts = next(field for field in form["fields"] if field["name"] == "own")["parts"]
        return {one["name"]: one for one in view["columns"]}, {one["name"]: one for one in parts}


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind.code) for kind in KINDS.values()])
def test_cfg_01_fields_are_added_used_renamed_and_retired(company: Company, kind: Kind) -> None:
    admin = company.admin
    fields = Fields(admin, kind)
    fields.add("seats", "number", position=1)
    fields.add("grade", "choice", choices=CHOICES, position=2)
    fields.add("uses", "choices", choices=CHOICES)
    fields.add("since", "day", default=["2026-03-01"])
    fields.add("guide", "person")
    fields.add("note", "text")
    fields.add("fee", "formula", formula=f"own.{fields.key('seats')} * 12.5")
    guide, mark = str(company.li.principal.user_id), f"苏州 {uuid4().hex}"
    company.li.get("/me")
    one = fields.enter(seats="12", grade="b", uses=["b", "a"], guide=guide, note=mark)
    other = fields.enter(seats=3, since=None)
    empty = fields.enter()
    eventually(lambda: _same(fields.shown(empty), {"since": "2026-03-01", "fee": None}))
    eventually(
        lambda: _same(
            fields.shown(one),
            {
                "seats": "12",
                "grade": "b",
                "uses": ["a", "b"],
                "guide": guide,
                "note": mark,
                "since": "2026-03-01",
                "fee": "150",
            },
        )
    )
    assert fields.shown(other) == {"seats": "3", "fee": "37.5"}

    assert fields.rows(where=fields.where("seats", "at_least", "3"), sort=f"own.{fields.key('fee')}") == [other, one]
    assert fields.rows(where=fields.where("fee", "less", "100")) == [other]
    assert fields.rows(q=mark) == [one]
    assert fields.rows(sort=f"-own.{fields.key('seats')}")[:2] == [one, other]
    group = admin.get(kind.path, group=f"own.{fields.key('grade')}", sum=f"own.{fields.key('seats')}")["groups"]
    assert {"value": "b", "count": 1, "sums": {f"own.{fields.key('seats')}": "12"}} in group

    columns, parts = fields.metadata()
    assert columns[f"own.{fields.key('grade')}"]["label"] == f"grade of {fields.mark}"
    assert [choice["label"] for choice in parts[fields.key("grade")]["choices"]] == ["甲", "Second"]
    assert fields.key("fee") not in parts
    file = admin.send("GET", kind.path, params={"format": "csv", "q": mark}, headers={"Accept-Language": "en"})
    [row] = list(csv.DictReader(io.StringIO(file.content.decode("utf-8-sig"))))
    assert (row[f"seats of {fields.mark}"], row[f"grade of {fields.mark}"]) == ("12", "Second")

    admin.do("PATCH", fields.path("seats"), {"label": {"en": "Chairs"}})
    admin.do("PATCH", fields.path("grade"), {"choices": CHOICES[:1]})
    place = f"{kind.path}/{one}"
    eventually(lambda: admin.assert_refused("VALIDATION", "PATCH", f"{kind.path}/{other}", fields.own(grade="b")))
    admin.do("PATCH", place, fields.own(grade="b", seats="13", note=None))
    eventually(lambda: _same(fields.shown(one)["seats"], "13"))
    assert fields.shown(one)["grade"] == "b"
    assert fields.metadata()[0][f"own.{fields.key('seats')}"]["label"] == "Chairs"
    history = admin.get(f"{place}/history")["items"]
    assert history[0]["changes"] == [
        {"field": f"own.{fields.key('note')}", "before": mark, "after": None},
        {"field": f"own.{fields.key('seats')}", "before": "12", "after": "13"},
    ]
    then = history[1]["at"]
    assert admin.get(place, as_of=then)["own"][fields.key("fee")] == "150"
    admin.do("PATCH", fields.path("fee"), {"formula": f"own.{fields.key('seats')} * 2"})
    eventually(lambda: _same(fields.shown(one)["fee"], "26"))
    assert admin.get(place, as_of=then)["own"][fields.key("fee")] == "150"  # by the formula of then
    assert fields.rows(where=fields.where("fee", "at_least", "150"), as_of=then) == [one]
    assert fields.rows(where=fields.where("fee", "at_least", "150")) == []
    admin.post(f"{place}/revert", {"version": 1, "fields": ["own"]})
    eventually(lambda: _same(fields.shown(one)["note"], mark))

    assert admin.assert_refused("INVALID_STATE", "DELETE", fields.path("seats"))["params"]["names"] == [
        fields.key("fee")
    ]
    for name in ("fee", "seats", "note"):
        admin.do("DELETE", fields.path(name))
    eventually(lambda: admin.assert_refused("INVALID_STATE", "PATCH", place, fields.own(seats="14")))
    assert "fee" not in fields.shown(one)
    assert (fields.shown(one)["seats"], fields.shown(one)["note"]) == ("12", mark)
    assert fields.metadata()[0][f"own.{fields.key('note')}"]["retired"]
    admin.post(f"{fields.path('note')}/restore")
    eventually(lambda: admin.do("PATCH", place, fields.own(note="again")))
    defined = admin.get(f"/custom-fields/{kind.code}")["fields"]
    assert (defined[fields.key("seats")]["retired"], defined[fields.key("note")]["retired"]) == (True, False)


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind.code) for kind in KINDS.values()])
def test_cfg_01_a_file_on_the_record_is_given_found_and_told_in_its_history(company: Company, kind: Kind) -> None:
    admin = company.admin
    fields = Fields(admin, kind)
    fields.add("scan", "file")
    one, other = fields.enter(), fields.enter()
    sent = {"Authorization": f"Bearer {admin.token}"}
    uploaded = company.http.post("/files", content=b"%PDF-1.7\n%%EOF\n", headers=sent).json()
    body = {"subject_kind": kind.code, "subject_id": one, "file_id": uploaded["id"], "name": "合同.pdf"}
    file = eventually(lambda: admin.post("/attachments", body))["id"]
    eventually(lambda: admin.do("PATCH", f"{kind.path}/{one}", fields.own(scan=file)))
    eventually(lambda: _same(fields.shown(one), {"scan": file}))
    assert fields.rows(where=fields.where("scan", "equal", file)) == [one]
    [change] = admin.get(f"{kind.path}/{one}/history")["items"][0]["changes"]
    assert change == {"field": f"own.{fields.key('scan')}", "before": None, "after": file}
    refusal = admin.assert_refused("NOT_FOUND", "PATCH", f"{kind.path}/{other}", fields.own(scan=file))
    assert refusal["field"] == f"own.{fields.key('scan')}"
    columns, parts = fields.metadata()
    assert columns[f"own.{fields.key('scan')}"]["type"] == parts[fields.key("scan")]["type"] == "id"
    admin.do("DELETE", fields.path("scan"))


def test_cfg_01_what_is_not_given_is_refused_by_name_in_one_and_in_bulk(company: Company) -> None:
    admin, kind = company.admin, next(kind for kind in KINDS.values() if not kind.owned)
    fields = Fields(admin, kind)
    fields.add("seats", "number", required=True)
    try:
        name = f"own.{fields.key('seats')}"
        body = new_record(kind, admin.enter)
        eventually(lambda: _names(admin.assert_refused("VALIDATION", "POST", kind.path, body), name))
        for own in ({"seats": "1e400"}, {"seats": "NaN"}, {"seats": None}):
            _names(admin.assert_refused("VALIDATION", "POST", kind.path, {**body, **fields.own(**own)}), name)
        for key in ("$where", "a.b", "__proto__"):
            told = admin.assert_refused("VALIDATION", "POST", kind.path, {**body, "own": {key: "1"}})
            assert told["field"].startswith("own.")
        items = [{"command": body}, {"command": {**body, **fields.own(seats="7")}}]
        results = admin.do("POST", f"/bulk/create-{kind.code}", {"items": items})["results"]
        assert [one["status"] for one in results] == [400, 201]
    finally:
        admin.do("PATCH", fields.path("seats"), {"required": False})
        eventually(lambda: admin.post(kind.path, new_record(kind, admin.enter)))
        admin.do("DELETE", fields.path("seats"))


def test_cfg_01_who_may_not_set_things_up_adds_none(company: Company) -> None:
    body = {"key": "mine", "type": "text", "label": {"zh": "我的"}}
    for person in (company.li, company.wang):
        person.assert_refused("FORBIDDEN", "POST", "/custom-fields/customer", body)
        person.assert_refused("FORBIDDEN", "DELETE", "/custom-fields/customer/mine")
        person.assert_refused("FORBIDDEN", "GET", "/custom-fields")


def _same(shown: Any, wanted: Any) -> None:
    assert shown == wanted


def _names(problem: dict[str, Any], field: str) -> None:
    assert problem["field"] == field
