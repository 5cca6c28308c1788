"""Serving commands, one by one and in bulk."""

from collections.abc import Mapping
from concurrent.futures import TimeoutError as FutureTimeout
from functools import partial
from typing import Any
from uuid import UUID

import msgspec

from chassis.audit.entries import REPEATED, object_kind
from chassis.http.audit_notes import Attempt
from chassis.http.bodies import MAX_COMMAND_NODES, count_nodes
from chassis.http.edge import Api
from chassis.http.idempotency import Sent, command_id_of, done_before, keyed_print, sent_print
from chassis.http.messages import ANSWER_SECONDS, HttpRequest, HttpResponse
from chassis.http.problems import internal
from chassis.http.requests import json_body, require_only
from chassis.messaging.consistency import HEADER, Token
from chassis.model.principal import Principal
from chassis.writer.request import Answer, Request, made_id
from chassis.writer.writer import Writer
from contracts.declare import CommandSpec
from contracts.errors import STATUS, Refused
from contracts.ids import RANDOM_UUIDS, canonical
from contracts.schemas import load

MAX_BULK = 500


class CommandHandler:
    """Serves one command."""

    def __init__(self, api: Api, writer: Writer, spec: CommandSpec) -> None:
        self._api, self._writer, self._spec = api, writer, spec
        self._middleware = writer.service.middleware.get(spec.cls)

    @property
    def prepares_secrets(self) -> bool:
        """Whether it is sign-in or the like, which has a limit of its own."""
        return self._middleware is not None

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
        secret_print = self._secret_print(data) if key is not None and self._middleware is not None else ""
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
        if self._middleware is None:
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
        prepared = self._middleware.before(command, surroundings)
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
        if refusal := self._middleware.refuses(answer.body):
            raise refusal
        return answer, self._middleware.after(dict(answer.body), prepared.facts, surroundings)

    def _outcome_again(self, answer: Answer, attempt: Attempt) -> dict[str, Any]:
        """What a repeat is told: the answer, or how it ended where the answer held secrets: those are told once.

        Raises the refusal that the first was told.
        """
        if self._middleware is None:
            attempt.note(REPEATED)
            return answer.body
        if refusal := self._middleware.refuses(answer.body):
            raise refusal
        attempt.note(REPEATED)
        return {"id": answer.body["id"], "version": answer.body["version"], "repeated": True}


class BulkHandler:
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
        return internal()
