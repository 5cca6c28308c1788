"""The company's own data and parameters (features SET-01..05, ORD-12).  Aggregates: company data, one per parameter."""

from typing import Annotated, Literal

from contracts.declare import KEPT, command, event, value
from contracts.languages import Language
from contracts.people import SALESTREAM, Person
from contracts.permissions import SELF
from contracts.types import (
    FIRST_CURRENCY,
    Currency,
    Email,
    Mail,
    Name,
    NameField,
    Note,
    PathName,
    Phone,
    Reason,
    Text,
    TextField,
    Whole,
)


class ImageField(TextField):
    """A picture in base64: up to 900,000 characters."""

    shortest = 1
    longest = 900_000


class LogoField(ImageField):
    """A logo as a query shows it: empty where there is none."""

    shortest = 0


class ParameterField(TextField):
    """What a parameter is set to: up to 1,000 characters."""

    longest = 1_000


class FormerNameField(NameField):
    """A name as former releases kept it, perhaps with line breaks."""

    many_lines = True


Image = Annotated[str, ImageField]
Logo = Annotated[str, LogoField]
FormerName = Annotated[str, FormerNameField]
ParameterValue = Annotated[str, ParameterField]


@value
class CompanyData:
    """The company as orders, contracts and invoices name it (SET-01), and its defaults (SET-02..04)."""

    full_name: Text = ""
    phone: Text = ""
    address: Text = ""
    email: Mail = ""
    currency: Currency = FIRST_CURRENCY
    language: Language = "zh"
    time_zone: Text = "Asia/Shanghai"


@command("PUT /settings/company", permission="settings", key="settings_id")
class SetCompanyData:
    """Say who the company is; the full name as in the business register (SET-01..04).

    A field left out keeps its value.  `logo` may only repeat the one there is: `PUT /settings/company/logo` sets it.
    """

    full_name: Text = KEPT
    phone: Phone | None = KEPT
    address: Text = KEPT
    email: Email | None = KEPT
    currency: Currency = KEPT
    language: Language = KEPT
    time_zone: Name = KEPT
    settings_id: Literal["company"] = "company"
    logo: Logo = KEPT


@command("PUT /settings/company/logo", permission="settings", key="settings_id", bulk=False)
class SetLogo:
    """Set the logo, a PNG or JPG in base64; another size than 200 x 200 is scaled, with a warning (SET-01)."""

    image: Logo
    settings_id: Literal["company"] = "company"


@command("PUT /settings/parameters/{name}", permission="settings")
class SetParameter:
    """Change a system parameter; why is kept with it (SET-05).  `GET /parameters` lists those that are obeyed.

    An empty value puts such a one back to its default.  A field left out keeps its value; a change needs a reason.
    """

    name: PathName
    value: ParameterValue = KEPT
    reason: Reason = KEPT


@command("DELETE /settings/parameters/{name}", permission="settings")
class RemoveParameter:
    """Take a parameter away; one that is obeyed is at its default again (SET-05).

    The bulk form takes names, too, that former releases kept and no address can carry.
    """

    name: FormerName
    reason: Reason | None = None


@event("salestream.company.company-data-set.v1", key="settings_id")
class CompanyDataSet:
    """The company's data changed.  `revision` grows with each change; 0 in older events."""

    settings_id: Text
    data: CompanyData
    by: Person = SALESTREAM
    revision: Whole = 0


@event("salestream.company.logo-set.v1", key="settings_id")
class LogoSet:
    """The company has another logo: a PNG of 200 x 200 in base64."""

    settings_id: Text
    png: Image
    by: Person = SALESTREAM


@event("salestream.company.parameter-set.v1", key="name")
class ParameterSet:
    """A system parameter changed.  `revision` grows with each change; 0 in older events."""

    name: Text
    before: ParameterValue
    value: ParameterValue
    reason: Reason
    by: Person = SALESTREAM
    revision: Whole = 0


@event("salestream.company.parameter-removed.v1", key="name")
class ParameterRemoved:
    """A parameter that is for people was taken away.  `revision` goes on with the next one of that name."""

    name: Text
    before: ParameterValue
    reason: Note = ""
    by: Person = SALESTREAM
    revision: Whole = 0


SHOWN_TO = SELF
"""Who sees the company's data: everybody who is signed in (ORD-12)."""
