"""The company service: its commands, one line each."""

from chassis.model.middleware import Middleware
from chassis.model.service import Service, upsert
from contracts.company import RemoveParameter, SetCompanyData, SetLogo, SetParameter
from services.company.domain import Company, Parameter
from services.company.logo import prepare_logo, tell_logo

SERVICE = Service(
    "company",
    commands={
        SetCompanyData: upsert(Company, Company.set),
        SetLogo: upsert(Company, Company.set_logo),
        SetParameter: upsert(Parameter, Parameter.set),
        RemoveParameter: upsert(Parameter, Parameter.remove),
    },
    pages={"/company/{settings_id}": Company, "/settings/company": Company, "/parameters/{name}": Parameter},
    middleware={SetLogo: Middleware(prepare_logo, tell_logo)},
)
