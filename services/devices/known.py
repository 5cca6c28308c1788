"""What every service knows of phones: whose each is, and which are void (SEC-29)."""

from chassis.access.known import Known, KnownDevice, RevokedDevice
from chassis.model.service import Replica
from contracts.devices import DeviceEnrolled, WipeRequested


def device_enrolled(_: KnownDevice | None, fact: DeviceEnrolled) -> KnownDevice:
    return KnownDevice(fact.device_id, fact.owner.user_id)


def wipe_requested(_: RevokedDevice | None, fact: WipeRequested) -> RevokedDevice:
    return RevokedDevice(fact.device_id)


DEVICES = Replica("access-devices", KnownDevice, feeds={DeviceEnrolled: device_enrolled})
WIPED = Replica("access-wiped-devices", RevokedDevice, feeds={WipeRequested: wipe_requested})

KNOWN = Known((DEVICES, WIPED), from_start=True)
