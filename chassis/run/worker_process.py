"""The worker process: relays, projectors, sagas and collectors, each a loop."""

import sys
import threading
from collections.abc import Collection, Sequence
from datetime import timedelta
from functools import partial

import structlog
from pymongo.errors import PyMongoError

from chassis.catalogue import Catalogue
from chassis.foundation.config import Config
from chassis.foundation.health import Loop, Serving
from chassis.foundation.listening import Listener
from chassis.foundation.memory import settle_memory
from chassis.kafka.clients import producer
from chassis.messaging.consumer import Consumer
from chassis.messaging.relay import Relay
from chassis.projections.audit_collector import Collector
from chassis.projections.collections import connect
from chassis.projections.projector import Projector
from chassis.projections.rebuild import rebuild_outdated
from chassis.projections.rebuild_requests import RebuildWorker
from chassis.run.process import SWITCH_SECONDS, Failures, Host, health_server, on_signal
from chassis.run.upkeep import Upkeep
from chassis.sagas.runner import SagaRunner

log = structlog.get_logger()


LANES = 3
"""How many of the projector's transactions are written side by side."""


def run_worker(config: Config, only: Collection[str], roles: Sequence[str]) -> int:
    """The roles without eventlet: relays, projector and saga, each in a thread of one plain process."""
    listener = Listener("HEALTH_ADDRESS", config.health_address)
    process = Host.of_a_process(config, only)
    process.prepare()
    stop = threading.Event()
    loops: dict[str, Loop] = {}
    if "relay" in roles:
        loops |= relay_loops(process) | collector_loops(process) | upkeep_loops(process)
    if "projector" in roles:
        loops |= projector_loops(process, stop)
    if "saga" in roles:
        loops |= saga_loops(process)
    failures = Failures()
    failures.end = stop.set
    threads = [Serving(name, partial(loop.run, stop), failures.note) for name, loop in loops.items()]
    health = health_server(listener, threads, loops, failures)
    stopping = on_signal(stop.set)
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


def relay_loops(process: Host) -> dict[str, Loop]:
    loops: dict[str, Loop] = {}
    for name in process.catalogue.with_role("relay"):
        made = partial(producer, process.config, gapless=True)
        loops[f"relay-{name}"] = Relay(process.store(name), made, config=process.config)
    return loops


def collector_loops(process: Host) -> dict[str, Loop]:
    """What brings the audit entries of each service with commands to where they are queried."""
    names = process.catalogue.with_role("api")
    database, view = connect(process.config), Catalogue.read().audit_view()
    return {f"audit-{name}": Collector(process.store(name), database, view) for name in names}


def upkeep_loops(process: Host) -> dict[str, Loop]:
    """What deletes the files that nobody needs any more, of services that keep some."""
    keeping = [name for name, _ in process.catalogue.modules("upkeep")]
    return {"upkeep": Upkeep(process.config, process.catalogue, process.store)} if keeping else {}


def projector_loops(process: Host, stop: threading.Event) -> dict[str, Loop]:
    if not process.catalogue.with_role("projector"):
        return {}
    projector = Projector(connect(process.config), process.catalogue.views("projector"), lanes=LANES)
    try:
        projector.offsets(())  # makes what is missing, so that "ready" means that queries find their views
    except PyMongoError as error:
        log.warning("views are prepared when MongoDB answers", error=repr(error))
    outdated = partial(rebuild_outdated, process.config, projector.database, projector.views, stop.is_set)
    return {
        "projector": Consumer(process.config, projector, process.producer, prepare=outdated),
        "rebuilds": RebuildWorker(process.config, projector.database, projector.views),
    }


def saga_loops(process: Host) -> dict[str, Loop]:
    timeout = timedelta(seconds=process.config.saga_timeout_seconds)
    loops: dict[str, Loop] = {}
    for name, saga in process.catalogue.sagas():
        runner = SagaRunner(saga, process.store(name), timeout=timeout)
        loops[f"saga-{saga.name}"] = Consumer(process.config, runner, process.producer)
    return loops
