"""Accounts of people: issued, registered, changed, deleted, and their roles (SEC-01, SEC-04, SEC-12..14)."""

from functools import partial
from uuid import UUID

from chassis.model.aggregates import Aggregate
from chassis.model.service import Claim, Work, hold
from contracts.access import (
    AddRoleMember,
    DeleteUser,
    EditPersonalData,
    EditUser,
    EndSignIns,
    IssueUser,
    RegisterUser,
    RemoveRoleMember,
    ReviewRights,
    SetPreferences,
    UserState,
)
from contracts.declare import changes
from contracts.errors import Refused
from contracts.permissions import ADMINISTRATOR
from contracts.reasons import Why
from services.access.domain.roles import Department, Role, role_id
from services.access.domain.users import (
    User,
    login_value,
)
from services.access.handlers.passwords import wrong_password
from services.access.handlers.records import administrators_of, require_own, settings_of, user_of
from services.access.handlers.sign_in import wrongly_answered
from services.access.preparation.records import needs_password


def _require_can_lead(work: Work, superior_id: UUID, user_id: UUID) -> None:
    """Raises Refused for a superior who has left, and for one whom the user leads: nobody leads themselves."""
    superior = user_of(work, superior_id, "superior_id")
    superior.require_there("superior_id")
    above, seen = superior, set[UUID]()
    while above.id != user_id and above.id not in seen and (next_id := above.state.superior_id):
        seen.add(above.id)
        above = user_of(work, next_id, "superior_id")
    if above.id == user_id:
        raise Refused("access.led_by_them", field="superior_id")


def _can_sign_in(work: Work, user_id: UUID) -> bool:
    user = work.find(User, user_id)
    return user is not None and settings_of(work).admits(user)


def _stop_being_administrator(work: Work, user: User) -> None:
    administrators_of(work).remove(user.id, lambda other: _can_sign_in(work, other))


def _require_role(work: Work, role: str, field: str = "role") -> None:
    """Raises Refused NOT_FOUND, naming the field, for a role nobody has defined."""
    work.find_or_new(Role, role_id(role)).now(role, field)


def names_of(state: UserState) -> dict[str, str]:
    """What a user signs in with, by field.  What somebody who registered has not proved is no name."""
    phone = {} if state.company else {"phone": state.phone}
    return {field: name for field, name in {"login": state.login, **phone}.items() if name}


def claim_names(work: Work, user: User, before: UserState | None = None) -> None:
    names = names_of(user.state)
    claims = [Claim(login_value(name), partial(Why, "access.login"), field) for field, name in names.items()]
    hold(work, user.id, claims, [login_value(name) for name in names_of(before).values()] if before else [])


def issue_user(command: IssueUser, work: Work) -> User:
    user = work.new(User, command.user_id, what="user", field="user_id")
    for number, role in enumerate(command.roles):
        _require_role(work, role, f"roles.{number}")
    if command.superior_id:
        _require_can_lead(work, command.superior_id, user.id)
    if command.department_id:
        work.get(Department, command.department_id, what="department", field="department_id")
    user.issue(command, work.prepared.hash, work.context)
    claim_names(work, user)
    if ADMINISTRATOR in command.roles:
        administrators_of(work).add(user.id)
    return user


def register_user(command: RegisterUser, work: Work) -> Aggregate:
    if wrong := wrongly_answered(work, work.prepared.answered):
        return wrong
    if not settings_of(work).self_registration:
        raise Refused("access.registration_off", state="SWITCHED_OFF")
    login = command.email or command.phone
    if not login:
        raise Refused("access.contact_needed", field="email")
    user = work.new(User, command.user_id, what="user", field="user_id")
    user.register(command, login, work.prepared.hash)
    try:
        claim_names(work, user)
    except Refused as refused:
        field = "email" if command.email else "phone"
        raise Refused("access.registered_already", field=field) from refused  # not whose
    return user


def edit_user(command: EditUser, work: Work) -> User:
    user = user_of(work, command.user_id)
    given = changes(command, UserState)
    superior = given.get("superior_id")
    if superior and superior != user.state.superior_id:
        _require_can_lead(work, superior, user.id)
    if given.get("department_id"):
        work.get(Department, given["department_id"], what="department", field="department_id")
    return _edit(user, command, work)


def edit_personal_data(command: EditPersonalData, work: Work) -> Aggregate:
    user = require_own(work, command.user_id)
    if work.prepared is not None and (wrong := wrong_password(work, user, work.prepared)):
        return wrong
    if work.prepared is None and user.changes_contact(command):
        raise needs_password()  # it was the same contact a moment ago
    return _edit(user, command, work)


def set_preferences(command: SetPreferences, work: Work) -> User:
    user = require_own(work, command.user_id)
    user.prefer(command, work.context)
    return user


def _edit(user: User, command: EditUser | EditPersonalData, work: Work) -> User:
    before = user.state
    user.edit(command, work.context)
    claim_names(work, user, before)
    return user


def delete_user(command: DeleteUser, work: Work) -> User:
    user = user_of(work, command.user_id)
    names = names_of(user.state)
    _stop_being_administrator(work, user)
    user.delete(user_of(work, command.successor_id, "successor_id"), work.context)
    hold(work, user.id, [], [login_value(name) for name in names.values()])
    return user


def add_role_member(command: AddRoleMember, work: Work) -> User:
    _require_role(work, command.role)
    user = user_of(work, command.user_id)
    user.give_role(command.role, work.context)
    if command.role == ADMINISTRATOR:
        administrators_of(work).add(user.id)
    return user


def remove_role_member(command: RemoveRoleMember, work: Work) -> User:
    user = user_of(work, command.user_id)
    if command.role not in user.state.roles:
        _require_role(work, command.role)
    if command.role == ADMINISTRATOR:
        _stop_being_administrator(work, user)
    user.take_role(command.role, work.context)
    return user


def review_rights(command: ReviewRights, work: Work) -> User:
    user = user_of(work, command.user_id)
    user.review(work.context)
    return user


def end_sign_ins(command: EndSignIns, work: Work) -> User:
    user = user_of(work, command.user_id)
    user.end_sign_ins(work.context)
    return user
