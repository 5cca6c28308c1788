"""Serving views: one row, a page, or a file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any, get_args

import msgspec

from chassis.audit.entries import WITHHELD, EntryKind
from chassis.http.actions import ACTIONS, actions_on
from chassis.http.audit_notes import Attempt
from chassis.http.conditional import mark_of, unless_known
from chassis.http.edge import Api
from chassis.http.messages import TYPES, HttpRequest, HttpResponse
from chassis.http.requests import key_of, require_only
from chassis.http.saved_views import Applied, SavedViews
from chassis.messaging.consistency import HEADER, Logs, Token
from chassis.model.actions import NO_PAGES, Action, Pages
from chassis.model.principal import Principal
from chassis.model.views import View, Words
from chassis.queries.filters import single
from chassis.queries.freshness import Freshness
from chassis.queries.history import ASKED
from chassis.queries.reader import FORMATS, ViewReader
from contracts.errors import Refused
from contracts.lists import AS_OF, HEADS, WHERE, Heads
from contracts.pools import POOL_ID

HEADS_THERE_ARE: tuple[Heads, ...] = get_args(Heads)


@dataclass(frozen=True)
class Children:
    """The records of a kind that belong to those of a view, by a field: what reads them."""

    kind: str
    field: str
    reader: ViewReader


class ViewHandler:
    """Serves a view: one row when its path names one, else a page or an export."""

    def __init__(
        self,
        api: Api,
        view: View,
        reader: ViewReader,
        pages: Pages = NO_PAGES,
        *,
        children: Sequence[Children] = (),
        saved: SavedViews | None = None,
    ) -> None:
        """`pages` say what can be done with the record that a row shows; `children` are the records whose deletion that
        of such a record waits for, `saved` the views that people have saved of lists."""
        self._api, self._view, self._reader, self._pages, self._saved = api, view, reader, pages, saved
        self._children = children
        self._by_id = view.types["id"].kind == "id"

    def __call__(self, http: HttpRequest) -> HttpResponse:
        format = (http.query.get("format") or ["json"])[-1]
        kind: EntryKind = "READ" if format == "json" else "EXPORT"
        with self.attempt(http, kind) as attempt:
            response = self._list(http, attempt, format)
            if kind == "EXPORT" or self._view.personal:
                attempt.note()
            return response

    def attempt(self, http: HttpRequest, kind: EntryKind, id: str = "") -> Attempt:
        """A request about to be served, for the audit log."""
        attempt = self._api.attempt(self._api.reads_log, http, kind, self._view.name, self._view.what, id)
        attempt.query = noted(self._view, http.query)
        return attempt

    def _list(self, http: HttpRequest, attempt: Attempt, format: str) -> HttpResponse:
        view = self._view
        principal = self._api.caller(http, view.permission, attempt)
        token = self._api.token(http)
        single("format", http.query.get("format", ["json"]))
        if format not in FORMATS:
            raise Refused("lists.one_of", choices=FORMATS, field="format")
        heads = _heads(http.query, principal)
        with self._api.seat(principal, token, http):
            applied = self._applied(http, principal, token)
            if format != "json":
                return self._export(http, applied, principal, token, format=format, heads=heads)
            page = self._reader.page(principal, applied.query, token, self._language(http))
        body: dict[str, Any] = {"items": page.items}
        body |= {"next": page.next, "previous": page.previous, "last": page.last}
        if page.total is not None:
            body["total"] = page.total
        if page.groups is not None:
            body["groups"] = page.groups
        if applied.told is not None:
            body["view"] = applied.told
        mark = mark_of(msgspec.json.encode(body))  # how fresh it is changes with whatever happens anywhere
        return unless_known(http, mark, fresh(body, page.freshness, {}, self._api.logs))

    def _applied(self, http: HttpRequest, principal: Principal, token: Token | None) -> Applied:
        """The query, with that of the saved view that it names; what heads a file has is no question to the list."""
        query = {name: values for name, values in http.query.items() if name != HEADS}
        if self._saved is None:
            return Applied(query)
        return self._saved.applied(self._reader, principal, query, token, self._api.language_of(http))

    def _language(self, http: HttpRequest) -> str:
        return self._api.language_of(http)

    def _export(
        self,
        http: HttpRequest,
        applied: Applied,
        principal: Principal,
        token: Token | None,
        *,
        format: str,
        heads: Heads,
    ) -> HttpResponse:
        give_back = self._api.exports.take(principal.user_id)
        try:
            file = self._reader.export(
                principal,
                applied.query,
                token,
                format,
                language=self._language(http),
                closed=give_back,
                shown=applied.columns,
                heads=heads,
            )
        except BaseException:
            give_back()
            raise
        name = f'attachment; filename="{self._view.name}.{format}"'
        return HttpResponse(200, b"", {"Content-Disposition": name, **file.headers}, TYPES[format], file=file)

    def one(self, http: HttpRequest) -> HttpResponse:
        """Serve one row, named by the path."""
        with self.attempt(http, "READ", self.key(http)) as attempt:
            response = self._one(http, attempt)
            if self._view.personal:
                attempt.note()
            return response

    def key(self, http: HttpRequest) -> str:
        """The key of the row that the path names."""
        return key_of(http, is_id=self._by_id)

    def _one(self, http: HttpRequest, attempt: Attempt) -> HttpResponse:
        principal = self._api.caller(http, self._view.permission, attempt)
        token = self._api.token(http)
        require_only(http, *([AS_OF] if self._view.history else []))
        key = self.key(http)
        with self._api.seat(principal, token, http):
            if http.query:
                return fresh(
                    *self._reader.one_as_of(principal, key, http.query, token, self._language(http)), {}, self._api.logs
                )
            row, freshness = self.record(principal, key, token, self._language(http))
        headers = {"ETag": f'"{row["version"]}"'} if isinstance(row.get("version"), int) else {}
        return fresh(row, freshness, headers, self._api.logs)

    def record(
        self, principal: Principal, key: str, token: Token | None, language: str
    ) -> tuple[dict[str, Any], Freshness]:
        """The row of a key, with what the caller may do with its record.  Raises Refused NOT_FOUND."""
        row, freshness = self._row(principal, key, token, language)
        if self._view.collected:
            row = self._api.with_history(row, principal)
        if self._pages.tell(self._view.page):
            row[ACTIONS] = self._actions(row, key, principal)
        return row, freshness

    def _actions(self, row: Mapping[str, Any], key: str, principal: Principal) -> list[Action]:
        """What the caller may do with the record of a row; nothing with one of which there are no commands any more."""
        page = self._pages.of(self._view.page, key)
        if page is None:
            return []
        return actions_on(
            page,
            row,
            principal,
            self._api.clock(),
            self._api.directory.company,
            children=self._belonging(key),
            whose=self._reader.whose(key) if self._view.reached_through else None,
            pool=self._reader.named_by(row, POOL_ID),
        )

    def _belonging(self, key: str) -> dict[str, int]:
        """How many records of each kind belong to the one with this key."""
        found: dict[str, int] = {}
        for one in self._children:
            found[one.kind] = found.get(one.kind, 0) + one.reader.count_with(one.field, key)
        return found

    def history(self, http: HttpRequest) -> HttpResponse:
        """Serve who changed what in the row that the path names."""
        with self.attempt(http, "READ", self.key(http)) as attempt:
            principal = self._api.caller(http, self._view.permission, attempt)
            token = self._api.token(http)
            require_only(http, *ASKED)
            with self._api.seat(principal, token, http):
                told, freshness = self._reader.history(
                    principal, self.key(http), http.query, token, self._language(http)
                )
            if self._view.personal:
                attempt.note()
            return fresh(told, freshness, {}, self._api.logs)

    def _row(
        self, principal: Principal, key: str, token: Token | None, language: str
    ) -> tuple[dict[str, Any], Freshness]:
        """The row of a key.  Raises Refused NOT_FOUND, which tells of the list that is looked for by its name."""
        try:
            return self._reader.one(principal, key, token, language)
        except Refused as refusal:
            meant = next((view for view in self._api.views if view.is_list and view.name == key), None)
            if refusal.code != "NOT_FOUND" or meant is None:
                raise
            raise Refused(
                "lists.meant_list",
                unknown=refusal.why,
                route=f"GET {meant.path}",
                list=meant.name.replace("_", " "),
                field=refusal.field,
            ) from refusal


def _heads(query: Mapping[str, Sequence[str]], principal: Principal) -> Heads:
    """What the heads of a file's columns are: what people call them, or for programs the names of fields.

    Whoever asks for one gets that.  Raises Refused naming the parameter.
    """
    if HEADS not in query:
        return "names" if principal.machine else "labels"
    asked = single(HEADS, query[HEADS])
    for heads in HEADS_THERE_ARE:
        if asked == heads:
            return heads
    raise Refused("lists.one_of", choices=HEADS_THERE_ARE, field=HEADS)


def noted(view: View, query: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """What the audit log notes of what was asked: not whom somebody looked for, where the view tells of persons."""
    told = {*view.personal, WHERE, *(name for name, rule in view.filters.items() if isinstance(rule, Words))}
    return {name: [WITHHELD] if view.personal and name in told else values for name, values in query.items()}


def fresh(body: dict[str, Any], freshness: Freshness, headers: dict[str, str], logs: Logs) -> HttpResponse:
    """An answer that tells how current it is."""
    as_of = freshness.as_of.astimezone(UTC).isoformat().replace("+00:00", "Z") if freshness.as_of else None
    body["freshness"] = {"as_of": as_of}
    return HttpResponse(200, msgspec.json.encode(body), {**headers, HEADER: str(logs.told(freshness.positions))})
