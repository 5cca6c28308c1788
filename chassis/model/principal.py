"""Who calls, and what they may do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from uuid import UUID

from chassis.model.context import ALONE, EVERYBODY, NOBODYS, AccessScope, Context, ListCheck, Organisation
from chassis.model.dictionaries import AS_PREPARED, Dictionaries
from contracts.custom_fields import CustomField
from contracts.errors import Refused, lacks_right
from contracts.parameters import PARAMETERS
from contracts.people import Person, Preferences
from contracts.permissions import COLLEAGUE, OPEN, PASSWORD, PUBLIC, STAFF, DataScope, first_rights, first_scope
from contracts.types import FIRST_CURRENCY


def own_reach(user_id: UUID | None) -> Callable[[frozenset[DataScope]], AccessScope]:
    """The reach of somebody who leads nobody."""
    alone = frozenset({user_id} if user_id else ())
    own = AccessScope(people=alone, shared=alone)
    return lambda scopes: EVERYBODY if "ALL" in scopes else own


@dataclass(frozen=True)
class Principal:
    """A caller: user id (None for Salestream itself), name, roles and the superior's id.

    `session_id` and `epoch` tell whether the sign-in still holds; `limited` callers must change their default password
    first (SEC-02).  `scopes` are the rights with how far each reaches, `reach_of` says whose records that means,
    `organisation` who acts for whom, `dictionaries` what fields are picked from; they come from the directory, without
    it the roles' first rights hold.
    `responsible` is the person to whom belongs what a program enters; `preferences` are what a person
    has set for themselves.
    """

    user_id: UUID | None
    name: str
    roles: frozenset[str]
    superior_id: UUID | None = None
    session_id: UUID | None = None
    epoch: int = 0
    limited: bool = False
    machine: bool = False
    device_id: UUID | None = None
    scopes: Mapping[str, frozenset[DataScope]] | None = field(default=None, compare=False, repr=False)
    reach_of: Callable[[frozenset[DataScope]], AccessScope] | None = field(default=None, compare=False, repr=False)
    organisation: Organisation = field(default=ALONE, compare=False, repr=False)
    dictionaries: Dictionaries = field(default=AS_PREPARED, compare=False, repr=False)
    responsible: Person | None = field(default=None, compare=False, repr=False)
    preferences: Preferences = field(default=Preferences(), compare=False, repr=False)

    @property
    def needs_directory(self) -> bool:
        """Whether the token only names a sign-in; a test token tells roles and superior itself."""
        return self.session_id is not None or self.machine

    def may(self, right: str) -> bool:
        """Whether the caller holds a right.  An unknown right is an error, not a refusal."""
        if right in OPEN:
            if right == PUBLIC:
                return True
            if right == STAFF:
                return self.user_id is not None and not self.limited and (self.machine or bool(self.roles))
            own = self.user_id is not None and not self.machine
            return own and (right == PASSWORD or not self.limited) and (right != COLLEAGUE or bool(self.roles))
        return bool(self.scopes_of(right)) and not self.limited

    def scopes_of(self, right: str) -> frozenset[DataScope]:
        if self.scopes is not None:
            return self.scopes.get(right, frozenset())
        return frozenset(first_scope(role, right) for role in self.roles if right in first_rights(role))

    def require(self, right: str) -> None:
        """Raises Refused FORBIDDEN unless the caller holds the right (SEC-02, SEC-16)."""
        if not self.may(right):
            if self.limited:
                raise Refused("rights.default_password", state="DEFAULT_PASSWORD")
            if right in (COLLEAGUE, STAFF):
                raise Refused("rights.no_role", state=right)
            raise lacks_right(right, self.organisation.roles_with(right))

    def reach(self, right: str) -> AccessScope:
        """Whose records the caller may see or change by a right (SEC-18); nobody's by one that is not held."""
        if not self.may(right):
            return NOBODYS
        return (self.reach_of or own_reach(self.user_id))(self.scopes_of(right))

    @property
    def shared_as(self) -> frozenset[UUID]:
        """The ids under which others share their records with the caller, whatever rights that has."""
        return (self.reach_of or own_reach(self.user_id))(frozenset()).shared

    def context(
        self,
        now: datetime,
        today: date,
        right: str | None = None,
        currency: str = FIRST_CURRENCY,
        custom_fields: Callable[[str], Sequence[CustomField]] = lambda _: (),
        *,
        require_taken: ListCheck = lambda name, parameters, columns: None,
        parameter: Callable[[str], int] = lambda name: PARAMETERS[name].default,
        day_of: Callable[[datetime], date] = lambda moment: moment.astimezone(UTC).date(),
    ) -> Context:
        """The context of a command; with the `right` it needs, it may be used on the caller's reach only."""
        reach = EVERYBODY if right is None or right in OPEN else self.reach(right)
        person = Person(user_id=self.user_id, name=self.name)
        return Context(
            user=person,
            roles=self.roles,
            now=now,
            today=today,
            superior_id=self.superior_id,
            reach=reach,
            reach_of=self.reach,
            currency=currency,
            organisation=self.organisation,
            responsible=self.responsible,
            dictionaries=self.dictionaries,
            custom_fields=custom_fields,
            require_taken=require_taken,
            parameter=parameter,
            day_of=day_of,
        )


SYSTEM = Principal(None, "Salestream", frozenset({"SYSTEM"}))
NOBODY = Principal(None, "Nobody", frozenset())
