"""Work phones (SEC-23..29): what may be enrolled, what they must keep to, and how a lost one is wiped."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ClassVar, Self
from zoneinfo import ZoneInfo

from chassis.model.aggregates import Aggregate, applies, internal_event
from chassis.model.context import Context, is_before
from chassis.model.identity import Named
from contracts.declare import KEPT
from contracts.devices import (
    ActivateDevice,
    AppBreachReported,
    AskWipe,
    ConfirmWipe,
    ContactFromDevice,
    DeviceActivated,
    DeviceEnrolled,
    DevicePolicySet,
    DeviceStatus,
    DeviceWiped,
    EnrolDevice,
    SetDevicePolicy,
    SwitchWipe,
    WipeRequested,
    WipeSwitched,
)
from contracts.errors import Refused
from contracts.people import SALESTREAM, Person
from contracts.settings import DEFAULTS

POLICY = Named("settings_id", "devices")
LEAST_MEMORY_GB = 4
LEAST_STORAGE_GB = 32
CONFIRM_WITHIN = timedelta(minutes=5)
MOST_BREACHES = 500  # of one phone: more than it has apps, so that what it says can't grow without end
GUARDED = frozenset({"CONTACTS", "CALL_LOG"})
USED_FOR = {
    "CONTACTS": "customer data is not synchronised with the phone's contacts",
    "CALL_LOG": "calls are not recorded and analysed",
    "LOCATION": "there are no check-ins and tracks in the field",
    "STORAGE": "nothing is kept for use without a network",
}
stranger = partial(Refused, "devices.stranger", field="secret")


@internal_event("devices.secret-set")
class SecretSet:
    """The mark of the phone's secret; "" once it has none."""

    mark: str


@internal_event("devices.wipe-asked")
class WipeAsked:
    """An administrator gave the first confirmation."""

    at: datetime
    by: Person


@dataclass
class DevicePolicy(Aggregate):
    """What all phones keep to (SEC-27, SEC-28)."""

    lock_minutes: int = DEFAULTS["devices"]["lock_minutes"]
    allowed_apps: tuple[str, ...] = DEFAULTS["devices"]["allowed_apps"]

    def set(self, command: SetDevicePolicy, context: Context) -> None:
        """Change what the command names."""
        minutes = self.lock_minutes if command.lock_minutes is KEPT else command.lock_minutes
        apps = self.allowed_apps if command.allowed_apps is KEPT else tuple(sorted(set(command.allowed_apps)))
        if (minutes, apps) != (self.lock_minutes, self.allowed_apps):
            self.record(
                DevicePolicySet(
                    settings_id=command.settings_id, lock_minutes=minutes, allowed_apps=apps, by=context.user
                )
            )

    @applies(DevicePolicySet)
    def _set(self, fact: DevicePolicySet) -> None:
        self.lock_minutes, self.allowed_apps = fact.lock_minutes, fact.allowed_apps


@dataclass
class Device(Aggregate):
    """One phone."""

    secret = frozenset({"mark"})

    name: str = ""
    owner: Person = SALESTREAM
    status: DeviceStatus = "ENROLLED"
    mark: str = ""
    wipe_on: bool = False
    asked_at: datetime | None = None
    asked_by: Person = SALESTREAM
    breaches: dict[str, tuple[str, ...]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    snapshot_every: ClassVar[int] = 200

    # -- what may be done with it

    @classmethod
    def on_page(cls, row: Mapping[str, Any]) -> Self:
        device = super().on_page(row)
        device.status, device.wipe_on = row["status"], row["wipe_on"]
        return device

    def require_may(self, command: type, context: Context) -> None:
        """A phone that is wiped, or will be, is left alone; no wipe is asked for that was not switched on (SEC-29).

        The first confirmation is told to nobody, so that a second one lacks it is told by the command alone.
        """
        self._require("ENROLLED", "ACTIVE")
        if command in (AskWipe, ConfirmWipe) and not self.wipe_on:
            raise Refused("devices.wipe_off", state="WIPE_OFF")

    def enrol(self, command: EnrolDevice, mark: str, context: Context) -> None:
        """Too little storage refuses; little memory and mobile data are told (SEC-23, SEC-24)."""
        if command.free_storage_gb < LEAST_STORAGE_GB:
            raise Refused("devices.storage", least=LEAST_STORAGE_GB, field="free_storage_gb")
        self.record(
            DeviceEnrolled(
                device_id=self.id,
                name=command.name,
                owner=context.user,
                memory_gb=command.memory_gb,
                free_storage_gb=command.free_storage_gb,
                network=command.network,
            )
        )
        self.record(SecretSet(mark=mark))

    def activate(self, command: ActivateDevice, context: Context) -> None:
        """Language, time zone and permissions; a refused permission switches off only its function (SEC-25, SEC-26)."""
        if self.owner.user_id != context.user.user_id:
            raise Refused("devices.not_yours", field="device_id")
        self._require("ENROLLED", "ACTIVE")
        try:
            ZoneInfo(command.time_zone)
        except (ValueError, OSError, KeyError) as error:
            raise Refused("devices.time_zone", field="time_zone") from error
        self.record(
            DeviceActivated(
                device_id=self.id,
                language=command.language,
                time_zone=command.time_zone,
                permissions=tuple(sorted(set(command.permissions))),
            )
        )

    def contact(self, command: ContactFromDevice, policy: DevicePolicy) -> None:
        """Apps that read what they may not are reported, each once, and no more than `MOST_BREACHES` (SEC-28).

        Raises Refused UNAUTHENTICATED once the phone is wiped: its secret is void.
        """
        if self.status == "WIPED":
            raise stranger()
        allowed = set(policy.allowed_apps)
        for app in command.apps:
            reads = tuple(sorted(GUARDED.intersection(app.reads)))
            is_new = app.name not in allowed and app.name not in self.breaches
            if reads and is_new and len(self.breaches) < MOST_BREACHES:
                self.record(AppBreachReported(device_id=self.id, app=app.name, reads=reads))  # type: ignore[arg-type]

    # -- remote wipe (SEC-29)

    def switch_wipe(self, command: SwitchWipe, context: Context) -> None:
        self.require_may(SwitchWipe, context)
        if command.on != self.wipe_on:
            self.record(WipeSwitched(device_id=self.id, on=command.on, by=context.user))

    def ask_wipe(self, _: AskWipe, context: Context) -> None:
        """The first confirmation.  Raises Refused INVALID_STATE when wiping was not switched on before."""
        self.require_may(AskWipe, context)
        self.record(WipeAsked(at=context.now, by=context.user))

    def confirm_wipe(self, command: ConfirmWipe, context: Context) -> None:
        """The second confirmation: the same person, within 5 minutes, writes the phone's name."""
        self.require_may(ConfirmWipe, context)
        until = self.asked_at + CONFIRM_WITHIN if self.asked_at else None
        in_time = is_before(context.now, until, CONFIRM_WITHIN)
        if not in_time or self.asked_by.user_id != context.user.user_id:
            raise Refused("devices.not_confirmed", route="POST /devices/{device_id}/wipe", state="NOT_CONFIRMED")
        if command.name.strip() != self.name.strip():
            raise Refused("devices.wrong_name", field="name")
        self.record(WipeRequested(device_id=self.id, by=context.user))

    def acknowledge(self) -> None:
        """The phone is wiped; its secret is void.  A repeat changes nothing: the phone may not have got the answer."""
        if self.status == "WIPED":
            return
        self._require("WIPE_REQUESTED")
        self.record(DeviceWiped(device_id=self.id))

    def _require(self, *allowed: DeviceStatus) -> None:
        if self.status not in allowed:
            raise Refused("devices.status", states=allowed, state=self.status)

    def reply(self) -> dict[str, Any]:
        return {"status": self.status, "warnings": list(self.warnings)}

    @applies(DeviceEnrolled)
    def _enrolled(self, fact: DeviceEnrolled) -> None:
        self.name, self.owner = fact.name, fact.owner
        if fact.memory_gb < LEAST_MEMORY_GB:
            self.warnings = (*self.warnings, f"{LEAST_MEMORY_GB} GB of memory or more are recommended.")
        if fact.network == "MOBILE":
            self.warnings = (*self.warnings, "You use mobile data: mind its volume, or use the company's Wi-Fi.")

    @applies(SecretSet)
    def _secret_set(self, fact: SecretSet) -> None:
        self.mark = fact.mark

    @applies(DeviceActivated)
    def _activated(self, fact: DeviceActivated) -> None:
        self.status = "ACTIVE"
        self.warnings = tuple(
            f"Without the permission {name}, {effect}."
            for name, effect in USED_FOR.items()
            if name not in fact.permissions
        )

    @applies(AppBreachReported)
    def _breached(self, fact: AppBreachReported) -> None:
        self.breaches[fact.app] = fact.reads

    @applies(WipeSwitched)
    def _switched(self, fact: WipeSwitched) -> None:
        self.wipe_on = fact.on

    @applies(WipeAsked)
    def _asked(self, fact: WipeAsked) -> None:
        self.asked_at, self.asked_by = fact.at, fact.by

    @applies(WipeRequested)
    def _requested(self, _: WipeRequested) -> None:
        self.status = "WIPE_REQUESTED"

    @applies(DeviceWiped)
    def _wiped(self, _: DeviceWiped) -> None:
        self.status = "WIPED"
