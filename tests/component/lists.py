"""Lists on a real MongoDB: a view with documents made from the types of its rows, asked as the edge asks it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from pymongo.database import Database

from chassis.access.company import CompanySettings
from chassis.catalogue import Catalogue
from chassis.model.principal import Principal
from chassis.model.row_fields import FieldType
from chassis.model.views import Exact, View
from chassis.projections.collections import STATES
from chassis.projections.documents import stored
from chassis.projections.state import live_id, open_state
from chassis.queries.reader import Page, ViewReader
from contracts.errors import Refused
from contracts.merging import MERGED_IDS, MERGED_INTO
from contracts.sharing import SHARED_WITH, SHARES

WITH_DEFAULTS = [view for view in Catalogue.read().views() if view.defaults]
"""Every view that shows records to which nothing has happened yet."""
WITH_CLOSED = [view for view in Catalogue.read().views() if view.closed and view.is_list]
"""Every list that leaves out rows of records that have become something else."""
LISTS = [
    replace(view, computed={}, defaults={})
    if view.defaults
    else replace(view, of_subject=False, reached_through="", within="", closed=None)
    for view in Catalogue.read().views()
    if view.is_list
]
"""Every view that answers a list; of those with defaults what is stored alone, whatever record rows are about, or
reached through or waiting in, and whatever such records have become."""
BY_NAME = {view.name: view for view in LISTS}
ROOT = Principal(uuid4(), "Root", frozenset({"ADM"}))
NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
ABSENT = object()
ID = FieldType("id")
Document = dict[str, Any]


def value_of(type: FieldType, number: int) -> Any:
    """The number-th value of a type; the larger the number, the larger the value."""
    match type.kind:
        case "id":
            return f"{number:08x}-0000-4000-8000-000000000000"
        case "choice":
            return type.choices[number % len(type.choices)]
        case "flag":
            return bool(number % 2)
        case "whole":
            return number
        case "amount":
            return stored(Decimal(number) / 100)
        case "moment":
            return NOW + timedelta(minutes=number)
        case "day":
            return (date(2026, 1, 1) + timedelta(days=number)).isoformat()
        case "list":
            return [value_of(type.of, number)] if type.of and type.of.kind != "object" else []
        case "object":
            return {}
    return ("USD", "CNY", "JPY")[number % 3] if type.guard else f"text {number:04d}"


def document_of(view: View, number: int, /, **more: Any) -> Document:
    """A document as the projector would have written it; a field given as ABSENT is missing."""
    found = {name: value_of(type, number) for name, type in view.types.items() if name != "id"}
    found |= {name.partition(".")[0]: value for name, value in view.where.items() if isinstance(value, bool)}
    found |= {view.aside: False} if view.aside else {}
    for name, rule in view.filters.items():
        if isinstance(rule, Exact) and rule.form:
            found[rule.field or name] = value_of(ID, number) if rule.form == "id" else f"203.0.113.{number % 250}"
    if view.scope:
        found[view.scope.owner] = str(ROOT.user_id)
    found |= {MERGED_INTO: None, MERGED_IDS: []} if view.has_merges else {}
    if view.collected:
        found["fields"] = json.dumps({"asked": "for"})
    found |= {"_id": f"{number:08x}-0000-4000-8000-00000000000a", "_event": "x/1", "_event_at": NOW, **more}
    found = {name: value for name, value in found.items() if value is not ABSENT}
    if view.scope and view.scope.shared and SHARES not in more:
        found[SHARES] = [{"with_id": id, "access": "READ", "until": None} for id in found.get(SHARED_WITH) or ()]
    found |= view.keys_of(found)
    return found


class Shelf:
    """A view whose documents a test writes by hand."""

    def __init__(self, database: Database[Document], view: View) -> None:
        self.view = view
        self.database = database
        self.collection = database[view.name]
        database[STATES].delete_one({"_id": live_id(view)})
        self.collection.delete_many({})  # its indexes stay: making two dozen takes longer than the rest of a test
        open_state(database, view, live_id(view))
        self.company = CompanySettings(ZoneInfo("UTC"))
        self.reader = ViewReader(database, view, company=self.company)

    def fill(self, documents: Sequence[Document]) -> None:
        if documents:
            self.collection.insert_many(documents)
            self.touch()

    def touch(self) -> None:
        """Say in the view's state that something has happened, as the projector does with whatever it writes."""
        self.database[STATES].update_one({"_id": live_id(self.view)}, {"$inc": {"revision": 1}})

    def page(self, principal: Principal = ROOT, /, **params: str | Sequence[str]) -> Page:
        return self.reader.page(principal, as_query(params), None)

    def pages(self, **params: str) -> Iterator[Page]:
        cursor: str | None = ""
        while cursor is not None:
            page = self.page(**params, **({"cursor": cursor} if cursor else {}))
            yield page
            cursor = page.next

    def pages_back(self, cursor: str | None, **params: str) -> Iterator[Page]:
        """The pages from this one back to the first."""
        while cursor is not None:
            page = self.page(**params, cursor=cursor)
            yield page
            cursor = page.previous

    def rows(self, **params: str) -> list[Document]:
        return [row for page in self.pages(**params) for row in page.items]

    def refusal(self, principal: Principal = ROOT, /, **params: str | Sequence[str]) -> Refused:
        try:
            self.page(principal, **params)
        except Refused as refused:
            return refused
        raise AssertionError(f"{self.view.name} {params} was answered")


def as_query(params: Mapping[str, str | Sequence[str]]) -> dict[str, list[str]]:
    return {name: [value] if isinstance(value, str) else list(value) for name, value in params.items()}
