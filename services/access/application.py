"""The access service: its commands, one line each, and what is done around those that deal with secrets."""

from typing import Any
from uuid import UUID

from chassis.model.aggregates import Aggregate
from chassis.model.context import is_before
from chassis.model.middleware import Middleware
from chassis.model.service import Claim, CommandFunction, Service, Work, change, hold, upsert
from chassis.model.unique import UniqueIndex
from contracts.access import (
    AddDepartment,
    AddMachine,
    AddRoleMember,
    ChangePassword,
    ConfirmSecondFactor,
    DefineRole,
    DeleteMachine,
    DeleteUser,
    DrawChallenge,
    EditPersonalData,
    EditUser,
    EndSignIns,
    EnrolSecondFactor,
    GetMachineToken,
    GrantRight,
    IssueDefaultPassword,
    IssueUser,
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
    SetAccessSettings,
    SignIn,
    SignOut,
    UserState,
)
from contracts.declare import KEPT, changes
from contracts.errors import Refused, invalid_state
from contracts.permissions import ADMINISTRATOR
from services.access import preparation as prepare
from services.access.domain.roles import Department, Machine, Role, role_id
from services.access.domain.sessions import (
    CODE_LIVES,
    SETTINGS,
    AccessSettings,
    Attempts,
    Challenge,
    PasswordReset,
    SentCode,
    Session,
    attempts_id,
    ended,
    key_lost,
    needs_challenge,
    wrong,
    wrong_challenge,
    wrong_code,
)
from services.access.domain.users import (
    ADMINISTRATORS_ID,
    CONTACTS,
    Administrators,
    User,
    login_value,
)

# -- what several commands need


def _user(work: Work, id: UUID | None, field: str = "user_id") -> User:
    assert id is not None
    return work.get(User, id, what="user", field=field)


def _settings(work: Work) -> AccessSettings:
    return work.find_or_new(AccessSettings, SETTINGS)


def _attempts(work: Work, user_id: UUID | None, name: str = "") -> Attempts:
    return work.find_or_new(Attempts, attempts_id(user_id, name))


def _administrators(work: Work) -> Administrators:
    return work.find_or_new(Administrators, ADMINISTRATORS_ID)


def _require_own(work: Work, user_id: UUID) -> User:
    if user_id != work.context.user.user_id:
        raise Refused("FORBIDDEN", "This is for one's own account only.", field="user_id")
    return _user(work, user_id)


def _require_can_lead(work: Work, superior_id: UUID, user_id: UUID) -> None:
    """Raises Refused for a superior who has left, and for one whom the user leads: nobody leads themselves."""
    superior = _user(work, superior_id, "superior_id")
    superior.require_there("superior_id")
    above, seen = superior, set[UUID]()
    while above.id != user_id and above.id not in seen and (next_id := above.state.superior_id):
        seen.add(above.id)
        above = _user(work, next_id, "superior_id")
    if above.id == user_id:
        raise Refused("VALIDATION", "superior_id: is led by this user, or is this user.", field="superior_id")


def _can_sign_in(work: Work, user_id: UUID) -> bool:
    user = work.find(User, user_id)
    return user is not None and _settings(work).admits(user)


def _stop_being_administrator(work: Work, user: User) -> None:
    _administrators(work).remove(user.id, lambda other: _can_sign_in(work, other))


NO_CONTACT = {"MAIL": "no e-mail address", "SMS": "no phone number"}


def keeps_way_in(handler: CommandFunction, field: str) -> CommandFunction:
    """A handler that is refused where it would leave somebody with no way to sign in (SEC-05, SEC-06).

    Raises Refused VALIDATION naming the contact that the command takes away or does not give, else `field`.  Whoever
    had no way in before is not looked at: there is nothing to lose.
    """

    def guarded(command: Any, work: Work) -> Aggregate:
        user = work.find(User, command.user_id)
        settings = _settings(work)
        had_none = user is not None and settings.locks_out(user)
        changed = handler(command, work)
        if isinstance(changed, User) and settings.locks_out(changed) and not had_none:
            missing = [name for name in CONTACTS.values() if getattr(command, name, KEPT) in (None, "")]
            at_fault = missing[0] if missing else field
            missed = NO_CONTACT.get(changed.factor.method, "neither an e-mail address nor a phone number")
            text = (
                f"{at_fault}: this person is asked for a code at sign-in, and there is {missed} to send it to: "
                "give one first (PATCH /users/{user_id})."
            )
            raise Refused("VALIDATION", text, field=at_fault, state="NO_CONTACT")
        return changed

    return guarded


def _require_role(work: Work, role: str, field: str = "role") -> None:
    """Raises Refused NOT_FOUND, naming the field, for a role nobody has defined."""
    work.find_or_new(Role, role_id(role)).now(role, field)


def _name_of(state: UserState) -> dict[str, str]:
    """What a user signs in with, by field.  What somebody who registered has not proved is no name."""
    phone = {} if state.company else {"phone": state.phone}
    return {field: name for field, name in {"login": state.login, **phone}.items() if name}


def _claim_names(work: Work, user: User, before: UserState | None = None) -> None:
    names = _name_of(user.state)
    claims = [Claim(login_value(name), "This name to sign in with", field) for field, name in names.items()]
    hold(work, user.id, claims, [login_value(name) for name in _name_of(before).values()] if before else [])


def _wrong_challenge(work: Work, answered: prepare.Answered) -> Challenge | None:
    """The verification image when it was answered wrongly or before; each has one try (SEC-08)."""
    if answered.challenge_id is None:
        return None
    challenge = work.find_or_new(Challenge, answered.challenge_id)
    return None if challenge.use() and answered.right else challenge


# -- users


def issue_user(command: IssueUser, work: Work) -> User:
    user = work.new(User, command.user_id, what="user", field="user_id")
    for number, role in enumerate(command.roles):
        _require_role(work, role, f"roles.{number}")
    if command.superior_id:
        _require_can_lead(work, command.superior_id, user.id)
    if command.department_id:
        work.get(Department, command.department_id, what="department", field="department_id")
    user.issue(command, work.prepared.hash, work.context)
    _claim_names(work, user)
    if ADMINISTRATOR in command.roles:
        _administrators(work).add(user.id)
    return user


def register_user(command: RegisterUser, work: Work) -> Aggregate:
    if wrong := _wrong_challenge(work, work.prepared.answered):
        return wrong
    if not _settings(work).self_registration:
        raise Refused("FORBIDDEN", "Registration is switched off: ask an administrator.", state="SWITCHED_OFF")
    login = command.email or command.phone
    if not login:
        raise Refused("VALIDATION", "email: give an e-mail address or a phone number.", field="email")
    user = work.new(User, command.user_id, what="user", field="user_id")
    user.register(command, login, work.prepared.hash)
    for name in _name_of(user.state).values():
        if any((index := work.find(UniqueIndex, id)) and index.holder for id in login_value(name).ids):
            field = "email" if command.email else "phone"
            raise Refused("DUPLICATE", "There is an account with this name already.", field=field)  # not whose
    _claim_names(work, user)
    return user


def edit_user(command: EditUser, work: Work) -> User:
    user = _user(work, command.user_id)
    given = changes(command, UserState)
    superior = given.get("superior_id")
    if superior and superior != user.state.superior_id:
        _require_can_lead(work, superior, user.id)
    if given.get("department_id"):
        work.get(Department, given["department_id"], what="department", field="department_id")
    return _edit(user, command, work)


def edit_personal_data(command: EditPersonalData, work: Work) -> Aggregate:
    user = _require_own(work, command.user_id)
    if work.prepared is not None and (wrong := _wrong_password(work, user, work.prepared)):
        return wrong
    if work.prepared is None and user.changes_contact(command):
        raise prepare.needs_password()  # it was the same contact a moment ago
    return _edit(user, command, work)


def _edit(user: User, command: EditUser | EditPersonalData, work: Work) -> User:
    before = user.state
    user.edit(command, work.context)
    _claim_names(work, user, before)
    return user


def delete_user(command: DeleteUser, work: Work) -> User:
    user = _user(work, command.user_id)
    names = _name_of(user.state)
    _stop_being_administrator(work, user)
    user.delete(_user(work, command.successor_id, "successor_id"), work.context)
    hold(work, user.id, [], [login_value(name) for name in names.values()])
    return user


def add_role_member(command: AddRoleMember, work: Work) -> User:
    _require_role(work, command.role)
    user = _user(work, command.user_id)
    user.give_role(command.role, work.context)
    if command.role == ADMINISTRATOR:
        _administrators(work).add(user.id)
    return user


def remove_role_member(command: RemoveRoleMember, work: Work) -> User:
    user = _user(work, command.user_id)
    if command.role not in user.state.roles:
        _require_role(work, command.role)
    if command.role == ADMINISTRATOR:
        _stop_being_administrator(work, user)
    user.take_role(command.role, work.context)
    return user


def review_rights(command: ReviewRights, work: Work) -> User:
    user = _user(work, command.user_id)
    user.review(work.context)
    return user


def end_sign_ins(command: EndSignIns, work: Work) -> User:
    user = _user(work, command.user_id)
    user.end_sign_ins(work.context)
    return user


# -- passwords


def issue_default_password(command: IssueDefaultPassword, work: Work) -> User:
    user = _user(work, command.user_id)
    user.set_password(work.prepared.hash, "DEFAULT", work.context.user)
    _attempts(work, user.id).forget(user.id)
    return user


def _wrong_password(work: Work, user: User, check: Any) -> Attempts | None:
    """The failures, counted one up, when the password is not right or was another one a moment ago."""
    attempts = _attempts(work, user.id)
    attempts.require_open(work.context.now)
    if check.right and check.seen == user.password_hash:
        attempts.forget(user.id)
        return None
    attempts.fail(user.id, "PASSWORD", work.context.now)
    return attempts


def change_password(command: ChangePassword, work: Work) -> Aggregate:
    user = _require_own(work, command.user_id)
    if wrong := _wrong_password(work, user, work.prepared):
        return wrong
    user.set_password(work.prepared.hash, "CHANGED", work.context.user)
    return user


def request_password_reset(command: RequestPasswordReset, work: Work) -> Aggregate:
    """A name that belongs to nobody leaves the same traces, so nothing tells it from one that does."""
    facts: prepare.ResetFacts = work.prepared
    if wrong := _wrong_challenge(work, facts.answered):
        return wrong
    user_id = facts.user.id if facts.user else None
    reset = work.new(PasswordReset, command.reset_id, what="password reset", field="reset_id")
    sent = _attempts(work, user_id, command.name).ask_code(work.context.now)
    reset.ask(facts.user if sent else None, facts.mark, work.context.now)
    return reset


def reset_password(command: ResetPassword, work: Work) -> PasswordReset:
    reset = work.get(PasswordReset, command.reset_id, what="password reset", field="reset_id")
    user = _user(work, reset.user_id) if reset.user_id else None
    if reset.attempt(work.prepared.mark, user, work.context.now):
        assert user is not None
        user.set_password(work.prepared.hash, "RECOVERED", user.person)
        user.prove_contact()
        _attempts(work, user.id).forget(user.id)
    return reset


# -- signing in


def draw_challenge(command: DrawChallenge, work: Work) -> Challenge:
    return work.find_or_new(Challenge, command.challenge_id)


def sign_in(command: SignIn, work: Work) -> Aggregate:
    facts: prepare.SignInFacts = work.prepared
    now = work.context.now
    if wrong := _wrong_challenge(work, facts.answered):
        return wrong
    user = work.find(User, facts.user.id) if facts.user else None
    attempts = _attempts(work, user.id if user else None, command.name)
    attempts.require_open(now)
    settings = _settings(work)
    if facts.answered.challenge_id is None and settings.needs_challenge(attempts.failures):
        raise needs_challenge()  # another sign-in failed a moment ago
    if not (facts.right and user and facts.user and user.password_hash == facts.user.password_hash):
        attempts.fail(user.id if user else None, "PASSWORD", now)
        return attempts
    if not facts.has_phone:  # told to nobody but who has the password
        text = "device_id: you have enrolled no such phone; sign in without it, then enrol it (POST /devices)."
        raise Refused("UNAUTHENTICATED", text, field="device_id", state="NOT_YOURS")
    session = work.new(Session, command.session_id, what="session", field="session_id")
    if method := settings.proof_of(user):
        code = None
        if method != "TOTP":
            user.contact(method)
            code = SentCode(facts.code_mark, facts.user.contact(method))  # where it is sent, whatever changed since
        session.ask_proof(user, method, code, command.device_id, now)
    else:
        attempts.forget(user.id)
        session.open(user, facts.tokens.mark, command.device_id, now)
    return session


def prove_identity(command: ProveIdentity, work: Work) -> Session:
    facts: prepare.ProofFacts = work.prepared
    now = work.context.now
    session = work.get(Session, command.session_id, what="session", field="session_id")
    user = _user(work, session.user.user_id)
    attempts = _attempts(work, user.id)
    attempts.require_open(now)
    if not session.awaits_proof_of(user, now) or facts.seen != user.factor.sealed_key:
        raise ended()
    if facts.step is None:
        raise key_lost()  # its recovery codes were marked with the same master key: they are void too
    if _is_proved(session, user, facts, work):
        attempts.forget(user.id)
        session.open(user, facts.tokens.mark, session.device_id, now)
    else:
        session.fail_proof(now)
        attempts.fail(user.id, "PROOF", now)
    return session


def _is_proved(session: Session, user: User, facts: prepare.ProofFacts, work: Work) -> bool:
    if session.code_is(facts.code_mark, work.context.now):
        user.prove_contact()
        return True
    return bool(facts.step and user.use_step(facts.step)) or user.use_recovery(facts.recovery_mark)


def refresh_session(command: RefreshSession, work: Work) -> Session:
    session = work.get(Session, command.session_id, what="session", field="session_id")
    if session.status != "OPEN":
        raise ended()
    user = _user(work, session.user.user_id)
    if user.state.epoch != session.epoch:
        session.end("EXPIRED", user.person, work.context.now)
    else:
        facts: prepare.RefreshFacts = work.prepared
        session.rotate(facts.seen, facts.is_ours, facts.tokens.mark, work.context.now)
    return session


def sign_out(command: SignOut, work: Work) -> Session:
    session = work.get(Session, command.session_id, what="session", field="session_id")
    if session.user.user_id != work.context.user.user_id:
        raise Refused("FORBIDDEN", "This is for one's own sessions only.", field="session_id")
    session.end("SIGNED_OUT", work.context.user, work.context.now)
    return session


# -- second proofs


def enrol_second_factor(command: EnrolSecondFactor, work: Work) -> Aggregate:
    user = _require_own(work, command.user_id)
    if wrong := _wrong_password(work, user, work.prepared):
        return wrong
    user.begin_factor(work.prepared.factor)
    return user


def confirm_second_factor(command: ConfirmSecondFactor, work: Work) -> Aggregate:
    facts: prepare.Confirmation = work.prepared
    user = _require_own(work, command.user_id)
    attempts = _attempts(work, user.id)
    attempts.require_open(work.context.now)
    pending = user.pending_factor()
    if pending.method == "TOTP":
        if facts.step is None:
            way_out = "begin anew (POST /users/{user_id}/second-factor)."
            raise invalid_state(f"The key of the authenticator app can't be read any more: {way_out}", "KEY_LOST")
        right = facts.step > 0 and facts.seen == pending.sealed_key and user.use_step(facts.step)
    else:
        right = facts.mark == pending.code_mark and is_before(facts.now, pending.code_until, CODE_LIVES)
    if not right:
        attempts.fail(user.id, "PROOF", work.context.now)
        return attempts
    user.confirm_factor(facts.recovery_marks, work.context)
    return user


def remove_second_factor(command: RemoveSecondFactor, work: Work) -> Aggregate:
    user = _require_own(work, command.user_id)
    if wrong := _wrong_password(work, user, work.prepared):
        return wrong
    user.remove_factor(work.context)
    return user


def reset_second_factor(command: ResetSecondFactor, work: Work) -> User:
    user = _user(work, command.user_id)
    user.remove_factor(work.context)
    return user


# -- settings


def set_access_settings(command: SetAccessSettings, work: Work) -> AccessSettings:
    """Refused where it would lock somebody out: an administrator, or anybody else this process has heard of."""
    settings = _settings(work)
    after = settings.after(command)
    concerned = [*_administrators(work).members, *after.concerned_by(work.context.organisation, settings)]
    for role in after.second_factor_roles:
        if role not in settings.second_factor_roles and not work.find_or_new(Role, role_id(role)).exists(role):
            text = f"second_factor_roles: there is no role {role}; define it first (PUT /roles/{role})."
            raise Refused("VALIDATION", text, field="second_factor_roles")
    people = (work.find(User, id) for id in dict.fromkeys(concerned))
    after.require_way_in([user for user in people if user is not None], settings)
    settings.change(command, work.context)
    return settings


# -- roles, departments, machines


def add_department(command: AddDepartment, work: Work) -> Department:
    if command.parent_id:
        work.get(Department, command.parent_id, what="department", field="parent_id")
    department = work.new(Department, command.department_id, what="department", field="department_id")
    department.add(command, work.context)
    hold(work, department.id, [_name_of_department(department)])
    return department


def rename_department(command: RenameDepartment, work: Work) -> Department:
    department = work.get(Department, command.department_id, what="department", field="department_id")
    before = department.name_value()
    department.rename(command, work.context)
    hold(work, department.id, [_name_of_department(department)], [before])
    return department


def _name_of_department(department: Department) -> Claim:
    return Claim(department.name_value(), f"The name {department.name}, within the same department,", "name")


def add_machine(command: AddMachine, work: Work) -> Machine:
    machine = work.new(Machine, command.machine_id, what="machine account", field="machine_id")
    if command.responsible_id:
        _user(work, command.responsible_id, "responsible_id").require_there("responsible_id")
    machine.add(command, command.responsible_id or work.context.owner.user_id, work.prepared.mark, work.context)
    return machine


def name_responsible(command: NameResponsible, work: Work) -> Machine:
    machine = work.get(Machine, command.machine_id, what="machine account", field="machine_id")
    _user(work, command.responsible_id, "responsible_id").require_there("responsible_id")
    machine.name_responsible(command, work.context)
    return machine


def renew_machine_secret(command: RenewMachineSecret, work: Work) -> Machine:
    machine = work.get(Machine, command.machine_id, what="machine account", field="machine_id")
    machine.renew(work.prepared.mark, work.context)
    return machine


def get_machine_token(command: GetMachineToken, work: Work) -> Machine:
    return work.get(Machine, command.machine_id, what="machine account", field="machine_id")


WRONG_IMAGE = prepare.refuses_on("WRONG_CHALLENGE", wrong_challenge)
WRONG_PASSWORD = prepare.refuses_on("WRONG", wrong)
WRONG_CODE = prepare.refuses_on("WRONG", wrong_code)

SERVICE = Service(
    "access",
    untold=frozenset({"outcome", "epoch", "limited", "method", "sent", "device_id"}),
    commands={
        IssueUser: keeps_way_in(issue_user, "email"),
        RegisterUser: register_user,
        EditUser: keeps_way_in(edit_user, "email"),
        EditPersonalData: keeps_way_in(edit_personal_data, "email"),
        DeleteUser: delete_user,
        AddRoleMember: keeps_way_in(add_role_member, "role"),
        RemoveRoleMember: remove_role_member,
        ReviewRights: review_rights,
        EndSignIns: end_sign_ins,
        IssueDefaultPassword: keeps_way_in(issue_default_password, "user_id"),
        ChangePassword: change_password,
        RequestPasswordReset: request_password_reset,
        ResetPassword: reset_password,
        DrawChallenge: draw_challenge,
        SignIn: sign_in,
        ProveIdentity: prove_identity,
        RefreshSession: refresh_session,
        SignOut: sign_out,
        EnrolSecondFactor: enrol_second_factor,
        ConfirmSecondFactor: keeps_way_in(confirm_second_factor, "user_id"),
        RemoveSecondFactor: keeps_way_in(remove_second_factor, "user_id"),
        ResetSecondFactor: keeps_way_in(reset_second_factor, "user_id"),
        DefineRole: upsert(Role, Role.define),
        GrantRight: upsert(Role, Role.grant),
        RevokeRight: upsert(Role, Role.revoke),
        AddDepartment: add_department,
        RenameDepartment: rename_department,
        AddMachine: add_machine,
        RenewMachineSecret: renew_machine_secret,
        NameResponsible: name_responsible,
        DeleteMachine: change(Machine, Machine.delete, what="machine account"),
        GetMachineToken: get_machine_token,
        SetAccessSettings: set_access_settings,
    },
    middleware={
        IssueUser: Middleware(prepare.hash_default),
        IssueDefaultPassword: Middleware(prepare.hash_default),
        RegisterUser: Middleware(prepare.check_registration, refuses=WRONG_IMAGE),
        EditPersonalData: Middleware(prepare.check_personal_data, prepare.tell_old_contact, WRONG_PASSWORD),
        ChangePassword: Middleware(prepare.check_change, refuses=WRONG_PASSWORD),
        RequestPasswordReset: Middleware(prepare.check_reset_request, prepare.send_reset, WRONG_IMAGE),
        ResetPassword: Middleware(prepare.check_reset, prepare.tell_reset, prepare.refuses_unless("RIGHT", wrong_code)),
        DrawChallenge: Middleware(prepare.draw_challenge, prepare.show_challenge),
        SignIn: Middleware(prepare.check_sign_in, prepare.tell_sign_in, prepare.refuses_sign_in),
        ProveIdentity: Middleware(prepare.check_proof, prepare.tell_proof, prepare.refuses_unless("OPEN", wrong_code)),
        RefreshSession: Middleware(prepare.check_refresh, prepare.tell_refresh, prepare.refuses_unless("OPEN", ended)),
        EnrolSecondFactor: Middleware(prepare.check_enrolment, prepare.tell_enrolment, WRONG_PASSWORD),
        ConfirmSecondFactor: Middleware(prepare.check_confirmation, prepare.tell_confirmation, WRONG_CODE),
        RemoveSecondFactor: Middleware(prepare.check_removal, refuses=WRONG_PASSWORD),
        AddMachine: Middleware(prepare.new_machine_secret, prepare.tell_machine_secret),
        RenewMachineSecret: Middleware(prepare.new_machine_secret, prepare.tell_machine_secret),
        GetMachineToken: Middleware(prepare.check_machine, prepare.hand_out_machine_token),
    },
)
