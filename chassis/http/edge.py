"""What every route of a process needs of it: the caller and their rights, the audit log, consistency tokens."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from secrets import token_bytes
from typing import Any
from uuid import uuid4

import structlog
from pymongo.database import Database

from chassis.access.directory import Directory
from chassis.access.tokens import TokenVerifier
from chassis.audit.entries import EntryKind
from chassis.catalogue import Catalogue, known_everywhere
from chassis.commands.idempotency import PRINT_KEY_BYTES, Sent, command_id_of
from chassis.files.opening import open_files
from chassis.foundation.config import Config
from chassis.foundation.private_files import make_key, read_key
from chassis.http import audit_history as history
from chassis.http.audit_notes import Attempt, origin_of
from chassis.http.files import Files
from chassis.http.messages import HttpRequest
from chassis.http.problems import ToldIn, asked_in, correlation_of
from chassis.http.requests import expected_version, language_asked
from chassis.messaging.consistency import HEADER, Logs, Token, WaitingRoom
from chassis.model.middleware import Offload, Surroundings, at_once
from chassis.model.principal import NOBODY, Principal
from chassis.model.views import View
from chassis.queries.exports import Places
from chassis.queries.rows import plain, unseen_by
from chassis.queries.saved import require_taken
from chassis.writer.request import Answer, Request
from chassis.writer.writer import Writer
from contracts.declare import CommandSpec
from contracts.errors import Refused
from contracts.languages import Language
from contracts.permissions import PUBLIC

log = structlog.get_logger()
SHORTEST_WAIT, LONGEST_WAIT = 0.005, 0.05  # seconds between two looks at what is waited for
NEWEST_MESSAGES = 200
_TRACEPARENT = re.compile(r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")


class Api:
    """What the routes of a process have in common: who calls, what is noted, what a request waits for."""

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
        self.config = config
        self.aside = aside
        self.exports = Places()
        self.directory = directory or Directory(known_everywhere())
        self._slowly = slowly
        self._later = later
        self.writers = writers
        self.views = views if database is not None else ()
        self.database = database
        self._verifier = verifier
        self.clock = clock
        self.ready = ready
        self.sleep = sleep
        self.logs = Logs(
            {name: writer.store.last_position for name, writer in writers.items()}, config.topic_partitions
        )
        self._waiting_room = WaitingRoom()
        self._people = Catalogue.read().people

    def attempt(self, writer: Writer | None, http: HttpRequest, kind: EntryKind, *about: str) -> Attempt:
        """A request about to be served, for the audit log: action, kind of record, its id."""
        action, object_kind, object_id = (*about, "", "")[:3]
        origin = http.address, correlation_of(http)
        object_id = object_id.encode(errors="replace").decode()  # half a character can't be written down
        return Attempt(writer, self.clock, kind, action, *origin, object_kind, object_id)

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

    def surroundings(self, principal: Principal, writer: Writer, asked: Language | None = None) -> Surroundings:
        return Surroundings(
            config=self.config,
            caller=principal,
            now=self.clock(),
            records=writer.store,
            directory=self.directory,
            slowly=self._slowly,
            later=self._later,
            asked=asked,
        )

    def request(
        self, spec: CommandSpec, command: Any, caller: Principal, http: HttpRequest, *, sent: Sent, match: str | None
    ) -> Request:
        """A writer request from an HTTP one; `match` is its If-Match.  Raises Refused."""
        now, company = self.clock(), self.directory.company
        command_id = str(uuid4()) if sent.key is None else command_id_of(caller, sent.key, sent.secret_mark)
        trace = http.headers.get("traceparent", "")
        return Request(
            command=command,
            context=caller.context(
                now,
                company.day_of(now),
                spec.permission,
                company.currency,
                company.custom_fields.of,
                require_taken=partial(require_taken, caller, company),
                parameter=company.parameter,
                day_of=company.day_of,
            ),
            command_id=command_id,
            sent_print=sent.mark,
            secret_print=sent.secret_mark,
            remember=sent.key is not None,
            expected_version=expected_version(match),
            correlation_id=correlation_of(http) or command_id,
            origin=origin_of(caller, http.address),
            traceparent=trace if _TRACEPARENT.match(trace) else "",
        )

    def language_of(self, http: HttpRequest) -> Language:
        """What the caller reads (`Directory.language_of`), in answers and in refusals."""
        try:
            caller = self._verifier.verify(http.headers.get("authorization")).user_id
        except Refused:
            caller = None  # nobody says who calls
        return self.directory.language_of(caller, language_asked(http))

    @property
    def told_in(self) -> ToldIn:
        """The language of refusals; a process without writers hears nothing of people and company."""
        return self.language_of if self.writers else asked_in

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
                    raise Refused("system.not_heard_yet")
                self.sleep(pause)
                pause = min(pause * 1.5, LONGEST_WAIT)

    def seat(self, caller: Principal, token: Token | None, http: HttpRequest) -> AbstractContextManager[None]:
        """Where a request may wait for what its token promises; it takes one of the caller's seats."""
        return nullcontext() if token is None else self._waiting_room.seat(str(caller.user_id or http.address))

    def let_others(self) -> None:
        """Give other requests their turn in the midst of long work."""
        self.sleep(0)

    @cached_property
    def print_key(self) -> bytes:
        """The key of what is remembered of commands with secrets; the apis of an installation share it."""
        path = Path(self.config.token_key_dir) / "repeats.key"
        make_key(path, lambda: token_bytes(PRINT_KEY_BYTES))
        return read_key(path, shortest=PRINT_KEY_BYTES)

    @cached_property
    def files(self) -> Files:
        """The files that people give."""
        return Files(self.config, open_files(self.config), self.aside)

    @property
    def reads_log(self) -> Writer | None:
        """The writer into whose log reads go; None in a process without services, which admits nobody anyway."""
        return self.writers.get(self._people) or next(iter(self.writers.values()), None)

    def with_history(self, entry: dict[str, Any], principal: Principal) -> dict[str, Any]:
        """An audit entry with before and after of what it changed, where its service is hosted in this process.

        Fields that the caller may not see are not in it.
        """
        writer = self.writers.get(entry["service"])
        if writer is None or not entry["changes"]:
            return entry
        return {
            **entry,
            "changes": plain(
                history.told(writer.store, entry["changes"]), unseen_by(principal, self.directory.company)
            ),
        }

    def token_of(self, answer: Answer) -> Token:
        return Token.of(answer, self.config.topic_partitions)
