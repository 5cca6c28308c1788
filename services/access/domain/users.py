"""Users: accounts from issue to deletion, their passwords, second proofs and roles (SEC-01..06, SEC-09..14, SEC-20)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal, Self
from uuid import NAMESPACE_URL, UUID, uuid5

from chassis.model.aggregates import Aggregate, applies, internal_event
from chassis.model.context import Context
from chassis.model.time_zones import require_time_zone
from chassis.model.unique import UniqueIndex, UniqueValue
from contracts.access import (
    USER_EVENTS,
    EditPersonalData,
    EditUser,
    IssueUser,
    PasswordSet,
    RegisterUser,
    RightsReviewed,
    RoleGiven,
    RoleTaken,
    SecondFactorSet,
    SetPreferences,
    SignInsEnded,
    UserDeleted,
    UserEdited,
    UserIssued,
    UserRegistered,
    UserState,
    UserStatus,
)
from contracts.declare import changes
from contracts.errors import Refused
from contracts.people import Person, Preferences
from contracts.reasons import Why
from contracts.text import key, phone_key

REVIEW_DAYS = 90
SHORTEST_PASSWORD = 8
BEGIN_FACTOR = "POST /users/{user_id}/second-factor"
CONTACTS = {"MAIL": "email", "SMS": "phone"}  # how codes are sent, and to which of the user's contacts
NOT_YET = UserState(login="", name="", status="NOT_ACTIVATED", revision=0)
ADMINISTRATORS_ID = uuid5(NAMESPACE_URL, "salestream:access:administrators")


def is_phone(name: str) -> bool:
    """Whether what somebody signs in with is compared as a phone number: 138 0000 0001 and +8613800000001 are one."""
    return key(name).startswith(("+", "1"))


def login_key(name: str) -> str:
    """What a name somebody signs in with is compared by, whether it belongs to anybody or not."""
    return phone_key(name) if is_phone(name) else key(name)


def login_value(name: str) -> UniqueValue:
    """A name somebody signs in with, which one user may have.

    It has one key, that of `login_key`.  If another way to write it led to the account, but were counted elsewhere
    while there is none, it would tell whether there is one.
    """
    if is_phone(name):
        return UniqueIndex.of_phone("login", name)
    value = UniqueIndex.of_text("login", name)
    return UniqueValue(value.taken[:1], value.former)


def check_password(password: str, field: str) -> None:
    """Raises Refused VALIDATION that names every class of characters a password lacks (SEC-03)."""
    missing = [
        what
        for what, there in (
            (Why("access.characters", least=SHORTEST_PASSWORD), len(password) >= SHORTEST_PASSWORD),
            (Why("access.upper_case"), any(ch.isupper() for ch in password)),
            (Why("access.lower_case"), any(ch.islower() for ch in password)),
            (Why("access.digit"), any(ch.isdigit() for ch in password)),
            (Why("access.symbol"), any(not ch.isalnum() and not ch.isspace() for ch in password)),
        )
        if not there
    ]
    if missing:
        fields = {field: [Why("access.lacks", missing=what) for what in missing]}
        raise Refused("access.weak_password", missing=missing, field=field, fields=fields)


@internal_event("access.password-hashed")
class PasswordHashed:
    """The hash of a user's password; "" while there is none."""

    hash: str


@internal_event("access.factor-pending")
class FactorPending:
    """A second proof was asked for and is not confirmed: its method, sealed key, and the code that was sent."""

    method: str
    sealed_key: str = ""
    code_mark: str = ""
    code_until: datetime | None = None
    epoch: int | None = None
    sent_to: str | None = None


@internal_event("access.factor-confirmed")
class FactorConfirmed:
    """The pending second proof holds; marks of the recovery codes."""

    recovery_marks: tuple[str, ...]


@internal_event("access.factor-removed")
class FactorRemoved:
    """There is no second proof any more."""


@internal_event("access.proof-used")
class ProofUsed:
    """A recovery code, or the time step of an authenticator's code, was used and is void."""

    recovery_mark: str = ""
    step: int = 0


@internal_event("access.proof-waived")
class ProofWaived:
    """The command line let the user in: no code is asked for until there is a contact to send it to."""


@internal_event("access.contact-proved")
class ContactProved:
    """The user has shown to receive what is sent to the contact (SEC-05)."""


@dataclass(frozen=True)
class Factor:
    """A second proof: its method, the sealed key of an authenticator app, or the mark of the code that was sent.

    `epoch` is the account's when it was begun, `sent_to` the contact that the code went to (see `User.voids`).
    """

    method: str = ""
    sealed_key: str = ""
    code_mark: str = ""
    code_until: datetime | None = None
    epoch: int | None = None
    sent_to: str | None = None


NONE = Factor()


@dataclass
class User(Aggregate):
    """One person's account."""

    secret = frozenset({"password_hash", "factor", "unconfirmed", "recovery_marks", "last_step"})

    state: UserState = NOT_YET
    self_registered: bool = False
    password_hash: str = ""
    contact_proved: bool = False
    proof_waived: bool = False
    factor: Factor = NONE
    unconfirmed: Factor = NONE
    recovery_marks: tuple[str, ...] = ()
    last_step: int = 0

    snapshot_every: ClassVar[int] = 200

    # -- what may be done with it

    @classmethod
    def on_page(cls, row: Mapping[str, Any]) -> Self:
        user = super().on_page(row)
        user.state = replace(NOT_YET, status=row["status"])
        return user

    def require_may(self, command: type, context: Context) -> None:
        """Nothing is done with the account of somebody who has left."""
        self.require_there()

    # -- the account

    def issue(self, command: IssueUser, password_hash: str, context: Context) -> None:
        """Issue the account; without a password it is not activated (SEC-01, SEC-13)."""
        self.record(
            UserIssued(
                user_id=self.id,
                user=UserState(
                    login=command.login,
                    name=command.name,
                    status="DEFAULT_PASSWORD" if password_hash else "NOT_ACTIVATED",
                    revision=1,
                    email=command.email or "",
                    phone=command.phone or "",
                    department_id=command.department_id,
                    superior_id=command.superior_id,
                    roles=tuple(sorted(set(command.roles))),
                ),
                by=context.user,
            )
        )
        if password_hash:
            self.record(PasswordHashed(hash=password_hash))

    def register(self, command: RegisterUser, login: str, password_hash: str) -> None:
        """Somebody registers: no role, and the contact is proved at the first sign-in (SEC-04, SEC-05)."""
        self.record(
            UserRegistered(
                user_id=self.id,
                user=UserState(
                    login=login,
                    name=command.name,
                    status="ACTIVE",
                    revision=1,
                    email=command.email or "",
                    phone=command.phone or "",
                    company=command.company,
                ),
                by=Person(user_id=self.id, name=command.name),
            )
        )
        self.record(PasswordHashed(hash=password_hash))

    def edit(self, command: EditUser | EditPersonalData, context: Context) -> None:
        """Change what the command names; nothing happens when that is how it is already (SEC-12, SEC-14)."""
        self.require_there()
        if getattr(command, "superior_id", None) == self.id:
            raise Refused("access.leads_themselves", field="superior_id")
        given = changes(command, UserState)
        way = CONTACTS.get(self.state.second_factor)
        if way and given.get(way) == "":
            raise Refused("access.codes_go_there", field=way)
        if any(getattr(self.state, name) != value for name, value in given.items()):
            self.record(UserEdited(user_id=self.id, user=self._changed(**given), by=context.user))

    def prefer(self, command: SetPreferences, context: Context) -> None:
        """Change how the user works with Salestream; nothing happens when that is how it is (UIX-11, SET-02, SET-03).

        Raises Refused VALIDATION for a time zone that does not exist.
        """
        self.require_there()
        given = changes(command, Preferences)
        if given.get("time_zone") is not None:
            require_time_zone(given["time_zone"])
        preferences = replace(self.state.preferences, **given)
        if preferences != self.state.preferences:
            self.record(UserEdited(user_id=self.id, user=self._changed(preferences=preferences), by=context.user))

    def changes_contact(self, command: EditPersonalData) -> bool:
        """Whether codes would go somewhere else."""
        return bool(self.changed_contacts(command))

    def changed_contacts(self, command: EditPersonalData) -> list[str]:
        """Those of email and phone that become another, or none."""
        given = changes(command, UserState)
        return [name for name in CONTACTS.values() if name in given and given[name] != getattr(self.state, name)]

    def delete(self, successor: "User", context: Context) -> None:
        """Sign-in ends at once, history stays, the successor takes over the records (SEC-14)."""
        self.require_there()
        successor.require_there("successor_id")
        if successor.id == self.id:
            raise Refused("access.successor", field="successor_id")
        gone = self._changed(status="DELETED", epoch=self.state.epoch + 1, roles=(), successor_id=successor.id)
        self.record(UserDeleted(user_id=self.id, user=gone, by=context.user))
        self.record(PasswordHashed(hash=""))

    def give_role(self, role: str, context: Context) -> None:
        """SEC-19.  Nothing happens when the user is a member already."""
        self.require_there()
        if role not in self.state.roles:
            roles = tuple(sorted({*self.state.roles, role}))
            self.record(RoleGiven(user_id=self.id, role=role, user=self._changed(roles=roles), by=context.user))

    def take_role(self, role: str, context: Context) -> None:
        """SEC-19.  Nothing happens when the user is no member."""
        self.require_there()
        if role in self.state.roles:
            roles = tuple(held for held in self.state.roles if held != role)
            self.record(RoleTaken(user_id=self.id, role=role, user=self._changed(roles=roles), by=context.user))

    def review(self, context: Context) -> None:
        """The user's rights were checked; the next check is due in 90 days (SEC-20)."""
        self.require_there()
        self.record(
            RightsReviewed(
                user_id=self.id,
                reviewed_on=context.today,
                next_on=context.today + timedelta(days=REVIEW_DAYS),
                by=context.user,
            )
        )

    def end_sign_ins(self, context: Context) -> None:
        """Every token of the user is void at once."""
        self.require_there()
        ended = self._changed(epoch=self.state.epoch + 1)
        self.record(SignInsEnded(user_id=self.id, user=ended, by=context.user))

    # -- passwords

    def set_password(self, password_hash: str, how: Literal["DEFAULT", "CHANGED", "RECOVERED"], by: Person) -> None:
        """Another password; every sign-in ends (SEC-02, SEC-09, SEC-10, SEC-13)."""
        self.require_there()
        status: UserStatus = "DEFAULT_PASSWORD" if how == "DEFAULT" else "ACTIVE"
        self.record(PasswordHashed(hash=password_hash))
        changed = self._changed(status=status, epoch=self.state.epoch + 1)
        self.record(PasswordSet(user_id=self.id, user=changed, how=how, by=by))

    # -- second proofs

    def begin_factor(self, factor: Factor) -> None:
        """It holds once a first code is confirmed (SEC-06).  Raises Refused INVALID_STATE without its contact."""
        self.require_there()
        self._require_holds(factor)
        self.record(
            FactorPending(
                method=factor.method,
                sealed_key=factor.sealed_key,
                code_mark=factor.code_mark,
                code_until=factor.code_until,
                epoch=factor.epoch,
                sent_to=factor.sent_to,
            )
        )

    def pending_factor(self) -> Factor:
        """The second proof that a first code confirms.

        Raises Refused INVALID_STATE where none was begun, or what was has come to nothing: the contact is not there, or
        is not the one that the code went to, or every sign-in has ended since.
        """
        if not self.unconfirmed.method:
            raise Refused("access.not_begun", route=BEGIN_FACTOR, state="NOT_BEGUN")
        self._require_holds(self.unconfirmed)
        return self.unconfirmed

    def _require_holds(self, factor: Factor) -> None:
        if factor.method in CONTACTS:
            self.contact(factor.method)
        if self.voids(factor.epoch, factor.sent_to):
            raise Refused("access.begin_anew", route=BEGIN_FACTOR, state="NOT_BEGUN")

    def confirm_factor(self, recovery_marks: Sequence[str], context: Context) -> None:
        """SEC-06.  The pending second proof holds from now on."""
        method = self.unconfirmed.method
        self.record(FactorConfirmed(recovery_marks=tuple(recovery_marks)))
        self.record(SecondFactorSet(user_id=self.id, user=self._changed(second_factor=method), by=context.user))

    def remove_factor(self, context: Context) -> None:
        """Switch the second proof off, and give up one that was begun; nothing happens when there is none."""
        if self.factor.method or self.unconfirmed.method:
            self.record(FactorRemoved())
        if self.state.second_factor:
            self.record(SecondFactorSet(user_id=self.id, user=self._changed(second_factor=""), by=context.user))

    def use_step(self, step: int) -> bool:
        """Whether a code of the authenticator app, valid in this time step, is a new one; it is void afterwards."""
        if step <= self.last_step:
            return False
        self.record(ProofUsed(step=step))
        return True

    def use_recovery(self, mark: str) -> bool:
        """Whether a recovery code is one of the user's; it is void afterwards."""
        if mark not in self.recovery_marks:
            return False
        self.record(ProofUsed(recovery_mark=mark))
        return True

    def prove_contact(self) -> None:
        if not self.contact_proved:
            self.record(ContactProved())

    def waive_proof(self) -> None:
        """The command line lets the user in: without a contact no code is asked for, whatever the settings say."""
        if not self.has_contact and not self.proof_waived:
            self.record(ProofWaived())

    def contact(self, method: str) -> str:
        """Where a code is sent.  Raises Refused INVALID_STATE when the user has no such contact."""
        found: str = getattr(self.state, CONTACTS[method])
        if not found:
            raise Refused(
                "access.no_phone_of_yours" if method == "SMS" else "access.no_email_of_yours", state="NO_CONTACT"
            )
        return found

    def contact_method(self) -> str:
        """How a code reaches the user: by mail where there is an address, else by SMS."""
        return "MAIL" if self.state.email else "SMS"

    def voids(self, epoch: int | None, sent_to: str | None) -> bool:
        """Whether a code is void that was made in this epoch of the account and went to this contact.

        All sign-ins have ended since, with a new password for instance, or whoever reads that contact need not be the
        user any more.  None is what former releases did not keep of a code, and what went nowhere.
        """
        contacts = {self.state.email, self.state.phone} - {""}
        return (epoch is not None and epoch != self.state.epoch) or (sent_to is not None and sent_to not in contacts)

    # -- state

    @property
    def has_contact(self) -> bool:
        """Whether there is an e-mail address or a phone number that a code could be sent to."""
        return bool(self.state.email or self.state.phone)

    def lacks_contact_for(self, method: str) -> bool:
        """Whether a code is sent by this method, and there is nowhere to send it to."""
        return method in CONTACTS and not getattr(self.state, CONTACTS[method])

    @property
    def has_password(self) -> bool:
        return bool(self.password_hash)

    def require_there(self, field: str = "user_id") -> None:
        if self.state.status == "DELETED":
            raise Refused("access.deleted", field=field, state="DELETED")

    @property
    def person(self) -> Person:
        return Person(user_id=self.id, name=self.state.name)

    def _changed(self, **changes: Any) -> UserState:
        return replace(self.state, revision=self.version + 1, **changes)

    def reply(self) -> dict[str, Any]:
        return {"status": self.state.status, "roles": list(self.state.roles)}

    @applies(*USER_EVENTS)
    def _told(self, fact: Any) -> None:
        self.state = fact.user
        self.self_registered = self.self_registered or isinstance(fact, UserRegistered)
        self.proof_waived = self.proof_waived and not self.has_contact

    @applies(PasswordHashed)
    def _hashed(self, fact: PasswordHashed) -> None:
        self.password_hash = fact.hash

    @applies(FactorPending)
    def _pending(self, fact: FactorPending) -> None:
        self.unconfirmed = Factor(
            fact.method, fact.sealed_key, fact.code_mark, fact.code_until, fact.epoch, fact.sent_to
        )

    @applies(FactorConfirmed)
    def _confirmed(self, fact: FactorConfirmed) -> None:
        self.factor, self.unconfirmed = self.unconfirmed, NONE
        self.recovery_marks = fact.recovery_marks

    @applies(FactorRemoved)
    def _removed(self, _: FactorRemoved) -> None:
        self.factor, self.unconfirmed, self.recovery_marks = NONE, NONE, ()

    @applies(ProofUsed)
    def _used(self, fact: ProofUsed) -> None:
        self.last_step = max(self.last_step, fact.step)
        self.recovery_marks = tuple(mark for mark in self.recovery_marks if mark != fact.recovery_mark)

    @applies(ProofWaived)
    def _waived(self, _: ProofWaived) -> None:
        self.proof_waived = True

    @applies(ContactProved)
    def _proved(self, _: ContactProved) -> None:
        self.contact_proved = True

    @applies(RightsReviewed)
    def _reviewed(self, _: RightsReviewed) -> None:
        """No rule depends on it."""


@internal_event("access.administrator-added")
class AdministratorAdded:
    """A user became administrator."""

    user_id: UUID


@internal_event("access.administrator-removed")
class AdministratorRemoved:
    """A user is no longer administrator."""

    user_id: UUID


@dataclass
class Administrators(Aggregate):
    """Who are the administrators: the last one who can sign in stays."""

    members: tuple[UUID, ...] = ()

    def add(self, user_id: UUID) -> None:
        if user_id not in self.members:
            self.record(AdministratorAdded(user_id=user_id))

    def remove(self, user_id: UUID, can_sign_in: Callable[[UUID], bool]) -> None:
        """Raises Refused INVALID_STATE when none would be left who can sign in."""
        if user_id not in self.members:
            return
        if not any(can_sign_in(other) for other in self.members if other != user_id):
            raise Refused("access.last_administrator", state="LAST_ADMINISTRATOR")
        self.record(AdministratorRemoved(user_id=user_id))

    @applies(AdministratorAdded)
    def _added(self, fact: AdministratorAdded) -> None:
        self.members = (*self.members, fact.user_id)

    @applies(AdministratorRemoved)
    def _removed(self, fact: AdministratorRemoved) -> None:
        self.members = tuple(id for id in self.members if id != fact.user_id)
