"""What a saved view asks of a list (UIX-13): held against what the list takes, when it is saved and when it is used.

A list changes: a company retires a field, a right is taken away, a release renames a column.  The code that reads the
query of a list judges the one that was saved, parameter by parameter, so nothing is declared a second time.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from typing import NamedTuple

from chassis.access.company import CompanySettings
from chassis.catalogue import Catalogue
from chassis.model.principal import Principal
from chassis.model.views import View
from chassis.queries.asking import Asking
from chassis.queries.rows import Rows
from chassis.queries.view_now import ViewNow
from contracts.errors import Refused
from contracts.languages import LANGUAGES
from contracts.lists import LIST_PARAMETERS
from contracts.saved_views import SAVED

Parameters = Mapping[str, Sequence[str]]
COLUMNS = "columns"


class Misfit(NamedTuple):
    """What a list does not take: a parameter, or a column (`COLUMNS`), and why."""

    parameter: str
    refusal: Refused


class Fitting(NamedTuple):
    """What of a saved view a list takes, and what it does not."""

    parameters: Parameters
    columns: Sequence[str]
    misfits: Sequence[Misfit]


@cache
def _lists() -> Mapping[str, View]:
    return {view.name: view for view in Catalogue.read().views() if view.is_list}


def fitting(asking: Asking, principal: Principal, parameters: Parameters, columns: Iterable[str]) -> Fitting:
    """What of a saved view a list takes from somebody now."""
    misfits: list[Misfit] = []
    taken: dict[str, Sequence[str]] = {}
    for name, values in parameters.items():
        try:
            if name in LIST_PARAMETERS - SAVED or not values:
                raise Refused("views.not_saved", names=sorted(SAVED), field=name)
            asking.asked(principal, {name: values}, LANGUAGES[0])
            taken[name] = values
        except Refused as refused:
            misfits.append(Misfit(name, refused))
    known = asking.columns(principal)
    shown = []
    for column in dict.fromkeys(columns):
        if column in known:
            shown.append(column)
        else:
            misfits.append(Misfit(COLUMNS, Refused("views.no_such_column", name=column, field=COLUMNS)))
    return Fitting(taken, shown, misfits)


def require_taken(
    principal: Principal,
    company: CompanySettings,
    list_name: str,
    parameters: Parameters,
    columns: Sequence[str],
) -> None:
    """Raises Refused naming what a list does not take from somebody, or that there is no such list for them."""
    view = _lists().get(list_name)
    if view is None:
        raise Refused("views.no_such_list", name=list_name, field="list_name")
    principal.require(view.permission)
    now = ViewNow(view, company)
    clock = partial(datetime.now, UTC)
    asking = Asking(now, Rows(view, company, now), company, zone=lambda: company.zone, clock=clock, known=None)
    found = fitting(asking, principal, parameters, columns)
    for misfit in found.misfits:
        raise Refused(
            "views.does_not_fit",
            parameter=misfit.parameter,
            why=misfit.refusal.why,
            field=COLUMNS if misfit.parameter == COLUMNS else "parameters",
        )
    asking.asked(principal, found.parameters, LANGUAGES[0])  # together they may still contradict each other
