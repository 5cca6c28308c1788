"""Section 2.0: every command takes an Idempotency-Key.  With secrets the outcome is remembered, not the content."""

import base64
import io
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import pyotp
import pytest
from PIL import Image

from chassis.foundation.compression import unpacked
from chassis.http.edge import Api
from chassis.http.serving import routes_of
from chassis.store.memory import MemoryRecorder
from contracts.declare import REGISTRY
from security.office import CATALOGUE, DEFAULT, NOBODY, PASSWORD, VIEWS, Caller, Office, Told, new_id

OTHER = "AnotherPass@2024"
SECRETS = {"access_token", "refresh_token", "secret", "key", "uri", "image", "challenge", "recovery_codes", "codes"}


class Asked(NamedTuple):
    """A request, and what is different in another one that is not it.

    `signs_in_again`: the login of somebody whose sign-ins the command ends.
    """

    request: str
    body: dict[str, Any]
    by: Caller
    other: dict[str, Any]
    signs_in_again: str = ""


def login_and(office: Office) -> tuple[str, Caller]:
    """Somebody with a password of their own."""
    login = office.issue("SAL", email=f"{new_id()[:8]}@example.com")
    limited = office.sign_in(login, DEFAULT)
    office._accept(limited)
    return login, office.sign_in(login, PASSWORD)


def with_app(office: Office, *, confirmed: bool) -> tuple[str, Caller, pyotp.TOTP]:
    """Somebody who takes an authenticator app as second proof."""
    login, user = login_and(office)
    begun = office.call(f"POST /users/{user.user_id}/second-factor", {"method": "TOTP", "password": PASSWORD}, user)
    app = pyotp.TOTP(begun.done()["key"])
    if confirmed:
        office.call(f"POST /users/{user.user_id}/second-factor/confirmation", {"code": app.now()}, user).done()
    return login, user, app


def begun_reset(office: Office) -> str:
    login, _ = login_and(office)
    return str(office.call("POST /password-resets", {"name": login}).done()["id"])


def enrolled(office: Office) -> tuple[str, str]:
    """A phone's id and secret."""
    told = office.call("POST /devices", PHONE, login_and(office)[1]).done()
    return told["id"], told["secret"]


def wiped(office: Office) -> tuple[str, str]:
    """The same of one that has been told to wipe itself."""
    id, secret = enrolled(office)
    office.call(f"PUT /devices/{id}/wipe-switch", {"on": True}, office.admin).done()
    office.call(f"POST /devices/{id}/wipe", by=office.admin).done()
    office.call(f"POST /devices/{id}/wipe/confirmation", {"name": PHONE["name"]}, office.admin).done()
    return id, secret


def machine(office: Office) -> tuple[str, str]:
    told = office.call("POST /machines", {"name": f"ERP {new_id()}", "grants": []}, office.admin).done()
    return told["id"], told["secret"]


def picture(colour: str) -> str:
    data = io.BytesIO()
    Image.new("RGB", (200, 200), colour).save(data, "PNG")
    return base64.b64encode(data.getvalue()).decode()


PHONE = {"name": "Phone", "memory_gb": 8, "free_storage_gb": 64}


def issue(office: Office) -> Asked:
    body = {"login": f"l{new_id()[:8]}", "name": "Li", "default_password": DEFAULT}
    return Asked("POST /users", body, office.admin, {"default_password": OTHER})


def issue_default(office: Office) -> Asked:
    user = login_and(office)[1].user_id
    body = {"default_password": DEFAULT}
    return Asked(f"POST /users/{user}/default-password", body, office.admin, {"default_password": OTHER})


def register(office: Office) -> Asked:
    body = {"name": "Guest", "company": "Acme", "password": PASSWORD, "email": f"{new_id()[:8]}@example.com"}
    return Asked("POST /registrations", body, NOBODY, {"email": f"{new_id()[:8]}@example.com"})


def personal_data(office: Office) -> Asked:
    user = login_and(office)[1]
    body = {"email": f"{new_id()[:8]}@example.com", "password": PASSWORD}
    return Asked(f"PATCH /users/{user.user_id}/personal-data", body, user, {"password": OTHER})


def change_password(office: Office) -> Asked:
    login, user = login_and(office)
    body = {"old_password": PASSWORD, "new_password": OTHER}
    return Asked(f"POST /users/{user.user_id}/password", body, user, {"new_password": "ThirdPass@2024"}, login)


def request_reset(office: Office) -> Asked:
    return Asked("POST /password-resets", {"name": login_and(office)[0]}, NOBODY, {"name": login_and(office)[0]})


def set_password(office: Office) -> Asked:
    id, code = begun_reset(office), office.code()
    return Asked(f"POST /password-resets/{id}/password", {"code": code, "new_password": OTHER}, NOBODY, {"code": "x"})


def draw(office: Office) -> Asked:
    return Asked("POST /challenges", {}, NOBODY, {"challenge_id": new_id()})


def sign_in(office: Office) -> Asked:
    body = {"name": login_and(office)[0], "password": PASSWORD}
    return Asked("POST /sessions", body, NOBODY, {"password": OTHER})


def sign_in_wrongly(office: Office) -> Asked:
    return sign_in(office)._replace(body={"name": login_and(office)[0], "password": OTHER}, other={"name": "x"})


def prove(office: Office) -> Asked:
    login, *_ = with_app(office, confirmed=True)
    id = office.call("POST /sessions", {"name": login, "password": PASSWORD}).done()["id"]
    return Asked(f"POST /sessions/{id}/proof", {"code": "000000"}, NOBODY, {"code": "000001"})


def refresh(office: Office) -> Asked:
    told = office.call("POST /sessions", {"name": login_and(office)[0], "password": PASSWORD}).done()
    body = {"refresh_token": told["refresh_token"]}
    return Asked(f"POST /sessions/{told['id']}/refresh", body, NOBODY, {"refresh_token": "other"})


def enrol_factor(office: Office) -> Asked:
    user = login_and(office)[1]
    body = {"method": "TOTP", "password": PASSWORD}
    return Asked(f"POST /users/{user.user_id}/second-factor", body, user, {"password": OTHER})


def confirm_factor(office: Office) -> Asked:
    _, user, app = with_app(office, confirmed=False)
    body = {"code": app.now()}
    return Asked(f"POST /users/{user.user_id}/second-factor/confirmation", body, user, {"code": "000000"})


def remove_factor(office: Office) -> Asked:
    _, user, _ = with_app(office, confirmed=True)
    body = {"password": PASSWORD}
    return Asked(f"POST /users/{user.user_id}/second-factor/removal", body, user, {"password": OTHER})


def add_machine(office: Office) -> Asked:
    return Asked("POST /machines", {"name": f"ERP {new_id()}", "grants": []}, office.admin, {"name": "Other"})


def renew_machine(office: Office) -> Asked:
    return Asked(f"POST /machines/{machine(office)[0]}/secret", {}, office.admin, {})


def machine_token(office: Office) -> Asked:
    id, secret = machine(office)
    return Asked(f"POST /machines/{id}/token", {"secret": secret}, NOBODY, {"secret": "other"})


def set_logo(office: Office) -> Asked:
    body, other = {"image": picture("red")}, {"image": picture("blue")}
    return Asked("PUT /settings/company/logo", body, office.admin, other)


def enrol_phone(office: Office) -> Asked:
    return Asked("POST /devices", dict(PHONE), login_and(office)[1], {"name": "Other"})


def contact(office: Office) -> Asked:
    id, secret = enrolled(office)
    return Asked(f"POST /devices/{id}/contact", {"secret": secret}, NOBODY, {"secret": "other"})


def acknowledge(office: Office) -> Asked:
    id, secret = wiped(office)
    return Asked(f"POST /devices/{id}/wiped", {"secret": secret}, NOBODY, {"secret": "other"})


ASKED: dict[str, Callable[[Office], Asked]] = {
    "IssueUser": issue,
    "IssueDefaultPassword": issue_default,
    "RegisterUser": register,
    "EditPersonalData": personal_data,
    "ChangePassword": change_password,
    "RequestPasswordReset": request_reset,
    "ResetPassword": set_password,
    "DrawChallenge": draw,
    "SignIn": sign_in,
    "SignIn, wrongly": sign_in_wrongly,
    "ProveIdentity": prove,
    "RefreshSession": refresh,
    "EnrolSecondFactor": enrol_factor,
    "ConfirmSecondFactor": confirm_factor,
    "RemoveSecondFactor": remove_factor,
    "AddMachine": add_machine,
    "RenewMachineSecret": renew_machine,
    "GetMachineToken": machine_token,
    "SetLogo": set_logo,
    "EnrolDevice": enrol_phone,
    "ContactFromDevice": contact,
    "AcknowledgeWipe": acknowledge,
}


def test_every_command_with_secrets_is_asked_here() -> None:
    middleware = {cls.__name__ for service in CATALOGUE.services() for cls in service.middleware}
    assert {name.partition(",")[0] for name in ASKED} == middleware
    assert middleware <= {spec.cls.__name__ for spec in REGISTRY.commands.values()}


def events(office: Office) -> dict[str, int]:
    return {name: store.last_position() for name, store in office.stores.items()}


def same_outcome(first: Told, again: Told) -> None:
    assert again.status == first.status, again.body
    if first.code:
        assert again.body == first.body
    else:
        assert again.body == {"id": first.body["id"], "version": first.body["version"], "repeated": True}
        assert again.response.headers["ETag"] == first.response.headers["ETag"]
        assert again.response.headers.get("Location") == first.response.headers.get("Location")
        assert not SECRETS & set(again.body)


@pytest.mark.parametrize("name", ASKED)
def test_a_repeat_has_the_same_outcome_and_does_and_tells_nothing_again(office: Office, name: str) -> None:
    asked, headers = ASKED[name](office), {"idempotency-key": new_id()}
    first = office.call(asked.request, asked.body, asked.by, headers=headers)
    assert first.status in (200, 201) or name in ("SignIn, wrongly", "ProveIdentity"), first.body
    if asked.signs_in_again:
        asked = asked._replace(by=office.sign_in(asked.signs_in_again, OTHER))
    stored, mails = events(office), len(office.mailbox.messages())
    same_outcome(first, office.call(asked.request, asked.body, asked.by, headers=headers))
    restarted = Api(
        office.config, office.writers, VIEWS, office.database, office.verifier, directory=office.directory
    )  # what is remembered is in the store and in the key folder
    office._by_place = {(route.method, route.path): route for route in routes_of(restarted)}
    same_outcome(first, office.call(asked.request, asked.body, asked.by, headers=headers))
    assert events(office) == stored
    assert len(office.mailbox.messages()) == mails, "no code is sent again"

    if asked.other:
        other = office.call(asked.request, {**asked.body, **asked.other}, asked.by, headers=headers)
        if asked.by is NOBODY:  # who knows whether it is the same person?
            assert other.code != "KEY_REUSED"
        else:
            assert (other.code, other.body["field"]) == ("KEY_REUSED", "Idempotency-Key")
            assert events(office) == stored


def test_two_at_once_are_one(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither finds the other's outcome remembered: the writer tells them apart."""
    login, _ = login_and(office)
    headers, body = {"idempotency-key": new_id()}, {"name": login, "password": PASSWORD}
    first = office.call("POST /sessions", body, headers=headers)
    stored = events(office)
    monkeypatch.setattr(office.writers["access"], "remembered", lambda *_: None)
    same_outcome(first, office.call("POST /sessions", body, headers=headers))
    assert events(office) == stored


def test_the_key_of_another_person_is_another_key(office: Office) -> None:
    headers = {"idempotency-key": new_id()}
    phones = [office.call("POST /devices", PHONE, login_and(office)[1], headers=headers).done() for _ in range(2)]
    assert phones[0]["id"] != phones[1]["id"]
    assert phones[0]["secret"] != phones[1]["secret"]


def test_a_wrong_password_repeated_under_its_key_is_counted_once(office: Office) -> None:
    asked, headers = sign_in_wrongly(office), {"idempotency-key": new_id()}
    for _ in range(9):
        assert office.call(asked.request, asked.body, headers=headers).status == 401
    assert office.call("POST /sessions", {**asked.body, "password": PASSWORD}).status == 201, "not locked"


def test_what_is_remembered_holds_no_secret_and_no_mark_that_could_be_guessed(office: Office) -> None:
    asked, headers = sign_in(office), {"idempotency-key": new_id()}
    told = office.call(asked.request, asked.body, headers=headers).done()
    results = cast(MemoryRecorder, office.stores["access"].recorder).results.values()
    assert any(told["id"].encode() in unpacked(result.reply) for result in results), "so much is legible"
    for result in results:
        for secret in (PASSWORD, told["access_token"], told["refresh_token"]):
            assert secret.encode() not in unpacked(result.reply)
    assert len({result.fingerprint for result in results}) == len(results)
