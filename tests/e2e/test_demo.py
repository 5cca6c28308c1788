"""The demo's comparison at a running system: what it waits for is told by every view it compares."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from component.support import Company, until

from chassis.projections.collections import connect
from deploy.demo import check
from deploy.demo.check import Views, compare, settle
from deploy.demo.errors import DemoError
from deploy.demo.replay import Run


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
