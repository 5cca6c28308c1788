"""The whole edge in this process: every service on a store in memory, signed-in people, requests as HTTP sends them.

The read models exist and are empty; whoever needs rows in them asks a real MongoDB (tests/component/test_scopes.py).
"""

import json
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import argon2

from chassis.access.directory import Directory
from chassis.access.tokens import TokenVerifier
from chassis.catalogue import Catalogue, known_everywhere
from chassis.commands.pipeline import prepare
from chassis.foundation.config import Config
from chassis.http.edge import Api
from chassis.http.messages import HttpRequest, HttpResponse, Route
from chassis.http.serving import routes_of
from chassis.model.principal import SYSTEM, Principal
from chassis.projections.collections import STATES
from chassis.store.event_store import EventStore
from chassis.store.events import fact_class
from chassis.store.memory import MemoryRecorder
from chassis.testing.records import new_record
from chassis.writer.request import Answer, Request
from chassis.writer.writer import Writer
from contracts.access import IssueUser
from contracts.declare import REGISTRY
from contracts.records import Kind
from contracts.schemas import decode
from services.access import vault
from services.access.messages import Mailbox

DEFAULT = "Welcome#2026"
PASSWORD = "YunKeSale@2024"
CATALOGUE = Catalogue.read()
VIEWS = CATALOGUE.views()


class PromptWriter(Writer):
    """A writer that carries out what it is given at once, in the caller's thread."""

    def submit_all(self, requests: Sequence[Request]) -> None:
        self.execute(requests)


class EmptyCollection:
    """A collection nobody has written to; it can't be written to either."""

    def find_one(self, condition: Mapping[str, Any]) -> dict[str, Any] | None:
        return None

    def find(self) -> "EmptyCollection":
        return self

    def sort(self, _: Sequence[tuple[str, int]]) -> "EmptyCollection":
        return self

    def limit(self, _: int) -> list[dict[str, Any]]:
        return []


class EmptyCursor:
    """What a question to an empty database gives, in batches of any size."""

    def batch_size(self, _: int) -> "EmptyCursor":
        return self

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(())


class EmptyViews:
    """A database in which every read model is built, and empty."""

    codec_options = None

    def __getitem__(self, name: str) -> EmptyCollection:
        return EmptyCollection()

    def command(self, _: str, name: str, *, filter: Mapping[str, Any], **__: Any) -> dict[str, Any]:
        assert name == STATES
        return {"cursor": {"firstBatch": [{"_id": filter["_id"], "collection": filter["_id"]}]}}

    def cursor_command(self, *_: Any, **__: Any) -> EmptyCursor:
        return EmptyCursor()


@dataclass(frozen=True)
class Told:
    """An answer: its status, decoded body (None when it is no JSON) and all of it."""

    status: int
    body: Any
    response: HttpResponse

    @property
    def code(self) -> str:
        """The code of a refusal, "" for what was carried out."""
        return str(self.body.get("code", "")) if isinstance(self.body, dict) else ""

    def done(self) -> dict[str, Any]:
        assert self.status in (200, 201), self.body
        found: dict[str, Any] = self.body
        return found


@dataclass(frozen=True)
class Caller:
    """Somebody at the edge: a name to tell them by, the header they send, and who they are."""

    name: str
    authorization: str | None
    user_id: str = ""
    session_id: str = ""


NOBODY = Caller("nobody", None)


class Office:
    """All services behind one Api, and its people."""

    def __init__(self, folder: Path, database: Any = None, **settings: Any) -> None:
        keys, mailbox = str(folder / "keys"), str(folder / "mailbox")
        files = str(folder / "files")
        self.config = replace(Config(), token_key_dir=keys, mailbox_dir=mailbox, files_dir=files, **settings)
        self.mailbox = Mailbox(folder / "mailbox")
        self.directory = Directory(known_everywhere())
        services = CATALOGUE.services()
        self.stores = {service.name: EventStore(service.name, MemoryRecorder()) for service in services}
        self.writers = {
            service.name: PromptWriter(service, self.stores[service.name], listener=self.directory)
            for service in services
        }
        self.verifier = TokenVerifier(self.config)
        self.database = cast(Any, EmptyViews() if database is None else database)
        self.api = Api(
            self.config,
            self.writers,
            VIEWS,
            self.database,
            self.verifier,
            directory=self.directory,
        )
        self.routes = routes_of(self.api)
        self._by_place = {(route.method, route.path): route for route in self.routes}
        self._numbers = count(1001)
        self._told = dict.fromkeys(self.stores, 0)
        self.admin = self._first_administrator()

    # -- requests

    def call(
        self,
        request: str,
        body: Any = None,
        by: Caller = NOBODY,
        query: Mapping[str, Sequence[str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Told:
        """Send "<METHOD> <path>"; path values stand in the path."""
        method, _, path = request.partition(" ")
        route, values = self._match(method, path)
        return self.serve(route, values, body, by, query, headers)

    def serve(
        self,
        route: Route,
        values: Mapping[str, str],
        body: Any = None,
        by: Caller = NOBODY,
        query: Mapping[str, Sequence[str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Told:
        """Have a route serve a request, which asks for English unless it names another language, or none: ""."""
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        sent = {"accept-language": "en", **(headers or {})}
        if by.authorization is not None:
            sent["authorization"] = by.authorization

        def stream(_: int) -> Generator[bytes, None, None]:
            yield from [raw] if raw else ()

        response = route.serve(HttpRequest(sent, values, query or {}, lambda: raw, stream=stream))
        if response.file:
            response = replace(response, body=b"".join(response.file))
        is_json = response.body and response.content_type.endswith("json")
        return Told(response.status, json.loads(response.body) if is_json else None, response)

    def _match(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        if exact := self._by_place.get((method, path)):
            return exact, {}
        for (its_method, pattern), route in self._by_place.items():
            parts, given = pattern.split("/"), path.split("/")
            if its_method == method and len(parts) == len(given):
                pairs = list(zip(parts, given, strict=True))
                if all(part.startswith("{") or part == value for part, value in pairs):
                    return route, {part.strip("{}"): value for part, value in pairs if part.startswith("{")}
        raise AssertionError(f"no route {method} {path}")

    # -- people

    def _first_administrator(self) -> Caller:
        root = IssueUser(user_id=uuid4(), login="root", name="Root", default_password=DEFAULT, roles=("ADM",))
        self.system(root)
        settings = {"self_registration": True, "first_sign_in_code": False, "challenge": "NEVER"}
        limited = self.sign_in("root", DEFAULT)
        self._accept(limited)
        admin = self.sign_in("root", PASSWORD)
        self.call("PUT /settings/access", settings, admin).done()
        return replace(admin, name="root")

    def system(self, command: Any) -> Answer:
        """A command of Salestream itself, such as the saga's."""
        spec = REGISTRY.command_of(type(command))
        writer = self.writers[spec.service]
        now = self.api.clock()
        request = Request(command, SYSTEM.context(now, now.date()), str(uuid4()))
        ready = prepare(writer.service, request, self.api.surroundings(SYSTEM, writer))
        return writer.submit(ready.request).result(timeout=0)

    def user(self, *roles: str, name: str = "", **more: Any) -> Caller:
        """Somebody with an account, a password of their own and an open session."""
        login = self.issue(*roles, name=name, **more)
        self._accept(self.sign_in(login, DEFAULT))
        return self.sign_in(login, PASSWORD, name=name or ", ".join(roles) or "no role")

    def issue(self, *roles: str, name: str = "", **more: Any) -> str:
        """An account with the default password; returns its login."""
        login = str(next(self._numbers))
        body = {"login": login, "name": name or f"User {login}", "default_password": DEFAULT, "roles": roles, **more}
        self.call("POST /users", body, self.admin).done()
        return login

    def sign_in(self, login: str, password: str, name: str = "") -> Caller:
        told = self.call("POST /sessions", {"name": login, "password": password}).done()
        return Caller(name or login, f"Bearer {told['access_token']}", told["user_id"], told["id"])

    def _accept(self, limited: Caller) -> None:
        body = {"old_password": DEFAULT, "new_password": PASSWORD}
        self.call(f"POST /users/{limited.user_id}/password", body, limited).done()

    def machine(self, *grants: tuple[str, str]) -> Caller:
        """A program that holds these (right, scope)."""
        body = {"name": f"ERP {new_id()}", "grants": [{"right": right, "scope": scope} for right, scope in grants]}
        added = self.call("POST /machines", body, self.admin).done()
        told = self.call(f"POST /machines/{added['id']}/token", {"secret": added["secret"]}).done()
        return Caller("machine", f"Bearer {told['access_token']}", added["id"])

    def principal_of(self, caller: Caller) -> Principal:
        """The caller with the rights of this moment."""
        return self.directory.admit(self.verifier.verify(caller.authorization))

    def code(self) -> str:
        """The code that was sent last."""
        return str(re.findall(r"[0-9]{6}", self.mailbox.messages()[-1].text)[0])

    # -- what is stored

    def state(self) -> dict[str, tuple[int, int]]:
        """How many events and remembered results each service holds."""
        return {
            name: (store.last_position(), len(cast(MemoryRecorder, store.recorder).results))
            for name, store in self.stores.items()
        }

    def facts(self, service: str) -> list[Any]:
        """The public facts of a service, oldest first."""
        stored = self.stores[service].notifications(0, 1_000_000)
        return [decode(fact_class(event.type), event.data) for event in stored if event.key]

    def enter(self, kind: Kind, by: Caller | None = None) -> str:
        """The id of a new record of a kind, of which every service has heard.

        It belongs to records that are entered for it where it must.
        """
        by = by or self.admin
        body = new_record(kind, lambda parent: self.enter(parent, by))
        id: str = self.call(f"POST {kind.path}", body, by).done()["id"]
        self.tell_all()
        return id

    def tell_all(self) -> None:
        """Every service hears of what the others did."""
        for source, store in self.stores.items():
            events = [event for event in store.notifications(self._told[source], 1_000_000) if event.key]
            self._told[source] = store.last_position()
            news: list[Any] = [decode(fact_class(event.type), event.data) for event in events]
            for writer in self.writers.values():
                fed = {fact for replica in writer.service.replicas for fact in replica.feeds}
                if known := [fact for fact in news if type(fact) in fed]:
                    writer.learn(known, {f"position:{source}.events:0": self._told[source]})


def new_id() -> str:
    return str(uuid4())


class quick_hashes:
    """Hashes that cost little, inside the block: what the real ones cost has a test of its own."""

    def __enter__(self) -> None:
        self._real = vault._hasher
        vault._hasher = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        vault.nobodys_hash.cache_clear()

    def __exit__(self, *_: object) -> None:
        vault._hasher = self._real
        vault.nobodys_hash.cache_clear()
