"""Who works here, who may do what, and since when?  (SEC-12, SEC-14, SEC-20, SEC-22, SET-06)"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from chassis.model.changes import Add, Change, EventMetadata, Latest, Set
from chassis.model.row_fields import Code
from chassis.model.views import Exact, Range, View, Words
from contracts.access import (
    USER_EVENTS,
    DepartmentAdded,
    DepartmentMoved,
    DepartmentRenamed,
    FailuresForgotten,
    Grant,
    MachineChanged,
    PasswordSet,
    RightsReviewed,
    SecondFactorSet,
    SessionEnded,
    SignedIn,
    SignInFailed,
    SignInsLocked,
    UserIssued,
    UserRegistered,
    UserStatus,
)
from contracts.permissions import COLLEAGUE
from contracts.types import RoleCode

REVIEW_DAYS = 90


@dataclass
class UserRow:
    """One user with roles, last sign-in and the review of the rights; `next_review` reminds (SEC-20)."""

    id: UUID
    login: Code
    name: str
    email: str
    phone: Code
    company: str
    department_id: UUID | None
    superior_id: UUID | None
    roles: list[RoleCode]
    status: UserStatus
    second_factor: Literal["", "TOTP", "MAIL", "SMS"]
    successor_id: UUID | None
    since: date
    last_sign_in: date | None
    failures: int | None
    locked_until: datetime | None
    reviewed_on: date | None
    next_review: date
    version: int


@dataclass
class ColleagueRow:
    """How to reach a colleague (SEC-12)."""

    id: UUID
    name: str
    email: str
    phone: Code
    department_id: UUID | None


@dataclass
class DepartmentRow:
    """A department and the one it is part of (SET-06)."""

    id: UUID
    name: str
    parent_id: UUID | None
    version: int


@dataclass
class MachineRow:
    """An account for a program: what it may do, who answers for it, and whether it has not ended."""

    id: UUID
    name: str
    grants: list[Grant]
    responsible_id: UUID | None
    active: bool
    changed_at: datetime
    version: int


@dataclass
class SecurityWeek:
    """What happened at the doors in a week: its Monday, failed sign-ins, locks, tokens used twice (SEC-22).

    Users without a second proof, and those who have not signed in for long, are filters of GET /users.
    """

    id: str
    week: date
    sign_ins: int
    failed_sign_ins: int
    failed_at_names_of_nobody: int
    locks: int
    stolen_sessions: int
    second_proofs_changed: int


NOT_SHOWN = ("revision", "epoch", "preferences")
NOTHING_IN_WEEK = {item.name: 0 for item in fields(SecurityWeek) if item.type in ("int", int)}


def told(event: Any, metadata: EventMetadata) -> Iterable[Change]:
    state = event.user
    shown = {name: getattr(state, name) for name in state.__dataclass_fields__ if name not in NOT_SHOWN}
    yield Set(event.user_id, **shown, version=metadata.version)
    if isinstance(event, UserIssued | UserRegistered):
        day = metadata.day
        yield Set(event.user_id, since=day, next_review=day + timedelta(days=REVIEW_DAYS))


def signed_in(event: SignedIn, metadata: EventMetadata) -> Iterable[Change]:
    yield Latest(event.user_id, last_sign_in=metadata.day, failures=0, locked_until=None)


def failed(event: SignInFailed, metadata: EventMetadata) -> Iterable[Change]:
    if event.user_id is not None:
        yield Latest(event.user_id, failures=event.failures)


def locked(event: SignInsLocked, metadata: EventMetadata) -> Iterable[Change]:
    if event.user_id is not None:
        yield Latest(event.user_id, locked_until=event.until)


def forgotten(event: FailuresForgotten, metadata: EventMetadata) -> Iterable[Change]:
    if event.user_id is not None:
        yield Latest(event.user_id, failures=0, locked_until=None)


def password_set(event: PasswordSet, metadata: EventMetadata) -> Iterable[Change]:
    """Failures are forgotten with it; former releases told it by this alone."""
    yield from told(event, metadata)
    yield Latest(event.user_id, failures=0, locked_until=None)


def reviewed(event: RightsReviewed, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.user_id, reviewed_on=event.reviewed_on, next_review=event.next_on, version=metadata.version)


def reachable(event: Any, metadata: EventMetadata) -> Iterable[Change]:
    state = event.user
    yield Set(
        event.user_id,
        name=state.name,
        email=state.email,
        phone=state.phone,
        department_id=state.department_id,
        there=state.status != "DELETED",
    )


def department(event: DepartmentAdded | DepartmentRenamed, metadata: EventMetadata) -> Iterable[Change]:
    parent = {"parent_id": event.parent_id} if isinstance(event, DepartmentAdded) else {}
    yield Set(event.department_id, name=event.name, **parent, version=metadata.version)


def moved(event: DepartmentMoved, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.department_id, parent_id=event.parent_id, version=metadata.version)


def machine(event: MachineChanged, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(
        event.machine_id,
        name=event.name,
        grants=event.grants,
        responsible_id=event.responsible_id,
        active=event.active,
        changed_at=metadata.at,
        version=metadata.version,
    )


def _in_week(metadata: EventMetadata, **amounts: int) -> Add:
    monday = metadata.day - timedelta(days=metadata.day.weekday())
    return Add(monday.isoformat(), {**NOTHING_IN_WEEK, **amounts}, about={"week": monday})


def week_signed_in(event: SignedIn, metadata: EventMetadata) -> Iterable[Change]:
    yield _in_week(metadata, sign_ins=1)


def week_failed(event: SignInFailed, metadata: EventMetadata) -> Iterable[Change]:
    yield _in_week(metadata, failed_sign_ins=1, failed_at_names_of_nobody=int(event.user_id is None))


def week_locked(event: SignInsLocked, metadata: EventMetadata) -> Iterable[Change]:
    yield _in_week(metadata, locks=1)


def week_ended(event: SessionEnded, metadata: EventMetadata) -> Iterable[Change]:
    if event.reason == "REUSED_TOKEN":
        yield _in_week(metadata, stolen_sessions=1)


def week_factor(event: SecondFactorSet, metadata: EventMetadata) -> Iterable[Change]:
    yield _in_week(metadata, second_proofs_changed=1)


VIEWS = [
    View(
        name="users",
        edition=4,
        personal=("name", "email", "phone"),
        route="GET /users",
        detail="user_id",
        row=UserRow,
        permission="accounts",
        what="user",
        where={"login": {"$exists": True}},
        handlers={
            **dict.fromkeys(USER_EVENTS, told),
            PasswordSet: password_set,
            SignedIn: signed_in,
            SignInFailed: failed,
            SignInsLocked: locked,
            FailuresForgotten: forgotten,
            RightsReviewed: reviewed,
        },
        history=(*USER_EVENTS, RightsReviewed),
        without_history=("last_sign_in", "failures", "locked_until"),
        filters={
            "status": Exact(),
            "roles": Exact(),
            "login": Exact(),
            "department_id": Exact(),
            "superior_id": Exact(),
            "second_factor": Exact(),
            "last_sign_in": Range(date),
            "next_review": Range(date),
            "q": Words("name", "login", "email", "phone"),
        },
        sorts=("name", "login", "next_review", "last_sign_in"),
        default_sort="name",
    ),
    View(
        name="colleagues",
        personal=("name", "email", "phone"),
        route="GET /colleagues",
        detail="user_id",
        row=ColleagueRow,
        permission=COLLEAGUE,
        what="colleague",
        where={"there": True},
        handlers=dict.fromkeys(USER_EVENTS, reachable),
        filters={"department_id": Exact(), "q": Words("name", "email", "phone")},
        sorts=("name",),
    ),
    View(
        name="departments",
        route="GET /departments",
        detail="department_id",
        row=DepartmentRow,
        permission=COLLEAGUE,
        what="department",
        where={"name": {"$exists": True}},
        handlers={DepartmentAdded: department, DepartmentRenamed: department, DepartmentMoved: moved},
        history=(DepartmentAdded, DepartmentRenamed, DepartmentMoved),
        edition=2,
        filters={"parent_id": Exact()},
        sorts=("name",),
    ),
    View(
        name="machines",
        route="GET /machines",
        detail="machine_id",
        row=MachineRow,
        permission="accounts",
        what="machine account",
        handlers={MachineChanged: machine},
        history=(MachineChanged,),
        edition=2,
        filters={"active": Exact(), "responsible_id": Exact(), "q": Words("name")},
        sorts=("name", "changed_at"),
    ),
    View(
        name="security_report",
        edition=3,
        route="GET /reports/security",
        row=SecurityWeek,
        permission="accounts",
        what="week",
        handlers={
            SignedIn: week_signed_in,
            SignInFailed: week_failed,
            SignInsLocked: week_locked,
            SessionEnded: week_ended,
            SecondFactorSet: week_factor,
        },
        filters={"week": Range(date)},
        sorts=("week",),
        default_sort="-week",
    ),
]
