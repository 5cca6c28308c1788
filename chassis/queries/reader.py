"""Queries on a view: one row, a page, a file, a history.

What is asked for is read by `asking`, `freshness` tells where the rows are and how current, and `rows` what the caller
sees of them.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from functools import partial
from itertools import chain
from typing import Any, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from bson import Timestamp
from pymongo.database import Database
from pymongo.errors import ExecutionTimeout, OperationFailure

from chassis.access.company import CompanySettings
from chassis.messaging.consistency import Token
from chassis.model.deciding import Caller
from chassis.model.duplicates import MOST_TOLD
from chassis.model.middleware import Offload, at_once
from chassis.model.principal import Principal
from chassis.model.views import View
from chassis.model.whose import Whose
from chassis.model.wording import Wording
from chassis.projections.collections import collation
from chassis.projections.documents import stored
from chassis.projections.versions import NUMBER, OF, versions_of
from chassis.queries import cursors, custom_sheet, formulas, history, viewed
from chassis.queries.asking import Asked, Asking, flag, one
from chassis.queries.cursors import Cursor, Part, SortOrder
from chassis.queries.exports import (
    EXPORT_LIMIT,
    Column,
    CsvSheet,
    ExcelSheet,
    FileBody,
    Sheet,
    in_words,
    stamp,
    told_apart,
)
from chassis.queries.filters import ClosedSets, in_form
from chassis.queries.freshness import (
    LONGEST_PAUSE,
    NO_SUCH_MOMENT,
    NOT_YET,
    TOO_OLD,
    WAIT_SECONDS,
    Freshness,
    Seen,
    States,
    as_of,
    freshness_of,
)
from chassis.queries.history import Labels
from chassis.queries.parents import names_in
from chassis.queries.remembered import Remembered
from chassis.queries.rows import Rows, plain, value_at
from chassis.queries.subjects import SeenSubject, of_seen
from chassis.queries.view_now import ViewNow
from chassis.queries.viewed import Viewings
from contracts.custom_fields import OWN
from contracts.errors import Refused, not_found
from contracts.languages import LANGUAGES
from contracts.lists import AS_OF, GROUP, SORT, SUM, VIEWED, WHERE, Heads
from contracts.merging import MERGED_IDS, MERGED_INTO
from contracts.parameters import PARAMETERS
from contracts.records import OWNER
from contracts.sharing import SHARES

Document = dict[str, Any]
T = TypeVar("T")

DEFAULT_LIMIT = PARAMETERS["lists.rows"].default
MOST_MERGED = 200
"""So many places of an index MongoDB merges in an order (internalQueryMaxScansToExplode)."""
EXPORT_ROWS = 200
"""Rows of an export that are read, and then written aside, at once."""
PAGE_MS, EXPORT_MS = 10_000, 60_000
WHERE_MS = 3_000
"""So long a page may take whose conditions, or groups, somebody made up: they may read every row in reach."""
PART_MS = 1_000
"""So long the rows of a list, and how many there are, may each take where they are a part of a page with others."""
FORMATS = ("json", "csv", "xlsx")
IN_ANY_ORDER = SortOrder("_id", 1)
NO_ROW: Mapping[str, Any] = {"_id": {"$in": []}}


@dataclass(frozen=True)
class Page:
    """Rows of a list, the cursors of the pages beside it and of the last one, how fresh, and if asked for the total and
    groups of all rows."""

    items: list[Document]
    next: str | None
    freshness: Freshness
    total: int | None = None
    previous: str | None = None
    last: str | None = None
    groups: list[Document] | None = None


class Same(NamedTuple):
    """Rows that are the same in what was asked: the first of those that the caller sees, and whether there are some
    that they don't see."""

    items: list[Document]
    is_unseen: bool


class ViewReader:
    """Answers queries on one view."""

    def __init__(
        self,
        database: "Database[Document]",
        view: View,
        *,
        sleep: Callable[[float], None] = time.sleep,
        zone: Callable[[], tzinfo] = lambda: UTC,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        aside: Offload = at_once,
        company: CompanySettings | None = None,
        records: Mapping[str, Callable[[], int]] | None = None,
        known: ClosedSets | None = None,
        subjects: "Mapping[str, ViewReader] | None" = None,
        parents: "Mapping[str, ViewReader] | None" = None,
        viewings: View | None = None,
        merging: "Mapping[str, Sequence[ViewReader]] | None" = None,
    ) -> None:
        """`records` tells the newest audit record of each service that is hosted here: of its commands without events,
        which no position tells, the audit log has an entry too.  `known` tells what filters take besides what is
        declared.  `subjects` read the lists of the records that this view's rows are about, by kind, and `parents`
        those of the records that its rows name, by the field that does.  `viewings` is the list of what people have
        looked at last.  `merging` read the lists of records that may have gone into others, by the filter that names
        such."""
        self._merging = merging or {}
        self._subjects, self._parents = subjects or {}, parents or {}
        self._database = database
        self._view = view
        self._sleep = sleep
        self._zone = zone
        self._clock = clock
        self._aside = aside
        self._company = company or CompanySettings(ZoneInfo("UTC"))
        self._now = ViewNow(view, self._company)
        self._states = States(database, view, sleep, records or {})
        self._viewings = Viewings(database, viewings, States(database, viewings, sleep, {})) if viewings else None
        self._remembered = Remembered()
        self.rows = Rows(view, self._company, self._now, clock)
        self.asking = Asking(self._now, self.rows, self._company, zone=zone, clock=clock, known=known)

    @property
    def name(self) -> str:
        """What the view is called."""
        return self._view.name

    # -- what callers use

    def one(
        self, principal: Principal, key: str, token: Token | None, language: str = LANGUAGES[0]
    ) -> tuple[Document, Freshness]:
        """The row with this key, or what holds while nothing has happened to it.

        Raises Refused NOT_FOUND, also for a row outside the caller's scope, and for a record that is none any more.
        """
        seen = self._ready_with_subjects(token)
        state = seen.state
        condition: Document = {"$and": [*self._one_seen(principal, key, seen.at), dict(self._view.shown())]}
        collection = self._database[state["collection"]]
        if self._view.of_subject:
            stages = [{"$match": condition}, *self._of_seen(principal, seen.at)]
            found = next(self._read(state["collection"], stages, IN_ANY_ORDER, seen.at, PAGE_MS), None)
        else:
            found = collection.find_one(condition)
        if found is None and key in self._view.defaults and collection.find_one({"_id": key}) is None:
            found = self._default(key)
        if found is not None and (worked_out := formulas.stages(self._now.fields)):
            [found] = self._database.aggregate([{"$documents": {"$literal": [found]}}, *worked_out])
        if found is None:
            field = self._view.detail or self._view.path.rpartition("{")[2].rstrip("}")
            raise not_found(self._view.what, field, self._view.defaults)
        if self._view.has_merges and found.get(MERGED_INTO):
            found[MERGED_INTO] = self._survivors([key], seen.at)[key]
        self._view.require_open(found)
        [row] = self._told([found], principal, language, seen)
        return row, freshness_of(state)

    def alike(
        self,
        principal: Principal,
        asked: Sequence[Mapping[str, Sequence[str]]],
        besides: str,
        token: Token | None,
        language: str = LANGUAGES[0],
    ) -> tuple[list[Same], Freshness]:
        """The rows that hold each of the given values, of whomever they are, but for the one with the key `besides`.

        Raises Refused VALIDATION naming the field.
        """
        conditions = [self.asking.equal(principal, given) for given in asked]

        def read(seen: Seen) -> tuple[list[Same], Freshness]:
            scope = self._scope(principal, seen.at) if principal.may(self._view.permission) else dict(NO_ROW)
            others = {"_id": {"$ne": besides}}
            found = [self._same(principal, [*one, others], scope, seen, language) for one in conditions]
            return found, freshness_of(seen.state)

        return self._at_a_moment(token, read)

    def _same(
        self, principal: Principal, conditions: Sequence[Document], scope: Document, seen: Seen, language: str
    ) -> Same:
        every, collection = [*conditions, dict(self._view.shown())], seen.state["collection"]
        if self._view.has_merges:
            every = [self._now_the_same(every, conditions[-1], seen)]
        stages: list[Document] = [{"$match": {"$and": [*every, scope]}}, {"$sort": {"_id": 1}}, {"$limit": MOST_TOLD}]
        stages += formulas.stages(self._now.fields)
        rows = list(self._read(collection, stages, IN_ANY_ORDER, seen.at, PAGE_MS))
        matching = {"$match": {"$and": [*every, {"$nor": [scope]}]}}
        unseen: list[Document] = [matching, {"$limit": 1}, {"$project": {"_id": 1}}]
        is_unseen = bool(scope) and any(self._read(collection, unseen, IN_ANY_ORDER, seen.at, PAGE_MS))
        return Same(self._told(rows, principal, language, seen), is_unseen)

    def _now_the_same(self, every: Sequence[Document], others: Document, seen: Seen) -> Document:
        """The condition for the rows of which all these hold, and in place of those that went into others for these."""
        stages: list[Document] = [{"$match": {"$and": [*every, {MERGED_INTO: {"$ne": None}}]}}, {"$limit": MOST_TOLD}]
        gone = [row["_id"] for row in self._read(seen.state["collection"], stages, IN_ANY_ORDER, seen.at, PAGE_MS)]
        still = {"$and": [*every, {MERGED_INTO: None}]}
        if not gone:
            return still
        survivors = {"_id": {"$in": sorted({*self._survivors(gone, seen.at).values()})}}
        return {"$or": [still, {"$and": [survivors, others, dict(self._view.shown())]}]}

    # -- records that went into others (ADR 0066)

    def merged_with(self, ids: Iterable[str], at: Timestamp | None, as_of: datetime | None = None) -> list[str]:
        """The records that went into some, through however many others, as of a moment of the view; `as_of`: as it was
        then."""
        return self._followed(ids, at, as_of, lambda row: row.get(MERGED_IDS) or ())

    def _survivors(self, ids: Iterable[str], at: Timestamp | None) -> dict[str, str]:
        """The records that some are a part of now, by those.

        Where news are missing they may lead in a circle: then it is the last one before that closes.
        """
        above: dict[str, str] = {}

        def into(row: Document) -> Sequence[str]:
            if row.get(MERGED_INTO):
                above[row["_id"]] = row[MERGED_INTO]
            return [row[MERGED_INTO]] if row.get(MERGED_INTO) else []

        wanted = [*ids]
        self._followed(wanted, at, None, into)
        found = {}
        for id in wanted:
            seen = {last := id}
            while last in above and above[last] not in seen:
                seen.add(last := above[last])
            found[id] = last
        return found

    def _followed(
        self,
        ids: Iterable[str],
        at: Timestamp | None,
        as_of: datetime | None,
        named: Callable[[Document], Sequence[str]],
    ) -> list[str]:
        """The records that are reached from some by what their rows name, without those."""
        state, seen = self._states.of(at), dict.fromkeys(ids)
        first, further = len(seen), [*seen]
        while state and further:
            stages: list[Document] = [{"$match": {"_id": {"$in": further}}}]
            if as_of:
                stages = [{"$match": {OF: {"$in": further}}}, *history.holding(as_of)]
            collection = versions_of(state["collection"]) if as_of else state["collection"]
            rows = self._read(
                collection, [*stages, {"$project": {OF: 1, MERGED_IDS: 1, MERGED_INTO: 1}}], IN_ANY_ORDER, at, PAGE_MS
            )
            further = [id for row in rows for id in named(row) if id not in seen]
            seen |= dict.fromkeys(further)
        return [*seen][first:]

    def _reached(self, principal: Principal, at: Timestamp | None, rights: Sequence[str] = ()) -> Document:
        """The condition for the rows of which somebody learns something, as of a moment: those in scope, and what went
        into such.  Whoever saw a record that went into another one sees it with that one, or no more."""
        scope = self._scope(principal, at, rights)
        if not (scope and self._view.has_merges):
            return scope
        state = self._states.of(at)
        own = {"$and": [scope, {MERGED_INTO: None}]}
        stages: list[Document] = [{"$match": {"$and": [own, {MERGED_IDS: {"$gt": ""}}]}}, {"$project": {MERGED_IDS: 1}}]
        rows = self._read(state["collection"], stages, IN_ANY_ORDER, at, PAGE_MS) if state else ()
        merged = [id for row in rows for id in row[MERGED_IDS]]
        return {"$or": [own, {"_id": {"$in": [*merged, *self.merged_with(merged, at)]}}]} if merged else own

    def _with_merged(
        self,
        asked: Asked,
        principal: Principal,
        params: Mapping[str, Sequence[str]],
        at: Timestamp | None,
    ) -> Asked:
        """What is asked for, and what there is about the records that went into those which filters name."""
        found: dict[str, list[str]] = {}
        for name in params.keys() & self._merging.keys():
            ids = [in_form(name, "id", value) for value in params[name]]
            merged = [id for reader in self._merging[name] for id in reader.merged_with(ids, at, asked.at)]
            if merged:
                found[name] = merged
        if not found:
            return asked
        more = self.asking.asked(principal, params, asked.language, found)
        return asked._replace(selection=more.selection, through=more.through)

    def names_of(self, ids: Iterable[str], principal: Principal, at: Timestamp | None) -> Mapping[str, str]:
        """What those of some records are called that somebody sees, as of a moment; deleted ones too."""
        view, state = self._view, self._states.of(at)
        if state is None or not principal.may(view.permission):
            return {}
        condition = {"$and": [{"_id": {"$in": [*ids]}}, self._reached(principal, at), dict(view.where)]}
        stages: list[Document] = [{"$match": condition}, {"$project": {view.called: 1}}]
        found = self._read(state["collection"], stages, IN_ANY_ORDER, at, PAGE_MS)
        return {row["_id"]: row.get(view.called) or "" for row in found}

    def named_by(self, row: Mapping[str, Any], field: str) -> Document | None:
        """The row of the record that a row names by a field, whoever may see it; None where it names none."""
        id, reader = row.get(field), self._parents.get(field)
        if not id or reader is None:
            return None
        seen = reader._states.look()
        stages: list[Document] = [{"$match": {"_id": id}}, {"$set": {"id": "$_id"}}]
        return next(reader._read(seen.state["collection"], stages, IN_ANY_ORDER, seen.at, PAGE_MS), None)

    def count_with(self, field: str, id: str) -> int:
        """How many rows, of whomever, name a record by a field; without those that were deleted."""
        place, make = self._view.place_of(field), self._view.type_of(field).equal
        seen = self._states.look()
        merged = [one for reader in self._merging.get(field, ()) for one in reader.merged_with([id], seen.at)]
        keys = [key for one in (id, *merged) for key in (make(one) if make else [one])]
        counted: list[Document] = [
            {"$match": {"$and": [{place: {"$in": keys}}, dict(self._view.shown())]}},
            {"$count": "count"},
        ]
        return sum(
            found["count"] for found in self._read(seen.state["collection"], counted, IN_ANY_ORDER, seen.at, PAGE_MS)
        )

    def _told(self, documents: Sequence[Document], principal: Principal, language: str, seen: Seen) -> list[Document]:
        """What somebody sees of documents, and what the records are called that those name."""
        called = names_in(documents, self._parents, principal, seen.at)
        return self.rows.told(documents, principal, language, called)

    def one_as_of(
        self,
        principal: Principal,
        key: str,
        params: Mapping[str, Sequence[str]],
        token: Token | None,
        language: str = LANGUAGES[0],
    ) -> tuple[Document, Freshness]:
        """The row with this key as it was at the moment that `as_of` names.

        Raises Refused NOT_FOUND, also for a row that is outside the caller's scope now, and where there was none then.
        """
        at = history.moment(params, AS_OF, self._zone(), self._clock())
        assert at is not None, "who asks for now asks for `one`"
        seen = self._states.ready(token)
        self._require_seen(principal, key, seen)
        found = self._version(key, at, seen, principal)
        if found is None:
            raise Refused("records.unknown_then", kind=self._view.what, field=AS_OF)
        [row] = self._told([found], principal, language, seen)
        return row, freshness_of(seen.state)

    def history(
        self,
        principal: Principal,
        key: str,
        params: Mapping[str, Sequence[str]],
        token: Token | None,
        language: str = LANGUAGES[0],
    ) -> tuple[Document, Freshness]:
        """Who changed what in the row with this key, the newest first; of a deleted one too.

        With `from` or `to` it is what happened between, and the `difference` between the two.
        Raises Refused NOT_FOUND, also for a row outside the caller's scope, and VALIDATION.
        """
        part = history.asked(params, self._zone(), self._clock())
        limit = self.asking.limit(principal, one(params, history.LIMIT))
        seen = self._states.ready(token)
        self._require_seen(principal, key, seen)
        names = history.told_fields(self._view, self.rows.names(principal))
        show = partial(plain, unseen=self.rows.unseen(principal))
        found = list(self._newest(history.versions_asked(key, part), limit + 1, seen))
        is_more = len(found) > limit
        if found and not is_more:
            found += list(self._newest({OF: key, NUMBER: {"$lt": found[-1][NUMBER]}}, 1, seen)) or [{}]
        found = list(self.rows.without_unseen(found, principal))
        called = names_in(found, self._parents, principal, seen.at)
        labels = partial(self.rows.labels, names=names, principal=principal, language=language, called=called)
        told: Document = {"items": history.entries(found, names, show, labels)}
        told["next"] = str(found[limit - 1][NUMBER]) if is_more else None
        if part.since or part.until:
            ends = (
                (self._version(key, part.since, seen, principal) if part.since else None) or {},
                self._version(key, part.until or self._clock(), seen, principal) or {},
            )
            before, after = self.rows.without_unseen(ends, principal)
            told["difference"] = history.difference(before, after, names, show, labels)
        return told, freshness_of(seen.state)

    def _require_seen(self, principal: Principal, key: str, seen: Seen) -> None:
        """Raises Refused NOT_FOUND unless there is such a row, deleted perhaps, in the caller's scope now."""
        stages: list[Document] = [
            {"$match": {"$and": self._one_seen(principal, key, seen.at)}},
            {"$project": {"_id": 1}},
        ]
        if not list(self._read(seen.state["collection"], stages, IN_ANY_ORDER, seen.at, PAGE_MS)):
            raise not_found(self._view.what, self._view.detail)

    def _version(self, key: str, at: datetime, seen: Seen, principal: Principal) -> Document | None:
        """The row with this key as it was at a moment."""
        there: list[Document] = [{"$match": {OF: key}}, *history.holding(at), {"$match": dict(self._view.where)}]
        worked_out = formulas.stages(self._now.fields_at(at, principal))
        return next(self._versions([*there, *worked_out], seen), None)

    def _newest(self, condition: Document, number: int, seen: Seen) -> Iterator[Document]:
        """The newest versions for which a condition holds."""
        return self._versions([{"$match": condition}, {"$sort": {NUMBER: -1}}, {"$limit": number}], seen)

    def _versions(self, stages: Sequence[Document], seen: Seen) -> Iterator[Document]:
        return self._read(versions_of(seen.state["collection"]), stages, IN_ANY_ORDER, seen.at, PAGE_MS)

    def page(
        self,
        principal: Principal,
        params: Mapping[str, Sequence[str]],
        token: Token | None,
        language: str = LANGUAGES[0],
    ) -> Page:
        """One page of the list, texts in the order of `language`.

        With a cursor it is of the same moment as the first page, whatever the token says.  Raises Refused VALIDATION
        naming the parameter at fault.
        """
        asked = self.asking.asked(principal, params, language)
        text = one(params, "cursor")
        with _narrowed(params):
            if self._viewings and asked.order.field == VIEWED:
                self._viewings.wait(token)
            if text:
                return self._next_page(principal, params, asked, Cursor.read(text))
            self._wait_for_merging(params, token)
            return self._at_a_moment(
                token,
                lambda seen: self._page(principal, params, self._with_merged(asked, principal, params, seen.at), seen),
            )

    def _wait_for_merging(self, params: Mapping[str, Sequence[str]], token: Token | None) -> None:
        """Wait until what may have gone into the records that filters name is known, as the token promises."""
        for name in params.keys() & self._merging.keys():
            for reader in self._merging[name]:
                reader._states.ready(token)

    def first_page(
        self,
        principal: Principal,
        params: Mapping[str, Sequence[str]],
        token: Token | None,
        language: str = LANGUAGES[0],
    ) -> Page | None:
        """The first page of the list with the total, where there is no long time for it: without the total where that
        can't be counted in PART_MS, and None where the rows can't be read in PART_MS either."""
        self._wait_for_merging(params, token)
        for more in ({"count": ["true"]}, {}):
            given = {**params, **more}
            read = partial(self._first_page, principal, given, self.asking.asked(principal, given, language))
            with suppress(ExecutionTimeout):
                return self._at_a_moment(token, read)
        return None

    def _first_page(self, principal: Principal, params: Mapping[str, Sequence[str]], asked: Asked, seen: Seen) -> Page:
        asked = self._with_merged(asked, principal, params, seen.at)
        return self._page(principal, params, asked, seen, within=PART_MS)

    def _next_page(
        self, principal: Principal, params: Mapping[str, Sequence[str]], asked: Asked, cursor: Cursor
    ) -> Page:
        order = cursor.order
        if cursor.view != self._view.name:
            raise cursors.not_taken("lists.cursor_list")
        if cursor.conditions != asked.conditions:
            raise cursors.not_taken("lists.cursor_filters")
        if (order.field, order.direction) != (asked.order.field, asked.order.direction):
            raise cursors.not_taken("lists.cursor_sort")
        if order.language not in self._now.seen(principal).view.orders_of(order.field):
            raise cursors.not_taken("lists.cursor_language")
        try:
            state = self._states.at(cursor.at)
            if (
                self._is_renewed_since(cursor.at)
                or state is None
                or self._states.look().state["collection"] != cursor.collection != ""
            ):
                raise cursors.not_taken("lists.cursor_renewed")
            asked = self._with_merged(asked, principal, params, cursor.at)
            return self._page(principal, params, asked._replace(order=order), Seen(state, cursor.at), cursor)
        except OperationFailure as error:
            if error.code in (NO_SUCH_MOMENT, TOO_OLD, NOT_YET):
                raise cursors.not_taken("lists.cursor_too_old") from error
            raise

    def _page(
        self,
        principal: Principal,
        params: Mapping[str, Sequence[str]],
        asked: Asked,
        seen: Seen,
        cursor: Cursor | None = None,
        *,
        within: int = PAGE_MS,
    ) -> Page:
        order, limit, groups, is_later = asked.order, asked.limit, None, cursor is not None
        collection, total = asked.collection(seen.state["collection"]), None
        is_free = {WHERE, GROUP, SUM} & set(params) or not self._view.is_sorted_by_index(order.field)
        selection, milliseconds = self._selected(principal, asked, seen), min(within, WHERE_MS if is_free else PAGE_MS)
        of_seen = self._of_seen(principal, seen.at)
        every = [*selection, *of_seen]
        if asked.grouping:
            stages = [*every, *asked.grouping.stages()]
            # In no language: values that differ are different.
            groups = asked.grouping.told(self._counted(collection, stages, IN_ANY_ORDER, seen, milliseconds))
        if flag(params, "count"):
            counted = self._counted(collection, [*every, {"$count": "total"}], order, seen, milliseconds)
            total = next((found["total"] for found in counted), 0)
        cursor = cursor or Cursor(
            self._view.name,
            asked.conditions,
            order,
            seen.state["collection"],
            seen.at or Timestamp(0, 0),
            None,
            "",
        )
        if cursor.is_looked_up:
            cursor = self._with_value(cursor, collection, every, seen.at, milliseconds)
        worked_out = formulas.stages(self._now.fields_at(asked.at, principal))
        documents: list[Document] = []
        without_value: set[str] = set()
        rows_of = self._rows_of(principal, order, seen.at)
        for part in cursor.parts():
            matching = [*selection, *rows_of(part)]
            if asked.scope and order.field == self._view.order.removeprefix("-") and not asked.at:
                matching = _each_by_its_index(matching, asked.scope)
            wanted = {"$limit": limit + 1 - len(documents)}
            # subjects are looked up row by row, until the page is full
            stages = [*matching, {"$sort": part.sort}, *of_seen, wanted, *worked_out]
            found = list(self._read(collection, stages, order, seen.at, milliseconds))
            documents += found
            without_value |= {row["_id"] for row in found if part.is_empty}
            if len(documents) > limit:
                break
        is_more, has_come_from = len(documents) > limit, bool(cursor.key and documents)
        documents = documents[:limit][:: -1 if cursor.back else 1]

        def beside(row: Document, back: bool) -> str:
            value = None if row["_id"] in without_value else value_at(row, order.field)
            return replace(cursor, value=value, key=row["_id"], back=back).text()

        ends = documents[:1], documents[-1:]
        if is_later and not self._view.sums and (asked.scope or of_seen or self._view.through):
            documents = self._still_seen(principal, documents)
        is_next, is_previous = (has_come_from, is_more) if cursor.back else (is_more, has_come_from)
        return Page(
            items=self._told(documents, principal, asked.language, seen),
            next=beside(ends[1][0], False) if is_next else None,
            previous=beside(ends[0][0], True) if is_previous else None,
            last=replace(cursor, value=None, key="", back=True).text() if is_next else None,
            freshness=freshness_of(seen.state),
            total=total,
            groups=groups,
        )

    def _counted(
        self, collection: str, stages: list[Document], order: SortOrder, seen: Seen, milliseconds: int
    ) -> list[Document]:
        """What is counted of all rows of a list, read or remembered.

        Of what is about other records more decides than the rows of this view, and the audit log's state is of another
        kind: those are counted each time.
        """

        def count() -> list[Document]:
            return list(self._read(collection, stages, order, seen.at, milliseconds))

        if self._view.of_subject or self._view.collected:
            return count()
        return self._remembered.get(seen.state, [*stages, {"$collation": order.language}], count)

    def _rows_of(
        self, principal: Principal, order: SortOrder, at: Timestamp | None
    ) -> Callable[[Part], list[Document]]:
        """What makes the stages that leave the rows of a part of the list, as of a moment."""
        if order.field != VIEWED or VIEWED in self._view.types:
            return lambda part: [{"$match": part.condition}]
        moments = self._viewings.of(principal, self._view.subject, at) if self._viewings else {}
        return partial(viewed.rows_of, moments=moments)

    def _with_value(
        self, cursor: Cursor, collection: str, selection: Sequence[Document], at: Timestamp | None, milliseconds: int
    ) -> Cursor:
        """A cursor with the value of its row, among those that the caller sees.  Raises Refused for a row that is none:
        where it stands would tell what it holds."""
        stages = [*selection, {"$match": {"_id": cursor.key}}]
        row = next(self._read(collection, stages, cursor.order, at, milliseconds), None)
        value = value_at(row, cursor.order.field) if row else None
        if not isinstance(value, str):
            raise cursors.not_taken("lists.cursor_renewed")
        return replace(cursor, value=value, is_looked_up=False)

    def _still_seen(self, principal: Principal, documents: Sequence[Document]) -> list[Document]:
        """Those of a later page that the caller may see now: a page is of a moment ago, and rights are those of now."""
        seen, key = self._states.look(), OF if documents and OF in documents[0] else "_id"
        there = {"$in": [document[key] for document in documents]}
        condition = {"$and": [{"_id": there}, self._reached(principal, seen.at), dict(self._view.where)]}
        stages = [{"$match": condition}, *self._of_seen(principal, seen.at), {"$project": {"_id": 1}}]
        found = self._read(seen.state["collection"], stages, IN_ANY_ORDER, seen.at, PAGE_MS)
        ids = {row["_id"] for row in found}
        return [one for one in documents if one[key] in ids or one[key] in self._view.defaults]

    def export(
        self,
        principal: Principal,
        params: Mapping[str, Sequence[str]],
        token: Token | None,
        format: str,
        *,
        language: str = LANGUAGES[0],
        closed: Callable[[], None] = lambda: None,
        shown: Sequence[str] = (),
        heads: Heads = "names",
    ) -> FileBody:
        """All rows of a list as CSV or Excel, of one moment, written aside of other requests; `closed` when it is gone.

        `shown` names its columns in their order; else it has all of them.  Their heads are the names of fields, or what
        those are called in the language.

        Raises Refused TOO_LARGE for more rows than may be (`exports.rows`): nothing is cut.
        """
        for name in ("limit", "cursor", "count", GROUP, SUM):
            if name in params:
                raise Refused("lists.whole_file", field=name)
        asked = self.asking.asked(principal, params, language)._replace(shown=shown, heads=heads)
        with _narrowed(params):
            self._wait_for_merging(params, token)
            return self._at_a_moment(
                token,
                lambda seen: self._export(
                    principal, self._with_merged(asked, principal, params, seen.at), seen, format, closed
                ),
            )

    def _export(
        self,
        principal: Principal,
        asked: Asked,
        seen: Seen,
        format: str,
        closed: Callable[[], None],
    ) -> FileBody:
        collection, order = asked.collection(seen.state["collection"]), asked.order
        selection = [*self._selected(principal, asked, seen), *self._of_seen(principal, seen.at)]
        most = min(EXPORT_LIMIT, self._company.parameter("exports.rows"))
        counting = [*selection, {"$limit": most + 1}, {"$count": "total"}]
        counted = next(self._read(collection, counting, order, seen.at, EXPORT_MS), {"total": 0})
        if counted["total"] > most:
            raise Refused("lists.export_rows", most=most, field="format")
        names = self.rows.names(principal)
        columns = self._columns(names, principal, asked)
        show = partial(plain, unseen=self.rows.unseen(principal))
        shown = partial(self.rows.shown, caller=Caller.of(principal), language=asked.language)
        sheet: Sheet = self._aside(self._sheet, format, columns, show, asked)
        labels = partial(self.rows.labels, names=names, principal=principal, language=asked.language)
        try:
            rows_of = self._rows_of(principal, order, seen.at)
            end = [*self._without_keys(), *formulas.stages(self._now.fields_at(asked.at, principal))]
            found = chain.from_iterable(
                self._read(
                    collection,
                    [*selection, *rows_of(part), {"$sort": part.sort}, *end],
                    order,
                    seen.at,
                    EXPORT_MS,
                )
                for part in order.whole()
            )
            for documents in _batches(found, EXPORT_ROWS):
                called = names_in(documents, self._parents, principal, seen.at)
                self._aside(
                    self._add,
                    sheet,
                    columns,
                    documents,
                    partial(shown, called=called),
                    partial(labels, called=called),
                )
            say = self._words(asked).sheet
            as_of = stamp(asked.at or freshness_of(seen.state).as_of)
            about = {say("sheet_list"): self._view.path, say("sheet_as_of"): as_of}
            file = self._aside(sheet.finish, about)
        except BaseException:
            sheet.abandon()
            raise
        return FileBody(file, sheet.told.headers(), closed)

    def _without_keys(self) -> list[Document]:
        """The stage that leaves out what rows are only found by: a third of a document."""
        keys = sorted(place for _, place, _ in self._view.keys)
        return [{"$unset": keys}] if keys else []

    def _sheet(self, format: str, columns: Sequence[Column], show: Callable[[Any], Any], asked: Asked) -> Sheet:
        if format == "csv":
            return CsvSheet(columns, show)
        words = self._words(asked)
        title = words.list(self._view.name) if asked.heads == "labels" else self._view.name
        return ExcelSheet(title, columns, show, self._zone(), words)

    def _words(self, asked: Asked) -> Wording:
        """The words of a file: those of its reader, or for programs, which get names and codes, English."""
        return Wording(asked.language if asked.heads == "labels" else "en", self._company.language)

    def _add(
        self,
        sheet: Sheet,
        columns: Sequence[Column],
        documents: Iterable[Document],
        shown: Callable[[Document], Document],
        labels: Labels,
    ) -> None:
        rows = []
        for document in documents:
            told = {name: label for name, label in labels(document).items() if label or name not in self._parents}
            row = {**shown(document), **told}
            rows.append([column.of(row) for column in columns])
        sheet.add(rows)

    def _columns(self, names: Sequence[str], principal: Principal, asked: Asked) -> list[Column]:
        """The columns of a file: those named of the row, and in place of `own` those that the company has added; of
        these the `shown` ones in their order, or all."""
        view, wording = self._view, self._words(asked)
        owners = (view.name, view.what)
        declared = (name for name in names if name != OWN or not view.kind)
        seen = self._now.seen(principal).fields
        own = custom_sheet.columns(seen, Wording(asked.language, self._company.language), principal)
        of_view = (Column(name, view.types[name], None, wording.field(owners, name)) for name in declared)
        found = {column.name: column for column in (*of_view, *own)}
        paths = [field.path for field in seen]
        shown = [one for name in asked.shown for one in ([*paths] if name == OWN and paths else [name]) if one in found]
        columns = [found[name] for name in dict.fromkeys(shown or found)]
        if asked.heads == "names":
            return [replace(column, head="") for column in columns]
        return told_apart(in_words(one, wording, self._said(one, wording)) for one in columns)

    def _said(self, column: Column, wording: Wording) -> dict[str, str]:
        """What the choices of a column of the row are called, by their codes."""
        view, name = self._view, column.name
        codes = column.type.single.choices or view.named.get(name, ())
        return {code: wording.choice((view.name, view.what), name, code) for code in codes}

    # -- reading

    def _read(
        self, collection: str, stages: Sequence[Document], order: SortOrder, at: Timestamp | None, milliseconds: int
    ) -> Iterator[Document]:
        """What these stages give, as of a moment."""
        more: Document = {"collation": self._collation(order.language)} if order.language else {}
        found = self._database.cursor_command(
            "aggregate",
            collection,
            pipeline=list(stages),
            cursor={"batchSize": EXPORT_ROWS + 1},
            maxTimeMS=milliseconds,
            readConcern=as_of(at),
            codec_options=self._database.codec_options,
            **more,
        )
        # Else what follows the first batch is 16 MB at once: all other requests wait while that is decoded.
        return iter(found.batch_size(EXPORT_ROWS + 1))

    def _collation(self, language: str) -> Document:
        """How texts are compared.  Rows that are added up are told apart by code points too."""
        return {**collation(language), "strength": 5} if self._view.sums else collation(language)

    def _one_seen(self, principal: Principal, key: str, at: Timestamp | None) -> list[Document]:
        """The conditions for the row with this key, where somebody sees it."""
        named: Document = {"_id": key}
        through = self._view.through
        if not through:
            return [named, self._reached(principal, at)]
        state = self._states.of(at)
        stages: list[Document] = [{"$match": named}, {"$project": {through: 1}}]
        rows = self._read(state["collection"], stages, IN_ANY_ORDER, at, PAGE_MS) if state else ()
        return [named, self._through(principal, at, among=[row[through] for row in rows])]

    def _scope(self, principal: Principal, at: Timestamp | None, rights: Sequence[str] = ()) -> Document:
        """The condition for the rows that somebody sees, as of a moment, by the right to this view and these `rights`:
        by whose they are, or by the records through which they are reached (ADR 0054)."""
        if self._view.through:
            return self._through(principal, at, rights)
        found = (self.asking.scope(principal, right) for right in dict.fromkeys(("", *rights)))
        parts = [condition for condition in found if condition]
        return {"$and": parts} if len(parts) > 1 else {**parts[0]} if parts else {}

    def _through(
        self,
        principal: Principal,
        at: Timestamp | None,
        rights: Sequence[str] = (),
        *,
        among: Sequence[str] | None = None,
    ) -> Document:
        """The condition for the rows of the records through which somebody reaches them; none for who reaches all.

        Those records are looked up first, `among` those that may be meant, and named in the condition: a look for each
        row would read all that belongs to others, too.
        """
        view, parent = self._view, self._parents[self._view.through]
        own = [] if view.permission == parent._view.permission else [view.permission]
        condition = parent._reached(principal, at, (*own, *rights))
        if not condition:
            return {}
        state = parent._states.of(at)
        meant: Document = {} if among is None else {"_id": {"$in": [*among]}}
        matching = {"$match": {"$and": [condition, dict(parent._view.where), meant]}}
        stages: list[Document] = [matching, {"$project": {"_id": 1}}]
        found = parent._read(state["collection"], stages, IN_ANY_ORDER, at, PAGE_MS) if state else ()
        place, make = view.place_of(view.through), view.type_of(view.through).equal
        ids = [row["_id"] for row in found]
        of_none = [None] if view.within else []
        return {place: {"$in": [*of_none, *([key for id in ids for key in make(id)] if make else ids)]}}

    def whose(self, key: str) -> Whose | None:
        """Whose the record with this key is now, or the one through which it is reached; None: there is no such row."""
        view, seen = self._view, self._states.look()
        through = view.reached_through
        key = self._survivors([key], seen.at)[key] if view.has_merges else key
        stages: list[Document] = [{"$match": {"_id": key}}, {"$project": {OWNER: 1, SHARES: 1, through or OWNER: 1}}]
        row = next(self._read(seen.state["collection"], stages, IN_ANY_ORDER, seen.at, PAGE_MS), None)
        if row is None or not through:
            return Whose.of_row(row) if row else None
        above = self._parents[through].whose(row[through])
        return above.through(self._parents[through]._view.permission) if above else None

    def _is_renewed_since(self, at: Timestamp) -> bool:
        """Whether a list was built anew since a moment by whose rows those of this one are seen."""
        through = [self._parents[self._view.through]] if self._view.through else []
        return any(
            reader._states.is_renewed_since(at) or reader._is_renewed_since(at)
            for reader in (*self._subjects.values(), *through)
        )

    def _of_seen(self, principal: Principal, at: Timestamp | None) -> Sequence[Document]:
        """The stages that leave the rows about records that the caller sees, as of a moment; none for other views."""
        if not self._view.of_subject:
            return ()
        found: dict[str, SeenSubject] = {}
        for kind, reader in self._subjects.items():
            if principal.may(reader._view.permission) and (state := reader._states.of(at)):
                condition = {"$and": [reader._reached(principal, at), dict(reader._view.shown())]}
                found[kind] = SeenSubject(state["collection"], condition)
        return of_seen(found)

    def _ready_with_subjects(self, token: Token | None) -> Seen:
        """The same as `_ready`, once the records that rows are about, or name, are as the token promises too."""
        for reader in (*self._subjects.values(), *self._parents.values()):
            reader._ready_with_subjects(token)
        return self._states.ready(token)

    def _at_a_moment(self, token: Token | None, read: Callable[[Seen], T]) -> T:
        """What is read at a moment at which the view has what the token promises."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            seen = self._ready_with_subjects(token)
            try:
                return read(seen)
            except OperationFailure as error:
                if error.code != NOT_YET or time.monotonic() > deadline:
                    raise
                self._sleep(LONGEST_PAUSE)  # an index is being made: a moment later than that can be read

    def _default(self, key: str) -> Document | None:
        """The document of a record that nothing has happened to yet; None for one that is not there by itself."""
        fields = self._view.defaults.get(key)
        return None if fields is None else {"_id": key, **stored(fields), **self._view.keys_of(fields)}

    def _selected(self, principal: Principal, asked: Asked, seen: Seen) -> list[Document]:
        """The stages that select the rows, among them those of records that nothing has happened to yet.

        As of a moment these are rows that the caller may see now, and might have seen then.
        """
        through = self._through(principal, seen.at, among=asked.through) if self._view.through else {}
        reached = [{"$match": through}] if through else []
        if asked.at:
            now = self._reached(principal, seen.at) if self._view.has_merges else asked.scope
            still_seen = history.still_seen(seen.state["collection"], through or now)
            return [*history.holding(asked.at), *reached, *asked.selection, *still_seen]
        defaults = self._view.defaults
        if not defaults:
            return [*reached, *asked.selection]
        collection = seen.state["collection"]
        named: list[Document] = [{"$match": {"_id": {"$in": list(defaults)}}}, {"$project": {"_id": 1}}]
        held = {found["_id"] for found in self._read(collection, named, IN_ANY_ORDER, seen.at, PAGE_MS)}
        untouched = [self._default(key) for key in defaults if key not in held]
        documents = {"$documents": {"$literal": untouched}}  # a text in them is none of MongoDB's expressions
        return [{"$unionWith": {"pipeline": [documents]}}, *asked.selection] if untouched else asked.selection


def _each_by_its_index(stages: Sequence[Document], scope: Document) -> list[Document]:
    """The same stages, where a scope has alternatives (one's own rows, and shared ones) these on the outside.

    MongoDB then reads each by its own index and merges them in the order of the list.  Within other conditions, or of
    more keys, it would read all rows of the scope and sort them, or look through the whole list.
    """
    branches = scope.get("$or", [])
    keys = sum(len(wanted["$in"]) for branch in branches for wanted in branch.values() if "$in" in wanted)
    at = next((number for number, stage in enumerate(stages) if "$match" not in stage), len(stages))
    if not branches or keys > MOST_MERGED or at == 0:
        return [*stages]
    parts = [part for stage in stages[:at] for part in stage["$match"].get("$and", [stage["$match"]])]
    others = [part for part in parts if part is not scope]
    return [{"$match": {"$or": [{"$and": [branch, *others]} for branch in branches]}}, *stages[at:]]


@contextmanager
def _narrowed(params: Mapping[str, Sequence[str]]) -> Iterator[None]:
    """Refuse conditions for which too much must be read, and tell the way out."""
    try:
        yield
    except ExecutionTimeout as error:
        name = next((name for name in (WHERE, GROUP, SUM, "count", SORT) if name in params), None)
        if name is None:
            raise
        raise Refused("system.slow_list", field=name) from error


def _batches(documents: Iterable[Document], size: int) -> Iterator[list[Document]]:
    found: list[Document] = []
    for document in documents:
        found.append(document)
        if len(found) == size:
            yield found
            found = []
    if found:
        yield found
