"""SEC-23..29 and ACC-04..07, by way of the service's commands and the reference client."""

from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from chassis.model.principal import NOBODY
from chassis.testing.people import ADMIN, SALES, user
from chassis.testing.services import InMemoryService
from contracts.declare import REGISTRY
from contracts.devices import (
    AcknowledgeWipe,
    ActivateDevice,
    AppBreachReported,
    AskWipe,
    ConfirmWipe,
    ContactFromDevice,
    DeviceWiped,
    EnrolDevice,
    InstalledApp,
    SetDevicePolicy,
    SwitchWipe,
    WipeRequested,
)
from contracts.permissions import PUBLIC
from contracts.schemas import load
from services.devices.application import SERVICE
from services.devices.domain import MOST_BREACHES, Device
from services.devices.reference_client import PhoneClient


class NoNetwork(Exception):
    """The phone is offline."""


class Field:
    """The service in memory and a salesperson's phone that talks to it."""

    def __init__(self, folder: Path) -> None:
        self.kit = InMemoryService(SERVICE)
        self.online = True
        self.phone = PhoneClient(folder / "sales", self.send, clock=lambda: self.kit.now)
        self.other = folder / "holiday.jpg"
        self.other.write_bytes(b"private")

    def send(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """What HTTP would do with the client's request."""
        if not self.online:
            raise NoNetwork
        for spec in REGISTRY.commands_of("devices"):
            pattern = str(spec.path).split("/")
            parts = path.split("/")
            pairs = list(zip(pattern, parts, strict=False))
            if spec.method == method and len(pattern) == len(parts) and all(p[0:1] == "{" or p == g for p, g in pairs):
                ids = {p.strip("{}"): g for p, g in pairs if p.startswith("{")}
                by = NOBODY if spec.permission == PUBLIC else SALES
                told: dict[str, Any] = self.kit.do(load(spec.cls, {**body, **ids}), by).body
                return told
        raise AssertionError(f"no route {method} {path}")

    def enrolled(self) -> UUID:
        assert self.phone.enrol("Li's phone", 8, 64) == []
        assert self.phone.device_id is not None
        self.phone.keep("customers.db", b"Acme, 13800000001")
        return self.phone.device_id


@pytest.fixture
def field(tmp_path: Path) -> Field:
    return Field(tmp_path)


@pytest.mark.parametrize(
    ("memory", "storage", "network", "warned"),
    [(4, 32, "WIFI", []), (3, 32, "WIFI", ["memory"]), (8, 64, "MOBILE", ["mobile data"])],
)
def test_ACC_04_SEC_23_SEC_24_little_memory_and_mobile_data_are_told(
    field: Field, memory: int, storage: int, network: str, warned: list[str]
) -> None:
    warnings = field.phone.enrol("Phone", memory, storage, network)
    assert len(warnings) == len(warned) and all(word in text for word, text in zip(warned, warnings, strict=True))


def test_ACC_04_SEC_23_with_31_gb_free_it_is_refused(field: Field) -> None:
    command = EnrolDevice(name="Phone", memory_gb=4, free_storage_gb=31)
    field.kit.assert_refused("VALIDATION", command, SALES, field="free_storage_gb")


def test_ACC_05_SEC_25_SEC_26_activation_and_what_a_refused_permission_switches_off(field: Field) -> None:
    id = field.enrolled()
    command = ActivateDevice(device_id=id, language="ja", time_zone="Asia/Tokyo", permissions=("CONTACTS", "STORAGE"))
    told = field.kit.do(command, SALES).body
    assert told["status"] == "ACTIVE"
    assert [text.split()[3].strip(",") for text in told["warnings"]] == ["CALL_LOG", "LOCATION"]
    field.kit.assert_refused("FORBIDDEN", command, user("zhou", "SAL"), field="device_id")
    wrong = ActivateDevice(device_id=id, language="ja", time_zone="Asia/Atlantis")
    field.kit.assert_refused("VALIDATION", wrong, SALES, field="time_zone")


def test_who_sends_the_version_that_is_published_changes_a_phone_whose_secret_was_stored_after_it(field: Field) -> None:
    """Readers see the newest public event's version; what nobody is shown is no change that they did not see."""
    id = field.enrolled()
    shown = max(event.version for event in field.kit.store.notifications(0, 99) if event.key == str(id))
    stored = len(field.kit.stream(id))
    assert shown < stored, "something internal came last"
    command = ActivateDevice(device_id=id, language="ja", time_zone="Asia/Tokyo", permissions=())
    field.kit.assert_refused("VERSION_CONFLICT", command, SALES, version=shown - 1)
    field.kit.assert_refused("VERSION_CONFLICT", command, SALES, version=stored + 1)
    field.kit.do(command, SALES, version=shown)
    field.kit.assert_refused("VERSION_CONFLICT", command, SALES, version=stored)


def test_ACC_06_SEC_27_a_phone_locks_after_a_minute_without_use(field: Field) -> None:
    field.enrolled()
    field.kit.pass_time(seconds=59)
    field.phone.touch()
    field.kit.pass_time(seconds=59)
    assert not field.phone.is_locked
    field.kit.pass_time(seconds=1)
    assert field.phone.is_locked
    field.phone.touch()
    assert field.phone.is_locked, "touching it does not unlock it"
    field.phone.unlock("FINGERPRINT")
    assert not field.phone.is_locked
    field.kit.do(SetDevicePolicy(lock_minutes=5), ADMIN)
    field.phone.contact()
    field.kit.pass_time(minutes=4)
    assert not field.phone.is_locked


def test_SEC_28_an_app_that_reads_what_it_may_not_is_reported_once(field: Field) -> None:
    id = field.enrolled()
    field.kit.do(SetDevicePolicy(allowed_apps=("Dialer",)), ADMIN)
    apps = [
        {"name": "Dialer", "reads": ["CONTACTS", "CALL_LOG"]},
        {"name": "Game", "reads": ["CONTACTS", "STORAGE"]},
        {"name": "Clock", "reads": []},
    ]
    for _ in range(2):
        field.phone.contact(apps)
    breaches = [fact for fact in field.kit.facts() if isinstance(fact, AppBreachReported)]
    assert breaches == [AppBreachReported(device_id=id, app="Game", reads=("CONTACTS",))]


def test_ACC_07_SEC_29_a_lost_phone_is_revoked_at_its_next_contact_and_nothing_else(field: Field) -> None:
    id = field.enrolled()
    field.kit.assert_refused("INVALID_STATE", AskWipe(device_id=id), ADMIN)
    field.kit.do(SwitchWipe(device_id=id, on=True), ADMIN)
    confirm = ConfirmWipe(device_id=id, name="Li's phone")
    assert field.kit.assert_refused("INVALID_STATE", confirm, ADMIN).state == "NOT_CONFIRMED"
    field.kit.do(AskWipe(device_id=id), ADMIN)
    field.kit.assert_refused("VALIDATION", ConfirmWipe(device_id=id, name="My phone"), ADMIN, field="name")
    field.kit.assert_refused("INVALID_STATE", confirm, user("other", "ADM"))
    field.online = False
    assert field.kit.do(confirm, ADMIN).body["status"] == "WIPE_REQUESTED"
    with pytest.raises(NoNetwork):
        field.phone.contact()
    assert field.phone.folder.exists()

    field.online = True
    assert field.phone.contact()["wipe"] is True

    assert not field.phone.folder.exists()
    assert field.other.read_bytes() == b"private"
    device = field.kit.store.load(Device, id)
    assert device is not None and device.status == "WIPED"
    kinds = [type(fact) for fact in field.kit.facts()]
    assert kinds.index(WipeRequested) < kinds.index(DeviceWiped)
    assert field.kit.assert_refused("INVALID_STATE", AskWipe(device_id=id), ADMIN).state == "WIPED"


def test_SEC_29_a_phone_that_stops_before_its_word_is_told_again(field: Field) -> None:
    id = field.enrolled()
    field.kit.do(SwitchWipe(device_id=id, on=True), ADMIN)
    field.kit.do(AskWipe(device_id=id), ADMIN)
    field.kit.do(ConfirmWipe(device_id=id, name="Li's phone"), ADMIN)
    told = field.send("POST", f"/devices/{id}/contact", {"secret": field.phone._secret})
    assert told["wipe"] is True, "and here the phone stops"
    assert field.phone.contact()["wipe"] is True
    assert field.kit.store.load(Device, id).status == "WIPED"  # type: ignore[union-attr]


def wiped(field: Field, id: UUID) -> None:
    """The phone was told to wipe itself, and said that it has."""
    field.kit.do(SwitchWipe(device_id=id, on=True), ADMIN)
    field.kit.do(AskWipe(device_id=id), ADMIN)
    field.kit.do(ConfirmWipe(device_id=id, name="Li's phone"), ADMIN)
    field.phone.contact()


def test_SEC_29_the_secret_of_a_wiped_phone_is_void(field: Field) -> None:
    """Whoever has read it off the phone must not learn the policy, nor report apps in its name."""
    id = field.enrolled()
    wiped(field, id)
    contact = ContactFromDevice(
        device_id=id, secret=field.phone._secret, apps=(InstalledApp(name="Spy", reads=("CONTACTS",)),)
    )
    refusal = field.kit.assert_refused("UNAUTHENTICATED", contact, NOBODY, field="secret")
    unknown = field.kit.assert_refused("UNAUTHENTICATED", ContactFromDevice(device_id=uuid4(), secret="x"), NOBODY)
    assert refusal.problem() == unknown.problem(), "like a phone that nobody knows"


def test_SEC_29_a_wiped_phone_whose_word_got_no_answer_says_it_again(field: Field) -> None:
    id = field.enrolled()
    wiped(field, id)
    before = field.kit.store.last_position()
    told = field.kit.do(AcknowledgeWipe(device_id=id, secret=field.phone._secret), NOBODY).body
    assert told["status"] == "WIPED"
    assert field.kit.store.last_position() == before
    field.kit.assert_refused("UNAUTHENTICATED", AcknowledgeWipe(device_id=id, secret="x"), NOBODY, field="secret")


def test_SEC_29_the_second_confirmation_comes_within_five_minutes(field: Field) -> None:
    id = field.enrolled()
    field.kit.do(SwitchWipe(device_id=id, on=True), ADMIN)
    field.kit.do(AskWipe(device_id=id), ADMIN)
    field.kit.pass_time(minutes=5, seconds=1)
    field.kit.assert_refused("INVALID_STATE", ConfirmWipe(device_id=id, name="Li's phone"), ADMIN)


def test_SEC_29_a_clock_that_is_set_back_makes_no_confirmation_good_for_a_day(field: Field) -> None:
    id = field.enrolled()
    field.kit.do(SwitchWipe(device_id=id, on=True), ADMIN)
    field.kit.do(AskWipe(device_id=id), ADMIN)
    confirm = ConfirmWipe(device_id=id, name="Li's phone")
    field.kit.pass_time(hours=-20)
    assert field.kit.assert_refused("INVALID_STATE", confirm, ADMIN).state == "NOT_CONFIRMED"
    field.kit.do(AskWipe(device_id=id), ADMIN)
    field.kit.pass_time(seconds=-30)
    assert field.kit.do(confirm, ADMIN).body["status"] == "WIPE_REQUESTED"


def test_a_phone_shows_its_secret(field: Field) -> None:
    id = field.enrolled()
    stranger = field.kit.assert_refused("UNAUTHENTICATED", ContactFromDevice(device_id=id, secret="x"), NOBODY)
    unknown = field.kit.assert_refused("UNAUTHENTICATED", ContactFromDevice(device_id=uuid4(), secret="x"), NOBODY)
    assert stranger.problem() == unknown.problem()
    assert field.phone._secret not in str(field.kit.facts())


def test_SEC_28_what_a_phone_reports_does_not_grow_without_end(field: Field) -> None:
    id = field.enrolled()
    for contact in range(3):
        apps = tuple(InstalledApp(name=f"App {contact}-{n}", reads=("CONTACTS",)) for n in range(400))
        field.kit.do(ContactFromDevice(device_id=id, secret=field.phone._secret, apps=apps), NOBODY)
    breaches = [fact for fact in field.kit.facts() if isinstance(fact, AppBreachReported)]
    assert len(breaches) == MOST_BREACHES
    before = field.kit.store.last_position()
    assert field.phone.contact()["wipe"] is False, "it is answered as ever"
    assert field.kit.store.last_position() == before


def test_a_phone_with_a_long_history_is_read_from_a_snapshot(field: Field) -> None:
    id = field.enrolled()
    for n in range(Device.snapshot_every):
        field.kit.do(SwitchWipe(device_id=id, on=n % 2 == 0), ADMIN)
    snapshot = field.kit.store._more.snapshot(id)
    assert snapshot is not None and snapshot.version >= Device.snapshot_every
    replayed = Device(id=id)
    for fact in field.kit.store.facts(id):
        replayed.apply(fact)
    assert field.kit.store.load(Device, id) == replayed
