"""What is done around the commands of phones, outside the writer: their secrets, and what they are told."""

import secrets
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from chassis.model.middleware import Prepared, Surroundings
from contracts.devices import (
    AcknowledgeWipe,
    ContactFromDevice,
    EnrolDevice,
)
from services.devices.domain import POLICY, Device, DevicePolicy, stranger

# -- a phone's secret: 256 random bits, of which only the hash is stored


@dataclass(frozen=True)
class DeviceSecret:
    """A new phone's secret and its mark."""

    secret: str = field(repr=False)
    mark: str


def mark_of(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def new_secret(command: EnrolDevice, _: Surroundings) -> Prepared:
    secret = secrets.token_urlsafe(32)
    return Prepared(command, DeviceSecret(secret, mark_of(secret)))


def tell_secret(body: dict[str, Any], facts: DeviceSecret, _: Surroundings) -> dict[str, Any]:
    return {**body, "secret": facts.secret}


def check_secret(command: ContactFromDevice | AcknowledgeWipe, surroundings: Surroundings) -> Prepared:
    device = surroundings.records.load(Device, command.device_id)
    if device is None or not secrets.compare_digest(mark_of(command.secret), device.mark):
        raise stranger()
    return Prepared(replace(command, secret=""))


def tell_orders(body: dict[str, Any], _: None, surroundings: Surroundings) -> dict[str, Any]:
    """What the phone must do: keep to the policy, or wipe itself."""
    policy = surroundings.records.load(DevicePolicy, POLICY) or DevicePolicy(id=POLICY.id)
    return {
        "id": body["id"],
        "version": body["version"],
        "status": body["status"],
        "wipe": body["status"] == "WIPE_REQUESTED",
        "lock_minutes": policy.lock_minutes,
        "allowed_apps": list(policy.allowed_apps),
    }
