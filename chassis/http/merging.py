"""Serving what would come of it if a record went into another one: field by field, and list by list (ADR 0066)."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from chassis.http.edge import Api
from chassis.http.messages import HttpRequest, HttpResponse
from chassis.http.overviews import ReadPart
from chassis.http.requests import require_only
from chassis.http.views import ViewHandler, fresh
from chassis.model.duplicates import kind_of_view
from chassis.model.merging import right_of
from chassis.model.views import View
from chassis.queries.filters import in_form, require_value, single
from chassis.queries.freshness import together
from chassis.queries.reader import ViewReader
from contracts.custom_fields import OWN
from contracts.errors import Refused
from contracts.merging import DUPLICATE, TAKE
from contracts.records import TAGS


class MergingHandler:
    """Serves the two records beside each other, what each field would be, and how much would be found with the one.

    It is what the page and the lists answer to the caller: of what they may not see it tells nothing.  It decides
    nothing; the command does.
    """

    def __init__(self, api: Api, view: View, reader: ViewReader, page: ViewHandler, parts: Sequence[ReadPart]) -> None:
        """`page` is what serves such records, `parts` are the lists that name them."""
        self._api, self._view, self._reader, self._page, self._parts = api, view, reader, page, parts

    def __call__(self, http: HttpRequest) -> HttpResponse:
        key = self._page.key(http)
        with self._page.attempt(http, "READ", key) as attempt:
            principal = self._api.caller(http, right_of(self._view), attempt)
            principal.require(self._view.permission)
            token = self._api.token(http)
            require_only(http, DUPLICATE, TAKE)
            language = self._api.language_of(http)
            with self._api.seat(principal, token, http):
                survivor, freshness = self._reader.one(principal, key, token, language)
                other, take = self._other(http, key), self._taken(http.query.get(TAKE, ()))
                duplicate, of_other = self._reader.one(principal, other, token, language)
                read = [(self._view, freshness), (self._view, of_other)]
                parts: dict[str, Any] = {}
                for one in self._parts:
                    if one.is_for(principal):
                        counted = []
                        for id in (key, other):
                            query = {name: [value] for name, value in one.part.asked(id).items()}
                            page = one.reader.page(
                                principal, {**query, "limit": ["1"], "count": ["true"]}, token, language
                            )
                            counted.append(page.total or 0)
                            read.append((one.part.view, page.freshness))
                        parts[one.part.name] = {
                            "survivor": counted[0], "duplicate": counted[1], "together": sum(counted),
                        }  # fmt: skip
            if self._view.personal:
                attempt.note()
        fields = [self._field(name, survivor, duplicate, take) for name in self._names() if name in survivor]
        body = {"survivor": survivor, "duplicate": duplicate, "fields": fields, "parts": parts}
        return fresh(body, together(read), {}, self._api.logs)

    def _names(self) -> list[str]:
        kind = kind_of_view(self._view)
        return [*kind.fields, OWN] if kind else []

    def _other(self, http: HttpRequest, key: str) -> str:
        """The id of the other record.  Raises Refused where there is none, and for the same one."""
        require_value(DUPLICATE, http.query.get(DUPLICATE, [""]))
        other = in_form(DUPLICATE, "id", single(DUPLICATE, http.query[DUPLICATE]))
        if other == key:
            raise Refused("records.merged_with_itself", kind=self._view.what, field=DUPLICATE)
        return other

    def _taken(self, names: Sequence[str]) -> Collection[str]:
        """The fields of which the other one's values are to be taken.  Raises Refused for what is no such field."""
        offered = [name for name in self._names() if name != TAGS]
        for name in names:
            if name not in offered:
                raise Refused("lists.one_of", choices=offered, field=TAKE)
        return names

    def _field(
        self, name: str, survivor: Mapping[str, Any], duplicate: Mapping[str, Any], take: Collection[str]
    ) -> dict[str, Any]:
        """What a field is of both, and what it would be."""
        own, other = survivor[name], duplicate[name]
        result = other if name in take else own
        if name == TAGS:
            result = list(dict.fromkeys([*own, *other]))
        return {"field": name, "survivor": own, "duplicate": other, "same": own == other, "result": result}
