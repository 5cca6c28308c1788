"""How is the company set up?  Every group of settings as it is now (APR-15, CUS-02, NTF-03, SEC-04..08, SEC-27,
SET-01..04).

`values` can be put back as they are, and so can `defaults`, what holds while nobody has set anything.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chassis.model.changes import Change, EventMetadata, Set
from chassis.model.views import COMPANY_CURRENCY, View
from contracts.access import AccessSettingsSet
from contracts.company import CompanyDataSet, LogoSet
from contracts.customers import CustomerSettingsSet
from contracts.devices import DevicePolicySet
from contracts.notices import NoticeWaysSet
from contracts.orders import SalesProcessSet
from contracts.settings import DEFAULTS


@dataclass
class SettingsRow:
    """One group of settings, with the values it had before anybody set it (version 0: nobody has)."""

    id: str
    values: dict[str, Any]
    defaults: dict[str, Any]
    by: str
    at: datetime
    version: int


def sales_process(event: SalesProcessSet, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(
        event.settings_id,
        values={
            "threshold": event.threshold,
            "route": event.route,
            "shipping": event.shipping,
            "rates": event.rates,
        },
        by=event.by.name,
        at=metadata.at,
        version=metadata.version,
    )


def customers(event: CustomerSettingsSet, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(
        event.settings_id,
        values={"required": event.required},
        by=event.by.name,
        at=metadata.at,
        version=metadata.version,
    )


def access(event: AccessSettingsSet, metadata: EventMetadata) -> Iterable[Change]:
    yield _set(event, event, "access", metadata)


def devices(event: DevicePolicySet, metadata: EventMetadata) -> Iterable[Change]:
    yield _set(event, event, "devices", metadata)


def notices(event: NoticeWaysSet, metadata: EventMetadata) -> Iterable[Change]:
    yield _set(event, event, "notices", metadata)


def company(event: CompanyDataSet, metadata: EventMetadata) -> Iterable[Change]:
    yield _set(event, event.data, "company", metadata)


def logo(event: LogoSet, metadata: EventMetadata) -> Iterable[Change]:
    """Not shown here, but of the same record: its version is what a change of the others refers to."""
    yield Set(event.settings_id, by=event.by.name, at=metadata.at, version=metadata.version)


def _set(
    event: AccessSettingsSet | DevicePolicySet | NoticeWaysSet | CompanyDataSet,
    data: Any,
    id: str,
    metadata: EventMetadata,
) -> Change:
    values = {name: getattr(data, name) for name in DEFAULTS[id]}
    return Set(event.settings_id, values=values, by=event.by.name, at=metadata.at, version=metadata.version)


def values(document: Mapping[str, Any]) -> dict[str, Any]:
    """The values as the command takes them: amount and currency of the threshold stand beside each other there."""
    found = dict(document["values"])
    if isinstance(threshold := found.get("threshold"), dict):
        return found | {"threshold": threshold["amount"], "currency": threshold["currency"]}
    return in_company_currency(document, found) if document["version"] == 0 else found


def defaults(document: Mapping[str, Any]) -> dict[str, Any]:
    return in_company_currency(document, dict(DEFAULTS[document["_id"]]))


def in_company_currency(document: Mapping[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """The threshold that nobody has set is in the company's currency, whichever that is now (SET-04)."""
    return found | {"currency": document[COMPANY_CURRENCY]} if "threshold" in found else found


VIEW = View(
    name="settings",
    edition=3,
    route="GET /settings",
    detail="settings_id",
    row=SettingsRow,
    permission="settings.view",
    what="settings",
    handlers={
        SalesProcessSet: sales_process,
        CustomerSettingsSet: customers,
        AccessSettingsSet: access,
        DevicePolicySet: devices,
        NoticeWaysSet: notices,
        CompanyDataSet: company,
        LogoSet: logo,
    },
    computed={"values": values, "defaults": defaults},
    defaults={id: {"values": found, "by": "", "version": 0} for id, found in DEFAULTS.items()},
    sorts=("at",),
)
