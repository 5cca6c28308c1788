"""Every declared kind of record on the running system: entered, found, changed, deleted and brought back."""

from __future__ import annotations

from uuid import uuid4

import pytest
from component.support import Company, eventually

from chassis.model.record_views import record_view
from chassis.model.views import Words
from chassis.testing.records import new_record
from contracts.declare import REGISTRY
from contracts.records import KINDS, Kind

REGISTRY.load()


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind.what) for kind in KINDS.values()])
def test_a_record_is_entered_found_changed_deleted_and_restored(company: Company, kind: Kind) -> None:
    words = next(rule for rule in record_view(kind.cls).filters.values() if isinstance(rule, Words))
    text, mark = words.fields[0], f"値 {uuid4().hex[:12]}"
    admin = company.admin
    record = admin.post(kind.path, {**new_record(kind, admin.enter), text: mark})["id"]
    place = f"{kind.path}/{record}"

    def found(times: int) -> None:
        assert [row["id"] for row in admin.items(kind.path, q=mark)] == [record] * times

    eventually(lambda: found(1))
    page = admin.get(place)
    assert page[text] == mark
    allowed = {action["command"]: action["allowed"] for action in page["actions"] if action["status"] is None}
    assert {kind.edit.__name__, kind.delete.__name__} < allowed.keys()
    out_of_the_pool = {kind.assign_in_turn.__name__} if kind.assign_in_turn else set()  # where it is not
    of_every_kind = {command.__name__ for command in kind.commands}  # those of its own know more conditions
    assert {command for command in allowed.keys() & of_every_kind if not allowed[command]} == out_of_the_pool
    first = admin.send("GET", kind.path, params={"q": mark, "count": "true"})
    known = {"If-None-Match": f'"other", {first.headers["ETag"]}'}
    again = admin.send("GET", kind.path, params={"q": mark, "count": "true"}, headers=known)
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    changed = admin.do("PATCH", place, {text: f"{mark} changed"})
    assert changed["version"] == 2
    eventually(lambda: _shows(admin.get(place)[text], f"{mark} changed"))
    assert admin.send("GET", kind.path, params={"q": mark, "count": "true"}, headers=known).status_code == 200
    admin.do("DELETE", place)
    eventually(lambda: found(0))
    assert admin.send("GET", place).status_code == 404
    for asked in ({"deleted": "true"}, {"where": '{"field": "deleted", "is": "equal", "value": true}'}):
        assert [row["id"] for row in admin.items(kind.path, q=mark, **asked)] == [record]
    refused = admin.send("PATCH", place, {text: "again"})
    assert (refused.status_code, refused.json()["field"]) == (404, kind.key)
    admin.post(f"{place}/restore")
    eventually(lambda: found(1))
    page = admin.get(place)
    assert (page["version"], page[text], page["changed_by"]) == (4, f"{mark} changed", page["created_by"])

    entries = admin.get(f"{place}/history")["items"]
    assert [entry["version"] for entry in entries] == [4, 3, 2, 1]
    assert {"field": text, "before": mark, "after": f"{mark} changed"} in entries[2]["changes"]
    assert entries[1]["changes"] == [{"field": "deleted", "before": False, "after": True}]
    assert {entry["by"]["name"] for entry in entries} == {page["created_by"]}
    then = entries[3]["at"]
    assert admin.get(place, as_of=then)[text] == mark
    assert [row[text] for row in admin.items(kind.path, q=mark, as_of=then)] == [mark]
    admin.post(f"{place}/revert", {"version": 1})
    eventually(lambda: _shows(admin.get(place)[text], mark))
    since_then = admin.get(f"{place}/history", **{"from": then})["difference"]
    assert text not in [change["field"] for change in since_then], "it is as it was"


def _shows(shown: str, wanted: str) -> None:
    assert shown == wanted
