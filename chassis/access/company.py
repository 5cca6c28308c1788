"""What the company has set for all of Salestream, as this process knows it: time zone, currency, language (SET-02..04).

One place says it, the company's data in the company service; every service keeps a row of it (`COMPANY`), and each
process holds it in memory with its directory.  Before anything was set, TIME_ZONE and the contract's defaults hold.

A day is worked out once, by whoever stores an event, and goes along with it (`Meta.day`, header `ce_day`).  So a change
of the zone leaves alone what is dated already, and a view that is built again gives the same days.
"""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import msgspec

from chassis.foundation.config import first_zone
from chassis.model.service import Replica
from contracts.company import CompanyData, CompanyDataSet, ParameterSet
from contracts.parameters import PARAMETERS

FIRST = CompanyData()


class KnownCompany(msgspec.Struct, frozen=True):
    """What decisions need of the company's data; `revision` grows with each change."""

    time_zone: str
    currency: str
    language: str
    revision: int = 0


def company_told(row: KnownCompany | None, fact: CompanyDataSet) -> KnownCompany:
    """Older news change nothing; those of before revisions were told come in order."""
    if row is not None and row.revision > fact.revision:
        return row
    return KnownCompany(fact.data.time_zone, fact.data.currency, fact.data.language, fact.revision)


class KnownParameter(msgspec.Struct, frozen=True):
    """A system parameter as it was set (SET-05)."""

    name: str
    value: str
    revision: int = 0


def parameter_told(row: KnownParameter | None, fact: ParameterSet) -> KnownParameter:
    """Older news change nothing."""
    if row is not None and row.revision > fact.revision:
        return row
    return KnownParameter(fact.name, fact.value, fact.revision)


COMPANY = Replica("company-defaults", KnownCompany, feeds={CompanyDataSet: company_told})

SET_PARAMETERS = Replica("company-parameters", KnownParameter, feeds={ParameterSet: parameter_told})


class CompanySettings:
    """The settings in force, in one process."""

    def __init__(self, zone: ZoneInfo | None = None) -> None:
        self.known = KnownCompany((zone or first_zone()).key, FIRST.currency, FIRST.language)
        self._parameters: dict[str, KnownParameter] = {}

    def tell(self, fact: CompanyDataSet) -> None:
        """A change was stored here or heard of."""
        self.known = company_told(self.known, fact)

    def take(self, row: KnownCompany) -> None:
        """What a service's store holds."""
        if row.revision >= self.known.revision:
            self.known = row

    def tell_parameter(self, fact: ParameterSet) -> None:
        self._parameters[fact.name] = parameter_told(self._parameters.get(fact.name), fact)

    def take_parameter(self, row: KnownParameter) -> None:
        held = self._parameters.get(row.name)
        if held is None or row.revision >= held.revision:
            self._parameters[row.name] = row

    def parameter(self, name: str) -> int:
        """A system parameter that is obeyed; its default while nobody has set it, or set it to what it can't be."""
        known, held = PARAMETERS[name], self._parameters.get(name)
        found = None if held is None else known.read(held.value)
        return known.default if found is None else found

    @property
    def zone(self) -> ZoneInfo:
        """In it days are counted (section 2.0, SET-03)."""
        return ZoneInfo(self.known.time_zone)

    @property
    def currency(self) -> str:
        """That of what names none (SET-04)."""
        return self.known.currency

    @property
    def language(self) -> str:
        """In it people are written to, and names are sorted for whom asks for no other (SET-02)."""
        return self.known.language

    def day_of(self, moment: datetime) -> date:
        """The day of a moment for the company."""
        return moment.astimezone(self.zone).date()
