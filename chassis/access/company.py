"""What the company has set for all of Salestream, as this process knows it: time zone, currency, language (SET-02..04),
and the fields that it has added to kinds of records (CFG-01).

One place says it, the company's data in the company service; every service keeps a row of it
(`services.company.known`), and each process holds it in memory with its directory.  Before anything was set, TIME_ZONE
and the contract's defaults hold.

A day is worked out once, by whoever stores an event, and goes along with it (`Meta.day`, header `ce_day`).  So a change
of the zone leaves alone what is dated already, and a view that is built again gives the same days.
"""

from datetime import date, datetime
from typing import TypeVar, cast
from zoneinfo import ZoneInfo

from chassis.access.custom_fields import CustomFields
from chassis.access.known import KnownCompany, KnownCustomField, KnownParameter, KnownRequired
from chassis.foundation.config import first_zone
from contracts.languages import LANGUAGES, Language
from contracts.parameters import PARAMETERS
from contracts.records import Kind
from contracts.types import FIRST_CURRENCY

Row = TypeVar("Row", KnownParameter, KnownRequired)


def _newer(held: Row | None, row: Row) -> Row:
    return row if held is None or row.revision >= held.revision else held


class CompanySettings:
    """The settings in force, in one process."""

    def __init__(self, zone: ZoneInfo | None = None) -> None:
        self.known = KnownCompany((zone or first_zone()).key, FIRST_CURRENCY, LANGUAGES[0])
        self._parameters: dict[str, KnownParameter] = {}
        self._required: dict[str, KnownRequired] = {}
        self.custom_fields = CustomFields()

    def take(self, row: KnownCompany | KnownParameter | KnownCustomField | KnownRequired) -> None:
        """What was heard of, or what a service's store holds; older news change nothing."""
        match row:
            case KnownCompany():
                if row.revision >= self.known.revision:
                    self.known = row
            case KnownParameter():
                self._parameters[row.name] = _newer(self._parameters.get(row.name), row)
            case KnownRequired():
                self._required[row.kind] = _newer(self._required.get(row.kind), row)
            case KnownCustomField():
                self.custom_fields.take(row)

    def parameter_known(self, name: str) -> KnownParameter | None:
        return self._parameters.get(name)

    def parameter(self, name: str) -> int:
        """A system parameter that is obeyed; its default while nobody has set it, or set it to what it can't be."""
        known, held = PARAMETERS[name], self._parameters.get(name)
        found = None if held is None else known.read(held.value)
        return known.default if found is None else found

    def required_known(self, kind: str) -> KnownRequired | None:
        return self._required.get(kind)

    def required(self, kind: Kind) -> tuple[str, ...]:
        """The fields of a kind of record that must be filled by what the company has set, or else at first (CUS-02)."""
        held = self._required.get(kind.code)
        return held.fields if held else tuple(kind.wanted)

    @property
    def zone(self) -> ZoneInfo:
        """In it days are counted (section 2.0, SET-03)."""
        return ZoneInfo(self.known.time_zone)

    @property
    def currency(self) -> str:
        """That of what names none (SET-04)."""
        return self.known.currency

    @property
    def language(self) -> Language:
        """In it people are written to, and names are sorted for whom asks for no other (SET-02)."""
        return cast(Language, self.known.language)

    def day_of(self, moment: datetime) -> date:
        """The day of a moment for the company."""
        return moment.astimezone(self.zone).date()
