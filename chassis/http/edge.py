"""The edge of Salestream, free of any web framework: routes made from contracts and views.

Every request is authenticated, its right checked, its input validated, and every failure is a problem+json answer
with a code of the specification (section 2.0).  `chassis.http` serves these routes with nameko.
"""

import hmac
import importlib
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from hashlib import sha256
from pathlib import Path
from secrets import token_bytes
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import msgspec
import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pymongo.database import Database
from pymongo.errors import ExecutionTimeout, PyMongoError

from chassis.access.directory import Directory
from chassis.access.tokens import TokenVerifier
from chassis.audit import history
from chassis.audit.edge import ACTIONS, OBJECT_KINDS, Attempt, origin_of
from chassis.audit.entries import REPEATED, Kind, object_kind
from chassis.bodies import MAX_COMMAND_NODES, count_nodes, read_object
from chassis.foundation import metrics
from chassis.foundation.addresses import networks, within
from chassis.foundation.config import Config
from chassis.foundation.private_files import make_key, read_key
from chassis.messaging.consistency import HEADER, Logs, Token, WaitingRoom
from chassis.model.around import Offload, Surroundings, at_once
from chassis.model.principal import NOBODY, Principal
from chassis.model.row_fields import ROLES
from chassis.model.views import View
from chassis.projections.rebuild_requests import RebuildRequests
from chassis.queries.exports import FileBody, Places
from chassis.queries.filters import Known, single
from chassis.queries.reader import FORMATS, Freshness, ViewReader, plain, unseen_by
from chassis.writer.request import Answer, Request, made_id, print_of
from chassis.writer.writer import Writer
from contracts.company import LANGUAGES
from contracts.declare import REGISTRY, CommandSpec
from contracts.errors import STATUS, Refused
from contracts.ids import RANDOM_UUIDS, canonical
from contracts.menus import MENU
from contracts.operations import PLATFORM_OPERATIONS, CallOffRebuild, Operation, RebuildRow, RebuildView
from contracts.permissions import PASSWORD, PUBLIC, RIGHTS
from contracts.schemas import load

log = structlog.get_logger()

ANSWER_SECONDS = 30.0
SHORTEST_WAIT, LONGEST_WAIT = 0.005, 0.05  # seconds between two looks at what is waited for
READS_LOG = "access"  # the service in whose log it is noted who read what
MAX_BULK = 500
PRINT_KEY_BYTES = 32
NEWEST_MESSAGES = 200
JSON = "application/json"
PROBLEM = "application/problem+json"
TYPES = {"csv": "text/csv; charset=utf-8", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}
_TRACEPARENT = re.compile(r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")
_CORRELATION = re.compile(r"^[A-Za-z0-9._:-]{1,100}$")
_ETAG = re.compile(r'^(?:W/)?"([0-9]{1,18})"$')
_IN_PATH = re.compile(r"{(\w+)}")
_KEY = re.compile(r"^[\x21-\x7e]{1,200}$")


@dataclass(frozen=True)
class HttpRequest:
    """A request as the edge sees it.  Header names are lower case; `body` reads the body (bounded) when called.

    `address` is the client's, told by a trusted proxy where there is one; "" where no connection stands behind it.
    `target` is the path and query as they were sent.  Within `outside()` the request takes up no room at the door.
    """

    headers: Mapping[str, str]
    path: Mapping[str, str]
    query: Mapping[str, Sequence[str]]
    body: Callable[[], bytes]
    address: str = ""
    method: str = ""
    target: str = ""
    outside: Callable[[], AbstractContextManager[None]] = nullcontext


@dataclass(frozen=True)
class HttpResponse:
    """An answer; `cookies` are the values of its Set-Cookie headers.  A long one comes as a file instead of `body`."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = JSON
    cookies: Sequence[str] = ()
    file: FileBody | None = None

    @property
    def length(self) -> int:
        return self.file.size if self.file else len(self.body)

    def close(self) -> None:
        """Give up what was not sent."""
        if self.file:
            self.file.close()


Serve = Callable[[HttpRequest], HttpResponse]


class Noted(NamedTuple):
    """What an entry of the audit log tells of a request that is neither a command nor a query of a view."""

    action: str
    object_kind: str


ROLES_READ, MAILBOX_READ = Noted("roles", "role"), Noted("mailbox", "message")
OPERATED_ON = ("view", "rebuild")
"""The kinds of object of the platform's operations."""


@dataclass(frozen=True)
class Route:
    """One route: its method, path with {fields}, metric name, the function that serves it, and the right it needs.

    `always`: it is served while other commands are refused as OVERLOADED.
    """

    method: str
    path: str
    name: str
    serve: Serve
    permission: str = PUBLIC
    always: bool = False


OPERATIONS = frozenset({"livez", "readyz", "metrics"})
"""The names of the routes by which a process is watched."""


def people_routes(me: Serve, roles: Serve) -> list[Route]:
    """The routes that every process with commands can serve, for it knows people and rights."""
    return [Route("GET", "/me", "me", me, PASSWORD), Route("GET", "/roles", "roles", roles, "accounts")]


def mailbox_route(serve: Serve) -> Route:
    """The messages of an installation without a provider of mail and SMS; the access service has them."""
    return Route("GET", "/mailbox", "mailbox", serve, "platform")


def command_routes(spec: CommandSpec, serve: Serve, bulk: Serve, *, always: bool) -> list[Route]:
    """The routes of a command and of its bulk form; none when it is not for callers."""
    if not spec.is_public:
        return []
    assert spec.method and spec.path
    found = [Route(spec.method, spec.path, spec.name, serve, spec.permission, always)]
    if spec.bulk:
        found.append(Route("POST", f"/bulk/{kebab(spec.name)}", f"Bulk{spec.name}", bulk, spec.permission))
    return found


def view_routes(view: View, serve: Serve, one: Serve) -> list[Route]:
    """The routes of a view: its list, and one row of it."""
    found = [Route("GET", view.path, view.name, serve if view.is_list else one, view.permission)]
    if view.detail:
        found.append(Route("GET", f"{view.path}/{{{view.detail}}}", f"{view.name}_one", one, view.permission))
    return found


def operation_routes(serving: Mapping[str, Serve]) -> list[Route]:
    """The routes of what is done with read models as such; a process that answers queries has them."""
    return [Route(one.method, one.path, one.name, serving[one.name], one.permission) for one in PLATFORM_OPERATIONS]


def kebab(name: str) -> str:
    """SubmitOrder -> submit-order."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


class Api:
    """All routes of the services hosted in this process."""

    def __init__(
        self,
        config: Config,
        writers: Mapping[str, Writer],
        views: Sequence[View],
        database: "Database[dict[str, Any]] | None",
        verifier: TokenVerifier,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        ready: Callable[[], Mapping[str, str]] = dict,
        sleep: Callable[[float], None] = time.sleep,
        directory: Directory | None = None,
        slowly: Offload = at_once,
        later: Callable[[Callable[[], None]], None] = lambda work: work(),
        aside: Offload = at_once,
    ) -> None:
        self._config = config
        self._aside = aside
        self.exports = Places()
        self.directory = directory or Directory()
        self._slowly = slowly
        self._later = later
        self._writers = writers
        self._views = views if database is not None else ()
        self._database = database
        self._verifier = verifier
        self._clock = clock
        self._ready = ready
        self._sleep = sleep
        self.logs = Logs(
            {name: writer.store.last_position for name, writer in writers.items()}, config.topic_partitions
        )
        self._waiting_room = WaitingRoom()
        self._metrics_networks = networks(config.metrics_networks, "METRICS_NETWORKS")

    def routes(self) -> list[Route]:
        """Every route, guarded: whatever happens becomes an answer."""
        found = [
            Route("GET", "/livez", "livez", lambda request: HttpResponse(200, b'{"status":"ok"}')),
            Route("GET", "/readyz", "readyz", self._readyz),
            Route("GET", "/metrics", "metrics", self._metrics),
        ]
        if self._writers:
            found += people_routes(self._me, self._roles)
        if READS_LOG in self._writers:
            found.append(mailbox_route(self._mailbox))
        for writer in self._writers.values():
            for spec in writer.service.specs():
                serve = _Command(self, writer, spec)
                found += command_routes(spec, serve, _Bulk(self, writer, spec), always=serve.prepares_secrets)
        for view in self._views:
            assert self._database is not None
            reader = ViewReader(
                self._database,
                view,
                sleep=self._sleep,
                zone=lambda: self.directory.company.zone,
                aside=self._aside,
                company=self.directory.company,
                records={name: writer.store.last_audit for name, writer in self._writers.items()},
                known=self._known(),
            )
            query = _Query(self, view, reader)
            found += view_routes(view, query, query.one)
        if self._views:
            assert self._database is not None
            found += operation_routes(_Rebuilds(self, self._views, self._database).serving())
        return [guarded(route) for route in found]

    def _known(self) -> Known:
        """The closed sets that filters take values of, and that no view can name: what is data, or what is there."""
        actions = {*REGISTRY.commands, *(view.name for view in self._views), *(one.name for one in PLATFORM_OPERATIONS)}
        kinds = {object_kind(spec.cls) for spec in REGISTRY.commands.values()} | {view.what for view in self._views}
        return {
            ROLES: lambda: [row.role for row in self.directory.roles()],
            ACTIONS: lambda: sorted({*actions, ROLES_READ.action, MAILBOX_READ.action}),
            OBJECT_KINDS: lambda: sorted({*kinds, *OPERATED_ON, ROLES_READ.object_kind, MAILBOX_READ.object_kind}),
        }

    # -- for the routes

    def attempt(self, writer: Writer | None, http: HttpRequest, kind: Kind, *about: str) -> Attempt:
        """A request about to be served, for the audit log: action, kind of record, its id."""
        action, object_kind, object_id = (*about, "", "")[:3]
        origin = http.address, correlation_of(http)
        object_id = object_id.encode(errors="replace").decode()  # half a character can't be written down
        return Attempt(writer, self._clock, kind, action, *origin, object_kind, object_id)

    def caller(
        self,
        request: HttpRequest,
        permission: str,
        attempt: Attempt | None = None,
        heard: Callable[[Principal], None] = lambda _: None,
    ) -> Principal:
        """Who calls, with the rights of this moment.  Raises Refused UNAUTHENTICATED or FORBIDDEN.

        `heard` waits for what the caller was answered before: it may be about these very rights (SEC-19).
        """
        claimed = NOBODY if permission == PUBLIC else self._verifier.verify(request.headers.get("authorization"))
        if attempt is not None:
            attempt.claimed = claimed
        heard(claimed)
        if permission == PUBLIC:
            return claimed
        if not claimed.needs_directory:
            self.directory.introduce(claimed)
        principal = self.directory.admit(claimed)
        principal.require(permission)
        return principal

    def surroundings(self, principal: Principal, writer: Writer) -> Surroundings:
        return Surroundings(
            config=self._config,
            caller=principal,
            now=self._clock(),
            records=writer.store,
            directory=self.directory,
            slowly=self._slowly,
            later=self._later,
        )

    def request(
        self,
        spec: CommandSpec,
        command: Any,
        principal: Principal,
        http: HttpRequest,
        *,
        key: str | None,
        match: str | None,
        sent_print: str,
        secret_print: str = "",
    ) -> Request:
        """A writer request from an HTTP one."""
        now, company = self._clock(), self.directory.company
        command_id = str(uuid4()) if key is None else command_id_of(principal, key, secret_print)
        trace = http.headers.get("traceparent", "")
        return Request(
            command=command,
            context=principal.context(now, company.day_of(now), spec.permission, company.currency),
            command_id=command_id,
            sent_print=sent_print,
            secret_print=secret_print,
            remember=key is not None,
            expected_version=_expected_version(match),
            correlation_id=correlation_of(http) or command_id,
            origin=origin_of(principal, http.address),
            traceparent=trace if _TRACEPARENT.match(trace) else "",
        )

    def token(self, http: HttpRequest) -> Token | None:
        """The consistency token that a request sends back.  Raises Refused VALIDATION for one that is made up."""
        return self.logs.token(http.headers.get(HEADER.lower()))

    def wait_for_replicas(self, writer: Writer, token: Token | None, caller: Principal, http: HttpRequest) -> None:
        """Wait (bounded) until the service knows what the token promises, without taking up room at the door.

        Raises Refused UNAVAILABLE, or what `WaitingRoom.seat` raises.
        """
        if token is None:
            return
        wanted = token.about(writer.service.replica_topics())

        def there() -> bool:
            return wanted.reached_by(lambda source: writer.store.position(f"position:{source}") or 0)

        if there():
            return
        with http.outside(), self.seat(caller, token, http):
            deadline, pause = time.monotonic() + 5.0, SHORTEST_WAIT
            while not there():
                if time.monotonic() > deadline:
                    raise Refused("UNAVAILABLE", "The service has not heard of your earlier change yet; try again.")
                self._sleep(pause)
                pause = min(pause * 1.5, LONGEST_WAIT)

    def seat(self, caller: Principal, token: Token | None, http: HttpRequest) -> AbstractContextManager[None]:
        """Where a request may wait for what its token promises; it takes one of the caller's seats."""
        return nullcontext() if token is None else self._waiting_room.seat(str(caller.user_id or http.address))

    def now(self) -> datetime:
        return self._clock()

    def let_others(self) -> None:
        """Give other requests their turn in the midst of long work."""
        self._sleep(0)

    @cached_property
    def print_key(self) -> bytes:
        """The key of what is remembered of commands with secrets; the apis of an installation share it."""
        path = Path(self._config.token_key_dir) / "repeats.key"
        make_key(path, lambda: token_bytes(PRINT_KEY_BYTES))
        return read_key(path, shortest=PRINT_KEY_BYTES)

    @property
    def reads_log(self) -> Writer | None:
        """The writer into whose log reads go; None in a process without services, which admits nobody anyway."""
        return self._writers.get(READS_LOG) or next(iter(self._writers.values()), None)

    def with_history(self, entry: dict[str, Any], principal: Principal) -> dict[str, Any]:
        """An audit entry with before and after of what it changed, where its service is hosted in this process.

        Fields that the caller may not see are not in it.
        """
        writer = self._writers.get(entry["service"])
        if writer is None or not entry["changes"]:
            return entry
        return {**entry, "changes": plain(history.told(writer.store, entry["changes"]), unseen_by(principal))}

    def token_of(self, answer: Answer) -> Token:
        return Token.of(answer, self._config.topic_partitions)

    def _me(self, request: HttpRequest) -> HttpResponse:
        """Who the caller is, what they may do, and the menu entries that shows (SEC-17)."""
        caller = self.caller(request, PASSWORD)
        require_only(request)
        rights = {right: sorted(caller.scopes_of(right)) for right in sorted(RIGHTS) if caller.may(right)}
        body = {
            "id": caller.user_id,
            "name": caller.name,
            "roles": sorted(caller.roles),
            "must_change_password": caller.limited,
            "rights": rights,
            "menu": [entry for entry in MENU if entry.right in rights],
        }
        return HttpResponse(200, msgspec.json.encode(body))

    def _roles(self, request: HttpRequest) -> HttpResponse:
        """Every role with its rights and how far each reaches (SEC-15, SEC-16)."""
        with self.attempt(self.reads_log, request, "READ", *ROLES_READ) as attempt:
            self.caller(request, "accounts", attempt)
            require_only(request)
        items = [
            {"id": row.role, "title": row.title, "version": row.revision, "rights": dict(sorted(row.rights.items()))}
            for row in self.directory.roles()
        ]
        return HttpResponse(200, msgspec.json.encode({"items": items}))

    def _mailbox(self, request: HttpRequest) -> HttpResponse:
        """The newest messages, newest first, and those to one address or number with `to`; each look is noted."""
        with self.attempt(self.reads_log, request, "READ", *MAILBOX_READ) as attempt:
            attempt.query = request.query
            self.caller(request, "platform", attempt)
            require_only(request, "to")
            to = single("to", request.query["to"]) if "to" in request.query else None
            kept = importlib.import_module("services.access.messages").Mailbox(Path(self._config.mailbox_dir))
            found = kept.messages(to)[-NEWEST_MESSAGES:]
            attempt.note()
        return HttpResponse(200, msgspec.json.encode({"items": found[::-1]}))

    # -- operations

    def _readyz(self, request: HttpRequest) -> HttpResponse:
        problems = self._ready()
        body = {"status": "unready" if problems else "ready", "problems": dict(problems)}
        return HttpResponse(503 if problems else 200, msgspec.json.encode(body))

    def _metrics(self, request: HttpRequest) -> HttpResponse:
        """For the networks of METRICS_NETWORKS, and for whoever runs the platform (OWASP API9).

        A request that somebody has passed on comes from nowhere in particular, unless that proxy is trusted.
        """
        if "x-forwarded-for" in request.headers or not within(request.address, self._metrics_networks):
            self.caller(request, "platform")
        return HttpResponse(200, generate_latest(), content_type=CONTENT_TYPE_LATEST)


class _Command:
    """Serves one command."""

    def __init__(self, api: Api, writer: Writer, spec: CommandSpec) -> None:
        self._api, self._writer, self._spec = api, writer, spec
        self._around = writer.service.around.get(spec.cls)

    @property
    def prepares_secrets(self) -> bool:
        """Whether it is sign-in or the like, which has a limit of its own."""
        return self._around is not None

    def __call__(self, http: HttpRequest) -> HttpResponse:
        about, id = object_kind(self._spec.cls), canonical(http.path.get(self._spec.key, ""))
        with self._api.attempt(self._writer, http, "COMMAND", self._spec.name, about, id) as attempt:
            return self._serve(http, attempt)

    def _serve(self, http: HttpRequest, attempt: Attempt) -> HttpResponse:
        spec, api = self._spec, self._api
        token = api.token(http)
        waits = partial(api.wait_for_replicas, self._writer, token, http=http)
        principal = api.caller(http, spec.permission, attempt, waits)
        require_only(http)
        body = json_body(http)
        count_nodes(body, MAX_COMMAND_NODES)
        for name in http.path:
            if name in body:
                raise Refused("VALIDATION", f"{name}: stands in the path already.", field=name)
        key = http.headers.get("idempotency-key")
        data = {**body, **http.path}
        secret_print = self._secret_print(data) if key is not None and self._around is not None else ""
        sent = Sent(key, sent_print(spec, data) if key is not None else "", secret_print)
        try:
            attempt.command = command = load_command(
                spec, data, principal, key, secret_print, currency=api.directory.company.currency
            )
        except Refused:
            if (earlier := done_before(self._writer, principal, sent)) is None:
                raise
            answer, told = earlier, self._outcome_again(earlier, attempt)
        else:
            answer, told = self._carry_out(command, principal, http, attempt, sent)
        headers = {HEADER: str(api.token_of(answer).with_also(token))}
        if spec.versioned:
            headers["ETag"] = f'"{answer.body["version"]}"'
        if spec.creates:
            headers["Location"] = f"{spec.path}/{answer.body['id']}"
        return HttpResponse(201 if spec.creates else 200, msgspec.json.encode(told), headers)

    def _secret_print(self, data: Mapping[str, Any]) -> str:
        """What tells a repeat of a command with secrets from another one; it is keyed, so it tells nobody anything."""
        return keyed_print(self._api.print_key, self._spec.name, data)

    def _carry_out(
        self, command: Any, principal: Principal, http: HttpRequest, attempt: Attempt, sent: "Sent"
    ) -> tuple[Answer, dict[str, Any]]:
        """The writer's answer, and what the caller is told."""
        api, match, (key, mark, secret_print) = self._api, http.headers.get("if-match"), sent
        if self._around is None:
            request = api.request(self._spec, command, principal, http, key=key, match=match, sent_print=mark)
            future = self._writer.submit(request)
            attempt.told = True  # from here on the writer tells of it
            answer = _result(future)
            return answer, answer.body
        if key is not None:
            command_id = command_id_of(principal, key, secret_print)
            if (earlier := self._writer.remembered(command_id, secret_print)) is not None:
                return earlier, self._outcome_again(earlier, attempt)
        surroundings = api.surroundings(principal, self._writer)
        prepared = self._around.before(command, surroundings)
        request = api.request(
            self._spec,
            prepared.command,
            principal,
            http,
            key=key,
            match=match,
            sent_print=mark,
            secret_print=secret_print,
        )
        request.prepared, request.person = prepared.facts, prepared.person
        future = self._writer.submit(request)
        attempt.told = True
        answer = _result(future)
        if request.is_repeat:  # both came at once
            return answer, self._outcome_again(answer, attempt)
        if refusal := self._around.refuses(answer.body):
            raise refusal
        return answer, self._around.after(dict(answer.body), prepared.facts, surroundings)

    def _outcome_again(self, answer: Answer, attempt: Attempt) -> dict[str, Any]:
        """What a repeat is told: the answer, or how it ended where the answer held secrets: those are told once.

        Raises the refusal that the first was told.
        """
        if self._around is None:
            attempt.note(REPEATED)
            return answer.body
        if refusal := self._around.refuses(answer.body):
            raise refusal
        attempt.note(REPEATED)
        return {"id": answer.body["id"], "version": answer.body["version"], "repeated": True}


class _Bulk:
    """Serves the bulk form of a command: {"items": [{"command": {...}, "idempotency_key"?, "if_match"?}]}."""

    def __init__(self, api: Api, writer: Writer, spec: CommandSpec) -> None:
        self._api, self._writer, self._spec = api, writer, spec

    def __call__(self, http: HttpRequest) -> HttpResponse:
        with self._attempt(http) as attempt:
            return self._serve(http, attempt)

    def _attempt(self, http: HttpRequest) -> Attempt:
        return self._api.attempt(self._writer, http, "COMMAND", self._spec.name, object_kind(self._spec.cls))

    def _serve(self, http: HttpRequest, attempt: Attempt) -> HttpResponse:
        api = self._api
        token = api.token(http)
        waits = partial(api.wait_for_replicas, self._writer, token, http=http)
        principal = api.caller(http, self._spec.permission, attempt, waits)
        require_only(http)
        for name, member in (("Idempotency-Key", "idempotency_key"), ("If-Match", "if_match")):
            if name.lower() in http.headers:
                raise Refused(
                    "VALIDATION", f"{name}: of many commands each has its own: {member} in its item.", field=name
                )
        body = json_body(http)
        if unknown := set(body) - {"items"}:
            name = min(unknown)
            raise Refused("VALIDATION", f"{name}: Unknown field; there is items.", field=name)
        items = body.get("items")
        if not isinstance(items, list) or not 1 <= len(items) <= MAX_BULK:
            raise Refused("VALIDATION", f"items: must be a list of 1 to {MAX_BULK} commands.", field="items")
        prepared = []
        for item in items:
            prepared.append(self._prepare(http, principal, item))
            api.let_others()
        self._writer.submit_all([request for request in prepared if isinstance(request, Request)])
        attempt.told = True
        outcomes = [_outcome(item) if isinstance(item, Request) else item for item in prepared]
        results, reached = [], token or Token({})
        for outcome in outcomes:
            if isinstance(outcome, Refused):
                results.append({"status": int(STATUS[outcome.code]), "body": outcome.problem()})
            else:
                results.append({"status": 201 if self._spec.creates else 200, "body": outcome.body})
                reached = reached.with_also(api.token_of(outcome))
        return HttpResponse(200, msgspec.json.encode({"results": results}), {HEADER: str(reached)})

    def _prepare(self, http: HttpRequest, principal: Principal, item: Any) -> Request | Answer | Refused:
        """A request for the writer, or how the item has ended already."""
        attempt = self._attempt(http)
        attempt.claimed = principal
        try:
            if not isinstance(item, dict) or not isinstance(item.get("command"), dict):
                raise Refused("VALIDATION", 'Each item must be {"command": {...}}.', field="items")
            if unknown := set(item) - {"command", "idempotency_key", "if_match"}:
                raise Refused("VALIDATION", f"{min(unknown)}: Unknown field.", field=min(unknown))
            key, match = item.get("idempotency_key"), item.get("if_match")
            if not isinstance(key, str | None) or not isinstance(match, str | None):
                raise Refused("VALIDATION", "idempotency_key and if_match are texts.", field="idempotency_key")
            count_nodes(item["command"], MAX_COMMAND_NODES)
            api, spec, data = self._api, self._spec, item["command"]
            sent = Sent(key, sent_print(spec, data) if key is not None else "")
            try:
                command = load_command(spec, data, principal, key, currency=api.directory.company.currency)
            except Refused:
                if (earlier := done_before(self._writer, principal, sent)) is None:
                    raise
                attempt.note(REPEATED)
                return earlier
            attempt.command = command
            return api.request(spec, command, principal, http, key=key, match=match, sent_print=sent.mark)
        except Refused as refusal:
            attempt.refused(refusal)
            return refusal


class _Query:
    """Serves a view: one row when its path names one, else a page or an export."""

    def __init__(self, api: Api, view: View, reader: ViewReader) -> None:
        self._api, self._view, self._reader = api, view, reader

    def __call__(self, http: HttpRequest) -> HttpResponse:
        format = (http.query.get("format") or ["json"])[-1]
        kind: Kind = "READ" if format == "json" else "EXPORT"
        with self._attempt(http, kind) as attempt:
            response = self._list(http, attempt, format)
            if kind == "EXPORT" or self._view.personal:
                attempt.note()
            return response

    def _attempt(self, http: HttpRequest, kind: Kind, id: str = "") -> Attempt:
        attempt = self._api.attempt(self._api.reads_log, http, kind, self._view.name, self._view.what, id)
        attempt.query = http.query
        return attempt

    def _list(self, http: HttpRequest, attempt: Attempt, format: str) -> HttpResponse:
        view = self._view
        principal = self._api.caller(http, view.permission, attempt)
        token = self._api.token(http)
        single("format", http.query.get("format", ["json"]))
        if format not in FORMATS:
            raise Refused("VALIDATION", f"format: must be one of {', '.join(FORMATS)}.", field="format")
        if format != "json":
            with self._api.seat(principal, token, http):
                return self._export(http, principal, token, format)
        with self._api.seat(principal, token, http):
            page = self._reader.page(principal, http.query, token, self._language(http))
        body: dict[str, Any] = {"items": page.items, "next": page.next}
        if page.total is not None:
            body["total"] = page.total
        return _fresh(body, page.freshness, {}, self._api.logs)

    def _language(self, http: HttpRequest) -> str:
        return language_of(http, self._api.directory.company.language)

    def _export(self, http: HttpRequest, principal: Principal, token: Token | None, format: str) -> HttpResponse:
        give_back = self._api.exports.take(principal.user_id)
        try:
            file = self._reader.export(
                principal, http.query, token, format, language=self._language(http), closed=give_back
            )
        except BaseException:
            give_back()
            raise
        name = f'attachment; filename="{self._view.name}.{format}"'
        return HttpResponse(200, b"", {"Content-Disposition": name, **file.headers}, TYPES[format], file=file)

    def one(self, http: HttpRequest) -> HttpResponse:
        """Serve one row, named by the path."""
        with self._attempt(http, "READ", key_of(http)) as attempt:
            response = self._one(http, attempt)
            if self._view.personal:
                attempt.note()
            return response

    def _one(self, http: HttpRequest, attempt: Attempt) -> HttpResponse:
        principal = self._api.caller(http, self._view.permission, attempt)
        token = self._api.token(http)
        require_only(http)
        with self._api.seat(principal, token, http):
            row, freshness = self._reader.one(principal, key_of(http), token)
        if self._view.collected:
            row = self._api.with_history(row, principal)
        headers = {"ETag": f'"{row["version"]}"'} if isinstance(row.get("version"), int) else {}
        return _fresh(row, freshness, headers, self._api.logs)


class _Rebuilds:
    """Serves the rebuilds of views; a worker carries them out."""

    def __init__(self, api: Api, views: Sequence[View], database: "Database[dict[str, Any]]") -> None:
        self._api = api
        self._views = [view.name for view in views if not view.collected]
        self._requests = RebuildRequests(database)

    def serving(self) -> dict[str, Serve]:
        """What serves each operation, by name."""
        serve: Mapping[str, Any] = {
            "rebuild_view": self._ask,
            "rebuilds": self._newest,
            "rebuild": self._one,
            "call_off_rebuild": self._call_off,
        }
        return {one.name: partial(self._noted, one, serve[one.name]) for one in PLATFORM_OPERATIONS}

    def _noted(
        self, operation: Operation, serve: Callable[[Principal, HttpRequest, Any], HttpResponse], http: HttpRequest
    ) -> HttpResponse:
        """Serve it for who may; what changes something is in the audit log, and so is who was refused."""
        api, changes = self._api, operation.method == "POST"
        of_view, of_rebuild = OPERATED_ON
        what, id = (
            (of_view, http.path["view"]) if "view" in http.path else (of_rebuild, http.path.get("rebuild_id", ""))
        )
        kind: Kind = "COMMAND" if changes else "READ"
        with api.attempt(api.reads_log, http, kind, operation.name, what, id) as attempt:
            principal = api.caller(http, operation.permission, attempt)
            require_only(http)
            asked = load(operation.body, json_body(http)) if operation.body else None
            attempt.query = {name: [str(value).lower()] for name, value in vars(asked).items()} if asked else {}
            answer = serve(principal, http, asked)
            if changes:
                attempt.note()
        return answer

    def _ask(self, caller: Principal, http: HttpRequest, asked: RebuildView) -> HttpResponse:
        view = http.path["view"]
        if view not in self._views:
            raise Refused("NOT_FOUND", f"There is no such view; there are {', '.join(self._views)}.", field="view")
        key = http.headers.get("idempotency-key")
        id = str(uuid4()) if key is None else command_id_of(caller, key)
        by = str(caller.user_id or ""), caller.name
        found = self._requests.ask(id, view, asked, by, self._api.now())
        return HttpResponse(202, _shown_rebuild(found), {"Location": f"/rebuilds/{id}"})

    def _newest(self, _: Principal, http: HttpRequest, __: None) -> HttpResponse:
        items = [msgspec.Raw(_shown_rebuild(found)) for found in self._requests.newest()]
        return HttpResponse(200, msgspec.json.encode({"items": items}))

    def _one(self, _: Principal, http: HttpRequest, __: None) -> HttpResponse:
        return HttpResponse(200, _shown_rebuild(self._requests.one(key_of(http))))

    def _call_off(self, caller: Principal, http: HttpRequest, _: CallOffRebuild) -> HttpResponse:
        key = http.headers.get("idempotency-key")
        request = None if key is None else command_id_of(caller, key)
        return HttpResponse(200, _shown_rebuild(self._requests.call_off(key_of(http), caller.name, request)))


def _shown_rebuild(document: Mapping[str, Any]) -> bytes:
    shown = {**document, "id": document["_id"]}
    return msgspec.json.encode({item.name: plain(shown.get(item.name)) for item in fields(RebuildRow)})


def require_only(http: HttpRequest, *known: str) -> None:
    """Raises Refused VALIDATION for a query parameter other than the known ones: nothing sent is ignored."""
    if unknown := set(http.query) - set(known):
        name = min(unknown)[:100]
        there = f"there is {', '.join(known)}" if known else "there are none here"
        raise Refused("VALIDATION", f"{name}: unknown parameter; {there}.", field=name)


def key_of(http: HttpRequest) -> str:
    """The key of the one row that a path names."""
    return canonical(next(iter(http.path.values())))


def _fresh(body: dict[str, Any], freshness: Freshness, headers: dict[str, str], logs: Logs) -> HttpResponse:
    as_of = freshness.as_of.astimezone(UTC).isoformat().replace("+00:00", "Z") if freshness.as_of else None
    body["freshness"] = {"as_of": as_of}
    return HttpResponse(200, msgspec.json.encode(body), {**headers, HEADER: str(logs.told(freshness.positions))})


def language_of(http: HttpRequest, company: str) -> str:
    """In whose order texts are sorted: the first language of Accept-Language that there is, else the company's."""
    for part in http.headers.get("accept-language", "")[:200].split(","):
        tag = part.partition(";")[0].partition("-")[0].strip().lower()
        if tag in LANGUAGES:
            return tag
    return company


def keyed_print(key: bytes, name: str, data: Mapping[str, Any]) -> str:
    """A mark of a command with secrets: without the key nobody finds a password by trying."""
    body = msgspec.json.encode(data, order="deterministic")
    return hmac.new(key, name.encode() + b"\n" + body, sha256).hexdigest()


class Sent(NamedTuple):
    """What is known of a command as it was sent: its Idempotency-Key, and with one its marks (`writer.Request`)."""

    key: str | None
    mark: str
    secret_mark: str = ""


def sent_print(spec: CommandSpec, data: Mapping[str, Any]) -> str:
    """The mark of a command as a caller has written it.

    The order of members and blanks don't count, nor how an id in the path is written; what is filled in (the company's
    currency, defaults, those of a later release too) is no part of it.
    """
    named = {
        name: canonical(data[name])
        for name in data.keys() & set(_IN_PATH.findall(str(spec.path)))
        if isinstance(data[name], str)
    }
    return print_of(spec.name, json.dumps({**data, **named}, sort_keys=True, default=str).encode())


def done_before(writer: Writer, principal: Principal, sent: Sent) -> Answer | None:
    """The answer to a command that was carried out under its key already.

    It is asked for before a command is refused for what it holds: that may have been right when it was sent first, in
    the company's former currency or by the rules of the release before.
    """
    if sent.key is None or not _KEY.match(sent.key):
        return None
    with suppress(Refused):  # another command: what is wrong with this one tells more
        return writer.remembered(command_id_of(principal, sent.key, sent.secret_mark), sent.secret_mark or sent.mark)
    return None


def command_id_of(principal: Principal, key: str, secret_print: str = "") -> str:
    """The id of a command sent with an Idempotency-Key; keys of different users never meet.

    Of two who have not signed in nobody knows whether they are one: what they send (`secret_print`) tells them apart.
    """
    if not _KEY.match(key):
        raise Refused(
            "VALIDATION", "Idempotency-Key: 1 to 200 printable characters without blanks.", field="Idempotency-Key"
        )
    whose = principal.user_id or f"nobody:{secret_print}"
    return str(uuid5(NAMESPACE_URL, f"salestream:idempotency:{whose}:{key}"))


def load_command(
    spec: CommandSpec,
    data: dict[str, Any],
    principal: Principal,
    key: str | None,
    secret_print: str = "",
    *,
    currency: str,
) -> Any:
    """The validated command; money in it that names no currency is in `currency`.

    A new record's id must be a random UUID: named ones belong to the service itself.  With an Idempotency-Key the id
    that a caller leaves out follows from the key, so that a repeat is the same command.
    """
    if spec.creates and key is not None and data.get(spec.key) in (None, ""):
        data = {**data, spec.key: str(made_id(spec, command_id_of(principal, key, secret_print)))}
    command: Any = load(spec.cls, data, currency=currency)
    id = getattr(command, spec.key)
    if spec.creates and (not isinstance(id, UUID) or id.version not in RANDOM_UUIDS):
        raise Refused("VALIDATION", f"{spec.key}: must be a random UUID (version 4 or 7).", field=spec.key)
    return command


def json_body(http: HttpRequest) -> dict[str, Any]:
    """The body as a JSON object ({} when there is none).  Raises Refused."""
    raw = http.body()
    if not raw:
        return {}
    kind = http.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if kind != JSON:
        raise Refused("FILE_TYPE", f"Send {JSON}, not {kind[:80]}.", field="Content-Type")
    return read_object(raw)


def correlation_of(http: HttpRequest) -> str:
    """The caller's correlation id, if it sent a usable one."""
    text = http.headers.get("x-correlation-id", "")
    return text if _CORRELATION.match(text) else ""


def problem(refusal: Refused, http: HttpRequest | None = None) -> HttpResponse:
    """The answer that tells of a refusal."""
    body = refusal.problem()
    headers: dict[str, str] = {}
    if http is not None and (correlation := correlation_of(http)):
        body["correlation_id"] = correlation
    if refusal.code in ("OVERLOADED", "UNAVAILABLE", "RATE_LIMITED"):
        headers["Retry-After"] = "1"
    if refusal.code == "UNAUTHENTICATED":
        headers["WWW-Authenticate"] = "Bearer"
    if refusal.code == "METHOD_NOT_ALLOWED":
        headers["Allow"] = str(refusal.state)
    return HttpResponse(int(STATUS[refusal.code]), msgspec.json.encode(body), headers, PROBLEM)


def _expected_version(match: str | None) -> int | None:
    if match is None or match == "*":
        return None
    found = _ETAG.match(match.strip())
    if not found:
        raise Refused("VALIDATION", 'If-Match: must be one ETag such as "3".', field="If-Match")
    return int(found[1])


def _result(future: Any) -> Answer:
    try:
        answer: Answer = future.result(timeout=ANSWER_SECONDS)
    except FutureTimeout as error:
        raise Refused(
            "UNAVAILABLE",
            "No answer in time; the command may still be carried out. Repeat it with its Idempotency-Key.",
        ) from error
    return answer


def _outcome(request: Request) -> Answer | Refused:
    try:
        return _result(request.future)
    except Refused as refusal:
        return refusal
    except Exception:
        return _internal()


def _internal() -> Refused:
    return Refused("INTERNAL", "Something went wrong on our side; it is in the log under the correlation id.")


def guarded(route: Route) -> Route:
    """Time the route and turn whatever is raised into a problem."""

    def serve(http: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        try:
            response = route.serve(http)
        except Refused as refusal:
            response = problem(refusal, http)
        except ExecutionTimeout:
            response = problem(Refused("UNAVAILABLE", "The query took too long; narrow it with filters."), http)
        except PyMongoError as error:
            log.warning("read models unreachable", route=route.name, error=repr(error))
            response = problem(Refused("UNAVAILABLE", "The read models can't be reached; try again."), http)
        except Exception:
            log.exception("request failed", route=route.name, correlation_id=correlation_of(http))
            response = problem(_internal(), http)
        seconds = time.perf_counter() - started
        metrics.of(metrics.HTTP_SECONDS, route.name, str(response.status)).observe(seconds)
        if response.status >= 500:
            log.warning("http", route=route.name, status=response.status, seconds=round(seconds, 4))
        return response

    return replace(route, serve=serve)


def unknown_route(known: Sequence[Route]) -> Route:
    """What serves the addresses and methods that nobody serves: a problem that says what there is."""

    def serve(http: HttpRequest) -> HttpResponse:
        path = http.target.partition("?")[0]
        others = sorted({route.method for route in known if re.fullmatch(re.sub(r"{\w+}", "[^/]+", route.path), path)})
        if others:
            allowed = ", ".join(others)
            raise Refused("METHOD_NOT_ALLOWED", f"{path} takes {allowed}, not {http.method}.", state=allowed)
        raise Refused("NOT_FOUND", "There is no such address.", field="path")

    return guarded(Route("", "", "unknown", serve))
