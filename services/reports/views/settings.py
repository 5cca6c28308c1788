"""How is the company set up?  Sales process and customer settings as last set (APR-15, CUS-02)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chassis.views import Change, EventInfo, Set, View
from contracts.customers import CustomerSettingsSet
from contracts.orders import SalesProcessSet


@dataclass
class SettingsRow:
    """One group of settings; there is no row for a group nobody has changed: its defaults apply."""

    id: str
    values: dict[str, Any]
    by: str
    at: datetime
    version: int


def sales_process(fact: SalesProcessSet, event: EventInfo) -> Iterable[Change]:
    yield Set(
        fact.settings_id,
        values={
            "threshold": fact.threshold,
            "route": fact.route,
            "shipping": fact.shipping,
            "rates": fact.rates,
        },
        by=fact.by.name,
        at=event.at,
        version=event.version,
    )


def customers(fact: CustomerSettingsSet, event: EventInfo) -> Iterable[Change]:
    yield Set(fact.settings_id, values={"required": fact.required}, by=fact.by.name, at=event.at, version=event.version)


VIEW = View(
    name="settings",
    route="GET /settings",
    detail="settings_id",
    row=SettingsRow,
    permission="settings.view",
    what="settings",
    handlers={SalesProcessSet: sales_process, CustomerSettingsSet: customers},
    sorts=("at",),
)
