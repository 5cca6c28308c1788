"""The devices service: its commands, one line each, and how a phone shows who it is."""

from chassis.model.middleware import Middleware
from chassis.model.service import Service, Work, change, upsert
from contracts.devices import (
    AcknowledgeWipe,
    ActivateDevice,
    AskWipe,
    ConfirmWipe,
    ContactFromDevice,
    EnrolDevice,
    SetDevicePolicy,
    SwitchWipe,
)
from services.devices.domain import POLICY, Device, DevicePolicy
from services.devices.preparation import check_secret, new_secret, tell_orders, tell_secret

# -- commands


def enrol_device(command: EnrolDevice, work: Work) -> Device:
    device = work.new(Device, command.device_id, what="phone", field="device_id")
    device.enrol(command, work.prepared.mark, work.context)
    return device


def contact_from_device(command: ContactFromDevice, work: Work) -> Device:
    device = work.get(Device, command.device_id, what="phone", field="device_id")
    device.contact(command, work.find_or_new(DevicePolicy, POLICY))
    return device


def acknowledge_wipe(command: AcknowledgeWipe, work: Work) -> Device:
    device = work.get(Device, command.device_id, what="phone", field="device_id")
    device.acknowledge()
    return device


SERVICE = Service(
    "devices",
    commands={
        EnrolDevice: enrol_device,
        ActivateDevice: change(Device, Device.activate, what="phone"),
        SetDevicePolicy: upsert(DevicePolicy, DevicePolicy.set),
        ContactFromDevice: contact_from_device,
        SwitchWipe: change(Device, Device.switch_wipe, what="phone"),
        AskWipe: change(Device, Device.ask_wipe, what="phone"),
        ConfirmWipe: change(Device, Device.confirm_wipe, what="phone"),
        AcknowledgeWipe: acknowledge_wipe,
    },
    pages={"/devices/{device_id}": Device, "/settings/devices": DevicePolicy},
    middleware={
        EnrolDevice: Middleware(new_secret, tell_secret),
        ContactFromDevice: Middleware(check_secret, tell_orders),
        AcknowledgeWipe: Middleware(check_secret),
    },
)
