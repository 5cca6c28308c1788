"""Who may do what, as this process knows it: users, roles, rights and ended sessions, fed by what services let
each other know (`services/<name>/known.py`).

A token only says who calls.  Whether the session still holds, which roles the user has, what they may do and whose
records they reach is asked here, at every request: so what an administrator takes away is gone at the next one.

Every service keeps the rows in its own store; the process holds them in memory (`Directory`), and hears of
what it commits itself at once.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog

from chassis.access.company import CompanySettings
from chassis.access.known import (
    EndedSessions,
    Known,
    KnownCompany,
    KnownCustomField,
    KnownDepartment,
    KnownDevice,
    KnownMachine,
    KnownParameter,
    KnownRequired,
    KnownRole,
    KnownUser,
    RevokedDevice,
)
from chassis.access.organisation import Chart, Placed
from chassis.access.tokens import TOKENS_LIVE
from chassis.model.context import EVERYBODY, NOBODYS, AccessScope
from chassis.model.dictionaries import Dictionaries, KnownEntry
from chassis.model.principal import Principal
from chassis.model.service import Replica
from chassis.store.events import Notification, Unreadable
from contracts import text
from contracts.declare import REGISTRY
from contracts.errors import Refused
from contracts.languages import Language
from contracts.people import Person, Preferences
from contracts.permissions import LEADS, NEVER_GIVEN, ROLES, DataScope, first_rights
from contracts.schemas import decode

log = structlog.get_logger()

void = partial(Refused, "access.ended", field="Authorization")
COMPANYS = Preferences()
RECENT = 2_000  # events: far more than are on their way to Kafka while it can be reached
CLOCKS_OFF = timedelta(days=1)  # by which the clock of a process that starts may be wrong
REACH_BELOW: frozenset[DataScope] = frozenset({"SUBORDINATES", "ALL"})  # scopes that reach whom one leads
FORGET_EVERY = 60.0  # seconds between two looks for ends that need not be remembered any more


class Rows(Protocol):
    """A store with replica rows."""

    def rows(self, replica: str) -> list[bytes]: ...


class Log(Protocol):
    """A store with a log of events."""

    name: str

    def last_position(self) -> int: ...

    def notifications(
        self, after: int, limit: int, unreadable: Callable[[Unreadable], None] | None = None
    ) -> Sequence[Notification]: ...


def _skip(damage: Unreadable) -> None:
    """One damaged event must not keep a process from starting; whoever needs its record is refused."""
    log.error("stored event unreadable", error=str(damage))


class Directory:
    """The people, roles and machine accounts a process knows.  Newer news replace older ones in whatever order.

    `known` is what services let every other one know.  `company` is what the company has set for everybody, and
    `dictionaries` what fields are picked from; they are heard of in the same way.
    """

    def __init__(
        self,
        known: Mapping[str, Known],
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        ticks: Callable[[], float] = time.monotonic,
        company: CompanySettings | None = None,
    ) -> None:
        self.company = company or CompanySettings()
        self.dictionaries = Dictionaries()
        self._replicas = [replica for of_service in known.values() for replica in of_service.replicas]
        self._from_start = {service for service, of_service in known.items() if of_service.from_start}
        self._fed_by: dict[type, list[Replica[Any]]] = defaultdict(list)
        for replica in self._replicas:
            for fact in replica.feeds:
                self._fed_by[fact].append(replica)
        self._told = {REGISTRY.event_of(fact).name: fact for fact in self._fed_by}
        self._clock = clock
        self._ticks = ticks
        self._users: dict[UUID, KnownUser] = {}
        self._roles = {role: KnownRole(role, title, 0, first_rights(role)) for role, title in ROLES.items()}
        self._machines: dict[UUID, KnownMachine] = {}
        self._ended: dict[UUID, tuple[datetime, float]] = {}  # when it says that it ended, and when that was heard of
        self._forgot_at = ticks()
        self._departments: dict[UUID, KnownDepartment] = {}
        self._devices: dict[UUID, UUID | None] = {}
        self._revoked: set[UUID] = set()
        self._forget()

    def _forget(self) -> None:
        """Drop what was worked out from the state before a change."""
        self._scopes: dict[tuple[str, ...], dict[str, frozenset[DataScope]]] = {}
        self._reaches: dict[tuple[UUID, frozenset[DataScope]], AccessScope] = {}
        self._chart: Chart | None = None

    # -- hearing of changes

    @property
    def replicas(self) -> frozenset[str]:
        """The replicas whose rows it takes over."""
        return frozenset(replica.name for replica in self._replicas)

    def catch_up(self, store: Log) -> None:
        """Take in what a service hosted here stored last: its rows follow by way of Kafka, maybe after a restart."""
        last = store.last_position()
        after = 0 if store.name in self._from_start else max(0, last - RECENT)
        for start in range(after, last, RECENT):
            self.hear(store.notifications(start, RECENT, _skip))

    def hear(self, events: Iterable[Notification]) -> None:
        """Events as a store holds them."""
        told = self._told
        self.tell([decode(told[event.type], event.data) for event in events if event.type in told])

    def load(self, store: Rows) -> None:
        """Take over what a service's store holds."""
        for replica in self._replicas:
            for body in store.rows(replica.name):
                row = decode(replica.row, body)
                self._take(self._lately(row) if isinstance(row, EndedSessions) else row)
        self._forget()

    def _lately(self, row: EndedSessions) -> EndedSessions:
        since = self._clock() - CLOCKS_OFF
        return EndedSessions({id: at for id, at in row.ended.items() if at > since})

    def tell(self, facts: Iterable[Any]) -> None:
        """Facts of any service; those that feed what is known everywhere are taken in."""
        for fact in facts:
            for replica in self._fed_by.get(type(fact), ()):
                for key in replica.keys_of(fact):
                    self._take(replica.feeds[type(fact)](self._held(replica.row, key), fact))

    def _held(self, kind: type, key: str) -> Any:
        """The row that is held now, of those kinds whose news are compared with it."""
        held: Mapping[type, Callable[[], Any]] = {
            KnownUser: lambda: self._users.get(UUID(key)),
            KnownRole: lambda: self._roles.get(key),
            KnownMachine: lambda: self._machines.get(UUID(key)),
            KnownDepartment: lambda: self._departments.get(UUID(key)),
            KnownCompany: lambda: self.company.known,
            KnownParameter: lambda: self.company.parameter_known(key),
            KnownRequired: lambda: self.company.required_known(key),
            KnownEntry: lambda: self.dictionaries.known(key),
            KnownCustomField: lambda: self.company.custom_fields.known(*key.split(".")),
        }
        return held[kind]() if kind in held else None

    def _take(self, row: Any) -> None:
        match row:
            case KnownUser():
                self._put_user(row)
            case KnownRole():
                self._put_role(row)
            case KnownMachine():
                self._put_machine(row)
            case EndedSessions():
                for session_id, at in row.ended.items():
                    self._end(session_id, at)
            case KnownDepartment():
                self._departments[row.id] = row
                self._forget()
            case KnownDevice():
                self._devices[row.id] = row.owner_id
            case RevokedDevice():
                self._revoked.add(row.id)
            case KnownCompany() | KnownParameter() | KnownCustomField() | KnownRequired():
                self.company.take(row)
            case KnownEntry():
                self.dictionaries.take(row)

    def _put_user(self, row: KnownUser) -> None:
        held = self._users.get(row.id)
        if held is None or held.revision <= row.revision:  # the same one may have been filled anew, with more fields
            self._users[row.id] = row
            if held is None or _place(held) != _place(row):
                self._forget()

    def _put_role(self, row: KnownRole) -> None:
        held = self._roles.get(row.role)
        if held is None or (held != row and held.revision <= row.revision):
            self._roles[row.role] = row
            self._forget()

    def _put_machine(self, row: KnownMachine) -> None:
        held = self._machines.get(row.id)
        if held is None or (held != row and (held.epoch, held.revision) <= (row.epoch, row.revision)):
            self._machines[row.id] = row
            self._forget()

    def _end(self, session_id: UUID, at: datetime) -> None:
        """Remember an end until its tokens have expired by the clock, and by one that nobody sets.

        A clock that is ahead makes tokens expire too early, and good again when it is set right.
        """
        now = self._ticks()
        if now - self._forgot_at >= FORGET_EVERY:
            self._forgot_at = now
            expired, heard = self._clock() - TOKENS_LIVE, now - TOKENS_LIVE.total_seconds()
            self._ended = {id: end for id, end in self._ended.items() if end[0] > expired or end[1] > heard}
        self._ended.setdefault(session_id, (at, now))

    # -- deciding

    def admit(self, claimed: Principal) -> Principal:
        """The caller a verified token names, with the roles and rights of this moment.

        Raises Refused UNAUTHENTICATED when the sign-in has ended or the account is not active any more.
        """
        if claimed.user_id is None:
            return claimed
        if claimed.session_id in self._ended or claimed.device_id in self._revoked:
            raise void()
        if claimed.machine:
            return self._admit_machine(claimed)
        user = self._users.get(claimed.user_id)
        if user is None or not user.active or (claimed.session_id is not None and user.epoch != claimed.epoch):
            raise void()
        roles = frozenset(user.roles)
        scopes = self._scopes_of(user.roles)
        reach = self._reach_of(user)
        return replace(
            claimed,
            name=user.name,
            roles=roles,
            superior_id=self.leader_of(user.id, *LEADS),
            scopes=scopes,
            reach_of=reach,
            organisation=self,
            preferences=user.preferences,
            dictionaries=self.dictionaries,
        )

    def _admit_machine(self, claimed: Principal) -> Principal:
        assert claimed.user_id is not None
        machine = self._machines.get(claimed.user_id)
        if machine is None or not machine.active or machine.epoch != claimed.epoch:
            raise void()
        scopes = {right: frozenset({scope}) for right, scope in machine.scopes.items()}
        person = self._person_behind(machine)
        acts_for = [person.user_id] if person and person.user_id else []
        own = AccessScope(people=frozenset(self._now().with_heritage([machine.id, *acts_for])))
        return replace(
            claimed,
            name=machine.name,
            roles=frozenset(),
            superior_id=self.leader_of(person.user_id, *LEADS) if person and person.user_id else None,
            scopes=scopes,
            reach_of=lambda wanted: EVERYBODY if "ALL" in wanted else own,
            organisation=self,
            dictionaries=self.dictionaries,
            responsible=person,
        )

    def _person_behind(self, machine: KnownMachine) -> Person | None:
        """Who answers for a program now, and to whom belongs what it enters; None for an older one without anybody."""
        if machine.responsible_id is None:
            return None
        user = self._users.get(self._now().standing_in(machine.responsible_id))
        return None if user is None else Person(user_id=user.id, name=user.name)

    # -- who acts for whom (`chassis.model.context.Organisation`)

    def _now(self) -> Chart:
        if self._chart is None:
            responsible = {m.id: m.responsible_id for m in list(self._machines.values()) if m.responsible_id}
            self._chart = Chart(list(self._users.values()), responsible, self._may)
        return self._chart

    def _may(self, person: Placed, rights: Sequence[str], for_others: bool) -> bool:
        held = self._scopes_of(self._users[person.id].roles)
        return all(right in held and (not for_others or held[right] & REACH_BELOW) for right in rights)

    def person(self, id: UUID) -> Person | None:
        user = self._users.get(id)
        return None if user is None else Person(user_id=user.id, name=user.name)

    def department(self, id: UUID) -> str | None:
        row = self._departments.get(id)
        return None if row is None else row.name

    def standing_in(self, person: UUID) -> UUID:
        return self._now().standing_in(person)

    def person_behind(self, caller: UUID) -> UUID:
        return self._now().person_behind(caller)

    def acting_for(self, person: UUID, *rights: str) -> UUID | None:
        return self._now().acting_for(person, rights)

    def leader_of(self, person: UUID, *rights: str, otherwise: UUID | None = None) -> UUID | None:
        return self._now().leader_of(person, rights, otherwise)

    def waiting_for(self, leaders: Collection[UUID], *rights: str) -> set[UUID]:
        """Everybody whose next one above, of those who hold the rights, is one of these."""
        return self._now().waiting_for(leaders, rights)

    def stood_in_by(self, person: UUID) -> set[UUID]:
        return self._now().with_heritage({person})

    def answered_for_by(self, person: UUID) -> set[UUID]:
        return self._now().answered_for_by(person)

    def acted_for_by(self, person: UUID, *rights: str) -> set[UUID]:
        return self._now().acted_for_by(person, rights)

    def reach_of(self, person: UUID, right: str) -> AccessScope:
        user = self._users.get(person)
        if user is None or not user.active:
            return NOBODYS
        scopes = self._scopes_of(user.roles).get(right)
        return self._work_out(user, scopes) if scopes else NOBODYS

    def people(self, roles: Collection[str] | None = None) -> list[UUID]:
        known = (user for user in self._users.values() if user.active)
        return [user.id for user in known if roles is None or not set(roles).isdisjoint(user.roles)]

    def members_of(self, department: UUID) -> list[UUID]:
        within = self._part_of(department)
        return [user.id for user in self._users.values() if user.active and user.department_id in within]

    def departments_of(self, person: UUID) -> list[UUID]:
        user = self._users.get(person)
        return [*self._departments_of(user)] if user else []

    def holders(self, right: str, of: UUID | None) -> list[UUID]:
        return [id for id in self.people() if self.reach_of(id, right).covers(of)]

    def language_of(self, person: UUID | None, asked: Language | None = None) -> Language:
        """What somebody is told in: the language they have set, else the one `asked` for, else the company's (SET-02).

        The one place that decides it.  A process that knows no company has English in its place (`problems.asked_in`).
        """
        return self.preferences_of(person).language or asked or self.company.language

    def zone_of(self, person: UUID) -> ZoneInfo:
        name = self.preferences_of(person).time_zone
        return ZoneInfo(name) if name else self.company.zone

    def department_of(self, person: UUID | None) -> UUID | None:
        """The department that somebody is in, if any."""
        user = self._users.get(person) if person else None
        return user.department_id if user else None

    def preferences_of(self, person: UUID | None) -> Preferences:
        """How somebody works with Salestream; of a program, and of whom nothing is known, what the company has set."""
        user = self._users.get(person) if person else None
        return user.preferences if user else COMPANYS

    def owner_of_device(self, device_id: UUID | None) -> UUID | None:
        """Who enrolled a device; None for one that nobody did."""
        return self._devices.get(device_id) if device_id else None

    def is_revoked(self, device_id: UUID | None) -> bool:
        return device_id in self._revoked

    def machine_named(self, name: str) -> UUID | None:
        """The machine account that has not ended and whose name reads like this one."""
        wanted = text.key(name)
        living = (one for one in list(self._machines.values()) if one.active)
        return next((one.id for one in living if text.key(one.name) == wanted), None)

    def roles(self) -> list[KnownRole]:
        """Every role people can have, with its rights."""
        return [row for role, row in sorted(self._roles.items()) if role != NEVER_GIVEN]

    def has_role(self, role: str) -> bool:
        return role in self._roles and role != NEVER_GIVEN

    def roles_with(self, right: str) -> list[str]:
        order = {role: number for number, role in enumerate(ROLES)}
        holding = [row for row in self.roles() if right in row.rights]
        return [row.title for row in sorted(holding, key=lambda row: order.get(row.role, len(order)))]

    def introduce(self, principal: Principal) -> None:
        """Take a caller's own word for name, roles and superior: for test tokens only (TEST_TOKENS)."""
        assert principal.user_id is not None
        held = self._users.get(principal.user_id)
        roles = tuple(sorted(principal.roles))
        if held and (held.roles, held.superior_id, held.name) == (roles, principal.superior_id, principal.name):
            return
        revision = held.revision + 1 if held else 0
        self._put_user(
            KnownUser(
                id=principal.user_id,
                name=principal.name,
                active=True,
                epoch=0,
                revision=revision,
                roles=roles,
                superior_id=principal.superior_id,
            )
        )

    def _scopes_of(self, roles: tuple[str, ...]) -> dict[str, frozenset[DataScope]]:
        found = self._scopes.get(roles)
        if found is None:
            merged: dict[str, set[DataScope]] = defaultdict(set)
            for role in roles:
                if role in self._roles:
                    for right, scope in self._roles[role].rights.items():
                        merged[right].add(scope)
            found = self._scopes[roles] = {right: frozenset(scopes) for right, scopes in merged.items()}
        return found

    def _reach_of(self, user: KnownUser) -> Callable[[frozenset[DataScope]], AccessScope]:
        def reach(scopes: frozenset[DataScope]) -> AccessScope:
            found = self._reaches.get((user.id, scopes))
            if found is None:
                found = self._reaches[user.id, scopes] = self._work_out(user, scopes)
            return found

        return reach

    def _work_out(self, user: KnownUser, scopes: frozenset[DataScope]) -> AccessScope:
        """Whose records these scopes reach, with those that people who are gone have left to them (SEC-14, SEC-18)."""
        if "ALL" in scopes:
            return AccessScope(everybody=True)
        people = {user.id}
        if "SUBORDINATES" in scopes:
            people |= self._now().led_by(user.id)
        if "DEPARTMENT" in scopes and user.department_id is not None:
            within = self._part_of(user.department_id)
            people |= {other.id for other in self._users.values() if other.department_id in within}
        shared = frozenset({user.id, *self._departments_of(user)})
        return AccessScope(people=frozenset(self._now().with_heritage(people)), shared=shared)

    def _departments_of(self, user: KnownUser) -> dict[UUID, None]:
        """The department somebody is in, and those it is part of."""
        found: dict[UUID, None] = {}
        id = user.department_id
        while id is not None and id not in found:
            found[id] = None
            row = self._departments.get(id)
            id = row.parent_id if row else None
        return found

    def _part_of(self, department: UUID) -> set[UUID]:
        found = {department}
        while more := {row.id for row in self._departments.values() if row.parent_id in found} - found:
            found |= more
        return found


def _place(user: KnownUser) -> tuple[Any, ...]:
    """What of a user decides whose records others reach, and who acts for whom."""
    return user.superior_id, user.department_id, user.successor_id, user.active, user.roles
