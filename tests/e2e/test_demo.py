"""The demo's comparison at a running system: what it waits for is told by every view it compares."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from component.people import SETTINGS
from component.support import Company, problem_of, until

from chassis.projections.collections import connect
from deploy.demo import check
from deploy.demo.check import Views, compare, settle
from deploy.demo.company import DemoCompany
from deploy.demo.errors import DemoError
from deploy.demo.replay import Run
from deploy.local.system import LocalSystem


def test_every_view_that_the_demo_compares_tells_when_it_has_read_all(company: Company) -> None:
    views = Views(connect(company.config))
    compared = {comparison.view for comparison in compare(views, Run("nothing", []))}
    assert {"orders", "products", "order_pages"} <= compared

    settle(views, Run("nothing", []))  # raises DemoError if one does not

    moment = datetime.now(UTC)
    until(lambda: not views.behind(moment, compared))
    assert views.behind(moment + timedelta(days=1), compared) == sorted(compared)


def test_a_view_that_does_not_come_up_to_date_is_named(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    views = Views(connect(company.config))
    monkeypatch.setattr(check, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(views, "behind", lambda moment, names: ["stock_ledger"])
    with pytest.raises(DemoError, match="stock_ledger did not come up to date"):
        settle(views, Run("nothing", []))


def _fails(company: Company, name: str, times: int) -> None:
    """Wrong sign-ins in somebody's name, by whoever."""
    for _ in range(times):
        answer = company.http.post("/sessions", json={"name": name, "password": "Not-It-2026"})
        problem_of(answer, "UNAUTHENTICATED")


def _set_access(people: DemoCompany, **settings: Any) -> None:
    answer = people.sign_in("admin").send("PUT", "/settings/access", {**SETTINGS, **settings})
    assert answer.status_code == 200, answer.text


def test_who_fails_to_sign_in_as_one_of_the_demonstration_keeps_nobody_from_it(
    system: LocalSystem, company: Company
) -> None:
    """A verification image that is asked for since is answered with the installation's keys (SEC-08)."""
    people = DemoCompany(system)
    _set_access(people, challenge="AFTER_FAILURE")
    for name in ("li", "admin"):
        _fails(company, name, 1)
        body = {"name": name, "password": "Not-It-2026"}
        assert problem_of(company.http.post("/sessions", json=body), "VALIDATION")["state"] == "REQUIRED"
        assert people.sign_in(name).token()
    _set_access(people, challenge="ALWAYS")
    assert people.sign_in("sato").token()
    _set_access(people, challenge="NEVER")


def test_what_keeps_one_of_the_demonstration_out_is_told_with_the_way_out(
    system: LocalSystem, company: Company
) -> None:
    people = DemoCompany(system)
    _set_access(people)
    for name in ("li", "admin"):  # also whoever would let others in again
        _fails(company, name, 5)
        with pytest.raises(DemoError, match=f"tried wrong passwords.* `make token USER={name} RENEW=1`"):
            people.sign_in(name)
    with pytest.raises(DemoError, match="admin can't sign in"):
        people.renew("li")
    for name in ("admin", "li"):
        people.renew(name)
        assert people.sign_in(name).token()

    tanaka = people.sign_in("tanaka")
    [user] = people.sign_in("admin").send("GET", "/users?login=tanaka").json()["items"]
    given = {"default_password": "Another-2026"}
    path = f"/users/{user['id']}/default-password"
    assert people.sign_in("admin").send("POST", path, given).status_code == 200
    with pytest.raises(DemoError, match=r"the password is another one .* `make token USER=tanaka RENEW=1`"):
        people.sign_in("tanaka")
    people.renew("tanaka")
    assert people.sign_in("tanaka").user_id == tanaka.user_id

    _set_access(people, second_factor_roles=["SAL"])
    with pytest.raises(DemoError, match=r"a second proof is asked for .MAIL.*second_factor_roles"):
        people.sign_in("tanaka")
    _set_access(people)
    assert people.sign_in("tanaka").token()
