"""The test kit: whole services in memory, without Kafka, HTTP or a clock.

kit = InMemoryService(SERVICE)
kit.do(AddProduct(...), by=WAREHOUSE)
kit.refused("DUPLICATE", AddProduct(...), by=WAREHOUSE, field="name")
assert kit.new_facts() == [ProductAdded(...)]
"""

from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5
from zoneinfo import ZoneInfo

from chassis.auth import Principal
from chassis.service import Service
from chassis.store import EventStore, MemoryRecorder, fact_class
from chassis.writer import Answer, Request, Writer
from contracts.errors import Refused
from contracts.schemas import decode


def user(name: str, *roles: str, superior: Principal | None = None) -> Principal:
    """A user of a test, with an id derived from the name."""
    id = uuid5(NAMESPACE_URL, f"test-user:{name}")
    return Principal(id, name, frozenset(roles), superior.user_id if superior else None)


MANAGER = user("mei", "MGT")
SUPERVISOR = user("sato", "SUP")
SALES = user("li", "SAL", superior=SUPERVISOR)
FINANCE = user("chen", "FIN")
WAREHOUSE = user("wang", "WHS")
ADMIN = user("admin", "ADM")
SYSTEM = Principal(None, "Salestream", frozenset({"SYSTEM"}), None)


class InMemoryService:
    """One service on the in-memory store, driven by commands."""

    def __init__(self, service: Service, *, zone: str = "Asia/Shanghai") -> None:
        self.store = EventStore(service.name, MemoryRecorder())
        self.writer = Writer(service, self.store)
        self.now = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
        self._zone = ZoneInfo(zone)
        self._seen = 0
        self._ids = count(1)
        self._learned = count(1)

    def pass_time(self, **delta: float) -> None:
        self.now += timedelta(**delta)

    @property
    def today(self) -> date:
        return self.now.astimezone(self._zone).date()

    def request(
        self, command: Any, by: Principal = ADMIN, *, key: str | None = None, version: int | None = None
    ) -> Request:
        return Request(
            command=command,
            context=by.context(self.now, self.today),
            command_id=key or f"test-{next(self._ids)}",
            remember=key is not None,
            expected_version=version,
        )

    def do(self, command: Any, by: Principal = ADMIN, *, key: str | None = None, version: int | None = None) -> Answer:
        """Carry out a command; raises Refused."""
        request = self.request(command, by, key=key, version=version)
        self.writer.execute([request])
        return request.future.result(timeout=0)

    def refused(
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
        return [decode(fact_class(n.type), n.data) for n in self.store.notifications(0, 1_000_000)]

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
