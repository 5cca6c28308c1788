"""What several commands need of the service: the records they concern."""

from uuid import UUID

from chassis.model.service import Work
from contracts.errors import Refused
from services.access.domain.sessions import (
    SETTINGS,
    AccessSettings,
    Attempts,
    attempts_id,
)
from services.access.domain.users import (
    ADMINISTRATORS_ID,
    Administrators,
    User,
)


def user_of(work: Work, id: UUID | None, field: str = "user_id") -> User:
    assert id is not None
    return work.get(User, id, what="user", field=field)


def settings_of(work: Work) -> AccessSettings:
    return work.find_or_new(AccessSettings, SETTINGS)


def attempts_of(work: Work, user_id: UUID | None, name: str = "") -> Attempts:
    return work.find_or_new(Attempts, attempts_id(user_id, name))


def administrators_of(work: Work) -> Administrators:
    return work.find_or_new(Administrators, ADMINISTRATORS_ID)


def require_own(work: Work, user_id: UUID) -> User:
    if user_id != work.context.user.user_id:
        raise Refused("access.own_account", field="user_id")
    return user_of(work, user_id)
