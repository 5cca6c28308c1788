"""What every service keeps of people, roles, programs, sign-ins, devices and the company: rows, and who feeds them."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from chassis.model.service import Replica
from contracts.custom_fields import CustomField
from contracts.people import Preferences
from contracts.permissions import DataScope, first_rights, rights_of


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
    preferences: Preferences = Preferences()


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
    """A department, the one it is part of, and what it is called."""

    id: UUID
    parent_id: UUID | None
    name: str = ""


class KnownDevice(msgspec.Struct, frozen=True):
    """A device and whose it is."""

    id: UUID
    owner_id: UUID | None


class RevokedDevice(msgspec.Struct, frozen=True):
    """A device whose tokens are void (SEC-29)."""

    id: UUID


class KnownCompany(msgspec.Struct, frozen=True):
    """What decisions need of the company's data; `revision` grows with each change."""

    time_zone: str
    currency: str
    language: str
    revision: int = 0


class KnownParameter(msgspec.Struct, frozen=True):
    """A system parameter as it was set (SET-05)."""

    name: str
    value: str
    revision: int = 0


class EarlierFormula(msgspec.Struct, frozen=True):
    """How a field was worked out until a moment; None: nobody knows until when, so it was never so."""

    formula: str
    until: datetime | None


class KnownCustomField(msgspec.Struct, frozen=True):
    """A field that the company has added to a kind of record (CFG-01); `earlier`: its formulas until now, in order."""

    kind: str
    field: CustomField
    revision: int
    earlier: tuple[EarlierFormula, ...] = ()

    def then(self, at: datetime) -> CustomField:
        """The field as it is called and seen now, worked out as it was at a moment.

        What was added later is worked out as at first.
        """
        formula = next((one.formula for one in self.earlier if one.until and at < one.until), self.field.formula)
        return self.field if formula == self.field.formula else replace(self.field, formula=formula)


class KnownRequired(msgspec.Struct, frozen=True):
    """The fields of a kind of record that must be filled, beside those that its declaration says (CUS-02)."""

    kind: str
    fields: tuple[str, ...]
    revision: int


@dataclass(frozen=True)
class Known:
    """What a service lets every other one know, declared in its `known.py` (KNOWN): replicas with the rows above.

    `from_start`: a process that hosts the service takes in its whole log when it starts, for what happened before
    there were such rows is in none.  `of_records` is what those that keep records know of their kinds (`Kind.code`);
    it is in their stores alone.
    """

    replicas: Sequence[Replica[Any]] = ()
    from_start: bool = False
    of_records: Callable[[Collection[str]], Replica[Any]] | None = None
