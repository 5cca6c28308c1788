"""Roles with their rights, departments and machine accounts (SEC-15..19, SET-06)."""

from dataclasses import dataclass
from typing import Any

from chassis.domain import Aggregate, Context, Named, applies, internal_event
from contracts.access import (
    ROLE_EVENTS,
    AddDepartment,
    AddMachine,
    DefineRole,
    DepartmentAdded,
    DepartmentRenamed,
    Grant,
    GrantRight,
    MachineChanged,
    RenameDepartment,
    RevokeRight,
    RightGranted,
    RightRevoked,
    RoleDefined,
    RoleState,
)
from contracts.errors import Refused, invalid_state, not_found
from contracts.people import Person
from contracts.permissions import RIGHTS, ROLES, first_rights

NEVER_GIVEN = "SYSTEM"
ALWAYS_HELD = ("ADM", "accounts")


def role_id(role: str) -> Named:
    return Named("role", role)


def check_right(right: str) -> None:
    """Raises Refused VALIDATION for a right that does not exist or that people never hold."""
    if right not in RIGHTS or right == "system":
        there = ", ".join(sorted(set(RIGHTS) - {"system"}))
        raise Refused("VALIDATION", f"right: there is no right {right[:60]!r}; there are {there}.", field="right")


@dataclass
class Role(Aggregate):
    """A role: what `contracts.permissions` gives it at first, until an administrator adjusts it."""

    state: RoleState | None = None

    def now(self, code: str) -> RoleState:
        """The role as it is.  Raises Refused NOT_FOUND for one that nobody has defined."""
        if self.state is not None:
            return self.state
        if code not in ROLES or code == NEVER_GIVEN:
            raise not_found("role", "role")
        grants = tuple(Grant(right=right, scope=scope) for right, scope in sorted(first_rights(code).items()))
        return RoleState(title=ROLES[code], revision=0, grants=grants)

    def define(self, command: DefineRole, context: Context) -> None:
        """Name it; a new one has no right yet (SEC-15)."""
        if command.role == NEVER_GIVEN:
            raise Refused("VALIDATION", "role: SYSTEM is Salestream itself.", field="role")
        known = self.state is not None or command.role in ROLES
        grants = self.now(command.role).grants if known else ()
        state = RoleState(title=command.title, revision=self.version + 1, grants=grants)
        self.record(RoleDefined(role=command.role, state=state, by=context.user))

    def grant(self, command: GrantRight, context: Context) -> None:
        """SEC-16, SEC-18.  Nothing happens when the role has it already."""
        check_right(command.right)
        before = self.now(command.role)
        given = Grant(right=command.right, scope=command.scope)
        if given in before.grants:
            return
        others = [grant for grant in before.grants if grant.right != command.right]
        grants = tuple(sorted([*others, given], key=lambda grant: grant.right))
        self.record(
            RightGranted(
                role=command.role,
                right=command.right,
                scope=command.scope,
                state=RoleState(title=before.title, revision=self.version + 1, grants=grants),
                by=context.user,
            )
        )

    def revoke(self, command: RevokeRight, context: Context) -> None:
        """SEC-19.  Nothing happens when the role does not have it.  Administrators keep `accounts`."""
        check_right(command.right)
        if (command.role, command.right) == ALWAYS_HELD:
            raise invalid_state("Administrators keep this right: without it nobody could grant rights.", "ALWAYS_HELD")
        before = self.now(command.role)
        grants = tuple(grant for grant in before.grants if grant.right != command.right)
        if grants == before.grants:
            return
        state = RoleState(title=before.title, revision=self.version + 1, grants=grants)
        self.record(RightRevoked(role=command.role, right=command.right, state=state, by=context.user))

    @applies(*ROLE_EVENTS)
    def _told(self, fact: Any) -> None:
        self.state = fact.state


@dataclass
class Department(Aggregate):
    """A department of the company (SET-06)."""

    name: str = ""

    def add(self, command: AddDepartment, context: Context) -> None:
        self.record(
            DepartmentAdded(department_id=self.id, name=command.name, parent_id=command.parent_id, by=context.user)
        )

    def rename(self, command: RenameDepartment, context: Context) -> None:
        if command.name != self.name:
            self.record(DepartmentRenamed(department_id=self.id, name=command.name, by=context.user))

    @applies(DepartmentAdded, DepartmentRenamed)
    def _named(self, fact: DepartmentAdded | DepartmentRenamed) -> None:
        self.name = fact.name


@internal_event("access.machine-secret-set")
class MachineSecretSet:
    """The mark of a machine account's secret."""

    mark: str


@dataclass
class Machine(Aggregate):
    """An account for a program: rights of its own, a secret, no sessions."""

    secret = frozenset({"mark"})

    name: str = ""
    grants: tuple[Grant, ...] = ()
    mark: str = ""
    epoch: int = 0
    active: bool = False

    def add(self, command: AddMachine, mark: str, context: Context) -> None:
        for grant in command.grants:
            check_right(grant.right)
        self._change(command.name, command.grants, True, context.user)
        self.record(MachineSecretSet(mark=mark))

    def renew(self, mark: str, context: Context) -> None:
        self._require_active()
        self._change(self.name, self.grants, True, context.user)
        self.record(MachineSecretSet(mark=mark))

    def delete(self, _: Any, context: Context) -> None:
        self._require_active()
        self._change(self.name, self.grants, False, context.user)
        self.record(MachineSecretSet(mark=""))

    def _change(self, name: str, grants: tuple[Grant, ...], active: bool, by: Person) -> None:
        self.record(
            MachineChanged(machine_id=self.id, name=name, grants=grants, epoch=self.epoch + 1, active=active, by=by)
        )

    def _require_active(self) -> None:
        if not self.active:
            raise invalid_state("The machine account has ended.", "ENDED")

    def reply(self) -> dict[str, Any]:
        return {"name": self.name, "epoch": self.epoch}

    @applies(MachineChanged)
    def _changed(self, fact: MachineChanged) -> None:
        self.name, self.grants, self.epoch, self.active = fact.name, fact.grants, fact.epoch, fact.active

    @applies(MachineSecretSet)
    def _secret_set(self, fact: MachineSecretSet) -> None:
        self.mark = fact.mark
