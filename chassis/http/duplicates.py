"""Serving the question whether such a record is there already (CUS-22)."""

from collections.abc import Mapping, Sequence

from chassis.http.edge import Api
from chassis.http.messages import HttpRequest, HttpResponse
from chassis.http.requests import require_only
from chassis.http.views import ViewHandler, fresh
from chassis.model.duplicates import BESIDES, Alike, alike_by, asked_by, right_of
from chassis.model.views import View
from chassis.queries.filters import in_form, single
from chassis.queries.reader import ViewReader
from contracts.errors import Refused


class DuplicatesHandler:
    """Serves which records are the same as one that somebody is about to enter, or to change.

    Of records that the caller does not see it tells that there are some, and nothing of them.
    """

    def __init__(self, api: Api, view: View, reader: ViewReader, page: ViewHandler) -> None:
        """`page` is what serves such records."""
        self._api, self._view, self._reader, self._page = api, view, reader, page

    def __call__(self, http: HttpRequest) -> HttpResponse:
        with self._page.attempt(http, "READ") as attempt:
            principal = self._api.caller(http, right_of(self._view), attempt)
            token = self._api.token(http)
            require_only(http, *asked_by(self._view), BESIDES)
            besides = in_form(BESIDES, "id", single(BESIDES, http.query[BESIDES])) if BESIDES in http.query else ""
            asked = _asked(alike_by(self._view), http.query)
            with self._api.seat(principal, token, http):
                found, freshness = self._reader.alike(
                    principal, [given for _, given in asked], besides, token, self._api.language_of(http)
                )
            if self._view.personal:
                attempt.note()
        told = [
            {"fields": list(one.fields), "refused": one.refused, "items": same.items, "unseen": same.is_unseen}
            for (one, _), same in zip(asked, found, strict=True)
            if same.items or same.is_unseen
        ]
        return fresh({"alike": told}, freshness, {}, self._api.logs)


def _asked(
    sets: Sequence[Alike], query: Mapping[str, Sequence[str]]
) -> Sequence[tuple[Alike, Mapping[str, Sequence[str]]]]:
    """What is asked of which fields.  Raises Refused for a field that is given twice, or without those it is asked
    with: nothing sent is ignored."""
    given = {name: [single(name, values)] for name, values in query.items() if name != BESIDES}
    found = [(one, {name: given[name] for name in one.fields}) for one in sets if set(one.fields) <= given.keys()]
    used = {name for one, _ in found for name in one.fields}
    for one in sets:
        if any(name in given and name not in used for name in one.fields):
            missing = next(name for name in one.fields if name not in given)
            raise Refused("lists.asked_together", names=one.fields, field=missing)
    return found
