"""Which phones are in use, what do they break, and which were wiped?  (SEC-23..29)

Everybody sees their own; who keeps the accounts sees all.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict
from uuid import UUID

from chassis.model.changes import Append, Change, EventMetadata, Set
from chassis.model.views import Exact, Scope, View, Words
from contracts.devices import (
    AppBreachReported,
    DeviceActivated,
    DeviceEnrolled,
    DeviceStatus,
    DeviceWiped,
    Network,
    PhonePermission,
    WipeRequested,
    WipeSwitched,
)
from contracts.languages import Language
from contracts.permissions import SELF


class Breach(TypedDict):
    """An app that reads what it may not (SEC-28)."""

    app: str
    reads: list[PhonePermission]
    at: datetime


@dataclass
class DeviceRow:
    """One phone; `breaches` are apps that read what they may not."""

    id: UUID
    name: str
    status: DeviceStatus
    owner_id: UUID | None
    owner_name: str
    memory_gb: int
    free_storage_gb: int
    network: Network
    language: Language | None
    time_zone: str | None
    permissions: list[PhonePermission]
    wipe_on: bool
    breaches: list[Breach]
    enrolled_at: datetime
    wiped_at: datetime | None
    version: int


def enrolled(event: DeviceEnrolled, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(
        event.device_id,
        name=event.name,
        status="ENROLLED",
        owner_id=event.owner.user_id,
        owner_name=event.owner.name,
        memory_gb=event.memory_gb,
        free_storage_gb=event.free_storage_gb,
        network=event.network,
        wipe_on=False,
        enrolled_at=metadata.at,
        version=metadata.version,
    )


def activated(event: DeviceActivated, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(
        event.device_id,
        status="ACTIVE",
        language=event.language,
        time_zone=event.time_zone,
        permissions=event.permissions,
        version=metadata.version,
    )


def breached(event: AppBreachReported, metadata: EventMetadata) -> Iterable[Change]:
    yield Append(event.device_id, "breaches", app=event.app, reads=event.reads, at=metadata.at)
    yield Set(event.device_id, version=metadata.version)


def switched(event: WipeSwitched, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.device_id, wipe_on=event.on, version=metadata.version)


def wipe_requested(event: WipeRequested, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.device_id, status="WIPE_REQUESTED", version=metadata.version)


def wiped(event: DeviceWiped, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.device_id, status="WIPED", wiped_at=metadata.at, version=metadata.version)


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
