"""Serving commands over HTTP, one by one and in bulk (`chassis.commands.pipeline`)."""

import re
from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from functools import partial
from typing import Any

import msgspec

from chassis.audit.entries import REPEATED, object_kind
from chassis.commands.idempotency import Sent, keyed_print, sent_print
from chassis.commands.pipeline import Ready, Repeat, check, prepare
from chassis.commands.runs import RUN, key_of, reverting
from chassis.http.audit_notes import Attempt
from chassis.http.bodies import MAX_COMMAND_NODES, count_nodes
from chassis.http.edge import Api
from chassis.http.messages import ANSWER_SECONDS, HttpRequest, HttpResponse
from chassis.http.problems import in_language, internal
from chassis.http.requests import json_body, language_asked, require_only
from chassis.messaging.consistency import HEADER, Token
from chassis.model.principal import Principal
from chassis.writer.request import Answer
from chassis.writer.writer import Writer
from contracts.declare import CommandSpec
from contracts.errors import STATUS, Refused, not_found
from contracts.ids import canonical, id_in, new_id
from contracts.reasons import Why
from contracts.schemas import awaited, can_be, told_name

MAX_BULK = 500
_HEADERS_OF_AN_ITEM = {"idempotency_key": "Idempotency-Key", "if_match": "If-Match"}
"""What a command among many has for the headers of a single one."""


class CommandHandler:
    """Serves one command."""

    def __init__(self, api: Api, writer: Writer, spec: CommandSpec) -> None:
        self._api, self._writer, self._spec = api, writer, spec
        self._made = spec.key if spec.method == "PUT" and re.fullmatch(r"[^{]*{\w+}", str(spec.path)) else ""
        """The field of the path that names what the command puts there: all others name what must be there."""
        names, all_of_them = awaited(spec)
        self._awaited: Why | None = None
        if names:
            self._awaited = Why("requests.empty_body" if all_of_them else "requests.empty_change", names=names)

    @property
    def prepares_secrets(self) -> bool:
        """Whether it is sign-in or the like, which has a limit of its own."""
        return self._spec.cls in self._writer.service.middleware

    def __call__(self, http: HttpRequest) -> HttpResponse:
        about, id = object_kind(self._spec.cls), canonical(http.path.get(self._spec.key, ""))
        with self._api.attempt(self._writer, http, "COMMAND", self._spec.name, about, id) as attempt:
            token = self._api.token(http)
            ready = self._ready(http, attempt, token)
        if isinstance(ready, Repeat):
            return self._told(ready.answer, ready.told(), token)
        answer = _result(self._writer.submit(ready.request))
        return self._told(answer, ready.told(answer), token)

    def _ready(self, http: HttpRequest, attempt: Attempt, token: Token | None) -> Ready | Repeat:
        """The command as the writer gets it, or how it ended before.  Raises Refused, which the attempt notes."""
        spec, api = self._spec, self._api
        waits = partial(api.wait_for_replicas, self._writer, token, http=http)
        caller = api.caller(http, spec.permission, attempt, waits)
        require_only(http)
        data = self._data(http)
        sent = self._sent(http, data)
        checked = check(self._writer, spec, data, caller, sent, currency=api.directory.company.currency)
        if isinstance(checked, Repeat):
            checked.told()  # what it was refused for is noted as that
            attempt.note(REPEATED)
            return checked
        attempt.command = checked
        request = api.request(spec, checked, caller, http, sent=sent, match=http.headers.get("if-match"))
        return prepare(self._writer.service, request, api.surroundings(caller, self._writer, language_asked(http)))

    def _data(self, http: HttpRequest) -> Mapping[str, Any]:
        """The fields of the command, from the body and the path.

        Raises Refused NOT_FOUND for what stands in the path and can name nothing: it is not there with a query either.
        """
        body = json_body(http, self._awaited)
        count_nodes(body, MAX_COMMAND_NODES)
        for name in http.path:
            if name in body:
                raise Refused("requests.in_path", field=name)
            if name != self._made and not can_be(self._spec.cls, name, http.path[name]):
                raise not_found(name.removesuffix("_id").replace("_", " "), name)
        return {**body, **http.path}

    def _sent(self, http: HttpRequest, data: Mapping[str, Any]) -> Sent:
        """The key, and with one what tells a repeat from another command; of secrets it tells nobody anything."""
        key = http.headers.get("idempotency-key")
        if key is None:
            return Sent(None, "")
        secret = keyed_print(self._api.print_key, self._spec, data) if self.prepares_secrets else ""
        return Sent(key, sent_print(self._spec, data), secret)

    def _told(self, answer: Answer, told: Mapping[str, Any], token: Token | None) -> HttpResponse:
        spec = self._spec
        headers = {HEADER: str(self._api.token_of(answer).with_also(token))}
        if spec.versioned:
            headers["ETag"] = f'"{answer.body["version"]}"'
        if spec.creates:
            headers["Location"] = f"{spec.path}/{answer.body['id']}"
        return HttpResponse(201 if spec.creates else 200, msgspec.json.encode(told), headers)


class BulkHandler:
    """Serves the bulk form of a command: {"items": [{"command": {...}, "idempotency_key"?, "if_match"?}]}.

    What can be taken back is a run, which has an id (`chassis.commands.runs`): {"run"?: "...", "items": [...]}.
    """

    def __init__(self, api: Api, writer: Writer, spec: CommandSpec) -> None:
        self._api, self._writer, self._spec = api, writer, spec
        self._is_run = reverting(spec) is not None

    def __call__(self, http: HttpRequest) -> HttpResponse:
        api = self._api
        with self._attempt(http) as attempt:
            token = api.token(http)
            run, items = self._items(http, attempt, token)
        self._writer.submit_all([item.request for item in items if isinstance(item, Ready)])
        results, reached = [], token or Token({})
        language = api.language_of(http)
        for outcome in map(_outcome, items):
            if isinstance(outcome, Refused):
                results.append({"status": int(STATUS[outcome.code]), "body": outcome.problem(language)})
            else:
                body = self._writer.service.told(outcome.body)
                results.append({"status": 201 if self._spec.creates else 200, "body": body})
                reached = reached.with_also(api.token_of(outcome))
        headers = {HEADER: str(reached), **in_language(language)}
        told = {**({RUN: run} if self._is_run else {}), "results": results}
        return HttpResponse(200, msgspec.json.encode(told), headers)

    def _attempt(self, http: HttpRequest) -> Attempt:
        return self._api.attempt(self._writer, http, "COMMAND", self._spec.name, object_kind(self._spec.cls))

    def _items(
        self, http: HttpRequest, attempt: Attempt, token: Token | None
    ) -> tuple[str, list[Ready | Repeat | Refused]]:
        """The run, and each command as the writer gets it, or how it has ended already.  Raises Refused for all."""
        api = self._api
        waits = partial(api.wait_for_replicas, self._writer, token, http=http)
        caller = api.caller(http, self._spec.permission, attempt, waits)
        require_only(http)
        for member, name in _HEADERS_OF_AN_ITEM.items():
            if name.lower() in http.headers:
                raise Refused("requests.of_each_item", member=member, field=name)
        body = json_body(http, Why("requests.bulk_body", most=MAX_BULK))
        names = [*([RUN] if self._is_run else []), "items"]
        if unknown := set(body) - set(names):
            raise Refused("requests.bulk_fields", names=names, field=told_name(min(unknown)))
        run = _run(body.get(RUN))
        items = body.get("items")
        if not isinstance(items, list) or not 1 <= len(items) <= MAX_BULK:
            raise Refused("requests.bulk_items", most=MAX_BULK, field="items")
        found = []
        for number, item in enumerate(items):
            found.append(self._ready(http, caller, item, key_of(self._spec, run, number) if self._is_run else None))
            api.let_others()
        return run, found

    def _ready(self, http: HttpRequest, caller: Principal, item: Any, of_run: str | None) -> Ready | Repeat | Refused:
        """A command as the writer gets it; without a key of its own it has that `of_run`."""
        attempt = self._attempt(http)
        attempt.claimed = caller
        api, spec = self._api, self._spec
        try:
            data, own_key, match = _parts(item)
            key = of_run if own_key is None else own_key
            sent = Sent(key, sent_print(spec, data) if key is not None else "")
            checked = check(self._writer, spec, data, caller, sent, currency=api.directory.company.currency)
            if isinstance(checked, Repeat):
                attempt.note(REPEATED)
                return checked
            attempt.command = checked
            request = api.request(spec, checked, caller, http, sent=sent, match=match)
            return prepare(self._writer.service, request, api.surroundings(caller, self._writer, language_asked(http)))
        except Refused as refusal:
            attempt.refused(refusal)
            return refusal


def _run(given: Any) -> str:
    """The id of a run, which is made where none is given.  Raises Refused for what is no id."""
    run = str(new_id()) if given is None else id_in(given) if isinstance(given, str) else None
    if run is None:
        raise Refused("requests.bulk_run", field=RUN)
    return run


def _parts(item: Any) -> tuple[Mapping[str, Any], str | None, str | None]:
    """The fields, the key and the If-Match of a command among many.  Raises Refused."""
    if not isinstance(item, dict) or not isinstance(item.get("command"), dict):
        raise Refused("requests.bulk_item", field="items")
    if unknown := set(item) - {"command", *_HEADERS_OF_AN_ITEM}:
        there = ("command", *_HEADERS_OF_AN_ITEM)
        raise Refused("requests.bulk_fields", names=there, field=told_name(min(unknown)))
    for name in _HEADERS_OF_AN_ITEM:
        if not isinstance(item.get(name), str | None):
            raise Refused("requests.bulk_header", field=name)
    key, match = (item.get(name) for name in _HEADERS_OF_AN_ITEM)
    count_nodes(item["command"], MAX_COMMAND_NODES)
    return item["command"], key, match


def _outcome(item: Ready | Repeat | Refused) -> Answer | Refused:
    if isinstance(item, Refused):
        return item
    if isinstance(item, Repeat):
        return item.answer
    try:
        return _result(item.request.future)
    except Refused as refusal:
        return refusal
    except Exception:
        return internal()


def _result(future: "Future[Answer]") -> Answer:
    try:
        return future.result(timeout=ANSWER_SECONDS)
    except FutureTimeout as error:
        raise Refused("system.no_answer") from error
