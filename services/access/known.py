"""What every service knows of people, roles, programs and sign-ins (ADR 0015)."""

from sys import intern
from typing import Any

from chassis.access.known import EndedSessions, Known, KnownDepartment, KnownMachine, KnownRole, KnownUser
from chassis.access.tokens import TOKENS_LIVE
from chassis.model.service import Replica
from contracts.access import (
    ROLE_EVENTS,
    USER_EVENTS,
    DepartmentAdded,
    DepartmentMoved,
    DepartmentRenamed,
    MachineChanged,
    SessionEnded,
)

REMEMBERED_ENDS = 50  # of a user, whatever their time: so many may have been stamped while a clock was ahead


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
        preferences=state.preferences,
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
    return KnownDepartment(fact.department_id, fact.parent_id, fact.name)


def department_renamed(row: KnownDepartment | None, fact: DepartmentRenamed) -> KnownDepartment | None:
    return row and KnownDepartment(row.id, row.parent_id, fact.name)


def department_moved(row: KnownDepartment | None, fact: DepartmentMoved) -> KnownDepartment | None:
    return row and KnownDepartment(row.id, fact.parent_id, row.name)


USERS = Replica("access-users", KnownUser, feeds=dict.fromkeys(USER_EVENTS, user_told))
KNOWN_ROLES = Replica("access-roles", KnownRole, feeds=dict.fromkeys(ROLE_EVENTS, role_told))
MACHINES = Replica("access-machines", KnownMachine, feeds={MachineChanged: machine_told})
ENDED = Replica("access-ended", EndedSessions, feeds={SessionEnded: session_ended}, key=lambda fact: str(fact.user_id))
DEPARTMENTS = Replica(
    "access-departments",
    KnownDepartment,
    feeds={
        DepartmentAdded: department_added,
        DepartmentRenamed: department_renamed,
        DepartmentMoved: department_moved,
    },
)

KNOWN = Known((USERS, KNOWN_ROLES, MACHINES, ENDED, DEPARTMENTS))
