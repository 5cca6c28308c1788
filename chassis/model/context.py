"""Under which circumstances a command is decided: who asks, whose records they reach, who acts for whom, and when."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from chassis.model.dictionaries import AS_PREPARED, Dictionaries
from contracts.custom_fields import CustomField
from contracts.errors import Refused
from contracts.languages import LANGUAGES, Language
from contracts.parameters import PARAMETERS
from contracts.people import Person
from contracts.permissions import NEVER_GIVEN, ROLES, first_rights
from contracts.sharing import Access, Share
from contracts.types import FIRST_CURRENCY


@dataclass(frozen=True)
class AccessScope:
    """Whose records somebody may see or change by a right (SEC-18): everybody's, or those of some people.

    `shared` are the ids under which others share theirs with whoever that is: the own one, and those of the department
    and of the ones above it (COL-07).
    """

    everybody: bool = False
    people: frozenset[UUID] = frozenset()
    shared: frozenset[UUID] = frozenset()

    def covers(self, owner_id: UUID | None) -> bool:
        """Whether it reaches the records of somebody, or of nobody (None), whether they are shared or not."""
        return self.everybody or owner_id in self.people

    def reaches(self, owner_id: UUID | None, shares: Iterable[Share], today: date, access: Access = "READ") -> bool:
        """Whether it reaches a record: by whose it is, or by with whom that is shared, to read or to edit."""
        return self.covers(owner_id) or any(
            share.with_id in self.shared
            and (share.until is None or today <= share.until)
            and (access == "READ" or share.access == "EDIT")
            for share in shares
        )


EVERYBODY = AccessScope(everybody=True)
NOBODYS = AccessScope()


class Organisation(Protocol):
    """Who acts in whose place, and who leads whom, at this moment (SEC-14): asked when it is needed, never stored."""

    def person(self, id: UUID) -> Person | None:
        """A user as events name one, whether the account is in use or not; None: nobody has heard of one."""

    def department(self, id: UUID) -> str | None:
        """What a department is called now; None: nobody has heard of one."""

    def standing_in(self, person: UUID) -> UUID:
        """Who has taken over from this person, along the whole chain; the person, while nobody has."""

    def person_behind(self, caller: UUID) -> UUID:
        """Who answers for a program now; a person answers for themselves."""

    def acting_for(self, person: UUID, *rights: str) -> UUID | None:
        """Who does what waits for this person: the person, or whoever took over, or the next one above who may.

        None: nobody in particular, so those whose right reaches everybody.
        """

    def leader_of(self, person: UUID, *rights: str, otherwise: UUID | None = None) -> UUID | None:
        """The next one above this person who holds these rights; None: nobody.

        `otherwise` is whom to start from when nothing is known of the person yet.
        """

    def waiting_for(self, leaders: Collection[UUID], *rights: str) -> Collection[UUID]:
        """Everybody whose next one above, of those who hold these rights, is one of these."""

    def stood_in_by(self, person: UUID) -> Collection[UUID]:
        """Everybody in whose place this person stands, and the programs this person answers for."""

    def answered_for_by(self, person: UUID) -> Collection[UUID]:
        """The programs this person answers for now."""

    def acted_for_by(self, person: UUID, *rights: str) -> Collection[UUID]:
        """Everybody whose work this person does, their own too (`acting_for`)."""

    def people(self, roles: Collection[str] | None = None) -> Collection[UUID]:
        """Everybody whose account is in use, or of them who has one of these roles."""

    def members_of(self, department: UUID) -> Collection[UUID]:
        """Everybody whose account is in use, in a department or one below it."""

    def departments_of(self, person: UUID) -> Collection[UUID]:
        """The department that somebody is in, and those it is part of."""

    def holders(self, right: str, of: UUID | None) -> Collection[UUID]:
        """Everybody whose account is in use, and whose right reaches what belongs to somebody; None: to nobody."""

    def language_of(self, person: UUID) -> Language:
        """The language that somebody works in: their own, or the company's (SET-02)."""

    def zone_of(self, person: UUID) -> ZoneInfo:
        """The zone by whose clock somebody lives: their own, or the company's (SET-03)."""

    def has_role(self, role: str) -> bool:
        """Whether there is a role of this code that people can have."""

    def roles_with(self, right: str) -> Sequence[str]:
        """The titles of the roles that hold a right now; those are no secret, who has them is."""

    def reach_of(self, person: UUID, right: str) -> AccessScope:
        """Whose records a user may see or change by a right; nobody's by one that is not held, or by who has left."""


ListCheck = Callable[[str, Mapping[str, Sequence[str]], Sequence[str]], None]
"""What says of a list, the parameters of a query and columns whether the list takes them (`chassis.queries.saved`).

Raises Refused naming what it does not take, as the code that reads lists has it.
"""


class _Alone:
    """Nobody is known, nobody to have left, and nobody to lead."""

    def person(self, id: UUID) -> Person | None:
        return None

    def department(self, id: UUID) -> str | None:
        return None

    def standing_in(self, person: UUID) -> UUID:
        return person

    def person_behind(self, caller: UUID) -> UUID:
        return caller

    def acting_for(self, person: UUID, *rights: str) -> UUID | None:
        return person

    def leader_of(self, person: UUID, *rights: str, otherwise: UUID | None = None) -> UUID | None:
        return otherwise

    def waiting_for(self, leaders: Collection[UUID], *rights: str) -> Collection[UUID]:
        return ()

    def stood_in_by(self, person: UUID) -> Collection[UUID]:
        return {person}

    def answered_for_by(self, person: UUID) -> Collection[UUID]:
        return ()

    def acted_for_by(self, person: UUID, *rights: str) -> Collection[UUID]:
        return {person}

    def people(self, roles: Collection[str] | None = None) -> Collection[UUID]:
        return ()

    def members_of(self, department: UUID) -> Collection[UUID]:
        return ()

    def departments_of(self, person: UUID) -> Collection[UUID]:
        return ()

    def holders(self, right: str, of: UUID | None) -> Collection[UUID]:
        return ()

    def language_of(self, person: UUID) -> Language:
        return LANGUAGES[0]

    def zone_of(self, person: UUID) -> ZoneInfo:
        return ZoneInfo("UTC")

    def has_role(self, role: str) -> bool:
        return role in ROLES and role != NEVER_GIVEN

    def roles_with(self, right: str) -> Sequence[str]:
        return [title for role, title in ROLES.items() if role != NEVER_GIVEN and right in first_rights(role)]

    def reach_of(self, person: UUID, right: str) -> AccessScope:
        return NOBODYS


ALONE: Organisation = _Alone()


@dataclass(frozen=True)
class Context:
    """Under which circumstances a command is decided: who asks, with which roles, and when.

    `now` is UTC; `today` is the day in the company's time zone (section 2.0).  `reach` says on whose records the
    command's right may be used, `reach_of` the same of any right; one that is not held reaches nobody.
    `currency` is the company's: that of amounts that name none (SET-04).  `dictionaries` hold what is picked.
    `custom_fields` tells the fields that the company has added to a kind of record (`Kind.code`, ADR 0042).
    `organisation` tells who acts for whom, and who a user is whom a command names (`organisation.person`).  What is
    entered belongs to `owner`: the user, or for a program the person who is responsible for it.  `require_taken`
    refuses what a list would not take from whoever asks.  `parameter` tells a system parameter that is obeyed (SET-05).
    `day_of` tells the day of a moment for the company.
    """

    user: Person
    roles: frozenset[str]
    now: datetime
    today: date
    superior_id: UUID | None = None
    reach: AccessScope = EVERYBODY
    reach_of: Callable[[str], AccessScope] = lambda _: NOBODYS
    currency: str = FIRST_CURRENCY
    organisation: Organisation = ALONE
    responsible: Person | None = None
    dictionaries: Dictionaries = AS_PREPARED
    custom_fields: Callable[[str], Sequence[CustomField]] = lambda _: ()
    require_taken: ListCheck = lambda name, parameters, columns: None
    parameter: Callable[[str], int] = lambda name: PARAMETERS[name].default
    day_of: Callable[[datetime], date] = lambda moment: moment.astimezone(UTC).date()

    @property
    def owner(self) -> Person:
        return self.responsible or self.user

    def on_behalf_of(self, person: Person, right: str) -> "Context":
        """The same where Salestream does what a person has asked for: by that person's rights of this moment.

        What a program has asked for is done by the rights of who answers for it.
        """
        if person.user_id is None:
            return self
        behind = self.organisation.person_behind(person.user_id)
        responsible = self.organisation.person(behind) if behind != person.user_id else None
        reach_of = partial(self.organisation.reach_of, behind)
        return replace(self, user=person, responsible=responsible, reach=reach_of(right), reach_of=reach_of)

    def may(self, right: str) -> bool:
        """Whether whoever asks holds a right, on whose records ever."""
        reach = self.reach_of(right)
        return reach.everybody or bool(reach.people)


def user_named(organisation: Organisation, id: UUID, field: str) -> Person:
    """The user whom a command names in a field, to whom something is to belong.

    Raises Refused naming the field: nobody has heard of such a user, or they have left.
    """
    person = organisation.person(id)
    if person is None:
        raise Refused("records.no_such_user", field=field)
    if (heir := organisation.standing_in(id)) != id:
        in_place = organisation.person(heir)
        name = in_place.name if in_place else "user"
        raise Refused("records.user_has_left", name=person.name, heir=name, heir_id=heir, field=field, state="DELETED")
    return person


CLOCK_STEP = timedelta(minutes=1)  # by which a clock may be set back without anything ending before its time


def is_before(now: datetime, end: datetime | None, longest: timedelta) -> bool:
    """Whether a stretch that ends then, and is at most so long, has begun and is not over.

    A clock may be set back.  What was to end in so many minutes must then neither keep somebody out for a day nor be
    good for one: a moment counts only as long as the stretch that it ends may be.
    """
    return end is not None and end - longest - CLOCK_STEP <= now < end
