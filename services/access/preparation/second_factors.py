"""Second proofs (SEC-06)."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pyotp

from chassis.model.middleware import Prepared, Surroundings
from contracts.access import (
    ConfirmSecondFactor,
    EnrolSecondFactor,
    RemoveSecondFactor,
)
from services.access import vault
from services.access.domain.sessions import (
    CODE_LIVES,
)
from services.access.domain.users import CONTACTS, Factor, User
from services.access.preparation.passwords import PasswordCheck
from services.access.preparation.records import GONE, attempts_of, require_own, send_code, step_of
from services.access.vault import Vault


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
    code = vault.typed(command.code)
    facts = Confirmation(
        step=step_of(code, user.unconfirmed.sealed_key, surroundings),
        seen=user.unconfirmed.sealed_key,
        mark=keys.mark("factor", str(user.id), code),
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
