"""Who are we?  The company's data and logo (SET-01, ORD-12), and its system parameters (SET-05)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

from chassis.model.changes import Append, Change, EventMetadata, Remove, Set
from chassis.model.views import View
from contracts.company import SHOWN_TO, CompanyDataSet, LogoSet, ParameterRemoved, ParameterSet
from contracts.languages import Language
from contracts.parameters import PARAMETERS
from contracts.settings import DEFAULTS
from contracts.types import Currency


@dataclass
class CompanyRow:
    """The company; `logo` is a PNG of 200 x 200 in base64."""

    id: str
    full_name: str
    phone: str
    address: str
    email: str
    currency: Currency
    language: Language
    time_zone: str
    logo: str
    version: int


class ParameterChange(TypedDict):
    """A change of a parameter, and why it was made."""

    before: str
    value: str
    reason: str
    by: str
    at: datetime


@dataclass
class ParameterRow:
    """A system parameter and every change of it.  `default` is that of one that is obeyed, `value` what is in force."""

    id: str
    value: str
    default: str | None
    changes: list[ParameterChange]
    changed_at: datetime | None
    version: int


def data_set(event: CompanyDataSet, metadata: EventMetadata) -> Iterable[Change]:
    values = {name: getattr(event.data, name) for name in event.data.__dataclass_fields__}
    yield Set(event.settings_id, **values, version=metadata.version)


def logo_set(event: LogoSet, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.settings_id, logo=event.png, version=metadata.version)


def parameter_set(event: ParameterSet, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(event.name, value=event.value, changed_at=metadata.at, version=metadata.version)
    yield Append(
        event.name,
        "changes",
        before=event.before,
        value=event.value,
        reason=event.reason,
        by=event.by.name,
        at=metadata.at,
    )


def parameter_removed(event: ParameterRemoved, metadata: EventMetadata) -> Iterable[Change]:
    yield Remove(event.name)


def in_force(document: Mapping[str, Any]) -> str:
    """What is obeyed, whatever was set; of a parameter that is for people what they have set."""
    known, value = PARAMETERS.get(document["_id"]), str(document["value"])
    return value if known is None or known.read(value) is not None else str(known.default)


def default(document: Mapping[str, Any]) -> str | None:
    known = PARAMETERS.get(document["_id"])
    return None if known is None else str(known.default)


VIEWS = [
    View(
        name="company",
        route="GET /company",
        detail="settings_id",
        row=CompanyRow,
        permission=SHOWN_TO,
        what="company",
        handlers={CompanyDataSet: data_set, LogoSet: logo_set},
        defaults={"company": {**DEFAULTS["company"], "logo": "", "version": 0}},
        sorts=("full_name",),
    ),
    View(
        name="parameters",
        edition=2,
        route="GET /parameters",
        detail="name",
        row=ParameterRow,
        permission="settings",
        what="parameter",
        handlers={ParameterSet: parameter_set, ParameterRemoved: parameter_removed},
        computed={"value": in_force, "default": default},
        defaults={name: {"value": "", "changes": [], "version": 0} for name in PARAMETERS},
        sorts=("changed_at",),
    ),
]
