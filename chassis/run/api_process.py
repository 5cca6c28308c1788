"""The api process: HTTP and the inboxes of the services it hosts, under nameko."""

import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any

import structlog
from pymongo.database import Database

from chassis.access.company import CompanySettings
from chassis.access.directory import Directory
from chassis.access.tokens import TokenVerifier
from chassis.catalogue import Catalogue, known_everywhere
from chassis.delivery.courier import Courier
from chassis.delivery.opening import carriers, limit, limits_of_ways
from chassis.foundation.config import Config
from chassis.foundation.health import Loop, Serving, Watched, problems_of
from chassis.foundation.listening import Listener
from chassis.foundation.memory import settle_memory
from chassis.http.edge import Api
from chassis.http.forwarding import forwarded_routes
from chassis.http.pressure import Pressure
from chassis.http.problems import unknown_route
from chassis.http.serving import routes_of
from chassis.kafka.shared import SharedFetch
from chassis.messaging.consumer import Consumer, RecordHandler
from chassis.messaging.inbox import Inbox
from chassis.messaging.progress import processed_positions
from chassis.messaging.replicas import refill_changed
from chassis.model.middleware import Offload, at_once
from chassis.model.saga import Saga
from chassis.projections.collections import Document, connect
from chassis.projections.state import view_positions
from chassis.run.process import SWITCH_SECONDS, Failures, Host, on_signal
from chassis.schedules.bell import Rings
from chassis.schedules.keeper import Keeper
from chassis.store.event_store import EventStore
from chassis.writer.writer import Writer
from contracts.declare import REGISTRY

log = structlog.get_logger()

Sagas = Sequence[tuple[Saga[Any], EventStore]]
"""Sagas with the stores that hold them."""
Processed = tuple[str, str, list[int]]
"""A log, who reads it, and the newest position of each partition that this one has processed."""


def run_api(config: Config, only: Collection[str]) -> int:
    """The api role: HTTP and the inboxes of the hosted services, under nameko."""
    from nameko.runners import ServiceRunner  # noqa: PLC0415

    from chassis.foundation.slow_work import FILES, SlowWork  # noqa: PLC0415 - as above
    from chassis.http.nameko import (  # noqa: PLC0415 - as above
        WORKERS,
        http_service,
        in_native_thread,
        inbox_service,
        later,
    )

    config = replace(config, kafka_client="kafka-python")  # librdkafka would hold up eventlet's thread
    listener = Listener("HTTP_ADDRESS", config.http_address)
    process = Host.of_a_process(config, only, waits=in_native_thread)
    failures = Failures()
    watched: dict[str, Watched] = {}
    if process.catalogue.with_role("api"):
        process.prepare()
    directory = Directory(known_everywhere(), company=CompanySettings(config.zone))
    rings = Rings(directory)
    writers = {
        s.name: Writer(
            s,
            process.store(s.name),
            max_queue=config.max_queue,
            results_days=config.results_days,
            listener=rings,
            failed=failures.note,
        )
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
        aside=SlowWork(threads=1, busy=FILES),
    )
    runner = ServiceRunner({"max_workers": WORKERS})
    routes = routes_of(api)
    unknown = unknown_route(routes, api.told_in)
    if gateway := process.catalogue.gateway():
        routes += forwarded_routes(config, process.catalogue, Catalogue.read(), api.told_in)
        routes, unknown = gateway.enter(config, routes, verifier, api.told_in)
    runner.add_service(http_service(routes, config, listener, unknown, pressure.require_room))
    fetch = SharedFetch(config)
    for writer in writers.values():
        writer.start()
        inbox = Inbox(writer, directory.company, organisation=directory, dictionaries=directory.dictionaries)
        if inbox.topics():
            runner.add_service(inbox_service(inbox, consumer_of(process, writer, fetch), watched))
    stop_beside = _start(
        {
            "pressure": pressure,
            **keepers(writers, directory, rings),
            **couriers(process, writers, directory, SlowWork(threads=2)),
        },
        watched,
        failures,
    )
    stopping = on_signal(lambda: _stop_runner(runner))
    failures.end = lambda: _stop_runner(runner)
    runner.start()
    settle_memory()
    sys.setswitchinterval(SWITCH_SECONDS)
    log.info("api ready", address=config.http_address, services=sorted(writers))
    try:
        runner.wait()
    finally:
        stop_beside.set()
        rings.ring()
        fetch.close()
        for writer in writers.values():
            writer.stop()
        process.close()
    log.info("api stopped", by_signal=stopping.is_set(), failed=failures.names)
    return 1 if failures.names else 0


def consumer_of(process: Host, writer: Writer, fetch: SharedFetch) -> Callable[[RecordHandler], Consumer]:
    """What makes the consumer of a service's inbox: it refills replicas first, and reads with all others together."""
    prepare = partial(refill_changed, process.config, writer)
    return partial(Consumer, process.config, producer=process.producer, prepare=prepare, readers=fetch.reader)


def keepers(writers: Mapping[str, Writer], directory: Directory, rings: Rings) -> dict[str, Keeper]:
    """Who keeps the schedules of these writers' services."""
    return {
        f"schedules {name}": Keeper(writer, directory, rings.bell())
        for name, writer in writers.items()
        if writer.service.is_kept
    }


def couriers(
    process: Host, writers: Mapping[str, Writer], directory: Directory, slowly: Offload = at_once
) -> dict[str, Courier]:
    """Who sends what the services of this process have to send."""
    ways, most, of_ways = carriers(process.config), limit(process.config), limits_of_ways(process.config)

    def courier(name: str, outbox: Any) -> Courier:
        waiting = outbox.Outgoing(process.config, directory)
        return Courier(writers[name], directory.company, waiting, ways, most, of_ways=of_ways, slowly=slowly)

    return {
        f"courier {name}": courier(name, outbox)
        for name, outbox in process.catalogue.modules("outgoing")
        if name in writers
    }


def _start(loops: Mapping[str, Loop], watched: dict[str, Watched], failures: Failures) -> threading.Event:
    """Let loops run beside the requests, each watched in a thread that is; they end with what is returned."""
    stop = threading.Event()
    threads = [Serving(name, partial(loop.run, stop), failures.note) for name, loop in loops.items()]
    watched |= loops
    watched |= {f"thread {thread.name}": thread for thread in threads}
    for thread in threads:
        thread.start()
    return stop


def _stop_runner(runner: Any) -> None:
    import eventlet  # noqa: PLC0415

    eventlet.spawn(runner.stop)


def build_pressure(process: Host, writers: dict[str, Writer], database: "Database[Document] | None") -> Pressure:
    """What watches the logs of these writers and of the sagas beside them, and who reads them how far."""
    sagas = [(saga, process.store(name)) for name, saga in process.catalogue.sagas()]
    logs = {name: writer.store.last_position for name, writer in writers.items()}
    logs |= {store.name: store.last_position for _, store in sagas}

    def fronts() -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {name: {} for name in logs}
        partitions = process.config.topic_partitions
        readers = chain(
            _of_views(process, database), _of_sagas(sagas, partitions), of_inboxes(sagas, writers, partitions)
        )
        known = [one for one in readers if one[0] in logs]
        ends = {name: length_of() for name, length_of in logs.items()}  # asked last: nothing can be beyond them
        for name, who, own in known:
            found[name][who] = max((at for at in own if at <= ends[name]), default=0)  # one beyond was forged
        return found

    return Pressure(process.config.max_lag_seconds, logs, fronts)


def _of_views(process: Host, database: "Database[Document] | None") -> Iterator[Processed]:
    if database is None:
        return
    for view, positions in view_positions(database, process.catalogue.views()):
        for topic in view.topics:
            own = [at for source, at in positions.items() if source.rpartition(":")[0] == topic]
            yield topic.removesuffix(".events"), f"view {view.name}", own


def _of_sagas(sagas: Sagas, partitions: int) -> Iterator[Processed]:
    for saga, store in sagas:
        for topic in {REGISTRY.event_of(fact).topic for fact in saga.facts()}:
            yield topic.removesuffix(".events"), f"saga {saga.name}", processed_positions(store, topic, partitions)


def of_inboxes(sagas: Sagas, writers: Mapping[str, Writer], partitions: int) -> Iterator[Processed]:
    """How far each inbox is in the log of the saga that sends it its commands."""
    for saga, store in sagas:
        for name in {REGISTRY.command_of(command).service for command in saga.sends()} & writers.keys():
            yield store.name, f"inbox {name}", processed_positions(writers[name].store, f"{name}.commands", partitions)


def build_api(
    process: Host,
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
        for user in Catalogue.read().of_people("demo_users").demo_users():
            directory.introduce(user)
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
