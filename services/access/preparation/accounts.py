"""Accounts of people: registered, and changed by themselves (SEC-04, SEC-12)."""

from dataclasses import dataclass, field, replace
from typing import Any

from chassis.model.middleware import Prepared, Surroundings
from contracts.access import (
    EditPersonalData,
    RegisterUser,
)
from services.access import vault
from services.access.domain.sessions import (
    needs_challenge,
)
from services.access.domain.users import CONTACTS, check_password
from services.access.preparation.images import Answered, answered
from services.access.preparation.passwords import PasswordCheck
from services.access.preparation.records import GONE, attempts_of, needs_password, require_own, send, settings_of


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
        send(how, to, "contact", surroundings.caller.user_id, surroundings)
    return body
