"""What each service keeps of people, roles, programs, sign-ins and phones, fed from the events that tell of them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from sys import intern
from typing import Any
from uuid import UUID

import msgspec

from chassis.access.company import COMPANY, SET_PARAMETERS
from chassis.access.tokens import TOKENS_LIVE
from chassis.model.service import Replica
from contracts.access import ROLE_EVENTS, USER_EVENTS, DepartmentAdded, MachineChanged, SessionEnded
from contracts.declare import REGISTRY
from contracts.devices import DeviceEnrolled, WipeRequested
from contracts.permissions import DataScope, first_rights, rights_of

REMEMBERED_ENDS = 50  # of a user, whatever their time: so many may have been stamped while a clock was ahead
CLOCKS_OFF = timedelta(days=1)  # by which the clock of a process that starts may be wrong


class KnownUser(msgspec.Struct, frozen=True):
    """What decisions need of a user."""

    id: UUID
    name: str
    active: bool
    epoch: int
    revision: int
    roles: tuple[str, ...] = ()
    superior_id: UUID | None = None
    department_id: UUID | None = None
    successor_id: UUID | None = None


class KnownRole(msgspec.Struct, frozen=True):
    """What an administrator gave a role, of the rights there were then (`judged`; None: `contracts.permissions`)."""

    role: str
    title: str
    revision: int
    scopes: dict[str, DataScope]
    judged: tuple[str, ...] | None = None

    @property
    def rights(self) -> dict[str, DataScope]:
        """What the role holds now: with its part of the rights that are newer than what was given."""
        return rights_of(self.role, self.scopes, self.judged) if self.revision else first_rights(self.role)


class KnownMachine(msgspec.Struct, frozen=True):
    """A machine account; `revision` rises with every change of it, `epoch` when its tokens end."""

    id: UUID
    name: str
    active: bool
    epoch: int
    scopes: dict[str, DataScope]
    responsible_id: UUID | None = None
    revision: int = 0


class EndedSessions(msgspec.Struct, frozen=True):
    """The sessions of a user that ended last: all whose access tokens may not have expired yet."""

    ended: dict[UUID, datetime]


class KnownDepartment(msgspec.Struct, frozen=True):
    """A department and the one it is part of."""

    id: UUID
    parent_id: UUID | None


def user_told(row: KnownUser | None, fact: Any) -> KnownUser:
    state = fact.user
    if row is not None and row.revision >= state.revision:
        return row
    return KnownUser(
        id=fact.user_id,
        name=state.name,
        active=state.status in ("ACTIVE", "DEFAULT_PASSWORD"),
        epoch=state.epoch,
        revision=state.revision,
        roles=tuple(map(intern, state.roles)),
        superior_id=state.superior_id,
        department_id=state.department_id,
        successor_id=state.successor_id,
    )


def role_told(row: KnownRole | None, fact: Any) -> KnownRole:
    if row is not None and row.revision >= fact.state.revision:
        return row
    scopes = {grant.right: grant.scope for grant in fact.state.grants}
    judged = tuple(map(intern, fact.state.judged)) or None
    return KnownRole(fact.role, fact.state.title, fact.state.revision, scopes, judged)


def machine_told(row: KnownMachine | None, fact: MachineChanged) -> KnownMachine:
    if row is not None and (row.epoch, row.revision) >= (fact.epoch, fact.revision):
        return row
    return KnownMachine(
        id=fact.machine_id,
        name=fact.name,
        active=fact.active,
        epoch=fact.epoch,
        scopes={grant.right: grant.scope for grant in fact.grants},
        responsible_id=fact.responsible_id,
        revision=fact.revision,
    )


def session_ended(row: EndedSessions | None, fact: SessionEnded) -> EndedSessions:
    """Whatever order they come in: each session lies in a partition of its own.

    One may have been stamped by a clock that was wrong, so the time alone makes none forgotten.
    """
    ended = dict(row.ended) if row else {}
    ended[fact.session_id] = max(fact.ended_at, ended.get(fact.session_id, fact.ended_at))
    if len(ended) <= REMEMBERED_ENDS:
        return EndedSessions(ended)
    by_age = sorted(ended.items(), key=lambda item: (item[1], item[0]), reverse=True)
    newest = by_age[0][1]
    kept = by_age[:REMEMBERED_ENDS] + [item for item in by_age[REMEMBERED_ENDS:] if item[1] > newest - TOKENS_LIVE]
    return EndedSessions(dict(kept))


def department_added(_: KnownDepartment | None, fact: DepartmentAdded) -> KnownDepartment:
    return KnownDepartment(fact.department_id, fact.parent_id)


class KnownDevice(msgspec.Struct, frozen=True):
    """A phone and whose it is."""

    id: UUID
    owner_id: UUID | None


def device_enrolled(_: KnownDevice | None, fact: DeviceEnrolled) -> KnownDevice:
    return KnownDevice(fact.device_id, fact.owner.user_id)


class WipedDevice(msgspec.Struct, frozen=True):
    """A phone that must wipe itself or has: its tokens are void (SEC-29)."""

    id: UUID


def wipe_requested(_: WipedDevice | None, fact: WipeRequested) -> WipedDevice:
    return WipedDevice(fact.device_id)


USERS = Replica("access-users", KnownUser, feeds=dict.fromkeys(USER_EVENTS, user_told))
KNOWN_ROLES = Replica("access-roles", KnownRole, feeds=dict.fromkeys(ROLE_EVENTS, role_told))
MACHINES = Replica("access-machines", KnownMachine, feeds={MachineChanged: machine_told})
ENDED = Replica("access-ended", EndedSessions, feeds={SessionEnded: session_ended}, key=lambda fact: str(fact.user_id))
DEPARTMENTS = Replica("access-departments", KnownDepartment, feeds={DepartmentAdded: department_added})
DEVICES = Replica("access-devices", KnownDevice, feeds={DeviceEnrolled: device_enrolled})
WIPED = Replica("access-wiped-devices", WipedDevice, feeds={WipeRequested: wipe_requested})
REPLICAS: Sequence[Replica[Any]] = (
    USERS, KNOWN_ROLES, MACHINES, ENDED, DEPARTMENTS, DEVICES, WIPED, COMPANY, SET_PARAMETERS,
)  # fmt: skip
"""What every service knows of who may do what (ADR 0015), and of what the company has set."""

NAMES = frozenset(replica.name for replica in REPLICAS)
TOLD = {REGISTRY.event_of(fact).name: fact for replica in REPLICAS for fact in replica.feeds}
