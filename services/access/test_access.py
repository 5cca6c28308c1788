"""The rules of SEC-01..20 and ACC-01, 02, 08..11, 51, 52, by way of the service's commands."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any, Literal, get_type_hints
from unicodedata import normalize
from uuid import UUID, uuid4

import argon2
import msgspec
import pyotp
import pytest

from chassis.access.directory import Directory
from chassis.access.tokens import TokenVerifier
from chassis.catalogue import known_everywhere
from chassis.commands.pipeline import prepare
from chassis.foundation.config import Config
from chassis.model.aggregates import Aggregate
from chassis.model.principal import Principal
from chassis.model.service import MOST_LEVELS
from chassis.model.unique import IndexClaimed, IndexReleased, UniqueIndex
from chassis.persons.keys import KeyRing
from chassis.persons.stores import MemoryKeys
from chassis.store import events
from chassis.store.events import recorded
from chassis.store.transaction import Transaction
from chassis.testing.services import InMemoryService
from chassis.writer.writer import Writer
from contracts import permissions
from contracts.access import (
    AddDepartment,
    AddMachine,
    AddRoleMember,
    ChangePassword,
    ConfirmSecondFactor,
    DefineRole,
    DeleteMachine,
    DeleteUser,
    DepartmentAdded,
    DepartmentMoved,
    DrawChallenge,
    EditPersonalData,
    EditUser,
    EndSignIns,
    EnrolSecondFactor,
    GetMachineToken,
    Grant,
    GrantRight,
    IssueDefaultPassword,
    IssueUser,
    MachineChanged,
    MoveDepartment,
    NameResponsible,
    ProveIdentity,
    RefreshSession,
    RegisterUser,
    RemoveRoleMember,
    RemoveSecondFactor,
    RenameDepartment,
    RenewMachineSecret,
    RequestPasswordReset,
    ResetPassword,
    ResetSecondFactor,
    ReviewRights,
    RevokeRight,
    RoleDefined,
    RoleState,
    SecondFactorSet,
    SetAccessSettings,
    SetPreferences,
    SignIn,
    SignOut,
)
from contracts.company import CompanyData, CompanyDataSet
from contracts.declare import REGISTRY
from contracts.devices import DeviceEnrolled, WipeRequested
from contracts.errors import Refused
from contracts.languages import LANGUAGES, Language
from contracts.people import Person
from contracts.permissions import RIGHTS, ROLES, DataScope, first_rights
from contracts.personal import use
from contracts.schemas import encode, load
from services.access import administration, vault
from services.access.application import SERVICE
from services.access.domain.sessions import (
    SETTINGS,
    AccessSettings,
    Attempts,
    ProofAsked,
    ResetAsked,
    attempts_id,
    wrong_code,
)
from services.access.domain.users import FactorConfirmed, FactorPending, User, login_value
from services.access.messages import TEXTS, Mailbox, Message
from services.access.preparation import images
from services.access.vault import Vault

DEFAULT = "Welcome#2026"
NEW = "YunKeSale@2024"
NOBODY = Principal(None, "Nobody", frozenset())


class Office:
    """The access service in memory, with its administrator, and what people do there."""

    def __init__(self, folder: Path) -> None:
        self.config = replace(
            Config(), token_key_dir=str(folder / "keys"), mailbox_dir=str(folder / "mailbox"), test_tokens=0
        )
        self.kit = InMemoryService(SERVICE, config=self.config)
        self.mailbox = Mailbox(folder / "mailbox")
        system = Principal(None, "Salestream", frozenset({"SYSTEM"}))
        root = IssueUser(user_id=uuid4(), login="root", name="Root", default_password=DEFAULT, roles=("ADM",))
        self.kit.do(root, system)
        self.settings("NEVER", by=system)
        self.change(root.user_id, "root")
        self.admin = self.principal(self.sign_in("root", NEW))
        self._numbers = count(1001)

    def settings(self, challenge: Any = "NEVER", by: Principal | None = None, **more: Any) -> None:
        values: dict[str, Any] = {"self_registration": True, "first_sign_in_code": False, **more}
        self.kit.do(SetAccessSettings(challenge=challenge, **values), by or self.admin)

    def issue(self, *roles: str, **more: Any) -> tuple[UUID, str]:
        """A user with the default password; returns id and login."""
        login = str(next(self._numbers))
        values: dict[str, Any] = {"login": login, "name": f"User {login}", "default_password": DEFAULT, **more}
        command = IssueUser(user_id=uuid4(), roles=roles, **values)
        self.kit.do(command, self.admin)
        return command.user_id, login

    def user(self, *roles: str, **more: Any) -> tuple[UUID, str]:
        """A user with a password of their own (NEW)."""
        id, login = self.issue(*roles, **more)
        self.change(id, login)
        return id, login

    def sign_in(self, name: str, password: str, **more: Any) -> dict[str, Any]:
        return self.kit.do(SignIn(name=name, password=password, **more), NOBODY).body

    def principal(self, told: dict[str, Any]) -> Principal:
        """Who the access token of an answer names."""
        return TokenVerifier(self.config).verify(f"Bearer {told['access_token']}")

    def change(self, id: UUID, login: str, old: str = DEFAULT, new: str = NEW) -> None:
        by = self.principal(self.sign_in(login, old))
        self.kit.do(ChangePassword(user_id=id, old_password=old, new_password=new), by)

    def refusal(self, command: Any, by: Principal = NOBODY) -> Refused:
        with pytest.raises(Refused) as refused:
            self.kit.do(command, by)
        return refused.value

    def is_void(self, principal: Principal) -> bool:
        try:
            self.kit.directory.admit(principal)
        except Refused as refusal:
            assert refusal.code == "UNAUTHENTICATED"
            return True
        return False

    def code(self) -> str:
        """The code that was sent last."""
        return str(re.findall(r"[0-9]{6}", self.mailbox.messages()[-1].text)[0])


@pytest.mark.parametrize("language", LANGUAGES)
def test_SET_02_people_are_written_to_in_the_companys_language(office: Office, language: Language) -> None:
    told = CompanyDataSet(settings_id="company", data=CompanyData(language=language), revision=1)
    office.kit.directory.tell([told])
    _, login = office.user(email="li@example.com")
    office.kit.do(RequestPasswordReset(name=login), NOBODY)
    assert office.mailbox.messages()[-1].text == TEXTS[language]["code"].format(code=office.code())
    assert set(TEXTS) == set(LANGUAGES)
    assert len({tuple(texts) for texts in TEXTS.values()}) == 1, "each language has every text"


@pytest.fixture(scope="module", autouse=True)
def quick_hashes() -> Iterator[None]:
    """Hashes that cost little: what the real ones cost has a test of its own."""
    real = vault._hasher
    vault._hasher = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    vault.nobodys_hash.cache_clear()
    yield
    vault._hasher = real
    vault.nobodys_hash.cache_clear()


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    yield Office(tmp_path)


# -- SEC-01..03, SEC-10, SEC-13: accounts and passwords ---------------------------------------------------------------


def test_ACC_01_SEC_02_the_default_password_opens_nothing_but_its_change(office: Office) -> None:
    id, login = office.issue("ADM")
    told = office.sign_in(login, DEFAULT)
    assert told["status"] == "PASSWORD_CHANGE_REQUIRED"
    limited = office.kit.directory.admit(office.principal(told))
    for right in (*RIGHTS, "self"):
        with pytest.raises(Refused) as refused:
            limited.require(right)
        assert (refused.value.code, refused.value.state) == ("FORBIDDEN", "DEFAULT_PASSWORD")

    office.kit.do(ChangePassword(user_id=id, old_password=DEFAULT, new_password=NEW), limited)

    assert office.is_void(limited)
    assert office.refusal(SignIn(name=login, password=DEFAULT)).code == "UNAUTHENTICATED"
    again = office.sign_in(login, NEW)
    assert again["status"] == "SIGNED_IN"
    office.kit.directory.admit(office.principal(again)).require("accounts")


@pytest.mark.parametrize(
    ("password", "missing"),
    [
        ("Yk@2024", "at least 8 characters"),
        ("yunkesale@2024", "an upper case letter"),
        ("YUNKESALE@2024", "a lower case letter"),
        ("YunKeSale@", "a digit"),
        ("YunKeSale2024", "a special symbol"),
        ("YunKe Sale 2024", "a special symbol"),
    ],
)
def test_ACC_02_SEC_03_a_weak_password_is_refused_by_what_it_lacks(office: Office, password: str, missing: str) -> None:
    id, login = office.issue()
    by = office.principal(office.sign_in(login, DEFAULT))
    refusal = office.refusal(ChangePassword(user_id=id, old_password=DEFAULT, new_password=password), by)
    assert (refusal.code, refusal.field) == ("VALIDATION", "new_password")
    assert missing in refusal.message
    assert password not in refusal.message
    assert office.sign_in(login, DEFAULT)["status"] == "PASSWORD_CHANGE_REQUIRED"


def test_SEC_02_the_new_password_must_differ_from_the_default(office: Office) -> None:
    id, login = office.issue()
    by = office.principal(office.sign_in(login, DEFAULT))
    refusal = office.refusal(ChangePassword(user_id=id, old_password=DEFAULT, new_password=DEFAULT), by)
    assert (refusal.code, refusal.field) == ("VALIDATION", "new_password")


def test_SEC_10_the_old_password_is_asked_and_wrong_ones_count(office: Office) -> None:
    id, login = office.user()
    by = office.principal(office.sign_in(login, NEW))
    guess = ChangePassword(user_id=id, old_password="Wrong#2026", new_password="Other#2026")
    for _ in range(5):
        assert office.refusal(guess, by).code == "UNAUTHENTICATED"
    right = ChangePassword(user_id=id, old_password=NEW, new_password="Other#2026")
    assert office.refusal(right, by).state == "LOCKED"
    office.kit.pass_time(minutes=15)
    office.kit.do(right, by)
    assert office.is_void(by)
    assert office.sign_in(login, "Other#2026")["status"] == "SIGNED_IN"


def test_SEC_10_nobody_changes_somebody_elses_password(office: Office) -> None:
    id, _ = office.user()
    command = ChangePassword(user_id=id, old_password=NEW, new_password="Other#2026")
    assert office.refusal(command, office.admin).code == "FORBIDDEN"


def test_SEC_01_one_signs_in_with_the_employee_number_or_the_mobile_number(office: Office) -> None:
    _, login = office.user(phone="13812345678")
    for name in (login, f" {login} ", "13812345678", "+86 138 1234 5678"):
        assert office.sign_in(name, NEW)["status"] == "SIGNED_IN"
    refusal = office.refusal(IssueUser(login=login, name="Twin", default_password=DEFAULT), office.admin)
    assert (refusal.code, refusal.field) == ("DUPLICATE", "login")
    refusal = office.refusal(
        IssueUser(login="77", name="Twin", default_password=DEFAULT, phone="+8613812345678"), office.admin
    )
    assert (refusal.code, refusal.field) == ("DUPLICATE", "phone")


def test_SEC_01_a_new_default_password_ends_every_sign_in_and_a_lock(office: Office) -> None:
    id, login = office.user()
    by = office.principal(office.sign_in(login, NEW))
    for _ in range(5):
        office.refusal(SignIn(name=login, password="Wrong#2026"))
    office.kit.do(IssueDefaultPassword(user_id=id, default_password="Again#2026"), office.admin)
    assert office.is_void(by)
    assert office.sign_in(login, "Again#2026")["status"] == "PASSWORD_CHANGE_REQUIRED"


def test_SEC_13_an_account_without_a_password_can_only_set_one_with_a_code(office: Office) -> None:
    _, login = office.issue("DLR", default_password=None, email="dealer@example.com")
    for password in ("", " ", DEFAULT):
        command = SignIn(name=login, password=password)
        assert office.refusal(command).code == "UNAUTHENTICATED"
    reset = office.kit.do(RequestPasswordReset(name=login), NOBODY).body["id"]
    office.kit.do(ResetPassword(reset_id=UUID(reset), code=office.code(), new_password=NEW), NOBODY)
    assert office.sign_in(login, NEW)["status"] == "SIGNED_IN"


def test_SEC_14_a_deleted_user_is_out_at_once_and_the_successor_has_the_records(office: Office) -> None:
    leaver, login = office.user("SAL")
    heir, heirs_login = office.user("SAL")
    by = office.principal(office.sign_in(login, NEW))
    heirs = office.principal(office.sign_in(heirs_login, NEW))
    office.kit.do(DeleteUser(user_id=leaver, successor_id=heir), office.admin)
    assert office.is_void(by)
    assert office.refusal(SignIn(name=login, password=NEW)).code == "UNAUTHENTICATED"
    assert office.kit.directory.admit(heirs).reach("orders.edit").people == {leaver, heir}
    assert office.refusal(EditUser(user_id=leaver, name="x"), office.admin).state == "DELETED"
    office.kit.do(IssueUser(login=login, name="New one", default_password=DEFAULT), office.admin)


def test_SEC_14_the_last_administrator_stays(office: Office) -> None:
    assert office.admin.user_id
    other, _ = office.user()
    for command in (
        RemoveRoleMember(role="ADM", user_id=office.admin.user_id),
        DeleteUser(user_id=office.admin.user_id, successor_id=other),
    ):
        assert office.refusal(command, office.admin).state == "LAST_ADMINISTRATOR"
    office.kit.do(AddRoleMember(role="ADM", user_id=other), office.admin)
    office.kit.do(RemoveRoleMember(role="ADM", user_id=office.admin.user_id), office.admin)


def test_ACC_11_SEC_12_one_keeps_ones_own_data_current(office: Office) -> None:
    id, login = office.user(phone="13800000001")
    by = office.principal(office.sign_in(login, NEW))
    office.kit.do(EditPersonalData(user_id=id, name="Li"), by)
    contact = EditPersonalData(user_id=id, name="Li Na", email="na@example.com", phone="13800000002")
    assert (office.refusal(contact, by).code, office.refusal(contact, by).field) == ("VALIDATION", "password")
    assert office.refusal(replace(contact, password="Wrong#2026"), by).code == "UNAUTHENTICATED"
    office.kit.do(replace(contact, password=NEW), by)
    assert [message.to for message in office.mailbox.messages()] == ["13800000001"], "the old contact is told"
    told = [fact for fact in office.kit.facts() if type(fact).__name__ == "UserEdited"][-1]
    assert (told.user.name, told.user.email, told.user.phone) == ("Li Na", "na@example.com", "13800000002")
    assert office.sign_in("13800000002", NEW)["status"] == "SIGNED_IN"
    assert office.refusal(SignIn(name="13800000001", password=NEW)).code == "UNAUTHENTICATED"
    assert office.admin.user_id
    assert office.refusal(EditPersonalData(user_id=office.admin.user_id, name="x"), by).code == "FORBIDDEN"


# -- SEC-04, SEC-05: registering --------------------------------------------------------------------------------------


def test_ACC_08_SEC_04_SEC_05_who_registers_gets_in_with_the_code_that_was_sent(office: Office) -> None:
    register = RegisterUser(name="Wu", company="Wu Ltd", password=NEW, email="wu@example.com")
    office.kit.do(register, NOBODY)
    told = office.sign_in("wu@example.com", NEW)
    assert (told["status"], told["method"]) == ("PROOF_REQUIRED", "MAIL")
    assert "access_token" not in told
    session = UUID(told["id"])
    code = office.code()
    wrong = "000000" if code != "000000" else "111111"
    assert office.refusal(ProveIdentity(session_id=session, code=wrong)).field == "code"
    told = office.kit.do(ProveIdentity(session_id=session, code=code), NOBODY).body
    assert told["status"] == "SIGNED_IN"
    caller = office.kit.directory.admit(office.principal(told))
    assert caller.roles == frozenset()
    assert not any(caller.may(right) for right in RIGHTS)
    assert office.sign_in("wu@example.com", NEW)["status"] == "SIGNED_IN"


def test_SEC_05_a_code_is_good_once_for_five_minutes_and_five_tries(office: Office) -> None:
    office.kit.do(RegisterUser(name="Wu", company="Wu Ltd", password=NEW, email="wu@example.com"), NOBODY)
    late = UUID(office.sign_in("wu@example.com", NEW)["id"])
    code = office.code()
    office.kit.pass_time(minutes=5)
    assert office.refusal(ProveIdentity(session_id=late, code=code)).code == "UNAUTHENTICATED"
    session = UUID(office.sign_in("wu@example.com", NEW)["id"])
    code = office.code()
    office.kit.do(ProveIdentity(session_id=session, code=code), NOBODY)
    assert office.refusal(ProveIdentity(session_id=session, code=code)).code == "UNAUTHENTICATED"


def test_SEC_04_registration_can_be_switched_off(office: Office) -> None:
    office.settings(self_registration=False)
    command = RegisterUser(name="Wu", company="Wu Ltd", password=NEW, email="wu@example.com")
    assert office.refusal(command).code == "FORBIDDEN"


def test_CPL_01_SEC_04_the_name_of_who_was_erased_is_free_for_who_registers(office: Office) -> None:
    ring = KeyRing(MemoryKeys)
    use(ring)
    register = RegisterUser(name="Wu", company="Wu Ltd", password=NEW, email="wu@example.com")
    erased = UUID(office.kit.do(register, NOBODY).body["id"])
    again = replace(register, user_id=uuid4())
    assert office.refusal(again).code == "DUPLICATE"
    assert ring.destroy(erased)
    office.kit.do(again, NOBODY)
    refusal = office.refusal(replace(register, user_id=uuid4()))
    assert (refusal.code, refusal.field, str(again.user_id) in refusal.message) == ("DUPLICATE", "email", False)


def test_CPL_01_SEC_05_who_was_erased_is_not_there_for_whoever_signs_in_with_their_name(office: Office) -> None:
    """Neither with the right password, nor as an account whose failures are counted, nor to send a code to."""
    ring = KeyRing(MemoryKeys)
    use(ring)
    register = RegisterUser(name="Wu", company="Wu Ltd", password=NEW, email="wu@example.com")
    erased = UUID(office.kit.do(register, NOBODY).body["id"])
    session = UUID(office.sign_in("wu@example.com", NEW)["id"])
    assert office.kit.do(ProveIdentity(session_id=session, code=office.code()), NOBODY).body["access_token"]
    assert ring.destroy(erased)
    sent, refused = len(office.mailbox.messages()), office.refusal(SignIn(name="wu@example.com", password=NEW))
    nobody = office.refusal(SignIn(name="nobody@example.com", password=NEW))
    assert (refused.code, refused.message) == ("UNAUTHENTICATED", nobody.message)
    for _ in range(10):
        office.refusal(SignIn(name="wu@example.com", password=NEW))
    counted = office.kit.store.load(Attempts, attempts_id(erased, ""))
    assert counted is None or counted.failures == 0
    office.kit.do(RequestPasswordReset(name="wu@example.com"), NOBODY)
    assert len(office.mailbox.messages()) == sent


def test_SEC_04_a_number_nobody_has_proved_is_no_name_to_sign_in_with(office: Office) -> None:
    command = RegisterUser(name="Wu", company="Wu", password=NEW, email="wu@example.com", phone="13899999999")
    office.kit.do(command, NOBODY)
    _, login = office.user(phone="13899999999")
    assert office.sign_in("13899999999", NEW)["status"] == "SIGNED_IN"
    assert login


# -- SEC-06: second proofs --------------------------------------------------------------------------------------------


def with_app(office: Office) -> tuple[UUID, str, pyotp.TOTP, list[str]]:
    id, login = office.user("SAL")
    by = office.principal(office.sign_in(login, NEW))
    begun = office.kit.do(EnrolSecondFactor(user_id=id, method="TOTP", password=NEW), by).body
    assert begun["uri"].startswith("otpauth://totp/Salestream")
    app = pyotp.TOTP(begun["key"])
    done = office.kit.do(ConfirmSecondFactor(user_id=id, code=app.at(office.kit.now)), by).body
    return id, login, app, done["recovery_codes"]


def test_ACC_09_SEC_06_with_an_app_the_password_alone_opens_nothing(office: Office) -> None:
    id, login, app, _ = with_app(office)
    told = office.sign_in(login, NEW)
    assert told == {"id": told["id"], "version": 1, "status": "PROOF_REQUIRED", "method": "TOTP"}
    session = UUID(told["id"])
    replayed = ProveIdentity(session_id=session, code=app.at(office.kit.now))
    assert office.refusal(replayed).code == "UNAUTHENTICATED", "a code is good once"
    office.kit.pass_time(seconds=30)
    told = office.kit.do(ProveIdentity(session_id=session, code=app.at(office.kit.now)), NOBODY).body
    assert told["user_id"] == str(id)
    office.kit.directory.admit(office.principal(told)).require("orders.edit")


def test_SEC_06_a_recovery_code_is_good_once(office: Office) -> None:
    _, login, _, codes = with_app(office)
    assert len(set(codes)) == 10
    session = UUID(office.sign_in(login, NEW)["id"])
    assert office.kit.do(ProveIdentity(session_id=session, code=codes[3].upper()), NOBODY).body["status"] == "SIGNED_IN"
    session = UUID(office.sign_in(login, NEW)["id"])
    assert office.refusal(ProveIdentity(session_id=session, code=codes[3])).code == "UNAUTHENTICATED"


def test_SEC_06_guessing_the_second_proof_ends_the_sign_in_and_locks_the_account(office: Office) -> None:
    _, login, app, _ = with_app(office)
    office.kit.pass_time(minutes=1)
    session = UUID(office.sign_in(login, NEW)["id"])
    right = app.at(office.kit.now)
    wrong = f"{(int(right) + 1) % 10**6:06d}"
    for _ in range(5):
        assert office.refusal(ProveIdentity(session_id=session, code=wrong)).code == "UNAUTHENTICATED"
    assert office.refusal(ProveIdentity(session_id=session, code=right)).code == "UNAUTHENTICATED"
    assert office.refusal(SignIn(name=login, password=NEW)).state == "LOCKED"


def test_SEC_06_a_password_does_not_forget_the_proofs_that_failed(office: Office) -> None:
    """Signing in anew with the right password must not give five more guesses."""
    _, login, app, _ = with_app(office)
    office.kit.pass_time(minutes=1)
    wrong = f"{(int(app.at(office.kit.now)) + 1) % 10**6:06d}"
    for _ in range(5):
        session = UUID(office.sign_in(login, NEW)["id"])
        office.refusal(ProveIdentity(session_id=session, code=wrong))
    assert office.refusal(SignIn(name=login, password=NEW)).state == "LOCKED"


def test_SEC_06_a_role_can_need_a_second_proof(office: Office) -> None:
    office.settings(second_factor_roles=("FIN",))
    _, login = office.user("SAL", email="chen@example.com")
    assert office.sign_in(login, NEW)["status"] == "SIGNED_IN"
    user = [f.user_id for f in office.kit.facts() if type(f).__name__ == "UserIssued"][-1]
    office.kit.do(AddRoleMember(role="FIN", user_id=user), office.admin)
    told = office.sign_in(login, NEW)
    assert (told["status"], told["method"]) == ("PROOF_REQUIRED", "MAIL")
    assert office.mailbox.messages()[-1].to == "chen@example.com"
    assert "access_token" in office.kit.do(ProveIdentity(session_id=UUID(told["id"]), code=office.code()), NOBODY).body


def test_SEC_06_it_is_switched_off_by_its_user_or_the_administrator(office: Office) -> None:
    id, login, app, _ = with_app(office)
    office.kit.pass_time(seconds=30)
    session = UUID(office.sign_in(login, NEW)["id"])
    told = office.kit.do(ProveIdentity(session_id=session, code=app.at(office.kit.now)), NOBODY).body
    by = office.principal(told)
    wrong = RemoveSecondFactor(user_id=id, password="Wrong#2026")
    assert office.refusal(wrong, by).code == "UNAUTHENTICATED"
    office.kit.do(RemoveSecondFactor(user_id=id, password=NEW), by)
    assert office.sign_in(login, NEW)["status"] == "SIGNED_IN"
    id, login, _, _ = with_app(office)
    office.kit.do(ResetSecondFactor(user_id=id), office.admin)
    assert office.sign_in(login, NEW)["status"] == "SIGNED_IN"


def taken_away(office: Office, id: UUID, _: Principal) -> None:
    office.kit.do(ResetSecondFactor(user_id=id), office.admin)


def to_mail(office: Office, id: UUID, by: Principal) -> None:
    taken_away(office, id, by)
    office.kit.do(EditUser(user_id=id, email="li@example.com"), office.admin)
    office.kit.do(EnrolSecondFactor(user_id=id, method="MAIL", password=NEW), by)
    office.kit.do(ConfirmSecondFactor(user_id=id, code=office.code()), by)


@pytest.mark.parametrize("changed", [taken_away, to_mail])
@pytest.mark.parametrize("proof", ["app", "recovery code"])
def test_SEC_06_a_sign_in_that_awaits_the_app_ends_when_the_app_is_gone(
    office: Office, proof: str, changed: Callable[[Office, UUID, Principal], None]
) -> None:
    id, login, app, codes = with_app(office)
    office.kit.pass_time(seconds=30)
    session = UUID(office.sign_in(login, NEW)["id"])
    by = office.principal(office.kit.do(ProveIdentity(session_id=session, code=codes[0]), NOBODY).body)
    awaits = UUID(office.sign_in(login, NEW)["id"])
    changed(office, id, by)
    code = app.at(office.kit.now) if proof == "app" else codes[1]
    late = ProveIdentity(session_id=awaits, code=code)
    office.kit.assert_refused("UNAUTHENTICATED", late, NOBODY, field="session_id")
    assert office.sign_in(login, NEW)["status"] in ("SIGNED_IN", "PROOF_REQUIRED")


def test_SEC_06_a_code_that_was_sent_opens_nothing_once_an_app_is_asked_for(office: Office) -> None:
    """The app is the stronger proof: who enrols it shuts out whoever reads the mail."""
    id, login = office.user("SAL", email="li@example.com")
    by = office.principal(office.sign_in(login, NEW))
    office.settings(second_factor_roles=("SAL",))
    awaits = UUID(office.sign_in(login, NEW)["id"])
    code = office.code()
    key = office.kit.do(EnrolSecondFactor(user_id=id, method="TOTP", password=NEW), by).body["key"]
    office.kit.do(ConfirmSecondFactor(user_id=id, code=pyotp.TOTP(key).at(office.kit.now)), by)
    late = ProveIdentity(session_id=awaits, code=code)
    office.kit.assert_refused("UNAUTHENTICATED", late, NOBODY, field="session_id")


def replace_master_key(office: Office) -> None:
    """As the runbook says: the key is deleted, and the process starts again."""
    (Path(office.config.token_key_dir) / "access.key").unlink()
    vault._vault.cache_clear()


def test_SEC_06_with_another_master_key_an_app_is_refused_with_the_way_out(office: Office) -> None:
    id, login, app, codes = with_app(office)
    office.kit.pass_time(seconds=30)
    replace_master_key(office)
    session = UUID(office.sign_in(login, NEW)["id"])
    for code in (app.at(office.kit.now), codes[0]):
        proof = ProveIdentity(session_id=session, code=code)
        refusal = office.kit.assert_refused("INVALID_STATE", proof, NOBODY)
        assert (refusal.state, "DELETE /users/{user_id}/second-factor" in refusal.message) == ("KEY_LOST", True)
    office.kit.do(ResetSecondFactor(user_id=id), office.admin)
    assert office.sign_in(login, NEW)["status"] == "SIGNED_IN"


def test_SEC_06_with_another_master_key_an_app_is_enrolled_anew(office: Office) -> None:
    id, login = office.user("SAL")
    by = office.principal(office.sign_in(login, NEW))
    enrol = EnrolSecondFactor(user_id=id, method="TOTP", password=NEW)
    app = pyotp.TOTP(office.kit.do(enrol, by).body["key"])
    replace_master_key(office)
    confirm = ConfirmSecondFactor(user_id=id, code=app.at(office.kit.now))
    refusal = office.kit.assert_refused("INVALID_STATE", confirm, by)
    assert (refusal.state, "POST /users/{user_id}/second-factor" in refusal.message) == ("KEY_LOST", True)
    app = pyotp.TOTP(office.kit.do(enrol, by).body["key"])
    office.kit.do(ConfirmSecondFactor(user_id=id, code=app.at(office.kit.now)), by)


# -- SEC-07: signing in -----------------------------------------------------------------------------------------------


def test_SEC_07_an_unknown_name_and_a_wrong_password_are_told_alike(office: Office) -> None:
    _, login = office.user()
    problems = [
        [office.refusal(SignIn(name=name, password="Wrong#2026")).problem() for _ in range(7)]
        for name in (login, "nobody-at-all")
    ]
    assert problems[0] == problems[1], "also while locked"
    assert problems[0][4]["detail"] == "The name or the password is wrong."
    assert problems[0][5]["state"] == "LOCKED"


@pytest.mark.parametrize("set_as", ["NFC", "NFD"])
@pytest.mark.parametrize("sent_as", ["NFC", "NFD"])
def test_a_password_is_the_same_from_every_keyboard(
    set_as: Literal["NFC", "NFD"], sent_as: Literal["NFC", "NFD"]
) -> None:
    password = "Pässwörd が 2024"
    assert vault.matches(normalize(sent_as, password), vault.hash_password(normalize(set_as, password)))
    assert not vault.matches(normalize(sent_as, password).lower(), vault.hash_password(password))


def test_a_password_of_a_former_release_is_still_the_one_that_was_sent() -> None:
    decomposed = normalize("NFD", "Pässwörd 2024")
    assert vault.matches(decomposed, vault.new_hasher().hash(decomposed))


def test_SEC_07_an_unknown_name_costs_a_hash_and_a_commit_like_a_known_one(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, login = office.user()
    compared: list[str] = []

    def noted(password: str, stored: str) -> bool:
        compared.append(stored)
        return False

    monkeypatch.setattr(vault, "matches", noted)
    stored = []
    for name in (login, "nobody-at-all"):
        before = office.kit.store.last_position()
        office.refusal(SignIn(name=name, password="Wrong#2026"))
        stored.append([type(fact).__name__ for fact in office.kit.facts()[before:]])
    assert stored[0] == stored[1] == ["SignInFailed"]
    assert len(compared) == 2 and compared[0] and not compared[1]
    assert vault.nobodys_hash().split("$")[1:4] == vault.hash_password("x").split("$")[1:4]


def test_SEC_07_five_failures_lock_for_fifteen_minutes(office: Office) -> None:
    _, login = office.user()
    for _ in range(5):
        assert office.refusal(SignIn(name=login, password="Wrong#2026")).state is None
    before = office.kit.store.last_position()
    assert office.refusal(SignIn(name=login, password=NEW)).state == "LOCKED"
    assert office.kit.store.last_position() == before, "a locked name leaves no traces: they would grow for ever"
    office.kit.pass_time(minutes=14, seconds=59)
    assert office.refusal(SignIn(name=login, password=NEW)).state == "LOCKED"
    office.kit.pass_time(seconds=1)
    assert office.sign_in(login, NEW)["status"] == "SIGNED_IN"


def test_SEC_07_a_success_forgets_the_failures(office: Office) -> None:
    _, login = office.user()
    for _ in range(3):
        for _ in range(4):
            office.refusal(SignIn(name=login, password="Wrong#2026"))
        assert office.sign_in(login, NEW)["status"] == "SIGNED_IN"


# -- SEC-08: verification images --------------------------------------------------------------------------------------


def drawn(office: Office, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """A challenge and its right answer."""
    answers: list[str] = []
    whole = images._proof

    def noted(challenge_id: UUID, until: int, text: str, around: Any) -> str:
        answers.append(text)
        return whole(challenge_id, until, text, around)

    with monkeypatch.context() as patch:
        patch.setattr(images, "_proof", noted)
        body = office.kit.do(DrawChallenge(), NOBODY).body
    assert body["image"].startswith("data:image/png;base64,iVBOR")
    assert "outcome" not in body
    assert answers[0] not in re.split(r"\W", body["challenge"]), "its digits may stand in an id by chance"
    return body["challenge"], answers[0]


def test_ACC_10_SEC_08_a_wrong_image_is_refused_before_the_password(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.settings("ALWAYS")
    challenge, answer = drawn(office, monkeypatch)
    login = "root"
    assert office.refusal(SignIn(name=login, password=NEW)).state == "REQUIRED"
    looked: list[str] = []

    def noted(password: str, stored: str) -> bool:
        looked.append(password)
        return True

    monkeypatch.setattr(vault, "matches", noted)
    wrong = SignIn(name=login, password=NEW, challenge=challenge, challenge_answer="xxxxx")
    assert (office.refusal(wrong).code, office.refusal(wrong).field) == ("VALIDATION", "challenge_answer")
    assert looked == []
    monkeypatch.undo()
    again = replace(wrong, challenge_answer=answer)
    assert office.refusal(again).field == "challenge_answer", "one try"
    challenge, answer = drawn(office, monkeypatch)
    told = office.sign_in(login, NEW, challenge=challenge, challenge_answer=f" {answer} ")
    assert told["status"] == "SIGNED_IN"
    assert (
        office.refusal(SignIn(name=login, password=NEW, challenge=challenge, challenge_answer=answer)).field
        == "challenge_answer"
    ), "used"


def test_SEC_08_an_image_is_good_for_five_minutes_and_cannot_be_made_up(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    challenge, answer = drawn(office, monkeypatch)
    id, until, proof = challenge.split(".")
    for forged in (f"{uuid4()}.{until}.{proof}", f"{id}.{int(until) + 600}.{proof}", "x", "a.b.c", f"{id}.{until}.é"):
        command = SignIn(name="root", password=NEW, challenge=forged, challenge_answer=answer)
        assert office.refusal(command).code == "VALIDATION"
    office.kit.pass_time(minutes=5, seconds=1)
    command = SignIn(name="root", password=NEW, challenge=challenge, challenge_answer=answer)
    assert office.refusal(command).field == "challenge"


def test_SEC_08_by_default_the_image_is_asked_for_after_a_failure(office: Office) -> None:
    office.settings("AFTER_FAILURE")
    assert office.sign_in("root", NEW)["status"] == "SIGNED_IN"
    assert office.refusal(SignIn(name="root", password="Wrong#2026")).field == "password"
    assert office.refusal(SignIn(name="root", password=NEW)).state == "REQUIRED"


# -- SEC-09: recovery -------------------------------------------------------------------------------------------------


def test_ACC_10_SEC_09_a_password_is_recovered_with_the_code(office: Office) -> None:
    _, login = office.user("SAL", email="li@example.com")
    by = office.principal(office.sign_in(login, NEW))
    reset = UUID(office.kit.do(RequestPasswordReset(name=login), NOBODY).body["id"])
    code = office.code()
    weak = ResetPassword(reset_id=reset, code=code, new_password="weak")
    assert office.refusal(weak).code == "VALIDATION"
    office.kit.do(ResetPassword(reset_id=reset, code=code, new_password="Fresh#2026"), NOBODY)
    assert office.is_void(by)
    assert office.refusal(SignIn(name=login, password=NEW)).code == "UNAUTHENTICATED"
    assert office.sign_in(login, "Fresh#2026")["status"] == "SIGNED_IN"
    again = ResetPassword(reset_id=reset, code=code, new_password="Again#2026")
    assert office.refusal(again).code == "UNAUTHENTICATED", "a code is good once"


def test_SEC_09_asking_for_a_code_does_not_tell_who_has_an_account(office: Office) -> None:
    _, login = office.user("SAL", email="li@example.com")
    answers, traces = [], []
    for name in (login, "nobody-at-all"):
        for _ in range(7):
            before = office.kit.store.last_position()
            body = office.kit.do(RequestPasswordReset(name=name), NOBODY).body
            answers.append({**body, "id": ""})
            traces.append([type(fact).__name__ for fact in office.kit.facts()[before:]])
    assert answers[:7] == answers[7:]
    assert traces[:7] == traces[7:]
    assert len(office.mailbox.messages("li@example.com")) == 5, "five codes an hour"


def test_SEC_09_a_reset_code_takes_five_tries(office: Office) -> None:
    _, login = office.user("SAL", email="li@example.com")
    reset = UUID(office.kit.do(RequestPasswordReset(name=login), NOBODY).body["id"])
    code = office.code()
    wrong = f"{(int(code) + 1) % 10**6:06d}"
    for _ in range(5):
        guess = ResetPassword(reset_id=reset, code=wrong, new_password="Fresh#2026")
        assert office.refusal(guess).code == "UNAUTHENTICATED"
    right = ResetPassword(reset_id=reset, code=code, new_password="Fresh#2026")
    assert office.refusal(right).code == "UNAUTHENTICATED"
    assert office.sign_in(login, NEW)["status"] == "SIGNED_IN"


# -- what makes a code void (SEC-05, SEC-09) --------------------------------------------------------------------------

ELSE = "Other#2026"


def own_contact(office: Office, id: UUID, by: Principal) -> None:
    office.kit.do(EditPersonalData(user_id=id, email="new@example.com", password=NEW), by)


def edited_contact(office: Office, id: UUID, _: Principal) -> None:
    office.kit.do(EditUser(user_id=id, email="new@example.com"), office.admin)


def no_contact(office: Office, id: UUID, _: Principal) -> None:
    office.kit.do(EditUser(user_id=id, email=None, phone="13800000009"), office.admin)


def own_password(office: Office, id: UUID, by: Principal) -> None:
    office.kit.do(ChangePassword(user_id=id, old_password=NEW, new_password=ELSE), by)


def default_password(office: Office, id: UUID, _: Principal) -> None:
    office.kit.do(IssueDefaultPassword(user_id=id, default_password=DEFAULT), office.admin)


def recovered_password(office: Office, id: UUID, _: Principal) -> None:
    user = office.kit.store.load(User, id)
    assert user is not None
    office.kit.do(asked_reset(office, user.state.login), NOBODY)


def signed_out(office: Office, id: UUID, _: Principal) -> None:
    office.kit.do(EndSignIns(user_id=id), office.admin)


def deleted(office: Office, id: UUID, _: Principal) -> None:
    assert office.admin.user_id
    office.kit.do(DeleteUser(user_id=id, successor_id=office.admin.user_id), office.admin)


def renamed(office: Office, id: UUID, _: Principal) -> None:
    office.kit.do(EditUser(user_id=id, name="Li Na", phone="13800000009"), office.admin)


Event = Callable[[Office, UUID, Principal], None]
NEW_CONTACT: list[Event] = [own_contact, edited_contact, no_contact]
NEW_EPOCH: list[Event] = [own_password, default_password, recovered_password, signed_out, deleted]


def asked_reset(office: Office, login: str) -> ResetPassword:
    """What sets a password with the code that was sent just now."""
    reset = UUID(office.kit.do(RequestPasswordReset(name=login), NOBODY).body["id"])
    return ResetPassword(reset_id=reset, code=office.code(), new_password="Fresh#2026")


def awaited_proof(office: Office, login: str) -> ProveIdentity:
    """What opens a sign-in with the code that was sent just now."""
    return ProveIdentity(session_id=UUID(office.sign_in(login, NEW)["id"]), code=office.code())


def with_mail(office: Office) -> tuple[UUID, str, Principal]:
    """A user who is signed in, and of whom a code by mail is asked from now on."""
    id, login = office.user("SAL", email="old@example.com")
    by = office.principal(office.sign_in(login, NEW))
    office.settings(second_factor_roles=("SAL",))
    return id, login, by


@pytest.mark.parametrize("event", NEW_CONTACT + NEW_EPOCH)
def test_SEC_09_a_reset_code_is_void_once_the_contact_or_the_password_is_another(office: Office, event: Event) -> None:
    id, login, by = with_mail(office)
    reset = asked_reset(office, login)
    event(office, id, by)
    refusal = office.kit.assert_refused("UNAUTHENTICATED", reset, NOBODY, field="code")
    assert refusal.problem() == wrong_code().problem(), "what has happened is nobody's business"


@pytest.mark.parametrize("event", NEW_CONTACT + NEW_EPOCH)
def test_SEC_05_a_proof_is_void_once_the_contact_or_the_password_is_another(office: Office, event: Event) -> None:
    id, login, by = with_mail(office)
    proof = awaited_proof(office, login)
    event(office, id, by)
    office.kit.assert_refused("UNAUTHENTICATED", proof, NOBODY, field="session_id")


@pytest.mark.parametrize("asked", [asked_reset, awaited_proof])
def test_SEC_05_a_code_is_good_where_the_contact_it_went_to_is_still_there(
    office: Office, asked: Callable[[Office, str], Any]
) -> None:
    id, login, by = with_mail(office)
    command = asked(office, login)
    renamed(office, id, by)
    office.kit.do(command, NOBODY)


def test_SEC_05_a_code_that_went_to_the_contact_of_a_moment_ago_opens_nothing(office: Office) -> None:
    """The contact changes between the check and the writer: the code goes to the one that was seen."""
    id, login, _ = with_mail(office)
    request = office.kit.request(SignIn(name=login, password=NEW), NOBODY)
    ready = prepare(SERVICE, request, office.kit.surroundings(NOBODY))
    office.kit.do(EditUser(user_id=id, email="new@example.com"), office.admin)
    office.kit.writer.execute([ready.request])
    told = ready.told(ready.request.future.result(timeout=0))
    assert office.mailbox.messages()[-1].to == "old@example.com"
    late = ProveIdentity(session_id=UUID(told["id"]), code=office.code())
    office.kit.assert_refused("UNAUTHENTICATED", late, NOBODY, field="session_id")


@pytest.mark.parametrize("asked", [asked_reset, awaited_proof])
def test_a_code_of_a_former_release_is_good_whatever_has_changed_of_what_it_did_not_keep(
    office: Office, monkeypatch: pytest.MonkeyPatch, asked: Callable[[Office, str], Any]
) -> None:
    id, login, by = with_mail(office)
    with monkeypatch.context() as former:
        former.setattr(events, "encode", as_before)
        command = asked(office, login)
    assert b"sent_to" not in office.kit.store.notifications(0, 1_000)[-1].data
    office.kit.writer = Writer(SERVICE, office.kit.store, listener=office.kit.directory)
    edited_contact(office, id, by)
    office.kit.do(command, NOBODY)


def reset_by_mail(office: Office) -> tuple[Any, Principal]:
    _, login, _ = with_mail(office)
    return asked_reset(office, login), NOBODY


def proof_by_mail(office: Office) -> tuple[Any, Principal]:
    _, login, _ = with_mail(office)
    return awaited_proof(office, login), NOBODY


def confirmed_mail(office: Office) -> tuple[Any, Principal]:
    _, _, by, confirm = enrolled_mail(office)
    return confirm, by


def proof_by_app(office: Office) -> tuple[Any, Principal]:
    _, login, app, _ = with_app(office)
    office.kit.pass_time(minutes=5)  # the code of the confirmation is used
    return ProveIdentity(session_id=UUID(office.sign_in(login, NEW)["id"]), code=app.at(office.kit.now)), NOBODY


def proof_by_recovery(office: Office) -> tuple[Any, Principal]:
    _, login, _, codes = with_app(office)
    return ProveIdentity(session_id=UUID(office.sign_in(login, NEW)["id"]), code=codes[0]), NOBODY


TYPED: dict[Callable[[Office], tuple[Any, Principal]], type] = {
    reset_by_mail: ResetPassword,
    proof_by_mail: ProveIdentity,
    proof_by_app: ProveIdentity,
    proof_by_recovery: ProveIdentity,
    confirmed_mail: ConfirmSecondFactor,
}
HANDS: dict[str, Callable[[str], str]] = {
    "blanks": lambda code: f" {code[:3]} {code[3:]}\n",
    "dashes": lambda code: f"{code[:3]}-{code[3:]}",
    "no-break and zero-width": lambda code: f"\u200b{code[:3]}\u00a0{code[3:]}",
    "wide": lambda code: "".join(chr(ord(one) + 0xFEE0) for one in code),
    "capitals": str.upper,
}


@pytest.mark.parametrize("typed", HANDS.values(), ids=list(HANDS))
@pytest.mark.parametrize("asked", TYPED)
def test_a_code_is_the_same_however_it_is_typed(
    office: Office, asked: Callable[[Office], tuple[Any, Principal]], typed: Callable[[str], str]
) -> None:
    command, by = asked(office)
    office.kit.new_facts()
    office.kit.do(replace(command, code=typed(command.code)), by)
    assert office.kit.new_facts(), "a wrong code would be refused, and one that is overlooked change nothing"


def test_every_command_that_takes_a_code_is_tried_with_those_of_any_hand() -> None:
    public = [spec.cls for spec in REGISTRY.commands.values() if spec.is_public]
    assert set(TYPED.values()) == {cls for cls in public if "code" in get_type_hints(cls)}


ADDED: dict[type, tuple[str, ...]] = {
    ResetAsked: ("epoch", "sent_to"),
    ProofAsked: ("sent_to",),
    FactorPending: ("epoch", "sent_to"),
}


def as_before(fact: Any, *_: object) -> bytes:
    """How a former release stored an event: without what has been added to it since."""
    fields = msgspec.json.decode(encode(fact))
    return msgspec.json.encode({name: fields[name] for name in fields if name not in ADDED.get(type(fact), ())})


def enrolled_mail(office: Office, *roles: str) -> tuple[UUID, str, Principal, ConfirmSecondFactor]:
    """Somebody who enrols codes by mail, and what confirms them with the code that was sent just now."""
    id, login = office.user(*roles, email="old@example.com")
    by = office.principal(office.sign_in(login, NEW))
    office.kit.do(EnrolSecondFactor(user_id=id, method="MAIL", password=NEW), by)
    return id, login, by, ConfirmSecondFactor(user_id=id, code=office.code())


def own_contact_taken(office: Office, id: UUID, by: Principal) -> None:
    office.kit.do(EditPersonalData(user_id=id, email=None, password=NEW), by)


@pytest.mark.parametrize("event", [*NEW_CONTACT, own_contact_taken])
@pytest.mark.parametrize("role", ["SAL", "ADM"])
def test_SEC_06_a_second_proof_is_confirmed_for_the_contact_its_code_went_to(
    office: Office, role: str, event: Event
) -> None:
    id, login, by, confirm = enrolled_mail(office, role)
    event(office, id, by)
    refusal = office.kit.assert_refused("INVALID_STATE", confirm, by)
    assert refusal.state == ("NO_CONTACT" if event in (no_contact, own_contact_taken) else "NOT_BEGUN")
    assert office.sign_in(login, NEW)["status"] == "SIGNED_IN"
    if refusal.state == "NOT_BEGUN":
        assert "POST /users/{user_id}/second-factor" in refusal.message
        office.kit.do(EnrolSecondFactor(user_id=id, method="MAIL", password=NEW), by)
        assert office.mailbox.messages()[-1].to == "new@example.com"
        office.kit.do(replace(confirm, code=office.code()), by)
        assert office.sign_in(login, NEW)["status"] == "PROOF_REQUIRED"


def test_SEC_06_of_two_contacts_the_one_its_code_went_to_counts(office: Office) -> None:
    id, login, by, confirm = enrolled_mail(office)
    renamed(office, id, by)
    office.kit.do(confirm, by)
    assert office.sign_in(login, NEW)["method"] == "MAIL"
    id, login = office.user(email="two@example.com", phone="13800000008")
    by = office.principal(office.sign_in(login, NEW))
    office.kit.do(EnrolSecondFactor(user_id=id, method="SMS", password=NEW), by)
    confirm = ConfirmSecondFactor(user_id=id, code=office.code())
    office.kit.do(EditUser(user_id=id, phone=None), office.admin)
    assert office.kit.assert_refused("INVALID_STATE", confirm, by).state == "NO_CONTACT"
    office.kit.do(EditUser(user_id=id, phone="13800000007"), office.admin)
    assert office.kit.assert_refused("INVALID_STATE", confirm, by).state == "NOT_BEGUN"


@pytest.mark.parametrize("method", ["MAIL", "TOTP"])
def test_SEC_06_what_was_begun_before_every_sign_in_ended_is_begun_anew(office: Office, method: Any) -> None:
    """Whoever began it may be the one who was thrown out."""
    id, login = office.user(email="old@example.com")
    by = office.principal(office.sign_in(login, NEW))
    begun = office.kit.do(EnrolSecondFactor(user_id=id, method=method, password=NEW), by).body
    code = pyotp.TOTP(begun["key"]).at(office.kit.now) if method == "TOTP" else office.code()
    own_password(office, id, by)
    by = office.principal(office.sign_in(login, ELSE))
    confirm = ConfirmSecondFactor(user_id=id, code=code)
    assert office.kit.assert_refused("INVALID_STATE", confirm, by).state == "NOT_BEGUN"
    assert office.sign_in(login, ELSE)["status"] == "SIGNED_IN"


def test_SEC_06_what_an_administrator_takes_away_is_not_confirmed_afterwards(office: Office) -> None:
    id, login, by, confirm = enrolled_mail(office)
    office.kit.do(ResetSecondFactor(user_id=id), office.admin)
    assert office.kit.assert_refused("INVALID_STATE", confirm, by).state == "NOT_BEGUN"
    assert [type(fact).__name__ for fact in office.kit.facts()].count("SecondFactorSet") == 0, "there was none"
    before = office.kit.store.last_position()
    office.kit.do(ResetSecondFactor(user_id=id), office.admin)
    assert office.kit.store.last_position() == before
    assert office.sign_in(login, NEW)["status"] == "SIGNED_IN"


def test_SEC_06_a_second_proof_is_not_begun_with_the_contact_of_a_moment_ago(office: Office) -> None:
    id, login = office.user(email="old@example.com")
    by = office.principal(office.sign_in(login, NEW))
    request = office.kit.request(EnrolSecondFactor(user_id=id, method="MAIL", password=NEW), by)
    ready = prepare(SERVICE, request, office.kit.surroundings(by))
    edited_contact(office, id, by)
    before = office.kit.store.last_position()
    office.kit.writer.execute([ready.request])
    with pytest.raises(Refused) as refused:
        ready.request.future.result(timeout=0)
    assert (refused.value.code, refused.value.state) == ("INVALID_STATE", "NOT_BEGUN")
    assert office.kit.store.last_position() == before and not office.mailbox.messages()


def test_SEC_06_a_second_proof_begun_with_a_former_release_needs_no_more_than_its_contact(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as former:
        former.setattr(events, "encode", as_before)
        id, login, by, confirm = enrolled_mail(office)
    office.kit.writer = Writer(SERVICE, office.kit.store, listener=office.kit.directory)
    no_contact(office, id, by)
    assert office.kit.assert_refused("INVALID_STATE", confirm, by).state == "NO_CONTACT"
    office.kit.do(EditUser(user_id=id, email="old@example.com"), office.admin)
    office.kit.do(confirm, by)
    assert office.sign_in(login, NEW)["method"] == "MAIL"


# -- SEC-11, sessions and tokens --------------------------------------------------------------------------------------


def test_SEC_11_a_signed_out_token_is_void_at_once(office: Office) -> None:
    _, login = office.user()
    mine, other = (office.principal(office.sign_in(login, NEW)) for _ in range(2))
    assert mine.session_id and other.session_id
    assert office.admin.session_id
    assert office.refusal(SignOut(session_id=office.admin.session_id), mine).code == "FORBIDDEN"
    office.kit.do(SignOut(session_id=mine.session_id), mine)
    assert office.is_void(mine)
    assert not office.is_void(other)


def test_a_refresh_token_is_exchanged_once_and_a_replay_ends_the_session(office: Office) -> None:
    _, login = office.user()
    told = office.sign_in(login, NEW)
    session = UUID(told["id"])
    fresh = office.kit.do(RefreshSession(session_id=session, refresh_token=told["refresh_token"]), NOBODY).body
    assert fresh["refresh_token"] != told["refresh_token"]
    assert not office.is_void(office.principal(fresh))
    replay = RefreshSession(session_id=session, refresh_token=told["refresh_token"])
    assert office.refusal(replay).code == "UNAUTHENTICATED"
    assert office.is_void(office.principal(fresh)), "the access token of the one who stole it is void too"
    newest = RefreshSession(session_id=session, refresh_token=fresh["refresh_token"])
    assert office.refusal(newest).code == "UNAUTHENTICATED"
    ended = [fact for fact in office.kit.facts() if type(fact).__name__ == "SessionEnded"]
    assert [fact.reason for fact in ended] == ["REUSED_TOKEN"]


def test_a_refresh_token_ends_after_a_week_unused_and_a_month_in_all(office: Office) -> None:
    _, login = office.user()
    told = office.sign_in(login, NEW)
    session = UUID(told["id"])
    for _ in range(5):
        office.kit.pass_time(days=6)
        if _ < 4:
            told = office.kit.do(RefreshSession(session_id=session, refresh_token=told["refresh_token"]), NOBODY).body
    last = RefreshSession(session_id=session, refresh_token=told["refresh_token"])
    assert office.refusal(last).code == "UNAUTHENTICATED"
    told = office.sign_in(login, NEW)
    office.kit.pass_time(days=7)
    idle = RefreshSession(session_id=UUID(told["id"]), refresh_token=told["refresh_token"])
    assert office.refusal(idle).code == "UNAUTHENTICATED"


def test_a_refresh_token_dies_with_the_password(office: Office) -> None:
    id, login = office.user()
    told = office.sign_in(login, NEW)
    office.kit.do(EndSignIns(user_id=id), office.admin)
    assert office.is_void(office.principal(told))
    refresh = RefreshSession(session_id=UUID(told["id"]), refresh_token=told["refresh_token"])
    assert office.refusal(refresh).code == "UNAUTHENTICATED"


def test_SEC_29_the_tokens_of_a_wiped_phone_are_void_at_once(office: Office) -> None:
    id, login = office.user()
    phone = uuid4()
    office.kit.directory.tell([enrolled(phone, id)])
    lost, kept = office.sign_in(login, NEW, device_id=phone), office.sign_in(login, NEW)
    office.kit.directory.tell([WipeRequested(device_id=phone)])
    assert office.is_void(office.principal(lost))
    assert not office.is_void(office.principal(kept))
    refresh = RefreshSession(session_id=UUID(lost["id"]), refresh_token=lost["refresh_token"])
    assert office.refusal(refresh).state == "WIPED"
    assert office.refusal(SignIn(name=login, password=NEW, device_id=phone)).state == "WIPED"


def test_SEC_29_no_step_of_signing_in_goes_on_with_a_phone_that_was_wiped_since(office: Office) -> None:
    """Every command that tokens may come of: also the second proof, between which and the password a phone is lost."""
    id, login = office.user(email="li@example.com")
    phone = uuid4()
    office.kit.directory.tell([enrolled(phone, id)])
    opened = office.sign_in(login, NEW, device_id=phone)
    office.settings(second_factor_roles=("SAL",))
    office.kit.do(AddRoleMember(role="SAL", user_id=id), office.admin)
    asked = UUID(office.sign_in(login, NEW, device_id=phone)["id"])
    steps: dict[type, Any] = {
        SignIn: SignIn(name=login, password=NEW, device_id=phone),
        ProveIdentity: ProveIdentity(session_id=asked, code=office.code()),
        RefreshSession: RefreshSession(session_id=UUID(opened["id"]), refresh_token=opened["refresh_token"]),
    }
    assert steps.keys() == {spec.cls for spec in REGISTRY.commands.values() if spec.signs_in}
    office.kit.directory.tell([WipeRequested(device_id=phone)])
    office.kit.new_facts()
    for step in steps.values():
        refused = office.refusal(step)
        assert (refused.code, refused.state) == ("UNAUTHENTICATED", "WIPED"), step
    assert office.kit.new_facts() == []


# -- SEC-15..20: roles and rights -------------------------------------------------------------------------------------


def test_ACC_52_SEC_19_a_member_has_the_roles_rights_at_the_next_request(office: Office) -> None:
    id, login = office.user()
    by = office.principal(office.sign_in(login, NEW))
    admit = office.kit.directory.admit
    assert not admit(by).may("payments")
    office.kit.do(AddRoleMember(role="FIN", user_id=id), office.admin)
    assert admit(by).may("payments")
    office.kit.do(RemoveRoleMember(role="FIN", user_id=id), office.admin)
    assert not admit(by).may("payments")


def test_ACC_51_SEC_20_a_new_hire_has_exactly_the_posts_rights_and_a_wrong_grant_is_corrected(office: Office) -> None:
    id, login = office.user("SAL")
    by = office.principal(office.sign_in(login, NEW))
    admit = office.kit.directory.admit
    assert {right for right in RIGHTS if admit(by).may(right)} == set(first_rights("SAL"))
    office.kit.do(GrantRight(role="SAL", right="reports.sales", scope="ALL"), office.admin)
    assert admit(by).may("reports.sales")
    office.kit.do(RevokeRight(role="SAL", right="reports.sales"), office.admin)
    assert not admit(by).may("reports.sales")
    answer = office.kit.do(ReviewRights(user_id=id), office.admin)
    reviewed = office.kit.facts()[-1]
    assert answer.body["id"] == str(id)
    assert reviewed.next_on - reviewed.reviewed_on == timedelta(days=90)


def test_SEC_15_a_role_of_the_companys_own(office: Office) -> None:
    id, login = office.user()
    give = AddRoleMember(role="INTERN", user_id=id)
    assert office.refusal(give, office.admin).code == "NOT_FOUND"
    office.kit.do(DefineRole(role="INTERN", title="Intern"), office.admin)
    office.kit.do(GrantRight(role="INTERN", right="products.view", scope="ALL"), office.admin)
    office.kit.do(give, office.admin)
    caller = office.kit.directory.admit(office.principal(office.sign_in(login, NEW)))
    assert {right for right in RIGHTS if caller.may(right)} == {"products.view"}


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (GrantRight(role="SAL", right="nonsense", scope="ALL"), "NOT_FOUND"),
        (GrantRight(role="SAL", right="system", scope="ALL"), "NOT_FOUND"),
        (GrantRight(role="SYSTEM", right="accounts", scope="ALL"), "NOT_FOUND"),
        (RevokeRight(role="SAL", right="nonsense"), "NOT_FOUND"),
        (RemoveRoleMember(role="UNHEARD", user_id=UUID(int=1)), "NOT_FOUND"),
        (DefineRole(role="SYSTEM", title="x"), "VALIDATION"),
        (RevokeRight(role="ADM", right="accounts"), "INVALID_STATE"),
        (GrantRight(role="UNHEARD", right="accounts", scope="ALL"), "NOT_FOUND"),
    ],
)
def test_SEC_16_what_no_role_can_be(office: Office, command: Any, code: str) -> None:
    assert office.refusal(command, office.admin).code == code


def test_SEC_19_a_role_that_nobody_defined_has_no_members_to_take_away(office: Office) -> None:
    user_id, _ = office.user("SAL")
    assert office.refusal(RemoveRoleMember(role="UNHEARD", user_id=user_id), office.admin).field == "role"


def test_SET_06_no_two_departments_of_one_have_the_same_name(office: Office) -> None:
    def add(name: str, parent: UUID | None = None) -> UUID:
        return UUID(office.kit.do(AddDepartment(name=name, parent_id=parent), office.admin).body["id"])

    north, south = add("North"), add("South")
    add("Sales", north), add("Sales", south), add("Sales")
    for same in ("North", "NORTH", " north ", "\uff2e\uff4f\uff52\uff54\uff48"):
        assert office.refusal(AddDepartment(name=same), office.admin).field == "name"
        assert office.refusal(RenameDepartment(department_id=south, name=same), office.admin).code == "DUPLICATE"
    assert office.refusal(AddDepartment(name="sales", parent_id=north), office.admin).code == "DUPLICATE"
    office.kit.do(RenameDepartment(department_id=north, name="NORTH"), office.admin)
    office.kit.do(RenameDepartment(department_id=north, name="Harbour"), office.admin)
    add("North")


def test_SET_06_a_department_of_a_former_release_holds_its_name_once_it_is_renamed(office: Office) -> None:
    id, meta = uuid4(), office.kit.request(AddDepartment(name="x")).meta()
    added = DepartmentAdded(department_id=id, name="North")
    office.kit.store.commit(Transaction(events=[recorded(id, 1, added, meta)]))
    office.kit.do(RenameDepartment(department_id=id, name="Harbour"), office.admin)
    assert office.refusal(AddDepartment(name="harbour"), office.admin).code == "DUPLICATE"


def test_SET_06_a_department_is_moved_with_its_own_and_never_below_itself(office: Office) -> None:
    def add(name: str, parent: UUID | None = None) -> UUID:
        return UUID(office.kit.do(AddDepartment(name=name, parent_id=parent), office.admin).body["id"])

    north, south = add("North"), add("South")
    sales = add("Sales", north)
    team = add("Team", sales)
    for within in (sales, team):
        refused = office.refusal(MoveDepartment(department_id=sales, parent_id=within), office.admin)
        assert (refused.code, refused.field, refused.why.reason) == ("VALIDATION", "parent_id", "records.above_itself")
    unknown = MoveDepartment(department_id=sales, parent_id=uuid4())
    assert (office.refusal(unknown, office.admin).code, office.refusal(unknown, office.admin).field) == (
        "NOT_FOUND", "parent_id",
    )  # fmt: skip
    add("Sales", south)
    before = office.kit.store.last_position()
    assert office.refusal(MoveDepartment(department_id=sales, parent_id=south), office.admin).code == "DUPLICATE"
    office.kit.do(MoveDepartment(department_id=sales), office.admin)
    office.kit.do(MoveDepartment(department_id=sales, parent_id=north), office.admin)
    assert office.kit.store.last_position() == before, "it stays where it is"
    office.kit.new_facts()
    office.kit.do(MoveDepartment(department_id=sales, parent_id=None), office.admin)
    [moved] = [fact for fact in office.kit.new_facts() if isinstance(fact, DepartmentMoved)]
    assert (moved.department_id, moved.parent_id, moved.before) == (sales, None, north)
    add("Sales", north)  # its name is free there
    office.kit.do(MoveDepartment(department_id=north, parent_id=team), office.admin)
    assert office.refusal(MoveDepartment(department_id=team, parent_id=north), office.admin).field == "parent_id"


def test_SET_06_departments_lie_so_deep_at_most(office: Office) -> None:
    above: UUID | None = None
    for level in range(MOST_LEVELS):
        above = UUID(office.kit.do(AddDepartment(name=f"{level}", parent_id=above), office.admin).body["id"])
    assert office.refusal(AddDepartment(name="deeper", parent_id=above), office.admin).code == "TOO_LARGE"
    other = UUID(office.kit.do(AddDepartment(name="other"), office.admin).body["id"])
    assert office.refusal(MoveDepartment(department_id=other, parent_id=above), office.admin).field == "parent_id"


def test_SEC_18_SET_06_a_department_that_is_moved_is_reached_from_its_new_place(office: Office) -> None:
    north, south = (UUID(office.kit.do(AddDepartment(name=name), office.admin).body["id"]) for name in ("N", "S"))
    harbour = UUID(office.kit.do(AddDepartment(name="Harbour", parent_id=north), office.admin).body["id"])
    office.kit.do(GrantRight(role="SUP", right="customers.edit", scope="DEPARTMENT"), office.admin)
    seller, _ = office.user("SAL", department_id=harbour)
    (_, of_north), (_, of_south) = (office.user("SUP", department_id=one) for one in (north, south))
    logins = (of_north, of_south)

    def reached() -> list[bool]:
        people = [office.kit.directory.admit(office.principal(office.sign_in(login, NEW))) for login in logins]
        return [seller in one.reach("customers.edit").people for one in people]

    assert reached() == [True, False]
    office.kit.do(MoveDepartment(department_id=harbour, parent_id=south), office.admin)
    assert reached() == [False, True]


def test_SEC_18_whose_records_each_scope_reaches(office: Office) -> None:
    north = UUID(office.kit.do(AddDepartment(name="North"), office.admin).body["id"])
    harbour = UUID(office.kit.do(AddDepartment(name="Harbour", parent_id=north), office.admin).body["id"])
    boss, login = office.user("SUP", department_id=north)
    lead, _ = office.user("SUP", superior_id=boss, department_id=harbour)
    seller, sellers = office.user("SAL", superior_id=lead)
    neighbour, _ = office.user("SAL", department_id=harbour)
    by, sellers_own = (office.principal(office.sign_in(name, NEW)) for name in (login, sellers))
    admit = office.kit.directory.admit
    assert admit(by).reach("orders.view").people == {boss, lead, seller}
    assert admit(sellers_own).reach("orders.view").people == {seller}
    office.kit.do(GrantRight(role="SUP", right="orders.view", scope="DEPARTMENT"), office.admin)
    assert admit(by).reach("orders.view").people == {boss, lead, neighbour}
    assert admit(by).reach("orders.edit").people == {boss, lead, seller}
    office.kit.do(GrantRight(role="SUP", right="orders.view", scope="ALL"), office.admin)
    assert admit(by).reach("orders.view").everybody
    for led in (boss, lead, seller):
        circle = EditUser(user_id=boss, superior_id=led)
        office.kit.assert_refused("VALIDATION", circle, office.admin, field="superior_id")


# -- machine accounts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("second", ["OWN", "ALL"])
def test_a_right_is_given_to_a_machine_once(second: DataScope) -> None:
    """One scope would count and the other be shown."""
    grants = [{"right": "products.view", "scope": scope} for scope in ("ALL", second)]
    with pytest.raises(Refused) as refused:
        load(AddMachine, {"name": "ERP", "grants": grants})
    assert (refused.value.code, refused.value.field) == ("VALIDATION", "grants.1.right")


def test_two_machine_accounts_have_two_names(office: Office) -> None:
    """By the name people know what called; one that has ended frees its own."""
    first = AddMachine(name="ERP", grants=())
    office.kit.do(first, office.admin)
    office.kit.do(AddMachine(name="Till", grants=()), office.admin)
    for same in ("ERP", "erp ", "ＥＲＰ"):
        refusal = office.refusal(AddMachine(name=same, grants=()), office.admin)
        assert (refusal.code, refusal.field) == ("DUPLICATE", "name") and str(first.machine_id) in refusal.message
    office.kit.do(DeleteMachine(machine_id=first.machine_id), office.admin)
    office.kit.do(AddMachine(name="erp", grants=()), office.admin)


def test_the_name_of_a_machine_account_of_a_former_release_is_taken_too(office: Office) -> None:
    """It was issued before names were claimed in the store."""
    old = MachineChanged(machine_id=uuid4(), name="ERP", grants=(), epoch=1, active=True, revision=1)
    office.kit.directory.tell([old])
    refusal = office.refusal(AddMachine(name="erp", grants=()), office.admin)
    assert (refusal.code, refusal.field) == ("DUPLICATE", "name")
    office.kit.directory.tell([replace(old, active=False, revision=2)])
    office.kit.do(AddMachine(name="erp", grants=()), office.admin)


def test_a_machine_has_the_rights_it_was_given_and_no_others(office: Office) -> None:
    added = AddMachine(name="ERP", grants=(Grant(right="products.view", scope="ALL"),))
    secret = office.kit.do(added, office.admin).body["secret"]
    get = GetMachineToken(machine_id=added.machine_id, secret=secret)
    by = office.principal(office.kit.do(get, NOBODY).body)
    machine = office.kit.directory.admit(by)
    assert {right for right in (*RIGHTS, "self", "password") if machine.may(right)} == {"products.view"}
    assert office.refusal(replace(get, secret="wrong")).code == "UNAUTHENTICATED"
    assert (
        office.refusal(replace(get, machine_id=uuid4())).problem()
        == office.refusal(replace(get, secret="wrong")).problem()
    )
    office.kit.do(RenewMachineSecret(machine_id=added.machine_id), office.admin)
    assert office.is_void(by)
    assert office.refusal(get).code == "UNAUTHENTICATED"
    office.kit.do(DeleteMachine(machine_id=added.machine_id), office.admin)


@pytest.mark.parametrize("changed", [RenewMachineSecret, DeleteMachine])
def test_a_secret_that_is_void_by_now_gets_no_token(office: Office, changed: Callable[..., Any]) -> None:
    """It was right when it was looked at; the token would be one of the new secret."""
    added = AddMachine(name="ERP", grants=())
    secret = office.kit.do(added, office.admin).body["secret"]
    request = office.kit.request(GetMachineToken(machine_id=added.machine_id, secret=secret), NOBODY)
    ready = prepare(SERVICE, request, office.kit.surroundings(NOBODY))
    office.kit.do(changed(machine_id=added.machine_id), office.admin)
    office.kit.writer.execute([ready.request])
    with pytest.raises(Refused) as refused:
        ready.request.future.result(timeout=0)
    assert (refused.value.code, refused.value.field) == ("UNAUTHENTICATED", "secret")


# -- secrets ----------------------------------------------------------------------------------------------------------


def test_no_secret_is_in_any_stored_event_and_no_hash_in_a_public_one(office: Office) -> None:
    id, login, app, recovery = with_app(office)
    _, other = office.user("SAL", email="li@example.com")
    office.kit.do(RequestPasswordReset(name=other), NOBODY)
    code = office.code()
    told = office.sign_in(other, NEW)
    machine = office.kit.do(AddMachine(name="ERP", grants=()), office.admin).body["secret"]
    del id, login
    secrets = [DEFAULT, NEW, app.secret, *recovery, told["refresh_token"], told["access_token"], machine]
    for notification in office.kit.store.notifications(0, 10_000):
        text = notification.data.decode()
        assert not any(secret in text for secret in secrets), notification.type
        assert f'"{code}"' not in text
        if notification.type in REGISTRY.events:
            assert "argon2" not in text and "mark" not in text, notification.type


def test_what_a_command_with_secrets_prints_tells_none() -> None:
    command = SignIn(name="li", password=NEW)
    assert NEW not in repr(command)
    assert NEW not in repr(IssueUser(login="1", name="x", default_password=NEW))


def test_passwords_are_hashed_with_argon2id_as_owasp_asks() -> None:
    kind, version, costs = vault.new_hasher().hash(NEW).split("$")[1:4]
    assert (kind, version) == ("argon2id", "v=19")
    memory, time, lanes = (int(part.partition("=")[2]) for part in costs.split(","))
    assert memory >= 19 * 1024 and time >= 2 and lanes >= 1


def test_sealed_keys_and_marks_depend_on_the_master_key(tmp_path: Path) -> None:
    first, second = Vault(b"1" * 32), Vault(b"2" * 32)
    assert first.mark("reset", "123456") != second.mark("reset", "123456")
    assert first.unseal(first.seal("KEY")) == "KEY"
    for sealed in (second.seal("KEY"), first.seal("KEY")[:-4], "", "KEY"):
        with pytest.raises(vault.Unreadable, match=r"access\.key"):
            first.unseal(sealed)
    assert msgspec.json.encode(first.seal("KEY")).find(b"KEY") == -1


def test_a_process_that_starts_again_knows_what_was_stored_last(office: Office) -> None:
    """Rows come by way of Kafka; what had not come yet when the process ended is read from the log."""
    _, login = office.user("SAL")
    mine = office.principal(office.sign_in(login, NEW))
    assert mine.session_id
    office.kit.do(SignOut(session_id=mine.session_id), mine)
    again = Directory(known_everywhere(), clock=lambda: office.kit.now)
    again.load(office.kit.store)
    again.catch_up(office.kit.store)
    with pytest.raises(Refused):
        again.admit(mine)
    again.admit(office.admin).require("accounts")


def test_older_news_never_replace_newer_ones(office: Office) -> None:
    id, login = office.user("SAL")
    by = office.principal(office.sign_in(login, NEW))
    facts = office.kit.facts()
    office.kit.do(RemoveRoleMember(role="SAL", user_id=id), office.admin)
    office.kit.directory.tell(facts)
    assert not office.kit.directory.admit(by).may("orders.edit")


def test_what_another_process_stores_is_known_with_the_next_command(office: Office) -> None:
    """Two processes on one store, such as the command line beside the api: nobody waits for Kafka."""
    neighbour = Directory(known_everywhere(), clock=lambda: office.kit.now)
    writer = Writer(SERVICE, office.kit.store, listener=neighbour)
    id, login = office.user("SAL")
    by = office.principal(office.sign_in(login, NEW))
    writer.execute([office.kit.request(ReviewRights(user_id=id), office.admin)])
    neighbour.admit(by).require("orders.edit")


# -- rights that come with a release, and those of administrators (SEC-16) ---------------------------------------------


@pytest.fixture
def later_release(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it: there is a right that was not there before, for salespeople and warehouses."""
    return lambda: monkeypatch.setitem(permissions.RIGHTS, "coupons", frozenset({"SAL", "WHS", "ADM"}))


def rights_of(office: Office, role: str) -> dict[str, DataScope]:
    """What every reader of rights knows of a role: the directory as it is, one made from rows, and the service."""
    directory = office.kit.directory
    shown = next(dict(row.rights) for row in directory.roles() if row.role == role)
    again = Directory(known_everywhere())
    again.tell(fact for fact in office.kit.facts() if REGISTRY.is_public_event(type(fact)))
    assert next(dict(row.rights) for row in again.roles() if row.role == role) == shown
    return shown


@pytest.mark.parametrize("role", [role for role in ROLES if role != "SYSTEM"])
@pytest.mark.parametrize("adjusted", ["never", "granted", "revoked", "named", "before releases were told"])
def test_SEC_16_a_new_right_reaches_each_role_by_its_default(
    office: Office, later_release: Callable[[], None], role: str, adjusted: str
) -> None:
    if adjusted == "granted" and role != "ADM":
        office.kit.do(GrantRight(role=role, right="platform", scope="OWN"), office.admin)
    if adjusted == "revoked" and role != "ADM":
        office.kit.do(RevokeRight(role=role, right="orders.view"), office.admin)
    if adjusted == "named":
        office.kit.do(DefineRole(role=role, title="Somebody"), office.admin)
    if adjusted == "before releases were told":
        state = RoleState(title="x", revision=1, grants=(Grant(right="products.view", scope="OWN"),))
        office.kit.directory.tell([RoleDefined(role=role, state=state)])
    before = next(dict(row.rights) for row in office.kit.directory.roles() if row.role == role)
    later_release()
    after = next(dict(row.rights) for row in office.kit.directory.roles() if row.role == role)
    assert after.keys() - before.keys() == ({"coupons"} if role in ("SAL", "WHS", "ADM") else set())
    assert before.items() <= after.items()


def test_SEC_16_what_was_judged_is_kept(office: Office, later_release: Callable[[], None]) -> None:
    """A new right that was taken away stays away, and one that was given stays."""
    later_release()
    office.kit.do(RevokeRight(role="SAL", right="coupons"), office.admin)
    office.kit.do(GrantRight(role="MKT", right="coupons", scope="OWN"), office.admin)
    assert "coupons" not in rights_of(office, "SAL")
    assert rights_of(office, "MKT")["coupons"] == "OWN"
    office.kit.do(GrantRight(role="SAL", right="coupons", scope="ALL"), office.admin)
    assert rights_of(office, "SAL")["coupons"] == "ALL"


def test_SEC_16_a_role_of_the_company_s_own_gets_no_new_right(
    office: Office, later_release: Callable[[], None]
) -> None:
    office.kit.do(DefineRole(role="CLERK", title="Clerk"), office.admin)
    later_release()
    assert rights_of(office, "CLERK") == {}


@pytest.mark.parametrize("right", sorted(set(RIGHTS) - {"system"}))
def test_SEC_16_administrators_hold_every_right_and_lose_none(office: Office, right: str) -> None:
    for command in (RevokeRight(role="ADM", right=right), GrantRight(role="ADM", right=right, scope="OWN")):
        assert office.refusal(command, office.admin).state == "ALWAYS_HELD"
    lost = RoleState(title="x", revision=99, grants=())
    office.kit.directory.tell([RoleDefined(role="ADM", state=lost)])
    assert rights_of_admin(office)[right] == "ALL", "what an older version took away is back"


def rights_of_admin(office: Office) -> dict[str, DataScope]:
    return next(dict(row.rights) for row in office.kit.directory.roles() if row.role == "ADM")


# -- phones (SEC-29) --------------------------------------------------------------------------------------------------


def test_SEC_29_a_sign_in_names_a_phone_of_one_s_own(office: Office) -> None:
    (id, login), (other, _) = office.user("SAL"), office.user("SAL")
    mine, theirs = uuid4(), uuid4()
    for device, owner in ((mine, id), (theirs, other)):
        office.kit.directory.tell([enrolled(device, owner)])
    for device in (theirs, uuid4()):
        refusal = office.refusal(SignIn(name=login, password=NEW, device_id=device))
        assert (refusal.code, refusal.field, refusal.state) == ("UNAUTHENTICATED", "device_id", "NOT_YOURS")
        wrong = office.refusal(SignIn(name=login, password="wrong", device_id=device))
        assert wrong.field == "password", "who has no password is not told whose phone it is"
    told = office.sign_in(login, NEW, device_id=mine)
    assert office.principal(told).device_id == mine


def enrolled(device_id: UUID, owner_id: UUID) -> DeviceEnrolled:
    owner = Person(user_id=owner_id, name="x")
    return DeviceEnrolled(
        device_id=device_id, name="phone", owner=owner, memory_gb=8, free_storage_gb=64, network="WIFI"
    )


# -- what others know or get wrong -------------------------------------------------------------------------------------


def test_who_knows_a_session_s_id_does_not_end_it(office: Office) -> None:
    _, login = office.user("SAL")
    told, other = office.sign_in(login, NEW), office.sign_in(login, NEW)
    session = UUID(told["id"])
    texts = ("x", "", told["refresh_token"] + "x", told["refresh_token"].partition(".")[0], other["refresh_token"])
    for text in texts:
        refusal = office.refusal(RefreshSession(session_id=session, refresh_token=text))
        assert (refusal.code, refusal.field) == ("UNAUTHENTICATED", "refresh_token")
    assert not office.is_void(office.principal(told))
    office.kit.do(RefreshSession(session_id=session, refresh_token=told["refresh_token"]), NOBODY)


def test_a_clock_that_is_set_back_keeps_nobody_out(office: Office) -> None:
    _, login = office.user("SAL")
    for _ in range(5):
        office.refusal(SignIn(name=login, password="wrong"))
    assert office.refusal(SignIn(name=login, password=NEW)).state == "LOCKED"
    office.kit.pass_time(days=-1)
    assert office.sign_in(login, NEW)["status"] == "SIGNED_IN"


def test_a_code_is_good_for_five_minutes_also_when_the_clock_is_set_back(office: Office) -> None:
    _, login = office.user("SAL", email="li@example.com")
    asked = RequestPasswordReset(name=login)
    office.kit.do(asked, NOBODY)
    office.kit.pass_time(hours=-1)
    reset = ResetPassword(reset_id=asked.reset_id, code=office.code(), new_password="Another@2026")
    assert office.refusal(reset).code == "UNAUTHENTICATED"
    for _ in range(5):
        again = RequestPasswordReset(name=login)
        office.kit.do(again, NOBODY)
    reset = ResetPassword(reset_id=again.reset_id, code=office.code(), new_password="Another@2026")
    office.kit.do(reset, NOBODY)


# -- programs ----------------------------------------------------------------------------------------------------------


def test_what_a_program_enters_belongs_to_the_person_who_answers_for_it(office: Office) -> None:
    seller, login = office.user("SAL")
    heir, heirs = office.user("SAL")
    grants = (Grant(right="customers.edit", scope="OWN"),)
    added = AddMachine(name="ERP", grants=grants, responsible_id=seller)
    secret = office.kit.do(added, office.admin).body["secret"]
    by = office.principal(office.kit.do(GetMachineToken(machine_id=added.machine_id, secret=secret), NOBODY).body)
    admit = office.kit.directory.admit
    context = admit(by).context(office.kit.now, office.kit.today, "customers.edit")
    assert (context.owner.user_id, context.user.user_id) == (seller, added.machine_id)
    assert context.reach.people == {seller, added.machine_id}, "it reaches what it enters"
    assert admit(office.principal(office.sign_in(login, NEW))).reach("customers.view").people == {
        seller,
        added.machine_id,
    }

    office.kit.do(DeleteUser(user_id=seller, successor_id=heir), office.admin)
    context = admit(by).context(office.kit.now, office.kit.today, "customers.edit")
    assert context.owner.user_id == heir
    assert added.machine_id in admit(office.principal(office.sign_in(heirs, NEW))).reach("customers.view").people

    third, _ = office.user("SAL")
    office.kit.do(NameResponsible(machine_id=added.machine_id, responsible_id=third), office.admin)
    person = admit(by).responsible
    assert person is not None and person.user_id == third, "and its token is good still"


def test_without_a_name_who_issues_a_program_s_account_answers_for_it(office: Office) -> None:
    added = AddMachine(name="ERP", grants=())
    office.kit.do(added, office.admin)
    changed = next(f for f in office.kit.facts() if isinstance(f, MachineChanged))
    assert changed.responsible_id == office.admin.user_id


# -- ways in that stay open (SEC-05, SEC-06, SEC-14) -------------------------------------------------------------------


def settings_asking(roles: tuple[str, ...] = (), **more: Any) -> SetAccessSettings:
    values: dict[str, Any] = {"self_registration": True, "first_sign_in_code": False, "challenge": "NEVER", **more}
    return SetAccessSettings(second_factor_roles=roles, **values)


def test_SEC_06_a_setting_that_locks_the_administrators_out_is_refused(office: Office) -> None:
    refusal = office.kit.assert_refused(
        "VALIDATION", settings_asking(("ADM",)), office.admin, field="second_factor_roles"
    )
    assert "1 person" in refusal.message and "root" in refusal.message and "PATCH /users/" in refusal.message
    office.kit.assert_refused(
        "VALIDATION", settings_asking(first_sign_in_code=True), office.admin, field="first_sign_in_code"
    )
    assert office.sign_in("root", NEW)["status"] == "SIGNED_IN"
    assert office.admin.user_id
    office.kit.do(EditUser(user_id=office.admin.user_id, email="root@example.com"), office.admin)
    office.kit.do(settings_asking(("ADM",)), office.admin)
    told = office.sign_in("root", NEW)
    assert office.kit.do(ProveIdentity(session_id=UUID(told["id"]), code=office.code()), NOBODY).body["access_token"]


def test_SEC_06_a_setting_tells_how_many_people_it_would_lock_out(office: Office) -> None:
    for _ in range(4):
        office.user("SAL")
    office.user("SAL", email="li@example.com")
    with_app(office)
    office.issue("SAL", default_password=None)
    office.user("FIN")
    refusal = office.kit.assert_refused("VALIDATION", settings_asking(("SAL",)), office.admin)
    assert "4 people" in refusal.message


def test_SEC_06_administrators_are_looked_at_whatever_the_process_knows(office: Office) -> None:
    """The directory may not have heard of somebody yet; of administrators the service itself knows."""
    office.kit.directory.people = lambda roles=None: []  # type: ignore[method-assign]
    office.kit.assert_refused("VALIDATION", settings_asking(("ADM",)), office.admin, field="second_factor_roles")


def test_SEC_06_a_role_that_does_not_exist_needs_no_second_proof(office: Office) -> None:
    for role in ("NOPE", "SYSTEM"):
        refusal = office.kit.assert_refused(
            "VALIDATION", settings_asking((role,)), office.admin, field="second_factor_roles"
        )
        assert role in refusal.message
    office.kit.do(DefineRole(role="NOPE", title="No longer"), office.admin)
    office.kit.do(settings_asking(("NOPE",)), office.admin)


TAKES_THE_WAY_IN: dict[type, str] = {
    IssueUser: "email",
    EditUser: "email",
    EditPersonalData: "email",
    AddRoleMember: "role",
    IssueDefaultPassword: "user_id",
    RemoveSecondFactor: "user_id",
    ResetSecondFactor: "user_id",
}
KEEPS_THE_WAY_IN = {
    RegisterUser,  # has a contact, or is refused
    DeleteUser,  # there is no way in, on purpose
    SetPreferences,  # says nothing of how one signs in
    RemoveRoleMember, ReviewRights, EndSignIns, ChangePassword,  # ask for no code that was not asked for
    EnrolSecondFactor, ConfirmSecondFactor,  # give a proof, and refuse one whose contact is not there
}  # fmt: skip


@pytest.mark.parametrize(
    ("command", "asked"),
    [
        (command, asked)
        for command in TAKES_THE_WAY_IN
        for asked in ("second_factor_roles", "first_sign_in_code")
        if (command, asked) != (AddRoleMember, "first_sign_in_code")  # which does not depend on roles
    ],
)
def test_SEC_06_no_command_leaves_somebody_without_a_way_in(office: Office, command: type, asked: str) -> None:
    assert office.admin.user_id
    office.kit.do(EditUser(user_id=office.admin.user_id, email="root@example.com"), office.admin)
    roles = () if command is AddRoleMember else ("SAL",)
    contact = {"email": "li@example.com"} if command in (IssueUser, EditUser, EditPersonalData) else {}
    by: Principal = office.admin
    if command in (RemoveSecondFactor, ResetSecondFactor):
        id, login, app, _ = with_app(office)
        office.kit.pass_time(seconds=30)
        session = UUID(office.sign_in(login, NEW)["id"])
        own = office.principal(
            office.kit.do(ProveIdentity(session_id=session, code=app.at(office.kit.now)), NOBODY).body
        )
    elif command is IssueDefaultPassword:
        id, login = office.issue(*roles, default_password=None)
    else:
        id, login = office.user(*roles, **contact)
        own = office.principal(office.sign_in(login, NEW))
    if asked == "second_factor_roles":
        office.kit.do(settings_asking(("SAL",)), office.admin)
    else:
        office.kit.do(settings_asking(first_sign_in_code=True), office.admin)
    given: dict[type, dict[str, Any]] = {
        IssueUser: {"user_id": uuid4(), "login": "9", "name": "Nine", "default_password": DEFAULT, "roles": ("SAL",)},
        EditUser: {"email": None},
        EditPersonalData: {"email": None, "password": NEW},
        AddRoleMember: {"role": "SAL"},
        IssueDefaultPassword: {"default_password": DEFAULT},
        RemoveSecondFactor: {"password": NEW},
    }
    if command in (EditPersonalData, RemoveSecondFactor):
        by = own
    asks = command(**{"user_id": id, **given.get(command, {})})
    refusal = office.kit.assert_refused("VALIDATION", asks, by, field=TAKES_THE_WAY_IN[command])
    assert (refusal.state, "PATCH /users/" in refusal.message) == ("NO_CONTACT", True)
    if command is not IssueUser:
        office.kit.do(EditUser(user_id=id, phone="13800000009"), office.admin)
        office.kit.do(asks, by)


def test_every_command_on_a_user_is_known_to_keep_or_to_take_the_way_in() -> None:
    """A new command must be judged: may it leave somebody with nowhere to send the code to?"""
    about_users = {spec.cls for spec in REGISTRY.commands_of("access") if spec.key == "user_id"}
    assert about_users == set(TAKES_THE_WAY_IN) | KEEPS_THE_WAY_IN


def test_who_has_no_way_in_already_can_be_edited(office: Office) -> None:
    """Settings of former releases locked people out: what else is changed of them needs no contact first."""
    id, _ = office.user("SAL")
    office.kit.directory.people = lambda roles=None: []  # type: ignore[method-assign]
    office.kit.do(settings_asking(("SAL",)), office.admin)
    office.kit.do(EditUser(user_id=id, name="Li Na"), office.admin)
    office.kit.do(RemoveRoleMember(role="SAL", user_id=id), office.admin)


@pytest.mark.parametrize(
    "other", ["without a password", "without a contact for the code", "without the contact of the second proof"]
)
@pytest.mark.parametrize("command", [DeleteUser, RemoveRoleMember])
def test_SEC_14_the_last_administrator_who_can_sign_in_stays(office: Office, command: type, other: str) -> None:
    assert office.admin.user_id
    if other == "without a password":
        second, login = office.issue("ADM", default_password=None)
    elif other == "without the contact of the second proof":
        second, login = office.user("ADM", phone="13800000009")
        confirmed_without_address(office, second)
    else:
        second, login = office.user("ADM")
        office.kit.do(EditUser(user_id=office.admin.user_id, email="root@example.com"), office.admin)
        locking(office, ("ADM",))
    more = {"successor_id": second} if command is DeleteUser else {"role": "ADM"}
    leaves = command(user_id=office.admin.user_id, **more)
    refusal = office.kit.assert_refused("INVALID_STATE", leaves, office.admin)
    assert refusal.state == "LAST_ADMINISTRATOR"
    office.kit.do(EditUser(user_id=second, email="two@example.com"), office.admin)
    if other == "without a password":
        office.kit.assert_refused("INVALID_STATE", leaves, office.admin)
        office.kit.do(IssueDefaultPassword(user_id=second, default_password=DEFAULT), office.admin)
    office.kit.do(leaves, office.admin)
    assert office.sign_in(login, DEFAULT if other == "without a password" else NEW)["status"] in (
        "PASSWORD_CHANGE_REQUIRED",
        "PROOF_REQUIRED",
    )


def locking(office: Office, roles: tuple[str, ...] = (), **more: Any) -> None:
    """Settings as a former release took them: nobody was asked whether people could still sign in."""
    now = office.kit.store.load(AccessSettings, SETTINGS)
    assert now is not None
    now.change(settings_asking(roles, **more), office.admin.context(office.kit.now, office.kit.today))
    store_of(office, now)


def confirmed_without_address(office: Office, id: UUID) -> None:
    """Codes by mail without an e-mail address, as a former release confirmed them."""
    user = office.kit.store.load(User, id)
    assert user is not None and not user.state.email
    user.record(FactorPending(method="MAIL"))
    user.record(FactorConfirmed(recovery_marks=()))
    user.record(SecondFactorSet(user_id=id, user=user._changed(second_factor="MAIL"), by=user.person))
    store_of(office, user)


def test_SEC_06_who_lacks_the_contact_of_the_second_proof_is_told_which(office: Office) -> None:
    id, login = office.issue("SAL", phone="13800000009", default_password=None)
    confirmed_without_address(office, id)
    asks = IssueDefaultPassword(user_id=id, default_password=DEFAULT)
    refusal = office.kit.assert_refused("VALIDATION", asks, office.admin, field="user_id")
    assert (refusal.state, "no e-mail address" in refusal.message) == ("NO_CONTACT", True)
    office.kit.do(EditUser(user_id=id, email="li@example.com"), office.admin)
    office.kit.do(asks, office.admin)
    assert office.sign_in(login, DEFAULT)["method"] == "MAIL"


def store_of(office: Office, changed: Aggregate) -> None:
    version = changed.version - len(changed.pending)
    meta = office.kit.request(settings_asking(), office.admin).meta()
    events = [recorded(changed.id, version + n, fact, meta) for n, fact in enumerate(changed.pending, start=1)]
    office.kit.store.commit(Transaction(events=events))


@pytest.mark.parametrize("asks", [{"roles": ("ADM",)}, {"first_sign_in_code": True}, {"challenge": "ALWAYS"}])
@pytest.mark.parametrize("login", ["root", "rescue"])
def test_the_command_line_always_lets_an_administrator_in(
    office: Office, monkeypatch: pytest.MonkeyPatch, login: str, asks: dict[str, Any]
) -> None:
    locking(office, **asks)
    monkeypatch.setattr(administration, "open_store", lambda name, config: office.kit.store)
    monkeypatch.setattr(office.kit.store, "close", lambda: None)
    default = administration.make_administrator(office.config, login)

    def sign_in(password: str) -> dict[str, Any]:
        if "challenge" not in asks:
            return office.sign_in(login, password)
        challenge, answer = drawn(office, monkeypatch)
        return office.sign_in(login, password, challenge=challenge, challenge_answer=answer)

    told = sign_in(default)
    id = UUID(told["user_id"])
    office.kit.do(ChangePassword(user_id=id, old_password=default, new_password="Other#2026"), office.principal(told))
    by = office.principal(sign_in("Other#2026"))
    office.kit.directory.admit(by).require("settings")
    office.kit.do(EditUser(user_id=id, email="root@example.com"), by)
    expected = "SIGNED_IN" if "challenge" in asks else "PROOF_REQUIRED"
    assert sign_in("Other#2026")["status"] == expected, "the rule holds again as soon as it can be kept"


# -- names written in other ways (SEC-07) -----------------------------------------------------------------------------

SAME_NAMES = {
    "letter case": ("tanaka", "TANAKA"),
    "width": ("tanaka", "\uff54\uff41\uff4e\uff41\uff4b\uff41"),
    "blanks": ("ta naka", " ta  naka "),
    "form": ("caf\u00e9", "cafe\u0301"),
    "unseen": ("tanaka", "ta\u200bna\u00adka"),
    "phone": ("13900000041", "+86 139-0000-0041"),
    "foreign phone": ("+81312345678", "+81 3-1234-5678"),
    "unseen for a blank": ("ta naka", "ta\u200bnaka"),
    "a 0 within the country": ("+81312345678", "+81 (0)3-1234-5678"),
    "no 0 within the country": ("+81 03-1234-5678", "+81312345678"),
    "wide phone": ("13900000041", "\uff11\uff13\uff19\uff10\uff10\uff10\uff10\uff10\uff10\uff14\uff11"),
}


@pytest.mark.parametrize("policy", ["AFTER_FAILURE", "NEVER"])
@pytest.mark.parametrize("names", SAME_NAMES.values(), ids=list(SAME_NAMES))
def test_SEC_07_another_way_to_write_a_name_does_not_tell_whether_it_exists(
    tmp_path: Path, names: tuple[str, str], policy: str
) -> None:
    """What one takes for the same name, the other does: failures and codes of a name that belongs to nobody too."""
    told: list[list[Any]] = []
    for is_there in (True, False):
        office = Office(tmp_path / str(is_there))
        office.settings(policy)
        if is_there and names[0][0] in "+1":
            office.issue(phone=names[0])
        elif is_there:
            office.issue(login=names[0])
        tries = [SignIn(name=names[n % 2], password="Wrong#2026") for n in range(7)]
        answers = [office.refusal(command).problem() for command in tries]
        before = office.kit.store.last_position()
        for n in range(7):
            office.kit.do(RequestPasswordReset(name=names[n % 2]), NOBODY)
        told.append([*answers, *(type(fact).__name__ for fact in office.kit.facts()[before:])])
    assert told[0] == told[1]


def test_SEC_07_a_number_is_free_whatever_form_a_former_release_claimed(office: Office) -> None:
    """It took a number with the 0 dialled within the country for another one."""
    id, _ = office.user(phone="+81 3-1234-5678")
    twin, _ = office.user(phone="13800000077")
    now, *former = login_value("+81 3-1234-5678").ids
    meta = office.kit.request(DeleteUser(user_id=id, successor_id=twin)).meta()
    [claimed] = [one for one in former if one == UniqueIndex.id_of("login", "+810312345678")]
    released = recorded(now, 2, IndexReleased(), meta)
    office.kit.store.commit(Transaction(events=[released, recorded(claimed, 1, IndexClaimed(holder=id), meta)]))
    assert office.sign_in("+81 (0)3-1234-5678", NEW)["user_id"] == str(id)
    for number in ("+81 03-1234-5678", "+81312345678"):
        other = IssueUser(login="77", name="Twin", default_password=DEFAULT, phone=number)
        assert office.refusal(other, office.admin).code == "DUPLICATE"
    office.kit.do(EditUser(user_id=id, phone=None), office.admin)
    office.kit.do(EditUser(user_id=twin, phone="+81 03-1234-5678"), office.admin)
    index = office.kit.store.load(UniqueIndex, claimed)
    assert index is not None and index.holder is None


def test_the_mailbox_finds_a_number_however_it_is_written(office: Office) -> None:
    office.mailbox.send(Message("SMS", "+81 3-1234-5678", "a code"))
    office.mailbox.send(Message("MAIL", "Li@example.com", "a code"))
    for to in ("+81 3-1234-5678", "+81 03-1234-5678", "+81312345678", "li@example.com"):
        assert len(office.mailbox.messages(to)) == 1, to
    assert not office.mailbox.messages("+81 3-1234-5679")
