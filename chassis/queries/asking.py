"""What a list is asked for: its parameters checked, and made into the stages that select rows in the caller's scope."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from datetime import datetime, tzinfo
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple, cast
from unicodedata import normalize

from chassis.access.company import CompanySettings
from chassis.model.context import AccessScope
from chassis.model.deciding import Caller
from chassis.model.principal import Principal
from chassis.model.views import Sums, View
from chassis.projections.documents import STAMPS
from chassis.projections.versions import versions_of
from chassis.queries import cursors, formulas, history
from chassis.queries.conditions import Conditions
from chassis.queries.cursors import SortOrder
from chassis.queries.filters import ClosedSets, Filters, in_form, require_value, single
from chassis.queries.grouping import Grouping
from chassis.queries.rows import Rows
from chassis.queries.view_now import ViewNow
from contracts.custom_fields import OWN, CustomField
from contracts.errors import Refused
from contracts.languages import LANGUAGES, Language
from contracts.lists import AS_OF, GROUP, MOST_ROWS, PAGING, SORT, SUM, WHERE, Heads
from contracts.records import KINDS
from contracts.saved_views import COUNT
from contracts.schemas import told_name
from contracts.sharing import SHARED_WITH, SHARES

Document = dict[str, Any]


class Asked(NamedTuple):
    """A list as somebody asked for it: the stages that select its rows, what tells their conditions from others
    (`cursors.told_apart`), their order, how many a page has, in which groups they are counted, as of which moment if
    not now, whose rows they may be, in which language people are told of them, which columns a file has if not all,
    what their heads are, and through which records alone they are asked for, where the filter of those is given."""

    selection: list[Document]
    conditions: str
    order: SortOrder
    limit: int
    grouping: Grouping | None = None
    at: datetime | None = None
    scope: Document | None = None
    language: Language = LANGUAGES[0]
    shown: Sequence[str] = ()
    heads: Heads = "names"
    through: Sequence[str] | None = None

    def collection(self, rows: str) -> str:
        """Where they are read, when the rows of now are in `rows`."""
        return versions_of(rows) if self.at else rows


NOTHING_MERGED: Mapping[str, Sequence[str]] = MappingProxyType({})


class Asking:
    """Reads what one view is asked for."""

    def __init__(
        self,
        now: ViewNow,
        rows: Rows,
        company: CompanySettings,
        *,
        zone: Callable[[], tzinfo],
        clock: Callable[[], datetime],
        known: ClosedSets | None,
    ) -> None:
        """`known` tells what filters take besides what is declared."""
        self._view: View = now.declared
        self._now, self._rows, self._company = now, rows, company
        self._zone, self._clock, self._known = zone, clock, known
        self._decimals = {name for name, kind in self._view.types.items() if kind.kind == "amount"}

    def asked(
        self,
        principal: Principal,
        params: Mapping[str, Sequence[str]],
        language: str,
        merged: Mapping[str, Sequence[str]] = NOTHING_MERGED,
    ) -> Asked:
        """What somebody asks for.  Raises Refused VALIDATION naming the parameter at fault.

        `merged` are records that are asked for besides, by filter: those that went into the ones that it names.  They
        are none of what tells the conditions from others: a page goes on when something was merged meanwhile.
        """
        is_of_now = AS_OF not in params
        filters = self._filters(principal, in_parts=is_of_now)
        given: list[Document] = []
        scope = self.scope(principal)
        kept: list[Document] = [scope]
        named = set(params)
        offered = (*PAGING, AS_OF) if self._view.history else PAGING
        shown: list[Document] = []  # what is asked of rows that were added up
        sums = self._view.sums
        of_row = {*sums.by, sums.over} if sums else set()
        fields_of: dict[str, Iterable[str]] = {}  # of which each parameter asks
        for name, values in params.items():
            if name in offered:
                _require_plain(name, values)
                continue
            if name == WHERE:
                require_value(name, values)
                conditions = self._conditions(principal, in_parts=is_of_now)
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
            # what is worked out of the caller or of settings may be another condition with the next page
            given.append({name: list(values)} if filters.is_of_caller(name) else condition)
            (kept if sums is None or about <= of_row else shown).append(_with(condition, filters, name, merged))
        filters.require_some_between(params)
        kept.insert(0, {**self._view.shown(named), **self._view.still_open})
        if sums and sums.over and not any(sums.over in condition for condition in kept):
            kept.append({sums.over: None})  # the rows that hold the sums of all
        order = self.order(principal, one(params, SORT), language)
        limit = self.limit(principal, one(params, "limit"))
        at = history.moment(params, AS_OF, self._zone(), self._clock()) if self._view.history else None
        worked_out = self._worked_out(params, named, order, self._now.fields_at(at, principal))
        given += worked_out  # a page goes on by the formula that it began with
        selection = _selecting(kept[:2], kept[2:], worked_out)
        if sums:
            selection += _added_up(sums, self._decimals)
        if shown:
            selection.append({"$match": {"$and": shown}})
        grouping = self._grouping(principal, params, language)
        if at:
            fields_of |= {SORT: [order.field], GROUP: [one(params, GROUP) or ""], SUM: params.get(SUM, ())}
            history.require_known(self._view, fields_of)
            # as it was given: today ends later with each page
            given.append({AS_OF: list(params[AS_OF])})
        return Asked(
            selection, cursors.told_apart(given), order, limit, grouping, at, scope, cast(Language, language),
            through=self._through(params, merged),
        )  # fmt: skip

    def equal(self, principal: Principal, params: Mapping[str, Sequence[str]]) -> list[Document]:
        """The conditions of some filters, of whomever the rows are.  Raises Refused VALIDATION naming the parameter."""
        filters = self._filters(principal, in_parts=True)
        found = [filters.condition(name, values) for name, values in params.items()]
        return [asked[0] for asked in found if asked]

    def _through(
        self, params: Mapping[str, Sequence[str]], merged: Mapping[str, Sequence[str]]
    ) -> Sequence[str] | None:
        """The records through which rows are reached that a filter names, and what went into them; None without one."""
        name = self._view.through
        return [in_form(name, "id", text) for text in (*params.get(name, ()), *merged.get(name, ()))] or None

    def _conditions(self, principal: Principal, *, in_parts: bool) -> Conditions:
        view, sees = self._now.seen(principal).view, partial(self._rows.may_see, principal=principal)
        return Conditions(view, sees, self._zone(), self._known, principal.dictionaries, in_parts=in_parts)

    def _filters(self, principal: Principal, *, in_parts: bool) -> Filters:
        sees, searches = (partial(may, principal=principal) for may in (self._rows.may_see, self._rows.may_search))
        return Filters(
            self._view,
            sees,
            self._zone(),
            self._known,
            searches=searches,
            caller=Caller.of(principal),
            dictionaries=principal.dictionaries,
            shared=self.shared(principal),
            texts=None if (seen := self._now.seen(principal)).is_all else {OWN: seen.texts},
            in_force=self._in_force(),
            wanted=self._wanted(principal),
            in_parts=in_parts,
        )

    def _wanted(self, principal: Principal) -> Sequence[str]:
        """The fields that the company wants to be filled in records of this kind, those that it has added too."""
        kind = next((kind for kind in KINDS.values() if kind.code == self._view.kind), None)
        if kind is None:
            return ()
        own = (one.path for one in self._now.seen(principal).fields if one.required and one.is_given)
        return (*self._company.required(kind), *own)

    def _grouping(self, principal: Principal, params: Mapping[str, Sequence[str]], language: str) -> Grouping | None:
        sees, field = partial(self._rows.may_see, principal=principal), one(params, GROUP)
        label = self._rows.entries(field, principal, language) if field in self._view.picked else None
        return Grouping.asked(self._now.seen(principal).view, sees, field, params.get(SUM, ()), label)

    def _worked_out(
        self,
        params: Mapping[str, Sequence[str]],
        named: Set[str],
        order: SortOrder,
        fields: Sequence[CustomField],
    ) -> list[Document]:
        """The stage that works out the formulas by which a list is selected, sorted or counted."""
        asked = {*named, order.field, *params.get(GROUP, ()), *params.get(SUM, ())}
        return formulas.stages(fields, asked)

    def scope(self, principal: Principal, right: str = "") -> Document:
        """The condition that leaves only rows of people whom the caller's right to this view, or another one, reaches
        (SEC-18)."""
        scope = self._view.scope
        if scope is None:
            return {}
        if scope.seen is not None:
            return dict(scope.seen(Caller.of(principal)))
        right = right or (scope.right if principal.may(scope.right or self._view.permission) else "")
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
            own.append(self.shared(principal))
        return own[0] if len(own) == 1 else {"$or": own}

    def shared(self, principal: Principal) -> Document:
        """The condition for rows that are shared with the caller, or their department, today (COL-07)."""
        if not (self._view.scope and self._view.scope.shared):
            return {}
        ids = sorted(map(str, principal.shared_as))
        place, make = self._view.place_of(SHARED_WITH), self._view.type_of(SHARED_WITH).equal
        keys = sorted(key for id in ids for key in (make(id) if make else [id]))
        return {place: {"$in": keys}, SHARES: {"$elemMatch": {"with_id": {"$in": ids}, **self._in_force()}}}

    def _in_force(self) -> Document:
        """The condition for a share whose last day is not over."""
        today = self._clock().astimezone(self._zone()).date().isoformat()
        return {"$or": [{"until": None}, {"until": {"$gte": today}}]}

    def limit(self, principal: Principal, text: str | None) -> int:
        """How many rows a page has: as many as asked for, or as the caller has set for all lists, or the company."""
        if text is None:
            return principal.preferences.rows_per_page or self._company.parameter("lists.rows")
        text = normalize("NFKC", text).strip()
        if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= MOST_ROWS:
            raise Refused("lists.limit", most=MOST_ROWS, field="limit")
        return int(text)

    def columns(self, principal: Principal) -> Sequence[str]:
        """What somebody may see of a row: a column each, with those that the company has added."""
        return [name for name in self._now.seen(principal).view.types if self._rows.may_see(name, principal)]

    def order(self, principal: Principal, text: str | None, language: str) -> SortOrder:
        """The order asked for; by a field that the caller may not see there is none."""
        text = text or self._view.order
        name, direction = text.removeprefix("-"), -1 if text.startswith("-") else 1
        view = self._now.seen(principal).view
        allowed = [sort for sort in view.sortable if sort == "_id" or self._rows.may_see(sort, principal)]
        if name not in allowed:
            raise self._not_sorted(name, principal, allowed)
        field = "_id" if name == "id" else name
        orders = view.orders_of(field)
        return SortOrder(field, direction, language if language in orders else orders[0])

    def _not_sorted(self, name: str, principal: Principal, allowed: Sequence[str]) -> Refused:
        """Why no list is sorted so; a field that the caller may not see is like one that there is not."""
        view = self._now.seen(principal).view
        if name not in view.types or not self._rows.may_see(name, principal):
            return Refused("lists.sort", names=allowed, field=SORT)
        if not view.types[name].has_order:
            return Refused("lists.sort_several", name=name, names=allowed, field=SORT)
        if name in view.computed:
            return Refused("lists.sort_worked_out", name=name, names=allowed, field=SORT)
        return Refused("lists.sort_not_here", name=name, names=allowed, field=SORT)


def _require_plain(name: str, values: Sequence[str]) -> None:
    """Raises Refused VALIDATION for a parameter of every list that has no value, or one that it can't have."""
    require_value(name, values)
    if name == COUNT:
        flag({name: values}, name)


def _with(condition: Document, filters: Filters, name: str, merged: Mapping[str, Sequence[str]]) -> Document:
    """What a filter asks for, or the same of the records that are asked for besides."""
    found = filters.condition(name, merged[name]) if name in merged else None
    return {"$or": [condition, found[0]]} if found else condition


def _selecting(
    in_reach: Sequence[Document], others: Sequence[Document], worked_out: Sequence[Document]
) -> list[Document]:
    """The stages that select rows; formulas are worked out of those in reach alone."""
    if not worked_out:
        return [{"$match": {"$and": [*in_reach, *others]}}]
    asked = [{"$match": {"$and": [*others]}}] if others else []
    return [{"$match": {"$and": [*in_reach]}}, *worked_out, *asked]


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


def one(params: Mapping[str, Sequence[str]], name: str) -> str | None:
    """The value of a parameter that has one, None without it.  Raises Refused VALIDATION when it is given twice."""
    values = params.get(name)
    return single(name, values) if values else None


def flag(params: Mapping[str, Sequence[str]], name: str) -> bool:
    """What a parameter says that is true or false.  Raises Refused VALIDATION."""
    text = one(params, name)
    if text not in (None, "true", "1", "false", "0"):
        raise Refused("lists.flag", field=name)
    return text in ("true", "1")
