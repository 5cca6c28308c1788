"""Queries on views: parameters checked, the caller's scope applied, pages, exports, and how fresh the answer is."""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, tzinfo
from functools import lru_cache, partial
from typing import Any, NamedTuple, TypeVar, cast
from zoneinfo import ZoneInfo

from bson import Decimal128, Timestamp
from pymongo.database import Database
from pymongo.errors import ExecutionTimeout, OperationFailure

from chassis.access.company import CompanySettings
from chassis.messaging.consistency import Token, service_of
from chassis.model.context import AccessScope
from chassis.model.custom_columns import extended
from chassis.model.deciding import Caller
from chassis.model.middleware import Offload, at_once
from chassis.model.principal import Principal
from chassis.model.views import CALLER, COMPANY_CURRENCY, LABELS, LISTS, Sums, View
from chassis.projections.audit_collector import tells_of
from chassis.projections.collections import STATES, collation, mongo_key
from chassis.projections.documents import STAMPS, stored, told_of_lists
from chassis.projections.state import live_id
from chassis.projections.versions import NUMBER, OF, versions_of
from chassis.queries import cursors, custom_sheet, formulas, history
from chassis.queries.conditions import Conditions
from chassis.queries.cursors import Cursor, SortOrder
from chassis.queries.exports import EXPORT_LIMIT, Column, CsvSheet, ExcelSheet, FileBody, Sheet, stamp
from chassis.queries.filters import ClosedSets, Filters, require_value, single
from chassis.queries.grouping import Grouping, Label
from chassis.queries.history import Labels
from chassis.queries.subjects import SeenSubject, of_seen
from contracts.custom_fields import OWN, CustomField
from contracts.errors import Refused, not_found
from contracts.languages import LANGUAGES, Language
from contracts.lists import AS_OF, GROUP, MOST_ROWS, PAGING, SORT, SUM, WHERE
from contracts.parameters import PARAMETERS
from contracts.permissions import FIELD_RIGHTS
from contracts.schemas import told_name
from contracts.sharing import SHARED_WITH, SHARES

Document = dict[str, Any]
T = TypeVar("T")

DEFAULT_LIMIT = PARAMETERS["lists.rows"].default
MOST_MERGED = 200
"""So many places of an index MongoDB merges in an order (internalQueryMaxScansToExplode)."""
EXPORT_ROWS = 200
"""Rows of an export that are read, and then written aside, at once."""
AMOUNTS_KEPT = 20_000
LONGEST_PLAIN = 20
"""An amount of so many digits before or behind the point is written with an exponent: no contract takes such."""
PAGE_MS, EXPORT_MS = 10_000, 60_000
WHERE_MS = 3_000
"""So long a page may take whose conditions, or groups, somebody made up: they may read every row in reach."""
WAIT_SECONDS = 5.0
SHORTEST_PAUSE, LONGEST_PAUSE = 0.003, 0.010
FORMATS = ("json", "csv", "xlsx")
IN_ANY_ORDER = SortOrder("_id", 1)
NO_SUCH_MOMENT, TOO_OLD, NOT_YET = 72, 239, 246
"""MongoDB: InvalidOptions, of a moment to come; SnapshotTooOld; SnapshotUnavailable, while an index or so is made."""


@dataclass(frozen=True)
class Freshness:
    """How current an answer is: everything up to `as_of` is in it, and every event up to `positions`."""

    as_of: datetime | None
    positions: Mapping[str, int]


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


class Seen(NamedTuple):
    """A view's state document, and the moment of MongoDB's history that it is of."""

    state: Document
    at: Timestamp | None


class Asked(NamedTuple):
    """A list as somebody asked for it: the stages that select its rows, what tells their conditions from others
    (`cursors.told_apart`), their order, how many a page has, in which groups they are counted, as of which moment if
    not now, whose rows they may be, and in which language people are told of them."""

    selection: list[Document]
    conditions: str
    order: SortOrder
    limit: int
    grouping: Grouping | None = None
    at: datetime | None = None
    scope: Document | None = None
    language: Language = LANGUAGES[0]

    def collection(self, rows: str) -> str:
        """Where they are read, when the rows of now are in `rows`."""
        return versions_of(rows) if self.at else rows


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
    ) -> None:
        """`records` tells the newest audit record of each service that is hosted here: of its commands without events,
        which no position tells, the audit log has an entry too.  `known` tells what filters take besides what is
        declared.  `subjects` read the lists of the records that this view's rows are about, by kind."""
        self._known = known
        self._subjects = subjects or {}
        self._records = records or {}
        self._database = database
        self._view = view
        self._sleep = sleep
        self._zone = zone
        self._clock = clock
        self._aside = aside
        self._company = company or CompanySettings(ZoneInfo("UTC"))
        self._laid_under = {key: stored(fields) for key, fields in view.defaults.items()}
        self._seen = Seen({}, None)
        self._looked_at = 0.0
        self._names = [item.name for item in fields(view.row)]
        self._decimals = {name for name, kind in view.types.items() if kind.kind == "amount"}
        self._lists = {name for name, kind in view.types.items() if kind.kind == "list"}
        self._extended: tuple[Sequence[CustomField], View] = ((), view)

    # -- what callers use

    def one(
        self, principal: Principal, key: str, token: Token | None, language: str = LANGUAGES[0]
    ) -> tuple[Document, Freshness]:
        """The row with this key, or what holds while nothing has happened to it.

        Raises Refused NOT_FOUND, also for a row outside the caller's scope.
        """
        seen = self._ready_with_subjects(token)
        state = seen.state
        condition: Document = {"$and": [{"_id": key}, self._scope(principal), dict(self._view.shown())]}
        collection = self._database[state["collection"]]
        if self._view.of_subject:
            stages = [{"$match": condition}, *self._of_seen(principal, seen.at)]
            found = next(self._read(state["collection"], stages, IN_ANY_ORDER, seen.at, PAGE_MS), None)
        else:
            found = collection.find_one(condition)
        if found is None and key in self._view.defaults and collection.find_one({"_id": key}) is None:
            found = self._default(key)
        if found is not None and (worked_out := formulas.stages(self._custom_fields())):
            [found] = self._database.aggregate([{"$documents": {"$literal": [found]}}, *worked_out])
        if found is None:
            field = self._view.detail or self._view.path.rpartition("{")[2].rstrip("}")
            raise not_found(self._view.what, field, self._view.defaults)
        [row] = self._rows([found], principal, language)
        return row, _freshness(state)

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
        seen = self._ready(token)
        self._require_seen(principal, key, seen)
        found = self._version(key, at, seen)
        if found is None:
            raise Refused("records.unknown_then", kind=self._view.what, field=AS_OF)
        [row] = self._rows([found], principal, language)
        return row, _freshness(seen.state)

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
        limit = self._limit(principal, _one(params, history.LIMIT))
        seen = self._ready(token)
        self._require_seen(principal, key, seen)
        names = history.told_fields(self._view, [name for name in self._names if self._may_see(name, principal)])
        show = partial(plain, unseen=unseen_by(principal))
        found = list(self._newest(history.versions_asked(key, part), limit + 1, seen))
        is_more = len(found) > limit
        if found and not is_more:
            found += list(self._newest({OF: key, NUMBER: {"$lt": found[-1][NUMBER]}}, 1, seen)) or [{}]
        labels = partial(self._labels, names=names, principal=principal, language=language)
        told: Document = {"items": history.entries(found, names, show, labels)}
        told["next"] = str(found[limit - 1][NUMBER]) if is_more else None
        if part.since or part.until:
            before = self._version(key, part.since, seen) if part.since else None
            after = self._version(key, part.until or self._clock(), seen)
            told["difference"] = history.difference(before or {}, after or {}, names, show, labels)
        return told, _freshness(seen.state)

    def _require_seen(self, principal: Principal, key: str, seen: Seen) -> None:
        """Raises Refused NOT_FOUND unless there is such a row, deleted perhaps, in the caller's scope now."""
        stages: list[Document] = [
            {"$match": {"$and": [{"_id": key}, self._scope(principal)]}},
            {"$project": {"_id": 1}},
        ]
        if not list(self._read(seen.state["collection"], stages, IN_ANY_ORDER, seen.at, PAGE_MS)):
            raise not_found(self._view.what, self._view.detail)

    def _version(self, key: str, at: datetime, seen: Seen) -> Document | None:
        """The row with this key as it was at a moment."""
        there: list[Document] = [{"$match": {OF: key}}, *history.holding(at), {"$match": dict(self._view.where)}]
        return next(self._versions([*there, *formulas.stages(self._custom_fields())], seen), None)

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
        asked = self._asked(principal, params, language)
        text = _one(params, "cursor")
        with _narrowed(params):
            if text:
                return self._next_page(principal, params, asked, Cursor.read(text))
            return self._at_a_moment(token, lambda seen: self._page(principal, params, asked, seen))

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
        if order.language not in self._view_now().orders_of(order.field):
            raise cursors.not_taken("lists.cursor_language")
        try:
            state = self._state_at(cursor.at)
            is_renewed = any(reader._is_renewed_since(cursor.at) for reader in self._subjects.values())
            if is_renewed or state is None or self._look().state["collection"] != cursor.collection != "":
                raise cursors.not_taken("lists.cursor_renewed")
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
    ) -> Page:
        order, limit, groups = asked.order, asked.limit, None
        collection, total = asked.collection(seen.state["collection"]), None
        selection, milliseconds = (
            self._selected(asked, seen),
            WHERE_MS if {WHERE, GROUP, SUM} & set(params) else PAGE_MS,
        )
        of_seen = self._of_seen(principal, seen.at)
        every = [*selection, *of_seen]
        if asked.grouping:
            # In no language: values that differ are different.
            counted = self._read(collection, [*every, *asked.grouping.stages()], IN_ANY_ORDER, seen.at, milliseconds)
            groups = asked.grouping.told(counted)
        if _flag(params, "count"):
            counted = self._read(collection, [*every, {"$count": "total"}], order, seen.at, milliseconds)
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
        matching = [*selection, {"$match": cursor.beyond()}]
        if asked.scope and order.field == self._view.order.removeprefix("-") and not asked.at:
            matching = _each_by_its_index(matching, asked.scope)
        worked_out = formulas.stages(self._custom_fields())
        # subjects are looked up row by row, until the page is full
        stages = [*matching, *cursor.reading.stages(), *of_seen, {"$limit": limit + 1}, *worked_out]
        documents = list(self._read(collection, stages, order, seen.at, milliseconds))
        is_more, has_come_from = len(documents) > limit, bool(cursor.key and documents)
        documents = documents[:limit][:: -1 if cursor.back else 1]

        def beside(row: Document, back: bool) -> str:
            return replace(cursor, value=value_at(row, order.field), key=row["_id"], back=back).text()

        is_next, is_previous = (has_come_from, is_more) if cursor.back else (is_more, has_come_from)
        return Page(
            items=self._rows(documents, principal, asked.language),
            next=beside(documents[-1], False) if is_next else None,
            previous=beside(documents[0], True) if is_previous else None,
            last=replace(cursor, value=None, key="", back=True).text() if is_next else None,
            freshness=_freshness(seen.state),
            total=total,
            groups=groups,
        )

    def export(
        self,
        principal: Principal,
        params: Mapping[str, Sequence[str]],
        token: Token | None,
        format: str,
        *,
        language: str = LANGUAGES[0],
        closed: Callable[[], None] = lambda: None,
    ) -> FileBody:
        """All rows of a list as CSV or Excel, of one moment, written aside of other requests; `closed` when it is gone.

        Raises Refused TOO_LARGE for more rows than may be (`exports.rows`): nothing is cut.
        """
        for name in ("limit", "cursor", "count", GROUP, SUM):
            if name in params:
                raise Refused("lists.whole_file", field=name)
        asked = self._asked(principal, params, language)
        with _narrowed(params):
            return self._at_a_moment(token, lambda seen: self._export(principal, asked, seen, format, closed))

    def _export(
        self,
        principal: Principal,
        asked: Asked,
        seen: Seen,
        format: str,
        closed: Callable[[], None],
    ) -> FileBody:
        collection, order = asked.collection(seen.state["collection"]), asked.order
        selection = [*self._selected(asked, seen), *self._of_seen(principal, seen.at)]
        most = min(EXPORT_LIMIT, self._company.parameter("exports.rows"))
        counting = [*selection, {"$limit": most + 1}, {"$count": "total"}]
        counted = next(self._read(collection, counting, order, seen.at, EXPORT_MS), {"total": 0})
        if counted["total"] > most:
            raise Refused("lists.export_rows", most=most, field="format")
        names = [name for name in self._names if self._may_see(name, principal)]
        columns = self._columns(names, principal, asked.language)
        show, caller = partial(plain, unseen=unseen_by(principal)), Caller.of(principal)
        sheet: Sheet = self._aside(self._sheet, format, columns, show)
        labels = partial(self._labels, names=names, principal=principal, language=asked.language)
        try:
            worked_out = formulas.stages(self._custom_fields())
            stages = [*selection, *order.stages(), *self._without_keys(), *worked_out]
            found = self._read(collection, stages, order, seen.at, EXPORT_MS)
            for documents in _batches(found, EXPORT_ROWS):
                self._aside(self._add, sheet, columns, documents, caller, labels)
            about = {"List": self._view.path, "As of": stamp(asked.at or _freshness(seen.state).as_of)}
            file = self._aside(sheet.finish, about)
        except BaseException:
            sheet.abandon()
            raise
        return FileBody(file, sheet.told.headers(), closed)

    def _without_keys(self) -> list[Document]:
        """The stage that leaves out what rows are only found by: a third of a document."""
        keys = sorted(place for _, place, _ in self._view.keys)
        return [{"$unset": keys}] if keys else []

    def _sheet(self, format: str, columns: Sequence[Column], show: Callable[[Any], Any]) -> Sheet:
        if format == "csv":
            return CsvSheet(columns, show)
        return ExcelSheet(self._view.name, columns, show, self._zone())

    def _add(
        self,
        sheet: Sheet,
        columns: Sequence[Column],
        documents: Iterable[Document],
        caller: Caller,
        labels: Labels,
    ) -> None:
        rows = []
        for document in documents:
            shown = {**self._shown(document, caller), **labels(document)}
            rows.append([column.of(shown) for column in columns])
        sheet.add(rows)

    def _columns(self, names: Sequence[str], principal: Principal, language: Language) -> list[Column]:
        """The columns of a file: those named of the row, and in place of `own` those that the company has added."""
        if not self._view.kind:
            return [Column(name, self._view.types[name]) for name in names]
        own = custom_sheet.columns(self._custom_fields(), names, language, self._company.language, principal)
        return [*(Column(name, self._view.types[name]) for name in names if name != OWN), *own]

    # -- the fields that the company has added

    def _custom_fields(self) -> Sequence[CustomField]:
        return self._company.custom_fields.of(self._view.kind) if self._view.kind else ()

    def _view_now(self) -> View:
        """The view with the columns there are at this moment."""
        fields = self._custom_fields()
        if fields is not self._extended[0]:
            self._extended = (fields, extended(self._view, fields))
        return self._extended[1]

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
            readConcern=_as_of(at),
            **more,
        )
        # Else what follows the first batch is 16 MB at once: all other requests wait while that is decoded.
        return iter(found.batch_size(EXPORT_ROWS + 1))

    def _collation(self, language: str) -> Document:
        """How texts are compared.  Rows that are added up are told apart by code points too."""
        return {**collation(language), "strength": 5} if self._view.sums else collation(language)

    def _of_seen(self, principal: Principal, at: Timestamp | None) -> Sequence[Document]:
        """The stages that leave the rows about records that the caller sees, as of a moment; none for other views."""
        if not self._view.of_subject:
            return ()
        found: dict[str, SeenSubject] = {}
        for kind, reader in self._subjects.items():
            if principal.may(reader._view.permission) and (state := reader._state_of(at)):
                condition = {"$and": [reader._scope(principal), dict(reader._view.shown())]}
                found[kind] = SeenSubject(state["collection"], condition)
        return of_seen(found)

    def _state_of(self, at: Timestamp | None) -> Document | None:
        return self._state_at(at) if at else self._look().state

    def _ready_with_subjects(self, token: Token | None) -> Seen:
        """The same as `_ready`, once the records that rows are about are as the token promises too."""
        for reader in self._subjects.values():
            reader._ready(token)
        return self._ready(token)

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

    def _selected(self, asked: Asked, seen: Seen) -> list[Document]:
        """The stages that select the rows, among them those of records that nothing has happened to yet.

        As of a moment these are rows that the caller may see now, and might have seen then.
        """
        if asked.at:
            still_seen = history.still_seen(seen.state["collection"], asked.scope)
            return [*history.holding(asked.at), *asked.selection, *still_seen]
        defaults = self._view.defaults
        if not defaults:
            return asked.selection
        collection = seen.state["collection"]
        named: list[Document] = [{"$match": {"_id": {"$in": list(defaults)}}}, {"$project": {"_id": 1}}]
        held = {found["_id"] for found in self._read(collection, named, IN_ANY_ORDER, seen.at, PAGE_MS)}
        untouched = [self._default(key) for key in defaults if key not in held]
        documents = {"$documents": {"$literal": untouched}}  # a text in them is none of MongoDB's expressions
        return [{"$unionWith": {"pipeline": [documents]}}, *asked.selection] if untouched else asked.selection

    # -- freshness

    def _ready(self, token: Token | None) -> Seen:
        """The view's state, after waiting (bounded) until it has what the token promises."""
        deadline = time.monotonic() + WAIT_SECONDS
        pause = SHORTEST_PAUSE
        is_there = self._promised(token)
        seen = self._look()
        while not is_there(seen.state):
            if time.monotonic() > deadline:
                raise Refused("system.not_shown_yet")
            self._sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)
            # What another one who waits has just read serves all who wait.
            seen = self._look() if time.monotonic() - self._looked_at >= SHORTEST_PAUSE else self._seen
        return seen

    def _promised(self, token: Token | None) -> Callable[[Document], bool]:
        """Whether a state of the view has what the token promises."""
        if token is None:
            return lambda _: True
        if not self._view.collected:
            wanted = token.about(self._view.topics)
            return lambda state: wanted.reached_by(partial(_position, state))
        services = set(map(service_of, token.positions))
        records = {service: last() for service, last in self._records.items() if service in services}
        return partial(tells_of, token.positions, records)

    def _look(self) -> Seen:
        """Read the view's state.  Raises Refused UNAVAILABLE while there is none."""
        self._looked_at = time.monotonic()
        deadline = self._looked_at + WAIT_SECONDS
        while True:
            try:
                answer = self._find_state(None)
                break
            except OperationFailure as error:
                if error.code != NOT_YET or time.monotonic() > deadline:
                    raise
                self._sleep(LONGEST_PAUSE)
        found = answer["cursor"]["firstBatch"]
        if not found:
            raise Refused("system.no_worker" if self._view.collected else "system.no_projector", view=self._view.name)
        self._seen = seen = Seen(found[0], answer["cursor"].get("atClusterTime"))
        return seen

    def _state_at(self, at: Timestamp) -> Document | None:
        """The view's state at an earlier moment."""
        found: list[Document] = self._find_state(at)["cursor"]["firstBatch"]
        return found[0] if found else None

    def _is_renewed_since(self, at: Timestamp) -> bool:
        """Whether another collection has taken the place of the one that there was at an earlier moment."""
        then = self._state_at(at)
        return then is None or then["collection"] != self._look().state["collection"]

    def _find_state(self, at: Timestamp | None) -> Document:
        answer: Document = self._database.command(
            "find",
            STATES,
            filter={"_id": live_id(self._view)},
            limit=1,
            readConcern=_as_of(at),
            maxTimeMS=PAGE_MS,
            codec_options=self._database.codec_options,
        )
        return answer

    # -- parameters

    def _asked(self, principal: Principal, params: Mapping[str, Sequence[str]], language: str) -> Asked:
        """What somebody asks for.  Raises Refused VALIDATION naming the parameter at fault."""
        view = self._view_now()
        sees, filters = partial(self._may_see, principal=principal), self._filters(principal)
        given: list[Document] = []
        scope = self._scope(principal)
        kept: list[Document] = [scope]
        named = set(params)
        offered = (*PAGING, AS_OF) if self._view.history else PAGING
        shown: list[Document] = []  # what is asked of rows that were added up
        sums = self._view.sums
        of_row = {*sums.by, sums.over} if sums else set()
        fields_of: dict[str, Iterable[str]] = {}  # of which each parameter asks
        for name, values in params.items():
            if name in offered:
                require_value(name, values)
                continue
            if name == WHERE:
                require_value(name, values)
                conditions = Conditions(view, sees, self._zone(), self._known, principal.dictionaries)
                given.append(conditions.read(single(name, values)))
                (kept if sums is None else shown).append(given[-1])
                named |= conditions.about
                fields_of[name] = sorted(conditions.about)
                continue
            asked = filters.condition(name, values)
            if asked is None:
                known = sorted({*filters.names, *offered, WHERE})
                raise Refused("requests.unknown_parameter", names=known, field=told_name(name[:100]))
            condition, about = asked
            fields_of[name] = sorted(about)
            # what is worked out of the caller may be another condition with the next page
            given.append({name: list(values)} if filters.is_of_caller(name) else condition)
            (kept if sums is None or about <= of_row else shown).append(condition)
        filters.require_some_between(params)
        kept.insert(0, dict(self._view.shown(named)))
        if sums and sums.over and not any(sums.over in condition for condition in kept):
            kept.append({sums.over: None})  # the rows that hold the sums of all
        order = self._order(principal, _one(params, SORT), language)
        limit = self._limit(principal, _one(params, "limit"))
        worked_out = self._worked_out(params, named, order)
        given += worked_out  # a page goes on by the formula that it began with
        selection: list[Document] = [*worked_out, {"$match": {"$and": kept}}]
        if sums:
            selection += _added_up(sums, self._decimals)
        if shown:
            selection.append({"$match": {"$and": shown}})
        grouping = self._grouping(principal, params, language)
        at = history.moment(params, AS_OF, self._zone(), self._clock()) if self._view.history else None
        if at:
            fields_of |= {SORT: [order.field], GROUP: [_one(params, GROUP) or ""], SUM: params.get(SUM, ())}
            history.require_known(self._view, fields_of)
            # as it was given: today ends later with each page
            given.append({AS_OF: list(params[AS_OF])})
        return Asked(selection, cursors.told_apart(given), order, limit, grouping, at, scope, cast(Language, language))

    def _filters(self, principal: Principal) -> Filters:
        sees, searches = (partial(may, principal=principal) for may in (self._may_see, self._may_search))
        return Filters(
            self._view,
            sees,
            self._zone(),
            self._known,
            searches=searches,
            caller=Caller.of(principal),
            dictionaries=principal.dictionaries,
            shared=self._shared(principal),
        )

    def _grouping(self, principal: Principal, params: Mapping[str, Sequence[str]], language: str) -> Grouping | None:
        sees, field = partial(self._may_see, principal=principal), _one(params, GROUP)
        label = self._entries(field, principal, language) if field in self._view.picked else None
        return Grouping.asked(self._view_now(), sees, field, params.get(SUM, ()), label)

    def _worked_out(self, params: Mapping[str, Sequence[str]], named: Set[str], order: SortOrder) -> list[Document]:
        """The stage that works out the formulas by which a list is selected, sorted or counted."""
        asked = {*named, order.field, *params.get(GROUP, ()), *params.get(SUM, ())}
        return formulas.stages(self._custom_fields(), asked)

    def _scope(self, principal: Principal) -> Document:
        """The condition that leaves only rows of people whom the caller's right to this view reaches (SEC-18)."""
        scope = self._view.scope
        if scope is None:
            return {}
        if scope.seen is not None:
            return dict(scope.seen(Caller.of(principal)))
        right = scope.right if principal.may(scope.right or self._view.permission) else ""
        reach = principal.reach(right or self._view.permission)
        if scope.only_own:
            reach = AccessScope(people=frozenset({principal.user_id} if principal.user_id else ()))
        if reach.everybody:
            return {}
        own: list[Document] = []
        for name in scope.fields:
            place, make = self._view.place_of(name), self._view.type_of(name).equal
            ids = [
                key
                for person in reach.people
                for key in (make(str(person)) if make and place != name else [str(person)])
            ]
            own.append({place: {"$in": sorted(ids)}})
        if scope.shared and reach.shared:
            own.append(self._shared(principal))
        return own[0] if len(own) == 1 else {"$or": own}

    def _shared(self, principal: Principal) -> Document:
        """The condition for rows that are shared with the caller, or their department, today (COL-07)."""
        if not (self._view.scope and self._view.scope.shared):
            return {}
        today = self._clock().astimezone(self._zone()).date().isoformat()
        ids = sorted(map(str, principal.shared_as))
        place, make = self._view.place_of(SHARED_WITH), self._view.type_of(SHARED_WITH).equal
        keys = sorted(key for id in ids for key in (make(id) if make else [id]))
        lasts = {"$or": [{"until": None}, {"until": {"$gte": today}}]}
        return {place: {"$in": keys}, SHARES: {"$elemMatch": {"with_id": {"$in": ids}, **lasts}}}

    def _limit(self, principal: Principal, text: str | None) -> int:
        """How many rows a page has: as many as asked for, or as the caller has set for all lists, or the company."""
        if text is None:
            return principal.preferences.rows_per_page or self._company.parameter("lists.rows")
        if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= MOST_ROWS:
            raise Refused("lists.limit", most=MOST_ROWS, field="limit")
        return int(text)

    def _order(self, principal: Principal, text: str | None, language: str) -> SortOrder:
        """The order asked for; by a field that the caller may not see there is none."""
        text = text or self._view.order
        name, direction = text.removeprefix("-"), -1 if text.startswith("-") else 1
        view = self._view_now()
        offered = [sort.removeprefix("-") for sort in (*view.sorts, view.order)]
        allowed = [sort for sort in dict.fromkeys(offered) if sort == "_id" or self._may_see(sort, principal)]
        if name not in allowed:
            raise Refused("lists.sort", names=allowed, field="sort")
        orders = view.orders_of(name)
        return cursors.order_of(name, direction, language if language in orders else orders[0])

    # -- rows

    def _may_see(self, name: str, principal: Principal) -> bool:
        right = self._view.hidden.get(name) or FIELD_RIGHTS.get(name.removeprefix(f"{OWN}."))
        return right is None or principal.may(right)

    def _may_search(self, name: str, principal: Principal) -> bool:
        """Whether words are looked for in a field: not in what holds things of any kind, some of them unseen."""
        holds_anything = name in self._view.holds_anything
        return self._may_see(name, principal) and not (holds_anything and unseen_by(principal))

    def _shown(self, document: Document, caller: Caller) -> Document:
        """A document with its id and what is worked out from it, once; of an earlier version that isn't known."""
        document = {**self._laid_under.get(document["_id"], {}), **document}
        known = {**document, COMPANY_CURRENCY: self._company.currency, CALLER: caller}
        shown = {**document, "id": document["_id"]}
        for name, compute in self._view.computed.items() if OF not in document else ():
            shown[name] = stored(compute(known))
        return formulas.tidied(shown, self._custom_fields())

    def _rows(
        self, documents: Iterable[Document], principal: Principal, language: str = LANGUAGES[0]
    ) -> list[Document]:
        """What somebody sees of documents."""
        names, unseen = [name for name in self._names if self._may_see(name, principal)], unseen_by(principal)
        caller = Caller.of(principal)
        rows = []
        for document in documents:
            row = self._row(document, names, unseen, caller)
            if self._view.picked:
                row[LABELS] = self._labels(document, names, principal, language)
            rows.append(row)
        return rows

    def _labels(self, document: Document, names: Sequence[str], principal: Principal, language: str) -> Document:
        """What is called what a document has picked from dictionaries, of the fields named: a text, or one of each."""
        found: Document = {}
        for name, dictionary in self._view.picked.items():
            if name in names:
                tree, value = principal.dictionaries.of(dictionary), document.get(name)
                values = [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]
                labels = [tree.label(one, cast(Language, language)) if one else "" for one in values]
                found[name] = labels if isinstance(value, list) else "".join(labels)
        return found

    def _entries(self, field: str | None, principal: Principal, language: str) -> Label:
        """What tells the code of the entry that a value of a field means, and what it is called."""
        tree = principal.dictionaries.of(self._view.picked[str(field)])

        def label(value: str) -> tuple[str, str]:
            entry = tree.meant(value)
            return (entry.code if entry else value), tree.label(value, cast(Language, language))

        return label

    def _row(self, document: Document, names: Sequence[str], unseen: Set[str], caller: Caller) -> Document:
        shown = self._shown(document, caller)
        row = {name: plain(shown.get(name, [] if name in self._lists else None), unseen) for name in names}
        if growing := [name for name in self._view.growing_lists if name in row]:
            row[LISTS] = told_of_lists(document, growing)
        return row


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


def _added_up(sums: Sums, decimals: Set[str]) -> list[Document]:
    """The stages that make one row of the stored ones of several owners.  A sum of nothing is 0."""
    id = {"$concat": [part for name in sums.by for part in ("/", f"${name}")][1:]}
    newest = {"$top": {"sortBy": {f"{STAMPS}.{sums.newest}" if sums.newest else "_id": -1}, "output": "$$ROOT"}}
    added = {name: {"$sum": f"${name}"} for name in sums.fields}
    shown = {name: {"$toDecimal": f"${name}"} if name in decimals else f"${name}" for name in sums.fields}
    return [
        {"$group": {"_id": id, "newest": newest, **added}},
        {"$replaceWith": {"$mergeObjects": ["$newest", {"_id": "$_id", **shown}]}},
    ]


@contextmanager
def _narrowed(params: Mapping[str, Sequence[str]]) -> Iterator[None]:
    """Refuse conditions for which too much must be read, and tell the way out."""
    try:
        yield
    except ExecutionTimeout as error:
        name = next((name for name in (WHERE, GROUP, SUM, "count") if name in params), None)
        if name is None:
            raise
        raise Refused("system.slow_list", field=name) from error


def _as_of(at: Timestamp | None) -> Document:
    return {"level": "snapshot", **({"atClusterTime": at} if at else {})}


def _batches(documents: Iterable[Document], size: int) -> Iterator[list[Document]]:
    found: list[Document] = []
    for document in documents:
        found.append(document)
        if len(found) == size:
            yield found
            found = []
    if found:
        yield found


def unseen_by(principal: Principal) -> Set[str]:
    """The names of the fields that somebody may not see, wherever they stand."""
    return {name for name, right in FIELD_RIGHTS.items() if not principal.may(right)}


def value_at(document: Document, path: str) -> Any:
    """What a document holds at a dotted path; None for nothing."""
    outer, _, inner = path.partition(".")
    held = document.get(outer)
    return held.get(inner) if inner and isinstance(held, dict) else held


def plain(value: Any, unseen: Set[str] = frozenset()) -> Any:
    """A stored value as JSON shows it: amounts as text, moments in RFC 3339, and of its parts none that is `unseen`."""
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal128):
        return _amount(value.bid)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, dict):
        seen = {name: inner for name, inner in value.items() if not name.startswith("_") and name not in unseen}
        return {name: plain(inner, unseen) for name, inner in seen.items()}
    if isinstance(value, list):
        return [plain(inner, unseen) for inner in value]
    return value


@lru_cache(AMOUNTS_KEPT)
def _amount(octets: bytes) -> str:
    """An amount as text, from the octets that tell it: most come again.  What contracts hold has no exponent."""
    number = Decimal128.from_bid(octets).to_decimal()
    return f"{number:f}" if number.is_finite() and abs(number.adjusted()) < LONGEST_PLAIN else str(number)


def _position(state: Document, source: str) -> int:
    return int(state.get("sources", {}).get(mongo_key(source), {}).get("position", 0))


def _freshness(state: Document) -> Freshness:
    if collected := state.get("collected"):
        return Freshness(min(item["as_of"] for item in collected.values()), {})
    moments = [moment for name in ("last_at", "idle_at") if (moment := state.get(name))]
    positions = {item["source"]: int(item["position"]) for item in state.get("sources", {}).values()}
    return Freshness(max(moments) if moments else None, positions)


def _one(params: Mapping[str, Sequence[str]], name: str) -> str | None:
    """The value of a parameter that has one, None without it.  Raises Refused VALIDATION when it is given twice."""
    values = params.get(name)
    return single(name, values) if values else None


def _flag(params: Mapping[str, Sequence[str]], name: str) -> bool:
    text = _one(params, name)
    if text not in (None, "true", "1", "false", "0"):
        raise Refused("lists.flag", field=name)
    return text in ("true", "1")
