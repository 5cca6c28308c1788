"""Roles with their rights, departments and machine accounts (SEC-15..19, SET-06)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self
from uuid import UUID

from chassis.model.aggregates import Aggregate, applies, internal_event
from chassis.model.context import Context
from chassis.model.identity import Named
from chassis.model.unique import UniqueIndex, UniqueValue
from contracts.access import (
    ROLE_EVENTS,
    AddDepartment,
    AddMachine,
    DefineRole,
    DeleteMachine,
    DepartmentAdded,
    DepartmentMoved,
    DepartmentRenamed,
    Grant,
    GrantRight,
    MachineChanged,
    NameResponsible,
    RenameDepartment,
    RenewMachineSecret,
    RevokeRight,
    RightGranted,
    RightRevoked,
    RoleDefined,
    RoleState,
)
from contracts.errors import Refused, not_found
from contracts.people import Person
from contracts.permissions import ADMINISTRATOR, NEVER_GIVEN, RIGHTS, ROLES, DataScope, first_rights, rights_of


def role_id(role: str) -> Named:
    return Named("role", role)


def given_rights() -> list[str]:
    """The rights that people and machine accounts may hold."""
    return sorted(set(RIGHTS) - {"system"})


def check_right(right: str) -> None:
    """Raises Refused NOT_FOUND for a right that does not exist or that people never hold."""
    if right not in (there := given_rights()):
        raise Refused("access.no_right", name=right[:60], rights=there, field="right")


def require_adjustable(role: str) -> None:
    """Raises Refused INVALID_STATE for the administrators' rights: without one of them nobody could give it back."""
    if role == ADMINISTRATOR:
        raise Refused("access.administrators_rights", state="ALWAYS_HELD")


def grants_of(scopes: Mapping[str, DataScope]) -> tuple[Grant, ...]:
    return tuple(Grant(right=right, scope=scope) for right, scope in sorted(scopes.items()))


@dataclass
class Role(Aggregate):
    """A role: what `contracts.permissions` gives it at first, until an administrator adjusts it."""

    state: RoleState | None = None

    def now(self, code: str, field: str = "role") -> RoleState:
        """The role as it is.  Raises Refused NOT_FOUND, naming the field, for one that nobody has defined."""
        if self.state is not None:
            given = {grant.right: grant.scope for grant in self.state.grants}
            return replace(self.state, grants=grants_of(rights_of(code, given, self.state.judged or None)))
        if not self.exists(code):
            raise not_found("role", field)
        return RoleState(title=ROLES[code], revision=0, grants=grants_of(first_rights(code)))

    def exists(self, code: str) -> bool:
        """Whether people can have it: one of the first roles, or one that somebody has defined."""
        return self.state is not None or (code in ROLES and code != NEVER_GIVEN)

    def _after(self, title: str, grants: tuple[Grant, ...]) -> RoleState:
        return RoleState(title=title, revision=self.version + 1, grants=grants, judged=tuple(sorted(RIGHTS)))

    def define(self, command: DefineRole, context: Context) -> None:
        """Name it; a new one has no right yet (SEC-15)."""
        if command.role == NEVER_GIVEN:
            raise Refused("access.system_role", field="role")
        known = self.state is not None or command.role in ROLES
        grants = self.now(command.role).grants if known else ()
        self.record(RoleDefined(role=command.role, state=self._after(command.title, grants), by=context.user))

    def grant(self, command: GrantRight, context: Context) -> None:
        """SEC-16, SEC-18.  Nothing happens when the role has it already."""
        check_right(command.right)
        before = self.now(command.role)
        given = Grant(right=command.right, scope=command.scope)
        if given in before.grants:
            return
        require_adjustable(command.role)
        others = [grant for grant in before.grants if grant.right != command.right]
        grants = tuple(sorted([*others, given], key=lambda grant: grant.right))
        self.record(
            RightGranted(
                role=command.role,
                right=command.right,
                scope=command.scope,
                state=self._after(before.title, grants),
                by=context.user,
            )
        )

    def revoke(self, command: RevokeRight, context: Context) -> None:
        """SEC-19.  Nothing happens when the role does not have it."""
        check_right(command.right)
        require_adjustable(command.role)
        before = self.now(command.role)
        grants = tuple(grant for grant in before.grants if grant.right != command.right)
        if grants == before.grants:
            return
        state = self._after(before.title, grants)
        self.record(RightRevoked(role=command.role, right=command.right, state=state, by=context.user))

    @applies(*ROLE_EVENTS)
    def _told(self, fact: Any) -> None:
        self.state = fact.state


@dataclass
class Department(Aggregate):
    """A department of the company (SET-06)."""

    name: str = ""
    parent_id: UUID | None = None

    def name_value(self) -> UniqueValue:
        """What is unique of it: its name, among those that are part of the same one."""
        return UniqueIndex.of_text("department", str(self.parent_id or ""), self.name)

    def add(self, command: AddDepartment, context: Context) -> None:
        self.record(
            DepartmentAdded(department_id=self.id, name=command.name, parent_id=command.parent_id, by=context.user)
        )

    def rename(self, command: RenameDepartment, context: Context) -> None:
        if command.name != self.name:
            self.record(DepartmentRenamed(department_id=self.id, name=command.name, by=context.user))

    def move(self, parent_id: UUID | None, context: Context) -> None:
        """Make it part of another one, or of none; nothing happens when it is so."""
        if parent_id != self.parent_id:
            self.record(
                DepartmentMoved(department_id=self.id, parent_id=parent_id, before=self.parent_id, by=context.user)
            )

    @applies(DepartmentAdded)
    def _added(self, fact: DepartmentAdded) -> None:
        self.name, self.parent_id = fact.name, fact.parent_id

    @applies(DepartmentRenamed)
    def _renamed(self, fact: DepartmentRenamed) -> None:
        self.name = fact.name

    @applies(DepartmentMoved)
    def _moved(self, fact: DepartmentMoved) -> None:
        self.parent_id = fact.parent_id


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
    responsible_id: UUID | None = None

    @classmethod
    def on_page(cls, row: Mapping[str, Any]) -> Self:
        machine = super().on_page(row)
        machine.active = row["active"]
        return machine

    def require_may(self, command: type, context: Context) -> None:
        """One that has ended stays ended."""
        if not self.active:
            raise Refused("access.machine_ended", state="ENDED")

    def name_value(self) -> UniqueValue:
        """What is unique of it while it lives: its name, by which people know what called."""
        return UniqueIndex.of_text("machine", self.name)

    def add(self, command: AddMachine, responsible_id: UUID | None, mark: str, context: Context) -> None:
        """What it enters belongs to the responsible person (SEC-18)."""
        for number, grant in enumerate(command.grants):
            if grant.right not in (there := given_rights()):
                field = f"grants.{number}.right"
                raise Refused("access.no_right_to_grant", name=grant.right[:60], rights=there, field=field)
        self._change(context.user, name=command.name, grants=command.grants, responsible_id=responsible_id)
        self.record(MachineSecretSet(mark=mark))

    def renew(self, mark: str, context: Context) -> None:
        self.require_may(RenewMachineSecret, context)
        self._change(context.user)
        self.record(MachineSecretSet(mark=mark))

    def name_responsible(self, command: NameResponsible, context: Context) -> None:
        """Another person answers for it; nothing happens when it is that one already."""
        self.require_may(NameResponsible, context)
        if command.responsible_id != self.responsible_id:
            self._change(context.user, epoch=self.epoch, responsible_id=command.responsible_id)

    def delete(self, _: Any, context: Context) -> None:
        self.require_may(DeleteMachine, context)
        self._change(context.user, active=False)
        self.record(MachineSecretSet(mark=""))

    def _change(self, by: Person, **changes: Any) -> None:
        told = {
            "name": self.name,
            "grants": self.grants,
            "epoch": self.epoch + 1,
            "active": True,
            "responsible_id": self.responsible_id,
            **changes,
        }
        self.record(MachineChanged(machine_id=self.id, revision=self.version + 1, by=by, **told))

    def reply(self) -> dict[str, Any]:
        return {"name": self.name, "epoch": self.epoch}

    @applies(MachineChanged)
    def _changed(self, fact: MachineChanged) -> None:
        self.name, self.grants, self.epoch, self.active = fact.name, fact.grants, fact.epoch, fact.active
        self.responsible_id = fact.responsible_id

    @applies(MachineSecretSet)
    def _secret_set(self, fact: MachineSecretSet) -> None:
        self.mark = fact.mark
