"""Signing in (SEC-05..08): what is checked and drawn before the writer, and what is handed out after it."""

from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from chassis.access.tokens import ACCESS_SECONDS, issue
from chassis.model.middleware import Prepared, Surroundings
from chassis.model.principal import Principal
from contracts.access import (
    ProveIdentity,
    RefreshSession,
    SignIn,
)
from contracts.errors import Refused
from contracts.people import Person
from services.access import vault
from services.access.domain.sessions import (
    Session,
    ended,
    needs_challenge,
)
from services.access.domain.users import User
from services.access.preparation.images import Answered, answered
from services.access.preparation.records import GONE, attempts_of, send_code, settings_of, step_of, user_named
from services.access.vault import Vault


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
    owns_device: bool


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
    owns_device = command.device_id is None or (user is not None and owner == user.id)
    facts = SignInFacts(user, said, right, new_tokens(command.session_id, surroundings), code, mark, owns_device)
    person = user.person if user else Person(name=command.name)
    return Prepared(replace(command, password=GONE, challenge=None, challenge_answer=""), facts, person)


def session_of(id: UUID, surroundings: Surroundings) -> Session | None:
    """The session that a further step of signing in names.  Raises Refused where it is on a phone that was wiped."""
    session = surroundings.records.load(Session, id)
    require_not_wiped(session.device_id if session else None, surroundings)
    return session


def require_not_wiped(device_id: UUID | None, surroundings: Surroundings) -> None:
    """Raises Refused UNAUTHENTICATED for a phone that must wipe itself (SEC-29)."""
    if surroundings.directory.is_revoked(device_id):
        raise Refused("access.wiped", field="device_id", state="WIPED")


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
    session = session_of(command.session_id, surroundings)
    user = session and session.user.user_id and surroundings.records.load(User, session.user.user_id)
    if not session or not user:
        raise ended()
    keys, code = Vault.of(surroundings.config), vault.typed(command.code)
    facts = ProofFacts(
        code_mark=keys.mark("proof", str(session.id), code),
        recovery_mark=keys.mark("recovery", str(user.id), code),
        step=step_of(code, user.factor.sealed_key, surroundings),
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
    session = session_of(command.session_id, surroundings)
    id, token = command.session_id, command.refresh_token
    is_ours = Vault.of(surroundings.config).has_signed(token, "refresh-token", str(id))
    facts = RefreshFacts(refresh_mark(id, token, surroundings), is_ours, new_tokens(id, surroundings))
    return Prepared(replace(command, refresh_token=GONE), facts, session.user if session else None)


def tell_refresh(body: dict[str, Any], facts: RefreshFacts, surroundings: Surroundings) -> dict[str, Any]:
    return hand_out(body, facts.tokens, surroundings)
