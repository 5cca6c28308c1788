"""What the preparation of several commands needs."""

import secrets
from functools import partial
from uuid import UUID

import pyotp

from chassis.model.middleware import Surroundings
from chassis.model.unique import UniqueIndex
from contracts.errors import Refused
from contracts.personal import is_erased
from services.access import vault
from services.access.domain.sessions import (
    SETTINGS,
    AccessSettings,
    Attempts,
    attempts_id,
)
from services.access.domain.users import User, login_value
from services.access.messages import Message, messenger, text_of
from services.access.vault import Vault

STEP_SECONDS = 30
STEPS_OFF = 1  # how many time steps an authenticator's clock may be off
GONE = ""  # what a secret is replaced by before the command goes on
needs_password = partial(Refused, "access.needs_password", field="password")


def user_named(name: str, surroundings: Surroundings) -> User | None:
    """The user who signs in with this name; who was erased is there no more, whatever their name was (CPL-01)."""
    for id in login_value(name).ids:
        index = surroundings.records.load(UniqueIndex, id)
        if index is not None and index.holder is not None and not is_erased(index.holder):
            return surroundings.records.load(User, index.holder)
    return None


def require_own(user_id: UUID, surroundings: Surroundings) -> User:
    """The caller's own account.  Raises Refused FORBIDDEN for another one."""
    if user_id != surroundings.caller.user_id:
        raise Refused("access.own_account", field="user_id")
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
    send(method, user.contact(method), "code", user.id, surroundings, code=code)


def send(method: str, to: str, what: str, user_id: UUID | None, surroundings: Surroundings, **values: str) -> None:
    """Send one of the texts in the user's language; nobody waits for it."""
    language = surroundings.directory.language_of(user_id, surroundings.asked)
    message = Message(method, to, text_of(what, language, **values))
    surroundings.later(lambda: messenger(surroundings.config, language, surroundings.now).send(message))


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
