"""Applying a saved view to a list: `?view=<id>`, or `?view=default` for the one that the caller has chosen (UIX-13)."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from chassis.messaging.consistency import Token
from chassis.model.principal import Principal
from chassis.queries.filters import single
from chassis.queries.reader import ViewReader
from chassis.queries.saved import Misfit, fitting
from contracts.errors import Refused
from contracts.ids import canonical
from contracts.languages import Language
from contracts.lists import GROUP, SUM, VIEW
from contracts.saved_views import COUNT, LIMIT, MINE

Query = Mapping[str, Sequence[str]]


OF_PAGES = (LIMIT, COUNT, GROUP, SUM)
"""What a file, which has all rows, is not asked."""


class Applied(NamedTuple):
    """A query with what a saved view adds to it, the columns that it shows, and what is told of the view."""

    query: Query
    columns: Sequence[str] = ()
    told: dict[str, Any] | None = None


class SavedViews:
    """The views that people have saved, and which they have chosen for lists."""

    def __init__(self, saved: ViewReader, chosen: ViewReader) -> None:
        self._saved, self._chosen = saved, chosen

    def applied(
        self,
        reader: ViewReader,
        principal: Principal,
        query: Query,
        token: Token | None,
        language: Language,
    ) -> Applied:
        """What the query stands for.  What it gives itself replaces what was saved.

        What the list does not take any more is left out and told, and refused where a file can't tell it.
        Raises Refused naming `view` for one that the caller does not see, or that is of another list.
        """
        if VIEW not in query:
            return Applied(query)
        list_name = reader.name
        given = {name: values for name, values in query.items() if name != VIEW}
        id = single(VIEW, query[VIEW])
        if id == MINE:
            mine = self._chosen.page(principal, {"list_name": [list_name]}, token).items
            if not mine:
                return Applied(given)
            id = mine[0]["saved_view_id"]
        try:
            row, _ = self._saved.one(principal, canonical(id), token)
        except Refused as refused:
            if refused.code != "NOT_FOUND":
                raise
            if query[VIEW] == [MINE]:  # it was taken away, or is for others now
                return Applied(given)
            raise Refused("views.not_there", field=VIEW) from refused
        if row["list_name"] != list_name:
            raise Refused("views.of_another_list", list=row["list_name"], field=VIEW)
        is_file = given.get("format", ["json"]) != ["json"]
        replaced = {*given, *(OF_PAGES if is_file else ())}
        parameters = {one["name"]: one["values"] for one in row["parameters"] if one["name"] not in replaced}
        found = fitting(reader.asking, principal, parameters, row["columns"])
        if found.misfits and is_file:
            names = sorted({misfit.parameter for misfit in found.misfits})
            raise Refused("views.fits_no_more", names=names, field=VIEW)
        told = {"id": row["id"], "name": row["name"], "columns": [*found.columns]}
        told["misfits"] = [_told(misfit, language) for misfit in found.misfits]
        return Applied({**found.parameters, **given}, found.columns, told)


def _told(misfit: Misfit, language: Language) -> dict[str, Any]:
    refusal = misfit.refusal
    return {"parameter": misfit.parameter, "reason": refusal.why.reason, "detail": refusal.problem(language)["detail"]}
