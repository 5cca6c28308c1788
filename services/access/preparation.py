"""What is done around the commands of signing in: secrets are hashed, marked and drawn before, tokens handed out after.

No secret passes the writer: its handlers see hashes and marks, and whether a proof was right.
"""

import base64
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import pyotp
from captcha.image import ImageCaptcha

from chassis.access.tokens import ACCESS_SECONDS, issue
from chassis.foundation.config import Config
from chassis.model.middleware import Prepared, Surroundings
from chassis.model.principal import Principal
from chassis.model.unique import UniqueIndex
from contracts.access import (
    AddMachine,
    ChangePassword,
    ConfirmSecondFactor,
    DrawChallenge,
    EditPersonalData,
    EnrolSecondFactor,
    GetMachineToken,
    IssueDefaultPassword,
    IssueUser,
    ProveIdentity,
    RefreshSession,
    RegisterUser,
    RemoveSecondFactor,
    RenewMachineSecret,
    RequestPasswordReset,
    ResetPassword,
    SignIn,
)
from contracts.errors import Refused
from contracts.people import Person
from services.access import vault
from services.access.domain.roles import Machine
from services.access.domain.sessions import (
    CODE_LIVES,
    SETTINGS,
    AccessSettings,
    Attempts,
    Session,
    attempts_id,
    ended,
    needs_challenge,
    wrong,
    wrong_challenge,
)
from services.access.domain.users import CONTACTS, Factor, User, check_password, login_value
from services.access.messages import Message, messenger, text_of
from services.access.vault import Vault

STEP_SECONDS = 30
STEPS_OFF = 1  # how many time steps an authenticator's clock may be off
CHALLENGE_CHARACTERS = "2346789"  # nothing that looks like something else
CHALLENGE_LENGTH = 5
CLOCKS_APART = 60  # seconds that two processes' clocks may differ
GONE = ""  # what a secret is replaced by before the command goes on
wrong_secret = partial(Refused, "UNAUTHENTICATED", "The machine account or its secret is wrong.", field="secret")
needs_password = partial(
    Refused, "VALIDATION", "password: another e-mail address or phone number needs your password.", field="password"
)


# -- what several commands need


def user_named(name: str, surroundings: Surroundings) -> User | None:
    """The user who signs in with this name."""
    for id in login_value(name).ids:
        index = surroundings.records.load(UniqueIndex, id)
        if index is not None and index.holder is not None:
            return surroundings.records.load(User, index.holder)
    return None


def require_own(user_id: UUID, surroundings: Surroundings) -> User:
    """The caller's own account.  Raises Refused FORBIDDEN for another one."""
    if user_id != surroundings.caller.user_id:
        raise Refused("FORBIDDEN", "This is for one's own account only.", field="user_id")
    user = surroundings.records.load(User, user_id)
    assert user is not None, "the directory knows the caller"
    return user


def settings_of(surroundings: Surroundings) -> AccessSettings:
    return surroundings.records.load(AccessSettings, SETTINGS) or AccessSettings(id=SETTINGS.id)


def attempts_of(user_id: UUID | None, name: str, surroundings: Surroundings) -> Attempts:
    id = attempts_id(user_id, name)
    return surroundings.records.load(Attempts, id) or Attempts(id=id)


def send_code(code: str, method: str, user: User, surroundings: Surroundings) -> None:
    """Send a code to the user's contact, while the caller is answered."""
    text = text_of("code", surroundings.directory.company.language, code=code)
    message = Message(method, user.contact(method), text)
    surroundings.later(lambda: messenger(surroundings.config).send(message))


def step_of(code: str, sealed_key: str, surroundings: Surroundings) -> int | None:
    """The time step in which an authenticator app shows this code.

    0 when it is none of now or there is no app; None when the app's key can't be read any more.
    """
    if not sealed_key:
        return 0
    try:
        totp = pyotp.TOTP(Vault.of(surroundings.config).unseal(sealed_key))
    except vault.Unreadable:
        return None
    now = int(surroundings.now.timestamp()) // STEP_SECONDS
    steps = range(now - STEPS_OFF, now + STEPS_OFF + 1)
    return max((step for step in steps if same(totp.generate_otp(step), code)), default=0)


def same(secret: str, given: str) -> bool:
    """Compare without telling by the time it takes how much is alike."""
    return secrets.compare_digest(secret.encode(), given.encode())


# -- stored outcomes that are refusals


def refuses_sign_in(body: Mapping[str, Any]) -> Refused | None:
    match body["outcome"]:
        case "OPEN" | "PROOF":
            return None
        case "WRONG_CHALLENGE":
            return wrong_challenge()
        case _:
            return wrong()


def refuses_unless(outcome: str, refusal: Callable[[], Refused]) -> Callable[[Mapping[str, Any]], Refused | None]:
    return lambda body: None if body["outcome"] == outcome else refusal()


def refuses_on(outcome: str, refusal: Callable[[], Refused]) -> Callable[[Mapping[str, Any]], Refused | None]:
    return lambda body: refusal() if body.get("outcome") == outcome else None


# -- verification images (SEC-08)


@dataclass(frozen=True)
class Drawn:
    """A verification image and what proves its answer."""

    image: bytes
    challenge: str


def draw_challenge(command: DrawChallenge, surroundings: Surroundings) -> Prepared:
    text = "".join(secrets.choice(CHALLENGE_CHARACTERS) for _ in range(CHALLENGE_LENGTH))
    image = surroundings.slowly(lambda: ImageCaptcha().generate(text).getvalue())
    return Prepared(
        command, Drawn(image, challenge_of(command.challenge_id, text, surroundings.now, surroundings.config))
    )


def challenge_of(challenge_id: UUID, text: str, now: datetime, config: Config) -> str:
    """What a client holds of a verification image, and shows with its answer."""
    until = int((now + CODE_LIVES).timestamp())
    return f"{challenge_id}.{until}.{_proof(challenge_id, until, text, config)}"


def show_challenge(body: dict[str, Any], facts: Drawn, _: Surroundings) -> dict[str, Any]:
    image = f"data:image/png;base64,{base64.b64encode(facts.image).decode()}"
    shown = {name: value for name, value in body.items() if name != "outcome"}  # that is of a wrong answer to it
    return {**shown, "challenge": facts.challenge, "image": image}


def _proof(challenge_id: UUID, until: int, text: str, config: Config) -> str:
    return Vault.of(config).mark("challenge", str(challenge_id), str(until), text.strip().casefold())


@dataclass(frozen=True)
class Answered:
    """What was said to a verification image: its id (None when there was none), and whether rightly."""

    challenge_id: UUID | None = None
    right: bool = False


def answered(challenge: str | None, answer: str, surroundings: Surroundings) -> Answered:
    """Raises Refused VALIDATION for what is no challenge, or an expired one."""
    if challenge is None:
        return Answered()
    id, _, rest = challenge.partition(".")
    until, _, proof = rest.partition(".")
    try:
        challenge_id, ends = UUID(id), int(until)
    except ValueError as error:
        raise wrong_challenge() from error
    if not ends - CODE_LIVES.total_seconds() - CLOCKS_APART <= surroundings.now.timestamp() <= ends:
        raise Refused("VALIDATION", "challenge: it has expired, draw another one.", field="challenge")
    return Answered(challenge_id, same(_proof(challenge_id, ends, answer, surroundings.config), proof))


# -- signing in (SEC-05..08)


@dataclass(frozen=True)
class Tokens:
    """A refresh token and its mark."""

    token: str = field(repr=False)
    mark: str


def new_tokens(session_id: UUID, surroundings: Surroundings) -> Tokens:
    token = Vault.of(surroundings.config).sign(vault.new_token(), "refresh-token", str(session_id))
    return Tokens(token, refresh_mark(session_id, token, surroundings))


def refresh_mark(session_id: UUID, token: str, surroundings: Surroundings) -> str:
    return Vault.of(surroundings.config).mark("refresh", str(session_id), token)


@dataclass(frozen=True)
class SignInFacts:
    """What was found out before: whose name it is, whether the password is right, and new secrets."""

    user: User | None
    answered: Answered
    right: bool
    tokens: Tokens
    code: str = field(repr=False)
    code_mark: str
    has_phone: bool


def check_sign_in(command: SignIn, surroundings: Surroundings) -> Prepared:
    """A wrong image is refused before the password is looked at; a name that belongs to nobody takes as long."""
    require_not_wiped(command.device_id, surroundings)
    user = user_named(command.name, surroundings)
    said = answered(command.challenge, command.challenge_answer, surroundings)
    attempts = attempts_of(user.id if user else None, command.name, surroundings)
    attempts.require_open(surroundings.now)
    if said.challenge_id is None and settings_of(surroundings).needs_challenge(attempts.failures):
        raise needs_challenge()
    looked_at = said.challenge_id is None or said.right
    right = looked_at and surroundings.slowly(vault.matches, command.password, user.password_hash if user else "")
    code = vault.new_code()
    mark = Vault.of(surroundings.config).mark("proof", str(command.session_id), code)
    owner = surroundings.directory.owner_of_device(command.device_id)
    has_phone = command.device_id is None or (user is not None and owner == user.id)
    facts = SignInFacts(user, said, right, new_tokens(command.session_id, surroundings), code, mark, has_phone)
    person = user.person if user else Person(name=command.name)
    return Prepared(replace(command, password=GONE, challenge=None, challenge_answer=""), facts, person)


def require_not_wiped(device_id: UUID | None, surroundings: Surroundings) -> None:
    """Raises Refused UNAUTHENTICATED for a phone that must wipe itself (SEC-29)."""
    if surroundings.directory.is_revoked(device_id):
        raise Refused("UNAUTHENTICATED", "This phone was wiped: enrol it anew.", field="device_id", state="WIPED")


def tell_sign_in(body: dict[str, Any], facts: SignInFacts, surroundings: Surroundings) -> dict[str, Any]:
    if body["outcome"] == "OPEN":
        return hand_out(body, facts.tokens, surroundings)
    assert facts.user is not None
    if body["method"] != "TOTP":
        send_code(facts.code, body["method"], facts.user, surroundings)
    return {"id": body["id"], "version": body["version"], "status": "PROOF_REQUIRED", "method": body["method"]}


def hand_out(body: dict[str, Any], tokens: Tokens, surroundings: Surroundings) -> dict[str, Any]:
    """The tokens of an open session."""
    principal = Principal(
        UUID(body["user_id"]),
        body["name"],
        frozenset(),
        session_id=UUID(body["id"]),
        epoch=body["epoch"],
        limited=body["limited"],
        device_id=UUID(body["device_id"]) if body["device_id"] else None,
    )
    return {
        "id": body["id"],
        "version": body["version"],
        "status": "PASSWORD_CHANGE_REQUIRED" if body["limited"] else "SIGNED_IN",
        "user_id": body["user_id"],
        "access_token": issue(surroundings.config, principal),
        "token_type": "Bearer",
        "expires_in": ACCESS_SECONDS,
        "refresh_token": tokens.token,
    }


@dataclass(frozen=True)
class ProofFacts:
    """The marks of a code, the time step it fits by the key that was seen, and the tokens for when it is right."""

    code_mark: str
    recovery_mark: str
    step: int | None
    seen: str
    tokens: Tokens


def check_proof(command: ProveIdentity, surroundings: Surroundings) -> Prepared:
    session = surroundings.records.load(Session, command.session_id)
    user = session and session.user.user_id and surroundings.records.load(User, session.user.user_id)
    if not session or not user:
        raise ended()
    keys = Vault.of(surroundings.config)
    facts = ProofFacts(
        code_mark=keys.mark("proof", str(session.id), command.code),
        recovery_mark=keys.mark("recovery", str(user.id), command.code.strip().lower()),
        step=step_of(command.code, user.factor.sealed_key, surroundings),
        seen=user.factor.sealed_key,
        tokens=new_tokens(session.id, surroundings),
    )
    return Prepared(replace(command, code=GONE), facts, session.user)


def tell_proof(body: dict[str, Any], facts: ProofFacts, surroundings: Surroundings) -> dict[str, Any]:
    return hand_out(body, facts.tokens, surroundings)


@dataclass(frozen=True)
class RefreshFacts:
    """The mark of the token that was shown, whether it is one of ours, and the tokens it is exchanged for."""

    seen: str
    is_ours: bool
    tokens: Tokens


def check_refresh(command: RefreshSession, surroundings: Surroundings) -> Prepared:
    session = surroundings.records.load(Session, command.session_id)
    require_not_wiped(session.device_id if session else None, surroundings)
    id, token = command.session_id, command.refresh_token
    is_ours = Vault.of(surroundings.config).has_signed(token, "refresh-token", str(id))
    facts = RefreshFacts(refresh_mark(id, token, surroundings), is_ours, new_tokens(id, surroundings))
    return Prepared(replace(command, refresh_token=GONE), facts, session.user if session else None)


def tell_refresh(body: dict[str, Any], facts: RefreshFacts, surroundings: Surroundings) -> dict[str, Any]:
    return hand_out(body, facts.tokens, surroundings)


# -- accounts and passwords (SEC-01..04, SEC-09, SEC-10, SEC-13)


@dataclass(frozen=True)
class NewPassword:
    """The hash of a password to be set."""

    hash: str = field(repr=False)


def hash_default(command: IssueUser | IssueDefaultPassword, surroundings: Surroundings) -> Prepared:
    if command.default_password is None:
        return Prepared(command, NewPassword(""))
    check_password(command.default_password, "default_password")
    made = surroundings.slowly(vault.hash_password, command.default_password)
    return Prepared(replace(command, default_password=GONE), NewPassword(made))


@dataclass(frozen=True)
class Registration:
    """The hash of the password, and what was said to the verification image."""

    hash: str = field(repr=False)
    answered: Answered


def check_registration(command: RegisterUser, surroundings: Surroundings) -> Prepared:
    said = answered(command.challenge, command.challenge_answer, surroundings)
    if said.challenge_id is None and settings_of(surroundings).challenge != "NEVER":
        raise needs_challenge()
    check_password(command.password, "password")
    made = surroundings.slowly(vault.hash_password, command.password)
    command = replace(command, password=GONE, challenge=None, challenge_answer="")
    return Prepared(command, Registration(made, said))


@dataclass(frozen=True)
class PasswordCheck:
    """Whether the old password is right, which hash it was compared with, and the hash of the new one."""

    right: bool
    seen: str = field(repr=False)
    hash: str = field(default="", repr=False)


def check_change(command: ChangePassword, surroundings: Surroundings) -> Prepared:
    """Raises Refused VALIDATION for a new password that is weak or the old one (SEC-02, SEC-03)."""
    user = require_own(command.user_id, surroundings)
    attempts_of(user.id, "", surroundings).require_open(surroundings.now)
    check_password(command.new_password, "new_password")
    if command.new_password == command.old_password:
        raise Refused("VALIDATION", "new_password: must differ from the old one.", field="new_password")
    right = surroundings.slowly(vault.matches, command.old_password, user.password_hash)
    made = surroundings.slowly(vault.hash_password, command.new_password) if right else ""
    return Prepared(
        replace(command, old_password=GONE, new_password=GONE), PasswordCheck(right, user.password_hash, made)
    )


@dataclass(frozen=True)
class ContactChange(PasswordCheck):
    """Whether the password is right, and where the change is told: how, and the address or number so far."""

    old_contacts: tuple[tuple[str, str], ...] = ()


def check_personal_data(command: EditPersonalData, surroundings: Surroundings) -> Prepared:
    """Raises Refused VALIDATION for another contact without the password."""
    user = require_own(command.user_id, surroundings)
    without = replace(command, password=None)
    if not user.changes_contact(command):
        return Prepared(without)
    if command.password is None:
        raise needs_password()
    attempts_of(user.id, "", surroundings).require_open(surroundings.now)
    right = surroundings.slowly(vault.matches, command.password, user.password_hash)
    state = user.state
    changed = user.changed_contacts(command)
    old = tuple((how, to) for how, name in CONTACTS.items() if name in changed and (to := getattr(state, name)))
    return Prepared(without, ContactChange(right, user.password_hash, old_contacts=old))


def tell_old_contact(body: dict[str, Any], facts: ContactChange | None, surroundings: Surroundings) -> dict[str, Any]:
    for how, to in facts.old_contacts if facts else ():
        text = text_of("contact", surroundings.directory.company.language)
        surroundings.later(partial(messenger(surroundings.config).send, Message(how, to, text)))
    return body


@dataclass(frozen=True)
class ResetFacts:
    """Whose name it is, the code to be sent and its mark."""

    user: User | None
    answered: Answered
    code: str = field(repr=False)
    mark: str


def check_reset_request(command: RequestPasswordReset, surroundings: Surroundings) -> Prepared:
    said = answered(command.challenge, command.challenge_answer, surroundings)
    if said.challenge_id is None and settings_of(surroundings).challenge == "ALWAYS":
        raise needs_challenge()
    code = vault.new_code()
    mark = Vault.of(surroundings.config).mark("reset", str(command.reset_id), code)
    facts = ResetFacts(user_named(command.name, surroundings), said, code, mark)
    return Prepared(replace(command, challenge=None, challenge_answer=""), facts)


def send_reset(body: dict[str, Any], facts: ResetFacts, surroundings: Surroundings) -> dict[str, Any]:
    """The answer is the same whether there is such an account, and whether a code was sent."""
    user = facts.user
    if body.get("sent") and user is not None and (user.state.email or user.state.phone):
        send_code(facts.code, user.contact_method(), user, surroundings)
    return {"id": body["id"], "version": 1}


@dataclass(frozen=True)
class ResetCheck:
    """The mark of the code that was given, and the hash of the new password."""

    mark: str
    hash: str = field(repr=False)


def check_reset(command: ResetPassword, surroundings: Surroundings) -> Prepared:
    check_password(command.new_password, "new_password")
    mark = Vault.of(surroundings.config).mark("reset", str(command.reset_id), command.code)
    made = surroundings.slowly(vault.hash_password, command.new_password)
    return Prepared(replace(command, code=GONE, new_password=GONE), ResetCheck(mark, made))


def tell_reset(body: dict[str, Any], _: ResetCheck, __: Surroundings) -> dict[str, Any]:
    return {"id": body["id"], "version": body["version"]}


# -- second proofs (SEC-06)


@dataclass(frozen=True)
class FactorFacts:
    """Whether the password is right, and the second proof to be confirmed."""

    right: bool
    seen: str = field(repr=False)
    factor: Factor
    key: str = field(repr=False)
    code: str = field(repr=False)
    user: User


def check_enrolment(command: EnrolSecondFactor, surroundings: Surroundings) -> Prepared:
    user = require_own(command.user_id, surroundings)
    attempts_of(user.id, "", surroundings).require_open(surroundings.now)
    right = surroundings.slowly(vault.matches, command.password, user.password_hash)
    keys, key, code = Vault.of(surroundings.config), pyotp.random_base32(), vault.new_code()
    if command.method == "TOTP":
        factor = Factor("TOTP", sealed_key=keys.seal(key))
    else:
        mark, sent_to = keys.mark("factor", str(user.id), code), getattr(user.state, CONTACTS[command.method])
        factor = Factor(command.method, code_mark=mark, code_until=surroundings.now + CODE_LIVES, sent_to=sent_to)
    factor = replace(factor, epoch=user.state.epoch)
    facts = FactorFacts(right, user.password_hash, factor, key, code, user)
    return Prepared(replace(command, password=GONE), facts)


def tell_enrolment(body: dict[str, Any], facts: FactorFacts, surroundings: Surroundings) -> dict[str, Any]:
    """For an authenticator app its key, told once; else a code is sent."""
    if facts.factor.method == "TOTP":
        uri = pyotp.TOTP(facts.key).provisioning_uri(name=facts.user.state.login, issuer_name="Salestream")
        return {**body, "key": facts.key, "uri": uri}
    send_code(facts.code, facts.factor.method, facts.user, surroundings)
    return body


@dataclass(frozen=True)
class Confirmation:
    """The time step of the first code by the key that was seen, or its mark; recovery codes for when it is right."""

    step: int | None
    seen: str
    mark: str
    now: datetime
    recovery_codes: tuple[str, ...] = field(repr=False)
    recovery_marks: tuple[str, ...] = ()


def check_confirmation(command: ConfirmSecondFactor, surroundings: Surroundings) -> Prepared:
    user = require_own(command.user_id, surroundings)
    keys, codes = Vault.of(surroundings.config), vault.new_recovery_codes()
    facts = Confirmation(
        step=step_of(command.code, user.unconfirmed.sealed_key, surroundings),
        seen=user.unconfirmed.sealed_key,
        mark=keys.mark("factor", str(user.id), command.code),
        now=surroundings.now,
        recovery_codes=tuple(codes),
        recovery_marks=tuple(keys.mark("recovery", str(user.id), code) for code in codes),
    )
    return Prepared(replace(command, code=GONE), facts)


def tell_confirmation(body: dict[str, Any], facts: Confirmation, _: Surroundings) -> dict[str, Any]:
    return {**body, "recovery_codes": list(facts.recovery_codes)}


def check_removal(command: RemoveSecondFactor, surroundings: Surroundings) -> Prepared:
    user = require_own(command.user_id, surroundings)
    attempts_of(user.id, "", surroundings).require_open(surroundings.now)
    right = surroundings.slowly(vault.matches, command.password, user.password_hash)
    return Prepared(replace(command, password=GONE), PasswordCheck(right, user.password_hash))


# -- machine accounts


@dataclass(frozen=True)
class MachineSecret:
    """A machine account's secret and its mark."""

    secret: str = field(repr=False)
    mark: str


def new_machine_secret(command: AddMachine | RenewMachineSecret, surroundings: Surroundings) -> Prepared:
    secret = vault.new_token()
    return Prepared(command, MachineSecret(secret, _machine_mark(command.machine_id, secret, surroundings)))


def tell_machine_secret(body: dict[str, Any], facts: MachineSecret, _: Surroundings) -> dict[str, Any]:
    return {"id": body["id"], "version": body["version"], "name": body["name"], "secret": facts.secret}


def check_machine(command: GetMachineToken, surroundings: Surroundings) -> Prepared:
    machine = surroundings.records.load(Machine, command.machine_id)
    mark = _machine_mark(command.machine_id, command.secret, surroundings)
    if machine is None or not same(mark, machine.mark):
        raise wrong_secret()
    return Prepared(replace(command, secret=GONE), person=Person(user_id=machine.id, name=machine.name))


def hand_out_machine_token(body: dict[str, Any], _: None, surroundings: Surroundings) -> dict[str, Any]:
    principal = Principal(UUID(body["id"]), body["name"], frozenset(), epoch=body["epoch"], machine=True)
    return {
        "id": body["id"],
        "version": body["version"],
        "access_token": issue(surroundings.config, principal),
        "token_type": "Bearer",
        "expires_in": ACCESS_SECONDS,
    }


def _machine_mark(machine_id: UUID, secret: str, surroundings: Surroundings) -> str:
    return Vault.of(surroundings.config).mark("machine", str(machine_id), secret)
