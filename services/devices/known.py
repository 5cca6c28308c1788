"""What every service knows of devices: whose each is, and which are void (SEC-29)."""

from chassis.access.known import Known, KnownDevice, RevokedDevice
from chassis.model.service import Replica
from contracts.devices import DeviceEnrolled, WipeRequested


def device_enrolled(_: KnownDevice | None, fact: DeviceEnrolled) -> KnownDevice:
    return KnownDevice(fact.device_id, fact.owner.user_id)


def revoked(_: RevokedDevice | None, fact: WipeRequested) -> RevokedDevice:
    return RevokedDevice(fact.device_id)


DEVICES = Replica("access-devices", KnownDevice, feeds={DeviceEnrolled: device_enrolled})
REVOKED = Replica("access-wiped-devices", RevokedDevice, feeds={WipeRequested: revoked})

KNOWN = Known((DEVICES, REVOKED), from_start=True)
