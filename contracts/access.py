"""Who people are and what they may do (features SEC-01..22, SET-06).

Aggregates: user, sign-in attempts of a name, session, one-time code, challenge, role, department, machine, settings.
No event holds a secret: passwords, codes and keys never leave the access service's store.
"""

from dataclasses import field
from datetime import date, datetime
from typing import Literal
from uuid import UUID, uuid4

from contracts.declare import KEPT, command, event, value
from contracts.languages import Language
from contracts.people import SALESTREAM, PageRows, Person, Preferences
from contracts.permissions import PASSWORD, PUBLIC, SELF, DataScope
from contracts.personal import Personal
from contracts.types import Email, Flag, Mail, Name, PathName, Phone, RoleCode, Secret, Text, Whole

UserStatus = Literal["NOT_ACTIVATED", "DEFAULT_PASSWORD", "ACTIVE", "DELETED"]
FactorMethod = Literal["TOTP", "MAIL", "SMS"]
ChallengePolicy = Literal["ALWAYS", "AFTER_FAILURE", "NEVER"]


# -- values -----------------------------------------------------------------------------------------------------------


@value
class UserState:
    """All that others may know of a user.

    `epoch` rises whenever every sign-in of the user ends; `revision` with every change: a smaller one is older news.
    `successor_id` has taken over the records of a deleted user (SEC-14).  `second_factor` is "" while there is none.
    """

    login: Text
    name: Text
    status: UserStatus
    revision: Whole
    epoch: Whole = 0
    email: Personal[Mail] = ""
    phone: Personal[Text] = ""
    company: Text = ""
    department_id: UUID | None = None
    superior_id: UUID | None = None
    roles: tuple[Text, ...] = ()
    second_factor: Text = ""
    successor_id: UUID | None = None
    preferences: Preferences = Preferences()


@value
class Grant:
    """A right, and how far it reaches (SEC-18)."""

    told_apart_by = "right"

    right: Text
    scope: DataScope


@value
class RoleState:
    """All rights of a role after a change; `revision` rises with every one.

    `judged` names the rights there were at the change: of a right that came later the role has what
    `contracts.permissions` says.  Empty in older events.
    """

    title: Text
    revision: Whole
    grants: tuple[Grant, ...] = ()
    judged: tuple[Text, ...] = ()


# -- users (SEC-01, SEC-04, SEC-12..14, SEC-20, SET-06) ---------------------------------------------------------------


@command("POST /users", permission="accounts", key="user_id", creates=True, bulk=False)
class IssueUser:
    """Issue an account: signs in with `login` or the mobile number and a default password, to be changed (SEC-01).

    Without a password the account is not activated: its only act is setting one with a code (SEC-13).
    """

    user_id: UUID = field(default_factory=uuid4)
    login: Name
    name: Name
    default_password: Secret | None = field(default=None, repr=False)
    email: Personal[Email] | None = None
    phone: Personal[Phone] | None = None
    department_id: UUID | None = None
    superior_id: UUID | None = None
    roles: tuple[RoleCode, ...] = ()


@command("POST /registrations", permission=PUBLIC, key="user_id", creates=True, bulk=False)
class RegisterUser:
    """Register oneself; the account has no role until an administrator gives one (SEC-04)."""

    user_id: UUID = field(default_factory=uuid4)
    name: Name
    company: Name
    password: Secret = field(repr=False)
    email: Personal[Email] | None = None
    phone: Personal[Phone] | None = None
    challenge: Secret | None = None
    challenge_answer: Text = ""


@command("PATCH /users/{user_id}", permission="accounts")
class EditUser:
    """Change a user's data, department or superior; a field left out keeps its value (SEC-14)."""

    user_id: UUID
    name: Name = KEPT
    email: Personal[Email] | None = KEPT
    phone: Personal[Phone] | None = KEPT
    department_id: UUID | None = KEPT
    superior_id: UUID | None = KEPT


@command("PATCH /users/{user_id}/personal-data", permission=SELF, bulk=False)
class EditPersonalData:
    """Keep one's own name, e-mail and phone current; another e-mail or phone needs the password (SEC-12).

    Codes go there, so who finds a desk unattended could take the account over; the old contact is told of the change.
    """

    user_id: UUID
    name: Name = KEPT
    email: Personal[Email] | None = KEPT
    phone: Personal[Phone] | None = KEPT
    password: Secret | None = field(default=None, repr=False)


@command("PATCH /users/{user_id}/preferences", permission=SELF)
class SetPreferences:
    """Say how one works with Salestream: its language, the zone in which times are shown, the rows of a page.

    A field left out keeps its value; null is what the company has set (UIX-11, SET-02, SET-03).
    """

    user_id: UUID
    language: Language | None = KEPT
    time_zone: Name | None = KEPT
    rows_per_page: PageRows | None = KEPT


@command("POST /users/{user_id}/deletion", permission="accounts")
class DeleteUser:
    """Delete a user: sign-in ends at once, history stays, the successor takes over the records (SEC-14)."""

    user_id: UUID
    successor_id: UUID


@command("PUT /roles/{role}/members/{user_id}", permission="accounts", key="user_id")
class AddRoleMember:
    """Give a user a role; its rights hold from the next request on (SEC-14, SEC-19)."""

    role: RoleCode
    user_id: UUID


@command("DELETE /roles/{role}/members/{user_id}", permission="accounts", key="user_id")
class RemoveRoleMember:
    """Take a role from a user; its rights are gone at the next request (SEC-19)."""

    role: RoleCode
    user_id: UUID


@command("POST /users/{user_id}/review", permission="accounts")
class ReviewRights:
    """Note that the user's rights were checked today; the next check is due in 90 days (SEC-20)."""

    user_id: UUID


@command("POST /users/{user_id}/default-password", permission="accounts", bulk=False)
class IssueDefaultPassword:
    """Give a user a new default password, to be changed; ends every sign-in and a lock (SEC-01)."""

    user_id: UUID
    default_password: Secret = field(repr=False)


@event("salestream.access.user-issued.v1", key="user_id")
class UserIssued:
    """An administrator issued an account."""

    user_id: UUID
    user: UserState
    by: Person = SALESTREAM


@event("salestream.access.user-registered.v1", key="user_id")
class UserRegistered:
    """Somebody registered; the account has no role."""

    user_id: UUID
    user: UserState
    by: Person = SALESTREAM


@event("salestream.access.user-edited.v1", key="user_id")
class UserEdited:
    """A user's name, contacts, department or superior changed."""

    user_id: UUID
    user: UserState
    by: Person = SALESTREAM


@event("salestream.access.user-deleted.v1", key="user_id")
class UserDeleted:
    """A user is gone; the successor has taken over the records."""

    user_id: UUID
    user: UserState
    by: Person = SALESTREAM


@event("salestream.access.role-given.v1", key="user_id")
class RoleGiven:
    """A user became member of a role."""

    user_id: UUID
    role: Text
    user: UserState
    by: Person = SALESTREAM


@event("salestream.access.role-taken.v1", key="user_id")
class RoleTaken:
    """A user is no longer member of a role."""

    user_id: UUID
    role: Text
    user: UserState
    by: Person = SALESTREAM


@event("salestream.access.password-set.v1", key="user_id")
class PasswordSet:
    """A user has another password: every sign-in of the user has ended."""

    user_id: UUID
    user: UserState
    how: Literal["DEFAULT", "CHANGED", "RECOVERED"]
    by: Person = SALESTREAM


@event("salestream.access.second-factor-set.v1", key="user_id")
class SecondFactorSet:
    """A user switched the second verification on or off, or to another method (SEC-06)."""

    user_id: UUID
    user: UserState
    by: Person = SALESTREAM


@event("salestream.access.sign-ins-ended.v1", key="user_id")
class SignInsEnded:
    """Every sign-in of a user has ended."""

    user_id: UUID
    user: UserState
    by: Person = SALESTREAM


@event("salestream.access.rights-reviewed.v1", key="user_id")
class RightsReviewed:
    """An administrator checked the user's rights."""

    user_id: UUID
    reviewed_on: date
    next_on: date
    by: Person = SALESTREAM


USER_EVENTS: tuple[type, ...] = (
    UserIssued, UserRegistered, UserEdited, UserDeleted, RoleGiven, RoleTaken, PasswordSet, SecondFactorSet,
    SignInsEnded,
)  # fmt: skip
"""The events that tell a user's whole state."""


# -- passwords (SEC-02, SEC-03, SEC-09, SEC-10, SEC-13) ---------------------------------------------------------------


@command("POST /users/{user_id}/password", permission=PASSWORD, bulk=False)
class ChangePassword:
    """Change one's own password; ends every sign-in, so one signs in again with the new one (SEC-02, SEC-10)."""

    user_id: UUID
    old_password: Secret = field(repr=False)
    new_password: Secret = field(repr=False)


@command("POST /password-resets", permission=PUBLIC, key="reset_id", creates=True, bulk=False)
class RequestPasswordReset:
    """Ask for a code to set a new or a first password; the answer is the same whether the name exists (SEC-09)."""

    reset_id: UUID = field(default_factory=uuid4)
    name: Name
    challenge: Secret | None = None
    challenge_answer: Text = ""


@command("POST /password-resets/{reset_id}/password", permission=PUBLIC, bulk=False)
class ResetPassword:
    """Set a password with the code; ends every sign-in of the account (SEC-09, SEC-13)."""

    reset_id: UUID
    code: Secret = field(repr=False)
    new_password: Secret = field(repr=False)


# -- signing in (SEC-05..08, SEC-11) ----------------------------------------------------------------------------------


@command("POST /challenges", permission=PUBLIC, key="challenge_id", creates=True, bulk=False)
class DrawChallenge:
    """Draw a verification image: valid for 5 minutes and one try (SEC-08)."""

    challenge_id: UUID = field(default_factory=uuid4)


@command("POST /sessions", permission=PUBLIC, key="session_id", creates=True, bulk=False, signs_in=True)
class SignIn:
    """Sign in with a name and a password (SEC-07).

    `challenge` and `challenge_answer` are asked for by the settings (SEC-08); they are looked at first.
    """

    session_id: UUID = field(default_factory=uuid4)
    name: Name
    password: Secret = field(repr=False)
    challenge: Secret | None = None
    challenge_answer: Text = ""
    device_id: UUID | None = None


@command("POST /sessions/{session_id}/proof", permission=PUBLIC, bulk=False, signs_in=True)
class ProveIdentity:
    """Give the second proof: a code of the authenticator app, the code that was sent, or a recovery code (SEC-06)."""

    session_id: UUID
    code: Secret = field(repr=False)


@command("POST /sessions/{session_id}/refresh", permission=PUBLIC, bulk=False, signs_in=True)
class RefreshSession:
    """Exchange a refresh token for new tokens; one that was used before ends the session."""

    session_id: UUID
    refresh_token: Secret = field(repr=False)


@command("DELETE /sessions/{session_id}", permission=PASSWORD)
class SignOut:
    """Sign out: the session's tokens are void at once (SEC-11)."""

    session_id: UUID


SIGN_OUT_HERE = "sign_out_here"
"""The route by which one ends the session with which one calls, without knowing its id (SEC-11)."""


@command("DELETE /users/{user_id}/sessions", permission="accounts")
class EndSignIns:
    """End every sign-in of a user at once."""

    user_id: UUID


@command("POST /users/{user_id}/second-factor", permission=SELF, bulk=False)
class EnrolSecondFactor:
    """Begin to switch the second verification on; it holds once a first code is confirmed (SEC-06)."""

    user_id: UUID
    method: FactorMethod
    password: Secret = field(repr=False)


@command("POST /users/{user_id}/second-factor/confirmation", permission=SELF, bulk=False)
class ConfirmSecondFactor:
    """Confirm the second verification with a first code; answers with the recovery codes, once."""

    user_id: UUID
    code: Secret = field(repr=False)


@command("POST /users/{user_id}/second-factor/removal", permission=SELF, bulk=False)
class RemoveSecondFactor:
    """Switch one's second verification off."""

    user_id: UUID
    password: Secret = field(repr=False)


@command("DELETE /users/{user_id}/second-factor", permission="accounts")
class ResetSecondFactor:
    """Switch a user's second verification off: for somebody who has lost it."""

    user_id: UUID


@event("salestream.access.signed-in.v1", key="session_id")
class SignedIn:
    """A user signed in, all proofs given."""

    session_id: UUID
    user_id: UUID
    device_id: UUID | None = None
    limited: Flag = False
    by: Person = SALESTREAM


@event("salestream.access.session-ended.v1", key="session_id")
class SessionEnded:
    """A session is over; its tokens are void."""

    session_id: UUID
    user_id: UUID
    reason: Literal["SIGNED_OUT", "REUSED_TOKEN", "EXPIRED", "PROOF_FAILED"]
    ended_at: datetime
    by: Person = SALESTREAM


@event("salestream.access.sign-in-failed.v1", key="attempts_id")
class SignInFailed:
    """A sign-in failed; `user_id` is empty when the name belongs to nobody."""

    attempts_id: UUID
    user_id: UUID | None
    reason: Literal["PASSWORD", "PROOF"]
    failures: Whole


@event("salestream.access.sign-ins-locked.v1", key="attempts_id")
class SignInsLocked:
    """Too many sign-ins failed: none is taken until then."""

    attempts_id: UUID
    user_id: UUID | None
    until: datetime


@event("salestream.access.failures-forgotten.v1", key="attempts_id")
class FailuresForgotten:
    """The sign-ins that failed before don't count any more, and a lock is gone: the person has shown who it is."""

    attempts_id: UUID
    user_id: UUID | None


# -- roles and rights (SEC-15..19) ------------------------------------------------------------------------------------


@command("PUT /roles/{role}", permission="accounts")
class DefineRole:
    """Name a role, new or known; a new one has no right yet (SEC-15)."""

    role: RoleCode
    title: Name


@command("PUT /roles/{role}/rights/{right}", permission="accounts")
class GrantRight:
    """Give a role a right, or change how far it reaches (SEC-16, SEC-18)."""

    role: RoleCode
    right: PathName
    scope: DataScope


@command("DELETE /roles/{role}/rights/{right}", permission="accounts")
class RevokeRight:
    """Take a right from a role; it is gone at the next request of its members (SEC-19)."""

    role: RoleCode
    right: PathName


@event("salestream.access.role-defined.v1", key="role")
class RoleDefined:
    """A role got a name."""

    role: Text
    state: RoleState
    by: Person = SALESTREAM


@event("salestream.access.right-granted.v1", key="role")
class RightGranted:
    """A role got a right, or the right another reach."""

    role: Text
    right: Text
    scope: DataScope
    state: RoleState
    by: Person = SALESTREAM


@event("salestream.access.right-revoked.v1", key="role")
class RightRevoked:
    """A role lost a right."""

    role: Text
    right: Text
    state: RoleState
    by: Person = SALESTREAM


ROLE_EVENTS: tuple[type, ...] = (RoleDefined, RightGranted, RightRevoked)
"""The events that tell a role's whole state."""


# -- departments (SET-06) ---------------------------------------------------------------------------------------------


@command("POST /departments", permission="accounts", key="department_id", creates=True)
class AddDepartment:
    """Add a department, perhaps as part of another one."""

    department_id: UUID = field(default_factory=uuid4)
    name: Name
    parent_id: UUID | None = None


@command("PATCH /departments/{department_id}", permission="accounts")
class RenameDepartment:
    """Give a department another name."""

    department_id: UUID
    name: Name


@command("PUT /departments/{department_id}/parent", permission="accounts")
class MoveDepartment:
    """Make a department, with all that are part of it, part of another one, or with null of none (SET-06).

    Whoever reaches the records of departments reaches those of its people from its new place at once.
    """

    department_id: UUID
    parent_id: UUID | None = KEPT


@event("salestream.access.department-added.v1", key="department_id")
class DepartmentAdded:
    """There is a new department."""

    department_id: UUID
    name: Text
    parent_id: UUID | None = None
    by: Person = SALESTREAM


@event("salestream.access.department-renamed.v1", key="department_id")
class DepartmentRenamed:
    """A department has another name."""

    department_id: UUID
    name: Text
    by: Person = SALESTREAM


@event("salestream.access.department-moved.v1", key="department_id")
class DepartmentMoved:
    """A department is part of another one now, or of none; `before` is the one it was part of."""

    department_id: UUID
    parent_id: UUID | None
    before: UUID | None
    by: Person = SALESTREAM


# -- machine accounts -------------------------------------------------------------------------------------------------


@command("POST /machines", permission="accounts", key="machine_id", creates=True, bulk=False)
class AddMachine:
    """Issue an account for a program; the answer tells its secret, once.

    What it enters belongs to `responsible_id`; without one to whoever issues the account.
    """

    machine_id: UUID = field(default_factory=uuid4)
    name: Name
    grants: tuple[Grant, ...]
    responsible_id: UUID | None = None


@command("POST /machines/{machine_id}/secret", permission="accounts", bulk=False)
class RenewMachineSecret:
    """Give a machine account a new secret; the old one and its tokens are void at once."""

    machine_id: UUID


@command("PUT /machines/{machine_id}/responsible", permission="accounts")
class NameResponsible:
    """Say who answers for a machine account: what it has entered and will enter belongs to that person."""

    machine_id: UUID
    responsible_id: UUID


@command("DELETE /machines/{machine_id}", permission="accounts")
class DeleteMachine:
    """End a machine account; its tokens are void at once."""

    machine_id: UUID


@command("POST /machines/{machine_id}/token", permission=PUBLIC, bulk=False)
class GetMachineToken:
    """A program signs in with its id and secret; it gets an access token and no refresh token."""

    machine_id: UUID
    secret: Secret = field(repr=False)


@event("salestream.access.machine-changed.v1", key="machine_id")
class MachineChanged:
    """A machine account was issued, got a new secret or another responsible person, or ended.

    `revision` rises with every change, `epoch` when all its tokens end; 0 in older events.
    """

    machine_id: UUID
    name: Text
    grants: tuple[Grant, ...]
    epoch: Whole
    active: Flag
    by: Person = SALESTREAM
    responsible_id: UUID | None = None
    revision: Whole = 0


# -- settings ---------------------------------------------------------------------------------------------------------


@command("PUT /settings/access", permission="settings", key="settings_id")
class SetAccessSettings:
    """Say who may register, when the verification image is asked for, and which roles need a second proof.

    Refused where somebody could not sign in any more: a code would be asked for, and could be sent nowhere.
    A field left out keeps its value.
    """

    self_registration: Flag = KEPT
    first_sign_in_code: Flag = KEPT
    challenge: ChallengePolicy = KEPT
    second_factor_roles: tuple[RoleCode, ...] = KEPT
    settings_id: Literal["access"] = "access"


@event("salestream.access.access-settings-set.v1", key="settings_id")
class AccessSettingsSet:
    """The settings of signing in changed."""

    settings_id: Text
    self_registration: Flag
    first_sign_in_code: Flag
    challenge: ChallengePolicy
    second_factor_roles: tuple[Text, ...]
    by: Person = SALESTREAM
