"""Every schedule on the running system: planned, listed, run by hand, switched off and on (ADR 0051)."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from component.support import Company, eventually

from contracts.declare import REGISTRY
from contracts.schedules import SCHEDULES, Schedule

REGISTRY.load()


@pytest.mark.parametrize("one", [pytest.param(one, id=one.name) for one in SCHEDULES.values()])
def test_a_schedule_is_planned_listed_run_and_switched(company: Company, one: Schedule) -> None:
    admin, place = company.admin, f"/schedules/{one.name}"

    def planned() -> None:
        row = {row["id"]: row for row in admin.items("/schedules")}.get(one.name)
        assert row is not None and row["active"] and row["next_run"]
        day, moment = date.fromisoformat(row["next_day"]), datetime.fromisoformat(row["next_run"])
        assert abs(moment.date() - day) <= timedelta(days=1), "in UTC an early hour of the company is a day before"
        about = {
            "action": one.run.__name__,
            "service": one.service,
            "at": f"{one.when.at:%H:%M}",
            "missed": one.when.missed,
        }
        assert about.items() <= row.items()

    eventually(planned)
    answer = admin.post(f"{place}/runs", {"day": "2026-03-02"})
    assert (answer["id"], answer["active"], answer["goes_on"]) == (one.name, True, False)

    def ran() -> None:
        row = admin.get(place)
        assert (row["outcome"], row["last_day"], row["late_by"], row["by"]) == ("OK", "2026-03-02", None, "admin")

    eventually(ran)
    refused = admin.send("POST", f"{place}/runs", {"day": "2999-01-01"})
    assert (refused.status_code, refused.json()["field"]) == (400, "day")
    assert admin.post(f"{place}/runs", {"day": "9999-12-31", "dry": True})["done"] == 0
    for method, path in (("GET", "/schedules"), ("POST", f"{place}/runs"), ("PUT", place)):
        body = None if method == "GET" else {"active": False} if method == "PUT" else {}
        assert company.li.send(method, path, body).status_code == 403

    admin.do("PUT", place, {"active": False})

    def off() -> None:
        row = admin.get(place)
        assert (row["active"], row["next_run"]) == (False, None)

    eventually(off)
    admin.do("PUT", place, {"active": True})
    eventually(planned)
