"""Passwords: hashed and compared before the writer (SEC-01..03, SEC-09, SEC-10)."""

from dataclasses import dataclass, field, replace
from typing import Any

from chassis.model.middleware import Prepared, Surroundings
from contracts.access import (
    ChangePassword,
    IssueDefaultPassword,
    IssueUser,
    RequestPasswordReset,
    ResetPassword,
)
from contracts.errors import Refused
from services.access import vault
from services.access.domain.sessions import (
    needs_challenge,
)
from services.access.domain.users import User, check_password
from services.access.preparation.images import Answered, answered
from services.access.preparation.records import GONE, attempts_of, require_own, send_code, settings_of, user_named
from services.access.vault import Vault


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
        raise Refused("access.same_password", field="new_password")
    right = surroundings.slowly(vault.matches, command.old_password, user.password_hash)
    made = surroundings.slowly(vault.hash_password, command.new_password) if right else ""
    return Prepared(
        replace(command, old_password=GONE, new_password=GONE), PasswordCheck(right, user.password_hash, made)
    )


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
    mark = Vault.of(surroundings.config).mark("reset", str(command.reset_id), vault.typed(command.code))
    made = surroundings.slowly(vault.hash_password, command.new_password)
    return Prepared(replace(command, code=GONE, new_password=GONE), ResetCheck(mark, made))


def tell_reset(body: dict[str, Any], _: ResetCheck, __: Surroundings) -> dict[str, Any]:
    return {"id": body["id"], "version": body["version"]}
