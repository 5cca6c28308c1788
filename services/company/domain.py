"""The company's data and parameters (SET-01..05)."""

from dataclasses import dataclass, replace
from typing import Any

from chassis.model.aggregates import Aggregate, applies
from chassis.model.context import Context
from chassis.model.time_zones import require_time_zone
from contracts.company import (
    CompanyData,
    CompanyDataSet,
    LogoSet,
    ParameterRemoved,
    ParameterSet,
    RemoveParameter,
    SetCompanyData,
    SetLogo,
    SetParameter,
)
from contracts.declare import KEPT, changes
from contracts.errors import Refused, not_found
from contracts.parameters import PARAMETERS
from contracts.text import is_blank, squashed


@dataclass
class Company(Aggregate):
    """Who the company is."""

    data: CompanyData = CompanyData()  # noqa: RUF009 - frozen
    logo: str = ""

    def set(self, command: SetCompanyData, context: Context) -> None:
        """Change what the command names.

        Raises Refused VALIDATION for a zone there is not, another logo, and for taking the name away.
        """
        given = changes(command, CompanyData)
        if command.logo not in (KEPT, self.logo):
            raise Refused("company.logo_elsewhere", route="PUT /settings/company/logo", field="logo")
        if self.data.full_name and is_blank(given.get("full_name", self.data.full_name)):
            raise Refused("company.has_a_name", field="full_name")
        if "time_zone" in given:
            require_time_zone(given["time_zone"])
        data = replace(self.data, **given)
        if data != self.data:
            self.record(
                CompanyDataSet(settings_id=command.settings_id, data=data, by=context.user, revision=self.version + 1)
            )

    def set_logo(self, command: SetLogo, context: Context) -> None:
        """The picture comes scaled (see `services.company.logo`)."""
        if not command.image and self.logo:
            raise Refused("company.logo_stays", field="image")
        if command.image != self.logo:
            self.record(LogoSet(settings_id=command.settings_id, png=command.image, by=context.user))

    @applies(CompanyDataSet)
    def _set(self, fact: CompanyDataSet) -> None:
        self.data = fact.data

    @applies(LogoSet)
    def _logo_set(self, fact: LogoSet) -> None:
        self.logo = fact.png


@dataclass
class Parameter(Aggregate):
    """One system parameter."""

    value: str = ""
    is_there: bool = False

    def set(self, command: SetParameter, context: Context) -> None:
        """Set it; an empty value puts one that is obeyed back to its default.

        Raises Refused VALIDATION for what such a one can't be, for a new one whose name looks like one, and for a
        change without a reason.
        """
        known = PARAMETERS.get(command.name)
        like = next((name for name in PARAMETERS if squashed(name) == squashed(command.name)), None)
        if known is None and like is not None and not self.is_there:
            raise Refused("company.no_such_parameter", name=command.name, like=like, field="name")
        value = self.value if command.value is KEPT else command.value
        if known is not None and not self.value and value == str(known.default):
            value = ""  # it is at its default already: what is shown can be sent back
        if known is not None and value and known.read(value) is None:
            least, most = known.lowest, known.highest
            raise Refused("company.parameter_value", name=command.name, least=least, most=most, field="value")
        if value != self.value:
            if command.reason is KEPT:
                raise Refused("company.say_why", field="reason")
            self.record(
                ParameterSet(
                    name=command.name,
                    before=self.value,
                    value=value,
                    reason=command.reason,
                    by=context.user,
                    revision=self.version + 1,
                )
            )

    def remove(self, command: RemoveParameter, context: Context) -> None:
        """Take it away; one that is obeyed is there always, and at its default then.

        Raises Refused NOT_FOUND for another one that is not there.
        """
        about: dict[str, Any] = {
            "name": command.name,
            "before": self.value,
            "by": context.user,
            "revision": self.version + 1,
        }
        if command.name in PARAMETERS:
            if self.value:
                self.record(ParameterSet(**about, value="", reason=command.reason or "put back to its default"))
        elif self.is_there:
            self.record(ParameterRemoved(**about, reason=command.reason or ""))
        else:
            raise not_found("parameter", "name")

    def reply(self) -> dict[str, Any]:
        return {"value": self.value}

    @applies(ParameterSet)
    def _set(self, fact: ParameterSet) -> None:
        self.value, self.is_there = fact.value, True

    @applies(ParameterRemoved)
    def _removed(self, _: ParameterRemoved) -> None:
        self.value, self.is_there = "", False
