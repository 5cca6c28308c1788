"""Serving all that there is about a record: itself, what belongs to it or names it, and who changed it (CUS-07)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chassis.http.edge import Api
from chassis.http.messages import HttpRequest, HttpResponse
from chassis.http.requests import require_only
from chassis.http.views import ViewHandler, fresh, noted
from chassis.model.principal import Principal
from chassis.model.views import View
from chassis.queries import history
from chassis.queries.freshness import together
from chassis.queries.overviews import ROWS, Part
from chassis.queries.reader import ViewReader


@dataclass(frozen=True)
class ReadPart:
    """A list with rows that name a record, and what reads it."""

    part: Part
    reader: ViewReader

    def is_for(self, caller: Principal) -> bool:
        """Whether the caller may ask that list for them."""
        may_see = self.reader.rows.may_see(self.part.field, caller)
        return caller.may(self.part.view.permission) and may_see


class OverviewHandler:
    """Serves the page of all that there is about a record.

    Each part is what its own list answers to the caller: where they may not see that list, the page has no such part.
    What of a part can't be read in time is told as null, and all else is there (`ViewReader.first_page`).
    """

    def __init__(self, api: Api, view: View, reader: ViewReader, page: ViewHandler, parts: Sequence[ReadPart]) -> None:
        """`page` is what serves the record itself."""
        self._api, self._view, self._reader, self._page, self._parts = api, view, reader, page, parts

    def __call__(self, http: HttpRequest) -> HttpResponse:
        key = self._page.key(http)
        with self._page.attempt(http, "READ", key) as attempt:
            principal = self._api.caller(http, self._view.permission, attempt)
            token = self._api.token(http)
            require_only(http)
            language = self._api.language_of(http)
            with self._api.seat(principal, token, http):
                record, freshness = self._page.record(principal, key, token, language)
                first = {history.LIMIT: [str(ROWS)]}
                changes, of_changes = self._reader.history(principal, key, first, token, language)
                read = [(self._view, freshness), (self._view, of_changes)]
                told: dict[str, Any] = {}
                for one in self._parts:
                    if one.is_for(principal):
                        query = {name: [value] for name, value in one.part.asked(key).items()}
                        asked = {**query, **first}
                        page = one.reader.first_page(principal, asked, token, language)
                        told[one.part.name] = {
                            "items": page.items if page else None,
                            "total": page.total if page else None,
                            "path": one.part.path(key),
                        }
                        if page:
                            read.append((one.part.view, page.freshness))
                            self._note(http, principal, one.part.view, query)
            if self._view.personal:
                attempt.note()
        changed = {**changes, "path": f"{self._view.path}/{key}/history"}
        return fresh({"record": record, "parts": told, "history": changed}, together(read), {}, self._api.logs)

    def _note(self, http: HttpRequest, principal: Principal, view: View, query: dict[str, list[str]]) -> None:
        """Note that rows of a list were read, where they tell of people: as of the list itself (SEC-21)."""
        if view.personal:
            attempt = self._api.attempt(self._api.reads_log, http, "READ", view.name, view.what)
            attempt.claimed, attempt.query = principal, noted(view, query)
            attempt.note()
