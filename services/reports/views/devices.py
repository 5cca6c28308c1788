"""Which phones are in use, what do they break, and which were wiped?  (SEC-23..29)

Everybody sees their own; who keeps the accounts sees all.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from chassis.model.changes import Append, Change, EventInfo, Set
from chassis.model.views import Exact, Scope, View, Words
from contracts.devices import (
    AppBreachReported,
    DeviceActivated,
    DeviceEnrolled,
    DeviceStatus,
    DeviceWiped,
    WipeRequested,
    WipeSwitched,
)
from contracts.permissions import SELF


@dataclass
class DeviceRow:
    """One phone; `breaches` are apps that read what they may not."""

    id: UUID
    name: str
    status: DeviceStatus
    owner_id: UUID
    owner_name: str
    memory_gb: int
    free_storage_gb: int
    network: str
    language: str
    time_zone: str
    permissions: list[str]
    wipe_on: bool
    breaches: list[dict[str, Any]]
    enrolled_at: datetime
    wiped_at: datetime
    version: int


def enrolled(fact: DeviceEnrolled, event: EventInfo) -> Iterable[Change]:
    yield Set(
        fact.device_id,
        name=fact.name,
        status="ENROLLED",
        owner_id=fact.owner.user_id,
        owner_name=fact.owner.name,
        memory_gb=fact.memory_gb,
        free_storage_gb=fact.free_storage_gb,
        network=fact.network,
        wipe_on=False,
        enrolled_at=event.at,
        version=event.version,
    )


def activated(fact: DeviceActivated, event: EventInfo) -> Iterable[Change]:
    yield Set(
        fact.device_id,
        status="ACTIVE",
        language=fact.language,
        time_zone=fact.time_zone,
        permissions=fact.permissions,
        version=event.version,
    )


def breached(fact: AppBreachReported, event: EventInfo) -> Iterable[Change]:
    yield Append(fact.device_id, "breaches", app=fact.app, reads=fact.reads, at=event.at)
    yield Set(fact.device_id, version=event.version)


def switched(fact: WipeSwitched, event: EventInfo) -> Iterable[Change]:
    yield Set(fact.device_id, wipe_on=fact.on, version=event.version)


def wipe_requested(fact: WipeRequested, event: EventInfo) -> Iterable[Change]:
    yield Set(fact.device_id, status="WIPE_REQUESTED", version=event.version)


def wiped(fact: DeviceWiped, event: EventInfo) -> Iterable[Change]:
    yield Set(fact.device_id, status="WIPED", wiped_at=event.at, version=event.version)


VIEW = View(
    name="devices",
    edition=2,
    route="GET /devices",
    detail="device_id",
    row=DeviceRow,
    permission=SELF,
    what="phone",
    handlers={
        DeviceEnrolled: enrolled,
        DeviceActivated: activated,
        AppBreachReported: breached,
        WipeSwitched: switched,
        WipeRequested: wipe_requested,
        DeviceWiped: wiped,
    },
    filters={"status": Exact(), "owner_id": Exact(), "q": Words("name", "owner_name")},
    sorts=("name", "enrolled_at"),
    scope=Scope("owner_id", right="accounts"),
)
