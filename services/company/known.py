"""What every service knows of the company: time zone, currency, language and parameters (SET-02..05)."""

from chassis.access.known import Known, KnownCompany, KnownParameter
from chassis.model.service import Replica
from contracts.company import CompanyDataSet, ParameterRemoved, ParameterSet


def company_told(row: KnownCompany | None, fact: CompanyDataSet) -> KnownCompany:
    """Older news change nothing; those of before revisions were told come in order."""
    if row is not None and row.revision > fact.revision:
        return row
    return KnownCompany(fact.data.time_zone, fact.data.currency, fact.data.language, fact.revision)


def parameter_told(row: KnownParameter | None, fact: ParameterSet | ParameterRemoved) -> KnownParameter:
    """Older news change nothing."""
    if row is not None and row.revision > fact.revision:
        return row
    return KnownParameter(fact.name, fact.value if isinstance(fact, ParameterSet) else "", fact.revision)


COMPANY = Replica("company-defaults", KnownCompany, feeds={CompanyDataSet: company_told})

SET_PARAMETERS = Replica(
    "company-parameters", KnownParameter, feeds=dict.fromkeys((ParameterSet, ParameterRemoved), parameter_told)
)

KNOWN = Known((COMPANY, SET_PARAMETERS))
