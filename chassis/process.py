"""Runs roles: builds what a process hosts, starts it, answers health checks, and stops it cleanly on SIGTERM."""

import gc
import json
import signal
import sys
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import cached_property, partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType
from typing import Any

import structlog
from kafka import KafkaProducer
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pymongo.database import Database
from pymongo.errors import PyMongoError

from chassis.access.company import CompanySettings
from chassis.access.directory import Directory
from chassis.access.tokens import TokenVerifier
from chassis.catalogue import Catalogue
from chassis.demo_users import demo_names, demo_user
from chassis.foundation.config import Config
from chassis.foundation.health import Loop, Serving, Watched, problems_of
from chassis.http.edge import Api
from chassis.http.forwarding import forwarded_routes
from chassis.http.pressure import Pressure
from chassis.http.problems import unknown_route
from chassis.http.serving import routes_of
from chassis.messaging.consumer import Consumer
from chassis.messaging.inbox import Inbox
from chassis.messaging.kafka import create_topics, producer
from chassis.messaging.progress import processed_positions
from chassis.messaging.provenance import DEAD_LETTERS
from chassis.messaging.relay import Relay, has_published
from chassis.model.around import Offload, at_once
from chassis.projections.audit_collector import Collector
from chassis.projections.collections import Document, connect
from chassis.projections.projector import Projector
from chassis.projections.rebuild import rebuild_outdated
from chassis.projections.rebuild_requests import RebuildWorker
from chassis.projections.state import view_positions
from chassis.sagas.runner import SagaRunner
from chassis.store.event_store import EventStore
from chassis.store.opening import open_store
from chassis.store.sqlite import Waits, here
from chassis.topics import writers
from chassis.writer.writer import Writer
from contracts.declare import REGISTRY

log = structlog.get_logger()


PREPARE_AGAIN_SECONDS = 5.0
LANES = 3
"""How many of the projector's transactions are written side by side."""

SWITCH_SECONDS = 0.000_5
"""How long a thread may keep the others of its process from running.  The default of 5 ms is paid at each of the
projector's round trips while a relay or the saga computes, and by a commit that has come back from the disk."""


def settle_memory() -> None:
    """Take what was loaded at the start out of the garbage collector's sight, and let it look less often.

    Few objects of ours are in cycles; looking for them so often cost the writer 10 to 25 us a command, and a rebuild
    30 us an event.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


class Process:
    """What one process shares: configuration, catalogue, stores and one Kafka producer, each made when first needed."""

    def __init__(self, config: Config, only: Collection[str] = (), *, waits: Waits = here) -> None:
        self.config = config
        self._waits = waits
        self.catalogue = Catalogue.read(only)
        self._stores: dict[str, EventStore] = {}
        self._producer_lock = threading.Lock()

    def store(self, name: str) -> EventStore:
        if name not in self._stores:
            self._stores[name] = open_store(name, self.config, self._waits)
        return self._stores[name]

    @cached_property
    def _made_producer(self) -> KafkaProducer:
        return producer(self.config)

    def producer(self) -> KafkaProducer:
        with self._producer_lock:
            return self._made_producer

    def prepare(self) -> None:
        """Create the topics that are missing.

        Those of events and commands only by who has the store that publishes on them, and not where it has done so
        before: such a topic was lost, and a new one would be taken for it (docs/runbooks/topic-lost.md).
        """
        created = create_topics(self.config, Catalogue.read().groups(), self._may_make)
        if created:
            log.info("topics created", topics=created)

    def _may_make(self, topic: str) -> bool:
        if topic.endswith(DEAD_LETTERS):
            return True
        stores = [self.store(name) for name in writers(self.catalogue, topic)]
        return bool(stores) and not any(has_published(store, topic) for store in stores)

    def close(self) -> None:
        if "_made_producer" in self.__dict__:
            self._made_producer.close(timeout=10)
        for store in self._stores.values():
            store.close()


def run_api(config: Config, only: Collection[str]) -> int:
    """The api role: HTTP and the inboxes of the hosted services, under nameko."""
    from nameko.runners import ServiceRunner  # noqa: PLC0415

    from chassis.foundation.slow_work import SlowWork  # noqa: PLC0415 - as above
    from chassis.http.nameko import (  # noqa: PLC0415 - as above
        WORKERS,
        aside,
        http_service,
        in_native_thread,
        inbox_service,
        later,
    )

    process = Process(config, only, waits=in_native_thread)
    failures = Failures()
    watched: dict[str, Watched] = {}
    if process.catalogue.with_role("api"):
        process.prepare()
    directory = Directory(company=CompanySettings(config.zone))
    writers = {
        s.name: Writer(s, process.store(s.name), max_queue=config.max_queue, listener=directory, failed=failures.note)
        for s in process.catalogue.services()
    }
    watched |= {f"writer {name}": writer for name, writer in writers.items()}
    for writer in writers.values():
        directory.load(writer.store)
    for writer in writers.values():
        directory.catch_up(writer.store)
    database = connect(config) if process.catalogue.views() else None
    pressure = build_pressure(process, writers, database)
    verifier = TokenVerifier(config)
    api = build_api(
        process,
        writers,
        database,
        directory,
        verifier=verifier,
        watched=watched,
        slowly=SlowWork(),
        later=later,
        aside=aside,
    )
    runner = ServiceRunner({"WEB_SERVER_ADDRESS": config.http_address, "max_workers": WORKERS})
    routes = routes_of(api)
    unknown = unknown_route(routes)
    if gateway := process.catalogue.gateway():
        routes += forwarded_routes(config, process.catalogue, Catalogue.read())
        routes, unknown = gateway.enter(config, routes, verifier)
    runner.add_service(http_service(routes, config, unknown, pressure.require_room))
    for writer in writers.values():
        writer.start()
        inbox = Inbox(writer, directory.company)
        if inbox.topics():
            runner.add_service(inbox_service(config, inbox, process.producer, watched))
    stop_looking = threading.Event()
    looking = Serving("pressure", lambda: pressure.run(stop_looking), failures.note)
    watched |= {"pressure": pressure, "thread pressure": looking}
    looking.start()
    stopping = _on_signal(lambda: _stop_runner(runner))
    failures.end = lambda: _stop_runner(runner)
    runner.start()
    settle_memory()
    sys.setswitchinterval(SWITCH_SECONDS)
    log.info("api ready", address=config.http_address, services=sorted(writers))
    try:
        runner.wait()
    finally:
        stop_looking.set()
        for writer in writers.values():
            writer.stop()
        process.close()
    log.info("api stopped", by_signal=stopping.is_set(), failed=failures.names)
    return 1 if failures.names else 0


class Failures:
    """What has failed for good in this process.  The first failure ends it, so that its supervisor starts it again."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.end: Callable[[], None] = lambda: None

    def note(self, name: str) -> None:
        self.names.append(name)
        self.end()


def _stop_runner(runner: Any) -> None:
    import eventlet  # noqa: PLC0415

    eventlet.spawn(runner.stop)


def build_pressure(process: Process, writers: dict[str, Writer], database: "Database[Document] | None") -> Pressure:
    """What watches the logs of these writers and of the sagas beside them, and who reads them how far."""
    config, views = process.config, process.catalogue.views() if database is not None else []
    sagas = [(saga, process.store(name)) for name, saga in process.catalogue.sagas()]
    logs = {name: writer.store.last_position for name, writer in writers.items()}
    logs |= {store.name: store.last_position for _, store in sagas}

    def processed() -> Iterator[tuple[str, str, Iterable[int]]]:
        """Log, consumer, and the newest position of each partition that this has processed."""
        for view, positions in view_positions(database, views) if database is not None else ():
            for topic in view.topics:
                own = [at for source, at in positions.items() if source.rpartition(":")[0] == topic]
                yield topic.removesuffix(".events"), f"view {view.name}", own
        for saga, store in sagas:
            for topic in {REGISTRY.event_of(fact).topic for fact in saga.facts()}:
                own = processed_positions(store, topic, config.topic_partitions)
                yield topic.removesuffix(".events"), f"saga {saga.name}", own
            for name, writer in writers.items():
                own = processed_positions(writer.store, f"{name}.commands", config.topic_partitions)
                yield store.name, f"inbox {name}", own

    def fronts() -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {name: {} for name in logs}
        known = [(name, who, list(own)) for name, who, own in processed() if name in logs]
        ends = {name: length_of() for name, length_of in logs.items()}  # asked last: nothing can be beyond them
        for name, who, own in known:
            found[name][who] = max((at for at in own if at <= ends[name]), default=0)  # one beyond was forged
        return found

    return Pressure(config.max_lag_seconds, logs, fronts)


def build_api(
    process: Process,
    writers: dict[str, Writer],
    database: "Database[Document] | None",
    directory: Directory,
    *,
    verifier: TokenVerifier,
    watched: Mapping[str, Watched] | None = None,
    slowly: Offload = at_once,
    later: Callable[[Callable[[], None]], None] = lambda work: work(),
    aside: Offload = at_once,
) -> Api:
    """The edge of a process with these writers."""
    if process.config.test_tokens:
        for name in demo_names():
            directory.introduce(demo_user(name))
    views = process.catalogue.views()

    def problems() -> dict[str, str]:
        found = problems_of(watched or {})
        for name, writer in writers.items():
            try:
                writer.store.last_position()
            except Exception as error:  # the answer to "are you ready" is the reason why not
                found[f"store {name}"] = repr(error)
                break  # each that is away takes its time, and one is enough
        if database is not None:
            try:
                database.command("ping")
            except Exception as error:  # as above
                found["mongodb"] = repr(error)
        return found

    return Api(
        process.config,
        writers,
        views,
        database,
        verifier,
        ready=problems,
        directory=directory,
        slowly=slowly,
        aside=aside,
        later=later,
    )


def run_worker(config: Config, only: Collection[str], roles: Sequence[str]) -> int:
    """The roles without eventlet: relays, projector and saga, each in a thread of one plain process."""
    process = Process(config, only)
    process.prepare()
    loops: dict[str, Loop] = {}
    if "relay" in roles:
        loops |= relay_loops(process) | collector_loops(process)
    if "projector" in roles:
        loops |= projector_loops(process)
    if "saga" in roles:
        loops |= saga_loops(process)
    stop = threading.Event()
    failures = Failures()
    failures.end = stop.set
    threads = [Serving(name, partial(loop.run, stop), failures.note) for name, loop in loops.items()]
    health = _health_server(config, threads, loops, failures)
    stopping = _on_signal(stop.set)
    for thread in threads:
        thread.start()
    settle_memory()
    sys.setswitchinterval(SWITCH_SECONDS)
    log.info("worker ready", roles=list(roles), loops=list(loops))
    while not stop.wait(1.0):
        pass
    for thread in threads:
        thread.join(timeout=20)
    health.shutdown()
    process.close()
    log.info("worker stopped", by_signal=stopping.is_set(), failed=failures.names)
    return 1 if failures.names else 0


def relay_loops(process: Process) -> dict[str, Loop]:
    loops: dict[str, Loop] = {}
    for name in process.catalogue.with_role("relay"):
        loops[f"relay-{name}"] = Relay(process.store(name), partial(producer, process.config), config=process.config)
    return loops


def collector_loops(process: Process) -> dict[str, Loop]:
    """What brings the audit entries of each service with commands to where they are queried."""
    names = process.catalogue.with_role("api")
    database, view = connect(process.config), Catalogue.read().audit_view()
    return {f"audit-{name}": Collector(process.store(name), database, view) for name in names}


class Prepared:
    """A consumer that does something before it consumes, again and again until that worked."""

    def __init__(self, consumer: Consumer, prepare: Callable[[], None]) -> None:
        self._consumer = consumer
        self._prepare = prepare
        self._kept_by: str | None = "it prepares"

    def problem(self) -> str | None:
        return self._kept_by or self._consumer.problem()

    def run(self, stop: threading.Event) -> None:
        while self._kept_by and not stop.is_set():
            try:
                self._prepare()
                self._kept_by = None
            except Exception as error:  # a server is away, or a record can't be read: told, and tried again
                self._kept_by = f"it can't prepare: {error!r}"
                log.warning("consumer can't prepare", error=repr(error))
                stop.wait(PREPARE_AGAIN_SECONDS)
        self._consumer.run(stop)


def projector_loops(process: Process) -> dict[str, Loop]:
    if not process.catalogue.with_role("projector"):
        return {}
    projector = Projector(connect(process.config), process.catalogue.views("projector"), lanes=LANES)
    try:
        projector.offsets(())  # makes what is missing, so that "ready" means that queries find their views
    except PyMongoError as error:
        log.warning("views are prepared when MongoDB answers", error=repr(error))
    outdated = partial(rebuild_outdated, process.config, projector.database, projector.views)
    return {
        "projector": Prepared(Consumer(process.config, projector, process.producer), outdated),
        "rebuilds": RebuildWorker(process.config, projector.database, projector.views),
    }


def saga_loops(process: Process) -> dict[str, Loop]:
    timeout = timedelta(seconds=process.config.saga_timeout_seconds)
    loops: dict[str, Loop] = {}
    for name, saga in process.catalogue.sagas():
        runner = SagaRunner(saga, process.store(name), timeout=timeout)
        loops[f"saga-{saga.name}"] = Consumer(process.config, runner, process.producer)
    return loops


def _on_signal(act: Callable[[], None]) -> threading.Event:
    """Do `act` once on SIGTERM or SIGINT."""
    seen = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if not seen.is_set():
            seen.set()
            act()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    return seen


def _health_server(
    config: Config, threads: Sequence[Serving], loops: Mapping[str, Loop], failures: Failures
) -> ThreadingHTTPServer:
    """/livez, /readyz and /metrics of a worker: it lives while its threads do, it is ready while all of them get on."""

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, generate_latest(), CONTENT_TYPE_LATEST)
            elif self.path in ("/livez", "/readyz"):
                dead = problems_of({thread.name: thread for thread in threads})
                problems = dead | (problems_of(loops) if self.path == "/readyz" and not dead else {})
                body = {"status": "failed" if problems else "ok", "dead": list(dead), "problems": problems}
                self._answer(503 if problems else 200, json.dumps(body).encode(), "application/json")
            else:
                self._answer(404, b"{}", "application/json")

        def _answer(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Health checks are not logged."""

    host, _, port = config.health_address.rpartition(":")
    server = ThreadingHTTPServer((host or "127.0.0.1", int(port)), Health)
    Serving("health", server.serve_forever, failures.note).start()
    return server
