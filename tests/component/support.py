"""What component and end-to-end tests share: environments of systems of their own, waiting, and a client."""

from __future__ import annotations

import os
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
import pytest
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from tenacity import Retrying, retry_if_exception_type, retry_if_not_result, stop_after_delay, wait_fixed

from chassis.access.tokens import issue
from chassis.catalogue import Catalogue
from chassis.foundation.config import Config
from chassis.kafka.clients import producer, reader
from chassis.kafka.port import Producer
from chassis.messaging.consistency import HEADER, Token
from chassis.messaging.kafka import create_topics, topics_wanted
from chassis.messaging.partitions import PartitionReader
from chassis.messaging.records import Incoming
from chassis.model.principal import Principal
from chassis.persons.opening import use_keys
from chassis.store.event_store import EventStore
from chassis.store.opening import open_store
from chassis.testing.conformity import violations
from chassis.testing.keys import holding
from chassis.testing.records import new_record
from contracts.declare import REGISTRY
from contracts.records import Kind
from deploy.devstack.ports import free_ports
from deploy.local.system import LocalSystem
from services.access.demo_users import demo_user

T = TypeVar("T")

REGISTRY.load()  # records are told apart by all contracts, not by those a test happens to import

REPOSITORY_ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 90.0
PORTS = (
    "DEVSTACK_KAFKA_PORT",
    "DEVSTACK_KAFKA_CONTROLLER_PORT",
    "DEVSTACK_MONGO_PORT",
    "DEVSTACK_POSTGRES_PORT",
    "SALESTREAM_PORT",
    "SALESTREAM_WORKER_PORT",
)
OURS = (
    "DEVSTACK_",
    "FILE_",
    "FILES_",
    "KAFKA_",
    "MONGODB_",
    "POSTGRES_",
    "RATE_",
    "S3_",
    "SALESTREAM_",
    "TEST_",
    "TOKEN_",
    "TOPIC_",
)
OTHER = (
    "EVENT_STORE",
    "DATA_DIR",
    "HTTP_ADDRESS",
    "HEALTH_ADDRESS",
    "TIME_ZONE",
    "MAX_BODY_BYTES",
    "MAX_QUEUE",
    "PLAIN_HTTP",
)
CACHE = ("DEVSTACK_CACHE", "DEVSTACK_MAVEN_URL", "DEVSTACK_TIMEOUT")
JSON = "application/json"
PROBLEM = "application/problem+json"
ALL = 10_000_000  # events of a store
CATALOGUE = Catalogue.read()
SERVICES = tuple(CATALOGUE.with_role("relay"))
"""Everybody who has an event store."""
COMMANDED = tuple(service.name for service in CATALOGUE.services())
CATALOGUE.sagas()  # what a saga reports is applied to its processes once it is known


# -- systems of their own ---------------------------------------------------------------------------------------------


def environment(folder: Path, **more: str) -> dict[str, str]:
    """The environment of a system in a folder of its own, on free ports, whatever the caller's shell has set."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name in CACHE or not (name.startswith(OURS) or name in OTHER)
    }
    ports = {name: str(port) for name, port in zip(PORTS, free_ports(len(PORTS)), strict=True)}
    return inherited | ports | {"DEVSTACK_DIR": str(folder), "TEST_TOKENS": "1"} | more


def processes_below(folder: Path) -> list[psutil.Process]:
    """Running processes that belong to a system in this folder, by their command line or environment."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        if process.pid == os.getpid() or process.info["status"] == psutil.STATUS_ZOMBIE:
            continue
        mentions = any(str(folder) in part for part in process.info["cmdline"] or [])
        if mentions or _works_in(process, folder):
            found.append(process)
    return found


def _works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return Path(process.cwd()).is_relative_to(folder)
    except (psutil.Error, OSError):
        return False


@contextmanager
def running(system: LocalSystem, extra: Callable[[], None] = lambda: None) -> Iterator[LocalSystem]:
    """A system, up inside the block; whatever it stored keeps to the published schemas, and no process is left."""
    folder = system.home
    try:
        system.up()
        with holding(use_keys(config_of(system))):
            yield system
            with stores(config_of(system)) as opened:
                assert [text for store in opened.values() for text in violations(store.notifications(0, ALL))] == []
    finally:
        extra()
        system.down(wipe=True)
    assert processes_below(folder) == []


def config_of(system: LocalSystem) -> Config:
    """The configuration that the processes of a system read."""
    return Config.from_env(system.settings())


# -- the order of tests ------------------------------------------------------------------------------------------------


def longest_files_first(items: list[pytest.Item]) -> None:
    """Order test files for a few processes: those with the fewest tests first.

    Their tests take longest, and a long file that comes last keeps one process busy while the other has nothing to do.
    """
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (tests[item.path], item.path))


# -- waiting ----------------------------------------------------------------------------------------------------------


def until(condition: Callable[[], T | None], *, seconds: float = PATIENCE_SECONDS) -> T:
    """Ask until there is an answer that is not empty, and return it; fail with the last one."""
    waiting = Retrying(stop=stop_after_delay(seconds), wait=wait_fixed(0.03), retry=retry_if_not_result(bool))
    found: T | None = waiting(condition)
    assert found is not None
    return found


def eventually(check: Callable[[], T], *, seconds: float = PATIENCE_SECONDS) -> T:
    """Repeat a check until its assertions hold; in the end raise the last failure."""
    waiting = Retrying(
        stop=stop_after_delay(seconds),
        wait=wait_fixed(0.03),
        retry=retry_if_exception_type(AssertionError),
        reraise=True,
    )
    result: T = waiting(check)
    return result


# -- people and their requests ----------------------------------------------------------------------------------------


class Company:
    """A running system as its people use it: whatever one of them has caused, the next one's request waits for."""

    def __init__(self, config: Config, address: str) -> None:
        self.config = config
        self.http = httpx.Client(
            base_url=address, timeout=60, limits=httpx.Limits(max_connections=40, max_keepalive_connections=0)
        )
        self._token = Token({})
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Person:
        """A demo user by name."""
        if name.startswith("_"):
            raise AttributeError(name)
        return Person(self, demo_user(name))

    def person(self, principal: Principal) -> Person:
        return Person(self, principal)

    @property
    def seen(self) -> str:
        return str(self._token)

    def remember(self, text: str | None) -> None:
        with self._lock:
            self._token = self._token.with_also(Token.parse(text))

    def close(self) -> None:
        self.http.close()


def await_views(company: Company) -> None:
    """Return when every read model exists: a projector makes them a moment after its process is up."""

    def built() -> None:
        for path in ("/products", "/shipments", "/reports/sales-by-day", "/orders"):
            assert company.admin.send("GET", path).status_code == 200
        assert company.admin.send("GET", f"/orders/{uuid.uuid4()}").status_code == 404

    eventually(built)


class Person:
    """One user with a token."""

    def __init__(self, company: Company, principal: Principal) -> None:
        self.company = company
        self.principal = principal
        self.token = issue(company.config, principal, seconds=3600)

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        match: str | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | Iterator[bytes] | None = None,
    ) -> httpx.Response:
        """One request, as it is."""
        sent = {"Authorization": f"Bearer {self.token}"}
        if self.company.seen:
            sent[HEADER] = self.company.seen
        if key is not None:
            sent["Idempotency-Key"] = key
        if match is not None:
            sent["If-Match"] = match
        if content is not None:
            sent["Content-Type"] = JSON
        sent |= dict(headers or {})
        return self.company.http.request(
            method, path, json=body, content=content, params=None if params is None else dict(params), headers=sent
        )

    def do(self, method: str, path: str, body: Any = None, **more: Any) -> dict[str, Any]:
        """A command that is carried out."""
        answer = self.send(method, path, body, **more)
        assert answer.status_code in (200, 201), f"{method} {path}: {answer.status_code} {answer.text}"
        self.company.remember(answer.headers[HEADER])
        found: dict[str, Any] = answer.json()
        return found

    def post(self, path: str, body: Any = None, **more: Any) -> dict[str, Any]:
        return self.do("POST", path, body, **more)

    def enter(self, kind: Kind) -> str:
        """The id of a new record of a kind, which belongs to records that are entered for it where it must."""
        return str(self.post(kind.path, new_record(kind, self.enter))["id"])

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        """A query that is answered."""
        answer = self.send("GET", path, params=params or None)
        assert answer.status_code == 200, f"GET {path}: {answer.status_code} {answer.text}"
        found: dict[str, Any] = answer.json()
        return found

    def items(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """Every row of a list, page by page."""
        rows: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = self.get(path, **params, **({"cursor": cursor} if cursor else {}))
            rows += page["items"]
            cursor = page["next"]
            if cursor is None:
                return rows

    def assert_refused(self, code: str, method: str, path: str, body: Any = None, **more: Any) -> dict[str, Any]:
        """A request that is refused with this code; returns the problem."""
        return problem_of(self.send(method, path, body, **more), code)


def problem_of(answer: httpx.Response, code: str) -> dict[str, Any]:
    """The problem document of an answer, checked for its form and code."""
    assert answer.headers["content-type"] == PROBLEM, f"{answer.status_code} {answer.text}"
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == code, problem
    assert problem["status"] == answer.status_code < 500, problem
    assert problem["type"].endswith(code) and problem["title"] and problem["detail"]
    return problem


def yuan(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "CNY"}


def unique(prefix: str) -> str:
    return f"{prefix} {uuid.uuid4().hex[:8]}"


def add_product(by: Person, price: str = "100.00", stock: int = 100, **more: Any) -> str:
    """A new product; returns its id."""
    body = {
        "name": unique("Phone"),
        "model": "A1",
        "brand": unique("Brand"),
        "prices": {"purchase": yuan("60.00"), "sale": yuan(price)},
        "opening_stock": stock,
        **more,
    }
    return str(by.post("/products", body)["id"])


def add_customer(by: Person, **more: Any) -> str:
    """A new customer; returns its id."""
    mobile = f"138{uuid.uuid4().int % 10**8:08d}"
    return str(by.post("/customers", {"name": unique("Acme"), "mobile": mobile, "industry": "IT", **more})["id"])


def add_order(by: Person, customer: str, *lines: tuple[str, int, str | None], **more: Any) -> str:
    """A draft order of (product, quantity, unit price or None); returns its id."""
    asked = [
        {"product_id": product, "quantity": quantity} | ({} if price is None else {"unit_price": price})
        for product, quantity, price in lines
    ]
    return str(by.post("/orders", {"customer_id": customer, "lines": asked, **more})["id"])


def order_page(by: Person, order: str) -> dict[str, Any]:
    return by.get(f"/orders/{order}")


def await_status(by: Person, order: str, status: str) -> dict[str, Any]:
    """The order's page once it shows a status."""

    def page() -> dict[str, Any]:
        found = order_page(by, order)
        assert found["status"] == status, f"the order is {found['status']}, not {status}: {found['steps']}"
        return found

    return eventually(page)


def await_case(by: Person, order: str, due: str) -> dict[str, Any]:
    """The open approval case of an order, as an approver sees it, once a node is due."""

    def case() -> dict[str, Any] | None:
        return next(iter(by.get("/approvals", order_id=order, status="OPEN", due=due)["items"]), None)

    return until(case)


# -- what is stored ---------------------------------------------------------------------------------------------------


@contextmanager
def stores(config: Config, names: tuple[str, ...] = SERVICES) -> Iterator[dict[str, EventStore]]:
    """The event stores of a system, opened beside its own processes."""
    opened = {name: open_store(name, config) for name in names}
    try:
        yield opened
    finally:
        for store in opened.values():
            store.close()


# -- Kafka ------------------------------------------------------------------------------------------------------------


class KafkaBench:
    """A Kafka for one test: its topics are made anew."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._producers: list[Producer] = []
        self._shared: Producer | None = None

    def empty(self) -> None:
        """Have all topics of the contracts, and nothing in them.  Those that are so already stay: that is quicker."""
        admin = KafkaAdminClient(bootstrap_servers=self.config.kafka_bootstrap_servers)
        try:
            if old := self._used_or_odd(admin.list_topics()):
                admin.delete_topics(old)

            def gone() -> None:
                assert not set(old) & set(admin.list_topics())

            eventually(gone)
        finally:
            admin.close()
        create_topics(self.config, CATALOGUE.groups())

    def _used_or_odd(self, names: Iterable[str]) -> list[str]:
        """The topics that ever held a record, or are not those of the contracts."""
        wanted = topics_wanted(self.config, CATALOGUE.groups())
        client = reader(self.config, "test")
        try:
            there = {name: client.partitions_for_topic(name) or () for name in names if not name.startswith("__")}
            ends = client.end_offsets([TopicPartition(name, number) for name in there for number in there[name]])
        finally:
            client.close()
        used = {place.topic for place, end in ends.items() if end}
        return [
            name
            for name, numbers in there.items()
            if name in used or name not in wanted or len(numbers) != wanted[name].num_partitions
        ]

    def set_topic(self, topic: str, settings: dict[str, str]) -> None:
        """Change settings of a topic; the broker obeys them when this returns."""
        admin = KafkaAdminClient(bootstrap_servers=self.config.kafka_bootstrap_servers)
        try:
            admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, settings)])

            def obeyed() -> None:
                [told] = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)]).values()
                assert {name: told[topic][name]["value"] for name in settings} == settings

            eventually(obeyed)
        finally:
            admin.close()

    @property
    def producer(self) -> Producer:
        """The one for all who share one."""
        if self._shared is None:
            self._shared = producer(self.config)
        return self._shared

    def new_producer(self) -> Producer:
        """One without gaps, which its user may abandon."""
        self._producers.append(producer(self.config, gapless=True))
        return self._producers[-1]

    def send(
        self, topic: str, key: str, value: bytes, headers: Sequence[tuple[str, bytes]], partition: int | None = None
    ) -> None:
        self.producer.send(topic, value=value, key=key.encode(), headers=list(headers), partition=partition).get(30)

    def reader(self, topics: Sequence[str]) -> PartitionReader:
        """A look at topics, from their beginning on."""
        reader = PartitionReader(self.config, "test", topics, {})
        reader.seek({})
        return reader

    def records(self, topic: str) -> list[Incoming]:
        """All records a topic holds, each partition's in order."""
        reader = self.reader([topic])
        found: list[Incoming] = []
        try:
            ends = reader.end_offsets()
            while reader.is_behind(ends):
                found += reader.poll(200)
        finally:
            reader.close()
        return found

    def close(self) -> None:
        for one in [*self._producers, *([self._shared] if self._shared else [])]:
            one.close(timeout=10)
