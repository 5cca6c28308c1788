"""Time travel: every view with a history, as of every moment, and who changed what (SEC-18, INV-02)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest
from pymongo.database import Database

from chassis.catalogue import Catalogue
from chassis.foundation.config import Config
from chassis.messaging.records import Incoming
from chassis.model.principal import Principal
from chassis.model.views import LABELS, Range, View
from chassis.projections.collections import STATES, connect
from chassis.projections.projector import Projector
from chassis.projections.versions import versions_of
from chassis.queries.conditions import fields_asked
from chassis.queries.grouping import groups_of, sums_of
from chassis.queries.history import KEPT_OF_ITSELF
from chassis.queries.reader import ViewReader
from component.histories import history, interleaved
from contracts.custom_fields import OWN
from contracts.errors import Refused
from contracts.permissions import FIELD_RIGHTS, DataScope

VIEWS = [replace(view, reached_through="") for view in Catalogue.read().views() if view.history]
ROOT = Principal(uuid4(), "Root", frozenset({"ADM"}))
LONG_AFTER = datetime(2030, 1, 1, tzinfo=UTC)
Document = dict[str, Any]


class Past:
    """A view after a random history: the reader, and for each moment at which something happened the rows then."""

    def __init__(self, database: Database[Document], view: View, seed: int) -> None:
        self.view, self.database = view, database
        self.sources = history({*view.handlers}, 60, Random(seed))
        projector = Projector(database, [view])
        projector.offsets([])
        for batch in interleaved(self.sources, Random(seed)):
            projector.process(batch)
        self.reader = ViewReader(database, view, clock=lambda: LONG_AFTER)
        self.records = sorted((r for records in self.sources.values() for r in records), key=lambda r: r.position)
        self.keys = sorted({record.key for record in self.records if type(record.fact) in view.history})

    def widen(self) -> None:
        """Show all rows, those that a list never shows too."""
        self.reader = ViewReader(self.database, replace(self.view, where={}), clock=lambda: LONG_AFTER)

    def told(self, rows: Mapping[str, Document]) -> dict[str, Document]:
        """Rows without what no version knows: what is worked out, and what other events write."""
        versions = list(self.database[versions_of(self.view.name)].find())
        known = {"id"} | {name for version in versions for name in version}
        return {key: {name: value for name, value in row.items() if name in known} for key, row in rows.items()}

    def made(self, record: Incoming) -> bool:
        return type(record.fact) in self.view.history

    def rows(self, principal: Principal = ROOT, /, **params: str) -> dict[str, Document]:
        asked = {name: [value] for name, value in {"limit": "200", **params}.items()}
        if self.view.aside:
            whole = self.reader.page(principal, {**asked, self.view.aside: ["true", "false"]}, None)
            return {row["id"]: row for row in whole.items}
        return {row["id"]: row for row in self.reader.page(principal, asked, None).items}

    def entries(self, key: str, principal: Principal = ROOT, /, **params: str) -> list[Document]:
        return list(self.pages(key, principal, **params))

    def pages(self, key: str, principal: Principal = ROOT, /, **params: str) -> Iterator[Document]:
        cursor: str | None = ""
        while cursor is not None:
            asked = {name: [value] for name, value in params.items()} | ({"cursor": [cursor]} if cursor else {})
            told, _ = self.reader.history(principal, key, {"limit": ["3"], **asked}, None)
            yield from told["items"]
            cursor = told["next"]


@pytest.fixture(params=VIEWS, ids=lambda view: view.name)
def past(request: pytest.FixtureRequest, mongodb_uri: str) -> Iterator[Past]:
    database = connect(Config(mongodb_uri=mongodb_uri, mongodb_database=f"test_{uuid4().hex}"))
    yield Past(database, request.param, seed=7)
    database.client.drop_database(database.name)
    database.client.close()


def text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def test_a_history_names_who_did_what_by_which_event_in_which_order(past: Past) -> None:
    past.widen()
    for key in past.keys:
        wanted = [record for record in past.records if record.key == key and past.made(record)]
        found = past.entries(key)
        assert [(e["event"], e["version"]) for e in found] == [
            (r.type, int(r.id.rpartition("/")[2])) for r in reversed(wanted)
        ]
        assert [e["by"]["name"] for e in found] == [r.fact.by.name for r in reversed(wanted)]


def flat(row: Document) -> Document:
    """A row with what the company has added told one by one, as a history does."""
    own = row.get(OWN) or {}
    return {name: value for name, value in row.items() if name != OWN} | {f"{OWN}.{key}": own[key] for key in own}


def test_the_changes_of_a_history_one_after_another_make_the_row_of_now(past: Past) -> None:
    past.widen()
    rows = past.rows()
    of_history = set()
    assert rows
    for key, row in rows.items():
        made: Document = {}
        for entry in reversed(past.entries(key)):
            for change in entry["changes"]:
                assert made.get(change["field"]) == change["before"]
                assert change["before"] != change["after"]
                made[change["field"]] = change["after"]
                of_history.add(change["field"].partition(".")[0])
        told = flat({name: row[name] for name in of_history})
        # A list is empty before anything is told of it.
        assert {name: made.get(name, [] if value == [] else None) for name, value in told.items()} == told, key
        assert all(value is None for name, value in made.items() if name not in told), key
    assert not of_history & KEPT_OF_ITSELF


def test_a_list_as_of_a_moment_is_the_list_as_it_was_then(past: Past, mongodb_uri: str) -> None:
    """Compared with a view that has heard of no more than that, and of nothing that makes no versions."""
    moments = sorted({record.at for record in past.records if record.at})[5::11]
    for at in moments:
        database = connect(Config(mongodb_uri=mongodb_uri, mongodb_database=f"test_{uuid4().hex}"))
        try:
            then = Past.__new__(Past)
            then.view, then.database = past.view, database
            projector = Projector(database, [replace(past.view, handlers=of_history(past.view))])
            projector.offsets([])
            for records in past.sources.values():
                known = [record for record in records if began(past, record) <= at]
                if known:
                    projector.process([replace(record, offset=number) for number, record in enumerate(known)])
            then.reader = ViewReader(database, past.view)
            found, wanted = past.rows(as_of=text(at)), past.told(then.rows())
            assert past.told(found) == wanted, at
            for key, row in found.items():
                one, _ = past.reader.one_as_of(ROOT, key, {"as_of": [text(at)]}, None)
                assert one == row
        finally:
            database.client.drop_database(database.name)
            database.client.close()


def of_history(view: View) -> dict[type, Any]:
    return {fact: handler for fact, handler in view.handlers.items() if fact in view.history}


def began(past: Past, record: Incoming) -> datetime:
    """When what a record tells holds from: not before what was there when it came."""
    own = past.sources[record.source][: record.offset + 1]
    return (
        max(one.at for one in own if one.key == record.key and past.made(one) and one.at)
        if past.made(record)
        else LONG_AFTER
    )


def test_the_difference_of_two_moments_is_what_the_two_rows_differ_in(past: Past) -> None:
    moments = sorted({record.at for record in past.records if record.at})
    since, until = moments[len(moments) // 3], moments[2 * len(moments) // 3]
    before, after = past.rows(as_of=text(since)), past.rows(as_of=text(until))
    for key in before.keys() & after.keys():
        told, _ = past.reader.history(ROOT, key, {"from": [text(since)], "to": [text(until)]}, None)
        found = {change["field"]: (change["before"], change["after"]) for change in told["difference"]}
        first, last = flat(before[key]), flat(after[key])
        told_fields = {*first, *last} - KEPT_OF_ITSELF - {LABELS}
        names = [name for name in told_fields if first.get(name) != last.get(name)]
        nothing = {name for name, (one, other) in found.items() if one in (None, []) and other in (None, [])}
        assert {name: (one or None, other or None) for name, (one, other) in found.items() if name not in nothing} == {
            name: (first.get(name) or None, last.get(name) or None) for name in names
        }, "a list that nobody has filled may be told as none"
        assert all(since <= datetime.fromisoformat(entry["at"]) <= until for entry in told["items"])


def test_a_moment_that_is_none_or_still_to_come_is_refused_by_its_name(past: Past) -> None:
    key = past.keys[0]
    for name in ("as_of", "from", "to"):
        for value in ("yesterday", "2026-02-30", "99999-01-01", "2030-01-02", "2031-01-01T00:00:00Z", "1e9"):
            with pytest.raises(Refused) as refused:
                if name == "as_of":
                    past.rows(as_of=value)
                else:
                    past.reader.history(ROOT, key, {name: [value]}, None)
            assert (refused.value.code, refused.value.field) == ("VALIDATION", name)
    assert past.rows(as_of="0001-01-01") == {}


def test_nobody_learns_from_the_past_what_is_hidden_from_them_now(past: Past) -> None:
    """Fields that need a right (INV-02), and rows that are not theirs (SEC-18)."""
    hidden = FIELD_RIGHTS.keys() & past.view.types.keys()
    narrow = past.reader
    blind = Principal(uuid4(), "Blind", frozenset({"WHS"}))
    if past.view.scope is None:
        for key in past.rows():
            told = past.entries(key, blind)
            assert not hidden & {change["field"] for entry in told for change in entry["changes"]}
            one, _ = narrow.one_as_of(blind, key, {"as_of": [text(LONG_AFTER)]}, None)
            assert not hidden & one.keys()
        return
    own = {past.view.permission: frozenset[DataScope]({"OWN"})}
    stranger = Principal(uuid4(), "Stranger", frozenset(), scopes=own)
    assert past.rows(stranger, as_of=text(LONG_AFTER)) == {}
    for key in past.rows():
        for ask in (past.reader.history, past.reader.one_as_of):
            with pytest.raises(Refused) as refused:
                ask(stranger, key, {"as_of": [text(LONG_AFTER)]} if ask == past.reader.one_as_of else {}, None)
            assert refused.value.code == "NOT_FOUND"


def test_who_has_a_row_no_more_does_not_find_it_in_the_past(past: Past) -> None:
    if past.view.scope is None:
        return
    owner = past.view.scope.owner
    rows = past.rows()
    key, held = next((key, row[owner]) for key, row in rows.items() if row[owner])
    own = {past.view.permission: frozenset[DataScope]({"OWN"})}
    former = Principal(UUID(held[0] if isinstance(held, list) else held), "Former", frozenset(), scopes=own)
    assert key in past.rows(former, as_of=text(LONG_AFTER))
    state = past.database[STATES].find_one({"_id": past.view.name}) or {}
    another = [str(uuid4())] if isinstance(held, list) else str(uuid4())
    given = {owner: another} | {name: [] for name in past.view.scope.also if isinstance(rows[key].get(name), list)}
    fields = {**given, **past.view.keys_of(given)}
    past.database[state["collection"]].update_one({"_id": key}, {"$set": fields})
    assert key not in past.rows(former, as_of=text(LONG_AFTER))


def test_what_no_version_knows_is_declared_and_a_list_as_of_a_moment_can_not_be_asked_by_it(past: Past) -> None:
    """A sum of it came to 0, and a filter by it found nothing, as if that had been so (INV-06)."""
    versions = past.database[versions_of(past.view.name)].find()
    known = {"id", *past.view.computed} | {name for version in versions for name in version}
    assert set(past.view.without_history) == past.view.types.keys() - known
    now_only = past.view.without_history
    ways = [("sort", sort, sort) for sort in past.view.sortable]
    ways += [("sum", name, name) for name in sums_of(past.view)]
    ways += [("group", name, name) for name in groups_of(past.view)]
    ways += [("where", name, json.dumps({"field": name, "is": "is_empty"})) for name in fields_asked(past.view)]
    for base, rule in past.view.filters.items():
        if isinstance(rule, Range):
            ways += [(f"{base}_from", base, "2026-01-31" if rule.kind in (date, datetime) else "5")]
    for name, field, value in ways:
        assert past.rows(**{name: value}) is not None
        if field not in now_only:
            assert past.rows(as_of=text(LONG_AFTER), **{name: value}) is not None
            continue
        with pytest.raises(Refused) as refused:
            past.rows(as_of=text(LONG_AFTER), **{name: value})
        assert (refused.value.code, refused.value.field) == ("VALIDATION", name)
        assert field in refused.value.message
        assert field in refused.value.message
        assert "as_of" in refused.value.message


def test_a_day_is_its_end_and_today_is_now(past: Past) -> None:
    last = max(record.at for record in past.records if record.at)
    past.reader = ViewReader(past.database, past.view, clock=lambda: last + timedelta(minutes=1))
    assert past.rows(as_of=last.date().isoformat()) == past.rows(as_of=text(last + timedelta(minutes=1)))


def test_a_day_from_which_on_is_all_of_it(past: Past) -> None:
    """From a day to the same day is what happened on it."""
    day = sorted(record.at for record in past.records if record.at)[len(past.records) // 2].date().isoformat()
    key = past.keys[0]
    on_it = [entry for entry in past.entries(key) if entry["at"][:10] == day]
    assert past.entries(key, **{"from": day, "to": day}) == on_it
