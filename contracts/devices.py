"""Work phones: enrolment, policies and remote wipe (features SEC-23..29).  Aggregates: device, device policy."""

from dataclasses import field
from typing import Literal
from uuid import UUID, uuid4

from contracts.declare import KEPT, command, event, value
from contracts.languages import Language
from contracts.people import SALESTREAM, Person
from contracts.permissions import PUBLIC, SELF
from contracts.types import Flag, Name, Quantity, Secret, Tag, Text, Whole

Network = Literal["WIFI", "MOBILE"]
PhonePermission = Literal["CONTACTS", "CALL_LOG", "LOCATION", "STORAGE"]
DeviceStatus = Literal["ENROLLED", "ACTIVE", "WIPE_REQUESTED", "WIPED"]


@value
class InstalledApp:
    """An app on the phone, and what it may read."""

    name: Name
    reads: tuple[PhonePermission, ...] = ()


@command("POST /devices", permission=SELF, key="device_id", creates=True, bulk=False)
class EnrolDevice:
    """Enrol one's phone; the answer tells its secret, once.  Less than 32 GB free is refused (SEC-23, SEC-24)."""

    device_id: UUID = field(default_factory=uuid4)
    name: Name
    memory_gb: Whole
    free_storage_gb: Whole
    network: Network = "WIFI"


@command("POST /devices/{device_id}/activation", permission=SELF)
class ActivateDevice:
    """Choose language and time zone, and say which permissions were granted (SEC-25, SEC-26)."""

    device_id: UUID
    language: Language
    time_zone: Name
    permissions: tuple[PhonePermission, ...] = ()


@command("PUT /settings/devices", permission="settings", key="settings_id")
class SetDevicePolicy:
    """Say after how many minutes phones lock and which apps may read contacts and call log (SEC-27, SEC-28).

    A field left out keeps its value.
    """

    lock_minutes: Quantity = KEPT
    allowed_apps: tuple[Tag, ...] = KEPT
    settings_id: Literal["devices"] = "devices"


@command("POST /devices/{device_id}/contact", permission=PUBLIC, bulk=False)
class ContactFromDevice:
    """The phone reports; the answer tells the policy and whether it must wipe itself (SEC-27..29)."""

    device_id: UUID
    secret: Secret = field(repr=False)
    apps: tuple[InstalledApp, ...] = ()


@command("PUT /devices/{device_id}/wipe-switch", permission="accounts")
class SwitchWipe:
    """Switch remote wipe on or off for a phone; without it a lost one can't be wiped (SEC-29)."""

    device_id: UUID
    on: Flag


@command("POST /devices/{device_id}/wipe", permission="accounts")
class AskWipe:
    """The first of two confirmations to erase the company data on a lost phone (SEC-29)."""

    device_id: UUID


@command("POST /devices/{device_id}/wipe/confirmation", permission="accounts")
class ConfirmWipe:
    """The second confirmation, within 5 minutes, with the phone's name; it can't be undone (SEC-29)."""

    device_id: UUID
    name: Name


@command("POST /devices/{device_id}/wiped", permission=PUBLIC, bulk=False)
class AcknowledgeWipe:
    """The phone says that its company data is gone (SEC-29)."""

    device_id: UUID
    secret: Secret = field(repr=False)


@event("salestream.devices.device-enrolled.v1", key="device_id")
class DeviceEnrolled:
    """A phone was enrolled."""

    device_id: UUID
    name: Text
    owner: Person
    memory_gb: Whole
    free_storage_gb: Whole
    network: Network


@event("salestream.devices.device-activated.v1", key="device_id")
class DeviceActivated:
    """A phone is in use."""

    device_id: UUID
    language: Language
    time_zone: Text
    permissions: tuple[PhonePermission, ...]


@event("salestream.devices.device-policy-set.v1", key="settings_id")
class DevicePolicySet:
    """The policy of all phones changed."""

    settings_id: Text
    lock_minutes: Quantity
    allowed_apps: tuple[Text, ...]
    by: Person = SALESTREAM


@event("salestream.devices.app-breach-reported.v1", key="device_id")
class AppBreachReported:
    """An app that is not allowed to reads contacts or call log."""

    device_id: UUID
    app: Text
    reads: tuple[PhonePermission, ...]


@event("salestream.devices.wipe-switched.v1", key="device_id")
class WipeSwitched:
    """Remote wipe was switched on or off for a phone."""

    device_id: UUID
    on: Flag
    by: Person = SALESTREAM


@event("salestream.devices.wipe-requested.v1", key="device_id")
class WipeRequested:
    """A phone must erase the company data at its next contact; its tokens are void from now on."""

    device_id: UUID
    by: Person = SALESTREAM


@event("salestream.devices.device-wiped.v1", key="device_id")
class DeviceWiped:
    """The phone says that its company data is gone."""

    device_id: UUID
