"""The test kit: whole services in memory, without Kafka, HTTP or a clock.

kit = InMemoryService(SERVICE)
kit.do(AddProduct(...), by=WAREHOUSE)
kit.assert_refused("DUPLICATE", AddProduct(...), by=WAREHOUSE, field="name")
assert kit.new_facts() == [ProductAdded(...)]
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from chassis.access.company import CompanySettings
from chassis.access.directory import Directory
from chassis.catalogue import known_everywhere
from chassis.commands.pipeline import prepare
from chassis.foundation.config import Config
from chassis.messaging.inbox import HeardHere
from chassis.model.identity import record_id, stream_id
from chassis.model.middleware import Surroundings
from chassis.model.principal import SYSTEM, Principal
from chassis.model.service import Service
from chassis.queries.saved import require_taken
from chassis.schedules.bell import Rings
from chassis.schedules.keeper import Keeper
from chassis.store.event_store import EventStore
from chassis.store.events import fact_class
from chassis.store.memory import MemoryRecorder
from chassis.testing.conformity import violations
from chassis.testing.people import ADMIN
from chassis.writer.request import Answer, Request
from chassis.writer.writer import Writer
from contracts.declare import REGISTRY
from contracts.errors import Refused
from contracts.schemas import decode


class AtOnce:
    """A writer for who waits for its thread, where there is none: what is submitted is carried out."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    @property
    def service(self) -> Service:
        return self._writer.service

    @property
    def store(self) -> EventStore:
        return self._writer.store

    def submit_all(self, requests: Sequence[Request]) -> None:
        self._writer.execute(requests)


class InMemoryService:
    """One service on the in-memory store, driven by commands."""

    def __init__(self, service: Service, *, zone: str = "Asia/Shanghai", config: Config | None = None) -> None:
        self.config = config or Config()
        self.directory = Directory(known_everywhere(), clock=lambda: self.now, company=CompanySettings(ZoneInfo(zone)))
        self.store = EventStore(service.name, MemoryRecorder())
        rings = Rings(self.directory)
        self.writer = Writer(service, self.store, listener=rings)
        at_once: Any = AtOnce(self.writer)
        self._keeper = Keeper(at_once, self.directory, rings.bell(), clock=lambda: self.now)
        self.now = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
        self._seen = 0
        self._ids = count(1)
        self._learned = count(1)
        self._checked = 0

    def pass_time(self, **delta: float) -> None:
        self.now += timedelta(**delta)

    def keep_schedules(self) -> float:
        """Have done what is due at this moment; returns for how many seconds there is nothing to do."""
        pause = self._keeper.turn()
        self.check_published()
        return pause

    @property
    def today(self) -> date:
        return self.directory.company.day_of(self.now)

    def request(
        self, command: Any, by: Principal = ADMIN, *, key: str | None = None, version: int | None = None
    ) -> Request:
        spec, company, caller = REGISTRY.command_of(type(command)), self.directory.company, self.known(by)
        return Request(
            command=command,
            context=caller.context(
                self.now,
                self.today,
                spec.permission,
                company.currency,
                company.custom_fields.of,
                require_taken=partial(require_taken, caller, company),
                parameter=company.parameter,
                day_of=company.day_of,
            ),
            command_id=key or f"test-{next(self._ids)}",
            remember=key is not None,
            expected_version=version,
        )

    def known(self, by: Principal) -> Principal:
        """A caller with the rights and reach the directory gives."""
        if by.user_id is None:
            return by
        if not by.needs_directory and not by.machine:
            self.directory.introduce(by)
        return self.directory.admit(by)

    def do(self, command: Any, by: Principal = ADMIN, *, key: str | None = None, version: int | None = None) -> Answer:
        """Carry out a command, with what is done around it; raises Refused."""
        request = self.request(command, by, key=key, version=version)
        ready = prepare(self.writer.service, request, self.surroundings(by))
        self.writer.execute([ready.request])
        self.check_published()
        answer = ready.request.future.result(timeout=0)
        if not ready.request.is_repeat:
            self.check_version(command, answer)
        return msgspec.structs.replace(answer, body=ready.told(answer))

    def check_published(self) -> None:
        """Every event stored, and every command sent, keeps to the schema that is published for it."""
        new = self.store.notifications(self._checked, 1_000)
        self._checked += len(new)
        assert not (broken := violations(new)), broken

    def check_version(self, command: Any, answer: Answer) -> None:
        """The version that is answered is the one that a query of that record shows."""
        key = REGISTRY.command_of(type(command)).key
        facts = self.store.facts(stream_id(record_id(key, getattr(command, key))))
        published = [version for version, fact in enumerate(facts, 1) if REGISTRY.is_public_event(type(fact))]
        assert not published or answer.body["version"] == published[-1], (answer.body, published)

    def surroundings(self, by: Principal) -> Surroundings:
        return Surroundings(self.config, self.known(by), self.now, self.store, self.directory)

    def assert_refused(
        self, code: str, command: Any, by: Principal = ADMIN, *, field: str | None = None, **more: Any
    ) -> Refused:
        """Assert that a command is refused with `code` (and `field`), and that it left no event."""
        before = self.store.last_position()
        try:
            self.do(command, by, **more)
        except Refused as refusal:
            assert refusal.code == code, f"refused with {refusal.code} ({refusal.message}), expected {code}"
            assert field is None or refusal.field == field, f"names {refusal.field!r}, expected {field!r}"
            assert self.store.last_position() == before, "a refused command left events"
            return refusal
        raise AssertionError(f"{type(command).__name__} was not refused")

    def facts(self) -> list[Any]:
        """All facts stored so far, internal ones included."""
        return [decode(fact_class(n.type), n.data, n.aggregate_id) for n in self.store.notifications(0, 1_000_000)]

    def new_facts(self) -> list[Any]:
        """The facts stored since this was last asked."""
        found = self.facts()[self._seen :]
        self._seen += len(found)
        return found

    def stream(self, aggregate_id: UUID) -> list[Any]:
        return list(self.store.facts(aggregate_id))

    def learn(self, *facts: Any) -> None:
        """Tell the service's replicas what happened elsewhere."""
        self.writer.learn(facts, {"position:test:0": next(self._learned)})

    def hear(self, *facts: Any, id: str | None = None, at: datetime | None = None) -> None:
        """Tell the service what happened elsewhere: it does what it does about it, and its replicas learn of it.

        `id` is that of the event, `at` when it happened; else it is a new one, and of now.
        """
        by = replace(SYSTEM, organisation=self.directory)
        for fact in facts:
            named, zone = id or f"elsewhere/{next(self._ids)}", self.directory.company.zone
            heard = HeardHere(named, at or self.now, self.store, zone, self.directory.dictionaries)
            if react := self.writer.service.reactions.get(type(fact)):
                for command in react(fact, heard):
                    self.do(command, by)
            self.learn(fact)
